"""The JSON Schemas of the files that users write: editors check what the suite reads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it ships no types

from conformance.bundled import contracts_dir, data_root, fixtures_dir, scenarios_dir
from conformance.catalogue import contracts
from conformance.catalogue.agents import cli_states
from conformance.catalogue.catalogue import load_catalogue
from conformance.catalogue.json_schema import json_schema
from conformance.catalogue.schema import FamilyFile, ScenarioFile
from conformance.cli import cli, main
from conformance.cli.settings_file import read as read_settings
from conformance.errors import ConformanceError
from conformance.judge.known_failures import KnownFailures, write
from conformance.model.outcome import Finding, ScenarioResult
from conformance.strength.bank import bundled_bank, read_banks

ROOT = Path(__file__).resolve().parents[2]
#: The bundled files of each kind; the suite comes without known failures, settings, images and exports.
FILES = {
    "scenario": sorted(scenarios_dir().rglob("*.toml")),
    "layer": sorted((fixtures_dir() / "layers").glob("*.toml")),
    "state": sorted((fixtures_dir() / "cli").glob("*.toml")),
    "contract": sorted(contracts_dir().glob("*.toml")),
    "bank": sorted(bundled_bank().glob("*.toml")),
    "known-failures": [],
    "settings": [],
    "images": [],
    "export": [],
}
#: The page with an example of each kind, and a line of that example.
EXAMPLES = {
    "scenario": ("scenarios.md", 'summary = "A login kept under'),
    "contract": ("contracts.md", "[verdicts.ready]"),
    "bank": ("strength.md", "[wrong.any-agent]"),
    "known-failures": ("probes.md", "[known-failures]"),
    "settings": ("settings.md", 'probe = "python3 checks/smoke_probe.py"'),
    "images": ("many-images.md", "[images.claude-strict]"),
}

GOOD: dict[str, Any] = {
    "summary": "A login kept anywhere counts",
    "origin": "contract slot",
    "agent": "claude",
    "control": "claude/baseline-only",
    "expect": {"slot": "ready"},
}


@cache
def schema(kind: str = "scenario") -> dict[str, Any]:
    """Return the schema of a *kind* as the command prints it."""
    printed = json.loads(CliRunner().invoke(cli, ["schema", kind]).output)
    assert isinstance(printed, dict)
    return printed


def messages(document: dict[str, Any], kind: str = "scenario") -> list[str]:
    """Return what the schema has against *document*."""
    return [error.message for error in Draft7Validator(schema(kind)).iter_errors(document)]


def with_entry(table: Any) -> dict[str, Any]:
    return {**GOOD, "home": {"files": {"a{n}": table}}}


def tables(kind: str) -> dict[str, dict[str, Any]]:
    """Return the tables that a file of this *kind* may have, with the file itself."""
    return {"(file)": schema(kind), **schema(kind)["$defs"]}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every table of a schema, however deep it lies."""
    if isinstance(value, dict):
        yield value
    for inner in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from parts(inner)


@pytest.mark.parametrize("kind", FILES)
def test_the_copy_in_the_docs_is_what_the_command_prints(kind: str) -> None:
    copy = ROOT / "docs" / f"{kind}.schema.json"
    printed = CliRunner().invoke(cli, ["schema", kind]).output
    if os.environ.get("UPDATE_DOCS"):
        copy.write_text(printed, encoding="utf-8")
    assert copy.read_text(encoding="utf-8") == printed, (
        f"{copy.name} is out of date; write it with: UPDATE_DOCS=1 pytest {Path(__file__).name}"
    )


def test_every_copy_in_the_docs_is_of_a_kind() -> None:
    assert {
        file.name.removesuffix(".schema.json") for file in (ROOT / "docs").glob("*.json")
    } == FILES.keys()


def test_the_command_prints_the_schema_of_a_scenario_by_default() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "schema"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr, json.loads(done.stdout)) == (0, "", schema("scenario"))


