"""What is looked up about an image once per run: none of it can change between two scenarios."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound
from msgspec.structs import replace

from conformance.drivers.container.client import engine_errors
from conformance.drivers.container.keeper import VolumeKeeper
from conformance.drivers.container.labels import Labels
from conformance.drivers.container.request import ASIDE, ImageFacts, ImageRequest
from conformance.errors import CannotJudge, UsageError
from conformance.home import Node, read_tar, write_tar
from conformance.model.agent import AGENT_CLIS

__all__ = ["commit_stubbed", "look_up"]

#: Where agents' CLIs are installed, beside the directories of the image's PATH and some below the HOME.
_PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/opt/claude/bin", "/opt/codex/bin")
_HOME_PLACES = (".local/bin", "bin", ".npm-global/bin", ".claude/local", ".claude/bin", ".codex/bin", ".bun/bin")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: The most that an image may keep in its HOME, in bytes, to be laid under every scenario's home.
_SEED_BYTES = 4 * 1024 * 1024
#: What the engine's machine calls itself, and what images call the same processor.
_SAME = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def look_up(client: docker.DockerClient, request: ImageRequest, labels: Labels, clis: Iterable[str] = AGENT_CLIS) -> ImageFacts:
    """Return what there is to know about the image of *request*; *clis* are the programs that count as agents' own.

    :raises CannotJudge: the image is not there, cannot run here, or its user cannot be told.
    """
    image = _inspect(client, request.reference)
    with engine_errors("the engine does not say what it is"):
        version = client.version()
    config = image.get("Config") or {}
    environment = dict(pair.partition("=")[::2] for pair in config.get("Env") or [])
    environment.setdefault("PATH", _DEFAULT_PATH)
    entrypoint, command = _program(request, config)
    user = request.user or config.get("User") or ""
    with engine_errors(f"image '{request.reference}' cannot be looked into"):
        # Never started: it is only there to be looked into.
        container = client.api.create_container(image["Id"], entrypoint=["/"], user=user, labels=labels.for_scenario())["Id"]
        try:
            uid, gid, home = _identity(client, container, user, environment.get("HOME", ""))
            facts = ImageFacts(
                id=image["Id"],
                digest=next(iter(image.get("RepoDigests") or []), ""),
                engine=_engine(version),
                architecture_warning=_architecture_warning(image.get("Architecture") or "", version.get("Arch") or ""),
                entrypoint=entrypoint,
                command=command,
                environment=environment,
                directory=config.get("WorkingDir") or "/",
                user=user,
                uid=uid,
                gid=gid,
                home=home,
                cli_paths=tuple(_cli_paths(client, container, environment["PATH"], home, clis)),
            )
            facts = _with_seed(client, container, facts)
        finally:
            client.api.remove_container(container, v=True, force=True)
    return _with_shell(client, facts, labels)


def _program(request: ImageRequest, config: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return entrypoint and command; as for engines, another entrypoint sets aside the image's command."""
    entrypoint = config.get("Entrypoint") if request.entrypoint is None else request.entrypoint
    command = request.command
    if command is None:
        command = config.get("Cmd") if request.entrypoint is None else None
    if not entrypoint and not command:
        raise UsageError(f"image '{request.reference}' has neither entrypoint nor command", hint="name one with --entrypoint")
    return tuple(entrypoint or ()), tuple(command or ())


def _architecture_warning(architecture: str, machine: str) -> str:
    machine = _SAME.get(machine, machine)
    if not architecture or not machine or architecture == machine:
        return ""
    return f"the image is for {architecture}, and the engine runs {machine}"


def _inspect(client: docker.DockerClient, reference: str) -> dict[str, Any]:
    try:
        with engine_errors(f"image '{reference}' cannot be looked at"):
            found: dict[str, Any] = client.api.inspect_image(reference)  # type: ignore[no-untyped-call]
            return found
    except CannotJudge as e:
        if isinstance(e.__context__, ImageNotFound | NotFound):
            raise CannotJudge(f"no image '{reference}' on this engine", hint="build it, or pull it, first") from None
        raise


def _engine(version: dict[str, Any]) -> str:
    """Return name and version of the engine; podman says who it is among its components."""
    components = [one.get("Name", "") for one in version.get("Components") or []]
    name = "podman" if any("podman" in one.lower() for one in components) else "docker"
    return f"{name} {version.get('Version', '')}".strip()


