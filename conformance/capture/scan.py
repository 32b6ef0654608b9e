"""Look through what is about to be written for anything of what was in the home.

This does not trust whatever made it. Words that everybody knows, placeholders and fillers are
explained. A text that holds anything else is searched for every value of the home, in all the ways
in which a credential could be written.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from itertools import chain
from typing import Any

from conformance.capture.contents import encoding_of
from conformance.capture.known import Known
from conformance.capture.links import OUTSIDE
from conformance.capture.names import ENDINGS
from conformance.capture.tokens import units
from conformance.catalogue.entry_schema import EntryTable, HomeTable
from conformance.catalogue.layers import bundled_layers
from conformance.catalogue.schema import ScenarioFile
from conformance.judge.leaks import LEAST, leaks
from conformance.model.contract import ROLES
from conformance.model.placeholders import ACCOUNT_ID, PREFIXES

__all__ = ["Withheld"]

#: Bytes of values that are searched for at one go.
_PART = 32 * 1024
#: With more than these, what nothing explains is not written in any case.
_MOST = 4 * 1024 * 1024
_WORD = re.compile(r"[\w.$~@%+-]+")
_PLACEHOLDER = re.compile(
    r"\{(?:secret(?::[a-z-]+(?:-[0-9]{1,4})?)?|now(?:[-+][0-9]{1,9}[smhd])?(?::(?:s|rfc3339(?:\.[1-9])?|jwt))?"
    r"|home|byte:e9|n|null)\}"
)
#: Of characters with a number, a letter, halves of pairs, and blanks.
_ESCAPE = re.compile(
    r"\\(?:(?:u|U0000)(?:00(?:e9|78|0[09a-d]|1[c-f]|20|7f|85|a0)|1680|20(?:0[0-9a]|2[89f]|5f)"
    r"|3000|feff|d800|dc00)|[bfnrtquU\"/\\])"
)
_PREFIX = "|".join(
    map(re.escape, (*PREFIXES, "sk-ant-", "sk-", "gho_", "ghs_", "github_pat_", "xoxb-"))
)
_MADE = re.compile(
    rf"(?:{_PREFIX})?[x\u00e9\U00010000]*+(?:[0-9]{{0,3}}|1*)[x\u00e9\U00010000]*+"
    r"|[x\u00e9\U00010000]*+(?:true|false|null)"
    r"|[-+]?(?i:nan|inf(?:inity)?)"
    r"|[.-]?(?:entry|many|member)-[0-9]{1,6}[-\u00e9x\udce9$]*(?:\.[a-z0-9]{1,11})?~?"
    r"|[-+]?0*(?:\.0*)?[1-9]?1*(?:\.1*)?(?:[eE][-+]?[0-9]{1,4})?"
    r"|[-+.]{0,2}(?:0[xob])?0*1*(?:[-+._eETt]{1,2}(?:0+1*|1+))*[-+._eETt]{0,2}Z?"
    r"|(?:0000-01-01|2001-01-01|2001-02-30|2999-01-01)(?:[Tt](?:0*|23|24|99))?"
    r"|(?:00|59|60|99)[Zz]?(?:[-+](?:01|99))?"
    r"|00000000-0000-4000-8000-[0-9]{12}|9999999999|1000000000(?:000)?|4102444799(?:000)?"
)
#: So many marks of JSON in a row are no part of a value.
_MARKS = re.compile(rf'[\s{{}}\[\]":,\x01]{{{LEAST},}}')
#: Where no dot follows, that is seen once, and not again from each character on.
_TOKEN = re.compile(r"(?<![\w=.-])[\w=-]*+(?:\.[\w=-]*+)+")
#: Words of the format itself.
_FORMAT = {
    *EntryTable.__struct_fields__,
    *HomeTable.__struct_fields__,
    *ScenarioFile.__struct_fields__,
}
_FORMAT |= {"unset", "state", "directory", "fifo", "socket", *ROLES}
#: Keys whose values are numbers that say how much, and no word of anybody.
_AMOUNTS = ("size", "count", "owner", "mode", "mtime", "depth")


class Withheld:
    """Values that must not get out."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._values: dict[tuple[str, bytes], None] = {}

    def add(self, place: str, value: bytes) -> None:
        """Note a *value*; *place* says where it stood, for an error."""
        if len(value) >= LEAST:
            self._values[place, value] = None

    def found_in(self, table: Any, constants: Iterable[str] = ()) -> str:
        """Return where a value stood of which the document *table* holds a part, or nothing.

        *constants* are texts in it that do not come from the home.
        """
        texts = self.unexplained(table, constants)
        if not texts:
            return ""
        if sum(len(value) for _, value in self._values) > _MOST:
            return "a home with too much in it to search through"
        output = "\x01".join(map(self._unknown, texts)).encode("utf-8", "surrogateescape")
        for place, value in self._values:
            for form in _forms(value):
                for start in range(0, len(form), _PART):
                    part = form[start : start + _PART + 256]
                    if leaks(output, {"value": part.decode("utf-8", "replace")}):
                        return place
        return ""

    def unexplained(self, table: Any, constants: Iterable[str] = ()) -> list[str]:
        """Return the texts in *table* in which something is that not everybody knows."""
        own = {*constants, *_FORMAT, *bundled_layers()}
        texts = dict.fromkeys(_texts(table))
        return [t for t in texts if t not in own and not self._is_explained(t)]

    def _is_explained(self, text: str) -> bool:
        """Return whether nothing in *text* can come from a home, but what everybody knows."""
        if text in self._known.members or all(map(self._known.is_name, text.split("/"))):
            return True
        left = [part for word in _WORD.findall(self._unknown(text)) for part in word.split(".")]
        return sum(len(part) for part in left if not self._is_word(part)) < LEAST // 2

    def _unknown(self, text: str) -> str:
        """Return *text* without what is explained; a home may say such words as well."""
        text = _ESCAPE.sub("\x01", _PLACEHOLDER.sub("\x01", text))
        text = _TOKEN.sub(lambda match: "\x01" if self._is_token(match[0]) else match[0], text)
        text = _WORD.sub(lambda match: "\x01" if self._is_word(match[0]) else match[0], text)
        return _MARKS.sub("\x01", text)

    def _is_word(self, word: str) -> bool:
        """Return whether everybody knows *word*, or it was made up."""
        known = word in _vocabulary(self._known) or _MADE.fullmatch(word) is not None
        return known or self._known.is_name(word)

    def _is_token(self, text: str) -> bool:
        """Return whether *text* is a JSON Web Token of which all is explained."""
        parts = [(part, _claims(part)) for part in text.split(".")]
        others = [part for part, claims in parts if claims is None]
        texts = {text for _, claims in parts for text in claims or ()}
        return (
            len(others) < len(parts)
            and all(self._is_word(word) for part in others for word in part.split("="))
            and all(self._is_explained(inner) for inner in texts)
        )


