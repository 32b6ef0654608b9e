"""What a shell offers when Tab is pressed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import get_completion_class
from support_cli import environment

from conformance.cli import COMMANDS, cli

VARIABLE = "_PROBE_CONFORMANCE_COMPLETE"
#: What has bash call the function of the script as it does when Tab is pressed.
PRESS_TAB = """\
source probe-conformance.bash
COMP_WORDS=(probe-conformance "$@")
COMP_CWORD=$#
_probe_conformance_completion probe-conformance
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(*words: str, incomplete: str = "") -> list[str]:
    """Return what is offered behind *words*."""
    shell = get_completion_class("bash")
    assert shell is not None
    found = shell(cli, {}, "probe-conformance", VARIABLE).get_completions([*words], incomplete)
    return [item.value for item in found]


def script(directory: Path, shell: str) -> Path:
    """Return the script that makes *shell* complete, as the page says how to get it."""
    done = subprocess.run(
        [sys.executable, "-m", "conformance"],
        env=environment(**{VARIABLE: f"{shell}_source"}),
        cwd=directory,
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    file = directory / f"probe-conformance.{shell}"
    file.write_bytes(done.stdout)
    return file


def test_commands_are_offered() -> None:
    assert offered() == list(COMMANDS)
    assert offered(incomplete="lo") == ["lockstep"]


@pytest.mark.parametrize("command", ["run", "list", "show", "home", "repro", "compare", "lockstep"])
def test_ids_are_offered(command: str) -> None:
    assert offered(command, incomplete="claude/nested-s") == ["claude/nested-session"]


def test_ids_are_those_of_the_contract_that_is_typed() -> None:
    assert offered("run", incomplete="gate/") == []
    assert offered("run", "--contract", "gate", incomplete="gate/") != []
    assert offered("run", "--contract", "no such", incomplete="claude/") == []
    codex = offered("run", "--agent", "codex", incomplete="agent/")
    assert [id_ for id_ in codex if "claude" in id_] == []


def test_ids_are_those_of_the_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "probe-conformance.toml").write_text('contract = "gate"\n')
    monkeypatch.chdir(tmp_path)

    assert offered("run", incomplete="gate/") != []
    (tmp_path / "probe-conformance.toml").write_text("wrong = 1\n")
    assert offered("run", incomplete="claude/nested-s") == ["claude/nested-session"]


def test_contracts_are_offered() -> None:
    assert offered("run", "--contract", incomplete="slot") == ["slot", "slot-strict"]


def test_a_file_is_left_to_the_shell() -> None:
    shell = get_completion_class("bash")
    assert shell is not None
    complete = shell(cli, {}, "probe-conformance", VARIABLE)
    for words, incomplete in ((["run"], "./own"), (["run", "--contract"], "my.toml")):
        [item] = complete.get_completions(words, incomplete)
        assert (item.type, item.value) == ("file", incomplete)


def test_bash_completes(tmp_path: Path) -> None:
    program = tmp_path / "probe-conformance"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m conformance "$@"\n')
    program.chmod(0o755)
    script(tmp_path, "bash")
    done = subprocess.run(
        ["bash", "-c", PRESS_TAB, "bash", "show", "claude/nested-s"],
        cwd=tmp_path,
        env=environment(PATH=f"{tmp_path}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("claude/nested-session\n", "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_the_script(tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", script(tmp_path, shell)], timeout=60, check=True)


def test_every_command_can_be_completed() -> None:
    """Importing each of them must not fail there, and every option is offered."""
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert "--help" in offered(name, incomplete="--h"), name
