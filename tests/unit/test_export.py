"""What is exported of scenarios: archives that hold the home, and an index that says how it is used."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from factories import bundled_catalogue, clear, entry, scenario
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it ships no types
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.cli import cli, main
from conformance.drivers.layout import Surroundings, lay_out
from conformance.export.scenarios import exportable, planned, until
from conformance.export.writing import write_export
from conformance.home import build, snapshot
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry, Scenario
from conformance.specification import Case, case_of, decide

cleared = pytest.fixture(clear, autouse=True)

NOW = 1_900_000_000.0
CONTEXT = Context(now=NOW, seed="seed")
HOUR = 3600.0
#: All that archives can be made for.
JUDGING = {
    name: contract for name, contract in contracts.bundled().items() if not exportable(contract)
}
PARTS = 30


def under(one: Scenario) -> dict[str, Contract]:
    """Return the contracts that *one* is part of and that archives can be made for."""
    return {name: contract for name, contract in JUDGING.items() if one.expected(contract)}


EXPORTED = [one for one in bundled_catalogue().scenarios.values() if under(one)]


def exported(directory: Path, *ids: str, **options: Any) -> dict[str, Any]:
    """Export the scenarios with these *ids*; return the entries of the index by id."""
    catalogue = bundled_catalogue()
    chosen = [catalogue.get(id_) for id_ in ids]
    write_export(directory, chosen, [*JUDGING.values()], CONTEXT, left_out={}, **options)
    index = json.loads((directory / "index.json").read_text())
    assert [each["id"] for each in index["scenarios"]] == [*ids]
    return {each["id"]: each for each in index["scenarios"]}


def unpacked(export: Path, home: dict[str, Any], target: Path) -> Path:
    """Unpack a home as the page says; return *target*."""
    target.mkdir(parents=True)
    subprocess.run(["tar", "-xpzf", export / home["archive"], "-C", target], check=True)
    for each in home.get("sockets", ()):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.fspath(target / each["path"]))
        os.chmod(target / each["path"], int(each["mode"], 8))
    return target


@pytest.mark.in_turn(PARTS)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_home_that_is_unpacked_elsewhere_is_the_one_that_is_built(
    part: int, tmp_path: Path
) -> None:
    """Owners are no part of a snapshot, and only root can give files away."""
    here = [one for one in EXPORTED[part::PARTS] if os.geteuid() == 0 or not foreign(one)]
    entries = exported(tmp_path / "export", *(one.id for one in here))
    for number, one in enumerate(here):
        found = entries[one.id]
        home = Path(found["home"].get("at", tmp_path / f"unpacked-{number}"))
        judged = next(iter(found["contracts"]))
        around = Surroundings(home=os.fspath(home), opposite="/opposite", cli="/cli", path="/bin")
        layout = lay_out(one, JUDGING[judged], CONTEXT, around)
        built = tmp_path / f"built-{number}"
        build(layout.home, built)

        assert snapshot(unpacked(tmp_path / "export", found["home"], home)) == snapshot(built), (
            one.id
        )

    assert len(here) > 20


def foreign(one: Scenario) -> bool:
    owners = any(entry.owner is not None for entry in one.entries)
    return owners or (one.container is not None and one.container.home_owner is not None)


def test_the_owner_of_what_belongs_to_others_is_kept(tmp_path: Path) -> None:
    found = exported(tmp_path / "export", "claude-login/owner/file")["claude-login/owner/file"]
    listed = subprocess.run(
        ["tar", "--numeric-owner", "-tvzf", tmp_path / "export" / found["home"]["archive"]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert found["needs"]["root"] is True
    assert {line.split()[1] for line in listed} == {"0/0", "10000/10000"}


@pytest.mark.in_turn(6)
@pytest.mark.parametrize("name", ["slot", "slot-strict", "preflight"])
@pytest.mark.parametrize("part", range(2))
def test_until_then_a_contract_calls_for_what_the_index_says(name: str, part: int) -> None:
    contract = JUDGING[name]
    early, late = [], []
    for one in bundled_catalogue().in_contract(contract)[part::2]:
        end = until(one, NOW)
        # The specification allows for probes that look minutes later, and for a skew of their own.
        case = replace(case_of(one, contract, CONTEXT), later=0.0)
        case = replace(case, inputs={**case.inputs, "skew": case.inputs.get("skew") or "0"})

        def verdicts(moment: float, case: Case = case) -> set[str]:
            found = decide(replace(case, now=moment), contract)
            assert found is not None
            return {*found.verdicts}

        expected = {*one.expected(contract)}
        if verdicts(NOW + 1000 * 24 * HOUR if end is None else end - 1) != expected:
            early.append(one.id)
        if end is not None and verdicts(end + 20 * HOUR) != expected:
            late.append(one.id)

    assert early == []
    assert (late == []) == (name == "slot")  # which does not ask when a login expires


@pytest.mark.parametrize(
    ("text", "fields", "seconds"),
    [
        ("x", {}, None),
        ("{now} {now-8h}", {}, None),
        ("{now+8h}", {}, 7.5 * HOUR),
        ("{now+2d} {now+8h:rfc3339} {now+3h:jwt}", {}, 2.5 * HOUR),
        ("{now+200s}", {}, 100),  # no half hour is left
        ("{now+4h}", {"inputs": {"skew": "3600"}}, 2.5 * HOUR),
        ("{now+30m}", {"inputs": {"skew": "3600"}}, None),  # counts as over, and goes on to
        ("{now+4h}", {"inputs": {"skew": "soon"}}, 3.5 * HOUR),
        ("x", {"env": {"TOKEN": "{now+1h:jwt}"}}, HOUR / 2),
    ],
)
def test_a_scenario_holds_until_the_first_time_in_it_is_over(
    text: str, fields: dict[str, Any], seconds: float | None
) -> None:
    found = until(scenario(entry("login", text=text), **fields), NOW)
    assert found == (None if seconds is None else NOW + seconds)


@pytest.mark.parametrize(
    ("id_", "needs", "home"),
    [
        ("claude/nested-session", set(), set()),
        ("claude/credentials-file-unreadable", {"modes_bind"}, set()),
        ("claude-login/owner/file", {"root", "modes_bind"}, set()),
        ("container/root-owned-dot-claude", {"root", "modes_bind", "container"}, set()),
        ("environment/home-unset/claude", {"account_without_home"}, set()),
        ("claude/socket-only", set(), {"sockets"}),
        ("surroundings/home-name/blanks-claude", set(), {"name"}),
        ("cli/link/into-home", set(), {"at"}),
    ],
)
def test_what_a_scenario_needs_is_said(
    id_: str, needs: set[str], home: set[str], tmp_path: Path
) -> None:
    found = exported(tmp_path / "export", id_)[id_]

    assert {*found["needs"]} == needs
    assert {*found["home"]} == home | {"archive", "sha256"}


def test_what_lay_there_before_is_an_archive_as_well(tmp_path: Path) -> None:
    [id_] = [one.id for one in EXPORTED if one.earlier is not None][:1]
    found = exported(tmp_path / "export", id_)[id_]

    assert found["home"]["earlier"] == f"earlier/{id_}.tar.gz"
    assert (tmp_path / "export" / found["home"]["earlier"]).is_file()


def test_variables_are_those_of_a_run_once_the_directories_are_known() -> None:
    """A few of each group, under all their contracts."""
    known = {"home": "/h h", "opposite": "/o", "cli": "/c", "path": "/usr/bin:/bin"}
    different = {}
    for one in EXPORTED[::15]:
        entry_ = planned(one, under(one), CONTEXT, "/at").entry
        for name, contract in under(one).items():
            around = Surroundings(
                home=known["home"], opposite=known["opposite"], cli=known["cli"], path=known["path"]
            )
            real = lay_out(one, contract, CONTEXT, around).environment
            told = dict(entry_.contracts[name].environment)
            for word, place in known.items():
                told = {key: text.replace(f"{{{word}}}", place) for key, text in told.items()}
            if told != real:
                different[one.id] = (told, real)
    assert different == {}


def test_every_scenario_is_exported_or_left_out_with_its_reason(tmp_path: Path) -> None:
    """Without homes: what would be written is what counts."""
    catalogue = bundled_catalogue()
    gone = [one for one in catalogue.scenarios.values() if not under(one)]
    reasons = {
        exportable(contract)
        for one in gone
        for contract in catalogue.contracts.values()
        if one.expected(contract)
    }
    done = CliRunner().invoke(cli, ["export", os.fspath(tmp_path / "e"), "cli/missing"])

    assert done.exit_code == 0, done.output
    assert done.output.startswith("wrote 1 scenario to ")
    assert len(EXPORTED) + len(gone) == len(catalogue.scenarios)
    assert {name for name in catalogue.contracts if name not in JUDGING} == {
        "auth-init",
        "entrypoint",
        "gate",
    }
    assert len(reasons) == 3
    assert "" not in reasons


def test_the_index_is_what_its_schema_says_and_names_what_is_there(tmp_path: Path) -> None:
    exported(
        tmp_path,
        "claude/nested-session",
        "claude/socket-only",
        "cli/link/into-home",
        "environment/home-unset/claude",
    )
    index = json.loads((tmp_path / "index.json").read_text())
    schema = json.loads(CliRunner().invoke(cli, ["schema", "export"]).output)
    named = {
        archive
        for each in index["scenarios"]
        for judged in (each["home"], *each["contracts"].values())
        for archive in (judged.get("archive"), judged.get("cli"), judged.get("opposite"))
        if archive
    }

    assert list(Draft7Validator(schema).iter_errors(index)) == []
    assert named == {os.fspath(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.tar.gz")}
    # A line each, for programs that go line by line.
    text = (tmp_path / "index.json").read_text().splitlines()
    lines = [line for line in text if line.startswith('{"id"')]
    assert [json.loads(line.rstrip(",")) for line in lines] == index["scenarios"]


def test_the_same_time_and_seed_make_the_same_files(tmp_path: Path) -> None:
    ids = ("claude/nested-session", "cli/link/into-home", "preflight/agent-home-unset")
    for name in ("one", "two"):
        exported(tmp_path / name, *ids, at="/srv/homes")
    held = [
        {
            os.fspath(file.relative_to(place)): file.read_bytes()
            for file in place.rglob("*")
            if file.is_file()
        }
        for place in (tmp_path / "one", tmp_path / "two")
    ]
    assert held[0] == held[1]
    # The header of gzip has room for the time: two exports within a second have the same one there.
    archives = [data for name, data in held[0].items() if name.endswith(".gz")]
    assert {data[4:8] for data in archives} == {bytes(4)}
    assert len(held[0]) > 6
    assert b"/srv/homes/cli/link/into-home" in held[0]["index.json"]


def test_a_home_that_names_itself_is_made_for_one_place(tmp_path: Path) -> None:
    named = scenario(
        Entry(path=".claude", kind="directory"),
        entry(".claude/x", text="{home}/y"),
        expect={"slot": ("ready",)},
    )
    plan = planned(named, {"slot": JUDGING["slot"]}, CONTEXT, "/srv/here")

    assert plan.entry.home.at == "/srv/here"
    [file] = [node for node in plan.archives[plan.entry.home.archive] if node.kind == "file"]
    assert b"".join(file.chunks()) == b"/srv/here/y"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["full"], "full is not empty; name a directory that does not exist yet"),
        (
            ["full/there"],
            "full/there is not a directory; name one that does not exist yet",
        ),
        (
            ["new", "--contract", "gate"],
            "contract 'gate' asks a gate that lives on, in steps: no archive holds that; name another",
        ),
        (["new", "claude/nested"], "no scenario 'claude/nested'; did you mean …"),
        (
            ["new", "auth-init/*"],
            "'auth-init/*' names nothing that an archive can hold; see probe-conformance list",
        ),
        (
            ["new", "claude/nested-session", "--contract", "run-result"],
            "scenario 'claude/nested-session' is not part of contract 'run-result'; …",
        ),
        (
            ["new", "--now", "tomorrow"],
            "--now 'tomorrow' is no time; give epoch seconds, or a time with its zone such as 2031-05-04T12:00:00Z",
        ),
        (["new", "--now", "2031-05-04T12:00:00"], "--now '2031-05-04T12:00:00' is no time; …"),
        (["new", "--now", "99999999999999"], "--now '99999999999999' is no time; …"),
        (["new", "--seed", ""], "--seed is empty; give a text, or leave it out"),
        (["new", "--at", "homes"], "--at 'homes' is not absolute; write it like /srv/homes"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_changes_nothing(
    arguments: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "there").write_text("mine")

    with pytest.raises(SystemExit) as ended:
        main(["export", *arguments])
    [said] = capsys.readouterr().err.splitlines()

    assert ended.value.code == 2
    assert said.startswith(f"probe-conformance: {line.rstrip('…')}")
    assert [file.name for file in tmp_path.iterdir()] == ["full"]
    assert (tmp_path / "full" / "there").read_text() == "mine"
