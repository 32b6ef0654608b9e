"""Probe, Manager and contract held against each other: what is wrong, and which side moved."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support import interruptible
from support_cli import environment, suite

from conformance.bundled import contracts_dir, fixtures_dir
from conformance.catalogue import contracts
from conformance.lockstep.faults import (
    Fault,
    contract_faults,
    manager_faults,
    ranges,
    treatment_faults,
)
from conformance.lockstep.managers.answers import Answer, Answers, action_of, in_order
from conformance.lockstep.managers.manager import open_manager
from conformance.lockstep.witness import moves, observed
from conformance.model.contract import Contract
from conformance.model.outcome import Finding, ScenarioResult

SLOT = contracts.load("slot")
MANAGERS = fixtures_dir() / "managers"
#: Each wrong Manager: how it is named, the kind of its fault, and what the fault says: the code and both actions.
WRONG = {
    "broken-cli-re-authenticated.toml": (
        "wrong-action",
        ["64 (", "escalate", "re-auth decision-needed"],
    ),
    "crash-is-missing.toml": ("fault-taken-for-verdict", ["1 (a crash)", "retry", "slot-init"]),
    "default-accepts.json": ("fault-taken-for-verdict", ["1 to 63", "retry", "accept"]),
    "handled-twice.json": ("handled-twice", ["65:", "slot-init and re-auth decision-needed"]),
    "handled-twice-again.yaml": ("handled-twice", ["66:", "re-auth decision-needed and retry"]),
    "invalid-escalated.toml": (
        "wrong-action",
        ["66 (", "re-auth decision-needed", "does escalate"],
    ),
    "killed-is-invalid.yaml": (
        "fault-taken-for-verdict",
        ["137 (death by signal 9)", "retry", "re-auth decision-needed"],
    ),
    "label-lost.toml": (
        "label-lost",
        ["66 (", "re-auth decision-needed", "does re-auth, without the label decision-needed"],
    ),
    "misspelt.toml": (
        "unknown-action",
        ["65 (", "slot-init", "does slot-int", "did you mean slot-init?"],
    ),
    "missing-unhandled.toml": ("wrong-action", ["65 (", "slot-init", "does retry"]),
    "no-default.json": ("unhandled-code", ["1 to 63, 67 to 255", "retry", "does nothing"]),
    "off-by-one.toml": ("wrong-action", ["65 (", "slot-init", "does escalate"]),
    "swapped.toml": ("wrong-action", ["65 (", "slot-init", "does re-auth decision-needed"]),
    "unknown-escalated.toml": ("fault-taken-for-verdict", ["1 to 63", "retry", "escalate"]),
    "usage-error-is-broken.toml": ("fault-taken-for-verdict", ["2:", "retry", "escalate"]),
    "low_seven_bits:action": ("fault-taken-for-verdict", ["192, -64", "retry", "escalate"]),
    "truthy:action": ("wrong-action", ["64 (", "escalate", "re-auth decision-needed"]),
    "raises:action": ("no-action", ["66 (", "re-auth decision-needed", "raised KeyError: 66"]),
    "returns_none:action": ("unhandled-code", ["65 (", "slot-init", "does nothing"]),
    "aborts:action": ("no-action", ["66 (", "re-auth decision-needed", "killed by signal 6"]),
    "./fails.sh": ("no-action", ["64 (", "escalate", "exited 3: no such queue"]),
    "./floods.sh": ("no-action", ["65 (", "slot-init", "printed more than"]),
    "./hangs.sh": ("no-action", ["65 (", "slot-init", "gave no answer within 1 s"]),
    "./killed.sh": ("no-action", ["66 (", "re-auth decision-needed", "killed by signal 9"]),
    "./prints-nothing.sh": ("no-action", ["64 (", "escalate", "printed nothing"]),
    "./prints-two-lines.sh": ("no-action", ["66 (", "re-auth decision-needed", "printed 2 lines"]),
}
FEW = [
    "claude/baseline-only",
    "claude/nested-session",
    "agent/unmapped",
    "claude/unreadable-directory",
]
#: The verdicts that FEW call for, by what the reference probe answers.
SEEN = {"creds-missing": 65, "ready": 0, "cli-broken": 64, "creds-invalid": 66}


def manager(**actions: str) -> Answers:
    """Return the answers of the Manager of slot, with other *actions*: ``c65="retry"``."""
    said = {
        "c0": "accept",
        "c64": "escalate",
        "c65": "slot-init",
        "c66": "re-auth decision-needed",
        **actions,
    }
    return Answers(
        by_code={code: action_of(said.get(f"c{code}", "retry"), {}) for code in in_order(())}
    )


def results(answers: dict[str, int], times: int = 3) -> list[ScenarioResult]:
    """Return results of a probe that gives these *answers* to the verdicts that scenarios expect."""
    return [
        ScenarioResult(
            id=f"{verdict}/{n}", agent="claude", expected=(verdict,), code=code, result="conforms"
        )
        for verdict, code in answers.items()
        for n in range(times)
    ]


def sides(answers: Answers, probe: dict[str, int], contract: Contract = SLOT) -> dict[str, str]:
    return {move.verdict: move.side for move in moves(contract, observed(results(probe)), answers)}


def test_the_bank_of_wrong_managers_is_whole() -> None:
    files = {re.sub(r"^\./|:.*", "", name).removesuffix(".py") for name in WRONG}

    assert files == {
        path.name.removesuffix(".py") for path in (MANAGERS / "wrong").iterdir() if path.is_file()
    }
    assert len(WRONG) >= 15


@pytest.mark.parametrize("spec", WRONG)
@pytest.mark.slow
def test_every_wrong_manager_has_its_fault(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "conformance.lockstep.managers.programs.CommandManager.__init__.__defaults__", (1.0,)
    )
    kind, words = WRONG[spec]

    faults = list(
        manager_faults(
            SLOT, open_manager(spec, {}, MANAGERS / "wrong").ask((0, 64, 65, 66), tmp_path)
        )
    )

    matching = [
        fault
        for fault in faults
        if fault.kind == kind and all(word in fault.message for word in words)
    ]
    assert len(matching) == 1, faults
    assert matching[0].codes


def test_the_right_manager_has_none() -> None:
    assert list(manager_faults(SLOT, manager())) == []
    assert list(contract_faults(SLOT)) == []


def test_a_crash_may_only_be_retried() -> None:
    assert [(f.kind, f.codes) for f in manager_faults(SLOT, manager(c1="ignore"))] == [
        ("fault-not-retried", (1,))
    ]
    assert [f.kind for f in manager_faults(SLOT, manager(c1="accept"))] == [
        "fault-taken-for-verdict"
    ]


def test_more_labels_than_asked_for_are_no_fault() -> None:
    assert list(manager_faults(SLOT, manager(c66="re-auth decision-needed urgent"))) == []


def test_a_gate_that_fell_over_may_be_refused_or_retried() -> None:
    gate = contracts.load("preflight")
    for word in ("refuse", "retry"):
        answers = Answers(
            by_code={
                code: action_of({0: "start", 1: "refuse"}.get(code, word), {})
                for code in in_order(())
            }
        )
        assert list(manager_faults(gate, answers)) == []
    answers = Answers(
        by_code={code: action_of({1: "refuse"}.get(code, "start"), {}) for code in in_order(())}
    )
    assert [fault.kind for fault in manager_faults(gate, answers)] == ["fault-taken-for-verdict"]


def test_a_contract_in_which_one_code_asks_for_two_things_is_a_fault() -> None:
    same = [
        replace(verdict, codes=(65,)) if verdict.name == "creds-invalid" else verdict
        for verdict in SLOT.verdicts
    ]

    faults = list(contract_faults(replace(SLOT, verdicts=tuple(same))))

    assert [(fault.kind, fault.codes) for fault in faults] == [("shared-code", (65,))]
    assert (
        "creds-missing asks for slot-init and creds-invalid asks for re-auth decision-needed"
        in faults[0].message
    )


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        ((1,), "1"),
        ((2, 1), "1, 2"),
        ((0, 1, 2, 5), "0 to 2, 5"),
        ((-9, -10, -11, 0), "0, -11 to -9"),
        ((255, -64), "255, -64 (SIGRTMAX)"),
    ],
)
def test_ranges_of_codes_read_well(codes: Sequence[int], words: str) -> None:
    assert ranges(codes) == words


def test_the_real_code_of_every_scenario_meets_the_manager() -> None:
    seen = results({"ready": 0, "creds-missing": 66}, times=2)

    faults = list(treatment_faults(SLOT, seen, manager()))

    assert [(f.kind, f.codes, f.asked, f.got, f.scenarios) for f in faults] == [
        (
            "wrong-treatment",
            (66,),
            "slot-init",
            "re-auth decision-needed",
            ("creds-missing/0", "creds-missing/1"),
        )
    ]


def test_a_probe_that_is_killed_is_seen_as_a_negative_number() -> None:
    killed = ScenarioResult(
        id="a", agent="claude", expected=("ready",), signal=9, result="deviates"
    )

    def faults(answers: Answers) -> list[Fault]:
        return list(treatment_faults(SLOT, [killed], answers))

    assert [(f.kind, f.codes, f.got) for f in faults(manager())] == [
        ("wrong-treatment", (-9,), "retry")
    ]
    assert faults(manager(**{"c-9": "accept"})) == []


def test_a_probe_out_of_time_gives_the_manager_nothing() -> None:
    late = ScenarioResult(
        id="a",
        agent="claude",
        expected=("ready",),
        result="deviates",
        findings=(Finding(kind="timed-out", message=""),),
    )

    assert [fault.kind for fault in treatment_faults(SLOT, [late], manager())] == ["no-exit-code"]


def test_either_action_is_right_when_the_contract_leaves_a_point_open() -> None:
    either = ScenarioResult(
        id="a", agent="claude", expected=("ready", "creds-missing"), code=65, result="conforms"
    )

    assert list(treatment_faults(SLOT, [either], manager())) == []
    assert [f.kind for f in treatment_faults(SLOT, [replace(either, code=66)], manager())] == [
        "wrong-treatment"
    ]


def test_unjudged_scenarios_give_no_faults() -> None:
    for result in ("broke", "unsupported"):
        unjudged = ScenarioResult(id="a", agent="claude", expected=("ready",), result=result)
        assert list(treatment_faults(SLOT, [unjudged], manager())) == []


SWAPPED = {"c65": "re-auth decision-needed", "c66": "slot-init"}


@pytest.mark.parametrize(
    ("actions", "probe", "expected"),
    [
        ({}, {}, {}),
        (
            {},
            {"creds-missing": 66, "creds-invalid": 65},
            {"creds-missing": "probe", "creds-invalid": "probe"},
        ),
        (SWAPPED, {}, {"creds-missing": "manager", "creds-invalid": "manager"}),
        (
            SWAPPED,
            {"creds-missing": 66, "creds-invalid": 65},
            {"creds-missing": "both", "creds-invalid": "both"},
        ),
        ({"c65": "retry", "c75": "slot-init"}, {"creds-missing": 75}, {"creds-missing": "both"}),
        ({"c65": "retry", "c75": "slot-init"}, {"creds-missing": 76}, {"creds-missing": "apart"}),
        ({"c75": "slot-init"}, {"creds-missing": 75}, {"creds-missing": "probe"}),
        ({"c66": "escalate"}, {}, {"creds-invalid": "manager"}),
        ({"c66": "re-auth"}, {}, {}),
        ({"c66": "page-somebody"}, {}, {}),
    ],
)
def test_the_contract_is_the_third_witness(
    actions: dict[str, str], probe: dict[str, int], expected: dict[str, str]
) -> None:
    assert sides(manager(**actions), {**SEEN, **probe}) == expected


def test_a_manager_without_a_probe_can_have_moved() -> None:
    assert sides(manager(**SWAPPED), {}) == {"creds-missing": "manager", "creds-invalid": "manager"}


def test_a_probe_that_errs_here_and_there_has_not_moved() -> None:
    seen = observed([*results({"creds-missing": 66}, 2), *results({"creds-missing": 65}, 2)])

    assert list(moves(SLOT, seen, manager())) == []
    seen["creds-missing"][66] += 1
    (move,) = moves(SLOT, seen, manager())
    assert (
        move.message
        == "the probe moved: it answers 66 for creds-missing (in 3 of 5 scenarios), where the contract says 65"
    )


def run(
    directory: Path, *words: str, **options: Any
) -> tuple[int, dict[str, Any], subprocess.CompletedProcess[str]]:
    """Run lockstep over FEW scenarios; return its status, its document, and all else."""
    done = suite(directory, "lockstep", *FEW, "-n", "0", "--json", "report.json", *words, **options)
    file = directory / "report.json"
    return done.returncode, json.loads(file.read_text()) if file.exists() else {}, done


def renumbered(directory: Path) -> str:
    """Return the command of the reference probe with 65 and 66 swapped."""
    source = (fixtures_dir() / "probes" / "slot.py").read_text()
    swapped = source.replace("= 0, 1, 64, 65, 66", "= 0, 1, 64, 66, 65")
    assert swapped != source
    (directory / "renumbered.py").write_text(swapped)
    return f"{sys.executable} -I renumbered.py"


def test_three_in_lockstep(tmp_path: Path) -> None:
    status, document, done = run(tmp_path, "--manager", str(MANAGERS / "slot.toml"))

    assert (status, done.stderr) == (0, "")
    assert done.stdout.endswith("note: actions that no scenario reaches: retry\nIN LOCKSTEP\n")
    assert (document["in_lockstep"], document["faults"], document["moves"]) == (True, [], [])
    assert [
        (row["verdict"], row["code"], row["asked"], row["observed"], row["action"])
        for row in document["table"]
    ] == [
        ("ready", 0, "accept", {"0": 1}, "accept"),
        ("cli-broken", 64, "escalate", {"64": 1}, "escalate"),
        ("creds-missing", 65, "slot-init", {"65": 1}, "slot-init"),
        ("creds-invalid", 66, "re-auth decision-needed", {"66": 1}, "re-auth decision-needed"),
    ]


def test_a_renumbered_probe_against_a_right_manager(tmp_path: Path) -> None:
    status, document, done = run(
        tmp_path, "--manager", str(MANAGERS / "slot.toml"), "--probe", renumbered(tmp_path)
    )

    assert status == 1
    assert {move["verdict"]: move["side"] for move in document["moves"]} == {
        "creds-missing": "probe",
        "creds-invalid": "probe",
    }
    assert {fault["kind"] for fault in document["faults"]} == {"wrong-treatment"}
    assert "MOVED creds-missing: the probe moved: it answers 66 for creds-missing" in done.stdout
    assert document["contract_change"] == ""


@pytest.mark.slow
def test_a_right_probe_against_a_renumbered_manager(tmp_path: Path) -> None:
    status, document, done = run(tmp_path, "--manager", str(MANAGERS / "wrong" / "swapped.toml"))

    assert status == 1
    assert {move["verdict"]: move["side"] for move in document["moves"]} == {
        "creds-missing": "manager",
        "creds-invalid": "manager",
    }
    assert (
        "MOVED creds-missing: the Manager moved: it treats 65 as 66 (creds-invalid)" in done.stdout
    )


@pytest.mark.slow
def test_both_renumbered_alike_and_the_printed_change_makes_all_three_agree(tmp_path: Path) -> None:
    words = ["--manager", str(MANAGERS / "wrong" / "swapped.toml"), "--probe", renumbered(tmp_path)]
    status, document, done = run(tmp_path, *words)

    assert status == 1
    assert {move["verdict"]: move["side"] for move in document["moves"]} == {
        "creds-missing": "both",
        "creds-invalid": "both",
    }
    assert (
        "the change of the contract that makes all three agree:\n    [verdicts.creds-missing]\n    code = 66 # was 65\n"
        in done.stdout
    )

    text = (
        (contracts_dir() / "slot.toml")
        .read_text()
        .replace('name = "slot"', 'name = "own"\nextends = "slot"')
    )
    for verdict, code, was in re.findall(
        r"\[verdicts\.(\S+)\]\ncode = (\d+) # was (\d+)", document["contract_change"]
    ):
        text = text.replace(
            f"[verdicts.{verdict}]\ncode = {was}\n", f"[verdicts.{verdict}]\ncode = {code}\n"
        )
    (tmp_path / "own.toml").write_text(text)
    status, document, done = run(tmp_path, *words, "--contract", "own.toml")
    assert (status, document["faults"], document["moves"]) == (0, [], []), done.stdout


def test_a_manager_that_is_lost_is_one_line_and_status_3(tmp_path: Path) -> None:
    status, document, done = run(tmp_path, "--manager", str(MANAGERS / "wrong" / "killed.sh"))

    assert status == 3
    assert (
        done.stderr
        == "probe-conformance: the Manager cannot be judged: asked for 66, the Manager was killed by signal 9\n"
    )
    assert document["exit_status"] == 3
    assert document["not_judged"] == "asked for 66, the Manager was killed by signal 9"
    assert document["scenarios"] == []  # no probe was run for it


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("exit 9", "it has no action for any code: it exited 9: it said nothing on stderr"),
        ("echo one; echo two", "it has no action for any code: it printed 2 lines"),
    ],
)
@pytest.mark.slow
def test_a_manager_that_has_no_action_at_all_cannot_be_judged(
    text: str, line: str, tmp_path: Path
) -> None:
    (tmp_path / "m").write_text(f"#!/bin/sh\n{text}\n")
    (tmp_path / "m").chmod(0o755)

    status, _, done = run(tmp_path, "--manager", "./m")

    assert (status, done.stderr) == (
        3,
        f"probe-conformance: the Manager cannot be judged: {line}\n",
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--manager", "./nothing"],
            "no manager './nothing'; name a program on PATH, or a path to one",
        ),
        (["--manager", "nothing.json"], "nothing.json: cannot be read: No such file or directory"),
        (["--manager", "nothing:x"], "no Manager 'nothing:x': no module 'nothing'; looked in "),
        (
            ["--manager", "true", "--actions", "words.txt"],
            "words.txt: is not a table file; its name has to end in one of .json",
        ),
        (["--manager", "true", "--json", "no/where.json"], "no directory "),
        ([], "Missing option '--manager'; see 'probe-conformance lockstep --help'"),
    ],
)
@pytest.mark.slow
def test_a_wrong_request_is_one_line_and_status_2(
    words: list[str], line: str, tmp_path: Path
) -> None:
    status, document, done = run(tmp_path, *words)

    assert (status, document, done.stdout) == (2, {}, "")
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_scenario_that_broke_is_not_judged(tmp_path: Path) -> None:
    """An --env that the contract decides is refused; a probe that cannot be started breaks each scenario."""
    (tmp_path / "probe").write_text("#!/no/such/interpreter\n")
    (tmp_path / "probe").chmod(0o755)

    status, document, done = run(
        tmp_path, "--manager", str(MANAGERS / "slot.toml"), "--probe", "./probe"
    )

    assert (status, document["counts"]["broke"]) == (3, len(FEW))
    assert "note: broke: 4 scenarios, such as: " in done.stdout
    assert done.stdout.endswith("NOT JUDGED\n")


@pytest.mark.slow
def test_an_interrupted_lockstep_says_so(tmp_path: Path) -> None:
    """It is interrupted as soon as a probe has been started, of which none answers."""
    probe = f"sh -c 'touch {tmp_path}/started; sleep 600'"
    words = [
        "lockstep",
        *FEW,
        "--manager",
        str(MANAGERS / "slot.toml"),
        "-n",
        "0",
        "--json",
        "a",
        "--probe",
        probe,
    ]
    code = """
        import os, signal, sys, threading, time
        from conformance.cli import main

        def interrupt():
            while not os.path.exists("started"):
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        main(sys.argv[1:])
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *words],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=interruptible,
    )

    assert (done.returncode, done.stdout.splitlines()[-1]) == (130, "INTERRUPTED"), done.stderr
    assert json.loads((tmp_path / "a").read_text())["exit_status"] == 130


