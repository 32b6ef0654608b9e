"""The words of the suite as frozen values: contracts, scenarios, outcomes and findings.

Nothing here reads or writes a file. All types are :class:`msgspec.Struct`, so that they turn into
JSON, and travel between processes, without further code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct, field

__all__ = [
    "CLI_STATES",
    "MANY_ENTRIES",
    "WAITING_CLI_STATES",
    "Action",
    "CliState",
    "ContainerNeeds",
    "Contract",
    "Entry",
    "EntryKind",
    "Execution",
    "Finding",
    "FindingKind",
    "Inputs",
    "Limits",
    "Outcome",
    "Result",
    "Rule",
    "Scenario",
    "ScenarioResult",
    "Verdict",
]

EntryKind = Literal["file", "directory", "symlink", "fifo", "socket"]

CliState = Literal[
    "healthy",
    "alone",
    "missing",
    "not-executable",
    "no-shebang",
    "no-shebang-exit-0",
    "no-interpreter",
    "symlink-loop",
    "directory",
    "truncated-elf",
    "exit-1",
    "exit-127",
    "killed",
    "hangs",
    "hangs-ignoring-sigterm",
    "hangs-in-a-child",
    "leaves-a-child",
    "slow",
    "slower",
    "too-slow",
    "silent",
    "huge-output",
    "not-utf8",
    "stderr-warnings",
]
CLI_STATES: tuple[str, ...] = CliState.__args__  # type: ignore[attr-defined]

#: Conditions under which a right probe can only wait: a run starts these first and goes on beside them.
WAITING_CLI_STATES = frozenset({"hangs", "hangs-ignoring-sigterm", "hangs-in-a-child", "slow", "slower", "too-slow"})

#: A home with so many entries of one kind keeps the disk busy for longer than most probes run.
MANY_ENTRIES = 1_000

Result = Literal["conforms", "deviates", "unsupported", "broke", "known-failure"]

FindingKind = Literal[
    "wrong-verdict",
    "outside-contract",
    "timed-out",
    "killed-by-signal",
    "changed-home",
    "changed-outside",
    "leaked-secret",
    "left-process",
    "unsteady",
    "crashed",
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


class Entry(Struct, frozen=True, kw_only=True):
    """One line of a scenario's HOME, placeholders still in place."""

    path: str
    kind: EntryKind
    text: str | None = None
    data: bytes | None = None
    json: Any = None
    has_json: bool = False
    runs: tuple[tuple[str, int], ...] = ()
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
    cli: CliState = "healthy"
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
    def waits(self) -> bool:
        """Whether a probe may have nothing to do here but wait, so that its run should overlap others."""
        return self.cli in WAITING_CLI_STATES or any(e.kind == "fifo" for e in self.entries)

    @property
    def takes_long(self) -> bool:
        """Whether its run should start before all others: it waits, or its home takes the disk long to make and to remove."""
        return self.waits or any(entry.count >= MANY_ENTRIES for entry in self.entries)


class Outcome(Struct, frozen=True, kw_only=True):
    """What a driver saw of one execution of a probe. Exactly one of the first four says how it ended."""

    code: int | None = None
    signal: int | None = None
    timed_out: bool = False
    broke: str = ""
    """Why the suite could not run the probe: one line; nothing may then be said about the probe."""
    unsupported: str = ""
    """Why the condition does not hold here, found before the probe was started."""
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    """The output was longer than what is kept."""
    seconds: float = 0.0
    left: tuple[str, ...] = ()
    """Command lines of processes still alive after the probe had ended."""
    why: str = ""
    """What is known about the cause of its end, such as the limit of memory that was reached."""


class Execution(Struct, frozen=True, kw_only=True):
    """An outcome with what became of the HOME: what the judge needs, and plain enough to travel."""

    outcome: Outcome
    changes: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    """Files that changed outside the HOME, where that was looked at."""
    isolation: str = ""
    """How it was kept apart from other executions, where a driver knows more than one way."""
    kept: str = ""
    """Where the home stands, when it was kept."""
    command: str = ""
    """The line for a shell that starts the probe by hand as the driver did, while the home is kept."""


class Finding(Struct, frozen=True, kw_only=True):
    """One way in which a probe deviated."""

    kind: FindingKind
    message: str


class ScenarioResult(Struct, frozen=True, kw_only=True):
    """The judgement of one scenario: one row of every report."""

    id: str
    agent: str
    expected: tuple[str, ...]
    code: int | None = None
    signal: int | None = None
    """What killed the probe, where that is how it ended."""
    verdict: str | None = None
    result: Result = "broke"
    reason: str = ""
    """Why it is unsupported, broke, or is a known failure."""
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    control: str = ""
    difference: tuple[str, ...] = ()
    """What differs from the control's home, environment and CLI, a line each."""
    stdout: str = ""
    stderr: str = ""
    outside: tuple[str, ...] = ()
    """Files that changed outside the HOME, where that was looked at."""
    kept: str = ""

    def kinds(self) -> Iterator[str]:
        """Yield the kinds of its findings."""
        return (finding.kind for finding in self.findings)
