"""The commands as a user meets them: a process of their own, in any directory."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import stat
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import support_cli
from factories import written
from support import diagnoses, repeats
from support_cli import call, environment

import conformance
from conformance.bundled import data_root, fixtures_dir, scenarios_dir
from conformance.catalogue.contracts import bundled

TIMEOUT = 300
WORKERS = ["0", pytest.param("2", marks=pytest.mark.slow)]
REFERENCE = {
    name: [sys.executable, "-I", str(fixtures_dir() / "probes" / f"{name}.py")]
    for name in ("slot", "preflight")
}
PAIR = ["claude/baseline-only", "claude/nested-session"]
MISSING = "sh -c 'exit 65'"
#: What claude/nested-session has that its control lacks.
DIFFERENCE = (
    "+ .claude.json: as layer claude-login has it",
    "+ .claude/.credentials/session.json: as layer claude-login has .claude/.credentials.json",
)
SCENARIO = """
summary = "A login in a file of one's own"
origin = "this test"
agent = "claude"
control = "claude/baseline-only"

[expect]
slot = "ready"

[home.files]
".claude/own" = "{secret}"
"""


def suite(directory: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in *directory*, with *more* variables."""
    return support_cli.suite(directory, *arguments, env=environment(**more))


def shell(directory: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run *line* in a shell, as someone would who pastes it; ``probe-conformance`` is a program there."""
    program = directory / "bin" / "probe-conformance"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m conformance "$@"\n')
    program.chmod(0o755)
    return subprocess.run(
        ["sh", "-c", line],
        cwd=directory,
        env=environment(PATH=f"{program.parent}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def report(directory: Path, *arguments: str, **more: str) -> dict[str, Any]:
    """Run scenarios, and return the JSON report."""
    done = suite(directory, "run", "--json", "-", *arguments, **more)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == found["exit_status"], done.stderr
    return found


def rows(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in found["scenarios"]}


def results(found: Mapping[str, Any]) -> dict[str, str]:
    return {id_: row["result"] for id_, row in rows(found).items()}


def listed(directory: Path, *arguments: str) -> list[str]:
    return [row["id"] for row in json.loads(suite(directory, "list", "--json", *arguments).stdout)]


def cache() -> Path:
    return Path(os.environ["XDG_CACHE_HOME"], "probe-conformance")


# What is wrong with a request


WRONG = [
    (["no-such-command"], "No such command 'no-such-command'"),
    (["run", "--no-such-option"], "No such option"),
    (["run", "--probe"], "requires an argument"),
    (["run", "--probe", ""], "--probe is empty"),
    (["run", "--probe", "  "], "--probe is empty"),
    (["run", "--probe", "''"], "--probe is empty"),
    (["run", "--probe", "sh -c 'exit"], "--probe cannot be split"),
    (["run", "--probe", "./no-such-probe"], "no probe './no-such-probe'"),
    (["run", "--probe", "no-such-program"], "no probe 'no-such-program'"),
    (
        ["run", "--probe", "./plain"],
        "the probe './plain' is not executable; chmod +x it, or name its interpreter",
    ),
    (["run", "--probe", "./full"], "the probe './full' is not executable"),
    (["run", "claude/nested-sesion"], "did you mean claude/nested-session"),
    (["run", "claude"], "no scenario 'claude' in contract 'slot'; did you mean 'claude/*'?"),
    (["run", "claude/"], "no scenario 'claude/' in contract 'slot'; did you mean 'claude/*'?"),
    (["list", "--contract", "preflight", "cli"], "did you mean 'cli/*'?"),
    (["show", "claude"], "no scenario 'claude'; see probe-conformance list 'claude/*'"),
    (["run", "no-such/*"], "no scenario 'no-such/*'"),
    (["run", "claude/[b]aseline-only"], "no scenario 'claude/[b]aseline-only'"),
    (["run", ""], "no scenario ''"),
    (["run", "a\nb"], "no scenario 'a b'"),
    (["run", "no-such.toml"], "no file no-such.toml"),
    (["run", "bad.toml"], "bad.toml: sumary: unknown key"),
    (["run", "--contract", "preflight", "agent/env-empty"], "not part of contract 'preflight'"),
    (
        ["run", "--contract", "no-such"],
        f"no contract 'no-such'; bundled: {', '.join(bundled())}",
    ),
    (["run", "--contract", "bad.toml"], "bad.toml: "),
    (["run", "--scenarios", "no-such"], "no-such: no such directory"),
    (["run", "--scenarios", "plain"], "plain: no such directory"),
    (["run", "-n", "many"], "--workers 'many' is not a number of workers"),
    (["run", "-n", "-1"], "--workers '-1'"),
    (["run", "-n", "1000"], "--workers '1000'"),
    (["run", "--repeat", "0"], "'--repeat'"),
    (["run", "--repeat", "often"], "'--repeat'"),
    (["run", "--env", "NAME"], "'NAME' is no KEY=VALUE"),
    (["run", "--env", "=value"], "'=value' is no KEY=VALUE"),
    (["run", "--env", "HOME=/"], "HOME is set by the contract 'slot'"),
    (["run", "--env", "WOVED_TASK_AGENT=claude"], "WOVED_TASK_AGENT is set by the contract 'slot'"),
    (
        ["run", "--contract", "preflight", "--env", "AGENT_HOME=/"],
        "AGENT_HOME is set by the contract 'preflight'",
    ),
    (
        ["run", "--contract", "run-result", "--env", "ORCH_RUN_LOG=/"],
        "ORCH_RUN_LOG is set by the contract 'run-result'",
    ),
    (["run", "--pass-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is not set here"),
    (["run", "--pass-env", "HOME"], "HOME is set by the contract 'slot'"),
    (["run", "--allow-write", "/etc/x"], "--allow-write '/etc/x' is no path below the HOME"),
    (["run", "--allow-write", "~/.x"], "--allow-write '~/.x' is no path below the HOME"),
    (["run", "--allow-write", "a/../../b"], "--allow-write 'a/../../b' is no path below the HOME"),
    (["repro", "cli/healthy", "--allow-write", ""], "--allow-write '' is no path below the HOME"),
    (["run", "--json", "no-such/report.json"], "no directory"),
    (["run", "--json", "full"], "full is a directory"),
    (["run", "--junit", "no-such/report.xml"], "no directory"),
    (["run", "--junit", "full"], "full is a directory"),
    (["run", "--json", "-", "--junit", "-"], "--json and --junit both write to standard output"),
    (
        ["run", "--json", "./report", "--junit", "report"],
        "--json and --junit both write to ./report",
    ),
    (["run", "--keep", "full"], "full is not empty"),
    (["run", "--keep", "plain"], "homes cannot be kept in plain"),
    (["run", "--known-failures", "no-such"], "no-such: cannot be read"),
    (["run", "--known-failures", "full"], "full: cannot be read"),
    (["run", "--known-failures", "bad.toml"], "bad.toml: "),
    (["run", "--write-known-failures", "plain"], "plain is there already"),
    (["run", "--write-known-failures", "full"], "full is a directory"),
    (["run", "--write-known-failures", "no-such/known.toml"], "no directory"),
    (["list", "no-such"], "no scenario 'no-such'"),
    (["list", "--contract", "no-such"], "no contract 'no-such'"),
    (["show"], "Missing argument 'ID|FILE'"),
    (["show", "claude/nested-sesion"], "did you mean claude/nested-session"),
    (["show", "claude/nested-session", "codex/api-key"], "unexpected extra argument"),
    (["home", "claude/nested-session"], "Missing argument 'DIR'"),
    (["home", "no-such", "new"], "no scenario 'no-such'"),
    (
        ["home", "container/home-of-another-uid-codex", "new"],
        "only a container can show it: it needs the image run as user 10001:10001 and a HOME owned by uid 10000; run it in",
    ),
    (["home", "claude/nested-session", "full"], "full is not empty"),
    (["home", "claude/nested-session", "plain"], "plain is not a directory"),
    (["repro"], "Missing argument 'ID'"),
    (["repro", "no-such"], "no scenario 'no-such'"),
    (["repro", "claude/*"], "give the id of one, such as claude/"),
    (["repro", "claude/nested-session", "codex/api-key"], "'codex/api-key' is not a scenario file"),
    (["repro", "claude/nested-session", "no-such.toml"], "no file no-such.toml"),
    (
        ["repro", "claude/nested-session", "--probe", "no-such-program"],
        "no probe 'no-such-program'",
    ),
    (["repro", "claude/nested-session", "--keep", "full"], "full is not empty"),
    (["schema", "more"], "'more' is not one of 'scenario', 'layer', "),
    (["schema", "bank", "more"], "unexpected extra argument"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG]
)
def test_a_wrong_request_is_one_line_with_status_2_and_leaves_nothing(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    written(tmp_path / "full" / "file", "")
    written(tmp_path / "plain", "")
    written(tmp_path / "bad.toml", 'sumary = "a slip"\n')
    before = sorted(tmp_path.rglob("*"))

    done = call(tmp_path, *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("probe-conformance: ")
    assert words in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert list(cache().rglob("*/*")) == []


def test_without_a_command_the_help_is_shown(tmp_path: Path) -> None:
    done = suite(tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: probe-conformance [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    "argument", [["--no-such-option"], ["-k", "("], ["-m", "("], ["-p", "no_such_plugin"]]
)
@pytest.mark.slow
def test_arguments_that_pytest_rejects_give_status_2(tmp_path: Path, argument: list[str]) -> None:
    done = suite(tmp_path, "run", *PAIR, "-n", "0", "--", *argument)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "probe-conformance: pytest does not take what follows '--'"
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
    assert list((cache() / "runs").iterdir()) == []


def test_status_2_when_pytests_arguments_leave_nothing_to_run(tmp_path: Path) -> None:
    done = suite(
        tmp_path, "run", *PAIR, "-n", "0", "--json", "report.json", "--", "-k", "nothing_like_this"
    )

    assert done.returncode == 2
    assert (
        done.stderr.splitlines()[-1]
        == "probe-conformance: no scenario is left to run; loosen what follows '--'"
    )


# What a run writes


@pytest.fixture
def every_result(tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """Arguments and variables of a run in which scenarios come to each result there is; its probe prints unprintable things."""
    own = tmp_path / "own" / "mine"
    written(
        own / "conforms.toml",
        SCENARIO.replace('"ready"', '"creds-missing"').replace("baseline-only", "nested-session"),
    )
    written(own / "deviates.toml", SCENARIO)
    written(own / "known.toml", SCENARIO)
    written(
        own / "broke.toml",
        SCENARIO + '"file-{n}" = { text = "many", count = 2 }\n"file-2" = "one"\n',
    )
    written(
        own / "unsupported.toml", SCENARIO + f'"{"/".join(["d" * 200] * 14)}/file" = "deep down"\n'
    )
    written(tmp_path / "known.toml", '[known-failures]\n"mine/known" = "issue 12"\n')
    probe = "printf '\\033[31mred\\033[0m \\000 \\001\\002\\a\\b\\013\\037 \\303\\050 \\357\\277\\277 end'"
    written(tmp_path / "probe.sh", f"#!/bin/sh\n{probe}\n{probe} >&2\nexit 65\n", 0o755)
    far_down = tmp_path.joinpath(*["c" * 250] * 6)
    far_down.mkdir(parents=True)
    words = [
        "--scenarios",
        "own",
        "mine/*",
        "--known-failures",
        "known.toml",
        "--probe",
        "./probe.sh",
    ]
    return words, {"XDG_CACHE_HOME": str(far_down)}


EVERY_RESULT = {
    "mine/broke": "broke",
    "mine/conforms": "conforms",
    "mine/deviates": "deviates",
    "mine/known": "known-failure",
    "mine/unsupported": "unsupported",
}


def test_the_json_report_says_everything_about_a_run(
    tmp_path: Path, every_result: tuple[list[str], dict[str, str]]
) -> None:
    arguments, variables = every_result

    found = report(tmp_path, *arguments, "-n", "0", **variables)

    assert found["schema_version"] == 1
    assert found["suite"] == {"name": "probe-conformance", "version": conformance.__version__}
    assert found["contract"] == {"name": "slot", "version": "1"}
    assert (found["probe"]["kind"], found["probe"]["command"]) == (
        "command",
        [str(tmp_path / "probe.sh")],
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found["started"])
    assert isinstance(found["now"], float)
    assert (found["conformant"], found["interrupted"], found["exit_status"]) == (False, False, 3)
    assert found["counts"] == dict.fromkeys(
        ("conforms", "deviates", "unsupported", "broke", "known-failure"), 1
    )
    assert results(found) == EVERY_RESULT
    for row in found["scenarios"]:
        assert row.keys() >= {
            "id", "agent", "expected", "code", "verdict", "result", "findings", "seconds", "control", "reason", "difference"
        }  # fmt: skip


@pytest.mark.slow
def test_workers_change_nothing_that_a_run_says_or_leaves(
    tmp_path: Path, every_result: tuple[list[str], dict[str, str]]
) -> None:
    """Everything that travels to a worker and back is in this run, so other tests do without one."""
    arguments, variables = every_result
    written(
        tmp_path / "known.toml", '[known-failures]\n"mine/known" = "a"\n"mine/conforms" = "b"\n'
    )
    text = SCENARIO.partition("[home.files]")[0] + '[home]\ninclude = ["login"]\n'
    written(
        tmp_path / "own" / "mine" / "layer.toml",
        text.replace('"ready"', '"creds-missing"').replace("baseline-only", "nested-session"),
    )
    written(
        tmp_path / "own" / "layers" / "login.toml", 'summary = "x"\n[files]\n"a" = "{secret}"\n'
    )
    logs = (
        f'#!/bin/sh\necho "$GIVEN $PASSED" >> "$LOG"\nexec {shlex.quote(str(tmp_path))}/probe.sh\n'
    )
    written(tmp_path / "logs.sh", logs, 0o755)
    arguments[arguments.index("./probe.sh")] = "./logs.sh"

    def run(workers: str) -> list[Any]:
        there = tmp_path / f"with {workers}"
        there.mkdir()
        more = ["--env", f"LOG={there}/log", "--env", "GIVEN=1"]
        more += ["--pass-env", "PASSED", "--repeat", "2", "--keep", str(there / "kept")]
        files = ["--json", str(there / "report.json"), "--junit", str(there / "junit.xml")]
        done = suite(
            tmp_path, "run", *arguments, *more, *files, "-n", workers, PASSED="2", **variables
        )
        assert done.returncode == 3, done.stderr
        found = json.loads((there / "report.json").read_text())
        summary = {
            id_: (row["result"], row["reason"], row["stderr"]) for id_, row in rows(found).items()
        }
        kinds = sorted(one["kind"] for row in found["scenarios"] for one in row["findings"])
        cases = ET.parse(there / "junit.xml").iter("testcase")
        return [
            found["counts"],
            found["stale_known_failures"],
            summary,
            kinds,
            {row["id"]: row["kept"].replace(str(there), "") for row in found["scenarios"]},
            sorted(str(path.relative_to(there)) for path in (there / "kept").glob("*/*")),
            sorted(child.tag for case in cases for child in case),
            [line.partition(" ")[0] for line in done.stdout.splitlines() if line[:1].isupper()],
            (there / "log").read_text(),
        ]

    alone, shared = run("0"), run("2")

    assert alone == shared
    counts = {"conforms": 2, "deviates": 2, "unsupported": 0, "broke": 1, "known-failure": 1}
    assert alone[0] == counts  # kept homes lie less deep, so none is too deep


def test_a_row_of_the_json_report_says_everything_about_a_scenario(tmp_path: Path) -> None:
    row = rows(
        report(
            tmp_path, "claude/nested-session", "--probe", "sh -c 'echo out; echo err >&2; exit 65'"
        )
    )["claude/nested-session"]

    assert row.pop("seconds") > 0
    assert re.fullmatch("[0-9a-f]{16}", row.pop("digest"))
    assert row.pop("repeat")[:3] == ["probe-conformance", "repro", "claude/nested-session"]
    assert row == {
        "id": "claude/nested-session",
        "agent": "claude",
        "expected": ["ready"],
        "expected_codes": [0],
        "code": 65,
        "signal": None,
        "verdict": "creds-missing",
        "result": "deviates",
        "reason": "",
        "findings": [
            {
                "kind": "wrong-verdict",
                "message": "expected ready (0), got creds-missing (65)",
                "level": "must",
                "rule": "claude-login",
            }
        ],
        "control": "claude/baseline-only",
        "difference": list(DIFFERENCE),
        "stdout": "out\n",
        "stderr": "err\n",
        "changes": [],
        "outside": [],
        "steps": [],
        "events": [],
        "engine": "",
        "moved": None,
        "kept": "",
        "summary": "A login kept under .claude/.credentials/ counts: no file name is pinned",
        "origin": "codex-shell#21: the first probe looked for credentials.json and failed healthy slots",
        "since": "1",
        "rule": "slot:claude-login",
    }


@pytest.mark.parametrize("more", [[], ["--", "-v"]], ids=["plain", "with pytest's words"])
def test_standard_output_is_nothing_but_json_where_that_is_asked_for(
    tmp_path: Path, more: list[str]
) -> None:
    probe = "sh -c 'echo noise; echo noise >&2; exit 65'"

    done = suite(
        tmp_path,
        "run",
        *PAIR,
        "-n",
        "0",
        "--probe",
        probe,
        "--json",
        "-",
        "--junit",
        "junit.xml",
        *more,
    )

    assert results(json.loads(done.stdout)) == {
        "claude/baseline-only": "conforms",
        "claude/nested-session": "deviates",
    }
    assert "DEVIATES claude/nested-session" in done.stderr
    assert "1 conform, 1 deviate" in done.stderr


@pytest.mark.slow
def test_the_json_report_takes_the_place_of_an_older_one_in_one_step(tmp_path: Path) -> None:
    written(tmp_path / "report.json", "older")

    done = suite(tmp_path, "run", *PAIR, "-n", "0", "--json", "report.json")

    assert (done.returncode, json.loads((tmp_path / "report.json").read_text())["exit_status"]) == (
        0,
        0,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_the_json_report_can_go_into_a_pipe(tmp_path: Path) -> None:
    done = suite(tmp_path, "run", *PAIR, "-n", "0", "--json", "/dev/stderr")

    assert json.loads(done.stderr)["exit_status"] == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_the_junit_report_can_go_to_standard_output_alone(tmp_path: Path, workers: str) -> None:
    done = suite(tmp_path, "run", *PAIR, "-n", workers, "--junit", "-", "--json", "report.json")

    cases = ET.fromstring(done.stdout).iter("testcase")
    assert [(case.attrib["classname"], case.attrib["name"]) for case in cases] == [
        ("slot.claude", "baseline-only"),
        ("slot.claude", "nested-session"),
    ]
    assert "2 conform" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_the_junit_file_is_xml_that_every_server_takes(
    tmp_path: Path, every_result: tuple[list[str], dict[str, str]]
) -> None:
    arguments, variables = every_result

    suite(tmp_path, "run", *arguments, "-n", "0", "--junit", "junit.xml", **variables)

    text = (tmp_path / "junit.xml").read_bytes().decode()
    # XML 1.0, production 2; servers refuse what it leaves out, also as a reference.
    assert re.findall(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text) == []
    assert "\\ud83d" not in text
    root = ET.fromstring(text)
    assert "red" in "".join(root.itertext())
    assert {
        f"{case.attrib['classname']} {case.attrib['name']}": [
            child.tag for child in case if not child.tag.startswith("system-")
        ]
        for case in root.iter("testcase")
    } == {
        "slot.mine broke": ["error"],
        "slot.mine conforms": [],
        "slot.mine deviates": ["failure"],
        "slot.mine known": ["skipped"],
        "slot.mine unsupported": ["skipped"],
    }
    whole = next(root.iter("testsuite"))
    assert {name: whole.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5", "failures": "1", "errors": "1", "skipped": "2"
    }  # fmt: skip
    [failure] = root.iter("failure")
    assert failure.attrib == {
        "type": "wrong-verdict",
        "message": "wrong-verdict: expected ready (0), got creds-missing (65)",
    }
    assert (
        (failure.text or "")
        .splitlines()[-1]
        .startswith("repeat it with: probe-conformance repro mine/deviates --probe ./probe.sh")
    )


def test_the_summary_says_what_deviated_why_and_how_to_see_it_again(tmp_path: Path) -> None:
    done = suite(
        tmp_path, "run", *PAIR, "-n", "0", "--probe", "sh -c 'printf \"\\033[2J\"; exit 65'"
    )

    assert (done.returncode, done.stderr) == (1, "")
    words = " ".join(done.stdout.split())
    lines = done.stdout.splitlines()
    for line in (
        "DEVIATES claude/nested-session",
        "wrong-verdict expected ready (0), got creds-missing (65)",
        "rule slot:claude-login: A regular file below ~/.claude that the",
        "control claude/baseline-only expects creds-missing (65); here:",
        *DIFFERENCE,
        "stdout \\x1b[2J",
    ):
        assert line in words
    assert lines[-1].startswith("1 conform, 1 deviate in ")
    assert lines[-1].endswith(": NOT CONFORMANT")
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.slow
def test_a_terminal_shows_a_bar_that_goes_and_nothing_of_pytests(
    tmp_path: Path, workers: str
) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "conformance", "run", *PAIR, "-n", workers]
    process = subprocess.Popen(
        words,
        cwd=tmp_path,
        env=environment(TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # how a terminal says that nobody is at its other end any more
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)

    assert process.wait(TIMEOUT) == 0
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())
    assert "2/2" in text
    lines = [line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n")]
    assert lines[-2].endswith(": CONFORMANT")
    assert "passed" not in text
    assert not any(
        line.strip(" .") == "" and "." in line for line in text.replace("\r", "\n").splitlines()
    )


def test_the_summary_shows_each_kind_of_result(
    tmp_path: Path, every_result: tuple[list[str], dict[str, str]]
) -> None:
    arguments, variables = every_result

    done = suite(tmp_path, "run", *arguments, "-n", "0", **variables)

    lines = done.stdout.splitlines()
    assert [
        line
        for line in lines
        if line.partition(" ")[0] in ("BROKE", "DEVIATES", "UNSUPPORTED", "CONFORMS")
    ] == [
        "DEVIATES mine/deviates",
        "BROKE mine/broke",
        "UNSUPPORTED mine/unsupported",
    ]
    assert re.match(
        "1 conform, 1 deviate, 1 unsupported, 1 broke, 1 known failure in .* s: NOT JUDGED",
        lines[-1],
    )


def test_the_line_that_repeats_a_deviation_works_when_it_is_pasted(tmp_path: Path) -> None:
    """Also with blanks, quotation marks, scenarios of one's own and variables that the probe needs."""
    written(tmp_path / "my own" / "mine" / "login.toml", SCENARIO)
    written(
        tmp_path / "a probe.sh",
        '#!/bin/sh\n[ "$WORDS $NUMBER $1" = "it\'s two 3 \\"x\\"" ] && exit 65\nexit 64\n',
        0o755,
    )
    words = [
        "--scenarios",
        "my own",
        "--env",
        "WORDS=it's two",
        "--pass-env",
        "NUMBER",
        "--probe",
        "'./a probe.sh' '\"x\"'",
    ]
    done = suite(tmp_path, "run", "mine/login", *words, NUMBER="3")
    [line] = repeats(done.stdout)

    again = shell(tmp_path, f"NUMBER=3; export NUMBER; {line}")

    assert again.returncode == 1
    assert "got: creds-missing (65)" in again.stdout
    assert again.stdout.startswith("mine/login: A login in a file of one's own\n")


FAMILY = """
summary = "A login in a file of one's own, in two ways"
origin = "this test"
agent = "claude"
[expect]
slot = "ready"
[variants.one]
control = "mine/control"
home.files.".claude/one" = "x"
[variants.two]
control = "mine/control"
home.files.".claude/two" = "x"
"""


@pytest.mark.parametrize(
    ("files", "id_"),
    [
        (["a-file.toml"], "a-file"),
        (["scenarios/mine/family.toml", "scenarios/mine/control.toml"], "mine/family/two"),
    ],
)
@pytest.mark.slow
def test_the_line_that_repeats_a_scenario_of_a_file_works_when_it_is_pasted(
    tmp_path: Path, files: list[str], id_: str
) -> None:
    """Nobody but the file knows the scenario, and nobody but another file its control."""
    control = SCENARIO.partition("[home.files]")[0].replace("baseline-only", "nested-session")
    written(tmp_path / "scenarios/mine/control.toml", control.replace('"ready"', '"creds-missing"'))
    written(tmp_path / "scenarios/mine/family.toml", FAMILY)
    written(tmp_path / "a-file.toml", SCENARIO)
    written(tmp_path / "other.toml", SCENARIO.replace("own", "own, again"))
    done = suite(tmp_path, "run", "-v", *files, "other.toml", "--probe", MISSING)
    [line] = [line for line in repeats(done.stdout) if f" {id_} " in line]

    again = shell(tmp_path, line)

    assert again.returncode == 1
    assert "got: creds-missing (65)" in again.stdout
    assert again.stdout.startswith(f"{id_}: A login in a file of one's own")
    assert "other.toml" not in line


# Known failures


def known(tmp_path: Path, text: str) -> list[str]:
    written(tmp_path / "known.toml", text)
    return ["--known-failures", "known.toml"]


def test_a_known_failure_does_not_fail_the_run_but_is_no_conformance(tmp_path: Path) -> None:
    entry = known(tmp_path, '[known-failures]\n"claude/nested-session" = "issue 12"\n')

    found = report(tmp_path, *PAIR, "-n", "0", "--probe", MISSING, *entry)

    assert (found["exit_status"], found["conformant"]) == (0, False)
    assert results(found) == {
        "claude/baseline-only": "conforms",
        "claude/nested-session": "known-failure",
    }
    assert rows(found)["claude/nested-session"]["reason"] == "issue 12"
    assert rows(found)["claude/nested-session"]["findings"] != []


@pytest.mark.slow
def test_a_known_failure_that_conforms_by_now_fails_the_run(tmp_path: Path) -> None:
    entry = known(tmp_path, '[known-failures]\n"claude/nested-session" = "issue 12"\n')

    done = suite(tmp_path, "run", *PAIR, "-n", "0", *entry, "--json", "report.json")

    found = json.loads((tmp_path / "report.json").read_text())
    assert (done.returncode, found["exit_status"]) == (1, 1)
    assert found["stale_known_failures"] == ["claude/nested-session"]
    assert (
        f"CONFORMS claude/nested-session, a known failure: take it out of {tmp_path}/known.toml"
        in done.stdout
    )


def test_a_known_failure_covers_only_the_kinds_it_names(tmp_path: Path) -> None:
    entry = known(
        tmp_path,
        '[known-failures]\n"claude/nested-session" = { reason = "issue 12", findings = ["timed-out"] }\n',
    )

    found = report(tmp_path, *PAIR, "--probe", MISSING, *entry)

    assert found["exit_status"] == 1
    assert results(found)["claude/nested-session"] == "deviates"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '"claude/nested-sesion" = "issue 12"',
            "no scenario 'claude/nested-sesion' in contract 'slot'",
        ),
        (
            '"preflight/skew-zero" = "issue 12"',
            "no scenario 'preflight/skew-zero' in contract 'slot'",
        ),
        ('"claude/*" = "issue 12"', "no scenario 'claude/*'"),
        ('"claude/nested-session" = ""', "known-failures.claude/nested-session"),
        ('"claude/nested-session" = "  "', "known-failures.claude/nested-session"),
        ('"claude/nested-session" = {}', "known-failures.claude/nested-session"),
        ('"claude/nested-session" = { findings = ["timed-out"] }', "reason"),
        ('"claude/nested-session" = { reason = "x", findings = ["no-such"] }', "findings"),
        ('"claude/nested-session" = { reason = "x", since = "2020" }', "since"),
        ('"claude/nested-session" = ["issue 12"]', "known-failures.claude/nested-session"),
        ("not TOML", "known.toml"),
    ],
)
def test_a_wrong_known_failure_is_one_line_with_status_2(
    tmp_path: Path, text: str, words: str
) -> None:
    entry = known(tmp_path, f"[known-failures]\n{text}\n")

    done = call(tmp_path, "run", *PAIR, "--probe", MISSING, *entry)

    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"probe-conformance: {tmp_path}/known.toml: ")
    assert words in done.stderr


