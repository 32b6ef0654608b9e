"""Ask whether smaller scenarios still show a fault, and keep the smallest that does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from conformance.model.scenario import Scenario

__all__ = ["Search"]

_Item = TypeVar("_Item")
_encode = msgspec.msgpack.Encoder().encode


class Search:
    """Looks for the smallest scenario that still shows a fault.

    No scenario is asked about twice, none that *same_case* refuses at all, and no more than *limit*
    are.
    """

    def __init__(
        self,
        scenario: Scenario,
        still_wrong: Callable[[Scenario], bool | None],
        *,
        same_case: Callable[[Scenario], bool],
        limit: int,
        on_run: Callable[[int, Scenario], None],
    ) -> None:
        self.best = scenario
        """The smallest scenario that has shown the fault."""
        self.nearest: Scenario | None = None
        """The last one that was asked about and did not show it; None if all did."""
        self.runs = 0
        """How often the fault was asked for."""
        self.stopped = False
        """Whether the limit has kept it from asking."""
        self.by_halves = True
        """Whether many things are tried at once; where little is left to go, that is in vain."""
        self._still_wrong = still_wrong
        self._same_case = same_case
        self._limit = limit
        self._on_run = on_run
        self._known = {_fingerprint(scenario)}

    def ask(self, scenario: Scenario) -> bool | None:
        """Return whether *scenario* shows the fault, asked anew; None if that cannot be said."""
        self.runs += 1
        answer = self._still_wrong(scenario)
        self._on_run(self.runs, self.best)
        return answer

    def accepts(self, candidate: Scenario) -> bool:
        """Return whether *candidate* shows the fault too, and take it for the best if it does."""
        key = _fingerprint(candidate)
        if key in self._known:  # the best itself, or one that was refused
            return False
        if self.runs >= self._limit:
            self.stopped = True
            return False
        self._known.add(key)
        if not self._same_case(candidate):
            return False
        shows_it = self.ask(candidate)
        if shows_it:
            self.best = candidate
        elif shows_it is not None:
            self.nearest = candidate
        return shows_it is True

    def drop(
        self,
        items: Sequence[_Item],
        without: Callable[[Scenario, Sequence[_Item]], Scenario],
    ) -> list[_Item]:
        """Do without as many of *items* as possible, and return those that are needed.

        *without* makes a scenario from the one that was best in the beginning. Halves of what is
        needed are tried in turn: where few items of many are needed, that takes about twice the
        binary logarithm of their number for each of them. Once a first half has gone, the second
        is known to hold something that is needed, and is not asked about as a whole.
        """
        if not items:
            return []
        base = self.best
        gone: list[_Item] = []
        needed: list[_Item] = []
        pending = [list(items)] if self.by_halves else [[item] for item in reversed(items)]
        while pending:
            chunk = pending.pop()
            if self.accepts(without(base, [*gone, *chunk])):
                gone += chunk
            elif len(chunk) == 1:
                needed += chunk
            else:
                middle = len(chunk) // 2
                pending += [chunk[middle:], chunk[:middle]]
        return needed

    def lower(
        self, value: int, floor: int, with_value: Callable[[Scenario, int], Scenario]
    ) -> None:
        """Lower a number from *value* to *floor*, or by halves as far as that goes."""
        base = self.best
        if value <= floor or self.accepts(with_value(base, floor)):
            return
        while (value := value // 2) > floor and self.accepts(with_value(base, value)):
            pass

    def shorten(self, length: int, with_length: Callable[[Scenario, int], Scenario]) -> int:
        """Return the least *length* that still shows the fault, found by bisection.

        Where one less is too short, nothing else is tried.
        """
        base = self.best
        if not length or not self.accepts(with_length(base, length - 1)):
            return length
        length -= 1
        too_short = -1
        while length - too_short > 1:
            middle = (length + too_short) // 2
            if self.accepts(with_length(base, middle)):
                length = middle
            else:
                too_short = middle
        return length


def _fingerprint(scenario: Scenario) -> bytes:
    """Return bytes that are the same for the same scenario alone."""
    return hashlib.blake2b(_encode(scenario), digest_size=16).digest()
