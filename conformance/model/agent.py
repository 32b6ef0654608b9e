"""The coding agents, and the states that their CLIs can be in."""

from __future__ import annotations

from msgspec import Struct

from conformance.model.scenario import Entry, Text

__all__ = ["AGENT_CLIS", "HEALTHY", "CliState"]

#: Programs that a probe may look for. Only stubs of them may be reachable.
AGENT_CLIS = ("claude", "codex")

#: The state of the CLI where a scenario does not name one.
HEALTHY = "healthy"

#: The first line of a stub that a shell runs.
_SHELL_SCRIPT = "#!/bin/sh\n"


class CliState(Struct, frozen=True, kw_only=True):
    """One state of an agent's CLI, as its file describes it."""

    name: str
    summary: str
    waits: bool
    """Whether a right probe may spend its run waiting, so that the run should overlap others."""
    alone: bool
    """Whether no other CLI lies beside it."""
    entries: tuple[Entry, ...]
    """The stub; the entry called ``cli`` gets the program's name. Empty if the CLI is missing."""

    @property
    def needs_shell(self) -> bool:
        """Whether its stub is a shell script that has to run, so that a shell must be there."""
        return any(_is_shell_script(entry) for entry in self.entries)


def _is_shell_script(entry: Entry) -> bool:
    runnable = entry.mode is not None and entry.mode & 0o111
    if not runnable or not isinstance(entry.content, Text):
        return False
    return entry.content.text.startswith(_SHELL_SCRIPT)
