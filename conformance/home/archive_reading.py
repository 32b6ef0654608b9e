"""Read a real HOME from a tar stream.

An archive tells what ``tar`` saw. It holds no sockets, and nothing that was closed to who made it.
"""

from __future__ import annotations

import os
import tarfile
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from lzma import LZMAError
from typing import BinaryIO, Self

from msgspec.structs import replace

from conformance.errors import CannotJudge, UsageError
from conformance.home.keeping import Keeping
from conformance.home.seen import SeenHome, SeenNode
from conformance.home.visible import AGENT_DIRECTORIES, READ_BYTES, Wanted
from conformance.model.entry import EntryKind

__all__ = ["ArchiveHome", "StreamHome"]

_KINDS: dict[bytes, EntryKind] = {
    **dict.fromkeys(tarfile.REGULAR_TYPES, "file"),
    tarfile.DIRTYPE: "directory",
    b"D": "directory",  # with a list of names, in an incremental archive of GNU tar
    tarfile.SYMTYPE: "symlink",
    tarfile.FIFOTYPE: "fifo",
}
_DEVICES = (tarfile.CHRTYPE, tarfile.BLKTYPE)
_HINT = "make it anew with: tar -C HOME -cf HOME.tar ."
#: Entries of an archive that are remembered, in case a link leads to one that came before it.
_REMEMBERED = 200_000
#: Bytes of files that are remembered for the same reason, where a stream comes only once; and the
#: most bytes of such a file.
_SPARE, _SMALL = 64 * 1024 * 1024, 256 * 1024
#: Bytes that may follow the end of an archive, which fills blocks.
_PADDING = 1024 * 1024


