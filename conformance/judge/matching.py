"""Which known vices explain what was seen of a probe: the smallest set that fits best.

What is seen of a scenario, and what a vice does there, are *signs*: a wrong answer, a crash, a
changed home. A set of vices costs something for each vice, for each sign that it leaves unexplained
and for each that it predicts and that is not there. The cheapest set is looked for by adding,
exchanging and dropping vices for as long as that makes it cheaper.

In one program a vice can hide another, because the first check that fails decides. So in a scenario
that several vices spoil any of their answers will do, and what a vice does is not held against it
where another one has answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from msgspec import Struct

__all__ = ["Match", "Seen", "Sign", "match_vices"]

#: A kind of finding; for one about the answer, with the answer.
Sign = tuple[str, str]

#: What a vice costs: about as much as one sign without a vice, so that a single one can name it.
_VICE = 5.0
#: What a sign costs that no vice of the set explains.
_UNEXPLAINED = 6.0
#: What a predicted sign costs where the scenario conforms: as much, since it is as hard to explain.
#: And where it deviates in another way.
_ABSENT, _HIDDEN = 6.0, 0.3
#: The least share of what a vice does that has to be seen before it is named: of what no other one
#: hides, and of all that it does.
_FIT, _SHOWN = 0.75, 0.5
#: More exchanges than this are not tried: each makes the set cheaper, and few are ever needed.
_ROUNDS = 200


class Seen(Struct, frozen=True):
    """What was seen in a scenario that was judged."""

    deviations: frozenset[Sign]
    """What is to be explained; nothing where the scenario conforms."""
    signs: frozenset[Sign]
    """These, and what is only advised against."""


class Match(Struct, frozen=True, kw_only=True):
    """A vice that explains a part of what was seen."""

    name: str
    like: tuple[str, ...]
    """Other vices that explain the same as well."""
    explains: dict[str, frozenset[Sign]]
    """Scenario to the deviations there that are its own."""
    fit: float
    """The share of what it does that is seen, where no other vice of the set has answered."""


class _Vice:
    """Signs of a vice as bits: bits are the only way to compare thousands of sets at once."""

    __slots__ = ("absent", "hit", "like", "missed", "name", "predicted")

    def __init__(self, name: str, predicted: int, like: Sequence[str]) -> None:
        self.name = name
        self.like = list(like)
        self.predicted = predicted
        self.hit = self.missed = self.absent = 0


class _Union:
    """What a set of vices predicts together."""

    __slots__ = ("absent", "hit", "missed")

    def __init__(self, vices: Iterable[_Vice]) -> None:
        self.hit = self.missed = self.absent = 0
        for vice in vices:
            self.hit |= vice.hit
            self.missed |= vice.missed
            self.absent |= vice.absent


class _Bits:
    """Scenarios and signs as bits of integers."""

    def __init__(self, seen: Mapping[str, Seen]) -> None:
        self._seen = seen
        self._numbers: dict[tuple[str, Sign], int] = {}
        self._names: list[tuple[str, Sign]] = []
        self.deviations = self._mask((id_, s.deviations) for id_, s in seen.items())
        self.signs = self._mask((id_, s.signs) for id_, s in seen.items())
        self._in: dict[str, int] = {
            id_: self._mask([(id_, found.deviations)]) for id_, found in seen.items()
        }

    def _mask(self, signs: Iterable[tuple[str, Set[Sign]]]) -> int:
        found = 0
        for id_, here in signs:
            for sign in here:
                number = self._numbers.setdefault((id_, sign), len(self._numbers))
                if number == len(self._names):
                    self._names.append((id_, sign))
                found |= 1 << number
        return found

    def names(self, mask: int) -> dict[str, frozenset[Sign]]:
        """Return the signs in *mask* by scenario."""
        found: dict[str, set[Sign]] = {}
        while mask:
            low = mask & -mask
            id_, sign = self._names[low.bit_length() - 1]
            found.setdefault(id_, set()).add(sign)
            mask ^= low
        return {id_: frozenset(signs) for id_, signs in found.items()}

    def predicted(self, signs: Mapping[str, frozenset[Sign]]) -> int:
        """Return what a vice predicts in the scenarios that were judged."""
        return self._mask((id_, here) for id_, here in signs.items() if id_ in self._seen)

    def complete(self, vice: _Vice) -> None:
        """Work out what is there of what *vice* predicts, and what is there in its place."""
        vice.hit = vice.predicted & self.signs
        for id_, signs in self.names(vice.predicted & ~self.signs).items():
            missed = self._mask([(id_, signs)])
            vice.missed |= missed
            if not self._in[id_]:
                vice.absent |= missed

    def cost(self, union: _Union, vices: int) -> float:
        """Return what a set of so many *vices* costs, which predict *union* together."""
        absent = union.absent.bit_count()
        return (
            _VICE * vices
            + _UNEXPLAINED * (self.deviations & ~union.hit).bit_count()
            + _ABSENT * absent
            + _HIDDEN * (union.missed.bit_count() - absent)
        )


def match_vices(
    seen: Mapping[str, Seen], vices: Mapping[str, Mapping[str, frozenset[Sign]]]
) -> list[Match]:
    """Return the *vices* that explain best what was *seen*, the one that explains most first.

    *vices* are the signs of each by name and scenario. One that does not deviate in any scenario
    that was judged is never returned.
    """
    bits = _Bits(seen)
    known = _told_apart(bits, vices)
    chosen = _Search(bits, known).cheapest()
    return _matches(bits, known, chosen)


def _told_apart(bits: _Bits, vices: Mapping[str, Mapping[str, frozenset[Sign]]]) -> list[_Vice]:
    """Return a vice for each pattern of which anything was seen; others are like it."""
    size = {name: sum(map(len, signs.values())) for name, signs in vices.items()}
    by_pattern: dict[int, _Vice] = {}
    # The vice that does least elsewhere gives a pattern its name.
    for name in sorted(vices, key=lambda name: (size[name], name)):
        predicted = bits.predicted(vices[name])
        if not predicted & bits.deviations:
            continue
        if predicted in by_pattern:
            by_pattern[predicted].like.append(name)
        else:
            by_pattern[predicted] = _Vice(name, predicted, ())
    for vice in by_pattern.values():
        bits.complete(vice)
    return list(by_pattern.values())


class _Search:
    """Looks for the cheapest set of vices."""

    def __init__(self, bits: _Bits, known: Sequence[_Vice]) -> None:
        self._bits = bits
        self._known = known
        self._hopeless: set[str] = set()

    def cheapest(self) -> list[_Vice]:
        """Return the cheapest set in which each vice fits well enough."""
        chosen: list[_Vice] = []
        while True:
            chosen = self._improved(chosen)
            worst = min(chosen, key=lambda v: _fit(self._bits, v, chosen), default=None)
            if worst is None or _fit(self._bits, worst, chosen) >= _FIT:
                return chosen
            self._hopeless.add(worst.name)
            chosen = [vice for vice in chosen if vice is not worst]

    def _improved(self, chosen: list[_Vice]) -> list[_Vice]:
        """Return a set that no vice more, less or exchanged makes cheaper."""
        chosen, cost = self._with_more(chosen)
        for _ in range(_ROUNDS):
            better, least = chosen, cost
            for rest in self._rests(chosen):
                found, price = self._with_one_more(rest)
                if price < least - 1e-9:
                    better, least = found, price
            if better is chosen:
                better, least = self._with_several_for_one(chosen, cost)
            if better is chosen:
                break
            chosen, cost = better, least
        return chosen

    def _with_several_for_one(self, chosen: list[_Vice], cost: float) -> tuple[list[_Vice], float]:
        """Return a cheaper set in which several vices stand in place of one, and what it costs.

        Two that are right about different scenarios can do together nearly what a third one does.
        """
        for gone in chosen:
            rest = [vice for vice in chosen if vice is not gone]
            found, price = self._with_more(rest, without=gone)
            if price < cost - 1e-9:
                return found, price
        return chosen, cost

    def _with_more(
        self, chosen: list[_Vice], without: _Vice | None = None
    ) -> tuple[list[_Vice], float]:
        """Return *chosen* with each vice more that makes it cheaper, and what that costs."""
        while True:
            more, cost = self._with_one_more(chosen, without)
            if more is chosen:
                return chosen, cost
            chosen = more

    @staticmethod
    def _rests(chosen: list[_Vice]) -> Iterable[list[_Vice]]:
        """Yield *chosen*, and what is left of it without each of its vices."""
        yield chosen
        for gone in chosen:
            yield [vice for vice in chosen if vice is not gone]

    def _with_one_more(
        self, rest: list[_Vice], without: _Vice | None = None
    ) -> tuple[list[_Vice], float]:
        """Return the cheapest set of *rest* and at most one more vice, and what it costs."""
        union = _Union(rest)
        found, least = rest, self._bits.cost(union, len(rest))
        for vice in self._known:
            if vice is without or vice.name in self._hopeless or not vice.hit & ~union.hit:
                continue
            both = _Union((vice,))
            both.hit |= union.hit
            both.missed |= union.missed
            both.absent |= union.absent
            price = self._bits.cost(both, len(rest) + 1)
            if price < least - 1e-9:
                found, least = [*rest, vice], price
        return found, least


def _fit(bits: _Bits, vice: _Vice, chosen: Sequence[_Vice]) -> float:
    """Return the share of what *vice* does that is seen, where no other of *chosen* answered.

    That is nothing where the others have answered nearly everywhere: then little speaks for it.
    """
    others = _Union(other for other in chosen if other is not vice)
    answered = bits.names(others.hit & bits.deviations)
    hidden = sum(len(s) for id_, s in bits.names(vice.missed).items() if id_ in answered)
    hits, missed = vice.hit.bit_count(), vice.missed.bit_count()
    return hits / (hits + missed - hidden) if hits >= _SHOWN * (hits + missed) else 0.0


def _matches(bits: _Bits, known: Sequence[_Vice], chosen: Sequence[_Vice]) -> list[Match]:
    found = []
    for vice in chosen:
        others = _Union(other for other in chosen if other is not vice)
        alike = [
            other
            for other in known
            if other not in chosen
            and other.hit & ~others.hit & bits.deviations
            == vice.hit & ~others.hit & bits.deviations
            and other.absent & ~others.absent == vice.absent & ~others.absent
            and _fit(bits, other, [*(v for v in chosen if v is not vice), other]) >= _FIT
        ]
        like = [*vice.like, *(name for other in alike for name in (other.name, *other.like))]
        found.append(
            Match(
                name=vice.name,
                like=tuple(like),
                explains=bits.names(vice.hit & bits.deviations),
                fit=round(_fit(bits, vice, chosen), 3),
            )
        )
    return sorted(found, key=lambda match: (-len(match.explains), match.name))
