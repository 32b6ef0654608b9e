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

from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.catalogue.contracts import for_agent
from conformance.cli.options import agent_option, json_option, scenarios_option
from conformance.cli.outputs import check_outputs
from conformance.errors import UsageError
from conformance.model.placeholders import Context
from conformance.report.document import write_json
from conformance.report.stream import Stream
from conformance.run.directory import RunDirectory
from conformance.run.pytest_run import sigterm_interrupts, worker_count
from conformance.strength.bank import Bank, WrongProbe, bundled_bank, read_banks
from conformance.strength.full import FullRun, all_pairs
from conformance.strength.pool import run_batches, run_trials
from conformance.strength.report import StrengthReport, StrengthView
from conformance.strength.tally import StrengthTally
from conformance.strength.trials import Task, baseline_tasks, tasks
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
@click.argument("patterns", metavar="[ID|GLOB]...", nargs=-1)
@click.pass_context
def strength_command(ctx: click.Context, /, **options: Any) -> None:
    """Run wrong probes, and see that the scenarios catch them.

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
) -> int:
    check_outputs({"json_file": json_file})
    catalogue = load_catalogue([directory.absolute() for directory in directories])
    banks = _banks(bank if bank is not None else bundled_bank(), catalogue, only)
    banks = _for_agent(banks, catalogue, agent)
    todo = tasks(banks, catalogue, patterns, full=full)
    judged = {found.contract.name: found.contract for found in banks}
    shown = list(judged.values())
    if bank is None and not only and not agent:
        # What a constant answer passes says something where there are no wrong probes, too.
        known = catalogue.contracts.items()
        shown += [contract for name, contract in known if name not in judged]
    tally = StrengthTally(catalogue, shown, total=len(todo), full=full)
    stream = cast(TextIO, Stream(sys.stderr if json_file == "-" else sys.stdout))
    view = StrengthView(stream, tally)
    directory = RunDirectory()
    context = TrialContext(
        scenarios=list(catalogue.scenarios.values()),
        contracts={**catalogue.contracts, **judged},
        context=Context(now=time.time(), seed=secrets.token_hex(8)),
        directory=str(directory.path),
    )
    try:
        _try(context, todo, banks, _workers(workers, len(todo)), tally, view)
    finally:
        directory.close()
    view.finish()
    if json_file:
        write_json(StrengthReport(tally).document(), json_file)
    return tally.exit_status()


def _banks(directory: Path, catalogue: Catalogue, only: Sequence[str]) -> list[Bank]:
    """Return the banks in *directory*, or those of the contracts called *only*."""
    banks = read_banks(directory, catalogue)
    names = [found.contract.name for found in banks]
    if unknown := [name for name in only if name not in names]:
        raise UsageError(
            f"no wrong probes of contract '{unknown[0]}'",
            hint=f"there are some of {', '.join(names)}",
        )
    return [found for found in banks if not only or found.contract.name in only]


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


def _try(
    context: TrialContext,
    todo: Sequence[Task],
    banks: Sequence[Bank],
    workers: int,
    tally: StrengthTally,
    view: StrengthView,
) -> None:
    """Try all wrong probes, then the right ones in the scenarios that have caught any."""
    started = time.monotonic()
    view.start(workers)
    try:
        with sigterm_interrupts():
            for trial in run_trials(context, todo, workers):
                tally.trials.append(trial)
                view.step()
            right = baseline_tasks(banks, tally.trials)
            tally.right += run_trials(context, right, min(workers, len(right)))
    except KeyboardInterrupt:
        tally.interrupted = True
    finally:
        tally.seconds = time.monotonic() - started


def _workers(wanted: str, probes: int) -> int:
    if wanted == "auto":
        return min(_PER_PROCESSOR * len(os.sched_getaffinity(0)), probes)
    return min(worker_count(wanted, probes), probes)
