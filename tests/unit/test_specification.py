"""What contracts call for in a home: held equal to every scenario, and what no scenario is about."""

from __future__ import annotations

from typing import Any

import pytest
from factories import bundled_catalogue, directory, entry, file, scenario, symlink
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry
from conformance.specification import Case, Decision, case_of, decide

NOW = 1_750_000_000.0
CONTEXT = Context(now=NOW, seed="seed")
LOGIN = ".claude/.credentials.json"
SLOT, STRICT, PREFLIGHT = (contracts.load(name) for name in ("slot", "slot-strict", "preflight"))
OPEN = ("ready", "creds-invalid")


def case(*entries: Entry, contract: Contract = SLOT, agent: str = "claude", **fields: Any) -> Case:
    """Return the case of a home with these entries; *fields* are those of the scenario."""
    return case_of(scenario(*entries, agent=agent, **fields), contract, CONTEXT)


def called_for(found: Case, contract: Contract = SLOT) -> tuple[str, tuple[str, ...]]:
    """Return the rule and the verdicts."""
    decision = decide(found, contract)
    assert decision is not None
    return decision.rule, decision.verdicts


def oauth(**members: Any) -> dict[str, Any]:
    """Return a good login of claude with these members changed; None takes one away."""
    good = {
        "accessToken": "{secret}",
        "refreshToken": "{secret:refresh}",
        "expiresAt": "{now+8h}",
        "scopes": ["user:inference"],
    }
    return {name: value for name, value in {**good, **members}.items() if value is not None}


def login(path: str = LOGIN, **members: Any) -> Entry:
    return entry(path, json={"claudeAiOauth": oauth(**members)})


def with_rule(contract: Contract, name: str, **changes: Any) -> Contract:
    """Return a contract of one's own that extends *contract* and changes one rule."""
    rule = replace(contract.rules[name], decided_by="own", **changes)
    lineage = ("own", *contract.lineage)
    return replace(contract, name="own", lineage=lineage, rules={**contract.rules, name: rule})


@pytest.mark.parametrize("contract", [SLOT, STRICT, PREFLIGHT], ids=lambda contract: contract.name)
def test_every_scenario_is_decided_as_it_expects_and_by_a_rule_that_it_cites(
    contract: Contract,
) -> None:
    """That the CLI runs, and that there is a login, decide together: a scenario may cite either first."""
    different: dict[str, tuple[Any, Decision | None]] = {}
    scenarios = bundled_catalogue().in_contract(contract)
    for one in scenarios:
        found = decide(case_of(one, contract, CONTEXT), contract)
        wanted = one.decided_by(contract), {*one.expected(contract)}
        # Two rules that call for the same may both be true: which one is told first says nothing.
        same = found is not None and found.verdicts in (("ready",), ("creds-missing",))
        rules = () if found is None else found.rules[: None if same else 1]
        if found is None or wanted[0] not in rules or wanted[1] != {*found.verdicts}:
            different[one.id] = (wanted, found)

    assert different == {}
    assert len(scenarios) > 290


def test_the_words_of_a_decision_hold_no_value_of_a_file() -> None:
    shown = []
    for one in bundled_catalogue().in_contract(STRICT)[::5]:
        found = decide(case_of(one, STRICT, CONTEXT), STRICT)
        assert found is not None
        here = replace(CONTEXT, scenario=one.id)
        secrets = [here.secret(label)[-60:] for label in ("", "refresh", "openai-key")]
        shown += [
            one.id for secret in secrets for at in range(52) if secret[at : at + 8] in found.why
        ]

    assert shown == []


def test_of_several_points_the_one_that_is_not_open_decides() -> None:
    both = case(login(expiresAt="soon", scopes=["user:profile"]))
    assert called_for(both, STRICT) == ("claude-no-scope", ("creds-invalid",))
    expired = case(login(accessToken="", expiresAt="{now-1h}"), contract=PREFLIGHT)
    assert called_for(expired, PREFLIGHT) == ("expired", ("creds-invalid",))


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(case(login(subscriptionType=5)), id="a type that the CLI does not write"),
        pytest.param(
            case(file(LOGIN, "{"), env={"ANTHROPIC_API_KEY": "{secret:anthropic-key}"}),
            id="a broken login beside a token",
        ),
        pytest.param(
            case(login(expiresAt="{now-1h}", refreshTokenExpiresAt="{null}")),
            id="a refresh token whose end is null",
        ),
    ],
)
def test_what_no_rule_speaks_of_is_open_and_no_rule_is_named(found: Case) -> None:
    assert called_for(found, STRICT) == ("", OPEN)


def codex_login(**members: Any) -> Entry:
    """Return a good login of codex with ChatGPT with these members and tokens changed."""
    tokens = {"id_token": "e30.e30.x", "access_token": "x", "refresh_token": "y"}
    good = {"tokens": tokens, "last_refresh": "2020-01-01T00:00:00Z"}
    changed = {name: members.pop(name) for name in tokens if name in members}
    return entry(".codex/auth.json", json={**good, "tokens": {**tokens, **changed}, **members})


