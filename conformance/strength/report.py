"""What strength says: which scenarios catch which vice, what survives, and what a constant answer passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from conformance import __version__
from conformance.catalogue.catalogue import Catalogue
from conformance.judge.tally import INTERRUPTED
from conformance.model.contract import Contract
from conformance.report.bar import Bar
from conformance.report.view import some
from conformance.strength.trials import Trial, constants
from conformance.text import one_line

__all__ = ["StrengthReport", "StrengthView"]

#: How many scenarios that catch one vice are named in a terminal.
_NAMED = 3


class StrengthReport:
    """The trials of wrong probes, and of the right ones they were made from."""

    def __init__(self, catalogue: Catalogue, contracts: Sequence[Contract], *, total: int, full: bool) -> None:
        self.catalogue = catalogue
        self.contracts = list(contracts)
        self.total = total
        self.full = full
        self.seconds = 0.0
        self.interrupted = False
        self.trials: list[Trial] = []
        self.right: list[Trial] = []

    def executions(self) -> int:
        """Return how often a probe was run."""
        return sum(trial.executions for trial in (*self.trials, *self.right))

    def false(self, contract: str) -> set[str]:
        """Return the scenarios in which the right probe fails as well: there, nothing is caught."""
        return {id_ for trial in self.right if trial.probe.contract == contract for id_ in trial.catches}

    def catchers(self, trial: Trial) -> list[str]:
        """Return the scenarios that catch the probe of *trial*, those about its vice first."""
        about = set(trial.probe.about)
        found = [id_ for id_ in trial.catches if id_ not in self.false(trial.probe.contract)]
        return sorted(found, key=lambda id_: id_ not in about)

    def survivors(self) -> list[Trial]:
        """Return the trials in which no scenario caught the probe."""
        return [trial for trial in self.sorted() if not self.catchers(trial)]

    def accidents(self) -> list[Trial]:
        """Return the trials in which only scenarios caught the probe that are not about its vice."""
        return [trial for trial in self.sorted() if self.catchers(trial) and not self._about(trial)]

    def _about(self, trial: Trial) -> bool:
        return not set(trial.probe.about).isdisjoint(self.catchers(trial))

    def sorted(self) -> list[Trial]:
        """Return the trials in the order of their names."""
        return sorted(self.trials, key=lambda trial: trial.probe.id)

    def trouble(self) -> Iterator[str]:
        """Yield what could not be judged, and where a right probe is wrong, a line each."""
        for trial in (*self.sorted(), *self.right):
            for id_, reason in trial.broke.items():
                yield f"{trial.probe.id} in {id_}: {one_line(reason)}"
        for trial in self.right:
            for id_ in trial.catches:
                yield f"the right probe of {trial.probe.contract} fails {id_} itself, which therefore catches nothing"

    def exit_status(self) -> int:
        """Return 130 where it was interrupted, 3 where something could not be judged, 1 where a vice survives, else 0."""
        if self.interrupted:
            return INTERRUPTED
        if any(trial.broke for trial in (*self.trials, *self.right)) or len(self.trials) < self.total:
            return 3
        return 1 if self.survivors() or self.accidents() or any(trial.catches for trial in self.right) else 0

    def caught_by(self, contract: Contract) -> dict[str, list[str]]:
        """Return, for every scenario that was run under *contract*, the wrong probes it catches."""
        found: dict[str, list[str]] = {s.id: [] for s in self.catalogue.in_contract(contract) if s.container is None}
        for trial in self.sorted():
            for id_ in self.catchers(trial) if trial.probe.contract == contract.name else ():
                found[id_].append(trial.probe.name)
        return found

    def only(self, contract: Contract) -> dict[str, list[str]]:
        """Return the scenarios that are the only ones to catch something, with what that is."""
        found: dict[str, list[str]] = {}
        for trial in self.sorted():
            catchers = self.catchers(trial)
            if trial.probe.contract == contract.name and len(catchers) == 1:
                found.setdefault(catchers[0], []).append(trial.probe.name)
        return found

    def document(self) -> dict[str, Any]:
        """Return the report as built-in types (schema version 1)."""
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "full": self.full,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
            "executions": self.executions(),
            "executions_per_second": round(self.executions() / self.seconds, 1) if self.seconds else None,
            "wrong_probes": [self._row(trial) for trial in self.sorted()],
            "survivors": [trial.probe.id for trial in self.survivors()],
            "by_accident": [trial.probe.id for trial in self.accidents()],
            "trouble": list(self.trouble()),
            "contracts": [self._contract(contract) for contract in self.contracts],
        }

    def _row(self, trial: Trial) -> dict[str, Any]:
        about = set(trial.probe.about)
        return {
            "id": trial.probe.id,
            "contract": trial.probe.contract,
            "vice": trial.probe.vice,
            "report": trial.probe.report,
            "caught_by": [
                {"scenario": id_, "findings": list(trial.catches[id_]), "about": id_ in about} for id_ in self.catchers(trial)
            ],
            "executions": trial.executions,
            "seconds": trial.seconds,
            "gave_up": trial.gave_up,
        }

    def _contract(self, contract: Contract) -> dict[str, Any]:
        rows = [{"code": code, "passes": len(ids), "of": of} for code, ids, of in constants(self.catalogue, contract)]
        found: dict[str, Any] = {"name": contract.name, "constants": rows}
        if self.full:
            caught = self.caught_by(contract)
            only = self.only(contract)
            found["scenarios"] = [{"id": id_, "catches": names, "only": only.get(id_, [])} for id_, names in caught.items()]
        return found


class StrengthView:
    """Writes to *stream*: a moving bar where that is a terminal, and in the end the whole report."""

    def __init__(self, stream: TextIO, report: StrengthReport) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._report = report
        self._bar = Bar(self._console, report.total, lines=True)

    def _line(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def start(self, workers: int) -> None:
        """Say what is tried, and show the bar."""
        report = self._report
        words = some(report.total, "wrong probe")
        self._line(f"probe-conformance {__version__}, strength: {words}" + (f", {some(workers, 'worker')}" if workers else ""))
        self._line()
        self._bar.start()

    def step(self) -> None:
        """Show that one more wrong probe has been tried."""
        survive = sum(1 for trial in self._report.trials if not trial.catches)
        self._bar.step(len(self._report.trials), f"{survive} survive" if survive else "")

    def finish(self) -> None:
        """Write the report."""
        self._bar.stop()
        for contract in self._report.contracts:
            self._contract(contract)
        for line in self._report.trouble():
            self._line(f"TROUBLE {line}", "bold magenta")
        self._verdict()

    def _contract(self, contract: Contract) -> None:
        trials = [trial for trial in self._report.sorted() if trial.probe.contract == contract.name]
        self._line(f"{contract.name}: {some(len(trials), 'wrong probe') if trials else 'no wrong probes'}", "bold")
        width = max((len(trial.probe.name) for trial in trials), default=0)
        for trial in trials:
            self._trial(trial, width)
        for code, ids, of in constants(self._report.catalogue, contract):
            share = f"{100 * len(ids) / of:.0f} %" if of else "none"
            self._line(f"  a probe that always answers {code} passes {len(ids)} of {of} scenarios ({share})")
        if self._report.full and trials:
            self._use(contract)
        self._line()

    def _trial(self, trial: Trial, width: int) -> None:
        catchers = self._report.catchers(trial)
        words = [f"{id_} ({', '.join(trial.catches[id_])})" for id_ in catchers[:_NAMED]]
        more = f" and {len(catchers) - _NAMED} more" if len(catchers) > _NAMED else ""
        if not catchers:
            self._line(f"  SURVIVES {trial.probe.name}: {trial.probe.vice}", "bold red")
        elif trial in self._report.accidents():
            self._line(f"  BY ACCIDENT {trial.probe.name}: caught by {', '.join(words)}{more}, none of them about it", "bold red")
        else:
            self._line(f"  {trial.probe.name:<{width}}  {', '.join(words)}{more}")

    def _use(self, contract: Contract) -> None:
        """Say what each scenario is good for, as far as this bank can tell."""
        only = self._report.only(contract)
        for id_, names in only.items():
            self._line(f"  the only one to catch {', '.join(names)}: {id_}")
        caught = self._report.caught_by(contract)
        shared = [id_ for id_, names in caught.items() if names and id_ not in only]
        idle = [id_ for id_, names in caught.items() if not names]
        self._line(f"  catch only what others catch as well: {len(shared)}: {', '.join(shared) or 'none'}")
        self._line(f"  catch nothing: {len(idle)}: {', '.join(idle) or 'none'}")

    def _verdict(self) -> None:
        report = self._report
        good = len(report.trials) - len(report.survivors()) - len(report.accidents())
        pace = report.executions() / report.seconds if report.seconds else 0
        line = (
            f"{good} of {report.total} caught by a scenario about their vice in {report.seconds:.1f} s: "
            f"{report.executions()} executions, {pace:.0f} a second"
        )
        status = report.exit_status()
        if report.interrupted:
            self._line(f"{line}: INTERRUPTED", "bold yellow")
        elif status == 0:
            self._line(line, "bold green")
        else:
            left = [f"{len(report.survivors())} survive"] if report.survivors() else []
            left += [f"{len(report.accidents())} by accident"] if report.accidents() else []
            self._line(f"{line}: {', '.join(left) or 'NOT JUDGED'}", "bold red")
