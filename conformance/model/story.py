"""What happens to a gate that lives on: steps, one after the other, each with what is expected."""

from __future__ import annotations

from msgspec import Struct, field

from conformance.model.contract import Role
from conformance.model.entry import Entry

__all__ = [
    "Action",
    "ChangeCli",
    "ChangeEnvironment",
    "ChangeHome",
    "Check",
    "Claim",
    "Counters",
    "RunFinished",
    "SetClock",
    "Step",
    "Wait",
]


class Check(Struct, frozen=True, tag="check"):
    """The gate is asked whether work may be taken."""

    expect: tuple[str, ...]
    """The verdicts that conform."""
    cached: str = ""
    """The one of them that a cache gives; empty where none is better than another."""


class Claim(Struct, frozen=True, tag="claim"):
    """A worker's tick, with a job that waits."""

    taken: bool
    """Whether the job has to be taken."""


class RunFinished(Struct, frozen=True, tag="run"):
    """The gate is told that a run of the agent has finished."""

    exit_code: int
    log: Entry | None = None
    """What lies where the log should be; None for nothing."""


class ChangeHome(Struct, frozen=True, tag="home"):
    """What lies in the HOME changes."""

    entries: tuple[Entry, ...]
    """All that lies there from now on."""
    changed: tuple[Entry, ...] = ()
    """The entries that are new, or other than before."""
    removed: tuple[str, ...] = ()
    """The paths of those that are gone."""


class ChangeEnvironment(Struct, frozen=True, tag="environment"):
    """The environment of the gate changes."""

    set: dict[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    inputs: dict[Role, str] = field(default_factory=dict)
    """Role to what the contract's variable for it holds from now on."""
    inputs_unset: tuple[Role, ...] = ()


class ChangeCli(Struct, frozen=True, tag="cli"):
    """The agent's CLI gets into another state."""

    state: str
    file: str = ""
    """The file of that state, if it is not a bundled one."""


class Wait(Struct, frozen=True, tag="wait"):
    """Time passes: so many times to live and a second more, so that clocks of seconds see it."""

    lives: float = 0.0
    seconds: float = 0.0
    """In place of that: so many seconds, however long the time to live is."""

    def length(self, ttl: float) -> float:
        """Return the seconds that pass where the time to live is *ttl* seconds."""
        if self.seconds:
            return self.seconds
        return self.lives * ttl + (1.0 if self.lives >= 1 else 0.0)


class SetClock(Struct, frozen=True, tag="clock"):
    """The wall clock is set; no time passes."""

    seconds: float
    """By how much; a negative number sets it back."""


class Counters(Struct, frozen=True, tag="counters"):
    """The gate is asked for its counters: retries, and where the circuit breaker stands."""

    same: bool = False
    """Whether they have to be what they were when they were asked for last."""


#: What a step does.
Action = (
    Check
    | Claim
    | RunFinished
    | ChangeHome
    | ChangeEnvironment
    | ChangeCli
    | Wait
    | SetClock
    | Counters
)


class Step(Struct, frozen=True, kw_only=True):
    """One step of a story."""

    action: Action
    rules: tuple[str, ...] = ()
    """The rules of the contract that it is about, by their short names.

    Of those with verdicts, the first that is not off decides its answer.
    """