class _Header(tarfile.TarInfo):
    """A header of an archive; unlike the library's, it takes no fault for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as e:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # a block of zeros is the end
            raise tarfile.ReadError(str(e)) from None


class ArchiveHome:
    """A HOME in an archive that can be read any number of times."""

    def __init__(
        self,
        name: str,
        opened: Callable[[], AbstractContextManager[BinaryIO]],
        *,
        path: str = "",
    ) -> None:
        """Take the HOME in the archive called *name*, which each call of *opened* opens.

        Programs know it as *path*; it is empty if nobody knows.
        """
        self.path = path
        self._name = name
        self._opened = opened

    def look(self, wanted: Wanted) -> SeenHome:
        """See :class:`~conformance.home.reading.HomeSource`."""
        also: set[bytes] = set()
        while True:
            with self._opened() as stream:
                members = _Members(self._name, stream, wanted, also)
                home = _home(self._name, members, wanted)
            if not members.unread:
                return home
            if members.unread <= also:
                shown = os.fsdecode(min(members.unread))
                cause = f"{self._name} holds another name of '{shown}', and lacks that file"
                raise UsageError(cause, hint=_HINT)
            also |= members.unread


class StreamHome:
    """A HOME in an archive that comes once, as from a pipe."""

    def __init__(
        self,
        name: str,
        opened: Callable[[], AbstractContextManager[BinaryIO]],
        *,
        path: str = "",
    ) -> None:
        """Take the HOME in the archive called *name*, which *opened* opens; see ArchiveHome."""
        self.path = path
        self._name = name
        self._opened = opened
        self._nodes: list[SeenNode] = []
        self._more = False
        self._members: _Members | None = None

    def look(self, wanted: Wanted) -> SeenHome:
        """See :class:`~conformance.home.reading.HomeSource`."""
        late = False
        if self._members is None:
            with self._opened() as stream:
                self._members = _Members(self._name, stream, wanted, set(), spare=_SPARE)
                home = _home(self._name, self._remembered(self._members), wanted)
        else:
            home = _home(self._name, self._nodes, wanted)
            late = self._more or any(_is_missed(node, wanted) for node in home.nodes.values())
        if late or self._members.unread:
            cause = f"a link in {self._name} leads to what came before it, and was not kept"
            raise CannotJudge(cause, hint="write the archive to a file, and name that")
        return home

    def _remembered(self, nodes: Iterable[SeenNode]) -> Iterator[SeenNode]:
        """Yield *nodes*, and keep them for another look, as far as there is room."""
        for node in nodes:
            if len(self._nodes) < _REMEMBERED:
                self._nodes.append(node)
            else:
                self._more = True
            yield node


class _Members:
    """What one archive holds, read once from its start to its end."""

    def __init__(
        self,
        name: str,
        stream: BinaryIO,
        wanted: Wanted,
        also: Collection[bytes],
        *,
        spare: int = 0,
    ) -> None:
        """Read *stream*, and of the files in it those that are *wanted*, or are *also* to be read.

        *spare* is for how many bytes of other files there is room.
        """
        self.unread: set[bytes] = set()
        """Files that were not read, but turned out to have another name under which they are."""
        self._name = name
        self._stream = stream
        self._wanted = wanted
        self._also = also
        self._spare = spare
        self._files: dict[bytes, SeenNode] = {}

    def __iter__(self) -> Iterator[SeenNode]:
        """Yield what lies where, in the order of the archive.

        :raises UsageError: it is not an archive, ends too early, or holds what no HOME can.
        """
        where = "at its start"
        try:
            with tarfile.open(
                fileobj=self._stream,
                mode="r|*",
                tarinfo=_Header,
                encoding="utf-8",
                errors="surrogateescape",
            ) as tar:
                while (info := tar.next()) is not None:
                    vars(tar)["members"].clear()  # else the library keeps all of them
                    where = f"after '{info.name}'"
                    if (node := self._node(tar, info)) is not None:
                        yield node
        except (tarfile.TarError, zlib.error, LZMAError, EOFError, ValueError) as e:
            cause = f"{self._name} is not a whole tar archive: {e} {where}"
            raise UsageError(cause, hint=_HINT) from None
        except OSError as e:
            raise CannotJudge(f"{self._name} cannot be read: {e.strerror or e}") from None
        with suppress(OSError):
            self._stream.read(_PADDING)  # so that nobody is told that we do not listen

    def _node(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> SeenNode | None:
        """Return what *info* stands for; None for what is nothing in a HOME, such as a label."""
        if info.type not in _KINDS and info.type not in _DEVICES and not info.islnk():
            return None
        path = self._path(info.name)
        node = SeenNode(
            path=path,
            kind="file" if info.islnk() else _KINDS.get(info.type, "device"),
            mode=0o777 if info.issym() else info.mode & 0o7777,
            uid=info.uid,
            gid=info.gid,
            mtime=float(info.mtime),
            target=os.fsencode(info.linkname) if info.issym() else b"",
            size=info.size if info.isreg() else 0,
        )
        if info.islnk():
            return self._another_name(node, info)
        if node.kind == "file":
            if self._is_read(node):
                file = tar.extractfile(info) if info.size else None
                node = replace(node, content=file.read() if file is not None else b"")
            if node.content is not None or len(self._files) < _REMEMBERED:
                self._files[path] = node
        return node

    def _another_name(self, node: SeenNode, info: tarfile.TarInfo) -> SeenNode:
        """Return *node*, a hard link, as the file that it is another name of."""
        target = self._path(info.linkname)
        file = self._files.get(target)
        size = file.size if file is not None else 0
        content = file.content if file is not None else None
        other = replace(node, size=size, content=content)
        if _is_missed(other, self._wanted):
            self.unread.add(target)
        return other

    def _is_read(self, node: SeenNode) -> bool:
        limit = READ_BYTES if node.path in self._also else self._wanted.bytes_read(node.path)
        if not limit and node.size <= min(_SMALL, self._spare):
            self._spare -= node.size
            return True
        return 0 < limit >= node.size

    def _path(self, name: str) -> bytes:
        """Return the path below the HOME that *name* stands for.

        :raises UsageError: it lies outside of the directory that was put into the archive.
        """
        names = [part for part in os.fsencode(name).split(b"/") if part not in (b"", b".")]
        if name.startswith("/") or b".." in names:
            cause = f"{self._name} holds '{name}', which is not a path below a HOME"
            raise UsageError(cause, hint=_HINT)
        return b"/".join(names)


def _is_missed(node: SeenNode, wanted: Wanted) -> bool:
    """Return whether *node* is a file that should have been read, and was not."""
    limit = wanted.bytes_read(node.path)
    return node.kind == "file" and node.content is None and 0 < limit >= node.size


def _home(name: str, nodes: Iterable[SeenNode], wanted: Wanted) -> SeenHome:
    """Return the HOME that *nodes* of the archive called *name* make.

    :raises UsageError: they make none.
    """
    keeping = Keeping(wanted)
    named = False
    for node in nodes:
        named |= not node.path
        above, there = keeping.get(node.path.rpartition(b"/")[0]), keeping.get(node.path)
        clash = above is not None and above.kind != "directory"
        if clash or (
            there is not None and (there.kind == "directory") != (node.kind == "directory")
        ):
            shown = os.fsdecode(node.path)
            cause = f"{name} holds '{shown}' both as a directory and as something else"
            raise UsageError(cause, hint=_HINT)
        read = wanted.bytes_read(node.path) > 0
        keeping.add(node if read or node.content is None else replace(node, content=None))
    home = keeping.home(time.time())
    if not home.nodes:
        raise UsageError(f"{name} holds nothing", hint=_HINT)
    if not named and (inner := _inner(home)):
        cause = f"all that {name} holds lies in '{inner}', which seems to be the HOME"
        raise UsageError(cause, hint=_HINT)
    return home


def _inner(home: SeenHome) -> str:
    """Return the directory that all else lies in, if agents' things do; else an empty string.

    ``tar -c /home/agent`` makes such an archive, and so does ``docker cp``.
    """
    inside: dict[bytes, list[bytes]] = {}
    for path in home.nodes:
        if path:
            inside.setdefault(path.rpartition(b"/")[0], []).append(path)
    at, agents = b"", {*AGENT_DIRECTORIES, b".claude.json"}
    while agents.isdisjoint(path.rpartition(b"/")[2] for path in inside.get(at, ())):
        if len(inside.get(at, ())) != 1 or at in home.passed_over:
            return ""
        at = inside[at][0]
    return os.fsdecode(at)
