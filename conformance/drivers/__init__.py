"""The seam between the suite and a probe: run one probe in one home and return what was seen."""

from __future__ import annotations

from typing import Any, Protocol

from conformance.model.contract import Contract
from conformance.model.outcome import Broke, Execution, not_run
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["Driver", "Unavailable"]


class Driver(Protocol):
    """Runs a probe in the home of a scenario. Safe to call from several threads."""

    def execute(
        self, scenario: Scenario, contract: Contract, context: Context, number: int = 0
    ) -> Execution:
        """Build the home, run the probe in it once, and return what was seen.

        *number* counts the repetitions, from 0.

        Never raises for what a probe does or what a home is like. A failure of the suite or its
        surroundings is an outcome that ``broke``; what is impossible here is ``unsupported``.
        """

    def describe(self) -> dict[str, Any]:
        """Return the probe and what isolates it, for reports: built-in types only."""

    def close(self) -> None:
        """End what still runs."""


class Unavailable:
    """Stands in for a driver that is not available any more, and says why for every scenario."""

    def __init__(self, why: str) -> None:
        self._why = why

    def execute(
        self, scenario: Scenario, contract: Contract, context: Context, number: int = 0
    ) -> Execution:
        """See :class:`Driver`."""
        return not_run(Broke(self._why))

    def describe(self) -> dict[str, Any]:
        """See :class:`Driver`."""
        return {
            "kind": "unavailable",
            "command": [],
            "network": "",
            "capabilities": "",
            "temporary_directories": "",
            "inherited": "",
        }

    def close(self) -> None:
        """See :class:`Driver`."""
