"""What a Manager does with each exit code, and the codes it is asked for."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from conformance.model.contract import Action
from conformance.text import printable

__all__ = ["CODES", "SIGNALS", "Answer", "Answers", "action_of", "code_words", "in_order"]

#: How a parent sees death by a signal where it is not 128+n: Python's subprocess hands on a negative number.
SIGNALS = tuple(-number for number in range(1, signal.NSIG))
#: Every number that a Manager can get to see.
CODES = (*range(256), *SIGNALS)
#: An action is a word, with its labels; what is longer is a page of something else.
_LONGEST = 200


class Answer(Struct, frozen=True, kw_only=True):
    """What a Manager does with one code: an action, nothing at all, or it did not come to saying so."""

    action: Action | None = None
    failed: str = ""
    """What it did instead of saying one, as in "raised KeyError: 66"; empty where it just has no action."""
    lost: bool = False
    """Nothing can be said of what it does: it hung, crashed or flooded its output."""

    @property
    def words(self) -> str:
        """What the Manager does, in short."""
        return str(self.action) if self.action is not None else self.failed or "nothing"

    @property
    def sentence(self) -> str:
        """What the Manager does, as a sentence."""
        return f"the Manager {self.failed}" if self.failed else f"the Manager does {self.words}"

    def general(self, code: int) -> Answer:
        """Return the same without the *code* it is about, so that answers that differ in nothing else are equal."""
        return replace(self, failed=re.sub(rf"(?<![\w-]){code}(?!\w)", "…", self.failed)) if self.failed else self


class Answers(Struct, frozen=True, kw_only=True):
    """What a Manager does, code by code. Where a Manager was lost, codes are missing."""

    by_code: dict[int, Answer] = field(default_factory=dict)
    twice: tuple[tuple[int, tuple[Action, ...]], ...] = ()
    """Codes that are handled more than once, each with all that is to be done."""
    unsaid: tuple[str, ...] = ()
    """Words that were given a meaning, and that the Manager did not use."""

    def action(self, code: int) -> Action | None:
        """Return what the Manager does with *code*; None where it does nothing."""
        return self.by_code.get(code, Answer()).action

    def lost(self) -> str:
        """Return why nothing can be said of the Manager, for it was lost or does nothing at all; empty where it can."""
        for code, answer in self.by_code.items():
            if answer.lost:
                return f"asked for {code_words(code)}, {answer.sentence}"
        if any(answer.action is not None for answer in self.by_code.values()):
            return ""
        why = next((answer.failed for answer in self.by_code.values() if answer.failed), "does nothing")
        return f"it has no action for any code: it {why}"


def in_order(first: Sequence[int]) -> tuple[int, ...]:
    """Return all codes, those in *first* before the others."""
    return tuple(dict.fromkeys((*first, *CODES)))


def action_of(said: object, words: Mapping[str, Action]) -> Answer:
    """Return the answer that a Manager's own value *said* stands for.

    A text is an action with its labels behind it: ``re-auth decision-needed``. A table has them as ``action`` and
    ``labels``. Nothing (None, an empty text) is no action. *words* come before all that.
    """
    if said is None:
        return Answer()
    labels: object = ()
    if isinstance(said, dict):
        table: dict[Any, Any] = said
        if set(table) - {"action", "labels"} or "action" not in table:
            return _no_action(said)
        said, labels = table["action"], table.get("labels", ())
    if not isinstance(said, str) or not isinstance(labels, list | tuple) or not all(isinstance(x, str) for x in labels):
        return _no_action(said)
    name = said.strip()
    if "\n" in name or len(name) > _LONGEST:
        return _no_action(name)
    if name in words:
        action = words[name]
    elif not name:
        return Answer()
    else:
        first, *rest = name.split()
        action = words.get(first, Action(first))
        action = Action(action.name, action.labels | frozenset(rest))
    return Answer(action=Action(action.name, action.labels | frozenset(labels)))


def _no_action(said: object) -> Answer:
    text = str(said) if isinstance(said, str) else repr(said)
    kind = "" if isinstance(said, str) else f" ({type(said).__name__})"
    short = text if len(text) <= 60 else f"{text[:59]}…"
    return Answer(failed=f"{printable(short)}{kind}, which is no action")


def code_words(code: int) -> str:
    """Return *code* for people; a negative one with the signal it stands for."""
    if code >= 0:
        return str(code)
    try:
        return f"{code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"{code} (signal {-code})"
