"""The command capture: a real home as a scenario file, without its secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from msgspec.structs import replace

from conformance.capture.captured import Captured, captured
from conformance.capture.proposed import DIFFERS, ORIGIN, SUMMARY, in_contracts, proposed
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.scenarios import parsed_scenario
from conformance.catalogue.toml import toml
from conformance.catalogue.writing import scenario_text
from conformance.cli.home_case import (
    HomeUser,
    contract_for,
    decided,
    home_agent_option,
    home_user_option,
)
from conformance.cli.home_source import source_options
from conformance.cli.options import contract_option, variable_options
from conformance.cli.outputs import check_new_scenario
from conformance.cli.settings import WithSettings
from conformance.errors import CannotJudge
from conformance.files import create_text
from conformance.home.reading import FoundHome, HomeSource, read_home
from conformance.loading import catalogue_under
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.model.wording import expectation
from conformance.run.request import variables
from conformance.specification import Decision, case_in
from conformance.text import printable

__all__ = ["capture_command"]

_COMMENT = (
    "A real home, captured without its secrets.",
    "Names and texts that are not known to be harmless are made-up ones of the same shape.",
)


@click.command("capture", cls=WithSettings)
@click.option(
    "-o",
    "--output",
    metavar="FILE.toml",
    required=True,
    type=click.Path(path_type=Path),
    help="The scenario file to write; it must not be there yet.",
)
@home_agent_option
@contract_option
@variable_options("the probe in that home")
@home_user_option
@source_options
def capture_command(
    source: HomeSource,
    output: Path,
    agent: str,
    contract: str,
    env: tuple[str, ...],
    pass_env: tuple[str, ...],
    user: HomeUser,
) -> None:
    """Write a real HOME as a scenario file that holds none of its secrets.

    Types, permissions, links, times relative to now and faults of JSON are kept. Names and texts
    are kept only if everybody knows them. The HOME is only read, and nothing in it is started. What
    was kept is printed; where anything of the HOME's own values would get out, nothing is written.

    Exit status: 0 the file is written, 2 the request is wrong, 3 the HOME could not be read, or a
    value of it would have got out.
    """
    check_new_scenario(output)
    chosen = contract_for(contract, agent)
    catalogue = catalogue_under(chosen)
    own = variables(env, pass_env)
    found = read_home(source, own.values())
    made = captured(
        found.seen,
        home_path=found.path,
        contract=chosen,
        env=own,
        uid=user.uid,
        gids=user.gids,
    )
    decisions = {
        each.name: _decision(each, found, own, agent, user)
        for each in in_contracts(chosen, catalogue.contracts, agent, made)
    }
    id_ = f"captured/{output.stem}"
    scenario = proposed(made, decisions, catalogue, id_=id_, agent=agent)
    text = scenario_text(scenario, comment="\n".join(_COMMENT))
    _check_text(text, scenario, made, catalogue)
    create_text(output, text)
    for line in _report(output, scenario, made, catalogue, decisions):
        click.echo(printable(line))


def _decision(
    contract: Contract, found: FoundHome, env: Mapping[str, str], agent: str, user: HomeUser
) -> Decision:
    """Return what *contract* calls for in the home that was *found*.

    :raises CannotJudge: no rule of it speaks of such a home.
    """
    case = case_in(
        found.seen,
        contract,
        agent=agent,
        home_path=found.path,
        env=env,
        uid=user.uid,
        gids=user.gids,
    )
    # The file is for runs: modes keep root out as well, and the probe starts where nothing lies.
    decision = decided(replace(case, reads_all=False, cwd=""), contract)
    if decision.rule:
        return decision
    # A scenario that leaves only some answers open cites a rule, and here there is none to cite.
    return replace(decision, verdicts=tuple(verdict.name for verdict in contract.verdicts))


def _check_text(text: str, scenario: Scenario, made: Captured, catalogue: Catalogue) -> None:
    """Make sure that *text* reads as the *scenario*, and that nothing gets out with it.

    :raises CannotJudge: it does not, or something would.
    """
    table = toml(scenario.file, text)
    constants = {SUMMARY, ORIGIN, DIFFERS, scenario.agent, *scenario.control, *scenario.expect}
    constants |= {*scenario.control.values()}
    for names in (*scenario.expect.values(), *scenario.rules.values()):
        constants |= {*names}
    if place := made.withheld.found_in(table, constants):
        cause = f"eight characters in a row of {printable(place)} would stand in the file"
        raise CannotJudge(cause, hint="nothing was written; this is a defect, please report it")
    read = parsed_scenario(table, scenario.id, catalogue.contracts)
    if {*map(repr, read.entries)} != {*map(repr, scenario.entries)} or read.env != scenario.env:
        hint = "nothing was written; this is a defect, please report it"
        raise CannotJudge("the file would not read as what was captured", hint=hint)


def _report(
    output: Path,
    scenario: Scenario,
    made: Captured,
    catalogue: Catalogue,
    decisions: Mapping[str, Decision],
) -> Iterator[str]:
    """Yield what was kept, and why; no name or value of the home that is not in the file."""
    count = len(scenario.entries)
    yield f"{output}: {count} {'entry' if count == 1 else 'entries'}"
    for name, decision in decisions.items():
        known = catalogue.contracts[name]
        if decision.rule:
            calls = expectation(known, decision.verdicts)
            yield f"  {name} calls for {calls}, by the rule {decision.rule}"
        else:
            yield f"  {name} takes any answer, since no rule speaks of it: {decision.why}"
    for path, what in made.files.items():
        words = ", ".join(f"{number} {word}" for word, number in sorted(what.items()))
        yield f"  {path}: {words or 'no member and no text in it'}"
    for word, number in made.counts.items():
        if number:
            yield f"  {number} {word}"
    for note in made.notes:
        yield f"  note: {note}"
    yield "to be written: summary and origin; to be made smaller: probe-conformance reduce"
