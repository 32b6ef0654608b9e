"""What the kubelet does with a probe's answers: its worker, as a pure function of time.

A worker of its own asks each probe of each container. It looks at once and then at each tick of a
clock with the probe's period, which holds back one tick while the probe runs and drops others.
The container is taken to start with the first tick; on a node it starts up to a period earlier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

__all__ = ["DEFAULTS", "Answer", "Event", "ProbeKind", "ProbeTimes", "Worker", "attempts", "events"]

ProbeKind = Literal["startupProbe", "livenessProbe", "readinessProbe"]
Result = Literal["success", "failure"]

#: What Kubernetes fills in for what is left out, or is 0.
DEFAULTS = {
    "initialDelaySeconds": 0,
    "periodSeconds": 10,
    "timeoutSeconds": 1,
    "successThreshold": 1,
    "failureThreshold": 3,
}


class ProbeTimes(Struct, frozen=True, kw_only=True):
    """The numbers of a probe; seconds and counts."""

    initial_delay: int = DEFAULTS["initialDelaySeconds"]
    period: int = DEFAULTS["periodSeconds"]
    timeout: int = DEFAULTS["timeoutSeconds"]
    success: int = DEFAULTS["successThreshold"]
    failure: int = DEFAULTS["failureThreshold"]


class Answer(Struct, frozen=True):
    """How a probe behaves when it is run once."""

    code: int | None = 0
    """The exit code; None if the probe cannot be started at all."""
    seconds: float = 0.0
    """After which it ends; infinite for one that hangs."""

    def result(self, timeout: float) -> Result | None:
        """Return what the kubelet makes of it; None for what it throws away: an error of its own.

        What takes as long as the timeout is ended, whatever it was about to say.
        """
        if self.code is None:
            return None
        if self.seconds >= timeout:
            return "failure"
        return "success" if self.code == 0 else "failure"


class Worker(Struct, frozen=True):
    """What the kubelet's worker keeps between two attempts."""

    last: Result | None = None
    run: int = 0
    """How many equal results there were in a row."""
    on_hold: bool = False
    """Whether it waits for a new container."""
    state: Result | None = None
    """What the Pod's state says of the probe; None until a threshold is reached."""

    def after(self, result: Result | None, times: ProbeTimes, kind: ProbeKind) -> Worker:
        """Return it after an attempt that came to *result*."""
        if self.on_hold or result is None:
            return self
        run = self.run + 1 if result == self.last else 1
        needed = times.success if result == "success" else times.failure
        if run < needed:
            return Worker(result, run, state=self.state)
        ends = result == "failure" and kind != "readinessProbe"
        return Worker(result, 0 if ends else run, ends, result)

    def asks(self, kind: ProbeKind, *, started: bool) -> bool:
        """Return whether it runs the probe at a tick.

        A startupProbe is not asked again once the container has *started*, and others wait for
        that.
        """
        return not self.on_hold and started == (kind != "startupProbe")


class Event(Struct, frozen=True):
    """One attempt."""

    number: int
    """Which attempt it is, from 1."""
    at: float
    """When it starts, in seconds after the container."""
    until: float
    """When it ends, or is ended."""
    answer: Answer
    result: Result | None
    worker: Worker
    """The worker after it."""


def attempts(times: ProbeTimes, took: Sequence[float]) -> list[float]:
    """Return when attempts start of which each takes the seconds in *took*.

    The delay is looked at in whole seconds, and only at ticks: 5 seconds of it with a period of 10
    are 10.
    """
    starts = []
    tick = -(-times.initial_delay // times.period) * times.period
    free = 0.0
    for seconds in took:
        start = max(float(tick), free)
        starts.append(start)
        free = start + seconds
        # The tick that the worker wakes up for next: the first that it has not seen yet. One that
        # came while the probe ran is kept, so the next attempt starts at once.
        tick = (int(start // times.period) + 1) * times.period
    return starts


def events(
    times: ProbeTimes, answers: Sequence[Answer], kind: ProbeKind = "startupProbe", limit: int = 50
) -> Iterator[Event]:
    """Yield what happens to one container, attempt by attempt, until it is decided.

    The last of *answers* is repeated. A startupProbe is decided once the container has started or
    is ended, a livenessProbe when it is ended, and a readinessProbe never: *limit* attempts are
    the most.
    """
    worker = Worker()
    given = [answers[min(number, len(answers) - 1)] for number in range(limit)]
    took = [0.0 if a.code is None else min(a.seconds, float(times.timeout)) for a in given]
    for number, (at, answer) in enumerate(zip(attempts(times, took), given, strict=True)):
        result = answer.result(times.timeout)
        worker = worker.after(result, times, kind)
        yield Event(number + 1, at, at + took[number], answer, result, worker)
        if worker.on_hold or (kind == "startupProbe" and worker.state == "success"):
            return
