"""The fault dictionary: the command that makes, renews and checks it, and whether the bundled one is true."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from factories import bundled_catalogue, refusal
from msgspec.structs import replace

from conformance.bundled import fixtures_dir
from conformance.catalogue.catalogue import Catalogue
from conformance.cli.fault_dictionary import FaultDictionary
from conformance.errors import CannotJudge
from conformance.judge.dictionary import Dictionary, read_dictionary
from conformance.model.placeholders import Context
from conformance.strength.bank import Bank, bundled_bank, read_banks
from conformance.strength.dictionary import made_from
from conformance.strength.full import FullRun
from conformance.strength.pool import run_batches
from conformance.strength.worker import Batch, TrialContext, Worker

TODAY = int(os.environ["CONFORMANCE_DAY"])
WHERE = fixtures_dir() / "dictionary"
#: What renews the bundled one.
RENEW = "probe-conformance strength --write-dictionary fixtures/dictionary"
#: Seconds for the answers that a day asks for again, of all contracts together.
BUDGET = 5.0
#: How many answers are asked for again however slow the machine is.
AT_LEAST = 6

#: A small catalogue, and two vices that show in it.
SCENARIOS = ("claude/nested-session", "claude/no-dot-claude", "codex/no-auth")
VICES = ("codes-65-and-66-swapped", "agent-credentials-of-claude")
ANSWERS = {
    "agent-credentials-of-claude": {},
    "codes-65-and-66-swapped": {"wrong-verdict:66": (1, 2)},
}


class Project:
    """A dictionary that is made of some scenarios and two wrong probes, in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "out").mkdir()
        self.file = directory / "out" / "slot.json"
        self.said: list[str] = []
        [bank] = [one for one in bundled_banks() if one.contract.name == "slot"]
        self.bank = replace(bank, wrong=tuple(one for one in bank.wrong if one.name in VICES))
        self.scenarios = list(SCENARIOS)

    def dictionary(self) -> FaultDictionary:
        known = bundled_catalogue()
        catalogue = Catalogue(
            {id_: known.scenarios[id_] for id_ in self.scenarios}, known.contracts
        )
        self.said = []

        def run(full: FullRun) -> None:
            context = TrialContext(
                scenarios=list(catalogue.scenarios.values()),
                contracts=dict(catalogue.contracts),
                context=Context(now=time.time(), seed="seed"),
                directory=str(self.directory),
                probes=[self.bank.right, *self.bank.wrong] if self.bank.right is not None else [],
            )
            for answers in run_batches(context, full.batches(), 0):
                full.add(answers)

        return FaultDictionary(
            self.directory / "out", [self.bank], catalogue, run, self.said.append
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.slow
def test_a_dictionary_is_written_and_renewed_where_something_is_new(project: Project) -> None:
    assert project.dictionary().write(anew=False) == 0
    assert project.said == [
        "9 executions, 0 answers kept",
        f"{project.file}: 2 vices in 3 scenarios",
    ]
    found = read_dictionary(project.file)
    assert (found.scenarios, found.vices) == (SCENARIOS, ANSWERS)
    first = project.file.read_text()

    # Nothing has changed, so nothing is run. Run anew, it comes to the same bytes.
    project.dictionary().write(anew=False)
    assert project.said[0] == "0 executions, 6 answers kept"
    assert project.file.read_text() == first
    project.dictionary().write(anew=True)
    assert project.said[0] == "9 executions, 0 answers kept"
    assert project.file.read_text() == first

    # A new scenario is all that is run.
    project.scenarios.append("codex/other-agent-only")
    project.dictionary().write(anew=False)
    assert project.said[0] == "3 executions, 6 answers kept"
    found = read_dictionary(project.file)
    assert found.vices["agent-credentials-of-claude"] == {"wrong-verdict:0": (3,)}


def test_a_wrong_entry_is_found_and_named(project: Project) -> None:
    project.dictionary().write(anew=False)
    assert project.dictionary().check() == 0
    assert project.said[-1] == f"{project.file}: 0 differences in 3 scenarios"

    text = project.file.read_text()
    project.file.write_text(
        text.replace('"wrong-verdict:66": [1, 2]', '"wrong-verdict:66": [0, 1]')
    )
    assert project.dictionary().check() == 1
    assert project.said[-3:] == [
        "slot: vice codes-65-and-66-swapped in claude/nested-session: conforms, not wrong-verdict:66",
        "slot: vice codes-65-and-66-swapped in codex/no-auth: wrong-verdict:66, not conforms",
        f"{project.file}: 2 differences in 3 scenarios",
    ]


def test_a_part_of_it_can_be_checked(project: Project) -> None:
    project.dictionary().write(anew=False)
    text = project.file.read_text()
    project.file.write_text(text.replace('"wrong-verdict:66": [1, 2]', '"wrong-verdict:66": [0]'))

    assert project.dictionary().check(["codex/*"]) == 1
    assert project.said == [
        "3 executions",
        "slot: vice codes-65-and-66-swapped in codex/no-auth: wrong-verdict:66, not conforms",
        f"{project.file}: 1 difference in 1 scenario",
    ]


def test_what_differs_is_said_part_by_part_so_that_an_interrupt_loses_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.dictionary().write(anew=False)
    text = project.file.read_text()
    project.file.write_text(text.replace('"wrong-verdict:66": [1, 2]', '"wrong-verdict:66": [2]'))
    monkeypatch.setattr("conformance.cli.fault_dictionary._PART_CHECKED", 4)
    dictionary = project.dictionary()
    run = dictionary._run

    def interrupted(full: FullRun) -> None:
        if any(id_ == "codex/no-auth" for _, id_ in full.pairs):  # the second part
            raise KeyboardInterrupt
        run(full)

    dictionary._run = interrupted
    with pytest.raises(KeyboardInterrupt):
        dictionary.check()

    assert project.said[1:] == [
        "slot: vice codes-65-and-66-swapped in claude/no-dot-claude: wrong-verdict:66, not conforms",
        f"{project.file}: 1 difference in 2 scenarios",
    ]


@pytest.mark.parametrize("times", [1, 2])
def test_what_broke_is_asked_once_more(project: Project, times: int) -> None:
    project.dictionary().write(anew=False)
    dictionary = project.dictionary()
    run, left = dictionary._run, [times]
    pair = ("slot/codes-65-and-66-swapped", "codex/no-auth")

    def breaks(full: FullRun) -> None:
        run(full)
        if pair in full.answers and left[0]:
            left[0] -= 1
            full.answers[pair] = replace(
                full.answers[pair], result="broke", reason="no memory", signature=""
            )

    dictionary._run = breaks
    if times == 1:
        assert dictionary.check() == 0
    else:
        line = refusal(CannotJudge, dictionary.check)
        assert line.startswith(f"{pair[0]} in {pair[1]} broke: no memory")


def test_nothing_is_written_where_the_right_probe_is_wrong(project: Project) -> None:
    [wrong] = [one for one in project.bank.wrong if one.name == VICES[0]]
    project.bank = replace(project.bank, right=replace(wrong, name="(base)"))

    line = refusal(CannotJudge, lambda: project.dictionary().write(anew=False))

    assert line.startswith("the right probe fails: slot/(base) in ")
    assert not project.file.exists()


def test_what_is_complete_is_kept_when_it_is_interrupted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.cli.fault_dictionary._PART", 4)  # a scenario has three probes
    dictionary = project.dictionary()
    run, runs = dictionary._run, []

    def interrupted(full: FullRun) -> None:
        runs.append(full)
        if len(runs) == 3:  # in the second part; the first has asked what deviates again
            raise KeyboardInterrupt
        run(full)

    dictionary._run = interrupted
    with pytest.raises(KeyboardInterrupt):
        dictionary.write(anew=False)
    found = read_dictionary(project.file)
    assert (found.scenarios, found.made_from["not_judged"]) == (SCENARIOS[:2], list(SCENARIOS[2:]))

    project.dictionary().write(anew=False)
    assert project.said[0] == "3 executions, 4 answers kept"
    found = read_dictionary(project.file)
    assert (found.scenarios, found.vices) == (SCENARIOS, ANSWERS)


# The bundled one

#: In place of what the files say: contract to vices.
PLANTED: dict[str, dict[str, dict[str, tuple[int, ...]]]] = {}


@cache
def bundled_banks() -> list[Bank]:
    return read_banks(bundled_bank(), bundled_catalogue())


def banks() -> Iterator[tuple[Bank, Dictionary]]:
    """Yield each bundled bank with its dictionary."""
    for bank in bundled_banks():
        found = read_dictionary(WHERE / f"{bank.contract.name}.json")
        yield bank, replace(found, vices=PLANTED.get(found.contract, found.vices))


def test_the_bundled_dictionary_knows_every_vice_and_scenario_as_it_is() -> None:
    stale = []
    for bank, found in banks():
        then, now = found.made_from, made_from(bank, bundled_catalogue())
        if then["contract"] != now["contract"]:
            stale.append(f"contract {bank.contract.name}")
        not_judged = dict.fromkeys(then["not_judged"])
        for kind in ("scenarios", "vices"):
            names = {**now[kind], **then[kind]}.keys() - (not_judged if kind == "scenarios" else ())
            changed = sorted(name for name in names if now[kind].get(name) != then[kind].get(name))
            stale += [f"{bank.contract.name}: {name}" for name in changed]

    assert stale == [], f"the dictionary is of an earlier catalogue or bank: {RENEW}"


def sample(directory: Path, budget: float) -> Iterator[tuple[str, str, str]]:
    """Ask wrong probes anew, here and there, for so many seconds, and some of them however long it takes.

    Yield each with a scenario, and what is wrong with the dictionary; or nothing.
    """
    pick = random.Random(TODAY)
    catalogue = bundled_catalogue()
    known = list(banks())
    worker = Worker(
        TrialContext(
            scenarios=list(catalogue.scenarios.values()),
            contracts=dict(catalogue.contracts),
            context=Context(now=time.time(), seed="sample"),
            directory=str(directory),
            probes=[probe for bank, _ in known for probe in bank.wrong],
        )
    )
    end = time.monotonic() + budget
    asked = 0
    try:
        while asked < AT_LEAST or time.monotonic() < end:
            bank, found = pick.choice(known)
            probe = pick.choice([one for one in bank.wrong if one.name not in found.unsteady])
            id_, said = picked(pick, found, probe.name)
            if catalogue.scenarios[id_].takes_long or said.startswith("timed-out"):
                continue  # it would wait for all of the time
            [answer] = worker.run_batch(Batch(pairs=((probe.id, id_),)))
            asked += 1
            same = answer.signature == said
            yield probe.id, id_, "" if same else f"{answer.signature or 'conforms'}, not {said!r}"
    finally:
        worker.driver.close()


def picked(pick: random.Random, found: Dictionary, name: str) -> tuple[str, str]:
    """Return a scenario and what the wrong probe called *name* answers there, by the dictionary.

    Every second one is a scenario in which it deviates: there are fewer of these.
    """
    said = {place: answer for answer, places in found.vices[name].items() for place in places}
    among = list(said) if said and pick.random() < 0.5 else range(len(found.scenarios))
    place = pick.choice(list(among))
    return found.scenarios[place], said.get(place, "")


def test_a_sample_of_the_bundled_dictionary_is_true(tmp_path: Path) -> None:
    """Another sample each day; ``tox -e dictionary`` asks for all."""
    asked = list(sample(tmp_path, BUDGET))

    print(f"{len(asked)} answers asked for again")
    assert [one for one in asked if one[2]] == [], f"mend what is wrong, or: {RENEW} --anew"
    assert len(asked) >= AT_LEAST


def test_a_planted_entry_is_found_by_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a dictionary in which everything is wrong, any sample is."""
    for file in WHERE.glob("*.json"):
        found = read_dictionary(file)
        everywhere = {"wrong-verdict:99": tuple(range(len(found.scenarios)))}
        planted = dict.fromkeys(found.vices, everywhere)
        monkeypatch.setitem(PLANTED, found.contract, planted)

    asked = list(sample(tmp_path, 0.5))

    assert asked
    assert all("not 'wrong-verdict:99'" in wrong for _, _, wrong in asked)
