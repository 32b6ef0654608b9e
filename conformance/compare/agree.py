"""Do a program that lets somebody log in and a probe agree on what a login is?

Each home of a scenario comes into being twice: the scripted CLI writes it while the program lets
somebody log in, and it is there when the probe looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from conformance.catalogue.layers import layer
from conformance.catalogue.login import WRITABLE, good_login_around
from conformance.compare.rows import meanings
from conformance.compare.sides import Side, in_parallel
from conformance.errors import CannotJudge
from conformance.judge.tally import INTERRUPTED
from conformance.model.agent import HEALTHY
from conformance.model.contract import Contract
from conformance.model.entry import Bytes, Entry, Json, Runs, Text
from conformance.model.login import Write
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Process, Scenario
from conformance.model.yes import verdicts_of_yes

__all__ = ["AgreeRow", "AgreeTally", "as_login", "as_logins", "is_home_of_login", "run_both"]

#: What a home may have for a CLI to write it: so many entries of one kind, directories, and bytes.
_MOST_ENTRIES, _MOST_LEVELS, _MOST_BYTES = 20, 50, 256 * 1024
#: The layer of what an image brings before anybody has logged in.
_BASELINE = "{agent}-baseline"


class AgreeRow(Struct, frozen=True):
    """One home, and what both programs have made of it."""

    scenario: Scenario
    """Of the probe's contract."""
    login: ScenarioResult
    probe: ScenarioResult

    def broke(self) -> bool:
        """Tell whether one of them could not be run."""
        return "broke" in (self.login.result, self.probe.result)

    def judged(self) -> bool:
        """Tell whether both have ended in whatever way."""
        known = ("conforms", "deviates")
        return self.login.result in known and self.probe.result in known


class AgreeTally:
    """The rows, as they come in, for a program and a probe under their *contracts*."""

    def __init__(self, login: Contract, probe: Contract, total: int) -> None:
        self.login = login
        self.probe = probe
        self.total = total
        self.rows: list[AgreeRow] = []
        self.seconds = 0.0
        self.interrupted = False

    def logged_in(self, row: AgreeRow) -> bool:
        """Tell whether the program has called it a login."""
        return _says_yes(row.login, self.login)

    def ready(self, row: AgreeRow) -> bool:
        """Tell whether the probe has called the slot ready."""
        return _says_yes(row.probe, self.probe)

    def agree(self, row: AgreeRow) -> bool:
        """Tell whether both mean the same."""
        return self.logged_in(row) == self.ready(row)

    def right(self, row: AgreeRow) -> Literal["login", "probe", "either"]:
        """Return which of the two, which disagree, the probe's contract sides with."""
        expected = {*row.scenario.expected(self.probe)}
        yes = verdicts_of_yes(self.probe)
        if expected & yes and expected - yes:
            return "either"
        return "probe" if self.ready(row) == bool(expected & yes) else "login"

    def apart(self) -> list[AgreeRow]:
        """Return the rows in which they disagree."""
        return [row for row in self._sorted() if row.judged() and not self.agree(row)]

    def together(self) -> list[AgreeRow]:
        """Return the rows in which they agree."""
        return [row for row in self._sorted() if row.judged() and self.agree(row)]

    def unjudged(self) -> list[AgreeRow]:
        """Return the rows in which one of them could not be run."""
        return [row for row in self._sorted() if not row.judged()]

    def not_judged(self) -> int:
        """Return how many homes were not looked at by both."""
        return len(self.unjudged()) + self.total - len(self.rows)

    def _sorted(self) -> list[AgreeRow]:
        return sorted(self.rows, key=lambda row: row.scenario.id)

    def exit_status(self) -> int:
        """Return 130 if interrupted, 3 where something could not be judged, 1 or 0.

        It is 1 where they disagree. What cannot be shown here does not count, unless nothing can.
        """
        if self.interrupted:
            return INTERRUPTED
        unrun = len(self.rows) < self.total or any(row.broke() for row in self.rows)
        if unrun or not any(row.judged() for row in self.rows):
            return CannotJudge.exit_status
        return 1 if self.apart() else 0


def _says_yes(result: ScenarioResult, contract: Contract) -> bool:
    return bool(meanings(result, contract) & verdicts_of_yes(contract))


def is_home_of_login(scenario: Scenario) -> bool:
    """Return whether the home of *scenario* is one that a login may have left, and nothing else.

    There the home alone decides, and a CLI can write it.
    """
    around = (
        scenario.inputs or scenario.inputs_unset or scenario.env or scenario.unset,
        scenario.process != Process() or scenario.home_name or scenario.earlier is not None,
        scenario.container is not None or scenario.steps or scenario.login is not None,
    )
    if any(around) or scenario.cli != HEALTHY:
        return False
    return all(_can_be_written(entry) for entry in scenario.entries)


def _can_be_written(entry: Entry) -> bool:
    few = entry.count <= _MOST_ENTRIES and entry.depth <= _MOST_LEVELS
    return few and entry.kind in WRITABLE and entry.owner is None and _size(entry) <= _MOST_BYTES


def _size(entry: Entry) -> int:
    size = 0
    match entry.content:
        case Text(text):
            size = len(text)
        case Bytes(data):
            size = len(data)
        case Json(value):
            size = len(str(value))
        case Runs(runs):
            size = sum(len(text) * times for text, times in runs)
    return max(size, entry.size or 0)


def as_login(scenario: Scenario, login: Contract, probe: Contract) -> Scenario:
    """Return the login that leaves the home of *scenario*, which is one of the contract *probe*.

    The image's baseline is there before, and the CLI writes the rest.
    """
    baseline = {entry.path for entry in layer(_BASELINE.format(agent=scenario.agent))}
    before = tuple(
        entry
        for entry in scenario.entries
        if entry.path in baseline and entry.kind == "file" and entry.mode is None
    )
    written = tuple(entry for entry in scenario.entries if entry not in before)
    yes, logged_in = verdicts_of_yes(probe), verdicts_of_yes(login)
    expected = {*scenario.expected(probe)}
    wanted = [
        verdict.name
        for verdict in login.verdicts
        if (expected & yes and verdict.name in logged_in)
        or (expected - yes and verdict.name not in logged_in)
    ]
    return replace(
        scenario,
        entries=before,
        layers={},
        rules={},
        control={},
        expect={login.name: tuple(wanted)},
        waits=False,
        login=good_login_around((Write(entries=written),) if written else ()),
    )


def as_logins(
    scenarios: Sequence[Scenario], login: Contract, probe: Contract
) -> tuple[Scenario, ...]:
    """Return the login that leaves the home of each of *scenarios*; see :func:`as_login`."""
    return tuple(as_login(scenario, login, probe) for scenario in scenarios)


def run_both(
    scenarios: Sequence[Scenario], login: Side, probe: Side, workers: int
) -> Iterator[AgreeRow]:
    """Yield a row for every scenario as it is complete; *login* has the login of each selected."""
    logins = {one.id: one for one in login.run.selected}

    def row(scenario: Scenario) -> AgreeRow:
        as_written = login.run.runner.run(logins[scenario.id])
        return AgreeRow(scenario, as_written, probe.run.runner.run(scenario))

    return in_parallel(scenarios, row, workers)
