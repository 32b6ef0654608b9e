"""What of a home gets into a scenario that is captured of it, and what lint says of that."""

from __future__ import annotations

import base64
import json
import os
import resource
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner
from factories import bundled_catalogue
from msgspec.structs import replace
from support_capture_answers import AROUND, CAPTURED, IN_CONTAINERS, scenarios

from conformance.capture.captured import Captured, captured
from conformance.capture.contents import disguised
from conformance.capture.disguise import Disguise
from conformance.capture.known import known
from conformance.capture.proposed import in_contracts
from conformance.catalogue import contracts
from conformance.catalogue.lint import about_scenario
from conformance.catalogue.scenarios import parsed_scenario
from conformance.catalogue.toml import read_toml
from conformance.cli import cli
from conformance.errors import CannotJudge, ConformanceError
from conformance.files import create_text
from conformance.home import build, plan
from conformance.home.reading import DirectoryHome, read_home
from conformance.home.seen import SeenHome, SeenNode
from conformance.model.entry import Entry, Json, Runs, Text
from conformance.model.placeholders import Context, expand_bytes
from conformance.model.scenario import Scenario

NOW = 1_790_000_000.0
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="giving files away takes root")


def node(path: str, kind: str = "file", **fields: object) -> SeenNode:
    usual = {"mode": 0o700 if kind == "directory" else 0o600, "uid": 1000, "gid": 1000}
    given = {"path": path.encode(), "kind": kind, **usual, **fields}
    return SeenNode(**given)  # type: ignore[arg-type]


def home(*nodes: SeenNode, **top: object) -> SeenHome:
    return SeenHome(nodes={n.path: n for n in (node("", "directory", **top), *nodes)}, read_at=NOW)


LOGIN = (node(".claude", "directory"), node(".claude/.credentials.json", content=b"{}", size=2))


def test_half_of_a_pair_is_kept_as_the_text_that_it_is() -> None:
    """As JSON in a scenario it could not be written: TOML has no such character."""
    made = disguised(rb'{"mine": "b\ud800"}', Disguise(known(), NOW))

    assert made == Text(r'{"member-1": "x\ud800"}')


def test_of_a_home_that_is_closed_only_that_is_captured() -> None:
    found = home(*LOGIN, node(".claude/mine.json"), mode=0o700, uid=4711)

    made = captured(
        found, home_path="/home/me", uid=1000, env={"CODEX_HOME": "/home/me/somewhere/else"}
    )

    closed = Entry(path="", kind="directory", mode=0)
    tops = [".claude", ".codex", "entry-1"]
    assert made.entries == tuple(replace(closed, path=path) for path in tops)
    assert made.env == {"CODEX_HOME": "{home}/entry-1/entry-2"}
    assert not made.files
    assert any("closed to who runs the probe" in note for note in made.notes)


@pytest.mark.parametrize(
    ("top", "gids"),
    [
        ({"mode": 0o711, "uid": 0}, (1000,)),
        ({"mode": 0o710, "uid": 0, "gid": 50}, (1000, 50)),
        ({"mode": 0o100}, (1000,)),
    ],
    ids=["others may search it", "a group may", "its owner may"],
)
def test_of_a_home_that_can_be_searched_all_is_captured(
    top: Mapping[str, int], gids: tuple[int, ...]
) -> None:
    made = captured(home(*LOGIN, **top), uid=1000, gids=gids)

    assert [entry.path for entry in made.entries] == [".claude/.credentials.json"]
    assert [note for note in made.notes if "cannot be listed" in note]


@pytest.mark.parametrize(("gids", "mode"), [((1000, 50), 0o640), ((1000,), 0o600)])
def test_a_group_counts_if_the_probe_is_in_it(gids: tuple[int, ...], mode: int) -> None:
    """In the copy all is of one group, which is the probe's."""
    key = node(".claude/.credentials.json", content=b"{}", size=2, mode=0o640, uid=0, gid=50)

    made = captured(home(LOGIN[0], key), uid=1000, gids=gids)

    [entry] = made.entries
    usual = 0o600 if entry.mode is None else entry.mode
    assert (usual, entry.owner) == (mode, 10_000)


