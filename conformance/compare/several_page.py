"""Several runs that were one, as a page to look at: side by side, with a link to that of each."""

from __future__ import annotations

import json

from conformance.compare.several_report import Several
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.report.known import Known
from conformance.report.page.pages import side_page
from conformance.report.saved import parse_report

__all__ = ["several_page"]


def several_page(several: Several) -> str:
    """Return the page of those of *several* that have a report; it says why others have none."""
    reports, names = [], []
    scenarios: dict[str, Scenario] = {}
    contracts: dict[str, Contract] = {}
    for part in several.judged:
        assert part.run is not None
        assert part.report is not None
        names.append(part.job.name)
        reports.append(parse_report(json.dumps(part.report.document()), part.job.name))
        scenarios.update(part.run.catalogue.scenarios)
        contracts.update(part.run.catalogue.contracts)
    notes = [
        f"{part.job.name} was not judged: {'; '.join(part.trouble())}."
        for part in several.parts
        if part not in several.judged
    ]
    return side_page(reports, Known(scenarios, contracts), notes, names)
