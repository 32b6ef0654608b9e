"""The agent's CLI in the state that a scenario asks for: a directory of stubs, first on PATH."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from conformance.catalogue.agents import cli_state
from conformance.home.plan import Node, plan
from conformance.model.agent import AGENT_CLIS, HEALTHY
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry, Scenario

__all__ = ["Stubs", "stubs_for"]


class Stubs(Struct, frozen=True, kw_only=True):
    """A directory of programs: the agent's in some state, and healthy ones beside it."""

    agent: str
    state: str
    """The state of the agent's program."""
    others: tuple[str, ...]
    """The names of the healthy ones.

    They are traps. One is the other agent's CLI. One has the name that an environment with a wrong
    agent asks for, so a probe that runs whatever it is told finds something that works.
    """

    def nodes(self) -> list[Node]:
        """Return the nodes in the directory."""
        entries = [*_named(self.agent, self.state)]
        for other in self.others:
            entries += _named(other, HEALTHY)
        return plan(entries, Context(now=0, seed=""))


def stubs_for(
    scenario: Scenario, contract: Contract, own_clis: Iterable[str] | None = None
) -> Stubs:
    """Return the stubs of *scenario*.

    *own_clis* are the CLIs of an image. A healthy agent is the image's own or none there, and stubs
    stand in only for CLIs that the image lacks. None means that healthy CLIs are stubs too.
    """
    state = scenario.cli
    others = _bystanders(scenario, contract)
    if own_clis is not None and state == HEALTHY:
        state, others = "missing", others - {*own_clis}
    return Stubs(agent=scenario.agent, state=state, others=tuple(sorted(others)))


def _bystanders(scenario: Scenario, contract: Contract) -> set[str]:
    if cli_state(scenario.cli).alone:
        return set()
    names = {*contract.agents, *AGENT_CLIS}
    asked_for = scenario.inputs.get("agent", scenario.agent)
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", asked_for):
        names.add(asked_for)
    return names - {scenario.agent}


def _named(program: str, state: str) -> list[Entry]:
    entries = cli_state(state).entries
    return [replace(entry, path=program) if entry.path == "cli" else entry for entry in entries]
