"""An image is asked in homes that are found, made smaller, or made up: judge, reduce and discover on a real engine."""

from __future__ import annotations

import json
from pathlib import Path

import docker
import pytest
from support_cli import suite
from support_image import Images

from conformance.catalogue.catalogue import load_catalogue

pytestmark = pytest.mark.in_turn(5)

#: A probe that finds no login which lies in a directory below .claude.
FLAT = b"""#!/bin/sh
case $WOVED_TASK_AGENT in claude|codex) ;; *) exit 64;; esac
"$WOVED_TASK_AGENT" --version > /dev/null 2>&1 || exit 64
for file in "$HOME"/.claude/* "$HOME"/.claude/.[!.]*; do
    case ${file##*/} in CLAUDE.md|config.toml|settings.json) continue;; esac
    [ -f "$file" ] && [ ! -L "$file" ] && exit 0
done
exit 65
"""


def test_what_an_image_gets_wrong_is_judged_reduced_and_found(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    (tmp_path / "home" / ".claude" / "deeper").mkdir(parents=True)
    (tmp_path / "home" / ".claude" / "deeper" / "session.json").write_text("{}")
    with Images(engine, reference_image) as images:
        image = images.like_reference({"/opt/flat": FLAT}, entrypoint=["/opt/flat"])

        judged = suite(tmp_path, "judge", "home", "--agent", "claude", "--image", image, "--json")
        reduced = suite(
            tmp_path, "reduce", "claude/nested-session", "--image", image, "-o", "small.toml"
        )
        words = ["--homes", "6", "--agent", "claude", "--seconds", "300", "--seed", "3", "-n", "0"]
        found = suite(tmp_path, "discover", "--image", image, *words, "--json", "-")

    assert judged.returncode == 1, judged.stderr
    answer = json.loads(judged.stdout)["probe"]
    assert (answer["verdict"], answer["result"]) == ("creds-missing", "deviates")
    assert reduced.returncode == 0, reduced.stderr
    small = load_catalogue(files=[tmp_path / "small.toml"]).get("small")
    assert ".claude/.credentials/session.json" in {entry.path for entry in small.entries}
    assert len(small.entries) <= 2
    assert found.returncode in (0, 1), found.stderr
    report = json.loads(found.stdout)
    assert (report["probe"]["kind"], report["broke"]) == ("image", {})
    assert report["homes"] > 3
    assert sum(report["rules"].values()) > 0
