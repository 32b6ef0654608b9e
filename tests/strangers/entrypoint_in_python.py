#!/usr/bin/env python3
"""An entrypoint that is right in its own way: it asks the CLI, waits for what it starts, and leaves what is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

PROGRAMS = {
    "interactive": ["bash", "--norc"],
    "smoke-test": ["/opt/conformance/slot.py"],
}


def refuse(why: str) -> NoReturn:
    sys.exit(f"start: {why}")


def command(mode: str, agent: str, arguments: list[str]) -> list[str]:
    if mode == "worker":
        return [agent, *arguments]
    if mode == "auth-init":
        login = ["auth", "login"] if agent == "claude" else ["login"]
        return [agent, *login, *arguments]
    if mode not in PROGRAMS:
        refuse(f"{mode!r} is no mode")
    return arguments or PROGRAMS[mode]


def usable(text: str | bytes) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and len(found) > 0


def seed(session: str, home: Path) -> None:
    """Make the login where there is none; refuse to go on with one that is broken."""
    path = home / ".codex" / "auth.json"
    if os.path.lexists(path):
        if not path.is_file() or not usable(path.read_bytes()):
            refuse(f"{path} is no login: see to it")
        return
    if not session.strip():
        return
    if not usable(session):
        refuse("CODEX_SESSION is no login")
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(json.loads(session), file, indent=2)


def main() -> int:
    mode, agent = os.environ.get("AGENT_MODE", "interactive"), os.environ.get("AGENT")
    if agent not in ("claude", "codex"):
        refuse("AGENT must be claude or codex")
    if not os.environ.get("GH_TOKEN"):
        refuse("GH_TOKEN is needed in every mode")
    started = command(mode, agent, sys.argv[1:])
    if agent == "codex" and "CODEX_SESSION" in os.environ:
        seed(os.environ["CODEX_SESSION"], Path(os.environ["HOME"]))
    try:
        subprocess.run([agent, "--version"], check=True, timeout=2, capture_output=True)
    except (subprocess.SubprocessError, OSError):
        print(f"start: {agent} does not say its version", file=sys.stderr)
    environment = {**os.environ, "WOVED_TASK_AGENT": agent}
    environment.pop("CODEX_SESSION", None)
    return subprocess.run(started, check=False, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
