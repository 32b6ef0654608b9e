"""Run a local command as the probe."""

from __future__ import annotations

import itertools
import os
import pwd
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from copy import copy
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from conformance.drivers.conditions import conditions
from conformance.drivers.environment import FIXED
from conformance.drivers.layout import Layout, Surroundings, known_clis, lay_out
from conformance.drivers.local.built_home import BuiltHome
from conformance.drivers.local.command import SYSTEM_PATH, from_anywhere, own_command
from conformance.drivers.local.gate_command import described, sets_clock
from conformance.drivers.local.home_directory import HomeDirectory
from conformance.drivers.local.hosts import Hosts, PythonScript, PythonTarget
from conformance.drivers.local.login import LocalLogin
from conformance.drivers.local.programs import Programs
from conformance.drivers.local.standalone import lacks, line_by_hand
from conformance.drivers.local.starts import STDIN, LocalStarts
from conformance.drivers.local.story import Stage, ask_once, fixed_variables, tell
from conformance.drivers.local.supervisor_client import UMASK, Request, Supervisor
from conformance.drivers.local.view import View, ViewMaker, paths_in
from conformance.drivers.stubs import stubs_for
from conformance.errors import CannotJudge, ConformanceError
from conformance.home import Node, build, remove
from conformance.home.build import Unbuildable
from conformance.model.agent import AGENT_CLIS
from conformance.model.contract import Contract
from conformance.model.outcome import Broke, Execution, Outcome, Unsupported, not_run
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Scenario

__all__ = ["HomeDirectory", "LocalDriver"]


