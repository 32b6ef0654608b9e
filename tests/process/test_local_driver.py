"""The local driver and the engine over it: what the probe finds, what is seen of it, and what becomes of its home."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest
from factories import broke, directory, ending, entry, file, program, ran, scenario, unsupported
from msgspec.structs import replace

from conformance import home
from conformance.catalogue.agents import cli_state, cli_states
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.contracts import bundled
from conformance.drivers import conditions as scene
from conformance.drivers.local import built_home, isolation, supervisor
from conformance.drivers.local import driver as local
from conformance.drivers.local.command import SYSTEM_PATH, parse_command
from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.standalone import standalone
from conformance.errors import CannotJudge, UsageError
from conformance.home import Node
from conformance.home.build import Unbuildable
from conformance.model.contract import Contract, Inputs, Limits
from conformance.model.outcome import Execution, Outcome
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import ContainerNeeds, Process, Scenario
from conformance.run.scenario_runner import ScenarioRunner

SLOT, PREFLIGHT = bundled()["slot"], bundled()["preflight"]
CONTEXT = Context(now=1_800_000_000, seed="seed")


MakeDriver = Callable[..., LocalDriver]


@pytest.fixture
def make_driver(tmp_path: Path) -> Iterator[MakeDriver]:
    """Return a function that makes a driver whose probe is a text for the shell, or a whole command."""
    made: list[LocalDriver] = []

    def make(
        probe: str | tuple[str, ...],
        *,
        cwd: Path | None = None,
        extra: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> LocalDriver:
        run = tmp_path / f"run-{len(made)}"
        run.mkdir()
        argv = ("/bin/sh", "-c", probe) if isinstance(probe, str) else probe
        made.append(LocalDriver(argv, run, cwd=cwd or tmp_path, extra=extra, keep=keep))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


def run(driver: LocalDriver, case: Scenario, contract: Contract = SLOT) -> Execution:
    return driver.execute(case, contract, CONTEXT)


def why_broke(execution: Execution) -> str:
    """Return why an execution broke, and make sure that it did."""
    kind, _, reason = ending(execution.outcome).partition(": ")
    assert kind == "broke"
    return reason


def why_unsupported(outcome: Outcome) -> str:
    """Return why a scenario was not run, and make sure that it was not."""
    kind, _, reason = ending(outcome).partition(": ")
    assert kind == "unsupported"
    return reason


# The command.


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("./probe", ["./probe"]),
        ("./probe --flag -x", ["./probe", "--flag", "-x"]),
        ("  ./probe\t--flag\n", ["./probe", "--flag"]),
        ("'./my probe' 'two words'", ["./my probe", "two words"]),
        ("./my\\ probe two\\ words", ["./my probe", "two words"]),
        ('"./my probe" "" \'\'', ["./my probe", "", ""]),
        (
            "./probe $HOME '*' ~ ; && | > x # y",
            ["./probe", "$HOME", "*", "~", ";", "&&", "|", ">", "x", "#", "y"],
        ),
        ("sub/probe", ["sub/probe"]),
        ("sub/../probe", ["probe"]),
        ("./caf\u00e9", ["./caf\u00e9"]),
    ],
)
def test_a_command_is_split_like_in_a_shell_and_its_program_found_from_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, expected: list[str]
) -> None:
    for name in ("probe", "my probe", "sub/probe", "caf\u00e9"):
        program(tmp_path / "with blanks" / name)
    monkeypatch.chdir("/")
    found = parse_command(command, tmp_path / "with blanks")
    assert os.path.isabs(found[0])
    assert os.path.samefile(found[0], tmp_path / "with blanks" / expected[0])
    assert list(found[1:]) == expected[1:]


def test_an_absolute_program_is_taken_as_it_is(tmp_path: Path) -> None:
    probe = program(tmp_path / "probe")
    assert parse_command(f"'{probe}' a", Path("/nonexistent")) == (str(probe), "a")


def test_the_parent_of_a_linked_directory_is_the_real_one(tmp_path: Path) -> None:
    probe = program(tmp_path / "real" / "probe")
    (tmp_path / "real" / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "sub")
    found = parse_command("link/../probe", tmp_path)
    assert os.path.samefile(found[0], probe)


def test_a_linked_program_keeps_its_name(tmp_path: Path) -> None:
    """A program may act by the name it is called with."""
    program(tmp_path / "real")
    (tmp_path / "linked").symlink_to("real")
    assert parse_command("./linked", tmp_path) == (str(tmp_path / "linked"),)


def test_a_name_without_a_slash_is_looked_up_on_path_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "cwd" / "my-probe")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(UsageError, match="no probe 'my-probe'"):
        parse_command("my-probe", tmp_path / "cwd")
    program(tmp_path / "bin" / "my-probe").chmod(0o644)
    with pytest.raises(UsageError, match="no probe 'my-probe'"):
        parse_command("my-probe", tmp_path / "cwd")
    (tmp_path / "bin" / "my-probe").chmod(0o755)
    assert parse_command("my-probe --flag", tmp_path / "cwd") == (
        str(tmp_path / "bin" / "my-probe"),
        "--flag",
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "--probe is empty; give a command, such as ./my_probe"),
        (" \t\n", "--probe is empty; give a command, such as ./my_probe"),
        ("'' x", "--probe is empty; give a command, such as ./my_probe"),
        (
            "./probe 'open",
            "--probe cannot be split: no closing quotation; quote it like in a shell",
        ),
        (
            './probe "open',
            "--probe cannot be split: no closing quotation; quote it like in a shell",
        ),
        ("./probe \\", "--probe cannot be split: no escaped character; quote it like in a shell"),
        ("./nothing", "no probe './nothing'; name a program on PATH, or a path to one"),
        (
            "nothing-of-this-name",
            "no probe 'nothing-of-this-name'; name a program on PATH, or a path to one",
        ),
        ("./probe/x", "no probe './probe/x'; name a program on PATH, or a path to one"),
        ("./dangling", "no probe './dangling'; name a program on PATH, or a path to one"),
        ("./loop", "no probe './loop'; name a program on PATH, or a path to one"),
        (f"./{'x' * 300}", f"no probe './{'x' * 300}'; name a program on PATH, or a path to one"),
        (
            "./text",
            "the probe './text' is not executable; chmod +x it, or name its interpreter: 'python3 probe.py'",
        ),
        (
            "./sub",
            "the probe './sub' is not executable; chmod +x it, or name its interpreter: 'python3 probe.py'",
        ),
        (
            "/",
            "the probe '/' is not executable; chmod +x it, or name its interpreter: 'python3 probe.py'",
        ),
    ],
)
def test_a_command_that_names_no_program_is_refused(
    tmp_path: Path, command: str, message: str
) -> None:
    program(tmp_path / "probe")
    program(tmp_path / "text").chmod(0o644)
    (tmp_path / "sub").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError) as caught:
        parse_command(command, tmp_path)
    assert str(caught.value) == message


# What the probe finds.


def found_variables(execution: Execution) -> dict[str, str]:
    assert ending(execution.outcome) == "exited 0", execution
    return dict(pair.split("=", 1) for pair in execution.outcome.stdout.decode().split("\0")[:-1])


ENV = ("/usr/bin/env", "-0")


def test_nothing_of_the_callers_environment_reaches_the_probe(
    make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "CALLER_MARKER",
        "CODEX_HOME",
        "CLAUDE_CONFIG_DIR",
        "ORCH_PREFLIGHT_CHECK_AUTH",
        "LC_ALL",
        "LANG",
        "LD_PRELOAD_",
    ):
        monkeypatch.setenv(name, "leaked")
    monkeypatch.setenv("HOME", "/the/real/one")
    slot = found_variables(run(make_driver(ENV), scenario()))
    assert slot.keys() == {"HOME", "LANG", "PATH", "TZ", "WOVED_TASK_AGENT"}
    preflight = found_variables(run(make_driver(ENV), scenario(), PREFLIGHT))
    assert preflight.keys() == {"AGENT_HOME", "HOME", "LANG", "PATH", "TZ"}
    assert not [
        value
        for value in (*slot.values(), *preflight.values())
        if "leaked" in value or "/the/real/one" in value
    ]


def test_extra_variables_reach_the_probe_and_the_scenario_wins(make_driver: MakeDriver) -> None:
    driver = make_driver(
        ENV, extra={"EXTRA": "user\nlines", "TZ": "Asia/Tokyo", "MINE": "user", "OURS": "user"}
    )
    found = found_variables(
        run(driver, scenario(env={"MINE": "{home}", "WOVED_TASK_AGENT": "ghost"}, unset=("OURS",)))
    )
    assert (found["EXTRA"], found["TZ"], found["WOVED_TASK_AGENT"]) == (
        "user\nlines",
        "Asia/Tokyo",
        "ghost",
    )
    assert found["MINE"] == found["HOME"]
    assert "OURS" not in found


def test_each_execution_has_a_home_of_its_own_outside_the_system_s_temporary_directory_of_others(
    make_driver: MakeDriver,
) -> None:
    driver = make_driver(ENV)
    homes = [found_variables(run(driver, scenario()))["HOME"] for _ in range(3)]
    assert len(set(homes)) == 3
    assert all(Path(home).is_relative_to(driver.directory) for home in homes)


def test_the_home_holds_what_the_scenario_says(make_driver: MakeDriver) -> None:
    case = scenario(file(".claude/x y", "{secret} at {home}"), directory(".claude/d", mode=0o711))
    execution = run(
        make_driver(
            'cat "$HOME/.claude/x y"; echo; echo "$HOME"; stat -c %a "$HOME" "$HOME/.claude/d"'
        ),
        case,
    )
    text, home, *modes = execution.outcome.stdout.decode().splitlines()
    assert text == f"{replace(CONTEXT, scenario='a/b').secret()} at {home}"
    assert modes == ["700", "711"]
    assert execution.changes == ()


def test_the_probe_runs_in_the_callers_directory(make_driver: MakeDriver, tmp_path: Path) -> None:
    cwd = tmp_path / "with blanks"
    cwd.mkdir()
    assert run(make_driver("pwd", cwd=cwd), scenario()).outcome.stdout.decode() == f"{cwd}\n"


@pytest.mark.parametrize(
    ("verdict", "holds"),
    [
        ("ready", []),
        ("creds-missing", [".claude", ".claude.json"]),
        ("creds-invalid", [".claude", ".claude.json"]),
    ],
)
def test_under_preflight_home_is_one_with_the_opposite_answer(
    make_driver: MakeDriver, verdict: str, holds: list[str]
) -> None:
    code = """
        import json, os
        home, other = os.environ["AGENT_HOME"], os.environ["HOME"]
        print(json.dumps([home != other, os.listdir(home), sorted(os.listdir(other))]))
    """
    probe = (sys.executable, "-I", "-S", "-c", textwrap.dedent(code))
    execution = run(make_driver(probe), scenario(file("mine"), expect=[verdict]), PREFLIGHT)
    assert msgspec.json.decode(execution.outcome.stdout) == [True, ["mine"], holds]


def test_the_opposite_home_of_preflight_is_a_good_login_and_private(
    make_driver: MakeDriver,
) -> None:
    execution = run(
        make_driver('cat "$HOME/.claude/.credentials.json"'),
        scenario(expect=["creds-missing"]),
        PREFLIGHT,
    )
    login = msgspec.json.decode(execution.outcome.stdout)["claudeAiOauth"]
    assert login["expiresAt"] > CONTEXT.now * 1000
    assert login["accessToken"] == replace(CONTEXT, scenario="a/b").secret()


def opposing(agent: str) -> Contract:
    inputs = Inputs(home="AGENT_HOME", agent="WOVED_TASK_AGENT", opposite_home="HOME")
    return replace(SLOT, agents=(agent,), inputs=inputs)


def test_a_contract_of_ones_own_has_opposite_homes_for_codex_as_well(
    make_driver: MakeDriver,
) -> None:
    execution = run(
        make_driver('ls -A "$HOME"'),
        scenario(agent="codex", expect=["creds-missing"]),
        opposing("codex"),
    )
    assert execution.outcome.stdout == b".codex\n"


def test_an_agent_of_whose_logins_nothing_is_known_broke(make_driver: MakeDriver) -> None:
    """An error, and not an exception, of which there would be one traceback a scenario."""
    execution = run(
        make_driver("exit 0"), scenario(agent="ghost", expect=["creds-missing"]), opposing("ghost")
    )
    assert "no layer 'ghost-credentials'" in why_broke(execution)


# PATH.


TRY = """
    echo "found: $(command -v claude)"
    claude --version
    echo "code: $?"
    helper
    IFS=:
    for directory in $PATH; do
        case $directory in '') directory=. ;; esac
        for cli in claude codex; do
            if grep -q REAL "$directory/$cli" 2>/dev/null; then echo "REAL $cli is in $directory"; fi
        done
    done
    exit 0
