"""The command sweep: remove what runs that were killed have left."""

from __future__ import annotations

from contextlib import closing

import click

from conformance.cli.engine_options import engine_option
from conformance.drivers.container.client import connect
from conformance.drivers.container.labels import sweep
from conformance.errors import CannotJudge, ManyErrors
from conformance.run.directory import sweep_directories

__all__ = ["sweep_command"]


@click.command("sweep")
@click.option(
    "--kept",
    is_flag=True,
    help="Also remove volumes and images that repro has left for a case to be run by hand.",
)
@engine_option
def sweep_command(*, kept: bool, engine: tuple[str, ...]) -> None:
    """Remove what killed runs have left, here and on the engine.

    That is their directories, and containers, volumes and images. Every run does this when it
    starts. What belongs to a run that is alive, or to anybody else, is left alone.
    """
    # Directories first: they go even if no engine answers.
    for name in sweep_directories():
        click.echo(f"removed {name}")
    errors = []
    for where in engine or ("",):
        try:
            with closing(connect(where)) as client:
                for name in sweep(client, kept=kept):
                    click.echo(f"removed {name} on {where}" if where else f"removed {name}")
        except CannotJudge as e:
            errors.append(e)
    if errors:
        raise ManyErrors(errors)
