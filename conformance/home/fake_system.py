"""The fake file system of pyfakefs, with the path lookup of Linux.

What pyfakefs 6.3 does on its own: it wants directories readable where they only have to be
searchable, lets others be passed that may not, takes ``..`` from the text of a path, and knows no
limit of names. All of that is decided by the functions here, which take the place of its own.
"""

from __future__ import annotations

import errno
import os
import random
import stat
import sys
import zoneinfo  # noqa: F401 - so that it is there when modules are kept real
from typing import Any, NoReturn

from pyfakefs import helpers
from pyfakefs.fake_file import FakeDirectory, FakeFile
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.fake_filesystem_unittest import Patcher

__all__ = [
    "EXECUTE",
    "NAME_MAX",
    "READ",
    "WRITE",
    "ExactFilesystem",
    "fail",
    "keep_real",
    "may",
    "path_of",
]

READ, WRITE, EXECUTE = 4, 2, 1
#: Limits of Linux.
NAME_MAX = 255
_MOST_LINKS = 40
_PATH_MAX = 4096
_NULL = "/dev/null"


def keep_real() -> None:
    """Keep pyfakefs from giving fakes to modules of ours: they make them, and read our own files.

    That goes for the modules that are imported by now, and for patchers that are set up later.
    """
    # Time zones are Python's own as well, wherever they lie.
    real = ("conformance", "zoneinfo")
    ours = {m for name, m in sys.modules.items() if name.partition(".")[0] in real}
    if not ours <= Patcher.SKIPMODULES:
        Patcher.SKIPMODULES |= ours
        Patcher.clear_fs_cache()


def fail(number: int, path: object) -> NoReturn:
    """Raise what the kernel answers."""
    raise OSError(number, os.strerror(number), path)


def may(file: FakeFile, wanted: int) -> bool:
    """Return whether the pretended user has all *wanted* rights: the sum of READ and the others."""
    status = file.stat_result
    if helpers.get_uid() == status.st_uid:
        bits = status.st_mode >> 6
    elif helpers.get_gid() == status.st_gid:
        bits = status.st_mode >> 3
    else:
        bits = status.st_mode
    return bits & wanted == wanted


