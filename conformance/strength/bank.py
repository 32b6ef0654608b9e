"""Banks of wrong probes, each of which is a right probe with one vice.

A bank is a directory of TOML files. Each names a contract and the right probe (``base``). For each
wrong probe it says its vice, the report it comes from, the scenarios about it, and the edits that
make the right probe wrong: a text that is in the base exactly once, and what replaces it. A wrong
probe that is a program of its own has a command instead.
"""

from __future__ import annotations

import difflib
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from conformance.bundled import fixtures_dir
from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue, select
from conformance.catalogue.toml import convert, read_text, read_toml
from conformance.errors import ConformanceError, FileError, ManyErrors, UsageError
from conformance.loading import under_contract
from conformance.model.contract import Contract
from conformance.text import one_line

__all__ = ["Bank", "BankFile", "WrongProbe", "bundled_bank", "read_banks"]

Text = Annotated[str, Meta(min_length=1)]
Sentence = Annotated[str, Meta(min_length=1, pattern=r"\S")]

_BUNDLED_OR_FILE = "a bundled one, or a file beside this one"
_FILE_OR_REFERENCE = "a file beside this one, or a reference probe"


class EditTable(Struct, forbid_unknown_fields=True, kw_only=True):
    """One change to a program."""

    old: Annotated[Text, Meta(description="A text that stands in the file exactly once.")]
    new: Annotated[str, Meta(description="What to put in its place.")]
    file: Annotated[
        str,
        Meta(description="Which of the bank's files it is in: the base by default."),
    ] = ""


class WrongTable(Struct, forbid_unknown_fields=True, kw_only=True):
    """One wrong probe: the base with edits, or a command."""

    vice: Annotated[Sentence, Meta(description="What it does wrong, in one sentence.")]
    report: Annotated[str, Meta(description="Where that was met, if anywhere.")] = ""
    about: Annotated[
        list[Text],
        Meta(min_length=1, description="Ids or globs of the scenarios about this vice."),
    ]
    edits: Annotated[
        Annotated[list[EditTable], Meta(min_length=1)] | UnsetType,
        Meta(description="What is changed in the right probe."),
    ] = UNSET
    command: Annotated[
        Text | UnsetType,
        Meta(description="In place of edits: a wrong probe that is a program of its own."),
    ] = UNSET
    repeat: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="How often each scenario is run, for a vice that does not always show.",
        ),
    ] = 1


class BankFile(Struct, forbid_unknown_fields=True, kw_only=True):
    """Wrong probes of one contract."""

    contract: Annotated[
        Text,
        Meta(
            description=f"The contract that the right probe conforms to: {_BUNDLED_OR_FILE}.",
        ),
    ]
    base: Annotated[
        str,
        Meta(
            description=f"The right probe: {_FILE_OR_REFERENCE}; the contract's own by default.",
        ),
    ] = ""
    files: Annotated[list[Text], Meta(description="What else has to lie beside the base.")] = []
    wrong: Annotated[
        dict[Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*\Z")], WrongTable],
        Meta(description="Name of a wrong probe to what makes it wrong."),
    ]


class WrongProbe(Struct, frozen=True, kw_only=True):
    """A probe with one vice."""

    name: str
    contract: str
    """The contract it breaks."""
    vice: str
    """What it does wrong, in one sentence."""
    report: str
    """Where that was met; empty where nobody has reported it yet."""
    about: tuple[str, ...]
    """Ids of the scenarios that are about this vice."""
    repeat: int = 1
    """How often each scenario is run, for a vice that does not show every time."""
    program: str = ""
    """The file to start, where the probe is one that was edited."""
    sources: dict[str, str] = {}
    """What the edited probe is made of: file name to text."""
    command: tuple[str, ...] = ()
    """What starts it, where it is a program of its own."""

    def install(self, directory: Path) -> tuple[str, ...]:
        """Write the probe to *directory*, which is made; return its command."""
        if self.command:
            return self.command
        directory.mkdir(mode=0o755, parents=True)
        for name, text in self.sources.items():
            path = directory / name
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)
        start = str(directory / self.program)
        return (sys.executable, "-I", start) if self.program.endswith(".py") else (start,)

    @property
    def id(self) -> str:
        """What reports call it."""
        return f"{self.contract}/{self.name}"


class Bank(Struct, frozen=True, kw_only=True):
    """The wrong probes of one contract, and the right one they were made from."""

    file: str
    contract: Contract
    right: WrongProbe | None
    """The base without any edit; None where every wrong probe is a program of its own."""
    wrong: tuple[WrongProbe, ...]


def bundled_bank() -> Path:
    """Return the directory of the bank that ships with the suite."""
    return fixtures_dir() / "wrong-probes"


def read_banks(directory: Path, catalogue: Catalogue) -> list[Bank]:
    """Return the banks in *directory*, one for each file, in the order of the files' names.

    :raises UsageError: there is no bank.
    :raises ManyErrors: files are wrong; has a line for each mistake.
    """
    files = sorted(directory.glob("*.toml")) if os.path.isdir(directory) else []
    if not files:
        raise UsageError(
            f"no bank of wrong probes in {directory}",
            hint="it takes a TOML file with a table [wrong]",
        )
    errors: list[ConformanceError] = []
    banks = []
    for file in files:
        try:
            banks.append(_Reader(file, catalogue).bank())
        except ConformanceError as e:
            errors += e.errors if isinstance(e, ManyErrors) else [e]
    if errors:
        raise ManyErrors(errors)
    return banks


