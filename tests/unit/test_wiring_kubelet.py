"""The kubelet's arithmetic: each fact about its worker, and how a timeline shows it."""

from __future__ import annotations

import math

import pytest
from factories import refusal

from conformance.catalogue import contracts
from conformance.errors import UsageError
from conformance.wiring.check import check
from conformance.wiring.commands import Recogniser
from conformance.wiring.kubelet import (
    Answer,
    Event,
    ProbeKind,
    ProbeTimes,
    Worker,
    attempts,
    events,
)
from conformance.wiring.runs import Request, probe_times
from conformance.wiring.timeline import Timeline, read_behaviour, timelines, usual_behaviours
from conformance.wiring.tree import read_documents

SLOT = contracts.load("slot")
HANGS = Answer(0, math.inf)
USUAL = ProbeTimes()


def of(
    times: ProbeTimes, text: str, kind: ProbeKind = "startupProbe", limit: int = 50
) -> list[Event]:
    return list(events(times, read_behaviour(text).answers, kind, limit))


def spans(found: list[Event]) -> list[tuple[float, float]]:
    return [(event.at, event.until) for event in found]


def test_what_is_left_out_has_the_defaults_of_kubernetes() -> None:
    [document] = read_documents("x", "exec: {}\n")

    assert probe_times(document) == ProbeTimes(
        initial_delay=0, period=10, timeout=1, success=1, failure=3
    )


def test_zero_is_the_default_too() -> None:
    [document] = read_documents(
        "x", "timeoutSeconds: 0\nperiodSeconds: 0\nfailureThreshold: 0\nsuccessThreshold: 0"
    )

    assert probe_times(document) == USUAL


def test_with_one_second_a_probe_that_takes_two_never_starts_a_slot() -> None:
    found = of(USUAL, "0@2")

    assert [event.result for event in found] == ["failure"] * 3
    assert spans(found) == [(0, 1), (10, 11), (20, 21)]
    assert found[-1].worker.on_hold


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (Answer(0, 0.5), "success"),
        (Answer(0, 1.0), "failure"),
        (Answer(64, 0.5), "failure"),
        (Answer(65, 0.5), "failure"),
        (Answer(1, 0.5), "failure"),
        (HANGS, "failure"),
        (Answer(None, 0.5), None),
    ],
)
def test_only_zero_and_not_zero_arrive(answer: Answer, result: str | None) -> None:
    """64, 65 and 66 are the same to the Pod's state."""
    assert answer.result(timeout=1) == result


def test_an_error_of_the_kubelet_counts_neither_way() -> None:
    before = Worker("failure", 2)

    assert before.after(None, USUAL, "startupProbe") == before
    assert len(of(USUAL, "1x2,errorx3,1")) == 6  # two, three that do not count, the third


def test_thresholds_count_equal_results_in_a_row() -> None:
    found = of(USUAL, "1x2,0,1x2,0,1", "livenessProbe")

    assert [event.worker.run for event in found] == [1, 2, 1, 1, 2, 1, 1, 2, 0]
    assert [event.worker.on_hold for event in found] == [False] * 8 + [True]


def test_below_the_threshold_the_state_stays_as_it_was() -> None:
    ready = Worker("success", 1, state="success")
    once = ready.after("failure", USUAL, "readinessProbe")
    twice = once.after("failure", USUAL, "readinessProbe")

    assert (once.state, twice.state) == ("success", "success")
    assert twice.after("failure", USUAL, "readinessProbe").state == "failure"


def test_successes_have_a_threshold_as_well() -> None:
    times = ProbeTimes(success=2)
    once = Worker().after("success", times, "readinessProbe")

    assert once.state is None
    assert once.after("success", times, "readinessProbe").state == "success"


@pytest.mark.parametrize("kind", ["startupProbe", "livenessProbe"])
def test_a_failed_startup_or_liveness_probe_waits_for_a_new_container(kind: ProbeKind) -> None:
    times = ProbeTimes(failure=1)
    held = Worker().after("failure", times, kind)

    assert held == Worker("failure", 0, on_hold=True, state="failure")
    assert held.after("success", times, kind) == held
    assert not held.asks(kind, started=kind == "livenessProbe")


def test_a_failed_readiness_probe_kills_nothing() -> None:
    found = of(USUAL, "1", "readinessProbe", limit=8)

    assert len(found) == 8
    assert not found[-1].worker.on_hold
    assert found[-1].worker.state == "failure"


def test_other_probes_wait_until_the_container_has_started() -> None:
    worker = Worker()

    assert [
        worker.asks(kind, started=False)
        for kind in ("startupProbe", "livenessProbe", "readinessProbe")
    ] == [
        True,
        False,
        False,
    ]


def test_a_startup_probe_is_not_asked_again_once_the_container_has_started() -> None:
    assert [
        Worker().asks(kind, started=True)
        for kind in ("startupProbe", "livenessProbe", "readinessProbe")
    ] == [
        False,
        True,
        True,
    ]
    assert len(of(USUAL, "0@0.5")) == 1


def test_the_first_attempt_is_at_once() -> None:
    assert attempts(USUAL, [0.5, 0.5, 0.5]) == [0, 10, 20]


def test_the_delay_is_looked_at_when_the_clock_ticks() -> None:
    assert attempts(ProbeTimes(initial_delay=5), [1, 1]) == [10, 20]
    assert attempts(ProbeTimes(initial_delay=20), [1, 1]) == [20, 30]
    assert attempts(ProbeTimes(initial_delay=21), [1]) == [30]


