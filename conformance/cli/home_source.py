"""Where a real HOME is: the argument and the options that several commands share."""

from __future__ import annotations

import functools
import os
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import click

from conformance.cli.engine_options import engine_option
from conformance.errors import CannotJudge, UsageError
from conformance.home.archive_reading import ArchiveHome, StreamHome
from conformance.home.reading import DirectoryHome, HomeSource

__all__ = ["source_options"]

_ON_ENGINES = "a container or a volume"
_HINT = "name a directory, a tar file, '-', --container NAME or --volume NAME"


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says where the HOME is; *command* gets it as ``source``, to be read.

    One that asks an image as well gets the engines for it.
    """

    @click.argument("home", metavar="[HOME]", required=False)
    @click.option(
        "--container",
        metavar="NAME[:PATH]",
        help="The HOME of the user of this container, or the directory PATH in it.",
    )
    @click.option(
        "--volume",
        metavar="NAME[:PATH]",
        help="The HOME that is in this volume, or in its directory PATH.",
    )
    @engine_option
    @click.option(
        "--at",
        metavar="PATH",
        default="",
        help="Where the HOME lies for the programs that live in it, if not where it was found: "
        "links and variables may name it by that path.",
    )
    @functools.wraps(command)
    def with_source(
        *args: Any,
        home: str | None,
        container: str | None,
        volume: str | None,
        at: str,
        engine: tuple[str, ...],
        **options: Any,
    ) -> Any:
        source = _source(home, container, volume, at, engine)
        image = options.get("image")
        if engine and home is not None and image is None:
            about = "a container, a volume or an image" if "image" in options else _ON_ENGINES
            raise UsageError(f"--engine is about {about}", hint="name one, or leave it out")
        if "image" in options:
            options["engine"] = engine if image is not None else ()
        return command(*args, source=source, **options)

    return with_source


def _source(
    home: str | None,
    container: str | None,
    volume: str | None,
    at: str,
    engines: Sequence[str],
) -> HomeSource:
    """Return the HOME that the options lead to; *engines* are those that were named.

    :raises UsageError: they lead to none, or to several, or it is not there.
    :raises CannotJudge: the container engine does not have it, or does not answer.
    """
    given = [one for one in (home, container, volume) if one is not None]
    if len(given) != 1:
        cause = "more than one HOME is named" if given else "no HOME is named"
        raise UsageError(cause, hint=_HINT)
    if at and not at.startswith("/"):
        raise UsageError(f"--at {at} is not an absolute path", hint="begin it with '/'")
    name, _, path = given[0].partition(":")
    if home is None and not name:
        raise UsageError(f"'{given[0]}' names nothing", hint=_HINT)
    if home is not None:
        return _on_this_machine(home, at)
    if len(engines) > 1:
        cause = f"{given[0]} is on one engine, and {len(engines)} are named"
        raise UsageError(cause, hint="name that one with --engine")
    # The SDK of container engines takes long to import.
    from conformance.drivers.container.found_home import (  # noqa: PLC0415
        container_home,
        volume_home,
    )

    found = container_home if container is not None else volume_home
    return found(name, path, at=at, engine="".join(engines))


def _on_this_machine(home: str, at: str) -> HomeSource:
    """Return the HOME that is a directory, a tar file, or comes through a pipe."""
    if home == "-":
        if sys.stdin.isatty():
            hint = "pipe one in: tar -C HOME -c . | …"
            raise UsageError("standard input is a terminal, and no tar stream", hint=hint)
        return StreamHome("standard input", lambda: nullcontext(sys.stdin.buffer), path=at)
    try:
        mode = os.stat(home).st_mode
    except OSError as e:
        raise UsageError(f"{home} cannot be looked at: {e.strerror}", hint=_HINT) from None
    if stat.S_ISREG(mode):
        return ArchiveHome(home, functools.partial(_opened, home), path=at)
    if stat.S_ISFIFO(mode):  # a shell makes one of <(command)
        return StreamHome(home, functools.partial(_opened, home), path=at)
    return DirectoryHome(Path(home), path=at)


def _opened(file: str) -> BinaryIO:
    try:
        return open(file, "rb")
    except OSError as e:
        raise CannotJudge(f"{file} cannot be read: {e.strerror}") from None
