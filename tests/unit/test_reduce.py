"""Reducing a scenario: what is left is needed, it takes few runs, and an answer at random is refused."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

import pytest
from ballast import laden
from factories import entry, file, scenario
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.catalogue.writing import scenario_text
from conformance.errors import CannotJudge
from conformance.home.plan import plan
from conformance.model.placeholders import Context
from conformance.model.scenario import ContainerNeeds, Entry, Json, Process, Scenario, Text
from conformance.reduce.reduction import reduced
from conformance.specification.case import case_of
from conformance.specification.decide import decide

CONTEXT = Context(now=1_800_000_000.0, seed="reduce")
CATALOGUE = load_catalogue().scenarios
SLOT = contracts.load("slot")
#: What is promised of homes with 50 to 2,000 entries and one thing wrong.
RUNS, FURTHER = 200, 3

Wrong = Callable[[Scenario], bool | None]


def paths(found: Scenario) -> list[str]:
    return sorted(one.path for one in found.entries)


def holds(*wanted: str) -> Wrong:
    """Return a probe that is wrong where all these paths are in the HOME, explicitly or not."""

    def wrong(found: Scenario) -> bool:
        there = {one.path for one in found.entries}
        return all(
            path in there or any(f"{path}/" in f"{one}/" for one in there) for path in wanted
        )

    return wrong


def many(count: int, directory: str = "a") -> list[Entry]:
    return [file(f"{directory}/{n // 10}/{n}") for n in range(count)]


def test_one_entry_of_two_thousand_is_found_in_few_runs() -> None:
    found = reduced(scenario(*many(2_000), file("b/c/token")), holds("b/c/token"))

    assert paths(found.scenario) == ["b/c/token"]
    assert found.runs < 30
    assert found.complete


def test_several_entries_that_are_needed_together_are_found() -> None:
    wanted = ["a/7/77", "a/123/1234", "b/c/token"]

    found = reduced(scenario(*many(2_000), *many(500, "b/c"), file("b/c/token")), holds(*wanted))

    assert paths(found.scenario) == sorted(wanted)
    assert found.runs < 100


def test_of_a_directory_that_matters_nothing_else_is_left() -> None:
    found = reduced(scenario(*many(300)), holds("a/3"))

    assert [(one.path, one.kind) for one in found.scenario.entries] == [("a/3", "directory")]


#: What a captured home has beside its login: transcripts of which the size is known, under made-up names.
TRANSCRIPTS = [
    entry(f".claude/{place}/entry-{n}.jsonl", size=n)
    for n in range(1, 40)
    for place in (".entry-0", "projects/entry-7", "zz")
]


@pytest.mark.parametrize(
    "telling",
    [
        pytest.param(file(".claude/.credentials/session.json"), id="called so"),
        pytest.param(
            entry(".claude/.credentials/session.json", size=9), id="called so, size alone"
        ),
        pytest.param(entry(".claude/entry-9/entry-3", json={"x": "{secret}"}), id="holds a secret"),
        pytest.param(
            entry(".claude/entry-9/entry-3", json={"x": "{now+1h:jwt}"}), id="holds a JWT"
        ),
        pytest.param(entry(".claude/backups/history.jsonl", size=9), id="has known names"),
        pytest.param(file(".claude/a/entry-3", "some text"), id="says more than its size"),
    ],
)
def test_where_any_file_is_enough_the_one_is_left_that_tells_most(telling: Entry) -> None:
    """A reader understands a session file, and not a transcript of which the size is known."""

    def wrong(found: Scenario) -> bool:
        return any(one.path.count("/") > 1 and one.kind == "file" for one in found.entries)

    for entries in ([*TRANSCRIPTS, telling], [telling, *TRANSCRIPTS]):
        found = reduced(scenario(*entries), wrong)

        assert paths(found.scenario) == [telling.path]
        assert found.runs < 50


def test_where_any_file_with_contents_is_enough_the_one_keeps_them_that_tells_most() -> None:
    home = scenario(file(".claude/a", "{secret}"), file(".claude/b", "x"), file(".claude/z", "x"))

    def wrong(found: Scenario) -> bool:
        return len(found.entries) == 3 and any(one.content for one in found.entries)

    found = reduced(home, wrong)

    assert {one.path for one in found.scenario.entries if one.content} == {".claude/a"}


def test_where_any_member_is_enough_a_known_one_is_left() -> None:
    value = {f"member-{n}": n for n in range(20)} | {"accessToken": "x", "zz": 1}

    def wrong(found: Scenario) -> bool:
        return any(isinstance(one.content, Json) and one.content.value for one in found.entries)

    found = reduced(login(value), wrong)

    assert login_in(found.scenario) == {"accessToken": "x"}


def test_a_directory_that_is_there_anyway_is_not_written_down() -> None:
    home = scenario(
        entry("a", "directory", mode=0o700), entry("a/b", "directory", mode=0o755), file("a/b/c")
    )

    found = reduced(home, holds("a/b/c"))

    assert paths(found.scenario) == ["a/b/c"]


def test_what_is_special_about_an_entry_stays_only_where_it_matters() -> None:
    special = {"mode": 0o644, "mtime": "{now-3d}", "owner": 4711}

    def wrong(found: Scenario) -> bool:
        return any(one.path == "a" and one.mode == 0o644 for one in found.entries)

    found = reduced(scenario(file("a", "text", **special), file("b", "text", **special)), wrong)

    assert found.scenario.entries == (Entry(path="a", kind="file", mode=0o644),)


def login(value: Any) -> Scenario:
    return scenario(entry("login", json=value))


def login_in(found: Scenario) -> Any:
    [one] = found.entries
    assert isinstance(one.content, Json)
    return one.content.value


def test_members_of_json_go_that_do_not_matter() -> None:
    value = {f"x{n}": {"y": n} for n in range(200)} | {
        "oauth": {"token": "{secret}", "scopes": ["a", "b", "c"], "at": 1}
    }

    def wrong(found: Scenario) -> bool:
        left = login_in(found) if found.entries and found.entries[0].content else None
        return isinstance(left, dict) and "b" in left.get("oauth", {}).get("scopes", [])

    found = reduced(login(value), wrong)

    assert login_in(found.scenario) == {"oauth": {"scopes": ["b"]}}
    assert found.runs < 50


def test_a_text_that_is_json_is_reduced_as_such() -> None:
    text = '{"a": [1, 2, null, {"b": null}], "c": "{secret}"}'

    def wrong(found: Scenario) -> bool:
        context = replace(CONTEXT, home="/h")
        nodes = plan(found.entries, context)
        return any(b'{"b": null}' in chunk for node in nodes for chunk in node.chunks())

    found = reduced(scenario(file("login", text)), wrong)

    assert login_in(found.scenario) == {"a": [{"b": "{null}"}]}


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', '{"a": 1', '{"a": "\\ud800"}', "[" * 200 + "]" * 200, '{"a": "{what}"}']
)
def test_a_text_that_no_scenario_can_hold_as_json_stays_text(text: str) -> None:
    def wrong(found: Scenario) -> bool:
        return any(
            one.content == Text(text) or isinstance(one.content, Json) for one in found.entries
        )

    # An unknown placeholder is refused as text too, and is here only to be seen.
    found = reduced(scenario(file("login", text)), wrong)

    assert found.scenario.entries[0].content == Text(text)


def test_a_text_is_shortened_and_its_placeholders_stay_whole() -> None:
    text = "first line\nthe {secret} is here\nlast line\n"

    def wrong(found: Scenario) -> bool:
        return any(
            isinstance(one.content, Text) and "{secret}" in one.content.text
            for one in found.entries
        )

    found = reduced(scenario(file("login", text)), wrong)

    assert found.scenario.entries[0].content == Text("{secret}")


def test_no_text_that_is_tried_has_a_part_of_a_placeholder() -> None:
    """What is left of one would be other text to a probe, or to whoever reads the file."""
    placeholders = ["{secret}", "{secret:refresh-2}", "{now+8h}", "{now-1h:rfc3339.9}", "{home}"]
    tried: list[str] = []

    def wrong(found: Scenario) -> bool:
        content = next(iter(found.entries), file("none")).content
        assert isinstance(content, Text | None)
        tried.append(content.text if content else "")
        return tried[-1].count("{") > 1

    found = reduced(scenario(file("login", f"a {' b '.join(placeholders)} c")), wrong)

    assert found.scenario.entries[0].content != Text("")
    assert len({*tried}) > 5
    parts = re.split("|".join(map(re.escape, placeholders)), "".join(tried))
    assert not {*"".join(parts)} & {*"{}"}


def test_numbers_are_lowered_as_far_as_they_matter() -> None:
    home = scenario(
        entry("a/{n}", count=500), entry("b", size=20_000_000), entry("c", runs=(("x", 4_096),))
    )

    def wrong(found: Scenario) -> bool:
        there = {one.path: one for one in found.entries}
        sizes = {node.path: node.size for node in plan(found.entries, CONTEXT)}
        return (
            "a/{n}" in there
            and there["a/{n}"].count > 90
            and sizes.get(b"b", 0) > 1e6
            and sizes.get(b"c", 0) > 1_000
        )

    found = reduced(home, wrong)

    there = {one.path: one for one in found.scenario.entries}
    assert 90 < there["a/{n}"].count < 180
    assert 1e6 < (there["b"].size or 0) < 2e6
    assert there["c"].content == entry("c", runs=(("x", 1_024),)).content


#: Everything that can be said of the surroundings, one thing each.
SURROUNDINGS: dict[str, dict[str, Any]] = {
    "cli": {"cli": "exit-1"},
    "env": {"env": {"A": "1"}},
    "unset": {"unset": ("B",)},
    "inputs": {"inputs": {"skew": "5"}},
    "inputs_unset": {"inputs_unset": ("home",)},
    "home_name": {"home_name": "with blank"},
    "earlier": {"earlier": (file("old"),)},
    "umask": {"process": Process(umask=0o77)},
    "container": {"container": ContainerNeeds(user="1:1")},
}


@pytest.mark.parametrize("kept", SURROUNDINGS)
def test_of_the_surroundings_what_matters_stays(kept: str) -> None:
    everything: dict[str, Any] = {}
    for fields in SURROUNDINGS.values():
        everything |= fields
    full = scenario(file("a"), **everything)
    [(name, value)] = SURROUNDINGS[kept].items()

    found = reduced(full, lambda one: getattr(one, name) not in (getattr(scenario(), name), None))

    left = value if kept != "earlier" else ()
    assert found.scenario == replace(scenario(), **{name: left})


def test_of_a_container_that_matters_only_what_does_is_left() -> None:
    needs = ContainerNeeds(user="1:1", home_owner=2, home_read_only=True)

    found = reduced(
        scenario(container=needs),
        lambda one: one.container is not None and one.container.home_read_only,
    )

    assert found.scenario.container == ContainerNeeds(home_read_only=True)


def test_the_home_of_an_earlier_run_is_reduced_too() -> None:
    home = scenario(*many(30), earlier=(*many(300), file("login")))

    found = reduced(home, lambda one: any(old.path == "login" for old in one.earlier or ()))

    assert (found.scenario.entries, [old.path for old in found.scenario.earlier or ()]) == (
        (),
        ["login"],
    )


def test_nothing_that_is_left_can_go() -> None:
    """Of two logins either is enough, and with both files of the pair a third one is not needed."""

    def wrong(found: Scenario) -> bool:
        there = {one.path for one in found.entries}
        return "x" in there or {"a/1/11", "a/2/22"} <= there

    found = reduced(scenario(*many(100), file("x")), wrong)

    for gone in found.scenario.entries:
        left = [one for one in found.scenario.entries if one != gone]
        assert not wrong(replace(found.scenario, entries=tuple(left)))


def test_what_can_go_once_something_else_has_gone_goes_too() -> None:
    def wrong(found: Scenario) -> bool:
        there = {one.path: one for one in found.entries}
        return "a" in there and ("b" in there or there["a"].mode is None)

    found = reduced(scenario(file("a", mode=0o644), file("b")), wrong)

    assert paths(found.scenario) == ["a"]


def test_the_nearest_that_does_not_show_it_is_told() -> None:
    wrong = holds("b")

    found = reduced(scenario(*many(20), file("b")), wrong)

    assert found.nearest is not None
    assert not wrong(found.nearest)
    assert reduced(scenario(file("b")), lambda _: True).nearest is None


def test_another_case_is_not_run_and_nothing_is_run_twice_while_it_shrinks() -> None:
    asked: list[Scenario] = []

    def wrong(found: Scenario) -> bool:
        asked.append(found)
        return True

    def same_case(found: Scenario) -> bool:
        return "b" in paths(found)

    found = reduced(scenario(*many(50), file("b")), wrong, same_case=same_case)

    assert paths(found.scenario) == ["b"]
    assert all(map(same_case, asked))
    assert len(asked) == found.runs
    in_between = asked[2:-4]
    assert len({scenario_text(one) for one in in_between}) == len(in_between)


def test_it_ends_after_so_many_runs_and_says_so() -> None:
    needed = [f"a/{n // 10}/{n}" for n in range(0, 200, 5)]
    seen: list[int] = []

    found = reduced(
        scenario(*many(200)), holds(*needed), limit=60, on_run=lambda runs, _: seen.append(runs)
    )

    assert seen == list(range(1, found.runs + 1))
    assert found.runs <= 60
    assert not found.complete
    assert holds(*needed)(found.scenario)


def test_a_probe_that_answers_at_random_is_refused() -> None:
    """One of several hundred such probes may get through. The command has asked once more before that."""
    rng = random.Random(4)
    through = 0
    for _ in range(300):
        with suppress(CannotJudge):
            reduced(scenario(*many(12)), lambda _: rng.random() < 0.5)
            through += 1

    assert through <= 3


@pytest.mark.parametrize("number", [1, 2, 12])
def test_what_can_not_be_judged_is_no_fault(number: int) -> None:
    """The first and the last question need an answer; a step in between that has none is not taken."""
    calls: list[Scenario] = []

    def wrong(found: Scenario) -> bool | None:
        calls.append(found)
        return None if len(calls) == number or len(found.entries) < 2 else True

    if number < 12:
        with pytest.raises(CannotJudge, match="could not be judged"):
            reduced(scenario(*many(40)), wrong)
    else:
        assert len(reduced(scenario(*many(40)), wrong).scenario.entries) == 2


# What is promised: a pure stand-in for a probe, in many homes


def all_needed(wanted: Scenario) -> Wrong:
    """Return a probe that goes wrong where a HOME holds all that *wanted* has, as it has it: the most to be found."""
    needed = {one.path: one for one in wanted.entries}

    def wrong(found: Scenario) -> bool:
        there = {one.path: one for one in found.entries}
        return all(_like(there.get(path), one) for path, one in needed.items())

    return wrong


def _like(found: Entry | None, wanted: Entry) -> bool:
    """Return whether an entry is *wanted*, but for further members of its document."""
    if found is None or replace(found, content=None) != replace(wanted, content=None):
        return False
    if not isinstance(wanted.content, Json) or not isinstance(wanted.content.value, dict):
        return found.content == wanted.content
    return (
        isinstance(found.content, Json)
        and found.content.value.items() >= wanted.content.value.items()
    )


def sampled(candidates: Iterable[Scenario], count: int) -> list[Scenario]:
    return random.Random(17).sample(sorted(candidates, key=lambda one: one.id), count)


def with_home(one: Scenario) -> bool:
    about_a_home = not (one.steps or one.start or one.login or one.takes_long)
    return about_a_home and 0 < len(one.entries) <= 8


@pytest.mark.parametrize(
    "by_hand", sampled(filter(with_home, CATALOGUE.values()), 12), ids=lambda one: one.id
)
def test_of_a_full_home_no_more_is_left_than_was_written_by_hand(by_hand: Scenario) -> None:
    home = laden(by_hand, 1, lambda _: True)

    found = reduced(home, all_needed(by_hand))

    assert 50 <= len(home.entries) <= 2_000
    assert len(found.scenario.entries) <= len(by_hand.entries) + FURTHER
    assert found.runs < RUNS
    assert found.complete


def _kept(entries: Iterable[Entry], is_seen: Callable[[Entry], bool]) -> tuple[Entry, ...]:
    return tuple(one for one in entries if is_seen(one))


#: Wrong probes: each takes the HOME for another one, and judges that rightly.
MISREADINGS: dict[str, Callable[[Scenario], Scenario]] = {
    "looks at the top alone": lambda one: replace(
        one, entries=_kept(one.entries, lambda e: e.path.count("/") < 2)
    ),
    "takes whatever is there for a file": lambda one: replace(
        one,
        entries=tuple(
            Entry(path=e.path, kind="file") if e.kind in ("fifo", "socket", "symlink") else e
            for e in one.entries
        ),
    ),
    "overlooks hidden files": lambda one: replace(
        one, entries=_kept(one.entries, lambda e: not e.path.rpartition("/")[2].startswith("."))
    ),
    "overlooks modes": lambda one: replace(
        one, entries=tuple(replace(e, mode=None) for e in one.entries)
    ),
    "takes an empty file for none": lambda one: replace(
        one,
        entries=_kept(
            one.entries,
            lambda e: e.kind != "file" or e.content not in (None, Text("")) or bool(e.size),
        ),
    ),
    "wants a file that is called credentials": lambda one: replace(
        one,
        entries=_kept(
            one.entries,
            lambda e: e.kind != "file" or "credentials" in e.path or "auth.json" in e.path,
        ),
    ),
    "takes the baseline for a login": lambda one: replace(
        one,
        entries=tuple(replace(e, path=e.path.replace("CLAUDE.md", "token")) for e in one.entries),
    ),
}


def called_for(one: Scenario) -> tuple[str, tuple[str, ...]]:
    decision = decide(case_of(one, SLOT, CONTEXT), SLOT)
    return ("", ()) if decision is None else (decision.rule, decision.verdicts)


def misread() -> list[tuple[str, Scenario]]:
    """Return wrong probes with scenarios of slot in which they go wrong, five of each."""
    scenarios = [one for one in filter(with_home, CATALOGUE.values()) if one.expected(SLOT)]
    random.Random(3).shuffle(scenarios)
    wanted = {one.id: called_for(one)[1] for one in scenarios}
    found = []
    for name, misreading in MISREADINGS.items():
        wrong = (
            (name, one)
            for one in scenarios
            if not set(wanted[one.id]) & set(called_for(misreading(one))[1])
        )
        found += list(islice(wrong, 5))
    return found


MISREAD = misread()


def test_there_are_enough_homes_and_each_wrong_probe_has_some() -> None:
    assert len(MISREAD) >= 30
    assert {name for name, _ in MISREAD} == {*MISREADINGS}


@pytest.mark.in_turn(4)
@pytest.mark.parametrize(("name", "by_hand"), MISREAD, ids=lambda one: getattr(one, "id", one))
def test_what_a_probe_misreads_in_a_full_home_is_found(name: str, by_hand: Scenario) -> None:
    misreading = MISREADINGS[name]

    def same_case(one: Scenario) -> bool:
        return called_for(one) == called_for(by_hand)

    def still_wrong(one: Scenario) -> bool:
        return called_for(misreading(one)) == wrong

    home = laden(by_hand, 2, same_case)
    wrong = called_for(misreading(home))
    found = reduced(home, still_wrong, same_case=same_case)

    assert 50 <= len(home.entries) <= 2_000
    assert len(found.scenario.entries) <= len(by_hand.entries) + FURTHER
    assert found.runs < RUNS
    assert found.complete
    assert same_case(found.scenario)
