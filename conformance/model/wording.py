"""Describe scenarios in words, and how one differs from another."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.model.contract import ROLES, Contract
from conformance.model.entry_wording import describe_entry, entries_against
from conformance.model.entrypoint import STARTED
from conformance.model.outcome import (
    Broke,
    Ending,
    Exited,
    Killed,
    LostEngine,
    TimedOut,
    Unsupported,
)
from conformance.model.scenario import ContainerNeeds, Scenario
from conformance.model.start_wording import ASPECTS, describe_start
from conformance.text import join, printable, shortened

__all__ = [
    "against_control",
    "answer",
    "asked_note",
    "describe_inputs",
    "describe_needs",
    "describe_surroundings",
    "expectation",
    "lost_note",
    "probe_lines",
]


def answer(contract: Contract, verdict: str) -> str:
    """Return a verdict with its exit code."""
    codes = contract.verdict(verdict).codes
    started = contract.entrypoint is not None and verdict == STARTED  # then it is the program's
    if not contract.exit_code_answers or not codes or started:
        return verdict
    return f"{verdict} ({', '.join(map(str, codes))})"


def expectation(contract: Contract, verdicts: tuple[str, ...]) -> str:
    """Return the answers that conform."""
    return " or ".join(answer(contract, verdict) for verdict in verdicts)


def describe_ending(ending: Ending) -> str:
    """Return how an execution ended."""
    match ending:
        case Exited(code):
            return f"exit code {code}"
        case Killed(number):
            return f"killed by {signal_name(number)}"
        case TimedOut():
            return "no answer in time"
        case Broke(reason) | Unsupported(reason):
            return reason


def signal_name(number: int) -> str:
    """Return the name of a signal; real-time signals only have numbers."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def describe_needs(needs: ContainerNeeds | None) -> dict[str, str]:
    """Describe what a scenario asks of its container, by aspect: ``user``, ``owner``, ``mount``."""
    words: dict[str, str] = {}
    if needs and needs.user:
        words["user"] = f"the image run as user {needs.user}"
    if needs and needs.home_owner is not None:
        words["owner"] = f"a HOME owned by uid {needs.home_owner}"
    if needs and needs.home_read_only:
        words["mount"] = "a HOME on a read-only mount"
    return words


def describe_surroundings(scenario: Scenario) -> dict[str, str]:
    """Describe what else is around the probe: ``umask``, ``cwd``, ``name``, ``earlier``.

    Of an entrypoint, also how it starts.
    """
    words: dict[str, str] = {}
    if scenario.process.umask is not None:
        words["umask"] = f"umask {scenario.process.umask:04o}"
    if scenario.process.cwd:
        words["cwd"] = f"current directory {scenario.process.cwd}"
    if scenario.home_name:
        words["name"] = f"a HOME called {scenario.home_name!r}"
    if scenario.earlier is not None:
        entries = [f"{entry.path}: {describe_entry(entry)}" for entry in scenario.earlier]
        words["earlier"] = f"an earlier run in a HOME with {'; '.join(entries) or 'nothing'}"
    return words | describe_start(scenario.start)


def against_control(scenario: Scenario, control: Scenario) -> tuple[str, ...]:
    """Return what *scenario* has (+) and lacks (-) against *control*, one line each."""
    lines = []
    if scenario.agent != control.agent:
        lines.append(f"+ agent {scenario.agent}, not {control.agent}")
    if scenario.cli != control.cli:
        lines.append(f"+ CLI {scenario.cli}, not {control.cli}")
    lines += _needs_against(scenario, control)
    ours, theirs = describe_surroundings(scenario), describe_surroundings(control)
    for about in ("umask", "cwd", "name", "earlier", *ASPECTS):
        lines += _line(ours.get(about, ""), theirs.get(about, ""))
    lines += _inputs_against(scenario, control)
    lines += _variables_against(scenario, control)
    lines += entries_against(scenario, control)
    return tuple(lines)


