"""Everything that is decided once per run, as one value that also travels to the workers."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from conformance.catalogue import catalogue as catalog
from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue
from conformance.drivers import Driver, Unavailable
from conformance.drivers.container.request import ImageFacts, ImageRequest
from conformance.drivers.local.driver import LocalDriver
from conformance.errors import CannotJudge
from conformance.judge.known_failures import KnownFailures
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.run.scenario_runner import Engine

if TYPE_CHECKING:
    import docker

    from conformance.drivers.container.labels import Labels

__all__ = ["MAIN", "Settings", "World"]


#: The process that the user has started; workers have names of their own.
MAIN = "main"
_CATALOGUE = "catalogue"


class Settings(Struct, frozen=True, kw_only=True):
    """The request, checked and made absolute."""

    argv: tuple[str, ...] = ()
    """The command that is the probe, where it is one."""
    image: ImageRequest | None = None
    """The image that is, with its entrypoint, the probe."""
    facts: ImageFacts | None = None
    """What the controller has found out about the image."""
    cwd: str
    contract: str = "slot"
    directories: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    ids: tuple[str, ...] | None = None
    """Only these scenarios; None for all that are collected."""
    extra: dict[str, str] = field(default_factory=dict)
    repeat: int = 1
    keep: str = ""
    known_failures: str = ""
    now: float = field(default_factory=time.time)
    seed: str = field(default_factory=lambda: secrets.token_hex(8))
    run_directory: str = ""
    brief: bool = False
    """One report for each scenario, instead of pytest's three, where nobody reads them but ourselves."""

    @property
    def executions(self) -> int:
        """How often each scenario is run: in both isolations, where that is asked for, and as often as it is to be repeated."""
        return self.repeat * (2 if self.facts is not None and self.facts.isolation == "both" else 1)

    @property
    def concurrent(self) -> int:
        """How many executions that can only wait are started at the same time."""
        return 64 if self.image is None else 8

    def encode(self) -> str:
        """Return a text that :meth:`decode` understands."""
        return json.dumps(msgspec.to_builtins(self))  # it also takes paths that are no UTF-8

    @classmethod
    def decode(cls, text: str) -> Settings:
        """Return the settings in *text*."""
        return msgspec.convert(json.loads(text), cls)


