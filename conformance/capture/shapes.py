"""Texts and numbers of the same shape, in which no letter and no digit is left."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from conformance.capture.tokens import Token, units

__all__ = ["DIGIT", "FILLER", "Piece", "filled", "like_number", "literal", "string_like"]

#: What each letter and each digit of a text becomes.
FILLER, DIGIT = "x", "1"
#: A letter that is not ASCII, and a byte that is no UTF-8.
_LETTER, _BYTE = "\u00e9", "{byte:e9}"
#: Characters that a parser or a header treats in a way of their own; blanks are more of them.
_SPECIAL = "\0\t\n\r\x7f\ufeff"
_RUN = re.compile("[ -~]+|[^ -~]")


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
        elif raw[:2] in ("0x", "0o", "0b") and place > 1 and character != "_":
            made.append(DIGIT)
        else:
            made.append(character)
    return "".join(made)


def filled(body: str, *, escapes: bool = False, numeric: bool = False) -> Iterator[Piece]:
    """Yield what stands in the place of *body*, character for character.

    Of the blanks inside of it the first stays: a text of two words is no token. With *escapes*,
    those of JSON are one character each; with *numeric*, digits stay digits.
    """
    inner = body.strip(" ")
    before = len(body) - len(body.lstrip(" "))
    yield literal(" " * before)
    one_word = True
    for raw, meant in units(inner) if escapes else ((run, run) for run in _RUN.findall(inner)):
        if escapes and raw[0] == "\\":
            yield literal(_escape(raw, meant))
        elif not (raw.isascii() and raw.isprintable()):
            yield _character(raw)
        else:
            start, blank, rest = raw.partition(" ") if one_word else (raw, "", "")
            one_word = one_word and not blank
            yield literal(
                _letters(start, numeric=numeric) + blank + _letters(rest, numeric=numeric)
            )
    yield literal(" " * (len(body) - before - len(inner)))


def _letters(run: str, *, numeric: bool) -> str:
    return re.sub("[^1]", FILLER, re.sub("[0-9]", DIGIT, run)) if numeric else FILLER * len(run)


def _escape(raw: str, meant: str) -> str:
    """Return an escape of the same kind: one that there is not is a fault, and stays one."""
    if raw[1:] in ("", *'"\\/bfnrt') or raw[1:].isspace():
        return raw
    if len(raw) not in (6, 10):
        return "\\u" if raw.startswith("\\u") else "\\q"
    if meant == "\ufffd" and len(raw) == 10:  # beyond the last character
        return "\\U"
    if "\ud800" <= meant <= "\udfff":
        return "\\ud800" if meant < "\udc00" else "\\udc00"
    if meant in _SPECIAL or meant.isspace():
        made = meant
    else:
        made = FILLER if meant.isascii() and meant.isprintable() else _LETTER
    return f"{raw[:2]}{ord(made):0{len(raw) - 2}x}"


def _character(character: str) -> Piece:
    """Return what stands in the place of a *character* that is not plain ASCII."""
    if "\ud800" <= character <= "\udfff":  # a byte that is no UTF-8, or half of a pair in UTF-16
        return Piece(text=_BYTE, plain="\udc00")
    if character in _SPECIAL or character.isspace():
        return literal(character)
    return literal("\1" if character.isascii() else _LETTER)
