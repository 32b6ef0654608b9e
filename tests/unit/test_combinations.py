"""The causes named for wrong probes with several vices are those that were put in.

What such programs answer was recorded with ``tests/bench/causes.py --record tests/data``, which runs them for real;
that it still holds, tests/process/test_combinations_again.py sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from combinations import AND, Combinations, Trials, Verdict, alike
from factories import bundled_catalogue

from conformance.judge import causes
from conformance.judge.dictionary import (
    Dictionary,
    KnownVices,
    known_vices,
    read_dictionary,
    vice_texts,
)
from conformance.strength.bank import bundled_bank, read_banks

RECORDED = Path(__file__).parents[1] / "data" / "combinations-slot.json"


#: Contracts whose combinations were recorded, and the share of vices that may be hidden by others. More are hidden
#: where all that is wrong comes to the same exit code.
HIDDEN = {"slot": 0.1, "slot-strict": 0.1, "preflight": 0.12}


@pytest.fixture(scope="module")
def combinations() -> Combinations:
    banks = read_banks(bundled_bank(), bundled_catalogue())
    [bank] = [bank for bank in banks if bank.contract.name == "slot"]
    return Combinations(bank)


def combinations_of(contract: str) -> Dictionary:
    """Return what combinations of wrong probes of *contract* have answered."""
    return read_dictionary(RECORDED.with_name(f"combinations-{contract}.json"))


def known_of(contract: str) -> KnownVices:
    catalogue = bundled_catalogue()
    found = known_vices(catalogue.contracts[contract], catalogue.contracts)
    assert found is not None
    assert found.contract.name == contract, "it has a fault dictionary of its own"
    return found


@pytest.fixture(scope="module")
def ran() -> Dictionary:
    return combinations_of("slot")


@pytest.fixture(scope="module")
def known() -> KnownVices:
    return known_of("slot")


@pytest.fixture(scope="module", params=HIDDEN)
def verdicts(request: pytest.FixtureRequest) -> Iterator[list[Verdict]]:
    ran, known = combinations_of(request.param), known_of(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            causes, "vice_texts", cache(vice_texts)
        )  # read once, and not for each of them
        trials = Trials(known, ran, bundled_catalogue())
        yield [trials.verdict(name) for name in ran.vices]


def sizes(names: list[str]) -> dict[int, int]:
    found = [len(name.split(AND)) for name in names]
    return {size: found.count(size) for size in sorted({*found})}


def test_what_was_recorded_is_sixty_wrong_probes_at_least_in_pairs_and_in_threes(
    ran: Dictionary,
) -> None:
    for size, least in ((2, 30), (3, 20)):
        names = [name for name in ran.vices if len(name.split(AND)) == size]
        assert len(names) >= least
        assert len({vice for name in names for vice in name.split(AND)}) >= 60


@pytest.mark.parametrize("size", [2, 3])
def test_of_the_vices_put_in_nearly_all_are_named_and_few_others(
    verdicts: list[Verdict], size: int
) -> None:
    here = [verdict for verdict in verdicts if len(verdict.name.split(AND)) == size]
    found, missed = sum(len(v.found) for v in here), sum(len(v.missed) for v in here)
    right, wrong = sum(len(v.right) for v in here), sum(len(v.wrong) for v in here)

    assert found >= 0.95 * (found + missed)
    assert wrong <= 0.05 * (right + wrong)


def test_few_vices_are_hidden_by_others_or_known_by_what_they_are_like(
    verdicts: list[Verdict], request: pytest.FixtureRequest
) -> None:
    """Else the figures above would say little."""
    contract = request.node.callspec.params["verdicts"]
    put_in = [vice for verdict in verdicts for vice in verdict.name.split(AND)]
    by_name = {(v.name, cause.name) for v in verdicts for cause in v.right}

    assert sum(len(v.hidden) for v in verdicts) <= HIDDEN[contract] * len(put_in)
    assert len(by_name) >= 0.8 * len(put_in)


@pytest.mark.slow
def test_the_combinations_are_those_that_are_drawn(
    combinations: Combinations, ran: Dictionary
) -> None:
    drawn = combinations.draw({2: 10, 3: 5}, seed=16)
    names = [probe.name for probe in drawn.probes]

    assert sizes(names) == {2: 10, 3: 5}
    assert [probe.name for probe in combinations.draw({2: 10, 3: 5}, seed=16).probes] == names
    assert [probe.name for probe in combinations.draw({2: 10, 3: 5}, seed=17).probes] != names


def test_a_combination_has_the_edits_of_all(combinations: Combinations) -> None:
    probe = combinations.combined(["agent-trimmed", "codes-missing-is-1"])

    assert probe is not None
    [text] = probe.sources.values()
    assert '"WOVED_TASK_AGENT", "").strip()' in text
    assert "CREDS_MISSING, CREDS_INVALID = 0, 1, 64, 1, 66" in text


def test_edits_that_overlap_are_passed_over(combinations: Combinations) -> None:
    assert combinations.combined(["agent-trimmed", "agent-in-any-case"]) is None


def test_vices_that_no_scenario_tells_apart_are_counted(known: KnownVices) -> None:
    two: dict[str, tuple[int, ...]] = {"wrong-verdict:65": (0, 1)}
    dictionary = Dictionary(
        contract="slot",
        version="1",
        scenarios=("a", "b"),
        vices={
            "one": two,
            "other": dict(two),
            "third": {"wrong-verdict:66": (0, 1)},
            "none": {},
            "no": {},
        },
    )

    assert alike(dictionary) == [["one", "other"]]


# Probes of strangers, recorded once: whoever wrote them has to agree with what is named.


@pytest.fixture(scope="module")
def strangers(known: KnownVices) -> Trials:
    ran = read_dictionary(RECORDED.with_name("strangers-slot.json"))
    return Trials(known, ran, bundled_catalogue(), strict=False)


def test_the_pinned_name_of_the_first_codex_shell_probe_comes_first_with_all_its_scenarios(
    strangers: Trials,
) -> None:
    pinned, *others = strangers.causes("codex_shell_first")

    assert (pinned.kind, pinned.name) == ("vice", "slot/legacy-name-only")
    assert len(pinned.scenarios) >= 130
    assert pinned.fit > 0.9
    assert all(len(cause.scenarios) < 30 for cause in others)


def test_defects_of_the_first_codex_shell_probe_are_named_each_for_itself(
    strangers: Trials,
) -> None:
    """They are those that its file in tests/strangers lists; a run has no scenario about one of them, and none is made up."""
    named = {cause.name for cause in strangers.causes("codex_shell_first") if cause.kind == "vice"}

    assert named == {
        "slot/agent-unset-crashes",  # agent-required
        "slot/home-unset-crashes",  # home-required
        "slot/legacy-name-only",  # pinned-name
        "slot/cli-left-running",
        "slot/cli-hangs-crashes",  # timeout-uncaught
        "slot/cli-output-decoded",  # empty-output-crashes, output-decoded
        "slot/cli-not-executable-crashes",  # exec-errors-uncaught
        "slot/cli-not-loadable-crashes",
        "slot/claude-closed-crashes",  # permission-uncaught
        "slot/codex-unreadable-crashes",
        "slot/codex-not-utf8-crashes",  # not-utf8-uncaught
        "slot/codex-deep-crashes",  # recursion-uncaught
        "slot/codex-fifo-waited-for",  # fifo-waited-for
    }


@pytest.mark.parametrize(
    ("probe", "vice"),
    [
        ("shell-status-ignored", "slot/cli-only-found"),
        ("shell-one-name", "slot/claude-one-name-only"),
        ("shell-json-not-read", "slot/codex-readable-is-enough"),
        ("c-links-followed", "slot/claude-links-followed"),
        ("c-signals-passed-over", "slot/cli-killed-is-ready"),
        ("c-empty-files-skipped", "slot/claude-empty-files-skipped"),
    ],
)
def test_one_fault_in_a_probe_in_another_language_is_named_first(
    strangers: Trials, probe: str, vice: str
) -> None:
    assert strangers.causes(probe)[0].name == vice
