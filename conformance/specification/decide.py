"""What a contract calls for in one home, and by which rule: without a probe, and without a disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conformance.model.agent import AGENT_CLIS
from conformance.model.contract import Contract
from conformance.specification.case import Case
from conformance.specification.preflight import preflight_steps
from conformance.specification.slot import slot_steps
from conformance.specification.slot_strict import slot_strict_steps
from conformance.specification.steps import Decision, Step, combined

__all__ = ["decide", "specified", "steps_of"]

#: Contracts that are written down as steps.
_STEPS: dict[str, Callable[[Case, Contract], Iterator[Step]]] = {
    "preflight": preflight_steps,
    "slot": slot_steps,
    "slot-strict": slot_strict_steps,
}
#: The agents whose credentials each of them is about; a contract of one's own may have more.
_AGENTS = {"preflight": ("claude",), "slot": AGENT_CLIS, "slot-strict": AGENT_CLIS}


def specified(contract: Contract, agent: str = "") -> str:
    """Return the bundled contract whose steps are those of *contract*; empty if there is none.

    With *agent*, it is empty also where none of the steps is about the credentials of that agent.
    """
    asked_otherwise = contract.in_steps or contract.commands or contract.requests
    if asked_otherwise or contract.entrypoint is not None:
        return ""
    base = next((name for name in contract.lineage if name in _STEPS), "")
    return base if not agent or agent in _AGENTS.get(base, ()) else ""


def steps_of(case: Case, contract: Contract) -> Iterator[Step]:
    """Yield the steps of a right probe of a *contract* that is written down, in this *case*."""
    return _STEPS[specified(contract)](case, contract)


def decide(case: Case, contract: Contract) -> Decision | None:
    """Return what *contract* calls for in this *case*, and the rule that decides.

    More than one verdict means that the point is left open, or that too little of the home was
    seen. None means that nothing is written about it: the contract extends no bundled one that is
    written down here, has an agent of its own, or has turned off all rules that speak of such a
    home.
    """
    base = specified(contract)
    if not base or (case.agent in contract.agents and case.agent not in _AGENTS[base]):
        return None
    return combined(steps_of(case, contract), contract, base)
