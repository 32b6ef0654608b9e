"""Lines for people, with colours on a terminal, of commands that run nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO, cast

from rich.console import Console
from rich.text import Text

from conformance.report.stream import Stream

__all__ = ["screen"]


def screen(json_file: str | None) -> Callable[..., None]:
    """Return a function that writes a line, with a style: to standard error if JSON goes to output.

    *json_file* is the file of the option ``--json``.
    """
    stream = Stream(sys.stderr if json_file == "-" else sys.stdout)
    console = Console(file=cast(TextIO, stream), highlight=False, soft_wrap=True)

    def echo(text: str = "", style: str = "") -> None:
        console.print(Text(text, style=style))

    return echo
