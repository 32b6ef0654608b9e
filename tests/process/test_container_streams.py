"""What comes over the connection to a container, and the shell kept open behind it: a real shell here, without an engine."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any

import pytest

from conformance.drivers.container.client import EngineLost
from conformance.drivers.container.shell import Reply, Shell, ShellLost
from conformance.drivers.container.spec import ContainerSpec
from conformance.drivers.container.streams import Attached, Output, keep, streams_of

#: Far more than anything here takes; a test that needs it has failed.
PATIENCE = 30.0


def frame(number: int, data: bytes) -> bytes:
    """Return *data* as engines send it: stream, three zeros, length, content."""
    return bytes((number, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


class Engine:
    """A container that is a process here: its streams are pumped over a socket, as an engine does."""

    def __init__(
        self, argv: tuple[str, ...] = ("sh",), *, piece: int = 32 * 1024, raw: bool = False
    ) -> None:
        self.api = self
        self.ours, self.theirs = socket.socketpair()
        self.removed: list[str] = []
        self.parameters: dict[str, int] = {}
        self._argv, self._piece, self._raw = argv, piece, raw
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def create_host_config(self, **_: Any) -> dict[str, Any]:
        return {}

    def create_container(self, *_: Any, **__: Any) -> dict[str, str]:
        return {"Id": "container"}

    def attach_socket(self, container: str, *, params: dict[str, int]) -> Any:
        assert container == "container"
        self.parameters = params
        # Over a local socket the SDK hands out what http.client reads from; over others, the socket itself.
        return self.ours if self._raw else self.ours.makefile("rb", buffering=0)

    def start(self, container: str) -> None:
        assert container == "container"
        self._process = subprocess.Popen(
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        outputs = [(1, self._process.stdout), (2, self._process.stderr)]
        pumps = [threading.Thread(target=self._out, args=pair, daemon=True) for pair in outputs]
        self._threads = [
            threading.Thread(target=self._in, args=(self._process.stdin,), daemon=True),
            threading.Thread(target=self._end, args=(pumps,), daemon=True),
        ]
        for thread in (*pumps, *self._threads):
            thread.start()

    def _in(self, stdin: IO[bytes]) -> None:
        with suppress(OSError), stdin:
            while data := self.theirs.recv(65536):
                stdin.write(data)

    def _out(self, number: int, stream: IO[bytes]) -> None:
        with suppress(OSError), stream:
            while data := stream.read(self._piece):
                with self._lock:
                    self.theirs.sendall(frame(number, data))

    def _end(self, pumps: list[threading.Thread]) -> None:
        assert self._process is not None
        self._process.wait()
        for pump in pumps:
            pump.join(1)  # what still holds a stream goes with the container
        with suppress(OSError):
            self.theirs.shutdown(socket.SHUT_WR)

    def remove_container(self, container: str, *, v: bool, force: bool) -> None:
        self.removed.append(container)
        self._kill()

    def _kill(self) -> None:
        """End all of the container, as an engine does."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        self._kill()
        if self._process is not None:
            with suppress(OSError):
                self.theirs.shutdown(socket.SHUT_RDWR)
            for thread in self._threads:
                thread.join(PATIENCE)
        for end in (self.ours, self.theirs):
            end.close()


def shell_over(engine: Engine) -> Shell:
    spec = ContainerSpec(image="x", argv=("sh",))
    return Shell(engine, spec, {})  # type: ignore[arg-type]


@pytest.fixture
def open_shell() -> Iterator[Callable[..., Shell]]:
    """Return a function that opens a shell."""
    made: list[tuple[Shell, Engine]] = []

    def make(**options: Any) -> Shell:
        engine = Engine(**options)
        made.append((shell_over(engine), engine))
        return made[-1][0]

    yield make
    for shell, engine in made:
        shell.close()
        assert engine.removed == ["container"]
        engine.close()


@pytest.fixture(params=[32 * 1024, 1], ids=["large frames", "a frame for each byte"])
def shell(request: pytest.FixtureRequest, open_shell: Callable[..., Shell]) -> Shell:
    """A shell whose output comes in frames of any size: marks are split over many, or share one with what stands before."""
    return open_shell(piece=request.param)


