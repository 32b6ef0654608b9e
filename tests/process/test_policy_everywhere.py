"""What a contract of one's own calls for is the same in whatever command says it as in a run, which judges by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from factories import written
from support_cli import suite

from conformance import scenarios
from conformance.bundled import scenarios_dir
from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.cli import cli
from conformance.loading import catalogue_under
from conformance.report.page.catalogue_view import catalogue_view
from conformance.run.request import Command, RunRequest
from conformance.run.subject import check

#: What is extended, and what is said of its rules.
POLICIES = {
    "a CLI that fails is no reason to refuse": ("slot", 'cli-fails = { expect = "ready" }'),
    "nothing is said of a CLI that fails": ("slot-strict", 'cli-fails = "off"'),
    "a login of slot is none": ("slot", 'claude-login = { expect = "creds-missing" }'),
    "nothing is said of usable logins": ("slot-strict", 'claude-usable = "off"'),
    "no file is an invalid one": ("preflight", 'no-file = { expect = "creds-invalid" }'),
}
#: By its citations alone, this one is ready under the first of them.
TELLING = "cli/exit-1-no-credentials"
MISSING = ["--probe", "sh -c 'exit 65'"]

#: Each reads the whole catalogue several times.
pytestmark = pytest.mark.in_turn(3)


def policy(place: Path, about: str = "a CLI that fails is no reason to refuse") -> Path:
    """Write the contract ``own`` with one of the policies; return its file."""
    parent, rules = POLICIES[about]
    head = f'name = "own"\nversion = "1"\nsummary = "A policy"\nextends = "{parent}"\n'
    return written(place / "own.toml", f"{head}[rules]\n{rules}\n")


def demanded(file: Path) -> dict[str, tuple[tuple[str, ...], str]]:
    """Return what a run under the contract in *file* judges by in all scenarios: verdicts, and the rule."""
    subject = check(RunRequest(probe=Command("true"), cwd=str(file.parent), contract=str(file)))
    found = subject.catalogue.in_contract(subject.contract)
    assert [one for one in found if one.container is None] == list(subject.selected)
    return {
        one.id: (one.expected(subject.contract), one.decided_by(subject.contract)) for one in found
    }


def output(*words: str) -> str:
    """Return what a command prints."""
    done = CliRunner().invoke(cli, [*words])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("about", POLICIES)
def test_lists_say_of_all_scenarios_what_a_run_demands(about: str, tmp_path: Path) -> None:
    file = policy(tmp_path, about)
    wanted = demanded(file)
    own = contracts.load(str(file))
    plain = load_catalogue(contract=own)
    by_citations = {
        one.id: (one.expected(own), one.decided_by(own)) for one in plain.in_contract(own)
    }

    rows = json.loads(output("list", "--contract", str(file), "--json"))
    catalogue = catalogue_under(own)
    view = catalogue_view(catalogue, catalogue.in_contract(own), own)

    assert {row["id"]: tuple(row["expected"]) for row in rows} == {
        id_: verdicts for id_, (verdicts, _) in wanted.items()
    }
    shown = {entry.id: entry.expects for _, group in view.groups for entry in group}
    assert {id_: [rule for rule, _ in rules] for id_, [(_, _, rules)] in shown.items()} == {
        id_: [rule] if rule else [] for id_, (_, rule) in wanted.items()
    }
    assert set(scenarios(str(file))) <= wanted.keys()
    assert wanted != by_citations, "the citations would do"


@pytest.mark.parametrize("command", ["show", "list", "home"])
def test_one_scenario_is_shown_as_it_is_judged(command: str, tmp_path: Path) -> None:
    file = policy(tmp_path)
    place = [str(tmp_path / "home")] if command == "home" else []

    said = output(command, "--contract", str(file), TELLING, *place)

    told = {
        "show": "expect own        creds-missing (65)",
        "list": "creds-missing",
        "home": "expected: creds-missing (65)",
    }
    assert told[command] in said


def test_a_scenario_of_which_a_policy_says_nothing_is_shown_so(tmp_path: Path) -> None:
    file = policy(tmp_path, "nothing is said of usable logins")

    assert "expect own          nothing: all rules about it are off" in output(
        "show", "--contract", str(file), "claude/credentials-file"
    )


def test_a_rule_names_the_scenarios_in_which_it_decides(tmp_path: Path) -> None:
    file = policy(tmp_path, "nothing is said of a CLI that fails")

    def citing(contract: str, rule: str) -> set[str]:
        found = json.loads(output("rule", "--contract", contract, rule, "--json"))
        return set(found["scenarios"])

    assert "cli/exit-1" in citing(str(file), "claude-usable")
    assert "cli/exit-1" in citing("slot-strict", "cli-fails")
    assert "cli/exit-1" in citing("slot", "claude-login")
    # In slot-strict, and in what extends it, no login of slot ever decides.
    assert citing(str(file), "claude-login") == citing("slot-strict", "claude-login") == set()


def test_an_export_says_what_is_judged(tmp_path: Path) -> None:
    file = policy(tmp_path)

    output("export", "--contract", str(file), str(tmp_path / "out"), "cli/exit-*", "cli/healthy")

    index = json.loads((tmp_path / "out" / "index.json").read_text())
    judged = {one["id"]: one["contracts"]["own"] for one in index["scenarios"]}
    wanted = demanded(file)
    assert {id_: (tuple(one["verdicts"]), one["rule"]) for id_, one in judged.items()} == {
        id_: wanted[id_] for id_ in judged
    }
    assert judged[TELLING]["codes"] == [65]


def test_lint_holds_files_to_what_they_say_and_counts_what_a_policy_calls_for(
    tmp_path: Path,
) -> None:
    text = policy(tmp_path).read_text()
    text = text.replace("cli-fails", "codex-login").replace("ready", "creds-invalid")
    closed = str(written(tmp_path / "closed.toml", text))

    complaint, _ = CliRunner().invoke(cli, ["lint", "--contract", closed]).stdout.splitlines()

    # Nor do many controls tell anything apart under it, which no file has said.
    assert complaint == "contract own: verdicts: 0 scenarios expect 'ready' of codex, fewer than 3"


def test_a_control_tells_apart_what_a_policy_calls_for(tmp_path: Path) -> None:
    """By its citations, the control would call for the same as the scenario, and be refused."""
    file = policy(tmp_path)
    written(
        tmp_path / "scenarios" / "mine" / "fails.toml",
        f"""
        summary = "A CLI that fails is no reason to refuse a login of mine"
        origin = "own: what a CLI says of itself is not asked"
        agent = "claude"
        control = "{TELLING}"
        home.include = ["claude-login"]
        cli.state = "exit-1"
        expect.own = "ready"
        rules.own = "cli-fails"
        """,
    )

    said = output(
        "list", "--contract", str(file), "--scenarios", str(tmp_path / "scenarios"), "mine/*"
    )

    assert said.startswith("mine/fails  ready")


def test_merged_shards_are_held_to_the_policy_that_they_were_run_under(tmp_path: Path) -> None:
    policy(tmp_path)
    for index in ("1", "2"):
        words = ["--contract", "own.toml", "--shard", f"{index}/2", "--json", f"{index}.json"]
        suite(tmp_path, "run", "cli/exit-*", *MISSING, *words, "-n", "0", "-q")

    done = suite(tmp_path, "merge", "1.json", "2.json", "--contract", "own.toml", "-o", "all.json")

    rows = {row["id"]: row for row in read(tmp_path / "all.json")["scenarios"]}
    assert (done.returncode, done.stderr) == (1, "")
    assert rows[TELLING]["result"] == "conforms"
    assert rows["cli/exit-1"]["result"] == "deviates"


def read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_bytes())
    return document


def test_pytest_judges_a_file_as_a_run_does(tmp_path: Path) -> None:
    policy(tmp_path)
    text = (scenarios_dir() / f"{TELLING}.toml").read_text()
    files = [f"scenarios/{TELLING}.toml", "beside/mine.toml"]
    for file in files:
        written(tmp_path / file, text)
    words = ["--conformance-contract", "own.toml", "--conformance-probe", MISSING[1]]

    done = suite(tmp_path, *files, *words, "-p", "no:cacheprovider", program="pytest")

    assert "2 passed" in done.stdout, done.stderr


def test_a_fake_home_expects_what_a_run_demands(tmp_path: Path) -> None:
    policy(tmp_path)
    text = f"""
        import pytest
        @pytest.mark.parametrize("id_", ["{TELLING}", "mine/fails"])
        @pytest.mark.parametrize("fixture", ["fake_home", "fake_home_fs"])
        def test_here(request, fixture, id_):
            assert request.getfixturevalue(fixture)(id_).expected == ("creds-missing",)
        """
    written(tmp_path / "test_mine.py", text)
    there = (scenarios_dir() / f"{TELLING}.toml").read_text()
    written(tmp_path / "more" / "mine" / "fails.toml", there)
    words = ("--conformance-contract", "own.toml", "--conformance-scenarios", "more")

    done = suite(tmp_path, "test_mine.py", *words, "-p", "no:cacheprovider", program="pytest")

    assert "4 passed" in done.stdout


def test_each_side_of_a_comparison_is_held_to_its_own_contract(tmp_path: Path) -> None:
    """Two versions of one contract have the same name."""
    policy(tmp_path)
    text = (tmp_path / "own.toml").read_text()
    other = written(tmp_path / "new.toml", text.replace('"ready"', '"creds-invalid"'))
    probes = [f"{name}=sh -c 'exit 65'" for name in ("own.toml", other.name)]

    suite(
        tmp_path, "compare", TELLING, "--probe", probes[0], "--probe", probes[1], "--json", "r.json"
    )

    [row] = read(tmp_path / "r.json")["scenarios"]
    assert [answer["result"] for answer in row["answers"]] == ["conforms", "deviates"]


def test_the_bank_of_a_policy_is_tried_under_it(tmp_path: Path) -> None:
    policy(tmp_path)
    written(
        tmp_path / "bank" / "own.toml",
        f"""
        contract = "../own.toml"
        [wrong.ready]
        vice = "Where the CLI fails, it says ready"
        about = ["{TELLING}"]
        command = "true"
        """,
    )

    done = suite(tmp_path, "strength", "--bank", "bank", "-n", "1", TELLING)

    assert "1 of 1 caught by a scenario about their vice" in done.stdout
