"""The golden logins, and the homes that are made from them."""

from __future__ import annotations

import base64
import json
from typing import Any

from factories import json_of

from conformance.catalogue.agents import golden_entries, good_login
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.layers import layer
from conformance.model.placeholders import ACCOUNT_ID, Context, expand_json
from conformance.model.scenario import Json, Scenario

CONTEXT = Context(now=1_700_000_000, seed="seed", scenario="a/b", home="/home")
#: Scenarios that are about a home without an account: what they are about would be gone with one.
WITHOUT_ACCOUNT = (
    "claude/login-without-account/",
    "configuration/claude/claude-json-broken",
    # A token or a key without a file has no account, nor has a home in which nobody looks.
    "configuration/claude/key-helper",
    "preflight/switch-off-no-credentials",
    "environment/claude-token/",
    "environment/claude-settings-token/",
    "environment/claude-simple-on/beside-key",
)


def filled(name: str, path: str) -> Any:
    """Return the JSON that the layer *name* has at *path*, as a home has it."""
    [found] = [one for one in layer(name) if one.path == path]
    return expand_json(json_of(found), CONTEXT)


def test_a_login_of_claude_has_all_that_the_cli_writes() -> None:
    login = filled("claude-login", ".claude/.credentials.json")["claudeAiOauth"]
    assert {*login} == {
        *("accessToken", "refreshToken", "expiresAt", "refreshTokenExpiresAt", "scopes"),
        *("subscriptionType", "rateLimitTier"),
    }
    assert login["accessToken"].startswith("sk-ant-oat01-")
    assert login["refreshToken"].startswith("sk-ant-ort01-")
    assert {"user:inference", "user:profile"} <= {*login["scopes"]}


def test_a_login_of_claude_has_its_account_beside_it() -> None:
    settings = filled("claude-login", ".claude.json")
    assert settings["hasCompletedOnboarding"] is True
    assert {"accountUuid", "emailAddress", "organizationUuid"} <= {*settings["oauthAccount"]}


def test_a_login_with_chatgpt_names_one_account_everywhere() -> None:
    auth = filled("codex-auth", ".codex/auth.json")
    tokens = auth["tokens"]
    assert (auth["auth_mode"], auth["OPENAI_API_KEY"]) == ("chatgpt", None)
    assert tokens["account_id"] == ACCOUNT_ID
    assert tokens["refresh_token"].startswith("rt_")
    for name in ("id_token", "access_token"):
        claims = tokens[name].split(".")[1]
        read = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        assert read["https://api.openai.com/auth"]["chatgpt_account_id"] == ACCOUNT_ID
        assert read["iat"] < CONTEXT.now < read["exp"]


def test_a_login_with_a_key_has_the_key_of_that_agent() -> None:
    auth = filled("codex-key", ".codex/auth.json")
    assert auth["auth_mode"] == "apikey"
    assert auth["OPENAI_API_KEY"].startswith("sk-proj-")


def test_the_home_with_the_opposite_answer_is_a_golden_login() -> None:
    golden = {one for entries in golden_entries().values() for one in map(str, entries)}
    for agent, files in (("claude", 2), ("codex", 1)):
        login = good_login(agent)
        assert len(login) == files
        assert {str(one) for one in login} <= golden


def has_account(scenario: Scenario) -> bool:
    """Tell whether ``.claude.json`` names an account."""
    return any(
        one.path == ".claude.json"
        and isinstance(one.content, Json)
        and bool(one.content.value.get("oauthAccount"))
        for one in scenario.entries
    )


def test_where_something_of_a_login_is_there_is_an_account(bundled: Catalogue) -> None:
    """A probe that asks for one is not blamed for what another scenario is about."""
    lacking = [
        id_
        for id_, scenario in bundled.scenarios.items()
        if scenario.agent == "claude"
        and not id_.startswith(WITHOUT_ACCOUNT)
        and any(
            verdicts in (("ready",), ("creds-invalid",)) for verdicts in scenario.expect.values()
        )
        and not has_account(scenario)
    ]
    assert lacking == []
