"""Rules about the variables that the probe gets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from conformance.wiring.context import Context
from conformance.wiring.findings import Finding
from conformance.wiring.runs import ProbeRun
from conformance.wiring.tree import Place
from conformance.wiring.workloads import is_placeholder

__all__ = ["check_inputs", "unknown_inputs"]

#: What a variable holds: a text, None where it is set and not known, or that it is not set.
_Missing = Literal[False]


def _required(context: Context) -> list[str]:
    """Return the variables that a manifest has to set: a container gets HOME from its user."""
    inputs = context.contract.inputs
    return [name for name in (inputs.agent, inputs.home) if name and name != "HOME"]


def check_inputs(context: Context, run: ProbeRun) -> Iterator[Finding]:
    """Yield inputs of the contract that the probe of *run* does not get, or that are wrong."""
    for name in _required(context):
        value, place = _value(context, run, name)
        if value is False:
            if not _may_be_set(context, run):
                yield _missing(context, run, name)
        elif name == context.contract.inputs.agent and value is not None:
            yield from _agent(context, run, place, value)


def unknown_inputs(context: Context) -> Iterator[str]:
    """Yield a note for each input of which nothing here says whether it is set."""
    for run in context.subject.runs:
        sources = run.container.unknown_sources(context.request.configs)
        for name in _required(context):
            if sources and _value(context, run, name)[0] is False:
                where = f"{context.workload}: container {run.container.name}"
                yield f"{where}: whether {name} is set is up to {' or '.join(sources)}, not seen"


def _value(context: Context, run: ProbeRun, name: str) -> tuple[str | _Missing | None, Place]:
    """Return what the variable *name* holds for the probe of *run*, and where that is said."""
    container, command = run.container, run.command
    sets = dict(command.sets)
    for part in command.parts() if command.line is not None else ():
        sets.update(part.sets)
        if part.words[:1] == ("export",):
            sets.update(word.partition("=")[::2] for word in part.words[1:] if "=" in word)
    if name in sets:
        return (None if "$" in sets[name] else sets[name]), run.place
    if command.clears:
        return False, run.place
    variable = container.variables(context.request.configs).get(name)
    if variable is not None:
        return variable.value, variable.place
    if name in context.request.variables:
        return context.request.variables[name], run.place
    image = context.image(container)
    if image is not None and name in image.environment:
        return image.environment[name], run.place
    return False, run.place


def _may_be_set(context: Context, run: ProbeRun) -> bool:
    """Return whether something that cannot be read here may set any variable."""
    command = run.command
    if command.clears:
        return False
    if run.container.unknown_sources(context.request.configs):
        return True
    # A login shell reads profiles, and a line may read a file of its own.
    if command.line is not None and any(re.match(r"-\w*l", word) for word in command.words[1:3]):
        return True
    return any(part.words[:1] in ((".",), ("source",)) for part in command.parts())


def _missing(context: Context, run: ProbeRun, name: str) -> Finding:
    elsewhere = [
        other.name
        for other in context.workload.containers()
        if name in other.variables(context.request.configs)
    ]
    message = f"the probe does not get {name}, an input of contract {context.contract.name}"
    if run.command.clears:
        message += ": the command clears the environment"
    elif elsewhere:
        message += f": it is set on container {', '.join(elsewhere)}, and this is another one"
    way_out = f"set it in env of container {run.container.name}"
    if context.image(run.container) is None:
        way_out += f"; where the image sets it, say so with --env {name} or --image"
    place = run.container.place.nearest("env")
    return context.finding("input-missing", place, message, way_out, run)


def _agent(context: Context, run: ProbeRun, place: Place, value: str) -> Iterator[Finding]:
    agents = context.contract.agents
    if value not in agents and not is_placeholder(value):
        message = (
            f"{context.contract.inputs.agent} is '{value}', which is no agent of contract "
            f"{context.contract.name}: letters and blanks count"
        )
        way_out = f"set it to {' or '.join(agents)}"
        yield context.finding("agent-not-mapped", place.nearest("value"), message, way_out, run)
