"""Text for people: on one line, harmless in a terminal, or to be pasted into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

__all__ = ["join", "one_line", "printable", "quote"]


def one_line(text: str) -> str:
    """Return *text* on one line: line breaks and other white space become one blank each."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Return *text* with control characters, line breaks and lone surrogates as Python escapes: harmless in a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def quote(word: str) -> str:
    """Return *word* quoted for a POSIX shell; a word with single quotes in double ones, where that is shorter to read."""
    if "'" in word and not set(word) & set('"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)


def join(words: Iterable[str]) -> str:
    """Return *words* as one line for a POSIX shell."""
    return " ".join(map(quote, words))
