"""What the suite sees of a CLI beside its exit status: where it lies, what it writes, leaves and is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from factories import bundled_catalogue, ending, exited, program, ran, result
from msgspec.structs import replace
from support_cli import suite

from conformance.bundled import fixtures_dir
from conformance.catalogue.contracts import bundled
from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.standalone import standalone
from conformance.judge.judge import judge
from conformance.model.contract import Contract
from conformance.model.outcome import Execution
from conformance.model.placeholders import Context
from conformance.model.wording import asked_note

SLOT, PREFLIGHT = bundled()["slot"], bundled()["preflight"]
CONTEXT = Context(now=1_800_000_000, seed="seed")

Run = Callable[..., Execution]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Return a function that runs a text for the shell as the probe of a scenario."""
    drivers: list[LocalDriver] = []

    def execute(probe: str, id_: str, contract: Contract = SLOT) -> Execution:
        directory = tmp_path / f"run {len(drivers)}"
        directory.mkdir()
        drivers.append(LocalDriver(("/bin/sh", "-c", probe), directory, cwd=tmp_path))
        return drivers[-1].execute(bundled_catalogue().get(id_), contract, CONTEXT)

    yield execute
    for driver in drivers:
        driver.close()


# Where it lies


@pytest.mark.parametrize(
    "id_", ["cli/link/into-home", "cli/in-home/native", "cli/in-home/npm-prefix"]
)
def test_a_cli_below_the_home_is_found_and_belongs_to_the_home(run: Run, id_: str) -> None:
    found = run('readlink -f "$(command -v claude)"; echo "$HOME"; exec claude --version', id_)
    where, home, version = found.outcome.stdout.decode().splitlines()
    assert (ending(found.outcome), found.changes) == ("exited 0", ())
    assert Path(where).is_relative_to(home)
    assert version == "2.1.197 (Claude Code)"


def test_the_directories_of_several_clis_stand_on_path_in_their_order(run: Run) -> None:
    found = run('echo "$PATH"', "cli/several/not-executable-then-fails").outcome.stdout.decode()
    assert [os.path.basename(part) for part in found.split(":")[:3]] == ["first", "second", "third"]


def test_stubs_built_for_one_home_go_with_it(run: Run, tmp_path: Path) -> None:
    run("true", "cli/link/into-home")
    assert [path.name for path in tmp_path.rglob("*") if path.name == "claude"] == []


def test_home_builds_what_the_cli_has_in_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = standalone(bundled_catalogue().get("cli/in-home/native"), SLOT, home, CONTEXT)
    assert env["PATH"].startswith(f"{home}/.local/bin:{home}.cli:")
    assert (home / ".local" / "bin" / "claude").resolve().read_text().startswith("#!/bin/sh\n")


@pytest.mark.parametrize(("seconds", "sleep"), [(10.0, "3"), (2.5, "0.75")])
def test_a_slow_cli_goes_by_the_limit_of_the_contract(run: Run, seconds: float, sleep: str) -> None:
    contract = replace(SLOT, limits=replace(SLOT.limits, cli_seconds=seconds))
    found = run('cat "$(command -v claude)"', "cli/slow", contract).outcome.stdout.decode()
    assert f"\nsleep {sleep}\n" in found


# What it writes


@pytest.mark.parametrize("contract", [SLOT, PREFLIGHT])
@pytest.mark.parametrize("id_", ["cli/writes/home-no-credentials", "cli/writes/cache"])
def test_what_the_cli_writes_is_not_held_against_the_probe(
    run: Run, id_: str, contract: Contract
) -> None:
    found = run('claude --version; find "$HOME" -type f | wc -l', id_, contract)
    assert found.changes == ()
    assert int(found.outcome.stdout.splitlines()[-1]) > (200 if "cache" in id_ else 0)


@pytest.mark.parametrize(
    "path", [".cache/mine", ".cache/claude/mine", ".cache/claude/pkg/linux-x64/mine"]
)
def test_what_the_probe_writes_beside_it_is(run: Run, path: str) -> None:
    found = run(f'claude --version; mkdir -p "$HOME/{path}"', "cli/writes/cache")
    assert [change.split(" (")[0] for change in found.changes] == [f"added {path}"]


def test_what_one_state_writes_is_not_allowed_in_another(run: Run) -> None:
    probe = 'mkdir -p "$HOME/.cache/claude/pkg/linux-x64"; : >"$HOME/.cache/claude/pkg/linux-x64/file-1"'
    assert len(run(probe, "cli/healthy").changes) > 0
    assert run(probe, "cli/writes/cache").changes == ()


# What it leaves


@pytest.mark.parametrize("id_", ["cli/leaves-a-child", "cli/codex-exit-1"])
def test_what_the_probe_leaves_is_its_own(run: Run, id_: str) -> None:
    outcome = run("sleep 61 & exit 0", id_).outcome
    assert (outcome.left, outcome.left_by_cli) == (("sleep 61",), ())


