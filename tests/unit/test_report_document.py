"""The JSON report: what it says of every run, the exit status it stands for, and how it is written."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, get_args

import pytest
from factories import result, scenario
from msgspec.structs import replace

from conformance import __version__
from conformance.catalogue import contracts
from conformance.catalogue.digest import digest
from conformance.errors import CannotJudge
from conformance.judge.known_failures import KnownFailures
from conformance.judge.tally import INTERRUPTED, RunReport
from conformance.model.outcome import Finding, FindingKind, Result, ScenarioResult
from conformance.report.document import write_json

SLOT = contracts.bundled()["slot"]
NOW = 1_700_000_000.25
RESULTS: tuple[Result, ...] = ("conforms", "deviates", "unsupported", "broke", "known-failure")


def known(tmp_path: Path, ids: Iterable[str]) -> KnownFailures:
    file = tmp_path / "known.toml"
    file.write_text("[known-failures]\n" + "".join(f'"{id_}" = "issue 1"\n' for id_ in ids))
    return KnownFailures.read(str(file))


def report(
    kinds: Mapping[str, Result | None], known: KnownFailures | None = None, **fields: Any
) -> RunReport:
    """Return a report over scenarios with these results; None for one that never came in."""
    probe = {
        "kind": "command",
        "command": ["/bin/true"],
        "network": "cut",
        "capabilities": "dropped",
    }
    made = RunReport(
        SLOT, [scenario(id_=id_) for id_ in kinds], probe, NOW, known or KnownFailures({})
    )
    for id_, kind in kinds.items():
        if kind is not None:
            made.add(result(id_, kind))
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def read_back(made: RunReport) -> dict[str, Any]:
    """Return the report as somebody reads it: JSON has lists and no tuples."""
    document: dict[str, Any] = json.loads(json.dumps(made.document()))
    return document


def numbered(kinds: Iterable[Result | None]) -> dict[str, Result | None]:
    return {f"a/{number}": kind for number, kind in enumerate(kinds)}


# Exit status


@pytest.mark.parametrize(
    "kinds", [c for size in range(6) for c in itertools.combinations(RESULTS, size)], ids=" ".join
)
@pytest.mark.parametrize("trouble", [[], ["a file could not be collected"]], ids=["", "trouble"])
@pytest.mark.parametrize("interrupted", [False, True], ids=["", "interrupted"])
def test_the_exit_status_of_every_mix_of_results(
    kinds: tuple[Result, ...], trouble: list[str], interrupted: bool
) -> None:
    """What was interrupted says so, then what could not be judged, then what deviates; to judge nothing is no success."""
    if interrupted:
        expected = 130
    elif trouble or "broke" in kinds or not {"conforms", "deviates", "known-failure"} & set(kinds):
        expected = 3
    else:
        expected = 1 if "deviates" in kinds else 0
    made = report(numbered(kinds), trouble=trouble, interrupted=interrupted)
    assert made.exit_status() == made.document()["exit_status"] == expected


@pytest.mark.parametrize(
    ("kinds", "status", "conformant"),
    [
        (["conforms"], 0, True),
        (["conforms", "unsupported"], 0, True),
        (["conforms", "known-failure"], 0, False),
        (["known-failure"], 0, False),
        (["conforms", "deviates"], 1, False),
        (["deviates", "unsupported"], 1, False),
        (["unsupported"], 3, False),
        (["conforms", "broke"], 3, False),
        (["deviates", "broke"], 3, False),
        (["conforms", None], 3, False),
        ([None], 3, False),
        ([], 3, False),
    ],
)
def test_conformant_means_that_nothing_is_left_open(
    kinds: list[Result | None], status: int, conformant: bool
) -> None:
    made = report(numbered(kinds))
    assert (made.exit_status(), made.conformant(), made.document()["conformant"]) == (
        status,
        conformant,
        conformant,
    )


def test_trouble_with_the_run_as_a_whole_is_never_conformant() -> None:
    made = report({"a/b": "conforms"}, trouble=["a worker was lost"])
    assert (made.exit_status(), made.conformant(), made.document()["trouble"]) == (
        3,
        False,
        ["a worker was lost"],
    )


@pytest.mark.parametrize(
    ("kind", "stale", "status"),
    [
        ("conforms", ["a/0"], 1),
        ("known-failure", [], 0),
        ("deviates", [], 1),
        ("unsupported", [], 0),
        ("broke", [], 3),
    ],
)
def test_a_known_failure_that_conforms_fails_the_run(
    tmp_path: Path, kind: Result, stale: list[str], status: int
) -> None:
    made = report(numbered([kind, "conforms"]), known(tmp_path, ["a/0", "a/not-selected"]))
    assert (made.stale(), made.document()["stale_known_failures"], made.exit_status()) == (
        stale,
        stale,
        status,
    )


def test_broke_outweighs_a_stale_known_failure(tmp_path: Path) -> None:
    made = report({"a/0": "conforms", "a/1": "broke"}, known(tmp_path, ["a/0"]))
    assert made.exit_status() == 3


# Rows


def test_a_result_that_never_came_in_broke() -> None:
    made = report({"a/0": "conforms", "a/1": None})
    row = made.results()[1]
    assert row == ScenarioResult(
        id="a/1",
        agent="claude",
        expected=("ready",),
        control="some/control",
        result="broke",
        reason="not run",
    )
    assert (made.done(), made.counts()["broke"]) == (1, 1)
    made.interrupted = True
    assert made.results()[1].reason == "not run: interrupted"


def test_a_scenario_that_could_not_be_judged_says_why() -> None:
    made = report({"a/0": None, "a/1": "conforms"})
    made.broke("a/0", "the worker was lost")
    assert [(row.id, row.result, row.reason) for row in made.results()] == [
        ("a/0", "broke", "the worker was lost"),
        ("a/1", "conforms", ""),
    ]


@pytest.mark.parametrize(
    ("first", "second"), [("broke", "conforms"), ("conforms", "broke"), ("broke", "deviates")]
)
def test_the_later_result_of_a_scenario_counts(first: Result, second: Result) -> None:
    """What a lost worker was at is run again by another."""
    made = report({"a/0": first})
    made.add(result("a/0", second))
    assert [row.result for row in made.results()] == [second]
    assert made.done() == 1


def test_rows_stand_in_the_order_of_the_selection_whoever_comes_first() -> None:
    made = report({"a/0": None, "a/1": None, "a/2": None})
    for id_ in ("a/2", "a/0", "a/1"):
        made.add(result(id_, "conforms"))
    assert [row["id"] for row in made.document()["scenarios"]] == ["a/0", "a/1", "a/2"]


def test_counts_name_every_result() -> None:
    made = report(numbered(["conforms", "conforms", "deviates", "known-failure", None, "broke"]))
    assert made.counts() == {
        "conforms": 2,
        "deviates": 1,
        "unsupported": 0,
        "broke": 2,
        "known-failure": 1,
    }


def test_the_control_is_told_with_what_it_expects() -> None:
    made = report({"a/0": "deviates"})
    row = made.results()[0]
    scenarios = {"some/control": scenario(id_="some/control", expect=["ready", "creds-missing"])}
    assert made.control_words(row, scenarios) == "ready (0) or creds-missing (65)"
    elsewhere = {
        "some/control": replace(scenarios["some/control"], expect={"preflight": ("ready",)})
    }
    assert [made.control_words(row, known_here) for known_here in ({}, elsewhere)] == [
        "nothing here",
        "nothing here",
    ]


def test_the_document_has_everything_that_others_rely_on() -> None:
    made = report({"a/0": None, "a/1": "conforms"}, seconds=1.23456)
    made.add(
        ScenarioResult(
            id="a/0",
            agent="claude",
            expected=("ready", "creds-invalid"),
            code=65,
            verdict="creds-missing",
            result="deviates",
            findings=(
                Finding(kind="wrong-verdict", message="expected ready (0), got creds-missing (65)"),
            ),
            seconds=0.25,
            control="some/control",
            difference=("+ f: fifo",),
            stdout="out",
            stderr="err",
            kept="/kept/a/0",
        )
    )
    document = read_back(made)
    assert {key: value for key, value in document.items() if key != "scenarios"} == {
        "schema_version": 1,
        "suite": {"name": "probe-conformance", "version": __version__},
        "contract": {"name": "slot", "version": SLOT.version},
        "probe": {
            "kind": "command",
            "command": ["/bin/true"],
            "network": "cut",
            "capabilities": "dropped",
        },
        "started": "2023-11-14T22:13:20.250+00:00",
        "now": NOW,
        "seconds": 1.235,
        "interrupted": False,
        "exit_status": 1,
        "conformant": False,
        "strict": False,
        "counts": {"conforms": 1, "deviates": 1, "unsupported": 0, "broke": 0, "known-failure": 0},
        "advice": 0,
        "as_of": "",
        "shard": None,
        "shards": [],
        "fail_on_unsupported": False,
        "settings": "",
        "stale_known_failures": [],
        "left_out": [],
        "levels": {name: rule.level for name, rule in SLOT.rules.items() if rule.findings},
        "trouble": [],
        "diagnosis": "",
        "asked": {},
        "lost_engines": [],
        "causes": [],
    }
    assert document["scenarios"][0] == {
        "id": "a/0",
        "agent": "claude",
        "expected": ["ready", "creds-invalid"],
        "expected_codes": [0, 66],
        "code": 65,
        "signal": None,
        "verdict": "creds-missing",
        "result": "deviates",
        "reason": "",
        "findings": [
            {
                "kind": "wrong-verdict",
                "message": "expected ready (0), got creds-missing (65)",
                "level": "must",
                "rule": "",
            }
        ],
        "engine": "",
        "moved": None,
        "seconds": 0.25,
        "control": "some/control",
        "difference": ["+ f: fifo"],
        "stdout": "out",
        "stderr": "err",
        "changes": [],
        "outside": [],
        "steps": [],
        "events": [],
        "kept": "/kept/a/0",
        "summary": scenario().summary,
        "origin": scenario().origin,
        "since": "",
        "digest": digest(scenario()),
        "rule": "",
        "repeat": [],
    }


# Writing


def test_the_report_is_written_as_json(tmp_path: Path) -> None:
    made = report({"a/é😀\x1b": "conforms"})
    write_json(made.document(), str(tmp_path / "report.json"))
    text = (tmp_path / "report.json").read_text()
    assert json.loads(text) == read_back(made)
    assert text.endswith("}\n")
    assert text.isascii()
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_relative_file_is_one_below_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_json({"a": 1}, "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == {"a": 1}


def test_standard_output_holds_the_report_and_nothing_else(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = report({"a/b": "conforms"})
    write_json(made.document(), "-")
    out, err = capfd.readouterr()
    assert (json.loads(out), err) == (read_back(made), "")
    assert not Path("-").exists()


def test_special_files_are_written_in_place(tmp_path: Path) -> None:
    """Such as a named pipe, or /dev/stderr."""
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(fifo.read_text()), daemon=True)
    reader.start()
    write_json({"a": 1}, str(fifo))
    reader.join(60)
    assert [json.loads(text) for text in said] == [{"a": 1}]
    assert fifo.is_fifo()


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def onto_a_full_disk(file: Path, _: str, encoding: str) -> IO[str]:
    file.touch()
    return open("/dev/full", "w", encoding=encoding)


@pytest.mark.parametrize(
    ("module", "call", "fake"), [(os, "replace", full), (Path, "open", onto_a_full_disk)]
)
def test_a_write_that_fails_leaves_the_old_report_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, call: str, fake: Any
) -> None:
    file = tmp_path / "report.json"
    file.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(module, call, fake)
        with pytest.raises(CannotJudge) as caught:
            write_json({"a": 1}, str(file))
    assert str(caught.value) == f"{file} cannot be written: No space left on device"
    assert caught.value.exit_status == 3
    assert (os.listdir(tmp_path), file.read_text()) == (["report.json"], "old")


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("missing/report.json", "No such file or directory"),
        ("directory", "Is a directory"),
        ("file/x", "Not a directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, file: str, reason: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(CannotJudge) as caught:
        write_json({}, str(tmp_path / file))
    assert str(caught.value) == f"{tmp_path}/{file} cannot be written: {reason}"
    assert sorted(os.listdir(tmp_path)) == ["directory", "file"]


def test_the_status_of_an_interrupted_run_is_that_of_a_shell() -> None:
    assert INTERRUPTED == 128 + 2


# The page about it


def test_the_page_has_every_member_of_the_report_and_every_finding() -> None:
    page = (Path(__file__).parents[2] / "docs" / "probes.md").read_text()
    text = page.partition("\n## Reports\n")[2].partition("\n### ")[0]
    tables = [re.findall(r"^\| (`.+?`) \|", part, re.MULTILINE) for part in text.split("\n\n")]
    whole, each = [set(re.findall(r"`(\w+)`", " ".join(rows))) for rows in tables if rows]
    document = report({"a/0": "deviates"}).document()
    assert whole == {*document, "baseline"}
    assert each == {*document["scenarios"][0]}
    assert [kind for kind in get_args(FindingKind) if f"`{kind}`" not in page] == []
