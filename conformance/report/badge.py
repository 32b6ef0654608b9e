"""A badge for a README: JSON for the endpoint badge of shields."""

from __future__ import annotations

from conformance.errors import CannotJudge
from conformance.report.saved import SavedReport
from conformance.report.verdict import Tone, counts, nothing_judged, verdict

__all__ = ["badge"]

_COLOURS: dict[Tone, str] = {
    "good": "brightgreen",
    "fair": "yellowgreen",
    "bad": "red",
    "open": "lightgrey",
}


def badge(report: SavedReport, name: str) -> dict[str, object]:
    """Return the badge of *report*, which messages call *name*, as built-in types.

    :raises CannotJudge: nothing was judged, so that there is nothing to show.
    """
    if nothing_judged(report):
        raise CannotJudge(f"{name} has no badge: nothing was judged in that run")
    said = verdict(report)
    return {
        "schemaVersion": 1,
        "label": f"{report.contract.name} {report.contract.version}",
        "message": _message(report, said.words.lower()),
        "color": _COLOURS[said.tone],
    }


def _message(report: SavedReport, words: str) -> str:
    """Return the verdict in *words*, with the number that somebody will ask for next."""
    found, total = counts(report), len(report.scenarios)
    if words == "not conformant" and found.get("deviates"):
        return f"{found['deviates']} of {total} deviate"
    if words == "not judged" and found.get("broke"):
        return f"{found['broke']} of {total} not judged"
    if words == "no new failure":
        known = found.get("known-failure", 0) + found.get("deviates", 0)
        return f"no new failure, {known} known"
    return words
