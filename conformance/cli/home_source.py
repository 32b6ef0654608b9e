"""Where a real HOME is: the argument and the options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from conformance.errors import UsageError
from conformance.home.reading import DirectoryHome, HomeSource

__all__ = ["source_options"]

_HINT = "name the directory that is the HOME"


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says where the HOME is; *command* gets it as ``source``, to be read."""

    @click.argument("home", metavar="HOME", required=False)
    @click.option(
        "--at",
        metavar="PATH",
        default="",
        help="Where the HOME lies for the programs that live in it, if not where it was found: "
        "links and variables may name it by that path.",
    )
    @functools.wraps(command)
    def with_source(*args: Any, home: str | None, at: str, **options: Any) -> Any:
        return command(*args, source=_source(home, at), **options)

    return with_source


def _source(home: str | None, at: str) -> HomeSource:
    """Return the HOME that the options lead to.

    :raises UsageError: they lead to none; or it is not there.
    """
    if not home:
        raise UsageError("no HOME is named", hint=_HINT)
    if at and not at.startswith("/"):
        raise UsageError(f"--at {at} is not an absolute path", hint="begin it with '/'")
    return DirectoryHome(Path(home), path=at)
