"""Run a program that lets somebody log in, with a scripted CLI and a scripted Manager."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from conformance.drivers.layout import Layout
from conformance.drivers.local.supervisor_client import Supervisor
from conformance.drivers.login.cli_script import CliScript, read_notes
from conformance.drivers.login.manager import ADDRESSES, ManagerScript, ScriptedManager
from conformance.errors import CannotJudge
from conformance.home import build
from conformance.model.agent import HEALTHY
from conformance.model.contract import Contract
from conformance.model.login import Remove
from conformance.model.login_routes import base_path
from conformance.model.login_seen import LoginSeen
from conformance.model.outcome import Execution
from conformance.model.scenario import Scenario

__all__ = ["LocalLogin"]


class LocalLogin:
    """The CLI and the Manager of one login; they are there until it is closed."""

    def __init__(self, supervisor: Supervisor, scenario: Scenario, contract: Contract) -> None:
        """Take a place where the Manager is to answer.

        :raises CannotJudge: nothing can listen in the network of the program.
        """
        assert scenario.login is not None, "only a login has a Manager"
        assert contract.requests is not None, "only such a contract is about a login"
        self._scenario, self._contract = scenario, contract
        self._login, self._requests = scenario.login, contract.requests
        try:
            self._sockets = supervisor.bind(ADDRESSES)
        except OSError as e:
            raise CannotJudge(f"there is no Manager for the program: {e}") from None
        self._notes = Path()
        self._manager: ScriptedManager | None = None
        self._seen: LoginSeen | None = None

    @property
    def url(self) -> str:
        """Where the Manager answers."""
        host, port = self._sockets[0].getsockname()
        return f"http://{host}:{port}"

    def place(self, layout: Layout, directory: Path) -> Layout:
        """Put the scripted CLI into *directory*, and start the Manager; return the new layout."""
        inputs, environment = self._contract.inputs, layout.environment
        slot = environment.get(inputs.slot_id, "")
        token = environment.get(inputs.init_token, "")
        script = CliScript(
            login=self._login,
            agent=self._scenario.agent,
            context=layout.context,
            directory=str(directory),
            token=token,
        )
        build(script.nodes(), directory)
        self._notes = Path(script.notes)
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
        self._manager = ScriptedManager(told, self._sockets)
        if self._scenario.cli != HEALTHY:
            return layout
        path = f"{script.path}:{environment['PATH']}"
        return replace(
            layout,
            environment={**environment, "PATH": path},
            writes=(*layout.writes, *script.writes()),
            replaceable=script.writes(),
        )

    def starts(self) -> None:
        """Count the time of requests from now on."""
        assert self._manager is not None, "it is placed first"
        self._manager.starts()

    def seen(self, execution: Execution) -> Execution:
        """Return *execution* with what was seen of the login; nothing is answered any more."""
        assert self._manager is not None, "it is placed first"
        assert self._seen is not None, "it is placed first"
        notes = self._notes.read_bytes() if self._notes.exists() else b""
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
