"""Images of our own: the reference image, the same with the released CLIs, and a base made without a registry."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import docker
from docker.errors import APIError, ImageNotFound
from docker.utils import match_tag, parse_repository_tag

from conformance import __version__
from conformance.bundled import fixtures_dir
from conformance.drivers.container.client import engine_errors, message
from conformance.errors import CannotJudge, UsageError
from conformance.images.packages import packages, pinned
from conformance.text import one_line

__all__ = ["DEBIAN_MIRROR", "DEBIAN_SUITE", "DEFAULT_BASE", "LABEL", "Flavour", "build", "debian_base", "default_tag"]

Flavour = Literal["stubs", "real-clis"]

DEFAULT_BASE = "python:3.13-slim"
DEBIAN_SUITE = "bookworm"
DEBIAN_MIRROR = "http://deb.debian.org/debian"  # its Release file is signed: plain HTTP needs no certificates

#: Says of an image that it was made here, and what it is: a flavour, or "base". Containers made from it inherit it.
LABEL = "probe-conformance.image"

#: What the reference image is made of, below the fixtures.
REFERENCE = (
    "images/reference/Dockerfile",
    "images/reference/entrypoint.sh",
    "images/reference/stub-cli.sh",
    "probes/preflight.py",
    "probes/slot.py",
)

#: No package without a signature that holds, and only those that a base needs.
DEBOOTSTRAP_OPTIONS = ("--force-check-gpg", "--variant=minbase", "--include=python3")

#: What a base of Debian packages does without: files of the moment, and those that no program reads.
LEFT_OUT = re.compile(r"\./((dev|proc|run|sys|tmp|var/cache/apt|var/lib/apt/lists|var/log)/|usr/share/(doc|info|locale|man)/)")

#: Lines of a build that say what the engine does, and not what went wrong.
CHATTER = re.compile(r"(Step \d|--->|Removing intermediate|Successfully )")


def _quiet(_line: str) -> None:
    pass


def default_tag(flavour: Flavour = "stubs") -> str:
    """Return what the image of *flavour* is called when nobody gives a name."""
    name = "reference" if flavour == "stubs" else f"reference-{flavour}"
    return f"probe-conformance/{name}:{__version__.replace('+', '-')}"


def build(
    client: docker.DockerClient,
    *,
    flavour: Flavour = "stubs",
    base: str = DEFAULT_BASE,
    tag: str = "",
    out: Callable[[str], None] = _quiet,
) -> str:
    """Build the reference image from *base*, which is pulled where the engine has not got it; return the image's tag.

    The flavour ``real-clis`` has the released CLIs from npm in place of the stubs. *out* is told of each step.

    :raises UsageError: *base* or *tag* cannot be parsed.
    :raises CannotJudge: the base or a CLI cannot be had, the build fails, or the engine refuses.
    """
    tag = tag or default_tag(flavour)
    if not match_tag(tag):
        raise UsageError(f"'{tag}' is no name for an image", hint="give NAME or NAME:TAG, in lower case")
    with _at_work(client):
        if not _exists(client, base):
            _pull(client, base, out)
        fixtures = fixtures_dir()
        dockerfile, *_ = REFERENCE
        files = {name: fixtures / name for name in REFERENCE}
        if flavour == "stubs":
            _build(client, files, dockerfile, base, flavour, out, tag)
            return tag
        with tempfile.TemporaryDirectory(prefix="probe-conformance-") as place:
            archives = archives_for(client.api.version()["Arch"], Path(place), out)
            reference = _build(client, files, dockerfile, base, "stubs", out)
            directory = fixtures / "images" / flavour
            _build(client, {"Dockerfile": directory / "Dockerfile", **archives}, "Dockerfile", reference, flavour, out, tag)
    return tag


def debian_base(
    client: docker.DockerClient,
    *,
    suite: str = DEBIAN_SUITE,
    mirror: str = DEBIAN_MIRROR,
    out: Callable[[str], None] = _quiet,
) -> str:
    """Return the tag of a base image made of Debian packages; it is made where the engine has not got it yet.

    That takes root, debootstrap, a mirror within reach, and about a minute.

    :raises UsageError: *suite* or *mirror* cannot be one.
    :raises CannotJudge: something it takes is not there, or the engine refuses.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", suite):
        raise UsageError(f"'{suite}' is no suite of Debian", hint=f"give its name, such as {DEBIAN_SUITE}")
    if not re.match(r"(https?|file)://", mirror):
        raise UsageError(f"'{mirror}' is no mirror of Debian", hint=f"give its address, such as {DEBIAN_MIRROR}")
    tag = f"probe-conformance/base:{suite}"
    with _at_work(client):
        if found := _exists(client, tag):
            if (found["Config"].get("Labels") or {}).get(LABEL) != "base":
                raise CannotJudge(
                    f"the image {tag} was not made by us", hint=f"give it another name, or use it with --base {tag}"
                )
            return tag
        with tempfile.TemporaryDirectory(prefix="probe-conformance-") as place:
            root = Path(place, "root")
            _debootstrap(suite, mirror, root, out)
            archive = Path(place, "root.tar")
            with tarfile.open(archive, "w") as tar:
                # Times stay as they are: Python compares those of its modules with what it has compiled.
                tar.add(root, ".", filter=lambda entry: None if LEFT_OUT.match(entry.name) else entry)
            out(f"importing {tag}")
            _import(client, archive, tag)
    return tag


