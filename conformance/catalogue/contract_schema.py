"""The shape of a contract file; its JSON Schema is made from it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from conformance.catalogue.entry_schema import Sentence, Text
from conformance.catalogue.entrypoint_schema import EntrypointTable
from conformance.model.contract import Level
from conformance.model.outcome import FindingKind

__all__ = ["AnswerTable", "ContractFile", "RuleTable", "VerdictTable"]

#: An action or a label: Managers write several on one line, separated by blanks.
Word = Annotated[str, Meta(pattern=r"^\S+\Z")]
Code = Annotated[int, Meta(ge=0, le=255)]


class VerdictTable(Struct, forbid_unknown_fields=True):
    """What one answer means. What is left out comes from the contract that is extended."""

    code: Annotated[
        Code | Annotated[list[Code], Meta(min_length=1)] | UnsetType,
        Meta(description="The exit code that says it, or a list of them, the usual one first."),
    ] = UNSET
    meaning: Annotated[
        Text | UnsetType, Meta(description="What is true when the probe says it.")
    ] = UNSET
    action: Annotated[
        Word | UnsetType, Meta(description="What the Manager does then, in one word.")
    ] = UNSET
    labels: Annotated[
        list[Word] | UnsetType, Meta(description="The labels that the Manager adds to its action.")
    ] = UNSET
    cli_code: Annotated[
        bool | UnsetType,
        Meta(description="Whether the exit code of a CLI that has failed says it too."),
    ] = UNSET


#: The name of a variable, or nothing where the contract has no such input.
Variable = Annotated[str, Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?\Z")]


class InputsTable(Struct, forbid_unknown_fields=True):
    """Names of the variables that carry the inputs. What is left out is inherited, or is none."""

    home: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z")] | UnsetType,
        Meta(description="The variable with the path of the HOME that the probe looks at."),
    ] = UNSET
    agent: Annotated[
        Variable | UnsetType, Meta(description="The variable with the name of the agent.")
    ] = UNSET
    override: Annotated[
        Variable | UnsetType,
        Meta(description="The variable with a path of the credentials that wins."),
    ] = UNSET
    skew: Annotated[
        Variable | UnsetType,
        Meta(description="The variable with the seconds that a login still has to last."),
    ] = UNSET
    switch: Annotated[
        Variable | UnsetType,
        Meta(description="The variable that turns the check of the credentials on or off."),
    ] = UNSET
    switch_on: Annotated[
        str | UnsetType, Meta(description="What it holds for on; by default 'true'.")
    ] = UNSET
    switch_off: Annotated[
        str | UnsetType, Meta(description="What it holds for off; by default 'false'.")
    ] = UNSET
    exit_code: Annotated[
        Variable | UnsetType,
        Meta(description="The variable with the exit code of an agent's run."),
    ] = UNSET
    log: Annotated[
        Variable | UnsetType, Meta(description="The variable with the path of that run's log.")
    ] = UNSET
    ttl: Annotated[
        Variable | UnsetType,
        Meta(description="The variable with the seconds that a gate may keep its answer."),
    ] = UNSET
    mode: Annotated[
        Variable | UnsetType,
        Meta(description="The variable that says what an entrypoint is to start."),
    ] = UNSET
    token: Annotated[
        Variable | UnsetType,
        Meta(description="The variable with a token that an entrypoint insists on."),
    ] = UNSET
    slot_id: Annotated[
        Variable | UnsetType, Meta(description="The variable with the id of the slot.")
    ] = UNSET
    manager_url: Annotated[
        Variable | UnsetType, Meta(description="The variable with the URL of the Manager.")
    ] = UNSET
    init_token: Annotated[
        Variable | UnsetType, Meta(description="The variable with the token for the Manager.")
    ] = UNSET
    login_timeout: Annotated[
        Variable | UnsetType,
        Meta(description="The variable with the seconds that a login may take."),
    ] = UNSET
    poll: Annotated[
        Variable | UnsetType,
        Meta(description="The variable with the seconds between two questions for the code."),
    ] = UNSET
    opposite_home: Annotated[
        Variable | UnsetType,
        Meta(description="A variable the probe must ignore: its HOME calls for the other answer."),
    ] = UNSET


class LimitsTable(Struct, forbid_unknown_fields=True):
    """What a probe may use up. The stub of a CLI that hangs does so for longer than any limit."""

    seconds: Annotated[
        Annotated[float, Meta(gt=0, le=100)] | UnsetType,
        Meta(description="The time in which the probe must answer; by default 15 seconds."),
    ] = UNSET
    cli_seconds: Annotated[
        Annotated[float, Meta(gt=0, le=100)] | UnsetType,
        Meta(description="The part of it that the CLI may take; by default two thirds."),
    ] = UNSET
    ttl_seconds: Annotated[
        Annotated[float, Meta(gt=0, le=86400)] | UnsetType,
        Meta(description="How long a gate keeps its answer, where no variable says it."),
    ] = UNSET


class AnswerTable(Struct, forbid_unknown_fields=True, kw_only=True):
    """Where the answer stands on stdout, for a probe that prints a JSON document."""

    member: Annotated[
        str,
        Meta(
            pattern=r"^(/[^/]*)+\Z",
            description="The member with the answer, as a JSON Pointer, such as '/status'.",
        ),
    ]
    values: Annotated[
        dict[str, Text],
        Meta(
            min_length=1,
            description="Value of the member to its verdict; true or 5 as they stand in JSON.",
        ),
    ]
    exit_code: Annotated[
        bool, Meta(description="Whether the exit code is an answer too, which has to agree.")
    ] = True


class RouteTable(Struct, forbid_unknown_fields=True, kw_only=True):
    """One request to the Manager."""

    method: Annotated[str, Meta(pattern=r"^[A-Z]+\Z", description="Such as 'POST'.")]
    path: Annotated[
        str,
        Meta(
            pattern=r"^/\S*\Z",
            description="Its path below the Manager's URL; {slot} stands for the slot's id.",
        ),
    ]
    members: Annotated[
        dict[str, Text],
        Meta(description="What a member of the JSON body is about to its name there."),
    ] = {}


class RequestsTable(Struct, forbid_unknown_fields=True, kw_only=True):
    """How a program that lets somebody log in speaks to the Manager."""

    token_header: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9-]+\Z",
            description="The header of every request, with the init token.",
        ),
    ]
    url: Annotated[RouteTable, Meta(description="Hands over the login URL.")]
    code: Annotated[RouteTable, Meta(description="Asks for the operator's code.")]
    complete: Annotated[RouteTable, Meta(description="Says that somebody has logged in.")]


class RuleTable(Struct, forbid_unknown_fields=True, kw_only=True):
    """One sentence of the contract, with the verdicts or findings that belong to it.

    What is left out comes from the rule of that name in the contract that is extended.
    """

    text: Annotated[Sentence | UnsetType, Meta(description="The rule, in one sentence.")] = UNSET
    expect: Annotated[
        Text | Annotated[list[Text], Meta(min_length=1)] | UnsetType,
        Meta(description="The verdict it calls for; a list if it leaves the point open."),
    ] = UNSET
    findings: Annotated[
        Annotated[list[FindingKind], Meta(min_length=1)] | UnsetType,
        Meta(description="The findings that break it, for a rule that every scenario checks."),
    ] = UNSET
    level: Annotated[
        Level | UnsetType,
        Meta(description="Whether such findings deviate ('must', the default) or are advice."),
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
        dict[str, VerdictTable | Literal["off"]] | UnsetType,
        Meta(description="Name of a verdict to its exit code and its meaning, or to 'off'."),
    ] = UNSET
    otherwise: Annotated[
        Word | Annotated[list[Word], Meta(min_length=1)] | UnsetType,
        Meta(description="What the Manager does on every other code; by default 'retry'."),
    ] = UNSET
    truth: Annotated[
        Annotated[list[Code], Meta(min_length=2, max_length=2)] | UnsetType,
        Meta(description="The codes for true and for false, where a Python callable returns one."),
    ] = UNSET
    inputs: InputsTable | UnsetType = UNSET
    limits: LimitsTable | UnsetType = UNSET
    answer: AnswerTable | UnsetType = UNSET
    requests: RequestsTable | UnsetType = UNSET
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
    in_steps: Annotated[
        bool | UnsetType,
        Meta(description="Whether it is about a gate that lives on and is asked in steps."),
    ] = UNSET
    entrypoint: Annotated[
        EntrypointTable | UnsetType,
        Meta(description="What an entrypoint starts, if the contract is about one."),
    ] = UNSET
    rules: Annotated[
        dict[Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*\Z")], RuleTable | Literal["off"]],
        Meta(description="Short name of a rule, which scenarios cite, to the rule, or to 'off'."),
    ] = {}
