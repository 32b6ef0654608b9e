"""Scenario files to scenarios: one, or a family of them, each checked against the contracts it speaks of."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import UNSET, UnsetType

from conformance.catalogue.agents import cli_state
from conformance.catalogue.entries import entries_of, merge
from conformance.catalogue.layers import layer
from conformance.catalogue.schema import USER, VARIANT, ContainerTable, FamilyFile, ScenarioFile
from conformance.catalogue.toml import convert, read_toml
from conformance.errors import FileError
from conformance.model.agent import HEALTHY
from conformance.model.contract import Contract
from conformance.model.placeholders import Context, check, expand
from conformance.model.scenario import ContainerNeeds, Scenario
from conformance.text import one_line

__all__ = ["read_scenarios"]

_ID = re.compile(r"[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9.-]*)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: The highest number of a user or a group that container engines start anything as.
_LAST_USER = 2**31 - 1
#: Only for judging what a value comes out as; no probe is ever run with it.
_ANYWHERE = Context(now=0, seed="", home="/home")


def read_scenarios(path: Path, root: Path, contracts: Mapping[str, Contract]) -> list[Scenario]:
    """Return the scenario in *path*, or all of its family; ids count from *root*.

    :raises FileError: with the file and the key that is wrong.
    """
    name = str(path)
    id_ = path.relative_to(root).with_suffix("").as_posix()
    if not _ID.fullmatch(id_) or id_.endswith(".toml"):
        raise FileError(name, f"'{id_}' is no id", hint="use lower-case letters, digits, '-' and '.' in file and directory names")
    if os.path.exists(path) and not os.path.isfile(path):  # opening a FIFO would wait for ever
        raise FileError(name, "is no regular file")
    raw = read_toml(path)
    if "variants" not in raw:
        return [_scenario(convert(raw, ScenarioFile, name=name), id_, name, root, contracts)]
    for variant in raw["variants"] if isinstance(raw["variants"], dict) else ():
        if not re.fullmatch(VARIANT, variant):
            hint = "use lower-case letters, digits, '-' and '.'"
            raise FileError(name, f"'{variant}' is no name of a variant", key="variants", hint=hint)
    convert(raw, FamilyFile, name=name)
    shared = {key: value for key, value in raw.items() if key != "variants"}
    found = []
    for variant, table in raw["variants"].items():
        try:
            shape = convert(_merged(shared, table), ScenarioFile, name=name)
            found.append(_scenario(shape, f"{id_}/{variant}", name, root, contracts, variant))
        except FileError as e:
            if e.file != name:  # a layer's
                raise
            key = f"variants.{variant}.{e.key}".rstrip(".")
            raise FileError(name, e.detail, key=key, hint=e.hint) from None
    return found


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a family's tables with those of a variant: tables are merged, all else takes the place of what was there.

    What one file of the HOME holds is such an "all else".
    """
    merged = dict(shared)
    for key, value in own.items():
        there = shared.get(key)
        inside = isinstance(value, dict) and isinstance(there, dict) and path != ("home", "files")
        merged[key] = _merged(there, value, (*path, key)) if inside else value  # type: ignore[arg-type]
    return merged


def _scenario(
    shape: ScenarioFile, id_: str, name: str, root: Path, contracts: Mapping[str, Contract], variant: str = ""
) -> Scenario:
    """Return what *shape*, read from the file called *name*, describes."""
    expect = {c: (v,) if isinstance(v, str) else tuple(v) for c, v in shape.expect.items()}
    layers = [layer(wanted, name=name, root=root) for wanted in shape.home.include]
    entries = merge([*layers, entries_of(shape.home.files, name=name)], name=name)
    cli = cli_state(shape.cli.state, name=name)
    scenario = Scenario(
        id=id_,
        file=name,
        summary=one_line(shape.summary),
        origin=one_line(shape.origin),
        agent=shape.agent,
        control={"": shape.control} if isinstance(shape.control, str) else shape.control,
        expect=expect,
        entries=entries,
        cli=cli.name,
        waits=cli.waits or any(entry.kind == "fifo" for entry in entries),
        env=shape.env.set,
        unset=tuple(shape.env.unset),
        container=_container(shape.container, name),
        rules={c: (r,) if isinstance(r, str) else tuple(r) for c, r in shape.rules.items()},
        variant=variant,
    )
    _check_expectations(scenario, contracts)
    _check_rules(scenario, contracts)
    _check_environment(scenario)
    return scenario


