"""Run a program that lets somebody log in on this machine: its Manager is in its network."""

from __future__ import annotations

from pathlib import Path

from conformance.drivers.layout import Layout
from conformance.drivers.local.supervisor_client import Supervisor
from conformance.drivers.login.cli_script import NOTES
from conformance.drivers.login.manager import ADDRESSES
from conformance.drivers.login.scripted import ScriptedLogin
from conformance.errors import CannotJudge
from conformance.home import build
from conformance.model.contract import Contract
from conformance.model.outcome import Execution
from conformance.model.scenario import Scenario

__all__ = ["LocalLogin"]


class LocalLogin:
    """The CLI and the Manager of one login; they are there until it is closed."""

    def __init__(self, supervisor: Supervisor, scenario: Scenario, contract: Contract) -> None:
        """Take a place where the Manager is to answer.

        :raises CannotJudge: nothing can listen in the network of the program.
        """
        try:
            sockets = supervisor.bind(ADDRESSES)
        except OSError as e:
            raise CannotJudge(f"there is no Manager for the program: {e}") from None
        host, port = sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        """Where the Manager answers."""
        self._scripted = ScriptedLogin(scenario, contract, sockets)
        self._notes = Path()

    def place(self, layout: Layout, directory: Path) -> Layout:
        """Put the scripted CLI into *directory*, and start the Manager; return the new layout."""
        layout, nodes = self._scripted.prepare(layout, str(directory))
        build(nodes, directory)
        self._notes = directory / NOTES
        return layout

    def starts(self) -> None:
        """Count the time of requests from now on."""
        self._scripted.starts()

    def seen(self, execution: Execution) -> Execution:
        """Return *execution* with what was seen of the login; nothing is answered any more."""
        return self._scripted.seen(execution, self._notes.read_bytes())

    def close(self) -> None:
        """Give up what still listens."""
        self._scripted.close()
