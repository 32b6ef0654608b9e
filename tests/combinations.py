"""Wrong probes with several vices: drawn from a bank, and whether the causes named are those that were put in.

A combination is the right program with the edits of two or three wrong probes. What it answers is kept in the shape
of the fault dictionary, with names such as ``one+other``.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import cast, get_args

from msgspec import UNSET, Struct
from msgspec.structs import replace

from conformance.bundled import fixtures_dir
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.toml import convert, read_toml
from conformance.judge.causes import find_causes
from conformance.judge.dictionary import Dictionary, KnownVices
from conformance.model.cause import Cause
from conformance.model.contract import Contract
from conformance.model.outcome import Finding, FindingKind, ScenarioResult
from conformance.strength.bank import Bank, BankFile, WrongProbe, WrongTable

#: What stands between the names of the vices of a combination.
AND = "+"
#: A place in a file of the right program, from one character to another, and what replaces it.
Edit = tuple[str, int, int, str]


class Drawn(Struct):
    """Combinations of a bank, and how many were drawn in vain: their edits overlap, or it is no program."""

    probes: list[WrongProbe]
    passed_over: int


class Verdict(Struct):
    """What became of one combination: the vices that were put in, and the causes that were named."""

    name: str
    found: list[str]
    """The vices put in that are named, by themselves or as one that is not told from what is named."""
    missed: list[str]
    hidden: list[str]
    """Those that do not show: without them the program answers the same in every scenario."""
    right: list[Cause]
    wrong: list[Cause]


class Combinations:
    """The vices of a bank that can be combined: edits of the right program that are always the same."""

    def __init__(self, bank: Bank) -> None:
        assert bank.right is not None, "there is a program to be edited"
        name = f"{bank.contract.name}.toml"
        shape = convert(read_toml(fixtures_dir() / "wrong-probes" / name), BankFile, name=name)
        self._right = bank.right
        self._edits = {name: self._places(table) for name, table in shape.wrong.items()}
        self.usable = sorted(name for name, edits in self._edits.items() if edits)

    def _places(self, table: WrongTable) -> list[Edit]:
        """Return where the edits of a wrong probe are in the right program; nothing if they build on each other."""
        if table.edits is UNSET or table.repeat > 1:
            return []
        found = []
        for edit in table.edits:
            file = edit.file or self._right.program
            at = self._right.sources[file].find(edit.old)
            if at < 0:
                return []
            found.append((file, at, at + len(edit.old), edit.new))
        return found

    def draw(self, sizes: Mapping[int, int], seed: int) -> Drawn:
        """Return so many combinations of each of *sizes*; of one size all vices have their turn before any has two."""
        rng = random.Random(seed)
        probes: list[WrongProbe] = []
        passed_over = 0
        for size, wanted in sizes.items():
            deck: list[str] = []
            for _ in range(wanted):
                while True:
                    if len(deck) < size:
                        deck = self.usable.copy()
                        rng.shuffle(deck)
                    names, deck = sorted(deck[:size]), deck[size:]
                    if (probe := self.combined(names)) is not None:
                        probes.append(probe)
                        break
                    passed_over += 1
        return Drawn(probes, passed_over)

    def combined(self, names: Sequence[str]) -> WrongProbe | None:
        """Return the right program with all edits of *names*; None where they overlap or make no program."""
        edits = sorted(edit for name in names for edit in self._edits[name])
        for (file, _, end, _), (next_file, start, _, _) in itertools.pairwise(edits):
            if file == next_file and start < end:
                return None
        sources = dict(self._right.sources)
        for file, start, end, new in reversed(edits):
            sources[file] = sources[file][:start] + new + sources[file][end:]
        try:
            for file, text in sources.items():
                compile(text, file, "exec")
        except SyntaxError:
            return None
        return replace(self._right, name=AND.join(names), sources=sources)


def as_results(
    answers: Mapping[int, str],
    ran: Sequence[str],
    catalogue: Catalogue,
    contract: Contract,
    *,
    strict: bool = True,
) -> Iterator[ScenarioResult]:
    """Yield what a program came to in the scenarios that *ran*: *answers* has the signature where there are findings.

    With *strict*, advice counts.
    """
    rules = {kind: contract.rule_broken_by(kind) for kind in get_args(FindingKind)}
    should = {
        kind for kind, rule in rules.items() if rule and contract.rules[rule].level == "should"
    }
    for place, id_ in enumerate(ran):
        scenario = catalogue.scenarios.get(id_)
        if scenario is None or not scenario.expected(contract):
            continue  # the catalogue has changed since
        kinds, _, answer = answers.get(place, ":").partition(":")
        findings = tuple(
            Finding(
                kind=kind,
                message=kind,
                rule=rules[kind],
                level="should" if kind in should and not strict else "must",
            )
            for kind in cast(list[FindingKind], [kind for kind in kinds.split("+") if kind])
        )
        yield ScenarioResult(
            id=id_,
            agent=scenario.agent,
            expected=scenario.expected(contract),
            code=int(answer) if answer.isdecimal() else None,
            signal=int(answer[7:]) if answer.startswith("signal ") else None,
            verdict=None if answer.isdecimal() else answer,
            result="deviates" if any(f.level == "must" for f in findings) else "conforms",
            findings=findings,
        )


class Trials:
    """Combinations of one contract that have run, and what is named for them."""

    def __init__(
        self, known: KnownVices, ran: Dictionary, catalogue: Catalogue, *, strict: bool = True
    ) -> None:
        """Judge what *ran*, as far as its scenarios are in the dictionary, by the vices that are *known*."""
        self._strict = strict
        self._known = known
        self._ran = ran
        self._catalogue = catalogue
        self._contract = known.contract

    def causes(self, name: str) -> list[Cause]:
        """Return the causes of the deviations of the program called *name*."""
        known = {*self._known.dictionary.scenarios}
        answers = {place: text for text, at in self._ran.vices[name].items() for place in at}
        every = as_results(
            answers, self._ran.scenarios, self._catalogue, self._contract, strict=self._strict
        )
        judged = [result for result in every if result.id in known]
        scenarios = self._catalogue.scenarios
        return find_causes(judged, self._contract, scenarios, known=self._known)

    def verdict(self, name: str) -> Verdict:
        """Return what became of the combination called *name*."""
        vices = [cause for cause in self.causes(name) if cause.kind == "vice"]
        put_in = [f"{self._contract.name}/{vice}" for vice in name.split(AND)]
        named = {vice for cause in vices for vice in (cause.name, *cause.like)}
        missed = [vice for vice in put_in if vice not in named]
        hidden = [vice for vice in missed if self._is_hidden(vice.partition("/")[2], name)]
        return Verdict(
            name=name,
            found=[vice for vice in put_in if vice in named],
            missed=[vice for vice in missed if vice not in hidden],
            hidden=hidden,
            right=[cause for cause in vices if {cause.name, *cause.like} & {*put_in}],
            wrong=[cause for cause in vices if not {cause.name, *cause.like} & {*put_in}],
        )

    def _is_hidden(self, vice: str, name: str) -> bool:
        """Return whether the combination answers everywhere as it does without the *vice*."""
        rest = self.without(vice, name)
        if rest in self._known.dictionary.vices:
            alone = self._by_id(self._known.dictionary, rest)
        elif rest in self._ran.vices:
            alone = self._by_id(self._ran, rest)
        else:
            return False  # nobody has looked
        together = self._by_id(self._ran, name)
        both = {*self._known.dictionary.scenarios} & {*self._ran.scenarios}
        return all(alone.get(id_) == together.get(id_) for id_ in both)

    @staticmethod
    def without(vice: str, name: str) -> str:
        """Return the name of a combination without one of its vices."""
        return AND.join(each for each in name.split(AND) if each != vice)

    @staticmethod
    def _by_id(of: Dictionary, name: str) -> dict[str, str]:
        return {
            of.scenarios[place]: text for text, places in of.vices[name].items() for place in places
        }


def alike(dictionary: Dictionary) -> list[list[str]]:
    """Return the vices that no scenario tells apart: each such class is a hint at a scenario that is missing."""
    classes: dict[str, list[str]] = {}
    for name, answers in dictionary.vices.items():
        if answers and name not in dictionary.unsteady:
            classes.setdefault(repr(sorted(answers.items())), []).append(name)
    return [names for names in classes.values() if len(names) > 1]