def _debootstrap(suite: str, mirror: str, root: Path, out: Callable[[str], None]) -> None:
    instead = "give another base with --base"
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # the PATH of a plain user's sudo may lack them
    if not shutil.which("debootstrap", path=path):
        hint = f"apt-get install debootstrap debian-archive-keyring, or {instead}"
        raise CannotJudge("a base of Debian packages takes debootstrap, which is not there", hint=hint)
    if os.geteuid() != 0:
        raise CannotJudge("a base of Debian packages takes root, for debootstrap", hint=f"run it with sudo, or {instead}")
    out(f"making a base of Debian {suite} from {mirror}: takes about a minute")
    done = subprocess.run(
        # In a mount namespace of its own: what it mounts below the directory goes with it, and cannot be removed with it.
        ["unshare", "--mount", "debootstrap", *DEBOOTSTRAP_OPTIONS, suite, os.fspath(root), mirror],
        env={**os.environ, "PATH": path},
        umask=0o022,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()] or [f"exit status {done.returncode}"]
        why = next((line for line in reversed(lines) if line.startswith("E: ")), lines[-1])
        raise CannotJudge(f"debootstrap failed: {one_line(why.removeprefix('E: '))}", hint=f"look at --mirror, or {instead}")


@contextmanager
def _at_work(client: docker.DockerClient) -> Iterator[None]:
    """Let the engine take its time: it is silent while it unpacks. What fails on this side is an error of ours."""
    seconds, client.api.timeout = client.api.timeout, 600
    try:
        yield
    except OSError as e:
        raise CannotJudge(f"the image cannot be made: {one_line(str(e))}") from None
    finally:
        client.api.timeout = seconds


@engine_errors("the engine does not take the base image")
def _import(client: docker.DockerClient, archive: Path, tag: str) -> None:
    repository, name = parse_repository_tag(tag)
    changes = [f"LABEL {LABEL}=base"]
    said = client.api.import_image(os.fspath(archive), repository, name, changes=changes, stream_src=True)
    if not _exists(client, tag):
        raise CannotJudge(f"the engine does not take the base image: {one_line(str(said))}")


@engine_errors("the engine does not say which images it has")
def _exists(client: docker.DockerClient, reference: str) -> dict[str, Any] | None:
    """Return what the engine knows of the image *reference*, None where it has not got it."""
    try:
        found = client.images.get(reference).attrs
    except ImageNotFound:
        return None
    except APIError as e:
        if "invalid reference" in message(e):
            raise UsageError(f"'{reference}' is no reference of an image", hint="give NAME, NAME:TAG or NAME@DIGEST") from None
        raise
    return found


@engine_errors("the engine does not pull")
def _pull(client: docker.DockerClient, base: str, out: Callable[[str], None]) -> None:
    out(f"pulling {base}")
    repository, tag = parse_repository_tag(base)
    hint = "name another with --base, or make one of Debian packages with --debian"
    try:
        steps = list(client.api.pull(repository, tag or "latest", stream=True, decode=True))
        wrong = next((one_line(said["error"]) for said in steps if "error" in said), "")
    except APIError as e:
        wrong = message(e)
    if wrong:
        raise CannotJudge(f"the base image {base} cannot be pulled: {wrong}", hint=hint)


def _build(
    client: docker.DockerClient,
    files: Mapping[str, Path],
    dockerfile: str,
    base: str,
    flavour: Flavour,
    out: Callable[[str], None],
    tag: str = "",
) -> str:
    """Build the *dockerfile* among *files* from *base*; return the image's id. No step of it gets a network."""
    with tempfile.TemporaryFile() as context:
        _pack(context, files)
        with engine_errors(f"the build on {base} failed"):
            steps = client.api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=dockerfile,
                buildargs={"BASE": base},
                tag=tag or None,
                labels={LABEL: flavour},
                network_mode="none",
                rm=True,
                forcerm=True,
                decode=True,
            )
            return _follow(steps, base, out)


def _pack(context: Any, files: Mapping[str, Path]) -> None:
    """Write *files* as a tar stream that says nothing of when, where and by whom it was made."""
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, path in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = path.stat().st_size
            entry.mode = 0o755 if path.suffix in (".sh", ".py") else 0o644
            with path.open("rb") as file:
                tar.addfile(entry, file)
    context.seek(0)


def _follow(steps: Iterable[dict[str, Any]], base: str, out: Callable[[str], None]) -> str:
    """Read what a build says until its end; return the image's id."""
    built = last = wrong = ""
    for said in steps:  # to the very end, even after an error: the connection is closed there
        for line in filter(None, map(one_line, said.get("stream", "").splitlines())):
            if line.startswith("Step "):
                out(line)
            if done := re.match(r"Successfully built (\w+)", line):
                built = built or done[1]  # all that some engines say of it
            last = "" if CHATTER.match(line) else line
        if "error" in said:
            wrong = last or one_line(said["error"])
        built = said.get("aux", {}).get("ID", built)
    if wrong:
        raise CannotJudge(f"the build on {base} failed: {wrong}", hint="the base needs python3, sh, sed, and glibc for real CLIs")
    return built


def archives_for(arch: str, place: Path, out: Callable[[str], None]) -> dict[str, Path]:
    """Download the packages of the released CLIs for *arch* to *place*; return the archives by the names the build expects."""
    archives = {}
    for cli, package in packages(arch).items():
        out(f"downloading {package.name} {package.version}")
        archives[f"{cli}.tgz"] = pinned(package, place)
    return archives
