"""From a scenario to what is exported of it: its entry in the index, and what its archives hold."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from conformance.catalogue.digest import digest
from conformance.drivers.conditions import conditions
from conformance.drivers.layout import Layout, Surroundings, lay_out
from conformance.errors import CannotJudge
from conformance.export.index import (
    ContainerNeeds,
    ExportedHome,
    ExportedScenario,
    Judged,
    Needs,
    Socket,
)
from conformance.home import Node
from conformance.model.contract import Contract
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import ContainerNeeds as Wanted
from conformance.model.scenario import Scenario

__all__ = ["Plan", "exportable", "planned", "until"]

#: What stands in an index for directories that are not known before something is unpacked.
_SYMBOLIC = Surroundings(home="{home}", opposite="{opposite}", cli="{cli}", path="{path}")
#: A time that is not over when a run starts.
_FUTURE = re.compile(r"\{now\+([0-9]{1,9})(ms|s|m|h|d)[:}]")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
#: A login that has this many seconds left or less may count as over already: no contract says how
#: many of them a program may hold back.
_SHORT = 1800.0
#: A uid that nothing in a home belongs to: every program runs as somebody else than other owners.
_NOBODYS = -1


class Plan(Struct, frozen=True, kw_only=True):
    """What is exported of one scenario: its entry, and the nodes in each of its archives."""

    entry: ExportedScenario
    """The entry in the index."""
    archives: dict[str, tuple[Node, ...]]
    """Path of an archive to what it holds."""
    owner: int = 0
    """Whom everything belongs to that has no other owner."""
    differing: tuple[str, ...] = ()
    """The contracts under which its HOME is another one, which are left out."""


def exportable(contract: Contract) -> str:
    """Return why archives cannot hold what *contract* asks; empty where they can."""
    if contract.in_steps:
        return "asks a gate that lives on, in steps"
    if contract.requests is not None:
        return "needs the scripted Manager of a login"
    if contract.entrypoint is not None:
        return "is about what an entrypoint starts"
    return ""


def planned(
    scenario: Scenario, contracts: Mapping[str, Contract], context: Context, at: str
) -> Plan:
    """Return what is exported of *scenario*, which is part of all *contracts*.

    *at* is the path of its HOME, if that has to be known.

    :raises CannotJudge: no archive, or no index, can hold it.
    """
    if scenario.home_name:
        at = f"{at}/{scenario.home_name}"
    known = replace(_SYMBOLIC, home=at, opposite=f"{at}.opposite")
    symbolic = {name: lay_out(scenario, c, context, _SYMBOLIC) for name, c in contracts.items()}
    placed = {name: lay_out(scenario, c, context, known) for name, c in contracts.items()}
    # The contract with stubs goes first: where a real CLI is asked, a stub in the HOME is missing.
    first = min(placed, key=lambda name: placed[name].stubs is None)
    home = placed[first].home
    archives = {f"homes/{scenario.id}.tar.gz": home}
    judged = {}
    for name, contract in contracts.items():
        if placed[name].home == home:
            judged[name] = _judged(scenario, contract, symbolic[name], placed[name], archives)
    earlier: str | UnsetType = UNSET
    if (before := placed[first].earlier) is not None:
        earlier = f"earlier/{scenario.id}.tar.gz"
        archives[earlier] = before
    bound = any(symbolic[name].home != home or _stub_holds_home(placed[name]) for name in judged)
    exported = ExportedHome(
        archive=f"homes/{scenario.id}.tar.gz",
        sha256="",
        name=scenario.home_name or UNSET,
        at=at if bound else UNSET,
        earlier=earlier,
        sockets=[_socket(node) for node in home if node.kind == "socket"] or UNSET,
    )
    entry = ExportedScenario(
        id=scenario.id,
        summary=scenario.summary,
        origin=scenario.origin,
        agent=scenario.agent,
        digest=digest(scenario),
        home=exported,
        cli=scenario.cli,
        roles=_roles(scenario, symbolic[first].context),
        needs=_needs(scenario, home, judged, symbolic[first].context),
        waits=scenario.waits,
        until=until(scenario, context.now),
        contracts=judged,
    )
    needs = scenario.container
    owner = needs.home_owner if needs is not None and needs.home_owner is not None else 0
    differing = tuple(name for name in contracts if name not in judged)
    return Plan(entry=entry, archives=archives, owner=owner, differing=differing)


def _judged(
    scenario: Scenario,
    contract: Contract,
    symbolic: Layout,
    placed: Layout,
    archives: dict[str, tuple[Node, ...]],
) -> Judged:
    """Return what *contract* says of *scenario*; add what only it needs to *archives*."""
    for name, value in symbolic.environment.items():
        if not value.isascii() and not _is_text(value):
            raise CannotJudge(f"its variable {name} is not UTF-8")
    cli: str | UnsetType = UNSET
    opposite: str | UnsetType = UNSET
    if placed.stubs is not None:
        cli = _shared(f"cli/{scenario.cli}", placed.stubs.nodes(), archives)
    if placed.has_opposite:
        if placed.opposite != symbolic.opposite:
            raise CannotJudge("the home with the opposite answer holds its own path")
        opposite = _shared("opposite/home", placed.opposite, archives)
    verdicts = scenario.expected(contract)
    return Judged(
        verdicts=list(verdicts),
        codes=sorted(scenario.codes(contract)),
        rule=scenario.decided_by(contract),
        control=scenario.control_for(contract),
        environment=symbolic.environment,
        cli=cli,
        opposite=opposite,
    )


def _shared(stem: str, nodes: Sequence[Node], archives: dict[str, tuple[Node, ...]]) -> str:
    """Add *nodes* to *archives* by a name that is the same wherever the same is held; return it."""
    held = hashlib.sha256(msgspec.msgpack.encode(nodes)).hexdigest()[:12]
    name = f"{stem}-{held}.tar.gz"
    archives[name] = tuple(nodes)
    return name


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _stub_holds_home(layout: Layout) -> bool:
    return layout.stubs is not None and bool(layout.stubs.home)


def _socket(node: Node) -> Socket:
    return Socket(path=os.fsdecode(node.path), mode=f"{node.mode:04o}")


def _roles(scenario: Scenario, context: Context) -> dict[str, str | None]:
    """Return what the inputs of *scenario* hold, by their roles; None for what is not set."""
    held: dict[str, str | None] = {"home": context.home, "agent": scenario.agent}
    held |= {role: expand(text, context) for role, text in scenario.inputs.items()}
    return held | dict.fromkeys(scenario.inputs_unset)


def _needs(
    scenario: Scenario, home: Iterable[Node], judged: Mapping[str, Judged], context: Context
) -> Needs:
    """Return what *scenario* needs beside its HOME, its CLI and its environment."""
    nodes = tuple(home)
    process, container = scenario.process, scenario.container
    foreign = container is not None and container.home_owner is not None
    homeless = any("HOME" not in each.environment for each in judged.values())
    return Needs(
        root=foreign or any(node.owner is not None for node in nodes) or UNSET,
        modes_bind=any(conditions(nodes, b"", _NOBODYS)) or UNSET,
        umask=f"{process.umask:04o}" if process.umask is not None else UNSET,
        cwd=expand(process.cwd, context) or UNSET,
        account_without_home=homeless or UNSET,
        container=_container(container) if container is not None else UNSET,
    )


def _container(needs: Wanted) -> ContainerNeeds:
    return ContainerNeeds(
        user=needs.user or UNSET,
        home_owner=UNSET if needs.home_owner is None else needs.home_owner,
        home_read_only=needs.home_read_only or UNSET,
    )


def until(scenario: Scenario, now: float) -> float | None:
    """Return when *scenario*, made at *now*, becomes another one; None where time changes nothing.

    That is when the first time in it is over that was not over at *now*, in epoch seconds. It is
    earlier by the skew that a gate is given, and by what programs may hold back: half an hour, or
    half of what is left.
    """
    said = (scenario.entries, scenario.env, scenario.inputs)
    text = json.dumps(msgspec.to_builtins(said))
    skew = _number(scenario.inputs.get("skew", ""))
    left = (int(amount) * _SECONDS[unit] - skew for amount, unit in _FUTURE.findall(text))
    # What is within the skew counts as over already, and goes on to.
    ends = [seconds - min(_SHORT, seconds / 2) for seconds in left if seconds > 0]
    return now + min(ends) if ends else None


def _number(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else 0.0
