"""Read a scenario file: one scenario or a family, checked against the contracts it names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from conformance.bundled import scenarios_dir
from conformance.catalogue.agents import cli_state, cli_states, state_file, state_in
from conformance.catalogue.entries import entries_of, merge
from conformance.catalogue.entry_schema import HomeTable
from conformance.catalogue.entrypoints import check_started, start_of
from conformance.catalogue.layers import layer
from conformance.catalogue.login import LoginReader, read_login
from conformance.catalogue.schema import (
    USER,
    VARIANT,
    ContainerTable,
    FamilyFile,
    ScenarioFile,
    listed,
)
from conformance.catalogue.steps import StepReader, deciding_step, read_steps
from conformance.catalogue.surroundings import (
    check_path,
    check_value,
    check_variables,
    home_name,
    inputs_of,
    process,
)
from conformance.catalogue.toml import convert, read_toml
from conformance.errors import FileError
from conformance.model.agent import HEALTHY, CliState, named
from conformance.model.contract import Contract
from conformance.model.scenario import PATH_PLACEHOLDER, ContainerNeeds, Entry, Scenario
from conformance.model.story import ChangeCli, Check, Claim, Step
from conformance.text import one_line

__all__ = ["parsed_scenario", "read_scenarios"]

_ID = re.compile(r"[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9.-]*)*")
#: The highest number of a user or group that container engines accept.
_LAST_USER = 2**31 - 1


def read_scenarios(path: Path, root: Path, contracts: Mapping[str, Contract]) -> list[Scenario]:
    """Return the scenario in *path*, or all scenarios of its family; ids count from *root*.

    :raises FileError: names the file and the key that is wrong.
    """
    name = str(path)
    id_ = path.relative_to(root).with_suffix("").as_posix()
    if not _ID.fullmatch(id_) or id_.endswith(".toml"):
        hint = "use lower-case letters, digits, '-' and '.' in file and directory names"
        raise FileError(name, f"'{id_}' is not an id", hint=hint)
    if os.path.exists(path) and not os.path.isfile(path):  # opening a FIFO would wait for ever
        raise FileError(name, "is not a regular file")
    raw = read_toml(path)
    if "variants" in raw:
        return _family(raw, id_, name, root, contracts)
    return [_scenario(convert(raw, ScenarioFile, name=name), id_, name, root, contracts)]


def parsed_scenario(table: dict[str, Any], id_: str, contracts: Mapping[str, Contract]) -> Scenario:
    """Return the scenario that *table* describes, with the bundled layers and states.

    :raises FileError: names the key that is wrong.
    """
    name = f"{id_}.toml"
    return _scenario(convert(table, ScenarioFile, name=name), id_, name, scenarios_dir(), contracts)


def _family(
    raw: dict[str, Any], id_: str, name: str, root: Path, contracts: Mapping[str, Contract]
) -> list[Scenario]:
    """Return the scenarios of the family in *raw*, read from the file called *name*."""
    _check_variants(raw["variants"], name)
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


def _check_variants(variants: Any, name: str) -> None:
    """Make sure that variants have good names; their tables are checked later."""
    if not isinstance(variants, dict):
        return
    for variant in variants:
        if not re.fullmatch(VARIANT, variant):
            hint = "use lower-case letters, digits, '-' and '.'"
            raise FileError(name, f"'{variant}' is not a variant name", key="variants", hint=hint)


def _merged(
    shared: Mapping[str, Any], own: Mapping[str, Any], path: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the tables of a family merged with those of a variant.

    Anything but a table replaces what was there; so does the table of one file of the HOME.
    """
    merged = dict(shared)
    for key, value in own.items():
        there = shared.get(key)
        both_tables = isinstance(value, dict) and isinstance(there, dict)
        if both_tables and path not in (("home", "files"), ("earlier", "files")):
            merged[key] = _merged(shared[key], value, (*path, key))
        else:
            merged[key] = value
    return merged


