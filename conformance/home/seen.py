"""A home as it was found: what lies where, and what the files hold, as far as it was read."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct, field

from conformance.home.plan import DIRECTORY_MODE, Node
from conformance.model.entry import EntryKind

__all__ = ["SeenHome", "SeenNode", "kind_of", "seen_in_plan"]


class SeenNode(Struct, frozen=True, kw_only=True):
    """One thing that was found."""

    path: bytes
    """Its path below the HOME; empty for the HOME itself."""
    kind: EntryKind | Literal["device"]
    mode: int
    """Its permission bits."""
    uid: int
    gid: int
    mtime: float | None = None
    """Time of the last change in epoch seconds; None if nothing says so."""
    target: bytes = b""
    """Where a link leads, as it is written there."""
    size: int = 0
    """Of a file, in bytes."""
    content: bytes | None = None
    """What a file holds; None if it was not read: no rule looks at it, it is long, or closed."""


class SeenHome(Struct, frozen=True, kw_only=True):
    """What was found in one HOME. It holds what the files hold: secrets, too."""

    nodes: Mapping[bytes, SeenNode]
    """By their paths; parents come before children."""
    passed_over: Mapping[bytes, int] = field(default_factory=dict)
    """Directory to the number of entries below it that were counted, and not kept.

    What lies below those is counted only where rules walk. No rule's answer depends on any of it.
    """
    closed: frozenset[bytes] = frozenset()
    """Directories whose entries whoever looked could not read, and files that rules read."""
    read_at: float = 0.0
    """When it was looked at, in epoch seconds: what times are relative to."""


def kind_of(mode: int) -> EntryKind | Literal["device"]:
    """Return the kind of what has this *mode*, as ``st_mode`` gives it."""
    kinds: dict[int, EntryKind] = {
        stat.S_IFREG: "file",
        stat.S_IFDIR: "directory",
        stat.S_IFLNK: "symlink",
        stat.S_IFIFO: "fifo",
        stat.S_IFSOCK: "socket",
    }
    return kinds.get(stat.S_IFMT(mode), "device")


def seen_in_plan(nodes: Iterable[Node], *, now: float, uid: int = 0, gid: int = 0) -> SeenHome:
    """Return what would be found in the home that *nodes* describe, if it were built.

    *uid* and *gid* own what no other owner is named for. No disk is touched.
    """
    found = {b"": SeenNode(path=b"", kind="directory", mode=DIRECTORY_MODE, uid=uid, gid=gid)}
    for node in nodes:
        content = b"".join(node.chunks()) if node.kind == "file" else None
        found[node.path] = SeenNode(
            path=node.path,
            kind=node.kind,
            mode=node.mode if node.kind != "symlink" else 0o777,
            uid=uid if node.owner is None else node.owner,
            gid=gid,
            mtime=now if node.mtime is None else node.mtime,
            target=node.target,
            size=node.size,
            content=content,
        )
    return SeenHome(nodes=found, read_at=now)
