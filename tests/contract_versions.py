"""Records of what each version of a contract demands: make those of versions that are not released, and release them.

    python tests/contract_versions.py            # after a change of a contract or of the catalogue
    python tests/contract_versions.py --release  # with a release of the suite: from then on they stay as they are

What is released is listed in conformance/contracts/released/SHA256SUMS.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from conformance.catalogue import contracts
from conformance.catalogue.agents import cli_state
from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.catalogue.digest import digest, state_digest
from conformance.catalogue.released import (
    Record,
    read_record,
    recorded,
    records_dir,
    versions,
    withdrawn,
)
from conformance.model.contract import Contract

COMMAND = "python tests/contract_versions.py"


def file_of(contract: Contract) -> Path:
    return records_dir() / f"{contract.name}-{contract.version}.json"


def sums_file() -> Path:
    return records_dir() / "SHA256SUMS"


def text_of(record: Record) -> str:
    """Return a record as it is written: a rule or a scenario a line, so that a difference can be read."""
    contract = msgspec.to_builtins(record.contract)
    rules = contract.pop("rules")
    contract_text = _lines(contract).removesuffix("\n}") + f',\n"rules": {_lines(rules)}\n}}'
    scenarios = {id_: msgspec.to_builtins(one) for id_, one in sorted(record.scenarios.items())}
    return (
        f'{{"contract": {contract_text},\n"states": {_lines(record.states)},\n'
        f'"scenarios": {_lines(scenarios)}}}\n'
    )


def _lines(members: Mapping[str, Any]) -> str:
    """Return a JSON object with each of its *members* on a line."""
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in members.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def released() -> dict[str, str]:
    """Return the names of released records, each with the digest of its file."""
    lines = sums_file().read_text().splitlines()
    return {name: sha for sha, _, name in (line.partition("  ") for line in lines)}


def demands(record: Record) -> Record:
    """Return a record without words, which may be put better at any time."""
    contract = record.contract
    rules = {name: msgspec.structs.replace(rule, text="") for name, rule in contract.rules.items()}
    verdicts = tuple(msgspec.structs.replace(one, meaning="") for one in contract.verdicts)
    bare = msgspec.structs.replace(
        contract, summary="", reference="", rules=rules, verdicts=verdicts
    )
    return msgspec.structs.replace(record, contract=bare)


def complaints(catalogue: Catalogue, known: dict[str, Contract]) -> Iterator[str]:
    """Yield what is wrong with the records, and what to do about it, a line each."""
    frozen = released()
    for name, sha in frozen.items():
        file = records_dir() / name
        if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != sha:
            yield f"{name} is released, and not what it was: take it back from git"
    for contract in known.values():
        file = file_of(contract)
        now = recorded(contract, catalogue)
        if file.name not in frozen:
            if not file.exists() or file.read_text() != text_of(now):
                yield f"{file.name} is not what the catalogue demands: {COMMAND}"
        elif demands(now) != demands(read_record(contract.name, contract.version)):
            later = f"give {contract.name}.toml the next version, and then: {COMMAND}"
            yield f"{file.name} is released, and the catalogue demands otherwise: {later}"
        for version in versions(contract.name):
            if f"{contract.name}-{version}.json" in frozen:
                yield from _changed(read_record(contract.name, version), catalogue)
            elif version != contract.version:
                yield f"{contract.name}-{version}.json was never released: remove it"


def _changed(record: Record, catalogue: Catalogue) -> Iterator[str]:
    """Yield the scenarios of a record that are gone, or ask something else by now."""
    where = f"version {record.contract.version} of {record.contract.name}"
    way_out = "bring it back under its id, or say in withdrawn.json why nobody is asked it any more"
    for id_ in sorted(record.scenarios.keys() - withdrawn().keys()):
        scenario = catalogue.scenarios.get(id_)
        if scenario is None:
            yield f"{id_}, which {where} demands, is gone: {way_out}"
        elif digest(scenario) != record.scenarios[id_].digest:
            yield f"{id_} asks something else than in {where}: {way_out}"
    for name, known in record.states.items():
        if state_digest(cli_state(name)) != known:
            yield f"the CLI state {name} is not what it was in {where}: write a new state beside it"


def write_records(catalogue: Catalogue, known: dict[str, Contract]) -> Iterator[str]:
    """Write the records of versions that are not released; yield a line for each that is new."""
    frozen = released()
    for contract in known.values():
        file = file_of(contract)
        text = text_of(recorded(contract, catalogue))
        if file.name not in frozen and (not file.exists() or file.read_text() != text):
            file.write_text(text)
            yield f"written: {file.name}"


def release() -> Iterator[str]:
    """Freeze the records that are not released yet; yield a line for each."""
    frozen = released()
    for file in sorted(records_dir().glob("*-*.json")):
        if file.name not in frozen:
            frozen[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
            yield f"released: {file.name}"
    lines = [f"{sha}  {name}\n" for name, sha in sorted(frozen.items())]
    sums_file().write_text("".join(lines))


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--release"]):
        print(__doc__, file=sys.stderr)
        return 2
    catalogue, known = load_catalogue(), contracts.bundled()
    for line in write_records(catalogue, known):
        print(line)
    wrong = list(dict.fromkeys(complaints(catalogue, known)))
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        return 1
    for line in release() if arguments else ():
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
