"""The stub CLIs: each condition is the same for a shell, for Python and for Node."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import PATIENCE, bundled_catalogue, scenario, wait_for
from support import start
from support_cli import suite

from conformance.bundled import fixtures_dir
from conformance.catalogue.agents import cli_state, cli_states
from conformance.catalogue.contracts import bundled
from conformance.drivers.asked import questions
from conformance.drivers.stubs import Stubs, stubs_for
from conformance.home import build, changes, plan, snapshot
from conformance.model.agent import AGENT_CLIS
from conformance.model.placeholders import Context

#: Healthy, but not for a runner that waits for the end of the output, or that cannot wait for so long.
HEALTHY_WITH_PATIENCE = {"leaves-a-child", "slower"}
#: What the scenarios say of each state: where one calls for ready, the CLI is healthy.
HEALTHY = {
    found.cli
    for found in bundled_catalogue().scenarios.values()
    if found.expect.get("slot") == ("ready",)
} - HEALTHY_WITH_PATIENCE
#: Whether they are healthy depends on who runs them, and how: both answers are right.
OPEN = {
    found.cli
    for found in bundled_catalogue().scenarios.values()
    if found.expect.get("slot") == ("ready", "cli-broken")
}
HANGS = {"hangs", "hangs-ignoring-sigterm", "hangs-in-a-child", "too-slow"}
BROKEN = set(cli_states()) - HEALTHY - HEALTHY_WITH_PATIENCE - HANGS - OPEN
#: They lie in several directories, or below the HOME: only a search along PATH finds them.
ON_PATH = {state for state in cli_states() if cli_state(state).path != (".",)}

#: The stubs of all agents are made alike, so while one works those of one agent are enough.
AGENTS = [
    "claude",
    *(pytest.param(name, marks=pytest.mark.slow) for name in AGENT_CLIS if name != "claude"),
]

PYTHON = """
import subprocess, sys
try:
    sys.exit(min(abs(subprocess.run([sys.argv[1], "--version"], capture_output=True).returncode), 255))
except OSError:
    sys.exit(126)
"""
NODE = """
const done = require('child_process').spawnSync(process.argv[1], ['--version'], { maxBuffer: Infinity });
process.exit(done.error ? 126 : done.signal ? 137 : done.status);
"""
NODE_SHELL = """
const { exec } = require('child_process');
exec(`${process.argv[1]} --version`, { maxBuffer: Infinity }, (error) => process.exit(error ? 1 : 0));
"""

#: Ways of running a CLI by its name, each ending with 0 where the CLI did.
RUNNERS = {
    "sh": ["/bin/sh", "-c", '"$0" --version'],
    "sh, in a substitution": ["/bin/sh", "-c", 'version=$("$0" --version)'],
    "bash": ["bash", "-c", '"$0" --version'],
    "dash": ["dash", "-c", '"$0" --version'],
    "env": ["env", "--"],
    "Python": [sys.executable, "-I", "-c", PYTHON],
    "node": ["node", "-e", NODE],
    "node, through a shell": ["node", "-e", NODE_SHELL],
}


@pytest.fixture
def stubs(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that builds a directory of stubs."""

    def build_stubs(state: str, agent: str = "claude", others: tuple[str, ...] = ()) -> Path:
        directory = tmp_path / f"{agent}-{state}"
        home = home_of(directory)
        made = Stubs(agent=agent, state=state, others=others, home=str(home))
        build(made.nodes(str(directory.with_suffix(".asked"))), directory)
        context = Context(now=0, seed="", home=str(home), asked=str(home.with_suffix(".asked")))
        build(plan(made.in_home(), context), home)
        return directory

    return build_stubs


def home_of(directory: Path) -> Path:
    """Return the HOME of the stubs in *directory*."""
    return directory.with_name(f"{directory.name}-home")


def environment(directory: Path) -> dict[str, str]:
    """Return an environment in which only the stubs answer to the name of an agent."""
    agent, _, state = directory.name.partition("-")
    home = str(home_of(directory))
    own = Stubs(agent=agent, state=state, others=()).path(str(directory), home)
    tools = "/usr/bin:/bin"
    for name in AGENT_CLIS:
        if real := shutil.which(name, path=tools):
            pytest.skip(f"{real} would answer where the stub is missing")
    return {"PATH": f"{own}:{tools}", "HOME": home}


