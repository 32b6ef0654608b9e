"""From the ``files`` table of a scenario or layer to entries, with paths and contents checked."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import takewhile
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from conformance.catalogue.entry_schema import (
    MAX_LEVELS,
    MAX_PATH,
    MAX_SIZE,
    EntryTable,
    Files,
)
from conformance.errors import FileError
from conformance.model.placeholders import Context, check, expand_bytes
from conformance.model.scenario import Bytes, Content, Entry, Json, Runs, Text

__all__ = ["entries_of", "merge"]

_CONTENTS = (
    *("text", "json", "patch", "moved", "copied"),
    *("hex", "base64", "runs", "symlink", "type"),
)
#: Where the content comes from a layer below.
_FROM_BELOW = ("patch", "moved", "copied")
_UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
#: Only to check where a path or a link leads; no home is ever built with it.
_ANYWHERE = Context(now=0, seed="", home="/home")


#: In a patch, the value of a member to remove. RFC 7396 writes null, which is a plain value here.
_ABSENT = "{absent}"


class Patch(Entry, frozen=True, kw_only=True):
    """A change to an entry in a layer below: to its json, to where it lies, or to both."""

    change: Any = None
    """What to change (RFC 7396)."""
    own: tuple[str, ...] = ()
    """The attributes that it also gives."""
    source: str = ""
    """The path of the entry below, if that is not its own."""
    moves: bool = False
    """Whether nothing is left at *source*."""


def entries_of(
    files: Files, *, name: str, table: str = "home.files", stub: bool = False
) -> tuple[Entry, ...]:
    """Return the entries of a ``files`` *table* in the file called *name*.

    The texts of a *stub* may have placeholders of their own.

    :raises FileError: an entry leaves the home, contradicts itself or holds an unknown placeholder.
    """
    if not stub:
        for path, entry in files.items():
            text = entry if isinstance(entry, str) else entry.text
            if isinstance(text, str) and (wrong := check(text)):
                raise FileError(name, wrong, key=f"{table}.{path}")
    return tuple(_entry(path, entry, name, f"{table}.{path}") for path, entry in files.items())


def merge(layers: list[tuple[Entry, ...]], *, name: str) -> tuple[Entry, ...]:
    """Return the entries of several layers as one; a later entry replaces one with the same path.

    :raises FileError: an entry lies below one that is not a directory, or a patch has nothing to
        change.
    """
    merged: dict[str, Entry] = {}
    for layer in layers:
        for entry in layer:
            if isinstance(entry, Patch):
                _apply(entry, merged, name)
            else:
                merged[entry.path] = entry
    _check_nesting(merged, name)
    return tuple(merged.values())


def _apply(patch: Patch, merged: dict[str, Entry], name: str) -> None:
    """Change *merged*, the entries of the layers below, as *patch* says."""
    key = f"home.files.{patch.path}"
    below = merged.get(patch.source or patch.path)
    if patch.source and below is None:
        there = ", ".join(merged) or "nothing"
        wrong = f"no included layer has '{patch.source}'"
        raise FileError(name, wrong, key=key, hint=f"there is {there}")
    own = {attribute: getattr(patch, attribute) for attribute in patch.own}
    if patch.change is not None:
        if below is None or not isinstance(below.content, Json):
            wrong = "there is no json of an included layer to patch"
            raise FileError(name, wrong, key=key)
        own["content"] = Json(_patched(below.content.value, patch.change))
    assert below is not None  # a patch has a source, a change or both
    if patch.moves:
        del merged[patch.source]
    merged[patch.path] = replace(below, path=patch.path, **own)


def _check_nesting(entries: Mapping[str, Entry], name: str) -> None:
    """Make sure that only directories have entries below them."""
    for path in entries:
        parts = path.split("/")
        for end in range(1, len(parts)):
            above = entries.get("/".join(parts[:end]))
            if above is not None and above.kind != "directory":
                wrong = f"lies below '{above.path}', which is not a directory"
                raise FileError(name, wrong, key=f"home.files.{path}")


def _entry(path: str, table: str | EntryTable, name: str, key: str) -> Entry:
    if isinstance(table, str):
        table = EntryTable(text=table)
    if wrong := _wrong_path(path, table):
        raise FileError(name, wrong, key=key)
    kind = _kind(table, name, key)
    try:
        return _patch(path, kind, table) if kind in _FROM_BELOW else _whole(path, kind, table)
    except ValueError as e:
        raise FileError(name, str(e), key=key) from None


def _kind(table: EntryTable, name: str, key: str) -> str:
    """Return the one key of *table* that says what the entry is."""
    given = [content for content in _CONTENTS if getattr(table, content) is not UNSET]
    if len(given) == 2 and given[0] == "patch" and given[1] in _FROM_BELOW:
        return given[1]
    if len(given) > 1:
        raise FileError(name, f"{' and '.join(given)} exclude each other", key=key, hint="keep one")
    if given:
        return given[0]
    if table.size is UNSET:
        hint = f"give one of {', '.join((*_CONTENTS, 'size'))}"
        raise FileError(name, "has no content", key=key, hint=hint)
    return "size"


def _patch(path: str, kind: str, table: EntryTable) -> Patch:
    attributes = _attributes(kind, table)
    change = None
    if not isinstance(table.patch, UnsetType):
        change = _json(table.patch, MAX_LEVELS, patch=True)
    source = "" if kind == "patch" else str(getattr(table, kind))
    return Patch(
        path=path,
        kind="file",
        change=change,
        own=tuple(attributes),
        source=source,
        moves=kind == "moved",
        **attributes,
    )


def _whole(path: str, kind: str, table: EntryTable) -> Entry:
    """Return an entry that is not a patch."""
    entry = Entry(path=path, **_attributes(kind, table), **_content(kind, table))
    if entry.kind == "symlink":
        _check_target(entry)
    if _length(entry) * entry.count > MAX_SIZE:
        raise ValueError(f"holds over {MAX_SIZE} bytes")
    return entry


def _wrong_path(path: str, table: EntryTable) -> str:
    """Return what is wrong with *path*, or an empty string."""
    if wrong := check(path):
        return wrong
    if any(word in path for word in ("{home}", "{secret", "{now", "{null}")):
        return "only {byte:..} and {n} are allowed in a path"
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        return "leaves the home: write a path below it"
    if not {"", "."}.isdisjoint(parts):
        return "is not a plain path: no empty part, no '.', nothing at the end"
    if wrong := _too_much(parts, table):
        return wrong
    if table.count is not UNSET and "{n}" not in path:
        return "is repeated, so its path needs {n}"
    return ""


def _too_much(parts: list[str], table: EntryTable) -> str:
    """Return which limit of file systems the *parts* of a path break, or an empty string."""
    last = 1 if isinstance(table.count, UnsetType) else table.count
    depth = 0 if isinstance(table.depth, UnsetType) else table.depth
    longest = [len(expand_bytes(part, _ANYWHERE, n=last)) for part in parts]
    if max(longest) > 255 or any("\0" in part for part in parts):
        return "has a part that no file system takes: over 255 bytes, or a NUL"
    slashes = len(parts) - 1
    if sum(longest) + slashes + depth * len("d/") > MAX_PATH:
        return f"is longer than {MAX_PATH} bytes"
    return ""


def _content(kind: str, table: EntryTable) -> dict[str, Any]:
    if kind == "type":
        return {"kind": table.type}
    if kind == "symlink":
        return {"kind": "symlink", "target": _checked(str(table.symlink))}
    return {"kind": "file", "content": _file_content(kind, table)}


def _file_content(kind: str, table: EntryTable) -> Content | None:
    match kind:
        case "text":
            return Text(_checked(str(table.text), stub=True))  # entries_of has looked closer
        case "json":
            return Json(_json(table.json, MAX_LEVELS))
        case "hex":
            return Bytes(_decoded(bytes.fromhex, str(table.hex), "hex"))
        case "base64":
            decode = partial(base64.b64decode, validate=True)
            return Bytes(_decoded(decode, str(table.base64), "base64"))
        case "runs" if not isinstance(table.runs, UnsetType):
            return Runs(tuple((_checked(text), times) for text, times in table.runs))
    return None


def _attributes(kind: str, table: EntryTable) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("owner", "count", "depth"):
        if getattr(table, name) is not UNSET:
            found[name] = getattr(table, name)
    if isinstance(table.mtime, str):
        if not re.fullmatch(r"\{now([-+][0-9]+(ms|s|m|h|d))?\}", _checked(table.mtime)):
            raise ValueError("mtime: write a relative time such as {now-30d}")
        found["mtime"] = table.mtime
    if isinstance(table.mode, str):
        if kind == "symlink" or not re.fullmatch(r"0?[0-7]{3,4}", table.mode):
            raise ValueError("mode: write an octal text such as '0600', and none for a symlink")
        found["mode"] = int(table.mode, 8)
    if not isinstance(table.size, UnsetType):
        if kind in ("symlink", "type"):
            raise ValueError("size: only a file has one")
        found["size"] = _size(table.size)
    return found


def _size(size: int | str) -> int:
    match = re.fullmatch(r"([0-9]{1,10}) ?(|KiB|MiB|GiB)", str(size))
    if not match or int(match[1]) * _UNITS[match[2]] > MAX_SIZE:
        raise ValueError("size: write bytes, or a text such as '20 MiB'; at most 1 GiB")
    return int(match[1]) * _UNITS[match[2]]


def _length(entry: Entry) -> int:
    """Return the length of one file of *entry*, as far as it is known before a run."""
    length = 0
    match entry.content:
        case Text(text):
            length = len(text)
        case Bytes(data):
            length = len(data)
        case Json(value):
            length = len(str(value))
        case Runs(runs):
            # An empty text counts as one byte, so that it cannot be repeated a billion times.
            lengths = [(len(expand_bytes(text, _ANYWHERE)), times) for text, times in runs]
            length = sum(max(1, each) * times for each, times in lengths)
    return max(length, entry.size or 0)


def _check_target(link: Entry) -> None:
    """Make sure that *link* stays inside the home, wherever that is.

    :raises ValueError: it does not, or its target is too long.
    """
    text = link.target.removeprefix("{home}")
    absolute = text != link.target and text[:1] in ("", "/")
    if not absolute:
        text = link.target
    room = 0 if absolute else link.path.count("/") + link.depth
    outside = text.startswith("/") and not absolute
    if outside or "\0" in text or "{home}" in text or _climbs(text, room):
        hint = "write {home}/…, or a relative one with .. only at its start"
        raise ValueError(f"symlink: the target leaves the home; {hint}")
    if len(expand_bytes(text, _ANYWHERE, n=link.count)) > MAX_PATH:
        raise ValueError(f"symlink: the target is longer than {MAX_PATH} bytes")


def _climbs(target: str, room: int) -> bool:
    """Return whether *target* may go up by more than *room* directories.

    At its start a ``..`` goes up a real directory; after a name it may go up from where another
    link leads.
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = len(list(takewhile("..".__eq__, parts)))
    return up > room or ".." in parts[up:]


