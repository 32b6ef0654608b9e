"""A Python callable with homes in a fake file system, a clock that is set, and a CLI that is never started."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import bundled_catalogue, ending
from msgspec.structs import replace
from support_cli import suite

from conformance.catalogue import contracts
from conformance.drivers.in_process.driver import InProcessDriver
from conformance.drivers.local.hosts import PythonTarget
from conformance.model.outcome import Execution, Outcome
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

MODULE = """\
import argparse
import asyncio
import atexit
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

count = 0
HOME = lambda: pathlib.Path(os.environ["HOME"])


def by_file():
    argparse.ArgumentParser().parse_args()
    return 0 if (HOME() / ".claude/.credentials.json").is_file() else 65


def truth():
    return False, "no login"


async def awaited():
    process = await asyncio.create_subprocess_exec("claude", "--version")
    return 64 if await process.wait() else 0


def text():
    return "x"


def counts():
    global count
    count += 1
    return count


def right_at_first():
    return 65 if counts() > 1 else 0


def wrong_at_first():
    return 0 if counts() > 1 else 65


def says_its_process():
    print(os.getpid())


def says_its_process_and_counts():
    says_its_process()
    counts()


def says_much():
    print("x" * 200_000)


def handles_signals():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid())


def exits_in_text():
    sys.exit("no login")


def exits_hard():
    (HOME() / "written").write_text("x")
    os._exit(66)


def raises():
    raise RuntimeError("x")


def writes_at_exit():
    atexit.register(lambda: (HOME() / "late").write_text("x"))
    return 65


def writes_unclosed():
    global file
    file = open(HOME() / "unclosed", "w")
    file.write("x")


def writes_in_a_thread():
    threading.Thread(target=lambda: (time.sleep(1), (HOME() / "thread").write_text("x"))).start()


def ends_by_a_signal():
    signal.raise_signal(signal.SIGKILL)


def asks():
    subprocess.run(["claude", "auth", "status"], stdout=subprocess.DEVNULL)


def the_time():
    return int(time.time() * 1000) == int(os.environ["NOW"]) and time.time() == time.time()


def waits():
    subprocess.run(["claude", "--version"])


def waits_and_hides_it():
    try:
        subprocess.run(["claude", "--version"])
    except BaseException:
        return 0


def gives_up():
    try:
        subprocess.run(["claude", "--version"], timeout=10)
    except subprocess.TimeoutExpired:
        return 64


def spins():
    while True:
        pass


def leaves():
    subprocess.Popen(["claude", "--version"])


def leaves_and_waits():
    leaves()
    time.sleep(20)


def kills():
    cli = subprocess.Popen(["claude", "--version"], start_new_session=True)
    os.killpg(cli.pid, signal.SIGKILL)
    os.waitpid(cli.pid, 0)
    try:
        os.kill(cli.pid, 0)
    except ProcessLookupError:
        return 66


def reads_the_real_home():
    import posix

    posix.open("/etc/passwd", 0)


def hides_an_escape():
    try:
        subprocess.run(["/bin/true"])
    except BaseException:
        pass
    return 0


def connects():
    socket.create_connection(("127.0.0.1", 1))


def forks():
    if os.fork() == 0:
        os._exit(0)


def environment():
    print(sorted(os.environ))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("in-process")
    (project / "gates.py").write_text(MODULE)
    return project


@pytest.fixture(scope="module")
def drivers(project: Path) -> Iterator[dict[str, InProcessDriver]]:
    made: dict[str, InProcessDriver] = {}
    yield made
    for driver in made.values():
        driver.close()


NOW = float(int(time.time()))
CONTRACT = contracts.load("slot")


class Calls:
    """Calls names of the module above; a process is started once, whatever is called."""

    def __init__(self, project: Path) -> None:
        self.project = project
        directory = project / "run"
        directory.mkdir()
        self.driver = InProcessDriver(
            PythonTarget(module="gates", name="by_file", directory=str(project)),
            directory,
            variables={"MINE": "x"},
        )

    def __call__(
        self,
        name: str,
        id_: str = "claude/credentials-file",
        truth: tuple[int, int] | None = None,
        **changes: object,
    ) -> Execution:
        self.driver._tried = self.driver._in_vain = 0  # whatever others have called
        return self.again(name, id_, truth, **changes)

    def again(
        self,
        name: str,
        id_: str = "claude/credentials-file",
        truth: tuple[int, int] | None = None,
        **changes: object,
    ) -> Execution:
        scenario: Scenario = replace(bundled_catalogue().get(id_), **changes)
        self.driver._target = replace(self.driver._target, name=name)
        context = Context(now=NOW, seed="seed")
        return self.driver.execute(scenario, replace(CONTRACT, truth=truth), context)


