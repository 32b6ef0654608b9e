"""Texts and numbers of the same shape, in which no letter and no digit is left."""

from __future__ import annotations

import string
from collections.abc import Iterator

from msgspec import Struct

from conformance.capture.tokens import Token, units

__all__ = ["DIGIT", "FILLER", "Piece", "filled", "like_number", "literal", "string_like"]

#: What each letter and each digit of a text becomes.
FILLER, DIGIT = "x", "1"
#: A letter that is not ASCII, and a byte that is no UTF-8.
_LETTER, _BYTE = "\u00e9", "{byte:e9}"
#: Control characters that a parser or a header treats in a way of their own.
_CONTROLS = "\0\t\n\r"


class Piece(Struct, frozen=True, kw_only=True):
    """A part of what is written in the place of a value."""

    text: str
    """With placeholders."""
    plain: str | None = None
    """The same without placeholders, if they differ: where none can stand."""
    bare: bool = False
    """Whether it is a placeholder that stands for a value that is no string."""


def literal(text: str) -> Piece:
    """Return a piece without a placeholder."""
    return Piece(text=text)


def string_like(token: Token) -> Iterator[Piece]:
    """Yield a string of the same length, quotes included."""
    size = len(token.quote)
    body = token.raw[size : -size if token.closed else None]
    yield literal(token.quote)
    yield from filled(body, escapes=token.quote[0] == '"')
    yield literal(token.quote if token.closed else "")


def like_number(raw: str) -> str:
    """Return *raw* with each digit replaced, but for a zero that counts, and each letter kept."""
    made = []
    started = False
    for place, character in enumerate(raw):
        if character in "123456789":
            made.append(DIGIT)
            started = True
        elif character == "0":
            # The zeros before the first other digit say how the number is written.
            made.append(DIGIT if started else "0")
        elif raw[:2] == "0x" and place > 1 and character != "_":
            made.append(DIGIT)
        else:
            made.append(character)
    return "".join(made)


def filled(body: str, *, escapes: bool = False, numeric: bool = False) -> Iterator[Piece]:
    """Yield what stands in the place of *body*, character for character.

    With *escapes*, those of JSON are one character each; with *numeric*, digits stay digits.
    """
    first = len(body) - len(body.lstrip(" "))
    last = len(body.rstrip(" "))
    place = 0
    for raw, meant in units(body) if escapes else zip(body, body, strict=True):
        if place < first or place >= last:
            yield literal(" ")
        elif raw == meant:
            yield literal(DIGIT) if numeric and raw in string.digits else _character(raw)
        elif meant in _CONTROLS or "\ud800" <= meant <= "\udfff":
            yield literal(raw if len(raw) == 2 else _surrogate(meant))
        else:
            yield literal(_escape(raw, meant))
        place += len(raw)


def _escape(raw: str, meant: str) -> str:
    """Return an escape of the same kind: one that there is not is a fault, and stays one."""
    if len(raw) in (6, 10):
        made = FILLER if meant.isascii() and meant.isprintable() else _LETTER
        return f"{raw[:2]}{ord(made):0{len(raw) - 2}x}"
    if raw in ('\\"', "\\\\", "\\/", "\\b", "\\f"):
        return raw
    if raw.startswith(("\\u", "\\U")):
        return raw[:2]
    return "\\q"


def _surrogate(meant: str) -> str:
    if meant in _CONTROLS:
        return f"\\u{ord(meant):04x}"
    return "\\ud800" if meant < "\udc00" else "\\udc00"


def _character(character: str) -> Piece:
    if "\udc80" <= character <= "\udcff":  # a byte that is no UTF-8
        return Piece(text=_BYTE, plain="\udce9")
    if character in _CONTROLS or character == "\ufeff":
        return literal(character)
    if not character.isascii():
        return literal(_LETTER)
    if not character.isprintable():
        return literal("\1")
    return literal(FILLER)