def test_an_unknown_kind_is_one_line_that_names_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["schema", "scenarios"])
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert [kind for kind in FILES if f"'{kind}'" not in line] == []


@pytest.mark.parametrize("kind", FILES)
def test_it_is_a_valid_schema_of_the_draft_it_names(kind: str) -> None:
    assert schema(kind)["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema(kind))


@pytest.mark.parametrize("kind", FILES)
def test_nothing_in_it_is_lost_on_tools_that_know_draft_7(kind: str) -> None:
    found = list(parts(schema(kind)))
    assert [part for part in found if "prefixItems" in part] == []
    assert [part for part in found if "$ref" in part and len(part) > 1] == []
    # Python's end of a text is the letter Z to all others.
    assert [part for part in found if r"\Z" in str(part.get("pattern"))] == []


@pytest.mark.parametrize("kind", FILES)
def test_editors_have_something_to_say_about_every_key(kind: str) -> None:
    undescribed = [
        f"{name}.{key}"
        for name, table in tables(kind).items()
        for key, value in table["properties"].items()
        if not described(value)
    ]
    assert undescribed == []


def described(value: dict[str, Any]) -> bool:
    return "description" in value or "$ref" in value


@pytest.mark.parametrize("kind", FILES)
def test_every_table_is_described(kind: str) -> None:
    assert [name for name, table in tables(kind).items() if not table.get("description")] == []


def test_a_family_may_have_every_key_of_a_scenario() -> None:
    """The schema of a file is made from the family's keys."""
    one, family = (json_schema(shape, "")["properties"] for shape in (ScenarioFile, FamilyFile))
    for value in one.values():
        value.pop("default", None)  # a variant has none: what it leaves out, the family says
    assert {**one, "variants": family["variants"]} == family


def test_editors_can_complete_the_conditions_of_the_cli() -> None:
    known, others = schema()["$defs"]["CliTable"]["properties"]["state"]["anyOf"]
    assert sorted(known["enum"]) == sorted(cli_states())
    assert messages({**GOOD, "cli": {"state": "one-of-ones-own"}}) == []
    assert others == {"type": "string", "pattern": "^[a-z0-9-]+$"}


@pytest.mark.parametrize("kind", FILES)
def test_nothing_unknown_is_allowed_anywhere(kind: str) -> None:
    assert [
        name for name, table in tables(kind).items() if table["additionalProperties"] is not False
    ] == []


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        pytest.param(kind, file, id=f"{kind}-{file.parent.name}/{file.stem}")
        for kind, files in FILES.items()
        for file in files
    ],
)
def test_every_bundled_file_is_valid(kind: str, file: Path) -> None:
    assert messages(tomllib.loads(file.read_text(encoding="utf-8")), kind) == []


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_example_in_the_docs_is_valid(kind: str) -> None:
    page, line = EXAMPLES[kind]
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = [
        block
        for block in re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if line in block
    ]
    assert [messages(tomllib.loads(block), kind) for block in found] == [[] for _ in found] != []


def test_the_known_failures_that_a_run_writes_are_valid(tmp_path: Path) -> None:
    findings = (Finding(kind="timed-out", message="no answer within 15 s"),)
    result = ScenarioResult(
        id="a/b", agent="claude", expected=("ready",), result="deviates", findings=findings
    )
    write(tmp_path / "known.toml", [result], KnownFailures({}))

    document = tomllib.loads((tmp_path / "known.toml").read_text())
    assert document["known-failures"]
    assert messages(document, "known-failures") == []


def in_checkout(file: Path) -> Path:
    """Return where a bundled file lies in a checkout, also where the package is installed."""
    if contracts_dir() in file.parents:
        return Path("conformance", "contracts", file.name)
    return file.relative_to(data_root())


def test_editors_find_the_schema_of_every_file_of_the_checkout() -> None:
    """The settings of Taplo: each file has the schema of its kind, and no other."""
    rules = tomllib.loads((ROOT / ".taplo.toml").read_text())["rule"]
    found = {
        rule["schema"]["path"]: sorted(
            file.relative_to(ROOT) for pattern in rule["include"] for file in ROOT.glob(pattern)
        )
        for rule in rules
    }
    assert found == {
        f"docs/{kind}.schema.json": sorted(map(in_checkout, files))
        for kind, files in FILES.items()
        if files
    }