class World:
    """What the settings stand for, each made when it is first asked for."""

    def __init__(self, settings: Settings, name: str = MAIN) -> None:
        self.settings = settings
        self.staging = False
        """Whether volumes and images are to outlive the run, for a case to be repeated by hand."""
        self.name = name
        """The process: ``main``, or the worker's id. Each has its own part of the run's directory."""

    @cached_property
    def contract(self) -> Contract:
        """The contract to judge by."""
        return contracts.load(self.settings.contract, base=Path(self.settings.cwd))

    @cached_property
    def catalogue(self) -> Catalogue:
        """All scenarios that ids and controls may speak of; a worker gets what its controller has read."""
        shared = Path(self.settings.run_directory) / _CATALOGUE
        if self.name != MAIN and shared.is_file():
            scenarios, known = msgspec.msgpack.decode(shared.read_bytes(), type=tuple[list[Scenario], dict[str, Contract]])
            return Catalogue({scenario.id: scenario for scenario in scenarios}, known)
        return catalog.load(map(Path, self.settings.directories), contract=self.contract, files=map(Path, self.settings.files))

    def share(self) -> None:
        """Leave the catalogue in the run's directory for the workers; parsing costs more than the rest of their start."""
        data = msgspec.msgpack.encode((list(self.catalogue.scenarios.values()), self.catalogue.contracts))
        (Path(self.settings.run_directory) / _CATALOGUE).write_bytes(data)

    @cached_property
    def known(self) -> KnownFailures:
        """The failures that are expected."""
        return KnownFailures.read(self.settings.known_failures)

    def settle(self, run_directory: Path) -> None:
        """Take *run_directory* for this run, and look up what no scenario can change.

        :raises CannotJudge: the engine, or the image, is not there.
        """
        self.settings = msgspec.structs.replace(self.settings, run_directory=str(run_directory))
        if self.settings.image is not None:
            from conformance.drivers.container.prepare import prepare  # noqa: PLC0415 - brings the engine's SDK with it

            s = self.settings
            chosen = self.catalogue.of(self.contract)
            chosen = [scenario for scenario in chosen if s.ids is None or scenario.id in self._ids]
            context = Context(now=s.now, seed=s.seed)
            facts = prepare(self.client, self.settings.image, self.labels, chosen, self.contract, context, s.extra)
            self.settings = msgspec.structs.replace(s, facts=facts)

    @cached_property
    def client(self) -> docker.DockerClient:
        """The container engine."""
        from conformance.drivers.container.client import connect  # noqa: PLC0415 - brings the engine's SDK with it

        return connect()

    @cached_property
    def labels(self) -> Labels:
        """What marks as ours what this process makes on the engine."""
        from conformance.drivers.container.labels import Labels  # noqa: PLC0415 - brings the engine's SDK with it

        directory = Path(self.settings.run_directory)
        return Labels(directory.name, directory.with_suffix(".lock"), self.name, kept=self.staging)

    @cached_property
    def driver(self) -> Driver:
        """What runs the probe."""
        directory = Path(self.settings.run_directory) / self.name
        directory.mkdir(mode=0o700, exist_ok=True)
        s = self.settings
        if s.image is not None and s.facts is not None:
            from conformance.drivers.container.driver import ContainerDriver  # noqa: PLC0415 - brings the engine's SDK with it

            try:
                client = self.client
            except CannotJudge as e:  # the controller has reached it, a moment ago
                return Unavailable(f"the container engine was lost: {e}")
            return ContainerDriver(client, s.image, s.facts, self.labels, extra=s.extra, always_compare=self.staging)
        return LocalDriver(s.argv, directory, cwd=Path(s.cwd), extra=s.extra, keep=bool(s.keep))

    def code_without_mode(self, scenario: Scenario) -> int | None:
        """Return the exit code of the image in *scenario* when it is asked for a mode that does not exist."""
        from conformance.drivers.container.driver import ContainerDriver  # noqa: PLC0415 - brings the engine's SDK with it

        s = self.settings
        assert s.image is not None
        assert s.facts is not None
        facts = msgspec.structs.replace(s.facts, isolation="fresh")
        driver = ContainerDriver(self.client, s.image, facts, self.labels, extra={**s.extra, "AGENT_MODE": "no-such-mode"})
        try:
            return driver.execute(scenario, self.contract, Context(now=s.now, seed=s.seed)).outcome.code
        finally:
            driver.close()

    @cached_property
    def engine(self) -> Engine:
        """What observes and judges."""
        s = self.settings
        context = Context(now=s.now, seed=s.seed)
        return Engine(self.driver, self.catalogue, self.contract, context, repeat=s.repeat, keep=Path(s.keep) if s.keep else None)

    def scenarios(self, path: Path) -> list[Scenario]:
        """Return the selected scenarios in the file *path*."""
        here = (found for found in self._by_file.get(str(path.resolve()), ()) if found.expected(self.contract))
        return [found for found in here if self.settings.ids is None or found.id in self._ids]

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(self.settings.ids or ())

    @cached_property
    def _by_file(self) -> dict[str, list[Scenario]]:
        found: dict[str, list[Scenario]] = {}
        for scenario in self.catalogue.scenarios.values():
            found.setdefault(scenario.file, []).append(scenario)
        return found

    def close(self) -> None:
        """End what still runs."""
        if "driver" in self.__dict__:
            self.driver.close()
        self.tidy()

    def tidy(self) -> None:
        """Remove what any process of this run has left on the engine; only the controller does that."""
        if "client" in self.__dict__ and self.name == MAIN:
            from conformance.drivers.container.labels import remove_run  # noqa: PLC0415 - brings the engine's SDK with it

            with suppress(CannotJudge):  # it has been said already that the engine is lost; the next run sweeps
                remove_run(self.client, self.labels.run, keep=self.staging)
