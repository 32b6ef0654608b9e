"""What is wrong between the codes of a probe and the actions of a Manager, each fault with its name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from conformance.lockstep.managers.answers import CODES, Answer, Answers, code_words
from conformance.model.contract import Action, Contract
from conformance.model.outcome import ScenarioResult

__all__ = ["Fault", "FaultKind", "contract_faults", "manager_faults", "ranges", "seen_code", "treatment_faults"]

FaultKind = Literal[
    "unhandled-code",
    "wrong-action",
    "label-lost",
    "unknown-action",
    "no-action",
    "handled-twice",
    "shared-code",
    "fault-taken-for-verdict",
    "fault-not-retried",
    "wrong-treatment",
    "no-exit-code",
]


class Fault(Struct, frozen=True, kw_only=True):
    """One way in which the three do not agree."""

    kind: FaultKind
    message: str
    codes: tuple[int, ...] = ()
    asked: str = ""
    """The action that the contract asks for."""
    got: str = ""
    """What the Manager does instead."""
    scenarios: tuple[str, ...] = ()
    """Ids, where the fault was seen end to end."""


def contract_faults(contract: Contract) -> Iterator[Fault]:
    """Yield each code that two verdicts share which ask for different actions."""
    for code in sorted({verdict.code for verdict in contract.verdicts}):
        sharing = [verdict for verdict in contract.verdicts if verdict.code == code]
        asked = list(dict.fromkeys(verdict.asks for verdict in sharing))
        if len(asked) > 1:
            words = " and ".join(f"{v.name} asks for {v.asks}" for v in sharing)
            yield Fault(
                kind="shared-code",
                message=f"{code}: the contract has it mean two things: {words}; no Manager can tell them apart",
                codes=(code,),
                asked=str(asked[0]),
                got=str(asked[1]),
            )


def manager_faults(contract: Contract, answers: Answers) -> Iterator[Fault]:
    """Yield what is wrong with what the Manager does, code by code."""
    known = {verdict.code for verdict in contract.verdicts}
    for code, actions in answers.twice:
        verdicts = [verdict for verdict in contract.verdicts if verdict.code == code]
        asked = f"; the contract asks for {verdicts[0].asks}" if verdicts else ""
        words = " and ".join(map(str, actions))
        message = f"{code}: stands twice in the table: {words}{asked}"
        yield Fault(kind="handled-twice", message=message, codes=(code,), asked=str(actions[0]), got=str(actions[1]))
    for code in sorted(known & answers.by_code.keys()):
        if fault := _verdict_fault(contract, code, answers.by_code[code]):
            yield fault
    groups: dict[tuple[Answer, FaultKind], list[int]] = {}
    for code in CODES:
        if code in answers.by_code and code not in known and (kind := _unknown_kind(contract, answers.by_code[code])):
            groups.setdefault((answers.by_code[code].general(code), kind), []).append(code)
    for (answer, kind), codes in groups.items():
        yield _unknown_fault(contract, kind, answers.by_code[codes[0]] if len(codes) == 1 else answer, codes)


def _verdict_fault(contract: Contract, code: int, answer: Answer) -> Fault | None:
    """Return what is wrong with the *answer* to a *code* that the contract has."""
    names = contract.verdicts_of(code)
    asked = contract.verdict(names[0]).asks
    what = f"{code} ({', '.join(names)}): the contract asks for {asked}"
    if answer.action is None:
        kind: FaultKind = "no-action" if answer.failed else "unhandled-code"
        said = answer.sentence
        return Fault(kind=kind, message=f"{what}; {said}", codes=(code,), asked=str(asked), got=answer.words)
    if any(answer.action.covers(contract.verdict(name).asks) for name in names):
        return None
    got = answer.sentence
    if answer.action.name == asked.name:
        lost = ", ".join(sorted(asked.labels - answer.action.labels))
        kind, said = "label-lost", f"{got}, without the label {lost}"
    elif answer.action.name not in _actions(contract):
        kind, said = "unknown-action", f"{got}, which is no action of the contract{_meant(answer.action, contract)}"
    else:
        kind, said = "wrong-action", got
    return Fault(kind=kind, message=f"{what}; {said}", codes=(code,), asked=str(asked), got=str(answer.action))


def _actions(contract: Contract) -> set[str]:
    return {verdict.action for verdict in contract.verdicts} | set(contract.otherwise)


def _meant(action: Action, contract: Contract) -> str:
    close = difflib.get_close_matches(action.name, sorted(_actions(contract)), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else "; words of its own are mapped with --actions"


def _unknown_kind(contract: Contract, answer: Answer) -> FaultKind | None:
    """Return what is wrong with the *answer* to a code that the contract lacks; None where it is right."""
    if answer.action is None:
        return "no-action" if answer.failed else "unhandled-code"
    if answer.action.name in contract.otherwise:
        return None
    return "fault-taken-for-verdict" if answer.action.name in _actions(contract) else "fault-not-retried"


def _unknown_fault(contract: Contract, kind: FaultKind, answer: Answer, codes: Sequence[int]) -> Fault:
    asked = " or ".join(contract.otherwise)
    verdict = kind == "fault-taken-for-verdict"
    says = f"the Manager takes it for a verdict: {answer.words}" if verdict else answer.sentence
    names = {1: "a crash", **{128 + number: f"death by signal {number}" for number in (6, 9, 11, 15)}}
    name = f" ({names[codes[0]]})" if len(codes) == 1 and codes[0] in names else ""
    message = f"{ranges(codes)}{name}: no verdict of the contract, a passing fault that asks for {asked}; {says}"
    return Fault(kind=kind, message=message, codes=tuple(codes), asked=asked, got=answer.words)


def ranges(codes: Iterable[int]) -> str:
    """Return *codes* in words, neighbours as a range: ``1, 3 to 63, -64 to -1``."""
    runs: list[list[int]] = []
    for code in sorted(codes, key=lambda code: (code < 0, code)):
        if runs and code == runs[-1][-1] + 1 and (code < 0) == (runs[-1][-1] < 0):
            runs[-1].append(code)
        else:
            runs.append([code])
    return ", ".join(_run(run) for run in runs)


def _run(run: Sequence[int]) -> str:
    if len(run) == 1:
        return code_words(run[0])
    return f"{run[0]}, {run[1]}" if len(run) == 2 else f"{run[0]} to {run[-1]}"


def seen_code(result: ScenarioResult) -> int | None:
    """Return what a Manager gets to see of *result*: death by a signal as a negative number; None for no exit at all."""
    if result.result in ("broke", "unsupported"):
        return None
    return -result.signal if result.signal is not None else result.code


def treatment_faults(contract: Contract, results: Iterable[ScenarioResult], answers: Answers) -> Iterator[Fault]:
    """Yield, end to end, where the Manager's action on the probe's real exit code is not what the scenario calls for."""
    groups: dict[tuple[tuple[str, ...], int | None], list[str]] = {}
    for result in results:
        if result.result in ("broke", "unsupported"):
            continue
        code = seen_code(result)
        action = answers.action(code) if code is not None else None
        if action is None or not any(action.covers(contract.verdict(name).asks) for name in result.expected):
            groups.setdefault((result.expected, code), []).append(result.id)
    for (expected, code), ids in groups.items():
        asked = " or ".join(dict.fromkeys(str(contract.verdict(name).asks) for name in expected))
        where = f"{' or '.join(expected)} in {_some(ids)}: the scenario calls for {asked}"
        if code is None:
            message = f"{where}; the probe gave no exit code in time"
            yield Fault(kind="no-exit-code", message=message, asked=asked, scenarios=tuple(ids))
            continue
        answer = answers.by_code.get(code, Answer())
        message = f"{where}; the probe answers {code_words(code)}, {answer.sentence}"
        yield Fault(kind="wrong-treatment", message=message, codes=(code,), asked=asked, got=answer.words, scenarios=tuple(ids))


def _some(ids: Sequence[str]) -> str:
    count = f"{len(ids)} scenarios" if len(ids) > 1 else "1 scenario"
    return f"{count} ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})"
