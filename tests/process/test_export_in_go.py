"""The example in Go of the page about exports, where there is a Go."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support_cli import suite

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
SHOWN = re.compile(
    r"^`(probe\.sh|homes_test\.go)`:\n\n```\S+\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
PROBE = """\
#!/bin/sh
"$WOVED_TASK_AGENT" --version > /dev/null 2>&1 || exit 64
find "$HOME/.claude" -type f ! -name CLAUDE.md ! -name settings.json ! -name config.toml | grep -q . || exit 65
"""


@pytest.mark.slow
@pytest.mark.in_turn(3)
@pytest.mark.skipif(shutil.which("go") is None, reason="there is no go")
def test_it_finds_the_file_name_that_a_probe_pins_and_nothing_in_one_that_pins_none(
    tmp_path: Path,
) -> None:
    for name, content in SHOWN.findall(PAGE.read_text()):
        (tmp_path / name).write_text(content)
    (tmp_path / "right.sh").write_text(PROBE)
    ids = ("claude/nested-session", "claude/baseline-only", "cli/missing", "claude/socket-only")
    assert suite(tmp_path, "export", "homes", "--contract", "slot", *ids).returncode == 0

    assert verdicts(tmp_path, "probe.sh") == {
        "claude/baseline-only": "PASS",
        "claude/nested-session": "FAIL",
        "claude/socket-only": "SKIP",
        "cli/missing": "PASS",
    }
    assert set(verdicts(tmp_path, "right.sh").values()) == {"PASS", "SKIP"}


def verdicts(directory: Path, probe: str) -> dict[str, str]:
    """Return what Go says of each scenario with *probe*."""
    done = subprocess.run(
        ["go", "test", "-v", "-run", "Homes", "homes_test.go"],
        cwd=directory,
        env={
            **os.environ,
            "PROBE": f"sh ./{probe}",
            "GO111MODULE": "off",
            "GOCACHE": os.fspath(directory / "cache"),
            "GOFLAGS": "",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = re.findall(r"^ +--- (\w+): TestHomes/(\S+)", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {id_: said for said, id_ in found}
