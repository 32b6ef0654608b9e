"""What a shell offers behind a command that is half typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from conformance.errors import ConformanceError

__all__ = ["complete_contracts", "complete_ids"]


def complete_ids(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the ids of scenarios that begin like that, and files where it looks like one.

    They are those of the contract that is typed, or that the settings file names.
    """
    # Imported here, since every command has such arguments, and few are completed.
    from conformance.catalogue import contracts  # noqa: PLC0415
    from conformance.loading import catalogue_under  # noqa: PLC0415

    if incomplete.startswith((".", "/", "~")) or incomplete.endswith(".toml"):
        return [CompletionItem(incomplete, type="file")]
    directories: Sequence[Path] = ctx.params.get("directories") or ()
    try:
        contract = contracts.load(ctx.params.get("contract") or "slot")
        chosen = contracts.for_agent(contract, ctx.params.get("agent") or "")
        catalogue = catalogue_under(contract, [path.absolute() for path in directories])
    except ConformanceError:  # it is said when the command is run
        return []
    found = catalogue.in_contract(chosen)
    return [
        CompletionItem(scenario.id, help=scenario.summary)
        for scenario in found
        if scenario.id.startswith(incomplete)
    ]


def complete_contracts(
    _ctx: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the bundled contracts whose name begins like that; files where none does."""
    from conformance.catalogue import contracts  # noqa: PLC0415

    found = [
        CompletionItem(name, help=contract.summary)
        for name, contract in contracts.bundled().items()
        if name.startswith(incomplete)
    ]
    return found or [CompletionItem(incomplete, type="file")]
