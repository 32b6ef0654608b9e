"""Shards of a run: which of its scenarios this one is about, and what it was cut from."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from conformance.catalogue.digest import given, hashed
from conformance.catalogue.shards import Piece, cut, pieces, selection_digest, too_long
from conformance.drivers.container.request import ImageRequest
from conformance.errors import UsageError
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.model.shard import Shard
from conformance.report.saved import read_report
from conformance.report.view import some
from conformance.run.request import Command, PythonCallable
from conformance.run.subject import Subject

__all__ = [
    "Cut",
    "ShardRequest",
    "contract_digest",
    "cut_pieces",
    "durations_in",
    "only_shard",
    "seed_digest",
    "shard_of",
]


class ShardRequest(Struct, frozen=True, kw_only=True):
    """Which shard is asked for."""

    index: int
    """From 1."""
    count: int
    durations: str = ""
    """The report of an earlier run, with the seconds of each scenario; empty for none."""


def only_shard(subject: Subject, wanted: ShardRequest | None) -> Subject:
    """Return *subject* with nothing but the shard that is *wanted*; as it is where that is None.

    :raises UsageError: there are fewer scenarios than shards, or the report of durations is none.
    """
    if wanted is None:
        return subject
    chosen, shard = shard_of(subject.selected, [subject], wanted)
    return replace(subject, selected=tuple(chosen), shard=shard)


def shard_of(
    scenarios: Sequence[Scenario], subjects: Sequence[Subject], wanted: ShardRequest
) -> tuple[list[Scenario], Shard]:
    """Return those of *scenarios* that the shard has which is *wanted*, and what it was cut from.

    The probes of all *subjects* run in them.

    :raises UsageError: there are fewer scenarios than shards, or the report of durations is none.
    """
    seconds = durations_in(wanted.durations) if wanted.durations else {}
    part = cut_pieces(pieces(scenarios, seconds), wanted, seconds, "scenario")
    probes = [_probe(subject) for subject in subjects]
    request = subjects[0].request
    shard = Shard(
        index=wanted.index,
        count=wanted.count,
        scenarios=len(scenarios),
        selection=selection_digest(scenarios, [subject.contract for subject in subjects]),
        durations=part.durations,
        note=part.note,
        contract=contract_digest(_whole_contract(subject) for subject in subjects),
        options=hashed([_options(subject) for subject in subjects]),
        probe=hashed(probes) if any(probes) else "",
        now=request.now,
        seed=seed_digest(request.seed),
    )
    return [scenario for scenario in scenarios if scenario.id in part.names], shard


def contract_digest(contracts: Iterable[Contract]) -> str:
    """Return what stands for *contracts*, with all of their rules and limits."""
    return hashed([given(contract) for contract in contracts])


def _whole_contract(subject: Subject) -> Contract:
    """Return the contract of *subject* as its file has it, for all agents."""
    return subject.catalogue.contracts[subject.contract.name]


def seed_digest(seed: str) -> str:
    """Return what stands for a *seed* that was given; an empty text for none."""
    return hashed(seed) if seed else ""


class Cut(Struct, frozen=True, kw_only=True):
    """What one shard has."""

    names: frozenset[str]
    """The names of its pieces."""
    durations: str = ""
    """See :class:`Shard`."""
    note: str = ""
    """See :class:`Shard`."""


def cut_pieces(
    found: Sequence[Piece], wanted: ShardRequest, seconds: Mapping[str, float], noun: str
) -> Cut:
    """Return what the shard has that is *wanted*, of pieces that take so many *seconds*, by name.

    Messages call a piece a *noun*.

    :raises UsageError: there are fewer pieces than shards, or *seconds* tell nothing about any.
    """
    if len(found) < wanted.count:
        cause = f"{some(len(found), noun)} cannot be cut into {some(wanted.count, 'shard')}"
        raise UsageError(cause, hint=f"give at most {len(found)}, or leave --shard out")
    names = frozenset(cut(found, wanted.count)[wanted.index - 1])
    if not wanted.durations:
        return Cut(names=names)
    known = {piece.name: seconds[piece.name] for piece in found if piece.name in seconds}
    if not known:
        cause = f"{wanted.durations} says of no {noun} here how long it takes"
        raise UsageError(cause, hint="name the report of a run that has them")
    return Cut(names=names, durations=hashed(known), note=_uneven(found, wanted.count))


def _uneven(found: Sequence[Piece], count: int) -> str:
    """Return why so many shards do not take equally long; empty where they should."""
    longest = too_long(found, count)
    if longest is None:
        return ""
    total = sum(piece.cost for piece in found)
    most = math.ceil(total / longest.cost)
    return (
        f"{longest.name} alone takes {longest.cost:.1f} s, and an equal part of everything "
        f"{total / count:.1f} s: its shard takes longer than the others, and more than {most} "
        "shards gain little"
    )


def durations_in(file: str) -> dict[str, float]:
    """Return the seconds that each scenario took which was judged in the report *file*, by id.

    :raises UsageError: it is no report of a run.
    """
    judged = ("conforms", "deviates", "known-failure")
    return {row.id: row.seconds for row in read_report(file).scenarios if row.result in judged}


def _options(subject: Subject) -> list[object]:
    """Return all that decides results beside probe and scenarios, as built-in types."""
    request = subject.request
    known = {id_: given(entry) for id_, entry in subject.known_failures.entries.items()}
    image = request.image
    if image is not None:  # shards may run on different engines
        image = replace(image, engines=())
    return [
        given(subject.contract),
        request.as_of,
        request.strict,
        request.repeat,
        sorted(known.items()),
        sorted(request.variables),  # what a digest of a short secret stands for can be guessed
        given(image),
    ]


def _probe(subject: Subject) -> str:
    """Return what stands for a local probe, in whatever directory the project lies."""
    match subject.request.probe:
        case ImageRequest():
            return ""
        case Command():
            base = Path(subject.request.cwd)
            return hashed([_word(word, base) for word in subject.argv])
        case PythonCallable() as probe:
            return hashed(given(probe))
    return hashed(["own", subject.contract.reference])


def _word(word: str, base: Path) -> list[str]:
    """Return a word of a command; of a file below *base*, its name there and what is in it."""
    path = os.path.normpath(base / word)
    name = os.path.relpath(path, base)
    if name.startswith(os.pardir + os.sep) or not os.path.isfile(path):
        return [word]
    try:
        return [name, hashlib.sha256(Path(path).read_bytes()).hexdigest()]
    except OSError:  # one that may be executed, and not read
        return [name]
