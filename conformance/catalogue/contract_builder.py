"""From a contract file, and the contract that it extends, to a contract."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from conformance.bundled import fixtures_dir
from conformance.catalogue.contract_schema import ContractFile, RuleTable, VerdictTable
from conformance.catalogue.entrypoints import check_entrypoint, entrypoint_of
from conformance.catalogue.schema import listed
from conformance.errors import FileError
from conformance.model.contract import (
    ANSWER_FINDINGS,
    Contract,
    DocumentAnswer,
    Inputs,
    Limits,
    Requests,
    Role,
    Route,
    Rule,
    Verdict,
)
from conformance.model.entrypoint import Entrypoint

__all__ = ["build_contract"]

#: The part of a probe's time that its CLI may take where a contract says nothing else.
_CLI_SHARE = 2 / 3

#: The requests of a program that lets somebody log in, and what their members can be about.
_ROUTES = {
    "url": ("url", "user_code"),
    "code": ("code",),
    "complete": ("agent", "artifacts", "completed_at"),
}
#: Members that they cannot do without.
_NEEDED = ("url", "code")
#: What such a program has to be given.
_LOGIN_INPUTS: tuple[Role, ...] = ("slot_id", "manager_url", "init_token", "login_timeout")

T = TypeVar("T", bound=Struct)


def build_contract(shape: ContractFile, known: Mapping[str, Contract], file: str) -> Contract:
    """Return the contract that *shape*, read from *file*, describes.

    What it leaves out comes from the contract that it extends, one of those *known*.

    :raises FileError: names the key that is wrong.
    """
    parent = _parent(shape, known, file)
    builder = _Builder(shape, parent, file)
    contract = replace(
        parent,
        name=shape.name,
        version=shape.version,
        summary=shape.summary,
        reference=shape.reference,
        lineage=(shape.name, *parent.lineage),
        verdicts=builder.verdicts(),
        inputs=builder.inputs(),
        limits=builder.limits(),
        rules=builder.rules(),
        document=builder.document(),
        entrypoint=builder.entrypoint(),
        **_given(shape),
    )
    _check_names(contract, file)
    check_entrypoint(contract, file)
    _check_requests(contract, file)
    _check_reference(shape, file)
    return replace(contract, truth=_truth(shape, contract, file))


def _parent(shape: ContractFile, known: Mapping[str, Contract], file: str) -> Contract:
    """Return the contract that *shape* extends; an empty one if it extends none."""
    if shape.extends in known:
        return known[shape.extends]
    if shape.extends:
        hint = f"known: {', '.join(known)}"
        raise FileError(file, f"no contract '{shape.extends}'", key="extends", hint=hint)
    for key in ("agents", "verdicts", "inputs"):
        if getattr(shape, key) is UNSET:
            raise _missing(file, key)
    return Contract(name="", version="", summary="", agents=(), verdicts=(), inputs=Inputs(home=""))


def _missing(file: str, key: str) -> FileError:
    hint = "only a contract that extends another may leave it out"
    return FileError(file, "missing", key=key, hint=hint)


class _Builder:
    """Makes the parts of a contract that are merged with those of its parent."""

    def __init__(self, shape: ContractFile, parent: Contract, file: str) -> None:
        self.shape = shape
        self.parent = parent
        self.file = file

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return the verdicts of the parent, changed, and those that are new."""
        merged = {verdict.name: verdict for verdict in self.parent.verdicts}
        tables = {} if isinstance(self.shape.verdicts, UnsetType) else self.shape.verdicts
        for name, table in tables.items():
            if table != "off":
                merged[name] = self._verdict(name, table, merged.get(name))
            elif name in merged:
                del merged[name]
            else:
                raise _unknown(self.file, f"verdicts.{name}", f"no verdict '{name}'", name, merged)
        verdicts = tuple(merged.values())
        if len({verdict.codes for verdict in verdicts}) < 2 and self._codes_answer():
            hint = "a contract needs at least two answers"
            cause = "all verdicts share one exit code"
            raise FileError(self.file, cause, key="verdicts", hint=hint)
        return verdicts

    def _codes_answer(self) -> bool:
        document = self.document()
        return document is None or document.exit_code

    def _verdict(self, name: str, table: VerdictTable, known: Verdict | None) -> Verdict:
        key = f"verdicts.{name}"
        given = _given_fields(table)
        if known is None:
            for field in ("code", "meaning", "action"):
                if field not in given and not (field == "code" and not self._codes_answer()):
                    raise _missing(self.file, f"{key}.{field}")
            known = Verdict(name=name, codes=(), meaning="", action="")
        if "code" in given:
            code = given.pop("code")
            given["codes"] = (code,) if isinstance(code, int) else tuple(code)
            if len(set(given["codes"])) < len(given["codes"]):
                raise FileError(self.file, "a code is listed twice", key=f"{key}.code")
        if "labels" in given:
            given["labels"] = tuple(given["labels"])
        return replace(known, **given)

    def inputs(self) -> Inputs:
        """Return the variables of the inputs; those that are left out stay as they are."""
        inputs = _merged(self.parent.inputs, self.shape.inputs)
        if not inputs.home:
            raise _missing(self.file, "inputs.home")
        if inputs.switch and inputs.switch_on == inputs.switch_off:
            cause = "is the same for on and off"
            raise FileError(self.file, cause, key="inputs.switch_off")
        variables = inputs.variables()
        for name in variables:
            if variables.count(name) > 1:
                cause = f"the variable {name} carries two inputs"
                raise FileError(self.file, cause, key="inputs", hint="name one for each")
        return inputs

    def limits(self) -> Limits:
        """Return the limits; a CLI has two thirds of a new limit, unless the file says more."""
        limits = _merged(self.parent.limits, self.shape.limits)
        table = self.shape.limits
        given = {} if isinstance(table, UnsetType) else _given_fields(table)
        if "seconds" in given and "cli_seconds" not in given:
            limits = replace(limits, cli_seconds=limits.seconds * _CLI_SHARE)
        if limits.cli_seconds >= limits.seconds:
            cause = f"the CLI may take {limits.cli_seconds:g} s, the probe {limits.seconds:g} s"
            hint = "the probe needs more time than the CLI it asks"
            raise FileError(self.file, cause, key="limits", hint=hint)
        return limits

    def document(self) -> DocumentAnswer | None:
        """Return where the answer stands on stdout, if it does."""
        if isinstance(self.shape.answer, UnsetType):
            return self.parent.document
        return DocumentAnswer(**asdict(self.shape.answer))

    def entrypoint(self) -> Entrypoint | None:
        """Return what an entrypoint starts, if the contract is about one."""
        if isinstance(self.shape.entrypoint, UnsetType):
            return self.parent.entrypoint
        given = self.shape.agents
        agents = self.parent.agents if isinstance(given, UnsetType) else given
        return entrypoint_of(self.shape.entrypoint, self.parent.entrypoint, agents, self.file)

    def rules(self) -> dict[str, Rule]:
        """Return the rules of the parent, changed, and those that are new."""
        merged = dict(self.parent.rules)
        for name, table in self.shape.rules.items():
            if table == "off":
                merged[name] = self._off(name)
            else:
                merged[name] = self._rule(name, table, merged.get(name))
        return merged

    def _off(self, name: str) -> Rule:
        rule = self.parent.rules.get(name)
        if rule is None:
            raise _unknown_rule(self.file, name, self.parent)
        _check_level(self.file, name, rule.findings, "off")
        return replace(rule, off=True, decided_by=self.shape.name)

    def _rule(self, name: str, table: RuleTable, known: Rule | None) -> Rule:
        given = _given_fields(table)
        if known is None:
            if "text" not in given:
                raise _unknown_rule(self.file, name, self.parent)
            known = Rule(contract=self.shape.name, text="", decided_by=self.shape.name)
        if "expect" in given:
            given |= {"expect": listed(given["expect"]), "decided_by": self.shape.name}
        if "findings" in given:
            given["findings"] = tuple(given["findings"])
        rule = replace(known, off=False, **given)
        key = f"rules.{name}"
        if bool(rule.expect) == bool(rule.findings):
            cause = "needs either verdicts (expect) or findings"
            raise FileError(self.file, cause, key=key)
        if rule.expect and "level" in given:
            cause = "a rule with verdicts has no level: what the answer says is always 'must'"
            raise FileError(self.file, cause, key=f"{key}.level", hint="leave it out")
        if rule.level == "should":
            _check_level(self.file, name, rule.findings, "'should'")
        return rule


