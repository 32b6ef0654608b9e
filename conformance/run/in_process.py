"""What the fixture ``fake_home_fs`` gives to people who test a gate in process."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue
from conformance.drivers.in_process.escapes import said_of
from conformance.drivers.in_process.stage import Stage
from conformance.home.build import Unbuildable
from conformance.home.fake_system import keep_real
from conformance.loading import catalogue_under
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.run.fixtures import FakeHome

__all__ = ["HomesInFs"]


class HomesInFs:
    """Lays homes into the fake file system of one test, one after the other."""

    def __init__(self, config: pytest.Config) -> None:
        keep_real()
        self._config = config
        self._base = config.invocation_params.dir
        self._leave = ExitStack()
        self._stages: list[Stage] = []
        self._armed = ExitStack()

    def plan(
        self, filesystem: FakeFilesystem, id_: str, contract: str | None, *, clock: bool
    ) -> Stage:
        """Return the scenario called *id_* under *contract*, by default that of the session.

        Our own files are read here, so pyfakefs must not be patching. The test is skipped where the
        scenario cannot be shown.

        :raises UsageError: there is no such contract or scenario.
        """
        name = contract or str(self._config.getoption("--conformance-contract"))
        own = tuple(self._config.getoption("--conformance-scenarios"))
        chosen, catalogue = _read(name, self._base, own)
        scenario = catalogue.get(id_)
        context = Context(now=time.time(), seed=secrets.token_hex(8))
        try:
            return Stage(filesystem, scenario, chosen, context, with_clock=clock)
        except Unbuildable as e:
            pytest.skip(str(e))

    def lay(self, filesystem: FakeFilesystem, stage: Stage) -> FakeHome:
        """Set *stage* up around the rest of the test, in place of the last one.

        The test is skipped where that cannot be shown.
        """
        self.leave()
        try:
            self._leave.enter_context(stage)
        except Unbuildable as e:
            pytest.skip(str(e))
        self._stages.append(stage)
        self._armed.enter_context(stage.armed())
        fake_pathlib: Any = filesystem.patcher.fake_modules["pathlib"]
        path: Path = fake_pathlib.Path(stage.home)
        env = dict(stage.layout.environment)
        return FakeHome(stage.scenario, stage.contract, path, env, stage.clock)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let a test fail whose gate left the fake file system, also where the gate hid that."""
        if call.when == "call":
            self._armed.close()  # from here on, pytest is at work
        report = yield
        if call.when == "call" and report.passed and (wrong := self._wrong()):
            report.outcome = "failed"
            report.longrepr = wrong
        return report

    def _wrong(self) -> str:
        for stage in self._stages:
            where = f"{stage.scenario.id}:"
            if stage.escapes.found:
                return f"{where} {said_of(stage.escapes.found[0])}"
            if stage.timed_out:
                return f"{where} the gate gave no answer within {stage.contract.limits.seconds:g} s"
        return ""

    def leave(self) -> None:
        """Take the last scenario down."""
        self._armed.close()
        self._leave.close()


#: Contracts and catalogues by what was asked for: to read them takes a fifth of a second.
_KNOWN: dict[tuple[str, Path, tuple[str, ...]], tuple[Contract, Catalogue]] = {}


def _read(name: str, base: Path, directories: tuple[str, ...]) -> tuple[Contract, Catalogue]:
    key = (name, base, directories)
    if key not in _KNOWN:
        contract = contracts.load(name, base=base)
        _KNOWN[key] = contract, catalogue_under(contract, (base / d for d in directories))
    return _KNOWN[key]
