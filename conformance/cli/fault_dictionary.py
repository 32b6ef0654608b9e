"""What ``strength`` does with the fault dictionary: make it, renew it, or hold it against a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from conformance.catalogue.catalogue import Catalogue
from conformance.errors import CannotJudge
from conformance.files import replace_text
from conformance.judge.dictionary import Dictionary, read_dictionary
from conformance.report.view import some
from conformance.strength.bank import Bank
from conformance.strength.dictionary import differences, kept, made, made_from, text
from conformance.strength.full import FullRun, Pair, all_pairs
from conformance.strength.worker import Answer
from conformance.text import one_line

__all__ = ["FaultDictionary"]

#: How many scenarios that were not judged are named.
_NAMED = 5
#: After how many executions what is known is written.
_PART = 10_000
#: After how many what differs is said. A part ends with waiting for probes that give no answer.
_PART_CHECKED = 40_000


class _Checked(NamedTuple):
    """What a run says of one dictionary so far."""

    found: Dictionary
    differences: list[str]


class FaultDictionary:
    """The dictionaries of *banks* in *directory*.

    *run* does all that a full run asks for; *say* shows a line.
    """

    def __init__(
        self,
        directory: Path,
        banks: Sequence[Bank],
        catalogue: Catalogue,
        run: Callable[[FullRun], None],
        say: Callable[[str], None],
    ) -> None:
        self._directory = directory
        self._banks = banks
        self._catalogue = catalogue
        self._run = run
        self._say = say
        self._now = {bank.contract.name: made_from(bank, catalogue) for bank in banks}

    def write(self, *, anew: bool) -> int:
        """Write what is new, and keep what still holds unless all is *anew*; return the status.

        It is written part by part, so that whoever interrupts it can go on later.

        :raises CannotJudge: something broke, or a right probe fails; that part is not written.
        :raises FileError: what is there is no dictionary.
        """
        known: dict[Pair, str] = {}
        unsteady: set[str] = set()
        for bank in self._banks if not anew else ():
            file = self._file(bank)
            if file.exists():
                name = bank.contract.name
                old = read_dictionary(file)
                known |= kept(old, self._now[name], name)
                unsteady |= {f"{name}/{vice}" for vice in old.unsteady}
        needed = self._needed(known)
        self._say(f"{some(len(needed), 'execution')}, {some(len(known), 'answer')} kept")
        answers: dict[Pair, Answer] = {}
        for part in _parts(needed, _PART):
            self._ask(part, answers, unsteady)
            for bank in self._banks:
                found = self._dictionary(bank, known, answers, unsteady)
                if found.scenarios:
                    replace_text(self._file(bank), text(found))
        for bank in self._banks:
            found = self._dictionary(bank, known, answers, unsteady)
            self._say_not_judged(bank.contract.name, found, answers)
            replace_text(self._file(bank), text(found))
            scenarios = some(len(found.scenarios), "scenario")
            self._say(f"{self._file(bank)}: {some(len(found.vices), 'vice')} in {scenarios}")
        return 0

    def check(self, patterns: Sequence[str] = ()) -> int:
        """Make all anew, and say where what is there differs; return 1 if it does anywhere.

        With *patterns*, only in the scenarios that they name. What differs is said part by part.

        :raises CannotJudge: something broke twice, or a right probe fails.
        :raises FileError: a file cannot be read, or is no dictionary.
        :raises UsageError: a pattern names no scenario.
        """
        there = {bank.contract.name: read_dictionary(self._file(bank)) for bank in self._banks}
        needed = self._needed({}, patterns)
        self._say(some(len(needed), "execution"))
        answers: dict[Pair, Answer] = {}
        unsteady: set[str] = set()
        said: set[str] = set()
        checked: dict[str, _Checked] = {}
        try:
            for part in _parts(needed, _PART_CHECKED):
                self._ask(part, answers, unsteady)
                for bank in self._banks:
                    name = bank.contract.name
                    one = self._checked(bank, there[name], answers, unsteady)
                    checked[name] = one
                    for line in one.differences:
                        if line not in said:
                            self._say(line)
                            said.add(line)
        finally:
            for bank in self._banks:
                if bank.contract.name in checked:
                    self._say_checked(bank, checked[bank.contract.name], answers)
        return 1 if any(one.differences for one in checked.values()) else 0

    def _checked(
        self,
        bank: Bank,
        there: Dictionary,
        answers: Mapping[Pair, Answer],
        unsteady: Collection[str],
    ) -> _Checked:
        name = bank.contract.name
        found = self._dictionary(bank, {}, answers, unsteady)
        not_judged = self._now[name]["scenarios"].keys() - found.scenarios
        lines = differences(there, found, not_judged)
        return _Checked(found, [f"{name}: {line}" for line in lines])

    def _say_checked(self, bank: Bank, one: _Checked, answers: Mapping[Pair, Answer]) -> None:
        self._say_not_judged(bank.contract.name, one.found, answers)
        count = some(len(one.differences), "difference")
        scenarios = some(len(one.found.scenarios), "scenario")
        self._say(f"{self._file(bank)}: {count} in {scenarios}")

    def _file(self, bank: Bank) -> Path:
        return self._directory / f"{bank.contract.name}.json"

    def _needed(self, known: Collection[Pair], patterns: Sequence[str] = ()) -> list[Pair]:
        """Return what has to run, in the scenarios that *patterns* name, for all not *known*.

        The right probe of a scenario comes along wherever one of the wrong ones has to run.
        """
        pairs = all_pairs(self._banks, self._catalogue, patterns)
        needed = [pair for pair in pairs if pair not in known]
        wrong = {pair[1] for pair in needed if not _is_right(pair)}
        return [pair for pair in needed if pair[1] in wrong]

    def _ask(self, needed: list[Pair], answers: dict[Pair, Answer], unsteady: set[str]) -> None:
        """Run what is *needed*; add to *answers*, and to *unsteady* who answered in two ways."""
        first = FullRun(self._catalogue, needed)
        self._run(first)
        # What broke on our side, where much else went on, may not break again.
        broken = [pair for pair, answer in first.answers.items() if answer.result == "broke"]
        if broken:
            once_more = FullRun(self._catalogue, broken)
            self._run(once_more)
            first.answers |= once_more.answers
        self._refuse(first)
        # One answer in a thousand may be an accident of the moment: what deviates is asked again.
        deviating = [pair for pair, answer in first.answers.items() if answer.signature]
        again = FullRun(self._catalogue, deviating)
        self._run(again)
        for (name, id_), answer in sorted(again.answers.items()):
            said = (first.answers[name, id_].signature, answer.signature)
            if said[0] != said[1] and answer.result != "broke":
                words = " and ".join(one or "conforms" for one in said)
                self._say(f"unsteady: {name} in {id_}: {words}")
                unsteady.add(name)
        answers |= first.answers

    def _dictionary(
        self,
        bank: Bank,
        known: Mapping[Pair, str],
        answers: Mapping[Pair, Answer],
        unsteady: Collection[str],
    ) -> Dictionary:
        contract = bank.contract.name
        names = {one.partition("/")[2] for one in unsteady if one.startswith(f"{contract}/")}
        return made(bank, self._now[contract], known, answers, names)

    def _say_not_judged(
        self, contract: str, found: Dictionary, answers: Mapping[Pair, Answer]
    ) -> None:
        asked = {pair[1] for pair in answers} & self._now[contract]["scenarios"].keys()
        missing = sorted(asked.difference(found.scenarios))
        reasons = {pair[1]: answer.reason for pair, answer in answers.items() if answer.reason}
        for id_ in missing[:_NAMED]:
            self._say(f"{contract}: {id_} is not judged here: {one_line(reasons.get(id_, ''))}")
        if len(missing) > _NAMED:
            self._say(f"{contract}: and {some(len(missing) - _NAMED, 'more scenario')}")

    def _refuse(self, first: FullRun) -> None:
        """Make sure that the answers may be relied on."""
        for pair, answer in first.answers.items():
            where = f"{pair[0]} in {pair[1]}"
            if answer.result == "broke":
                raise CannotJudge(f"{where} broke: {one_line(answer.reason)}", hint="try it again")
            if _is_right(pair) and answer.signature:
                cause = f"the right probe fails: {where}: {answer.signature}"
                raise CannotJudge(cause, hint="mend it first")


def _parts(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    """Yield *pairs* in parts of at least *size*, without parting those of one scenario."""
    part: list[Pair] = []
    by_scenario = groupby(sorted(pairs, key=_scenario), key=_scenario)
    for _, group in by_scenario:
        part += group
        if len(part) >= size:
            yield part
            part = []
    if part:
        yield part


def _scenario(pair: Pair) -> str:
    return pair[1]


def _is_right(pair: Pair) -> bool:
    return pair[0].endswith("/(base)")
