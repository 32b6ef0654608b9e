"""The fault dictionary: the command that makes, renews and checks it, and whether the bundled one is true."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import bundled_catalogue
from msgspec.structs import replace
from support_cli import suite

from conformance.bundled import fixtures_dir
from conformance.judge.dictionary import Dictionary, read_dictionary
from conformance.model.placeholders import Context
from conformance.strength.bank import Bank, bundled_bank, read_banks
from conformance.strength.dictionary import made_from
from conformance.strength.worker import Batch, TrialContext, Worker

TODAY = int(os.environ["CONFORMANCE_DAY"])
WHERE = fixtures_dir() / "dictionary"
#: What renews the bundled one.
RENEW = "probe-conformance strength --write-dictionary fixtures/dictionary"
#: Seconds for the answers that a day asks for again, of all contracts together.
BUDGET = 5.0

CONTRACT = """\
name = "mini"
version = "1"
summary = "A login is a file"
agents = ["claude"]
verdicts.ready = { code = 0, meaning = "there is one", action = "accept" }
verdicts.none = { code = 65, meaning = "there is none", action = "slot-init" }
inputs = { home = "HOME", agent = "AGENT" }
rules.login = { expect = "ready", text = "There is a login" }
rules.no-login = { expect = "none", text = "There is no login" }
"""
SCENARIO = """\
summary = "{0}"
origin = "contract mini"
agent = "claude"
control = "{1}"
expect.mini = "{2}"
rules.mini = "{3}"
"""
PROBE = """\
import os, sys
sys.exit(0 if os.path.isfile(os.path.join(os.environ["HOME"], ".claude", "login")) else 65)
"""
BANK = """\
contract = "../mini.toml"
base = "mini.py"

[wrong.always-ready]
vice = "All is well"
about = ["case/none"]
edits = [{ old = "65", new = "0" }]

