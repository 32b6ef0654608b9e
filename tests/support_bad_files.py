"""Files to start from, and what reading them comes to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from factories import refusal

from conformance.catalogue.catalogue import load_catalogue
from conformance.errors import ManyErrors
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry, Scenario

TOP = 'summary = "A login kept anywhere counts"\norigin = "contract slot"\nagent = "claude"\ncontrol = "claude/baseline-only"\n'
GOOD = TOP + '[expect]\nslot = "ready"\n'
FIELDS = "text, json, patch, moved, copied, hex, base64, runs, symlink, type, size, mode, owner, mtime, count, depth"
HERE = Context(now=1_700_000_000, seed="seed", scenario="x", home="/nowhere/home")


class Bad(NamedTuple):
    """A file, and what the only line about it says: the key right after the file's name, and some words."""

    content: str | bytes
    key: str
    words: tuple[str, ...]


def bad(content: str | bytes, key: str, *words: str) -> Bad:
    return Bad(content, key, words)


def with_file(line: str) -> str:
    """Return a good file with this line in its table of files."""
    return f"{GOOD}[home.files]\n{line}\n"


def write(directory: Path, cases: dict[str, Bad], below: str = "bad") -> dict[str, Path]:
    """Write a file for each of *cases* into a new directory below *directory*; return them by name."""
    place = directory / below
    place.mkdir()
    files = {name: place / f"{name}.toml" for name in sorted(cases, key="{}.toml".format)}
    for name, file in files.items():
        content = cases[name].content
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return files


def load_scenario(directory: Path, text: str | bytes) -> Scenario:
    """Return the scenario in a file with this text."""
    directory = directory / f"limits-{len(os.listdir(directory))}"
    write_to = {"case": bad(text, "")}
    directory.mkdir()
    write(directory, write_to)
    return load_catalogue([directory]).get("bad/case")


def load_entries(directory: Path, lines: str) -> tuple[Entry, ...]:
    """Return the entries of a home whose table of files has these lines."""
    return load_scenario(directory, with_file(lines)).entries


def entry_refusal(directory: Path, lines: str) -> str:
    """Return what is wrong with a table of files with these lines, without the name of the file."""
    return refusal(ManyErrors, load_entries, directory, lines).partition("/bad/case.toml: ")[2]
