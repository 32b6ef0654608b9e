"""The command contract: draft one from a Manager, and show two side by side."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.catalogue import contracts
from conformance.cli.lockstep import ask
from conformance.cli.options import actions_option, contract_option
from conformance.errors import CannotJudge, UsageError
from conformance.files import replace_text
from conformance.lockstep.draft import check_read_by_manager, differences, draft
from conformance.text import printable

__all__ = ["contract_command"]

_WIDTH = 130


@click.command("contract")
@click.option(
    "--from-manager",
    "manager",
    metavar="M",
    help="Draft a contract from a Manager: a table, object or command.",
)
@actions_option
@contract_option
@click.option(
    "--name",
    metavar="NAME",
    default="drafted",
    show_default=True,
    help="The name of the drafted contract.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the draft to FILE instead of standard output.",
)
@click.option(
    "--diff",
    metavar="A B",
    nargs=2,
    help="Show two contracts side by side; exit status 1 where they differ.",
)
@click.pass_context
def contract_command(
    ctx: click.Context,
    /,
    manager: str | None,
    actions: Path | None,
    contract: str,
    name: str,
    output: str | None,
    diff: tuple[str, str] | None,
) -> None:
    """Draft a contract from a Manager, or show two contracts side by side.

    A draft takes the verdicts of --contract, with the codes on which the Manager does what each of
    them asks for. It extends that contract where it is bundled; of one of your own it extends what
    that extends, and says the rest itself.
    """
    if (manager is None) == (diff is None):
        cause = "nothing to do" if manager is None else "two things to do"
        raise UsageError(cause, hint="give --from-manager or --diff")
    if diff is not None:
        ctx.exit(_show_differences(*diff))
    assert manager is not None
    if output is not None and os.path.lexists(output):
        raise UsageError(f"{output} already exists", hint="name a new file")
    text = _draft(manager, actions, contract, name)
    if output is None:
        click.echo(text, nl=False)
    else:
        replace_text(Path(output), text)


def _draft(manager: str, actions: Path | None, contract: str, name: str) -> str:
    """Return the text of a contract with the codes of the *manager*."""
    known = contracts.bundled()
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or name in known:
        hint = "use lower-case letters, digits and '-'; no bundled contract's name"
        raise UsageError(f"'{name}' cannot be its name", hint=hint)
    base = contracts.load(contract)
    check_read_by_manager(base)
    parent = next((known[ancestor] for ancestor in base.lineage if ancestor in known), None)
    _, answers = ask(manager, actions, base)
    if lost := answers.lost():
        raise CannotJudge(f"the Manager cannot be asked: {lost}")
    return draft(base, answers, name, f"the Manager {manager}", parent)


def _show_differences(one: str, other: str) -> int:
    a, b = contracts.load(one), contracts.load(other)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "", a.name, b.name):
        table.add_column(heading)
    differ = 0
    for what, here, there in differences(a, b):
        differ += here != there
        cells = ("≠" if here != there else "", what, here or "–", there or "–")
        style = "bold" if here != there else ""
        table.add_row(*(Text(printable(cell)) for cell in cells), style=style)
    console.print(table)
    console.print(f"{differ} differ" if differ else "the same", style="bold")
    return 1 if differ else 0
