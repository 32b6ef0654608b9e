"""Run the probe of an image: in a container for each scenario, in a shared one, or in both."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import docker
from msgspec.structs import replace

from conformance.catalogue.agents import state_of
from conformance.drivers.container.client import (
    ENGINE_ERRORS,
    EngineLost,
    engine_errors,
    message,
)
from conformance.drivers.container.described import described
from conformance.drivers.container.fresh_run import FreshRun, with_signal
from conformance.drivers.container.homes import unmet_script, with_changes
from conformance.drivers.container.keeper import VolumeKeeper
from conformance.drivers.container.labels import Labels
from conformance.drivers.container.layout import (
    PlacedLayout,
    outside_containers,
    place,
    surroundings,
)
from conformance.drivers.container.login import MODE, ContainerLogin, Where
from conformance.drivers.container.pool import ContainerPool, PooledContainers
from conformance.drivers.container.request import (
    OTHER_ARCHITECTURE,
    SILENT,
    ImageFacts,
    ImageRequest,
)
from conformance.drivers.container.shell import ShellLost
from conformance.drivers.container.spec import ContainerSpec
from conformance.drivers.container.starts import ContainerStarts, plan_of, with_stubs
from conformance.drivers.container.volumes import HomeVolumes, PlainVolumes
from conformance.drivers.environment import fixed_for
from conformance.drivers.layout import Layout, lay_out
from conformance.drivers.starts import Plan
from conformance.errors import CannotJudge, ConformanceError
from conformance.home import Node
from conformance.home.build import Unbuildable
from conformance.model.agent import HEALTHY
from conformance.model.contract import Contract
from conformance.model.outcome import Broke, Execution, Outcome, TimedOut, Unsupported, not_run
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["ContainerDriver"]

#: A process gives up an image when this many first scenarios all end without an answer.
_SILENCES = 3


class ContainerDriver:
    """Runs the entrypoint of an image; *facts* hold all there is to know about the image."""

    def __init__(
        self,
        client: docker.DockerClient,
        request: ImageRequest,
        facts: ImageFacts,
        labels: Labels,
        *,
        extra: Mapping[str, str] | None = None,
        always_compare: bool = False,
    ) -> None:
        self._client = client
        self._request = request
        self._facts = facts
        self._labels = labels
        self._extra = dict(extra or {})
        self._always_compare = always_compare
        self._compared = False
        self._pool = ContainerPool(self._volumes)
        self.lost: CannotJudge | None = None
        """Why its engine answers no more; None as long as it does."""
        self._silences = 0
        self._around = surroundings(facts, self._extra)

    def without_mode(self) -> ContainerDriver:
        """Return a driver that asks for a mode that does not exist, in fresh containers."""
        facts = replace(self._facts, isolation="fresh")
        extra = {**self._extra, "AGENT_MODE": "no-such-mode"}
        return ContainerDriver(self._client, self._request, facts, self._labels, extra=extra)

    def describe(self) -> dict[str, Any]:
        """Return the image, the engine, and what isolates its containers."""
        return described(self._request, [self._facts])

    def execute(
        self, scenario: Scenario, contract: Contract, context: Context, number: int = 0
    ) -> Execution:
        """See :class:`~conformance.drivers.Driver`.

        With both isolations, an odd *number* takes the shared one.
        """
        if why_not := self._given_up():
            return not_run(Broke(why_not))
        both = self._facts.isolation == "both"
        shared = number % 2 == 1 if both else self._facts.isolation == "shared"
        if scenario.container is not None:
            shared = False  # only a container of its own gives it what it needs
        try:
            execution = self._execute(scenario, contract, context, shared=shared)
        except Unbuildable as e:
            execution = not_run(Unsupported(str(e)))
        except EngineLost as e:
            self._give_up(e)
            execution = not_run(Broke(str(e)))
        except (ConformanceError, *ENGINE_ERRORS) as e:
            why = str(e) if isinstance(e, ConformanceError) else message(e)
            execution = not_run(Broke(why))
        outcome = execution.outcome
        if outcome.code not in scenario.codes(contract) and (why := self._why_lost()):
            # What stops an engine ends its containers, which looks like an answer of the probe.
            execution = not_run(Broke(why))
        self._count_silences(execution.outcome)
        return execution if both else replace(execution, isolation="")

    def _why_lost(self) -> str:
        """Return why the engine answers no more, after asking it; empty as long as it does."""
        if self.lost is None:
            try:
                with engine_errors("the engine does not answer"):
                    self._client.ping()
            except CannotJudge as e:
                self._give_up(e)
        return str(self.lost or "")

    def _give_up(self, why: CannotJudge) -> None:
        self.lost = why
        self._client.api.timeout = 1  # cleaning up is not worth waiting for

    def _given_up(self) -> str:
        """Return why no scenario runs any more; empty if they do."""
        if self.lost is not None:
            return str(self.lost)
        if self._pool.closed:
            return "the run was ended"
        return SILENT if self._silences >= _SILENCES else ""

    def _count_silences(self, outcome: Outcome) -> None:
        """Record whether the image has answered; after one answer the run goes on to the end."""
        if isinstance(outcome.ending, TimedOut) and self._silences >= 0:
            self._silences += 1
        else:
            self._silences = -1

    def _execute(
        self, scenario: Scenario, contract: Contract, context: Context, *, shared: bool
    ) -> Execution:
        with self._pool.taken() as pooled:
            try:
                return self._execute_in(pooled, scenario, contract, context, shared=shared)
            except EngineLost:
                self._client.api.timeout = 1  # removing the containers is not worth waiting for
                raise

    def _execute_in(
        self,
        pooled: PooledContainers,
        scenario: Scenario,
        contract: Contract,
        context: Context,
        *,
        shared: bool,
    ) -> Execution:
        if contract.requests is not None:
            return self._log_in(pooled.volumes, scenario, contract, context)
        layout, placed = self._place(pooled.volumes, scenario, contract, context)
        spec = self._spec(scenario, contract, layout, pooled.volumes)
        if contract.entrypoint is not None:
            starts = ContainerStarts(
                client=self._client,
                labels=self._labels.for_scenario(scenario),
                volumes=pooled.volumes,
                spec=spec,
                placed=placed,
                stubbed=self._facts.cli_paths,
            )
            return starts.run(self._plan(scenario, contract, layout))
        outcome: Outcome | None = None
        outside: tuple[str, ...] = ()
        if shared:
            outcome = self._run_shared(pooled, spec, placed, contract)
        isolation = "fresh" if outcome is None else "shared"
        if outcome is None:
            outcome, outside = self._run_fresh(pooled, spec, placed, scenario, contract)
        if self._facts.architecture_warning and b"exec format error" in outcome.stderr:
            raise CannotJudge(self._facts.architecture_warning, hint=OTHER_ARCHITECTURE)
        execution = Execution(outcome=outcome, outside=outside, isolation=isolation)
        if not outcome.says_something:
            return execution
        return with_changes(pooled.volumes, execution, placed, layout.writes, contract)

    def _log_in(
        self, volumes: HomeVolumes, scenario: Scenario, contract: Contract, context: Context
    ) -> Execution:
        """Let somebody log in, in a container of its own beside that of a relay."""
        if not self._facts.has_shell:
            raise Unbuildable("the scripted CLI is a shell script, and the image has no shell")
        home, aside = volumes.volumes
        spec = ContainerSpec(
            image=self._facts.id,
            argv=(),
            user=self._facts.user,
            volumes=(home, aside),
            confinement=self._request.confinement,
        )
        labels = self._labels.for_scenario(scenario)
        with closing(
            ContainerLogin(Where(self._client, spec, labels), scenario, contract)
        ) as login:
            context = replace(context, manager=login.url)
            layout, placed = self._place(volumes, scenario, contract, context, login)
            spec = self._spec(scenario, contract, layout, volumes)
            network = replace(spec.confinement, network=login.network)
            run = FreshRun(self._client, replace(spec, confinement=network), labels)
            try:
                login.starts()
                outcome = with_signal(run.run(contract.limits.seconds), contract)
            finally:
                run.close()
            execution = Execution(outcome=outcome, isolation="fresh")
            if not outcome.says_something:
                return execution
            writes, filled = layout.writes, (*contract.entrypoint_writes, *layout.replaceable)
            contract = replace(contract, entrypoint_writes=filled)
            return login.seen(with_changes(volumes, execution, placed, writes, contract))

    def _place(
        self,
        volumes: HomeVolumes,
        scenario: Scenario,
        contract: Contract,
        context: Context,
        login: ContainerLogin | None = None,
    ) -> tuple[Layout, PlacedLayout]:
        """Place the layout of *scenario* in *volumes*; beside it, what a *login* needs."""
        if why_not := outside_containers(scenario):
            raise Unbuildable(why_not)
        around = self._around
        if contract.entrypoint is not None:  # the mode is its own, and every CLI is a stub
            around = replace(around, fixed={}, own_clis=None)
        if contract.requests is not None:
            around = replace(around, fixed={**fixed_for(contract, {}), **MODE})
        layout = lay_out(scenario, contract, context, around)
        beside: list[Node] = []
        if login is not None:
            layout, beside = login.prepare(layout)
        uid, gid = self._user(scenario)
        needs = scenario.container
        placed = place(layout, uid, gid, needs.home_owner if needs is not None else None)
        placed = replace(placed, aside=(*placed.aside, *beside))
        needs_shell = scenario.cli != HEALTHY and state_of(scenario).needs_shell
        if needs_shell and not self._facts.has_shell:
            cause = "the stub of such a CLI is a shell script, and the image has no shell"
            raise Unbuildable(cause)
        if contract.entrypoint is not None:
            placed = with_stubs(placed, self._plan(scenario, contract, layout))
        volumes.place(placed)
        return layout, placed

    def _plan(self, scenario: Scenario, contract: Contract, layout: Layout) -> Plan:
        """Return what is known of the starts of an entrypoint."""
        return plan_of(scenario, contract, layout, self._facts.home, self._facts.command)

    def _user(self, scenario: Scenario) -> tuple[int, int]:
        """Return the uid and gid that the probe runs as."""
        needs = scenario.container
        if needs is None or not needs.user:
            return self._facts.uid, self._facts.gid
        uid, _, gid = needs.user.partition(":")
        return int(uid), int(gid or 0)

    def _spec(
        self, scenario: Scenario, contract: Contract, layout: Layout, volumes: HomeVolumes
    ) -> ContainerSpec:
        """Return the container that *scenario* needs, over *volumes*."""
        facts, needs = self._facts, scenario.container
        home, aside = volumes.volumes
        about = contract.entrypoint is not None or scenario.login is not None
        stubs = scenario.cli != HEALTHY or about
        stubbed = stubs and facts.stub_image_id
        return ContainerSpec(
            image=facts.stub_image_id if stubbed else facts.id,
            argv=self._argv(scenario, contract, layout),
            environment={**layout.environment, **dict.fromkeys(layout.unset)},
            user=needs.user if needs is not None and needs.user else facts.user,
            directory=facts.directory,
            volumes=(replace(home, read_only=needs is not None and needs.home_read_only), aside),
            read_only=self._request.confinement.writable is False,
            confinement=self._request.confinement,
        )

    def _argv(self, scenario: Scenario, contract: Contract, layout: Layout) -> tuple[str, ...]:
        """Return the program to start and its arguments."""
        argv = (*self._facts.entrypoint, *self._facts.command)
        if scenario.start is not None and scenario.start.arguments:
            argv = (*self._facts.entrypoint, *scenario.start.arguments)
        elif self._request.entrypoint is None and self._request.command is None:
            argv = contract.commands.get(scenario.agent, ()) or argv
        first = []
        if "HOME" in layout.unset:
            first.append("unset HOME")  # engines always set it, so it is unset inside
        if scenario.process.umask is not None:
            first.append(f"umask {scenario.process.umask:04o}")
        if not first:
            return argv
        if not self._facts.has_shell:
            raise Unbuildable(f"only a shell can {first[0]}, and the image has none")
        return ("sh", "-c", f'{"; ".join(first)}; exec "$@"', "sh", *argv)

    def _run_shared(
        self,
        pooled: PooledContainers,
        spec: ContainerSpec,
        placed: PlacedLayout,
        contract: Contract,
    ) -> Outcome | None:
        """Run the probe in a shared container; return None if only a fresh one can tell."""
        seconds = contract.limits.seconds
        try:
            container = pooled.shared(self._client, spec, self._labels)
            if (script := unmet_script(placed, spec)) and (unmet := container.unmet(script)):
                return Outcome(ending=Unsupported(unmet))
            outcome = container.run(spec.argv, spec.environment, spec.directory, seconds)
        except ShellLost:
            pooled.drop(spec)
            pooled.volumes.place(placed)
            return None
        if isinstance(outcome.ending, TimedOut):
            pooled.drop(spec)
        return with_signal(outcome, contract)

    def _run_fresh(
        self,
        pooled: PooledContainers,
        spec: ContainerSpec,
        placed: PlacedLayout,
        scenario: Scenario,
        contract: Contract,
    ) -> tuple[Outcome, tuple[str, ...]]:
        """Run the probe in a container of its own; return also what changed outside the HOME."""
        if self._facts.has_shell and (script := unmet_script(placed, spec)):
            # A shared container with the same user, rights and volumes answers this faster.
            asked = replace(spec, image=self._facts.id)
            if unmet := pooled.shared(self._client, asked, self._labels).unmet(script):
                return Outcome(ending=Unsupported(unmet)), ()
        run = FreshRun(self._client, spec, self._labels.for_scenario(scenario))
        try:
            outcome = with_signal(run.run(contract.limits.seconds), contract)
            if self._wants_comparison(outcome, scenario, contract):
                return outcome, run.changed_outside()
            return outcome, ()
        finally:
            run.close()

    def _wants_comparison(self, outcome: Outcome, scenario: Scenario, contract: Contract) -> bool:
        """Return whether it pays to look for changes outside the HOME.

        That takes as long as another start. So unless the contract forbids such changes, it is done
        only for the first scenario and for those that deviate.
        """
        first, self._compared = not self._compared, True
        if first or self._always_compare or contract.outside_writes == "forbidden":
            return True
        return outcome.code not in scenario.codes(contract)

    def _volumes(self) -> HomeVolumes:
        kind = VolumeKeeper if self._facts.has_shell else PlainVolumes
        return kind(self._client, self._facts, self._labels)

    def stage(self, scenario: Scenario, contract: Contract, context: Context) -> ContainerSpec:
        """Place the home of *scenario* in volumes that stay; return the container to run over them.

        :raises CannotJudge: that is not possible.
        """
        volumes = self._volumes()
        try:
            layout, _ = self._place(volumes, scenario, contract, context)
            spec = self._spec(scenario, contract, layout, volumes)
        except BaseException:
            volumes.close()
            raise
        volumes.close(keep_volumes=True)
        if spec.image == self._facts.stub_image_id:
            return spec
        return replace(spec, image=self._request.reference)

    def close(self) -> None:
        """Remove all containers and volumes of this process."""
        self._pool.close()
