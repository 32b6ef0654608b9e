"""Run pytest for ``probe-conformance run``, from an open run to a report and an exit status."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

import msgspec
import pytest

from conformance.bundled import data_root, scenarios_dir
from conformance.errors import UsageError
from conformance.model.outcome import ScenarioResult
from conformance.report.evidence import Hint
from conformance.report.stream import Stream
from conformance.report.terminal import Quiet, Summary, Terminal
from conformance.report.view import View
from conformance.run import RUN_PLUGIN
from conformance.run.assembly import Run
from conformance.run.causes_in import add_causes
from conformance.run.conclusion import find_hints, new_report
from conformance.run.items import item_name

__all__ = ["PytestRun", "sigterm_interrupts", "worker_count"]

#: A worker with fewer scenarios than this costs more to start than it saves.
_WORTH_A_WORKER = 8
#: Up to this many files, pytest is faster with their names than with the directories.
_FEW = 20


def worker_count(wanted: str, scenarios: int, machines: int = 1) -> int:
    """Return how many workers to start; 0 runs everything in this process.

    Each of the *machines* that run containers gets as many as there are processors here.

    :raises UsageError: *wanted* is neither a number nor ``auto``.
    """
    if wanted == "auto":
        workers = min(len(os.sched_getaffinity(0)) * machines, scenarios // _WORTH_A_WORKER)
        return workers if workers > 1 else 0
    if not wanted.isdecimal() or int(wanted) > 256:
        cause = f"--workers '{wanted}' is not a number of workers"
        raise UsageError(cause, hint="give 0 to 256, or auto")
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
        summary: Summary = "first screen",
    ) -> None:
        """Prepare the report and the view.

        *repro* is the command that repeats a scenario. *files* are those outside the catalogue that
        it may need: as they were typed, by their real paths.
        """
        self.run = run
        self.report = new_report(run, repro=repro, files=files)
        self._stream = cast(TextIO, Stream(sys.stderr if to_stderr else sys.stdout))
        self.terminal = View(self._stream, self.report)
        if summary == "quiet":
            self.terminal = Quiet(self._stream, self.report)
        elif summary != "none":
            all_of_it = summary == "all"
            known = run.catalogue.scenarios
            self.terminal = Terminal(self._stream, self.report, known, all_of_it=all_of_it)

    def execute(
        self, workers: int, *, exitfirst: bool = False, pytest_args: Sequence[str] = ()
    ) -> int:
        """Run with *workers* processes, write the summary, and return the exit status.

        With *exitfirst*, the first scenario that deviates or breaks ends the run.
        """
        started = time.monotonic()
        # pytest's own arguments need its usual reports.
        plugin = _RunPlugin(self, brief=not pytest_args, partial=bool(pytest_args))
        arguments = [*_ARGUMENTS, "--confcutdir", str(data_root())]
        arguments += ["-n", str(workers)] if workers else []
        if workers and self.run.engines > 1:
            arguments += ["--dist", "worksteal"]  # a slow engine is not waited for in the end
        arguments += ["--exitfirst"] if exitfirst else []
        with _environment(), sigterm_interrupts(), ExitStack() as stack:
            # pytest's output would mix with ours, so only those who give it arguments see it.
            output = self._stream
            if not pytest_args:
                output = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(redirect_stdout(output))
            self.terminal.start(workers)
            code: int = pytest.ExitCode.INTERRUPTED
            try:
                code = pytest.main([*arguments, *pytest_args, *self._paths()], plugins=[plugin])
            except KeyboardInterrupt:  # outside the part that pytest guards itself
                self.report.interrupted = True
        self.report.seconds = time.monotonic() - started
        self._conclude(plugin, int(code))
        add_causes(self.report, self.run.catalogue.contracts, plugin.hints)
        self.report.conclude()
        self.terminal.finish()
        return self.report.exit_status()

    def _paths(self) -> list[str]:
        """Return the files and directories that pytest collects."""
        files = sorted({scenario.file for scenario in self.report.selected})
        if len(files) <= _FEW:
            return files
        below = [scenarios_dir(), *map(Path, self.run.request.directories)]
        inside = {directory.resolve() for directory in below}
        outside = [file for file in files if inside.isdisjoint(Path(file).parents)]
        return [*map(str, below), *outside]

    def _select(self, ids: set[str]) -> None:
        """Reduce the report to the scenarios with these *ids*."""
        self.report.selected = [s for s in self.report.selected if s.id in ids]

    def _conclude(self, plugin: _RunPlugin, code: int) -> None:
        """Account for a run that did not end as usual."""
        if code == pytest.ExitCode.USAGE_ERROR:
            cause = "pytest does not take what follows '--'"
            raise UsageError(cause, hint="see what it says above")
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise UsageError("no scenario is left to run", hint="loosen what follows '--'")
        if plugin.collected is not None:
            self._select(plugin.collected)
        if plugin.stopped_early:
            self.report.stop_short()
        if code == pytest.ExitCode.INTERNAL_ERROR and not self.report.trouble:
            self.report.trouble.append("pytest failed; see what it says above")


#: Below it lies every file, so each has a node id of its own; pytest gives none to others.
_ROOT = Path("/")

_ARGUMENTS = (
    "-c",
    os.devnull,
    "--rootdir",
    str(_ROOT),
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
    """Keep plugins and options of other test suites away from pytest, here and in the workers."""
    names = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    before = {name: os.environ.pop(name, None) for name in names}
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
    """Treat SIGTERM like Ctrl-C: report, clean up, exit."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _RunPlugin:
    """Collects what pytest reports, in the process that the user started."""

    def __init__(self, pytest_run: PytestRun, *, brief: bool, partial: bool) -> None:
        # pytest registers the plugin under this name, and the session finds it by the name.
        self.__name__ = RUN_PLUGIN
        self.run = run = pytest_run.run
        self.brief = brief
        self.partial = partial
        """Whether pytest's own arguments may remove scenarios from the selection."""
        self.collected: set[str] | None = None
        self.stopped_early = False
        self.hints: list[Hint] = []
        """What many deviations have in common."""
        self._report = pytest_run.report
        self._terminal = pytest_run.terminal
        self._by_item = {(s.file, item_name(run.contract, s)): s.id for s in run.selected}

    def _id(self, node_id: str) -> str | None:
        file, _, item = node_id.partition("::")
        return self._by_item.get((str((_ROOT / file).resolve()), item))

    def _collect(self, node_ids: Iterable[str]) -> None:
        """Record which scenarios are left; one that cannot be told from its node id is trouble."""
        found = {node_id: self._id(node_id) for node_id in node_ids}
        self.collected = {id_ for id_ in found.values() if id_}
        self._report.trouble += [
            f"{one} is none of the scenarios" for one in found if not found[one]
        ]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record what was collected, in a run without workers."""
        if self.partial and session.items:
            self._collect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """Record what a worker has collected."""
        if self.partial and self.collected is None:
            self._collect(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        """Report arguments that a worker does not take; some, such as -k, only workers check."""
        if getattr(node, "workeroutput", {}).get("exitstatus") == pytest.ExitCode.USAGE_ERROR:
            cause = "the workers do not take an argument, such as an expression after -k or -m"
            raise pytest.UsageError(cause)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a file that could not be collected."""
        if report.failed:
            self._report.trouble.append(f"{report.nodeid}: {report.longreprtext.strip()}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the result of a scenario."""
        fields = getattr(report, "conformance", None)
        if fields is not None:
            self._report.add(msgspec.convert(fields, ScenarioResult))
            self._terminal.step()
        elif report.failed:
            id_ = self._id(report.nodeid)
            lines = [line for line in report.longreprtext.splitlines() if line.strip()]
            reason = lines[-1] if lines else "the worker was lost"
            if id_ is not None:
                self._report.broke(id_, reason)
            else:
                self._report.trouble.append(f"{report.nodeid}: {reason}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        """Record that the user wants to stop."""
        # pytest and xdist use derived types to stop early by themselves, such as for -x.
        self._report.interrupted = type(excinfo.value) is KeyboardInterrupt
        if self._report.interrupted:
            self._terminal.interrupt()
            # pytest would take more than a second to format a traceback that helps nobody.
            excinfo.traceback = excinfo.traceback[-1:]

    def pytest_internalerror(self, excrepr: Any) -> None:
        """Record a failure of pytest, or of ours."""
        self._report.trouble.append(str(excrepr).strip().rpartition("\n")[2])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Record whether the run ended early by itself; add what deviations share."""
        self.stopped_early = bool(session.shouldfail)
        if self._report.interrupted or self._report.trouble:
            return
        self.hints = find_hints(self.run, self._report)
