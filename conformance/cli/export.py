"""The command export."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue, select
from conformance.cli.completion import complete_contracts, complete_ids
from conformance.cli.fixed import now_option, seed_option
from conformance.cli.options import scenarios_option
from conformance.cli.settings import WithSettings
from conformance.errors import UsageError
from conformance.export.scenarios import exportable
from conformance.export.writing import INDEX, write_export
from conformance.loading import catalogue_under
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.report.view import some
from conformance.run.request import scenario_files

__all__ = ["export_command"]


@click.command("export", cls=WithSettings)
@click.option(
    "--contract",
    metavar="NAME|FILE",
    shell_complete=complete_contracts,
    help="Only what this contract judges; by default what any bundled one does.",
)
@scenarios_option
@now_option
@seed_option
@click.option(
    "--at",
    metavar="PATH",
    default="",
    help="Where homes will be unpacked, each below its id: some hold their own path; by default "
    "DIR/at.",
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("patterns", metavar="[ID|GLOB|FILE]...", nargs=-1, shell_complete=complete_ids)
def export_command(
    contract: str | None,
    directories: tuple[Path, ...],
    now: float | None,
    seed: str,
    at: str,
    directory: Path,
    patterns: tuple[str, ...],
) -> None:
    """Write homes, CLIs and what contracts call for to DIR, for tests in other languages.

    DIR must be empty or not exist. It gets an archive for each HOME, and index.json, which says how
    each is used.
    """
    if at and not at.startswith("/"):
        raise UsageError(f"--at '{at}' is not absolute", hint="write it like /srv/homes")
    files = scenario_files(patterns, Path.cwd())
    one = contracts.load(contract) if contract is not None else None
    if one is not None and (why := exportable(one)):
        raise UsageError(f"contract '{one.name}' {why}: no archive holds that", hint="name another")
    catalogue = catalogue_under(one, directories, files=files, now=now)
    judging = [one] if one is not None else _judging(catalogue)
    chosen = _chosen(catalogue, patterns, judging)
    left_out = {} if patterns else _left_out(catalogue, judging)
    context = Context(now=time.time() if now is None else now, seed=seed or secrets.token_hex(8))
    index = write_export(directory, chosen, judging, context, left_out=left_out, at=at.rstrip("/"))
    wrote = some(len(index.scenarios), "scenario")
    click.echo(f"wrote {wrote} to {directory}; see {directory / INDEX}")
    for why, count in Counter(index.left_out.values()).items():
        click.echo(f"left out {count}: {why}")


def _judging(catalogue: Catalogue) -> list[Contract]:
    """Return the contracts that archives can be made for."""
    return [contract for contract in catalogue.contracts.values() if not exportable(contract)]


def _left_out(catalogue: Catalogue, judging: Sequence[Contract]) -> dict[str, str]:
    """Return why scenarios are part of none of the contracts in *judging*, by id.

    Where only one contract is asked for, what it does not know is not left out.
    """
    if len(judging) == 1:
        return {}
    found: dict[str, str] = {}
    for contract in catalogue.contracts.values():
        if why := exportable(contract):
            found |= {
                each.id: f"contract '{contract.name}' {why}"
                for each in catalogue.in_contract(contract)
            }
    exported = {each.id for contract in judging for each in catalogue.in_contract(contract)}
    return {id_: why for id_, why in found.items() if id_ not in exported}


def _chosen(
    catalogue: Catalogue, patterns: Sequence[str], judging: Sequence[Contract]
) -> list[Scenario]:
    """Return the scenarios that *patterns* name and any contract in *judging* knows, by id.

    :raises UsageError: a pattern names nothing.
    """
    found: dict[str, Scenario] = {}
    for pattern in patterns or ("*",):
        refused: list[UsageError] = []
        for contract in judging:
            try:
                found |= {
                    scenario.id: scenario for scenario in select(catalogue, (pattern,), contract)
                }
            except UsageError as e:
                refused.append(e)
        if len(refused) == len(judging):
            raise _unknown(catalogue, pattern) if len(judging) > 1 else refused[0]
    return [found[id_] for id_ in sorted(found)]


def _unknown(catalogue: Catalogue, pattern: str) -> UsageError:
    """Return the error for a *pattern* that names nothing under any contract.

    :raises UsageError: it looks like an id, and there is no such scenario.
    """
    if not {"*", "?"} & set(pattern) and not pattern.endswith(".toml"):
        catalogue.get(pattern)
    hint = "see probe-conformance list"
    return UsageError(f"'{pattern}' names nothing that an archive can hold", hint=hint)
