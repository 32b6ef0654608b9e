"""The pages there are, each as the text of an HTML file."""

from __future__ import annotations

from conformance.report.page.render import render
from conformance.report.page.run_view import run_view
from conformance.report.page.values import Known
from conformance.report.saved import SavedReport

__all__ = ["run_page"]


def run_page(report: SavedReport, known: Known) -> str:
    """Return the page of one *report*, with what is *known* of its scenarios."""
    return render("run.html", run=run_view(report, known), past=None)
