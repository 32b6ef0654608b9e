"""How a scenario starts an entrypoint, once or twice, and what was seen of each start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, field

from conformance.model.entry import Entry

__all__ = [
    "HELP",
    "VERSION",
    "Again",
    "Called",
    "FileSeen",
    "SeedSeen",
    "Start",
    "StartSeen",
    "question_in",
    "same_command",
]

#: With one of these as its first argument a program says which version it is, and does nothing.
VERSION = ("--version", "-v", "-V", "version")
#: With one of these it says how it is used.
HELP = ("--help", "help")


def question_in(argv: Sequence[str]) -> str:
    """Return the argument with which the command *argv* only asks a program; empty for none."""
    return argv[1] if len(argv) > 1 and argv[1] in (*VERSION, *HELP) else ""


def same_command(got: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether two commands are the same, by whichever path the program was found."""
    if not got or not wanted:
        return not got and not wanted
    name = wanted[0].rpartition("/")[2]
    return got[0].rpartition("/")[2] == name and tuple(got[1:]) == tuple(wanted[1:])


class Again(Struct, frozen=True, kw_only=True):
    """A second start over the HOME that the first one has left."""

    mode: str = ""
    """Its mode; empty for that of the first start."""
    changed: tuple[Entry, ...] = ()
    """What somebody has written into the HOME between the two."""
    removed: tuple[str, ...] = ()
    """Paths of what somebody has removed there."""


class Start(Struct, frozen=True, kw_only=True):
    """The start of an entrypoint."""

    arguments: tuple[str, ...] = ()
    """The container's arguments."""
    code: int = 0
    """The exit code with which what is started ends."""
    session: str | None = None
    """What the variable holds from which a credential file is made; None where it is not set."""
    again: Again | None = None
    """The second start; None for only one."""


class Called(Struct, frozen=True, kw_only=True):
    """One program that the entrypoint started, as a stub in its place has recorded it."""

    argv: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = ""
    open_seed: str = ""
    """The mode of the seeded file at that moment, if others could read what it held."""
    helper: bool = False
    """Whether it is a tool that does its work, such as ``chmod``."""

    @property
    def question(self) -> bool:
        """Whether it was only asked for its version, or how it is used."""
        return bool(question_in(self.argv))


class FileSeen(Struct, frozen=True, kw_only=True):
    """What lies at one path of the HOME."""

    kind: Literal["", "file", "directory", "symlink", "other"] = ""
    """Empty where nothing is there."""
    mode: int = 0
    content: bytes | None = None
    """What the file holds, or the one that a link leads to; None where there is none to read."""
    target: str = ""


class SeedSeen(Struct, frozen=True, kw_only=True):
    """A credential file that an entrypoint may make, before and after a start."""

    path: str
    variable: str
    given: str | None
    """What the variable held; None where it was not set."""
    before: FileSeen
    after: FileSeen


class StartSeen(Struct, frozen=True, kw_only=True):
    """What a driver saw of one start."""

    mode: str
    """What the variable of the mode held."""
    expected: tuple[str, ...]
    """The program and arguments that the contract calls for; empty where it calls for none."""
    usual: tuple[str, ...] = ()
    """The same with the arguments that an image has of its own; empty where it has none."""
    given: dict[str, str]
    """The environment of the start."""
    end: Literal["exited", "killed", "timed-out"]
    code: int = 0
    """The exit code, or the number of the signal."""
    said: bytes = b""
    """What came on standard output and standard error."""
    calls: tuple[Called, ...] = ()
    changes: tuple[str, ...] = ()
    """What changed in the HOME and may not, where something was to be started."""
    touched: tuple[str, ...] = ()
    """What changed in the HOME, except for what CLIs may write there."""
    seed: SeedSeen | None = None
    seconds: float = 0.0

    @property
    def programs(self) -> tuple[Called, ...]:
        """The programs that were started, in order: no tools, and no questions.

        What the contract calls for counts, be it a question or not.
        """
        wanted = (self.expected, self.usual)
        return tuple(
            call
            for call in self.calls
            if not call.helper
            and (not call.question or any(same_command(call.argv, one) for one in wanted))
        )
