"""Connections to the loopback interface of a container, carried over its standard streams.

A relay is a container of the image, in whose network another one runs. A small program in it, in a
language that the image has, listens there for the Manager and for another host, and carries each
connection as frames: four bytes with a number, even for the Manager and odd for the other host,
four bytes with a length, and so many bytes; none of them say that a side has ended.
"""

from __future__ import annotations

import shlex
import socket
import struct
import threading
import time
from contextlib import suppress

import docker

from conformance.drivers.container.client import ENGINE_ERRORS, engine_errors
from conformance.drivers.container.spec import ContainerSpec
from conformance.drivers.container.streams import Attached
from conformance.errors import CannotJudge
from conformance.home.build import Unbuildable

__all__ = ["Relay"]

#: Seconds for its start, and for all of its life.
_START, _LIFE = 60.0, 600.0
_HEAD = struct.Struct(">II")

_PYTHON = """
import os, select, socket, struct, sys
listening = [socket.socket(), socket.socket()]
for one, host in zip(listening, ("127.0.0.1", "127.0.0.2")):
    one.bind((host, 0))
answering = listening[1 if sys.argv[1] == "refuse" else 0:]
for one in answering:
    one.listen(64)
os.write(1, b"%d %d\\n" % tuple(one.getsockname()[1] for one in listening))
open_, number, buffer = {}, 0, b""
def tell(key, data):
    message = struct.pack(">II", key, len(data)) + data
    while message:
        message = message[os.write(1, message):]
while True:
    for one in select.select([0, *answering, *open_.values()], [], [])[0]:
        if one == 0:
            data = os.read(0, 65536)
            if not data:
                sys.exit()
            buffer += data
            while len(buffer) >= 8 and len(buffer) >= 8 + struct.unpack(">I", buffer[4:8])[0]:
                key, size = struct.unpack(">II", buffer[:8])
                data, buffer = buffer[8:8 + size], buffer[8 + size:]
                if key in open_:
                    try:
                        open_[key].sendall(data) if data else open_.pop(key).close()
                    except OSError:
                        open_.pop(key).close()
        elif one in listening:
            number += 2
            open_[number + listening.index(one)] = one.accept()[0]
            tell(number + listening.index(one), b"")
        else:
            for key in [key for key, other in open_.items() if other is one]:
                try:
                    data = one.recv(65536)
                except OSError:
                    data = b""
                tell(key, data)
                if not data:
                    open_.pop(key).close()
"""
_NODE = """
const net = require("net");
const open = new Map();
let number = 0, buffer = Buffer.alloc(0);
const tell = (key, data) => {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(key, 0);
  head.writeUInt32BE(data.length, 4);
  process.stdout.write(Buffer.concat([head, data]));
};
const none = Buffer.alloc(0);
const servers = ["127.0.0.1", "127.0.0.2"].map((host, index) => net.createServer((one) => {
  const key = (number += 2) + index;
  open.set(key, one);
  tell(key, none);
  one.on("data", (data) => tell(key, data));
  one.on("close", () => open.delete(key) && tell(key, none));
  one.on("error", () => {});
}));
servers[0].listen(0, "127.0.0.1", () => servers[1].listen(0, "127.0.0.2", () => {
  const ports = servers.map((one) => one.address().port);
  const ready = () => process.stdout.write(`${ports.join(" ")}\\n`);
  process.argv[1] === "refuse" ? servers[0].close(ready) : ready();
}));
process.stdin.on("end", () => process.exit());
process.stdin.on("data", (data) => {
  buffer = Buffer.concat([buffer, data]);
  while (buffer.length >= 8 && buffer.length >= 8 + buffer.readUInt32BE(4)) {
    const key = buffer.readUInt32BE(0), size = buffer.readUInt32BE(4);
    const one = open.get(key), part = buffer.subarray(8, 8 + size);
    buffer = buffer.subarray(8 + size);
    if (one && size) one.write(part);
    if (one && !size) { open.delete(key); one.end(); }
  }
});
"""
#: Who can listen, in the order in which they are looked for, and how each gets its program.
_LISTENERS = (("python3", "-c", _PYTHON), ("node", "-e", _NODE))


