"""The clock of a gate in process: both clocks move together, and waits cost nothing where it is frozen."""

from __future__ import annotations

import asyncio
import datetime
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from time import monotonic as imported_monotonic
from time import sleep as imported_sleep

import pytest

from conformance.drivers.in_process.clock import Clock, TimeUp, current, install

NOW = 1_800_000_000


class Cache:
    """A cache as right ones are: it asks a clock that goes only forward, which a test may replace."""

    def __init__(self, clock: object = time.monotonic) -> None:
        self.clock = clock


def since(*, clock: object = time.monotonic) -> object:
    return clock


@pytest.fixture
def frozen() -> Iterator[Clock]:
    with Clock(NOW, frozen=True, limit=15) as clock:
        yield clock


def clocks() -> list[float]:
    """Return what each clock says, however it is reached."""
    return [
        time.time(),
        time.time_ns() / 1e9,
        datetime.datetime.now(datetime.UTC).timestamp(),
        time.monotonic(),
        imported_monotonic(),
        time.monotonic_ns() / 1e9,
        time.clock_gettime(time.CLOCK_MONOTONIC),
        time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e9,
        time.perf_counter(),
        Cache().clock(),  # type: ignore[operator]
        since()(),  # type: ignore[operator]
    ]


def test_a_frozen_clock_stands_to_the_last_bit(frozen: Clock) -> None:
    before = clocks()
    assert time.time() == NOW
    assert clocks() == before


@pytest.mark.parametrize("is_frozen", [True, False])
def test_all_clocks_are_shifted_alike(is_frozen: bool) -> None:
    with Clock(NOW, frozen=is_frozen) as clock:
        before = clocks()
        clock.shift(3600)
        passed = [after - was for after, was in zip(clocks(), before, strict=True)]
    assert all(3600 - 1e-5 < each < 3601 for each in passed), passed


def test_a_clock_can_be_set_forward_and_back() -> None:
    with Clock(NOW, frozen=True) as clock:
        start = time.monotonic()
        clock.set(NOW + 0.5)
        assert (time.time(), round(time.monotonic() - start, 6)) == (NOW + 0.5, 0.5)
        clock.set(NOW - 100)
        assert (time.time(), round(time.monotonic() - start, 6)) == (NOW - 100, 0.5)


def test_a_ticking_clock_ticks() -> None:
    with Clock(NOW) as clock:
        clock.shift(60)
        start, wall = time.monotonic(), time.time()
        imported_sleep(0.02)
        assert 0.02 <= time.monotonic() - start < 5
        assert 0.02 <= time.time() - wall < 5


def test_time_does_not_pass_backwards(frozen: Clock) -> None:
    with pytest.raises(ValueError, match="time does not pass backwards: use set"):
        frozen.shift(-1)


def test_everything_is_as_before_behind_it() -> None:
    before = time.monotonic, imported_monotonic, imported_sleep, Cache.__init__.__defaults__
    with Clock(NOW, frozen=True):
        assert time.monotonic is not before[0]
    after = time.monotonic, imported_monotonic, imported_sleep, Cache.__init__.__defaults__
    assert (after, current()) == (before, None)
    assert abs(time.time() - NOW) > 1000


def test_a_process_has_one_clock(frozen: Clock) -> None:
    with pytest.raises(RuntimeError, match="set already"), Clock(NOW):
        pass


def test_many_clocks_share_what_is_installed() -> None:
    uninstall = install()
    try:
        ours = time.monotonic
        for _ in range(3):
            with Clock(NOW, frozen=True):
                assert time.monotonic is ours
        assert abs(time.monotonic() - imported_monotonic()) < 5
    finally:
        uninstall()


# What waits


def test_a_sleep_passes_at_once(frozen: Clock) -> None:
    imported_sleep(2.5)
    time.sleep(0.25)
    assert (time.time(), frozen.passed) == (NOW + 2.75, 2.75)


@pytest.mark.parametrize("seconds", [15, 15.5, 10_000])
def test_the_limit_ends_a_wait_and_is_remembered(frozen: Clock, seconds: float) -> None:
    with pytest.raises(TimeUp):
        time.sleep(seconds)
    assert (frozen.is_up, time.time()) == (True, NOW + 15)


def test_below_the_limit_nothing_ends(frozen: Clock) -> None:
    time.sleep(14.999)
    assert not frozen.is_up


def test_looking_at_the_clock_again_and_again_is_waiting(frozen: Clock) -> None:
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
    assert frozen.passed == pytest.approx(0.5, abs=0.01)


def test_an_alarm_rings_on_the_way(frozen: Clock) -> None:
    rung: list[float] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.time()))
    try:
        signal.alarm(10)
        time.sleep(12)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert rung == [pytest.approx(NOW + 10, abs=0.5)]
    assert time.time() == pytest.approx(NOW + 12)


def test_limits_of_asyncio_hold_without_waiting(frozen: Clock) -> None:
    async def gate() -> tuple[float, int]:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(9), timeout=3)
        first = round(time.time() - NOW, 3)
        await asyncio.sleep(1)
        return first, await asyncio.wait_for(asyncio.to_thread(lambda: 7), timeout=3)

    start = real_seconds()
    assert asyncio.run(gate()) == (3, 7)
    assert time.time() == pytest.approx(NOW + 4)
    assert real_seconds() - start < 3


def test_what_can_never_come_is_a_wait_without_end(frozen: Clock) -> None:
    async def gate() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeUp):
        asyncio.run(gate())
    assert frozen.is_up


def real_seconds() -> float:
    """Return real seconds, whatever clock is set: what the kernel counted for this process."""
    with open("/proc/uptime") as file:
        return float(file.read().split()[0])


def test_limits_hold_beside_a_clock_that_ticks() -> None:
    with Clock() as clock:
        clock.shift(1000)
        start = time.monotonic()
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(["sleep", "20"], timeout=0.1, check=False)
        with pytest.raises(queue.Empty):
            queue.Queue[int]().get(timeout=0.05)
        assert not threading.Event().wait(0.05)
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(asyncio.sleep(20), 0.05))
        assert 0.2 < time.monotonic() - start < 15
