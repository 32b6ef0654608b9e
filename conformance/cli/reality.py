"""The command reality: the released CLIs in the homes of the catalogue."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO, cast

import click

from conformance.cli.compare import collect
from conformance.cli.options import json_option
from conformance.cli.outputs import check_outputs
from conformance.cli.run import workers_option
from conformance.compare.reality import RealityTally, reasons
from conformance.compare.reality_report import RealityReport
from conformance.compare.sides import Side, run_all
from conformance.drivers.local.command import SYSTEM_PATH
from conformance.errors import UsageError
from conformance.images.packages import machine, other_version, packages, pinned, unpack
from conformance.report.document import write_json
from conformance.report.stream import Stream
from conformance.run.assembly import open_run
from conformance.run.directory import RunDirectory, cache_dir
from conformance.run.pytest_run import worker_count
from conformance.run.request import RunRequest

__all__ = ["installed", "reality_command"]


@click.command("reality")
@click.option(
    "--cli-version",
    "versions",
    metavar="CLI=VERSION",
    multiple=True,
    help="Another release than the pinned one; repeatable.",
)
@workers_option
@json_option
@click.argument("patterns", metavar="[ID|GLOB]...", nargs=-1)
@click.pass_context
def reality_command(
    ctx: click.Context,
    /,
    versions: tuple[str, ...],
    workers: str,
    json_file: str | None,
    patterns: tuple[str, ...],
) -> None:
    """Ask the released CLIs what they say of the homes that the catalogue builds.

    The pinned packages are downloaded with npm into the cache, once, and run without a network.
    What they say is compared with the contract cli-status, which has on record what they said
    before, and shown beside what the other contracts demand.

    Exit status: 0 all is as on record, 1 a CLI changed its mind, 2 the request is wrong,
    3 something could not be judged, 130 interrupted.
    """
    check_outputs({"json_file": json_file})
    ctx.exit(_reality(versions, workers, json_file, patterns))


def _reality(
    versions: tuple[str, ...],
    workers: str,
    json_file: str | None,
    patterns: tuple[str, ...],
) -> int:
    wanted = dict(_release(text) for text in versions)
    stream = cast(TextIO, Stream(sys.stderr if json_file == "-" else sys.stdout))
    with ExitStack() as stack:
        # The programs need a directory before the run, which brings its own, can be opened.
        directory = RunDirectory()
        stack.callback(directory.close)
        place, releases = installed(wanted, directory.path, stream)
        request = RunRequest(
            cwd=str(directory.path),
            contract="cli-status",
            patterns=patterns,
            variables={"PATH": f"{place}:{SYSTEM_PATH}"},
        )
        run = stack.enter_context(open_run(request))
        known = run.catalogue.contracts
        tally = RealityTally(known, len(run.selected), reasons())
        count = 2 * len(os.sched_getaffinity(0))
        if workers != "auto":
            count = worker_count(workers, len(run.selected))
        sides = [Side("A", "the CLI itself", run)]
        collect(tally, run_all(run.selected, sides, count), stream)
    report = RealityReport(tally, known, releases)
    report.show(stream)
    if json_file:
        write_json(report.document(), json_file)
    return tally.exit_status()


def _release(text: str) -> tuple[str, str]:
    cli, equals, release = text.partition("=")
    known = list(packages(machine()))
    if not equals or not release or cli not in known:
        raise UsageError(f"'{text}' is no CLI=VERSION", hint=f"the CLIs are {', '.join(known)}")
    return cli, release


def installed(
    wanted: Mapping[str, str],
    directory: Path,
    stream: TextIO,
) -> tuple[Path, dict[str, str]]:
    """Return a directory with the programs of the CLIs, and the release of each.

    *wanted* maps CLIs to other releases than the pinned ones. They are unpacked below *directory*;
    what is asked of npm is said on *stream*.

    :raises CannotJudge: a package cannot be had.
    """
    archives = cache_dir() / "clis"
    archives.mkdir(mode=0o700, exist_ok=True)
    programs = directory / "programs"
    programs.mkdir(mode=0o755)
    releases = {}
    for cli, package in packages(machine()).items():
        chosen = other_version(package, wanted[cli]) if cli in wanted else package
        doubt = "" if chosen.integrity else ", whose digest nobody has pinned"
        stream.write(f"{cli} {chosen.release}: {chosen.name}{doubt}\n")
        program = unpack(pinned(chosen, archives), chosen, directory / f"{cli}-{chosen.release}")
        (programs / cli).symlink_to(program)
        releases[cli] = chosen.release
    return programs, releases
