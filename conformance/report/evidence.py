"""What was seen of a probe in all scenarios together, from which hints are drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from conformance.model.contract import Contract
from conformance.model.outcome import FindingKind, ScenarioResult
from conformance.model.scenario import Scenario

__all__ = ["FEWEST", "Evidence", "Hint", "Seen"]

#: So many scenario files are the least that a hint is drawn from.
#:
#: Whoever works on one defect runs the scenarios about it, and all of them deviate alike because
#: they are about it. Those are nine files at most, such as those about the names of a baseline. The
#: variants of a file count once, because they differ in one point.
FEWEST = 12


_CLI_BROKEN = "cli-broken"


class Hint(Struct, frozen=True):
    """What many deviations have in common, and the way out: a line or two."""

    text: str
    explains: frozenset[str] = frozenset()
    """The ids of the scenarios whose deviations it explains as a whole."""


class Seen(Struct, frozen=True):
    """A scenario, and what the probe did in it."""

    scenario: Scenario
    result: ScenarioResult
    answer: int | str | None
    """The exit code, or the verdict where exit codes are no answers; None for no answer."""
    wanted: frozenset[int | str]
    """The answers that conform."""

    @property
    def id(self) -> str:
        """The id of the scenario."""
        return self.result.id

    @property
    def wrong(self) -> bool:
        """Whether there is an answer, and it does not conform."""
        return self.answer is not None and self.answer not in self.wanted

    def only(self, *kinds: FindingKind) -> bool:
        """Return whether nothing but findings of these *kinds* makes it deviate."""
        found = set(self.result.kinds())
        return bool(found) and found <= set(kinds)


class Evidence:
    """Judged scenarios of one run."""

    def __init__(self, contract: Contract, seen: Iterable[Seen]) -> None:
        self.contract = contract
        self._seen = list(seen)

    @classmethod
    def of(
        cls,
        contract: Contract,
        results: Iterable[ScenarioResult],
        scenarios: Mapping[str, Scenario],
    ) -> Evidence:
        """Return the evidence in *results*: those that say something about the probe."""
        judged = [r for r in results if r.result in ("conforms", "deviates", "known-failure")]
        return cls(contract, [_seen(contract, r, scenarios[r.id]) for r in judged])

    def __len__(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[Seen]:
        return iter(self._seen)

    @property
    def first(self) -> Seen:
        """The first of it."""
        return self._seen[0]

    @property
    def homes(self) -> Evidence:
        """The part in which the HOME decides."""
        return self.part(seen for seen in self if _CLI_BROKEN not in seen.result.expected)

    @property
    def before_homes(self) -> Evidence:
        """The part in which the CLI decides, or the agent's name."""
        return self.part(seen for seen in self if _CLI_BROKEN in seen.result.expected)

    def of_agent(self, agent: str) -> Evidence:
        """Return the part about *agent*."""
        return self.part(seen for seen in self if seen.scenario.agent == agent)

    def part(self, seen: Iterable[Seen]) -> Evidence:
        """Return these of it."""
        return Evidence(self.contract, seen)

    def calls_broken(self, seen: Seen) -> bool:
        """Return whether the answer in *seen* is that the CLI is broken, and cannot be another."""
        return self.means(seen.answer) == (_CLI_BROKEN,)

    @property
    def files(self) -> int:
        """How many scenario files it comes from."""
        return len({seen.scenario.file for seen in self})

    @property
    def enough(self) -> bool:
        """Whether a hint may be drawn from it."""
        return self.files >= FEWEST

    @property
    def varied(self) -> bool:
        """Whether no single answer would be right in all of it."""
        wanted = [seen.wanted for seen in self]
        return bool(wanted) and not frozenset.intersection(*wanted)

    @property
    def common(self) -> int | str | None:
        """The answer that all have got; None where they differ, and where one has none."""
        answers = {seen.answer for seen in self}
        return answers.pop() if len(answers) == 1 else None

    @property
    def usual(self) -> int | str | None:
        """The answer that nine tenths have got; None where none is that frequent.

        A probe that does not know an agent may still trip over one or two of its scenarios.
        """
        for answer, times in Counter(seen.answer for seen in self).most_common(1):
            if 10 * times >= 9 * len(self):
                return answer
        return None

    @property
    def wrong(self) -> Evidence:
        """The part with a wrong answer."""
        return self.part(seen for seen in self if seen.wrong)

    def means(self, answer: int | str | None) -> tuple[str, ...]:
        """Return the verdicts that *answer* can mean."""
        if isinstance(answer, int):
            return self.contract.verdicts_of(answer)
        return (answer,) if answer else ()

    def words(self, answer: int | str | None) -> str:
        """Return the *answer* in words."""
        meanings = " or ".join(self.means(answer))
        if isinstance(answer, int):
            return f"exit code {answer} ({meanings})" if meanings else f"exit code {answer}"
        return f"the answer {meanings}"

    def explained(self, *kinds: FindingKind) -> frozenset[str]:
        """Return the ids of those that deviate in nothing but these *kinds* of findings."""
        return frozenset(seen.id for seen in self if seen.only(*kinds))


def _seen(contract: Contract, result: ScenarioResult, scenario: Scenario) -> Seen:
    if contract.exit_code_answers:
        wanted: frozenset[int | str] = frozenset(
            scenario.contract_here(contract).codes(result.expected)
        )
        return Seen(scenario, result, result.code, wanted)
    return Seen(scenario, result, result.verdict or None, frozenset(result.expected))
