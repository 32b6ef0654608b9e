"""The supervisor process and its reapers: exact answers, and nothing that lives on."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from factories import PATIENCE, ending, exited, unsupported, wait_for, written
from factories import program as program_file
from msgspec.structs import replace

from conformance.drivers.local import isolation
from conformance.drivers.local import supervisor as program
from conformance.drivers.local.supervisor_client import KEEP_BYTES, Request, Supervisor
from conformance.drivers.local.view import View
from conformance.model.outcome import Outcome

Variant = Callable[..., Supervisor]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """Return a supervisor for tests that do not harm it."""
    supervisor = Supervisor(tmp_path_factory.mktemp("supervisor") / "log")
    yield supervisor
    supervisor.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Supervisor]:
    """Return a supervisor that nobody else uses."""
    supervisor = Supervisor(tmp_path / "log")
    yield supervisor
    supervisor.close()


@pytest.fixture
def variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Variant]:
    """Return a function that starts a supervisor whose program has other text in some places."""
    started = []

    def start(**replacements: str) -> Supervisor:
        texts = {Path(str(module.__file__)): "" for module in (program, isolation)}
        for path in texts:
            texts[path] = path.read_text()
        for marker, new in replacements.items():
            old = _PLACES[marker]
            [place] = [path for path, text in texts.items() if old in text]
            assert texts[place].count(old) == 1, old
            texts[place] = texts[place].replace(old, new)
        for path, text in texts.items():
            (tmp_path / path.name).write_text(text)
        monkeypatch.setattr(program, "__file__", str(tmp_path / "supervisor.py"))
        started.append(Supervisor(tmp_path / "variant.log"))
        return started[-1]

    yield start
    for supervisor in started:
        supervisor.close()


#: Where a variant of the program differs.
_PLACES = {
    "settle": "SETTLE = 0.25",
    "network": '"network": isolation.cut_network()',
    "mounts": '"mounts": isolation.own_mounts()',
    "capabilities": '"capabilities": isolation.drop_capabilities()',
    "main": "def main() -> None:\n",
    "unshare": "        call(libc.unshare, flags)\n",
    "unshare_user": "        call(libc.unshare, CLONE_NEWUSER | flags)\n",
}


@pytest.fixture
def marker() -> Iterator[str]:
    """Return a word for the command lines of one test's processes; whatever still bears it at the end is killed."""
    word = f"marker-{uuid.uuid4().hex}"
    yield word
    for pid in bearing(word):
        os.kill(pid, signal.SIGKILL)


def bearing(marker: str) -> list[int]:
    """Return the processes with *marker* in their command line that are still alive."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                alive = b") Z" not in Path(f"/proc/{name}/stat").read_bytes()
                if alive and marker.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                    found.append(int(name))
            except OSError:
                continue
    return found


def wait_until_gone(marker: str) -> None:
    wait_for(lambda: not bearing(marker), f"end of {marker}")


def python(
    code: str,
    *arguments: str,
    seconds: float = PATIENCE,
    cwd: str = "/",
    env: dict[str, str] | None = None,
) -> Request:
    """Return a request that runs *code*."""
    argv = (sys.executable, "-I", "-S", "-c", textwrap.dedent(code), *arguments)
    return Request(argv=argv, env=env or {}, cwd=cwd, seconds=seconds)


def command(
    *argv: str, seconds: float = PATIENCE, cwd: str = "/", env: dict[str, str] | None = None
) -> Request:
    return Request(argv=argv, env=env or {"PATH": "/usr/bin:/bin"}, cwd=cwd, seconds=seconds)


def in_thread(supervisor: Supervisor, request: Request) -> tuple[threading.Thread, list[Outcome]]:
    """Start *request* in a thread; the list gets its outcome."""
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(supervisor.run(request)))
    thread.start()
    return thread, outcomes


def join(thread: threading.Thread) -> None:
    thread.join(PATIENCE)
    assert not thread.is_alive()


#: A probe that ignores what it can, with a child in another session, which has one in a third that nobody waits for.
TREE = """
    import os, signal, sys, time
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if os.fork():
                os._exit(0)
            os.setsid()
    time.sleep(600)
