"""The command line: each command is a few lines over the rest of the package."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from typing import Any, TextIO

import click

from conformance import __version__
from conformance.errors import CannotJudge, ConformanceError, UsageError
from conformance.report.stream import silence
from conformance.text import one_line

__all__ = ["COMMANDS", "cli", "main"]

#: Every command, in the order in which help lists them: its module below this package, and its
#: name there. Many modules import much, such as pytest, rich or the SDK of container engines.
COMMANDS = {
    "run": ("run", "run_command"),
    "list": ("catalogue", "list_command"),
    "show": ("catalogue", "show_command"),
    "rule": ("rule", "rule_command"),
    "home": ("catalogue", "home_command"),
    "export": ("export", "export_command"),
    "judge": ("judge", "judge_command"),
    "capture": ("capture", "capture_command"),
    "repro": ("repro", "repro_command"),
    "reduce": ("reduce", "reduce_command"),
    "discover": ("discover", "discover_command"),
    "compare": ("compare", "compare_command"),
    "agree": ("agree", "agree_command"),
    "diff": ("diff", "diff_command"),
    "history": ("history", "history_command"),
    "merge": ("merge", "merge_command"),
    "page": ("page", "page_command"),
    "strength": ("strength", "strength_command"),
    "lint": ("lint", "lint_command"),
    "reality": ("reality", "reality_command"),
    "lockstep": ("lockstep", "lockstep_command"),
    "wiring": ("wiring", "wiring_command"),
    "contract": ("contract", "contract_command"),
    "schema": ("catalogue", "schema_command"),
    "image": ("image", "image_command"),
    "sweep": ("sweep", "sweep_command"),
}


class _LazyGroup(click.Group):
    """Imports a command only when it is asked for, so that each command starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        imported = importlib.import_module(f"conformance.cli.{module}")
        command: click.Command = getattr(imported, attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            _refuse_empty(command, rest)
        return name, command, rest


def _refuse_empty(command: click.Command, arguments: list[str]) -> None:
    """Refuse an option with nothing in it, as a variable has it that a pipeline has not set.

    :raises UsageError: there is one. Options with a callback say so themselves.
    """
    with_value = {
        name
        for option in command.params
        if isinstance(option, click.Option) and not option.is_flag and option.callback is None
        for name in option.opts
    }
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if not equals:
            value = words[number + 1] if number + 1 < len(words) else "?"
        if name in with_value and not value.strip():
            raise UsageError(f"{name} is empty", hint="give it a value, or leave it out")


def _open_streams() -> None:
    """Give standard streams that are closed to nobody, so that no file takes their place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STREAM:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


#: Standard input, output and error are 0, 1 and 2.
_LAST_STREAM = 2
_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.command(cls=_LazyGroup, context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="probe-conformance")
def cli() -> None:
    """Check that a container's start-up probe answers as its contract demands.

    Exit status: 0 every scenario conforms, 1 at least one deviates, 2 the request is wrong,
    3 something could not be judged, 130 interrupted.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line and exit with its status."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A path may hold bytes that no encoding has; it is shown, and does not end the run.
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(cli.main(args=arguments, prog_name="probe-conformance", standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as e:
        click.echo(e.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as e:
        context = getattr(e, "ctx", None)
        hint = f"; see '{context.command_path} --help'" if context else ""
        click.echo(f"probe-conformance: {one_line(e.format_message()).rstrip('.')}{hint}", err=True)
        sys.exit(2)
    except ConformanceError as e:
        for line in e.lines():
            click.echo(f"probe-conformance: {line}", err=True)
        sys.exit(e.exit_status)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except OSError as e:
        _end_for_want_of_output(e)


def _end_for_want_of_output(error: OSError) -> None:
    """End with the reason why standard output took no more, or the working directory is gone.

    :raises OSError: it is *error*, and about something else.
    """
    cause = ""
    if error.errno == errno.ENOENT and error.filename is None and not _is_there():
        cause, status = "the working directory is gone; go to another one", UsageError.exit_status
    elif error.errno == errno.ENOSPC and _is_full(sys.stdout):
        silence(sys.stdout)
        cause = f"standard output cannot be written: {error.strerror}"
        status = CannotJudge.exit_status
    if not cause:
        raise error
    click.echo(f"probe-conformance: {cause}", err=True)
    sys.exit(status)


def _is_full(stream: TextIO) -> bool:
    try:
        # What could not be written is no longer in the stream, so flushing it would say nothing.
        os.write(stream.fileno(), b"\n")
    except OSError:
        return True
    return False


def _is_there() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True
