"""The reference image without an engine: its entrypoint, what it is built from, and what goes wrong on the way."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound
from support import as_plain_user

from conformance.bundled import fixtures_dir
from conformance.catalogue import contracts
from conformance.drivers.container.layout import ASKED
from conformance.drivers.container.request import ASIDE
from conformance.errors import CannotJudge, UsageError
from conformance.images import reference as images

REFERENCE = fixtures_dir() / "images" / "reference"
ENTRYPOINT = fixtures_dir() / "probes" / "entrypoint.sh"
BASELINE = [".claude/CLAUDE.md", ".claude/settings.json", ".codex/config.toml"]


def enter(*command: str, script: str = os.fspath(ENTRYPOINT), **env: str) -> tuple[int, str]:
    """Run the entrypoint; return its exit code and all it says."""
    done = subprocess.run(
        ["/bin/sh", script, *command],
        env={"PATH": os.defpath, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, done.stdout


def tree(home: Path) -> dict[str, str]:
    """Return what lies below *home*, with the content of regular files and the targets of links."""
    return {
        os.fspath(path.relative_to(home)): f"-> {path.readlink()}"
        if path.is_symlink()
        else path.read_text()
        if path.is_file()
        else ""
        for path in sorted(home.rglob("*"))
    }


@pytest.mark.parametrize("mode", ["interactive", "worker", "auth-init", "smoke-test"])
def test_the_baseline_is_filled_in_before_dispatch(mode: str, tmp_path: Path) -> None:
    enter("true", AGENT_MODE=mode, HOME=os.fspath(tmp_path), AGENT="codex", GH_TOKEN="x")

    assert [name for name, content in tree(tmp_path).items() if content] == BASELINE


def test_what_the_entrypoint_fills_in_is_what_the_contracts_allow_it() -> None:
    for contract in (contracts.load("slot"), contracts.load("preflight")):
        assert set(BASELINE) <= set(contract.entrypoint_writes)


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    for name in BASELINE:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")

    assert enter("true", AGENT_MODE="smoke-test", HOME=os.fspath(tmp_path)) == (0, "")
    assert {name: content for name, content in tree(tmp_path).items() if content} == dict.fromkeys(
        BASELINE, "mine"
    )


@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_symlink_in_place_of_a_directory_is_not_followed(target: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in (".claude", ".codex"):
        (tmp_path / name).symlink_to(target)

    assert enter("true", AGENT_MODE="smoke-test", HOME=os.fspath(tmp_path)) == (0, "")
    assert tree(tmp_path) == {".claude": f"-> {target}", ".codex": f"-> {target}", "elsewhere": ""}


def test_nothing_is_written_through_a_link_or_into_a_fifo(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude/CLAUDE.md").symlink_to("../written")
    os.mkfifo(tmp_path / ".claude/settings.json")

    assert enter("true", AGENT_MODE="smoke-test", HOME=os.fspath(tmp_path)) == (0, "")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("home", [None, "", ".", "/nonexistent/home", "/dev/null", "a file"])
def test_an_odd_home_makes_no_difference_and_no_noise(home: str | None, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    env = (
        {} if home is None else {"HOME": os.fspath(tmp_path / "file") if home == "a file" else home}
    )

    assert enter("sh", "-c", "exit 66", AGENT_MODE="smoke-test", **env) == (66, "")


@pytest.mark.parametrize("name", [".claude", ".codex"])
def test_a_file_in_place_of_a_directory_stays(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")

    assert enter("true", AGENT_MODE="smoke-test", HOME=os.fspath(tmp_path)) == (0, "")
    assert tree(tmp_path)[name] == "mine"


@pytest.mark.parametrize(
    ("where", "mode"), [("home", 0o500), ("home", 0), ("home/.claude", 0o500), ("home/.claude", 0)]
)
def test_what_it_may_not_write_to_is_left_without_a_word(
    where: str, mode: int, tmp_path: Path
) -> None:
    shutil.copy(ENTRYPOINT, tmp_path)

    def work() -> None:
        Path("home/.claude").mkdir(parents=True)
        Path(where).chmod(mode)
        try:
            home = os.fspath(Path("home").absolute())
            assert enter(
                "sh", "-c", "exit 65", script="entrypoint.sh", AGENT_MODE="smoke-test", HOME=home
            ) == (65, "")
        finally:
            Path(where).chmod(0o700)
        assert list(Path("home/.claude").iterdir()) == []

    as_plain_user(tmp_path, work)


def test_without_any_program_on_path_the_probe_still_starts(tmp_path: Path) -> None:
    assert enter(
        "/bin/sh",
        "-c",
        "exit 64",
        AGENT_MODE="smoke-test",
        HOME=os.fspath(tmp_path),
        PATH="/nonexistent",
    ) == (64, "")


@pytest.mark.parametrize(
    ("env", "what"),
    [({}, "not set"), ({"AGENT_MODE": ""}, "not set"), ({"AGENT_MODE": "x\ny"}, "unknown")],
)
def test_an_unknown_mode_is_told_in_one_line(env: dict[str, str], what: str) -> None:
    words = "it must be interactive, worker, auth-init or smoke-test"

    assert enter("true", **env) == (1, f"entrypoint.sh: AGENT_MODE is {what}: {words}\n")


@pytest.mark.parametrize("mode", ["worker", "auth-init"])
def test_an_unknown_agent_is_told_in_one_line(mode: str) -> None:
    assert enter(AGENT_MODE=mode, WOVED_TASK_AGENT="sh") == (
        1,
        "entrypoint.sh: AGENT must be claude or codex\n",
    )


@pytest.mark.parametrize(
    ("mode", "agent", "started"),
    [
        ("worker", "claude", "claude --continue"),
        ("worker", "codex", "codex --continue"),
        ("auth-init", "claude", "claude auth login --continue"),
        ("auth-init", "codex", "codex login --continue"),
    ],
)
def test_other_modes_start_the_agents_cli(
    mode: str, agent: str, started: str, tmp_path: Path
) -> None:
    cli = tmp_path / agent
    cli.write_text('#!/bin/sh\necho "${0##*/} $*"\n')
    cli.chmod(0o755)

    assert enter(
        "--continue",
        AGENT_MODE=mode,
        WOVED_TASK_AGENT=agent,
        GH_TOKEN="x",
        PATH=os.fspath(tmp_path),
    ) == (0, f"{started}\n")


def test_the_stubs_in_the_image_are_those_of_the_local_driver() -> None:
    healthy = tomllib.loads((fixtures_dir() / "cli" / "healthy.toml").read_text())

    text = healthy["files"]["cli"]["text"].lstrip("\n")
    kept = text.replace("{asked}", f"{ASIDE}/{ASKED}")
    assert kept != text
    assert (REFERENCE / "stub-cli.sh").read_text() == kept


def test_the_pinned_clis_are_those_that_the_stubs_speak_of() -> None:
    pins = tomllib.loads((REFERENCE.parent / "real-clis" / "packages.toml").read_text())
    stub = (REFERENCE / "stub-cli.sh").read_text()

    assert {cli: sorted(builds) for cli, builds in pins.items()} == {
        "claude": ["amd64", "arm64"],
        "codex": ["amd64", "arm64"],
    }
    for build in (build for builds in pins.values() for build in builds.values()):
        assert build["version"].partition("-")[0] in stub
        assert len(base64.b64decode(build["integrity"].removeprefix("sha512-"))) == 64


class Engine:
    """Stands in for a client: has no image but *known*, and answers a build or a pull with what it is given."""

    def __init__(
        self,
        *known: str,
        steps: Iterator[dict[str, Any]] | None = None,
        labels: dict[str, str] | None = None,
    ) -> None:
        self.known = known
        self.steps = steps or iter(())
        self.labels = labels
        self.timeout = 20
        self.built: list[tuple[bytes, dict[str, Any]]] = []
        self.api = self.images = self

    def get(self, name: str) -> Any:
        if " " in name:
            raise APIError("no", explanation=f"no such image: {name}: invalid reference format")
        if name not in self.known:
            raise ImageNotFound("no")
        self.attrs = {"Config": {"Labels": self.labels}}
        return self

    def version(self) -> dict[str, str]:
        return {"Arch": "amd64"}

    def pull(self, *_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        return self.steps

    def build(self, *, fileobj: Any, **options: Any) -> Iterator[dict[str, Any]]:
        self.built.append((fileobj.read(), options))
        return self.steps


def made(engine: Engine, **options: Any) -> str:
    return images.build(engine, **options)  # type: ignore[arg-type]


def base_made(engine: Engine, **options: Any) -> str:
    return images.debian_base(engine, **options)  # type: ignore[arg-type]


def test_what_is_sent_to_the_engine_says_nothing_of_when_and_by_whom(tmp_path: Path) -> None:
    engine = Engine("base")

    assert made(engine, base="base", tag="mine") == "mine"
    context, options = engine.built[0]
    (tmp_path / "context.tar").write_bytes(context)
    with tarfile.open(tmp_path / "context.tar") as tar:
        assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in tar} == {
            (0, 0, 0, "")
        }
        assert options["dockerfile"] in tar.getnames()
    assert engine.timeout == 20
    assert (options["buildargs"], options["tag"], options["network_mode"]) == (
        {"BASE": "base"},
        "mine",
        "none",
    )


def test_a_base_that_cannot_be_parsed_is_the_users_mistake() -> None:
    with pytest.raises(UsageError, match=r"'a base' is not an image reference; give NAME"):
        made(Engine(), base="a base")


@pytest.mark.parametrize("tag", ["a tag", "a@sha256:00", "Upper:1", "-x", ":1"])
def test_a_tag_that_cannot_be_one_is_the_users_mistake(tag: str) -> None:
    with pytest.raises(
        UsageError, match=f"'{tag}' is not a name for an image; give NAME or NAME:TAG"
    ):
        made(Engine("base"), base="base", tag=tag)


def test_a_base_that_cannot_be_pulled_points_to_debian_packages() -> None:
    engine = Engine(
        steps=iter([{"status": "Pulling"}, {"error": "lookup registry:\nno such host"}])
    )

    with pytest.raises(
        CannotJudge,
        match=r"base image one:1 cannot be pulled: lookup registry: no such host; .*--debian",
    ):
        made(engine, base="one:1")


def test_a_build_that_fails_is_told_by_the_last_thing_the_program_said() -> None:
    said = [
        "Step 1/2 : FROM base",
        " ---> 123",
        "Step 2/2 : RUN x",
        " ---> Running in 1",
        "early\n",
        "sh: 1: x: not found\n",
    ]
    steps = [{"stream": line} for line in [*said, "Removing intermediate container 1"][:-1]]
    told: list[str] = []

    with pytest.raises(
        CannotJudge, match=r"^the build on base failed: sh: 1: x: not found; the base needs python3"
    ):
        made(
            Engine("base", steps=iter([*steps, {"error": "returned a non-zero code: 127"}])),
            base="base",
            out=told.append,
        )
    assert told == ["Step 1/2 : FROM base", "Step 2/2 : RUN x"]


def test_a_build_that_fails_in_silence_is_told_in_the_engines_words() -> None:
    steps = iter([{"stream": "Step 1/2 : FROM base"}, {"error": "no\nshell"}])

    with pytest.raises(CannotJudge, match=r"^the build on base failed: no shell;"):
        made(Engine("base", steps=steps), base="base")


def program(directory: Path, name: str, text: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


def test_a_download_that_npm_makes_has_to_be_what_was_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "npm", "echo other > package.tgz; echo package.tgz")
    monkeypatch.setenv("PATH", os.fspath(tmp_path), prepend=os.pathsep)

    with pytest.raises(
        CannotJudge, match=r"^@anthropic-ai/claude-code-linux-x64 .* is not what was pinned"
    ):
        made(Engine("base"), base="base", flavour="real-clis")


def test_a_download_that_npm_cannot_make_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "npm", "echo 'npm error 404' >&2; exit 1")
    monkeypatch.setenv("PATH", os.fspath(tmp_path), prepend=os.pathsep)

    with pytest.raises(
        CannotJudge,
        match=r"claude-code-linux-x64 .* cannot be downloaded: npm error 404; check that the npm registry",
    ):
        made(Engine("base"), base="base", flavour="real-clis")


def test_without_npm_there_are_no_real_clis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(
        CannotJudge,
        match=r"claude-code-linux-x64 is downloaded with npm, which is not installed; install npm",
    ):
        made(Engine("base"), base="base", flavour="real-clis")


@pytest.mark.parametrize(
    ("option", "value"), [("suite", "--help"), ("suite", ""), ("mirror", "deb.debian.org")]
)
def test_suites_and_mirrors_that_cannot_be_are_refused(option: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"'{value}' is not a Debian {option}; give"):
        base_made(Engine(), **{option: value})


def test_a_base_made_before_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    tag = "probe-conformance/base:bookworm"

    assert base_made(Engine(tag, labels={images.LABEL: "base"})) == tag


def test_an_image_of_somebody_else_is_not_taken_for_our_base() -> None:
    with pytest.raises(
        CannotJudge, match=r"probe-conformance/base:bookworm was not made by us; .*--base"
    ):
        base_made(Engine("probe-conformance/base:bookworm"))


def test_debootstrap_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)

    with pytest.raises(
        CannotJudge,
        match=r"debootstrap, which is not installed; apt-get install debootstrap .*--base",
    ):
        base_made(Engine())


def test_debootstrap_takes_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "debootstrap", "exit 1")
    monkeypatch.setenv("PATH", os.fspath(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(
        CannotJudge, match=r"needs root, for debootstrap; run it with sudo, or .*--base"
    ):
        base_made(Engine())


@pytest.mark.parametrize("said", ["I: Retrieving\nE: no such suite\nI: bye", "no such suite"])
def test_debootstrap_is_quoted_with_its_error(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "debootstrap", "exit 1")
    program(tmp_path, "unshare", f"cat <<E\n{said}\nE\nexit 1")
    monkeypatch.setenv("PATH", os.fspath(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    with pytest.raises(
        CannotJudge,
        match=r"^debootstrap failed: no such suite; look at --mirror, or give another base with --base$",
    ):
        base_made(Engine())


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        ([], 3, "probe-conformance: no container engine at unix:///nonexistent; "),
        (
            ["--base", "x", "--debian"],
            2,
            "probe-conformance: --base and --debian exclude each other; ",
        ),
        (
            ["--mirror", "http://x"],
            2,
            "probe-conformance: --mirror has no effect without --debian; ",
        ),
        (["--flavour", "x"], 2, "probe-conformance: Invalid value for '--flavour'"),
    ],
)
@pytest.mark.slow
def test_errors_of_the_command_are_one_line_with_the_way_out(
    arguments: list[str], status: int, line: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "image", "build", *arguments],
        env={**os.environ, "DOCKER_HOST": "unix:///nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (status, "", 1)
    assert done.stderr.startswith(line)
