"""The catalogue proves itself: right probes conform in every scenario, wrong ones are caught by name.

Runs over the whole catalogue take as long as its slowest scenarios, so each stands in one test only.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import bundled_catalogue, exited, ran
from support import repeats
from support_catalogue import reference_report, run
from support_cli import suite
from support_image import Once

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.judge.judge import judge

PROBES = Path(__file__).parents[1] / "probes"
PAIR = ["claude/baseline-only", "claude/nested-session"]
#: The fault that each of the probes here has, and the findings by which it is told. The answer may be wrong besides.
VICES = {
    "crashes": {"crashed", "outside-contract"},
    "first_codex_shell": {"wrong-verdict"},
    "floods": {"timed-out"},
    "hangs": {"timed-out"},
    "killed": {"killed-by-signal"},
    "leaks": {"leaked-secret"},
    "leaves_process": {"left-process"},
    "outside": {"outside-contract"},
    "unsteady": {"unsteady", "wrong-verdict"},
    "writes": {"changed-home"},
}


@pytest.mark.parametrize(
    "contract",
    [
        "slot",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("slot-strict", "preflight")),
    ],
)
def test_the_reference_probe_conforms_in_a_sample_of_the_catalogue(
    tmp_path: Path, contract: str
) -> None:
    """What one runs while working; all scenarios take too long for that."""
    catalogue = bundled_catalogue()
    chosen = [
        one
        for one in catalogue.in_contract(catalogue.contracts[contract])
        if one.container is None and not one.takes_long
    ]

    done, report = run(
        tmp_path, "-n", "0", "--contract", contract, *[one.id for one in chosen[::20]]
    )

    assert {row["result"] for row in report["scenarios"]} <= {"conforms", "unsupported"}
    assert (done.returncode, report["conformant"]) == (0, True)


@pytest.mark.slow
@pytest.mark.parametrize("contract", ["slot-strict", "preflight", "run-result"])
def test_the_reference_probe_conforms_in_every_scenario(
    tmp_path: Path, once: Once, contract: str
) -> None:
    reference_report(once, tmp_path, contract)


@pytest.mark.slow
def test_the_reference_of_slot_does_and_fails_slot_strict_in_exactly_the_scenarios_about_the_difference(
    tmp_path: Path, once: Once
) -> None:
    """What it answers is asked once, and held against both contracts: they differ in nothing else."""
    catalogue = load_catalogue()
    slot, strict = catalogue.contracts["slot"], catalogue.contracts["slot-strict"]
    assert (strict.limits, strict.inputs) == (slot.limits, slot.inputs)
    of_slot, of_strict = (
        {one.id for one in catalogue.in_contract(each)} for each in (slot, strict)
    )
    assert of_slot < of_strict  # which has scenarios of its own as well

    report = reference_report(once, tmp_path, "slot")

    answers = {row["id"]: row["code"] for row in report["scenarios"] if row["result"] == "conforms"}
    judged = [one for one in catalogue.in_contract(strict) if one.id in answers]
    failed = {one.id for one in judged if answers[one.id] not in one.codes(strict)}
    about = {one.id for one in judged if not {*one.expected(slot)} & {*one.expected(strict)}}
    either = {
        one.id for one in judged if len(one.expected(slot)) > 1
    }  # it may answer as slot-strict does, or not
    assert failed - either == about - either
    assert len(about) > 100


@pytest.mark.parametrize(
    ("contract", "code", "patterns"),
    [
        ("slot", 0, ["claude/*only", "cli/exit*"]),
        ("slot", 1, ["agent/e*"]),
        ("preflight", 1, ["preflight/s*"]),
    ],
)
@pytest.mark.slow
def test_a_probe_that_always_answers_the_same_fails_wherever_else_is_expected(
    tmp_path: Path, contract: str, code: int, patterns: list[str]
) -> None:
    catalogue = json.loads(
        suite(tmp_path, "list", "--json", "--contract", contract, *patterns).stdout
    )
    listed = [row for row in catalogue if not row["container"]]

    done, report = run(
        tmp_path, "-n", "0", "--contract", contract, "--probe", f"sh -c 'exit {code}'", *patterns
    )

    judged = {row["id"]: row for row in report["scenarios"] if row["result"] != "unsupported"}
    kind = "outside-contract" if (contract, code) == ("slot", 1) else "wrong-verdict"
    expected = {
        row["id"]: [] if code in row["codes"] else [kind] for row in listed if row["id"] in judged
    }
    assert {
        id_: [finding["kind"] for finding in row["findings"]] for id_, row in judged.items()
    } == expected
    assert {row["result"] for row in judged.values() if row["findings"]} == {"deviates"}
    assert (done.returncode, report["conformant"]) == (1, False)
    assert report["scenarios"][0].keys() >= {"id", "result"}
    assert [row["id"] for row in report["scenarios"]] == [row["id"] for row in listed]


@pytest.mark.parametrize(
    ("contract", "code"),
    [
        ("slot", 0),
        ("slot", 1),
        ("slot", 64),
        ("slot", 65),
        ("slot", 66),
        ("preflight", 0),
        ("preflight", 1),
    ],
)
def test_the_same_answer_everywhere_is_judged_wrong_wherever_else_is_expected(
    contract: str, code: int
) -> None:
    """With other codes a run differs in nothing but what is judged."""
    judged_by = contracts.load(contract)
    scenarios = load_catalogue().in_contract(judged_by)

    results = [judge(one, judged_by, [ran(exited(code))], {}) for one in scenarios]

    kind = "outside-contract" if (contract, code) == ("slot", 1) else "wrong-verdict"
    codes = [one.codes(judged_by) for one in scenarios]
    expected = [("conforms", []) if code in right else ("deviates", [kind]) for right in codes]
    assert [
        (result.result, [finding.kind for finding in result.findings]) for result in results
    ] == expected
    assert len({result for result, _ in expected}) == (1 if kind == "outside-contract" else 2)


def test_every_wrong_probe_here_is_named_with_its_findings() -> None:
    assert sorted(VICES) == sorted(
        file.stem for file in PROBES.glob("*.py") if file.stem != "_reference"
    )


def command(vice: str) -> str:
    """Return the command of a wrong probe."""
    return shlex.join([sys.executable, str(PROBES / f"{vice}.py")])


#: The others are caught in the same way; in what runs while working, these stand for all.
QUICK_VICES = {"leaks", "writes"}


@pytest.mark.parametrize(
    "vice",
    [pytest.param(vice, marks=[] if vice in QUICK_VICES else pytest.mark.slow) for vice in VICES],
)
def test_a_wrong_probe_is_caught_by_name_and_leaves_no_process(tmp_path: Path, vice: str) -> None:
    """Two scenarios are enough, and a contract that waits for less time."""
    (tmp_path / "quick.toml").write_text(
        'name = "quick"\nversion = "1"\nsummary = "slot, but quick"\nextends = "slot"\n[limits]\nseconds = 1\n'
    )
    words = [
        "--contract",
        "quick.toml",
        "--probe",
        command(vice),
        "--env",
        f"COUNTER_FILE={tmp_path}/counter",
    ]

    # In one process, since the two scenarios of an unsteady probe share their counter.
    done, report = run(
        tmp_path, "-n", "0", *PAIR, *words, "--repeat", "2" if vice == "unsteady" else "1"
    )

    found = {finding["kind"] for row in report["scenarios"] for finding in row["findings"]}
    assert (done.returncode, found) == (1, VICES[vice])
    assert {row["result"] for row in report["scenarios"] if row["findings"]} == {"deviates"}
    for kind in VICES[vice]:
        assert f"  {kind} " in done.stdout
    assert list(processes_that_mention(f"COUNTER_FILE={tmp_path}/counter")) == []


def processes_that_mention(words: str) -> Iterator[int]:
    """Yield the processes with *words* among their variables."""
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            if words.encode() in place.read_bytes():
                yield int(place.parent.name)
        except OSError:
            continue  # it is somebody else's, or has ended


LOGINS = [
    "claude/*only",
    "claude/*session",
    "claude/credentials*",
    "claude/legacy*",
    "claude/no-dot-claude",
]


@pytest.mark.slow
def test_the_first_probe_of_codex_shell_is_caught_and_its_defect_can_be_seen_again(
    tmp_path: Path,
) -> None:
    """It looked for ``credentials.json``, and so failed healthy slots."""
    done, report = run(tmp_path, "-v", "-n", "0", *LOGINS, "--probe", command("first_codex_shell"))

    rows = {row["id"]: row for row in report["scenarios"]}
    deviating = {id_ for id_, row in rows.items() if row["result"] == "deviates"}
    assert done.returncode == 1
    assert {"claude/nested-session", "claude/credentials-file"} <= deviating
    assert deviating.isdisjoint(
        {"claude/legacy-credentials-json", "claude/baseline-only", "claude/no-dot-claude"}
    )
    assert all(
        "ready" in rows[id_]["expected"] and rows[id_]["verdict"] == "creds-missing"
        for id_ in deviating
    )
    assert rows["claude/nested-session"]["control"] == "claude/baseline-only"
    assert (
        "  control          claude/baseline-only expects creds-missing (65); here:\n" in done.stdout
    )
    words = ["probe-conformance", "repro", "claude/nested-session", "--probe"]
    words.append(command("first_codex_shell"))
    assert [line for line in repeats(done.stdout) if shlex.split(line) == words]

    again = suite(
        tmp_path, "repro", "claude/nested-session", "--probe", command("first_codex_shell")
    )

    assert again.returncode == 1
    assert "wrong-verdict: expected ready (0), got creds-missing (65)" in again.stdout
    assert "control: claude/baseline-only; here:" in again.stdout
    home = next(
        Path(line.removeprefix("home: "))
        for line in again.stdout.splitlines()
        if line.startswith("home: ")
    )
    assert (home / ".claude" / ".credentials" / "session.json").is_file()
