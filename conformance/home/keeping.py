"""Which of the things that are found in a HOME are kept: a bounded number, and all that matters.

A HOME may hold millions of files, and of most a rule can only tell that there are some. So each
directory keeps a bounded number of entries. Where rules walk, something beyond that number is kept
if nothing like it is: a regular file beside directories, a directory that is closed to somebody. No
answer depends on what is left, and it is counted.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter

from msgspec.structs import replace

from conformance.home.plan import DIRECTORY_MODE
from conformance.home.seen import SeenHome, SeenNode
from conformance.home.visible import BASELINE, Wanted

__all__ = ["MAX_ENTRIES", "MAX_NODES", "Keeping"]

#: Entries of one directory that are kept without a question, and of a whole HOME.
MAX_ENTRIES = 1_000
MAX_NODES = 20_000

#: Two things with the same signature and the same directories above their own are alike: equal
#: kinds and permissions, below directories with equal permissions, level by level.
_Signature = tuple[object, ...]


class Keeping:
    """What has been kept of a HOME so far."""

    def __init__(self, wanted: Wanted) -> None:
        self._names = wanted.names()
        self._walked = wanted.walked()
        self._kept: dict[bytes, SeenNode] = {}
        self._entries: Counter[bytes] = Counter()
        self._passed_over: Counter[bytes] = Counter()
        self._closed: set[bytes] = set()
        self._aside: dict[bytes, SeenNode] = {}  # directories that rules walk, but are like others
        self._chains: dict[tuple[object, ...], int] = {}
        self._chain_of: dict[bytes, int] = {}
        self._alike: dict[_Signature, list[bytes]] = {}

    def is_of_interest(self, path: bytes) -> bool:
        """Return whether something at *path* may be kept: else it need not be looked at."""
        return self._has_room(path) or self.is_visible(path)

    def is_visible(self, path: bytes) -> bool:
        """Return whether rules look at *path*, by its name or on a walk."""
        return path in self._names or path.startswith(self._walked)

    def get(self, path: bytes) -> SeenNode | None:
        """Return what was kept at *path*, or None."""
        return self._kept.get(path)

    def _has_room(self, path: bytes) -> bool:
        if not path:
            return True
        above = path.rpartition(b"/")[0]
        full = self._entries[above] >= MAX_ENTRIES or len(self._kept) >= MAX_NODES
        return not full and above in self._kept

    def add(self, node: SeenNode) -> bool:
        """Keep *node*, or count it; return whether it was kept.

        Directories come before what they hold; of one that does not, nothing but its place is
        known. Something at the same path is replaced.
        """
        if unknown := self._unknown_above(node.path):
            if not (self.is_visible(node.path) or self._has_room(unknown[0])):
                self.count(node.path)
                return False
            for above in unknown:
                self._add(_unknown_directory(above, node))
                self._chain_of[above] = self._chains.setdefault((above,), len(self._chains) + 1)
        return self._add(node)

    def _add(self, node: SeenNode) -> bool:
        """Keep *node*, or count it; the directory that it lies in is known."""
        signature = self._signature(node) if node.path.startswith(self._walked) else None
        if node.kind == "directory" and signature is not None:
            self._enter(node)
        known = node.path in self._kept or node.path in self._names or not node.path
        if known or self._has_room(node.path) or self._is_new(node.path, signature):
            self._keep(node)
            return True
        self.count(node.path)
        if node.kind == "directory" and signature is not None:
            self._aside[node.path] = node
        return False

    def _is_known(self, directory: bytes) -> bool:
        return directory in self._kept or directory in self._aside

    def _unknown_above(self, path: bytes) -> list[bytes]:
        """Return the directories on the way to *path* that are not known, the uppermost first."""
        found: list[bytes] = []
        while path and not self._is_known(path := path.rpartition(b"/")[0]):
            found.append(path)
        return found[::-1]

    def count(self, path: bytes, number: int = 1) -> None:
        """Count *number* things that are not kept, of which one is at *path*."""
        self._passed_over[self._kept_above(path)] += number

    def close(self, path: bytes) -> None:
        """Note that what is at *path* could not be read; a directory that was left out is kept."""
        if path in self._aside:
            self._keep(self._aside[path])
        if path in self._kept:
            self._closed.add(path)

    def set_content(self, path: bytes, content: bytes) -> None:
        """Note what the file at *path* holds."""
        self._kept[path] = replace(self._kept[path], content=content, size=len(content))

    def forget(self, path: bytes) -> None:
        """Drop what was kept at *path*: it is not there any more."""
        if self._kept.pop(path, None) is not None:
            self._entries[path.rpartition(b"/")[0]] -= 1

    def home(self, read_at: float) -> SeenHome:
        """Return what was kept, as it was found at *read_at*."""
        order = sorted(self._kept, key=lambda path: path.split(b"/"))
        return SeenHome(
            nodes={path: self._kept[path] for path in order},
            passed_over={path: number for path, number in self._passed_over.items() if number},
            closed=frozenset(self._closed),
            read_at=read_at,
        )

    def _keep(self, node: SeenNode) -> None:
        above = node.path.rpartition(b"/")[0]
        if node.path and above not in self._kept:
            self._keep(self._aside[above])
        if self._aside.pop(node.path, None) is not None:  # it has been counted
            self._passed_over[self._kept_above(node.path)] -= 1
        if node.path and node.path not in self._kept:
            self._entries[above] += 1
        self._kept[node.path] = node
        if node.path.startswith(self._walked):
            paths = self._alike.setdefault(self._signature(node), [])
            if node.path not in paths[bisect_left(paths, node.path) :][:1]:
                insort(paths, node.path)

    def _kept_above(self, path: bytes) -> bytes:
        """Return the nearest directory above *path* that is kept."""
        while (path := path.rpartition(b"/")[0]) and path not in self._kept:
            pass
        return path

    def _signature(self, node: SeenNode) -> _Signature:
        above, _, name = node.path.rpartition(b"/")
        baseline = name if name in BASELINE else b""
        return (self._chain(above), node.kind, node.mode, node.uid, node.gid, baseline)

    def _enter(self, node: SeenNode) -> None:
        """Give the directory *node* the number that stands for its and its parents' permissions."""
        above = self._chain(node.path.rpartition(b"/")[0])
        key = (above, node.mode, node.uid, node.gid)
        self._chain_of[node.path] = self._chains.setdefault(key, len(self._chains) + 1)

    def _chain(self, directory: bytes) -> int:
        """Return the number of *directory*; 0 stands for all that no rule walks through."""
        return self._chain_of.get(directory, 0)

    def _is_new(self, path: bytes, signature: _Signature | None) -> bool:
        """Return whether rules walk here, and nothing alike is kept below the same directory."""
        if signature is None:
            return False
        above = self._kept_above(path)
        inside = above + b"/" if above else b""
        paths = self._alike.get(signature, [])
        at = bisect_left(paths, inside)
        return at == len(paths) or not paths[at].startswith(inside)


def _unknown_directory(path: bytes, node: SeenNode) -> SeenNode:
    """Return a directory at *path*, of which only *node* below it tells."""
    return SeenNode(path=path, kind="directory", mode=DIRECTORY_MODE, uid=node.uid, gid=node.gid)
