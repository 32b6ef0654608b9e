"""What a search for homes has come to, for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from conformance import __version__
from conformance.discover.faults import Faults
from conformance.discover.findings import Tried
from conformance.model.contract import Contract
from conformance.report.saved import SCHEMA_VERSION

__all__ = ["Ending", "document"]


class Ending(Struct, frozen=True, kw_only=True):
    """What a search was about, and how it ended."""

    contract: Contract
    probe: Mapping[str, Any]
    """The probe as its driver describes it; empty where the search was ended before that."""
    agents: tuple[str, ...]
    seed: int
    seconds: float
    """How long homes were looked for, without the time to reduce them."""
    exit_status: int


def document(tried: Tried, found: Faults, ending: Ending) -> dict[str, Any]:
    """Return the report of a search: what was *tried*, and what was *found*, in built-in types."""
    contract = ending.contract
    return {
        "schema_version": SCHEMA_VERSION,
        "suite": {"name": "probe-conformance", "version": __version__},
        "contract": {"name": contract.name, "version": contract.version},
        "probe": dict(ending.probe),
        "agents": list(ending.agents),
        "seed": ending.seed,
        "seconds": round(ending.seconds, 3),
        "exit_status": ending.exit_status,
        "homes": tried.homes,
        "open": tried.open,
        "rules": dict(sorted(tried.rules.items())),
        "undecided": tried.undecided,
        "unsupported": dict(tried.unsupported),
        "broke": dict(tried.broke),
        "found": list(_found(found, contract)),
        "alike": sorted({sign.rule for sign in found.alike}),
        "unsteady": [{"home": one.number, "message": one.message} for one in found.unsteady],
        "left": [{"home": one.number, "message": one.message} for one in found.left],
    }


def _found(found: Faults, contract: Contract) -> Iterator[dict[str, Any]]:
    for fault in found.faults:
        yield {
            "id": fault.scenario.id,
            "file": "" if fault.twin else fault.scenario.file,
            "twin": fault.twin,
            "message": fault.words,
            "findings": list(fault.sign.kinds),
            "answer": fault.sign.answer,
            "rule": fault.scenario.decided_by(contract),
            "expected": list(fault.scenario.expected(contract)),
            "home": fault.found.number,
            "runs": fault.runs,
            "complete": fault.complete,
        }
