"""Which program a command runs in the end, behind shells and other wrappers."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from conformance.wiring.shell import Line, base, read_line

__all__ = ["Command", "Recogniser", "is_shell", "is_stand_in", "read_command", "takes_text"]

_SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh"}
#: Other programs that take a line for a shell, or a program's text, as the value of an option.
_TAKE_TEXT = {
    *("fish", "su", "runuser", "script", "flock"),
    *("python", "python3", "node", "deno", "bun", "perl", "ruby", "php"),
}
_TEXT_OPTION = re.compile(r"-[A-Za-z]*[ce]|--command|--eval")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
#: Wrappers that take nothing but options in front of the program.
_PLAIN = {
    "exec",
    "nohup",
    "setsid",
    "tini",
    "dumb-init",
    "catatonit",
    "stdbuf",
    "ionice",
    "command",
}
#: Wrappers that take so many words more.
_WITH_WORDS = {"su-exec": 1, "gosu": 1}
#: Options of wrappers that take the next word.
_TAKES_WORD = {
    "timeout": ("-s", "-k", "--signal", "--kill-after"),
    "env": ("-u", "-C", "--unset", "--chdir"),
    "nice": ("-n", "--adjustment"),
    "ionice": ("-c", "-n"),
    "stdbuf": ("-i", "-o", "-e"),
}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
#: Programs that are surely not the probe of an agent, however they are used.
_STAND_INS = {
    *("true", "false", ":", "cat", "test", "[", "ls", "stat", "echo", "printf", "exit", "sleep"),
    *("cp", "mv", "ln", "install", "rsync", "tar", "unzip", "mkdir", "rmdir", "rm", "touch", "tee"),
    *("chmod", "chown", "chgrp", "curl", "wget", "nc", "netcat", "pgrep", "pidof", "ps", "kill"),
    *("grep", "find", "head"),
    *("pg_isready", "redis-cli", "mysqladmin", "grpc_health_probe", "grpc-health-probe"),
}
#: Names that say what a program is for.
_SPEAKING = re.compile(r"probe|smoke|preflight")


def is_shell(word: str) -> bool:
    """Return whether *word* names a shell."""
    return base(word) in _SHELLS


def takes_text(words: Sequence[str], number: int) -> bool:
    """Return whether the word at *number* is a line, or the text of a program, that others read.

    That is what comes after ``-c`` or ``-e`` of a shell or an interpreter, or has blanks there.
    """
    before = words[:number]
    if not before or not _TEXT_OPTION.fullmatch(before[-1]):
        return False
    return " " in words[number] or any(base(word) in _SHELLS | _TAKE_TEXT for word in before)


class Command(Struct, frozen=True):
    """A command, and what it comes to."""

    words: tuple[str, ...]
    program: tuple[str, ...] = ()
    """What is run once wrappers are taken off; empty for a line of a shell."""
    line: Line | None = None
    """The line that a shell is given; None if there is none."""
    script: str = ""
    """That line as it stands."""
    timeouts: tuple[float, ...] = ()
    """Seconds that wrappers give the program; 0 is no limit."""
    sets: Mapping[str, str] = {}
    """Variables that wrappers set."""
    clears: bool = False
    """Whether a wrapper takes all other variables away."""

    def parts(self) -> Iterator[Command]:
        """Yield the commands that may run: itself, or those in the line of its shell."""
        if self.line is None:
            yield self
            return
        for simple in self.line.commands:
            yield read_command(simple.words, depth=1)


def read_command(words: Sequence[str], depth: int = 0) -> Command:
    """Return what *words* come to: wrappers are taken off, and a shell's line is read."""
    rest = tuple(words)
    timeouts: list[float] = []
    sets: dict[str, str] = {}
    clears = False
    while rest:
        name = base(rest[0])
        if name == "busybox" and len(rest) > 1:
            rest = rest[1:]
        elif _ASSIGNMENT.match(rest[0]) and depth:
            rest = _assignments(rest, sets)
        elif name == "env":
            rest = _unsplit(rest)
            clears = clears or bool({"-i", "-", "--ignore-environment"} & set(rest[1:3]))
            rest = _assignments(_options(rest), sets)
        elif name == "timeout":
            rest = _options(rest)
            timeouts += [_seconds(rest[0])] if rest else []
            rest = rest[1:]
        elif rest[0] == "!":
            rest = rest[1:]
        elif name == "nice" or (name in _PLAIN and rest[:2] != ("command", "-v")):
            rest = _options(rest)
        elif name in _WITH_WORDS:
            rest = rest[1 + _WITH_WORDS[name] :]
        else:
            break
    common = {"timeouts": tuple(timeouts), "sets": sets, "clears": clears}
    script, line = _script(rest) if depth < 2 else ("", None)
    if line is not None:
        return Command(tuple(words), (), line, script, **common)  # type: ignore[arg-type]
    return Command(tuple(words), rest, **common)  # type: ignore[arg-type]


def _assignments(words: tuple[str, ...], sets: dict[str, str]) -> tuple[str, ...]:
    while words and _ASSIGNMENT.match(words[0]):
        name, _, value = words[0].partition("=")
        sets[name] = value
        words = words[1:]
    return words


