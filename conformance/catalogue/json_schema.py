"""The JSON Schemas of scenario, layer and contract files, for editors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from conformance.catalogue.cli_schema import CliFile
from conformance.catalogue.contract_schema import ContractFile
from conformance.catalogue.schema import FamilyFile, LayerFile, ScenarioFile

__all__ = ["contract_schema", "json_schema", "layer_schema", "scenario_schema", "state_schema"]


def json_schema(shape: type[Struct], title: str) -> dict[str, Any]:
    """Return the JSON Schema of the files that have this *shape*.

    It is draft 7: language servers for TOML do not know the tuples of later drafts.
    """
    _, components = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    root, *tables = sorted(components, key=lambda name: (name != shape.__name__, name))
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        # The keys are at the top, because editors do not follow a reference from there.
        **_draft_7(components[root]),
        "title": f"probe-conformance {title}",
        "$defs": {name: _draft_7(components[name]) for name in tables},
    }


def _draft_7(value: Any) -> Any:
    """Return *value*, a part of a schema of draft 2020-12, in the form of draft 7."""
    if isinstance(value, list):
        return [_draft_7(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _draft_7(inner) for key, inner in value.items()}
    if "prefixItems" in changed:
        changed["additionalItems"] = changed["items"]
        changed["items"] = changed.pop("prefixItems")
    if "$ref" in changed and len(changed) > 1:
        # Draft 7 ignores what is beside a reference.
        changed["allOf"] = [{"$ref": changed.pop("$ref")}]
    if isinstance(changed.get("pattern"), str):
        # The end of a text: \Z is a plain letter in the regular expressions of JSON Schema.
        changed["pattern"] = changed["pattern"].replace(r"\Z", "$")
    return changed


def scenario_schema(cli_states: Iterable[str]) -> dict[str, Any]:
    """Return the JSON Schema of a scenario file: of one scenario, or of a family.

    *cli_states* are the names of the states that an agent's CLI can be in.
    """
    one = json_schema(ScenarioFile, "scenario")
    family = json_schema(FamilyFile, "scenario")
    state = family["$defs"]["CliTable"]["properties"]["state"]
    del state["type"]
    # Editors complete the bundled ones, and take the names of others, which only the suite knows.
    state["anyOf"] = [{"enum": list(cli_states)}, {"type": "string", "pattern": "^[a-z0-9-]+$"}]
    # A family may have every key of a scenario, so its keys are all there are. Editors do not
    # complete a key that is only below "if".
    return {
        **family,
        "description": "One scenario, or a family of them, each a table below 'variants'.",
        "required": [],
        "if": {"required": family["required"]},
        "else": {"required": one["required"]},
    }


def layer_schema() -> dict[str, Any]:
    """Return the JSON Schema of a layer, which scenarios include."""
    return {
        **json_schema(LayerFile, "layer"),
        "anyOf": [{"required": ["files"]}, {"required": ["include"]}],
    }


def state_schema() -> dict[str, Any]:
    """Return the JSON Schema of a state that an agent's CLI can be in."""
    return json_schema(CliFile, "state of a CLI")


def contract_schema() -> dict[str, Any]:
    """Return the JSON Schema of a contract file."""
    return {
        **json_schema(ContractFile, "contract"),
        "if": {"required": ["extends"]},
        "else": {"required": ["name", "version", "summary", "agents", "verdicts", "inputs"]},
    }
