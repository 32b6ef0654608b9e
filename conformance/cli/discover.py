"""The command discover: homes nobody thought of, and what a probe gets wrong in them."""

from __future__ import annotations

import math
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO, cast

import click
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

from conformance.catalogue import contracts
from conformance.catalogue.writing import scenario_text
from conformance.cli.options import (
    agent_option,
    image_options,
    json_option,
    probe_options,
    strict_option,
)
from conformance.cli.outputs import check_directory, check_outputs
from conformance.cli.request import repro_argv, run_request
from conformance.cli.run import workers_option
from conformance.cli.settings import WithSettings, taken
from conformance.discover.faults import Fault, Faults, faults_of, pending
from conformance.discover.findings import Tried
from conformance.discover.generation import agents_of
from conformance.discover.report import Ending, document
from conformance.discover.search import Limits, search
from conformance.errors import CannotJudge, UsageError
from conformance.files import replace_text
from conformance.model.contract import Contract
from conformance.report.bar import Bar
from conformance.report.document import write_json
from conformance.report.stream import Stream
from conformance.run.assembly import Run, open_run
from conformance.run.pytest_run import sigterm_interrupts, worker_count
from conformance.run.request import Command, RunRequest
from conformance.run.subject import Subject, check
from conformance.specification import specified
from conformance.text import join, printable

__all__ = ["discover_command"]

#: Enough scenarios for every processor to get a worker.
_MANY = 1_000_000
#: So many reasons are shown why homes could not be tried.
_REASONS = 3


@click.command("discover", cls=WithSettings)
@click.option(
    "--seconds",
    metavar="S",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    help="How long to look; then what was found is reduced.",
)
@click.option(
    "--homes",
    metavar="N",
    type=click.IntRange(1),
    help="Stop after the first N homes: the same ones, whatever the machine.",
)
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(0),
    help="Which homes are made; by default others each time.",
)
@click.option(
    "--against",
    metavar="CMD",
    help="Another local command, whose answer is right where the contract leaves none open.",
)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("discovered"),
    show_default=True,
    help="Where scenarios are written: a directory, made if needed. No file is replaced.",
)
@workers_option
@json_option
@probe_options
@image_options
@strict_option
@agent_option
@click.pass_context
def discover_command(
    ctx: click.Context,
    /,
    seconds: float,
    homes: int | None,
    seed: int | None,
    against: str | None,
    output: Path,
    workers: str,
    json_file: str | None,
    **options: Any,
) -> None:
    """Make homes nobody thought of, and find those in which a probe is wrong.

    Each home is a login, or none, with up to four things changed: members of JSON documents, broken
    text, modes, links, other files, variables, inputs, the CLI. What the contract calls for there
    is known by its rules; where it leaves a point open, each of these answers is right. What is
    found is seen again, reduced to the smallest home that shows it, and written as a scenario.

    Exit status: 0 nothing was found, 1 something was, 2 the request is wrong, 3 something could not
    be judged, or no home at all was, 130 interrupted. An interrupt ends the search, and what it has
    found is reduced and written all the same; another one ends that, too.
    """
    if options["in_process"]:
        cause = "discover needs a probe that is started"
        raise UsageError(cause, hint="leave out --in-process")
    if not math.isfinite(seconds):
        raise UsageError(f"--seconds {seconds} never ends", hint="give a number, such as 3600")
    check_outputs({"json_file": json_file})
    check_directory(output)
    settings = taken(ctx)
    request = run_request(patterns=(), probe_in=settings.directory, **options)
    asked = _Asked(
        limits=Limits(seconds=seconds, homes=homes or 0),
        seed=secrets.randbelow(2**32) if seed is None else seed,
        output=output,
        workers=worker_count(workers, homes or _MANY),
        argv=repro_argv(options, settings),
        json_file=json_file or "",
    )
    ctx.exit(_discover(request, against, asked))


