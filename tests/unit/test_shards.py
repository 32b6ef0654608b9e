"""Shards of a run: how a selection is cut, what a report says of it, and that the parts make the whole again."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from factories import bundled_catalogue, refusal, refusals, result, scenario
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.released import since
from conformance.catalogue.shards import Piece, cut, pieces
from conformance.compare.merge import CannotMerge, Part, merged, parse_part
from conformance.drivers.container.request import ImageRequest
from conformance.errors import CannotJudge, UsageError
from conformance.judge.known_failures import KnownFailure, KnownFailures
from conformance.judge.tally import RunReport
from conformance.model.contract import Contract
from conformance.model.outcome import Moved, Result, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.report.diagnosis import Asks, diagnose
from conformance.report.junit import junit
from conformance.report.page.head_view import head_view
from conformance.report.saved import parse_report
from conformance.report.terminal import Terminal
from conformance.report.view import verdict
from conformance.run.causes_in import add_causes
from conformance.run.request import Command, OwnProbe, RunRequest, check_now
from conformance.run.shards import ShardRequest, only_shard
from conformance.run.subject import Subject
from conformance.strength.bank import Bank, WrongProbe
from conformance.strength.shards import only_shard as only_wrong_probes

COUNTS = range(1, 8)
NOW = 1_700_000_000.25
SLOT = contracts.bundled()["slot"]
PROBE = {
    "kind": "command",
    "command": ["/bin/true"],
    "network": "cut",
    "capabilities": "dropped",
    "temporary_directories": "its own",
    "inherited": "",
}
#: What the scenarios of the catalogue took: python tests/durations.py made it.
DURATIONS = json.loads((Path(__file__).parents[1] / "data/durations.json").read_bytes())


# How a selection is cut


def some_pieces(number: int, seed: int) -> list[Piece]:
    draw = random.Random(seed)
    return [
        Piece(
            name=f"a/{n}",
            cost=draw.choice([0.0, 0.02, draw.random(), 10 * draw.random()]),
            waits=draw.random() < 0.2,
        )
        for n in range(number)
    ]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("number", [7, 8, 30, 100])
def test_each_piece_is_in_one_shard_and_none_is_empty(count: int, number: int) -> None:
    found = some_pieces(number, seed=count)

    shards = cut(found, count)

    assert sorted(name for shard in shards for name in shard) == sorted(p.name for p in found)
    assert len(shards) == count
    assert all(shards)
    order = [piece.name for piece in found]
    assert all(shard == sorted(shard, key=order.index) for shard in shards)


def test_a_cut_is_the_same_in_whatever_order_the_pieces_come() -> None:
    found = some_pieces(50, seed=1)
    other = random.Random(2).sample(found, len(found))

    assert [set(shard) for shard in cut(found, 4)] == [set(shard) for shard in cut(other, 4)]


def test_as_many_pieces_as_shards_are_one_each() -> None:
    """Also where some wait, and the others take no time that could be measured."""
    found = [Piece(name=f"a/{n}", cost=0.0, waits=n < 2) for n in range(5)]

    assert sorted(cut(found, 5)) == [["a/0"], ["a/1"], ["a/2"], ["a/3"], ["a/4"]]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("contract", DURATIONS)
def test_no_shard_takes_much_longer_than_the_others(contract: str, count: int) -> None:
    """All seconds together; and the time until a shard is done, in which those that wait run beside each other."""
    seconds = DURATIONS[contract]
    found = pieces(timed_scenarios(contract), seconds)
    by_name = {piece.name: piece for piece in found}

    shards = [[by_name[name] for name in shard] for shard in cut(found, count)]

    waiting = [sum(piece.waits for piece in shard) for shard in shards]
    assert max(waiting) - min(waiting) <= 1
    even = max(1.15, 1.01 * least_possible([piece.cost for piece in found], count))
    assert slowest([sum(piece.cost for piece in shard) for shard in shards]) <= even
    done = [done_after(shard) for shard in shards]
    assert slowest(done) <= 1.15 or max(done) == max(piece.cost for piece in found)


def slowest(times: Sequence[float]) -> float:
    """Return the longest of *times* as a multiple of the mean."""
    return max(times) / (sum(times) / len(times))


def done_after(shard: Iterable[Piece]) -> float:
    """Return how long a shard takes with one worker: its work, but no less than the longest wait."""
    shard = list(shard)
    work = sum(piece.cost for piece in shard if not piece.waits)
    return max(work, *(piece.cost for piece in shard), 0.0)


def least_possible(costs: Sequence[float], count: int) -> float:
    """Return a multiple of the mean that the slowest of so many shards cannot stay below, however they are cut.

    Of the longest pieces, one shard gets two as soon as there are more of them than shards, three where there are more
    than twice as many, and so on; at best the shortest of these.
    """
    longest = sorted(costs, reverse=True)
    bounds = [sum(longest[k * (count - 1) : k * count + 1]) for k in range(-(-len(costs) // count))]
    return max(bounds) / (sum(costs) / count)


@pytest.mark.parametrize(
    ("costs", "count", "least"),
    [
        ([1.0] * 8, 4, 1.0),
        ([10.0, 1.0, 1.0], 2, 10 / 6),  # one is longer than a shard should be
        ([10.0] * 9 + [1.0] * 10, 7, 20 / (100 / 7)),  # two of nine have to share
        ([10.0] * 15, 7, 30 / (150 / 7)),
    ],
)
def test_no_cut_is_better_than_its_longest_pieces_allow(
    costs: list[float], count: int, least: float
) -> None:
    assert least_possible(costs, count) == pytest.approx(least)


def test_of_slot_five_shards_can_be_even_and_eighteen_scenarios_wait() -> None:
    """So the test above is about something."""
    costs = list(DURATIONS["slot"].values())
    found = pieces(timed_scenarios("slot"), DURATIONS["slot"])

    assert all(least_possible(costs, count) <= 1.1 for count in range(1, 6))
    assert sum(piece.waits for piece in found) == 18


@cache
def timed_scenarios(contract: str) -> list[Scenario]:
    catalogue = bundled_catalogue()
    here = catalogue.in_contract(catalogue.contracts[contract])
    return [scenario for scenario in here if scenario.id in DURATIONS[contract]]


def test_without_durations_what_waits_is_spread_and_what_is_large_counts_more() -> None:
    large = scenario(id_="a/large", entries=timed_scenarios("slot")[0].entries)
    found = pieces([*timed_scenarios("slot"), large], {})
    costs = {piece.name: piece.cost for piece in found}

    assert costs["codex/large"] > costs["claude/ten-thousand-directories"] > costs["codex/api-key"]
    shards = cut(found, 7)
    waiting = {piece.name for piece in found if piece.waits}
    assert {len(waiting.intersection(shard)) for shard in shards} == {2, 3}


def test_a_scenario_that_was_never_timed_costs_as_much_as_others_of_its_kind() -> None:
    known = [scenario(id_=f"a/{n}") for n in range(3)]
    waits = [scenario(id_=f"w/{n}", waits=True) for n in range(3)]
    seconds = {"a/0": 0.2, "a/1": 0.4, "w/0": 10.0}

    costs = {piece.name: piece.cost for piece in pieces([*known, *waits], seconds)}

    assert costs["a/2"] == pytest.approx(0.3)
    assert costs["w/2"] == 10.0


# The parts make the whole again


def subject_of(contract: Contract, ids: Sequence[str] = (), **request: Any) -> Subject:
    """Return what a run is about: the scenarios *ids* of *contract*, by default all of them."""
    catalogue = bundled_catalogue()
    selected = [catalogue.scenarios[id_] for id_ in ids] or catalogue.in_contract(contract)
    asked = RunRequest(cwd="/", contract=contract.name, probe=Command("true"), **request)
    nothing = KnownFailures({})
    return Subject(asked, contract, catalogue, tuple(selected), nothing, ("/bin/true",))


def results_of(subject: Subject) -> dict[str, ScenarioResult]:
    """Return a result for each scenario, of each kind some."""
    draw = random.Random(len(subject.selected))
    kinds: list[Result] = ["deviates", "broke", "unsupported", "known-failure"]
    kinds += ["conforms"] * 25
    found = {}
    for number, one in enumerate(subject.selected):
        kind = kinds[number % len(kinds)]
        wrong = ("wrong-verdict",) if kind in ("deviates", "known-failure") else ()
        fields: dict[str, Any] = {
            "agent": one.agent,
            "expected": one.expected(subject.contract),
            "control": one.control_for(subject.contract),
            "code": None if kind in ("broke", "unsupported") else 0,
            "reason": "" if kind in ("conforms", "deviates") else "some reason",
            "seconds": round(draw.random(), 3),
            "stdout": "said\n",
        }
        found[one.id] = result(one.id, kind, *wrong, **fields)
    return found


def run_of(
    subject: Subject, results: dict[str, ScenarioResult], *, explained: bool = False
) -> RunReport:
    """Return the report of a run in which the scenarios of *subject* have these *results*."""
    known = {id_: KnownFailure("some reason") for id_ in ids_of(results, "known-failure")}
    report = RunReport(
        subject.contract, subject.selected, PROBE, NOW, KnownFailures(known, "known.toml")
    )
    report.shard = subject.shard
    report.since = partial(since, subject.contract, subject.selected)
    report.repeat = lambda id_: ["probe-conformance", "repro", id_]
    for one in subject.selected:
        report.add(results[one.id])
    if explained:
        asks = Asks(image=False, without_mode=lambda _: None, waiting=lambda _: None)
        scenarios = {one.id: one for one in subject.selected}
        hints = diagnose(report.results(), subject.contract, scenarios, asks)
        report.hints = [hint.text for hint in hints]
        add_causes(report, subject.catalogue.contracts, hints)
    return report


def ids_of(results: dict[str, ScenarioResult], kind: str) -> list[str]:
    return [id_ for id_, found in results.items() if found.result == kind]


def part(report: RunReport, file: str = "", **changed: Any) -> Part:
    """Return the shard in *report* as it is read from a file, with these members *changed*."""
    document = report.document() | changed
    assert report.shard is not None
    return parse_part(file or f"{report.shard.index}.json", json.dumps(document).encode())


def parts_of(subject: Subject, count: int, results: dict[str, ScenarioResult]) -> list[Part]:
    """Return all shards of a run."""
    wanted = [ShardRequest(index=n, count=count) for n in range(1, count + 1)]
    return [part(run_of(only_shard(subject, one), results)) for one in wanted]


def as_read(report: RunReport) -> dict[str, Any]:
    """Return what *report* says, but for what says that it was merged."""
    document: dict[str, Any] = json.loads(json.dumps(report.document()))
    del document["shard"], document["shards"]
    return document


@pytest.mark.in_turn(5)  # each takes seconds
@pytest.mark.parametrize("contract", contracts.bundled().values(), ids=lambda one: one.name)
def test_merged_shards_are_the_whole_run(contract: Contract) -> None:
    """For each number of shards: ids, verdicts, results, counts, causes, hints and all else."""
    subject = subject_of(contract)
    results = results_of(subject)
    whole = as_read(run_of(subject, results, explained=True))
    assert {"deviates", "broke", "known-failure"} <= {r.result for r in results.values()}

    for count in COUNTS:
        shards = parts_of(subject, count, results)
        random.Random(count).shuffle(shards)
        again = merged(shards, contract, subject.catalogue)

        assert as_read(again) == whole
        assert again.exit_status() == whole["exit_status"]
        assert [one.index for one in again.shards] == list(range(1, count + 1))


IDS = ("claude/baseline-only", "claude/credentials-file", "cli/hangs", "codex/api-key")


def two_parts(**changed: Any) -> tuple[Part, Part]:
    """Return two shards of one run; members of the second one's report are *changed*."""
    subject = subject_of(SLOT, IDS)
    results = results_of(subject)
    first, second = (only_shard(subject, ShardRequest(index=n, count=2)) for n in (1, 2))
    return part(run_of(first, results)), part(run_of(second, results), **changed)


