"""What ``run`` ends with, and that the JSON report says the same: in one process, and under xdist."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from factories import program, wait_for
from support import start
from support_cli import environment, suite
from support_commands import shell

#: One process, and more workers than there are scenarios.
WORKERS = ["0", pytest.param("2", marks=pytest.mark.slow)]
TIMEOUT = 300
PAIR = ["claude/baseline-only", "claude/nested-session"]
#: Answers at once where FREE can be made a directory, which only one probe can; the others say who they are, and wait.
ONE_ANSWERS = """#!/bin/sh
mkdir "$FREE" 2>/dev/null && exit 65
echo $$ >> "$WAITING"
while ! [ -e "$GO" ]; do sleep 0.05; done
exit 65
"""


def run(
    directory: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run the suite in *directory*; return how it ended, and its JSON report, empty where it wrote none."""
    file = directory / "report.json"
    done = suite(
        directory, "run", "--json", file.name, *arguments, errors="backslashreplace", env=env
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done, json.loads(file.read_text()) if file.exists() else {}


def results(report: Mapping[str, Any]) -> dict[str, str]:
    return {row["id"]: row["result"] for row in report["scenarios"]}


def verdict(report: Mapping[str, Any]) -> tuple[int, bool, dict[str, int]]:
    """Return what a report says of a run as a whole: exit status, conformant, and the counts that are not 0."""
    return (
        report["exit_status"],
        report["conformant"],
        {kind: count for kind, count in report["counts"].items() if count},
    )


class Waiting:
    """A run under way: one scenario is over, the probes of others wait."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        self.report = directory / "report.json"
        probe = program(directory / "probe.sh", ONE_ANSWERS)
        places = {name: directory / name.lower() for name in ("FREE", "WAITING", "GO")}
        self.waiting, self.go = places["WAITING"], places["GO"]
        words = [word for name, place in places.items() for word in ("--env", f"{name}={place}")]
        self.main = start(
            [
                sys.executable,
                "-m",
                "conformance",
                "run",
                *arguments,
                *words,
                "--probe",
                str(probe),
                "--json",
                str(self.report),
            ],
            cwd=directory,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            wait_for(self.probes, "probe that waits")
        except BaseException:
            self.end()
            raise

    def probes(self) -> list[int]:
        """Return the probes that have started to wait."""
        return (
            [int(line) for line in self.waiting.read_text().splitlines()]
            if self.waiting.exists()
            else []
        )

    def child_of_main_above(self, pid: int) -> psutil.Process:
        """Return the process that the main one started and that *pid* stems from: a worker, or the supervisor."""
        parents = psutil.Process(pid).parents()
        return next(process for process in parents if process.ppid() == self.main.pid)

    def finish(self) -> tuple[int, dict[str, Any]]:
        """Let the probes answer; return the exit status and the JSON report."""
        self.go.touch()
        printed = self.main.communicate(timeout=TIMEOUT)[0]
        assert self.report.exists(), f"no report, status {self.main.returncode}: {printed}"
        return self.main.returncode, json.loads(self.report.read_text())

    def end(self) -> None:
        """End it whatever state it is in."""
        self.go.touch()
        if self.main.poll() is None:
            self.main.kill()
        self.main.communicate(timeout=TIMEOUT)


@pytest.fixture
def unbuildable(tmp_path: Path) -> list[str]:
    """Arguments that select a scenario whose home cannot be built: two of its entries come out alike."""
    file = tmp_path / "own" / "twice" / "unbuildable.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        'summary = "Two entries come out at one path"\norigin = "this test"\nagent = "claude"\ncontrol = "claude/baseline-only"\n'
        '[expect]\nslot = "ready"\n[home.files]\n"file-{n}" = { text = "many", count = 2 }\n"file-2" = "one"\n'
    )
    return ["--scenarios", "own", "twice/unbuildable"]


@pytest.mark.parametrize("workers", WORKERS)
class TestUnderAnyNumberOfWorkers:
    def test_status_0_when_every_scenario_conforms(self, tmp_path: Path, workers: str) -> None:
        done, report = run(tmp_path, *PAIR, "-n", workers)

        assert (done.returncode, done.stderr) == (0, "")
        assert verdict(report) == (0, True, {"conforms": 2})
        assert results(report) == dict.fromkeys(PAIR, "conforms")

    def test_status_1_when_one_scenario_deviates(self, tmp_path: Path, workers: str) -> None:
        done, report = run(tmp_path, *PAIR, "-n", workers, "--probe", "sh -c 'exit 65'")

        assert done.returncode == 1
        assert verdict(report) == (1, False, {"conforms": 1, "deviates": 1})
        assert results(report) == {
            "claude/baseline-only": "conforms",
            "claude/nested-session": "deviates",
        }

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["claude/no-such-scenario"], "no scenario 'claude/no-such-scenario'"),
            (["--probe", "./no-such-probe"], "no probe './no-such-probe'"),
            (["--no-such-option"], "No such option '--no-such-option'"),
            (["--contract", "preflight", "agent/env-empty"], "not part of contract 'preflight'"),
            ([*PAIR, "--", "-k", "no_such_scenario"], "no scenario is left to run"),
            ([*PAIR, "--", "-k", "("], "pytest does not take what follows '--'"),
        ],
    )
    @pytest.mark.slow
    def test_status_2_and_no_report_when_the_request_is_wrong(
        self, tmp_path: Path, workers: str, arguments: list[str], words: str
    ) -> None:
        done, report = run(tmp_path, "-n", workers, *arguments)

        assert (done.returncode, report) == (2, {})
        assert words in done.stderr.splitlines()[-1]
        assert "INTERNALERROR" not in done.stdout + done.stderr

    def test_status_3_outranks_a_deviation(
        self, tmp_path: Path, workers: str, unbuildable: list[str]
    ) -> None:
        done, report = run(
            tmp_path, *unbuildable, *PAIR, "-n", workers, "--probe", "sh -c 'exit 65'"
        )

        assert done.returncode == 3
        assert verdict(report) == (3, False, {"conforms": 1, "deviates": 1, "broke": 1})

    @pytest.mark.slow
    def test_status_3_when_the_disk_takes_no_home(self, tmp_path: Path, workers: str) -> None:
        """A limit on the size of files stands for a disk that is full."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        words = [
            sys.executable,
            "-m",
            "conformance",
            "run",
            "codex/large",
            "codex/api-key",
            "-n",
            workers,
            "--json",
            "report.json",
        ]
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.DEVNULL,
            timeout=TIMEOUT,
            check=False,
            preexec_fn=limit,
        )
        report = json.loads((tmp_path / "report.json").read_text())

        assert done.returncode == 3
        assert verdict(report) == (3, False, {"conforms": 1, "broke": 1})
        assert results(report)["codex/large"] == "broke"

    @pytest.mark.slow
    def test_status_3_when_the_supervisor_is_killed(self, tmp_path: Path, workers: str) -> None:
        """The process between the suite and its probes is ended from outside, as the kernel does when memory runs out."""
        suite = Waiting(tmp_path, "claude/*only", "-n", workers)
        try:
            probe = psutil.Process(suite.probes()[0])
            # It forks for each probe; what it was itself is the topmost.
            supervisor = [
                parent
                for parent in probe.parents()
                if "supervisor.py" in " ".join(parent.cmdline())
            ][-1]
            supervisor.kill()
            wait_for(lambda: not probe.is_running(), "end of the probe", 20)
            status, report = suite.finish()
        finally:
            suite.end()

        assert status == 3
        assert (report["exit_status"], report["conformant"]) == (3, False)
        assert all(row["reason"] for row in report["scenarios"] if row["result"] == "broke")
        assert report["counts"]["broke"] > 0
        assert len(report["scenarios"]) == sum(report["counts"].values())

    def test_status_130_when_interrupted(self, tmp_path: Path, workers: str) -> None:
        suite = Waiting(tmp_path, "claude/*only", "-n", workers)
        try:
            os.killpg(suite.main.pid, signal.SIGINT)
            status, report = suite.finish()
        finally:
            suite.end()

        assert status == 130
        assert (report["exit_status"], report["conformant"], report["interrupted"]) == (
            130,
            False,
            True,
        )
        assert {row["reason"] for row in report["scenarios"] if row["result"] == "broke"} == {
            "not run: interrupted"
        }


