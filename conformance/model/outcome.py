"""What was seen of a probe, and what it was judged to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

__all__ = [
    "Execution",
    "Finding",
    "FindingKind",
    "Outcome",
    "Result",
    "ScenarioResult",
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


class Outcome(Struct, frozen=True, kw_only=True):
    """What a driver saw of one execution of a probe. Exactly one of the first four says how it ended."""

    code: int | None = None
    signal: int | None = None
    timed_out: bool = False
    broke: str = ""
    """Why the suite could not run the probe: one line; nothing may then be said about the probe."""
    unsupported: str = ""
    """Why the condition does not hold here, found before the probe was started."""
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    """The output was longer than what is kept."""
    seconds: float = 0.0
    left: tuple[str, ...] = ()
    """Command lines of processes still alive after the probe had ended."""
    why: str = ""
    """What is known about the cause of its end, such as the limit of memory that was reached."""


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
