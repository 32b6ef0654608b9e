"""Early starts: scenarios that can only wait do so at the same time, also for workers in other processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from factories import (
    PATIENCE,
    broke,
    ending,
    entry,
    exited,
    killed,
    ran,
    scenario,
    timed_out,
    unsupported,
)

from conformance.model.outcome import Execution
from conformance.model.scenario import Scenario
from conformance.run.head_start import HeadStart, HeadStartClient, HeadStartServer


def seen(text: str) -> Execution:
    return ran(exited(64, stdout=text.encode()))


Starter = Callable[..., HeadStart]


@pytest.fixture
def starts() -> Iterator[Starter]:
    """Return a function that makes early starts, which are ended with the test."""
    made = []

    def make(observe: Callable[[Scenario, int], Execution], concurrent: int = 64) -> HeadStart:
        made.append(HeadStart(observe, concurrent))
        return made[-1]

    yield make
    for early in made:
        early.cancel()
        early.join()


Server = Callable[[HeadStart], HeadStartClient]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Server]:
    """Return a function that serves early starts and gives a client of them."""
    servers = []

    def start(early: HeadStart) -> HeadStartClient:
        servers.append(HeadStartServer(early, tmp_path / "early"))
        return HeadStartClient(tmp_path / "early")

    yield start
    for server in servers:
        server.close()


class Counter:
    """An observation that counts itself, by scenario."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, case: Scenario, number: int) -> Execution:
        with self._lock:
            self.counts[case.id] = self.counts.get(case.id, 0) + 1
            return seen(f"{case.id} {self.counts[case.id]}")


def test_scenarios_that_wait_overlap(starts: Starter) -> None:
    """Twenty of them are all under way before the first is let go."""
    barrier = threading.Barrier(20)

    def observe(case: Scenario, number: int) -> Execution:
        barrier.wait(PATIENCE)
        return seen(case.id)

    early = starts(observe)
    cases = [scenario(id_=f"cli/hangs-{n}") for n in range(20)]
    early.start(cases, 1)
    assert [early.wait(case.id) for case in cases] == [[seen(case.id)] for case in cases]


@pytest.mark.slow
def test_twenty_seconds_of_waiting_take_far_less(starts: Starter) -> None:
    def observe(case: Scenario, number: int) -> Execution:
        time.sleep(1)
        return seen(case.id)

    started = time.monotonic()
    early = starts(observe)
    early.start([scenario(id_=f"cli/hangs-{n}") for n in range(20)], 1)
    for n in range(20):
        early.wait(f"cli/hangs-{n}")
    assert time.monotonic() - started < 10


def test_repetitions_overlap_as_well_and_all_are_returned(starts: Starter) -> None:
    barrier = threading.Barrier(6)

    def observe(case: Scenario, number: int) -> Execution:
        return seen(f"{case.id} {barrier.wait(PATIENCE)}")

    early = starts(observe)
    early.start([scenario(id_="a"), scenario(id_="b")], 3)
    texts = [
        execution.outcome.stdout.decode() for id_ in ("a", "b") for execution in early.wait(id_)
    ]
    assert [text.split()[0] for text in texts] == ["a"] * 3 + ["b"] * 3
    assert len({text.split()[1] for text in texts}) == 6


def test_each_repetition_is_told_its_number_from_0(starts: Starter) -> None:
    """Of an image, the number says in which isolation it runs."""
    early = starts(lambda case, number: seen(f"{case.id} {number}"))
    early.start([scenario(id_="a"), scenario(id_="b")], 3)
    assert [early.wait(id_) for id_ in ("a", "b")] == [
        [seen(f"{id_} {n}") for n in range(3)] for id_ in ("a", "b")
    ]


def test_no_more_are_under_way_than_was_asked_for(starts: Starter) -> None:
    """Each is a container where the probe is an image."""
    lock, now, most = threading.Lock(), [0], [0]

    def observe(case: Scenario, number: int) -> Execution:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        return seen(case.id)

    early = starts(observe, 3)
    early.start([scenario(id_=f"n{n}") for n in range(12)], 1)
    early.join()
    assert most == [3]


def test_starting_returns_before_anything_is_seen(starts: Starter) -> None:
    let_go = threading.Event()

    def observe(case: Scenario, number: int) -> Execution:
        assert let_go.wait(PATIENCE)
        return seen(case.id)

    early = starts(observe)
    early.start([scenario(id_="a")], 1)
    let_go.set()
    assert early.wait("a") == [seen("a")]


def test_more_than_the_pool_holds_are_all_seen(starts: Starter) -> None:
    early = starts(Counter())
    early.start([scenario(id_=f"n{n}") for n in range(200)], 2)
    assert [len(early.wait(f"n{n}")) for n in range(200)] == [2] * 200


