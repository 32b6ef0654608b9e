"""What a probe may answer, and what each answer means to the Manager."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from conformance.model.outcome import FindingKind

__all__ = [
    "Action",
    "Contract",
    "Inputs",
    "Limits",
    "Rule",
    "Verdict",
]


class Action(Struct, frozen=True):
    """What a Manager does when it sees a code: one word, and the labels it puts on what it does."""

    name: str
    labels: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return " ".join((self.name, *sorted(self.labels)))

    def covers(self, asked: Action) -> bool:
        """Return whether doing this is doing what was *asked*: the same, with at least the labels asked for."""
        return self.name == asked.name and self.labels >= asked.labels


class Verdict(Struct, frozen=True, kw_only=True):
    """One named meaning of an answer."""

    name: str
    code: int
    """The exit code, 0 to 255. Verdicts may share one where the contract does not tell them apart."""
    meaning: str
    action: str
    """What the Manager does when it sees the code."""
    labels: tuple[str, ...] = ()
    """What the Manager labels it with, such as the ticket it queues."""

    @property
    def asks(self) -> Action:
        """What the contract asks of the Manager."""
        return Action(self.action, frozenset(self.labels))


class Rule(Struct, frozen=True, kw_only=True):
    """One sentence of a contract, which scenarios cite by its short name."""

    contract: str
    """The contract that lays it down; one that extends it inherits it."""
    text: str
    expect: tuple[str, ...] = ()
    """The verdicts it calls for; more than one where it leaves the point open, none where it holds in every scenario."""
    findings: tuple[FindingKind, ...] = ()
    """What breaking it is called, where every scenario looks for that."""


class Inputs(Struct, frozen=True, kw_only=True):
    """How a contract hands its inputs to the probe: names of environment variables."""

    home: str
    agent: str = ""
    """Variable that carries the agent's name; empty where the contract has none."""
    opposite_home: str = ""
    """Variable that points at a second home whose answer would be the opposite; empty for none."""


class Limits(Struct, frozen=True, kw_only=True):
    """What a probe may use up."""

    seconds: float = 15.0
    """Wall time from start to exit."""


class Contract(Struct, frozen=True, kw_only=True):
    """What a probe may answer, and what each answer means to the Manager."""

    name: str
    version: str
    summary: str
    agents: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    inputs: Inputs
    limits: Limits = Limits()
    otherwise: tuple[str, ...] = ("retry",)
    """Actions that a Manager may take on a code that means none of the verdicts: a passing fault of the probe."""
    reference: str = ""
    """File of the bundled reference probe, below ``fixtures/probes``; empty for none."""
    lineage: tuple[str, ...] = ()
    """Its own name, then the contracts it extends, nearest first."""
    allowed_writes: tuple[str, ...] = ()
    """Paths that may appear in the HOME while the probe runs, because the agent's CLI writes them."""
    entrypoint_writes: tuple[str, ...] = ()
    """Paths that may appear or change in the HOME while an image runs, because its entrypoint fills them before the probe."""
    outside_writes: Literal["shown", "forbidden"] = "shown"
    """Whether a file that changes outside the HOME, in a container, is a finding."""
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Agent to the command of its own CLI that answers as the probe; empty where the probe is a program of its own."""
    rules: dict[str, Rule] = field(default_factory=dict)
    """What it demands, by short names; those of the contracts it extends included."""

    def verdict(self, name: str) -> Verdict:
        """Return the verdict called *name*; :class:`KeyError` where the contract has none."""
        for verdict in self.verdicts:
            if verdict.name == name:
                return verdict
        raise KeyError(name)

    def code(self, name: str) -> int:
        """Return the exit code of the verdict called *name*."""
        return self.verdict(name).code

    def verdicts_of(self, code: int) -> tuple[str, ...]:
        """Return the names of all verdicts that *code* can mean; empty for a code outside the table."""
        return tuple(v.name for v in self.verdicts if v.code == code)
