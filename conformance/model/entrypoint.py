"""What a contract says of an entrypoint: its modes, the program of each, and what it may write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct, field

__all__ = ["REFUSED", "SHELL", "STARTED", "TOOLS", "Entrypoint", "Mode", "Seed"]

#: The two verdicts that every contract of an entrypoint has.
STARTED, REFUSED = "started", "refused"

#: In place of a program: a shell, whichever it is, that reads its standard input.
SHELL = "{shell}"

#: Programs that an entrypoint, or a stub, needs itself: no stub can stand in their place.
TOOLS = ("sh", "bash", "dash", "ash", "busybox", "env", "cat", "ls", "mkdir", "chmod")

_AGENT, _ARGUMENTS = "{agent}", "{args}"


class Mode(Struct, frozen=True, kw_only=True):
    """What is started in one mode."""

    value: str
    """What the variable of the mode holds."""
    program: dict[str, tuple[str, ...]]
    """Agent to the program and its arguments; ``{agent}`` and ``{args}`` are replaced.

    The name ``""`` stands for every agent that is not named.
    """
    bare: tuple[str, ...] = ()
    """What is started in its place where the container has no arguments; empty for the same."""
    reaches: tuple[str, ...] = ()
    """Variables that must reach what is started, as they were given."""
    withholds: tuple[str, ...] = ()
    """Variables that must not reach it."""

    def started(self, agent: str, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return the program that is started for *agent*, with its arguments."""
        template = self.program.get(agent) or self.program.get("", ())
        if self.bare and not arguments:
            template = self.bare
        words: list[str] = []
        for word in template:
            if word == _ARGUMENTS:
                words += arguments
            else:
                words.append(word.replace(_AGENT, agent))
        return tuple(words)

    def templates(self) -> Iterator[tuple[str, ...]]:
        """Yield every program that it names, with its arguments, as it stands in the contract."""
        yield from self.program.values()
        if self.bare:
            yield self.bare


class Seed(Struct, frozen=True, kw_only=True):
    """A credential file that the entrypoint makes from a variable, where there is none."""

    variable: str
    file: str
    """Its path below the HOME."""


class Entrypoint(Struct, frozen=True, kw_only=True):
    """The table of an entrypoint."""

    modes: dict[str, Mode]
    """Name of a mode, which scenarios say, to what is started in it."""
    seeds: dict[str, Seed] = field(default_factory=dict)
    """Agent to the credential file that is made for it."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables of every start; ``{agent}`` and placeholders of scenarios are replaced."""

    def value(self, mode: str) -> str:
        """Return what the variable of the mode holds for *mode*, the name of one or any text."""
        known = self.modes.get(mode)
        return known.value if known is not None else mode

    def named(self, value: str) -> Mode | None:
        """Return the mode whose variable holds *value*; None if there is none."""
        return next((mode for mode in self.modes.values() if mode.value == value), None)

    def programs(self, agents: Sequence[str]) -> tuple[str, ...]:
        """Return the programs that may be started for one of the *agents*, sorted.

        These are names that are looked for on PATH, or absolute paths.
        """
        found: set[str] = set()
        for mode in self.modes.values():
            for template in mode.templates():
                found.update(template[0].replace(_AGENT, agent) for agent in agents)
        return tuple(sorted(found - {SHELL, _ARGUMENTS}))
