"""Tell a gate its story: run the program, ask it step by step, and change what is around it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from conformance.drivers.environment import fixed_for
from conformance.drivers.layout import Layout
from conformance.drivers.local.dialogue import Dialogue, NoAnswerError
from conformance.drivers.local.home_directory import HomeDirectory
from conformance.drivers.local.supervisor_client import Request, Supervisor
from conformance.errors import CannotJudge
from conformance.home import Node, Snapshot, build, changes, mismatch, plan, snapshot
from conformance.home.build import Unbuildable
from conformance.home.change import change
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, Outcome, TimedOut, Unsupported
from conformance.model.placeholders import expand
from conformance.model.scenario import Scenario
from conformance.model.step_result import StepSeen
from conformance.model.story import (
    ChangeCli,
    ChangeEnvironment,
    ChangeHome,
    Check,
    Claim,
    Counters,
    RunFinished,
    SetClock,
    Step,
    Wait,
)
from conformance.text import one_line, shortened

__all__ = ["PROTOCOL", "Stage", "ask_once", "fixed_variables", "tell"]

#: The version of the line protocol.
PROTOCOL = 1
#: The time to live that a gate is given, in seconds: with a clock that is set, and where it is
#: really waited for. The latter is longer than a second, because many clocks count whole ones.
_TTL_SET, _TTL_REAL = 300, 2
#: The most seconds that are really waited for in one step.
_LONGEST = 10.0
#: Seconds that our side may need beside what the gate needs.
_SLACK = 30.0
#: Seconds that a gate has to end after an answer that was none.
_LAST = 2.0
#: Characters of a text that a gate gives, such as the reason for its answer.
_LONGEST_TEXT = 300


class Stage(Struct, frozen=True, kw_only=True):
    """What a story takes place on."""

    supervisor: Supervisor
    start: Request
    """How the gate starts; its time limit is worked out here."""
    scenario: Scenario
    contract: Contract
    layout: Layout
    place: HomeDirectory
    """Where the HOME stands, as the layout says."""
    sets_clock: bool
    """Whether the gate's clock can be set, so that nobody has to wait."""

    @property
    def ttl(self) -> float:
        """The time to live, in seconds; 0 where nobody knows it."""
        text = self.layout.environment.get(self.contract.inputs.ttl, "")
        return (
            float(text)
            if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text)
            else (self.contract.limits.ttl_seconds)
        )


def fixed_variables(contract: Contract, *, sets_clock: bool) -> dict[str, str]:
    """Return what is in the environment of every probe, unless somebody says otherwise.

    A gate gets a time to live: a long one where its clock can be set, else one to wait for.
    """
    fixed = fixed_for(contract)
    if not contract.in_steps or not contract.inputs.ttl:
        return fixed
    return {**fixed, contract.inputs.ttl: str(_TTL_SET if sets_clock else _TTL_REAL)}


def tell(stage: Stage) -> Execution:
    """Tell the gate the story of the scenario, and return what was seen.

    :raises ConformanceError: something around the gate cannot be made or changed.
    :raises OSError: the same.
    """
    return _Teller(stage).tell()


def ask_once(supervisor: Supervisor, start: Request, limit: float, pipes: Path) -> Outcome:
    """Ask a gate once, in a process of its own, and let it end; *pipes* is made for that.

    It has so many seconds (*limit*) for its answer, and as many to end.
    """
    pipes.mkdir(parents=True)
    dialogue = Dialogue(supervisor, replace(start, seconds=2 * limit + _SLACK), pipes)
    try:
        with suppress(NoAnswerError):
            dialogue.ask({"protocol": PROTOCOL, "step": 1, "op": "check", **_Clock().told()}, limit)
        return dialogue.close(limit)
    finally:
        dialogue.end()


class _Clock(Struct):
    """The gate's clock, as far as it is not that of the machine."""

    started: float = field(default_factory=time.monotonic)
    passed: float = 0.0
    """Seconds that have gone by without anybody waiting."""
    ahead: float = 0.0
    """By how much the wall clock was set."""

    @property
    def at(self) -> float:
        """Seconds since the start of the story."""
        return time.monotonic() - self.started + self.passed

    def told(self) -> dict[str, float]:
        """Return what a request says of the time."""
        now = {"now": round(time.time() + self.passed + self.ahead, 6)}
        return {**now, "passed": self.passed} if self.passed else now


