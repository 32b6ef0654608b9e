"""What a contract calls for in one home, and by which rule: without a probe, and without a disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conformance.model.contract import Contract
from conformance.specification.case import Case
from conformance.specification.preflight import preflight_steps
from conformance.specification.slot import slot_steps
from conformance.specification.slot_strict import slot_strict_steps
from conformance.specification.steps import Decision, Step, combined

__all__ = ["decide", "specified"]

#: Contracts that are written down as steps.
_STEPS: dict[str, Callable[[Case, Contract], Iterator[Step]]] = {
    "preflight": preflight_steps,
    "slot": slot_steps,
    "slot-strict": slot_strict_steps,
}


def specified(contract: Contract) -> str:
    """Return the bundled contract whose steps are those of *contract*; empty if there is none."""
    asked_otherwise = contract.in_steps or contract.commands or contract.requests
    if asked_otherwise or contract.entrypoint is not None:
        return ""
    return next((name for name in contract.lineage if name in _STEPS), "")


def decide(case: Case, contract: Contract) -> Decision | None:
    """Return what *contract* calls for in this *case*, and the rule that decides.

    More than one verdict means that the point is left open, or that too little of the home was
    seen. None means that nothing is written about it: the contract extends no bundled one that is
    written down here, or has turned off all rules that speak of such a home.
    """
    base = specified(contract)
    if not base:
        return None
    return combined(_STEPS[base](case, contract), contract, base)
