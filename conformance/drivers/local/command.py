"""The command that starts a local probe: a program and its arguments, a Python callable, or the CLI itself."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from conformance.drivers.local import callable_host
from conformance.errors import UsageError
from conformance.model.contract import Contract

__all__ = ["SYSTEM_PATH", "own_command", "parse_callable", "parse_command"]

#: What the probe finds behind the stubs, unless the user gives another PATH.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def parse_command(command: str, directory: Path, noun: str = "probe") -> tuple[str, ...]:
    """Split *command* like a shell would, and find its program: from *directory*, or on the caller's PATH.

    *noun* is what the command is, and the option that took it.

    :raises UsageError: it cannot be split, or names no program.
    """
    try:
        words = shlex.split(command)
    except ValueError as e:
        raise UsageError(f"--{noun} cannot be split: {str(e).lower()}", hint="quote it like in a shell") from None
    if not words or not words[0]:
        raise UsageError(f"--{noun} is empty", hint=f"give a command, such as ./my_{noun}")
    program = str(directory / words[0]) if "/" in words[0] else shutil.which(words[0])
    if program is None or not os.path.exists(program):
        raise UsageError(f"no {noun} '{words[0]}'", hint="name a program on PATH, or a path to one")
    if os.path.isdir(program) or not os.access(program, os.X_OK):
        raise UsageError(
            f"the {noun} '{words[0]}' is not executable", hint=f"chmod +x it, or name its interpreter: 'python3 {noun}.py'"
        )
    return (str(Path(program).absolute()), *words[1:])  # '..' stays: behind a link it is another directory


def parse_callable(wanted: str, directory: Path) -> tuple[str, ...]:
    """Return the command that calls ``MODULE:NAME``, looked for from *directory* on, as a probe in a process of its own.

    :raises UsageError: it is not written like that, or there is nothing to call.
    """
    module, colon, name = wanted.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise UsageError(f"'{wanted}' is no MODULE:NAME", hint="write it like my_package.probe:main")
    command = (sys.executable, "-I", callable_host.__file__, module, name)
    looked = subprocess.run([*command, "look"], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if looked.returncode:
        said = looked.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {looked.returncode}"]
        missing = looked.returncode == callable_host.NOTHING_TO_CALL
        cause = said[-1] if missing else f"module '{module}' cannot be imported: {said[-1]}"
        raise UsageError(cause, hint="a module is looked for from the current directory on, and among what is installed")
    return command


def own_command(contract: Contract, agent: str, path: str) -> tuple[str, ...]:
    """Return the command of the CLI of *agent* that answers as the probe under *contract*, its program found on *path*.

    :raises UsageError: there is no such program.
    """
    program, *arguments = contract.commands[agent]
    found = shutil.which(program, path=path)
    if found is None:
        hint = "install it, and say where with --env PATH=DIRECTORY:…, or name an image that has it with --image"
        raise UsageError(f"contract '{contract.name}' asks the CLI itself, and there is no '{program}' on {path}", hint=hint)
    return (os.path.abspath(found), *arguments)
