"""The command history: reports of one probe over time."""

from __future__ import annotations

import sys

import click

from conformance.cli.options import json_option
from conformance.cli.outputs import check_outputs
from conformance.cli.screen import screen
from conformance.compare.history import history
from conformance.compare.history_report import history_document, trend_lines
from conformance.compare.kept import Kept, in_directory, in_git
from conformance.errors import UsageError
from conformance.report.document import write_json

__all__ = ["history_command"]


@click.command("history")
@click.option(
    "--git", "from_git", is_flag=True, help="DIR|FILE is a file in git: show all its versions."
)
@click.option(
    "--one-probe",
    is_flag=True,
    help="Take all reports under one contract for those of one probe, whatever its name.",
)
@click.option(
    "--last",
    metavar="N",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    help="Show no more than the last N runs of each probe.",
)
@json_option
@click.option("-v", "--verbose", is_flag=True, help="Name what regressed, and what was mended.")
@click.argument("path", metavar="DIR|FILE")
def history_command(
    path: str, *, from_git: bool, one_probe: bool, last: int, json_file: str | None, verbose: bool
) -> None:
    """Show how reports that were kept developed: a line for each run, oldest first.

    Each *.json below DIR that run --json has written counts; other files are passed over. With
    --git, each version of FILE that was committed counts. Reports are told apart by contract and by
    probe: its command, or the image's name and tag. What changed is said against the last run in
    which a scenario was judged.
    """
    check_outputs({"json_file": json_file})
    kept = in_git(path) if from_git else in_directory(path)
    if not kept.reports:
        hint = "keep there what run --json writes"
        among = f" among {len(kept.passed_over)} versions" if from_git else ""
        raise UsageError(f"no report of a run{among} in {path}", hint=hint)
    found = history(kept.reports, one_probe=one_probe)
    echo = screen(json_file)
    plain = not _shows((sys.stderr if json_file == "-" else sys.stdout).encoding)
    for trend in found.trends:
        for line, style in trend_lines(trend, last=last, verbose=verbose, plain=plain):
            echo(line, style)
        echo()
    if len(found.trends) > 1 and all(len(trend.points) == 1 for trend in found.trends):
        echo("each probe ran once; --one-probe makes one trend of those under one contract")
    for line in _passed_over(kept, verbose=verbose):
        echo(line)
    if json_file:
        write_json(history_document(found, kept.passed_over, kept.copies), json_file)


def _passed_over(kept: Kept, *, verbose: bool) -> list[str]:
    lines = []
    if kept.copies:
        lines.append(f"copies of reports passed over: {kept.copies}")
    if kept.passed_over:
        why = "" if verbose else " (-v says why)"
        lines.append(
            f"passed over, since they are no reports of a run: {len(kept.passed_over)}{why}"
        )
    return lines + [f"  {why}" for why in kept.passed_over if verbose]


def _shows(encoding: str | None) -> bool:
    """Return whether a stream with this *encoding* can show the marks of a curve."""
    try:
        "▁█".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
