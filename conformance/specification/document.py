"""What the bytes of a JSON file say, and everything about them that JSON parsers differ in."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import lru_cache
from typing import Any, Literal

from msgspec import Struct

__all__ = ["LEVELS", "Doubt", "Members", "read_document"]

#: Why one parser takes a text and another refuses it.
Doubt = Literal[
    "byte-order-mark",
    "utf-16",
    "not-utf-8",
    "constant",
    "number",
    "control-character",
    "twice",
    "surrogate",
    "deep",
    "long-number",
]

#: So many levels of nesting every parser was seen to read, or the CLIs do.
LEVELS = 256

_STRING = r'"(?:[^"\\]++|\\.)*+"'
_TOKEN = re.compile(rf"{_STRING}|[\[\]{{}}]", re.DOTALL)
#: What stands outside of strings like a number, or a word for one, that RFC 8259 does not have.
_NUMBER = re.compile(
    rf"({_STRING})|[+-]?(?:nan|inf(?:inity)?)\b|[+-]?[0-9.][0-9.eE+-]*", re.DOTALL | re.IGNORECASE
)
_ESCAPE = re.compile(r"\\u[dD]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Members(dict[str, Any]):
    """A JSON object that remembers which of its names stood there twice."""

    twice: frozenset[str]

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice = frozenset()
        if len(self) < len(pairs):
            times = Counter(name for name, _ in pairs)
            self.twice = frozenset(name for name, number in times.items() if number > 1)


class Document(Struct, frozen=True, kw_only=True):
    """What a file says."""

    kind: Literal["json", "not-json", "not-text"]
    """Whether any parser takes it; ``not-text``: it is none in UTF-8, UTF-16 or UTF-32."""
    value: Any = None
    """Objects are :class:`Members`, and numbers floats; None where it is nested too deeply."""
    doubts: frozenset[Doubt] = frozenset()
    """Why other parsers do not take it; empty where it is strict JSON that all of them read."""


@lru_cache(maxsize=16)  # several steps read the same file, some of which are large
def read_document(data: bytes) -> Document:
    """Return what *data* says; nobody may change it."""
    doubts: set[Doubt] = set()
    text = _text(data, doubts)
    if text is None:
        return Document(kind="not-text")
    if _is_deep(text):
        return Document(kind="json", doubts=frozenset({*doubts, "deep"}))
    try:
        value = _parsed(text, doubts)
    except ValueError:
        try:  # a number, or a word for one, that some parsers take
            value = _parsed(_NUMBER.sub(lambda match: match[1] or "0", text), doubts)
        except ValueError:
            return Document(kind="not-text" if "not-utf-8" in doubts else "not-json")
        doubts.add("number")
    # Nothing but an escape makes one: no encoding has them.
    if _ESCAPE.search(text) and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        doubts.add("surrogate")
    return Document(kind="json", value=value, doubts=frozenset(doubts))


def _text(data: bytes, doubts: set[Doubt]) -> str | None:
    """Return *data* as text; None if it is none."""
    encoding = json.detect_encoding(data)
    if encoding == "utf-8-sig":
        doubts.add("byte-order-mark")
    elif encoding != "utf-8":
        doubts.add("utf-16")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        if encoding not in ("utf-8", "utf-8-sig"):
            return None
    doubts.add("not-utf-8")  # some readers put a replacement character there
    return data.decode(encoding, "replace")


def _is_deep(text: str) -> bool:
    """Return whether the brackets in *text* are nested deeper than :data:`LEVELS`."""
    if text.count("[") + text.count("{") <= LEVELS:
        return False
    level = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            level += 1
            if level > LEVELS:
                return True
        elif token[0] in "]}":
            level -= 1
    return False


def _parsed(text: str, doubts: set[Doubt]) -> Any:
    """Return the value in *text*, and add to *doubts* what parsers differ in.

    :raises ValueError: it is not JSON, even to a parser that overlooks something.
    """

    def constant(word: str) -> float:
        doubts.add("constant")
        return float(word)

    def number(digits: str) -> float:
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            doubts.add("long-number")
        return value

    def members(pairs: list[tuple[str, Any]]) -> Members:
        found = Members(pairs)
        if found.twice:
            doubts.add("twice")
        return found

    def decoder(*, strict: bool) -> json.JSONDecoder:
        return json.JSONDecoder(
            strict=strict,
            parse_int=number,
            parse_float=number,
            parse_constant=constant,
            object_pairs_hook=members,
        )

    try:
        return decoder(strict=True).decode(text)
    except ValueError:
        value = decoder(strict=False).decode(text)
        doubts.add("control-character")
        return value
