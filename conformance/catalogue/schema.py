"""The shape of scenario, layer and contract files, from which the JSON Schema is made as well."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from conformance.model.agent import CliState
from conformance.model.outcome import FindingKind

__all__ = [
    "MAX_COUNT",
    "MAX_DEPTH",
    "MAX_LEVELS",
    "MAX_PATH",
    "MAX_SIZE",
    "USER",
    "VARIANT",
    "ContainerTable",
    "ContractFile",
    "EntryTable",
    "FamilyFile",
    "LayerFile",
    "ScenarioFile",
    "schema",
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

    state: Annotated[CliState, Meta(description="The condition the CLI is in.")] = "healthy"


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
    """A part of a HOME that several scenarios share."""

    summary: Text
    files: Files


class VerdictTable(Struct, forbid_unknown_fields=True):
    """What one answer means."""

    code: Annotated[int, Meta(ge=0, le=255)]
    meaning: Text
    action: Word
    labels: list[Word] = []


class InputsTable(Struct, forbid_unknown_fields=True):
    """Names of the environment variables that carry the inputs."""

    home: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z")]
    agent: Annotated[str, Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?\Z")] = ""
    opposite_home: Annotated[str, Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?\Z")] = ""


class LimitsTable(Struct, forbid_unknown_fields=True):
    """What a probe may use up; the stub of a CLI that hangs does so for longer than any limit."""

    seconds: Annotated[float, Meta(gt=0, le=100)] = 15.0


class RuleTable(Struct, forbid_unknown_fields=True, kw_only=True):
    """One sentence of the contract: with the verdicts it calls for, or with what breaking it is called in any scenario."""

    text: Sentence
    expect: Text | Annotated[list[Text], Meta(min_length=1)] | UnsetType = UNSET
    findings: Annotated[list[FindingKind], Meta(min_length=1)] | UnsetType = UNSET


class ContractFile(Struct, forbid_unknown_fields=True, kw_only=True):
    """One contract. What a contract that extends another leaves out, it takes from there."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*\Z")]
    version: Text
    summary: Text
    extends: str = ""
    agents: Annotated[list[Text], Meta(min_length=1)] | UnsetType = UNSET
    verdicts: dict[str, VerdictTable] | UnsetType = UNSET
    otherwise: Word | Annotated[list[Word], Meta(min_length=1)] | UnsetType = UNSET
    inputs: InputsTable | UnsetType = UNSET
    limits: LimitsTable | UnsetType = UNSET
    allowed_writes: list[Text] | UnsetType = UNSET
    entrypoint_writes: list[Text] | UnsetType = UNSET
    outside_writes: Literal["shown", "forbidden"] | UnsetType = UNSET
    reference: str = ""
    commands: dict[Text, Annotated[list[Text], Meta(min_length=1)]] | UnsetType = UNSET
    rules: dict[Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*\Z")], RuleTable] = {}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a scenario file: of one scenario, or of a family."""
    either, components = msgspec.json.schema_components([ScenarioFile, FamilyFile], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "probe-conformance scenario",
        # Named by what it has, so that an editor complains about the scenario at hand and not about the other kind.
        "if": {"required": ["variants"]},
        "then": either[1],
        "else": either[0],
        "$defs": components,
    }