"""


# What came of it.


@pytest.mark.slow
def test_each_exit_code_is_exact(shared: Supervisor) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = pool.map(
            shared.run, [command("/bin/sh", "-c", f"exit {code}") for code in range(256)]
        )
        assert [ending(outcome) for outcome in outcomes] == [
            f"exited {code}" for code in range(256)
        ]


def fatal_signals() -> list[int]:
    """Return the signals that end a process which does nothing about them."""
    harmless = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}
    stopping = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
    return sorted(map(int, signal.valid_signals() - harmless - stopping))


@pytest.mark.slow
def test_each_fatal_signal_is_exact_and_no_exit_code(shared: Supervisor) -> None:
    code = """
        import os, signal, sys
        number = int(sys.argv[1])
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    """
    numbers = fatal_signals()
    with ThreadPoolExecutor(8) as pool:
        outcomes = pool.map(shared.run, [python(code, str(number)) for number in numbers])
        assert [ending(outcome) for outcome in outcomes] == [
            f"killed {number}" for number in numbers
        ]


def test_both_streams_arrive_byte_by_byte(shared: Supervisor) -> None:
    code = """
        import sys
        sys.stdout.buffer.write(bytes(range(256)))
        sys.stderr.buffer.write(bytes(range(255, -1, -1)))
    """
    outcome = shared.run(python(code))
    assert (outcome.stdout, outcome.stderr) == (bytes(range(256)), bytes(range(255, -1, -1)))
    assert not outcome.truncated


@pytest.mark.parametrize(("more", "truncated"), [(0, False), (1, True), (300_000, True)])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_the_first_mebibyte_of_a_stream_is_kept(
    shared: Supervisor, stream: str, more: int, *, truncated: bool
) -> None:
    code = f"""
        import sys
        sys.{stream}.write("a" + "b" * ({KEEP_BYTES} - 2) + "c" + "d" * {more})
        sys.exit(3)
    """
    outcome = shared.run(python(code))
    kept = outcome.stdout if stream == "stdout" else outcome.stderr
    assert kept == b"a" + b"b" * (KEEP_BYTES - 2) + b"c"
    assert (outcome.truncated, ending(outcome)) == (truncated, "exited 3")
    assert outcome.stdout + outcome.stderr == kept


@pytest.mark.slow
def test_an_endless_writer_on_both_streams_is_timed_out_and_its_output_bounded(
    shared: Supervisor,
) -> None:
    code = """
        import os, signal
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        out, err = b"o" * 65536, b"e" * 65536
        while True:
            os.write(1, out)
            os.write(2, err)
    """
    outcome = shared.run(python(code, seconds=1.5))
    assert (ending(outcome), outcome.truncated) == ("timed out", True)
    assert (outcome.stdout, outcome.stderr) == (b"o" * KEEP_BYTES, b"e" * KEEP_BYTES)


def test_output_that_is_thrown_away_takes_no_memory(shared: Supervisor, tmp_path: Path) -> None:
    """128 MiB pass through a reaper that never holds more than a fraction of them."""
    code = """
        import os, sys
        for _ in range(2048):
            os.write(1, bytes(65536))
        with open(f"/proc/{os.getppid()}/status") as status, open(sys.argv[1], "w") as file:
            file.write(next(line for line in status if line.startswith("VmHWM")).split()[1])
    """
    outcome = shared.run(python(code, str(tmp_path / "peak")))
    assert ending(outcome) == "exited 0"
    assert int((tmp_path / "peak").read_text()) < 64 * 1024  # KiB


@pytest.mark.slow
def test_a_probe_that_closes_its_streams_early_is_waited_for(shared: Supervisor) -> None:
    outcome = shared.run(command("/bin/sh", "-c", "echo said; exec >&- 2>&-; sleep 0.5; exit 7"))
    assert (ending(outcome), outcome.stdout) == ("exited 7", b"said\n")
    assert outcome.seconds >= 0.5


@pytest.mark.slow
def test_waiting_for_a_probe_with_closed_streams_takes_no_processor_time(
    shared: Supervisor, tmp_path: Path
) -> None:
    code = """
        import os, sys, time
        def spent():
            with open(f"/proc/{os.getppid()}/stat") as file:
                fields = file.read().rpartition(") ")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        os.close(1)
        os.close(2)
        before = spent()
        time.sleep(2)
        with open(sys.argv[1], "w") as file:
            file.write(str(spent() - before))
    """
    assert ending(shared.run(python(code, str(tmp_path / "spent")))) == "exited 0"
    assert float((tmp_path / "spent").read_text()) < 0.5


@pytest.mark.slow
def test_the_time_of_a_probe_is_measured_until_its_end(own: Supervisor) -> None:
    before = time.monotonic()
    outcome = own.run(command("/bin/sleep", "0.5"))
    assert 0.5 <= outcome.seconds <= time.monotonic() - before


@pytest.mark.slow
def test_runs_that_follow_each_other_do_not_touch(own: Supervisor, marker: str) -> None:
    """What one probe printed, left and took too long for is not told of the next one."""
    flood = (
        "import sys, time; sys.stdout.write('x' * 3_000_000); sys.stdout.flush(); time.sleep(600)"
    )
    daemon = "import os, time\nif os.fork() == 0: time.sleep(600)"
    clean = exited(5, stdout=b"clean\n", stderr=b"too\n")
    for _ in range(3):
        assert ending(own.run(python(flood, seconds=0.5))) == "timed out"
        assert (
            _timeless(own.run(command("/bin/sh", "-c", "echo clean; echo too >&2; exit 5")))
            == clean
        )
        assert own.run(python(daemon, marker)).left != ()
        assert (
            _timeless(own.run(command("/bin/sh", "-c", "echo clean; echo too >&2; exit 5")))
            == clean
        )
        assert ending(own.run(command("/nonexistent"))).startswith("broke: ")
        assert (
            _timeless(own.run(command("/bin/sh", "-c", "echo clean; echo too >&2; exit 5")))
            == clean
        )


def _timeless(outcome: Outcome) -> Outcome:
    return replace(outcome, seconds=0.0)


@pytest.mark.slow
def test_hundreds_of_runs_one_after_the_other_use_up_no_descriptors(own: Supervisor) -> None:
    def open_in_reaper() -> int:
        code = "import os; print(len(os.listdir(f'/proc/{os.getppid()}/fd')))"
        return int(own.run(python(code)).stdout)

    assert ending(own.run(command("/bin/true"))) == "exited 0"
    ours, before = len(os.listdir("/proc/self/fd")), open_in_reaper()
    for n in range(300):
        own.run(command("/bin/true") if n % 3 else command("/nonexistent"))
    assert open_in_reaper() == before
    assert len(os.listdir("/proc/self/fd")) == ours


@pytest.mark.slow
def test_fifty_probes_at_once_get_fifty_right_answers(shared: Supervisor) -> None:
    code = """
        import sys, time
        number = int(sys.argv[1])
        time.sleep(number % 7 / 10)
        print("out", number)
        print("err", number, file=sys.stderr)
        sys.exit(number)
    """
    with ThreadPoolExecutor(50) as pool:
        for _ in range(2):
            outcomes = list(
                pool.map(shared.run, [python(code, str(number)) for number in range(50)])
            )
            assert [(ending(outcome), outcome.stdout, outcome.stderr) for outcome in outcomes] == [
                (f"exited {number}", b"out %d\n" % number, b"err %d\n" % number)
                for number in range(50)
            ]


# The limit of time.


STUBBORN = {
    "does nothing about signals": "",
    "ignores SIGINT": "signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "ignores SIGINT and SIGTERM": "for n in (signal.SIGINT, signal.SIGTERM): signal.signal(n, signal.SIG_IGN)",
    "blocks all signals": "signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())",
    "is stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
    "answers an interrupt with ready": "signal.signal(signal.SIGINT, lambda *_: os._exit(0))",
    "answers a request to end with ready": "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))",
    "has left its session, with children": "if os.fork(): time.sleep(600)\nos.setsid()\nif os.fork(): os._exit(0)\n"
    "for n in (signal.SIGINT, signal.SIGTERM): signal.signal(n, signal.SIG_IGN)",
}


@pytest.mark.parametrize("vice", STUBBORN)
def test_a_probe_over_its_time_is_timed_out_and_ended_whatever_it_does(
    shared: Supervisor, marker: str, vice: str
) -> None:
    code = f"import os, signal, sys, time\n{STUBBORN[vice]}\ntime.sleep(600)"
    started = time.monotonic()
    outcome = shared.run(python(code, marker, seconds=0.5))
    assert (ending(outcome), outcome.left) == ("timed out", ())
    assert outcome.seconds >= 0.5
    assert time.monotonic() - started < 20
    assert bearing(marker) == []


@pytest.mark.slow
def test_interrupt_comes_before_terminate_to_all_that_the_probe_started(shared: Supervisor) -> None:
    code = """
        import os, signal, time
        name = "child" if os.fork() == 0 else "probe"
        if name == "child":
            os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda n, _: os.write(1, f"{name} {signal.Signals(n).name}\\n".encode()))
        while True:
            time.sleep(600)
    """
    outcome = shared.run(python(code, seconds=2))
    lines = outcome.stdout.decode().split("\n")[:-1]
    assert sorted(lines[:2]) == ["child SIGINT", "probe SIGINT"]
    assert sorted(lines[2:]) == ["child SIGTERM", "probe SIGTERM"]


#: Forks, lets its parent end, waits, and so on.
HOPPER = """
    import os, sys, time
    end = time.monotonic() + 60
    if sys.argv[2] == "stay" and os.fork():
        time.sleep(600)
    while time.monotonic() < end:
        if os.fork():
            os._exit(0)
        time.sleep(float(sys.argv[3]))
