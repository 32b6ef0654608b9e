"""Reduce homes of 50 to 2,000 entries in which one thing is wrong, with real processes, and count runs and entries.

    python tests/bench/reduce.py                 30 homes
    python tests/bench/reduce.py --homes 60 --seed 7
    python tests/bench/reduce.py slot/fifo-counts        one wrong probe of the bank

Each home is a scenario of the catalogue, with ballast, that a wrong probe of the bank is about. It ends with 1 where
one of them takes 200 runs or more, or has over three entries more in the end than the scenario that was written by
hand. It takes minutes.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, os.fspath(Path(__file__).parents[1]))
from ballast import laden
from msgspec.structs import replace

from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.errors import ConformanceError
from conformance.model.scenario import Scenario
from conformance.reduce.fault import AgainstContract
from conformance.reduce.reduction import reduced
from conformance.run.assembly import open_run
from conformance.run.request import Command, RunRequest
from conformance.run.subject import check
from conformance.specification.decide import specified
from conformance.strength.bank import WrongProbe, bundled_bank, read_banks
from conformance.text import join

#: What is promised.
RUNS, FURTHER = 200, 3


class Row(NamedTuple):
    """What became of one home."""

    probe: str
    scenario: str
    before: int
    by_hand: int
    left: int
    runs: int
    seconds: float
    trouble: str = ""

    @property
    def kept(self) -> bool:
        """Whether what is promised is so."""
        return not self.trouble and self.runs < RUNS and self.left <= self.by_hand + FURTHER


def main() -> None:
    options = arguments()
    catalogue = load_catalogue()
    pairs = chosen(catalogue, options)
    rows = []
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(options.workers) as pool:
        tries = [
            pool.submit(row, probe, scenario, Path(directory) / str(number), options.seed)
            for number, (probe, scenario) in enumerate(pairs)
        ]
        for trial in tries:
            found = trial.result()
            rows.append(found)
            mark = "  " if found.kept else "! "
            end = (
                found.trouble
                or f"{found.left:3} of {found.before:4} entries ({found.by_hand} by hand)"
            )
            print(
                f"{mark}{found.runs:4} runs {found.seconds:6.1f} s  {end}  {found.probe} in {found.scenario}",
                flush=True,
            )
    runs, left = [one.runs for one in rows], [one.left for one in rows]
    more = [one.left - one.by_hand for one in rows]
    print(
        f"{len(rows)} homes of {min(one.before for one in rows)} to {max(one.before for one in rows)} entries"
    )
    print(f"runs: median {statistics.median(runs):g}, maximum {max(runs)}")
    print(f"entries left: median {statistics.median(left):g}, maximum {max(left)}")
    print(f"more than by hand: median {statistics.median(more):g}, maximum {max(more)}")
    sys.exit(not all(one.kept for one in rows))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--homes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("probes", nargs="*", help="ids of wrong probes, such as slot/fifo-counts")
    return parser.parse_args()


def chosen(catalogue: Catalogue, options: argparse.Namespace) -> list[tuple[WrongProbe, Scenario]]:
    """Return wrong probes, each with a scenario about it, taken in turn from the contracts that are written down."""
    rng = random.Random(options.seed)
    decks = []
    for bank in read_banks(bundled_bank(), catalogue):
        if specified(bank.contract) != bank.contract.name:
            continue
        pairs = list(about(bank.wrong, catalogue, rng))
        rng.shuffle(pairs)
        decks.append(pairs)
    if options.probes:
        return [pair for deck in decks for pair in deck if pair[0].id in options.probes]
    found: list[tuple[WrongProbe, Scenario]] = []
    while len(found) < options.homes and any(decks):
        found += [deck.pop() for deck in decks if deck]
    return found[: options.homes]


def about(
    probes: tuple[WrongProbe, ...], catalogue: Catalogue, rng: random.Random
) -> Iterator[tuple[WrongProbe, Scenario]]:
    """Yield each of *probes* that goes wrong every time, with a scenario about it that has a home."""
    for probe in probes:
        fitting = [
            scenario
            for scenario in map(catalogue.scenarios.__getitem__, probe.about)
            if scenario.entries and scenario.container is None and not scenario.takes_long
        ]
        if fitting and probe.repeat == 1:
            yield probe, rng.choice(fitting)


def row(probe: WrongProbe, scenario: Scenario, directory: Path, seed: int) -> Row:
    """Reduce the home of *scenario*, with ballast, in which *probe* goes wrong."""
    started = time.monotonic()
    blank = Row(probe.id, scenario.id, 0, len(scenario.entries), 0, 0, 0.0)
    request = RunRequest(
        probe=Command(join(probe.install(directory))),
        cwd=os.getcwd(),
        contract=probe.contract,
        patterns=(scenario.id,),
        strict=True,  # what a probe should do counts as well
    )
    try:
        with open_run(replace(check(request), selected=(scenario,))) as run:
            bare = AgainstContract(run, scenario)
            # Ballast may hide the fault: a probe that compares the top of the HOME sees no .cache come that is there.
            home = laden(
                scenario, seed, lambda one: bare.same_case(one) and bool(bare.still_wrong(one))
            )
            fault = AgainstContract(run, home)
            found = reduced(home, fault.still_wrong, same_case=fault.same_case)
    except ConformanceError as e:
        return blank._replace(trouble=str(e))
    return blank._replace(
        before=len(home.entries),
        left=len(found.scenario.entries),
        runs=found.runs,
        seconds=time.monotonic() - started,
        trouble="" if found.complete else "stopped at the limit",
    )


if __name__ == "__main__":
    main()
