"""SARIF 2.1.0, which code hosts show as findings beside the code."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conformance import __version__
from conformance.bundled import scenarios_dir
from conformance.judge.tally import RunReport
from conformance.model.outcome import Finding
from conformance.report.cases import Case, broken_rule, cases, details, problems
from conformance.report.places import Place, Places
from conformance.text import one_line

__all__ = ["sarif"]

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
#: The name of our fingerprint; a change of what goes into it takes another one.
_FINGERPRINT = "probeConformance/v1"
#: What the paths of scenarios that come with the suite count from.
_CATALOGUE = "SCENARIOS"


def sarif(report: RunReport, places: Places) -> dict[str, Any]:
    """Return *report* as a SARIF log: a result for each finding.

    What deviates is an error and advice a warning; a known failure is suppressed. What could not be
    judged is no result, but a notification of the invocation.
    """
    found = list(cases(report))
    results = [each for case in found for each in _results(report, places, case)]
    rules = list(dict.fromkeys(result["ruleId"] for result in results))
    for result in results:
        result["ruleIndex"] = rules.index(result["ruleId"])
    driver = {
        "name": "probe-conformance",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(report, name) for name in rules],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"probe-conformance/{report.contract.name}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {
            _CATALOGUE: {"description": {"text": "The scenarios that come with the suite"}}
        },
        "invocations": [_invocation(report, found)],
        "results": results,
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(report: RunReport, name: str) -> dict[str, Any]:
    """Return the rule called *name*, or what stands for one where none is cited."""
    known = report.contract.rules.get(name.partition(":")[2])
    if known is None:
        text = f"The exit code is one that contract {report.contract.name} calls for"
        return {"id": name, "shortDescription": _message(text)}
    level = "error" if known.level == "must" else "warning"
    words = _message(one_line(known.text))
    return {
        "id": name,
        "shortDescription": words,
        "fullDescription": words,
        "defaultConfiguration": {"level": level},
    }


def _results(report: RunReport, places: Places, case: Case) -> Iterator[dict[str, Any]]:
    findings: list[Finding | None] = list(case.result.findings)
    if case.kind == "fail" and not findings:  # a known failure that conforms, or unsupported
        findings = [None]
    times: Counter[tuple[str, str]] = Counter()
    states = _states(report)
    for finding in findings:
        advice = finding is not None and finding.level == "should"
        name, text = broken_rule(report, case, finding)
        name = name or f"{report.contract.name}:answer"
        kind = finding.kind if finding is not None else case.type
        times[name, kind] += 1
        seen = [report.contract.name, case.id, name, kind, str(times[name, kind])]
        said = one_line(f"{kind}: {finding.message}") if finding is not None else case.message
        lines = [f"{case.id}: {said}", *([f"The rule: {text}"] if text else [])]
        result = {
            "ruleId": name,
            "level": "warning" if advice else "error",
            "message": _message("\n".join(lines)),
            "locations": [_location(report, places, case)],
            "partialFingerprints": {_FINGERPRINT: sha256("\0".join(seen).encode()).hexdigest()},
            "properties": {
                "scenario": case.id,
                "finding": kind,
                "result": case.result.result,
                "details": list(details(report, case)),
            },
        }
        if states is not None:
            result["baselineState"] = states.get(case.id, "unchanged")
        if case.result.result == "known-failure":
            reason = one_line(case.result.reason)
            result["suppressions"] = [{"kind": "external", "justification": reason}]
        yield result


def _states(report: RunReport) -> dict[str, str] | None:
    """Return what became of scenarios since the baseline, as SARIF calls it; None without one.

    What is not among them is unchanged.
    """
    if report.changes is None:
        return None
    new = {"regressed", "new", "judged-again", "known-by-now"}
    return {
        change.id: "new" if change.kind in new else "updated" for change in report.changes.changes
    }


def _message(text: str) -> dict[str, str]:
    """Return *text* as a message in which nothing is taken for a placeholder or a link."""
    for character in "{}":
        text = text.replace(character, 2 * character)
    return {"text": text.replace("](", "] (")}


def _location(report: RunReport, places: Places, case: Case) -> dict[str, Any]:
    """Return where something is to be done: in the probe, else in the file of the scenario.

    The scenario is the logical place in any case.
    """
    place = places.of_probe(report) or places.of_scenario(case.scenario)
    if case.type == "stale-known-failure":
        place = places.of_known_failure(report, case.id)
    file = Path(case.scenario.file)
    if place is not None:
        physical = _physical(place)
    elif scenarios_dir() in file.parents:
        uri = quote(os.fsencode(file.relative_to(scenarios_dir())))
        physical = {"artifactLocation": {"uri": uri, "uriBaseId": _CATALOGUE}}
    else:
        physical = {"artifactLocation": {"uri": Path(places.directory, file).as_uri()}}
    name = f"{report.contract.name}/{case.id}"
    return {"physicalLocation": physical, "logicalLocations": [{"fullyQualifiedName": name}]}


def _physical(place: Place) -> dict[str, Any]:
    return {
        "artifactLocation": {"uri": quote(os.fsencode(place.file))},
        "region": {"startLine": place.line},
    }


def _invocation(report: RunReport, found: list[Case]) -> dict[str, Any]:
    """Return how the run went, with what could not be judged."""
    started = datetime.fromtimestamp(report.now, UTC)
    ended = started + timedelta(seconds=report.seconds)
    broke = [f"{case.id}: {case.message}" for case in found if case.kind == "error"]
    said = (*problems(report), *broke)
    notes = [{"level": "error", "message": _message(text)} for text in said]
    invocation: dict[str, Any] = {
        "executionSuccessful": not notes,
        "exitCode": report.exit_status(),
        "startTimeUtc": _utc(started),
        "endTimeUtc": _utc(ended),
    }
    if notes:
        invocation["toolExecutionNotifications"] = notes
    return invocation


def _utc(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