"""


@pytest.mark.parametrize("pause", ["0.05", "0.001"])
@pytest.mark.slow
def test_a_process_that_goes_on_in_ever_new_processes_is_ended_in_the_end(
    shared: Supervisor, marker: str, pause: str
) -> None:
    late = shared.run(python(HOPPER, marker, "stay", pause, seconds=0.5))
    assert (ending(late), bearing(marker)) == ("timed out", [])
    left = shared.run(python(HOPPER, marker, "leave", pause))
    assert (ending(left), len(left.left), bearing(marker)) == ("exited 0", 1, [])


@pytest.mark.slow
def test_a_crowd_that_keeps_growing_is_ended(shared: Supervisor, marker: str) -> None:
    """The probe starts a process every few milliseconds, each in its own session and ignoring requests to end."""
    code = """
        import os, signal, time
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for _ in range(200):
            if os.fork() == 0:
                os.setsid()
                time.sleep(600)
            time.sleep(0.01)
        time.sleep(600)
    """
    assert ending(shared.run(python(code, marker, seconds=1))) == "timed out"
    assert bearing(marker) == []


# What is left behind.


def test_a_daemon_is_found_by_its_command_line_and_ended(shared: Supervisor, marker: str) -> None:
    code = """
        import os, signal, sys, time
        if os.fork():
            os._exit(65)
        os.setsid()
        if os.fork():
            os._exit(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for stream in (0, 1, 2):
            os.close(stream)
        os.execv("/bin/sh", ["daemon", "-c", "sleep 600; :", sys.argv[1]])
    """
    outcome = shared.run(python(code, marker))
    assert ending(outcome) == "exited 65"
    assert [line for line in outcome.left if marker in line] == [f"daemon -c sleep 600; : {marker}"]
    assert len(outcome.left) == 2  # the shell, and its sleep
    assert bearing(marker) == []


def test_a_stopped_process_that_was_left_is_found_and_ended(
    shared: Supervisor, marker: str
) -> None:
    code = "import os, signal\nif os.fork() == 0: os.kill(os.getpid(), signal.SIGSTOP)"
    outcome = shared.run(python(code, marker))
    assert (ending(outcome), len(outcome.left)) == ("exited 0", 1)
    assert marker in outcome.left[0]
    assert bearing(marker) == []


def test_each_of_several_processes_left_is_named(shared: Supervisor, marker: str) -> None:
    code = """
        import os, sys
        for number in range(5):
            if os.fork() == 0:
                os.execv("/bin/sleep", [f"left-{number}", "600"])
    """
    outcome = shared.run(python(code, marker))
    assert sorted(outcome.left) == [f"left-{number} 600" for number in range(5)]


def test_only_what_lives_is_named(shared: Supervisor, marker: str) -> None:
    """A process that was left has a child that has ended, for which it does not wait."""
    code = """
        import os, time
        if os.fork() == 0:
            pid = os.fork()
            if pid:
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
                time.sleep(600)
    """
    outcome = shared.run(python(code, marker))
    assert len(outcome.left) == 1
    assert marker in outcome.left[0]


def test_children_that_have_ended_unwaited_are_not_left_behind(shared: Supervisor) -> None:
    code = """
        import os, time
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    """
    outcome = shared.run(python(code))
    assert (ending(outcome), outcome.left) == ("exited 0", ())


@pytest.mark.slow
def test_a_child_that_ends_a_moment_after_the_probe_is_not_left_behind(variant: Variant) -> None:
    """The moment is made long, so that a busy machine does not matter."""
    supervisor = variant(settle=f"SETTLE = {PATIENCE}")
    outcome = supervisor.run(command("/bin/sh", "-c", "sleep 0.5 & exit 66"))
    assert (ending(outcome), outcome.left) == ("exited 66", ())
    assert outcome.seconds < 0.5  # the probe's own time, without that of its child


def test_a_child_may_print_in_that_moment_more_than_a_pipe_holds(variant: Variant) -> None:
    supervisor = variant(settle=f"SETTLE = {PATIENCE}")
    code = """
        import os, time
        parent = os.getpid()
        if os.fork() == 0:
            while os.getppid() == parent:
                time.sleep(0.01)
            os.write(1, b"l" * 500_000)
    """
    outcome = supervisor.run(python(code))
    assert (ending(outcome), outcome.left, outcome.stdout) == ("exited 0", (), b"l" * 500_000)


@pytest.mark.slow
def test_output_of_a_left_process_counts_as_output(variant: Variant) -> None:
    """So a credential that is printed late is seen as well."""
    supervisor = variant(settle="SETTLE = 3")
    code = """
        import os, time
        parent = os.getpid()
        if os.fork() == 0:
            while os.getppid() == parent:
                time.sleep(0.01)
            os.write(2, b"late")
            time.sleep(600)
    """
    outcome = supervisor.run(python(code))
    assert (ending(outcome), outcome.stderr, len(outcome.left)) == ("exited 0", b"late", 1)


def test_an_endless_writer_that_was_left_is_ended_and_its_output_bounded(
    shared: Supervisor, marker: str
) -> None:
    code = "import os\nif os.fork() == 0:\n    while True: os.write(1, b'x' * 65536)"
    outcome = shared.run(python(code, marker))
    assert (ending(outcome), len(outcome.left)) == ("exited 0", 1)
    assert 0 < len(outcome.stdout) <= KEEP_BYTES
    assert bearing(marker) == []


# What the probe finds.


def test_the_environment_is_exactly_what_was_asked_for(
    shared: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLER_MARKER", "leaked")
    env = {
        "A": "1",
        "EMPTY": "",
        "LINES": "a\nb",
        "BYTES": os.fsdecode(b"\xff\xfe"),
        "EQUALS": "a=b",
    }
    outcome = shared.run(command("/usr/bin/env", "-0", env=env))
    assert sorted(outcome.stdout.split(b"\0")[:-1]) == [
        b"A=1",
        b"BYTES=\xff\xfe",
        b"EMPTY=",
        b"EQUALS=a=b",
        b"LINES=a\nb",
    ]


def test_words_and_directory_arrive_as_they_are(shared: Supervisor, tmp_path: Path) -> None:
    directory = tmp_path / os.fsdecode(b"with blanks\n\xff")
    directory.mkdir()
    words = ["", " ", "a b", "*", "$HOME", "'\"", "-", os.fsdecode(b"\xff")]
    code = "import os, sys; sys.stdout.buffer.write(b'|'.join([os.getcwdb(), *map(os.fsencode, sys.argv[1:])]))"
    outcome = shared.run(python(code, *words, cwd=str(directory)))
    assert outcome.stdout == b"|".join(map(os.fsencode, [str(directory), *words]))


def test_standard_input_is_at_its_end(shared: Supervisor) -> None:
    outcome = shared.run(python("import os, sys; print(os.read(0, 1)); print(os.isatty(0))"))
    assert (ending(outcome), outcome.stdout) == ("exited 0", b"b''\nFalse\n")


def test_the_probe_leads_a_session_of_its_own(shared: Supervisor) -> None:
    code = "import os; print(os.getpid() == os.getsid(0) == os.getpgrp(), os.getsid(os.getppid()) != os.getsid(0))"
    assert shared.run(python(code)).stdout == b"True True\n"


def test_there_is_no_controlling_terminal_even_where_the_suite_has_one(tmp_path: Path) -> None:
    script = tmp_path / "in_terminal.py"
    script.write_text(
        textwrap.dedent("""
            import fcntl, os, sys, termios
            from pathlib import Path
            from conformance.drivers.local.supervisor_client import Request, Supervisor

            os.setsid()
            _, terminal = os.openpty()
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            os.close(os.open("/dev/tty", os.O_RDWR))
            supervisor = Supervisor(Path(sys.argv[1]))
            code = "import os; os.open('/dev/tty', os.O_RDWR)"
            outcome = supervisor.run(Request(argv=(sys.executable, "-I", "-S", "-c", code), env={}, cwd="/", seconds=30))
            supervisor.close()
            print(outcome.stderr.decode().strip().split("\\n")[-1])
        """)
    )
    done = subprocess.run(
        [sys.executable, script, tmp_path / "log"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "OSError: [Errno 6] No such device or address: '/dev/tty'\n"


def test_signals_that_the_suite_was_told_to_ignore_or_to_block_work_in_the_probe(
    tmp_path: Path,
) -> None:
    """As under nohup, or in the background of a shell; Python itself ignores SIGPIPE and SIGXFSZ."""
    script = tmp_path / "deaf.py"
    script.write_text(
        textwrap.dedent("""
            import signal, sys
            from pathlib import Path
            from conformance.drivers.local.supervisor_client import Request, Supervisor

            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD})
            supervisor = Supervisor(Path(sys.argv[1]))
            outcome = supervisor.run(Request(argv=("/bin/cat", "/proc/self/status"), env={}, cwd="/", seconds=30))
            supervisor.close()
            print(*(line for line in outcome.stdout.decode().split("\\n") if line.startswith(("SigIgn", "SigBlk"))))
        """)
    )
    done = subprocess.run(
        [sys.executable, script, tmp_path / "log"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16]


def test_a_broken_pipe_ends_a_program_of_the_probe(shared: Supervisor) -> None:
    outcome = shared.run(
        command("/bin/sh", "-c", "sh -c 'yes; echo went on >&2' | head -n 1", seconds=PATIENCE)
    )
    assert (ending(outcome), outcome.stdout, outcome.stderr, outcome.left) == (
        "exited 0",
        b"y\n",
        b"went on\n",
        (),
    )


@pytest.mark.slow
def test_the_probe_inherits_no_descriptor_but_its_three_streams(
    own: Supervisor, tmp_path: Path
) -> None:
    code = """
        import os
        print(sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")))
    """
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        thread, _ = in_thread(own, command("/bin/sleep", "1"))
        first = own.run(python(code))
        again = own.run(python(code))
        join(thread)
    assert (first.stdout, again.stdout) == (b"[0, 1, 2]\n", b"[0, 1, 2]\n")


def test_the_umask_is_always_the_same(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        supervisor = Supervisor(tmp_path / "log")
        outcome = supervisor.run(command("/bin/sh", "-c", "umask"))
        supervisor.close()
    finally:
        os.umask(before)
    assert outcome.stdout == b"0022\n"


def test_no_core_is_dumped(shared: Supervisor) -> None:
    outcome = shared.run(python("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"))
    assert outcome.stdout == b"(0, 0)\n"


#: Prints the number of the error of connecting to 127.0.0.1, to an address elsewhere, and to an abstract socket.
CONNECT = """
    import socket, sys
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", int(sys.argv[1]))),
        (socket.AF_INET, ("192.0.2.1", 9)),
        (socket.AF_UNIX, "\\0" + sys.argv[2]),
    ):
        with socket.socket(family) as connection:
            connection.settimeout(5)
            print(connection.connect_ex(address))
