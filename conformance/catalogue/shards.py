"""Cut a selection into shards that take equally long, as far as no piece is longer than that.

The same selection is cut in the same way every time, from the same facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from conformance.catalogue.digest import digest, hashed
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario

__all__ = ["Piece", "cut", "pieces", "selection_digest", "timed", "too_long"]

#: A shard may take so much longer than the mean where waiting is counted like work, or where a
#: single piece is so long.
_EXCESS = 0.1
#: What costs as much as starting a probe once: to build so many entries, or to write so many bytes.
_ENTRIES, _BYTES = 2_000, 2 * 1024 * 1024
#: No piece is free: what takes so little that its seconds say 0 is started all the same.
_LEAST = 0.01


class Piece(Struct, frozen=True, kw_only=True):
    """What a shard consists of: a scenario, or a wrong probe."""

    name: str
    """The id; no two pieces have the same."""
    cost: float
    """What it costs to run it, in seconds where these are known, else in starts of a probe."""
    waits: bool = False
    """Whether most of that is waiting, so that it runs beside the others."""


def cut(pieces: Sequence[Piece], count: int) -> list[list[str]]:
    """Return the names of *pieces* in so many shards as *count*, each in the order of *pieces*.

    What waits runs beside everything else, so it is dealt by itself: no shard has two of it more
    than another. The rest is dealt so that it costs each shard the same, and somewhat less where
    a shard waits much longer than the others. No shard is empty if there are enough pieces.
    """
    of: dict[str, int] = {}
    waits, sizes = [0.0] * count, [0] * count
    for piece in _longest_first(piece for piece in pieces if piece.waits):
        number = min(range(count), key=lambda n: (sizes[n], waits[n], n))
        of[piece.name] = number
        sizes[number] += 1
        waits[number] += piece.cost
    rest = [piece for piece in pieces if not piece.waits]
    costs = _head_starts(waits, sum(max(piece.cost, _LEAST) for piece in rest))
    for piece in _longest_first(rest):
        number = min(range(count), key=lambda n: (costs[n], sizes[n], n))
        of[piece.name] = number
        sizes[number] += 1
        costs[number] += max(piece.cost, _LEAST)
    return [[piece.name for piece in pieces if of[piece.name] == n] for n in range(count)]


def too_long(pieces: Sequence[Piece], count: int) -> Piece | None:
    """Return the piece that is longer than one of *count* shards should be; None for none.

    Nothing can cut that one, so the shards do not take equally long.
    """
    longest = max(pieces, key=lambda piece: piece.cost)
    mean = sum(piece.cost for piece in pieces) / count
    return longest if longest.cost > (1 + _EXCESS) * mean else None


def _longest_first(pieces: Iterable[Piece]) -> list[Piece]:
    return sorted(pieces, key=lambda piece: (-piece.cost, piece.name))


def _head_starts(waits: Sequence[float], work: float) -> list[float]:
    """Return what each shard has to its account before *work* is dealt: where it waits too long."""
    count = len(waits)
    room = (1 + _EXCESS) * (sum(waits) + work) / count - work / count
    return [max(0.0, seconds - room) for seconds in waits]


def pieces(scenarios: Iterable[Scenario], seconds: Mapping[str, float]) -> list[Piece]:
    """Return *scenarios* as pieces: those that were timed cost their *seconds*, by id.

    What the others cost is estimated from their homes, and said in the same unit.
    """
    found = [
        Piece(name=scenario.id, cost=_starts(scenario), waits=scenario.mostly_waits)
        for scenario in scenarios
    ]
    return timed(found, seconds)


def timed(found: Sequence[Piece], seconds: Mapping[str, float]) -> list[Piece]:
    """Return the pieces in *found* with what they cost in *seconds*, by name.

    One that is not among these costs what it did, times what a unit came to in those of its kind.
    """
    rates = {}
    for waits in (False, True):
        known = [piece for piece in found if piece.waits == waits and piece.name in seconds]
        estimated = sum(piece.cost for piece in known)
        took = sum(seconds[piece.name] for piece in known)
        rates[waits] = took / estimated if estimated and took else 1.0
    return [
        Piece(
            name=piece.name,
            cost=seconds.get(piece.name, piece.cost * rates[piece.waits]),
            waits=piece.waits,
        )
        for piece in found
    ]


def _starts(scenario: Scenario) -> float:
    """Return what a scenario costs before it was ever timed, in starts of a probe."""
    entries = sum(entry.count for entry in scenario.entries)
    size = sum((entry.size or 0) * entry.count for entry in scenario.entries)
    return 1 + entries / _ENTRIES + size / _BYTES


def selection_digest(scenarios: Iterable[Scenario], contracts: Sequence[Contract]) -> str:
    """Return what stands for *scenarios*, what they ask, and what *contracts* expect of each."""
    asked = [
        (one.id, digest(one), [one.expected(contract) for contract in contracts])
        for one in scenarios
    ]
    return hashed([[(one.name, one.version) for one in contracts], sorted(asked)])
