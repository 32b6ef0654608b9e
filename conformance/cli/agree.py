"""The command agree: a program that lets somebody log in, and a probe, in the same homes."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO, cast

import click
from msgspec import Struct
from msgspec.structs import replace

from conformance.cli.compare import collect, described
from conformance.cli.engine_options import engine_option
from conformance.cli.options import json_option, scenarios_option, variable_options
from conformance.cli.outputs import check_outputs
from conformance.cli.run import workers_option
from conformance.compare.agree import AgreeTally, as_logins, is_home_of_login, run_both
from conformance.compare.agree_report import AgreeReport
from conformance.compare.sides import Side
from conformance.drivers.container.request import ImageRequest
from conformance.errors import UsageError
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.report.document import write_json
from conformance.report.stream import Stream
from conformance.run.assembly import open_run
from conformance.run.pytest_run import worker_count
from conformance.run.request import Command, OwnProbe, ProbeSpec, RunRequest, only_one, variables
from conformance.run.subject import Subject, check

__all__ = ["agree_command"]

#: Homes at the same time, for each processor: a login is work as well as waiting.
_PER_PROCESSOR = 2


@click.command("agree")
@click.option(
    "--login",
    metavar="CMD",
    help="The program that lets somebody log in; by default its contract's reference.",
)
@click.option(
    "--login-image", metavar="REF", help="An image that does that in AGENT_MODE auth-init."
)
@click.option("--probe", metavar="CMD", help="The probe; by default its contract's reference.")
@click.option("--image", metavar="REF", help="An image whose entrypoint answers as the probe.")
@engine_option
@click.option(
    "--login-contract",
    metavar="NAME|FILE",
    default="auth-init",
    show_default=True,
    help="The contract of the program that lets somebody log in.",
)
@click.option(
    "--contract",
    metavar="NAME|FILE",
    default="slot",
    show_default=True,
    help="The contract of the probe, whose homes are taken.",
)
@scenarios_option
@variable_options("both")
@click.option("--all", "complete", is_flag=True, help="Also show where both agree.")
@workers_option
@json_option
@click.argument("patterns", metavar="[ID|GLOB]...", nargs=-1)
@click.pass_context
def agree_command(ctx: click.Context, /, **options: Any) -> None:
    """Check that a login program and a probe agree on what a login is.

    Every home of the probe's contract that a login may have left is built twice: the
    scripted CLI writes it while the program lets somebody log in, and it is there when the probe
    looks. What the first calls a login the second has to call ready, and vice versa. Where they
    disagree, the report says which of the two the probe's contract sides with.

    Exit status: 0 they agree, 1 they disagree, 2 the request is wrong, 3 something could not be
    judged, 130 interrupted.
    """
    ctx.exit(_agree(_Options(**options)))


class _Options(Struct, frozen=True):
    """The options of the command."""

    login: str | None
    login_image: str | None
    probe: str | None
    image: str | None
    engine: tuple[str, ...]
    login_contract: str
    contract: str
    directories: tuple[Path, ...]
    env: tuple[str, ...]
    pass_env: tuple[str, ...]
    complete: bool
    workers: str
    json_file: str | None
    patterns: tuple[str, ...]


def _agree(options: _Options) -> int:
    check_outputs({"json_file": options.json_file})
    login, probe = _subjects(options)
    chosen = _chosen(login.contract, probe)
    login = replace(login, selected=as_logins(chosen, login.contract, probe.contract))
    probe = replace(probe, selected=tuple(chosen))
    workers = _PER_PROCESSOR * len(os.sched_getaffinity(0))
    if options.workers != "auto":
        workers = worker_count(options.workers, 0)
    stream = cast(TextIO, Stream(sys.stderr if options.json_file == "-" else sys.stdout))
    with ExitStack() as stack:
        sides = [
            Side("", described(subject), stack.enter_context(open_run(subject)))
            for subject in (login, probe)
        ]
        tally = AgreeTally(login.contract, probe.contract, len(chosen))
        collect(tally, run_both(chosen, sides[0], sides[1], workers), stream)
        report = AgreeReport(tally, *sides)
        report.show(stream, complete=options.complete)
        if options.json_file:
            write_json(report.document(), options.json_file)
    return tally.exit_status()


def _subjects(options: _Options) -> tuple[Subject, Subject]:
    """Return the program that lets somebody log in, and the probe."""
    both = RunRequest(
        cwd=str(Path.cwd()),
        directories=tuple(str(directory.absolute()) for directory in options.directories),
        variables=variables(options.env, options.pass_env),
    )
    only_one({"--login": options.login, "--login-image": options.login_image})
    only_one({"--probe": options.probe, "--image": options.image})
    if options.engine and options.login_image is None and options.image is None:
        hint = "name one with --image or --login-image"
        raise UsageError("--engine is about an image", hint=hint)
    login = replace(
        both,
        probe=_spec(options.login, options.login_image, options.engine),
        contract=options.login_contract,
    )
    probe = replace(
        both,
        probe=_spec(options.probe, options.image, options.engine),
        contract=options.contract,
        patterns=options.patterns,
    )
    subjects = check(login), check(probe)
    for option, subject, wanted in zip(
        ("--login-contract", "--contract"), subjects, (True, False), strict=True
    ):
        name = subject.contract.name
        if (subject.contract.requests is not None) != wanted:
            about = "is not about a login" if wanted else "is about a login itself"
            hint = "name one such as auth-init" if wanted else "name one such as slot"
            raise UsageError(f"{option} '{name}' {about}", hint=hint)
        if subject.contract.in_steps:
            hint = "name one whose probe is asked once, such as slot"
            raise UsageError(f"{option} '{name}' asks a gate in steps", hint=hint)
    return subjects


def _spec(command: str | None, image: str | None, engines: tuple[str, ...]) -> ProbeSpec:
    if image is not None:
        return ImageRequest(reference=image, engines=engines)
    return Command(command) if command is not None else OwnProbe()


def _chosen(login: Contract, probe: Subject) -> list[Scenario]:
    """Return the homes to take: those that a login may have left, of an agent that both know."""
    chosen = [
        scenario
        for scenario in probe.selected
        if scenario.agent in login.agents and is_home_of_login(scenario)
    ]
    if not chosen:
        hint = "name scenarios that differ in nothing but their home"
        raise UsageError("no home that a login may have left is selected", hint=hint)
    return chosen
