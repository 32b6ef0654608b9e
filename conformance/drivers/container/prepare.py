"""What is done once per run, before the first scenario: sweep, look the image up, and see which isolation it allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import docker
from msgspec.structs import replace

from conformance.drivers.container.driver import ContainerDriver
from conformance.drivers.container.facts import commit_stubbed, look_up
from conformance.drivers.container.labels import Labels, sweep
from conformance.drivers.container.request import ImageFacts, ImageRequest
from conformance.drivers.stubs import AGENT_CLIS
from conformance.model.contract import Contract
from conformance.model.outcome import Outcome
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["prepare"]


def prepare(
    client: docker.DockerClient,
    request: ImageRequest,
    labels: Labels,
    scenarios: Sequence[Scenario],
    contract: Contract,
    context: Context,
    extra: Mapping[str, str],
) -> ImageFacts:
    """Return what the run of *scenarios* needs to know about the image; remove what dead runs have left on the engine.

    :raises CannotJudge: the image cannot be run here.
    """
    sweep(client)
    facts = look_up(client, request, labels, sorted({*AGENT_CLIS, *contract.agents}))
    if any(scenario.cli != "healthy" for scenario in scenarios):
        facts = commit_stubbed(client, facts, labels)
    reason = _unshareable(request, facts)
    if not reason and request.isolation == "shared":
        first = next((s for s in scenarios if not s.takes_long and s.container is None), None)
        if first is not None:
            reason = _differs(
                ContainerDriver(client, request, replace(facts, isolation="both"), labels, extra=extra), first, contract, context
            )
    if reason:
        return replace(facts, notes=(*facts.notes, f"{reason}: each scenario has a container of its own"))
    return replace(facts, isolation=request.isolation)


def _unshareable(request: ImageRequest, facts: ImageFacts) -> str:
    """Return why containers cannot be shared, where that can be known without running anything."""
    if request.isolation == "fresh":
        return ""
    if not facts.tools:
        return "no isolation but fresh, because the image has no shell to share"
    if request.confinement.writable:
        return "no isolation but fresh, because the root file system is to be writable"
    return ""


def _differs(driver: ContainerDriver, scenario: Scenario, contract: Contract, context: Context) -> str:
    """Return why containers cannot be shared, after trying with one scenario in both ways."""
    try:
        fresh, shared = (driver.execute(scenario, contract, context, number).outcome for number in (0, 1))
    finally:
        driver.close()
    if _answer(fresh) == _answer(shared):
        return ""
    return (
        f"no isolation but fresh, because on a read-only root file system the image answers {_answer(shared)} "
        f"to {scenario.id}, and {_answer(fresh)} otherwise"
    )


def _answer(outcome: Outcome) -> str:
    if outcome.timed_out:
        return "nothing in time"
    if outcome.signal is not None:
        return f"with signal {outcome.signal}"
    return f"{outcome.code}" if outcome.code is not None else outcome.broke or outcome.unsupported
