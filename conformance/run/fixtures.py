"""What the fixtures ``fake_home`` and ``probe`` give to people who write tests of their own."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from conformance.drivers.local.driver import LocalDriver, standalone
from conformance.errors import UsageError
from conformance.model.contract import Contract
from conformance.model.outcome import Outcome
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.run.assembly import Settings, World
from conformance.run.directory import RunDirectory
from conformance.run.stash import SESSION

__all__ = ["FakeHome", "FakeHomes", "ProbeRunner", "probe_of"]


class FakeHome(Struct, frozen=True):
    """A home that has been built."""

    scenario: Scenario
    contract: Contract
    path: Path
    """The fake HOME."""
    env: dict[str, str]
    """The whole environment for a probe."""


class FakeHomes:
    """Builds homes below a run directory of its own, and removes them at the end."""

    def __init__(self, config: pytest.Config) -> None:
        session = config.stash.get(SESSION, None)
        contract = config.getoption("--contract")
        self._world = (
            session.world if session else World(Settings(argv=(), cwd=str(config.invocation_params.dir), contract=contract))
        )
        self._directory = RunDirectory()
        self._numbers = itertools.count(1)

    def __enter__(self) -> FakeHomes:
        return self

    def build(self, id_: str) -> FakeHome:
        """Build the home of the scenario called *id_*.

        :raises UsageError: there is none.
        """
        world = self._world
        scenario = world.catalogue.get(id_)
        path = self._directory.path / str(next(self._numbers)) / "home"
        path.parent.mkdir()
        context = Context(now=world.settings.now, seed=world.settings.seed)
        env = standalone(scenario, world.contract, path, context)
        return FakeHome(scenario, world.contract, path, env)

    def __exit__(self, *_: Any) -> None:
        self._directory.close()


class ProbeRunner:
    """Runs the probe of this session; call it with a fake home."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, home: FakeHome) -> Outcome:
        """Return what was seen of the probe in *home*.

        :raises UsageError: the probe is an image's.
        """
        driver = self._world.driver
        if not isinstance(driver, LocalDriver):
            raise UsageError("the fixture 'probe' runs local commands only", hint="call pytest with --probe CMD")
        return driver.run_in(home.env, home.contract)


def probe_of(config: pytest.Config) -> ProbeRunner:
    """Return the runner of the probe that the command line names.

    :raises UsageError: it names none.
    """
    session = config.stash.get(SESSION, None)
    if session is None:
        raise UsageError("the fixture 'probe' needs a probe", hint="call pytest with --probe CMD")
    return ProbeRunner(session.world)
