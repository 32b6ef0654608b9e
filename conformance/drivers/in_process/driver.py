"""Call a Python function as the probe, with homes in a fake file system and a clock that is set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from conformance.bundled import fixtures_dir, scenarios_dir
from conformance.drivers.environment import FIXED
from conformance.drivers.in_process import host
from conformance.drivers.in_process.stage import unsupported
from conformance.drivers.local.hosts import PythonTarget
from conformance.drivers.local.supervisor_client import Request, Supervisor
from conformance.drivers.local.view import ViewMaker, paths_in
from conformance.errors import CannotJudge
from conformance.model.agent import AGENT_CLIS
from conformance.model.contract import Contract
from conformance.model.outcome import Broke, Execution, Outcome, Unsupported, not_run
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["InProcessDriver"]

#: So many calls without a fork may be in vain before it is asked whether they are worth it.
_IN_VAIN = 5


class _Call(Struct, frozen=True, kw_only=True):
    """One call of the function in the home of a scenario: what ``host.py`` understands."""

    target: PythonTarget
    scenario: Scenario
    contract: bytes
    context: Context
    variables: dict[str, str]
    direct: tuple[int, ...] = ()
    """The exit codes with which a call in the process itself is enough; none for a fork."""
    hide: bool
    """Whether what a probe must not see may be hidden from the process that lays homes as well."""

    def wire(self) -> dict[str, Any]:
        """Return what that program understands."""
        return {
            **self.target.wire(),
            "scenario": msgspec.msgpack.encode(self.scenario),
            "contract": self.contract,
            "context": msgspec.msgpack.encode(self.context),
            "variables": self.variables,
            "direct": self.direct,
            "hide": self.hide,
        }


class InProcessDriver:
    """Calls *target* in forks of a process that has it in memory; logs lie in *directory*.

    *variables* are in the environment of every call.
    """

    def __init__(
        self, target: PythonTarget, directory: Path, *, variables: Mapping[str, str]
    ) -> None:
        self._target = target
        self._variables = dict(variables)
        self._views = ViewMaker(directory / "view", directory)
        self._contracts: dict[str, bytes] = {}
        self._tried = self._in_vain = 0
        """Calls without a fork, and those of them that have decided nothing."""
        # Layers of a scenario of somebody's own may lie where others must not look.
        self._supervisors = {hide: self._supervisor(directory, hide=hide) for hide in (True, False)}

    def _supervisor(self, directory: Path, *, hide: bool) -> Supervisor:
        target, environment = self._target, {**FIXED, **self._variables}
        return Supervisor(
            directory / f"in-process-{'bundled' if hide else 'own'}.log",
            program=host.__file__,
            hosts={
                "module": target.module,
                "name": target.name,
                "directory": target.directory,
                "own": str(directory),
                "view": None,
                "environment": {
                    os.fsencode(name): os.fsencode(value) for name, value in environment.items()
                },
            },
            env=FIXED,
        )

    def describe(self) -> dict[str, Any]:
        """Return the function and what isolates it."""
        facts = self._started()
        return {
            "kind": "callable",
            "command": [],
            "callable": f"{self._target.module}:{self._target.name}",
            "isolation": "fake file system, clock set",
            "network": "refused",
            "capabilities": "of a pretended user",
            "temporary_directories": "fake",
            "inherited": "",
            "imported": {
                "anew": facts["anew"],
                "reads": sorted(facts["reads"]),
                "cwd": facts["cwd"],
            },
        }

    def _started(self) -> dict[str, Any]:
        try:
            return self._supervisors[True].start()
        except OSError as e:
            cause = f"the process that imports {self._target.module} does not start: {e}"
            raise CannotJudge(cause) from None

    def execute(
        self, scenario: Scenario, contract: Contract, context: Context, number: int = 0
    ) -> Execution:
        """See :class:`~conformance.drivers.Driver`."""
        if why := unsupported(scenario, contract):
            return not_run(Unsupported(why))
        try:
            shared = self._started()["mounts"]
        except CannotJudge as e:
            return not_run(Broke(str(e)))
        call = _Call(
            target=replace(self._target, truth=contract.truth),
            scenario=scenario,
            contract=self._encoded(contract),
            context=context,
            variables=self._variables,
            hide=scenario.file.startswith(f"{scenarios_dir()}/"),
        )
        request = Request(
            argv=(self._target.module,),
            env=FIXED,
            cwd="/",
            seconds=contract.limits.seconds,
            view=None if shared else self._view(contract),
            target=call,
        )
        codes = scenario.codes(contract) if number == 0 and contract.document is None else ()
        outcome = self._run(request, call, sorted(codes))
        return Execution(outcome=outcome, changes=outcome.changes, asked=outcome.asked)

    def _run(self, request: Request, call: _Call, conforming: Sequence[int]) -> Outcome:
        """Run the *call*: without a fork if it then ends with a *conforming* code, else in one."""
        supervisor = self._supervisors[call.hide]
        if conforming and self._is_worth_trying():
            direct = replace(request, target=replace(call, direct=tuple(conforming)))
            outcome = supervisor.run(direct)
            self._tried += 1
            if not isinstance(outcome.ending, Broke):
                return outcome
            self._in_vain += 1
        return supervisor.run(request)

    def _is_worth_trying(self) -> bool:
        """Return whether calls without a fork mostly decide something, as far as is known."""
        return self._in_vain < _IN_VAIN or 2 * self._in_vain < self._tried

    def _encoded(self, contract: Contract) -> bytes:
        if contract.name not in self._contracts:
            self._contracts[contract.name] = msgspec.msgpack.encode(contract)
        return self._contracts[contract.name]

    def _view(self, contract: Contract) -> Any:
        """Return the view that hides the homes of whoever runs the suite, should anything leak."""
        argv = (host.__file__, self._target.directory, str(scenarios_dir()), str(fixtures_dir()))
        paths = frozenset(paths_in(self._variables.values()))
        clis = tuple(sorted({*AGENT_CLIS, *contract.agents}))
        return self._views.view(argv, "/", paths, agents=clis, clis=clis)

    def close(self) -> None:
        """End what still runs."""
        for supervisor in self._supervisors.values():
            supervisor.close()