"""


def real_clis(directory: Path) -> Path:
    """Make a directory with CLIs that must not answer, and a program that may."""
    for name in ("claude", "codex"):
        program(directory / name, "#!/bin/sh\necho REAL\n")
    program(directory / "helper", "#!/bin/sh\necho helped\n")
    return directory


@pytest.mark.parametrize(
    "state",
    sorted(
        {*cli_states()}
        - {*[state for state in cli_states() if cli_state(state).waits], "huge-output"}
    ),
)
@pytest.mark.slow
def test_a_real_cli_on_path_is_out_of_reach_and_its_neighbours_are_not(
    make_driver: MakeDriver, tmp_path: Path, state: str
) -> None:
    driver = make_driver(TRY, extra={"PATH": f"{real_clis(tmp_path / 'bin')}:/usr/bin:/bin"})
    outcome = run(driver, scenario(cli=state)).outcome
    assert b"REAL" not in outcome.stdout
    assert b"\nhelped\n" in outcome.stdout
    # The shell that asks passes over what may not be executed, as the contract says of several.
    succeed = {
        "healthy",
        "alone",
        "silent",
        "blank",
        "not-utf8",
        "stderr-warnings",
        "leaves-a-child",
        "no-shebang-exit-0",
        "link",
        "link-chain",
        "link-into-home",
        "in-home",
        "in-home-plain",
        "writes-home",
        "writes-cache",
        "several-good-first",
        "several-not-executable-first",
        "several-directory-first",
        "several-dangling-first",
        "several-loop-first",
        "several-no-interpreter-first",
    }
    assert (b"code: 0\n" in outcome.stdout) == (state in succeed)


@pytest.mark.parametrize(
    "entry",
    ["", ".", "bin", "./bin/", "../{cwd}/bin", "{absolute}", "{absolute}/", "link", "/nonexistent"],
)
@pytest.mark.parametrize("state", ["missing", "not-executable"])
@pytest.mark.slow
def test_a_real_cli_is_out_of_reach_whatever_way_path_leads_to_it(
    make_driver: MakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, state: str
) -> None:
    """Relative entries, and the empty one, count from where the probe runs."""
    cwd = real_clis(tmp_path / "cwd")
    real_clis(cwd / "bin")
    (cwd / "link").symlink_to("bin")
    monkeypatch.chdir("/")
    entry = entry.format(cwd=cwd.name, absolute=cwd / "bin")
    driver = make_driver(TRY, cwd=cwd, extra={"PATH": f"/usr/bin:{entry}:/bin"})
    outcome = run(driver, scenario(cli=state)).outcome
    assert (ending(outcome), b"REAL" in outcome.stdout) == ("exited 0", False)
    assert (b"\nhelped\n" in outcome.stdout) == (entry != "/nonexistent")


def test_a_real_cli_in_a_directory_of_the_system_is_out_of_reach(
    make_driver: MakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "SYSTEM_PATH", f"{real_clis(tmp_path / 'bin')}:/usr/bin:/bin")
    outcome = run(make_driver(TRY), scenario(cli="missing")).outcome
    assert b"REAL" not in outcome.stdout
    assert b"\nhelped\n" in outcome.stdout


def test_a_real_cli_of_an_agent_of_ones_own_contract_is_out_of_reach(
    make_driver: MakeDriver, tmp_path: Path
) -> None:
    program(tmp_path / "bin" / "ghost", "#!/bin/sh\necho REAL\n")
    contract = replace(SLOT, agents=("ghost", "claude"))
    driver = make_driver(
        "ghost; command -v ghost; exit 0", extra={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    )
    assert run(driver, scenario(agent="ghost", cli="missing"), contract).outcome.stdout == b""


def test_directories_without_a_cli_stay_on_path_as_they_are_in_their_order(
    make_driver: MakeDriver, tmp_path: Path
) -> None:
    driver = make_driver(ENV, extra={"PATH": f"{tmp_path}:/usr/bin:/nonexistent:/bin"})
    stubs, *rest = found_variables(run(driver, scenario()))["PATH"].split(":")
    assert Path(stubs).is_relative_to(driver.directory)
    assert rest == [str(tmp_path), "/usr/bin", "/nonexistent", "/bin"]


def test_the_other_agents_cli_and_the_one_that_is_asked_for_are_healthy(
    make_driver: MakeDriver,
) -> None:
    case = scenario(cli="missing", inputs={"agent": "ghost"})
    outcome = run(
        make_driver("codex --version && ghost --version && ! command -v claude"), case
    ).outcome
    assert (ending(outcome), outcome.stdout) == (
        "exited 0",
        b"codex-cli 0.169.0\n2.1.197 (Claude Code)\n",
    )


def test_stubs_are_shared_and_not_to_be_written_to(make_driver: MakeDriver) -> None:
    driver = make_driver(
        'dir=$(dirname "$(command -v codex)"); touch "$dir/x" 2>/dev/null || echo "$dir"'
    )
    first, again = run(driver, scenario()).outcome.stdout, run(driver, scenario()).outcome.stdout
    other = run(driver, scenario(cli="missing")).outcome.stdout
    if driver.describe()["capabilities"] == "dropped":
        assert first != b""
        assert first == again
        assert other not in (first, b"")


# What is seen of it.


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("", ()),
        ('cat "$HOME/file" "$HOME/.claude/x"', ()),
        (
            'echo more >> "$HOME/file"',
            ("changed file: file, mode 0600, 3 bytes became file, mode 0600, 8 bytes",),
        ),
        ('echo ab > "$HOME/file"', ("changed file: other content, file, mode 0600, 3 bytes",)),
        (
            'chmod 640 "$HOME/file"',
            ("changed file: file, mode 0600, 3 bytes became file, mode 0640, 3 bytes",),
        ),
        ('rm "$HOME/file"', ("removed file (file, mode 0600, 3 bytes)",)),
        ('mkdir -m 700 "$HOME/new"', ("added new (directory, mode 0700)",)),
        (
            'mkdir -p "$HOME/.claude/backups/x"; : > "$HOME/.claude/backups/x/y"; : > "$HOME/.claude.json"',
            (),
        ),
        (
            'chmod 755 "$HOME"',
            ("changed the HOME itself: directory, mode 0700 became directory, mode 0755",),
        ),
    ],
)
def test_changes_in_the_home_are_reported(
    make_driver: MakeDriver, code: str, changes: tuple[str, ...]
) -> None:
    execution = run(
        make_driver(f"umask 077\n{code}\nexit 65"), scenario(file("file", "abc"), file(".claude/x"))
    )
    assert (ending(execution.outcome), execution.changes) == ("exited 65", changes)


def test_changes_in_the_opposite_home_are_reported(make_driver: MakeDriver) -> None:
    execution = run(make_driver('mkdir -m 700 "$HOME/new"'), scenario(), PREFLIGHT)
    assert execution.changes == ("in the opposite home: added new (directory, mode 0700)",)


@pytest.mark.slow
def test_the_contracts_limit_of_time_holds(make_driver: MakeDriver) -> None:
    contract = replace(SLOT, limits=Limits(seconds=0.5))
    execution = run(make_driver('mkdir -m 700 "$HOME/new"; sleep 600'), scenario(), contract)
    assert ending(execution.outcome) == "timed out"
    assert execution.changes == ("added new (directory, mode 0700)",)


def test_many_executions_at_once_do_not_touch(make_driver: MakeDriver) -> None:
    driver = make_driver(
        'sleep 0.1; cat "$HOME/number"; : > "$HOME/$(cat "$HOME/number")"; exit 65'
    )

    def execute(number: int) -> Execution:
        return run(
            driver,
            scenario(file("number", str(number)), id_=f"n/{number}", cli=cli_states()[number % 3]),
        )

    with ThreadPoolExecutor(30) as pool:
        executions = list(pool.map(execute, range(60)))
    assert [execution.outcome.stdout.decode() for execution in executions] == [
        str(number) for number in range(60)
    ]
    assert [execution.changes for execution in executions] == [
        (f"added {number} (file, mode 0644, 0 bytes)",) for number in range(60)
    ]
    assert homes(driver) == []


def test_a_description_holds_the_command_and_what_isolates_it_in_plain_types(
    make_driver: MakeDriver,
) -> None:
    described = make_driver(("/bin/true", "a b")).describe()
    assert msgspec.json.decode(msgspec.json.encode(described)) == described
    assert (described["kind"], described["command"]) == ("command", ["/bin/true", "a b"])
    assert described["network"].partition(": ")[0] in ("cut", "open")
    assert described["capabilities"].partition(": ")[0] in ("dropped", "kept")


def changed_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **replacements: str) -> None:
    """Let drivers start a supervisor whose program calls something else for some functions."""
    text = Path(supervisor.__file__).read_text()
    for name, new in replacements.items():
        assert text.count(f'"{name}": ') == 1
        text = text.replace(f'"{name}": ', f'"{name}": {new} or ')
    path = tmp_path / "supervisor.py"
    path.write_text(text)
    shutil.copy(isolation.__file__, tmp_path / "isolation.py")
    monkeypatch.setattr(supervisor, "__file__", str(path))


def test_a_description_says_what_could_not_be_had(
    make_driver: MakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_program(
        tmp_path,
        monkeypatch,
        network="'no namespaces'",
        capabilities="'not mine'",
        mounts="'no mounts'",
        inherited="'nice 10'",
    )
    described = make_driver(("/bin/true",)).describe()
    kinds = ("network", "capabilities", "temporary_directories", "inherited")
    assert [described[kind] for kind in kinds] == [
        "open: no namespaces",
        "kept: not mine",
        "shared: no mounts",
        "nice 10",
    ]


def test_a_supervisor_that_does_not_start_cannot_judge(
    make_driver: MakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_program(tmp_path, monkeypatch, network="sys.exit('no luck today')")
    driver = make_driver(("/bin/true",))
    with pytest.raises(
        CannotJudge, match="the supervisor process does not start: it ended at its start"
    ):
        driver.describe()
    assert "no luck today" in why_broke(run(driver, scenario()))


# Conditions.


def test_a_shut_file_is_shut_for_root_too(make_driver: MakeDriver) -> None:
    case = scenario(
        file("shut", "x", mode=0),
        directory("unlistable", mode=0o300),
        file("sealed/x"),
        directory("sealed", mode=0),
    )
    driver = make_driver('cat "$HOME/shut"; ls "$HOME/unlistable"; cat "$HOME/sealed/x"; exit 66')
    execution = run(driver, case)
    if driver.describe()["capabilities"] != "dropped":
        assert ending(execution.outcome).startswith("unsupported: ")
        return
    assert (ending(execution.outcome), execution.outcome.stdout, execution.changes) == (
        "exited 66",
        b"",
        (),
    )
    assert execution.outcome.stderr.count(b"Permission denied") == 3
    assert homes(driver) == []


def test_a_shut_file_is_unsupported_for_root_with_capabilities(
    make_driver: MakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root reads what its mode forbids")
    changed_program(tmp_path, monkeypatch, capabilities="'not mine'")
    driver = make_driver(f"touch '{tmp_path}/started'")
    outcome = run(driver, scenario(file("{byte:ff}", "x", mode=0))).outcome
    assert why_unsupported(outcome).endswith("/home/\\xff is not unreadable for uid 0")
    assert msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome) == outcome
    assert not (tmp_path / "started").exists()
    assert ending(run(driver, scenario(file("open", "x"))).outcome) == "exited 0"


def test_a_condition_that_does_not_hold_is_unsupported_and_the_probe_does_not_start(
    make_driver: MakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system that keeps modes but does not heed them."""
    monkeypatch.setattr(
        local, "conditions", lambda nodes, base, uid: [("unreadable", base + b"/file")]
    )
    driver = make_driver(f"touch '{tmp_path}/started'")
    execution = run(driver, scenario(file("file")))
    assert why_unsupported(execution.outcome).endswith(
        f"/home/file is not unreadable for uid {os.geteuid()}"
    )
    assert not (tmp_path / "started").exists()
    assert homes(driver) == []


