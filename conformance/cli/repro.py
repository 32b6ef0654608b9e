"""The command repro: one scenario, everything shown, the home kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from conformance.cli.options import image_options, probe_options
from conformance.cli.run import checked_request
from conformance.drivers.container.driver import ContainerDriver
from conformance.drivers.local.driver import LocalDriver
from conformance.errors import CannotJudge, UsageError
from conformance.home import build, plan
from conformance.judge.judge import judge
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, ScenarioResult
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.model.wording import expectation, probe_lines
from conformance.run.assembly import World
from conformance.run.directory import RunDirectory, cache_dir
from conformance.run.items import keep_directory
from conformance.text import join, printable

__all__ = ["repro_command"]


@click.command("repro")
@probe_options
@image_options
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the home is kept; by default in a new directory below the cache directory.",
)
@click.argument("id_", metavar="ID")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.pass_context
def repro_command(ctx: click.Context, /, id_: str, files: tuple[str, ...], keep: Path | None, **options: Any) -> None:
    """Run one scenario with everything shown, and keep its home.

    A scenario outside of the catalogue takes the FILE that it is in, and those of its controls.
    """
    if other := next((file for file in files if not file.endswith(".toml")), ""):
        hint = "give one id, then the files it needs"
        raise UsageError(f"'{other}' is no scenario file", hint=hint)
    settings, world = checked_request(patterns=[id_], more=files, keep=keep, known=None, **options)
    world.settings = settings
    ids = settings.ids or ()
    if len(ids) > 1:
        raise UsageError(f"'{id_}' names {len(ids)} scenarios", hint=_one_of(id_, ids))
    scenario = world.catalogue.get(ids[0])
    control = world.catalogue.scenarios.get(scenario.control_for(world.contract))
    # Homes, stubs and all stay in the directory, so that the printed command works as long as it is there.
    place = Path(settings.keep or keep_directory(_new_directory(scenario.id)))
    run = _run_image if settings.image is not None else _run_command
    executions, shown = run(world, scenario, place)
    result = judge(scenario, world.contract, executions, world.engine.secrets(scenario), control)
    click.echo(f"{scenario.id}: {scenario.summary}\norigin: {scenario.origin}")
    for line in (*shown, "", *_judgement(result, world.contract)):
        click.echo(line)
    ctx.exit({"conforms": 0, "deviates": 1}.get(result.result, CannotJudge.exit_status))


def _one_of(name: str, ids: Sequence[str]) -> str:
    words = [ids[0], name] if name.endswith(".toml") else [ids[0]]
    return f"give the id of one, such as {join(words)}"


def _run_command(world: World, scenario: Scenario, place: Path) -> tuple[list[Execution], list[str]]:
    """Run a local command; return what was seen, and what to say about repeating it."""
    settings = world.settings
    driver = LocalDriver(settings.argv, place, cwd=Path(settings.cwd), extra=settings.extra, keep=True)
    world.driver = driver
    try:
        executions = [world.engine.observe(scenario) for _ in range(settings.repeat)]
    finally:
        driver.close()
    if not executions[0].kept:
        return executions, []
    return executions, [f"home: {executions[0].kept}/home", "command:", f"  {executions[0].command}"]


def _run_image(world: World, scenario: Scenario, place: Path) -> tuple[list[Execution], list[str]]:
    """Run an image; return what was seen, and what to say about repeating it."""
    directory = RunDirectory()
    world.staging = True
    try:
        world.settle(directory.path)
        driver = world.driver
        assert isinstance(driver, ContainerDriver)
        executions = [world.engine.observe(scenario, n) for n in range(world.settings.executions)]
        context = Context(now=world.settings.now, seed=world.settings.seed)
        lines = list(probe_lines(driver.describe()))
        if any(execution.outcome.unsupported or execution.outcome.broke for execution in executions):
            return executions, lines
        spec = driver.stage(scenario, world.contract, context)
        lines += [_home_on_disk(scenario, replace(context, scenario=scenario.id, home=spec.volumes[0].target), place)]
        lines += ["command:", f"  {join(spec.words())} < /dev/null"]
        return executions, [*lines, "its volumes stay; to remove them: probe-conformance sweep --kept"]
    finally:
        world.close()
        directory.close()


def _home_on_disk(scenario: Scenario, context: Context, place: Path) -> str:
    """Build the home here as well, to be looked at: the one in the engine's volume cannot be."""
    try:
        build(plan(scenario.entries, context), place / "home")
    except CannotJudge as e:
        return f"home: in the volume only; {e}"
    return f"home: {place / 'home'} (a copy of what is in the volume)"


def _judgement(result: ScenarioResult, contract: Contract) -> Iterator[str]:
    """Yield the lines that say what was expected, what came, and what tells the scenario from its control."""
    yield f"expected: {expectation(contract, result.expected)}"
    got = f"{result.verdict or 'outside the contract'} ({result.code})" if result.code is not None else "no exit code"
    yield f"got: {got} after {result.seconds:.2f} s: {result.result}"
    yield from (f"  {finding.kind}: {printable(finding.message)}" for finding in result.findings)
    yield from (f"  outside the HOME: {printable(line)}" for line in result.outside)
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
    name = id_.replace("/", "-")
    number = next(n for n in range(1, 1_000_000) if not (base / f"{name}-{n}").exists())
    return base / f"{name}-{number}"
