"""No secret gets out: nothing of what a home holds is in what is captured of it."""

from __future__ import annotations

import base64
import os
import zlib
from pathlib import Path

import pytest
import support_capture
from click.testing import CliRunner
from factories import bundled_catalogue
from msgspec.structs import replace
from support_capture import Canaries, shown

from conformance.capture.captured import Captured, captured
from conformance.capture.disguise import Disguise
from conformance.capture.known import known
from conformance.capture.proposed import ORIGIN, SUMMARY
from conformance.capture.scan import Withheld
from conformance.capture.shapes import literal
from conformance.catalogue import contracts
from conformance.catalogue.toml import toml
from conformance.catalogue.writing import scenario_text
from conformance.cli import cli
from conformance.home import plan
from conformance.home.seen import SeenHome, seen_in_plan
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

#: How many homes are made; the environment ``capture`` of tox makes the rest of 2,000.
HOMES = int(os.environ.get("CONFORMANCE_CAPTURE_HOMES", "40"))
#: Homes in which something was found once: no UTF-8 beside an escape, and long numbers before a filler.
FOUND_ONCE = (348, 1728)
WHOLE = contracts.load("preflight")
CONSTANTS = [SUMMARY, ORIGIN, "slot", "ready", "claude/baseline-only"]
#: Parts of the catalogue; the day says which one has canaries.
PARTS = 100
#: Bytes of a file that nobody reads.
LARGE = 64 * 1024


def as_scenario(made: Captured) -> Scenario:
    return Scenario(
        id="captured/home",
        file="",
        summary=SUMMARY,
        origin=ORIGIN,
        agent="claude",
        control={"": "claude/baseline-only"},
        expect={"slot": ("ready",)},
        entries=made.entries,
        env=dict(made.env),
        inputs=dict(made.inputs),
    )


@pytest.mark.parametrize("seed", sorted({*range(HOMES), *FOUND_ONCE}))
def test_nothing_of_a_canary_is_captured(seed: int) -> None:
    canaries = Canaries(seed)
    made = captured(canaries.home(), home_path="/home/me", contract=WHOLE, env=canaries.env())
    text = scenario_text(as_scenario(made))
    said = "\n".join([*made.notes, *made.files, *made.counts])

    assert list(shown(canaries.made, text + said)) == []
    # The scan that stands before the file knows of nothing either, and has nothing to wonder about.
    table = toml("home.toml", text)
    assert made.withheld.unexplained(table, CONSTANTS) == []


#: The first part of a token, as the disguise makes it.
HEADER = base64.urlsafe_b64encode(b'{"alg": "xxxx"}').decode()


@pytest.mark.parametrize(
    "text",
    [
        "# xxxxxxxnull xx true",
        "'111111111111x'x'",
        f"{HEADER}.xxxxxxxxxxxx=xxxxxxxxxx.xxxxxxxxxxxx",
        f"xxxxxxxxxxxx==xxxxxxxxxxxx.{HEADER}.xxxxxxxxxxxx",
    ],
)
def test_the_scan_knows_all_that_the_disguise_makes(text: str) -> None:
    """Else a home with such a text cannot be captured: its own beginning is found in the copy."""
    assert Withheld(known()).unexplained({"text": text}, ["text"]) == []


@pytest.mark.in_turn(PARTS)
@pytest.mark.parametrize("number", range(PARTS))
def test_nothing_of_a_canary_in_a_home_of_the_catalogue_is_captured(number: int) -> None:
    """The homes are those of all scenarios, each with canaries wherever something is."""
    chosen = sorted(bundled_catalogue().scenarios.values(), key=lambda s: s.id)[number::PARTS]
    assert chosen
    for scenario in chosen:
        canaries = Canaries(zlib.crc32(scenario.id.encode()))
        home = canaries.planted(seen(scenario))
        env = {**canaries.env(), **{name: canaries.text() for name in scenario.env}}

        made = captured(home, home_path="/home/me", contract=WHOLE, env=env)
        text = scenario_text(as_scenario(made))

        said = "\n".join([*made.notes, *made.files, *made.counts])
        assert canaries.made
        assert list(shown(canaries.made, text + said)) == [], scenario.id
        # The search that stands before the file finds nothing, and lets it be written.
        assert made.withheld.found_in(toml("home.toml", text), CONSTANTS) == "", scenario.id


