"""The forms in which a run says what it found, to people and to other programs."""

from __future__ import annotations

import json
from typing import Literal

from conformance.judge.tally import RunReport
from conformance.report.places import Places

__all__ = ["FORMATS", "Format", "rendered"]

Format = Literal["concise", "github", "sarif", "tap"]
#: What ``--output-format`` takes; ``full`` is the text for people.
FORMATS = ("full", "concise", "github", "sarif", "tap")


def rendered(report: RunReport, form: Format, places: Places) -> str:
    """Return *report* in the *form* that is called so; it ends with a line break unless empty."""
    # Imported here, since a run uses one of them at most.
    if form == "sarif":
        from conformance.report.sarif import sarif  # noqa: PLC0415

        return json.dumps(sarif(report, places), indent=2) + "\n"
    if form == "github":
        from conformance.report.github import github  # noqa: PLC0415

        lines = github(report, places)
    elif form == "tap":
        from conformance.report.tap import tap  # noqa: PLC0415

        lines = tap(report)
    else:
        from conformance.report.concise import concise  # noqa: PLC0415

        lines = concise(report)
    return "".join(f"{line}\n" for line in lines)
