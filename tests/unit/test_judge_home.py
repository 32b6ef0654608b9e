"""The command judge: the rule that decides in a real home, what a probe says, what is like it."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from factories import bundled_catalogue

from conformance.bundled import fixtures_dir
from conformance.cli import cli
from conformance.cli import judge as command
from conformance.errors import ConformanceError

SECRET = "sk-ant-" + "oat01-Zq7vN3xR8bT1mK5wY2cJ9dLp"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose every name and value is somebody's own."""
    home = tmp_path / "Kx83hQpLw"
    place = home / ".claude" / "Vb72mRtYs"
    place.mkdir(parents=True)
    (place / "Qn41zXcDf.json").write_text(json.dumps({"accessToken": SECRET, "Hj59kWeRt": 1}))
    (home / ".codex").mkdir()
    (home / ".codex" / "auth.json").write_text(json.dumps({"Uy26bNmLo": SECRET}))
    return home


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a part of the catalogue, and read it once for all of these tests."""
    whole = bundled_catalogue()
    some = {
        id_: one for id_, one in whole.scenarios.items() if id_.startswith(("claude/", "codex/j"))
    }
    monkeypatch.setattr(command, "catalogue_under", lambda *_, **__: whole.with_scenarios(some))


def judge(*arguments: str) -> Result:
    found = CliRunner().invoke(cli, ["judge", *arguments, "--no-config"])
    if isinstance(found.exception, ConformanceError):
        raise found.exception
    return found


def document(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(judge(*arguments, "--json").stdout)
    return found


def test_rule_text_and_answer_are_shown_and_what_is_like_the_home(home: Path) -> None:
    found = judge(os.fspath(home), "--agent", "claude")

    assert found.exit_code == 0
    assert found.stdout.startswith("slot calls for ready (0)\n")
    assert "slot:claude-login" in found.stdout
    assert "nearest scenarios:\n" in found.stdout
    assert "other files deeper in ~/.claude: here some, there none" in found.stdout


def test_contract_and_user_decide(home: Path) -> None:
    strict = document(os.fspath(home), "--agent", "codex", "--contract", "slot-strict")
    assert (strict["rule"], strict["verdicts"]) == ("codex-no-tokens", ["creds-invalid"])
    (home / ".claude").chmod(0o700)
    other = document(os.fspath(home), "--agent", "claude", "--user", "4711:4711")
    assert (other["rule"], other["codes"]) == ("claude-closed", [66])


def test_variables_are_inputs_of_the_contract_or_the_clis_own(home: Path) -> None:
    arguments = (os.fspath(home), "--agent", "claude", "--contract", "preflight")
    override = f"ORCH_CLAUDE_CREDENTIALS_PATH={home}/.codex/auth.json"
    assert document(*arguments, "--env", override)["rule"] == "no-oauth"
    assert document(*arguments, "--env", f"CLAUDE_CONFIG_DIR={home}")["rule"] == "config-dir"


def test_a_tar_stream_is_judged_as_the_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(home, arcname=".")
    found = CliRunner().invoke(
        cli, ["judge", "-", "--agent", "claude", "--json"], input=packed.getvalue()
    )

    assert (
        json.loads(found.stdout)["rule"] == document(os.fspath(home), "--agent", "claude")["rule"]
    )


def test_nothing_of_the_home_is_shown_with_or_without_a_probe(home: Path) -> None:
    shown = ""
    for agent in ("claude", "codex"):
        for contract in ("slot", "slot-strict"):
            arguments = (os.fspath(home), "--agent", agent, "--contract", contract)
            shown += judge(*arguments).stdout + judge(*arguments, "--json").stdout
    own = [SECRET, "Kx83hQpLw", "Vb72mRtYs", "Qn41zXcDf", "Hj59kWeRt", "Uy26bNmLo"]

    pieces = {text[at : at + 8] for text in own for at in range(len(text) - 7)} - {"sk-ant-o"}
    assert [piece for piece in pieces if piece in shown] == []


def test_a_probe_is_asked_in_a_copy_that_holds_no_secret(home: Path, tmp_path: Path) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import os, sys\n"
        "texts = []\n"
        "for top, _, names in os.walk(os.environ['HOME']):\n"
        "    texts += [top, *(open(os.path.join(top, name)).read() for name in names)]\n"
        f"sys.exit(66 if {SECRET[12:20]!r} in ''.join(texts) else 65 if len(texts) > 5 else 64)\n"
    )
    before = sorted((path, path.lstat().st_mtime_ns) for path in home.rglob("*"))

    found = judge(os.fspath(home), "--agent", "claude", "--probe", f"{sys.executable} {probe}")

    assert found.exit_code == 1
    assert "creds-missing (65): deviates, in a copy of the home" in " ".join(found.stdout.split())
    assert sorted((path, path.lstat().st_mtime_ns) for path in home.rglob("*")) == before
    reference = fixtures_dir() / "probes" / "slot.py"
    right = document(
        os.fspath(home), "--agent", "codex", "--probe", f"{sys.executable} {reference}"
    )
    assert (right["probe"]["result"], right["probe"]["code"]) == ("conforms", 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--agent", "ghost"], "'slot' knows no agent 'ghost'"),
        (["--agent", "claude", "--contract", "cli-status"], "'cli-status' calls for in a home"),
        (["--agent", "claude", "--user", "root"], "--user 'root' is no user"),
        (["--agent", "claude", "--probe", "/nowhere/probe"], "/nowhere/probe"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(
    home: Path, arguments: list[str], words: str
) -> None:
    with pytest.raises(ConformanceError) as refused:
        judge(os.fspath(home), *arguments)

    assert (words in str(refused.value), refused.value.exit_status) == (True, 2)


def test_of_an_agent_of_ones_own_nobody_has_written_down_anything(
    home: Path, tmp_path: Path
) -> None:
    text = 'name = "own"\nversion = "1"\nsummary = "x"\nextends = "slot"\nagents = ["gemini"]\n'
    (tmp_path / "own.toml").write_text(text)

    with pytest.raises(ConformanceError) as refused:
        judge(os.fspath(home), "--agent", "gemini", "--contract", os.fspath(tmp_path / "own.toml"))

    assert "nobody has written down what 'own' calls for in a home of gemini" in str(refused.value)
    assert refused.value.exit_status == 2