def not_merged(*parts: Part) -> list[str]:
    """Return why these are not merged, a line each."""
    lines = refusals(CannotMerge, merged, parts, SLOT, bundled_catalogue())
    assert CannotMerge([]).exit_status == 3
    return lines


def other(shard: Part, **changed: Any) -> Part:
    """Return *shard* as if it had been cut in another way."""
    return replace(shard, shard=replace(shard.shard, **changed))


def test_a_shard_that_is_missing_or_there_twice_is_refused() -> None:
    first, second = two_parts()

    assert not_merged(second) == ["shard 1 of 2 is missing"]
    assert not_merged(first, replace(first, file="again.json")) == [
        "shard 1 of 2 is there twice: 1.json and again.json",
        "shard 2 of 2 is missing",
    ]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"count": 3}, "number of shards"),
        ({"selection": "x"}, "selection of scenarios"),
        ({"durations": "x"}, "durations"),
        ({"now": NOW}, "--now"),
        ({"seed": "x"}, "--seed"),
        ({"contract": "x"}, "contract"),
        ({"options": "x"}, "known failures or options"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_shard_that_was_cut_from_something_else_is_refused(
    changed: dict[str, Any], words: str
) -> None:
    first, second = two_parts()

    assert not_merged(first, other(second, **changed)) == [
        f"2.json is of another run: it has another {words} than 1.json",
        "shard 2 of 2 is missing",
    ]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"contract": {"name": "slot", "version": "2"}},
            "contract slot 2, and 1.json has slot 1",
        ),
        ({"as_of": "1"}, "contract slot as of version 1, and 1.json has slot 1"),
        (
            {"suite": {"name": "probe-conformance", "version": "9"}},
            "probe-conformance 9, and 1.json has 0.1.0",
        ),
    ],
)
def test_a_shard_about_another_contract_or_suite_is_refused(
    changed: dict[str, Any], words: str
) -> None:
    first, second = two_parts(**changed)

    assert not_merged(first, second)[0] == f"2.json is of another run: {words}"