@pytest.mark.slow
def test_deviations_without_an_exit_code_are_counted_only(tmp_path: Path) -> None:
    script = 'case $WOVED_TASK_AGENT in gemini) exit 64 ;; esac; touch "$HOME/new"; exit 65'

    status, document, done = run(
        tmp_path, "--manager", str(MANAGERS / "slot.toml"), "--probe", f"sh -c {json.dumps(script)}"
    )

    assert (status, document["deviate_otherwise"]) == (1, 1)
    assert "note: deviations that no exit code shows: 1; see probe-conformance run" in done.stdout


@pytest.mark.slow
def test_the_report_alone_goes_to_standard_output(tmp_path: Path) -> None:
    done = suite(
        tmp_path,
        "lockstep",
        *FEW,
        "-n",
        "0",
        "--manager",
        str(MANAGERS / "slot.toml"),
        "--json",
        "-",
    )

    assert json.loads(done.stdout)["in_lockstep"] is True
    assert "IN LOCKSTEP" in done.stderr


@pytest.mark.slow
def test_words_of_its_own_are_mapped(tmp_path: Path) -> None:
    table = {"0": "GO", "64": "escalate", "65": "INIT", "66": "REAUTH", "default": "retry"}
    (tmp_path / "m.json").write_text(json.dumps(table))
    (tmp_path / "words.toml").write_text(
        'GO = "accept"\nINIT = "slot-init"\nREAUTH = "re-auth decision-needed"\nNEVER = "retry"'
    )

    status, document, _ = run(tmp_path, "--manager", "m.json", "--actions", "words.toml")

    assert (status, document["faults"], document["words_not_used"]) == (0, [], ["NEVER"])


