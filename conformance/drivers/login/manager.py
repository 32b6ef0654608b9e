"""The scripted Manager: an HTTP server that answers as a scenario says, and notes what comes."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from conformance.home import plan
from conformance.model.contract import Requests
from conformance.model.login import Login, ManagerAnswer, RequestName
from conformance.model.login_routes import origin_form, route_of
from conformance.model.login_seen import RequestSeen
from conformance.model.placeholders import Context, expand

__all__ = ["ADDRESSES", "ManagerScript", "ScriptedManager"]

#: Where the Manager listens, and the other host to which it may send a program.
ADDRESSES = ("127.0.0.1", "127.0.0.2")
#: Bytes of a body that are kept; the rest is read and thrown away, up to so many. A long list of
#: files has room in it: what is cut is no JSON.
_KEPT, _MOST = 1024 * 1024, 16 * 1024 * 1024
#: Bytes of all bodies that are kept.
_KEPT_IN_ALL = 32 * 1024 * 1024
#: The most requests that are noted: a program that asks in a loop must not fill a report.
_MOST_REQUESTS = 2000
#: Seconds that a connection may be silent.
_SILENCE = 30.0


class ManagerScript(Struct, frozen=True, kw_only=True):
    """What the Manager is to do."""

    login: Login
    requests: Requests
    context: Context
    base: str
    """The path of the URL that the program is given, without a slash at its end."""
    slot: str
    token: str


class ScriptedManager:
    """Answers on *sockets*, its own and the other host's, until it is closed.

    Programs find the other host at *elsewhere*, by default at the address of the socket.
    """

    def __init__(
        self, script: ManagerScript, sockets: Sequence[socket.socket], elsewhere: str = ""
    ) -> None:
        self.script = script
        self.stopped = threading.Event()
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._seen: list[RequestSeen] = []
        self._room = _KEPT_IN_ALL
        self._counts: Counter[str] = Counter()
        self._urls = 0
        main, other = sockets
        host, port = other.getsockname()
        self.elsewhere = elsewhere or f"http://{host}:{port}"
        # One that refuses keeps its port, so that nobody else gets it in the meantime.
        listening = [other] if script.login.refuses else [main, other]
        self._servers = [_Server(one, self, elsewhere=one is other) for one in listening]
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            for server in self._servers
        ]
        for thread in self._threads:
            thread.start()

    def starts(self) -> None:
        """Count the time of requests from now on."""
        self._started = time.monotonic()

    def close(self) -> tuple[RequestSeen, ...]:
        """Stop answering, and return the requests that came, in order."""
        self.stopped.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
        with self._lock:
            return tuple(sorted(self._seen, key=lambda seen: seen.at))

    @property
    def now(self) -> float:
        """Seconds since the program started."""
        return time.monotonic() - self._started

    def note(self, seen: RequestSeen) -> None:
        """Keep what was *seen* of a request."""
        with self._lock:
            if len(self._seen) < _MOST_REQUESTS:
                seen = replace(seen, body=seen.body[: self._room])
                self._room -= len(seen.body)
                self._seen.append(seen)

    def answer(self, method: str, target: str, token: str | None) -> ManagerAnswer:
        """Return what is answered to a request with this *method*, *target* and *token*."""
        script = self.script
        name = route_of(script.requests, method, target, script.base, script.slot)
        if not name:
            return ManagerAnswer(status=404)
        if token != script.token:
            return ManagerAnswer(status=401)
        with self._lock:
            return self._next(cast(RequestName, name))

    def _next(self, name: RequestName) -> ManagerAnswer:
        answers = self.script.login.manager[name]
        answer = answers[min(self._counts[name], len(answers) - 1)]
        if answer.after_urls > self._urls:
            return ManagerAnswer(status=404)
        self._counts[name] += 1
        if name == "url" and 200 <= answer.status < 300 and not answer.fails:
            self._urls += 1
        return answer

    def body(self, answer: ManagerAnswer) -> bytes:
        """Return the body of an *answer*."""
        script = self.script
        if answer.code is not None or answer.code_null:
            code = expand(answer.code, script.context) if answer.code is not None else None
            return json.dumps({script.requests.code.members["code"]: code}).encode()
        if answer.body is None:
            return b""
        (node,) = plan([answer.body], script.context)
        return b"".join(node.chunks())


class _Server(ThreadingHTTPServer):
    """One address of the Manager."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, one: socket.socket, manager: ScriptedManager, *, elsewhere: bool) -> None:
        super().__init__(one.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = one
        one.listen(64)
        self.manager = manager
        self.elsewhere = elsewhere

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a program may break a connection off whenever it likes."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    timeout = _SILENCE
    disable_nagle_algorithm = True  # head and body are two writes
    server: _Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # whatever the method is
            return self._respond
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so there
        """Say nothing: all that comes is noted."""

    def parse_request(self) -> bool:
        """Note a request that is none, such as one with a blank in its path."""
        at = self.server.manager.now
        if super().parse_request():
            return True
        line = self.raw_requestline.decode("latin-1").strip()
        if line:
            method, _, rest = line.partition(" ")
            path = rest.rpartition(" ")[0] or rest
            self._note(at, method, path, None, b"", 400)
        return False

    def _respond(self) -> None:
        manager, at = self.server.manager, self.server.manager.now
        token = self.headers.get(manager.script.requests.token_header)
        body = self._read_body()
        if self.server.elsewhere:
            answer = ManagerAnswer(status=404)
        else:
            answer = manager.answer(self.command, self.path, token)
        if answer.delay:
            manager.stopped.wait(answer.delay)
        status = 0 if answer.fails else answer.status
        self._note(at, self.command, self.path, token, body, status)
        if answer.fails:
            if answer.fails == "hangs":
                manager.stopped.wait(_SILENCE)
            self.close_connection = True
            return
        self._send(answer)

    def _send(self, answer: ManagerAnswer) -> None:
        manager = self.server.manager
        body = manager.body(answer)
        with suppress(OSError):
            self.send_response(answer.status)
            if answer.redirect:
                there = f"{manager.elsewhere}{origin_form(self.path)}"
                to = answer.redirect.replace("elsewhere", there, 1)
                self.send_header("Location", to)
            if body:
                is_json = answer.code is not None or answer.code_null or body[:1] in b"{["
                kind = "application/json" if is_json else "text/html"
                self.send_header("Content-Type", kind)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def _note(
        self, at: float, method: str, path: str, token: str | None, body: bytes, status: int
    ) -> None:
        secret = self.server.manager.script.token
        head = path + str(getattr(self, "headers", ""))
        self.server.manager.note(
            RequestSeen(
                at=round(at, 3),
                method=method,
                path=path,
                token=token,
                body=body[:_KEPT],
                elsewhere=self.server.elsewhere,
                status=status,
                holds_token=bool(secret) and (secret in head or secret.encode() in body),
            )
        )

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            return b""
        return self.rfile.read(min(int(length), _MOST))

    def _read_chunks(self) -> bytes:
        data = b""
        while len(data) < _MOST:
            size = self.rfile.readline(100).partition(b";")[0].strip()
            if not re.fullmatch(b"[0-9a-fA-F]{1,8}", size) or not int(size, 16):
                break
            data += self.rfile.read(min(int(size, 16), _MOST))
            self.rfile.readline(10)
        while self.rfile.readline(1000).strip():  # what stands behind the last chunk
            pass
        return data
