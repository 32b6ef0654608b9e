"""Probes in Python, forked from processes that have them in memory; safe to use from many threads.

There is a process that has imported the module of a callable, if that can be done once. Another has
imported nothing of the user's; it runs scripts, and callables whose module must be imported anew.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from conformance.drivers.local.supervisor_client import Request, Supervisor
from conformance.drivers.local.view import View
from conformance.errors import CannotJudge
from conformance.model.outcome import Broke, Outcome

__all__ = ["Hosts", "PythonScript", "PythonTarget"]

#: Variables that count when an interpreter starts, and not any more in a fork of one.
_AT_START = ("LANG", "LANGUAGE", "TZ")
_AT_START_PREFIXES = ("LC_", "LD_", "MALLOC_", "GLIBC_")


class PythonTarget(Struct, frozen=True, kw_only=True):
    """A callable as the probe."""

    module: str
    name: str
    directory: str
    """Where the search for the module starts."""
    truth: tuple[int, int] | None = None
    """The exit codes of true and false; None where a truth value is no answer."""

    def wire(self) -> dict[str, Any]:
        """Return what ``hosted.py`` understands."""
        return {
            "kind": "callable",
            "module": self.module,
            "name": self.name,
            "directory": self.directory,
            "truth": self.truth,
        }


class PythonScript(Struct, frozen=True):
    """A script as the probe; it runs as ``python -I FILE`` does."""

    path: str

    def wire(self) -> dict[str, Any]:
        """Return what ``hosted.py`` understands."""
        return {"kind": "script", "path": os.fsencode(self.path)}


class Hosts:
    """The processes that have probes in memory; they write their logs to *directory*.

    *variables* are the same in all scenarios: with these a module is imported once. What lies in
    *own* is not the same in all.
    """

    def __init__(self, directory: Path, own: Path, variables: Mapping[str, str]) -> None:
        self._directory = directory
        self._own = own
        self._variables = dict(variables)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._supervisors: dict[Any, Supervisor] = {}

    def run(self, request: Request) -> Outcome:
        """Run the target of *request* once; see :meth:`Supervisor.run`."""
        start = _at_start(request.env)
        if isinstance(request.target, PythonTarget):
            once = self._once(request.target, request.view, start)
            try:
                facts = once.start()
            except OSError as e:
                return Outcome(ending=Broke(f"the process that imports the module is lost: {e}"))
            if not any(self.differences(request.target, facts, request)):
                return once.run(request)
        return self._supervisor(("anew", start), {}, start).run(request)

    def facts(self, target: PythonTarget, view: View | None) -> dict[str, Any]:
        """Return what the import of the module of *target* has read.

        :raises CannotJudge: the process does not start.
        """
        try:
            facts = self._once(target, view, _at_start(self._variables)).start()
        except OSError as e:
            cause = f"the process that imports {target.module} does not start: {e}"
            raise CannotJudge(cause) from None
        return {name: facts[name] for name in ("anew", "reads", "cwd")}

    def differences(
        self, target: PythonTarget, facts: Mapping[str, Any], request: Request
    ) -> Iterator[str]:
        """Yield why the module cannot be imported once for *request*, after its *facts*."""
        if facts["anew"]:
            yield facts["anew"]
        for name, value in facts["reads"].items():
            if request.env.get(name) != value:
                yield f"reads {name}"
        if facts["cwd"] and request.cwd != target.directory:
            yield "asks for the current directory"

    def _once(
        self, target: PythonTarget, view: View | None, start: tuple[tuple[str, str], ...]
    ) -> Supervisor:
        wanted = {
            "module": target.module,
            "name": target.name,
            "directory": target.directory,
            "own": str(self._own),
            "view": replace(view, lasting="").wire() if view is not None else None,
            "environment": {
                os.fsencode(name): os.fsencode(value)
                for name, value in {**self._variables, **dict(start)}.items()
            },
        }
        key = (target.module, target.name, target.directory, start)
        return self._supervisor(key, wanted, start)

    def _supervisor(
        self, key: Any, hosts: Mapping[str, Any], start: tuple[tuple[str, str], ...]
    ) -> Supervisor:
        with self._lock:
            if key not in self._supervisors:
                log = self._directory / f"hosted-{next(self._numbers)}.log"
                self._supervisors[key] = Supervisor(log, hosts=hosts, env=dict(start))
            return self._supervisors[key]

    def close(self) -> None:
        """End what still runs."""
        with self._lock:
            supervisors = list(self._supervisors.values())
        for supervisor in supervisors:
            supervisor.close()


def _at_start(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return those variables of *env* that count when an interpreter starts."""
    return tuple(
        (name, value)
        for name, value in sorted(env.items())
        if name in _AT_START or name.startswith(_AT_START_PREFIXES)
    )
