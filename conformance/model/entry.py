"""What lies in a fake HOME: files and what they hold, directories, links."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

__all__ = ["Bytes", "Content", "Entry", "EntryKind", "Json", "Runs", "Text"]

EntryKind = Literal["file", "directory", "symlink", "fifo", "socket"]


class Text(Struct, frozen=True, tag="text"):
    """Text with placeholders."""

    text: str


class Bytes(Struct, frozen=True, tag="bytes"):
    """Bytes as they are."""

    data: bytes


class Json(Struct, frozen=True, tag="json"):
    """A JSON value, with placeholders in its strings."""

    value: Any


class Runs(Struct, frozen=True, tag="runs"):
    """Texts with placeholders, each with the number of times it is written."""

    runs: tuple[tuple[str, int], ...]


#: What a file of the HOME holds.
Content = Text | Bytes | Json | Runs


class Entry(Struct, frozen=True, kw_only=True):
    """One line of a scenario's HOME, with its placeholders not yet replaced."""

    path: str
    kind: EntryKind
    content: Content | None = None
    """What a file holds, without padding; None if it is empty or the entry is not a file."""
    target: str = ""
    size: int | None = None
    """The size in bytes that the content is padded to with blanks."""
    mode: int | None = None
    owner: int | None = None
    mtime: str = ""
    count: int = 1
    depth: int = 0
