"""What everybody knows: names and values that say nothing of whoever a home belongs to.

They stand in the bundled catalogue, in its contracts, or in the documentation of the CLIs. Whatever
is none of these is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from msgspec import Struct

from conformance.capture.tokens import tokens
from conformance.catalogue.catalogue import load_catalogue
from conformance.catalogue.layers import bundled_layers
from conformance.model.scenario import Bytes, Entry, Json, Runs, Text

__all__ = ["Known", "known"]

#: Members and variables that the documentation of the CLIs names, and the catalogue does not.
_MEMBERS = """
accessToken refreshToken expiresAt refreshTokenExpiresAt scopes subscriptionType rateLimitTier
clientId claudeAiOauth mcpOAuth enterpriseGateway organizationUuid auth_mode OPENAI_API_KEY
tokens id_token access_token refresh_token account_id last_refresh agent_identity
personal_access_token env permissions allow deny ask hooks model apiKeyHelper forceLoginMethod
forceLoginOrgUUID primaryApiKey oauthAccount projects mcpServers customApiKeyResponses
hasCompletedOnboarding forced_login_method forced_chatgpt_workspace_id
cli_auth_credentials_store chatgpt_base_url model_provider model_providers
model_reasoning_effort mcp_servers profile profiles preferred_auth_method approval_policy
sandbox_mode exp iat nbf iss aud sub alg kid typ email email_verified
https://api.openai.com/auth chatgpt_account_id
""".split()  # noqa: SIM905 - a list would be one word a line
_VARIABLES = """
ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_BASE_URL CLAUDE_CODE_OAUTH_TOKEN
CLAUDE_CODE_SIMPLE CLAUDE_CODE_USE_BEDROCK CLAUDE_CODE_USE_VERTEX CLAUDE_CONFIG_DIR
CLAUDE_SECURESTORAGE_CONFIG_DIR CODEX_ACCESS_TOKEN CODEX_API_KEY CODEX_HOME OPENAI_API_KEY
""".split()  # noqa: SIM905 - a list would be one word a line
#: Names of files and directories that the CLIs make, and the catalogue has not.
_NAMES = """
.claude .codex .claude.json .credentials.json auth.json config.toml settings.json
settings.local.json CLAUDE.md AGENTS.md projects todos statsig shell-snapshots plugins ide local
session-env history.jsonl log sessions archived_sessions tmp backups cache debug file-history
plans stats-cache.json agents commands skills hooks managed-settings.json
""".split()  # noqa: SIM905 - a list would be one word a line
#: Members that hold a time, besides those that do in the catalogue.
_TIMES = {"exp", "iat", "nbf", "expires", "expires_at", "expiresIn"}
#: Members that hold a credential, whatever it looks like.
_SECRETS = re.compile(r"(?i)token|secret|password|passwd|api_?key|credential|authorization")
#: In the catalogue a number stands here; more digits than these are no longer just a number.
_DIGITS = "[0-9]{1,5}"
_N = re.compile(re.escape(re.escape("{n}")))


class Known(Struct, frozen=True, kw_only=True):
    """Names and values that may be kept."""

    names: frozenset[str]
    """Names of files and directories."""
    patterns: tuple[re.Pattern[str], ...]
    """What other names may look like, because the catalogue numbers them so."""
    tops: frozenset[str]
    """Names that lie at the top of homes."""
    members: frozenset[str]
    """Names of members of JSON and TOML, of variables, too."""
    values: frozenset[tuple[str, str]]
    """Members, each with a text that it may hold."""
    times: frozenset[str]
    """Members that hold a time."""
    variables: frozenset[str]
    """Names of variables of the environment."""

    def is_name(self, name: str) -> bool:
        """Return whether a file may be called *name* in what is captured."""
        return name in self.names or any(pattern.fullmatch(name) for pattern in self.patterns)

    def is_secret(self, member: str) -> bool:
        """Return whether a *member* holds a credential, as its name says."""
        return bool(_SECRETS.search(member))


@cache
def known() -> Known:
    """Return what the bundled catalogue, its contracts and the CLIs know.

    :raises FileError: a file of the catalogue is wrong.
    """
    catalogue = load_catalogue()
    scenarios = list(catalogue.scenarios.values())
    entries = [entry for scenario in scenarios for entry in scenario.entries]
    entries += [entry for layer in bundled_layers().values() for entry in layer]
    variables = {name for scenario in scenarios for name in (*scenario.env, *scenario.unset)}
    variables |= {*_VARIABLES}
    for contract in catalogue.contracts.values():
        variables |= {*contract.inputs.variables()}
    values: set[tuple[str, str]] = set()
    times: set[str] = {*_TIMES}
    members = {*_MEMBERS, *variables}
    for entry in entries:
        for member, value in _in_content(entry):
            members.add(member)
            if "{now" in value and ":jwt}" not in value:
                times.add(member)
            elif "{" not in value:
                values.add((member, value))
    for scenario in scenarios:
        values |= {(name, value) for name, value in scenario.env.items() if "{" not in value}
    parts = [part for entry in entries for path in _paths(entry) for part in path.split("/")]
    tops = {entry.path.partition("/")[0] for entry in entries}
    return Known(
        names=frozenset({*_NAMES, *(part for part in parts if "{" not in part)} - {"", ".", ".."}),
        patterns=tuple(_patterns(parts)),
        tops=frozenset({*(top for top in tops if "{" not in top), ".claude", ".codex"}),
        members=frozenset(member for member in members if "{" not in member),
        values=frozenset(values),
        times=frozenset(times),
        variables=frozenset(variables - {""}),
    )


def _paths(entry: Entry) -> Iterator[str]:
    yield entry.path
    yield entry.target.removeprefix("{home}/")
    if entry.depth:
        yield "d"


def _patterns(parts: Iterable[str]) -> Iterator[re.Pattern[str]]:
    for part in dict.fromkeys(parts):
        if "{n}" in part and part.count("{") == part.count("{n}"):
            yield re.compile(_N.sub(lambda _: _DIGITS, re.escape(part)))


def _in_content(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield the members of what a file holds, each with its text."""
    match entry.content:
        case Json(value):
            yield from _in_value(value, "")
        case Text(text):
            yield from _in_text(text)
        case Bytes(data):
            yield from _in_text(data.decode("utf-8", "replace"))
        case Runs(runs):
            for text, _ in runs:
                yield from _in_text(text)


def _in_value(value: Any, member: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, ""
            yield from _in_value(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _in_value(inner, member)
    elif isinstance(value, str):
        yield member, value


def _in_text(text: str) -> Iterator[tuple[str, str]]:
    for toml in (False, True):
        for token in tokens(text, toml=toml):
            if token.kind == "key":
                yield token.text, ""
            elif token.kind == "string":
                yield token.member, token.text