def seen(scenario: Scenario) -> SeenHome:
    """Return the home of *scenario* as it is read: a large file without what it holds."""
    context = Context(now=1_790_000_000.0, seed="canaries", scenario=scenario.id, home="/home/me")
    home = seen_in_plan(plan(scenario.entries, context), now=context.now, uid=1000)
    nodes = {
        path: node if node.size <= LARGE else replace(node, content=None)
        for path, node in home.nodes.items()
    }
    return replace(home, nodes=nodes)


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "secret: {} (keep it)",
        *("{:backwards}", "{:hex}", "{:base64}"),
        "{:split}",
    ],
)
def test_what_shows_a_canary_is_seen(form: str) -> None:
    """The tests themselves can see one, in each of the forms."""
    canary = "k7Qm2Zx9Lp4w"
    forms = {
        "{:backwards}": canary[::-1],
        "{:hex}": canary.encode().hex(),
        "{:base64}": base64.b64encode(b"ab" + canary.encode()).decode(),
        "{:split}": f"{canary[:5]}\n{canary[5:]}",
    }

    assert list(shown([canary], forms.get(form) or form.format(canary))) == [canary]


def plant(monkeypatch: pytest.MonkeyPatch, leak: object) -> None:
    """Let the disguise of every unknown text be what *leak* makes of it."""
    assert callable(leak)
    monkeypatch.setattr(
        Disguise, "value", lambda _, token: [literal(token.quote + leak(token.text) + token.quote)]
    )


@pytest.mark.parametrize(
    "leak",
    [
        pytest.param(lambda text: text, id="plain"),
        pytest.param(lambda text: text[5:13], id="eight-characters"),
        pytest.param(lambda text: text[::-1], id="backwards"),
        pytest.param(lambda text: text.encode().hex(), id="hexadecimal"),
        pytest.param(lambda text: base64.b64encode(text.encode()).decode(), id="base64"),
        pytest.param(lambda text: f"xxxx {text} xxxx", id="among-fillers"),
    ],
)
def test_a_planted_leak_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leak: object
) -> None:
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)
    login = home / ".claude" / ".credentials.json"
    login.write_text('{"claudeAiOauth": {"accessToken": "k7Qm2Zx9Lp4wBv6RtY3s"}}')
    output = tmp_path / "slot.toml"
    words = [os.fspath(home), "-o", os.fspath(output), "--agent", "claude"]
    monkeypatch.chdir(tmp_path)
    plant(monkeypatch, leak)

    done = CliRunner().invoke(cli, ["capture", *words])

    assert not output.exists()
    assert "eight characters in a row of .claude/.credentials.json" in str(done.exception)
    assert list(shown(["k7Qm2Zx9Lp4wBv6RtY3s"], f"{done.output}{done.exception}")) == []


