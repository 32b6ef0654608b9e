"""Make what is left in a HOME plain: no attribute, no text and no number that does not matter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from conformance.model.placeholders import check
from conformance.model.scenario import Bytes, Entry, Runs, Scenario, Text
from conformance.reduce.entries import Place
from conformance.reduce.search import Search
from conformance.reduce.telling import least_first

__all__ = ["empty_files", "lower_numbers", "plain_attributes", "shorten_contents"]

#: What an attribute is where nothing is said of it.
_USUAL: dict[str, Any] = {
    "mode": None,
    "owner": None,
    "mtime": "",
    "size": None,
    "count": 1,
    "depth": 0,
}
_EMPTY = {"content": None, "size": None}
#: The parts of a text that stay whole.
_PARTS = re.compile(r"\{[a-z]+[^{}\s\"]*\}|.", re.DOTALL)


def empty_files(search: Search, place: Place) -> None:
    """Take away what files hold, where it does not matter."""
    get, put = place
    entries = least_first(get(search.best))
    full = [entry.path for entry in entries if entry.content is not None or entry.size]

    def without(base: Scenario, paths: Sequence[str]) -> Scenario:
        return put(base, _changed(get(base), dict.fromkeys(paths, _EMPTY)))

    search.drop(full, without)


def plain_attributes(search: Search, place: Place) -> None:
    """Take away modes, owners, times and such, where they do not matter."""
    get, put = place
    unusual = [
        (entry.path, name)
        for entry in get(search.best)
        for name, usual in _USUAL.items()
        if getattr(entry, name) != usual
    ]

    def without(base: Scenario, attributes: Sequence[tuple[str, str]]) -> Scenario:
        changes: dict[str, dict[str, Any]] = {}
        for path, name in attributes:
            changes.setdefault(path, {})[name] = _USUAL[name]
        return put(base, _changed(get(base), changes))

    search.drop(unusual, without)


def lower_numbers(search: Search, place: Place) -> None:
    """Lower sizes, and how often something is there or is written, as far as they matter."""
    get, put = place

    def lowered(path: str, change: Callable[[int], dict[str, Any]]) -> Callable[..., Scenario]:
        return lambda base, number: put(base, _changed(get(base), {path: change(number)}))

    for entry in get(search.best):
        search.lower(entry.count, 1, lowered(entry.path, lambda number: {"count": number}))
        search.lower(entry.size or 0, 0, lowered(entry.path, lambda number: {"size": number}))
        search.lower(entry.depth, 0, lowered(entry.path, lambda number: {"depth": number}))
        if isinstance(entry.content, Runs):
            for place_in_runs in range(len(entry.content.runs)):
                _lower_run(search, place, entry.path, place_in_runs)


def _lower_run(search: Search, place: Place, path: str, index: int) -> None:
    """Lower how often one text of a file is written."""
    get, put = place
    entry = next(one for one in get(search.best) if one.path == path)
    assert isinstance(entry.content, Runs)
    runs = list(entry.content.runs)
    text, times = runs[index]

    def lowered(base: Scenario, number: int) -> Scenario:
        content = Runs((*runs[:index], (text, number), *runs[index + 1 :]))
        return put(base, _changed(get(base), {path: {"content": content}}))

    search.lower(times, 1, lowered)


def shorten_contents(search: Search, place: Place) -> None:
    """Shorten texts and bytes: lines that do not matter go, then the end, then the beginning."""
    get, _ = place
    for entry in get(search.best):
        if isinstance(entry.content, Text | Bytes):
            _shorten(search, place, entry.path, entry.content)


def _shorten(search: Search, place: Place, path: str, content: Text | Bytes) -> None:
    get, put = place

    def holding(base: Scenario, parts: Sequence[str | bytes]) -> Scenario:
        shorter = _joined(content, parts)
        if isinstance(shorter, Text) and check(shorter.text):
            return base  # two halves would make a placeholder that nobody knows
        return put(base, _changed(get(base), {path: {"content": shorter}}))

    lines = _lines(content)

    def without(base: Scenario, gone: Sequence[int]) -> Scenario:
        return holding(base, [line for n, line in enumerate(lines) if n not in set(gone)])

    needed = search.drop(range(len(lines)), without)
    parts = _characters(_joined(content, [lines[n] for n in sorted(needed)]))
    end = search.shorten(len(parts), lambda base, length: holding(base, parts[:length]))
    parts = parts[:end]
    search.shorten(end, lambda base, length: holding(base, parts[end - length :]))


def _lines(content: Text | Bytes) -> list[Any]:
    if isinstance(content, Text):
        return content.text.splitlines(keepends=True)
    return content.data.splitlines(keepends=True)


def _characters(content: Text | Bytes) -> list[Any]:
    """Return the parts of a content that stay whole: characters and placeholders, or bytes."""
    if isinstance(content, Text):
        return _PARTS.findall(content.text)
    return [content.data[n : n + 1] for n in range(len(content.data))]


def _joined(like: Text | Bytes, parts: Iterable[Any]) -> Text | Bytes:
    return Text("".join(parts)) if isinstance(like, Text) else Bytes(b"".join(parts))


def _changed(entries: Iterable[Entry], changes: Mapping[str, Mapping[str, Any]]) -> Iterator[Entry]:
    """Yield *entries*, those among them changed whose paths *changes* has."""
    for entry in entries:
        yield replace(entry, **changes[entry.path]) if entry.path in changes else entry
