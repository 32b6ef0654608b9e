"""The command line: each command is a few lines over the rest of the package."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from conformance import __version__
from conformance.cli.catalogue import home_command, list_command, schema_command, show_command
from conformance.errors import ConformanceError
from conformance.text import one_line

__all__ = ["cli", "main"]


#: Commands in modules of their own name that bring much with them, such as pytest, rich or the SDK of engines.
_LATER = {"run", "repro", "compare", "lockstep", "contract", "strength", "lint", "reality", "image", "sweep"}


class _Commands(click.Group):
    """The commands; those that run probes are imported when they are asked for, so that the others answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [
            "run",
            "list",
            "show",
            "home",
            "repro",
            "compare",
            "strength",
            "lint",
            "lockstep",
            "contract",
            "image",
            "sweep",
            "schema",
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _LATER:
            module = importlib.import_module(f"conformance.cli.{cmd_name}")
            command: click.Command = getattr(module, f"{cmd_name}_command")
            return command
        return super().get_command(ctx, cmd_name)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="probe-conformance")
def cli() -> None:
    """Check that a container's start-up probe answers as its contract demands.

    Exit status: 0 every scenario conforms, 1 at least one deviates, 2 the request is wrong, 3 something could not be
    judged, 130 interrupted.
    """


for _command in (list_command, show_command, home_command, schema_command):
    cli.add_command(_command)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line and exit with its status."""
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
