"""Write a home as a tar stream, for targets that cannot be reached as a directory."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

from conformance.home.build import Unbuildable
from conformance.home.plan import Node

__all__ = ["write_tar"]

_TYPES = {"file": tarfile.REGTYPE, "directory": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "fifo": tarfile.FIFOTYPE}


class _Reader(io.RawIOBase):
    """A file over chunks, so that a large content is never held as a whole."""

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
        part, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return part


def write_tar(nodes: Iterable[Node], stream: BinaryIO, *, uid: int = 0, gid: int = 0, now: float = 0.0) -> None:
    """Write *nodes* to *stream* as an uncompressed pax archive (POSIX.1-2001), which keeps any name and any time.

    Entries belong to *uid* and *gid* unless the scenario names an owner; what has no time of its own gets *now*.

    :raises Unbuildable: the home holds a socket, which no tar archive can.
    """
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape") as tar:
        for node in nodes:
            if node.kind not in _TYPES:
                raise Unbuildable(f"a tar archive cannot hold {os.fsdecode(node.path)!r}, a {node.kind}")
            info = tarfile.TarInfo(os.fsdecode(node.path))
            info.type = _TYPES[node.kind]
            info.mode = 0o777 if node.kind == "symlink" else node.mode
            info.mtime = int(now) if node.mtime is None else node.mtime
            info.uid, info.gid = (uid if node.owner is None else node.owner), gid
            info.linkname = os.fsdecode(node.target)
            info.size = node.size
            tar.addfile(info, cast(BinaryIO, _Reader(node.chunks())) if node.kind == "file" else None)
