"""No rule can tell a home from what is captured of it, however odd the files in it are written."""

from __future__ import annotations

import base64
import json
import time

import pytest
from factories import bundled_catalogue
from msgspec.structs import replace

from conformance.capture.captured import captured
from conformance.catalogue import contracts
from conformance.catalogue.scenarios import parsed_scenario
from conformance.catalogue.toml import toml
from conformance.catalogue.writing import scenario_text
from conformance.home.seen import SeenHome, SeenNode
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.specification import Decision, case_in, case_of, decide

NOW = 1_790_000_000
HOME = "/home/me"
IN_AN_HOUR = "2026-09-21T15:26:40Z"


def node(path: str, content: bytes | None = None, **fields: object) -> SeenNode:
    usual = {"mode": 0o700 if content is None else 0o600, "uid": 1000, "gid": 1000}
    kind = "directory" if content is None else "file"
    given = {"path": path.encode(), "kind": kind, "content": content, **usual, **fields}
    return SeenNode(size=len(content or b""), **given)  # type: ignore[arg-type]


def home(files: dict[str, bytes], *more: SeenNode) -> SeenHome:
    directories = {path.rpartition("/")[0] for path in files} - {""}
    nodes = [node(""), *map(node, directories), *(node(*item) for item in files.items()), *more]
    return SeenHome(nodes={each.path: each for each in nodes}, read_at=NOW)


def asked(
    seen: SeenHome, agent: str, contract: str = "slot-strict", env: dict[str, str] | None = None
) -> tuple[Decision, Decision]:
    """Return what is called for in a home, and in what a file says that is captured of it."""
    by = contracts.load(contract)
    case = case_in(seen, by, agent=agent, home_path=HOME, env=env)
    there = decide(replace(case, cwd=""), by)
    assert there is not None
    made = captured(seen, home_path=HOME, contract=by, env=env)
    scenario = Scenario(
        id="captured/home",
        file="",
        summary="s",
        origin="o",
        agent=agent,
        control={"": "none"},
        expect={contract: there.verdicts},
        entries=made.entries,
        env=dict(made.env),
        inputs=dict(made.inputs),
    )
    table = toml("home.toml", scenario_text(scenario))
    assert made.withheld.found_in(table, {*there.verdicts, contract, agent, "s", "o", "none"}) == ""
    read = parsed_scenario(table, scenario.id, bundled_catalogue().contracts)
    here = decide(case_of(read, by, Context(now=NOW, seed="")), by)
    assert here is not None
    return there, here


def coded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def token(claims: str) -> str:
    return f"{coded('{}')}.{coded(claims)}.c2lnbmF0dXJl"


TOKEN = token(json.dumps({"exp": NOW + 3600, "organizations": None}))


def login(**other: object) -> dict[str, object]:
    """Return a login of codex with *other* members, or values of its own."""
    tokens = {
        "id_token": TOKEN,
        "access_token": TOKEN,
        "refresh_token": "rt_Zk3",
        "account_id": "a",
    }
    tokens |= {name: other.pop(name) for name in [*other] if name in tokens}  # type: ignore[misc]
    return {"auth_mode": "chatgpt", "tokens": tokens, "last_refresh": IN_AN_HOUR, **other}


def codex(held: object) -> dict[str, bytes]:
    return {".codex/auth.json": held if isinstance(held, bytes) else json.dumps(held).encode()}


@pytest.mark.parametrize(
    ("config", "is_fine"),
    [
        ("seen = 2025-01-31T10:30:00Z", True),
        ("seen = 2025-01-31 10:30:00.25+02:00", True),
        ("seen = 10:30:00", True),
        ("seen = 2025-02-30", False),
        ("size = 0o17", True),
        ("size = 0o18", False),
        ("size = +1_0.5e-1_0", True),
        ("size = -inf", True),
        ("[a]\nservers = { foo.command = 'x', bar.command = 'y' }", True),
        ("[projects./home/me/x]", False),
        ("größe = 1", False),
        ("\u00a0model = 'x'", False),
        ("\x0cmodel = 'x'", False),
        ('path = "\\U00110000"', False),
        ('text = """a \\\n  b"""', True),
        ('text = "a\\e"', False),
    ],
)
def test_a_configuration_in_toml_is_as_broken_as_it_was(config: str, *, is_fine: bool) -> None:
    files = codex(login()) | {".codex/config.toml": f"{config}\n".encode()}

    there, here = asked(home(files), "codex")

    assert (there.rule == "codex-usable") is is_fine
    assert (here.rule, here.verdicts) == (there.rule, there.verdicts)


def test_what_a_link_calls_toml_is_read_as_such() -> None:
    files = codex(login()) | {"mine/settings": b'cli_auth_credentials_store = "keyring"\n'}
    link = node(".codex/config.toml", kind="symlink", target=b"../mine/settings")

    there, here = asked(home(files, link), "codex")

    assert there.rule == "codex-other-store"
    assert (here.rule, here.verdicts) == (there.rule, there.verdicts)


