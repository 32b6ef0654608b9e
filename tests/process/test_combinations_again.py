"""What was recorded of wrong probes with several vices is what they answer: a few of them, others each day."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from combinations import AND, Combinations
from conftest import DAY
from factories import bundled_catalogue

from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.hosts import PythonScript
from conformance.judge.dictionary import Dictionary, read_dictionary, signature
from conformance.model.placeholders import Context
from conformance.run.scenario_runner import ScenarioRunner
from conformance.strength.bank import bundled_bank, read_banks

RECORDED = Path(__file__).parents[1] / "data" / "combinations-slot.json"
#: Scenarios in which a combination is run: of those in which it deviates, and of the others.
DEVIATING, CONFORMING = 20, 10


def recorded(of: Dictionary, name: str) -> dict[str, str]:
    """Return the signature in each scenario that still is in the catalogue and does not take long."""
    answers = {place: text for text, places in of.vices[name].items() for place in places}
    scenarios = bundled_catalogue().scenarios
    return {
        id_: answers.get(place, "")
        for place, id_ in enumerate(of.scenarios)
        if id_ in scenarios
        and not scenarios[id_].takes_long
        and "timed-out" not in answers.get(place, "")
    }


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_combinations_answer_as_was_recorded(tmp_path: Path, number: int) -> None:
    catalogue, ran, rng = (
        bundled_catalogue(),
        read_dictionary(RECORDED),
        random.Random(f"{DAY} {number}"),
    )
    [bank] = [b for b in read_banks(bundled_bank(), catalogue) if b.contract.name == "slot"]
    combinations = Combinations(bank)
    usable = [name for name in ran.vices if {*name.split(AND)} <= {*combinations.usable}]
    probe = combinations.combined(rng.choice(usable).split(AND))
    assert probe is not None
    answers = recorded(ran, probe.name)
    wrong = [id_ for id_, text in answers.items() if text]
    right = [id_ for id_, text in answers.items() if not text]
    ids = [
        *rng.sample(wrong, min(DEVIATING, len(wrong))),
        *rng.sample(right, min(CONFORMING, len(right))),
    ]
    command = probe.install(tmp_path / "probe")
    driver = LocalDriver((), tmp_path, cwd=tmp_path).with_command(
        command, PythonScript(command[-1])
    )
    context = Context(now=time.time(), seed="seed")
    runner = ScenarioRunner(driver, catalogue, bank.contract, context, strict=True)
    try:
        found = {id_: runner.run(catalogue.scenarios[id_]) for id_ in ids}
    finally:
        driver.close()

    judged = {id_: result for id_, result in found.items() if result.result != "unsupported"}
    assert len(judged) > len(ids) / 2
    assert {id_: signature(result) for id_, result in judged.items()} == {
        id_: answers[id_] for id_ in judged
    }, probe.name
