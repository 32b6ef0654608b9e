"""What a comparison comes to: where the probes disagree, and where they agree."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.compare.rows import Row
from conformance.errors import CannotJudge
from conformance.judge.tally import INTERRUPTED
from conformance.model.contract import Contract
from conformance.model.shard import Shard

__all__ = ["CompareTally"]


class CompareTally:
    """The rows of a comparison, as they come in."""

    def __init__(self, contracts: Sequence[Contract], total: int) -> None:
        """Expect *total* rows, each with a result for each of the *contracts*, side by side."""
        self.contracts = list(contracts)
        self.total = total
        self.rows: list[Row] = []
        self.seconds = 0.0
        self.interrupted = False
        self.shard: Shard | None = None
        """Which part of a comparison this is; None where it is the whole."""

    def apart(self) -> list[Row]:
        """Return the rows in which the sides disagree."""
        return [row for row in self._judged() if not row.agree(self.contracts)]

    def together(self) -> list[Row]:
        """Return the rows in which the sides agree."""
        return [row for row in self._judged() if row.agree(self.contracts)]

    def unjudged(self) -> list[Row]:
        """Return the rows in which a side has no answer to compare with the others."""
        return [row for row in self._sorted() if not row.judged()]

    def not_judged(self) -> int:
        """Return how many scenarios have no answer of every side, or did not run at all."""
        return len(self.unjudged()) + self.total - len(self.rows)

    def _judged(self) -> list[Row]:
        return [row for row in self._sorted() if row.judged()]

    def _sorted(self) -> list[Row]:
        return sorted(self.rows, key=lambda row: row.scenario.id)

    def exit_status(self) -> int:
        """Return 130 if interrupted, 3 where something could not be judged, 1 or 0.

        It is 1 where the sides disagree.
        """
        if self.interrupted:
            return INTERRUPTED
        if len(self.rows) < self.total or any(row.broke() for row in self.rows):
            return CannotJudge.exit_status
        return 1 if self.apart() else 0
