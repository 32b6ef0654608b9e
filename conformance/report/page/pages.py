"""The pages there are, each as the text of an HTML file."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.catalogue.catalogue import Catalogue
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.report.known import Known
from conformance.report.page.catalogue_view import catalogue_view
from conformance.report.page.past_view import ChangesView, PastView
from conformance.report.page.render import render
from conformance.report.page.run_view import run_view
from conformance.report.page.scenario_view import Anchors
from conformance.report.page.side_view import side_view
from conformance.report.saved import SavedReport

__all__ = ["catalogue_page", "run_page", "side_page"]


def run_page(
    report: SavedReport,
    known: Known,
    *,
    past: PastView | None = None,
    against: ChangesView | None = None,
) -> str:
    """Return the page of one *report*, with what is *known* of its scenarios.

    *past* is what came before it, *against* what changed against a baseline.
    """
    link = Anchors(report.rows()).link
    view = run_view(report, known)
    return render("run.html", run=view, past=past, against=against, link=link)


def side_page(
    reports: Sequence[SavedReport],
    known: Known,
    notes: Sequence[str] = (),
    names: Sequence[str] = (),
) -> str:
    """Return the page of several *reports* side by side, with *notes* about the choice of them.

    It leads to the page of each, which lies beside it, where these have *names*.
    """
    return render("side.html", side=side_view(reports, known, names), notes=notes)


def catalogue_page(
    catalogue: Catalogue, scenarios: Sequence[Scenario], contract: Contract | None = None
) -> str:
    """Return the page of *scenarios* of the *catalogue*: under all contracts, or under one."""
    return render("catalogue.html", catalogue=catalogue_view(catalogue, scenarios, contract))