def test_a_planted_signature_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a token not only the claims are looked at."""
    signature = "k7Qm2Zx9Lp4wBv6RtY3s"
    home = tmp_path / "home"
    (home / ".codex").mkdir(parents=True)
    # The claims are {"sub":"a"}.
    (home / ".codex" / "auth.json").write_text(f'{{"id_token": "e30.eyJzdWIiOiJhIn0.{signature}"}}')
    output = tmp_path / "slot.toml"
    words = ["capture", os.fspath(home), "-o", os.fspath(output), "--agent", "codex"]
    parts = Disguise._parts
    monkeypatch.setattr(
        Disguise, "_parts", lambda self, found: f"{parts(self, found[:-1])}.{found[-1]}"
    )

    done = CliRunner().invoke(cli, words)

    assert not output.exists()
    assert "eight characters in a row of .codex/auth.json" in str(done.exception)


def test_without_it_the_same_home_is_written(tmp_path: Path) -> None:
    """The positive control of the planted leaks."""
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)
    login = home / ".claude" / ".credentials.json"
    login.write_text('{"claudeAiOauth": {"accessToken": "k7Qm2Zx9Lp4wBv6RtY3s"}}')
    output = tmp_path / "slot.toml"

    done = CliRunner().invoke(
        cli, ["capture", os.fspath(home), "-o", os.fspath(output), "--agent", "claude"]
    )

    assert done.exit_code == 0, done.exception
    assert "accessToken" in output.read_text()
    assert list(shown(["k7Qm2Zx9Lp4wBv6RtY3s"], output.read_text() + done.output)) == []


def test_nothing_gets_out_of_a_home_on_disk(tmp_path: Path) -> None:
    """What only a disk has, extended attributes, is no way out either; nor is what the command says."""
    canaries = Canaries(17)
    home = tmp_path / "home"
    for directory in (".claude", f".claude/projects/{canaries.one()}", ".codex"):
        (home / directory).mkdir(parents=True)
    login = home / ".claude" / ".credentials.json"
    login.write_bytes(canaries.content(b".claude/.credentials.json"))
    (home / ".codex" / "auth.json").symlink_to(f"../{canaries.one()}/auth.json")
    (home / ".claude" / canaries.one()).write_text(canaries.one())
    canary = canaries.one()
    try:
        os.setxattr(login, "user.note", canary.encode())
    except OSError as e:
        pytest.skip(f"no extended attributes here: {e}")
    os.setxattr(home / ".claude", f"user.{canaries.one()}", canary.encode())
    output = tmp_path / "slot.toml"
    words = ["-o", os.fspath(output), "--agent", "claude", "--at", f"/home/{canaries.one()}"]
    words += [f"--env={name}={value}" for name, value in canaries.env().items()]

    done = CliRunner().invoke(cli, ["capture", os.fspath(home), *words])

    assert done.exit_code == 0, done.exception
    said = done.output.replace(os.fspath(tmp_path), "")
    assert list(shown(canaries.made, output.read_text() + said)) == []


def test_nothing_gets_out_where_what_was_captured_is_reduced(tmp_path: Path) -> None:
    """The way of a fault to whoever mends it: neither of the files holds a canary, nor does what is said."""
    canaries = Canaries(29)
    home = tmp_path / "home"
    (home / ".claude" / canaries.one()).mkdir(parents=True)
    (home / ".codex").mkdir()
    for path in support_capture.FILES:
        file = home / os.fsdecode(path)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(canaries.content(path))
    (home / ".claude" / canaries.one()).symlink_to(canaries.one())
    (home / ".claude" / f"{canaries.one()}.jsonl").write_text(canaries.text())
    (tmp_path / "probe.sh").write_text("exit 65\n")
    made, small = tmp_path / "made.toml", tmp_path / "small.toml"
    words = ["--agent", "claude", f"--env=CLAUDE_CODE_OAUTH_TOKEN={canaries.text()}"]
    probe = ["--probe", f"sh {tmp_path / 'probe.sh'}", "--no-config"]

    captured_ = CliRunner().invoke(
        cli, ["capture", os.fspath(home), "-o", os.fspath(made), *words, "--no-config"]
    )
    reduced = CliRunner().invoke(cli, ["reduce", os.fspath(made), "-o", os.fspath(small), *probe])

    assert captured_.exit_code == reduced.exit_code == 0, f"{captured_}{reduced}{reduced.output}"
    assert "expected ready (0), got creds-missing (65)" in reduced.output
    assert len(small.read_text()) < len(made.read_text()) // 2
    said = f"{captured_.output}{reduced.output}".replace(os.fspath(tmp_path), "")
    assert list(shown(canaries.made, made.read_text() + small.read_text() + said)) == []


def test_homes_have_canaries_in_every_place() -> None:
    """Of the homes that are made, some have one in each place that is named."""
    homes = [Canaries(seed).home() for seed in range(30)]
    nodes = [node for home in homes for node in home.nodes.values()]

    assert {node.kind for node in nodes} >= {"file", "directory", "symlink", "fifo", "device"}
    assert any(node.target.startswith(b"/home/me/") for node in nodes)
    assert {*support_capture.FILES} <= {node.path for node in nodes if node.content}
