"""Judge the starts of an entrypoint: what it started, what it wrote first, how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from conformance.judge.seeds import seed_findings
from conformance.model.contract import Contract
from conformance.model.entrypoint import REFUSED, SHELL, STARTED
from conformance.model.outcome import Execution, Finding, FindingKind
from conformance.model.scenario import Scenario
from conformance.model.start import Called, StartSeen, same_command
from conformance.model.step_result import StepResult
from conformance.model.wording import signal_name
from conformance.text import join, printable, shortened

__all__ = ["start_answer", "start_findings", "start_results", "start_verdict"]

#: Characters of a command, and of a value, that are shown.
_LONGEST = 100
#: Changes that a message lists.
_FEW = 5


def start_findings(
    scenario: Scenario, contract: Contract, execution: Execution
) -> Iterator[Finding]:
    """Yield what is wrong with the starts of an entrypoint: with the first one that is not right.

    The second start depends on what the first has done.
    """
    several = len(execution.starts) > 1
    for number, seen in enumerate(execution.starts):
        where = f"start {number + 1}: " if several else ""
        found = [
            _about_rule(Finding(kind=kind, message=f"{where}{message}"), scenario, contract)
            for kind, message in _wrong(scenario, contract, seen, again=number > 0)
        ]
        yield from found
        if any(_counts(finding, contract) for finding in found):
            return


def _about_rule(finding: Finding, scenario: Scenario, contract: Contract) -> Finding:
    """Return *finding* with the rule that the scenario cites for its kind, if it cites one."""
    for name in scenario.cites(contract):
        if finding.kind in contract.rules[name].findings:
            return Finding(kind=finding.kind, message=finding.message, rule=name)
    return finding


def _counts(finding: Finding, contract: Contract) -> bool:
    rule = contract.rules.get(finding.rule or contract.rule_broken_by(finding.kind))
    return rule is None or (rule.level == "must" and not rule.off)


def _wrong(
    scenario: Scenario, contract: Contract, seen: StartSeen, *, again: bool
) -> Iterator[tuple[FindingKind, str]]:
    expected = scenario.expected(contract)
    wanted = f"expected {_wanted(expected, seen, contract)}"
    if seen.end == "timed-out":
        yield "timed-out", f"{wanted}, {_no_end(seen, contract)}"
        return
    verdict = _verdict(seen, contract)
    if seen.end == "killed" and not seen.programs:
        yield "killed-by-signal", f"{wanted}, got killed by {signal_name(seen.code)}"
    elif not verdict:
        nothing = "nothing was started"
        if STARTED in expected:  # something else may have been, which has no stub
            nothing = "no program that the contract names was started"
        yield "outside-contract", f"{wanted}, got exit code {seen.code}, and {nothing}"
    elif verdict not in expected:
        yield "wrong-verdict", f"{wanted}, got {_got(seen)}"
    elif verdict == STARTED:
        yield from _program(scenario, contract, seen)
    if STARTED not in expected:
        yield from _side_effects(seen)
    elif verdict:
        yield from _left_behind(seen, started=verdict == STARTED, again=again)


def _side_effects(seen: StartSeen) -> Iterator[tuple[FindingKind, str]]:
    """Yield what changed where nothing was to be started."""
    if seen.touched:
        what = "nothing was to be started, and the entrypoint changed the HOME"
        yield "side-effect", f"{what}: {_some(seen.touched)}"


def _left_behind(
    seen: StartSeen, *, started: bool, again: bool
) -> Iterator[tuple[FindingKind, str]]:
    """Yield what is wrong with the HOME after a start that may start something."""
    if started and seen.changes:
        kind: FindingKind = "changed-again" if again else "changed-home"
        yield kind, f"the entrypoint changed the HOME: {_some(seen.changes)}"
    yield from seed_findings(seen, started=started)


def _verdict(seen: StartSeen, contract: Contract) -> str:
    """Return what a start came to; empty where nothing was started and no code says why."""
    if seen.programs:
        return STARTED
    refused = seen.end == "exited" and seen.code in contract.codes((REFUSED,))
    return REFUSED if refused else ""


def _program(
    scenario: Scenario, contract: Contract, seen: StartSeen
) -> Iterator[tuple[FindingKind, str]]:
    """Yield what is wrong with the program that was started last."""
    call = seen.programs[-1]
    fits = [wanted for wanted in (seen.expected, seen.usual) if wanted]
    if seen.expected and not any(same_command(call.argv, wanted) for wanted in fits):
        message = f"expected {_command(seen.expected)} to be started, got {_command(call.argv)}"
        yield "wrong-program", message
        return
    yield from _environment(scenario, contract, seen, call)
    assert scenario.start is not None, "only such a scenario is judged here"
    if (seen.end, seen.code) != ("exited", scenario.start.code):
        ended = f"exit code {seen.code}" if seen.end == "exited" else signal_name(seen.code)
        said = f"{_command(call.argv)} ended with exit code {scenario.start.code}"
        yield "wrong-exit-code", f"{said}, and the entrypoint with {ended}"


def _environment(
    scenario: Scenario, contract: Contract, seen: StartSeen, call: Called
) -> Iterator[tuple[FindingKind, str]]:
    name = _command(call.argv)
    table = contract.entrypoint
    assert table is not None, "only such a contract is judged here"
    mode = table.named(seen.mode)
    needed = (contract.inputs.home, *(mode.reaches if mode is not None else ()))
    for variable in needed:
        wanted, got = seen.given.get(variable), call.environment.get(variable)
        if wanted is not None and got != wanted:
            message = f"{variable} of {name} {_is(got)}, and the entrypoint got {_value(wanted)}"
            yield "wrong-environment", message
    for variable in mode.withholds if mode is not None else ():
        if variable in call.environment:
            yield "wrong-environment", f"{variable} reached {name}, which it must not"
    for variable in scenario.env:
        wanted = seen.given.get(variable)
        if variable not in (*needed, "PATH") and wanted != call.environment.get(variable):
            yield "lost-environment", f"{variable}, which is set, did not reach {name} as it is"


def _no_end(seen: StartSeen, contract: Contract) -> str:
    """Return that a start did not end, and what it may have been waiting for."""
    limit = f"{contract.limits.seconds:g} s"
    if seen.calls and seen.calls[-1].question:
        asked = _command(seen.calls[-1].argv)
        return f"got no end within {limit}: it waits for {asked}, which does not end"
    return f"got no end within {limit}"


def _wanted(expected: Sequence[str], seen: StartSeen, contract: Contract) -> str:
    words = []
    for verdict in expected:
        if verdict == STARTED:
            words.append(f"{_command(seen.expected)} to be started" if seen.expected else STARTED)
        else:
            codes = " or ".join(map(str, contract.verdict(verdict).codes))
            words.append(f"exit code {codes} with nothing started")
    return " or ".join(words)


def _got(seen: StartSeen) -> str:
    ended = f"exit code {seen.code}" if seen.end == "exited" else seen.end
    if seen.end == "killed":
        ended = f"killed by {signal_name(seen.code)}"
    if not seen.programs:
        return f"{ended} with nothing started"
    started = " and ".join(_command(call.argv) for call in seen.programs[:_FEW])
    return f"{started} started, and {ended}"


def _command(argv: Sequence[str]) -> str:
    """Return a command for people."""
    if tuple(argv) == (SHELL,):
        return "a shell"
    return f"'{shortened(printable(join(argv)), _LONGEST)}'"


def _is(value: str | None) -> str:
    return "is not set" if value is None else f"is {_value(value)}"


def _value(value: str) -> str:
    return shortened(printable(json.dumps(value)), _LONGEST)


def _some(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - _FEW} more" if len(lines) > _FEW else ""
    return f"{'; '.join(lines[:_FEW])}{more}"


def start_verdict(
    scenario: Scenario, contract: Contract, execution: Execution
) -> tuple[int | None, Sequence[str]]:
    """Return the exit code of the start that tells, and what it came to.

    That is the first one with another verdict than is expected, else the last.
    """
    expected = scenario.expected(contract)
    for seen in (*execution.starts, *execution.starts[-1:]):
        verdict = _verdict(seen, contract)
        if verdict not in expected or seen is execution.starts[-1]:
            code = seen.code if seen.end == "exited" else None
            return code, (verdict,) if verdict else ()
    return None, ()


def start_answer(execution: Execution) -> str:
    """Return what the starts came to, for comparing executions."""
    return ", ".join(_got(seen) for seen in execution.starts)


def start_results(
    scenario: Scenario, contract: Contract, execution: Execution, findings: Sequence[Finding]
) -> tuple[StepResult, ...]:
    """Return the starts for reports, one after the other."""
    expected, results = scenario.expected(contract), []
    wrong = next((finding.message for finding in findings if finding.level == "must"), "")
    several = len(execution.starts) > 1
    for number, seen in enumerate(execution.starts, 1):
        mode = f"mode '{printable(seen.mode)}'" if seen.mode else "no mode"
        again = " again, over the HOME that the first has left," if number > 1 else ""
        results.append(
            StepResult(
                number=number,
                operation="start",
                words=f"the entrypoint is started{again} with {mode}",
                expected=_wanted(expected, seen, contract),
                got=_got(seen) if seen.end != "timed-out" else _no_end(seen, contract)[4:],
                seconds=round(seen.seconds, 4),
                wrong=bool(wrong) and (not several or wrong.startswith(f"start {number}:")),
            )
        )
    return tuple(results)