def test_a_known_failure_outside_the_selection_does_not_matter(tmp_path: Path) -> None:
    entry = known(tmp_path, '[known-failures]\n"claude/nested-session" = "issue 12"\n')

    assert report(tmp_path, "claude/baseline-only", *entry)["exit_status"] == 0


@pytest.mark.slow
def test_the_file_of_known_failures_that_is_written_works_on_the_next_run(tmp_path: Path) -> None:
    first = suite(
        tmp_path,
        "run",
        *PAIR,
        "codex/api-key",
        "--probe",
        MISSING,
        "--write-known-failures",
        "known.toml",
    )
    second = report(
        tmp_path, *PAIR, "codex/api-key", "--probe", MISSING, "--known-failures", "known.toml"
    )

    assert first.returncode == 1
    assert second["exit_status"] == 0
    assert second["counts"]["known-failure"] == 2
    assert rows(second)["codex/api-key"]["reason"] == "expected ready (0), got creds-missing (65)"


@pytest.mark.slow
def test_writing_known_failures_anew_keeps_the_reasons_and_drops_what_conforms(
    tmp_path: Path,
) -> None:
    entries = '[known-failures]\n"claude/nested-session" = "issue \\"12\\""\n"claude/baseline-only" = "issue 13"\n'
    both = [*known(tmp_path, entries), "--write-known-failures", "known.toml"]

    first = suite(tmp_path, "run", *PAIR, "codex/api-key", "--probe", MISSING, *both)
    second = report(
        tmp_path, *PAIR, "codex/api-key", "--probe", MISSING, "--known-failures", "known.toml"
    )

    assert first.returncode == 1
    assert second["exit_status"] == 0
    assert {id_: row["reason"] for id_, row in rows(second).items()} == {
        "claude/baseline-only": "",
        "claude/nested-session": 'issue "12"',
        "codex/api-key": "expected ready (0), got creds-missing (65)",
    }


