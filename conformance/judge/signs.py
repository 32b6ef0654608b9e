"""Signs of a vice: what a result shows, and what a known vice does under another contract."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.judge.dictionary import KnownVices, signature
from conformance.judge.matching import Seen, Sign
from conformance.model.contract import ANSWER_FINDINGS, Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario

__all__ = ["is_answer", "predicted", "seen_in", "sign_of"]

_DEVIATES = ("deviates", "known-failure")


def is_answer(sign: Sign) -> bool:
    """Return whether a *sign* is about the answer itself, and not about a side effect."""
    return sign[0] in ANSWER_FINDINGS


def sign_of(kind: str, result: ScenarioResult) -> Sign:
    """Return the sign that a finding of this *kind* is in a *result*."""
    return _sign(kind, signature(result).partition(":")[2])


def _sign(kind: str, answer: str) -> Sign:
    return kind, answer if kind in ANSWER_FINDINGS else ""


def seen_in(result: ScenarioResult) -> Seen:
    """Return the signs in a *result*."""
    signs = _signs(signature(result))
    if result.result not in _DEVIATES:
        return Seen(frozenset(), signs)
    kinds = {*result.kinds()}
    return Seen(frozenset(sign for sign in signs if sign[0] in kinds), signs)


def _signs(text: str) -> frozenset[Sign]:
    """Return the signs in a signature."""
    kinds, _, answer = text.partition(":")
    found = {_sign(kind, answer) for kind in kinds.split("+") if kind}
    # A crash mostly ends in a code of its own, and what it prints is no second sign of it.
    if any(kind == "outside-contract" for kind, _ in found):
        found.discard(("crashed", ""))
    return frozenset(found)


def predicted(
    known: KnownVices, contract: Contract, scenarios: Mapping[str, Scenario]
) -> dict[str, dict[str, frozenset[Sign]]]:
    """Return what each *known* vice does under *contract*, by vice and scenario.

    Those whose answers differ from run to run are left out.
    """
    dictionary = known.dictionary
    translated = _Translated(known.contract, contract)
    found = {}
    for name, answers in dictionary.vices.items():
        if name in dictionary.unsteady:
            continue
        found[name] = {
            id_: signs
            for text, places in answers.items()
            for id_ in (dictionary.scenarios[place] for place in places)
            if id_ in scenarios and (signs := translated(text, scenarios[id_]))
        }
    return found


class _Translated:
    """Says in the codes of one contract what was answered in those of another."""

    def __init__(self, theirs: Contract, ours: Contract) -> None:
        self._theirs = theirs
        self._ours = ours
        self._same = [(v.name, v.codes) for v in theirs.verdicts] == [
            (v.name, v.codes) for v in ours.verdicts
        ]
        self._off = frozenset(
            kind for rule in ours.rules.values() if rule.off for kind in rule.findings
        )
        self._known: dict[str, frozenset[Sign]] = {}

    def __call__(self, text: str, scenario: Scenario) -> frozenset[Sign]:
        """Return the signs of the signature in *text* in a *scenario* of the contract."""
        if text not in self._known:
            signs = _signs(text)
            self._known[text] = frozenset(sign for sign in signs if sign[0] not in self._off)
        signs = self._known[text]
        if self._same or not any(is_answer(sign) for sign in signs):
            return signs
        return frozenset(
            found for sign in signs if (found := self._translated(sign, scenario)) is not None
        )

    def _translated(self, sign: Sign, scenario: Scenario) -> Sign | None:
        """Return a *sign* with our code; None where that is right in the *scenario*."""
        kind, answer = sign
        if kind not in ("wrong-verdict", "outside-contract") or not answer.isdecimal():
            return sign
        code = int(answer)
        if meanings := self._theirs.verdicts_of(code):
            names = {verdict.name for verdict in self._ours.verdicts}
            codes = sorted(self._ours.codes(names.intersection(meanings)))
            if not codes:
                return None
            code = codes[0]
        if code in scenario.codes(self._ours):
            return None
        kind = "wrong-verdict" if self._ours.verdicts_of(code) else "outside-contract"
        return kind, str(code)
