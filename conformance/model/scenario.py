"""A fake HOME, the state of the agent's CLI, the environment, and what each contract expects."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from conformance.model.contract import Contract, Role
from conformance.model.entry import Bytes, Content, Entry, EntryKind, Json, Runs, Text
from conformance.model.entrypoint import STARTED, Entrypoint
from conformance.model.login import Login
from conformance.model.start import Start
from conformance.model.story import ChangeCli, Check, Claim, Step, Wait

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
    "decided",
]

#: In a PATH that a scenario sets: the PATH of every other one, with the stubs.
PATH_PLACEHOLDER = "{path}"

#: A home with this many entries of one kind keeps the disk busy for longer than most probes run.
MANY_ENTRIES = 1_000


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
    steps: tuple[Step, ...] = ()
    """What happens one after the other to a gate that lives on; none if it is asked once."""
    start: Start | None = None
    """How it starts an entrypoint; None if it is about a probe or a gate."""
    login: Login | None = None
    """How somebody logs in; None if it is not about that."""

    def expected(self, contract: Contract) -> tuple[str, ...]:
        """Return the verdicts that conform under *contract*; none if it is not part of it.

        A contract that extends another inherits the expectation of its nearest ancestor, unless it
        has changed the rules that this expectation rests on. A scenario about another agent, or
        about an input that the contract does not have, is not part of it.
        """
        name = self._named_by(contract)
        if not name or self.agent not in contract.agents or not self._has_inputs(contract):
            return ()
        if (self.login is None) != (contract.requests is None):
            return ()
        if self.steps and not (contract.in_steps and self._decides(contract)):
            return ()
        if (self.start is None) == (contract.entrypoint is not None):
            return ()
        if contract.entrypoint is not None and not self._can_start(contract.entrypoint, name):
            return ()
        rules = self.rules.get(name, ())
        if contract.entrypoint is not None:  # beside these, rules with findings are cited
            rules = tuple(rule for rule in rules if contract.rules[rule].expect)
        return decided(rules, contract, name, self.expect[name])

    def is_off(self, contract: Contract) -> bool:
        """Return whether it is no part of *contract* because all rules about it are off there."""
        about = self._named_by(contract) and self.agent in contract.agents
        if not about or not self._has_inputs(contract) or self.expected(contract):
            return False
        return all(contract.rules[name].off for name in self.cites(contract))

    def _can_start(self, entrypoint: Entrypoint, name: str) -> bool:
        """Return whether an *entrypoint* has the mode, and the seed, that it is about."""
        assert self.start is not None, "only such a scenario is asked"
        if self.start.session is not None and self.agent not in entrypoint.seeds:
            return False
        modes = {self.inputs.get("mode", ""), self.start.again.mode if self.start.again else ""}
        known = {*entrypoint.modes, ""}
        return modes <= known if self.expect[name] == (STARTED,) else True

    def _decides(self, contract: Contract) -> bool:
        """Return whether the last check or claim, which the scenario is about, is judged."""
        asked = [step for step in self.steps if isinstance(step.action, Check | Claim)]
        return bool(self.expected_in(asked[-1], contract))

    def story(self, contract: Contract) -> tuple[Step, ...]:
        """Return the steps in which a gate is asked under *contract*.

        Where the scenario has none, that is one check.
        """
        if self.steps or not contract.in_steps:
            return self.steps
        return (Step(action=Check(expect=self.expected(contract)), rules=self.cites(contract)),)

    def expected_in(self, step: Step, contract: Contract) -> tuple[str, ...]:
        """Return the verdicts that conform as the answer of *step*, a check or a claim.

        None of them where the answer is not judged: the contract has turned a rule off that the
        step is about.
        """
        name = self._named_by(contract)
        rules = [contract.rules[cited] for cited in step.rules]
        if not name or any(rule.off and not rule.expect for rule in rules):
            return ()
        match step.action:
            case Check(expect):
                wanted = expect
            case Claim(taken):
                wanted = contract.meaning(go=taken)
            case _:
                return ()
        verdict_rules = [cited for cited in step.rules if contract.rules[cited].expect]
        return decided(verdict_rules, contract, name, wanted)

    def _named_by(self, contract: Contract) -> str:
        """Return the nearest of *contract* and its ancestors that the scenario names, if any."""
        return next((name for name in contract.lineage if name in self.expect), "")

    def _has_inputs(self, contract: Contract) -> bool:
        roles = (*self.inputs, *self.inputs_unset)
        return all(contract.inputs.variable(role) for role in roles)

    def codes(self, contract: Contract) -> set[int]:
        """Return the exit codes that conform under *contract*."""
        here = self.contract_here(contract)
        expected = self.expected(contract)
        if self.start is None or STARTED not in expected:
            return here.codes(expected)
        refusals = (verdict for verdict in expected if verdict != STARTED)
        return {self.start.code, *here.codes(refusals)}

    def contract_here(self, contract: Contract) -> Contract:
        """Return *contract* as it holds here: a verdict may have the code of the scripted CLI."""
        return contract.with_cli_code(self.login.code) if self.login is not None else contract

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

    def shows(self, contract: Contract) -> tuple[str, ...]:
        """Return the names of the rules that it is an example of under *contract*.

        Behind the one that decides it cites others, which do where that is off. A contract that
        inherits the scenario may have rules of its own in the place of them.
        """
        cited, decides = self.cites(contract), self.decided_by(contract)
        if contract.name in self.expect:
            return cited
        return tuple(name for name in cited if name == decides or contract.rules[name].findings)

    def control_for(self, contract: Contract) -> str:
        """Return the id of the control under *contract*."""
        for name in contract.lineage:
            if name in self.control:
                return self.control[name]
        return self.control.get("", "")

    @property
    def only_local(self) -> bool:
        """Whether no image can show it.

        An image says itself where it starts and where its HOME lies, and a container runs it once
        and without an input.
        """
        around = self.process.cwd or self.home_name or self.earlier is not None
        return bool(around or self.steps)

    @property
    def changes_cli(self) -> bool:
        """Whether the agent's CLI gets into another state while a gate lives."""
        return any(isinstance(step.action, ChangeCli) for step in self.steps)

    @property
    def takes_long(self) -> bool:
        """Whether its run should start before the others.

        It waits, time has to pass in it, or its home takes long to build and to remove.
        """
        return self.mostly_waits or any(entry.count >= MANY_ENTRIES for entry in self.entries)

    @property
    def mostly_waits(self) -> bool:
        """Whether its run is mostly waiting: for a program, or for time to pass between steps."""
        return self.waits or any(isinstance(step.action, Wait) for step in self.steps)


def decided(
    cites: Sequence[str], contract: Contract, name: str, wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the verdicts that conform where *wanted* are those under the contract called *name*.

    *cites* are the rules that decide. Where *contract*, which extends that one, has changed them,
    its verdicts count; where it has turned all of them off, none does.
    """
    nearer = contract.lineage[: contract.lineage.index(name)]
    for place, rule in enumerate(contract.rules[cited] for cited in cites):
        if rule.off:
            continue
        if place == 0 and rule.decided_by not in nearer:
            break
        return rule.expect
    else:
        if cites:  # every rule that could decide is off
            return ()
    return wanted
