"""What lies in a home in numbers: of many things that are alike a few stand for all."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from conformance.capture.scope import children_of
from conformance.home.seen import SeenNode

__all__ = ["Group", "Groups", "groups"]

#: So many things that are alike in one directory are written out.
_FEW = 8

_Signature = tuple[object, ...]


class Group(Struct, frozen=True):
    """Things that are alike, and lie in one directory."""

    nodes: tuple[SeenNode, ...]


class Groups(Struct, frozen=True, kw_only=True):
    """What need not be written out."""

    many: tuple[Group, ...]
    members: frozenset[bytes]
    """The paths of all things in these groups."""
    dropped: frozenset[bytes]
    """The paths of what lies in or below directories that are like others beside them."""

    @property
    def left_out(self) -> int:
        """How many things are left out."""
        return len(self.dropped)


def groups(
    nodes: Mapping[bytes, SeenNode],
    closed: frozenset[bytes],
    is_known: Callable[[bytes], bool],
) -> Groups:
    """Return what of *nodes*, parents before children, is alike.

    Whatever has a name that *is_known* is alike nothing else, and so is a file whose content is
    looked at. Of directories only those are alike that hold the same kinds of things.
    """
    children = children_of(nodes)
    signatures = _signatures(nodes, children, closed, is_known)
    many: list[Group] = []
    dropped: set[bytes] = set()
    for directory, paths in children.items():
        if directory in dropped:
            dropped.update(paths)
            continue
        alike: dict[_Signature, list[bytes]] = {}
        for path in paths:
            if not _is_special(nodes[path], is_known):
                alike.setdefault(signatures[path], []).append(path)
        for same in alike.values():
            if len(same) <= _FEW:
                continue
            if nodes[same[0]].kind == "directory":
                dropped.update(same[_FEW:])
            else:
                many.append(Group(tuple(nodes[path] for path in same)))
    members = {node.path for group in many for node in group.nodes}
    return Groups(many=tuple(many), members=frozenset(members), dropped=frozenset(dropped))


def _is_special(node: SeenNode, is_known: Callable[[bytes], bool]) -> bool:
    name = node.path.rpartition(b"/")[2]
    numbered = any(digit in name for digit in b"0123456789")
    return node.content is not None or (is_known(name) and not numbered)


def _signatures(
    nodes: Mapping[bytes, SeenNode],
    children: Mapping[bytes, Iterable[bytes]],
    closed: frozenset[bytes],
    is_known: Callable[[bytes], bool],
) -> dict[bytes, _Signature]:
    """Return for each path what it has in common with those that are alike."""
    found: dict[bytes, _Signature] = {}
    numbers: dict[_Signature, int] = {}
    for path in reversed([*nodes]):  # children come before their parents
        node, name = nodes[path], path.rpartition(b"/")[2]
        special = path if _is_special(node, is_known) else b""
        special = special.rpartition(b"/")[2] if node.kind != "directory" else b""
        inside: frozenset[int] = frozenset()
        if node.kind == "directory":
            inside = frozenset(
                numbers.setdefault(found[child], len(numbers)) for child in children.get(path, ())
            )
        elif node.kind == "symlink":
            inside = frozenset({hash(posixpath.dirname(node.target))})
        ending = posixpath.splitext(name)[1]
        found[path] = (
            *(node.kind, node.mode, node.uid, node.gid, node.size > 0, path in closed),
            *(special, name[:1] == b".", ending if node.kind != "directory" else b"", inside),
            node.content,
        )
    return found
