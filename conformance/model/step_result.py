"""What was seen of a gate in each step, and what was made of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

__all__ = ["Problem", "StepResult", "StepSeen"]

#: Why a step has no answer.
Problem = Literal["", "timed-out", "ended", "no-answer", "crashed", "unsupported"]


class StepSeen(Struct, frozen=True, kw_only=True):
    """What a driver saw of one step."""

    number: int
    """Counts from 1; 0 for what came before the first step."""
    got: bool | None = None
    """What a check or a claim was answered with."""
    counters: dict[str, float] = field(default_factory=dict)
    problem: Problem = ""
    detail: str = ""
    """One line about the problem, or the reason that the gate gave for its answer."""
    at: float = 0.0
    """When the step began, in seconds since the first one, as the gate's clock passes."""
    seconds: float = 0.0
    """How long the answer took."""
    changes: tuple[str, ...] = ()
    """What changed in the HOME meanwhile and may not, one line each."""


class StepResult(Struct, frozen=True, kw_only=True):
    """One step of a story in a report."""

    number: int
    operation: str
    """What kind of step it is: ``check``, ``claim``, ``run``, ``home`` and so on."""
    words: str
    """What happens in it."""
    expected: str = ""
    """The answer that conforms; empty where none is asked for, or any conforms."""
    got: str = ""
    """What came; empty where nothing is asked, or the story ended before."""
    seconds: float = 0.0
    wrong: bool = False
    """Whether this is the step that a finding is about."""
