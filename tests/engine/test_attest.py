"""An attestation of images that a registry knows: its subject is what the engine says of them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from docker.errors import APIError
from factories import wait_for, written
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it ships no types
from support import without
from support_cli import suite
from support_image import Images

CONTRACT = """\
name = "tiny"
version = "3"
summary = "Whether somebody has logged in"
agents = ["claude"]
[inputs]
home = "HOME"
agent = "WOVED_TASK_AGENT"
[verdicts.ready]
code = 0
meaning = "somebody has"
action = "accept"
[verdicts.creds-missing]
code = 65
meaning = "nobody has"
action = "slot-init"
[rules]
login = { expect = "ready", text = "A login counts" }
no-login = { expect = "creds-missing", text = "Nothing is no login" }
"""
SCENARIO = """\
summary = "What counts"
origin = "tiny"
agent = "claude"
control = "tiny/{control}"
expect = {{ tiny = "{verdict}" }}
rules = {{ tiny = "{rule}" }}
home.include = {layers}
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Return the address of a registry on loopback, to which engines speak without TLS."""
    program = shutil.which("docker-registry") or without("docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = written(
        tmp_path / "registry.yml",
        f"""\
        version: 0.1
        storage: {{filesystem: {{rootdirectory: {tmp_path / "registry"}}}}}
        http: {{addr: "{address}"}}
        """,
    )
    with (tmp_path / "registry.log").open("w") as log:
        running = subprocess.Popen([program, "serve", settings], stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(address), "a registry")
        yield address
    finally:
        running.kill()
        running.wait()


def answers(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://{address}/v2/", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def pushed(engine: docker.DockerClient, image: str, name: str) -> list[str]:
    """Push *image* as *name*; return the digests that ``docker image inspect`` shows for that."""
    engine.images.get(image).tag(name)
    engine.images.push(name)
    shown = subprocess.run(
        ["docker", "image", "inspect", name], capture_output=True, text=True, check=True
    )
    digests: list[str] = json.loads(shown.stdout)[0]["RepoDigests"]
    return [each.rpartition("@sha256:")[2] for each in digests]


@pytest.mark.slow
@pytest.mark.in_turn(5)
def test_the_subject_is_what_the_engine_says_and_no_other_image_verifies(
    engine: docker.DockerClient, reference_image: str, registry: str, tmp_path: Path
) -> None:
    (tmp_path / "tiny.toml").write_text(CONTRACT)
    for name, control, verdict, rule, layers in (
        ("login", "none", "ready", "login", ["claude-baseline", "claude-login"]),
        ("none", "login", "creds-missing", "no-login", ["claude-baseline"]),
    ):
        text = SCENARIO.format(control=control, verdict=verdict, rule=rule, layers=layers)
        written(tmp_path / "own" / "tiny" / f"{name}.toml", text)
    words = ["--contract", "tiny.toml", "--scenarios", "own", "--allow-write", ".codex/**"]
    words += ["--no-config"]
    attest = ["--attest", "a.json"]

    with Images(engine, reference_image) as images:
        image, other = (images.like_reference({"/opt/which": name}) for name in (b"1", b"2"))
        unknown = suite(tmp_path, "run", "--image", image, *words, *attest)
        assert (unknown.returncode, (tmp_path / "a.json").exists()) == (2, False)
        assert unknown.stderr.splitlines()[-1] == (
            f"probe-conformance: --attest: image '{image}' has no digest, since it was in no registry yet; push it first"
        )
        name, other_name = f"{registry}/slot:1", f"{registry}/slot:2"
        try:
            [digest], [other_digest] = (
                pushed(engine, image, name),
                pushed(engine, other, other_name),
            )
            done = suite(tmp_path, "run", "--image", name, *words, *attest)
            for index in ("1", "2"):
                part = ("--shard", f"{index}/2", "--json", f"{index}.json", "-n", "0")
                assert suite(tmp_path, "run", "--image", name, *words, *part).returncode == 0
        finally:
            for each in (name, other_name):
                with suppress(APIError):
                    engine.images.remove(each, force=True)

    assert done.returncode == 0, (done.stdout, done.stderr)
    own = ("--contract", "tiny.toml", "--scenarios", "own")
    merged = suite(tmp_path, "merge", "1.json", "2.json", *own, "--attest", "all.json")
    assert merged.returncode == 0, merged.stderr
    said, again = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("a", "all"))
    for each in (said, again):
        assert each["predicate"]["configuration"][-1]["annotations"].pop("started")
    assert again == said
    schema = Path(__file__).parents[1] / "schemas" / "in-toto-test-result-0.1.json"
    assert list(Draft7Validator(json.loads(schema.read_text())).iter_errors(said)) == []
    assert said["predicate"]["result"] == "PASSED"
    assert said["predicate"]["passedTests"] == ["tiny/login", "tiny/none"]
    assert [each["digest"] for each in said["subject"]] == [{"sha256": digest}]
    assert digest != other_digest
    assert f'"{other_digest}"' not in json.dumps(said)
