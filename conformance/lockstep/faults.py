"""Faults: how the codes of a probe and the actions of a Manager fail to agree."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from conformance.lockstep.managers.answers import CODES, Answer, Answers, code_words
from conformance.model.contract import Action, Contract
from conformance.model.outcome import ScenarioResult

__all__ = [
    "Fault",
    "FaultKind",
    "contract_faults",
    "manager_faults",
    "ranges",
    "seen_code",
    "treatment_faults",
]

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


#: Results that say nothing about the probe.
_NOT_JUDGED = ("broke", "unsupported")
#: Codes that people know, although no contract has them.
_KNOWN_CODES = {
    1: "a crash",
    134: "death by signal 6",
    137: "death by signal 9",
    139: "death by signal 11",
    143: "death by signal 15",
}


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
    """Yield each code that two verdicts share although they ask for different actions."""
    for code in contract.all_codes:
        sharing = [verdict for verdict in contract.verdicts if code in verdict.codes]
        asked = list(dict.fromkeys(verdict.asks for verdict in sharing))
        if len(asked) == 1:
            continue
        meanings = " and ".join(f"{verdict.name} asks for {verdict.asks}" for verdict in sharing)
        message = f"{code}: the contract has it mean two things: {meanings}"
        yield Fault(
            kind="shared-code",
            message=f"{message}; no Manager can tell them apart",
            codes=(code,),
            asked=str(asked[0]),
            got=str(asked[1]),
        )


def manager_faults(contract: Contract, answers: Answers) -> Iterator[Fault]:
    """Yield what is wrong with what the Manager does, code by code."""
    for code, actions in answers.twice:
        yield _listed_twice(contract, code, actions)
    known = set(contract.all_codes)
    for code in sorted(known & answers.by_code.keys()):
        if fault := _verdict_fault(contract, code, answers.by_code[code]):
            yield fault
    yield from _unknown_faults(contract, answers)


def _listed_twice(contract: Contract, code: int, actions: Sequence[Action]) -> Fault:
    message = f"{code}: is listed twice in the table: {' and '.join(map(str, actions))}"
    if names := contract.verdicts_of(code):
        message += f"; the contract asks for {contract.verdict(names[0]).asks}"
    return Fault(
        kind="handled-twice",
        message=message,
        codes=(code,),
        asked=str(actions[0]),
        got=str(actions[1]),
    )


def _verdict_fault(contract: Contract, code: int, answer: Answer) -> Fault | None:
    """Return what is wrong with the *answer* to a *code* of the contract; None if nothing is."""
    names = contract.verdicts_of(code)
    asked = contract.verdict(names[0]).asks
    action = answer.action
    kind: FaultKind
    said = answer.sentence
    if action is None:
        kind = "no-action" if answer.failed else "unhandled-code"
    elif any(action.covers(contract.verdict(name).asks) for name in names):
        return None
    elif action.name == asked.name:
        kind = "label-lost"
        said += f", without the label {', '.join(sorted(asked.labels - action.labels))}"
    elif action.name not in _actions(contract):
        kind = "unknown-action"
        said += f", which is no action of the contract; {_suggestion(action, contract)}"
    else:
        kind = "wrong-action"
    return Fault(
        kind=kind,
        message=f"{code} ({', '.join(names)}): the contract asks for {asked}; {said}",
        codes=(code,),
        asked=str(asked),
        got=answer.words,
    )


def _actions(contract: Contract) -> set[str]:
    return {verdict.action for verdict in contract.verdicts} | set(contract.otherwise)


def _suggestion(action: Action, contract: Contract) -> str:
    """Return what an unknown *action* may have been meant to be."""
    known = sorted(_actions(contract))
    for close in difflib.get_close_matches(action.name, known, n=1, cutoff=0.6):
        return f"did you mean {close}?"
    return "words of its own are mapped with --actions"


def _unknown_faults(contract: Contract, answers: Answers) -> Iterator[Fault]:
    """Yield what is wrong with codes that the contract does not have, like ones together."""
    groups: dict[tuple[FaultKind, Answer], list[int]] = {}
    for code in CODES:
        if code not in answers.by_code or contract.verdicts_of(code):
            continue
        answer = answers.by_code[code]
        if kind := _unknown_kind(contract, answer):
            groups.setdefault((kind, answer.general(code)), []).append(code)
    for (kind, general), codes in groups.items():
        answer = answers.by_code[codes[0]] if len(codes) == 1 else general
        yield _unknown_fault(contract, kind, answer, codes)


def _unknown_kind(contract: Contract, answer: Answer) -> FaultKind | None:
    """Return what is wrong with the *answer* to a code that the contract does not have."""
    if answer.action is None:
        return "no-action" if answer.failed else "unhandled-code"
    name = answer.action.name
    if name in contract.otherwise:
        return None
    return "fault-taken-for-verdict" if name in _actions(contract) else "fault-not-retried"


def _unknown_fault(
    contract: Contract,
    kind: FaultKind,
    answer: Answer,
    codes: Sequence[int],
) -> Fault:
    asked = " or ".join(contract.otherwise)
    says = answer.sentence
    if kind == "fault-taken-for-verdict":
        says = f"the Manager takes it for a verdict: {answer.words}"
    what = ranges(codes)
    if len(codes) == 1 and codes[0] in _KNOWN_CODES:
        what += f" ({_KNOWN_CODES[codes[0]]})"
    why = f"no verdict of the contract, a passing fault that asks for {asked}"
    return Fault(
        kind=kind,
        message=f"{what}: {why}; {says}",
        codes=tuple(codes),
        asked=asked,
        got=answer.words,
    )


def ranges(codes: Iterable[int]) -> str:
    """Return *codes* in words, neighbours as a range: ``1, 3 to 63, -64 to -1``."""
    runs: list[list[int]] = []
    for code in sorted(codes, key=lambda code: (code < 0, code)):
        # -1 and 0 are no neighbours: one is a signal, the other an exit code.
        if runs and code == runs[-1][-1] + 1 and code != 0:
            runs[-1].append(code)
        else:
            runs.append([code])
    return ", ".join(_range(run) for run in runs)


def _range(run: Sequence[int]) -> str:
    if len(run) == 1:
        return code_words(run[0])
    if len(run) == 2:
        return f"{run[0]}, {run[1]}"
    return f"{run[0]} to {run[-1]}"


def seen_code(result: ScenarioResult) -> int | None:
    """Return what a Manager gets to see of *result*; None where there was no exit at all.

    Death by a signal is a negative number.
    """
    if result.result in _NOT_JUDGED:
        return None
    return -result.signal if result.signal is not None else result.code


def treatment_faults(
    contract: Contract,
    results: Iterable[ScenarioResult],
    answers: Answers,
) -> Iterator[Fault]:
    """Yield where the Manager does not do what a scenario calls for.

    What counts is the Manager's action on the code that the probe really gave.
    """
    groups: dict[tuple[tuple[str, ...], int | None], list[str]] = {}
    for result in results:
        if result.result in _NOT_JUDGED:
            continue
        code = seen_code(result)
        if not _treated_well(contract, result, code, answers):
            groups.setdefault((result.expected, code), []).append(result.id)
    for (expected, code), ids in groups.items():
        yield _treatment_fault(contract, expected, code, ids, answers)


def _treated_well(
    contract: Contract,
    result: ScenarioResult,
    code: int | None,
    answers: Answers,
) -> bool:
    action = None if code is None else answers.action(code)
    if action is None:
        return False
    passed_on = result.result == "conforms" and code not in contract.all_codes
    if passed_on and action.name in contract.otherwise:
        return True  # the code of a CLI that has failed, which is one like any other to a Manager
    return any(action.covers(contract.verdict(name).asks) for name in result.expected)


def _treatment_fault(
    contract: Contract,
    expected: Sequence[str],
    code: int | None,
    ids: Sequence[str],
    answers: Answers,
) -> Fault:
    asked = " or ".join(dict.fromkeys(str(contract.verdict(name).asks) for name in expected))
    where = f"{' or '.join(expected)} in {_some(ids)}: the scenario calls for {asked}"
    if code is None:
        return Fault(
            kind="no-exit-code",
            message=f"{where}; the probe gave no exit code in time",
            asked=asked,
            scenarios=tuple(ids),
        )
    answer = answers.by_code.get(code, Answer())
    return Fault(
        kind="wrong-treatment",
        message=f"{where}; the probe answers {code_words(code)}, {answer.sentence}",
        codes=(code,),
        asked=asked,
        got=answer.words,
        scenarios=tuple(ids),
    )


def _some(ids: Sequence[str]) -> str:
    """Return the first of *ids*, and how many there are."""
    count = f"{len(ids)} scenarios" if len(ids) > 1 else "1 scenario"
    more = ", …" if len(ids) > 3 else ""
    return f"{count} ({', '.join(ids[:3])}{more})"
