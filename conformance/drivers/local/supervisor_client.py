"""Start probes through the supervisor process and wait for them; safe to use from many threads."""

from __future__ import annotations

import marshal
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from conformance.drivers.local import hosted, hosted_import, supervisor
from conformance.drivers.local.view import View
from conformance.model.outcome import Broke, Ending, Exited, Killed, Outcome, TimedOut, Unsupported

__all__ = ["KEEP_BYTES", "UMASK", "Request", "Supervisor", "Target"]

#: The umask of a probe, whatever that of the suite is.
UMASK = 0o022

#: How many bytes of each output stream are kept; the rest is read and thrown away.
KEEP_BYTES = 1024 * 1024

#: Seconds that a reaper may need, on a busy machine, beyond the probe's own limit.
_SLACK = 2 * supervisor.GRACE + supervisor.SETTLE + supervisor.GIVE_UP + 20

#: Seconds for the start of the process; one that hosts a probe tries to import its module.
_PATIENCE = hosted_import.PATIENCE + 30


class Target(Protocol):
    """What a supervisor that is a Python probe runs; see ``hosted.py``."""

    def wire(self) -> dict[str, Any]:
        """Return what that program understands."""


class Request(Struct, frozen=True, kw_only=True):
    """One run of a probe."""

    argv: tuple[str, ...]
    """The first word is the absolute path of the program; no shell and no PATH is involved."""
    env: dict[str, str]
    cwd: str
    seconds: float
    umask: int = UMASK
    view: View | None = None
    """What it sees of the file system; None for what everybody sees."""
    target: Target | None = None
    """What runs instead of *argv* where the supervisor is a Python probe itself."""
    checks: tuple[tuple[str, bytes], ...] = ()
    """Conditions that must hold for the probe's user.

    Each is ``readable``, ``unreadable`` or ``unsearchable``, and a path.
    """
    stdin: str = ""
    """A FIFO that it reads from; empty for nothing to read."""
    stdout: str = ""
    """A FIFO that it writes to; empty where its output is kept for the outcome."""

    def wire(self) -> bytes:
        """Return the message that the supervisor understands."""
        fields = {
            "argv": [os.fsencode(word) for word in self.argv],
            "env": {os.fsencode(name): os.fsencode(value) for name, value in self.env.items()},
            "cwd": os.fsencode(self.cwd),
            "seconds": self.seconds,
            "umask": self.umask,
            "view": self.view.wire() if self.view is not None else None,
            "target": self.target.wire() if self.target is not None else None,
            "checks": list(self.checks),
            "stdin": os.fsencode(self.stdin),
            "stdout": os.fsencode(self.stdout),
            "keep_bytes": KEEP_BYTES,
        }
        return _message(fields)


def _message(fields: Any) -> bytes:
    """Return *fields* as they travel, after their length."""
    message = marshal.dumps(fields)
    return len(message).to_bytes(4, "big") + message


def _receive(connection: socket.socket, size: int) -> bytes:
    """Return exactly *size* bytes.

    :raises OSError: the connection ends first.
    """
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(min(size - len(data), 1 << 20))
        if not chunk:
            raise ConnectionResetError("its reaper has gone")
        data += chunk
    return bytes(data)


def _outcome(reply: Mapping[str, Any]) -> Outcome:
    """Return what the supervisor's *reply* says."""
    left = (*reply.get("left", ()), *reply.get("would_be_left", ()))
    return Outcome(
        ending=_ending(reply),
        stdout=reply.get("stdout", b""),
        stderr=reply.get("stderr", b""),
        truncated=reply.get("truncated", False),
        seconds=reply.get("seconds", 0.0),
        left=tuple(name for name, by_cli in left if not by_cli),
        left_by_cli=tuple(name for name, by_cli in left if by_cli),
        crash=reply.get("crash", ""),
        changes=tuple(reply.get("changes", ())),
        asked=tuple(reply.get("asked", ())),
    )


def _ending(reply: Mapping[str, Any]) -> Ending:
    if "broke" in reply:
        return Broke(reply["broke"])
    if "unsupported" in reply:
        return Unsupported(reply["unsupported"])
    if "timed_out" in reply:
        return TimedOut()
    return Killed(reply["signal"]) if "signal" in reply else Exited(reply["code"])


