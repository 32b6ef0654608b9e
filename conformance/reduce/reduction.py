"""Reduce a scenario: what is coarse goes first, and everything is tried until nothing goes.

The surroundings come first, since a CLI that hangs makes every run slow; then what lies in the
HOME, directories with all that is in them before their parts; then what files hold, attributes,
members of JSON documents, and at last numbers and texts. Each of these may make another one
possible, so that all are tried again as long as something has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from conformance.errors import CannotJudge
from conformance.model.scenario import Entry, Scenario
from conformance.reduce.contents import (
    empty_files,
    lower_numbers,
    plain_attributes,
    shorten_contents,
)
from conformance.reduce.entries import Place, reduce_entries, without_plain_directories
from conformance.reduce.members import reduce_members
from conformance.reduce.search import Search
from conformance.reduce.surroundings import plain_surroundings

__all__ = ["LIMIT", "STEADY", "Reduction", "reduced"]

#: So many runs a reduction may take.
LIMIT = 200
#: So often the smallest scenario has to show the fault in the end.
STEADY = 4
#: So often the first one has to: it may be large, so that each run is slow.
_AT_FIRST = 2


class Reduction(Struct, frozen=True, kw_only=True):
    """What has become of a scenario."""

    scenario: Scenario
    """The smallest that still shows the fault."""
    nearest: Scenario | None
    """The last that was asked about and did not show it; None if all did."""
    runs: int
    """How often the fault was asked for, in all."""
    complete: bool
    """Whether nothing more can be taken away; else the limit of runs was reached."""


def reduced(
    scenario: Scenario,
    still_wrong: Callable[[Scenario], bool | None],
    *,
    same_case: Callable[[Scenario], bool] = lambda _: True,
    limit: int = LIMIT,
    steady: int = STEADY,
    on_run: Callable[[int, Scenario], None] = lambda _runs, _best: None,
) -> Reduction:
    """Return the smallest scenario that can be made from *scenario*, and still shows its fault.

    *still_wrong* says whether a scenario does; None if that cannot be said. It is called at most
    *limit* times, and not where *same_case*, which runs nothing, says that a scenario is another
    case. In the end the smallest has to show the fault *steady* times in a row, and the nearest one
    that does not, almost as often, not to. After each call, *on_run* gets the number of calls so
    far and the smallest scenario so far.

    Expectations and controls stay as they are.

    :raises CannotJudge: the answers differ when the same is asked again, or the fault of *scenario*
        cannot be seen.
    """
    # What is asked again at the end is taken from the limit at once.
    reserved = steady + max(0, steady - 1)
    scenario = replace(scenario, layers={})  # it is made from none of them any more
    search = Search(
        scenario, still_wrong, same_case=same_case, limit=limit - reserved, on_run=on_run
    )
    _is_steady(search, scenario, _AT_FIRST, shows=True)
    before = None
    while before is not search.best:
        before = search.best
        _round(search)
        search.by_halves = False
    _is_steady(search, search.best, steady, shows=True)
    if search.nearest is not None:
        _is_steady(search, search.nearest, steady - 1, shows=False)
    return Reduction(
        scenario=search.best,
        nearest=search.nearest,
        runs=search.runs,
        complete=not search.stopped,
    )


def _round(search: Search) -> None:
    """Try once whatever may go."""
    plain_surroundings(search)
    for place in (_HOME, _EARLIER):
        reduce_entries(search, place)
        empty_files(search, place)
        plain_attributes(search, place)
        _without_plain_directories(search, place)
        reduce_members(search, place)
        lower_numbers(search, place)
        shorten_contents(search, place)


def _without_plain_directories(search: Search, place: Place) -> None:
    """Say nothing of directories that are there anyway, as far as that changes nothing."""
    get, put = place
    search.accepts(put(search.best, without_plain_directories(get(search.best))))


def _is_steady(search: Search, scenario: Scenario, times: int, *, shows: bool) -> None:
    """Make sure that *scenario* shows the fault, or does not, so many times in a row.

    :raises CannotJudge: it does not.
    """
    for _ in range(times):
        answer = search.ask(scenario)
        if answer is None:
            cause = f"what the probe does in '{scenario.id}' could not be judged after all"
            raise CannotJudge(cause, hint="run it again, with nothing else going on")
        if answer is not shows:
            cause = "the probe does not answer the same when it is asked the same again"
            hint = "find out what its answer depends on: run --repeat shows it"
            raise CannotJudge(cause, hint=hint)


def _put(scenario: Scenario, entries: Iterable[Entry]) -> Scenario:
    return replace(scenario, entries=tuple(entries))


def _put_earlier(scenario: Scenario, entries: Iterable[Entry]) -> Scenario:
    return replace(scenario, earlier=None if scenario.earlier is None else tuple(entries))


_HOME: Place = (lambda scenario: scenario.entries, _put)
_EARLIER: Place = (lambda scenario: scenario.earlier or (), _put_earlier)
