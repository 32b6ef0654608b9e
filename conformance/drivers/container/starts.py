"""Start the entrypoint of an image, with stubs in place of all that it may start."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

import docker
from msgspec import Struct
from msgspec.structs import replace

from conformance.drivers.container.fresh_run import FreshRun, with_signal
from conformance.drivers.container.keeper import VolumeKeeper
from conformance.drivers.container.layout import PlacedLayout
from conformance.drivers.container.request import ASIDE
from conformance.drivers.container.spec import ContainerSpec
from conformance.drivers.container.volumes import HomeVolumes
from conformance.drivers.layout import Layout
from conformance.drivers.recorder import STATE, calls_in
from conformance.drivers.starts import HomeSeen, Plan, both, seen
from conformance.home import Node, plan, stamps
from conformance.home.build import Unbuildable
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, Outcome, Unsupported, not_run
from conformance.model.scenario import Scenario
from conformance.model.start import FileSeen, StartSeen

__all__ = ["ContainerStarts", "plan_of", "with_stubs"]

_RECORDS, _STDIN = "records", "stdin"
#: Files of a HOME up to this size are read.
_LARGEST = 64 * 1024


def plan_of(
    scenario: Scenario, contract: Contract, layout: Layout, home: str, command: tuple[str, ...]
) -> Plan:
    """Return what is known of the starts of *scenario* in containers with their HOME at *home*.

    The image has the arguments *command* of its own.
    """
    return Plan(
        scenario=scenario,
        contract=contract,
        context=layout.context,
        environment=layout.environment,
        directory=f"{ASIDE}/cli",
        records=f"{ASIDE}/{_RECORDS}",
        home=home,
        command=command,
        writes=layout.writes,
    )


def with_stubs(placed: PlacedLayout, todo: Plan) -> PlacedLayout:
    """Return *placed* with stubs that record, and the CLIs in their state a directory below."""
    states = [node for node in placed.aside if node.path.startswith(b"cli/")]
    others = [node for node in placed.aside if not node.path.startswith(b"cli/")]
    below = f"cli/{STATE}".encode()
    nodes = [
        *others,
        *(replace(node, path=b"cli/" + node.path, owner=0) for node in todo.stubs()),
        Node(path=below, kind="directory", mode=0o755, owner=0),
        *(replace(node, path=below + node.path.removeprefix(b"cli")) for node in states),
        # The entrypoint may run as anybody.
        Node(path=_RECORDS.encode(), kind="directory", mode=0o1777, owner=0),
        Node(path=_STDIN.encode(), kind="file", mode=0o644, owner=0, pieces=((todo.stdin(), 1),)),
    ]
    return replace(placed, aside=tuple(nodes))


class ContainerStarts(Struct, frozen=True, kw_only=True):
    """The starts of one scenario, over volumes in which its layout has been placed."""

    client: docker.DockerClient
    labels: dict[str, str]
    volumes: HomeVolumes
    spec: ContainerSpec
    placed: PlacedLayout
    stubbed: tuple[str, ...]
    """The paths of programs that stubs lie over."""

    def run(self, todo: Plan) -> Execution:
        """Start the entrypoint as often as the scenario says, and return what was seen.

        :raises CannotJudge: the engine refuses.
        """
        keeper = self.volumes
        if not isinstance(keeper, VolumeKeeper):
            raise Unbuildable("stubs are shell scripts, and the image has no shell")
        numbers = range(2 if todo.start.again is not None else 1)
        for number in numbers:
            self._check_program(todo.expected(number)[:1])
        before, _ = _looked(todo, keeper)
        if before.stamps != stamps(self.placed.home):
            return not_run(Unsupported("this engine's volumes do not hold the home"))
        starts: list[StartSeen] = []
        outcomes: list[Outcome] = []
        outside: tuple[str, ...] = ()
        calls = 0
        for number in numbers:
            if number:
                self._change(todo, keeper)
                before, _ = _looked(todo, keeper)
            run = FreshRun(self.client, self._spec(todo, number), self.labels)
            try:
                outcome = with_signal(run.run(todo.limit), todo.contract)
                if todo.about_side_effects:  # to look takes as long as to start
                    outside = run.changed_outside()
            finally:
                run.close()
            if not outcome.says_something:
                return Execution(outcome=outcome)
            after, records = _looked(todo, keeper)
            told = calls_in(records, todo.directory, after=calls)
            calls += len(told)
            starts.append(seen(todo, number, outcome, told, (before, after)))
            outcomes.append(outcome)
        return Execution(
            outcome=both(outcomes),
            outside=outside,
            changes=tuple(line for one in starts for line in one.changes),
            starts=tuple(starts),
        )

    def _check_program(self, program: Sequence[str]) -> None:
        """Make sure that a stub lies in the place of the *program*, if that is named by its path.

        :raises Unbuildable: none can.
        """
        for path in program:
            if path.startswith("/") and path not in self.stubbed:
                cause = f"the image has no {path} that a stub could stand in for"
                raise Unbuildable(f"{cause}: a contract of your own names another")

    def _spec(self, todo: Plan, number: int) -> ContainerSpec:
        """Return the container of start *number*; what it reads is there for a shell."""
        given = {**self.spec.environment, **todo.variables(number)}
        if not todo.feeds_shell(number):
            return replace(self.spec, environment=given)
        script = f'exec "$@" < {ASIDE}/{_STDIN}'
        argv = ("sh", "-c", script, "sh", *self.spec.argv)
        return replace(self.spec, argv=argv, environment=given)

    def _change(self, todo: Plan, keeper: VolumeKeeper) -> None:
        """Change the HOME between the two starts."""
        again = todo.start.again
        assert again is not None, "only then there is a second start"
        nodes = plan(again.changed, todo.context)
        files = [os.fsdecode(node.path) for node in nodes if node.kind != "directory"]
        keeper.change([*again.removed, *files], nodes, uid=self.placed.uid, gid=self.placed.gid)


def _looked(todo: Plan, keeper: VolumeKeeper) -> tuple[HomeSeen, dict[str, bytes]]:
    """Return what is in the HOME, and what the stubs have recorded."""
    nodes = keeper.nodes("home", f"aside/{_RECORDS}")
    home = {node.path: node for node in _below(b"home", nodes)}
    files = {}
    if todo.seed is not None:
        files[todo.seed.file] = _file(os.fsencode(todo.seed.file), home, todo.home)
    records = {
        os.fsdecode(node.path): _content(node)
        for node in _below(f"aside/{_RECORDS}".encode(), nodes)
        if node.kind == "file"
    }
    return HomeSeen(stamps=stamps(home.values()), files=files), records


def _below(top: bytes, nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield *top* and what lies below it, by their paths from there on."""
    for node in nodes:
        if node.path == top:
            yield replace(node, path=b"")
        elif node.path.startswith(top + b"/"):
            yield replace(node, path=node.path[len(top) + 1 :])


def _content(node: Node) -> bytes:
    return b"".join(node.chunks())


def _file(path: bytes, home: Mapping[bytes, Node], top: str) -> FileSeen:
    """Return what lies at *path* in a *home* that lies at *top*."""
    node = home.get(path)
    if node is None:
        return FileSeen()
    if node.kind == "directory":
        return FileSeen(kind="directory", mode=node.mode)
    if node.kind == "file":
        return FileSeen(kind="file", mode=node.mode, content=_content(node)[:_LARGEST])
    if node.kind == "symlink":
        target = os.fsdecode(node.target)
        led = posixpath.normpath(posixpath.join(top, os.path.dirname(os.fsdecode(path)), target))
        other = home.get(os.fsencode(led.removeprefix(f"{top.rstrip('/')}/")))
        content = _content(other)[:_LARGEST] if other is not None and other.kind == "file" else None
        return FileSeen(kind="symlink", mode=0o777, content=content, target=target)
    return FileSeen(kind="other", mode=node.mode)
