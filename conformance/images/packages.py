"""The released CLIs: npm packages pinned by their digests, and how to get them."""

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

#: Architectures by the kernel's name, as engines name them.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Package(Struct, frozen=True, kw_only=True):
    """One package that holds a CLI for one architecture."""

    name: str
    version: str
    """The registry's name for the version; some packages add the architecture to it."""
    release: str
    """The version as people know it."""
    program: str
    """The path of the program in the package; a ``*`` stands for part of a name."""
    integrity: str = ""
    """The digest, in npm's form; empty for a version that is not pinned."""


def machine() -> str:
    """Return the architecture of this machine, as engines name it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def packages(arch: str) -> dict[str, Package]:
    """Return the pinned package of every CLI for *arch*.

    :raises CannotJudge: one is not pinned for it.
    """
    file = fixtures_dir() / "images" / "real-clis" / "packages.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    found = {}
    for cli, builds in table.items():
        if arch not in builds:
            hint = f"there is one for {', '.join(builds)}"
            raise CannotJudge(f"no {cli} is pinned for {arch}", hint=hint)
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
    """Return the same package in another *release*, whose digest is not known."""
    version = package.version.replace(package.release, release, 1)
    return replace(package, version=version, release=release, integrity="")


def pinned(package: Package, place: Path) -> Path:
    """Return the archive of *package* in the directory *place*; download it unless it is there.

    :raises CannotJudge: it cannot be downloaded, or is not what was pinned.
    """
    archive = place / f"{package.name.lstrip('@').replace('/', '-')}-{package.version}.tgz"
    if package.integrity and _fits(archive, package.integrity):
        return archive
    archive = _download(package, place)
    if package.integrity and not _fits(archive, package.integrity):
        cause = f"{package.name} {package.version} is not what was pinned"
        raise CannotJudge(cause, hint="look at the npm registry in use")
    return archive


def _fits(archive: Path, integrity: str) -> bool:
    if not os.path.isfile(archive):
        return False
    with archive.open("rb") as file:
        digest = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    return f"sha512-{digest}" == integrity


def _download(package: Package, place: Path) -> Path:
    """Download one package with npm, which knows mirrors and proxies."""
    npm = shutil.which("npm")
    if npm is None:
        cause = f"{package.name} is downloaded with npm, which is not installed"
        raise CannotJudge(cause, hint="install npm")
    wanted = f"{package.name}@{package.version}"
    done = subprocess.run(
        [npm, "pack", "--silent", wanted, "--pack-destination", os.fspath(place)],
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = done.stderr.splitlines() or [f"npm exited {done.returncode}"]
        raise CannotJudge(
            f"{package.name} {package.version} cannot be downloaded: {one_line(lines[-1])}",
            hint="check that the npm registry can be reached",
        )
    return place / done.stdout.splitlines()[-1]


def unpack(archive: Path, package: Package, place: Path) -> Path:
    """Unpack *archive* into the new directory *place*; return the path of the program.

    :raises CannotJudge: it cannot be unpacked, or the program is not in it.
    """
    name = f"{package.name} {package.version}"
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(place, filter="data")
    except (OSError, tarfile.TarError) as e:
        raise CannotJudge(f"{name} cannot be unpacked: {one_line(str(e))}") from None
    programs = sorted(place.glob(package.program))
    if not programs:
        raise CannotJudge(f"{name} holds no {package.program}", hint="try another version")
    return programs[0]
