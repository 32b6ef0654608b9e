"""What a decision is made about: a home, the inputs of the probe, and how the CLI ends."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from conformance.catalogue.agents import state_of
from conformance.home.plan import plan
from conformance.home.seen import SeenHome, seen_in_plan
from conformance.model.agent import named
from conformance.model.contract import ROLES, Contract, Role
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Scenario
from conformance.specification.cli import RUNS, cli_end
from conformance.specification.reach import Reach

__all__ = ["HOME_PATH", "LATER", "Case", "case_in", "case_of"]

#: Where a HOME lies that is only thought of.
HOME_PATH = "/home/agent"
#: How much later than ``now`` a probe may look, in seconds: a run fixes the time when it starts.
LATER = 600.0
#: Who runs the probe of a scenario, unless the scenario says it, and owns what it does not give
#: another owner: a plain user.
_PLAIN_USER = 1000


class Case(Struct, frozen=True, kw_only=True):
    """One home, and all else that a right probe may look at."""

    agent: str
    """The agent of the slot as the input says; it may be nonsense, and is empty where none does."""
    home: SeenHome
    inputs: Mapping[Role, str | None] = field(default_factory=dict)
    """Role to what its variable holds; None: it is not set. A role that is absent is as usual."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Other variables that say something."""
    cli: str = RUNS
    """How the agent's CLI ends, as :func:`conformance.specification.cli.cli_end` names it."""
    now: float
    """In epoch seconds."""
    later: float = 0.0
    """How much later than that the probe may look, in seconds."""
    uid: int
    gids: tuple[int, ...] = ()
    reads_all: bool = False
    """Whether no mode keeps the user out, as none does root with all its capabilities."""
    home_path: str = HOME_PATH
    """The absolute path that the HOME has for the probe."""
    cwd: str | None = ""
    """Where the probe starts; empty for a directory in which nothing lies, None if unknown."""

    @property
    def reach(self) -> Reach:
        """What the probe can reach of the home."""
        return Reach(
            home=self.home,
            home_path=self.home_path,
            uid=self.uid,
            gids=self.gids,
            reads_all=self.reads_all,
            cwd=self.cwd,
        )

    @property
    def directory(self) -> str | None:
        """The HOME as the input names it: usually ``home_path``; None if it is not set."""
        return self.inputs.get("home", self.home_path)


def case_of(
    scenario: Scenario, contract: Contract, context: Context, *, uid: int = _PLAIN_USER
) -> Case:
    """Return the case that *scenario* makes under *contract*.

    *context* says what stands for its placeholders; where it names no home, that lies at
    :data:`HOME_PATH`. *uid* runs the probe, and owns what the scenario gives no other owner, unless
    the scenario names its users itself. Root's modes count for root as well, as they do in a run.

    :raises CannotJudge: its entries do not make a home.
    """
    home_path = context.home or HOME_PATH
    if scenario.home_name:
        home_path = posixpath.join(posixpath.dirname(home_path), scenario.home_name)
    context = replace(context, home=home_path, scenario=context.scenario or scenario.id)
    uid, gid, owner = _users(scenario, uid)
    state = state_of(scenario)
    nodes = plan([*scenario.entries, *named(state.home, scenario.agent)], context)
    inputs = _inputs(scenario, contract, context)
    return Case(
        agent=inputs.get("agent", scenario.agent) or "",
        home=seen_in_plan(nodes, now=context.now, uid=owner, gid=gid),
        inputs=inputs,
        env=_variables(scenario, context),
        cli=cli_end(state, scenario.agent, contract.limits.cli_seconds),
        now=context.now,
        later=LATER,
        uid=uid,
        gids=(gid,),
        home_path=home_path,
        cwd=expand(scenario.process.cwd, context),
    )


def case_in(
    home: SeenHome,
    contract: Contract,
    *,
    agent: str,
    home_path: str = "",
    env: Mapping[str, str] | None = None,
    uid: int | None = None,
    gids: tuple[int, ...] | None = None,
) -> Case:
    """Return the case that a *home* makes which was found, under *contract*.

    *agent* is named; *env* are variables of the probe, and those that carry inputs of the contract
    become these. The home lies at *home_path* for the probe. *uid* and *gids* run it: by default
    the owner and the group of the home. Root may read everything. The CLI is taken to run.
    """
    top = home.nodes[b""]
    values = dict(env or {})
    home_path = home_path or HOME_PATH
    inputs: dict[Role, str | None] = {"home": home_path, "agent": agent}
    for role in ROLES:
        variable = contract.inputs.variable(role)
        if variable and variable in values:
            inputs[role] = values.pop(variable)
    uid = top.uid if uid is None else uid
    return Case(
        agent=inputs["agent"] or "",
        home=home,
        inputs=inputs,
        env=values,
        now=home.read_at,
        uid=uid,
        gids=(top.gid,) if gids is None else gids,
        reads_all=uid == 0,
        home_path=home_path,
        cwd=None,
    )


def _users(scenario: Scenario, uid: int) -> tuple[int, int, int]:
    """Return the uid and the gid that run the probe of *scenario*, and the owner of its HOME."""
    gid, owner = uid, uid
    if scenario.container is not None:
        user, _, group = scenario.container.user.partition(":")
        uid = int(user or uid)
        gid = int(group or uid)
        owner = uid if scenario.container.home_owner is None else scenario.container.home_owner
    return uid, gid, owner


def _variables(scenario: Scenario, context: Context) -> dict[str, str]:
    """Return what *scenario* puts into the environment; PATH has had its say in ``cli``."""
    return {name: expand(value, context) for name, value in scenario.env.items() if name != "PATH"}


def _inputs(scenario: Scenario, contract: Contract, context: Context) -> dict[Role, str | None]:
    """Return what the inputs of *contract* hold in *scenario*, by role."""
    usual: dict[Role, str | None] = {"home": context.home, "agent": scenario.agent}
    found: dict[Role, str | None] = {}
    for role in ROLES:
        variable = contract.inputs.variable(role)
        if not variable:
            continue
        value = usual.get(role)
        if role in scenario.inputs:
            value = expand(contract.input_value(role, scenario.inputs[role]), context)
        value = _variables(scenario, context).get(variable, value)
        unset = role in scenario.inputs_unset or variable in scenario.unset
        found[role] = None if unset else value
    return found
