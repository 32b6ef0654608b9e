"""Right probes in four languages, written from the contract alone as each language invites, are judged right.

What is found in one of them is a false alarm: its author knows the contract and nothing else of the suite.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from factories import bundled_catalogue
from support import NOBODY, ROOT, without
from support_cli import PACKAGE_ROOT, suite

STRANGERS = Path(__file__).parents[1] / "strangers"
LANGUAGES = ["python", "shell", "node", "c"]
#: All but what takes seconds, for a second look under other conditions.
VARIED = ["agent/*", "claude/*", "codex/*", "cli/exit*", "cli/leaves*", "cli/no-shebang*"]


def command(language: str, place: Path) -> str:
    """Return the command of the probe in this *language*; what has to be compiled is put into *place*."""
    if language == "c":
        compiler = shutil.which("cc") or without("a C compiler")
        program = place / "slot-probe"
        warnings = ["-Wall", "-Wextra", "-Werror"]
        source = STRANGERS / "slot_in_c.c"
        subprocess.run([compiler, *warnings, "-o", program, source], check=True)
        return shlex.quote(str(program))
    interpreters = {"python": sys.executable, "shell": "sh", "node": shutil.which("node")}
    suffixes = {"python": "py", "shell": "sh", "node": "js"}
    interpreter = interpreters[language] or without("node")
    return shlex.join([interpreter, str(STRANGERS / f"slot_in_{language}.{suffixes[language]}")])


def disputable(report: dict[str, Any]) -> dict[str, Any]:
    """Return what is held against a right probe, but processes that the CLI has left: nobody has to end those."""
    held = {
        row["id"]: [one for one in row["findings"] if one["kind"] != "left-cli-process"]
        for row in report["scenarios"]
        if row["result"] != "unsupported"
    }
    told = {row["id"]: row["reason"] for row in report["scenarios"] if row["result"] == "broke"}
    hints = {"diagnosis": report["diagnosis"]} if report["diagnosis"] else {}
    return {id_: findings for id_, findings in held.items() if findings} | told | hints


@pytest.mark.slow
@pytest.mark.in_turn(8)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_right_probe_conforms_in_every_scenario(tmp_path: Path, language: str) -> None:
    """Those that an interpreter starts slowly share the scenarios: each has every second one."""
    probe = command(language, tmp_path)
    slot = bundled_catalogue().contracts["slot"]
    every = [one.id for one in bundled_catalogue().in_contract(slot) if one.container is None]
    halves = {"python": every[::2], "node": every[1::2]}
    chosen = halves.get(language, [])

    words = ["run", "-n", "4", "--json", "report.json", "--probe", probe, *chosen]
    suite(tmp_path, *words, timeout=600)

    report = json.loads((tmp_path / "report.json").read_text())
    found = disputable(report)
    assert found == {}
    assert report["counts"]["conforms"] > 0.9 * len(chosen or every)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["python", "node", "shell"])
def test_a_right_program_conforms_in_every_scenario_of_run_result(
    tmp_path: Path, language: str
) -> None:
    """They share the scenarios, without the large logs: each has every third one."""
    interpreters = {
        "python": (sys.executable, "py"),
        "shell": ("sh", "sh"),
        "node": (shutil.which("node") or "", "js"),
    }
    interpreter, suffix = interpreters[language]
    if not interpreter:
        without("node")
    probe = shlex.join([interpreter, str(STRANGERS / f"run_result_in_{language}.{suffix}")])
    catalogue = bundled_catalogue()
    every = [one.id for one in catalogue.in_contract(catalogue.contracts["run-result"])]
    small = [id_ for id_ in every if not id_.startswith("run-result/large/")]
    chosen = small[[*interpreters].index(language) :: 3]

    words = [
        "run",
        "--contract",
        "run-result",
        "-n",
        "2",
        "--json",
        "report.json",
        "--probe",
        probe,
        *chosen,
    ]
    suite(tmp_path, *words, timeout=600)

    report = json.loads((tmp_path / "report.json").read_text())
    assert disputable(report) == {}
    assert report["counts"]["conforms"] > 0.9 * len(chosen)


def plain_user() -> list[str]:
    """Return what starts a Python with the suite as a user who is not root, where one can."""
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    starts_itself = "import conformance.plugin, subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    for python in (sys.executable, "/usr/bin/python3"):
        tried = subprocess.run(
            [*as_nobody, python, "-c", starts_itself],
            check=False,
            env=variables(),
            stderr=subprocess.DEVNULL,
        )
        if tried.returncode == 0:
            return [*as_nobody, python]
    pytest.skip("no Python of this version that other users may start")


def variables() -> dict[str, str]:
    """Return an environment in which another Python of this version finds the suite and what it needs."""
    places = [PACKAGE_ROOT, *(place for place in sys.path if place.endswith("-packages"))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.slow
@pytest.mark.skipif(not ROOT, reason="a plain user runs the other tests already")
@pytest.mark.parametrize("language", ["shell", "c"])
def test_a_right_probe_conforms_when_a_plain_user_asks_it(language: str) -> None:
    with open_to_all() as place:
        probe = command(language, place)
        report = asked_by_a_plain_user(place, "--probe", probe, *VARIED)

    found = disputable(report)
    assert found == {}
    assert report["counts"]["conforms"] > 100


@pytest.mark.slow
@pytest.mark.skipif(not ROOT, reason="a plain user runs the other tests already")
def test_a_plain_user_gets_a_manager_as_well() -> None:
    few = ["auth-init/login/new-file", "auth-init/manager-fails/refuses"]
    with open_to_all() as place:
        report = asked_by_a_plain_user(place, "--contract", "auth-init", *few)

    assert (disputable(report), report["counts"]["conforms"]) == ({}, 2)


@contextmanager
def open_to_all() -> Iterator[Path]:
    """Make a directory that a plain user owns: pytest's own ones are closed."""
    place = Path("/tmp") / f"probe-conformance-plain-{os.getpid()}"
    place.mkdir(0o755)
    os.chown(place, NOBODY, NOBODY)
    try:
        yield place
    finally:
        shutil.rmtree(place)


def asked_by_a_plain_user(place: Path, *arguments: str) -> Any:
    """Return the report of a run that a user who is not root starts in *place*."""
    words = plain_user()
    arguments = tuple(each.replace(sys.executable, words[-1]) for each in arguments)
    there = {**variables(), "HOME": str(place), "XDG_CACHE_HOME": str(place / "cache")}
    run = [*words, "-m", "conformance", "run", "-n", "2", "--json", "report.json"]
    subprocess.run([*run, *arguments], check=False, cwd=place, env=there, timeout=300)
    return json.loads((place / "report.json").read_text())
