"""The contract ``slot-strict``, step by step: as ``slot``, with credentials that could be used."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.model.contract import Contract
from conformance.specification.case import Case
from conformance.specification.slot import agent_step, cli_step, home_step, runs_step
from conformance.specification.steps import Step
from conformance.specification.strict_claude import claude_steps
from conformance.specification.strict_codex import codex_steps

__all__ = ["slot_strict_steps"]


def slot_strict_steps(case: Case, contract: Contract) -> Iterator[Step]:
    """Yield the steps of a right probe of *contract* in this *case*."""
    if (step := agent_step(case, contract)) is not None:
        yield step
        return
    yield from cli_step(case)
    if (step := home_step(case)) is not None:
        yield step
        return
    yield from {"claude": claude_steps, "codex": codex_steps}[case.agent](case)
    yield from runs_step(case)