def _scenario(
    shape: ScenarioFile,
    id_: str,
    name: str,
    root: Path,
    contracts: Mapping[str, Contract],
    variant: str = "",
) -> Scenario:
    """Return what *shape*, read from the file called *name*, describes."""
    layers = {wanted: layer(wanted, name=name, root=root) for wanted in shape.home.include}
    entries = _entries(shape.home, name, root)
    own_root = root if root != scenarios_dir() else None
    cli_file = state_file(shape.cli.state, name=name, root=own_root)
    cli = state_in(cli_file)
    _check_place(cli, shape.agent, entries, name)
    named = tuple(contracts[one] for one in shape.expect if one in contracts)
    reader = StepReader(file=name, root=root, own_root=own_root, agent=shape.agent, contracts=named)
    steps = read_steps(shape.steps, entries, reader)
    login = read_login(shape.login, LoginReader(file=name, root=root, contracts=named))
    scenario = Scenario(
        id=id_,
        file=name,
        summary=one_line(shape.summary),
        origin=one_line(shape.origin),
        agent=shape.agent,
        control={"": shape.control} if isinstance(shape.control, str) else shape.control,
        expect={contract: listed(verdicts) for contract, verdicts in shape.expect.items()},
        entries=entries,
        cli=cli.name,
        cli_file="" if cli.name in cli_states() else str(cli_file),
        waits=_waits(cli, entries, steps) or (login is not None and login.waits),
        inputs=inputs_of(shape.inputs),
        inputs_unset=tuple(shape.inputs.unset),
        env=shape.env.set,
        unset=tuple(shape.env.unset),
        process=process(shape.process, name),
        home_name=home_name(shape.home.name, name),
        earlier=_entries(shape.earlier, name, root) if shape.earlier is not UNSET else None,
        container=_container(shape.container, name),
        rules={contract: listed(rules) for contract, rules in shape.rules.items()},
        layers=layers,
        differs="" if isinstance(shape.differs, UnsetType) else one_line(shape.differs),
        variant=variant,
        steps=steps,
        start=start_of(shape.start, name, root),
        login=login,
    )
    check_started(scenario, contracts)
    _check_expectations(scenario, contracts)
    if scenario.steps:
        scenario = _with_deciding_rules(scenario, contracts)
    _check_rules(scenario, contracts)
    _check_inputs(scenario, contracts)
    _check_environment(scenario)
    return scenario


def _waits(cli: CliState, entries: Sequence[Entry], steps: Sequence[Step]) -> bool:
    """Return whether a right probe may only wait: for a FIFO, or a CLI in some state."""
    if cli.waits or any(entry.kind == "fifo" for entry in entries):
        return True
    changes = [step.action for step in steps if isinstance(step.action, ChangeCli)]
    states = [state_in(Path(c.file)) if c.file else cli_state(c.state) for c in changes]
    return any(state.waits for state in states)


def _entries(table: HomeTable, name: str, root: Path) -> tuple[Entry, ...]:
    """Return the entries of the home that *table*, in the file called *name*, describes."""
    layers = [layer(wanted, name=name, root=root) for wanted in table.include]
    return merge([*layers, entries_of(table.files, name=name)], name=name)


def _check_place(cli: CliState, agent: str, entries: Sequence[Entry], name: str) -> None:
    """Make sure that what *cli* has in the HOME is not in the way of the scenario's *entries*.

    :raises FileError: it is.
    """
    own = tuple(named(cli.home, agent))
    taken = {entry.path for entry in own} & {entry.path for entry in entries}
    for path in sorted(taken):
        wrong = f"the CLI in the state '{cli.name}' has a file of that name in the HOME"
        raise FileError(name, wrong, key=f"home.files.{path}")
    merge([tuple(entries), own], name=name)


def _container(table: ContainerTable | UnsetType, name: str) -> ContainerNeeds | None:
    if isinstance(table, UnsetType):
        return None
    user = "" if isinstance(table.user, UnsetType) else table.user
    if table.user is not UNSET and not _is_user(user):
        hint = f"write it as '10001' or '10001:0'; numbers go up to {_LAST_USER}"
        raise FileError(name, f"{user!r} is not a numeric user", key="container.user", hint=hint)
    owner = None if isinstance(table.home_owner, UnsetType) else table.home_owner
    needs = ContainerNeeds(user=user, home_owner=owner, home_read_only=table.home_read_only)
    if needs == ContainerNeeds():
        hint = f"give one of {', '.join(ContainerNeeds.__struct_fields__)}, or leave the table out"
        raise FileError(name, "asks for nothing", key="container", hint=hint)
    return needs


