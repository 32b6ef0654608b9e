"""The coding agents, and the conditions that their CLIs can be in."""

from __future__ import annotations

from msgspec import Struct

from conformance.model.scenario import Entry, Text

__all__ = ["AGENT_CLIS", "HEALTHY", "CliState"]

#: Programs that a probe may look for. None of them may be reachable but through the stubs.
AGENT_CLIS = ("claude", "codex")

#: The state of a CLI in a scenario that says nothing of it.
HEALTHY = "healthy"

#: How a stub begins that is run by a shell.
_SHELL_SCRIPT = "#!/bin/sh\n"


class CliState(Struct, frozen=True, kw_only=True):
    """One condition of an agent's CLI, as its file says it."""

    name: str
    summary: str
    waits: bool
    """Whether a right probe may have nothing to do but wait, so that its run should overlap others."""
    alone: bool
    """Whether no other CLI lies beside it."""
    entries: tuple[Entry, ...]
    """The stub; the entry called ``cli`` takes the program's name. None of them where the CLI is missing."""

    @property
    def needs_shell(self) -> bool:
        """Whether its stub has to run, which takes the shell that it is written for."""
        runnable = (entry for entry in self.entries if entry.mode is not None and entry.mode & 0o111)
        texts = (entry.content.text for entry in runnable if isinstance(entry.content, Text))
        return any(text.startswith(_SHELL_SCRIPT) for text in texts)
