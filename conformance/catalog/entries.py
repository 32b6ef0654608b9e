"""From the ``files`` table of a scenario or layer to entries; what is wrong with a path or a content is found here."""

from __future__ import annotations

import base64
import binascii
import math
import posixpath
import re
from typing import Any

from msgspec import UNSET

from conformance.errors import FileError
from conformance.model import Entry
from conformance.placeholders import Context, check, expand
from conformance.shapes import MAX_SIZE, EntryTable, Files

__all__ = ["entries_of", "merge"]

_CONTENTS = ("text", "json", "hex", "base64", "runs", "symlink", "type")
_UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
#: Only for judging where a path or a link leads; no home is ever built with it.
_ANYWHERE = Context(now=0, seed="", home="/home")


def entries_of(files: Files, *, name: str) -> tuple[Entry, ...]:
    """Return the entries of a ``files`` table in the file called *name*.

    :raises FileError: an entry leaves the home, contradicts itself or holds an unknown placeholder.
    """
    return tuple(_entry(path, table, name, f"home.files.{path}") for path, table in files.items())


def merge(layers: list[tuple[Entry, ...]], *, name: str) -> tuple[Entry, ...]:
    """Return the entries of several layers as one, later ones in place of earlier ones with the same path.

    :raises FileError: something would have to lie below an entry that is no directory.
    """
    merged = {entry.path: entry for layer in layers for entry in layer}
    for path in merged:
        parts = path.split("/")
        for end in range(1, len(parts)):
            above = merged.get("/".join(parts[:end]))
            if above is not None and above.kind != "directory":
                raise FileError(name, f"lies below '{above.path}', which is no directory", key=f"home.files.{path}")
    return tuple(merged.values())


def _entry(path: str, table: str | EntryTable, name: str, key: str) -> Entry:
    if isinstance(table, str):
        table = EntryTable(text=table)
    if wrong := _wrong_path(path, table):
        raise FileError(name, wrong, key=key)
    given = [content for content in _CONTENTS if getattr(table, content) is not UNSET]
    if len(given) > 1:
        raise FileError(name, f"{' and '.join(given)} exclude each other", key=key, hint="keep one")
    if not given and table.size is UNSET:
        raise FileError(name, "has no content", key=key, hint=f"give one of {', '.join((*_CONTENTS, 'size'))}")
    kind = given[0] if given else "size"
    try:
        return Entry(path=path, **_content(kind, table, path), **_attributes(kind, table))
    except ValueError as e:
        raise FileError(name, str(e), key=key) from None


def _wrong_path(path: str, table: EntryTable) -> str:
    if wrong := check(path):
        return wrong
    if "{home}" in path or "{secret" in path or "{now" in path:
        return "only {byte:..} and {n} may stand in a path"
    path_there = expand(path, _ANYWHERE)  # {byte:..} can write a dot, a slash and a NUL as well
    parts = path_there.split("/")
    if path_there.startswith("/") or ".." in parts:
        return "leaves the home: write a path below it"
    if "" in parts or "." in parts:
        return "is no plain path: no empty part, no '.', nothing at the end"
    if "\0" in path_there or any(len(part.encode("utf-8", "surrogateescape")) > 255 for part in parts):
        return "has a part that no file system takes: over 255 bytes, or a NUL"
    if (table.count is not UNSET) and "{n}" not in path:
        return "is repeated, so its path needs {n}"
    return ""


def _content(kind: str, table: EntryTable, path: str) -> dict[str, Any]:
    if kind == "type":
        return {"kind": table.type}
    if kind == "symlink":
        return {"kind": "symlink", "target": _target(str(table.symlink), path)}
    found: dict[str, Any] = {"kind": "file"}
    if kind == "text":
        found["text"] = _checked(str(table.text))
    elif kind == "json":
        found |= {"json": _json(table.json), "has_json": True}
    elif kind == "hex":
        found["data"] = _decoded(bytes.fromhex, str(table.hex), "hex")
    elif kind == "base64":
        found["data"] = _decoded(lambda text: base64.b64decode(text, validate=True), str(table.base64), "base64")
    elif kind == "runs" and not isinstance(table.runs, type(UNSET)):
        found["runs"] = tuple((_checked(text), times) for text, times in table.runs)
        if sum(len(text.encode()) * times for text, times in table.runs) > MAX_SIZE:
            raise ValueError(f"runs: over {MAX_SIZE} bytes")
    return found


def _attributes(kind: str, table: EntryTable) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("owner", "count", "depth"):
        if getattr(table, name) is not UNSET:
            found[name] = getattr(table, name)
    if isinstance(table.mtime, str):
        if not re.fullmatch(r"\{now[^{}:]*\}", _checked(table.mtime)):
            raise ValueError("mtime: write a relative time such as {now-30d}")
        found["mtime"] = table.mtime
    if isinstance(table.mode, str):
        if kind == "symlink" or not re.fullmatch(r"0?[0-7]{3,4}", table.mode):
            raise ValueError("mode: write an octal text such as '0600', and none for a symlink")
        found["mode"] = int(table.mode, 8)
    if not isinstance(table.size, type(UNSET)):
        if kind in ("symlink", "type"):
            raise ValueError("size: only a file has one")
        found["size"] = _size(table.size)
    return found


def _size(size: int | str) -> int:
    match = re.fullmatch(r"(\d{1,10}) ?(|KiB|MiB|GiB)", str(size))
    if not match or int(match[1]) * _UNITS[match[2]] > MAX_SIZE:
        raise ValueError("size: write bytes, or a text such as '20 MiB'; at most 1 GiB")
    return int(match[1]) * _UNITS[match[2]]


def _target(target: str, path: str) -> str:
    """Return *target* when a link at *path* that has it stays inside the home, as far as its text can tell."""
    text = expand(_checked(target), _ANYWHERE)
    leads_to = posixpath.normpath(posixpath.join(_ANYWHERE.home, posixpath.dirname(path), text))
    if "\0" in text or not f"{leads_to}/".startswith(f"{_ANYWHERE.home}/"):
        raise ValueError("symlink: the target leaves the home; write a relative one, or {home}/…")
    return target


def _checked(text: str) -> str:
    if wrong := check(text):
        raise ValueError(wrong)
    return text


def _decoded(decode: Any, text: str, name: str) -> bytes:
    try:
        result: bytes = decode(text)
    except (ValueError, binascii.Error) as e:
        raise ValueError(f"{name}: {str(e).lower()}") from None
    return result


def _json(value: Any) -> Any:
    """Return *value* when JSON can carry it; TOML has dates and non-finite numbers, which JSON has not."""
    if isinstance(value, dict):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("json: JSON has no infinite numbers and no NaN; write the file as text")
    if isinstance(value, str):
        return _checked(value)
    if isinstance(value, int | float):
        return value
    raise ValueError("json: JSON has no dates; write a relative time such as {now+8h:rfc3339}")