def ran_by_all(directory: Path, name: str = "claude") -> dict[str, int]:
    """Return how each runner that is to be had here ends with the CLI in *directory*; they run at the same time."""
    env = environment(directory)
    started = {}
    for runner, argv in RUNNERS.items():
        if program := shutil.which(argv[0]):
            words = [program, *argv[1:], name, *(["--version"] if runner == "env" else [])]
            started[runner] = subprocess.Popen(
                words,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
    return {runner: process.wait(PATIENCE) for runner, process in started.items()}


def test_each_condition_is_healthy_or_broken_or_hangs() -> None:
    assert {
        "healthy",
        "alone",
        "slow",
        "silent",
        "huge-output",
        "not-utf8",
        "stderr-warnings",
    } <= HEALTHY
    assert not HANGS & HEALTHY
    assert {state for state in cli_states() if cli_state(state).waits} >= HANGS | {"slow", "slower"}


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("state", sorted(HEALTHY))
@pytest.mark.slow
def test_whoever_runs_a_healthy_cli_sees_it_succeed(
    stubs: Callable[..., Path], state: str, agent: str
) -> None:
    codes = ran_by_all(stubs(state, agent), agent)
    assert codes == dict.fromkeys(codes, 0)
    assert {"sh", "env", "Python"} <= codes.keys()


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("state", sorted(BROKEN))
@pytest.mark.slow
def test_nobody_who_runs_a_broken_cli_sees_it_succeed(
    stubs: Callable[..., Path], state: str, agent: str
) -> None:
    codes = ran_by_all(stubs(state, agent, tuple({*AGENT_CLIS} - {agent})), agent)
    assert {runner for runner, code in codes.items() if code == 0} == set()
    assert {"sh", "env", "Python"} <= codes.keys()


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("missing", FileNotFoundError),
        ("not-executable", PermissionError),
        ("directory", PermissionError),
        ("no-interpreter", FileNotFoundError),
        ("no-shebang", OSError),
        ("no-shebang-exit-0", OSError),
        ("truncated-elf", OSError),
        ("symlink-loop", OSError),
        ("link-dangling", FileNotFoundError),
    ],
)
def test_the_kernel_refuses_a_cli_that_cannot_start(
    stubs: Callable[..., Path], state: str, error: type[OSError]
) -> None:
    """So it is the condition that is broken, and not the words of a program that did start."""
    program = stubs(state) / "claude"
    with pytest.raises(error):
        subprocess.run([program, "--version"], check=False)


def test_what_is_open_is_answered_in_both_ways(stubs: Callable[..., Path]) -> None:
    """All of these pass over a dangling link; whoever looks only for a name does not."""
    passed_over = {"several-dangling-first"}
    for state in sorted(OPEN - {"wants-terminal"}):
        codes = ran_by_all(stubs(state))
        answers = {code == 0 for code in codes.values()}
        assert answers == ({True} if state in passed_over else {True, False}), (state, codes)


def test_a_cli_that_wants_a_terminal_answers_on_one(stubs: Callable[..., Path]) -> None:
    directory = stubs("wants-terminal")
    leader, terminal = os.openpty()
    program = [str(directory / "claude"), "--version"]
    with_one = subprocess.run(program, stdin=terminal, capture_output=True, check=False)
    without = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    os.close(leader)
    os.close(terminal)
    assert (with_one.returncode, without.returncode) == (0, 1)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_text_that_the_kernel_refuses_is_run_by_shells(
    stubs: Callable[..., Path], agent: str
) -> None:
    """Whether env and node run it depends on their C library; Python asks the kernel itself."""
    codes = ran_by_all(stubs("no-shebang-exit-0", agent), agent)
    shells = {"sh", "sh, in a substitution", "bash", "dash", "node, through a shell"}
    assert {runner for runner, code in codes.items() if code == 0} >= shells & codes.keys()
    assert codes["Python"] != 0


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("exit-1", 1),
        ("exit-127", 127),
        ("killed", -signal.SIGKILL),
        *[
            (s, -signal.Signals[s.split("-")[1].upper()])
            for s in cli_states()
            if s.startswith("killed-")
        ],
    ],
)
def test_a_failing_cli_ends_as_its_name_says(
    stubs: Callable[..., Path], state: str, code: int
) -> None:
    done = subprocess.run([stubs(state) / "claude", "--version"], capture_output=True, check=False)
    assert done.returncode == code


