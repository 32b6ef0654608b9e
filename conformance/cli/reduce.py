"""The command reduce: the smallest scenario in which a probe still gives the same wrong answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace
from rich.console import Console

from conformance.catalogue.catalogue import root_of
from conformance.catalogue.writing import scenario_table, scenario_text
from conformance.cli.completion import complete_ids
from conformance.cli.options import image_options, probe_options, strict_option
from conformance.cli.outputs import check_new_scenario
from conformance.cli.request import repro_argv, run_request
from conformance.cli.settings import WithSettings, taken
from conformance.errors import UsageError
from conformance.files import replace_text
from conformance.judge.tally import INTERRUPTED
from conformance.model.entry_wording import describe_entry
from conformance.model.scenario import Scenario
from conformance.model.wording import against_control, describe_surroundings
from conformance.reduce.fault import AgainstContract, AgainstProbe, Fault
from conformance.reduce.finished import Finished, finished
from conformance.reduce.reduction import LIMIT, Reduction, reduced
from conformance.report.bar import Bar
from conformance.run.assembly import open_run
from conformance.run.pytest_run import sigterm_interrupts
from conformance.run.request import Command
from conformance.run.subject import Subject, check
from conformance.text import join, printable

__all__ = ["reduce_command"]

#: So many entries are shown.
_SHOWN = 20
_STOPPED = "stopped there, so more may be taken away: see --max-runs"


@click.command("reduce", cls=WithSettings)
@click.option(
    "-o",
    "--output",
    metavar="FILE.toml",
    required=True,
    type=click.Path(path_type=Path),
    help="Where the reduced scenario is written: a file that is not there yet.",
)
@click.option(
    "--against",
    metavar="CMD",
    help="Another local command: keep what makes the two probes answer differently.",
)
@click.option(
    "--max-runs",
    metavar="N",
    type=click.IntRange(10),
    default=LIMIT,
    show_default=True,
    help="Stop after so many runs, with what is smallest by then.",
)
@probe_options
@image_options
@strict_option
@click.argument("id_", metavar="ID|FILE", shell_complete=complete_ids)
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.pass_context
def reduce_command(
    ctx: click.Context,
    /,
    id_: str,
    files: tuple[str, ...],
    output: Path,
    against: str | None,
    max_runs: int,
    **options: Any,
) -> None:
    """Find the smallest scenario in which a probe still gives the same wrong answer.

    Takes away entries of the HOME, attributes, members of JSON documents, variables and all else
    that does not matter, a run for each step. The same rule has to call for the same answer all the
    while, and the probe to answer the same; an answer that changes when it is asked for again is
    refused. A scenario outside of the catalogue takes the FILE that it is in, and those of its
    controls.

    After an interrupt what is smallest by then is written; after a second one, nothing is.

    Exit status: 0 the reduced scenario was written, 2 the request is wrong, or nothing is, 3
    something could not be judged, or the answer is not steady, 130 interrupted.
    """
    check_new_scenario(output)
    settings = taken(ctx)
    request = run_request(patterns=[id_], files=files, probe_in=settings.directory, **options)
    subject = check(request)
    scenario = _only(subject, id_)
    with ExitStack() as stack:
        stack.enter_context(sigterm_interrupts())
        run = stack.enter_context(open_run(replace(subject, selected=(scenario,))))
        fault: Fault
        if against is None:
            fault = AgainstContract(run, scenario)
        else:
            other = check(replace(request, probe=Command(against)))
            fault = AgainstProbe(run, stack.enter_context(open_run(other)), scenario)
        click.echo(f"{scenario.id}: {_size(scenario)}")
        click.echo(f"  {printable(fault.words)}")
        started = time.monotonic()
        found, interrupted = _reduced(scenario, fault, max_runs)
        if interrupted:
            click.echo("interrupted; looking for a control (interrupt again to write nothing)")
        seconds = time.monotonic() - started
        id_ = output.resolve().relative_to(root_of(output.resolve())).with_suffix("").as_posix()
        done = finished(
            found.scenario, fault, run, complete=found.complete, id_=id_, file=output.resolve()
        )
    state = _state(found, interrupted=interrupted)
    for line in _report(done, found, seconds, state):
        click.echo(line)
    text = scenario_text(done.scenario, comment=_comment(scenario, found, state))
    replace_text(output, text)
    argv = repro_argv(options, settings)
    argv.insert(2, str(output))
    click.echo(f"written to {output}; see it with\n  {join(argv)}")
    if interrupted:
        ctx.exit(INTERRUPTED)


def _only(subject: Subject, name: str) -> Scenario:
    """Return the one scenario that is selected.

    :raises UsageError: there are several, or it is about more than a home.
    """
    if len(subject.selected) > 1:
        hint = f"give the id of one, such as {subject.selected[0].id}"
        raise UsageError(f"'{name}' names {len(subject.selected)} scenarios", hint=hint)
    scenario = subject.selected[0]
    scenario_table(scenario)  # refuses what cannot be written
    return scenario


def _reduced(scenario: Scenario, fault: Fault, limit: int) -> tuple[Reduction, bool]:
    """Return what has become of *scenario*, and whether an interrupt has ended that.

    :raises KeyboardInterrupt: before anything was taken away.
    """
    best, done = scenario, 0

    def watch(runs: int, smallest: Scenario) -> None:
        nonlocal best, done
        best, done = smallest, runs
        bar.step(runs)

    try:
        with Bar(Console(stderr=True), limit) as bar:
            found = reduced(
                scenario,
                fault.still_wrong,
                same_case=fault.same_case,
                limit=limit,
                on_run=watch,
            )
    except KeyboardInterrupt:
        if replace(best, layers=scenario.layers) == scenario:
            raise
        return Reduction(scenario=best, nearest=None, runs=done, complete=False), True
    return found, False


def _state(found: Reduction, *, interrupted: bool) -> str:
    if found.complete:
        return "nothing more can be taken away"
    return "interrupted, so more may be taken away" if interrupted else _STOPPED


def _comment(original: Scenario, found: Reduction, state: str) -> str:
    return (
        f"Reduced from {original.id} ({_size(original)}) in {found.runs} runs: {state}.\n"
        "The summary and the origin are still to be written."
    )


def _report(done: Finished, found: Reduction, seconds: float, state: str) -> Iterator[str]:
    """Yield what has become of the scenario, and what is left of it."""
    small = done.scenario
    yield f"{_size(small)} left after {found.runs} runs in {seconds:.1f} s; {state}"
    for entry in small.entries[:_SHOWN]:
        yield f"  {printable(f'{entry.path}: {describe_entry(entry)}')}"
    if len(small.entries) > _SHOWN:
        yield f"  … and {len(small.entries) - _SHOWN} more"
    for about, words in describe_surroundings(small).items():
        yield f"  {about}: {printable(words)}"
    if done.control is None:
        yield f"control: {small.control['']}, since none calls for another answer"
        return
    how = "the probe is right" if done.right else "another answer is called for; it is wrong there"
    yield f"control: {done.control.id}, the nearest in which {how}; here:"
    for line in against_control(small, done.control):
        yield f"  {printable(line)}"


def _size(scenario: Scenario) -> str:
    count = len(scenario.entries)
    return f"{count} {'entry' if count == 1 else 'entries'}"
