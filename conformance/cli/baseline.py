"""The baseline of a run: the report that it is compared with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from conformance.compare.changes import changes, check_baseline
from conformance.model.change import Changes
from conformance.model.scenario import Scenario
from conformance.report.saved import parse_report, read_report

__all__ = ["baseline"]

_THIS_RUN = "this run"


def baseline(
    file: str | None, contract: str, scenarios: Iterable[Scenario]
) -> Callable[[dict[str, Any]], Changes] | None:
    """Return what compares the document of a run with the report in *file*; None without a file.

    The run is about these *scenarios*, under the contract of that name.

    :raises UsageError: it is no report of a run, or says nothing about what is to run.
    """
    if file is None:
        return None
    old = read_report(file)
    check_baseline(old, file, contract, (scenario.id for scenario in scenarios))

    def against(document: dict[str, Any]) -> Changes:
        new = parse_report(json.dumps(document), _THIS_RUN)
        return changes(old, new, old_name=file, new_name=_THIS_RUN, only=())

    return against