def test_a_file_that_uses_every_key_is_valid() -> None:
    files = {
        "text": "x",
        "all": {
            "text": "x",
            "mode": "0600",
            "owner": 0,
            "mtime": "{now-1d}",
            "size": "1 KiB",
            "depth": 3,
        },
        "json": {"json": {"a": [1, None]}},
        "hex": {"hex": "00"},
        "base64": {"base64": "AAAA"},
        "runs{n}": {"runs": [["[", 3], ["]", 3]], "count": 2},
        "link": {"symlink": "text"},
        "fifo": {"type": "fifo"},
        "size": {"size": 3},
    }
    document = {
        **GOOD,
        "control": {"slot": "claude/baseline-only"},
        "expect": {"slot": ["ready", "creds-invalid"]},
        "home": {"include": ["claude-baseline"], "files": files},
        "cli": {"state": "hangs"},
        "env": {"set": {"A": "x"}, "unset": ["B"]},
        "container": {"user": "10001:0", "home_owner": 2**32 - 2, "home_read_only": True},
    }
    assert messages(document) == []


BAD: dict[str, dict[str, Any]] = {
    "empty": {},
    "unknown-key": {**GOOD, "colour": "red"},
    "unknown-key-in-home": {**GOOD, "home": {"file": {}}},
    "unknown-key-in-cli": {**GOOD, "cli": {"status": "hangs"}},
    "unknown-key-in-env": {**GOOD, "env": {"HOME": "x"}},
    "unknown-key-in-entry": with_entry({"txt": "x"}),
    "summary-int": {**GOOD, "summary": 3},
    "summary-empty": {**GOOD, "summary": ""},
    "summary-blank": {**GOOD, "summary": " \n"},
    "origin-blank": {**GOOD, "origin": " "},
    "origin-list": {**GOOD, "origin": ["x"]},
    "agent-empty": {**GOOD, "agent": ""},
    "control-list": {**GOOD, "control": ["x"]},
    "control-empty": {**GOOD, "control": ""},
    "control-table-int": {**GOOD, "control": {"slot": 1}},
    "expect-empty": {**GOOD, "expect": {}},
    "expect-int": {**GOOD, "expect": {"slot": 0}},
    "expect-empty-list": {**GOOD, "expect": {"slot": []}},
    "expect-list-of-int": {**GOOD, "expect": {"slot": ["ready", 1]}},
    "home-text": {**GOOD, "home": "x"},
    "include-text": {**GOOD, "home": {"include": "claude-baseline"}},
    "files-list": {**GOOD, "home": {"files": []}},
    "file-int": with_entry(3),
    "text-list": with_entry({"text": ["x"]}),
    "mode-int": with_entry({"text": "", "mode": 384}),
    "type-file": with_entry({"type": "file"}),
    "link-empty": with_entry({"symlink": ""}),
    "size-bool": with_entry({"size": True}),
    "size-float": with_entry({"size": 1.5}),
    "count-none": with_entry({"text": "", "count": 0}),
    "count-many": with_entry({"text": "", "count": 100_001}),
    "depth-negative": with_entry({"text": "", "depth": -1}),
    "depth-many": with_entry({"text": "", "depth": 1_001}),
    "owner-negative": with_entry({"text": "", "owner": -1}),
    "owner-nobody": with_entry({"text": "", "owner": 2**32 - 1}),
    "runs-of-three": with_entry({"runs": [["x", 1, 2]]}),
    "runs-turned-round": with_entry({"runs": [[1, "x"]]}),
    "runs-negative": with_entry({"runs": [["x", -1]]}),
    "cli-unknown-state": {**GOOD, "cli": {"state": "Broken!"}},
    "env-set-int": {**GOOD, "env": {"set": {"A": 1}}},
    "env-unset-text": {**GOOD, "env": {"unset": "A"}},
    "container-empty": {**GOOD, "container": {}},
    "container-unknown-key": {**GOOD, "container": {"home-owner": 0}},
    "container-user-int": {**GOOD, "container": {"user": 10001}},
    "container-user-by-name": {**GOOD, "container": {"user": "agent"}},
    "container-user-octal": {**GOOD, "container": {"user": "010001"}},
    "container-home-owner-negative": {**GOOD, "container": {"home_owner": -1}},
    "container-home-owner-nobody": {**GOOD, "container": {"home_owner": 2**32 - 1}},
    "container-home-read-only-text": {**GOOD, "container": {"home_read_only": "yes"}},
    **{f"no-{key}": {name: value for name, value in GOOD.items() if name != key} for key in GOOD},
}


