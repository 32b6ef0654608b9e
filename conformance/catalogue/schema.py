"""The shape of scenario, layer and contract files, from which their JSON Schemas are made as well."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from conformance.model.agent import HEALTHY
from conformance.model.outcome import FindingKind

__all__ = [
    "MAX_COUNT",
    "MAX_DEPTH",
    "MAX_LEVELS",
    "MAX_PATH",
    "MAX_SIZE",
    "USER",
    "VARIANT",
    "CliFile",
    "ContainerTable",
    "ContractFile",
    "EntryTable",
    "FamilyFile",
    "LayerFile",
    "ScenarioFile",
    "contract_schema",
    "json_schema",
    "layer_schema",
    "scenario_schema",
]

#: Limits of one entry, so that a slip of the finger cannot fill a disk.
MAX_COUNT = 100_000
MAX_DEPTH = 1_000
MAX_SIZE = 1024**3
#: Levels of a json value; what is to be deeper is written with runs.
MAX_LEVELS = 100
#: Longest path below a home, in bytes: with the path of the home itself it stays under PATH_MAX.
MAX_PATH = 3_000

#: A user, or a user and a group, by number; without leading zeros, which some would read as octal.
USER = "(0|[1-9][0-9]{0,9})(:(0|[1-9][0-9]{0,9}))?"

#: A variant, which is the last part of its scenario's id.
VARIANT = r"^[a-z0-9][a-z0-9.-]*$"

Text = Annotated[str, Meta(min_length=1)]
#: An action or a label: Managers write them on one line, with blanks between.
Word = Annotated[str, Meta(pattern=r"^\S+\Z")]
Sentence = Annotated[str, Meta(min_length=1, pattern=r"\S")]


class EntryTable(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One entry of the HOME. At most one of text, json, patch, hex, base64, runs, symlink and type."""

    text: Annotated[str | UnsetType, Meta(description="A file with this text; placeholders are replaced.")] = UNSET
    json: Annotated[Any, Meta(description="A file with this value as JSON; placeholders are replaced in its strings.")] = UNSET
    patch: Annotated[
        dict[str, Any] | UnsetType,
        Meta(description="What to change in the json of an included layer (RFC 7396); '{absent}' takes a member away."),
    ] = UNSET
    hex: Annotated[str | UnsetType, Meta(description="A file with these bytes, as hexadecimal digits.")] = UNSET
    base64: Annotated[str | UnsetType, Meta(description="A file with these bytes, as base64.")] = UNSET
    runs: Annotated[
        list[tuple[str, Annotated[int, Meta(ge=0)]]] | UnsetType,
        Meta(description="A file made of texts, each written so many times: [['[', 100000], [']', 100000]]."),
    ] = UNSET
    symlink: Annotated[
        Text | UnsetType,
        Meta(description="A symbolic link to this target: relative, or absolute with {home}; it may dangle or loop."),
    ] = UNSET
    type: Annotated[Literal["directory", "fifo", "socket"] | UnsetType, Meta(description="An entry without content.")] = UNSET
    size: Annotated[
        int | str | UnsetType, Meta(description="Pad the file with blanks to this size: bytes, or text such as '20 MiB'.")
    ] = UNSET
    mode: Annotated[
        str | UnsetType, Meta(description="Permission bits in octal, such as '0600' (files by default) or '0700' (directories).")
    ] = UNSET
    owner: Annotated[
        Annotated[int, Meta(ge=0, le=2**32 - 2)] | UnsetType, Meta(description="Numeric owner; building it needs root.")
    ] = UNSET
    mtime: Annotated[str | UnsetType, Meta(description="Time of last change, such as '{now-30d}'.")] = UNSET
    count: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_COUNT)] | UnsetType,
        Meta(description="Repeat the entry so many times; {n} in its path is the number, from 1."),
    ] = UNSET
    depth: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_DEPTH)] | UnsetType,
        Meta(description="Put so many directories named 'd' between the directory and the name."),
    ] = UNSET


Files = dict[str, str | EntryTable]


class HomeTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The HOME before the probe starts."""

    include: Annotated[list[str], Meta(description="Layers from fixtures/layers, applied in order; entries here win.")] = []
    files: Annotated[Files, Meta(description="Path below the HOME to its content: a text, or a table.")] = {}


class CliTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The agent's CLI as the probe finds it on PATH."""

    state: Annotated[str, Meta(description="The condition the CLI is in.")] = HEALTHY


class EnvTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Changes to the environment the contract gives the probe."""

    set: Annotated[dict[str, str], Meta(description="Variables to set; placeholders are replaced.")] = {}
    unset: Annotated[list[str], Meta(description="Variables to take away.")] = []


class ContainerTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What the scenario asks of the container around its HOME; no local run can give it."""

    user: Annotated[
        str | UnsetType,
        Meta(
            description="Numeric user, as '10001' or '10001:0' with a group, that the image is run as; its own by default.",
            extra_json_schema={"pattern": f"^{USER}$"},
        ),
    ] = UNSET
    home_owner: Annotated[
        Annotated[int, Meta(ge=0, le=2**32 - 2)] | UnsetType,
        Meta(description="Numeric owner of the HOME and of what is in it, but for entries with an owner; by default the user."),
    ] = UNSET
    home_read_only: Annotated[bool, Meta(description="Whether the HOME is a mount that nobody can write to.")] = False


