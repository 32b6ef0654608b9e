"""What is looked up about an image once per run. None of it can change between two scenarios."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound
from msgspec.structs import replace

from conformance.drivers.container.client import engine_errors
from conformance.drivers.container.engine_name import fits, normal_processor
from conformance.drivers.container.keeper import VolumeKeeper
from conformance.drivers.container.labels import Labels
from conformance.drivers.container.request import (
    ASIDE,
    OTHER_ARCHITECTURE,
    ImageFacts,
    ImageRequest,
)
from conformance.errors import CannotJudge, UsageError
from conformance.home import Node, read_tar, write_tar
from conformance.model.agent import AGENT_CLIS

__all__ = [
    "check_alike",
    "commit_stubbed",
    "engine_name",
    "exists",
    "identity",
    "look_up",
    "never_started",
]

#: Where agents' CLIs are installed, beside the image's PATH and some directories below the HOME.
_PLACES = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/opt/claude/bin",
    "/opt/codex/bin",
)
_HOME_PLACES = (
    ".local/bin",
    "bin",
    ".npm-global/bin",
    ".claude/local",
    ".claude/bin",
    ".codex/bin",
    ".bun/bin",
)
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: The most bytes in an image's HOME that are put under every scenario's home.
_SEED_BYTES = 4 * 1024 * 1024


def look_up(
    client: docker.DockerClient,
    request: ImageRequest,
    labels: Labels,
    clis: Iterable[str] = AGENT_CLIS,
) -> ImageFacts:
    """Return the facts about the image of *request*; *clis* are programs that count as agents'.

    :raises CannotJudge: the image is not there, cannot run here, or its user is unknown.
    """
    started = time.monotonic()
    image = _inspect(client, request.reference)
    platform = _platform(image)
    if request.platform and not fits(platform, request.platform):
        cause = f"image '{request.reference}' on this engine is for {platform}"
        raise CannotJudge(cause, hint=f"build or pull it for {request.platform} there")
    with engine_errors("the engine does not say what it is"):
        version = client.version()
    config = image.get("Config") or {}
    environment = dict(pair.partition("=")[::2] for pair in config.get("Env") or [])
    environment.setdefault("PATH", _DEFAULT_PATH)
    entrypoint, command = _program(request, config)
    user = request.user or config.get("User") or ""
    with (
        engine_errors(f"image '{request.reference}' cannot be looked into"),
        never_started(client, image["Id"], labels, user) as container,
    ):
        uid, gid, home = identity(client, container, user, environment.get("HOME", ""))
        facts = ImageFacts(
            id=image["Id"],
            digest=next(iter(image.get("RepoDigests") or []), ""),
            repo_digests=tuple(image.get("RepoDigests") or ()),
            platform=platform,
            engine=engine_name(version),
            architecture_warning=_architecture_warning(image, version),
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
    facts = _with_shell(client, facts, labels)
    return replace(facts, took=time.monotonic() - started)


@contextmanager
def never_started(
    client: docker.DockerClient, image: str, labels: Labels, user: str | None = None
) -> Iterator[str]:
    """Make a container to look into or to copy files to; yield its id, and remove it afterwards.

    By default its *user* is that of the *image*.
    """
    made = client.api.create_container(
        image, entrypoint=["/"], user=user, labels=labels.for_scenario()
    )
    try:
        yield made["Id"]
    finally:
        client.api.remove_container(made["Id"], v=True, force=True)


def _program(
    request: ImageRequest, config: dict[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return entrypoint and command; as in engines, a new entrypoint drops the image's command."""
    entrypoint = config.get("Entrypoint") if request.entrypoint is None else request.entrypoint
    command = request.command
    if command is None:
        command = config.get("Cmd") if request.entrypoint is None else None
    if not entrypoint and not command:
        raise UsageError(
            f"image '{request.reference}' has neither entrypoint nor command",
            hint="name one with --entrypoint",
        )
    return tuple(entrypoint or ()), tuple(command or ())


def _platform(image: dict[str, Any]) -> str:
    parts = (image.get("Os"), image.get("Architecture"), image.get("Variant"))
    return "/".join(part for part in parts if part)


def _architecture_warning(image: dict[str, Any], version: dict[str, Any]) -> str:
    architecture = image.get("Architecture") or ""
    machine = normal_processor(version.get("Arch") or "")
    if not architecture or not machine or architecture == machine:
        return ""
    return f"the image is for {architecture}, and the engine runs {machine}"


def _inspect(client: docker.DockerClient, reference: str) -> dict[str, Any]:
    try:
        with engine_errors(f"image '{reference}' cannot be looked at"):
            inspect: Callable[[str], dict[str, Any]] = client.api.inspect_image
            return inspect(reference)
    except CannotJudge as e:
        if isinstance(e.__context__, ImageNotFound | NotFound):
            cause = f"no image '{reference}' on this engine"
            raise CannotJudge(cause, hint="build it, or pull it, first") from None
        raise


def check_alike(reference: str, engines: Sequence[ImageFacts]) -> None:
    """Refuse engines on which the name *reference* stands for different images.

    :raises CannotJudge: two of them do not have the same one.
    """
    first = engines[0]
    for other in engines[1:]:
        places = f"{first.name} and {other.name}"
        if first.platform != other.platform:
            both = f"{first.platform} and {other.platform}"
            hint = "say with --platform which one is meant"
            raise CannotJudge(f"'{reference}' is for {both} on {places}", hint=hint)
        # Engines that keep images as registries do call them by another id.
        if first.id != other.id and not first.digests & other.digests:
            hint = "name it by its digest, or copy it with docker save and docker load"
            raise CannotJudge(f"'{reference}' is not the same image on {places}", hint=hint)


