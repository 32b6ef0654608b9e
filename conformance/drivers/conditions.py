"""What the modes and owners in a home mean for the user that runs the probe."""

from __future__ import annotations

import stat
from collections.abc import Iterable

from conformance.home import Node

__all__ = ["conditions"]


def conditions(nodes: Iterable[Node], base: bytes, uid: int) -> Iterable[tuple[str, bytes]]:
    """Yield the conditions that the modes and owners of *nodes* set for the probe's user *uid*.

    Each is ``unreadable`` or ``unsearchable``, and a path. All are checked before the probe starts.
    """
    for node in nodes:
        if node.kind not in ("file", "directory"):
            continue
        own = node.owner in (None, uid)
        path = base + b"/" + node.path if node.path else base
        if not node.mode & (stat.S_IRUSR if own else stat.S_IROTH):
            yield "unreadable", path
        if node.kind == "directory" and not node.mode & (stat.S_IXUSR if own else stat.S_IXOTH):
            yield "unsearchable", path
