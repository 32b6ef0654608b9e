"""What deviations of a run are grouped into, worked out from results alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from factories import entry, scenario
from factories import result as made
from msgspec.structs import replace

from conformance.catalogue.contracts import bundled
from conformance.judge import causes
from conformance.judge.causes import find_causes
from conformance.judge.dictionary import Dictionary, KnownVices
from conformance.model.cause import Cause
from conformance.model.contract import Contract, Rule
from conformance.model.outcome import Finding, FindingKind, Result, ScenarioResult

CONTRACTS = bundled()
SLOT = CONTRACTS["slot"]
#: A contract of somebody's own: the rules of slot, with other codes.
HARBOUR = replace(
    SLOT,
    name="harbour",
    lineage=("harbour", "slot"),
    verdicts=tuple(
        replace(verdict, codes=(code,))
        for verdict, code in zip(SLOT.verdicts, (0, 70, 71, 72), strict=True)
    ),
)


#: What the bank says of the vice that most tests are about.
TEXT = "For claude only ~/.claude/credentials.json counts"


def known(
    vices: Mapping[str, Mapping[str, Iterable[int]]], scenarios: str = "abcdefgh", **fields: Any
) -> KnownVices:
    """Return a dictionary for slot, with the positions of these scenarios."""
    dictionary = Dictionary(
        contract="slot",
        version="1",
        scenarios=tuple(scenarios),
        vices={
            name: {text: tuple(at) for text, at in answers.items()}
            for name, answers in vices.items()
        },
        **fields,
    )
    return KnownVices(dictionary, SLOT)


def wrong(
    id_: str,
    code: int | None,
    *kinds: FindingKind,
    result: Result = "deviates",
    rule: str = "claude-login",
    **fields: Any,
) -> ScenarioResult:
    """Return a deviation: a wrong verdict, or findings of other *kinds*."""
    findings = tuple(
        Finding(kind=kind, message=f"expected ready (0), got {code}", rule=rule)
        for kind in kinds or ("wrong-verdict",)
    )
    return made(id_, result, code=code, findings=findings, **fields)


def grouped(
    results: Sequence[ScenarioResult], contract: Contract = SLOT, **fields: Any
) -> list[Cause]:
    """Return the causes of *results*, to which all scenarios that are not named add one that conforms."""
    given = {found.id: found for found in results}
    every = {id_: given.get(id_, made(id_)) for id_ in {*"abcdefgh", *given}}
    rules = {"slot": ("claude-login",)}
    return find_causes(
        every.values(), contract, {id_: scenario(id_=id_, rules=rules) for id_ in every}, **fields
    )


def in_short(found: Iterable[Cause]) -> list[tuple[str, str, str]]:
    return [(cause.kind, cause.name, "".join(cause.scenarios)) for cause in found]


PINNED = {"legacy-name-only": {"wrong-verdict:65": [0, 1, 2, 3]}}


def test_what_a_vice_explains_is_one_cause_with_its_sentence_answers_and_rules() -> None:
    [cause] = grouped([wrong(id_, 65) for id_ in "abcd"], known=known(PINNED))

    assert (cause.kind, cause.name, cause.fit) == ("vice", "slot/legacy-name-only", 1.0)
    assert cause.text == TEXT
    assert cause.answers == ("expected ready (0), got 65",)
    assert cause.rules == ("slot:claude-login",)


def test_known_failures_are_deviations() -> None:
    results = [wrong(id_, 65, result="known-failure") for id_ in "abcd"]

    assert in_short(grouped(results, known=known(PINNED))) == [
        ("vice", "slot/legacy-name-only", "abcd")
    ]


@pytest.mark.parametrize("result", ["unsupported", "broke"])
def test_what_was_not_judged_counts_neither_way(result: Result) -> None:
    results = [wrong("a", 65), wrong("b", 65), *(made(id_, result) for id_ in "cd")]

    [cause] = grouped(results, known=known(PINNED))

    assert (cause.name, cause.fit, cause.scenarios) == ("slot/legacy-name-only", 1.0, ("a", "b"))


def test_what_no_vice_explains_is_grouped_by_rule_and_answer() -> None:
    results = [*(wrong(id_, 65) for id_ in "abcd"), wrong("e", 66), wrong("f", 66), wrong("g", 0)]

    found = grouped(results, known=known(PINNED))

    assert in_short(found) == [
        ("vice", "slot/legacy-name-only", "abcd"),
        ("rule", "slot:claude-login", "ef"),
        ("rule", "slot:claude-login", "g"),
    ]
    assert found[1].text == SLOT.rules["claude-login"].text
    assert [cause.compared for cause in found[1:]] == [True, True]


def test_a_contract_without_a_dictionary_has_rules_only_and_says_so() -> None:
    [cause] = grouped([wrong(id_, 65) for id_ in "abcd"])

    assert (cause.kind, cause.compared) == ("rule", False)


def test_scenarios_that_the_dictionary_does_not_know_are_grouped_apart() -> None:
    found = grouped([wrong("e", 65), wrong("mine", 65)], known=known(PINNED))

    assert [(cause.compared, cause.scenarios) for cause in found] == [
        (True, ("e",)),
        (False, ("mine",)),
    ]


def test_where_all_conforms_there_is_no_cause() -> None:
    assert grouped([], known=known(PINNED), hints=[("nothing", frozenset("ab"))]) == []


def test_a_hint_stays_the_first_cause_and_says_nothing_of_vices() -> None:
    """Its scenarios speak neither for a vice nor against it."""
    results = [wrong("a", 65), wrong("b", 65), *(wrong(id_, 64) for id_ in "cde")]

    found = grouped(
        results, known=known(PINNED), hints=[("one answer everywhere", frozenset("cde"))]
    )

    assert in_short(found) == [("hint", "", "cde"), ("vice", "slot/legacy-name-only", "ab")]


def test_a_hint_that_explains_nothing_here_is_no_cause() -> None:
    found = grouped([wrong("a", 66)], hints=[("elsewhere", frozenset("gh"))])

    assert [cause.kind for cause in found] == ["rule"]


def test_the_most_basic_scenario_comes_first() -> None:
    """Nearest to its control, then with the fewest entries, then by name."""
    differences = {"a": ("+ x", "+ y"), "b": ("+ x",), "c": ("+ x",), "d": ("+ x",), "e": ()}
    results = [wrong(id_, 65, difference=lines) for id_, lines in differences.items()]
    scenarios = {id_: scenario(id_=id_) for id_ in differences}
    scenarios["b"] = scenario(entry(".claude", "directory"), id_="b")

    [cause] = find_causes(results, SLOT, scenarios)

    assert cause.scenarios == ("c", "d", "b", "a", "e")


def test_a_scenario_that_shows_what_most_of_them_show_comes_before_any_other() -> None:
    vice = {"legacy-name-only": {"wrong-verdict:65": [1, 2, 3], "wrong-verdict:66": [0]}}
    results = [wrong(id_, 65, difference=("+ x", "+ y")) for id_ in "bcd"]

    [cause] = grouped([wrong("a", 66, difference=("+ x",)), *results], known=known(vice))

    assert cause.scenarios == ("b", "c", "d", "a")


def test_a_scenario_that_two_causes_explain_is_listed_by_the_first_and_shared_by_the_other() -> (
    None
):
    vices = {**PINNED, "other": {"wrong-verdict:65": [3, 4, 5]}}

    found = grouped([wrong(id_, 65) for id_ in "abcdef"], known=known(vices))

    assert [("".join(cause.scenarios), cause.shared) for cause in found] == [
        ("abcd", ()),
        ("ef", ("d",)),
    ]


def test_each_cause_lists_a_scenario_of_its_own() -> None:
    """In all that one vice explains another has a side effect."""
    results = [wrong(id_, 65, "wrong-verdict", "changed-home") for id_ in "ab"] + [
        wrong("c", 65),
        wrong("d", 65),
    ]
    vices = {**PINNED, "writes": {"changed-home:0": [0, 1]}}

    found = grouped(results, known=known(vices))

    assert in_short(found) == [
        ("vice", "slot/legacy-name-only", "cd"),
        ("vice", "slot/writes", "ab"),
    ]
    assert (found[0].shared, found[1].shared) == (("a", "b"), ())


def test_two_things_in_one_scenario_are_two_causes() -> None:
    found = grouped([wrong("a", 65, "wrong-verdict", "changed-home")])

    assert [(cause.answers, cause.scenarios) for cause in found] == [
        (("expected ready (0), got 65",), ("a",)),
        (("expected ready (0), got 65",), ("a",)),
    ]


def test_a_traceback_is_no_second_sign_of_a_crash() -> None:
    """So a probe that catches everything and exits 1 is like one that falls over."""
    vices = {"falls": {"outside-contract+crashed:1": [0, 1]}}

    [cause] = grouped([wrong(id_, 1, "outside-contract") for id_ in "ab"], known=known(vices))

    assert cause.name == "slot/falls"


def test_a_vice_is_known_by_its_verdict_where_a_contract_has_other_codes() -> None:
    [cause] = grouped([wrong(id_, 71) for id_ in "abcd"], HARBOUR, known=known(PINNED))

    assert (cause.kind, cause.name, cause.fit) == ("vice", "slot/legacy-name-only", 1.0)


def test_the_code_of_a_vice_says_nothing_where_it_has_another_meaning() -> None:
    """65 is outside the table of that contract."""
    results = [wrong(id_, 65, "outside-contract") for id_ in "abcd"]

    assert [cause.kind for cause in grouped(results, HARBOUR, known=known(PINNED))] == ["rule"]


def test_what_a_contract_does_not_tell_apart_is_not_held_against_a_vice() -> None:
    """Two verdicts share a code: the vice is right by accident in a and b, which expect the other one."""
    merged = replace(
        HARBOUR,
        verdicts=tuple(replace(v, codes=(1,)) if v.name != "ready" else v for v in SLOT.verdicts),
    )
    rules = {"slot": ("claude-login",)}
    scenarios = {
        id_: scenario(
            id_=id_, rules=rules, expect={"slot": ("creds-invalid" if id_ in "ab" else "ready",)}
        )
        for id_ in "abcd"
    }
    results = [made("a"), made("b"), wrong("c", 1), wrong("d", 1)]

    [cause] = find_causes(results, merged, scenarios, known=known(PINNED))

    assert (cause.kind, cause.fit) == ("vice", 1.0)


def test_scenarios_of_which_a_contract_expects_something_else_are_not_compared() -> None:
    stricter = replace(
        HARBOUR,
        rules={
            **SLOT.rules,
            "claude-login": Rule(
                contract="slot", text="none is", expect=("creds-missing",), decided_by="harbour"
            ),
        },
    )

    [cause] = grouped([wrong(id_, 70) for id_ in "abcd"], stricter, known=known(PINNED))

    assert (cause.kind, cause.compared) == ("rule", False)


def test_a_vice_whose_answers_differ_from_run_to_run_is_not_named() -> None:
    found = grouped(
        [wrong(id_, 65) for id_ in "abcd"], known=known(PINNED, unsteady=("legacy-name-only",))
    )

    assert [cause.kind for cause in found] == ["rule"]


def test_where_too_many_vices_do_the_same_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "_MOST_ALIKE", 3)
    alike = {f"vice-{number}": PINNED["legacy-name-only"] for number in range(4)}
    results = [wrong(id_, 65) for id_ in "abcd"]

    assert [cause.kind for cause in grouped(results, known=known(alike))] == ["rule"]
    del alike["vice-3"]
    [cause] = grouped(results, known=known(alike))
    assert (cause.name, cause.like) == ("slot/vice-0", ("slot/vice-1", "slot/vice-2"))


def test_in_a_part_of_the_catalogue_no_vice_is_named_that_shows_mostly_elsewhere() -> None:
    """There, vices look alike that nobody would confuse in all of it."""
    ids = "abcdefgh"
    results = [wrong(id_, 65) for id_ in ids[:3]]

    def named(shows: int) -> list[str]:
        names = {"legacy-name-only": {"wrong-verdict:65": range(shows)}}
        here = {result.id: scenario(id_=result.id) for result in results}
        found = find_causes(results, SLOT, here, known=known(names))
        return [cause.name for cause in found if cause.kind == "vice"]

    assert (named(6), named(7)) == (["slot/legacy-name-only"], [])
