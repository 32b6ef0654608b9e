"""Group the deviations of a run into causes: to a person, each is one thing to mend.

What the suite says first of many deviations is its hint. Then come vices of known wrong probes that
do what was seen. What is not like any of them is grouped by the rule and by what was answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from conformance.judge.dictionary import KnownVices, vice_texts
from conformance.judge.matching import Match, Seen, Sign, match_vices
from conformance.judge.signs import is_answer, predicted, seen_in, sign_of
from conformance.model.cause import Cause, CauseKind
from conformance.model.contract import Contract
from conformance.model.outcome import Finding, ScenarioResult
from conformance.model.scenario import Scenario

__all__ = ["find_causes"]

#: Results that say something about the probe.
_JUDGED = ("conforms", "deviates", "known-failure")
#: A vice that more others are like would be a guess: too little ran that tells them apart.
_MOST_ALIKE = 5


class _Part(Struct, kw_only=True):
    """A cause, while it is not known yet which scenarios it lists first."""

    kind: CauseKind
    name: str = ""
    text: str
    explains: dict[str, frozenset[Sign]]
    fit: float = 1.0
    like: tuple[str, ...] = ()
    compared: bool = True


def find_causes(
    results: Iterable[ScenarioResult],
    contract: Contract,
    scenarios: Mapping[str, Scenario],
    *,
    hints: Sequence[tuple[str, frozenset[str]]] = (),
    known: KnownVices | None = None,
) -> list[Cause]:
    """Return what is to be mended, so that each deviation in *results* has a cause.

    *hints* come first: a text each, with the ids of the scenarios that it explains as a whole. Then
    come vices, of those that are *known*, and broken rules: first what explains most. *scenarios*
    holds those of the results by id.

    :raises FileError: the bank cannot be read, which says in words what a known vice is.
    """
    judged = {result.id: result for result in results if result.result in _JUDGED}
    seen = {id_: seen_in(result) for id_, result in judged.items()}
    if not any(found.deviations for found in seen.values()):
        return []
    told = [_Part(kind="hint", text=text, explains=_whole(seen, ids)) for text, ids in hints]
    rest = dict(seen)
    for part in told:
        # What a hint explains says nothing of any vice, neither for it nor against it.
        rest = {id_: found for id_, found in rest.items() if id_ not in part.explains}
    compared = _compared(rest, contract, scenarios, known)
    vices = _vices(compared, contract, scenarios, known)
    rules = _rules(rest, judged, contract, scenarios, vices, compared)
    found = sorted([*vices, *rules], key=_place)
    parts = [part for part in (*told, *found) if part.explains]
    return [
        _cause(part, own, judged, contract, scenarios)
        for part, own in zip(parts, _shares(parts), strict=True)
    ]


def _place(part: _Part) -> tuple[int, bool, str, str]:
    """Return where a part stands: first what explains most, and what is known."""
    return -len(part.explains), part.kind != "vice", part.name, min(part.explains)


def _whole(seen: Mapping[str, Seen], ids: Iterable[str]) -> dict[str, frozenset[Sign]]:
    return {id_: seen[id_].deviations for id_ in ids if id_ in seen and seen[id_].deviations}


def _compared(
    seen: Mapping[str, Seen],
    contract: Contract,
    scenarios: Mapping[str, Scenario],
    known: KnownVices | None,
) -> dict[str, Seen]:
    """Return the part of what was *seen* that the known vices can be held against.

    Their wrong probes have run there, and the right answer was the same.
    """
    if known is None:
        return {}
    ran = frozenset(known.dictionary.scenarios)
    return {
        id_: found
        for id_, found in seen.items()
        if id_ in ran
        and scenarios[id_].expected(known.contract) == scenarios[id_].expected(contract)
    }


def _vices(
    seen: Mapping[str, Seen],
    contract: Contract,
    scenarios: Mapping[str, Scenario],
    known: KnownVices | None,
) -> list[_Part]:
    if known is None or not any(found.deviations for found in seen.values()):
        return []
    here = {id_: scenarios[id_] for id_ in seen}
    patterns = {
        name: pattern
        for name, pattern in predicted(known, contract, here).items()
        if _mostly_ran(known, name, pattern)
    }
    found = match_vices(seen, patterns)
    found = [match for match in found if len(match.like) < _MOST_ALIKE]
    texts = vice_texts(known.dictionary.contract) if found else {}
    return [_vice_part(match, known, texts) for match in found]


def _mostly_ran(known: KnownVices, name: str, pattern: Mapping[str, object]) -> bool:
    """Return whether most of the scenarios ran in which the wrong probe called *name* deviates.

    In a part of the catalogue, vices look alike that nobody would confuse in all of it.
    """
    everywhere = sum(map(len, known.dictionary.vices[name].values()))
    return 2 * len(pattern) >= everywhere


def _vice_part(match: Match, known: KnownVices, texts: Mapping[str, str]) -> _Part:
    """Return the part of a vice, called as the bank has it first: the plainer ones stand there."""
    vices, contract = known.dictionary.vices, known.dictionary.contract
    alike = [match.name, *match.like]
    same = {name for name in alike if vices[name] == vices[match.name]}
    first = next((name for name in texts if name in same), match.name)
    return _Part(
        kind="vice",
        name=f"{contract}/{first}",
        text=texts.get(first, ""),
        explains=match.explains,
        fit=match.fit,
        like=tuple(f"{contract}/{name}" for name in alike if name != first),
    )


def _rules(
    seen: Mapping[str, Seen],
    judged: Mapping[str, ScenarioResult],
    contract: Contract,
    scenarios: Mapping[str, Scenario],
    vices: Sequence[_Part],
    compared: Mapping[str, Seen],
) -> list[_Part]:
    """Return a part for each rule and sign that no vice explains."""
    groups: dict[tuple[str, Sign, bool], dict[str, frozenset[Sign]]] = {}
    for id_, found in seen.items():
        explained = {sign for vice in vices for sign in vice.explains.get(id_, ())}
        for sign in sorted(found.deviations - explained):
            rule = _broken(sign, judged[id_], scenarios[id_], contract)
            group = groups.setdefault((rule, sign, id_ in compared), {})
            group[id_] = frozenset({sign})
    return [
        _Part(
            kind="rule",
            name=contract.rule_name(rule),
            text=contract.rules[rule].text if rule in contract.rules else "",
            explains=explains,
            compared=was_compared,
        )
        for (rule, _, was_compared), explains in groups.items()
    ]


def _broken(sign: Sign, result: ScenarioResult, scenario: Scenario, contract: Contract) -> str:
    """Return the name of the rule that a *sign* breaks.

    For a wrong answer that is the one that decides there: it says what the answer should have been.
    """
    decides = scenario.decided_by(contract) if is_answer(sign) else ""
    return decides or _finding(sign, result).rule


def _finding(sign: Sign, result: ScenarioResult) -> Finding:
    return next(
        finding
        for finding in result.findings
        if finding.level == "must" and sign_of(finding.kind, result) == sign
    )


def _shares(parts: Sequence[_Part]) -> list[set[str]]:
    """Return the scenarios that each of *parts* lists as its own: those before it have the choice.

    Each lists one at least. So a part of which nothing would be left takes what it alone explains
    in part; and only where that would leave another one with nothing, both list the same.
    """
    shares: list[set[str]] = []
    for number, part in enumerate(parts):
        own = {*part.explains}.difference(*shares)
        for before, share in zip(parts[:number], shares, strict=True) if not own else ():
            given = {id_ for id_ in share if _adds(part, before, id_)}
            if given != share:
                share.difference_update(given)
                own |= given
        shares.append(own or {*part.explains})
    return shares


def _adds(part: _Part, before: _Part, id_: str) -> bool:
    """Return whether *part* explains more of a scenario than the one *before* it."""
    return not part.explains.get(id_, frozenset()) <= before.explains[id_]


def _cause(
    part: _Part,
    own: set[str],
    judged: Mapping[str, ScenarioResult],
    contract: Contract,
    scenarios: Mapping[str, Scenario],
) -> Cause:
    words = {
        id_: [_words(_finding(sign, judged[id_])) for sign in sorted(part.explains[id_])]
        for id_ in part.explains
    }
    answers = tuple(_most_frequent(each for id_ in own for each in words[id_]))

    def how_basic(id_: str) -> tuple[bool, int, int, str]:
        # What most of them show comes first, and stands for the cause.
        unusual = bool(answers) and answers[0] not in words[id_]
        # One without a control differs from it in nothing that could be named.
        return unusual, len(judged[id_].difference) or 10_000, len(scenarios[id_].entries), id_

    rules = [
        contract.rule_name(_broken(sign, judged[id_], scenarios[id_], contract))
        for id_ in own
        for sign in part.explains[id_]
    ]
    return Cause(
        kind=part.kind,
        name=part.name,
        text=part.text,
        answers=answers,
        rules=tuple(_most_frequent(rules)),
        scenarios=tuple(sorted(own, key=how_basic)),
        shared=tuple(sorted({*part.explains} - own, key=how_basic)),
        fit=part.fit,
        like=part.like,
        compared=part.compared,
    )


def _words(finding: Finding) -> str:
    """Return what a finding says that is the same in many scenarios."""
    return finding.message if finding.message.startswith("expected ") else finding.kind


def _most_frequent(words: Iterable[str]) -> Iterator[str]:
    counted = Counter(word for word in words if word)
    yield from sorted(counted, key=lambda word: (-counted[word], word))
