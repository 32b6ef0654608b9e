"""The shape of files that describe a state of a CLI; their JSON Schema is made from it."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from conformance.catalogue.entry_schema import EntryTable
from conformance.catalogue.schema import Files, Text

__all__ = ["AnswerTable", "CliFile"]


class AnswerTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What the stub does when it is started, for gates that are called in process.

    Nothing is started there. Of several answers the first counts that fits; they are those of the
    program 'cli'.
    """

    program: Annotated[
        Text | UnsetType, Meta(description="Only for a program of this name; by default, any.")
    ] = UNSET
    arguments: Annotated[
        list[str], Meta(description="Only where its first argument is one of these; empty: any.")
    ] = []
    code: Annotated[Annotated[int, Meta(ge=0, le=255)], Meta(description="Its exit status.")] = 0
    signal: Annotated[
        Text | UnsetType, Meta(description="The signal that it dies by, such as 'SIGKILL'.")
    ] = UNSET
    error: Annotated[
        Text | UnsetType,
        Meta(
            description="Why it does not start, as errno names it: 'ENOEXEC'. With ENOEXEC, 'code' "
            "is what a shell makes of it."
        ),
    ] = UNSET
    stdout: Annotated[
        str | EntryTable, Meta(description="What it prints: a text, or a table as for a file.")
    ] = ""
    stderr: Annotated[str | EntryTable, Meta(description="The same for stderr.")] = ""
    seconds: Annotated[
        float | str, Meta(description="How long it takes; '{limit:0.3}' is a part of its limit.")
    ] = 0
    child: Annotated[
        Text | UnsetType,
        Meta(description="What it starts, as a command line, which holds its output open."),
    ] = UNSET
    child_seconds: Annotated[
        float | UnsetType, Meta(description="How long that takes; by default, as long as itself.")
    ] = UNSET
    becomes: Annotated[
        Text | UnsetType, Meta(description="The command line of what takes its place by exec.")
    ] = UNSET
    ignores: Annotated[list[str], Meta(description="Signals that it ignores.")] = []
    terminal: Annotated[
        bool, Meta(description="Whether it does so for want of a terminal: on one, it succeeds.")
    ] = False
    asked: Annotated[
        bool, Meta(description="Whether the question is kept, as the stub keeps it in {asked}.")
    ] = False
    writes: Annotated[
        Files, Meta(description="What it writes below the HOME, where nothing is yet.")
    ] = {}


class CliFile(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One state that an agent's CLI can be in. Its name is that of the file, without .toml."""

    summary: Annotated[Text, Meta(description="What the CLI is like, in one sentence.")]
    files: Annotated[
        Files,
        Meta(description="The stub: a name 'cli' in a path or a link becomes the program's."),
    ] = {}
    home: Annotated[
        Files, Meta(description="What lies below the HOME, and belongs to the CLI; as in 'files'.")
    ] = {}
    like: Annotated[
        dict[str, str],
        Meta(description="Path, which may begin with {home}/, to the state whose stub lies there."),
    ] = {}
    path: Annotated[
        list[str],
        Meta(
            min_length=1,
            description="Directories on PATH, in order: of 'files', where '.' is its top, "
            "or below {home}.",
        ),
    ] = field(default_factory=lambda: ["."])
    writes: Annotated[
        list[Text],
        Meta(description="What the stub adds to the HOME; '*' is one name, '**' any path."),
    ] = []
    answers: Annotated[
        list[AnswerTable],
        Meta(description="What the program 'cli' does when it is started, for gates in process."),
    ] = []
    waits: Annotated[bool, Meta(description="Whether a right probe may spend its run waiting.")] = (
        False
    )
    alone: Annotated[bool, Meta(description="Whether no other agent's CLI lies beside it.")] = False
