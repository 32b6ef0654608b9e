"""Lockstep over the probe of an image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import docker
import pytest
from support_cli import suite
from support_image import PROBE, Images

from conformance.bundled import fixtures_dir

MANAGERS = fixtures_dir() / "managers"
FEW = [
    "claude/baseline-only",
    "claude/nested-session",
    "agent/unmapped",
    "claude/unreadable-directory",
]
BOTH = ("creds-missing", "creds-invalid")


@pytest.mark.in_turn(4)
def test_an_image_and_a_manager_are_in_lockstep_or_the_probe_that_was_renumbered_is_named(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    """Tests of lockstep over local probes tell wrong Managers apart; that does not depend on what a probe runs in."""
    source = (fixtures_dir() / "probes" / "slot.py").read_bytes()
    probe = source.replace(b"= 0, 1, 64, 65, 66", b"= 0, 1, 64, 66, 65")
    assert probe != source

    def lockstep(image: str) -> dict[str, Any]:
        words = [
            "--image",
            image,
            "--isolation",
            "shared",
            "--manager",
            str(MANAGERS / "slot.toml"),
            "--json",
            "report.json",
        ]
        done = suite(tmp_path, "lockstep", *FEW, *words)
        document: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
        assert document["exit_status"] == done.returncode, done.stdout
        return document

    with Images(engine, reference_image) as images:
        right, renumbered = (
            lockstep(reference_image),
            lockstep(images.like_reference({PROBE: probe})),
        )

    assert (right["exit_status"], right["in_lockstep"], right["probe"]["kind"]) == (
        0,
        True,
        "image",
    )
    assert {row["verdict"]: row["observed"] for row in right["table"]} == {
        "ready": {"0": 1},
        "cli-broken": {"64": 1},
        "creds-missing": {"65": 1},
        "creds-invalid": {"66": 1},
    }
    assert renumbered["exit_status"] == 1
    assert {move["verdict"]: move["side"] for move in renumbered["moves"]} == dict.fromkeys(
        BOTH, "probe"
    )
