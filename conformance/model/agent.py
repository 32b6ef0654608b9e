"""The coding agents, and the states that their CLIs can be in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from conformance.model.scenario import Entry, Text

__all__ = ["AGENT_CLIS", "HEALTHY", "IN_HOME", "Answer", "CliState", "named", "named_path"]

#: Programs that a probe may look for. Only stubs of them may be reachable.
AGENT_CLIS = ("claude", "codex")

#: The state of the CLI where a scenario does not name one.
HEALTHY = "healthy"

#: What a directory on PATH begins with if it lies below the HOME.
IN_HOME = "{home}/"

#: The first line of a stub that a shell runs.
_SHELL_SCRIPT = "#!/bin/sh\n"


class Answer(Struct, frozen=True, kw_only=True):
    """What a stub does when it is started, for those who do not start it."""

    program: str = ""
    """The name it has to have; empty for any."""
    arguments: tuple[str, ...] = ()
    """What its first argument has to be one of; empty for any."""
    code: int = 0
    signal: str = ""
    """The name of the signal that it dies by; empty if it exits."""
    error: str = ""
    """The name of the error with which it does not start; empty if it starts."""
    stdout: Entry | None = None
    """What it prints, as the content of a file; None for nothing."""
    stderr: Entry | None = None
    seconds: str = "0"
    """How long it takes, with its placeholders not yet replaced."""
    child: str = ""
    """The command line of what it starts, and what holds its output open; empty for nothing."""
    child_seconds: float | None = None
    """How long that takes; None for as long as itself."""
    becomes: str = ""
    """The command line of what takes its place; empty for itself."""
    ignores: tuple[str, ...] = ()
    """The names of the signals that it ignores."""
    terminal: bool = False
    """Whether it does so for want of a terminal: on one, it succeeds."""
    asked: bool = False
    """Whether the question is kept."""
    writes: tuple[Entry, ...] = ()
    """What it writes below the HOME where nothing is yet."""

    def fits(self, program: str, arguments: Sequence[str]) -> bool:
        """Return whether it is the answer of a *program* of that name to these *arguments*."""
        if self.program and self.program != program:
            return False
        return not self.arguments or (bool(arguments) and arguments[0] in self.arguments)


class CliState(Struct, frozen=True, kw_only=True):
    """One state of an agent's CLI, as its file describes it."""

    name: str
    summary: str
    waits: bool
    """Whether a right probe may spend its run waiting, so that the run should overlap others."""
    alone: bool
    """Whether no other CLI lies beside it."""
    entries: tuple[Entry, ...]
    """The stub; see :func:`named`. Empty if the CLI is missing."""
    home: tuple[Entry, ...] = ()
    """What lies below the HOME."""
    path: tuple[str, ...] = (".",)
    """Directories on PATH, in order: of the stub, where ``.`` is its top, or below ``{home}/``."""
    writes: tuple[str, ...] = ()
    """Paths that the stub may add to the HOME."""
    answers: dict[str, tuple[Answer, ...]] = field(default_factory=dict)
    """Path of a program, as in ``entries`` or below ``{home}/``, to what it does when started."""

    @property
    def needs_shell(self) -> bool:
        """Whether its stub is a shell script that has to run, so that a shell must be there."""
        return any(_is_shell_script(entry) for entry in (*self.entries, *self.home))

    @property
    def needs_home(self) -> bool:
        """Whether its stub holds the path of the HOME, and so serves one home only."""
        return any("{home}" in _text(entry) for entry in self.entries)


def named(entries: Iterable[Entry], program: str) -> list[Entry]:
    """Return *entries* of a state with the name of its *program* in place of each ``cli``.

    That is each such name in a path, and in the target of a link.
    """
    return [
        replace(
            entry, path=named_path(entry.path, program), target=named_path(entry.target, program)
        )
        for entry in entries
    ]


def named_path(path: str, program: str) -> str:
    """Return *path* with the name of the *program* in place of each part ``cli``."""
    return "/".join(program if part == "cli" else part for part in path.split("/"))


def _text(entry: Entry) -> str:
    return entry.content.text if isinstance(entry.content, Text) else entry.target


def _is_shell_script(entry: Entry) -> bool:
    runnable = entry.mode is not None and entry.mode & 0o111
    return bool(runnable) and entry.kind == "file" and _text(entry).startswith(_SHELL_SCRIPT)
