"""What changed between two reports of runs, scenario by scenario."""

from __future__ import annotations

from typing import Any, Literal, get_args

from msgspec import Struct, to_builtins

__all__ = [
    "CHANGE_KINDS",
    "AnsweredBy",
    "Change",
    "ChangeKind",
    "Changes",
    "changes_document",
]

#: What became of a scenario, what is worst first.
ChangeKind = Literal[
    "regressed",
    "no-longer-judged",
    "changed-answer",
    "known-by-now",
    "asked-otherwise",
    "new",
    "judged-again",
    "mended",
    "gone",
]
CHANGE_KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)


class AnsweredBy(Struct, frozen=True, kw_only=True):
    """One side of a comparison: whose report it is."""

    name: str
    """What messages call the report: its file, or ``this run``."""
    probe: str
    """The probe: its command, its image, or what else it is."""
    started: str
    """When the run began, as ISO 8601."""
    suite: str
    """The version of the suite."""
    contract: str
    """The name of the contract."""
    version: str
    """The version of the contract."""


class Change(Struct, frozen=True, kw_only=True):
    """What became of one scenario between the old and the new report."""

    kind: ChangeKind
    id: str
    worse: bool = False
    """Whether it fails a comparison: the probe answers worse, or could not be judged any more."""
    before: str = ""
    """The old result, such as ``conforms``; empty where the old report does not have it."""
    now: str = ""
    """The new result; empty where the new report does not have it."""
    answer_before: str = ""
    """What the probe answered then, such as ``creds-missing (65)``, or why it was not judged."""
    answer_now: str = ""
    """What it answers now, or why it was not judged."""
    note: str = ""
    """What else there is to say, such as which expectation has changed."""


class Changes(Struct, frozen=True, kw_only=True):
    """What changed from an old report to a new one."""

    old: AnsweredBy
    new: AnsweredBy
    changes: tuple[Change, ...] = ()
    """What changed: kind by kind, what is worst first, and by id within a kind."""
    same: int = 0
    """How many scenarios are answered as before, and are judged as before."""
    same_deviating: int = 0
    """How many of these deviate, known failures among them."""
    outside: int = 0
    """How many scenarios of the old report are not compared, since they were not to run."""
    notes: tuple[str, ...] = ()
    """What keeps the two from being compared as a whole, a line each: other versions and such."""

    def worse(self) -> tuple[Change, ...]:
        """Return the changes for the worse."""
        return tuple(change for change in self.changes if change.worse)

    def unfamiliar(self) -> tuple[Change, ...]:
        """Return what deviates, and was not judged before, so that nothing can be said to be worse.

        The old report does not have it, or it could not be judged then.
        """
        found = self.of_kind("new", "judged-again")
        return tuple(change for change in found if change.now == "deviates")

    def of_kind(self, *kinds: ChangeKind) -> tuple[Change, ...]:
        """Return the changes of these *kinds*."""
        return tuple(change for change in self.changes if change.kind in kinds)

    def counts(self) -> dict[ChangeKind, int]:
        """Return how many scenarios there are of each kind, those with none among them."""
        return {kind: len(self.of_kind(kind)) for kind in CHANGE_KINDS}


def changes_document(changes: Changes) -> dict[str, Any]:
    """Return *changes* as built-in types, with counts at the front."""
    members: dict[str, Any] = to_builtins(changes)
    return {"worse": len(changes.worse()), "counts": changes.counts(), **members}
