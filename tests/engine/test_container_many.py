"""Several images in one run: the report of each is that of a run of its own, and nothing is left."""

from __future__ import annotations

import json
import os
from pathlib import Path

import docker
import pytest
from support_cli import suite
from support_image import FEW, Images, judged, rows, script

from conformance.drivers.container.labels import LOCK, RUN

ODD = 'case "$WOVED_TASK_AGENT" in codex) exit 65;; esac\nexec python3 -I /opt/conformance/reference.py\n'


@pytest.mark.slow
def test_two_at_once_are_judged_as_each_by_itself(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    ids = ("container/home-read-only-claude", *FEW)
    with Images(engine, reference_image) as images:
        odd = images.like_reference(script(ODD))
        file = tmp_path / "images.toml"
        file.write_text(
            f'[images.right]\nimage = "{reference_image}"\n[images.odd]\nimage = "{odd}"\n'
        )

        together = suite(
            tmp_path,
            *("run", "--images", os.fspath(file), *ids),
            *("--json", "out", "--isolation", "shared", "-n", "2"),
            merged=True,
        )

        alone = {
            name: judged(image, tmp_path, *ids, "--isolation", "shared")
            for name, image in (("right", reference_image), ("odd", odd))
        }
    reports = {name: json.loads((tmp_path / f"out/{name}.json").read_text()) for name in alone}
    assert "Traceback" not in together.stdout
    assert together.returncode == 1, together.stdout
    for name, (status, report, printed) in alone.items():
        assert rows(reports[name]) == rows(report), printed
        assert reports[name]["exit_status"] == status
        assert reports[name]["probe"] == report["probe"]
        assert reports[name]["counts"] == report["counts"]
        assert reports[name]["causes"] == report["causes"]
    assert [status for status, _, _ in alone.values()] == [0, 1]
    made = engine.api.containers(all=True, filters={"label": RUN})
    made += engine.api.volumes(filters={"label": RUN}).get("Volumes") or []
    cache = os.environ["XDG_CACHE_HOME"]
    assert [one for one in made if one["Labels"][LOCK].startswith(cache)] == []
