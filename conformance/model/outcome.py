"""What was seen of a probe, and what it was judged to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

__all__ = [
    "Broke",
    "Ending",
    "Execution",
    "Exited",
    "Finding",
    "FindingKind",
    "Killed",
    "Outcome",
    "Result",
    "ScenarioResult",
    "TimedOut",
    "Unsupported",
    "not_run",
]

Result = Literal["conforms", "deviates", "unsupported", "broke", "known-failure"]

FindingKind = Literal[
    "wrong-verdict",
    "outside-contract",
    "timed-out",
    "killed-by-signal",
    "changed-home",
    "changed-outside",
    "leaked-secret",
    "left-process",
    "unsteady",
    "crashed",
]


class Exited(Struct, frozen=True, tag="exited"):
    """The probe ended by itself."""

    code: int
    """Its exit code, 0 to 255."""


class Killed(Struct, frozen=True, tag="killed"):
    """A signal ended the probe."""

    signal: int


class TimedOut(Struct, frozen=True, tag="timed-out"):
    """The probe had not ended within the time limit of the contract."""


class Broke(Struct, frozen=True, tag="broke"):
    """The suite could not run the probe, so nothing can be said about it."""

    reason: str
    """One line."""


class Unsupported(Struct, frozen=True, tag="unsupported"):
    """The scenario's condition does not hold here, which was found before the probe was started."""

    reason: str


#: How an execution ended.
Ending = Exited | Killed | TimedOut | Broke | Unsupported


class Outcome(Struct, frozen=True, kw_only=True):
    """What a driver saw of one execution of a probe."""

    ending: Ending
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    """The output was longer than what is kept."""
    seconds: float = 0.0
    left: tuple[str, ...] = ()
    """Command lines of processes still alive after the probe had ended."""
    why: str = ""
    """What is known about the cause of its end, such as the limit of memory that was reached."""

    @property
    def code(self) -> int | None:
        """The exit code, where the probe ended by itself."""
        return self.ending.code if isinstance(self.ending, Exited) else None

    @property
    def says_something(self) -> bool:
        """Whether the probe ran, so that something can be said about it."""
        return not isinstance(self.ending, Broke | Unsupported)


class Execution(Struct, frozen=True, kw_only=True):
    """An outcome with what became of the HOME: what the judge needs, and plain enough to travel."""

    outcome: Outcome
    changes: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    """Files that changed outside the HOME, where that was looked at."""
    isolation: str = ""
    """How it was kept apart from other executions, where a driver knows more than one way."""
    kept: str = ""
    """Where the home stands, when it was kept."""
    command: str = ""
    """The line for a shell that starts the probe by hand as the driver did, while the home is kept."""


def not_run(ending: Broke | Unsupported) -> Execution:
    """Return the execution of a probe that was not run, or not to its end."""
    return Execution(outcome=Outcome(ending=ending))


class Finding(Struct, frozen=True, kw_only=True):
    """One way in which a probe deviated."""

    kind: FindingKind
    message: str


class ScenarioResult(Struct, frozen=True, kw_only=True):
    """The judgement of one scenario: one row of every report."""

    id: str
    agent: str
    expected: tuple[str, ...]
    code: int | None = None
    signal: int | None = None
    """What killed the probe, where that is how it ended."""
    verdict: str | None = None
    result: Result = "broke"
    reason: str = ""
    """Why it is unsupported, broke, or is a known failure."""
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    control: str = ""
    difference: tuple[str, ...] = ()
    """What differs from the control's home, environment and CLI, a line each."""
    stdout: str = ""
    stderr: str = ""
    outside: tuple[str, ...] = ()
    """Files that changed outside the HOME, where that was looked at."""
    kept: str = ""

    def kinds(self) -> Iterator[str]:
        """Yield the kinds of its findings."""
        return (finding.kind for finding in self.findings)
