"""What is left of a run that was ended from outside: a report where that is possible, no process, no home."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from factories import wait_for
from support import start

import conformance

PACKAGE_ROOT = Path(conformance.__file__).parents[1]
TIMEOUT = 300
#: After so many seconds nothing of a run that was killed may be alive.
GONE = 20
#: Answers where no agent is named; else it ignores polite signals, starts two that do as well, one of them in a session
#: of its own, says who they are, and waits.
STUBBORN = """#!/bin/sh
[ -n "$WOVED_TASK_AGENT" ] || exit 64
trap '' HUP INT TERM
sleep 600 & beside=$!
setsid sleep 600 & away=$!
echo $$ $beside $away >> "$WAITING"
sleep 600
"""
#: Ten, so that the first to be judged shows as progress. The first is answered, the last is started before all others.
IDS = [
    "agent/env-missing",
    "claude/baseline-claude-md-only",
    "claude/baseline-config-toml-only",
    "claude/baseline-only",
    "claude/baseline-settings-json-only",
    "claude/near-baseline-claude-md",
    "claude/near-baseline-config",
    "claude/near-baseline-settings",
    "claude/nested-session",
    "cli/hangs",
]


def environment() -> dict[str, str]:
    """Return our environment, in which the package is found from any directory, and nothing that lies in that one."""
    plain = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    return {**os.environ, "PYTHONPATH": os.fspath(PACKAGE_ROOT), "PYTHONSAFEPATH": "1", **plain}


def runs() -> list[str]:
    """Return what lies where runs have their directories."""
    return sorted(
        path.name
        for path in Path(os.environ["XDG_CACHE_HOME"], "probe-conformance", "runs").glob("*")
    )


class Suite:
    """A run under way in *directory*, with probes that wait for ever."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        self.waiting = directory / "waiting"
        self.out = directory / "out"
        probe = directory / "probe.sh"
        probe.write_text(STUBBORN)
        probe.chmod(0o755)
        words = [
            word.replace("PROBE", str(probe)).replace("WAITING", f"WAITING={self.waiting}")
            for word in arguments
        ]
        with self.out.open("wb") as out:
            self.main = start(
                [sys.executable, "-m", *words],
                cwd=directory,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def probes(self) -> list[list[int]]:
        """Return the processes of each probe that waits."""
        return (
            [list(map(int, line.split())) for line in self.waiting.read_text().splitlines()]
            if self.waiting.exists()
            else []
        )

    def alive(self) -> list[str]:
        """Return the commands of all processes that have to do with this run: by their words, variables or open files."""
        marks = tuple(
            os.fsencode(place) for place in (self.directory, os.environ["XDG_CACHE_HOME"])
        )
        pids = [
            int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()
        ]
        return [
            words
            for pid in pids
            for found, words in [_traces(pid)]
            if any(mark in found for mark in marks)
        ]

    def signal(self, number: int, *, group: bool) -> None:
        (os.killpg if group else os.kill)(self.main.pid, number)

    def end(self) -> None:
        """End it whatever state it is in."""
        if self.main.poll() is None:
            self.main.kill()
        self.main.wait(TIMEOUT)
        wait_for(
            lambda: not self.alive(), f"end of all processes, such as {self.alive()[:1]},", GONE
        )


def _traces(pid: int) -> tuple[bytes, str]:
    """Return where a process may show what it belongs to, and its command; of one that has ended, nothing."""
    place, found = Path("/proc", str(pid)), [b""]
    try:
        command = (place / "cmdline").read_bytes()
        found += [
            command,
            (place / "environ").read_bytes(),
            os.fsencode((place / "cwd").readlink()),
        ]
        found += [os.fsencode(file.readlink()) for file in (place / "fd").iterdir()]
    except OSError:
        command = found[-1] if len(found) == 1 else found[1]  # it is somebody else's, or has ended
    return b"\0".join(found), command.replace(b"\0", b" ").decode(errors="backslashreplace")


@pytest.fixture
def start_suite(tmp_path: Path) -> Iterator[Callable[..., Suite]]:
    """Start the suite with so many workers; return it when one scenario has been judged and all else waits."""
    started: list[Suite] = []

    def start_run(workers: int, *arguments: str) -> Suite:
        words = [
            "--env",
            "WAITING",
            "--probe",
            "PROBE",
            "--json",
            "report.json",
            "-n",
            str(workers),
        ]
        suite = Suite(tmp_path, "conformance", "run", *IDS, *words, *arguments)
        started.append(suite)
        # One for each process that runs scenarios, and the one that was started before all others.
        wait_for(lambda: len(suite.probes()) == max(workers, 1) + 1, "probes that wait")
        wait_for(
            lambda: re.search(r"^  1 of 10$", suite.out.read_text(), re.MULTILINE), "first result"
        )
        assert len(suite.alive()) >= 3 * (max(workers, 1) + 1) + 2
        return suite

    yield start_run
    for suite in started:
        suite.end()


def sent_interrupted(directory: Path) -> dict[str, dict[str, Any]]:
    """Make sure that the JSON report in *directory* is that of an interrupted run; return its rows by their ids."""
    report = json.loads((directory / "report.json").read_text())
    rows = {row["id"]: row for row in report["scenarios"]}
    assert (report["exit_status"], report["interrupted"], report["conformant"]) == (
        130,
        True,
        False,
    )
    assert list(rows) == IDS
    assert {kind: count for kind, count in report["counts"].items() if count} == {
        "conforms": 1,
        "broke": 9,
    }
    return rows


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
# A terminal sends its signal to all processes of the run, others to the one that they have started.
@pytest.mark.parametrize(("name", "group"), [("SIGINT", True), ("SIGTERM", False)])
def test_an_interrupted_run_reports_and_leaves_nothing(
    tmp_path: Path, start_suite: Callable[..., Suite], name: str, group: bool, workers: int
) -> None:
    suite = start_suite(workers)
    assert runs() != []

    suite.signal(signal.Signals[name], group=group)

    assert suite.main.wait(TIMEOUT) == 130
    wait_for(lambda: not suite.alive(), "end of all processes", GONE)
    assert runs() == []
    rows = sent_interrupted(tmp_path)
    assert (rows["agent/env-missing"]["code"], rows["agent/env-missing"]["result"]) == (
        64,
        "conforms",
    )
    assert {rows[id_]["reason"] for id_ in IDS[1:]} == {"not run: interrupted"}
    shown = [line for line in suite.out.read_text().splitlines() if line]
    sign = shown.index("interrupted: ending what runs")
    assert shown[sign + 1 : -1] == ["9 not run: interrupted"]
    assert shown[-1].endswith("INTERRUPTED")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_second_interrupt_leaves_nothing(start_suite: Callable[..., Suite], workers: int) -> None:
    """The second interrupt comes while the first one's cleaning up is under way."""
    suite = start_suite(workers)
    first = suite.probes()[0][0]

    suite.signal(signal.SIGINT, group=True)
    wait_for(lambda: not psutil.pid_exists(first), "end of a probe")
    if suite.main.poll() is None:
        suite.signal(signal.SIGINT, group=True)

    assert suite.main.wait(TIMEOUT) == 130
    wait_for(lambda: not suite.alive(), "end of all processes", GONE)
    assert what_the_next_run_leaves(suite) == []


def what_the_next_run_leaves(suite: Suite) -> list[str]:
    """Run one scenario; return what lies where runs have their directories."""
    words = [sys.executable, "-m", "conformance", "run", "claude/baseline-only", "-n", "0"]
    subprocess.run(
        words,
        cwd=suite.directory,
        env=environment(),
        stdout=subprocess.DEVNULL,
        timeout=TIMEOUT,
        check=True,
    )
    return runs()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_leaves_no_process_and_the_next_run_removes_its_homes(
    start_suite: Callable[..., Suite], workers: int
) -> None:
    suite = start_suite(workers)

    suite.main.kill()

    assert suite.main.wait(TIMEOUT) == -signal.SIGKILL
    wait_for(lambda: not suite.alive(), "end of all processes", GONE)
    assert runs() != []
    assert what_the_next_run_leaves(suite) == []


@pytest.mark.slow
def test_the_run_after_a_killed_one_that_kept_homes_removes_the_rest(
    tmp_path: Path, start_suite: Callable[..., Suite]
) -> None:
    """Such a run has its directory among the homes that it keeps."""
    suite = start_suite(0, "--keep", "kept")
    kept = tmp_path / "kept"
    suite.main.kill()
    suite.main.wait(TIMEOUT)
    wait_for(lambda: not suite.alive(), "end of all processes", GONE)
    assert [path.suffix for path in sorted(kept.iterdir())] == ["", ".lock"]

    words = [
        "run",
        "claude/nested-session",
        "-n",
        "0",
        "--probe",
        "sh -c 'exit 65'",
        "--keep",
        "kept",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *words],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, b"")
    assert [path.name for path in kept.iterdir()] == ["claude"]


