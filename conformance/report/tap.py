"""TAP 14, the Test Anything Protocol: a line for each test, which many programs read."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from conformance.judge.tally import RunReport
from conformance.report.cases import Case, broken_rule, cases, problems
from conformance.report.view import verdict
from conformance.text import join, printable

__all__ = ["tap"]


def tap(report: RunReport) -> Iterator[str]:
    """Yield the lines: the version, the plan, and a test point for each scenario."""
    found = list(cases(report))
    yield "TAP version 14"
    yield f"1..{len(found)}"
    for number, case in enumerate(found, 1):
        yield _point(number, case)
        if case.kind in ("fail", "error", "todo"):
            yield from _diagnostics(report, case)
    yield f"# {verdict(report)}"
    for line in problems(report):
        yield f"Bail out! {line}"


def _point(number: int, case: Case) -> str:
    okay = "ok" if case.kind in ("pass", "skip") else "not ok"
    directive = {"skip": " # SKIP ", "todo": " # TODO "}.get(case.kind)
    reason = f"{directive}{_escaped(case.message)}" if directive else ""
    return f"{okay} {number} - {_escaped(case.id)}{reason}"


def _diagnostics(report: RunReport, case: Case) -> Iterator[str]:
    """Yield a block of YAML that says what was expected and seen."""
    name, text = broken_rule(report, case)
    result = case.result
    told = {
        "message": case.message,
        "finding": case.type,
        "rule": name,
        "text": text,
        "expected": list(result.expected),
        "verdict": result.verdict,
        "code": result.code,
        "control": result.control,
        "difference": [printable(line) for line in result.difference],
        "stderr": [printable(line.expandtabs()) for line in result.stderr.splitlines()],
        "repeat": printable(join(report.repeat(case.id))),
    }
    kept = {key: value for key, value in told.items() if value not in ("", None, [])}
    block = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=1_000_000)
    yield "  ---"
    yield from (f"  {line}" for line in block.splitlines())
    yield "  ..."


def _escaped(text: str) -> str:
    """Return *text* in which no directive can be seen."""
    return text.replace("\\", "\\\\").replace("#", "\\#")
