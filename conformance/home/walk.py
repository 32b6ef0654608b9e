"""Walk and remove trees that a probe has touched.

They may have any depth, mode and name. No link is followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

__all__ = ["Entries", "Visit", "remove", "walk"]

#: Paths longer than this are counted from a new descriptor: they stay far below PATH_MAX.
_REACH = 2_000
#: From this many directories on, removing them in parallel pays for the threads.
_MANY = 200
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


#: Entries of a directory: names, each with its status, or None if that cannot be read.
Entries = list[tuple[bytes, os.stat_result | None]]


class Visit(NamedTuple):
    """One directory of a walk."""

    path: bytes
    """Its path below the top."""
    place: tuple[bytes, int | None]
    """The same as a path and the descriptor that it counts from, for calls with ``dir_fd``."""
    fd: int
    """Its descriptor, open during the visit; -1 if it cannot be opened."""
    entries: Entries | None
    """Its names, each with its status, or None if that cannot be read; None if no name can."""


def walk(
    top: Path | str,
    anchors: ExitStack,
    *,
    unlock: bool = False,
    look: Callable[[bytes, int], Entries] | None = None,
) -> Iterator[Visit]:
    """Yield a visit for every directory from *top* down, parents first.

    *anchors* keeps the descriptors that the places of the visits count from. With *unlock*,
    directories are first made readable to their owner, which removal needs. *look* takes the path
    and the descriptor of a directory, and returns those of its entries that matter. Directories
    among them are visited, beginning with the last.
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
            entries = _entries(fd) if look is None else look(path, fd)
            yield Visit(path, (relative, anchor), fd, entries)
            below = [name for name, status in entries if _is_directory(status)]
            if below and len(relative) > _REACH:
                anchors.push(closing.pop_all())
                anchor, relative = fd, b"."
            inside = path + b"/" if path else b""
            pending += [(anchor, relative + b"/" + name, inside + name) for name in below]


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


def _entries(fd: int) -> Entries:
    names = map(os.fsencode, os.listdir(fd))
    return [(name, _status(name, fd)) for name in names]


def _status(name: bytes, fd: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return None


def _is_directory(status: os.stat_result | None) -> bool:
    return status is not None and stat.S_ISDIR(status.st_mode)


def remove(top: Path | str) -> None:
    """Remove *top* and all below it, including directories without any permission.

    It may be missing. A symlink is removed itself, at the top as well as below it.

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
                if not _is_directory(status):
                    os.unlink(name, dir_fd=visit.fd)
        for _, directories in sorted(levels.items(), reverse=True):
            _remove_empty(directories)


def _remove_empty(directories: list[tuple[bytes, int | None]]) -> None:
    """Remove empty directories, of which none lies within another.

    On ext4, removing one waits for the disk, up to milliseconds on a busy machine, so many are
    removed in parallel.
    """
    if len(directories) < _MANY:
        for path, anchor in directories:
            os.rmdir(path, dir_fd=anchor)
        return
    with ThreadPoolExecutor(8) as pool:
        removals = [pool.submit(os.rmdir, path, dir_fd=anchor) for path, anchor in directories]
    for removal in removals:
        removal.result()  # raises what went wrong
