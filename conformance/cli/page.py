"""The command page: saved reports as a page to look at, and as a badge."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import click

from conformance.catalogue import contracts
from conformance.cli.options import scenarios_option
from conformance.cli.outputs import check_kept, check_outputs
from conformance.compare.history import Dated, Trend, history
from conformance.errors import UsageError
from conformance.loading import catalogue_under
from conformance.report.badge import badge
from conformance.report.document import write_all, write_json, write_text
from conformance.report.known import Known
from conformance.report.page.pages import run_page, side_page
from conformance.report.page.past_view import past_view
from conformance.report.saved import SavedReport, read_report

__all__ = ["page_command"]


@click.command("page")
@click.option("-o", "--output", metavar="FILE", help="Write the page; '-' is standard output.")
@click.option(
    "--badge",
    "badge_file",
    metavar="FILE",
    help="Write a badge of the latest run, as JSON for shields' endpoint.",
)
@click.option(
    "--one-probe",
    is_flag=True,
    help="Take all reports under one contract for those of one probe, whatever its name.",
)
@click.option(
    "--contract",
    metavar="FILE",
    help="The contract that the reports are about, if it is not a bundled one.",
)
@scenarios_option
@click.argument("reports", metavar="REPORT.json...", nargs=-1, required=True)
def page_command(
    output: str | None,
    badge_file: str | None,
    one_probe: bool,
    contract: str | None,
    directories: tuple[Path, ...],
    reports: tuple[str, ...],
) -> None:
    """Make a page to look at from reports that run --json has written, or a badge.

    Reports of one probe under one contract make the page of the latest run, and show what changed
    over time. Reports of several probes are shown side by side, of each probe the latest one.
    """
    _check_files(output, badge_file, reports)
    # A report that is named twice is one.
    found = {file: read_report(file) for file in reports}
    trends = history([Dated(file, report) for file, report in found.items()], one_probe=one_probe)
    write_all(_writes(found, trends.trends, output, badge_file, _Own(contract, directories)))


class _Own:
    """What the user has beside the bundled contracts and scenarios."""

    def __init__(self, contract: str | None, directories: tuple[Path, ...]) -> None:
        self._contract = contract
        self._directories = directories

    def known(self) -> Known:
        """Return the scenarios and contracts that this suite knows, with those of the user."""
        own = contracts.load(self._contract) if self._contract else None
        catalogue = catalogue_under(own, self._directories)
        return Known(catalogue.scenarios, catalogue.contracts)


def _check_files(output: str | None, badge_file: str | None, reports: Sequence[str]) -> None:
    """Refuse files that cannot be written, or that a report would be lost by."""
    if not output and not badge_file:
        raise UsageError("there is nothing to write", hint="name a file with --output or --badge")
    for file in filter(None, (output, badge_file)):
        check_outputs({"html_file": file})
        check_kept([file], reports, "one of the reports")
    if output and badge_file and os.path.realpath(output) == os.path.realpath(badge_file):
        where = "standard output" if output == "-" else output
        cause = f"--output and --badge both write to {where}"
        raise UsageError(cause, hint="name another file for one")


def _writes(
    found: dict[str, SavedReport],
    trends: Sequence[Trend],
    output: str | None,
    badge_file: str | None,
    own: _Own,
) -> Iterator[Callable[[], None]]:
    """Yield a function that writes each file that is asked for."""
    latest = [trend.points[-1].name for trend in trends]
    if badge_file:
        if len(latest) > 1:
            cause = f"a badge is about one probe, and the reports are about {len(latest)}"
            raise UsageError(cause, hint="name reports of one probe, or give --one-probe")
        yield lambda: write_json(badge(found[latest[0]], latest[0]), badge_file)
    if output:
        yield partial(write_text, _page(found, trends, own.known()), output)


def _page(found: dict[str, SavedReport], trends: Sequence[Trend], known: Known) -> str:
    """Return the page of the latest run where all are of one probe; else the probes, compared.

    :raises UsageError: there is no scenario that all of these have.
    """
    if len(trends) == 1:
        points = trends[0].points
        runs = [(point.name, found[point.name], point.changes) for point in points]
        past = past_view(runs) if len(runs) > 1 else None
        return run_page(found[points[-1].name], known, past=past)
    latest = {trend.points[-1].name for trend in trends}
    notes = []
    if older := len(found) - len(latest):
        noun = "report is" if older == 1 else "reports are"
        notes.append(f"Of each probe the latest run is shown; {older} older {noun} left out.")
    # In the order in which they were named.
    chosen = [report for file, report in found.items() if file in latest]
    if not set.intersection(*(set(report.rows()) for report in chosen)):
        cause = "the reports have no scenario in common"
        raise UsageError(cause, hint="make a page of each, or name reports that have")
    return side_page(chosen, known, notes)
