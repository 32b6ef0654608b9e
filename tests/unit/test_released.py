"""Frozen sets: what a version of a contract demanded stays what it was, and can be asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import contract_versions as records
import pytest
from factories import bundled_catalogue, entry, file, refusal, scenario
from msgspec.structs import replace

from conformance.bundled import contracts_dir, scenarios_dir
from conformance.catalogue import contracts, released
from conformance.catalogue.agents import cli_state
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.digest import digest, state_digest
from conformance.errors import CannotJudge, FileError, UsageError
from conformance.model.contract import Contract
from conformance.model.scenario import Json, Process, Scenario

KNOWN = contracts.bundled()
SLOT = KNOWN["slot"]


def test_records_say_what_the_catalogue_demands_and_what_is_released_stays() -> None:
    """After a change of the catalogue or of a contract: python tests/contract_versions.py"""
    assert [*records.complaints(bundled_catalogue(), KNOWN)] == []


def test_the_version_of_a_bundled_contract_is_a_number_and_recorded() -> None:
    assert {
        name: contract.version in released.versions(name) for name, contract in KNOWN.items()
    } == dict.fromkeys(KNOWN, True)
    assert [name for name, contract in KNOWN.items() if not contract.version[:1].isdigit()] == []


@pytest.fixture
def slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory of records of its own, with slot 1 in it, released."""
    place = tmp_path / "contracts/released"
    place.mkdir(parents=True)
    for name in ("slot-1.json", "withdrawn.json"):
        shutil.copy(contracts_dir() / "released" / name, place)
    (place / "SHA256SUMS").touch()
    monkeypatch.setattr(released, "contracts_dir", lambda: tmp_path / "contracts")
    assert [*records.release()] == ["released: slot-1.json"]
    return place


def changed(id_: str = "", scenario_: Scenario | None = None, **fields: Any) -> Catalogue:
    """Return the bundled catalogue with one scenario changed, or added."""
    known = dict(bundled_catalogue().scenarios)
    if scenario_ is not None:
        known[scenario_.id] = scenario_
    elif fields:
        known[id_] = replace(known[id_], **fields)
    else:
        del known[id_]
    return bundled_catalogue().with_scenarios(known)


def complaints(catalogue: Catalogue, slot: Contract = SLOT) -> list[str]:
    return [*records.complaints(catalogue, {"slot": slot})]


def added() -> Scenario:
    """Return a bundled scenario that came later."""
    return scenario(id_="claude/later", file=str(scenarios_dir() / "claude/later.toml"))


RELEASED = "slot-1.json is released, and the catalogue demands otherwise: give slot.toml the next version, and then: python tests/contract_versions.py"


def test_a_released_set_is_as_it_was(slot: Path) -> None:
    assert complaints(bundled_catalogue()) == []
    assert [*records.write_records(bundled_catalogue(), {"slot": SLOT})] == []
    assert [*records.release()] == []


@pytest.mark.parametrize(
    ("catalogue", "what"),
    [
        (lambda: changed(scenario_=added()), ""),
        (
            lambda: changed("agent/unmapped"),
            "agent/unmapped, which version 1 of slot demands, is gone: ",
        ),
        (lambda: changed("agent/unmapped", expect={"slot": ("ready",)}), ""),
        (
            lambda: changed("agent/unmapped", entries=(file("x"),)),
            "agent/unmapped asks something else than in version 1 of slot: ",
        ),
    ],
    ids=["added", "gone", "expected otherwise", "another home"],
)
def test_a_change_of_a_released_set_takes_a_new_version(
    catalogue: Callable[[], Catalogue], what: str, slot: Path
) -> None:
    lines = complaints(catalogue())

    assert lines[0] == RELEASED
    assert [line[: len(what)] for line in lines[1:]] == [what] * bool(what)
    assert [*records.write_records(catalogue(), {"slot": SLOT})] == []


def test_a_new_version_is_recorded_beside_the_old_one(slot: Path) -> None:
    second, catalogue = replace(SLOT, version="2"), changed(scenario_=added())
    missing = complaints(catalogue, second)

    assert missing == [
        "slot-2.json is not what the catalogue demands: python tests/contract_versions.py"
    ]
    assert [*records.write_records(catalogue, {"slot": second})] == ["written: slot-2.json"]
    assert complaints(catalogue, second) == []
    assert released.versions("slot") == ["1", "2"]
    came = released.since(second, catalogue.scenarios.values())
    assert (came["agent/unmapped"], came["claude/later"]) == ("1", "2")
    # What was never released is no version.
    assert complaints(catalogue, replace(SLOT, version="10"))[1:] == [
        "slot-2.json was never released: remove it"
    ]


