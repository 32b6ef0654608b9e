"""The pytest plug-in: scenario files become items, and tests of one's own get fake homes.

pytest loads this module in every project of an environment that has the package. A project may have
a package ``conformance`` of its own, so nothing of that name is imported here until an option or a
fixture needs it, and where the project's package hides ours, they say so in one line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.run.fixtures import FakeHome, ProbeRunner

#: The options by name, with what argparse is told of each. All begin alike, because names such as
#: --image belong to the projects in whose tests the plug-in is loaded.
_OPTIONS: dict[str, dict[str, Any]] = {
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
_PROBES = ("--conformance-probe", "--conformance-image", "--conformance-python")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; none of them is required, so that plain pytest works as before."""
    group = parser.getgroup("probe-conformance", "probe-conformance, for container start-up probes")
    for name, settings in _OPTIONS.items():
        group.addoption(name, **settings)


def pytest_configure(config: pytest.Config) -> None:
    """Load the part that runs scenarios, where a probe is named."""
    options = _OPTIONS.items()
    given = [name for name, told in options if config.getoption(name) != told.get("default")]
    if not given:
        return
    if reason := _hidden():
        raise pytest.UsageError(f"{given[0]} cannot be used here: {reason}")
    if any(name in _PROBES for name in given):
        try:
            config.pluginmanager.import_plugin("conformance.plugin")
        except pytest.UsageError as e:
            raise pytest.UsageError(*map(_with_our_options, e.args)) from None


def _hidden() -> str:
    """Return why our package cannot be imported, without importing anything; empty where it can.

    Ours is the one beside this file, in a checkout as in an environment.
    """
    try:
        spec = find_spec("conformance")
    except ValueError:  # it has been imported already, and does not say from where
        spec = None
    found = spec.origin if spec is not None and spec.origin else "another package"
    ours = os.path.join(os.path.dirname(__file__), "conformance", "__init__.py")
    if os.path.realpath(found) == os.path.realpath(ours):
        return ""
    hint = "take that off sys.path, or use the command probe-conformance"
    return f"{found} hides the package 'conformance' of probe-conformance; {hint}"


def _with_our_options(message: str) -> str:
    """Return *message*, which speaks of options of the command line, with those of pytest instead."""
    return re.sub(
        r"(?<!\S)--([a-z-]+)",
        lambda found: ours if (ours := f"--conformance-{found[1]}") in _OPTIONS else found[0],
        message,
    )


@contextmanager
def _package(request: pytest.FixtureRequest) -> Iterator[None]:
    """Import and use our package here; what stands in the way fails the test in one line."""
    if reason := _hidden():
        said = f"the fixture '{request.fixturename}' cannot be used here: {reason}"
        raise pytest.fail.Exception(said, pytrace=False)
    from conformance.errors import ConformanceError  # noqa: PLC0415 - see the top of this module

    try:
        yield
    except ConformanceError as e:
        said = "\n".join(map(_with_our_options, e.lines()))
        raise pytest.fail.Exception(said, pytrace=False) from None


@pytest.fixture
def fake_home(
    request: pytest.FixtureRequest,
) -> Generator[Callable[[str], FakeHome], None, None]:
    """Build fake homes: ``fake_home("claude/nested-session")`` returns one: ``path`` and ``env``."""
    with _package(request):
        from conformance.run.fixtures import FakeHomes  # noqa: PLC0415

        homes = FakeHomes(request.config)
    yield homes.build
    homes.close()


@pytest.fixture
def probe(request: pytest.FixtureRequest) -> ProbeRunner:
    """Run the probe of ``--conformance-probe``: ``probe(fake_home(id))`` returns its outcome."""
    with _package(request):
        from conformance.run.fixtures import ProbeRunner  # noqa: PLC0415

        return ProbeRunner(request.config)
