"""What trials of wrong probes come to: caught, caught by accident, survived, not judged."""

from __future__ import annotations

from typing import Any

import pytest
from factories import scenario

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue
from conformance.strength.bank import WrongProbe
from conformance.strength.tally import Constant, StrengthTally, constants
from conformance.strength.trials import Trial

SLOT = contracts.load("slot")
SCENARIOS = [
    scenario(id_="a/ready"),
    scenario(id_="a/missing", expect=["creds-missing"]),
    scenario(id_="a/either", expect=["ready", "creds-missing"]),
]
CATALOGUE = Catalogue({each.id: each for each in SCENARIOS}, {"slot": SLOT})


def trial(name: str, *caught: str, about: str = "a/ready", **fields: Any) -> Trial:
    """Return what became of a probe whose vice *about* is about, and that *caught* catch."""
    probe = WrongProbe(name=name, contract="slot", vice="some vice", report="", about=(about,))
    values: dict[str, Any] = {"broke": {}, "executions": 1, "seconds": 0.1, **fields}
    return Trial(probe=probe, catches=dict.fromkeys(caught, ("wrong-verdict",)), **values)


def tally(*trials: Trial, right: tuple[Trial, ...] = (), **fields: Any) -> StrengthTally:
    """Return a tally of these trials, which are all there are."""
    made = StrengthTally(CATALOGUE, [SLOT], total=len(trials), full=True)
    made.trials += trials
    made.right += right
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_a_vice_that_no_scenario_catches_survives() -> None:
    found = tally(trial("b"), trial("a"), trial("caught", "a/ready"))

    assert [each.probe.name for each in found.survivors()] == ["a", "b"]
    assert found.accidents() == []
    assert found.exit_status() == 1


def test_only_scenarios_about_the_vice_count_as_more_than_an_accident() -> None:
    found = tally(trial("x", "a/missing"), trial("y", "a/missing", "a/ready"))

    assert [each.probe.name for each in found.accidents()] == ["x"]
    assert found.survivors() == []
    assert found.exit_status() == 1


def test_scenarios_about_the_vice_come_first() -> None:
    found = tally(trial("x", "a/either", "a/missing", "a/ready"))

    assert found.catchers(found.trials[0]) == ["a/ready", "a/either", "a/missing"]
    assert found.exit_status() == 0


def test_where_the_right_probe_fails_nothing_is_caught() -> None:
    found = tally(trial("x", "a/ready"), right=(trial("(base)", "a/ready"),))

    assert [each.probe.name for each in found.survivors()] == ["x"]
    said = "the right probe of slot fails a/ready itself, which therefore catches nothing"
    assert list(found.trouble()) == [said]


def test_a_right_probe_that_fails_is_no_pass_although_all_vices_are_caught() -> None:
    found = tally(trial("x", "a/ready"), right=(trial("(base)", "a/missing"),))

    assert (found.survivors(), found.accidents(), found.exit_status()) == ([], [], 1)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (tally(trial("x", "a/ready")), 0),
        (tally(trial("x", "a/ready"), total=2), 3),
        (tally(trial("x", "a/ready", broke={"a/missing": "no disk"})), 3),
        (tally(trial("x"), right=(trial("(base)", broke={"a/missing": "no disk"}),)), 3),
        (tally(trial("x"), total=2, interrupted=True), 130),
    ],
    ids=["caught", "one is missing", "broke", "the right one broke", "interrupted"],
)
def test_the_exit_status(found: StrengthTally, status: int) -> None:
    assert found.exit_status() == status


def test_what_broke_is_one_line_each() -> None:
    found = tally(trial("x", broke={"a/missing": "no\ndisk"}))

    assert list(found.trouble()) == ["slot/x in a/missing: no disk"]


def test_what_each_scenario_is_good_for() -> None:
    found = tally(trial("x", "a/ready"), trial("y", "a/ready", "a/missing"))

    caught = {"a/ready": ["x", "y"], "a/missing": ["y"], "a/either": []}
    assert found.caught_by(SLOT) == caught
    assert found.only(SLOT) == {"a/ready": ["x"]}


def test_the_pace_is_executions_in_a_second() -> None:
    found = tally(trial("x", executions=5), right=(trial("(base)", executions=3),), seconds=2.0)

    assert (found.executions(), found.pace()) == (8, 4.0)
    assert tally().pace() is None


def test_a_constant_answer_passes_what_expects_it() -> None:
    assert constants(CATALOGUE, SLOT) == [
        Constant(0, ("a/either", "a/ready"), 3),
        Constant(64, (), 3),
        Constant(65, ("a/either", "a/missing"), 3),
        Constant(66, (), 3),
    ]
