"""What the kubelet does for a probe that behaves so or so, second by second."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from conformance.errors import UsageError
from conformance.model.contract import Contract
from conformance.text import ordinal
from conformance.wiring.kubelet import Answer, Event, ProbeKind, ProbeTimes, events
from conformance.wiring.runs import KINDS, ProbeRun, Subject, probe_times
from conformance.wiring.workloads import Workload

__all__ = ["Behaviour", "Timeline", "read_behaviour", "timelines", "usual_behaviours"]

#: Of a livenessProbe or readinessProbe so many attempts are shown: it goes on for ever.
_SHOWN = 8
#: The most attempts of a startupProbe that are shown.
_MOST = 200
_PART = re.compile(
    r"(?:(hang|error)|([0-9]{1,3}))(?:@([0-9]{1,6}(?:\.[0-9]{1,3})?))?(?:x([0-9]{1,3}))?"
)
#: How many attempts are shown at the beginning and at the end, of more than twice as many.
_ENDS = 3
#: Seconds that an answer takes where nothing is said.
_QUICK = 0.5


class Behaviour(Struct, frozen=True):
    """How a probe behaves, attempt after attempt; the last answer is repeated."""

    words: str
    answers: tuple[Answer, ...]


class Timeline(Struct, frozen=True, kw_only=True):
    """What happens to one container whose probe behaves in one way."""

    workload: str
    container: str
    kind: ProbeKind
    times: ProbeTimes
    behaviour: Behaviour
    events: tuple[Event, ...]
    grace: int
    """Seconds that the container gets to end by itself when it is killed."""
    restarts: bool = True
    """Whether it begins anew then."""

    @property
    def outcome(self) -> str:
        """What it comes to, in a word: started, killed, ready, not-ready or undecided."""
        last = self.events[-1].worker if self.events else None
        if last is None or last.state is None:
            return "undecided"
        if self.kind == "readinessProbe":
            return "ready" if last.state == "success" else "not-ready"
        if last.on_hold:
            return "killed"
        return "started" if self.kind == "startupProbe" else "alive"

    def lines(self) -> Iterator[str]:
        """Yield it in words, a line for each attempt; of many alike the middle is left out."""
        shown = list(self.events)
        if len(shown) > 2 * _ENDS:
            for event in shown[:_ENDS]:
                yield self._line(event)
            yield f"{'…':>6}    {len(shown) - 2 * _ENDS} more attempts"
            shown = shown[-_ENDS:]
        for event in shown:
            yield self._line(event)
        yield f"          {self._verdict()}"

    def _line(self, event: Event) -> str:
        return f"{event.at:6g} s  {ordinal(event.number)} attempt; {self._ended(event)}"

    def _ended(self, event: Event) -> str:
        answer, worker = event.answer, event.worker
        if event.result is None:
            return "the kubelet cannot run it, and counts nothing"
        until = f"at {event.until:g} s"
        if answer.seconds >= self.times.timeout:
            how = f"{until} timeoutSeconds ends it"
        else:
            how = f"{until} it exits {answer.code}"
        needed = self.times.success if event.result == "success" else self.times.failure
        run = needed if worker.on_hold else min(worker.run, needed)
        return f"{how}: {event.result} {run} of {needed}"

    def _verdict(self) -> str:
        if not self.events:
            return "no attempt is made"
        at = f"{self.events[-1].until:g} s"
        match self.outcome:
            case "started":
                return f"started after {at}; liveness and readiness probes begin now"
            case "killed":
                killed = f"killed after {at}, with {self.grace} s to end by itself; "
                if not self.restarts:
                    return killed + "restartPolicy Never: no other container begins"
                return killed + (
                    "the next container begins anew, at once, then after 10 s, 20 s, … 5 min"
                )
            case "ready" | "not-ready" | "alive":
                return f"{self.outcome.replace('-', ' ')} at {at}; it goes on like that"
        return f"undecided after {at}: no threshold is reached"


def usual_behaviours(contract: Contract) -> list[Behaviour]:
    """Return what is worth a look: an answer within the limit, two failures, and no answer.

    The late one comes shortly before the limit of *contract*. The failures are what the contract
    says where nobody has logged in yet.
    """
    late = math.floor(contract.limits.seconds * 0.8) or contract.limits.seconds / 2
    refusals = [code for code in contract.all_codes if code]
    missing = [v.codes[0] for v in contract.verdicts if v.name == "creds-missing" and v.codes[0]]
    refusal = (missing or refusals or [1])[0]
    specifications = {
        f"answers after {late:g} s": f"0@{late:g}",
        f"says {refusal} twice, then 0": f"{refusal}x2,0",
        "hangs": "hang",
    }
    return [
        Behaviour(f"{words} (--answers {text})", read_behaviour(text).answers)
        for words, text in specifications.items()
    ]


def read_behaviour(text: str) -> Behaviour:
    """Return the behaviour that *text* says: parts such as ``65@2x3``, with commas between them.

    A part is an exit code, ``hang``, or ``error`` for a probe that cannot be run; then, after
    ``@``, the seconds it takes, and after ``x`` how often.

    :raises UsageError: it says none.
    """
    answers: list[Answer] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None or int(match[2] or 0) > 255 or match[4] == "0":
            cause = f"--answers '{text}' is no behaviour of a probe"
            raise UsageError(cause, hint="write it like 0@12, 65x2,0 or hang")
        word, code, seconds, count = match.groups()
        took = float(seconds) if seconds else _QUICK
        if word == "hang":
            answer = Answer(0, math.inf)
        else:
            answer = Answer(None if word == "error" else int(code), took)
        answers += [answer] * int(count or 1)
    return Behaviour(f"answers {text}", tuple(answers))


def timelines(
    subjects: Sequence[Subject], behaviours: Sequence[Behaviour]
) -> tuple[list[Timeline], list[str]]:
    """Return a timeline for each probe of the kubelet's and each behaviour; and why there is none.

    A probe with numbers that are wrong, or filled in later, has none.
    """
    found: list[Timeline] = []
    notes: list[str] = []
    for subject in subjects:
        runs = [run for run in subject.runs if run.where in KINDS]
        if not runs:
            notes.append(f"{subject.workload}: no timeline, since the kubelet runs no probe here")
        for run in runs:
            times = probe_times(run.place)
            where = f"{subject.workload}: {run.where} of {run.container.name}"
            if times is None:
                notes.append(f"{where}: no timeline, because its numbers are wrong or not known")
                continue
            found += [_timeline(subject.workload, run, times, each) for each in behaviours]
    return found, notes


def _timeline(
    workload: Workload, run: ProbeRun, times: ProbeTimes, behaviour: Behaviour
) -> Timeline:
    kind = next(kind for kind in KINDS if kind == run.where)
    limit = _MOST if kind == "startupProbe" else _SHOWN
    grace = run.place.whole("terminationGracePeriodSeconds")
    if grace is None:
        grace = workload.pod.whole("terminationGracePeriodSeconds")
    return Timeline(
        workload=str(workload),
        container=run.container.name,
        kind=kind,
        times=times,
        behaviour=behaviour,
        events=tuple(events(times, behaviour.answers, kind, limit)),
        grace=30 if grace is None else grace,
        restarts=run.container.restart_policy != "Never",
    )
