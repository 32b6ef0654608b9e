"""Read contracts, bundled or your own: each is one TOML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict, replace

from conformance.bundled import contracts_dir, fixtures_dir
from conformance.catalogue.schema import ContractFile, listed
from conformance.catalogue.toml import convert, read_toml
from conformance.errors import FileError, UsageError
from conformance.model.contract import Contract, Inputs, Limits, Rule, Verdict

__all__ = ["bundled", "load"]


def bundled() -> dict[str, Contract]:
    """Return the contracts that ship with the suite, by name."""
    contracts: dict[str, Contract] = {}
    files = {path.stem: _shape(path) for path in sorted(contracts_dir().glob("*.toml"))}
    for name in files:
        _resolve(name, files, contracts)
    return contracts


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
        hint = f"bundled: {', '.join(contracts)}; or name a contract file"
        raise UsageError(f"no contract '{name_or_file}'", hint=hint)
    shape = _shape(path)
    if shape.name in contracts:
        wrong = f"'{shape.name}' is the name of a bundled contract"
        raise FileError(str(path), wrong, key="name", hint="choose another name")
    return _build(shape, contracts, str(path))


def _shape(path: Path) -> ContractFile:
    return convert(read_toml(path), ContractFile, name=str(path))


def _resolve(name: str, files: dict[str, ContractFile], done: dict[str, Contract]) -> None:
    if name not in done:
        if files[name].extends:
            _resolve(files[name].extends, files, done)
        done[name] = _build(files[name], done, f"{name}.toml")


def _build(shape: ContractFile, known: Mapping[str, Contract], file: str) -> Contract:
    """Return the contract that *shape* describes; what it leaves out comes from its parent."""
    parent = _parent(shape, known, file)
    contract = replace(
        parent,
        name=shape.name,
        version=shape.version,
        summary=shape.summary,
        verdicts=_verdicts(shape) or parent.verdicts,
        reference=shape.reference,
        lineage=(shape.name, *parent.lineage),
        rules={**parent.rules, **_rules(shape)},
        **_given(shape),
    )
    _check_names(contract, shape, file)
    _check_reference(shape, file)
    if len({verdict.code for verdict in contract.verdicts}) < 2:
        hint = "a contract needs at least two answers"
        raise FileError(file, "all verdicts share one exit code", key="verdicts", hint=hint)
    return contract


def _parent(shape: ContractFile, known: Mapping[str, Contract], file: str) -> Contract:
    """Return the contract that *shape* extends; an empty one if it extends none."""
    if shape.extends in known:
        return known[shape.extends]
    if shape.extends:
        hint = f"known: {', '.join(known)}"
        raise FileError(file, f"no contract '{shape.extends}'", key="extends", hint=hint)
    for key in ("agents", "verdicts", "inputs"):
        if getattr(shape, key) is UNSET:
            hint = "only a contract that extends another may leave it out"
            raise FileError(file, "missing", key=key, hint=hint)
    return Contract(
        name="", version="", summary="", agents=(), verdicts=(), inputs=Inputs(home="HOME")
    )


def _given(shape: ContractFile) -> dict[str, Any]:
    """Return what the file says of the attributes that a contract inherits."""
    given: dict[str, Any] = {}
    for key in ("agents", "allowed_writes", "entrypoint_writes"):
        if getattr(shape, key) is not UNSET:
            given[key] = tuple(getattr(shape, key))
    if not isinstance(shape.inputs, UnsetType):
        given["inputs"] = Inputs(**asdict(shape.inputs))
    if not isinstance(shape.limits, UnsetType):
        given["limits"] = Limits(**asdict(shape.limits))
    if not isinstance(shape.otherwise, UnsetType):
        given["otherwise"] = listed(shape.otherwise)
    if not isinstance(shape.outside_writes, UnsetType):
        given["outside_writes"] = shape.outside_writes
    if not isinstance(shape.commands, UnsetType):
        commands = shape.commands
        given["commands"] = {agent: tuple(command) for agent, command in commands.items()}
    return given


def _check_names(contract: Contract, shape: ContractFile, file: str) -> None:
    """Make sure that rules and commands only name verdicts and agents of the contract."""
    verdicts = [verdict.name for verdict in contract.verdicts]
    hint = f"allowed: {', '.join(verdicts)}"
    for name, rule in _rules(shape).items():
        for verdict in rule.expect:
            if verdict not in verdicts:
                wrong = f"unknown verdict '{verdict}'"
                raise FileError(file, wrong, key=f"rules.{name}.expect", hint=hint)
        if bool(rule.expect) == bool(rule.findings):
            raise FileError(file, "needs either verdicts (expect) or findings", key=f"rules.{name}")
    if contract.commands and contract.commands.keys() != set(contract.agents):
        raise FileError(file, "needs a command for each agent, and for no other", key="commands")


def _check_reference(shape: ContractFile, file: str) -> None:
    if not shape.reference:
        return
    probes = sorted(path.name for path in (fixtures_dir() / "probes").glob("*.py"))
    if shape.reference not in probes:
        hint = f"bundled: {', '.join(probes)}"
        raise FileError(file, f"no reference probe '{shape.reference}'", key="reference", hint=hint)


def _rules(shape: ContractFile) -> dict[str, Rule]:
    rules = {}
    for name, table in shape.rules.items():
        expect = () if isinstance(table.expect, UnsetType) else listed(table.expect)
        findings = () if isinstance(table.findings, UnsetType) else tuple(table.findings)
        rules[name] = Rule(contract=shape.name, text=table.text, expect=expect, findings=findings)
    return rules


def _verdicts(shape: ContractFile) -> tuple[Verdict, ...]:
    if isinstance(shape.verdicts, UnsetType):
        return ()
    verdicts = []
    for name, table in shape.verdicts.items():
        verdict = Verdict(
            name=name,
            code=table.code,
            meaning=table.meaning,
            action=table.action,
            labels=tuple(table.labels),
        )
        verdicts.append(verdict)
    return tuple(verdicts)