Control = Annotated[
    Text | dict[str, Text],
    Meta(description="Id of the nearest scenario with another verdict; a table of contract to id where they differ."),
]
Expect = Annotated[
    dict[str, Text | Annotated[list[Text], Meta(min_length=1)]],
    Meta(
        min_length=1,
        description="Contract to the verdict that conforms, or to a list where the contract leaves a point open.",
    ),
]
Rules = Annotated[
    dict[str, Text | Annotated[list[Text], Meta(min_length=1)]],
    Meta(description="Contract to the short name of the rule the case is about, or to a list of them."),
]
Summary = Annotated[Sentence, Meta(description="The rule this case is about, in one sentence.")]
Origin = Annotated[Sentence, Meta(description="Why the case exists: a report, an issue, a rule of a contract.")]
Agent = Annotated[Text, Meta(description="The coding agent whose slot it is: claude or codex.")]
Container = Annotated[
    ContainerTable | UnsetType,
    Meta(
        description="What only a container can show; a scenario without it can be run anywhere.",
        extra_json_schema={"minProperties": 1},
    ),
]


class ScenarioFile(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One scenario: one fault, one file. Its id is its path below the scenario directory, without the ending."""

    summary: Summary
    origin: Origin
    agent: Agent
    control: Control
    expect: Expect
    rules: Rules = {}
    home: HomeTable = field(default_factory=HomeTable)
    cli: CliTable = field(default_factory=CliTable)
    env: EnvTable = field(default_factory=EnvTable)
    container: Container = UNSET


class VariantTable(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What one scenario of a family has of its own. Tables are merged with the family's; all else takes its place."""

    summary: Summary | UnsetType = UNSET
    origin: Origin | UnsetType = UNSET
    agent: Agent | UnsetType = UNSET
    control: Control | UnsetType = UNSET
    expect: Expect | UnsetType = UNSET
    rules: Rules | UnsetType = UNSET
    home: HomeTable | UnsetType = UNSET
    cli: CliTable | UnsetType = UNSET
    env: EnvTable | UnsetType = UNSET
    container: Container = UNSET


class FamilyFile(VariantTable):
    """Scenarios that differ in little: what they share, and for each its variant. An id is the file's, '/', the variant's."""

    variants: Annotated[
        dict[Annotated[str, Meta(pattern=VARIANT)], VariantTable],
        Meta(min_length=1, description="Name to what the scenario of that name has of its own."),
    ]


class LayerFile(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a HOME that several scenarios share. Its name is that of the file, without the ending."""

    summary: Annotated[Text, Meta(description="What this part of a HOME is, in one sentence.")]
    files: Annotated[Files, Meta(description="Path below the HOME to its content: a text, or a table.")]


class CliFile(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One condition that an agent's CLI can be in; its name is that of the file."""

    summary: Annotated[Text, Meta(description="What the CLI is like, in one sentence.")]
    files: Annotated[Files, Meta(description="The stub: 'cli' stands for the program, other paths lie beside it.")]
    waits: Annotated[bool, Meta(description="Whether a right probe may have nothing to do but wait.")] = False
    alone: Annotated[bool, Meta(description="Whether no other agent's CLI lies beside it.")] = False


class VerdictTable(Struct, forbid_unknown_fields=True):
    """What one answer means."""

    code: Annotated[int, Meta(ge=0, le=255, description="The exit code that says it.")]
    meaning: Annotated[Text, Meta(description="What is so when the probe says it.")]
    action: Annotated[Word, Meta(description="What the Manager does then, in one word.")]
    labels: Annotated[list[Word], Meta(description="What the Manager labels its action with.")] = []


class InputsTable(Struct, forbid_unknown_fields=True):
    """Names of the environment variables that carry the inputs."""

    home: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z",
            description="The variable with the path of the HOME that the probe looks at.",
        ),
    ]
    agent: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?\Z",
            description="The variable with the name of the agent; none by default.",
        ),
    ] = ""
    opposite_home: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?\Z",
            description="A variable the probe must not follow: its HOME calls for the other answer.",
        ),
    ] = ""


class LimitsTable(Struct, forbid_unknown_fields=True):
    """What a probe may use up; the stub of a CLI that hangs does so for longer than any limit."""

    seconds: Annotated[float, Meta(gt=0, le=100, description="The time until the probe has to have answered.")] = 15.0


class RuleTable(Struct, forbid_unknown_fields=True, kw_only=True):
    """One sentence of the contract, with the verdicts or the findings that belong to it."""

    text: Annotated[Sentence, Meta(description="The rule, in one sentence.")]
    expect: Annotated[
        Text | Annotated[list[Text], Meta(min_length=1)] | UnsetType,
        Meta(description="The verdict it calls for, or a list where it leaves the point open."),
    ] = UNSET
    findings: Annotated[
        Annotated[list[FindingKind], Meta(min_length=1)] | UnsetType,
        Meta(description="What breaking it is called, for a rule that holds in every scenario."),
    ] = UNSET


