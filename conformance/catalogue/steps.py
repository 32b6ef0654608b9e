"""Read the steps of a scenario: what happens to a gate that lives on, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, UnsetType

from conformance.catalogue.agents import cli_states, state_file, state_in
from conformance.catalogue.entries import entries_of, merge
from conformance.catalogue.entry_schema import HomeTable
from conformance.catalogue.layers import layer
from conformance.catalogue.schema import (
    HomeChangeTable,
    RunTable,
    ScenarioInputs,
    StepTable,
    listed,
)
from conformance.catalogue.surroundings import check_value, check_variables, inputs_of
from conformance.errors import FileError
from conformance.model.agent import CliState
from conformance.model.contract import Contract
from conformance.model.scenario import Entry
from conformance.model.story import (
    Action,
    ChangeCli,
    ChangeEnvironment,
    ChangeHome,
    Check,
    Claim,
    Counters,
    RunFinished,
    SetClock,
    Step,
    Wait,
)

__all__ = ["StepReader", "deciding_step", "read_steps"]

#: The keys that say what a step is.
_ACTIONS = (
    *("check", "claim", "run", "home", "env", "inputs"),
    *("cli", "wait", "seconds", "clock", "counters"),
)
#: Of these, the ones with an answer, which rules can be about.
_ANSWERED = ("check", "claim", "counters")


class StepReader(Struct, frozen=True, kw_only=True):
    """What is known of the scenario around the steps."""

    file: str
    root: Path
    own_root: Path | None
    """The root where that is not the bundled one: it may have states of its own."""
    agent: str
    contracts: tuple[Contract, ...]
    """Those that the scenario names under ``expect``."""


def read_steps(
    tables: Sequence[StepTable], entries: tuple[Entry, ...], reader: StepReader
) -> tuple[Step, ...]:
    """Return the steps of *tables*; the HOME holds *entries* before the first one.

    :raises FileError: names the step and the key that is wrong.
    """
    if not tables:
        return ()
    for contract in reader.contracts:
        if not contract.in_steps:
            hint = "name contracts that are asked in steps, such as gate"
            cause = f"'{contract.name}' is about a probe that is asked once"
            raise FileError(reader.file, cause, key=f"expect.{contract.name}", hint=hint)
    steps: list[Step] = []
    for number, table in enumerate(tables):
        step = _step(table, entries, reader, f"steps.{number}")
        if isinstance(step.action, ChangeHome):
            entries = step.action.entries
        steps.append(step)
    _check_order(steps, reader)
    return tuple(steps)


def deciding_step(steps: Sequence[Step]) -> Step:
    """Return the last check or claim of *steps*: what it calls for is what the scenario does."""
    return [step for step in steps if isinstance(step.action, Check | Claim)][-1]


def _check_order(steps: Sequence[Step], reader: StepReader) -> None:
    noted = False
    for number, step in enumerate(steps):
        if isinstance(step.action, Counters):
            if step.action.same and not noted:
                hint = "ask for them before, with counters = 'note'"
                cause = "there is nothing to compare the counters with"
                raise FileError(reader.file, cause, key=f"steps.{number}.counters", hint=hint)
            noted = True
    if not any(isinstance(step.action, Check | Claim) for step in steps):
        hint = "end with what the scenario is about, such as check = 'ready'"
        raise FileError(reader.file, "nothing is asked", key="steps", hint=hint)


def _step(table: StepTable, entries: tuple[Entry, ...], reader: StepReader, key: str) -> Step:
    given = [name for name in _ACTIONS if not isinstance(getattr(table, name), UnsetType)]
    if len(given) != 1:
        cause = f"{' and '.join(given)} exclude each other" if given else "does nothing"
        hint = f"give one of {', '.join(_ACTIONS)}"
        raise FileError(reader.file, cause, key=key, hint=hint)
    kind = given[0]
    rules = () if isinstance(table.rule, UnsetType) else listed(table.rule)
    if rules and kind not in _ANSWERED:
        cause = "has no answer that a rule could be about"
        raise FileError(reader.file, cause, key=f"{key}.rule", hint="cite it where it is asked")
    for rule in rules:
        for contract in reader.contracts:
            if rule not in contract.rules:
                hint = f"known: {', '.join(contract.rules)}"
                raise FileError(reader.file, f"no rule '{rule}'", key=f"{key}.rule", hint=hint)
    if not isinstance(table.cached, UnsetType) and kind != "check":
        raise FileError(reader.file, "belongs beside a check", key=f"{key}.cached")
    make = _MAKERS[kind]
    return Step(action=make(table, entries, reader, f"{key}.{kind}"), rules=rules)


def _check(table: StepTable, _: object, reader: StepReader, key: str) -> Action:
    assert not isinstance(table.check, UnsetType)
    verdicts = listed(table.check)
    for contract in reader.contracts:
        known = [verdict.name for verdict in contract.verdicts]
        for verdict in verdicts:
            if verdict not in known:
                hint = f"allowed: {', '.join(known)}"
                raise FileError(reader.file, f"unknown verdict '{verdict}'", key=key, hint=hint)
    cached = "" if isinstance(table.cached, UnsetType) else table.cached
    if cached and cached not in verdicts:
        hint = f"one of {', '.join(verdicts)}"
        cause = f"'{cached}' does not conform here"
        raise FileError(reader.file, cause, key=f"{key.rpartition('.')[0]}.cached", hint=hint)
    return Check(expect=verdicts, cached=cached)


def _claim(table: StepTable, *_: object) -> Action:
    return Claim(taken=bool(table.claim))


def _run(table: StepTable, _: object, reader: StepReader, key: str) -> Action:
    assert isinstance(table.run, RunTable)
    if isinstance(table.run.log, UnsetType):
        return RunFinished(exit_code=table.run.exit_code)
    (log,) = entries_of({"run.log": table.run.log}, name=reader.file, table=key)
    log = merge([(log,)], name=reader.file)[0]
    return RunFinished(exit_code=table.run.exit_code, log=log)


def _home(table: StepTable, before: tuple[Entry, ...], reader: StepReader, key: str) -> Action:
    change = table.home
    assert isinstance(change, HomeChangeTable)
    kept = before
    for path in change.remove:
        left = tuple(one for one in kept if not f"{one.path}/".startswith(f"{path}/"))
        if left == kept:
            hint = f"there is {', '.join(one.path for one in before) or 'nothing'}"
            raise FileError(reader.file, f"there is no '{path}'", key=f"{key}.remove", hint=hint)
        kept = left
    after = merge([kept, *_layers(change, reader, key)], name=reader.file)
    known = {one.path: one for one in before}
    changed = tuple(one for one in after if known.get(one.path) != one)
    gone = {one.path for one in before} - {one.path for one in after}
    if not changed and not gone:
        raise FileError(reader.file, "changes nothing", key=key)
    return ChangeHome(entries=after, changed=changed, removed=tuple(sorted(gone)))


def _layers(table: HomeTable, reader: StepReader, key: str) -> list[tuple[Entry, ...]]:
    included = [layer(wanted, name=reader.file, root=reader.root) for wanted in table.include]
    return [*included, entries_of(table.files, name=reader.file, table=f"{key}.files")]


def _env(table: StepTable, _: object, reader: StepReader, key: str) -> Action:
    assert not isinstance(table.env, UnsetType)
    if "PATH" in table.env.set:
        hint = "put the CLI into another state with cli = '…'"
        cause = "the PATH of a gate stays as it is, so that the stubs are found"
        raise FileError(reader.file, cause, key=key, hint=hint)
    check_variables(table.env.set, table.env.unset, reader.file, key)
    return ChangeEnvironment(set=table.env.set, unset=tuple(table.env.unset))


def _inputs(table: StepTable, _: object, reader: StepReader, key: str) -> Action:
    assert isinstance(table.inputs, ScenarioInputs)
    given = inputs_of(table.inputs)
    for role in (*given, *table.inputs.unset):
        for contract in reader.contracts:
            if not contract.inputs.variable(role):
                cause = f"contract '{contract.name}' has no such input"
                raise FileError(reader.file, cause, key=f"{key}.{role}")
    for role, text in given.items():
        check_value(text, reader.file, f"{key}.{role}")
    return ChangeEnvironment(inputs=given, inputs_unset=tuple(table.inputs.unset))


def _cli(table: StepTable, _: object, reader: StepReader, key: str) -> Action:
    assert isinstance(table.cli, str)
    try:
        file = state_file(table.cli, name=reader.file, root=reader.own_root)
    except FileError as e:
        raise FileError(e.file, e.detail, key=key, hint=e.hint) from None
    state = state_in(file)
    if not _can_follow(state):
        hint = "name one that lies in one directory, and has nothing in the HOME"
        cause = f"a CLI cannot get into the state '{state.name}' while a gate lives"
        raise FileError(reader.file, cause, key=key, hint=hint)
    return ChangeCli(state=state.name, file="" if state.name in cli_states() else str(file))


def _can_follow(state: CliState) -> bool:
    return tuple(state.path) == (".",) and not state.home


def _wait(table: StepTable, *_: object) -> Action:
    assert isinstance(table.wait, float)
    return Wait(lives=table.wait)


def _seconds(table: StepTable, *_: object) -> Action:
    assert isinstance(table.seconds, float)
    return Wait(seconds=table.seconds)


def _clock(table: StepTable, *_: object) -> Action:
    assert isinstance(table.clock, float)
    return SetClock(seconds=table.clock)


def _counters(table: StepTable, *_: object) -> Action:
    return Counters(same=table.counters == "same")


_Maker = Callable[[StepTable, tuple[Entry, ...], StepReader, str], Action]
_MAKERS: Mapping[str, _Maker] = {
    "check": _check,
    "claim": _claim,
    "run": _run,
    "home": _home,
    "env": _env,
    "inputs": _inputs,
    "cli": _cli,
    "wait": _wait,
    "seconds": _seconds,
    "clock": _clock,
    "counters": _counters,
}
