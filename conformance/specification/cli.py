"""How an agent's CLI ends when it is asked for its version, as the file of its state says."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from conformance.model.agent import IN_HOME, Answer, CliState
from conformance.model.entry import Entry
from conformance.model.placeholders import Context, expand

__all__ = ["CLI_ENDS", "RUNS", "UNKNOWN", "cli_end"]

#: It runs, and there is nothing else to say of it.
RUNS = "runs"
#: Its file does not say how it ends.
UNKNOWN = "unknown"
#: How a CLI can end, each named as the rule of ``slot`` about it, without ``cli-``.
CLI_ENDS = (
    RUNS,
    "link",
    "several-passed-over",
    "several-first-runs",
    "several-first-fails",
    "several-not-loadable",
    "not-found",
    "not-executable",
    "not-loadable",
    "shell-runs",
    "wants-terminal",
    "fails",
    "killed",
    "hangs",
    UNKNOWN,
)
_MOST_LINKS = 40


def cli_end(state: CliState, agent: str, seconds: float) -> str:
    """Return how the CLI of *agent* ends in this *state*: one of :data:`CLI_ENDS`.

    It has these *seconds* to say its version.
    """
    places = [posixpath.normpath(posixpath.join(part, "cli")) for part in state.path]
    entries = {entry.path: entry for entry in state.entries}
    entries |= {f"{IN_HOME}{entry.path}": entry for entry in state.home}
    ends = [_program(place, entries, state, agent, seconds) for place in places]
    there = [end for end in ends if end != "not-found"]
    started = [end for end in there if end != "not-executable"]
    if not started:
        return there[0] if there else "not-found"
    first = started[0]
    if len(there) == 1 or first == UNKNOWN:
        return first
    good = (RUNS, "link")
    if first in ("not-loadable", "shell-runs"):
        return "several-not-loadable" if any(end in good for end in started[1:]) else first
    if first not in good:
        return "several-first-fails"
    return "several-first-runs" if there[0] == first else "several-passed-over"


def _program(
    place: str, entries: Mapping[str, Entry], state: CliState, agent: str, seconds: float
) -> str:
    """Return how the one program at *place* ends."""
    if place not in entries:
        return "not-found"
    path = _resolved(place, entries)
    if path is None:
        return "not-loadable"
    entry = entries[path]
    if entry.kind != "file" or not (entry.mode or 0) & 0o111:
        return "not-executable"
    for answer in state.answers.get(path, ()):
        if answer.fits(agent, ["--version"]):
            linked = path != place or place.startswith(IN_HOME)
            return _end(answer, seconds, good="link" if linked else RUNS)
    return UNKNOWN


def _end(answer: Answer, seconds: float, *, good: str) -> str:
    """Return how a program ends that answers like this."""
    if answer.error:
        shell_runs = answer.error == "ENOEXEC" and answer.code == 0 and not answer.signal
        return "shell-runs" if shell_runs else "not-loadable"
    if answer.terminal:
        return "wants-terminal"
    context = Context(now=0, seed="", cli_seconds=seconds)
    if float(expand(answer.seconds, context)) > seconds:
        return "hangs"
    if answer.signal:
        return "killed"
    return "fails" if answer.code else good


def _resolved(place: str, entries: Mapping[str, Entry]) -> str | None:
    """Return the path of what *place* leads to; None if that is a loop, or nothing.

    Paths below the HOME begin with ``{home}/``, and the others have their own top.
    """
    at, todo, links = "", place.split("/"), 0
    while todo:
        at = posixpath.normpath(posixpath.join(at, todo.pop(0)))
        entry = entries.get(at)
        if entry is None or entry.kind != "symlink":
            continue
        links += 1
        if links > _MOST_LINKS:
            return None
        at = "" if entry.target.startswith(IN_HOME) else posixpath.dirname(at)
        todo = [*entry.target.split("/"), *todo]
    return at if at in entries else None