[wrong.any-entry]
vice = "A directory counts"
about = ["case/directory"]
edits = [{ old = "isfile", new = "exists" }]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a directory with a contract of three scenarios, and a bank of two wrong probes."""
    (tmp_path / "mini.toml").write_text(CONTRACT)
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "mini.toml").write_text(BANK)
    (tmp_path / "bank" / "mini.py").write_text(PROBE)
    cases = tmp_path / "cases" / "case"
    cases.mkdir(parents=True)
    login = 'home.files.".claude/login" = "{secret}"\n'
    (cases / "login.toml").write_text(
        SCENARIO.format("A login", "case/none", "ready", "login") + login
    )
    none = SCENARIO.format("None", "case/login", "none", "no-login")
    (cases / "none.toml").write_text(none)
    directory = 'home.files.".claude/login" = { kind = "directory" }\n'
    (cases / "directory.toml").write_text(none.replace("None", "No file") + directory)
    (tmp_path / "out").mkdir()
    return tmp_path


def strength(project: Path, *words: str) -> tuple[int, str, str]:
    """Run strength with the bank of the *project*; return its status and what it says."""
    done = suite(project, "strength", "--bank", "bank", "--scenarios", "cases", "-n", "0", *words)
    return done.returncode, done.stdout, done.stderr


def test_a_dictionary_is_written_renewed_and_checked(project: Path) -> None:
    file = project / "out" / "mini.json"

    status, said, wrong = strength(project, "--write-dictionary", "out")
    assert (status, wrong) == (0, ""), said
    assert "9 executions, 0 answers kept\n" in said
    assert said.endswith("out/mini.json: 2 vices in 3 scenarios\n")
    first = file.read_text()
    found = read_dictionary(file)
    assert found.scenarios == ("case/directory", "case/login", "case/none")
    assert found.vices == {
        "always-ready": {"wrong-verdict:0": (0, 2)},
        "any-entry": {"wrong-verdict:0": (0,)},
    }

    # Nothing has changed, so nothing is run; and a second run writes the same bytes.
    status, said, _ = strength(project, "--write-dictionary", "out")
    assert (status, file.read_text()) == (0, first)
    assert "0 executions, 6 answers kept\n" in said
    status, said, _ = strength(project, "--write-dictionary", "out", "--anew")
    assert (status, file.read_text()) == (0, first)
    assert "9 executions, 0 answers kept\n" in said

    # A new scenario is all that is run.
    case = project / "cases" / "case" / "none.toml"
    (case.parent / "empty.toml").write_text(
        case.read_text() + 'home.files.".claude" = { kind = "directory" }\n'
    )
    status, said, _ = strength(project, "--write-dictionary", "out")
    assert (status, len(read_dictionary(file).scenarios)) == (0, 4)
    assert "3 executions, 6 answers kept\n" in said


def test_a_wrong_entry_is_found_and_named(project: Path) -> None:
    strength(project, "--write-dictionary", "out")
    file = project / "out" / "mini.json"

    assert strength(project, "--check-dictionary", "out")[0] == 0

    file.write_text(
        file.read_text().replace('"wrong-verdict:0": [0]', '"wrong-verdict:65": [0, 1]')
    )
    status, said, _ = strength(project, "--check-dictionary", "out")

    assert status == 1
    assert "mini: vice any-entry in case/directory: wrong-verdict:0, not wrong-verdict:65\n" in said
    assert "mini: vice any-entry in case/login: conforms, not wrong-verdict:65\n" in said
    assert said.endswith("out/mini.json: 2 differences\n")


def test_nothing_is_written_where_the_right_probe_is_wrong(project: Path) -> None:
    probe = project / "bank" / "mini.py"
    probe.write_text(probe.read_text().replace('".claude", "login"', '".claude", "other"'))

    status, _, wrong = strength(project, "--write-dictionary", "out")

    assert status == 3
    assert wrong.startswith("probe-conformance: the right probe fails: mini/(base) in case/login")
    assert list((project / "out").iterdir()) == []


# The bundled one

#: In place of what the files say: contract to vices.
PLANTED: dict[str, dict[str, dict[str, tuple[int, ...]]]] = {}


def banks() -> Iterator[tuple[Bank, Dictionary]]:
    """Yield the bundled banks that have a dictionary, each with it."""
    for bank in read_banks(bundled_bank(), bundled_catalogue()):
        file = WHERE / f"{bank.contract.name}.json"
        if file.exists():
            found = read_dictionary(file)
            yield bank, replace(found, vices=PLANTED.get(found.contract, found.vices))


def test_the_bundled_dictionary_knows_every_vice_and_scenario_as_it_is() -> None:
    stale = []
    for bank, found in banks():
        then, now = found.made_from, made_from(bank, bundled_catalogue())
        if then["contract"] != now["contract"]:
            stale.append(f"contract {bank.contract.name}")
        not_judged = dict.fromkeys(then["not_judged"])
        for kind in ("scenarios", "vices"):
            names = {**now[kind], **then[kind]}.keys() - (not_judged if kind == "scenarios" else ())
            changed = sorted(name for name in names if now[kind].get(name) != then[kind].get(name))
            stale += [f"{bank.contract.name}: {name}" for name in changed]

    assert stale == [], f"the dictionary is of an earlier catalogue or bank: {RENEW}"


def sample(directory: Path, budget: float) -> Iterator[tuple[str, str, str]]:
    """Ask wrong probes anew, here and there, for so many seconds.

    Yield each with a scenario, and what is wrong with the dictionary; or nothing.
    """
    pick = random.Random(TODAY)
    catalogue = bundled_catalogue()
    known = list(banks())
    worker = Worker(
        TrialContext(
            scenarios=list(catalogue.scenarios.values()),
            contracts=catalogue.contracts,
            context=Context(now=time.time(), seed="sample"),
            directory=str(directory),
            probes=[probe for bank, _ in known for probe in bank.wrong],
        )
    )
    end = time.monotonic() + budget
    try:
        while known and time.monotonic() < end:
            bank, found = pick.choice(known)
            probe = pick.choice([one for one in bank.wrong if one.name not in found.unsteady])
            id_, said = picked(pick, found, probe.name)
            if catalogue.scenarios[id_].takes_long or said.startswith("timed-out"):
                continue  # it would wait for all of the time
            [answer] = worker.run_batch(Batch(pairs=((probe.id, id_),)))
            same = answer.signature == said
            yield probe.id, id_, "" if same else f"{answer.signature or 'conforms'}, not {said!r}"
    finally:
        worker.driver.close()


def picked(pick: random.Random, found: Dictionary, name: str) -> tuple[str, str]:
    """Return a scenario and what the wrong probe called *name* answers there, by the dictionary.

    Every second one is a scenario in which it deviates: there are fewer of these.
    """
    said = {place: answer for answer, places in found.vices[name].items() for place in places}
    among = list(said) if said and pick.random() < 0.5 else range(len(found.scenarios))
    place = pick.choice(list(among))
    return found.scenarios[place], said.get(place, "")


def test_a_sample_of_the_bundled_dictionary_is_true(tmp_path: Path) -> None:
    """Another sample each day; ``tox -e dictionary`` asks for all."""
    asked = list(sample(tmp_path, BUDGET))

    print(f"{len(asked)} answers asked for again")
    assert [one for one in asked if one[2]] == [], f"mend what is wrong, or: {RENEW} --anew"
    assert len(asked) > 5 or not any(banks())


def test_a_planted_entry_is_found_by_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a dictionary in which everything is wrong, any sample is."""
    for file in WHERE.glob("*.json"):
        found = read_dictionary(file)
        everywhere = {"wrong-verdict:99": tuple(range(len(found.scenarios)))}
        planted = dict.fromkeys(found.vices, everywhere)
        monkeypatch.setitem(PLANTED, found.contract, planted)

    asked = list(sample(tmp_path, 0.5))

    assert asked
    assert all("not 'wrong-verdict:99'" in wrong for _, _, wrong in asked)
