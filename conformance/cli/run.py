"""The command run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from conformance.cli.image_request import image_words
from conformance.cli.options import image_options, probe_options
from conformance.cli.request import run_request
from conformance.errors import UsageError
from conformance.judge.known_failures import write
from conformance.report.document import write_json
from conformance.run.assembly import check, open_run
from conformance.run.pytest_run import PytestRun, sigterm_interrupts, worker_count

__all__ = ["check_outputs", "repro_words", "run_command", "workers_option"]

workers_option = click.option(
    "-n", "--workers", metavar="N|auto", default="auto", show_default=True, help="Parallel workers; 0 runs all in one process."
)


@click.command("run")
@probe_options
@image_options
@workers_option
@click.option("--json", "json_file", metavar="FILE", help="Write a JSON report; '-' is standard output.")
@click.option("--junit", "junit_file", metavar="FILE", help="Write a JUnit report.")
@click.option("--known-failures", metavar="FILE", help="Failures that are expected, each with its reason.")
@click.option("--write-known-failures", metavar="FILE", help="Write what deviates now as a file of known failures.")
@click.option("--keep", metavar="DIR", type=click.Path(path_type=Path), help="Keep the homes of scenarios that deviate in DIR.")
@click.argument("arguments", metavar="[ID|GLOB|FILE]... [-- PYTEST-ARGS]", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def run_command(ctx: click.Context, /, arguments: tuple[str, ...], **options: Any) -> None:
    """Run scenarios against a probe, and judge its answers.

    Without ID, GLOB ('claude/*') or FILE every scenario of the contract runs. What follows '--' goes to pytest.
    """
    patterns, pytest_args = _split(ctx, arguments)
    check_outputs(options)
    subject = check(run_request(patterns=patterns, **options))
    workers = worker_count(options["workers"], len(subject.selected))
    with sigterm_interrupts(), open_run(subject) as run:
        pytest_run = PytestRun(run, repro=repro_words(options), to_stderr=options["json_file"] == "-")
        status = pytest_run.execute(workers, junit=options["junit_file"], pytest_args=pytest_args)
    report = pytest_run.report
    if options["json_file"]:
        write_json(report.document(), options["json_file"])
    if options["write_known_failures"] and not report.interrupted:
        write(Path(options["write_known_failures"]), report.results(), subject.known_failures)
    ctx.exit(status)


def _split(ctx: click.Context, arguments: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Tell ids from what is meant for pytest; click has taken the '--' out, so it is looked up in what was typed."""
    typed: list[str] = ctx.obj if isinstance(ctx.obj, list) else sys.argv
    if "--" not in typed:
        return list(arguments), []
    count = len(typed) - typed.index("--") - 1
    return list(arguments[: len(arguments) - count]), list(arguments[len(arguments) - count :])


def repro_words(options: dict[str, Any]) -> list[str]:
    """Return the command that repeats one scenario, without its id, which comes third."""
    words = ["probe-conformance", "repro"]
    if options["probe"] is not None:
        words += ["--probe", options["probe"]]
    if options["python"] is not None:
        words += ["--python", options["python"]]
    words += image_words(options)
    if options["contract"] != "slot":
        words += ["--contract", options["contract"]]
    for name, option in (("directories", "--scenarios"), ("env", "--env"), ("pass_env", "--pass-env")):
        for value in options[name]:
            words += [option, str(value)]
    if options["repeat"] > 1:
        words += ["--repeat", str(options["repeat"])]
    return words


def check_outputs(options: dict[str, Any]) -> None:
    """Refuse, before anything runs, files that cannot be written or that would be lost."""
    for name in ("json_file", "junit_file", "write_known_failures"):
        file = options.get(name)
        if file and file != "-" and not os.path.isdir(parent := Path(file).absolute().parent):
            raise UsageError(f"no directory {parent} for {file}", hint="make it first")
        if file and os.path.isdir(file):
            raise UsageError(f"{file} is a directory", hint="name a file")
    new, old = options.get("write_known_failures"), options.get("known_failures")
    if new and Path(new).exists() and not (old and Path(old).exists() and Path(old).samefile(new)):
        raise UsageError(f"{new} is there already", hint=f"give --known-failures {new} as well to update it and keep its reasons")
