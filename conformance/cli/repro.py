"""The command repro: one scenario, everything shown, the home kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from conformance.cli.completion import complete_ids
from conformance.cli.options import as_of_option, image_options, probe_options
from conformance.cli.request import run_request
from conformance.cli.settings import WithSettings, taken
from conformance.drivers.container.engine_name import docker_options
from conformance.drivers.local.driver import HomeDirectory
from conformance.errors import CannotJudge, UsageError
from conformance.home import build, plan
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, ScenarioResult
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.model.wording import describe_surroundings, expectation, probe_lines
from conformance.report.story import step_lines
from conformance.run.assembly import Run, open_run
from conformance.run.directory import cache_dir, keep_directory
from conformance.run.subject import check
from conformance.text import join, printable

__all__ = ["repro_command"]


@click.command("repro", cls=WithSettings)
@probe_options
@image_options
@as_of_option
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the home is kept; by default in a new directory below the cache directory.",
)
@click.argument("id_", metavar="ID", shell_complete=complete_ids)
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.pass_context
def repro_command(
    ctx: click.Context, /, id_: str, files: tuple[str, ...], keep: Path | None, **options: Any
) -> None:
    """Run one scenario with everything shown, and keep its home.

    A scenario outside of the catalogue takes the FILE that it is in, and those of its controls.
    """
    for file in files:
        if not file.endswith(".toml"):
            hint = "give one id, then the files it needs"
            raise UsageError(f"'{file}' is not a scenario file", hint=hint)
    settings = taken(ctx)
    request = run_request(patterns=[id_], files=files, probe_in=settings.directory, **options)
    subject = check(replace(request, stage=True))
    if len(subject.selected) > 1:
        ids = [scenario.id for scenario in subject.selected]
        raise UsageError(f"'{id_}' names {len(ids)} scenarios", hint=_one_of(id_, ids))
    scenario = subject.selected[0]
    # Homes and stubs stay in the directory, so the printed command works as long as it exists.
    named, here = str(keep or _new_directory(scenario.id)), subject.request.image is None
    place = keep_directory(named, Path.cwd(), runs_here=here)
    with open_run(subject, into=place) as run:
        executions = run.runner.observe(scenario)
        result = run.runner.judge(scenario, executions)
        by_hand = list(_by_hand(run, scenario, executions, place))
    click.echo(f"{scenario.id}: {scenario.summary}\norigin: {scenario.origin}")
    if settings.words:
        click.echo(f"settings: {printable(settings.words)}")
    for line in (*by_hand, "", *_judgement(result, run.contract)):
        click.echo(line)
    ctx.exit({"conforms": 0, "deviates": 1}.get(result.result, CannotJudge.exit_status))


def _by_hand(
    run: Run, scenario: Scenario, executions: Sequence[Execution], place: Path
) -> Iterator[str]:
    """Yield what to say about the home that is kept, and about starting the probe in it by hand."""
    if run.request.image is None:
        if executions[0].kept:
            yield f"home: {HomeDirectory(Path(executions[0].kept), scenario.home_name).home}"
            if earlier := describe_surroundings(scenario).get("earlier"):
                yield f"the command was run before that, in the same place: {printable(earlier)}"
            yield "command:"
            yield f"  {executions[0].command}"
            if run.contract.requests is not None:
                yield "the home is what it was in the end; the Manager at that URL has gone with it"
            if run.contract.in_steps:
                yield "the home is what it was in the end; the command read, a line for each step:"
                yield from (f"  {line}" for line in executions[0].told)
        return
    yield from probe_lines(run.describe())
    if not all(execution.outcome.says_something for execution in executions):
        return
    spec = run.stage(scenario)
    context = replace(run.context, scenario=scenario.id, home=spec.volumes[0].target)
    yield _home_on_disk(scenario, context, place)
    yield "command:"
    docker, *words = spec.docker_run()
    engine = executions[0].engine
    yield f"  {join([docker, *docker_options(engine), *words])} < /dev/null"
    if run.contract.requests is not None:
        yield "the Manager at that URL, and the network that it was in, have gone"
    named = ["--engine", engine] if engine else []
    remove = join(["probe-conformance", "sweep", "--kept", *named])
    yield f"its volumes stay; to remove them: {remove}"


def _one_of(name: str, ids: Sequence[str]) -> str:
    argv = [ids[0], name] if name.endswith(".toml") else [ids[0]]
    return f"give the id of one, such as {join(argv)}"


def _home_on_disk(scenario: Scenario, context: Context, place: Path) -> str:
    """Build the home on disk as well, because nobody can look into the engine's volume."""
    try:
        build(plan(scenario.entries, context), place / "home")
    except CannotJudge as e:
        return f"home: in the volume only; {e}"
    return f"home: {place / 'home'} (a copy of what is in the volume)"


def _judgement(result: ScenarioResult, contract: Contract) -> Iterator[str]:
    """Yield lines: what was expected, what came, and how the scenario differs from its control."""
    yield f"expected: {expectation(contract, result.expected)}"
    got = "no answer" if contract.in_steps else "no exit code"
    if result.code is not None:
        got = f"{result.verdict or 'outside the contract'} ({result.code})"
    yield f"got: {got} after {result.seconds:.2f} s: {result.result}"
    for finding in result.findings:
        advice = "" if finding.level == "must" else "advice: "
        yield f"  {advice}{finding.kind}: {printable(finding.message)}"
    yield from (f"  outside the HOME: {printable(line)}" for line in result.outside)
    if result.reason:
        yield f"  {printable(result.reason)}"
    if result.steps:
        yield "story:"
        story = step_lines(result, whole=True)
        yield from (f"  {heading}: {printable(line)}" for heading, line in story)
    if result.events:
        yield "in the login:"
        yield from (f"  {printable(line)}" for line in result.events)
    yield f"control: {result.control}; here:"
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
