"""Run a program that lets somebody log in from an image: its Manager is reached through a relay."""

from __future__ import annotations

import io
import socket
import tarfile
from contextlib import suppress

import docker
from msgspec import Struct
from msgspec.structs import replace

from conformance.drivers.container.client import ENGINE_ERRORS
from conformance.drivers.container.relay import Relay
from conformance.drivers.container.request import ASIDE
from conformance.drivers.container.spec import ContainerSpec
from conformance.drivers.layout import Layout
from conformance.drivers.login.cli_script import NOTES
from conformance.drivers.login.manager import ADDRESSES
from conformance.drivers.login.scripted import ScriptedLogin
from conformance.home import Node
from conformance.model.contract import Contract
from conformance.model.outcome import Execution
from conformance.model.scenario import Scenario

__all__ = ["MODE", "ContainerLogin", "Where"]

#: Tells an image's entrypoint to let somebody log in.
MODE = {"AGENT_MODE": "auth-init"}
#: Where the scripted CLI lies, beside the HOME.
_DIRECTORY = "login"


class Where(Struct, frozen=True):
    """The engine and a container that runs there, over which a relay is made."""

    client: docker.DockerClient
    spec: ContainerSpec
    labels: dict[str, str]


class ContainerLogin:
    """The CLI and the Manager of one login in an image; they are there until it is closed."""

    def __init__(self, where: Where, scenario: Scenario, contract: Contract) -> None:
        """Start the relay.

        :raises Unbuildable: nothing in the image can listen.
        :raises CannotJudge: it does not start.
        """
        assert scenario.login is not None, "only a login has a Manager"
        refuses = scenario.login.refuses
        self._client = where.client
        first, second = socket.socket(), socket.socket()
        for one in (first, second):
            one.bind((ADDRESSES[0], 0))
        spec = replace(where.spec, argv=Relay.argv(refuses=refuses))
        try:
            self._relay = Relay(where.client, spec, where.labels, (first, second), refuses=refuses)
        except BaseException:
            first.close()
            second.close()
            raise
        own, other = self._relay.ports
        self.url = f"http://{ADDRESSES[0]}:{own}"
        """Where the Manager answers, in the container."""
        self.network = f"container:{self._relay.container}"
        """The network that the program has to be in."""
        elsewhere = f"http://{ADDRESSES[1]}:{other}"
        self._scripted = ScriptedLogin(scenario, contract, (first, second), elsewhere)

    def prepare(self, layout: Layout) -> tuple[Layout, list[Node]]:
        """Start the Manager; return the new layout, and what has to lie beside the HOME."""
        layout, nodes = self._scripted.prepare(layout, f"{ASIDE}/{_DIRECTORY}")
        top = _DIRECTORY.encode()
        here = [Node(path=top, kind="directory", mode=0o755, owner=0)]
        here += [replace(node, path=top + b"/" + node.path, owner=0) for node in nodes]
        return layout, here

    def starts(self) -> None:
        """Count the time of requests from now on."""
        self._scripted.starts()

    def seen(self, execution: Execution) -> Execution:
        """Return *execution* with what was seen of the login; nothing is answered any more."""
        return self._scripted.seen(execution, self._notes())

    def _notes(self) -> bytes:
        """Return what the CLI has noted in the volume beside the HOME."""
        with suppress(*ENGINE_ERRORS, tarfile.TarError):
            path = f"{ASIDE}/{_DIRECTORY}/{NOTES}"
            stream, _ = self._client.api.get_archive(self._relay.container, path)
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
                for member in archive:
                    if (file := archive.extractfile(member)) is not None:
                        return file.read()
        return b""

    def close(self) -> None:
        """End the relay, and give up what still listens."""
        self._scripted.close()
        self._relay.close()
