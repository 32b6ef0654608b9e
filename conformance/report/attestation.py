"""A run as an attestation: an in-toto statement about the image, for policies to read.

The form is that of https://github.com/in-toto/attestation: the statement, version 1, with the
predicate ``test-result``, version 0.1. What that has no member for stands in the annotations of its
``configuration``, so that readers which are strict about members take it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.judge.tally import RunReport
from conformance.report.view import some

__all__ = ["STATEMENT", "TEST_RESULT", "catalogue_digest", "not_attestable", "run_url", "statement"]

STATEMENT = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"


def not_attestable(report: RunReport) -> str:
    """Return why nothing can be said of the image for good after this run; empty where it can."""
    counts = report.counts()
    if report.interrupted:
        return "the run was interrupted"
    if report.trouble:
        return report.trouble[0]
    if counts["broke"]:
        return f"{some(counts['broke'], 'scenario')} could not be judged"
    if report.left_out:
        return f"{some(len(report.left_out), 'scenario')} did not run"
    if report.fail_on_unsupported and counts["unsupported"]:
        return f"{some(counts['unsupported'], 'scenario')} cannot be had here"
    if counts["unsupported"] == len(report.selected):
        return "no scenario was judged"
    return ""


def statement(
    document: Mapping[str, Any],
    *,
    contract: Sequence[Path],
    url: str = "",
) -> dict[str, Any]:
    """Return the statement about the image that the report *document* of a whole run is about.

    *contract* are the files that the contract is read from, its own one first. *url* leads to the
    run, if anything does. Neither outputs nor values of variables are part of it.
    """
    rows = document["scenarios"]
    passed = [row["id"] for row in rows if row["result"] == "conforms" and not _has_advice(row)]
    warned = [row["id"] for row in rows if row["result"] == "conforms" and _has_advice(row)]
    failed = [row["id"] for row in rows if row["result"] in ("deviates", "known-failure")]
    predicate: dict[str, Any] = {
        "result": "FAILED" if failed else "WARNED" if warned else "PASSED",
        "configuration": [
            _suite(document["suite"]),
            _file(contract[0])
            | {"annotations": document["contract"] | {"asOf": document["as_of"]}},
            *(_file(file) for file in contract[1:]),
            _catalogue(rows),
            _run(document),
        ],
        "passedTests": passed,
        "warnedTests": warned,
        "failedTests": failed,
    }
    if url:
        predicate["url"] = url
    return {
        "_type": STATEMENT,
        "subject": list(_subjects(document["probe"])),
        "predicateType": TEST_RESULT,
        "predicate": predicate,
    }


def catalogue_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return what stands for all that was asked, and for what was expected: equal where both are.

    It is the SHA-256 of a line for each of the *rows* of a report: id, digest, verdicts.
    """
    lines = (f"{row['id']} {row['digest']} {','.join(row['expected'])}\n" for row in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def run_url(environment: Mapping[str, str]) -> str:
    """Return the address of the job that the *environment* of a pipeline names; empty for none."""
    for name in ("CI_JOB_URL", "BUILDKITE_BUILD_URL", "BUILD_URL"):
        if environment.get(name):
            return environment[name]
    parts = [
        environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")
    ]
    return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""


def _has_advice(row: Mapping[str, Any]) -> bool:
    return any(finding["level"] == "should" for finding in row["findings"])


def _subjects(probe: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Yield the image once for each digest that registries know it by."""
    seen: set[str] = set()
    for name in probe["repo_digests"]:
        repository, _, digest = name.rpartition("@")
        algorithm, _, value = digest.partition(":")
        if digest not in seen:
            seen.add(digest)
            annotations = {"imageId": probe["image_id"], "platform": probe["platform"]}
            yield {"name": repository, "digest": {algorithm: value}, "annotations": annotations}


def _suite(suite: Mapping[str, str]) -> dict[str, Any]:
    return {"name": "suite", "uri": f"pkg:pypi/{suite['name']}@{suite['version']}"}


def _file(file: Path) -> dict[str, Any]:
    held = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"name": f"contract {file.name}", "digest": {"sha256": held}}


def _catalogue(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    not_run = {row["id"]: row["reason"] for row in rows if row["result"] == "unsupported"}
    return {
        "name": "catalogue",
        "digest": {"sha256": catalogue_digest(rows)},
        "annotations": {"scenarios": len(rows), "notRun": not_run},
    }


def _run(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the image was run: a policy may want it as it stands."""
    probe, rows = document["probe"], document["scenarios"]
    algorithm, _, value = probe["image_id"].partition(":")
    told = ("command", "user", "isolation", "network", "capabilities", "memory", "engine")
    return {
        "name": "run",
        "digest": {algorithm: value},
        "annotations": {
            **{name: probe[name] for name in told},
            "started": document["started"],
            "strict": document["strict"],
            "agents": sorted({row["agent"] for row in rows}),
            "overridden": probe["overridden"],
            "variables": probe.get("variables", []),
            "allowWrites": probe.get("allow_writes", []),
            "knownFailures": [row["id"] for row in rows if row["result"] == "known-failure"],
        },
    }
