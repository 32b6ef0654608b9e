"""Judge the story of a gate: the first step that is wrong gives the finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from conformance.model.contract import Contract
from conformance.model.outcome import (
    Execution,
    Exited,
    Finding,
    FindingKind,
    Killed,
    TimedOut,
)
from conformance.model.scenario import Scenario
from conformance.model.step_result import StepResult, StepSeen
from conformance.model.story import Check, Claim, Counters, Step, Wait
from conformance.model.story_wording import claim_words, describe_step, operation, wanted
from conformance.model.wording import answer, expectation, signal_name

__all__ = ["last_answer", "step_results", "story_answer", "story_findings", "where_changed"]

#: Seconds that a clock which counts whole ones may be off: within the time to live is what is so
#: by more than that.
_CLEARLY = 1.0


def story_findings(
    scenario: Scenario, contract: Contract, execution: Execution
) -> Iterator[Finding]:
    """Yield what is wrong with the answers of a gate: at most one thing that counts, after advice.

    A finding that a rule of the contract makes less than ``must`` ends nothing.
    """
    story = scenario.story(contract)
    for step, seen in zip(story, execution.steps, strict=False):
        finding = _wrong(scenario, contract, step, seen, execution)
        if finding is None:
            finding = _looked_again(contract, step, seen, execution, story)
        if finding is not None:
            yield finding
            rule = contract.rules.get(finding.rule)
            if rule is None or (rule.level == "must" and not rule.off):
                return
    if execution.steps and not execution.steps[-1].problem:
        yield from _at_the_end(contract, execution)


def _wrong(
    scenario: Scenario, contract: Contract, step: Step, seen: StepSeen, execution: Execution
) -> Finding | None:
    """Return what is wrong with the answer in *step*, if anything is."""
    where = f"step {seen.number} ({operation(step)})"
    conforms = wanted(scenario, step, contract)
    expected = f"{where}: expected {conforms}, " if conforms else f"{where}: "
    if seen.problem:
        return _no_answer(contract, expected, seen, execution)
    got = ""
    match step.action:
        case Check() | Claim():
            verdicts = scenario.expected_in(step, contract)
            if verdicts and seen.got not in contract.truths(verdicts):
                expected = f"{where}: expected {_truths(contract, step, verdicts)}, "
                got = _got(contract, step, seen, ())
        case Counters(same=True):
            got = _moved(seen, execution)
    if not got:
        return None
    kind, rule = _broken(contract, step)
    return Finding(kind=kind, message=f"{expected}got {got}", rule=rule)


def _no_answer(
    contract: Contract, expected: str, seen: StepSeen, execution: Execution
) -> Finding | None:
    ending = execution.outcome.ending
    kind: FindingKind = "outside-contract"
    match seen.problem:
        case "unsupported":
            return None
        case "timed-out":
            kind, what = "timed-out", f"got no answer within {contract.limits.seconds:g} s"
        case "crashed":
            kind, what = "crashed", f"the gate fell over: {seen.detail}"
        case "ended" if isinstance(ending, Killed):
            why = f": {execution.outcome.why}" if execution.outcome.why else ""
            kind, what = "killed-by-signal", f"got killed by {signal_name(ending.signal)}{why}"
        case "ended" if isinstance(ending, Exited):
            what = f"the gate ended with exit code {ending.code}, and without an answer"
        case _:
            what = f"got {seen.detail}" if seen.detail else "got no answer"
    return Finding(kind=kind, message=f"{expected}{what}")


def _truths(contract: Contract, step: Step, verdicts: tuple[str, ...]) -> str:
    if isinstance(step.action, Claim):
        return " or ".join(claim_words(go) for go in sorted(contract.truths(verdicts)))
    return expectation(contract, verdicts)


def _got(contract: Contract, step: Step, seen: StepSeen, expected: tuple[str, ...]) -> str:
    """Return the answer in words; of verdicts that it can mean, an *expected* one."""
    if isinstance(step.action, Counters):
        return ", ".join(f"{name} {number:g}" for name, number in seen.counters.items())
    if seen.got is None:
        return ""
    if isinstance(step.action, Claim):
        return claim_words(seen.got)
    meanings = contract.meaning(go=seen.got)
    fitting = [verdict for verdict in meanings if verdict in expected]
    return " or ".join(answer(contract, verdict) for verdict in fitting[:1] or meanings)


def _moved(seen: StepSeen, execution: Execution) -> str:
    """Return how counters differ from what they were when they were asked for last."""
    before = [one for one in execution.steps[: seen.number - 1] if one.counters][-1]
    return " and ".join(
        f"{name} {number:g}, which was {before.counters[name]:g} in step {before.number}"
        for name, number in seen.counters.items()
        if number != before.counters[name]
    )


def _broken(contract: Contract, step: Step) -> tuple[FindingKind, str]:
    """Return the kind of a wrong answer in *step*, and the rule that it breaks."""
    for name in step.rules:
        rule = contract.rules[name]
        if rule.findings:
            return rule.findings[0], name
    for name in step.rules:
        if not contract.rules[name].off:
            return "wrong-verdict", name
    return "wrong-verdict", ""


def _looked_again(
    contract: Contract, step: Step, seen: StepSeen, execution: Execution, story: tuple[Step, ...]
) -> Finding | None:
    """Return that a check did without the cache, where its answer was clearly still to live."""
    if not isinstance(step.action, Check) or not step.action.cached or seen.got is None:
        return None
    if seen.got in contract.truths((step.action.cached,)):
        return None
    rules = [name for name in step.rules if contract.rules[name].findings == ("looked-again",)]
    if not rules:
        return None
    age = seen.at + seen.seconds - _last_look(seen, execution, story)
    if age + _CLEARLY >= execution.ttl:
        return None
    cached = answer(contract, step.action.cached)
    message = (
        f"step {seen.number} (check): {cached} was found {age:.1f} s before, to live for "
        f"{execution.ttl:g} s, and the gate has looked again"
    )
    return Finding(kind="looked-again", message=message, rule=rules[0])


def _last_look(seen: StepSeen, execution: Execution, story: tuple[Step, ...]) -> float:
    """Return when the answer may have been found that is in the cache in the step *seen*.

    That is in the first check after time has passed, at the earliest.
    """
    first: float | None = None
    for step, one in zip(story[: seen.number - 1], execution.steps, strict=False):
        if isinstance(step.action, Wait):
            first = None
        elif isinstance(step.action, Check) and first is None:
            first = one.at
    return 0.0 if first is None else first


def _at_the_end(contract: Contract, execution: Execution) -> Iterator[Finding]:
    match execution.outcome.ending:
        case TimedOut():
            limit = f"{contract.limits.seconds:g} s"
            message = f"the gate did not end within {limit} after its standard input was closed"
            yield Finding(kind="timed-out", message=message)
        case Killed(number):
            message = f"after the last step the gate was killed by {signal_name(number)}"
            yield Finding(kind="killed-by-signal", message=message)


def step_results(
    scenario: Scenario, contract: Contract, execution: Execution, findings: tuple[Finding, ...]
) -> tuple[StepResult, ...]:
    """Return the story for reports, also the steps that it did not come to."""
    if not contract.in_steps:
        return ()
    seen = {one.number: one for one in execution.steps}
    wrong = {finding.message.partition(":")[0] for finding in findings}
    found = []
    for number, step in enumerate(scenario.story(contract), 1):
        one = seen.get(number, StepSeen(number=number))
        about = f"step {number} ({operation(step)})"
        got = _got(contract, step, one, scenario.expected_in(step, contract))
        reason = f": {one.detail}" if got and one.detail else one.detail
        found.append(
            StepResult(
                number=number,
                operation=operation(step),
                words=describe_step(step),
                expected=wanted(scenario, step, contract),
                got=f"{got}{reason}" if number in seen else "",
                seconds=one.seconds,
                wrong=about in wrong,
            )
        )
    return tuple(found)


def story_answer(scenario: Scenario, contract: Contract, execution: Execution) -> str:
    """Return what a gate answered, for comparing executions: in steps that leave nothing open."""
    words = []
    for step, seen in zip(scenario.story(contract), execution.steps, strict=False):
        verdicts = scenario.expected_in(step, contract)
        if seen.problem:
            words.append(f"{seen.problem} in step {seen.number}")
        elif verdicts and len(contract.truths(verdicts)) == 1:
            words.append("yes" if seen.got else "no")
    return ", ".join(words)


def last_answer(scenario: Scenario, contract: Contract, execution: Execution) -> bool | None:
    """Return the answer that stands for the story: the first that is wrong, else the last.

    None if the gate did not come to the end of it.
    """
    if not execution.steps or execution.steps[-1].problem:
        return None
    asked = [
        (seen, contract.truths(scenario.expected_in(step, contract)))
        for step, seen in zip(scenario.story(contract), execution.steps, strict=False)
        if seen.got is not None
    ]
    for seen, conforms in asked:
        if conforms and seen.got not in conforms:
            return seen.got
    return asked[-1][0].got if asked else None


def where_changed(scenario: Scenario, contract: Contract, execution: Execution) -> str:
    """Return in which step the HOME was changed first; empty where that is not known."""
    operations: Mapping[int, str] = {
        number: operation(step) for number, step in enumerate(scenario.story(contract), 1)
    }
    changed = chain(seen.number for seen in execution.steps if seen.changes)
    number = next(changed, 0)
    return f" in step {number} ({operations[number]})" if number else ""
