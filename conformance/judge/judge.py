"""Judge what a probe did against what the contract calls for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from msgspec.structs import replace

from conformance.judge.leaks import leaks
from conformance.model.contract import Contract
from conformance.model.outcome import (
    Broke,
    Execution,
    Exited,
    Finding,
    Killed,
    Outcome,
    ScenarioResult,
    TimedOut,
    Unsupported,
)
from conformance.model.scenario import Scenario
from conformance.model.wording import (
    against_control,
    answer,
    describe_ending,
    expectation,
    signal_name,
)

__all__ = ["judge"]

#: What runtimes print when a program crashes: Python, Node, Go, Rust, Java, Ruby.
_TRACEBACK = re.compile(
    # A probe may print anything, so no part may take more than one pass over a line.
    rb"^[ +|]*(?:Exception Group )?Traceback \(most recent call last\):"
    rb"|^ +File \"[^\"\n]*\", line \d+"
    rb"|^[ \t]+at (?:[^\n(]*\()?(?:node:|file://|/)[^\n]*:\d+:\d+\)?$|^Node\.js v\d"
    rb"|^panic: |^goroutine \d+ \[|^thread '[^\n]*'(?: \(\d+\))? panicked at "
    rb"|^Exception in thread \""
    rb"|^[^\s:]+:\d+:in [`']",
    re.MULTILINE,
)
#: How much of a probe's output a report carries, in characters for each stream.
_EXCERPT = 2_000


def judge(
    scenario: Scenario,
    contract: Contract,
    executions: Sequence[Execution],
    secrets: Mapping[str, str],
    control: Scenario | None = None,
) -> ScenarioResult:
    """Return the result of *scenario* from one or more executions of the probe in its home.

    *secrets* are the credential values in that home by name. If one execution broke or is
    unsupported, so is the scenario, whatever the others did.
    """
    base = ScenarioResult(
        id=scenario.id,
        agent=scenario.agent,
        expected=scenario.expected(contract),
        control=scenario.control_for(contract),
        difference=against_control(scenario, control) if control is not None else (),
        seconds=round(sum(execution.outcome.seconds for execution in executions), 4),
    )
    if unjudged := _unjudged(base, [execution.outcome for execution in executions]):
        return unjudged
    found = [list(_findings(scenario, contract, execution, secrets)) for execution in executions]
    findings = [*chain.from_iterable(found), *_unsteady(executions)]
    shown = _first_to_deviate(executions, found).outcome
    return replace(
        base,
        code=shown.code,
        signal=shown.signal,
        verdict=_verdict(contract, base.expected, shown.code),
        result="deviates" if findings else "conforms",
        findings=tuple(dict.fromkeys(findings)),  # each once, in order
        stdout=_excerpt(shown.stdout),
        stderr=_excerpt(shown.stderr),
        outside=_first_changes_outside(executions),
    )


def _first_to_deviate(
    executions: Sequence[Execution], found: Sequence[Sequence[Finding]]
) -> Execution:
    """Return the first execution with findings, else the first; *found* are those of each."""
    for execution, findings in zip(executions, found, strict=True):
        if findings:
            return execution
    return executions[0]


def _first_changes_outside(executions: Iterable[Execution]) -> tuple[str, ...]:
    for execution in executions:
        if execution.outside:
            return execution.outside
    return ()


def _unjudged(base: ScenarioResult, outcomes: Sequence[Outcome]) -> ScenarioResult | None:
    """Return the result of a scenario that says nothing about the probe, else None."""
    endings = [outcome.ending for outcome in outcomes]
    for ending in endings:
        if isinstance(ending, Broke):
            return replace(base, result="broke", reason=ending.reason)
    for ending in endings:
        if isinstance(ending, Unsupported):
            return replace(base, result="unsupported", reason=ending.reason)
    return None


def _verdict(contract: Contract, expected: Sequence[str], code: int | None) -> str | None:
    """Return what *code* means; of verdicts that share it, the expected one."""
    meanings = contract.verdicts_of(code) if code is not None else ()
    for verdict in expected:
        if verdict in meanings:
            return verdict
    return " or ".join(meanings) or None


def _findings(
    scenario: Scenario, contract: Contract, execution: Execution, secrets: Mapping[str, str]
) -> Iterator[Finding]:
    yield from _answer_findings(scenario, contract, execution.outcome)
    yield from _side_effects(contract, execution, secrets)


def _answer_findings(scenario: Scenario, contract: Contract, outcome: Outcome) -> Iterator[Finding]:
    """Yield what is wrong with how the probe ended."""
    expected = scenario.expected(contract)
    wanted = f"expected {expectation(contract, expected)}"
    match outcome.ending:
        case TimedOut():
            message = f"{wanted}, got no answer within {contract.limits.seconds:g} s"
            yield Finding(kind="timed-out", message=message)
        case Killed(number):
            why = f": {outcome.why}" if outcome.why else ""
            message = f"{wanted}, got killed by {signal_name(number)}{why}"
            yield Finding(kind="killed-by-signal", message=message)
        case Exited(code):
            meanings = contract.verdicts_of(code)
            if not meanings:
                table = ", ".join(map(str, sorted({verdict.code for verdict in contract.verdicts})))
                message = f"{wanted}, got exit code {code}, which is none of {table}"
                yield Finding(kind="outside-contract", message=message)
            elif not set(meanings) & set(expected):
                got = " or ".join(answer(contract, verdict) for verdict in meanings)
                yield Finding(kind="wrong-verdict", message=f"{wanted}, got {got}")


def _side_effects(
    contract: Contract, execution: Execution, secrets: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield what the probe did besides answering."""
    outcome = execution.outcome
    # The suite interrupts a probe that is out of time, which Python shows as a traceback.
    if not isinstance(outcome.ending, TimedOut) and _TRACEBACK.search(outcome.stderr):
        message = "a traceback on stderr: the probe fell over, whatever its exit code"
        yield Finding(kind="crashed", message=message)
    if execution.changes and not contract.commands:  # a CLI may change its own home
        message = _some("the probe changed the HOME", execution.changes)
        yield Finding(kind="changed-home", message=message)
    for stream, output in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        for leak in leaks(output, secrets):
            yield Finding(kind="leaked-secret", message=leak.describe(stream))
    if execution.outside and contract.outside_writes == "forbidden":
        message = _some("the probe changed files outside the HOME", execution.outside)
        yield Finding(kind="changed-outside", message=message)
    if outcome.left:
        message = _some("still running after the probe had ended", outcome.left)
        yield Finding(kind="left-process", message=message)


def _unsteady(executions: Sequence[Execution]) -> Iterator[Finding]:
    """Yield a finding if the answers are not all the same."""
    answers: dict[str, Counter[str]] = {}
    for execution in executions:
        got = describe_ending(execution.outcome.ending)
        answers.setdefault(got, Counter())[execution.isolation] += 1
    if len(answers) > 1:
        counts = ", ".join(f"{got} {_times(where)}" for got, where in answers.items())
        message = f"unequal answers in {len(executions)} runs: {counts}"
        yield Finding(kind="unsteady", message=message)


def _times(where: Counter[str]) -> str:
    if "" in where:
        return f"{where['']} times"
    parts = []
    for isolation, times in where.items():
        often = f"{times} times " if times > 1 else ""
        parts.append(f"{often}in {isolation} isolation")
    return " and ".join(parts)


def _some(what: str, items: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return f"{what}: {'; '.join(items[:limit])}{more}"


def _excerpt(output: bytes) -> str:
    text = output[: _EXCERPT * 4].decode("utf-8", errors="backslashreplace")
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"