def test_versions_are_in_the_order_of_their_numbers(slot: Path) -> None:
    for version in ("10", "9", "2", "1.5", "1.10"):
        (slot / f"slot-{version}.json").touch()
    (slot / "slot-strict-3.json").touch()

    assert released.versions("slot") == ["1", "1.5", "1.10", "2", "9", "10"]


def test_other_words_take_no_new_version_but_another_demand_does(slot: Path) -> None:
    rule = SLOT.rules["claude-login"]
    worded = replace(
        SLOT, summary="x", rules=SLOT.rules | {"claude-login": replace(rule, text="x")}
    )
    crashed = SLOT.rules["always-without-a-crash"]
    milder = replace(
        SLOT, rules=SLOT.rules | {"always-without-a-crash": replace(crashed, level="should")}
    )

    assert complaints(bundled_catalogue(), worded) == []
    assert complaints(bundled_catalogue(), milder) == [RELEASED]
    assert complaints(
        bundled_catalogue(), replace(SLOT, limits=replace(SLOT.limits, seconds=5))
    ) == [RELEASED]


def test_a_record_that_was_edited_is_seen(slot: Path) -> None:
    text = (slot / "slot-1.json").read_text()
    (slot / "slot-1.json").write_text(text.replace('"claude-login"', '"claude-logon"', 1))

    assert (
        complaints(bundled_catalogue())[0]
        == "slot-1.json is released, and not what it was: take it back from git"
    )


