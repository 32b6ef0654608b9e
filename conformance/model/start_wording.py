"""Describe in words how a scenario starts an entrypoint, and what a contract says of one."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.model.entrypoint import Entrypoint
from conformance.model.start import Again, Start
from conformance.text import join, shortened

__all__ = ["ASPECTS", "describe_start", "entrypoint_facts"]

#: What is told of a start, in this order.
ASPECTS = ("arguments", "ending", "session", "again")

#: Characters of a value that are shown.
_LONGEST = 100


def describe_start(start: Start | None) -> dict[str, str]:
    """Describe a start by aspect, as far as it is not the plainest one: see :data:`ASPECTS`."""
    words: dict[str, str] = {}
    if start is None:
        return words
    if start.arguments:
        words["arguments"] = f"arguments {shortened(join(start.arguments), _LONGEST)}"
    if start.code:
        words["ending"] = f"what is started ends with exit code {start.code}"
    if start.session is not None:
        words["session"] = f"a session {shortened(start.session, _LONGEST)!r}"
    if start.again is not None:
        words["again"] = _again(start.again)
    return words


def _again(again: Again) -> str:
    changed = [f"+ {entry.path}" for entry in again.changed]
    changed += [f"- {path}" for path in again.removed]
    words = "a second start"
    if again.mode:
        words += f" in mode {again.mode!r}"
    return f"{words}, after {'; '.join(changed)}" if changed else words


def entrypoint_facts(entrypoint: Entrypoint | None) -> Iterator[tuple[str, str]]:
    """Yield what a contract says of an entrypoint, each with its heading."""
    if entrypoint is None:
        return
    for name, mode in entrypoint.modes.items():
        programs = []
        for agent, words in mode.program.items():
            programs.append(f"{agent}: {join(words)}" if agent else join(words))
        if mode.bare:
            programs.append(f"without arguments {join(mode.bare)}")
        called = f" ({mode.value})" if mode.value != name else ""
        also = [f"reaches {name}" for name in mode.reaches]
        also += [f"withholds {name}" for name in mode.withholds]
        yield f"mode {name}", "; ".join([f"{'; '.join(programs)}{called}", *also])
    for agent, seed in entrypoint.seeds.items():
        yield f"seed of {agent}", f"{seed.file} from {seed.variable}"
    for name, value in entrypoint.environment.items():
        yield f"variable {name}", value
