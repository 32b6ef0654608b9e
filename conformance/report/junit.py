"""JUnit XML, which CI servers show as tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from conformance import __version__
from conformance.judge.tally import RunReport
from conformance.model.wording import probe_lines
from conformance.report.cases import Case, cases, details, problems
from conformance.text import one_line, printable

__all__ = ["junit"]

#: The element of a test that is not a plain pass.
_ELEMENTS = {"fail": "failure", "error": "error", "skip": "skipped", "todo": "skipped"}


def junit(report: RunReport) -> str:
    """Return *report* as JUnit XML, with a test case for each scenario.

    Its class is the contract and the first part of the id, its name the rest, so that servers show
    the scenarios of an agent together and no two of them have one name.
    """
    found = list(cases(report))
    wrong = problems(report)
    kinds = [case.kind for case in found]
    counts = {
        "tests": len(found) + len(wrong),
        "failures": kinds.count("fail"),
        "errors": kinds.count("error") + len(wrong),
    }
    attributes = {name: str(count) for name, count in counts.items()}
    attributes["time"] = f"{report.seconds:.3f}"
    root = ET.Element("testsuites", {"name": "probe-conformance", **attributes})
    more = {
        "name": report.contract.name,
        "skipped": str(kinds.count("skip") + kinds.count("todo")),
        "timestamp": datetime.fromtimestamp(report.now, UTC).isoformat(timespec="seconds"),
    }
    suite = ET.SubElement(root, "testsuite", {**more, **attributes})
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report):
        ET.SubElement(properties, "property", name=name, value=one_line(value))
    for case in found:
        _add(suite, report, case)
    for line in wrong:
        element = ET.SubElement(suite, "testcase", classname="probe-conformance", name="the run")
        ET.SubElement(element, "error", type="trouble", message=line).text = line
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _properties(report: RunReport) -> Iterator[tuple[str, str]]:
    yield "probe-conformance", __version__
    yield "contract", f"{report.contract.name} {report.contract.version}"
    for line in probe_lines(report.probe):
        name, _, value = line.partition(": ")
        yield name, value
    if report.settings:
        yield "settings", report.settings
    if report.shard is not None:
        yield "shard", f"{report.shard.words}, {report.shard.scenarios} scenarios in all"
    if report.left_out:
        yield "not run", str(len(report.left_out))


def _add(suite: ET.Element, report: RunReport, case: Case) -> None:
    """Add the test case of one scenario to *suite*."""
    first, slash, rest = case.id.partition("/")
    contract = report.contract.name
    element = ET.SubElement(
        suite,
        "testcase",
        classname=f"{contract}.{first}" if slash else contract,
        name=rest if slash else first,
        time=f"{case.result.seconds:.3f}",
    )
    if case.kind == "pass":
        advice = [f"advice: {found.kind}: {found.message}" for found in case.result.advice()]
        _text(element, "system-out", advice)
        return
    reason = ET.SubElement(element, _ELEMENTS[case.kind], type=case.type, message=case.message)
    if case.kind in ("fail", "error"):
        reason.text = "\n".join(details(report, case))
    _text(element, "system-out", case.result.stdout.splitlines())
    _text(element, "system-err", case.result.stderr.splitlines())


def _text(parent: ET.Element, name: str, lines: list[str]) -> None:
    """Add an element with *lines*, without what XML forbids and servers refuse."""
    if lines:
        text = "\n".join(printable(line.expandtabs()) for line in lines)
        ET.SubElement(parent, name).text = text
