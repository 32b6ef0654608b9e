"""What a Manager does with each exit code, and the codes it is asked for."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from msgspec import Struct, field
from msgspec.structs import replace

from conformance.model.contract import Action
from conformance.text import printable

__all__ = ["CODES", "SIGNALS", "Answer", "Answers", "action_of", "code_words", "in_order"]

#: How a parent sees death by a signal where it is not 128+n: as in Python, as a negative number.
SIGNALS = tuple(-number for number in range(1, signal.NSIG))
#: Every number that a Manager can see.
CODES = (*range(256), *SIGNALS)
#: An action is a word with its labels; a longer text is something else.
_LONGEST = 200


class Answer(Struct, frozen=True, kw_only=True):
    """What a Manager does with one code: an action, or nothing, or it failed to say."""

    action: Action | None = None
    failed: str = ""
    """What it did instead of saying one: "raised KeyError: 66"; empty where it has no action."""
    lost: bool = False
    """What it does is unknown: it hung, crashed or flooded its output."""

    @property
    def words(self) -> str:
        """What the Manager does, in short."""
        return str(self.action) if self.action is not None else self.failed or "nothing"

    @property
    def sentence(self) -> str:
        """What the Manager does, as a sentence."""
        return f"the Manager {self.failed}" if self.failed else f"the Manager does {self.words}"

    def general(self, code: int) -> Answer:
        """Return the same without its *code*: answers that differ in nothing else become equal."""
        if not self.failed:
            return self
        return replace(self, failed=re.sub(rf"(?<![\w-]){code}(?!\w)", "…", self.failed))


class Answers(Struct, frozen=True, kw_only=True):
    """What a Manager does, code by code. Where a Manager was lost, codes are missing."""

    by_code: dict[int, Answer] = field(default_factory=dict)
    twice: tuple[tuple[int, tuple[Action, ...]], ...] = ()
    """Codes that are handled more than once, each with all its actions."""
    unsaid: tuple[str, ...] = ()
    """Words with a given meaning that the Manager did not use."""

    def action(self, code: int) -> Action | None:
        """Return what the Manager does with *code*; None where it does nothing."""
        return self.by_code.get(code, Answer()).action

    def lost(self) -> str:
        """Return why the Manager cannot be judged; empty if it can.

        It was lost, or it does nothing with any code.
        """
        for code, answer in self.by_code.items():
            if answer.lost:
                return f"asked for {code_words(code)}, {answer.sentence}"
        if any(answer.action is not None for answer in self.by_code.values()):
            return ""
        failures = [answer.failed for answer in self.by_code.values() if answer.failed]
        why = failures[0] if failures else "does nothing"
        return f"it has no action for any code: it {why}"


def in_order(first: Sequence[int]) -> tuple[int, ...]:
    """Return all codes, those in *first* before the others."""
    return tuple(dict.fromkeys((*first, *CODES)))


def action_of(said: object, words: Mapping[str, Action]) -> Answer:
    """Return the answer that a Manager's own value *said* stands for.

    A text is an action, then its labels: ``re-auth decision-needed``. A table has them as
    ``action`` and ``labels``. None and an empty text are no action. *words* come before all that.
    """
    if said is None:
        return Answer()
    labels: object = ()
    if isinstance(said, dict):
        table: dict[Any, Any] = said
        if set(table) - {"action", "labels"} or "action" not in table:
            return _no_action(said)
        said, labels = table["action"], table.get("labels", ())
        labels = [labels] if isinstance(labels, str) else labels
    if not isinstance(said, str) or not _are_texts(labels):
        return _no_action(said)
    name = said.strip()
    if "\n" in name or len(name) > _LONGEST:
        return _no_action(name)
    if not name and name not in words:
        return Answer()
    action = _action(name, words)
    return Answer(action=Action(action.name, action.labels.union(labels)))


def _are_texts(values: object) -> TypeGuard[Sequence[str]]:
    return isinstance(values, list | tuple) and all(isinstance(value, str) for value in values)


def _action(text: str, words: Mapping[str, Action]) -> Action:
    """Return the action that *text* names as a whole, or with its first word before labels."""
    if text in words:
        return words[text]
    name, *labels = text.split()
    action = words.get(name, Action(name))
    return Action(action.name, action.labels.union(labels))


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