class Supervisor:
    """A supervisor process, started when it is first needed.

    *hosts* is the first message to ``hosted.py``, or to another *program* like that, which runs
    probes in Python; None for commands.
    """

    def __init__(
        self,
        log: Path,
        *,
        program: str = hosted.__file__,
        hosts: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._log = log
        self._program = program
        self._hosts = hosts
        self._env = dict(env or {})
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._reapers: set[socket.socket] = set()
        self._idle: list[socket.socket] = []
        self._closed = False
        self.facts: dict[str, Any] = {}
        """Why it could not isolate ``network``, ``mounts`` and ``capabilities``; empty if it could.

        And what it could not undo of what it ``inherited``. One that hosts a probe in Python says
        what the import of its module has read: see ``hosted_import.py``.
        """

    def run(self, request: Request) -> Outcome:
        """Run one probe to its end. A failure on our side is an outcome that ``broke``."""
        begun = self.begin(request)
        return begun if isinstance(begun, Outcome) else self.finish(begun)

    def begin(self, request: Request) -> socket.socket | Outcome:
        """Start a probe; return what can be read when it has ended, for :meth:`finish`.

        To end the probe before, shut that down for writing. A failure on our side is an outcome.
        """
        try:
            reaper = self._idle.pop()
        except IndexError:
            reaper, theirs = socket.socketpair()
            self._reapers.add(reaper)
            with theirs:
                try:
                    socket.send_fds(self._connect(), [b"."], [theirs.fileno()])
                except OSError as e:
                    return self._lost(reaper, f"cannot be reached: {e}")
        try:
            reaper.settimeout(request.seconds + _SLACK)
            reaper.sendall(request.wire())
        except OSError as e:
            return self._lost(reaper, f"was lost: {e}")
        return reaper

    def bind(self, hosts: Sequence[str]) -> list[socket.socket]:
        """Return a socket with a port at each of *hosts*, in the network of the probes.

        None of them listens yet.

        :raises OSError: that is not possible.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                ours.settimeout(_PATIENCE)
                ours.sendall(marshal.dumps(list(hosts)))
                socket.send_fds(self._connect(), [supervisor.BIND], [theirs.fileno()])
            said, descriptors, _, _ = socket.recv_fds(ours, 4096, len(hosts))
        if said != supervisor.BIND:
            raise OSError(said.decode(errors="replace") or "the supervisor process was lost")
        return [socket.socket(fileno=descriptor) for descriptor in descriptors]

    def finish(self, reaper: socket.socket, *, ended: bool = False) -> Outcome:
        """Wait for the end of the probe that *reaper* watches; return what was seen of it.

        *ended* says that it was ended by shutting that down.
        """
        try:
            fields = marshal.loads(_receive(reaper, int.from_bytes(_receive(reaper, 4), "big")))
        except TimeoutError:
            return self._lost(reaper, "did not answer in time")
        except OSError as e:
            return self._lost(reaper, f"was lost: {e}")
        except BaseException:
            # Interrupted while the probe runs: its reaper sees the connection close, and ends it.
            self._lost(reaper, "")
            raise
        if ended:  # it takes no other request
            self._lost(reaper, "")
        else:
            self._idle.append(reaper)
        return _outcome(fields)

    def _lost(self, reaper: socket.socket, what: str) -> Outcome:
        """Give up *reaper*; return an outcome that says so."""
        self._reapers.discard(reaper)
        reaper.close()
        return Outcome(ending=Broke(f"the supervisor process {what}; {self._last_words()}"))

    def start(self) -> dict[str, Any]:
        """Start the process if it does not run yet; return its facts."""
        self._connect()
        return self.facts

    def _connect(self) -> socket.socket:
        with self._lock:
            if self._closed:
                raise OSError("it was closed")
            if self._channel is None:
                self._channel = self._start_process()
            return self._channel

    def _start_process(self) -> socket.socket:
        """Start the process and read its facts; return the socket that leads to it."""
        ours, theirs = socket.socketpair()
        program = ("-S", supervisor.__file__) if self._hosts is None else (self._program,)
        with theirs, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", *program, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=self._env,
            )
        ours.settimeout(_PATIENCE)
        try:
            if self._hosts is not None:
                ours.sendall(_message(self._hosts))
            self.facts = marshal.load(ours.makefile("rb"))
        except BaseException as e:
            ours.close()
            self._process.kill()
            self._process.wait()
            if isinstance(e, EOFError):
                raise OSError("it ended at its start") from None
            if isinstance(e, ValueError | TypeError):
                raise OSError(str(e)) from None
            raise
        return ours

    def _last_words(self) -> str:
        """Return the last line that the process has written to its log."""
        if self._log.exists():
            for line in reversed(self._log.read_text(errors="replace").split("\n")):
                if line.strip():
                    return line
        return "it said nothing"

    def close(self) -> None:
        """End all probes that still run, and the process."""
        with self._lock:
            self._closed = True
        if self._channel is not None:
            with suppress(OSError):
                # First, so that a run that starts in the meantime gets no reaper any more.
                self._channel.shutdown(socket.SHUT_RDWR)
        for reaper in list(self._reapers):
            with suppress(OSError):
                reaper.shutdown(socket.SHUT_WR)  # the reaper ends its probe, then itself
        if self._process is not None:
            try:
                self._process.wait(supervisor.GRACE * 2 + supervisor.GIVE_UP + 5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._channel is not None:
            self._channel.close()
        for reaper in list(self._reapers):
            reaper.close()
