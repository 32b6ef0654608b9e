"""The options about the results of a run, and what writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from conformance.errors import UsageError
from conformance.files import repository
from conformance.judge.known_failures import KnownFailures, write
from conformance.judge.tally import RunReport
from conformance.report.document import write_json, write_text
from conformance.report.formats import FORMATS, Format, rendered
from conformance.report.github import escaped
from conformance.report.junit import junit
from conformance.report.known import Known
from conformance.report.places import Places
from conformance.report.saved import parse_report
from conformance.report.terminal import Summary

__all__ = ["amount_options", "report_options", "summary", "writes"]

Command = Callable[..., Any]

_REPORT_OPTIONS = (
    click.option(
        "--junit",
        "junit_file",
        metavar="FILE",
        help="Write a JUnit report; '-' is standard output.",
    ),
    click.option(
        "--html",
        "html_file",
        metavar="FILE",
        help="Write a page to look at; '-' is standard output.",
    ),
    click.option(
        "--output-format",
        type=click.Choice(FORMATS),
        default="full",
        show_default=True,
        help="What standard output holds: text for people, or a form for other programs.",
    ),
)
_AMOUNT_OPTIONS = (
    click.option(
        "-v", "--verbose", is_flag=True, help="Show every deviation in full, grouped by its cause."
    ),
    click.option(
        "-q", "--quiet", is_flag=True, help="Show what the run came to, and nothing else."
    ),
)


def report_options(command: Command) -> Command:
    """Add the options that say where the results of a run go, but for ``--json``."""
    for option in reversed(_REPORT_OPTIONS):
        command = option(command)
    return command


def amount_options(command: Command) -> Command:
    """Add the options that say how much of a run is shown to people."""
    for option in reversed(_AMOUNT_OPTIONS):
        command = option(command)
    return command


def summary(options: Mapping[str, Any]) -> Summary:
    """Return how much of a run is shown to people, by these *options*.

    :raises UsageError: they exclude each other.
    """
    if options["verbose"] and options["quiet"]:
        raise UsageError("--verbose and --quiet exclude each other", hint="give one of them")
    if options["quiet"]:
        return "quiet"
    return "all" if options["verbose"] else "first screen"


def writes(
    report: RunReport,
    known_failures: KnownFailures,
    known: Known,
    options: Mapping[str, Any],
    *,
    probe_in: Path,
    name: str = "",
) -> Iterator[Callable[[], None]]:
    """Yield a function that makes and writes each file that *options* ask for.

    *known* is what the page knows of scenarios; *known_failures* give reasons that were written
    before. The probe has started *probe_in* that directory. *name* is that of an image where there
    are several: each line on standard output then says which of them it is about.
    """
    if options["output_format"] != "full":
        yield partial(_write_form, report, options["output_format"], probe_in, name)
    if options["json_file"]:
        yield lambda: write_json(report.document(), options["json_file"])
    if options["junit_file"]:
        yield lambda: write_text(junit(report), options["junit_file"])
    if options["html_file"]:
        yield partial(_write_html, report, known, options["html_file"])
    if options.get("write_known_failures") and not report.interrupted:
        file = Path(options["write_known_failures"])
        yield partial(write, file, report.results(), known_failures)


def _write_form(report: RunReport, form: Format, probe_in: Path, name: str) -> None:
    here = Path.cwd()
    places = Places(repository(here) or here, here, probe_in)
    text = rendered(report, form, places)
    write_text(_named(text, name) if name else text, "-")


def _named(text: str, name: str) -> str:
    """Return *text*, in a form that is made of lines, with *name* in front of each message."""
    lines = []
    for line in text.splitlines():
        if line.startswith("::"):  # an annotation of GitHub, with its properties first
            head, _, message = line.removeprefix("::").partition("::")
            lines.append(f"::{head}::{escaped(name)}: {message}")
        else:
            lines.append(f"{name}: {line}")
    return "".join(f"{line}\n" for line in lines)


def _write_html(report: RunReport, known: Known, file: str) -> None:
    # Only who wants a page pays for the template engine.
    from conformance.report.page.pages import run_page  # noqa: PLC0415
    from conformance.report.page.past_view import changes_view  # noqa: PLC0415

    saved = parse_report(json.dumps(report.document()), file)
    against = changes_view(report.changes) if report.changes is not None else None
    write_text(run_page(saved, known, against=against), file)