NEEDS = ContainerNeeds(user="10001:0", home_owner=10_000, home_read_only=True)
LACKS = (
    "only a container can show it: it needs the image run as user 10001:0"
    " and a HOME owned by uid 10000 and a HOME on a read-only mount"
)


@pytest.mark.parametrize("keep", [False, True])
def test_a_container_scenario_is_unsupported_and_builds_nothing(
    make_driver: MakeDriver, tmp_path: Path, keep: bool
) -> None:
    driver = make_driver(f"touch '{tmp_path}/started'", keep=keep)
    assert run(driver, scenario(file("file"), container=NEEDS)) == ran(unsupported(LACKS))
    assert not (tmp_path / "started").exists()
    assert homes(driver) == []


def node(kind: str, mode: int, owner: int | None = None) -> Node:
    return Node(path=b"x", kind=kind, mode=mode, owner=owner)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "conditions"),
    [
        (node("file", 0o600), []),
        (node("file", 0o400), []),
        (node("file", 0o000), ["unreadable"]),
        (node("file", 0o200), ["unreadable"]),
        (node("file", 0o077), ["unreadable"]),
        (node("directory", 0o700), []),
        (node("directory", 0o500), []),
        (node("directory", 0o600), ["unsearchable"]),
        (node("directory", 0o300), ["unreadable"]),
        (node("directory", 0o000), ["unreadable", "unsearchable"]),
        (node("fifo", 0o000), []),
        (node("socket", 0o000), []),
        (node("symlink", 0o000), []),
        (node("file", 0o600, owner=os.geteuid()), []),
        (node("file", 0o600, owner=os.geteuid() + 1), ["unreadable"]),
        (node("file", 0o604, owner=os.geteuid() + 1), []),
        (node("directory", 0o700, owner=os.geteuid() + 1), ["unreadable", "unsearchable"]),
        (node("directory", 0o705, owner=os.geteuid() + 1), []),
    ],
)
def test_modes_and_owners_mean_something_to_the_user_of_the_probe(
    made: Node, conditions: list[str]
) -> None:
    assert list(scene.conditions([made], b"/home", os.geteuid())) == [
        (condition, b"/home/x") for condition in conditions
    ]


