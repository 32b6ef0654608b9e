"""The command compare: several probes over the same scenarios."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

import click
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

from conformance.cli.completion import complete_ids
from conformance.cli.engine_options import engine_option, platform_option
from conformance.cli.options import (
    agent_option,
    allow_write_option,
    json_option,
    scenarios_option,
    variable_options,
)
from conformance.cli.outputs import check_outputs
from conformance.cli.run import workers_option
from conformance.cli.settings import WithSettings
from conformance.cli.shard import shard_options, shard_request
from conformance.compare.report import CompareReport
from conformance.compare.sides import Side, common, run_all
from conformance.compare.tally import CompareTally
from conformance.drivers.container.request import ImageRequest
from conformance.errors import UsageError
from conformance.model.scenario import Scenario
from conformance.report.bar import Bar
from conformance.report.document import write_json
from conformance.report.stream import Stream
from conformance.run.assembly import open_run
from conformance.run.pytest_run import sigterm_interrupts, worker_count
from conformance.run.request import Command, ProbeSpec, PythonCallable, RunRequest, variables
from conformance.run.shards import shard_of
from conformance.run.subject import Subject, check
from conformance.text import letters

__all__ = ["collect", "compare_command", "described"]

#: Scenarios at the same time, for each processor: much of it is waiting for other programs.
_PER_PROCESSOR = 4


@click.command("compare", cls=WithSettings)
@click.option(
    "--probe",
    "probes",
    metavar="[CONTRACT=]CMD",
    multiple=True,
    help="A local command; repeatable.",
)
@click.option(
    "--image",
    "images",
    metavar="[CONTRACT=]REF",
    multiple=True,
    help="A container image; repeatable.",
)
@click.option(
    "--python",
    "pythons",
    metavar="[CONTRACT=]MODULE:NAME",
    multiple=True,
    help="A Python callable; repeatable.",
)
@click.option(
    "--reference",
    "references",
    metavar="CONTRACT",
    multiple=True,
    help="A contract's own probe: its reference, or the CLI.",
)
@click.option(
    "--contract",
    metavar="NAME|FILE",
    default="slot",
    show_default=True,
    help="The contract of probes that name none.",
)
@agent_option
@scenarios_option
@variable_options("every probe")
@allow_write_option
@shard_options
@engine_option
@platform_option
@click.option("--all", "complete", is_flag=True, help="Also show where all agree.")
@workers_option
@json_option
@click.argument("patterns", metavar="[ID|GLOB]...", nargs=-1, shell_complete=complete_ids)
@click.pass_context
def compare_command(ctx: click.Context, /, **options: Any) -> None:
    """Run several probes in the homes of the same scenarios, and show where they disagree.

    Each probe is judged by its own contract; a contract that a probe does not name is that of
    --contract. Answers agree when one verdict can be what all of them mean. Only scenarios that are
    part of every contract are run.

    Exit status: 0 all agree, 1 they disagree, 2 the request is wrong, 3 something could not be
    judged, 130 interrupted.
    """
    ctx.exit(_compare(_Options(**options)))


class _Options(Struct, frozen=True):
    """The options of the command."""

    probes: tuple[str, ...]
    images: tuple[str, ...]
    pythons: tuple[str, ...]
    references: tuple[str, ...]
    contract: str
    agent: str
    allow_writes: tuple[str, ...]
    shard: str | None
    durations: str | None
    now: float | None
    seed: str
    directories: tuple[Path, ...]
    env: tuple[str, ...]
    pass_env: tuple[str, ...]
    complete: bool
    workers: str
    json_file: str | None
    engine: tuple[str, ...]
    platform: str | None
    patterns: tuple[str, ...]


def _compare(options: _Options) -> int:
    check_outputs({"json_file": options.json_file})
    wanted = shard_request({"shard": options.shard, "durations": options.durations})
    if not options.images and (options.engine or options.platform):
        name = "--engine" if options.engine else "--platform"
        raise UsageError(f"{name} is about an image", hint="name one with --image")
    requests = _requests(options)
    if len(requests) < 2:
        hint = "name two probes or more, with --probe, --image, --python, --reference"
        raise UsageError("there is nothing to compare", hint=hint)
    subjects = [check(request) for request in requests]
    chosen, shard = _chosen(subjects), None
    if wanted is not None:
        chosen, shard = shard_of(chosen, subjects, wanted)
    workers = _PER_PROCESSOR * len(os.sched_getaffinity(0))
    if options.workers != "auto":
        workers = worker_count(options.workers, 0)
    stream = cast(TextIO, Stream(sys.stderr if options.json_file == "-" else sys.stdout))
    with ExitStack() as stack:
        sides = []
        for letter, subject in zip(letters(len(subjects)), subjects, strict=True):
            run = stack.enter_context(open_run(replace(subject, selected=tuple(chosen))))
            sides.append(Side(letter, described(subject), run))
        tally = CompareTally([side.run.contract for side in sides], len(chosen))
        tally.shard = shard
        collect(tally, run_all(chosen, sides, workers), stream)
        report = CompareReport(tally, sides)
        report.show(stream, complete=options.complete)
        if options.json_file:
            write_json(report.document(), options.json_file)
    return tally.exit_status()


class _Tally(Protocol):
    """What rows are collected in."""

    total: int
    rows: list[Any]
    seconds: float
    interrupted: bool


def collect(tally: _Tally, rows: Iterable[Any], stream: TextIO) -> None:
    """Add each of *rows* to *tally* as it comes in; an interrupt keeps the rows so far."""
    started = time.monotonic()
    try:
        with sigterm_interrupts(), Bar(Console(file=stream), tally.total) as bar:
            for row in rows:
                tally.rows.append(row)
                bar.step(len(tally.rows))
    except KeyboardInterrupt:
        tally.interrupted = True
    tally.seconds = time.monotonic() - started


def _requests(options: _Options) -> list[RunRequest]:
    """Return what is asked of each probe, in the order of the options' names."""
    common_parts = RunRequest(
        cwd=str(Path.cwd()),
        contract=options.contract,
        agent=options.agent,
        allow_writes=options.allow_writes,
        directories=tuple(str(directory.absolute()) for directory in options.directories),
        patterns=options.patterns,
        variables=variables(options.env, options.pass_env),
        now=options.now,
        seed=options.seed,
    )

    def image(reference: str) -> ImageRequest:
        engines, platform = options.engine, options.platform or ""
        return ImageRequest(reference=reference, engines=engines, platform=platform)

    makers: tuple[tuple[tuple[str, ...], Callable[[str], ProbeSpec]], ...] = (
        (options.probes, Command),
        (options.images, image),
        (options.pythons, PythonCallable),
    )
    requests = []
    for texts, spec in makers:
        for text in texts:
            contract, probe = _parted(text, options.contract)
            requests.append(replace(common_parts, contract=contract, probe=spec(probe)))
    requests += [replace(common_parts, contract=name) for name in options.references]
    # The first side's contract decides what the patterns mean.
    return [*requests[:1], *(replace(request, patterns=()) for request in requests[1:])]


