"""A container of its own: how it ended, what is known about the cause, and what it changed beside its volumes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from docker.errors import APIError
from factories import broke, ending, exited, killed, timed_out, unsupported
from msgspec.structs import replace

from conformance.catalogue.contracts import bundled
from conformance.drivers.container.client import EngineLost
from conformance.drivers.container.fresh_run import FreshRun, with_signal
from conformance.drivers.container.request import Confinement
from conformance.drivers.container.spec import ContainerSpec, Volume
from conformance.errors import CannotJudge
from conformance.model.contract import Verdict
from conformance.model.outcome import Killed, Outcome

SLOT = bundled()["slot"]
#: A contract in which a code stands for something that looks like a death by SIGKILL.
KNOWS = replace(
    SLOT, verdicts=(*SLOT.verdicts, Verdict(name="odd", codes=(137,), meaning="", action=""))
)
OOM = "out of memory, the limit is 64m"


# What an exit status stands for


@pytest.mark.parametrize("code", [0, 1, 64, 65, 66, 125, 126, 127, 128, 193, 200, 255])
def test_other_codes_are_left_as_they_are(code: int) -> None:
    outcome = exited(code, stdout=b"o", seconds=1.5)
    assert with_signal(outcome, SLOT) == outcome


@pytest.mark.parametrize(
    ("code", "signal"), [(129, 1), (134, 6), (137, 9), (139, 11), (143, 15), (191, 63), (192, 64)]
)
def test_128_and_a_signal_is_a_death_by_it(code: int, signal: int) -> None:
    outcome = exited(code, stdout=b"o", stderr=b"e", truncated=True, seconds=1.5, left=("x",))
    assert with_signal(outcome, SLOT) == replace(outcome, ending=Killed(signal))


def test_a_code_that_the_contract_knows_is_that_code() -> None:
    assert with_signal(exited(137), KNOWS) == exited(137)
    assert with_signal(exited(143), KNOWS) == killed(15)


@pytest.mark.parametrize("contract", [SLOT, KNOWS])
def test_an_end_for_lack_of_memory_is_never_an_exit_code(contract: Any) -> None:
    assert with_signal(exited(137, why=OOM), contract) == killed(9, why=OOM)


@pytest.mark.parametrize(
    "outcome", [timed_out(seconds=15), broke("x"), unsupported("x"), killed(9)]
)
def test_what_has_no_exit_status_is_left_as_it_is(outcome: Outcome) -> None:
    assert with_signal(outcome, SLOT) == outcome


# One run


def frame(number: int, data: bytes) -> bytes:
    return bytes((number, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


class Engine:
    """An engine whose container prints, and ends, as it is told."""

    def __init__(self) -> None:
        self.api = self
        self.code: int | None = 0
        """None for a container that does not end by itself."""
        self.oom = False
        self.printed = b""
        self.closes = True
        """Whether its streams are closed after what it prints."""
        self.refusal: Exception | None = None
        self.changes: list[dict[str, Any]] | None = []
        self.calls: list[str] = []
        self.ours, self.theirs = socket.socketpair()
        self._killed = threading.Event()

    def create_host_config(self, **_: Any) -> dict[str, Any]:
        return {}

    def create_container(self, *_: Any, **__: Any) -> dict[str, str]:
        return {"Id": "container"}

    def attach_socket(self, container: str, *, params: dict[str, int]) -> socket.socket:
        self.calls.append("attach")
        return self.ours

    def start(self, container: str) -> None:
        self.calls.append("start")
        if self.refusal is not None:
            raise self.refusal
        self.theirs.sendall(self.printed)
        if self.closes:
            self.theirs.shutdown(socket.SHUT_WR)

    def wait(self, container: str, *, timeout: float) -> dict[str, int]:
        self.calls.append("wait")
        if self.code is None:
            raise requests.ReadTimeout("Read timed out.")
        return {"StatusCode": self.code}

    def kill(self, container: str) -> None:
        self.calls.append("kill")

    def inspect_container(self, container: str) -> dict[str, Any]:
        self.calls.append("inspect")
        return {"State": {"OOMKilled": self.oom}}

    def diff(self, container: str) -> list[dict[str, Any]] | None:
        self.calls.append("diff")
        return self.changes

    def remove_container(self, container: str, *, v: bool, force: bool) -> None:
        self.calls.append(f"remove {v} {force}")


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    for end in (made.ours, made.theirs):
        with suppress(OSError):
            end.close()


SPEC = ContainerSpec(image="x", argv=("probe",), confinement=Confinement(memory="64m"))


def one_run(engine: Engine, spec: ContainerSpec = SPEC) -> FreshRun:
    return FreshRun(engine, spec, {})  # type: ignore[arg-type]


def test_a_run_is_attached_to_before_it_starts_so_that_nothing_is_missed(engine: Engine) -> None:
    engine.code, engine.printed = 65, frame(1, b"out") + frame(2, b"err")
    run = one_run(engine)
    outcome = run.run(15)
    assert (ending(outcome), outcome.stdout, outcome.stderr) == ("exited 65", b"out", b"err")
    assert 0 <= outcome.seconds < 5
    run.close()
    assert engine.calls == ["attach", "start", "wait", "remove True True"]


def test_much_output_is_cut(engine: Engine) -> None:
    engine.code = 0
    data = b"".join(frame(1, b"x" * 50_000) for _ in range(40))

    def send() -> None:
        engine.theirs.sendall(data)
        engine.theirs.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    engine.closes = False
    sender.start()
    outcome = one_run(engine).run(30)
    sender.join()
    assert (len(outcome.stdout), outcome.truncated, outcome.code) == (1024 * 1024, True, 0)


@pytest.mark.parametrize(("oom", "why"), [(True, OOM), (False, "")])
def test_the_engine_is_asked_why_a_container_was_killed(
    engine: Engine, oom: bool, why: str
) -> None:
    engine.code, engine.oom = 137, oom
    outcome = one_run(engine).run(15)
    assert (outcome.code, outcome.why) == (137, why)
    assert with_signal(outcome, KNOWS) == (replace(outcome, ending=Killed(9)) if oom else outcome)


def test_a_probe_that_exits_by_itself_is_not_asked_about(engine: Engine) -> None:
    """An engine also says that memory ran out where it hit a child, and the probe answered all the same."""
    engine.code, engine.oom = 66, True
    assert one_run(engine).run(15).why == ""
    assert "inspect" not in engine.calls


@pytest.mark.parametrize("closes", [True, False])
def test_no_end_in_time_is_a_time_out_and_the_container_is_killed(
    engine: Engine, closes: bool
) -> None:
    """Also where the probe has closed its streams, which is no end."""
    engine.code, engine.closes, engine.printed = None, closes, frame(1, b"so far")
    started = time.monotonic()
    outcome = one_run(engine).run(0.2)
    assert time.monotonic() - started < 5
    assert (ending(outcome), outcome.stdout) == ("timed out", b"so far")
    assert engine.calls[-2:] == ["wait", "kill"]


def test_a_container_that_ends_in_the_last_moment_has_an_answer(engine: Engine) -> None:
    engine.code, engine.closes = 64, False
    assert one_run(engine).run(0.1).code == 64


def test_patience_that_some_versions_of_requests_wrap_is_a_time_out_too(engine: Engine) -> None:
    def wait(container: str, *, timeout: float) -> dict[str, int]:
        raise requests.ConnectionError(
            "UnixHTTPConnectionPool(host='localhost', port=None): Read timed out."
        )

    engine.wait = wait  # type: ignore[method-assign]
    assert ending(one_run(engine).run(0.1)) == "timed out"


def test_an_engine_that_goes_away_is_lost_and_no_time_out(engine: Engine) -> None:
    def wait(container: str, *, timeout: float) -> dict[str, int]:
        raise requests.ConnectionError(
            "Connection aborted.", ConnectionResetError(104, "Connection reset by peer")
        )

    engine.wait = wait  # type: ignore[method-assign]
    with pytest.raises(EngineLost, match="the container engine was lost: Connection reset by peer"):
        one_run(engine).run(5)


RUNC = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: {}: unknown"
)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            RUNC.format('exec: "/x": stat /x: no such file or directory'),
            'exec: "/x": stat /x: no such file or directory',
        ),
        (RUNC.format('exec: "/x": permission denied'), 'exec: "/x": permission denied'),
        ("no space left on device", "no space left on device"),
    ],
)
def test_why_a_container_does_not_start_is_told_in_a_few_words(
    engine: Engine, said: str, told: str
) -> None:
    engine.refusal = APIError("400 Client Error", explanation=said)
    with pytest.raises(CannotJudge) as caught:
        one_run(engine).run(5)
    assert str(caught.value) == f"the container does not start: {told}"
    assert not isinstance(caught.value, EngineLost)


def test_an_engine_that_is_gone_at_the_start_is_lost(engine: Engine) -> None:
    engine.refusal = requests.ConnectionError("Connection refused")
    with pytest.raises(EngineLost):
        one_run(engine).run(5)


def test_removing_what_is_gone_is_no_failure(engine: Engine) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise APIError("404 Client Error")

    engine.remove_container = gone  # type: ignore[method-assign]
    one_run(engine).close()


# Outside the HOME


def changed(path: str, kind: int) -> dict[str, Any]:
    return {"Path": path, "Kind": kind}


HOME = Volume(name="v", target="/home/agent")


def test_changes_outside_the_volumes_are_told_without_the_directories_above_them(
    engine: Engine,
) -> None:
    engine.changes = [
        changed("/home", 0),
        changed("/home/agent", 1),
        changed("/home/agent/.claude", 1),
        changed("/home/agent2", 1),
        changed("/etc", 0),
        changed("/etc/passwd", 0),
        changed("/opt", 0),
        changed("/srv/new", 1),
        changed("/usr/bin/old", 2),
        changed("/odd", 7),
    ]
    assert one_run(engine, replace(SPEC, volumes=(HOME,))).changed_outside() == (
        "changed /etc/passwd",
        "added /home/agent2",
        "changed /odd",
        "changed /opt",
        "added /srv/new",
        "removed /usr/bin/old",
    )


def test_nothing_changed_is_nothing_told(engine: Engine) -> None:
    engine.changes = None  # as engines say that there is none
    assert one_run(engine).changed_outside() == ()


def test_where_nothing_can_be_written_the_engine_is_not_asked(engine: Engine) -> None:
    assert one_run(engine, replace(SPEC, read_only=True)).changed_outside() == ()
    assert "diff" not in engine.calls
