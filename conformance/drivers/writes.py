"""Where in a HOME what a CLI writes may come to lie, which is not the probe's doing."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

from conformance.home import Node

__all__ = ["places_of"]

#: Variables by which a CLI keeps elsewhere what it has in a directory of the HOME by default.
_MOVED = {"CLAUDE_CONFIG_DIR": ".claude", "CODEX_HOME": ".codex"}
#: With that variable, claude keeps this file there, too (claude 2.1.197).
_MOVED_ALONG = {"CLAUDE_CONFIG_DIR": ".claude.json"}
#: Links may lead around in a circle, by ever longer names.
_MOST = 500


def places_of(
    writes: Sequence[str], home: str, variables: Mapping[str, str], nodes: Iterable[Node]
) -> tuple[str, ...]:
    """Return *writes*, which are paths below the HOME or patterns, and all that they come to.

    *home* is the path of the directory that is looked at, with *nodes* in it: HOME may name another
    one below it, a variable may move a CLI's own directory, and links may lead on.
    """
    named = [*writes, *_below(variables.get("HOME", ""), home, writes)]
    for variable, usual in _MOVED.items():
        inside = [one.removeprefix(f"{usual}/") for one in writes if one.startswith(f"{usual}/")]
        inside += [one for one in writes if one == _MOVED_ALONG.get(variable)]
        if place := variables.get(variable):
            # A relative one begins at the working directory, which is the HOME in most images.
            named += _below(posixpath.join(home, place), home, inside)
    return tuple(_through_links(named, home, nodes))


def _below(named: str, home: str, writes: Sequence[str]) -> Iterator[str]:
    """Yield *writes* as paths from *home* where they lie in *named*, a directory below it."""
    place = posixpath.relpath(named, home) if posixpath.isabs(named) else ".."
    if place.partition("/")[0] != "..":
        for pattern in writes:
            yield posixpath.normpath(f"{place}/{pattern}")


def _through_links(writes: Sequence[str], home: str, nodes: Iterable[Node]) -> list[str]:
    """Return *writes* and the places in which they come to lie by links of the home.

    That is also where a link leads nowhere yet: who writes to it makes a file there.
    """
    links = dict(_links(home, nodes))
    found = dict.fromkeys(writes)
    todo = list(found)
    while todo and len(found) < _MOST:
        pattern = todo.pop()
        for link, place in links.items():
            if pattern == link or pattern.startswith(f"{link}/"):
                new = posixpath.normpath(f"{place}/{pattern[len(link) + 1 :]}")
                if new not in found:
                    found[new] = None
                    todo.append(new)
    return list(found)


def _links(home: str, nodes: Iterable[Node]) -> Iterator[tuple[str, str]]:
    """Yield the links of a home that lead to a place in it, each with that place."""
    for node in nodes:
        if node.kind != "symlink" or b"*" in node.target:  # an asterisk is no letter in a pattern
            continue
        link = os.fsdecode(node.path)
        target = posixpath.join(home, posixpath.dirname(link), os.fsdecode(node.target))
        place = posixpath.relpath(target, home)
        if place != "." and place.partition("/")[0] != "..":
            yield link, place
