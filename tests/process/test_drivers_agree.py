"""The same probe as a command, as a callable, and in process: one answer, or the last says why it has none.

Twenty-three probes in three contracts take minutes, so a day's run tries a part of them, in a part of the scenarios.
With CONFORMANCE_WHOLE_BANK=1 it tries all.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from factories import bundled_catalogue
from support_cli import suite

from conformance.bundled import fixtures_dir
from conformance.catalogue import contracts
from conformance.strength.bank import WrongProbe, bundled_bank, read_banks

WHOLE = os.environ.get("CONFORMANCE_WHOLE_BANK") == "1"
TODAY = int(os.environ["CONFORMANCE_DAY"])
#: How many wrong probes of each contract are tried: twenty together.
WRONG = {"slot": 10, "slot-strict": 6, "preflight": 4}
#: A day tries one in so many scenarios. It has no factor in common with the turns of the probes: so each meets all.
SCENARIOS_A_DAY = 11
#: What a callable does without: in a probe of the bank, a call of the callable.
AS_A_SCRIPT = '\nif __name__ == "__main__":\n'
STRANGER = Path(__file__).parents[1] / "strangers" / "walk_open_json.py"
#: The least part of the scenarios that can be shown in process.
LEAST = 0.9

Rows = dict[str, dict[str, Any]]


@cache
def wrong_probes() -> list[WrongProbe]:
    """Return the wrong probes that are tried, from all over the bank."""
    chosen: list[WrongProbe] = []
    for bank in read_banks(bundled_bank(), bundled_catalogue()):
        count = WRONG.get(bank.contract.name, 0)
        # A vice in what only a script does is none of the callable.
        edited = [
            one
            for one in bank.wrong
            if one.repeat == 1 and one.sources and as_a_script(one) == as_a_script(bank.right)
        ]
        if count:
            chosen += edited[:: len(edited) // count][:count]
    return chosen


def as_a_script(probe: WrongProbe | None) -> dict[str, str]:
    """Return what the files of a probe do only where they are started as a program."""
    assert probe is not None
    return {file: text.partition(AS_A_SCRIPT)[2] for file, text in probe.sources.items()}


def some(contract: str) -> list[str]:
    """Return the ids of a day's part of the scenarios; none where all of them run."""
    part = bundled_catalogue().in_contract(contracts.load(contract))
    # A command and a callable wait for seconds where the CLI does.
    ids = [one.id for one in part if one.container is None and not one.waits]
    return [] if WHOLE else ids[TODAY % SCENARIOS_A_DAY :: SCENARIOS_A_DAY]


def rows(place: Path, contract: str, chosen: list[str], *words: str) -> Rows:
    """Run a probe; return the rows of its report by id."""
    report = place / "report.json"
    done = suite(
        place,
        "run",
        "-n",
        "2",
        "--contract",
        contract,
        "--json",
        str(report),
        *words,
        *chosen,
        timeout=600,
    )
    assert done.returncode in {0, 1}, done.stderr
    return {row["id"]: row for row in json.loads(report.read_text())["scenarios"]}


def verdict(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what counts of a row."""
    kinds = sorted((finding["kind"], finding["level"]) for finding in row["findings"])
    return row["result"], row["code"], row["signal"], kinds


def differences(ours: Rows, theirs: Rows, *, may_lack: bool = False) -> dict[str, tuple[Any, ...]]:
    """Return the rows in which two drivers disagree; one that *may lack* scenarios says why it does."""
    wrong = {}
    assert ours.keys() == theirs.keys()
    for id_, row in ours.items():
        other = theirs[id_]
        if may_lack and other["result"] == "unsupported" and other["reason"]:
            continue
        if verdict(row) != verdict(other):
            wrong[id_] = (verdict(row), verdict(other), other["reason"])
    return wrong


def supported(of: Rows) -> str:
    """Return how many scenarios were shown."""
    count = sum(row["result"] != "unsupported" for row in of.values())
    return f"{count} of {len(of)}"


def agree(place: Path, contract: str, file: Path) -> None:
    """Make sure that the three drivers agree on the callable called main, which is also what the *file* runs."""
    chosen = some(contract)
    command = rows(
        place, contract, chosen, "--probe", shlex.join([sys.executable, "-I", str(file)])
    )
    callable_ = rows(file.parent, contract, chosen, "--python", f"{file.stem}:main")
    in_process = rows(
        file.parent, contract, chosen, "--python", f"{file.stem}:main", "--in-process"
    )

    print(f"{contract}: {supported(in_process)} in process")
    assert differences(command, callable_) == {}
    assert differences(command, in_process, may_lack=True) == {}


@pytest.mark.slow
@pytest.mark.in_turn(5)
@pytest.mark.parametrize("contract", list(WRONG))
def test_the_reference_gets_the_same_results_from_each_driver(
    contract: str, tmp_path: Path
) -> None:
    reference = contracts.load(contract).reference
    for file in (fixtures_dir() / "probes").glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text())

    agree(tmp_path, contract, tmp_path / reference)


@pytest.mark.slow
@pytest.mark.in_turn(20)
@pytest.mark.parametrize("number", range(20))
def test_a_wrong_probe_gets_the_same_results_from_each_driver(number: int, tmp_path: Path) -> None:
    wrong = wrong_probes()[number]
    command = wrong.install(tmp_path / "probe")

    agree(tmp_path, wrong.contract, Path(command[-1]))


@pytest.mark.slow
def test_twenty_wrong_probes_can_be_tried() -> None:
    assert len({one.id for one in wrong_probes()}) == 20


@pytest.mark.slow
@pytest.mark.in_turn(5)
@pytest.mark.parametrize("contract", list(WRONG))
def test_most_scenarios_can_be_shown_in_process_to_a_probe_that_walks_opens_and_reads_json(
    contract: str, tmp_path: Path
) -> None:
    (tmp_path / STRANGER.name).write_text(STRANGER.read_text())
    words = ["--python", f"{STRANGER.stem}:{contract.replace('-', '_')}"]

    in_process = rows(tmp_path, contract, [], *words, "--in-process")

    print(f"{contract}: {supported(in_process)} in process")
    shown = [id_ for id_, row in in_process.items() if row["result"] != "unsupported"]
    assert len(shown) / len(in_process) >= LEAST
