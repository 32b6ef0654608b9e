"""Take away what lies in a HOME: directories with all that is in them, then what is left.

A level of the tree is gone through as a whole, from the top down, so that the largest parts go
first: a directory of a thousand transcripts costs one question. Of a level, what tells a reader
least is tried first: where one of several files is enough, the one that says most is left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from msgspec.structs import replace

from conformance.home.plan import DIRECTORY_MODE
from conformance.model.scenario import Entry, Scenario
from conformance.reduce.known import known_paths
from conformance.reduce.search import Search
from conformance.reduce.telling import Telling, telling

__all__ = ["Place", "reduce_entries", "without_plain_directories"]

#: Where entries stand in a scenario: its HOME, or the HOME in which the probe ran earlier.
Place = tuple[
    Callable[[Scenario], tuple[Entry, ...]], Callable[[Scenario, Iterable[Entry]], Scenario]
]


def reduce_entries(search: Search, place: Place) -> None:
    """Take away as many entries at *place* as possible, level by level.

    What is unknown to the catalogue is tried first, all at once.
    """
    get, put = place

    def without(base: Scenario, paths: Sequence[str]) -> Scenario:
        gone = set(paths)
        return put(base, [one for one in get(base) if gone.isdisjoint(_upwards(one.path))])

    def emptied(base: Scenario, paths: Sequence[str]) -> Scenario:
        return put(base, _emptied(get(base), set(paths)))

    there = [entry.path for entry in get(search.best)]
    search.accepts(without(search.best, [path for path in there if path not in known_paths()]))
    needed: list[str] = [""]
    while needed:
        needed = search.drop(_children(get(search.best), needed), without)
        above = _parents(get(search.best))
        # A directory may matter, and nothing of what is in it.
        needed = search.drop([path for path in needed if path in above], emptied)


def without_plain_directories(entries: Iterable[Entry]) -> list[Entry]:
    """Return *entries* without directories that are there anyway: something else lies in them.

    The HOME stays the same.
    """
    there = list(entries)
    above = _parents(there)
    plain = Entry(path="", kind="directory")
    return [
        entry
        for entry in there
        if entry.path not in above
        or replace(entry, path="", mode=None if entry.mode == DIRECTORY_MODE else entry.mode)
        != plain
    ]


def _upwards(path: str) -> Iterator[str]:
    """Yield *path* and those of the directories above it."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _parents(entries: Iterable[Entry]) -> set[str]:
    """Return the paths of the directories in which an entry lies."""
    return {above for entry in entries for above in _upwards(entry.path.rpartition("/")[0])}


def _children(entries: Iterable[Entry], directories: Sequence[str]) -> list[str]:
    """Return the paths one below *directories*, of which none lies in another one.

    Those come first that tell least, with all that lies below them.
    """
    wanted = set(directories)
    found: dict[str, Telling] = {}
    for entry in entries:
        for path in _upwards(entry.path):
            if path.rpartition("/")[0] in wanted:
                tells = telling(entry)
                found[path] = max(found.get(path, tells), tells)
    return sorted(found, key=lambda path: (found[path], path))


def _emptied(entries: Iterable[Entry], directories: Collection[str]) -> list[Entry]:
    """Return *entries* with nothing in any of *directories*, which are entries of their own."""
    kept: dict[str, Entry] = {}
    for entry in entries:
        outside = [path for path in _upwards(entry.path.rpartition("/")[0]) if path in directories]
        if not outside:
            kept[entry.path] = entry
        elif outside[-1] not in kept:
            kept[outside[-1]] = Entry(path=outside[-1], kind="directory")
    return list(kept.values())