@pytest.fixture(scope="module")
def call(project: Path) -> Iterator[Calls]:
    calls = Calls(project)
    yield calls
    calls.driver.close()


def outcome(execution: Execution) -> Outcome:
    return execution.outcome


@pytest.mark.parametrize(
    ("name", "code", "stderr"),
    [
        ("by_file", 0, b""),
        ("awaited", 0, b""),
        ("truth", 6, b"no login\n"),
        ("exits_in_text", 1, b"no login\n"),
        ("exits_hard", 66, b""),
        ("counts", 1, b""),
        ("kills", 66, b""),
    ],
)
def test_it_is_called_as_an_entry_point(call: Calls, name: str, code: int, stderr: bytes) -> None:
    found = call(name, truth=(5, 6)).outcome

    assert (ending(found), found.stderr, found.crash) == (f"exited {code}", stderr, "")


def test_calls_share_nothing(call: Calls) -> None:
    assert [call("counts").outcome.code for _ in range(2)] == [1, 1]


@pytest.mark.parametrize(("name", "code"), [("right_at_first", 0), ("wrong_at_first", 65)])
def test_the_answer_of_a_new_process_counts(call: Calls, name: str, code: int) -> None:
    assert [call(name).outcome.code for _ in range(3)] == [code] * 3


@pytest.mark.parametrize("name", ["says_its_process", "handles_signals"])
def test_what_leaves_nothing_behind_needs_no_process_of_its_own(call: Calls, name: str) -> None:
    found = [call(name).outcome.stdout for _ in range(3)]

    assert len({*found}) == 1
    assert found[0].strip().isdigit()


def test_what_leaves_something_behind_gets_one(call: Calls) -> None:
    assert len({call("says_its_process_and_counts").outcome.stdout for _ in range(3)}) == 3


def test_what_does_not_conform_gets_one(call: Calls) -> None:
    asked = [call("says_its_process", "claude/baseline-only").outcome for _ in range(3)]

    assert [one.code for one in asked] == [0, 0, 0]
    assert len({one.stdout for one in asked}) == 3


def test_a_repetition_is_a_process_of_its_own(call: Calls) -> None:
    scenario = bundled_catalogue().get("claude/credentials-file")
    call("says_its_process")

    asked = [
        call.driver.execute(scenario, CONTRACT, Context(now=NOW, seed="seed"), number).outcome
        for number in range(3)
    ]

    assert len({one.stdout for one in asked}) == 3


def test_more_than_a_pipe_takes_is_read(call: Calls) -> None:
    found = call("says_much").outcome

    assert (found.code, len(found.stdout), found.truncated) == (0, 200_001, False)


def test_it_is_given_up_where_it_decides_nothing(call: Calls) -> None:
    call("says_its_process_and_counts")
    for _ in range(9):
        call.again("says_its_process_and_counts")

    assert call.driver._tried == 5


def test_what_it_raises_is_shown_with_its_own_frames_alone(call: Calls) -> None:
    found = call("raises").outcome

    assert found.code == 1
    assert found.stderr.decode().startswith(
        f'Traceback (most recent call last):\n  File "{call.project}/gates.py", line '
    )


def test_what_is_no_answer_is_said_beside_the_exit_code(call: Calls) -> None:
    found = call("text").outcome

    assert (found.code, found.crash) == (
        1,
        "gates:text returned an object of the type str, which is no exit code",
    )


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("by_file", ()),
        ("exits_hard", ("added written (file, mode 0644, 1 bytes)",)),
        ("writes_at_exit", ("added late (file, mode 0644, 1 bytes)",)),
        # What it has left in a buffer gets lost, unlike in a real file.
        ("writes_unclosed", ("added unclosed (file, mode 0644, 0 bytes)",)),
        ("writes_in_a_thread", ("added thread (file, mode 0644, 1 bytes)",)),
    ],
)
def test_what_it_writes_before_its_end_is_noticed(
    call: Calls, name: str, changes: tuple[str, ...]
) -> None:
    assert call(name).changes == changes


