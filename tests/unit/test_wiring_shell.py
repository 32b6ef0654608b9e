"""What becomes of an exit code in a line for a shell, with a real shell as the witness."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from conformance.wiring.commands import Recogniser, read_command
from conformance.wiring.shell import read_line

#: Lines and what becomes of the code of a probe that fails in them.
LINES = {
    "probe": "kept",
    "exec probe": "kept",
    "exec probe || true": "kept",
    "true && probe": "kept",
    "false || probe": "kept",
    "probe && echo fine": "kept",
    "probe && true || exit": "kept",
    "probe; exit": "kept",
    "probe; exit $?": "kept",
    "probe; code=$?; echo done; exit $code": "kept",
    "probe || code=$?; exit ${code:-0}": "kept",
    "probe\nexit $?": "kept",
    "set -e; probe; echo done": "kept",
    "set -o errexit\nprobe\necho done": "kept",
    "set -e -o pipefail; probe | cat": "kept",
    "probe & wait $!": "kept",
    "probe > /dev/null 2>&1": "kept",
    "echo 'a || true'; probe '|| true' \"; exit 0\"": "kept",
    "probe \\|\\| true": "kept",
    "probe # || true": "kept",
    "probe;": "kept",
    "probe || exit 1": "changed",
    "probe || false": "changed",
    "probe || true": "lost",
    "probe || :": "lost",
    "probe || exit 0": "lost",
    "probe || echo failed >&2": "lost",
    "probe || code=$?": "lost",
    "probe; true": "lost",
    "probe; exit 0": "lost",
    "probe; exit 1": "lost",
    "probe; echo $? > /dev/null": "lost",
    "probe\necho done": "lost",
    "probe; set -e": "lost",
    "probe && echo fine || true": "lost",
    "probe || exit 1 && true; true": "changed",
    "probe | cat": "lost",
    "probe 2>&1 | tee /dev/null": "lost",
    "exec probe | cat": "lost",
    "! probe": "lost",
    "probe &": "lost",
    "probe & echo started": "lost",
    "probe; other": "may-be-lost",
    "probe | other": "may-be-lost",
    "probe | other; exit ${PIPESTATUS[0]}": "kept",
    "probe | cat; code=${PIPESTATUS[0]}; echo done; exit $code": "kept",
    "probe | cat; echo ${PIPESTATUS[0]} >/dev/null": "lost",
    "probe || other": "may-be-lost",
}
#: What is no row of simple commands is not judged.
NOT_JUDGED = [
    "if probe; then exit 0; else exit 1; fi",
    "while ! probe; do sleep 1; done",
    "{ probe; } || true",
    "(probe) || true",
    "x=$(probe) || true",
    "x=`probe` || true",
    "trap 'exit 0' EXIT; probe; true",
    "check() { probe; }; check || true",
    "cat <<X | probe || true\nX\n",
]


def fate(line: str) -> str:
    return read_line(line).fate(lambda words: "probe" in words)[0]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a probe that exits with CODE, and a program that exits with OTHER."""
    directory = tmp_path_factory.mktemp("bin")
    for name, variable in (("probe", "CODE"), ("other", "OTHER")):
        (directory / name).write_text(f"#!/bin/sh\nexit ${variable}\n")
        (directory / name).chmod(0o755)
    return directory


def test_a_shell_does_what_is_said_of_a_line(programs: Path) -> None:
    """Kept: a refusal arrives as it is. Changed: as another number. Lost: it cannot be told from a success."""

    def ends(line: str, code: int, other: int) -> int:
        variables = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CODE": str(code),
            "OTHER": str(other),
        }
        return subprocess.run(
            ["bash", "-c", line],
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        ).returncode

    seen = {}
    for line, said in LINES.items():
        refused, ready = {ends(line, 65, 0)}, {ends(line, 0, 0)}
        if said == "may-be-lost":  # it is up to the other program
            refused.add(ends(line, 65, 7))
        kept = refused == {65} and ready == {0}
        told_apart = 0 not in refused and ready == {0}
        seen[line] = (
            "kept"
            if kept
            else "changed"
            if told_apart
            else "may-be-lost"
            if len(refused) > 1
            else "lost"
        )

    assert seen == LINES


def test_the_fate_of_a_line_is_said_without_running_it() -> None:
    assert {line: fate(line) for line in LINES} == LINES


@pytest.mark.parametrize("line", NOT_JUDGED)
def test_what_is_no_row_of_simple_commands_is_not_judged(line: str) -> None:
    assert fate(line) == "kept"
    assert not read_line(line).simple


def test_options_of_the_shell_itself_count() -> None:
    assert read_line("probe; true", errexit=True).fate(lambda words: "probe" in words)[0] == "kept"
    assert read_line("probe | cat", pipefail=True).fate(lambda words: "probe" in words)[0] == "kept"


