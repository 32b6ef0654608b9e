"""The words in braces: what each becomes, and what is refused."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from conformance.bundled import fixtures_dir, scenarios_dir
from conformance.catalogue import catalogue as catalog
from conformance.catalogue.catalogue import load_catalogue
from conformance.model.placeholders import (
    ACCOUNT_ID,
    KINDS,
    PREFIXES,
    Context,
    check,
    expand,
    expand_bytes,
    expand_json,
)

NOW = 1_700_000_000.75  # 2023-11-14T22:13:20.75Z
HERE = Context(now=NOW, seed="seed", scenario="claude/x", home="/nowhere/home")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("{now}", 1_700_000_000_750),
        ("{now:ms}", 1_700_000_000_750),
        ("{now:s}", 1_700_000_000),
        ("{now:rfc3339}", "2023-11-14T22:13:20Z"),
        ("{now+8h}", 1_700_000_000_750 + 8 * 3_600_000),
        ("{now-1h:s}", 1_700_000_000 - 3_600),
        ("{now+30m:s}", 1_700_000_000 + 1_800),
        ("{now-2d:s}", 1_700_000_000 - 172_800),
        ("{now+5s}", 1_700_000_005_750),
        ("{now-250ms}", 1_700_000_000_500),
        ("{now+0s:s}", 1_700_000_000),
        ("{now+1d:rfc3339}", "2023-11-15T22:13:20Z"),
        ("{now-365000d:rfc3339}", "1024-07-14T22:13:20Z"),
        ("{now+365000d:rfc3339}", "3023-03-17T22:13:20Z"),
        ("{home}", "/nowhere/home"),
        ("{n}", 7),
        ("{null}", None),
        ("{byte:ff}", "\udcff"),
    ],
)
def test_a_string_that_is_nothing_but_a_word_takes_its_type(word: str, value: Any) -> None:
    assert check(word) == ""
    made = expand_json(word, HERE, n=7)
    assert (made, type(made)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("at {now:s}!", "at 1700000000!"),
        ("{now:s}{n}", "17000000007"),
        ("{null}", "null"),
        ("{home}/x", "/nowhere/home/x"),
        ("{n}-{n}", "7-7"),
        ("plain", "plain"),
        ("", ""),
        ("{{n}}", "{7}"),
    ],
)
def test_a_word_inside_a_text_is_replaced(text: str, made: str) -> None:
    assert expand(text, HERE, n=7) == made


def test_an_entry_that_is_not_repeated_is_number_one() -> None:
    assert (expand("{n}", HERE), expand_bytes("{n}", HERE), expand_json("{n}", HERE)) == (
        "1",
        b"1",
        1,
    )


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        "{}",
        "{ n }",
        "{N}",
        "{Home}",
        '{"home": 1}',
        "{1}",
        "{home",
        "home}",
        "{now 8h}",
        "{a b}",
        "{a,b}",
        "${HOME}",
        "{ }",
    ],
)
def test_braces_around_anything_but_a_word_are_plain_text(text: str) -> None:
    assert (check(text), expand(text, HERE), expand_json(text, HERE)) == ("", text, text)


@pytest.mark.parametrize(
    "word",
    [
        "{x}",
        "{today}",
        "{home:x}",
        "{home+1h}",
        "{n:2}",
        "{null:}",
        "{now+}",
        "{now+8}",
        "{now8h}".replace("8", ":8"),
        "{now+8w}",
        "{now+8H}",
        "{now+-8h}",
        "{now+8h+1m}",
        "{now+1.5h}",
        "{now+٣h}",
        "{now:iso}",
        "{now:}",
        "{now:s:s}",
        "{now+1000000000ms}",
        "{now+365001d}",
        "{secret:}",
        "{secret:A}",
        "{secret:a_b}",
        "{secret+1h}",
        "{byte}",
        "{byte:}",
        "{byte:f}",
        "{byte:FF}",
        "{byte:fff}",
        "{byte:gg}",
        "{byte:00}",
        "{byte:2e}",
        "{byte:2f}",
        "{byte:7f}",
    ],
)
def test_an_unknown_word_is_refused_with_the_known_ones(word: str) -> None:
    wrong = check(f"some {word} text")
    assert wrong.startswith(f"unknown placeholder {word}; known: {{now}}, ")
    for known in (
        "{now+8h}",
        "{now+1h:rfc3339}",
        "{now+1h:jwt}",
        "{secret}",
        "{home}",
        "{byte:ff}",
        "{n}",
        "{null}",
    ):
        assert known in wrong


def test_every_word_the_message_offers_is_known() -> None:
    offered = check("{x}").partition("known: ")[2].partition(";")[0].split(", ")
    assert len(offered) >= 10
    assert [word for word in offered if check(word)] == []


def test_bytes_that_are_no_text_come_out_as_they_are() -> None:
    assert expand_bytes("a{byte:ff}{byte:80}é", HERE) == b"a\xff\x80\xc3\xa9"


def test_json_is_searched_all_the_way_down_and_nothing_else_is_touched() -> None:
    value = {"a": ["{n}", {"b": "x{n}"}], "c": 1, "d": True, "e": 1.5, "{n}": "{null}", "f": []}
    assert expand_json(value, HERE, n=2) == {
        "a": [2, {"b": "x2"}],
        "c": 1,
        "d": True,
        "e": 1.5,
        "{n}": None,
        "f": [],
    }


@pytest.mark.parametrize(
    ("word", "exp"),
    [
        ("{now+1h:jwt}", 1_700_003_600),
        ("{now-1h:jwt}", 1_699_996_400),
        ("{now:jwt}", 1_700_000_000),
    ],
)
def test_a_token_is_a_json_web_token_that_expires_then(word: str, exp: int) -> None:
    """Three parts in unpadded base64url; the last one is a secret, so a probe that prints it is found out."""
    parts = expand(word, HERE).split(".")
    assert len(parts) == 3
    assert [
        part for part in parts if "=" in part or not re.fullmatch(r"[A-Za-z0-9_-]+", part)
    ] == []
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2]
    )
    assert (header["typ"], claims["exp"]) == ("JWT", exp)
    account = claims["https://api.openai.com/auth"]
    assert (account["chatgpt_account_id"], account["chatgpt_plan_type"]) == (ACCOUNT_ID, "pro")
    assert parts[2] == HERE.secret("jwt")


# Secrets.


@pytest.mark.parametrize(
    ("label", "prefix"),
    [
        ("", "sk-ant-oat01-"),
        ("refresh", "sk-ant-ort01-"),
        ("refresh-old", "sk-ant-ort01-"),
        ("refreshed", "sk-ant-oat01-"),
        ("anthropic-key", "sk-ant-api03-"),
        ("openai-key", "sk-proj-"),
        ("openai-key-2", "sk-proj-"),
        ("openai", "sk-ant-oat01-"),
        ("codex-refresh", "rt_"),
        ("jwt", ""),
        ("mine", "sk-ant-oat01-"),
    ],
)
def test_a_secret_looks_like_what_its_name_says(label: str, prefix: str) -> None:
    """Behind the prefix stands nothing that encoding would change."""
    assert re.fullmatch(re.escape(prefix) + "[A-Za-z0-9]{64}", HERE.secret(label))


def test_the_prefixes_that_everybody_knows_are_those_of_all_kinds() -> None:
    assert set(PREFIXES) == {*KINDS.values()} - {""}


def test_secrets_come_from_the_label_and_from_nothing_else_in_the_word() -> None:
    assert expand("{secret}", HERE) == HERE.secret()
    assert expand("{secret:refresh}", HERE) == HERE.secret("refresh")
    assert expand_json({"a": "Bearer {secret:a-1}"}, HERE) == {"a": f"Bearer {HERE.secret('a-1')}"}


def test_the_same_home_can_be_built_again() -> None:
    """From the seed alone: neither the clock nor the place of the home changes a secret."""
    again = Context(now=NOW + 99, seed="seed", scenario="claude/x", home="/elsewhere")
    assert again.secret("refresh") == HERE.secret("refresh")


def test_each_scenario_label_and_run_has_a_secret_of_its_own() -> None:
    ids = list(load_catalogue().scenarios)
    contexts = [Context(now=NOW, seed=seed, scenario=id_) for seed in ("one", "two") for id_ in ids]
    secrets = [context.secret(label) for context in contexts for label in ("", "refresh", "jwt")]
    assert len(set(secrets)) == len(secrets) == 6 * len(ids)


def test_a_secret_does_not_run_together_from_its_parts() -> None:
    parts = [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("", "ab", "c")]
    assert len(
        {
            Context(now=0, seed=seed, scenario=scenario).secret(label)
            for seed, scenario, label in parts
        }
    ) == len(parts)


#: What secret scanners look for, written so that it does not find itself.
SECRETS = re.compile(
    r"sk-[A-Za-z0-9_-]{16}|gh[pousr]_[A-Za-z0-9]{16}|github_pat_[A-Za-z0-9]{8}|xox[abprs]-[0-9A-Za-z]{8}|AKIA[0-9A-Z]{12}"
    r"|AIza[0-9A-Za-z_-]{20}|eyJ[A-Za-z0-9_-]{16}|-{5}BEGIN [A-Z ]*PRIVATE|\brt_[A-Za-z0-9]{16}"
)


def test_no_file_of_the_catalogue_or_the_suite_holds_anything_like_a_secret() -> None:
    """They are put together when a run starts, so that no secret scanner fires on the repository."""
    here = Path(__file__).resolve().parents[1]
    tops = {
        scenarios_dir(),
        fixtures_dir(),
        Path(catalog.__file__).parents[1],
        here,
        here.parent / "docs",
    }
    files = [
        path for top in tops for path in top.rglob("*") if path.suffix != ".pyc" and path.is_file()
    ]
    files += list(here.parent.glob("*.md"))
    assert len(files) > 200
    found = {
        str(path): SECRETS.findall(path.read_text(encoding="utf-8", errors="replace"))
        for path in files
    }
    assert {path: secrets for path, secrets in found.items() if secrets} == {}


@pytest.mark.parametrize(
    "text",
    [
        HERE.secret(),
        HERE.secret("codex-refresh"),
        expand("{now:jwt}", HERE),
        "sk-" + "ant-oat01-" + "a1" * 10,
        "gh" + "p_" + "a1" * 18,
        "-" * 5 + "BEGIN RSA PRIVATE KEY",
    ],
    ids=["canary", "codex-refresh", "token", "claude", "github", "key"],
)
def test_the_search_for_secrets_finds_one(text: str) -> None:
    assert SECRETS.search(f'{{"token": "{text}"}}')
