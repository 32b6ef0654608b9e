"""The container driver on a real engine: the catalogue in both isolations, what is left behind, and an engine that goes away."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from support_catalogue import growth
from support_cli import suite
from support_image import ours, rows, run

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.drivers.container.labels import HOST, LOCK, MADE, RUN, host

#: Runs the suite so that it can be interrupted, also where our own caller ignores that.
INTERRUPTIBLE = [
    sys.executable,
    "-c",
    "import runpy, signal\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "runpy.run_module('conformance', run_name='__main__', alter_sys=True)",
]


def text(command: list[str], cwd: Path, **options: object) -> tuple[int, str]:
    done = subprocess.run(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


#: Where modes and owners matter, and so whether a probe is root.
OF_USERS = (
    "claude/*able*",
    "claude/dot-claude-*",
    "codex/*able*",
    "claude/*mode*",
    "container/*",
    "*/owner/*",
)

#: CLIs that are broken, each in its own way.
BROKEN = ("cli/exit*", "cli/hang*", "cli/no*")


@pytest.mark.in_turn(6)
def test_the_reference_image_conforms_alike_in_both_isolations(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    """The page of pipelines runs the whole catalogue in shared containers.

    Here is what fresh containers are about, and where more than one answer is right: unequal
    answers are a finding.
    """
    slot = contracts.load("slot")
    several = [one.id for one in load_catalogue().in_contract(slot) if len(one.codes(slot)) > 1]
    several = several[::3]
    words = ("agent/*", *BROKEN, "codex/e*", *OF_USERS, *several)

    status, report, printed = run(
        reference_image, *words, "--isolation", "both", "-n", "4", cwd=tmp_path, timeout=500
    )

    found = rows(report)
    assert {id_: row for id_, row in found.items() if row[0] != "conforms"} == {}, printed
    assert (status, report["probe"]["isolation"], report["probe"]["notes"]) == (0, "both", [])
    assert len([id_ for id_ in found if id_.startswith("container/")]) >= 5
    assert len(several) > 5
    assert found.keys() >= set(several)
    assert ours(engine) == []
    says_what_was_run(engine, reference_image, report, printed)


def says_what_was_run(
    engine: docker.DockerClient, image: str, report: dict[str, Any], printed: str
) -> None:
    """Fail unless image and engine stand in the report, and in what was *printed*."""
    found = engine.api.inspect_image(image)  # type: ignore[no-untyped-call]
    probe = report["probe"]
    assert (probe["kind"], probe["image"], probe["image_id"]) == ("image", image, found["Id"])
    assert probe["digest"] in (found["Id"], *found["RepoDigests"])
    assert engine.version()["Version"] in probe["engine"]
    expected = ("10001:10001", "/home/agent", "cut", "dropped")
    assert (probe["user"], probe["home"], probe["network"], probe["capabilities"]) == expected
    assert f"({probe['digest']}) on {probe['engine']}" in printed


@pytest.mark.in_turn(12)
def test_the_reference_image_conforms_as_root_in_shared_containers(
    reference_image: str, tmp_path: Path
) -> None:
    status, report, printed = run(
        reference_image, "--isolation", "shared", "--user", "0", *OF_USERS, cwd=tmp_path
    )

    assert {id_: row for id_, row in rows(report).items() if row[0] != "conforms"} == {}, printed
    assert status == 0
    assert (report["probe"]["isolation"], report["probe"]["user"]) == ("shared", "0:0")


@pytest.mark.in_turn(12)
def test_the_gate_of_s2_runs_in_the_image_too(reference_image: str, tmp_path: Path) -> None:
    arguments = (
        "--contract",
        "preflight",
        "--command",
        "/opt/conformance/preflight.py",
        "--isolation",
        "shared",
    )

    status, report, printed = run(reference_image, *arguments, "preflight/*", cwd=tmp_path)

    assert status == 0, printed
    assert report["counts"]["conforms"] == len(rows(report)) > 15


@pytest.mark.in_turn(12)
def test_runs_are_judged_in_the_image_and_logs_of_100_mb_cost_the_suite_little_memory(
    reference_image: str, tmp_path: Path
) -> None:
    arguments = ("--contract", "run-result", "--command", "/opt/conformance/run_result.py")
    patterns = ("run-result/no-log/*", "run-result/exit-code/*", "run-result/auth-lost/cli*")

    status, report, printed = run(
        reference_image, *arguments, "--isolation", "shared", *patterns, cwd=tmp_path
    )

    assert status == 0, printed
    assert report["counts"]["conforms"] == len(rows(report)) > 30
    assert report["advice"] == 0
    assert growth(tmp_path, "--image", reference_image, *arguments) < 64 * 1024


@pytest.mark.in_turn(4)
def test_the_plugin_takes_an_image(reference_image: str, tmp_path: Path) -> None:
    where = next(Path(__file__).parents[2].glob("scenarios/claude/nested-session.toml"))
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
    ]
    loaded = [] if _installed() else ["-p", "pytest_probe_conformance"]

    options = ["--conformance-image", reference_image, "--conformance-isolation", "shared"]
    status, printed = text([*words, *loaded, *options, str(where)], tmp_path)

    assert status == 0, printed
    assert "1 passed" in printed


def _installed() -> bool:
    from importlib.metadata import entry_points  # noqa: PLC0415

    return any(one.value == "pytest_probe_conformance" for one in entry_points(group="pytest11"))


def started(
    image: str, cwd: Path, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a run that takes long."""
    return subprocess.Popen(
        [*INTERRUPTIBLE, "run", "--image", image, "-n", "2", "--json", "report.json", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
        start_new_session=True,
    )


def until_it_works(client: docker.DockerClient, *, things: int = 9) -> None:
    """Wait until a run has so many *things* on the engine: more than it looks the image up with."""
    deadline = time.monotonic() + 60
    while len(ours(client)) < things:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def until_it_rests(client: docker.DockerClient) -> None:
    """Wait until the engine has done what a run asked for that is gone: it may still make what was on its way."""
    seen: list[str] = []
    while (now := ours(client)) != seen:
        seen = now
        time.sleep(1)


@pytest.mark.in_turn(12)
@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_interrupted_run_leaves_nothing(
    engine: docker.DockerClient, reference_image: str, isolation: str, tmp_path: Path
) -> None:
    with started(reference_image, tmp_path, "--isolation", isolation) as process:
        until_it_works(engine)
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=60)[0]

    assert process.returncode == 130, printed
    assert "INTERRUPTED" in printed
    assert "Traceback" not in printed
    assert (tmp_path / "report.json").exists()
    assert ours(engine) == []


