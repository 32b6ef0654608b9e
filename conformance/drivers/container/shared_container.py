"""Run a program in a container that others have used before, and leave it as it was.

The first process there is a shell that reads lines from us. The root file system is read-only, and
the keeper empties the HOME. This module ends what a probe has left running, and empties the scratch
directories.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

import docker

from conformance.drivers.container.client import engine_errors
from conformance.drivers.container.shell import Reply, Shell, ShellLost
from conformance.drivers.container.spec import SCRATCH, ContainerSpec
from conformance.model.outcome import Exited, Outcome, TimedOut

__all__ = ["SharedContainer"]

#: Seconds that cleaning up may take.
_SECONDS = 30.0
#: What stubs put into the environment of all that they start.
_STUB = "PROBE_CONFORMANCE_STUB="
#: Built-ins of the shell only, so that no process starts when none is left. The shell is process 1.
#: A process that is about to end gets a quarter of a second.
_FUNCTIONS = f"""
left() {{
    found=
    for p in /proc/[0-9]*; do
        [ "$p" != /proc/1 ] && read -r s 2>/dev/null <"$p/stat" || continue
        case ${{s##*) }} in Z*|X*) ;; *) found="$found $p" ;; esac
    done
    [ -n "$found" ]
}}
tidy() {{
    if left; then
        sleep 0.25
        if left; then
            for p in $found; do
                case $(tr '\\0' '\\n' <"$p/environ") in *{_STUB}*) by=CLI ;; *) by=PROBE ;; esac
                name=$(tr '\\0' ' ' <"$p/cmdline")
                # In one piece, since what is left may print at the same time.
                printf '\\nLEFT %s %s\\n' "$by" "$name"
            done
            for n in 1 2 3 4 5 6 7 8 9; do kill -9 -1 2>/dev/null; left || break; sleep 0.05; done
        fi
    fi
    for d in {" ".join((*SCRATCH, "/dev/shm"))}; do
        for e in "$d"/* "$d"/.[!.]* "$d"/..?*; do
            if [ -e "$e" ] || [ -L "$e" ]; then
                [ -L "$e" ] || chmod -R u+rwx "$e"; rm -rf "$e"
            fi
        done
    done 2>/dev/null
    ! left
}}
"""


class SharedContainer:
    """One container, for one probe at a time."""

    def __init__(
        self, client: docker.DockerClient, spec: ContainerSpec, labels: dict[str, str]
    ) -> None:
        self._client = client
        self._shell = Shell(client, spec, labels)
        self._shell.run(_FUNCTIONS.encode(), _SECONDS)

    def unmet(self, script: bytes) -> str:
        """Return what *script*, which tests conditions as the probe's user, finds unmet."""
        return self._shell.run(script, _SECONDS).stdout.decode(errors="backslashreplace").strip()

    def run(
        self, argv: tuple[str, ...], env: Mapping[str, str | None], directory: str, seconds: float
    ) -> Outcome:
        """Run the probe *argv* for at most *seconds*, with *env* beside the image's own variables.

        :raises ShellLost: the container cannot be used any more.
        :raises EngineLost: the engine does not answer any more.
        """
        try:
            reply = self._shell.run(_script(argv, env, directory), seconds)
        except TimeoutError:
            # A lost engine looks the same.
            with engine_errors("the engine does not answer"):
                self._client.ping()
            self.close()
            return Outcome(ending=TimedOut(), seconds=seconds)
        tidied = self._tidy()
        return Outcome(
            ending=Exited(reply.code),
            stdout=reply.stdout,
            stderr=reply.stderr,
            truncated=reply.truncated,
            seconds=reply.seconds,
            left=_left(tidied.stdout, "PROBE"),
            left_by_cli=_left(tidied.stdout, "CLI"),
        )

    def _tidy(self) -> Reply:
        try:
            reply = self._shell.run(b"tidy", _SECONDS)
        except TimeoutError:
            raise ShellLost("what the probe has left in the container cannot be removed") from None
        if reply.code != 0:
            raise ShellLost("what the probe has left running in the container does not end")
        return reply

    def close(self) -> None:
        """Remove the container."""
        self._shell.close()


def _left(output: bytes, by: str) -> tuple[str, ...]:
    """Return the command lines in the *output* of the clean-up of what one *by* that name left.

    Those processes may have printed other lines in the meantime.
    """
    lines = output.decode(errors="backslashreplace").splitlines()
    mark = f"LEFT {by} "
    named = [line.removeprefix(mark).strip() for line in lines if line.startswith(mark)]
    return tuple(name or "a process without a name" for name in named)


def _script(argv: tuple[str, ...], env: Mapping[str, str | None], directory: str) -> bytes:
    """Return the line that runs a probe as the engine would."""
    unset = [name for name, value in env.items() if value is None]
    pairs = [f"{name}={value}" for name, value in env.items() if value is not None]
    command = shlex.join(("env", *pairs, *argv))
    before = f"unset {' '.join(unset)}; " if unset else ""
    return os.fsencode(f"( cd {shlex.quote(directory)} && {before}exec {command} ) </dev/null")
