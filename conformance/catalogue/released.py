"""What each version of a bundled contract demanded, as it is recorded beside the contracts.

A record holds the contract as it stood, and of each scenario what was expected, by which rules, and
the digest of what it asks. Homes are not part of it: a test holds that they stay as they were.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from conformance.bundled import contracts_dir, scenarios_dir
from conformance.catalogue.agents import state_of
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.digest import digest, state_digest
from conformance.errors import CannotJudge, FileError, UsageError
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario

__all__ = [
    "Demanded",
    "Record",
    "catalogue_as_of",
    "contract_as_of",
    "read_record",
    "recorded",
    "records_dir",
    "since",
    "versions",
    "withdrawn",
]


class Demanded(Struct, frozen=True, kw_only=True):
    """What a version of a contract demanded in one scenario."""

    expect: tuple[str, ...]
    """The verdicts that conform."""
    rules: tuple[str, ...] = ()
    """The short names of the rules that decide, the first one first."""
    digest: str
    """Stands for what the scenario asks."""


class Record(Struct, frozen=True, kw_only=True):
    """What one version of a contract demanded."""

    contract: Contract
    states: dict[str, str]
    """The states of CLIs in its scenarios, each with its digest."""
    scenarios: dict[str, Demanded]


class _Ids(Struct):
    scenarios: dict[str, Raw]


_RECORD, _IDS, _REASONS = Decoder(Record), Decoder(_Ids), Decoder(dict[str, str])
_NUMBERS = re.compile(r"(\d+)")


def records_dir() -> Path:
    """Return the directory of the records."""
    return contracts_dir() / "released"


def versions(contract: str) -> list[str]:
    """Return the recorded versions of the bundled *contract*, oldest first."""
    files = records_dir().glob(f"{contract}-*.json")
    found = [file.stem.removeprefix(f"{contract}-") for file in files]
    return sorted((version for version in found if version[:1].isdigit()), key=_in_order)


def read_record(contract: str, version: str) -> Record:
    """Return what *version* of the bundled *contract* demanded.

    :raises UsageError: there is no record of such a version.
    """
    known = versions(contract)
    if not known:
        hint = "leave out --as-of: only bundled contracts have recorded versions"
        raise UsageError(f"contract '{contract}' has no recorded versions", hint=hint)
    if version not in known:
        hint = f"there is {', '.join(known)}"
        raise UsageError(f"contract '{contract}' has no version '{version}'", hint=hint)
    file = records_dir() / f"{contract}-{version}.json"
    try:
        return _RECORD.decode(file.read_bytes())
    except (DecodeError, OSError) as e:
        raise FileError(str(file), f"cannot be read: {e}", hint="install the suite anew") from None


def recorded(contract: Contract, catalogue: Catalogue) -> Record:
    """Return the record of what *contract* demands today, of the bundled scenarios."""
    scenarios = [one for one in catalogue.in_contract(contract) if _is_bundled(one)]
    demanded = {
        scenario.id: Demanded(
            expect=scenario.expected(contract),
            rules=scenario.cites(contract),
            digest=digest(scenario),
        )
        for scenario in scenarios
    }
    states = {scenario.cli: state_digest(state_of(scenario)) for scenario in scenarios}
    return Record(contract=contract, states=dict(sorted(states.items())), scenarios=demanded)


def withdrawn() -> dict[str, str]:
    """Return the scenarios that no version demands any more, though it has, and why not."""
    return _REASONS.decode((records_dir() / "withdrawn.json").read_bytes())


def since(contract: Contract, scenarios: Iterable[Scenario]) -> dict[str, str]:
    """Return the version of *contract* that each of *scenarios* came with, by id.

    A bundled one that no record has comes with the present version. The user's own are left out,
    and all where the contract is no bundled one.
    """
    came: dict[str, str] = {}
    for version in versions(contract.name):
        record = records_dir() / f"{contract.name}-{version}.json"
        for id_ in _IDS.decode(record.read_bytes()).scenarios:
            came.setdefault(id_, version)
    if not came:
        return {}
    return {one.id: came.get(one.id, contract.version) for one in scenarios if _is_bundled(one)}


def contract_as_of(contract: Contract, version: str) -> Contract:
    """Return *contract* as it stood in its *version*.

    Rules that came later are off, so that what they are about is no finding.

    :raises UsageError: there is no record of such a version.
    """
    then = read_record(contract.name, version).contract
    later = {
        name: replace(rule, off=True)
        for name, rule in contract.rules.items()
        if name not in then.rules
    }
    return replace(then, rules=then.rules | later)


def catalogue_as_of(
    catalogue: Catalogue, contract: Contract, patterns: Collection[str] = ()
) -> Catalogue:
    """Return *catalogue* with what the version of *contract* demanded, and with the user's own.

    :raises UsageError: one of *patterns* is the id of a scenario that came later.
    :raises CannotJudge: a scenario of that version is gone.
    """
    record = read_record(contract.name, contract.version)
    gone = withdrawn()
    demanded = {id_: one for id_, one in record.scenarios.items() if id_ not in gone}
    if missing := sorted(demanded.keys() - catalogue.scenarios.keys()):
        cause = f"version {contract.version} of contract '{contract.name}' demands {missing[0]}"
        raise CannotJudge(f"{cause}, which is not there", hint="install the suite anew")
    for pattern in patterns:
        scenario = catalogue.scenarios.get(pattern)
        if scenario is not None and _is_bundled(scenario) and pattern not in demanded:
            cause = f"version {contract.version} of contract '{contract.name}' does not demand"
            raise UsageError(f"{cause} '{pattern}'", hint="leave out --as-of, or name another")
    scenarios = {
        id_: _as_demanded(scenario, contract.name, demanded)
        for id_, scenario in catalogue.scenarios.items()
    }
    return catalogue.with_scenarios(scenarios)


def _as_demanded(scenario: Scenario, contract: str, demanded: Mapping[str, Demanded]) -> Scenario:
    """Return *scenario* with what was demanded of it, if anything was; the user's own as it is."""
    if not _is_bundled(scenario):
        return scenario
    if scenario.id not in demanded:  # still there as the control of another
        return replace(scenario, expect={})
    then = demanded[scenario.id]
    return replace(scenario, expect={contract: then.expect}, rules={contract: then.rules})


def _is_bundled(scenario: Scenario) -> bool:
    return Path(scenario.file).is_relative_to(scenarios_dir())


def _in_order(version: str) -> list[tuple[int, str]]:
    """Return what versions are sorted by: 2 comes before 10."""
    return [
        (int(part or 0), "") if part.isdigit() else (0, part) for part in _NUMBERS.split(version)
    ]
