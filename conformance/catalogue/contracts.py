"""Read contracts, bundled or your own: each is one TOML file."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from conformance.bundled import contracts_dir
from conformance.catalogue.contract_builder import build_contract
from conformance.catalogue.contract_schema import ContractFile
from conformance.catalogue.toml import convert, read_toml
from conformance.errors import FileError, UsageError
from conformance.model.contract import Contract

__all__ = ["bundled", "files", "for_agent", "is_bundled", "load"]


def bundled() -> dict[str, Contract]:
    """Return the contracts that ship with the suite, by name."""
    contracts: dict[str, Contract] = {}
    shapes = {path.stem: _shape(path) for path in sorted(contracts_dir().glob("*.toml"))}
    for name in shapes:
        _resolve(name, shapes, contracts)
    return contracts


def is_bundled(name: str) -> bool:
    """Return whether a contract called *name* ships with the suite; no file is read for that."""
    return (contracts_dir() / f"{name}.toml").is_file()


def load(name_or_file: str, *, base: Path | None = None) -> Contract:
    """Return the bundled contract called *name_or_file*, or the one in that file.

    A relative path counts from *base*, by default the current directory.

    :raises UsageError: there is neither such a contract nor such a file.
    :raises FileError: the file is not a contract.
    """
    contracts = bundled()
    if name_or_file in contracts:
        return contracts[name_or_file]
    path = (base or Path.cwd()) / name_or_file
    # Unlike Path.is_file, this does not raise for a name that is too long or out of reach.
    if not os.path.isfile(path):
        if name_or_file.endswith(".toml") or os.sep in name_or_file:
            hint = "correct the path, or name a bundled contract"
            raise UsageError(f"no contract file {name_or_file}", hint=hint)
        hint = f"bundled: {', '.join(contracts)}; or name a contract file"
        raise UsageError(f"no contract '{name_or_file}'", hint=hint)
    shape = _shape(path)
    if shape.name in contracts:
        wrong = f"'{shape.name}' is the name of a bundled contract"
        raise FileError(str(path), wrong, key="name", hint="choose another name")
    return build_contract(shape, contracts, str(path))


def files(name_or_file: str, contract: Contract, *, base: Path | None = None) -> list[Path]:
    """Return the files that *contract*, loaded as *name_or_file*, is read from.

    Its own comes first, then those of the contracts that it extends, nearest first.
    """
    known = {path.stem: path for path in contracts_dir().glob("*.toml")}
    own = known.get(name_or_file, (base or Path.cwd()) / name_or_file)
    return [own, *(known[name] for name in contract.lineage[1:])]


def for_agent(contract: Contract, agent: str) -> Contract:
    """Return *contract* for *agent* alone; *contract* itself if *agent* is empty.

    :raises UsageError: the contract does not cover that agent.
    """
    if not agent:
        return contract
    if agent not in contract.agents:
        hint = f"its agents: {', '.join(contract.agents)}"
        raise UsageError(f"contract '{contract.name}' has no agent '{agent}'", hint=hint)
    commands = {name: argv for name, argv in contract.commands.items() if name == agent}
    return replace(contract, agents=(agent,), commands=commands)


def _shape(path: Path) -> ContractFile:
    return convert(read_toml(path), ContractFile, name=str(path))


def _resolve(name: str, files: dict[str, ContractFile], done: dict[str, Contract]) -> None:
    if name not in done:
        if files[name].extends:
            _resolve(files[name].extends, files, done)
        done[name] = build_contract(files[name], done, f"{name}.toml")