def test_what_the_cli_leaves_is_told_from_it(run: Run) -> None:
    outcome = run("sleep 61 & claude --version; exit 0", "cli/leaves-a-child").outcome
    assert (outcome.left, outcome.left_by_cli) == (("sleep 61",), ("sleep 120",))


@pytest.mark.parametrize("id_", ["cli/hangs", "cli/hangs-ignoring-sigterm"])
def test_a_cli_that_hangs_and_is_left_running_is_the_probes_own(run: Run, id_: str) -> None:
    outcome = run("claude --version & sleep 0.2; exit 0", id_).outcome
    assert (outcome.left, outcome.left_by_cli) == (("sleep 120",), ())


@pytest.mark.parametrize("id_", ["cli/hangs-in-a-child", "cli/too-slow"])
def test_of_a_cli_that_hangs_in_a_child_only_the_child_is_the_clis(run: Run, id_: str) -> None:
    outcome = run("claude --version & sleep 0.2; exit 0", id_).outcome
    assert len(outcome.left) == len(outcome.left_by_cli) == 1
    assert outcome.left[0].startswith("/bin/sh ")
    assert outcome.left_by_cli[0].startswith("sleep ")
    outcome = run("claude --version & sleep 0.2; kill -9 $!; exit 0", id_).outcome
    assert (outcome.left, len(outcome.left_by_cli)) == ((), 1)


def test_what_the_cli_leaves_is_advice() -> None:
    case = bundled_catalogue().get("cli/leaves-a-child")

    def judged(**left: tuple[str, ...]) -> tuple[str, list[tuple[str, str, str]]]:
        found = judge(case, SLOT, [ran(exited(0, **left))], {})
        return found.result, [(f.kind, f.level, f.rule) for f in found.findings]

    advice = ("left-cli-process", "should", "always-cli-alone")
    assert judged(left_by_cli=("sleep 120",)) == ("conforms", [advice])
    assert judged(left=("sleep 1",), left_by_cli=("sleep 120",)) == (
        "deviates",
        [("left-process", "must", "always-alone"), advice],
    )


# What it is asked


def test_what_a_stub_is_asked_is_kept_and_is_no_change_of_the_home(run: Run) -> None:
    probe = "claude --version; claude -v; claude auth status --json; codex login status; exit 0"
    found = run(probe, "cli/healthy")
    assert found.asked == ("claude auth status --json", "codex login status")
    assert (found.changes, ending(found.outcome)) == ((), "exited 0")


def test_each_question_is_told_once_however_many_executions_share_a_stub(tmp_path: Path) -> None:
    driver = LocalDriver(("/bin/sh", "-c", "claude doctor; exit 0"), tmp_path, cwd=tmp_path)
    case = bundled_catalogue().get("cli/healthy")
    try:
        found = [driver.execute(case, SLOT, CONTEXT).asked for _ in range(3)]
    finally:
        driver.close()
    assert found == [("claude doctor",)] * 3


def test_a_probe_that_asks_without_end_fills_no_report(run: Run) -> None:
    long = "x" * 5000
    found = run(
        f"n=0; while [ $n -lt 40 ]; do n=$((n + 1)); claude {long}; done; exit 0", "cli/healthy"
    )
    assert sum(map(len, found.asked)) < 40 * 300


def test_the_note_names_the_contract_that_asks_clis() -> None:
    asked = {"claude auth status": 59, "codex x": 2, "claude y": 1, "claude z": 1}
    assert asked_note(asked) == (
        "the probe asked a CLI 'claude auth status' (59 times), 'codex x' (2 times), 'claude y' (once) "
        "and 1 more: stubs answer --version, and anything else with exit status 2; "
        "what a CLI says of its own login is judged under the contract cli-status"
    )


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.slow
def test_a_run_says_what_the_probe_asked_its_cli(tmp_path: Path, workers: str) -> None:
    slot = fixtures_dir() / "probes" / "slot.py"
    asks = f"#!/bin/sh\nclaude auth status >/dev/null 2>&1\nexec python3 {slot}\n"
    probe = program(tmp_path / "probe", asks)
    done = suite(
        tmp_path,
        *("run", "agent/claude-ready", "cli/silent", "cli/link/npm", "-n", workers),
        *("--probe", str(probe), "--json", "report.json"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = (done.stdout + done.stderr).splitlines()
    assert "NOTE the probe asked a CLI 'claude auth status' (2 times): " in "\n".join(said)
    # The silent one answers anything, and says nothing of it.
    text = (tmp_path / "report.json").read_text()
    assert '"asked": {\n    "claude auth status": 2\n  }' in text
    assert text.count('"asked"') == 1


def test_a_run_whose_probe_asks_for_the_version_only_says_nothing_of_it(tmp_path: Path) -> None:
    done = suite(tmp_path, "run", "cli/healthy", "-n", "0", "--json", "-")
    assert (done.returncode, "NOTE" in done.stderr) == (0, False)
    assert '"asked": {}' in done.stdout


def test_results_without_questions_stay_as_they_are() -> None:
    assert replace(result(), asked=()) == result()