@pytest.mark.in_turn(4)
def test_the_next_run_removes_what_a_killed_one_has_left(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    with started(reference_image, tmp_path) as process:  # the whole catalogue: it is not over yet
        until_it_works(engine, things=5)
        os.killpg(process.pid, signal.SIGKILL)
    # What was there then is left, until any run on this engine begins: also one of another test, beside this one.
    until_it_rests(engine)

    assert run(reference_image, "claude/nested-session", cwd=tmp_path)[0] == 0
    assert ours(engine) == []


@pytest.mark.in_turn(4)
def test_sweep_removes_what_is_dead_and_ours_and_nothing_else(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    api = engine.api
    dead = {
        RUN: "run-dead",
        LOCK: str(tmp_path / "gone.lock"),
        HOST: host(),
        MADE: f"{time.time():.0f}",
    }
    elsewhere = {**dead, HOST: "another"}
    with started(reference_image, tmp_path, "cli/hangs", "cli/slow") as alive:
        until_it_works(engine, things=5)
        made = [
            api.create_container(reference_image, labels=labels)["Id"]
            for labels in (dead, elsewhere, {"some": "body's"})
        ]
        volume = api.create_volume(labels=dead)["Name"]
        try:
            swept = suite(tmp_path, "sweep", merged=True)
            there = {one["Id"] for one in api.containers(all=True)}
        finally:
            for container in made:
                with suppress(docker.errors.APIError):
                    api.remove_container(container, force=True)
        said = alive.communicate(timeout=60)[0]

    assert swept.returncode == 0
    # A run that has started meanwhile, in another test, may have been faster.
    assert volume not in [one["Name"] for one in api.volumes().get("Volumes") or []]
    assert re.sub(r"removed (container|volume|image|directory) \S+\n", "", swept.stdout) == ""
    assert [container in there for container in made] == [False, True, True]
    assert alive.returncode == 0, said  # nothing of it was taken away


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes, until the end of it."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def way_to_the_engine(place: Path) -> Iterator[tuple[Path, threading.Event]]:
    """Yield a socket that leads to the engine, and an event that breaks every connection and lets nobody in any more."""
    real = (os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock").removeprefix("unix://")
    path, cut = place / "engine.sock", threading.Event()
    pairs: list[socket.socket] = []

    def serve(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(real)
                pairs.extend((near, far))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=ends, daemon=True).start()

    def watch(server: socket.socket) -> None:
        cut.wait()
        path.unlink()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        for one in pairs:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    server = socket.socket(socket.AF_UNIX)
    server.bind(os.fspath(path))
    server.listen(64)
    threads = [
        threading.Thread(target=work, args=(server,), daemon=True) for work in (serve, watch)
    ]
    for thread in threads:
        thread.start()
    try:
        yield path, cut
    finally:
        cut.set()
        for thread in threads:
            thread.join(5)
        for one in pairs:
            one.close()


@pytest.mark.in_turn(12)
@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_engine_that_goes_away_ends_the_run(
    engine: docker.DockerClient, reference_image: str, isolation: str, tmp_path: Path
) -> None:
    """Whoever kills the engine cuts every connection to it at once, and refuses new ones."""
    with way_to_the_engine(tmp_path) as (path, cut):
        env = {**os.environ, "DOCKER_HOST": f"unix://{path}"}
        with started(reference_image, tmp_path, "--isolation", isolation, env=env) as process:
            until_it_works(engine)
            cut.set()
            at = time.monotonic()
            printed = process.communicate(timeout=100)[0]

    assert process.returncode == 3, printed
    assert time.monotonic() - at < 30
    assert "Traceback" not in printed
    assert "the container engine was lost" in printed
    assert '"exit_status": 3' in (tmp_path / "report.json").read_text()
    assert suite(tmp_path, "sweep").returncode == 0
    assert ours(engine) == []


@pytest.mark.in_turn(4)
def test_the_line_that_repro_prints_repeats_the_case(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    """As often as one likes; what it needs stays until the user says otherwise.

    One case is plain, one hides the image's own CLI, and one is started by a shell.
    """
    for scenario in ("codex/empty", "cli/missing", "container/home-unset-no-passwd-codex"):
        done = suite(tmp_path, "repro", scenario, "--image", reference_image, merged=True)
        line = re.search(r"^  (docker run .*)$", done.stdout, re.MULTILINE)
        assert line is not None, done.stdout
        command = ["sh", "-c", line[1]]
        codes = [
            subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode
            for _ in range(2)
        ]
        assert done.returncode == 0
        assert codes == [int(done.stdout.split("\ngot: ")[1].split("(")[1].split(")")[0])] * 2

    volumes = set(ours(engine))
    assert volumes != set()  # the lines need them
    assert suite(tmp_path, "sweep").returncode == 0  # it may find what another test has left
    assert set(ours(engine)) == volumes
    assert suite(tmp_path, "sweep", "--kept").returncode == 0
    assert ours(engine) == []
