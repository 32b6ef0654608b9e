"""The command run, and what it shares with repro: from options to a checked request."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from conformance.bundled import fixtures_dir, scenarios_dir
from conformance.catalogue import catalogue as catalog
from conformance.cli.image_request import IMAGE_OPTIONS, image_request, image_words
from conformance.cli.options import image_options, probe_options
from conformance.drivers.environment import check_extra
from conformance.drivers.local.driver import SYSTEM_PATH, own_command, parse_callable, parse_command
from conformance.errors import CannotJudge, UsageError
from conformance.judge.known_failures import write
from conformance.model.contract import Contract
from conformance.report.document import write_all, write_json, write_text
from conformance.run.assembly import Settings, World
from conformance.run.items import extra_variables, keep_directory
from conformance.run.pytest_run import Run, worker_count

__all__ = ["check_outputs", "checked_request", "local_probe", "repro_words", "run_command", "workers_option"]

workers_option = click.option(
    "-n", "--workers", metavar="N|auto", default="auto", show_default=True, help="Parallel workers; 0 runs all in one process."
)


@click.command("run")
@probe_options
@image_options
@workers_option
@click.option("--json", "json_file", metavar="FILE", help="Write a JSON report; '-' is standard output.")
@click.option("--junit", "junit_file", metavar="FILE", help="Write a JUnit report; '-' is standard output.")
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
    settings, world = checked_request(
        patterns=patterns, **{name: options[name] for name in _REQUEST}, keep=options["keep"], known=options["known_failures"]
    )
    workers = worker_count(options["workers"], len(settings.ids or ()))
    run = Run(
        settings,
        world,
        repro=repro_words(options),
        files=_outside(patterns),
        to_stderr="-" in _reports(options),
    )
    status = run.execute(workers, junit=bool(options["junit_file"]), pytest_args=pytest_args)
    write_all(_writes(run, options))
    ctx.exit(status)


def _outside(patterns: list[str]) -> dict[str, str]:
    """Return the scenario files among *patterns* that are not bundled.

    They are as they were typed, by their real paths.
    """
    named = {os.path.realpath(file): file for file in patterns if file.endswith(".toml")}
    return {path: file for path, file in named.items() if scenarios_dir() not in Path(path).parents}


def _reports(options: Mapping[str, Any]) -> list[str]:
    """Return the files that a report for machines is to be written to."""
    return [file for name in ("json_file", "junit_file") if (file := options.get(name))]


def _writes(run: Run, options: Mapping[str, Any]) -> Iterator[Callable[[], None]]:
    """Yield what writes each file that is asked for."""
    if options["json_file"]:
        yield partial(write_json, run.report.document(), options["json_file"])
    if options["junit_file"]:
        yield partial(_write_junit, run.junit, options["junit_file"])
    if options["write_known_failures"] and not run.report.interrupted:
        file = Path(options["write_known_failures"])
        yield partial(write, file, run.report.results(), run.world.known)


def _write_junit(text: str, file: str) -> None:
    if not text:  # as after a second interrupt
        raise CannotJudge(f"{file} is not written: pytest ended before its report was complete")
    write_text(f"{text}\n", file)


_REQUEST = ("probe", "image", "python", "contract", "directories", "env", "pass_env", "repeat", *IMAGE_OPTIONS)


def _split(ctx: click.Context, arguments: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Tell ids from what is meant for pytest; click has taken the '--' out, so it is looked up in what was typed."""
    typed: list[str] = ctx.obj if isinstance(ctx.obj, list) else sys.argv
    if "--" not in typed:
        return list(arguments), []
    count = len(typed) - typed.index("--") - 1
    return list(arguments[: len(arguments) - count]), list(arguments[len(arguments) - count :])


def checked_request(
    *,
    patterns: list[str],
    probe: str | None,
    image: str | None,
    python: str | None,
    contract: str,
    directories: tuple[Path, ...],
    env: tuple[str, ...],
    pass_env: tuple[str, ...],
    repeat: int,
    keep: Path | None,
    known: str | None,
    more: tuple[str, ...] = (),
    **container: Any,
) -> tuple[Settings, World]:
    """Check the whole request, with *more* scenario files; return it with what it stands for.

    :raises ConformanceError: anything in it is wrong.
    """
    cwd = Path.cwd()
    draft = Settings(
        cwd=str(cwd),
        contract=contract,
        directories=tuple(str(directory.absolute()) for directory in directories),
        files=tuple(_files([*patterns, *more])),
        extra=extra_variables(env, pass_env),
        repeat=repeat,
        known_failures=str(Path(known).absolute()) if known else "",
    )
    world = World(draft)
    check_extra(draft.extra, world.contract)
    wanted = image_request(image, probe, python, **container)
    argv = () if wanted else local_probe(probe, python, world.contract, draft.extra)
    chosen = catalog.select(world.catalogue, patterns, world.contract, containers=wanted is not None)
    ids = tuple(scenario.id for scenario in chosen)
    world.known.check(world.catalogue, world.contract)
    # Made last, so that a request that is wrong in any other way leaves nothing behind.
    kept = str(keep_directory(keep)) if keep is not None else ""
    return msgspec.structs.replace(draft, argv=argv, image=wanted, ids=ids, keep=kept), world


def local_probe(probe: str | None, python: str | None, contract: Contract, extra: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command that starts *probe*, or calls *python*; that of the reference probe where neither is named.

    :raises UsageError: there is no such probe.
    """
    if python is not None:
        return parse_callable(python, Path.cwd())
    return parse_command(probe, Path.cwd()) if probe is not None else reference_probe(contract, extra)


def _files(patterns: list[str]) -> Iterator[str]:
    """Yield the scenario files among *patterns*."""
    for file in patterns:
        if file.endswith(".toml"):
            if not os.path.isfile(file):  # unlike Path.is_file it is not upset by names too long, or out of reach
                raise UsageError(f"no file {file}", hint="name a scenario file, or an id without .toml")
            yield str(Path(file).absolute())


def reference_probe(contract: Contract, extra: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the command of the reference probe that comes with *contract*; an empty one where the CLIs are the probe.

    :raises UsageError: it has none, or a CLI is not there.
    """
    if contract.commands:
        for agent in contract.agents:
            own_command(contract, agent, (extra or {}).get("PATH", SYSTEM_PATH))
        return ()
    if not contract.reference:
        raise UsageError(f"contract '{contract.name}' has no reference probe", hint="name a probe with --probe")
    return (sys.executable, "-I", str(fixtures_dir() / "probes" / contract.reference))


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
    if len({os.path.abspath(file) for file in _reports(options)}) < len(_reports(options)):
        where = "standard output" if options["json_file"] == "-" else options["json_file"]
        cause = f"--json and --junit both write to {where}"
        raise UsageError(cause, hint="name another file for one")
    new, old = options.get("write_known_failures"), options.get("known_failures")
    if new and Path(new).exists() and not (old and Path(old).exists() and Path(old).samefile(new)):
        raise UsageError(f"{new} is there already", hint=f"give --known-failures {new} as well to update it and keep its reasons")
