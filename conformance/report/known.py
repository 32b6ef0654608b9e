"""What this suite knows of the scenarios in a report."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from conformance.model.contract import Contract
from conformance.model.scenario import Scenario

__all__ = ["Known"]


class Known(Struct, frozen=True):
    """Scenarios by their ids, and contracts by their names."""

    scenarios: Mapping[str, Scenario]
    contracts: Mapping[str, Contract]
