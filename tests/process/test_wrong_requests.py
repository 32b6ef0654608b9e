"""Requests that are wrong: one line that says so, status 2, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import written
from support_cli import call
from support_commands import PAIR, cache, suite

from conformance.catalogue.contracts import bundled

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
    (["run", "--contract", "no-such.toml"], "no contract file no-such.toml; correct the path"),
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
    (
        ["repro", "cli/healthy", "--allow-write", ""],
        "--allow-write is empty; give it a value, or leave it out",
    ),
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
    (["home", "claude/nested-session", "a:b"], "a:b cannot be used: its path has a colon"),
    (["run", "claude/nested-session", "--keep", "a:b"], "homes cannot be kept in a:b: its path"),
    (["repro", "claude/nested-session", "--keep", "a:b"], "homes cannot be kept in a:b: its path"),
    (["home", "claude/nested-session", "plain"], "plain is not a directory"),
    *(
        ([*command, ""], f"{command[-1]} is empty; give it a value, or leave it out")
        for command in (
            *(["run", f"--{name}"] for name in ("json", "junit", "html", "write-known-failures")),
            *(["run", f"--{name}"] for name in ("last-failed", "agent", "scenarios", "baseline")),
            ["diff", "a", "b", "--json"],
            ["list", "--html"],
        )
    ),
    (["run", "--json="], "--json is empty"),
    (["run", "--known-failures", " "], "--known-failures is empty"),
    (["run", "--baseline", "plain", "--junit", "plain"], "plain is the file of --baseline"),
    (["run", "--last-failed", "plain", "--html", "./plain"], "plain is the file of --last-failed"),
    (
        ["run", "--known-failures", "plain", "--json", "plain"],
        "plain is the file of --known-failures; name another file to write",
    ),
    (
        ["run", "--json", "new", "--write-known-failures", "new"],
        "--json and --write-known-failures both write to new",
    ),
    (["diff", "plain", "bad.toml", "--json", "plain"], "plain is one of the reports"),
    (["diff", "bad.toml", "plain", "--json", "./plain"], "plain is one of the reports"),
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