def _identity(client: docker.DockerClient, container: str, user: str, home: str) -> tuple[int, int, str]:
    """Return uid, gid and HOME of the user that the image runs as, as the engine will find them."""
    name, _, group = (user or "0").partition(":")
    accounts = [line.split(":") for line in _text(client, container, "/etc/passwd")]
    account = next((a for a in accounts if len(a) >= 6 and name in (a[0], a[2])), None)
    if account is None and not name.isdecimal():
        raise CannotJudge(f"the image has no user '{name}'", hint="name a uid with --user")
    uid, gid = (int(account[2]), int(account[3])) if account is not None else (int(name), 0)
    if group.isdecimal():
        gid = int(group)
    elif group:
        groups = [line.split(":") for line in _text(client, container, "/etc/group")]
        found = next((g for g in groups if len(g) >= 3 and g[0] == group), None)
        if found is None:
            raise CannotJudge(f"the image has no group '{group}'", hint="name a gid with --user")
        gid = int(found[2])
    return uid, gid, home or (account[5] if account is not None else "") or "/"


def _text(client: docker.DockerClient, container: str, path: str) -> list[str]:
    """Return the lines of a file in *container*; none where there is no such file."""
    try:
        stream, _ = client.api.get_archive(container, path)
    except APIError as e:
        if e.status_code == 404:
            return []
        raise
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        member = next(iter(tar), None)
        file = tar.extractfile(member) if member is not None and member.isfile() else None
        return file.read().decode("utf-8", "replace").splitlines() if file is not None else []


def _cli_paths(client: docker.DockerClient, container: str, path: str, home: str, clis: Iterable[str]) -> Iterable[str]:
    """Yield every place where *container* holds an agent's CLI."""
    places = [*(part for part in path.split(":") if part.startswith("/")), *_PLACES]
    places += [f"{home.rstrip('/')}/{place}" for place in _HOME_PLACES]
    for place in dict.fromkeys(part.rstrip("/") for part in places):
        for cli in clis:
            if _exists(client, container, f"{place}/{cli}"):
                yield f"{place}/{cli}"


def _exists(client: docker.DockerClient, container: str, path: str) -> bool:
    """Ask for the status of one path, which the SDK only does together with its whole content."""
    api = client.api
    answer = api.head(
        f"{api.base_url}/v{api.api_version}/containers/{container}/archive", params={"path": path}, timeout=api.timeout
    )
    return answer.status_code == 200


def _with_seed(client: docker.DockerClient, container: str, facts: ImageFacts) -> ImageFacts:
    """Add what the image keeps in its HOME, and move the homes elsewhere where that is too much, or no place for one."""
    elsewhere = f"{ASIDE}-home"
    if facts.home == "/":
        return replace(facts, home=elsewhere, notes=(*facts.notes, f"the user has no HOME of its own: homes lie in {elsewhere}"))
    try:
        stream, _ = client.api.get_archive(container, facts.home)
    except APIError as e:
        if e.status_code == 404:
            return facts
        raise
    data = bytearray()
    for chunk in stream:
        data += chunk
        if len(data) > _SEED_BYTES:
            note = f"the image keeps more than {_SEED_BYTES >> 20} MiB in {facts.home}: homes lie in {elsewhere}"
            return replace(facts, home=elsewhere, notes=(*facts.notes, note))
    return replace(facts, seed=tuple(node for node in read_tar(io.BytesIO(data)) if node.path))


def _with_shell(client: docker.DockerClient, facts: ImageFacts, labels: Labels) -> ImageFacts:
    """Add what work inside its containers can rely on, found by trying."""
    try:
        keeper = VolumeKeeper(client, facts, labels)
    except CannotJudge as e:
        if facts.architecture_warning and "exec format error" in str(e):
            raise CannotJudge(
                facts.architecture_warning, hint="build it for this machine, or use an engine on the other"
            ) from None
        with engine_errors("the engine does not answer"):
            client.ping()  # one that has gone is no property of the image
        return replace(facts, notes=(*facts.notes, f"the image has no shell with tar, head, rm and env in it ({e})"))
    keeper.close()
    return replace(facts, has_shell=True)


def commit_stubbed(client: docker.DockerClient, facts: ImageFacts, labels: Labels) -> ImageFacts:
    """Make an image in which every CLI of *facts*'s own gives way to what lies beside the HOME; return *facts* with its id.

    A layer of links, made once: a container's file can be replaced, but not removed, without running anything in it.

    :raises CannotJudge: the engine refuses.
    """
    if not facts.cli_paths:
        return facts
    links = [
        Node(path=path.lstrip("/").encode(), kind="symlink", mode=0o777, target=f"{ASIDE}/cli/{path.rpartition('/')[2]}".encode())
        for path in facts.cli_paths
    ]
    stream = io.BytesIO()
    write_tar(links, stream)
    with engine_errors("no image with stubs can be made"):
        container = client.api.create_container(facts.id, entrypoint=["/"], labels=labels.for_scenario())["Id"]
        try:
            client.api.put_archive(container, "/", stream.getvalue())
            made = client.api.commit(container, conf={"Labels": labels.of_image()})
        finally:
            client.api.remove_container(container, v=True, force=True)
    return replace(facts, stub_image_id=made["Id"])