def codex_key(key: str = "{secret:openai-key}", **members: Any) -> Entry:
    return entry(".codex/auth.json", json={"OPENAI_API_KEY": key, **members})


CONFIG = ".codex/config.toml"
EITHER_REFUSAL = ("creds-missing", "creds-invalid")
NOT_READY = ("cli-broken", *EITHER_REFUSAL)


@pytest.mark.parametrize(
    ("contract", "entries", "verdicts"),
    [
        pytest.param(
            SLOT, [symlink(".codex", ".codex")], EITHER_REFUSAL, id="slot: .codex in a loop"
        ),
        pytest.param(
            STRICT, [symlink(".codex", ".codex")], EITHER_REFUSAL, id="strict: .codex in a loop"
        ),
        pytest.param(
            STRICT, [file(CONFIG, "[")], ("cli-broken", "creds-missing"),
            id="a broken config.toml, and no login",
        ),
        pytest.param(
            STRICT, [file(CONFIG, "["), file(".codex/auth.json", "{")],
            ("cli-broken", "creds-invalid"), id="a broken config.toml, and a broken login",
        ),
        pytest.param(
            STRICT, [file(CONFIG, "forced_login_method = 1")], NOT_READY,
            id="a config.toml that forces a number, and no login",
        ),
        pytest.param(
            STRICT, [file(CONFIG, 'forced_login_method = "chatgpt"'), codex_key(" ")],
            NOT_READY, id="a login of another kind than is forced, and no good one",
        ),
        pytest.param(
            STRICT, [codex_login(id_token="e30.e30.")], OPEN, id="an id_token nobody signed"
        ),
        pytest.param(
            STRICT, [codex_login(agent_identity=5)], OPEN, id="a member of newer releases"
        ),
        pytest.param(
            STRICT, [codex_key("{secret:openai-key}\n")], OPEN, id="a key in no header"
        ),
        pytest.param(
            STRICT, [codex_login(access_token="{secret}\n")], OPEN, id="a token in no header"
        ),
    ],
)  # fmt: skip
def test_what_right_probes_for_codex_may_see_in_two_ways_is_open(
    contract: Contract, entries: list[Entry], verdicts: tuple[str, ...]
) -> None:
    found = case(*entries, contract=contract, agent="codex")
    assert called_for(found, contract)[1] == verdicts


@pytest.mark.parametrize(
    ("entries", "env", "verdicts"),
    [
        pytest.param(
            [file(".claude.json", "{")], {}, ("cli-broken", "creds-missing"),
            id="a broken .claude.json, and no login",
        ),
        pytest.param(
            [file(".claude.json", "{"), file(LOGIN, "{")], {}, ("cli-broken", "creds-invalid"),
            id="a broken .claude.json, and a broken login",
        ),
        pytest.param(
            [directory(".claude/settings.json")], {}, ("cli-broken", "creds-missing"),
            id="a settings.json that nobody can read, and no login",
        ),
        pytest.param(
            [login()], {"CLAUDE_CODE_USE_BEDROCK": "1"}, ("ready", *NOT_READY),
            id="a cloud beside a login",
        ),
        pytest.param(
            [], {"CLAUDE_CODE_USE_BEDROCK": "1"}, ("creds-missing",), id="a cloud, and no login"
        ),
    ],
)  # fmt: skip
def test_what_right_probes_for_claude_may_see_in_two_ways_is_open(
    entries: list[Entry], env: dict[str, str], verdicts: tuple[str, ...]
) -> None:
    assert called_for(case(*entries, contract=STRICT, env=env), STRICT)[1] == verdicts


def test_a_closed_directory_hides_its_configuration_too() -> None:
    closed = [directory(".codex", mode=0), file(CONFIG, "["), codex_key()]
    assert called_for(case(*closed, contract=STRICT, agent="codex"), STRICT) == (
        "codex-cannot-open",
        ("creds-invalid",),
    )
    closed = [directory(".claude", mode=0), directory(".claude/settings.json"), login()]
    assert called_for(case(*closed, contract=STRICT), STRICT)[1] == ("creds-invalid",)


def test_an_empty_agent_home_is_open_where_the_current_directory_holds_a_login() -> None:
    """To some languages an empty path is that directory, and to a shell it is the root."""
    found = case(login(), contract=PREFLIGHT, inputs={"home": ""})
    assert called_for(found, PREFLIGHT) == ("no-file", ("creds-missing",))
    below = replace(found, cwd=found.home_path)
    assert "ready" in called_for(below, PREFLIGHT)[1]


@pytest.mark.parametrize("values", [("null", "{}"), ("{}", "null")], ids=["last", "first"])
def test_a_name_that_stands_twice_is_open_to_preflight_whichever_counts(
    values: tuple[str, str],
) -> None:
    text = f'{{"claudeAiOauth": {values[0]}, "claudeAiOauth": {values[1]}}}'
    assert called_for(case(file(LOGIN, text)), PREFLIGHT) == ("", OPEN)


