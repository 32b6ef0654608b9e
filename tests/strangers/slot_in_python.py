#!/usr/bin/env python3
"""A start-up probe as somebody writes it in Python who knows the contract `slot` and nothing else of the suite."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

READY, CLI_BROKEN, CREDS_MISSING, CREDS_INVALID = 0, 64, 65, 66
BASELINE = {"CLAUDE.md", "config.toml", "settings.json"}


def cli_runs(agent: str) -> bool:
    """Tell whether the agent's CLI can say its version."""
    cli = shutil.which(agent)
    if cli is None:
        return False
    nothing = subprocess.DEVNULL  # no pipe: a process that the CLI leaves could hold it open
    try:
        done = subprocess.run(
            [cli, "--version"],
            check=False,
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def claude(home: Path) -> int:
    """Any regular file below ~/.claude that is not baseline is a login."""
    top = home / ".claude"
    try:
        if not top.is_dir():
            return CREDS_MISSING
    except PermissionError:
        return CREDS_INVALID
    closed = False
    directories = [top]
    while directories:
        directory = directories.pop()
        if not os.access(directory, os.R_OK | os.X_OK):
            closed = True
            continue
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False) and not (
                    directory == top and entry.name in BASELINE
                ):
                    return READY
    return CREDS_INVALID if closed else CREDS_MISSING


def codex(home: Path) -> int:
    """~/.codex/auth.json has to be JSON, whatever it says."""
    auth = home / ".codex" / "auth.json"
    try:
        if not stat.S_ISREG(auth.stat().st_mode):  # exists() says no to more than what is not there
            return CREDS_INVALID
        json.loads(auth.read_bytes())  # bytes: in UTF-8, UTF-16 or UTF-32
    except (FileNotFoundError, NotADirectoryError):
        return CREDS_MISSING
    except (OSError, ValueError, RecursionError):
        return CREDS_INVALID
    return READY


def main() -> int:
    """Agent, then CLI, then credentials; the first that fails decides."""
    agent = os.environ.get("WOVED_TASK_AGENT", "")
    if agent not in ("claude", "codex") or not cli_runs(agent):
        return CLI_BROKEN
    home = os.environ.get("HOME")
    if not home:
        return CREDS_MISSING
    return claude(Path(home)) if agent == "claude" else codex(Path(home))


if __name__ == "__main__":
    sys.exit(main())
