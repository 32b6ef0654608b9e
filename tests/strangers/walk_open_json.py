"""Probes as most people write them in Python: with `os.walk`, `open` and `json`; a callable for each contract."""

import datetime
import json
import os
import subprocess
import time
from typing import Any

READY, CLI_BROKEN, CREDS_MISSING, CREDS_INVALID = 0, 64, 65, 66
BASELINE = {"CLAUDE.md", "config.toml", "settings.json"}


class Invalid(Exception):
    """The file is there and cannot be used."""


def cli_runs(agent: str) -> bool:
    """Tell whether the agent's CLI says its version in time."""
    nothing = subprocess.DEVNULL
    try:
        done = subprocess.run(
            [agent, "--version"],
            check=False,
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def login_below(top: str) -> int:
    """Any regular file that is not baseline is a login."""
    if not os.path.isdir(top):
        return CREDS_MISSING
    closed: list[OSError] = []
    for directory, _, files in os.walk(top, onerror=closed.append):
        for name in files:
            path = os.path.join(directory, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            if directory != top or name not in BASELINE:
                return READY
    return CREDS_INVALID if closed else CREDS_MISSING


def loaded(path: str) -> Any:
    """Return the JSON in a file; None where there is no file."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise Invalid
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError):
        raise Invalid from None


def oauth(value: Any) -> dict[str, Any]:
    """Return the login of claude in a JSON value."""
    login = value.get("claudeAiOauth") if isinstance(value, dict) else None
    if not isinstance(login, dict):
        raise Invalid
    return login


def lasts(at: Any, skew: float = 0.0) -> bool:
    """Tell whether a time in epoch milliseconds is none, or not yet there."""
    return not isinstance(at, int | float) or at > (time.time() + skew) * 1000


def slot() -> int:
    """Answer as the contract slot asks."""
    agent, home = os.environ.get("WOVED_TASK_AGENT", ""), os.environ.get("HOME")
    if agent not in ("claude", "codex") or not cli_runs(agent):
        return CLI_BROKEN
    if not home:
        return CREDS_MISSING
    if agent == "claude":
        return login_below(os.path.join(home, ".claude"))
    try:
        path = os.path.join(home, ".codex", "auth.json")
        return CREDS_MISSING if loaded(path) is None and not os.path.isfile(path) else READY
    except Invalid:
        return CREDS_INVALID


def slot_strict() -> int:
    """Answer much as the contract slot-strict asks."""
    agent, home = os.environ.get("WOVED_TASK_AGENT", ""), os.environ.get("HOME", "")
    if agent not in ("claude", "codex") or not cli_runs(agent):
        return CLI_BROKEN
    try:
        if agent == "claude":
            directory = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.join(home, ".claude")
            value = loaded(os.path.join(directory, ".credentials.json"))
            if value is None:
                return CREDS_MISSING
            login = oauth(value)
            alive = lasts(login.get("expiresAt")) or (
                login.get("refreshToken") and lasts(login.get("refreshTokenExpiresAt"))
            )
            return READY if login.get("accessToken") and alive else CREDS_INVALID
        directory = os.environ.get("CODEX_HOME") or os.path.join(home, ".codex")
        value = loaded(os.path.join(directory, "auth.json"))
        if value is None:
            return CREDS_MISSING
        if not isinstance(value, dict):
            return CREDS_INVALID
        if value.get("OPENAI_API_KEY"):
            return READY
        datetime.datetime.fromisoformat(value["last_refresh"])
        return READY if value["tokens"]["access_token"] else CREDS_INVALID
    except (Invalid, KeyError, TypeError, ValueError):
        return CREDS_INVALID


def preflight() -> tuple[bool, str]:
    """Say whether an agent may be started, and why not."""
    if not cli_runs("claude"):
        return False, "the CLI does not run"
    if os.environ.get("ORCH_PREFLIGHT_CHECK_AUTH") == "false":
        return True, "not looked at"
    usual = os.path.join(os.environ.get("AGENT_HOME", ""), ".claude", ".credentials.json")
    try:
        value = loaded(os.environ.get("ORCH_CLAUDE_CREDENTIALS_PATH") or usual)
        if value is None:
            return False, "nobody has logged in"
        at = oauth(value).get("expiresAt")
    except Invalid:
        return False, "the login cannot be used"
    return lasts(at, float(os.environ.get("ORCH_AUTH_EXPIRY_SKEW_SECONDS") or 0)), "the login ends"
