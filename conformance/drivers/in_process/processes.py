"""Processes that are never started: how long they take, what they print, what ends them."""

from __future__ import annotations

import errno
import itertools
import math
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from conformance.drivers.in_process.timeline import Timeline

__all__ = ["PIPE_HOLDS", "Process", "ProcessTable"]

#: What a pipe holds that nobody reads, in bytes.
PIPE_HOLDS = 64 * 1024
#: More than any kernel hands out (PID_MAX_LIMIT): a call that reaches the kernel finds nothing.
_FIRST = 2**22 + 1


@dataclass
class Process:
    """One that was started at the time *since*, in seconds, and ends by itself at *ends_at*."""

    pid: int
    group: int
    since: float
    ends_at: float
    status: int
    """The exit status, or a negative signal."""
    words: str
    """Its command line."""
    stdout: bytes = b""
    stderr: bytes = b""
    child: str = ""
    """The command line of what it has started; empty for nothing."""
    child_ends_at: float = 0.0
    ignores: frozenset[int] = frozenset()
    piped: set[str] = field(default_factory=set)
    """Its streams that lead to a pipe which the gate may read: ``stdout`` and ``stderr``."""
    reaped: bool = False
    on_signal: list[Callable[[], None]] = field(default_factory=list)
    """Called when a signal has changed when it ends."""

    def end(self, read: frozenset[str] = frozenset()) -> float:
        """Return when it ends, while the pipes in *read* are read; infinity if it never does.

        What prints more than a pipe holds waits for somebody to read it.
        """
        stuck = {name for name in self.piped if len(getattr(self, name)) > PIPE_HOLDS}
        return self.ends_at if stuck <= read else math.inf

    def closed(self, read: frozenset[str] = frozenset()) -> float:
        """Return when nobody holds its output open any more."""
        end = self.end(read)
        return max(end, self.child_ends_at) if self.child else end

    def read_all(self, streams: frozenset[str]) -> None:
        """Keep in mind that *streams* have been read: they hold nothing up any more."""
        self.piped -= streams

    def kill(self, number: int, now: float) -> None:
        """Let it get a signal at the time *now*.

        :raises ProcessLookupError: it has been waited for.
        """
        if self.reaped:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        deadly = number not in (0, signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH)
        if deadly and number not in self.ignores and self.end() > now:
            self.ends_at, self.status = now, -number
            self.stdout = self.stderr = b""
            self.tell()

    def tell(self) -> None:
        """Tell who waits that it ends at another time now."""
        for call in self.on_signal:
            call()


class ProcessTable:
    """All of them, in the time of a *timeline*."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._numbers = itertools.count(_FIRST)
        self._processes: dict[int, Process] = {}

    def new_pid(self) -> int:
        """Return a number that no process has or gets."""
        return next(self._numbers)

    def add(self, process: Process) -> None:
        """Keep a process that has just been started."""
        self._processes[process.pid] = process

    def __contains__(self, pid: object) -> bool:
        return pid in self._processes

    def get(self, pid: int) -> Process:
        """Return the process with this number.

        :raises ProcessLookupError: there is none, or it has been waited for.
        """
        found = self._processes.get(pid)
        if found is None or found.reaped:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return found

    def group(self, number: int) -> list[Process]:
        """Return the processes of a group that can still be signalled."""
        return [p for p in self._processes.values() if p.group == number and not p.reaped]

    def kill_group(self, number: int, sent: int) -> None:
        """Send a signal to a group: to its processes, and to what they have started.

        :raises ProcessLookupError: the group is empty.
        """
        members = [p for p in self._processes.values() if p.group == number]
        now = self.timeline.passed
        alive = [p for p in members if not p.reaped or (p.child and p.child_ends_at > now)]
        if not alive:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        for process in alive:
            if not process.reaped:
                process.kill(sent, now)
            if process.child and sent:
                process.child_ends_at = min(process.child_ends_at, now)
                process.tell()

    def wait(
        self, pid: int, *, timeout: float | None = None, read: frozenset[str] = frozenset()
    ) -> bool:
        """Wait for the end of a process; return whether it ended within *timeout* seconds.

        :raises TimeUp: it does not end before the time limit.
        """
        return self._wait_until(self._processes[pid].end(read), timeout)

    def wait_closed(
        self, pid: int, *, timeout: float | None = None, read: frozenset[str] = frozenset()
    ) -> bool:
        """Wait until nobody holds the output of a process open any more."""
        return self._wait_until(self._processes[pid].closed(read), timeout)

    def _wait_until(self, moment: float, timeout: float | None) -> bool:
        left = moment - self.timeline.passed
        if left <= 0:
            return True
        if timeout is not None and timeout < left:
            self.timeline.wait(max(0.0, timeout))
            return False
        self.timeline.wait(None if math.isinf(left) else left)
        return True

    def waited_for(self, pid: int, options: int) -> list[Process]:
        """Return the processes that a call like ``waitpid(pid, ...)`` is about.

        :raises ChildProcessError: there is none.
        """
        ours = [p for p in self._processes.values() if not p.reaped]
        if pid > 0:
            ours = [p for p in ours if p.pid == pid]
        elif pid < -1:
            ours = [p for p in ours if p.group == -pid]
        if not ours:
            raise ChildProcessError(errno.ECHILD, os.strerror(errno.ECHILD))
        return sorted(ours, key=lambda p: p.end())

    def left(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the command lines of what still runs: the gate's own, and what CLIs started."""
        now = self.timeline.passed
        own = tuple(p.words for p in self if p.end() > now)
        of_cli = tuple(p.child for p in self if p.child and p.child_ends_at > now)
        return own, of_cli

    def __iter__(self) -> Iterator[Process]:
        return iter(self._processes.values())
