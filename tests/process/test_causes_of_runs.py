"""The causes in the report of a run: of wrong probes, after an interrupt, and where there is nothing to compare with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from factories import bundled_catalogue
from factories import result as made
from support_cli import suite

from conformance.catalogue.catalogue import select
from conformance.judge import dictionary
from conformance.judge.known_failures import KnownFailures
from conformance.judge.tally import RunReport
from conformance.run.causes_in import add_causes
from conformance.strength.bank import bundled_bank, read_banks

#: As slot, with codes of its own.
HARBOUR = """
name = "harbour"
version = "1"
summary = "As slot, with other codes"
extends = "slot"
verdicts.cli-broken = { code = 70 }
verdicts.creds-missing = { code = 71 }
verdicts.creds-invalid = { code = 72 }
"""

#: So many files that vices are told apart.
IDS = ("agent/*", "claude/baseline-only", "claude/nested-session")
DEVIATING = ("agent/trailing-blank", "agent/trailing-newline")


def causes_of(directory: Path, probe: str, *more: str) -> list[dict[str, Any]]:
    """Return the causes in the report of a run."""
    done = suite(directory, "run", *more, "--probe", probe, "--json", "-", "-n", "0")
    assert done.returncode == 1, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["causes"]
    return found


def wrong_probe(directory: Path, name: str) -> str:
    """Write a wrong probe of slot; return its command."""
    banks = read_banks(bundled_bank(), bundled_catalogue())
    [probe] = [one for bank in banks for one in bank.wrong if one.id == f"slot/{name}"]
    return shlex.join(probe.install(directory / name))


@pytest.mark.slow
def test_the_vice_of_a_wrong_probe_is_named(tmp_path: Path) -> None:
    [cause] = causes_of(tmp_path, wrong_probe(tmp_path, "agent-trimmed"), *IDS)

    assert (cause["kind"], cause["name"], cause["fit"]) == ("vice", "slot/agent-trimmed", 1.0)
    assert cause["scenarios"] == ["agent/trailing-blank", "agent/trailing-newline"]
    assert cause["answers"] == ["expected cli-broken (64), got ready (0)"]


@pytest.mark.slow
def test_a_contract_with_other_codes_knows_the_same_vices(tmp_path: Path) -> None:
    (tmp_path / "harbour.toml").write_text(HARBOUR)
    probe = Path(shlex.split(wrong_probe(tmp_path, "agent-unmapped-is-creds-missing"))[-1])
    text = probe.read_text()
    probe.write_text(text.replace("0, 1, 64, 65, 66", "0, 1, 70, 71, 72"))

    [cause] = causes_of(tmp_path, f"python3 -I {probe}", *IDS, "--contract", "harbour.toml")

    assert (cause["kind"], cause["name"]) == ("vice", "slot/agent-unmapped-is-creds-missing")
    assert cause["answers"] == ["expected cli-broken (70), got creds-missing (71)"]


def cut_short(ids: Sequence[str] = IDS) -> RunReport:
    """Return the report of a run of slot that has ended with two deviations, and in which the first scenario was not judged."""
    catalogue = bundled_catalogue()
    slot = catalogue.contracts["slot"]
    selected = select(catalogue, ids, slot)
    report = RunReport(slot, selected, {}, 0, KnownFailures({}))
    for scenario in selected[1:]:
        report.add(made(scenario.id))
    for id_ in DEVIATING:
        report.add(made(id_, "deviates", "wrong-verdict", code=0))
    return report


def causes(report: RunReport) -> list[tuple[str, str]]:
    add_causes(report, bundled_catalogue().contracts, [])
    return [(cause.kind, cause.name) for cause in report.causes]


def test_a_run_that_was_interrupted_has_causes_of_what_it_has_judged() -> None:
    cut = cut_short()
    cut.interrupted = True

    assert causes(cut) == [("vice", "slot/agent-trimmed")]


def test_in_a_run_of_a_few_scenarios_no_vice_is_named() -> None:
    """Many do the same there."""
    cut = cut_short(("agent/*",))

    assert causes(cut) == [("rule", "slot:agent-unmapped")]
    assert cut.causes[0].compared is False


def test_without_a_dictionary_there_are_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dictionary, "dictionary_file", lambda name: tmp_path / f"{name}.json")
    cut = cut_short()

    assert causes(cut) == [("rule", "slot:agent-unmapped")]
    assert (cut.causes[0].compared, cut.trouble) == (False, [])


def test_a_dictionary_that_is_broken_is_said_and_hides_no_deviation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dictionary, "dictionary_file", lambda name: tmp_path / f"{name}.json")
    (tmp_path / "slot.json").write_text("{")
    cut = cut_short()

    assert causes(cut) == [("rule", "slot:agent-unmapped")]
    [line] = cut.trouble
    assert line.startswith(f"{tmp_path}/slot.json: is no fault dictionary")


def test_where_all_conforms_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "read_dictionary", lambda _: pytest.fail("it was read"))
    cut = cut_short()
    for id_ in DEVIATING:
        cut.add(made(id_))

    assert causes(cut) == []
