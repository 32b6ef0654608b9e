"""Images that lack a shell, Python or a name, are not there or not for here, or bring a HOME: on a real engine."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from support_image import (
    ASK,
    FEW,
    ONE,
    RIGHT,
    Images,
    busybox,
    judged,
    messages,
    notes,
    row,
    rows,
    script,
)

HERE = Path(__file__).parents[1]

pytestmark = pytest.mark.in_turn(5)


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
    files = {
        "/busybox": busybox(),
        "/probe.sh": probe,
        "/bin/claude": cli,
        "/bin/codex": cli,
        "/etc/passwd": USERS,
    }
    return images.of(files, entrypoint=["/busybox", "ash", "/probe.sh"], user="10001")


def small(images: Images, probe: bytes) -> str:
    """Return an image with a shell and all that goes with it, and no Python."""
    listed = subprocess.run(
        ["busybox", "--list"], capture_output=True, text=True, check=True
    ).stdout.split()
    cli = b"#!/bin/sh\n" + HEALTHY
    files = {
        "/bin/busybox": busybox(),
        "/probe.sh": probe,
        "/bin/claude": cli,
        "/bin/codex": cli,
        "/etc/passwd": USERS,
    }
    links = {f"/bin/{name}": "/bin/busybox" for name in listed if name != "busybox"}
    return images.of(files, links=links, entrypoint=["/probe.sh"], user="10001")


NO_SHELL = {**RIGHT, "cli/exit-1": ("unsupported", None, ())}
#: What only a container can show, or needs no shell inside, conforms there too.
WITHOUT_SHELL = (
    "cli/missing",
    "cli/not-executable",
    "cli/truncated-elf",
    "cli/symlink-loop",
    "container/home-read-only-claude",
    "container/root-owned-auth-json",
)
NEEDS_SHELL = {
    "cli/exit-1": "the stub of such a CLI is a shell script, and the image has no shell",
    "claude/socket-only": "no tar archive can hold a socket, and the image has no shell to make one from",
    "container/home-unset-no-passwd-claude": "only a shell can unset HOME, and the image has none",
}


def test_an_image_without_a_shell(plain_images: Images, tmp_path: Path) -> None:
    """What takes a shell inside is told as that, and the HOME is its user's own."""
    looks = (
        b'cd "$HOME/.claude/.credentials" && stat -c "%a %u:%g %n" "$HOME" "$PWD"/*\n'  # nothing elsewhere
        b"id -u\n"
    )
    image = shell_less(plain_images, SHELL_PROBE.replace(b"\n", b"\n" + looks, 1))

    status, report, printed = judged(image, tmp_path, *FEW, *WITHOUT_SHELL, *NEEDS_SHELL)

    assert status == 0, printed
    found = rows(report)
    assert {id_: found[id_] for id_ in NO_SHELL} == NO_SHELL
    assert {id_: found[id_][0] for id_ in WITHOUT_SHELL} == dict.fromkeys(WITHOUT_SHELL, "conforms")
    assert {id_: row(report, id_)["reason"] for id_ in NEEDS_SHELL} == NEEDS_SHELL
    (note,) = notes(printed)
    assert note.startswith(
        "the image has no shell with tar, head, rm and env in it (no shell starts in the container: "
    )
    assert '"sh": executable file not found' in note
    assert row(report)["stdout"].splitlines() == [
        "700 10001:10001 /home/agent",
        "600 10001:10001 /home/agent/.claude/.credentials/session.json",
        "10001",
    ]


def test_an_image_without_a_shell_cannot_be_shared_and_that_is_told_once(
    plain_images: Images, tmp_path: Path
) -> None:
    """It answers on a read-only root file system as well."""
    few = (ONE, "codex/empty")

    status, report, printed = judged(
        shell_less(plain_images), tmp_path, *few, "--isolation", "both", "--read-only"
    )

    assert (status, rows(report)) == (0, {id_: RIGHT[id_] for id_ in few}), printed
    assert report["probe"]["isolation"] == "fresh"
    told = "no isolation but fresh, because the image has no shell to share: each scenario has a container of its own"
    assert notes(printed)[1:] == report["probe"]["notes"][1:] == [told]
    assert printed.count("no isolation but fresh") == 1


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_image_without_python_whose_probe_is_a_shell_script(
    plain_images: Images, isolation: str, tmp_path: Path
) -> None:
    """In a shared container the timeout of busybox is left behind: it watches from a process of its own."""
    watched = b'timeout -s KILL 10 "$cli" --version'
    only_claude = b'case $agent in claude) %s ;; *) "$cli" --version ;; esac' % watched
    probe = SHELL_PROBE.replace(watched, only_claude)
    assert probe != SHELL_PROBE
    few = (ONE, "agent/unmapped", "codex/empty", "codex/tokens", "claude/socket-only")

    status, report, printed = judged(
        small(plain_images, probe), tmp_path, *few, "--isolation", isolation
    )

    left = ("deviates", 0, ("left-process",)) if isolation == "shared" else RIGHT[ONE]
    expected = {
        **{id_: RIGHT[id_] for id_ in ("agent/unmapped", "codex/empty")},
        "codex/tokens": ("conforms", 0, ()),
    }
    assert rows(report) == {
        ONE: left,
        **expected,
        "claude/socket-only": ("unsupported", None, ()),
    }, printed
    assert status == (1 if isolation == "shared" else 0)
    if isolation == "shared":
        assert "timeout -s KILL 10 /bin/claude --version" in messages(report)["left-process"]
    said = "no tar archive can hold a socket, and the image has no python3 to make one"
    assert row(report, "claude/socket-only")["reason"] == said
    assert (report["probe"]["isolation"], notes(printed)) == (isolation, [])


