"""One scripted login, wherever the program runs: its CLI, its Manager, and what they saw."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from msgspec.structs import replace

from conformance.drivers.layout import Layout
from conformance.drivers.login.cli_script import CliScript, read_notes
from conformance.drivers.login.manager import ManagerScript, ScriptedManager
from conformance.home import Node
from conformance.model.agent import HEALTHY
from conformance.model.contract import Contract
from conformance.model.login import Remove
from conformance.model.login_routes import base_path
from conformance.model.login_seen import LoginSeen
from conformance.model.outcome import Execution
from conformance.model.scenario import Scenario

__all__ = ["ScriptedLogin"]


class ScriptedLogin:
    """The CLI and the Manager of one login; the latter answers from when it is prepared."""

    def __init__(
        self,
        scenario: Scenario,
        contract: Contract,
        sockets: Sequence[socket.socket],
        elsewhere: str = "",
    ) -> None:
        """Answer on *sockets*, the Manager's and the other host's.

        The program finds the latter at *elsewhere*, if that is not its own address.
        """
        assert scenario.login is not None, "only a login has a Manager"
        assert contract.requests is not None, "only such a contract is about a login"
        self._scenario, self._contract = scenario, contract
        self._login, self._requests = scenario.login, contract.requests
        self._sockets = list(sockets)
        self._elsewhere = elsewhere
        self._manager: ScriptedManager | None = None
        self._seen: LoginSeen | None = None

    def prepare(self, layout: Layout, directory: str) -> tuple[Layout, list[Node]]:
        """Start the Manager; return the new layout, and what has to be put into *directory*."""
        inputs, environment = self._contract.inputs, layout.environment
        slot = environment.get(inputs.slot_id, "")
        token = environment.get(inputs.init_token, "")
        script = CliScript(
            login=self._login,
            agent=self._scenario.agent,
            context=layout.context,
            directory=directory,
            token=token,
        )
        base = base_path(environment.get(inputs.manager_url, ""))
        self._seen = LoginSeen(base=base, slot=slot, token=token)
        told = ManagerScript(
            login=self._login,
            requests=self._requests,
            context=layout.context,
            base=base,
            slot=slot,
            token=token,
        )
        self._manager = ScriptedManager(told, self._sockets, self._elsewhere)
        if self._scenario.cli != HEALTHY:
            return layout, script.nodes()
        path = f"{script.path}:{environment['PATH']}"
        layout = replace(
            layout,
            environment={**environment, "PATH": path},
            writes=(*layout.writes, *script.writes()),
            replaceable=script.writes(),
        )
        return layout, script.nodes()

    def starts(self) -> None:
        """Count the time of requests from now on."""
        assert self._manager is not None, "it is prepared first"
        self._manager.starts()

    def seen(self, execution: Execution, notes: bytes) -> Execution:
        """Return *execution* with what was seen of the login; nothing is answered any more.

        *notes* are what the CLI has noted.
        """
        assert self._manager is not None, "it is prepared first"
        assert self._seen is not None, "it is prepared first"
        login = replace(self._seen, requests=self._manager.close(), cli=read_notes(notes))
        gone = [f"removed {act.path} " for act in self._login.acts if isinstance(act, Remove)]
        changes = (line for line in execution.changes if not line.startswith(tuple(gone)))
        return replace(execution, login=login, changes=tuple(changes))

    def close(self) -> None:
        """Give up what still listens."""
        if self._manager is not None:
            self._manager.close()
        for one in self._sockets:
            one.close()