# What goes wrong on our side.


def test_a_home_that_this_system_cannot_hold_is_unsupported(
    make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: object) -> None:
        raise Unbuildable("no such names here")

    driver = make_driver("exit 0")
    monkeypatch.setattr(built_home, "build", build)
    assert run(driver, scenario()).outcome == unsupported("no such names here")


def test_an_owner_that_a_plain_user_cannot_give_is_unsupported(make_driver: MakeDriver) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may give files away")
    owned = entry("x", text="", owner=0)
    assert "'x'" in why_unsupported(run(make_driver("exit 0"), scenario(owned)).outcome)


def test_a_home_that_does_not_come_out_as_described_is_unsupported(
    make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver("exit 0")
    real = home.build

    def build(nodes: list[Node], target: Path) -> None:
        real([replace(made, mode=0o644) if made.kind == "file" else made for made in nodes], target)

    monkeypatch.setattr(built_home, "build", build)
    outcome = run(driver, scenario(file("x"))).outcome
    assert (
        ending(outcome)
        == "unsupported: this file system does not hold the home: 'x' has mode 0644, not 0600"
    )


def test_a_home_that_cannot_be_built_broke(make_driver: MakeDriver) -> None:
    driver = make_driver("exit 0")
    execution = run(driver, scenario(file("x"), file("x")))
    assert why_broke(execution)
    assert homes(driver) == []


def test_a_home_that_cannot_be_removed_broke(
    make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove(_: object) -> None:
        raise OSError(5, "Input/output error")

    driver = make_driver("exit 0")
    monkeypatch.setattr(local, "remove", remove)
    assert (
        ending(run(driver, scenario()).outcome)
        == "broke: the home cannot be removed: [Errno 5] Input/output error"
    )


def test_a_probe_that_does_not_start_broke(make_driver: MakeDriver, tmp_path: Path) -> None:
    driver = make_driver((str(program(tmp_path / "probe", "#!/nonexistent\n")),))
    outcome = run(driver, scenario()).outcome
    assert ending(outcome).startswith("broke: the probe does not start: ")
    assert homes(driver) == []


def test_a_probe_that_others_own_and_hide_is_unsupported_for_root(
    make_driver: MakeDriver, tmp_path: Path
) -> None:
    """Root could read it before, and cannot without its capabilities: that is no fault of the probe."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    script = program(tmp_path / "probe.py", "")
    script.chmod(0o600)
    os.chown(script, 12345, -1)
    driver = make_driver((sys.executable, "-I", "-S", str(script)))
    if driver.describe()["capabilities"] != "dropped":
        pytest.skip("capabilities cannot be dropped here")
    outcome = run(driver, scenario()).outcome
    assert (
        ending(outcome)
        == f"unsupported: {script} cannot be read by uid 0 without CAP_DAC_OVERRIDE; let others read it"
    )


def test_words_of_the_command_that_name_what_nobody_reads_do_no_harm(
    make_driver: MakeDriver, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to("nowhere")
    words = ("fifo", "dangling", "nothing", "", "/dev/null", ".", "x" * 300)
    assert ending(run(make_driver(("/bin/true", *words)), scenario()).outcome) == "exited 0"


# What becomes of the home.


def homes(driver: LocalDriver) -> list[str]:
    """Return what stands in the driver's directory beside what it keeps for all homes."""
    return sorted(set(os.listdir(driver.directory)) - {"cli", "path", "supervisor.log", "view"})


@pytest.mark.parametrize(
    "code",
    [
        "exit 0",
        "exit 1",
        "kill -KILL $$",
        'chmod 0 "$HOME"',
        'mkdir -p "$HOME/a/b/c"; : > "$HOME/a/b/c/d"; chmod 0 "$HOME/a/b/c" "$HOME/a/b" "$HOME/a" "$HOME"',
        'chmod 0 "$HOME/.."',
        'rm -r "$HOME"',
        'rm -r "$HOME"; : > "$HOME"',
        'mkfifo "$HOME/fifo"; ln -s loop "$HOME/loop"',
        'sleep 600 > "$HOME/held" & exit 0',
    ],
)
@pytest.mark.slow
def test_the_home_is_removed_whatever_the_probe_did_to_it(
    make_driver: MakeDriver, code: str
) -> None:
    driver = make_driver(code)
    execution = run(driver, scenario(file(".claude/x"), directory(".claude/sealed", mode=0)))
    assert ending(execution.outcome).startswith(("exited ", "killed "))
    assert homes(driver) == []


def test_a_home_made_a_link_does_not_lead_removal_elsewhere(
    make_driver: MakeDriver, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    driver = make_driver(f'rm -r "$HOME"; ln -s "{precious}" "$HOME"')
    execution = run(driver, scenario(file("x")))
    assert any("symlink" in change for change in execution.changes)
    assert homes(driver) == []
    assert os.listdir(precious) == ["file"]


def test_a_kept_home_stands_as_the_probe_left_it_and_its_command_repeats_the_run(
    make_driver: MakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLER_MARKER", "leaked")
    cwd = tmp_path / "with 'quotes' and blanks"
    cwd.mkdir()
    code = """
        import os, sys
        print(sorted(os.environ.items()), os.getcwd(), sys.argv[1:], repr(sys.stdin.read()))
        open(os.path.join(os.environ["HOME"], "new"), "a").close()
        sys.exit(66)
    """
    probe = (
        sys.executable,
        "-I",
        "-S",
        "-c",
        textwrap.dedent(code),
        "two words",
        "it's",
        "",
        "$HOME",
        "a\nb",
    )
    driver = make_driver(probe, cwd=cwd, extra={"ODD": "a 'b' \"c\" $d `e` \\ \n*"}, keep=True)
    execution = run(driver, scenario(file("x", "text")))
    assert (ending(execution.outcome), execution.changes) == (
        "exited 66",
        ("added new (file, mode 0644, 0 bytes)",),
    )
    assert sorted(os.listdir(Path(execution.kept) / "home")) == ["new", "x"]
    again = subprocess.run(
        ["/bin/sh", "-c", execution.command],
        cwd="/",
        capture_output=True,
        input=b"typed",
        check=False,
    )
    assert (again.returncode, again.stdout, again.stderr) == (66, execution.outcome.stdout, b"")


def test_the_command_of_a_kept_home_shuts_for_root_what_the_scenario_shuts(
    make_driver: MakeDriver,
) -> None:
    driver = make_driver('cat "$HOME/shut" || exit 66', keep=True)
    execution = run(driver, scenario(file("shut", "x", mode=0)))
    if driver.describe()["capabilities"] != "dropped" or not shutil.which("setpriv"):
        pytest.skip("capabilities cannot be dropped here")
    assert ending(execution.outcome) == "exited 66"
    assert (
        subprocess.run(
            ["/bin/sh", "-c", execution.command], capture_output=True, check=False
        ).returncode
        == 66
    )


def test_homes_of_several_runs_are_kept_apart(make_driver: MakeDriver) -> None:
    driver = make_driver("exit 0", keep=True)
    kept = [run(driver, scenario(file("x"))).kept for _ in range(3)]
    assert len(set(kept)) == 3
    assert all(os.listdir(Path(place) / "home") == ["x"] for place in kept)


def test_a_probe_can_be_run_in_a_home_that_stands_already(
    make_driver: MakeDriver, tmp_path: Path
) -> None:
    (tmp_path / "x").touch()
    outcome = make_driver('ls "$HOME"; exit 65').run_in(
        {"HOME": str(tmp_path / "x"), "PATH": "/usr/bin:/bin"}, SLOT
    )
    assert (ending(outcome), outcome.stdout) == ("exited 65", f"{tmp_path}/x\n".encode())


# A home to use by hand.


def test_a_home_for_use_by_hand_comes_with_its_cli_and_environment(tmp_path: Path) -> None:
    case = scenario(file("x", "{home}"), cli="exit-1", expect=["creds-missing"])
    env = standalone(case, PREFLIGHT, tmp_path / "h", CONTEXT)
    assert (tmp_path / "h" / "x").read_text() == str(tmp_path / "h")
    assert (env["AGENT_HOME"], env["HOME"]) == (str(tmp_path / "h"), str(tmp_path / "h.opposite"))
    assert sorted(os.listdir(tmp_path / "h.opposite")) == [".claude", ".claude.json"]
    assert env["PATH"] == f"{tmp_path}/h.cli:{SYSTEM_PATH}"
    assert (
        subprocess.run(
            ["claude", "--version"], env=env, capture_output=True, check=False
        ).returncode
        == 1
    )


def test_a_home_for_use_by_hand_has_no_opposite_where_the_contract_asks_for_none(
    tmp_path: Path,
) -> None:
    env = standalone(scenario(), SLOT, tmp_path / "h", CONTEXT)
    assert sorted(os.listdir(tmp_path)) == ["h", "h.cli"]
    assert env["HOME"] == str(tmp_path / "h")


def test_no_directory_stands_in_for_a_container(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"'a/b': {LACKS}; run it in an image, with --image$"):
        standalone(scenario(container=NEEDS), SLOT, tmp_path / "h", CONTEXT)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("taken", ["h", "h.cli", "h.opposite"])
def test_nothing_is_built_where_something_stands(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).mkdir()
    (tmp_path / taken / "file").touch()
    with pytest.raises(UsageError, match=f"{taken} is not empty"):
        standalone(scenario(), PREFLIGHT, tmp_path / "h", CONTEXT)
    assert os.listdir(tmp_path) == [taken]


# The engine.


def engine(driver: LocalDriver, *cases: Scenario, keep: Path | None = None) -> ScenarioRunner:
    catalogue = Catalogue({case.id: case for case in cases}, bundled())
    return ScenarioRunner(driver, catalogue, SLOT, CONTEXT, keep=keep)


def test_a_home_is_kept_where_the_probe_deviated_and_only_there(
    make_driver: MakeDriver, tmp_path: Path
) -> None:
    keep = tmp_path / "keep"
    driver = make_driver("exit 65", keep=True)
    right, wrong = (
        scenario(file("x"), expect=["creds-missing"], id_="a/right"),
        scenario(file("x"), id_="a/wrong"),
    )
    judging = engine(driver, right, wrong, keep=keep)
    good = judging.judge(right, [judging.execute(right)])
    bad = judging.judge(wrong, [judging.execute(wrong)])
    assert (good.result, good.kept) == ("conforms", "")
    assert (bad.result, bad.kept) == ("deviates", str(keep / "a" / "wrong"))
    assert os.listdir(keep / "a" / "wrong" / "home") == ["x"]
    assert os.listdir(keep / "a") == ["wrong"]
    assert homes(driver) == []


def test_the_home_of_the_first_deviating_run_is_kept(
    make_driver: MakeDriver, tmp_path: Path
) -> None:
    """The third of four runs leaves a file behind; its home is the one to look at."""
    code = f'echo . >> "{tmp_path}/counter"; [ "$(wc -l < "{tmp_path}/counter")" != 3 ] || : > "$HOME/new"; exit 0'
    driver = make_driver(code, keep=True)
    case = scenario(file("x"))
    judging = engine(driver, case, keep=tmp_path / "keep")
    result = judging.judge(case, [judging.execute(case) for _ in range(4)])
    assert [finding.kind for finding in result.findings] == ["changed-home"]
    assert sorted(os.listdir(Path(result.kept) / "home")) == ["new", "x"]
    assert homes(driver) == []


def test_one_home_is_kept_when_only_the_runs_together_deviate(
    make_driver: MakeDriver, tmp_path: Path
) -> None:
    code = f'echo . >> "{tmp_path}/counter"; [ "$(wc -l < "{tmp_path}/counter")" = 1 ] || exit 65'
    case = replace(scenario(file("x")), expect={"slot": ("ready", "creds-missing")})
    judging = engine(make_driver(code, keep=True), case, keep=tmp_path / "keep")
    result = judging.judge(case, [judging.execute(case) for _ in range(2)])
    assert [finding.kind for finding in result.findings] == ["unsteady"]
    assert os.listdir(Path(result.kept) / "home") == ["x"]


@pytest.mark.parametrize("outcome", [broke("no luck"), unsupported("not here")])
def test_a_home_without_a_judgement_is_not_kept(
    make_driver: MakeDriver, tmp_path: Path, outcome: Outcome
) -> None:
    driver = make_driver("exit 65", keep=True)
    case = scenario()
    judging = engine(driver, case, keep=tmp_path / "keep")
    result = judging.judge(
        case, [judging.execute(case), replace(judging.execute(case), outcome=outcome)]
    )
    assert (result.result, result.kept) == (ending(outcome).partition(":")[0], "")
    assert homes(driver) == []


def test_a_result_names_its_control_and_the_difference_to_it(make_driver: MakeDriver) -> None:
    control = scenario(file("x"), id_="a/control", expect=["creds-missing"])
    case = replace(scenario(), control={"": "a/control"})
    judging = engine(make_driver("exit 65"), case, control)
    result = judging.judge(case, [judging.execute(case)])
    assert (result.control, bool(result.difference)) == ("a/control", True)


def test_secrets_are_known_by_the_names_that_reports_give_them(make_driver: MakeDriver) -> None:
    case = scenario(file("x", "{secret:mine}"), env={"TOKEN": "{secret:in-env}"})
    judging = engine(make_driver("exit 0"), case)
    secrets = judging.secrets(case)
    context = replace(CONTEXT, scenario="a/b")
    assert secrets == {
        "{secret}": context.secret(),
        "{secret:refresh}": context.secret("refresh"),
        "{secret:jwt}": context.secret("jwt"),
        "{secret:mine}": context.secret("mine"),
        "{secret:in-env}": context.secret("in-env"),
    }
    assert len(set(secrets.values())) == 5
    other = judging.secrets(replace(case, id="a/c"))
    assert not set(secrets.values()) & set(other.values())


def test_a_token_is_a_secret_as_a_whole(make_driver: MakeDriver) -> None:
    """What it claims stands in the middle of it, and whoever prints that has printed a part of it."""
    case = scenario(file("x", "{now+1h:jwt} {now-1d:jwt}"))
    judging = engine(
        make_driver('cut -d. -f2 "$HOME/x"; echo "it expires at 1795000000" >&2'), case
    )
    secrets = judging.secrets(case)
    context = replace(CONTEXT, scenario="a/b")
    assert {name: secrets[name] for name in list(secrets)[2:]} == {
        "{now+1h:jwt}": expand("{now+1h:jwt}", context),
        "{now-1d:jwt}": expand("{now-1d:jwt}", context),
    }
    result = judging.judge(case, [judging.execute(case)])
    (message,) = (finding.message for finding in result.findings)
    assert "{now+1h:jwt}, from the " in message


@pytest.mark.parametrize("label", ["", ":refresh", ":mine"])
def test_a_secret_that_the_probe_prints_is_found(make_driver: MakeDriver, label: str) -> None:
    case = scenario(file("x", f"{{secret{label}}}"))
    judging = engine(make_driver('cat "$HOME/x" >&2'), case)
    result = judging.judge(case, [judging.execute(case)])
    assert [finding.kind for finding in result.findings] == ["leaked-secret"]
    assert f"{{secret{label}}}" in result.findings[0].message


def test_a_secret_of_the_opposite_home_that_the_probe_prints_is_found(
    make_driver: MakeDriver,
) -> None:
    case = scenario(expect=["creds-missing"])
    driver = make_driver('cat "$HOME/.claude/.credentials.json"; exit 1')
    judging = ScenarioRunner(driver, Catalogue({}, bundled()), PREFLIGHT, CONTEXT)
    result = judging.judge(case, [judging.execute(case)])
    assert {finding.kind for finding in result.findings} == {"leaked-secret"}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_do_not_depend_on_the_callers_umask(make_driver: MakeDriver, umask: int) -> None:
    code = 'cd "$HOME"; stat -c %a . d d/x y; stat -Lc %a "$(command -v codex)"; : > new; stat -c %a new'
    before = os.umask(umask)
    try:
        execution = run(make_driver(code), scenario(file("d/x"), file("y", mode=0o666)))
    finally:
        os.umask(before)
    assert execution.outcome.stdout.split() == [b"700", b"700", b"600", b"666", b"755", b"644"]


def test_closing_a_driver_ends_what_runs(make_driver: MakeDriver) -> None:
    driver = make_driver("sleep 600")
    with ThreadPoolExecutor(5) as pool:
        running = [pool.submit(run, driver, scenario()) for _ in range(5)]
        deadline = time.monotonic() + 60
        while len(homes(driver)) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        started = time.monotonic()
        driver.close()
        assert time.monotonic() - started < 8
        outcomes = [future.result(60).outcome for future in running]
    assert [ending(outcome).partition(":")[0] for outcome in outcomes] == ["broke"] * 5
    assert homes(driver) == []


# What is around the probe.


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], tuple[str, ...]]:
    """Return a function that writes a probe for the shell and returns its command."""

    def write(text: str) -> tuple[str, ...]:
        path = tmp_path / "probe.sh"
        path.write_text(text)
        return ("/bin/sh", "probe.sh")

    return write


Script = Callable[[str], tuple[str, ...]]


def test_a_probe_starts_with_the_umask_and_in_the_directory_of_the_scenario(
    make_driver: MakeDriver, script: Script
) -> None:
    driver = make_driver(script("umask; pwd"))
    cases = [
        scenario(),
        scenario(process=Process(umask=0o077, cwd="/")),
        scenario(directory("work"), process=Process(cwd="{home}/work")),
    ]
    said = [run(driver, case).outcome.stdout.decode().split() for case in cases]
    assert said[:2] == [["0022", str(driver.cwd)], ["0077", "/"]]
    assert said[2][1].endswith("/home/work")


@pytest.mark.parametrize(
    ("argv", "cwd", "reason"),
    [
        (
            ("/bin/sh", "-c", "exit 0"),
            "/",
            "'exit 0' may depend on the directory that the probe starts in",
        ),
        (("/bin/true",), "/no/such", "there is no directory /no/such to start in"),
    ],
)
def test_a_probe_that_cannot_start_there_is_unsupported(
    make_driver: MakeDriver, argv: tuple[str, ...], cwd: str, reason: str
) -> None:
    execution = run(make_driver(argv), scenario(process=Process(cwd=cwd)))
    assert why_unsupported(execution.outcome) == reason


def test_a_home_has_the_name_of_the_scenario(make_driver: MakeDriver) -> None:
    driver = make_driver('echo "${HOME##*/}"; cat "$HOME/x"; touch "$HOME/new"')
    execution = run(driver, scenario(file("x", "text"), home_name="a  [b] $c"))
    assert execution.outcome.stdout == b"a  [b] $c\ntext"
    assert execution.changes == ("added new (file, mode 0644, 0 bytes)",)
    assert homes(driver) == []


def test_a_probe_that_ran_earlier_finds_its_temporary_files_and_another_home(
    make_driver: MakeDriver,
) -> None:
    name = f"kept-{os.getpid()}-{time.monotonic_ns()}"
    driver = make_driver(f"cat /tmp/{name} 2>/dev/null; ls $HOME; ls $HOME >> /tmp/{name}")
    case = scenario(file("second"), earlier=(file("first"), file("other")))
    try:
        execution = run(driver, case)
    finally:
        Path(f"/tmp/{name}").unlink(missing_ok=True)
    assert execution.outcome.stdout.split() == [b"first", b"other", b"second"]
    assert execution.changes == ()
    assert homes(driver) == []


def test_nothing_in_a_temporary_directory_outlasts_an_execution(make_driver: MakeDriver) -> None:
    driver = make_driver("ls -A /tmp | grep left; touch /tmp/left")
    if driver.describe()["temporary_directories"] != "its own":
        pytest.skip("probes share the temporary directories here")
    assert [run(driver, scenario()).outcome.stdout for _ in range(2)] == [b"", b""]
    assert not Path("/tmp/left").exists()


def test_without_mounts_a_probe_without_home_is_unsupported_where_the_database_names_one(
    make_driver: MakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_program(tmp_path, monkeypatch, mounts="'not allowed'")
    entry = pwd.struct_passwd(("me", "x", os.getuid(), 1, "", "/home/me", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: entry)
    driver = make_driver("echo ran; exit 65")
    case = scenario(inputs_unset=("home",))
    assert why_unsupported(run(driver, case).outcome) == (
        "without HOME a probe may look into /home/me, which the user database names: not allowed"
    )
    assert run(driver, scenario()).outcome.stdout == b"ran\n"

    def nobody(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert run(make_driver("echo ran; exit 65"), case).outcome.stdout == b"ran\n"


def test_a_database_that_still_names_another_home_is_seen(
    make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a directory service comes before the file."""
    driver = make_driver("exit 65")
    if driver.describe()["temporary_directories"] != "its own":
        pytest.skip("probes have no mounts of their own here")
    monkeypatch.setattr(type(driver._views), "is_empty_home", lambda self, home: False)
    reason = why_unsupported(run(driver, scenario(inputs_unset=("home",))).outcome)
    assert reason.endswith(": it does not come from /etc/passwd alone")


def test_without_mounts_a_path_that_leads_to_a_real_cli_is_unsupported(
    make_driver: MakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_program(tmp_path, monkeypatch, mounts="'not allowed'")
    program(tmp_path / "bin" / "codex")
    driver = make_driver("claude --version")
    reached = scenario(env={"PATH": f"{{path}}:{tmp_path}/bin"})
    assert why_unsupported(run(driver, reached).outcome) == (
        f"the real {tmp_path}/bin/codex cannot be hidden: not allowed"
    )
    elsewhere = scenario(env={"PATH": f"{tmp_path}/none:{{path}}:"})
    assert ending(run(driver, elsewhere).outcome) == "exited 0"
