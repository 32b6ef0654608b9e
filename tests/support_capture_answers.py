"""What is captured of the homes of the catalogue, and what probes answer there."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from conformance.capture.captured import captured
from conformance.capture.proposed import ORIGIN, SUMMARY
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.scenarios import parsed_scenario
from conformance.catalogue.toml import toml
from conformance.catalogue.writing import scenario_text
from conformance.home import build, plan, remove
from conformance.home.reading import DirectoryHome, read_home
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Scenario
from conformance.strength.bank import WrongProbe, bundled_bank, read_banks
from conformance.strength.worker import Answer, Batch, TrialContext, Worker

CONTRACTS = ("slot", "slot-strict", "preflight")
WRONG = 60


def probes(catalogue: Catalogue, *, seed: int = 17) -> list[WrongProbe]:
    """Return the right probe of each contract, and as many wrong ones as are asked for."""
    banks = [b for b in read_banks(bundled_bank(), catalogue) if b.contract.name in CONTRACTS]
    right = [bank.right for bank in banks if bank.right is not None]
    wrong = [probe for bank in banks for probe in bank.wrong if probe.repeat == 1]
    return [*right, *random.Random(seed).sample(wrong, WRONG)]


def scenarios(catalogue: Catalogue) -> list[Scenario]:
    """Return the scenarios of these contracts that any driver can show, and that are quick."""
    named = [s for s in catalogue.scenarios.values() if not {*CONTRACTS}.isdisjoint(s.expect)]
    return [
        s
        for s in named
        if s.container is None and s.earlier is None and not s.steps and not s.waits
    ]


def copy(scenario: Scenario, catalogue: Catalogue, directory: Path) -> Scenario:
    """Return what is captured of the home of *scenario*, which is built, and read from its file."""
    home = directory / (scenario.home_name or "home")
    context = Context(now=time.time(), seed="captured", scenario=scenario.id, home=str(home))
    build(plan(scenario.entries, context), home)
    try:
        said = {name: value for name, value in scenario.env.items() if name != "PATH"}
        env = {name: expand(value, context) for name, value in said.items()}
        found = read_home(DirectoryHome(home), env.values())
        made = captured(found.seen, home_path=found.path, env=env)
    finally:
        remove(home)
    around = {name: value for name, value in scenario.env.items() if name not in made.env}
    written = replace(scenario, summary=SUMMARY, origin=ORIGIN, layers={}, entries=made.entries)
    written = replace(written, env={**made.env, **around}, variant="")
    table = toml("copy.toml", scenario_text(written))
    return parsed_scenario(table, f"copy/{scenario.id}", catalogue.contracts)


def differing(
    pairs: Sequence[tuple[Scenario, Scenario]],
    catalogue: Catalogue,
    tried: Iterable[WrongProbe],
    directory: Path,
) -> list[tuple[str, str, str, str]]:
    """Return which of the probes that are *tried* answer otherwise in a copy: probe, scenario, and both answers."""
    tried = list(tried)
    context = TrialContext(
        scenarios=[scenario for pair in pairs for scenario in pair],
        contracts=dict(catalogue.contracts),
        context=Context(now=time.time(), seed="answers"),
        directory=str(directory),
        probes=tried,
    )
    worker = Worker(context)
    found = []
    with closing(worker.driver):
        for original, made in pairs:
            here = [p for p in tried if original.expected(catalogue.contracts[p.contract])]
            answers = [_answers(worker, scenario, here) for scenario in (original, made)]
            for one, other in zip(*answers, strict=True):
                if _said(one) != _said(other):
                    found.append((one.probe, original.id, _said(one), _said(other)))
    return found


def _answers(worker: Worker, scenario: Scenario, tried: Iterable[WrongProbe]) -> list[Answer]:
    return worker.run_batch(Batch(pairs=tuple((probe.id, scenario.id) for probe in tried)))


def _said(answer: Answer) -> str:
    return answer.signature or f"{answer.result} {answer.reason}".strip()


def part(all_: Sequence[Scenario], number: int, of: int) -> list[Scenario]:
    """Return every so many of them, in an order that is no order of the catalogue."""
    mixed = sorted(all_, key=lambda scenario: scenario.id)
    random.Random(17).shuffle(mixed)
    return mixed[number::of]
