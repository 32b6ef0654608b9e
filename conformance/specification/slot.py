"""The contract ``slot``, step by step: agent, CLI, credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from conformance.home.seen import SeenNode
from conformance.model.contract import Contract
from conformance.specification.case import Case
from conformance.specification.cli import RUNS, UNKNOWN
from conformance.specification.document import Doubt, read_document
from conformance.specification.reach import Opened, Reach
from conformance.specification.steps import BROKEN, CREDENTIALS, INVALID, MISSING, OPEN, READY, Step
from conformance.specification.tokens import elsewhere_rules, has_no_account

__all__ = [
    "BASELINE",
    "ENDS",
    "agent_step",
    "cli_step",
    "home_step",
    "in_no_directory",
    "runs_step",
    "slot_steps",
    "steps_with",
    "unknown",
]

#: What an image puts at the top of ``.claude``.
BASELINE = frozenset({b"CLAUDE.md", b"config.toml", b"settings.json"})
#: What is said of a file that could not be opened.
ENDS = {
    "missing": "it is not there",
    "not-directory": "something on the way to it is no directory",
    "loop": "a link on the way to it leads in a circle",
    "closed": "a directory on the way to it may not be searched by the user of the probe",
    "not-a-file": "it is no regular file",
    "unreadable": "the user of the probe may not read it",
}
#: How a CLI ends with which the next step decides as well.
_GOOD = ("link", "several-passed-over", "several-first-runs")
_EITHER = ("shell-runs", "wants-terminal", "several-not-loadable")


def slot_steps(case: Case, contract: Contract) -> Iterator[Step]:
    """Yield the steps of a right probe of *contract* in this *case*."""
    return steps_with(case, contract, {"claude": _claude, "codex": _codex})


def steps_with(
    case: Case, contract: Contract, credentials: Mapping[str, Callable[[Case], Iterator[Step]]]
) -> Iterator[Step]:
    """Yield agent, CLI and HOME, and then the *credentials* of the agent."""
    if (step := agent_step(case, contract)) is not None:
        yield step
        return
    yield from cli_step(case)
    if (step := home_step(case)) is not None:
        yield step
        return
    yield from credentials[case.agent](case)
    yield from runs_step(case)


def unknown(why: str, verdicts: tuple[str, ...] = CREDENTIALS) -> Step:
    """Return the step for a point of which no rule speaks, or of which too little is known."""
    return Step(rules=(), verdicts=verdicts, why=why)


def agent_step(case: Case, contract: Contract) -> Step | None:
    """Return why the named agent is none that *contract* maps; None if it is one."""
    if not case.agent.strip():
        return Step(rules=("agent-unset",), verdicts=BROKEN, why="no agent is named")
    if case.agent not in contract.agents:
        why = "the agent is none of " + ", ".join(contract.agents)
        return Step(rules=("agent-unmapped",), verdicts=BROKEN, why=why)
    return None


def cli_step(case: Case) -> Iterator[Step]:
    """Yield what comes of asking the CLI for its version; nothing if it just runs."""
    if case.cli == RUNS:
        return
    if case.cli == UNKNOWN:
        yield unknown("nothing says how the CLI ends", (READY, *BROKEN))
        return
    either = case.cli in _EITHER
    good = (READY,) if either or case.cli in _GOOD else ()
    yield Step(
        rules=(f"cli-{case.cli}",),
        verdicts=(*good, *(() if case.cli in _GOOD else BROKEN)),
        why=f"the CLI: {case.cli}",
        optional=True,
        without_login=f"cli-{case.cli}-no-login" if either else "",
    )


def runs_step(case: Case) -> Iterator[Step]:
    """Yield that the CLI just runs; the last step, because it says nothing of the login."""
    if case.cli == RUNS:
        why = "the CLI runs"
        yield Step(rules=("cli-runs",), verdicts=(READY,), why=why, optional=True)


def home_step(case: Case) -> Step | None:
    """Return what comes of a HOME that is not set, or names another place; None if it is usual."""
    if case.directory is None:
        refusals = (*BROKEN, *MISSING)
        return Step(rules=("home-unset",), verdicts=refusals, why="HOME is not set")
    if case.directory.rstrip("/") != case.home_path.rstrip("/"):
        return unknown("HOME names another directory than this one", (*BROKEN, *CREDENTIALS))
    return None


def _claude(case: Case) -> Iterator[Step]:
    reach = case.reach
    found = reach.find(f"{case.home_path}/.claude")
    match found.end:
        case "unknown":
            yield unknown("~/.claude leads out of the HOME, to where nobody looked")
        case "closed":
            yield Step(rules=("claude-closed",), verdicts=INVALID, why="the HOME is closed")
        case "loop":
            rules = ("claude-directory-loop", "claude-no-directory")
            verdicts = (*MISSING, *INVALID)
            yield Step(rules=rules, verdicts=verdicts, why="~/.claude is a link into a loop")
        case _ if found.node is None or found.node.kind != "directory":
            why = "there is no directory ~/.claude"
            yield _no_login(case, ("claude-no-directory",), why)
        case _:
            yield from _claude_directory(case, reach, found.node)


def _claude_directory(case: Case, reach: Reach, top: SeenNode) -> Iterator[Step]:
    """Yield what comes of what lies in ~/.claude, which is *top*."""
    if not reach.may_list(top):
        why = "~/.claude may not be read or searched by the user of the probe"
        yield Step(rules=("claude-closed",), verdicts=INVALID, why=why)
        return
    below = list(reach.below(top))
    files = [node for node in below if node.kind == "file"]
    deeper = [node for node in files if not _at_top(node, top)]
    login = [node for node in files if node.path.rpartition(b"/")[2] not in BASELINE]
    named = [node for node in deeper if node.path.rpartition(b"/")[2] in BASELINE]
    closed = [node for node in below if node.kind == "directory" and not reach.may_list(node)]
    unseen = reach.home.closed & {top.path, *(n.path for n in below)} - {n.path for n in closed}
    if unseen:
        verdicts = OPEN if login else CREDENTIALS
        yield unknown("nobody looked into a part of ~/.claude: it was closed", verdicts)
    elif closed and (login or named):
        rules = ("claude-closed-beside-login",)
        why = "a file like a login lies in ~/.claude, beside a directory that is closed"
        yield Step(rules=rules, verdicts=OPEN, why=why)
    elif closed:
        why = "no login lies in ~/.claude, and a directory in it is closed"
        yield Step(rules=("claude-closed",), verdicts=INVALID, why=why)
    elif login:
        yield Step(rules=_login_rules(case), verdicts=(READY,), why=_login_words(login))
    elif named:
        why = "a file with a baseline name lies deeper in ~/.claude"
        yield Step(rules=("claude-baseline-deeper",), verdicts=(READY, *MISSING), why=why)
    else:
        yield _no_login(case, *_nothing(files, below))


def _at_top(node: SeenNode, top: SeenNode) -> bool:
    prefix = top.path + b"/" if top.path else b""
    return b"/" not in node.path.removeprefix(prefix)


def _login_words(login: list[SeenNode]) -> str:
    count = "a regular file lies" if len(login) == 1 else f"{len(login)} regular files lie"
    return f"{count} in ~/.claude that the image did not put there"


def _login_rules(case: Case) -> tuple[str, ...]:
    """Return the rules about a login of claude, with the one about what does not lie beside it."""
    return ("claude-no-account", "claude-login") if has_no_account(case) else ("claude-login",)


def _nothing(files: list[SeenNode], below: list[SeenNode]) -> tuple[tuple[str, ...], str]:
    """Return the rules about a ~/.claude without a login, and what lies in it."""
    others = [node for node in below if node.kind != "file"]
    if any(node.kind != "directory" for node in others):
        return ("claude-no-file",), "no regular file in ~/.claude is more than a baseline file"
    baseline = ("claude-baseline-only",) if files else ()
    rules = (*baseline, "claude-no-file") if others or not files else baseline
    return rules, "nothing lies in ~/.claude but baseline files and directories"


def _no_login(case: Case, rules: tuple[str, ...], why: str) -> Step:
    """Return that nobody has logged in; a login elsewhere is none, and is said."""
    elsewhere = elsewhere_rules(case, f"{case.home_path}/.{case.agent}")
    if elsewhere:
        why = f"{why}; a token or a key that lies elsewhere is no login"
    return Step(rules=(*elsewhere, *rules), verdicts=MISSING, why=why)


def _codex(case: Case) -> Iterator[Step]:
    opened = case.reach.open(f"{case.home_path}/.codex/auth.json")
    match opened.end:
        case "unknown":
            yield unknown("~/.codex/auth.json was not read, or lies out of the HOME")
        case "missing":
            yield _no_login(case, ("codex-no-file",), f"~/.codex/auth.json: {ENDS[opened.end]}")
        case "there":
            yield _codex_file(opened)
        case end:
            why = f"~/.codex/auth.json: {ENDS[end]}"
            if in_no_directory(case, opened, f"{case.home_path}/.codex"):
                yield unknown(why, (*MISSING, *INVALID))
                return
            rules = ("codex-not-a-file",) if end == "not-a-file" else ("codex-unreadable",)
            yield Step(rules=rules, verdicts=INVALID, why=why)


def in_no_directory(case: Case, opened: Opened, place: str) -> bool:
    """Return whether a file could not be *opened* since *place*, where it lies, is no directory.

    A link into a loop is none, either. Languages differ in whether the file is then missing.
    """
    return opened.end == "not-directory" or case.reach.find(place).end == "loop"


#: What is wrong with a text for every parser that keeps to Unicode.
_NO_TEXT: frozenset[Doubt] = frozenset({"not-utf-8"})


def _codex_file(opened: Opened) -> Step:
    """Return what comes of what auth.json holds."""
    what = "~/.codex/auth.json"
    document = read_document(opened.content)
    if document.kind == "not-text" or document.doubts & _NO_TEXT:
        why = f"{what} is no text in any Unicode encoding"
        rules = ("codex-not-text", *(("codex-not-json",) if len(opened.content) % 2 == 0 else ()))
        return Step(rules=rules, verdicts=INVALID, why=why)
    if document.kind == "not-json":
        return Step(rules=("codex-not-json",), verdicts=INVALID, why=f"{what} is not JSON")
    if document.doubts:
        why = f"JSON parsers differ about {what}: {', '.join(sorted(document.doubts))}"
        return Step(rules=("codex-parsers-differ",), verdicts=OPEN, why=why)
    return Step(rules=("codex-login",), verdicts=(READY,), why=f"{what} is JSON")