def far_down(directory: Path) -> dict[str, str]:
    """Return an environment with a cache directory so far down that 200 levels more are no path any longer."""
    cache = directory
    while (room := 3_800 - len(str(cache))) > 0:
        cache /= "c" * min(room, 250)
    cache.mkdir(parents=True)
    return environment(XDG_CACHE_HOME=str(cache))


@pytest.mark.slow
def test_status_3_when_a_home_cannot_be_built_whatever_else_conforms(
    tmp_path: Path, unbuildable: list[str]
) -> None:
    done, report = run(tmp_path, *unbuildable, *PAIR, "-n", "0")

    assert done.returncode == 3
    assert verdict(report) == (3, False, {"conforms": 2, "broke": 1})
    broken = next(row for row in report["scenarios"] if row["id"] == "twice/unbuildable")
    assert (broken["result"], broken["code"], broken["findings"]) == ("broke", None, [])
    assert "two entries make" in broken["reason"]


@pytest.mark.slow
def test_status_3_when_a_home_cannot_be_removed(tmp_path: Path) -> None:
    """The probe shuts the directory that its home lies in."""
    probe = program(tmp_path / "shuts.sh", '#!/bin/sh\nchmod 0555 "$HOME/../.."\nexit 0\n')
    limits: list[str] = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip(
                "root passes over the modes of directories, and there is no setpriv to stop it"
            )
        dropped = "-dac_override,-dac_read_search,-fowner"
        limits = ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"]
    file = tmp_path / "report.json"
    words = [
        sys.executable,
        "-m",
        "conformance",
        "run",
        "claude/nested-session",
        "-n",
        "0",
        "--probe",
        str(probe),
    ]
    done = subprocess.run(
        [*limits, *words, "--json", str(file)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    report = json.loads(file.read_text())

    assert done.returncode == 3
    assert verdict(report) == (3, False, {"broke": 1})
    assert report["scenarios"][0]["reason"].startswith("the home cannot be removed")


@pytest.mark.slow
def test_unsupported_scenarios_do_not_fail_a_run_that_has_a_conforming_one(tmp_path: Path) -> None:
    done, report = run(
        tmp_path, "claude/artifact-deep-down", *PAIR, "-n", "0", env=far_down(tmp_path)
    )

    assert done.returncode == 0
    assert verdict(report) == (0, True, {"conforms": 2, "unsupported": 1})
    assert "File name too long" in report["scenarios"][0]["reason"]


def test_status_3_when_all_that_was_selected_is_unsupported(tmp_path: Path) -> None:
    done, report = run(tmp_path, "claude/artifact-deep-down", "-n", "0", env=far_down(tmp_path))

    assert done.returncode == 3
    assert verdict(report) == (3, False, {"unsupported": 1})


@pytest.mark.slow
def test_a_killed_worker_costs_one_scenario_its_result_and_the_run_its_status(
    tmp_path: Path,
) -> None:
    suite = Waiting(tmp_path, "claude/*only", "-n", "2")
    try:
        probe = psutil.Process(suite.probes()[0])
        worker = suite.child_of_main_above(probe.pid)
        assert "supervisor" not in " ".join(worker.cmdline())
        worker.kill()
        wait_for(lambda: not probe.is_running(), "end of the lost worker's probe", 20)
        status, report = suite.finish()
    finally:
        suite.end()
    listed = subprocess.run(
        [sys.executable, "-m", "conformance", "list", "--json", "claude/*only"],
        env=environment(),
        stdout=subprocess.PIPE,
        timeout=TIMEOUT,
        check=True,
    )

    assert status == 3
    assert verdict(report)[:2] == (3, False)
    assert [row["id"] for row in report["scenarios"]] == [
        row["id"] for row in json.loads(listed.stdout)
    ]
    broken = [row for row in report["scenarios"] if row["result"] == "broke"]
    assert len(broken) == 1
    assert "crashed" in broken[0]["reason"]


def test_status_3_in_one_line_when_there_is_no_place_for_homes(tmp_path: Path) -> None:
    cache = Path(os.environ["XDG_CACHE_HOME"])
    (cache / "probe-conformance").mkdir(parents=True)
    (cache / "probe-conformance" / "runs").touch()

    done, report = run(tmp_path, *PAIR)

    assert (done.returncode, done.stdout, report) == (3, "", {})
    assert done.stderr.splitlines() == [
        f"probe-conformance: cannot write to {cache}/probe-conformance/runs: File exists; make room, or set XDG_CACHE_HOME"
    ]


@pytest.mark.slow
def test_a_cache_directory_that_cannot_be_written_is_no_failure_where_another_can(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()

    done, report = run(tmp_path, *PAIR, env=environment(XDG_CACHE_HOME=str(tmp_path / "file")))

    assert (done.returncode, report["exit_status"]) == (0, 0)


@pytest.mark.parametrize("workers", WORKERS)
def test_pytests_own_stop_at_the_first_failure_is_a_deviation_and_no_interrupt(
    tmp_path: Path, workers: str
) -> None:
    done, report = run(
        tmp_path, "claude/near-*", "-n", workers, "--probe", "sh -c 'exit 65'", "--", "-x"
    )

    assert done.returncode == 1
    assert (report["exit_status"], report["conformant"], report["interrupted"]) == (1, False, False)
    assert set(results(report).values()) == {"deviates"}


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.slow
def test_undecodable_names_do_not_change_the_status(tmp_path: Path, workers: str) -> None:
    """A probe that writes such a name into its home is judged like any other, also where results travel."""
    probe = program(
        tmp_path / "writes.sh",
        "#!/bin/sh\n: > \"$HOME/$(printf 'odd\\377\\033\\nname')\"\nexit 0\n",
    )

    done, report = run(
        tmp_path, "claude/nested-session", "cli/slow", "-n", workers, "--probe", str(probe)
    )

    assert done.returncode == 1
    kinds = {
        row["id"]: [finding["kind"] for finding in row["findings"]] for row in report["scenarios"]
    }
    assert kinds == {"claude/nested-session": ["changed-home"], "cli/slow": ["changed-home"]}


@pytest.mark.parametrize(
    ("where", "workers", "more"),
    [
        pytest.param("gone", "0", [], marks=pytest.mark.slow),
        ("full", "0", ["--", "-v"]),
        pytest.param("full", "2", ["--", "-v"], marks=pytest.mark.slow),
    ],
    ids=["gone", "full-with-words-for-pytest", "full-with-workers"],
)
@pytest.mark.slow
def test_an_unread_summary_changes_neither_status_nor_report(
    tmp_path: Path, workers: str, where: str, more: list[str]
) -> None:
    """As in ``probe-conformance run | head``."""
    words = [
        sys.executable,
        "-m",
        "conformance",
        "run",
        *PAIR,
        "-n",
        workers,
        "--json",
        "report.json",
        *more,
    ]
    if where == "full":
        out = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, out = os.pipe()
        os.close(reader)

    done = subprocess.run(
        words,
        cwd=tmp_path,
        env=environment(),
        stdout=out,
        stderr=subprocess.PIPE,
        timeout=TIMEOUT,
        check=False,
    )
    os.close(out)

    assert (done.returncode, done.stderr) == (0, b"")
    assert verdict(json.loads((tmp_path / "report.json").read_text())) == (0, True, {"conforms": 2})


@pytest.mark.slow
def test_status_3_when_the_report_cannot_be_written(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "conformance", "run", *PAIR, "-n", "0", "--json", "-"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
            check=False,
        )

    assert done.returncode == 3
    last = done.stderr.decode().splitlines()[-1]
    assert (
        last
        == "probe-conformance: the report cannot be written to standard output: No space left on device"
    )


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("lost", ["--junit", "--json"])
@pytest.mark.slow
def test_a_report_that_cannot_be_written_takes_no_other_with_it(
    tmp_path: Path, lost: str, workers: str
) -> None:
    kept = {"--junit": "--json", "--json": "--junit"}[lost]
    reports = [kept, "kept", lost, "/proc/no-such-report", "--write-known-failures", "known.toml"]

    done = suite(tmp_path, "run", *PAIR, "-n", workers, "--probe", "sh -c 'exit 65'", *reports)

    line = "probe-conformance: /proc/no-such-report cannot be written: No such file or directory\n"
    assert (done.returncode, done.stderr) == (3, line)
    assert (tmp_path / "kept").read_text().startswith({"--json": "{", "--junit": "<?xml"}[kept])
    assert '"claude/nested-session"' in (tmp_path / "known.toml").read_text()


@pytest.mark.slow
def test_every_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = suite(
        tmp_path, "run", *PAIR, "-n", "0", "--json", "/proc/no-json", "--junit", "/proc/no-xml"
    )

    assert done.returncode == 3
    assert done.stderr == (
        "probe-conformance: /proc/no-json cannot be written: No such file or directory; "
        "/proc/no-xml cannot be written: No such file or directory\n"
    )


@pytest.mark.parametrize("workers", WORKERS)
def test_an_undecodable_variable_reaches_the_probe(tmp_path: Path, workers: str) -> None:
    """The request travels to workers as well, whatever bytes the user's own environment holds."""
    probe = program(
        tmp_path / "probe.sh",
        '#!/bin/sh\n[ "$ODD" = "$(printf \'odd\\377\')" ] && exit 0\nexit 64\n',
    )
    env = environment(ODD=os.fsdecode(b"odd\xff"))

    done, report = run(
        tmp_path,
        "claude/nested-session",
        "-n",
        workers,
        "--probe",
        str(probe),
        "--pass-env",
        "ODD",
        env=env,
    )

    assert (done.returncode, results(report)) == (0, {"claude/nested-session": "conforms"})


def test_a_probe_in_a_directory_with_an_undecodable_name_runs(tmp_path: Path) -> None:
    """With workers that is beyond execnet, which sends the directory as text."""
    directory = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff"))
    directory.mkdir()
    program(directory / "ready.sh", "#!/bin/sh\nexit 0\n")

    done, report = run(directory, *PAIR, "-n", "0", "--probe", "./ready.sh")

    assert done.returncode == 1
    assert results(report) == {
        "claude/baseline-only": "deviates",
        "claude/nested-session": "conforms",
    }


def test_an_undecodable_path_is_shown_whatever_the_locale(tmp_path: Path) -> None:
    """In most locales, standard output takes nothing but text."""
    directory = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff"))
    directory.mkdir()
    program(directory / "ready.sh", "#!/bin/sh\nexit 0\n")
    words = [sys.executable, "-m", "conformance", "run", "claude/nested-session", "-n", "0"]

    done = subprocess.run(
        [*words, "--probe", "./ready.sh"],
        cwd=directory,
        env=environment(PYTHONIOENCODING="utf-8:strict"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "odd\\udcff/ready.sh" in done.stdout


# Standard streams, and the working directory


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("run claude/nested-session -n0 --json report.json >&-", 0),
        ("run claude/nested-session -n0 --json report.json 2>&-", 0),
        ("run claude/nested-session -n0 --output-format tap --json report.json >&- 2>&-", 3),
        ("run claude/nested-session -n0 --json report.json <&- >&- 2>&-", 0),
    ],
)
def test_closed_streams_change_no_verdict_and_cost_no_report(
    tmp_path: Path, line: str, status: int
) -> None:
    done = shell(tmp_path, f"probe-conformance {line}")

    assert (done.returncode, done.stderr.count("Traceback")) == (status, 0), done.stderr
    assert json.loads((tmp_path / "report.json").read_text())["exit_status"] == 0


@pytest.mark.parametrize(
    "command", ["list", "rule", "schema", "--help", "show claude/nested-session"]
)
def test_a_full_standard_output_is_one_line(tmp_path: Path, command: str) -> None:
    done = shell(tmp_path, f"probe-conformance {command} > /dev/full")

    assert (done.returncode, done.stderr) == (
        3,
        "probe-conformance: standard output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize("command", ["list", "run", "judge home --agent claude"])
def test_a_working_directory_that_is_gone_is_one_line(tmp_path: Path, command: str) -> None:
    (tmp_path / "gone").mkdir()

    done = shell(tmp_path, f"cd gone && rmdir ../gone && probe-conformance {command}")

    assert (done.returncode, done.stdout) == (2, "")
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("sh: ")]
    assert line == "probe-conformance: the working directory is gone; go to another one"
