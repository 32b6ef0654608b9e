"""A reduced scenario as it is kept: with what it expects, its control, and why it is as it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from conformance.bundled import scenarios_dir
from conformance.catalogue.differences import nearest
from conformance.catalogue.lint import LONGEST_SUMMARY, MOST_IN_HOME
from conformance.catalogue.writing import as_read
from conformance.model.scenario import Scenario
from conformance.reduce.control import nearest_control
from conformance.reduce.fault import Fault
from conformance.run.assembly import Run
from conformance.text import shortened

__all__ = ["Finished", "finished"]

#: Why a scenario is far from its control.
_NEEDED = "nothing that is left in it can be left out without losing the fault"
_NOT_TRIED = "it was not reduced to its end, so that more of it may be left out"


class Finished(Struct, frozen=True, kw_only=True):
    """A scenario that is ready to be written, but for its summary and its origin."""

    scenario: Scenario
    control: Scenario | None
    """None where the catalogue has none, and that of the original has stayed."""
    right: bool
    """Whether the probe is right in the control."""


def finished(
    small: Scenario, fault: Fault, run: Run, *, complete: bool, id_: str, file: Path
) -> Finished:
    """Return *small*, which shows *fault*, as the scenario called *id_* in *file*.

    *complete* says whether nothing more can be taken away from it.
    """
    expecting = fault.expecting(replace(small, entries=tuple(map(as_read, small.entries))))
    control, right = nearest_control(expecting, _controls(run), run.contract, fault.is_right)
    scenario = replace(
        expecting,
        id=id_,
        file=str(file),
        variant="",
        summary=shortened(f"Reduced from {small.id}: {fault.words}", LONGEST_SUMMARY).rstrip("….!"),
        control={"": small.control_for(run.contract) if control is None else control.id},
        differs="",
    )
    if len(nearest(scenario, run.catalogue.scenarios)[1]) > MOST_IN_HOME:
        scenario = replace(scenario, differs=_NEEDED if complete else _NOT_TRIED)
    return Finished(scenario=scenario, control=control, right=right)


def _controls(run: Run) -> Iterable[Scenario]:
    """Yield the scenarios that a file can name as its control, and that the probe can run in."""
    image = run.request.image is not None
    places = [scenarios_dir(), *(Path(name).resolve() for name in run.request.directories)]
    for scenario in run.catalogue.in_contract(run.contract):
        # A file of its own, beside all directories, would have to be named with every command.
        findable = any(Path(scenario.file).is_relative_to(place) for place in places)
        runs_here = not scenario.only_local if image else scenario.container is None
        if findable and runs_here and not scenario.steps:
            yield scenario
