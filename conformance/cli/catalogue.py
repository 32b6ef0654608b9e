"""Commands that read the catalogue and run nothing: list, show, home, schema."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue, select
from conformance.catalogue.differences import nearest
from conformance.catalogue.released import catalogue_as_of, contract_as_of, since
from conformance.cli.completion import complete_ids
from conformance.cli.options import (
    agent_option,
    as_of_option,
    contract_option,
    scenarios_option,
)
from conformance.cli.settings import WithSettings
from conformance.errors import UsageError
from conformance.loading import catalogue_under
from conformance.model.contract import Contract
from conformance.model.entry_wording import describe_entry
from conformance.model.login_wording import login_lines
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.model.story_wording import story_lines
from conformance.model.wording import describe_surroundings, expectation
from conformance.report.facts import condition, expectations, whole_difference
from conformance.text import join, printable

__all__ = ["home_command", "list_command", "schema_command", "show_command"]

scenario_argument = click.argument("name", metavar="ID|FILE", shell_complete=complete_ids)


def _load(
    contract: str,
    directories: tuple[Path, ...],
    files: Iterable[Path] = (),
    *,
    agent: str = "",
    as_of: str = "",
) -> tuple[Catalogue, Contract]:
    whole = contracts.load(contract)
    chosen = contract_as_of(whole, as_of) if as_of else whole
    catalogue = catalogue_under(whole, directories, files=files)
    if as_of:
        catalogue = catalogue_as_of(catalogue, chosen)
    return catalogue, contracts.for_agent(chosen, agent)


def _find(
    contract: str, directories: tuple[Path, ...], name: str
) -> tuple[Scenario, Catalogue, Contract]:
    """Return the scenario called *name*, or the one in that file, with what it was found in."""
    from conformance.run.request import scenario_files  # noqa: PLC0415 - list has no time for it

    catalogue, chosen = _load(contract, directories, scenario_files([name], Path.cwd()))
    return catalogue.one(name), catalogue, chosen


@click.command("list", cls=WithSettings)
@contract_option
@agent_option
@as_of_option
@scenarios_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option(
    "--html",
    "html_file",
    metavar="FILE",
    help="Write a page to browse instead; '-' is standard output. Where nothing is chosen, it has "
    "the whole catalogue.",
)
@click.argument("patterns", metavar="[ID|GLOB]...", nargs=-1, shell_complete=complete_ids)
@click.pass_context
def list_command(
    ctx: click.Context,
    contract: str,
    agent: str,
    as_of: str,
    directories: tuple[Path, ...],
    as_json: bool,
    html_file: str | None,
    patterns: tuple[str, ...],
) -> None:
    """List the scenarios of a contract: id, what conforms, summary."""
    if html_file and as_json:
        raise UsageError("--json and --html are two lists", hint="ask for one of them")
    catalogue, chosen = _load(contract, directories, agent=agent, as_of=as_of)
    if html_file:
        named = ctx.get_parameter_source("contract") is not ParameterSource.DEFAULT
        whole = not (named or agent or as_of or patterns)
        _write_page(html_file, catalogue, None if whole else chosen, patterns)
        return
    scenarios = select(catalogue, patterns, chosen)
    if as_json:
        came = since(chosen, scenarios)
        rows = [_row(scenario, chosen) | {"since": came.get(scenario.id)} for scenario in scenarios]
        click.echo(json.dumps(rows, indent=2))
        return
    ids = max(len(scenario.id) for scenario in scenarios)
    verdicts = max(len("|".join(scenario.expected(chosen))) for scenario in scenarios)
    for scenario in scenarios:
        expected = "|".join(scenario.expected(chosen))
        click.echo(f"{scenario.id:<{ids}}  {expected:<{verdicts}}  {scenario.summary}")


def _write_page(
    file: str, catalogue: Catalogue, contract: Contract | None, patterns: tuple[str, ...]
) -> None:
    """Write the page of what *patterns* name under *contract*; without one, of everything."""
    # Imported here so that list stays fast.
    from conformance.cli.outputs import check_outputs  # noqa: PLC0415
    from conformance.report.document import write_text  # noqa: PLC0415
    from conformance.report.page.pages import catalogue_page  # noqa: PLC0415

    check_outputs({"html_file": file})
    everything = list(catalogue.scenarios.values())
    chosen = everything if contract is None else select(catalogue, patterns, contract)
    write_text(catalogue_page(catalogue, chosen, contract), file)


def _row(scenario: Scenario, contract: Contract) -> dict[str, Any]:
    return {
        "id": scenario.id,
        "agent": scenario.agent,
        "expected": list(scenario.expected(contract)),
        "codes": sorted(scenario.codes(contract)),
        "summary": scenario.summary,
        "origin": scenario.origin,
        "control": scenario.control_for(contract),
        "container": scenario.container is not None,
    }


@click.command("show", cls=WithSettings)
@contract_option
@scenarios_option
@scenario_argument
def show_command(contract: str, directories: tuple[Path, ...], name: str) -> None:
    """Show one scenario: home, environment, expectations, origin, control."""
    scenario, catalogue, chosen = _find(contract, directories, name)
    click.echo(f"{scenario.id}\n  {scenario.summary}\n")
    rows = _facts(catalogue, chosen, scenario)
    width = max(len(title) for title, _ in rows)
    for title, value in rows:
        click.echo(f"  {title:<{width}}  {value}")
    click.echo("\n  home")
    for entry in sorted(scenario.entries, key=lambda entry: entry.path):
        click.echo(f"    {printable(entry.path)}: {describe_entry(entry)}")
    if not scenario.entries:
        click.echo("    (empty)")
    if scenario.steps:
        click.echo("\n  steps")
        for line in story_lines(scenario, _in_steps(catalogue, chosen, scenario)):
            click.echo(f"    {printable(line)}")
    if scenario.login is not None:
        click.echo("\n  login")
        for line in login_lines(scenario.login):
            click.echo(f"    {printable(line)}")
    other, lines = nearest(scenario, catalogue.scenarios)
    click.echo(f"\n  the home differs from {other}" + (" in" if lines else " in nothing"))
    for line in lines:
        click.echo(f"    {printable(line)}")
    # A scenario of other contracts alone has a control under one of these.
    under = (
        chosen if scenario.expected(chosen) else catalogue.contracts[next(iter(scenario.expect))]
    )
    control = catalogue.get(scenario.control_for(under) or next(iter(scenario.control.values())))
    expected = _expectation(catalogue, under.name, control) or "nothing here"
    expected += f" under {under.name}" if under != chosen else ""
    click.echo(f"\n  control {control.id} expects {expected}; against it:")
    for line in whole_difference(scenario, control):
        click.echo(f"    {printable(line)}")


def _facts(catalogue: Catalogue, chosen: Contract, scenario: Scenario) -> list[tuple[str, str]]:
    """Return what there is to say about *scenario*, each with its heading.

    It is said what the contracts call for that the scenario names, and the *chosen* one.
    """
    rows = [("origin", scenario.origin), ("agent", scenario.agent), ("cli", scenario.cli)]
    names = dict.fromkeys(scenario.expect)
    if scenario.expected(chosen) or scenario.is_off(chosen):
        names[chosen.name] = None
    for name, expected, rules in expectations(scenario, catalogue.contracts, names):
        rows.append((f"expect {name}", expected))
        if version := since(catalogue.contracts[name], [scenario]).get(scenario.id):
            rows.append(("", f"since version {version} of {name}"))
        rows += [("", f"{rule}: {text}") for rule, text in rules]
    return [*rows, *condition(scenario), ("file", scenario.file)]


def _in_steps(catalogue: Catalogue, chosen: Contract, scenario: Scenario) -> Contract:
    """Return the contract under which the steps of *scenario* are shown."""
    if scenario.expected(chosen):
        return chosen
    return catalogue.contracts[next(iter(scenario.expect))]


def _expectation(catalogue: Catalogue, contract: str, scenario: Scenario) -> str:
    known = catalogue.contracts[contract]
    return expectation(known, scenario.expected(known))


@click.command("home", cls=WithSettings)
@contract_option
@scenarios_option
@scenario_argument
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def home_command(contract: str, directories: tuple[Path, ...], name: str, directory: Path) -> None:
    """Build the fake HOME of a scenario in DIR, and print how to use it.

    DIR must be empty or not exist. The agent's CLI is put in DIR.cli beside it, in the state that
    the scenario asks for.
    """
    # Imported here so that list stays fast.
    from conformance.drivers.local import standalone as by_hand  # noqa: PLC0415

    scenario, _, chosen = _find(contract, directories, name)
    context = Context(now=time.time(), seed=secrets.token_hex(8))
    env = by_hand.standalone(scenario, chosen, directory.absolute(), context)
    home = by_hand.home_in(directory, scenario)
    before = by_hand.started(scenario, home.absolute())
    command = join(by_hand.by_hand(env, shut=by_hand.is_shut(scenario, context)))
    click.echo(f"built {home}; run a probe in it with\n\n  {before}{command} PROBE\n")
    if earlier := describe_surroundings(scenario).get("earlier"):
        click.echo(f"the scenario begins with {printable(earlier)}, in the same place")
    expected = expectation(chosen, scenario.expected(chosen)) or f"nothing under {chosen.name}"
    click.echo(f"expected: {expected}")


@click.command("schema")
@click.argument(
    "kind",
    metavar="[KIND]",
    default="scenario",
    type=click.Choice(
        [
            *("scenario", "layer", "state", "contract", "bank", "known-failures", "settings"),
            *("images", "export"),
        ]
    ),
)
def schema_command(kind: str) -> None:
    """Print the JSON Schema of a scenario or another file, for editors.

    KIND is scenario, which is the default, layer, state (of a CLI), contract, bank, known-failures,
    settings, images (several in one run) or export, which is what the command export writes.
    """
    click.echo(json.dumps(_schema(kind), indent=2))


def _schema(kind: str) -> dict[str, Any]:
    # Imported here so that list stays fast.
    from conformance.catalogue import json_schema as schema  # noqa: PLC0415
    from conformance.catalogue.agents import cli_states  # noqa: PLC0415
    from conformance.cli.images_file import ImagesFile  # noqa: PLC0415
    from conformance.cli.settings_file import SettingsFile  # noqa: PLC0415
    from conformance.export.index import Index  # noqa: PLC0415
    from conformance.judge.known_failures import KnownFailuresFile  # noqa: PLC0415
    from conformance.strength.bank import BankFile  # noqa: PLC0415

    if kind == "bank":
        return schema.json_schema(BankFile, "bank of wrong probes")
    if kind == "known-failures":
        return schema.json_schema(KnownFailuresFile, "known failures")
    if kind == "export":
        return schema.json_schema(Index, "index of an export")
    if kind == "images":
        return schema.json_schema(ImagesFile, "images")
    if kind == "settings":
        return schema.json_schema(SettingsFile, "settings")
    made: dict[str, Callable[[], dict[str, Any]]] = {
        "scenario": partial(schema.scenario_schema, cli_states()),
        "layer": schema.layer_schema,
        "state": schema.state_schema,
        "contract": schema.contract_schema,
    }
    return made[kind]()
