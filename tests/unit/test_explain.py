"""Words for people: what a scenario is, what tells it from another, and commands to paste into a shell."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from factories import directory, entry, file, scenario
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.model.entry_wording import describe_entry
from conformance.model.scenario import ContainerNeeds, Entry, Json
from conformance.model.wording import (
    against_control,
    answer,
    expectation,
    probe_lines,
)
from conformance.text import join, quote

SLOT = contracts.bundled()["slot"]
PREFLIGHT = contracts.bundled()["preflight"]


def test_an_answer_is_a_verdict_with_its_code() -> None:
    assert answer(SLOT, "creds-missing") == "creds-missing (65)"
    assert answer(PREFLIGHT, "creds-missing") == "creds-missing (1)"


def test_an_expectation_names_every_answer_that_conforms() -> None:
    assert expectation(SLOT, ("ready",)) == "ready (0)"
    assert expectation(SLOT, ("ready", "creds-invalid")) == "ready (0) or creds-invalid (66)"
    assert expectation(SLOT, ()) == ""


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "file", "text": "a\n"}, 'text "a\\n"'),
        ({"kind": "file", "text": ""}, "empty file"),
        ({"kind": "file", "text": "{secret}", "mode": 0}, 'text "{secret}", mode 0000'),
        ({"kind": "file", "json": {"a": [1]}}, 'JSON {"a": [1]}'),
        ({"kind": "file", "json": None}, "JSON null"),
        ({"kind": "file", "data": b"\xff\x00"}, "bytes ff00"),
        ({"kind": "file", "runs": (("[", 100_000), ("]", 100_000))}, 'text "["×100000 "]"×100000'),
        ({"kind": "file", "size": 20}, "file of 20 blanks"),
        ({"kind": "file", "text": "x", "size": 0}, 'text "x", padded to 0 bytes'),
        ({"kind": "symlink", "target": "..data/auth.json"}, "symlink to ..data/auth.json"),
        ({"kind": "directory", "mode": 0o300}, "directory, mode 0300"),
        ({"kind": "fifo"}, "fifo"),
        ({"kind": "socket", "owner": 0}, "socket, owner 0"),
        (
            {"kind": "directory", "mtime": "{now-30d}", "depth": 200, "count": 3},
            "directory, changed {now-30d}, 200 directories further down, 3 times",
        ),
        ({"kind": "file", "text": "x" * 200}, 'text "' + "x" * 98 + "…"),
        ({"kind": "file", "data": bytes(100)}, "bytes " + "0" * 99 + "…"),
    ],
)
def test_an_entry_in_words(fields: dict[str, Any], words: str) -> None:
    assert describe_entry(entry("some/path", **fields)) == words


def test_scenarios_with_the_same_homes_do_not_differ() -> None:
    one = scenario(entries=(entry("a", text=""), directory("b")))
    other = replace(
        one, id="c", summary="t", entries=one.entries[::-1], expect={"slot": ("creds-missing",)}
    )
    assert against_control(one, other) == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "lines"),
    [
        ({"agent": "codex"}, {}, ("+ agent codex, not claude",)),
        ({"cli": "hangs"}, {}, ("+ CLI hangs, not healthy",)),
        ({}, {"cli": "hangs"}, ("+ CLI healthy, not hangs",)),
        ({"env": {"A": ""}}, {}, ("+ A=''",)),
        ({}, {"env": {"A": "x"}}, ("- A='x'",)),
        ({"env": {"A": "x"}}, {"env": {"A": "y"}}, ("+ A='x'",)),
        ({"unset": ("A",)}, {}, ("+ A unset",)),
        ({}, {"unset": ("A",)}, ("- A unset",)),
        ({"unset": ("A",)}, {"env": {"A": "x"}}, ("+ A unset",)),
        (
            {"env": {"B": "1", "A": "2"}},
            {"env": {"B": "1"}, "unset": ("C",)},
            ("+ A='2'", "- C unset"),
        ),
        (
            {"container": ContainerNeeds(user="1:2", home_owner=0, home_read_only=True)},
            {},
            (
                "+ the image run as user 1:2",
                "+ a HOME owned by uid 0",
                "+ a HOME on a read-only mount",
            ),
        ),
        (
            {},
            {"container": ContainerNeeds(user="1:2", home_owner=0, home_read_only=True)},
            (
                "- the image run as user 1:2",
                "- a HOME owned by uid 0",
                "- a HOME on a read-only mount",
            ),
        ),
        (
            {"container": ContainerNeeds(user="1", home_owner=3)},
            {"container": ContainerNeeds(user="2", home_owner=3, home_read_only=True)},
            ("+ the image run as user 1", "- a HOME on a read-only mount"),
        ),
        ({"entries": (entry("f", "fifo"),)}, {}, ("+ f: fifo",)),
        ({}, {"entries": (entry("f", "fifo"),)}, ("- f: fifo",)),
        (
            {"entries": (entry("f", text="x", mode=0o000),)},
            {"entries": (entry("f", text="x"),)},
            ('+ f: text "x", mode 0000',),
        ),
        (
            {"entries": (entry("b", "fifo"), entry("a", "socket"))},
            {"entries": (entry("c", "fifo"),)},
            ("+ a: socket", "+ b: fifo", "- c: fifo"),
        ),
    ],
)
def test_a_difference_is_a_line_for_each_thing(
    ours: dict[str, Any], theirs: dict[str, Any], lines: tuple[str, ...]
) -> None:
    assert against_control(scenario(**ours), scenario(**theirs)) == lines


LONG = "0123456789" * 30


@pytest.mark.parametrize(
    ("ours", "theirs", "line"),
    [
        (
            {"text": LONG + "a"},
            {"text": LONG + "b"},
            'text with another end: …"' + LONG[:10] * 2 + 'a"',
        ),
        (
            {"text": LONG + "a"},
            {"text": LONG + "ab"},
            'text that is cut off: …"' + LONG[1:10] + LONG[:10] + 'a"',
        ),
        (
            {"text": '{\n "a":\n "' + LONG + '",\n "b": 1}'},
            {"json": {"a": LONG, "b": 2}},
            'text with another end: …"67890123456789\\",\\"b\\":1}"',
        ),
        (
            {"data": LONG.encode() + b"a"},
            {"data": LONG.encode() + b"b"},
            "bytes with another end: …" + "".join(f"3{n}" for n in range(10)) + "61",
        ),
        (
            {"json": [LONG, 1]},
            {"json": [LONG, 2]},
            'JSON with another end: …"' + "34567890123456789" + '\\", 1]"',
        ),
        ({"json": {"a": LONG + "1"}}, {"json": {"a": LONG + "2"}}, 'JSON with a …01234567891"'),
        (
            {"json": {"a": LONG, "b": 1}},
            {"json": {"b": 1, "a": LONG}},
            "JSON with its members in another order",
        ),
        (
            {"json": {"a": LONG, "b": 1, "c": 2, "d": 3, "e": 4}},
            {"json": {"a": LONG, "f": 1}},
            "JSON with b 1, c 2, d 3 and 2 more members",
        ),
        ({"text": LONG, "mode": 0o000}, {"text": LONG, "mode": 0o600}, "the same, mode 0000"),
        ({"text": LONG}, {"text": LONG, "mode": 0o600}, "the same, not mode 0600"),
    ],
)
def test_what_is_long_is_shown_from_where_it_begins_to_differ(
    ours: dict[str, Any], theirs: dict[str, Any], line: str
) -> None:
    one, other = (scenario(entries=(entry("f", **fields),)) for fields in (ours, theirs))
    assert against_control(one, other) == (f"+ f: {line}",)


def test_what_a_layer_has_is_not_shown_again() -> None:
    login = entry("a/login", json={"token": LONG, "until": 1})
    bare = scenario(entries=())

    def against(*entries: Entry) -> tuple[str, ...]:
        return against_control(scenario(entries=entries, layers={"some": (login,)}), bare)

    assert against(login) == ("+ a/login: as layer some has it",)
    assert against(replace(login, path="b")) == ("+ b: as layer some has a/login",)
    other = replace(login, content=Json({"token": LONG, "until": 2}))
    assert against(other) == ("+ a/login: as layer some has it, with until 2",)
    assert against_control(bare, scenario(entries=(login,), layers={"some": (login,)})) == (
        "- a/login: as layer some has it",
    )
    short = entry("x", text="y")
    assert against_control(scenario(entries=(short,), layers={"some": (short,)}), bare) == (
        '+ x: text "y"',
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"text": "x" * 500 + "a"}, {"text": "x" * 500 + "b"}),
        ({"data": bytes(500) + b"a"}, {"data": bytes(500) + b"b"}),
        ({"json": ["x" * 500, 1]}, {"json": ["x" * 500, 2]}),
        ({"json": True}, {"json": 1}),
        ({"json": 1}, {"json": 1.0}),
    ],
)
def test_a_difference_too_far_in_to_be_shown_or_too_small_for_python_is_told_all_the_same(
    ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    one, other = (scenario(entries=(entry("f", **fields),)) for fields in (ours, theirs))
    [line] = against_control(one, other)
    assert line.startswith("+ f: ")


DOCUMENT = {"a": {"b": 1, "c": 2}, "d": 3, "e": 4, "f": "x" * 200}


@pytest.mark.parametrize(
    ("ours", "line"),
    [
        ({**DOCUMENT, "d": 5}, "JSON with d 5"),
        ({**DOCUMENT, "a": {"b": True, "c": 2}}, "JSON with a.b true"),
        ({**DOCUMENT, "a": {"b": 1}}, "JSON with no a.c"),
        ({**DOCUMENT, "d": 5, "g": [], "e": 4.5}, "JSON with d 5, e 4.5, g []"),
        ({"f": DOCUMENT["f"], "d": 3, "a": 0}, "JSON with a 0, no e"),
        ({**DOCUMENT, "f": "y" * 200}, 'JSON with f "' + "y" * 38 + "…"),
        ({**DOCUMENT, "a": 1, "d": 1, "e": 1, "f": 1}, 'JSON {"a": 1, "d": 1, "e": 1, "f": 1}'),
        ([], "JSON []"),
    ],
)
def test_a_document_is_told_from_another_by_its_members(ours: Any, line: str) -> None:
    one, other = (scenario(entry("x", json=value)) for value in (ours, DOCUMENT))
    assert against_control(one, other) == (f"+ x: {line}",)


def test_a_document_of_another_mode_is_shown_as_a_whole() -> None:
    one = scenario(entry("x", json={"a": 1}, mode=0o644))
    other = scenario(entry("x", json={"a": 2}))
    assert against_control(one, other) == ('+ x: JSON {"a": 1}, mode 0644',)


def test_a_large_layer_that_only_one_of_two_homes_is_made_of_is_one_line() -> None:
    large = tuple(file(f"large/{n}") for n in range(5))
    small = tuple(file(f"small/{n}") for n in range(2))
    both = scenario(*large, *small, layers={"large": large, "small": small})
    assert against_control(both, scenario()) == (
        "+ layer large: 5 entries",
        "+ small/0: empty file",
        "+ small/1: empty file",
    )
    assert against_control(scenario(*large, layers={"large": large}), scenario()) == (
        "+ layer large: 5 entries",
    )
    assert against_control(scenario(), scenario(*large, layers={"large": large})) == (
        "- layer large: 5 entries",
    )


def test_what_a_home_has_of_a_layer_in_another_form_is_a_line_of_its_own() -> None:
    large = tuple(file(f"{n}") for n in range(6))
    ours = scenario(*large[:5], file("5", mode=0), layers={"large": large})
    assert against_control(ours, scenario()) == (
        "+ layer large: 5 entries",
        "+ 5: empty file, mode 0000",
    )


# Commands for a shell


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("plain", "plain"),
        ("./smoke_test.py", "./smoke_test.py"),
        ("", "''"),
        ("two words", "'two words'"),
        ("it's", '"it\'s"'),
        ("it's $HOME", "'it'\"'\"'s $HOME'"),
        ("wow!'", "'wow!'\"'\"''"),
        ("*", "'*'"),
        ("~", "'~'"),
    ],
)
def test_words_are_quoted_where_a_shell_needs_it(word: str, quoted: str) -> None:
    assert quote(word) == quoted


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@settings(deadline=None, database=None, max_examples=60)
@given(st.lists(WORDS | st.text("'\"\\$`! \n~*;&|", max_size=8), max_size=8))
@example(
    [
        "'",
        '"',
        "'\"",
        "$HOME'",
        "`'`",
        "\\'",
        "!'",
        "\n'",
        "a=b",
        "-n",
        "~",
        "#",
        "{a,b}'",
        "\\\\'",
        "\\\n'",
    ]
)
def test_a_shell_reads_back_what_was_joined(words: list[str]) -> None:
    script = f"for word in {join(words)}; do printf '%s\\0' \"$word\"; done"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, timeout=60)
    assert done.stdout.decode().split("\0")[:-1] == words
    assert done.stderr == b""


def test_what_is_judged_and_what_isolates_it_is_said_of_commands_and_images() -> None:
    command = {
        "kind": "command",
        "command": ["/bin/sh", "a b"],
        "network": "cut",
        "capabilities": "dropped",
        "temporary_directories": "its own",
        "inherited": "",
    }
    lines = [
        "probe: /bin/sh 'a b'",
        "isolation: network cut, capabilities dropped, temporary directories its own",
    ]
    assert list(probe_lines(command)) == lines
    assert list(probe_lines({**command, "inherited": "nice 10"})) == [
        *lines,
        "note: the probe inherits from whoever started the suite: nice 10",
    ]

    image = {
        **command,
        "kind": "image",
        "image": "agent:1",
        "digest": "sha256:0",
        "engine": "docker 20.10",
        "user": "10001:0",
        "home": "/home/agent",
        "isolation": "fresh",
        "memory": "1g",
        "notes": ["one\x1b[0m", "two"],
    }
    assert list(probe_lines(image)) == [
        "probe: image agent:1 (sha256:0) on docker 20.10: /bin/sh 'a b'",
        "isolation: fresh, network cut, capabilities dropped, memory 1g, user 10001:0, HOME /home/agent",
        "note: one\\x1b[0m",
        "note: two",
    ]
