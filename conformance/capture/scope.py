"""Which parts of a home are captured: those that an agent, a rule or a probe looks at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from conformance.capture.known import Known
from conformance.home.links import steps
from conformance.home.seen import SeenHome

__all__ = ["children_of", "in_scope"]


def children_of(paths: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """Return the directories above *paths*, each with what lies in it, in the order of *paths*."""
    found: dict[bytes, list[bytes]] = {}
    for path in paths:
        if path:
            found.setdefault(path.rpartition(b"/")[0], []).append(path)
    return found


def in_scope(
    seen: SeenHome, known: Known, home: bytes, named: Iterable[bytes] = ()
) -> frozenset[bytes]:
    """Return the paths in *seen* that are captured.

    These are all below the names that homes of the catalogue have at their top, below places that
    links there lead to, and below those that are *named*; and the directories above them.
    """
    children = children_of(seen.nodes)
    pending = [path for path in children.get(b"", ()) if os.fsdecode(path) in known.tops]
    pending += [path for path in named if path in seen.nodes]
    found: set[bytes] = set()
    while pending:
        path = pending.pop()
        if path in found:
            continue
        found.add(path)
        pending += children.get(path, ())
        if seen.nodes[path].kind == "symlink":
            places = [place for place in steps(seen.nodes, path, home) if place in seen.nodes]
            pending += places[-1:]
            # Of what lies on the way only links lead further.
            pending += [place for place in places if seen.nodes[place].kind == "symlink"]
    return frozenset(_with_parents(found, seen.nodes)) - {b""}


def _with_parents(paths: Iterable[bytes], nodes: Mapping[bytes, object]) -> Iterable[bytes]:
    for path in paths:
        above = path
        while above and above in nodes:
            yield above
            above = above.rpartition(b"/")[0]