@pytest.mark.slow
def test_a_run_does_not_touch_another_one_under_way(start_suite: Callable[..., Suite]) -> None:
    suite = start_suite(0)
    before = runs()

    assert what_the_next_run_leaves(suite) == before
    assert all(psutil.pid_exists(pid) for probe in suite.probes() for pid in probe)


@pytest.mark.slow
def test_a_killed_worker_leaves_no_process(start_suite: Callable[..., Suite]) -> None:
    suite = start_suite(2)
    lost = suite.probes()
    parents = {tuple(probe): psutil.Process(probe[0]).parents() for probe in lost}
    workers = {
        probe: next(process for process in above if process.ppid() == suite.main.pid)
        for probe, above in parents.items()
    }
    probe, worker = next(
        (probe, worker)
        for probe, worker in workers.items()
        if "supervisor.py" not in " ".join(worker.cmdline())
    )

    worker.kill()

    wait_for(
        lambda: not any(psutil.pid_exists(pid) for pid in probe),
        "end of the lost worker's probe",
        GONE,
    )
    # Another one takes its place and goes on with the next scenario.
    wait_for(lambda: len(suite.probes()) > len(lost), "next probe")
    suite.signal(signal.SIGINT, group=True)
    assert suite.main.wait(TIMEOUT) == 130
    wait_for(lambda: not suite.alive(), "end of all processes", GONE)
    assert runs() == []


