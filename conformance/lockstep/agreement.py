"""Whether probe, Manager and contract agree: the table of codes, the faults, and who has moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct

from conformance.errors import CannotJudge
from conformance.judge.tally import RunReport
from conformance.lockstep.faults import (
    Fault,
    contract_faults,
    manager_faults,
    seen_code,
    treatment_faults,
)
from conformance.lockstep.managers.answers import CODES, Answers
from conformance.lockstep.witness import change, moves, observed
from conformance.model.contract import Contract, Verdict
from conformance.model.outcome import ScenarioResult

__all__ = ["Agreement", "Row"]

#: What a program exits with after an uncaught exception, in Python and many other languages.
_CRASH = 1


class Row(Struct, frozen=True, kw_only=True):
    """One verdict of the contract, or a group of codes that mean none of them."""

    name: str
    codes: tuple[int, ...]
    meaning: str
    asked: str
    """The action that the contract asks for."""
    observed: Counter[int]
    """How often the probe answered which code."""
    faults: tuple[Fault, ...]


class Agreement:
    """What the answers of a Manager, and the results of a run, say about a contract."""

    def __init__(self, contract: Contract, answers: Answers, run: RunReport | None) -> None:
        """Work out all faults and moves; *run* is None where no probe was run."""
        self.contract = contract
        self.answers = answers
        self.run = run
        self.results: list[ScenarioResult] = []
        if run is not None:
            self.results = run.results()
        self._seen = observed(self.results)
        self._codes = _count_codes(self.results)
        self.faults = [
            *contract_faults(contract),
            *manager_faults(contract, answers),
            *treatment_faults(contract, self.results, answers),
        ]
        self.moves = list(moves(contract, self._seen, answers))
        self.change = change(contract, self.moves)

    @property
    def lost(self) -> str:
        """Why the Manager could not be judged; empty where it could."""
        return self.answers.lost()

    @property
    def not_judged(self) -> str:
        """Why Manager or probe could not be judged; empty where they could."""
        if self.lost or self.run is None:
            return self.lost
        return "; ".join(self.run.trouble)

    def exit_status(self) -> int:
        """Return 3 for what could not be judged, 130 if interrupted, 1 for faults, else 0."""
        if self.lost:
            return CannotJudge.exit_status
        status = 0 if self.run is None else self.run.exit_status()
        if status not in (0, 1):
            return status
        return 1 if self.faults or self.moves else 0

    def deviations_elsewhere(self) -> int:
        """Return how many scenarios deviate although their exit code is right."""
        deviating = [result for result in self.results if result.result == "deviates"]
        return sum(1 for result in deviating if result.code in self._right_codes(result))

    def _right_codes(self, result: ScenarioResult) -> set[int]:
        return self.contract.codes(result.expected)

    def codes_not_produced(self) -> list[int]:
        """Return the codes of the contract that no scenario produced."""
        return sorted(self._contract_codes() - self._codes.keys())

    def actions_not_reached(self) -> list[str]:
        """Return the actions, of the contract and of the Manager, that no scenario reaches."""
        known = [str(verdict.asks) for verdict in self.contract.verdicts]
        known += [str(answer.action) for answer in self.answers.by_code.values() if answer.action]
        reached = {str(action) for code in self._codes if (action := self.answers.action(code))}
        return [action for action in dict.fromkeys(known) if action not in reached]

    def verdict_rows(self) -> list[Row]:
        """Return a row for each verdict, in the order of the contract."""
        return [
            Row(
                name=verdict.name,
                codes=verdict.codes,
                meaning=verdict.meaning,
                asked=str(verdict.asks),
                observed=self._seen.get(verdict.name, Counter()),
                faults=tuple(self._verdict_faults(verdict)),
            )
            for verdict in self.contract.verdicts
        ]

    def other_rows(self) -> list[Row]:
        """Return the rows of codes that mean no verdict: a crash, and all others."""
        known = self._contract_codes()
        groups = (
            ("crash", "the probe fell over", {_CRASH} - known),
            ("any other", "a passing fault of the probe", {*CODES} - known - {_CRASH}),
        )
        return [self._other_row(name, meaning, codes) for name, meaning, codes in groups if codes]

    def _other_row(self, name: str, meaning: str, codes: set[int]) -> Row:
        seen = sorted(codes & self._codes.keys())
        return Row(
            name=name,
            codes=tuple(sorted(codes)),
            meaning=meaning,
            asked=" or ".join(self.contract.otherwise),
            observed=Counter({code: self._codes[code] for code in seen}),
            faults=tuple(self._code_faults(codes)),
        )

    def treatment(self, codes: Iterable[int]) -> dict[str, list[int]]:
        """Return what the Manager does on *codes*, each with the codes on which it does that."""
        found: dict[str, list[int]] = {}
        for code in codes:
            if code in self.answers.by_code:
                answer = self.answers.by_code[code].general(code)
                found.setdefault(answer.words, []).append(code)
        return found

    def _contract_codes(self) -> set[int]:
        return set(self.contract.all_codes)

    def _code_faults(self, codes: set[int]) -> Iterator[Fault]:
        """Yield the faults about *codes* themselves, in whatever scenario they come up."""
        for fault in self.faults:
            if not fault.scenarios and not codes.isdisjoint(fault.codes):
                yield fault

    def _verdict_faults(self, verdict: Verdict) -> Iterator[Fault]:
        """Yield the faults of the code of *verdict*, and of scenarios that expect only that."""
        yield from self._code_faults({*verdict.codes})
        expecting = {result.id for result in self.results if result.expected == (verdict.name,)}
        for fault in self.faults:
            if not expecting.isdisjoint(fault.scenarios):
                yield fault


def _count_codes(results: Iterable[ScenarioResult]) -> Counter[int]:
    """Return how often each code was seen."""
    codes = (seen_code(result) for result in results)
    return Counter(code for code in codes if code is not None)
