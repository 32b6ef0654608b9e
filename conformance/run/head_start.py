"""Start slow scenarios before all others, so that they wait in parallel.

A CLI that hangs costs a right probe its ten seconds, and pytest runs one item after the other. So
the executions of such scenarios start in threads as soon as the selection is known. Their items
come last and only collect what was seen. Under xdist the threads run in the controller, which has
little else to do, and the workers reach it over a socket in the run's directory. Every worker asks
for the start, and the first request counts. So any distribution of the items works, and a lost
worker loses nothing.
"""

from __future__ import annotations

import os
import socket
import socketserver
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.msgpack import Decoder

from conformance.model.outcome import Broke, Execution, not_run
from conformance.model.scenario import Scenario

__all__ = ["HeadStart", "HeadStartClient", "HeadStartServer"]


class _Start(Struct, tag=True):
    scenarios: list[Scenario]
    repeat: int


class _Wait(Struct, tag=True):
    id: str


# msgspec builds what it knows of a type when it first reads one. If two threads do that at the same
# time, the process ends. Requests are read in threads, so the decoder is made here, by one thread.
_REQUEST: Decoder[_Start | _Wait] = Decoder(_Start | _Wait)
_SEEN = Decoder(list[Execution])


class HeadStart:
    """Executions that are running, by the id of their scenario."""

    def __init__(self, observe: Callable[[Scenario, int], Execution], concurrent: int) -> None:
        self._observe = observe
        self._pool = ThreadPoolExecutor(concurrent, thread_name_prefix="early")
        self._lock = threading.Lock()
        self._futures: dict[str, list[Future[Execution]]] = {}

    def start(self, scenarios: list[Scenario], repeat: int) -> None:
        """Start *repeat* executions of each scenario that was not started before."""
        with self._lock:
            for scenario in scenarios:
                if scenario.id not in self._futures:
                    self._futures[scenario.id] = [
                        self._pool.submit(self._observe, scenario, number)
                        for number in range(repeat)
                    ]

    def wait(self, id_: str) -> list[Execution]:
        """Wait for all executions of a scenario that was started; return what was seen."""
        return [future.result() for future in self._futures[id_]]

    def cancel(self) -> None:
        """Start nothing more; closing the driver then ends what still runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def join(self) -> None:
        """Wait until nothing runs any more."""
        self._pool.shutdown(wait=True)


class HeadStartServer:
    """Lets workers use the head starts of this process, over a socket at *path*."""

    def __init__(self, starts: HeadStart, path: Path) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                request = _REQUEST.decode(_receive(self.request))
                if isinstance(request, _Start):
                    starts.start(request.scenarios, request.repeat)
                    _send(self.request, [])
                else:
                    try:
                        seen = starts.wait(request.id)
                    except Exception as e:  # only its message can be sent
                        seen = [not_run(Broke(f"{type(e).__name__}: {e}"))]
                    _send(self.request, seen)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                """Ignore the error: the worker is gone, or sees its connection close."""

        self._server = _at(path, lambda name: Server(name, Handler))
        polling = {"poll_interval": 0.1}
        serve = self._server.serve_forever
        threading.Thread(target=serve, kwargs=polling, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class HeadStartClient:
    """The head starts of the controller, for a worker."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def start(self, scenarios: list[Scenario], repeat: int) -> None:
        """See :meth:`HeadStart.start`."""
        self._ask(_Start(scenarios, repeat))

    def wait(self, id_: str) -> list[Execution]:
        """See :meth:`HeadStart.wait`; without a controller, the execution broke."""
        try:
            return _SEEN.decode(self._ask(_Wait(id_)))
        except (OSError, EOFError, msgspec.DecodeError):
            return [not_run(Broke("the controlling process cannot be reached"))]

    def _ask(self, request: _Start | _Wait) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            _at(self._path, connection.connect)
            _send(connection, request)
            return _receive(connection)

    def cancel(self) -> None:
        """Nothing to end here."""

    def join(self) -> None:
        """Nothing to wait for here."""


def _at(path: Path, use: Callable[[str], Any]) -> Any:
    """Call *use* with a name of *path* that fits into a socket address of about 100 bytes."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return use(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


def _send(connection: socket.socket, message: Any) -> None:
    data = msgspec.msgpack.encode(message)
    connection.sendall(len(data).to_bytes(8, "big") + data)


def _receive(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as file:
        header = file.read(8)
        data = file.read(int.from_bytes(header, "big"))
    if len(header) < 8 or len(data) < int.from_bytes(header, "big"):
        raise EOFError("the other side is gone")
    return data
