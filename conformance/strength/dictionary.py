"""Make a fault dictionary from answers, keep what is still true of an old one, and compare two.

What a dictionary is, is said in :mod:`conformance.judge.dictionary`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from conformance.catalogue.agents import state_of
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.digest import given
from conformance.drivers.layout import opposite_home
from conformance.judge.dictionary import Dictionary
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.strength.bank import Bank, WrongProbe
from conformance.strength.full import Pair
from conformance.strength.worker import Answer

__all__ = ["differences", "kept", "made", "made_from", "text"]


def made_from(bank: Bank, catalogue: Catalogue) -> dict[str, Any]:
    """Return digests of all that the answers of the wrong probes of *bank* depend on.

    The suite itself is not among it: how it builds homes, runs probes and judges.
    """
    contract = bank.contract
    scenarios = [one for one in catalogue.in_contract(contract) if one.container is None]
    return {
        "contract": _digest(_contract(contract)),
        "scenarios": {one.id: _digest(_scenario(one, contract)) for one in scenarios},
        "vices": {probe.name: _digest(_probe(probe)) for probe in bank.wrong},
    }


def _digest(thing: Any) -> str:
    encoded = json.dumps(given(thing), separators=(",", ":")).encode()
    return hashlib.blake2b(encoded, digest_size=6).hexdigest()


def _contract(contract: Contract) -> Any:
    """Return what of a *contract* decides over answers; not what only people read."""
    verdicts = [replace(verdict, meaning="", action="") for verdict in contract.verdicts]
    # What the others call for is what scenarios expect.
    rules = {
        name: replace(rule, text="")
        for name, rule in contract.rules.items()
        if rule.off or rule.findings
    }
    return replace(contract, summary="", verdicts=tuple(verdicts), rules=rules)


def _scenario(scenario: Scenario, contract: Contract) -> Any:
    """Return what of a *scenario* decides over answers, with the state of its CLI."""
    state = None if contract.entrypoint is not None else state_of(scenario)
    opposite = opposite_home(scenario, contract) if contract.inputs.opposite_home else ()
    bare = replace(scenario, file="", summary="", origin="", control={}, differs="", layers={})
    bare = replace(bare, expect={contract.name: scenario.expected(contract)})
    return bare, state, opposite


def _probe(probe: WrongProbe) -> Any:
    return probe.program, probe.sources, probe.command, probe.repeat


def kept(old: Dictionary | None, now: Mapping[str, Any], contract: str) -> dict[Pair, str]:
    """Return the answers of an *old* dictionary that hold, by what it was made from and *now*.

    Each is a signature, or empty where the probe conforms.
    """
    if old is None or old.made_from.get("contract") != now["contract"]:
        return {}
    same = {}
    for kind in ("scenarios", "vices"):
        then = old.made_from.get(kind, {})
        same[kind] = {name for name, digest in now[kind].items() if then.get(name) == digest}
    scenarios = [id_ for id_ in old.scenarios if id_ in same["scenarios"]]
    found: dict[Pair, str] = {}
    for name in old.vices.keys() & same["vices"]:
        answers = _answers(old, name)
        found |= {(f"{contract}/{name}", id_): answers[id_] for id_ in scenarios}
    return found


def _answers(dictionary: Dictionary, name: str) -> dict[str, str]:
    """Return the signature of the vice called *name* in every scenario."""
    found = dict.fromkeys(dictionary.scenarios, "")
    for said, places in dictionary.vices[name].items():
        found |= {dictionary.scenarios[place]: said for place in places}
    return found


def made(
    bank: Bank,
    now: Mapping[str, Any],
    known: Mapping[Pair, str],
    answers: Mapping[Pair, Answer],
    unsteady: Collection[str],
) -> Dictionary:
    """Return the dictionary of *bank*: from *answers*, and those *known* already.

    A scenario in which some probe could not be judged is left out. *unsteady* are the names of
    probes that have answered the same scenario in two ways.
    """
    name = bank.contract.name
    said = dict(known)
    left_out = set()
    for pair, answer in answers.items():
        said[pair] = answer.signature
        if answer.result in ("broke", "unsupported") and pair[0].startswith(f"{name}/"):
            left_out.add(pair[1])
    scenarios = sorted(
        id_
        for id_ in now["scenarios"]
        if id_ not in left_out and all((probe.id, id_) in said for probe in bank.wrong)
    )
    vices: dict[str, dict[str, tuple[int, ...]]] = {}
    for probe in sorted(bank.wrong, key=lambda probe: probe.name):
        places: dict[str, list[int]] = {}
        for place, id_ in enumerate(scenarios):
            if signature := said[probe.id, id_]:
                places.setdefault(signature, []).append(place)
        vices[probe.name] = {key: tuple(found) for key, found in sorted(places.items())}
    repeated = {probe.name for probe in bank.wrong if probe.repeat > 1}
    digests = {id_: now["scenarios"][id_] for id_ in scenarios}
    return Dictionary(
        contract=name,
        version=bank.contract.version,
        scenarios=tuple(scenarios),
        vices=vices,
        unsteady=tuple(sorted(repeated.union(unsteady) & vices.keys())),
        made_from={
            "contract": now["contract"],
            "scenarios": digests,
            "not_judged": sorted(now["scenarios"].keys() - scenarios),
            "vices": dict(sorted(now["vices"].items())),
        },
    )


def text(dictionary: Dictionary) -> str:
    """Return the file of a *dictionary*: a vice, or a scenario, on each line."""
    lines = [f'{{"contract": {_json(dictionary.contract)},']
    lines.append(f'"version": {_json(dictionary.version)},')
    lines.append('"scenarios": [')
    lines.append(",\n".join(map(_json, dictionary.scenarios)))
    lines.append('],\n"vices": {')
    lines.append(_rows(dictionary.vices))
    lines.append("},")
    lines.append(f'"unsteady": {_json(dictionary.unsteady)},')
    digests = dictionary.made_from
    lines.append(f'"made_from": {{"contract": {_json(digests["contract"])},\n"scenarios": {{')
    lines.append(_rows(digests["scenarios"]))
    lines.append(f'}},\n"not_judged": {_json(digests["not_judged"])},\n"vices": {{')
    lines.append(_rows(digests["vices"]))
    lines.append("}}}")
    return "\n".join(line for line in lines if line) + "\n"


def _json(thing: Any) -> str:
    return json.dumps(thing, ensure_ascii=False)


def _rows(members: Mapping[str, Any]) -> str:
    return ",\n".join(f"{_json(name)}: {_json(value)}" for name, value in members.items())


def differences(old: Dictionary, new: Dictionary, not_judged: Collection[str]) -> Iterator[str]:
    """Yield a line for each answer that *new* has, and *old* has not so, or not at all.

    Scenarios of *old* that were *not_judged* for the new one are passed over.
    """
    for what, ours, theirs in (
        ("scenario", set(old.scenarios) - set(not_judged), set(new.scenarios)),
        ("vice", set(old.vices), set(new.vices)),
    ):
        yield from (f"{what} {name}: is not in the dictionary" for name in sorted(theirs - ours))
        yield from (f"{what} {name}: is in the dictionary only" for name in sorted(ours - theirs))
    passed_over = {*old.unsteady, *new.unsteady}
    for name in sorted(old.vices.keys() & new.vices.keys() - passed_over):
        was, now = _answers(old, name), _answers(new, name)
        for id_ in sorted(was.keys() & now.keys()):
            if was[id_] != now[id_]:
                yield f"vice {name} in {id_}: {_said(now[id_])}, not {_said(was[id_])}"


def _said(signature: str) -> str:
    return signature or "conforms"
