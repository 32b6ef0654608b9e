"""What the pytest plugin does when a probe is named: the session, and scenario files as items."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from conformance.bundled import scenarios_dir
from conformance.catalogue.catalogue import root_of
from conformance.catalogue.scenarios import read_scenarios
from conformance.drivers.container.request import ImageRequest, check_reference
from conformance.drivers.environment import check_extra
from conformance.drivers.local.driver import parse_callable, parse_command
from conformance.errors import ConformanceError, UsageError
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.model.wording import answer, probe_lines
from conformance.run.assembly import Settings, World
from conformance.run.directory import RunDirectory
from conformance.run.head_start import EarlyClient, EarlyServer, EarlyStarts
from conformance.run.stash import RUN_PLUGIN, SESSION

__all__ = ["Broke", "Deviation", "ScenarioItem", "Session", "explain", "item_name"]


#: The options of which one names the probe.
_PROBES = ("--image", "--probe", "--python")


class Broke(Exception):
    """The suite or its surroundings failed; pytest shows it as an error, not as a failure."""


class Deviation(Exception):
    """The probe deviates from its contract."""


class Session:
    """One pytest process in which scenarios are run: the only one, the controller, or a worker."""

    def __init__(self, world: World, run_directory: RunDirectory | None) -> None:
        self.settings = settings = world.settings
        self.world = world
        self._run_directory = run_directory
        self._server: EarlyServer | None = None
        socket = Path(settings.run_directory) / "early"
        if run_directory is None:
            self.early: EarlyStarts | EarlyClient = EarlyClient(socket)
        else:
            self.early = EarlyStarts(self._observe, settings.concurrent)
        self._socket = socket

    def _observe(self, scenario: Scenario, number: int) -> Execution:
        return self.world.engine.observe(scenario, number)

    @classmethod
    def of(cls, config: pytest.Config) -> Session:
        """Return the session of this process.

        :raises ConformanceError: the request is wrong, or there is no place to write to.
        """
        workerinput = getattr(config, "workerinput", None)
        if workerinput is not None:
            return cls(World(Settings.decode(workerinput["conformance"]), workerinput["workerid"]), None)
        run = config.pluginmanager.get_plugin(RUN_PLUGIN)
        if run is not None:
            return cls(run.world, run.directory)
        world = World(_settings(config))
        world.known.check(world.catalogue, world.contract)
        directory = RunDirectory(Path(world.settings.keep) if world.settings.keep else None)
        try:
            world.settle(directory.path)
        except BaseException:
            world.close()
            directory.close()
            raise
        return cls(world, directory)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand the settings to a worker of xdist, which can then use the early starts of this process."""
        if self._server is None and isinstance(self.early, EarlyStarts):
            self.world.share()
            self._server = EarlyServer(self.early, self._socket)
        node.workerinput["conformance"] = self.settings.encode()

    def pytest_report_header(self) -> list[str]:
        """Say what is judged by what."""
        lines = list(probe_lines(self.world.driver.describe()))
        return [f"{lines[0]} (contract {self.world.contract.name})", *lines[1:]]

    def collect(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Return the collector of a scenario file, or None for any other TOML file."""
        path = path.resolve()
        roots = [scenarios_dir(), *map(Path, self.settings.directories)]
        named = path in {Path(os.path.abspath(str(arg).split("::", 1)[0])) for arg in parent.config.args}
        ours = named or any(root in path.parents for root in roots) or any(above.name == "scenarios" for above in path.parents)
        if not ours or "layers" in path.relative_to(self._root(path)).parts[:-1]:
            return None
        return ScenarioFile.from_parent(parent, path=path, session_=self)

    def _root(self, path: Path) -> Path:
        return next((root for root in map(Path, self.settings.directories) if root in path.parents), root_of(path))

    def scenarios(self, path: Path) -> list[Scenario]:
        """Return the scenarios in *path* that are to be run.

        :raises ConformanceError: the file is wrong.
        """
        if self.settings.ids is not None:
            return self.world.scenarios(path)
        known = {**self.world.catalogue.contracts, self.world.contract.name: self.world.contract}
        return [found for found in read_scenarios(path, self._root(path), known) if found.expected(self.world.contract)]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the scenarios that take long last: they are started first, and will be over by then."""
        items.sort(key=lambda item: isinstance(item, ScenarioItem) and item.scenario.takes_long)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the scenarios that take long."""
        long = [item.scenario for item in session.items if isinstance(item, ScenarioItem) and item.scenario.takes_long]
        if long and not session.config.option.collectonly:
            self.early.start(long, self.settings.executions)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Report a scenario once, where ``probe-conformance run`` asks for that.

        Setup, call and teardown each send their report from worker to controller, which costs as much as a fast probe.
        Scenarios have no fixtures, so there is nothing to set up or to tear down but themselves.
        """
        if not self.settings.brief or not isinstance(item, ScenarioItem):
            return None
        item.ihook.pytest_runtest_logreport(report=item.report())
        return True

    def observe(self, scenario: Scenario) -> list[Execution]:
        """Return what was seen of *scenario*: now, or while others ran."""
        if scenario.takes_long:
            return self.early.wait(scenario.id)
        return [self.world.engine.observe(scenario, n) for n in range(self.settings.executions)]

    def close(self) -> None:
        """End all probes, and remove what was written; a worker leaves that to its controller."""
        self.early.cancel()
        self.world.close()
        self.early.join()
        self.world.tidy()
        if self._server is not None:
            self._server.close()
        if self._run_directory is not None:
            self._run_directory.close()


def _settings(config: pytest.Config) -> Settings:
    """Return the settings that pytest's own command line asks for."""
    cwd = Path(config.invocation_params.dir)
    contract = config.getoption("--contract")
    extra = extra_variables(config.getoption("--probe-env"), config.getoption("--probe-pass-env"))
    keep = config.getoption("--keep-homes")
    if config.getoption("--probe-repeat") < 1:
        raise UsageError("--probe-repeat is less than 1", hint="give a number of runs")
    image, probe, python = (config.getoption(option) for option in _PROBES)
    if len(given := [option for option in _PROBES if config.getoption(option) is not None]) > 1:
        raise UsageError(f"{' and '.join(sorted(given, reverse=True))} name two probes", hint="give one of them")
    if image is not None:
        check_reference(image)
    settings = Settings(
        argv=parse_command(probe, cwd) if probe is not None else parse_callable(python, cwd) if python is not None else (),
        image=ImageRequest(reference=image, isolation=config.getoption("--isolation")) if image is not None else None,
        cwd=str(cwd),
        contract=contract,
        directories=_directories(config, cwd),
        extra=extra,
        repeat=config.getoption("--probe-repeat"),
        keep=str(keep_directory(cwd / keep)) if keep else "",
        known_failures=str(cwd / config.getoption("--known-failures")) if config.getoption("--known-failures") else "",
    )
    check_extra(extra, World(settings).contract)
    return settings


def _directories(config: pytest.Config, cwd: Path) -> tuple[str, ...]:
    """Return the directories of scenarios that are asked for: by option, and those that the arguments lie in."""
    found = [(cwd / directory).resolve() for directory in config.getoption("--scenarios")]
    for argument in config.args:
        path = (cwd / argument.split("::", 1)[0]).resolve()
        found += [above for above in (path, *path.parents) if above.name == "scenarios"][:1]
    return tuple(dict.fromkeys(map(str, found)))


def extra_variables(pairs: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Return the variables of ``KEY=VALUE`` *pairs* and, from our own environment, those called *names*.

    :raises UsageError: a pair has no ``=``, or a name is not set.
    """
    result = {}
    for name in names:
        if name not in os.environ:
            raise UsageError(f"{name} is not set here, so it cannot be passed on", hint="set it, or give KEY=VALUE")
        result[name] = os.environ[name]
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"'{pair}' is no KEY=VALUE", hint="write it like NAME=text")
        result[name] = value
    return result


def keep_directory(path: Path) -> Path:
    """Return *path*, made if need be, when homes can be kept there.

    :raises UsageError: it holds something, or cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(entry for entry in path.iterdir() if not entry.name.startswith("run-")):
            raise UsageError(f"{path} is not empty", hint="keep homes in a directory that does not exist yet")
    except OSError as e:
        raise UsageError(f"homes cannot be kept in {path}: {e.strerror}", hint="name another directory") from None
    return path.resolve()


class ScenarioFile(pytest.File):
    """A scenario file: an item for each scenario in it that has a part in the contract."""

    def __init__(self, *, session_: Session, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conformance = session_

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the items; those of a family are named as pytest names the cases of a parametrized test."""
        try:
            scenarios = self.conformance.scenarios(self.path)
        except ConformanceError as e:
            raise self.CollectError("\n".join(e.lines())) from None
        for scenario in scenarios:
            yield ScenarioItem.from_parent(self, name=item_name(self.conformance.world.contract, scenario), scenario=scenario)


def item_name(contract: Contract, scenario: Scenario) -> str:
    """Return what the item of *scenario* is called within its file."""
    return f"{contract.name}[{scenario.variant}]" if scenario.variant else contract.name


class ScenarioItem(pytest.Item):
    """One scenario under one contract. Its setup runs the probe, its call judges what was seen."""

    def __init__(self, *, scenario: Scenario, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self.conformance_result: dict[str, Any] | None = None
        self._result: ScenarioResult | None = None

    @property
    def _session(self) -> Session:
        return self.config.stash[SESSION]

    def setup(self) -> None:
        """Build the home and run the probe; what goes wrong here is not the probe's fault."""
        world = self._session.world
        result = world.engine.judge(self.scenario, self._session.observe(self.scenario))
        if result.result == "deviates" and world.known.covers(result):
            result = msgspec.structs.replace(result, result="known-failure", reason=world.known.reason(result.id))
        self._result = result
        self.conformance_result = msgspec.to_builtins(result)
        self.user_properties += [("conformance.scenario", result.id), ("conformance.contract", world.contract.name)]
        self.user_properties += [("conformance.result", result.result), ("conformance.control", result.control)]
        self.user_properties += [("conformance.expected", " ".join(result.expected)), ("conformance.code", result.code)]
        self.user_properties += [(f"conformance.finding.{finding.kind}", finding.message) for finding in result.findings]
        if result.result == "broke":
            raise Broke(result.reason)

    def runtest(self) -> None:
        """Pass, skip, or fail as the result says."""
        result = self._result
        assert result is not None
        if result.result == "unsupported":
            pytest.skip(f"unsupported: {result.reason}")
        if result.result == "known-failure":
            pytest.xfail(result.reason)
        if result.result == "deviates":
            raise Deviation("\n".join(explain(result, self._session.world.contract, self._session.world.catalogue.scenarios)))
        if result.id in self._session.world.known.entries:
            raise Deviation(f"it conforms: take it out of {self._session.world.known.file}")

    def report(self) -> pytest.TestReport:
        """Run the scenario, and return all there is to say about it in one report."""
        start = time.time()
        when: Literal["setup", "call"] = "setup"
        outcome: Literal["passed", "failed", "skipped"] = "passed"
        longrepr: Any = None
        extra: dict[str, Any] = {}
        try:
            self.setup()
            when = "call"
            self.runtest()
        except (pytest.skip.Exception, pytest.xfail.Exception) as e:
            outcome, longrepr = "skipped", (str(self.path), 0, str(e))
            extra = {"wasxfail": str(e)} if isinstance(e, pytest.xfail.Exception) else {}
        except Exception:
            outcome, longrepr = "failed", str(self.repr_failure(pytest.ExceptionInfo.from_current()))
        stop = time.time()
        return pytest.TestReport(
            nodeid=self.nodeid,
            location=self.location,
            keywords={},
            outcome=outcome,
            longrepr=longrepr,
            when=when,
            duration=stop - start,
            start=start,
            stop=stop,
            user_properties=self.user_properties,
            conformance=self.conformance_result,
            **extra,
        )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what people need; a traceback only where the fault is ours."""
        if isinstance(excinfo.value, Broke | Deviation):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where the scenario stands, and its id."""
        return self.path, None, self.scenario.id


def explain(result: ScenarioResult, contract: Contract, scenarios: dict[str, Scenario]) -> Iterator[str]:
    """Yield, line by line, what deviated and what tells the scenario from its control."""
    for finding in result.findings:
        yield f"{finding.kind}: {finding.message}"
    if result.control in scenarios:
        verdicts = " or ".join(answer(contract, verdict) for verdict in scenarios[result.control].expected(contract))
        yield f"control: {result.control} expects {verdicts or 'nothing here'}; this home, against that one:"
        yield from (f"    {line}" for line in result.difference)
    for name, text in (("stdout", result.stdout), ("stderr", result.stderr)):
        yield from (f"{name}: {line}" for line in text.splitlines()[:20] if line.strip())
    if result.kept:
        yield f"home: {result.kept}/home"