def _checked(text: str, *, stub: bool = False) -> str:
    if wrong := check(text, stub=stub):
        raise ValueError(wrong)
    return text


def _decoded(decode: Callable[[str], bytes], text: str, name: str) -> bytes:
    try:
        return decode(text)
    except (ValueError, binascii.Error) as e:
        raise ValueError(f"{name}: {str(e).lower()}") from None


def _json(value: Any, levels: int, *, patch: bool = False) -> Any:
    """Return *value* if JSON can hold it: TOML has dates and non-finite numbers, JSON does not."""
    if isinstance(value, dict | list) and not levels:
        raise ValueError(
            f"json: is nested deeper than {MAX_LEVELS} levels; write the file with runs"
        )
    if isinstance(value, dict):
        return {key: _json(inner, levels - 1, patch=patch) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner, levels - 1) for inner in value]
    if isinstance(value, str):
        return value if patch and value == _ABSENT else _checked(value)
    return _json_number(value)


def _json_number(value: Any) -> float:
    """Return *value* if it is a number or truth value that JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("json: JSON has no infinite numbers and no NaN; write the file as text")
    if isinstance(value, int | float):
        return value
    raise ValueError("json: JSON has no dates; write a relative time such as {now+8h:rfc3339}")


def _patched(value: Any, patch: Any) -> Any:
    """Return *value* with *patch* applied as RFC 7396 says."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, inner in patch.items():
        if inner == _ABSENT:
            result.pop(key, None)
        else:
            result[key] = _patched(result.get(key), inner)
    return result
