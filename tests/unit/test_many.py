"""Several runs as one: order, ends and interrupts, with a driver that runs nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from factories import wait_for
from msgspec.structs import replace
from support_many import PATTERNS, World, subject

from conformance.compare.several_report import Several
from conformance.errors import CannotJudge, UsageError
from conformance.model.scenario import Scenario
from conformance.run import many
from conformance.run.assembly import Run
from conformance.run.many import ManyRuns, Part
from conformance.run.subject import Subject


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(many, "open_run", made.open_run)
    return made


def ids(part: Part) -> dict[str, str]:
    assert part.report is not None
    return {result.id: result.result for result in part.report.results()}


def test_each_is_judged_as_a_run_of_its_own(world: World) -> None:
    world.wrong = {("b", "agent/unmapped")}
    runs = world.runs("a", "b", "c")

    runs.execute()

    selected = [scenario.id for scenario in subject("a", PATTERNS).selected]
    right = dict.fromkeys(selected, "conforms")
    assert [ids(part) for part in runs.parts] == [
        right,
        {**right, "agent/unmapped": "deviates"},
        right,
    ]
    assert sorted(world.ended) == [("a", 0), ("b", 1), ("c", 0)]
    assert Several(runs.parts).exit_status() == 1
    assert world.open == []
    assert sorted(set(world.closed)) == ["a", "b", "c"]


def test_the_now_of_each_is_when_it_begins(world: World) -> None:
    """It may have been opened minutes before, and a login may have only two to live."""
    runs = world.runs("a", "b")

    runs.execute()

    opened = 1.0
    assert all(part.report is not None and part.report.now > opened for part in runs.parts)
    assert all(part.run is not None and part.run.runner.context.now > opened for part in runs.parts)


def test_no_more_are_open_at_a_time_than_are_needed(world: World) -> None:
    runs = world.runs(*"abcdefgh", patterns=("agent/unmapped",))

    runs.execute()

    assert [name for name, _ in world.ended] == [*"abcdefgh"]
    assert 1 <= world.most_open <= many._OPEN


def test_the_next_begins_while_the_last_scenarios_of_one_wait(world: World) -> None:
    go_on = threading.Event()
    others: list[str] = []

    def before(name: str, scenario: Scenario) -> None:
        if name == "a" and scenario.takes_long:
            assert go_on.wait(30)
        if name == "b" and not scenario.takes_long:
            others.append(scenario.id)
            go_on.set()

    world.before = before
    runs = world.runs("a", "b")

    runs.execute()

    assert others
    assert [status for _, status in world.ended] == [0, 0]


def test_an_image_that_is_not_there_does_not_keep_others_from_running(world: World) -> None:
    world.missing = {"b"}
    runs = world.runs("a", "b", "c")

    runs.execute()

    several = Several(runs.parts)
    # Its last scenarios may still wait when it is known that the second is not there.
    assert sorted(world.ended) == [("a", 0), ("b", 3), ("c", 0)]
    assert several.exit_status() == 3
    document = several.document({"a": {"json": "a.json"}, "b": {"json": "b.json"}})
    rows = {run["name"]: run for run in document["runs"]}
    assert rows["b"]["trouble"] == ["no image 'b' on this engine"]
    assert (rows["b"]["conformant"], rows["b"]["files"]) == (False, {})
    assert (rows["a"]["conformant"], rows["a"]["files"]) == (True, {"json": "a.json"})


@pytest.mark.parametrize(
    ("error", "status"), [(UsageError("neither entrypoint nor command"), 2), (CannotJudge("x"), 3)]
)
def test_the_exit_status_is_the_worst(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    @contextmanager
    def refused(found: Subject) -> Iterator[Run]:
        if found.request.image is not None and found.request.image.reference == "b":
            raise error
        with world.open_run(found) as run:
            yield run

    monkeypatch.setattr(many, "open_run", refused)
    world.wrong = {("a", "agent/unmapped")}
    runs = world.runs("a", "b", patterns=("agent/unmapped",))

    runs.execute()

    assert [part.status() for part in runs.parts] == [1, status]
    assert Several(runs.parts).exit_status() == status


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let this process be interrupted, also where a shell has started it in the background, which ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_at(world: World, runs: ManyRuns, name: str, id_: str) -> None:
    def before(image: str, scenario: Scenario) -> None:
        if (image, scenario.id) == (name, id_):
            wait_for(lambda: ("a", 0) in world.ended, "the first to have ended")
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            wait_for(lambda: runs.interrupted, "the interrupt to arrive")

    world.before = before


def test_an_interrupt_keeps_what_has_ended(world: World) -> None:
    runs = world.runs("a", "b", "c", "d")
    interrupt_at(world, runs, "b", "claude/baseline-only")

    runs.execute()

    assert runs.interrupted
    assert world.ended == [("a", 0), ("b", 130)]
    first, second, third, _ = runs.parts
    assert set(ids(first).values()) == {"conforms"}
    assert second.report is not None
    assert second.report.interrupted
    assert (third.status(), third.trouble()) == (None, ["it did not get its turn"])
    assert Several(runs.parts, interrupted=True).exit_status() == 130
    assert world.open == [], "something is left"


def test_exitfirst_ends_everything_at_the_first_that_is_wrong(world: World) -> None:
    world.wrong = {("b", "agent/unmapped")}
    runs = world.runs("a", "b", "c", "d", exitfirst=True)

    runs.execute()

    first, second, _, last = runs.parts
    assert runs.stopped
    assert not runs.interrupted
    assert (first.status(), second.status(), last.status()) == (0, 1, None)
    assert second.report is not None
    assert "claude/nested-session" in second.report.left_out | set(ids(second))
    assert Several(runs.parts).exit_status() == 1
    assert world.open == []


def test_exitfirst_leaves_no_report_of_what_was_asked_nothing(world: World) -> None:
    """It would say that nothing could be judged, which is worse than what was found."""
    runs = world.runs("a", "b", exitfirst=True)
    long = next(scenario for scenario in subject("a", PATTERNS).selected if scenario.takes_long)
    begun = threading.Event()

    def before(name: str, scenario: Scenario) -> None:
        if name == "b":
            begun.set()
            wait_for(lambda: runs.stopped, "the end")
        elif scenario.id == long.id:
            assert begun.wait(30)

    world.before = before
    world.wrong = {("a", long.id)}

    runs.execute()

    assert [part.status() for part in runs.parts] == [1, None]
    assert Several(runs.parts).exit_status() == 1


def test_a_fault_of_ours_ends_everything_and_is_seen(world: World) -> None:
    def before(name: str, scenario: Scenario) -> None:
        raise ZeroDivisionError("ours")

    world.before = before
    runs = world.runs("a", "b", patterns=("agent/unmapped",))

    with pytest.raises(ZeroDivisionError, match="ours"):
        runs.execute()

    assert world.open == []


def test_a_part_without_scenarios_ends_at_once(world: World) -> None:
    runs = world.runs("a", "b", patterns=("agent/unmapped",))
    runs.parts[0].job = replace(
        runs.parts[0].job, subject=replace(runs.parts[0].job.subject, selected=())
    )

    runs.execute()

    assert [name for name, _ in world.ended] == ["a", "b"]
    assert runs.parts[0].status() == 3, "nothing was judged"
