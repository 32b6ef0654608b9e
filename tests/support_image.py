"""Small images for tests, put together without a build, and runs of them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import docker
import pytest
from docker.errors import APIError
from support import diagnoses
from support_cli import suite

from conformance import bundled
from conformance.drivers.container.labels import LOCK, RUN

#: Scenarios that call for each of the four answers, of both agents, and for a CLI that is broken.
FEW = (
    "claude/nested-session",
    "claude/baseline-only",
    "agent/unmapped",
    "codex/empty",
    "cli/exit-1",
    "cli/healthy",
)
PROBE = "/opt/conformance/slot.py"
#: The reference probe under another name, for scripts that do something else before.
REFERENCE = "/opt/conformance/reference.py"
ASK = f"exec python3 -I {REFERENCE}\n"
ONE = "claude/nested-session"
#: What the four answers of FEW come to where all of them are right.
RIGHT = {
    "claude/nested-session": ("conforms", 0, ()),
    "claude/baseline-only": ("conforms", 65, ()),
    "agent/unmapped": ("conforms", 64, ()),
    "codex/empty": ("conforms", 66, ()),
    "cli/exit-1": ("conforms", 64, ()),
    "cli/healthy": ("conforms", 0, ()),
}


class Once(Protocol):
    """Makes what has a name once, for whoever asks for it first."""

    def __call__(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what *make* returns, as JSON has it."""


class Images:
    """Images of one test; used as a context manager, it removes them."""

    def __init__(self, client: docker.DockerClient, reference: str) -> None:
        self._client = client
        self._reference = reference
        self._made: list[str] = []

    def __enter__(self) -> Images:
        return self

    def __exit__(self, *_: object) -> None:
        for image in self._made:
            with suppress(APIError):
                self._client.api.remove_image(image, force=True)

    def like_reference(self, files: Mapping[str, bytes] | None = None, **config: Any) -> str:
        """Return the reference image with other *files* (executable, root's) and another *config*."""
        container = self._client.api.create_container(self._reference)["Id"]
        try:
            self._client.api.put_archive(container, "/", _archive(files or {}))
            changes = list(_changes(config))
            return self._known(self._client.api.commit(container, changes=changes)["Id"])
        finally:
            self._client.api.remove_container(container, v=True, force=True)

    def of(
        self,
        files: Mapping[str, bytes],
        *,
        links: Mapping[str, str] | None = None,
        processor: str = "",
        **config: Any,
    ) -> str:
        """Return an image of nothing but *files* (executable, root's) and *links*, for the engine's *processor* or another."""
        layer = _archive(files, links or {})
        shape = {
            "architecture": processor or self._client.version()["Arch"],
            "os": "linux",
            "config": {key.capitalize(): value for key, value in config.items()},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
            },
        }
        name = f"conformance-test-{secrets.token_hex(4)}:1"
        manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
        parts = {
            "config.json": json.dumps(shape).encode(),
            "manifest.json": json.dumps(manifest).encode(),
            "layer.tar": layer,
        }
        self._client.images.load(_archive(parts))
        return self._known(name)

    def _known(self, image: str) -> str:
        self._made.append(image)
        return image


def _changes(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a Dockerfile that *config* stands for; the value of ``env`` holds a variable by each name."""
    for key, value in config.items():
        if key == "env":
            yield from (f"ENV {name}={json.dumps(content)}" for name, content in value.items())
        else:
            yield f"{key.upper()} {json.dumps(value)}"


def _archive(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name.lstrip("/"))
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name.lstrip("/"))
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return stream.getvalue()


def busybox() -> bytes:
    """Return this machine's static busybox, which runs in an image that has nothing else; without one, skip or fail."""
    data = next(
        (
            path.read_bytes()
            for path in map(Path, ("/bin/busybox", "/usr/bin/busybox"))
            if path.exists()
        ),
        b"",
    )
    if data and b"/ld-" not in data[:4096]:  # where a program says who loads it
        return data
    reason = (
        "there is no static busybox on this machine: the package is often called busybox-static"
    )
    if os.environ.get("CONFORMANCE_REQUIRE_DOCKER") == "1":
        pytest.fail(f"CONFORMANCE_REQUIRE_DOCKER=1, but {reason}")
    pytest.skip(reason)


def run(
    image: str, *arguments: str, cwd: Path, timeout: float = 200
) -> tuple[int, dict[str, Any], str]:
    """Run ``probe-conformance run``; return its exit status, its JSON report, and all it has printed."""
    report = cwd / f"{secrets.token_hex(4)}.json"
    done = suite(
        cwd,
        "run",
        "--image",
        image,
        "--json",
        os.fspath(report),
        *arguments,
        merged=True,
        timeout=timeout,
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.returncode, json.loads(report.read_text()) if report.exists() else {}, done.stdout


def rows(report: Mapping[str, Any]) -> dict[str, tuple[str, int | None, tuple[str, ...]]]:
    """Return, for each scenario of a *report*, result, exit code and kinds of findings."""
    return {
        row["id"]: (
            row["result"],
            row["code"],
            tuple(finding["kind"] for finding in row["findings"]),
        )
        for row in report["scenarios"]
    }


def judged(image: str, cwd: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run in one process, which is soonest done with few scenarios; return as `run` does."""
    return run(image, *arguments, "-n", "0", cwd=cwd)


def script(text: str) -> dict[str, bytes]:
    """Return the files of an image whose probe is a shell script, which may ask the reference probe in the end."""
    reference = (bundled.fixtures_dir() / "probes" / "slot.py").read_bytes()
    return {PROBE: f"#!/bin/sh\n{text}".encode(), REFERENCE: reference}


def contract(cwd: Path, text: str) -> str:
    """Write a contract that extends `slot`; return its file's name."""
    (cwd / "own.toml").write_text(
        f'name = "own"\nversion = "1"\nsummary = "As slot"\nextends = "slot"\n{text}'
    )
    return "own.toml"


def row(report: Mapping[str, Any], id_: str = ONE) -> dict[str, Any]:
    """Return what a *report* says of one scenario."""
    found: dict[str, Any] = next(one for one in report["scenarios"] if one["id"] == id_)
    return found


def messages(report: Mapping[str, Any], id_: str = ONE) -> dict[str, str]:
    """Return the findings of one scenario: messages by kind."""
    return {finding["kind"]: finding["message"] for finding in row(report, id_)["findings"]}


def diagnosis(printed: str) -> str:
    """Return what deviations have in common, as *printed*; empty for nothing."""
    return next(iter(diagnoses(printed)), "")


def notes(printed: str) -> list[str]:
    """Return the notes at the top of what was *printed*."""
    return [
        line.removeprefix("note: ") for line in printed.splitlines() if line.startswith("note: ")
    ]


def ours(client: docker.DockerClient) -> list[str]:
    """Return what runs with the cache directory of this test have left on the engine."""
    cache = os.environ["XDG_CACHE_HOME"]
    found = [
        (one["Id"], one["Labels"])
        for one in client.api.containers(all=True, filters={"label": RUN})
    ]
    found += [
        (one["Name"], one["Labels"])
        for one in client.api.volumes(filters={"label": RUN}).get("Volumes") or []
    ]
    found += [(one["Id"], one["Labels"]) for one in client.api.images(filters={"label": RUN})]
    return [id_ for id_, labels in found if labels[LOCK].startswith(cache)]
