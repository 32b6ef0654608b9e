"""The fault dictionary as strength makes it: what is written, kept, and found to differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from factories import bundled_catalogue, scenario
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue
from conformance.judge.dictionary import Dictionary, read_dictionary
from conformance.strength.bank import Bank, WrongProbe, bundled_bank, read_banks
from conformance.strength.dictionary import differences, kept, made, made_from, text
from conformance.strength.full import Pair, all_pairs
from conformance.strength.worker import Answer

SLOT = contracts.load("slot")
CATALOGUE = Catalogue(
    {id_: scenario(id_=id_) for id_ in ("a/a", "a/b", "a/c")},
    {"slot": SLOT},
)


def probe(name: str, source: str = "pass", **fields: Any) -> WrongProbe:
    values: dict[str, Any] = {"vice": "some vice", "report": "", "about": ("a/a",), **fields}
    return WrongProbe(
        name=name, contract="slot", program="slot.py", sources={"slot.py": source}, **values
    )


BANK = Bank(file="slot.toml", contract=SLOT, right=probe("(base)"), wrong=(probe("y"), probe("x")))
SAID = {("slot/x", "a/a"): "wrong-verdict:65", ("slot/x", "a/c"): "wrong-verdict:65"}


def answers(**changes: Any) -> dict[Pair, Answer]:
    """Return what every probe answers, as in ``SAID``; *changes* are of the right one in a/b."""
    found = {}
    for pair in all_pairs([BANK], CATALOGUE):
        values: dict[str, Any] = {"signature": SAID.get(pair, ""), "result": "conforms"}
        if pair == ("slot/(base)", "a/b"):
            values |= changes
        found[pair] = Answer(
            probe=pair[0],
            scenario=pair[1],
            kinds=(),
            **{"reason": "", "executions": 1, "seconds": 0.1, **values},
        )
    return found


def dictionary(bank: Bank = BANK, catalogue: Catalogue = CATALOGUE, **changes: Any) -> Dictionary:
    return made(bank, made_from(bank, catalogue), {}, answers(**changes), ())


def test_a_dictionary_has_every_vice_and_what_it_answers_where() -> None:
    found = dictionary()

    assert found.scenarios == ("a/a", "a/b", "a/c")
    assert found.vices == {"x": {"wrong-verdict:65": (0, 2)}, "y": {}}
    assert found.unsteady == ()


def test_a_dictionary_is_read_as_it_was_written_and_a_vice_is_a_line(tmp_path: Path) -> None:
    found = dictionary()
    file = tmp_path / "slot.json"
    file.write_text(text(found))

    assert read_dictionary(file) == found
    assert '"x": {"wrong-verdict:65": [0, 2]},' in file.read_text().splitlines()
    assert text(read_dictionary(file)) == text(found)


@pytest.mark.parametrize("result", ["unsupported", "broke"])
def test_a_scenario_in_which_a_probe_was_not_judged_is_left_out(result: str) -> None:
    found = dictionary(result=result, reason="there is no such file system")

    assert found.scenarios == ("a/a", "a/c")
    assert found.vices["x"] == {"wrong-verdict:65": (0, 1)}
    assert found.made_from["not_judged"] == ["a/b"]


def test_who_answers_in_two_ways_or_is_repeated_is_unsteady() -> None:
    repeated = replace(BANK, wrong=(probe("y"), probe("x", repeat=3)))
    now = made_from(repeated, CATALOGUE)

    assert made(repeated, now, {}, answers(), ["y"]).unsteady == ("x", "y")


def test_all_answers_are_kept_where_nothing_has_changed() -> None:
    known = kept(dictionary(), made_from(BANK, CATALOGUE), "slot")

    assert known == {pair: SAID.get(pair, "") for pair in all_pairs([BANK], CATALOGUE)[:0]} | {
        (f"slot/{name}", id_): SAID.get((f"slot/{name}", id_), "")
        for name in "xy"
        for id_ in ("a/a", "a/b", "a/c")
    }
    assert made(BANK, made_from(BANK, CATALOGUE), known, {}, ()) == dictionary()


def renewed(bank: Bank, catalogue: Catalogue) -> set[Pair]:
    """Return which answers of the wrong probes have to be asked for anew."""
    known = kept(dictionary(), made_from(bank, catalogue), "slot")
    return {pair for pair in all_pairs([bank], catalogue) if "(base)" not in pair[0]} - known.keys()


def test_a_changed_probe_is_asked_anew_everywhere() -> None:
    changed = replace(BANK, wrong=(probe("y", "changed"), probe("x")))

    assert renewed(changed, CATALOGUE) == {("slot/y", "a/a"), ("slot/y", "a/b"), ("slot/y", "a/c")}


@pytest.mark.parametrize(
    "change",
    [
        {"cli": "exit-1"},
        {"env": {"LANG": "C"}},
        {"expect": {"slot": ("creds-missing",)}},
        {"inputs": {"agent": "codex"}},
    ],
)
def test_every_probe_is_asked_anew_in_a_changed_scenario(change: dict[str, Any]) -> None:
    changed = replace(CATALOGUE.scenarios["a/b"], **change)
    catalogue = Catalogue({**CATALOGUE.scenarios, "a/b": changed}, CATALOGUE.contracts)

    assert renewed(BANK, catalogue) == {("slot/x", "a/b"), ("slot/y", "a/b")}


def test_what_only_people_read_changes_no_answer() -> None:
    changed = replace(CATALOGUE.scenarios["a/b"], summary="said better", origin="elsewhere")
    catalogue = Catalogue({**CATALOGUE.scenarios, "a/b": changed}, CATALOGUE.contracts)

    assert renewed(BANK, catalogue) == set()
    rules = {name: replace(rule, text="said better") for name, rule in SLOT.rules.items()}
    assert renewed(replace(BANK, contract=replace(SLOT, rules=rules)), CATALOGUE) == set()


def test_all_is_asked_anew_under_a_changed_contract() -> None:
    limits = replace(SLOT.limits, seconds=1.0)

    assert len(renewed(replace(BANK, contract=replace(SLOT, limits=limits)), CATALOGUE)) == 6


def test_a_difference_names_vice_and_scenario() -> None:
    old = dictionary()
    new = replace(old, vices={"x": {"wrong-verdict:65": (0,), "timed-out:": (1,)}, "y": {}})

    assert list(differences(old, new, ())) == [
        "vice x in a/b: timed-out:, not conforms",
        "vice x in a/c: conforms, not wrong-verdict:65",
    ]
    assert list(differences(old, old, ())) == []
    assert list(differences(replace(old, unsteady=("x",)), new, ())) == []


def test_what_is_missing_differs_but_for_what_cannot_be_judged_here() -> None:
    old = dictionary()
    fewer = replace(old, scenarios=("a/a", "a/b"), vices={"x": {"wrong-verdict:65": (0,)}})

    assert list(differences(old, fewer, ["a/c"])) == ["vice y: is in the dictionary only"]
    assert list(differences(old, fewer, [])) == [
        "scenario a/c: is in the dictionary only",
        "vice y: is in the dictionary only",
    ]
    assert list(differences(fewer, old, [])) == [
        "scenario a/c: is not in the dictionary",
        "vice y: is not in the dictionary",
    ]


@pytest.mark.slow
def test_every_bundled_bank_can_be_digested_and_no_two_vices_are_the_same() -> None:
    catalogue = bundled_catalogue()
    for bank in read_banks(bundled_bank(), catalogue):
        digests = made_from(bank, catalogue)["vices"]

        assert len(set(digests.values())) == len(digests) == len(bank.wrong), bank.contract.name
