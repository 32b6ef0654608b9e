"""Which side moved: probe and Manager are two witnesses of what a code means, the contract is the third."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from conformance.lockstep.faults import ranges, seen_code
from conformance.lockstep.managers.answers import CODES, Answer, Answers, code_words
from conformance.model.contract import Action, Contract, Verdict
from conformance.model.outcome import ScenarioResult

__all__ = ["Move", "change", "moves", "observed"]


class Move(Struct, frozen=True, kw_only=True):
    """One verdict whose number is not what it was, and for whom."""

    side: Literal["probe", "manager", "both", "apart"]
    """Who has left the contract; ``both`` alike, so that the contract is out of date; ``apart`` each in its own way."""
    verdict: str
    message: str
    code: int | None = None
    """The number that probe and Manager agree on, where they do."""


def observed(results: Iterable[ScenarioResult]) -> dict[str, Counter[int]]:
    """Return how often the probe was seen to answer which code for each verdict, where only one verdict is right."""
    seen: dict[str, Counter[int]] = {}
    for result in results:
        code = seen_code(result)
        if code is not None and len(result.expected) == 1:
            seen.setdefault(result.expected[0], Counter())[code] += 1
    return seen


def moves(contract: Contract, seen: Mapping[str, Counter[int]], answers: Answers) -> Iterator[Move]:
    """Yield, verdict by verdict, who has left the contract. A probe that errs here and there has not moved."""
    for verdict in contract.verdicts:
        usual, words = _usual(seen.get(verdict.name, Counter()))
        if move := _move(contract, verdict, usual, words, answers):
            yield move


def _usual(codes: Counter[int]) -> tuple[int | None, str]:
    """Return what the probe answers in more than half of the scenarios, and how often that is; None where it does not."""
    for code, times in codes.most_common(1):
        if times * 2 > codes.total():
            return code, f"in {times} of {codes.total()} scenarios"
    return None, ""


def _move(contract: Contract, verdict: Verdict, usual: int | None, times: str, answers: Answers) -> Move | None:
    asked, code = verdict.asks, verdict.code
    held = answers.by_code.get(code, Answer())
    manager_stays = held.action is not None and held.action.covers(asked)
    probe_stays = usual is None or usual == code
    if probe_stays and manager_stays:
        return None
    answers_so = f"answers {code_words(usual)} for {verdict.name} ({times})" if usual is not None else ""
    manager = _treats(contract, code, asked, answers)
    if probe_stays:
        # What is no other verdict's action is no move of a number: the faults say what it is.
        says = f"the Manager moved: {manager}" if manager else ""
        return Move(side="manager", verdict=verdict.name, message=says) if says else None
    assert usual is not None
    followed = answers.action(usual)
    if manager_stays:
        return Move(
            side="probe", verdict=verdict.name, message=f"the probe moved: it {answers_so}, where the contract says {code}"
        )
    if followed is not None and followed.covers(asked):
        message = (
            f"both moved together: the probe {answers_so}, and the Manager does {asked} on {code_words(usual)};"
            f" the contract, which says {code}, is out of date"
        )
        return Move(side="both", verdict=verdict.name, message=message, code=usual)
    manager = manager or f"asked for {code}, {held.sentence}, not {asked}"
    message = f"both moved, and not alike: the probe {answers_so}, where the contract says {code}; {manager}"
    return Move(side="apart", verdict=verdict.name, message=message)


def _treats(contract: Contract, code: int, asked: Action, answers: Answers) -> str:
    """Return, where the Manager does on *code* what something else calls for, what that is, and where *asked* has gone."""
    held = answers.action(code)
    if held is None:
        return ""
    elsewhere = [other for other in CODES if (done := answers.action(other)) and other != code and done.covers(asked)]
    gone = f"; it does {asked} on {ranges(elsewhere)}" if elsewhere else ""
    for other in contract.verdicts:
        if other.code != code and held.name == other.action:
            return f"it treats {code} as {other.code} ({other.name}): {held} instead of {asked}{gone}"
    if held.name in contract.otherwise:
        return f"it treats {code} as no verdict at all: {held} instead of {asked}{gone}"
    return ""


def change(contract: Contract, moved: Iterable[Move]) -> str:
    """Return what to change in the contract file for all three to agree; empty where that is not what is wrong."""
    lines = []
    for move in moved:
        if move.side == "both":
            lines += [f"[verdicts.{move.verdict}]", f"code = {move.code} # was {contract.code(move.verdict)}"]
    return "\n".join(lines)
