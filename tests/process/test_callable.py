"""A Python callable as the probe: what it may return, and what is said where there is none."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import repeats
from support_cli import suite
from support_pytest import run_pytest

MODULE = """\
import argparse
import os
import sys


def ready() -> int:
    return 0


def by_home() -> int:
    return 0 if os.path.exists(os.path.join(os.environ["HOME"], ".claude/.credentials.json")) else 65


def nothing() -> None:
    pass


def true() -> bool:
    return True


def text() -> str:
    return "sk-not-shown"


def parses() -> int:
    argparse.ArgumentParser().parse_args()
    return 65


async def awaited() -> int:
    return 64


def gate() -> tuple[bool, str]:
    path = os.path.join(os.environ["AGENT_HOME"], ".claude/.credentials.json")
    return os.path.exists(path), "no file"


def exits() -> int:
    sys.exit(66)


class Probes:
    @staticmethod
    def broken() -> int:
        return 64


number = 3
"""


def run(
    directory: Path, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """Run scenarios against a callable of the module above; return how that ended, and the rows of the report."""
    (directory / "probes.py").write_text(MODULE)
    done = suite(directory, "run", *arguments, "--json", "report.json")
    report = directory / "report.json"
    return done, json.loads(report.read_text())["scenarios"] if report.exists() else []


@pytest.mark.parametrize(
    ("name", "code", "kinds"),
    [
        ("ready", 0, []),
        ("exits", 66, ["wrong-verdict"]),
        ("Probes.broken", 64, ["wrong-verdict"]),
        ("nothing", 0, []),
        ("parses", 65, ["wrong-verdict"]),
        ("awaited", 64, ["wrong-verdict"]),
        ("text", 1, ["outside-contract", "crashed"]),
        ("true", 1, ["outside-contract", "crashed"]),
    ],
)
def test_the_callable_is_called_as_by_an_entry_point(
    tmp_path: Path, name: str, code: int, kinds: list[str]
) -> None:
    done, [row] = run(tmp_path, "claude/credentials-file", "--python", f"probes:{name}")

    assert (row["code"], [finding["kind"] for finding in row["findings"]]) == (code, kinds)
    assert done.returncode == (1 if kinds else 0)


@pytest.mark.parametrize(
    ("options", "codes"),
    [((), [0, 1]), (("--truth", "0,1"), [0, 1]), (("--truth", "1,0"), [1, 0])],
)
@pytest.mark.slow
def test_a_truth_value_means_what_contract_or_option_say(
    tmp_path: Path, options: tuple[str, ...], codes: list[int]
) -> None:
    ids = ["claude/credentials-file", "claude/no-dot-claude"]

    _, rows = run(
        tmp_path, *ids, "--contract", "preflight", "--python", "probes:gate", *options, "-n", "0"
    )

    assert [row["code"] for row in rows] == codes
    assert [row["stderr"] for row in rows] == ["no file\n"] * 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "true",
            "probes:true returned True, and nothing says which exit code that means; --truth TRUE,FALSE does",
        ),
        ("text", "probes:text returned an object of the type str, which is no exit code"),
    ],
)
def test_what_came_back_is_said_where_it_is_no_answer(tmp_path: Path, name: str, said: str) -> None:
    done, [row] = run(tmp_path, "claude/credentials-file", "--python", f"probes:{name}")

    assert row["findings"][1]["message"] == said
    assert (row["stderr"], "sk-not-shown" in done.stdout) == ("", False)


@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("import json", ""),
        (
            "import os\nPLACE = os.path.expanduser('~')",
            "note: reads is imported anew where HOME differs: it is read while imported",
        ),
        (
            "import os\nPLACE = os.environ['HOME']",
            "note: reads is imported anew in each scenario: it fails where there is no scenario: KeyError while imported",
        ),
        (
            "import time\nNOW = time.time()",
            "note: reads is imported anew in each scenario: it reads the clock while imported",
        ),
    ],
)
@pytest.mark.slow
def test_the_first_lines_say_why_a_module_is_imported_anew(
    tmp_path: Path, source: str, note: str
) -> None:
    (tmp_path / "reads.py").write_text(
        f"import os\n{source}\nHOME = globals().get('PLACE')\n\n\n"
        "def main():\n    return 65 if HOME in (None, os.environ['HOME']) or HOME > 1e9 else 66\n"
    )

    done, [row] = run(tmp_path, "claude/no-dot-claude", "--python", "reads:main", "-n", "0")

    assert (done.returncode, row["code"]) == (0, 65)
    assert [line for line in done.stdout.splitlines() if line.startswith("note: ")] == (
        [note] if note else []
    )
    assert "probe: python reads:main\n" in done.stdout


@pytest.mark.slow
def test_the_module_is_found_wherever_the_scenario_starts(tmp_path: Path) -> None:
    done, [row] = run(
        tmp_path, "surroundings/cwd/root-claude", "--python", "probes:by_home", "-n", "0"
    )

    assert (done.returncode, row["findings"]) == (0, [])


@pytest.mark.slow
def test_the_line_by_hand_does_the_same(tmp_path: Path) -> None:
    (tmp_path / "probes.py").write_text(MODULE)
    words = ("--python", "probes:gate", "--contract", "preflight", "--truth", "1,0")
    shown = suite(tmp_path, "repro", "claude/credentials-file", *words, "--keep", "kept").stdout
    line = shown.partition("command:\n  ")[2].partition("\n")[0]

    done = subprocess.run(["/bin/sh", "-c", line], cwd="/", capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (1, b"no file\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--probe", "true", "--truth", "0,1"),
            "--truth is about a Python callable; name a callable with --python, or leave it out",
        ),
        (
            ("--python", "probes:true", "--truth", "yes"),
            "--truth 'yes' is not TRUE,FALSE; give two exit codes, such as 0,1",
        ),
    ],
)
def test_wrong_codes_for_truth_values(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done, _ = run(tmp_path, *words)

    assert (done.returncode, done.stderr) == (2, f"probe-conformance: {said}\n")


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_every_scenario_calls_it_in_a_process_and_a_home_of_its_own(
    tmp_path: Path, workers: str
) -> None:
    ids = ["claude/credentials-file", "claude/no-dot-claude"]

    done, rows = run(tmp_path, *ids, "--python", "probes:by_home", "-n", workers)

    assert (done.returncode, [row["code"] for row in rows]) == (0, [0, 65])
    assert sorted(os.listdir(tmp_path)) == ["probes.py", "report.json"]


@pytest.mark.slow
def test_repro_is_printed_with_it(tmp_path: Path) -> None:
    done, _ = run(tmp_path, "claude/no-dot-claude", "--python", "probes:ready")

    [line] = repeats(done.stdout)
    words = "probe-conformance repro claude/no-dot-claude --python probes:ready"
    assert line.split() == words.split()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("probes", "'probes' is not a MODULE:NAME; write it like my_package.probe:main"),
        ("probes:", "'probes:' is not a MODULE:NAME; "),
        ("../probes:ready", "'../probes:ready' is not a MODULE:NAME; "),
        ("probes:none", "module 'probes' has no 'none'; "),
        ("probes:number", "'probes:number' cannot be called; "),
        ("no.such:ready", "no module 'no.such'; "),
        (
            "broken:ready",
            "module 'broken' cannot be imported: ModuleNotFoundError: No module named 'no_such_module'; ",
        ),
    ],
)
@pytest.mark.slow
def test_a_missing_callable_is_reported_in_one_line(tmp_path: Path, wanted: str, said: str) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module\n")

    done, rows = run(tmp_path, "--python", wanted)

    assert (done.returncode, done.stdout, rows, done.stderr.count("\n")) == (2, "", [], 1)
    assert done.stderr.startswith(f"probe-conformance: {said}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--probe", "true"], "--probe and --python name two probes; give one of them"),
        (["--image", "x"], "--image and --python name two probes; give one of them"),
        (
            ["--image", "x", "--probe", "true"],
            "--probe and --image and --python name three probes; give one of them",
        ),
    ],
)
def test_it_is_the_only_probe(tmp_path: Path, options: list[str], said: str) -> None:
    done, _ = run(tmp_path, "--python", "probes:ready", *options)

    assert (done.returncode, done.stderr) == (2, f"probe-conformance: {said}\n")


@pytest.mark.slow
def test_pytest_takes_it_as_well(tmp_path: Path) -> None:
    (tmp_path / "probes.py").write_text(MODULE)
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "case.toml").write_text(
        'summary = "x"\norigin = "x"\nagent = "claude"\ncontrol = "claude/no-dot-claude"\n[expect]\nslot = "ready"\n'
    )
    words = ["-c", os.devnull, "--rootdir", ".", "scenarios", "-v"]

    found = [
        run_pytest(tmp_path, *words, "--conformance-python", f"probes:{name}")
        for name in ("ready", "exits", "none")
    ]

    assert [done.returncode for done in found] == [0, 1, 4]
    assert "scenarios/case.toml::slot PASSED" in found[0].stdout
    assert found[2].stderr.startswith("ERROR: module 'probes' has no 'none'; ")
