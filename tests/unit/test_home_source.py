"""The argument and the options of all commands that take a real HOME lead to it, or say what is wrong."""

from __future__ import annotations

import io
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import click
import pytest

from conformance.cli.home_source import source_options
from conformance.drivers.container import found_home
from conformance.errors import ConformanceError
from conformance.home.reading import FoundHome, HomeSource, read_home


@click.command()
@source_options
@click.option("--other")
def command(source: HomeSource, other: str) -> tuple[HomeSource, str]:
    return source, other


@click.command()
@source_options
@click.option("--image")
def asking(source: HomeSource, image: str, engine: tuple[str, ...]) -> Any:
    return source, engine


def source(*arguments: str) -> Any:
    return command.main(list(arguments), standalone_mode=False)[0]


def found(*arguments: str) -> FoundHome:
    return read_home(source(*arguments))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".claude.json").write_text("{}")
    return home


def content(home: FoundHome) -> bytes | None:
    return home.seen.nodes[b".claude.json"].content


def test_a_directory(home: Path) -> None:
    assert content(found(os.fspath(home))) == b"{}"
    assert found(os.fspath(home)).path == os.fspath(home)
    assert found(os.fspath(home), "--at", "/home/agent").path == "/home/agent"


def test_other_options_of_a_command_stay_its_own(home: Path) -> None:
    result = command.main([os.fspath(home), "--other", "x"], standalone_mode=False)

    assert result[1] == "x"


def test_a_tar_file_a_pipe_and_standard_input(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tar = subprocess.run(["tar", "-C", home, "-c", "."], stdout=subprocess.PIPE, check=True).stdout
    (tmp_path / "home.tar").write_bytes(tar)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(tar,))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(tar)))

    assert content(found(os.fspath(tmp_path / "home.tar"))) == b"{}"
    assert found(os.fspath(tmp_path / "home.tar")).path == ""
    assert content(found("-", "--at", "/x")) == b"{}"
    writer.start()
    assert content(found(os.fspath(tmp_path / "pipe"))) == b"{}"
    writer.join()


@pytest.mark.parametrize("option", ["container", "volume"])
def test_what_an_engine_has(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setattr(found_home, f"{option}_home", lambda *args, at, engine: (*args, at, engine))

    assert source(f"--{option}", "slot") == ("slot", "", "", "")
    assert source(f"--{option}", "slot:/a:b", "--at", "/x") == ("slot", "/a:b", "/x", "")
    assert source(f"--{option}", "slot", "--engine", "ssh://far") == ("slot", "", "", "ssh://far")


@pytest.mark.parametrize("option", ["container", "volume"])
def test_an_engine_is_asked_by_its_name(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    """None is there, which both say with the name that was typed."""
    with pytest.raises(ConformanceError) as error:
        source(f"--{option}", "slot", "--engine", "unix:///none/docker.sock")

    assert str(error.value) == (
        "no container engine at unix:///none/docker.sock; start it, or name another"
    )


def test_an_image_that_is_asked_in_a_home_is_on_the_same_engine(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_home, "container_home", lambda *_, at, engine: engine)

    def asked(*arguments: str) -> Any:
        return asking.main(list(arguments), standalone_mode=False)

    here, engines = os.fspath(home), ("--engine", "a1", "--engine", "b1")
    assert asked(here, "--image", "x", *engines)[1] == ("a1", "b1")
    assert asked("--container", "slot", "--image", "x", *engines[:2]) == ("a1", ("a1",))
    assert asked("--container", "slot", *engines[:2]) == ("a1", ())
    with pytest.raises(ConformanceError) as error:
        asked(here, *engines)
    assert str(error.value) == (
        "--engine is about a container, a volume or an image; name one, or leave it out"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no HOME is named; name a directory, a tar file, '-', --container NAME or"),
        (["x", "--volume", "y"], "more than one HOME is named; name"),
        (["--container", "x", "--volume", "y"], "more than one HOME is named; name"),
        (["--container", ":/x"], "':/x' names nothing; name"),
        (["--volume", ""], "'' names nothing; name"),
        (["/none"], "/none cannot be looked at: No such file or directory; name"),
        (["/dev/null"], "/dev/null is not a directory; name the directory"),
        (["/", "--at", "x"], r"--at x is not an absolute path; begin it with '/'"),
        (["/", "--engine", "a1"], "--engine is about a container or a volume; name one, or leave"),
        (
            ["--volume", "v", "--engine", "a1", "--engine", "b1"],
            "v is on one engine, and 2 are named; name that one with --engine",
        ),
        (["--volume", "v", "--engine", "/run/x"], "'/run/x' is neither the URL of an engine nor"),
        (["-"], "standard input is a terminal, and no tar stream; pipe one in"),
    ],
)
def test_what_is_wrong_is_said_with_a_way_out(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    with pytest.raises(ConformanceError) as error:
        source(*arguments)

    assert str(error.value).startswith(said)
    assert error.value.exit_status == 2
