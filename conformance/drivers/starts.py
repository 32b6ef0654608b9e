"""What every driver does to start an entrypoint and to see what came of it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from conformance.drivers.recorder import SHELL_STUB, recorder_nodes
from conformance.home import Node, Snapshot, changes
from conformance.model.contract import Contract
from conformance.model.entrypoint import SHELL, STARTED, TOOLS, Entrypoint, Seed
from conformance.model.outcome import Ending, Exited, Killed, Outcome, TimedOut
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Scenario
from conformance.model.start import Called, FileSeen, SeedSeen, Start, StartSeen

__all__ = [
    "HomeSeen",
    "Plan",
    "both",
    "entry_variables",
    "program_names",
    "programs_in_place",
    "seen",
]

_ENDS: dict[type[Ending], Literal["exited", "killed", "timed-out"]] = {
    Exited: "exited",
    Killed: "killed",
    TimedOut: "timed-out",
}


def _agent(scenario: Scenario) -> str:
    """Return what the variable of the agent holds; empty where it is not set."""
    if "agent" in scenario.inputs_unset:
        return ""
    return scenario.inputs.get("agent", scenario.agent)


def _start(scenario: Scenario) -> Start:
    assert scenario.start is not None, "only such a scenario is part of the contract"
    return scenario.start


def _entrypoint(contract: Contract) -> Entrypoint:
    assert contract.entrypoint is not None, "only such a contract is about an entrypoint"
    return contract.entrypoint


def entry_variables(scenario: Scenario, contract: Contract, context: Context) -> dict[str, str]:
    """Return the variables that the table of an entrypoint adds to the environment."""
    found, agent = {}, _agent(scenario)
    for name, text in _entrypoint(contract).environment.items():
        if agent or "{agent}" not in text:
            found[name] = expand(text.replace("{agent}", agent), context)
    seed, session = _seed(scenario, contract), _start(scenario).session
    if seed is not None and session is not None:
        found[seed.variable] = expand(session, context)
    return found


def _seed(scenario: Scenario, contract: Contract) -> Seed | None:
    return _entrypoint(contract).seeds.get(scenario.agent)


def program_names(contract: Contract) -> tuple[str, ...]:
    """Return the names of the programs that an entrypoint may start, without directories."""
    if contract.entrypoint is None:
        return ()
    return tuple(name for name in contract.entrypoint.programs(contract.agents) if "/" not in name)


def programs_in_place(contract: Contract) -> tuple[str, ...]:
    """Return the absolute paths of the programs that an entrypoint may start."""
    if contract.entrypoint is None:
        return ()
    return tuple(name for name in contract.entrypoint.programs(contract.agents) if "/" in name)


class Plan(Struct, frozen=True, kw_only=True):
    """What a driver needs to know of the starts of one scenario."""

    scenario: Scenario
    contract: Contract
    context: Context
    """What stands for the placeholders of the scenario."""
    environment: Mapping[str, str]
    """The environment of the first start."""
    directory: str
    """Where the stubs lie."""
    records: str
    """Where they write; a directory of that name has to be there."""
    home: str
    writes: tuple[str, ...]
    """Paths that CLIs may write in the HOME."""
    command: tuple[str, ...] = ()
    """The arguments that an image has of its own, for a container that has none."""

    @property
    def start(self) -> Start:
        """How the scenario starts it."""
        return _start(self.scenario)

    @property
    def limit(self) -> float:
        """Seconds that one start may take."""
        return self.contract.limits.seconds

    @property
    def seed(self) -> Seed | None:
        """The credential file that the entrypoint makes for the agent."""
        return _seed(self.scenario, self.contract)

    @property
    def about_side_effects(self) -> bool:
        """Whether the scenario cites a rule about what an entrypoint does that starts nothing."""
        rules = self.contract.rules
        cited = self.scenario.cites(self.contract)
        return any("side-effect" in rules[name].findings for name in cited)

    def stubs(self) -> list[Node]:
        """Return the nodes of the directory of stubs, without the CLIs in their state."""
        names = {path.rpartition("/")[2] for path in programs_in_place(self.contract)}
        names |= {*program_names(self.contract), *self.start.arguments[:1]}
        names -= {*TOOLS}  # where one is the first argument of a CLI
        if self.scenario.cli == "missing":
            names -= {self.scenario.agent}
        seed = posixpath.join(self.home, self.seed.file) if self.seed is not None else ""
        return recorder_nodes(
            (name for name in names if name and "/" not in name),
            records=self.records,
            seed=seed,
            directory=self.directory,
            code=self.start.code,
        )

    def feeds_shell(self, number: int) -> bool:
        """Return whether there is something to read in start *number*.

        There is for a shell that is to be started, or where nothing is and one might be.
        """
        expected = self.expected(number)
        return not expected or (SHELL,) in (expected, self.usual(number))

    def stdin(self) -> bytes:
        """Return what a shell that is started reads: it hands over to a stub."""
        return f"exec {self.directory}/{SHELL_STUB}\n".encode()

    def mode(self, number: int) -> str:
        """Return what the variable of the mode holds in start *number*, from 0; empty if unset."""
        inputs, again = self.contract.inputs, self.start.again
        if number and again is not None and again.mode:
            return self.contract.input_value("mode", again.mode)
        return self.environment.get(inputs.mode, "")

    def variables(self, number: int) -> dict[str, str]:
        """Return the environment of start *number*."""
        changed = {self.contract.inputs.mode: self.mode(number)} if number else {}
        return {**self.environment, **changed}

    def expected(self, number: int) -> tuple[str, ...]:
        """Return the program of start *number* with its arguments; empty if none is called for."""
        mode = _entrypoint(self.contract).named(self.mode(number))
        if mode is None or STARTED not in self.scenario.expected(self.contract):
            return ()
        return mode.started(_agent(self.scenario), self.start.arguments)

    def usual(self, number: int) -> tuple[str, ...]:
        """Return the same with the arguments that an image has of its own; empty without any."""
        mode = _entrypoint(self.contract).named(self.mode(number))
        if self.start.arguments or not self.command or mode is None:
            return ()
        return mode.started(_agent(self.scenario), self.command)


class HomeSeen(Struct, frozen=True, kw_only=True):
    """The HOME at one moment."""

    stamps: Snapshot
    files: Mapping[str, FileSeen]
    """What lies at the paths that matter."""


def seen(
    plan: Plan,
    number: int,
    outcome: Outcome,
    calls: Sequence[Called],
    homes: tuple[HomeSeen, HomeSeen],
) -> StartSeen:
    """Return what was seen of start *number*, with the *homes* before and after it."""
    before, after = homes
    contract, seed = plan.contract, plan.seed
    seed_seen = None
    if seed is not None:
        seed_seen = SeedSeen(
            path=seed.file,
            variable=seed.variable,
            given=plan.environment.get(seed.variable),
            before=before.files.get(seed.file, FileSeen()),
            after=after.files.get(seed.file, FileSeen()),
        )
    judged = (seed.file,) if seed is not None else ()
    made = judged if seed_seen is not None and seed_seen.given else ()
    return StartSeen(
        mode=plan.mode(number),
        expected=plan.expected(number),
        usual=plan.usual(number),
        given=dict(plan.variables(number)),
        end=_ENDS[type(outcome.ending)],
        code=outcome.code if outcome.code is not None else outcome.signal or 0,
        said=outcome.stdout + b"\n" + outcome.stderr,
        calls=tuple(calls),
        changes=changes(
            _without(judged, before.stamps),
            _without(judged, after.stamps),
            plan.writes,
            replaceable=(*contract.entrypoint_writes, *made),
        ),
        touched=changes(before.stamps, after.stamps, plan.writes),
        seed=seed_seen,
        seconds=outcome.seconds,
    )


def _without(paths: Sequence[str], stamps: Snapshot) -> Snapshot:
    """Return *stamps* without those of *paths*, which are judged by themselves."""
    return {path: stamp for path, stamp in stamps.items() if path.decode("latin-1") not in paths}


def both(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcomes of two starts as one: the ending of the last, and what all printed."""
    return replace(
        outcomes[-1],
        stdout=b"".join(one.stdout for one in outcomes),
        stderr=b"".join(one.stderr for one in outcomes),
        seconds=sum(one.seconds for one in outcomes),
        left=tuple(line for one in outcomes for line in one.left),
        left_by_cli=tuple(line for one in outcomes for line in one.left_by_cli),
    )
