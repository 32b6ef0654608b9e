"""All rules over all documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from conformance.errors import UsageError
from conformance.wiring.compared import check_image
from conformance.wiring.context import Context
from conformance.wiring.findings import Finding
from conformance.wiring.inputs import check_inputs, unknown_inputs
from conformance.wiring.mounts import check_gate, check_mounts, check_volumes
from conformance.wiring.pods import check_policies, check_workload
from conformance.wiring.running import check_command, check_handlers, check_places
from conformance.wiring.runs import Request, Subject, find_subjects
from conformance.wiring.structure import Structure
from conformance.wiring.timing import check_times
from conformance.wiring.tree import Place
from conformance.wiring.workloads import find_configs, find_workloads, other_kinds

__all__ = ["Checked", "check", "check_subjects", "subjects_of"]


class Checked(Struct, frozen=True, kw_only=True):
    """What came out."""

    subjects: list[Subject]
    findings: list[Finding]
    notes: list[str]

    def counted(self, *, strict: bool) -> list[Finding]:
        """Return the findings that make it wrong; *strict*, advice does so too."""
        return [found for found in self.findings if strict or found.level == "must"]


def subjects_of(
    documents: Sequence[Place], request: Request
) -> tuple[Request, list[Subject], list[str]]:
    """Return *request* with the ConfigMaps and Secrets seen, what is judged by it, and notes.

    :raises UsageError: there is nothing to look at.
    """
    workloads = list(find_workloads(documents))
    others = [
        f"{d.text('kind')} {d.text('metadata', 'name')} ({d.text('apiVersion') or 'no apiVersion'})"
        for d in other_kinds(documents)
    ]
    if not workloads:
        hint = "name a Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob, or a List"
        seen = f", only {', '.join(others)}" if others else ""
        raise UsageError(f"there is no Pod in what was read{seen}", hint=hint)
    images = {container.image for workload in workloads for container in workload.containers()}
    named = request.image_reference in images
    request = replace(request, configs=find_configs(documents), image_is_named=named)
    subjects, notes = find_subjects(workloads, request)
    if request.image_reference and not named:
        notes.append(f"no container has image {request.image_reference}: all are compared with it")
    notes += [f"not looked at, because no kind says where its Pod is: {other}" for other in others]
    if not subjects:
        raise UsageError(f"nothing to look at: {'; '.join(notes)}", hint="name it with --container")
    return request, subjects, notes


def check(
    documents: Sequence[Place], request: Request, structure: Structure | None = None
) -> Checked:
    """Return what all rules find.

    :raises UsageError: there is nothing to look at.
    """
    return check_subjects(*subjects_of(documents, request), structure)


def check_subjects(
    request: Request,
    subjects: Sequence[Subject],
    notes: Sequence[str],
    structure: Structure | None = None,
) -> Checked:
    """Return what all rules find of *subjects*, and the *notes* on how they were chosen."""
    notes = list(notes)
    findings: list[Finding] = []
    workloads = {subject.workload.document: subject.workload for subject in subjects}
    for workload in workloads.values():
        findings += check_workload(workload)
    for subject in subjects:
        context = Context(request, subject)
        findings += _of_subject(context)
        notes += unknown_inputs(context)
    if structure is not None:
        known = {(found.file, found.line, found.path) for found in findings}
        for workload in workloads.values():
            if not structure.knows(workload):
                api = workload.document.text("apiVersion")
                notes.append(f"{workload}: the structure of {api} is not known, nor looked at")
            for found in structure.check(workload):
                if (found.file, found.line, found.path) not in known:
                    findings.append(found)
    ordered = sorted(_unique(findings), key=lambda f: (f.file, f.line, f.level, f.rule))
    return Checked(subjects=list(subjects), findings=ordered, notes=list(dict.fromkeys(notes)))


def _of_subject(context: Context) -> Iterator[Finding]:
    yield from check_places(context)
    yield from check_handlers(context)
    yield from check_policies(context)
    yield from check_volumes(context)
    if context.agent is not None:
        yield from check_mounts(context, context.agent)
    for run in context.subject.runs:
        yield from check_command(context, run)
        yield from check_times(context, run)
        yield from check_inputs(context, run)
        if run.is_gate:
            yield from check_gate(context, run)
    yield from check_image(context)


def _unique(findings: Iterable[Finding]) -> list[Finding]:
    """Return *findings* without those that subjects, runs or aliases of one place share."""
    found: dict[tuple[object, ...], Finding] = {}
    for one in findings:
        found.setdefault((one.file, one.line, one.workload, one.rule, one.message), one)
    return list(found.values())
