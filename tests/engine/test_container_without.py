"""Images that lack a shell, Python or a name, are not there or not for here, or bring a HOME: on a real engine."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from support_image import FEW, ONE, RIGHT, Images, busybox, judged, messages, notes, row, rows, script

HERE = Path(__file__).parents[1]


@pytest.fixture
def images(engine: docker.DockerClient, reference_image: str) -> Iterator[Images]:
    with Images(engine, reference_image) as made:
        yield made


@pytest.fixture
def plain_images(engine: docker.DockerClient) -> Iterator[Images]:
    """Return images that take nothing from the reference."""
    with Images(engine, "") as made:
        yield made


# Images without this and that

USERS = b"root:x:0:0::/root:/\nagent:x:10001:10001::/home/agent:/\n"
SHELL_PROBE = (HERE / "probes" / "slot.sh").read_bytes()
HEALTHY = b"exit 0\n"


def shell_less(images: Images, probe: bytes = SHELL_PROBE) -> str:
    """Return an image with one program, a static one, and scripts that name it as their interpreter."""
    cli = b"#!/busybox ash\n" + HEALTHY
    files = {"/busybox": busybox(), "/probe.sh": probe, "/bin/claude": cli, "/bin/codex": cli, "/etc/passwd": USERS}
    return images.of(files, entrypoint=["/busybox", "ash", "/probe.sh"], user="10001")


def small(images: Images, probe: bytes) -> str:
    """Return an image with a shell and all that goes with it, and no Python."""
    listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    cli = b"#!/bin/sh\n" + HEALTHY
    files = {"/bin/busybox": busybox(), "/probe.sh": probe, "/bin/claude": cli, "/bin/codex": cli, "/etc/passwd": USERS}
    links = {f"/bin/{name}": "/bin/busybox" for name in listed if name != "busybox"}
    return images.of(files, links=links, entrypoint=["/probe.sh"], user="10001")


NO_SHELL = {**RIGHT, "cli/exit-1": ("unsupported", None, ())}
STATES_WITHOUT_SHELL = ("cli/missing", "cli/not-executable", "cli/truncated-elf", "cli/symlink-loop")


@pytest.mark.parametrize("more", [(), ("--read-only",)], ids=["writable", "read-only"])
def test_an_image_without_a_shell(plain_images: Images, more: tuple[str, ...], tmp_path: Path) -> None:
    status, report, printed = judged(shell_less(plain_images), tmp_path, *FEW, *more)

    assert status == 0, printed
    assert rows(report) == NO_SHELL
    assert row(report, "cli/exit-1")["reason"] == "the stub of such a CLI is a shell script, and the image has no shell"
    (note,) = notes(printed)
    assert note.startswith("the image has no shell with tar, head, rm and env in it (no shell starts in the container: ")
    assert '"sh": executable file not found' in note


def test_an_image_without_a_shell_and_other_conditions(plain_images: Images, tmp_path: Path) -> None:
    """What only a container can show is shown there too; what takes a shell inside is told as that."""
    states = (*STATES_WITHOUT_SHELL, "container/home-read-only-claude", "container/root-owned-auth-json")
    needs = {
        "claude/socket-only": "no tar archive can hold a socket, and the image has no shell to make one from",
        "container/home-unset-no-passwd-claude": "only a shell can unset HOME, and the image has none",
    }

    status, report, printed = judged(shell_less(plain_images), tmp_path, *states, *needs)

    assert status == 0, printed
    assert {id_: one[0] for id_, one in rows(report).items() if id_ in states} == dict.fromkeys(states, "conforms")
    assert {id_: row(report, id_)["reason"] for id_ in needs} == needs


def test_the_home_in_an_image_without_a_shell_is_its_users_own(plain_images: Images, tmp_path: Path) -> None:
    image = shell_less(plain_images, b'stat -c "%a %u:%g %n" "$HOME" "$HOME"/.claude/.credentials/*; id -u; exit 0\n')

    status, report, printed = judged(image, tmp_path, ONE)

    assert status == 0, printed
    assert row(report)["stdout"].splitlines() == [
        "700 10001:10001 /home/agent",
        "600 10001:10001 /home/agent/.claude/.credentials/session.json",
        "10001",
    ]


@pytest.mark.parametrize("isolation", ["shared", "both"])
def test_an_image_without_a_shell_cannot_be_shared_and_that_is_told_once(
    plain_images: Images, isolation: str, tmp_path: Path
) -> None:
    status, report, printed = judged(shell_less(plain_images), tmp_path, *FEW, "--isolation", isolation)

    assert (status, rows(report)) == (0, NO_SHELL), printed
    assert report["probe"]["isolation"] == "fresh"
    told = "no isolation but fresh, because the image has no shell to share: each scenario has a container of its own"
    assert notes(printed)[1:] == report["probe"]["notes"][1:] == [told]
    assert printed.count("no isolation but fresh") == 1


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_image_without_python_whose_probe_is_a_shell_script(plain_images: Images, isolation: str, tmp_path: Path) -> None:
    image = small(plain_images, SHELL_PROBE.replace(b"timeout -s KILL 10 ", b""))

    status, report, printed = judged(image, tmp_path, *FEW, "claude/socket-only", "--isolation", isolation)

    assert status == 0, printed
    assert rows(report) == {**RIGHT, "claude/socket-only": ("unsupported", None, ())}
    said = "no tar archive can hold a socket, and the image has no python3 to make one"
    assert row(report, "claude/socket-only")["reason"] == said
    assert (report["probe"]["isolation"], notes(printed)) == (isolation, [])


def test_what_the_timeout_of_busybox_leaves_running_is_found(plain_images: Images, tmp_path: Path) -> None:
    """It watches from a process of its own, which outlives what it watches."""
    image = small(plain_images, SHELL_PROBE)

    shared = judged(image, tmp_path, ONE, "agent/unmapped", "--isolation", "shared")
    fresh = judged(image, tmp_path, ONE, "agent/unmapped")

    assert shared[0] == 1, shared[2]
    assert rows(shared[1]) == {ONE: ("deviates", 0, ("left-process",)), "agent/unmapped": RIGHT["agent/unmapped"]}
    assert "timeout -s KILL 10 /bin/claude --version" in messages(shared[1])["left-process"]
    assert fresh[0] == 0, fresh[2]


#: What an image for another processor is told as.
FOREIGN = "the image is for arm64, and the engine runs amd64; build it for this machine, or use an engine on the other"


def foreign(images: Images, *programs: str) -> str:
    """Return an image whose *programs*, the first of which is its probe, no engine on this machine can start."""
    if platform.machine() != "x86_64":
        pytest.skip("the image is for another processor than x86_64")
    elf = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + bytes([2, 0, 183, 0, 1, 0, 0, 0]) + bytes(40)
    return images.of(dict.fromkeys(programs, elf), processor="arm64", entrypoint=[programs[0]], user="10001")


def test_an_image_for_another_processor(plain_images: Images, tmp_path: Path) -> None:
    image = foreign(plain_images, "/probe", "/bin/sh")

    for isolation in ("fresh", "shared"):
        assert judged(image, tmp_path, *FEW, "--isolation", isolation) == (3, {}, f"probe-conformance: {FOREIGN}\n")


def test_an_image_for_another_processor_that_has_no_shell(plain_images: Images, tmp_path: Path) -> None:
    """Then only its probe can show that."""
    status, report, printed = judged(foreign(plain_images, "/probe"), tmp_path, ONE, "codex/empty")

    assert status == 3, printed
    assert {id_: one[0] for id_, one in rows(report).items()} == {ONE: "broke", "codex/empty": "broke"}
    assert {one["reason"] for one in report["scenarios"]} == {FOREIGN}


@pytest.mark.parametrize(
    ("reference", "status", "line"),
    [
        ("no-such-image:1", 3, "no image 'no-such-image:1' on this engine; build it, or pull it, first"),
        ("sha256:" + "0" * 64, 3, f"no image 'sha256:{'0' * 64}' on this engine; build it, or pull it, first"),
        ("No Image", 2, "'No Image' is not an image reference; write it like name, name:tag or host/name@sha256:…"),
    ],
)
def test_an_image_that_is_not_there(engine: docker.DockerClient, reference: str, status: int, line: str, tmp_path: Path) -> None:
    assert judged(reference, tmp_path, *FEW) == (status, {}, f"probe-conformance: {line}\n")


def test_a_run_leaves_an_image_without_a_name_where_it_is(engine: docker.DockerClient, images: Images, tmp_path: Path) -> None:
    """Engines remove, with an image, those below it that have no name: and the layer of stubs stands on the one under test."""
    image = images.like_reference()

    assert judged(image, tmp_path, "cli/exit-1")[0] == 0
    assert engine.api.inspect_image(image)["Id"] == image  # type: ignore[no-untyped-call]


# Images with a HOME of their own

OWN_PATH = {"PATH": "/home/agent/.local/bin:/usr/sbin:/usr/bin:/bin"}
OWN_HOME = {"/home/agent/.bashrc": b"umask 022\n", "/home/agent/.local/bin/claude": b"#!/bin/sh\n" + HEALTHY}


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_image_that_keeps_its_cli_in_its_home(images: Images, isolation: str, tmp_path: Path) -> None:
    image = images.like_reference(OWN_HOME, env=OWN_PATH)
    cases = (*FEW, "cli/missing")

    status, report, printed = judged(image, tmp_path, *cases, "--isolation", isolation)

    assert rows(report) == {**RIGHT, "cli/missing": ("conforms", 64, ()), "codex/empty": ("deviates", 64, ("wrong-verdict",))}
    assert status == 1  # no codex is on that PATH, and the scenario is about a login
    assert (report["probe"]["isolation"], notes(printed)) == (isolation, [])


def test_what_an_image_keeps_in_its_home_lies_there(images: Images, tmp_path: Path) -> None:
    text = 'cd "$HOME" && stat -c "%u %n" .bashrc .local/bin/* .claude/.credentials/*; command -v claude; exit 0\n'
    image = images.like_reference({**OWN_HOME, **script(text)}, env=OWN_PATH)

    status, report, printed = judged(image, tmp_path, ONE)

    assert status == 0, printed
    assert row(report)["stdout"].splitlines() == [
        "10001 .bashrc",
        "10001 .local/bin/claude",
        "10001 .claude/.credentials/session.json",
        "/home/agent/.local/bin/claude",
    ]


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_image_that_keeps_too_much_in_its_home(images: Images, isolation: str, tmp_path: Path) -> None:
    image = images.like_reference({"/home/agent/.cache/model": bytes(5 << 20)})

    status, report, printed = judged(image, tmp_path, *FEW, "--isolation", isolation)

    assert (status, rows(report)) == (0, RIGHT), printed
    assert report["probe"]["home"] == "/.probe-conformance-home"
    assert notes(printed) == ["the image keeps more than 4 MiB in /home/agent: homes lie in /.probe-conformance-home"]
