"""The command that starts a local probe: a program, a Python callable, or the agent's own CLI."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from conformance.drivers.environment import FIXED
from conformance.drivers.local import callable_host
from conformance.errors import UsageError
from conformance.model.contract import Contract

__all__ = ["SYSTEM_PATH", "from_anywhere", "own_command", "parse_callable", "parse_command"]

#: What the probe finds behind the stubs, unless the user gives another PATH.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def parse_command(command: str, directory: Path, noun: str = "probe") -> tuple[str, ...]:
    """Split *command* like a shell would, and find its program from *directory* or on the PATH.

    *noun* says what the command is. It is also the name of the option.

    :raises UsageError: it cannot be split, or names no program.
    """
    try:
        argv = shlex.split(command)
    except ValueError as e:
        cause = f"--{noun} cannot be split: {str(e).lower()}"
        raise UsageError(cause, hint="quote it like in a shell") from None
    if not argv or not argv[0]:
        raise UsageError(f"--{noun} is empty", hint=f"give a command, such as ./my_{noun}")
    program = str(directory / argv[0]) if "/" in argv[0] else shutil.which(argv[0])
    if program is None or not os.path.exists(program):
        raise UsageError(f"no {noun} '{argv[0]}'", hint="name a program on PATH, or a path to one")
    if os.path.isdir(program) or not os.access(program, os.X_OK):
        hint = f"chmod +x it, or name its interpreter: 'python3 {noun}.py'"
        raise UsageError(f"the {noun} '{argv[0]}' is not executable", hint=hint)
    # '..' stays in the path: behind a link it is another directory.
    return (str(Path(program).absolute()), *argv[1:])


def parse_callable(
    wanted: str, directory: Path, truth: tuple[int, int] | None = None
) -> tuple[str, ...]:
    """Return the command that calls ``MODULE:NAME`` as a probe in a process of its own.

    The search for the module starts in *directory*. *truth* holds the exit codes of true and false.

    :raises UsageError: it is not written like that, or there is nothing to call.
    """
    module, colon, name = wanted.partition(":")
    parts = (*module.split("."), *name.split("."))
    if not colon or not all(part.isidentifier() for part in parts):
        cause = f"'{wanted}' is not a MODULE:NAME"
        raise UsageError(cause, hint="write it like my_package.probe:main")
    command = (sys.executable, "-I", callable_host.__file__, module, name, str(directory))
    looked = subprocess.run(
        [*command, "--look"],
        cwd=directory,
        env={**FIXED, "PATH": SYSTEM_PATH},  # it is no business of this look what lies in a home
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if looked.returncode:
        lines = looked.stderr.decode(errors="replace").strip().splitlines()
        cause = lines[-1] if lines else f"exit status {looked.returncode}"
        if looked.returncode != callable_host.NOTHING_TO_CALL:
            cause = f"module '{module}' cannot be imported: {cause}"
        hint = "modules are searched in the current directory first, then among what is installed"
        raise UsageError(cause, hint=hint)
    return (*command, f"{truth[0]},{truth[1]}") if truth is not None else command


def from_anywhere(argv: tuple[str, ...], directory: Path) -> tuple[str, ...]:
    """Return *argv*, which is right in *directory*, so that it means the same in every other one.

    Names of files become absolute.

    :raises ValueError: a word may depend on the directory in a way that cannot be seen.
    """
    changed = [argv[0]]
    for word in argv[1:]:
        option, _, value = word.partition("=")
        if os.path.isabs(word):
            changed.append(word)
        elif not word.startswith("-") and os.path.lexists(directory / word):
            changed.append(str(directory / word))
        elif option.startswith("-") and not (value and os.path.lexists(directory / value)):
            changed.append(word)
        else:
            raise ValueError(f"'{word}' may depend on the directory that the probe starts in")
    return tuple(changed)


def own_command(contract: Contract, agent: str, path: str) -> tuple[str, ...]:
    """Return the command of the CLI of *agent* that answers as the probe under *contract*.

    Its program is searched on *path*.

    :raises UsageError: there is no such program.
    """
    program, *arguments = contract.commands[agent]
    found = shutil.which(program, path=path)
    if found is None:
        where = f"there is no '{program}' on {path}"
        raise UsageError(
            f"contract '{contract.name}' asks the CLI itself, and {where}",
            hint="install it, and say where with --env PATH=DIRECTORY:…, "
            "or name an image that has it with --image",
        )
    return (os.path.abspath(found), *arguments)
