"""The options about shards: parts of a run that several machines share out among themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import click

from conformance.cli.fixed import now_option, seed_option
from conformance.errors import UsageError
from conformance.run.shards import ShardRequest

__all__ = ["shard_options", "shard_request"]

#: Variables by which pipelines say which of several equal jobs this is, and how many there are;
#: and what the first one is called.
_PAIRS = (
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
    ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
)
#: Kubernetes says to a Pod of an indexed Job which one it is, and nothing more.
_JOB_INDEX = "JOB_COMPLETION_INDEX"
#: Far more than there are scenarios.
_MOST = 10_000

Command = Callable[..., Any]


_OPTIONS = (
    click.option(
        "--shard",
        metavar="I/N",
        help="Only part I of N, from 1 on; 'auto' for what the pipeline says, or 'auto/N'.",
    ),
    click.option(
        "--durations",
        metavar="REPORT",
        help="Cut shards by the seconds in this JSON report of an earlier run.",
    ),
    now_option,
    seed_option,
)


def shard_options(command: Command) -> Command:
    """Add the options that say which shard of a run this is, and what all of them share."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def shard_request(options: Mapping[str, Any]) -> ShardRequest | None:
    """Return which shard the *options* of a command ask for; None where they ask for everything.

    :raises UsageError: it is none, or nothing says which one.
    """
    text, durations = options["shard"], options["durations"]
    if text is None:
        if durations is not None:
            hint = "give --shard, or leave it out"
            raise UsageError("--durations says how to cut shards", hint=hint)
        return None
    first, slash, second = text.partition("/")
    if first == "auto":
        index, count = _found(_number(second, text) if slash else None)
    else:
        index, count = _number(first, text), _number(second, text)
    if not 1 <= index <= count <= _MOST:
        raise UsageError(f"--shard {text}: there is no shard {index} of {count}", hint=_HINT)
    return ShardRequest(index=index, count=count, durations=durations or "")


_HINT = "write it like 1/4, 2/4, 3/4 and 4/4"


def _number(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < len(str(_MOST)) + 1):
        raise UsageError(f"--shard '{whole}' is no shard", hint=_HINT)
    return int(text)


def _found(count: int | None) -> tuple[int, int]:
    """Return which shard the surroundings say this is, and how many there are.

    *count* is how many were asked for, where that was said.

    :raises UsageError: they do not say it, say it twice, or say something else.
    """
    said = {}
    for index_name, count_name, first in _PAIRS:
        if count_name in os.environ:
            total = _variable(count_name)
            # GitLab says 1 where a job is not parallel, and no index.
            alone = total == 1 and index_name not in os.environ
            said[count_name] = (1 if alone else _variable(index_name) + 1 - first, total)
    if _JOB_INDEX in os.environ:
        if count is None and not said:
            hint = f"write it like auto/4: {_JOB_INDEX} says which one this is, and not of how many"
            raise UsageError("--shard auto: how many shards are there?", hint=hint)
        if count is not None:
            said[_JOB_INDEX] = (_variable(_JOB_INDEX) + 1, count)
    if not said:
        known = ", ".join([*(name for name, _, _ in _PAIRS), _JOB_INDEX])
        hint = f"write it like 1/4; known are {known}"
        raise UsageError("--shard auto: nothing here says which shard this is", hint=hint)
    if len({*said.values()}) > 1:
        cause = f"--shard auto: {' and '.join(said)} do not say the same"
        raise UsageError(cause, hint="write it like 1/4")
    [(index, total)] = {*said.values()}
    if count is not None and count != total:
        cause = f"--shard auto/{count}: {next(iter(said))} says that there are {total}"
        raise UsageError(cause, hint="leave out the number")
    return index, total


def _variable(name: str) -> int:
    """Return the number in the variable called *name*.

    :raises UsageError: it is not set, or no number.
    """
    value = os.environ.get(name)
    if value is None or not (value.isascii() and value.isdecimal() and len(value) < 10):
        cause = f"{name} is not set" if value is None else f"{name} is '{value}', and no number"
        raise UsageError(f"--shard auto: {cause}", hint="write it like 1/4")
    return int(value)
