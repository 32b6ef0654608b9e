"""The command reduce: a real probe in one home after the other, and what is written in the end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from ballast import laden
from factories import wait_for
from support import start
from support_cli import environment, suite

from conformance.bundled import fixtures_dir
from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.catalogue.lint import lint
from conformance.catalogue.scenarios import parsed_scenario
from conformance.catalogue.toml import read_toml
from conformance.catalogue.writing import scenario_text
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.specification.case import case_of
from conformance.specification.decide import decide

SLOT = contracts.load("slot")
REFERENCE = shlex.join([sys.executable, "-I", str(fixtures_dir() / "probes" / "slot.py")])


def probe(directory: Path, text: str) -> str:
    """Write a probe of slot in shell, which looks at logins as *text* says; return its command."""
    file = directory / "probe.sh"
    file.write_text(
        f"#!/bin/sh\ncase $WOVED_TASK_AGENT in claude|codex) ;; *) exit 64;; esac\n{text}\n"
    )
    return f"sh {file}"


#: It finds no login that lies in a directory below .claude.
FLAT = """
"$WOVED_TASK_AGENT" --version > /dev/null 2>&1 || exit 64
for file in "$HOME"/.claude/* "$HOME"/.claude/.[!.]*; do
    case ${file##*/} in CLAUDE.md|config.toml|settings.json) continue;; esac
    [ -f "$file" ] && [ ! -L "$file" ] && exit 0
