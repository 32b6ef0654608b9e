"""Lines that fit a width: no word is broken, and a command can still be pasted."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from conformance.text import one_line, quote, shortened

__all__ = ["WIDTH", "command_lines", "first_line", "heading_lines", "ids_line", "wrapped"]

#: Columns that every terminal has, and every log shows.
WIDTH = 80
#: What the runner of GitHub Actions takes for a command, in whatever log it reads; as it does
#: ``##[`` anywhere. A probe may print both.
_COMMAND = re.compile(r"^(\s*?)\s?::")
#: Where the text of a line with a heading begins.
_TEXT = 19


def wrapped(text: str, *, indent: str = "", hanging: str = "") -> list[str]:
    """Return *text* in lines of :data:`WIDTH` columns; a longer word gets a line of its own."""
    if len(indent) + len(text) <= WIDTH:
        lines = [f"{indent}{text}"]
    else:
        lines = textwrap.wrap(
            text,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=hanging,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [indent.rstrip()]
    return [_COMMAND.sub(r"\1\\::", line).replace("##[", r"#\[") for line in lines]


def first_line(text: str, indent: str) -> str:
    """Return as many words of *text* as fit a line behind *indent*."""
    first, *more = wrapped(text, indent=indent)
    if not more:
        return first
    return f"{first}…" if len(first) < WIDTH else f"{first.rpartition(' ')[0]} …"


def heading_lines(heading: str, text: str, longest: int | None = None) -> list[str]:
    """Return the lines of *text* beside a *heading*; without one, *text* keeps its blanks.

    *longest* is the number of characters that are shown; None for all.
    """
    start = f"  {heading:<{_TEXT - 3}} "
    hanging = " " * _TEXT
    if not heading:
        blanks = len(text) - len(text.lstrip())
        hanging += " " * (blanks + 2)
        start += " " * blanks
        text = text.lstrip()
    text = one_line(text)
    if longest is not None:
        text = shortened(text, longest)
    return wrapped(text, indent=start, hanging=hanging)


def command_lines(heading: str, argv: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a command, which a shell reads as one."""
    line = f"  {heading:<{_TEXT - 3}}"
    started = False
    for word in map(quote, argv):
        if started and len(line) + len(word) + 3 > WIDTH:
            yield f"{line} \\"
            line = " " * (_TEXT + 1)
        line += f" {word}"
        started = True
    yield line


def ids_line(heading: str, ids: Sequence[str]) -> str:
    """Return as many of *ids* as fit a line, and how many more there are."""
    line = f"  {heading:<{_TEXT - 3}} "
    for number, id_ in enumerate(ids):
        left = len(ids) - number
        room = len(f" and {left} more") if left > 1 else 0
        comma = ", " if number else ""
        if number and len(line) + len(comma) + len(id_) + room > WIDTH:
            return f"{line} and {left} more"
        line += comma + id_
    return line
