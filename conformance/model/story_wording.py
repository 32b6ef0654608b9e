"""Describe the steps of a story in words."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from conformance.model.contract import Contract
from conformance.model.entry_wording import describe_entry
from conformance.model.scenario import Scenario
from conformance.model.story import (
    Action,
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
from conformance.model.wording import expectation

__all__ = ["claim_words", "describe_step", "operation", "steps_against", "story_lines", "wanted"]

_OPERATIONS: dict[type[Action], str] = {
    Check: "check",
    Claim: "claim",
    RunFinished: "run",
    ChangeHome: "home",
    ChangeEnvironment: "environment",
    ChangeCli: "cli",
    Wait: "wait",
    SetClock: "clock",
    Counters: "counters",
}
#: Entries of a change that are listed; of more, the number is said.
_FEW = 5


def operation(step: Step) -> str:
    """Return the one word for what *step* does."""
    return _OPERATIONS[type(step.action)]


def describe_step(step: Step) -> str:
    """Return what happens in *step*."""
    match step.action:
        case Check():
            return "the gate is asked"
        case Claim():
            return "a worker's tick, with a job that waits"
        case RunFinished(exit_code, log):
            what = "there is no log" if log is None else f"its log is {describe_entry(log)}"
            return f"a run has finished with exit code {exit_code}, and {what}"
        case ChangeHome():
            return f"the HOME changes: {'; '.join(_home_lines(step.action))}"
        case ChangeEnvironment():
            return f"the environment changes: {'; '.join(_environment_lines(step.action))}"
        case ChangeCli(state):
            return f"the CLI gets into the state {state}"
        case Counters():
            return "the counters are asked for"
        case Wait() | SetClock():
            return _time(step.action)


def _time(action: Wait | SetClock) -> str:
    if isinstance(action, SetClock):
        which = "back" if action.seconds < 0 else "on"
        return f"the wall clock is set {which} by {abs(action.seconds):g} s"
    if action.seconds:
        return f"{action.seconds:g} s pass"
    if action.lives == 1:
        return "the time to live passes, and a second"
    more = ", and a second" if action.lives > 1 else ""
    return f"{action.lives:g} times the time to live pass{more}"


def _home_lines(change: ChangeHome) -> Iterator[str]:
    yield from (f"+ {entry.path}: {describe_entry(entry)}" for entry in change.changed[:_FEW])
    yield from (f"- {path}" for path in change.removed[:_FEW])
    more = max(0, len(change.changed) - _FEW) + max(0, len(change.removed) - _FEW)
    if more:
        yield f"and {more} more"


def _environment_lines(change: ChangeEnvironment) -> Iterator[str]:
    yield from (f"{name}={value!r}" for name, value in change.set.items())
    yield from (f"{name} unset" for name in change.unset)
    yield from (f"{role} {text!r}" for role, text in change.inputs.items())
    yield from (f"{role} not set" for role in change.inputs_unset)


def wanted(scenario: Scenario, step: Step, contract: Contract) -> str:
    """Return the answers that conform in *step*; empty where it has none, or any conforms."""
    match step.action:
        case Check(cached=cached):
            verdicts = scenario.expected_in(step, contract)
            words = expectation(contract, verdicts)
            return f"{words}; a cache gives {cached}" if words and cached else words
        case Claim():
            verdicts = scenario.expected_in(step, contract)
            return " or ".join(claim_words(go) for go in sorted(contract.truths(verdicts)))
        case Counters(same):
            return "the same as before" if same else ""
    return ""


def claim_words(taken: bool) -> str:
    """Return what a claim came to."""
    return "a job taken" if taken else "no job taken"


def steps_against(scenario: Scenario, control: Scenario) -> tuple[str, ...]:
    """Return which steps *scenario* has (+) and lacks (-) against *control*, one line each."""
    ours, theirs = (
        [f"{operation(step)}: {describe_step(step)}" for step in one.steps]
        for one in (scenario, control)
    )
    lines = []
    for tag, a, b, c, d in SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
        if tag != "equal":
            lines += [f"- step {number + 1}, {theirs[number]}" for number in range(a, b)]
            lines += [f"+ step {number + 1}, {ours[number]}" for number in range(c, d)]
    return tuple(lines)


def story_lines(scenario: Scenario, contract: Contract) -> Iterator[str]:
    """Yield a line for each step of *scenario* under *contract*."""
    for number, step in enumerate(scenario.steps, 1):
        conforms = wanted(scenario, step, contract)
        about = f" [{', '.join(step.rules)}]" if step.rules else ""
        more = f": {conforms}" if conforms else ""
        yield f"{number}. {operation(step)}: {describe_step(step)}{more}{about}"
