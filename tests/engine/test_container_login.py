"""Programs that let somebody log in, in images: the Manager is in the network of the container."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest
from support_cli import suite
from support_image import Images, busybox, messages, row, rows, run

from conformance.bundled import fixtures_dir

PROGRAM = "/opt/conformance/auth_init.py"
#: An entrypoint that knows two modes, and a baseline.
ENTRYPOINT = b"""#!/bin/sh
mkdir -p "$HOME/.claude"
echo rules > "$HOME/.claude/CLAUDE.md"
case $AGENT_MODE in
    auth-init) exec python3 -I /opt/conformance/auth_init.py ;;
    smoke-test) exec python3 -I /opt/conformance/slot.py ;;
esac
exit 1
"""
#: Of each kind of thing that the container is about: its network, its CLI, its HOME, its end.
FEW = (
    "auth-init/login/changed",
    "auth-init/nothing/settings",
    "auth-init/cli-missing/not-there",
    "auth-init/cli-failed/after-code",
    "auth-init/redirected/code",
    "auth-init/manager-fails/refuses",
    "auth-init/out-of-time/ignores-sigterm",
)


@pytest.mark.slow
@pytest.mark.in_turn(6)
def test_an_image_is_asked_in_both_modes_and_agrees_with_itself(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    right = (fixtures_dir() / "probes" / "auth_init.py").read_bytes()
    files = {"/entry.sh": ENTRYPOINT, PROGRAM: right}
    with Images(engine, reference_image) as images:
        image = images.like_reference(files, entrypoint=["/entry.sh"])
        status, report, printed = run(
            image, "--contract", "auth-init", "-n", "2", *FEW, cwd=tmp_path
        )
        both = ["--login-image", image, "--image", image, "-n", "2"]
        agreed = suite(
            tmp_path, "agree", *both, "claude/nested-session", "claude/baseline-only", timeout=200
        )

    assert {id_: found[0] for id_, found in rows(report).items()} == dict.fromkeys(FEW, "conforms")
    assert status == 0, printed
    read = [line for line in row(report, FEW[0])["events"] if "the CLI read" in line]
    assert read == ["the CLI read '{secret:operator-code}'"]
    assert agreed.returncode == 0, agreed.stdout + agreed.stderr
    assert "disagree in 0, agree in 2" in agreed.stdout


@pytest.mark.slow
@pytest.mark.in_turn(6)
def test_a_vice_in_an_image_is_named_and_one_that_cannot_listen_is_unsupported(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    text = (fixtures_dir() / "probes" / "auth_init.py").read_text()
    wrong = text.replace("ProxyHandler({}), NoRedirect)", "ProxyHandler({}))")
    assert wrong != text
    tools = ("sh", "tar", "head", "rm", "env", "cat", "true")
    links = {f"/bin/{tool}": "busybox" for tool in tools}
    with Images(engine, reference_image) as images:
        image = images.like_reference({PROGRAM: wrong.encode()})
        status, report, _ = run(
            image, "--contract", "auth-init", "-n", "0", "--entrypoint", f"python3 -I {PROGRAM}",
            "auth-init/redirected/code", cwd=tmp_path,
        )  # fmt: skip
        deaf = images.of({"/bin/busybox": busybox()}, links=links, entrypoint=["/bin/true"])
        _, nothing, _ = run(deaf, "--contract", "auth-init", "-n", "0", FEW[0], cwd=tmp_path)

    assert status == 1
    assert messages(report, "auth-init/redirected/code").keys() == {"leaked-token"}
    reason = row(nothing, FEW[0])["reason"]
    assert reason == "nothing in the image can listen for a Manager: no python3 or node"
