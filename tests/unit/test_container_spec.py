"""One container: what the engine is asked for, and the command line that asks for the same by hand."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import docker
import pytest
from docker.errors import APIError
from msgspec.structs import replace

from conformance.drivers.container.request import Confinement
from conformance.drivers.container.spec import ContainerSpec, Volume
from conformance.errors import CannotJudge
from conformance.text import join

LABELS = {"probe-conformance.run": "run-0"}


class Engine:
    """Notes what it is asked for; what becomes of it is worked out by the SDK itself, which talks to nobody here."""

    def __init__(self) -> None:
        self.api = self
        self.asked: dict[str, Any] = {}

    def create_host_config(self, **options: Any) -> dict[str, Any]:
        client = docker.APIClient(base_url="tcp://127.0.0.1:1", version="1.41")
        try:
            return dict(client.create_host_config(**options))
        finally:
            client.close()

    def create_container(self, image: str, **options: Any) -> dict[str, str]:
        self.asked = {"image": image, **options}
        return {"Id": "made"}


def created(spec: ContainerSpec, *, stdin: bool = False) -> dict[str, Any]:
    engine = Engine()
    assert spec.create(engine, LABELS, stdin=stdin) == "made"  # type: ignore[arg-type]
    return engine.asked


def options_of(words: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the options of a ``docker run`` line by name, and what follows them: image and arguments."""
    assert words[:2] == ["docker", "run"]
    rest, found = list(words[2:]), dict[str, list[str]]()
    while rest[0].startswith("--"):
        name = rest.pop(0)
        found.setdefault(name, []).append("" if name in ("--rm", "--read-only") else rest.pop(0))
    return found, rest


PLAIN = ContainerSpec(image="agent:1", argv=("/entrypoint",))
FULL = ContainerSpec(
    image="sha256:0123",
    argv=("/entry point", "--flag", "two words", "it's", '"$HOME"', ""),
    environment={
        "A": "b c",
        "EMPTY": "",
        "QUOTE": 'it\'s "x" $y `z` \\',
        "GONE": None,
        "LINES": "1\n2",
    },
    user="10001:0",
    directory="/work dir",
    volumes=(
        Volume(name="v-home", target="/home/agent", read_only=True),
        Volume(name="v-aside", target="/.probe-conformance"),
    ),
    read_only=True,
    confinement=Confinement(network="bridge", cap_add=("NET_RAW", "CHOWN"), memory="64m", pids=100),
)


def test_all_confinement_is_on_by_default_as_the_engine_is_asked() -> None:
    host = created(PLAIN)["host_config"]
    assert host["NetworkMode"] == "none"
    assert (host["CapDrop"], host.get("CapAdd") or []) == (["ALL"], [])
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Memory"] == host["MemorySwap"] == 1024**3
    assert host["PidsLimit"] == 512
    assert not host.get("Privileged")
    assert not host.get("Devices")


@pytest.mark.parametrize(
    ("spec", "changed"),
    [
        (replace(PLAIN, confinement=Confinement(cap_add=("NET_RAW",))), {"CapAdd"}),
        (replace(PLAIN, confinement=Confinement(memory="64m")), {"Memory", "MemorySwap"}),
        (replace(PLAIN, confinement=Confinement(network="bridge")), {"NetworkMode"}),
        (replace(PLAIN, confinement=Confinement(pids=100)), {"PidsLimit"}),
        (replace(PLAIN, read_only=True), {"ReadonlyRootfs", "Tmpfs"}),
        (replace(PLAIN, user="12345:0"), set()),
    ],
    ids=["cap-add", "memory", "network", "pids", "read-only", "user"],
)
def test_what_is_loosened_changes_one_thing_and_no_other(
    spec: ContainerSpec, changed: set[str]
) -> None:
    before, after = created(PLAIN)["host_config"], created(spec)["host_config"]
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} == changed


def test_all_confinement_is_on_by_default_as_it_is_typed() -> None:
    options, rest = options_of(PLAIN.docker_run())
    assert options == {
        "--rm": [""],
        "--network": ["none"],
        "--cap-drop": ["ALL"],
        "--security-opt": ["no-new-privileges"],
        "--memory": ["1g"],
        "--memory-swap": ["1g"],
        "--pids-limit": ["512"],
        "--entrypoint": ["/entrypoint"],
    }
    assert rest == ["agent:1"]


@pytest.mark.parametrize("spec", [PLAIN, FULL, replace(FULL, read_only=False)])
def test_nothing_of_the_engines_machine_is_mounted(spec: ContainerSpec) -> None:
    """Neither its socket nor any path, so that remote engines work and nothing there is in reach."""
    host = created(spec)["host_config"]
    assert not host.get("Binds")
    assert not host.get("VolumesFrom")
    assert not host.get("PidMode")
    assert not host.get("IpcMode")
    assert {mount["Type"] for mount in host.get("Mounts", [])} <= {"volume"}
    assert not [
        mount
        for mount in host.get("Mounts", [])
        if mount["Source"].startswith("/") or "sock" in mount["Source"]
    ]
    options, _ = options_of(spec.docker_run())
    assert not options.keys() & {
        "--mount",
        "--volumes-from",
        "--privileged",
        "--pid",
        "--ipc",
        "--device",
    }
    assert not [
        text for text in options.get("--volume", []) if text.startswith("/") or ".sock" in text
    ]


