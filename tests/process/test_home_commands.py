"""The commands that leave a home behind: run --keep, repro and home."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import textwrap
from pathlib import Path

import pytest
from factories import written
from support_commands import (
    DIFFERENCE,
    MISSING,
    PAIR,
    REFERENCE,
    SCENARIO,
    cache,
    report,
    results,
    rows,
    shell,
    suite,
)


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


def test_homes_are_kept_where_one_id_lies_below_another(tmp_path: Path) -> None:
    for name in ("mine/case", "mine/case/deeper"):
        written(tmp_path / f"scenarios/{name}.toml", SCENARIO)
    words = ["mine/case/deeper", "mine/case", "--scenarios", "scenarios", "--probe", MISSING]

    found = report(tmp_path, *words, "-n", "0", "--keep", "kept")

    assert set(results(found).values()) == {"deviates"}, found
    assert (tmp_path / "kept/mine/case/home/.claude/own").exists()
    assert (tmp_path / "kept/mine/case/deeper/home/.claude/own").exists()


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
