"""A dialogue with a program that runs: one line of JSON there, one back."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from conformance.drivers.local.supervisor_client import Request, Supervisor
from conformance.model.outcome import Outcome
from conformance.model.step_result import Problem
from conformance.text import one_line, shortened

__all__ = ["Dialogue", "NoAnswerError"]

#: The most bytes of one answer: more is no answer.
_LONGEST_LINE = 1024 * 1024
#: Bytes of all lines that are kept for reports, and to look for secrets in.
_KEPT = 1024 * 1024
#: Characters of a line that is shown because it is no answer.
_SHOWN = 80


class NoAnswerError(Exception):
    """A request has no answer; the text is one line that says what came instead."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail


class Dialogue:
    """Starts a program through a supervisor, and talks to it until it has ended."""

    def __init__(self, supervisor: Supervisor, request: Request, directory: Path) -> None:
        """Start the program of *request*; the pipes lie in *directory*.

        :raises OSError: they cannot be made.
        """
        self._supervisor = supervisor
        self._buffer = bytearray()
        self._heard = bytearray()
        self._outcome: Outcome | None = None
        self._reaper: socket.socket | None = None
        self._stopped = False
        self.told: list[str] = []
        """The lines that were sent."""
        names = [directory / "stdin", directory / "stdout"]
        for name in names:
            os.mkfifo(name, 0o600)
        # Both ends are open here, so that neither side waits for the other, and no writer is one
        # too few.
        self._to, self._from = (os.open(name, os.O_RDWR | os.O_NONBLOCK) for name in names)
        begun = supervisor.begin(replace(request, stdin=str(names[0]), stdout=str(names[1])))
        if isinstance(begun, Outcome):
            self._outcome = begun
        else:
            self._reaper = begun

    def ask(self, message: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Send *message*, and return the answer that comes within so many *seconds*.

        :raises NoAnswerError: none comes, or it is no JSON object, or that of another step.
        """
        deadline = time.monotonic() + seconds
        self._read()
        if self._buffer.strip():
            line = _shown(bytes(self._buffer))
            raise NoAnswerError("no-answer", f"something that it said unasked: {line}")
        self._buffer.clear()
        self.told.append(json.dumps(message))
        self._send(self.told[-1].encode() + b"\n", deadline)
        answer = self._parsed(self._line(deadline))
        if answer.get("step", message["step"]) != message["step"]:
            raise NoAnswerError("no-answer", f"the answer is that of step {answer['step']!r}")
        return answer

    def wait(self, seconds: float) -> None:
        """Let so many *seconds* pass, or fewer if the program ends."""
        deadline = time.monotonic() + seconds
        while not self._ended and (rest := deadline - time.monotonic()) > 0:
            self._poll(rest)
            self._read()

    def close(self, seconds: float) -> Outcome:
        """Close the program's input, and return how it ended.

        One that does not end within so many *seconds* is ended.
        """
        self._close_input()
        self.wait(seconds)
        return self.end()

    def end(self) -> Outcome:
        """End the program if it still runs, and return how it ended."""
        self._close_input()
        if self._reaper is not None and not self._ended:
            self._stopped = True
            self._reaper.shutdown(socket.SHUT_WR)
        outcome = self._finished()
        self._read()
        if self._from >= 0:
            os.close(self._from)
            self._from = -1
        return replace(outcome, stdout=bytes(self._heard))

    @property
    def stopped(self) -> bool:
        """Whether the program was ended because it did not end by itself."""
        return self._stopped

    @property
    def _ended(self) -> bool:
        return self._outcome is not None

    def _finished(self) -> Outcome:
        if self._outcome is None:
            assert self._reaper is not None, "a program that was not started has an outcome"
            self._outcome = self._supervisor.finish(self._reaper, ended=self._stopped)
        return self._outcome

    def _close_input(self) -> None:
        if self._to >= 0:
            os.close(self._to)
            self._to = -1

    def _send(self, line: bytes, deadline: float) -> None:
        while line and not self._ended:
            try:
                line = line[os.write(self._to, line) :]
            except BlockingIOError:  # it does not read
                if (rest := deadline - time.monotonic()) <= 0:
                    raise NoAnswerError("timed-out") from None
                self._poll(min(rest, 0.05))

    def _line(self, deadline: float) -> bytes:
        """Return the next line that the program writes.

        :raises NoAnswerError: there is none in time, or none any more.
        """
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_LINE:
                raise NoAnswerError("no-answer", f"a line of over {_LONGEST_LINE} bytes")
            if self._ended:
                self._read()  # what it wrote at its end
                if b"\n" not in self._buffer:
                    raise NoAnswerError("ended")
                break
            if (rest := deadline - time.monotonic()) <= 0:
                raise NoAnswerError("timed-out")
            self._poll(rest)
            self._read()
        line, _, rest_of_it = self._buffer.partition(b"\n")
        self._buffer = rest_of_it
        return bytes(line)

    def _poll(self, seconds: float) -> None:
        """Wait until the program has written something or has ended, or the *seconds* are over."""
        poll = select.poll()
        poll.register(self._from, select.POLLIN)
        if self._reaper is not None:
            poll.register(self._reaper, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(seconds * 1000 + 1)}
        if self._reaper is not None and self._reaper.fileno() in ready:
            self._finished()

    def _read(self) -> None:
        for _ in range(64):  # an endless writer must not keep us from the clock
            try:
                chunk = os.read(self._from, 65536)
            except (BlockingIOError, OSError):
                return
            self._heard += chunk[: max(0, _KEPT - len(self._heard))]
            room = _LONGEST_LINE + 1 - len(self._buffer)
            self._buffer += chunk[: max(0, room)]

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            raise NoAnswerError("no-answer", f"a line that is not JSON: {_shown(line)}") from None
        if not isinstance(answer, dict):
            raise NoAnswerError("no-answer", f"a line that is no JSON object: {_shown(line)}")
        return answer


def _shown(line: bytes) -> str:
    return shortened(one_line(line.decode("utf-8", "backslashreplace")), _SHOWN)
