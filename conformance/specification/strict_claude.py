"""The contract ``slot-strict``, step by step: the credentials of claude."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from conformance.specification.case import Case
from conformance.specification.document import Doubt, Members, read_document
from conformance.specification.expiry import expiry_of
from conformance.specification.login import is_header_text, is_text, odd_members
from conformance.specification.reach import Opened
from conformance.specification.slot import ENDS, in_no_directory, unknown
from conformance.specification.steps import ANY, INVALID, MISSING, NOT_READY, OPEN, READY, Step
from conformance.specification.tokens import elsewhere_rules, has_no_account, object_in

__all__ = ["claude_steps"]

#: What a session with the model takes.
_SCOPE = "user:inference"
#: What claude calls its file of credentials.
_FILE = ".credentials.json"
#: Words with which CLAUDE_CODE_SIMPLE surely says yes.
_YES = ("1", "true")
#: Switches to a cloud, which the CLI then takes for its login.
_CLOUDS = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
#: An end so near is left open, in seconds: some programs renew a login ahead of time.
_SOON = 300.0
#: What makes a text no strict JSON to everybody.
_NOT_STRICT: frozenset[Doubt] = frozenset(
    {"byte-order-mark", "utf-16", "constant", "number", "control-character"}
)
#: What the rule about parsers speaks of.
_WRITTEN: frozenset[Doubt] = frozenset({"not-utf-8", "twice", "deep"})


def claude_steps(case: Case) -> Iterator[Step]:
    """Yield the steps of a right probe from the credentials on."""
    place = case.env.get("CLAUDE_CONFIG_DIR") or f"{case.home_path}/.claude"
    elsewhere = elsewhere_rules(case, place)
    tokens = tuple(rule for rule in elsewhere if rule != "key-elsewhere")
    yield from _told_not_to(case, place, tokens)
    yield from _configuration(case, place)
    opened = case.reach.open(f"{place}/{_FILE}")
    if opened.end == "missing":
        why = f"{_FILE}: {ENDS[opened.end]}"
        if tokens:
            why, verdicts = f"{why}; a token lies elsewhere", (READY, *MISSING)
            yield Step(rules=(*tokens, "claude-missing"), verdicts=verdicts, why=why)
        else:
            yield Step(rules=(*elsewhere, "claude-missing"), verdicts=MISSING, why=why)
        return
    for step in _file(case, place, opened):
        if tokens and READY not in step.verdicts:
            # The CLI would use the token; the rule about tokens only speaks of no file at all.
            yield unknown(f"{step.why}; a token lies elsewhere", (READY, *step.verdicts))
            return
        yield step


def _told_not_to(case: Case, place: str, tokens: tuple[str, ...]) -> Iterator[Step]:
    """Yield what comes of CLAUDE_CODE_SIMPLE."""
    said = case.env.get("CLAUDE_CODE_SIMPLE")
    block = object_in(case, f"{place}/settings.json").get("env")
    if said in _YES and not tokens:
        why = "CLAUDE_CODE_SIMPLE tells the CLI not to use its login"
        yield Step(rules=("claude-told-not-to",), verdicts=NOT_READY, why=why, optional=True)
    elif said is not None or (isinstance(block, dict) and "CLAUDE_CODE_SIMPLE" in block):
        why = "whether this CLAUDE_CODE_SIMPLE tells the CLI anything is its own affair"
        yield unknown(why, ANY)


def _configuration(case: Case, place: str) -> Iterator[Step]:
    """Yield what comes of configuration files that are broken.

    A probe that counts them as a fault of the CLI says so before it looks at any login.
    """
    for directory in {case.home_path, place}:
        opened = case.reach.open(f"{directory}/.claude.json")
        if opened.end == "missing" or not case.reach.may_enter(directory):
            continue
        document = read_document(opened.content)
        good = document.kind == "json" and not document.doubts
        if opened.end != "there" or not good or not isinstance(document.value, Members):
            rules, verdicts = ("configuration-broken",), (READY, "cli-broken")
            yield Step(rules=rules, verdicts=verdicts, why=".claude.json is broken", optional=True)
    settings = case.reach.open(f"{place}/settings.json").end
    if settings not in ("missing", "there") and case.reach.may_enter(place):
        yield unknown("settings.json cannot be read", (READY, "cli-broken"))


def _file(case: Case, place: str, opened: Opened) -> Iterator[Step]:
    """Yield what comes of the file of credentials in *place*, which is there in some way."""
    match opened.end:
        case "there":
            yield from _document(case, place, opened)
        case "unknown":
            yield unknown(f"{_FILE} was not read, or lies out of the HOME")
        case end:
            no_directory = in_no_directory(case, opened, place)
            rule = "claude-no-directory" if no_directory else "claude-cannot-open"
            verdicts = (*MISSING, *INVALID) if no_directory else INVALID
            rules = (rule, "claude-missing") if no_directory else (rule,)
            yield Step(rules=rules, verdicts=verdicts, why=f"{_FILE}: {ENDS[end]}")


def _document(case: Case, place: str, opened: Opened) -> Iterator[Step]:
    """Yield what comes of what the file says."""
    document = read_document(opened.content)
    if document.kind != "json" or document.doubts & _NOT_STRICT:
        why = f"{_FILE} is not strict JSON in UTF-8"
        yield Step(rules=("claude-not-json",), verdicts=INVALID, why=why)
        return
    if document.doubts:
        why = f"parsers differ about {_FILE}: {', '.join(sorted(document.doubts))}"
        known = document.doubts <= _WRITTEN
        rules = ("claude-parsers-differ", "claude-usable") if known else ()
        yield Step(rules=rules, verdicts=OPEN, why=why)
        if document.doubts & {"deep", "twice"}:
            return  # what it says depends on who reads it
    if not isinstance(document.value, Members):
        why = f"{_FILE} holds no JSON object"
        yield Step(rules=("claude-not-json",), verdicts=INVALID, why=why)
        return
    login = document.value.get("claudeAiOauth")
    if not isinstance(login, Members):
        why = f"{_FILE} has no claudeAiOauth object"
        yield Step(rules=("claude-no-oauth",), verdicts=INVALID, why=why)
        return
    yield from _token(login)
    yield from _scopes(login.get("scopes"))
    if any(case.env.get(name) for name in _CLOUDS):
        yield unknown("whether a login counts where a cloud is switched on, no rule says", ANY)
    if has_no_account(case):
        rules = ("claude-no-account", "claude-usable")
        yield Step(rules=rules, verdicts=(READY,), why="no account stands in ~/.claude.json")
    if "CLAUDE_CONFIG_DIR" in case.env:
        why = "CLAUDE_CONFIG_DIR says where the credentials lie, unless it is empty"
        yield Step(rules=("claude-config-dir",), verdicts=(READY,), why=why)
    yield _end(case, login)


def _token(login: Members) -> Iterator[Step]:
    token = login.get("accessToken")
    if not is_text(token):
        why = "claudeAiOauth has no accessToken that is a text"
        yield Step(rules=("claude-no-token",), verdicts=INVALID, why=why)
    elif not is_header_text(token):
        why = "the accessToken has characters that no header can carry"
        yield Step(rules=("claude-token-characters",), verdicts=OPEN, why=why)
    if odd := odd_members(login):
        yield unknown(f"members of other types than the CLI writes: {', '.join(odd)}", OPEN)


def _scopes(scopes: Any) -> Iterator[Step]:
    if isinstance(scopes, str):
        why = "the scopes are one text"
        yield Step(rules=("claude-scope-text",), verdicts=OPEN, why=why)
    elif not isinstance(scopes, list) or _SCOPE not in scopes:
        why = f"the scopes are no list with {_SCOPE}"
        yield Step(rules=("claude-no-scope",), verdicts=INVALID, why=why)


def _end(case: Case, login: Members) -> Step:
    """Return what comes of the ends of the two tokens."""
    earliest, latest = case.now - _SOON, case.now + case.later + _SOON
    expiry = expiry_of(login.get("expiresAt"), earliest=earliest, latest=latest)
    refresh = _refresh(case, login)
    match expiry, refresh:
        case "no-number", _:
            rule, verdicts, why = "claude-expiry-type", OPEN, "expiresAt is no number"
        case "past", "usable":
            rule, verdicts, why = "claude-refreshable", (READY,), "expired; it can be renewed"
        case "past", "unusable":
            rule, verdicts, why = "claude-expired", INVALID, "expired; it cannot be renewed"
        case "past", _:
            return unknown("expired; whether it can be renewed is open", OPEN)
        case "about", "usable":
            rule, verdicts, why = "claude-usable", (READY,), "about to expire; it can be renewed"
        case "about", _:
            rule, verdicts, why = "claude-about-to-expire", OPEN, "it is about to expire"
        case _, "unusable":
            rules = ("claude-no-refresh-token", "claude-usable")
            return Step(rules=rules, verdicts=(READY,), why="not expired; it cannot be renewed")
        case _:
            rule, verdicts, why = "claude-usable", (READY,), "a usable login that has not expired"
    return Step(rules=(rule,), verdicts=verdicts, why=why)


def _refresh(case: Case, login: Members) -> Literal["usable", "unusable", "open"]:
    """Return whether *login* could be renewed."""
    if not is_text(login.get("refreshToken")):
        return "unusable"
    if "refreshTokenExpiresAt" not in login:
        return "usable"
    end = login["refreshTokenExpiresAt"]
    match expiry_of(end, earliest=case.now, latest=case.now + case.later):
        case "future":
            return "usable"
        case "past":
            return "unusable"
        case _:  # also null, of which the rule does not speak
            return "open"
