"""The pytest plugin: scenario files become items. Silent, and next to free, unless a probe is named.

What it does when it is active is in :mod:`conformance.run.session`, which is imported only then.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.run import RUN_PLUGIN

if TYPE_CHECKING:
    from conformance.run.session import Session

SESSION: pytest.StashKey[Session] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; none of them is required, so that plain pytest works as before."""
    group = parser.getgroup("probe-conformance", "conformance of container start-up probes")
    add = group.addoption
    add("--probe", metavar="CMD", help="run the scenario files that are collected against this command, split like a shell would")
    add("--image", metavar="REF", help="run them against the entrypoint of this container image")
    add("--python", metavar="MODULE:NAME", help="run them against this Python callable, which returns the exit code")
    add("--isolation", choices=["fresh", "shared", "both"], default="fresh", help="a container for each scenario, or shared ones")
    add("--contract", metavar="NAME|FILE", default="slot", help="the contract to judge by (default: slot)")
    add("--scenarios", metavar="DIR", action="append", default=[], help="more scenarios that controls may name; repeatable")
    add("--probe-env", metavar="KEY=VALUE", action="append", default=[], help="a variable for every probe; repeatable")
    add("--probe-pass-env", metavar="KEY", action="append", default=[], help="a variable of yours for every probe; repeatable")
    add("--probe-repeat", metavar="N", type=int, default=1, help="run the probe N times in each scenario")
    add("--keep-homes", metavar="DIR", help="keep the homes of scenarios that deviate")
    add("--known-failures", metavar="FILE", help="failures that are expected, with their reasons")


def pytest_configure(config: pytest.Config) -> None:
    """Set the session up where a probe is named, here or by the controller of this worker."""
    wanted = "conformance" in getattr(config, "workerinput", {}) or any(
        config.getoption(option) is not None for option in ("--probe", "--image", "--python")
    )
    if wanted or config.pluginmanager.has_plugin(RUN_PLUGIN):
        from conformance.errors import ConformanceError  # noqa: PLC0415 - costs nothing while no probe is named
        from conformance.run.session import Session  # noqa: PLC0415

        try:
            config.stash[SESSION] = session = Session.from_config(config)
        except ConformanceError as e:
            raise pytest.UsageError(*e.lines()) from None
        config.pluginmanager.register(session, "probe-conformance-session")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a scenario file."""
    if file_path.suffix == ".toml" and SESSION in parent.config.stash:
        return parent.config.stash[SESSION].collect(file_path, parent)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give the report of a scenario its result, as built-in types, which is all that workers can send."""
    report = yield
    result = getattr(item, "conformance_result", None)
    if result is not None and (report.when == "call" or not report.passed):
        report.__dict__["conformance"] = result
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    if SESSION in config.stash:
        config.stash[SESSION].close()


@pytest.fixture
def fake_home(request: pytest.FixtureRequest) -> Generator[Any, None, None]:
    """Build fake homes: ``fake_home("claude/nested-session")`` returns one with its ``path`` and ``env``."""
    from conformance.run.fixtures import FakeHomes  # noqa: PLC0415 - imported only when used

    with FakeHomes(request.config, request.config.stash.get(SESSION, None)) as homes:
        yield homes.build


@pytest.fixture
def probe(request: pytest.FixtureRequest) -> Any:
    """Run the probe named by ``--probe`` in a fake home: ``probe(fake_home(id))`` returns its outcome."""
    from conformance.run.fixtures import ProbeRunner  # noqa: PLC0415 - imported only when used

    return ProbeRunner(request.config.stash.get(SESSION, None))
