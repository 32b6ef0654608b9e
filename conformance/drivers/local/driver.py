"""Run a local command as the probe."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from conformance.drivers.conditions import conditions, opposite_home
from conformance.drivers.environment import environment
from conformance.drivers.local.command import SYSTEM_PATH, own_command
from conformance.drivers.local.supervisor_client import Request, Supervisor
from conformance.drivers.stubs import AGENT_CLIS, bystanders, stub_nodes
from conformance.errors import CannotJudge, ConformanceError, UsageError
from conformance.home import Node, build, check_target, difference, mismatch, plan, remove, snapshot
from conformance.home.build import Unbuildable
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, Outcome
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.model.wording import describe_needs
from conformance.text import join, quote

__all__ = ["LocalDriver", "Place", "by_hand", "is_shut", "standalone"]


class Place(Struct, frozen=True):
    """Where the homes of one scenario are built."""

    top: Path

    @property
    def home(self) -> Path:
        """The fake HOME."""
        return self.top / "home"

    @property
    def opposite(self) -> Path:
        """The home with the opposite answer, for contracts that ask for one."""
        return self.top / "opposite"


class LocalDriver:
    """Runs a command in homes below *directory*, which must exist; without one, the CLI that the contract asks itself."""

    def __init__(
        self, argv: Sequence[str], directory: Path, *, cwd: Path, extra: Mapping[str, str] | None = None, keep: bool = False
    ) -> None:
        self.directory = directory
        self.cwd = cwd
        self.extra = dict(extra or {})
        self.keep = keep
        self._take(argv)
        self._numbers = itertools.count(1)
        self._supervisor = Supervisor(directory / "supervisor.log")
        self._shared: dict[tuple[str, ...], str] = {}
        self._lock = threading.Lock()

    def _take(self, argv: Sequence[str]) -> None:
        self.argv = tuple(argv)
        # Without the capabilities that pass over modes, root may be unable to read what another user owns.
        files = [os.path.join(self.cwd, word) for word in self.argv]
        self._needed = [("readable", os.fsencode(path)) for path in (str(self.cwd), *files) if os.access(path, os.R_OK)]

    def with_command(self, argv: Sequence[str]) -> LocalDriver:
        """Return a driver for another probe that shares all else with this one, which alone is to be closed."""
        other = copy(self)
        other._take(argv)
        return other

    def describe(self) -> dict[str, Any]:
        """Return the command and what isolates it."""
        try:
            facts = self._supervisor.start()
        except OSError as e:
            raise CannotJudge(f"the supervisor process does not start: {e}") from None
        return {
            "kind": "command" if self.argv else "cli",
            "command": list(self.argv),
            "network": f"open: {facts['network']}" if facts["network"] else "cut",
            "capabilities": f"kept: {facts['capabilities']}" if facts["capabilities"] else "dropped",
        }

    def execute(self, scenario: Scenario, contract: Contract, context: Context, number: int = 0) -> Execution:
        """See :class:`~conformance.drivers.Driver`."""
        if lacks := _lacks(scenario):
            return Execution(outcome=Outcome(unsupported=lacks))
        place = Place(self.directory / str(next(self._numbers)))
        nodes: list[Node] = []
        env: dict[str, str] = {}
        argv = self.argv
        try:
            nodes, env = self.prepare(scenario, contract, context, place)
            argv = self.argv or own_command(contract, scenario.agent, env["PATH"])
            # A CLI that is asked itself may write where it stands: some of its settings mean the current directory.
            execution = self._run(argv, self.cwd if self.argv else place.home, contract, place, nodes, env)
        except Unbuildable as e:
            execution = Execution(outcome=Outcome(unsupported=str(e)))
        except (ConformanceError, OSError) as e:
            execution = Execution(outcome=Outcome(broke=str(e)))
        if self.keep:
            return replace(
                execution,
                kept=str(place.top),
                command=self._by_hand(argv, env, shut=any(conditions(nodes, os.fsencode(place.home), os.geteuid()))),
            )
        try:
            remove(place.top)
        except OSError as e:
            return replace(execution, outcome=Outcome(broke=f"the home cannot be removed: {e}"))
        return execution

    def prepare(
        self, scenario: Scenario, contract: Contract, context: Context, place: Place
    ) -> tuple[list[Node], dict[str, str]]:
        """Build the homes of *scenario* and its CLI; return the nodes of the home, and the probe's environment."""
        context = replace(context, scenario=scenario.id, home=str(place.home))
        nodes = plan(scenario.entries, context)
        place.top.mkdir(mode=0o700, parents=True, exist_ok=True)
        build(nodes, place.home)
        if contract.inputs.opposite_home or contract.inputs.home != "HOME":
            build(plan(opposite_home(scenario, contract), context), place.opposite)
        if contract.commands:
            path = self.extra.get("PATH", SYSTEM_PATH)  # here the CLIs are the probe, and no stub stands before them
        else:
            asked = scenario.env.get(contract.inputs.agent, scenario.agent)
            stubs = self._stubs(scenario.agent, scenario.cli, bystanders(scenario, contract, asked))
            path = f"{stubs}:{self._system_path({*AGENT_CLIS, *contract.agents})}"
        env = environment(scenario, contract, context, path=path, opposite=str(place.opposite), extra=self.extra)
        return nodes, env

    def _run(
        self, argv: tuple[str, ...], cwd: Path, contract: Contract, place: Place, nodes: list[Node], env: dict[str, str]
    ) -> Execution:
        known = [node.path for node in nodes]
        before, before_opposite = snapshot(place.home, known), snapshot(place.opposite)
        if wrong := mismatch(nodes, before):
            return Execution(outcome=Outcome(unsupported=f"this file system does not hold the home: {wrong}"))
        request = Request(
            argv=argv,
            env=env,
            cwd=str(cwd),
            seconds=contract.limits.seconds,
            checks=(*self._needed, *conditions(nodes, os.fsencode(place.home), os.geteuid())),
        )
        outcome = self._supervisor.run(request)
        if outcome.broke or outcome.unsupported:
            return Execution(outcome=outcome)
        changes = difference(before, snapshot(place.home, known), contract.allowed_writes)
        opposite = difference(before_opposite, snapshot(place.opposite), contract.allowed_writes)
        return Execution(outcome=outcome, changes=(*changes, *(f"in the opposite home: {change}" for change in opposite)))

    def run_in(self, env: Mapping[str, str], contract: Contract) -> Outcome:
        """Run the probe once with the environment *env*, in a home that stands already."""
        request = Request(argv=self.argv, env=dict(env), cwd=str(self.cwd), seconds=contract.limits.seconds)
        return self._supervisor.run(request)

    def _by_hand(self, argv: Sequence[str], env: Mapping[str, str], *, shut: bool) -> str:
        """Return the line that starts the probe by hand."""
        where = str(self.cwd) if self.argv else env["HOME"]
        return f"cd {quote(where)} && {join([*by_hand(env, shut=shut), *argv])} < /dev/null"

    def _stubs(self, agent: str, state: str, others: tuple[str, ...]) -> str:
        """Return the directory of stubs for this condition; each is built once and used by many scenarios."""
        with self._lock:
            key = (agent, state, *others)
            if key not in self._shared:
                directory = self.directory / "cli" / str(len(self._shared))
                build(stub_nodes(agent, state, others), directory)
                directory.chmod(0o555)
                self._shared[key] = str(directory)
            return self._shared[key]

    def _system_path(self, clis: set[str]) -> str:
        """Return the rest of PATH, with no agent's CLI on it: a real one must not answer for a stub that is missing."""
        with self._lock:
            if ("path",) not in self._shared:
                path = self.extra.get("PATH", SYSTEM_PATH)
                # Relative entries, and the empty one, count from where the probe runs.
                parts = [self._without(clis, os.path.join(self.cwd, part), n) for n, part in enumerate(path.split(":"))]
                self._shared["path",] = ":".join(parts)
            return self._shared["path",]

    def _without(self, clis: set[str], directory: str, number: int) -> str:
        """Return a directory with the programs of *directory* but for *clis*: itself, where it has none of them."""
        if not any(os.path.lexists(os.path.join(directory, name)) for name in clis):
            return directory
        shadow = self.directory / "path" / str(number)
        shadow.mkdir(parents=True)
        for name in os.listdir(directory):
            if name not in clis:
                (shadow / name).symlink_to(os.path.join(directory, name))
        return str(shadow)

    def close(self) -> None:
        """End what still runs."""
        self._supervisor.close()


