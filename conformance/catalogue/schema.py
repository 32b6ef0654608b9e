"""The shape of scenario and layer files; their JSON Schemas are made from it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from conformance.catalogue.entry_schema import EntryTable, Files, HomeTable, Sentence, Text
from conformance.catalogue.entrypoint_schema import StartTable
from conformance.catalogue.login_schema import LoginTable
from conformance.model.agent import HEALTHY
from conformance.model.contract import Role

__all__ = [
    "USER",
    "VARIANT",
    "ContainerTable",
    "FamilyFile",
    "Files",
    "LayerFile",
    "RunTable",
    "ScenarioFile",
    "ScenarioInputs",
    "StepTable",
    "Text",
    "listed",
]

#: A user, or a user and a group, by number; no leading zeros, which some read as octal.
USER = "(0|[1-9][0-9]{0,9})(:(0|[1-9][0-9]{0,9}))?"

#: The name of a variant, which is the last part of its scenario's id.
VARIANT = r"^[a-z0-9][a-z0-9.-]*$"


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
    ttl: Annotated[
        str | UnsetType, Meta(description="The seconds that a gate may keep its answer.")
    ] = UNSET
    mode: Annotated[
        str | UnsetType, Meta(description="The mode that an entrypoint is started in.")
    ] = UNSET
    token: Annotated[
        str | UnsetType, Meta(description="The token that an entrypoint insists on.")
    ] = UNSET
    slot_id: Annotated[
        str | UnsetType,
        Meta(description="The id of the slot that somebody logs in to; by default 'slot-7'."),
    ] = UNSET
    manager_url: Annotated[
        str | UnsetType,
        Meta(description="The URL of the Manager; by default '{manager}', the scripted one."),
    ] = UNSET
    init_token: Annotated[
        str | UnsetType,
        Meta(description="The token for the Manager; by default '{secret:init-token}'."),
    ] = UNSET
    login_timeout: Annotated[
        str | UnsetType, Meta(description="The seconds that a login may take; by default '6'.")
    ] = UNSET
    poll: Annotated[
        str | UnsetType,
        Meta(description="The seconds between two questions for the code; by default '0.1'."),
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


class RunTable(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A run of the agent that has finished."""

    exit_code: Annotated[int, Meta(ge=0, le=255, description="Its exit code.")] = 0
    log: Annotated[
        str | EntryTable | UnsetType,
        Meta(description="What its log holds: a text, or a table as for a file; nothing is there."),
    ] = UNSET


class HomeChangeTable(HomeTable, omit_defaults=True):
    """A change of the HOME: layers and files that are new, or other than before."""

    remove: Annotated[list[Text], Meta(description="Paths to remove, with all below them.")] = (
        field(default_factory=list)
    )


class StepTable(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One step, with one key that says what it is, and what is expected of it."""

    check: Annotated[
        Text | Annotated[list[Text], Meta(min_length=1)] | UnsetType,
        Meta(description="The gate is asked; the verdict that conforms, or a list of them."),
    ] = UNSET
    cached: Annotated[
        Text | UnsetType,
        Meta(description="Beside check: the verdict that a cache gives, where both conform."),
    ] = UNSET
    claim: Annotated[
        bool | UnsetType,
        Meta(description="A worker's tick, with a job that waits: whether it has to be taken."),
    ] = UNSET
    run: Annotated[RunTable | UnsetType, Meta(description="A run of the agent has finished.")] = (
        UNSET
    )
    home: Annotated[HomeChangeTable | UnsetType, Meta(description="The HOME changes.")] = UNSET
    env: Annotated[EnvTable | UnsetType, Meta(description="The environment changes.")] = UNSET
    inputs: Annotated[
        ScenarioInputs | UnsetType, Meta(description="Inputs change, by their roles.")
    ] = UNSET
    cli: Annotated[Text | UnsetType, Meta(description="The agent's CLI gets into this state.")] = (
        UNSET
    )
    wait: Annotated[
        Annotated[float, Meta(gt=0, le=100)] | UnsetType,
        Meta(description="So many times to live pass, and from 1 on a second more."),
    ] = UNSET
    seconds: Annotated[
        Annotated[float, Meta(gt=0, le=10_000_000)] | UnsetType,
        Meta(description="So many seconds pass, however long the time to live is."),
    ] = UNSET
    clock: Annotated[
        float | UnsetType,
        Meta(description="The wall clock is set by so many seconds; below 0, back."),
    ] = UNSET
    counters: Annotated[
        Literal["note", "same"] | UnsetType,
        Meta(description="The counters are asked for; 'same' as when that was done last."),
    ] = UNSET
    rule: Annotated[
        Text | Annotated[list[Text], Meta(min_length=1)] | UnsetType,
        Meta(description="The rules of the contract that it is about."),
    ] = UNSET


Started = Annotated[
    StartTable | UnsetType,
    Meta(description="How an entrypoint is started, and what its program ends with."),
]
Steps = Annotated[
    list[StepTable],
    Meta(description="What happens to a gate that lives on, one step after the other."),
]


Login = Annotated[
    LoginTable | UnsetType,
    Meta(description="How somebody logs in, for programs that let somebody do that."),
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
    steps: Steps = []
    start: Started = UNSET
    login: Login = UNSET


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
    steps: Steps | UnsetType = UNSET
    start: Started = UNSET
    login: Login = UNSET


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


def listed(value: str | list[str]) -> tuple[str, ...]:
    """Return *value*, a text or a list of them, as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)
