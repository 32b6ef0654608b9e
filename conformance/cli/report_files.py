"""The files that a run writes, and the forms in which it prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from conformance.files import repository
from conformance.judge.known_failures import KnownFailures, write
from conformance.judge.tally import RunReport
from conformance.report.document import write_json, write_text
from conformance.report.formats import rendered
from conformance.report.github import escaped
from conformance.report.junit import junit
from conformance.report.known import Known
from conformance.report.places import Places
from conformance.report.saved import parse_report

__all__ = ["writes"]


def writes(
    report: RunReport,
    known_failures: KnownFailures,
    known: Known,
    options: Mapping[str, Any],
    name: str = "",
) -> Iterator[Callable[[], None]]:
    """Yield a function that writes each file that is asked for.

    *name* is that of an image where there are several, which then says on standard output who it
    is.
    """
    if options["output_format"] != "full":
        here = Path.cwd()
        places = Places(repository(here) or here, here)
        text = rendered(report, options["output_format"], places)
        if name:
            text = named(text, options["output_format"], name)
        yield partial(write_text, text, "-")
    if options["json_file"]:
        yield partial(write_json, report.document(), options["json_file"])
    if options["junit_file"]:
        yield partial(write_text, junit(report), options["junit_file"])
    if options["html_file"]:
        yield partial(_write_html, report, known, options["html_file"])
    if options["write_known_failures"] and not report.interrupted:
        file = Path(options["write_known_failures"])
        yield partial(write, file, report.results(), known_failures)


def named(text: str, form: str, name: str) -> str:
    """Return *text*, which is in the *form* of that name, with *name* in each of its messages."""
    lines = []
    for line in text.splitlines():
        if form == "github" and line.startswith("::"):
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
