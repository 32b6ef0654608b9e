"""Functions of ``os`` for a fake file system, where those of pyfakefs answer as no kernel does."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from pyfakefs import helpers
from pyfakefs.fake_file import FakeDirectory, FakeDirWrapper, FakeFile
from pyfakefs.fake_open import FakeFileOpen

from conformance.home.fake_nodes import FakeFifo
from conformance.home.fake_system import EXECUTE, READ, ExactFilesystem, fail, may, path_of

__all__ = ["ExactCalls", "FakeEntry", "Scan"]

#: The functions that stand for those of pyfakefs, and for real ones that it has none for.
_NAMES = (
    *("access", "chdir", "close", "fchdir", "isatty", "listdir", "open", "read", "readlink"),
    *("scandir", "write"),
)
#: Functions of the standard library that are written in Python, over others of ``os``.
_IN_PYTHON = ("walk", "_walk", "fwalk", "_fwalk")


_real_isatty, _real_read, _real_write = os.isatty, os.read, os.write


class FakeEntry:
    """An entry of a listed directory, as :class:`os.DirEntry` is one."""

    def __init__(self, filesystem: ExactFilesystem, place: Any, name: str, file: FakeFile) -> None:
        self._filesystem = filesystem
        self._file = file
        as_bytes = isinstance(place, bytes)
        self.name: Any = os.fsencode(name) if as_bytes else name
        #: The path of an entry that was listed by a descriptor is its name.
        self.path: Any = self.name if isinstance(place, int) else os.path.join(place, self.name)

    def __fspath__(self) -> Any:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    def inode(self) -> int:
        """Return the number of the entry itself."""
        return int(self._file.st_ino or 0)

    def is_symlink(self) -> bool:
        """Return whether it is a link."""
        return stat.S_ISLNK(self._file.st_mode)

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether it is a directory, or leads to one."""
        return self._is(stat.S_IFDIR, follow=follow_symlinks)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether it is a regular file, or leads to one."""
        return self._is(stat.S_IFREG, follow=follow_symlinks)

    def is_junction(self) -> bool:
        """Return False: there are none here."""
        return False

    def _is(self, kind: int, *, follow: bool) -> bool:
        file = self._file
        if follow and self.is_symlink():
            try:
                file = self._filesystem.find(path_of(file))
            except FileNotFoundError:
                return False
        return stat.S_IFMT(file.st_mode) == kind

    def stat(self, *, follow_symlinks: bool = True) -> Any:
        """Return its status, for which the directory around it has to be searchable."""
        return self._filesystem.stat(path_of(self._file), follow_symlinks)


class Scan:
    """What :func:`os.scandir` returns."""

    def __init__(self, filesystem: ExactFilesystem, place: Any) -> None:
        place = "." if place is None else place
        place = place if isinstance(place, int) else helpers.make_string_path(place)
        found = filesystem.list_of(place)
        self._entries = iter(
            [FakeEntry(filesystem, place, name, file) for name, file in found.entries.items()]
        )

    def __iter__(self) -> Iterator[FakeEntry]:
        return self

    def __next__(self) -> FakeEntry:
        return next(self._entries)

    def __enter__(self) -> Scan:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Yield nothing more."""
        self._entries = iter(())


