"""The command line: each command is a few lines over the rest of the package."""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any

import click

from conformance import __version__
from conformance.errors import ConformanceError
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