def _script(mode: str) -> str:
    """Return a shell script that becomes whichever of them is there."""
    lines = [
        f"command -v {name} >/dev/null && exec {name} {option} {shlex.quote(program)} {mode}"
        for name, option, program in _LISTENERS
    ]
    return "\n".join([*lines, "echo none"])


class Relay:
    """A container whose loopback interface leads to two sockets here that listen."""

    def __init__(
        self,
        client: docker.DockerClient,
        spec: ContainerSpec,
        labels: dict[str, str],
        sockets: tuple[socket.socket, socket.socket],
        *,
        refuses: bool = False,
    ) -> None:
        """Start it; with *refuses*, nobody listens at the first address.

        :raises Unbuildable: nothing in the image can listen.
        :raises CannotJudge: it does not start.
        """
        self._client = client
        self._to = [one.getsockname() for one in sockets]
        self._connections: dict[int, socket.socket] = {}
        self._sending = threading.Lock()
        self.container = spec.create(client, labels, stdin=True)
        try:
            with engine_errors("no relay starts for the Manager"):
                self._attached = Attached(client, self.container, stdin=True)
                client.api.start(self.container)
            self._frames = self._attached.frames(time.monotonic() + _LIFE)
            line = self._line()
        except BaseException:
            self.close()
            raise
        if line == "none":
            self.close()
            names = " or ".join(name for name, *_ in _LISTENERS)
            raise Unbuildable(f"nothing in the image can listen for a Manager: no {names}")
        self.ports = tuple(int(word) for word in line.split())
        """Where it listens: the Manager's port, and the other host's."""
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    @classmethod
    def argv(cls, *, refuses: bool) -> tuple[str, ...]:
        """Return what the container has to run."""
        return ("sh", "-c", _script("refuse" if refuses else "listen"))

    def _line(self) -> str:
        """Return the first line that the program prints.

        :raises CannotJudge: there is none.
        """
        data, said = b"", b""
        deadline = time.monotonic() + _START
        for number, chunk in self._attached.frames(deadline):
            data, said = (data + chunk, said) if number == 1 else (data, said + chunk)
            if b"\n" in data:
                return data.decode().strip()
        why = said.decode(errors="backslashreplace").strip().splitlines()
        raise CannotJudge(f"no relay starts for the Manager: {why[-1] if why else 'it ends'}")

    def _carry(self) -> None:
        """Carry what comes from the container, until it is gone."""
        buffer = b""
        with suppress(TimeoutError, OSError):
            for number, chunk in self._frames:
                if number != 1:
                    continue
                buffer += chunk
                while len(buffer) >= _HEAD.size:
                    key, size = _HEAD.unpack_from(buffer)
                    if len(buffer) < _HEAD.size + size:
                        break
                    data = buffer[_HEAD.size : _HEAD.size + size]
                    buffer = buffer[_HEAD.size + size :]
                    self._take(key, data)

    def _take(self, key: int, data: bytes) -> None:
        """Take *data* of one connection; the first time there is none, which opens it."""
        one = self._connections.get(key)
        if one is None:
            if data:
                return  # it has been closed here
            with suppress(OSError):
                one = socket.create_connection(self._to[key % 2])
                self._connections[key] = one
                threading.Thread(target=self._answer, args=(key, one), daemon=True).start()
            return
        with suppress(OSError):
            one.sendall(data) if data else one.shutdown(socket.SHUT_WR)

    def _answer(self, key: int, one: socket.socket) -> None:
        """Carry what the Manager says on one connection."""
        data = b"."
        while data:
            try:
                data = one.recv(65536)
            except OSError:
                data = b""
            with self._sending, suppress(ConnectionError, TimeoutError):
                deadline = time.monotonic() + _START
                self._attached.send(_HEAD.pack(key, len(data)) + data, deadline)
        one.close()

    def close(self) -> None:
        """End it, and the connections that it carries."""
        with suppress(AttributeError):  # it was never attached to
            self._attached.close()
        for one in list(self._connections.values()):
            one.close()
        with suppress(*ENGINE_ERRORS):
            self._client.api.remove_container(self.container, v=True, force=True)