@pytest.mark.slow
def test_an_interrupted_repro_ends_its_probe(tmp_path: Path) -> None:
    suite = Suite(
        tmp_path,
        "conformance",
        "repro",
        "claude/nested-session",
        "--env",
        "WAITING",
        "--probe",
        "PROBE",
    )
    try:
        wait_for(suite.probes, "probe that waits")
        suite.signal(signal.SIGINT, group=True)

        assert suite.main.wait(TIMEOUT) == 130
        wait_for(lambda: not suite.alive(), "end of all processes", GONE)
        assert suite.out.read_text().strip() == ""
    finally:
        suite.end()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_plain_pytest_that_is_ended_leaves_no_process(
    tmp_path: Path, name: str, workers: str
) -> None:
    scenarios = tmp_path / "scenarios" / "mine"
    scenarios.mkdir(parents=True)
    for number in range(3):
        (scenarios / f"waits-{number}.toml").write_text(
            'summary = "A probe that waits"\norigin = "this test"\nagent = "claude"\ncontrol = "claude/nested-session"\n'
            '[expect]\nslot = "creds-missing"\n'
        )
    words = [
        "-n",
        workers,
        "--conformance-env",
        "WAITING",
        "--conformance-probe",
        "PROBE",
        "scenarios",
    ]
    plugins = ["-p", "xdist", "-p", "pytest_probe_conformance", "-p", "no:cacheprovider"]
    suite = Suite(tmp_path, "pytest", *plugins, *words)
    try:
        wait_for(lambda: len(suite.probes()) == max(int(workers), 1), "probes that wait")
        suite.signal(signal.Signals[name], group=name == "SIGINT")

        assert (
            suite.main.wait(TIMEOUT)
            == {"SIGINT": pytest.ExitCode.INTERRUPTED, "SIGKILL": -signal.SIGKILL}[name]
        )
        wait_for(lambda: not suite.alive(), "end of all processes", GONE)
        assert bool(runs()) == (name == "SIGKILL")
        assert what_the_next_run_leaves(suite) == []
    finally:
        suite.end()
