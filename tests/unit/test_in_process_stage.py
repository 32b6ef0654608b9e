"""A scenario around a call: what a gate sees, asks, leaves and escapes to."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from factories import bundled_catalogue
from msgspec.structs import replace
from pyfakefs.fake_filesystem_unittest import Patcher

from conformance.bundled import fixtures_dir
from conformance.catalogue.contracts import bundled
from conformance.drivers.in_process.clock import TimeUp
from conformance.drivers.in_process.escapes import Escape
from conformance.drivers.in_process.stage import Stage, unsupported
from conformance.home.build import Unbuildable
from conformance.home.fake_system import keep_real
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

SLOT, PREFLIGHT = bundled()["slot"], bundled()["preflight"]
CONTEXT = Context(now=1_800_000_000.7, seed="seed")
NULL = subprocess.DEVNULL

On = Callable[..., Stage]


@pytest.fixture
def on() -> Iterator[On]:
    """Return a function that sets a scenario of the catalogue up until the test ends."""
    keep_real()
    known, contracts = bundled_catalogue(), bundled()
    stages: list[Stage] = []
    with Patcher() as patcher:

        def enter(id_: str | Scenario, contract: str = "slot", *, clock: bool = True) -> Stage:
            scenario = known.get(id_) if isinstance(id_, str) else id_
            assert patcher.fs is not None
            patcher.pause()
            try:
                stage = Stage(patcher.fs, scenario, contracts[contract], CONTEXT, with_clock=clock)
            finally:
                patcher.resume()
            stage.__enter__()
            stages.append(stage)
            return stage

        yield enter
        for stage in stages:
            stage.__exit__()


# What a gate sees


def test_a_gate_sees_the_environment_of_the_scenario_and_no_other(on: On) -> None:
    was = dict(os.environ)
    stage = on("claude/nested-session")
    assert dict(os.environ) == stage.layout.environment
    assert os.environ["WOVED_TASK_AGENT"] == "claude"
    assert os.path.isfile(os.path.expanduser("~/.claude/.credentials/session.json"))
    stage.__exit__()
    assert dict(os.environ) == was
    assert not os.path.exists("/slot")


def test_without_home_the_user_database_names_an_empty_one(on: On) -> None:
    known = bundled_catalogue().in_contract(SLOT)
    on(next(s for s in known if "home" in s.inputs_unset and s.container is None))
    assert "HOME" not in os.environ
    assert os.listdir(os.path.expanduser("~")) == []


def test_the_edge_of_expiry_is_exact(on: On) -> None:
    stage = on("claude/nested-session")
    assert time.time() == stage.context.now == 1_800_000_000.0


def test_where_the_process_starts_and_its_umask(on: On) -> None:
    found = {s.id: s for s in bundled_catalogue().in_contract(SLOT) if s.process.umask is not None}
    id_, scenario = next(iter(found.items()))
    on(id_)
    before = os.umask(0)
    os.umask(before)
    assert before == scenario.process.umask


# What it asks of the CLI


@pytest.mark.parametrize("capture", [True, False])
def test_a_healthy_cli_answers(on: On, capture: bool) -> None:
    on("cli/healthy")
    done = subprocess.run(["claude", "--version"], capture_output=capture, check=True, text=True)
    assert done.stdout == ("2.1.197 (Claude Code)\n" if capture else None)


def ways() -> dict[str, Callable[[], object]]:
    return {
        "call": lambda: subprocess.call(["claude", "--version"], stdout=NULL),
        "check_call": lambda: subprocess.check_call(["claude", "-v"], stdout=NULL),
        "check_output": lambda: len(subprocess.check_output(["claude", "--version"])) - 22,
        "getstatusoutput": lambda: subprocess.getstatusoutput("claude --version 2>/dev/null")[0],
        "shell": lambda: subprocess.call("claude --version", shell=True, stdout=NULL),
        "system": lambda: os.system("claude --version >/dev/null 2>&1"),
        "popen": lambda: os.popen("claude --version").read() != "2.1.197 (Claude Code)\n",
        "spawnlp": lambda: os.spawnlp(os.P_WAIT, "claude", "claude", "--version"),
        "posix_spawnp": spawned,
        "which": lambda: shutil.which("claude") != "/slot/cli/claude",
        "asyncio": lambda: asyncio.run(awaited()),
        "asyncio shell": lambda: asyncio.run(awaited(shell=True)),
    }


def spawned() -> int:
    pid = os.posix_spawnp("claude", ["claude", "--version"], os.environ)
    return os.waitpid(pid, 0)[1]


async def awaited(*, shell: bool = False) -> int | None:
    pipe = asyncio.subprocess.PIPE
    if shell:
        cli = await asyncio.create_subprocess_shell("claude --version", stdout=pipe)
    else:
        cli = await asyncio.create_subprocess_exec("claude", "--version", stdout=pipe)
    out, err = await cli.communicate()
    assert out == b"2.1.197 (Claude Code)\n"
    assert err is None
    return cli.returncode


@pytest.mark.parametrize("way", ways())
def test_it_answers_however_it_is_asked(on: On, way: str) -> None:
    stage = on("cli/healthy")
    with stage.armed():
        assert not ways()[way]()
    assert stage.escapes.found == []


def test_what_it_is_asked_is_kept(on: On) -> None:
    stage = on("cli/healthy")
    for words in ("--version", "auth status --json", "doctor"):
        subprocess.run(["claude", *words.split()], stdout=NULL, stderr=NULL, check=False)
    subprocess.run(["codex", "login", "status"], stderr=NULL, check=False)
    assert stage.asked == ("claude auth status --json", "claude doctor", "codex login status")


@pytest.mark.parametrize("clock", [True, False])
def test_a_cli_that_takes_too_long_is_given_up_at_once(on: On, clock: bool) -> None:
    stage = on("cli/too-slow", clock=clock)
    real = time.perf_counter if not clock else time.process_time
    start = real()
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["claude", "--version"], timeout=10, stdout=NULL, check=False)
    assert real() - start < 3
    assert stage.left() == ((), ("sleep 12",))
    if clock:
        assert time.time() == stage.context.now + 10


def test_a_cli_that_is_slow_and_healthy_ends(on: On) -> None:
    stage = on("cli/slow")
    assert subprocess.call(["claude", "--version"], timeout=10, stdout=NULL) == 0
    assert time.time() == stage.context.now + 3
    assert stage.left() == ((), ())


def test_who_waits_without_a_limit_gets_the_limit_of_the_contract(on: On) -> None:
    stage = on("cli/hangs")
    with pytest.raises(TimeUp):
        subprocess.run(["claude", "--version"], check=False)
    assert stage.timed_out


def test_what_a_gate_leaves_running_is_its_own(on: On) -> None:
    stage = on("cli/hangs-in-a-child")
    subprocess.Popen(["claude", "--version"])
    assert stage.left() == (("/bin/sh /slot/cli/claude --version",), ("sleep 120",))


def test_asyncio_gives_it_up_too(on: On) -> None:
    stage = on("cli/hangs-ignoring-sigterm")

    async def gate() -> list[int | None]:
        cli = await asyncio.create_subprocess_exec("claude", "--version", stdout=NULL)
        codes: list[int | None] = []
        with suppress(TimeoutError):
            await asyncio.wait_for(cli.wait(), 10)
        cli.terminate()
        codes.append(cli.returncode)
        cli.kill()
        codes.append(await cli.wait())
        return codes

    assert asyncio.run(gate()) == [None, -signal.SIGKILL]
    assert time.time() == pytest.approx(stage.context.now + 10)


def test_asyncio_waits_for_pipes_that_a_child_holds_open(on: On) -> None:
    on("cli/leaves-a-child")
    pipe = asyncio.subprocess.PIPE

    async def gate() -> int:
        cli = await asyncio.create_subprocess_exec("claude", "--version", stdout=pipe)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cli.communicate(), 10)
        cli.kill()  # it has ended, and asyncio does not mind
        return await cli.wait()

    assert asyncio.run(gate()) == 0


def test_a_program_started_through_the_loop_itself_is_an_escape(on: On) -> None:
    stage = on("cli/healthy")

    async def gate() -> None:
        loop = asyncio.get_running_loop()
        await loop.subprocess_exec(asyncio.SubprocessProtocol, "claude", "--version")

    with stage.armed(), pytest.raises(Escape, match="through the event loop itself"):
        asyncio.run(gate())


def test_a_process_is_polled_signalled_and_waited_for(on: On) -> None:
    stage = on("cli/hangs")
    cli = subprocess.Popen(["claude", "--version"], start_new_session=True)
    assert cli.poll() is None
    assert cli.pid > 4_194_304
    assert os.getpgid(cli.pid) == cli.pid
    assert os.waitid(os.P_PID, cli.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None
    os.killpg(cli.pid, signal.SIGTERM)
    assert (cli.wait(timeout=5), cli.returncode) == (-signal.SIGTERM, -signal.SIGTERM)
    with pytest.raises(ChildProcessError):
        os.waitpid(cli.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(cli.pid, 0)
    assert stage.left() == ((), ())


def test_output_that_nobody_reads_holds_a_cli_up(on: On) -> None:
    on("cli/huge-output")
    pipe = subprocess.PIPE
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.Popen(["claude", "--version"], stdout=pipe, stderr=NULL).wait(timeout=5)
    done = subprocess.run(["claude", "--version"], capture_output=True, timeout=5, check=True)
    assert (len(done.stdout), len(done.stderr)) == (8388608, 8388608)


def test_what_a_cli_leaves_holds_its_output_open(on: On) -> None:
    on("cli/leaves-a-child")
    assert subprocess.call(["claude", "--version"], stdout=NULL, timeout=5) == 0
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["claude", "--version"], capture_output=True, timeout=5, check=False)


def test_what_a_cli_writes_is_allowed_and_what_a_gate_writes_is_not(on: On) -> None:
    stage = on("cli/writes/cache")
    subprocess.run(["claude", "--version"], stdout=NULL, check=True)
    assert len(os.listdir(os.path.expanduser("~/.cache/claude/pkg/linux-x64"))) == 246
    assert stage.changes() == ()
    Path("~/mine").expanduser().write_text("x")
    assert [line.partition(" (")[0] for line in stage.changes()] == ["added mine"]


@pytest.mark.parametrize(
    ("id_", "error"),
    [
        ("cli/missing", FileNotFoundError),
        ("cli/not-executable", PermissionError),
        ("cli/no-interpreter", FileNotFoundError),
        ("cli/truncated-elf", OSError),
        ("cli/symlink-loop", OSError),
        ("cli/directory", PermissionError),
    ],
)
def test_a_cli_that_does_not_start_says_why(on: On, id_: str, error: type[OSError]) -> None:
    stage = on(id_)
    with stage.armed(), pytest.raises(error):
        subprocess.run(["claude", "--version"], check=False)
    with stage.armed():
        assert subprocess.getstatusoutput("claude --version")[0] in (126, 127)


def test_bytes_that_are_no_text_break_who_wants_text(on: On) -> None:
    on("cli/not-utf8")
    with pytest.raises(UnicodeDecodeError):
        subprocess.run(["claude", "--version"], capture_output=True, text=True, check=False)


# What leaves the fake file system


def escapes() -> dict[str, Callable[[], object]]:
    return {
        "opens /etc/passwd": lambda: sys.modules["io"].FileIO("/etc/passwd"),
        "starts 'sh'": lambda: subprocess.run(["sh", "-c", "true"], check=False),
        "starts a shell for 'claude --version | cat'": lambda: os.system("claude --version | cat"),
        "calls os.statvfs('/')": lambda: os.statvfs("/"),
        "calls os.mkfifo('/x')": lambda: os.mkfifo("/x"),
        "forks": os.fork,
        "replaces the process by '/bin/sh'": lambda: os.execv("/bin/sh", ["sh"]),
        "sends a signal to the process 1": lambda: os.kill(1, 0),
        f"sends a signal to the group {os.getpgrp()}": lambda: os.killpg(os.getpgrp(), 0),
        "connects a socket to ('127.0.0.1', 9)": connected,
        "asks for the descriptor of a CLI's output": described,
        "starts a process with a preexec_fn of its own": lambda: subprocess.Popen(
            ["claude", "--version"],
            preexec_fn=print,  # noqa: PLW1509 - it is never called
        ),
    }


def connected() -> None:
    with socket.socket() as made:
        made.connect(("127.0.0.1", 9))


def described() -> None:
    cli = subprocess.Popen(["claude", "--version"], stdout=subprocess.PIPE)
    assert cli.stdout is not None
    cli.stdout.fileno()


@pytest.mark.parametrize("what", escapes())
def test_an_escape_is_kept_and_refused(on: On, what: str) -> None:
    stage = on("cli/healthy")
    with stage.armed(), pytest.raises(Escape, match=re.escape(what)):
        escapes()[what]()
    assert stage.escapes.found == [what]


def test_an_escape_that_a_gate_hides_is_kept(on: On) -> None:
    stage = on("cli/healthy")
    with stage.armed(), suppress(BaseException):
        os.statvfs("/")
    assert stage.escapes.found == ["calls os.statvfs('/')"]


def test_outside_the_call_nothing_is_noticed(on: On) -> None:
    stage = on("cli/healthy")
    with stage.armed():
        pass
    assert os.statvfs("/").f_bsize > 0
    assert stage.escapes.found == []


def test_what_python_itself_reads_is_no_escape(on: On) -> None:
    stage = on("cli/healthy")
    with stage.armed():
        sys.modules.pop("colorsys", None)
        import colorsys  # noqa: F401, PLC0415
        import zoneinfo  # noqa: PLC0415

        zoneinfo.ZoneInfo.no_cache("Europe/Berlin")
    assert stage.escapes.found == []


# What cannot be shown


def test_what_cannot_be_shown_has_a_reason() -> None:
    known, contracts = bundled_catalogue(), bundled()
    reasons = {
        unsupported(s, contracts[name])
        for name in ("slot", "slot-strict", "preflight", "gate")
        for s in known.in_contract(contracts[name])
    }
    assert {reason.partition(":")[0] for reason in reasons} == {
        "",
        "only a container can show it",
        "it is a story in steps, and a home in a fake file system is for one call",
        "the probe runs twice, in two processes that share more than a fake file system",
    }


def test_a_directory_that_is_not_there_cannot_be_started_in(on: On) -> None:
    scenario = bundled_catalogue().get("cli/healthy")
    process = replace(scenario.process, cwd="/usr/share")
    with pytest.raises(Unbuildable, match="there is no directory /usr/share to start in"):
        on(replace(scenario, process=process))


# The whole catalogue


@pytest.mark.slow
@pytest.mark.parametrize("contract", ["preflight"])
def test_the_reference_conforms_in_process_in_nine_of_ten_scenarios(
    contract: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_real()
    chosen = bundled()[contract]
    scenarios = bundled_catalogue().in_contract(chosen)
    handlers = {number: signal.getsignal(number) for number in (1, 15, 17)}
    wrong: dict[str, object] = {}
    refused: dict[str, str] = {}
    limit = sys.getrecursionlimit()
    # Imported before, as tests import a gate: so pyfakefs gives it fakes.
    for name in ("slot", "slot_strict", "preflight"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(fixtures_dir() / "probes")
    module = importlib.import_module(contract.replace("-", "_"))
    main = getattr(module, "slot", module).main
    with Patcher() as patcher:
        assert patcher.fs is not None
        for scenario in scenarios:
            try:
                with Stage(patcher.fs, scenario, chosen, CONTEXT) as stage:
                    with stage.armed():
                        code = main()
                    clean = (stage.escapes.found, stage.timed_out, stage.changes()) == (
                        [],
                        False,
                        (),
                    )
            except Unbuildable as e:
                refused[scenario.id] = str(e)
                continue
            if not clean or code not in scenario.codes(chosen):
                wrong[scenario.id] = (code, stage.escapes.found, stage.timed_out)
    sys.setrecursionlimit(limit)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    assert wrong == {}
    assert len(refused) < len(scenarios) / 10, refused
