"""Find credential values, and parts of them, in what a probe printed, plain or encoded.

Eight characters of a credential in a row are a leak. Those of the suite are random, so nothing that
a probe rightly prints holds eight of them by accident: 1 MiB of random letters and digits has eight
in a row of one with a hundred characters once in two million runs.
"""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from conformance.model.placeholders import PREFIXES
from conformance.text import ordinal

__all__ = ["LEAST", "Leak", "leaks"]

#: So many characters of a credential in a row are a leak.
LEAST = 8
#: What everybody knows of a credential: it says what kind of credential it is. However long it is,
#: it counts as one character. Of a JSON Web Token that is the header.
_KNOWN = re.compile("|".join([*PREFIXES, r"eyJ[\w-]*\.(?:eyJ)?"]).encode())
#: How many characters are compared first. They lie in the text at any of as many offsets.
_WORD = 4


class Leak(Struct, frozen=True, kw_only=True):
    """A credential, or the longest part of it, that stands in an output."""

    name: str
    how: str
    """How it is written there."""
    first: int
    """The place in the credential of the first character that is shown, from 0."""
    shown: int
    """How many characters are shown."""
    length: int
    """How many the credential has."""

    def describe(self, stream: str) -> str:
        """Return what stands on the *stream*, without showing it."""
        credential = f"the credential {self.name}"
        if self.shown == self.length:
            return f"{credential} stands on {stream}, {self.how}"
        count = f"{self.shown} characters of {credential}"
        if self.first == 0:
            part = f"the first {count}"
        elif self.first + self.shown == self.length:
            part = f"the last {count}"
        else:
            part = f"{count}, from the {ordinal(self.first + 1)} on,"
        return f"{part} stand on {stream}, {self.how}"


class _Form:
    """Characters of *width* bits each: those of the first alphabet, or what stands for the same."""

    def __init__(self, how: str, width: int, *alphabets: bytes) -> None:
        self.how = how
        self.width = width
        self.alphabets = alphabets
        self.values = [-1] * 256
        """Character to the bits it stands for; -1 where it is none of them."""
        for alphabet in alphabets:
            for code, character in enumerate(alphabet):
                self.values[character] = code
        self.least = (8 * LEAST - width + 2) // width if 8 % width else 8 * LEAST // width
        """How many characters stand for nothing but a part that counts, at the least."""


_LETTERS = (string.ascii_uppercase + string.ascii_lowercase + string.digits).encode()
_PLAIN = _Form("", 8, bytes(range(256)))
_HEXADECIMAL = _Form("in hexadecimal", 4, b"0123456789abcdef")
_BASE64 = _Form("in base64", 6, _LETTERS + b"+/", _LETTERS + b"-_")


def leaks(output: bytes, secrets: Mapping[str, str]) -> list[Leak]:
    """Return what stands of the *secrets* in *output*: of each the longest part, if it counts.

    The value may be written as it is, backwards, as hexadecimal digits or as base64 at any offset;
    each of these also percent-encoded, with JSON escapes, or split by white space or line breaks.
    Values of fewer than eight characters are not looked for.
    """
    if not output.strip():
        return []
    exact, folded = _indices(tuple(secrets.items()))
    found: dict[str, _Part] = {}
    for reading, text in _readings(output):
        for part in (*exact.find(text), *folded.find(text.lower())):
            part.reading = reading
            best = found.get(part.writing.name)
            if best is None or part.beats(best):
                found[part.writing.name] = part
    parts = [found[name] for name in secrets if name in found]
    return [part.leak() for part in parts if not any(part.within(other) for other in parts)]


