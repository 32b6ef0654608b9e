"""A clock that a test sets: wall clock and monotonic clock move together.

Two kinds. One that **ticks** is the real clock, ahead by what it was shifted: real processes run
beside it, and what waits really waits. One that is **frozen** stands still, and a call that would
wait lets as much time pass at once: a sleep, a CLI that takes a while, the time limit of either, a
timer of asyncio. So a gate sees every time limit to the millisecond, and no test waits for it.
"""

from __future__ import annotations

import selectors
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import time_machine

from conformance.home.endless import Endless
from conformance.home.references import Index, References

__all__ = ["Clock", "TimeUp", "current", "install"]

#: After so many looks at a frozen clock in a row somebody waits by looking at it.
_LOOKS = 5_000
#: What passes with each look after those, in seconds.
_LOOK = 0.001
#: How long a thread may really work before a frozen clock passes over it, in seconds.
_GRACE = 0.05

_real_monotonic = time.monotonic
_real_monotonic_ns = time.monotonic_ns
_real_sleep = time.sleep
_real_clock_gettime = time.clock_gettime
_real_clock_gettime_ns = time.clock_gettime_ns
_real_selects = {
    kind: kind.select
    for kind in (
        selectors.EpollSelector,
        selectors.PollSelector,
        selectors.SelectSelector,
    )
}
#: Clocks that only go forward.
_MONOTONIC = {time.CLOCK_MONOTONIC, time.CLOCK_MONOTONIC_RAW, time.CLOCK_BOOTTIME}


class TimeUp(Endless):
    """The time limit of a scenario has passed on a frozen clock.

    It is no :class:`Exception`; and because a gate may catch it nevertheless, the clock remembers
    it in :attr:`Clock.is_up`.
    """


class Clock:
    """The clock of this process, while it is entered.

    It stands at *now*, in epoch seconds; None is the real time. *limit* is how many seconds may
    pass on a *frozen* one before :class:`TimeUp` is raised; None is without a limit.
    """

    def __init__(
        self, now: float | None = None, *, frozen: bool = False, limit: float | None = None
    ) -> None:
        self.frozen = frozen
        self.is_up = False
        """Whether the limit has passed, or something would have waited for ever."""
        self._now = now
        self._limit = limit
        self._passed = 0.0
        """What has passed by itself on a frozen clock, in seconds."""
        self._ahead = 0
        """How far the monotonic clock is ahead of the real one, or of its start, in ns."""
        self._start = 0
        self._looks = 0
        self._travel: time_machine.travel | None = None
        self._wall: Any = None
        self._uninstall: Callable[[], None] | None = None

    def __enter__(self) -> Clock:
        if _Process.clock is not None:
            raise RuntimeError("the clock of this process is set already")
        self._uninstall = install()
        self._start = _real_monotonic_ns()
        self._travel = time_machine.travel(
            time.time() if self._now is None else self._now, tick=not self.frozen
        )
        self._wall = self._travel.start()
        _Process.clock = self
        return self

    def __exit__(self, *_: object) -> None:
        _Process.clock = None
        assert self._travel is not None
        self._travel.stop()
        assert self._uninstall is not None
        self._uninstall()

    @property
    def passed(self) -> float:
        """How many seconds have passed by waiting, on a frozen clock."""
        return self._passed

    def set(self, epoch_seconds: float) -> None:
        """Set the wall clock to *epoch_seconds*; the monotonic one goes forward as far, never back.

        :raises RuntimeError: the clock is not entered.
        """
        difference = epoch_seconds - time.time()
        self._entered().move_to(epoch_seconds, tick=not self.frozen)
        self._ahead += max(0, round(difference * 1e9))

    def shift(self, seconds: float) -> None:
        """Let *seconds* pass at once, on both clocks.

        :raises ValueError: *seconds* is negative, which no monotonic clock can follow.
        :raises RuntimeError: the clock is not entered.
        """
        if seconds < 0:
            raise ValueError("time does not pass backwards: use set")
        self._entered().shift(float(seconds))
        self._ahead += round(seconds * 1e9)

    def _entered(self) -> Any:
        if self._wall is None:
            raise RuntimeError("the clock is not entered")
        return self._wall

    def monotonic_ns(self) -> int:
        """Return what ``time.monotonic_ns`` returns while the clock is entered."""
        if not self.frozen:
            return _real_monotonic_ns() + self._ahead
        self._looks += 1
        if self._looks > _LOOKS:
            self._pass(_LOOK)
        return self._start + self._ahead

    def wait(self, seconds: float | None) -> None:
        """Let a frozen clock pass over a wait of *seconds*; None waits for ever.

        An alarm that was set for a moment on the way rings.

        :raises TimeUp: the limit passes on the way, or the wait has no end.
        """
        self._looks = 0
        alarm = signal.getitimer(signal.ITIMER_REAL)[0]
        if alarm and (seconds is None or alarm < seconds):
            self._pass(alarm)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.raise_signal(signal.SIGALRM)
            if seconds is not None:
                self._pass(seconds - alarm)
        elif seconds is None:
            self._up("it would wait without end")
        elif seconds > 0:
            self._pass(seconds)

    def _pass(self, seconds: float) -> None:
        if self._limit is not None and self._passed + seconds >= self._limit:
            seconds = max(0.0, self._limit - self._passed)
            self._move(seconds)
            self._up(f"{self._limit:g} seconds have passed")
        self._move(seconds)

    def _move(self, seconds: float) -> None:
        self._passed += seconds
        self._wall.shift(float(seconds))
        self._ahead += round(seconds * 1e9)

    def _up(self, why: str) -> None:
        self.is_up = True
        raise TimeUp(why)