def _is_user(user: str) -> bool:
    if not re.fullmatch(USER, user):
        return False
    return max(int(number) for number in user.split(":")) <= _LAST_USER


def _check_expectations(scenario: Scenario, contracts: Mapping[str, Contract]) -> None:
    file = scenario.file
    for name, verdicts in scenario.expect.items():
        key = f"expect.{name}"
        if name not in contracts:
            known = ", ".join(contracts)
            hint = f"known: {known}; a contract of your own is named with --contract FILE"
            raise FileError(file, f"no contract '{name}'", key=key, hint=hint)
        contract = contracts[name]
        if contract.commands and scenario.cli != HEALTHY:
            wrong = f"'{name}' asks the CLI itself, which no stub can stand for"
            raise FileError(file, wrong, key="cli.state")
        _check_verdicts(verdicts, contract, file, key)
        if scenario.agent not in contract.agents:
            hint = f"allowed under '{name}': {', '.join(contract.agents)}"
            raise FileError(file, f"unknown agent '{scenario.agent}'", key="agent", hint=hint)


def _with_deciding_rules(scenario: Scenario, contracts: Mapping[str, Contract]) -> Scenario:
    """Return *scenario* with the rules of the step that decides, whose answer it has to expect."""
    if scenario.rules:
        hint = "take these out"
        raise FileError(scenario.file, "steps cite their rules themselves", key="rules", hint=hint)
    step = deciding_step(scenario.steps)
    rules: dict[str, tuple[str, ...]] = {}
    for name, wanted in scenario.expect.items():
        contract = contracts[name]
        asked = step.action
        calls = asked.expect if isinstance(asked, Check) else ()
        fits = contract.truths(wanted) == {isinstance(asked, Claim) and asked.taken}
        if (calls and set(calls) != set(wanted)) or (not calls and not fits):
            number = scenario.steps.index(step) + 1
            cause = f"the last answer, in step {number}, calls for another"
            raise FileError(scenario.file, cause, key=f"expect.{name}", hint="make them equal")
        if found := tuple(rule for rule in step.rules if contract.rules[rule].expect):
            rules[name] = found
    return replace(scenario, rules=rules)


def _check_verdicts(verdicts: Sequence[str], contract: Contract, file: str, key: str) -> None:
    known = [verdict.name for verdict in contract.verdicts]
    for verdict in verdicts:
        if verdict not in known:
            hint = f"allowed: {', '.join(known)}"
            raise FileError(file, f"unknown verdict '{verdict}'", key=key, hint=hint)
    if len(set(verdicts)) < len(verdicts):
        raise FileError(file, "a verdict is listed twice", key=key)


def _check_rules(scenario: Scenario, contracts: Mapping[str, Contract]) -> None:
    for name, rules in scenario.rules.items():
        key = f"rules.{name}"
        if name not in scenario.expect:
            raise FileError(scenario.file, f"it expects nothing under '{name}'", key=key)
        known = contracts[name].rules
        for rule in rules:
            if rule not in known:
                hint = f"known: {', '.join(known)}" if known else "the contract names none"
                raise FileError(scenario.file, f"no rule '{rule}'", key=key, hint=hint)


def _check_inputs(scenario: Scenario, contracts: Mapping[str, Contract]) -> None:
    file = scenario.file
    for role in (*scenario.inputs, *scenario.inputs_unset):
        if role in scenario.inputs and role in scenario.inputs_unset:
            raise FileError(file, f"'{role}' is both set and unset", key="inputs")
        for name in scenario.expect:
            if not contracts[name].inputs.variable(role):
                hint = f"take out the expectation of '{name}', or the input"
                cause = f"contract '{name}' has no such input"
                raise FileError(file, cause, key=f"inputs.{role}", hint=hint)
    for role, text in scenario.inputs.items():
        check_value(text, file, f"inputs.{role}")


def _check_environment(scenario: Scenario) -> None:
    file = scenario.file
    if "PATH" in scenario.unset:
        hint = f"set it to what the case is about, with {PATH_PLACEHOLDER} for the usual one"
        cause = "without PATH the stubs of the CLIs are not found"
        raise FileError(file, cause, key="env.unset", hint=hint)
    values = dict(scenario.env)
    if "PATH" in values:
        values["PATH"] = check_path(values["PATH"], file, "env.set.PATH")
    check_variables(values, scenario.unset, file, "env")
