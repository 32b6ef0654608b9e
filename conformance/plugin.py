"""What the pytest plug-in does once a probe is named: scenario files become items.

``probe-conformance run`` loads this module by its name. In pytest as users call it, the module
``pytest_probe_conformance`` loads it, which adds options and fixtures.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from conformance.errors import ConformanceError
from conformance.run import SESSION_PLUGIN
from conformance.run.items import ScenarioItem
from conformance.run.session import Session

SESSION: pytest.StashKey[Session] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Set the session up."""
    try:
        config.stash[SESSION] = session = Session.from_config(config)
    except ConformanceError as e:
        raise pytest.UsageError(*e.lines()) from None
    config.pluginmanager.register(session, SESSION_PLUGIN)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a scenario file."""
    if file_path.suffix == ".toml":
        return parent.config.stash[SESSION].collect(file_path, parent)
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Take a fake file system away from a scenario.

    pyfakefs gives one of a wider scope than a function back for each item, in a hook before this.
    """
    pyfakefs = sys.modules.get("pyfakefs.fake_filesystem_unittest")
    if isinstance(item, ScenarioItem) and pyfakefs is not None and pyfakefs.Patcher.PATCHER:
        pyfakefs.Patcher.PATCHER.pause()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give the report of a scenario its result, in the built-in types that workers can send."""
    report = yield
    result = getattr(item, "conformance_result", None)
    if result is not None and (report.when == "call" or not report.passed):
        report.__dict__["conformance"] = result
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    if SESSION in config.stash:
        config.stash[SESSION].close()
