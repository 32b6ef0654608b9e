"""The command repro: one scenario, everything shown, the home kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from conformance.cli.options import probe_options
from conformance.cli.run import checked_request
from conformance.drivers.local import LocalDriver
from conformance.engine import Engine
from conformance.errors import CannotJudge, UsageError, printable
from conformance.explain import expectation
from conformance.items import keep_directory
from conformance.judge import judge
from conformance.model import Contract, ScenarioResult
from conformance.placeholders import Context
from conformance.rundir import cache_dir

__all__ = ["repro_command"]


@click.command("repro")
@probe_options
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the home is kept; by default in a new directory below the cache directory.",
)
@click.argument("id_", metavar="ID")
@click.pass_context
def repro_command(ctx: click.Context, /, id_: str, keep: Path | None, **options: Any) -> None:
    """Run one scenario with everything shown, and keep its home."""
    settings, world = checked_request(patterns=[id_], keep=keep, known=None, **options)
    if len(settings.ids or ()) != 1:
        raise UsageError(f"'{id_}' names {len(settings.ids or ())} scenarios", hint="give the id of one")
    scenario = world.catalogue.get((settings.ids or ("",))[0])
    control = world.catalogue.scenarios.get(scenario.control_for(world.contract))
    # Homes, stubs and all stay in the directory, so that the printed command works as long as it is there.
    place = Path(settings.keep or keep_directory(_new_directory(id_)))
    driver = LocalDriver(settings.argv, place, cwd=Path(settings.cwd), extra=settings.extra, keep=True)
    try:
        engine = Engine(driver, world.catalogue, world.contract, Context(now=settings.now, seed=settings.seed))
        executions = [engine.observe(scenario) for _ in range(settings.repeat)]
    finally:
        driver.close()
    result = judge(scenario, world.contract, executions, engine.secrets(scenario), control)
    click.echo(f"{scenario.id}: {scenario.summary}\norigin: {scenario.origin}")
    click.echo(f"home: {executions[0].kept}/home\ncommand:\n  {executions[0].command}\n")
    for line in _judgement(result, world.contract):
        click.echo(line)
    ctx.exit({"conforms": 0, "deviates": 1}.get(result.result, CannotJudge.exit_status))


def _judgement(result: ScenarioResult, contract: Contract) -> Iterator[str]:
    """Yield the lines that say what was expected, what came, and what tells the scenario from its control."""
    yield f"expected: {expectation(contract, result.expected)}"
    got = f"{result.verdict or 'outside the contract'} ({result.code})" if result.code is not None else "no exit code"
    yield f"got: {got} after {result.seconds:.2f} s: {result.result}"
    yield from (f"  {finding.kind}: {printable(finding.message)}" for finding in result.findings)
    if result.reason:
        yield f"  {printable(result.reason)}"
    yield f"control: {result.control}; against it, this one has"
    yield from (f"  {printable(line)}" for line in result.difference)
    for name, text in (("stdout", result.stdout), ("stderr", result.stderr)):
        yield f"{name}:{'' if text else ' (nothing)'}"
        yield from (f"  {printable(line)}" for line in text.splitlines())


def _new_directory(id_: str) -> Path:
    """Return a new directory for a kept home, which no later run removes."""
    base = cache_dir() / "kept"
    name = Path(id_).stem if id_.endswith(".toml") else id_.replace("/", "-").replace("*", "").replace("?", "")
    number = next(n for n in range(1, 1_000_000) if not (base / f"{name}-{n}").exists())
    return base / f"{name}-{number}"