def test_a_shard_of_another_probe_is_refused() -> None:
    first, second = two_parts()
    otherwise = two_parts(probe=PROBE | {"command": ["sh", "probe.sh"]})[1]

    assert not_merged(first, other(otherwise, probe="x"))[0] == (
        "2.json is of another run: probe sh probe.sh, and 1.json has /bin/true"
    )
    assert not_merged(first, other(second, probe="x"))[0] == (
        "2.json is of another run: probe; its files differ"
    )
    # The same project in another directory.
    report = merged([first, otherwise], SLOT, bundled_catalogue())
    assert report.probe["command"] == ["/bin/true"]


def test_a_shard_of_another_build_of_the_image_is_refused() -> None:
    image = {"kind": "image", "image": "slot:ci", "digest": "sha256:a"}
    image |= {"platform": "linux/amd64"}
    first, second = two_parts(probe=image | {"digest": "sha256:b"})
    report = first.report
    first = other(replace(first, report=replace(report, probe=image)), probe="")

    assert not_merged(first, other(second, probe=""))[0] == (
        "2.json is of another run: image sha256:b, and 1.json has sha256:a"
    )
    # One digest of a registry may stand for the images of several platforms.
    arm = image | {"platform": "linux/arm64"}
    second = two_parts(probe=arm)[1]
    assert not_merged(first, other(second, probe=""))[0] == (
        "2.json is of another run: platform linux/arm64, and 1.json has linux/amd64"
    )


