"""The shape of scenario, layer, CLI and contract files; their JSON Schemas are made from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

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
    "listed",
]

#: Limits of one entry, so that a typo cannot fill a disk.
MAX_COUNT = 100_000
MAX_DEPTH = 1_000
MAX_SIZE = 1024**3
#: Levels of a json value; deeper ones are written with runs.
MAX_LEVELS = 100
#: Longest path below a home, in bytes: with the path of the home itself it stays under PATH_MAX.
MAX_PATH = 3_000

#: A user, or a user and a group, by number; no leading zeros, which some read as octal.
USER = "(0|[1-9][0-9]{0,9})(:(0|[1-9][0-9]{0,9}))?"

#: The name of a variant, which is the last part of its scenario's id.
VARIANT = r"^[a-z0-9][a-z0-9.-]*$"

Text = Annotated[str, Meta(min_length=1)]
#: An action or a label: Managers write several on one line, separated by blanks.
Word = Annotated[str, Meta(pattern=r"^\S+\Z")]
Sentence = Annotated[str, Meta(min_length=1, pattern=r"\S")]


class EntryTable(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One entry of the HOME: text, json, patch, hex, base64, runs, symlink or type; or size."""

    text: Annotated[
        str | UnsetType, Meta(description="A file with this text; placeholders are replaced.")
    ] = UNSET
    json: Annotated[
        Any,
        Meta(description="A file with this value as JSON; its strings may use placeholders."),
    ] = UNSET
    patch: Annotated[
        dict[str, Any] | UnsetType,
        Meta(description="Changes to the json of a layer (RFC 7396); '{absent}' removes a member."),
    ] = UNSET
    hex: Annotated[
        str | UnsetType, Meta(description="A file with these bytes, as hexadecimal digits.")
    ] = UNSET
    base64: Annotated[str | UnsetType, Meta(description="A file with these bytes, as base64.")] = (
        UNSET
    )
    runs: Annotated[
        list[tuple[str, Annotated[int, Meta(ge=0)]]] | UnsetType,
        Meta(description="A file of repeated texts, such as [['[', 100000], [']', 100000]]."),
    ] = UNSET
    symlink: Annotated[
        Text | UnsetType,
        Meta(
            description="A link to this target: relative, or below {home}; it may dangle or loop."
        ),
    ] = UNSET
    type: Annotated[
        Literal["directory", "fifo", "socket"] | UnsetType,
        Meta(description="An entry without content."),
    ] = UNSET
    size: Annotated[
        int | str | UnsetType,
        Meta(description="Pad the file with blanks to this size: bytes, or text such as '20 MiB'."),
    ] = UNSET
    mode: Annotated[
        str | UnsetType,
        Meta(
            description="Permission bits in octal; by default '0600', and '0700' for directories."
        ),
    ] = UNSET
    owner: Annotated[
        Annotated[int, Meta(ge=0, le=2**32 - 2)] | UnsetType,
        Meta(description="Numeric owner; building it needs root."),
    ] = UNSET
    mtime: Annotated[
        str | UnsetType, Meta(description="Time of the last change, such as '{now-30d}'.")
    ] = UNSET
    count: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_COUNT)] | UnsetType,
        Meta(description="How often to repeat the entry; {n} in its path counts from 1."),
    ] = UNSET
    depth: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_DEPTH)] | UnsetType,
        Meta(description="How many directories named 'd' to put above the last name."),
    ] = UNSET


Files = dict[str, str | EntryTable]


class HomeTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The HOME before the probe starts."""

    include: Annotated[
        list[str],
        Meta(description="Layers from fixtures/layers, applied in order; entries here win."),
    ] = []
    files: Annotated[
        Files, Meta(description="Path below the HOME to its content: a text, or a table.")
    ] = {}


class CliTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The agent's CLI as the probe finds it on PATH."""

    state: Annotated[str, Meta(description="The state that the CLI is in.")] = HEALTHY


class EnvTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Changes to the environment that the contract gives the probe."""

    set: Annotated[
        dict[str, str], Meta(description="Variables to set; placeholders are replaced.")
    ] = {}
    unset: Annotated[list[str], Meta(description="Variables to remove.")] = []


class ContainerTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What the scenario asks of the container around its HOME; no local run can provide it."""

    user: Annotated[
        str | UnsetType,
        Meta(
            description="Numeric user of the image, as '10001' or '10001:0'; its own by default.",
            extra_json_schema={"pattern": f"^{USER}$"},
        ),
    ] = UNSET
    home_owner: Annotated[
        Annotated[int, Meta(ge=0, le=2**32 - 2)] | UnsetType,
        Meta(description="Numeric owner of the HOME and its entries; by default the image's user."),
    ] = UNSET
    home_read_only: Annotated[bool, Meta(description="Whether the HOME is a read-only mount.")] = (
        False
    )


Control = Annotated[
    Text | dict[str, Text],
    Meta(
        description="Id of the nearest scenario with another verdict, or a table of contract to id."
    ),
]
Expect = Annotated[
    dict[str, Text | Annotated[list[Text], Meta(min_length=1)]],
    Meta(
        min_length=1,
        description="Contract to the verdict that conforms; a list if the point is left open.",
    ),
]
Rules = Annotated[
    dict[str, Text | Annotated[list[Text], Meta(min_length=1)]],
    Meta(
        description="Contract to the short name of the rule the case is about, or a list of them."
    ),
]
Summary = Annotated[Sentence, Meta(description="The rule this case is about, in one sentence.")]
Origin = Annotated[
    Sentence, Meta(description="Why the case exists: a report, an issue, a rule of a contract.")
]
Agent = Annotated[Text, Meta(description="The coding agent whose slot it is: claude or codex.")]
Container = Annotated[
    ContainerTable | UnsetType,
    Meta(
        description="What only a container can show; without it a scenario runs anywhere.",
        extra_json_schema={"minProperties": 1},
    ),
]


class ScenarioFile(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One scenario: one fault, one file. Its id is its path below the directory, without .toml."""

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
    """What one scenario of a family has of its own: its tables are merged, other values replace."""

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
    """Scenarios that have much in common. The id of each is the file's, '/' and its variant's."""

    variants: Annotated[
        dict[Annotated[str, Meta(pattern=VARIANT)], VariantTable],
        Meta(min_length=1, description="Name of each scenario to what it has of its own."),
    ]


class LayerFile(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a HOME that scenarios share. Its name is that of the file, without .toml."""

    summary: Annotated[Text, Meta(description="What this part of a HOME is, in one sentence.")]
    files: Annotated[
        Files, Meta(description="Path below the HOME to its content: a text, or a table.")
    ]


class CliFile(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One state that an agent's CLI can be in. Its name is that of the file, without .toml."""

    summary: Annotated[Text, Meta(description="What the CLI is like, in one sentence.")]
    files: Annotated[
        Files,
        Meta(description="The stub: a name 'cli' in a path or a link becomes the program's."),
    ] = {}
    home: Annotated[
        Files, Meta(description="What lies below the HOME, and belongs to the CLI; as in 'files'.")
    ] = {}
    like: Annotated[
        dict[str, str],
        Meta(description="Path, which may begin with {home}/, to the state whose stub lies there."),
    ] = {}
    path: Annotated[
        list[str],
        Meta(
            min_length=1,
            description="Directories on PATH, in order: of 'files', where '.' is its top, "
            "or below {home}.",
        ),
    ] = field(default_factory=lambda: ["."])
    writes: Annotated[
        list[Text],
        Meta(description="What the stub adds to the HOME; '*' is one name, '**' any path."),
    ] = []
    waits: Annotated[bool, Meta(description="Whether a right probe may spend its run waiting.")] = (
        False
    )
    alone: Annotated[bool, Meta(description="Whether no other agent's CLI lies beside it.")] = False


class VerdictTable(Struct, forbid_unknown_fields=True):
    """What one answer means."""

    code: Annotated[int, Meta(ge=0, le=255, description="The exit code that says it.")]
    meaning: Annotated[Text, Meta(description="What is true when the probe says it.")]
    action: Annotated[Word, Meta(description="What the Manager does then, in one word.")]
    labels: Annotated[
        list[Word], Meta(description="The labels that the Manager adds to its action.")
    ] = []


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
            description="A variable the probe must ignore: its HOME calls for the other answer.",
        ),
    ] = ""


