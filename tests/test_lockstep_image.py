"""Lockstep over the probe of an image."""

from __future__ import annotations

import json
from pathlib import Path

import docker
from support_image import REFERENCE, Images
from test_cli import suite

from conformance.resources import fixtures_dir

MANAGER = str(fixtures_dir() / "managers" / "slot.toml")
FEW = ["claude/baseline-only", "claude/nested-session", "agent/unmapped", "codex/empty"]


def test_the_reference_image_is_in_lockstep_and_a_renumbered_one_has_moved(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    source = (fixtures_dir() / "probes" / "slot.py").read_bytes()
    probe = source.replace(b"= 0, 1, 64, 65, 66", b"= 0, 1, 64, 66, 65")
    assert probe != source
    with Images(engine, reference_image) as images:
        renumbered = images.like_reference({REFERENCE.replace("reference.py", "slot.py"): probe})
        documents = {}
        for image in (reference_image, renumbered):
            done = suite(
                tmp_path, "lockstep", *FEW, "--image", image, "--isolation", "shared", "--manager", MANAGER, "--json", "a"
            )
            documents[image] = (done.returncode, json.loads((tmp_path / "a").read_text()))

    status, document = documents[reference_image]
    assert (status, document["in_lockstep"], document["probe"]["kind"]) == (0, True, "image")
    assert {row["verdict"]: row["observed"] for row in document["table"]} == {
        "ready": {"0": 1},
        "cli-broken": {"64": 1},
        "creds-missing": {"65": 1},
        "creds-invalid": {"66": 1},
    }
    status, document = documents[renumbered]
    assert (status, {move["verdict"]: move["side"] for move in document["moves"]}) == (
        1,
        {"creds-missing": "probe", "creds-invalid": "probe"},
    )
