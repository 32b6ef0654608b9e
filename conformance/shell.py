"""Write commands for people to paste into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

__all__ = ["join", "quote"]


def quote(word: str) -> str:
    """Return *word* quoted for a POSIX shell; a word with single quotes in double ones, where that is shorter to read."""
    if "'" in word and not set(word) & set('"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)


def join(words: Iterable[str]) -> str:
    """Return *words* as one line for a POSIX shell."""
    return " ".join(map(quote, words))
