"""An image on several engines: who gets which scenario, and what becomes of an engine that is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import image_facts, scenario
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.drivers.container.client import EngineLost
from conformance.drivers.container.driver import ContainerDriver
from conformance.drivers.container.engines import Engine, EnginePool, loads, next_engine
from conformance.drivers.container.facts import check_alike
from conformance.drivers.container.labels import Labels
from conformance.drivers.container.reach import on_each
from conformance.drivers.container.request import ImageFacts, ImageRequest
from conformance.errors import CannotJudge, ConformanceError, ManyErrors, UsageError
from conformance.judge.judge import judge
from conformance.model.outcome import (
    Broke,
    Execution,
    Exited,
    LostEngine,
    Moved,
    Outcome,
    ScenarioResult,
    lost_engines,
    not_run,
)
from conformance.model.placeholders import Context
from conformance.model.wording import lost_note

SLOT = contracts.load("slot")
CONTEXT = Context(now=0, seed="")
GONE = EngineLost("the container engine was lost: Connection refused", hint="see that it runs")


class Driver:
    """A driver on an engine that is lost after so many scenarios; with none left, it answers for ever."""

    def __init__(self, left: int = -1, code: int = 0) -> None:
        self.lost: CannotJudge | None = None
        self.asked: list[str] = []
        self.closed = False
        self._left, self._code = left, code

    def execute(self, scenario: Any, *_: Any) -> Execution:
        self.asked.append(scenario.id)
        if self._left == 0:
            self.lost = GONE
        self._left -= 1
        return answer(self._code) if self.lost is None else not_run(Broke(str(self.lost)))

    def close(self) -> None:
        self.closed = True


def answer(code: int) -> Execution:
    return Execution(outcome=Outcome(ending=Exited(code)))


def facts(name: str, took: float = 1.0, **fields: Any) -> ImageFacts:
    return image_facts(name=name, took=took, **fields)


def pool(worker: int = 0, took: tuple[float, ...] = (), **drivers: Driver) -> EnginePool:
    """Return a pool of engines that are called like their *drivers*, and each take so many seconds."""
    seconds = took or (1.0,) * len(drivers)

    def connect(driver: Driver) -> Callable[[], Any]:
        return lambda: driver

    engines = [
        Engine(facts(name, each), connect(driver))
        for (name, driver), each in zip(drivers.items(), seconds, strict=True)
    ]
    request = ImageRequest(reference="agent", engines=tuple(drivers))
    return EnginePool(request, engines, worker)


def run(pool: EnginePool, *ids: str) -> list[Execution]:
    return [pool.execute(scenario(id_=id_), SLOT, CONTEXT) for id_ in ids]


# Who gets which scenario


@pytest.mark.parametrize(
    ("seconds", "workers", "counts"),
    [
        ([1.0], 3, [3]),
        ([1.0, 1.0], 4, [2, 2]),
        ([1.0, 100.0], 2, [1, 1]),
        ([100.0, 1.0], 1, [0, 1]),
        ([1.0, 3.0], 4, [3, 1]),
        ([1.0, 3.0], 8, [6, 2]),
        ([2.0, 1.0, 4.0], 7, [2, 4, 1]),
    ],
)
def test_workers_spread_by_how_fast_engines_are(
    seconds: list[float], workers: int, counts: list[int]
) -> None:
    assert loads(seconds, workers) == counts


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=6), st.integers(0, 40))
def test_no_engine_is_idle_as_long_as_there_are_workers_for_all(
    seconds: list[float], workers: int
) -> None:
    counts = loads(seconds, workers)

    assert sum(counts) == workers
    assert sum(count > 0 for count in counts) == min(workers, len(seconds))
    for one, other in zip(seconds, counts, strict=True):  # a faster one never has fewer
        assert all(n <= other for s, n in zip(seconds, counts, strict=True) if s > one and s > 0)


def test_a_worker_keeps_to_its_engine_and_all_workers_together_use_all() -> None:
    used = []
    for worker in range(4):
        fast, slow = Driver(), Driver()
        run(pool(worker, (1.0, 3.0), fast=fast, slow=slow), "a/b", "a/c", "a/d")
        assert [] in (fast.asked, slow.asked)
        used.append("fast" if fast.asked else "slow")

    assert used == ["fast", "slow", "fast", "fast"]


def test_a_process_with_several_threads_spreads_what_they_run() -> None:
    meeting = threading.Barrier(2, timeout=20)

    class Waits(Driver):
        def execute(self, scenario: Any, *arguments: Any) -> Execution:
            meeting.wait()  # both are at work, or neither goes on
            return super().execute(scenario, *arguments)

    one, two = Waits(), Waits()
    several = pool(one=one, two=two)
    threads = [threading.Thread(target=run, args=(several, id_)) for id_ in ("a/b", "a/c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(one.asked), len(two.asked)) == (1, 1)


def test_a_scenario_that_is_repeated_stays_where_it_was() -> None:
    """Where two engines differ, the probe would seem to be unsteady."""
    one, two = Driver(), Driver()
    several = pool(took=(1.0, 2.0), one=one, two=two)
    run(several, "a/b")
    several._engines[0].running = 5  # by now the other one would be next

    run(several, "a/b")
    assert (one.asked, two.asked) == (["a/b", "a/b"], [])
    run(several, "a/c")
    assert (one.asked, two.asked) == (["a/b", "a/b"], ["a/c"])


# An engine that is lost


def test_what_was_at_work_on_a_lost_engine_runs_once_on_another_and_says_so() -> None:
    dies, lives = Driver(left=1), Driver()
    executions = run(pool(took=(1.0, 2.0), dies=dies, lives=lives), "a/b", "a/c", "a/d")

    moved = Moved(engine="dies", reason="the container engine was lost: Connection refused")
    assert [one.outcome.code for one in executions] == [0, 0, 0]
    assert [one.engine for one in executions] == ["dies", "lives", "lives"]
    assert [one.moved for one in executions] == [None, moved, None]
    assert (dies.asked, lives.asked) == (["a/b", "a/c"], ["a/c", "a/d"])


def test_a_scenario_in_which_two_engines_are_lost_takes_no_third() -> None:
    """It may be what ends them."""
    first, second, third = Driver(left=0), Driver(left=0), Driver()
    several = pool(took=(1.0, 2.0, 3.0), first=first, second=second, third=third)
    [execution] = run(several, "a/b")

    assert isinstance(execution.outcome.ending, Broke)
    assert execution.outcome.ending.reason == (
        "two engines were lost in it, first and second: "
        "the container engine was lost: Connection refused"
    )
    assert third.asked == []
    assert [one.engine for one in run(several, "a/c")] == ["third"]


def test_with_no_engine_left_nothing_is_judged() -> None:
    several = pool(one=Driver(left=0))
    first, second = run(several, "a/b", "a/c")

    assert (
        first
        == second
        == not_run(
            Broke("no engine is left: one: the container engine was lost: Connection refused")
        )
    )


def test_an_answer_that_came_before_the_engine_was_lost_counts() -> None:
    """Another thread has noticed the loss in the meantime."""

    class Noticed(Driver):
        def execute(self, scenario: Any, *arguments: Any) -> Execution:
            execution = super().execute(scenario, *arguments)
            self.lost = GONE
            return execution

    one, two = Noticed(), Driver()
    [execution] = run(pool(took=(1.0, 2.0), one=one, two=two), "a/b")

    assert (execution.outcome.code, execution.engine, execution.moved) == (0, "one", None)
    assert two.asked == []


def test_an_engine_that_a_worker_cannot_reach_any_more_is_lost() -> None:
    def refuse() -> Any:
        raise CannotJudge("no container engine at unix:///one", hint="start it")

    two = Driver()
    engines = [Engine(facts("one"), refuse), Engine(facts("two"), lambda: two)]  # type: ignore[arg-type,return-value]
    several = EnginePool(ImageRequest(reference="agent"), engines)

    [execution] = run(several, "a/b")
    several.close()

    assert execution.engine == "two"
    assert execution.moved == Moved(engine="one", reason="no container engine at unix:///one")
    assert two.closed


def test_reports_say_where_a_scenario_ran_and_where_it_came_from() -> None:
    moved = Moved(engine="one", reason="gone")
    seen = [
        replace(answer(0), engine="one"),
        replace(answer(0), engine="two", moved=moved),
        replace(answer(0), engine="two"),
    ]
    result = judge(scenario(expect={"slot": ("ready",)}), SLOT, seen, {})

    assert (result.engine, result.moved, result.result) == ("one, two", moved, "conforms")


def test_a_note_says_what_became_of_a_lost_engine() -> None:
    def row(id_: str, engine: str) -> ScenarioResult:
        came = Moved(engine=engine, reason="gone") if engine else None
        return ScenarioResult(id=id_, agent="claude", expected=(), moved=came)

    rows = [row("a/b", ""), row("a/c", "one"), row("a/d", "two"), row("a/e", "one")]
    found = lost_engines(rows)

    assert found == [
        LostEngine(engine="one", reason="gone", scenarios=("a/c", "a/e")),
        LostEngine(engine="two", reason="gone", scenarios=("a/d",)),
    ]
    assert [lost_note(one) for one in found] == [
        "engine one answered no more: 2 scenarios were run again on another, such as a/c (gone); "
        "what is left there goes with 'probe-conformance sweep --engine one'",
        "engine two answered no more: 1 scenario was run again on another, such as a/d (gone); "
        "what is left there goes with 'probe-conformance sweep --engine two'",
    ]


# What a driver takes for the loss of its engine


class Api:
    timeout = 20


class Client:
    """An engine that answers so many times whether it is there."""

    def __init__(self, alive: bool) -> None:
        self.api = Api()
        self.alive = alive
        self.pings = 0

    def ping(self) -> bool:
        self.pings += 1
        if not self.alive:
            raise ConnectionRefusedError(111, "Connection refused")
        return True


def driver(client: Client, seen: Execution | Exception) -> ContainerDriver:
    """Return a driver that sees this of every scenario."""

    class Sees(ContainerDriver):
        def _execute(self, *_: Any, **__: Any) -> Execution:
            if isinstance(seen, Exception):
                raise seen
            return seen

    labels = Labels("run-0", Path("/run/lock"), "main")
    return Sees(client, ImageRequest(reference="agent"), image_facts(), labels)  # type: ignore[arg-type]


READY = scenario(expect={"slot": ("ready",)})


def test_a_right_answer_costs_no_question_to_the_engine() -> None:
    client = Client(alive=True)
    assert driver(client, answer(0)).execute(READY, SLOT, CONTEXT).outcome.code == 0
    assert client.pings == 0


@pytest.mark.parametrize("code", [143, 137, 1, 64])
def test_a_wrong_answer_of_an_engine_that_is_gone_is_none(code: int) -> None:
    """What stops an engine ends its containers as well."""
    alive, gone = Client(alive=True), Client(alive=False)

    assert driver(alive, answer(code)).execute(READY, SLOT, CONTEXT).outcome.code == code
    lost = driver(gone, answer(code))
    reason = "the container engine was lost: Connection refused; see that it runs, then start again"
    for _ in range(2):
        assert lost.execute(READY, SLOT, CONTEXT) == not_run(Broke(reason))
    assert lost.lost is not None
    assert gone.pings == 1


@pytest.mark.parametrize(
    "error", [CannotJudge("the shell in the container has ended"), ConnectionError("broken pipe")]
)
def test_what_breaks_is_the_engines_loss_only_if_that_is_gone(error: Exception) -> None:
    there = driver(Client(alive=True), error)
    [ending] = [there.execute(READY, SLOT, CONTEXT).outcome.ending]
    assert (ending, there.lost) == (Broke(str(error)), None)

    gone = driver(Client(alive=False), error)
    gone.execute(READY, SLOT, CONTEXT)
    assert gone.lost is not None


# Which engines take part


def test_an_engine_on_which_it_cannot_be_done_is_left_out_and_named() -> None:
    def work(where: str) -> str:
        if where == "b":
            raise CannotJudge("no image 'agent' on this engine", hint="build it there")
        return where.upper()

    left_out: list[str] = []
    assert on_each({"one": "a", "two": "b", "three": "c"}, work, left_out) == ["A", "C"]
    assert left_out == ["engine two is left out: no image 'agent' on this engine"]


def test_where_it_can_be_done_on_none_each_says_why() -> None:
    def work(where: str) -> str:
        raise CannotJudge(f"no image on {where}", hint="build it")

    with pytest.raises(ManyErrors) as caught:
        on_each({"one": "a", "b": "b"}, work, [])
    assert caught.value.exit_status == 3
    assert caught.value.lines() == [
        "engine one: no image on a; build it",
        "no image on b; build it",
    ]
    with pytest.raises(CannotJudge) as alone:
        on_each({"": "a"}, work, [])
    assert alone.value.lines() == ["no image on a; build it"]


def test_a_request_that_is_wrong_is_no_matter_of_one_engine() -> None:
    def work(where: str) -> str:
        raise UsageError("there is no docker context 'two'")

    with pytest.raises(UsageError):
        on_each({"one": "a", "two": "b"}, work, [])


def test_many_mistakes_end_with_the_worst_status() -> None:
    wrong: list[ConformanceError] = [UsageError("a"), CannotJudge("b")]
    assert [ManyErrors(wrong[:1]).exit_status, ManyErrors(wrong).exit_status] == [2, 3]


DIGESTS = ("slot@sha256:1", "slot@sha256:2")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({}, ""),
        (
            {
                "id": "sha256:other",
                "repo_digests": (
                    "slot@sha256:2",
                    "slot@sha256:3",
                ),
            },
            "",
        ),
        (
            {"id": "sha256:other", "repo_digests": ("slot@sha256:3",)},
            "'agent' is not the same image on one and two; "
            "name it by its digest, or copy it with docker save and docker load",
        ),
        (
            {"platform": "linux/arm64"},
            "'agent' is for linux/amd64 and linux/arm64 on one and two; "
            "say with --platform which one is meant",
        ),
    ],
)
def test_a_name_has_to_stand_for_one_image(second: dict[str, Any], message: str) -> None:
    one = facts("one", repo_digests=DIGESTS, platform="linux/amd64")
    two = facts("two", **{"repo_digests": DIGESTS, "platform": "linux/amd64", **second})
    said = ""
    try:
        check_alike("agent", [one, one, two])
    except CannotJudge as e:
        said = str(e)
    assert said == message


def test_next_engine_takes_the_one_that_gets_to_it_first() -> None:
    assert next_engine([1.0, 1.0], [0, 0]) == 0
    assert next_engine([1.0, 1.0], [1, 0]) == 1
    assert next_engine([1.0, 5.0], [3, 1]) == 0
    assert next_engine([1.0, 5.0], [9, 1]) == 0
    assert next_engine([1.0, 5.0], [10, 1]) == 1
