"""What a scenario needs before its probe starts: home, opposite home, stubs and environment.

Nothing is written here. Drivers place a layout as directories, or in the volumes of a container.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from conformance.catalogue.agents import good_login
from conformance.drivers.environment import FIXED, environment, unset_variables
from conformance.drivers.starts import entry_variables, program_names
from conformance.drivers.stubs import Stubs, stubs_for
from conformance.drivers.writes import places_of
from conformance.home import Node, plan
from conformance.model.agent import AGENT_CLIS, HEALTHY
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry, Scenario
from conformance.model.yes import verdicts_of_yes

__all__ = ["Layout", "Surroundings", "known_clis", "lay_out", "opposite_home"]


class Surroundings(Struct, frozen=True, kw_only=True):
    """Where the probe finds the parts of a layout, and what is there already."""

    home: str
    """The path of the HOME."""
    opposite: str
    """The path of the home with the opposite answer."""
    cli: str = ""
    """The directory of the stubs."""
    asked: str = "/dev/null"
    """The file that keeps what stubs are asked, other than for their version."""
    path: str
    """The PATH after the stubs."""
    variables: dict[str, str] = field(default_factory=dict)
    """What the user wants in every probe's environment."""
    fixed: dict[str, str] = field(default_factory=FIXED.copy)
    """What is in every probe's environment; everything else overrides it."""
    own_clis: frozenset[str] | None = None
    """The CLIs that an image has itself. None without an image: then healthy CLIs are stubs too."""
    seed: tuple[Node, ...] = ()
    """The files in the HOME of an image."""


class Layout(Struct, frozen=True, kw_only=True):
    """What a driver places for one execution."""

    home: tuple[Node, ...]
    """The nodes in the HOME, parents before children."""
    opposite: tuple[Node, ...]
    """The nodes in the home with the opposite answer."""
    earlier: tuple[Node, ...] | None
    """The nodes in the HOME where the probe runs first; None if it runs only once."""
    has_opposite: bool
    """Whether the contract asks for that home."""
    stubs: Stubs | None
    """None if the contract asks the CLIs themselves."""
    asked: str
    """The file that keeps what the stubs are asked."""
    writes: tuple[str, ...]
    """Paths that may appear in a home while the probe runs: those of the contract and the stubs."""
    environment: dict[str, str]
    """The variables of the probe."""
    context: Context
    """What stands for the placeholders in the home."""
    replaceable: tuple[str, ...] = ()
    """Paths of files in the HOME that may become others while the probe runs: a CLI does that."""
    unset: tuple[str, ...] = ()
    """Variables that the probe must not have, even if its surroundings set them."""


def known_clis(contract: Contract) -> tuple[str, ...]:
    """Return the names of all programs that can be an agent's CLI under *contract*."""
    return tuple(sorted({*AGENT_CLIS, *contract.agents, *program_names(contract)}))


def lay_out(
    scenario: Scenario, contract: Contract, context: Context, around: Surroundings
) -> Layout:
    """Return the layout of *scenario* under *contract* in these surroundings.

    :raises CannotJudge: its entries do not make a home.
    :raises FileError: the contract asks for an opposite home; the agent has no known good login.
    """
    context = replace(
        context,
        scenario=scenario.id,
        home=around.home,
        cli_seconds=contract.limits.cli_seconds,
        asked=around.asked,
    )
    stubs = None
    if not contract.commands or around.own_clis is not None:
        stubs = stubs_for(scenario, contract, around.own_clis, home=around.home)
    home = plan([*scenario.entries, *(stubs.in_home() if stubs is not None else ())], context)
    if around.seed:
        stubbed = scenario.cli != HEALTHY or contract.entrypoint is not None
        hidden = known_clis(contract) if stubbed else ()
        home = sorted(
            [*_seed(around.seed, home, hidden), *home], key=lambda node: node.path.split(b"/")
        )
    opposite: list[Node] = []
    if contract.inputs.opposite_home:
        opposite = plan(opposite_home(scenario, contract), replace(context, home=around.opposite))
    path = around.path
    if stubs is not None:
        path = f"{stubs.path(around.cli, around.home)}:{path}"
    fixed = around.fixed
    if contract.entrypoint is not None:
        fixed = {**fixed, **entry_variables(scenario, contract, context)}
    variables = environment(
        scenario,
        contract,
        context,
        path=path,
        opposite=around.opposite,
        extra=around.variables,
        fixed=fixed,
    )
    writes = (*contract.allowed_writes, *(stubs.writes if stubs is not None else ()))
    return Layout(
        home=tuple(home),
        opposite=tuple(opposite),
        earlier=tuple(plan(scenario.earlier, context)) if scenario.earlier is not None else None,
        has_opposite=bool(contract.inputs.opposite_home),
        stubs=stubs,
        asked=around.asked,
        writes=places_of(writes, around.home, variables, home),
        environment=variables,
        context=context,
        unset=unset_variables(scenario, contract),
    )


def opposite_home(scenario: Scenario, contract: Contract) -> tuple[Entry, ...]:
    """Return a home with the opposite of the answer that *scenario* expects.

    That is a good login, or an empty home.

    :raises FileError: the agent has no known good login.
    """
    ready = verdicts_of_yes(contract)
    if all(verdict in ready for verdict in scenario.expected(contract)):
        return ()
    # A user's own layers lie where ids start: above the file, a directory for each part of the id.
    depth = scenario.id.count("/") - (1 if scenario.variant else 0)
    above = Path(scenario.file).parents
    root = above[depth] if depth < len(above) else None
    return good_login(scenario.agent, name=scenario.file, root=root)


def _seed(seed: Sequence[Node], wanted: Iterable[Node], hidden: Collection[str]) -> list[Node]:
    """Return the nodes of the image's own HOME that go with the *wanted* ones.

    If both name a path, the scenario decides. *hidden* CLIs are left out.
    """
    kinds = {node.path: node.kind for node in wanted}
    kept: list[Node] = []
    gone: set[bytes] = set()
    for node in seed:  # parents come before children
        parent, _, name = node.path.rpartition(b"/")
        is_cli = name.decode(errors="replace") in hidden and node.kind != "directory"
        if parent in gone or kinds.get(parent, "directory") != "directory" or is_cli:
            gone.add(node.path)
        elif node.path not in kinds:
            kept.append(replace(node, owner=None, mtime=None))
    return kept