def described(subject: Subject) -> str:
    """Return what a probe is, for people."""
    match subject.request.probe:
        case Command(line):
            return line
        case ImageRequest(reference=reference):
            return f"image {reference}"
        case PythonCallable(target):
            return f"python {target}"
    if subject.contract.requests is not None:
        return "its reference program"
    return "the CLI itself" if subject.contract.commands else "its reference probe"


def _parted(text: str, default: str) -> tuple[str, str]:
    """Return the contract that *text* names before an equals sign, and the rest.

    What stands there has to look like a contract: a word, or a file.
    """
    name, equals, rest = text.partition("=")
    plain = name.replace("-", "").isalnum() or name.endswith(".toml")
    return (name, rest) if equals and plain and " " not in name else (default, text)


def _chosen(subjects: Sequence[Subject]) -> list[Scenario]:
    """Return the scenarios to run: those of the first probe's selection that all contracts know.

    What only a container can show is left out where the first probe is an image and another is not,
    and what only a local probe can show where it is the other way round.
    """
    chosen = common(subjects)
    images = [subject.request.image is not None for subject in subjects]
    if images[0] and not all(images):
        chosen = [scenario for scenario in chosen if scenario.container is None]
    if any(images) and not images[0]:
        chosen = [scenario for scenario in chosen if not scenario.only_local]
    if not chosen:
        names = ", ".join(dict.fromkeys(subject.contract.name for subject in subjects))
        hint = "compare fewer contracts, or name other scenarios"
        raise UsageError(f"no scenario is part of all of {names}", hint=hint)
    return chosen
