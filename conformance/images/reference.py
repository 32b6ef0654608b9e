"""Our own images: the reference image, with stubs or real CLIs, and a base of Debian packages."""

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

__all__ = [
    "DEBIAN_MIRROR",
    "DEBIAN_SUITE",
    "DEFAULT_BASE",
    "LABEL",
    "Flavour",
    "build",
    "copy",
    "debian_base",
    "default_tag",
]

Flavour = Literal["stubs", "real-clis"]

DEFAULT_BASE = "python:3.13-slim"
DEBIAN_SUITE = "bookworm"
#: Its Release file is signed, and plain HTTP needs no certificates.
DEBIAN_MIRROR = "http://deb.debian.org/debian"

#: Marks an image that was made here: a flavour, or "base". Its containers inherit the label.
LABEL = "probe-conformance.image"

#: The files of the reference image, below the fixtures; the Dockerfile comes first.
REFERENCE = (
    "images/reference/Dockerfile",
    "images/reference/stub-cli.sh",
    "probes/entrypoint.sh",
    "probes/preflight.py",
    "probes/run_result.py",
    "probes/auth_init.py",
    "probes/slot.py",
)

#: Only packages with a valid signature, and only those that a base needs.
DEBOOTSTRAP_OPTIONS = ("--force-check-gpg", "--variant=minbase", "--include=python3")

#: Left out of a base of Debian packages: temporary files, and those that no program reads.
LEFT_OUT = re.compile(
    r"\./((dev|proc|run|sys|tmp|var/cache/apt|var/lib/apt/lists|var/log)/"
    r"|usr/share/(doc|info|locale|man)/)"
)

#: Lines of a build that say what the engine does, not what went wrong.
CHATTER = re.compile(r"(Step \d|--->|Removing intermediate|Successfully )")


def _quiet(_line: str) -> None:
    pass


def default_tag(flavour: Flavour = "stubs") -> str:
    """Return the default name of the image of *flavour*."""
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
    """Build the reference image from *base* and return its tag; pull *base* if it is missing.

    The flavour ``real-clis`` has the released CLIs from npm in place of the stubs. *out* is called
    with each step.

    :raises UsageError: *base* or *tag* cannot be parsed.
    :raises CannotJudge: the base or a CLI is not available, the build fails, or the engine refuses.
    """
    tag = tag or default_tag(flavour)
    if not match_tag(tag):
        cause = f"'{tag}' is not a name for an image"
        raise UsageError(cause, hint="give NAME or NAME:TAG, in lower case")
    with _at_work(client):
        if not _exists(client, base):
            _pull(client, base, out)
        if flavour == "stubs":
            _build_reference(client, base, out, tag)
            return tag
        with tempfile.TemporaryDirectory(prefix="probe-conformance-") as place:
            files = archives_for(client.api.version()["Arch"], Path(place), out)
            files["Dockerfile"] = fixtures_dir() / "images" / flavour / "Dockerfile"
            reference = _build_reference(client, base, out)
            _build(client, files, "Dockerfile", reference, flavour, out, tag)
    return tag


def _build_reference(
    client: docker.DockerClient, base: str, out: Callable[[str], None], tag: str = ""
) -> str:
    """Build the reference image with stubs; return its id."""
    fixtures = fixtures_dir()
    files = {name: fixtures / name for name in REFERENCE}
    return _build(client, files, REFERENCE[0], base, "stubs", out, tag)


