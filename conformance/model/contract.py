"""What a probe may answer, and what each answer means to the Manager."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, get_args

from msgspec import Struct, field
from msgspec.structs import replace

from conformance.model.entrypoint import Entrypoint
from conformance.model.outcome import FindingKind

__all__ = [
    "ANSWER_FINDINGS",
    "ROLES",
    "STEP_FINDINGS",
    "USUAL",
    "Action",
    "Contract",
    "DocumentAnswer",
    "Inputs",
    "Level",
    "Limits",
    "Requests",
    "Role",
    "Route",
    "Rule",
    "Verdict",
]

#: Whether breaking a rule makes a probe deviate (``must``), or is advice (``should``).
Level = Literal["must", "should"]

#: What an input is to the probe. A contract maps roles to variables of the environment.
Role = Literal[
    "home",
    "agent",
    "override",
    "skew",
    "switch",
    "exit_code",
    "log",
    "ttl",
    "mode",
    "token",
    "slot_id",
    "manager_url",
    "init_token",
    "login_timeout",
    "poll",
]
ROLES: tuple[Role, ...] = get_args(Role)

#: What inputs hold, with placeholders, where a scenario says nothing of them: those about an
#: agent's run, the token of an entrypoint, and those of a program that lets somebody log in.
USUAL: dict[Role, str] = {
    "exit_code": "0",
    "log": "{home}/run.log",
    "token": "{secret:github-token}",
    "slot_id": "slot-7",
    "manager_url": "{manager}",
    "init_token": "{secret:init-token}",
    "login_timeout": "6",
}

#: Findings about the answer itself, which are never advice.
ANSWER_FINDINGS: frozenset[FindingKind] = frozenset(
    {
        "wrong-verdict",
        "outside-contract",
        "inconsistent",
        "timed-out",
        "killed-by-signal",
        "unsteady",
    }
)


#: Findings about the steps in which a gate is asked.
STEP_FINDINGS: frozenset[FindingKind] = frozenset(
    {"stale-answer", "looked-again", "wrong-claim", "counted-failure"}
)


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
    codes: tuple[int, ...]
    """The exit codes that say it, 0 to 255; the first is the usual one.

    Verdicts that the contract does not tell apart may share some.
    """
    meaning: str
    action: str
    """What the Manager does when it sees such a code."""
    labels: tuple[str, ...] = ()
    """The labels the Manager adds to that, such as on the ticket it queues."""
    cli_code: bool = False
    """Whether the exit code of a CLI that has failed says it too, where it is passed on."""

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
    level: Level = "must"
    """Whether these findings make a probe deviate, or are advice."""
    off: bool = False
    """Whether the contract has turned it off: then it calls for nothing."""
    decided_by: str = ""
    """The contract that has said last what it calls for, or has turned it off."""


class Inputs(Struct, frozen=True, kw_only=True):
    """How a contract hands its inputs to the probe: names of environment variables."""

    home: str
    agent: str = ""
    """Variable with the agent's name; empty if the contract has none."""
    override: str = ""
    """Variable with a path of the credentials that wins over the usual one; empty for none."""
    skew: str = ""
    """Variable with the seconds that a login still has to last; empty for none."""
    switch: str = ""
    """Variable that turns the check of the credentials on or off; empty for none."""
    ttl: str = ""
    """Variable with the seconds that a gate's answer may be kept; empty for none."""
    switch_on: str = "true"
    """The value of that variable for on."""
    switch_off: str = "false"
    """The value of that variable for off."""
    exit_code: str = ""
    """Variable with the exit code of an agent's run; empty for none."""
    log: str = ""
    """Variable with the path of that run's log; empty for none."""
    mode: str = ""
    """Variable that says what an entrypoint is to start; empty for none."""
    token: str = ""
    """Variable with a token that an entrypoint insists on; empty for none."""
    slot_id: str = ""
    """Variable with the id of the slot that somebody logs in to; empty for none."""
    manager_url: str = ""
    """Variable with the URL below which the Manager answers; empty for none."""
    init_token: str = ""
    """Variable with the token that lets a program speak to the Manager; empty for none."""
    login_timeout: str = ""
    """Variable with the seconds that a login may take; empty for none."""
    poll: str = ""
    """Variable with the seconds between two questions for the operator's code; empty for none."""
    opposite_home: str = ""
    """Variable with a second home, which calls for the opposite answer; empty for none."""

    def variable(self, role: Role) -> str:
        """Return the variable that carries *role*; empty if the contract has no such input."""
        name: str = getattr(self, role)
        return name

    def value(self, role: Role, text: str) -> str:
        """Return what the variable of *role* holds for the *text* of a scenario."""
        if role == "switch":
            return {"on": self.switch_on, "off": self.switch_off}[text]
        return text

    def variables(self) -> tuple[str, ...]:
        """Return all variables that carry an input."""
        named = (*(self.variable(role) for role in ROLES), self.opposite_home)
        return tuple(name for name in named if name)


class Route(Struct, frozen=True, kw_only=True):
    """One request that a program which lets somebody log in makes to the Manager."""

    method: str
    path: str
    """Below the Manager's URL; ``{slot}`` stands for the id of the slot, quoted."""
    members: dict[str, str] = field(default_factory=dict)
    """What a member of its JSON body is about to its name; what is not here is not looked at."""


