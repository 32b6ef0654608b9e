"""The contract ``preflight``, step by step: CLI, switch, the one file, its expiry."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from conformance.model.contract import Contract
from conformance.specification.case import Case
from conformance.specification.document import Document, Members, read_document
from conformance.specification.expiry import expiry_of
from conformance.specification.login import is_header_text, odd_members
from conformance.specification.reach import Opened
from conformance.specification.slot import ENDS, cli_step, runs_step, unknown
from conformance.specification.steps import INVALID, MISSING, OPEN, READY, Step, combined

__all__ = ["preflight_steps"]

_FILE = ".claude/.credentials.json"
#: A login with half an hour left lasts for every gate to which nobody has named a skew.
_OWN_SKEW = 1799.0


def preflight_steps(case: Case, contract: Contract) -> Iterator[Step]:
    """Yield the steps of a right gate of *contract* in this *case*."""
    for step in cli_step(case):
        rule, without_login = "cli-broken", ""
        if step.without_login:
            rule, without_login = "cli-open", "cli-open-no-login"
        elif READY in step.verdicts:
            rule = "cli-runs"
        rules = (rule,) if step.rules else ()
        yield replace(step, rules=rules, without_login=without_login)
    yield from _credentials(case, contract)
    yield from runs_step(case)


def _credentials(case: Case, contract: Contract) -> Iterator[Step]:
    switch = case.inputs.get("switch")
    if switch == contract.inputs.switch_off:
        yield Step(rules=("switch-off",), verdicts=(READY,), why="the check is switched off")
        return
    if switch not in (None, "", contract.inputs.switch_on):
        why = "whether this value of the switch is one for off, no rule says"
        yield unknown(why)
        return
    override = case.inputs.get("override")
    if override:
        yield from _at(case, override, overridden=True)
        return
    if case.directory == "" and case.reach.open(_FILE).end != "missing":
        yield unknown("an empty AGENT_HOME leads some languages to the current directory")
        return
    default = f"{case.directory}/{_FILE}" if case.directory else None
    named = case.env.get("CLAUDE_CONFIG_DIR")
    if not named:
        yield from _at(case, default)
        return
    # Whether it is followed is open: what may come of either may come of it.
    ways = [list(_at(case, default)), list(_at(case, f"{named}/.credentials.json"))]
    found = [combined(steps, contract, "preflight") for steps in ways]
    verdicts = {verdict for one in found if one is not None for verdict in one.verdicts}
    rules = ("config-dir", *(found[0].rules if found[0] is not None else ()))
    why = "CLAUDE_CONFIG_DIR is set: whether it is followed is open"
    yield Step(rules=rules, verdicts=tuple(sorted(verdicts)), why=why)


def _at(case: Case, path: str | None, *, overridden: bool = False) -> Iterator[Step]:
    """Yield what comes of the file at *path*; None where no HOME is set."""
    opened = case.reach.open(path) if path is not None else Opened(end="missing")
    what = "the file of the override" if overridden else _FILE
    match opened.end:
        case "there":
            yield from _document(case, read_document(opened.content), what)
            if overridden:
                yield Step(rules=("override",), verdicts=(READY,), why="an override names it")
            yield Step(rules=("login",), verdicts=(READY,), why=f"{what} has a login that lasts")
        case "unknown":
            yield unknown(f"{what} was not read, or lies out of the HOME")
        case "missing" | "not-directory":
            rules = ("override-missing",) if overridden else ("no-file",)
            yield Step(rules=rules, verdicts=MISSING, why=f"{what}: {ENDS[opened.end]}")
        case end:
            yield Step(rules=("cannot-be-read",), verdicts=INVALID, why=f"{what}: {ENDS[end]}")


def _document(case: Case, document: Document, what: str) -> Iterator[Step]:
    """Yield what is wrong, or open, with what the file says."""
    if document.kind != "json":
        yield Step(rules=("not-json",), verdicts=INVALID, why=f"{what} is empty, or not JSON")
        return
    if document.doubts:
        yield unknown(f"parsers differ about {what}: {', '.join(sorted(document.doubts))}", OPEN)
        if document.doubts & {"deep", "twice"}:
            return  # what it says depends on who reads it
    root = document.value
    login = root.get("claudeAiOauth") if isinstance(root, Members) else None
    if not isinstance(login, Members):
        why = f"{what} has no claudeAiOauth object"
        yield Step(rules=("no-oauth",), verdicts=INVALID, why=why)
        return
    if not is_header_text(login.get("accessToken")):
        why = "claudeAiOauth has no accessToken that could be used"
        yield Step(rules=("no-token", "login"), verdicts=OPEN, why=why)
    if odd := odd_members(login):
        yield unknown(f"members of other types than the CLI writes: {', '.join(odd)}", OPEN)
    yield from _end(case, login)


def _end(case: Case, login: Members) -> Iterator[Step]:
    """Yield what is wrong, or open, with the end of *login*."""
    text = case.inputs.get("skew") or ""
    plain = re.fullmatch("[0-9]{1,9}", text)
    # Which skew a gate has where nobody names one, and what it makes of nonsense, no rule says.
    least = float(text) if plain else 0.0
    most = least + case.later if plain else _OWN_SKEW
    if text and not plain:
        yield unknown("the skew is no plain number of seconds", OPEN)
    earliest, latest = case.now + least, case.now + most
    match expiry_of(login.get("expiresAt"), earliest=earliest, latest=latest):
        case "no-number":
            yield Step(rules=("expiry-type",), verdicts=OPEN, why="expiresAt is no number")
        case "past":
            why = "expiresAt is not later than now and the skew"
            yield Step(rules=("expired",), verdicts=INVALID, why=why)
        case "about":
            yield unknown("expiresAt is so near that the moment, or a skew, decides", OPEN)
