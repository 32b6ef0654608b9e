"""What was found: a home, what it calls for, and what the probe did there."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field

from conformance.model.contract import ANSWER_FINDINGS
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario

__all__ = ["CANDIDATES", "Found", "Sign", "Tried", "count", "sign_of"]

#: How many homes are kept for each sign: where one does not show it again, the next may.
CANDIDATES = 3

_encode = msgspec.msgpack.Encoder().encode


class Sign(Struct, frozen=True, order=True):
    """What tells one fault from another, before it has been reduced."""

    kinds: tuple[str, ...]
    """The kinds of findings."""
    answer: str
    """How the probe ended; empty where its answer was right."""
    rule: str
    """The rule that decides in the home; empty where none is known."""


class Found(Struct, frozen=True, kw_only=True):
    """A home in which the probe was wrong."""

    number: int
    """Which home it was, from 0."""
    scenario: Scenario
    """With what it calls for."""
    sign: Sign
    message: str
    """What was wrong, in one line."""

    @property
    def rank(self) -> tuple[int, int]:
        """What sorts homes that show the same: the smallest first, and then the earliest."""
        return len(_encode(self.scenario)) - len(self.scenario.id), self.number


class Tried(Struct, kw_only=True):
    """What came of some homes."""

    homes: int = 0
    """How many were tried."""
    rules: dict[str, int] = field(default_factory=dict)
    """Rule to the number of homes in which it decides."""
    open: int = 0
    """In how many the contract leaves the answer open, so that more than one conforms."""
    undecided: int = 0
    """In how many nothing says what is right, so that nothing was asked."""
    unsupported: dict[str, int] = field(default_factory=dict)
    """Reason to the number of homes that cannot be shown here."""
    broke: dict[str, int] = field(default_factory=dict)
    """Reason to the number of homes that could not be judged."""
    found: list[Found] = field(default_factory=list)
    """The best homes for each sign."""

    @property
    def judged(self) -> int:
        """In how many the probe was judged: only these say anything of it."""
        return sum(self.rules.values())

    def add_found(self, found: Found) -> None:
        """Keep *found*, if it is among the best homes for its sign."""
        alike = [one for one in self.found if one.sign == found.sign]
        if len(alike) == CANDIDATES:
            worst = max(alike, key=lambda one: one.rank)
            if worst.rank <= found.rank:
                return
            self.found.remove(worst)
        self.found.append(found)

    def signs(self) -> dict[Sign, list[Found]]:
        """Return the best homes for each sign, the best first; the sign found earliest first."""
        signs: dict[Sign, list[Found]] = {}
        for found in sorted(self.found, key=lambda one: one.rank):
            signs.setdefault(found.sign, []).append(found)
        return dict(sorted(signs.items(), key=lambda item: min(one.number for one in item[1])))

    def add(self, other: Tried) -> None:
        """Add what came of *other* homes."""
        self.homes += other.homes
        count(self.rules, other.rules)
        self.open += other.open
        self.undecided += other.undecided
        count(self.unsupported, other.unsupported)
        count(self.broke, other.broke)
        for found in other.found:
            self.add_found(found)


def count(counts: dict[str, int], more: Mapping[str, int]) -> None:
    """Add how often *more* was seen to *counts*."""
    for name, times in more.items():
        counts[name] = counts.get(name, 0) + times


def sign_of(result: ScenarioResult, rule: str, ending: str) -> Sign:
    """Return the sign of a *result* that deviates; *ending* says how the probe ended."""
    kinds = tuple(sorted(set(result.kinds())))
    answered_wrong = not ANSWER_FINDINGS.isdisjoint(kinds)
    return Sign(kinds, ending if answered_wrong else "", rule)
