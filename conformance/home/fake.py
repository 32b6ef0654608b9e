"""Lay a home into a fake file system of pyfakefs: the third target, beside directory and tar."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from pyfakefs import fake_io, fake_pathlib, helpers
from pyfakefs.fake_file import FakeDirectory, FakeFile
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.fake_filesystem_unittest import Patcher, Pause

from conformance.home.build import Unbuildable
from conformance.home.fake_calls import ExactCalls
from conformance.home.fake_nodes import FakeFifo, FakeLink, FakeSocket
from conformance.home.fake_reading import reading
from conformance.home.fake_system import EXECUTE, NAME_MAX, ExactFilesystem, fail, may
from conformance.home.plan import Node
from conformance.home.references import Index, References
from conformance.home.snapshot import Snapshot, Stamp

__all__ = ["MOST_BYTES", "FakeFiles", "index_now"]

#: The most that one file may hold, in bytes: a fake file system keeps all of them in memory, twice.
MOST_BYTES = 64 * 1024**2

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


#: What was found so far; a module that has been imported refers to what it refers to.
_index = Index()


def index_now() -> Index:
    """Return where modules refer to functions, which is worth sharing between many homes.

    The modules of a gate have to be imported by then.
    """
    patcher = Patcher.PATCHER
    if patcher is None or not patcher.is_patching:
        _index.update(Patcher.SKIPMODULES)
    else:
        with Pause(patcher):
            _index.update(Patcher.SKIPMODULES)
    return _index


class FakeFiles:
    """A fake file system in which homes are laid, for one pretended user.

    As a context manager it gives the file system the lookup of Linux, and takes it back at the end.
    *filesystem* comes from a :class:`pyfakefs.fake_filesystem_unittest.Patcher`, as that of the
    fixture ``fs`` does. The user *uid* owns what is laid, and has no privileges, so 0 is refused.
    *index* says where modules refer to functions, if that is known.
    """

    def __init__(
        self, filesystem: FakeFilesystem, *, uid: int, gid: int, index: Index | None = None
    ) -> None:
        if uid == 0:
            raise ValueError("root reads what it must not: pretend another user")
        self._was: type[FakeFilesystem] = type(filesystem)
        self._ids = (helpers.get_uid(), helpers.get_gid())
        self._user = (uid, gid)
        self._fifos: list[FakeFifo] = []
        self._leave = ExitStack()
        self._index = index
        # It has the same data, so it becomes another class where it is: tests hold it already.
        filesystem.__class__ = ExactFilesystem
        assert isinstance(filesystem, ExactFilesystem)
        self.filesystem = filesystem
        self.os: Any = filesystem.patcher.fake_modules["os"]
        """The fake ``os`` of pyfakefs, with the functions that take the place of its own."""

    def __enter__(self) -> FakeFiles:
        helpers.set_uid(self._user[0])
        helpers.set_gid(self._user[1])
        calls = ExactCalls(self.filesystem, self.os)
        self.stand_in(calls.by_name())
        module: Any
        for module in (fake_io, fake_pathlib):
            given = module.fake_open
            self._leave.callback(setattr, module, "fake_open", given)
            module.fake_open = reading(calls, given)
        return self

    def stand_in(self, calls: Mapping[str, Callable[..., Any]]) -> None:
        """Let *calls* stand for the functions of ``os`` with their names, until the end.

        Modules of the suite and of pytest keep the real ones.
        """
        references = References()
        for name, call in calls.items():
            references.replace(getattr(os, name), call)
            self._leave.callback(self._restore, name, vars(self.os).get(name))
            setattr(self.os, name, call)
        self._leave.callback(references.undo)
        references.apply(self._index or index_now())

    def _restore(self, name: str, was: Any) -> None:
        if was is None:
            delattr(self.os, name)
        else:
            setattr(self.os, name, was)

    def __exit__(self, *_: object) -> None:
        self._leave.close()
        helpers.set_uid(self._ids[0])
        helpers.set_gid(self._ids[1])
        self.filesystem.__class__ = self._was  # type: ignore[assignment]

    def lay(self, nodes: Sequence[Node], home: str) -> None:
        """Lay the home that *nodes* describe at the path *home*, where nothing may be yet.

        Afterwards it is what they say, as far as the pretended user can see.

        :raises Unbuildable: a fake file system cannot show it; the reason says why.
        """
        places = {b"": self._made_directory(home)}
        try:
            for node in nodes:
                above, _, name = node.path.rpartition(b"/")
                file = self._made(node, os.fsdecode(name))
                places[above].add_entry(file)
                if isinstance(file, FakeDirectory):
                    places[node.path] = file
            self._finish(nodes, places)
        except OSError as e:
            raise Unbuildable(f"the fake file system cannot hold the home: {e}") from None
        directory = self.filesystem.working_directory()
        try:
            wrong = self._mismatch(nodes, home, places)
        finally:
            self.filesystem.work_in(directory)
        if wrong:
            raise Unbuildable(f"the fake file system does not hold the home: {wrong}")

    def add(self, nodes: Sequence[Node], home: str) -> None:
        """Put *nodes* into a *home* that is there, as the pretended user.

        What is there stays, and what the user may not write is left out: a program that writes on
        the side does not mind.
        """
        for node in nodes:
            above, _, name = node.path.rpartition(b"/")
            with suppress(OSError):
                place = self.filesystem.find(os.path.join(os.fsencode(home), above))
                if isinstance(place, FakeDirectory) and may(place, EXECUTE):
                    place.add_entry(self._made(node, os.fsdecode(name)))

    def _made_directory(self, path: str) -> FakeDirectory:
        """Make the directory *path* and what is missing above it."""
        here = self.filesystem.root
        for name in path.split("/"):
            if not name:
                continue
            if name not in here.entries:
                made = FakeDirectory(name, 0o755, filesystem=self.filesystem)
                self._own(made, None)
                # Not by add_entry, which asks whether the user may: root made what lies above.
                rights, here.st_mode = here.st_mode, here.st_mode | 0o777
                here.add_entry(made)
                here.st_mode = rights
            found = here.entries[name]
            assert isinstance(found, FakeDirectory), path
            here = found
        here.st_mode = stat.S_IFDIR | 0o700
        return here

    def _made(self, node: Node, name: str) -> FakeFile:
        if len(os.fsencode(name)) > NAME_MAX:
            fail(errno.ENAMETOOLONG, name)
        mode = node.mode
        file: FakeFile
        match node.kind:
            case "directory":
                file = FakeDirectory(name, 0o700, filesystem=self.filesystem)
            case "symlink":
                file = FakeLink(name, node.target, self.filesystem)
            case "fifo":
                file = FakeFifo(name, mode, self.filesystem)
                self._fifos.append(file)
            case "socket":
                file = FakeSocket(name, mode, self.filesystem)
            case _:
                if node.size > MOST_BYTES:
                    most = f"{MOST_BYTES // 1024**2} MiB"
                    raise Unbuildable(
                        f"the fake file system holds no file of more than {most}, "
                        f"and {os.fsdecode(node.path)!r} is larger"
                    )
                content = b"".join(node.chunks())
                file = FakeFile(
                    name,
                    stat.S_IFREG | mode,
                    content,  # type: ignore[type-var]  # bytes beside a text
                    filesystem=self.filesystem,
                )
                file.st_size = len(content)
        self._own(file, None)
        return file

    def _own(self, file: FakeFile, owner: int | None) -> None:
        # An owner is in no group with the user: what conditions on disk take for granted, too.
        file.st_uid, file.st_gid = self._user if owner is None else (owner, owner)

    def _finish(self, nodes: Sequence[Node], places: dict[bytes, FakeDirectory]) -> None:
        """Set owners and modes, which may shut a directory, and times, which new entries change."""
        for node in nodes:
            above, _, name = node.path.rpartition(b"/")
            file = places[above].entries[os.fsdecode(name)]
            if node.owner is not None:
                self._own(file, node.owner)
            if node.kind == "directory":
                file.st_mode = stat.S_IFDIR | node.mode
            if node.mtime is not None:
                file.st_mtime = file.st_atime = node.mtime

    def _mismatch(
        self, nodes: Sequence[Node], home: str, places: Mapping[bytes, FakeDirectory]
    ) -> str:
        """Return how what the pretended user sees falls short of *nodes*, or an empty string.

        What can be reached is looked at from the directory around it: whole paths would take
        seconds in a tree of a thousand levels.
        """
        shut: set[bytes] = set()
        here = None
        for node in nodes:
            above, _, path = node.path.rpartition(b"/")
            if above in shut:
                path = os.path.join(os.fsencode(home), node.path)
            elif above != here:
                self.filesystem.work_in(places[above])
                here = above
            wrong = self._shows(node, path, hidden=above in shut)
            if wrong:
                return f"{os.fsdecode(node.path)!r} {wrong}"
            if node.kind == "directory" and (above in shut or not _searchable(node, self._user[0])):
                shut.add(node.path)
        return ""

    def _shows(self, node: Node, path: bytes, *, hidden: bool) -> str:
        try:
            status = self.os.lstat(path)
        except PermissionError:
            return "" if hidden else "cannot be reached"
        if hidden:
            return "can be reached through a directory that may not be searched"
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "device")
        if kind != node.kind:
            return f"is a {kind}, not a {node.kind}"
        if kind == "symlink":
            target = self.os.readlink(path)
            return "" if target == node.target else f"leads to {os.fsdecode(target)!r}"
        if stat.S_IMODE(status.st_mode) != node.mode:
            return f"has mode {stat.S_IMODE(status.st_mode):04o}, not {node.mode:04o}"
        if kind == "file" and status.st_size != node.size:
            return f"has {status.st_size} bytes, not {node.size}"
        return self._readable(node, path)

    def _readable(self, node: Node, path: bytes) -> str:
        """Return whether *path* can be read where it should not be, or the other way round."""
        if node.kind not in ("file", "directory"):
            return ""
        if _readable(node, self._user[0]):
            return "" if self.os.access(path, os.R_OK) else "cannot be read"
        try:
            if node.kind == "directory":
                self.os.listdir(path)
            else:
                self.os.close(self.os.open(path, os.O_RDONLY))
        except PermissionError:
            return ""
        return "can be read"

    def snapshot(self, home: str) -> Snapshot:
        """Return a stamp for *home* (as ``b""``) and for all below it, whatever its modes."""
        top = self.filesystem.find(home, follow=False, checked=False)
        return dict(_stamps(top, b""))

    @property
    def waited_for(self) -> bool:
        """Whether a FIFO that was laid has been waited for, without end."""
        return any(fifo.waited_for for fifo in self._fifos)

    def remove(self, path: str) -> None:
        """Remove *path* and all below it, whatever its modes."""
        found = self.filesystem.find(path, follow=False, checked=False)
        above = found.parent_dir() if found.parent_dir is not None else None
        assert above is not None
        del above.entries[found.name]


def _readable(node: Node, uid: int) -> bool:
    own = node.owner in (None, uid)
    return bool(node.mode & (stat.S_IRUSR if own else stat.S_IROTH))


def _searchable(node: Node, uid: int) -> bool:
    own = node.owner in (None, uid)
    return bool(node.mode & (stat.S_IXUSR if own else stat.S_IXOTH))


def _stamps(top: FakeFile, path: bytes) -> Iterator[tuple[bytes, Stamp]]:
    pending: list[tuple[bytes, FakeFile]] = [(path, top)]
    while pending:
        path, file = pending.pop()
        yield path, _stamp(file)
        if isinstance(file, FakeDirectory):
            inside = path + b"/" if path else b""
            pending += [(inside + os.fsencode(name), e) for name, e in file.entries.items()]


def _stamp(file: FakeFile) -> Stamp:
    kind = _KINDS.get(stat.S_IFMT(file.st_mode), "device")
    mode = stat.S_IMODE(file.st_mode)
    if kind == "symlink":
        return Stamp(kind, mode, 0, file.contents or "")
    if kind != "file":
        return Stamp(kind, mode)
    content = file.byte_contents or b""
    return Stamp(kind, mode, len(content), hashlib.blake2b(content, digest_size=16).hexdigest())