def test_an_image_is_the_same_by_its_id_or_by_any_digest_of_a_registry() -> None:
    """As on several engines of one run: one may have pulled it, and another got a copy."""
    image: dict[str, Any] = {"kind": "image", "image": "slot:ci", "platform": "linux/amd64"}
    pulled = image | {"digest": "one/slot@sha256:1", "image_id": "sha256:i"}
    pulled |= {"repo_digests": ["one/slot@sha256:1", "two/slot@sha256:2"]}
    copied = image | {"digest": "sha256:i", "image_id": "sha256:i", "repo_digests": []}
    mirrored = image | {"digest": "two/slot@sha256:2", "image_id": "sha256:2"}
    mirrored |= {"repo_digests": ["two/slot@sha256:2"]}
    another = image | {"digest": "one/slot@sha256:3", "image_id": "sha256:j"}
    another |= {"repo_digests": ["one/slot@sha256:3"]}

    def parts(probe: dict[str, Any]) -> list[Part]:
        first, second = two_parts(probe=probe)
        first = replace(first, report=replace(first.report, probe=pulled))
        return [other(first, probe=""), other(second, probe="")]

    for same in (copied, mirrored):
        whole = merged(parts(same), SLOT, bundled_catalogue())
        assert (whole.probe["digest"], whole.probe["image_id"]) == ("one/slot@sha256:1", "sha256:i")
        assert whole.probe["repo_digests"] == ["one/slot@sha256:1", "two/slot@sha256:2"]
    assert not_merged(*parts(another))[0] == (
        "2.json is of another run: image one/slot@sha256:3, and 1.json has one/slot@sha256:1"
    )


