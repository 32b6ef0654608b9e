"""The shape of scenario, layer and CLI files; their JSON Schemas are made from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from conformance.model.agent import HEALTHY
from conformance.model.contract import Role

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
    "EntryTable",
    "FamilyFile",
    "LayerFile",
    "ScenarioFile",
    "ScenarioInputs",
    "Sentence",
    "Text",
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
Sentence = Annotated[str, Meta(min_length=1, pattern=r"\S")]


class EntryTable(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One entry of the HOME, with one key that says what it is; or with a size alone."""

    text: Annotated[
        str | UnsetType, Meta(description="A file with this text; placeholders are replaced.")
    ] = UNSET
    json: Annotated[
        Any,
        Meta(description="A file with this value as JSON; its strings may use placeholders."),
    ] = UNSET
    patch: Annotated[
        dict[str, Any] | UnsetType,
        Meta(
            description="Changes to the json of a layer, or of what was moved or copied here "
            "(RFC 7396); '{absent}' removes a member."
        ),
    ] = UNSET
    moved: Annotated[
        Text | UnsetType,
        Meta(description="The entry that an included layer has at this path, here instead."),
    ] = UNSET
    copied: Annotated[
        Text | UnsetType,
        Meta(description="The entry that an included layer has at this path, here as well."),
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


class NamedHomeTable(HomeTable, omit_defaults=True):
    """The HOME before the probe starts."""

    name: Annotated[
        str | UnsetType,
        Meta(description="The name of its directory, such as 'with blanks'; plain by default."),
    ] = UNSET


class ProcessTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How the process of the probe starts, where that is not as in every other scenario."""

    umask: Annotated[
        str | UnsetType,
        Meta(
            description="The umask in octal, such as '0077'; by default '0022'.",
            extra_json_schema={"pattern": "^0?[0-7]{3}$"},
        ),
    ] = UNSET
    cwd: Annotated[
        str | UnsetType,
        Meta(description="The current directory: an absolute path, which may begin with {home}."),
    ] = UNSET


class CliTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The agent's CLI as the probe finds it on PATH."""

    state: Annotated[str, Meta(description="The state that the CLI is in.")] = HEALTHY


class ScenarioInputs(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Inputs of the probe by role, where they are not the usual ones.

    The contract knows the variable of each role. One that lacks a role leaves the scenario out.
    """

    home: Annotated[
        str | UnsetType, Meta(description="The path of the HOME, in place of that of this home.")
    ] = UNSET
    agent: Annotated[
        str | UnsetType, Meta(description="The name of the agent, in place of the slot's.")
    ] = UNSET
    override: Annotated[
        str | UnsetType, Meta(description="A path of the credentials that wins over the usual one.")
    ] = UNSET
    skew: Annotated[
        str | UnsetType, Meta(description="The seconds that a login still has to last.")
    ] = UNSET
    switch: Annotated[
        Literal["on", "off"] | UnsetType,
        Meta(description="Whether the credentials are checked at all."),
    ] = UNSET
    exit_code: Annotated[
        str | UnsetType, Meta(description="The exit code of an agent's run; by default '0'.")
    ] = UNSET
    log: Annotated[
        str | UnsetType, Meta(description="The path of its log; by default '{home}/run.log'.")
    ] = UNSET
    unset: Annotated[list[Role], Meta(description="Roles whose variable is not set.")] = []


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
    Meta(description="Contract to the rule that decides; a list if others decide where it is off."),
]
Summary = Annotated[Sentence, Meta(description="The rule this case is about, in one sentence.")]
Origin = Annotated[
    Sentence, Meta(description="Why the case exists: a report, an issue, a rule of a contract.")
]
Agent = Annotated[Text, Meta(description="The coding agent whose slot it is: claude or codex.")]
Earlier = Annotated[
    HomeTable | UnsetType,
    Meta(
        description="The HOME when the probe ran a moment earlier, in the same place: its answer "
        "must not outlive that home."
    ),
]
Process = Annotated[
    ProcessTable | UnsetType,
    Meta(
        description="How the process of the probe starts, where that is not as usual.",
        extra_json_schema={"minProperties": 1},
    ),
]
Differs = Annotated[
    Sentence,
    Meta(description="Why the HOME differs in more than one thing from the nearest other one."),
]
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
    home: NamedHomeTable = field(default_factory=NamedHomeTable)
    earlier: Earlier = UNSET
    differs: Differs | UnsetType = UNSET
    cli: CliTable = field(default_factory=CliTable)
    inputs: ScenarioInputs = field(default_factory=ScenarioInputs)
    env: EnvTable = field(default_factory=EnvTable)
    process: Process = UNSET
    container: Container = UNSET


class VariantTable(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What one scenario of a family has of its own: its tables are merged, other values replace."""

    summary: Summary | UnsetType = UNSET
    origin: Origin | UnsetType = UNSET
    agent: Agent | UnsetType = UNSET
    control: Control | UnsetType = UNSET
    expect: Expect | UnsetType = UNSET
    rules: Rules | UnsetType = UNSET
    home: NamedHomeTable | UnsetType = UNSET
    earlier: Earlier = UNSET
    differs: Differs | UnsetType = UNSET
    cli: CliTable | UnsetType = UNSET
    inputs: ScenarioInputs | UnsetType = UNSET
    env: EnvTable | UnsetType = UNSET
    process: Process = UNSET
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
    include: Annotated[
        list[str], Meta(description="Layers below this one, applied in order; entries here win.")
    ] = []
    files: Annotated[
        Files | UnsetType,
        Meta(description="Path below the HOME to its content: a text, or a table."),
    ] = UNSET


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


def listed(value: str | list[str]) -> tuple[str, ...]:
    """Return *value*, a text or a list of them, as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)