def test_known_failures_of_others_are_not_written_over(tmp_path: Path) -> None:
    entry = known(tmp_path, '[known-failures]\n"claude/nested-session" = "issue 12"\n')
    written(tmp_path / "other.toml", "precious")

    done = suite(
        tmp_path, "run", *PAIR, "--probe", MISSING, *entry, "--write-known-failures", "other.toml"
    )

    assert done.returncode == 2
    assert "other.toml is there already" in done.stderr
    assert (tmp_path / "other.toml").read_text() == "precious"


# What to run


def test_ids_globs_and_files_select_each_scenario_once(tmp_path: Path) -> None:
    file = written(tmp_path / "somewhere" / "scenarios" / "mine" / "login.toml", SCENARIO)
    bundled = data_root() / "scenarios" / "codex" / "api-key.toml"

    found = report(
        tmp_path,
        "claude/nested-session",
        "claude/near-baseline-*",
        "claude/nested-?ession",
        str(file.relative_to(tmp_path)),
        str(bundled),
    )

    assert results(found) == dict.fromkeys(
        [
            "claude/near-baseline-claude-md",
            "claude/near-baseline-config",
            "claude/near-baseline-settings",
            "claude/nested-session",
            "codex/api-key",
            "mine/login",
        ],
        "conforms",
    )
    assert found["exit_status"] == 0


