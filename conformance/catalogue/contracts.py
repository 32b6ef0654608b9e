"""The bundled contracts, and reading any: one TOML file each, turned into :class:`~conformance.model.contract.Contract`."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import UnsetType

from conformance.bundled import contracts_dir, fixtures_dir
from conformance.catalogue.schema import ContractFile
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

    A relative file is looked up from *base*, by default the current directory.

    :raises UsageError: it is neither.
    :raises FileError: the file is no contract.
    """
    contracts = bundled()
    if name_or_file in contracts:
        return contracts[name_or_file]
    path = (base or Path.cwd()) / name_or_file
    if not os.path.isfile(path):  # unlike Path.is_file it is not upset by names too long, or out of reach
        raise UsageError(f"no contract '{name_or_file}'", hint=f"bundled: {', '.join(contracts)}; or name a contract file")
    shape = _shape(path)
    if shape.name in contracts:
        raise FileError(str(path), f"'{shape.name}' is the name of a bundled contract", key="name", hint="choose another name")
    return _build(shape, contracts, str(path))


def _shape(path: Path) -> ContractFile:
    return convert(read_toml(path), ContractFile, name=str(path))


def _resolve(name: str, files: dict[str, ContractFile], done: dict[str, Contract]) -> None:
    if name not in done:
        if files[name].extends:
            _resolve(files[name].extends, files, done)
        done[name] = _build(files[name], done, f"{name}.toml")


def _build(shape: ContractFile, known: dict[str, Contract], file: str) -> Contract:
    if shape.extends and shape.extends not in known:
        raise FileError(file, f"no contract '{shape.extends}'", key="extends", hint=f"known: {', '.join(known)}")
    parent = known.get(shape.extends)
    for key in ("agents", "verdicts", "inputs"):
        if parent is None and isinstance(getattr(shape, key), UnsetType):
            raise FileError(file, "missing", key=key, hint="only a contract that extends another may leave it out")
    contract = Contract(
        name=shape.name,
        version=shape.version,
        summary=shape.summary,
        agents=tuple(shape.agents) if not isinstance(shape.agents, UnsetType) else parent.agents if parent else (),
        verdicts=_verdicts(shape) or (parent.verdicts if parent else ()),
        inputs=_inputs(shape) or (parent.inputs if parent else Inputs(home="HOME")),
        limits=Limits(seconds=shape.limits.seconds)
        if not isinstance(shape.limits, UnsetType)
        else parent.limits
        if parent
        else Limits(),
        reference=shape.reference,
        otherwise=_otherwise(shape, parent),
        lineage=(shape.name, *(parent.lineage if parent else ())),
        allowed_writes=_writes(shape.allowed_writes, parent.allowed_writes if parent else ()),
        entrypoint_writes=_writes(shape.entrypoint_writes, parent.entrypoint_writes if parent else ()),
        outside_writes=shape.outside_writes
        if not isinstance(shape.outside_writes, UnsetType)
        else parent.outside_writes
        if parent
        else "shown",
        commands=_commands(shape, parent),
        rules={**(parent.rules if parent else {}), **_rules(shape)},
    )
    _check_names(contract, shape, file)
    probes = sorted(path.name for path in (fixtures_dir() / "probes").glob("*.py")) if shape.reference else []
    if shape.reference and shape.reference not in probes:
        raise FileError(file, f"no reference probe '{shape.reference}'", key="reference", hint=f"bundled: {', '.join(probes)}")
    if len({v.code for v in contract.verdicts}) < 2:
        raise FileError(file, "all verdicts share one exit code", key="verdicts", hint="a contract needs two answers at least")
    return contract


def _check_names(contract: Contract, shape: ContractFile, file: str) -> None:
    """Make sure that rules and commands speak of verdicts and agents that the contract has."""
    verdicts = [verdict.name for verdict in contract.verdicts]
    for name, rule in _rules(shape).items():
        for verdict in rule.expect:
            if verdict not in verdicts:
                hint = f"allowed: {', '.join(verdicts)}"
                raise FileError(file, f"unknown verdict '{verdict}'", key=f"rules.{name}.expect", hint=hint)
        if bool(rule.expect) == bool(rule.findings):
            raise FileError(file, "needs either verdicts (expect) or findings", key=f"rules.{name}")
    if contract.commands and contract.commands.keys() != set(contract.agents):
        raise FileError(file, "needs a command for each agent, and for no other", key="commands")


def _commands(shape: ContractFile, parent: Contract | None) -> dict[str, tuple[str, ...]]:
    if isinstance(shape.commands, UnsetType):
        return parent.commands if parent else {}
    return {agent: tuple(command) for agent, command in shape.commands.items()}


def _rules(shape: ContractFile) -> dict[str, Rule]:
    rules = {}
    for name, table in shape.rules.items():
        expect: tuple[str, ...] = ()
        if not isinstance(table.expect, UnsetType):
            expect = (table.expect,) if isinstance(table.expect, str) else tuple(table.expect)
        findings = () if isinstance(table.findings, UnsetType) else tuple(table.findings)
        rules[name] = Rule(contract=shape.name, text=table.text, expect=expect, findings=findings)
    return rules


def _verdicts(shape: ContractFile) -> tuple[Verdict, ...]:
    if isinstance(shape.verdicts, UnsetType):
        return ()
    return tuple(
        Verdict(name=name, code=v.code, meaning=v.meaning, action=v.action, labels=tuple(v.labels))
        for name, v in shape.verdicts.items()
    )


def _otherwise(shape: ContractFile, parent: Contract | None) -> tuple[str, ...]:
    if isinstance(shape.otherwise, UnsetType):
        return parent.otherwise if parent else ("retry",)
    return (shape.otherwise,) if isinstance(shape.otherwise, str) else tuple(shape.otherwise)


def _inputs(shape: ContractFile) -> Inputs | None:
    if isinstance(shape.inputs, UnsetType):
        return None
    return Inputs(home=shape.inputs.home, agent=shape.inputs.agent, opposite_home=shape.inputs.opposite_home)


def _writes(listed: list[str] | UnsetType, inherited: tuple[str, ...]) -> tuple[str, ...]:
    return inherited if isinstance(listed, UnsetType) else tuple(listed)
