"""What a run does once, before the first scenario: sweep, look up the image, choose isolation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import docker
from msgspec.structs import replace

from conformance.drivers.container.client import TIMEOUT, connect
from conformance.drivers.container.driver import ContainerDriver
from conformance.drivers.container.engines import Engine, EnginePool
from conformance.drivers.container.facts import check_alike, commit_stubbed, look_up
from conformance.drivers.container.labels import Labels, remove_run, sweep
from conformance.drivers.container.reach import Reached, on_each, reach
from conformance.drivers.container.request import ImageFacts, ImageRequest
from conformance.drivers.layout import known_clis
from conformance.drivers.starts import programs_in_place
from conformance.errors import CannotJudge
from conformance.model.agent import HEALTHY
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.model.wording import describe_ending

__all__ = ["PreparedImage", "join_image", "prepared_image"]


class PreparedImage:
    """An image that is ready to run scenarios on its engines, in one process of a run."""

    def __init__(
        self,
        request: ImageRequest,
        facts: Sequence[ImageFacts],
        labels: Labels,
        *,
        clients: Mapping[str, docker.DockerClient] | None = None,
        worker: int = 0,
    ) -> None:
        """*clients* are those there are, by engine. *worker* counts the workers, from 0."""
        self.facts = tuple(facts)
        """What is known of the image, for each engine that it runs on."""
        self._request = request
        self._labels = labels
        self._clients = dict(clients or {})
        self._worker = worker

    def driver(
        self, variables: Mapping[str, str], *, always_compare: bool = False
    ) -> ContainerDriver | EnginePool:
        """Return a driver for the image; *variables* go to every probe.

        :raises CannotJudge: there is one engine, and it is not there any more.
        """

        def on(facts: ImageFacts) -> ContainerDriver:
            # A worker reaches an engine when it first needs it.
            client = self._clients.get(facts.name) or connect(facts.name, facts.tunnel)
            return ContainerDriver(
                client,
                self._request,
                facts,
                self._labels,
                extra=variables,
                always_compare=always_compare,
            )

        if not self._request.engines:
            return on(self.facts[0])
        engines = [Engine(facts, partial(on, facts)) for facts in self.facts]
        return EnginePool(self._request, engines, self._worker)


@contextmanager
def prepared_image(
    request: ImageRequest,
    run_directory: Path,
    scenarios: Sequence[Scenario],
    contract: Contract,
    context: Context,
    variables: Mapping[str, str],
    *,
    keep: bool = False,
) -> Iterator[PreparedImage]:
    """Yield the image of *request*, ready for *scenarios*.

    At first, remove what dead runs have left on its engines. At the end, remove what any process of
    this run has left there; with *keep*, volumes and images stay, so that a case can be repeated by
    hand.

    :raises UsageError: there is no such docker context.
    :raises CannotJudge: no engine is there, or the image cannot be run on any of them.
    """
    labels = _labels(run_directory, "main", keep=keep)
    notes: list[str] = []
    with ExitStack() as stack:
        reached = {one.name: one for one in reach(request.engines, run_directory, stack, notes)}
        clients = {name: engine.client for name, engine in reached.items()}
        try:
            look = partial(_look_up, request, labels, contract, _need_stubs(scenarios, contract))
            found = on_each(reached, look, notes)
            check_alike(request.reference, found)
            fastest = min(found, key=lambda one: one.took)
            both = replace(fastest, isolation="both")
            driver = ContainerDriver(clients[fastest.name], request, both, labels, extra=variables)
            tried = partial(_differs, driver, scenarios, contract, context)
            reason = _why_fresh(request, found, contract, tried)
        except BaseException:
            _remove_run(clients.values(), labels)
            raise
        if reason:
            notes.append(f"{reason}: each scenario has a container of its own")
        isolation = "fresh" if reason else request.isolation
        facts = [replace(one, isolation=isolation) for one in found]
        facts[0] = replace(facts[0], notes=(*facts[0].notes, *notes))
        try:
            yield PreparedImage(request, facts, labels, clients=clients)
        finally:
            _remove_run(clients.values(), labels, keep=keep)


def join_image(
    request: ImageRequest, facts: Sequence[ImageFacts], run_directory: Path, worker: str
) -> PreparedImage:
    """Return the image that the main process has prepared, for the process called *worker*."""
    labels = _labels(run_directory, worker)
    number = int("".join(filter(str.isdecimal, worker)) or 0)
    return PreparedImage(request, facts, labels, worker=number)


def _labels(run_directory: Path, process: str, *, keep: bool = False) -> Labels:
    return Labels(run_directory.name, run_directory.with_suffix(".lock"), process, kept=keep)


def _remove_run(
    clients: Iterable[docker.DockerClient], labels: Labels, *, keep: bool = False
) -> None:
    """Remove what the run has left, on all of its engines at the same time."""

    def remove(client: docker.DockerClient) -> None:
        # One that had too much to do to answer may have time by now, or the second time.
        client.api.timeout = TIMEOUT
        for _ in range(2):
            # A lost engine has been reported already; the next run sweeps.
            with suppress(CannotJudge):
                remove_run(client, labels.run, keep=keep)
                break

    with ThreadPoolExecutor() as threads:
        list(threads.map(remove, clients))


def _look_up(
    request: ImageRequest, labels: Labels, contract: Contract, stubs: bool, engine: Reached
) -> ImageFacts:
    """Return the facts about the image on one *engine*, after removing what dead runs have left."""
    sweep(engine.client)
    programs = (*known_clis(contract), *programs_in_place(contract))
    facts = look_up(engine.client, request, labels, programs)
    facts = replace(facts, name=engine.name, tunnel=engine.tunnel)
    return commit_stubbed(engine.client, facts, labels) if stubs else facts


def _need_stubs(scenarios: Sequence[Scenario], contract: Contract) -> bool:
    """Return whether stubs have to take the place of the image's own CLIs in any scenario."""
    if contract.entrypoint is not None or contract.requests is not None:
        return True
    return any(scenario.cli != HEALTHY for scenario in scenarios)


def _why_fresh(
    request: ImageRequest,
    engines: Sequence[ImageFacts],
    contract: Contract,
    differs: Callable[[], str],
) -> str:
    """Return why containers cannot be shared, although that is asked for; empty if they can.

    *differs* tries it.
    """
    if request.isolation == "fresh":
        return ""
    if contract.requests is not None:
        return "no isolation but fresh, because a Manager is in the network of each container"
    if contract.entrypoint is not None:
        return "an entrypoint starts first in a container"
    if not all(facts.has_shell for facts in engines):
        return "no isolation but fresh, because the image has no shell to share"
    if request.confinement.writable:
        return "no isolation but fresh, because the root file system is to be writable"
    return differs() if request.isolation == "shared" else ""


def _differs(
    driver: ContainerDriver, scenarios: Sequence[Scenario], contract: Contract, context: Context
) -> str:
    """Return why containers cannot be shared, after trying one of *scenarios* in both ways."""
    everywhere = [s for s in scenarios if s.container is None and not s.only_local]
    scenario = next((s for s in everywhere if not s.takes_long), None)
    if scenario is None:
        return ""
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
