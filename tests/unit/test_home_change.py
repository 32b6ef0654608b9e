"""A home that stands is changed as its owner would: what stays the same is not touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from factories import clear, directory, entry, file, symlink

from conformance.home import build, mismatch, plan, snapshot
from conformance.home.change import change
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry

CONTEXT = Context(now=1_800_000_000, seed="seed")
cleared = pytest.fixture(clear, autouse=True)


def changed(home: Path, before: list[Entry], after: list[Entry]) -> None:
    """Change the home of *before* to that of *after*, and make sure that it is that."""
    old, new = plan(before, CONTEXT), plan(after, CONTEXT)
    if not home.exists():
        build(old, home)

    change(old, new, home)

    found = snapshot(home, [node.path for node in new])
    assert mismatch(new, found) == ""
    assert found.keys() - {b""} == {node.path for node in new}


def test_files_come_change_and_go(tmp_path: Path) -> None:
    changed(
        tmp_path / "home",
        [file("a/same", "1"), file("a/other", "1"), file("gone/deep/file", "1")],
        [file("a/same", "1"), file("a/other", "2"), file("new/deep/file", "1")],
    )


def test_what_stays_the_same_is_the_same_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    build(plan([file("a/same", "1")], CONTEXT), home)
    before = os.stat(home / "a/same")

    changed(home, [file("a/same", "1")], [file("a/same", "1"), file("a/new", "1")])

    after = os.stat(home / "a/same")
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_changed_file_is_a_new_one(tmp_path: Path) -> None:
    """As programs write a login: a probe that holds the old one open does not see it."""
    home = tmp_path / "home"
    build(plan([file("login", "1")], CONTEXT), home)
    with open(home / "login") as held:
        changed(home, [file("login", "1")], [file("login", "2")])

        assert held.read() == "1"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (file("x", "1"), directory("x")),
        (directory("x"), file("x", "1")),
        (file("x/y", "1"), symlink("x", "z")),
        (symlink("x", "z"), entry("x", "fifo")),
        (file("x", "1"), file("x", "1", mode=0o000)),
        (directory("x"), directory("x", mode=0o500)),
    ],
)
def test_one_kind_becomes_another(tmp_path: Path, old: Entry, new: Entry) -> None:
    changed(tmp_path / "home", [old, file("beside")], [new, file("beside")])


def test_what_lies_below_a_directory_that_is_shut_can_change(tmp_path: Path) -> None:
    shut = directory("x", mode=0o000)

    changed(tmp_path / "home", [shut, file("x/y", "1")], [shut, file("x/y", "2"), file("x/z", "3")])