class _Asked(Struct, frozen=True, kw_only=True):
    """What the command was asked, beside the probe."""

    limits: Limits
    seed: int
    output: Path
    workers: int
    argv: list[str]
    """The command that repeats a scenario, without its file, which comes third."""
    json_file: str
    """Where a report for machines goes; empty for none. For ``-``, people read standard error."""

    def say(self, lines: Iterable[str]) -> None:
        """Print *lines* for people."""
        for line in lines:
            click.echo(line, err=self.json_file == "-")

    def console(self) -> Console:
        """Return where people see how far it has come."""
        stream = cast(TextIO, Stream(sys.stderr if self.json_file == "-" else sys.stdout))
        return Console(file=stream, highlight=False, soft_wrap=True)


def _discover(request: RunRequest, against: str | None, asked: _Asked) -> int:
    _check_contract(contracts.load(request.contract, base=Path(request.cwd)))
    subject = check(request)
    other = check(replace(request, probe=Command(against))) if against is not None else None
    if other is None and not specified(subject.contract):
        cause = f"nothing is written down about what '{subject.contract.name}' calls for in a home"
        raise UsageError(cause, hint="name a probe that knows, with --against")
    agents = agents_of(subject.contract, request.agent)
    contract = subject.contract
    heading = f"discover, contract {contract.name} {contract.version}: "
    asked.say([f"{heading}seed {asked.seed}, {', '.join(agents)}"])
    tried, described, interrupted = Tried(), dict[str, Any](), False
    started = time.monotonic()
    try:
        with sigterm_interrupts():
            _search(subject, other, agents, asked, tried, described)
    except KeyboardInterrupt:
        interrupted = True
    except CannotJudge as e:
        if not tried.found:
            raise
        tried.broke[str(e)] = 1  # what was found until then is still wrong
    seconds = time.monotonic() - started
    asked.say(_tried_lines(tried, seconds))
    found = pending(tried)
    if found.left:
        again = "; interrupt again to leave that" if interrupted else ""
        try:
            with sigterm_interrupts():
                asked.say([f"reducing what was found{again}"])
                _reduce(subject, other, asked, tried, found)
        except KeyboardInterrupt:
            interrupted = True
    asked.say(_found_lines(tried, found, asked))
    status = 130 if interrupted else _status(tried, found)
    if asked.json_file:
        ending = Ending(
            contract=contract,
            probe=described,
            agents=agents,
            seed=asked.seed,
            seconds=seconds,
            exit_status=status,
        )
        write_json(document(tried, found, ending), asked.json_file)
    return status


def _check_contract(contract: Contract) -> None:
    """Make sure that a probe under *contract* is asked once, in a home.

    :raises UsageError: it is not.
    """
    more = contract.in_steps or contract.entrypoint is not None or contract.requests is not None
    if more or contract.commands:
        cause = (
            f"contract '{contract.name}' is about more than a probe that is asked once in a home"
        )
        raise UsageError(cause, hint="name another one with --contract, such as slot")


def _search(
    subject: Subject,
    other: Subject | None,
    agents: tuple[str, ...],
    asked: _Asked,
    tried: Tried,
    described: dict[str, Any],
) -> None:
    """Try homes, and add what comes of them to *tried*; *described* gets what the probe is."""
    limit = asked.limits
    total = limit.homes or max(1, round(limit.seconds))
    lines = not limit.homes and total >= 30
    started = time.monotonic()
    with ExitStack() as stack:
        if subject.request.image is None:
            subject = replace(subject, selected=())  # an image is prepared for all kinds of them
        run, beside = _opened(stack, subject, other)
        described |= run.describe()
        bar = stack.enter_context(Bar(asked.console(), total, lines=lines))

        def watch(tried: Tried) -> bool:
            signs = len(tried.signs())
            done = tried.homes if limit.homes else int(time.monotonic() - started)
            bar.step(min(done, total), f"{signs} found" if signs else "")
            return True

        search(
            run,
            beside,
            agents,
            seed=asked.seed,
            limits=limit,
            workers=asked.workers,
            tried=tried,
            watch=watch,
        )


def _opened(stack: ExitStack, subject: Subject, other: Subject | None) -> tuple[Run, Run | None]:
    run = stack.enter_context(open_run(subject))
    if other is None:
        return run, None
    return run, stack.enter_context(open_run(replace(other, selected=())))