class LocalDriver:
    """Runs a command in homes below *directory*, which must exist.

    With an empty command it runs the agent's CLI, for a contract that asks the CLI itself. With a
    *target* it runs that instead, in a fork of a process that has it in memory; the command is then
    the one that does the same by hand.
    """

    def __init__(
        self,
        argv: Sequence[str],
        directory: Path,
        *,
        cwd: Path,
        extra: Mapping[str, str] | None = None,
        keep: bool = False,
        target: PythonTarget | PythonScript | None = None,
    ) -> None:
        self.directory = directory
        self.cwd = cwd
        self.extra = dict(extra or {})
        self.keep = keep
        self._take(argv, target)
        self._numbers = itertools.count(1)
        self._supervisor = Supervisor(directory / "supervisor.log")
        self._hosts = Hosts(directory, directory, {**FIXED, **self.extra})
        path = self.extra.get("PATH", SYSTEM_PATH)
        self._programs = Programs(directory, path=path, cwd=cwd)
        self._lock = threading.Lock()
        self._views = ViewMaker(directory / "view", directory)
        self._real_homes: dict[str, str] = {}

    def _take(self, argv: Sequence[str], target: PythonTarget | PythonScript | None) -> None:
        self.argv = tuple(argv)
        self.target = target
        # Probes run without the capabilities that bypass modes. So root may be unable to read
        # what another user owns, and the supervisor checks that.
        files = [os.path.join(self.cwd, word) for word in self.argv]
        ours = str(self.directory)  # which may lie below a home that is closed to others
        readable = [path for path in (ours, str(self.cwd), *files) if os.access(path, os.R_OK)]
        self._needed = [("readable", os.fsencode(path)) for path in readable]

    def with_command(
        self, argv: Sequence[str], target: PythonTarget | PythonScript | None = None
    ) -> LocalDriver:
        """Return a driver for another probe that shares all else with this one.

        Close only this one.
        """
        other = copy(self)
        other._take(argv, target)
        return other

    def describe(self) -> dict[str, Any]:
        """Return the command and what isolates it."""
        try:
            facts = self._supervisor.start()
        except OSError as e:
            raise CannotJudge(f"the supervisor process does not start: {e}") from None
        network, capabilities = facts["network"], facts["capabilities"]
        shared = facts["mounts"]
        return {
            **self._described(),
            "network": f"open: {network}" if network else "cut",
            "capabilities": f"kept: {capabilities}" if capabilities else "dropped",
            "temporary_directories": f"shared: {shared}" if shared else "its own",
            "inherited": facts["inherited"],
        }

    def _described(self) -> dict[str, Any]:
        if sets_clock(self.argv):
            return described(self.argv)
        if not isinstance(self.target, PythonTarget):
            return {"kind": "command" if self.argv else "cli", "command": list(self.argv)}
        view = self._view(self.argv, self.target.directory, self.extra, None)
        imported = self._hosts.facts(self.target, view)
        return {
            "kind": "callable",
            "command": list(self.argv),
            "callable": f"{self.target.module}:{self.target.name}",
            "imported": {**imported, "reads": sorted(imported["reads"])},
        }

    def execute(
        self, scenario: Scenario, contract: Contract, context: Context, number: int = 0
    ) -> Execution:
        """See :class:`~conformance.drivers.Driver`."""
        if why_not := lacks(scenario):
            return not_run(Unsupported(why_not))
        place = self.new_place(scenario)
        try:
            with self._login(scenario, contract) as login:
                execution = self._observe(scenario, contract, context, place, login)
        except Unbuildable as e:
            execution = not_run(Unsupported(str(e)))
        except (ConformanceError, OSError) as e:
            execution = not_run(Broke(str(e)))
        if self.keep:
            return replace(execution, kept=str(place.top))
        try:
            remove(place.top)
        except OSError as e:
            return not_run(Broke(f"the home cannot be removed: {e}"))
        return execution

    def new_place(self, scenario: Scenario) -> HomeDirectory:
        """Return where a home of *scenario* can be built: a place of its own each time."""
        return HomeDirectory(self.directory / str(next(self._numbers)), scenario.home_name)

    def _login(
        self, scenario: Scenario, contract: Contract
    ) -> AbstractContextManager[LocalLogin | None]:
        """Return what lets somebody log in; nothing where the contract is not about that."""
        if contract.requests is None:
            return nullcontext()
        return closing(LocalLogin(self._supervisor, scenario, contract))

    def _observe(
        self,
        scenario: Scenario,
        contract: Contract,
        context: Context,
        place: HomeDirectory,
        login: LocalLogin | None,
    ) -> Execution:
        """Build the home in *place*, run the probe there, and return what was seen.

        :raises ConformanceError: the scenario cannot be shown.
        :raises OSError: the same.
        """
        if login is not None:
            context = replace(context, manager=login.url)
        layout = self.place(scenario, contract, context, place)
        if login is not None:
            layout = login.place(layout, place.top / "login")
        start = self._start(scenario, contract, layout, place)
        if contract.entrypoint is not None:
            start = replace(start, stdin=str(place.top / STDIN))
        command = ""
        if self.keep:
            shut = any(conditions(layout.home, os.fsencode(place.home), os.geteuid()))
            command = line_by_hand(start, shut=shut, reads=contract.in_steps)
        stage = Stage(
            supervisor=self._supervisor,
            start=start,
            scenario=scenario,
            contract=contract,
            layout=layout,
            place=place,
            sets_clock=sets_clock(self.argv),
        )
        if contract.entrypoint is not None:
            return replace(LocalStarts(stage).run(), command=command)
        if layout.earlier is not None:
            start, before = self._run_earlier(start, contract, layout.earlier, place)
            if not before.says_something:
                return Execution(outcome=before, command=command)
        if contract.in_steps:
            build(layout.home, place.home)
            told = tell(replace(stage, start=start))
            execution = replace(told, asked=self._programs.asked.news())
        else:
            execution = self._run(start, BuiltHome(layout, place), login)
        return replace(execution, command=command)

    def _start(
        self, scenario: Scenario, contract: Contract, layout: Layout, place: HomeDirectory
    ) -> Request:
        """Return how the probe starts in *scenario*.

        :raises Unbuildable: it cannot start like that here.
        """
        env, process = layout.environment, scenario.process
        argv = self.argv or own_command(contract, scenario.agent, env["PATH"])
        # A CLI runs in the home: some of its settings are about the current directory.
        cwd = str(self.cwd if self.argv else place.home)
        if process.cwd:
            cwd = expand(process.cwd, Context(now=0, seed="", home=str(place.home)))
            if not process.cwd.startswith("{home}") and not os.path.isdir(cwd):
                raise Unbuildable(f"there is no directory {cwd} to start in")
            try:
                argv = argv if self.target or sets_clock(argv) else from_anywhere(argv, self.cwd)
            except ValueError as e:
                raise Unbuildable(str(e)) from None
        if "HOME" not in env and (wrong := self._names_real_home(contract)):
            raise Unbuildable(wrong)
        view = self._view(argv, cwd, env, contract)
        if view is None and "PATH" in scenario.env:
            self._refuse_real_clis(env["PATH"], cwd, contract)
        return Request(
            argv=argv if scenario.start is None else (*argv, *scenario.start.arguments),
            env=env,
            cwd=cwd,
            seconds=contract.limits.seconds,
            umask=UMASK if process.umask is None else process.umask,
            checks=(*self._needed, *conditions(layout.home, os.fsencode(place.home), os.geteuid())),
            view=view,
            target=self._target(contract),
        )

    def _target(self, contract: Contract) -> PythonTarget | PythonScript | None:
        if contract.requests is not None:
            return None  # its process has to be in the network in which the Manager listens
        if isinstance(self.target, PythonTarget):
            return replace(self.target, truth=contract.truth)
        return self.target

    def _ask(self, request: Request) -> Outcome:
        return (self._hosts if request.target is not None else self._supervisor).run(request)

    def _refuse_real_clis(self, path: str, cwd: str, contract: Contract) -> None:
        """Make sure that *path*, which a scenario sets, leads to no CLI but stubs.

        :raises Unbuildable: it does, and nothing can hide that here.
        """
        for part in path.split(":"):
            directory = os.path.join(cwd, part)
            for name in known_clis(contract):
                real = os.path.join(directory, name)
                if os.path.lexists(real) and not real.startswith(f"{self.directory}/"):
                    raise Unbuildable(f"the real {real} cannot be hidden: {self._shared_because()}")

    def _view(
        self, argv: tuple[str, ...], cwd: str, env: Mapping[str, str], contract: Contract | None
    ) -> View | None:
        """Return what a probe sees of the file system; None where all have to see the same."""
        if self._shared_because():
            return None
        own = f"{self.directory}/"
        # What lies there is seen in every view: so one view serves many probes.
        argv = (*argv[:1], *(word for word in argv[1:] if not word.startswith(own)))
        values = (*env.values(), self.extra.get("PATH", ""))
        paths = frozenset(path for path in paths_in(values) if not path.startswith(own))
        known = known_clis(contract) if contract is not None else AGENT_CLIS
        hidden = () if contract is not None and contract.commands else known
        with self._lock:
            return self._views.view(argv, cwd, paths, agents=known, clis=hidden)

    def _shared_because(self) -> str:
        """Return why a probe sees the file system as all others do; empty if it does not."""
        try:
            return str(self._supervisor.start()["mounts"])
        except OSError as e:  # the run that follows says so
            return str(e)

    def _names_real_home(self, contract: Contract) -> str:
        """Return why a probe without HOME would find a real home; empty if it finds an empty one.

        It looks into the system's user database, which may not only be a file.
        """
        if contract.name not in self._real_homes:
            self._real_homes[contract.name] = self._real_home(contract)
        return self._real_homes[contract.name]

    def _real_home(self, contract: Contract) -> str:
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:  # a uid without an entry, as containers have
            return ""
        why = self._shared_because() or "it does not come from /etc/passwd alone"
        code = "import os, pwd; print(pwd.getpwuid(os.getuid()).pw_dir)"
        argv = (sys.executable, "-I", "-S", "-c", code)
        if (view := self._view(argv, "/", {}, contract)) is not None:
            asked = Request(argv=argv, env={}, cwd="/", seconds=30, view=view)
            said = self._supervisor.run(asked).stdout.decode(errors="surrogateescape").strip()
            if self._views.is_empty_home(said):
                return ""
            home = said or home
        return f"without HOME a probe may look into {home}, which the user database names: {why}"

    def place(
        self, scenario: Scenario, contract: Contract, context: Context, place: HomeDirectory
    ) -> Layout:
        """Make *place* and the stubs of *scenario*; return the layout, with its HOME not built."""
        layout = lay_out(scenario, contract, context, self._around(scenario, contract, place))
        place.top.mkdir(mode=0o700, parents=True, exist_ok=True)
        if layout.has_opposite:
            build(layout.opposite, place.opposite)
        return layout

    def _run_earlier(
        self, start: Request, contract: Contract, home: Sequence[Node], place: HomeDirectory
    ) -> tuple[Request, Outcome]:
        """Run the probe in a *home* that stands where the HOME will; return how it starts again.

        What it puts into temporary directories is there when it runs again.
        """
        if start.view is not None:
            start = replace(start, view=replace(start.view, lasting=str(place.temporary)))
        build(home, place.home)
        once, limit = replace(start, checks=()), contract.limits.seconds
        if contract.in_steps:
            outcome = ask_once(self._supervisor, once, limit, place.top / "before")
        else:
            outcome = self._ask(once)
        remove(place.home)
        return start, outcome

    def _around(self, scenario: Scenario, contract: Contract, place: HomeDirectory) -> Surroundings:
        path = self.extra.get("PATH", SYSTEM_PATH)
        cli = ""
        if not contract.commands:
            path = self._programs.path_without(known_clis(contract))
            stubs = stubs_for(scenario, contract, home=str(place.home))
            cli = str(place.cli)  # where an entrypoint finds stubs that serve one home only
            if contract.entrypoint is None:
                cli = self._programs.stub_directory(stubs, place, own=scenario.changes_cli)
        return Surroundings(
            home=str(place.home),
            opposite=str(place.opposite),
            cli=cli,
            asked=str(self._programs.asked.path),
            path=path,
            variables=self.extra,
            fixed=fixed_variables(contract, sets_clock=sets_clock(self.argv)),
        )

    def execute_in(self, built: BuiltHome, scenario: Scenario, contract: Contract) -> Execution:
        """Run the probe in the home *built* for *scenario*, which has to suit ``StandingHome``.

        :raises ConformanceError: the scenario cannot be shown.
        :raises OSError: the same.
        """
        return self._run(self._start(scenario, contract, built.layout, built.place), built, None)

    def _run(self, request: Request, built: BuiltHome, login: LocalLogin | None) -> Execution:
        if login is not None:
            login.starts()
        outcome = self._ask(request)
        if not outcome.says_something:
            return Execution(outcome=outcome)
        changed = built.changes()
        if built.place.temporary.exists():
            remove(built.place.temporary)
        execution = Execution(outcome=outcome, changes=changed, asked=self._programs.asked.news())
        return login.seen(execution) if login is not None else execution

    def run_in(self, env: Mapping[str, str], contract: Contract) -> Outcome:
        """Run the probe once with the environment *env*, in a home that exists already."""
        request = Request(
            argv=self.argv,
            env=dict(env),
            cwd=str(self.cwd),
            seconds=contract.limits.seconds,
            view=self._view(self.argv, str(self.cwd), env, contract),
            target=self._target(contract),
        )
        return self._ask(request)

    def close(self) -> None:
        """End what still runs."""
        self._hosts.close()
        self._supervisor.close()