def test_the_document_the_bad_ones_start_from_is_valid() -> None:
    assert messages(GOOD) == []
    assert (
        messages(with_entry({"text": "", "count": 100_000, "depth": 1_000, "owner": 2**32 - 2}))
        == []
    )


@pytest.mark.parametrize("name", BAD)
def test_schema_and_suite_refuse_the_same_shapes(name: str, tmp_path: Path) -> None:
    assert messages(BAD[name]) != []
    (tmp_path / "case.toml").write_text(
        "".join(f"{key} = {toml(value)}\n" for key, value in BAD[name].items())
    )
    with pytest.raises(ConformanceError):
        load_catalogue([tmp_path])


def toml(value: Any) -> str:
    """Return *value* as TOML writes it inside a line."""
    if isinstance(value, dict):
        return (
            f"{{{', '.join(f'{json.dumps(key)} = {toml(inner)}' for key, inner in value.items())}}}"
        )
    return json.dumps(value)


VERDICT = {"code": 0, "meaning": "the slot may take tasks", "action": "accept"}
CONTRACT: dict[str, Any] = {
    "name": "acme",
    "version": "1",
    "summary": "Acme's own",
    "agents": ["claude"],
    "inputs": {"home": "HOME"},
    "verdicts": {"ready": VERDICT, "broken": {**VERDICT, "code": 1}},
}
LAYER: dict[str, Any] = {"summary": "What the vault writes", "files": {".claude/vault": "x"}}
WRONG: dict[str, Any] = {
    "vice": "It does wrong",
    "about": ["agent/claude-ready"],
    "command": "false",
}
BANK: dict[str, Any] = {"contract": "slot", "wrong": {"one": WRONG}}
KNOWN: dict[str, Any] = {"known-failures": {"a/b": "issue 12", "c/d": {"reason": "issue 13"}}}


STATE: dict[str, Any] = {
    "summary": "It says hello",
    "files": {"cli": {"mode": "0755", "text": "#!/bin/sh"}},
}


def read_state(file: Path) -> None:
    catalogue = file.parent / "catalogue"
    (catalogue / "states").mkdir(parents=True)
    file.rename(catalogue / "states" / "hello.toml")
    case = {**GOOD, "cli": {"state": "hello"}}
    (catalogue / "case.toml").write_text(
        "".join(f"{key} = {toml(value)}\n" for key, value in case.items())
    )
    load_catalogue([catalogue])


def read_layer(file: Path) -> None:
    catalogue = file.parent / "catalogue"
    (catalogue / "layers").mkdir(parents=True)
    file.rename(catalogue / "layers" / "vault.toml")
    case = {**GOOD, "home": {"include": ["vault"]}}
    (catalogue / "case.toml").write_text(
        "".join(f"{key} = {toml(value)}\n" for key, value in case.items())
    )
    load_catalogue([catalogue])


