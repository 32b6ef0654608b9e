"""An entrypoint that is right in its own way: links in the place of files, directories, and a habit of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from factories import bundled_catalogue
from support_image import Images, diagnosis, run

#: What it does before the probe is asked. The baseline is linked, as it never changes, and takes the place of files.
ENTRYPOINT = b"""#!/bin/sh
if [ -n "$HOME" ]; then
    mkdir -p "$HOME/.claude" "$HOME/.codex"
    ln -sfT /opt/baseline/CLAUDE.md "$HOME/.claude/CLAUDE.md"
    ln -sfT /opt/baseline/settings.json "$HOME/.claude/settings.json"
    ln -sfT "$HOME/.codex/../.claude/settings.json" "$HOME/.codex/config.toml"
    printf '[user]\\nname = agent\\n' > "$HOME/.gitconfig"
fi 2> /dev/null
exec /opt/conformance/entrypoint.sh "$@"
"""


@pytest.fixture
def image(engine: docker.DockerClient, reference_image: str) -> Iterator[str]:
    """Return the reference image with that entrypoint before its own."""
    files = {
        "/entry": ENTRYPOINT,
        "/opt/baseline/CLAUDE.md": b"rules\n",
        "/opt/baseline/settings.json": b"{}\n",
    }
    with Images(engine, reference_image) as images:
        yield images.like_reference(files, entrypoint=["/entry"])


@pytest.mark.in_turn(3)
@pytest.mark.slow
def test_it_conforms_with_one_further_write_and_without_it_there_is_one_hint(
    image: str, tmp_path: Path
) -> None:
    """All over the catalogue there is no deviation; one addition everywhere is told once.

    Every third scenario stands for all.
    """
    words = ("--isolation", "shared")
    slot = bundled_catalogue().contracts["slot"]
    third = [one.id for one in bundled_catalogue().in_contract(slot)][::3]

    allowed = run(image, *words, "--allow-write", ".gitconfig", *third, cwd=tmp_path, timeout=600)
    refused = run(image, *words, "agent/*", "codex/*", "claude/*-only", cwd=tmp_path, timeout=600)

    assert allowed[0] == 0, allowed[2]
    assert allowed[1]["counts"]["deviates"] == 0
    assert allowed[1]["counts"]["conforms"] > 120
    assert "allowed: to write .gitconfig in the HOME" in allowed[2].splitlines()
    assert diagnosis(allowed[2]) == ""

    assert refused[0] == 1, refused[2]
    assert diagnosis(refused[2]).endswith("name it: --allow-write '.gitconfig'")
    assert refused[2].count("\nDIAGNOSIS ") == 1
    assert sum(line.startswith("DEVIATES ") for line in refused[2].splitlines()) == 2
    deviating = [row for row in refused[1]["scenarios"] if row["result"] == "deviates"]
    assert len(deviating) > 40
    assert {tuple(row["changes"]) for row in deviating} == {
        ("added .gitconfig (file, mode 0644, 20 bytes)",)
    }


def test_a_login_that_it_writes_is_told(image: str, tmp_path: Path) -> None:
    """A further write that is named is no leave to write elsewhere."""
    status, report, printed = run(
        image, "claude/baseline-only", "-n", "0", "--allow-write", ".config/**", cwd=tmp_path
    )
    assert status == 1, printed
    assert [row["changes"] for row in report["scenarios"]] == [
        ["added .gitconfig (file, mode 0644, 20 bytes)"]
    ]
