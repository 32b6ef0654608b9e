"""What a scenario comes to before its probe starts: the home, the one with the opposite answer, stubs, environment.

Nothing is written here. Drivers place a layout: as directories, or in the volumes of a container.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from conformance.catalogue.agents import good_login
from conformance.drivers.environment import FIXED, environment
from conformance.drivers.stubs import Stubs, stubs_for
from conformance.home import Node, plan
from conformance.model.agent import AGENT_CLIS, HEALTHY
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry, Scenario

__all__ = ["Layout", "Surroundings", "known_clis", "lay_out", "opposite_home"]


class Surroundings(Struct, frozen=True, kw_only=True):
    """Where the parts of a layout lie for the probe, and what is there already."""

    home: str
    """The path of the HOME."""
    opposite: str
    """The path of the home with the opposite answer."""
    cli: str = ""
    """The directory of the stubs."""
    path: str
    """The PATH behind the stubs."""
    variables: dict[str, str] = field(default_factory=dict)
    """What the user wants in every probe's environment."""
    fixed: dict[str, str] = field(default_factory=lambda: dict(FIXED))
    """What is in every probe's environment, and gives way to all else."""
    own_clis: frozenset[str] | None = None
    """The CLIs that an image has itself; None where there is no image, and healthy CLIs are stubs, too."""
    seed: tuple[Node, ...] = ()
    """What an image keeps in its HOME."""


class Layout(Struct, frozen=True, kw_only=True):
    """What is to be placed for one execution."""

    home: tuple[Node, ...]
    """What lies in the HOME, parents before children."""
    opposite: tuple[Node, ...]
    """What lies in the home with the opposite answer."""
    has_opposite: bool
    """Whether the contract asks for that home."""
    stubs: Stubs | None
    """None where the contract asks the CLIs themselves."""
    environment: dict[str, str]
    """The variables of the probe."""
    unset: tuple[str, ...] = ()
    """Variables that the probe must not have, whatever its surroundings say."""


def known_clis(contract: Contract) -> tuple[str, ...]:
    """Return the names of all programs that may be an agent's CLI under *contract*."""
    return tuple(sorted({*AGENT_CLIS, *contract.agents}))


def lay_out(scenario: Scenario, contract: Contract, context: Context, around: Surroundings) -> Layout:
    """Return what *scenario* comes to under *contract* in these surroundings.

    :raises CannotJudge: it does not come out as a home.
    :raises FileError: the contract asks for the opposite home, and no good login of the agent is known.
    """
    context = replace(context, scenario=scenario.id, home=around.home)
    home = plan(scenario.entries, context)
    if around.seed:
        hidden = () if scenario.cli == HEALTHY else known_clis(contract)
        home = sorted([*_seed(around.seed, home, hidden), *home], key=lambda node: node.path.split(b"/"))
    opposite: list[Node] = []
    if contract.inputs.opposite_home:
        opposite = plan(opposite_home(scenario, contract), replace(context, home=around.opposite))
    stubs = None
    if not contract.commands or around.own_clis is not None:
        stubs = stubs_for(scenario, contract, around.own_clis)
    return Layout(
        home=tuple(home),
        opposite=tuple(opposite),
        has_opposite=bool(contract.inputs.opposite_home),
        stubs=stubs,
        environment=environment(
            scenario,
            contract,
            context,
            path=f"{around.cli}:{around.path}" if stubs is not None else around.path,
            opposite=around.opposite,
            extra=around.variables,
            fixed=around.fixed,
        ),
        unset=scenario.unset,
    )


def opposite_home(scenario: Scenario, contract: Contract) -> tuple[Entry, ...]:
    """Return a home whose answer is the opposite of what *scenario* expects: a good login, or nothing at all.

    :raises FileError: nobody has written down what a good login of the agent is.
    """
    if all(contract.code(verdict) == 0 for verdict in scenario.expected(contract)):
        return ()
    # The layers of one's own lie where ids count from: above the file, a directory for each part of the id.
    parts = scenario.id.count("/") - (1 if scenario.variant else 0)
    root = next(iter(Path(scenario.file).parents[parts : parts + 1]), None)
    return good_login(scenario.agent, name=scenario.file, root=root)


def _seed(seed: Sequence[Node], wanted: Iterable[Node], hidden: Collection[str]) -> list[Node]:
    """Return what of the image's own HOME goes with the *wanted* nodes, without CLIs that are *hidden*.

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