def test_a_login_that_ends_while_a_run_may_still_look_is_open() -> None:
    near = case(login(expiresAt="{now+5m}"), contract=PREFLIGHT, inputs={"skew": "0"})

    assert called_for(near, PREFLIGHT) == ("", OPEN)
    assert called_for(replace(near, later=0.0), PREFLIGHT) == ("login", ("ready",))


@pytest.mark.parametrize(
    ("entries", "verdicts"),
    [
        ([symlink(".claude", "{home}/kept"), file("kept/x")], ("ready",)),
        ([symlink(".claude", "../agent/kept"), file("kept/x")], ("ready",)),
        ([symlink(".claude", "kept/"), file("kept/x")], ("ready",)),
        ([symlink(".claude", "kept/x/"), file("kept/x")], ("creds-missing",)),
        ([symlink(".claude", "nowhere")], ("creds-missing",)),
        ([symlink(".claude", "b"), symlink("b", ".claude")], ("creds-missing", "creds-invalid")),
        ([symlink(".claude", "/mnt/x")], ("ready", "creds-missing", "creds-invalid")),
        ([symlink(".claude", "../other")], ("ready", "creds-missing", "creds-invalid")),
    ],
)
def test_links_are_followed_inside_the_home_and_what_lies_outside_is_unknown(
    entries: list[Entry], verdicts: tuple[str, ...]
) -> None:
    assert called_for(case(*entries))[1] == verdicts


def test_permissions_count_for_owner_group_and_others_and_not_for_whom_no_mode_keeps_out() -> None:
    found = case(file(".codex/auth.json", "{}", mode=0o640, owner=7), agent="codex")
    closed = ("codex-unreadable", ("creds-invalid",))

    assert called_for(found) == ("codex-login", ("ready",))  # its group is that of the probe
    assert called_for(replace(found, gids=())) == closed
    assert called_for(replace(found, gids=(), reads_all=True)) == ("codex-login", ("ready",))
    shut = case(file(".codex/auth.json", "{}", mode=0o044), agent="codex")
    assert called_for(shut) == closed  # the owner is no other


def test_a_directory_that_whoever_looked_could_not_list_leaves_open_what_is_in_it() -> None:
    found = case(directory(".claude/projects"))
    home = replace(found.home, closed=frozenset({b".claude/projects"}))

    assert called_for(replace(found, home=home)) == (
        "",
        ("ready", "creds-missing", "creds-invalid"),
    )


def test_a_file_that_was_not_read_leaves_open_what_it_says() -> None:
    found = case(file(".codex/auth.json", "{}"), agent="codex")
    node = replace(found.home.nodes[b".codex/auth.json"], content=None)
    home = replace(found.home, nodes={**found.home.nodes, b".codex/auth.json": node})

    assert called_for(replace(found, home=home))[0] == ""


def test_a_changed_rule_decides_and_one_that_is_off_does_not() -> None:
    dead = case(login(), cli="exit-1")
    assert called_for(dead) == ("cli-fails", ("cli-broken",))
    patient = with_rule(SLOT, "cli-fails", off=True)
    assert called_for(dead, patient)[1] == ("ready",)
    strict = with_rule(SLOT, "claude-baseline-deeper", expect=("creds-missing",))
    deeper = case(file(".claude/plugins/settings.json", "{}"))
    assert called_for(deeper) == ("claude-baseline-deeper", ("ready", "creds-missing"))
    assert called_for(deeper, strict) == ("claude-baseline-deeper", ("creds-missing",))


def test_where_all_rules_about_a_home_are_off_nothing_is_called_for() -> None:
    without = with_rule(PREFLIGHT, "expired", off=True)
    assert decide(case(login(expiresAt="{now-1h}"), contract=PREFLIGHT), without) is None


@pytest.mark.parametrize("name", ["cli-status", "gate", "entrypoint", "run-result", "auth-init"])
def test_of_other_contracts_nothing_is_written_down(name: str) -> None:
    assert decide(case(login()), contracts.load(name)) is None


def test_a_launcher_that_may_go_on_to_the_next_program_leaves_what_comes_then() -> None:
    broken = case(file(".codex/auth.json", "{"), agent="codex", cli="several-loop-first")
    assert called_for(broken)[1] == ("cli-broken", "creds-invalid")


@pytest.mark.parametrize("contract", [SLOT, STRICT], ids=["slot", "slot-strict"])
def test_an_agent_is_named_exactly(contract: Contract) -> None:
    found = case(login(), contract=contract, inputs={"agent": "Claude"})
    assert called_for(found, contract) == ("agent-unmapped", ("cli-broken",))
    unset = case(login(), contract=contract, inputs_unset=("agent",))
    assert called_for(unset, contract) == ("agent-unset", ("cli-broken",))