"""


@pytest.fixture
def listeners(marker: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return two listening sockets of this process: one on the loopback, one with the abstract name *marker*."""
    with socket.socket() as internet, socket.socket(socket.AF_UNIX) as local:
        internet.bind(("127.0.0.1", 0))
        local.bind("\0" + marker)
        for listener in (internet, local):
            listener.listen()
            listener.setblocking(False)
        yield internet, local


def test_the_network_is_cut_even_from_this_machine(
    shared: Supervisor, marker: str, listeners: tuple[socket.socket, socket.socket]
) -> None:
    if shared.start()["network"]:
        pytest.skip(f"the network cannot be cut here: {shared.facts['network']}")
    outcome = shared.run(python(CONNECT, str(listeners[0].getsockname()[1]), marker))
    assert list(map(int, outcome.stdout.split())) == [
        errno.ENETUNREACH,
        errno.ENETUNREACH,
        errno.ECONNREFUSED,
    ]
    for listener in listeners:
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_probe_runs_when_the_network_cannot_be_cut_and_the_report_says_so(
    variant: Variant, marker: str, listeners: tuple[socket.socket, socket.socket]
) -> None:
    refuse = "        raise OSError(1, 'not allowed')\n"
    supervisor = variant(unshare=refuse, unshare_user=refuse)
    assert supervisor.start()["network"] == "Operation not permitted"
    outcome = supervisor.run(python(CONNECT, str(listeners[0].getsockname()[1]), marker))
    local, _, abstract = map(int, outcome.stdout.split())
    assert (ending(outcome), local, abstract) == (
        "exited 0",
        0,
        0,
    )  # so a connection is seen where there is one