@pytest.mark.parametrize(
    ("value", "inputs", "env"),
    [
        ("false", {"switch": "off"}, {}),
        ("true", {"switch": "on"}, {}),
        ("no", {}, {"ORCH_PREFLIGHT_CHECK_AUTH": "no"}),
    ],
)
def test_a_switch_is_said_by_its_role_if_that_can_say_it(
    value: str, inputs: Mapping[str, str], env: Mapping[str, str]
) -> None:
    made = captured(
        home(*LOGIN),
        contract=contracts.load("preflight"),
        env={"ORCH_PREFLIGHT_CHECK_AUTH": value},
    )

    assert (made.inputs, made.env) == (inputs, env)


@pytest.mark.parametrize(
    ("name", "agent", "spoken_of"),
    [
        ("slot", "claude", ["slot", "slot-strict"]),
        ("slot-strict", "codex", ["slot-strict"]),
        # A gate inherits what is called for; it is asked in steps, which a home has not.
        ("preflight", "claude", ["preflight"]),
    ],
)
def test_contracts_are_spoken_of_whose_rules_are_written_down(
    name: str, agent: str, spoken_of: list[str]
) -> None:
    whole = bundled_catalogue().contracts
    made: Captured = captured(home(*LOGIN))

    assert [each.name for each in in_contracts(whole[name], whole, agent, made)] == spoken_of


def token(**claims: object) -> str:
    """Return a JSON Web Token of these *claims*."""
    parts = [{"alg": "RS256", "kid": "19344e65-bbc9-44d1", "typ": "JWT"}, claims]
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(part.rstrip("=") for part in coded), "c2lnbmF0dXJl" * 10])


def test_a_token_with_claims_of_its_own_does_not_keep_a_home_from_being_written() -> None:
    """Each real one has some, beside those that name the account."""
    about = {"chatgpt_account_id": "3e0c", "chatgpt_plan_type": "plus", "organizations": []}
    held = token(
        iss="https://auth.openai.com",
        exp=NOW + 0.5,  # with a whole number all of it would be a placeholder
        email="somebody@example.com",
        **{"https://api.openai.com/auth": about},
    )
    login = json.dumps({"tokens": {"id_token": held, "account_id": "3e0c"}}).encode()
    found = home(node(".codex", "directory"), node(".codex/auth.json", content=login))

    made = captured(found)

    [entry] = made.entries
    assert isinstance(entry.content, Json)
    assert made.withheld.unexplained({"json": entry.content.value}) == []


@pytest.mark.parametrize("start", ["~", "$HOME", "${HOME}"])
def test_what_a_probe_finds_that_expands_a_variable_is_captured(tmp_path: Path, start: str) -> None:
    top = tmp_path / "home"
    top.mkdir()
    (top / "mine").mkdir(mode=0o700)
    (top / "mine" / "auth.json").write_text('{"OPENAI_API_KEY": ""}')
    (top / "mine" / "auth.json").chmod(0o600)
    env = {"CODEX_HOME": f"{start}/./mine"}
    found = read_home(DirectoryHome(top), env.values())

    made = captured(found.seen, home_path=found.path, env=env)

    [entry] = made.entries
    assert (entry.path, entry.content) == ("entry-1/auth.json", Json({"OPENAI_API_KEY": ""}))
    assert made.env == {"CODEX_HOME": f"{start}/./entry-1"}


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_long_because_it_repeats_itself_is_not_written_out(
    tmp_path: Path, *, whole: bool
) -> None:
    """Else no file would be large enough for it, where the home has a document of 1 MiB."""
    top = tmp_path / "home"
    (top / ".codex").mkdir(parents=True)
    start, end = '{"OPENAI_API_KEY": "', '"}' if whole else ""
    (top / ".codex" / "auth.json").write_text(f"{start}{'x' * 1024 * 1024}{end}")

    made = captured(read_home(DirectoryHome(top)).seen)

    [content] = [one.content for one in made.entries if one.path == ".codex/auth.json"]
    assert isinstance(content, Runs)
    assert sum(len(text) for text, _ in content.runs) < 100
    built = b"".join(expand_bytes(text, Context(now=0, seed="")) * n for text, n in content.runs)
    assert len(built) == len(f"{start}{end}") + 1024 * 1024


