"""Combine wrong probes of the bank in one program, run it for real, and see which causes are named.

    python tests/bench/causes.py                         slot: 40 pairs and 30 threes
    python tests/bench/causes.py --contract preflight --pairs 20 --threes 10
    python tests/bench/causes.py --record tests/data     keep what was answered, for the tests

It prints how many of the vices that were put in are found, how many of those named are wrong, how many were hidden
by another, and which vices of the dictionary no scenario tells apart. It ends with 1 where less than 95 of 100 are
found, or more than 5 of 100 of those named are wrong. It takes minutes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, os.fspath(Path(__file__).parents[1]))
from combinations import AND, Combinations, Trials, Verdict, alike

from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.hosts import PythonScript
from conformance.judge.dictionary import Dictionary, KnownVices, known_vices, signature
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.run.directory import RunDirectory
from conformance.run.scenario_runner import ScenarioRunner
from conformance.strength.bank import WrongProbe, bundled_bank, read_banks

#: Of the vices put in, the share that has to be found; of those named, the share that may be wrong.
FOUND, WRONG = 0.95, 0.05
#: How many scenarios that only wait are run at the same time.
WAITING = 16


def main() -> None:
    options = arguments()
    catalogue = load_catalogue()
    contract = catalogue.contracts[options.contract]
    known = known_vices(contract, catalogue.contracts)
    if known is None or known.contract is not contract:
        sys.exit(f"there is no fault dictionary of {options.contract}")
    [bank] = [b for b in read_banks(bundled_bank(), catalogue) if b.contract.name == contract.name]
    combinations = Combinations(bank)
    drawn = combinations.draw({2: options.pairs, 3: options.threes}, options.seed)
    names = {vice for probe in drawn.probes for vice in probe.name.split(AND)}
    print(
        f"{len(drawn.probes)} combinations of {len(names)} wrong probes of {contract.name}, seed {options.seed}"
    )
    print(f"    {drawn.passed_over} passed over: their edits overlap, or it is no program")
    started = time.monotonic()
    ran = run(drawn.probes, contract, catalogue, options.workers)
    verdicts = judged(known, ran, catalogue, drawn.probes)
    # Only the rest of it, run for real, says whether a vice of three that was not named is hidden.
    rests = {Trials.without(name(vice), v.name) for v in verdicts for vice in v.missed}
    more = [
        probe
        for rest in sorted(rests - {*known.dictionary.vices})
        if (probe := combinations.combined(rest.split(AND)))
    ]
    if more:
        ran = together(ran, run(more, contract, catalogue, options.workers))
        verdicts = judged(known, ran, catalogue, drawn.probes)
    print(f"    run in {time.monotonic() - started:.0f} s")
    if options.record:
        write(ran, options.record / f"combinations-{contract.name}.json")
    good = show(verdicts, known.dictionary)
    sys.exit(0 if good else 1)


def name(vice: str) -> str:
    return vice.partition("/")[2]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--contract", default="slot")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--threes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--workers", type=int, default=4 * len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--record", type=Path, help="write what was answered to a file in this directory"
    )
    return parser.parse_args()


def run(
    probes: Sequence[WrongProbe], contract: Contract, catalogue: Catalogue, workers: int
) -> Dictionary:
    """Run each of *probes* in every scenario; return what was answered."""
    directory = RunDirectory()
    try:
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
            tasks = [
                pool.submit(one, probe, contract, catalogue, directory.path) for probe in probes
            ]
            answered = {
                probe.name: task.result() for probe, task in zip(probes, tasks, strict=True)
            }
    finally:
        directory.close()
    # What did not run for one did not run for any: that is a matter of the machine.
    ids = sorted(set.intersection(*({*answers} for answers in answered.values())))
    return Dictionary(
        contract=contract.name,
        version=contract.version,
        scenarios=tuple(ids),
        vices={name: by_signature(ids, answers) for name, answers in answered.items()},
    )


def one(
    probe: WrongProbe, contract: Contract, catalogue: Catalogue, directory: Path
) -> dict[str, str]:
    """Return the signature of a program in each scenario that was judged; empty where it conforms."""
    place = Path(tempfile.mkdtemp(dir=directory))
    place.chmod(0o755)
    command = probe.install(place / "probe")
    driver = LocalDriver((), place, cwd=place).with_command(command, PythonScript(command[-1]))
    context = Context(now=time.time(), seed=secrets.token_hex(8))
    runner = ScenarioRunner(driver, catalogue, contract, context, strict=True)
    scenarios = [s for s in catalogue.in_contract(contract) if s.container is None]
    waiting = [scenario for scenario in scenarios if scenario.waits]
    try:
        with ThreadPoolExecutor(WAITING) as pool:
            futures = [pool.submit(runner.run, scenario) for scenario in waiting]
            found = [runner.run(scenario) for scenario in scenarios if not scenario.waits]
            found += [future.result() for future in futures]
    finally:
        driver.close()
    return {r.id: signature(r) for r in found if r.result not in ("broke", "unsupported")}


def by_signature(ids: Sequence[str], answers: dict[str, str]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for place, id_ in enumerate(ids):
        if answers[id_]:
            found.setdefault(answers[id_], []).append(place)
    return {text: tuple(places) for text, places in sorted(found.items())}


def together(one: Dictionary, other: Dictionary) -> Dictionary:
    """Return what both say, in the scenarios that both ran in."""
    ids = sorted({*one.scenarios} & {*other.scenarios})
    vices = {}
    for part in (one, other):
        for name, answers in part.vices.items():
            at = {
                part.scenarios[place]: text for text, places in answers.items() for place in places
            }
            vices[name] = by_signature(ids, {id_: at.get(id_, "") for id_ in ids})
    return Dictionary(contract=one.contract, version=one.version, scenarios=tuple(ids), vices=vices)


def judged(
    known: KnownVices, ran: Dictionary, catalogue: Catalogue, probes: Iterable[WrongProbe]
) -> list[Verdict]:
    trials = Trials(known, ran, catalogue)
    return [trials.verdict(probe.name) for probe in probes]


def write(ran: Dictionary, file: Path) -> None:
    """Write what was answered as a dictionary is written: one combination a line."""
    vices = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(answers)}"
        for name, answers in sorted(ran.vices.items())
    )
    head = f'{{"contract": {json.dumps(ran.contract)}, "version": {json.dumps(ran.version)},'
    file.write_text(
        f'{head}\n "scenarios": {json.dumps(ran.scenarios)},\n "vices": {{\n{vices}\n }}}}\n'
    )


def show(verdicts: Sequence[Verdict], dictionary: Dictionary) -> bool:
    """Print the figures; return whether they are good enough."""
    for v in verdicts:
        named = (
            ", ".join(f"{cause.name} (fit {cause.fit:.2f})" for cause in (*v.right, *v.wrong))
            or "none"
        )
        if v.missed or v.wrong:
            print(
                f"    {v.name}: missed {v.missed}, wrong {[cause.name for cause in v.wrong]}; named: {named}"
            )
    for size in sorted({len(v.name.split(AND)) for v in verdicts}):
        show_figures(f"of {size}", [v for v in verdicts if len(v.name.split(AND)) == size])
    found, wrong = show_figures("all", verdicts)
    classes = alike(dictionary)
    print(
        f"{len(classes)} classes of vices that no scenario tells apart, each a hint at one that is missing:"
    )
    for names in classes:
        print(f"    {', '.join(names)}")
    return found >= FOUND and wrong <= WRONG


def show_figures(what: str, verdicts: Sequence[Verdict]) -> tuple[float, float]:
    found = sum(len(v.found) for v in verdicts)
    shown = found + sum(len(v.missed) for v in verdicts)
    wrong = sum(len(v.wrong) for v in verdicts)
    named = wrong + sum(len(v.right) for v in verdicts)
    by_like = sum(
        vice not in {cause.name for cause in v.right} for v in verdicts for vice in v.found
    )
    hidden = sum(len(v.hidden) for v in verdicts)
    print(
        f"{what}: {found} of {shown} vices found ({found / shown:.1%}; {by_like} as one that is like another), "
        f"{wrong} of {named} named are wrong ({wrong / named:.1%}), {hidden} hidden by others"
    )
    return found / shown, wrong / named


if __name__ == "__main__":
    main()