def test_the_report_of_a_whole_run_is_no_shard() -> None:
    subject = subject_of(SLOT, IDS)
    whole = json.dumps(run_of(subject, results_of(subject)).document()).encode()
    again = merged(two_parts(), SLOT, subject.catalogue)

    assert refusal(CannotJudge, parse_part, "all.json", whole) == (
        "all.json is the report of a whole run, and no shard; leave it out"
    )
    text = json.dumps(again.document()).encode()
    assert refusal(CannotJudge, parse_part, "all.json", text) == (
        "all.json is merged already, and no shard; leave it out"
    )


def test_a_catalogue_that_is_another_than_that_of_the_shards_is_refused() -> None:
    first, second = two_parts()
    known = bundled_catalogue()
    less = {id_: one for id_, one in known.scenarios.items() if id_ != "codex/api-key"}
    altered = less | {"codex/api-key": replace(known.scenarios["codex/api-key"], env={"A": "b"})}

    lines = refusals(CannotMerge, merged, [first, second], SLOT, known.with_scenarios(less))
    assert lines == [
        "no scenario 'codex/api-key' here; name its directory with --scenarios, or its file"
    ]
    lines = refusals(CannotMerge, merged, [first, second], SLOT, known.with_scenarios(altered))
    [line] = lines
    assert line.startswith("codex/api-key is another scenario here than in ")


def test_a_contract_that_is_another_than_that_of_the_shards_is_refused() -> None:
    """Its name and version may be the same, and the report would say by which levels it was."""
    known = bundled_catalogue()
    shorter = replace(SLOT, limits=replace(SLOT.limits, seconds=1.0))
    here = Catalogue(known.scenarios, {**known.contracts, "slot": shorter})

    lines = refusals(CannotMerge, merged, two_parts(), shorter, here)

    assert lines == [
        "contract 'slot' is another one here than that of the shards; "
        "name the file that they were judged by with --contract"
    ]


def test_a_report_from_which_a_scenario_was_taken_is_refused() -> None:
    first, second = two_parts()
    rows = json.loads(second.text)["scenarios"]

    assert not_merged(first, two_parts(scenarios=rows[1:])[1]) == [
        "the shards were cut from 4 scenarios, and have others; merge the reports as they were written"
    ]


def test_what_was_left_out_or_interrupted_or_in_trouble_is_so_in_the_whole() -> None:
    rows = json.loads(two_parts()[1].text)["scenarios"]
    gone = rows[0]["id"]
    first, second = two_parts(
        left_out=[gone],
        scenarios=rows[1:],
        interrupted=True,
        trouble=["a file could not be collected"],
        seconds=9.5,
        now=NOW - 10,
        asked={"claude auth status": 2},
    )

    report = merged([first, second], SLOT, bundled_catalogue())

    assert report.left_out == {gone}
    assert [one.id for one in report.selected] == [id_ for id_ in IDS if id_ != gone]
    assert (report.interrupted, report.exit_status()) == (True, 130)
    assert report.trouble == ["a file could not be collected"]
    assert (report.seconds, report.now) == (9.5, NOW - 10)
    assert report.asked() == {"claude auth status": 2}