@pytest.mark.parametrize("streams", ["closed", "nobody reads"])
@pytest.mark.parametrize("state", sorted(HEALTHY))
@pytest.mark.slow
def test_a_healthy_cli_succeeds_although_nobody_wants_its_output(
    stubs: Callable[..., Path], state: str, streams: str
) -> None:
    directory = stubs(state)
    redirect = ">&- 2>&-" if streams == "closed" else ""
    argv = ["/bin/sh", "-c", f'exec "$0" --version {redirect}', "claude"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        argv,
        env=environment(directory),
        stdout=writer,
        stderr=writer,
        check=False,
        timeout=PATIENCE,
    )
    os.close(writer)
    assert done.returncode == 0


@pytest.mark.parametrize("state", sorted({*HEALTHY, *BROKEN} - {"missing", "slow"} - ON_PATH))
def test_the_condition_does_not_depend_on_what_else_is_on_path(
    stubs: Callable[..., Path], state: str
) -> None:
    """A probe may run the CLI with an environment of its own."""
    program = stubs(state) / "claude"
    for env in ({}, {"PATH": ""}, {"PATH": str(program.parent)}):
        try:
            code = subprocess.run(
                [program, "--version"], env=env, capture_output=True, check=False
            ).returncode
        except OSError:
            code = 126
        assert (code == 0) == (state in HEALTHY), env


@pytest.mark.parametrize("state", ["hangs", "hangs-ignoring-sigterm"])
def test_a_cli_that_hangs_is_one_process(stubs: Callable[..., Path], state: str) -> None:
    """So that a probe which ends the process it started has ended all of it."""
    directory = stubs(state)
    words = [os.fspath(directory / "claude"), "--version"]
    with start(words, env=environment(directory), stdin=subprocess.DEVNULL) as process:
        try:
            wait_for(
                lambda: b"sleep" in Path(f"/proc/{process.pid}/cmdline").read_bytes(),
                "CLI that sleeps",
            )
            assert children(process.pid) == []
            assert process.poll() is None
        finally:
            process.kill()


@pytest.mark.parametrize(("state", "ends"), [("hangs-in-a-child", False), ("leaves-a-child", True)])
def test_a_child_goes_on_with_the_output_when_the_cli_itself_is_gone(
    stubs: Callable[..., Path], state: str, *, ends: bool
) -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [stubs(state) / "claude", "--version"],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
        start_new_session=True,
    )
    os.close(writer)
    try:
        if ends:
            assert process.wait(PATIENCE) == 0
            assert os.read(reader, 100) == b"2.1.197 (Claude Code)\n"
        else:
            wait_for(lambda: members(process.pid) == [b"sh", b"sleep"], "CLI with a child")
            assert process.poll() is None
            process.kill()
            assert process.wait(PATIENCE) == -signal.SIGKILL
        wait_for(lambda: members(process.pid) == [b"sleep"], "child alone")
        assert select.select([reader], [], [], 0.1) == ([], [], [])  # neither a word nor the end
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    assert os.read(reader, 100) == b""
    os.close(reader)


@pytest.mark.parametrize(
    ("state", "number", "ends"),
    [
        ("hangs", signal.SIGTERM, True),
        ("hangs", signal.SIGINT, True),
        ("hangs-ignoring-sigterm", signal.SIGTERM, False),
        ("hangs-ignoring-sigterm", signal.SIGINT, False),
        ("hangs-ignoring-sigterm", signal.SIGHUP, False),
        ("hangs-ignoring-sigterm", signal.SIGKILL, True),
    ],
)
def test_only_some_signals_end_a_hanging_cli(
    stubs: Callable[..., Path], state: str, number: signal.Signals, *, ends: bool
) -> None:
    directory = stubs(state)
    words = [os.fspath(directory / "claude"), "--version"]
    with start(words, env=environment(directory), stdin=subprocess.DEVNULL) as process:
        try:
            wait_for(
                lambda: b"sleep" in Path(f"/proc/{process.pid}/cmdline").read_bytes(),
                "CLI that sleeps",
            )
            ignored = next(
                int(line.split()[1], 16)
                for line in Path(f"/proc/{process.pid}/status").read_text().split("\n")
                if line.startswith("SigIgn")
            )
            assert bool(ignored & 1 << number - 1) is not ends
            process.send_signal(number)
            if ends:
                assert process.wait(PATIENCE) == -number
        finally:
            process.kill()