def test_a_draft_from_a_manager_is_a_contract_that_it_is_in_lockstep_with(tmp_path: Path) -> None:
    wrong = str(MANAGERS / "wrong" / "off-by-one.toml")
    done = suite(tmp_path, "contract", "--from-manager", wrong, "--name", "acme", "-o", "acme.toml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    drafted = contracts.load("acme.toml", base=tmp_path)

    assert {verdict.name: verdict.codes[0] for verdict in drafted.verdicts} == {
        "ready": 0,
        "cli-broken": 65,
        "creds-missing": 66,
        "creds-invalid": 67,
    }
    answers = open_manager(wrong, {}, tmp_path).ask((), tmp_path)
    assert list(manager_faults(drafted, answers)) == []
    assert "code = 65 # was 64" in (tmp_path / "acme.toml").read_text()


def test_a_draft_says_what_the_manager_lacks_and_does_beyond(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(
        '{"0": "accept", "64": "escalate", "66": "re-auth", "70": "page", "default": "retry"}'
    )

    done = suite(tmp_path, "contract", "--from-manager", "m.json")

    assert (
        "# The Manager does slot-init on no code; this is the code it had.\ncode = 65\n"
        in done.stdout
    )
    assert 'labels = [] # was ["decision-needed"]' in done.stdout
    assert "# The Manager also does page on 70: no verdict of slot asks for that." in done.stdout
    assert done.stdout.startswith(
        "# Drafted from the Manager m.json: read and correct it before it judges anything.\n"
    )
    (tmp_path / "drafted.toml").write_text(done.stdout)
    assert contracts.load("drafted.toml", base=tmp_path).lineage == ("drafted", "slot")


OWN = """
name = "acme"
version = "3"
summary = "An agent of our own"
{above}
agents = ["gemini"]
otherwise = ["retry", "page"]
allowed_writes = [".cache/**"]
entrypoint_writes = []
outside_writes = "forbidden"
[verdicts.fine]
code = 0
meaning = "it may work"
action = "accept"
[verdicts.unfit]
code = 9
meaning = "it may not"
action = "refuse"
labels = ["ticket"]
[inputs]
home = "AGENT_HOME"
opposite_home = "HOME"
[limits]
seconds = 2.5
{commands}
[rules.quiet]
text = "It says nothing"
findings = ["leaked-secret"]
[rules.strict]
text = "It refuses what it does not know"
expect = "unfit"
"""


@pytest.mark.parametrize("above", ["", 'extends = "slot"', 'extends = "preflight"'])
@pytest.mark.parametrize("commands", ["", '[commands]\ngemini = ["gemini", "status"]'])
@pytest.mark.slow
def test_a_draft_from_a_contract_of_ones_own_has_all_that_is_in_that(
    tmp_path: Path, above: str, commands: str
) -> None:
    (tmp_path / "own.toml").write_text(OWN.format(above=above, commands=commands))
    (tmp_path / "m.json").write_text('{"0": "accept", "8": "refuse ticket"}')

    words = ["contract", "--from-manager", "m.json", "--contract", "own.toml", "--name", "acme"]
    done = suite(tmp_path, *words)

    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "drafted.toml").write_text(done.stdout)
    own, drafted = (contracts.load(f"{name}.toml", base=tmp_path) for name in ("own", "drafted"))
    for name, code in (("fine", 0), ("unfit", 8)):
        assert drafted.verdict(name) == replace(own.verdict(name), codes=(code,))
    assert [verdict.name for verdict in drafted.verdicts] == [
        verdict.name for verdict in own.verdicts
    ]
    same = {"version": drafted.version, "summary": drafted.summary, "verdicts": drafted.verdicts}
    # What true and false stand for goes where the codes of these verdicts go.
    truth = (0, 8) if own.truth else None
    assert drafted == replace(own, **same, truth=truth)


REQUESTS = """
[requests]
token_header = "X-Token"
url = { method = "PUT", path = "/v1/{slot}/login", members = { url = "href" } }
code = { method = "GET", path = "/v1/{slot}/code", members = { code = "value" } }
complete = { method = "POST", path = "/v1/{slot}/done" }
"""


@pytest.mark.parametrize(
    "more",
    [
        f'extends = "auth-init"\n[inputs]\npoll = ""\n{REQUESTS}',
        'extends = "preflight"\n[inputs]\noverride = ""\nskew = ""\n',
        'extends = "slot"\n[verdicts]\ncreds-invalid = "off"\n[rules]\ncodex-unreadable = "off"\n',
        'extends = "slot"\n[verdicts.cli-broken]\ncli_code = true\n',
    ],
    ids=["requests", "inputs", "verdict", "cli-code"],
)
@pytest.mark.slow
def test_a_draft_loses_nothing_that_a_contract_says(tmp_path: Path, more: str) -> None:
    """Its Manager does what the contract asks for, so nothing differs at all."""
    text = f'name = "own"\nversion = "1"\nsummary = "x"\notherwise = "retry"\n{more}'
    (tmp_path / "own.toml").write_text(text)
    own = contracts.load("own.toml", base=tmp_path)
    asked = {str(code): str(verdict.asks) for verdict in own.verdicts for code in verdict.codes}
    (tmp_path / "m.json").write_text(json.dumps({**asked, "default": "retry"}))

    words = ["contract", "--from-manager", "m.json", "--contract", "own.toml", "--name", "own"]
    (tmp_path / "drafted.toml").write_text(suite(tmp_path, *words).stdout)
    done = suite(tmp_path, "contract", "--diff", "own.toml", "drafted.toml")
    drafted = contracts.load("drafted.toml", base=tmp_path)

    assert (drafted.requests, drafted.inputs) == (own.requests, own.inputs)
    assert [one.cli_code for one in drafted.verdicts] == [one.cli_code for one in own.verdicts]
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_requests_of_two_contracts_are_compared(tmp_path: Path) -> None:
    text = f'name = "own"\nversion = "1"\nsummary = "x"\nextends = "auth-init"\n{REQUESTS}'
    (tmp_path / "own.toml").write_text(text)

    done = suite(tmp_path, "contract", "--diff", "auth-init", "own.toml")

    assert done.returncode == 1
    assert "request: token_header" in done.stdout
    assert "PUT /v1/{slot}/login" in done.stdout


def test_a_draft_under_another_name_says_what_becomes_of_scenarios(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN.format(above="", commands=""))
    (tmp_path / "m.json").write_text('{"0": "accept", "8": "refuse ticket"}')

    done = suite(tmp_path, "contract", "--from-manager", "m.json", "--contract", "own.toml")

    assert "# Scenarios that name acme do not name this contract: add it to their" in done.stdout


@pytest.mark.slow
def test_two_contracts_side_by_side(tmp_path: Path) -> None:
    done = suite(tmp_path, "contract", "--diff", "slot", "preflight")
    same = suite(tmp_path, "contract", "--diff", "slot", "slot")

    assert (done.returncode, same.returncode) == (1, 0)
    assert re.search(r"^ ≠ +creds-missing +65: slot-init +1: refuse", done.stdout, re.MULTILINE)
    assert re.search(r"^ +seconds +15 +15", done.stdout, re.MULTILINE)
    assert "≠" not in same.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "nothing to do; give --from-manager or --diff"),
        (["--from-manager", "x", "--diff", "slot", "slot"], "two things to do"),
        (["--from-manager", "true", "--name", "slot"], "'slot' cannot be its name"),
        (["--from-manager", "true", "-o", "here"], "here already exists; name a new file"),
        (
            ["--from-manager", "true"],
            "the Manager cannot be asked: it has no action for any code: it printed nothing",
        ),
        (["--diff", "slot", "nothing"], "no contract 'nothing'"),
    ],
)
@pytest.mark.slow
def test_a_wrong_request_for_a_contract_is_one_line(
    words: list[str], line: str, tmp_path: Path
) -> None:
    (tmp_path / "here").write_text("kept")

    done = suite(tmp_path, "contract", *words)

    assert done.returncode in (2, 3)
    assert done.stderr.startswith(f"probe-conformance: {line}")
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "here").read_text() == "kept"


def test_an_answer_without_an_action_is_nothing() -> None:
    assert (Answer().words, Answer().sentence) == ("nothing", "the Manager does nothing")