def test_a_network_that_only_a_namespace_for_users_allows_is_cut_with_the_same_user_and_no_more_rights(
    variant: Variant, tmp_path: Path
) -> None:
    supervisor = variant(unshare="        raise OSError(1, 'not allowed')\n")
    if supervisor.start()["network"]:
        pytest.skip(f"there are no namespaces for users here: {supervisor.facts['network']}")
    shut = tmp_path / "shut"
    shut.touch(mode=0o000)
    code = """
        import os, socket, sys
        print(os.getuid(), os.geteuid(), os.getgid())
        with socket.socket() as connection:
            print(connection.connect_ex(("127.0.0.1", 1)))
        open(sys.argv[1])
    """
    outcome = supervisor.run(python(code, str(shut)))
    assert (
        outcome.stdout.decode()
        == f"{os.getuid()} {os.geteuid()} {os.getgid()}\n{errno.ENETUNREACH}\n"
    )
    assert b"PermissionError" in outcome.stderr


# Conditions of the home.


def test_modes_hold_for_root_as_well(shared: Supervisor, tmp_path: Path) -> None:
    if shared.start()["capabilities"]:
        pytest.skip(f"capabilities cannot be dropped here: {shared.facts['capabilities']}")
    (tmp_path / "file").touch(mode=0o000)
    (tmp_path / "unlistable").mkdir()
    (tmp_path / "unsearchable").mkdir()
    (tmp_path / "unsearchable" / "file").touch()
    (tmp_path / "unlistable").chmod(0o300)
    (tmp_path / "unsearchable").chmod(0o600)
    code = """
        import os, subprocess
        for function, path in ((open, "file"), (os.listdir, "unlistable"), (os.stat, "unsearchable/file")):
            try:
                function(path)
                print("allowed", path)
            except PermissionError:
                print("refused", path)
        print(subprocess.call(["/bin/cat", "file"]))
    """
    request = python(code, cwd=str(tmp_path))
    checks = (
        ("unreadable", os.fsencode(tmp_path / "file")),
        ("unreadable", os.fsencode(tmp_path / "unlistable")),
        ("unsearchable", os.fsencode(tmp_path / "unsearchable")),
    )
    outcome = shared.run(
        Request(argv=request.argv, env={}, cwd=request.cwd, seconds=PATIENCE, checks=checks)
    )
    (tmp_path / "unsearchable").chmod(0o700)
    assert outcome.stdout == b"refused file\nrefused unlistable\nrefused unsearchable/file\n1\n"


def test_the_capabilities_are_gone_for_good(shared: Supervisor) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has capabilities to lose")
    if shared.start()["capabilities"]:
        pytest.skip(f"capabilities cannot be dropped here: {shared.facts['capabilities']}")
    outcome = shared.run(command("/bin/cat", "/proc/self/status"))
    sets = dict(
        line.split(":\t") for line in outcome.stdout.decode().split("\n") if line.startswith("Cap")
    )
    override = 1 << isolation.CAP_DAC_OVERRIDE | 1 << isolation.CAP_DAC_READ_SEARCH
    assert {name: int(value, 16) & override for name, value in sets.items()} == dict.fromkeys(
        sets, 0
    )
    assert len(sets) == 5


@pytest.mark.parametrize(
    ("condition", "kind", "words"),
    [
        ("unreadable", "file", "{path} is not unreadable for uid {uid}"),
        ("unreadable", "directory", "{path} is not unreadable for uid {uid}"),
        ("unreadable", "fifo", "{path} is not unreadable for uid {uid}"),
        ("unsearchable", "directory", "{path} is not unsearchable for uid {uid}"),
        ("unreadable", "nothing", "{path} should be unreadable, but: No such file or directory"),
        (
            "unreadable",
            "symlink",
            "{path} should be unreadable, but: Too many levels of symbolic links",
        ),
        ("unsearchable", "file", "{path} should be unsearchable, but: Not a directory"),
    ],
)
def test_a_condition_that_does_not_hold_is_unsupported_and_the_probe_does_not_start(
    shared: Supervisor, tmp_path: Path, condition: str, kind: str, words: str
) -> None:
    path = tmp_path / "thing"
    make: dict[str, Callable[[], object]] = {
        "file": path.touch,
        "directory": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "symlink": lambda: path.symlink_to(path),
        "nothing": lambda: None,
    }
    make[kind]()
    checks = ((condition, os.fsencode(path)),)
    argv = ("/usr/bin/touch", str(tmp_path / "started"))
    outcome = shared.run(Request(argv=argv, env={}, cwd="/", seconds=PATIENCE, checks=checks))
    assert outcome == unsupported(words.format(path=path, uid=os.geteuid()))
    assert not (tmp_path / "started").exists()


