"""Print the JSON report of a run as Markdown, for the page of a pipeline: summary.py REPORT IMAGE.

It needs nothing but Python's standard library, since it also has to say that there is no report.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

#: A page of GitHub's takes 1 MiB, far more than so many rows of such cells come to.
_ROWS = 100
_CELL = 300


def cell(text: str) -> str:
    """Return *text* so that none of it is taken for Markdown or HTML: probes have a say in it."""
    line = " ".join(text.split())
    line = line if len(line) <= _CELL else f"{line[: _CELL - 1]}…"
    return re.sub(
        r"[^\w\s.,;/()+…-]|_|^[-+.]", lambda match: "".join(f"&#{ord(c)};" for c in match[0]), line
    )


def table(head: Sequence[str], rows: Sequence[Iterable[str]]) -> list[str]:
    """Return the lines of a table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(map(cell, row))} |" for row in rows[:_ROWS]]
    return [*lines, "", *([f"… and {len(rows) - _ROWS} more", ""] if len(rows) > _ROWS else [])]


def deviation(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """Return scenario, expectation, answer and findings of a row of the report."""
    findings = [finding["kind"] for finding in row["findings"]]
    if row["code"] is None:
        got = next(
            (kind for kind in findings if kind in ("timed-out", "killed-by-signal")), "no answer"
        )
    else:
        got = f"{row['verdict']} ({row['code']})" if row["verdict"] else f"exit code {row['code']}"
    codes = ", ".join(map(str, row["expected_codes"]))
    said = "; ".join(f"{finding['kind']}: {finding['message']}" for finding in row["findings"])
    return row["id"], f"{' or '.join(row['expected'])} ({codes})", got, said


def verdict(report: dict[str, Any]) -> str:
    """Return what the exit status of the run stands for."""
    if report["exit_status"] == 0:
        return "conformant" if report["conformant"] else "no new failure"
    return {1: "not conformant", 130: "interrupted"}.get(report["exit_status"], "not judged")


def summary(report: dict[str, Any], image: str) -> list[str]:
    """Return the lines of the page."""
    contract, shard = report["contract"], report.get("shard")
    part = f"shard {shard['index']} of {shard['count']}, " if shard else ""
    lines = [f"## {cell(image)}: {verdict(report)}", ""]
    counts = report["counts"]
    lines += table([kind.replace("-", " ") for kind in counts], [map(str, counts.values())])
    lines += [
        f"Contract {cell(contract['name'])} {cell(contract['version'])}, {part}"
        f"{report['seconds']:.1f} s.",
        "",
    ]
    for heading, result in (
        ("Deviates", "deviates"),
        ("Not judged", "broke"),
        ("Unsupported", "unsupported"),
    ):
        rows = [row for row in report["scenarios"] if row["result"] == result]
        if rows and result == "deviates":
            lines += [
                f"### {heading}",
                "",
                *table(
                    ("scenario", "expected", "got", "findings"), [deviation(row) for row in rows]
                ),
            ]
        elif rows:
            lines += [
                f"### {heading}",
                "",
                *table(("scenario", "reason"), [(row["id"], row["reason"]) for row in rows]),
            ]
    for id_ in report["stale_known_failures"]:
        lines.append(f"- {cell(id_)} is a known failure, and conforms: take it off the list")
    lines += [f"- {cell(line)}" for line in (*report["trouble"], report["diagnosis"]) if line]
    return lines


def main(file: str, image: str) -> None:
    """Print the page."""
    path = Path(file)
    if path.is_file():
        lines = summary(json.loads(path.read_text(encoding="utf-8")), image)
    else:
        lines = [f"## {cell(image)}: no report", "", "The run did not start; its log says why."]
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    print("\n".join(lines))  # noqa: T201 - that is its output


if __name__ == "__main__":
    main(*sys.argv[1:])