class LimitsTable(Struct, forbid_unknown_fields=True):
    """What a probe may use up. The stub of a CLI that hangs does so for longer than any limit."""

    seconds: Annotated[
        float, Meta(gt=0, le=100, description="The time in which the probe must answer.")
    ] = 15.0


class RuleTable(Struct, forbid_unknown_fields=True, kw_only=True):
    """One sentence of the contract, with the verdicts or findings that belong to it."""

    text: Annotated[Sentence, Meta(description="The rule, in one sentence.")]
    expect: Annotated[
        Text | Annotated[list[Text], Meta(min_length=1)] | UnsetType,
        Meta(description="The verdict it calls for; a list if it leaves the point open."),
    ] = UNSET
    findings: Annotated[
        Annotated[list[FindingKind], Meta(min_length=1)] | UnsetType,
        Meta(description="The findings that break it, for a rule that every scenario checks."),
    ] = UNSET


class ContractFile(Struct, forbid_unknown_fields=True, kw_only=True):
    """One contract. If it extends another, what it leaves out comes from there."""

    name: Annotated[
        str,
        Meta(pattern=r"^[a-z][a-z0-9-]*\Z", description="What scenarios and reports call it."),
    ]
    version: Annotated[Text, Meta(description="The version, as reports show it.")]
    summary: Annotated[Text, Meta(description="What it is for, in one sentence.")]
    extends: Annotated[
        str, Meta(description="The bundled contract that provides what is left out here.")
    ] = ""
    agents: Annotated[
        Annotated[list[Text], Meta(min_length=1)] | UnsetType,
        Meta(description="The coding agents it covers; their scenarios are part of it."),
    ] = UNSET
    verdicts: Annotated[
        dict[str, VerdictTable] | UnsetType,
        Meta(description="Name of a verdict to its exit code and its meaning."),
    ] = UNSET
    otherwise: Annotated[
        Word | Annotated[list[Word], Meta(min_length=1)] | UnsetType,
        Meta(description="What the Manager does on every other code; by default 'retry'."),
    ] = UNSET
    inputs: InputsTable | UnsetType = UNSET
    limits: LimitsTable | UnsetType = UNSET
    allowed_writes: Annotated[
        list[Text] | UnsetType,
        Meta(description="Paths the CLI may add to the HOME; '**' stands for any path."),
    ] = UNSET
    entrypoint_writes: Annotated[
        list[Text] | UnsetType,
        Meta(description="Paths that an image's entrypoint may add to the HOME or replace there."),
    ] = UNSET
    outside_writes: Annotated[
        Literal["shown", "forbidden"] | UnsetType,
        Meta(description="Whether changes outside the HOME are only shown or are a finding."),
    ] = UNSET
    reference: Annotated[
        str, Meta(description="The bundled probe that runs if no other is named.")
    ] = ""
    commands: Annotated[
        dict[Text, Annotated[list[Text], Meta(min_length=1)]] | UnsetType,
        Meta(description="Agent to the command that is the probe, if its CLI is the probe."),
    ] = UNSET
    rules: Annotated[
        dict[Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*\Z")], RuleTable],
        Meta(description="Short name of a rule, which scenarios cite, to the rule."),
    ] = {}


def listed(value: str | list[str]) -> tuple[str, ...]:
    """Return *value*, a text or a list of them, as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)
