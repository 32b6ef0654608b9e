"""What a user can reach in a home that was seen: paths, links, permissions, as the kernel has them.

No disk is touched. What lies outside of the home was not seen, so nothing is known of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from conformance.home.seen import SeenHome, SeenNode

__all__ = ["Found", "Opened", "Reach"]

#: As many links are followed in one path as Linux follows.
_MOST_LINKS = 40
_READ, _SEARCH = 4, 1


class Found(Struct, frozen=True, kw_only=True):
    """Where a path leads."""

    end: Literal["there", "missing", "not-directory", "loop", "closed", "unknown"]
    """How the search for it ended.

    ``not-directory``: something lies on the way that is no directory; ``closed``: a directory on
    the way may not be searched; ``unknown``: it leads to where nobody looked.
    """
    node: SeenNode | None = None
    """What is there; a link only where the last one was not to be followed."""


#: Something lies on the way that no path leads on from.
_NOT_ON = Found(end="not-directory")


class Opened(Struct, frozen=True, kw_only=True):
    """What comes of opening a file to read it."""

    end: Literal[
        "there",
        "missing",
        "not-directory",
        "loop",
        "closed",
        "not-a-file",
        "unreadable",
        "unknown",
    ]
    content: bytes = b""


class Reach(Struct, frozen=True, kw_only=True):
    """A home, and the user who looks at it."""

    home: SeenHome
    home_path: str
    """The absolute path that the HOME has for the user."""
    uid: int
    gids: tuple[int, ...]
    reads_all: bool = False
    """Whether no mode keeps the user out, as none does root with all its capabilities."""
    cwd: str | None = ""
    """The current directory; empty for one in which nothing lies, None if nobody knows it."""

    def may(self, node: SeenNode, right: int) -> bool:
        """Return whether the user has this *right* (4 to read, 1 to search) to *node*."""
        if self.reads_all:
            return True
        if node.uid == self.uid:
            return bool(node.mode >> 6 & right)
        if node.gid in self.gids:
            return bool(node.mode >> 3 & right)
        return bool(node.mode & right)

    def may_list(self, node: SeenNode) -> bool:
        """Return whether the user can list a directory and look at what is in it."""
        return self.may(node, _READ) and self.may(node, _SEARCH)

    def may_enter(self, path: str) -> bool:
        """Return whether *path* leads to a directory in which the user can look for a name."""
        node = self.find(path).node
        return node is not None and node.kind == "directory" and self.may(node, _SEARCH)

    def find(self, path: str) -> Found:
        """Return where *path* leads, all links followed; a relative one counts from ``cwd``."""
        if not path.startswith("/"):
            if self.cwd is None:
                return Found(end="unknown")
            if not self.cwd:
                return Found(end="unknown" if ".." in path.split("/") else "missing")
            path = f"{self.cwd}/{path}"
        return self._walk(os.fsencode(path))

    def _walk(self, path: bytes) -> Found:
        base = _names(os.fsencode(self.home_path))
        at: list[bytes] = []  # the names above, all of directories
        todo = path.split(b"/")
        links = 0
        while todo:
            name, *todo = todo
            if name in (b"", b"."):
                continue
            if name == b"..":
                at = at[:-1]
                continue
            if at[: len(base)] != base:  # on the way to the home, or beside it
                at = [*at, name]
                if base[: len(at)] != at:
                    return Found(end="unknown")
                continue
            found = self._child(b"/".join(at[len(base) :]), name)
            if found.node is None or found.node.kind not in ("symlink", "directory"):
                return _NOT_ON if found.node is not None and todo else found
            if found.node.kind == "directory":
                at = [*at, name]
                continue
            links += 1
            if links > _MOST_LINKS:
                return Found(end="loop")
            at = [] if found.node.target.startswith(b"/") else at
            todo = [*found.node.target.split(b"/"), *todo]
        if at[: len(base)] != base:
            return Found(end="unknown")
        return Found(end="there", node=self.home.nodes[b"/".join(at[len(base) :])])

    def _child(self, parent: bytes, name: bytes) -> Found:
        """Return what the directory *parent* has under *name*."""
        if not self.may(self.home.nodes[parent], _SEARCH):
            return Found(end="closed")
        node = self.home.nodes.get(parent + b"/" + name if parent else name)
        if node is not None:
            return Found(end="there", node=node)
        return Found(end="unknown" if parent in self.home.closed else "missing")

    def open(self, path: str) -> Opened:
        """Return what comes of reading the file at *path*."""
        found = self.find(path)
        if found.node is None:
            assert found.end != "there", "then there is a node"
            return Opened(end=found.end)
        if found.node.kind != "file":
            return Opened(end="not-a-file")
        if not self.may(found.node, _READ):
            return Opened(end="unreadable")
        if found.node.content is None:
            return Opened(end="there" if found.node.size == 0 else "unknown")
        return Opened(end="there", content=found.node.content)

    def below(self, directory: SeenNode) -> Iterator[SeenNode]:
        """Yield what the user can find below *directory* without following a link.

        A directory that cannot be listed, or was closed to whoever looked, is the last that is
        found on its way.
        """
        prefix = directory.path + b"/" if directory.path else b""
        shut: set[bytes] = set()
        for path, node in self.home.nodes.items():  # parents come before children
            if not path.startswith(prefix) or path == directory.path:
                continue
            if path.rpartition(b"/")[0] in shut:
                shut.add(path)
                continue
            if node.kind == "directory" and not self.may_list(node):
                shut.add(path)
            yield node


def _names(path: bytes) -> list[bytes]:
    return [name for name in path.split(b"/") if name not in (b"", b".")]
