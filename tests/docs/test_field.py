"""The page on the field: every scenario it names is there, and every one that it has to name is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from factories import bundled_catalogue

from conformance.catalogue.catalogue import Catalogue
from conformance.model.scenario import Scenario

PAGE = (Path(__file__).parents[2] / "docs" / "field.md").read_text()
#: Directories of scenarios that exist because of what the page tells.
OF_THE_FIELD = ("claude-login", "codex-auth", "configuration", "environment")


@pytest.fixture(scope="module")
def bundled() -> Catalogue:
    return bundled_catalogue()


def named(text: str) -> list[str]:
    """Return the ids and globs in *text*: what stands between backticks and begins with a directory."""
    return re.findall(r"`([a-z][a-z0-9-]*/[a-z0-9*.-][a-z0-9*./-]*)`", text)


def meant(text: str, catalogue: Catalogue) -> set[str]:
    """Return the ids that are meant by those and the globs in *text*."""
    return {
        id_ for id_ in catalogue.scenarios for pattern in named(text) if fnmatchcase(id_, pattern)
    }


def tables(heading: str) -> Iterator[str]:
    """Yield the tables below *heading*."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    yield from re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)


def usable(scenario: Scenario, contract: str) -> bool | None:
    """Tell whether *scenario* is ready under *contract*; None where that is left open, or not asked."""
    verdicts = scenario.expect.get(contract, ())
    return verdicts == ("ready",) if len(verdicts) == 1 else None


def test_every_id_and_glob_names_a_scenario(bundled: Catalogue) -> None:
    assert named(PAGE)
    assert [
        pattern
        for pattern in named(PAGE)
        if not any(fnmatchcase(id_, pattern) for id_ in bundled.scenarios)
    ] == []


def test_every_scenario_of_the_field_is_named(bundled: Catalogue) -> None:
    of_the_field = {
        id_
        for id_ in bundled.scenarios
        if id_.startswith(tuple(f"{name}/" for name in OF_THE_FIELD))
    }
    assert sorted(of_the_field - meant(PAGE, bundled)) == []


def test_the_table_of_what_the_cli_sees_otherwise_is_complete(bundled: Catalogue) -> None:
    parting, _ = tables("Where slot-strict and the CLIs part")
    found = {
        id_
        for id_, scenario in bundled.scenarios.items()
        if None
        not in (verdicts := {usable(scenario, "slot-strict"), usable(scenario, "cli-status")})
        and len(verdicts) == 2
    }
    assert meant(parting, bundled) == found


def test_the_table_of_what_is_left_open_is_complete(bundled: Catalogue) -> None:
    _, left_open = tables("Where slot-strict and the CLIs part")
    strict = bundled.contracts["slot-strict"]
    found = {
        id_
        for id_, scenario in bundled.scenarios.items()
        if "cli-status" in scenario.expect and len(scenario.expected(strict)) > 1
    }
    assert meant(left_open, bundled) == found


def test_exit_codes_in_the_tables_are_those_that_scenarios_expect(bundled: Catalogue) -> None:
    status = bundled.contracts["cli-status"]
    rows = re.findall(r"^\|.*\| ([01])(?:, [^|;]*)? \|(.*)\|$", PAGE, re.MULTILINE)
    wrong = [
        f"{id_}: not {exit_}"
        for exit_, cell in rows
        for id_ in sorted(meant(cell, bundled))
        if (expected := bundled.scenarios[id_].expected(status))
        and set(map(str, status.codes(expected))) != {exit_}
    ]
    assert rows
    assert wrong == []
