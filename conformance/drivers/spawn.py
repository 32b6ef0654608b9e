"""Start probes through the supervisor process, and wait for them; safe to use from several threads."""

from __future__ import annotations

import marshal
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from conformance.drivers import supervisor
from conformance.model import Outcome

__all__ = ["KEEP_BYTES", "Request", "Supervisor"]

#: How much of each output stream is kept, in bytes; the rest is read and thrown away.
KEEP_BYTES = 1024 * 1024

#: Seconds a keeper may need, on a busy machine, beyond the probe's own limit.
_SLACK = 2 * supervisor.GRACE + supervisor.SETTLE + supervisor.GIVE_UP + 20


class Request(Struct, frozen=True, kw_only=True):
    """One run of a probe."""

    argv: tuple[str, ...]
    """The first word is the absolute path of the program; no shell and no PATH is involved."""
    env: dict[str, str]
    cwd: str
    seconds: float
    checks: tuple[tuple[str, bytes], ...] = ()
    """Conditions that must hold for the probe's user: ``unreadable`` or ``unsearchable``, and a path."""

    def wire(self) -> bytes:
        """Return the message that the supervisor understands."""
        fields = {
            "argv": [os.fsencode(word) for word in self.argv],
            "env": {os.fsencode(name): os.fsencode(value) for name, value in self.env.items()},
            "cwd": os.fsencode(self.cwd),
            "seconds": self.seconds,
            "checks": list(self.checks),
            "keep_bytes": KEEP_BYTES,
        }
        message = marshal.dumps(fields)
        return len(message).to_bytes(4, "big") + message


class Supervisor:
    """A supervisor process, started when it is first needed."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self.facts: dict[str, str] = {}
        """What it could do for isolation: ``network`` and ``capabilities``, each empty or the reason why not."""

    def run(self, request: Request) -> Outcome:
        """Run one probe to its end. What goes wrong on our side is an outcome that ``broke``."""
        ours, theirs = socket.socketpair()
        with ours, self._live(ours):
            with theirs:
                try:
                    socket.send_fds(self._connect(), [b"."], [theirs.fileno()])
                except OSError as e:
                    return Outcome(broke=f"the supervisor process cannot be reached: {e}; {self._last_words()}")
            ours.settimeout(request.seconds + _SLACK)
            try:
                ours.sendall(request.wire())
                reply = b"".join(iter(lambda: ours.recv(1 << 20), b""))
            except TimeoutError:
                return Outcome(broke="the supervisor process did not answer in time")
            except OSError as e:
                return Outcome(broke=f"the supervisor process was lost: {e}; {self._last_words()}")
        if not reply:
            return Outcome(broke=f"the supervisor process was lost; {self._last_words()}")
        fields: dict[str, Any] = marshal.loads(reply)
        return msgspec.structs.replace(Outcome(), **{**fields, "left": tuple(fields.get("left", ()))})

    @contextmanager
    def _live(self, connection: socket.socket) -> Iterator[None]:
        """Remember *connection* while its probe runs, so that :meth:`close` can end it."""
        self._connections.add(connection)
        try:
            yield
        finally:
            self._connections.discard(connection)

    def start(self) -> dict[str, str]:
        """Start the process if it does not run yet; return its facts."""
        self._connect()
        return self.facts

    def _connect(self) -> socket.socket:
        with self._lock:
            if self._channel is None:
                ours, theirs = socket.socketpair()
                with theirs, self._log.open("ab") as log:
                    self._process = subprocess.Popen(
                        [sys.executable, "-I", "-S", supervisor.__file__, str(theirs.fileno())],
                        pass_fds=[theirs.fileno()],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                        cwd="/",
                        env={},
                    )
                ours.settimeout(30)
                try:
                    self.facts = marshal.load(ours.makefile("rb"))
                except (EOFError, ValueError, TypeError):
                    raise OSError("it ended at its start") from None
                self._channel = ours
            return self._channel

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").split("\n") if self._log.exists() else []
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")

    def close(self) -> None:
        """End all probes that still run, and the process."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)  # its keeper takes this for a cancellation
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            try:
                self._process.wait(supervisor.GRACE * 2 + supervisor.GIVE_UP + 5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
