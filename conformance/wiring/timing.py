"""Rules about the seconds that a probe is given."""

from __future__ import annotations

import math
from collections.abc import Iterator

from conformance.wiring.context import Context
from conformance.wiring.findings import Finding
from conformance.wiring.kubelet import DEFAULTS
from conformance.wiring.runs import ProbeRun, number
from conformance.wiring.tree import Place

__all__ = ["check_times"]


def check_times(context: Context, run: ProbeRun) -> Iterator[Finding]:
    """Yield what is wrong with the numbers of *run*."""
    yield from _inner(context, run)
    if run.where == "main":
        yield from _deadlines(context, run)
    if run.where in ("main", "postStart"):
        return
    wrong = False
    numbers: dict[str, int | None] = {}
    for key in DEFAULTS:
        value = number(run.place, key)
        if isinstance(value, str):
            wrong = True
            message = f"{key}: {value}"
            way_out = f"write {DEFAULTS[key]}, or another whole number"
            yield context.finding("refused-number", run.place.nearest(key), message, way_out, run)
        else:
            numbers[key] = value
    if wrong:
        return
    yield from _timeout(context, run, numbers["timeoutSeconds"])
    if run.where != "readinessProbe":
        yield from _success(context, run, numbers["successThreshold"])
    if run.where == "startupProbe":
        yield from _room(context, run, numbers)


def _left_out(place: Place, key: str) -> str:
    """Return what to say of a number that the manifest leaves to Kubernetes."""
    return "" if place.scalar(key) else " where nothing is said"


def _timeout(context: Context, run: ProbeRun, timeout: int | None) -> Iterator[Finding]:
    if timeout is None or timeout >= context.limit:
        return
    said = f"timeoutSeconds is {timeout}{_left_out(run.place, 'timeoutSeconds')}"
    message = (
        f"{said}: an answer that takes longer is a failure, and contract {context.contract.name} "
        f"gives the probe {context.limit:g} seconds"
    )
    way_out = f"set timeoutSeconds: {math.ceil(context.limit)}"
    place = run.place.nearest("timeoutSeconds")
    yield context.finding("timeout-too-short", place, message, way_out, run)


def _success(context: Context, run: ProbeRun, success: int | None) -> Iterator[Finding]:
    if success in (None, 1):
        return
    message = f"successThreshold is {success}, and Kubernetes refuses all but 1 for a {run.where}"
    place = run.place.nearest("successThreshold")
    yield context.finding("success-threshold", place, message, "leave it out", run)


def _room(context: Context, run: ProbeRun, numbers: dict[str, int | None]) -> Iterator[Finding]:
    delay, period, failure = (
        numbers[key] for key in ("initialDelaySeconds", "periodSeconds", "failureThreshold")
    )
    if delay is None or period is None or failure is None:
        return
    # Of a probe that fails at once; one that takes its time has all of it in each attempt.
    room = delay + failure * period
    given = f"failureThreshold {failure} × periodSeconds {period}"
    given += f" after initialDelaySeconds {delay}" if delay else ""
    enough = math.ceil(2 * context.limit / period)
    way_out = f"set failureThreshold: {max(enough, 3)}"
    place = run.place.nearest("failureThreshold")
    if failure == 1:
        message = (
            "failureThreshold is 1: the first failure kills the container, also one that passes"
        )
        yield context.finding("one-failure-kills", place, message, way_out, run)
    elif room < 2 * context.limit:
        message = (
            f"{given} leave {room} seconds to a container whose probe fails at once: a slow "
            "first start does not fit"
        )
        yield context.finding("little-room", place, message, way_out, run)


def _inner(context: Context, run: ProbeRun) -> Iterator[Finding]:
    """Yield the limits that the command itself sets, such as with timeout."""
    found = list(run.command.timeouts)
    if run.command.line is not None:
        for part in context.request.recogniser.probes_of(run.command, certain=run.certain):
            found += part.timeouts
    for seconds in found:
        if 0 < seconds < context.limit:
            message = (
                f"the command ends the probe after {seconds:g} seconds, and contract "
                f"{context.contract.name} gives it {context.limit:g}"
            )
            way_out = f"give it {math.ceil(context.limit)} seconds, or leave that to the kubelet"
            place = run.command_place
            yield context.finding("inner-timeout-too-short", place, message, way_out, run)


def _deadlines(context: Context, run: ProbeRun) -> Iterator[Finding]:
    """Yield deadlines that end a Pod before its probe can answer."""
    places = [context.workload.pod]
    for keys in (("spec",), ("spec", "jobTemplate", "spec")):
        spec = context.workload.document.at(*keys)
        if spec is not None and context.workload.kind in ("Job", "CronJob"):
            places.append(spec)
    for place in places:
        seconds = place.whole("activeDeadlineSeconds")
        if seconds is not None and seconds < context.limit:
            message = (
                f"activeDeadlineSeconds is {seconds}: the Pod is ended before the "
                f"{context.limit:g} seconds that contract {context.contract.name} gives the probe"
            )
            way_out = f"set it to more than {math.ceil(context.limit)}"
            where = place.nearest("activeDeadlineSeconds")
            yield context.finding("deadline-too-short", where, message, way_out, run)
