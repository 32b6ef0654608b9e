"""Scenario files nobody thought of: read, or refused in lines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from factories import entry
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support_bad_files import FIELDS, HERE, TOP

from conformance.catalogue import catalogue
from conformance.catalogue.catalogue import load_catalogue
from conformance.errors import CannotJudge, ConformanceError
from conformance.home.plan import plan

ATTEMPTS = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


DOCUMENT: dict[str, Any] = {
    "summary": "x",
    "origin": "y",
    "agent": "claude",
    "control": {"slot": "control", "preflight": "control"},
    "expect": {"slot": "ready", "preflight": ["ready"]},
    "home": {
        "include": ["claude-baseline"],
        "files": {
            "text": "{secret}",
            "a/text": {
                "text": "{now+1h}",
                "mode": "0600",
                "owner": 0,
                "mtime": "{now-1d}",
                "size": "1 KiB",
                "depth": 2,
            },
            "a/json": {"json": {"a": [1, {"b": "{null}"}], "c": 1.5, "d": True}},
            "a/hex": {"hex": "00ff"},
            "a/base64": {"base64": "AAAA"},
            "a/runs{n}": {"runs": [["[", 10], ["]", 10]], "count": 3},
            "a/link": {"symlink": "../text"},
            "b": {"type": "directory"},
        },
    },
    "cli": {"state": "hangs"},
    "env": {"set": {"A": "{home}/x"}, "unset": ["B"]},
}


CONTROL = (
    TOP.replace("claude/baseline-only", "bad/case")
    + '[expect]\nslot = "cli-broken"\npreflight = "cli-broken"\n'
)


def toml(value: Any) -> str:
    """Return *value* as TOML writes it inside a line."""
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{toml(str(key))} = {toml(inner)}" for key, inner in value.items())
            + "}"
        )
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date | time):
        return value.isoformat()
    return repr(value)


def document_text(document: dict[str, Any]) -> str:
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in document.items())


def places(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every value inside *value*."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*above, key)
            yield from places(inner, (*above, key))


def mutated(value: Any, way: tuple[str | int, ...], change: str, new: Any) -> Any:
    """Return a copy of *value* in which the value at *way* is replaced or removed, or its key renamed."""
    if isinstance(value, list):
        return [
            mutated(inner, way[1:], change, new)
            if n == way[0] and way[1:]
            else new
            if n == way[0]
            else inner
            for n, inner in enumerate(value)
        ]
    copy = {}
    for key, inner in value.items():
        if key != way[0]:
            copy[key] = inner
        elif way[1:]:
            copy[key] = mutated(inner, way[1:], change, new)
        elif change == "replace":
            copy[key] = new
        elif change == "rename":
            copy[new if isinstance(new, str) else "renamed"] = inner
    return copy


#: Text that is likely to mean something here, and any other.
WORDS = st.sampled_from(
    [
        "",
        "..",
        "../x",
        "/",
        "{home}",
        "{home}/../x",
        "{n}",
        "{now}",
        "{now+1h:jwt}",
        "{byte:ff}",
        "{nope}",
        "{",
        "\0",
        "\x1b[2J",
        "a\nb",
        "control",
    ]
)


TEXTS = WORDS | st.text(max_size=20)


LEAVES_OF_TOML = (
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | TEXTS
    | st.dates()
    | st.datetimes(min_value=datetime(1000, 1, 1))
    | st.times()
)


VALUES = st.recursive(
    LEAVES_OF_TOML,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


WAYS = list(places(DOCUMENT))


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for one file at a time, with a catalogue so small that reading it costs nothing."""
    bundled = tmp_path_factory.mktemp("bundled")
    (bundled / "control.toml").write_text(CONTROL)
    directory = tmp_path_factory.mktemp("generated")
    (directory / "bad").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "scenarios_dir", lambda: bundled)
        yield directory


def check_any(directory: Path, content: bytes) -> bool:
    """Return whether *content* is a scenario file; if it is none, every line about it must be in order."""
    file = directory / "bad" / "case.toml"
    file.write_bytes(content)
    try:
        scenario = load_catalogue([directory]).get("bad/case")
    except ConformanceError as e:
        error = e
    else:
        with suppress(
            CannotJudge
        ):  # entries that meet; anything else would be a crash in the middle of a run
            plan(scenario.entries, HERE)
        return True
    assert error.exit_status == 2
    assert error.lines()
    # The control names the case in turn, so it may be the one that is wrong.
    assert [
        line
        for line in error.lines()
        if not re.match(rf"{file}: |\S*/control\.toml: control: ", line)
    ] == []
    assert [line for line in error.lines() if not line.isprintable()] == []
    return False


def test_the_file_that_is_mutated_is_good(little: Path) -> None:
    assert check_any(little, document_text(DOCUMENT).encode())


@ATTEMPTS
@given(
    way=st.sampled_from(WAYS), change=st.sampled_from(["replace", "rename", "remove"]), new=VALUES
)
@example(
    way=("home", "files", "a/json", "json"), change="replace", new={"a": [datetime(2026, 1, 1)]}
)
@example(way=("expect", "slot"), change="replace", new=[])
@example(way=("control",), change="replace", new={})
@pytest.mark.slow
def test_a_file_with_one_thing_changed_is_read_or_refused_in_lines(
    little: Path, way: tuple[str | int, ...], change: str, new: Any
) -> None:
    check_any(little, document_text(mutated(DOCUMENT, way, change, new)).encode())


@pytest.mark.slow
@ATTEMPTS
@given(
    key=TEXTS,
    table=st.dictionaries(st.sampled_from(FIELDS.split(", ")) | TEXTS, VALUES, max_size=4),
)
def test_any_entry_is_read_or_refused_in_lines(
    little: Path, key: str, table: dict[str, Any]
) -> None:
    check_any(little, document_text({**DOCUMENT, "home": {"files": {key: table}}}).encode())


@ATTEMPTS
@given(key=TEXTS, target=TEXTS | st.lists(WORDS, max_size=4).map("/".join), depth=st.integers(0, 3))
@pytest.mark.slow
def test_a_link_that_is_accepted_leads_nowhere_outside(
    little: Path, key: str, target: str, depth: int
) -> None:
    """Whatever the home is called, and although its links are followed by nothing but the text of their targets."""
    files = {key: {"symlink": target, "depth": depth}}
    if not check_any(little, document_text({**DOCUMENT, "home": {"files": files}}).encode()):
        return
    [*_, node] = plan([entry(key, "symlink", target=target, depth=depth)], HERE)
    above = os.path.dirname(os.path.join(b"/nowhere/home", node.path))
    there = os.path.normpath(os.path.join(above, node.target))
    assert (there + b"/").startswith(b"/nowhere/home/")


@pytest.mark.slow
@ATTEMPTS
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_lines(little: Path, content: bytes) -> None:
    assert not check_any(little, content)


@pytest.mark.slow
@ATTEMPTS
@given(data=st.data())
def test_a_good_file_with_bytes_changed_is_read_or_refused_in_lines(
    little: Path, data: st.DataObject
) -> None:
    good = document_text(DOCUMENT).encode()
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 20)))
    new = data.draw(st.binary(max_size=8) | TEXTS.map(str.encode))
    check_any(little, good[:start] + new + good[end:])