@cache
def _vocabulary(known: Known) -> frozenset[str]:
    """Return the words of all that everybody knows."""
    texts = {*known.names, *known.members, *known.variables, *ENDINGS}
    texts |= {ACCOUNT_ID, OUTSIDE}
    texts |= {value for _, value in known.values}
    return frozenset(word for text in texts for word in _WORD.findall(text))


def _claims(part: str) -> list[str] | None:
    """Return the texts in the JSON that a part of a token holds, or None; no name hides another."""
    try:
        data = base64.urlsafe_b64decode(part.rstrip("=") + "==")
        return [*_texts(json.loads(data, object_pairs_hook=lambda pairs: [*chain(*pairs)]))]
    except (ValueError, binascii.Error, RecursionError):
        return None


def _texts(value: Any, key: str = "") -> Iterator[str]:
    """Yield every text in *value*, a document: keys, too, and what bytes stand for."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner, name)
    elif key == "runs" and isinstance(value, list):
        yield from (text for text, _ in value)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)
    elif key == "hex" and isinstance(value, str):
        yield _decoded(bytes.fromhex(value))
    elif key == "base64" and isinstance(value, str):
        yield _decoded(base64.b64decode(value))
    elif key not in _AMOUNTS and not isinstance(value, bool | None):
        yield str(value)


def _decoded(data: bytes) -> str:
    encoding = encoding_of(data)
    return data.decode(encoding, "replace") if encoding else data.decode("utf-8", "surrogateescape")


def _forms(value: bytes) -> Iterator[bytes]:
    """Yield *value*, and what else it says: without line breaks and escapes, decoded."""
    yield value
    if encoding := encoding_of(value):
        value = value.decode(encoding, "replace").encode()
        yield value
    yield re.sub(rb"\s+", b"", value)
    text = value.decode("utf-8", "surrogateescape")
    if "\\" in text:
        said = "".join(meant for _, meant in units(text))
        yield said.encode("utf-8", "replace")
    for coded in re.findall(r"[\w+/-]{12,}", text, re.ASCII):
        with suppress(ValueError, binascii.Error):
            yield base64.b64decode(coded.replace("-", "+").replace("_", "/") + "==")
