"""From the ``files`` table of a scenario or layer to entries; what is wrong with a path or a content is found here."""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from conformance.catalogue.schema import MAX_LEVELS, MAX_PATH, MAX_SIZE, EntryTable, Files
from conformance.errors import FileError
from conformance.model.placeholders import Context, check, expand_bytes
from conformance.model.scenario import Bytes, Content, Entry, Json, Runs, Text

__all__ = ["entries_of", "merge"]

_CONTENTS = ("text", "json", "patch", "hex", "base64", "runs", "symlink", "type")
_UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
#: Only for judging where a path or a link leads; no home is ever built with it.
_ANYWHERE = Context(now=0, seed="", home="/home")


#: In a patch, in place of a member that is to go; RFC 7396 writes null there, which is a value like any other here.
_ABSENT = "{absent}"


class Patch(Entry, frozen=True, kw_only=True):
    """A change to the json of an entry with the same path, in a layer below."""

    change: Any = None
    """What to change (RFC 7396)."""
    own: tuple[str, ...] = ()
    """The attributes that it gives as well."""


def entries_of(files: Files, *, name: str) -> tuple[Entry, ...]:
    """Return the entries of a ``files`` table in the file called *name*.

    :raises FileError: an entry leaves the home, contradicts itself or holds an unknown placeholder.
    """
    return tuple(_entry(path, table, name, f"home.files.{path}") for path, table in files.items())


def merge(layers: list[tuple[Entry, ...]], *, name: str) -> tuple[Entry, ...]:
    """Return the entries of several layers as one, later ones in place of earlier ones with the same path.

    :raises FileError: something would have to lie below an entry that is no directory, or a patch has nothing to change.
    """
    merged: dict[str, Entry] = {}
    for entry in (entry for layer in layers for entry in layer):
        if isinstance(entry, Patch):
            below = merged.get(entry.path)
            if below is None or not isinstance(below.content, Json):
                raise FileError(name, "there is no json of an included layer to patch", key=f"home.files.{entry.path}")
            own = {attribute: getattr(entry, attribute) for attribute in entry.own}
            merged[entry.path] = replace(below, content=Json(_patched(below.content.value, entry.change)), **own)
        else:
            merged[entry.path] = entry
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
        attributes = _attributes(kind, table)
        if kind == "patch":
            return Patch(
                path=path,
                kind="file",
                change=_json(table.patch, MAX_LEVELS, patch=True),
                own=tuple(attributes),
                **attributes,
            )
        entry = Entry(path=path, **attributes, **_content(kind, table))
        if entry.kind == "symlink":
            _check_target(entry)
        if _length(entry) * entry.count > MAX_SIZE:
            raise ValueError(f"holds over {MAX_SIZE} bytes")
    except ValueError as e:
        raise FileError(name, str(e), key=key) from None
    return entry


def _wrong_path(path: str, table: EntryTable) -> str:
    if wrong := check(path):
        return wrong
    if any(word in path for word in ("{home}", "{secret", "{now", "{null}")):
        return "only {byte:..} and {n} may stand in a path"
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        return "leaves the home: write a path below it"
    if "" in parts or "." in parts:
        return "is no plain path: no empty part, no '.', nothing at the end"
    last = 1 if table.count is UNSET else int(table.count)
    longest = [len(expand_bytes(part, _ANYWHERE, n=last)) for part in parts]
    if "\0" in path or max(longest) > 255:
        return "has a part that no file system takes: over 255 bytes, or a NUL"
    if sum(longest) + len(parts) - 1 + (0 if table.depth is UNSET else 2 * int(table.depth)) > MAX_PATH:
        return f"is longer than {MAX_PATH} bytes"
    if (table.count is not UNSET) and "{n}" not in path:
        return "is repeated, so its path needs {n}"
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
            return Text(_checked(str(table.text)))
        case "json":
            return Json(_json(table.json, MAX_LEVELS))
        case "hex":
            return Bytes(_decoded(bytes.fromhex, str(table.hex), "hex"))
        case "base64":
            return Bytes(_decoded(lambda text: base64.b64decode(text, validate=True), str(table.base64), "base64"))
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
    if not isinstance(table.size, type(UNSET)):
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
    """Return the length of one file of *entry*, as far as it can be told before a run."""
    padded = entry.size or 0
    match entry.content:
        case Text(text):
            return max(padded, len(text))
        case Bytes(data):
            return max(padded, len(data))
        case Json(value):
            return max(padded, len(str(value)))
        case Runs(runs):
            # A run of nothing counts as well, so that nobody has to write it a billion times.
            return max(padded, sum(max(1, len(expand_bytes(text, _ANYWHERE))) * times for text, times in runs))
    return padded


def _check_target(link: Entry) -> None:
    """Make sure that *link* stays inside the home, wherever that is and whatever other links its target passes.

    :raises ValueError: it does not. A ``..`` may stand at the front only, where it goes up real directories.
    """
    inside = link.target.removeprefix("{home}")
    absolute = inside != link.target and inside[:1] in ("", "/")
    text = inside if absolute else link.target
    parts = [part for part in text.split("/") if part not in ("", ".")]
    room = 0 if absolute else link.path.count("/") + link.depth
    up = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    if "\0" in text or "{home}" in text or up > room or ".." in parts[up:] or (text.startswith("/") and not absolute):
        raise ValueError("symlink: the target leaves the home; write {home}/…, or a relative one with .. only at its start")
    if len(expand_bytes(text, _ANYWHERE, n=link.count)) > MAX_PATH:
        raise ValueError(f"symlink: the target is longer than {MAX_PATH} bytes")


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


def _json(value: Any, levels: int, *, patch: bool = False) -> Any:
    """Return *value* when JSON can carry it; TOML has dates and non-finite numbers, which JSON has not."""
    if isinstance(value, dict | list) and not levels:
        raise ValueError(f"json: is nested deeper than {MAX_LEVELS} levels; write the file with runs")
    if isinstance(value, dict):
        return {key: _json(inner, levels - 1, patch=patch) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner, levels - 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("json: JSON has no infinite numbers and no NaN; write the file as text")
    if isinstance(value, str):
        return value if patch and value == _ABSENT else _checked(value)
    if isinstance(value, int | float):
        return value
    raise ValueError("json: JSON has no dates; write a relative time such as {now+8h:rfc3339}")


def _patched(value: Any, patch: Any) -> Any:
    """Return *value* with *patch* applied, as RFC 7396 has it."""
    if not isinstance(patch, dict):
        return patch
    kept = value if isinstance(value, dict) else {}
    changed = {key: _patched(kept.get(key), inner) for key, inner in patch.items() if inner != _ABSENT}
    return {key: inner for key, inner in {**kept, **changed}.items() if patch.get(key) != _ABSENT}
