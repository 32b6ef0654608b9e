"""Run a local command as the probe."""

from __future__ import annotations

import itertools
import os
import pwd
import sys
import threading
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from conformance.drivers.asked import AskedLog
from conformance.drivers.conditions import conditions
from conformance.drivers.layout import Layout, Surroundings, known_clis, lay_out
from conformance.drivers.local.command import SYSTEM_PATH, from_anywhere, own_command
from conformance.drivers.local.gate_command import sets_clock
from conformance.drivers.local.home_directory import HomeDirectory
from conformance.drivers.local.standalone import by_hand, lacks
from conformance.drivers.local.story import Stage, ask_once, fixed_variables, tell
from conformance.drivers.local.supervisor_client import UMASK, Request, Supervisor
from conformance.drivers.local.view import View, ViewMaker, paths_in
from conformance.drivers.stubs import Stubs, stubs_for
from conformance.errors import CannotJudge, ConformanceError
from conformance.home import Node, build, changes, mismatch, remove, snapshot
from conformance.home.build import Unbuildable
from conformance.model.contract import Contract
from conformance.model.outcome import Broke, Execution, Outcome, Unsupported, not_run
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Scenario
from conformance.text import join, quote

__all__ = ["HomeDirectory", "LocalDriver"]


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
        self._views = ViewMaker(directory / "view", directory)
        self._real_homes: dict[str, str] = {}

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
        shared = facts["mounts"]
        return {
            "kind": "command" if self.argv else "cli",
            "command": list(self.argv),
            "network": f"open: {network}" if network else "cut",
            "capabilities": f"kept: {capabilities}" if capabilities else "dropped",
            "temporary_directories": f"shared: {shared}" if shared else "its own",
            "inherited": facts["inherited"],
        }

    def execute(
        self, scenario: Scenario, contract: Contract, context: Context, number: int = 0
    ) -> Execution:
        """See :class:`~conformance.drivers.Driver`."""
        if why_not := lacks(scenario):
            return not_run(Unsupported(why_not))
        place = HomeDirectory(self.directory / str(next(self._numbers)), scenario.home_name)
        command = ""
        try:
            layout = self.place(scenario, contract, context, place)
            start = self._start(scenario, contract, layout, place)
            if self.keep:
                command = self._by_hand(start, layout, place, in_steps=contract.in_steps)
            if layout.earlier is not None:
                start, before = self._run_earlier(start, contract, layout.earlier, place)
                if not before.says_something:
                    return Execution(outcome=before)
            build(layout.home, place.home)
            if contract.in_steps:
                stage = self._stage(start, scenario, contract, layout, place)
                execution = replace(tell(stage), asked=self._asked.news())
            else:
                execution = self._run(start, contract, place, layout)
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
                argv = from_anywhere(argv, self.cwd)
            except ValueError as e:
                raise Unbuildable(str(e)) from None
        if "HOME" not in env and (wrong := self._names_real_home(contract)):
            raise Unbuildable(wrong)
        view = self._view(argv, cwd, env, contract)
        if view is None and "PATH" in scenario.env:
            self._refuse_real_clis(env["PATH"], cwd, contract)
        return Request(
            argv=argv,
            env=env,
            cwd=cwd,
            seconds=contract.limits.seconds,
            umask=UMASK if process.umask is None else process.umask,
            checks=(*self._needed, *conditions(layout.home, os.fsencode(place.home), os.geteuid())),
            view=view,
        )

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
        self, argv: tuple[str, ...], cwd: str, env: Mapping[str, str], contract: Contract
    ) -> View | None:
        """Return what a probe sees of the file system; None where all have to see the same."""
        if self._shared_because():
            return None
        own = f"{self.directory}/"
        values = (*env.values(), self.extra.get("PATH", ""))
        paths = frozenset(path for path in paths_in(values) if not path.startswith(own))
        known = known_clis(contract)
        with self._lock:
            return self._views.view(
                argv, cwd, paths, agents=known, clis=() if contract.commands else known
            )

    def _shared_because(self) -> str:
        """Return why a probe sees the file system as all others do; empty if it does not."""
        try:
            return self._supervisor.start()["mounts"]
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
            outcome = self._supervisor.run(once)
        remove(place.home)
        return start, outcome

    def _around(self, scenario: Scenario, contract: Contract, place: HomeDirectory) -> Surroundings:
        path = self.extra.get("PATH", SYSTEM_PATH)
        cli = ""
        if not contract.commands:
            path = self._path_without(known_clis(contract))
            stubs = stubs_for(scenario, contract, home=str(place.home))
            cli = self._stub_directory(stubs, place, own=scenario.changes_cli)
        return Surroundings(
            home=str(place.home),
            opposite=str(place.opposite),
            cli=cli,
            asked=str(self._asked.path),
            path=path,
            variables=self.extra,
            fixed=fixed_variables(contract, sets_clock=sets_clock(self.argv)),
        )

    def _stage(
        self,
        start: Request,
        scenario: Scenario,
        contract: Contract,
        layout: Layout,
        place: HomeDirectory,
    ) -> Stage:
        """Return what the story of *scenario* takes place on; its HOME has been built."""
        return Stage(
            supervisor=self._supervisor,
            start=start,
            scenario=scenario,
            contract=contract,
            layout=layout,
            place=place,
            sets_clock=sets_clock(self.argv),
        )

    def _run(
        self, request: Request, contract: Contract, place: HomeDirectory, layout: Layout
    ) -> Execution:
        known = [node.path for node in layout.home]
        before, before_opposite = snapshot(place.home, known), snapshot(place.opposite)
        if wrong := mismatch(layout.home, before):
            return not_run(Unsupported(f"this file system does not hold the home: {wrong}"))
        outcome = self._supervisor.run(request)
        if not outcome.says_something:
            return Execution(outcome=outcome)
        in_home = changes(before, snapshot(place.home, known), layout.writes)
        if place.temporary.exists():
            remove(place.temporary)
        opposite = changes(before_opposite, snapshot(place.opposite), layout.writes)
        in_opposite = [f"in the opposite home: {change}" for change in opposite]
        return Execution(
            outcome=outcome,
            changes=(*in_home, *in_opposite),
            asked=self._asked.news(),
        )

    def run_in(self, env: Mapping[str, str], contract: Contract) -> Outcome:
        """Run the probe once with the environment *env*, in a home that exists already."""
        request = Request(
            argv=self.argv,
            env=dict(env),
            cwd=str(self.cwd),
            seconds=contract.limits.seconds,
            view=self._view(self.argv, str(self.cwd), env, contract),
        )
        return self._supervisor.run(request)

    def _by_hand(
        self, start: Request, layout: Layout, place: HomeDirectory, *, in_steps: bool
    ) -> str:
        """Return the line that starts the probe by hand; one that is asked *in_steps* reads."""
        shut = any(conditions(layout.home, os.fsencode(place.home), os.geteuid()))
        command = join([*by_hand(start.env, shut=shut), *start.argv])
        umask = f"umask {start.umask:04o} && " if start.umask != UMASK else ""
        nothing = "" if in_steps else " < /dev/null"
        return f"cd {quote(start.cwd)} && {umask}{command}{nothing}"

    def _stub_directory(self, stubs: Stubs, place: HomeDirectory, *, own: bool) -> str:
        """Return the directory of *stubs*, built once for all scenarios that use them.

        Those that serve one home only, or are its *own*, are built in its *place*.
        """
        if stubs.home or own:
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
