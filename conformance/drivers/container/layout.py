"""A layout in a container: every node has an owner, and is in the HOME or the directory aside."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, cast

from msgspec import Struct
from msgspec.structs import replace

from conformance.drivers.container.request import ASIDE, ImageFacts
from conformance.drivers.layout import Layout, Surroundings
from conformance.home import Node, write_tar
from conformance.model.scenario import Scenario

__all__ = [
    "ASKED",
    "MODE",
    "PlacedLayout",
    "outside_containers",
    "place",
    "spool",
    "surroundings",
]

#: Archives up to this size stay in memory; larger ones are files that have no name.
_IN_MEMORY = 8 * 1024 * 1024

#: The file beside the HOME that keeps what stubs are asked.
ASKED = "asked"

#: Tells an image's entrypoint to answer as a probe, and to do nothing else.
MODE = {"AGENT_MODE": "smoke-test"}


def spool() -> BinaryIO:
    """Return a file for an archive: in memory as long as that is small, and gone when closed."""
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY))


class PlacedLayout(Struct, frozen=True, kw_only=True):
    """The nodes of two directories, each with its owner; the first node is the directory itself."""

    home: tuple[Node, ...]
    aside: tuple[Node, ...]
    opposite: tuple[Node, ...]
    """The nodes of the opposite home, which is below *aside*; the first is the home itself."""
    uid: int
    """The user that the probe runs as."""
    gid: int
    """The group that the probe runs as."""

    def archive(self, home: str, aside: str) -> BinaryIO:
        """Return both directories as one archive, below *home* and *aside*, without sockets.

        It is a file at its start, which is to be closed.
        """
        stream = spool()
        nodes = [*_below(home.encode(), self.home), *_below(aside.encode(), self.aside)]
        archived = [node for node in nodes if node.kind != "socket"]
        try:
            write_tar(archived, stream, uid=self.uid, gid=self.gid)
            stream.seek(0)
        except BaseException:
            stream.close()
            raise
        return stream

    @property
    def sockets(self) -> tuple[Node, ...]:
        """The nodes of the HOME that an archive cannot hold."""
        return tuple(node for node in self.home if node.kind == "socket")


def surroundings(facts: ImageFacts, variables: Mapping[str, str]) -> Surroundings:
    """Return where a container of the image has the parts of a layout, and what is there before."""
    return Surroundings(
        home=facts.home,
        opposite=f"{ASIDE}/opposite",
        cli=f"{ASIDE}/cli",
        asked=f"{ASIDE}/{ASKED}",
        path=variables.get("PATH", facts.environment["PATH"]),
        variables=dict(variables),
        fixed=MODE,
        own_clis=frozenset(path.rpartition("/")[2] for path in facts.cli_paths),
        seed=facts.seed,
    )


def place(layout: Layout, uid: int, gid: int, home_owner: int | None = None) -> PlacedLayout:
    """Return *layout* as it is placed in a container whose probe runs as *uid* and *gid*.

    The HOME and its files belong to *home_owner*, by default *uid*, unless an entry says otherwise.
    """
    top = Node(path=b"", kind="directory", mode=0o700)
    opposite: list[Node] = []
    if layout.has_opposite:
        opposite = [_owned(node, uid) for node in (top, *layout.opposite)]
    owner = uid if home_owner is None else home_owner
    return PlacedLayout(
        home=tuple(_owned(node, owner) for node in (top, *layout.home)),
        aside=tuple(_aside(layout, opposite)),
        opposite=tuple(opposite),
        uid=uid,
        gid=gid,
    )


def _aside(layout: Layout, opposite: Iterable[Node]) -> Iterator[Node]:
    """Yield what is beside the HOME: stubs, which only root may change, and the opposite home."""
    yield Node(path=b"", kind="directory", mode=0o755, owner=0)
    yield Node(path=b"cli", kind="directory", mode=0o755, owner=0)
    # Its stubs append to it, whoever the probe runs as.
    yield Node(path=ASKED.encode(), kind="file", mode=0o666, owner=0)
    stubs = layout.stubs.nodes(layout.asked) if layout.stubs is not None else []
    for node in _below(b"cli", stubs):
        yield replace(node, owner=0)
    yield from _below(b"opposite", opposite)


def _owned(node: Node, owner: int) -> Node:
    return replace(node, owner=owner) if node.owner is None else node


def _below(top: bytes, nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield replace(node, path=top + b"/" + node.path if node.path else top)


def outside_containers(scenario: Scenario) -> str:
    """Return why no image can show *scenario*; empty if one can."""
    if scenario.process.cwd:
        return "an image says itself where its process starts"
    if scenario.home_name:
        return "the HOME of an image lies where it lies"
    if scenario.earlier is not None:
        return "a container runs its image once"
    return ""