def debian_base(
    client: docker.DockerClient,
    *,
    suite: str = DEBIAN_SUITE,
    mirror: str = DEBIAN_MIRROR,
    out: Callable[[str], None] = _quiet,
) -> str:
    """Return the tag of a base image of Debian packages; make it if the engine does not have it.

    That needs root, debootstrap, a mirror that can be reached, and about a minute.

    :raises UsageError: *suite* or *mirror* cannot be one.
    :raises CannotJudge: something that it needs is missing, or the engine refuses.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", suite):
        hint = f"give its name, such as {DEBIAN_SUITE}"
        raise UsageError(f"'{suite}' is not a Debian suite", hint=hint)
    if not re.match(r"(https?|file)://", mirror):
        hint = f"give its address, such as {DEBIAN_MIRROR}"
        raise UsageError(f"'{mirror}' is not a Debian mirror", hint=hint)
    tag = f"probe-conformance/base:{suite}"
    with _at_work(client):
        if found := _exists(client, tag):
            if (found["Config"].get("Labels") or {}).get(LABEL) != "base":
                hint = f"give it another name, or use it with --base {tag}"
                raise CannotJudge(f"the image {tag} was not made by us", hint=hint)
            return tag
        with tempfile.TemporaryDirectory(prefix="probe-conformance-") as place:
            root, archive = Path(place, "root"), Path(place, "root.tar")
            _debootstrap(suite, mirror, root, out)
            with tarfile.open(archive, "w") as tar:
                # Times are kept: Python compares those of its modules with what it has compiled.
                tar.add(root, ".", filter=_unless_left_out)
            out(f"importing {tag}")
            _import(client, archive, tag)
    return tag


def copy(client: docker.DockerClient, other: docker.DockerClient, tag: str) -> None:
    """Copy the image *tag* from the engine of *client* to that of the *other*, with its id.

    :raises CannotJudge: one of the engines refuses.
    """
    with (
        _at_work(client),
        _at_work(other),
        tempfile.TemporaryFile() as archive,
        engine_errors(f"the image {tag} cannot be copied"),
    ):
        for chunk in client.api.get_image(tag):
            archive.write(chunk)
        archive.seek(0)
        load: Callable[[Any], Iterable[dict[str, Any]]] = other.api.load_image
        for said in load(archive):
            if "error" in said:
                raise CannotJudge(f"the image {tag} cannot be copied: {one_line(said['error'])}")


def _unless_left_out(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if LEFT_OUT.match(entry.name) else entry


def _debootstrap(suite: str, mirror: str, root: Path, out: Callable[[str], None]) -> None:
    """Make a file system of Debian packages in the directory *root*."""
    instead = "give another base with --base"
    # The PATH that sudo gives may lack these two.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    if not shutil.which("debootstrap", path=path):
        cause = "a base of Debian packages needs debootstrap, which is not installed"
        hint = f"apt-get install debootstrap debian-archive-keyring, or {instead}"
        raise CannotJudge(cause, hint=hint)
    if os.geteuid() != 0:
        cause = "a base of Debian packages needs root, for debootstrap"
        raise CannotJudge(cause, hint=f"run it with sudo, or {instead}")
    out(f"making a base of Debian {suite} from {mirror}: takes about a minute")
    done = subprocess.run(
        # In its own mount namespace, so that its mounts below the directory end with it. Otherwise
        # removing the directory would remove what is mounted there.
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
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        errors = [line.removeprefix("E: ") for line in lines if line.startswith("E: ")]
        *_, why = [f"exit status {done.returncode}", *lines, *errors]
        hint = f"look at --mirror, or {instead}"
        raise CannotJudge(f"debootstrap failed: {one_line(why)}", hint=hint)


@contextmanager
def _at_work(client: docker.DockerClient) -> Iterator[None]:
    """Give the engine time to unpack in silence; turn errors on this side into errors of ours."""
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
    said = client.api.import_image(
        os.fspath(archive), repository, name, changes=changes, stream_src=True
    )
    if not _exists(client, tag):
        raise CannotJudge(f"the engine does not take the base image: {one_line(str(said))}")


@engine_errors("the engine does not say which images it has")
def _exists(client: docker.DockerClient, reference: str) -> dict[str, Any] | None:
    """Return what the engine knows of the image *reference*; None if it does not have it."""
    try:
        found = client.images.get(reference).attrs
    except ImageNotFound:
        return None
    except APIError as e:
        if "invalid reference" in message(e):
            cause = f"'{reference}' is not an image reference"
            raise UsageError(cause, hint="give NAME, NAME:TAG or NAME@DIGEST") from None
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
    """Build the *dockerfile* among *files* from *base*, without a network; return the image id."""
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
    """Write *files* as a tar stream that does not tell when, where and by whom it was made."""
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
    for said in steps:  # to the very end, even after an error: that closes the connection
        for line in _lines(said):
            if line.startswith("Step "):
                out(line)
            if done := re.match(r"Successfully built (\w+)", line):
                built = built or done[1]  # some engines give the id only here
            last = "" if CHATTER.match(line) else line
        if "error" in said:
            wrong = last or one_line(said["error"])
        built = said.get("aux", {}).get("ID", built)
    if wrong:
        hint = "the base needs python3, sh, sed, and glibc for real CLIs"
        raise CannotJudge(f"the build on {base} failed: {wrong}", hint=hint)
    return built


def _lines(said: Mapping[str, Any]) -> list[str]:
    """Return the lines that an engine *said* in one step of a build, without empty ones."""
    lines = [one_line(line) for line in said.get("stream", "").splitlines()]
    return [line for line in lines if line]


def archives_for(arch: str, place: Path, out: Callable[[str], None]) -> dict[str, Path]:
    """Download the packages of the released CLIs for *arch* to *place*.

    Return the archives by the names that the build expects.
    """
    archives = {}
    for cli, package in packages(arch).items():
        out(f"downloading {package.name} {package.version}")
        archives[f"{cli}.tgz"] = pinned(package, place)
    return archives
