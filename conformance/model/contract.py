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
    """What a Manager does when it sees a code: one word, and the labels it adds."""

    name: str
    labels: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return " ".join((self.name, *sorted(self.labels)))

    def covers(self, asked: Action) -> bool:
        """Return whether this does what was *asked*: the same, with at least its labels."""
        return self.name == asked.name and self.labels >= asked.labels


class Verdict(Struct, frozen=True, kw_only=True):
    """One named meaning of an answer."""

    name: str
    code: int
    """The exit code, 0 to 255. Verdicts that the contract does not tell apart may share one."""
    meaning: str
    action: str
    """What the Manager does when it sees the code."""
    labels: tuple[str, ...] = ()
    """The labels the Manager adds to that, such as on the ticket it queues."""

    @property
    def asks(self) -> Action:
        """What the contract asks the Manager to do."""
        return Action(self.action, frozenset(self.labels))


class Rule(Struct, frozen=True, kw_only=True):
    """One sentence of a contract, which scenarios cite by its short name."""

    contract: str
    """The contract that states it; contracts that extend that one inherit it."""
    text: str
    expect: tuple[str, ...] = ()
    """The verdicts it calls for.

    Several if it leaves the point open, none if it holds in every scenario.
    """
    findings: tuple[FindingKind, ...] = ()
    """The kinds of findings that break it, for a rule that every scenario checks."""


class Inputs(Struct, frozen=True, kw_only=True):
    """How a contract hands its inputs to the probe: names of environment variables."""

    home: str
    agent: str = ""
    """Variable with the agent's name; empty if the contract has none."""
    opposite_home: str = ""
    """Variable with a second home, which calls for the opposite answer; empty for none."""


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
    """Actions that a Manager may take on a code outside the table: a passing fault of the probe."""
    reference: str = ""
    """File of the bundled reference probe, below ``fixtures/probes``; empty for none."""
    lineage: tuple[str, ...] = ()
    """Its own name, then the contracts it extends, nearest first."""
    allowed_writes: tuple[str, ...] = ()
    """Paths that may appear in the HOME while the probe runs: the agent's CLI writes them."""
    entrypoint_writes: tuple[str, ...] = ()
    """Paths that may appear or change in the HOME while an image runs.

    Its entrypoint fills them before the probe starts.
    """
    outside_writes: Literal["shown", "forbidden"] = "shown"
    """Whether a file that changes outside the HOME, in a container, is a finding."""
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Agent to the command of its own CLI that answers as the probe.

    Empty if the probe is a program of its own.
    """
    rules: dict[str, Rule] = field(default_factory=dict)
    """Its rules by short name, with those of the contracts it extends."""

    def verdict(self, name: str) -> Verdict:
        """Return the verdict called *name*.

        :raises KeyError: the contract has none.
        """
        for verdict in self.verdicts:
            if verdict.name == name:
                return verdict
        raise KeyError(name)

    def code(self, name: str) -> int:
        """Return the exit code of the verdict called *name*."""
        return self.verdict(name).code

    def verdicts_of(self, code: int) -> tuple[str, ...]:
        """Return the names of all verdicts that *code* can mean; none if the table lacks it."""
        return tuple(v.name for v in self.verdicts if v.code == code)