def _needs_against(scenario: Scenario, control: Scenario) -> Iterator[str]:
    ours, theirs = describe_needs(scenario.container), describe_needs(control.container)
    for about in ("user", "owner", "mount"):
        yield from _line(ours.get(about, ""), theirs.get(about, ""))


def describe_inputs(scenario: Scenario) -> dict[str, str]:
    """Describe the inputs of a scenario that are not the usual ones, by role."""
    words = {str(role): f"{role} {text!r}" for role, text in scenario.inputs.items()}
    return words | {role: f"{role} not set" for role in scenario.inputs_unset}


def _inputs_against(scenario: Scenario, control: Scenario) -> Iterator[str]:
    ours, theirs = describe_inputs(scenario), describe_inputs(control)
    for role in ROLES:
        yield from _line(ours.get(role, ""), theirs.get(role, ""))


def _variables_against(scenario: Scenario, control: Scenario) -> Iterator[str]:
    for name in sorted({*scenario.env, *scenario.unset, *control.env, *control.unset}):
        yield from _line(_variable(scenario, name), _variable(control, name))


def _line(ours: str, theirs: str) -> Iterator[str]:
    """Yield a line if *ours* and *theirs*, which describe the same thing, differ."""
    if ours != theirs:
        yield f"+ {ours}" if ours else f"- {theirs}"


def _variable(scenario: Scenario, name: str) -> str:
    if name in scenario.unset:
        return f"{name} unset"
    if name in scenario.env:
        return f"{name}={scenario.env[name]!r}"
    return ""


def asked_note(asked: Mapping[str, int], limit: int = 3) -> str:
    """Return what it means that stubs were *asked* something beside their version.

    *asked* maps each question to how often it came, the most frequent first.
    """
    shown = [
        f"'{shortened(question, 40)}' ({'once' if times == 1 else f'{times} times'})"
        for question, times in asked.items()
    ]
    more = f" and {len(asked) - limit} more" if len(asked) > limit else ""
    answer = "stubs answer --version, and anything else with exit status 2"
    contract = "what a CLI says of its own login is judged under the contract cli-status"
    return f"the probe asked a CLI {', '.join(shown[:limit])}{more}: {answer}; {contract}"


def lost_note(lost: LostEngine) -> str:
    """Return what became of an engine that was lost in the middle."""
    count = len(lost.scenarios)
    again = "1 scenario was" if count == 1 else f"{count} scenarios were"
    return (
        f"engine {lost.engine} answered no more: {again} run again on another, such as "
        f"{lost.scenarios[0]} ({lost.reason}); what is left there goes with "
        f"'probe-conformance sweep --engine {lost.engine}'"
    )


def probe_lines(probe: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is judged, and what isolates it, for people."""
    command = join(probe["command"])
    isolation = f"network {probe['network']}, capabilities {probe['capabilities']}"
    if probe["kind"] != "image":
        named = f"python {probe['callable']}" if probe["kind"] == "callable" else command
        yield f"probe: {named or 'the CLI itself'}"
        clock = f", clock {probe['clock']}" if "clock" in probe else ""
        around = f"{isolation}, temporary directories {probe['temporary_directories']}{clock}"
        yield f"isolation: {probe.get('isolation') or around}"
        if probe["inherited"]:
            yield f"note: the probe inherits from whoever started the suite: {probe['inherited']}"
        yield from _further(probe)
        yield from (f"note: {printable(note)}" for note in probe.get("notes", ()))
        return
    yield f"probe: image {probe['image']} ({probe['digest']}) on {probe['engine']}: {command}"
    if engines := [f"{one['name']} ({one['engine']})" for one in probe.get("engines", ())]:
        yield f"engines: {printable(', '.join(engines))}"
    container = f"memory {probe['memory']}, user {probe['user']}, HOME {probe['home']}"
    yield f"isolation: {probe['isolation']}, {isolation}, {container}"
    yield from _further(probe)
    for note in probe["notes"]:
        yield f"note: {printable(note)}"


def _further(probe: Mapping[str, Any]) -> Iterator[str]:
    if patterns := probe.get("allow_writes"):
        yield f"allowed: to write {printable(join(patterns))} in the HOME"