def test_a_second_start_starts_nothing_again(starts: Starter) -> None:
    counter = Counter()
    early = starts(counter)
    early.start([scenario(id_="a")], 2)
    early.start([scenario(id_="a"), scenario(id_="b")], 2)
    early.wait("a")
    early.wait("b")
    early.join()
    assert counter.counts == {"a": 2, "b": 2}


def test_a_result_can_be_read_twice(starts: Starter) -> None:
    early = starts(Counter())
    early.start([scenario(id_="a")], 1)
    assert early.wait("a") == early.wait("a") == [seen("a 1")]


def test_a_failure_of_an_observation_is_not_swallowed(starts: Starter) -> None:
    def observe(case: Scenario, number: int) -> Execution:
        raise RuntimeError(f"no luck with {case.id}")

    early = starts(observe)
    early.start([scenario(id_="a")], 2)
    with pytest.raises(RuntimeError, match="no luck with a"):
        early.wait("a")


def test_cancelling_starts_nothing_more_and_waits_for_nobody(starts: Starter) -> None:
    let_go = threading.Event()
    counter = Counter()

    def observe(case: Scenario, number: int) -> Execution:
        execution = counter(case, number)
        assert let_go.wait(PATIENCE)
        return execution

    early = starts(observe)
    early.start([scenario(id_=f"n{n}") for n in range(1000)], 1)
    early.cancel()
    let_go.set()
    early.join()
    assert len(counter.counts) < 1000


# Over a socket.


@pytest.mark.parametrize(
    "execution",
    [
        ran(exited(0)),
        ran(
            exited(
                255, stdout=bytes(range(256)), stderr=b"\xff\xfe\x00", truncated=True, seconds=9.75
            )
        ),
        ran(killed(64, left=("sleep 600", "d\u00e4mon\udcff".encode("utf-8", "replace").decode()))),
        ran(timed_out(), changes=("removed .claude", "added x\ny")),
        ran(broke("no luck")),
        ran(unsupported("not here"), kept="/a b/c", command="cd / && true"),
        ran(exited(1, stdout=b"o" * 1024**2, stderr=b"e" * 1024**2)),
    ],
    ids=["code", "binary", "signal", "timed out", "broke", "unsupported", "large"],
)
def test_executions_arrive_unchanged(starts: Starter, serve: Server, execution: Execution) -> None:
    client = serve(starts(lambda case, number: execution))
    client.start([scenario(id_="a")], 2)
    assert client.wait("a") == [execution, execution]


def test_scenarios_arrive_unchanged(starts: Starter, serve: Server) -> None:
    cases = [
        scenario(
            id_="a/b",
            cli="hangs",
            env={"A": "\u00e4\n"},
            unset=("B",),
            expect={"slot": ("ready", "cli-broken")},
        ),
        scenario(
            id_="c", entries=(entry("p{byte:ff}", "fifo"), entry("q", data=b"\xff\x00", mode=0))
        ),
        scenario(id_="d", entries=(entry("j", json={"a": [1, None, 2.5]}, runs=(("[", 3),)),)),
    ]
    arrived: list[Scenario] = []

    def observe(case: Scenario, number: int) -> Execution:
        arrived.append(case)
        return seen(case.id)

    client = serve(starts(observe))
    client.start(cases, 1)
    for case in cases:
        client.wait(case.id)
    assert sorted(arrived, key=lambda case: case.id) == cases


def test_the_first_of_several_clients_starts_and_all_see_the_same(
    starts: Starter, serve: Server, tmp_path: Path
) -> None:
    counter = Counter()
    serve(starts(counter))
    cases = [scenario(id_=f"n{n}") for n in range(5)]

    def work(_: int) -> list[list[Execution]]:
        client = HeadStartClient(tmp_path / "early")
        client.start(cases, 2)
        return [client.wait(case.id) for case in cases]

    with ThreadPoolExecutor(32) as pool:
        results = list(pool.map(work, range(32)))
    assert counter.counts == {case.id: 2 for case in cases}
    assert results == [results[0]] * 32


def test_clients_that_wait_do_not_keep_each_other_waiting(starts: Starter, serve: Server) -> None:
    barrier = threading.Barrier(20)

    def observe(case: Scenario, number: int) -> Execution:
        barrier.wait(PATIENCE)
        return seen(case.id)

    client = serve(starts(observe))
    cases = [scenario(id_=f"n{n}") for n in range(20)]
    client.start(cases[:10], 1)
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(client.wait, case.id) for case in cases[:10]]
        client.start(cases[10:], 1)
        assert [future.result(PATIENCE) for future in waiting] == [
            [seen(case.id)] for case in cases[:10]
        ]