done
exit 65
"""
AT_RANDOM = "exit $(( 65 * ( $(od -An -N1 -tu1 /dev/urandom) % 2 ) ))"


def called_for(one: Scenario) -> object:
    decision = decide(case_of(one, SLOT, Context(now=1.8e9, seed="")), SLOT)
    return decision and (decision.rule, decision.verdicts)


@pytest.mark.slow
def test_a_home_full_of_other_things_comes_down_to_the_fault(tmp_path: Path) -> None:
    """What is written is the same fault: it deviates in the same way, has a control in which the probe is right, and lint asks for words alone."""
    by_hand = load_catalogue().get("claude/nested-session")
    home = laden(by_hand, 13, lambda one: called_for(one) == called_for(by_hand))
    # None of the ballast lies at the top of .claude, where this probe looks.
    (tmp_path / "scenarios" / "mine").mkdir(parents=True)
    (tmp_path / "found.toml").write_text(scenario_text(home))
    command = probe(tmp_path, FLAT)

    done = suite(
        tmp_path, "reduce", "found.toml", "--probe", command, "-o", "scenarios/mine/small.toml"
    )
    again = suite(tmp_path, "repro", "scenarios/mine/small.toml", "--probe", command)

    assert (done.returncode, done.stderr) == (0, "")
    catalogue = load_catalogue([tmp_path / "scenarios"])
    small = catalogue.get("mine/small")
    assert len(home.entries) >= 50
    assert len(small.entries) <= len(by_hand.entries)
    # Hundreds of files are enough for the fault; a reader understands this one.
    assert ".claude/.credentials/session.json" in {entry.path for entry in small.entries}
    assert (small.expect, small.rules) == ({"slot": ("ready",)}, {"slot": ("claude-login",)})
    assert again.returncode == 1
    assert "got: creds-missing (65)" in again.stdout
    control = suite(tmp_path, "run", small.control[""], "--probe", command, "-n0")
    assert control.returncode == 0, control.stdout
    complaints = [one.check for one in lint(catalogue) if one.where == small.id]
    assert set(complaints) <= {"summary", "origin"}


#: As above, but once little is left it takes longer than anybody waits.
FLAT_AND_SLOW = f"""
[ "$(find "$HOME" | wc -l)" -lt 20 ] && exec sleep 8.{os.getpid()}
{FLAT}"""


def interrupted_while_asleep(
    directory: Path, words: list[str], seconds: str, *, again: bool = False
) -> tuple[int, str]:
    """Interrupt a command once its probe sleeps for so many *seconds* and a part that is ours alone.

    And *again*, once it has said so and another probe sleeps.
    """
    wanted = f"sleep\0{seconds}.{os.getpid()}\0".encode()

    def is_asleep() -> bool:
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # one that has ended meanwhile
                if file.read_bytes() == wanted:
                    return True
        return False

    with start(
        [sys.executable, "-m", "conformance", *words],
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        wait_for(is_asleep, "probe that is slow")
        command.send_signal(signal.SIGINT)
        said = ""
        if again:
            assert command.stdout is not None
            while "interrupted;" not in said:
                line = command.stdout.readline()
                assert line, said
                said += line
            wait_for(is_asleep, "probe that is slow in what may be a control")
            command.send_signal(signal.SIGINT)
        rest, _ = command.communicate()
    return command.returncode, said + rest


@pytest.mark.slow
def test_an_interrupt_leaves_what_is_smallest_by_then(tmp_path: Path) -> None:
    by_hand = load_catalogue().get("claude/nested-session")
    home = laden(by_hand, 13, lambda one: called_for(one) == called_for(by_hand))
    (tmp_path / "found.toml").write_text(scenario_text(home))
    command = probe(tmp_path, FLAT_AND_SLOW)
    words = ["reduce", "found.toml", "--probe", command, "-o", "small.toml"]

    status, said = interrupted_while_asleep(tmp_path, words, "8")
    again = suite(tmp_path, "repro", "small.toml", "--probe", command)

    assert status == 130, said
    assert "interrupted; looking for a control" in said
    assert "left after" in said
    assert "interrupted, so more may be taken away" in (tmp_path / "small.toml").read_text()
    small = parsed_scenario(read_toml(tmp_path / "small.toml"), "small", {"slot": SLOT})
    assert len(small.entries) < len(home.entries)
    assert "can be left out without losing the fault" not in small.differs
    assert "got: creds-missing (65)" in again.stdout


@pytest.mark.slow
def test_a_second_interrupt_writes_nothing(tmp_path: Path) -> None:
    by_hand = load_catalogue().get("claude/nested-session")
    home = laden(by_hand, 13, lambda one: called_for(one) == called_for(by_hand))
    (tmp_path / "found.toml").write_text(scenario_text(home))
    command = probe(tmp_path, FLAT_AND_SLOW)
    words = ["reduce", "found.toml", "--probe", command, "-o", "small.toml"]

    status, said = interrupted_while_asleep(tmp_path, words, "8", again=True)

    assert status == 130, said
    assert "left after" not in said
    assert not (tmp_path / "small.toml").exists()


@pytest.mark.slow
def test_an_interrupt_before_anything_is_smaller_writes_nothing(tmp_path: Path) -> None:
    command = probe(tmp_path, f"sleep 1.{os.getpid()}; exit 65")
    words = ["reduce", "claude/nested-session", "--probe", command, "-o", "small.toml"]

    status, _ = interrupted_while_asleep(tmp_path, words, "1")

    assert status == 130
    assert not (tmp_path / "small.toml").exists()


@pytest.mark.slow
def test_two_probes_are_compared_where_that_is_asked_for(tmp_path: Path) -> None:
    flat = probe(tmp_path, FLAT)

    done = suite(
        tmp_path,
        "reduce",
        "claude/nested-session",
        "--probe",
        REFERENCE,
        "--against",
        flat,
        "-o",
        "small.toml",
    )

    assert done.returncode == 0, done.stderr
    assert "ready (0), where the other probe says creds-missing (65)" in done.stdout
    assert ".claude/.credentials/session.json: empty file" in done.stdout
    # Both have to go on answering the same, and nothing else: the account is no part of it.
    assert "1 entry left" in done.stdout


@pytest.mark.parametrize("against", [(), ("--against", REFERENCE)], ids=["contract", "probe"])
def test_a_probe_that_answers_at_random_is_refused_with_a_reason(
    tmp_path: Path, against: tuple[str, ...]
) -> None:
    done = suite(
        tmp_path,
        "reduce",
        "claude/nested-session",
        "--probe",
        probe(tmp_path, AT_RANDOM),
        *against,
        "-o",
        "small.toml",
    )

    assert done.returncode == 3
    assert done.stderr.startswith(
        "probe-conformance: the probe does not answer the same when it is asked the same again; "
    )
    assert not (tmp_path / "small.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["claude/nested-session", "-o", "small.toml"], "the probe conforms in 'claude/nested-session'; there is nothing to reduce"),
        (["claude/nested-session", "--against", REFERENCE, "-o", "small.toml"], "both probes answer the same in"),
        (["claude/*", "-o", "small.toml"], "'claude/*' names "),
        (["claude/nested-session", "-o", "there.toml"], "there.toml is there already; name another file"),
        (["claude/nested-session", "-o", "link.toml"], "link.toml is there already"),
        (["claude/nested-session", "-o", "Small.toml"], "-o 'Small.toml' is no name of a scenario file"),
        (["claude/nested-session", "-o", "no/small.toml"], "no directory "),
        (["gate/mended-is-noticed", "--contract", "gate", "-o", "small.toml"], "'gate/mended-is-noticed'"),
        (["cli/exit-1", "--contract", "cli-status", "-o", "small.toml"], "cli"),
    ],
)  # fmt: skip
def test_what_cannot_be_reduced_is_refused_in_one_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "there.toml").write_text("precious")
    (tmp_path / "link.toml").symlink_to("nowhere")

    done = suite(tmp_path, "reduce", *arguments)

    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "there.toml").read_text() == "precious"
    assert not (tmp_path / "small.toml").exists()
