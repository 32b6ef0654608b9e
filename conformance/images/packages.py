"""The released CLIs: packages of npm, pinned by their digests, and how to come by them."""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from conformance.bundled import fixtures_dir
from conformance.errors import CannotJudge
from conformance.text import one_line

__all__ = ["Package", "machine", "other_version", "packages", "pinned", "unpack"]

#: How engines name the architectures that kernels name like this.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Package(Struct, frozen=True, kw_only=True):
    """One package that holds a CLI for one architecture."""

    name: str
    version: str
    """As the registry has it: some packages add the architecture to it."""
    release: str
    """As people have it."""
    program: str
    """Where the program lies in it; a ``*`` stands for part of a name."""
    integrity: str = ""
    """What npm calls the digest; empty for a version that nobody has pinned."""


def machine() -> str:
    """Return the architecture of this machine, as engines name it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def packages(arch: str) -> dict[str, Package]:
    """Return the pinned package of every CLI for *arch*.

    :raises CannotJudge: one is not pinned for it.
    """
    table = tomllib.loads((fixtures_dir() / "images" / "real-clis" / "packages.toml").read_text(encoding="utf-8"))
    found = {}
    for cli, builds in table.items():
        if arch not in builds:
            raise CannotJudge(f"no {cli} is pinned for {arch}", hint=f"there is one for {', '.join(builds)}")
        build = builds[arch]
        found[cli] = Package(
            name=build["package"],
            version=build["version"],
            release=build["version"].partition("-")[0],
            program=build["program"],
            integrity=build["integrity"],
        )
    return found


def other_version(package: Package, release: str) -> Package:
    """Return the same package in another *release*, of which no digest is known."""
    return replace(package, version=package.version.replace(package.release, release, 1), release=release, integrity="")


def pinned(package: Package, place: Path) -> Path:
    """Return the archive of *package* in the directory *place*, downloaded unless it lies there already.

    :raises CannotJudge: it cannot be had, or is not what was pinned.
    """
    known = place / f"{package.name.lstrip('@').replace('/', '-')}-{package.version}.tgz"
    archive = known if package.integrity and _fits(known, package.integrity) else _download(package, place)
    if package.integrity and not _fits(archive, package.integrity):
        raise CannotJudge(f"{package.name} {package.version} is not what was pinned", hint="look at the npm registry in use")
    return archive


def _fits(archive: Path, integrity: str) -> bool:
    if not os.path.isfile(archive):
        return False
    with archive.open("rb") as file:
        digest = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    return f"sha512-{digest}" == integrity


def _download(package: Package, place: Path) -> Path:
    """Fetch one package with npm, which knows of mirrors and proxies."""
    npm = shutil.which("npm")
    if npm is None:
        raise CannotJudge(f"{package.name} is downloaded with npm, which is not here", hint="install npm")
    done = subprocess.run(
        [npm, "pack", "--silent", f"{package.name}@{package.version}", "--pack-destination", os.fspath(place)],
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        why = (done.stderr.splitlines() or [f"npm exited {done.returncode}"])[-1]
        raise CannotJudge(
            f"{package.name} {package.version} cannot be downloaded: {one_line(why)}",
            hint="see that the npm registry is within reach",
        )
    return place / done.stdout.splitlines()[-1]


def unpack(archive: Path, package: Package, place: Path) -> Path:
    """Unpack *archive* into the directory *place*, which is made; return the program.

    :raises CannotJudge: it holds no such program.
    """
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(place, filter="data")
    except (OSError, tarfile.TarError) as e:
        raise CannotJudge(f"{package.name} {package.version} cannot be unpacked: {one_line(str(e))}") from None
    programs = sorted(place.glob(package.program))
    if not programs:
        raise CannotJudge(f"{package.name} {package.version} holds no {package.program}", hint="try another version")
    return programs[0]
