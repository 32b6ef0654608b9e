"""How a decision is made: one step after the other, each with the rules that speak of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec import Struct
from msgspec.structs import replace

from conformance.model.contract import Contract
from conformance.model.scenario import decided

__all__ = [
    "ANY",
    "BROKEN",
    "CREDENTIALS",
    "INVALID",
    "MISSING",
    "NOT_READY",
    "OPEN",
    "READY",
    "Decision",
    "Step",
    "combined",
]

READY = "ready"
BROKEN: tuple[str, ...] = ("cli-broken",)
MISSING: tuple[str, ...] = ("creds-missing",)
INVALID: tuple[str, ...] = ("creds-invalid",)
#: What may come of credentials that some right programs take, and others refuse.
OPEN: tuple[str, ...] = (READY, *INVALID)
#: What may come of credentials of which nothing is known.
CREDENTIALS: tuple[str, ...] = (READY, *MISSING, *INVALID)
NOT_READY: tuple[str, ...] = (*BROKEN, *MISSING, *INVALID)
ANY: tuple[str, ...] = (READY, *NOT_READY)


class Decision(Struct, frozen=True, kw_only=True):
    """What a contract calls for in one home."""

    rule: str
    """The rule that decides; empty where no rule speaks of the point, which is open then."""
    verdicts: tuple[str, ...]
    """In the order of the contract; more than one where the point is left open."""
    why: str
    """What was found, in one line without a value of any file."""
    rules: tuple[str, ...] = ()
    """All rules that had a part in it, the one that decides first."""


class Step(Struct, frozen=True, kw_only=True):
    """One thing that a probe has to look at, and what may come of it.

    A step that can come to ``ready`` lets the next one decide as well.
    """

    rules: tuple[str, ...]
    """The rules that speak of it: the first that is not off decides. Empty where none does."""
    verdicts: tuple[str, ...]
    """What may come of it under the bundled contract."""
    why: str
    optional: bool = False
    """Whether it is passed over where its rules are off: others speak of such a home, too."""
    without_login: str = ""
    """The rule that decides in place of these where it turns out that nobody has logged in."""


def combined(steps: Iterable[Step], contract: Contract, base: str) -> Decision | None:
    """Return what *steps*, which describe the contract called *base*, come to under *contract*.

    None where a step is reached whose rules the contract has all turned off: then nothing is
    written about such a home.
    """
    possible: set[str] = set()
    taken: list[tuple[Step, frozenset[str]]] = []
    steps = iter(steps)
    for step in steps:
        verdicts = _verdicts(step.rules, step.verdicts, contract, base)
        if step.without_login:
            rest = combined(steps, contract, base)
            return _after(step, verdicts, rest, contract, base)
        if not verdicts and not step.optional:
            return None
        if not verdicts:
            continue
        taken.append((step, frozenset(verdicts)))
        possible |= {*verdicts} - {READY}
        if READY not in verdicts:
            break
    else:
        possible.add(READY)
    if not taken:
        return None
    decisive = _decisive(taken)
    return _decision(decisive, [step for step, _ in taken], possible, contract)


def _after(
    step: Step,
    verdicts: tuple[str, ...],
    rest: Decision | None,
    contract: Contract,
    base: str,
) -> Decision | None:
    """Return what comes of a *step* that launchers differ in, and of the *rest*."""
    if rest is None:
        return None
    if rest.verdicts == MISSING and step.without_login in contract.rules:
        found = _verdicts((step.without_login,), (*MISSING, *BROKEN), contract, base)
        if not found:
            return rest
        step = replace(step, rules=(step.without_login, *rest.rules))
        return _decision(step, [], {*found}, contract)
    if not verdicts:  # the rule is off
        return rest
    if READY not in verdicts:
        return _decision(step, [], {*verdicts}, contract)
    possible = ({*verdicts} - {READY}) | {*rest.verdicts}
    if len(verdicts) > 1 and READY in rest.verdicts:
        return _decision(replace(step, rules=(*step.rules, *rest.rules)), [], possible, contract)
    rules = tuple(rule for rule in step.rules if not contract.rules[rule].off)
    return replace(rest, verdicts=_in_order(possible, contract), rules=(*rest.rules, *rules))


def _decision(
    decisive: Step, taken: Iterable[Step], possible: Collection[str], contract: Contract
) -> Decision:
    """Return the decision that the *decisive* one of the steps makes."""
    rules = dict.fromkeys(rule for step in (decisive, *taken) for rule in step.rules)
    in_force = [rule for rule in rules if rule in contract.rules and not contract.rules[rule].off]
    return Decision(
        rule=in_force[0] if decisive.rules else "",
        verdicts=_in_order(possible, contract),
        why=decisive.why,
        rules=tuple(in_force),
    )


def _in_order(verdicts: Collection[str], contract: Contract) -> tuple[str, ...]:
    return tuple(verdict.name for verdict in contract.verdicts if verdict.name in verdicts)


def _verdicts(
    rules: tuple[str, ...], wanted: tuple[str, ...], contract: Contract, base: str
) -> tuple[str, ...]:
    """Return what may come of a step; none where the contract has none of its *rules*."""
    known = tuple(rule for rule in rules if rule in contract.rules)
    if rules and not known:
        return ()
    return decided(known, contract, base, wanted)


def _decisive(taken: list[tuple[Step, frozenset[str]]]) -> Step:
    """Return the step that decides.

    That is the one that does not let the slot be ready; where none is, the first that leaves it
    open; where none does, the first that says anything.
    """
    if READY not in taken[-1][1]:
        return taken[-1][0]
    return next((step for step, verdicts in taken if len(verdicts) > 1), taken[0][0])
