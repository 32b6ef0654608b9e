"""Every wrong probe in every scenario: what is run together, and what comes of it."""

from __future__ import annotations

from typing import Any

from factories import scenario

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue
from conformance.strength.bank import Bank, WrongProbe
from conformance.strength.full import FullRun, all_pairs
from conformance.strength.worker import Answer

SLOT = contracts.load("slot")
SCENARIOS = [scenario(id_=f"a/{number}") for number in range(6)]
WAITING = [scenario(id_=f"a/waits-{number}", waits=True) for number in range(2)]
CATALOGUE = Catalogue({each.id: each for each in (*SCENARIOS, *WAITING)}, {"slot": SLOT})


def probe(name: str) -> WrongProbe:
    return WrongProbe(name=name, contract="slot", vice="some vice", report="", about=())


def bank(count: int) -> Bank:
    wrong = tuple(probe(f"p{number}") for number in range(count))
    return Bank(file="slot.toml", contract=SLOT, right=probe("(base)"), wrong=wrong)


def answer(pair: tuple[str, str], *kinds: str, **fields: Any) -> Answer:
    values: dict[str, Any] = {
        "signature": "",
        "result": "conforms",
        "reason": "",
        "executions": 1,
        "seconds": 0.5,
        **fields,
    }
    return Answer(probe=pair[0], scenario=pair[1], kinds=kinds, **values)


def test_every_probe_and_the_right_one_meets_every_scenario_once() -> None:
    run = FullRun(CATALOGUE, all_pairs([bank(250)], CATALOGUE))

    done = [pair for batch in run.batches() for pair in batch.pairs]

    assert len(done) == len(set(done)) == 251 * 8
    assert set(done) == set(run.pairs)


def test_a_batch_is_of_one_scenario_unless_there_is_only_waiting_in_it() -> None:
    run = FullRun(CATALOGUE, all_pairs([bank(250)], CATALOGUE))
    batches = list(run.batches())

    for batch in batches:
        assert batch.at_once == all("waits" in id_ for _, id_ in batch.pairs)
        assert batch.at_once or len({id_ for _, id_ in batch.pairs}) == 1
    # Neither kind is left to the end, where one processor would have nothing to do.
    kinds = [batch.at_once for batch in batches]
    assert True in kinds[:3]
    assert False in kinds[-3:]


def test_a_probe_that_gives_no_answer_is_asked_everywhere_and_the_rest_at_once_in_the_end() -> None:
    run = FullRun(CATALOGUE, all_pairs([bank(3)], CATALOGUE))
    seen = []
    for batch in run.batches():
        seen.append(batch)
        run.add(
            answer(pair, *(["timed-out"] if pair[0] == "slot/p1" else [])) for pair in batch.pairs
        )

    of_silent = [batch for batch in seen if any(name == "slot/p1" for name, _ in batch.pairs)]
    last = seen[-1]
    assert last.at_once
    assert {name for name, _ in last.pairs} == {"slot/p1"}
    assert len(last.pairs) == 6 - 2
    assert sum(len(batch.pairs) for batch in seen) == 4 * 8
    assert last in of_silent


def test_a_probe_that_waits_in_few_scenarios_goes_on_in_the_homes_that_others_share() -> None:
    run = FullRun(CATALOGUE, all_pairs([bank(3)], CATALOGUE))
    shared = []
    for batch in run.batches():
        shared += [pair for pair in batch.pairs if not batch.at_once]
        run.add(
            answer(
                pair, *(["timed-out"] if pair in {("slot/p1", "a/3"), ("slot/p1", "a/4")} else [])
            )
            for pair in batch.pairs
        )

    assert {id_ for name, id_ in shared if name == "slot/p1"} == {each.id for each in SCENARIOS}


def test_a_trial_holds_what_every_scenario_has_shown() -> None:
    one = bank(2)
    run = FullRun(CATALOGUE, all_pairs([one], CATALOGUE))
    for batch in run.batches():
        run.add(
            answer(pair, *(["wrong-verdict"] if pair == ("slot/p0", "a/3") else []))
            for pair in batch.pairs
        )
    run.add([answer(("slot/p1", "a/2"), result="broke", reason="no space")])

    first, second = run.trials(one.wrong)

    assert (first.catches, first.broke) == ({"a/3": ("wrong-verdict",)}, {})
    assert (second.catches, second.broke) == ({}, {"a/2": "no space"})
    assert (first.executions, first.seconds) == (8, 4.0)


def test_a_probe_that_has_not_been_everywhere_has_no_trial() -> None:
    one = bank(2)
    run = FullRun(CATALOGUE, all_pairs([one], CATALOGUE))
    run.add(answer(pair) for pair in run.pairs if pair != ("slot/p1", "a/5"))

    assert [trial.probe.name for trial in run.trials(one.wrong)] == ["p0"]
