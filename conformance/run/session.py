"""One pytest process that runs scenarios: the only one, the controller, or a worker of xdist."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from conformance.bundled import scenarios_dir
from conformance.catalogue.agents import STATES
from conformance.catalogue.catalogue import root_of
from conformance.catalogue.scenarios import read_scenarios
from conformance.drivers.container.request import ImageRequest
from conformance.errors import UsageError
from conformance.loading import scenario_under
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario
from conformance.model.wording import probe_lines
from conformance.run import RUN_PLUGIN
from conformance.run.assembly import Run, join_run, open_run
from conformance.run.head_start import HeadStart, HeadStartClient, HeadStartServer
from conformance.run.items import ScenarioFile, ScenarioItem
from conformance.run.request import (
    Command,
    OwnProbe,
    ProbeSpec,
    RunRequest,
    only_one,
    python_callable,
    variables,
)

__all__ = ["Session"]

#: Under this name a worker of xdist finds what its controller shares.
_SHARED = "conformance"


class Session:
    """Collects scenario files and runs their scenarios."""

    def __init__(self, run: Run, *, brief: bool = False, worker: bool = False) -> None:
        self.run = run
        self._brief = brief
        """One report for each scenario, instead of pytest's three, where nobody else reads them."""
        self._long: list[Scenario] = []
        """Scenarios that take long, until they are started."""
        self._closing = ExitStack()
        self._server: HeadStartServer | None = None
        self._socket = run.directory / "head-start"
        if worker:
            self._head_start: HeadStart | HeadStartClient = HeadStartClient(self._socket)
        else:
            self._head_start = HeadStart(run.runner.execute, run.concurrent)

    @classmethod
    def from_config(cls, config: pytest.Config) -> Session:
        """Return the session of this process.

        :raises ConformanceError: the request is wrong, or there is no place to write to.
        """
        workerinput = getattr(config, "workerinput", None)
        if workerinput is not None:
            run, brief = workerinput[_SHARED]
            return cls(join_run(run, workerinput["workerid"]), brief=brief, worker=True)
        plugin = config.pluginmanager.get_plugin(RUN_PLUGIN)
        if plugin is not None:
            return cls(plugin.run, brief=plugin.brief)
        with ExitStack() as stack:
            session = cls(stack.enter_context(open_run(_request(config))))
            session._closing = stack.pop_all()
        return session

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Share the run with a worker of xdist, which then uses the head start of this process."""
        if self._server is None and isinstance(self._head_start, HeadStart):
            self.run.publish_catalogue()
            self._server = HeadStartServer(self._head_start, self._socket)
        node.workerinput[_SHARED] = (self.run.share(), self._brief)

    def pytest_report_header(self) -> list[str]:
        """Say what is judged by what."""
        lines = list(probe_lines(self.run.describe()))
        return [f"{lines[0]} (contract {self.run.contract.name})", *lines[1:]]

    def collect(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Return the collector of a scenario file, or None for any other TOML file."""
        path = path.resolve()
        roots = [scenarios_dir(), *map(Path, self.run.request.directories)]
        named = path in {
            Path(os.path.abspath(str(arg).split("::", 1)[0])) for arg in parent.config.args
        }
        inside = any(root in path.parents for root in roots)
        if not (named or inside or any(above.name == "scenarios" for above in path.parents)):
            return None
        above = path.relative_to(self._root(path)).parts[:-1]
        if "layers" in above or above[:1] == (STATES,):
            return None
        return ScenarioFile.from_parent(parent, path=path, scenarios_of=self)

    def _root(self, path: Path) -> Path:
        directories = map(Path, self.run.request.directories)
        return next((root for root in directories if root in path.parents), root_of(path))

    def scenarios(self, path: Path) -> list[Scenario]:
        """Return the scenarios in *path* that are to be run.

        :raises ConformanceError: the file is wrong.
        """
        run = self.run
        if run.request.patterns is not None:
            return run.scenarios(path)
        found = read_scenarios(path, self._root(path), run.catalogue.contracts)
        asked = [scenario_under(run.contract, one, run.catalogue, run.context.now) for one in found]
        return [scenario for scenario in asked if scenario.expected(run.contract)]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the scenarios that take long last: they are started first, and are over by then."""
        items.sort(key=lambda item: isinstance(item, ScenarioItem) and item.scenario.takes_long)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the scenarios that take long, unless tests of others may be in their way."""
        scenarios = [item.scenario for item in session.items if isinstance(item, ScenarioItem)]
        self._long = [scenario for scenario in scenarios if scenario.takes_long]
        # pyfakefs fakes the files of all threads, so ours wait until such tests are over.
        here = isinstance(self._head_start, HeadStart)
        faked = here and "pyfakefs" in sys.modules and len(scenarios) < len(session.items)
        if self._long and not session.config.option.collectonly and not faked:
            self._start_long()

    def _start_long(self) -> None:
        if self._long:
            self._head_start.start(self._long, self.run.runner.repeat)
            self._long = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Report a scenario once, where ``probe-conformance run`` asks for that.

        Setup, call and teardown each send a report from worker to controller, which costs as much
        as a fast probe. Scenarios have no fixtures, so there is nothing to set up or tear down.
        """
        if not self._brief or not isinstance(item, ScenarioItem):
            return None
        item.ihook.pytest_runtest_logreport(report=item.report())
        return True

    def result_of(self, scenario: Scenario) -> ScenarioResult:
        """Run *scenario* now, or judge what was seen of it while others ran."""
        runner = self.run.runner
        if scenario.takes_long:
            self._start_long()
            return runner.judge(scenario, self._head_start.wait(scenario.id))
        return runner.run(scenario)

    def close(self) -> None:
        """End all probes. What was written goes with the run, in the process that opened it."""
        self._head_start.cancel()
        self.run.end()
        self._head_start.join()
        if self._server is not None:
            self._server.close()
        self._closing.close()


def _request(config: pytest.Config) -> RunRequest:
    """Return what pytest's own command line asks for."""
    cwd = Path(config.invocation_params.dir)
    repeat = config.getoption("--conformance-repeat")
    if repeat < 1:
        raise UsageError("--conformance-repeat is less than 1", hint="give a number of runs")
    known_failures = config.getoption("--conformance-known-failures")
    return RunRequest(
        probe=_probe(config),
        cwd=str(cwd),
        contract=config.getoption("--conformance-contract"),
        as_of=config.getoption("--conformance-as-of"),
        agent=config.getoption("--conformance-agent"),
        allow_writes=tuple(config.getoption("--conformance-allow-write")),
        strict=config.getoption("--conformance-strict"),
        directories=_directories(config, cwd),
        patterns=None,
        variables=variables(
            config.getoption("--conformance-env"), config.getoption("--conformance-pass-env")
        ),
        repeat=repeat,
        keep=config.getoption("--conformance-keep") or "",
        known_failures=str(cwd / known_failures) if known_failures else "",
    )


def _probe(config: pytest.Config) -> ProbeSpec:
    command = config.getoption("--conformance-probe")
    image = config.getoption("--conformance-image")
    python = config.getoption("--conformance-python")
    only_one({"--probe": command, "--image": image, "--python": python})
    callable_ = python_callable(
        python,
        config.getoption("--conformance-truth"),
        in_process=config.getoption("--conformance-in-process"),
    )
    if image is not None:
        return ImageRequest(reference=image, isolation=config.getoption("--conformance-isolation"))
    return callable_ or (Command(command) if command is not None else OwnProbe())


def _directories(config: pytest.Config, cwd: Path) -> tuple[str, ...]:
    """Return the directories of scenarios: those of the option, and those around the arguments."""
    found = [
        (cwd / directory).resolve() for directory in config.getoption("--conformance-scenarios")
    ]
    for argument in config.args:
        path = (cwd / argument.split("::", 1)[0]).resolve()
        found += [above for above in (path, *path.parents) if above.name == "scenarios"][:1]
    return tuple(dict.fromkeys(map(str, found)))
