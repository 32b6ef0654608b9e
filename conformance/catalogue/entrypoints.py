"""Read what contract and scenario files say of entrypoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import UnsetType
from msgspec.structs import replace

from conformance.catalogue.entries import entries_of, merge
from conformance.catalogue.entrypoint_schema import (
    AgainTable,
    EntrypointTable,
    ModeTable,
    SeedTable,
    StartTable,
)
from conformance.catalogue.layers import layer
from conformance.catalogue.surroundings import check_below_home, check_value
from conformance.errors import FileError
from conformance.model.contract import Contract
from conformance.model.entrypoint import REFUSED, SHELL, STARTED, TOOLS, Entrypoint, Mode, Seed
from conformance.model.scenario import Entry, Scenario
from conformance.model.start import Again, Start, question_in

__all__ = ["check_entrypoint", "check_started", "entrypoint_of", "start_of"]


def entrypoint_of(
    table: EntrypointTable, parent: Entrypoint | None, agents: Sequence[str], file: str
) -> Entrypoint:
    """Return the table of an entrypoint, with what it leaves out from that of the *parent*.

    :raises FileError: names the key that is wrong.
    """
    modes = dict(parent.modes) if parent is not None else {}
    for name, mode in table.modes.items():
        if mode == "off":
            _remove(modes, name, f"entrypoint.modes.{name}", file)
        else:
            assert isinstance(mode, ModeTable)
            modes[name] = _mode(name, mode, modes.get(name), agents, file)
    values = [mode.value for mode in modes.values()]
    for name, one in modes.items():
        if values.count(one.value) > 1:
            cause = f"another mode is also called '{one.value}'"
            raise FileError(file, cause, key=f"entrypoint.modes.{name}.value")
    seeds = dict(parent.seeds) if parent is not None else {}
    for agent, seed in table.seeds.items():
        if seed == "off":
            _remove(seeds, agent, f"entrypoint.seeds.{agent}", file)
        else:
            assert isinstance(seed, SeedTable)
            seeds[agent] = _seed(seed, f"entrypoint.seeds.{agent}", file)
    environment = dict(parent.environment) if parent is not None else {}
    for name, value in table.environment.items():
        check_value(value.replace("{agent}", ""), file, f"entrypoint.environment.{name}")
        environment[name] = value
    return Entrypoint(modes=modes, seeds=seeds, environment=environment)


def _remove(known: dict[str, Mode] | dict[str, Seed], name: str, key: str, file: str) -> None:
    if name not in known:
        hint = f"known: {', '.join(known) or 'none'}"
        raise FileError(file, f"there is no '{name}' to turn off", key=key, hint=hint)
    del known[name]


def _mode(
    name: str, table: ModeTable, known: Mode | None, agents: Sequence[str], file: str
) -> Mode:
    key = f"entrypoint.modes.{name}"
    mode = known if known is not None else Mode(value=name, program={})
    if not isinstance(table.value, UnsetType):
        mode = replace(mode, value=table.value)
    if not isinstance(table.program, UnsetType):
        given = table.program if isinstance(table.program, dict) else {"": table.program}
        mode = replace(mode, program={agent: tuple(words) for agent, words in given.items()})
        if known is not None and isinstance(table.bare, UnsetType):
            mode = replace(mode, bare=())
    if not isinstance(table.bare, UnsetType):
        mode = replace(mode, bare=tuple(table.bare))
    if not isinstance(table.reaches, UnsetType):
        mode = replace(mode, reaches=tuple(table.reaches))
    if not isinstance(table.withholds, UnsetType):
        mode = replace(mode, withholds=tuple(table.withholds))
    for agent in agents:
        if agent not in mode.program and "" not in mode.program:
            hint = "name it under 'program', with its arguments"
            raise FileError(file, f"says no program for {agent}", key=key, hint=hint)
    for template in mode.templates():
        hint = f"write '{SHELL}' for a shell"
        _check_program(template[0], f"{key}.program", file, hint=hint)
    return mode


def _check_program(word: str, key: str, file: str, *, hint: str) -> None:
    """Make sure that a stub can stand in the place of the program *word*.

    *hint* is what to do where it is a tool.
    """
    if word.rpartition("/")[2] in TOOLS:
        cause = f"no stub can stand in the place of '{word}', which entrypoints need themselves"
        raise FileError(file, cause, key=key, hint=hint)
    if "/" in word and not word.startswith("/"):
        cause = f"'{word}' is neither a name nor an absolute path"
        raise FileError(file, cause, key=key, hint="write it like claude or /opt/probe/slot.py")


def _seed(table: SeedTable, key: str, file: str) -> Seed:
    check_below_home(table.file, file, f"{key}.file")
    return Seed(variable=table.variable, file=table.file)


def check_entrypoint(contract: Contract, file: str) -> None:
    """Make sure that a *contract* of an entrypoint has what one needs.

    :raises FileError: it has not, or has what only other contracts have.
    """
    if contract.entrypoint is None:
        return
    names = {verdict.name for verdict in contract.verdicts}
    if names != {STARTED, REFUSED}:
        cause = f"an entrypoint has the verdicts {STARTED} and {REFUSED}, and no other"
        raise FileError(file, cause, key="verdicts")
    if contract.codes((STARTED,)) & contract.codes((REFUSED,)):
        cause = f"{STARTED} and {REFUSED} share an exit code"
        raise FileError(file, cause, key="verdicts")
    if contract.in_steps or contract.commands or contract.document:
        cause = "an entrypoint is started, and gives no answer of its own"
        hint = "leave out 'in_steps', 'commands' and 'answer'"
        raise FileError(file, cause, key="entrypoint", hint=hint)
    if not contract.inputs.mode:
        hint = "name the variable that says what is to be started"
        raise FileError(file, "missing", key="inputs.mode", hint=hint)
    for agent in contract.entrypoint.seeds:
        if agent not in contract.agents:
            hint = f"allowed: {', '.join(contract.agents)}"
            key = f"entrypoint.seeds.{agent}"
            raise FileError(file, f"unknown agent '{agent}'", key=key, hint=hint)


def start_of(table: StartTable | UnsetType, file: str, root: Path) -> Start | None:
    """Return how the scenario in *file* starts an entrypoint; None if it is about another thing.

    :raises FileError: it cannot start like that.
    """
    if isinstance(table, UnsetType):
        return None
    for number, word in enumerate(table.arguments):
        check_value(word, file, f"start.arguments.{number}")
    session = None if isinstance(table.session, UnsetType) else table.session
    if session is not None:
        check_value(session, file, "start.session")
    again = None if isinstance(table.again, UnsetType) else _again(table.again, file, root)
    return Start(arguments=tuple(table.arguments), code=table.code, session=session, again=again)


def _again(table: AgainTable, file: str, root: Path) -> Again:
    mode = "" if isinstance(table.mode, UnsetType) else table.mode
    if isinstance(table.home, UnsetType):
        return Again(mode=mode)
    for number, path in enumerate(table.home.remove):
        check_below_home(path, file, f"start.again.home.remove.{number}")
    included = [layer(wanted, name=file, root=root) for wanted in table.home.include]
    own = entries_of(table.home.files, name=file, table="start.again.home.files")
    changed: tuple[Entry, ...] = merge([*included, own], name=file)
    for entry in changed:
        if entry.kind not in ("file", "directory") or entry.count > 1:
            hint = "write files, or directories"
            raise FileError(file, f"'{entry.path}' is neither", key="start.again.home", hint=hint)
    return Again(mode=mode, changed=changed, removed=tuple(table.home.remove))


def check_started(scenario: Scenario, contracts: Mapping[str, Contract]) -> None:
    """Make sure that the contracts which *scenario* names are about entrypoints if it is.

    :raises FileError: one is not, or is without need; or what is started cannot be a stub.
    """
    start, file = scenario.start, scenario.file
    for name in scenario.expect:
        contract = contracts.get(name)
        if contract is None:
            continue  # which is an error of its own
        if start is None and contract.entrypoint is not None:
            hint = "add a table [start]; it may be empty"
            raise FileError(file, f"'{name}' is about starts", key=f"expect.{name}", hint=hint)
        if start is not None and contract.entrypoint is None:
            cause = f"'{name}' is about no entrypoint"
            raise FileError(file, cause, key="start", hint=f"leave out 'start', or '{name}'")
        if start is not None:
            _check_command(scenario, start, contract)


def _check_command(scenario: Scenario, start: Start, contract: Contract) -> None:
    """Make sure that a stub can be what *start* comes to in its modes under *contract*.

    :raises FileError: it cannot.
    """
    assert contract.entrypoint is not None, "only such a contract is about an entrypoint"
    modes = {scenario.inputs.get("mode", ""), start.again.mode if start.again is not None else ""}
    for text in sorted(modes):
        mode = contract.entrypoint.named(contract.input_value("mode", text))
        argv = mode.started(scenario.agent, start.arguments) if mode is not None else ()
        if argv and argv == start.arguments:
            hint = "name another program"
            _check_program(argv[0], "start.arguments.0", scenario.file, hint=hint)
        if start.code and (asked := question_in(argv)):
            cause = f"a program that is asked '{asked}' does not end with {start.code}"
            hint = "leave it out, or the argument"
            raise FileError(scenario.file, cause, key="start.code", hint=hint)
