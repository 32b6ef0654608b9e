"""What is captured of the homes of the catalogue, and what probes answer there."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner
from msgspec.structs import replace

from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.lint import about_scenario
from conformance.catalogue.scenarios import parsed_scenario
from conformance.catalogue.toml import read_toml
from conformance.cli import cli
from conformance.cli.reality import installed
from conformance.drivers.local.command import SYSTEM_PATH
from conformance.home import build, plan, remove
from conformance.model.contract import ROLES, Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Entry, Scenario
from conformance.run.assembly import Run, open_run
from conformance.run.directory import cache_dir
from conformance.run.request import RunRequest
from conformance.specification import case_of, decide
from conformance.strength.bank import WrongProbe, bundled_bank, read_banks
from conformance.strength.worker import Answer, Batch, TrialContext, Worker

#: Contracts whose probes can be asked anywhere.
CONTRACTS = ("slot", "slot-strict", "preflight")
#: What its probes say, which are the released CLIs, is asked with ``--clis``.
RECORD = "cli-status"
WRONG = 60
#: What of a scenario is captured with its home; of what is called for in it, each contract decides anew.
CAPTURED = {"entries", "env", "inputs", "expect", "rules", "control", "differs"}
#: What is no part of a HOME, so that a copy cannot have it: whoever keeps the file has to write it.
AROUND = {
    "cli",  # never started, and taken to run
    "cli_file",
    "waits",
    "inputs_unset",  # of the environment, only what is named is known
    "unset",
    "process",  # where the probe starts, and its umask
    "home_name",
    "earlier",  # what lay there a moment before; each of the two homes is captured
    "steps",
    "start",
    "login",
}
#: A copy is one of a home that belongs to who runs the probe. What the container has around it is not in it: a
#: mount that is read-only, and a user database without the user. In the copies a right probe answers as in the homes.
IN_CONTAINERS = {
    f"container/{name}"
    for name in (
        "home-of-another-uid-claude",
        "home-of-another-uid-codex",
        "home-read-only-claude",
        "home-read-only-claude-no-credentials",
        "home-read-only-codex",
        "home-read-only-codex-no-credentials",
        "home-unset-no-passwd-claude",
        "home-unset-no-passwd-codex",
        "random-uid-claude",
        "random-uid-claude-no-credentials",
        "random-uid-codex",
        "random-uid-codex-no-credentials",
        "root-owned-auth-json",
        "root-owned-claude-credentials",
        "root-owned-dot-claude",
    )
}
#: Wrong probes that search files which no rule reads. A copy has the sizes of these alone.
SEARCHING = {"preflight/token-anywhere", "slot-strict/claude-token-anywhere"}
_LINTED = {"summary", "origin"}


class Pair(NamedTuple):
    """A scenario, and what was captured of its home."""

    original: Scenario
    made: Scenario


class Row(NamedTuple):
    """One answer that differs."""

    who: str
    scenario: str
    there: str
    """In the home itself."""
    here: str
    """In the copy."""


class NotCapturedError(Exception):
    """What the command said, or lint says of what it wrote."""


def probes(catalogue: Catalogue, count: int = WRONG, *, seed: int = 17) -> list[WrongProbe]:
    """Return the right probe of each contract, and *count* wrong ones."""
    banks = [b for b in read_banks(bundled_bank(), catalogue) if b.contract.name in CONTRACTS]
    right = [bank.right for bank in banks if bank.right is not None]
    wrong = [probe for bank in banks for probe in bank.wrong if probe.repeat == 1]
    found = [*right, *random.Random(seed).sample(wrong, count)]
    # One contract after the other: probes of the same share a home, which else is built for each.
    return sorted(found, key=lambda probe: probe.contract)


def scenarios(catalogue: Catalogue) -> list[Scenario]:
    """Return all scenarios of these contracts, and of the one that has on record what the CLIs say."""
    names = {*CONTRACTS, RECORD}
    return [s for s in catalogue.scenarios.values() if not names.isdisjoint(s.expect)]


def asked(scenario: Scenario, catalogue: Catalogue) -> dict[str, str]:
    """Return the contracts whose probes are asked in *scenario*, each with a verdict that is called for.

    Where none of them calls for anything, all are asked that know its agent.
    """
    known = [catalogue.contracts[name] for name in CONTRACTS]
    found = {each.name: verdicts[0] for each in known if (verdicts := scenario.expected(each))}
    usual = {each.name: each.verdicts[0].name for each in known if scenario.agent in each.agents}
    return found or usual


def copy(scenario: Scenario, catalogue: Catalogue, directory: Path) -> Pair:
    """Build the home of *scenario*, and capture it as a user does.

    :raises NotCapturedError: it was refused, or lint has something to say that a user need not write.
    """
    contract = catalogue.contracts[next(iter(asked(scenario, catalogue)))]
    made = _captured(scenario, scenario.entries, contract, catalogue, directory)
    earlier = None
    if scenario.earlier is not None:
        earlier = _captured(scenario, scenario.earlier, contract, catalogue, directory).entries
    # What is no part of a HOME stays as it was.
    around = {name: value for name, value in scenario.env.items() if name not in made.env}
    kept = replace(
        scenario,
        id=f"copy/{scenario.id}",
        entries=made.entries,
        earlier=earlier,
        env={**made.env, **around},
        inputs=made.inputs,
        layers={},
        container=None,
    )
    return Pair(scenario, kept)


def _captured(
    scenario: Scenario,
    entries: Iterable[Entry],
    contract: Contract,
    catalogue: Catalogue,
    directory: Path,
) -> Scenario:
    home = directory / (scenario.home_name or "home")
    file = directory / "slot-17.toml"
    context = Context(now=time.time(), seed="captured", scenario=scenario.id, home=str(home))
    case = case_of(scenario, contract, context, uid=os.geteuid())
    words = ["capture", str(home), "-o", str(file), "--agent", scenario.agent]
    words += ["--contract", contract.name, "--no-config"]
    words += [f"--env={name}={value}" for name, value in _env(scenario, contract, context).items()]
    try:
        build(plan(entries, context), home)
        if scenario.container is not None:
            for path, node in case.home.nodes.items():
                place = os.fsencode(home) + b"/" + path
                os.chown(place, node.uid, node.gid, follow_symlinks=False)
            words.append(f"--user={':'.join(map(str, (case.uid, *case.gids)))}")
        done = CliRunner().invoke(cli, words)
        if done.exit_code:
            raise NotCapturedError(f"{scenario.id}: {done.exception!r}") from done.exception
        made = parsed_scenario(read_toml(file), "captured/slot-17", catalogue.contracts)
    finally:
        remove(home)
        file.unlink(missing_ok=True)
    complaints = [c for c in about_scenario(made, catalogue) if c.check not in _LINTED]
    if complaints:
        raise NotCapturedError(f"{scenario.id}: {'; '.join(map(str, complaints))}")
    _check_decision(scenario, made, contract, context)
    return made


def _check_decision(
    scenario: Scenario, made: Scenario, contract: Contract, context: Context
) -> None:
    """Make sure that the file calls for what its own home calls for."""
    around = replace(made, inputs_unset=scenario.inputs_unset, cli="healthy")
    decision = decide(case_of(around, contract, replace(context, home="")), contract)
    calls: tuple[str, ...] = ()
    if decision is not None:  # where no rule decides, the file takes any answer
        any_ = tuple(verdict.name for verdict in contract.verdicts)
        calls = decision.verdicts if decision.rule else any_
    if not scenario.inputs_unset and {*calls} != {*made.expect[contract.name]}:
        said = f"calls for {made.expect[contract.name]}, its home for {calls}"
        raise NotCapturedError(f"{scenario.id}: {said}")


def _env(scenario: Scenario, contract: Contract, context: Context) -> dict[str, str]:
    """Return the variables that the probe has, but for those that say where things are in any home."""
    said = {name: value for name, value in scenario.env.items() if name != "PATH"}
    for role in ROLES:
        variable = contract.inputs.variable(role)
        if variable and role in scenario.inputs:
            said[variable] = contract.input_value(role, scenario.inputs[role])
    return {name: expand(value, context) for name, value in said.items()}


def differing(
    pairs: Sequence[Pair], catalogue: Catalogue, tried: Iterable[WrongProbe], directory: Path
) -> list[Row]:
    """Return the answers of the probes that are *tried* that are others in a copy."""
    tried = list(tried)
    fixed = [_fixed(pair, catalogue) for pair in pairs]
    context = TrialContext(
        scenarios=[scenario for pair in fixed for scenario in pair],
        contracts=dict(catalogue.contracts),
        context=Context(now=time.time(), seed="answers"),
        directory=str(directory),
        probes=tried,
    )
    worker = Worker(context)
    found: list[Row] = []
    with closing(worker.driver):
        for pair in fixed:
            here = [probe for probe in tried if probe.contract in pair.original.expect]
            if pair.original.container is not None:  # which no local run can provide
                found += _wrong(worker, pair, [p for p in here if p.name == "(base)"])
                continue
            answers = [_answers(worker, scenario, here) for scenario in pair]
            for one, other in zip(*answers, strict=True):
                if _said(one) != _said(other) and not _is_out_of_sight(one.probe, pair):
                    found.append(Row(one.probe, pair.original.id, _said(one), _said(other)))
    return found


def _is_out_of_sight(probe: str, pair: Pair) -> bool:
    """Return whether the *probe* looks at what is in no copy, and is in the home of this *pair*."""
    held = {entry.path for entry in pair.original.entries if entry.content is not None}
    sizes = {entry.path for entry in pair.made.entries if entry.content is None and entry.size}
    return probe in SEARCHING and not held.isdisjoint(sizes)


def _fixed(pair: Pair, catalogue: Catalogue) -> Pair:
    """Return the *pair* with one verdict called for, so that any other answer is told by its code."""
    if pair.original.container is not None:
        names = asked(pair.original, catalogue)
        expect = {name: pair.original.expected(catalogue.contracts[name]) for name in names}
    else:
        expect = {name: (verdict,) for name, verdict in asked(pair.original, catalogue).items()}
    return Pair(*(replace(each, expect=expect, rules={}, control={}) for each in pair))


def _wrong(worker: Worker, pair: Pair, right: Sequence[WrongProbe]) -> Iterator[Row]:
    """Yield right probes that do not answer in a copy what is called for in the home."""
    for answer in _answers(worker, pair.made, right):
        if answer.result != "conforms":
            yield Row(answer.probe, pair.original.id, "conforms", _said(answer))


def _answers(worker: Worker, scenario: Scenario, tried: Iterable[WrongProbe]) -> list[Answer]:
    pairs = tuple((probe.id, scenario.id) for probe in tried)
    return worker.run_batch(Batch(pairs=pairs, at_once=scenario.waits))


def _said(answer: Answer) -> str:
    return answer.signature or f"{answer.result} {answer.reason}".strip()


def of_clis(pairs: Iterable[Pair]) -> Iterator[Row]:
    """Yield the answers of the released CLIs, asked for their login, that are others in a copy.

    :raises CannotJudge: npm, or a package, is not there.
    """
    with tempfile.TemporaryDirectory(dir=cache_dir()) as top:  # not below /tmp: codex minds that
        place, _ = installed({}, Path(top), sys.stderr)
        request = RunRequest(
            cwd=top, contract=RECORD, variables={"PATH": f"{place}:{SYSTEM_PATH}"}, patterns=()
        )
        with open_run(request) as run:
            asked_ = [pair for pair in pairs if pair.original.expected(run.contract)]
            with ThreadPoolExecutor(2 * len(os.sched_getaffinity(0))) as pool:
                yield from filter(None, pool.map(partial(_of_cli, run), asked_))


def _of_cli(run: Run, pair: Pair) -> Row | None:
    there, here = (_words(run.runner.run(scenario)) for scenario in pair)
    if pair.original.container is not None:  # where no CLI of this machine can be asked
        there = "conforms"
    return Row(RECORD, pair.original.id, there, here) if there != here else None


def _words(result: ScenarioResult) -> str:
    return (
        f"{result.result} {result.code if result.result == 'deviates' else result.reason}".strip()
    )


def part(all_: Sequence[Scenario], number: int, of: int) -> list[Scenario]:
    """Return every so many of them, in an order that is no order of the catalogue."""
    mixed = sorted(all_, key=lambda scenario: scenario.id)
    random.Random(17).shuffle(mixed)
    return mixed[number::of]