def test_a_probe_that_takes_longer_than_the_period_is_asked_again_at_once() -> None:
    """One tick is kept; more are dropped, so attempts never overlap and none is made up for."""
    assert attempts(ProbeTimes(timeout=20), [12, 3, 1, 1]) == [0, 12, 20, 30]
    assert attempts(ProbeTimes(timeout=60), [25, 1, 1]) == [0, 25, 30]
    assert attempts(ProbeTimes(timeout=60), [10, 10]) == [0, 10]


def test_a_probe_that_hangs_takes_its_timeout_each_time() -> None:
    found = of(ProbeTimes(timeout=15), "hang")

    assert spans(found) == [(0, 15), (15, 30), (30, 45)]


def pod(more: str) -> str:
    return (
        "kind: Pod\nmetadata: {name: slot}\nspec:\n  terminationGracePeriodSeconds: 5\n  containers:\n"
        "    - name: agent\n      startupProbe:\n        exec: {command: [/opt/probe]}\n"
        f"        {more}\n"
    )


def timeline(more: str, text: str) -> Timeline:
    request = Request(contract=SLOT, recogniser=Recogniser())
    found = check(read_documents("pod.yaml", pod(more)), request)
    [shown], notes = timelines(found.subjects, [read_behaviour(text)])
    assert notes == []
    return shown


def test_a_timeline_shows_a_start() -> None:
    assert list(timeline("timeoutSeconds: 15", "65x2,0@12").lines()) == [
        "     0 s  1st attempt; at 0.5 s it exits 65: failure 1 of 3",
        "    10 s  2nd attempt; at 10.5 s it exits 65: failure 2 of 3",
        "    20 s  3rd attempt; at 32 s it exits 0: success 1 of 1",
        "          started after 32 s; liveness and readiness probes begin now",
    ]


def test_a_timeline_shows_an_end() -> None:
    shown = timeline("terminationGracePeriodSeconds: 3", "0@12")

    assert shown.outcome == "killed"
    assert list(shown.lines()) == [
        "     0 s  1st attempt; at 1 s timeoutSeconds ends it: failure 1 of 3",
        "    10 s  2nd attempt; at 11 s timeoutSeconds ends it: failure 2 of 3",
        "    20 s  3rd attempt; at 21 s timeoutSeconds ends it: failure 3 of 3",
        "          killed after 21 s, with 3 s to end by itself; the next container begins anew, at once, then "
        "after 10 s, 20 s, … 5 min",
    ]
    assert timeline("periodSeconds: 10", "0@12").grace == 5


def test_what_is_never_restarted_has_no_next_container() -> None:
    text = pod("periodSeconds: 10").replace(
        "\n  containers:", "\n  restartPolicy: Never\n  containers:"
    )
    found = check(read_documents("pod.yaml", text), Request(contract=SLOT, recogniser=Recogniser()))
    [shown], _ = timelines(found.subjects, [read_behaviour("65")])

    assert shown.outcome == "killed"
    assert list(shown.lines())[-1].endswith("; restartPolicy Never: no other container begins")


def test_a_timeline_shows_attempts_that_do_not_count() -> None:
    lines = list(timeline("timeoutSeconds: 15", "error,0").lines())

    assert lines[0] == "     0 s  1st attempt; the kubelet cannot run it, and counts nothing"
    assert lines[1] == "    10 s  2nd attempt; at 10.5 s it exits 0: success 1 of 1"


def test_of_many_attempts_the_middle_is_left_out() -> None:
    lines = list(timeline("failureThreshold: 30", "65").lines())

    assert lines[3] == "     …    24 more attempts"
    assert [line.split()[2] for line in lines if " attempt;" in line] == [
        "1st",
        "2nd",
        "3rd",
        "28th",
        "29th",
        "30th",
    ]


def test_errors_for_ever_decide_nothing() -> None:
    shown = timeline("failureThreshold: 1", "error")

    assert shown.outcome == "undecided"
    assert list(shown.lines())[-1].strip().startswith("undecided after")


def test_a_probe_whose_numbers_are_not_known_has_no_timeline() -> None:
    request = Request(contract=SLOT, recogniser=Recogniser())
    found = check(read_documents("pod.yaml", pod('timeoutSeconds: "${T}"')), request)

    shown, notes = timelines(found.subjects, usual_behaviours(SLOT))

    assert shown == []
    assert notes == [
        "Pod slot: startupProbe of agent: no timeline, because its numbers are wrong or not known"
    ]


def test_usual_behaviours_are_late_refusing_and_silent() -> None:
    late, twice, hangs = (each.answers for each in usual_behaviours(SLOT))

    assert late == (Answer(0, 12.0),)
    assert twice == (Answer(65, 0.5), Answer(65, 0.5), Answer(0, 0.5))
    assert hangs == (HANGS,)
    assert USUAL.timeout < late[0].seconds < SLOT.limits.seconds


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("0", [Answer(0, 0.5)]),
        ("0@12", [Answer(0, 12.0)]),
        ("65@0.5x2,0", [Answer(65, 0.5), Answer(65, 0.5), Answer(0, 0.5)]),
        ("hang", [HANGS]),
        (" error , 1 ", [Answer(None, 0.5), Answer(1, 0.5)]),
    ],
)
def test_a_behaviour_is_written_in_short(text: str, answers: list[Answer]) -> None:
    assert list(read_behaviour(text).answers) == answers


@pytest.mark.parametrize("text", ["", "x", "256", "0@", "0@-1", "0x0", "0,,1", "hang hang", "٣"])
def test_what_is_no_behaviour_is_refused(text: str) -> None:
    assert "is no behaviour" in refusal(UsageError, read_behaviour, text)