def _check_level(file: str, name: str, findings: Iterable[str], wanted: str) -> None:
    """Refuse a rule that is less than ``must`` although it is about the answer itself."""
    about = sorted(ANSWER_FINDINGS.intersection(findings))
    if about:
        cause = f"cannot be {wanted}: it is about the answer itself ({', '.join(about)})"
        raise FileError(file, cause, key=f"rules.{name}", hint="leave it as it is")


def _merged(inherited: T, table: Struct | UnsetType) -> T:
    """Return *inherited* with what *table* says in place of what was there."""
    if isinstance(table, UnsetType):
        return inherited
    return replace(inherited, **_given_fields(table))


def _given_fields(table: Struct) -> dict[str, Any]:
    """Return what the file says in *table*."""
    return {field: value for field, value in asdict(table).items() if value is not UNSET}


def _unknown_rule(file: str, name: str, parent: Contract) -> FileError:
    if not parent.rules:
        return _missing(file, f"rules.{name}.text")
    where = f"no rule '{name}' in '{parent.name}'"
    return _unknown(file, f"rules.{name}", where, name, parent.rules)


def _unknown(file: str, key: str, cause: str, name: str, known: Iterable[str]) -> FileError:
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"
    return FileError(file, cause, key=key, hint=hint)


def _given(shape: ContractFile) -> dict[str, Any]:
    """Return what the file says of the attributes that a contract inherits as a whole."""
    given: dict[str, Any] = {}
    for key in ("agents", "allowed_writes", "entrypoint_writes"):
        if getattr(shape, key) is not UNSET:
            given[key] = tuple(getattr(shape, key))
    if not isinstance(shape.otherwise, UnsetType):
        given["otherwise"] = listed(shape.otherwise)
    if not isinstance(shape.in_steps, UnsetType):
        given["in_steps"] = shape.in_steps
    if not isinstance(shape.outside_writes, UnsetType):
        given["outside_writes"] = shape.outside_writes
    if not isinstance(shape.requests, UnsetType):
        table = shape.requests
        routes = {name: Route(**asdict(getattr(table, name))) for name in _ROUTES}
        given["requests"] = Requests(token_header=table.token_header, **routes)
    if not isinstance(shape.commands, UnsetType):
        commands = shape.commands
        given["commands"] = {agent: tuple(command) for agent, command in commands.items()}
    return given