def told(reply: Reply) -> tuple[int, bytes, bytes]:
    return reply.code, reply.stdout, reply.stderr


# The shell


@pytest.mark.parametrize("code", [0, 1, 64, 65, 66, 126, 127, 128, 137, 255])
def test_the_exit_code_is_exact(shell: Shell, code: int) -> None:
    assert told(shell.run(f"(exit {code})".encode(), PATIENCE)) == (code, b"", b"")


@pytest.mark.parametrize(
    ("script", "stdout", "stderr"),
    [
        (b"echo out; echo err >&2", b"out\n", b"err\n"),
        (b"printf out; printf err >&2", b"out", b"err"),
        (b"printf '\\n'; printf '\\n\\n' >&2", b"\n", b"\n\n"),
        (b"printf 'a\\nb'", b"a\nb", b""),
        (b"printf '\\000\\377\\001\\033[0m\\r'", b"\x00\xff\x01\x1b[0m\r", b""),
        (b"printf ' 0\\n 1 2\\n'", b" 0\n 1 2\n", b""),
        (b"echo one\necho two", b"one\ntwo\n", b""),
        (b": nothing", b"", b""),
        ("echo é\\'".encode(), "é'\n".encode(), b""),
    ],
)
def test_output_comes_back_as_it_was_printed(
    shell: Shell, script: bytes, stdout: bytes, stderr: bytes
) -> None:
    assert told(shell.run(script, PATIENCE)) == (0, stdout, stderr)


def test_one_line_after_the_other_in_the_same_shell(shell: Shell) -> None:
    assert told(shell.run(b"x=1; echo first", PATIENCE)) == (0, b"first\n", b"")
    assert told(shell.run(b"echo $x; (exit 7)", PATIENCE)) == (7, b"1\n", b"")
    assert told(shell.run(b"f() { echo of a function; }", PATIENCE)) == (0, b"", b"")
    assert told(shell.run(b"f", PATIENCE)) == (0, b"of a function\n", b"")


def test_a_program_that_is_not_there_is_127_and_one_killed_is_128_and_the_signal(
    shell: Shell,
) -> None:
    assert shell.run(b"/does/not/exist", PATIENCE).code == 127
    assert shell.run(b"sh -c 'kill -9 $$' 2>/dev/null", PATIENCE).code == 137


@pytest.mark.parametrize("number", [1, 2])
def test_of_much_output_the_beginning_is_kept_and_the_answer_is_still_exact(
    open_shell: Callable[..., Shell], number: int
) -> None:
    """Also where it ends without a line break, and whatever the other stream holds."""
    shell = open_shell()
    script = f"{{ echo begin; head -c 3000000 /dev/zero; }} >&{number}; (exit 66)"
    reply = shell.run(script.encode(), PATIENCE, limit=1000)
    kept = (reply.stdout, reply.stderr)[number - 1]
    assert (reply.code, reply.truncated) == (66, True)
    assert kept == b"begin\n" + bytes(len(kept) - 6)
    assert 1000 <= len(kept) <= 1200
    assert told(shell.run(b"echo next", PATIENCE)) == (0, b"next\n", b"")


@pytest.mark.parametrize("size", [999, 1000, 1001, 1150, 1170, 1180, 1190, 1199, 1200, 1201, 1230])
def test_nothing_of_ours_stands_in_what_is_kept(
    open_shell: Callable[..., Shell], size: int
) -> None:
    """Also where what is kept ends in the middle of a mark."""
    reply = open_shell().run(f"head -c {size} /dev/zero".encode(), PATIENCE, limit=1000)
    assert reply.stdout == bytes(len(reply.stdout))
    assert min(size, 1000) <= len(reply.stdout) <= size
    assert reply.truncated or len(reply.stdout) == size


def test_a_large_output_comes_whole_where_that_is_wanted(open_shell: Callable[..., Shell]) -> None:
    reply = open_shell().run(b"head -c 5000000 /dev/zero", PATIENCE, limit=10_000_000)
    assert (len(reply.stdout), reply.truncated) == (5_000_000, False)


