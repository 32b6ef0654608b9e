"""Text of others, made fit to be shown.

What a probe prints is hostile until shown otherwise. The template engine escapes what is special in
HTML. What is special to eyes is made visible here: control characters, marks that turn the
direction of a text around, characters without a width, halves of surrogate pairs. And no text,
however long, makes a page that nobody can open.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from conformance.text import printable, shortened

__all__ = ["Block", "shown", "ticked"]

#: Characters of a text that is shown on one line.
_LONGEST = 4_000
#: Characters of a text that is shown as lines; the report has all that the suite keeps.
_LONGEST_BLOCK = 20_000


class Block(str):
    """A text whose lines and tabs are kept, such as what a probe prints."""

    __slots__ = ()


def shown(value: Any) -> Any:
    """Return *value* as a page shows it; the template engine passes every value through this.

    What is markup already, and what is no text, comes back as it is.
    """
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    if not isinstance(value, Block):
        return printable(shortened(value, _LONGEST))
    more = len(value) - _LONGEST_BLOCK
    text = value[:_LONGEST_BLOCK].expandtabs()
    lines = "\n".join(map(printable, text.split("\n")))
    return f"{lines}… and {more:,} more characters" if more > 0 else lines


def ticked(text: str) -> Markup:
    """Return *text* as markup in which what stands between backticks is code."""
    parts = [escape(shown(part)) for part in text.split("`")]
    if len(parts) % 2 == 0:  # one of them is alone
        return escape(shown(text))
    marked = [f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts)]
    return Markup("").join(map(Markup, marked))
