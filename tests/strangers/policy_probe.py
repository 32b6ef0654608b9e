#!/usr/bin/env python3
"""Right probes that follow a policy of their own: the reference probes, each with one decision made otherwise.

The first argument names the policy, as the examples in docs/contracts.md do.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, os.fspath(Path(__file__).parents[2] / "fixtures" / "probes"))
sys.dont_write_bytecode = True  # no __pycache__ beside the reference
import slot  # noqa: E402

PLAIN = slot.CREDENTIALS
import slot_strict  # noqa: E402 - it puts checks of its own in their place

STRICT, slot.CREDENTIALS = slot.CREDENTIALS, dict(PLAIN)

CLI_UNKNOWN = 75
TOKENS = {
    "claude": ("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"),
    "codex": ("OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN"),
}
STATUS = {0: "ok", 64: "no_cli", 65: "no_login", 66: "bad_login"}


def yes_or_no() -> int:
    """Say no, whatever the reason is."""
    return 0 if slot.main() == slot.READY else 1


def one_agent() -> int:
    """Know claude, and nothing of any other agent."""
    slot.CREDENTIALS = {"claude": slot.check_claude}
    return slot.main()


def own_agent_variable() -> int:
    """Read the agent from another variable, and tell unusable credentials of codex apart by another code."""
    agent = os.environ.pop("ACME_AGENT", None)
    os.environ.pop("WOVED_TASK_AGENT", None)
    if agent is not None:
        os.environ["WOVED_TASK_AGENT"] = agent
    code = slot.main()
    return 67 if code == slot.CREDS_INVALID and agent == "codex" else code


def refresh_token() -> int:
    """Take the refresh token for the login: without one that lasts, the access token does not help."""

    def check(home: str, login: Any) -> None:
        until = login.get("refreshTokenExpiresAt")
        if not slot_strict.is_text(login.get("refreshToken")) or slot_strict.is_past(until):
            raise slot_strict.Unusable("holds no refresh token that lasts")

    return strictly(check)


def hard_expiry() -> int:
    """Refuse an access token that ends within five minutes, whatever could renew it."""

    def check(home: str, login: Any) -> None:
        expires = login.get("expiresAt")
        if slot_strict.is_number(expires) and expires <= (time.time() + 300) * 1000:
            raise slot_strict.Unusable("has expired, or will soon")

    return strictly(check)


def account_needed() -> int:
    """Take no login for one unless ~/.claude.json names its account."""

    def check(home: str, login: Any) -> None:
        try:
            account = json.loads(slot.read(os.path.join(home, ".claude.json")))["oauthAccount"]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            account = None
        if not isinstance(account, dict) or not account:
            raise slot.NotReady(slot.CREDS_MISSING, "there is no account in ~/.claude.json")

    return strictly(check)


def strictly(check: Callable[[str, Any], None]) -> int:
    """Judge as the strict reference probe does, and hold what it takes for a login of claude against *check*."""
    right = slot_strict.check_claude

    def stricter(home: str) -> None:
        right(home)
        place = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.join(home, ".claude")
        login = slot_strict.table_in(os.path.join(place, ".credentials.json"))["claudeAiOauth"]
        check(home, login)

    slot.CREDENTIALS = {**STRICT, "claude": slot_strict.guarded(stricter)}
    sys.setrecursionlimit(slot_strict.LEVELS)
    return slot.main()


def key_is_used() -> int:
    """Let the slot take tasks where nobody has logged in: a key of the company's is used then."""
    code = slot.main()
    return slot.READY if code == slot.CREDS_MISSING else code


def token_in_environment() -> int:
    """Take a token in the environment for a login."""
    code = slot.main()
    names = TOKENS.get(os.environ.get("WOVED_TASK_AGENT", ""), ())
    if code == slot.CREDS_MISSING and any(os.environ.get(name) for name in names):
        return slot.READY
    return code


def quick_cli() -> int:
    """Give the CLI three seconds."""
    slot.CLI_SECONDS = 3
    return slot.main()


def cli_does_not_block() -> int:
    """Leave the CLI to whoever starts it."""
    slot.check_cli = lambda agent: None
    return slot.main()


def unknown() -> int:
    """Say that it is not known where the CLI does not answer or a directory may not be looked into."""
    ask, look = slot.check_cli, slot.check_claude

    def check_cli(agent: str) -> None:
        try:
            ask(agent)
        except slot.NotReady as e:
            raise slot.NotReady(
                CLI_UNKNOWN if "did not end" in str(e) else e.code, str(e)
            ) from None

    def check_claude(home: str) -> None:
        try:
            look(home)
        except slot.NotReady as e:
            code = CLI_UNKNOWN if e.code == slot.CREDS_INVALID else e.code
            raise slot.NotReady(code, str(e)) from None

    slot.check_cli = check_cli
    slot.CREDENTIALS["claude"] = check_claude
    return slot.main()


def document() -> int:
    """Answer with a document on stdout, and exit 0."""
    print(json.dumps({"probe": "slot", "status": STATUS[slot.main()]}))
    return 0


POLICIES = {
    "account-needed": account_needed,
    "cli-does-not-block": cli_does_not_block,
    "document": document,
    "hard-expiry": hard_expiry,
    "key-is-used": key_is_used,
    "one-agent": one_agent,
    "own-agent-variable": own_agent_variable,
    "quick-cli": quick_cli,
    "refresh-token": refresh_token,
    "token-in-environment": token_in_environment,
    "unknown": unknown,
    "yes-or-no": yes_or_no,
}

if __name__ == "__main__":
    sys.exit(POLICIES[sys.argv[1]]())
