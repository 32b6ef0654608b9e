"""What a driver saw of a probe, and how that was judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from conformance.model.login_seen import LoginSeen
from conformance.model.start import StartSeen
from conformance.model.step_result import StepResult, StepSeen

__all__ = [
    "Broke",
    "Ending",
    "Execution",
    "Exited",
    "Finding",
    "FindingKind",
    "Killed",
    "LostEngine",
    "Moved",
    "Outcome",
    "Result",
    "ScenarioResult",
    "TimedOut",
    "Unsupported",
    "lost_engines",
    "not_run",
]

Result = Literal["conforms", "deviates", "unsupported", "broke", "known-failure"]

FindingKind = Literal[
    "wrong-verdict",
    "outside-contract",
    "timed-out",
    "killed-by-signal",
    "inconsistent",
    "changed-home",
    "changed-outside",
    "leaked-secret",
    "left-process",
    "left-cli-process",
    "unsteady",
    "crashed",
    "stale-answer",
    "looked-again",
    "wrong-claim",
    "counted-failure",
    "wrong-program",
    "wrong-environment",
    "lost-environment",
    "wrong-exit-code",
    "side-effect",
    "changed-again",
    "wrong-seed",
    "open-file",
    "open-at-first",
    "taken-for-good",
    "overwrote-login",
    "wrote-through-link",
    "seeded-junk",
    "wrong-request",
    "wrong-input",
    "no-terminal",
    "leaked-token",
    "inherited-token",
    "lost-code",
]


class Exited(Struct, frozen=True, tag="exited"):
    """The probe exited by itself."""

    code: int
    """Its exit code, 0 to 255."""


class Killed(Struct, frozen=True, tag="killed"):
    """A signal ended the probe."""

    signal: int


class TimedOut(Struct, frozen=True, tag="timed-out"):
    """The probe did not end within the time limit of the contract."""


class Broke(Struct, frozen=True, tag="broke"):
    """The suite could not run the probe, so nothing can be said about it."""

    reason: str
    """One line."""


class Unsupported(Struct, frozen=True, tag="unsupported"):
    """The condition of the scenario does not hold here; the probe was not started."""

    reason: str


#: How an execution ended.
Ending = Exited | Killed | TimedOut | Broke | Unsupported


class Outcome(Struct, frozen=True, kw_only=True):
    """What a driver saw of one execution of a probe."""

    ending: Ending
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    """Whether the output was longer than what is kept."""
    seconds: float = 0.0
    left: tuple[str, ...] = ()
    """Command lines of the processes that were still alive after the probe ended: its own."""
    left_by_cli: tuple[str, ...] = ()
    """Command lines of those among them that a CLI had started."""
    changes: tuple[str, ...] = ()
    """What changed in the homes and may not, where only the probe's own process could tell."""
    asked: tuple[str, ...] = ()
    """What CLIs were asked other than for their version, where only that process could tell."""
    crash: str = ""
    """What a callable returned that is no answer, in one line."""
    why: str = ""
    """What is known about the cause of its end, such as the memory limit that was reached."""

    @property
    def code(self) -> int | None:
        """The exit code; None if the probe did not exit by itself."""
        return self.ending.code if isinstance(self.ending, Exited) else None

    @property
    def signal(self) -> int | None:
        """The signal that killed the probe; None if none did."""
        return self.ending.signal if isinstance(self.ending, Killed) else None

    @property
    def says_something(self) -> bool:
        """Whether the probe ran, so that it can be judged."""
        return not isinstance(self.ending, Broke | Unsupported)


class Moved(Struct, frozen=True, kw_only=True):
    """An execution that ran again elsewhere, because its engine was lost."""

    engine: str
    """The engine that was lost, as the user calls it."""
    reason: str
    """Why, in one line."""