def test_what_isolated_the_probe_is_said_of_each_machine() -> None:
    first, second = two_parts(probe=PROBE | {"network": "open: no namespaces"})

    report = merged([first, second], SLOT, bundled_catalogue())

    assert report.probe["network"] == "cut; open: no namespaces"
    assert [one.probe["network"] for one in report.shards] == ["cut", "open: no namespaces"]


def test_shards_may_run_on_engines_of_their_own() -> None:
    """The merged report says which there were, and what became of one that was lost."""

    def options(*engines: str, platform: str = "") -> str:
        subject = subject_of(SLOT, IDS)
        image = ImageRequest(reference="slot:ci", engines=engines, platform=platform)
        asked = replace(subject, request=replace(subject.request, probe=image))
        shard = only_shard(asked, ShardRequest(index=1, count=2)).shard
        assert shard is not None
        return shard.options

    assert options() == options("ssh://a") == options("ssh://b", "ssh://c")
    assert options() != options(platform="linux/arm64")

    engines = [{"name": f"ssh://{name}", "engine": "docker 28"} for name in "abc"]
    image = {"kind": "image", "image": "slot:ci", "digest": "sha256:a"}
    subject = subject_of(SLOT, IDS)
    lost = Moved(engine="ssh://b", reason="gone")
    found = {id_: replace(one, engine="ssh://a") for id_, one in results_of(subject).items()}
    found = {id_: replace(one, moved=lost) for id_, one in found.items()}
    parts = parts_of(subject, 2, found)
    probes = [image | {"engines": engines[:2]}, image | {"engines": engines[1:]}]
    report = merged(
        [
            replace(one, report=replace(one.report, probe=probe))
            for one, probe in zip(parts, probes, strict=True)
        ],
        SLOT,
        subject.catalogue,
    )

    assert report.probe["engines"] == engines
    assert [(one.engine, set(one.scenarios)) for one in report.lost_engines()] == [
        ("ssh://b", set(IDS))
    ]


def image_parts(*, hint: str) -> list[Part]:
    """Return shards of an image that says the same in every scenario; the first of them knows why, or does not."""
    image = {"kind": "image", "image": "slot:ci", "digest": "sha256:a"}
    subject = subject_of(SLOT)
    subject = replace(subject, request=replace(subject.request, probe=OwnProbe()))
    same = {
        one.id: result(one.id, "conforms", expected=one.expected(SLOT), code=64)
        if "cli-broken" in one.expected(SLOT)
        else result(one.id, "deviates", "wrong-verdict", expected=one.expected(SLOT), code=64)
        for one in subject.selected
    }
    wanted = [ShardRequest(index=n, count=2) for n in (1, 2)]
    first, second = (run_of(only_shard(subject, one), same) for one in wanted)
    causes = [{"kind": "hint", "name": "", "text": hint, "scenarios": ["cli/healthy"]}]
    return [part(first, probe=image, causes=causes if hint else []), part(second, probe=image)]


def test_what_only_the_probe_could_tell_is_as_a_shard_has_it() -> None:
    """Without that nothing is said: what else might explain it may be wrong."""
    why = (
        "every scenario got exit code 64 (cli-broken), also with an AGENT_MODE that does not exist"
    )

    known = merged(image_parts(hint=why), SLOT, bundled_catalogue())
    unknown = merged(image_parts(hint=""), SLOT, bundled_catalogue())
    other = merged(image_parts(hint="every scenario got exit code 0"), SLOT, bundled_catalogue())

    assert (known.hints, unknown.hints, other.hints) == ([why], [], [])
    assert known.causes[0].kind == "hint"
    assert len(known.causes[0].scenarios) > 400


