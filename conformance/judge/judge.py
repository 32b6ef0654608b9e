"""Judge what a probe did against what the contract calls for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from msgspec.structs import replace

from conformance.judge.document import NoAnswerError, document_answer
from conformance.judge.entrypoint import (
    start_answer,
    start_findings,
    start_results,
    start_verdict,
)
from conformance.judge.leaks import leaks
from conformance.judge.login import event_lines, login_findings
from conformance.judge.story import (
    last_answer,
    step_results,
    story_answer,
    story_findings,
    where_changed,
)
from conformance.model.contract import Contract
from conformance.model.login_wording import login_against
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
from conformance.model.step_result import StepResult
from conformance.model.story_wording import steps_against
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
#: How many changes of a HOME it carries.
_CHANGES = 100


def judge(
    scenario: Scenario,
    contract: Contract,
    executions: Sequence[Execution],
    secrets: Mapping[str, str],
    control: Scenario | None = None,
    *,
    strict: bool = False,
) -> ScenarioResult:
    """Return the result of *scenario* from one or more executions of the probe in its home.

    *secrets* are the credential values in that home by name. If one execution broke or is
    unsupported, so is the scenario, whatever the others did. With *strict*, advice counts.
    """
    contract = scenario.contract_here(contract)
    base = ScenarioResult(
        id=scenario.id,
        agent=scenario.agent,
        expected=scenario.expected(contract),
        control=scenario.control_for(contract),
        difference=_difference(scenario, control) if control is not None else (),
        seconds=round(sum(execution.outcome.seconds for execution in executions), 4),
        engine=", ".join(dict.fromkeys(one.engine for one in executions if one.engine)),
        moved=next((one.moved for one in executions if one.moved is not None), None),
    )
    said_nothing = [one.outcome for one in executions if not _went_wrong(scenario, contract, one)]
    if unjudged := _unjudged(base, said_nothing):
        return unjudged
    found = [
        _levelled(
            _findings(scenario, contract, execution, secrets), scenario, contract, strict=strict
        )
        for execution in executions
    ]
    differing = _unsteady(scenario, contract, executions)
    unsteady = _levelled(differing, scenario, contract, strict=strict)
    findings = [*chain.from_iterable(found), *unsteady]
    deviates = any(finding.level == "must" for finding in findings)
    telling = _first_to_deviate(executions, found)
    shown = telling.outcome
    code, meanings = _answer(scenario, contract, telling)
    fitting = [verdict for verdict in base.expected if verdict in meanings]
    return replace(
        base,
        code=code,
        signal=shown.signal,
        verdict=" or ".join(fitting[:1] or meanings) or None,
        steps=_steps(scenario, contract, telling, tuple(findings)),
        events=event_lines(telling.login, secrets),
        result="deviates" if deviates else "conforms",
        findings=tuple(dict.fromkeys(findings)),  # each once, in order
        stdout=_excerpt(shown.stdout),
        stderr=_excerpt(shown.stderr),
        changes=_first_changes(executions) if _changed_home(findings) else (),
        outside=_first_changes_outside(executions),
        asked=tuple(chain.from_iterable(execution.asked for execution in executions)),
    )


def _steps(
    scenario: Scenario, contract: Contract, execution: Execution, findings: tuple[Finding, ...]
) -> tuple[StepResult, ...]:
    if contract.entrypoint is not None:
        return start_results(scenario, contract, execution, findings)
    return step_results(scenario, contract, execution, findings)


def _difference(scenario: Scenario, control: Scenario) -> tuple[str, ...]:
    return (
        *against_control(scenario, control),
        *steps_against(scenario, control),
        *login_against(scenario, control),
    )


def _levelled(
    findings: Iterable[Finding], scenario: Scenario, contract: Contract, *, strict: bool
) -> tuple[Finding, ...]:
    """Return *findings* with the rules they break, and the levels of these; without what is off."""
    levelled = []
    for finding in findings:
        name = finding.rule or contract.rule_broken_by(finding.kind)
        if finding.kind == "wrong-verdict" and not finding.rule:
            name = scenario.decided_by(contract) or name
        rule = contract.rules.get(name)
        if rule is None:
            levelled.append(finding)
        elif not rule.off:
            level = "must" if strict else rule.level
            levelled.append(replace(finding, rule=name, level=level))
    return tuple(levelled)


def _first_to_deviate(
    executions: Sequence[Execution], found: Sequence[Sequence[Finding]]
) -> Execution:
    """Return the first execution that deviates, else with advice, else the first.

    *found* are the findings of each.
    """
    for level in ("must", "should"):
        for execution, findings in zip(executions, found, strict=True):
            if any(finding.level == level for finding in findings):
                return execution
    return executions[0]


def _changed_home(findings: Iterable[Finding]) -> bool:
    return any(finding.kind == "changed-home" for finding in findings)


def _first_changes(executions: Iterable[Execution]) -> tuple[str, ...]:
    found = (execution.changes for execution in executions if execution.changes)
    # What is new comes last: of many such files a few tell what they are.
    lines = sorted(next(found, ()), key=lambda line: line.startswith("added "))
    return tuple(lines[:_CHANGES])


def _first_changes_outside(executions: Iterable[Execution]) -> tuple[str, ...]:
    for execution in executions:
        if execution.outside:
            return execution.outside
    return ()


def _went_wrong(scenario: Scenario, contract: Contract, execution: Execution) -> bool:
    """Return whether a gate was wrong before it came to a step that is unsupported."""
    if not contract.in_steps or not isinstance(execution.outcome.ending, Unsupported):
        return False
    found = _levelled(
        story_findings(scenario, contract, execution), scenario, contract, strict=False
    )
    return any(finding.level == "must" for finding in found)


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


def _answer(
    scenario: Scenario, contract: Contract, execution: Execution
) -> tuple[int | None, Sequence[str]]:
    """Return the exit code of the probe, or the one that its answer stands for; and its meanings.

    None where it has not answered.
    """
    code = execution.outcome.code
    if contract.entrypoint is not None:
        return start_verdict(scenario, contract, execution)
    if contract.in_steps:
        go = last_answer(scenario, contract, execution)
        if go is None:
            return None, ()
        return contract.code_of_truth(go=go), contract.meaning(go=go)
    if code is None:
        return None, ()
    if contract.exit_code_answers:
        return code, contract.verdicts_of(code)
    return code, _answered(contract, execution.outcome)


def _answered(contract: Contract, outcome: Outcome) -> Sequence[str]:
    """Return what the document of the probe says; nothing where it says nothing."""
    assert contract.document is not None, "only such a contract has the answer on stdout"
    try:
        return (document_answer(contract.document, outcome.stdout),)
    except NoAnswerError:
        return ()


def _findings(
    scenario: Scenario, contract: Contract, execution: Execution, secrets: Mapping[str, str]
) -> Iterator[Finding]:
    if contract.entrypoint is not None:
        yield from start_findings(scenario, contract, execution)
        # What was changed has been judged: it depends on what was started.
        yield from _side_effects(contract, replace(execution, changes=()), secrets)
        return
    if not contract.in_steps:
        yield from _answer_findings(scenario, contract, execution.outcome)
        yield from login_findings(scenario, contract, execution, secrets)
        yield from _side_effects(contract, execution, secrets)
        return
    found = list(story_findings(scenario, contract, execution))
    yield from found
    fell_over = any(finding.kind == "crashed" for finding in found)
    where = where_changed(scenario, contract, execution)
    for finding in _side_effects(contract, execution, secrets, where):
        if finding.kind != "crashed" or not fell_over:  # what is on stderr says the same again
            yield finding


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
            if contract.exit_code_answers:
                yield from _code_findings(contract, expected, wanted, code)
            if contract.document is not None:
                yield from _document_findings(contract, expected, wanted, outcome)


def _code_findings(
    contract: Contract, expected: Sequence[str], wanted: str, code: int
) -> Iterator[Finding]:
    meanings = contract.verdicts_of(code)
    if not meanings:
        table = ", ".join(map(str, contract.all_codes))
        message = f"{wanted}, got exit code {code}, which is none of {table}"
        yield Finding(kind="outside-contract", message=message)
    elif not set(meanings) & set(expected):
        got = " or ".join(answer(contract, verdict) for verdict in meanings)
        yield Finding(kind="wrong-verdict", message=f"{wanted}, got {got}")


def _document_findings(
    contract: Contract, expected: Sequence[str], wanted: str, outcome: Outcome
) -> Iterator[Finding]:
    """Yield what is wrong with the document on stdout, which has to say what the exit code says."""
    where, code = contract.document, outcome.code
    assert where is not None, "only such a contract has the answer on stdout"
    meanings = contract.verdicts_of(code) if code is not None else ()
    if where.exit_code and not meanings:
        return  # the exit code is no answer, so there is nothing to agree with
    said = f"exit code {code} says {' or '.join(meanings)}"
    try:
        got = document_answer(where, outcome.stdout)
    except NoAnswerError as e:
        if where.exit_code:
            yield Finding(kind="inconsistent", message=f"{said}, but {e}")
        else:
            yield Finding(kind="outside-contract", message=f"{wanted}, got no answer: {e}")
        return
    if where.exit_code and got not in meanings:
        message = f"{said}, but {where.member} on stdout says {got}"
        yield Finding(kind="inconsistent", message=message)
    if not where.exit_code and got not in expected:
        message = f"{wanted}, got {got} in {where.member} on stdout"
        yield Finding(kind="wrong-verdict", message=message)


def _side_effects(
    contract: Contract, execution: Execution, secrets: Mapping[str, str], where: str = ""
) -> Iterator[Finding]:
    """Yield what the probe did besides answering; *where* says when it changed the HOME."""
    outcome = execution.outcome
    if outcome.crash:
        yield Finding(kind="crashed", message=outcome.crash)
    # The suite interrupts a probe that is out of time, which Python shows as a traceback.
    elif not isinstance(outcome.ending, TimedOut) and _TRACEBACK.search(outcome.stderr):
        message = "a traceback on stderr: the probe fell over, whatever its exit code"
        yield Finding(kind="crashed", message=message)
    if execution.changes and not contract.commands:  # a CLI may change its own home
        message = _some(f"the probe changed the HOME{where}", execution.changes)
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
    if outcome.left_by_cli:
        what = "started by the CLI, and still running after the probe had ended"
        yield Finding(kind="left-cli-process", message=_some(what, outcome.left_by_cli))


def _unsteady(
    scenario: Scenario, contract: Contract, executions: Sequence[Execution]
) -> Iterator[Finding]:
    """Yield a finding if the answers are not all the same."""
    answers: dict[str, Counter[str]] = {}
    for execution in executions:
        got = describe_ending(execution.outcome.ending)
        if contract.entrypoint is not None:
            got = start_answer(execution)
        if contract.in_steps:
            got = story_answer(scenario, contract, execution)
        if contract.document is not None:
            got = " ".join((got, *_answered(contract, execution.outcome)))
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
