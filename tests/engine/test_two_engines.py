"""A run on two real engines: one of them is killed in the middle, and still every scenario is judged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
from factories import PATIENCE
from support_cli import suite
from support_engine import SecondEngine
from support_image import ours

from conformance.images.reference import copy

#: A worker on each engine has some of them, and one waits for a CLI that hangs.
SCENARIOS = ("claude/dot-*", "claude/n*", "claude/s*", "codex/e*", "cli/hangs")


@pytest.fixture
def second() -> Iterator[SecondEngine]:
    """Return an engine that is not started yet."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.skip("a second engine takes dockerd, and root")
    with SecondEngine() as engine:
        yield engine


def at_work(client: docker.DockerClient) -> bool:
    """Return whether a worker of a run of ours has something there."""
    label = {"label": "probe-conformance.worker"}
    found = client.api.containers(all=True, filters=label)
    return any(one["Labels"]["probe-conformance.worker"].startswith("gw") for one in found)


@pytest.mark.in_turn(8)
def test_an_engine_that_is_killed_in_the_middle_costs_no_scenario(
    engine: docker.DockerClient, reference_image: str, second: SecondEngine, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "conformance", "run", "--image", reference_image]
    engines = ["--engine", "default", "--engine", second.name]
    with closing(second.start()) as there:
        copy(engine, there, reference_image)
        words = [*command, *engines, "-n", "2", "--json", "report.json", *SCENARIOS]
        with subprocess.Popen(
            words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            deadline = time.monotonic() + 3 * PATIENCE
            while not at_work(there):
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            second.end(signal.SIGKILL)
            printed = process.communicate(timeout=3 * PATIENCE)[0]

    report = json.loads((tmp_path / "report.json").read_text())
    assert (process.returncode, report["counts"]["conforms"]) == (0, len(report["scenarios"])), (
        printed
    )
    assert [one["engine"] for one in report["lost_engines"]] == [second.name]
    assert f"NOTE engine {second.name} answered no more: " in printed
    moved = {row["id"]: row for row in report["scenarios"] if row["moved"] is not None}
    assert sorted(moved) == sorted(report["lost_engines"][0]["scenarios"]) != []
    assert {(row["engine"], row["moved"]["engine"]) for row in moved.values()} == {
        ("default", second.name)
    }
    assert {row["engine"] for row in report["scenarios"]} <= {"default", second.name}
    assert ours(engine) == []
    # What the run had on the one that is gone is there again when that is, until somebody sweeps.
    with closing(second.start()) as there:
        assert ours(there) != []
        done = suite(tmp_path, "sweep", "--engine", second.name, "--engine", "default")
        assert (done.returncode, ours(there)) == (0, []), done.stderr
        assert f" on {second.name}\n" in done.stdout
