"""The page on an orchestrator's own tests: each has scenarios that exist, or says what no scenario can show."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

from factories import bundled_catalogue

PAGE = (Path(__file__).parents[2] / "docs" / "orchestrator.md").read_text()
#: The tests as the public description of the orchestrator names them, with the contracts that their scenarios are of.
TESTS = {
    "missing": {"preflight"},
    "expired": {"preflight"},
    "valid": {"preflight"},
    "no expiry": {"preflight"},
    "broken JSON does not raise": {"preflight"},
    "no oauth": {"preflight"},
    "no network": {"preflight"},
    "caching": {"gate"},
    "path resolution": {"preflight"},
    "explicit path": {"preflight", "gate"},
    "claim gate": {"gate"},
    "switch off": {"preflight", "gate"},
    "markers": {"gate"},
    "empty log": {"run-result"},
    "no result": {"run-result"},
    "done": {"run-result"},
    "failed with alert": {"run-result"},
    "requeue": {"run-result"},
    "gating of stages": {"run-result"},
}
#: What an exit code or a step cannot show: a page that claimed these would promise too much.
OUT_OF_SIGHT = {"no network", "empty log", "done", "failed with alert", "requeue"}


def rows() -> dict[str, list[str]]:
    """Return the cells of each row by the name of its test."""
    lines = re.findall(r"^\| (.*) \|$", PAGE, re.MULTILINE)
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return {name: rest for name, *rest in cells if name != "test"}


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_test_of_the_orchestrator_has_a_row() -> None:
    assert list(rows()) == list(TESTS)


def test_every_id_and_glob_names_a_scenario_of_a_contract_that_the_test_is_about() -> None:
    catalogue = bundled_catalogue()
    wrong = []
    for name, (_, scenarios, *_) in rows().items():
        parts = {
            scenario.id
            for contract in TESTS[name]
            for scenario in catalogue.in_contract(catalogue.contracts[contract])
        }
        patterns = named(scenarios)
        assert patterns, name
        wrong += [
            f"{name}: {pattern}"
            for pattern in patterns
            if not any(fnmatchcase(id_, pattern) for id_ in parts)
        ]
    assert wrong == []


def test_every_scenario_of_a_run_that_is_not_left_open_stands_in_a_row() -> None:
    catalogue = bundled_catalogue()
    contract = catalogue.contracts["run-result"]
    patterns = [pattern for _, scenarios, *_ in rows().values() for pattern in named(scenarios)]
    missing = {
        scenario.id.rpartition("/")[0]
        for scenario in catalogue.in_contract(contract)
        if len(scenario.expected(contract)) == 1
        and not any(fnmatchcase(scenario.id, pattern) for pattern in patterns)
    }
    # Large logs and those that are no text are other ways to show the same.
    assert missing == {"run-result/large", "run-result/not-text"}


def test_what_no_scenario_can_show_is_said() -> None:
    silent = {name for name, (*_, not_shown) in rows().items() if not not_shown.strip("| ")}
    assert silent & OUT_OF_SIGHT == set()
