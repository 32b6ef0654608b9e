"""The baseline of a run: the report that it is compared with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conformance.compare.changes import changes, check_baseline
from conformance.model.change import Changes
from conformance.report.saved import parse_report, read_report
from conformance.run.subject import Subject

__all__ = ["baseline"]

_THIS_RUN = "this run"


def baseline(file: str | None, subject: Subject) -> Callable[[dict[str, Any]], Changes] | None:
    """Return what compares the document of a run with the report in *file*; None without a file.

    :raises UsageError: it is no report of a run, or says nothing about what is to run.
    """
    if file is None:
        return None
    old = read_report(file)
    ids = (scenario.id for scenario in subject.selected)
    check_baseline(old, file, subject.contract.name, ids)

    def against(document: dict[str, Any]) -> Changes:
        new = parse_report(json.dumps(document), _THIS_RUN)
        return changes(old, new, old_name=file, new_name=_THIS_RUN, only=())

    return against
