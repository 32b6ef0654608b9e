"""The pytest plugin: scenario files become items. Silent, and next to free, unless a probe is named.

What it does when it is active is in :mod:`conformance.run.session`, which is imported only then.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.run import RUN_PLUGIN

if TYPE_CHECKING:
    from conformance.run.session import Session

SESSION: pytest.StashKey[Session] = pytest.StashKey()

#: The options by name, with what argparse is told of each. All begin alike, because names such as
#: --image belong to the projects in whose tests the plug-in is loaded.
OPTIONS: dict[str, dict[str, Any]] = {
    "--conformance-probe": {
        "metavar": "CMD",
        "help": "run the collected scenario files against this command, split as by a shell",
    },
    "--conformance-image": {
        "metavar": "REF",
        "help": "run them against the entrypoint of this container image",
    },
    "--conformance-python": {
        "metavar": "MODULE:NAME",
        "help": "run them against this Python callable, which returns the exit code",
    },
    "--conformance-isolation": {
        "choices": ["fresh", "shared", "both"],
        "default": "fresh",
        "help": "a container for each scenario (fresh, the default), shared ones, or both",
    },
    "--conformance-contract": {
        "metavar": "NAME|FILE",
        "default": "slot",
        "help": "the contract to judge by (default: slot)",
    },
    "--conformance-scenarios": {
        "metavar": "DIR",
        "action": "append",
        "default": [],
        "help": "more scenarios that controls may name; repeatable",
    },
    "--conformance-env": {
        "metavar": "KEY=VALUE",
        "action": "append",
        "default": [],
        "help": "a variable for every probe; repeatable",
    },
    "--conformance-pass-env": {
        "metavar": "KEY",
        "action": "append",
        "default": [],
        "help": "a variable of yours for every probe; repeatable",
    },
    "--conformance-repeat": {
        "metavar": "N",
        "type": int,
        "default": 1,
        "help": "run the probe N times in each scenario",
    },
    "--conformance-keep": {
        "metavar": "DIR",
        "help": "keep the homes of scenarios that deviate",
    },
    "--conformance-known-failures": {
        "metavar": "FILE",
        "help": "failures that are expected, with their reasons",
    },
}
#: Those of them that name a probe.
PROBES = ("--conformance-probe", "--conformance-image", "--conformance-python")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; none of them is required, so that plain pytest works as before."""
    group = parser.getgroup("probe-conformance", "probe-conformance, for container start-up probes")
    for name, settings in OPTIONS.items():
        group.addoption(name, **settings)


def pytest_configure(config: pytest.Config) -> None:
    """Set the session up where a probe is named, here or by the controller of this worker."""
    wanted = "conformance" in getattr(config, "workerinput", {}) or any(config.getoption(option) is not None for option in PROBES)
    if wanted or config.pluginmanager.has_plugin(RUN_PLUGIN):
        from conformance.errors import ConformanceError  # noqa: PLC0415 - costs nothing while no probe is named
        from conformance.run.session import Session  # noqa: PLC0415

        try:
            config.stash[SESSION] = session = Session.from_config(config)
        except ConformanceError as e:
            raise pytest.UsageError(*map(_with_our_options, e.lines())) from None
        config.pluginmanager.register(session, "probe-conformance-session")


def _with_our_options(message: str) -> str:
    """Return *message*, which speaks of options of the command line, with those of pytest instead."""
    ours = {name.replace("--conformance-", "--") for name in OPTIONS}
    return re.sub(
        r"(?<!\S)--[a-z-]+",
        lambda found: f"--conformance-{found[0][2:]}" if found[0] in ours else found[0],
        message,
    )


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
    """Run the probe of ``--conformance-probe``: ``probe(fake_home(id))`` returns its outcome."""
    from conformance.run.fixtures import ProbeRunner  # noqa: PLC0415 - imported only when used

    return ProbeRunner(request.config.stash.get(SESSION, None))
