"""A home as a tar stream, for places that cannot be reached as a directory."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Collection, Iterable, Iterator
from typing import BinaryIO, cast

from msgspec.structs import replace

from conformance.home.build import Unbuildable
from conformance.home.plan import CHUNK, Node
from conformance.home.snapshot import Snapshot, Stamp, stamp_of
from conformance.model.scenario import EntryKind

__all__ = ["read_tar", "snapshot_tar", "write_tar"]

_TYPES: dict[EntryKind, bytes] = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "fifo": tarfile.FIFOTYPE,
}
_KINDS = {code: kind for kind, code in _TYPES.items()}


class _Reader(io.RawIOBase):
    """A file made of chunks, so that large content is never in memory as a whole."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._rest += chunk
        end = len(self._rest) if size < 0 else size
        part, self._rest = self._rest[:end], self._rest[end:]
        return part


def write_tar(
    nodes: Iterable[Node], stream: BinaryIO, *, uid: int = 0, gid: int = 0, now: float = 0.0
) -> None:
    """Write *nodes* to *stream* as an uncompressed archive in GNU's format.

    The format keeps any name as its bytes, whatever its length, and any time; unlike pax, small
    programs such as busybox can read it. Entries belong to *uid* and *gid*; where the scenario
    names another owner, the group has the same number. Entries without a time get *now*.

    :raises Unbuildable: the home holds a socket, which no tar archive can.
    """
    with tarfile.open(
        fileobj=stream,
        mode="w|",
        format=tarfile.GNU_FORMAT,
        encoding="utf-8",
        errors="surrogateescape",
    ) as tar:
        for node in nodes:
            if node.kind not in _TYPES:
                name = repr(os.fsdecode(node.path))
                raise Unbuildable(f"a tar archive cannot hold {name}, a {node.kind}")
            info = tarfile.TarInfo(os.fsdecode(node.path))
            info.type = _TYPES[node.kind]
            info.mode = 0o777 if node.kind == "symlink" else node.mode
            info.mtime = int(now) if node.mtime is None else node.mtime
            info.uid = uid if node.owner is None else node.owner
            info.gid = gid if node.owner in (None, uid) else info.uid
            info.linkname = os.fsdecode(node.target)
            info.size = node.size
            content = _Reader(node.chunks()) if node.kind == "file" else None
            tar.addfile(info, cast(BinaryIO | None, content))


def read_tar(stream: BinaryIO, *, strip: int = 1) -> Iterator[Node]:
    """Yield what an archive holds, without the first *strip* names of each path.

    By default an archive of one directory is expected, which comes first, with an empty path.
    Devices are left out.

    :raises tarfile.TarError: the stream is not an archive, or ends too early.
    """
    first: dict[bytes, Node] = {}
    for node, content, other in _members(stream, strip):
        if other is not None:
            yield replace(first[other], path=node.path)
            continue
        whole = b"".join(content)
        first[node.path] = replace(node, pieces=((whole, 1),)) if node.kind == "file" else node
        yield first[node.path]


def snapshot_tar(
    stream: BinaryIO, *, strip: int = 1, keep: Collection[bytes] = ()
) -> tuple[Snapshot, dict[bytes, bytes]]:
    """Return the stamps of what an archive holds, and the content of the files at *keep*.

    No other file is ever in memory as a whole. Paths are as in :func:`read_tar`.

    :raises tarfile.TarError: the stream is not an archive, or ends too early.
    """
    found: dict[bytes, Stamp] = {}
    kept: dict[bytes, bytes] = {}
    for node, content, other in _members(stream, strip):
        if other is not None:
            found[node.path] = found[other]
        elif node.path in keep:
            kept[node.path] = b"".join(content)
            found[node.path] = stamp_of(node, iter((kept[node.path],)))
        else:
            found[node.path] = stamp_of(node, content)
    return found, kept


def _members(stream: BinaryIO, strip: int) -> Iterator[tuple[Node, Iterator[bytes], bytes | None]]:
    """Yield each member without its content, the content, and the path that it is another name of.

    A content is to be read before the next member is asked for.
    """
    paths: dict[str, bytes] = {}
    with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
        for info in tar:
            path = os.fsencode(info.name.removeprefix("./")).rstrip(b"/")
            below = b"/".join(path.split(b"/")[strip:])
            if info.islnk() and info.linkname in paths:
                yield _node(info, below), iter(()), paths[info.linkname]
            elif info.isfile() or info.type in _KINDS:
                paths[info.name] = below
                yield _node(info, below), _content(tar, info), None


def _node(info: tarfile.TarInfo, path: bytes) -> Node:
    return Node(
        path=path,
        kind=_KINDS.get(info.type, "file"),
        mode=info.mode & 0o7777,
        owner=info.uid,
        mtime=int(info.mtime),
        target=os.fsencode(info.linkname) if info.issym() else b"",
    )


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(info) if info.isfile() else None
    while file is not None and (chunk := file.read(CHUNK)):
        yield chunk
