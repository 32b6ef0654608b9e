"""Homes nobody thought of: which ones are made, and what is kept of those in which a probe is wrong."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from factories import file, result
from factories import scenario as scenario_
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.catalogue.scenarios import read_scenarios
from conformance.catalogue.writing import as_read, scenario_text
from conformance.cli.outputs import check_directory, check_new_scenario
from conformance.discover import lane
from conformance.discover.draws import examples, made_by
from conformance.discover.faults import MOST_ALIKE, Fault, Faults, chosen
from conformance.discover.findings import CANDIDATES, Found, Sign, Tried
from conformance.discover.generation import BATCH, agents_of, batch
from conformance.discover.lane import LaneTask
from conformance.discover.report import Ending, document
from conformance.discover.search import Limits, search
from conformance.discover.trying import Attempt
from conformance.drivers import Unavailable
from conformance.errors import UsageError
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.reduce.fault import AgainstProbe
from conformance.run.assembly import Run, open_run
from conformance.run.request import Command, RunRequest
from conformance.run.subject import check
from conformance.specification import case_of, decide

CONTRACTS = contracts.bundled()
SLOT = CONTRACTS["slot"]
TIME = re.compile(r"\{now([-+])([0-9]+)([smhd])[:}]")


def told(scenario: Scenario) -> Scenario:
    """Return all that *scenario* says, without the names of files, of layers and of itself."""
    entries = tuple(sorted(map(as_read, scenario.entries), key=lambda entry: entry.path))
    return replace(scenario, id="", file="", layers={}, cli_file="", entries=entries)


def homes(seed: int, number: int, contract: Contract = SLOT) -> list[Scenario]:
    return list(batch(contract, agents_of(contract), seed, number))


@pytest.mark.slow
def test_the_same_seed_makes_the_same_homes_whatever_was_made_before() -> None:
    first = homes(3, 5)
    homes(3, 4)

    assert homes(3, 5) == first
    assert homes(4, 5) != first
    assert homes(3, 6) != first
    assert [scenario.id for scenario in first] == [f"home-{5 * BATCH + n}" for n in range(BATCH)]


@pytest.mark.slow
def test_most_homes_are_others() -> None:
    made = [
        replace(scenario, id="", file="") for number in range(5) for scenario in homes(1, number)
    ]

    assert len({msgspec.msgpack.encode(scenario) for scenario in made}) > 0.7 * len(made)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("slot", 30), ("slot-strict", 40), ("preflight", 13)])
def test_homes_come_to_most_rules(name: str, least: int) -> None:
    contract = CONTRACTS[name]
    context = Context(now=1_700_000_000, seed="")
    decisions = [
        decide(case_of(scenario, contract, context), contract)
        for number in range(12)
        for scenario in homes(2, number, contract)
    ]
    found = {decision.rule for decision in decisions if decision is not None}

    assert None not in decisions
    assert len(found) >= least


@pytest.mark.parametrize("name", ["slot", "preflight"])
def test_a_home_can_be_written_as_a_scenario_file(tmp_path: Path, name: str) -> None:
    contract = CONTRACTS[name]
    for made in homes(8, 0, contract):
        scenario = replace(
            made,
            summary="One",
            origin="here: that",
            expect={name: ("ready",)},
            control={"": "claude/baseline-only"},
        )

        file = tmp_path / "again.toml"
        file.write_text(scenario_text(scenario), encoding="utf-8")
        [again] = read_scenarios(file, tmp_path, CONTRACTS)

        assert told(again) == told(scenario)


@pytest.mark.slow
def test_no_login_is_near_a_line_that_time_draws() -> None:
    """A probe that looks a minute later finds the same as one that looks at once, whatever the skew."""
    contract = CONTRACTS["preflight"]
    made = [scenario for number in range(4) for scenario in homes(6, number, contract)]
    text = msgspec.json.encode(made).decode()
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    times = {
        int(n) * units[unit] * (1 if sign == "+" else -1)
        for sign, n, unit in set(TIME.findall(text))
    }
    skews = {
        float(one.inputs["skew"])
        for one in made
        if re.fullmatch("[-0-9.e]+", one.inputs.get("skew", ""))
    }

    assert len(times) > 5
    assert len(skews) > 3
    assert min(abs(time - line) for time in times for line in {0, 300, *skews}) > 100


def test_homes_are_made_for_known_agents_only() -> None:
    assert agents_of(SLOT) == ("claude", "codex")
    assert agents_of(SLOT, "codex") == ("codex",)
    with pytest.raises(UsageError, match="no homes can be made for gemini"):
        agents_of(SLOT, "gemini")


def test_the_number_of_examples_is_the_one_that_is_asked_for() -> None:
    assert len(examples(lambda draw: draw.below(10**6), 1, 30)) == 30


@given(made_by(lambda draw: [draw.weighted(((1, "a"), (3, "b"))) for _ in range(400)]))
@settings(max_examples=5, database=None)
def test_weights_say_how_often(options: list[str]) -> None:
    assert 60 < options.count("a") < 140


def found(
    number: int, rule: str = "r", kinds: tuple[str, ...] = ("wrong-verdict",), size: int = 0
) -> Found:
    scenario = scenario_(id_=f"home-{number}", summary="x" * size)
    return Found(
        number=number, scenario=scenario, sign=Sign(kinds, "exit code 0", rule), message=""
    )


@given(st.permutations([(n, n % 4) for n in range(12)]), st.integers(0, 12))
@settings(max_examples=30, database=None)
def test_what_is_kept_does_not_depend_on_who_reports_first(
    order: list[tuple[int, int]], middle: int
) -> None:
    parts = [Tried(), Tried()]
    for place, (number, size) in enumerate(order):
        parts[place >= middle].add_found(found(number, size=10 * size))
    whole = Tried()
    for part in parts:
        whole.add(part)

    [(_, kept)] = whole.signs().items()
    assert [one.number for one in kept] == [0, 4, 8][:CANDIDATES]


def test_an_answer_that_breaks_many_rules_is_reduced_a_few_times() -> None:
    tried = Tried()
    for number in range(10):
        tried.add_found(found(number, rule=f"r{number}"))
    tried.add_found(found(20, rule="r0", kinds=("leaked-secret",)))

    looked_into, alike = chosen(tried.signs())

    assert [sign.rule for sign in looked_into] == ["r0", "r1", "r2", "r0"]
    assert len(alike) == 10 - MOST_ALIKE


def test_a_search_ends_where_nothing_can_be_judged_any_more(tmp_path: Path) -> None:
    request = RunRequest(probe=Command("true"), cwd=str(tmp_path), contract="slot", patterns=())
    tried = Tried()
    with open_run(replace(check(request), selected=())) as run:
        run.driver.close()
        run.driver = Unavailable("the engine was lost")
        started = time.monotonic()
        limits = Limits(seconds=60)
        search(
            run,
            None,
            ("claude",),
            seed=1,
            limits=limits,
            workers=0,
            tried=tried,
            watch=lambda _: True,
        )

    assert sum(tried.broke.values()) >= 20
    assert time.monotonic() - started < 55


def test_time_counts_from_when_a_lane_has_its_first_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """To load what a worker needs takes a slow machine longer than some searches are to last."""
    run = SimpleNamespace(request=SimpleNamespace(image=None), end=lambda: None)
    trier = SimpleNamespace(
        run=run, contract=SLOT, try_home=lambda one: Attempt(scenario=one, wanted=None)
    )
    task = LaneTask(
        shared="", other="", agents=("codex",), seed=1, lane=0, lanes=1, homes=5, seconds=0.5
    )
    tried = Tried()

    def joined(*_: str) -> SimpleNamespace:
        time.sleep(0.6)
        return run

    def report(news: Tried) -> bool:
        tried.add(news)
        return True

    monkeypatch.setattr(lane, "join_run", joined)
    monkeypatch.setattr(lane, "Trier", lambda *_: trier)
    lane.run_joined(task, report)

    assert 0 < tried.homes == tried.undecided <= 5


def test_an_output_that_cannot_be_written_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_directory(tmp_path / "new" / "ones")
    check_new_scenario(tmp_path / "small.toml")
    monkeypatch.setattr("os.access", lambda *_: False)  # which root is never refused
    with pytest.raises(UsageError, match=f"{tmp_path} is closed to you"):
        check_directory(tmp_path / "new" / "ones")
    with pytest.raises(UsageError, match=f"{tmp_path} is closed to you"):
        check_new_scenario(tmp_path / "small.toml")


def test_where_both_probes_may_be_right_a_difference_is_gone() -> None:
    def answering(code: int) -> Run:
        def run(scenario: Scenario) -> ScenarioResult:
            return result(scenario.id, "deviates", "wrong-verdict", code=code)

        return cast(
            Run,
            SimpleNamespace(
                contract=SLOT, context=Context(now=0, seed=""), runner=SimpleNamespace(run=run)
            ),
        )

    def home(text: str) -> Scenario:
        return scenario_(file(".codex/auth.json", text), agent="codex")

    fault = AgainstProbe(answering(0), answering(66), home("{"))

    assert fault.same_case(home(""))
    assert not fault.same_case(home("NaN")), "parsers differ"
    assert AgainstProbe(answering(0), answering(66), home("NaN")).same_case(home("NaN"))


def test_a_report_says_what_was_tried_and_what_was_found() -> None:
    sign = Sign(("wrong-verdict",), "exit code 0", "codex-not-json")
    one = found(7)
    small = scenario_(
        agent="codex", expect={"slot": ("creds-invalid",)}, rules={"slot": ("codex-not-json",)}
    )
    fault = Fault(sign=sign, found=one, scenario=small, words="w", runs=9, complete=True)
    known = replace(fault, twin="codex/empty")
    tried = Tried(homes=12, rules={"codex-not-json": 5, "": 1}, open=2, broke={"lost": 1})
    ending = Ending(
        contract=SLOT, probe={"kind": "command"}, agents=("codex",), seed=4, seconds=1.23456,
        exit_status=1,
    )  # fmt: skip

    faults = Faults(faults=[fault, known], alike=[sign, sign], unsteady=[one], left=[one])
    made = document(tried, faults, ending)

    assert json.loads(json.dumps(made)) == made
    assert (made["homes"], made["open"], made["rules"]) == (12, 2, {"": 1, "codex-not-json": 5})
    assert (made["seed"], made["seconds"], made["broke"]) == (4, 1.235, {"lost": 1})
    first, second = made["found"]
    assert (first["file"], first["twin"]) == (small.file, "")
    assert (second["file"], second["twin"]) == ("", "codex/empty")
    assert (first["rule"], first["expected"]) == ("codex-not-json", ["creds-invalid"])
    assert made["alike"] == ["codex-not-json"]
    assert made["unsteady"] == made["left"] == [{"home": 7, "message": one.message}]
