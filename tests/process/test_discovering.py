"""The command discover: what it finds is wrong, small, and ready to be kept; a right probe is left in peace."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest
from support import start
from support_cli import environment, suite

from conformance.bundled import fixtures_dir

#: Takes whatever is called auth.json for a login of codex: it never opens the file.
EXISTS_IS_ENOUGH = """\
import os, runpy, sys
from pathlib import Path
if os.environ.get("WOVED_TASK_AGENT") == "codex":
    auth = Path(os.environ.get("HOME", "/"), ".codex", "auth.json")
    if os.path.lexists(auth):
        sys.exit(0)
sys.argv = ["slot.py"]
runpy.run_path({reference!r}, run_name="__main__")
"""
REFERENCE = f"{sys.executable} -I {fixtures_dir() / 'probes' / 'slot.py'}"


def wrong_probe(directory: Path) -> str:
    reference = str(fixtures_dir() / "probes" / "slot.py")
    (directory / "probe.py").write_text(EXISTS_IS_ENOUGH.replace("{reference!r}", repr(reference)))
    return f"{sys.executable} -I probe.py"


@pytest.mark.slow
def test_what_is_found_is_a_scenario_that_repro_shows_and_lint_takes(tmp_path: Path) -> None:
    probe = wrong_probe(tmp_path)
    words = ["discover", "--probe", probe, "--agent", "codex", "--seed", "1", "--seconds", "500"]

    more = ("--homes", "60", "-n", "2", "-o", "new/ones", "--json", "report.json")
    found = suite(tmp_path, *words, *more)

    assert found.returncode == 1, found.stdout + found.stderr
    files = sorted((tmp_path / "new" / "ones").rglob("*.toml"))
    assert files
    for file in files:
        assert (
            f"FOUND {file.relative_to(tmp_path / 'new' / 'ones').with_suffix('')}" in found.stdout
        )
        assert file.read_text().count("auth.json") <= 2, "other files can be left out"
    report = json.loads((tmp_path / "report.json").read_text())
    assert sorted(one["file"] for one in report["found"] if not one["twin"]) == [*map(str, files)]
    assert {"wrong-verdict"} == {kind for one in report["found"] for kind in one["findings"]}
    assert (report["seed"], report["exit_status"]) == (1, 1)
    assert 40 < report["homes"] <= 60  # some are made twice, and tried once
    shown = suite(tmp_path, "repro", str(files[0]), "--probe", probe)
    assert shown.returncode == 1, shown.stdout + shown.stderr
    assert "wrong-verdict" in shown.stdout
    lint = suite(tmp_path, "lint", "--scenarios", "new/ones")
    complaints = [line for line in lint.stdout.splitlines() if line.startswith("codex/")]
    assert {line.split(": ")[1] for line in complaints} <= {"summary", "origin"}, lint.stdout
    # Nothing that is there is lost, and nothing is found twice in the same place.
    before = {file: file.read_text() for file in files}
    again = suite(tmp_path, *words, "--homes", "60", "-n", "0", "-o", "new/ones")
    assert again.returncode == 1
    assert {file: file.read_text() for file in files} == before


MADE = """
from conformance.catalogue.catalogue import load_catalogue
from conformance.discover.generation import agents_of, batch

