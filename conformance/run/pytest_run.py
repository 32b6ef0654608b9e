"""Run pytest for ``probe-conformance run``: from a checked request to a report and an exit status."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

import msgspec
import pytest

from conformance.bundled import data_root, scenarios_dir
from conformance.drivers.container.request import SILENT
from conformance.errors import UsageError
from conformance.judge.tally import RunReport
from conformance.model.outcome import ScenarioResult
from conformance.report.diagnosis import diagnose
from conformance.report.stream import Stream
from conformance.report.terminal import Terminal
from conformance.report.view import View
from conformance.run import RUN_PLUGIN
from conformance.run.assembly import Run
from conformance.run.items import item_name
from conformance.run.request import scenario_files

__all__ = ["PytestRun", "sigterm_interrupts", "worker_count"]

#: Fewer scenarios than this for each worker do not pay for starting it.
_WORTH_A_WORKER = 8
#: So many files pytest finds sooner one by one than by looking through all of them.
_FEW = 20


def worker_count(wanted: str, scenarios: int) -> int:
    """Return how many workers to start; 0 runs everything in this process.

    :raises UsageError: *wanted* is neither a number nor ``auto``.
    """
    if wanted == "auto":
        workers = min(len(os.sched_getaffinity(0)), scenarios // _WORTH_A_WORKER)
        return workers if workers > 1 else 0
    if not wanted.isdecimal() or int(wanted) > 256:
        raise UsageError(f"--workers '{wanted}' is no number of workers", hint="give 0 to 256, or auto")
    return int(wanted)


class PytestRun:
    """The selected scenarios of an open run, run by pytest."""

    def __init__(
        self,
        run: Run,
        *,
        repro: Sequence[str] = (),
        files: Mapping[str, str] | None = None,
        to_stderr: bool = False,
        summary: bool = True,
    ) -> None:
        """Make everything ready.

        *repro* is the command that repeats a scenario, for the *summary* at the end. *files* are
        those outside of the catalogue that it may need: as they were typed, by their real paths.
        """
        self.run = run
        self.report = RunReport(run.contract, run.selected, run.driver.describe(), run.context.now, run.known_failures)
        self._stream = cast(TextIO, Stream(sys.stderr if to_stderr else sys.stdout))
        self.junit = ""
        self.terminal = View(self._stream, self.report)
        if summary:
            known = run.catalogue.scenarios
            self.terminal = Terminal(self._stream, self.report, known, repro, files)

    def execute(self, workers: int, *, junit: bool = False, pytest_args: Sequence[str] = ()) -> int:
        """Run with so many *workers*, write the summary, and return the exit status.

        With *junit*, the attribute of that name holds the JUnit report afterwards.
        """
        started = time.monotonic()
        # JUnit properties, and what people hand on to pytest, rest on its reports being as usual.
        plugin = _RunPlugin(self, brief=not junit and not pytest_args, partial=bool(pytest_args))
        arguments = [*_ARGUMENTS, "--rootdir", str(data_root())]
        arguments += ["-n", str(workers)] if workers else []
        with _environment(), sigterm_interrupts(), ExitStack() as stack:
            # Where pytest cannot write its report it ends in a traceback, so it writes to memory.
            memory = stack.enter_context(open(os.memfd_create("junit"), encoding="utf-8"))
            arguments += [f"--junitxml=/proc/self/fd/{memory.fileno()}"] if junit else []
            # pytest's own words would stand between ours; who hands arguments on to pytest wants to see what it says.
            stack.enter_context(redirect_stdout(self._stream if pytest_args else stack.enter_context(open(os.devnull, "w"))))
            self.terminal.start(workers)
            code: int = pytest.ExitCode.INTERRUPTED
            try:
                code = pytest.main([*arguments, *pytest_args, *self._paths()], plugins=[plugin])
            except KeyboardInterrupt:  # outside of what pytest itself guards
                self.report.interrupted = True
            self.junit = memory.read()
        self.report.seconds = time.monotonic() - started
        self._conclude(plugin, int(code))
        self.terminal.finish()
        return self.report.exit_status()

    def _paths(self) -> list[str]:
        files = sorted({scenario.file for scenario in self.report.selected})
        outside = scenario_files(self.run.request.patterns or (), Path(self.run.request.cwd))
        return files if len(files) <= _FEW else [str(scenarios_dir()), *self.run.request.directories, *map(str, outside)]

    def _conclude(self, plugin: _RunPlugin, code: int) -> None:
        """Account for a run that did not come to its regular end."""
        if code == pytest.ExitCode.USAGE_ERROR:
            raise UsageError("pytest does not take what follows '--'", hint="see what it says above")
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise UsageError("no scenario is left to run", hint="loosen what follows '--'")
        if plugin.collected is not None:
            self.report.selected = [s for s in self.report.selected if s.id in plugin.collected]
        if plugin.stopped_early:
            done = {result.id for result in self.report.results() if result.reason != "not run"}
            self.report.selected = [s for s in self.report.selected if s.id in done]
        if code == pytest.ExitCode.INTERNAL_ERROR and not self.report.trouble:
            self.report.trouble.append("pytest failed; see what it says above")


_ARGUMENTS = (
    "-c",
    os.devnull,
    "--noconftest",
    "--capture=no",
    "-p",
    "no:cacheprovider",
    "-p",
    "xdist",
    "-p",
    "conformance.plugin",
)


@contextmanager
def _environment() -> Iterator[None]:
    """Keep pytest, here and in the workers, from plugins and options that are meant for other test suites."""
    before = {name: os.environ.pop(name, None) for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let a polite request to end do what ctrl-C does: report, clean up, leave."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _RunPlugin:
    """Collects what pytest reports, in the process that the user started."""

    def __init__(self, pytest_run: PytestRun, *, brief: bool, partial: bool) -> None:
        self.__name__ = RUN_PLUGIN  # the name pytest registers it under, by which the session finds it
        self.run = run = pytest_run.run
        self.brief = brief
        self.partial = partial
        """pytest's own arguments may take scenarios out of the selection."""
        self.collected: set[str] | None = None
        self.stopped_early = False
        self._report = pytest_run.report
        self._terminal = pytest_run.terminal
        self._is_image = run.request.image is not None
        self._by_item = {(s.file, item_name(run.contract, s)): s.id for s in run.selected}

    def _id(self, node_id: str) -> str | None:
        file, _, item = node_id.partition("::")
        return self._by_item.get((str((data_root() / file).resolve()), item))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what was collected, where there are no workers."""
        if self.partial and session.items:
            self.collected = {id_ for item in session.items if (id_ := self._id(item.nodeid))}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """Note what a worker has collected."""
        if self.partial:
            self.collected = {id_ for node_id in ids if (id_ := self._id(node_id))}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        """Pass on that a worker does not take its arguments: some, such as those of -k, only workers look at."""
        if getattr(node, "workeroutput", {}).get("exitstatus") == pytest.ExitCode.USAGE_ERROR:
            raise pytest.UsageError("the workers do not take an argument, such as an expression after -k or -m")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that could not be collected."""
        if report.failed:
            self._report.trouble.append(f"{report.nodeid}: {report.longreprtext.strip()}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the result of a scenario."""
        fields = getattr(report, "conformance", None)
        if fields is not None:
            self._report.add(msgspec.convert(fields, ScenarioResult))
            self._terminal.step()
        elif report.failed and (id_ := self._id(report.nodeid)):
            lines = [line for line in report.longreprtext.splitlines() if line.strip()] or ["the worker was lost"]
            self._report.broke(id_, lines[-1])

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        """Note that the user wants to stop."""
        # Derived types are how pytest and xdist stop early by themselves, such as for -x.
        self._report.interrupted = type(excinfo.value) is KeyboardInterrupt
        if self._report.interrupted:
            self._terminal.interrupt()
            # pytest takes more than a second to lay out a traceback that says nothing to anybody.
            excinfo.traceback = excinfo.traceback[-1:]

    def pytest_internalerror(self, excrepr: Any) -> None:
        """Note a failure of pytest, or of ours."""
        self._report.trouble.append(str(excrepr).strip().rpartition("\n")[2])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Note whether ``-x`` or ``--maxfail`` ended the run; look for what all deviations have in common."""
        self.stopped_early = bool(session.shouldfail)
        if self._is_image and not self._report.interrupted and not self._report.trouble:
            left_out = self._report.leave_out(SILENT)
            diagnosis = diagnose(self._report.reported(), self.run.contract, self._report.selected, self.run.code_without_mode)
            some = "1 scenario was" if left_out == 1 else f"{left_out} scenarios were"
            said = f"{some} left out" if left_out else ""
            self._report.diagnosis = "; ".join(filter(None, (diagnosis, said)))
