"""What ``strength`` does with the fault dictionary: make it, renew it, or hold it against a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from conformance.catalogue.catalogue import Catalogue
from conformance.errors import CannotJudge
from conformance.files import replace_text
from conformance.judge.dictionary import Dictionary, read_dictionary
from conformance.report.view import some
from conformance.strength.bank import Bank
from conformance.strength.dictionary import differences, kept, made, made_from, text
from conformance.strength.full import FullRun, Pair, all_pairs
from conformance.text import one_line

__all__ = ["FaultDictionary"]

#: How many scenarios that were not judged are named.
_NAMED = 5


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

        :raises CannotJudge: something broke, or a right probe fails; then nothing is written.
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
        for bank, found in self._made(known, unsteady):
            file = self._file(bank)
            replace_text(file, text(found))
            scenarios = some(len(found.scenarios), "scenario")
            self._say(f"{file}: {some(len(found.vices), 'vice')} in {scenarios}")
        return 0

    def check(self) -> int:
        """Make all anew, and say where what is there differs; return 1 if it does anywhere.

        :raises CannotJudge: something broke, or a right probe fails.
        :raises FileError: a file cannot be read, or is no dictionary.
        """
        there = {bank.contract.name: read_dictionary(self._file(bank)) for bank in self._banks}
        status = 0
        for bank, found in self._made({}, set()):
            name = bank.contract.name
            not_judged = self._now[name]["scenarios"].keys() - found.scenarios
            lines = list(differences(there[name], found, not_judged))
            for line in lines:
                self._say(f"{name}: {line}")
            self._say(f"{self._file(bank)}: {some(len(lines), 'difference')}")
            status |= bool(lines)
        return status

    def _file(self, bank: Bank) -> Path:
        return self._directory / f"{bank.contract.name}.json"

    def _made(
        self, known: dict[Pair, str], unsteady: set[str]
    ) -> Iterator[tuple[Bank, Dictionary]]:
        """Run what is not *known*, and yield each bank with its dictionary."""
        # The right probe of a scenario comes along wherever one of the wrong ones has to run.
        needed = [pair for pair in all_pairs(self._banks, self._catalogue) if pair not in known]
        wrong = {pair[1] for pair in needed if not _is_right(pair)}
        needed = [pair for pair in needed if pair[1] in wrong]
        self._say(f"{some(len(needed), 'execution')}, {some(len(known), 'answer')} kept")
        first = FullRun(self._catalogue, needed)
        self._run(first)
        self._refuse(first)
        # One answer in a thousand may be an accident of the moment: what deviates is asked again.
        deviating = [pair for pair, answer in first.answers.items() if answer.signature]
        again = FullRun(self._catalogue, deviating)
        self._run(again)
        differ = {
            pair
            for pair, answer in again.answers.items()
            if answer.signature != first.answers[pair].signature
        }
        for name, id_ in sorted(differ):
            said = (first.answers[name, id_].signature, again.answers[name, id_].signature)
            self._say(
                f"unsteady: {name} in {id_}: {' and '.join(one or 'conforms' for one in said)}"
            )
        unsteady |= {name for name, _ in differ}
        for bank in self._banks:
            contract = bank.contract.name
            names = {one.partition("/")[2] for one in unsteady if one.startswith(f"{contract}/")}
            found = made(bank, self._now[contract], known, first.answers, names)
            self._say_not_judged(contract, found, first)
            yield bank, found

    def _say_not_judged(self, contract: str, found: Dictionary, first: FullRun) -> None:
        missing = sorted(self._now[contract]["scenarios"].keys() - found.scenarios)
        reasons = {
            pair[1]: answer.reason for pair, answer in first.answers.items() if answer.reason
        }
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


def _is_right(pair: Pair) -> bool:
    return pair[0].endswith("/(base)")
