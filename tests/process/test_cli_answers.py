"""What a state of a CLI answers in process is what its stub does when it is started."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from factories import PATIENCE, refusal, wait_for, written

from conformance.catalogue.agents import cli_state, cli_states, state_in
from conformance.drivers.stubs import Stubs
from conformance.errors import FileError
from conformance.home import build, plan
from conformance.model.agent import HEALTHY, Answer, named, named_path
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Entry

#: The time that a CLI has here, in seconds: a slow one takes a part of it.
CLI_SECONDS = 0.5
CONTEXT = Context(now=0, seed="", cli_seconds=CLI_SECONDS)
#: States whose stub is one program that is started: others are about where it lies.
STARTED = [name for name in cli_states() if "cli" in cli_state(name).answers]
ENDING = [name for name in STARTED if "120" not in cli_state(name).answers["cli"][0].seconds]
HANGING = [name for name in STARTED if name not in ENDING]


class Place:
    """A directory of stubs, and a HOME."""

    def __init__(self, top: Path, state: str, agent: str) -> None:
        self.home, self.asked = top / "home", top / "asked"
        self.home.mkdir()
        stubs = Stubs(agent=agent, state=state, others=(), cli_seconds=CLI_SECONDS)
        build(stubs.nodes(str(self.asked)), top / "cli")
        self.path = f"{top / 'cli'}:{os.environ['PATH']}"
        self.agent = agent

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.agent, *words],
            env={"PATH": self.path, "HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


@pytest.fixture(params=["claude", "codex"])
def agent(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def answer_of(state: str, agent: str, *words: str) -> Answer:
    return next(each for each in cli_state(state).answers["cli"] if each.fits(agent, words))


def printed(entry: Entry | None) -> bytes:
    return b"" if entry is None else b"".join(b"".join(n.chunks()) for n in plan([entry], CONTEXT))


@pytest.mark.parametrize("state", ENDING)
def test_a_stub_does_what_its_answer_says(state: str, agent: str, tmp_path: Path) -> None:
    place, answer = Place(tmp_path, state, agent), answer_of(state, agent, "--version")
    start = time.monotonic()
    if answer.error:
        with pytest.raises(OSError, match=agent) as caught:
            place.start("--version")
        assert errno.errorcode[caught.value.errno or 0] == answer.error
        return
    cli = place.start("--version")
    if answer.child_seconds:
        # What it has started holds its output open; the first line is there all the same.
        assert cli.stdout is not None
        out, err = os.read(cli.stdout.fileno(), 1000), b""
        wait_for(lambda: answer.child in map(words, group(cli.pid)), f"'{answer.child}'")
        status = cli.wait(timeout=PATIENCE)
        os.killpg(cli.pid, signal.SIGKILL)
        cli.communicate(timeout=PATIENCE)
    else:
        out, err = cli.communicate(timeout=PATIENCE)
        status = cli.returncode
    seconds = time.monotonic() - start
    assert status == (-getattr(signal, answer.signal) if answer.signal else answer.code)
    assert (out, err) == (printed(answer.stdout), printed(answer.stderr))
    assert seconds >= float(expand(answer.seconds, CONTEXT))
    files = {str(path.relative_to(place.home)) for path in place.home.rglob("*") if path.is_file()}
    nodes = plan(named(answer.writes, agent), CONTEXT)
    assert files == {os.fsdecode(node.path) for node in nodes if node.kind == "file"}
    for node in nodes:
        if node.kind == "file":
            assert (place.home / os.fsdecode(node.path)).read_bytes() == b"".join(node.chunks())
    writes = {named_path(path, agent) for path in cli_state(state).writes}
    assert not writes or files


def group(pid: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == pid:
                yield process


def words(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@pytest.mark.parametrize("state", [*HANGING, "slow"])
def test_one_that_takes_its_time_is_what_its_answer_says(state: str, tmp_path: Path) -> None:
    place, answer = Place(tmp_path, state, "claude"), answer_of(state, "claude", "--version")
    cli = place.start("--version")
    try:
        wanted = expand(answer.becomes or answer.child, CONTEXT)
        wait_for(lambda: wanted in map(words, group(cli.pid)), f"process '{wanted}'")
        becomes = words(psutil.Process(cli.pid))
        assert becomes == (
            answer.becomes or f"/bin/sh {place.path.partition(':')[0]}/claude --version"
        )
        cli.send_signal(signal.SIGTERM)
        if "SIGTERM" in answer.ignores:
            with pytest.raises(subprocess.TimeoutExpired):
                cli.wait(timeout=0.2)
        else:
            assert cli.wait(timeout=PATIENCE) == -signal.SIGTERM
        left = [words(each) for each in group(cli.pid) if each.pid != cli.pid]
        assert left == ([expand(answer.child, CONTEXT)] if answer.child else [])
    finally:
        with suppress(ProcessLookupError):
            os.killpg(cli.pid, signal.SIGKILL)
        cli.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("question", ["auth status", "-V", "-v", "version"])
def test_a_healthy_one_answers_other_questions_alike(
    question: str, agent: str, tmp_path: Path
) -> None:
    place, answer = Place(tmp_path, HEALTHY, agent), answer_of(HEALTHY, agent, *question.split())
    place.asked.touch()
    cli = place.start(*question.split())
    out, err = cli.communicate(timeout=PATIENCE)
    assert (cli.returncode, out, err) == (
        answer.code,
        printed(answer.stdout),
        printed(answer.stderr),
    )
    assert place.asked.read_text() == (f"{agent} {question}\n" if answer.asked else "")


@pytest.mark.parametrize("state", ["no-shebang", "no-shebang-exit-0", "truncated-elf"])
def test_what_a_shell_makes_of_one_that_cannot_be_loaded(state: str, tmp_path: Path) -> None:
    place, answer = Place(tmp_path, state, "claude"), answer_of(state, "claude", "--version")
    done = subprocess.run(
        ["sh", "-c", "claude --version"],
        env={"PATH": place.path},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == answer.code


def test_every_bundled_program_that_can_be_started_has_an_answer() -> None:
    without = {name for name in cli_states() if not cli_state(name).answers}
    assert without == {
        *("directory", "link-dangling", "missing", "not-executable"),
        *("several-none-executable", "symlink-loop"),
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('signal = "SIGFOO"', "answers.0.signal: unknown name 'SIGFOO'"),
        ('error = "nothing"', "answers.0.error: unknown name 'nothing'"),
        ('ignores = ["TERM"]', "answers.0.ignores: unknown name 'TERM'"),
        ('seconds = "soon"', "answers.0.seconds: 'soon' is no time"),
        ('stdout = { type = "fifo" }', "answers.0.stdout: is no text to print"),
        ("coda = 1", "answers.0.coda: unknown key"),
    ],
)
def test_a_wrong_answer_is_one_line(line: str, said: str, tmp_path: Path) -> None:
    file = written(tmp_path / "states" / "own.toml", f'summary = "x"\n[[answers]]\n{line}\n')
    assert said in refusal(FileError, state_in, file)
