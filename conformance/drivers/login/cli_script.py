"""The scripted CLI of a login: a shell script, what it writes, and what it notes of itself."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from conformance.home import Node, plan
from conformance.model.login import (
    Act,
    CloseTerminal,
    End,
    Hang,
    Ignore,
    Login,
    Pause,
    Print,
    Prompt,
    Read,
    Remove,
    Write,
)
from conformance.model.login_seen import CliSeen
from conformance.model.placeholders import Context, expand

__all__ = ["NOTES", "CliScript", "read_notes"]

#: The file with what the CLI notes, in the directory of its script.
NOTES = "notes/cli"
#: How long a CLI lives that does not come to an end: longer than any limit.
_FOREVER = 120

_HEAD = """\
#!/bin/sh
# The scripted CLI of a login. It notes what it is started with, and what it reads.
note() { printf '%s %s\\n' "$$" "$*" >>@NOTES@; }
case "${1-} ${2-}" in
    --version* | -v* | -V*) echo '2.1.197 (Claude Code)'; exit 0 ;;
    'auth status' | 'auth logout') echo 'this stub only lets somebody log in' >&2; exit 2 ;;
esac
note "start $*"
case "$* $(export -p)" in *@TOKEN@*) note token ;; esac
if ! [ -t 0 ] || ! [ -t 1 ]; then
    note no-terminal
    echo 'Error: this needs a terminal: standard input and output are none' >&2
    exit 1
fi
# Where the program has made the terminal a raw one, a line would have no end.
stty icanon icrnl isig opost 2>/dev/null
home=${HOME:-@HOME@}
arguments=$#
umask 077
export PROBE_CONFORMANCE_STUB=child # what is left of its children is not the program's
read_code() {
    tries=0
    while IFS= read -r line; do
        [ -n "$line" ] || continue
        note "read $line"
        [ "$line" != "$1" ] || return 0
        tries=$((tries + 1))
        [ "$tries" -lt 3 ] || exit 1
        printf 'Invalid code. Was it copied in full?\\nPaste code here if prompted > '
    done
    note end-of-input
    exit 1
}
"""


class CliScript(Struct, frozen=True, kw_only=True):
    """The CLI of one login, in a directory of its own."""

    login: Login
    agent: str
    context: Context
    directory: str
    """Where the program finds that directory."""
    token: str
    """The init token; empty where there is none to look for."""

    @property
    def notes(self) -> str:
        """The path of the file with what the CLI notes."""
        return f"{self.directory}/{NOTES}"

    @property
    def path(self) -> str:
        """The directory on PATH."""
        return f"{self.directory}/bin"

    def writes(self) -> tuple[str, ...]:
        """Return the paths below the HOME that the CLI writes."""
        found = []
        for act in self.login.acts:
            if isinstance(act, Write):
                asked = {entry.path for entry in act.entries}
                for node in plan(act.entries, self.context):
                    path = os.fsdecode(node.path)
                    if node.kind != "directory" or path in asked:
                        found.append(path)
        return tuple(dict.fromkeys(found))

    def nodes(self) -> list[Node]:
        """Return the nodes in the directory."""
        lines: list[str] = []
        written: list[Node] = []
        for act in self.login.acts:
            lines += self._lines(act, written)
        head = _HEAD
        # Where there is no token, a character stands for it that no variable holds.
        for mark, text in (
            ("@NOTES@", self.notes),
            ("@TOKEN@", self.token or "\x01"),
            ("@HOME@", self.context.home),
        ):
            head = head.replace(mark, shlex.quote(text))
        script = (head + "\n".join(lines) + "\n").encode("utf-8", "surrogateescape")
        program = f"bin/{self.agent}".encode()
        return [
            Node(path=b"bin", kind="directory", mode=0o755),
            Node(path=program, kind="file", mode=0o755, pieces=((script, 1),)),
            Node(path=b"data", kind="directory", mode=0o755),
            *written,
            Node(path=b"notes", kind="directory", mode=0o777),
            Node(path=NOTES.encode(), kind="file", mode=0o666),
        ]

    def _lines(self, act: Act, written: list[Node]) -> Iterator[str]:
        """Yield the lines of the script for *act*; add to *written* what lies beside it."""
        match act:
            case Print(content, times):
                (node,) = plan([content], self.context)
                line = f"printf '{_format(b''.join(node.chunks()))}'"
                yield line if times == 1 else _repeated(line, times)
            case Prompt(text):
                yield from _prompt(expand(text, self.context))
            case Read(text):
                yield f"read_code {shlex.quote(expand(text, self.context))}"
            case Write():
                yield from self._write(act, written)
            case Remove(path):
                yield f'rm -f "$home"/{shlex.quote(path)}'
            case Pause() | CloseTerminal() | Ignore() | Hang() | End():
                yield _line(act)

    def _write(self, act: Write, written: list[Node]) -> Iterator[str]:
        explicit = {entry.path.encode() for entry in act.entries if entry.mode is not None}
        modes = []
        for node in plan(act.entries, self.context):
            place = f'"$home"/{_quoted(node.path)}'
            match node.kind:
                case "directory":
                    yield f"mkdir -p {place}"
                    if node.path in explicit:
                        modes.append(f"chmod {node.mode:o} {place}")
                case "symlink":
                    yield f"ln -sfn {_quoted(node.target)} {place}"
                case "fifo":
                    yield f"mkfifo {place}"
                case _:
                    yield from self._write_file(node, place, written, same=act.same_mtime)
        yield from reversed(modes)  # a directory is shut when all below it is there

    def _write_file(
        self, node: Node, place: str, written: list[Node], *, same: bool
    ) -> Iterator[str]:
        name = f"data/{len(written)}"
        data = Node(
            path=name.encode(), kind="file", mode=0o644, mtime=node.mtime, pieces=node.pieces
        )
        written.append(data)
        source, mark = f"{self.directory}/{name}", f"{self.directory}/notes/mark"
        if same:
            yield f"touch -r {place} {shlex.quote(mark)}"
        yield f"cat {shlex.quote(source)} >{place}"
        yield f"chmod {node.mode:o} {place}"
        if same or node.mtime is not None:
            yield f"touch -r {shlex.quote(mark if same else source)} {place}"


def _line(act: Pause | CloseTerminal | Ignore | Hang | End) -> str:
    """Return the line of the script for an *act* that is about the CLI's process."""
    match act:
        case Pause(seconds):
            return f"sleep {seconds:g}"
        case CloseTerminal():
            return "exec </dev/null >/dev/null 2>&1"
        case Ignore(signals):
            return f"trap '' {' '.join(name.removeprefix('SIG') for name in signals)}"
        case Hang():
            return f"unset PROBE_CONFORMANCE_STUB; exec sleep {_FOREVER}"
        case End(code, name):
            dies = f"kill -{name.removeprefix('SIG')} $$; sleep {_FOREVER}"
            return dies if name else f"exit {code}"


