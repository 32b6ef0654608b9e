"""Run the probe of an image: in a container for each scenario, in one that they share, or in both ways."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
from msgspec.structs import replace

from conformance.drivers.conditions import conditions
from conformance.drivers.container.client import ENGINE_ERRORS, EngineLost, words
from conformance.drivers.container.fresh_run import FreshRun, ended
from conformance.drivers.container.keeper import Keeper
from conformance.drivers.container.labels import Labels
from conformance.drivers.container.layout import Trees, trees
from conformance.drivers.container.request import ASIDE, SILENT, ImageFacts, ImageRequest
from conformance.drivers.container.shared_container import SharedContainer
from conformance.drivers.container.shell import ShellLost
from conformance.drivers.container.spec import ContainerSpec
from conformance.drivers.container.volumes import Ground, PlainVolumes
from conformance.drivers.environment import environment
from conformance.drivers.stubs import SCRIPTED
from conformance.errors import CannotJudge, ConformanceError
from conformance.home import Snapshot, difference, stamps
from conformance.home.build import Unbuildable
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, Outcome
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["ContainerDriver"]

#: So many scenarios without an answer, before there was one, are enough for each process.
_SILENCES = 3
#: Tells an image's entrypoint that it is to answer as a probe, and to do nothing else.
MODE = {"AGENT_MODE": "smoke-test"}


class _Place:
    """What one scenario at a time uses: homes, and the containers that are shared."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self._shared: dict[tuple[str, str, bool], SharedContainer] = {}

    def shared(self, client: docker.DockerClient, spec: ContainerSpec, labels: Labels) -> SharedContainer:
        """Return a container with a shell in it that is like *spec* but for its program."""
        key = _key(spec)
        if key not in self._shared:
            wanted = replace(spec, argv=("sh",), environment={}, read_only=True, directory="/")
            self._shared[key] = SharedContainer(client, wanted, labels.for_scenario())
        return self._shared[key]

    def drop(self, spec: ContainerSpec) -> None:
        """Remove the shared container that is like *spec*."""
        if container := self._shared.pop(_key(spec), None):
            container.close()

    def close(self) -> None:
        for container in list(self._shared.values()):  # a run that is being ended may still add one
            container.close()
        self.ground.close()


def _key(spec: ContainerSpec) -> tuple[str, str, bool]:
    """Return in what the containers of one image and one pair of volumes can differ."""
    return spec.image, spec.user, spec.volumes[0].read_only


