"""The driver of a probe that runs on this machine: a command, or a Python callable."""

from __future__ import annotations

from pathlib import Path

from conformance.drivers import Driver
from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.hosts import PythonScript, PythonTarget
from conformance.model.contract import Contract
from conformance.run.request import OwnProbe, PythonCallable, RunRequest

__all__ = ["local_driver"]


def local_driver(
    request: RunRequest,
    argv: tuple[str, ...],
    contract: Contract,
    directory: Path,
    *,
    keep: bool = False,
) -> Driver:
    """Return the driver of the probe of *request*, which *argv* starts; it writes to *directory*.

    With *keep*, homes stay, as they do where the request says where.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    target: PythonTarget | PythonScript | None = None
    if contract.in_steps or contract.entrypoint is not None:
        pass  # such a program lives on, or is a shell script, so nothing is forked for one call
    elif isinstance(request.probe, OwnProbe) and argv:
        target = PythonScript(argv[-1])  # it starts faster than the command, and is the same
    elif isinstance(request.probe, PythonCallable):
        module, _, name = request.probe.target.partition(":")
        target = PythonTarget(module=module, name=name, directory=request.cwd)
        if request.probe.in_process:
            # Imported here, because it brings the fake file system.
            from conformance.drivers.in_process.driver import InProcessDriver  # noqa: PLC0415

            return InProcessDriver(target, directory, variables=request.variables)
    return LocalDriver(
        argv,
        directory,
        cwd=Path(request.cwd),
        extra=request.variables,
        keep=keep or bool(request.keep),
        target=target,
    )