def _repeated(line: str, times: int) -> str:
    return f"n=0; while [ $n -lt {times} ]; do {line}; n=$((n + 1)); done"


def _prompt(text: str) -> Iterator[str]:
    shown = f"printf '{_format(text.encode('utf-8', 'surrogateescape'))}'"
    yield 'if [ "$arguments" = 0 ]; then'
    yield f"    {shown}"
    yield "    while IFS= read -r line; do"
    yield '        [ -n "$line" ] || continue'
    yield '        note "prompt $line"'
    yield '        [ "$line" != /login ] || break'
    yield f"        {shown}"
    yield "    done"
    yield "fi"


def _format(data: bytes) -> str:
    """Return the format, between single quotes, with which ``printf`` prints *data*."""
    special = {0x0A: r"\n", 0x25: "%%", 0x27: r"'\''", 0x5C: r"\\"}
    words = [
        special.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}")
        for byte in data
    ]
    if words[:1] == ["-"]:  # a shell would take it for an option
        words[0] = r"\055"
    return "".join(words)


def _quoted(path: bytes) -> str:
    return shlex.quote(path.decode("utf-8", "surrogateescape"))


def read_notes(text: bytes) -> tuple[CliSeen, ...]:
    """Return what the CLI has noted, one item for each of its starts."""
    starts: dict[str, CliSeen] = {}
    for line in text.decode("utf-8", "backslashreplace").splitlines():
        match = re.fullmatch(r"(\d+) (\S+) ?(.*)", line)
        if match is None:
            continue
        pid, kind, rest = match.groups()
        if kind == "start":
            starts[pid] = CliSeen(arguments=rest.strip(), terminal=True, token=False)
        elif pid in starts:
            starts[pid] = _noted(starts[pid], kind, rest)
    return tuple(starts.values())


def _noted(seen: CliSeen, kind: str, rest: str) -> CliSeen:
    match kind:
        case "no-terminal":
            return replace(seen, terminal=False)
        case "token":
            return replace(seen, token=True)
        case "read" | "prompt" if (kind, rest) != ("prompt", "/login"):
            return replace(seen, read=(*seen.read, rest))
    return seen
