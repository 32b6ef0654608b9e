"""The command compare: several probes over the same scenarios."""

from __future__ import annotations

import os
import string
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO, cast

import click
import msgspec
from rich.console import Console

from conformance.catalogue import catalogue as catalog
from conformance.cli.image_request import IMAGE_OPTIONS, image_request
from conformance.cli.options import scenarios_option
from conformance.cli.run import check_outputs, local_probe, workers_option
from conformance.compare.reality import RealityReport
from conformance.compare.report import CompareReport
from conformance.compare.sides import Side, common, run_all
from conformance.errors import UsageError
from conformance.model.scenario import Scenario
from conformance.report.bar import Bar
from conformance.report.document import write_json
from conformance.report.stream import Stream
from conformance.run.assembly import Settings, World
from conformance.run.directory import RunDirectory
from conformance.run.items import extra_variables
from conformance.run.pytest_run import sigterm_interrupts, worker_count

__all__ = ["collect", "compare_command"]

#: Scenarios at the same time, for each processor: much of it is waiting for other programs.
_PER_PROCESSOR = 4


@click.command("compare")
@click.option("--probe", "probes", metavar="[CONTRACT=]CMD", multiple=True, help="A local command; repeatable.")
@click.option("--image", "images", metavar="[CONTRACT=]REF", multiple=True, help="A container image; repeatable.")
@click.option("--python", "pythons", metavar="[CONTRACT=]MODULE:NAME", multiple=True, help="A Python callable; repeatable.")
@click.option(
    "--reference", "references", metavar="CONTRACT", multiple=True, help="A contract's own probe: its reference, or the CLI."
)
@click.option("--contract", metavar="NAME|FILE", default="slot", show_default=True, help="The contract of probes that name none.")
@scenarios_option
@click.option("--env", metavar="KEY=VALUE", multiple=True, help="A variable for every probe; repeatable.")
@click.option("--pass-env", metavar="KEY", multiple=True, help="A variable of yours for every probe; repeatable.")
@click.option("--all", "complete", is_flag=True, help="Also show where all agree.")
@workers_option
@click.option("--json", "json_file", metavar="FILE", help="Write a JSON report; '-' is standard output.")
@click.argument("patterns", metavar="[ID|GLOB]...", nargs=-1)
@click.pass_context
def compare_command(ctx: click.Context, /, **options: object) -> None:
    """Run several probes in the homes of the same scenarios, and show where they disagree.

    Each probe is judged by its own contract; a contract that a probe does not name is that of --contract. Answers
    agree when one verdict can be what all of them mean. Only scenarios that are part of every contract are run.

    Exit status: 0 all agree, 1 they disagree, 2 the request is wrong, 3 something could not be judged, 130 interrupted.
    """
    ctx.exit(_compare(msgspec.convert(options, _Options)))


class _Options(msgspec.Struct, frozen=True):
    """The options of the command."""

    probes: tuple[str, ...]
    images: tuple[str, ...]
    pythons: tuple[str, ...]
    references: tuple[str, ...]
    contract: str
    directories: tuple[str, ...]
    env: tuple[str, ...]
    pass_env: tuple[str, ...]
    complete: bool
    workers: str
    json_file: str | None
    patterns: tuple[str, ...]


def _compare(options: _Options) -> int:
    check_outputs({"json_file": options.json_file})
    sides = list(_sides(options))
    if len(sides) < 2:
        raise UsageError(
            "there is nothing to compare", hint="name two probes or more, with --probe, --image, --python, --reference"
        )
    chosen = _chosen(options.patterns, sides)
    workers = _PER_PROCESSOR * len(os.sched_getaffinity(0)) if options.workers == "auto" else worker_count(options.workers, 0)
    report = CompareReport(sides, len(chosen))
    stream = cast(TextIO, Stream(sys.stderr if options.json_file == "-" else sys.stdout))
    with ExitStack() as stack:
        for side in sides:
            directory = RunDirectory()
            stack.callback(directory.close)
            stack.callback(side.world.close)
            side.world.settle(directory.path)
        collect(report, chosen, sides, workers, stream)
        report.show(stream, complete=options.complete)
        if options.json_file:
            write_json(report.document(), options.json_file)
    return report.exit_status()


def collect(
    report: CompareReport | RealityReport, chosen: Sequence[Scenario], sides: Sequence[Side], workers: int, stream: TextIO
) -> None:
    """Run the scenarios, and hand what they come to to *report*; who interrupts this keeps what has been seen."""
    started = time.monotonic()
    try:
        with sigterm_interrupts(), Bar(Console(file=stream), len(chosen)) as bar:
            for row in run_all(chosen, sides, workers):
                report.rows.append(row)
                bar.step(len(report.rows))
    except KeyboardInterrupt:
        report.interrupted = True
    report.seconds = time.monotonic() - started


def _sides(options: _Options) -> list[Side]:
    """Return the probes to compare, in the order of the options' names."""
    extra = extra_variables(options.env, options.pass_env)
    directories = tuple(str(Path(directory).absolute()) for directory in options.directories)
    wanted = [(kind, *_parted(text, options.contract)) for kind in ("probe", "image", "python") for text in _of(options, kind)]
    wanted += [("reference", name, "") for name in options.references]
    sides = []
    for letter, (kind, contract, text) in zip(_letters(len(wanted)), wanted, strict=True):
        settings = Settings(cwd=str(Path.cwd()), contract=contract, directories=directories, extra=extra)
        world = World(settings)
        if kind == "image":
            plain: dict[str, Any] = {**dict.fromkeys(IMAGE_OPTIONS), "cap_add": ()}
            world.settings = msgspec.structs.replace(settings, image=image_request(text, None, **plain))
        else:
            argv = local_probe(
                text if kind == "probe" else None, text if kind == "python" else None, world.contract, settings.extra
            )
            world.settings = msgspec.structs.replace(settings, argv=argv)
        words = text or ("the CLI itself" if world.contract.commands else "its reference probe")
        sides.append(Side(letter, f"{kind} {text}" if kind in ("image", "python") else words, world))
    return sides


def _letters(count: int) -> Sequence[str]:
    """Return so many names of one letter; of two, from the 27th on."""
    letters = string.ascii_uppercase
    return [*letters, *(first + second for first in letters for second in letters)][:count]


def _of(options: _Options, kind: str) -> tuple[str, ...]:
    found: tuple[str, ...] = getattr(options, f"{kind}s")
    return found


def _parted(text: str, default: str) -> tuple[str, str]:
    """Return the contract that *text* names before an equals sign, and the rest.

    What stands there has to look like a contract: a word, or a file.
    """
    name, equals, rest = text.partition("=")
    plain = name.replace("-", "").isalnum() or name.endswith(".toml")
    return (name, rest) if equals and plain and " " not in name else (default, text)


def _chosen(patterns: Sequence[str], sides: Sequence[Side]) -> list[Scenario]:
    """Return the scenarios to run: of the first side's contract those that *patterns* name, and that all sides know."""
    first = sides[0].world
    containers = all(side.world.settings.image is not None for side in sides)
    chosen = common(catalog.select(first.catalogue, patterns, first.contract, containers=containers), sides)
    if not chosen:
        names = ", ".join(dict.fromkeys(side.world.contract.name for side in sides))
        raise UsageError(f"no scenario is part of all of {names}", hint="compare fewer contracts, or name other scenarios")
    for side in sides:
        ids = tuple(scenario.id for scenario in chosen)
        side.world.settings = msgspec.structs.replace(side.world.settings, ids=ids)
    return chosen