def test_every_report_of_a_shard_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like the whole is taken for it."""
    subject = only_shard(subject_of(SLOT, IDS), ShardRequest(index=2, count=2))
    report = run_of(subject, results_of(subject))
    whole = merged(two_parts(), SLOT, subject.catalogue)

    Terminal(sys.stdout, report, {}).start(3)
    Terminal(sys.stdout, whole, {}).start(0)
    first, last = [line for line in capsys.readouterr().out.splitlines() if "contract" in line]
    assert first.endswith("contract slot 1: 2 scenarios, 3 workers, shard 2 of 2")
    assert last.endswith("contract slot 1: 4 scenarios, merged from 2 shards")
    assert verdict(report).endswith(" (shard 2 of 2)")
    assert "(shard" not in verdict(whole)
    assert '<property name="shard" value="shard 2 of 2, 4 scenarios in all" />' in junit(report)
    assert 'name="shard"' not in junit(whole)
    saved = parse_report(json.dumps(report.document()), "2.json")
    assert head_view(saved).contract == "slot 1, shard 2 of 2"


# What a shard says it was cut from


def test_there_are_no_more_shards_than_scenarios() -> None:
    wanted = ShardRequest(index=1, count=5)

    assert refusal(UsageError, only_shard, subject_of(SLOT, IDS), wanted) == (
        "4 scenarios cannot be cut into 5 shards; give at most 4, or leave --shard out"
    )


def stamp(directory: Path, **changed: Any) -> str:
    """Return what stands for the probe ``sh probe.sh`` of a project in *directory*."""
    subject = subject_of(SLOT, IDS)
    request = replace(subject.request, cwd=str(directory))
    argv = changed.get("argv", ("/bin/sh", "probe.sh"))
    moved = replace(subject, request=request, argv=argv)
    shard = only_shard(moved, ShardRequest(index=1, count=2)).shard
    assert shard is not None
    return shard.probe


def test_a_probe_is_the_same_in_whatever_directory_and_another_with_another_text(
    tmp_path: Path,
) -> None:
    for name, text in (("a", "exit 0"), ("b", "exit 0"), ("c", "exit 1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "probe.sh").write_text(text)

    here = stamp(tmp_path / "a")

    assert here == stamp(tmp_path / "b")
    assert here == stamp(tmp_path / "b", argv=("/bin/sh", str(tmp_path / "b" / "probe.sh")))
    assert here != stamp(tmp_path / "c")
    assert here != stamp(tmp_path / "a", argv=("/bin/sh", "probe.sh", "-v"))


def test_what_decides_results_is_part_of_a_shard() -> None:
    """Known failures, strictness and repeats are no part of the selection, and change what comes of it."""

    def options(**changed: Any) -> str:
        subject = subject_of(SLOT, IDS, **changed)
        shard = only_shard(subject, ShardRequest(index=1, count=2)).shard
        assert shard is not None
        return shard.options

    subject = replace(
        subject_of(SLOT, IDS), known_failures=KnownFailures({"cli/hangs": KnownFailure("why")})
    )
    known = only_shard(subject, ShardRequest(index=1, count=2)).shard
    assert known is not None
    given = options(variables={"REGION": "eu"})
    assert len({options(), options(strict=True), options(repeat=2), known.options, given}) == 5
    assert options() == options(now=NOW, seed="x", keep="/tmp/x")
    # A report may be public, and somebody could find out what a short value is.
    assert given == options(variables={"REGION": "us"})


@pytest.mark.parametrize("seconds", [-3600, -700, 700, 10**9])
def test_a_now_that_is_far_from_the_clock_is_refused(seconds: float) -> None:
    """A probe that reads the clock would rightly take a login for expired."""
    line = refusal(UsageError, check_now, time.time() + seconds)

    when = "before" if seconds < 0 else "after"
    assert line.startswith(f"--now lies more than 10 minutes {when} the clock here")
    check_now(time.time() - 500)
    check_now(None)


# Wrong probes


def some_banks() -> list[Bank]:
    """Return banks of two contracts; each fifth wrong probe is about a scenario that waits."""
    banks = []
    for contract in ("slot", "preflight"):
        wrong = tuple(
            WrongProbe(
                name=f"wrong-{n}",
                contract=contract,
                vice="some vice",
                report="",
                about=("codex/api-key" if n % 5 else "cli/hangs",),
            )
            for n in range(35)
        )
        here = contracts.bundled()[contract]
        banks.append(Bank(file=f"{contract}.toml", contract=here, right=None, wrong=wrong))
    return banks


@pytest.mark.parametrize("count", [2, 7])
def test_shards_of_a_bank_have_each_wrong_probe_once(count: int, tmp_path: Path) -> None:
    catalogue, banks = bundled_catalogue(), some_banks()
    wrong = [probe.id for bank in banks for probe in bank.wrong]
    report = {"wrong_probes": [{"id": id_, "seconds": n % 7} for n, id_ in enumerate(wrong)]}
    (tmp_path / "strength.json").write_text(json.dumps(report))
    last = str(tmp_path / "strength.json")

    for durations in ("", last):
        wanted = [
            ShardRequest(index=n, count=count, durations=durations) for n in range(1, count + 1)
        ]
        cuts = [only_wrong_probes(banks, catalogue, one, seed="17") for one in wanted]

        found = [probe.id for chosen, _ in cuts for bank in chosen for probe in bank.wrong]
        assert sorted(found) == sorted(wrong)
        # Where nothing is known, no part is larger.
        sizes = {sum(len(bank.wrong) for bank in chosen) for chosen, _ in cuts}
        assert durations or max(sizes) - min(sizes) <= 1
        shards = [shard for _, shard in cuts]
        assert [shard.index for shard in shards] == list(range(1, count + 1))
        assert len({replace(shard, index=0) for shard in shards}) == 1
        assert (shards[0].scenarios, bool(shards[0].durations)) == (len(wrong), bool(durations))


def test_what_is_no_report_of_strength_gives_no_durations(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    catalogue, banks = bundled_catalogue(), some_banks()
    wanted = ShardRequest(index=1, count=2, durations=str(tmp_path / "run.json"))

    line = refusal(UsageError, only_wrong_probes, banks, catalogue, wanted)

    assert line.startswith(f"{tmp_path}/run.json is no report of strength: ")


def test_one_scenario_that_is_longer_than_a_shard_should_be_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No cut makes such shards equal, so nobody is to think that more of them help."""
    subject = subject_of(SLOT, IDS)
    found = results_of(subject)
    took = dict(zip(IDS, (2.0, 1.0, 6.0, 1.0), strict=True))
    timed = {id_: replace(one, result="conforms", seconds=took[id_]) for id_, one in found.items()}
    (tmp_path / "last.json").write_text(json.dumps(run_of(subject, timed).document()))

    def note(index: int, count: int, durations: str) -> str:
        wanted = ShardRequest(index=index, count=count, durations=durations)
        cut_ = only_shard(subject, wanted)
        assert cut_.shard is not None
        Terminal(sys.stdout, run_of(cut_, found), {}).start(0)
        said = capsys.readouterr().out
        assert (f"note: {cut_.shard.note}\n" in said) == bool(cut_.shard.note)
        return cut_.shard.note

    last = str(tmp_path / "last.json")
    assert (
        note(1, 3, last)
        == note(3, 3, last)
        == (
            "cli/hangs alone takes 6.0 s, and an equal part of everything 3.3 s: "
            "its shard takes longer than the others, and more than 2 shards gain little"
        )
    )
    assert note(1, 1, last) == ""
    assert note(1, 3, "") == "", "without durations nobody knows"


def test_durations_of_other_scenarios_are_refused(tmp_path: Path) -> None:
    """Each shard would be cut by nothing, and its report say that it was cut by durations."""
    subject = subject_of(SLOT, ["codex/api-key", "codex/blank"])
    report = run_of(subject, results_of(subject)).document()
    (tmp_path / "last.json").write_text(json.dumps(report))
    wanted = ShardRequest(index=1, count=2, durations=str(tmp_path / "last.json"))

    line = refusal(UsageError, only_shard, subject_of(SLOT, IDS[:2]), wanted)

    assert line == (
        f"{tmp_path}/last.json says of no scenario here how long it takes; "
        "name the report of a run that has them"
    )
