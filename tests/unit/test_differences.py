"""What sets one home apart from another: how much of it counts as one thing."""

from __future__ import annotations

from typing import Any

import pytest
from factories import directory, entry, file, symlink
from msgspec.structs import replace

from conformance.catalogue.agents import golden_entries
from conformance.catalogue.differences import differences
from conformance.model.scenario import Entry

CREDENTIALS = ".claude/.credentials.json"
[LOGIN] = golden_entries()[CREDENTIALS]
A_DOCUMENT = {"a": {"b": 1, "c": [1, 2]}, "d": None}


def document(value: Any, path: str = "x.json", **fields: Any) -> Entry:
    return entry(path, json=value, **fields)


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (A_DOCUMENT, []),
        ({"d": None, "a": {"c": [1, 2], "b": 1}}, []),
        ({**A_DOCUMENT, "d": 1}, ["+ x.json d"]),
        ({"a": {"b": True, "c": [1, 2]}, "d": None}, ["+ x.json a.b"]),
        ({"a": {"b": 1.0, "c": [1, 2]}, "d": None}, ["+ x.json a.b"]),
        ({"a": {"b": 1, "c": [1]}, "d": None}, ["+ x.json a.c"]),
        ({"a": {"b": 1, "c": [1, 2]}}, ["- x.json d"]),
        ({"d": None}, ["- x.json a"]),
        ({**A_DOCUMENT, "e": {"f": 1, "g": 2}}, ["+ x.json e"]),
        ({"a": {}, "d": None}, ["+ x.json a"]),
        ({"a": {"e": 1, "c": [1, 2]}, "d": None}, ["+ x.json a.e"]),
        ({"a": {"e": 2, "c": [1, 2]}, "d": None}, ["+ x.json a.e", "- x.json a.b"]),
        ([A_DOCUMENT], ["+ x.json"]),
        ({}, ["+ x.json"]),
    ],
    ids=[
        *("same", "other-order", "value", "truth", "fraction", "list", "lacks", "lacks-table"),
        *("new-table", "emptied", "renamed", "renamed-and-changed", "in-a-list", "empty"),
    ],
)
def test_each_member_of_a_document_counts(ours: Any, expected: list[str]) -> None:
    assert differences([document(ours)], [document(A_DOCUMENT)]) == expected


def test_a_text_is_read_as_the_document_it_is() -> None:
    """With its placeholders filled in, as a run would."""
    ours = file("x.json", '{"when": {now+1h}, "token": "{secret}", "more": 1}')
    theirs = document({"when": "{now+1h}", "token": "{secret}"})
    assert differences([ours], [theirs]) == ["+ x.json more"]


@pytest.mark.parametrize(
    "ours",
    [
        file("x.json", '{"a": 1}\n'),
        file("x.json", '{"a": 1'),
        file("x.json", ""),
        entry("x.json", data=b"\xff"),
        entry("x.json", runs=(("[", 100_000),)),
        entry("x.json", runs=(("[", 2_000_000),)),
        entry("x.json"),
    ],
    ids=["same-in-other-bytes", "cut", "empty", "bytes", "deep", "long", "none"],
)
def test_other_bytes_are_one_thing(ours: Entry) -> None:
    assert differences([ours], [document({"a": 1})]) == ["+ x.json: other bytes"]


@pytest.mark.parametrize(
    "ours",
    [
        file("x", "a", mode=0o644, owner=0),
        file("x", "a", size=10),
        directory("x"),
        symlink("x", "y"),
        entry("x", "fifo"),
    ],
    ids=["attributes", "size", "directory", "link", "fifo"],
)
def test_an_entry_of_another_kind_is_one_thing(ours: Entry) -> None:
    [line] = differences([ours], [file("x", "a")])
    assert line.startswith("+ x: ")


def test_a_mode_and_a_member_are_two_things() -> None:
    ours = document({"a": 2}, mode=0o644)
    assert len(differences([ours], [document({"a": 1})])) == 2


def test_each_new_file_counts_and_each_that_is_gone() -> None:
    assert differences([file("a"), file("b")], [file("c", "x")]) == ["+ a", "+ b", "- c"]


def test_a_directory_and_what_is_in_it_are_one_thing() -> None:
    ours = [directory("a", mode=0), file("a/b"), directory("a/c"), file("a/c/d")]
    assert differences(ours, []) == ["+ a, a/b, a/c, a/c/d"]


def test_directories_that_only_have_to_be_there_do_not_count() -> None:
    assert differences([file("a/b/c")], []) == ["+ a/b/c"]


def test_what_takes_the_place_of_a_directory_takes_what_was_in_it() -> None:
    assert differences([file("a", "x")], [file("a/b"), file("a/c/d")]) == ["+ a"]


@pytest.mark.parametrize(
    "ours",
    [
        [symlink("a", "b"), file("b", "x")],
        [symlink("d/a", "../b"), file("b", "x")],
        [symlink("a", "{home}/b"), file("b", "x")],
        [symlink("a", "b"), file("b/c", "x"), file("b/d", "x")],
        [symlink("a", "l/f"), symlink("l", "dated"), file("dated/f", "x")],
        [symlink("a", "b"), symlink("b", "a")],
    ],
    ids=["file", "up", "home", "directory", "chain", "loop"],
)
def test_a_link_and_what_it_leads_to_are_one_thing(ours: list[Entry]) -> None:
    assert len(differences(ours, [])) == 1
    assert len(differences([*ours, file("z", "x")], [])) == 2


def test_a_link_in_the_place_of_a_file_that_it_leads_to_is_one_thing() -> None:
    moved = replace(LOGIN, path="secrets/login.json")
    [line] = differences([symlink(CREDENTIALS, "../secrets/login.json"), moved], [LOGIN])
    assert line.startswith(f"+ {CREDENTIALS}: symlink")


def test_a_file_that_lies_elsewhere_is_one_thing() -> None:
    assert differences([replace(LOGIN, path="a")], [LOGIN]) == ["+ a"]
    assert differences([replace(LOGIN, path="a"), LOGIN], [LOGIN]) == ["+ a"]


def test_a_login_that_lies_elsewhere_and_lacks_something_is_more() -> None:
    """Whatever the home is held against: a login is known by its secrets."""
    ours = document({"claudeAiOauth": {"accessToken": "{secret}"}}, path="a")
    assert len(differences([ours], [LOGIN])) == len(differences([ours], [])) == 7


def test_what_lies_at_the_place_of_a_golden_file_is_held_against_that() -> None:
    assert differences([LOGIN], []) == []
    ours = document({"claudeAiOauth": {"accessToken": "", "refreshToken": ""}}, path=CREDENTIALS)
    assert len(differences([ours], [])) == 7


def test_of_two_golden_files_the_nearer_one_counts() -> None:
    place = ".codex/auth.json"
    with_key = {"auth_mode": "apikey", "OPENAI_API_KEY": ""}
    assert differences([document(with_key, place)], []) == [f"+ {place} OPENAI_API_KEY"]
    without = {"auth_mode": "chatgpt", "OPENAI_API_KEY": "{null}"}
    assert len(differences([document(without, place)], [])) == 2
