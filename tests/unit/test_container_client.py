"""Reaching a container engine: where it is looked for, and what is said where there is none."""

from __future__ import annotations

import gc
import hashlib
import http.server
import json
import os
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from docker.errors import APIError
from factories import PATIENCE, image_facts
from support import as_plain_user

from conformance.drivers import Unavailable
from conformance.drivers.container import client, endpoint, facts
from conformance.drivers.container.client import EngineLost, connect, engine_errors
from conformance.drivers.container.endpoint import endpoint_of
from conformance.drivers.container.request import ImageRequest
from conformance.drivers.container.tunnel import Tunnel
from conformance.errors import CannotJudge, UsageError
from conformance.run.assembly import Run, Shared, join_run
from conformance.run.request import RunRequest
from conformance.run.subject import check


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Take away what this machine has to say about engines, but for the sockets in their usual places."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(tmp_path / "no-docker-config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(tmp_path / "no-runtime"))
    yield
    gc.collect()  # the SDK drops sockets that it could not connect: in our time, not in that of another test


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory whose path is short enough for the address of a socket."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


class Engine(socketserver.ThreadingUnixStreamServer):
    """Answers a ping on a socket, and knows its name."""

    daemon_threads = True

    def __init__(
        self, path: Path, name: str = "", *, status: int = 200, answer: bytes = b"OK"
    ) -> None:
        self.path, self.name, self.status, self.answer = path, name, status, answer
        self.asked: list[str] = []
        super().__init__(os.fspath(path), Handler)
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    @property
    def host(self) -> str:
        return f"unix://{self.path}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Engine

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = (
            json.dumps({"Version": self.server.name}).encode()
            if self.path.endswith("/version")
            else self.server.answer
        )
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


Start = Callable[..., Engine]


@pytest.fixture
def start(place: Path) -> Iterator[Start]:
    """Return a function that starts an engine on a socket of that name."""
    made: list[Engine] = []

    def begin(name: str, **options: Any) -> Engine:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        made.append(Engine(place / name, name, **options))
        return made[-1]

    yield begin
    for engine in made:
        engine.shutdown()
        engine.server_close()


def reached(engine: str = "") -> str:
    """Connect, and return the name of the engine that answered."""
    found = connect(engine)
    try:
        return str(found.version()["Version"])
    finally:
        found.close()


def refusal(engine: str = "") -> str:
    with pytest.raises(CannotJudge) as caught:
        connect(engine)
    assert caught.value.exit_status == 3
    assert caught.value.lines() == [str(caught.value)]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def only(monkeypatch: pytest.MonkeyPatch, *sockets: Path | str) -> None:
    """Let none of the usual sockets be there but *sockets*."""
    there = {os.fspath(path) for path in sockets}
    monkeypatch.setattr(
        endpoint, "Path", lambda path: SimpleNamespace(exists=lambda: path in there)
    )


def context(config: Path, name: str, meta: str) -> None:
    """Write docker's own files that make *name* the current context."""
    directory = config / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    directory.mkdir(parents=True)
    (config / "config.json").write_text(json.dumps({"currentContext": name}))
    (directory / "meta.json").write_text(meta)


def meta(name: str, host: str) -> str:
    return json.dumps(
        {
            "Name": name,
            "Metadata": {},
            "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}},
        }
    )


# Where it is looked for


def test_docker_host_names_the_engine(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = start("one.sock")
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    assert reached() == "one.sock"
    assert engine.asked == ["/v1.41/_ping", "/v1.41/version"]


def test_the_current_docker_context_names_the_engine(
    start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context(place / "config", "remote", meta("remote", start("two.sock").host))
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(place / "config"))
    assert reached() == "two.sock"


def test_docker_host_wins_over_the_context(
    start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context(place / "config", "remote", meta("remote", start("two.sock").host))
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(place / "config"))
    monkeypatch.setenv("DOCKER_HOST", start("one.sock").host)
    assert reached() == "one.sock"


def test_an_empty_docker_host_names_nothing(
    start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docker's own command line takes it."""
    context(place / "config", "remote", meta("remote", start("two.sock").host))
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(place / "config"))
    monkeypatch.setenv("DOCKER_HOST", "")
    assert reached() == "two.sock"


def test_docker_context_in_the_environment_wins_over_the_one_in_the_file(
    start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context(place / "config", "mine", meta("mine", start("three.sock").host))
    context(place / "config", "remote", meta("remote", start("two.sock").host))
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(place / "config"))
    monkeypatch.setenv("DOCKER_CONTEXT", "mine")
    assert reached() == "three.sock"


@pytest.mark.parametrize("files", ["podman/podman.sock", "docker.sock"])
def test_the_socket_of_a_rootless_engine_is_used_where_only_that_is_there(
    files: str, start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start(f"runtime/{files}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(place / "runtime"))
    only(monkeypatch, engine.path)
    assert reached() == f"runtime/{files}"


def test_a_rootless_docker_comes_before_podman(
    start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    podman, moby = start("podman/podman.sock"), start("docker.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(place))
    only(monkeypatch, podman.path, moby.path)
    assert reached() == "docker.sock"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"Name": "broken"}',
        '{"Name": "broken", "Metadata": {}, "Endpoints": {"docker": 1}}',
    ],
)
def test_a_broken_context_names_nothing(
    text: str, start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start("podman/podman.sock")
    context(place / "config", "broken", text)
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(place / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(place))
    only(monkeypatch, engine.path)
    assert reached() == "podman/podman.sock"


# Where the user names one


def test_a_name_wins_over_what_the_surroundings_say(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", start("one.sock").host)
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    assert reached(start("two.sock").host) == "two.sock"


def test_a_docker_context_is_found_by_its_name(
    start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context(place / "config", "mine", meta("mine", start("mine.sock").host))
    context(place / "config", "current", meta("current", start("current.sock").host))
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(place / "config"))
    monkeypatch.setenv("DOCKER_HOST", start("host.sock").host)
    assert reached("mine") == "mine.sock"
    assert reached("default") == "host.sock"  # as docker has it
    monkeypatch.delenv("DOCKER_HOST")
    only(monkeypatch, start("podman/podman.sock").path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(place))
    assert reached("default") == "podman/podman.sock"


CONTEXT_HINT = "see 'docker context ls', or give a URL such as ssh://user@host"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no docker context 'mine'"),
        ("{", "docker context 'mine' cannot be read"),
        (meta("mine", "npipe://x"), "docker context 'mine' names no engine that can be reached"),
        (
            '{"Name": "mine", "Metadata": {}, "Endpoints": {"kubernetes": {"Host": "unix:///x"}}}',
            "docker context 'mine' names no",
        ),
    ],
)
def test_a_named_context_that_is_none_is_a_wrong_request(
    text: str | None, message: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        context(place / "config", "mine", text)
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(place / "config"))
    with pytest.raises(UsageError) as caught:
        connect("mine")
    assert caught.value.lines() == [str(caught.value)]
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith(CONTEXT_HINT)


def certificates(directory: Path) -> Path:
    directory.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (directory / name).write_text("")
    return directory


def test_over_tcp_the_certificates_are_those_of_the_surroundings(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert endpoint_of("tcp://host:2375").tls is None
    there = certificates(place / "certs")
    monkeypatch.setenv("DOCKER_CERT_PATH", os.fspath(there))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    tls = endpoint_of("tcp://host:2376").tls
    assert tls is not None
    assert (tls.ca_cert, tls.cert, tls.verify) == (
        f"{there}/ca.pem",
        (f"{there}/cert.pem", f"{there}/key.pem"),
        True,
    )
    assert endpoint_of("unix:///run/docker.sock").tls is None
    (there / "key.pem").unlink()
    with pytest.raises(CannotJudge) as caught:
        endpoint_of("tcp://host:2376")
    assert str(caught.value) == (
        f"no certificates for the engine at tcp://host:2376: {there} lacks cert.pem, key.pem or "
        "ca.pem; look at DOCKER_CERT_PATH and DOCKER_TLS_VERIFY"
    )


def test_over_tcp_the_certificates_of_a_context_are_its_own(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context(place / "config", "remote", meta("remote", "tcp://host:2376"))
    name = hashlib.sha256(b"remote").hexdigest()
    there = certificates(place / "config" / "contexts" / "tls" / name / "docker")
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(place / "config"))
    found = endpoint_of("remote")
    assert found.url == "tcp://host:2376"
    assert found.tls is not None
    assert found.tls.ca_cert == f"{there}/ca.pem"


def test_the_authority_of_an_engine_wins_over_that_of_all_programs(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pipelines name one for all that they download; requests would take it for the engine as well."""
    there = certificates(place / "certs")
    monkeypatch.setenv("DOCKER_CERT_PATH", os.fspath(there))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/all.pem")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    found = client._Client(endpoint_of("tcp://far:2376"))
    sent = found.api.merge_environment_settings(found.api.base_url, {}, None, None, None)
    found.close()
    assert sent["verify"] == f"{there}/ca.pem"
    assert sent["proxies"]["https"] == "http://proxy:3128"


def test_what_tls_says_is_no_matter_of_permissions() -> None:
    """Its errors have numbers, too: 1 is that of a missing permission."""
    wrong = ssl.SSLCertVerificationError(1, "[SSL] certificate verify failed")
    said = client._unreachable(requests.exceptions.SSLError(wrong), "tcp://far:2376", "far")
    assert str(said) == (
        "the container engine at tcp://far:2376 does not answer: [SSL] certificate verify failed; "
        "look at DOCKER_CERT_PATH and DOCKER_TLS_VERIFY, or at its docker context"
    )


def test_contexts_need_no_other_configuration_of_docker(
    start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there only once somebody has logged in, or has switched contexts."""
    context(place / "config", "mine", meta("mine", start("mine.sock").host))
    (place / "config" / "config.json").unlink()
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(place / "config"))
    assert reached("mine") == "mine.sock"
    monkeypatch.setenv("DOCKER_CONTEXT", "mine")
    assert reached() == "mine.sock"


# Where ssh leads to it

#: Does what ssh does, without another machine: the socket there is one here. It notes how it was called.
SSH = """#!/bin/sh
echo "$@" >> "$0.log"
while [ "$1" != -L ]; do shift; done
ln -s "${2#*:}" "${2%%:*}"
echo $$ > "$0.pid"
while [ "$1" != -- ]; do shift; done
shift 2
eval "$1"
"""


@pytest.fixture
def far(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program called ssh before the real one."""
    program = place / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", os.fspath(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return program


def runs(number: int) -> bool:
    """Return whether there is a process with that number."""
    return Path(f"/proc/{number}").exists()


def test_ssh_carries_all_requests_over_one_connection(start: Start, far: Path) -> None:
    engine = start("there.sock")
    client = connect(f"ssh://me@far:2222{engine.path}")
    assert [client.version()["Version"] for _ in range(3)] == ["there.sock"] * 3
    [called] = Path(f"{far}.log").read_text().splitlines()
    assert " -l me -p 2222 -- far " in called
    assert "BatchMode=yes" in called
    before = [path for path in far.parents[1].glob("probe-conformance-*") if path.is_dir()]
    assert len(before) == 1

    client.close()

    assert not runs(int(Path(f"{far}.pid").read_text()))
    assert not before[0].exists()


def test_several_processes_share_a_tunnel_however_long_its_path(
    start: Start, far: Path, place: Path
) -> None:
    directory = place.joinpath(*(["a-directory-with-a-long-name"] * 5))
    directory.mkdir(parents=True)
    url = f"ssh://far{start('there.sock').path}"
    tunnel = Tunnel(url, directory)
    try:
        tunnel.wait()
        for _ in range(2):
            client = connect(url, os.fspath(tunnel.socket))
            assert client.version()["Version"] == "there.sock"
            client.close()
    finally:
        tunnel.close()
    assert list(directory.iterdir()) == []
    assert len(Path(f"{far}.log").read_text().splitlines()) == 1


def test_ssh_ends_with_the_process_that_has_started_it(
    start: Start, far: Path, place: Path
) -> None:
    engine = start("there.sock")
    script = f"from conformance.drivers.container.client import connect; import os; c = connect('ssh://far{engine.path}'); os._exit(9)"
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False, env=os.environ)
    assert done.returncode == 9
    number = int(Path(f"{far}.pid").read_text())
    deadline = time.monotonic() + PATIENCE
    while runs(number) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not runs(number)


def test_what_ssh_says_is_told_in_one_line(far: Path) -> None:
    far.write_text(
        "#!/bin/sh\necho Warning: new key >&2\necho 'me@far: Permission denied.' >&2\nexit 255"
    )
    assert refusal("ssh://me@far") == (
        "no connection to ssh://me@far: me@far: Permission denied.; "
        "make 'ssh me@far true' work without a question"
    )


def test_an_engine_that_is_not_there_behind_ssh(far: Path, place: Path) -> None:
    with socket.socket(
        socket.AF_UNIX
    ) as server:  # as ssh does: the socket is there, and leads nowhere
        server.bind(f"{place}/none.sock")
        server.listen()

        def hang_up() -> None:
            for _ in range(2):  # a trial comes first
                server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        said = refusal(f"ssh://far{place}/none.sock")
    assert said == (
        f"no container engine at {place}/none.sock on far, or no permission on it; "
        "write where it listens, such as ssh://user@host/run/user/1000/docker.sock"
    )


def test_without_ssh_here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(place))
    assert refusal("ssh://far") == (
        "the engine at ssh://far is reached with ssh, which is not installed here; "
        "install OpenSSH's client"
    )


# Where there is none


def test_no_socket_at_all(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place}/none.sock")
    assert (
        refusal()
        == f"no container engine at unix://{place}/none.sock; start docker or podman, or set DOCKER_HOST"
    )


def test_none_in_the_usual_places(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """The first of them is named, where a stock docker would be; one may well be there on the machine of this test."""
    only(monkeypatch)
    asked: list[str] = []

    class Nowhere(socket.socket):
        def connect(self, address: Any) -> None:
            asked.append(address)
            raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(client, "socket", SimpleNamespace(AF_UNIX=socket.AF_UNIX, socket=Nowhere))

    assert (
        refusal()
        == "no container engine at unix:///var/run/docker.sock; start docker or podman, or set DOCKER_HOST"
    )
    assert asked == ["/var/run/docker.sock"]


@pytest.mark.parametrize("name", ["elsewhere", "../elsewhere", "a b"])
def test_a_docker_context_that_does_not_exist(
    name: str, start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who names one does not mean the engine that happens to be here."""
    engine = start("podman/podman.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(place))
    only(monkeypatch, engine.path)
    monkeypatch.setenv("DOCKER_CONTEXT", name)
    assert (
        refusal()
        == f"there is no docker context '{name}'; look at DOCKER_CONTEXT, or set DOCKER_HOST"
    )
    assert engine.asked == []


def test_docker_host_wins_over_a_docker_context_that_does_not_exist(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", start("one.sock").host)
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    assert reached() == "one.sock"


def test_the_docker_context_called_default_is_the_usual_places(
    start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start("podman/podman.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(place))
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    only(monkeypatch, engine.path)
    assert reached() == "podman/podman.sock"


def test_a_socket_that_nobody_listens_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(f"{place}/dead.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place}/dead.sock")
    assert (
        refusal()
        == f"no container engine at unix://{place}/dead.sock; start docker or podman, or set DOCKER_HOST"
    )


def test_a_port_that_nobody_listens_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.socket() as taken
    ):  # bound, and not listening: refused, and nobody else gets it meanwhile
        taken.bind(("127.0.0.1", 0))
        host = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("DOCKER_HOST", host)
        assert (
            refusal()
            == f"no container engine at {host}; start docker or podman, or set DOCKER_HOST"
        )


def test_a_socket_that_is_not_for_us(
    start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start("closed.sock")
    engine.path.chmod(0)
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    message = (
        f"no permission on the engine's socket {engine.host}; "
        "add your user to the socket's group (often docker), or use a rootless engine"
    )

    def work() -> None:
        assert refusal() == message

    as_plain_user(place, work)


def test_a_server_that_is_no_engine(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{place}/ssh.sock")
        server.listen()

        def talk() -> None:
            for _ in range(2):  # a trial comes first
                connection, _ = server.accept()
                with connection, suppress(OSError):
                    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")

        threading.Thread(target=talk, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{place}/ssh.sock")
        said = refusal()
    assert said.startswith(f"the container engine at unix://{place}/ssh.sock does not answer: ")
    assert said.endswith("; look at DOCKER_HOST")


@pytest.mark.parametrize(
    "answer", [b"", b"ok then", b"<html>It works!</html>", b'{"Version": "1"}']
)
def test_a_web_server_that_is_no_engine(
    answer: bytes, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers every request with status 200, but only an engine says OK to a ping."""
    engine = start("web.sock", answer=answer)
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    line = f"the container engine at {engine.host} does not answer: what listens there is not an engine; look at DOCKER_HOST"
    assert refusal() == line


def test_an_engine_that_is_unwell(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = start("ill.sock", status=500, answer=b'{"message": "the daemon\\nis shutting down"}')
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    assert (
        refusal()
        == f"the container engine at {engine.host} does not answer: the daemon is shutting down; look at DOCKER_HOST"
    )


def test_a_server_that_says_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 0.2)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{place}/mute.sock")
        server.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{place}/mute.sock")
        assert "does not answer: " in refusal()


@pytest.mark.parametrize(
    "host", ["nonsense://x", "unix:", "tcp://", "tcp://host:port", "tcp://a b"]
)
def test_an_address_that_is_none(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert host in refusal()


@pytest.mark.parametrize("command", ["run", "repro", "sweep"])
@pytest.mark.slow
def test_a_command_without_an_engine_is_one_line_and_exit_status_3(
    command: str, place: Path
) -> None:
    """And leaves no directory of a run."""
    words = (
        [command] if command == "sweep" else [command, "--image", "agent", "claude/nested-session"]
    )
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *words],
        env={
            **os.environ,
            "DOCKER_HOST": f"unix://{place}/none.sock",
            "XDG_CACHE_HOME": os.fspath(place / "cache"),
        },
        cwd=place,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    line = f"no container engine at unix://{place}/none.sock; start docker or podman, or set DOCKER_HOST"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", f"probe-conformance: {line}\n")
    assert list((place / "cache").rglob("run-*")) == []


# What an engine says later


def refused(status: int, message: str) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("500 Server Error", response=response, explanation=message)


def test_what_an_engine_refuses_is_told_in_its_own_words() -> None:
    with pytest.raises(CannotJudge) as caught, engine_errors("no volume is made"):
        raise refused(500, "no space\nleft on device")
    assert str(caught.value) == "no volume is made: no space left on device"
    assert not isinstance(caught.value, EngineLost)


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError(ConnectionResetError(104, "Connection reset by peer")),
        requests.ReadTimeout("Read timed out."),
        ConnectionRefusedError(111, "Connection refused"),
    ],
)
def test_an_engine_that_is_gone_is_told_as_lost(error: Exception) -> None:
    with pytest.raises(EngineLost) as caught, engine_errors("no volume is made"):
        raise error
    assert str(caught.value).startswith("the container engine was lost: ")
    assert str(caught.value).endswith("; see that it runs, then start again")


def test_an_error_of_ours_is_no_matter_of_the_engine() -> None:
    with pytest.raises(ZeroDivisionError), engine_errors("no volume is made"):
        raise ZeroDivisionError


def test_a_worker_that_finds_no_engine_any_more_says_so_for_every_scenario(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/gone")
    image = ImageRequest(reference="image")
    request = RunRequest(probe=image, cwd=str(tmp_path), patterns=("claude/nested-session",))
    shared = Shared(
        request=request, argv=(), now=0, seed="", directory=str(tmp_path), facts=(image_facts(),)
    )
    opened = Run(check(request), shared, Unavailable("this process does not run it"))
    opened.publish_catalogue()

    joined = join_run(opened.share(), "gw0")
    result = joined.runner.run(*joined.selected)

    assert result.result == "broke"
    assert result.reason.startswith("the container engine was lost: no container engine at unix://")


def test_an_engine_that_goes_while_an_image_is_looked_up_is_no_image_without_a_shell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Gone:
        def ping(self) -> bool:
            raise ConnectionRefusedError(111, "Connection refused")

    def no_keeper(*_: object) -> None:
        raise CannotJudge("the shell in the container has ended")

    monkeypatch.setattr(facts, "VolumeKeeper", no_keeper)
    with pytest.raises(EngineLost):
        facts._with_shell(Gone(), image_facts(), None)  # type: ignore[arg-type]
