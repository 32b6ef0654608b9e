"""Reach the engines of a run, all at the same time, and go on without those that cannot be had."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import docker
from msgspec import Struct

from conformance.drivers.container.client import connect
from conformance.drivers.container.endpoint import endpoint_of
from conformance.drivers.container.tunnel import Tunnel
from conformance.errors import CannotJudge, ConformanceError, ManyErrors

__all__ = ["Reached", "on_each", "reach"]

_Result = TypeVar("_Result")
_Where = TypeVar("_Where")


class Reached(Struct, frozen=True):
    """An engine that answers."""

    name: str
    """As the user calls it; empty for the one that is here."""
    tunnel: str
    """The path of a socket that leads to it; empty for one that is reached without."""
    client: docker.DockerClient


def reach(
    names: Sequence[str], directory: Path, stack: ExitStack, left_out: list[str]
) -> list[Reached]:
    """Return the engines called *names*, or the one that is here if there are none.

    Sockets of those that ssh reaches lie in *directory*. The *stack* ends all connections. What
    cannot be reached is *left_out*: a sentence each.

    :raises UsageError: there is no such docker context.
    :raises CannotJudge: none of them answers.
    """
    tunnels: dict[str, Tunnel] = {}
    for name in names or ("",):
        url = endpoint_of(name).url
        if url.startswith("ssh://"):
            tunnels[name] = Tunnel(url, directory)
            stack.callback(tunnels[name].close)

    def reached(name: str) -> Reached:
        path = ""
        if name in tunnels:
            tunnels[name].wait()
            path = os.fspath(tunnels[name].socket)
        client = connect(name, path)
        stack.callback(client.close)
        return Reached(name, path, client)

    return on_each({name: name for name in names or ("",)}, reached, left_out)


def on_each(
    wheres: dict[str, _Where], work: Callable[[_Where], _Result], left_out: list[str]
) -> list[_Result]:
    """Return what *work* returns for each of *wheres*, by the names of their engines.

    An engine on which it cannot be done is *left_out*, which gets a sentence that says why.

    :raises CannotJudge: it cannot be done on any.
    """

    def attempt(name: str) -> _Result | CannotJudge:
        try:
            return work(wheres[name])
        except CannotJudge as e:
            return e

    with ThreadPoolExecutor(len(wheres)) as threads:
        done = dict(zip(wheres, threads.map(attempt, wheres), strict=True))
    failed = {name: e for name, e in done.items() if isinstance(e, CannotJudge)}
    if len(failed) == len(wheres):
        errors: list[ConformanceError] = [_named(name, e) for name, e in failed.items()]
        raise errors[0] if len(errors) == 1 else ManyErrors(errors)
    left_out += [f"engine {name} is left out: {e.cause}" for name, e in failed.items()]
    return [result for result in done.values() if not isinstance(result, CannotJudge)]


def _named(name: str, error: CannotJudge) -> CannotJudge:
    """Return *error* with the *name* of the engine that it is about, unless that is in it."""
    if not name or name in error.cause:
        return error
    return CannotJudge(f"engine {name}: {error.cause}", hint=error.hint)
