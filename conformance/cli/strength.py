"""The command strength: what the catalogue catches of a bank of wrong probes."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO, cast

import click
from msgspec.structs import replace

from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.contracts import for_agent
from conformance.cli.fault_dictionary import FaultDictionary
from conformance.cli.options import agent_option, json_option, scenarios_option
from conformance.cli.outputs import check_outputs
from conformance.cli.shard import shard_options, shard_request
from conformance.errors import UsageError
from conformance.judge.tally import INTERRUPTED
from conformance.loading import catalogue_under, under_contract
from conformance.model.placeholders import Context
from conformance.model.shard import Shard
from conformance.report.document import write_json
from conformance.report.stream import Stream
from conformance.run.directory import RunDirectory
from conformance.run.pytest_run import sigterm_interrupts, worker_count
from conformance.run.request import check_now
from conformance.strength.bank import Bank, WrongProbe, bundled_bank, read_banks
from conformance.strength.full import FullRun, all_pairs
from conformance.strength.pool import run_batches, run_trials
from conformance.strength.report import StrengthReport, StrengthView
from conformance.strength.shards import only_shard
from conformance.strength.tally import StrengthTally
from conformance.strength.trials import baseline_tasks, tasks
from conformance.strength.worker import TrialContext

__all__ = ["strength_command"]

#: Workers for each processor: much of the time goes into waiting for probes that wait.
_PER_PROCESSOR = 4


@click.command("strength")
@click.option(
    "--bank",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Wrong probes of your own, in place of the bundled ones.",
)
@click.option(
    "--contract",
    "only",
    metavar="NAME",
    multiple=True,
    help="Only the wrong probes of this contract; repeatable.",
)
@click.option(
    "--full",
    is_flag=True,
    help="Run every wrong probe in every scenario, also after it is caught.",
)
@click.option(
    "--write-dictionary",
    "write",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the fault dictionary to DIR: what each wrong probe answers in every scenario. "
    "What is there already is kept where neither probe nor scenario has changed.",
)
@click.option(
    "--anew", is_flag=True, help="With --write-dictionary: keep nothing of what is there."
)
@click.option(
    "--check-dictionary",
    "against",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Run all that the fault dictionary in DIR is about, in all scenarios or those of ID or"
    " GLOB, and say where it differs.",
)
@agent_option
@scenarios_option
@click.option(
    "-n",
    "--workers",
    metavar="N|auto",
    default="auto",
    show_default=True,
    help="Parallel workers; 0 runs all in one process.",
)
@json_option
@shard_options
@click.argument("patterns", metavar="[ID|GLOB]...", nargs=-1)
@click.pass_context
def strength_command(ctx: click.Context, /, **options: Any) -> None:
    """Run wrong probes, and check that the scenarios catch them.

    Each wrong probe is a right one with a single vice. It is caught when a scenario about that vice
    does not conform; then it is not run any further, unless with --full. Without ID or GLOB every
    scenario of its contract is tried.

    Exit status: 0 all are caught, 1 a vice survives or is caught by accident only, 2 the request is
    wrong, 3 something could not be judged, 130 interrupted.
    """
    ctx.exit(_strength(**options))


def _strength(
    *,
    bank: Path | None,
    only: tuple[str, ...],
    agent: str,
    directories: tuple[Path, ...],
    workers: str,
    json_file: str | None,
    patterns: tuple[str, ...],
    full: bool,
    write: Path | None,
    against: Path | None,
    anew: bool,
    shard: str | None,
    durations: str | None,
    now: float | None,
    seed: str,
) -> int:
    check_outputs({"json_file": json_file})
    wanted = shard_request({"shard": shard, "durations": durations})
    check_now(now)
    only_some = bool(agent or json_file or wanted or (patterns and write is not None))
    _check_dictionary(write, against, anew=anew, only_some=only_some)
    catalogue = catalogue_under(None, [directory.absolute() for directory in directories])
    banks, catalogue = _banks(bank or bundled_bank(), catalogue, only, now)
    banks = _for_agent(banks, catalogue, agent)
    part: Shard | None = None
    if wanted is not None:
        banks, part = only_shard(banks, catalogue, wanted, patterns=patterns, now=now, seed=seed)
    total = sum(len(found.wrong) for found in banks)
    judged = {found.contract.name: found.contract for found in banks}
    shown = list(judged.values())
    if bank is None and not only and not agent and part is None:
        # What a constant answer passes says something where there are no wrong probes, too.
        known = catalogue.contracts.items()
        shown += [contract for name, contract in known if name not in judged]
    tally = StrengthTally(catalogue, shown, total=total, full=full, shard=part)
    stream = cast(TextIO, Stream(sys.stderr if json_file == "-" else sys.stdout))
    view = StrengthView(stream, tally)
    directory = RunDirectory()
    probes = [probe for found in banks for probe in (found.right, *found.wrong) if probe]
    context = TrialContext(
        scenarios=list(catalogue.scenarios.values()),
        contracts={**catalogue.contracts, **judged},
        context=Context(now=now or time.time(), seed=seed or secrets.token_hex(8)),
        directory=str(directory.path),
        probes=probes if full or write or against else [],
    )
    trying = _Trying(context, banks, workers, tally, view)
    try:
        if write is not None or against is not None:
            return trying.dictionary(write, against, patterns, anew=anew)
        trying.try_all(patterns)
    finally:
        directory.close()
    view.finish()
    if json_file:
        write_json(StrengthReport(tally).document(), json_file)
    return tally.exit_status()


def _check_dictionary(
    write: Path | None,
    against: Path | None,
    *,
    anew: bool,
    only_some: bool,
) -> None:
    """Make sure that the options about the fault dictionary go with the others.

    *only_some* says that these are about a part of the wrong probes or scenarios, or a report.

    :raises UsageError: they do not.
    """
    name = "--write-dictionary" if write is not None else "--check-dictionary"
    place = write if write is not None else against
    if anew and write is None:
        raise UsageError("--anew says how --write-dictionary works", hint="name a directory, too")
    if place is None:
        return
    if write is not None and against is not None:
        both = "--write-dictionary and --check-dictionary exclude each other"
        raise UsageError(both, hint="give one of them")
    if only_some:
        left_out = "--agent, --shard and --json"
        hint = f"leave out {left_out if write is None else f'ID or GLOB, {left_out}'}"
        raise UsageError(f"{name} is about whole banks, and about nothing else", hint=hint)
    if not place.is_dir():
        raise UsageError(f"no directory {place} for {name}", hint="make it first")


def _banks(
    directory: Path, catalogue: Catalogue, only: Sequence[str], now: float | None
) -> tuple[list[Bank], Catalogue]:
    """Return the banks in *directory*, or those of the contracts called *only*.

    With them comes *catalogue* with what their contracts call for *now*.
    """
    banks = read_banks(directory, catalogue)
    names = [found.contract.name for found in banks]
    if unknown := [name for name in only if name not in names]:
        raise UsageError(
            f"no wrong probes of contract '{unknown[0]}'",
            hint=f"there are some of {', '.join(names)}",
        )
    banks = [found for found in banks if not only or found.contract.name in only]
    for found in banks:
        catalogue = under_contract(catalogue, found.contract, now)
    return banks, catalogue


def _for_agent(banks: list[Bank], catalogue: Catalogue, agent: str) -> list[Bank]:
    """Return *banks* with the wrong probes whose vice scenarios of *agent* are about.

    :raises UsageError: no contract covers that agent.
    """
    if not agent:
        return banks
    found = []
    for bank in banks:
        if agent in bank.contract.agents:
            wrong = tuple(probe for probe in bank.wrong if _is_about(probe, agent, catalogue))
            found.append(replace(bank, contract=for_agent(bank.contract, agent), wrong=wrong))
    if not found:
        known = sorted({name for bank in banks for name in bank.contract.agents})
        hint = f"there are some of {', '.join(known)}"
        raise UsageError(f"no wrong probes of agent '{agent}'", hint=hint)
    return found


def _is_about(probe: WrongProbe, agent: str, catalogue: Catalogue) -> bool:
    return any(catalogue.scenarios[id_].agent == agent for id_ in probe.about)


class _Trying:
    """Tries the wrong probes of *banks*, with so many *workers* as the command line says."""

    def __init__(
        self,
        context: TrialContext,
        banks: Sequence[Bank],
        workers: str,
        tally: StrengthTally,
        view: StrengthView,
    ) -> None:
        self._context = context
        self._banks = banks
        self._wanted = workers
        self._tally = tally
        self._view = view

    def try_all(self, patterns: Sequence[str]) -> None:
        """Try all wrong probes, and the right ones they were made from."""
        started = time.monotonic()
        try:
            with sigterm_interrupts():
                self._in_all(patterns) if self._tally.full else self._until_caught(patterns)
        except KeyboardInterrupt:
            self._tally.interrupted = True
        finally:
            self._tally.seconds = time.monotonic() - started

    def _until_caught(self, patterns: Sequence[str]) -> None:
        """Try all wrong probes, then the right ones in the scenarios that have caught any."""
        todo = tasks(self._banks, self._tally.catalogue, patterns)
        workers = _workers(self._wanted, len(todo))
        self._view.start(workers, len(todo))
        for trial in run_trials(self._context, todo, workers):
            self._tally.trials.append(trial)
            self._view.step(len(self._tally.trials))
        right = baseline_tasks(self._banks, self._tally.trials)
        self._tally.right += run_trials(self._context, right, min(workers, len(right)))

    def _in_all(self, patterns: Sequence[str]) -> None:
        """Try all probes in all scenarios."""
        pairs = all_pairs(self._banks, self._tally.catalogue, patterns)
        self._tally.asked = {scenario for _, scenario in pairs}
        run = FullRun(self._tally.catalogue, pairs)
        try:
            self._run(run)
        finally:
            for bank in self._banks:
                self._tally.trials += run.trials(bank.wrong)
                self._tally.right += run.trials([bank.right] if bank.right is not None else [])

    def _run(self, run: FullRun) -> None:
        if not run.pairs:
            return
        workers = _workers(self._wanted, len(run.pairs))
        self._view.start(workers, len(run.pairs))
        for answers in run_batches(self._context, run.batches(), workers):
            run.add(answers)
            self._view.step(len(run.answers))
        self._view.stop()

    def dictionary(
        self, write: Path | None, against: Path | None, patterns: Sequence[str], *, anew: bool
    ) -> int:
        """Write the fault dictionary, or check the one that is there; return the exit status."""
        place = write if write is not None else against
        assert place is not None, "there is a directory"
        found = FaultDictionary(
            place, self._banks, self._tally.catalogue, self._run, self._view.say
        )
        try:
            with sigterm_interrupts():
                return found.write(anew=anew) if write is not None else found.check(patterns)
        except KeyboardInterrupt:
            self._view.stop()
            return INTERRUPTED


def _workers(wanted: str, probes: int) -> int:
    if wanted == "auto":
        return min(_PER_PROCESSOR * len(os.sched_getaffinity(0)), probes)
    return min(worker_count(wanted, probes), probes)
