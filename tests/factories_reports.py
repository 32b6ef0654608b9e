"""Saved reports of runs, made for tests that compare them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from conformance.report.saved import (
    Named,
    SavedFinding,
    SavedReport,
    SavedRow,
    parse_report,
)

#: When the first of several runs began, in epoch seconds.
NOON = 1_700_000_000.0
CODES = {"ready": 0, "cli-broken": 64, "creds-missing": 65, "creds-invalid": 66}


def row(id_: str, result: str = "conforms", answer: str = "", **fields: Any) -> SavedRow:
    """Return a row that expects ``ready``; one that deviates answers ``creds-missing``, or *answer*."""
    judged = result in ("conforms", "deviates", "known-failure")
    wrong = judged and result != "conforms"
    verdict = answer or ("creds-missing" if wrong else "ready")
    found = (SavedFinding(kind="wrong-verdict", message=f"expected ready (0), got {verdict}"),)
    values: dict[str, Any] = {
        "agent": "claude",
        "expected": ("ready",),
        "expected_codes": (0,),
        "code": CODES[verdict] if judged else None,
        "verdict": verdict if judged else None,
        "reason": "" if judged else "no engine",
        "findings": found if wrong else (),
    }
    return SavedRow(id=id_, result=result, **{**values, **fields})


def saved(rows: Iterable[SavedRow], *, hours: float = 0, **fields: Any) -> SavedReport:
    """Return a report of a run that began so many *hours* after noon."""
    rows = tuple(rows)
    results = [row.result for row in rows]
    counts = {
        kind: results.count(kind)
        for kind in ("conforms", "deviates", "unsupported", "broke", "known-failure")
    }
    values: dict[str, Any] = {
        "schema_version": 1,
        "suite": Named(name="probe-conformance", version="0.1.0"),
        "contract": Named(name="slot", version="1"),
        "probe": {"kind": "command", "command": ["./probe"]},
        "started": f"2023-11-{14 + int(hours // 24):02}T{int(hours % 24):02}:13:20.000+00:00",
        "now": NOON + hours * 3600,
        "seconds": 1.0,
        "exit_status": 1 if counts["deviates"] else 0,
        "conformant": not counts["deviates"],
        "counts": counts,
        "scenarios": rows,
        "levels": {"always-in-time": "must", "always-cli-alone": "should"},
    }
    return SavedReport(**{**values, **fields})


def with_finding(given: SavedRow, kind: str, level: str = "must", rule: str = "") -> SavedRow:
    """Return a row with one more finding."""
    finding = SavedFinding(kind=kind, message="some message", level=level, rule=rule)
    return replace(given, findings=(*given.findings, finding))


def write(file: Path, report: SavedReport) -> str:
    """Write *report* to *file* as a run does, and return its name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(to_builtins(report)))
    parse_report(file.read_bytes(), str(file))
    return str(file)