def _readings(output: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield *output* as it is, and with each kind of wrapping undone; no text twice."""
    plain = {
        "": output,
        "percent-encoded": unquote_to_bytes(output),
        "with JSON escapes": _without_escapes(output),
    }
    seen: set[bytes] = set()
    for how, text in plain.items():
        joined = re.sub(rb"[\s\0:]+|\\[nrt]", b"", text)
        for name, reading in ((how, text), (f"{how} split".strip(), joined)):
            if reading not in seen:
                seen.add(reading)
                yield name, reading


def _without_escapes(output: bytes) -> bytes:
    escape = rb"(?<!\\)\\+u00([0-9a-fA-F]{2})"
    output = re.sub(escape, lambda match: bytes.fromhex(match[1].decode()), output)
    return output.replace(b"\\/", b"/")


@lru_cache(maxsize=16)  # both streams of a scenario, and each of its executions
def _indices(secrets: tuple[tuple[str, str], ...]) -> tuple[_Index, _Index]:
    """Return where to find *secrets* in a text as it is, and in one without upper case."""
    values = [(name, value.encode()) for name, value in secrets]
    values = [(name, value) for name, value in values if len(value) >= LEAST]
    exact = _Index(chain.from_iterable(_exact(*item) for item in values))
    return exact, _Index(_Writing(*item, _HEXADECIMAL) for item in values)


def _exact(name: str, value: bytes) -> Iterator[_Writing]:
    """Yield the ways to write a value in which upper and lower case differ."""
    yield _Writing(name, value, _PLAIN)
    yield _Writing(name, value, _PLAIN, backwards=True)
    for offset in range(3):
        yield _Writing(name, value, _BASE64, offset=offset)


class _Writing:
    """One way to write one credential: a row of characters that stand for some bits each."""

    def __init__(
        self, name: str, value: bytes, form: _Form, *, offset: int = 0, backwards: bool = False
    ) -> None:
        """*offset* is how many bytes stand before the value in its group of base64."""
        self.name = name
        self.form = form
        self.length = len(value)
        self.how = "backwards" if backwards else form.how
        known = _KNOWN.match(value)
        self._known = known.end() if known is not None else 0
        self._backwards = backwards
        width, bits = form.width, 8 * len(value)
        self._before = 8 * offset % width
        """How many bits of the first character belong to what stands before the value."""
        count = -(-(self._before + bits) // width)
        after = width * count - self._before - bits
        number = int.from_bytes(value[::-1] if backwards else value) << after
        ones = (1 << width) - 1
        self._codes = [number >> width * at & ones for at in reversed(range(count))]
        self._masks = [ones] * count
        self._masks[0] &= ones >> self._before
        self._masks[-1] &= ones << after & ones

    def words(self) -> Iterator[tuple[int, bytes]]:
        """Yield places in the writing, each with the characters there.

        Every part that counts holds the characters of at least one place.
        """
        for place in range(0, len(self._codes) - _WORD + 1, self.form.least - _WORD + 1):
            codes = self._codes[place : place + _WORD]
            for alphabet in self.form.alphabets:
                yield place, bytes(alphabet[code] for code in codes)

    def alike(self, text: bytes, start: int) -> Callable[[int], int]:
        """Return what compares a place of the writing with a *text* in which it starts at *start*.

        It returns the bits that differ; all of them where the text has no such character.
        """
        codes, masks, values = self._codes, self._masks, self.form.values
        ones, size = (1 << self.form.width) - 1, len(text)

        def differ(place: int) -> int:
            at = start + place
            code = values[text[at]] if 0 <= at < size else -1
            return ones if code < 0 else (code ^ codes[place]) & masks[place]

        return differ

    def around(self, text: bytes, start: int, place: int) -> _Part:
        """Return the part that *text*, in which the writing starts at *start*, has at *place*."""
        differ, width = self.alike(text, start), self.form.width
        first, end = place, place + _WORD
        while first > 0 and not differ(first - 1):
            first -= 1
        while end < len(self._codes) and not differ(end):
            end += 1
        # A character of base64 that is not the same may still hold the rest of one that is.
        bits = first * width - self._before
        if first > 0:
            different = differ(first - 1)
            bits -= (different & -different).bit_length() - 1
        last = end * width - self._before
        if end < len(self._codes):
            last += width - differ(end).bit_length()
        low, high = max(-(-bits // 8), 0), min(last // 8, self.length)
        if self._backwards:
            low, high = self.length - high, self.length - low
        return _Part(self, low, high, start + first, start + end)

    def counts(self, low: int, high: int) -> bool:
        """Return whether the characters from *low* to *high* are enough for a leak."""
        return high - max(low, self._known) + (low < self._known) >= LEAST


class _Part:
    """A part of a credential in one reading of an output."""

    def __init__(self, writing: _Writing, low: int, high: int, start: int, end: int) -> None:
        """*low* and *high* are places in the credential, *start* and *end* those in the text."""
        self.writing = writing
        self.reading = ""
        self._low, self._high = low, high
        self._start, self.end = start, end

    @property
    def counts(self) -> bool:
        """Whether it is a leak."""
        return self.writing.counts(self._low, self._high)

    @property
    def whole(self) -> bool:
        """Whether it is all of the credential."""
        return self._high - self._low == self.writing.length

    def beats(self, other: _Part) -> bool:
        """Return whether this shows more than *other*; not if that is by accident.

        What is put together where white space is left out can begin like what comes next.
        """
        if self.whole or other.whole:
            return not other.whole
        least = 1 if self.reading == other.reading else LEAST
        return self._high - self._low >= other._high - other._low + least

    def within(self, other: _Part) -> bool:
        """Return whether *other* shows this and more, at the same place."""
        if self.reading != other.reading or self.writing.name == other.writing.name:
            return False
        inside = other._start <= self._start and self.end <= other.end
        return inside and self.end - self._start < other.end - other._start

    def leak(self) -> Leak:
        """Return what it is for those who judge."""
        how = f"{self.writing.how} {self.reading}".strip() or "plain"
        return Leak(
            name=self.writing.name,
            how=how,
            first=self._low,
            shown=self._high - self._low,
            length=self.writing.length,
        )


class _Index:
    """Many writings by a few of their characters, so that a text is gone through once for all."""

    def __init__(self, writings: Iterable[_Writing]) -> None:
        self._places: dict[bytes, list[tuple[_Writing, int]]] = {}
        for writing in writings:
            for place, word in writing.words():
                self._places.setdefault(word, []).append((writing, place))
        self._words = {int.from_bytes(word, sys.byteorder): word for word in self._places}
        self._numbers = frozenset(self._words)

    def find(self, text: bytes) -> Iterator[_Part]:
        """Yield the parts in *text* that count, each at least once."""
        seen: dict[tuple[_Writing, int], int] = {}
        for word in self._present(text):
            at = text.find(word)
            while at >= 0:
                for writing, place in self._places[word]:
                    start = at - place
                    if at >= seen.get((writing, start), at):
                        part = writing.around(text, start, place)
                        seen[writing, start] = part.end
                        if part.counts:
                            yield part
                at = text.find(word, at + 1)

    def _present(self, text: bytes) -> list[bytes]:
        """Return the words in *text*: numbers of four bytes are looked up faster than slices."""
        view, found = memoryview(text), set[int]()
        for offset in range(_WORD):
            end = offset + (len(text) - offset) // _WORD * _WORD
            if end > offset:
                found |= self._numbers.intersection(view[offset:end].cast("I"))
        return sorted(self._words[number] for number in found)
