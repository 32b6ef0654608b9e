"""Take away members of JSON documents, and items of their lists, level by level."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from conformance.catalogue.entry_schema import MAX_LEVELS
from conformance.model.placeholders import check
from conformance.model.scenario import Entry, Json, Scenario, Text
from conformance.reduce.entries import Place
from conformance.reduce.search import Search
from conformance.reduce.telling import member_tells

__all__ = ["reduce_members"]

#: The file that a member stands in, and the keys and numbers that lead to it.
_Member = tuple[str, tuple[str | int, ...]]


def reduce_members(search: Search, place: Place) -> None:
    """Take away as many members of the JSON documents at *place* as possible.

    Those that no known login has are tried first, all at once.
    """
    get, put = place
    texts = [entry.path for entry in get(search.best) if _document(entry) is not None]
    if texts:
        search.drop(texts, lambda base, paths: put(base, _parsed(get(base), set(paths))))

    def without(base: Scenario, gone: Sequence[_Member]) -> Scenario:
        return put(base, _without(get(base), set(gone)))

    unknown = [
        (path, where)
        for path, where in _all_members(get(search.best))
        if not member_tells(where[-1])
    ]
    search.accepts(without(search.best, unknown))
    level = 1
    while members := list(_members(get(search.best), level)):
        # Where one of several is enough, a known one is left.
        search.drop(sorted(members, key=lambda member: member_tells(member[1][-1])), without)
        level += 1


def _document(entry: Entry) -> Json | None:
    """Return what a file says as text as a JSON document; None if a scenario cannot hold that."""
    if not isinstance(entry.content, Text):
        return None
    try:
        value = json.loads(entry.content.text, parse_constant=_refuse)
        text = json.dumps(value, ensure_ascii=False)
        text.encode()
    except (ValueError, RecursionError):
        return None
    if check(text) or not isinstance(value, dict | list) or _levels(value) > MAX_LEVELS:
        return None
    return Json(_nulls_named(value))


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and such: no JSON


def _levels(value: Any) -> int:
    return 1 + max((_levels(inner) for _, inner in _inside(value)), default=0)


def _nulls_named(value: Any) -> Any:
    """Return *value* with the placeholder for each null, which TOML does not have."""
    if isinstance(value, dict):
        return {key: _nulls_named(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_nulls_named(inner) for inner in value]
    return "{null}" if value is None else value


def _parsed(entries: Sequence[Entry], paths: Collection[str]) -> Iterator[Entry]:
    """Yield *entries*, with the texts at *paths* as JSON documents."""
    for entry in entries:
        yield replace(entry, content=_document(entry)) if entry.path in paths else entry


def _members(entries: Sequence[Entry], level: int) -> Iterator[_Member]:
    """Yield the members that lie *level* keys below the top of their document."""
    for entry in entries:
        if isinstance(entry.content, Json):
            for where in _places(entry.content.value, level):
                yield entry.path, where


def _all_members(entries: Sequence[Entry]) -> Iterator[_Member]:
    level = 1
    while members := list(_members(entries, level)):
        yield from members
        level += 1


def _places(value: Any, level: int) -> Iterator[tuple[str | int, ...]]:
    if not level:
        yield ()
        return
    for key, inner in _inside(value):
        for rest in _places(inner, level - 1):
            yield (key, *rest)


def _inside(value: Any) -> Sequence[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else ()


def _without(entries: Sequence[Entry], gone: Collection[_Member]) -> Iterator[Entry]:
    """Yield *entries* whose documents lack what is *gone*."""
    changed = {path for path, _ in gone}
    for entry in entries:
        if entry.path in changed and isinstance(entry.content, Json):
            places = {where for path, where in gone if path == entry.path}
            value = _pruned(entry.content.value, places.__contains__, ())
            yield replace(entry, content=Json(value))
        else:
            yield entry


def _pruned(
    value: Any, is_gone: Callable[[tuple[str | int, ...]], bool], here: tuple[str | int, ...]
) -> Any:
    kept = {
        key: _pruned(inner, is_gone, (*here, key))
        for key, inner in _inside(value)
        if not is_gone((*here, key))
    }
    if isinstance(value, dict):
        return kept
    return list(kept.values()) if isinstance(value, list) else value
