"""What lies in a container before its probe starts: the HOME, the stub CLIs, the home with the opposite answer."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from conformance.drivers.conditions import opposite_home
from conformance.drivers.container.request import ImageFacts
from conformance.drivers.stubs import AGENT_CLIS, bystanders, stub_nodes
from conformance.home import Node, plan, write_tar
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["Trees", "trees"]


class Trees(Struct, frozen=True, kw_only=True):
    """Nodes below each of the places, every one with its owner; the first stands for the place itself."""

    home: tuple[Node, ...]
    aside: tuple[Node, ...]
    uid: int
    gid: int
    """Of the user that the probe runs as."""

    def archive(self, home: str, aside: str) -> bytes:
        """Return both as one archive, below the paths *home* and *aside*; sockets are left out."""
        stream = io.BytesIO()
        nodes = [*_below(home.encode(), self.home), *_below(aside.encode(), self.aside)]
        write_tar([node for node in nodes if node.kind != "socket"], stream, uid=self.uid, gid=self.gid)
        return stream.getvalue()

    @property
    def sockets(self) -> tuple[Node, ...]:
        """The nodes of the HOME that no archive can carry."""
        return tuple(node for node in self.home if node.kind == "socket")


def _below(top: bytes, nodes: Iterable[Node]) -> Iterable[Node]:
    return (replace(node, path=top + b"/" + node.path if node.path else top) for node in nodes)


def trees(scenario: Scenario, contract: Contract, context: Context, facts: ImageFacts, uid: int, gid: int) -> Trees:
    """Return what to lay out for *scenario*, for a probe that runs as *uid* and *gid*.

    :raises CannotJudge: the scenario does not come out as a home.
    """
    owner = uid
    if scenario.container is not None and scenario.container.home_owner is not None:
        owner = scenario.container.home_owner
    wanted = plan(scenario.entries, context)
    hidden = () if scenario.cli == "healthy" else (*AGENT_CLIS, *contract.agents)
    seed = _seed(facts.seed, wanted, hidden)
    home = sorted([*seed, *wanted], key=lambda node: node.path.split(b"/"))
    top = Node(path=b"", kind="directory", mode=0o700, owner=owner)
    return Trees(
        home=(top, *(replace(node, owner=owner if node.owner is None else node.owner) for node in home)),
        aside=tuple(_aside(scenario, contract, context, facts, uid)),
        uid=uid,
        gid=gid,
    )


def _seed(seed: Sequence[Node], wanted: Sequence[Node], hidden: Collection[str]) -> list[Node]:
    """Return what of the image's own HOME goes with the *wanted* nodes, without *hidden* CLIs.

    Where both name a path, the scenario decides.
    """
    there = {node.path: node.kind for node in wanted}
    kept: list[Node] = []
    gone: set[bytes] = set()
    for node in seed:  # parents come before children
        above = node.path.rpartition(b"/")[0]
        name = node.path.rpartition(b"/")[2].decode(errors="replace")
        cli = name in hidden and node.kind != "directory"
        if above in gone or there.get(above, "directory") != "directory" or cli:
            gone.add(node.path)
        elif node.path not in there:
            kept.append(replace(node, owner=None, mtime=None))
    return kept


def _aside(scenario: Scenario, contract: Contract, context: Context, facts: ImageFacts, uid: int) -> Iterable[Node]:
    yield Node(path=b"", kind="directory", mode=0o755, owner=0)
    yield Node(path=b"cli", kind="directory", mode=0o755, owner=0)
    asked = scenario.env.get(contract.inputs.agent, scenario.agent)
    has = {path.rpartition("/")[2] for path in facts.own}
    others = [name for name in bystanders(scenario, contract, asked) if scenario.cli != "healthy" or name not in has]
    # A healthy CLI is the image's own, or none: whether it is there is what the image is asked about.
    agent = [] if scenario.cli == "healthy" else [scenario.agent]
    for node in (*(stub_nodes(agent[0], scenario.cli, ()) if agent else ()), *stub_nodes("", "missing", others)):
        yield replace(node, path=b"cli/" + node.path, owner=0)
    if contract.inputs.opposite_home:
        yield Node(path=b"opposite", kind="directory", mode=0o700, owner=uid)
        for node in plan(opposite_home(scenario, contract), context):
            yield replace(node, path=b"opposite/" + node.path, owner=uid if node.owner is None else node.owner)