def call(*words: object) -> tuple[int, str]:
    """Return the exit status of a command, and what it says."""
    done = CliRunner().invoke(cli, [*map(str, words), "--no-config"])
    if isinstance(done.exception, ConformanceError):
        return done.exception.exit_status, f"{done.output}{done.exception}"
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def full(directory: Path) -> Path:
    """Return a HOME in which much is."""
    top = directory / "home"
    for number in range(30):
        below = top / ".claude" / "projects" / f"-srv-{number}-{'x' * (number % 7)}"
        below.mkdir(parents=True)
        for inner in range(number % 5):
            (below / f"{number}{inner}").mkdir(mode=0o700 + number % 8)
    (top / ".claude" / ".credentials.json").write_text('{"claudeAiOauth": {"accessToken": "tok"}}')
    (top / ".claude" / "settings.json").write_text('{"env": {"A": "b"}, "model": "c"}')
    return top


@pytest.mark.parametrize("contract", ["slot", "preflight"])
def test_lint_asks_for_nothing_but_summary_and_origin_of_a_home_that_is_full(
    tmp_path: Path, contract: str
) -> None:
    file = tmp_path / "slot-17.toml"

    status, said = call(
        "capture", full(tmp_path), "-o", file, "--agent", "claude", "--contract", contract
    )

    assert status == 0, said
    whole = bundled_catalogue()
    made = parsed_scenario(read_toml(file), "captured/slot-17", whole.contracts)
    assert len(made.entries) > 30
    assert {complaint.check for complaint in about_scenario(made, whole)} == {"summary", "origin"}


@pytest.mark.parametrize("contract", ["slot", "slot-strict"])
def test_where_no_rule_speaks_of_a_home_any_answer_is_taken(tmp_path: Path, contract: str) -> None:
    """Readers of RFC 3339 differ about a second of 60, and slot-strict says nothing of it."""
    whole = bundled_catalogue()
    context = Context(now=NOW, seed="leap", scenario="leap", home=str(tmp_path / "home"))
    build(plan(whole.get("codex-auth/leap-second").entries, context), tmp_path / "home")
    file = tmp_path / "slot-17.toml"

    status, said = call(
        "capture", tmp_path / "home", "-o", file, "--agent", "codex", "--contract", contract
    )

    assert status == 0, said
    assert "slot-strict takes any answer, since no rule speaks of it: readers of RFC" in said
    made = parsed_scenario(read_toml(file), "captured/slot-17", whole.contracts)
    strict = whole.contracts["slot-strict"]
    assert made.expected(strict) == tuple(verdict.name for verdict in strict.verdicts)
    assert {complaint.check for complaint in about_scenario(made, whole)} == {"summary", "origin"}


@ROOT_ONLY
@pytest.mark.parametrize(("user", "verdict"), [("1000:50", "ready"), ("1000", "creds-invalid")])
def test_capture_takes_the_groups_of_the_probe(tmp_path: Path, user: str, verdict: str) -> None:
    top = tmp_path / "home"
    (top / ".claude").mkdir(parents=True)
    (top / ".claude" / "key").write_text("k")
    for path, mode in ((top, 0o750), (top / ".claude", 0o750), (top / ".claude" / "key", 0o640)):
        path.chmod(mode)
        os.chown(path, 4711, 50)
    file = tmp_path / "slot-17.toml"

    judged = call("judge", top, "--agent", "claude", "--user", user if ":" in user else "1000:1000")
    status, said = call("capture", top, "-o", file, "--agent", "claude", "--user", f"{user}:1000")

    assert status == 0, said
    assert f"slot calls for {verdict}" in judged[1]
    assert f"slot calls for {verdict}" in said
    assert read_toml(file)["expect"]["slot"] == verdict


@ROOT_ONLY
def test_what_root_is_to_runs_and_elsewhere_is_said(tmp_path: Path) -> None:
    """Runs take from root what lets it read everything, so a file for them calls for something else."""
    top = full(tmp_path)
    (top / ".claude" / ".credentials.json").chmod(0)
    words = (top, "--agent", "claude", "--contract", "preflight")

    judged = call("judge", *words, "--user", "0")[1]
    captured_for_root = call("capture", *words, "-o", tmp_path / "root.toml", "--user", "0")[1]
    captured_for_owner = call("capture", *words, "-o", tmp_path / "me.toml", "--user", "1:1")[1]

    assert judged.startswith("preflight calls for ready (0)\n")
    assert "no mode keeps root out, as modes do in runs" in " ".join(judged.split())
    assert "for uid 0, groups 0\n  preflight calls for creds-invalid (1)" in captured_for_root
    note = "note: outside of runs no mode keeps root out; preflight calls for ready (0) there"
    assert note in captured_for_root
    assert "for uid 1, groups 1\n  preflight calls for creds-" in captured_for_owner
    assert note not in captured_for_owner


