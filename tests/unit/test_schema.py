"""The JSON Schema of a scenario file: what editors check must be what the suite reads."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from conformance.bundled import scenarios_dir
from conformance.catalogue import catalogue as catalog
from conformance.catalogue.schema import schema
from conformance.cli import cli
from conformance.errors import ConformanceError
from conformance.model.agent import CLI_STATES

COPY = Path(__file__).resolve().parents[2] / "docs" / "scenario.schema.json"
VALIDATOR = Draft202012Validator(schema())
SCENARIOS = sorted(scenarios_dir().rglob("*.toml"))

GOOD: dict[str, Any] = {
    "summary": "A login kept anywhere counts",
    "origin": "contract slot",
    "agent": "claude",
    "control": "claude/baseline-only",
    "expect": {"slot": "ready"},
}


def messages(document: dict[str, Any]) -> list[str]:
    """Return what the schema has against *document*."""
    return [error.message for error in VALIDATOR.iter_errors(document)]


def with_entry(table: Any) -> dict[str, Any]:
    return {**GOOD, "home": {"files": {"a{n}": table}}}


def test_the_copy_in_the_docs_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(cli, ["schema"]).output
    assert COPY.read_text(encoding="utf-8") == printed, (
        "docs/scenario.schema.json is not up to date; write it anew with: probe-conformance schema > docs/scenario.schema.json"
    )


def test_the_command_prints_the_schema_as_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "schema"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr, json.loads(done.stdout)) == (0, "", schema())


def test_it_is_a_valid_schema_of_the_draft_it_names() -> None:
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema())


def test_editors_have_something_to_say_about_every_key() -> None:
    tables = schema()["$defs"]
    assert {"ScenarioFile", "HomeTable", "CliTable", "EnvTable", "EntryTable", "ContainerTable"} <= tables.keys()
    undescribed = [
        f"{name}.{key}" for name, table in tables.items() for key, value in table["properties"].items() if not described(value)
    ]
    assert undescribed == []


def described(value: dict[str, Any]) -> bool:
    return "description" in value or "$ref" in value


def test_editors_can_complete_the_conditions_of_the_cli() -> None:
    assert sorted(schema()["$defs"]["CliTable"]["properties"]["state"]["enum"]) == sorted(CLI_STATES)


def test_nothing_unknown_is_allowed_anywhere() -> None:
    assert [name for name, table in schema()["$defs"].items() if table["additionalProperties"] is not False] == []


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.relative_to(scenarios_dir()).with_suffix("").as_posix())
def test_every_bundled_scenario_is_valid(file: Path) -> None:
    assert messages(tomllib.loads(file.read_text(encoding="utf-8"))) == []


def test_a_file_that_uses_every_key_is_valid() -> None:
    files = {
        "text": "x",
        "all": {"text": "x", "mode": "0600", "owner": 0, "mtime": "{now-1d}", "size": "1 KiB", "depth": 3},
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
    "cli-unknown-state": {**GOOD, "cli": {"state": "hang"}},
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
    assert messages(with_entry({"text": "", "count": 100_000, "depth": 1_000, "owner": 2**32 - 2})) == []


@pytest.mark.parametrize("name", BAD)
def test_schema_and_suite_refuse_the_same_shapes(name: str, tmp_path: Path) -> None:
    assert messages(BAD[name]) != []
    (tmp_path / "case.toml").write_text("".join(f"{key} = {toml(value)}\n" for key, value in BAD[name].items()))
    with pytest.raises(ConformanceError):
        catalog.load([tmp_path])


def toml(value: Any) -> str:
    """Return *value* as TOML writes it inside a line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)} = {toml(inner)}' for key, inner in value.items())}}}"
    return json.dumps(value)
