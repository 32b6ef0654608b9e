"""The command run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from conformance.bundled import scenarios_dir
from conformance.cli.attest import (
    attest_option,
    attestations,
    check_attest,
    check_digest,
)
from conformance.cli.baseline import baseline
from conformance.cli.completion import complete_ids
from conformance.cli.many import Asked, one_image, run_many, several_images, several_options
from conformance.cli.options import (
    agent_option,
    as_of_option,
    image_options,
    json_option,
    probes_options,
    strict_option,
)
from conformance.cli.outputs import check_outputs, reports
from conformance.cli.request import repro_argv, run_request
from conformance.cli.results import amount_options, report_options, summary, writes
from conformance.cli.settings import WithSettings, taken
from conformance.cli.shard import shard_options, shard_request
from conformance.drivers.container.engine_name import machines
from conformance.report.document import write_all
from conformance.report.known import Known
from conformance.run.assembly import open_run
from conformance.run.last_failed import failed_before
from conformance.run.pytest_run import PytestRun, sigterm_interrupts, worker_count
from conformance.run.shards import only_shard
from conformance.run.subject import check

__all__ = ["run_command", "workers_option"]

workers_option = click.option(
    "-n",
    "--workers",
    metavar="N|auto",
    default="auto",
    show_default=True,
    help="Parallel workers; 0 runs all in one process.",
)


@click.command("run", cls=WithSettings)
@probes_options(several_options)
@agent_option
@as_of_option
@strict_option
@image_options
@shard_options
@workers_option
@json_option
@report_options
@attest_option
@click.option(
    "--known-failures", metavar="FILE", help="Failures that are expected, each with its reason."
)
@click.option(
    "--write-known-failures",
    metavar="FILE",
    help="Write what deviates now as a file of known failures.",
)
@click.option(
    "--baseline",
    metavar="REPORT",
    help="A JSON report of an earlier run: status 1 only for what got worse since.",
)
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Keep the homes of scenarios that deviate in DIR.",
)
@amount_options
@click.option(
    "-x",
    "--exitfirst",
    is_flag=True,
    help="End at the first scenario that deviates, and say how many did not run.",
)
@click.option(
    "--last-failed",
    metavar="REPORT",
    help="Only what deviated or broke in this JSON report; all if nothing did.",
)
@click.option(
    "--fail-on-unsupported/--allow-unsupported",
    help="Let scenarios that cannot be had here fail the run; by default they do not.",
)
@click.argument(
    "arguments",
    metavar="[ID|GLOB|FILE]... [-- PYTEST-ARGS]",
    nargs=-1,
    type=click.UNPROCESSED,
    shell_complete=complete_ids,
)
@click.pass_context
def run_command(ctx: click.Context, /, arguments: tuple[str, ...], **options: Any) -> None:
    """Run scenarios against a probe, and judge its answers.

    Without ID, GLOB ('claude/*') or FILE every scenario of the contract runs. What follows '--'
    goes to pytest.
    """
    patterns, pytest_args = _split(ctx, arguments)
    shown = summary(options)
    wanted = shard_request(options)
    settings, form = taken(ctx), options["output_format"]
    if (images := several_images(options)) is not None:
        asked = Asked(patterns, _outside(patterns), pytest_args, shown, settings, wanted)
        ctx.exit(run_many(images, options, asked))
    options, settings = one_image(options, settings)
    check_outputs(options)
    request = run_request(patterns=patterns, probe_in=settings.directory, **options)
    subject = check(request)
    check_attest(options, subject)
    against = baseline(options["baseline"], subject.contract.name, subject.selected)
    if options["last_failed"]:
        subject, said = failed_before(subject, options["last_failed"])
        click.echo(said, err=True)
    subject = only_shard(subject, wanted)
    workers = worker_count(options["workers"], len(subject.selected), machines(options["engine"]))
    with sigterm_interrupts(), open_run(subject) as run:
        check_digest(options, run)
        pytest_run = PytestRun(
            run,
            repro=repro_argv(options, settings),
            files=_outside(patterns),
            to_stderr="-" in reports(options).values(),
            summary="quiet" if form == "concise" else shown,
        )
        report = pytest_run.report
        report.against = against
        report.shard = subject.shard
        report.settings = settings.words
        report.fail_on_unsupported = options["fail_on_unsupported"]
        status = pytest_run.execute(
            workers, exitfirst=options["exitfirst"], pytest_args=pytest_args
        )
    known = Known(run.catalogue.scenarios, run.catalogue.contracts)
    place = Path(request.cwd)
    written = writes(report, subject.known_failures, known, options, probe_in=place)
    attested = attestations(report, request.contract, place, options)
    write_all([*written, *attested])
    ctx.exit(status)


def _outside(patterns: list[str]) -> dict[str, str]:
    """Return the scenario files among *patterns* that are not bundled.

    They are as they were typed, by their real paths.
    """
    named = {os.path.realpath(file): file for file in patterns if file.endswith(".toml")}
    return {path: file for path, file in named.items() if scenarios_dir() not in Path(path).parents}


def _split(ctx: click.Context, arguments: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Split ids from the arguments for pytest.

    click removes the '--', so it is looked up in what was typed.
    """
    typed: list[str] = ctx.obj if isinstance(ctx.obj, list) else sys.argv
    if "--" not in typed:
        return list(arguments), []
    count = len(typed) - typed.index("--") - 1
    return list(arguments[: len(arguments) - count]), list(arguments[len(arguments) - count :])