def test_a_shut_file_is_unsupported_when_root_keeps_its_capabilities(
    variant: Variant, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root reads what its mode forbids")
    supervisor = variant(capabilities='"capabilities": "simulated"')
    path = tmp_path / "shut"
    path.touch(mode=0o000)
    checks = (("unreadable", os.fsencode(path)),)
    outcome = supervisor.run(
        Request(argv=("/bin/true",), env={}, cwd="/", seconds=PATIENCE, checks=checks)
    )
    assert supervisor.facts["capabilities"] == "simulated"
    assert outcome == unsupported(f"{path} is not unreadable for uid 0")


# What goes wrong on our side.


def _make_unstartable(kind: str, path: Path) -> None:
    texts = {
        "not executable": (0o644, b"#!/bin/sh\nexit 0\n"),
        "no interpreter": (0o755, b"#!/nonexistent/interpreter\n"),
        "no #!": (0o755, b"exit 0\n"),
        "empty": (0o755, b""),
        "truncated": (0o755, b"\x7fELF\x02\x01\x01" + bytes(9)),
    }
    if kind in texts:
        mode, content = texts[kind]
        path.write_bytes(content)
        path.chmod(mode)
    elif kind == "directory":
        path.mkdir()
    elif kind == "symlink loop":
        path.symlink_to(path)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "No such file or directory"),
        ("no interpreter", "No such file or directory"),
        ("not executable", "Permission denied"),
        ("directory", "Permission denied"),
        ("no #!", "Exec format error"),
        ("empty", "Exec format error"),
        ("truncated", "Exec format error"),
        ("symlink loop", "Too many levels of symbolic links"),
    ],
)
def test_a_program_that_does_not_start_broke_and_is_no_answer(
    shared: Supervisor, tmp_path: Path, kind: str, words: str
) -> None:
    path = tmp_path / "probe"
    _make_unstartable(kind, path)
    outcome = shared.run(command(str(path)))
    assert ending(outcome).startswith("broke: the probe does not start: ")
    assert words in ending(outcome)
    assert str(path) in ending(outcome)
    assert outcome.left == ()


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (command("/bin/true", cwd="/nonexistent/directory"), "'/nonexistent/directory'"),
        (command("/bin/true", "x" * 200_000), "Argument list too long"),
        (command("/bin/true", env={"LARGE": "x" * 200_000}), "Argument list too long"),
        (command("/bin/true", "a\0b"), "null byte"),
        (command("/bin/true", env={"A": "a\0b"}), "null byte"),
        (command("/bin/true", env={"": "a"}), "environment variable"),
        (command("/bin/true", env={"A=B": "a"}), "environment variable"),
    ],
    ids=[
        "no directory",
        "long word",
        "large variable",
        "NUL in a word",
        "NUL in a variable",
        "no name",
        "= in a name",
    ],
)
def test_a_request_that_the_system_refuses_broke_with_its_words(
    shared: Supervisor, request_: Request, words: str
) -> None:
    outcome = shared.run(request_)
    assert ending(outcome).startswith("broke: ")
    assert words in ending(outcome)


def test_a_supervisor_that_does_not_start_broke_and_leaves_nothing(variant: Variant) -> None:
    supervisor = variant(main="def main() -> None:\n    sys.exit('no luck today')\n")
    for _ in range(2):
        assert ending(supervisor.run(command("/bin/true"))) == (
            "broke: the supervisor process cannot be reached: it ended at its start; no luck today"
        )


def test_a_supervisor_that_says_nonsense_broke(variant: Variant) -> None:
    main = "def main() -> None:\n    os.write(int(sys.argv[1]), b'nonsense')\n    time.sleep(600)\n"
    assert ending(variant(main=main).run(command("/bin/true"))).startswith(
        "broke: the supervisor process cannot be reached: "
    )


@pytest.mark.slow
def test_closing_ends_all_that_runs_and_leaves_nothing(own: Supervisor, marker: str) -> None:
    runs = [in_thread(own, python(TREE, marker)) for _ in range(20)]
    wait_for(lambda: len(bearing(marker)) >= 60, "20 trees of 3")
    started = time.monotonic()
    own.close()
    assert time.monotonic() - started < 30
    for thread, outcomes in runs:
        join(thread)
        assert [ending(outcome).partition(":")[0] for outcome in outcomes] == ["broke"]
    assert bearing(marker) == []


@pytest.mark.slow
def test_closing_while_runs_are_just_starting_loses_none_of_them(
    tmp_path: Path, marker: str
) -> None:
    for pause in (0.0, 0.0, 0.001, 0.002, 0.005, 0.02):
        supervisor = Supervisor(tmp_path / "log")
        supervisor.start()
        runs = [
            in_thread(supervisor, python("import time; time.sleep(600)", marker)) for _ in range(10)
        ]
        time.sleep(pause)
        started = time.monotonic()
        supervisor.close()
        assert time.monotonic() - started < 8
        for thread, outcomes in runs:
            join(thread)
            assert [ending(outcome).partition(":")[0] for outcome in outcomes] == ["broke"]
        wait_until_gone(marker)


def test_closing_is_fine_at_any_time(tmp_path: Path) -> None:
    never_started = Supervisor(tmp_path / "log")
    never_started.close()
    assert (
        ending(never_started.run(command("/bin/true")))
        == "broke: the supervisor process cannot be reached: it was closed; it said nothing"
    )
    supervisor = Supervisor(tmp_path / "log")
    assert ending(supervisor.run(command("/bin/true"))) == "exited 0"
    supervisor.close()
    supervisor.close()
    assert ending(supervisor.run(command("/bin/true"))).startswith("broke: ")


@pytest.mark.slow
def test_an_interrupt_of_the_suite_ends_the_probe_and_later_ones_run(
    own: Supervisor, marker: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def when_it_runs() -> None:
        wait_for(lambda: len(bearing(marker)) == 3, "tree of 3")
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        thread = threading.Thread(target=when_it_runs)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            own.run(python(TREE, marker))
        join(thread)
    finally:
        signal.signal(signal.SIGUSR1, before)
    wait_until_gone(marker)
    assert ending(own.run(command("/bin/sh", "-c", "exit 4"))) == "exited 4"


# When somebody kills us.


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()[1])


