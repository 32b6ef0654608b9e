"""Mounted logins and configurations, under contracts that take them and under those that do not."""

from __future__ import annotations

import pytest
from factories import bundled_catalogue
from manifests import AGENT, HOME, UNUSUAL, WRONG, edited
from support_wiring import CONTRACTS, checked, rules


def test_a_contract_with_another_limit_and_other_inputs() -> None:
    text = edited((AGENT, "        - {name: AGENT_HOME, value: /home/agent}\n"))

    assert rules(checked(text, "preflight")) == set()
    assert rules(checked(edited((AGENT, "")), "preflight")) == {"input-missing"}


def test_a_contract_that_follows_no_links_refuses_a_mounted_secret() -> None:
    text, _ = WRONG["secret-over-claude"]

    assert rules(checked(text, links_are_login=False)) == {"links-are-no-login"}


def test_where_links_are_no_login_single_files_and_other_agents_are_left_alone() -> None:
    text, _ = WRONG["secret-over-claude"]
    file = text.replace(
        "mountPath: /home/agent/.claude\n",
        "mountPath: /home/agent/.claude/.credentials.json\n          subPath: .credentials.json\n",
    )
    codex = text.replace("/home/agent/.claude", "/home/agent/.codex").replace(
        "value: claude", "value: codex"
    )
    claim = text.replace(
        "      secret:\n        secretName: login\n",
        "      persistentVolumeClaim: {claimName: login}\n",
    )
    claim = claim.replace(
        "/home/agent/.claude\n", "/home/agent/.claude\n          readOnly: true\n"
    )

    for other in (file, codex, claim):
        assert rules(checked(other, links_are_login=False)) == {"credentials-read-only"}


@pytest.mark.parametrize(
    "edit",
    [
        (HOME, ""),
        ("value: claude", "valueFrom: {fieldRef: {fieldPath: \"metadata.labels['agent']\"}}"),
        ("        items: [{key: a, path: review.md}]\n", ""),
    ],
    ids=["home", "agent", "names"],
)
def test_what_is_not_known_of_a_mounted_config_is_advice(edit: tuple[str, str]) -> None:
    text, _ = WRONG["config-is-a-login"]

    assert rules(checked(edited(edit, text=text))) == {"config-may-count-as-login"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("settings.json", set()),
        ("mcp.json", {"config-counts-as-login"}),
        ("skills/CLAUDE.md", {"config-may-count-as-login"}),
        ("skills/review.md", {"config-counts-as-login"}),
    ],
)
def test_a_single_file_of_a_config_counts_by_its_name_and_place(
    path: str, expected: set[str]
) -> None:
    text = UNUSUAL["baseline-with-sub-path"].replace(".claude/CLAUDE.md", f".claude/{path}")

    assert rules(checked(text)) == expected


def test_a_mounted_config_is_nothing_to_contracts_that_look_into_files_and_to_other_agents() -> (
    None
):
    text, _ = WRONG["config-is-a-login"]

    assert rules(checked(text, "slot-strict")) == set()
    assert rules(checked(text.replace("value: claude", "value: codex"))) == set()


def test_a_login_that_a_variable_points_to_may_lie_anywhere() -> None:
    elsewhere = ("mountPath: /home/agent", "mountPath: /root/.claude")
    text = edited(elsewhere, (AGENT, "        - {name: AGENT_HOME, value: /home/agent}\n"))
    override = (HOME, f"{HOME}        - {{name: ORCH_CLAUDE_CREDENTIALS_PATH, value: /x}}\n")

    assert rules(checked(text, "preflight")) == {"home-elsewhere"}
    assert rules(checked(edited(override, text=text), "preflight")) == set()
    path = (HOME, f"{HOME}        - {{name: SEED, value: /root/.claude/login}}\n")
    assert rules(checked(edited(elsewhere, path))) == set()


def test_bundled_contracts_take_a_mounted_secret_for_a_login() -> None:
    """Its files are links, and what they lead to lies beside them: a walk finds it."""
    scenario = bundled_catalogue().scenarios["claude/kubernetes-secret-mount"]

    assert [scenario.expected(CONTRACTS[n]) for n in ("slot", "slot-strict", "preflight")] == [
        ("ready",)
    ] * 3
