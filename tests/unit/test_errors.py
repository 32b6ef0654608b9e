"""Errors: one line each, harmless in a terminal, with the exit status they end a command with."""

from __future__ import annotations

import pytest

from conformance.errors import CannotJudge, ConformanceError, FileError, ManyErrors, UsageError
from conformance.text import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        ("two\nlines", "two lines"),
        ("a\r\n\t b\v\f\x1c\x85\u2028\u2029c", "a b c"),
        (" around ", "around"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("nul\0", r"nul\x00"),
        ("\udcff", r"\udcff"),
        ("turned \u202e round", r"turned \u202e round"),
        ("hidden\u200b\ufeff", r"hidden\u200b\ufeff"),
        ("café ✓ 日本", "café ✓ 日本"),
        ("\x7f\x9b", r"\x7f\x9b"),
    ],
)
def test_any_text_becomes_one_line_that_a_terminal_only_shows(text: str, shown: str) -> None:
    assert one_line(text) == shown


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConformanceError("x"), 2),
        (UsageError("x"), 2),
        (FileError("f", "x"), 2),
        (ManyErrors([UsageError("x")]), 2),
        (CannotJudge("x"), 3),
    ],
)
def test_an_error_knows_the_exit_status_it_ends_a_command_with(
    error: ConformanceError, status: int
) -> None:
    assert error.exit_status == status


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UsageError("no probe"), "no probe"),
        (UsageError("no probe", hint="name one"), "no probe; name one"),
        (FileError("a.toml", "is empty"), "a.toml: is empty"),
        (FileError("a.toml", "is wrong", key="home.files.x"), "a.toml: home.files.x: is wrong"),
        (FileError("a.toml", "is wrong", key="x", hint="mend it"), "a.toml: x: is wrong; mend it"),
        (
            FileError("a\nb.toml", "is\nwrong", key="x\ny", hint="mend\nit"),
            "a b.toml: x y: is wrong; mend it",
        ),
    ],
)
def test_an_error_is_its_cause_and_the_way_out_on_one_line(
    error: ConformanceError, line: str
) -> None:
    assert (str(error), error.lines()) == (line, [line])


def test_an_error_about_a_file_keeps_file_and_key_for_programs() -> None:
    error = FileError("a.toml", "is wrong", key="x", hint="mend it")
    assert (error.file, error.key, error.cause, error.hint) == (
        "a.toml",
        "x",
        "a.toml: x: is wrong",
        "mend it",
    )


def test_many_errors_are_a_line_each_in_the_order_they_were_found() -> None:
    error = ManyErrors(
        [FileError("b", "x"), ManyErrors([UsageError("y"), UsageError("z")]), FileError("a", "x")]
    )
    assert error.lines() == ["b: x", "y", "z", "a: x"]


def test_the_same_mistake_found_twice_is_one_line() -> None:
    error = ManyErrors([FileError("layer", "x"), FileError("a", "x"), FileError("layer", "x")])
    assert error.lines() == ["layer: x", "a: x"]
