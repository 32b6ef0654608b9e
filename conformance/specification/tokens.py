"""Logins that lie elsewhere than in the file of credentials: in the environment, in settings."""

from __future__ import annotations

import re
from typing import Any

from conformance.specification.case import Case
from conformance.specification.document import read_document

__all__ = ["VARIABLES", "elsewhere_rules", "has_no_account", "is_set", "object_in"]

#: Variables with a token, which the CLI of an agent takes in place of a login.
VARIABLES = {
    "claude": ("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "codex": ("CODEX_API_KEY", "OPENAI_API_KEY", "CODEX_ACCESS_TOKEN"),
}
#: What can be a token: no blank in it, and not only a word.
_TOKEN = re.compile(r"[\x21-\x7e]{16,}")


def elsewhere_rules(case: Case, place: str) -> tuple[str, ...]:
    """Return the rules about logins elsewhere that speak of this *case*, the nearest first.

    *place* is the directory of the agent's settings.
    """
    rules: list[str] = []
    values = [case.env.get(name, "") for name in VARIABLES[case.agent]]
    if values := [value for value in values if value]:
        junk = not any(_TOKEN.fullmatch(value) for value in values)
        rules += ["environment-junk", "environment-only"] if junk else ["environment-only"]
    if case.agent == "claude":
        settings = object_in(case, f"{place}/settings.json")
        block = settings.get("env")
        if isinstance(block, dict) and any(is_set(block, name) for name in VARIABLES["claude"]):
            rules.append("environment-in-settings")
        account = object_in(case, f"{case.home_path}/.claude.json")
        if is_set(settings, "apiKeyHelper") or is_set(account, "primaryApiKey"):
            rules.append("key-elsewhere")
    return tuple(rules)


def has_no_account(case: Case) -> bool:
    """Return whether no account stands in ~/.claude.json, which is not there, or is good JSON."""
    opened = case.reach.open(f"{case.home_path}/.claude.json")
    if opened.end == "missing":
        return True
    document = read_document(opened.content)
    if opened.end != "there" or document.kind != "json" or not isinstance(document.value, dict):
        return False
    return document.value.get("oauthAccount") is None


def is_set(table: dict[str, Any], name: str) -> bool:
    """Return whether *table* has a text under *name* that is not empty."""
    return isinstance(table.get(name), str) and bool(table[name])


def object_in(case: Case, path: str) -> dict[str, Any]:
    """Return the JSON object in the file at *path*; an empty one where there is none."""
    opened = case.reach.open(path)
    if opened.end != "there":
        return {}
    value = read_document(opened.content).value
    return value if isinstance(value, dict) else {}
