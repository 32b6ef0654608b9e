"""A layout as it lies in a container: everything with an owner, below the HOME and below the directory beside it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from conformance.drivers.container.request import ASIDE, ImageFacts
from conformance.drivers.layout import Layout, Surroundings
from conformance.home import Node, write_tar

__all__ = ["MODE", "PlacedLayout", "place", "surroundings"]

#: Tells an image's entrypoint that it is to answer as a probe, and to do nothing else.
MODE = {"AGENT_MODE": "smoke-test"}


class PlacedLayout(Struct, frozen=True, kw_only=True):
    """Nodes below each of the two places, every one with its owner; the first stands for the place itself."""

    home: tuple[Node, ...]
    aside: tuple[Node, ...]
    opposite: tuple[Node, ...]
    """The home with the opposite answer, as it lies below *aside*; the first stands for the home itself."""
    uid: int
    gid: int
    """Of the user that the probe runs as."""

    def archive(self, home: str, aside: str) -> bytes:
        """Return both places as one archive, below the paths *home* and *aside*; sockets are left out."""
        stream = io.BytesIO()
        nodes = [*_below(home.encode(), self.home), *_below(aside.encode(), self.aside)]
        write_tar([node for node in nodes if node.kind != "socket"], stream, uid=self.uid, gid=self.gid)
        return stream.getvalue()

    @property
    def sockets(self) -> tuple[Node, ...]:
        """The nodes of the HOME that no archive can carry."""
        return tuple(node for node in self.home if node.kind == "socket")


def surroundings(facts: ImageFacts, variables: Mapping[str, str]) -> Surroundings:
    """Return where layouts lie in a container of the image, and what is there already."""
    return Surroundings(
        home=facts.home,
        opposite=f"{ASIDE}/opposite",
        cli=f"{ASIDE}/cli",
        path=variables.get("PATH", facts.environment["PATH"]),
        variables=dict(variables),
        fixed=MODE,
        own_clis=frozenset(path.rpartition("/")[2] for path in facts.cli_paths),
        seed=facts.seed,
    )


def place(layout: Layout, uid: int, gid: int, home_owner: int | None = None) -> PlacedLayout:
    """Return *layout* as it lies in a container whose probe runs as *uid* and *gid*.

    The HOME and what is in it belong to *home_owner*, by default to *uid*, unless an entry says otherwise.
    """
    opposite: list[Node] = []
    if layout.has_opposite:
        top = Node(path=b"", kind="directory", mode=0o700)
        opposite = [_owned(node, uid) for node in (top, *layout.opposite)]
    top = Node(path=b"", kind="directory", mode=0o700)
    return PlacedLayout(
        home=tuple(_owned(node, uid if home_owner is None else home_owner) for node in (top, *layout.home)),
        aside=tuple(_aside(layout, opposite)),
        opposite=tuple(opposite),
        uid=uid,
        gid=gid,
    )


def _aside(layout: Layout, opposite: Iterable[Node]) -> Iterator[Node]:
    """Yield what lies beside the HOME: stubs, which nobody but root may change, and the opposite home."""
    yield Node(path=b"", kind="directory", mode=0o755, owner=0)
    yield Node(path=b"cli", kind="directory", mode=0o755, owner=0)
    stubs = layout.stubs.nodes() if layout.stubs is not None else []
    yield from (replace(node, owner=0) for node in _below(b"cli", stubs))
    yield from _below(b"opposite", opposite)


def _owned(node: Node, owner: int) -> Node:
    return replace(node, owner=owner) if node.owner is None else node


def _below(top: bytes, nodes: Iterable[Node]) -> Iterator[Node]:
    return (replace(node, path=top + b"/" + node.path if node.path else top) for node in nodes)
