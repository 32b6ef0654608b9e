"""A HOME as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from conformance.model.entry import Entry
from conformance.model.entry_wording import describe_entry

__all__ = ["Node", "tree"]

#: Directories below one another that get a level each; what lies deeper is one line with its path.
_DEEPEST = 12

#: Entries by the parts of their paths.
_Paths = Mapping[tuple[str, ...], Entry]


class Node(Struct, frozen=True):
    """A file or a directory, with what lies below it."""

    name: str
    words: str
    """What it is; empty for a directory that is only there because something lies in it."""
    new: bool
    """Whether the control has nothing like it in this place."""
    below: list[Node]

    @property
    def is_directory(self) -> bool:
        """Whether something lies below it, or could."""
        return bool(self.below) or self.words.partition(",")[0] == "directory"


def tree(entries: Iterable[Entry], control: Iterable[Entry] | None = None) -> list[Node]:
    """Return what lies at the top of the HOME that *entries* make, by name.

    What is not so in the home of the *control*, if one is given, is marked as new.
    """
    paths = {tuple(entry.path.split("/")): entry for entry in entries}
    there = None if control is None else {entry.path: entry for entry in control}
    return _nodes(paths, there, 1)


def _nodes(paths: _Paths, there: Mapping[str, Entry] | None, level: int) -> list[Node]:
    groups: dict[str, dict[tuple[str, ...], Entry]] = {}
    for parts, entry in paths.items():
        groups.setdefault(parts[0], {})[parts[1:]] = entry
    nodes = []
    for name, inside in sorted(groups.items()):
        below = dict(inside)
        own = below.pop((), None)
        label, below = _chain(name, below) if own is None else (name, below)
        if level >= _DEEPEST:
            below = {("/".join(parts),): entry for parts, entry in below.items()}
        words = "" if own is None else describe_entry(own)
        new = own is not None and there is not None and not _same(own, there.get(own.path))
        nodes.append(Node(label, words, new, _nodes(below, there, level + 1)))
    return nodes


def _same(one: Entry, other: Entry | None) -> bool:
    """Return whether two entries are the same; only the words tell true from 1."""
    return other == one and describe_entry(other) == describe_entry(one)


def _chain(
    name: str, below: dict[tuple[str, ...], Entry]
) -> tuple[str, dict[tuple[str, ...], Entry]]:
    """Join directories that hold nothing but one directory: ``a``, ``b`` become ``a/b``."""
    while len({parts[0] for parts in below}) == 1 and all(len(parts) > 1 for parts in below):
        [only] = {parts[0] for parts in below}
        name = f"{name}/{only}"
        below = {parts[1:]: entry for parts, entry in below.items()}
    return name, below
