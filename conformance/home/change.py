"""Change a home that stands, as its owner would: what stays the same is not touched."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from conformance.errors import CannotJudge
from conformance.home.build import build
from conformance.home.plan import DIRECTORY_MODE, Node
from conformance.home.walk import remove

__all__ = ["change"]


def change(before: Iterable[Node], after: Iterable[Node], home: Path) -> None:
    """Make the *home* that was built from the nodes *before* what those *after* describe.

    :raises Unbuildable: the file system or the user's rights do not allow a node.
    :raises CannotJudge: anything else went wrong, such as a full disk.
    """
    old = {node.path: node for node in before}
    new = {node.path: node for node in after}
    stays = sorted(path for path in old.keys() & new.keys() if _stays(old[path], new[path]))
    # Nothing can be changed below a directory that is shut, so each is open in the meantime.
    shut = [
        path
        for path in stays
        if new[path].kind == "directory" and {old[path].mode, new[path].mode} != {DIRECTORY_MODE}
    ]
    try:
        for path in shut:
            os.chmod(home / os.fsdecode(path), DIRECTORY_MODE)
        for path in sorted(old.keys() - set(stays), reverse=True):  # what is below comes first
            remove(home / os.fsdecode(path))
        build([new[path] for path in new if path not in stays], home)
        for path in reversed(shut):
            os.chmod(home / os.fsdecode(path), new[path].mode)
    except OSError as e:
        raise CannotJudge(f"the home cannot be changed: {e}") from None


def _stays(old: Node, new: Node) -> bool:
    """Return whether an entry is not made anew: it is the same, or a directory as before."""
    return old == new or (old.kind == new.kind == "directory")
