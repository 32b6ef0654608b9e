"""What happened one after the other, for people: the story of a gate, or a login."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.model.outcome import ScenarioResult

__all__ = ["asked_in_steps", "event_lines", "step_lines"]

#: Steps that are shown before and after the one that is wrong, where there are many; where room is
#: scarce, so few.
_AROUND, _NEAR = 6, 1
#: Events of a login that are shown; where room is scarce, so many of the last ones.
_EVENTS, _LAST = 20, 6
#: What the start of an entrypoint is called.
_START = "start"


def asked_in_steps(result: ScenarioResult) -> bool:
    """Return whether it is about a gate, whose standard output holds the answers."""
    return bool(result.steps) and result.steps[0].operation != _START


def step_lines(
    result: ScenarioResult, *, whole: bool = False, brief: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield a heading and a text for each step, or start: what happens, and what came of it.

    Nothing for a single one unless the *whole* is wanted, because a finding says it all. Where it
    has to be *brief*, only the steps around the one that is wrong.
    """
    if len(result.steps) < 2 and not (whole and not asked_in_steps(result)):
        return
    wrong = next((step.number for step in result.steps if step.wrong), 0)
    for step in result.steps:
        if wrong and abs(step.number - wrong) > (_NEAR if brief else _AROUND):
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


def event_lines(result: ScenarioResult, *, brief: bool = False) -> Iterator[tuple[str, str]]:
    """Yield a heading, empty behind the first line, and a text for each event of a login.

    Where it has to be *brief*, only for the last ones.
    """
    left_out = max(0, len(result.events) - _LAST) if brief else 0
    shown = list(result.events[left_out : left_out + _EVENTS])
    if left_out:
        shown.insert(0, f"after {left_out} more:")
    if len(result.events) > left_out + _EVENTS:
        shown.append(f"and {len(result.events) - left_out - _EVENTS} more")
    for number, line in enumerate(shown):
        yield "" if number else "in the login", line
