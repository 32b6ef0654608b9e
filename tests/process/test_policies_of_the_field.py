"""The policies that the page of contracts shows: who follows one conforms to it, and who does not deviates where it differs.

Each example is taken from the page as it stands there.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import bundled_catalogue, exited, ran
from support_catalogue import reference_report
from support_cli import suite
from support_image import Once

from conformance.catalogue import contracts
from conformance.judge.judge import judge
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario

ROOT = Path(__file__).parents[2]
PROBE = ROOT / "tests" / "strangers" / "policy_probe.py"
REFERENCES = {"slot": "slot.py", "slot-strict": "slot_strict.py"}


def examples() -> dict[str, str]:
    """Return the contracts of the page's section about policies, by name."""
    page = (ROOT / "docs" / "contracts.md").read_text()
    section = page.split("\n## Policies of the field\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```toml\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    return {tomllib.loads(block)["name"]: block for block in blocks}


EXAMPLES = examples()
#: Examples that differ in more than what a code means, so that only a run shows it.
RUN_ANEW = {"document", "one-agent", "own-agent-variable", "quick-cli"}


def loaded(name: str, place: Path) -> tuple[Contract, Contract]:
    """Return the example called *name*, and the contract that it extends."""
    (place / f"{name}.toml").write_text(EXAMPLES[name])
    return contracts.load(f"{name}.toml", base=place), contracts.load(
        tomllib.loads(EXAMPLES[name])["extends"]
    )


def scenarios(contract: Contract) -> list[Scenario]:
    """Return what can be run on this machine."""
    chosen = bundled_catalogue().in_contract(contract)
    return [one for one in chosen if one.container is None]


def changed(name: str, before: Contract) -> Callable[[Scenario], bool]:
    """Return whether a scenario rests on what the example changes: a rule, or the code of a verdict."""
    table = tomllib.loads(EXAMPLES[name])
    rules, verdicts = table.get("rules", {}), table.get("verdicts", {})

    def about(one: Scenario) -> bool:
        return one.decided_by(before) in rules or not verdicts.keys().isdisjoint(
            one.expected(before)
        )

    return about


def run(
    place: Path, contract: str, probe: tuple[str, str], *chosen: str
) -> dict[str, dict[str, Any]]:
    """Run a *probe*, an option and its value; return the rows of the report by id."""
    request = ["--contract", contract, *probe, "--json", "report.json"]
    # Workers of its own do not pay for a few scenarios.
    done = suite(place, "run", "-n", "0", *request, *chosen, timeout=600)
    assert done.returncode in {0, 1}, done.stderr
    report = json.loads((place / "report.json").read_text())
    return {row["id"]: row for row in report["scenarios"]}


def deviating(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the findings of the scenarios that deviate."""
    return {id_: row["findings"] for id_, row in rows.items() if row["result"] == "deviates"}


def follower(name: str, place: Path) -> tuple[str, str]:
    """Return a probe that follows the example; as a callable it is started in less time."""
    lines = f"import sys\nsys.path.insert(0, {str(PROBE.parent)!r})\n"
    lines += f"from policy_probe import POLICIES\nmain = POLICIES[{name!r}]\n"
    (place / "followed.py").write_text(lines)
    return "--python", "followed:main"


def reference(contract: Contract) -> tuple[str, str]:
    """Return the probe that follows a bundled contract."""
    program = ROOT / "fixtures" / "probes" / REFERENCES[contract.name]
    return "--probe", shlex.join([sys.executable, str(program)])


@pytest.fixture
def answers(once: Once, tmp_path: Path) -> Callable[[Contract], dict[str, int]]:
    """Return what the reference probe of a bundled contract answers everywhere; it is asked once."""

    def ask(contract: Contract) -> dict[str, int]:
        rows = reference_report(once, tmp_path, contract.name)["scenarios"]
        return {row["id"]: row["code"] for row in rows if row["result"] == "conforms"}

    return ask


def test_the_page_shows_the_policies_that_are_tried() -> None:
    assert len(EXAMPLES) == 12
    assert all(f'"{name}": ' in PROBE.read_text() for name in EXAMPLES)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_example_can_be_read_and_lint_has_nothing_against_it(name: str, tmp_path: Path) -> None:
    after, before = loaded(name, tmp_path)

    assert after.lineage == (name, *before.lineage)
    assert set(tomllib.loads(EXAMPLES[name]).get("rules", {})) <= before.rules.keys()
    if "rules" in EXAMPLES[name]:
        assert any(changed(name, before)(one) for one in scenarios(before))


@pytest.mark.slow
@pytest.mark.in_turn(8)
@pytest.mark.parametrize("name", list(EXAMPLES))
def test_a_probe_that_follows_the_policy_conforms(name: str, tmp_path: Path) -> None:
    """In a part of what the policy changes, and in some of the other scenarios."""
    after, before = loaded(name, tmp_path)
    about = changed(name, before)
    every = scenarios(after)
    others = [one for one in every if not about(one)]
    affected = [one for one in every if about(one)]
    waiting = [one for one in affected if one.takes_long][:3]
    affected, others = ([one for one in each if not one.takes_long] for each in (affected, others))
    chosen = [
        *waiting,
        *affected[:: max(1, len(affected) // 15)],
        *others[:: max(1, len(others) // 15)],
    ]

    rows = run(tmp_path, f"{name}.toml", follower(name, tmp_path), *(one.id for one in chosen))

    assert deviating(rows) == {}
    assert sum(row["result"] == "conforms" for row in rows.values()) > 12


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in RUN_ANEW])
def test_a_probe_that_follows_what_is_extended_deviates_in_exactly_what_the_policy_changes(
    name: str, tmp_path: Path, answers: Callable[[Contract], dict[str, int]]
) -> None:
    after, before = loaded(name, tmp_path)
    about = changed(name, before)

    codes = answers(before)

    judged = [one for one in scenarios(after) if one.id in codes]
    wrong = {
        one.id
        for one in judged
        if judge(one, after, [ran(exited(codes[one.id]))], {}).result == "deviates"
    }
    different = {one.id for one in judged if about(one)}
    # Where both leave the point open, an answer may do for both.
    either = {
        one.id
        for one in judged
        if not before.codes(one.expected(before)).isdisjoint(after.codes(one.expected(after)))
    }
    assert different - either <= wrong <= different
    assert len(wrong) >= 1


def expects_a_broken_cli(one: Scenario, contract: Contract) -> bool:
    """Return whether a probe that refuses every CLI conforms."""
    return "cli-broken" in one.expected(contract)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "deviates"),
    [
        ("document", lambda one, after: True),
        ("own-agent-variable", lambda one, after: not expects_a_broken_cli(one, after)),
        ("quick-cli", lambda one, after: one.decided_by(after) == "cli-hangs"),
    ],
)
def test_a_probe_that_reads_and_waits_and_answers_as_slot_does_deviates_where_an_example_differs(
    name: str, deviates: Callable[[Scenario, Contract], bool], tmp_path: Path
) -> None:
    """In a document nothing stands; without its variable no agent is named; a slow CLI is waited for."""
    after, before = loaded(name, tmp_path)
    every = scenarios(after)
    about = [one for one in every if one.decided_by(after) == "cli-hangs"][:4]
    chosen = {one.id: one for one in [*about, *every[::12]]}

    rows = run(tmp_path, f"{name}.toml", reference(before), *chosen)

    expected = {id_ for id_, one in chosen.items() if deviates(one, after)}
    unsupported = {id_ for id_, row in rows.items() if row["result"] == "unsupported"}
    assert deviating(rows).keys() == expected - unsupported
    assert len(expected) > 2


@pytest.mark.slow
def test_a_probe_that_knows_one_agent_is_wrong_by_slot_wherever_the_other_has_a_login_or_none(
    tmp_path: Path,
) -> None:
    slot = contracts.load("slot")
    chosen = {one.id: one for one in scenarios(slot)[::8]}

    rows = run(tmp_path, "slot", follower("one-agent", tmp_path), *chosen)

    wrong = {
        id_
        for id_, one in chosen.items()
        if one.agent == "codex" and not expects_a_broken_cli(one, slot)
    }
    unsupported = {id_ for id_, row in rows.items() if row["result"] == "unsupported"}
    assert deviating(rows).keys() == wrong - unsupported
    assert len(wrong) > 5