class ContractFile(Struct, forbid_unknown_fields=True, kw_only=True):
    """One contract. What a contract that extends another leaves out, it takes from there."""

    name: Annotated[
        str,
        Meta(pattern=r"^[a-z][a-z0-9-]*\Z", description="What scenarios and reports call it."),
    ]
    version: Annotated[Text, Meta(description="The version, which stands in reports.")]
    summary: Annotated[Text, Meta(description="What it is for, in one sentence.")]
    extends: Annotated[str, Meta(description="The bundled contract that gives all that is not said here.")] = ""
    agents: Annotated[
        Annotated[list[Text], Meta(min_length=1)] | UnsetType,
        Meta(description="The coding agents it speaks of; their scenarios are part of it."),
    ] = UNSET
    verdicts: Annotated[
        dict[str, VerdictTable] | UnsetType,
        Meta(description="Name of a verdict to its exit code, and to what that means."),
    ] = UNSET
    otherwise: Annotated[
        Word | Annotated[list[Word], Meta(min_length=1)] | UnsetType,
        Meta(description="What the Manager does with every other code: 'retry' by default."),
    ] = UNSET
    inputs: InputsTable | UnsetType = UNSET
    limits: LimitsTable | UnsetType = UNSET
    allowed_writes: Annotated[
        list[Text] | UnsetType,
        Meta(description="Paths the CLI may add to the HOME; '**' stands for any path."),
    ] = UNSET
    entrypoint_writes: Annotated[
        list[Text] | UnsetType,
        Meta(description="Paths that an image's entrypoint may add to the HOME, or replace there."),
    ] = UNSET
    outside_writes: Annotated[
        Literal["shown", "forbidden"] | UnsetType,
        Meta(description="Whether changes outside the HOME are only shown, or are a finding."),
    ] = UNSET
    reference: Annotated[str, Meta(description="The bundled probe that is run when no other is named.")] = ""
    commands: Annotated[
        dict[Text, Annotated[list[Text], Meta(min_length=1)]] | UnsetType,
        Meta(description="Agent to the command that is the probe, where the CLI itself is."),
    ] = UNSET
    rules: Annotated[
        dict[Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*\Z")], RuleTable],
        Meta(description="Short name of a rule, which scenarios cite, to the rule."),
    ] = {}


def json_schema(shape: type[Struct], title: str) -> dict[str, Any]:
    """Return the JSON Schema of the files that have this *shape*.

    It is draft 7: language servers for TOML do not know the tuples of later drafts.
    """
    _, components = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    root, *tables = sorted(components, key=lambda name: (name != shape.__name__, name))
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        # The keys stand at the top, because editors do not follow a reference from there.
        **_draft_7(components[root]),
        "title": f"probe-conformance {title}",
        "$defs": {name: _draft_7(components[name]) for name in tables},
    }


def _draft_7(value: Any) -> Any:
    """Return *value*, a part of a schema of draft 2020-12, as draft 7 writes it."""
    if isinstance(value, list):
        return [_draft_7(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _draft_7(inner) for key, inner in value.items()}
    if "prefixItems" in changed:
        changed["additionalItems"] = changed["items"]
        changed["items"] = changed.pop("prefixItems")
    if "$ref" in changed and len(changed) > 1:
        # What stands beside a reference does not count there.
        changed["allOf"] = [{"$ref": changed.pop("$ref")}]
    if isinstance(changed.get("pattern"), str):
        # The end of a text: in the regular expressions of JSON Schema \Z is the letter.
        changed["pattern"] = changed["pattern"].replace(r"\Z", "$")
    return changed


def scenario_schema(cli_states: Iterable[str]) -> dict[str, Any]:
    """Return the JSON Schema of a scenario file: of one scenario, or of a family.

    *cli_states* are the names of the states that an agent's CLI can be in.
    """
    one = json_schema(ScenarioFile, "scenario")
    family = json_schema(FamilyFile, "scenario")
    family["$defs"]["CliTable"]["properties"]["state"]["enum"] = list(cli_states)
    # A family may have every key of a scenario, so its keys are all keys. Editors complete no key
    # that stands below "if" alone.
    return {
        **family,
        "description": "One scenario, or a family of them, each a table below 'variants'.",
        "required": [],
        "if": {"required": family["required"]},
        "else": {"required": one["required"]},
    }


def layer_schema() -> dict[str, Any]:
    """Return the JSON Schema of a layer, which scenarios include."""
    return json_schema(LayerFile, "layer")


def contract_schema() -> dict[str, Any]:
    """Return the JSON Schema of a contract file."""
    return {
        **json_schema(ContractFile, "contract"),
        "if": {"required": ["extends"]},
        "else": {"required": ["name", "version", "summary", "agents", "verdicts", "inputs"]},
    }