class ContainerDriver:
    """Runs the entrypoint of an image; *facts* tell all there is to know about it."""

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
        self._idle: list[_Place] = []
        self._places: set[_Place] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._lost = ""
        self._silences = 0

    def without_mode(self) -> ContainerDriver:
        """Return a driver that asks the image for a mode that does not exist, in containers of their own."""
        facts = replace(self._facts, isolation="fresh")
        extra = {**self._extra, "AGENT_MODE": "no-such-mode"}
        return ContainerDriver(self._client, self._request, facts, self._labels, extra=extra)

    def describe(self) -> dict[str, Any]:
        """Return the image, the engine, and what isolates its containers."""
        facts, limits = self._facts, self._request.confinement
        return {
            "kind": "image",
            "image": self._request.reference,
            "digest": facts.digest or facts.id,
            "image_id": facts.id,
            "engine": facts.engine,
            "command": [*facts.entrypoint, *facts.command],
            "user": f"{facts.uid}:{facts.gid}",
            "home": facts.home,
            "isolation": facts.isolation,
            "network": "cut" if limits.network == "none" else f"open: {limits.network}",
            "capabilities": f"kept: {' '.join(limits.cap_add)}" if limits.cap_add else "dropped",
            "memory": limits.memory,
            "notes": list(facts.notes),
        }

    def execute(self, scenario: Scenario, contract: Contract, context: Context, number: int = 0) -> Execution:
        """See :class:`~conformance.drivers.Driver`; of both isolations, an odd *number* takes the shared one."""
        both = self._facts.isolation == "both"
        shared = (number % 2 == 1) if both else self._facts.isolation == "shared"
        shared = shared and scenario.container is None  # what it needs can only be had by a container of its own
        if self._lost or self._closed or self._silences >= _SILENCES:
            return Execution(outcome=Outcome(broke=self._lost or ("the run was ended" if self._closed else SILENT)))
        try:
            execution = self._execute(scenario, contract, context, shared=shared)
        except Unbuildable as e:
            execution = Execution(outcome=Outcome(unsupported=str(e)))
        except EngineLost as e:
            self._lost = str(e)
            execution = Execution(outcome=Outcome(broke=str(e)))
        except (ConformanceError, *ENGINE_ERRORS) as e:
            execution = Execution(outcome=Outcome(broke=str(e) if isinstance(e, ConformanceError) else words(e)))
        # One answer is enough to go on to the end.
        self._silences = self._silences + 1 if execution.outcome.timed_out and self._silences >= 0 else -1
        return execution if both else replace(execution, isolation="")

    def _execute(self, scenario: Scenario, contract: Contract, context: Context, *, shared: bool) -> Execution:
        place = self._take()
        usable = False
        outside: tuple[str, ...] = ()
        try:
            laid = self.lay_out(place.ground, scenario, contract, context)
            spec = self.spec(scenario, contract, context, place.ground)
            if shared:
                try:
                    outcome = self._run_shared(place, spec, laid, contract)
                except ShellLost:
                    # Whatever became of it, only a container of its own can tell.
                    place.drop(spec)
                    place.ground.lay_out(laid)
                    shared = False
            if not shared:
                outcome, outside = self._run_fresh(place, spec, laid, scenario, contract)
            if self._facts.foreign and b"exec format error" in outcome.stderr:
                raise CannotJudge(self._facts.foreign, hint="build it for this machine, or use an engine on the other")
            execution = Execution(outcome=outcome, outside=outside, isolation="shared" if shared else "fresh")
            if not (outcome.broke or outcome.unsupported):
                execution = self._compared_homes(place.ground, execution, laid, contract)
            usable = place.ground.lasting
        except EngineLost:
            self._client.api.timeout = 1  # what is still tried, to clean up, is not worth waiting for
            raise
        finally:
            self._give(place, usable=usable)
        return execution

    def lay_out(self, ground: Ground, scenario: Scenario, contract: Contract, context: Context) -> Trees:
        """Lay out the home of *scenario*, and what lies beside it, in *ground*."""
        uid, gid = self._user(scenario)
        context = replace(context, scenario=scenario.id, home=self._facts.home)
        laid = trees(scenario, contract, context, self._facts, uid, gid)
        if not self._facts.tools and scenario.cli in SCRIPTED:
            raise Unbuildable("the stub of such a CLI is a shell script, and the image has no shell")
        ground.lay_out(laid)
        return laid

    def _user(self, scenario: Scenario) -> tuple[int, int]:
        """Return the uid and gid that the probe runs as."""
        needs = scenario.container
        if needs is None or not needs.user:
            return self._facts.uid, self._facts.gid
        uid, _, gid = needs.user.partition(":")
        return int(uid), int(gid or 0)

    def spec(self, scenario: Scenario, contract: Contract, context: Context, ground: Ground) -> ContainerSpec:
        """Return the container that *scenario* calls for, over the volumes of *ground*."""
        facts, needs = self._facts, scenario.container
        home, aside = ground.volumes
        stubbed = scenario.cli != "healthy" and facts.stubbed
        asked_for = self._request.entrypoint is not None or self._request.command is not None
        own = () if asked_for else contract.commands.get(scenario.agent, ())
        argv = own or (*facts.entrypoint, *facts.command)
        env = self._environment(scenario, contract, context)
        if "HOME" in env and env["HOME"] is None:
            if not facts.tools:
                raise Unbuildable("HOME can only be taken away by a shell, and the image has none")
            # Engines give everybody a HOME, so it is taken away inside.
            argv = ("sh", "-c", 'unset HOME; exec "$@"', "sh", *argv)
        return ContainerSpec(
            image=facts.stubbed if stubbed else facts.id,
            argv=argv,
            environment=env,
            user=needs.user if needs is not None and needs.user else facts.user,
            directory=facts.directory,
            volumes=(replace(home, read_only=needs is not None and needs.home_read_only), aside),
            read_only=self._request.confinement.writable is False,
            confinement=self._request.confinement,
        )

    def _environment(self, scenario: Scenario, contract: Contract, context: Context) -> dict[str, str | None]:
        """Return the variables to set beside the image's own; None for one to be taken away."""
        facts = self._facts
        context = replace(context, scenario=scenario.id, home=facts.home)
        path = f"{ASIDE}/cli:{self._extra.get('PATH', facts.environment['PATH'])}"
        where = f"{ASIDE}/opposite"
        env = environment(scenario, contract, context, path=path, opposite=where, extra=self._extra, fixed=MODE)
        return {**env, **dict.fromkeys(scenario.unset)}

    def _run_shared(self, place: _Place, spec: ContainerSpec, laid: Trees, contract: Contract) -> Outcome:
        container = place.shared(self._client, spec, self._labels)
        if (script := _tests(laid, spec)) and (unmet := container.unmet(script)):
            return Outcome(unsupported=unmet)
        outcome = container.run(spec.argv, spec.environment, spec.directory, contract.limits.seconds)
        if outcome.timed_out:
            place.drop(spec)
        return ended(outcome, contract)

    def _run_fresh(
        self, place: _Place, spec: ContainerSpec, laid: Trees, scenario: Scenario, contract: Contract
    ) -> tuple[Outcome, tuple[str, ...]]:
        if self._facts.tools and (script := _tests(laid, spec)):
            # Asked in a container that lasts, with the same user, rights and volumes, before the probe has its own.
            unmet = place.shared(self._client, replace(spec, image=self._facts.id), self._labels).unmet(script)
            if unmet:
                return Outcome(unsupported=unmet), ()
        run = FreshRun(self._client, spec, self._labels.for_scenario(scenario))
        try:
            outcome = ended(run.run(contract.limits.seconds), contract)
            outside = run.changed_outside() if self._wants_comparison(outcome, scenario, contract) else ()
            return outcome, outside
        finally:
            run.close()

    def _wants_comparison(self, outcome: Outcome, scenario: Scenario, contract: Contract) -> bool:
        """Return whether it pays to look for changes outside the HOME.

        That takes as long as another start, so unless the contract forbids them only what deviates is looked at, and one.
        """
        expected = {contract.code(verdict) for verdict in scenario.expected(contract)}
        first, self._compared = not self._compared, True
        return self._always_compare or first or contract.outside_writes == "forbidden" or outcome.code not in expected

    def _compared_homes(self, ground: Ground, execution: Execution, laid: Trees, contract: Contract) -> Execution:
        """Add what the probe has changed in the homes; it is unsupported where they did not stand as they should."""
        changes = _changes(laid, ground.look(), contract)
        if changes and ground.lasting:
            ground.lay_out(laid)
            if wrong := _changes(laid, ground.look(), None):
                return Execution(outcome=Outcome(unsupported=f"this engine's volumes do not hold the home: {wrong[0]}"))
        return replace(execution, changes=changes)

    def _take(self) -> _Place:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        place = _Place(self._ground())
        with self._lock:
            self._places.add(place)
        return place

    def _ground(self) -> Ground:
        kind = Keeper if self._facts.tools else PlainVolumes
        return kind(self._client, self._facts, self._labels)

    def stage(self, scenario: Scenario, contract: Contract, context: Context) -> ContainerSpec:
        """Lay out the home of *scenario* in volumes that stay, and return the container to be run over them by hand.

        :raises CannotJudge: that is not possible.
        """
        ground = self._ground()
        try:
            self.lay_out(ground, scenario, contract, context)
            spec = self.spec(scenario, contract, context, ground)
        except BaseException:
            ground.close()
            raise
        ground.close(keep_volumes=True)
        return spec if spec.image == self._facts.stubbed else replace(spec, image=self._request.reference)

    def _give(self, place: _Place, *, usable: bool) -> None:
        with self._lock:
            if usable and not self._closed:
                self._idle.append(place)
                return
            self._places.discard(place)
        place.close()

    def close(self) -> None:
        """Remove all containers and volumes of this process."""
        with self._lock:
            self._closed = True
            places, self._places = self._places, set()
        with ThreadPoolExecutor(8) as pool:  # each takes the engine a fifth of a second
            list(pool.map(_Place.close, places))


