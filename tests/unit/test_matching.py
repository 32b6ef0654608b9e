"""Which vices explain what was seen, on patterns made by hand: scenario to sign."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from conformance.judge.matching import Match, Seen, match_vices

NOTHING = Seen(frozenset(), frozenset())


def deviates(*answers: str) -> Seen:
    signs = frozenset(("wrong-verdict", answer) for answer in answers)
    return Seen(signs, signs)


def run(answers: Mapping[str, str], scenarios: str = "abcdefghijklmnop") -> dict[str, Seen]:
    """Return what was seen where the scenarios of *answers* deviate with these, and the others conform."""
    return {id_: deviates(answers[id_]) if id_ in answers else NOTHING for id_ in scenarios}


def vices(**patterns: Mapping[str, str]) -> dict[str, dict[str, frozenset[tuple[str, str]]]]:
    return {
        name: {id_: frozenset({("wrong-verdict", answer)}) for id_, answer in pattern.items()}
        for name, pattern in patterns.items()
    }


def everywhere(ids: str, answer: str = "65") -> dict[str, str]:
    return dict.fromkeys(ids, answer)


def named(found: list[Match]) -> list[str]:
    return [match.name for match in found]


def test_one_vice_that_does_what_was_seen_is_named_with_all_it_explains() -> None:
    [found] = match_vices(
        run(everywhere("abc")), vices(one=everywhere("abc"), two=everywhere("xy"))
    )

    assert (found.name, found.fit, found.like) == ("one", 1.0, ())
    assert sorted(found.explains) == ["a", "b", "c"]


def test_two_vices_that_share_scenarios_are_both_named() -> None:
    found = match_vices(
        run(everywhere("abcdef")), vices(one=everywhere("abcd"), two=everywhere("cdef"))
    )

    assert named(found) == ["one", "two"]
    assert sorted(found[0].explains) == ["a", "b", "c", "d"]


def test_one_vice_is_preferred_to_two_that_explain_the_same_together() -> None:
    patterns = vices(half=everywhere("abc"), other=everywhere("def"), whole=everywhere("abcdef"))

    assert named(match_vices(run(everywhere("abcdef")), patterns)) == ["whole"]


def test_two_vices_are_preferred_to_one_that_would_do_more_than_was_seen() -> None:
    """Though alone that one is nearer to it than either of the two."""
    patterns = vices(
        half=everywhere("abcdef"), other=everywhere("ghi"), whole=everywhere("abcdefghijk")
    )

    assert named(match_vices(run(everywhere("abcdefghi")), patterns)) == ["half", "other"]


def test_scenarios_that_ran_and_conform_count_against_a_vice() -> None:
    patterns = vices(narrow=everywhere("ab"), wide=everywhere("abcdefgh"))

    assert named(match_vices(run(everywhere("ab")), patterns)) == ["narrow"]


def test_of_two_vices_that_explain_the_same_the_one_that_does_nothing_else_here_is_named() -> None:
    """Whatever they do in scenarios that did not run."""
    patterns = vices(narrow=everywhere("abcdyz"), wide=everywhere("abcde"))

    assert named(match_vices(run(everywhere("abcd")), patterns)) == ["narrow"]


def test_what_a_vice_adds_has_to_outweigh_what_it_gets_wrong() -> None:
    """The second explains one more, and one that conforms; most of what speaks for it is explained already."""
    patterns = vices(first=everywhere("abcde"), second=everywhere("cdefg"))

    assert named(match_vices(run(everywhere("abcdef")), patterns)) == ["first"]


def test_scenarios_that_did_not_run_count_neither_way() -> None:
    patterns = vices(narrow=everywhere("ab", "66"), wide=everywhere("abcdefgh"))

    [found] = match_vices(run(everywhere("ab"), "ab"), patterns)

    assert (found.name, found.fit) == ("wide", 1.0)


def test_a_vice_most_of_which_is_not_seen_is_not_named() -> None:
    assert match_vices(run(everywhere("a")), vices(wide=everywhere("abcd"))) == []


def test_another_answer_in_the_same_scenario_is_no_sign_of_the_vice() -> None:
    assert match_vices(run(everywhere("abc", "66")), vices(one=everywhere("abc"))) == []


def test_a_vice_that_another_hides_in_part_is_still_named() -> None:
    """Where both deviate the first check that fails decides: all of c and d is the answer of one."""
    seen = run({**everywhere("abcd", "64"), **everywhere("ef")})
    patterns = vices(first=everywhere("abcd", "64"), second=everywhere("cdef"))

    found = match_vices(seen, patterns)

    assert named(found) == ["first", "second"]
    assert [match.fit for match in found] == [1.0, 1.0]


def test_vices_that_no_scenario_tells_apart_count_as_one() -> None:
    patterns = vices(b=everywhere("ab"), a={**everywhere("ab"), "z": "65"}, c=everywhere("ab"))

    [found] = match_vices(run(everywhere("ab")), patterns)

    # The one that does least elsewhere gives the name.
    assert (found.name, found.like) == ("b", ("c", "a"))


def test_vices_that_only_a_hidden_scenario_would_tell_apart_count_as_one() -> None:
    seen = run({**everywhere("abcd", "64"), **everywhere("ef")})
    patterns = vices(hides=everywhere("abcd", "64"), one=everywhere("def"), two=everywhere("cef"))

    found = match_vices(seen, patterns)

    assert [(match.name, match.like) for match in found] == [("hides", ()), ("one", ("two",))]


def test_a_side_effect_is_told_from_the_answer_of_the_same_scenario() -> None:
    both = frozenset({("wrong-verdict", "65"), ("changed-home", "")})
    seen = {"a": Seen(both, both), "b": Seen(both, both)}
    patterns = {
        "answers": {id_: frozenset({("wrong-verdict", "65")}) for id_ in "ab"},
        "writes": {id_: frozenset({("changed-home", "")}) for id_ in "ab"},
    }

    found = match_vices(seen, patterns)

    assert {match.name: match.explains["a"] for match in found} == {
        "answers": frozenset({("wrong-verdict", "65")}),
        "writes": frozenset({("changed-home", "")}),
    }


def test_what_is_only_advised_against_speaks_for_a_vice_and_needs_none() -> None:
    advice = Seen(frozenset(), frozenset({("left-cli-process", "")}))
    pattern = {id_: frozenset({("left-cli-process", "")}) for id_ in "abc"}

    assert match_vices(dict.fromkeys("abc", advice), {"leaves": pattern}) == []
    [found] = match_vices(
        {"a": advice, "b": advice, "c": deviates("65")},
        {"leaves": {**pattern, "c": frozenset({("wrong-verdict", "65")})}},
    )
    assert (found.fit, list(found.explains)) == (1.0, ["c"])


@pytest.mark.parametrize("seen", [{}, run({})])
def test_nothing_is_named_where_nothing_deviates(seen: dict[str, Seen]) -> None:
    assert match_vices(seen, vices(one=everywhere("ab"))) == []
