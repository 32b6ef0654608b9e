"""The command merge: the reports of all shards of a run, as one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO, cast

import click

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.released import catalogue_as_of, contract_as_of
from conformance.cli.attest import attest_option, attestations, check_merged
from conformance.cli.baseline import baseline
from conformance.cli.options import scenarios_option
from conformance.cli.outputs import check_kept, check_outputs, reports
from conformance.cli.results import amount_options, report_options, summary, writes
from conformance.compare.merge import CannotMerge, Part, merged, parse_part
from conformance.errors import CannotJudge, ConformanceError, UsageError
from conformance.judge.known_failures import KnownFailures
from conformance.judge.tally import RunReport
from conformance.loading import catalogue_under
from conformance.model.contract import Contract
from conformance.report.document import write_all
from conformance.report.known import Known
from conformance.report.saved import SavedReport, report_text
from conformance.report.stream import Stream
from conformance.report.terminal import Quiet, Terminal
from conformance.report.view import View
from conformance.run.request import scenario_files

__all__ = ["merge_command"]


@click.command("merge")
@click.option(
    "-o", "--json", "json_file", metavar="FILE", help="Write the report; '-' is standard output."
)
@report_options
@attest_option
@amount_options
@click.option(
    "--baseline",
    metavar="REPORT",
    help="A JSON report of an earlier run: status 1 only for what got worse since.",
)
@click.option(
    "--contract",
    metavar="FILE",
    help="The contract that the reports are about, if it is not a bundled one.",
)
@scenarios_option
@click.argument("arguments", metavar="REPORT.json... [FILE.toml]...", nargs=-1, required=True)
@click.pass_context
def merge_command(ctx: click.Context, /, arguments: tuple[str, ...], **options: Any) -> None:
    """Make one report of the shards of a run, as if they had been one run.

    Each REPORT is what run --shard --json has written. Scenarios of your own take the directory
    that they lie in, or the FILE.

    Exit status: that of the whole run; 3 where a shard is missing, is there twice or is of another
    run, and then nothing is written.
    """
    files = [name for name in arguments if not name.endswith(".toml")]
    shown = summary(options)
    check_outputs(options)
    _check_kept(options, files)
    # A report that is named twice is one.
    parts = _parts(dict.fromkeys(map(os.path.normpath, files)))
    own = [name for name in arguments if name.endswith(".toml")]
    contract, catalogue = _known(parts, options, scenario_files(own, Path.cwd()))
    report = merged(parts, contract, catalogue)
    check_merged(options, report, catalogue)
    _compare(report, parts, options["baseline"])
    _show(report, catalogue, options, shown)
    known = Known(catalogue.scenarios, catalogue.contracts)
    named = options["contract"] or contract.name
    written = writes(report, KnownFailures({}), known, options, probe_in=Path.cwd())
    write_all([*written, *attestations(report, named, Path.cwd(), options)])
    ctx.exit(report.exit_status())


def _check_kept(options: dict[str, Any], files: Sequence[str]) -> None:
    """Refuse to write over one of the *files* that are read.

    :raises UsageError: an option names one of them.
    """
    if not files:
        raise UsageError("there is no report to merge", hint="name what run --shard --json wrote")
    check_kept(reports(options).values(), files, "one of the reports")


def _parts(files: dict[str, None]) -> list[Part]:
    """Return the shards in *files*.

    :raises UsageError: one of them is no report.
    :raises CannotMerge: one of them is no shard; it names all that are none.
    """
    parts, errors = [], list[ConformanceError]()
    for file in files:
        try:
            parts.append(parse_part(file, report_text(file)))
        except CannotJudge as e:
            errors.append(e)
    if errors:
        raise CannotMerge(errors)
    return parts


def _known(
    parts: Sequence[Part], options: dict[str, Any], files: Sequence[Path]
) -> tuple[Contract, Catalogue]:
    """Return the contract of *parts*, and the catalogue as it demands it.

    :raises ConformanceError: they cannot be had here.
    """
    first = parts[0].report
    own = contracts.load(options["contract"]) if options["contract"] else None
    catalogue = catalogue_under(own, options["directories"], files=files, now=first.now)
    contract = catalogue.contracts.get(first.contract.name)
    if contract is None:
        cause = f"contract '{first.contract.name}' is not known here"
        raise UsageError(cause, hint="name its file with --contract")
    if first.as_of:
        contract = contract_as_of(contract, first.as_of)
        catalogue = catalogue_as_of(catalogue, contract)
    _check_version(first, contract, parts[0].file)
    return contract, catalogue


def _check_version(report: SavedReport, contract: Contract, file: str) -> None:
    if report.contract.version != contract.version:
        cause = f"{file} is about version {report.contract.version} of contract '{contract.name}'"
        raise CannotJudge(f"{cause}, and here is {contract.version}", hint="name that one's file")


def _compare(report: RunReport, parts: Sequence[Part], file: str | None) -> None:
    """Compare *report* with the baseline in *file*, as its shards were compared with one.

    :raises UsageError: they were, and there is no *file*.
    """
    if file is None and any(part.report.baseline is not None for part in parts):
        cause = "the shards were compared with a baseline, which the whole has to be, too"
        raise UsageError(cause, hint="name it with --baseline")
    report.against = baseline(file, report.contract.name, report.selected)
    report.conclude()


def _show(report: RunReport, catalogue: Catalogue, options: dict[str, Any], shown: str) -> None:
    """Write for people what the run came to, as a run does."""
    to_stderr = "-" in reports(options).values()
    stream = cast(TextIO, Stream(sys.stderr if to_stderr else sys.stdout))
    view: View = Quiet(stream, report)
    if shown != "quiet" and options["output_format"] != "concise":
        view = Terminal(stream, report, catalogue.scenarios, all_of_it=shown == "all")
    view.start(0)
    view.finish()
