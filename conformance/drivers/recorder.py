"""Stubs in place of what an entrypoint may start: each records how it was called, and ends."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from conformance.home import Node
from conformance.model.entrypoint import SHELL
from conformance.model.start import HELP, VERSION, Called

__all__ = ["SHELL_STUB", "STATE", "calls_in", "recorder_nodes"]

#: The stub that a shell is told to start, and the directory of the CLIs in the state of a scenario.
#: No program that an entrypoint starts has such a name.
SHELL_STUB, STATE = ".shell", ".state"

#: The tool whose calls show what mode a file had before.
_CHMOD = "chmod"

#: Built from what every small system has. The environment and the arguments are those the kernel
#: knows, so that nothing of the shell's own is among them. Each call has a directory of its own.
_RECORD = """#!/bin/sh
(
    PATH=/usr/local/bin:/usr/bin:/bin
    umask 022
    n=1
    until mkdir {records}/$n 2>/dev/null; do
        n=$((n + 1))
        [ $n -lt 1000 ] || exit 1
    done
    cd {records}/$n || exit 1
    printf '%s\\0' "$0" "$@" >arguments
    cat /proc/$$/environ >environment
    readlink /proc/$$/cwd >directory
    [ -s {seed} ] && ls -ldn {seed} >seed
    : >{kind}
) 2>/dev/null
"""
_PROGRAM = """case ${{1-}} in
    {version}) [ -x {state} ] && exec {state} "$@" ;;
    {help}) exit 0 ;;
esac
exit {code}
"""
_TOOL = """for directory in /usr/local/bin /usr/bin /bin; do
    [ -x "$directory/{name}" ] && exec "$directory/{name}" "$@"
done
echo "{name}: not found" >&2
exit 127
"""
#: A file that never holds anything.
_NO_SEED = "/dev/null"


def recorder_nodes(
    names: Iterable[str], *, records: str, seed: str, directory: str, code: int
) -> list[Node]:
    """Return the nodes of a directory of stubs with these *names*, which lies at *directory*.

    They write below *records*, tell the mode of the file *seed* at that moment, and end with the
    exit *code*. A CLI that is asked for its version answers as the program of its name in
    ``STATE`` does; one that is asked how it is used ends with 0.
    """
    quoted = {"records": shlex.quote(records), "seed": shlex.quote(seed or _NO_SEED)}
    program = _RECORD.format(**quoted, kind="program")
    nodes = []
    for name in sorted({*names, SHELL_STUB}):
        state = shlex.quote(f"{directory}/{STATE}/{name}")
        questions = {"version": " | ".join(VERSION), "help": " | ".join(HELP)}
        own = _PROGRAM.format(state=state, code=code, **questions)
        nodes.append(_script(name, program + own))
    tool = _RECORD.format(**quoted, kind="tool") + _TOOL.format(name=_CHMOD)
    return [*nodes, _script(_CHMOD, tool)]


def _script(name: str, text: str) -> Node:
    return Node(path=name.encode(), kind="file", mode=0o755, pieces=((text.encode(), 1),))


def calls_in(files: Mapping[str, bytes], directory: str, after: int = 0) -> list[Called]:
    """Return the calls that *files* record, by their paths below the records, in order.

    A program is named without the *directory* of the stubs. The first ones are left out, as many as
    *after* says.
    """
    numbers = {int(path.partition("/")[0]) for path in files if path[:1].isdigit()}
    found = []
    for number in sorted(numbers)[after:]:
        own = {name: files.get(f"{number}/{name}", b"") for name in ("arguments", "environment")}
        where = files.get(f"{number}/directory", b"").decode(errors="replace").rstrip("\n")
        found.append(
            Called(
                argv=_argv(_words(own["arguments"]), directory),
                environment=dict(word.partition("=")[::2] for word in _words(own["environment"])),
                directory=where,
                open_seed=_open(files.get(f"{number}/seed", b"")),
                helper=f"{number}/tool" in files,
            )
        )
    return found


def _argv(words: list[str], directory: str) -> tuple[str, ...]:
    """Return a command as contracts write it."""
    if not words:  # the stub was ended while it wrote
        return ("",)
    program = words[0].removeprefix(f"{directory}/")
    return (SHELL if program == SHELL_STUB else program, *words[1:])


def _words(data: bytes) -> list[str]:
    return [word.decode("utf-8", "backslashreplace") for word in data.split(b"\0")[:-1]]


def _open(listed: bytes) -> str:
    """Return the permissions in a line of ``ls``, if they let others than the owner read."""
    mode = listed.decode(errors="replace")[:10]
    readable = mode.startswith("-") and ("r" in mode[4:])
    return mode if readable else ""
