"""Choices that Hypothesis makes, and the examples that come of them: the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

__all__ = ["Draw", "examples", "made_by"]

_T = TypeVar("_T")

#: Of the number that an example is made from: so many that hardly two examples have the same.
_BITS = 40


class Draw:
    """What one example is made from: a choice after the other."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def below(self, count: int) -> int:
        """Return a number from 0 up to, and without, *count*."""
        return self._random.randrange(count)

    def one_of(self, options: Sequence[_T]) -> _T:
        """Return one of *options*, each as likely as the others."""
        return options[self.below(len(options))]

    def once_in(self, count: int) -> bool:
        """Return true once in so many times."""
        return self.below(count) == 0

    def weighted(self, options: Sequence[tuple[int, _T]]) -> _T:
        """Return one of *options*; each has a weight, a whole number."""
        left = self.below(sum(weight for weight, _ in options))
        for weight, option in options:
            if left < weight:
                return option
            left -= weight
        raise AssertionError("the weights are as many as the numbers that are drawn")


def made_by(make: Callable[[Draw], _T]) -> st.SearchStrategy[_T]:
    """Return the strategy whose examples are what *make* returns.

    Hypothesis draws one number for each example, and not one for each choice in it. Then it knows
    of no choices that it could repeat or keep small, as is good for a handful of examples: of a
    thousand homes, three in five were one that had been there before, and each took thirty times as
    long. What is found is reduced on the disk, by running the probe, and not by Hypothesis.

    The number is drawn bit by bit. Of whole numbers, Hypothesis likes those that stand in the code
    that is loaded: then the examples would be others in a worker, which loads less.
    """

    def made(drawn: tuple[bool, ...]) -> _T:
        number = sum(bit << place for place, bit in enumerate(drawn))
        return make(Draw(Random(number)))  # noqa: S311 - it makes up homes, and keeps no secret

    return st.tuples(*[st.booleans()] * _BITS).map(made)


def examples(make: Callable[[Draw], _T], number: int, count: int) -> list[_T]:
    """Return *count* examples that *make* returns.

    *number* is the seed: the same one gives the same examples, with the same release of Hypothesis.
    """
    found: list[_T] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,  # nothing is remembered from one run to the next
        deadline=None,  # nor does anything depend on how fast the machine is
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(made_by(make))
    def collect(example: _T) -> None:
        found.append(example)

    collect()
    return found[:count]
