"""The command line, and pytest, without the wait for imports: each call is a forked process.

What is forked has read the modules of ``run`` and the bundled scenarios, and nothing else. It gets
the arguments, directory, variables and standard streams of the call, and ends as
``python -m conformance`` or ``python -m pytest`` does. Tests that send signals, limit what a
process may do, or look at how it starts have to start one themselves.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import io
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import conformance
from conformance.cli import main

PACKAGE_ROOT = os.fspath(Path(conformance.__file__).parents[1])
#: What the process that forks is started with: variables that no test has changed.
_VARIABLES = {**os.environ, "PYTHONPATH": PACKAGE_ROOT, "PYTHONSAFEPATH": "1"}
_NUMBER = struct.Struct("i")


def environment(**more: str) -> dict[str, str]:
    """Return our environment, in which the package is found from any directory, and nothing that lies in that one."""
    return {**os.environ, "PYTHONPATH": PACKAGE_ROOT, "PYTHONSAFEPATH": "1", **more}


def suite(
    directory: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    merged: bool = False,
    errors: str = "strict",
    timeout: float = 300,
    program: str = "conformance",
) -> subprocess.CompletedProcess[str]:
    """Run the command line in *directory*, with nothing to read; *merged*, both of its streams are in ``stdout``.

    The *program* may be ``pytest`` instead.
    """
    out, out_there = os.pipe()
    err, err_there = (None, out_there) if merged else os.pipe()
    request = os.memfd_create("request")
    os.write(
        request,
        json.dumps([program, arguments, os.fspath(directory), dict(env or environment())]).encode(),
    )
    nothing = os.open(os.devnull, os.O_RDONLY)
    server = _server()
    socket.send_fds(server, [b"-"], [nothing, out_there, err_there, request])
    for descriptor in {nothing, out_there, err_there, request}:
        os.close(descriptor)
    with ThreadPoolExecutor(2) as pool:
        texts = [
            pool.submit(_read, descriptor, errors)
            for descriptor in (out, err)
            if descriptor is not None
        ]
        code = _end(server, timeout, arguments)
        stdout, stderr = (*(text.result() for text in texts), "")[:2]
    return subprocess.CompletedProcess(arguments, code, stdout, stderr)


def call(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the command line in this process, for requests that are refused before anything starts, or start nothing."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(directory), redirect_stdout(out), redirect_stderr(err):
        try:
            main([*arguments])
        except SystemExit as e:
            code = e.code or 0
    assert isinstance(code, int)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def _read(descriptor: int, errors: str) -> str:
    with open(descriptor, encoding="utf-8", errors=errors) as stream:
        return stream.read()


def _end(server: socket.socket, timeout: float, arguments: Sequence[str]) -> int:
    """Return the exit status of the process that the *server* has forked, or end it when it is late."""
    server.settimeout(timeout)
    [pid] = _NUMBER.unpack(server.recv(_NUMBER.size))
    try:
        [code] = _NUMBER.unpack(server.recv(_NUMBER.size))
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        server.settimeout(None)
        server.recv(_NUMBER.size)
        raise subprocess.TimeoutExpired(arguments, timeout) from None
    return int(code)


@functools.cache
def _server() -> socket.socket:
    """Return the connection to the process that forks, which ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, __file__, str(theirs.fileno())]
    process = subprocess.Popen(
        words, cwd="/", env=_VARIABLES, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(connection: socket.socket) -> str:
    """Fork for each request that comes through *connection*, and exit at the end of requests.

    Return in what is forked, with the program to be run there.
    """
    while True:
        _, descriptors, *_ = socket.recv_fds(connection, 1, 4)
        if not descriptors:
            sys.exit()
        pid = os.fork()
        if pid == 0:
            connection.close()
            return _become(descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(_NUMBER.pack(pid))
        connection.send(_NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def _become(descriptors: Sequence[int]) -> str:
    """Take on what the last of *descriptors* says, and the others as standard streams; return the program."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # What Python has made of its streams at its start is about others.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
    sys.stderr = open(  # noqa: SIM115 - it stays open
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
    with open(descriptors[3], "rb") as request:
        request.seek(0)
        program, arguments, directory, variables = json.load(request)
    # Set here, since the caller of the tests may ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv[1:] = arguments
    return str(program)


if __name__ == "__main__":
    import importlib
    import pkgutil

    from _pytest.config import default_plugins

    import conformance.catalogue.catalogue
    import conformance.cli

    # All this is read once for all that are forked.
    for plugin in default_plugins:
        importlib.import_module(f"_pytest.{plugin}")
    for command in pkgutil.iter_modules(conformance.cli.__path__):
        importlib.import_module(f"conformance.cli.{command.name}")
    for more in ("conformance.run.session", "conformance.run.fixtures"):
        importlib.import_module(more)
    conformance.catalogue.catalogue.load_catalogue()
    # What is read by now is never garbage: collecting it would copy every page of it in each fork.
    gc.collect()
    gc.freeze()
    if _serve(socket.socket(fileno=int(sys.argv[1]))) == "pytest":
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    conformance.cli.main()