def _lacks(scenario: Scenario) -> str:
    """Return why *scenario* cannot be shown without a container; empty where it can."""
    words = describe_needs(scenario.container).values()
    return f"only a container can show it: it needs {' and '.join(words)}" if words else ""


def by_hand(env: Mapping[str, str], *, shut: bool) -> list[str]:
    """Return what to put before a command to run it with *env*; where modes matter, without the rights that pass over them."""
    dropped = "-dac_override,-dac_read_search"
    root = shut and os.geteuid() == 0
    prefix = ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"] if root else []
    return [*prefix, "env", "-i", *(f"{name}={value}" for name, value in sorted(env.items()))]


def is_shut(scenario: Scenario, context: Context) -> bool:
    """Return whether anything in the home of *scenario* is meant to be out of reach for the probe."""
    return any(conditions(plan(scenario.entries, context), b"", os.geteuid()))


def standalone(scenario: Scenario, contract: Contract, directory: Path, context: Context) -> dict[str, str]:
    """Build the home of *scenario* in *directory* for someone who runs a probe by hand; return the environment for it.

    The CLI comes to stand beside it, in ``DIRECTORY.cli``, and the home with the opposite answer, where the contract
    asks for one, in ``DIRECTORY.opposite``.

    :raises UsageError: one of them cannot be used, or no directory can be what the scenario needs.
    """
    if lacks := _lacks(scenario):
        raise UsageError(f"'{scenario.id}': {lacks}", hint="run it in an image, with --image")
    check_target(directory)
    cli, opposite = (directory.with_name(f"{directory.name}.{name}") for name in ("cli", "opposite"))
    for target in (cli, opposite):
        check_target(target)
    context = replace(context, scenario=scenario.id, home=str(directory))
    build(plan(scenario.entries, context), directory)
    asked = scenario.env.get(contract.inputs.agent, scenario.agent)
    build(stub_nodes(scenario.agent, scenario.cli, bystanders(scenario, contract, asked)), cli)
    if contract.inputs.opposite_home:
        build(plan(opposite_home(scenario, contract), context), opposite)
    return environment(scenario, contract, context, path=f"{cli}:{SYSTEM_PATH}", opposite=str(opposite))
