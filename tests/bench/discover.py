"""How many wrong probes does discover find, with none of the catalogue's files to go by?

    python tests/bench/discover.py                    40 of them, 60 s each: as people use it
    python tests/bench/discover.py --homes 2400       all of the sample in the same homes, so many at most
    python tests/bench/discover.py --busy 20          so many seconds, against starting the probe in these homes and no more

A wrong probe is found where it is wrong in a home in which the contract leaves nothing open. The right probes run beside
the wrong ones in the second form: what is found in one of them is a false alarm, and ends in exit status 1, as a share
below the one that is wanted does. In the third form nothing is wrong: the figure is the time that starting the probe
takes, in homes that stand already, as a share of the time that discover takes with them; both keep all processors.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from msgspec.structs import replace

from conformance.bundled import fixtures_dir
from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.discover.findings import Tried
from conformance.discover.generation import BATCH, agents_of, batch
from conformance.discover.search import Limits, search
from conformance.discover.trying import calling_for, written_down
from conformance.drivers.local.built_home import BuiltHome
from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.hosts import PythonScript
from conformance.drivers.local.standing import StandingHome
from conformance.home.build import Unbuildable
from conformance.judge.judge import judge
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.run.assembly import Run, open_run
from conformance.run.directory import RunDirectory
from conformance.run.request import Command, OwnProbe, RunRequest
from conformance.run.scenario_runner import ScenarioRunner
from conformance.run.subject import check
from conformance.strength.bank import Bank, WrongProbe, read_banks

CONTRACTS = ("slot", "slot-strict", "preflight")
#: The share of the sample that is to be found.
WANTED = 0.7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=40, help="how many wrong probes")
    parser.add_argument("--seconds", type=float, default=60, help="for each of them")
    parser.add_argument("--homes", type=int, default=0, help="all in the same homes, so many")
    parser.add_argument("--busy", type=float, default=0, metavar="SECONDS", help="measure the rest")
    parser.add_argument("--probe", metavar="CMD", help="of --busy; by default the reference")
    parser.add_argument("--rounds", type=int, default=3, help="of --busy, one after the other")
    parser.add_argument("--seed", type=int, default=17, help="of the sample, and of the homes")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    if args.busy:
        _busy(args.probe, args.busy, args.seed, args.workers, args.rounds)
        return 0
    catalogue = load_catalogue()
    banks = [
        bank
        for bank in read_banks(fixtures_dir() / "wrong-probes", catalogue)
        if bank.contract.name in CONTRACTS
    ]
    probes = [probe for bank in banks for probe in bank.wrong]
    sample = sorted(
        random.Random(args.seed).sample(probes, min(args.sample, len(probes))),
        key=lambda probe: probe.id,
    )
    started = time.monotonic()
    directory = RunDirectory()
    try:
        if args.homes:
            found = dict(
                _in_the_same_homes(catalogue, banks, sample, directory.path, args.homes, args.seed)
            )
        else:
            found = dict(_one_by_one(sample, directory.path, args.seconds, args.seed, args.workers))
    finally:
        directory.close()
    return _report(sample, found, time.monotonic() - started)


def _report(sample: Sequence[WrongProbe], found: dict[str, str], seconds: float) -> int:
    missed = [probe for probe in sample if probe.id not in found]
    print(f"\n{len(sample) - len(missed)} of {len(sample)} found in {seconds:.0f} s; not found:")
    for probe in missed:
        print(f"  {probe.id}: {probe.vice}")
    alarms = [name for name in found if name.endswith("/right")]
    for name in alarms:
        print(f"FALSE ALARM {name}: {found[name]}")
    return 0 if len(missed) <= (1 - WANTED) * len(sample) and not alarms else 1


def _one_by_one(
    sample: Sequence[WrongProbe], directory: Path, seconds: float, seed: int, workers: int
) -> Iterator[tuple[str, str]]:
    """Yield the id of each probe of *sample* that is found, and what was found first."""
    for number, probe in enumerate(sample):
        command = shlex.join(probe.install(directory / f"probe-{number}"))
        subject = check(
            RunRequest(
                cwd=os.getcwd(), probe=Command(command), contract=probe.contract, strict=True
            )
        )
        tried = Tried()
        started = time.monotonic()
        with open_run(replace(subject, selected=())) as run:
            search(
                run,
                None,
                agents_of(run.contract),
                seed=seed,
                limits=Limits(seconds=seconds),
                workers=workers,
                tried=tried,
                watch=lambda tried: not tried.found,
            )
        took = f"{tried.homes} homes, {time.monotonic() - started:.0f} s"
        if tried.found:
            first = tried.found[0]
            yield probe.id, first.message
            print(
                f"{probe.id}: {took}: {' '.join(first.sign.kinds)} by {first.sign.rule}", flush=True
            )
        else:
            print(f"{probe.id}: {took}: NOT FOUND", flush=True)


def _in_the_same_homes(
    catalogue: Catalogue,
    banks: Sequence[Bank],
    sample: Sequence[WrongProbe],
    directory: Path,
    homes: int,
    seed: int,
) -> Iterator[tuple[str, str]]:
    """Do the same with all probes of a contract in one home after the other, each as long as it is not found."""
    place = Path(tempfile.mkdtemp(dir=directory))
    place.chmod(0o755)
    driver = LocalDriver((), place, cwd=place)
    try:
        for bank in banks:
            left = {
                probe.id: _installed(driver, probe, place)
                for probe in sample
                if probe.contract == bank.contract.name
            }
            if bank.right is not None and left:
                left[f"{bank.contract.name}/right"] = _installed(driver, bank.right, place)
            for number in range(-(-homes // 100)):
                for scenario in batch(bank.contract, agents_of(bank.contract), seed, number):
                    if scenario.waits:
                        continue  # they would take the bench hours: what only they show is not found
                    yield from _found_in(catalogue, bank.contract, scenario, left)
                if set(left) <= {f"{bank.contract.name}/right"}:
                    break
    finally:
        driver.close()


def _installed(driver: LocalDriver, probe: WrongProbe, place: Path) -> LocalDriver:
    command = probe.install(place / probe.id.replace("/", "-"))
    return driver.with_command(
        command, PythonScript(command[-1]) if probe.program.endswith(".py") else None
    )


def _found_in(
    catalogue: Catalogue, contract: Contract, scenario: Scenario, left: dict[str, LocalDriver]
) -> Iterator[tuple[str, str]]:
    """Yield the probes of *left* that are wrong in *scenario*, and take them out."""
    context = Context(now=time.time(), seed="bench")
    wanted = written_down(scenario, contract, context)
    if wanted is None:
        return
    calling = calling_for(scenario, wanted, contract)
    home = StandingHome(calling, contract, context)
    try:
        for name, driver in list(left.items()):
            runner = ScenarioRunner(driver, catalogue, contract, context)
            result = judge(
                calling, contract, [home.execute(driver)], runner.secrets(calling), strict=True
            )
            if result.result == "broke":
                print(f"{name} in {scenario.id}: {result.reason}", file=sys.stderr)
            if result.result == "deviates":
                del left[name]
                rule = calling.decided_by(contract)
                print(f"{name}: {scenario.id}: {' '.join(result.kinds())} by {rule}", flush=True)
                yield name, f"{scenario.id}: {result.findings[0].message}"
    finally:
        home.close()


def _busy(line: str | None, seconds: float, seed: int, workers: int, rounds: int) -> None:
    """Print how long the bare starts take, and the whole, in turn; then the shares."""
    probe = Command(line) if line is not None else OwnProbe()
    subject = replace(check(RunRequest(cwd=os.getcwd(), probe=probe)), selected=())
    shares = []
    for _ in range(rounds):
        with open_run(subject) as run:
            psutil.cpu_percent()  # from here on
            started = time.monotonic()
            tried = Tried()
            limits = Limits(seconds=seconds)
            search(
                run,
                None,
                agents_of(run.contract),
                seed=seed,
                limits=limits,
                workers=workers,
                tried=tried,
                watch=lambda _: True,
            )
            whole, busy = time.monotonic() - started, psutil.cpu_percent()
            bare = _bare_starts(run, tried.homes, seed, workers)
            shares.append(bare / whole)
            print(
                f"{tried.homes} homes: {bare:.1f} s of starting, {whole:.1f} s of discover, in which "
                f"the processors of this machine were busy for {busy:.0f} %",
                flush=True,
            )
    print(f"median share {statistics.median(shares):.2f} of {workers} processors")


def _bare_starts(run: Run, homes: int, seed: int, workers: int) -> float:
    """Return how many seconds it takes to start the probe of *run* in so many homes, *workers* at a time.

    The homes are built before. One in which a CLI hangs would make it wait, not work: these are left to discover.
    """
    driver, context = run.driver, replace(run.context, now=time.time())
    assert isinstance(driver, LocalDriver)
    ready = []
    for number in range(-(-homes // BATCH)):
        for scenario in batch(run.contract, agents_of(run.contract), seed, number):
            place = driver.new_place(scenario)
            layout = driver.place(scenario, run.contract, context, place)
            try:
                BuiltHome(layout, place)
            except Unbuildable:
                pass  # nothing is started in it
            else:
                if not scenario.waits:
                    ready.append(layout.environment)

    def start(environment: Mapping[str, str]) -> None:
        subprocess.run(
            driver.argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )

    started = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(start, ready[:homes]))
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
