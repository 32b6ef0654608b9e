"""What the trials of wrong probes come to: which scenarios catch which vice, and what survives."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from msgspec import Struct

from conformance.catalogue.catalogue import Catalogue
from conformance.errors import CannotJudge
from conformance.judge.tally import INTERRUPTED
from conformance.model.contract import Contract
from conformance.model.entrypoint import STARTED
from conformance.model.shard import Shard
from conformance.strength.trials import Trial
from conformance.text import one_line

__all__ = ["Constant", "StrengthTally", "constants"]


class StrengthTally:
    """The trials of wrong probes, and of the right ones they were made from, as they come in."""

    def __init__(
        self,
        catalogue: Catalogue,
        contracts: Sequence[Contract],
        *,
        total: int,
        full: bool,
        shard: Shard | None = None,
    ) -> None:
        """Expect *total* wrong probes; with *full*, each is run in every scenario.

        *shard* says which part of a bank they are; None where it is the whole.
        """
        self.shard = shard
        self.catalogue = catalogue
        self.contracts = list(contracts)
        self.total = total
        self.full = full
        self.seconds = 0.0
        self.interrupted = False
        self.asked: Collection[str] | None = None
        """The scenarios that were chosen; None for all."""
        self.trials: list[Trial] = []
        self.right: list[Trial] = []

    def executions(self) -> int:
        """Return how often a probe was run."""
        return sum(trial.executions for trial in (*self.trials, *self.right))

    def pace(self) -> float | None:
        """Return the executions per second; None where no time has passed."""
        return self.executions() / self.seconds if self.seconds else None

    def sorted(self, contract: Contract | None = None) -> list[Trial]:
        """Return the trials in the order of their names, of all contracts or of one."""
        trials = sorted(self.trials, key=lambda trial: trial.probe.id)
        if contract is None:
            return trials
        return [trial for trial in trials if trial.probe.contract == contract.name]

    def false_alarms(self, contract: str) -> set[str]:
        """Return the scenarios in which the right probe fails too: they catch nothing."""
        found: set[str] = set()
        for trial in self.right:
            if trial.probe.contract == contract:
                found.update(trial.catches)
        return found

    def catchers(self, trial: Trial) -> list[str]:
        """Return the scenarios that catch the probe of *trial*, those about its vice first."""
        false = self.false_alarms(trial.probe.contract)
        found = [id_ for id_ in trial.catches if id_ not in false]
        return sorted(found, key=lambda id_: id_ not in trial.probe.about)

    def survives(self, trial: Trial) -> bool:
        """Tell whether no scenario caught the probe of *trial*."""
        return not self.catchers(trial)

    def by_accident(self, trial: Trial) -> bool:
        """Tell whether scenarios caught the probe of *trial*, but none that is about its vice."""
        catchers = self.catchers(trial)
        return bool(catchers) and set(catchers).isdisjoint(trial.probe.about)

    def survivors(self) -> list[Trial]:
        """Return the trials in which no scenario caught the probe."""
        return [trial for trial in self.sorted() if self.survives(trial)]

    def accidents(self) -> list[Trial]:
        """Return the trials in which only scenarios about something else caught the probe."""
        return [trial for trial in self.sorted() if self.by_accident(trial)]

    def trouble(self) -> Iterator[str]:
        """Yield a line for each scenario that was not judged, or in which a right probe fails."""
        for trial in (*self.sorted(), *self.right):
            for id_, reason in trial.broke.items():
                yield f"{trial.probe.id} in {id_}: {one_line(reason)}"
        for trial in self.right:
            for id_ in trial.catches:
                right = f"the right probe of {trial.probe.contract}"
                yield f"{right} fails {id_} itself, which therefore catches nothing"

    def exit_status(self) -> int:
        """Return 130 if interrupted, 3 where something could not be judged, 1 or 0.

        It is 1 where a vice survives or is caught by accident, or a right probe fails.
        """
        if self.interrupted:
            return INTERRUPTED
        broke = any(trial.broke for trial in (*self.trials, *self.right))
        if broke or len(self.trials) < self.total:
            return CannotJudge.exit_status
        right_fails = any(trial.catches for trial in self.right)
        return 1 if self.survivors() or self.accidents() or right_fails else 0

    def caught_by(self, contract: Contract) -> dict[str, list[str]]:
        """Return, for every scenario run under *contract*, the wrong probes it catches."""
        found: dict[str, list[str]] = {}
        for scenario in self.catalogue.in_contract(contract):
            asked = self.asked is None or scenario.id in self.asked
            if scenario.container is None and asked:
                found[scenario.id] = []
        for trial in self.sorted(contract):
            for id_ in self.catchers(trial):
                found[id_].append(trial.probe.name)
        return found

    def only(self, contract: Contract) -> dict[str, list[str]]:
        """Return each scenario that is the only one to catch something, with what it catches."""
        found: dict[str, list[str]] = {}
        for trial in self.sorted(contract):
            catchers = self.catchers(trial)
            if len(catchers) == 1:
                found.setdefault(catchers[0], []).append(trial.probe.name)
        return found


class Constant(Struct, frozen=True):
    """A probe that always answers the same, and does nothing else that could be a finding."""

    code: int
    passes: tuple[str, ...]
    """The scenarios in which it conforms."""
    of: int
    """The number of scenarios there are."""


def constants(catalogue: Catalogue, contract: Contract) -> list[Constant]:
    """Return what a constant answer passes, for every exit code of *contract*."""
    right_codes = {}
    for scenario in catalogue.in_contract(contract):
        # Of an entrypoint: one that starts nothing, whatever its exit code.
        started = {STARTED} if contract.entrypoint is not None else set()
        answers = [verdict for verdict in scenario.expected(contract) if verdict not in started]
        right_codes[scenario.id] = contract.codes(answers)
    found = []
    for code in contract.all_codes:
        passes = tuple(id_ for id_, right in right_codes.items() if code in right)
        found.append(Constant(code, passes, len(right_codes)))
    return found