def test_a_state_of_a_cli_that_changed_is_seen(slot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = replace(cli_state("exit-1"), path=("elsewhere",))
    monkeypatch.setattr(
        records, "cli_state", lambda name: state if name == "exit-1" else cli_state(name)
    )

    assert [line for line in complaints(bundled_catalogue()) if line != RELEASED] == [
        "the CLI state exit-1 is not what it was in version 1 of slot: write a new state beside it"
    ]


def test_what_is_withdrawn_is_asked_of_nobody(slot: Path) -> None:
    (slot / "withdrawn.json").write_text(json.dumps({"agent/unmapped": "its home was wrong"}))
    without = changed("agent/unmapped")

    assert complaints(without) == [RELEASED]  # the next version goes without it
    assert "agent/unmapped" not in ids(released.catalogue_as_of(without, SLOT), SLOT)
    assert "agent/unmapped" not in ids(released.catalogue_as_of(bundled_catalogue(), SLOT), SLOT)


def ids(catalogue: Catalogue, contract: Contract) -> list[str]:
    return [scenario.id for scenario in catalogue.in_contract(contract)]


@pytest.mark.parametrize("name", KNOWN)
def test_today_as_of_the_present_version_is_today(name: str) -> None:
    contract = KNOWN[name]
    then = released.contract_as_of(contract, contract.version)
    catalogue = released.catalogue_as_of(bundled_catalogue(), then)

    assert then == contract
    assert ids(catalogue, then) == ids(bundled_catalogue(), contract)
    for scenario_ in bundled_catalogue().in_contract(contract):
        asked = catalogue.scenarios[scenario_.id]
        assert asked.expected(then) == scenario_.expected(contract)
        assert asked.decided_by(then) == scenario_.decided_by(contract)
        assert digest(asked) == digest(scenario_)
        for step in scenario_.story(contract):
            assert asked.expected_in(step, then) == scenario_.expected_in(step, contract)


def test_what_a_version_demanded_is_asked_whatever_came_later(slot: Path) -> None:
    """Not the scenarios, expectations, codes, rules or levels of today; the user's own scenarios stay."""
    crashed, login = SLOT.rules["always-without-a-crash"], SLOT.rules["claude-login"]
    verdicts = tuple(
        replace(one, codes=(99,)) if one.name == "ready" else one for one in SLOT.verdicts
    )
    rules = {
        "always-without-a-crash": replace(crashed, level="should"),
        "claude-login": replace(login, off=True),
        "always-quick": replace(crashed, findings=("timed-out", "unsteady")),
        "renamed": login,
    }
    today = replace(SLOT, version="2", verdicts=verdicts, rules=SLOT.rules | rules)
    known = dict(bundled_catalogue().scenarios)
    known["claude/later"] = added()
    known["mine/own"] = scenario(id_="mine/own", file="/elsewhere/scenarios/mine/own.toml")
    known["agent/unmapped"] = replace(known["agent/unmapped"], expect={"slot": ("ready",)})
    known["claude/nested-session"] = replace(
        known["claude/nested-session"], rules={"slot": ("renamed",)}
    )

    then = released.contract_as_of(today, "1")
    catalogue = released.catalogue_as_of(bundled_catalogue().with_scenarios(known), then)

    assert (then.version, then.verdict("ready").codes) == ("1", (0,))
    assert then.rules["always-without-a-crash"].level == "must"
    assert not then.rules["claude-login"].off
    assert then.rules["always-quick"].off
    assert ids(catalogue, then) == sorted([*ids(bundled_catalogue(), SLOT), "mine/own"])
    assert catalogue.scenarios["agent/unmapped"].expected(then) == ("cli-broken",)
    assert catalogue.scenarios["claude/nested-session"].decided_by(then) == "claude-login"


def test_what_cannot_be_asked_for_is_one_line(slot: Path) -> None:
    later = changed(scenario_=added())

    assert refusal(UsageError, released.contract_as_of, SLOT, "7") == (
        "contract 'slot' has no version '7'; there is 1"
    )
    for version in ("", "../slot-1", "1.json"):
        refusal(UsageError, released.contract_as_of, SLOT, version)
    assert refusal(UsageError, released.contract_as_of, replace(SLOT, name="harbour"), "1") == (
        "contract 'harbour' has no recorded versions; "
        "leave out --as-of: only bundled contracts have recorded versions"
    )
    assert refusal(UsageError, released.catalogue_as_of, later, SLOT, ["claude/later"]) == (
        "version 1 of contract 'slot' does not demand 'claude/later'; "
        "leave out --as-of, or name another"
    )
    gone = changed("agent/unmapped")
    assert "demands agent/unmapped, which is not there" in refusal(
        CannotJudge, released.catalogue_as_of, gone, SLOT
    )
    (slot / "slot-1.json").write_text("{}")
    assert "slot-1.json: cannot be read" in refusal(FileError, released.contract_as_of, SLOT, "1")


def test_a_contract_of_ones_own_has_no_versions() -> None:
    assert (
        released.since(replace(SLOT, name="harbour"), bundled_catalogue().scenarios.values()) == {}
    )


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"summary": "x", "origin": "x: y", "control": {"": "x/y"}, "differs": "x"}, True),
        ({"expect": {"slot": ("creds-missing",)}, "rules": {"slot": ("x",)}}, True),
        ({"layers": {"x": ()}, "file": "x", "waits": True}, True),
        ({"entries": ()}, False),
        ({"entries": (entry("f", json={"b": 1, "a": 2}, mode=0o600),)}, False),
        ({"entries": (entry("f", json={"a": 2, "b": 1}),)}, False),
        ({"entries": (entry("f", text='{"b": 1, "a": 2}'),)}, False),
        ({"agent": "codex"}, False),
        ({"cli": "exit-1"}, False),
        ({"env": {"A": "1"}}, False),
        ({"unset": ("A",)}, False),
        ({"inputs": {"skew": "1"}}, False),
        ({"process": Process(umask=0)}, False),
        ({"home_name": "x"}, False),
        ({"earlier": ()}, False),
    ],
)
def test_a_digest_stands_for_what_is_asked(fields: Mapping[str, Any], same: bool) -> None:
    made = scenario(entry("f", json={"b": 1, "a": 2}))

    assert (digest(replace(made, **fields)) == digest(made)) == same


def test_digests_outlive_a_new_field_and_are_the_same_on_every_machine() -> None:
    """Records hold them: another way to make them would be a new version of every contract."""
    made = scenario(entry("f", json={"b": [1, None, "é"]}), env={"B": "2", "A": "1"})

    assert digest(made) == "9be1e0fba1b1e9de"
    assert digest(replace(made, env={"A": "1", "B": "2"})) == digest(made)
    assert len({digest(one) for one in bundled_catalogue().scenarios.values()}) > 1000
    assert state_digest(cli_state("exit-1")) != state_digest(cli_state("healthy"))
    assert isinstance(made.entries[0].content, Json)