#: What an image for another processor is told as.
FOREIGN = "the image is for arm64, and the engine runs amd64; build it for this machine, or use an engine on the other"


def foreign(images: Images, *programs: str) -> str:
    """Return an image whose *programs*, the first of which is its probe, no engine on this machine can start."""
    if platform.machine() != "x86_64":
        pytest.skip("the image is for another processor than x86_64")
    elf = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + bytes([2, 0, 183, 0, 1, 0, 0, 0]) + bytes(40)
    return images.of(
        dict.fromkeys(programs, elf), processor="arm64", entrypoint=[programs[0]], user="10001"
    )


def test_an_image_for_another_processor(plain_images: Images, tmp_path: Path) -> None:
    image = foreign(plain_images, "/probe", "/bin/sh")

    assert judged(image, tmp_path, ONE) == (3, {}, f"probe-conformance: {FOREIGN}\n")


def test_an_image_for_another_processor_that_has_no_shell(
    plain_images: Images, tmp_path: Path
) -> None:
    """Then only its probe can show that."""
    status, report, printed = judged(foreign(plain_images, "/probe"), tmp_path, ONE)

    assert status == 3, printed
    assert (rows(report), row(report)["reason"]) == ({ONE: ("broke", None, ())}, FOREIGN)


@pytest.mark.parametrize("reference", ["no-such-image:1", f"sha256:{'0' * 64}"])
def test_an_image_that_is_not_there(
    engine: docker.DockerClient, reference: str, tmp_path: Path
) -> None:
    line = f"no image '{reference}' on this engine; build it, or pull it, first"
    assert judged(reference, tmp_path, ONE) == (3, {}, f"probe-conformance: {line}\n")


# Images with a HOME of their own

OWN_PATH = {"PATH": "/home/agent/.local/bin:/usr/sbin:/usr/bin:/bin"}
OWN_HOME = {
    "/home/agent/.bashrc": b"umask 022\n",
    "/home/agent/.local/bin/claude": b"#!/bin/sh\n" + HEALTHY,
}


def test_an_image_that_keeps_its_cli_in_its_home(images: Images, tmp_path: Path) -> None:
    """What it keeps there lies under the home of each scenario, and its CLI gives way to stubs, in both isolations."""
    looks = (
        'cd "$HOME"; stat -c "%u %n" .bashrc .local/bin/* .claude/.credentials/*; command -v claude'
    )
    image = images.like_reference(
        {**OWN_HOME, **script(f"( {looks} ) 2>/dev/null\n{ASK}")}, env=OWN_PATH
    )
    cases = (ONE, "claude/baseline-only", "cli/exit-1", "cli/missing", "codex/empty")

    status, report, printed = judged(image, tmp_path, *cases, "--isolation", "both")

    right = {id_: RIGHT[id_] for id_ in cases if id_ in RIGHT}
    no_codex = (
        "deviates",
        64,
        ("wrong-verdict",),
    )  # there is none on that PATH, and the scenario is about a login
    assert rows(report) == {**right, "cli/missing": ("conforms", 64, ()), "codex/empty": no_codex}
    assert status == 1
    assert (report["probe"]["isolation"], notes(printed)) == ("both", [])
    assert row(report)["stdout"].splitlines() == [
        "10001 .bashrc",
        "10001 .local/bin/claude",
        "10001 .claude/.credentials/session.json",
        "/home/agent/.local/bin/claude",
    ]


def test_an_image_that_keeps_too_much_in_its_home(images: Images, tmp_path: Path) -> None:
    image = images.like_reference({"/home/agent/.cache/model": bytes(5 << 20)})
    few = (ONE, "codex/empty")

    status, report, printed = judged(image, tmp_path, *few, "--isolation", "both")

    assert (status, rows(report)) == (0, {id_: RIGHT[id_] for id_ in few}), printed
    assert report["probe"]["home"] == "/.probe-conformance-home"
    assert notes(printed) == [
        "the image keeps more than 4 MiB in /home/agent: homes lie in /.probe-conformance-home"
    ]
