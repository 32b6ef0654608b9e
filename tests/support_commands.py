"""What tests of several commands share: a report read back, and the reference probes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import support_cli
from support_cli import environment

from conformance.bundled import fixtures_dir

TIMEOUT = 300
WORKERS = ["0", pytest.param("2", marks=pytest.mark.slow)]
REFERENCE = {
    name: [sys.executable, "-I", str(fixtures_dir() / "probes" / f"{name}.py")]
    for name in ("slot", "preflight")
}
PAIR = ["claude/baseline-only", "claude/nested-session"]
MISSING = "sh -c 'exit 65'"
#: What claude/nested-session has that its control lacks.
DIFFERENCE = (
    "+ .claude.json: as layer claude-login has it",
    "+ .claude/.credentials/session.json: as layer claude-login has .claude/.credentials.json",
)
SCENARIO = """
summary = "A login in a file of one's own"
origin = "this test"
agent = "claude"
control = "claude/baseline-only"

[expect]
slot = "ready"

[home.files]
".claude/own" = "{secret}"
"""


def suite(directory: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in *directory*, with *more* variables."""
    return support_cli.suite(directory, *arguments, env=environment(**more))


def shell(directory: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run *line* in a shell, as someone would who pastes it; ``probe-conformance`` is a program there."""
    program = directory / "bin" / "probe-conformance"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m conformance "$@"\n')
    program.chmod(0o755)
    return subprocess.run(
        ["sh", "-c", line],
        cwd=directory,
        env=environment(PATH=f"{program.parent}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def report(directory: Path, *arguments: str, **more: str) -> dict[str, Any]:
    """Run scenarios, and return the JSON report."""
    done = suite(directory, "run", "--json", "-", *arguments, **more)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == found["exit_status"], done.stderr
    return found


def rows(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in found["scenarios"]}


def results(found: Mapping[str, Any]) -> dict[str, str]:
    return {id_: row["result"] for id_, row in rows(found).items()}


def listed(directory: Path, *arguments: str) -> list[str]:
    return [row["id"] for row in json.loads(suite(directory, "list", "--json", *arguments).stdout)]


def cache() -> Path:
    return Path(os.environ["XDG_CACHE_HOME"], "probe-conformance")
