"""A fake HOME, the state of the agent's CLI, the environment, and what each contract expects."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from conformance.model.contract import Contract, Role

__all__ = [
    "MANY_ENTRIES",
    "PATH_PLACEHOLDER",
    "Bytes",
    "ContainerNeeds",
    "Content",
    "Entry",
    "EntryKind",
    "Json",
    "Process",
    "Runs",
    "Scenario",
    "Text",
]

EntryKind = Literal["file", "directory", "symlink", "fifo", "socket"]

#: In a PATH that a scenario sets: the PATH of every other one, with the stubs.
PATH_PLACEHOLDER = "{path}"

#: A home with this many entries of one kind keeps the disk busy for longer than most probes run.
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
    """Texts with placeholders, each with the number of times it is written."""

    runs: tuple[tuple[str, int], ...]


#: What a file of the HOME holds.
Content = Text | Bytes | Json | Runs


class Entry(Struct, frozen=True, kw_only=True):
    """One line of a scenario's HOME, with its placeholders not yet replaced."""

    path: str
    kind: EntryKind
    content: Content | None = None
    """What a file holds, without padding; None if it is empty or the entry is not a file."""
    target: str = ""
    size: int | None = None
    """The size in bytes that the content is padded to with blanks."""
    mode: int | None = None
    owner: int | None = None
    mtime: str = ""
    count: int = 1
    depth: int = 0


class ContainerNeeds(Struct, frozen=True, kw_only=True):
    """What a scenario asks of the container around its HOME; no local run can provide it."""

    user: str = ""
    """Numeric ``uid`` or ``uid:gid`` that the image runs as; empty for its own user."""
    home_owner: int | None = None
    """Owner of the HOME and of its entries, unless an entry names another.

    None for the user that the image runs as.
    """
    home_read_only: bool = False
    """Whether the HOME is a read-only mount."""


class Process(Struct, frozen=True, kw_only=True):
    """How the process of the probe starts, where that is not as in every other scenario."""

    umask: int | None = None
    cwd: str = ""
    """Its current directory, absolute, with placeholders; empty for that of the suite."""


class Scenario(Struct, frozen=True, kw_only=True):
    """A fake HOME, the state of the agent's CLI, the environment and what each contract expects."""

    id: str
    file: str
    summary: str
    origin: str
    agent: str
    control: dict[str, str]
    """Contract to the id of the nearest scenario with another verdict; ``""`` is any other one."""
    expect: dict[str, tuple[str, ...]]
    entries: tuple[Entry, ...] = ()
    cli: str = "healthy"
    """The name of the state that the agent's CLI is in."""
    cli_file: str = ""
    """The file of that state, if it is not a bundled one."""
    waits: bool = False
    """Whether a right probe may spend its run waiting, so that the run should overlap others."""
    inputs: dict[Role, str] = field(default_factory=dict)
    """Role to what the contract's variable for it holds, where that is not the usual thing."""
    inputs_unset: tuple[Role, ...] = ()
    """Roles whose variable is not set."""
    env: dict[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    process: Process = Process()
    home_name: str = ""
    """The name of the directory that is the HOME; empty for a plain one."""
    earlier: tuple[Entry, ...] | None = None
    """The HOME in which the probe ran a moment earlier; it lay where the HOME lies now.

    None if it did not run there before.
    """
    container: ContainerNeeds | None = None
    """None if any driver can run it."""
    rules: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Contract to the short names of the rules that decide: the first that is not off does."""
    layers: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    """The layers that its HOME is made from, in order, each with its entries."""
    differs: str = ""
    """Why its HOME differs in more than one thing from the nearest other one; empty if not."""
    variant: str = ""
    """Its name in the file of a family; the id is the id of the file, a slash and this name."""

    def expected(self, contract: Contract) -> tuple[str, ...]:
        """Return the verdicts that conform under *contract*; none if it is not part of it.

        A contract that extends another inherits the expectation of its nearest ancestor, unless it
        has changed the rules that this expectation rests on. A scenario about another agent, or
        about an input that the contract does not have, is not part of it.
        """
        name = self._named_by(contract)
        if not name or self.agent not in contract.agents or not self._has_inputs(contract):
            return ()
        cited = self.rules.get(name, ())
        nearer = contract.lineage[: contract.lineage.index(name)]
        for place, rule in enumerate(contract.rules[cites] for cites in cited):
            if rule.off:
                continue
            if place == 0 and rule.decided_by not in nearer:
                break
            return rule.expect
        else:
            if cited:  # every rule that could decide is off
                return ()
        return self.expect[name]

    def _named_by(self, contract: Contract) -> str:
        """Return the nearest of *contract* and its ancestors that the scenario names, if any."""
        return next((name for name in contract.lineage if name in self.expect), "")

    def _has_inputs(self, contract: Contract) -> bool:
        roles = (*self.inputs, *self.inputs_unset)
        return all(contract.inputs.variable(role) for role in roles)

    def codes(self, contract: Contract) -> set[int]:
        """Return the exit codes that conform under *contract*."""
        return contract.codes(self.expected(contract))

    def key(self, name: str) -> str:
        """Return the full key in its file, for messages, of its own key *name*."""
        return f"variants.{self.variant}.{name}" if self.variant else name

    def cites(self, contract: Contract) -> tuple[str, ...]:
        """Return the names of the rules that decide under *contract*, the first one first."""
        return self.rules.get(self._named_by(contract), ())

    def decided_by(self, contract: Contract) -> str:
        """Return the name of the rule that decides under *contract*; empty where none is cited."""
        for name in self.cites(contract):
            if not contract.rules[name].off:
                return name
        return ""

    def control_for(self, contract: Contract) -> str:
        """Return the id of the control under *contract*."""
        for name in contract.lineage:
            if name in self.control:
                return self.control[name]
        return self.control.get("", "")

    @property
    def only_local(self) -> bool:
        """Whether no image can show it.

        An image says itself where it starts and where its HOME lies, and a container runs it once.
        """
        return bool(self.process.cwd or self.home_name or self.earlier is not None)

    @property
    def takes_long(self) -> bool:
        """Whether its run should start before the others.

        It waits, or its home takes long to build and to remove.
        """
        return self.waits or any(entry.count >= MANY_ENTRIES for entry in self.entries)