#: How the suite reads a file of each kind, and one that it takes.
READERS: dict[str, tuple[Callable[[Path], object], dict[str, Any]]] = {
    "scenario": (lambda file: load_catalogue([file.parent]), GOOD),
    "layer": (read_layer, LAYER),
    "state": (read_state, STATE),
    "contract": (lambda file: contracts.load(str(file)), CONTRACT),
    "bank": (
        lambda file: read_banks(file.parent, load_catalogue([scenarios_dir() / "agent"])),
        BANK,
    ),
    "known-failures": (lambda file: KnownFailures.read(str(file)), KNOWN),
    "settings": (read_settings, {"probe": "./probe", "env": {"A": "1"}, "workers": 2}),
}
#: A slip in a file of each kind, in the file's own table and in one below.
SLIPS = {
    "scenario-key": ("scenario", {**GOOD, "sumary": "x"}),
    "scenario-variant": ("scenario", {**GOOD, "variants": {"one": {"sumary": "x"}}}),
    "layer-key": ("layer", {**LAYER, "origin": "x"}),
    "layer-entry": ("layer", {**LAYER, "files": {"a": {"txt": "x"}}}),
    "layer-without-files": ("layer", {"summary": "x"}),
    "state-key": ("state", {**STATE, "wait": True}),
    "state-entry": ("state", {**STATE, "files": {"cli": {"txt": "x"}}}),
    "state-path": ("state", {**STATE, "path": []}),
    "state-like": ("state", {**STATE, "like": {"other": 1}}),
    "contract-key": ("contract", {**CONTRACT, "extend": "slot"}),
    "contract-without-verdicts": (
        "contract",
        {key: value for key, value in CONTRACT.items() if key != "verdicts"},
    ),
    "contract-code": ("contract", {**CONTRACT, "verdicts": {"ready": {**VERDICT, "code": 256}}}),
    "contract-verdict": (
        "contract",
        {**CONTRACT, "verdicts": {"ready": {**VERDICT, "label": "x"}}},
    ),
    "contract-variable": ("contract", {**CONTRACT, "inputs": {"home": "MY-HOME"}}),
    "contract-finding": (
        "contract",
        {**CONTRACT, "rules": {"one": {"text": "x", "findings": ["crash"]}}},
    ),
    "bank-key": ("bank", {**BANK, "bases": "slot.py"}),
    "bank-wrong": ("bank", {**BANK, "wrong": {"one": {**WRONG, "abuot": []}}}),
    "bank-edit": (
        "bank",
        {**BANK, "wrong": {"one": {**WRONG, "edits": [{"old": "x", "nwe": "y"}]}}},
    ),
    "bank-name": ("bank", {**BANK, "wrong": {"One": WRONG}}),
    "settings-key": ("settings", {"prob": "./probe"}),
    "settings-blank": ("settings", {"contract": " "}),
    "settings-isolation": ("settings", {"isolation": "none"}),
    "settings-workers": ("settings", {"workers": "many"}),
    "settings-variable": ("settings", {"env": {"A=B": "1"}}),
    "known-failures-key": ("known-failures", {"known_failures": {}}),
    "known-failures-blank": ("known-failures", {"known-failures": {"a/b": " "}}),
    "known-failures-entry": ("known-failures", {"known-failures": {"a/b": {"reasons": "x"}}}),
    "known-failures-finding": (
        "known-failures",
        {"known-failures": {"a/b": {"reason": "x", "findings": ["time-out"]}}},
    ),
}


@pytest.mark.parametrize("kind", READERS)
def test_the_files_that_slips_start_from_are_taken_by_the_schema_and_by_the_suite(
    kind: str, tmp_path: Path
) -> None:
    read, document = READERS[kind]
    assert messages(document, kind) == []
    read(written(tmp_path, document))


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_refused_by_the_schema_and_by_the_suite(slip: str, tmp_path: Path) -> None:
    kind, document = SLIPS[slip]
    assert messages(document, kind) != []
    read, _ = READERS[kind]
    with pytest.raises(ConformanceError):
        read(written(tmp_path, document))


def written(directory: Path, document: dict[str, Any]) -> Path:
    """Return the file in *directory* that holds *document* as TOML."""
    file = directory / "case.toml"
    file.write_text("".join(f"{key} = {toml(value)}\n" for key, value in document.items()))
    return file
