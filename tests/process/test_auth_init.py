"""Programs that let somebody log in: a made-up first one, one in node, and those that misbehave."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from factories import bundled_catalogue
from support import without
from support_cli import suite

from conformance.bundled import fixtures_dir

CONTRACT = ("--contract", "auth-init")
STRANGERS = Path(__file__).parents[1] / "strangers"
REFERENCE = fixtures_dir() / "probes" / "auth_init.py"
FIRST = shlex.join([sys.executable, str(STRANGERS / "auth_init_first.py")])
#: A contract of one's own: other names of variables and members, other paths, another code.
OWN = """\
name = "own-login"
version = "1"
summary = "A login of one's own"
extends = "auth-init"
[inputs]
slot_id = "MY_SLOT"
manager_url = "MY_MANAGER"
init_token = "MY_TOKEN"
login_timeout = "MY_SECONDS"
poll = ""
[limits]
seconds = {seconds}
[requests]
token_header = "X-Mine"
url = {{ method = "PUT", path = "/v2/login/{{slot}}/link", members = {{ url = "link" }} }}
code = {{ method = "GET", path = "/v2/login/{{slot}}/answer", members = {{ code = "answer" }} }}
complete = {{ method = "POST", path = "/v2/login/{{slot}}/done" }}
[verdicts.timed-out]
code = 75
"""


def judged(tmp_path: Path, probe: str, *words: str) -> dict[str, set[str]]:
    """Return what is held against *probe*: each scenario that is not clean, and the kinds of its findings."""
    suite(tmp_path, "run", "--probe", probe, "--json", "report.json", *words, timeout=300)
    rows = json.loads((tmp_path / "report.json").read_text())["scenarios"]
    assert [row["id"] for row in rows if row["result"] in ("broke", "unsupported")] == []
    return {
        row["id"]: {finding["kind"] for finding in row["findings"]}
        for row in rows
        if row["findings"]
    }


#: The faults that were seen in the first program of this kind: the scenario about each, and the finding.
FAULTS = {
    "the operator's code is echoed": ("login/new-file", "leaked-secret"),
    "any new file counts": ("nothing/settings", "wrong-verdict"),
    "null is typed as a word": ("no-code/null", "wrong-input"),
    "a URL is posted in part": ("url-whole/two-pieces", "wrong-request"),
    "a link to the documentation is posted": ("url-of-login/link-before", "wrong-request"),
    "the end of a colour stays in the URL": ("url-clean/colour-ends", "wrong-request"),
    "a second URL is never posted": ("url-again/code-not-taken", "wrong-request"),
    "401 is polled to the deadline": ("refused/code-401", "wrong-verdict"),
    "no JSON is a crash": ("manager-fails-once/code-not-json", "crashed"),
    "the CLI's end is unnoticed": ("cli-failed/while-asked", "wrong-verdict"),
    "and its code is lost": ("cli-failed/while-asked", "lost-code"),
    "a closed terminal is waited for": ("terminal-closed/after-code", "timed-out"),
    "SIGTERM is all there is": ("out-of-time/ignores-sigterm", "timed-out"),
    "one id is not quoted": ("slot-id/slash", "wrong-request"),
    "and it falls over after a good login": ("slot-id/blank", "crashed"),
    "a redirect takes the token along": ("redirected/code", "leaked-token"),
    "the CLI inherits the token": ("login/new-file", "inherited-token"),
    "a rewrite is not seen": ("unseen/same-size-and-time", "wrong-verdict"),
}


@pytest.mark.slow
def test_a_made_up_first_program_shows_each_fault_that_was_seen_in_one(tmp_path: Path) -> None:
    ids = sorted({f"auth-init/{id_}" for id_, _ in FAULTS.values()})

    found = judged(tmp_path, FIRST, *CONTRACT, *ids)

    missed = {
        fault: found.get(f"auth-init/{id_}")
        for fault, (id_, kind) in FAULTS.items()
        if kind not in found.get(f"auth-init/{id_}", ())
    }
    assert missed == {}


@pytest.mark.slow
@pytest.mark.in_turn(4)
@pytest.mark.parametrize("part", range(4))
def test_the_reference_conforms_and_gets_no_advice(tmp_path: Path, part: int) -> None:
    """The scenarios take turns."""
    every = bundled_catalogue().in_contract(bundled_catalogue().contracts["auth-init"])
    ids = [one.id for one in every][part::4]

    assert judged(tmp_path, f"{sys.executable} -I {REFERENCE}", *CONTRACT, *ids) == {}


@pytest.mark.slow
@pytest.mark.in_turn(4)
@pytest.mark.parametrize("part", range(4))
def test_a_right_program_in_node_conforms_and_gets_no_advice(tmp_path: Path, part: int) -> None:
    """Its author knows the contract and nothing else of the suite; the scenarios take turns."""
    node = shutil.which("node") or without("node")
    if shutil.which("script") is None:
        without("script")
    every = bundled_catalogue().in_contract(bundled_catalogue().contracts["auth-init"])
    command = shlex.join([node, str(STRANGERS / "auth_init_in_node.js")])

    ids = [one.id for one in every][part::4]
    found = judged(tmp_path, command, *CONTRACT, *ids)

    assert found == {}


@pytest.mark.slow
def test_a_contract_of_ones_own_has_other_names_paths_and_codes(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN.format(seconds=12))
    text = REFERENCE.read_text()
    for old, new in (
        ("WOVED_SLOT_ID", "MY_SLOT"),
        ("WOVED_MANAGER_CALLBACK_URL", "MY_MANAGER"),
        ("WOVED_SLOT_INIT_TOKEN", "MY_TOKEN"),
        ("WOVED_AUTH_INIT_TIMEOUT_S", "MY_SECONDS"),
        ("X-Slot-Init-Token", "X-Mine"),
        ("/slots/{urllib.parse.quote(slot, safe='')}/auth-init", "/v2/login/{urllib.parse.quote(slot, safe='')}"),
        ('"POST", "url", message', '"PUT", "link", {"link": url}'),
        ('"GET", "code"', '"GET", "answer"'),
        ('answer.get("code")', 'answer.get("answer")'),
        ('"POST", "complete"', '"POST", "done"'),
        ("NO_LOGIN, OUT_OF_TIME = 1, 124", "NO_LOGIN, OUT_OF_TIME = 1, 75"),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "mine.py").write_text(text)
    few = [f"auth-init/{id_}" for id_ in ("login/new-file", "slot-id/slash", "out-of-time/no-code")]
    few += ["auth-init/manager-url/path-and-slash", "auth-init/cli-failed/after-code"]

    mine, reference = (
        judged(tmp_path, f"{sys.executable} {program}", "--contract", "own.toml", *few)
        for program in ("mine.py", REFERENCE)
    )

    assert mine == {}
    assert reference.keys() == {*few}


#: Programs that do not end, print without end, or fork without end.
MISBEHAVE = {
    "hangs": ("trap '' TERM INT; while :; do sleep 1; done", {"timed-out"}),
    "floods": ("exec yes", {"timed-out"}),
    "forks": ("sleep 60 & sleep 60 & exit 1", {"left-process"}),
}


@pytest.mark.slow
def test_a_program_that_hangs_floods_or_forks_is_ended_in_time(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN.format(seconds=2))
    for name, (script, kinds) in MISBEHAVE.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
        found = judged(
            tmp_path, f"./{name}", "--contract", "own.toml", "auth-init/cli-failed/at-once"
        )
        [got] = found.values()
        assert kinds <= got, name


@pytest.mark.slow
def test_other_commands_take_the_contract(tmp_path: Path) -> None:
    few = ["auth-init/login/new-file", "auth-init/nothing/exit-0"]
    reference = f"{sys.executable} {REFERENCE}"
    compared = suite(
        tmp_path, "compare", *CONTRACT, "--probe", reference, "--probe", "sh -c 'exit 1'", *few
    )
    assert compared.returncode == 1
    assert "auth-init/login/new-file" in compared.stdout

    shown = suite(tmp_path, "show", *CONTRACT, "auth-init/redirected/code").stdout
    assert "the Manager answers 307, and sends to elsewhere" in shown

    repeated = suite(tmp_path, "repro", *CONTRACT, few[0], "--keep", "kept")
    assert repeated.returncode == 0
    assert "the CLI read '{secret:operator-code}'" in repeated.stdout
    assert "the Manager at that URL has gone with it" in repeated.stdout

    refused = suite(tmp_path, "run", *CONTRACT, "--python", "m:f", "--in-process")
    assert refused.returncode == 2
    assert "is about a program that starts a CLI" in refused.stderr


@pytest.mark.slow
def test_a_snapshot_difference_and_a_pinned_file_name_disagree_in_the_nested_session(
    tmp_path: Path,
) -> None:
    pinned = tmp_path / "pinned.sh"
    pinned.write_text('#!/bin/sh\n[ -s "$HOME/.claude/.credentials.json" ] || exit 65\nexit 0\n')
    pinned.chmod(0o755)
    few = ["claude/nested-session", "claude/credentials-file", "claude/baseline-only"]

    alike = suite(tmp_path, "agree", "--all", *few, "claude/unreadable-directory")
    apart = suite(tmp_path, "agree", "--probe", str(pinned), "--json", "apart.json", *few)

    assert (alike.returncode, apart.returncode) == (0, 1), alike.stdout + apart.stderr
    assert "agree claude/nested-session: logged-in (0), ready (0)" in alike.stdout
    assert "DISAGREE claude/nested-session\n" in apart.stdout
    assert "calls for ready (0): it sides with the login program" in apart.stdout
    report = json.loads((tmp_path / "apart.json").read_text())
    assert (report["disagree"], report["agree"], report["not_judged"]) == (1, 2, 0)
    [row] = [row for row in report["scenarios"] if not row["agree"]]
    assert (row["id"], row["sides_with"]) == ("claude/nested-session", "login")
    assert (row["login"]["login"], row["probe"]["ready"]) == (True, False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--login", "true", "--login-image", "x"], "--login and --login-image name two probes"),
        (["--login-contract", "slot"], "--login-contract 'slot' is not about a login"),
        (["--contract", "auth-init"], "--contract 'auth-init' is about a login itself"),
        (["--contract", "gate"], "--contract 'gate' asks a gate in steps"),
        (["codex/*"], "no home that a login may have left is selected"),
        (["--login", "no-such-program"], "no probe 'no-such-program'"),
    ],
)
def test_a_request_of_agree_that_is_wrong_is_one_line(
    tmp_path: Path, words: list[str], message: str
) -> None:
    done = suite(tmp_path, "agree", *words)

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert message in done.stderr
