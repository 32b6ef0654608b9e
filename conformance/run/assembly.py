"""From a request to what it stands for: contract, catalogue, selection, driver and runner."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from conformance.catalogue.catalogue import Catalogue
from conformance.drivers import Driver, Unavailable
from conformance.drivers.container.request import ImageFacts
from conformance.errors import CannotJudge
from conformance.judge.known_failures import KnownFailures
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.run.directory import RunDirectory, keep_directory
from conformance.run.import_notes import import_notes
from conformance.run.local_driver import local_driver
from conformance.run.request import RunRequest
from conformance.run.scenario_runner import ScenarioRunner
from conformance.run.subject import Subject, asked_contract, check

if TYPE_CHECKING:
    from conformance.drivers.container.driver import ContainerDriver
    from conformance.drivers.container.engines import EnginePool
    from conformance.drivers.container.spec import ContainerSpec

__all__ = ["Run", "Shared", "join_run", "open_run"]

#: What directories and labels call the process that opened the run; workers have their own names.
_MAIN = "main"
_CATALOGUE = "catalogue"


class Shared(Struct, frozen=True, kw_only=True):
    """What a worker needs to know of the run that it belongs to."""

    request: RunRequest
    argv: tuple[str, ...]
    now: float
    seed: str
    directory: str
    facts: tuple[ImageFacts, ...]
    """What is known of the image, for each engine that it runs on; nothing for a local probe."""


#: What lies in the run's directory for workers: scenarios, the ids of the selected ones, contracts.
_Published = tuple[list[Scenario], list[str], dict[str, Contract]]


class Run:
    """A request that has been opened, in one process."""

    def __init__(
        self, subject: Subject, shared: Shared, driver: Driver, *, leave: bool = False
    ) -> None:
        self.request = subject.request
        self.contract = subject.contract
        self.catalogue = subject.catalogue
        self.selected = subject.selected
        self.known_failures = subject.known_failures
        self.context = Context(now=shared.now, seed=shared.seed)
        self.directory = Path(shared.directory)
        """Where the run may write."""
        self.driver = driver
        both = any(facts.isolation == "both" for facts in shared.facts)
        self.runner = ScenarioRunner(
            driver,
            self.catalogue,
            self.contract,
            self.context,
            known_failures=self.known_failures,
            repeat=self.request.repeat * (2 if both else 1),
            strict=self.request.strict,
            keep=Path(self.request.keep) if self.request.keep else None,
            leave=leave,
        )
        self._shared = shared

    @property
    def concurrent(self) -> int:
        """How many executions that can only wait are started at the same time."""
        if self.request.in_process:
            return 2  # where nothing is waited for
        # A login takes a server, and a CLI that works as well as it waits.
        many = self.request.image is None and self.contract.requests is None
        return 64 if many else 8 * self.engines

    @property
    def engines(self) -> int:
        """On how many container engines it runs; 1 where it runs on none."""
        return max(1, len(self._shared.facts))

    def describe(self) -> dict[str, Any]:
        """Return the probe, what isolates it, what it may write and gets: built-in types only."""
        described = self.driver.describe()
        if further := self.request.allow_writes:
            described["allow_writes"] = list(further)
        if self.request.variables:  # their values may be secrets
            described["variables"] = sorted(self.request.variables)
        if "imported" in described:
            described["notes"] = import_notes(described, self.contract, self.selected)
            del described["imported"]
        return described

    def publish_catalogue(self) -> None:
        """Write what workers need of the catalogue: to parse it again would cost most of a start.

        That is the selected scenarios, and their controls. Tests of one's own that pytest runs may
        ask for any other.
        """
        known = self.catalogue.scenarios
        needed = {scenario.id: scenario for scenario in self.selected}
        if self.request.patterns is None:
            needed = dict(known)
        for scenario in self.selected:
            control = scenario.control_for(self.contract)
            if control in known:
                needed[control] = known[control]
        ids = [scenario.id for scenario in self.selected]
        data = msgspec.msgpack.encode((list(needed.values()), ids, self.catalogue.contracts))
        (self.directory / _CATALOGUE).write_bytes(data)

    def share(self) -> str:
        """Return a text from which a worker can join this run, once the catalogue is published."""
        return json.dumps(
            msgspec.to_builtins(self._shared)
        )  # it also takes paths that are not UTF-8

    def scenarios(self, path: Path) -> list[Scenario]:
        """Return the selected scenarios in the file *path*."""
        return self._by_file.get(str(path.resolve()), [])

    @cached_property
    def _by_file(self) -> dict[str, list[Scenario]]:
        found: dict[str, list[Scenario]] = {}
        for scenario in self.selected:
            found.setdefault(scenario.file, []).append(scenario)
        return found

    def code_without_mode(self, scenario: Scenario) -> int | None:
        """Return the exit code of the image in *scenario* when asked for an unknown mode."""
        driver = self._container_driver.without_mode()
        try:
            return driver.execute(scenario, self.contract, self.context).outcome.code
        finally:
            driver.close()

    def result_while_waiting(self, agent: str) -> ScenarioResult | None:
        """Return the result where the CLI of *agent* takes seconds and is healthy.

        None where no scenario shows that.
        """
        for scenario in self.catalogue.in_contract(self.contract):
            healthy = "cli-broken" not in scenario.expected(self.contract)
            if scenario.agent == agent and scenario.waits and healthy:
                return self.runner.run(scenario)
        return None

    def stage(self, scenario: Scenario) -> ContainerSpec:
        """Place the home of *scenario* in volumes that stay; return a container to run by hand."""
        return self._container_driver.stage(scenario, self.contract, self.context)

    @property
    def _container_driver(self) -> ContainerDriver | EnginePool:
        # Imported here, because it brings the engine's SDK.
        from conformance.drivers.container.driver import ContainerDriver  # noqa: PLC0415
        from conformance.drivers.container.engines import EnginePool  # noqa: PLC0415

        kinds = (ContainerDriver, EnginePool)
        assert isinstance(self.driver, kinds), "only an image can be asked for that"
        return self.driver

    def begin(self) -> None:
        """Let the run begin now: it may have been opened long before its turn."""
        if self.request.now is not None:
            return
        self.context = replace(self.context, now=time.time())
        self.runner.context = self.context
        self._shared = replace(self._shared, now=self.context.now)

    def end(self) -> None:
        """End what still runs."""
        self.driver.close()


@contextmanager
def open_run(request: RunRequest | Subject, *, into: Path | None = None) -> Iterator[Run]:
    """Open *request*, and clean up at the end.

    With *into*, homes are built there and stay; else in the run's directory, which is removed.

    :raises ConformanceError: the request is wrong, or there is no place to write to.
    :raises CannotJudge: the engine, or the image, is not there.
    """
    subject = request if isinstance(request, Subject) else check(request)
    request = subject.request
    with ExitStack() as stack:
        # Made last, so that a request that is wrong in any other way leaves nothing behind.
        base = None
        if request.keep:
            here = request.image is None
            base = keep_directory(request.keep, Path(request.cwd), runs_here=here)
        request = replace(request, keep=str(base or ""))
        directory = RunDirectory(base)
        stack.callback(directory.close)
        # In process the clock is set to a whole second, which is the same number for all clocks.
        now = time.time() if request.now is None else request.now
        now = float(int(now)) if request.in_process else now
        context = Context(now=now, seed=request.seed or secrets.token_hex(8))
        image = None
        if request.image is not None:
            # Imported here, because it brings the engine's SDK.
            from conformance.drivers.container.prepare import prepared_image  # noqa: PLC0415

            image = stack.enter_context(
                prepared_image(
                    request.image,
                    directory.path,
                    subject.selected,
                    subject.contract,
                    context,
                    request.variables,
                    keep=request.stage,
                )
            )
        shared = Shared(
            request=request,
            argv=subject.argv,
            now=context.now,
            seed=context.seed,
            directory=str(directory.path),
            facts=image.facts if image is not None else (),
        )
        if image is not None:
            driver: Driver = image.driver(request.variables, always_compare=request.stage)
        else:
            place = into or directory.path / _MAIN
            driver = local_driver(
                request, shared.argv, subject.contract, place, keep=into is not None
            )
        run = Run(replace(subject, request=request), shared, driver, leave=into is not None)
        stack.callback(run.end)
        yield run


def join_run(text: str, worker: str) -> Run:
    """Return the run that *text* shares, in the process called *worker*.

    A worker ends what it has started; the process that has opened the run removes what is left.
    """
    shared = msgspec.convert(json.loads(text), Shared)
    request = shared.request
    published = (Path(shared.directory) / _CATALOGUE).read_bytes()
    scenarios, ids, known = msgspec.msgpack.decode(published, type=_Published)
    catalogue = Catalogue({scenario.id: scenario for scenario in scenarios}, known)
    contract = asked_contract(request)
    selected = tuple(catalogue.scenarios[id_] for id_ in ids)
    known_failures = KnownFailures.read(request.known_failures)
    subject = Subject(request, contract, catalogue, selected, known_failures, shared.argv)
    return Run(subject, shared, _workers_driver(shared, contract, worker))


def _workers_driver(shared: Shared, contract: Contract, worker: str) -> Driver:
    directory, request = Path(shared.directory), shared.request
    if request.image is None:
        return local_driver(request, shared.argv, contract, directory / worker)
    # Imported here, because it brings the engine's SDK.
    from conformance.drivers.container.prepare import join_image  # noqa: PLC0415

    try:
        image = join_image(request.image, shared.facts, directory, worker)
        return image.driver(request.variables, always_compare=request.stage)
    except CannotJudge as e:  # the process that opened the run has reached the engine a moment ago
        return Unavailable(f"the container engine was lost: {e}")
