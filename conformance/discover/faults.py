"""From homes in which a probe was wrong to faults: each once, seen again, reduced and named."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from conformance.catalogue.lint import fingerprint
from conformance.discover.findings import Found, Sign, Tried
from conformance.errors import CannotJudge, UsageError
from conformance.model.scenario import Scenario
from conformance.reduce.fault import AgainstContract, AgainstProbe
from conformance.reduce.fault import Fault as Shown
from conformance.reduce.finished import finished
from conformance.reduce.reduction import LIMIT, reduced
from conformance.run.assembly import Run

__all__ = ["MOST_ALIKE", "Fault", "Faults", "chosen", "faults_of", "pending"]

#: So many faults with the same findings and the same answer are reduced: a probe that always
#: answers the same breaks every rule, and that is one fault.
MOST_ALIKE = 3


class Fault(Struct, frozen=True, kw_only=True):
    """One thing that the probe gets wrong, and the smallest home that shows it."""

    sign: Sign
    found: Found
    scenario: Scenario
    words: str
    """What is wrong, in one line."""
    runs: int
    """How often the probe was run to reduce it."""
    complete: bool
    """Whether nothing more can be taken away."""
    twin: str = ""
    """The scenario of the catalogue that is the same; empty if there is none."""


class Faults(Struct, kw_only=True):
    """All that has been found."""

    faults: list[Fault] = field(default_factory=list)
    alike: list[Sign] = field(default_factory=list)
    """Signs that were not looked into: enough faults have the same findings and answer."""
    unsteady: list[Found] = field(default_factory=list)
    """What was not seen again."""
    left: list[Found] = field(default_factory=list)
    """What is still to be looked into, or was left when somebody interrupted."""


def pending(tried: Tried) -> Faults:
    """Return what was *tried* and wrong: all of it is still to be looked into."""
    looked_into, alike = chosen(tried.signs())
    return Faults(alike=alike, left=[candidates[0] for candidates in looked_into.values()])


def faults_of(
    tried: Tried,
    run: Run,
    other: Run | None,
    *,
    directory: Path,
    seed: int,
    workers: int,
    found: Faults,
    on_fault: Callable[[Fault], None],
    on_run: Callable[[], None],
) -> None:
    """Add to *found* the faults in what was *tried*: seen again in the probe of *run*, and reduced.

    *found* is what :func:`pending` returns, and says at any time what is still to come.
    Scenarios get ids that count from *directory*, where they can be written. So many *workers*
    reduce at the same time. *on_fault* is called with each fault as soon as it stands in *found*,
    and *on_run*, from several threads, after every run of the probe.
    """
    looked_into, _ = chosen(tried.signs())
    names = _Names(directory, run)
    small: set[bytes] = set()
    over = threading.Event()

    def ran() -> None:
        if over.is_set():
            raise _InterruptedError
        on_run()

    def examine(candidates: Sequence[Found]) -> _Examined | None:
        return _examined(candidates, run, other, ran)

    pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="reduce")
    try:
        results = pool.map(examine, looked_into.values())
        for (sign, candidates), result in zip(looked_into.items(), results, strict=True):
            if result is None:
                found.unsteady.append(candidates[0])
            else:
                fault = _fault(sign, result, run, names, seed)
                key = fingerprint(fault.scenario)
                if key not in small:
                    small.add(key)
                    found.faults.append(fault)
                    on_fault(fault)
            found.left.pop(0)
    finally:
        over.set()
        pool.shutdown(wait=False, cancel_futures=True)


class _InterruptedError(Exception):
    """Nobody waits for what a thread is about to ask."""


def chosen(
    signs: dict[Sign, list[Found]],
) -> tuple[dict[Sign, list[Found]], list[Sign]]:
    """Return the signs to look into, and those of which there are enough."""
    looked_into: dict[Sign, list[Found]] = {}
    alike: list[Sign] = []
    counts: dict[tuple[tuple[str, ...], str], int] = {}
    for sign, candidates in signs.items():
        group = (sign.kinds, sign.answer)
        counts[group] = counts.get(group, 0) + 1
        if counts[group] > MOST_ALIKE:
            alike.append(sign)
        else:
            looked_into[sign] = candidates
    return looked_into, alike


class _Examined(Struct, frozen=True, kw_only=True):
    """A fault that was seen again, and reduced."""

    found: Found
    shown: Shown
    scenario: Scenario
    runs: int
    complete: bool


def _examined(
    candidates: Sequence[Found], run: Run, other: Run | None, on_run: Callable[[], None]
) -> _Examined | None:
    """Return the first of *candidates* that shows its fault again, reduced; None if none does."""
    for found in candidates:
        scenario = replace(found.scenario, control={"": _any_control(found.scenario, run)})
        try:
            shown: Shown = (
                AgainstContract(run, scenario)
                if other is None
                else AgainstProbe(run, other, scenario)
            )
            reduction = reduced(
                scenario,
                shown.still_wrong,
                same_case=shown.same_case,
                limit=LIMIT,
                on_run=lambda runs, best: on_run(),
            )
        except (CannotJudge, UsageError):
            continue  # it conforms now, or answers now this and now that
        return _Examined(
            found=found,
            shown=shown,
            scenario=reduction.scenario,
            runs=reduction.runs,
            complete=reduction.complete,
        )
    return None


def _any_control(scenario: Scenario, run: Run) -> str:
    """Return the id of a scenario that calls for another answer than *scenario* does."""
    wanted = scenario.expected(run.contract)
    for other in run.catalogue.in_contract(run.contract):
        if run.contract.has_control(wanted, other.expected(run.contract)):
            return other.id
    return ""


def _fault(sign: Sign, examined: _Examined, run: Run, names: _Names, seed: int) -> Fault:
    """Return the fault with its scenario as it can be written."""
    id_, file = names.take(examined.scenario.agent, sign)
    done = finished(
        examined.scenario,
        examined.shown,
        run,
        complete=examined.complete,
        id_=id_,
        file=file,
    )
    where = f"found by discover in home {examined.found.number} of seed {seed}"
    scenario = replace(done.scenario, origin=where)
    return Fault(
        sign=sign,
        found=examined.found,
        scenario=scenario,
        words=examined.shown.words,
        runs=examined.runs,
        complete=examined.complete,
        twin=names.twin(scenario),
    )


class _Names:
    """Ids that are free, in the catalogue and in a directory."""

    def __init__(self, directory: Path, run: Run) -> None:
        self._directory = directory
        self._taken = {*run.catalogue.scenarios}
        self._known = {
            fingerprint(scenario): id_ for id_, scenario in run.catalogue.scenarios.items()
        }

    def take(self, agent: str, sign: Sign) -> tuple[str, Path]:
        """Return an id for a fault with this *sign*, and the file for it."""
        about = sign.rule.removeprefix(f"{agent}-") or "home"
        kinds = [kind for kind in sign.kinds if kind != "wrong-verdict"]
        stem = "-".join([about, *kinds])
        stem = re.sub("[^a-z0-9]+", "-", stem.lower()).strip("-")
        for name in _numbered(f"{agent}/{stem}"):
            file = self._directory / f"{name}.toml"
            if name not in self._taken and not file.exists():
                self._taken.add(name)
                return name, file
        raise AssertionError("there is always one more number")

    def twin(self, scenario: Scenario) -> str:
        """Return the id of the scenario in the catalogue that builds the same home."""
        return self._known.get(fingerprint(scenario), "")


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1
