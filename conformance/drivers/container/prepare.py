"""What a run does once, before the first scenario: sweep, look up the image, choose isolation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import docker
from msgspec.structs import replace

from conformance.drivers.container.client import connect
from conformance.drivers.container.driver import ContainerDriver
from conformance.drivers.container.facts import commit_stubbed, look_up
from conformance.drivers.container.labels import Labels, remove_run, sweep
from conformance.drivers.container.request import ImageFacts, ImageRequest
from conformance.drivers.layout import known_clis
from conformance.drivers.starts import programs_in_place
from conformance.errors import CannotJudge
from conformance.model.agent import HEALTHY
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.model.wording import describe_ending

__all__ = ["PreparedImage", "join_image", "prepare_image"]


class PreparedImage:
    """An image that is ready to run scenarios, in one process of a run."""

    def __init__(
        self,
        client: docker.DockerClient,
        request: ImageRequest,
        facts: ImageFacts,
        labels: Labels,
        *,
        keep: bool = False,
    ) -> None:
        self.facts = facts
        self._client = client
        self._request = request
        self._labels = labels
        self._keep = keep

    def driver(
        self, variables: Mapping[str, str], *, always_compare: bool = False
    ) -> ContainerDriver:
        """Return a driver for the image; *variables* go to every probe."""
        return ContainerDriver(
            self._client,
            self._request,
            self.facts,
            self._labels,
            extra=variables,
            always_compare=always_compare,
        )

    def remove_leftovers(self) -> None:
        """Remove what any process of this run has left on the engine, except what is to be kept."""
        # A lost engine has been reported already; the next run sweeps.
        with suppress(CannotJudge):
            remove_run(self._client, self._labels.run, keep=self._keep)


def prepare_image(
    request: ImageRequest,
    run_directory: Path,
    scenarios: Sequence[Scenario],
    contract: Contract,
    context: Context,
    variables: Mapping[str, str],
    *,
    keep: bool = False,
) -> PreparedImage:
    """Return the image of *request*, ready for *scenarios*; remove what dead runs have left.

    With *keep*, volumes and images outlive the run, so that a case can be repeated by hand.

    :raises CannotJudge: the engine is not there, or the image cannot be run here.
    """
    client = connect()
    labels = _labels(run_directory, "main", keep=keep)
    try:
        facts = _facts(client, request, labels, scenarios, contract, context, variables)
    except BaseException:
        with suppress(CannotJudge):
            remove_run(client, labels.run)
        raise
    return PreparedImage(client, request, facts, labels, keep=keep)


def join_image(
    request: ImageRequest, facts: ImageFacts, run_directory: Path, worker: str
) -> PreparedImage:
    """Return the image that the main process has prepared, for the process called *worker*.

    :raises CannotJudge: the engine is not there any more.
    """
    return PreparedImage(connect(), request, facts, _labels(run_directory, worker))


def _labels(run_directory: Path, process: str, *, keep: bool = False) -> Labels:
    return Labels(run_directory.name, run_directory.with_suffix(".lock"), process, kept=keep)


def _facts(
    client: docker.DockerClient,
    request: ImageRequest,
    labels: Labels,
    scenarios: Sequence[Scenario],
    contract: Contract,
    context: Context,
    variables: Mapping[str, str],
) -> ImageFacts:
    sweep(client)
    programs = (*known_clis(contract), *programs_in_place(contract))
    facts = look_up(client, request, labels, programs)
    starts, logs_in = contract.entrypoint is not None, contract.requests is not None
    if starts or logs_in or any(scenario.cli != HEALTHY for scenario in scenarios):
        facts = commit_stubbed(client, facts, labels)
    reason = _unshareable(request, facts)
    if starts and request.isolation != "fresh":
        reason = "an entrypoint starts first in a container"
    if logs_in and request.isolation != "fresh":
        reason = "no isolation but fresh, because a Manager is in the network of each container"
    if not reason and request.isolation == "shared":
        everywhere = [s for s in scenarios if s.container is None and not s.only_local]
        candidates = [s for s in everywhere if not s.takes_long]
        if candidates:
            both = replace(facts, isolation="both")
            driver = ContainerDriver(client, request, both, labels, extra=variables)
            reason = _differs(driver, candidates[0], contract, context)
    if reason:
        note = f"{reason}: each scenario has a container of its own"
        return replace(facts, notes=(*facts.notes, note))
    return replace(facts, isolation=request.isolation)


def _unshareable(request: ImageRequest, facts: ImageFacts) -> str:
    """Return why containers cannot be shared, as far as that is known without running anything."""
    if request.isolation == "fresh":
        return ""
    if not facts.has_shell:
        return "no isolation but fresh, because the image has no shell to share"
    if request.confinement.writable:
        return "no isolation but fresh, because the root file system is to be writable"
    return ""


def _differs(
    driver: ContainerDriver, scenario: Scenario, contract: Contract, context: Context
) -> str:
    """Return why containers cannot be shared, after trying one scenario in both ways."""
    try:
        executions = [driver.execute(scenario, contract, context, number) for number in (0, 1)]
    finally:
        driver.close()
    fresh, shared = (execution.outcome.ending for execution in executions)
    if fresh == shared:
        return ""
    return (
        "no isolation but fresh, because the image answers "
        f"{scenario.id} with {describe_ending(shared)} on a read-only root file system, "
        f"and with {describe_ending(fresh)} otherwise"
    )