def test_a_script_finds_what_it_is_fed_on_its_standard_input(shell: Shell) -> None:
    data = bytes(range(256)) * 40 + b"\n}\nexit 3\n"  # nothing of it is taken for a command
    assert told(shell.run(f"head -c {len(data)}".encode(), PATIENCE, feed=io.BytesIO(data))) == (
        0,
        data,
        b"",
    )
    assert told(
        shell.run(b'read line; echo "got $line"', PATIENCE, feed=io.BytesIO(b"a line\n"))
    ) == (
        0,
        b"got a line\n",
        b"",
    )
    assert told(shell.run(b"echo next", PATIENCE)) == (0, b"next\n", b"")


def test_a_large_output_can_go_into_a_file(open_shell: Callable[..., Shell]) -> None:
    with io.BytesIO() as file:
        reply = open_shell().run(
            b"head -c 5000000 /dev/zero; echo error >&2; (exit 3)",
            PATIENCE,
            limit=10_000_000,
            into=file,
        )
        assert (reply.code, reply.stdout, reply.stderr) == (3, b"", b"error\n")
        assert not reply.truncated
        assert file.getvalue()[:5_000_000] == bytes(5_000_000)
        assert len(file.getvalue()) < 5_000_200  # a line of ours follows


def test_what_goes_into_a_file_is_bounded(open_shell: Callable[..., Shell]) -> None:
    with io.BytesIO() as file:
        reply = open_shell().run(b"head -c 5000000 /dev/zero", PATIENCE, limit=1000, into=file)
        assert reply.truncated
        assert len(file.getvalue()) == 1200


def test_much_can_be_fed(open_shell: Callable[..., Shell]) -> None:
    data = os.urandom(4_000_000)
    reply = open_shell().run(
        f"head -c {len(data)} | sha256sum".encode(), PATIENCE, feed=io.BytesIO(data)
    )
    assert reply.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


@pytest.mark.slow
def test_what_is_fed_and_not_taken_ends_in_a_time_out(open_shell: Callable[..., Shell]) -> None:
    with pytest.raises(TimeoutError):
        open_shell().run(b"sleep 30", 0.5, feed=io.BytesIO(bytes(4_000_000)))


def test_a_script_with_no_standard_input_of_its_own_must_not_eat_the_next(shell: Shell) -> None:
    """That is why probes get /dev/null."""
    assert told(shell.run(b"( cat; read x ) </dev/null", PATIENCE)) == (1, b"", b"")
    assert told(shell.run(b"echo next", PATIENCE)) == (0, b"next\n", b"")


def test_a_script_that_waits_for_input_that_never_comes_ends_in_a_time_out(
    open_shell: Callable[..., Shell],
) -> None:
    with pytest.raises(TimeoutError):
        open_shell().run(b"read x", 0.3)


def test_no_end_is_a_time_out_in_time(open_shell: Callable[..., Shell]) -> None:
    shell = open_shell()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        shell.run(b"echo some; sleep 30", 0.3)
    assert time.monotonic() - started < 5


def test_output_without_end_is_a_time_out_in_time(open_shell: Callable[..., Shell]) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        open_shell().run(b"while :; do echo noise; done", 0.3)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "script", [b"exit 0", b"echo last words; exit 3", b"kill -9 $$", b"exec true"]
)
def test_a_shell_that_ends_in_the_middle_is_lost(
    open_shell: Callable[..., Shell], script: bytes
) -> None:
    shell = open_shell()
    with pytest.raises(ShellLost):
        shell.run(script, PATIENCE)
    with pytest.raises(ShellLost):
        shell.run(b"echo again", PATIENCE)


def test_a_shell_that_ends_before_it_is_fed_is_lost(open_shell: Callable[..., Shell]) -> None:
    with pytest.raises(ShellLost):
        open_shell(argv=("sh", "-c", "exec true")).run(
            b"head -c 4", PATIENCE, feed=io.BytesIO(b"food")
        )


def test_a_shell_that_cannot_be_written_to_is_lost_and_not_the_engine(
    open_shell: Callable[..., Shell],
) -> None:
    shell = open_shell()
    shell._attached._socket.shutdown(socket.SHUT_WR)
    with pytest.raises(ShellLost, match="cannot be reached: Broken pipe"):
        shell.run(b"true", PATIENCE)


