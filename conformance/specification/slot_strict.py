"""The contract ``slot-strict``, step by step: as ``slot``, with credentials that could be used."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.model.contract import Contract
from conformance.specification.case import Case
from conformance.specification.slot import steps_with
from conformance.specification.steps import Step
from conformance.specification.strict_claude import claude_steps
from conformance.specification.strict_codex import codex_steps

__all__ = ["slot_strict_steps"]


def slot_strict_steps(case: Case, contract: Contract) -> Iterator[Step]:
    """Yield the steps of a right probe of *contract* in this *case*."""
    return steps_with(case, contract, {"claude": claude_steps, "codex": codex_steps})
