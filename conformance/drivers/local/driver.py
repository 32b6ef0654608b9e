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

from conformance.drivers.conditions import conditions
from conformance.drivers.layout import Layout, Surroundings, known_clis, lay_out
from conformance.drivers.local.command import SYSTEM_PATH, own_command
from conformance.drivers.local.supervisor_client import Request, Supervisor
from conformance.drivers.stubs import Stubs, stubs_for
from conformance.errors import CannotJudge, ConformanceError, UsageError
from conformance.home import build, changes, check_target, mismatch, plan, remove, snapshot
from conformance.home.build import Unbuildable
from conformance.model.contract import Contract
from conformance.model.outcome import Broke, Execution, Outcome, Unsupported, not_run
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.model.wording import describe_needs
from conformance.text import join, quote

__all__ = ["HomeDirectory", "LocalDriver", "by_hand", "is_shut", "standalone"]


class HomeDirectory(Struct, frozen=True):
    """Where the homes of one execution are built."""

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
        self._stub_directories: dict[Stubs, str] = {}
        self._paths: dict[tuple[str, ...], str] = {}
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
            return not_run(Unsupported(lacks))
        place = HomeDirectory(self.directory / str(next(self._numbers)))
        command = ""
        try:
            layout = self.place(scenario, contract, context, place)
            # Without a command the CLI is asked, where it stands: some of its settings mean the current directory.
            argv = self.argv or own_command(contract, scenario.agent, layout.environment["PATH"])
            cwd = self.cwd if self.argv else place.home
            command = self._by_hand(argv, cwd, layout, place) if self.keep else ""
            execution = self._run(argv, cwd, contract, place, layout)
        except Unbuildable as e:
            execution = not_run(Unsupported(str(e)))
        except (ConformanceError, OSError) as e:
            execution = not_run(Broke(str(e)))
        if self.keep:
            return replace(execution, kept=str(place.top), command=command)
        try:
            remove(place.top)
        except OSError as e:
            return not_run(Broke(f"the home cannot be removed: {e}"))
        return execution

    def place(self, scenario: Scenario, contract: Contract, context: Context, place: HomeDirectory) -> Layout:
        """Build the homes of *scenario* in *place*, and its stubs; return the layout."""
        layout = lay_out(scenario, contract, context, self._around(scenario, contract, place))
        place.top.mkdir(mode=0o700, parents=True, exist_ok=True)
        build(layout.home, place.home)
        if layout.has_opposite:
            build(layout.opposite, place.opposite)
        return layout

    def _around(self, scenario: Scenario, contract: Contract, place: HomeDirectory) -> Surroundings:
        path = self.extra.get("PATH", SYSTEM_PATH)
        cli = ""
        if not contract.commands:
            path = self._path_without(known_clis(contract))
            cli = self._stub_directory(stubs_for(scenario, contract))
        return Surroundings(home=str(place.home), opposite=str(place.opposite), cli=cli, path=path, variables=self.extra)

    def _run(self, argv: tuple[str, ...], cwd: Path, contract: Contract, place: HomeDirectory, layout: Layout) -> Execution:
        known = [node.path for node in layout.home]
        before, before_opposite = snapshot(place.home, known), snapshot(place.opposite)
        if wrong := mismatch(layout.home, before):
            return not_run(Unsupported(f"this file system does not hold the home: {wrong}"))
        request = Request(
            argv=argv,
            env=layout.environment,
            cwd=str(cwd),
            seconds=contract.limits.seconds,
            checks=(*self._needed, *conditions(layout.home, os.fsencode(place.home), os.geteuid())),
        )
        outcome = self._supervisor.run(request)
        if not outcome.says_something:
            return Execution(outcome=outcome)
        in_home = changes(before, snapshot(place.home, known), contract.allowed_writes)
        opposite = changes(before_opposite, snapshot(place.opposite), contract.allowed_writes)
        return Execution(outcome=outcome, changes=(*in_home, *(f"in the opposite home: {change}" for change in opposite)))

    def run_in(self, env: Mapping[str, str], contract: Contract) -> Outcome:
        """Run the probe once with the environment *env*, in a home that stands already."""
        request = Request(argv=self.argv, env=dict(env), cwd=str(self.cwd), seconds=contract.limits.seconds)
        return self._supervisor.run(request)

    def _by_hand(self, argv: Sequence[str], cwd: Path, layout: Layout, place: HomeDirectory) -> str:
        """Return the line that starts the probe by hand."""
        shut = any(conditions(layout.home, os.fsencode(place.home), os.geteuid()))
        return f"cd {quote(str(cwd))} && {join([*by_hand(layout.environment, shut=shut), *argv])} < /dev/null"

    def _stub_directory(self, stubs: Stubs) -> str:
        """Return the directory of *stubs*; each is built once and used by many scenarios."""
        with self._lock:
            if stubs not in self._stub_directories:
                directory = self.directory / "cli" / str(len(self._stub_directories))
                build(stubs.nodes(), directory)
                directory.chmod(0o555)
                self._stub_directories[stubs] = str(directory)
            return self._stub_directories[stubs]

    def _path_without(self, clis: tuple[str, ...]) -> str:
        """Return the rest of PATH, without *clis*: a real one must not answer for a stub that is missing."""
        with self._lock:
            if clis not in self._paths:
                parts = self.extra.get("PATH", SYSTEM_PATH).split(":")
                # Relative entries, and the empty one, count from where the probe runs.
                directories = [os.path.join(self.cwd, part) for part in parts]
                self._paths[clis] = ":".join(self._without(clis, directory) for directory in directories)
            return self._paths[clis]

    def _without(self, clis: tuple[str, ...], directory: str) -> str:
        """Return a directory with the programs of *directory* but for *clis*: itself, where it has none of them."""
        if not any(os.path.lexists(os.path.join(directory, name)) for name in clis):
            return directory
        shadow = self.directory / "path" / str(next(self._numbers))
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
    around = Surroundings(home=str(directory), opposite=str(opposite), cli=str(cli), path=SYSTEM_PATH)
    layout = lay_out(scenario, contract, context, around)
    build(layout.home, directory)
    if layout.stubs is not None:
        build(layout.stubs.nodes(), cli)
    if layout.has_opposite:
        build(layout.opposite, opposite)
    return layout.environment
