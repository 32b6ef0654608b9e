"""A manifest against what an image on the engine has."""

from __future__ import annotations

import json
from pathlib import Path

import docker
from support_cli import call

from conformance.catalogue import contracts
from conformance.wiring.example import example


def test_a_manifest_is_compared_with_the_reference_image(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path, own_cache: Path
) -> None:
    """One look into the image finds what is right and what is not."""
    right = example(contracts.load("slot")).replace("slot-image:ci", reference_image)
    (tmp_path / "right.yaml").write_text(right)
    moved = right.replace("/opt/conformance/slot.py", "/opt/elsewhere/slot.py").replace(
        "name: slot\n", "name: moved\n"
    )
    (tmp_path / "moved.yaml").write_text(moved)
    through = right.replace("/opt/conformance/slot.py", "/opt/conformance/entrypoint.sh")
    (tmp_path / "through.yaml").write_text(through.replace("name: slot\n", "name: through\n"))
    # The image's own user, a number, and the HOME that its /etc/passwd gives that user.
    without = right.replace("    runAsUser: 10001 # the image's user, as a number\n", "")
    without = without.replace("        - name: HOME\n          value: /home/agent\n", "")
    (tmp_path / "without.yaml").write_text(without.replace("name: slot\n", "name: without\n"))
    files = ["right.yaml", "moved.yaml", "through.yaml", "without.yaml"]

    done = call(tmp_path, "wiring", *files, "--image", reference_image, "--json", "report.json")
    report = json.loads((tmp_path / "report.json").read_text())

    assert [(f["workload"], f["rule"]) for f in report["findings"]] == [
        ("Pod moved", "program-not-in-image"),
        ("Pod through", "entrypoint-in-wrong-mode"),
    ], done.stdout
    # Not by the SDK's objects, which look each container up again: those of other tests may go meanwhile.
    lock = "probe-conformance.lock"
    left = engine.api.containers(all=True, filters={"label": lock})
    ours = [one["Id"] for one in left if one["Labels"][lock].startswith(str(own_cache))]
    assert ours == []


def test_an_image_that_is_not_there_is_no_finding(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    (tmp_path / "right.yaml").write_text(example(contracts.load("slot")))
    done = call(tmp_path, "wiring", "right.yaml", "--image", "nobody/has-this:1")

    assert (done.returncode, done.stdout) == (3, "")
    assert "no image 'nobody/has-this:1' on this engine" in done.stderr