def test_what_is_typed_asks_for_all_that_the_engine_is_asked_for() -> None:
    asked = created(FULL)
    host = asked["host_config"]
    options, rest = options_of(FULL.docker_run())

    assert [asked["image"], *asked["command"]] == rest
    assert [asked["entrypoint"], [asked["user"]], [asked["working_dir"]]] == [
        options[name] for name in ("--entrypoint", "--user", "--workdir")
    ]
    assert sorted(asked["environment"]) == sorted(options["--env"])
    assert [
        [host["NetworkMode"]],
        host["CapDrop"],
        host["CapAdd"],
        host["SecurityOpt"],
        [str(host["PidsLimit"])],
    ] == [
        options[name]
        for name in ("--network", "--cap-drop", "--cap-add", "--security-opt", "--pids-limit")
    ]
    assert host["Memory"] == host["MemorySwap"] == 64 * 1024**2
    assert options["--memory"] == options["--memory-swap"] == ["64m"]
    assert host["ReadonlyRootfs"]
    assert options["--read-only"] == [""]
    assert [f"{path}:{how}" for path, how in host["Tmpfs"].items()] == options["--tmpfs"]
    assert [
        f"{mount['Source']}:{mount['Target']}:nocopy{',ro' if mount['ReadOnly'] else ''}"
        for mount in host["Mounts"]
    ] == options["--volume"]
    assert [mount["VolumeOptions"]["NoCopy"] for mount in host["Mounts"]] == [True, True]


def test_values_reach_the_engine_as_they_are_and_what_is_to_go_away_has_no_value() -> None:
    assert created(FULL)["environment"] == [
        "A=b c",
        "EMPTY=",
        'QUOTE=it\'s "x" $y `z` \\',
        "GONE",
        "LINES=1\n2",
    ]
    assert created(FULL)["command"] == ["--flag", "two words", "it's", '"$HOME"', ""]


def test_the_line_survives_a_shell() -> None:
    assert shlex.split(join(FULL.docker_run())) == FULL.docker_run()


def test_what_the_image_says_itself_is_left_to_it() -> None:
    asked = created(PLAIN)
    assert (asked["user"], asked["working_dir"], asked["environment"], asked["command"]) == (
        "",
        None,
        [],
        [],
    )
    assert asked["entrypoint"] == ["/entrypoint"]
    assert asked["labels"] == LABELS


def test_standard_input_is_open_only_for_a_shell_whose_container_goes_with_it() -> None:
    assert (
        created(PLAIN)["stdin_open"],
        created(PLAIN)["host_config"].get("AutoRemove", False),
    ) == (False, False)
    assert (
        created(PLAIN, stdin=True)["stdin_open"],
        created(PLAIN, stdin=True)["host_config"]["AutoRemove"],
    ) == (True, True)


def test_the_engine_writes_no_log() -> None:
    assert created(PLAIN)["host_config"]["LogConfig"]["Type"] == "none"


def test_scratch_space_is_there_only_where_the_rest_cannot_be_written() -> None:
    assert PLAIN.scratch() == {}
    assert not created(PLAIN)["host_config"].get("Tmpfs")
    assert replace(PLAIN, read_only=True).scratch() == {
        "/tmp": "rw,exec,mode=1777",
        "/var/tmp": "rw,exec,mode=1777",
        "/run": "rw,exec,mode=755",
    }
    # A HOME in such a place is a volume already.
    home = Volume(name="v", target="/tmp")
    assert replace(PLAIN, read_only=True, volumes=(home,)).scratch().keys() == {"/var/tmp", "/run"}


def test_what_the_engine_refuses_is_told() -> None:
    class Refusing(Engine):
        def create_container(self, image: str, **options: Any) -> dict[str, str]:
            raise APIError("400 Client Error", explanation="invalid reference\nformat")

    with pytest.raises(CannotJudge) as caught:
        PLAIN.create(Refusing(), LABELS)  # type: ignore[arg-type]
    assert str(caught.value) == "the engine does not make the container: invalid reference format"


@pytest.mark.parametrize("memory", ["512m", "1g", "64M", "1048576", "2048k", "100000000b", "1G"])
def test_every_size_that_options_take_is_one_to_the_engine(memory: str) -> None:
    host = created(replace(PLAIN, confinement=Confinement(memory=memory)))["host_config"]
    assert host["Memory"] == host["MemorySwap"] > 0
