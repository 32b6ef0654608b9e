"""Which scenarios a home is like, and what tells it apart from each: in words that hold no value.

Compared is what rules can see, and no more: two tokens are alike, and so are two ends in the
future. Only names that everybody knows are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from conformance.model.agent import AGENT_CLIS
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import MANY_ENTRIES, Scenario
from conformance.specification.case import Case, case_of
from conformance.specification.cli import RUNS
from conformance.specification.codex_config import config_in
from conformance.specification.document import Members, read_document
from conformance.specification.expiry import expiry_of
from conformance.specification.slot import BASELINE, ENDS
from conformance.specification.steps import Decision
from conformance.specification.strict_codex import MODES, id_token_words
from conformance.specification.tokens import VARIABLES

__all__ = ["Likeness", "features", "nearest"]

_CLAUDE_FILE, _CODEX_FILE = ".credentials.json", "auth.json"
_CLAUDE_MEMBERS = (
    "accessToken",
    "refreshToken",
    "expiresAt",
    "refreshTokenExpiresAt",
    "scopes",
)
_CODEX_MEMBERS = ("auth_mode", "OPENAI_API_KEY", "last_refresh")
_TOKENS = ("access_token", "refresh_token", "account_id")
_SETTINGS = ("CLAUDE_CONFIG_DIR", "CLAUDE_CODE_SIMPLE", "CODEX_HOME")
#: What stands for a thing that is not there.
_NONE = "none"


class Likeness(Struct, frozen=True, kw_only=True):
    """A scenario, and what tells a home apart from that of the scenario."""

    scenario: Scenario
    differences: tuple[str, ...]
    """Each one thing: what it is here, and there."""


def nearest(
    case: Case, contract: Contract, decision: Decision, scenarios: Iterable[Scenario], number: int
) -> list[Likeness]:
    """Return the *scenarios* whose homes are most like that of *case*, the nearest first.

    These are *number* that call for the same as *decision*, and after them as many that call for
    something else: they say what would change the answer.
    """
    ours = features(case)
    context = Context(now=case.now, seed="")
    found: list[Likeness] = []
    for scenario in scenarios:
        if not _is_about_a_home(scenario, case.agent):
            continue
        theirs = features(case_of(scenario, contract, context))
        found.append(Likeness(scenario=scenario, differences=tuple(_told(ours, theirs))))

    def distance(one: Likeness) -> tuple[int, bool, str]:
        elsewise = decision.rule not in one.scenario.cites(contract)
        return len(one.differences), elsewise, one.scenario.id

    found.sort(key=distance)
    wanted = {*decision.verdicts}
    same = [one for one in found if {*one.scenario.expected(contract)} == wanted]
    others = [one for one in found if {*one.scenario.expected(contract)} != wanted]
    return same[:number] + others[:number]


def _is_about_a_home(scenario: Scenario, agent: str) -> bool:
    """Return whether only the HOME and variables make *scenario* what it is, and it is small."""
    around = scenario.container is not None or scenario.only_local or scenario.cli != "healthy"
    large = any(entry.count >= MANY_ENTRIES or entry.depth > 100 for entry in scenario.entries)
    return not around and not large and scenario.agent == (agent if agent in AGENT_CLIS else "")


def _told(ours: dict[str, str], theirs: dict[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*ours, *theirs)):
        here, there = ours.get(name, _NONE), theirs.get(name, _NONE)
        if here != there:
            yield f"{name}: here {here}, there {there}"


def features(case: Case) -> dict[str, str]:
    """Return what rules can see in *case*: the name of each thing to what it is like."""
    found = {"agent": "as it is named" if case.agent in AGENT_CLIS else "none that is known"}
    if case.cli != RUNS:
        found["CLI"] = case.cli
    names = (*VARIABLES["claude"], *VARIABLES["codex"], *_SETTINGS)
    found |= {name: _text(case.env[name]) for name in names if name in case.env}
    for role in ("override", "skew", "switch"):
        if case.inputs.get(role):
            found[f"input {role}"] = "set"
    if case.agent == "claude":
        found |= _claude(case)
    elif case.agent == "codex":
        found |= _codex(case)
    return found


def _claude(case: Case) -> dict[str, str]:
    found = dict(_tree(case))
    place = case.env.get("CLAUDE_CONFIG_DIR") or f"{case.home_path}/.claude"
    override = case.inputs.get("override")
    path = override or f"{place}/{_CLAUDE_FILE}"
    found[_CLAUDE_FILE], value = _file(case, path)
    login = value.get("claudeAiOauth") if isinstance(value, Members) else None
    if isinstance(value, Members):
        found["claudeAiOauth"] = _value(case, login)
    if isinstance(login, Members):
        found |= {name: _value(case, login[name]) for name in _CLAUDE_MEMBERS if name in login}
    found[".claude.json"], account = _file(case, f"{case.home_path}/.claude.json")
    if isinstance(account, Members):
        found["account in .claude.json"] = _value(case, account.get("oauthAccount"))
    found["settings.json"], settings = _file(case, f"{place}/settings.json")
    block = settings.get("env") if isinstance(settings, Members) else None
    if isinstance(block, Members):
        tokens = [name for name in VARIABLES["claude"] if name in block]
        found |= {f"settings.json {name}": _value(case, block[name]) for name in tokens}
    return found


def _tree(case: Case) -> Iterator[tuple[str, str]]:
    """Yield what the walk through ~/.claude meets."""
    reach = case.reach
    top = reach.find(f"{case.home_path}/.claude")
    if top.node is None or top.node.kind != "directory":
        kind = "no directory" if top.node is not None else ENDS.get(top.end, "not seen")
        yield "~/.claude", kind
        return
    link = case.home.nodes.get(b".claude")
    linked = link is not None and link.kind == "symlink"
    closed = "closed" if not reach.may_list(top.node) else "a directory"
    yield "~/.claude", f"a link to {closed}" if linked else closed
    below = list(reach.below(top.node))
    prefix = top.node.path + b"/"
    for node in below:
        name = node.path.removeprefix(prefix)
        base = name.rpartition(b"/")[2]
        if node.kind != "file":
            if node.kind == "directory" and not reach.may_list(node):
                yield "closed directories in ~/.claude", "some"
            elif node.kind != "directory":
                yield f"{node.kind}s in ~/.claude", "some"
        elif base not in BASELINE:
            if name != _CLAUDE_FILE.encode():
                where = "deeper" if b"/" in name else "at the top"
                yield f"other files {where} in ~/.claude", "some"
        else:
            where = "deeper" if b"/" in name else "at the top"
            yield f"baseline files {where} in ~/.claude", "some"


def _codex(case: Case) -> dict[str, str]:
    place = case.env.get("CODEX_HOME") or f"{case.home_path}/.codex"
    found: dict[str, str] = {}
    found["auth.json"], value = _file(case, f"{place}/{_CODEX_FILE}")
    if isinstance(value, Members):
        names = [name for name in _CODEX_MEMBERS if name in value]
        found |= {name: _value(case, value[name]) for name in names}
        mode = value.get("auth_mode")
        if isinstance(mode, str):
            found["auth_mode"] = mode if mode in MODES else "one that nobody knows"
        tokens = value.get("tokens")
        found["tokens"] = _value(case, tokens)
        if isinstance(tokens, Members):
            found |= {name: _value(case, tokens[name]) for name in _TOKENS if name in tokens}
            found["id_token"] = id_token_words(tokens.get("id_token"))
    config = config_in(case, place)
    found["config.toml"] = config.state
    forced = {
        "another store": config.other_store,
        "a kind of login": bool(config.mode),
        "a workspace": bool(config.workspaces),
        "something else": config.elsewise or config.own_affair,
    }
    found |= {f"config.toml forces {name}": "yes" for name, is_so in forced.items() if is_so}
    return found


def _file(case: Case, path: str) -> tuple[str, Any]:
    """Return what the file at *path* is like, and what it says as JSON."""
    opened = case.reach.open(path)
    if opened.end != "there":
        return ENDS.get(opened.end, "not seen"), None
    document = read_document(opened.content)
    if document.kind != "json":
        return document.kind.replace("-", " "), None
    doubts = ", ".join(sorted(document.doubts))
    return f"JSON ({doubts})" if doubts else "JSON", document.value


def _value(case: Case, value: Any) -> str:
    """Return what a JSON value is like."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return _text(value)
        case float():
            soon = case.later or 60.0
            end = expiry_of(value, earliest=case.now, latest=case.now + soon)
            return {"past": "a time in the past", "future": "a time in the future"}.get(end, "now")
        case list():
            if "user:inference" in value:
                return "a list with user:inference"
            return "a list" if value else "an empty list"
        case _:
            return "an object" if value else "an empty object"


def _text(text: str) -> str:
    if not text.strip():
        return "blank" if text else "empty"
    return "a text" if text.isprintable() and " " not in text else "a text with blanks"
