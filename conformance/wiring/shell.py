"""What becomes of a program's exit code in a line for a shell.

A line with more than simple commands in it (loops, groups, substitutions, traps) is not judged:
what cannot be told is not wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

__all__ = ["Fate", "Line", "base", "read_line"]

Words = tuple[str, ...]
Fate = Literal["kept", "changed", "may-be-lost", "lost"]

_OPERATORS = ("&&", "||", ";", "|&", "|", "&", "\n")
#: Words that begin what is no simple command.
_COMPOUND = {"if", "while", "until", "for", "case", "select", "function", "{", "}", "(", ")", "[["}
_COMPOUND |= {"trap", "coproc", "eval", "do", "done", "then", "fi", "esac"}
#: Programs that succeed whatever the probe has said.
_SUCCEED = {
    "set",
    "true",
    ":",
    "echo",
    "printf",
    "date",
    "sleep",
    "logger",
    "touch",
    "sync",
    "clear",
}
#: Programs that pass text on, and so succeed when the probe in front of them fails.
_FILTERS = {"tee", "cat", "logger", "head", "tail", "sed", "ts", "cut", "tr", "sort", "wc"}


class Command(Struct, frozen=True):
    """A simple command of a line, and what stands in front of it."""

    words: Words
    after: str
    """The operator in front of it; empty for the first."""


class Line(Struct, frozen=True):
    """A line of simple commands."""

    commands: tuple[Command, ...]
    simple: bool
    """Whether that is all there is in it."""
    errexit: bool
    """Whether the shell ends with the first command that fails."""
    pipefail: bool

    def fate(self, is_probe: Callable[[Words], bool]) -> tuple[Fate, str]:
        """Return what becomes of the exit code of the probe, and the words that do that.

        The last command that *is_probe* takes for it counts.
        """
        probes = [number for number, c in enumerate(self.commands) if is_probe(c.words)]
        if not self.simple or not probes:
            return "kept", ""
        number = probes[-1]
        probe, rest = self.commands[number], list(self.commands[number + 1 :])
        errexit, pipefail = self._options(self.commands[:number])
        if any(_name(c.words) in ("exit", "exec") for c in self.commands[:number]):
            return "kept", ""  # it may not come to the last probe
        if probe.words[0] == "!":
            return ("lost", "!") if len(probes) == 1 and not rest else ("kept", "")
        if _asks_for_codes(rest):
            return "kept", ""
        if rest and rest[0].after in ("|", "|&") and not pipefail:
            return self._piped(rest)
        while rest and rest[0].after in ("|", "|&"):
            rest.pop(0)
        if any(command.after in ("|", "|&") for command in rest):
            return "kept", ""
        if probe.words[0] == "exec":
            return "kept", ""
        return self._after(rest, errexit=errexit)

    def _options(self, before: Sequence[Command]) -> tuple[bool, bool]:
        """Return errexit and pipefail, as the shell has them after the commands *before*."""
        errexit, pipefail = self.errexit, self.pipefail
        for words in (command.words for command in before if command.words[:1] == ("set",)):
            flags = "".join(word[1:] for word in words if re.match(r"-[a-z]", word))
            errexit = errexit or "e" in flags or "errexit" in words
            pipefail = pipefail or "pipefail" in words
        return errexit, pipefail

    def _piped(self, rest: Sequence[Command]) -> tuple[Fate, str]:
        """Return what becomes of a code in front of a pipe, whose last command decides."""
        last = rest[0]
        for command in rest:
            if command.after not in ("|", "|&"):
                break
            last = command
        shown = f"| {' '.join(last.words)}"
        return ("lost" if _name(last.words) in _FILTERS else "may-be-lost"), shown

    def _after(self, rest: Sequence[Command], *, errexit: bool) -> tuple[Fate, str]:
        """Return what becomes of the code of a probe that fails, with *rest* behind it."""
        fate: Fate = "kept"
        why = ""
        for command in rest:
            shown = f"{command.after} {' '.join(command.words)}".strip()
            if command.after == "&":
                # Nobody waits for it, unless something that follows does.
                waited = any("$!" in word or word == "wait" for c in rest for word in c.words)
                return ("kept", "") if waited else ("lost", "&")
            if command.after == "&&" and fate != "lost":
                continue  # the code is not zero, so this does not run; or it may not be
            if command.after == "||" and fate == "lost":
                continue
            if command.after in (";", "\n"):
                if not command.words:
                    continue
                if errexit and fate == "kept":
                    return fate, why
            fate, why = _status(command.words, command.after, fate), shown
            if _name(command.words) in ("exit", "exec"):
                break
        return fate, why


def _asks_for_codes(rest: Sequence[Command]) -> bool:
    """Return whether a command behind a pipe takes the codes of what was in it."""
    return any(
        "PIPESTATUS" in word.upper()
        for command in rest
        if command.after not in ("|", "|&") and _name(command.words) not in _SUCCEED
        for word in command.words
    )


def _status(words: Words, after: str, before: Fate) -> Fate:
    """Return what a command behind a probe that failed leaves of its code."""
    name = _name(words)
    if name == "exit":
        code = words[1] if len(words) > 1 else ""
        if not code or not code.isdecimal():
            return before if not code else "kept"
        if int(code) == 0 or after != "||":  # else even a success fails
            return "lost"
        return "changed"
    if name in ("[", "test", "return") and any("$" in word for word in words):
        return "kept"  # what it asks may be the code
    if re.match(r"\w+=", name) and len(words) == 1:
        return "lost"  # an assignment succeeds; an exit with its value comes later
    if name == "false":
        return "changed" if after == "||" else "lost"
    return "lost" if name in _SUCCEED else "may-be-lost"


def base(word: str) -> str:
    """Return the last part of a path."""
    return word.rstrip("/").rpartition("/")[2]


def _name(words: Words) -> str:
    return base(words[0]) if words else ""


def read_line(text: str, *, errexit: bool = False, pipefail: bool = False) -> Line:
    """Return what a shell makes of *text*; the options are those that it is started with."""
    commands: list[Command] = []
    simple = True
    words: list[str] = []
    after = ""
    for piece, operator in [*_tokens(text), ("", True)]:
        if not operator:
            words.append(piece)
            continue
        if words:
            simple = simple and not _is_compound(words)
            commands.append(Command(tuple(words), after))
        elif piece not in ("", "\n", ";"):
            simple = simple and piece == "&"
        after = piece if words or not commands else after
        words = []
    if text.rstrip().endswith("&") and not text.rstrip().endswith("&&"):
        commands.append(Command((), "&"))
    if re.search(r"\$\(|`|<<|<\(|>\(", text):
        simple = False
    return Line(tuple(commands), simple, errexit, pipefail)


def _is_compound(words: Sequence[str]) -> bool:
    return words[0] in _COMPOUND or "(" in words or ")" in words or words[0].endswith("()")


def _tokens(text: str) -> list[tuple[str, bool]]:
    """Return the words and operators of *text*, each with whether it is an operator.

    Redirections are left out.
    """
    found: list[tuple[str, bool]] = []
    word: str | None = None
    position = 0
    while position < len(text):
        char = text[position]
        rest = text[position:]
        operator = next((op for op in _OPERATORS if rest.startswith(op)), "")
        if redirection := re.match(r"[0-9]*(?:>>|>&|<&|&>>|&>|>\||>|<)\s*&?[^\s;&|]*", rest):
            # In "a2>b" the digit is part of the word; to take it for a descriptor does no harm.
            position += redirection.end()
        elif char == "#" and word is None:
            end = rest.find("\n")
            position += end if end >= 0 else len(rest)
        elif char == "\\":
            word = (word or "") + rest[1:2].replace("\n", "")
            position += 2
        elif quoted := re.match(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"", rest, re.DOTALL):
            word = (word or "") + (quoted[1] if quoted[1] is not None else quoted[2])
            position += quoted.end()
        elif operator or char in " \t\r()":
            if word is not None:
                found.append((word, False))
                word = None
            if operator:
                found.append((operator, True))
            elif char in "()":
                found.append((char, False))
            position += len(operator) or 1
        else:
            word = (word or "") + char
            position += 1
    return [*found, (word, False)] if word is not None else found
