"""Options for what is fixed once: the moment that times are relative to, the seed of secrets."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime

import click

from conformance.errors import UsageError

__all__ = ["given_text", "now_option", "seed_option"]


def _now(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Return the time that was given, in epoch seconds.

    :raises UsageError: it is no time, has no zone, or is none of the years 1 to 9999.
    """
    if value is None:
        return None
    try:
        now = float(value) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value) else _timestamp(value)
        datetime.fromtimestamp(now)  # only whether there is such a time
    except (ValueError, OverflowError, OSError):
        hint = "give epoch seconds, or a time with its zone such as 2031-05-04T12:00:00Z"
        raise UsageError(f"--now '{value}' is no time", hint=hint) from None
    return now


def _timestamp(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not math.isfinite(moment.timestamp()):
        raise ValueError(text)
    return moment.timestamp()


def given_text(option: str, hint: str) -> Callable[..., str]:
    """Return a callback for *option*, which returns the text that was given, else an empty one.

    It refuses one that is empty, as a variable is that a pipeline has not set; *hint* says more.
    """

    def text(_: click.Context, __: click.Parameter, value: str | None) -> str:
        if value is not None and not value.strip():
            raise UsageError(f"{option} is empty", hint=f"{hint}, or leave it out")
        return value or ""

    return text


now_option = click.option(
    "--now",
    metavar="TIME",
    callback=_now,
    help="The moment that all times are relative to: epoch seconds, or ISO 8601; by default that "
    "of the start.",
)
seed_option = click.option(
    "--seed",
    metavar="TEXT",
    callback=given_text("--seed", "give a text"),
    help="What the made-up secrets are derived from; by default another text each time.",
)