class Execution(Struct, frozen=True, kw_only=True):
    """An outcome with what happened to the HOME: what the judge needs.

    It is plain enough to travel between processes.
    """

    outcome: Outcome
    changes: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    """Files that changed outside the HOME, if the driver looked there."""
    asked: tuple[str, ...] = ()
    """What stubs were asked other than for their version, such as ``claude auth status``.

    Where several executions share a stub, it may be a question of another one.
    """
    isolation: str = ""
    """How it was kept apart from other executions, if the driver has more than one way."""
    kept: str = ""
    """The directory of the home, if it was kept."""
    command: str = ""
    """The shell command that starts the probe as the driver did, while the home is kept."""
    steps: tuple[StepSeen, ...] = ()
    """What was seen of a gate in each step, as far as it came."""
    told: tuple[str, ...] = ()
    """The lines that the gate was sent."""
    ttl: float = 0.0
    """The seconds that a gate may keep its answer."""
    starts: tuple[StartSeen, ...] = ()
    """What was seen of each start of an entrypoint."""
    login: LoginSeen | None = None
    """What was seen of a login; None where nobody was to log in."""
    engine: str = ""
    """The engine that it ran on, if the user has named engines."""
    moved: Moved | None = None
    """From which engine it came; None if it was begun on this one."""


class LostEngine(Struct, frozen=True, kw_only=True):
    """An engine that answered at first, and then no more."""

    engine: str
    """As the user calls it."""
    reason: str
    """Why, in one line."""
    scenarios: tuple[str, ...]
    """What was at work there, and ran again on another engine."""


def lost_engines(results: Iterable[ScenarioResult]) -> list[LostEngine]:
    """Return the engines that were lost, as far as scenarios with *results* came from there."""
    found: dict[str, list[ScenarioResult]] = {}
    for result in results:
        if result.moved is not None:
            found.setdefault(result.moved.engine, []).append(result)
    return [
        LostEngine(
            engine=engine,
            reason=next(one.moved.reason for one in moved if one.moved is not None),
            scenarios=tuple(one.id for one in moved),
        )
        for engine, moved in found.items()
    ]


def not_run(ending: Broke | Unsupported) -> Execution:
    """Return the execution of a probe that did not run, or not to its end."""
    return Execution(outcome=Outcome(ending=ending))


class Finding(Struct, frozen=True, kw_only=True):
    """One way in which a probe deviated."""

    kind: FindingKind
    message: str
    level: Literal["must", "should"] = "must"
    """``must`` deviates, ``should`` is advice."""
    rule: str = ""
    """The rule of the contract that it breaks, if one names its kind."""


class ScenarioResult(Struct, frozen=True, kw_only=True):
    """The judgement of one scenario: one row of every report."""

    id: str
    agent: str
    expected: tuple[str, ...]
    code: int | None = None
    signal: int | None = None
    """The signal that killed the probe, if one did."""
    verdict: str | None = None
    result: Result = "broke"
    reason: str = ""
    """Why it is unsupported, broke or is a known failure."""
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    control: str = ""
    difference: tuple[str, ...] = ()
    """What differs from the control's home, environment and CLI, one line each."""
    stdout: str = ""
    stderr: str = ""
    changes: tuple[str, ...] = ()
    """What changed in the HOME and may not, one line each; the first hundred."""
    outside: tuple[str, ...] = ()
    """Files that changed outside the HOME, if the driver looked there."""
    asked: tuple[str, ...] = ()
    """What stubs were asked in the meantime, other than for their version."""
    kept: str = ""
    steps: tuple[StepResult, ...] = ()
    """The story of a gate that lives on, step by step; or the starts of an entrypoint."""
    events: tuple[str, ...] = ()
    """What happened in a login: requests to the Manager, and what the CLI read; one line each."""
    engine: str = ""
    """The engine that it ran on, if engines were named; several if it was repeated elsewhere."""
    moved: Moved | None = None
    """From which engine it came, because that one was lost."""

    def kinds(self) -> Iterator[FindingKind]:
        """Yield the kinds of its findings that are no advice."""
        return (finding.kind for finding in self.findings if finding.level == "must")

    def advice(self) -> tuple[Finding, ...]:
        """Return its findings that are advice."""
        return tuple(finding for finding in self.findings if finding.level == "should")
