"""Rules about what is around the containers: restarts, Jobs, and keys that are there twice."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.wiring.context import Context, finding
from conformance.wiring.findings import Finding
from conformance.wiring.tree import Place
from conformance.wiring.workloads import Workload, is_placeholder

__all__ = ["check_policies", "check_workload"]

_ALWAYS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController")
_JOBS = ("Job", "CronJob")


def check_workload(workload: Workload) -> Iterator[Finding]:
    """Yield what Kubernetes refuses, or reads otherwise than it looks."""
    for place in workload.document.listed_twice():
        message = f"'{place.keys[-1]}' is listed twice: kubectl refuses that, others take the last"
        way_out = "leave one of the two"
        yield finding("key-twice", place, message, way_out, workload=workload)
    policy = workload.restart_policy
    allowed: tuple[str, ...] = ("Always", "OnFailure", "Never")
    if workload.kind in _ALWAYS:
        allowed = ("Always",)
    elif workload.kind in _JOBS:
        allowed = ("Never", "OnFailure")
    if policy not in allowed and not is_placeholder(policy):
        place = workload.pod.nearest("restartPolicy")
        message = f"a {workload.kind} with restartPolicy {policy} is refused"
        way_out = f"set restartPolicy: {allowed[0]}"
        yield finding("restart-policy-refused", place, message, way_out, workload=workload)


def check_policies(context: Context) -> Iterator[Finding]:
    """Yield what a Job hopes to read and does not get."""
    policy = _failure_policy(context.workload)
    if policy is None:
        return
    restart = context.workload.restart_policy
    if restart == "OnFailure":  # Always is refused in any case
        message = f"podFailurePolicy with restartPolicy {restart} is refused"
        way_out = "set restartPolicy: Never"
        yield context.finding("policy-needs-never", policy, message, way_out)
    if any(run.keeps_code for run in context.subject.runs) or not context.subject.runs:
        return
    refusals = {code for code in context.contract.all_codes if code}
    for rule in policy.elements("rules"):
        values = [place.scalar() for place in rule.elements("onExitCodes", "values")]
        waited = sorted(refusals.intersection(v for v in values if isinstance(v, int)))
        if waited and rule.text("onExitCodes", "operator") == "In":
            message = (
                f"the policy waits for exit code {waited[0]}, which the kubelet gets from the "
                "probe, and gives to nobody"
            )
            way_out = "run the probe as an init container, whose exit code is kept"
            place = rule.nearest("onExitCodes", "values")
            yield context.finding("code-not-kept", place, message, way_out)


def _failure_policy(workload: Workload) -> Place | None:
    keys = {"Job": ("spec",), "CronJob": ("spec", "jobTemplate", "spec")}.get(workload.kind)
    return workload.document.at(*keys, "podFailurePolicy") if keys else None
