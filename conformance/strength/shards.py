"""Shards of a bank: which of the wrong probes this one tries."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.digest import given, hashed
from conformance.catalogue.shards import Piece, timed
from conformance.errors import UsageError
from conformance.model.shard import Shard
from conformance.report.saved import report_text
from conformance.run.shards import ShardRequest, cut_pieces, seed_digest
from conformance.strength.bank import Bank, WrongProbe

__all__ = ["only_shard"]


class _Timed(Struct):
    id: str
    seconds: float


class _Report(Struct):
    wrong_probes: tuple[_Timed, ...]


_REPORT = Decoder(_Report)


def only_shard(
    banks: Sequence[Bank],
    catalogue: Catalogue,
    wanted: ShardRequest,
    *,
    patterns: Sequence[str] = (),
    now: float | None = None,
    seed: str = "",
) -> tuple[list[Bank], Shard]:
    """Return *banks* with the wrong probes of the *wanted* shard, and what it was cut from.

    *patterns* name the scenarios they are tried in; *now* and *seed* are those that were given.

    :raises UsageError: there are fewer wrong probes than shards, or *wanted* names no report.
    """
    probes = [probe for bank in banks for probe in bank.wrong]
    seconds = _durations(wanted.durations) if wanted.durations else {}
    pieces = timed([_piece(probe, catalogue) for probe in probes], seconds)
    part = cut_pieces(pieces, wanted, seconds, "wrong probe")
    shard = Shard(
        index=wanted.index,
        count=wanted.count,
        scenarios=len(probes),
        selection=hashed([given(probes), list(patterns)]),
        durations=part.durations,
        note=part.note,
        now=now,
        seed=seed_digest(seed),
    )
    chosen = [
        replace(bank, wrong=tuple(probe for probe in bank.wrong if probe.id in part.names))
        for bank in banks
    ]
    return chosen, shard


def _piece(probe: WrongProbe, catalogue: Catalogue) -> Piece:
    waits = any(catalogue.scenarios[id_].mostly_waits for id_ in probe.about)
    return Piece(name=probe.id, cost=1, waits=waits)


def _durations(file: str) -> dict[str, float]:
    """Return the seconds that each wrong probe took in the report *file* of this command, by id.

    :raises UsageError: it is none.
    """
    hint = "name a file that strength --json has written"
    try:
        report = _REPORT.decode(report_text(file))
    except (ValueError, RecursionError) as e:
        raise UsageError(f"{file} is no report of strength: {str(e)[:200]}", hint=hint) from None
    return {probe.id: probe.seconds for probe in report.wrong_probes}