def _truth(shape: ContractFile, contract: Contract, file: str) -> tuple[int, int] | None:
    """Return the codes of true and false; inherited ones only if the contract still has them."""
    if isinstance(shape.truth, UnsetType):
        inherited = contract.truth
        return inherited if inherited and {*inherited} <= {*contract.all_codes} else None
    true, false = shape.truth
    for code in shape.truth:
        if code not in contract.all_codes:
            hint = f"its codes: {', '.join(map(str, contract.all_codes))}"
            raise FileError(file, f"no verdict has code {code}", key="truth", hint=hint)
    return true, false


def _check_names(contract: Contract, file: str) -> None:
    """Make sure that rules, values and commands only name verdicts and agents of the contract."""
    verdicts = [verdict.name for verdict in contract.verdicts]
    hint = f"allowed: {', '.join(verdicts)}"
    for name, rule in contract.rules.items():
        for verdict in rule.expect if not rule.off else ():
            if verdict not in verdicts:
                key = f"rules.{name}.expect"
                raise FileError(file, f"unknown verdict '{verdict}'", key=key, hint=hint)
    for value, verdict in (contract.document.values if contract.document else {}).items():
        if verdict not in verdicts:
            key = f"answer.values.{value}"
            raise FileError(file, f"unknown verdict '{verdict}'", key=key, hint=hint)
    if contract.in_steps and (contract.commands or contract.document):
        cause = "a gate answers in steps, and neither with a CLI's exit code nor in a document"
        raise FileError(file, cause, key="in_steps", hint="leave out 'commands' and 'answer'")
    if contract.commands and contract.commands.keys() != set(contract.agents):
        raise FileError(file, "needs a command for each agent, and for no other", key="commands")


def _check_requests(contract: Contract, file: str) -> None:
    """Make sure that a program which lets somebody log in is given what it needs for that."""
    if contract.requests is None:
        return
    if contract.in_steps or contract.commands or contract.document:
        cause = "a login is judged by an exit code, and by what the Manager sees"
        hint = "leave out 'in_steps', 'commands' and 'answer'"
        raise FileError(file, cause, key="requests", hint=hint)
    for role in _LOGIN_INPUTS:
        if not contract.inputs.variable(role):
            cause = "needed: a program that lets somebody log in has to be told"
            raise FileError(file, cause, key=f"inputs.{role}", hint="name a variable")
    for name, route in contract.requests.routes().items():
        known = _ROUTES[name]
        key = f"requests.{name}.members"
        for member in route.members:
            if member not in known:
                raise FileError(file, f"unknown; known: {', '.join(known)}", key=f"{key}.{member}")
        for member in known:
            if member in _NEEDED and member not in route.members:
                hint = f"write {member} = '…'"
                raise FileError(file, "missing", key=f"{key}.{member}", hint=hint)


def _check_reference(shape: ContractFile, file: str) -> None:
    if not shape.reference:
        return
    directory = fixtures_dir() / "probes"
    probes = sorted(path.name for path in directory.iterdir() if path.suffix in (".py", ".sh"))
    if shape.reference not in probes:
        hint = f"bundled: {', '.join(probes)}"
        raise FileError(file, f"no reference probe '{shape.reference}'", key="reference", hint=hint)
