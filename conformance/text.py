"""Text for people: on one line, safe in a terminal, or ready to paste into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from itertools import chain, islice, product
from string import ascii_uppercase

__all__ = ["join", "letters", "one_line", "ordinal", "printable", "quote", "shortened"]


def one_line(text: str) -> str:
    """Return *text* on one line, each run of white space as one space, and safe in a terminal."""
    return printable(" ".join(text.split()))


def letters(count: int) -> list[str]:
    """Return so many names, at most 702: A, B, and so on; AA comes after Z."""
    longer = map("".join, product(ascii_uppercase, repeat=2))
    return list(islice(chain(ascii_uppercase, longer), count))


def shortened(text: str, limit: int) -> str:
    """Return *text*, of which no more than *limit* characters are left; an ellipsis is the last."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def printable(text: str) -> str:
    """Return *text* made safe for a terminal.

    Control characters, line breaks and lone surrogates become Python escapes.
    """
    if text.isprintable():  # nearly always, and for long texts much faster
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def quote(word: str) -> str:
    """Return *word* quoted for a POSIX shell.

    Double quotes are used for a word with single quotes in it, where they need no escapes.
    """
    if "'" in word and not set(word) & set('"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)


def join(words: Iterable[str]) -> str:
    """Return *words* as one line for a POSIX shell."""
    return " ".join(map(quote, words))


def ordinal(number: int) -> str:
    """Return *number* as the place in a row: 1st, 2nd, 3rd, 4th."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"
