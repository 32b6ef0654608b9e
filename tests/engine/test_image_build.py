"""The reference image, built on a real engine."""

from __future__ import annotations

import os
import tarfile
import uuid
from pathlib import Path

import docker
import pytest

from conformance.errors import CannotJudge
from conformance.images import reference as images


def test_a_build_on_a_real_engine(engine: docker.DockerClient, reference_image: str) -> None:
    """Any image with python3 and sh can be the base, even one that does not run as root: here it is the reference image."""
    tag = f"probe-conformance/test:{uuid.uuid4().hex}"
    made_there = images.build(engine, base=reference_image, tag=tag)
    try:
        image = engine.images.get(tag).attrs["Config"]
        assert (made_there, image["User"], image["Cmd"] or [], image["Labels"][images.LABEL]) == (
            tag,
            "10001",
            [],
            "stubs",
        )
        for agent, mode, code in (("claude", "smoke-test", 65), ("", "", 1)):
            env = {"AGENT_MODE": mode, "WOVED_TASK_AGENT": agent}
            container = engine.containers.run(
                tag, environment=env, network_mode="none", cap_drop=["ALL"], detach=True
            )
            try:
                assert container.wait()["StatusCode"] == code
            finally:
                container.remove(force=True)
    finally:
        engine.images.remove(tag, force=True)


def test_a_base_without_a_shell_is_told_in_one_line(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    tag = f"probe-conformance/test:{uuid.uuid4().hex}"
    name, _, version = tag.partition(":")
    engine.api.import_image(os.fspath(tmp_path / "empty.tar"), name, version)
    try:
        with pytest.raises(
            CannotJudge, match=r"^the build on .* failed: .*/bin/sh.*; the base needs python3"
        ) as caught:
            images.build(engine, base=tag, tag=f"{tag}-built")
        assert "\n" not in str(caught.value)
    finally:
        base = engine.images.get(tag).id
        for step in [one["Id"] for one in engine.api.images(all=True) if one["ParentId"] == base]:
            engine.images.remove(step)  # the first steps, which went well
        engine.images.remove(tag, force=True)
