"""Workers that serve one run after the other: they start once, and one that is lost takes nothing along."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from conformance.model.outcome import ScenarioResult
from conformance.run.conclusion import new_report
from conformance.run.many import Job, ManyRuns, Part
from conformance.run.request import Command, RunRequest
from conformance.run.subject import check
from conformance.run.worker_process import Unjudged

IDS = ("agent/unmapped", "claude/baseline-only", "claude/nested-session", "codex/empty")


def jobs(tmp_path: Path, *codes: int) -> list[Job]:
    """Return a run for each of *codes*, which is what its probe answers."""
    return [
        Job(f"exit-{code}", check(request), new_report)
        for code in codes
        for request in [
            RunRequest(cwd=str(tmp_path), probe=Command(f"sh -c 'exit {code}'"), patterns=IDS)
        ]
    ]


def answers(part: Part) -> dict[str, int | None]:
    assert part.report is not None
    return {result.id: result.code for result in part.report.results()}


@pytest.mark.in_turn(2)
def test_the_same_worker_joins_one_run_after_the_other(tmp_path: Path) -> None:
    seen: set[int] = set()
    runs = ManyRuns(
        jobs(tmp_path, 0, 65),
        1,
        on_result=lambda got: seen.update(child.pid for child in workers()),
        on_end=lambda part: None,
    )

    runs.execute()

    assert [set(answers(part).values()) for part in runs.parts] == [{0}, {65}]
    assert len(seen) == 1
    assert workers() == []


@pytest.mark.in_turn(2)
def test_a_worker_that_is_lost_takes_one_scenario_along(tmp_path: Path) -> None:
    got: list[ScenarioResult | Unjudged] = []

    def lose(result: ScenarioResult | Unjudged) -> None:
        got.append(result)
        if len(got) == 1:
            for child in workers():
                child.kill()

    runs = ManyRuns(jobs(tmp_path, 0, 65), 1, on_result=lose, on_end=lambda part: None)

    runs.execute()

    first, second = runs.parts
    assert first.report is not None
    broke = [r.reason for r in first.report.results() if r.result == "broke"]
    assert broke == ["the worker was lost"]
    assert first.status() == 3
    assert (set(answers(second).values()), second.status()) == ({65}, 1)


def workers() -> list[psutil.Process]:
    """Return the worker processes of this one: what the server of forks has started for it."""
    here = psutil.Process()
    servers = [child for child in here.children() if "forkserver" in " ".join(child.cmdline())]
    return [child for server in servers for child in server.children()]