def _tests(laid: Trees, spec: ContainerSpec) -> bytes:
    """Return a script that says, as the probe's user, which of the homes' conditions does not hold.

    It tries: what small shells say of permissions is worked out from modes, and wrong for a root without capabilities.
    """
    lines = []
    home = spec.volumes[0]
    for condition, path in conditions(laid.home, home.target.encode(), laid.uid):
        test = "cd" if condition == "unsearchable" else ": <"
        name = shlex.quote(path.decode("utf-8", "surrogateescape"))
        said = shlex.quote(f"{path.decode(errors='backslashreplace')} is not {condition} for uid {laid.uid}")
        lines.append(f"( {test} {name} ) 2>/dev/null && echo {said}\n".encode("utf-8", "surrogateescape"))
    if home.read_only:
        path = f"{home.target}/.probe-conformance".encode()
        lines.append(f"( : >{shlex.quote(path.decode())} ) 2>/dev/null && echo the HOME can be written to\n".encode())
    return b"".join(lines)


def _changes(laid: Trees, after: tuple[Snapshot, Snapshot], contract: Contract | None) -> tuple[str, ...]:
    """Return what stands otherwise than it was laid out, but for what *contract* excuses."""
    prefix = b"opposite/"
    other = [replace(node, path=node.path[len(prefix) :]) for node in laid.aside if (node.path + b"/").startswith(prefix)]
    allowed = contract.allowed_writes if contract is not None else ()
    filled = contract.entrypoint_writes if contract is not None else ()
    expected = (stamps(laid.home), stamps(other))
    home, opposite = (difference(b, a, allowed, replaceable=filled) for b, a in zip(expected, after, strict=True))
    return (*home, *(f"in the opposite home: {change}" for change in opposite))