def _unsplit(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return *words*, a call of env, with the text of its option -S split as env does."""
    number = 1
    while number < len(words) and words[number].startswith("-"):
        at, word = number, words[number]
        match = re.fullmatch(r"(?:-([iv0]*)S|--split-string=?)(.*)", word, re.DOTALL)
        number += 2 if word in _TAKES_WORD["env"] or (match and not match[2]) else 1
        if match is None:
            continue
        try:
            split = shlex.split(match[2] or " ".join(words[number - 1 : number]))
        except ValueError:
            break
        clears = ("-i",) if "i" in (match[1] or "") else ()
        return (*words[:at], *clears, *split, *words[number:])
    return words


def _options(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return what follows the options of the wrapper that comes first."""
    takes_word = _TAKES_WORD.get(base(words[0]), ())
    rest = words[1:]
    while rest and rest[0].startswith("-"):
        if rest[0] == "--":
            return rest[1:]
        rest = rest[2:] if rest[0] in takes_word else rest[1:]
    return rest


def _seconds(duration: str) -> float:
    """Return the seconds of a duration as timeout takes it; infinite if it is none."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([smhd]?)", duration)
    return float(match[1]) * _UNITS[match[2]] if match else float("inf")


def _script(words: Sequence[str]) -> tuple[str, Line | None]:
    """Return the line that *words* give to a shell, as text and read; None if there is none."""
    if not words or not is_shell(words[0]):
        return "", None
    errexit = pipefail = False
    rest = list(words[1:])
    command = False
    while rest and rest[0][:1] in ("-", "+") and rest[0] != "--":
        option = rest.pop(0)
        if option.startswith("--"):
            continue
        errexit = errexit or "e" in option
        command = command or "c" in option
        if option.endswith("o") and rest:
            pipefail = pipefail or rest[0] == "pipefail"
            errexit = errexit or rest[0] == "errexit"
            rest.pop(0)
    if not command or not rest:
        return "", None
    return rest[0], read_line(rest[0], errexit=errexit, pipefail=pipefail)


class Recogniser(Struct, frozen=True):
    """Tells which commands run the probe."""

    probe: tuple[str, ...] = ()
    """The words of its command, where the user has said it."""
    own: tuple[tuple[str, ...], ...] = ()
    """Commands of the contract itself."""
    reference: str = ""
    """The file name of the contract's reference probe."""

    def knows(self, words: Sequence[str]) -> bool:
        """Return whether *words*, a simple command, run the probe, by all that they say."""
        if self.is_sure(words):
            return True
        program = read_command(words, depth=1).program
        if self.probe or not program or is_stand_in(program):
            return False
        return any(_speaks(word) for word in program[:4])

    def is_sure(self, words: Sequence[str]) -> bool:
        """Return whether *words* run the probe by more than the sound of a name."""
        command = read_command(words, depth=1)
        program = command.program
        if not program or (is_stand_in(program) and program[:1] != self.probe[:1]):
            return False
        if self.probe:
            return _holds(program, self.probe)
        if command.sets.get("AGENT_MODE") == "smoke-test":
            return True
        if any(_holds(program, own) for own in self.own):
            return True
        stem = self.reference.rpartition(".")[0]
        names = {self.reference, stem} - {""}
        return any(base(word) in names for word in program[:4] if not word.startswith("-"))

    def runs_probe(self, command: Command, *, surely: bool = False) -> bool:
        """Return whether *command* runs the probe, itself or in its shell's line."""
        tell = self.is_sure if surely else self.knows
        if command.line is None:
            loose = _split(command.program)
            return tell(command.words) or (loose != command.program and tell(loose))
        if command.sets.get("AGENT_MODE") == "smoke-test" and not self.probe:
            return True
        return any(tell(simple.words) for simple in command.line.commands)

    def probes_of(self, command: Command, *, certain: bool) -> list[Command]:
        """Return the parts of *command* that run the probe.

        Not *certain*, that is the last one that is no stand-in.
        """
        parts = list(command.parts())
        if certain:
            return [part for part in parts if self.knows(part.words)]
        return [part for part in parts if part.program and not is_stand_in(part.program)][-1:]

    def presumed(self, command: Command) -> bool:
        """Return whether the command of a startupProbe may be the probe: it is no stand-in."""
        if self.probe:
            return False
        return any(part.program and not is_stand_in(part.program) for part in command.parts())


def _speaks(word: str) -> bool:
    """Return whether *word* names a program, or a script, that says what it is for."""
    name = base(word)
    if not name or name in _STAND_INS or word.startswith("-") or " " in word:
        return False
    return bool(_SPEAKING.search(name))


def is_stand_in(program: Sequence[str]) -> bool:
    """Return whether *program* is one that asks something else, such as whether a file is there."""
    return base(program[0]) in _STAND_INS or program[0] in (
        "set",
        "cd",
        "export",
        "umask",
        "command",
    )


def _split(words: Sequence[str]) -> tuple[str, ...]:
    """Return *words* with each of them split at blanks: what their author may have meant."""
    return tuple(part for word in words for part in word.split())


def _holds(words: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether *wanted* stands in *words*, in one piece; its program also by another path."""
    count = len(wanted)
    for start in range(len(words) - count + 1):
        first, *rest = words[start : start + count]
        same = first == wanted[0] or (
            base(first) == base(wanted[0]) and ("/" not in first or "/" not in wanted[0])
        )
        if same and rest == list(wanted[1:]):
            return True
    return False