@pytest.mark.slow
def test_what_is_not_a_shell_is_lost(open_shell: Callable[..., Shell]) -> None:
    with pytest.raises(TimeoutError):
        open_shell(argv=("cat",)).run(b"echo x", 0.5)
    with pytest.raises(ShellLost):
        open_shell(argv=("true",)).run(b"echo x", PATIENCE)


def test_a_container_that_does_not_start_is_removed() -> None:
    class Refusing(Engine):
        def start(self, container: str) -> None:
            raise ConnectionRefusedError(111, "Connection refused")

    engine = Refusing()
    with pytest.raises(EngineLost):
        shell_over(engine)
    assert engine.removed == ["container"]
    engine.close()


# The connection


@pytest.fixture(params=[False, True], ids=["a file over the socket", "the socket itself"])
def wire(request: pytest.FixtureRequest) -> Iterator[tuple[Attached, socket.socket]]:
    """A connection to a container, and its other end."""
    engine = Engine(raw=request.param)
    attached = Attached(engine, "container")  # type: ignore[arg-type]
    assert engine.parameters == {"stdin": 0, "stdout": 1, "stderr": 1, "stream": 1}
    yield attached, engine.theirs
    attached.close()
    engine.close()


def soon() -> float:
    return time.monotonic() + PATIENCE


def test_frames_are_told_apart_by_stream(wire: tuple[Attached, socket.socket]) -> None:
    attached, other = wire
    other.sendall(frame(1, b"out") + frame(2, b"err") + frame(1, b"") + frame(1, b"more"))
    other.shutdown(socket.SHUT_WR)
    assert list(attached.frames(soon())) == [(1, b"out"), (2, b"err"), (1, b"more")]


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 9, 10])
def test_a_connection_that_ends_in_the_middle_ends_the_output(
    wire: tuple[Attached, socket.socket], cut: int
) -> None:
    attached, other = wire
    other.sendall(frame(1, b"whole") + frame(2, b"cut")[:cut])
    other.shutdown(socket.SHUT_WR)
    assert b"".join(data for number, data in attached.frames(soon()) if number == 1) == b"whole"


def test_what_came_before_a_time_out_is_kept(wire: tuple[Attached, socket.socket]) -> None:
    attached, other = wire
    outputs = streams_of()
    other.sendall(frame(1, b"some") + frame(2, b"half of it")[:12])
    with pytest.raises(TimeoutError):
        keep(attached, outputs, time.monotonic() + 0.2)
    assert [bytes(outputs[number].data) for number in (1, 2)] == [b"some", b"half"]


def test_streams_that_nobody_knows_are_left_out(wire: tuple[Attached, socket.socket]) -> None:
    attached, other = wire
    outputs = streams_of()
    other.sendall(frame(0, b"echo") + frame(1, b"out") + frame(3, b"the engine's own"))
    other.shutdown(socket.SHUT_WR)
    keep(attached, outputs, soon())
    assert {number: bytes(output.data) for number, output in outputs.items()} == {1: b"out", 2: b""}


def test_writing_to_what_is_gone_is_told(wire: tuple[Attached, socket.socket]) -> None:
    attached, other = wire
    other.close()
    with pytest.raises(ConnectionError, match=r"Broken pipe|Connection reset by peer"):
        attached.send(bytes(10_000_000), soon())


def test_writing_to_what_does_not_read_ends_in_time(wire: tuple[Attached, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        wire[0].send(bytes(10_000_000), time.monotonic() + 0.2)


def test_a_bounded_part_of_a_stream_is_kept() -> None:
    output = Output(10)
    for chunk in (b"12345", b"67890"):
        output.add(chunk)
    assert (bytes(output.data), output.truncated) == (b"1234567890", False)
    output.add(b"")
    assert not output.truncated
    output.add(b"x")
    assert (bytes(output.data), output.truncated) == (b"1234567890", True)


@pytest.mark.parametrize("stream", [1, 2])
def test_what_is_left_running_and_prints_hides_no_answer(
    open_shell: Callable[..., Shell], stream: int
) -> None:
    """In a container of its own the probe's end ends that too."""
    shell = open_shell()
    reply = shell.run(
        f"(while :; do echo noise; done) >&{stream} & sleep 0.1; (exit 65)".encode(), 5
    )
    assert reply.code == 65
