"""What logins and the files around them are known to be made of: what matters is mostly there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Any

from conformance.catalogue.agents import golden_entries
from conformance.catalogue.layers import bundled_layers
from conformance.model.scenario import Entry, Json

__all__ = ["known_members", "known_paths"]


@cache
def known_paths() -> frozenset[str]:
    """Return the paths of golden logins and of bundled layers, and of the directories above."""
    paths = [entry.path.split("/") for entry in _entries()]
    return frozenset("/".join(path[:end]) for path in paths for end in range(1, len(path) + 1))


@cache
def known_members() -> frozenset[str]:
    """Return the names of the members that these files have, at any level."""
    values = (entry.content.value for entry in _entries() if isinstance(entry.content, Json))
    return frozenset(chain.from_iterable(map(_names, values)))


def _entries() -> Iterator[Entry]:
    yield from chain.from_iterable(golden_entries().values())
    yield from chain.from_iterable(bundled_layers().values())


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _names(inner)
