"""From the entries of a scenario to the nodes of one home: placeholders replaced, repetitions written out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from msgspec import Struct

from conformance.catalogue.schema import MAX_PATH
from conformance.errors import CannotJudge
from conformance.model.placeholders import Context, expand, expand_bytes, expand_json
from conformance.model.scenario import Bytes, Entry, EntryKind, Json, Runs, Text

__all__ = ["CHUNK", "DIRECTORY_MODE", "FILE_MODE", "MAX_PATH", "Node", "plan"]

#: What login tools give the files they write, and the directories around them.
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
    """Time of last change in epoch seconds; None leaves it to the clock."""
    target: bytes = b""
    pieces: tuple[tuple[bytes, int], ...] = ()
    """Content: each text so many times, so that a large file needs no memory."""

    @property
    def size(self) -> int:
        """Length of the content in bytes."""
        return sum(len(text) * times for text, times in self.pieces)

    def chunks(self) -> Iterator[bytes]:
        """Yield the content in parts of about :data:`CHUNK` bytes."""
        for text, times in self.pieces:
            if not text:
                continue  # an empty chunk would look like the end to a reader
            per_chunk = max(1, CHUNK // len(text))
            whole, rest = divmod(times, per_chunk)
            block = text * per_chunk if whole else b""
            for _ in range(whole):
                yield block
            if rest:
                yield text * rest


def plan(entries: Iterable[Entry], context: Context) -> list[Node]:
    """Return the nodes of a home, parents before children, with the directories that nobody mentioned.

    :raises CannotJudge: two entries come out at the same path, or a path is too long, or leads out of the home.
    """
    nodes: dict[bytes, Node] = {}
    for entry in entries:
        for n in range(1, entry.count + 1):
            node = _node(entry, context, n)
            if b"\0" in node.path or not {b"", b".", b".."}.isdisjoint(node.path.split(b"/")):
                raise CannotJudge(f"{node.path[:200]!r} is no plain path below the home", hint="mend the scenario")
            if node.path in nodes or len(node.path) > MAX_PATH:
                raise CannotJudge(f"two entries make, or no system takes, the path {node.path[:200]!r}", hint="mend the scenario")
            nodes[node.path] = node
    for path in list(nodes):
        while path := path.rpartition(b"/")[0]:
            if path in nodes:
                if nodes[path].kind != "directory":
                    raise CannotJudge(f"something lies below {path[:200]!r}, which is no directory", hint="mend the scenario")
                break
            nodes[path] = Node(path=path, kind="directory", mode=DIRECTORY_MODE)
    return [nodes[path] for path in sorted(nodes, key=lambda path: path.split(b"/"))]


def _node(entry: Entry, context: Context, n: int) -> Node:
    path = expand_bytes(entry.path, context, n=n)
    if entry.depth:
        directory, slash, name = path.rpartition(b"/")
        path = directory + slash + b"d/" * entry.depth + name
    default = DIRECTORY_MODE if entry.kind == "directory" else FILE_MODE
    return Node(
        path=path,
        kind=entry.kind,
        mode=default if entry.mode is None else entry.mode,
        owner=entry.owner,
        mtime=int(expand(entry.mtime[:-1] + ":s}", context)) if entry.mtime else None,
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
        pieces.append((b" ", max(0, entry.size - sum(len(text) * times for text, times in pieces))))
    return tuple(pieces)
