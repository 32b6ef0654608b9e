"""The pytest plug-in: scenario files become items, and tests of one's own get fake homes.

pytest loads this module in every project of an environment that has the package. A project may have
a package ``conformance`` of its own, so nothing of that name is imported here until an option or a
fixture needs it, and where the project's package hides ours, they say so in one line.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.model.outcome import Outcome
    from conformance.run.fixtures import FakeHome

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
    "--conformance-in-process": {
        "action": "store_true",
        "default": False,
        "help": "call it in a fake file system, with a clock that is set",
    },
    "--conformance-truth": {
        "metavar": "TRUE,FALSE",
        "help": "the exit codes that its truth values stand for",
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
    "--conformance-agent": {
        "metavar": "NAME",
        "default": "",
        "help": "only the scenarios of this agent",
    },
    "--conformance-as-of": {
        "metavar": "VERSION",
        "default": "",
        "help": "only what this version of a bundled contract demanded",
    },
    "--conformance-strict": {
        "action": "store_true",
        "default": False,
        "help": "let advice count",
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
    "--conformance-allow-write": {
        "metavar": "PATTERN",
        "action": "append",
        "default": [],
        "help": "a further path in the HOME that may be written; repeatable",
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
    """Return *message* with options of pytest in place of those of the command line."""
    return re.sub(
        r"(?<!\S)--([a-z-]+)",
        lambda found: ours if (ours := f"--conformance-{found[1]}") in _OPTIONS else found[0],
        message,
    )


def _patcher() -> Any:
    """Return what holds the fake file system of pyfakefs, while a test has one."""
    pyfakefs = sys.modules.get("pyfakefs.fake_filesystem_unittest")
    return pyfakefs.Patcher.PATCHER if pyfakefs is not None else None


@contextmanager
def _real_files() -> Iterator[None]:
    """Work on the real file system, whatever the test has.

    Our files are there and nowhere else, and a home must be real for a probe to run in it. Modules
    that are imported in a fake file system are thrown away with it.
    """
    patcher = _patcher()
    if patcher is None or not patcher.is_patching:
        yield
        return
    patcher.pause()
    try:
        yield
    finally:
        patcher.resume()


class _HomesInFakes:
    """Lets a test with a fake file system see its homes there, whichever of the two came first."""

    def __init__(self) -> None:
        self._directories: list[Path] = []

    def add(self, directory: Path) -> None:
        """Show what lies below *directory*, now and in a fake file system that is still to come."""
        self._directories.append(directory)
        self._show()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self) -> Generator[None, object, object]:
        """Look for a new fake file system after each fixture."""
        result = yield
        self._show()
        return result

    def _show(self) -> None:
        patcher = _patcher()
        for directory in self._directories if patcher is not None else ():
            if not patcher.fs.exists(directory):
                patcher.fs.add_real_directory(directory, read_only=False)

    def close(self) -> None:
        """Take the homes out of a fake file system that outlives them."""
        patcher = _patcher()
        for directory in self._directories if patcher is not None else ():
            if patcher.fs.exists(directory):
                # What has not been looked at yet is not read for that.
                patcher.fs.get_object(directory.parent).remove_entry(directory.name, False)


@contextmanager
def _package(request: pytest.FixtureRequest) -> Iterator[None]:
    """Import and use our package here; what stands in the way fails the test in one line."""
    with _real_files():
        if reason := _hidden():
            said = f"the fixture '{request.fixturename}' cannot be used here: {reason}"
            raise pytest.fail.Exception(said, pytrace=False)
        with _in_one_line():
            yield


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Let an error that a user can cause fail the test with its message and nothing else."""
    from conformance.errors import ConformanceError  # noqa: PLC0415 - see the top of this file

    try:
        yield
    except ConformanceError as e:
        said = "\n".join(map(_with_our_options, e.lines()))
        raise pytest.fail.Exception(said, pytrace=False) from None


@pytest.fixture
def fake_home(
    request: pytest.FixtureRequest,
) -> Generator[Callable[[str], FakeHome], None, None]:
    """Build fake homes: ``fake_home("claude/nested-session")`` has a ``path`` and an ``env``."""
    with _package(request):
        from conformance.run.fixtures import FakeHomes  # noqa: PLC0415

        homes = FakeHomes(request.config)
    in_fakes = _HomesInFakes()

    def build(id_: str) -> FakeHome:
        with _real_files():
            home = homes.build(id_)
        in_fakes.add(home.path.parent)
        return home

    request.config.pluginmanager.register(in_fakes)
    yield build
    request.config.pluginmanager.unregister(in_fakes)
    in_fakes.close()
    with _real_files():
        homes.close()


@pytest.fixture
def fake_home_fs(request: pytest.FixtureRequest) -> Generator[Callable[..., FakeHome], None, None]:
    """Lay fake homes into ``fs``: ``fake_home_fs("claude/nested-session", clock=True)``."""
    with _package(request):
        from conformance.run.in_process import HomesInFs  # noqa: PLC0415

        homes = HomesInFs(request.config)
    filesystem = _fs(request)

    def lay(id_: str, *, contract: str | None = None, clock: bool = False) -> FakeHome:
        with _package(request):
            stage = homes.plan(filesystem, id_, contract, clock=clock)
        with _in_one_line():
            return homes.lay(filesystem, stage)

    request.config.pluginmanager.register(homes)
    yield lay
    request.config.pluginmanager.unregister(homes)
    homes.leave()


def _fs(request: pytest.FixtureRequest) -> Any:
    """Return the fake file system of the test, which pyfakefs makes; it may be there already."""
    try:
        return request.getfixturevalue("fs")
    except pytest.FixtureLookupError:
        said = (
            f"the fixture '{request.fixturename}' needs the fixture 'fs' of pyfakefs; "
            "do not switch its plug-in off"
        )
        raise pytest.fail.Exception(said, pytrace=False) from None


@pytest.fixture
def probe(request: pytest.FixtureRequest) -> Callable[[FakeHome], Outcome]:
    """Run the probe of ``--conformance-probe``: ``probe(fake_home(id))`` returns its outcome."""
    with _package(request):
        from conformance.run.fixtures import ProbeRunner  # noqa: PLC0415

        runner = ProbeRunner(request.config)

    def run(home: FakeHome) -> Outcome:
        with _real_files():
            return runner(home)

    return run