def test_a_copy_that_calls_for_something_else_is_told(tmp_path: Path) -> None:
    """The header of this token is no base64, which no rule looks at; in the copy no part of it is."""
    held = {"id_token": "\u00e9.e30.c2ln", "access_token": "a", "refresh_token": "b"}
    login = {"tokens": held, "last_refresh": "2026-06-30T10:00:00Z"}
    (tmp_path / "home" / ".codex").mkdir(parents=True)
    (tmp_path / "home" / ".codex" / "auth.json").write_text(json.dumps(login))
    words = ("--agent", "codex", "--contract", "slot-strict")

    status, said = call("capture", tmp_path / "home", "-o", tmp_path / "slot-17.toml", *words)

    assert status == 0, said
    assert "slot-strict calls for ready (0), by the rule codex-usable" in said
    assert "note: in the copy, slot-strict calls for creds-invalid (66): the tokens are not" in said


@pytest.mark.slow
def test_a_file_that_no_command_would_read_is_not_written(tmp_path: Path) -> None:
    top = full(tmp_path)
    (top / ".claude.json").write_text(json.dumps({"pasted": "q" * 1024 * 1024}))
    file = tmp_path / "slot-17.toml"

    status, said = call("capture", top, "-o", file, "--agent", "claude")

    assert status == 3
    assert (
        "no scenario may have over 1048576; capture a copy of the HOME in which .claude.json"
        in said
    )
    assert not file.exists()


def test_no_half_of_a_file_stays_where_there_is_no_room(tmp_path: Path) -> None:
    """It would be in the way of the next attempt."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(CannotJudge, match="File too large"):
            create_text(tmp_path / "slot.toml", "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["judge", "capture"])
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--agent", "ghost"], 2, "'slot' knows no agent 'ghost'"),
        (["--agent", "claude", "--contract", "gate"], 2, "nobody has written down what 'gate'"),
        (["--agent", "claude", "--user", "me"], 2, "--user 'me' is no user"),
        (["--agent", "claude", "--user", "1:"], 2, "--user '1:' is no user"),
    ],
)
def test_judge_and_capture_refuse_the_same_in_the_same_words(
    tmp_path: Path, command: str, words: list[str], status: int, said: str
) -> None:
    file = tmp_path / "slot-17.toml"
    output = ["-o", file] if command == "capture" else []

    got, text = call(command, tmp_path, *output, *words)

    assert (got, said in text) == (status, True), text
    assert not file.exists()


@pytest.mark.parametrize("command", ["judge", "capture"])
def test_a_contract_without_a_rule_about_such_a_home_decides_nothing(
    tmp_path: Path, command: str
) -> None:
    rules = contracts.load("slot").rules
    off = "".join(f'{name} = "off"\n' for name in rules if rules[name].expect)
    own = tmp_path / "own.toml"
    start = 'name = "own"\nversion = "1"\nsummary = "All is off"\nextends = "slot"\n'
    own.write_text(f"{start}[rules]\n{off}")
    file = tmp_path / "slot-17.toml"
    output = ["-o", file] if command == "capture" else []

    status, said = call(command, tmp_path, *output, "--agent", "claude", "--contract", own)

    assert status == 3
    assert "'own' has turned off every rule about such a home" in said
    assert not file.exists()


@pytest.mark.parametrize(
    "name", ["Slot.toml", "slot.toml.toml", "slot_17.toml", "-a.toml", "a--b.toml"]
)
def test_a_file_is_called_as_lint_wants_its_id(tmp_path: Path, name: str) -> None:
    status, said = call("capture", tmp_path, "-o", tmp_path / name, "--agent", "claude")

    assert status == 2
    assert "is no name of a scenario file" in said


def test_what_a_copy_cannot_have_is_known() -> None:
    """A new part of scenarios has to say whether it is captured; where no probe of this machine can be asked, is listed."""
    words = {"id", "file", "summary", "origin", "agent", "layers", "variant"}
    in_containers = {s.id for s in scenarios(bundled_catalogue()) if s.container is not None}

    assert {*Scenario.__struct_fields__} == CAPTURED | AROUND | words | {"container"}
    assert in_containers == IN_CONTAINERS