class ExactCalls:
    """The functions themselves, for one file system; *module* is the fake ``os`` of pyfakefs."""

    def __init__(self, filesystem: ExactFilesystem, module: Any) -> None:
        self._filesystem = filesystem
        self._module = module
        self._given: dict[str, Any] = {
            name: getattr(module, name) for name in ("close", "read", "write")
        }

    def by_name(self) -> dict[str, Callable[..., Any]]:
        """Return the functions by their names in ``os``."""
        own = {name: getattr(self, name) for name in _NAMES}
        ids = {"getuid": helpers.get_uid, "getgid": helpers.get_gid}
        ids |= {"geteuid": helpers.get_uid, "getegid": helpers.get_gid}
        own |= {name: (lambda get=get: get()) for name, get in ids.items()}
        return {**own, **self._from_library(own)}

    def _from_library(self, own: dict[str, Any]) -> dict[str, Any]:
        """Return what Python's own ``os`` builds on these functions, built on them."""
        names = ("stat", "lstat", "fstat")
        values = vars(os) | own | {name: getattr(self._module, name) for name in names}
        values["path"] = self._module.path
        made = {}
        for name in _IN_PYTHON:
            original = getattr(os, name, None)
            if isinstance(original, FunctionType):
                copy = FunctionType(original.__code__, values, name, original.__defaults__)
                copy.__kwdefaults__ = original.__kwdefaults__
                copy.__doc__ = original.__doc__
                made[name] = values[name] = copy
        return made

    def _place(self, path: Any, dir_fd: int | None) -> Any:
        """Return *path*, which may count from the directory of a descriptor."""
        if dir_fd is None or isinstance(path, int):
            return path
        text = helpers.make_string_path(path)
        if os.path.isabs(text):
            return text
        above = self._filesystem.get_open_file(dir_fd).get_object()
        if not isinstance(above, FakeDirectory):
            fail(errno.ENOTDIR, path)
        place = path_of(above)
        return os.path.join(os.fsencode(place) if isinstance(text, bytes) else place, text)

    def access(
        self,
        path: Any,
        mode: int,
        *,
        dir_fd: int | None = None,
        effective_ids: bool = False,
        follow_symlinks: bool = True,
    ) -> bool:
        """See :func:`os.access`: no error, whatever is in the way."""
        try:
            found = self._filesystem.resolve(
                self._place(path, dir_fd), follow_symlinks, allow_fd=True
            )
        except OSError:
            return False
        return may(found, mode)

    def listdir(self, path: Any = ".") -> Any:
        """See :func:`os.listdir`."""
        return self._filesystem.listdir("." if path is None else path)

    def scandir(self, path: Any = ".") -> Scan:
        """See :func:`os.scandir`."""
        return Scan(self._filesystem, path)

    def readlink(self, path: Any, *, dir_fd: int | None = None) -> Any:
        """See :func:`os.readlink`."""
        path = helpers.make_string_path(path)
        found = self._filesystem.find(self._place(path, dir_fd), follow=False)
        if not stat.S_ISLNK(found.st_mode):
            fail(errno.EINVAL, path)
        target = found.contents or ""
        return os.fsencode(target) if isinstance(path, bytes) else target

    def chdir(self, path: Any) -> None:
        """See :func:`os.chdir`."""
        found = self._filesystem.resolve(path, allow_fd=True)
        if not isinstance(found, FakeDirectory):
            fail(errno.ENOTDIR, path)
        if not may(found, EXECUTE):
            fail(errno.EACCES, path)
        self._filesystem.work_in(found)

    def fchdir(self, fd: int) -> None:
        """See :func:`os.fchdir`."""
        self.chdir(fd)

    # The three standard streams are the same inside and outside. What a gate writes to them goes
    # where a program's output goes, and not to the object that sys.stdout is just now.

    def isatty(self, fd: int, /) -> bool:
        """See :func:`os.isatty`: no fake file is a terminal."""
        return fd <= 2 and _real_isatty(fd)

    def close(self, fd: int, /) -> None:
        """See :func:`os.close`; a standard stream stays open."""
        if fd > 2:
            self._given["close"](fd)

    def read(self, fd: int, length: int, /) -> bytes:
        """See :func:`os.read`."""
        return _real_read(fd, length) if fd <= 2 else self._given["read"](fd, length)

    def write(self, fd: int, data: Any, /) -> int:
        """See :func:`os.write`."""
        return _real_write(fd, data) if fd <= 2 else self._given["write"](fd, bytes(data))

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        """See :func:`os.open`; temporary files without a name are made as pyfakefs makes them."""
        path = self._place(path, dir_fd)
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            return int(type(self._module).open(self._module, path, flags, mode))
        found = self._found(path, flags)
        if found is None:
            return self._created(path, flags, mode)
        if flags & os.O_DIRECTORY and not isinstance(found, FakeDirectory):
            fail(errno.ENOTDIR, path)
        if isinstance(found, FakeDirectory):
            return self._opened_directory(found, path, flags)
        if not isinstance(found, FakeFifo):
            return self._opened(path, flags)
        if flags & os.O_NONBLOCK and flags & (os.O_WRONLY | os.O_RDWR) == os.O_WRONLY:
            fail(errno.ENXIO, path)
        found.waits = not flags & os.O_NONBLOCK
        return self._opened(path, flags)

    def _found(self, path: Any, flags: int) -> FakeFile | None:
        exclusive = flags & os.O_CREAT and flags & os.O_EXCL
        follow = not (flags & os.O_NOFOLLOW or exclusive)
        try:
            found = self._filesystem.find(path, follow=follow)
        except FileNotFoundError:
            if flags & os.O_CREAT:
                return None
            raise
        if exclusive:
            fail(errno.EEXIST, path)
        if stat.S_ISLNK(found.st_mode):
            fail(errno.ELOOP, path)
        return found

    def _opened_directory(self, found: FakeDirectory, path: Any, flags: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            fail(errno.EISDIR, path)
        # What is opened as a place only has to be reached, and not to be read.
        if not flags & os.O_PATH and not may(found, READ):
            fail(errno.EACCES, path)
        wrapper = FakeDirWrapper(found, path, self._filesystem)
        wrapper.filedes = self._filesystem.add_open_file(wrapper)
        return int(wrapper.filedes)

    def _opened(self, path: Any, flags: int) -> int:
        modes = helpers._OpenModes(
            must_exist=not flags & os.O_CREAT,
            can_read=not flags & os.O_WRONLY,
            can_write=bool(flags & (os.O_RDWR | os.O_WRONLY)),
            truncate=bool(flags & os.O_TRUNC),
            append=bool(flags & os.O_APPEND),
            must_not_exist=bool(flags & os.O_EXCL),
        )
        file = FakeFileOpen(self._filesystem, raw_io=True)(path, "b", open_modes=modes)
        return int(file.fileno())

    def _created(self, path: Any, flags: int, mode: int) -> int:
        number = self._opened(path, flags)
        made = self._filesystem.get_open_file(number).get_object()
        assert isinstance(made, FakeFile)
        made.st_mode = stat.S_IFREG | (mode & 0o7777 & ~self._filesystem.umask)
        return number