def children(pid: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and parent(int(name)) == pid:
                found.append(int(name))
        except OSError:
            continue
    return found


def alive(pid: int) -> bool:
    try:
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


def test_when_the_supervisor_is_killed_the_run_broke_and_its_whole_tree_ends(
    own: Supervisor, marker: str
) -> None:
    supervisor = parent(int(own.run(python("import os; print(os.getppid())")).stdout))
    runs = [in_thread(own, python(TREE, marker)) for _ in range(3)]
    wait_for(lambda: len(bearing(marker)) == 9, "3 trees of 3")
    reapers = children(supervisor)
    assert len(reapers) == 3
    os.kill(supervisor, signal.SIGKILL)
    for thread, outcomes in runs:
        join(thread)
        assert [ending(outcome).partition(":")[0] for outcome in outcomes] == ["broke"]
    wait_until_gone(marker)
    own.close()
    wait_for(lambda: not any(alive(pid) for pid in reapers), "end of the reapers")


def test_after_the_supervisor_was_killed_a_run_breaks_or_is_right(own: Supervisor) -> None:
    """A reaper that was idle may serve on; no new one can be had."""
    supervisor = parent(int(own.run(python("import os; print(os.getppid())")).stdout))
    os.kill(supervisor, signal.SIGKILL)
    wait_for(lambda: not alive(supervisor), "end of the supervisor")
    with ThreadPoolExecutor(5) as pool:
        outcomes = list(pool.map(own.run, [command("/bin/sh", "-c", "sleep 0.2; exit 66")] * 5))
    ends = [ending(outcome).partition(":")[0] for outcome in outcomes]
    assert set(ends) <= {"broke", "exited 66"}
    assert ends.count("broke") >= 4


@pytest.mark.slow
def test_when_a_reaper_is_killed_its_run_broke_its_probe_ends_and_others_go_on(
    own: Supervisor, marker: str
) -> None:
    thread, outcomes = in_thread(own, python("import time; time.sleep(600)", marker))
    other_thread, other_outcomes = in_thread(own, command("/bin/sh", "-c", "sleep 1; exit 65"))
    wait_for(lambda: len(bearing(marker)) == 1, "probe that runs")
    os.kill(parent(bearing(marker)[0]), signal.SIGKILL)
    join(thread)
    join(other_thread)
    assert ending(outcomes[0]).startswith("broke: ")
    assert "the supervisor process was lost" in ending(outcomes[0])
    assert ending(other_outcomes[0]) == "exited 65"
    wait_until_gone(marker)
    assert ending(own.run(command("/bin/sh", "-c", "exit 66"))) == "exited 66"


def test_a_probe_that_kills_its_reaper_broke(own: Supervisor) -> None:
    outcome = own.run(command("/bin/sh", "-c", "kill -KILL $PPID; sleep 600"))
    assert "the supervisor process was lost" in ending(outcome)
    assert ending(own.run(command("/bin/sh", "-c", "exit 66"))) == "exited 66"


OWNER = """
    import sys, threading
    from pathlib import Path
    from conformance.drivers.local.supervisor_client import Request, Supervisor

    supervisor = Supervisor(Path(sys.argv[1]))
    request = Request(argv=(sys.executable, "-I", "-S", "-c", sys.argv[2], sys.argv[3]), env={}, cwd="/", seconds=600)
    idle = Request(argv=("/bin/true",), env={}, cwd="/", seconds=600)
    supervisor.run(idle)  # it has started: now its own death is what is looked at
    for _ in range(3):
        threading.Thread(target=supervisor.run, args=[request]).start()
"""


@pytest.mark.slow
def test_when_the_process_that_owns_the_supervisor_is_killed_everything_ends(
    tmp_path: Path, marker: str
) -> None:
    argv = [
        sys.executable,
        "-c",
        textwrap.dedent(OWNER),
        str(tmp_path / "log"),
        textwrap.dedent(TREE),
        marker,
    ]
    with subprocess.Popen(argv) as owner:
        wait_for(lambda: len(bearing(marker)) >= 10, "3 trees of 3, and the owner")
        supervisors = children(owner.pid)
        reapers = [reaper for pid in supervisors for reaper in children(pid)]
        assert (len(supervisors), len(reapers)) == (1, 3)
        owner.kill()
    wait_until_gone(marker)
    wait_for(
        lambda: not any(alive(pid) for pid in (*supervisors, *reapers)),
        "end of supervisor and reapers",
    )


# Mounts of its own.


def own_view(tmp_path: Path, **fields: object) -> View:
    """Return a view in which one directory is empty, and one below it stays."""
    (tmp_path / "private" / "kept").mkdir(parents=True)
    (tmp_path / "private" / "secret").touch()
    (tmp_path / "private" / "kept" / "file").touch()
    mounts = ((str(tmp_path / "private"), 0o1777), (str(tmp_path / "private" / "kept"), -1))
    return msgspec.structs.replace(View(mounts=mounts), **fields)


def needs_mounts(supervisor: Supervisor) -> None:
    if why := supervisor.start()["mounts"]:
        pytest.skip(f"no mounts of one's own here: {why}")


def looked(supervisor: Supervisor, view: View | None, script: str, tmp_path: Path) -> str:
    """Return what a script prints that stands in *tmp_path* and sees *view*."""
    request = command("/bin/sh", "-c", script, cwd=str(tmp_path))
    return supervisor.run(replace(request, view=view)).stdout.decode()


def test_a_probe_sees_an_empty_directory_with_what_stays_and_leaves_nothing_in_it(
    shared: Supervisor, tmp_path: Path
) -> None:
    needs_mounts(shared)
    view = own_view(tmp_path)
    script = "ls private private/kept; touch private/new private/kept/new; stat -c %a private"
    for _ in range(2):
        (tmp_path / "private" / "kept" / "new").unlink(missing_ok=True)
        assert looked(shared, view, script, tmp_path).split() == [
            "private:",
            "kept",
            "private/kept:",
            "file",
            "1777",
        ]
    assert sorted(os.listdir(tmp_path / "private")) == ["kept", "secret"]
    assert sorted(os.listdir(tmp_path / "private" / "kept")) == ["file", "new"]


def test_what_is_to_outlast_a_run_is_there_in_the_next(shared: Supervisor, tmp_path: Path) -> None:
    needs_mounts(shared)
    view = own_view(tmp_path, lasting=str(tmp_path / "lasting"))
    assert looked(shared, view, "ls private; echo 1 > private/cache", tmp_path) == "kept\n"
    assert looked(shared, view, "cat private/cache", tmp_path) == "1\n"
    assert sorted(os.listdir(tmp_path / "private")) == ["kept", "secret"]


def test_a_covered_link_is_no_program_and_what_it_leads_to_still_is(
    shared: Supervisor, tmp_path: Path
) -> None:
    needs_mounts(shared)
    program_file(tmp_path / "launcher", "#!/bin/sh\necho launched\n")
    (tmp_path / "cli").symlink_to("launcher")
    (tmp_path / "dangling").symlink_to("nowhere")
    written(tmp_path / "empty", "", 0o444)
    covers = [(str(tmp_path / name), str(tmp_path / "empty")) for name in ("cli", "dangling", "no")]
    view = View(mounts=(), covers=tuple(covers))
    script = "./launcher; ./cli 2>/dev/null; echo $?; ./dangling 2>/dev/null; echo $?"
    assert looked(shared, view, script, tmp_path) == "launched\n126\n126\n"
    assert (tmp_path / "cli").is_symlink()


def mounts_of_all() -> list[str]:
    """Return what is mounted for everybody, without what container engines mount meanwhile."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if not re.search("docker|containerd|netns", line)]


def test_nothing_is_mounted_for_anybody_else_even_while_a_probe_runs(
    own: Supervisor, tmp_path: Path, marker: str
) -> None:
    needs_mounts(own)
    before = mounts_of_all()
    request = command("/bin/sh", "-c", "sleep 600", marker, cwd=str(tmp_path))
    thread, _ = in_thread(own, replace(request, view=own_view(tmp_path)))
    [probe] = wait_for(lambda: bearing(marker), "probe")
    inside = wait_for(
        lambda: f"{tmp_path}/private " in Path(f"/proc/{probe}/mountinfo").read_text(), "its mounts"
    )
    assert inside
    assert mounts_of_all() == before
    assert own._process is not None
    os.kill(own._process.pid, signal.SIGKILL)
    join(thread)
    wait_until_gone(marker)
    assert mounts_of_all() == before


def test_a_plain_user_has_mounts_of_its_own_and_no_more_rights(
    variant: Variant, tmp_path: Path
) -> None:
    supervisor = variant(unshare="        raise OSError(1, 'not allowed')\n")
    needs_mounts(supervisor)
    said = looked(supervisor, own_view(tmp_path), "ls private; id -u; umount private", tmp_path)
    assert said.split() == ["kept", str(os.getuid())]
    assert sorted(os.listdir(tmp_path / "private")) == ["kept", "secret"]


def test_without_mounts_the_supervisor_says_why_and_runs_probes(
    variant: Variant, tmp_path: Path
) -> None:
    supervisor = variant(mounts='"mounts": "not allowed"')
    assert supervisor.start()["mounts"] == "not allowed"
    assert looked(supervisor, None, "echo here", tmp_path) == "here\n"


# What a probe inherits from whoever started the suite.

#: Prints all of it that a program can see.
INHERITED = """
    import os, resource, sys
    names = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
    print({name: resource.getrlimit(getattr(resource, name)) for name in names if name not in sys.argv})
    print(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), oct(os.umask(0)))
    print(open("/proc/self/oom_score_adj").read(), open("/proc/self/personality").read())
    print([line for line in open("/proc/self/status") if line.startswith(("Sig", "Shd"))][1:])
    print(sorted(os.environ), os.getcwd(), sorted(os.listdir("/proc/self/fd")), os.isatty(0))