class _Teller:
    """One story, while it is told."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.steps = stage.scenario.story(stage.contract)
        self.limit = stage.contract.limits.seconds
        self.clock = _Clock()
        self.seen: list[StepSeen] = []
        self._nodes: Sequence[Node] = stage.layout.home
        self._home: Snapshot = {}
        self._stubs = stage.layout.stubs
        self._keeps_time = False
        self._look()
        pipes = stage.place.top / "pipes"
        pipes.mkdir()
        start = replace(stage.start, seconds=self._at_most())
        self.dialogue = Dialogue(stage.supervisor, start, pipes)

    def _at_most(self) -> float:
        """Return after how many seconds the gate is ended, whatever becomes of us."""
        waits = [step.action for step in self.steps if isinstance(step.action, Wait)]
        lengths = [0.0 if self.stage.sets_clock else each.length(self.stage.ttl) for each in waits]
        waited = sum(min(each, _LONGEST) for each in lengths)
        return (len(self.steps) + 2) * self.limit + waited + _SLACK

    def tell(self) -> Execution:
        """Go through the steps until one has no answer; then end the gate."""
        stage = self.stage
        opposite = snapshot(stage.place.opposite)
        try:
            problem = self._go_through()
            outcome = self._end(problem)
        finally:
            self.dialogue.end()
        if not outcome.says_something and (problem is None or problem.problem == "ended"):
            return Execution(outcome=outcome)  # it was not started, or got lost
        in_home = [line for seen in self.seen for line in seen.changes]
        in_home += self._look()  # what came at its end
        changed = changes(opposite, snapshot(stage.place.opposite), stage.layout.writes)
        in_opposite = [f"in the opposite home: {line}" for line in changed]
        return Execution(
            outcome=outcome,
            changes=(*in_home, *in_opposite),
            steps=tuple(self.seen),
            told=tuple(self.dialogue.told),
            ttl=stage.ttl,
        )

    def _go_through(self) -> NoAnswerError | None:
        """Take the steps; return why there is no answer in the last of them, if there is none."""
        if self.stage.sets_clock:  # it has been made before anything happens around it
            try:
                self._done(self._ask("hello", StepSeen(number=0)))
            except NoAnswerError as e:
                self.seen.append(StepSeen(number=1, problem=e.problem, detail=_short(e.detail)))
                return e
        for number, step in enumerate(self.steps, 1):
            at, started = self.clock.at, time.monotonic()
            seen = StepSeen(number=number, at=at)
            problem = None
            try:
                seen = self._take(step, seen)
            except NoAnswerError as e:
                problem = e
                seen = replace(seen, problem=e.problem, detail=_short(e.detail))
            seconds = round(time.monotonic() - started, 4)
            self.seen.append(replace(seen, seconds=seconds, changes=self._look()))
            if problem is not None:
                return problem
        return None

    def _end(self, problem: NoAnswerError | None) -> Outcome:
        """Let the gate end, which has its time for that; return how it did."""
        if problem is None:
            outcome = self.dialogue.close(self.limit)
        elif problem.problem == "timed-out":
            outcome = self.dialogue.end()
        else:
            outcome = self.dialogue.close(_LAST)
        if problem is not None and problem.problem == "unsupported":
            return replace(outcome, ending=Unsupported(problem.detail))
        return replace(outcome, ending=TimedOut()) if self.dialogue.stopped else outcome

    def _take(self, step: Step, seen: StepSeen) -> StepSeen:
        """Take one step, and return what was *seen* of it.

        :raises NoAnswerError: it has no answer.
        :raises CannotJudge: our side cannot go on.
        """
        match step.action:
            case Check():
                return self._truth("check", "ready", seen)
            case Claim():
                return self._truth("claim", "claimed", seen)
            case Counters():
                return replace(seen, counters=_counters(self._ask("counters", seen)))
            case RunFinished() as run:
                log = self._log(run, seen.number)
                self._done(self._ask("run_finished", seen, exit_code=run.exit_code, log=log))
            case ChangeEnvironment() as change_:
                self._done(self._ask("environment", seen, **self._variables(change_)))
            case Wait() as wait:
                self._wait(wait)
            case SetClock(seconds):
                if not self.stage.sets_clock:
                    raise NoAnswerError("unsupported", "nobody can set the clock of a program")
                self._clock_reaches()
                self.clock.ahead += seconds
            case ChangeHome() | ChangeCli():
                self._change(step)
        return seen

    def _ask(self, operation: str, seen: StepSeen, **more: Any) -> dict[str, Any]:
        message = {"protocol": PROTOCOL, "step": seen.number, "op": operation}
        answer = self.dialogue.ask({**message, **self.clock.told(), **more}, self.limit)
        if self.stage.sets_clock and "broke" in answer:
            raise CannotJudge(str(answer["broke"]))
        if answer.get("unsupported") is True:
            raise NoAnswerError("unsupported", f"the gate does not know '{operation}'")
        if "error" in answer:
            raise NoAnswerError("crashed", str(answer["error"]))
        self._keeps_time = answer.get("keeps_time") is True
        return answer

    def _truth(self, operation: str, member: str, seen: StepSeen) -> StepSeen:
        answer = self._ask(operation, seen)
        got = answer.get(member)
        if not isinstance(got, bool):
            raise _wrong(answer, f"'{member}' as true or false")
        return replace(seen, got=got, detail=_short(str(answer.get("reason") or "")))

    @staticmethod
    def _done(answer: dict[str, Any]) -> None:
        if answer.get("ok") is not True:
            raise _wrong(answer, "'ok' as true")

    def _wait(self, wait: Wait) -> None:
        seconds = wait.length(self.stage.ttl)
        if wait.lives and not self.stage.ttl:
            raise NoAnswerError("unsupported", "the contract does not say how long an answer lives")
        if self.stage.sets_clock:
            self._clock_reaches()
            self.clock.passed += seconds
        elif seconds > _LONGEST:
            why = f"{seconds:g} s would have to pass: too long to wait for a program"
            raise NoAnswerError("unsupported", why)
        else:
            self.dialogue.wait(seconds)

    def _clock_reaches(self) -> None:
        if self._keeps_time:
            why = "the gate has threads or tasks of its own, which a set clock does not wake"
            raise NoAnswerError("unsupported", f"{why}; ask it as a program, with --probe")

    def _variables(self, change_: ChangeEnvironment) -> dict[str, Any]:
        inputs, context = self.stage.contract.inputs, self.stage.layout.context
        found = {name: expand(text, context) for name, text in change_.set.items()}
        for role, text in change_.inputs.items():
            found[inputs.variable(role)] = expand(inputs.value(role, text), context)
        gone = [*change_.unset, *(inputs.variable(role) for role in change_.inputs_unset)]
        return {"set": found, "unset": gone}

    def _log(self, run: RunFinished, number: int) -> str:
        """Put the log of a *run* in its place, if there is one; return its path."""
        directory = self.stage.place.top / "logs" / str(number)
        build(plan([run.log] if run.log is not None else [], self.stage.layout.context), directory)
        return str(directory / "run.log")

    def _change(self, step: Step) -> None:
        """Change the HOME or the CLI.

        :raises ConformanceError: that is not possible.
        """
        stage = self.stage
        match step.action:
            case ChangeHome(entries):
                own = self._stubs.in_home() if self._stubs is not None else ()
                nodes = plan([*entries, *own], stage.layout.context)
                change(self._nodes, nodes, stage.place.home)
                self._nodes = nodes
                self._look()
                if wrong := mismatch(nodes, self._home):
                    raise Unbuildable(f"this file system does not hold the home: {wrong}")
            case ChangeCli(state, file):
                assert self._stubs is not None, "a contract in steps asks no CLI as the probe"
                self._stubs = replace(self._stubs, state=state, file=file)
                new = stage.place.top / "cli-next"
                old = stage.place.top / f"cli-{time.monotonic_ns()}"
                build(self._stubs.nodes(stage.layout.asked), new)
                new.chmod(0o555)
                stage.place.cli.rename(old)
                new.rename(stage.place.cli)

    def _look(self) -> tuple[str, ...]:
        """Return what has changed in the HOME and may not, since it was looked at last."""
        before = self._home
        self._home = snapshot(self.stage.place.home, [node.path for node in self._nodes])
        return tuple(changes(before, self._home, self.stage.layout.writes)) if before else ()


def _counters(answer: dict[str, Any]) -> dict[str, float]:
    """Return the counters in an *answer*.

    :raises NoAnswerError: they are no numbers.
    """
    found = {}
    for name in ("retries", "breaker"):
        number = answer.get(name)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise _wrong(answer, f"'{name}' as a number")
        found[name] = float(number)
    return found


def _wrong(answer: dict[str, Any], wanted: str) -> NoAnswerError:
    return NoAnswerError("no-answer", f"no {wanted} in {_short(json.dumps(answer), 120)}")


def _short(text: str, limit: int = _LONGEST_TEXT) -> str:
    return shortened(one_line(text), limit)