class _Process:
    """What this process has of it."""

    clock: Clock | None = None
    """The one that is entered."""
    installed = 0
    """How many have installed the functions below."""
    references: References | None = None


def current() -> Clock | None:
    """Return the clock that is entered, if one is."""
    return _Process.clock


def set_aside() -> None:
    """Let the monotonic clock and sleeps be real again, though a clock is entered.

    That is for the process that has forked one in which the clock is to stay; it can be left only.
    """
    _Process.clock = None


def install(index: Index | None = None) -> Callable[[], None]:
    """Let every module read the clock that is entered; return what takes that back.

    Whoever enters many clocks in turn, or in forks, pays once: entering one inside costs little.
    Modules that are imported later are seen as well. *index* says where modules refer to
    functions, if that is known.
    """
    if not _Process.installed:
        references = _Process.references = References()
        for original, ours in _functions().items():
            references.replace(original, ours)
        references.apply(index)
        for kind in _real_selects:
            kind.select = _select  # type: ignore[method-assign]
    _Process.installed += 1
    return _uninstall


def _uninstall() -> None:
    _Process.installed -= 1
    if not _Process.installed and _Process.references is not None:
        _Process.references.undo()
        _Process.references = None
        for kind, real in _real_selects.items():
            kind.select = real  # type: ignore[method-assign]


def _functions() -> dict[Callable[..., Any], Callable[..., Any]]:
    return {
        _real_monotonic: _monotonic,
        _real_monotonic_ns: _monotonic_ns,
        time.perf_counter: _monotonic,
        time.perf_counter_ns: _monotonic_ns,
        _real_sleep: _sleep,
        _real_clock_gettime: _clock_gettime,
        _real_clock_gettime_ns: _clock_gettime_ns,
    }


def _monotonic() -> float:
    return _real_monotonic() if _Process.clock is None else _Process.clock.monotonic_ns() / 1e9


def _monotonic_ns() -> int:
    return _real_monotonic_ns() if _Process.clock is None else _Process.clock.monotonic_ns()


def _clock_gettime(clk_id: int) -> float:
    return _monotonic() if clk_id in _MONOTONIC else _real_clock_gettime(clk_id)


def _clock_gettime_ns(clk_id: int) -> int:
    return _monotonic_ns() if clk_id in _MONOTONIC else _real_clock_gettime_ns(clk_id)


def _sleep(seconds: float) -> None:
    clock = _Process.clock
    if clock is None or not clock.frozen or seconds < 0:  # which is an error
        _real_sleep(seconds)
    else:
        clock.wait(float(seconds))


def _select(self: Any, timeout: float | None = None) -> Any:
    """Wait as a selector does, where an event loop waits for its next timer.

    On a frozen clock what is ready now counts; threads are given a moment to get ready.
    """
    real = next(real for kind, real in _real_selects.items() if isinstance(self, kind))
    clock = _Process.clock
    if clock is None or not clock.frozen or (timeout is not None and timeout <= 0):
        return real(self, timeout)
    alone = threading.active_count() == 1
    ready = real(self, 0 if alone else _GRACE)
    if ready:
        return ready
    if timeout is None and not alone:
        return real(self, None)  # a thread is at work, and says when it is done
    clock.wait(timeout)
    return real(self, 0)
