"""What a probe sees of its surroundings in a container, and what the options change about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from support_image import FEW, ONE, RIGHT, Images, judged, row, rows


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
    "arguments": [],
    "terminal": False,
    "input": "",
    "memory": str(1 << 30),
    "pids": "512",
}


def seen(images: Images, cwd: Path, *arguments: str) -> dict[str, Any]:
    """Return what a probe sees of its surroundings."""
    status, report, printed = judged(
        images.like_reference({"/inspect": INSPECT}), cwd, ONE, "--entrypoint", "/inspect", *arguments
    )
    assert status == 0, printed
    found: dict[str, Any] = json.loads(row(report)["stdout"])
    return found


@pytest.mark.parametrize(("isolation", "root"), [("fresh", "rw"), ("shared", "ro")])
def test_a_container_is_confined(images: Images, isolation: str, root: str, tmp_path: Path) -> None:
    found = seen(images, tmp_path, "--isolation", isolation)

    assert {name: found[name] for name in DEFAULTS} == DEFAULTS
    assert found["root"] == root
    assert found["swap"] in ("0", str(1 << 30))  # swap alone, or together with memory
    assert "/etc" not in found["writable"]
    assert found["path"].startswith("/.probe-conformance/cli:/usr/local/sbin:")


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (("--cap-add", "NET_RAW"), {"bounding": NET_RAW}),  # a plain user has none of them in effect
        (
            ("--cap-add", "NET_RAW", "--user", "0"),
            {"bounding": NET_RAW, "effective": NET_RAW, "user": [0, 0], "home": "/root"},
        ),
        (("--memory", "64m"), {"memory": str(64 << 20)}),
        (("--user", "12345:0"), {"user": [12345, 0], "home": "/.probe-conformance-home"}),
        (("--network", "bridge"), {"interfaces": ["eth0", "lo"]}),
        (("--read-only",), {"root": "ro"}),
    ],
    ids=["cap-add", "cap-add-root", "memory", "user", "network", "read-only"],
)
def test_options_loosen_one_thing_and_no_other(
    images: Images, words: tuple[str, ...], changed: dict[str, Any], isolation: str, tmp_path: Path
) -> None:
    found = seen(images, tmp_path, "--isolation", isolation, *words)

    expected = {**DEFAULTS, **changed}
    assert {name: found[name] for name in expected} == expected
    if found["root"] == "ro":
        # Some engines hand /run out to everybody, others leave it root's as the image has it.
        assert {"/tmp", "/var/tmp"} <= set(found["writable"]) <= {"/tmp", "/var/tmp", "/run", "/dev/shm"}


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (("--entrypoint", "/inspect"), []),  # as for engines, the image's command goes with its entrypoint
        (("--command", "/inspect a 'b c'"), ["a", "b c"]),
        (("--entrypoint", "/inspect x", "--command", "y '' '$HOME'"), ["x", "y", "", "$HOME"]),
    ],
    ids=["entrypoint", "command", "both"],
)
def test_entrypoint_and_command_take_the_place_of_the_images_own(
    images: Images, words: tuple[str, ...], arguments: list[str], tmp_path: Path
) -> None:
    image = images.like_reference({"/inspect": INSPECT, "/runs": b'#!/bin/sh\nexec "$@"\n'}, entrypoint=["/runs"], cmd=["false"])

    status, report, printed = judged(image, tmp_path, ONE, *words)

    assert status == 0, printed
    assert json.loads(row(report)["stdout"])["arguments"] == arguments


def test_another_path_comes_after_the_stubs(images: Images, tmp_path: Path) -> None:
    found = seen(images, tmp_path, "--env", "PATH=/usr/local/bin:/usr/bin:/bin")

    assert found["path"] == "/.probe-conformance/cli:/usr/local/bin:/usr/bin:/bin"


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_with_another_path_the_stubs_are_found_first(reference_image: str, isolation: str, tmp_path: Path) -> None:
    words = ("--env", "PATH=/usr/local/bin:/usr/bin:/bin", "--isolation", isolation)

    status, report, printed = judged(reference_image, tmp_path, *FEW, *words)

    assert (status, rows(report)) == (0, RIGHT), printed
