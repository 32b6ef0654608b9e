"""What is asked of an image: references, options that go together, and the words that ask for the same again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from conformance.cli import main
from conformance.cli.image_request import image_argv, image_request
from conformance.cli.options import IMAGE_OPTIONS, image_options
from conformance.cli.request import repro_argv
from conformance.drivers.container.request import Confinement, ImageRequest, check_reference
from conformance.errors import UsageError

DIGEST = "sha256:" + "0123456789abcdef" * 4
NOTHING: dict[str, Any] = {**dict.fromkeys(IMAGE_OPTIONS), "cap_add": (), "engine": ()}


@pytest.mark.parametrize(
    "reference",
    [
        "agent",
        "agent:1",
        "agent:Latest_1.0-rc.1",
        f"agent:{'t' * 128}",
        "a",
        "agent-image",
        "agent--image",
        "agent__image",
        "agent_image.v2",
        "team/agent",
        "a/b/c/d:1",
        "registry.example.com/team/agent:1",
        "Registry.Example.com/team/agent",
        "localhost:5000/agent",
        "localhost:5000/agent:5000",
        "10.0.0.1:5000/agent",
        "[2001:db8::1]:5000/agent",
        f"agent@{DIGEST}",
        f"agent:1@{DIGEST}",
        f"localhost:5000/team/agent:1@{DIGEST}",
        DIGEST,
        DIGEST.removeprefix("sha256:"),
        DIGEST.removeprefix("sha256:")[:12],
        "sha256:0123456789ab",
        "sha256:xyz",  # a name and a tag
        f"{'n' * 255}",
    ],
)
def test_what_can_name_an_image_is_taken(reference: str) -> None:
    check_reference(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        " ",
        "Agent",
        "team/Agent",
        "agent:",
        ":1",
        "agent:-1",
        "agent:.1",
        "agent:a b",
        "agent:1:2",
        f"agent:{'t' * 129}",
        "agent ",
        " agent",
        "agent\n",
        "ag\tent",
        "-agent",
        "--privileged",
        "agent-",
        "_agent",
        ".agent",
        "a..b",
        "..",
        "../agent",
        "./agent",
        "/agent",
        "agent/",
        "a//b",
        "a___b",
        "agent@",
        "agent@sha256:0123",
        f"agent@{DIGEST}0",
        f"agent@{DIGEST.upper()}",
        "agent@md5:0123456789abcdef",
        f"@{DIGEST}",
        "http://registry.example.com/agent",
        "localhost:port/agent",
        "{x}",
        "agént",
        "agent:é",
        "agent:١",
        "agent\0",
        "$(id)",
        "n" * 513,
    ],
)
def test_what_can_name_no_image_is_refused(reference: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_reference(reference)
    assert caught.value.lines() == [str(caught.value)]
    assert str(caught.value).endswith(
        " is not an image reference; write it like name, name:tag or host/name@sha256:…"
    )
    assert "\n" not in str(caught.value)


def test_a_reference_of_any_length_is_refused_at_once() -> None:
    """No part of the pattern takes more than one pass, whatever it is given."""
    for text in (
        "a-" * 50_000,
        "a." * 50_000 + "!",
        "a/" * 50_000,
        "0" * 50_000 + "G",
        "A." * 50_000 + "/",
    ):
        with pytest.raises(UsageError):
            check_reference(text)


def test_a_request_without_options_has_the_defaults() -> None:
    assert image_request("agent:1", NOTHING) == ImageRequest(reference="agent:1")
    assert ImageRequest(reference="agent:1").isolation == "fresh"
    assert Confinement() == Confinement(
        network="none", cap_add=(), memory="1g", writable=None, pids=512
    )


def test_without_an_image_there_is_no_request() -> None:
    assert image_request(None, NOTHING) is None


GIVEN: dict[str, Any] = {
    "isolation": "both",
    "entrypoint": "/opt/probe --agent 'a b'",
    "command": "one 'two three'",
    "user": "10001:0",
    "network": "bridge",
    "cap_add": ("NET_RAW", "CAP_CHOWN"),
    "memory": "512m",
    "read_only": True,
    "engine": ("unix:///run/one.sock", "builder"),
    "platform": "linux/arm64",
}


def test_every_option_reaches_the_request() -> None:
    assert image_request("agent", GIVEN) == ImageRequest(
        reference="agent",
        isolation="both",
        entrypoint=("/opt/probe", "--agent", "a b"),
        command=("one", "two three"),
        user="10001:0",
        confinement=Confinement(
            network="bridge", cap_add=("NET_RAW", "CAP_CHOWN"), memory="512m", writable=False
        ),
        engines=("unix:///run/one.sock", "builder"),
        platform="linux/arm64",
    )


def test_all_options_about_images_are_known_as_such() -> None:
    @click.command()
    @image_options
    def command(**_: Any) -> None: ...

    assert {parameter.name for parameter in command.params} == {*IMAGE_OPTIONS} == GIVEN.keys()


@pytest.mark.parametrize(("read_only", "writable"), [(None, None), (True, False), (False, True)])
def test_the_root_file_system_is_left_to_the_isolation_unless_something_is_said(
    read_only: Any, writable: Any
) -> None:
    request = image_request("agent", {**NOTHING, "read_only": read_only})
    assert request is not None
    assert request.confinement.writable is writable


def test_an_empty_command_is_none_of_the_images_own() -> None:
    request = image_request("agent", {**NOTHING, "command": ""})
    assert request is not None
    assert (request.command, request.entrypoint) == ((), None)


@pytest.mark.parametrize("name", [name for name in GIVEN if name != "read_only"])
def test_an_option_about_an_image_needs_one(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        image_request(None, {**NOTHING, name: GIVEN[name]})
    assert (
        str(caught.value) == f"--{name.replace('_', '-')} is about an image; name one with --image"
    )


@pytest.mark.parametrize(("read_only", "option"), [(True, "--read-only"), (False, "--writable")])
def test_so_does_what_is_said_of_its_root_file_system(read_only: bool, option: str) -> None:
    with pytest.raises(UsageError) as caught:
        image_request(None, {**NOTHING, "read_only": read_only})
    assert str(caught.value) == f"{option} is about an image; name one with --image"


WRONG = [
    ("memory", "", "--memory '' is not a size; write it like 512m or 2g"),
    ("memory", "lots", "--memory 'lots' is not a size; write it like 512m or 2g"),
    ("memory", "0", "--memory '0' is not a size; write it like 512m or 2g"),
    ("memory", "-1", "--memory '-1' is not a size; write it like 512m or 2g"),
    ("memory", "1.5g", "--memory '1.5g' is not a size; write it like 512m or 2g"),
    ("memory", "1gb", "--memory '1gb' is not a size; write it like 512m or 2g"),
    ("memory", "1 g", "--memory '1 g' is not a size; write it like 512m or 2g"),
    ("cap_add", ("net raw",), "--cap-add 'net raw' is not a capability; write it like NET_RAW"),
    ("cap_add", ("NET_RAW", ""), "--cap-add '' is not a capability; write it like NET_RAW"),
    ("user", "", "--user '' is not a user; write it like 10001, 10001:0 or agent"),
    ("user", "a b", "--user 'a b' is not a user; write it like 10001, 10001:0 or agent"),
    ("user", ":0", "--user ':0' is not a user; write it like 10001, 10001:0 or agent"),
    ("user", "1:2:3", "--user '1:2:3' is not a user; write it like 10001, 10001:0 or agent"),
    ("entrypoint", "", "--entrypoint is empty; name a program in the image"),
    ("entrypoint", "''", "--entrypoint is empty; name a program in the image"),
    (
        "entrypoint",
        "sh -c 'x",
        "--entrypoint cannot be split: no closing quotation; quote it like in a shell",
    ),
    ("command", "x\\", "--command cannot be split: no escaped character; quote it like in a shell"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_an_option_that_is_wrong_is_told(name: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        image_request("agent", {**NOTHING, name: value})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "memory", ["1", "67108864", "64m", "64M", "1g", "1G", "2048k", "100000000b"]
)
def test_sizes_are_as_engines_take_them(memory: str) -> None:
    request = image_request("agent", {**NOTHING, "memory": memory})
    assert request is not None
    assert request.confinement.memory == memory


@pytest.mark.parametrize(
    "given", [NOTHING, GIVEN, {**GIVEN, "read_only": False}, {**NOTHING, "cap_add": ("NET_RAW",)}]
)
def test_the_words_of_a_request_ask_for_the_same_again(given: dict[str, Any]) -> None:
    @click.command()
    @click.option("--image")
    @image_options
    def command(**options: Any) -> None:
        asked.append(options)

    asked: list[dict[str, Any]] = []
    words = image_argv({"image": "agent:1", **given})
    command(words, standalone_mode=False)
    assert asked == [{"image": "agent:1", **given}]
    assert image_argv({"image": None, **given}) == []


def test_the_command_that_repeats_a_scenario_names_the_image() -> None:
    options = {
        "probe": None,
        "image": "agent",
        "python": None,
        "contract": "slot",
        "directories": (),
        "env": ("A=b c",),
        "pass_env": (),
        "allow_writes": (),
        "repeat": 1,
    }
    words = ["probe-conformance", "repro", "--image", "agent", "--user", "0", "--env", "A=b c"]
    assert repro_argv({**options, **NOTHING, "user": "0"}) == words


# Through the command line


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Any, list[str]]:
    """Run a command here; return its exit status, and the lines it printed, of which none may go to standard output."""
    with pytest.raises(SystemExit) as caught:
        main([*words])
    output = capsys.readouterr()
    assert output.out == ""
    return caught.value.code, output.err.splitlines()


@pytest.mark.parametrize("command", ["run", "repro"])
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--image", "Agent"],
            "'Agent' is not an image reference; write it like name, name:tag or host/name@sha256:…",
        ),
        (
            ["--image", "a", "--probe", "true"],
            "--probe and --image name two probes; give one of them",
        ),
        (["--user", "0"], "--user is about an image; name one with --image"),
        (["--writable"], "--writable is about an image; name one with --image"),
        (
            ["--image", "a", "--memory", "much"],
            "--memory 'much' is not a size; write it like 512m or 2g",
        ),
        (
            ["--image", "a", "--cap-add", "-x"],
            "--cap-add '-x' is not a capability; write it like NET_RAW",
        ),
        (
            ["--image", "a", "--env", "HOME=/x"],
            "HOME is set by the contract 'slot'; leave it out of --env and --pass-env",
        ),
    ],
)
def test_a_request_that_is_wrong_is_one_line_and_exit_status_2(
    command: str, words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, command, *words, "claude/nested-session") == (
        2,
        [f"probe-conformance: {line}"],
    )


def test_an_isolation_that_nobody_knows_is_one_line_and_exit_status_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, lines = said(capsys, "run", "--image", "a", "--isolation", "none")
    assert (status, len(lines)) == (2, 1)
    assert "'none' is not one of 'fresh', 'shared', 'both'" in lines[0]


def test_as_a_process_of_its_own_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "run", "--image", "a b"],
        env={
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PATH": "",
            "XDG_CACHE_HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    line = "probe-conformance: 'a b' is not an image reference; write it like name, name:tag or host/name@sha256:…\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
    assert not list(tmp_path.iterdir())
