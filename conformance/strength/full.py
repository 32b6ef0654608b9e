"""Every wrong probe in every scenario: scenario by scenario, so that one home serves them all."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from conformance.catalogue.catalogue import Catalogue
from conformance.strength.bank import Bank, WrongProbe
from conformance.strength.trials import WAITING, Trial, chosen
from conformance.strength.worker import Answer, Batch

__all__ = ["FullRun", "Pair", "all_pairs"]

#: How many probes run one after the other at one go.
_AT_ONE_GO = 100
#: After so many scenarios without an answer a probe is known to wait, unless it answers in most:
#: then many run at once, each in a home of its own.
_SILENCES = 2

#: The id of a probe, and that of a scenario.
Pair = tuple[str, str]


def all_pairs(
    banks: Sequence[Bank], catalogue: Catalogue, patterns: Sequence[str] = ()
) -> list[Pair]:
    """Return every probe of *banks*, the right ones too, in the scenarios that *patterns* name.

    Scenarios that need a container are left out.

    :raises UsageError: a pattern names nothing under any contract of the *banks*.
    """
    found = []
    for bank, here in zip(banks, chosen(banks, catalogue, patterns), strict=True):
        probes = [*([bank.right] if bank.right is not None else []), *bank.wrong]
        if not bank.wrong:  # the right one has nothing to be compared with
            continue
        for scenario in here:
            if scenario.container is None:
                found += [(probe.id, scenario.id) for probe in probes]
    return found


class FullRun:
    """Runs *pairs*, and gathers the answers. None is given up: they are all to be known."""

    def __init__(self, catalogue: Catalogue, pairs: Iterable[Pair]) -> None:
        self.pairs = list(dict.fromkeys(pairs))
        self.answers: dict[Pair, Answer] = {}
        self._catalogue = catalogue
        self._asked: Counter[str] = Counter()
        self._silences: Counter[str] = Counter()

    def batches(self) -> Iterator[Batch]:
        """Yield what is to be done, in a good order; answers that come in meanwhile change it."""
        waiting = [pair for pair in self.pairs if self._waits(pair)]
        quick = [pair for pair in self.pairs if not self._waits(pair)]
        silent: list[Pair] = []
        # Where there is only waiting, others have the processors: so one kind beside the other.
        for batch in _evenly(list(_waiting(waiting)), list(_visits(quick))):
            left = [pair for pair in batch.pairs if batch.at_once or not self._is_silent(pair)]
            silent += [pair for pair in batch.pairs if pair not in left]
            if left:
                yield Batch(pairs=tuple(left), at_once=batch.at_once)
        yield from _waiting(silent)

    def _waits(self, pair: Pair) -> bool:
        return self._catalogue.scenarios[pair[1]].waits

    def _is_silent(self, pair: Pair) -> bool:
        """Return whether the probe has given no answer so often that it will mostly wait."""
        silences = self._silences[pair[0]]
        return silences >= _SILENCES and 2 * silences > self._asked[pair[0]]

    def add(self, answers: Iterable[Answer]) -> None:
        """Take in what came of a batch."""
        for answer in answers:
            self.answers[answer.pair] = answer
            if self._waits(answer.pair):
                continue
            self._asked[answer.probe] += 1
            if "timed-out" in answer.kinds:
                self._silences[answer.probe] += 1

    def trials(self, probes: Iterable[WrongProbe]) -> list[Trial]:
        """Return what became of those *probes* that have run in all their scenarios."""
        wanted: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            wanted.setdefault(pair[0], []).append(pair)
        found = []
        for probe in probes:
            pairs = wanted.get(probe.id, [])
            if all(pair in self.answers for pair in pairs):
                found.append(_trial(probe, [self.answers[pair] for pair in pairs]))
        return found


def _trial(probe: WrongProbe, answers: Sequence[Answer]) -> Trial:
    return Trial(
        probe=probe,
        catches={answer.scenario: answer.kinds for answer in answers if answer.kinds},
        broke={answer.scenario: answer.reason for answer in answers if answer.result == "broke"},
        executions=sum(answer.executions for answer in answers),
        seconds=round(sum(answer.seconds for answer in answers), 3),
    )


def _waiting(pairs: Sequence[Pair]) -> Iterator[Batch]:
    """Yield batches of *pairs* that run at the same time."""
    for start in range(0, len(pairs), WAITING):
        yield Batch(pairs=tuple(pairs[start : start + WAITING]), at_once=True)


def _visits(pairs: Sequence[Pair]) -> Iterator[Batch]:
    """Yield batches of *pairs* with the same scenario, under the same contract."""

    def place(pair: Pair) -> tuple[str, str]:
        return pair[1], pair[0].partition("/")[0]

    for _, group in itertools.groupby(sorted(pairs, key=place), key=place):
        here = list(group)
        for start in range(0, len(here), _AT_ONE_GO):
            yield Batch(pairs=tuple(here[start : start + _AT_ONE_GO]))


def _evenly(*parts: Sequence[Batch]) -> Iterator[Batch]:
    """Yield what is in all *parts*, each in its order, and each spread over the whole."""
    placed = [
        [((number + 0.5) / len(part), which, batch) for number, batch in enumerate(part)]
        for which, part in enumerate(parts)
    ]
    for _, _, batch in heapq.merge(*placed, key=lambda one: one[:2]):
        yield batch
