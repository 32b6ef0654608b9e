"""What people type about engines: names, platforms, options, settings, and what is said back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from factories import bundled_catalogue, image_facts, refusal, result
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.cli import cli, sweep
from conformance.cli.settings import taken
from conformance.drivers.container import prepare
from conformance.drivers.container.described import described
from conformance.drivers.container.engine_name import (
    SshPlace,
    check_engines,
    check_platform,
    docker_options,
    fits,
    machines,
)
from conformance.drivers.container.engines import EnginePool
from conformance.drivers.container.facts import look_up
from conformance.drivers.container.reach import Reached
from conformance.drivers.container.request import ImageFacts, ImageRequest
from conformance.errors import CannotJudge, ManyErrors, UsageError
from conformance.judge.known_failures import KnownFailures
from conformance.judge.tally import RunReport
from conformance.model.outcome import Moved
from conformance.model.placeholders import Context
from conformance.model.wording import probe_lines
from conformance.report.terminal import Terminal
from conformance.run.pytest_run import worker_count
from conformance.wiring.inspection import inspect_image

SLOT = contracts.load("slot")


@pytest.mark.parametrize(
    "name",
    [
        "unix:///run/docker.sock",
        "unix:///run/with space/docker.sock",
        "ssh://far",
        "ssh://me@far",
        "ssh://me@far.example.com:2222/run/user/1000/docker.sock",
        "ssh://[2001:db8::1]:22",
        "tcp://far:2376",
        "tcp://[2001:db8::1]:2376",
        "tcp://10.0.0.1:2376/",
        "default",
        "desktop-linux",
        "my_context.2+x",
    ],
)
def test_what_can_name_an_engine_is_taken(name: str) -> None:
    check_engines([name])


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "-context",
        "/var/run/docker.sock",
        "unix://",
        "unix://run/docker.sock",
        "http://far:2375",
        "npipe:////./pipe/docker_engine",
        "tcp://far",
        "tcp://me:secret@far:2376",
        "ssh://",
        "ssh://me:secret@far",
        "ssh://-oProxyCommand=id",
        "ssh://-l@far",
        "ssh://far:port",
        "ssh://far/run:x/docker.sock",
        "ssh://far/run dir/docker.sock",
        "ssh://far\n",
        "a context",
        "$(id)",
    ],
)
def test_what_can_name_no_engine_is_a_wrong_request(name: str) -> None:
    said = refusal(UsageError, check_engines, [name])
    assert " is neither the URL of an engine " in said or " is not the URL of an engine; " in said
    assert "; write it like " in said
    assert "secret" not in said


def test_an_engine_is_named_once() -> None:
    said = refusal(UsageError, check_engines, ["default", "ssh://far", "default"])
    assert said == "the engine default is named twice; name it once"


def test_the_parts_of_a_place_that_ssh_reaches() -> None:
    place = SshPlace.in_url("ssh://me@far:2222/run/user/1000/docker.sock")
    assert place == SshPlace(
        host="far", user="me", port="2222", socket="/run/user/1000/docker.sock"
    )
    usual = SshPlace(host="::1", user="", port="", socket="/var/run/docker.sock")
    assert SshPlace.in_url("ssh://[::1]/") == usual


def test_docker_itself_is_told_the_engine_by_host_or_context() -> None:
    assert docker_options("") == []
    assert docker_options("ssh://far") == ["--host", "ssh://far"]
    assert docker_options("mine") == ["--context", "mine"]


@pytest.mark.parametrize(
    ("platform", "wanted", "right"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/x86_64", True),
        ("linux/amd64", "linux/arm64", False),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64", "linux/aarch64", True),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm", "linux/arm/v7", False),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("windows/amd64", "linux/amd64", False),
        ("", "linux/amd64", False),
    ],
)
def test_an_image_fits_a_platform_or_not(platform: str, wanted: str, *, right: bool) -> None:
    check_platform(wanted)
    assert fits(platform, wanted) is right


@pytest.mark.parametrize("platform", ["", "amd64", "linux", "linux/", "Linux/amd64", "a/b/c/d"])
def test_what_is_no_platform_is_a_wrong_request(platform: str) -> None:
    assert refusal(UsageError, check_platform, platform) == (
        f"--platform '{platform}' is not a platform; write it like linux/amd64 or linux/arm64"
    )


class Engine:
    """An engine that knows one image, for arm64."""

    def __init__(self) -> None:
        self.api = self

    def inspect_image(self, _: str) -> dict[str, Any]:
        return {"Id": "sha256:0", "Os": "linux", "Architecture": "arm64", "Variant": "v8"}


def test_an_image_for_another_platform_than_the_one_that_is_asked_for() -> None:
    request = ImageRequest(reference="agent", platform="linux/amd64")
    said = refusal(CannotJudge, look_up, Engine(), request, None)
    assert said == (
        "image 'agent' on this engine is for linux/arm64/v8; build or pull it for linux/amd64 there"
    )


# What comes of several engines before the first scenario


def prepared(
    monkeypatch: pytest.MonkeyPatch, request: ImageRequest, has: dict[str, ImageFacts | CannotJudge]
) -> tuple[Any, list[str]]:
    """Prepare an image that engines *has*; return it, and what was removed at the end."""
    removed: list[str] = []

    def reach(names: tuple[str, ...], *_: Any) -> list[Reached]:
        return [Reached(name, f"/tunnel/{name}", Client(name)) for name in names]  # type: ignore[arg-type]

    def look(client: Client, *_: Any) -> ImageFacts:
        found = has[client.name]
        if isinstance(found, CannotJudge):
            raise found
        return found

    def remove(client: Client, *_: Any, **__: Any) -> None:
        removed.append(client.name)

    class Client:
        def __init__(self, name: str) -> None:
            self.name, self.api = name, Engine()

    monkeypatch.setattr(prepare, "reach", reach)
    monkeypatch.setattr(prepare, "look_up", look)
    monkeypatch.setattr(prepare, "sweep", lambda _: [])
    monkeypatch.setattr(prepare, "remove_run", remove)
    where = Path("/runs/run-0")
    context = Context(now=0, seed="")
    with prepare.prepared_image(request, where, [], SLOT, context, {}) as image:
        assert removed == []
    return image, removed


def test_an_engine_without_the_image_is_left_out_and_the_report_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = CannotJudge("no image 'agent' on this engine", hint="build it")
    has: dict[str, Any] = {
        "one": missing,
        "two": image_facts(),
        "three": image_facts(engine="docker 2"),
    }
    request = ImageRequest(reference="agent", engines=("one", "two", "three"))

    image, removed = prepared(monkeypatch, request, has)

    assert sorted(removed) == ["one", "three", "two"]
    assert [(one.name, one.tunnel) for one in image.facts] == [
        ("two", "/tunnel/two"),
        ("three", "/tunnel/three"),
    ]
    driver = image.driver({})
    assert isinstance(driver, EnginePool)
    probe = driver.describe()
    assert probe["notes"] == ["engine one is left out: no image 'agent' on this engine"]
    assert probe["engines"] == [
        {"name": "two", "engine": "docker 1"},
        {"name": "three", "engine": "docker 2"},
    ]
    lines = list(probe_lines(probe))
    assert lines[0].endswith(" on docker 1, docker 2: /entrypoint")
    assert lines[1] == "engines: two (docker 1), three (docker 2)"


def test_where_one_engine_cannot_share_containers_none_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has: dict[str, Any] = {"one": image_facts(has_shell=True), "two": image_facts()}
    request = ImageRequest(reference="agent", engines=("one", "two"), isolation="both")

    image, _ = prepared(monkeypatch, request, has)

    assert [one.isolation for one in image.facts] == ["fresh", "fresh"]
    assert image.driver({}).describe()["notes"] == [
        "no isolation but fresh, because the image has no shell to share: "
        "each scenario has a container of its own"
    ]


def test_two_images_of_one_name_are_refused_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has: dict[str, Any] = {"one": image_facts(), "two": image_facts(id="sha256:1")}
    request = ImageRequest(reference="agent", engines=("one", "two"))

    with pytest.raises(CannotJudge, match="is not the same image on one and two"):
        prepared(monkeypatch, request, has)


def test_one_engine_that_nobody_has_named_is_described_as_ever() -> None:
    probe = described(ImageRequest(reference="agent"), [image_facts()])
    assert (probe["engine"], probe["engines"], probe["platform"]) == ("docker 1", [], "linux/amd64")
    assert [line.partition(":")[0] for line in probe_lines(probe)] == ["probe", "isolation"]


# Options and settings


@pytest.mark.parametrize(
    ("names", "count"),
    [
        ([], 1),
        (["default"], 1),
        (["default", "unix:///run/second.sock"], 1),
        (["default", "ssh://far"], 2),
        (["ssh://far", "tcp://away:2376", "mine"], 3),
        (["unix:///a", "ssh://far", "unix:///b"], 2),
    ],
)
def test_each_machine_has_as_many_workers_as_there_are_processors_here(
    names: list[str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two engines on one machine share its processors."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert machines(names) == count
    assert worker_count("auto", 500, count) == 2 * count
    assert worker_count("auto", 30, count) == min(2 * count, 3)
    assert worker_count("5", 500, count) == 5


def invoke(*words: str) -> str:
    """Return what is wrong with a command."""
    done = CliRunner().invoke(cli, [*words])
    assert isinstance(done.exception, UsageError), done.output
    return str(done.exception)


@pytest.mark.parametrize("command", ["run", "compare"])
def test_an_engine_is_about_an_image(command: str) -> None:
    probes = ["--probe", "true"] * (2 if command == "compare" else 1)
    assert invoke(command, *probes, "--no-config", "--engine", "default") == (
        "--engine is about an image; name one with --image"
    )
    assert invoke(command, *probes, "--no-config", "--platform", "linux/amd64") == (
        "--platform is about an image; name one with --image"
    )
    assert invoke(command, *probes, "--engine", "/run/x").startswith("'/run/x' is neither ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["agree"], "--engine is about an image; name one with --image or --login-image"),
        (["wiring", "pod.yaml"], "--engine is about an image; name one with --image"),
        (
            ["wiring", "pod.yaml", "--image", "agent", "--engine", "second"],
            "the image is looked into on one engine; name one with --engine",
        ),
    ],
)
def test_commands_that_ask_an_image_take_an_engine(words: list[str], said: str) -> None:
    assert invoke(*words, "--engine", "first") == said


def test_an_image_that_a_manifest_is_compared_with_is_looked_into_where_it_is() -> None:
    request = ImageRequest(reference="agent", engines=("unix:///none/docker.sock",))

    assert refusal(CannotJudge, inspect_image, request, ()) == (
        "no container engine at unix:///none/docker.sock; start it, or name another"
    )


def test_engines_in_a_settings_file_wait_until_an_image_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conformance.cli import compare, run  # noqa: PLC0415 - a command, and not its module

    (tmp_path / "probe-conformance.toml").write_text('engine = ["default", "ssh://far"]')
    monkeypatch.chdir(tmp_path)
    seen = []
    for command, words in (
        (run.run_command, ["--image", "agent"]),
        (run.run_command, ["--probe", "true"]),
        (compare.compare_command, ["--image", "agent", "--probe", "true"]),
        (compare.compare_command, ["--probe", "true"]),
    ):
        context = command.make_context("x", words)
        seen.append((context.params["engine"], taken(context).keys))
    named = (("default", "ssh://far"), ("engine",))
    assert seen == [named, ((), ()), named, ((), ())]


def test_sweep_cleans_each_engine_that_it_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            closed.append(self.name)

    def connect(name: str) -> Client:
        if name == "two":
            raise CannotJudge("no container engine at two", hint="start it, or name another")
        return Client(name)

    closed: list[str] = []
    monkeypatch.setattr(sweep, "sweep_directories", list)
    monkeypatch.setattr(sweep, "connect", connect)
    monkeypatch.setattr(sweep, "sweep", lambda client, *, kept: [f"volume v-{client.name}"])

    words = [word for name in ("one", "two", "three") for word in ("--engine", name)]
    done = CliRunner().invoke(cli, ["sweep", *words])

    assert done.output == "removed volume v-one on one\nremoved volume v-three on three\n"
    assert isinstance(done.exception, ManyErrors)
    assert (done.exception.exit_status, str(done.exception)) == (
        3,
        "no container engine at two; start it, or name another",
    )
    assert closed == ["one", "three"]
    assert CliRunner().invoke(cli, ["sweep"]).output == "removed volume v-\n"


# What a run says of an engine that was lost


def test_the_end_of_a_run_names_engines_that_were_lost() -> None:
    found = bundled_catalogue().scenarios
    selected = [found["claude/nested-session"], found["claude/baseline-only"]]
    probe = described(ImageRequest(reference="agent"), [image_facts(name="one")])
    report = RunReport(SLOT, selected, probe, 0.0, KnownFailures({}))
    moved = Moved(engine="one", reason="gone")
    report.add(replace(result(selected[0].id, "conforms"), engine="two", moved=moved))
    report.add(replace(result(selected[1].id, "conforms"), engine="two"))

    stream = io.StringIO()
    Terminal(stream, report, found).finish()

    assert (
        "NOTE engine one answered no more: 1 scenario was run again on another" in stream.getvalue()
    )
    assert report.exit_status() == 0
    document = report.document()
    assert document["lost_engines"] == [
        {"engine": "one", "reason": "gone", "scenarios": (selected[0].id,)}
    ]
    rows = [(row["engine"], row["moved"]) for row in document["scenarios"]]
    assert rows == [("two", {"engine": "one", "reason": "gone"}), ("two", None)]
