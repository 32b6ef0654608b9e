"""Whole manifests: the rules of wiring find each vice by itself, and nothing in what is right."""

from __future__ import annotations

import pytest
from manifests import RIGHT, UNUSUAL, WRONG
from support_wiring import CONTRACTS, checked, request, rules

from conformance.wiring.check import check
from conformance.wiring.example import example
from conformance.wiring.findings import RULES
from conformance.wiring.tree import read_documents


def test_the_right_manifest_has_no_finding() -> None:
    found = checked(RIGHT)

    assert found.findings == []
    assert [run.where for subject in found.subjects for run in subject.runs] == ["startupProbe"]


@pytest.mark.parametrize("contract", ["slot", "slot-strict", "preflight", "cli-status"])
def test_the_example_is_right(contract: str) -> None:
    found = checked(example(CONTRACTS[contract]), contract)

    assert found.findings == []
    assert found.notes == []
    assert found.subjects[0].runs[0].certain


@pytest.mark.parametrize("manner", UNUSUAL)
def test_an_unusual_manifest_that_is_right_has_no_finding(manner: str) -> None:
    found = checked(UNUSUAL[manner])

    assert [str(finding) for finding in found.findings] == []
    assert any(subject.runs for subject in found.subjects), "nothing was judged"


@pytest.mark.parametrize("vice", WRONG)
def test_a_vice_is_found_by_its_rule_alone(vice: str) -> None:
    text, rule = WRONG[vice]
    found = checked(text)

    assert rules(found) == {rule}, [str(finding) for finding in found.findings]
    finding = found.findings[0]
    assert text.splitlines()[finding.line - 1].strip(), "it points at a line with nothing in it"
    assert finding.path
    assert finding.message
    assert finding.way_out


def test_every_rule_is_broken_by_a_test() -> None:
    """So none is there that cannot be seen, and none says what no test has seen."""
    with_image = {"program-not-in-image", "entrypoint-in-wrong-mode", "user-not-a-number"}

    assert {rule for _, rule in WRONG.values()} | with_image | {"links-are-no-login"} == {*RULES}


def test_without_the_validator_the_rules_find_the_same() -> None:
    found = {
        vice: rules(check(read_documents("pod.yaml", text), request(), None))
        for vice, (text, _) in WRONG.items()
    }

    assert found == {vice: {rule} - {"structure"} for vice, (_, rule) in WRONG.items()}
