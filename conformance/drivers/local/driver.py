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

from conformance.drivers.asked import AskedLog
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

    @property
    def cli(self) -> Path:
        """Stubs that serve this home only."""
        return self.top / "cli"


class LocalDriver:
    """Runs a command in homes below *directory*, which must exist.

    With an empty command it runs the agent's CLI, for a contract that asks the CLI itself.
    """

    def __init__(
        self,
        argv: Sequence[str],
        directory: Path,
        *,
        cwd: Path,
        extra: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> None:
        self.directory = directory
        self.cwd = cwd
        self.extra = dict(extra or {})
        self.keep = keep
        self._take(argv)
        self._numbers = itertools.count(1)
        self._supervisor = Supervisor(directory / "supervisor.log")
        self._stub_directories: dict[Stubs, str] = {}
        self._asked = AskedLog(directory / "cli" / "asked")
        self._paths: dict[tuple[str, ...], str] = {}
        self._lock = threading.Lock()

    def _take(self, argv: Sequence[str]) -> None:
        self.argv = tuple(argv)
        # Probes run without the capabilities that bypass modes. So root may be unable to read
        # what another user owns, and the supervisor checks that.
        files = [os.path.join(self.cwd, word) for word in self.argv]
        readable = [path for path in (str(self.cwd), *files) if os.access(path, os.R_OK)]
        self._needed = [("readable", os.fsencode(path)) for path in readable]

    def with_command(self, argv: Sequence[str]) -> LocalDriver:
        """Return a driver for another probe that shares all else with this one.

        Close only this one.
        """
        other = copy(self)
        other._take(argv)
        return other

    def describe(self) -> dict[str, Any]:
        """Return the command and what isolates it."""
        try:
            facts = self._supervisor.start()
        except OSError as e:
            raise CannotJudge(f"the supervisor process does not start: {e}") from None
        network, capabilities = facts["network"], facts["capabilities"]
        return {
            "kind": "command" if self.argv else "cli",
            "command": list(self.argv),
            "network": f"open: {network}" if network else "cut",
            "capabilities": f"kept: {capabilities}" if capabilities else "dropped",
        }

    def execute(
        self, scenario: Scenario, contract: Contract, context: Context, number: int = 0
    ) -> Execution:
        """See :class:`~conformance.drivers.Driver`."""
        if lacks := _lacks(scenario):
            return not_run(Unsupported(lacks))
        place = HomeDirectory(self.directory / str(next(self._numbers)))
        command = ""
        try:
            layout = self.place(scenario, contract, context, place)
            # A CLI runs in the home: some of its settings are about the current directory.
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

    def place(
        self, scenario: Scenario, contract: Contract, context: Context, place: HomeDirectory
    ) -> Layout:
        """Build the homes and the stubs of *scenario* in *place*; return the layout."""
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
            stubs = stubs_for(scenario, contract, home=str(place.home))
            cli = self._stub_directory(stubs, place)
        return Surroundings(
            home=str(place.home),
            opposite=str(place.opposite),
            cli=cli,
            asked=str(self._asked.path),
            path=path,
            variables=self.extra,
        )

    def _run(
        self,
        argv: tuple[str, ...],
        cwd: Path,
        contract: Contract,
        place: HomeDirectory,
        layout: Layout,
    ) -> Execution:
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
        in_home = changes(before, snapshot(place.home, known), layout.writes)
        opposite = changes(before_opposite, snapshot(place.opposite), layout.writes)
        in_opposite = [f"in the opposite home: {change}" for change in opposite]
        return Execution(
            outcome=outcome,
            changes=(*in_home, *in_opposite),
            asked=self._asked.news(),
        )

    def run_in(self, env: Mapping[str, str], contract: Contract) -> Outcome:
        """Run the probe once with the environment *env*, in a home that exists already."""
        seconds = contract.limits.seconds
        request = Request(argv=self.argv, env=dict(env), cwd=str(self.cwd), seconds=seconds)
        return self._supervisor.run(request)

    def _by_hand(self, argv: Sequence[str], cwd: Path, layout: Layout, place: HomeDirectory) -> str:
        """Return the line that starts the probe by hand."""
        shut = any(conditions(layout.home, os.fsencode(place.home), os.geteuid()))
        command = join([*by_hand(layout.environment, shut=shut), *argv])
        return f"cd {quote(str(cwd))} && {command} < /dev/null"

    def _stub_directory(self, stubs: Stubs, place: HomeDirectory) -> str:
        """Return the directory of *stubs*, built once for all scenarios that use them.

        Those that serve one home only are built in its *place*.
        """
        if stubs.home:
            return self._built(stubs, place.cli)
        with self._lock:
            if stubs not in self._stub_directories:
                directory = self.directory / "cli" / str(len(self._stub_directories))
                self._stub_directories[stubs] = self._built(stubs, directory)
            return self._stub_directories[stubs]

    def _built(self, stubs: Stubs, directory: Path) -> str:
        self._asked.make()
        build(stubs.nodes(str(self._asked.path)), directory)
        directory.chmod(0o555)
        return str(directory)

    def _path_without(self, clis: tuple[str, ...]) -> str:
        """Return the rest of PATH without *clis*.

        A real CLI must not answer where a stub is missing.
        """
        with self._lock:
            if clis not in self._paths:
                parts = self.extra.get("PATH", SYSTEM_PATH).split(":")
                # Relative entries, and the empty one, count from where the probe runs.
                directories = [self._without(clis, os.path.join(self.cwd, part)) for part in parts]
                self._paths[clis] = ":".join(directories)
            return self._paths[clis]

    def _without(self, clis: tuple[str, ...], directory: str) -> str:
        """Return a directory with all programs of *directory* except *clis*.

        That is *directory* itself if it has none of them.
        """
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
    """Return why *scenario* needs a container; empty if it needs none."""
    needs = describe_needs(scenario.container).values()
    return f"only a container can show it: it needs {' and '.join(needs)}" if needs else ""


def by_hand(env: Mapping[str, str], *, shut: bool) -> list[str]:
    """Return what to put before a command to run it with *env*.

    In a *shut* home modes matter, so root gives up the capabilities that bypass them.
    """
    argv = []
    if shut and os.geteuid() == 0:
        dropped = "-dac_override,-dac_read_search"
        argv = ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"]
    return [*argv, "env", "-i", *(f"{name}={value}" for name, value in sorted(env.items()))]


def is_shut(scenario: Scenario, context: Context) -> bool:
    """Return whether the probe must not reach something in the home of *scenario*."""
    return any(conditions(plan(scenario.entries, context), b"", os.geteuid()))


def standalone(
    scenario: Scenario, contract: Contract, directory: Path, context: Context
) -> dict[str, str]:
    """Build the home of *scenario* in *directory*, to run a probe by hand; return its environment.

    The CLI is put beside it, in ``DIRECTORY.cli``. If the contract asks for a home with the
    opposite answer, that is put in ``DIRECTORY.opposite``.

    :raises UsageError: one of the directories cannot be used, or the scenario needs a container.
    """
    if lacks := _lacks(scenario):
        raise UsageError(f"'{scenario.id}': {lacks}", hint="run it in an image, with --image")
    check_target(directory)
    cli = directory.with_name(f"{directory.name}.cli")
    opposite = directory.with_name(f"{directory.name}.opposite")
    check_target(cli)
    check_target(opposite)
    around = Surroundings(
        home=str(directory),
        opposite=str(opposite),
        cli=str(cli),
        path=SYSTEM_PATH,
    )
    layout = lay_out(scenario, contract, context, around)
    build(layout.home, directory)
    if layout.stubs is not None:
        build(layout.stubs.nodes(), cli)
    if layout.has_opposite:
        build(layout.opposite, opposite)
    return layout.environment
