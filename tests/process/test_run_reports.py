"""What a run writes, as a user meets it: reports, the summary, advice, and the lines that repeat it."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from factories import written
from support import repeats
from support_cli import environment
from support_commands import (
    DIFFERENCE,
    MISSING,
    PAIR,
    SCENARIO,
    TIMEOUT,
    WORKERS,
    report,
    results,
    rows,
    shell,
    suite,
)

import conformance

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