@pytest.mark.slow
def test_a_slow_cli_takes_its_time_and_says_its_version(stubs: Callable[..., Path]) -> None:
    started = time.monotonic()
    slow = {
        seconds: subprocess.Popen(
            [stubs(state) / "claude"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        for state, seconds in (("slow", 3), ("slower", 6), ("too-slow", 12))
    }
    for seconds, process in slow.items():
        assert process.communicate(timeout=PATIENCE)[0] == b"2.1.197 (Claude Code)\n"
        assert process.returncode == 0
        assert time.monotonic() - started >= seconds - 0.1


def test_huge_output_is_more_than_any_pipe_holds_on_both_streams(
    stubs: Callable[..., Path],
) -> None:
    directory = stubs("huge-output")
    done = subprocess.run(
        [directory / "claude"], env=environment(directory), capture_output=True, check=True
    )
    assert (len(done.stdout), len(done.stderr)) == (8 * 1024**2, 8 * 1024**2)
    assert int(Path("/proc/sys/fs/pipe-max-size").read_text()) < 8 * 1024**2


def test_output_that_is_no_text_is_none_in_any_unicode_encoding(stubs: Callable[..., Path]) -> None:
    directory = stubs("not-utf8")
    done = subprocess.run(
        [directory / "claude"], env=environment(directory), capture_output=True, check=True
    )
    for encoding in ("utf-8", "utf-16", "utf-32"):
        with pytest.raises(UnicodeDecodeError):
            done.stdout.decode(encoding)
    assert done.stdout.count(b"\n") > 1


def test_a_silent_cli_says_nothing_and_warnings_go_to_stderr(stubs: Callable[..., Path]) -> None:
    def output(state: str) -> tuple[bytes, bytes]:
        directory = stubs(state)
        done = subprocess.run(
            [directory / "claude"], env=environment(directory), capture_output=True, check=True
        )
        return done.stdout, done.stderr

    assert output("silent") == (b"", b"")
    assert all(output("stderr-warnings"))


def test_a_healthy_cli_answers_with_its_own_version_and_knows_nothing_else(
    stubs: Callable[..., Path],
) -> None:
    directory = stubs("healthy", others=("codex", "ghost"))
    for agent in AGENT_CLIS:  # and one that is alone is as healthy
        alone = (stubs("alone", agent) / agent).read_bytes()
        assert (
            alone.replace(f"{agent}-alone".encode(), b"claude-healthy")
            == (directory / agent).read_bytes()
        )

    def output(*argv: str) -> bytes:
        return subprocess.run(
            [directory / argv[0], *argv[1:]],
            env=environment(directory),
            capture_output=True,
            check=True,
        ).stdout

    assert output("claude", "--version") == b"2.1.197 (Claude Code)\n"
    assert output("codex", "--version") == b"codex-cli 0.169.0\n"
    # As the released ones do, whatever follows.
    for right in (["claude", "-v"], ["claude", "-V"], ["codex", "-V"], ["codex", "--version", "x"]):
        assert output(*right) == output(right[0], "--version")
    asked = directory.with_suffix(".asked")
    assert not asked.exists()
    wrongs = [
        ["claude"],
        ["claude", "version"],
        ["claude", "auth", "status"],
        ["codex", "-v"],
        ["codex", "login", "status"],
    ]
    for wrong in wrongs:
        program, *rest = wrong
        done = subprocess.run([directory / program, *rest], capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (2, b"")
    assert questions(asked.read_bytes()) == tuple(" ".join(wrong) for wrong in wrongs)


def test_a_stub_writes_nothing_to_the_home_but_what_it_declares(
    stubs: Callable[..., Path],
) -> None:
    """A probe must not be blamed for what its CLI did."""
    for state in sorted(HEALTHY - {"slow"} - ON_PATH):
        directory = stubs(state)
        empty = directory.parent / f"cwd-{state}"
        empty.mkdir()
        env = {**environment(directory), "HOME": str(empty), "TMPDIR": str(empty)}
        subprocess.run(
            [directory / "claude", "--version"], env=env, cwd=empty, capture_output=True, check=True
        )
        allowed = [
            *bundled()["slot"].allowed_writes,
            *Stubs(agent="claude", state=state, others=()).writes,
        ]
        after = snapshot(empty)
        assert changes({b"": after[b""]}, after, allowed) == ()
        assert bool(list(empty.iterdir())) is state.startswith("writes-")


@pytest.mark.parametrize("agent", ["claude", "codex"])
@pytest.mark.parametrize("state", ["writes-cache", "writes-home"])
def test_nobody_is_blamed_for_directories_in_which_the_cli_gets_no_further(
    tmp_path: Path, state: str, agent: str
) -> None:
    """With such a umask it makes them, and may not write into them."""
    login = "claude-login" if agent == "claude" else "codex-auth"
    (tmp_path / "closed.toml").write_text(
        f"summary = 's'\norigin = 'o'\nagent = '{agent}'\ncontrol = 'claude/no-dot-claude'\n"
        f"[expect]\nslot = 'ready'\n[home]\ninclude = ['{login}']\n"
        f"[cli]\nstate = '{state}'\n[process]\numask = '0777'\n"
    )
    probe = f"{sys.executable} -I {fixtures_dir() / 'probes' / 'slot.py'}"

    done = suite(tmp_path, "repro", "closed", "closed.toml", "--probe", probe)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "conforms" in done.stdout


# Which programs stand there.


@pytest.mark.parametrize("state", cli_states())
def test_only_the_agent_is_in_the_condition_and_the_others_are_healthy(
    stubs: Callable[..., Path], state: str
) -> None:
    directory = stubs(state, "codex", ("claude", "ghost"))
    env = environment(directory)
    there = [name for place in env["PATH"].split(":")[:-2] for name in os.listdir(place)]
    assert there.count("claude") == there.count("ghost") == 1
    assert ("codex" in there) is (state != "missing")
    for other in ("claude", "ghost"):
        program = shutil.which(other, path=env["PATH"])
        assert program is not None
        done = subprocess.run([program, "--version"], env=env, capture_output=True, check=False)
        assert done.returncode == 0


@pytest.mark.parametrize(
    ("contract", "agent", "asked", "expected"),
    [
        ("slot", "claude", "claude", ("codex",)),
        ("slot", "codex", "codex", ("claude",)),
        ("slot", "claude", "", ("codex",)),
        ("slot", "claude", " ", ("codex",)),
        ("slot", "claude", "ghost", ("codex", "ghost")),
        ("slot", "claude", "claude-x", ("claude-x", "codex")),
        ("slot", "claude", "Claude", ("Claude", "codex")),
        ("slot", "codex", "claude ", ("claude",)),
        ("slot", "claude", "codex\n", ("codex",)),
        ("slot", "claude", "../../bin/sh", ("codex",)),
        ("slot", "claude", "/bin/true", ("codex",)),
        ("slot", "claude", "..", ("codex",)),
        ("slot", "claude", ".hidden", ("codex",)),
        ("slot", "claude", "-x", ("codex",)),
        ("preflight", "claude", "claude", ("codex",)),
    ],
)
def test_a_trap_stands_beside_the_agent_for_each_name_that_can_be_asked_for(
    contract: str, agent: str, asked: str, expected: tuple[str, ...]
) -> None:
    chosen = bundled()[contract]
    inputs = {"agent": asked} if chosen.inputs.agent else {}
    assert stubs_for(scenario(agent=agent, inputs=inputs), chosen).others == expected


@pytest.mark.parametrize("state", cli_states())
@pytest.mark.slow
def test_only_an_agent_that_is_alone_has_none_beside_it(state: str) -> None:
    for asked in ("claude", "ghost", ""):
        case = scenario(cli=state, env={"WOVED_TASK_AGENT": asked})
        assert (stubs_for(case, bundled()["slot"]).others == ()) is (state == "alone")


def members(group: int) -> list[bytes]:
    """Return the names of the processes of *group* that have not ended, sorted."""
    numbers = [
        name for name in os.listdir("/proc") if name.isdigit() and _stat(name)[2:3] == [str(group)]
    ]
    alive = [name for name in numbers if _stat(name)[:1] not in ([], ["Z"])]
    return sorted(os.path.basename(words(name)[0]) for name in alive)


def words(number: str) -> list[bytes]:
    """Return the command line of a process."""
    return Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")


def children(pid: int) -> list[str]:
    return [
        name for name in os.listdir("/proc") if name.isdigit() and _stat(name)[1:2] == [str(pid)]
    ]


def _stat(name: str) -> list[str]:
    try:
        return Path(f"/proc/{name}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []
