"""A real HOME that only a container engine can reach is read, and the engine is left as it was."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.errors import APIError
from support_image import Images, busybox

from conformance.drivers.container.found_home import container_home, volume_home
from conformance.drivers.container.labels import RUN
from conformance.errors import CannotJudge
from conformance.home import Node, write_tar
from conformance.home.reading import read_home
from conformance.home.seen import SeenHome

LOGIN = b'{"claudeAiOauth": {}}'
NODES = [
    Node(path=b".claude", kind="symlink", mode=0o777, target=b"/home/agent/store"),
    Node(path=b"store", kind="directory", mode=0o750),
    Node(path=b"store/.credentials.json", kind="file", mode=0o640, pieces=((LOGIN, 1),)),
    Node(path=b"store/shut", kind="directory", mode=0, owner=0),
    Node(path=b"store/shut/\xff", kind="fifo", mode=0o600),
]


def expected(home: SeenHome) -> None:
    """Compare *home* with the nodes."""
    assert {path: (node.kind, node.uid) for path, node in home.nodes.items() if path} == {
        node.path: (node.kind, 1234 if node.owner is None else node.owner) for node in NODES
    }
    assert home.nodes[b"store/.credentials.json"].content == LOGIN
    assert home.nodes[b"store/.credentials.json"].mode == 0o640


def put(client: docker.DockerClient, container: str, path: str) -> None:
    """Put the nodes into a directory of a container."""
    stream = io.BytesIO()
    write_tar(NODES, stream, uid=1234, gid=1234)
    client.api.put_archive(container, path, stream.getvalue())


def made_by(client: docker.DockerClient, name: str) -> list[str]:
    """Return what is on the engine that was made by whoever looked under this *name*."""
    label = {"label": f"{RUN}={name}"}
    containers = client.api.containers(all=True, filters=label)
    images = [*client.api.images(filters=label), *client.api.images(name=name)]
    return [found["Id"] for found in (*containers, *images)]


@pytest.fixture
def image(engine: docker.DockerClient) -> Iterator[str]:
    """An image whose HOME is said by its account, or by its environment."""
    account = b"agent:x:1234:1234::/home/agent:/bin/sh\n"
    with Images(engine, "") as images:
        yield images.of({"bin/sh": busybox(), "etc/passwd": account, "home/agent/x": b""})


@pytest.fixture
def volume(engine: docker.DockerClient) -> Iterator[str]:
    name = f"conformance-test-{secrets.token_hex(4)}"
    engine.api.create_volume(name)
    yield name
    engine.api.remove_volume(name, force=True)


@pytest.mark.parametrize("runs", [False, True])
def test_a_home_in_a_container(engine: docker.DockerClient, image: str, *, runs: bool) -> None:
    """By default it is that of the container's user, whether the container runs or not."""
    made = engine.api.create_container(
        image, ["sh", "-c", "read x"], user="agent", environment={"X": "y"}, stdin_open=True
    )
    try:
        put(engine, made["Id"], "/home/agent")
        if runs:
            engine.api.start(made["Id"])

        found = read_home(container_home(made["Id"]))
        elsewhere = read_home(container_home(made["Id"], "/home", at="/data"))

        assert found.path == "/home/agent"
        assert found.seen.nodes[b"x"].kind == "file"
        assert found.seen.nodes[b"store/.credentials.json"].content == LOGIN
        assert found.seen.nodes[b"store/.credentials.json"].uid == 1234
        assert elsewhere.path == "/data"
        assert elsewhere.seen.nodes[b"agent/.claude"].kind == "symlink"
        with pytest.raises(CannotJudge, match="has no directory /none; name another one as NAME:"):
            read_home(container_home(made["Id"], "/none"))
        with pytest.raises(CannotJudge, match="has no directory /home/agent/x; name another"):
            read_home(container_home(made["Id"], "/home/agent/x"))
    finally:
        engine.api.remove_container(made["Id"], force=True)


