"""One line for each scenario that is not as it has to be: for a quick look, grep and editors."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.judge.tally import RunReport
from conformance.report.cases import broken_rule, cases, problems
from conformance.text import one_line

__all__ = ["concise"]


def concise(report: RunReport) -> Iterator[str]:
    """Yield ``ID: RULE: FINDING: MESSAGE`` for each deviation, and a line for what else is wrong.

    Advice has a line as well; nothing is said of what conforms, of known failures, and of what is
    unsupported where that does not count.
    """
    for line in problems(report):
        yield f"probe-conformance: {line}"
    for case in cases(report):
        if case.kind in ("fail", "error"):
            rule, _ = broken_rule(report, case)
            told = "" if case.result.result == "deviates" else f"{case.type}: "
            where = f"{rule}: " if rule and case.kind == "fail" else ""
            yield f"{case.id}: {where}{told}{case.message}"
        for finding in case.result.advice():
            rule, _ = broken_rule(report, case, finding)
            yield one_line(f"{case.id}: {rule}: advice: {finding.kind}: {finding.message}")
