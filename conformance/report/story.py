"""What happened one after the other, for people: the story of a gate, or a login."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.model.outcome import ScenarioResult

__all__ = ["asked_in_steps", "event_lines", "step_lines"]

#: Steps that are shown before and after the one that is wrong, where there are many.
_AROUND = 6
#: Events of a login that are shown.
_EVENTS = 20
#: What the start of an entrypoint is called.
_START = "start"


def asked_in_steps(result: ScenarioResult) -> bool:
    """Return whether it is about a gate, whose standard output holds the answers."""
    return bool(result.steps) and result.steps[0].operation != _START


def step_lines(result: ScenarioResult, *, whole: bool = False) -> Iterator[tuple[str, str]]:
    """Yield a heading and a text for each step, or start: what happens, and what came of it.

    Nothing for a single one unless the *whole* is wanted, because a finding says it all.
    """
    if len(result.steps) < 2 and not (whole and not asked_in_steps(result)):
        return
    wrong = next((step.number for step in result.steps if step.wrong), 0)
    for step in result.steps:
        if wrong and abs(step.number - wrong) > _AROUND:
            continue
        words = step.words
        if step.expected:
            words += f"; expected {step.expected}"
        if step.got:
            words += f", got {step.got}" if step.expected else f"; got {step.got}"
        mark = " <-" if step.wrong else ""
        if step.operation == _START:
            yield f"start {step.number}", f"{words}{mark}"
        else:
            yield f"step {step.number}", f"{step.operation}: {words}{mark}"


def event_lines(result: ScenarioResult) -> Iterator[tuple[str, str]]:
    """Yield a heading, empty behind the first line, and a text for each event of a login."""
    for number, line in enumerate(result.events[:_EVENTS]):
        yield "" if number else "in the login", line
    if len(result.events) > _EVENTS:
        yield "", f"and {len(result.events) - _EVENTS} more"
