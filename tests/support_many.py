"""Runs of images that no engine has: a driver answers for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from factories import bundled_catalogue, exited, ran, unsupported

from conformance.catalogue.catalogue import select
from conformance.drivers.container.request import ImageRequest
from conformance.errors import CannotJudge
from conformance.judge.known_failures import KnownFailures
from conformance.model.contract import Contract
from conformance.model.outcome import Execution
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.run.assembly import Run, Shared
from conformance.run.conclusion import new_report
from conformance.run.many import Job, ManyRuns, Part
from conformance.run.request import RunRequest
from conformance.run.subject import Subject

PATTERNS = ("agent/unmapped", "claude/baseline-only", "claude/nested-session", "cli/hangs*")
DESCRIBED = {
    "kind": "image",
    "image": "x",
    "digest": "sha256:0",
    "repo_digests": [],
    "image_id": "sha256:" + "0" * 64,
    "platform": "linux/amd64",
    "engine": "docker 1",
    "command": ["/entry"],
    "overridden": [],
    "user": "1:1",
    "home": "/home/agent",
    "isolation": "fresh",
    "network": "cut",
    "capabilities": "dropped",
    "memory": "1g",
    "notes": [],
}


class Answers:
    """A driver whose probe is right, but for what a test says."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name

    def execute(
        self, scenario: Scenario, contract: Contract, context: Context, number: int = 0
    ) -> Execution:
        self.world.log.append((self.name, scenario.id))
        self.world.before(self.name, scenario)
        if (self.name, scenario.id) in self.world.lacking:
            return ran(unsupported("the image lacks it"))
        wrong = (self.name, scenario.id) in self.world.wrong
        code = 1 if wrong else min(scenario.codes(contract))
        return ran(exited(code))

    def describe(self) -> dict[str, Any]:
        digests = self.world.digests.get(self.name, [])
        return {**DESCRIBED, "image": self.name, "repo_digests": digests}

    def close(self) -> None:
        self.world.closed.append(self.name)


class World:
    """Opens runs as tests want them, and writes down what happens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log: list[tuple[str, str]] = []
        self.closed: list[str] = []
        self.open: list[str] = []
        self.most_open = 0
        self.wrong: set[tuple[str, str]] = set()
        self.lacking: set[tuple[str, str]] = set()
        self.missing: set[str] = set()
        self.before: Callable[[str, Scenario], None] = lambda name, scenario: None
        self.ended: list[tuple[str, int | None]] = []
        self.requests: dict[str, RunRequest] = {}
        self.digests: dict[str, list[str]] = {}

    @contextmanager
    def open_run(self, subject: Subject) -> Iterator[Run]:
        image = subject.request.image
        assert image is not None
        if image.reference in self.missing:
            raise CannotJudge(f"no image '{image.reference}' on this engine")
        self.open.append(image.reference)
        self.requests[image.reference] = subject.request
        self.most_open = max(self.most_open, len(self.open))
        place = self.directory / image.reference
        place.mkdir(parents=True, exist_ok=True)
        shared = Shared(
            request=subject.request,
            argv=(),
            now=1.0,
            seed="s",
            directory=str(place),
            facts=(),
        )
        yield Run(subject, shared, cast(Any, Answers(self, image.reference)))
        self.open.remove(image.reference)

    def runs(self, *names: str, patterns: tuple[str, ...] = PATTERNS, **options: Any) -> ManyRuns:
        """Return runs of images with these *names*, in this process."""
        jobs = [Job(name, subject(name, patterns), new_report) for name in names]

        def ended(part: Part) -> None:
            self.ended.append((part.job.name, part.status()))

        options = {"on_result": lambda got: None, "on_end": ended, **options}
        return ManyRuns(jobs, 0, **options)


def subject(name: str, patterns: tuple[str, ...]) -> Subject:
    request = RunRequest(cwd="/", probe=ImageRequest(reference=name), patterns=patterns)
    catalogue = bundled_catalogue()
    slot = catalogue.contracts["slot"]
    selected = tuple(select(catalogue, patterns, slot))
    return Subject(request, slot, catalogue, selected, KnownFailures({}))