def test_the_last_of_several_probes_counts_and_what_decides_is_said() -> None:
    found = read_line("probe || sleep 1; probe || echo failed")

    assert found.fate(lambda words: "probe" in words) == ("lost", "|| echo failed")


@pytest.mark.parametrize(
    ("words", "program", "timeouts", "sets"),
    [
        (["/opt/probe", "-x"], ("/opt/probe", "-x"), (), {}),
        (["timeout", "20", "/opt/probe"], ("/opt/probe",), (20.0,), {}),
        (
            ["timeout", "-s", "KILL", "--kill-after=3", "1.5m", "/opt/probe"],
            ("/opt/probe",),
            (90.0,),
            {},
        ),
        (["busybox", "timeout", "20", "/opt/probe"], ("/opt/probe",), (20.0,), {}),
        (["timeout", "0", "/opt/probe"], ("/opt/probe",), (0.0,), {}),
        (["timeout", "${T}", "/opt/probe"], ("/opt/probe",), (float("inf"),), {}),
        (["timeout"], (), (), {}),
        (["env", "A=b", "C=", "/opt/probe"], ("/opt/probe",), (), {"A": "b", "C": ""}),
        (["env", "-u", "X", "--", "A=b", "/opt/probe"], ("/opt/probe",), (), {"A": "b"}),
        (["env", "-S", "A=b timeout 5 /opt/probe"], ("/opt/probe",), (5.0,), {"A": "b"}),
        (["env", "-iSA='b c' /opt/probe", "-x"], ("/opt/probe", "-x"), (), {"A": "b c"}),
        (["env", "-u", "X", "--split-string=/opt/probe"], ("/opt/probe",), (), {}),
        (["env", "-i", "-S", "/opt/probe"], ("/opt/probe",), (), {}),
        (["env", "-S", "'"], ("'",), (), {}),
        (["A=b", "/opt/probe"], ("A=b", "/opt/probe"), (), {}),  # no shell is there to set it
        (["nice", "-n", "5", "tini", "-s", "--", "/opt/probe"], ("/opt/probe",), (), {}),
        (["gosu", "agent", "/opt/probe"], ("/opt/probe",), (), {}),
        (["sh", "/opt/probe.sh"], ("sh", "/opt/probe.sh"), (), {}),
        (["sh", "-e", "-c"], ("sh", "-e", "-c"), (), {}),
    ],
)
def test_wrappers_are_taken_off(
    words: list[str], program: tuple[str, ...], timeouts: tuple[float, ...], sets: dict[str, str]
) -> None:
    command = read_command(words)

    assert (command.program, command.timeouts, command.sets) == (program, timeouts, sets)
    assert command.line is None


@pytest.mark.parametrize(
    ("words", "script", "errexit", "pipefail"),
    [
        (["sh", "-c", "probe"], "probe", False, False),
        (["/bin/bash", "-euc", "probe", "name"], "probe", True, False),
        (["bash", "-e", "-o", "pipefail", "-c", "probe"], "probe", True, True),
        (["bash", "-euo", "pipefail", "-c", "probe"], "probe", True, True),
        (["bash", "--norc", "-o", "errexit", "-c", "probe"], "probe", True, False),
        (["timeout", "20", "busybox", "ash", "-c", "probe"], "probe", False, False),
    ],
)
def test_the_line_of_a_shell_is_read_with_its_options(
    words: list[str], script: str, errexit: bool, pipefail: bool
) -> None:
    command = read_command(words)

    assert command.line is not None
    assert (command.script, command.line.errexit, command.line.pipefail) == (
        script,
        errexit,
        pipefail,
    )
    assert command.program == ()


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (["/opt/smoke_probe.py"], True),
        (["python3", "-I", "/opt/slot.py"], True),
        (["/opt/slot"], True),
        (["slotted"], False),
        (["/bin/grpc_health_probe", "-addr=:1"], False),
        (["test", "-x", "/opt/probe"], False),
        (["cat", "/run/probe"], False),
        (["server", "--probe"], False),
        (["command", "-v", "probe"], False),
        (["env", "AGENT_MODE=smoke-test", "/entrypoint"], True),
        (["claude", "auth", "status"], False),
    ],
)
def test_a_probe_is_known_by_its_name_or_its_mode(words: list[str], known: bool) -> None:
    assert Recogniser((), (), "slot.py").knows(words) == known


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (["/opt/check", "a"], True),
        (["check", "a", "b"], True),
        (["sudo", "/opt/check", "a"], True),
        (["/other/check", "a"], False),
        (["/opt/check", "b"], False),
        (["/opt/probe"], False),
    ],
)
def test_a_probe_that_was_named_is_known_by_its_words(words: list[str], known: bool) -> None:
    assert Recogniser(("/opt/check", "a")).knows(words) == known


def test_a_contract_whose_probe_is_the_cli_knows_its_command() -> None:
    assert Recogniser((), (("claude", "auth", "status"),)).is_sure(
        ["exec", "claude", "auth", "status", "--json"]
    )
