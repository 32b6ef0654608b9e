"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from conformance.cli.completion import complete_contracts
from conformance.cli.engine_options import engine_option, platform_option
from conformance.cli.fixed import given_text

__all__ = [
    "IMAGE_OPTIONS",
    "actions_option",
    "agent_option",
    "allow_write_option",
    "as_of_option",
    "contract_option",
    "image_options",
    "json_option",
    "manager_option",
    "probe_options",
    "probes_options",
    "scenarios_option",
    "strict_option",
    "variable_options",
]

#: The parameters of the options that are only about an image.
IMAGE_OPTIONS = (
    "isolation",
    "entrypoint",
    "command",
    "user",
    "network",
    "cap_add",
    "memory",
    "read_only",
    "engine",
    "platform",
)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

contract_option = click.option(
    "--contract",
    metavar="NAME|FILE",
    default="slot",
    show_default=True,
    shell_complete=complete_contracts,
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
agent_option = click.option(
    "--agent",
    metavar="NAME",
    default="",
    help="Only the scenarios of this agent; by default those of all agents of the contract.",
)


as_of_option = click.option(
    "--as-of",
    metavar="VERSION",
    callback=given_text("--as-of", "name a version of the contract"),
    help="Only what this version of a bundled contract demanded, whatever came later.",
)
strict_option = click.option(
    "--strict/--no-strict",
    help="Count advice as a deviation: what a probe should do, it must do.",
)
json_option = click.option(
    "--json", "json_file", metavar="FILE", help="Write a JSON report; '-' is standard output."
)
manager_option = click.option(
    "--manager",
    metavar="M",
    required=True,
    help="The Manager: a table file (JSON, TOML, YAML), a Python object 'module:NAME', "
    "or a command.",
)
actions_option = click.option(
    "--actions",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A table file that maps the Manager's own words for actions to the contract's.",
)


allow_write_option = click.option(
    "--allow-write",
    "allow_writes",
    metavar="PATTERN",
    multiple=True,
    help="A further path in the HOME that an image's entrypoint, or a local probe, may write, "
    "such as .gitconfig or '.cache/**'; repeatable.",
)


def _with(options: Sequence[Decorator], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):  # as decorators do: the last one is applied first
        command = option(command)
    return command


def variable_options(whom: str) -> Decorator:
    """Return what adds the options for variables, which *whom* gets, such as every probe."""
    options = (
        click.option(
            "--env",
            metavar="KEY=VALUE",
            multiple=True,
            help=f"A variable for {whom}; repeatable.",
        ),
        click.option(
            "--pass-env",
            metavar="KEY",
            multiple=True,
            help=f"A variable of yours for {whom}; repeatable.",
        ),
    )
    return partial(_with, options)


_IMAGE = click.option(
    "--image",
    metavar="REF",
    help="A container image whose entrypoint answers as the probe.",
)
_PROBE_OPTIONS = (
    click.option(
        "--probe",
        metavar="CMD",
        help="A local command, split as a shell would do it; "
        "by default the contract's reference probe.",
    ),
    _IMAGE,
    click.option(
        "--python",
        metavar="MODULE:NAME",
        help="A Python callable that returns the exit code, called in a process of its own.",
    ),
    click.option(
        "--in-process",
        is_flag=True,
        help="Call it in a fake file system, with the clock set by the suite; no CLI is started.",
    ),
    click.option(
        "--truth",
        metavar="TRUE,FALSE",
        help="The exit codes that truth values of the callable stand for, such as 0,1.",
    ),
    contract_option,
    scenarios_option,
    variable_options("every probe"),
    allow_write_option,
    click.option(
        "--repeat",
        metavar="N",
        type=click.IntRange(1),
        default=1,
        help="Run each scenario N times; unequal answers are a finding.",
    ),
)

_IMAGE_OPTIONS = (
    click.option(
        "--isolation",
        type=click.Choice(["fresh", "shared", "both"]),
        help="A container for each scenario (fresh, the default), one for each worker (shared), "
        "or both, compared.",
    ),
    click.option(
        "--entrypoint",
        metavar="CMD",
        help="Run this in the image instead of its entrypoint and command.",
    ),
    click.option(
        "--command",
        metavar="CMD",
        help="Hand this to the image's entrypoint instead of its command.",
    ),
    click.option(
        "--user",
        metavar="USER[:GROUP]",
        help="Run the image as this user instead of its own.",
    ),
    click.option(
        "--network",
        metavar="NAME",
        help="Join this network of the engine; by default there is none.",
    ),
    click.option(
        "--cap-add",
        metavar="CAP",
        multiple=True,
        help="Keep this capability, and drop all others; repeatable.",
    ),
    click.option("--memory", metavar="SIZE", help="Limit of memory, such as 512m; by default 1g."),
    click.option(
        "--read-only/--writable",
        "read_only",
        default=None,
        help="Whether the root file system may be written to; "
        "by default only in a container of its own.",
    ),
    engine_option,
    platform_option,
)


def probe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which probe to run, and how."""
    return _with(_PROBE_OPTIONS, command)


def probes_options(images: Sequence[Decorator]) -> Decorator:
    """Return what adds the options that say which probe to run; *images* name images, or several.

    They stand where there is else the option for one image.
    """
    at = _PROBE_OPTIONS.index(_IMAGE)
    return partial(_with, (*_PROBE_OPTIONS[:at], *images, *_PROBE_OPTIONS[at + 1 :]))


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how to run the containers of an image."""
    return _with(_IMAGE_OPTIONS, command)