def _container(table: ContainerTable | UnsetType, name: str) -> ContainerNeeds | None:
    if isinstance(table, UnsetType):
        return None
    user = "" if isinstance(table.user, UnsetType) else table.user
    if table.user is not UNSET and not (re.fullmatch(USER, user) and max(map(int, user.split(":"))) <= _LAST_USER):
        hint = f"write it as '10001' or '10001:0'; numbers go up to {_LAST_USER}"
        raise FileError(name, f"{user!r} is no numeric user", key="container.user", hint=hint)
    owner = None if isinstance(table.home_owner, UnsetType) else table.home_owner
    needs = ContainerNeeds(user=user, home_owner=owner, home_read_only=table.home_read_only)
    if needs == ContainerNeeds():
        hint = f"give one of {', '.join(ContainerNeeds.__struct_fields__)}, or leave the table out"
        raise FileError(name, "asks for nothing", key="container", hint=hint)
    return needs


def _check_expectations(scenario: Scenario, contracts: Mapping[str, Contract]) -> None:
    for name, verdicts in scenario.expect.items():
        if name not in contracts:
            hint = f"known: {', '.join(contracts)}; a contract of your own is named with --contract FILE"
            raise FileError(scenario.file, f"no contract '{name}'", key=f"expect.{name}", hint=hint)
        contract = contracts[name]
        if contract.commands and scenario.cli != HEALTHY:
            raise FileError(scenario.file, f"'{name}' asks the CLI itself, which no stub can stand for", key="cli.state")
        known = [v.name for v in contract.verdicts]
        for verdict in verdicts:
            if verdict not in known:
                raise FileError(
                    scenario.file, f"unknown verdict '{verdict}'", key=f"expect.{name}", hint=f"allowed: {', '.join(known)}"
                )
        if len(set(verdicts)) < len(verdicts):
            raise FileError(scenario.file, "a verdict stands there twice", key=f"expect.{name}")
        if scenario.agent not in contract.agents:
            hint = f"allowed under '{name}': {', '.join(contract.agents)}"
            raise FileError(scenario.file, f"unknown agent '{scenario.agent}'", key="agent", hint=hint)


def _check_rules(scenario: Scenario, contracts: Mapping[str, Contract]) -> None:
    for name, rules in scenario.rules.items():
        if name not in scenario.expect:
            raise FileError(scenario.file, f"it expects nothing under '{name}'", key=f"rules.{name}")
        for rule in rules:
            if rule not in contracts[name].rules:
                hint = f"known: {', '.join(contracts[name].rules)}" if contracts[name].rules else "the contract names none"
                raise FileError(scenario.file, f"no rule '{rule}'", key=f"rules.{name}", hint=hint)


def _check_environment(scenario: Scenario) -> None:
    for name in (*scenario.env, *scenario.unset):
        if not _VARIABLE.fullmatch(name):
            raise FileError(scenario.file, f"'{name}' is no name of a variable", key="env")
    for name, value in scenario.env.items():
        if name in scenario.unset:
            raise FileError(scenario.file, f"'{name}' is both set and unset", key="env")
        if wrong := check(value) or ("a NUL cannot be handed to a program" if "\0" in expand(value, _ANYWHERE) else ""):
            raise FileError(scenario.file, wrong, key=f"env.set.{name}")
