"""What the fixtures ``fake_home`` and ``probe`` give to people who write tests of their own."""

from __future__ import annotations

import itertools
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from conformance.catalogue import contracts
from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.standalone import home_in, standalone
from conformance.errors import UsageError
from conformance.loading import catalogue_under
from conformance.model.contract import Contract
from conformance.model.outcome import Outcome
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.run import SESSION_PLUGIN
from conformance.run.directory import RunDirectory
from conformance.run.session import Session

if TYPE_CHECKING:
    from conformance.drivers.in_process.clock import Clock

__all__ = ["FakeHome", "FakeHomes", "ProbeRunner"]


class FakeHome(Struct, frozen=True):
    """A home that has been built, on disk or in a fake file system."""

    scenario: Scenario
    contract: Contract
    path: Path
    """The fake HOME."""
    env: dict[str, str]
    """The whole environment for a probe."""
    clock: Clock | None = None
    """What sets the time, where that was asked for: ``shift(seconds)``, ``set(epoch_seconds)``."""

    @property
    def expected(self) -> tuple[str, ...]:
        """The verdicts that conform; more than one where the contract leaves the point open."""
        return self.scenario.expected(self.contract)

    @property
    def codes(self) -> frozenset[int]:
        """The exit codes that conform."""
        return frozenset(self.scenario.codes(self.contract))


def _session(config: pytest.Config) -> Session | None:
    """Return what runs scenarios in this process, where a probe is named."""
    session: Session | None = config.pluginmanager.get_plugin(SESSION_PLUGIN)
    return session


class FakeHomes:
    """Builds homes below a run directory of its own, and removes them at the end."""

    def __init__(self, config: pytest.Config) -> None:
        session = _session(config)
        if session is not None:
            self._contract, self._catalogue = session.run.contract, session.run.catalogue
            self._context = session.run.context
        else:
            base = config.invocation_params.dir
            self._contract = contracts.load(config.getoption("--conformance-contract"), base=base)
            own = config.getoption("--conformance-scenarios")
            self._catalogue = catalogue_under(self._contract, (base / each for each in own))
            self._context = Context(now=time.time(), seed=secrets.token_hex(8))
        self._directory = RunDirectory()
        self._numbers = itertools.count(1)

    def build(self, id_: str) -> FakeHome:
        """Build the home of the scenario called *id_*.

        :raises UsageError: there is none.
        """
        scenario = self._catalogue.get(id_)
        path = self._directory.path / str(next(self._numbers)) / "home"
        path.parent.mkdir()
        env = standalone(scenario, self._contract, path, self._context)
        return FakeHome(scenario, self._contract, home_in(path, scenario), env)

    def close(self) -> None:
        """Remove the homes."""
        self._directory.close()


class ProbeRunner:
    """Runs the probe of this session; call it with a fake home."""

    def __init__(self, config: pytest.Config) -> None:
        """Take the probe of this session.

        :raises UsageError: no probe was named.
        """
        session = _session(config)
        if session is None:
            hint = "call pytest with --conformance-probe CMD"
            raise UsageError("the fixture 'probe' needs a probe", hint=hint)
        self._driver = session.run.driver

    def __call__(self, home: FakeHome) -> Outcome:
        """Return what was seen of the probe in *home*.

        :raises UsageError: the probe is an image's.
        """
        if not isinstance(self._driver, LocalDriver):
            hint = "call pytest with --conformance-probe CMD"
            raise UsageError("the fixture 'probe' runs local commands only", hint=hint)
        if home.contract.in_steps:
            hint = "hand pytest the scenario files, which tell it their stories"
            cause = f"the fixture 'probe' asks once, and '{home.contract.name}' asks in steps"
            raise UsageError(cause, hint=hint)
        if home.contract.entrypoint is not None:
            cause = f"'{home.contract.name}' is about an entrypoint, and the fixture has no stubs"
            raise UsageError(cause, hint="hand pytest the scenario files")
        if home.contract.requests is not None:
            hint = "hand pytest the scenario files, which say what the Manager and the CLI do"
            cause = f"the fixture 'probe' has no Manager, and '{home.contract.name}' is about one"
            raise UsageError(cause, hint=hint)
        return self._driver.run_in(home.env, home.contract)
