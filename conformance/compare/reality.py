"""What released CLIs say of the homes, compared with what is on record and what is demanded."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Mapping, Sequence

from conformance.bundled import fixtures_dir
from conformance.compare.rows import Row, meanings
from conformance.errors import CannotJudge
from conformance.judge.tally import INTERRUPTED
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario

__all__ = ["RealityTally", "disagree", "reason_key", "reasons"]

#: The contract that demands a login which the CLI could use: the nearest to what the CLI says.
_STRICT = "slot-strict"
#: The contract that has on record what the CLIs said before.
_RECORD = "cli-status"


def reasons() -> dict[str, str]:
    """Return why the CLI and slot-strict disagree.

    A key is the id of a scenario, a glob of ids, or a rule of slot-strict.
    """
    text = (fixtures_dir() / "reality.toml").read_text(encoding="utf-8")
    found: dict[str, str] = tomllib.loads(text)["reasons"]
    return found


def reason_key(scenario: Scenario, strict: Contract, known: Mapping[str, str]) -> str:
    """Return the key in *known* that explains *scenario*; empty where none does."""
    for key in known:
        if fnmatch.fnmatchcase(scenario.id, key):
            return key
    return next((rule for rule in scenario.cites(strict) if rule in known), "")


def disagree(said: frozenset[str], demanded: Sequence[str]) -> bool:
    """Tell whether what the CLI said, ready or not, cannot be what is *demanded*."""
    if "ready" in said:
        return "ready" not in demanded
    return set(demanded) == {"ready"}


class RealityTally:
    """What released CLIs said of the homes of scenarios, as it comes in."""

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        total: int,
        known: Mapping[str, str],
    ) -> None:
        """Expect *total* rows; *known* are the reasons why CLI and slot-strict disagree."""
        self.record = contracts[_RECORD]
        self.total = total
        self.rows: list[Row] = []
        self.seconds = 0.0
        self.interrupted = False
        self._strict = contracts[_STRICT]
        self._reasons = known

    def sorted(self) -> list[Row]:
        """Return the rows: what changed first, then what disagrees, each by id."""
        return sorted(
            self.rows,
            key=lambda row: (not self.changed(row), not self.apart(row), row.scenario.id),
        )

    def changed(self, row: Row) -> bool:
        """Tell whether the CLI said something else than what is on record."""
        return row.results[0].result == "deviates"

    def apart(self, row: Row) -> bool:
        """Tell whether the CLI and slot-strict disagree."""
        demanded = row.scenario.expected(self._strict)
        return bool(demanded) and disagree(meanings(row.results[0], self.record), demanded)

    def reason(self, row: Row) -> str:
        """Return why the CLI and slot-strict may disagree; empty where no reason is known."""
        key = reason_key(row.scenario, self._strict, self._reasons)
        return self._reasons.get(key, "")

    def all_changed(self) -> list[Row]:
        """Return the rows in which the CLI said something else than what is on record."""
        return [row for row in self.sorted() if self.changed(row)]

    def all_apart(self) -> list[Row]:
        """Return the rows in which the CLI and slot-strict disagree."""
        return [row for row in self.sorted() if self.apart(row)]

    def unexplained(self) -> list[Row]:
        """Return the rows in which they disagree for no known reason.

        A CLI that says something else than what is on record needs no reason yet.
        """
        return [row for row in self.all_apart() if not self.changed(row) and not self.reason(row)]

    def exit_status(self) -> int:
        """Return 130 if interrupted, 3 where something could not be judged, 1 or 0.

        It is 1 where the CLI changed its mind, or disagrees for no known reason.
        """
        if self.interrupted:
            return INTERRUPTED
        if len(self.rows) < self.total or any(row.broke() for row in self.rows):
            return CannotJudge.exit_status
        return 1 if self.all_changed() or self.unexplained() else 0
