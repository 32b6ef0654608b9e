"""The words in braces that scenario files use for what is only known when a run starts.

===================  ==========================================================================
``{now+8h}``         a time relative to the fixed start of the run: epoch milliseconds;
                     units ``ms``, ``s``, ``m``, ``h``, ``d``
``{now-1h:s}``       the same as epoch seconds; ``:rfc3339`` as text; ``:jwt`` as a JSON Web Token
                     with that ``exp`` and the claims of a ChatGPT account; ``:rfc3339.9`` as
                     text with a fraction of nine digits
``{secret}``         a credential value, unique to the run and the scenario, which looks like an
                     access token of claude
``{secret:NAME}``    another one; how it begins depends on how NAME begins, see :data:`KINDS`
``{home}``           the absolute path of the HOME
``{manager}``        the URL of the scripted Manager, in the scenarios of a login
``{byte:ff}``        one byte from 80 to ff, for names that are not UTF-8
``{n}``              the number of the entry where ``count`` repeats it, from 1
``{null}``           JSON null, which TOML does not have
``{limit:0.3}``      in a stub only: so much of the time that a CLI has, in seconds
``{asked}``          in a stub only: the file that keeps what it was asked, quoted for a shell
===================  ==========================================================================

A JSON string that consists of one placeholder takes its type: a number for ``ms`` and ``s``,
``null`` for ``{null}``. Braces around anything but a single lower-case word are plain text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

__all__ = [
    "ACCOUNT_ID",
    "KINDS",
    "PREFIXES",
    "Context",
    "check",
    "expand",
    "expand_bytes",
    "expand_json",
]

#: What a secret begins with, by the first words of its name: ``{secret:openai-key-old}`` begins
#: as ``{secret:openai-key}`` does. A name that begins with none of these looks as ``{secret}``.
KINDS = {
    "": "sk-ant-oat01-",
    "refresh": "sk-ant-ort01-",
    "anthropic-key": "sk-ant-api03-",
    "openai-key": "sk-proj-",
    "codex-refresh": "rt_",
    "github-token": "ghp_",
    # What an operator types, and what lets a program speak to the Manager: neither has a form.
    "operator-code": "",
    "init-token": "",
    # The signature of a JSON Web Token, which begins with anything.
    "jwt": "",
}
#: Beginnings that everybody knows: whoever prints one of them has shown nothing.
PREFIXES = tuple(prefix for prefix in KINDS.values() if prefix)
#: The ChatGPT account of every login with ChatGPT; made up.
ACCOUNT_ID = "8f2b6c1e-4d3a-4b7f-9a51-6e0c2d7f1b94"

_WORD = re.compile(r"\{([a-z]+)((?:[-+:][^{}\s\"]*)?)\}")
_NOW = re.compile(r"(?:([+-])([0-9]{1,9})(ms|s|m|h|d))?(?::(ms|s|rfc3339(?:\.[1-9])?|jwt))?")
#: Placeholders in the text of a stub.
_STUB_ONLY = re.compile(r"asked|limit:[0-9]{1,2}(\.[0-9]{1,3})?")
#: The farthest a time may be from now, in seconds: a thousand years, which RFC 3339 can write.
_FAR = 1000 * 365 * 86400
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_KNOWN = (
    "{now}, {now+8h}, {now-30m:s}, {now+1h:rfc3339}, {now+1h:jwt}, "
    "{secret}, {secret:name}, {home}, {manager}, {byte:ff}, {n}, {null}"
)


class Context(Struct, frozen=True, kw_only=True):
    """What is fixed once per run, and the path of one home: enough to build that home again."""

    now: float
    """Start of the run, in epoch seconds."""
    seed: str
    """What makes the secrets of this run differ from those of any other."""
    scenario: str = ""
    home: str = ""
    cli_seconds: float = 10.0
    """The time that a CLI has, in seconds."""
    manager: str = "http://127.0.0.1:9"
    """The URL of the scripted Manager; where there is none, one at which nobody answers."""
    asked: str = "/dev/null"
    """The file to which stubs append what they were asked, other than for their version."""

    def secret(self, label: str = "") -> str:
        """Return the canary called *label*; it is made here, so that no file holds one."""
        digest = hashlib.sha512("\0".join((self.seed, self.scenario, label)).encode()).digest()
        text = re.sub("[^A-Za-z0-9]", "", base64.b64encode(digest).decode())
        return KINDS[_kind(label)] + text[:64]


def _kind(label: str) -> str:
    """Return the longest key of :data:`KINDS` whose words *label* begins with."""
    fitting = [kind for kind in KINDS if kind and f"{label}-".startswith(f"{kind}-")]
    return max(fitting, key=len, default="")


def check(text: str, *, stub: bool = False) -> str:
    """Return what is wrong with the placeholders in *text*, or an empty string.

    The text of a *stub* may have some that no file of a HOME may have.
    """
    for name, argument in _WORD.findall(text):
        if stub and _STUB_ONLY.fullmatch(name + argument):
            continue
        if not _valid(name, argument):
            wrong = f"unknown placeholder {{{name}{argument}}}"
            return f"{wrong}; known: {_KNOWN}; write other text in braces as hex"
    return ""


def _valid(name: str, argument: str) -> bool:
    if name == "now":
        match = _NOW.fullmatch(argument)
        return match is not None and int(match[2] or 0) * _SECONDS[match[3] or "s"] <= _FAR
    if name == "secret":
        return re.fullmatch(r"(:[a-z0-9-]+)?", argument) is not None
    if name == "byte":
        return re.fullmatch(r":[89a-f][0-9a-f]", argument) is not None
    return name in ("home", "manager", "n", "null") and not argument


def expand(text: str, context: Context, *, n: int = 1) -> str:
    """Return *text* with its placeholders replaced; bytes that are not UTF-8 as lone surrogates."""
    if "{" not in text:
        return text
    return _WORD.sub(lambda m: _text(_value(m[1], m[2], context, n)), text)


def expand_bytes(text: str, context: Context, *, n: int = 1) -> bytes:
    """Return *text* expanded, as the bytes of a file or a path."""
    return expand(text, context, n=n).encode("utf-8", "surrogateescape")


def expand_json(value: Any, context: Context, *, n: int = 1) -> Any:
    """Return a JSON value with the placeholders in all its strings replaced."""
    if isinstance(value, dict):
        return {key: expand_json(inner, context, n=n) for key, inner in value.items()}
    if isinstance(value, list):
        return [expand_json(inner, context, n=n) for inner in value]
    if not isinstance(value, str):
        return value
    if whole := _WORD.fullmatch(value):
        return _value(whole[1], whole[2], context, n)
    return expand(value, context, n=n)


def _text(value: Any) -> str:
    return "null" if value is None else str(value)


def _value(name: str, argument: str, context: Context, n: int) -> Any:
    match name:
        case "now":
            return _now(argument, context)
        case "secret":
            return context.secret(argument[1:])
        case "home":
            return context.home
        case "manager":
            return context.manager
        case "byte":
            return bytes.fromhex(argument[1:]).decode("utf-8", "surrogateescape")
        case "n":
            return n
        case "null":
            return None
        case "limit":
            return f"{float(argument[1:]) * context.cli_seconds:g}"
        case "asked":
            return shlex.quote(context.asked)
    raise AssertionError(name)  # reading the file has refused any other


def _now(argument: str, context: Context) -> Any:
    match = _NOW.fullmatch(argument)
    assert match is not None, argument  # reading the file has checked it
    sign, amount, unit, form = match.groups()
    shift = int(amount) * _SECONDS[unit] if amount else 0
    at = context.now + (-shift if sign == "-" else shift)
    if form == "s":
        return int(at)
    if form and form.startswith("rfc3339"):
        _, point, digits = form.partition(".")
        text = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        return text.replace("+00:00", point + "0" * int(digits or 0) + "Z")
    if form == "jwt":
        return _jwt(int(at), int(min(at, context.now)) - 3600, context.secret("jwt"))
    return int(at * 1000)


def _jwt(exp: int, iat: int, secret: str) -> str:
    """Return a JSON Web Token (RFC 7519) that ends in the canary *secret*.

    It has the claims that codex reads. Nobody has signed it.
    """
    header = {"alg": "RS256", "kid": "made-up", "typ": "JWT"}
    user = "user-made-up"
    claims = {
        "iss": "https://auth.openai.com",
        "aud": ["https://api.openai.com/v1"],
        "sub": "auth0|made-up",
        "iat": iat,
        "exp": exp,
        "email": "someone@example.com",
        "email_verified": True,
        "https://api.openai.com/auth": {
            "chatgpt_account_id": ACCOUNT_ID,
            "chatgpt_plan_type": "pro",
            "chatgpt_user_id": user,
            "user_id": user,
        },
    }
    encoded = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header, claims)
    ]
    return ".".join([*encoded, secret])