class Requests(Struct, frozen=True, kw_only=True):
    """How a program that lets somebody log in speaks to the Manager."""

    token_header: str
    """The header of every request, with the init token."""
    url: Route
    """Hands over the login URL: the members ``url`` and ``user_code``."""
    code: Route
    """Asks for the operator's code: the member ``code`` of the answer."""
    complete: Route
    """Says that somebody has logged in: the members ``agent``, ``artifacts``, ``completed_at``."""

    def routes(self) -> dict[str, Route]:
        """Return the requests by what they are called here, in the order of a login."""
        return {"url": self.url, "code": self.code, "complete": self.complete}


class Limits(Struct, frozen=True, kw_only=True):
    """What a probe may use up."""

    seconds: float = 15.0
    """Wall time from start to exit."""
    cli_seconds: float = 10.0
    """Wall time that the agent's CLI may take of it to say its version."""
    ttl_seconds: float = 0.0
    """How long a gate keeps its answer, where no variable says it; 0 where nobody does."""


class DocumentAnswer(Struct, frozen=True, kw_only=True):
    """Where the answer stands in what the probe prints, and what it means."""

    member: str
    """The member of the JSON document on stdout, as a JSON Pointer (RFC 6901)."""
    values: dict[str, str]
    """Value of the member to the verdict it means; other values than strings as JSON text."""
    exit_code: bool = True
    """Whether the exit code is an answer too. Then both have to agree."""


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
    document: DocumentAnswer | None = None
    """Where the answer stands on stdout; None where only the exit code is one."""
    truth: tuple[int, int] | None = None
    """The exit codes that true and false stand for, where a Python callable returns these.

    None where they stand for nothing.
    """
    in_steps: bool = False
    """Whether it is about a gate that lives on and is asked in steps, not a program that ends.

    A check of such a gate answers yes or no. Yes means the verdicts with the exit code of ``truth``
    for true, else 0; no means all others.
    """
    requests: Requests | None = None
    """How the program speaks to the Manager, where it lets somebody log in; else None."""
    entrypoint: Entrypoint | None = None
    """What an entrypoint starts, if the contract is about one; else None."""

    def with_cli_code(self, code: int) -> Contract:
        """Return the contract for a scenario whose CLI fails with exit *code*; 0 where none does.

        A verdict that is also said by passing that code on has it among its codes there.
        """
        verdicts = tuple(
            replace(verdict, codes=(*verdict.codes, code))
            if verdict.cli_code and code and code not in verdict.codes
            else verdict
            for verdict in self.verdicts
        )
        return self if verdicts == self.verdicts else replace(self, verdicts=verdicts)

    def verdict(self, name: str) -> Verdict:
        """Return the verdict called *name*.

        :raises KeyError: the contract has none.
        """
        for verdict in self.verdicts:
            if verdict.name == name:
                return verdict
        raise KeyError(name)

    def input_value(self, role: Role, text: str) -> str:
        """Return what the variable of *role* holds for the *text* of a scenario."""
        if role == "mode" and self.entrypoint is not None:
            return self.entrypoint.value(text)
        return self.inputs.value(role, text)

    def codes(self, names: Iterable[str]) -> set[int]:
        """Return the exit codes of the verdicts called *names*."""
        return {code for name in names for code in self.verdict(name).codes}

    @property
    def all_codes(self) -> list[int]:
        """All exit codes of its table, sorted."""
        return sorted(self.codes(verdict.name for verdict in self.verdicts))

    def verdicts_of(self, code: int) -> tuple[str, ...]:
        """Return the names of all verdicts that *code* can mean; none if the table lacks it."""
        return tuple(verdict.name for verdict in self.verdicts if code in verdict.codes)

    def meaning(self, *, go: bool) -> tuple[str, ...]:
        """Return the verdicts that the answer of a gate can mean: *go*, or not."""
        yes = self.code_of_truth(go=True)
        return tuple(
            verdict.name
            for verdict in self.verdicts
            if (yes in verdict.codes if go else {*verdict.codes} != {yes})
        )

    def code_of_truth(self, *, go: bool) -> int | None:
        """Return the exit code that stands for the answer of a gate: *go*, or not."""
        if self.truth is not None:
            return self.truth[0 if go else 1]
        return 0 if go else next((code for code in self.all_codes if code), None)

    def truths(self, names: Iterable[str]) -> set[bool]:
        """Return the answers of a gate that can mean one of the verdicts called *names*."""
        return {go for go in (True, False) if {*self.meaning(go=go)}.intersection(names)}

    @property
    def exit_code_answers(self) -> bool:
        """Whether the exit code is an answer, alone or beside a document."""
        return self.document is None or self.document.exit_code

    def leaves_open(self, names: Collection[str]) -> bool:
        """Return whether every exit code of the table means one of the verdicts called *names*."""
        return self.codes(names) == set(self.all_codes)

    def tells_apart(self, some: Collection[str], others: Collection[str]) -> bool:
        """Return whether no answer means one of *some* verdicts as well as one of *others*.

        False where one of them is empty, because then there is nothing to tell apart.
        """
        if not some or not others:
            return False
        if self.exit_code_answers:
            return self.codes(some).isdisjoint(self.codes(others))
        return set(some).isdisjoint(others)

    def has_control(self, names: Collection[str], control: Collection[str]) -> bool:
        """Return whether a scenario that expects *control* can be the control of one with *names*.

        It has to call for another answer; one that leaves the point open has nothing to differ in.
        """
        return self.leaves_open(names) or self.tells_apart(names, control)

    def rule_name(self, rule: str) -> str:
        """Return what reports call its *rule*; empty for none."""
        return f"{self.name}:{rule}" if rule else ""

    def rule_broken_by(self, kind: FindingKind) -> str:
        """Return the name of the rule that findings of *kind* break; empty where none says so."""
        for name, rule in self.rules.items():
            if kind in rule.findings:
                return name
        return ""
