"""Banks of wrong probes: how they are read, and what the bundled one holds."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from factories import bundled_catalogue, refusals

from conformance.bundled import fixtures_dir
from conformance.catalogue.catalogue import Catalogue
from conformance.errors import ManyErrors, UsageError
from conformance.strength.bank import Bank, bundled_bank, read_banks

#: How many wrong probes of each contract there are to be at least.
LEAST = {
    "slot": 60,
    "slot-strict": 30,
    "preflight": 20,
    "run-result": 60,
    "gate": 25,
    "entrypoint": 30,
    "auth-init": 50,
}
GOOD = """\
contract = "slot"
[wrong.one]
vice = "It does wrong"
about = ["agent/claude-ready", "agent/env-*"]
edits = [{ old = "READY, CRASHED, CLI_BROKEN, CREDS_MISSING, CREDS_INVALID = 0, 1, 64, 65, 66", new = "READY = 7" }]
"""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return bundled_catalogue()


@pytest.fixture(scope="module")
def bundled(catalogue: Catalogue) -> list[Bank]:
    return read_banks(bundled_bank(), catalogue)


def bank(directory: Path, text: str, catalogue: Catalogue) -> Bank:
    (directory / "bank.toml").write_text(text)
    [found] = read_banks(directory, catalogue)
    return found


def bank_refusals(directory: Path, text: str, catalogue: Catalogue) -> list[str]:
    """Return what is wrong with a bank, a line each, without the name of its file."""
    lines = refusals(ManyErrors, bank, directory, text, catalogue)
    return [line.removeprefix(f"{directory}/bank.toml: ") for line in lines]


def test_the_bundled_bank_holds_enough_wrong_probes_of_each_contract(bundled: list[Bank]) -> None:
    counts = {found.contract.name: len(found.wrong) for found in bundled}

    assert counts.keys() == LEAST.keys()
    assert {name: count for name, count in counts.items() if count < LEAST[name]} == {}


def test_every_vice_is_one_sentence_of_its_own(bundled: list[Bank]) -> None:
    for found in bundled:
        vices = Counter(probe.vice for probe in found.wrong)
        assert [vice for vice, times in vices.items() if times > 1] == []
        assert [
            vice
            for vice in vices
            if vice.endswith(".") or (vice[0].islower() and vice.split()[0].isalpha())
        ] == []


@pytest.mark.slow
def test_no_two_wrong_probes_are_the_same_program_and_all_can_be_compiled(
    bundled: list[Bank],
) -> None:
    for found in bundled:
        programs = Counter(tuple(sorted(probe.sources.items())) for probe in found.wrong)
        assert [times for times in programs.values() if times > 1] == []
        for probe in found.wrong:
            for name, text in probe.sources.items():
                if name.endswith(".py"):
                    compile(text, name, "exec")
                else:
                    checked = subprocess.run(["sh", "-n"], input=text, text=True, check=False)
                    assert checked.returncode == 0, probe.name


def test_an_edit_changes_one_text_of_the_reference_and_nothing_else(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    found = bank(tmp_path, GOOD, catalogue)

    [one] = found.wrong
    reference = (fixtures_dir() / "probes" / "slot.py").read_text()
    old = "READY, CRASHED, CLI_BROKEN, CREDS_MISSING, CREDS_INVALID = 0, 1, 64, 65, 66"
    assert one.sources == {"slot.py": reference.replace(old, "READY = 7")}
    assert found.right is not None
    assert found.right.sources == {"slot.py": reference}
    assert one.about[0] == "agent/claude-ready"
    assert set(one.about) >= {"agent/env-missing", "agent/env-empty", "agent/env-blank"}


def test_the_base_can_lie_beside_the_bank(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "mine.sh").write_text("#!/bin/sh\nexit 0\n")
    text = GOOD.replace('"slot"', '"slot"\nbase = "mine.sh"', 1).replace(
        GOOD[GOOD.index("old =") :], 'old = "0", new = "1" }]\n'
    )

    [one] = bank(tmp_path, text, catalogue).wrong

    command = one.install(tmp_path / "installed")
    assert command == (f"{tmp_path}/installed/mine.sh",)
    assert Path(command[0]).read_text() == "#!/bin/sh\nexit 1\n"
    assert Path(command[0]).stat().st_mode & 0o777 == 0o755


def test_a_wrong_probe_can_be_a_program_of_its_own(tmp_path: Path, catalogue: Catalogue) -> None:
    program = tmp_path / "wrong.sh"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    own, named = (
        GOOD.partition("edits")[0] + f'command = "{command}"\n'
        for command in ("./wrong.sh -x", "sh wrong.sh")
    )

    assert bank(tmp_path, own, catalogue).wrong[0].install(tmp_path / "x") == (str(program), "-x")
    assert bank(tmp_path, named, catalogue).wrong[0].install(tmp_path / "x")[1:] == (str(program),)
    assert bank(tmp_path, own, catalogue).right is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "0, 1, 64, 65, 66",
            "0, 1, 64, 65, 67",
            "wrong.one.edits.0.old: 'READY, CRASHED, CLI_BROKEN, CREDS_MISSING, CREDS_INVA",
        ),
        (
            'old = "READY, CRASHED',
            'old = "def ", new = "x" }, { old = "READY',
            "wrong.one.edits.0.old: 'def' occurs ",
        ),
        (
            'new = "READY = 7"',
            'new = "x", file = "x.py"',
            "wrong.one.edits.0.file: no file 'x.py'; known: slot.py",
        ),
        (
            '"agent/env-*"',
            '"agent/no-*"',
            "wrong.one.about: no scenario 'agent/no-*' in contract 'slot'; ",
        ),
        (
            '"agent/env-*"',
            '"preflight/skew-zero"',
            "wrong.one.about: scenario 'preflight/skew-zero' is not part of contract",
        ),
        (
            "edits =",
            'command = "true"\nedits =',
            "wrong.one: needs edits or a command, and not both",
        ),
        ("vice =", "colour = 1\nvice =", "wrong.one.colour: unknown key; allowed here: "),
        ('"slot"', '"slots"', "no contract 'slots'; bundled: "),
        ('"slot"', '"slot"\nbase = "nothing.py"', "base: no file 'nothing.py'; "),
        ('"slot"', '"slot"\nbase = "../slot.py"', "base: no file '../slot.py'; "),
        ('"slot"', '"cli-status"', "wrong.one.about: "),
    ],
)
def test_a_wrong_bank_is_reported_in_one_line(
    tmp_path: Path, catalogue: Catalogue, old: str, new: str, said: str
) -> None:
    assert old in GOOD

    [line] = bank_refusals(tmp_path, GOOD.replace(old, new, 1), catalogue)

    assert line.startswith(said)


def test_an_edit_that_changes_nothing_is_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    text = GOOD.partition("edits")[0] + 'edits = [{ old = "PASSING = {", new = "PASSING = {" }]\n'

    assert bank_refusals(tmp_path, text, catalogue) == ["wrong.one.edits.0: changes nothing"]


def test_a_command_that_is_not_there_is_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    text = GOOD.partition("edits")[0] + 'command = "./nothing"\n'

    assert bank_refusals(tmp_path, text, catalogue) == [
        "wrong.one.command: no program './nothing'; name one that can be executed, from this file on"
    ]


def test_a_directory_without_a_bank_is_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    for directory in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UsageError, match="no bank of wrong probes in "):
            read_banks(directory, catalogue)
