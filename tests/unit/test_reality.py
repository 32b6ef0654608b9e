"""The contract cli-status and the command reality, with made-up CLIs; ``tox -e reality`` asks the released ones."""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.cli import cli, reality
from conformance.compare.reality import disagree, reason_key, reasons
from conformance.images.packages import Package, machine, other_version, packages, unpack
from conformance.model.scenario import Scenario

IDS = [
    "claude/no-dot-claude",
    "claude/credentials-file",
    "expiry/expired-without-refresh",
    "codex/no-auth",
    "codex/api-key",
]
#: CLIs that look whether their file is there, and write where they stand.
SCRIPTS = {
    "claude": '#!/bin/sh\n[ "$*" = "auth status" ] || exit 9\ntouch ~/.claude.json left\n[ -e ~/.claude/.credentials.json ]\n',
    "codex": '#!/bin/sh\n[ "$*" = "login status" ] || exit 9\n[ -e "$HOME/.codex/auth.json" ]\n',
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def programs(directory: Path, scripts: dict[str, str]) -> Path:
    """Return a directory with programs."""
    place = directory / "programs"
    place.mkdir(parents=True)
    for name, text in scripts.items():
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    return place


def asked(
    directory: Path, scripts: dict[str, str], *arguments: str
) -> tuple[Result, list[dict[str, Any]]]:
    """Run the contract cli-status against made-up CLIs; return how that ended, and the rows of the report."""
    path = f"{programs(directory, scripts)}:/usr/bin:/bin"
    report = directory / "report.json"
    words = [
        "run",
        "--contract",
        "cli-status",
        "--env",
        f"PATH={path}",
        "-n",
        "0",
        "--json",
        str(report),
        *arguments,
    ]
    done = CliRunner().invoke(cli, words)
    return done, json.loads(report.read_text())["scenarios"] if report.exists() else []


def test_the_cli_itself_is_the_probe_and_may_write_into_its_home(tmp_path: Path) -> None:
    done, rows = asked(tmp_path, SCRIPTS, *IDS)

    assert {row["id"]: (row["code"], row["findings"]) for row in rows} == {
        "claude/no-dot-claude": (1, []),
        "claude/credentials-file": (0, []),
        "expiry/expired-without-refresh": (0, []),
        "codex/no-auth": (1, []),
        "codex/api-key": (0, []),
    }
    assert done.exit_code == 0
    assert "probe: the CLI itself\n" in done.output


def test_a_cli_that_says_otherwise_deviates(tmp_path: Path) -> None:
    done, rows = asked(tmp_path, {**SCRIPTS, "claude": "#!/bin/sh\nexit 7\n"}, *IDS[:2])

    assert [[finding["kind"] for finding in row["findings"]] for row in rows] == [
        ["outside-contract"]
    ] * 2
    assert done.exit_code == 1


def test_a_cli_that_is_not_there_is_no_probe(tmp_path: Path) -> None:
    done, rows = asked(tmp_path, {"claude": SCRIPTS["claude"]}, *IDS)

    assert (isinstance(done.exception, Exception), rows) == (True, [])
    assert "contract 'cli-status' asks the CLI itself, and there is no 'codex' on " in str(
        done.exception
    )


def released(
    directory: Path, monkeypatch: pytest.MonkeyPatch, scripts: dict[str, str]
) -> list[Package]:
    """Let the registry have made-up CLIs; return the list that fills with what is asked of it."""
    wanted: list[Package] = []

    def download(package: Package, place: Path) -> Path:
        wanted.append(package)
        cli = next(name for name in scripts if name in package.name)
        program = directory / package.program.replace("*", "x")
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(scripts[cli])
        program.chmod(0o755)
        archive = directory / f"{cli}.tgz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(program, package.program.replace("*", "x"))
        return archive

    monkeypatch.setattr(reality, "pinned", download)
    monkeypatch.setenv("XDG_CACHE_HOME", str(directory / "cache"))
    return wanted


def test_reality_shows_what_is_demanded_and_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = released(tmp_path, monkeypatch, SCRIPTS)

    done = CliRunner().invoke(
        cli, ["reality", *IDS, "-n", "2", "--json", str(tmp_path / "report.json")]
    )

    assert done.exit_code == 0, done.output
    assert [package.integrity != "" for package in wanted] == [True, True]
    assert re.search(
        r"expiry/expired-without-refresh +ready +creds-invalid +creds-invalid +ready \(0\) +disagrees",
        done.output,
    )
    assert re.search(
        r"claude/no-dot-claude +creds-missing +creds-missing +creds-missing +not ready \(1\)",
        done.output,
    )
    assert (
        f"  {reasons()['expiry/expired-without-refresh']}\n    expiry/expired-without-refresh\n"
        in done.output
    )
    assert "5 of 5 scenarios as on record, 1 disagree with slot-strict; " in done.output
    rows = {
        row["id"]: row for row in json.loads((tmp_path / "report.json").read_text())["scenarios"]
    }
    assert rows["codex/api-key"]["demands"] == {
        "slot": ["ready"],
        "slot-strict": ["ready"],
        "preflight": [],
    }
    assert rows["codex/api-key"]["on_record"] == ["ready"]


def test_another_release_that_has_changed_its_mind_is_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = released(tmp_path, monkeypatch, {**SCRIPTS, "codex": "#!/bin/sh\nexit 0\n"})

    done = CliRunner().invoke(cli, ["reality", *IDS, "--cli-version", "codex=9.9.9"])

    assert done.exit_code == 1
    assert {package.name: (package.release, package.integrity) for package in wanted}[
        "@openai/codex"
    ] == ("9.9.9", "")
    assert (
        "CHANGED ITS MIND codex/no-auth: on record is creds-missing; expected creds-missing (1), got ready (0)"
        in done.output
    )
    assert done.output.rstrip().endswith(" s")
    assert "codex 9.9.9: 4 of 5 scenarios as on record" in done.output


@pytest.mark.parametrize("words", ["gemini=1", "claude", "claude="])
def test_a_version_of_no_cli_is_refused(words: str) -> None:
    done = CliRunner().invoke(cli, ["reality", "--cli-version", words])

    assert str(done.exception) == f"'{words}' is no CLI=VERSION; the CLIs are claude, codex"


def test_other_versions_keep_what_the_registry_adds_to_them() -> None:
    codex = packages(machine())["codex"]

    other = other_version(codex, "0.170.0")

    assert (other.version, other.integrity) == (codex.version.replace(codex.release, "0.170.0"), "")
    assert codex.version.startswith(f"{codex.release}-")


def test_an_archive_without_the_program_is_one_line(tmp_path: Path) -> None:
    package = packages(machine())["claude"]
    with tarfile.open(tmp_path / "a.tgz", "w:gz"):
        pass

    with pytest.raises(
        Exception,
        match=f"{package.name} {package.version} holds no package/claude; try another version",
    ):
        unpack(tmp_path / "a.tgz", package, tmp_path / "x")


def test_every_disagreement_on_record_has_its_reason_and_every_reason_is_used(
    catalogue: Catalogue,
) -> None:
    strict, status = catalogue.contracts["slot-strict"], catalogue.contracts["cli-status"]
    known = reasons()

    def apart(scenario: Scenario) -> bool:
        said = frozenset(status.verdicts_of(min(scenario.codes(status))))
        return bool(scenario.expected(strict)) and disagree(said, scenario.expected(strict))

    keys = Counter(
        reason_key(scenario, strict, known)
        for scenario in catalogue.in_contract(status)
        if apart(scenario)
    )

    assert keys[""] == 0
    assert set(keys) == set(known)


def test_the_reasons_stand_on_their_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "field.md").read_text()

    assert [reason for reason in set(reasons().values()) if reason not in page] == []
