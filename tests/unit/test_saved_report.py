"""JSON reports read again: what is known of them, also where another version has written them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from factories import result, scenario

from conformance.catalogue import contracts
from conformance.errors import UsageError
from conformance.judge.known_failures import KnownFailures
from conformance.judge.tally import RunReport
from conformance.model.cause import Cause
from conformance.model.outcome import Finding
from conformance.report.saved import read_report

SLOT = contracts.bundled()["slot"]


def document(**changes: Any) -> dict[str, Any]:
    made = RunReport(
        SLOT, [scenario(id_="a/b"), scenario(id_="a/c")], {"kind": "command"}, 0, KnownFailures({})
    )
    finding = Finding(kind="wrong-verdict", message="expected ready (0), got 65", rule="x")
    made.add(result("a/b", "deviates", findings=(finding,)))
    made.add(result("a/c", "conforms"))
    made.causes = [Cause(kind="rule", name="slot:x", text="A rule", scenarios=("a/b",))]
    made.repeat = lambda id_: ("probe-conformance", "repro", id_)
    read: dict[str, Any] = json.loads(json.dumps(made.document() | changes))
    return read


def write(tmp_path: Path, content: object) -> str:
    file = tmp_path / "report.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def test_a_report_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = document()

    read = read_report(write(tmp_path, written))

    assert (read.contract.name, read.counts) == ("slot", written["counts"])
    assert read.causes[0].scenarios == ("a/b",)
    row = read.rows()["a/b"]
    assert (row.result, row.findings[0].message) == ("deviates", "expected ready (0), got 65")
    assert row.repeat == ("probe-conformance", "repro", "a/b")
    assert read.rows()["a/c"].repeat == ()


def test_what_another_version_adds_or_lacks_is_no_matter(tmp_path: Path) -> None:
    other = document(something="new")
    del other["causes"]
    other["scenarios"][0].update(result="puzzled", something=1)
    del other["scenarios"][0]["repeat"]

    read = read_report(write(tmp_path, other))

    assert (read.causes, read.scenarios[0].result) == ((), "puzzled")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is no report of a run: Input data was truncated"),
        ("[]", "is no report of a run: Expected `object`, got `array`"),
        ("{}", "is no report of a run: Object missing required field `schema_version`"),
        (document(schema_version=2), "has schema_version 2, and 1 is known here; update"),
        (
            document(scenarios=3),
            "is no report of a run: Expected `array`, got `int` - at `$.scenarios`",
        ),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "is no report of a run"),
        ("[" * 100_000, "is no report of a run"),
    ],
)
def test_a_file_that_is_no_report_is_one_line(
    content: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as error:
        read_report(write(tmp_path, content))

    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_is_a_directory_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^no file .*x; name a file that run --json"):
        read_report(str(tmp_path / "x"))
    with pytest.raises(UsageError, match="is a directory"):
        read_report(str(tmp_path))
