"""The socket of an engine on another machine, brought here by one connection of ssh.

The connection carries all that a run asks of the engine. A connection for each request, as engines'
own clients make it, would cost as much as a start. It uses the user's own ssh, with all that is
configured there, and never asks a question.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from conformance.drivers.container.engine_name import SshPlace
from conformance.errors import CannotJudge
from conformance.text import one_line

__all__ = ["Tunnel", "short_name"]

#: Seconds until the other machine has to let us in.
SECONDS = 30
#: What the other machine says once it has, since ssh itself says nothing.
_READY = b"probe-conformance"
_OPTIONS = (
    *("-T", "-x", "-a"),  # no terminal, no windows, no keys of the user's
    # An agent or a key without a passphrase: a question that nobody sees would wait for ever.
    *("-o", "BatchMode=yes"),
    *("-o", "ExitOnForwardFailure=yes"),
    # A connection that others share would keep the socket open after us.
    *("-o", "ControlMaster=no", "-o", "ControlPath=none"),
    *("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=2"),
    *("-o", "StreamLocalBindMask=0177"),
)


class Tunnel:
    """A socket here that leads to an engine there, until it is closed or this process ends."""

    def __init__(self, url: str, directory: Path) -> None:
        """Start to connect to the engine at *url*; the socket is made in *directory*.

        :raises CannotJudge: there is no ssh on this machine.
        """
        place = SshPlace.in_url(url)
        program = shutil.which("ssh")
        if program is None:
            cause = f"the engine at {url} is reached with ssh, which is not installed here"
            raise CannotJudge(cause, hint="install OpenSSH's client")
        self._url = url
        self._who = f"{place.user}@{place.host}" if place.user else place.host
        self.socket = directory / f"engine-{os.urandom(4).hex()}"
        """The path of the socket; it may be too long for an address."""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the tunnel
        where = [
            *(("-l", place.user) if place.user else ()),
            *(("-p", place.port) if place.port else ()),
        ]
        self._process = subprocess.Popen(
            [
                program,
                *_OPTIONS,
                *("-o", f"ConnectTimeout={SECONDS}"),
                # Not by its path, which may be too long for an address.
                *("-L", f"/proc/self/cwd/{self.socket.name}:{place.socket}"),
                *where,
                "--",
                place.host,
                # It ends with its input: with us, however we end.
                f"echo {_READY.decode()}; exec cat",
            ],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,  # Ctrl-C is for us: what we have made there is still to go
        )

    def wait(self) -> None:
        """Wait until the socket is there.

        :raises CannotJudge: the other machine does not let us in.
        """
        assert self._process.stdout is not None, "it is a pipe"
        os.set_blocking(self._process.stdout.fileno(), False)
        data, deadline = b"", time.monotonic() + SECONDS
        while _READY not in data:
            with suppress(BlockingIOError):
                data += os.read(self._process.stdout.fileno(), 1024)
            if self._process.poll() is not None or time.monotonic() > deadline:
                hint = f"make 'ssh {self._who} true' work without a question"
                raise CannotJudge(f"no connection to {self._url}: {self._why()}", hint=hint)
            time.sleep(0.01)

    def _why(self) -> str:
        """Return the last line that ssh has said."""
        self._said.seek(0)
        lines = self._said.read().decode(errors="backslashreplace").split("\n")
        said = [one_line(line) for line in lines if line.strip()]
        return said[-1] if said else "the other machine does not answer in time"

    def close(self) -> None:
        """End the connection; the socket goes with it."""
        self._process.terminate()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self.socket.unlink(missing_ok=True)


@contextmanager
def short_name(path: str) -> Iterator[str]:
    """Yield a name for the socket at *path* that fits into an address, whatever the length of it.

    It holds in this process, until the end.
    """
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)