WHOLE = json.dumps(login())
ODD = {
    **{
        f"last_refresh {time}": login(last_refresh=time)
        for time in (
            "2026-06-30T23:59:60Z",
            "2026-06-30T24:00:00Z",
            "2026-06-30T10:75:00Z",
            "2026-06-30T10:00:00+25:00",
            "0000-01-01T00:00:00Z",
            "2026-02-30T10:00:00Z",
        )
    },
    "time with an escape": WHOLE.replace("40Z", "40\\u005a").encode(),
    "token with an escape": WHOLE.replace(TOKEN, TOKEN.replace("e", "\\u0065", 1)).encode(),
    "no escape": WHOLE.replace("rt_", "rt\\u12_").encode(),
    **{f"blank {blank!a}": login(refresh_token=blank) for blank in "\u00a0\u2003\x0b\x1c"},
    "blank as it is": json.dumps(login(refresh_token="\u00a0"), ensure_ascii=False).encode(),
    "blank as an escape": WHOLE.replace("rt_Zk3", "\\u0020").encode(),
    "DEL": WHOLE.replace("rt_", "rt\x7f").encode(),
    **{
        f"claims {claims[:24]!a}": login(id_token=token(claims))
        for claims in (
            *("[]", "1", "null", '{"email": 1}', '{"email": "a", "email": "b"}', "\ufeff{}"),
            *('{"exp": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', "[" * 300 + "]" * 300),
        )
    },
    "claims in plain base64": login(id_token="e30.eyJhIjoiPz4/PiJ9.c2ln"),
    **{
        f"number {number[:9]}": f'{WHOLE[:-1]}, "n": {number}}}'.encode()
        for number in ("-Infinity", "NAN", "+1", "--1", "1-2", "0x1F", "0bff", "9" * 5_000)
    },
    "deep": f'{WHOLE[:-1]}, "n": {"[" * 470}{"]" * 470}}}'.encode(),
    "half a pair in UTF-16": WHOLE.replace("rt_", "\ud800").encode("utf-16-le", "surrogatepass"),
    "two bytes": b"1\0",
}


@pytest.mark.parametrize("contract", ["slot", "slot-strict"])
@pytest.mark.parametrize("held", ODD.values(), ids=[*ODD])
def test_a_login_is_as_odd_as_it_was(held: object, contract: str) -> None:
    there, here = asked(home(codex(held)), "codex", contract)

    assert (here.rule, here.verdicts) == (there.rule, there.verdicts)


def test_a_token_with_a_blank_in_it_has_one_in_the_copy() -> None:
    held = {"claudeAiOauth": {"accessToken": "Zk3 a b", "scopes": ["user:inference"]}}
    files = {".claude/.credentials.json": json.dumps(held).encode()}

    there, here = asked(home(files), "claude")

    assert there.rule == "claude-token-characters"
    assert (here.rule, here.verdicts) == (there.rule, there.verdicts)


@pytest.mark.parametrize(
    ("contract", "name", "value"),
    [
        ("slot", "WOVED_TASK_AGENT", "claude"),
        ("slot", "WOVED_TASK_AGENT", "codex"),
        ("slot", "WOVED_TASK_AGENT", "other"),
        ("slot-strict", "CLAUDE_CODE_OAUTH_TOKEN", "Zk3/abcdefghijklmn"),
        ("slot-strict", "ANTHROPIC_API_KEY", "a b c d e f g h i j"),
        ("preflight", "ORCH_AUTH_EXPIRY_SKEW_SECONDS", "2592000"),
        ("preflight", "ORCH_AUTH_EXPIRY_SKEW_SECONDS", "123456.789"),
        ("slot-strict", "CLAUDE_CONFIG_DIR", f"{HOME}/{'a/' * 1_200}b"),
    ],
)
def test_a_variable_says_the_same_to_rules(contract: str, name: str, value: str) -> None:
    there, here = asked(home({".claude/CLAUDE.md": b""}), "claude", contract, {name: value})

    assert (here.rule, here.verdicts) == (there.rule, there.verdicts)


def test_each_line_of_a_token_that_was_wrapped_is_one() -> None:
    """So a probe that shows how the variable begins shows a secret in the copy as well."""
    token = f"sk-ant-oat01-{'q7' * 60}"
    env = {"CLAUDE_CODE_OAUTH_TOKEN": f"{token}\r\n{'z9' * 30}"}

    made = captured(home({".claude/x": b""}), contract=contracts.load("slot"), env=env)

    first, last = made.env["CLAUDE_CODE_OAUTH_TOKEN"].split("\r\n")
    assert first.startswith("{secret}")
    assert last == "x" * 60


def test_digits_are_kept_of_what_is_no_secret() -> None:
    env = {"ANTHROPIC_API_KEY": "123456", "ORCH_AUTH_EXPIRY_SKEW_SECONDS": "3600"}

    made = captured(home({".claude/x": b""}), contract=contracts.load("preflight"), env=env)

    assert made.env == {"ANTHROPIC_API_KEY": "xxxxxx"}
    assert made.inputs == {"skew": "3600"}


def test_a_large_file_takes_no_time_that_grows_with_its_square() -> None:
    """Projects that somebody has worked on, and what they pasted."""
    held = {f"{HOME}/project-{n}": {"history": ["q" * 100], "n": n} for n in range(1_000)}
    files = {".claude.json": json.dumps({"pasted": "q " * 100_000, **held}).encode()}
    asked(home({}), "claude")  # reads the catalogue
    started = time.process_time()

    asked(home(files), "claude", "slot")

    assert time.process_time() - started < 10
