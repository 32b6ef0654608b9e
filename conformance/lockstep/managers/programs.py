"""Managers that are programs: Python objects and commands, run within limits.

They are started as probes are: with closed standard input, in a process session of their own that
ends with them, and without a network, so that asking a Manager what it would do cannot make it do
so.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from conformance.drivers.local.command import parse_command
from conformance.drivers.local.supervisor_client import Request, Supervisor
from conformance.errors import CannotJudge, UsageError
from conformance.lockstep.managers import host
from conformance.lockstep.managers.answers import Answer, Answers, action_of, in_order
from conformance.model.contract import Action
from conformance.model.outcome import Broke, Killed, Outcome, TimedOut
from conformance.text import one_line

__all__ = ["CommandManager", "PythonManager"]

#: How long a command may take for one code, and a Python object for all of them.
SECONDS = 10.0
#: Commands asked at the same time.
_AT_ONCE = 8
#: A Manager says one line for each code; more than this, in bytes, is a flood.
_FLOOD = 64 * 1024


@contextmanager
def _supervisor(directory: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(directory / "manager.log")
    try:
        yield supervisor
    finally:
        supervisor.close()


def _request(argv: tuple[str, ...], directory: Path, seconds: float) -> Request:
    return Request(argv=argv, env=dict(os.environ), cwd=str(directory), seconds=seconds)


def _ended(outcome: Outcome, seconds: float) -> str:
    """Return how a Manager ended; empty where it exited in time."""
    if isinstance(outcome.ending, TimedOut):
        flood = ", and flooded its output" if outcome.truncated else ""
        return f"gave no answer within {seconds:g} s{flood}"
    if isinstance(outcome.ending, Killed):
        return f"was killed by signal {outcome.ending.signal}"
    return ""


def _last_line(outcome: Outcome) -> str:
    text = outcome.stderr.decode(errors="backslashreplace").rstrip()
    if not text:
        return "it said nothing on stderr"
    return one_line(text.splitlines()[-1])[:200]


class CommandManager:
    """A Manager that is a command: it prints the action for the code in its last argument."""

    def __init__(
        self,
        command: str,
        words: Mapping[str, Action],
        directory: Path,
        seconds: float = SECONDS,
    ) -> None:
        """Find the program.

        :raises UsageError: it is not there.
        """
        self.argv = parse_command(command, directory, "manager")
        self._words = words
        self._directory = directory
        self._seconds = seconds

    def ask(self, first: tuple[int, ...], directory: Path) -> Answers:
        """See :class:`~conformance.lockstep.managers.manager.Manager`.

        Once it is lost, it is not asked for any more codes.
        """
        said: set[str] = set()
        of: dict[int, Answer] = {}
        with _supervisor(directory) as supervisor, ThreadPoolExecutor(_AT_ONCE) as pool:

            def one(code: int) -> Answer:
                request = _request((*self.argv, str(code)), self._directory, self._seconds)
                return self._answer(supervisor.run(request), said)

            codes = in_order(first)
            for start in range(0, len(codes), _AT_ONCE):
                batch = codes[start : start + _AT_ONCE]
                of.update(zip(batch, pool.map(one, batch), strict=True))
                if any(of[code].lost for code in batch):
                    break
        return Answers(by_code=of, unsaid=tuple(word for word in self._words if word not in said))

    def _answer(self, outcome: Outcome, said: set[str]) -> Answer:
        if isinstance(outcome.ending, Broke):
            raise CannotJudge(f"the Manager cannot be run: {outcome.ending.reason}")
        if ended := _ended(outcome, self._seconds):
            return Answer(failed=ended, lost=True)
        if outcome.truncated or len(outcome.stdout) > _FLOOD:
            return Answer(failed=f"printed more than {_FLOOD} bytes", lost=True)
        if outcome.code:
            return Answer(failed=f"exited {outcome.code}: {_last_line(outcome)}")
        text = outcome.stdout.decode(errors="backslashreplace")
        lines = text.splitlines()
        if len(lines) > 1:
            return Answer(failed=f"printed {len(lines)} lines")
        if not text.strip():
            return Answer(failed="printed nothing")
        said.update({text.strip(), text.split()[0]})
        return _named(action_of(text.strip(), self._words))

    def describe(self) -> dict[str, Any]:
        """See :class:`~conformance.lockstep.managers.manager.Manager`."""
        return {"kind": "command", "file": "", "command": list(self.argv)}


class PythonManager:
    """A Manager that is a Python object: a mapping, or a callable from code to action."""

    def __init__(
        self,
        name: str,
        words: Mapping[str, Action],
        directory: Path,
        seconds: float = SECONDS,
    ) -> None:
        self.name = name
        self._words = words
        self._directory = directory
        self._seconds = seconds

    def ask(self, first: tuple[int, ...], directory: Path) -> Answers:
        """See :class:`~conformance.lockstep.managers.manager.Manager`.

        :raises UsageError: there is no such object.
        :raises CannotJudge: its module cannot be imported.
        """
        codes = in_order(first)
        module, _, name = self.name.partition(":")
        # -P: nothing is imported from the directory of the host, which adds the current one itself.
        argv = (sys.executable, "-P", host.__file__, module, name, *map(str, codes))
        with _supervisor(directory) as supervisor:
            outcome = supervisor.run(_request(argv, self._directory, self._seconds))
        if isinstance(outcome.ending, Broke):
            raise CannotJudge(f"the Manager cannot be run: {outcome.ending.reason}")
        return self._read(outcome, codes)

    def _read(self, outcome: Outcome, codes: tuple[int, ...]) -> Answers:
        lines = list(_complete_lines(outcome.stdout))
        ended = _ended(outcome, self._seconds)
        if not lines:
            why = f"it {ended}" if ended else f"it exited {outcome.code}: {_last_line(outcome)}"
            cause = f"the Manager {self.name} cannot be imported: {why}"
            raise CannotJudge(cause, hint="look at what its module does")
        if "missing" in lines[0]:
            cause = f"no Manager '{self.name}': {lines[0]['missing']}"
            raise UsageError(cause, hint=f"looked in {self._directory} first")
        if "failed" in lines[0]:
            raise CannotJudge(f"the Manager {self.name} cannot be imported: {lines[0]['failed']}")
        said: set[str] = set()
        of = {line["code"]: self._answer(line, said) for line in lines[1:]}
        if len(of) < len(codes):
            if not ended:
                ended = f"ended its process ({outcome.code}) without an answer"
                ended += f": {_last_line(outcome)}"
            of[codes[len(of)]] = Answer(failed=ended, lost=True)
        return Answers(by_code=of, unsaid=tuple(word for word in self._words if word not in said))

    def _answer(self, line: dict[str, Any], said: set[str]) -> Answer:
        if "raised" in line:
            return Answer(failed=f"raised {line['raised']}")
        value = line["said"]
        if isinstance(value, list):
            return Answer(failed=f"returned {value[0][:60]} ({value[1]}), which is no action")
        name = value["action"] if isinstance(value, dict) else value
        if isinstance(name, str) and name.strip():
            said.update({name.strip(), name.split()[0]})
        return _named(action_of(value, self._words))

    def describe(self) -> dict[str, Any]:
        """See :class:`~conformance.lockstep.managers.manager.Manager`."""
        return {"kind": "python", "file": "", "command": [self.name]}


def _named(answer: Answer) -> Answer:
    return replace(answer, failed=f"said {answer.failed}") if answer.failed else answer


def _complete_lines(output: bytes) -> Iterator[dict[str, Any]]:
    """Yield what each line holds, except the last, which the end of a process may have cut off."""
    decode: Callable[[bytes], Any] = json.loads
    for line in output.split(b"\n")[:-1]:
        yield decode(line)