def engine_name(version: dict[str, Any]) -> str:
    """Return name and version of the engine; podman names itself among its components."""
    components = [part.get("Name", "").lower() for part in version.get("Components") or []]
    name = "podman" if any("podman" in component for component in components) else "docker"
    return f"{name} {version.get('Version', '')}".strip()


def identity(
    client: docker.DockerClient, container: str, user: str, home: str
) -> tuple[int, int, str]:
    """Return uid, gid and HOME of the user that the image runs as, as the engine finds them.

    *home* is the HOME that the image's environment sets, if it does.
    """
    name, _, group = (user or "0").partition(":")
    uid, gid, account_home = _account(client, container, name)
    if group:
        gid = _gid(client, container, group)
    return uid, gid, home or account_home or "/"


def _account(client: docker.DockerClient, container: str, name: str) -> tuple[int, int, str]:
    """Return uid, gid and home directory of the user *name*, which may be a uid of no account."""
    for line in _text(client, container, "/etc/passwd"):
        fields = line.split(":")
        if len(fields) >= 6 and name in (fields[0], fields[2]):
            return int(fields[2]), int(fields[3]), fields[5]
    if not name.isdecimal():
        raise CannotJudge(f"the image has no user '{name}'", hint="name a uid with --user")
    return int(name), 0, ""


def _gid(client: docker.DockerClient, container: str, group: str) -> int:
    """Return the gid of *group*, a name or a gid."""
    if group.isdecimal():
        return int(group)
    for line in _text(client, container, "/etc/group"):
        fields = line.split(":")
        if len(fields) >= 3 and fields[0] == group:
            return int(fields[2])
    raise CannotJudge(f"the image has no group '{group}'", hint="name a gid with --user")


def _text(client: docker.DockerClient, container: str, path: str) -> list[str]:
    """Return the lines of a file in *container*; none if there is no such file."""
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


def _cli_paths(
    client: docker.DockerClient, container: str, path: str, home: str, clis: Iterable[str]
) -> Iterable[str]:
    """Yield every path in *container* of an agent's CLI."""
    places = [*(part for part in path.split(":") if part.startswith("/")), *_PLACES]
    places += [f"{home.rstrip('/')}/{place}" for place in _HOME_PLACES]
    in_place = [cli for cli in clis if cli.startswith("/")]
    # A volume lies over what is in the HOME.
    outside = [path for path in in_place if not path.startswith(f"{home.rstrip('/')}/")]
    yield from (path for path in outside if exists(client, container, path))
    for place in dict.fromkeys(part.rstrip("/") for part in places):
        for cli in (cli for cli in clis if cli not in in_place):
            if exists(client, container, f"{place}/{cli}"):
                yield f"{place}/{cli}"


def exists(client: docker.DockerClient, container: str, path: str) -> bool:
    """Return whether *path* exists; the SDK tells that only together with the whole content."""
    api = client.api
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
    answer = api.head(url, params={"path": path}, timeout=api.timeout)
    return answer.status_code == 200


def _with_seed(client: docker.DockerClient, container: str, facts: ImageFacts) -> ImageFacts:
    """Return *facts* with the files in the image's HOME.

    If there are too many, or the HOME is the root directory, the homes move elsewhere.
    """
    elsewhere = f"{ASIDE}-home"
    if facts.home == "/":
        note = f"the user has no HOME of its own: homes lie in {elsewhere}"
        return replace(facts, home=elsewhere, notes=(*facts.notes, note))
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
            size = f"more than {_SEED_BYTES >> 20} MiB"
            note = f"the image keeps {size} in {facts.home}: homes lie in {elsewhere}"
            return replace(facts, home=elsewhere, notes=(*facts.notes, note))
    return replace(facts, seed=tuple(node for node in read_tar(io.BytesIO(data)) if node.path))


def _with_shell(client: docker.DockerClient, facts: ImageFacts, labels: Labels) -> ImageFacts:
    """Return *facts* with what work inside the containers can rely on, found by trying."""
    try:
        keeper = VolumeKeeper(client, facts, labels)
    except CannotJudge as e:
        if facts.architecture_warning and "exec format error" in str(e):
            raise CannotJudge(facts.architecture_warning, hint=OTHER_ARCHITECTURE) from None
        with engine_errors("the engine does not answer"):
            client.ping()  # an engine that is gone says nothing about the image
        note = f"the image has no shell with tar, head, rm and env in it ({e})"
        return replace(facts, notes=(*facts.notes, note))
    keeper.close()
    return replace(facts, has_shell=True)


def commit_stubbed(client: docker.DockerClient, facts: ImageFacts, labels: Labels) -> ImageFacts:
    """Make an image whose own CLIs are links to the stubs aside; return *facts* with its id.

    The layer of links is made once. Without running anything in a container, its files can be
    replaced, but not removed.

    :raises CannotJudge: the engine refuses.
    """
    if not facts.cli_paths:
        return facts
    links = [
        Node(
            path=path.lstrip("/").encode(),
            kind="symlink",
            mode=0o777,
            target=f"{ASIDE}/cli/{path.rpartition('/')[2]}".encode(),
        )
        for path in facts.cli_paths
    ]
    stream = io.BytesIO()
    write_tar(links, stream)
    with (
        engine_errors("no image with stubs can be made"),
        never_started(client, facts.id, labels) as container,
    ):
        client.api.put_archive(container, "/", stream.getvalue())
        made = client.api.commit(container, conf={"Labels": labels.of_image()})
    return replace(facts, stub_image_id=made["Id"])
