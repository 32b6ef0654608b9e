"""A second container engine on this machine, for tests and benches of several."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import docker
from factories import PATIENCE

from conformance.drivers.container.client import connect
from conformance.errors import CannotJudge


class SecondEngine:
    """An engine beside the one that is here, which shares nothing with it but the kernel."""

    def __init__(self) -> None:
        # In a directory whose path is short enough for the address of a socket.
        self._directory = Path(tempfile.mkdtemp(prefix="conformance-engine-"))
        self.name = f"unix://{self._directory}/socket"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> docker.DockerClient:
        """Start it, and return a client."""
        there = self._directory
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        words = [f"--{option}={there / name}" for option, name in places.items()]
        # It makes no network: containers of the suite have none. An engine without a bridge removes the one that it finds,
        # which is that of the other engine: so it looks into a network of its own.
        apart = ("--bridge", "none", "--iptables=false", "--ip6tables=false")
        with (there / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--net", "dockerd", "--host", self.name, *words, *apart],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return connect(self.name)
            except CannotJudge as e:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    said = (there / "log").read_text()[-2000:]
                    raise AssertionError(f"no second engine starts: {e}\n{said}") from None
            time.sleep(0.1)

    def __enter__(self) -> SecondEngine:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self.end()
        shutil.rmtree(self._directory, ignore_errors=True)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, by a signal; what is below it goes with it."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE)
            (self._directory / "pid").unlink(missing_ok=True)
