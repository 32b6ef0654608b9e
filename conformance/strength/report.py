"""What the command strength says, to people and to machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from msgspec import to_builtins
from rich.console import Console
from rich.text import Text

from conformance import __version__
from conformance.model.contract import Contract
from conformance.report.bar import Bar
from conformance.report.view import some
from conformance.strength.tally import Constant, StrengthTally, constants
from conformance.strength.trials import Trial

__all__ = ["StrengthReport", "StrengthView"]

#: How many scenarios that catch one vice are named in a terminal.
_NAMED = 3


class StrengthReport:
    """Renders a tally for machines."""

    def __init__(self, tally: StrengthTally) -> None:
        self._tally = tally

    def document(self) -> dict[str, Any]:
        """Return the report as built-in types (schema version 1)."""
        tally = self._tally
        pace = tally.pace()
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "shard": to_builtins(tally.shard),
            "full": tally.full,
            "interrupted": tally.interrupted,
            "seconds": round(tally.seconds, 3),
            "executions": tally.executions(),
            "executions_per_second": None if pace is None else round(pace, 1),
            "wrong_probes": [self._trial(trial) for trial in tally.sorted()],
            "survivors": [trial.probe.id for trial in tally.survivors()],
            "by_accident": [trial.probe.id for trial in tally.accidents()],
            "trouble": list(tally.trouble()),
            "contracts": [self._contract(contract) for contract in tally.contracts],
        }

    def _trial(self, trial: Trial) -> dict[str, Any]:
        probe = trial.probe
        return {
            "id": probe.id,
            "contract": probe.contract,
            "vice": probe.vice,
            "report": probe.report,
            "caught_by": [
                {"scenario": id_, "findings": list(trial.catches[id_]), "about": id_ in probe.about}
                for id_ in self._tally.catchers(trial)
            ],
            "executions": trial.executions,
            "seconds": trial.seconds,
            "gave_up": trial.gave_up,
        }

    def _contract(self, contract: Contract) -> dict[str, Any]:
        found: dict[str, Any] = {
            "name": contract.name,
            "constants": [
                {"code": constant.code, "passes": len(constant.passes), "of": constant.of}
                for constant in constants(self._tally.catalogue, contract)
            ],
        }
        if self._tally.full:
            found["scenarios"] = list(self._scenarios(contract))
        return found

    def _scenarios(self, contract: Contract) -> Iterator[dict[str, Any]]:
        only = self._tally.only(contract)
        for id_, names in self._tally.caught_by(contract).items():
            yield {"id": id_, "catches": names, "only": only.get(id_, [])}


class StrengthView:
    """Renders a tally for people: a bar while it grows, and in the end all there is to say."""

    def __init__(self, stream: TextIO, tally: StrengthTally) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._tally = tally
        self._bar: Bar | None = None

    def _line(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def start(self, workers: int, steps: int) -> None:
        """Say what is tried, and show a bar for so many *steps*."""
        if self._bar is None:
            probes = some(self._tally.total, "wrong probe")
            words = f"probe-conformance {__version__}, strength: {probes}"
            if workers:
                words += f", {some(workers, 'worker')}"
            if self._tally.shard is not None:
                words += f", {self._tally.shard.words}"
            self._line(words)
            if self._tally.shard is not None and self._tally.shard.note:
                self._line(f"note: {self._tally.shard.note}")
            self._line()
        self._bar = Bar(self._console, steps, lines=True)
        self._bar.start()

    def step(self, done: int) -> None:
        """Show that so many steps are *done*."""
        assert self._bar is not None, "it has been started"
        survive = sum(1 for trial in self._tally.trials if not trial.catches)
        self._bar.step(done, f"{survive} survive" if survive else "")

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str) -> None:
        """Write a *line*."""
        self._line(line)

    def finish(self) -> None:
        """Take the bar away, and write what was found."""
        self.stop()
        for contract in self._tally.contracts:
            self._contract(contract)
        for line in self._tally.trouble():
            self._line(f"TROUBLE {line}", "bold magenta")
        self._verdict()

    def _contract(self, contract: Contract) -> None:
        trials = self._tally.sorted(contract)
        count = some(len(trials), "wrong probe") if trials else "no wrong probes"
        self._line(f"{contract.name}: {count}", "bold")
        width = max((len(trial.probe.name) for trial in trials), default=0)
        for trial in trials:
            self._trial(trial, width)
        for constant in constants(self._tally.catalogue, contract):
            self._constant(constant)
        if self._tally.full and trials:
            self._use(contract)
        self._line()

    def _trial(self, trial: Trial, width: int) -> None:
        probe = trial.probe
        caught = self._caught(trial)
        if self._tally.survives(trial):
            self._line(f"  SURVIVES {probe.name}: {probe.vice}", "bold red")
        elif self._tally.by_accident(trial):
            line = f"  BY ACCIDENT {probe.name}: caught by {caught}, none of them about it"
            self._line(line, "bold red")
        else:
            self._line(f"  {probe.name:<{width}}  {caught}")

    def _caught(self, trial: Trial) -> str:
        """Return the first scenarios that catch the probe, each with its findings."""
        catchers = self._tally.catchers(trial)
        named = [f"{id_} ({', '.join(trial.catches[id_])})" for id_ in catchers[:_NAMED]]
        more = len(catchers) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")

    def _constant(self, constant: Constant) -> None:
        passes = len(constant.passes)
        share = f"{100 * passes / constant.of:.0f} %" if constant.of else "none"
        count = f"{passes} of {constant.of} scenarios ({share})"
        self._line(f"  a probe that always answers {constant.code} passes {count}")

    def _use(self, contract: Contract) -> None:
        """Say what each scenario is good for, as far as this bank can tell."""
        only = self._tally.only(contract)
        for id_, caught in only.items():
            self._line(f"  the only one to catch {', '.join(caught)}: {id_}")
        shared, idle = [], []
        for id_, caught in self._tally.caught_by(contract).items():
            if not caught:
                idle.append(id_)
            elif id_ not in only:
                shared.append(id_)
        names = ", ".join(shared) or "none"
        self._line(f"  catch only what others catch as well: {len(shared)}: {names}")
        self._line(f"  catch nothing: {len(idle)}: {', '.join(idle) or 'none'}")

    def _verdict(self) -> None:
        tally = self._tally
        survive, by_accident = len(tally.survivors()), len(tally.accidents())
        caught = len(tally.trials) - survive - by_accident
        line = (
            f"{caught} of {tally.total} caught by a scenario about their vice"
            f" in {tally.seconds:.1f} s:"
            f" {tally.executions()} executions, {tally.pace() or 0:.0f} a second"
        )
        if tally.interrupted:
            self._line(f"{line}: INTERRUPTED", "bold yellow")
            return
        if tally.exit_status() == 0:
            self._line(line, "bold green")
            return
        left = []
        if survive:
            left.append(f"{survive} survive")
        if by_accident:
            left.append(f"{by_accident} by accident")
        self._line(f"{line}: {', '.join(left) or 'NOT JUDGED'}", "bold red")