"""
#: Changes what a program inherits, then starts it.
CHANGED = {
    "as it is": "",
    "nohup": "signal.signal(signal.SIGHUP, signal.SIG_IGN)",
    "blocked signals": "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})",
    "few descriptors": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))",
    "many descriptors": "n = resource.getrlimit(resource.RLIMIT_NOFILE)[1]; resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))",
    "cores": "n = resource.getrlimit(resource.RLIMIT_CORE)[1]; resource.setrlimit(resource.RLIMIT_CORE, (n, n))",
    "a small stack": "resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, resource.RLIM_INFINITY))",
    "processor time": "resource.setrlimit(resource.RLIMIT_CPU, (60, resource.RLIM_INFINITY))",
    "an open descriptor": "os.dup2(os.open('/dev/null', os.O_RDONLY), 9)",
    "a shut umask": "os.umask(0o777)",
    "another umask": "os.umask(0o022 ^ 0o055)",
    "a batch": "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
    "victim of the lack of memory": "open('/proc/self/oom_score_adj', 'w').write('500')",
    "no random addresses": "ctypes.CDLL(None).personality(0x0040000)",
    "variables": "os.environ['SOMETHING'] = 'else'",
    **({"nice": "os.nice(10)"} if os.geteuid() == 0 else {}),
}


def inherited(tmp_path: Path, change: str) -> str:
    """Return what a probe of a suite sees that was started after *change*."""
    starter = textwrap.dedent(f"""
        import ctypes, os, resource, signal, sys
        {change}
        if sys.argv[1] == "change":
            os.execv(sys.executable, [sys.executable, __file__, "run", *sys.argv[2:]])
        from pathlib import Path
        from conformance.drivers.local.supervisor_client import Request, Supervisor
        supervisor = Supervisor(Path(sys.argv[2]))
        argv = (sys.executable, "-I", "-S", "-c", sys.argv[3])
        outcome = supervisor.run(Request(argv=argv, env={{}}, cwd="/", seconds=60))
        supervisor.close()
        sys.stdout.write(outcome.stdout.decode() + outcome.stderr.decode())
    """)
    log = tmp_path / f"log-{uuid.uuid4().hex}"
    script = written(tmp_path / f"start-{uuid.uuid4().hex}.py", starter)
    done = subprocess.run(
        [sys.executable, script, "change", log, textwrap.dedent(INHERITED)],
        check=False,
        capture_output=True,
        text=True,
        pass_fds=[],
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_a_probe_inherits_the_same_from_whoever_starts_the_suite(
    tmp_path: Path, change: str
) -> None:
    usual = inherited(tmp_path, "")

    assert inherited(tmp_path, change) == usual
    assert "'RLIMIT_NOFILE': (1024, 4096)" in usual


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("os.nice(10)", "nice 10"),
        ("resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))", "RLIMIT_NOFILE 256"),
    ],
)
def test_what_cannot_be_undone_is_said(tmp_path: Path, change: str, said: str) -> None:
    code = f"""
        import os, resource, sys
        from pathlib import Path
        from conformance.drivers.local.supervisor_client import Supervisor
        {change}
        if os.geteuid() == 0:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
        sys.path.insert(0, sys.argv[1])
        import isolation
        print(", ".join(isolation.reset_inherited()))
    """
    script = written(tmp_path / "start.py", code)
    local = Path(isolation.__file__).parent
    done = subprocess.run(
        [sys.executable, script, local], check=True, capture_output=True, text=True
    )
    assert done.stdout == f"{said}\n"
