"""The command capture: a real home as a scenario file, without its secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from msgspec.structs import replace

from conformance.capture.captured import Captured
from conformance.capture.proposed import DIFFERS, ORIGIN, SUMMARY, in_contracts, proposed
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.scenarios import parsed_scenario
from conformance.catalogue.toml import MAX_FILE_BYTES, toml
from conformance.catalogue.writing import scenario_text
from conformance.cli.home_case import RealHome, decided, real_home_options, user_words
from conformance.cli.outputs import check_new_scenario
from conformance.cli.settings import WithSettings
from conformance.errors import CannotJudge
from conformance.files import create_text
from conformance.loading import catalogue_under
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.model.wording import expectation
from conformance.specification import Case, Decision, case_of, decide
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
@real_home_options
def capture_command(home: RealHome, output: Path) -> None:
    """Write a real HOME as a scenario file that holds none of its secrets.

    Types, permissions, links, times relative to now and faults of JSON are kept. Names and texts
    are kept only if everybody knows them. The HOME is only read, and nothing in it is started. What
    was kept is printed; where anything of the HOME's own values would get out, nothing is written.

    The file is for runs, in which modes keep root out as well. What is called for where root reads
    everything, judge says.

    Exit status: 0 the file is written, 2 the request is wrong, 3 the HOME could not be read, is too
    much for one file, or a value of it would have got out.
    """
    check_new_scenario(output)
    catalogue = catalogue_under(home.contract)
    made = home.captured()
    spoken_of = in_contracts(home.contract, catalogue.contracts, home.agent, made)
    decisions = {each.name: _decision(home.case(each), each) for each in spoken_of}
    id_ = f"captured/{output.stem}"
    scenario = proposed(made, decisions, catalogue, id_=id_, agent=home.agent)
    text = scenario_text(scenario, comment="\n".join(_COMMENT))
    _check_text(text, scenario, made, catalogue)
    count = len(scenario.entries)
    lines = [f"for {user_words(home.case(home.contract))}"]
    for each in spoken_of:
        lines += _decision_lines(home.case(each), each, decisions[each.name], scenario)
    lines += _kept_lines(made)
    create_text(output, text)
    click.echo(printable(f"{output}: {count} {'entry' if count == 1 else 'entries'}"))
    for line in lines:
        click.echo(f"  {printable(line)}")
    click.echo("to be written: summary and origin; to be made smaller: probe-conformance reduce")


def _decision(case: Case, contract: Contract) -> Decision:
    """Return what *contract* calls for in *case*, as runs have it.

    :raises CannotJudge: no rule of it speaks of such a home.
    """
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
    size = len(text.encode())
    if size > MAX_FILE_BYTES:
        most = max(scenario.entries, key=lambda entry: len(repr(entry.content))).path
        cause = f"the file would have {size} bytes, and no scenario may have over {MAX_FILE_BYTES}"
        hint = f"capture a copy of the HOME in which {most}, the most of it, is shorter"
        raise CannotJudge(cause, hint=hint)
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


def _decision_lines(
    case: Case, contract: Contract, decision: Decision, scenario: Scenario
) -> Iterator[str]:
    """Yield what *contract* calls for in *case*, and where it may call for something else."""
    name = contract.name
    if not decision.rule:
        yield f"{name} takes any answer, since no rule speaks of it: {decision.why}"
        return
    wanted = expectation(contract, decision.verdicts)
    yield f"{name} calls for {wanted}, by the rule {decision.rule}"
    everywhere = decide(replace(case, cwd=""), contract) if case.reads_all else None
    if everywhere is not None and {*everywhere.verdicts} != {*decision.verdicts}:
        wanted = expectation(contract, everywhere.verdicts)
        yield f"note: outside of runs no mode keeps root out; {name} calls for {wanted} there"
    copy = decide(case_of(scenario, contract, Context(now=case.now, seed="")), contract)
    if copy is not None and {*copy.verdicts} != {*decision.verdicts}:
        wanted = expectation(contract, copy.verdicts)
        yield f"note: in the copy, {name} calls for {wanted}: {copy.why}"


def _kept_lines(made: Captured) -> Iterator[str]:
    """Yield what was kept, and why; no name or value of the home that is not in the file."""
    for path, what in made.files.items():
        words = ", ".join(f"{number} {word}" for word, number in sorted(what.items()))
        yield f"{path}: {words or 'no member and no text in it'}"
    for word, number in made.counts.items():
        if number:
            yield f"{number} {word}"
    for note in made.notes:
        yield f"note: {note}"
