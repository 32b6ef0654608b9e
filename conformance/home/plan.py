"""From the entries of a scenario to the nodes of one home.

Placeholders are replaced, and repetitions written out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from conformance.catalogue.entry_schema import MAX_PATH
from conformance.errors import CannotJudge
from conformance.model.placeholders import Context, expand, expand_bytes, expand_json
from conformance.model.scenario import Bytes, Entry, EntryKind, Json, Runs, Text

__all__ = ["CHUNK", "DIRECTORY_MODE", "FILE_MODE", "MAX_PATH", "Node", "plan"]

#: The modes that login tools give to the files they write, and to the directories around them.
FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
CHUNK = 64 * 1024


class Node(Struct, frozen=True, kw_only=True):
    """One thing on disk."""

    path: bytes
    kind: EntryKind
    mode: int
    owner: int | None = None
    mtime: int | None = None
    """Time of the last change in epoch seconds; None for the time when it is built."""
    target: bytes = b""
    pieces: tuple[tuple[bytes, int], ...] = ()
    """Content: texts, each with a number of times, so that a large file needs no memory."""

    @property
    def size(self) -> int:
        """Length of the content in bytes."""
        return sum(len(text) * times for text, times in self.pieces)

    def chunks(self) -> Iterator[bytes]:
        """Yield the content in parts of about :data:`CHUNK` bytes."""
        for text, times in self.pieces:
            if not text:
                continue  # a reader would take an empty chunk for the end
            per_chunk = max(1, CHUNK // len(text))
            whole, rest = divmod(times, per_chunk)
            block = text * per_chunk if whole else b""
            for _ in range(whole):
                yield block
            if rest:
                yield text * rest


def plan(entries: Iterable[Entry], context: Context) -> list[Node]:
    """Return the nodes of a home, parents before children, with directories no entry mentions.

    :raises CannotJudge: two entries make the same path; or a path is too long, leaves the home, or
        lies below something that is not a directory.
    """
    nodes: dict[bytes, Node] = {}
    for entry in entries:
        for n in range(1, entry.count + 1):
            node = _node(entry, context, n)
            if wrong := _wrong_path(node.path, nodes):
                raise CannotJudge(wrong, hint="fix the scenario")
            nodes[node.path] = node
    for path in list(nodes):
        _add_directories(path, nodes)
    return [nodes[path] for path in sorted(nodes, key=lambda path: path.split(b"/"))]


def _wrong_path(path: bytes, nodes: Mapping[bytes, Node]) -> str:
    """Return why no further node can be at *path*, or an empty string."""
    if b"\0" in path or not {b"", b".", b".."}.isdisjoint(path.split(b"/")):
        return f"{path[:200]!r} is not a plain path below the home"
    if path in nodes:
        return f"two entries make the path {path[:200]!r}"
    if len(path) > MAX_PATH:
        return f"the path {path[:200]!r} is longer than {MAX_PATH} bytes"
    return ""


def _add_directories(path: bytes, nodes: dict[bytes, Node]) -> None:
    """Add the directories above *path* that are missing in *nodes*."""
    while path := path.rpartition(b"/")[0]:
        if path not in nodes:
            nodes[path] = Node(path=path, kind="directory", mode=DIRECTORY_MODE)
        elif nodes[path].kind == "directory":
            return
        else:
            wrong = f"something lies below {path[:200]!r}, which is not a directory"
            raise CannotJudge(wrong, hint="fix the scenario")


def _node(entry: Entry, context: Context, n: int) -> Node:
    path = expand_bytes(entry.path, context, n=n)
    if entry.depth:
        directory, slash, name = path.rpartition(b"/")
        path = directory + slash + b"d/" * entry.depth + name
    mode = entry.mode
    if mode is None:
        mode = DIRECTORY_MODE if entry.kind == "directory" else FILE_MODE
    mtime = None
    if entry.mtime:  # such as {now-30d}, here in seconds
        mtime = int(expand(entry.mtime[:-1] + ":s}", context))
    return Node(
        path=path,
        kind=entry.kind,
        mode=mode,
        owner=entry.owner,
        mtime=mtime,
        target=expand_bytes(entry.target, context, n=n),
        pieces=_pieces(entry, context, n),
    )


def _pieces(entry: Entry, context: Context, n: int) -> tuple[tuple[bytes, int], ...]:
    pieces: list[tuple[bytes, int]] = []
    match entry.content:
        case Text(text):
            pieces = [(expand_bytes(text, context, n=n), 1)]
        case Bytes(data):
            pieces = [(data, 1)]
        case Json(value):
            pieces = [(json.dumps(expand_json(value, context, n=n)).encode(), 1)]
        case Runs(runs):
            pieces = [(expand_bytes(text, context, n=n), times) for text, times in runs]
    if entry.size is not None:
        length = sum(len(text) * times for text, times in pieces)
        pieces.append((b" ", max(0, entry.size - length)))
    return tuple(pieces)
