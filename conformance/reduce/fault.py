"""What a probe gets wrong in a scenario, and whether it gets the same wrong in another one.

The home changes with every step, and so may what the contract calls for in it. A step counts only
if the same rule calls for the same, and the probe answers the same: another mistake in another home
is not this fault.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from conformance.errors import CannotJudge, UsageError
from conformance.judge.signs import is_answer, sign_of
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario
from conformance.model.wording import expectation
from conformance.run.assembly import Run
from conformance.specification.case import case_of
from conformance.specification.decide import decide
from conformance.specification.steps import Decision

__all__ = ["AgainstContract", "AgainstProbe", "Fault"]

#: So often a probe that is right at first is asked once more: it may answer at random.
_ASKED_AGAIN = 9


class Fault(Protocol):
    """What a probe gets wrong in one scenario."""

    words: str
    """What it is, in one line."""

    def same_case(self, scenario: Scenario) -> bool:
        """Return whether *scenario* calls for the same answer as the first; nothing is run."""

    def still_wrong(self, scenario: Scenario) -> bool | None:
        """Return whether the probe gets the same wrong in *scenario*; None if it cannot be said."""

    def is_right(self, scenario: Scenario) -> bool:
        """Return whether the probe gets nothing wrong in *scenario*."""

    def expecting(self, scenario: Scenario) -> Scenario:
        """Return *scenario* with what is called for in it, and the rule that says so."""


class AgainstContract:
    """An answer, or a side effect, that a contract does not allow."""

    def __init__(self, run: Run, scenario: Scenario) -> None:
        """Look for what the probe of *run* gets wrong in *scenario*.

        :raises UsageError: nothing is wrong there, or nothing is written down about such homes.
        :raises CannotJudge: that cannot be said.
        """
        self._run = run
        self._contract = run.contract
        decision = _decision(run, scenario)
        if decision is None:
            cause = f"nothing says what '{run.contract.name}' calls for as '{scenario.id}' shrinks"
            raise UsageError(cause, hint="name a probe to compare with, with --against")
        self._first = decision
        wanted = scenario.expected(run.contract)
        if not {*wanted} & {*decision.verdicts}:
            cause = f"'{scenario.id}' expects {expectation(run.contract, wanted)}, and "
            cause += f"'{run.contract.name}' calls for "
            cause += f"{expectation(run.contract, decision.verdicts)} by rule {decision.rule}"
            raise UsageError(cause, hint="mend what it expects")
        result = _judged(run, self.expecting(scenario))
        if result.result == "conforms":
            for _ in range(_ASKED_AGAIN):
                if _judged(run, self.expecting(scenario)).result != "conforms":
                    raise _unsteady()
            cause = f"the probe conforms in '{scenario.id}'"
            raise UsageError(
                cause, hint="there is nothing to reduce: name one in which it deviates"
            )
        signs = [sign_of(kind, result) for kind in result.kinds()]
        self._sign = next(filter(is_answer, signs), signs[0])
        if self._sign[0] == "unsteady":
            raise _unsteady()
        self.words = self._described(result)

    def _described(self, result: ScenarioResult) -> str:
        kind = self._sign[0]
        message = next(one.message for one in result.findings if one.kind == kind)
        rule = f", by rule {self._first.rule}" if self._first.rule and is_answer(self._sign) else ""
        return f"{kind}: {message}{rule}"

    def same_case(self, scenario: Scenario) -> bool:
        """See :class:`Fault`."""
        decision = _decision(self._run, scenario)
        if decision is None:
            return False
        # A side effect is one whatever the home calls for.
        same = (decision.rule, decision.verdicts) == (self._first.rule, self._first.verdicts)
        return same or not is_answer(self._sign)

    def still_wrong(self, scenario: Scenario) -> bool | None:
        """See :class:`Fault`."""
        result = self._run.runner.run(self.expecting(scenario))
        if result.result not in ("conforms", "deviates"):
            return None
        return self._sign in [sign_of(kind, result) for kind in result.kinds()]

    def is_right(self, scenario: Scenario) -> bool:
        """See :class:`Fault`."""
        return self._run.runner.run(scenario).result == "conforms"

    def expecting(self, scenario: Scenario) -> Scenario:
        """See :class:`Fault`."""
        decision = _decision(self._run, scenario)
        if decision is None:
            return scenario
        return _expecting(scenario, decision.verdicts, decision.rule, self._contract)


class AgainstProbe:
    """An answer that differs from that of another probe, under the same contract."""

    def __init__(self, run: Run, other: Run, scenario: Scenario) -> None:
        """Look for what the probes of *run* and *other* disagree about in *scenario*.

        :raises UsageError: they agree.
        :raises CannotJudge: that cannot be said.
        """
        self._runs = (run, other)
        self._contract = run.contract
        self._first = self._answers(scenario)
        self._was_open = self._is_open(scenario)
        ours, theirs = self._first
        if ours.means & theirs.means:
            for _ in range(_ASKED_AGAIN):
                if self._answers(scenario) != self._first:
                    raise _unsteady()
            cause = f"both probes answer the same in '{scenario.id}'"
            raise UsageError(
                cause, hint="there is nothing to reduce: name one in which they differ"
            )
        self.words = f"{ours.words}, where the other probe says {theirs.words}"

    def _answers(self, scenario: Scenario) -> tuple[_Answer, ...]:
        """Return what both probes answer in *scenario*.

        :raises CannotJudge: one of them did not run.
        """
        return tuple(_answer(_judged(run, scenario), self._contract) for run in self._runs)

    def _is_open(self, scenario: Scenario) -> bool:
        """Return whether the contract allows both answers in *scenario*."""
        decision = _decision(self._runs[0], scenario)
        if decision is None:
            return False
        return all(one.means & {*decision.verdicts} for one in self._first)

    def same_case(self, scenario: Scenario) -> bool:
        """See :class:`Fault`: where both may be right, the fault is gone."""
        return self._was_open or not self._is_open(scenario)

    def still_wrong(self, scenario: Scenario) -> bool | None:
        """See :class:`Fault`."""
        try:
            return self._answers(scenario) == self._first
        except CannotJudge:
            return None

    def is_right(self, scenario: Scenario) -> bool:
        """See :class:`Fault`."""
        ours, theirs = self._answers(scenario)
        return bool(ours.means & theirs.means)

    def expecting(self, scenario: Scenario) -> Scenario:
        """See :class:`Fault`. Where nothing else says what is called for, the other probe does."""
        decision = _decision(self._runs[0], scenario)
        if decision is not None:
            return _expecting(scenario, decision.verdicts, decision.rule, self._contract)
        known = {verdict.name for verdict in self._contract.verdicts}
        wanted = tuple(sorted(self._first[1].means & known))
        if not wanted or {*wanted} == {*scenario.expected(self._contract)}:
            wanted = scenario.expected(self._contract)
            rule = scenario.decided_by(self._contract)
        else:
            rule = ""
        return _expecting(scenario, wanted, rule, self._contract)


class _Answer(Struct, frozen=True):
    """What a probe answered."""

    words: str
    means: frozenset[str]
    """The verdicts that it can mean; else these words alone."""


def _answer(result: ScenarioResult, contract: Contract) -> _Answer:
    if result.code is not None:
        verdicts = contract.verdicts_of(result.code)
        if not contract.exit_code_answers:
            verdicts = (result.verdict,) if result.verdict else ()
        if verdicts:
            return _Answer(expectation(contract, tuple(verdicts)), frozenset(verdicts))
        words = f"exit code {result.code}"
    else:
        words = "no answer" if result.signal is None else f"death by signal {result.signal}"
    return _Answer(words, frozenset({words}))


def _decision(run: Run, scenario: Scenario) -> Decision | None:
    """Return what is called for in *scenario*; None where nothing is written down about it."""
    context = replace(run.context, scenario=scenario.id)
    try:
        return decide(case_of(scenario, run.contract, context), run.contract)
    except CannotJudge:  # its entries make no home
        return None


def _expecting(
    scenario: Scenario, verdicts: tuple[str, ...], rule: str, contract: Contract
) -> Scenario:
    rules = {contract.name: (rule,)} if rule else {}
    return replace(scenario, expect={contract.name: verdicts}, rules=rules)


def _judged(run: Run, scenario: Scenario) -> ScenarioResult:
    """Return the result of *scenario*.

    :raises CannotJudge: the probe did not run, or not to its end.
    """
    result = run.runner.run(scenario)
    if result.result not in ("conforms", "deviates"):
        cause = f"'{scenario.id}' could not be judged: {result.reason}"
        raise CannotJudge(cause, hint="see what repro says")
    return result


def _unsteady() -> CannotJudge:
    cause = "the probe does not answer the same when it is asked the same again"
    return CannotJudge(cause, hint="find out what its answer depends on: run --repeat shows it")
