"""The command rule: what a rule of a contract says, and which scenarios cite it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue
from conformance.cli.options import scenarios_option
from conformance.cli.settings import WithSettings
from conformance.errors import UsageError
from conformance.loading import catalogue_under
from conformance.model.contract import Contract
from conformance.model.wording import expectation
from conformance.report.lines import heading_lines, wrapped
from conformance.text import one_line

__all__ = ["rule_command"]


@click.command("rule", cls=WithSettings)
@click.option(
    "--contract",
    metavar="NAME|FILE",
    default="",
    help="The contract of a rule that is named without one: a bundled one, or a file.",
)
@scenarios_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("name", metavar="[NAME]", default="")
@click.pass_context
def rule_command(
    ctx: click.Context, /, contract: str, directories: tuple[Path, ...], as_json: bool, name: str
) -> None:
    """Explain a rule, such as slot:claude-login: what it calls for, and who cites it.

    Reports name the rules that are broken. They also name the wrong probe of the bank that a probe
    is like, such as slot/pinned-file-name, which is explained as well. Without NAME every rule of
    the contract is listed.
    """
    typed = ctx.get_parameter_source("contract") is ParameterSource.COMMANDLINE
    if "/" in name and ":" not in name and not typed:
        found = _vice(name)
    else:
        before, _, rule = name.rpartition(":")
        chosen = contracts.load(contract or before or "slot")
        if before and before != chosen.name:
            if typed:
                cause = f"{name} is no rule of the contract {chosen.name}"
                raise UsageError(cause, hint="name it without a contract, or leave --contract out")
            chosen = contracts.load(before)  # a settings file names another one than is asked for
        catalogue = catalogue_under(chosen, [directory.absolute() for directory in directories])
        if not name:
            _list(chosen, catalogue, as_json=as_json)
            return
        found = _rule(chosen, rule, catalogue)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for line in _lines(found):
        click.echo(line)


def _rule(contract: Contract, name: str, catalogue: Catalogue) -> dict[str, Any]:
    """Return what there is to say about the rule called *name*."""
    if name not in contract.rules:
        close = difflib.get_close_matches(name, contract.rules, n=3)
        known = f"did you mean {' or '.join(close)}?" if close else "rule without NAME lists all"
        raise UsageError(f"no rule '{name}' in the contract {contract.name}", hint=known)
    rule = contract.rules[name]
    changed = rule.decided_by if rule.decided_by not in ("", rule.contract) else ""
    return {
        "name": contract.rule_name(name),
        "text": one_line(rule.text),
        "calls for": "nothing: it is off" if rule.off else expectation(contract, rule.expect),
        "broken by": list(rule.findings),
        "level": rule.level,
        "stated by": rule.contract,
        "changed by": changed,
        "scenarios": _citing(contract, name, catalogue),
    }


def _citing(contract: Contract, name: str, catalogue: Catalogue) -> list[str]:
    return [
        scenario.id
        for scenario in catalogue.in_contract(contract)
        if name in scenario.shows(contract) or any(name in step.rules for step in scenario.steps)
    ]


def _vice(name: str) -> dict[str, Any]:
    """Return what there is to say about the wrong probe called *name*."""
    # Imported here so that a rule is explained without reading the banks.
    from conformance.strength.bank import bundled_bank, read_banks  # noqa: PLC0415

    vices = {
        probe.id: probe
        for bank in read_banks(bundled_bank(), catalogue_under(None))
        for probe in bank.wrong
    }
    if name not in vices:
        close = difflib.get_close_matches(name, vices, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "strength lists the bank"
        raise UsageError(f"no wrong probe '{name}' in the bank", hint=hint)
    probe = vices[name]
    return {
        "name": name,
        "text": probe.vice,
        "met in": probe.report,
        "scenarios": list(probe.about),
    }


def _lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield what was *found*, for people."""
    yield from wrapped(f"{found['name']}: {found['text']}", hanging="  ")
    yield ""
    for heading, value in found.items():
        if heading in ("name", "text", "scenarios") or not value:
            continue
        yield from heading_lines(heading, ", ".join(value) if isinstance(value, list) else value)
    ids: Sequence[str] = found["scenarios"]
    # What forbids a finding holds in each scenario, and few are about nothing else.
    without = "every one; none is about this alone" if found.get("broken by") else "none"
    yield from heading_lines("scenarios", f"{len(ids)}:" if ids else without)
    yield from (f"    {id_}" for id_ in ids)


def _list(contract: Contract, catalogue: Catalogue, *, as_json: bool) -> None:
    """Print all rules of *contract*."""
    rules = [_rule(contract, name, catalogue) for name in contract.rules]
    if as_json:
        click.echo(json.dumps(rules, indent=2))
        return
    for rule in rules:
        text = rule["text"] if not rule["calls for"] else f"{rule['calls for']}: {rule['text']}"
        for line in wrapped(f"{rule['name']}  {text}", hanging="  "):
            click.echo(line)
