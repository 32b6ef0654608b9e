"""The command lint: check the catalogue against its own rules."""

from __future__ import annotations

from pathlib import Path

import click

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.catalogue.lint import lint
from conformance.cli.options import scenarios_option
from conformance.cli.settings import WithSettings

__all__ = ["lint_command"]


@click.command("lint", cls=WithSettings)
@click.option(
    "--contract", metavar="FILE", help="A contract of your own, which scenarios may name."
)
@scenarios_option
@click.pass_context
def lint_command(
    ctx: click.Context, /, contract: str | None, directories: tuple[Path, ...]
) -> None:
    """Check the catalogue against its own rules.

    Looks at names, summaries, origins, controls and homes, and whether every rule has scenarios.

    Exit status: 0 nothing to complain about, 1 a line for each complaint, 2 a file cannot be read.
    """
    own = contracts.load(contract) if contract is not None else None
    catalogue = load_catalogue([directory.absolute() for directory in directories], contract=own)
    complaints = lint(catalogue)
    for complaint in complaints:
        click.echo(str(complaint))
    rules = 0
    for known in catalogue.contracts.values():
        rules += sum(rule.contract == known.name for rule in known.rules.values())
    contracts_read = len(catalogue.contracts)
    checked = f"{len(catalogue.scenarios)} scenarios, {contracts_read} contracts, {rules} rules"
    noun = "complaint" if len(complaints) == 1 else "complaints"
    click.echo(f"{checked}: {len(complaints) or 'no'} {noun}")
    ctx.exit(1 if complaints else 0)
