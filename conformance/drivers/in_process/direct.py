"""A call in the reaper itself, without a fork: most of what an execution costs is the fork.

That is allowed as long as nothing depends on it. What the call leaves behind has to be nothing
(see ``state.py``), and its answer has to be what the scenario calls for. In every other case the
reaper ends at once and says nothing: then the suite asks again, and a fork of a fresh process
decides. So a call that hangs, floods, ends its process or crashes needs no care here, and a gate
that answers otherwise in a process that has answered before is judged by its first answer.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from conformance.drivers.in_process.state import State, Unknown
from conformance.drivers.local import hosted, hosted_end, isolation

__all__ = ["Direct"]

#: Seconds after which the kernel ends a process whose call does not come back.
_AT_MOST = 3
_PIPE = 65536
_SIGKILL = 9
_CLOCK_MONOTONIC = 1
#: What a crash leaves on stderr; whether it is one is for the judge of a fork.
_CRASH = b"Traceback"

_exit = os._exit


class Direct:
    """Calls in this process, for the gate whose modules lie in the directory *own*."""

    def __init__(self, own: str) -> None:
        self._timer: _Timer | None = None
        self._state: State | None = None
        # Some C libraries have timers in a library of their own.
        with suppress(Unknown, AttributeError, OSError):
            self._state = State(own)
            self._timer = _Timer()

    @property
    def is_possible(self) -> bool:
        """Whether a call can be ended, and it can be shown what it leaves behind."""
        return self._timer is not None

    def call(
        self, function: Callable[[], int], is_clean: Callable[[int], bool]
    ) -> tuple[int, bytes, bytes]:
        """Call *function*; return the exit code that it means, and what it has written.

        *is_clean* is asked, while its output still goes nowhere, whether anything else than the
        answer counts against it. The process ends unless all is as it was.
        """
        assert self._timer is not None, "a call is possible"
        assert self._state is not None, "a call is possible"
        try:
            with self._timer.running(), _usual_settings(), _captured() as output:
                try:
                    code = function()
                except SystemExit as e:
                    code = hosted_end.status_of(e.code)
                unwritten = hosted_end.write_streams()
                clean = not unwritten and is_clean(code & 0xFF)
            if clean and _CRASH not in output[1] and self._state.is_untouched():
                return code & 0xFF, output[0], output[1]
        except BaseException:
            _exit(0)
        return _exit(0)


@contextmanager
def _captured() -> Iterator[list[bytes]]:
    """Keep what this process writes; a list holds it afterwards: of stdout, and of stderr.

    A call that writes more than a pipe takes waits for ever, and so is not decided here.
    """
    kept = [b"", b""]
    saved = [os.dup(1), os.dup(2)]
    pipes = [os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)]
    os.set_blocking(pipes[0][0], False)
    os.set_blocking(pipes[1][0], False)
    for number, (_, end) in enumerate(pipes, 1):
        os.dup2(end, number)
        os.close(end)
    try:
        yield kept
    finally:
        for number, real in enumerate(saved, 1):
            os.dup2(real, number)
            os.close(real)
        for number, (source, _) in enumerate(pipes):
            with suppress(BlockingIOError):
                while chunk := os.read(source, _PIPE):
                    kept[number] += chunk
            os.close(source)


@contextmanager
def _usual_settings() -> Iterator[None]:
    """Handle signals as an interpreter does when it starts; put them back, and a limit."""
    levels = sys.getrecursionlimit()
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    wakeup = signal.set_wakeup_fd(-1)
    hosted.reset_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        sys.setrecursionlimit(levels)


class _Timer:
    """A timer of the kernel that kills this process; no signal handler or alarm is touched."""

    def __init__(self) -> None:
        event = (ctypes.c_int * 16)()  # struct sigevent, of 64 bytes
        event[2] = _SIGKILL  # after a value of 8 bytes; the kind that follows, 0, is a signal
        self._timer = ctypes.c_void_p()
        isolation.call(
            isolation.libc.timer_create, _CLOCK_MONOTONIC, event, ctypes.byref(self._timer)
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let it run: the process has so many seconds."""
        self._set(_AT_MOST)
        try:
            yield
        finally:
            self._set(0)

    def _set(self, seconds: int) -> None:
        times = (ctypes.c_long * 4)(0, 0, seconds, 0)  # struct itimerspec: interval, then value
        isolation.call(isolation.libc.timer_settime, self._timer, 0, times, None)
