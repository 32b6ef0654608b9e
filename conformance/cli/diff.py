"""The command diff: what changed between two reports."""

from __future__ import annotations

import click

from conformance.cli.options import json_option
from conformance.cli.outputs import check_kept, check_outputs
from conformance.cli.screen import screen
from conformance.compare.changes import changes, is_judged
from conformance.errors import UsageError
from conformance.model.change import changes_document
from conformance.report.changes import change_lines, outcome, side_lines, summary_lines
from conformance.report.document import write_json
from conformance.report.saved import SavedReport, read_report

__all__ = ["diff_command"]

#: Lines on the screen, without --verbose.
_LINES = 60


@click.command("diff")
@json_option
@click.option("-v", "--verbose", is_flag=True, help="Show every scenario that changed.")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.pass_context
def diff_command(
    ctx: click.Context, /, old: str, new: str, json_file: str | None, verbose: bool
) -> None:
    """Compare two reports of runs: what got worse, what was mended, what is new.

    OLD and NEW are files that run --json has written. They may be of different versions of the
    suite or of the contract, and of different probes: what both know is compared. A scenario that
    OLD does not have, or that was asked otherwise then, says nothing about the probe, and is named
    apart.

    Exit status: 0 nothing got worse, 1 something did: it conformed, and deviates now or could not
    be judged any more. 2 a file is no report, or the two have nothing in common.
    """
    check_outputs({"json_file": json_file})
    check_kept([json_file or "-"], [old, new], "one of the reports")
    before, now = read_report(old), read_report(new)
    found = changes(before, now, old_name=old, new_name=new)
    _check_common(before, now, old, new)
    echo = screen(json_file)
    head = [*((line, "") for line in side_lines(found)), ("", ""), *summary_lines(found)]
    limit = None if verbose else _LINES - len(head) - 2
    for line, style in (*head, *change_lines(found, limit)):
        echo(line, style)
    echo()
    worse = bool(found.worse())
    echo(outcome(found), "bold red" if worse else "bold green")
    if json_file:
        write_json({"schema_version": 1, **changes_document(found)}, json_file)
    ctx.exit(1 if worse else 0)


def _check_common(before: SavedReport, now: SavedReport, old: str, new: str) -> None:
    """Refuse reports that have judged no scenario in common, of which nothing can be said.

    :raises UsageError: there is none.
    """
    if not any(map(is_judged, before.scenarios)):
        raise UsageError(f"{old} has judged no scenario", hint="name the report of another run")
    rows = now.rows()
    if not any(is_judged(row) and row.id in rows for row in before.scenarios):
        cause = f"{new} has none of the scenarios that {old} has judged"
        raise UsageError(cause, hint="name reports of runs with scenarios in common")
