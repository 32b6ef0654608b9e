"""Runs over the whole catalogue. They take long, so tests share what the reference probes answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support_cli import environment, suite
from support_image import Once

TIMEOUT = 600


def run(
    directory: Path, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run scenarios; return how that ended, and the JSON report."""
    done = suite(directory, "run", "-n", "2", "--json", "report.json", *arguments, timeout=TIMEOUT)
    return done, json.loads((directory / "report.json").read_text())


def conforms_fully(directory: Path, *arguments: str) -> dict[str, Any]:
    """Make sure that a probe conforms in the whole catalogue, as far as this system can hold it; return the report."""
    done, report = run(directory, *arguments)

    failed = {
        row["id"]: row["findings"] or row["reason"]
        for row in report["scenarios"]
        if row["result"] != "conforms"
    }
    unsupported = {row["id"] for row in report["scenarios"] if row["result"] == "unsupported"}
    assert {id_: words for id_, words in failed.items() if id_ not in unsupported} == {}
    assert (done.returncode, report["conformant"]) == (0, True)
    assert [row["id"] for row in report["scenarios"] if row["id"].startswith("container/")] == []
    assert len(report["scenarios"]) >= 90
    assert report["counts"]["conforms"] >= 90
    return report


def reference_report(once: Once, directory: Path, contract: str) -> dict[str, Any]:
    """Return the report of the reference probe in the whole catalogue, in which it conforms.

    Whoever asks first runs it.
    """
    return dict(
        once(
            f"reference-{contract}",
            lambda: conforms_fully(directory, "--contract", contract),
        )
    )


#: Runs the suite in one process, and prints by how many KiB its peak has grown since a small scenario.
PEAK = """
import resource, sys
from conformance.cli import main

def peak(*ids):
    try:
        main(["run", "-n", "0", *sys.argv[1:], *ids])
    except SystemExit as e:
        assert e.code == 0, e.code
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak("run-result/done")
print(peak("run-result/large/many-lines", "run-result/large/long-line-alone") - before)
"""


def growth(directory: Path, *words: str) -> int:
    """Return by how many KiB the suite's own peak of memory grows with logs of 100 MB, run with *words*."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *words],
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[-1])
