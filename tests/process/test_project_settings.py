"""Settings of a project, as somebody meets them who types ``probe-conformance run`` somewhere in it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from support_cli import suite

#: Stands for a probe that knows where it is started, and needs a variable.
PROBE = """\
import os, sys
sys.exit(65 if os.path.exists("here") and os.environ.get("REGION") == "eu" else 7)
"""


def test_a_run_below_the_file_is_that_of_the_project(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "here").touch()
    (tmp_path / "smoke_probe.py").write_text(PROBE)
    (tmp_path / "known.toml").write_text('[known-failures]\n"codex/tokens" = "issue 1"\n')
    (tmp_path / "probe-conformance.toml").write_text(
        'probe = "python3 smoke_probe.py"\njson = "report.json"\nknown-failures = "known.toml"\n'
        'workers = 0\n[env]\nREGION = "eu"\n'
    )
    ids = ["claude/baseline-only", "claude/nested-session"]

    done = suite(tmp_path / "sub", "run", *ids)
    report = json.loads((tmp_path / "report.json").read_text())

    assert done.returncode == 1, done.stderr
    taken = "../probe-conformance.toml (env, json, known-failures, probe, workers)"
    assert f"\nsettings: {taken}\n" in done.stdout
    assert report["settings"] == taken
    assert {row["id"]: (row["code"], row["result"]) for row in report["scenarios"]} == {
        "claude/baseline-only": (65, "conforms"),
        "claude/nested-session": (65, "deviates"),
    }
    [line] = re.findall(r"repeat it with +(.*)", done.stdout)
    assert line == "probe-conformance repro claude/nested-session"
    again = suite(tmp_path / "sub", *shlex.split(line)[1:])
    assert again.returncode == 1, again.stderr
    assert "settings: ../probe-conformance.toml (env, probe)\n" in again.stdout
    assert "got: creds-missing (65)" in again.stdout
