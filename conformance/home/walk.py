"""Walk and remove trees that a probe has had in its hands: any depth, any mode, any name; no link is followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

__all__ = ["Visit", "remove", "walk"]

#: How far down the next directory is opened from a descriptor of its own: paths stay far below PATH_MAX.
_REACH = 2_000
#: From so many directories on, removing them in parallel pays for the threads.
_MANY = 200
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Visit(NamedTuple):
    """One directory of a walk."""

    path: bytes
    """Its path below the top."""
    place: tuple[bytes, int | None]
    """The same as a path and the descriptor it counts from, for calls with ``dir_fd``."""
    fd: int
    """Open while the visit lasts."""
    entries: list[tuple[bytes, os.stat_result | None]] | None
    """Its names, each with its status, or None for one that cannot be had; None where it cannot be read."""


def walk(top: Path | str, anchors: ExitStack, *, unlock: bool = False) -> Iterator[Visit]:
    """Yield a visit for every directory from *top* down, parents first.

    *anchors* keeps the descriptors that the places of the visits count from. With *unlock*, directories are first
    made readable to their owner, which removal needs.
    """
    pending: list[tuple[int | None, bytes, bytes]] = [(None, os.fsencode(top), b"")]
    while pending:
        anchor, relative, path = pending.pop()
        fd = _open(relative, anchor, unlock=unlock)
        if fd is None:
            yield Visit(path, (relative, anchor), -1, None)
            continue
        with ExitStack() as closing:
            closing.callback(os.close, fd)
            if unlock:
                os.fchmod(fd, 0o700)
            entries = [(name, _status(name, fd)) for name in map(os.fsencode, os.listdir(fd))]
            yield Visit(path, (relative, anchor), fd, entries)
            below = [name for name, status in entries if status is not None and stat.S_ISDIR(status.st_mode)]
            if below and len(relative) > _REACH:
                anchors.push(closing.pop_all())
                anchor, relative = fd, b"."
            pending += [(anchor, relative + b"/" + name, path + b"/" + name if path else name) for name in below]


def _open(relative: bytes, anchor: int | None, *, unlock: bool) -> int | None:
    try:
        return os.open(relative, _OPEN, dir_fd=anchor)
    except PermissionError:
        if not unlock:
            return None
    except OSError:
        return None
    try:
        os.chmod(relative, 0o700, dir_fd=anchor)
        return os.open(relative, _OPEN, dir_fd=anchor)
    except OSError:
        return None


def _status(name: bytes, fd: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return None


def remove(top: Path | str) -> None:
    """Remove *top* and all below it, also directories without any permission; one that is not there is fine.

    A symlink is removed itself, at the top as well as below it.

    :raises OSError: something could not be removed.
    """
    if not os.path.lexists(top):
        return
    if os.path.islink(top) or not os.path.isdir(top):
        os.unlink(top)
        return
    levels: dict[int, list[tuple[bytes, int | None]]] = {}
    with ExitStack() as anchors:
        for visit in walk(top, anchors, unlock=True):
            levels.setdefault(visit.path.count(b"/") + bool(visit.path), []).append(visit.place)
            for name, status in visit.entries or ():
                if status is None or not stat.S_ISDIR(status.st_mode):
                    os.unlink(name, dir_fd=visit.fd)
        for _, directories in sorted(levels.items(), reverse=True):
            _remove_empty(directories)


def _remove_empty(directories: list[tuple[bytes, int | None]]) -> None:
    """Remove directories that hold nothing, none within another.

    On ext4 removing one waits for the disk, up to milliseconds when the machine is busy, so that many are removed
    side by side.
    """
    if len(directories) < _MANY:
        for path, anchor in directories:
            os.rmdir(path, dir_fd=anchor)
        return
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda place: os.rmdir(place[0], dir_fd=place[1]), directories):
            pass
