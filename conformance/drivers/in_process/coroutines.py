"""``asyncio.create_subprocess_exec`` and its relatives, for CLIs that are never started."""

from __future__ import annotations

import asyncio
import math
import signal
import subprocess
from collections.abc import Callable
from typing import Any

from conformance.drivers.in_process.processes import Process
from conformance.drivers.in_process.starter import Starter

__all__ = ["coroutines_for"]

_BOTH = frozenset({"stdout", "stderr"})


class _Waited:
    """A process that coroutines wait for; it takes time of the event loop."""

    def __init__(self, starter: Starter, process: Process) -> None:
        self._starter = starter
        self._process = process
        self._wake = asyncio.Event()
        process.on_signal.append(self._wake.set)

    async def until(self, moment: Callable[[], float]) -> None:
        """Wait until what *moment* returns, which may change when the process gets a signal."""
        while (left := moment() - self._starter.table.timeline.passed) > 0:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), None if math.isinf(left) else left)
            except TimeoutError:
                continue


class FakeProcess:
    """What stands for :class:`asyncio.subprocess.Process`."""

    def __init__(self, starter: Starter, process: Process, options: dict[str, Any]) -> None:
        self._starter = starter
        self._process = process
        self._waited = _Waited(starter, process)
        self._read: frozenset[str] = frozenset(
            name for name in _BOTH if options.get(name) == subprocess.PIPE
        )
        self.pid = process.pid
        self.returncode_: int | None = None
        limit = options.get("limit", 2**16)
        self.stdout = asyncio.StreamReader(limit) if "stdout" in self._read else None
        self.stderr = asyncio.StreamReader(limit) if "stderr" in self._read else None
        self.stdin = _Writer() if options.get("stdin") == subprocess.PIPE else None
        # It stays with this object: a task that nobody holds may vanish.
        self._feeding = [asyncio.ensure_future(self._feed(name)) for name in self._read]

    async def _feed(self, name: str) -> None:
        """Give a reader what the process prints, as soon as it does, and its end."""
        reader = self.stdout if name == "stdout" else self.stderr
        assert reader is not None
        # An event loop reads by itself, whoever waits for what.
        await self._waited.until(lambda: self._process.end(self._read))
        reader.feed_data(getattr(self._process, name))
        self._process.read_all(frozenset({name}))
        await self._waited.until(self._process.closed)
        reader.feed_eof()

    @property
    def returncode(self) -> int | None:
        """The exit status; None until it has been noticed."""
        if self.returncode_ is None:
            now = self._starter.table.timeline.passed
            if self._process.end(self._read) <= now:
                self._reap()
        return self.returncode_

    def _reap(self) -> None:
        self.returncode_ = self._process.status
        self._process.reaped = True

    async def wait(self) -> int:
        """See :meth:`asyncio.subprocess.Process.wait`."""
        await self._waited.until(lambda: self._process.end(self._read))
        if self.returncode_ is None:
            self._reap()
        assert self.returncode_ is not None
        return self.returncode_

    async def communicate(
        self,
        input: bytes | None = None,  # noqa: A002 - its name there
    ) -> tuple[bytes | None, bytes | None]:
        """See :meth:`asyncio.subprocess.Process.communicate`."""
        parts = [
            await reader.read() if reader is not None else None
            for reader in (self.stdout, self.stderr)
        ]
        await self.wait()
        return parts[0], parts[1]

    def send_signal(self, number: int) -> None:
        """See :meth:`asyncio.subprocess.Process.send_signal`."""
        if self.returncode is not None:
            # Until its pipes are closed, asyncio does not take it for gone.
            if not self._read or self._process.closed() <= self._starter.table.timeline.passed:
                raise ProcessLookupError
            return
        self._starter.kill(self.pid, number)

    def terminate(self) -> None:
        """See :meth:`asyncio.subprocess.Process.terminate`."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """See :meth:`asyncio.subprocess.Process.kill`."""
        self.send_signal(signal.SIGKILL)


class _Writer:
    """What stands for the :class:`asyncio.StreamWriter` of a process that reads nothing."""

    def write(self, data: bytes) -> None:
        """Take *data*."""

    def writelines(self, data: Any) -> None:
        """Take *data*."""

    async def drain(self) -> None:
        """Return: there is room."""

    def close(self) -> None:
        """End it."""

    async def wait_closed(self) -> None:
        """Return: it has ended."""

    def is_closing(self) -> bool:
        """Return False."""
        return False


def coroutines_for(starter: Starter) -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return what stands for functions of asyncio that start a process."""

    async def create_subprocess_exec(program: Any, *args: Any, **options: Any) -> FakeProcess:
        """See :func:`asyncio.create_subprocess_exec`."""
        started = starter.start([program, *args], options)
        assert isinstance(started, Process)
        return _running(started, options)

    async def create_subprocess_shell(cmd: Any, **options: Any) -> FakeProcess:
        """See :func:`asyncio.create_subprocess_shell`."""
        started = starter.start(cmd, {**options, "shell": True})
        if isinstance(started, int):
            started = starter.ended_shell(started)
        return _running(started, options)

    def _running(started: Process, options: dict[str, Any]) -> FakeProcess:
        if options.get("stderr") == subprocess.STDOUT:
            started.stdout, started.stderr = started.stdout + started.stderr, b""
            started.piped.discard("stderr")
        starter.deliver(started, options)
        return FakeProcess(starter, started, options)

    return {
        asyncio.create_subprocess_exec: create_subprocess_exec,
        asyncio.create_subprocess_shell: create_subprocess_shell,
    }
