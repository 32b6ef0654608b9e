"""Which side moved away from the contract.

Probe and Manager are two witnesses of what a code means, and the contract is the third.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
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
    """Who has left the contract.

    ``both``: probe and Manager have, in the same way, so the contract is out of date.
    ``apart``: probe and Manager have, each in its own way.
    """
    verdict: str
    message: str
    code: int | None = None
    """The number that probe and Manager agree on, if they do."""


def observed(results: Iterable[ScenarioResult]) -> dict[str, Counter[int]]:
    """Return how often the probe answered which code, for each verdict.

    Scenarios in which more than one verdict is right do not count.
    """
    seen: dict[str, Counter[int]] = {}
    for result in results:
        code = seen_code(result)
        if code is not None and len(result.expected) == 1:
            seen.setdefault(result.expected[0], Counter())[code] += 1
    return seen


def moves(
    contract: Contract,
    seen: Mapping[str, Counter[int]],
    answers: Answers,
) -> Iterator[Move]:
    """Yield, verdict by verdict, who has left the contract.

    A probe that gives a wrong code only now and then has not moved.
    """
    for verdict in contract.verdicts:
        usual, how_often = _usual(seen.get(verdict.name, Counter()))
        if usual is None or usual in verdict.codes:
            move = _manager_move(contract, verdict, answers)
        else:
            said = f"answers {code_words(usual)} for {verdict.name} ({how_often})"
            move = _probe_move(contract, verdict, usual, said, answers)
        if move is not None:
            yield move


def _usual(codes: Counter[int]) -> tuple[int | None, str]:
    """Return what the probe answers in more than half of the scenarios, and how often that is.

    It is None where no answer is that frequent.
    """
    for code, times in codes.most_common(1):
        if times * 2 > codes.total():
            return code, f"in {times} of {codes.total()} scenarios"
    return None, ""


def _manager_move(contract: Contract, verdict: Verdict, answers: Answers) -> Move | None:
    """Return how the Manager has moved, where the probe has not; None if it has not either."""
    if _stays(verdict, answers):
        return None
    treated = _treated_as(contract, verdict, answers)
    if not treated:
        # An action that belongs to no other verdict is not a move: it is a fault.
        return None
    message = f"the Manager moved: {treated}"
    return Move(side="manager", verdict=verdict.name, message=message)


def _probe_move(
    contract: Contract,
    verdict: Verdict,
    usual: int,
    said: str,
    answers: Answers,
) -> Move:
    """Return the move of a probe that *said* something else, and whether the Manager follows."""
    code, asked = ranges(verdict.codes), verdict.asks
    if _stays(verdict, answers):
        message = f"the probe moved: it {said}, where the contract says {code}"
        return Move(side="probe", verdict=verdict.name, message=message)
    followed = answers.action(usual)
    if followed is not None and followed.covers(asked):
        message = (
            f"both moved together: the probe {said}, and the Manager does {asked}"
            f" on {code_words(usual)}; the contract, which says {code}, is out of date"
        )
        return Move(side="both", verdict=verdict.name, message=message, code=usual)
    treated = _treated_as(contract, verdict, answers)
    if not treated:
        held = answers.by_code.get(verdict.codes[0], Answer())
        treated = f"asked for {code}, {held.sentence}, not {asked}"
    message = f"both moved, and not alike: the probe {said}, where the contract says {code}"
    return Move(side="apart", verdict=verdict.name, message=f"{message}; {treated}")


def _stays(verdict: Verdict, answers: Answers) -> bool:
    """Tell whether the Manager does on each code of *verdict* what the contract asks for."""
    return _first_moved(verdict, answers) is None


def _first_moved(verdict: Verdict, answers: Answers) -> int | None:
    """Return the first code of *verdict* on which the Manager does something else, if any."""
    for code in verdict.codes:
        action = answers.action(code)
        if action is None or not action.covers(verdict.asks):
            return code
    return None


def _treated_as(contract: Contract, verdict: Verdict, answers: Answers) -> str:
    """Return as what else the Manager treats a code of *verdict*; empty for nothing known."""
    code, asked = _first_moved(verdict, answers), verdict.asks
    done = answers.action(code) if code is not None else None
    if code is None or done is None:
        return ""
    instead = f"{done} instead of {asked}"
    if elsewhere := _codes_of(asked, answers, besides=verdict.codes):
        instead += f"; it does {asked} on {ranges(elsewhere)}"
    for other in contract.verdicts:
        if code not in other.codes and done.name == other.action:
            return f"it treats {code} as {ranges(other.codes)} ({other.name}): {instead}"
    if done.name in contract.otherwise:
        return f"it treats {code} as no verdict at all: {instead}"
    return ""


def _codes_of(asked: Action, answers: Answers, *, besides: Collection[int]) -> list[int]:
    """Return the codes, *besides* some, on which the Manager does what is *asked*."""
    found = []
    for code in CODES:
        done = answers.action(code)
        if code not in besides and done is not None and done.covers(asked):
            found.append(code)
    return found


def change(contract: Contract, moved: Iterable[Move]) -> str:
    """Return the change of the contract file that makes all three agree; empty if none does."""
    lines = []
    for move in moved:
        if move.side == "both":
            was = ranges(contract.verdict(move.verdict).codes)
            lines += [f"[verdicts.{move.verdict}]", f"code = {move.code} # was {was}"]
    return "\n".join(lines)
