"""Say in words what a scenario is, and what tells it from another."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.model.contract import Contract
from conformance.model.outcome import Broke, Ending, Exited, Killed, TimedOut, Unsupported
from conformance.model.scenario import Bytes, ContainerNeeds, Entry, Json, Runs, Scenario, Text
from conformance.text import join, printable

__all__ = ["against_control", "answer", "describe_entry", "describe_needs", "expectation", "probe_lines"]


def answer(contract: Contract, verdict: str) -> str:
    """Return a verdict with its exit code."""
    return f"{verdict} ({contract.code(verdict)})"


def expectation(contract: Contract, verdicts: tuple[str, ...]) -> str:
    """Return what conforms, as words."""
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
    """Return the name of a signal; real-time signals have only numbers."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def describe_entry(entry: Entry) -> str:
    """Return an entry without its path: kind, content in short, and whatever is special about it."""
    words = [_content(entry)]
    if entry.size is not None:
        words.append(f"padded to {entry.size} bytes")
    if entry.mode is not None:
        words.append(f"mode {entry.mode:04o}")
    if entry.owner is not None:
        words.append(f"owner {entry.owner}")
    if entry.mtime:
        words.append(f"changed {entry.mtime}")
    if entry.depth:
        words.append(f"{entry.depth} directories further down")
    if entry.count > 1:
        words.append(f"{entry.count} times")
    return ", ".join(words)


def _content(entry: Entry) -> str:
    if entry.kind == "symlink":
        return f"symlink to {entry.target}"
    if entry.kind != "file":
        return entry.kind
    match entry.content:
        case None:
            return "file"
        case Json(value):
            return f"JSON {_short(json.dumps(value))}"
        case Text(text):
            return f"text {_short(json.dumps(text))}" if text else "empty file"
        case Bytes(data):
            return f"bytes {_short(data.hex())}"
        case Runs(runs):
            return "text " + " ".join(f"{_short(json.dumps(text))}×{times}" for text, times in runs)


def _short(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def describe_needs(needs: ContainerNeeds | None) -> dict[str, str]:
    """Return what a scenario asks of its container, as words, by the name of what it is about."""
    words: dict[str, str] = {}
    if needs and needs.user:
        words["user"] = f"the image run as user {needs.user}"
    if needs and needs.home_owner is not None:
        words["owner"] = f"a HOME owned by uid {needs.home_owner}"
    if needs and needs.home_read_only:
        words["mount"] = "a HOME on a read-only mount"
    return words


def against_control(scenario: Scenario, control: Scenario) -> tuple[str, ...]:
    """Return what *scenario* has (+) and lacks (-) against *control*, a line each."""
    return tuple(_lines(scenario, control))


def _lines(scenario: Scenario, control: Scenario) -> Iterator[str]:
    if scenario.agent != control.agent:
        yield f"+ agent {scenario.agent}, not {control.agent}"
    if scenario.cli != control.cli:
        yield f"+ CLI {scenario.cli}, not {control.cli}"
    ours_in, theirs_in = describe_needs(scenario.container), describe_needs(control.container)
    for about in ("user", "owner", "mount"):
        if ours_in.get(about) != theirs_in.get(about):
            yield f"+ {ours_in[about]}" if about in ours_in else f"- {theirs_in[about]}"
    for name in sorted(scenario.env.keys() | control.env.keys() | {*scenario.unset} | {*control.unset}):
        ours, theirs = (_variable(s, name) for s in (scenario, control))
        if ours != theirs:
            yield f"+ {ours}" if ours else f"- {theirs}"
    here = {entry.path: (describe_entry(entry), entry) for entry in scenario.entries}
    there = {entry.path: (describe_entry(entry), entry) for entry in control.entries}
    for path in sorted(here.keys() | there.keys()):
        if path in here and here.get(path) != there.get(path):
            yield f"+ {path}: {here[path][0]}"
        elif path not in here:
            yield f"- {path}: {there[path][0]}"


def _variable(scenario: Scenario, name: str) -> str:
    if name in scenario.unset:
        return f"{name} unset"
    return f"{name}={scenario.env[name]!r}" if name in scenario.env else ""


def probe_lines(probe: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is judged, and what isolates it, for people."""
    isolation = f"network {probe['network']}, capabilities {probe['capabilities']}"
    if probe["kind"] != "image":
        yield f"probe: {join(probe['command']) or 'the CLI itself'}"
        yield f"isolation: {isolation}"
        return
    yield f"probe: image {probe['image']} ({probe['digest']}) on {probe['engine']}: {join(probe['command'])}"
    yield f"isolation: {probe['isolation']}, {isolation}, memory {probe['memory']}, user {probe['user']}, HOME {probe['home']}"
    yield from (f"note: {printable(note)}" for note in probe["notes"])
