"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["contract_option", "probe_options", "scenarios_option"]

contract_option = click.option(
    "--contract",
    metavar="NAME|FILE",
    default="slot",
    show_default=True,
    help="The contract to judge by: a bundled one, or a file.",
)
scenarios_option = click.option(
    "--scenarios",
    "directories",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A directory with scenarios of your own, beside the bundled ones; repeatable.",
)


def probe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which probe to run, and how."""
    for option in reversed(
        (
            click.option(
                "--probe",
                metavar="CMD",
                help="A local command, split like a shell would; by default the contract's reference probe.",
            ),
            contract_option,
            scenarios_option,
            click.option("--env", metavar="KEY=VALUE", multiple=True, help="A variable for every probe; repeatable."),
            click.option("--pass-env", metavar="KEY", multiple=True, help="A variable of yours for every probe; repeatable."),
            click.option(
                "--repeat",
                metavar="N",
                type=click.IntRange(1),
                default=1,
                help="Run each scenario N times; unequal answers are a finding.",
            ),
        )
    ):
        command = option(command)
    return command
