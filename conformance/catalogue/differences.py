"""Name what sets one home apart from another: what a reader would call one difference is one.

A file that lies elsewhere, a link with what it leads to, a directory with what is in it, and a
member of a JSON document are one difference each. A file of a golden login is none; any other file
in its place is compared with it.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec

from conformance.catalogue.agents import golden_entries
from conformance.catalogue.entries import merge
from conformance.model.entry_wording import describe_entry
from conformance.model.members import members
from conformance.model.placeholders import Context, expand_bytes, expand_json
from conformance.model.scenario import Bytes, Content, Entry, Json, Runs, Scenario, Text

__all__ = ["differences", "nearest"]

#: Any time, any secrets: two values are compared after both have been filled in with these.
_ANYWHERE = Context(now=0, seed="", home="/home")
#: Longer contents are not looked into.
_LONGEST = 2**20
#: What stands for a content that is no JSON. Compared by identity.
_OPAQUE = object()
_ATTRIBUTES = ("mode", "owner", "mtime", "size", "depth", "count")


def differences(entries: Iterable[Entry], others: Iterable[Entry]) -> list[str]:
    """Return what the home of *entries* has and lacks against the home of *others*, in words."""
    ours = {entry.path: entry for entry in entries}
    theirs = {entry.path: entry for entry in others}
    for path in ours.keys() & golden_entries().keys() - theirs.keys():
        candidates = golden_entries()[path]
        theirs[path] = min(candidates, key=lambda golden: len(list(_changes(ours[path], golden))))
    changed = [path for path in ours if path in theirs and not _same(ours[path], theirs[path])]
    gained = [path for path in ours if path not in theirs]
    found = [line for path in changed for line in _changes(ours[path], theirs[path])]
    sources = [*theirs.values(), *chain(*golden_entries().values())]
    moved: set[str] = set()
    for group in _groups(gained, changed, ours):
        # With a link that has changed, what it leads to has been counted.
        if not any(path in changed for path in group):
            found.append(f"+ {', '.join(group)}")
        for path in group:
            source = _source(ours[path], sources) if path not in changed else None
            if source is not None:
                moved.add(source.path)
                found += _members(_value(ours[path]), _value(source), path)
    found += [f"- {path}" for path in theirs if _is_lost(path, ours, moved)]
    return found


def nearest(scenario: Scenario, catalogue: Mapping[str, Scenario]) -> tuple[str, list[str]]:
    """Return what the home of *scenario* differs from in the fewest things, and in which.

    That is a golden login, the layers that it is made from, or a control of it in *catalogue*.
    """
    layers = merge(list(scenario.layers.values()), name=scenario.file)
    others: dict[str, tuple[Entry, ...]] = {"a golden login": (), "its layers": layers}
    for id_ in scenario.control.values():
        if id_ in catalogue:
            others[f"its control '{id_}'"] = catalogue[id_].entries
    found = [(name, differences(scenario.entries, home)) for name, home in others.items()]
    return min(found, key=lambda pair: len(pair[1]))


def _same(one: Entry | Content | None, other: Entry | Content | None) -> bool:
    """Return whether two values are the same; to Python, true and 1 are."""
    encode = msgspec.msgpack.Encoder(order="sorted").encode
    return encode(one) == encode(other)


def _is_lost(path: str, ours: Mapping[str, Entry], moved: set[str]) -> bool:
    """Return whether *ours* lacks *path*, and nothing else explains that.

    It has not moved, and there is nothing in the place of a directory above it.
    """
    if path in ours or path in moved:
        return False
    above = [path[:end] for end, character in enumerate(path) if character == "/"]
    return all(ours[part].kind == "directory" for part in above if part in ours)


def _groups(
    gained: list[str], changed: list[str], ours: Mapping[str, Entry]
) -> Iterator[list[str]]:
    """Yield the *gained* paths that belong together, with the *changed* links that lead to them."""
    links = [path for path in changed if ours[path].kind == "symlink"]
    left = [*links, *gained]
    while left:
        group = [left.pop(0)]
        for path in group:  # grows while it is walked
            near = [other for other in left if _belong(ours[path], ours[other])]
            group += near
            left = [other for other in left if other not in near]
        if any(path in gained for path in group):
            yield group


def _belong(one: Entry, other: Entry) -> bool:
    """Return whether one of two entries leads to the other, or is a directory above it."""
    return _leads(one, other) or _leads(other, one)


def _leads(one: Entry, other: Entry) -> bool:
    if one.kind == "directory":
        return other.path.startswith(f"{one.path}/")
    if one.kind != "symlink":
        return False
    at = posixpath.join(posixpath.dirname(one.path), one.target.removeprefix("{home}/"))
    target = posixpath.normpath(at)
    return f"{other.path}/".startswith(f"{target}/") or target.startswith(f"{other.path}/")


def _changes(ours: Entry, theirs: Entry) -> Iterator[str]:
    """Yield what sets *ours* apart from *theirs*, which lies at the same path."""
    if (ours.kind, ours.target) != (theirs.kind, theirs.target):
        yield f"+ {ours.path}: {describe_entry(ours)}"
        return
    if any(getattr(ours, name) != getattr(theirs, name) for name in _ATTRIBUTES):
        yield f"+ {ours.path}: {describe_entry(ours)}"
    if not _same(ours.content, theirs.content):
        here, there = _value(ours), _value(theirs)
        # What is no JSON, or the same JSON in other bytes, is one difference.
        yield from list(_members(here, there, ours.path)) or [f"+ {ours.path}: other bytes"]


def _members(ours: Any, theirs: Any, where: str) -> Iterator[str]:
    """Yield the members in which two JSON values differ; one under another name is one."""
    if _OPAQUE in (ours, theirs):
        return
    here, there = members(ours, theirs), members(theirs, ours)
    gone = {name: value for name, value in there.items() if name not in here}
    for name, value in here.items():
        if there.get(name) == value:
            continue
        yield f"+ {where} {name}".rstrip()
        if name not in there:
            gone = _without_one(gone, value)
    yield from (f"- {where} {name}".rstrip() for name in gone)


def _without_one(gone: Mapping[str, str], value: str) -> dict[str, str]:
    """Return *gone* without the first that has this *value*."""
    same = [name for name, other in gone.items() if other == value]
    return {name: other for name, other in gone.items() if name not in same[:1]}


def _source(entry: Entry, sources: Iterable[Entry]) -> Entry | None:
    """Return the nearest of *sources* that *entry* is a copy of: of all of it, or of a secret."""
    if entry.kind != "file":
        return None
    value = _value(entry)
    fitting = [
        (len(list(_members(value, _value(source), ""))), number, source)
        for number, source in enumerate(sources)
        if source.kind == "file"
        and (source.content == entry.content or _secrets(value) & _secrets(_value(source)))
    ]
    return min(fitting)[2] if fitting else None


def _secrets(value: Any) -> set[str]:
    """Return the texts in a JSON value that are as long as a secret."""
    if isinstance(value, dict):
        return set().union(*map(_secrets, value.values()))
    if isinstance(value, list):
        return set().union(*map(_secrets, value))
    return {value} if isinstance(value, str) and len(value) > 60 else set()


def _value(entry: Entry) -> Any:
    """Return what a file says as JSON."""
    match entry.content:
        case Json(value):
            return expand_json(value, _ANYWHERE)
        case Text(text):
            return _parsed(expand_bytes(text, _ANYWHERE))
        case Bytes(data):
            return _parsed(data)
        case Runs(runs) if sum(len(text) * times for text, times in runs) <= _LONGEST:
            texts = [expand_bytes(text, _ANYWHERE) * times for text, times in runs]
            return _parsed(b"".join(texts))
    return _OPAQUE


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return _OPAQUE
