"""The command page: saved reports as a page to look at, and as a badge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.cli.options import scenarios_option
from conformance.cli.outputs import check_outputs
from conformance.errors import UsageError
from conformance.report.badge import badge
from conformance.report.document import write_all, write_json, write_text
from conformance.report.page.pages import run_page, side_page
from conformance.report.page.values import Known
from conformance.report.saved import SavedReport, read_report

__all__ = ["page_command"]


@click.command("page")
@click.option("-o", "--output", metavar="FILE", help="Write the page; '-' is standard output.")
@click.option(
    "--badge", "badge_file", metavar="FILE", help="Write a badge as JSON, for shields' endpoint."
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
    contract: str | None,
    directories: tuple[Path, ...],
    reports: tuple[str, ...],
) -> None:
    """Make a page to look at from reports that run --json has written, or a badge.

    One report makes the page of that run. Several reports make a page that shows them side by side.
    """
    if not output and not badge_file:
        raise UsageError("there is nothing to write", hint="name a file with --output or --badge")
    check_outputs({"json_file": badge_file, "html_file": output})
    found = [read_report(file) for file in reports]
    write_all(_writes(found, reports, output, badge_file, contract, directories))


def _writes(
    found: list[SavedReport],
    names: tuple[str, ...],
    output: str | None,
    badge_file: str | None,
    contract: str | None,
    directories: tuple[Path, ...],
) -> Iterator[Callable[[], None]]:
    """Yield a function that writes each file that is asked for."""
    if badge_file:
        yield partial(write_json, badge(found[0], names[0]), badge_file)
    if output:
        known = _known(contract, directories)
        text = run_page(found[0], known) if len(found) == 1 else side_page(found, known)
        yield partial(write_text, text, output)


def _known(contract: str | None, directories: tuple[Path, ...]) -> Known:
    """Return the scenarios and contracts that this suite knows, with those of the user."""
    own = contracts.load(contract) if contract else None
    catalogue = load_catalogue(directories, contract=own)
    return Known(catalogue.scenarios, catalogue.contracts)