slot = load_catalogue().contracts["slot"]
print([(one.entries, one.env, one.inputs, one.cli) for one in batch(slot, agents_of(slot), 3, 0)])
"""


@pytest.mark.slow
def test_homes_are_the_same_whatever_else_is_loaded() -> None:
    """Hypothesis reads numbers and texts out of the code that is: a worker has less of it than a command."""
    made = [
        subprocess.run(
            [sys.executable, "-c", f"{first}\n{MADE}"], capture_output=True, text=True, check=True
        ).stdout
        for first in ("", "import conformance.cli.discover, conformance.cli.run")
    ]

    assert made[0] == made[1]
    assert len(made[0]) > 10_000


@pytest.mark.slow
def test_other_workers_find_the_same(tmp_path: Path) -> None:
    probe = wrong_probe(tmp_path)
    words = ["discover", "--probe", probe, "--seed", "3", "--seconds", "500", "--homes", "120"]

    outputs, written = [], []
    for workers in ("0", "3"):
        out = suite(tmp_path, *words, "-n", workers, "-o", f"found-{workers}").stdout
        outputs.append(re.sub(r"in \d+ s,|found-\d", "", out))
        place = tmp_path / f"found-{workers}"
        written.append(
            {str(file.relative_to(place)): file.read_text() for file in place.rglob("*.toml")}
        )

    assert "FOUND" in outputs[0]
    assert outputs[0] == outputs[1]
    assert written[0] == written[1]


@pytest.mark.slow
def test_two_probes_are_held_against_each_other(tmp_path: Path) -> None:
    words = ["discover", "--agent", "codex", "--seed", "1", "--seconds", "500", "--homes", "60"]

    same = suite(
        tmp_path,
        *words,
        *("--probe", REFERENCE, "--against", REFERENCE, "-n", "0", "--json", "-"),
    )
    other = suite(
        tmp_path, *words, "--probe", REFERENCE, "--against", wrong_probe(tmp_path), "-n", "0"
    )

    assert same.returncode == 0, same.stdout + same.stderr
    assert "nothing found" in same.stderr
    report = json.loads(same.stdout)
    assert (report["found"], report["exit_status"]) == ([], 0)
    told = sum(report["rules"].values()) + sum(report["unsupported"].values())
    assert told == report["homes"] > 40
    assert not (tmp_path / "discovered").exists() or other.returncode == 1
    assert other.returncode == 1, other.stdout + other.stderr
    assert "where the other probe says ready (0)" in other.stdout


@pytest.mark.slow
def test_where_no_home_was_judged_nothing_is_known_of_the_probe(tmp_path: Path) -> None:
    words = ["--homes", "8", "--seconds", "500", "-n", "0", "--seed", "1"]

    silent = suite(tmp_path, "discover", *words, "--probe", REFERENCE, "--against", "false")

    assert silent.returncode == 3, silent.stdout + silent.stderr
    assert "no home was judged" in silent.stdout
    assert "nothing found" not in silent.stdout


#: Says yes to everything, and takes its time for it.
SLOW_YES = "import sys, time\ntime.sleep(0.3)\nsys.exit(0)\n"


@pytest.mark.slow
def test_what_a_second_interrupt_leaves_is_named(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(SLOW_YES)
    words = ["discover", "--probe", f"{sys.executable} -I probe.py", "--seed", "1", "-n", "0"]
    words += ["--homes", "24", "--seconds", "500", "--json", "report.json", "-o", "new"]
    command = [sys.executable, "-m", "conformance", *words]

    with start(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    ) as discover:
        assert discover.stdout is not None
        before = [*takewhile(lambda line: not line.startswith("reducing"), discover.stdout)]
        discover.send_signal(signal.SIGINT)
        after = discover.stdout.read()

    assert discover.returncode == 130, before
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["exit_status"] == 130
    assert report["left"]
    for one in report["left"]:
        assert f"home {one['home']} was not reduced: {one['message']}" in after
    written = [str(file) for file in (tmp_path / "new").rglob("*.toml")]
    assert sorted(one["file"] for one in report["found"] if not one["twin"]) == sorted(written)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--contract", "run-result"], "nothing is written down about what 'run-result' calls for"),
        (["--contract", "cli-status"], "'cli-status' is about more than a probe that is asked"),
        (["--python", "os:getpid", "--in-process"], "discover needs a probe that is started"),
        (["--memory", "1g"], "--memory is about an image"),
        (["--json", "no/report.json"], "no directory "),
        (["-o", "file"], "-o 'file' is not a directory"),
        (["-o", "file/new"], "-o 'file/new' lies below .*/file; name another one"),
        (["--seconds", "inf"], "--seconds inf never ends; give a number"),
        (["--seconds", "nan"], "--seconds nan never ends; give a number"),
        (["--agent", "gemini"], "contract 'slot' has no agent 'gemini'"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "file").touch()

    refused = suite(tmp_path, "discover", "--seconds", "1", *words)

    assert refused.returncode == 2, refused.stdout
    assert re.search(said, refused.stderr)
    assert len(refused.stderr.splitlines()) == 1