def _reduce(
    subject: Subject, other: Subject | None, asked: _Asked, tried: Tried, found: Faults
) -> None:
    """Add what was *tried* and wrong to *found*, reduced, and write it."""
    total = len(found.left)
    with ExitStack() as stack:
        # Opened anew: a search may have been long, and times count from when a run was opened.
        run, beside = _opened(stack, subject, other)
        bar = stack.enter_context(Bar(asked.console(), total))

        faults_of(
            tried,
            run,
            beside,
            directory=asked.output.absolute(),
            seed=asked.seed,
            workers=asked.workers,
            found=found,
            on_fault=lambda fault: _write(fault, asked),
            on_run=lambda: bar.step(total - len(found.left)),
        )


def _write(fault: Fault, asked: _Asked) -> None:
    """Write the scenario of *fault*, unless the catalogue has it."""
    if fault.twin:
        return
    file = Path(fault.scenario.file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise CannotJudge(f"{file.parent} cannot be made: {e.strerror}") from None
    replace_text(file, scenario_text(fault.scenario, comment=_comment(fault, asked)))


def _comment(fault: Fault, asked: _Asked) -> str:
    state = "nothing more can be taken away" if fault.complete else "more may be taken away"
    return (
        f"Found by discover in home {fault.found.number} of seed {asked.seed}, "
        f"reduced in {fault.runs} runs: {state}.\n"
        "The summary and the origin are still to be written."
    )


def _tried_lines(tried: Tried, seconds: float) -> Iterator[str]:
    """Yield how many homes were tried, and by which rules they were decided."""
    yield f"{tried.homes} homes in {seconds:.0f} s, {tried.open} of them left open"
    rules = sorted(tried.rules.items(), key=lambda item: (-item[1], item[0]))
    if rules:
        yield "by rule: " + ", ".join(f"{name or '(no rule)'} {count}" for name, count in rules)
    if tried.undecided:
        yield f"{tried.undecided} about which nothing is written down"
    for what, reasons in (("not tried here", tried.unsupported), ("broke", tried.broke)):
        several = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        for reason, count in several[:_REASONS]:
            yield f"{count} {what}: {printable(reason)}"
        if len(several) > _REASONS:
            yield f"… and {len(several) - _REASONS} more reasons"


def _found_lines(tried: Tried, found: Faults, asked: _Asked) -> Iterator[str]:
    for fault in found.faults:
        yield ""
        yield f"FOUND {fault.scenario.id}"
        yield f"  {printable(fault.words)}"
        if fault.twin:
            yield f"  the catalogue has that home: {fault.twin}"
            yield f"  {_repro(asked, fault.twin)}"
        else:
            yield f"  home {fault.found.number}, reduced in {fault.runs} runs"
            yield f"  {_repro(asked, fault.scenario.file)}"
    if found.alike:
        yield ""
        names = ", ".join(dict.fromkeys(sign.rule or "(no rule)" for sign in found.alike))
        yield f"the same answer is wrong by other rules, too, which were not looked into: {names}"
    for one in found.left:
        yield ""
        yield f"home {one.number} was not reduced: {printable(one.message)}"
    for one in found.unsteady:
        yield ""
        yield f"home {one.number} did not show it again: {printable(one.message)}"
    yield ""
    number = len(found.faults)
    if number:
        yield "1 fault found" if number == 1 else f"{number} faults found"
    elif not tried.judged:
        yield "no home was judged, so nothing is known of the probe; more --seconds may help"
    elif found.left:
        yield "nothing reduced"
    elif found.unsteady:
        yield "nothing found that shows again: run --repeat tells whether the answer is steady"
    else:
        yield "nothing found"


def _repro(asked: _Asked, name: str) -> str:
    return join([*asked.argv[:2], name, *asked.argv[2:]])


def _status(tried: Tried, found: Faults) -> int:
    if tried.broke or found.unsteady or not tried.judged:
        return 3
    return 1 if found.faults else 0
