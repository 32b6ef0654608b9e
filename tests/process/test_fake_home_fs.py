"""Tests of other people's, with homes in their fake file system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from factories import written
from support_pytest import PLUGIN, outcomes, run_pytest

import conformance
from conformance.errors import UsageError

FAKES = ["pyfakefs.pytest_plugin", PLUGIN]

#: Gates of strangers: with pathlib, with os.walk, with coroutines.
GATES = """
import asyncio, json, os, subprocess, time
from os import scandir
from pathlib import Path

NULL = subprocess.DEVNULL


def with_pathlib():
    home = Path.home()
    found = [p for p in (home / ".claude").rglob("*") if p.is_file() and not p.is_symlink()]
    return any(p.name not in ("CLAUDE.md", "settings.json", "config.toml") for p in found)


def with_walk():
    for top, _, names in os.walk(os.path.expanduser("~/.claude")):
        for name in names:
            if name not in ("CLAUDE.md", "settings.json", "config.toml"):
                return True
    return False


def with_scandir(top=None):
    with scandir(top or os.path.join(os.environ["HOME"], ".claude")) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                if with_scandir(entry.path):
                    return True
            elif entry.name not in ("CLAUDE.md", "settings.json", "config.toml"):
                return True
    return False


async def cli_with_asyncio():
    cli = await asyncio.create_subprocess_exec("claude", "--version", stdout=NULL)
    try:
        return await asyncio.wait_for(cli.wait(), 10) == 0
    except TimeoutError:
        cli.kill()
        return False


class Cached:
    def __init__(self, clock=time.monotonic):
        self.clock, self.at, self.answer, self.looks = clock, None, None, 0

    def __call__(self):
        if self.at is None or self.clock() - self.at > 300:
            self.at, self.looks = self.clock(), self.looks + 1
        return self.looks
"""

TESTS = """
import asyncio, os, subprocess, time
import gates
import pytest

LOGIN = "claude/nested-session"
NONE = "claude/baseline-only"


@pytest.mark.parametrize("gate", [gates.with_pathlib, gates.with_walk, gates.with_scandir])
def test_gates(gate, fake_home_fs):
    fake_home_fs(LOGIN)
    assert gate()
    home = fake_home_fs(NONE)  # takes the place of the first
    assert not gate()
    assert home.expected == ("creds-missing",)
    assert home.codes == {65}
    assert (home.path / ".claude" / "CLAUDE.md").is_file()
    assert home.env == dict(os.environ)


def test_after_it_all_is_as_before():
    assert "WOVED_TASK_AGENT" not in os.environ
    assert os.path.exists(__file__)
    assert subprocess.run(["true"]).returncode == 0
    assert abs(time.time() - time.clock_gettime(time.CLOCK_REALTIME)) < 60


def test_fake_first(fs, fake_home_fs):
    fs.create_file("/mine", contents="kept")
    home = fake_home_fs(LOGIN)
    assert open("/mine").read() == "kept"
    assert home.path.exists()


@pytest.mark.parametrize("id_", ["cli/too-slow", "cli/hangs", "cli/slow"])
def test_the_clock(id_, fake_home_fs):
    home = fake_home_fs(id_, clock=True)
    start = time.time()
    assert asyncio.run(gates.cli_with_asyncio()) is (id_ == "cli/slow")
    assert time.time() - start == (3 if id_ == "cli/slow" else 10)


def test_a_cache(fake_home_fs):
    home = fake_home_fs(LOGIN, clock=True)
    gate = gates.Cached()
    assert [gate(), gate()] == [1, 1]
    home.clock.shift(299)
    assert gate() == 1
    time.sleep(2)
    assert gate() == 2


def test_escape(fake_home_fs):
    fake_home_fs(LOGIN)
    subprocess.run(["sh", "-c", "true"])


def test_hidden_escape(fake_home_fs):
    fake_home_fs(LOGIN)
    try:
        os.statvfs("/")
    except BaseException:
        pass


def test_hidden_hang(fake_home_fs):
    fake_home_fs("cli/hangs", clock=True)
    try:
        subprocess.run(["claude", "--version"])
    except BaseException:
        pass


def test_skipped(fake_home_fs):
    fake_home_fs("surroundings/earlier/claude-logged-in")


def test_unknown(fake_home_fs):
    fake_home_fs("claude/nested-sessoin")


def test_other_contract(fake_home_fs):
    home = fake_home_fs("cli/healthy", contract="preflight")
    assert home.contract.name == "preflight"
    assert os.environ["AGENT_HOME"] == str(home.path)
    assert os.environ["HOME"] != str(home.path)
"""


@pytest.mark.slow
def test_gates_of_strangers_find_homes_in_their_fake_file_system(tmp_path: Path) -> None:
    written(tmp_path / "gates.py", GATES)
    written(tmp_path / "test_own.py", TESTS)

    done = run_pytest(tmp_path, "-v", "-rs", plugins=FAKES)

    wrong = ("escape", "hidden_escape", "hidden_hang", "unknown")
    expected = {f"test_own.py::test_{name}": "FAILED" for name in wrong}
    expected["test_own.py::test_skipped"] = "SKIPPED"
    found = outcomes(done)
    assert {name: found[name] for name in expected} == expected, done.stdout
    assert [name for name, how in found.items() if how != "PASSED" and name not in expected] == []
    assert len(found) == 15
    for line in (
        "Escape: the gate starts 'sh': that is no part of the fake home, and was refused",
        "claude/nested-session: the gate calls os.statvfs('/'): that is no part of the fake home",
        "cli/hangs: the gate gave no answer within 15 s",
        "no scenario 'claude/nested-sessoin'",
        "the probe runs twice, in two processes that share more than a fake file system",
    ):
        assert line in done.stdout, done.stdout


@pytest.mark.slow
def test_without_the_plug_in_of_pyfakefs_one_line_says_what_is_missing(tmp_path: Path) -> None:
    written(tmp_path / "test_own.py", "def test(fake_home_fs):\n    pass\n")
    done = run_pytest(tmp_path, plugins=[PLUGIN])
    assert "the fixture 'fake_home_fs' needs the fixture 'fs' of pyfakefs" in done.stdout


def test_scenarios_are_named_by_contract_agent_and_pattern() -> None:
    every = conformance.scenarios()
    assert "claude/nested-session" in every
    assert every == sorted(every)
    assert not [id_ for id_ in every if id_.startswith("container/")]
    codex = conformance.scenarios("slot", agent="codex")
    assert set(codex) < set(every)
    assert conformance.scenarios("preflight", only=["cli/hangs", "cli/link/np?"]) == [
        *("cli/hangs", "cli/link/npm"),
    ]
    with pytest.raises(UsageError, match="no contract 'slott'"):
        conformance.scenarios("slott")
    with pytest.raises(AttributeError, match="module 'conformance' has no attribute 'nothing'"):
        conformance.nothing  # noqa: B018


def test_scenarios_of_ones_own_are_named_too(tmp_path: Path) -> None:
    written(
        tmp_path / "own" / "acme" / "login.toml",
        """
        summary = "x"
        origin = "y"
        agent = "claude"
        control = "claude/baseline-only"
        [expect]
        slot = "ready"
        [home.files]
        ".claude/own" = "x"
        """,
    )
    assert "acme/login" in conformance.scenarios(scenarios=[tmp_path / "own"])


def test_what_the_package_offers_is_imported_when_it_is_asked_for() -> None:
    code = (
        "import sys, conformance; assert 'conformance.api' not in sys.modules; conformance.Outcome"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