class ExactFilesystem(FakeFilesystem):
    """What a file system of pyfakefs becomes: see :func:`conformance.home.fake.lay`."""

    def find(self, path: Any, *, follow: bool = True, checked: bool = True) -> FakeFile:
        """Return what *path* names.

        Only directories on the way have to be searchable, and nothing has to be readable. Where it
        is not *checked*, nothing has to be searchable either.

        :raises OSError: what Linux answers.
        """
        _, _, found = self._look_up(path, follow=follow, checked=checked)
        if found is None:
            fail(errno.ENOENT, path)
        return found

    def _look_up(
        self, path: Any, *, follow: bool, checked: bool
    ) -> tuple[FakeDirectory, str, FakeFile | None]:
        """Return the last directory on *path*, the last name, and what has that name, if anything.

        :raises OSError: what Linux answers where the last directory cannot be reached.
        """
        text = _checked(path)
        if text == _NULL:
            return self.root, text, self.dev_null
        here: FakeFile = self.root if text.startswith("/") else self.working_directory()
        # A slash at the end: what it names has to be a directory, and a link there is followed.
        slash, rest = text.endswith("/"), _names(text)
        directory, name, found, links = here, "", here, 0
        while rest:
            name = rest.pop()
            directory = _passed(here, path, checked=checked)
            entry = _entry(directory, name, path)
            if entry is None:
                if rest:
                    fail(errno.ENOENT, path)
                return directory, name, None
            if (rest or follow or slash) and stat.S_ISLNK(entry.st_mode):
                links += 1
                target = _target(entry, links, path)
                slash = slash or (not rest and target.endswith("/"))
                rest += _names(target)
                entry = self.root if target.startswith("/") else directory
            here = found = entry
        if slash and not isinstance(found, FakeDirectory):
            fail(errno.ENOTDIR, path)
        assert isinstance(directory, FakeDirectory)
        return directory, name, found

    def working_directory(self) -> FakeDirectory:
        """Return the current directory, also where its path could not be followed any more."""
        known: tuple[str, FakeDirectory] | None = self.__dict__.get("_working_directory")
        if known is None or known[0] != self.cwd:
            found = self.root
            for name in self.cwd.split("/"):
                if name:
                    entry = found.entries[name]
                    assert isinstance(entry, FakeDirectory), self.cwd
                    found = entry
            known = (self.cwd, found)
            self.__dict__["_working_directory"] = known
        return known[1]

    def work_in(self, directory: FakeDirectory) -> None:
        """Make *directory* the current one."""
        self.cwd = path_of(directory)
        self.__dict__["_working_directory"] = (self.cwd, directory)

    def list_of(self, path: Any) -> FakeDirectory:
        """Return the directory *path*, or of that descriptor, if it may be listed.

        :raises OSError: it is none, or may not be.
        """
        # The right to read was asked for when a descriptor was opened.
        found = self._of_descriptor(path) if isinstance(path, int) else self.find(path)
        if not isinstance(found, FakeDirectory):
            fail(errno.ENOTDIR, path)
        if not isinstance(path, int) and not may(found, READ):
            fail(errno.EACCES, path)
        return found

    def _of_descriptor(self, number: int) -> FakeFile:
        found = self.get_open_file(number).get_object()
        if not isinstance(found, FakeFile):
            fail(errno.EBADF, number)
        return found

    # What pyfakefs asks itself, with its names and parameters.

    def resolve(
        self,
        file_path: Any,
        follow_symlinks: bool = True,
        allow_fd: bool = False,
        check_read_perm: bool = True,
        check_exe_perm: bool = True,
        check_owner: bool = False,
    ) -> FakeFile:
        """See :meth:`find`; a descriptor where that is allowed."""
        if isinstance(file_path, int):
            if not allow_fd:
                raise TypeError("path should be string, bytes or os.PathLike, not int")
            return self._of_descriptor(file_path)
        return self.find(file_path, follow=follow_symlinks)

    def lresolve(self, path: Any) -> FakeFile:
        """See :meth:`find`; a link itself."""
        return self.find(path, follow=False)

    def get_object_from_normpath(
        self,
        file_path: Any,
        check_read_perm: bool = True,
        check_exe_perm: bool = True,
        check_owner: bool = False,
    ) -> FakeFile:
        """See :meth:`find`."""
        return self.find(file_path, follow=False, checked=check_read_perm or check_exe_perm)

    def resolve_path(self, file_path: Any, allow_fd: bool = False) -> Any:
        """Return *file_path* without links; its last name need not exist."""
        if isinstance(file_path, int):
            return path_of(self._of_descriptor(file_path))
        if file_path is None:
            raise TypeError("Expected file system path string, received None")
        directory, name, found = self._look_up(file_path, follow=True, checked=True)
        if found is self.dev_null:
            return file_path
        path = path_of(directory) if found is None else path_of(found)
        if found is None:
            path = f"{path.rstrip('/')}/{name}"
        return os.fsencode(path) if isinstance(file_path, bytes) else path

    def exists(self, file_path: Any, check_link: bool = False) -> bool:
        """Return whether *file_path* leads somewhere, as far as may be seen."""
        try:
            if isinstance(file_path, int):
                self._of_descriptor(file_path)
            else:
                self.find(file_path, follow=not check_link)
        except (OSError, ValueError):
            return False
        return True

    def _is_of_type(self, path: Any, st_flag: int, follow_symlinks: bool = True) -> bool:
        try:
            found = self.resolve(path, follow_symlinks, allow_fd=True)
        except (OSError, ValueError):
            return False
        return stat.S_IFMT(found.st_mode) == st_flag

    def stat(self, entry_path: Any, follow_symlinks: bool = True) -> Any:
        """Return the status of *entry_path*."""
        return self.resolve(entry_path, follow_symlinks, allow_fd=True).stat_result.copy()

    def confirmdir(
        self,
        target_directory: Any,
        check_read_perm: bool = True,
        check_exe_perm: bool = True,
        check_owner: bool = False,
    ) -> FakeDirectory:
        """Return the directory *target_directory*."""
        found = self.resolve(target_directory, allow_fd=True)
        if not isinstance(found, FakeDirectory):
            fail(errno.ENOTDIR, target_directory)
        # What lists a directory asks for it like this, and nothing else does.
        if check_read_perm and not check_exe_perm and not may(found, READ):
            fail(errno.EACCES, target_directory)
        return found

    def listdir(self, target_directory: Any) -> Any:
        """Return the names in a directory, in any order, of the type that its path has."""
        names = list(self.list_of(target_directory or ".").entries)
        if self.shuffle_listdir_results:
            random.shuffle(names)
        if isinstance(target_directory, bytes):
            return [os.fsencode(name) for name in names]
        return names


def _checked(path: Any) -> str:
    """Return *path* as text, if a system call takes it.

    :raises OSError: it is empty or too long.
    :raises ValueError: it holds a NUL.
    """
    text = os.fsdecode(helpers.make_string_path(path))
    if "\0" in text:
        raise ValueError("embedded null byte")
    if not text:
        fail(errno.ENOENT, path)
    if len(text) * 4 >= _PATH_MAX and len(os.fsencode(text)) >= _PATH_MAX:
        fail(errno.ENAMETOOLONG, path)
    return text


def _passed(here: FakeFile, path: Any, *, checked: bool) -> FakeDirectory:
    """Return *here*, on the way along *path*, if it is a directory that may be searched."""
    if not isinstance(here, FakeDirectory):
        fail(errno.ENOTDIR, path)
    if checked and not may(here, EXECUTE):
        fail(errno.EACCES, path)
    return here


def _entry(directory: FakeDirectory, name: str, path: Any) -> FakeFile | None:
    if name == ".":
        return directory
    if name == "..":
        above = directory.parent_dir() if directory.parent_dir is not None else None
        return above if above is not None else directory
    if len(name) * 4 > NAME_MAX and len(os.fsencode(name)) > NAME_MAX:
        fail(errno.ENAMETOOLONG, path)
    return directory.entries.get(name)


def _names(path: str) -> list[str]:
    """Return the names on *path*, the last one first."""
    return [name for name in reversed(path.split("/")) if name]


def _target(link: FakeFile, links: int, path: Any) -> str:
    target = link.contents
    if links > _MOST_LINKS:
        fail(errno.ELOOP, path)
    if not target:
        fail(errno.ENOENT, path)
    return target


def path_of(file: FakeFile) -> str:
    """Return the absolute path of *file*."""
    names: list[str] = []
    while file.parent_dir is not None and (above := file.parent_dir()) is not None:
        names.append(os.fsdecode(file.name))
        file = above
    return "/" + "/".join(reversed(names))
