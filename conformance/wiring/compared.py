"""Rules about what a manifest says of an image, against what the image has."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.wiring.context import Context
from conformance.wiring.findings import Finding
from conformance.wiring.image import ImageView
from conformance.wiring.runs import ProbeRun, Subject
from conformance.wiring.shell import base
from conformance.wiring.workloads import Container

__all__ = ["check_image", "programs_of"]

#: Interpreters: what follows one of them is the program that counts as well.
_INTERPRETERS = ("python", "python3", "node", "sh", "bash", "perl", "ruby", "deno", "bun")


def programs_of(subjects: list[Subject]) -> list[str]:
    """Return the absolute paths that the probes' commands start."""
    found: list[str] = []
    for subject in subjects:
        for run in subject.runs:
            found += _paths(run)
    return list(dict.fromkeys(found))


def _paths(run: ProbeRun) -> Iterator[str]:
    for part in run.command.parts():
        words = part.program
        if words[:1] and words[0].startswith("/"):
            yield words[0]
        if words and base(words[0]) in _INTERPRETERS:
            script = next((word for word in words[1:] if not word.startswith("-")), "")
            if script.startswith("/"):
                yield script


def check_image(context: Context) -> Iterator[Finding]:
    """Yield where the manifest and the image do not go together."""
    for run in context.subject.runs:
        image = context.image(run.container)
        if image is not None:
            yield from _programs(context, run, image)
            yield from _entrypoint(context, run, image)
    if context.agent is not None:
        yield from _root(context, context.agent, context.image(context.agent))


def _programs(context: Context, run: ProbeRun, image: ImageView) -> Iterator[Finding]:
    # What a volume puts there is not in the image.
    mounted = [mount.path.rstrip("/") for mount in run.container.mounts()]
    for path in _paths(run):
        covered = any(path == place or path.startswith(f"{place}/") for place in mounted)
        if image.programs.get(path, True) or covered:
            continue
        message = f"image {image.reference} has no {path}"
        way_out = "correct the path, or build the probe into the image"
        yield context.finding("program-not-in-image", run.command_place, message, way_out, run)


def _entrypoint(context: Context, run: ProbeRun, image: ImageView) -> Iterator[Finding]:
    if run.where == "main" or not image.entrypoint:
        return
    for part in run.command.parts():
        if part.program[:1] != image.entrypoint[:1] or len(part.program) > len(image.entrypoint):
            continue
        mode = {**part.sets, **run.command.sets}.get("AGENT_MODE")
        if mode is None:
            variable = run.container.variables(context.request.configs).get("AGENT_MODE")
            mode = variable.value if variable is not None else image.environment.get("AGENT_MODE")
            if variable is not None and mode is None:
                continue
        if mode != "smoke-test":
            message = (
                f"{part.program[0]} is the image's entrypoint, and runs the probe only with "
                f"AGENT_MODE=smoke-test; here it is {mode or 'not set'}"
            )
            way_out = f'write ["env", "AGENT_MODE=smoke-test", "{part.program[0]}"]'
            place = run.command_place
            yield context.finding("entrypoint-in-wrong-mode", place, message, way_out, run)


def _root(context: Context, container: Container, image: ImageView | None) -> Iterator[Finding]:
    """Yield that the kubelet refuses the container: it is root, or, by its *image*, may be."""
    if container.security("runAsNonRoot") is not True:
        return
    key = "runAsNonRoot"
    place = container.place.at("securityContext", key)
    place = place or context.workload.pod.nearest("securityContext", key)
    said = container.security("runAsUser")
    if said is None and image is not None:
        name = image.user.partition(":")[0]
        if not name.isdecimal() and image.uid != 0:
            message = f"the image's user is '{name}', a name, and nothing tells that it is not root"
            way_out = f"set runAsUser: {image.uid}"
            yield context.finding("user-not-a-number", place, message, way_out)
    if context.user(container) == 0:
        message = "the container runs as root, which runAsNonRoot refuses"
        way_out = "set runAsUser, or give the image a user"
        yield context.finding("root-refused", place, message, way_out)