def test_the_environment_of_a_container_names_its_home(
    engine: docker.DockerClient, image: str
) -> None:
    made = engine.api.create_container(image, ["sh"], user="agent", environment={"HOME": "/home"})
    try:
        found = read_home(container_home(made["Id"]))
    finally:
        engine.api.remove_container(made["Id"], force=True)

    assert (found.path, b"agent/x" in found.seen.nodes) == ("/home", True)


def test_a_home_in_a_volume(
    engine: docker.DockerClient, image: str, volume: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read while a container works in it, and nothing is left, whether that went well or not."""
    monkeypatch.setattr(secrets, "token_hex", lambda _: volume)
    name = f"probe-conformance-look-{volume}"
    seen: list[str] = []
    archive = docker.APIClient.get_archive

    def watched(*args: Any, **options: Any) -> Any:
        seen.extend(made_by(engine, name))
        return archive(*args, **options)

    monkeypatch.setattr(docker.APIClient, "get_archive", watched)
    config = engine.api.create_host_config(binds=[f"{volume}:/home/agent:nocopy"])
    made = engine.api.create_container(
        image, ["sh", "-c", "read x"], host_config=config, stdin_open=True
    )
    try:
        put(engine, made["Id"], "/home/agent")
        engine.api.start(made["Id"])
        found = read_home(volume_home(volume, at="/home/agent"))

        expected(found.seen)
        assert found.path == "/home/agent"
        inner = read_home(volume_home(volume, "store/")).seen
        assert inner.nodes[b".credentials.json"].size == len(LOGIN)
        with pytest.raises(CannotJudge, match=f"volume '{volume}' has no directory /none; name"):
            read_home(volume_home(volume, "none"))
        assert seen  # so what was made would have been found
        assert made_by(engine, name) == []
    finally:
        engine.api.remove_container(made["Id"], force=True)


def test_an_empty_volume_stays_empty(engine: docker.DockerClient, volume: str) -> None:
    """It is a HOME in which nobody has done anything."""
    assert list(read_home(volume_home(volume)).seen.nodes) == [b""]


@pytest.mark.parametrize(
    ("look", "what"),
    [(container_home, "container 'conformance-none'"), (volume_home, "volume 'conformance-none'")],
)
def test_what_is_not_there_is_said_and_not_made(
    engine: docker.DockerClient, look: Any, what: str
) -> None:
    with pytest.raises(CannotJudge, match=f"^no {what} on this engine; docker "):
        look("conformance-none")
    with pytest.raises(APIError):
        engine.api.inspect_volume("conformance-none")


def test_an_engine_that_ends_meanwhile_is_no_fault_of_the_home(
    engine: docker.DockerClient, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine.api.create_container(image, ["sh"])["Id"]

    def lost(*_: object, **__: object) -> Any:
        def chunks() -> Iterator[bytes]:
            yield b""
            raise ConnectionResetError(104, "Connection reset by peer")

        return chunks(), {}

    try:
        home = container_home(made, "/home")
        monkeypatch.setattr(docker.APIClient, "get_archive", lost)
        with pytest.raises(CannotJudge, match="Connection reset by peer"):
            read_home(home)
    finally:
        engine.api.remove_container(made, force=True)


def test_a_home_that_is_all_of_a_container(engine: docker.DockerClient, image: str) -> None:
    """``HOME=/`` is what a uid without an account gets."""
    made = engine.api.create_container(image, ["sh"], user="4321")["Id"]
    try:
        found = read_home(container_home(made))
    finally:
        engine.api.remove_container(made, force=True)

    assert found.path == "/"
    assert b"home/agent/x" in found.seen.nodes


def test_the_engine_does_not_hand_out_half_a_home_as_a_whole_one(
    engine: docker.DockerClient, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine.api.create_container(image, ["sh"])["Id"]
    whole = docker.APIClient.get_archive

    def half(*args: Any, **options: Any) -> Any:
        chunks, status = whole(*args, **options)
        return iter([b"".join(chunks)[:1024]]), status

    try:
        monkeypatch.setattr(docker.APIClient, "get_archive", half)
        with pytest.raises(CannotJudge, match=r"is not a whole tar archive.*see that the engine"):
            read_home(container_home(made, "/home"))
    finally:
        engine.api.remove_container(made, force=True)