class _Reader:
    """Reads one file of a bank."""

    def __init__(self, file: Path, catalogue: Catalogue) -> None:
        self.file = file
        self.name = str(file)
        self.shape = convert(read_toml(file), BankFile, name=self.name)
        self.contract = contracts.load(self.shape.contract, base=file.parent)
        self.catalogue = under_contract(catalogue, self.contract)

    def bank(self) -> Bank:
        errors: list[ConformanceError] = []
        wrong = []
        for name, table in self.shape.wrong.items():
            try:
                wrong.append(self._wrong(name, table))
            except FileError as e:
                errors.append(e)
        if errors:
            raise ManyErrors(errors)
        edited = any(not probe.command for probe in wrong)
        right = self._probe("(base)", self._base, self.sources) if edited else None
        return Bank(file=self.name, contract=self.contract, right=right, wrong=tuple(wrong))

    @property
    def _base(self) -> str:
        return self.shape.base or self.contract.reference

    @cached_property
    def sources(self) -> Mapping[str, str]:
        """The right probe: beside the bank's file, else among the reference probes."""
        if not self._base:
            hint = "name a file beside this one"
            raise FileError(self.name, "edits need a program to change", key="base", hint=hint)
        return {wanted: self._source(wanted) for wanted in (self._base, *self.shape.files)}

    def _source(self, wanted: str) -> str:
        """Return the text of a file called *wanted*."""
        for place in (self.file.parent, fixtures_dir() / "probes"):
            if os.sep not in wanted and os.path.isfile(place / wanted):
                return read_text(place / wanted)
        hint = "name one beside this file, or a reference probe"
        raise FileError(self.name, f"no file '{wanted}'", key="base", hint=hint)

    def _wrong(self, name: str, table: WrongTable) -> WrongProbe:
        key = f"wrong.{name}"
        edits, command = table.edits, table.command
        if isinstance(edits, UnsetType) == isinstance(command, UnsetType):
            raise FileError(self.name, "needs edits or a command, and not both", key=key)
        try:
            selected = select(self.catalogue, table.about, self.contract)
        except UsageError as e:
            raise FileError(self.name, e.cause, key=f"{key}.about", hint=e.hint) from None
        about = tuple(scenario.id for scenario in selected)
        if not isinstance(command, UnsetType):
            argv = self._command(command, f"{key}.command")
            return self._probe(name, "", {}, table, about, argv)
        sources = dict(self.sources)
        if not isinstance(edits, UnsetType):
            for number, edit in enumerate(edits):
                self._edit(sources, edit, f"{key}.edits.{number}")
        return self._probe(name, self._base, sources, table, about)

    def _edit(self, sources: dict[str, str], edit: EditTable, key: str) -> None:
        """Make one edit to *sources*, or say why it cannot be made."""
        file = edit.file or self._base
        if file not in sources:
            hint = f"known: {', '.join(sources)}"
            raise FileError(self.name, f"no file '{file}'", key=f"{key}.file", hint=hint)
        times = sources[file].count(edit.old)
        if times != 1:
            line = _first_line(edit.old)
            hint = "give more, or less, of the lines around it"
            if times == 0:
                known = [text.strip() for text in sources[file].splitlines()]
                for close in difflib.get_close_matches(line, known, n=1):
                    hint = f"there is: {close}"
            cause = f"'{line}' occurs {times} times in {file}, not once"
            raise FileError(self.name, cause, key=f"{key}.old", hint=hint)
        if edit.old == edit.new:
            raise FileError(self.name, "changes nothing", key=key)
        sources[file] = sources[file].replace(edit.old, edit.new)

    def _command(self, command: str, key: str) -> tuple[str, ...]:
        """Return the words of *command*, its program and files beside the bank by full names."""
        try:
            words = shlex.split(command)
        except ValueError as e:
            raise FileError(self.name, f"cannot be split: {str(e).lower()}", key=key) from None
        program = self._program(words[0]) if words else None
        if program is None or not os.access(program, os.X_OK) or os.path.isdir(program):
            hint = "name one that can be executed, from this file on"
            raise FileError(self.name, f"no program '{command}'", key=key, hint=hint)
        return (os.path.abspath(program), *self._from_here(words[1:]))

    def _program(self, name: str) -> str | None:
        return str(self.file.parent / name) if "/" in name else shutil.which(name)

    def _from_here(self, words: list[str]) -> Iterator[str]:
        """Yield *words*; a probe runs elsewhere, so that files beside the bank get full names."""
        for word in words:
            path = self.file.parent / word
            yield str(path.absolute()) if os.path.isfile(path) else word

    def _probe(
        self,
        name: str,
        program: str,
        sources: Mapping[str, str],
        table: WrongTable | None = None,
        about: tuple[str, ...] = (),
        command: tuple[str, ...] = (),
    ) -> WrongProbe:
        return WrongProbe(
            name=name,
            contract=self.contract.name,
            vice=one_line(table.vice) if table else "",
            report=one_line(table.report) if table else "",
            about=about,
            repeat=table.repeat if table else 1,
            program=program,
            sources=dict(sources),
            command=command,
        )


def _first_line(text: str) -> str:
    """Return the first line of *text* that is not blank; *text* itself if all are."""
    lines = text.strip().splitlines()
    return one_line(lines[0] if lines else text)
