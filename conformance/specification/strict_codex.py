"""The contract ``slot-strict``, step by step: the credentials of codex."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from collections.abc import Iterator
from typing import Any, Literal

from conformance.specification.case import Case
from conformance.specification.codex_config import Config, config_in
from conformance.specification.document import Document, Doubt, Members, read_document
from conformance.specification.login import is_header_text
from conformance.specification.reach import Opened
from conformance.specification.slot import ENDS, in_no_directory, unknown
from conformance.specification.steps import ANY, INVALID, MISSING, NOT_READY, OPEN, READY, Step
from conformance.specification.tokens import elsewhere_rules

__all__ = ["MODES", "codex_steps", "id_token_words"]

#: Keys that the CLI knows, the newer ones first; it refuses a file in which one stands twice.
_NEWER = ("agent_identity", "personal_access_token")
_ROOT = frozenset({"auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh", *_NEWER})
_TOKENS = frozenset({"id_token", "access_token", "refresh_token", "account_id"})
#: Modes that are known, and of which nothing is laid down.
_OTHER_MODES = ("chatgptAuthTokens", "agentIdentity", "personalAccessToken", "bedrockApiKey")
MODES = ("apikey", "chatgpt", *_OTHER_MODES)
#: What a text has that is not strict JSON to everybody.
_NOT_STRICT: frozenset[Doubt] = frozenset(
    {"byte-order-mark", "utf-16", "not-utf-8", "constant", "number", "control-character"}
)
#: Where the claims of an id_token name the account.
_CLAIMS, _ACCOUNT = "https://api.openai.com/auth", "chatgpt_account_id"
#: Times that every reader of RFC 3339 takes; and those that some take.
_PLAIN_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[-+]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_ANY_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)", re.ASCII
)


def codex_steps(case: Case) -> Iterator[Step]:
    """Yield the steps of a right probe from the credentials on."""
    named = case.env.get("CODEX_HOME")
    place = named or f"{case.home_path}/.codex"
    if named:
        found = case.reach.find(place)
        if found.end == "unknown":
            yield unknown("CODEX_HOME leads out of the HOME, to where nobody looked", ANY)
            return
        if found.node is None or found.node.kind != "directory":
            rules = ("codex-home-no-directory", "codex-missing")
            yield Step(rules=rules, verdicts=NOT_READY, why="CODEX_HOME names no directory")
            return
    config = config_in(case, place)
    if config.state == "unknown":
        yield unknown("config.toml was not read, or lies out of the HOME", ANY)
        return
    if config.other_store:
        why = "config.toml keeps logins elsewhere than in auth.json"
        yield Step(rules=("codex-other-store", "codex-usable"), verdicts=ANY, why=why)
        return
    if case.reach.may_enter(place):
        yield from _configuration(config)
    yield from _credentials(case, place, config)


def _configuration(config: Config) -> Iterator[Step]:
    """Yield what comes of a config.toml with which codex does not even start.

    A probe that counts that as a fault of the CLI says so before it looks at any login.
    """
    if config.state == "broken":
        rules, verdicts = ("configuration-broken",), (READY, "cli-broken")
        yield Step(rules=rules, verdicts=verdicts, why="config.toml is broken", optional=True)
    elif config.elsewise:
        why = "config.toml forces something by a value that is no text"
        yield Step(rules=("codex-forced-elsewise",), verdicts=ANY, why=why, optional=True)
    elif config.own_affair:
        yield unknown("what config.toml forces here is codex's own affair", ANY)


def _credentials(case: Case, place: str, config: Config) -> Iterator[Step]:
    """Yield what comes of auth.json in *place*, or of what may stand in for it."""
    opened = case.reach.open(f"{place}/auth.json")
    tokens = elsewhere_rules(case, place)
    if opened.end == "missing":
        why = f"auth.json: {ENDS[opened.end]}"
        if tokens:
            why, verdicts = f"{why}; a token lies in the environment", (READY, *MISSING)
            yield Step(rules=(*tokens, "codex-missing"), verdicts=verdicts, why=why)
        else:
            yield Step(rules=("codex-missing",), verdicts=MISSING, why=why)
        return
    for step in _file(case, place, config, opened):
        if tokens and READY not in step.verdicts:
            # The CLI may use the token; the rule about tokens only speaks of no file at all.
            yield unknown(f"{step.why}; a token lies elsewhere", (READY, *step.verdicts))
            return
        yield step


def _file(case: Case, place: str, config: Config, opened: Opened) -> Iterator[Step]:
    """Yield what comes of auth.json in *place*, which is there in some way."""
    match opened.end:
        case "unknown":
            yield unknown("auth.json was not read, or lies out of the HOME")
        case "there":
            document = read_document(opened.content)
            yield from _document(document)
            if isinstance(document.value, Members):
                # Which of the two a probe looks at first, no rule says.
                yield from _forced(config, document.value)
                yield from _login(document.value)
                if case.env.get("CODEX_HOME") is not None:
                    why = "CODEX_HOME says where auth.json lies, unless it is empty"
                    yield Step(rules=("codex-home",), verdicts=(READY,), why=why)
                yield Step(rules=("codex-usable",), verdicts=(READY,), why="a usable login")
        case end:
            why = f"auth.json: {ENDS[end]}"
            if in_no_directory(case, opened, place):
                yield unknown(why, (*MISSING, *INVALID))
                return
            yield Step(rules=("codex-cannot-open",), verdicts=INVALID, why=why)


def _document(document: Document) -> Iterator[Step]:
    """Yield what is wrong, or open, with the text of auth.json."""
    why = "auth.json is not strict JSON in UTF-8, or no object"
    if document.kind != "json" or document.doubts & _NOT_STRICT:
        yield Step(rules=("codex-not-strict",), verdicts=INVALID, why=why)
        return
    if doubts := document.doubts - {"twice"}:
        why = f"parsers differ about auth.json: {', '.join(sorted(doubts))}"
        rules = ("codex-parsers-differ", "codex-usable")
        yield Step(rules=rules, verdicts=OPEN, why=why)
    if "deep" not in document.doubts and not isinstance(document.value, Members):
        yield Step(rules=("codex-not-strict",), verdicts=INVALID, why=why)


def _login(auth: Members) -> Iterator[Step]:
    """Yield what is wrong, or open, with a login."""
    if any(auth.get(name) is not None for name in _NEWER):
        yield unknown("whether what newer releases keep in auth.json is good, no rule says", OPEN)
    tokens = auth.get("tokens")
    twice = auth.twice & _ROOT
    if isinstance(tokens, Members):
        twice |= tokens.twice & _TOKENS
    if twice:
        why = "a known key stands twice in auth.json"
        yield Step(rules=("codex-not-strict",), verdicts=INVALID, why=why)
    mode = _mode(auth)
    if mode not in MODES:
        why = "auth_mode is none that is known"
        yield Step(rules=("codex-mode",), verdicts=INVALID, why=why)
    elif mode in _OTHER_MODES:
        why = "what a login of this auth_mode needs is not laid down"
        yield Step(rules=("codex-other-mode",), verdicts=OPEN, why=why)
    elif mode == "apikey":
        yield from _api_key(auth)
    else:
        yield from _chatgpt(auth)


def _api_key(auth: Members) -> Iterator[Step]:
    """Yield what is wrong, or open, with a login with an API key."""
    key, tokens = auth.get("OPENAI_API_KEY"), auth.get("tokens")
    if not _is_filled(key):
        why = "OPENAI_API_KEY is no text of more than blanks"
        yield Step(rules=("codex-no-key",), verdicts=INVALID, why=why)
    elif not is_header_text(key):
        yield unknown("OPENAI_API_KEY has characters that no header can carry", OPEN)
    if tokens is not None and _tokens(tokens) != "good":
        yield unknown("beside the key stand tokens that are not complete", OPEN)
    if auth.get("last_refresh") is not None and _time(auth["last_refresh"]) != "good":
        yield unknown("beside the key stands a last_refresh that is no plain time", OPEN)


def _chatgpt(auth: Members) -> Iterator[Step]:
    """Yield what is wrong, or open, with a login with ChatGPT."""
    match _tokens(auth.get("tokens")):
        case "bad":
            why = "the tokens are not complete, or the id_token cannot be read"
            yield Step(rules=("codex-no-tokens",), verdicts=INVALID, why=why)
        case "open":
            yield unknown("readers differ about the tokens", OPEN)
    match _time(auth.get("last_refresh")):
        case "bad":
            why = "last_refresh is no date and time of RFC 3339"
            yield Step(rules=("codex-last-refresh",), verdicts=INVALID, why=why)
        case "open":
            yield unknown("readers of RFC 3339 differ about last_refresh", OPEN)
    if not isinstance(auth.get("OPENAI_API_KEY"), str | None):
        yield unknown("beside the tokens stands an OPENAI_API_KEY that is no text", OPEN)


def _mode(auth: Members) -> Any:
    """Return the mode of a login; something else than a text where that stands there."""
    if auth.get("auth_mode") is not None:
        return auth["auth_mode"]
    return "chatgpt" if auth.get("OPENAI_API_KEY") is None else "apikey"


def _is_filled(value: object) -> bool:
    """Return whether *value* is a text of more than blanks."""
    return isinstance(value, str) and bool(value.strip())


_Judgement = Literal["good", "bad", "open"]


def _tokens(tokens: object) -> _Judgement:
    """Return whether *tokens* are complete."""
    if not isinstance(tokens, Members):
        return "bad"
    if not all(_is_filled(tokens.get(name)) for name in ("access_token", "refresh_token")):
        return "bad"
    found, _ = _claims(tokens.get("id_token"))
    plain = isinstance(tokens.get("account_id"), str | None)
    if found == "good" and not (plain and is_header_text(tokens.get("access_token"))):
        return "open"
    return found


def _claims(token: object) -> tuple[_Judgement, Members]:
    """Return whether *token* is a JSON Web Token that can be read, and its claims."""
    none = Members([])
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != 3 or not re.fullmatch(r"[A-Za-z0-9_-]+", parts[1]):
        return "bad", none
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except binascii.Error:
        return "bad", none
    document = read_document(payload)
    if document.kind != "json" or document.doubts & _NOT_STRICT:
        return "bad", none
    canonical = base64.urlsafe_b64encode(payload).rstrip(b"=").decode() == parts[1]
    claims = document.value
    whole = all(parts)  # a token that nobody has signed ends in a full stop
    if document.doubts or not (canonical and whole and isinstance(claims, Members)):
        return "open", none
    plain = isinstance(claims.get("email"), str | None)
    plain = plain and isinstance(claims.get(_CLAIMS), Members | None)
    return "good" if plain else "open", claims


def id_token_words(token: object) -> str:
    """Return what an id_token is like."""
    found, _ = _claims(token)
    return {"good": "one that can be read", "bad": "none that can be read"}.get(found, "doubtful")


def _time(text: object) -> _Judgement:
    """Return whether *text* is a date and time of RFC 3339."""
    if not isinstance(text, str) or (match := _ANY_TIME.fullmatch(text)) is None:
        return "bad"
    try:
        datetime.date.fromisoformat(match[1])
    except ValueError:
        return "open" if match[1].startswith("0000") else "bad"
    return "good" if _PLAIN_TIME.fullmatch(text) else "open"


def _forced(config: Config, auth: Members) -> Iterator[Step]:
    """Yield what comes of config.toml, beside a login that could be used."""
    mode = _mode(auth)
    if config.elsewise or config.own_affair:
        return
    if (config.mode or config.workspaces) and mode in _OTHER_MODES:
        yield unknown("what config.toml forces here is codex's own affair", ANY)
    elif config.mode not in ("", mode):
        why = "config.toml forces a login of another kind"
        yield Step(rules=("codex-forced-login", "codex-usable"), verdicts=NOT_READY, why=why)
    elif config.workspaces:
        yield from _workspace(config, auth)


def _workspace(config: Config, auth: Members) -> Iterator[Step]:
    """Yield what comes of the workspaces that config.toml forces."""
    tokens = auth.get("tokens")
    if _mode(auth) != "chatgpt" or not isinstance(tokens, Members):
        yield unknown("config.toml forces a workspace for a login without one", ANY)
        return
    _, claims = _claims(tokens.get("id_token"))
    named = [tokens.get("account_id"), (claims.get(_CLAIMS) or {}).get(_ACCOUNT)]
    fitting = [name in config.workspaces for name in named]
    if not any(fitting):
        why = "config.toml forces another workspace"
        yield Step(rules=("codex-forced-workspace", "codex-usable"), verdicts=NOT_READY, why=why)
    elif not all(fitting):
        yield unknown("of the two accounts in auth.json, one fits what is forced", ANY)
