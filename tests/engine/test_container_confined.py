"""What a probe sees of its surroundings in a container, and what the options change about it.

Unit tests of how a container is specified show that each option asks the engine for one thing only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from support_image import ONE, Images, judged, row


@pytest.fixture
def images(engine: docker.DockerClient, reference_image: str) -> Iterator[Images]:
    with Images(engine, reference_image) as made:
        yield made


# What a probe sees of its confinement

INSPECT = rb"""#!/usr/bin/env python3
import json, os, sys

status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
mounts = [line.split() for line in open("/proc/self/mounts")]
limits = {}
for name, places in {
    "memory": ("memory/memory.limit_in_bytes", "memory.max"),
    "swap": ("memory/memory.memsw.limit_in_bytes", "memory.swap.max"),
    "pids": ("pids/pids.max", "pids.max"),
}.items():
    for place in places:
        if os.path.exists("/sys/fs/cgroup/" + place):
            limits[name] = open("/sys/fs/cgroup/" + place).read().strip()
print(json.dumps({
    "effective": int(status["CapEff"], 16),
    "bounding": int(status["CapBnd"], 16),
    "no-new-privileges": status["NoNewPrivs"],
    "seccomp": status["Seccomp"],
    "interfaces": sorted(os.listdir("/sys/class/net")),
    "socket": [p for p in ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock") if os.path.exists(p)],
    "user": [os.getuid(), os.getgid()],
    "root": next(m[3] for m in reversed(mounts) if m[1] == "/").split(",")[0],
    "path": os.environ["PATH"],
    "home": os.environ["HOME"],
    "mode": os.environ.get("AGENT_MODE"),
    "arguments": sys.argv[1:],
    "terminal": os.isatty(1),
    "input": sys.stdin.read(),
    "writable": [p for p in ("/tmp", "/var/tmp", "/run", "/dev/shm", "/etc") if os.access(p, os.W_OK)],
    **limits,
}))
"""
NET_RAW = 1 << 13
#: What a probe sees where nothing was asked for.
DEFAULTS = {
    "effective": 0,
    "bounding": 0,
    "no-new-privileges": "1",
    "seccomp": "2",
    "interfaces": ["lo"],
    "socket": [],
    "user": [10001, 10001],
    "home": "/home/agent",
    "mode": "smoke-test",
    "terminal": False,
    "input": "",
    "memory": str(1 << 30),
    "pids": "512",
}
LOOSENED = ("--cap-add", "NET_RAW", "--memory", "64m", "--network", "bridge")
#: What those change.
LOOSE = {"bounding": NET_RAW, "memory": str(64 << 20), "interfaces": ["eth0", "lo"]}
STUBS_FIRST = "/.probe-conformance/cli:"


def seen(images: Images, cwd: Path, *arguments: str) -> dict[str, Any]:
    """Return what a probe sees of its surroundings, in an image whose entrypoint runs its command."""
    image = images.like_reference(
        {"/inspect": INSPECT, "/runs": b'#!/bin/sh\nexec "$@"\n'},
        entrypoint=["/runs"],
        cmd=["false"],
    )
    status, report, printed = judged(image, cwd, ONE, *arguments)
    assert status == 0, printed
    found: dict[str, Any] = json.loads(row(report)["stdout"])
    return found


@pytest.mark.parametrize(
    ("isolation", "root", "words", "arguments"),
    [
        (
            "fresh",
            "rw",
            ("--entrypoint", "/inspect"),
            [],
        ),  # as for engines, the image's command goes with its entrypoint
        ("shared", "ro", ("--command", "/inspect a 'b c'"), ["a", "b c"]),
    ],
)
def test_a_container_is_confined(
    images: Images,
    isolation: str,
    root: str,
    words: tuple[str, ...],
    arguments: list[str],
    tmp_path: Path,
) -> None:
    """Entrypoint and command may be other ones than the image's own."""
    found = seen(images, tmp_path, "--isolation", isolation, *words)

    expected = {**DEFAULTS, "root": root, "arguments": arguments}
    assert {name: found[name] for name in expected} == expected
    assert found["swap"] in ("0", str(1 << 30))  # swap alone, or together with memory
    assert "/etc" not in found["writable"]
    assert found["path"].startswith(f"{STUBS_FIRST}/usr/local/sbin:")


@pytest.mark.parametrize(
    ("isolation", "words", "changed"),
    [
        # A plain user has no capability in effect, whatever is kept.
        (
            "fresh",
            ("--user", "12345:0", "--read-only"),
            {"user": [12345, 0], "home": "/.probe-conformance-home"},
        ),
        ("shared", ("--user", "0"), {"user": [0, 0], "home": "/root", "effective": NET_RAW}),
    ],
    ids=["fresh", "shared"],
)
def test_options_loosen_what_they_name_and_nothing_else(
    images: Images, isolation: str, words: tuple[str, ...], changed: dict[str, Any], tmp_path: Path
) -> None:
    asked = (
        "--entrypoint",
        "/inspect x",
        "--command",
        "y '' '$HOME'",
        "--env",
        "PATH=/usr/local/bin:/usr/bin:/bin",
    )

    found = seen(images, tmp_path, "--isolation", isolation, *asked, *LOOSENED, *words)

    expected = {**DEFAULTS, **LOOSE, **changed, "root": "ro", "arguments": ["x", "y", "", "$HOME"]}
    assert {name: found[name] for name in expected} == expected
    # Some engines hand /run out to everybody, others leave it root's as the image has it.
    scratch = {"/tmp", "/var/tmp"}
    assert (
        scratch
        <= set(found["writable"])
        <= scratch | ({"/run", "/dev/shm", "/etc"} if "0" in words else {"/run", "/dev/shm"})
    )
    assert found["path"] == f"{STUBS_FIRST}/usr/local/bin:/usr/bin:/bin"