def test_a_signal_ends_it_as_it_ends_a_program(call: Calls) -> None:
    assert ending(call("ends_by_a_signal").outcome) == "killed 9"


def test_what_the_cli_is_asked_is_kept(call: Calls) -> None:
    assert call("asks").asked == ("claude auth status",)


def test_the_clock_stands_at_the_moment_of_the_run(call: Calls) -> None:
    found = call("the_time", truth=(0, 1), env={"NOW": str(int(NOW * 1000))}).outcome

    assert ending(found) == "exited 0"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("waits", "timed out"), ("waits_and_hides_it", "timed out"), ("gives_up", "exited 64")],
)
def test_a_cli_that_hangs_takes_no_time(call: Calls, name: str, expected: str) -> None:
    started = time.monotonic()

    found = call(name, "cli/hangs").outcome

    assert (ending(found), time.monotonic() - started < 8) == (expected, True)


def test_a_loop_without_end_is_ended(call: Calls) -> None:
    scenario = bundled_catalogue().get("claude/credentials-file")
    contract = replace(CONTRACT, limits=replace(CONTRACT.limits, seconds=0.5), name="short")
    call.driver._target = replace(call.driver._target, name="spins")

    found = call.driver.execute(scenario, contract, Context(now=NOW, seed="seed")).outcome

    assert ending(found) == "timed out"


def test_a_cli_that_would_still_run_is_left_behind(call: Calls) -> None:
    assert call("leaves", "cli/hangs").outcome.left != ()


def test_what_is_out_of_time_is_ended_with_all_that_it_has_started(call: Calls) -> None:
    found = call("leaves_and_waits", "cli/hangs").outcome

    assert (ending(found), found.left, found.left_by_cli) == ("timed out", (), ())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "reads_the_real_home",
            "the callable opens /etc/passwd, outside of the fake home",
        ),
        ("hides_an_escape", "the callable starts '/bin/true', outside of the fake home"),
        ("connects", "the callable looks up '127.0.0.1', outside of the fake home"),
        ("forks", "the callable forks, outside of the fake home"),
    ],
)
def test_what_leaves_the_fake_home_is_no_answer(call: Calls, name: str, reason: str) -> None:
    assert ending(call(name).outcome) == f"unsupported: {reason}"


def test_the_environment_is_that_of_the_scenario(call: Calls) -> None:
    names = call("environment").outcome.stdout.decode()

    assert names == f"{['HOME', 'LANG', 'MINE', 'PATH', 'TZ', 'WOVED_TASK_AGENT']}\n"


def test_a_module_that_reads_its_home_at_import_is_imported_in_each(tmp_path: Path) -> None:
    (tmp_path / "reads.py").write_text(
        "import os\nHOME = os.environ['HOME']\nFOUND = os.path.isdir(os.path.join(HOME, '.claude'))\n"
        "def main():\n    return 66 if FOUND else 65\n"
    )
    ids = ["claude/baseline-only", "claude/no-dot-claude"]

    done = suite(tmp_path, "run", *ids, "--python", "reads:main", "--in-process", "--json", "r", "-n", "0")  # fmt: skip

    rows = json.loads((tmp_path / "r").read_text())["scenarios"]
    assert [row["code"] for row in rows] == [66, 65], done.stdout
    assert "note: reads is imported anew" in done.stdout
    assert "isolation: fake file system, clock set\n" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["2"])
def test_the_reference_gate_conforms_in_process(tmp_path: Path, workers: str) -> None:
    (tmp_path / "gate.py").write_text(
        (Path(__file__).parents[2] / "fixtures/probes/preflight.py").read_text()
    )
    words = ("--contract", "preflight", "--python", "gate:main", "--in-process")

    done = suite(tmp_path, "run", *words, "-n", workers, "--json", "report.json")

    rows = json.loads((tmp_path / "report.json").read_text())["scenarios"]
    supported = [row for row in rows if row["result"] != "unsupported"]
    assert done.returncode == 0, done.stdout[-2000:]
    assert len(supported) >= 0.9 * len(rows)
    assert sorted(os.listdir(tmp_path)) == ["gate.py", "report.json"]


def test_it_takes_a_callable(tmp_path: Path) -> None:
    done = suite(tmp_path, "run", "--in-process")

    assert (done.returncode, done.stderr) == (
        2,
        "probe-conformance: --in-process is about a Python callable; name a callable with --python, or leave it out\n",
    )
