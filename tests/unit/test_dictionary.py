"""The fault dictionary: how an answer is written in it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from factories import refusal, result
from msgspec.structs import replace

from conformance.catalogue.contracts import bundled
from conformance.errors import FileError
from conformance.judge import dictionary
from conformance.judge.dictionary import known_vices, read_dictionary, signature, vice_texts
from conformance.model.outcome import Finding

GOOD: dict[str, Any] = {
    "contract": "slot",
    "version": "1",
    "scenarios": ["a/b", "a/c"],
    "vices": {"one": {"wrong-verdict:65": [0, 1]}, "none": {}},
    "unsteady": ["none"],
    "made_from": {"one": "digest"},
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "wrong-verdict+changed-home:"),
        ({"code": 65}, "wrong-verdict+changed-home:65"),
        ({"code": 0, "verdict": "ready"}, "wrong-verdict+changed-home:0"),
        ({"signal": 9}, "wrong-verdict+changed-home:signal 9"),
        ({"verdict": "ready"}, "wrong-verdict+changed-home:ready"),
    ],
)
def test_a_signature_is_the_kinds_of_findings_and_the_answer(
    fields: dict[str, Any], expected: str
) -> None:
    found = result("a/b", "deviates", "wrong-verdict", "changed-home", "wrong-verdict", **fields)

    assert signature(found) == expected


def test_a_signature_is_the_same_whether_advice_counts_or_not() -> None:
    must = result(
        "a/b", "deviates", code=0, findings=(Finding(kind="left-cli-process", message=""),)
    )
    should = replace(must, result="conforms", findings=(replace(must.findings[0], level="should"),))

    assert signature(must) == signature(should) == "left-cli-process:0"


def test_what_conforms_has_no_signature() -> None:
    assert signature(result("a/b", code=0)) == ""


def written(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps({**GOOD, **changes}))
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = read_dictionary(written(tmp_path / "slot.json"))

    assert found.scenarios == ("a/b", "a/c")
    assert found.vices == {"one": {"wrong-verdict:65": (0, 1)}, "none": {}}
    assert found.unsteady == ("none",)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"scenarios": ["a/c", "a/b"]}, "scenarios: is not sorted"),
        ({"scenarios": ["a/b", "a/b"]}, "scenarios: is not sorted, or names a scenario twice"),
        (
            {"vices": {"one": {"x:1": [2]}}, "unsteady": []},
            "vices.one: names a scenario that is not among the 2",
        ),
        (
            {"vices": {"one": {"x:1": [-1]}}, "unsteady": []},
            "vices.one: names a scenario that is not among the 2",
        ),
        (
            {"vices": {"one": {"x:1": [0], "y:1": [0]}}, "unsteady": []},
            "vices.one: answers a scenario twice",
        ),
        ({"vices": {"one": {"65": [0]}}, "unsteady": []}, "vices.one: '65' is no signature"),
        ({"vices": {"one": {":65": [0]}}, "unsteady": []}, "vices.one: ':65' is no signature"),
        ({"unsteady": ["two"]}, "unsteady: there is no vice 'two'"),
        ({"more": 1}, "is no fault dictionary: Object contains unknown field `more`"),
        ({"vices": []}, "is no fault dictionary: Expected `object`, got `array`"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tmp_path: Path, changes: dict[str, Any], wrong: str
) -> None:
    line = refusal(FileError, read_dictionary, written(tmp_path / "slot.json", **changes))

    assert line.startswith(f"{tmp_path}/slot.json: {wrong}")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "slot.json").write_bytes(data)

    assert "is no fault dictionary" in refusal(FileError, read_dictionary, tmp_path / "slot.json")


def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refusal(
        FileError, read_dictionary, tmp_path / "slot.json"
    )


@pytest.fixture
def only_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a dictionary of slot and of no other contract."""
    written(tmp_path / "slot.json")
    monkeypatch.setattr(dictionary, "dictionary_file", lambda name: tmp_path / f"{name}.json")


@pytest.mark.usefixtures("only_slot")
def test_a_contract_has_the_dictionary_of_the_nearest_one_that_it_extends() -> None:
    contracts = bundled()
    own = replace(contracts["slot-strict"], name="mine", lineage=("mine", "slot-strict", "slot"))

    for contract in (contracts["slot"], contracts["slot-strict"], own):
        known = known_vices(contract, contracts)
        assert known is not None
        assert known.contract == contracts["slot"]


@pytest.mark.usefixtures("only_slot")
def test_a_contract_without_a_dictionary_has_none() -> None:
    contracts = bundled()

    assert known_vices(contracts["cli-status"], contracts) is None


def test_the_bank_says_what_each_vice_is() -> None:
    texts = vice_texts("slot")

    assert texts["agent-trimmed"] == "White space around the agent's name is trimmed"
