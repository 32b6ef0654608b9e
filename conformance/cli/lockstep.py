"""The command lockstep: do probe, Manager and contract agree?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TextIO, cast

import click

from conformance.cli.completion import complete_ids
from conformance.cli.options import (
    actions_option,
    agent_option,
    image_options,
    json_option,
    manager_option,
    probe_options,
)
from conformance.cli.outputs import check_outputs
from conformance.cli.request import run_request
from conformance.cli.run import workers_option
from conformance.cli.settings import WithSettings, taken
from conformance.cli.shard import shard_options, shard_request
from conformance.errors import UsageError
from conformance.lockstep.agreement import Agreement
from conformance.lockstep.draft import check_read_by_manager
from conformance.lockstep.managers.answers import Answers
from conformance.lockstep.managers.manager import open_manager
from conformance.lockstep.managers.tables import read_words
from conformance.lockstep.report import LockstepReport
from conformance.model.contract import Action, Contract
from conformance.report.document import write_json
from conformance.report.stream import Stream
from conformance.run.assembly import open_run
from conformance.run.directory import RunDirectory
from conformance.run.pytest_run import PytestRun, sigterm_interrupts, worker_count
from conformance.run.shards import only_shard
from conformance.run.subject import check

__all__ = ["ask", "lockstep_command"]


@click.command("lockstep", cls=WithSettings)
@manager_option
@actions_option
@probe_options
@agent_option
@image_options
@shard_options
@workers_option
@json_option
@click.argument("patterns", metavar="[ID|GLOB|FILE]...", nargs=-1, shell_complete=complete_ids)
@click.pass_context
def lockstep_command(
    ctx: click.Context,
    /,
    patterns: tuple[str, ...],
    manager: str,
    actions: Path | None,
    workers: str,
    json_file: str | None,
    **options: Any,
) -> None:
    """Check that probe, Manager and contract agree on every exit code.

    The Manager is asked what it does with each code there is; then every scenario's probe is run,
    and its real exit code is given to the Manager. Where they disagree, the contract tells which
    side moved.

    Exit status: 0 in lockstep, 1 not, 2 the request is wrong, 3 something could not be judged,
    130 interrupted.
    """
    check_outputs({"json_file": json_file})
    settings, wanted = taken(ctx), shard_request(options)
    subject = check(run_request(patterns=patterns, probe_in=settings.directory, **options))
    if subject.contract.in_steps:
        cause = f"contract '{subject.contract.name}' asks a gate in steps, which no Manager reads"
        raise UsageError(cause, hint="it has no exit codes; name the contract of a probe")
    check_read_by_manager(subject.contract)
    if not subject.contract.exit_code_answers:
        cause = f"under contract '{subject.contract.name}' the exit code is no answer"
        raise UsageError(cause, hint="a Manager that reads exit codes needs one in which it is")
    subject = only_shard(subject, wanted)
    count = worker_count(workers, len(subject.selected))
    described, answers = ask(manager, actions, subject.contract)
    lost = answers.lost()
    if lost:
        agreement = Agreement(subject.contract, answers, None)
    else:
        with sigterm_interrupts(), open_run(subject) as run:
            pytest_run = PytestRun(run, to_stderr=json_file == "-", summary="none")
            pytest_run.report.settings = settings.words
            pytest_run.report.shard = subject.shard
            pytest_run.execute(count)
        agreement = Agreement(subject.contract, answers, pytest_run.report)
    report = LockstepReport(agreement, described)
    report.show(cast(TextIO, Stream(sys.stderr if json_file == "-" else sys.stdout)))
    if json_file:
        write_json(report.document(), json_file)
    if lost:
        click.echo(f"probe-conformance: the Manager cannot be judged: {lost}", err=True)
    ctx.exit(agreement.exit_status())


def ask(manager: str, actions: Path | None, contract: Contract) -> tuple[dict[str, Any], Answers]:
    """Return the *manager*, and what it does with each exit code.

    :raises ConformanceError: it is not there, or cannot be asked.
    """
    cwd = Path.cwd()
    known = [verdict.asks for verdict in contract.verdicts]
    known += [Action(name) for name in contract.otherwise]
    words = read_words(cwd / actions, known) if actions is not None else {}
    opened = open_manager(manager, words, cwd)
    directory = RunDirectory()
    try:
        answers = opened.ask(tuple(contract.all_codes), directory.path)
    finally:
        directory.close()
    return opened.describe(), answers