def test_a_failure_of_an_observation_reaches_the_client_as_broke_with_its_words(
    starts: Starter, serve: Server
) -> None:
    def observe(case: Scenario, number: int) -> Execution:
        raise RuntimeError(f"no luck with {case.id}")

    client = serve(starts(observe))
    client.start([scenario(id_="a")], 1)
    assert client.wait("a") == [ran(broke("RuntimeError: no luck with a"))]


def test_a_scenario_that_nobody_started_broke(starts: Starter, serve: Server) -> None:
    client = serve(starts(Counter()))
    assert [
        ending(execution.outcome).partition(":")[0] for execution in client.wait("never/started")
    ] == ["broke"]


def test_a_cancelled_scenario_broke(starts: Starter, serve: Server) -> None:
    let_go = threading.Event()

    def observe(case: Scenario, number: int) -> Execution:
        assert let_go.wait(PATIENCE)
        return seen(case.id)

    early = starts(observe)
    client = serve(early)
    client.start([scenario(id_=f"n{n}") for n in range(200)], 1)
    early.cancel()
    let_go.set()
    assert client.wait("n0") == [seen("n0")]
    assert [ending(execution.outcome).partition(":")[0] for execution in client.wait("n199")] == [
        "broke"
    ]


def test_a_path_longer_than_an_address_holds_works(starts: Starter, tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 100) / ("e" * 200)
    directory.mkdir(parents=True)
    server = HeadStartServer(starts(Counter()), directory / "early")
    client = HeadStartClient(directory / "early")
    client.start([scenario(id_="a")], 1)
    assert client.wait("a") == [seen("a 1")]
    server.close()


def test_a_server_that_is_closed_or_was_never_there_broke(starts: Starter, tmp_path: Path) -> None:
    unreachable = [ran(broke("the controlling process cannot be reached"))]
    HeadStartServer(starts(Counter()), tmp_path / "early").close()
    assert HeadStartClient(tmp_path / "early").wait("a") == unreachable
    assert HeadStartClient(tmp_path / "nobody").wait("a") == unreachable
    assert HeadStartClient(tmp_path / "no" / "directory").wait("a") == unreachable


def test_a_server_that_speaks_nonsense_broke(starts: Starter, serve: Server) -> None:
    client = serve(starts(lambda case, number: "nonsense"))
    client.start([scenario(id_="a")], 1)
    assert [ending(execution.outcome).partition(":")[0] for execution in client.wait("a")] == [
        "broke"
    ]


SERVER = """
    import sys, threading
    from pathlib import Path
    from conformance.run.head_start import HeadStartServer, HeadStart

    def observe(scenario, number):
        print("under way", flush=True)
        threading.Event().wait()

    HeadStartServer(HeadStart(observe, 4), Path(sys.argv[1]))
    print("serving", flush=True)
    threading.Event().wait()
"""


def test_a_server_that_is_killed_while_it_is_waited_for_broke(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", textwrap.dedent(SERVER), str(tmp_path / "early")]
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        assert server.stdout is not None
        assert server.stdout.readline() == "serving\n"
        client = HeadStartClient(tmp_path / "early")
        client.start([scenario(id_="a")], 1)
        assert server.stdout.readline() == "under way\n"
        waiting = pool.submit(client.wait, "a")
        time.sleep(0.2)  # most likely it waits by now; the answer is the same if it does not
        server.send_signal(signal.SIGKILL)
        expected = [ran(broke("the controlling process cannot be reached"))]
        assert waiting.result(PATIENCE) == expected


def test_a_client_that_goes_away_does_no_harm(
    starts: Starter, serve: Server, tmp_path: Path
) -> None:
    """A worker that is killed in the middle of a request."""
    code = """
        import os, socket, sys
        connection = socket.socket(socket.AF_UNIX)
        os.chdir(sys.argv[1])
        connection.connect("early")
        connection.sendall((1000).to_bytes(8, "big") + b"half a request")
        os.kill(os.getpid(), 9)
    """
    client = serve(starts(Counter()))
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", textwrap.dedent(code), str(tmp_path)], check=False
        )
        assert done.returncode == -signal.SIGKILL
    client.start([scenario(id_="a")], 1)
    assert client.wait("a") == [seen("a 1")]


def test_a_client_has_nothing_to_end(serve: Server, starts: Starter) -> None:
    """A worker that closes does not end what the others wait for."""
    client = serve(starts(Counter()))
    client.start([scenario(id_="a")], 1)
    client.cancel()
    client.join()
    assert client.wait("a") == [seen("a 1")]
