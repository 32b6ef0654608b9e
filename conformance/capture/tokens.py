"""Take JSON or TOML apart, however broken it is: the parts together are the text again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

__all__ = ["Token", "tokens", "units"]

Kind = Literal["blank", "mark", "key", "string", "bare", "comment"]

_STRING = r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_COMMENT = r"/\*.*?(?:\*/|\Z)|//[^\n]*"
_JSON = re.compile(
    rf"(?P<blank>[ \t\r\n\ufeff]+)|(?P<comment>{_COMMENT}|\#[^\n]*)"
    rf"|(?P<string>{_STRING}|'[^'\n]*'?)"
    r"""|(?P<mark>\[{64,}|\]{64,}|[{}\[\]:,=])|(?P<bare>[^\s{}\[\]:,="'/#\ufeff]+|.)""",
    re.DOTALL,
)
_TOML = re.compile(
    r"(?P<blank>[ \t\r\n\ufeff]+)|(?P<comment>\#[^\n]*)"
    r'|(?P<string>"""(?:[^\\]|\\.)*?(?:"""|\\?\Z)'
    r"|'''.*?(?:'''|\Z)"
    r'|"(?:[^"\\\n]++|\\.)*+(?:"|\\?(?=\n|\Z))'
    r"|'[^'\n]*'?)"
    r"|(?P<mark>[{}\[\]:,=.])"
    # A number or a time is one, with all its dots and colons.
    r"|(?P<bare>(?:[0-9]{4}-[0-9]{2}-[0-9]{2} )?[-+]?[0-9][\w.:+-]*"
    r"""|[^\s{}\[\]:,=."'\#\ufeff]+|.)""",
    re.DOTALL,
)
_UNIT = re.compile(
    r"[ -\[\]-~]+|\\u[0-9a-fA-F]{4}|\\U00[0-9a-fA-F]{6}|\\u[0-9a-fA-F]{0,3}|\\.|\\|[^\\]",
    re.DOTALL,
)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_PAIR = re.compile("([\ud800-\udbff])([\udc00-\udfff])")


class Token(Struct, frozen=True, kw_only=True):
    """A part of a text."""

    kind: Kind
    raw: str
    """As it stands there."""
    text: str = ""
    """Of a key or a string: what it says."""
    member: str = ""
    """Of a value: the nearest member that holds it."""
    quote: str = ""
    """What a string begins with."""
    closed: bool = True
    """Whether a string ends with that again."""


def tokens(text: str, *, toml: bool = False) -> Iterator[Token]:
    """Yield the parts of *text*; nothing is left out, and nothing is an error."""
    pattern = _TOML if toml else _JSON
    found = [(match.lastgroup or "bare", match[0]) for match in pattern.finditer(text)]
    followers = [""]
    for kind, raw in reversed(found[1:]):
        followers.append(raw if kind != "blank" else followers[-1])
    reader = _Reader(toml=toml)
    for (kind, raw), follows in zip(found, reversed(followers), strict=bool(found)):
        yield reader.token(kind, raw, follows)


class _Reader:
    """Knows in which member a value stands, as far as that can be told."""

    def __init__(self, *, toml: bool) -> None:
        self._toml = toml
        self._holders: list[tuple[str, str]] = []  # brackets that are open, each with its member
        self._member = ""
        self._in_value = False

    def token(self, kind: str, raw: str, follows: str) -> Token:
        if kind == "mark":
            self._mark(raw)
        elif kind == "blank" and "\n" in raw and not self._holders:
            self._in_value = False
        if kind == "string":
            return self._string(raw, follows)
        if kind == "bare" and self._toml and self._is_key(follows):
            self._member = raw
            return Token(kind="key", raw=raw, text=raw)
        plain: dict[str, Kind] = {"mark": "mark", "blank": "blank", "comment": "comment"}
        return Token(kind=plain.get(kind, "bare"), raw=raw, member=self._member)

    def _is_key(self, follows: str) -> bool:
        return follows == "=" or not self._in_value if self._toml else follows == ":"

    def _mark(self, raw: str) -> None:
        if raw == "=":
            self._in_value = True
        elif raw[0] in "{[" and (self._in_value or not self._toml):
            self._holders += [(raw[0], self._member)] * len(raw)
            self._in_value = raw[0] == "["
        elif raw[0] in "}]" and self._holders:
            self._member = self._holders[-len(raw) :][0][1]
            del self._holders[-len(raw) :]
            self._in_value = True
        elif raw == "," and self._holders and self._holders[-1][0] == "{":
            self._in_value = False

    def _string(self, raw: str, follows: str) -> Token:
        quote = raw[:3] if self._toml and raw[:3] in ('"""', "'''") else raw[0]
        closed = len(raw) >= 2 * len(quote) and raw.endswith(quote) and not _escaped(raw, quote)
        body = raw[len(quote) : -len(quote)] if closed else raw[len(quote) :]
        text = _said(body) if quote[0] == '"' else body
        is_key = self._is_key(follows)
        if is_key:
            self._member = text
        return Token(
            kind="key" if is_key else "string",
            raw=raw,
            text=text,
            member="" if is_key else self._member,
            quote=quote,
            closed=closed,
        )


def _escaped(raw: str, quote: str) -> bool:
    """Return whether the last quote of a string is a part of what it says."""
    if quote[0] == "'":
        return False
    body = raw[: -len(quote)]
    return (len(body) - len(body.rstrip("\\"))) % 2 == 1


def units(body: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a string, each as it is written, and what it stands for.

    They are escapes, runs of plain ASCII, and single characters.
    """
    for match in _UNIT.finditer(body):
        raw = match[0]
        if raw[0] == "\\" and len(raw) in (6, 10):
            code = int(raw[2:], 16)  # noqa: FURB166 - what it begins with is no prefix of int
            yield raw, chr(code if code < 0x110000 else 0xFFFD)
        elif len(raw) == 2 and raw[0] == "\\":
            yield raw, _ESCAPES.get(raw[1], raw[1])
        else:
            yield raw, raw


def _said(body: str) -> str:
    if "\\" not in body:
        return body
    said = "".join(meant for _, meant in units(body))
    return _PAIR.sub(
        lambda m: (m[1] + m[2]).encode("utf-16", "surrogatepass").decode("utf-16"), said
    )
