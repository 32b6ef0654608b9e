"""Read a real HOME: what lies where, and what the files hold that rules look at.

Nothing is written, no link is followed out of the HOME, and nothing but regular files is opened.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from conformance.errors import CannotJudge, UsageError
from conformance.home.keeping import Keeping
from conformance.home.links import below, expanded, steps
from conformance.home.seen import SeenHome, SeenNode, kind_of
from conformance.home.visible import Wanted
from conformance.home.walk import Entries, walk

__all__ = ["DirectoryHome", "FoundHome", "HomeSource", "read_home"]

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
#: How often a file is read that changes meanwhile, and seconds between two attempts.
_ATTEMPTS, _PAUSE = 5, 0.02
#: How often a HOME is looked through: links may lead to links. A kernel follows no more of them.
_ROUNDS = 40
_PART = 1024 * 1024


class HomeSource(Protocol):
    """Where a HOME can be found."""

    path: str
    """Where it lies for the programs that live in it; empty if nobody knows."""

    def look(self, wanted: Wanted) -> SeenHome:
        """Return what is there, and what the files hold that are *wanted*.

        :raises UsageError: there is no HOME.
        :raises CannotJudge: it cannot be read.
        """


class FoundHome(Struct, frozen=True, kw_only=True):
    """A HOME, and where it was found."""

    seen: SeenHome
    path: str
    """Where it lies for the programs that live in it; empty if nobody knows."""


def read_home(source: HomeSource, named: Iterable[str] = ()) -> FoundHome:
    """Return the HOME that *source* leads to.

    *named* are files and directories that the environment names, as ``CODEX_HOME`` does: absolute,
    or below the HOME. What lies outside of the HOME is not looked at.

    :raises UsageError: there is no HOME.
    :raises CannotJudge: it cannot be read, or changes while it is read.
    """
    top = os.fsencode(source.path)
    wanted = Wanted()
    places = [place for name in named for place in (name, expanded(name)) if place]
    inside = frozenset(
        path for place in places if (path := _inside(os.fsencode(place), top)) is not None
    )
    wanted = Wanted(wanted.directories | inside, wanted.files | inside)
    for _ in range(_ROUNDS):
        seen = source.look(wanted)
        more = _through_links(seen, wanted, top)
        if more == wanted:
            break
        wanted = more
    return FoundHome(seen=seen, path=source.path)


def _inside(path: bytes, top: bytes) -> bytes | None:
    """Return *path* as one below the HOME at *top*, or None if it leads elsewhere."""
    path = os.path.normpath(path)
    if path.startswith(b"/"):
        return below(path, top)
    if path.split(b"/")[0] == b"..":
        return None
    return b"" if path == b"." else path


def _through_links(seen: SeenHome, wanted: Wanted, top: bytes) -> Wanted:
    """Return *wanted* with the places that links in the HOME lead to, as far as they were kept."""
    directories, files, taken = set(wanted.directories), set(wanted.files), set(wanted.taken)
    read = wanted.read_by_rules()
    for path in wanted.directories | read:
        end = [*steps(seen.nodes, path, top)][-1:]
        if path in wanted.directories:
            directories.update(end)
        if path in read and end != [path]:
            files.update(end)
    for path in wanted.taken_for_logins():
        end = [*steps(seen.nodes, path, top)][-1:]
        if end != [path]:
            taken.update(end)
    return Wanted(frozenset(directories), frozenset(files), frozenset(taken))


class DirectoryHome:
    """A HOME that is a directory on this machine."""

    def __init__(self, directory: Path, *, path: str = "") -> None:
        """Take the HOME at *directory*; programs know it as *path*, by default the same.

        :raises UsageError: there is no such directory.
        """
        linked = os.path.islink(directory)
        self._top = os.path.realpath(directory) if linked else os.fspath(directory)
        self.path = path or os.path.abspath(directory)
        try:
            if not stat.S_ISDIR(os.stat(self._top).st_mode):
                hint = "name the directory that is the HOME"
                raise UsageError(f"{directory} is not a directory", hint=hint)
        except OSError as e:
            cause = f"{directory} cannot be looked at: {e.strerror}"
            raise UsageError(cause, hint="name the directory that is the HOME") from None

    def look(self, wanted: Wanted) -> SeenHome:
        """See :class:`HomeSource`."""
        return _Look(self._top, wanted).home()


class _Look:
    """One walk through a directory."""

    def __init__(self, top: str, wanted: Wanted) -> None:
        self._top = top
        self._wanted = wanted
        self._keeping = Keeping(wanted)
        self._device = 0

    def home(self) -> SeenHome:
        """Return what is there."""
        started = time.time()
        try:
            status = os.stat(self._top, follow_symlinks=False)
            self._device = status.st_dev
            self._keeping.add(_node(b"", status))
            with ExitStack() as anchors:
                for visit in walk(self._top, anchors, look=self._entries):
                    if visit.entries is None:
                        self._not_entered(visit.path, visit.place)
        except OSError as e:
            raise CannotJudge(f"{self._top} cannot be read: {e.strerror}") from None
        return self._keeping.home(started)

    def _not_entered(self, path: bytes, place: tuple[bytes, int | None]) -> None:
        try:
            status = os.stat(place[0], dir_fd=place[1], follow_symlinks=False)
            gone = not stat.S_ISDIR(status.st_mode)
        except PermissionError:
            gone = False
        except FileNotFoundError:
            gone = True
        if gone:  # since it was listed
            self._keeping.forget(path)
        else:
            self._keeping.close(path)

    def _entries(self, directory: bytes, fd: int) -> Entries:
        """Keep what matters in *directory*; return the directories that are to be entered."""
        inside = directory + b"/" if directory else b""
        found: Entries = []
        # Directories that rules see come last, so they are entered first.
        names = sorted(map(os.fsencode, os.listdir(fd)))
        names.sort(key=lambda name: not self._keeping.is_visible(inside + name))
        for name in names:
            path = inside + name
            if not self._keeping.is_of_interest(path):
                self._keeping.count(path)
                continue
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue  # it has gone since it was listed
            except PermissionError:
                self._keeping.close(directory)  # it can be listed, and not searched
                return []
            if self._add(path, name, status, fd):
                found.append((name, status))
        return found[::-1]

    def _add(self, path: bytes, name: bytes, status: os.stat_result, fd: int) -> bool:
        """Keep what is at *path*, if it matters; return whether it is a directory to be entered."""
        node = _node(path, status)
        if node.kind == "symlink":
            node = replace(node, target=os.readlink(name, dir_fd=fd))
        kept = self._keeping.add(node)
        if node.kind == "directory":
            # Other file systems, such as /proc in the HOME "/", may have no end.
            visible = self._keeping.is_visible(path)
            return visible or (kept and status.st_dev == self._device)
        if node.kind == "file" and kept and (limit := self._wanted.bytes_read(path)):
            self._read(path, name, fd, limit)
        return False

    def _read(self, path: bytes, name: bytes, directory: int, limit: int) -> None:
        """Keep what the file at *path* holds, unless it has more than *limit* bytes."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE)
            try:
                fd = os.open(name, _READ, dir_fd=directory)
            except FileNotFoundError:
                self._keeping.forget(path)
                return
            except PermissionError:
                self._keeping.close(path)
                return
            except OSError as e:
                if e.errno == errno.ELOOP:
                    continue  # it has become a link since it was listed
                raise
            try:
                before = os.fstat(fd)
                if not stat.S_ISREG(before.st_mode):
                    continue
                content = _up_to(fd, limit + 1)
                after = os.fstat(fd)
            finally:
                os.close(fd)
            if _unchanged(before, after):
                self._keeping.add(_node(path, after))
                if len(content) <= limit:
                    self._keeping.set_content(path, content)
                return
        cause = f"'{os.fsdecode(path)}' in the HOME changes while it is read"
        raise CannotJudge(cause, hint="try again, or read a copy")


def _up_to(fd: int, size: int) -> bytes:
    """Return the first *size* bytes, or fewer if there are no more."""
    parts: list[bytes] = []
    while size > 0 and (part := os.read(fd, min(size, _PART))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def _node(path: bytes, status: os.stat_result) -> SeenNode:
    return SeenNode(
        path=path,
        kind=kind_of(status.st_mode),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime=status.st_mtime,
        size=status.st_size if stat.S_ISREG(status.st_mode) else 0,
    )
