"""A fake HOME, the state of the agent's CLI, the environment, and what each contract expects."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from conformance.model.contract import Contract

__all__ = [
    "MANY_ENTRIES",
    "Bytes",
    "ContainerNeeds",
    "Content",
    "Entry",
    "EntryKind",
    "Json",
    "Runs",
    "Scenario",
    "Text",
]

EntryKind = Literal["file", "directory", "symlink", "fifo", "socket"]

#: A home with so many entries of one kind keeps the disk busy for longer than most probes run.
MANY_ENTRIES = 1_000


class Text(Struct, frozen=True, tag="text"):
    """Text with placeholders."""

    text: str


class Bytes(Struct, frozen=True, tag="bytes"):
    """Bytes as they are."""

    data: bytes


class Json(Struct, frozen=True, tag="json"):
    """A JSON value, with placeholders in its strings."""

    value: Any


class Runs(Struct, frozen=True, tag="runs"):
    """Texts with placeholders, each written so many times."""

    runs: tuple[tuple[str, int], ...]


#: What a file of the HOME holds.
Content = Text | Bytes | Json | Runs


class Entry(Struct, frozen=True, kw_only=True):
    """One line of a scenario's HOME, placeholders still in place."""

    path: str
    kind: EntryKind
    content: Content | None = None
    """What a file holds, but for padding; None for an empty one, and for what is not a file."""
    target: str = ""
    size: int | None = None
    """Pad the content with blanks up to this many bytes."""
    mode: int | None = None
    owner: int | None = None
    mtime: str = ""
    count: int = 1
    depth: int = 0


class ContainerNeeds(Struct, frozen=True, kw_only=True):
    """What a scenario asks of the container around its HOME; no local run can give it."""

    user: str = ""
    """Numeric ``uid`` or ``uid:gid`` the image is run as; empty for its own."""
    home_owner: int | None = None
    """Who owns the HOME directory and what is in it, unless an entry says otherwise; None for the user the image runs as."""
    home_read_only: bool = False
    """Whether the HOME is a mount that nobody can write to."""


class Scenario(Struct, frozen=True, kw_only=True):
    """A fake HOME, the state of the agent's CLI, the environment, and what each contract expects."""

    id: str
    file: str
    summary: str
    origin: str
    agent: str
    control: dict[str, str]
    """Contract to the id of the nearest scenario with another verdict; ``""`` stands for all others."""
    expect: dict[str, tuple[str, ...]]
    entries: tuple[Entry, ...] = ()
    cli: str = "healthy"
    """The name of the state that the agent's CLI is in."""
    waits: bool = False
    """Whether a probe may have nothing to do here but wait, so that its run should overlap others."""
    env: dict[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    container: ContainerNeeds | None = None
    """None where any driver can run it."""
    rules: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Contract to the short names of its rules that the case is about."""
    variant: str = ""
    """Its name in a file that holds several; the id is the file's, a slash, and this."""

    def expected(self, contract: Contract) -> tuple[str, ...]:
        """Return the verdicts that conform under *contract*; empty where it has no part in it.

        A contract that extends another inherits what the nearest of its ancestors expects.
        """
        for name in contract.lineage:
            if name in self.expect:
                return self.expect[name]
        return ()

    def key(self, name: str) -> str:
        """Return what messages call the key *name* of it within its file."""
        return f"variants.{self.variant}.{name}" if self.variant else name

    def cites(self, contract: Contract) -> tuple[str, ...]:
        """Return the names of the rules that its expectation under *contract* rests on."""
        for name in contract.lineage:
            if name in self.expect:
                return self.rules.get(name, ())
        return ()

    def control_for(self, contract: Contract) -> str:
        """Return the id of the control under *contract*."""
        for name in contract.lineage:
            if name in self.control:
                return self.control[name]
        return self.control.get("", "")

    @property
    def takes_long(self) -> bool:
        """Whether its run should start before all others: it waits, or its home takes the disk long to make and to remove."""
        return self.waits or any(entry.count >= MANY_ENTRIES for entry in self.entries)
