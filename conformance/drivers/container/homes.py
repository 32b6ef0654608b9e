"""What is asked of the homes of a container before a probe runs, and what has changed after it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from msgspec.structs import replace

from conformance.drivers.conditions import conditions
from conformance.drivers.container.keeper import Look
from conformance.drivers.container.layout import PlacedLayout
from conformance.drivers.container.spec import ContainerSpec
from conformance.drivers.container.volumes import HomeVolumes
from conformance.home import changes, stamps
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, Unsupported, not_run

__all__ = ["unmet_script", "with_changes"]


def unmet_script(placed: PlacedLayout, spec: ContainerSpec) -> bytes:
    """Return a script that says, as the probe's user, which conditions of the homes do not hold.

    It tries each of them. Small shells work permissions out from modes, which is wrong for a root
    without capabilities.
    """
    lines = []
    home = spec.volumes[0]
    for condition, path in conditions(placed.home, home.target.encode(), placed.uid):
        test = "cd" if condition == "unsearchable" else ": <"
        name = shlex.quote(path.decode("utf-8", "surrogateescape"))
        shown = path.decode(errors="backslashreplace")
        said = shlex.quote(f"{shown} is not {condition} for uid {placed.uid}")
        lines.append(f"( {test} {name} ) 2>/dev/null && echo {said}\n")
    if home.read_only:
        name = shlex.quote(f"{home.target}/.probe-conformance")
        lines.append(f"( : >{name} ) 2>/dev/null && echo the HOME can be written to\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def with_changes(
    volumes: HomeVolumes,
    execution: Execution,
    placed: PlacedLayout,
    allowed: Sequence[str],
    contract: Contract,
) -> Execution:
    """Return *execution* with what the probe has changed in the homes, beside what is *allowed*.

    It is unsupported if the homes were not as they should be in the first place.
    """
    seen = volumes.look()
    changes = _changes(placed, seen, allowed, contract.entrypoint_writes)
    if changes and volumes.lasting:
        volumes.place(placed)
        if wrong := _changes(placed, volumes.look()):
            reason = f"this engine's volumes do not hold the home: {wrong[0]}"
            return not_run(Unsupported(reason))
    return replace(execution, changes=changes, asked=seen.asked)


def _changes(
    placed: PlacedLayout, seen: Look, allowed: Sequence[str] = (), filled: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return what differs from how it was placed, except for what is *allowed* or *filled* in."""
    expected = (stamps(placed.home), stamps(placed.opposite))
    home, opposite = (
        changes(before, found, allowed, replaceable=filled)
        for before, found in zip(expected, (seen.home, seen.opposite), strict=True)
    )
    return (*home, *(f"in the opposite home: {change}" for change in opposite))