@pytest.mark.parametrize(
    "command",
    [
        ["run", "FILE", "-n", "0"],
        ["show", "FILE"],
        ["home", "FILE", "home"],
        ["repro", "FILE", "--keep", "kept"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("group", ["claude", "mine"])
@pytest.mark.slow
def test_commands_take_a_file_of_a_checkout_or_of_ones_own(
    tmp_path: Path, command: list[str], group: str
) -> None:
    """A checkout has a copy of what is bundled where the suite is installed elsewhere."""
    text = (scenarios_dir() / "claude" / "nested-session.toml").read_text()
    file = written(tmp_path / "scenarios" / group / "nested-session.toml", text)

    words = [str(file.relative_to(tmp_path)) if word == "FILE" else word for word in command]
    done = suite(tmp_path, *words)

    assert (done.returncode, done.stderr) == (0, "")
    if command[0] in ("show", "repro"):
        assert done.stdout.startswith(f"{group}/nested-session")
    if command[0] == "run":
        assert "1 conform" in done.stdout


@pytest.mark.slow
def test_scenarios_of_ones_own_have_layers_of_their_own(tmp_path: Path) -> None:
    text = (
        SCENARIO.partition("[home.files]")[0] + '[home]\ninclude = ["claude-baseline", "login"]\n'
    )
    written(tmp_path / "first" / "mine" / "login.toml", text)
    written(
        tmp_path / "first" / "layers" / "login.toml",
        'summary = "A login"\n[files]\n".claude/own" = "{secret}"\n',
    )
    # A control of one's own, in another directory.
    written(
        tmp_path / "second" / "other" / "codex.toml",
        SCENARIO.replace('"claude"', '"codex"')
        .replace("claude/baseline-only", "mine/login")
        .replace('"ready"', '"creds-missing"'),
    )
    own = ["--scenarios", "first", "--scenarios", str(tmp_path / "second")]

    found = report(tmp_path, *own, "mine/login", "other/codex", "claude/baseline-only", "-n", "0")

    assert results(found) == dict.fromkeys(
        ["claude/baseline-only", "mine/login", "other/codex"], "conforms"
    )
    assert rows(found)["other/codex"]["control"] == "mine/login"
    assert {"claude/nested-session", "mine/login", "other/codex"} <= set(listed(tmp_path, *own))


@pytest.mark.slow
def test_scenarios_of_ones_own_run_beside_the_bundled_ones(tmp_path: Path) -> None:
    written(tmp_path / "own" / "mine" / "login.toml", SCENARIO)

    assert listed(tmp_path, "--scenarios", "own") == sorted([*listed(tmp_path), "mine/login"])


@pytest.mark.slow
def test_a_layer_can_take_the_name_of_a_bundled_one(tmp_path: Path) -> None:
    text = SCENARIO.partition("[home.files]")[0] + '[home]\ninclude = ["claude-baseline"]\n'
    written(tmp_path / "own" / "mine" / "login.toml", text)
    written(
        tmp_path / "own" / "layers" / "claude-baseline.toml",
        'summary = "Ours"\n[files]\n".claude/own" = "{secret}"\n',
    )

    assert results(report(tmp_path, "--scenarios", "own", "mine/login")) == {
        "mine/login": "conforms"
    }


def test_a_contract_of_ones_own_judges_by_its_own_numbers(tmp_path: Path) -> None:
    """It inherits what the scenarios expect, and changes what an answer is."""
    written(
        tmp_path / "ours.toml",
        """
        name = "ours"
        version = "7"
        summary = "Another number for a slot where nobody has logged in"
        extends = "slot"

        [verdicts]
        ready = { code = 0, meaning = "good", action = "go" }
        cli-broken = { code = 64, meaning = "bad", action = "stop" }
        creds-missing = { code = 10, meaning = "bad", action = "stop" }
        creds-invalid = { code = 66, meaning = "bad", action = "stop" }
        """,
    )

    found = report(tmp_path, *PAIR, "--contract", "ours.toml", "--probe", "sh -c 'exit 10'")

    assert found["contract"] == {"name": "ours", "version": "7"}
    assert results(found) == {
        "claude/baseline-only": "conforms",
        "claude/nested-session": "deviates",
    }
    refused = suite(tmp_path, "run", *PAIR, "--contract", "ours.toml")
    assert (refused.returncode, refused.stderr) == (
        2,
        "probe-conformance: contract 'ours' has no reference probe; name a probe with --probe\n",
    )


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.slow
def test_arguments_after_two_dashes_go_to_pytest(tmp_path: Path, workers: str) -> None:
    found = report(tmp_path, "claude/near-*", "-n", workers, "--", "-k", "config or settings")

    assert results(found) == dict.fromkeys(
        ["claude/near-baseline-config", "claude/near-baseline-settings"], "conforms"
    )
    assert found["exit_status"] == 0


@pytest.mark.slow
def test_pytest_can_be_told_to_stop_at_the_first_failure(tmp_path: Path) -> None:
    found = report(tmp_path, "claude/near-*", "-n", "0", "--probe", MISSING, "--", "-x")

    assert found["exit_status"] == 1
    assert set(results(found).values()) == {"deviates"}
    assert len(found["scenarios"]) == 1


@pytest.mark.slow
def test_pytests_own_settings_and_files_have_no_part_in_a_run(tmp_path: Path) -> None:
    written(tmp_path / "pytest.ini", "[pytest]\naddopts = --no-such-option\n")
    written(tmp_path / "conftest.py", "raise RuntimeError\n")

    found = report(
        tmp_path,
        *PAIR,
        "-n",
        "2",
        PYTEST_ADDOPTS="--no-such-option",
        PYTEST_PLUGINS="no_such_plugin",
    )

    assert found["exit_status"] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conftest.py", "pytest.ini"]


# What the probe gets


@pytest.mark.slow
def test_a_probe_is_split_like_a_shell_would_and_found_from_any_directory(tmp_path: Path) -> None:
    written(
        tmp_path / "my probes" / "probe",
        '#!/bin/sh\n[ $# = 2 ] && [ "$1" = "two words" ] && [ -z "$2" ]\n',
        0o755,
    )

    for probe in (
        "'my probes/probe' 'two words' ''",
        '"./my probes/probe" two\\ words ""',
        "sh 'my probes/probe' 'two words' ''",
    ):
        found = report(tmp_path, "claude/nested-session", "--probe", probe)
        assert results(found) == {"claude/nested-session": "conforms"}, probe


#: A selection that is varied enough for hints, and quick.
VARIED = ("agent/*", "cli/healthy*", "cli/exit-*", "codex/json-*", "codex/no-*", "claude/dot-*")


@pytest.mark.slow
def test_the_same_addition_everywhere_is_one_hint_and_named_it_is_allowed(tmp_path: Path) -> None:
    slot = data_root() / "fixtures" / "probes" / "slot.py"
    probe = f"""sh -c 'mkdir -p "$HOME/.cache"; date >"$HOME/.cache/seen"; exec "$0" "$@"' {sys.executable} -I {slot}"""
    words = ["run", "--probe", probe, *VARIED]

    refused = suite(tmp_path, *words, "--json", "report.json")
    allowed = suite(tmp_path, *words, "--allow-write", ".cache/**")

    assert refused.returncode == 1
    [diagnosis] = diagnoses(refused.stdout)
    assert diagnosis.endswith("name it: --allow-write '.cache/**'")
    # One that stands for all of them, and those homes that differ in more.
    assert sum(line.startswith("DEVIATES ") for line in refused.stdout.splitlines()) == 2
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["counts"]["deviates"] == len(report["scenarios"]) - report["counts"]["conforms"]
    assert report["counts"]["deviates"] > 20
    assert "name it: --allow-write" in report["diagnosis"]
    assert allowed.returncode == 0, allowed.stdout
    assert "allowed: to write '.cache/**' in the HOME" in allowed.stdout.splitlines()


def test_a_deviation_beside_a_further_write_is_repeated_with_it(tmp_path: Path) -> None:
    probe = "sh -c 'echo x >\"$HOME/.x\"; exit 2'"
    words = ["--probe", probe, "--allow-write", ".x"]
    done = suite(tmp_path, "run", "-n", "0", "cli/healthy", *words)
    [line] = repeats(done.stdout)
    assert line.endswith(" --allow-write .x")
    again = suite(tmp_path, *shlex.split(line)[1:])
    assert "outside-contract: " in again.stdout
    assert "changed-home: " not in again.stdout


def test_a_comparison_excuses_further_writes(tmp_path: Path) -> None:
    slot = data_root() / "fixtures" / "probes" / "slot.py"
    probe = f"""sh -c 'date >"$HOME/.x"; exec "$0" "$@"' {sys.executable} -I {slot}"""
    words = [
        "compare",
        "--probe",
        probe,
        "--reference",
        "slot",
        "cli/healthy",
        "--json",
        "out.json",
    ]
    for more, result in (([], "deviates"), (["--allow-write", ".x"], "conforms")):
        suite(tmp_path, *words, *more)
        text = (tmp_path / "out.json").read_text()
        assert re.findall(r'"result": "([a-z]+)"', text) == [result, "conforms"]


@pytest.mark.slow
def test_a_login_shell_that_loses_the_stubs_is_one_hint(tmp_path: Path) -> None:
    """Its profile sets PATH anew, so that no CLI is found there."""
    slot = data_root() / "fixtures" / "probes" / "slot.py"
    profile = (
        f'sh -c \'PATH=/usr/sbin:/usr/bin:/sbin:/bin; exec "$0" "$@"\' {sys.executable} -I {slot}'
    )
    done = suite(tmp_path, "run", "--probe", profile, "claude/*", "codex/*")
    assert done.returncode == 1
    [line] = diagnoses(done.stdout)
    assert "exit code 64 (cli-broken), and no CLI was waited for: " in line
    assert "a login shell (sh -l, bash -lc) sets PATH anew" in line
    assert sum(line.startswith("DEVIATES ") for line in done.stdout.splitlines()) == 1


def test_variables_are_given_and_passed_on_and_no_others(tmp_path: Path) -> None:
    probe = "sh -c 'env > \"$LOG\"'"
    arguments = [
        "--env",
        f"LOG={tmp_path}/log",
        "--env",
        "GIVEN=a=b c",
        "--pass-env",
        "PASSED",
        "--pass-env",
        "GIVEN",
    ]

    found = report(
        tmp_path,
        "claude/nested-session",
        "-n",
        "0",
        "--probe",
        probe,
        *arguments,
        PASSED="on",
        GIVEN="x",
        NOT="y",
    )

    assert results(found) == {"claude/nested-session": "conforms"}
    seen = dict(line.split("=", 1) for line in (tmp_path / "log").read_text().splitlines())
    assert {name: seen[name] for name in ("GIVEN", "PASSED", "LANG", "TZ", "WOVED_TASK_AGENT")} == {
        "GIVEN": "a=b c", "PASSED": "on", "LANG": "C.UTF-8", "TZ": "UTC", "WOVED_TASK_AGENT": "claude"
    }  # fmt: skip
    assert seen.keys() - {"PWD", "SHLVL", "OLDPWD", "_"} == {
        "GIVEN", "HOME", "LANG", "LOG", "PASSED", "PATH", "TZ", "WOVED_TASK_AGENT"
    }  # fmt: skip
    assert seen["HOME"].startswith(str(cache() / "runs"))


def test_a_probe_with_unequal_answers_is_unsteady(tmp_path: Path) -> None:
    probe = "sh -c 'mkdir \"$SEEN\" 2>/dev/null && exit 65; exit 0'"
    arguments = ["-n", "0", "--probe", probe, "--env", f"SEEN={tmp_path}/seen", "--repeat", "3"]

    row = rows(report(tmp_path, "claude/nested-session", *arguments))["claude/nested-session"]

    assert [finding["kind"] for finding in row["findings"]] == ["wrong-verdict", "unsteady"]
    assert (
        row["findings"][1]["message"]
        == "unequal answers in 3 runs: exit code 65 1 times, exit code 0 2 times"
    )


@pytest.mark.slow
def test_the_line_that_repeats_an_unsteady_answer_repeats_it_as_often(tmp_path: Path) -> None:
    probe = 'sh -c \'mkdir "$SEEN" 2>/dev/null && exit 0; rmdir "$SEEN"; exit 65\''
    arguments = ["--probe", probe, "--env", f"SEEN={tmp_path}/seen", "--repeat", "2"]
    done = suite(tmp_path, "run", "claude/nested-session", *arguments)
    [line] = repeats(done.stdout)

    again = shell(tmp_path, line)

    assert again.returncode == 1
    assert "unsteady: unequal answers in 2 runs" in again.stdout


# Homes that stay


@pytest.mark.slow
def test_keep_leaves_the_homes_of_what_deviated_and_nothing_else(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        *PAIR,
        "codex/api-key",
        "-n",
        "0",
        "--probe",
        MISSING,
        "--keep",
        "kept",
        "--repeat",
        "2",
    )

    kept = tmp_path / "kept"
    assert sorted(str(path.relative_to(kept)) for path in kept.glob("*/*")) == [
        "claude/nested-session",
        "codex/api-key",
    ]
    assert sorted(path.name for path in kept.iterdir()) == ["claude", "codex"]
    assert json.loads(
        (
            kept
            / "claude"
            / "nested-session"
            / "home"
            / ".claude"
            / ".credentials"
            / "session.json"
        ).read_text()
    )
    assert {id_: row["kept"] for id_, row in rows(found).items()} == {
        "claude/baseline-only": "",
        "claude/nested-session": str(kept / "claude" / "nested-session"),
        "codex/api-key": str(kept / "codex" / "api-key"),
    }
    again = suite(tmp_path, "run", *PAIR, "--keep", "kept")
    assert (again.returncode, again.stderr) == (
        2,
        "probe-conformance: kept is not empty; keep homes in a directory that does not exist yet\n",
    )


def test_the_summary_says_where_a_home_was_kept(tmp_path: Path) -> None:
    done = suite(tmp_path, "run", *PAIR, "--probe", MISSING, "--keep", "kept")

    assert f"  home kept        {tmp_path}/kept/claude/nested-session/home\n" in done.stdout


@pytest.mark.parametrize("contract", ["slot", pytest.param("preflight", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("id_", "codes"),
    [
        ("claude/nested-session", {"slot": 0, "preflight": 1}),
        ("claude/credentials-file", {"slot": 0, "preflight": 0}),
        ("claude/credentials-file-unreadable", {"slot": 0, "preflight": 1}),
        ("claude/dot-claude-closed", {"slot": 66, "preflight": 1}),
        ("cli/missing", {"slot": 64, "preflight": 1}),
    ],
)
@pytest.mark.slow
def test_the_command_that_repro_prints_gives_the_same_answer_by_hand(
    tmp_path: Path, contract: str, id_: str, codes: dict[str, int]
) -> None:
    """The home stays on disk. Where root could read what a mode forbids, the command takes care of that."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root passes over modes, and there is no setpriv to stop it")
    probe = shlex.join(REFERENCE[contract])

    done = suite(tmp_path, "repro", id_, "--contract", contract, "--probe", probe)

    assert (done.returncode, done.stderr) == (0, "")
    home = next(
        line.removeprefix("home: ")
        for line in done.stdout.splitlines()
        if line.startswith("home: ")
    )
    assert Path(home).is_dir()
    assert Path(home).is_relative_to(cache() / "kept")
    command = re.search(r"^command:\n  (.*)\n", done.stdout, re.MULTILINE)
    assert command is not None
    by_hand = shell(tmp_path, command[1])
    assert by_hand.returncode == codes[contract], by_hand.stderr
    assert f"({codes[contract]}) after" in done.stdout


def test_repro_shows_everything_about_a_deviation_and_ends_with_status_1(tmp_path: Path) -> None:
    probe = 'sh -c \'printf "\\033[2Jout\\n"; echo err >&2; echo x > "$HOME/new file"; exit 65\''

    done = suite(tmp_path, "repro", "claude/nested-session", "--probe", probe, "--keep", "kept")

    assert (done.returncode, done.stderr) == (1, "")
    home = next((tmp_path / "kept").glob("*/home"))
    expected = f"""\
        claude/nested-session: A login kept under .claude/.credentials/ counts: no file name is pinned
        origin: codex-shell#21: the first probe looked for credentials.json and failed healthy slots
        home: {home}
        command:
          COMMAND

        expected: ready (0)
        got: creds-missing (65) after SECONDS s: deviates
          wrong-verdict: expected ready (0), got creds-missing (65)
          changed-home: the probe changed the HOME: added new file (file, mode 0644, 2 bytes)
        control: claude/baseline-only; here:
          {DIFFERENCE[0]}
          {DIFFERENCE[1]}
        stdout:
          \\x1b[2Jout
        stderr:
          err
        """
    shown = re.sub(r"(?<=^command:\n  ).*$", "COMMAND", done.stdout, flags=re.MULTILINE)
    assert re.sub(r"after [\d.]+ s", "after SECONDS s", shown) == textwrap.dedent(expected)
    assert (home / "new file").read_text() == "x\n"


def test_repro_lets_no_odd_name_through_to_the_terminal(tmp_path: Path) -> None:
    probe = written(
        tmp_path / "odd.sh",
        "#!/bin/sh\n: > \"$HOME/$(printf 'odd\\377\\033[2J\\nname')\"\nexit 0\n",
        0o755,
    )

    done = suite(tmp_path, "repro", "claude/nested-session", "--probe", str(probe))

    assert done.returncode == 1
    assert "  changed-home: the probe changed the HOME: added odd\\xff\\x1b[2J" in done.stdout
    assert "\x1b" not in done.stdout


def test_repro_takes_the_contracts_reference_probe_without_one(tmp_path: Path) -> None:
    done = suite(tmp_path, "repro", "claude/nested-session")

    assert done.returncode == 0
    assert "got: ready (0)" in done.stdout


def test_repro_of_what_cannot_be_judged_ends_with_status_3(tmp_path: Path) -> None:
    written(
        tmp_path / "own" / "mine" / "broke.toml",
        SCENARIO + '"file-{n}" = { text = "x", count = 2 }\n"file-2" = "x"\n',
    )

    done = suite(tmp_path, "repro", "mine/broke", "--scenarios", "own")

    assert done.returncode == 3
    assert "two entries make" in done.stdout


@pytest.mark.slow
def test_a_container_scenario_selected_by_id_is_unsupported_locally(tmp_path: Path) -> None:
    found = report(tmp_path, "container/random-uid-claude", "claude/nested-session")

    assert results(found) == {
        "claude/nested-session": "conforms",
        "container/random-uid-claude": "unsupported",
    }
    reason = "only a container can show it: it needs the image run as user 1000650000:0"
    assert rows(found)["container/random-uid-claude"]["reason"] == reason


@pytest.mark.slow
def test_each_repro_has_a_home_of_its_own_which_no_run_removes(tmp_path: Path) -> None:
    for _ in range(2):
        suite(tmp_path, "repro", "claude/nested-session", "--probe", MISSING)
    suite(tmp_path, "run", *PAIR)

    assert len(list((cache() / "kept").glob("*/*/home/.claude/.credentials/session.json"))) == 2
    assert list((cache() / "runs").iterdir()) == []


@pytest.mark.parametrize("contract", ["slot", pytest.param("preflight", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "id_",
    ["claude/nested-session", "claude/credentials-file", "claude/dot-claude-closed", "cli/exit-1"],
)
@pytest.mark.slow
def test_the_command_that_home_prints_runs_a_probe_in_it(
    tmp_path: Path, contract: str, id_: str
) -> None:
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root passes over modes, and there is no setpriv to stop it")

    done = suite(tmp_path, "home", id_, "a home", "--contract", contract)

    assert (done.returncode, done.stderr) == (0, "")
    line = next(line for line in done.stdout.splitlines() if line.endswith(" PROBE"))
    by_hand = shell(tmp_path, line.removesuffix("PROBE") + shlex.join(REFERENCE[contract]))
    assert re.findall(r"^expected: .*\((\d+)\)", done.stdout, re.MULTILINE) == [
        str(by_hand.returncode)
    ]


@pytest.mark.slow
def test_home_refuses_ones_own_home_and_touches_nothing_in_it(tmp_path: Path) -> None:
    own = tmp_path / "me"
    own.mkdir()
    (tmp_path / "link").symlink_to(own)

    for target in ("me", "me/", "./me/../me", "link", str(own)):
        done = suite(tmp_path, "home", "claude/nested-session", target, HOME=str(own))
        assert done.returncode == 2, target
        assert len(done.stderr.splitlines()) == 1
        assert list(own.iterdir()) == []
    assert "is your own home" in done.stderr


def test_home_builds_what_the_scenario_says(tmp_path: Path) -> None:
    done = suite(tmp_path, "home", "claude/credentials-file-unreadable", "new")

    assert done.returncode == 0
    (file,) = (
        path for path in (tmp_path / "new" / ".claude").iterdir() if path.name.startswith(".cred")
    )
    assert stat.S_IMODE(file.lstat().st_mode) == 0
    assert sorted(path.name for path in (tmp_path / "new.cli").iterdir()) == ["claude", "codex"]


# The catalogue


def test_list_has_a_line_for_each_scenario_of_the_contract(tmp_path: Path) -> None:
    for contract in ("slot", "preflight"):
        lines = suite(tmp_path, "list", "--contract", contract).stdout.splitlines()
        found = json.loads(suite(tmp_path, "list", "--contract", contract, "--json").stdout)

        assert [line.split()[0] for line in lines] == [row["id"] for row in found]
        assert [row["id"] for row in found] == sorted(row["id"] for row in found)
        assert all(
            line.endswith(row["summary"]) and "|".join(row["expected"]) in line
            for line, row in zip(lines, found, strict=True)
        )
        assert len(found) >= 90


def test_list_can_be_narrowed(tmp_path: Path) -> None:
    assert listed(tmp_path, "claude/near-*", "codex/api-key") == [
        "claude/near-baseline-claude-md",
        "claude/near-baseline-config",
        "claude/near-baseline-settings",
        "codex/api-key",
    ]


def test_a_row_of_the_list_says_what_conforms(tmp_path: Path) -> None:
    assert json.loads(suite(tmp_path, "list", "--json", "claude/nested-session").stdout) == [
        {
            "id": "claude/nested-session",
            "agent": "claude",
            "expected": ["ready"],
            "codes": [0],
            "summary": "A login kept under .claude/.credentials/ counts: no file name is pinned",
            "origin": "codex-shell#21: the first probe looked for credentials.json and failed healthy slots",
            "control": "claude/baseline-only",
            "container": False,
            "since": "1",
        }
    ]


def test_list_tells_what_only_a_container_can_show(tmp_path: Path) -> None:
    found = json.loads(suite(tmp_path, "list", "--json").stdout)
    ids = {row["id"] for row in found if row["container"]}
    assert len(ids) >= 6
    assert ids == {row["id"] for row in found if row["id"].startswith("container/")}


def test_show_says_what_is_asked_of_the_container(tmp_path: Path) -> None:
    done = suite(tmp_path, "show", "container/home-of-another-uid-codex")
    lines = [
        line.split(maxsplit=1)
        for line in done.stdout.splitlines()
        if line.startswith("  container ")
    ]
    assert lines == [
        ["container", "the image run as user 10001:10001"],
        ["container", "a HOME owned by uid 10000"],
    ]
    assert done.stdout.splitlines()[-2:] == [
        "    + the image run as user 10001:10001",
        "    + a HOME owned by uid 10000",
    ]


def test_list_says_nothing_to_a_reader_that_has_gone(tmp_path: Path) -> None:
    done = shell(tmp_path, "{ sleep 0.1; probe-conformance list; } | true")

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "id_",
    [
        "claude/nested-session",
        "claude/artifact-name-not-utf8",
        "claude/artifact-name-with-newline",
        "cli/killed",
        "agent/env-missing",
        "container/home-unset-no-passwd-claude",
    ],
)
def test_show_says_everything_about_a_scenario(tmp_path: Path, id_: str) -> None:
    done = suite(tmp_path, "show", id_)

    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(suite(tmp_path, "list", "--json", id_).stdout)
    for words in (
        row["id"],
        row["summary"],
        row["origin"],
        f"control {row['control']} expects",
        *row["expected"],
    ):
        assert words in done.stdout
    assert f"{data_root()}/scenarios/{id_}.toml" in done.stdout


@pytest.mark.parametrize("contract", [pytest.param("slot", marks=pytest.mark.slow), "preflight"])
@pytest.mark.slow
def test_show_answers_for_every_scenario(tmp_path: Path, contract: str) -> None:
    """Nothing in the catalogue is beyond it. One process for all of them, since each would take its time to start."""
    program = f"""
        import functools
        from conformance.cli import catalogue, main
        catalogue._load = functools.cache(catalogue._load)
        for id_ in {listed(tmp_path, "--contract", contract)!r}:
            try:
                main(["show", id_, "--contract", {contract!r}])
            except SystemExit as e:
                assert e.code in (0, None), id_
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout


def test_schema_prints_json(tmp_path: Path) -> None:
    done = suite(tmp_path, "schema")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["else"]["required"] == [
        "summary",
        "origin",
        "agent",
        "control",
        "expect",
    ]


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    assert (
        suite(tmp_path, "--version").stdout
        == f"probe-conformance, version {conformance.__version__}\n"
    )


@pytest.mark.parametrize(
    "command", [[], ["run"], ["list"], ["show"], ["home"], ["repro"], ["schema"]]
)
@pytest.mark.slow
def test_every_command_explains_itself(tmp_path: Path, command: list[str]) -> None:
    done = suite(tmp_path, *command, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: probe-conformance {' '.join(command)}".rstrip())


# Advice, and the scenarios of one agent


LEAVES_A_PROCESS = """#!/bin/sh
setsid sleep 30 > /dev/null 2>&1 < /dev/null &
exit 0
"""
MILD = (
    'name = "mild"\nversion = "1"\nsummary = "As slot"\nextends = "slot"\n'
    '[rules]\nalways-alone = { level = "should" }\n'
)


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.slow
def test_advice_is_in_every_report_and_counts_with_strict_alone(
    tmp_path: Path, workers: str
) -> None:
    probe, contract = tmp_path / "probe.sh", tmp_path / "mild.toml"
    probe.write_text(LEAVES_A_PROCESS)
    probe.chmod(0o755)
    contract.write_text(MILD)
    argv = ["run", "claude/credentials-file", "--probe", str(probe), "--contract", str(contract)]
    argv += ["-n", workers, "--json", "report.json", "--junit", "report.xml"]

    mild, strict = suite(tmp_path, *argv), None
    document = json.loads((tmp_path / "report.json").read_text())
    junit = (tmp_path / "report.xml").read_text()
    strict = suite(tmp_path, *argv, "--strict")

    assert (mild.returncode, strict.returncode) == (0, 1)
    assert "ADVICE mild:always-alone: It leaves no process of its own behind" in mild.stdout
    assert "1 conforms, 1 with advice" in mild.stdout.replace("1 conform,", "1 conforms,")
    assert (document["advice"], document["strict"], document["conformant"]) == (1, False, True)
    [finding] = document["scenarios"][0]["findings"]
    assert (finding["kind"], finding["level"]) == ("left-process", "should")
    assert "advice: left-process: " in junit
    assert "DEVIATES claude/credentials-file" in strict.stdout


def test_one_agent_has_its_scenarios_alone(tmp_path: Path) -> None:
    listed = suite(tmp_path, "list", "--agent", "codex", "--json")
    assert {row["agent"] for row in json.loads(listed.stdout)} == {"codex"}
    ran = report(tmp_path, "--agent", "codex", "codex/no-*", "--probe", "sh -c 'exit 65'")
    assert {row["agent"] for row in ran["scenarios"]} == {"codex"}
    refused = suite(tmp_path, "run", "--agent", "codex", "claude/credentials-file")
    assert (refused.returncode, refused.stderr) == (
        2,
        "probe-conformance: scenario 'claude/credentials-file' is about claude, not codex; "
        "choose another with --contract or --agent\n",
    )
