"""What a file holds, with nothing of it that is not known to be harmless."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator

from msgspec import Struct

from conformance.capture.disguise import Disguise
from conformance.capture.shapes import Piece
from conformance.catalogue.entry_schema import MAX_LEVELS
from conformance.model.entry import Bytes, Content, Json, Runs, Text
from conformance.model.placeholders import Context, expand_bytes, expand_json

__all__ = ["disguised", "encoding_of"]

#: In order: the mark of UTF-32 begins as that of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: A part that is repeated so often is written once, with the number of times.
_REPEATED = re.compile(r"(.{1,8}?)\1{63,}", re.DOTALL)
#: Texts of so many characters are worth that.
_LONG = 4096
#: Only to compare what two ways to write something come to.
_ANYWHERE = Context(now=1_000_000_000, seed="", home="/home")


class _Written(Struct, frozen=True, kw_only=True):
    """A text in the place of another one."""

    pieces: tuple[Piece, ...]

    def parts(self) -> list[str]:
        """Return it with placeholders, in parts where a brace of its own would begin one."""
        found: list[list[str]] = [[]]
        before = ""
        for piece in self.pieces:
            if before == "{" and re.match("[a-z]", piece.text):
                found.append([])
            found[-1].append(piece.text)
            before = piece.text or before
        return ["".join(part) for part in found]

    def plain(self) -> str:
        """Return it where no placeholder can stand."""
        return "".join(p.text if p.plain is None else p.plain for p in self.pieces)

    def json(self) -> str:
        """Return it as JSON whose strings have placeholders, of those that stand for numbers, too.

        It is JSON where the text is.
        """
        return "".join(_as_string(p.text) if p.bare else p.text for p in self.pieces)


def _as_string(text: str) -> str:
    return '"{null}"' if text == "null" else f'"{text}"'


def disguised(data: bytes, disguise: Disguise, *, toml: bool = False) -> Content | None:
    """Return what stands in the place of the content *data*, which is JSON, or *toml*.

    Its faults are kept, and so is its encoding. None if it is empty.
    """
    if not data:
        return None
    encoding = encoding_of(data)
    if not encoding:
        return _content(_written(data.decode("utf-8", "surrogateescape"), disguise, toml=toml))
    width = 4 if "32" in encoding else 2
    whole = len(data) // width * width
    text = data[:whole].decode(encoding, "surrogatepass" if width == 2 else "replace")
    made = _written(text, disguise, toml=toml).plain()
    # The bytes that are left over are half a character.
    return Bytes(made.encode(encoding, "surrogatepass") + b"x" * (len(data) - whole))


def encoding_of(data: bytes) -> str:
    """Return the encoding of *data*, if its characters are longer than a byte each."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    # Without a mark, the NULs in the first characters tell.
    found = json.detect_encoding(data)
    return found if found.startswith(("utf-16", "utf-32")) else ""


def _written(text: str, disguise: Disguise, *, toml: bool) -> _Written:
    return _Written(pieces=tuple(disguise.pieces(text, toml=toml)))


def _content(written: _Written) -> Content:
    """Return the plainest content that makes the same bytes."""
    parts = written.parts()
    runs = tuple(run for part in parts for run in _runs(part))
    length = sum(map(len, parts))
    # What is long because it repeats itself is not written out, JSON or not.
    is_long = length > _LONG and 2 * sum(len(text) for text, _ in runs) < length
    if len(parts) == 1 and not is_long and (value := _value(written, parts[0])):
        return value
    return Text(parts[0]) if len(runs) == 1 and runs[0][1] == 1 else Runs(runs)


def _value(written: _Written, text: str) -> Json | None:
    """Return the JSON value that is written just so; None if there is none."""
    try:
        value = json.loads(written.json(), parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()  # half of a pair cannot stand in TOML
        same = json.dumps(expand_json(value, _ANYWHERE)).encode() == expand_bytes(text, _ANYWHERE)
    except (ValueError, RecursionError):
        return None
    return Json(value) if same and _levels(value) <= MAX_LEVELS else None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _levels(value: object) -> int:
    """Return how deeply *value* is nested."""
    levels, inside = 0, [value]
    while inside := [each for each in inside if isinstance(each, dict | list)]:
        levels += 1
        inside = [
            inner
            for each in inside
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return levels


def _runs(text: str) -> Iterator[tuple[str, int]]:
    """Yield *text* in parts, each with the number of times that it stands there in a row."""
    at = 0
    for match in _REPEATED.finditer(text):
        part = match[1]
        if re.search(r"\{[a-z]|^[a-z]*\}", part):  # a placeholder is not taken apart
            continue
        if at < match.start():
            yield text[at : match.start()], 1
        yield part, len(match[0]) // len(part)
        at = match.end()
    if at < len(text):
        yield text[at:], 1
