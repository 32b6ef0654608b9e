"""The shape of the index of an export; its JSON Schema is made from it."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

__all__ = [
    "ContainerNeeds",
    "ExportedContract",
    "ExportedHome",
    "ExportedScenario",
    "ExportedVerdict",
    "Index",
    "Judged",
    "Needs",
    "Socket",
    "Suite",
    "document",
]

#: The path of an archive below the directory of the export.
Archive = Annotated[str, Meta(pattern=r"^(homes|earlier|opposite|cli)/[^\x00]+\.tar\.gz\Z")]
Code = Annotated[int, Meta(ge=0, le=255)]


class Suite(Struct, forbid_unknown_fields=True):
    """What has written the index."""

    name: Annotated[str, Meta(description="The name of the program.")]
    version: Annotated[str, Meta(description="Its version, which decides what is exported.")]


class ExportedVerdict(Struct, forbid_unknown_fields=True):
    """What one answer means."""

    codes: Annotated[
        list[Code], Meta(description="The exit codes that say it, the usual one first.")
    ]
    meaning: Annotated[str, Meta(description="What is true when a program says it.")]


class ExportedAnswer(Struct, forbid_unknown_fields=True):
    """Where else than in the exit code an answer stands."""

    member: Annotated[str, Meta(description="A JSON Pointer into the document on standard output.")]
    values: Annotated[
        dict[str, str], Meta(description="What a value of that member means: a verdict each.")
    ]
    exit_code: Annotated[
        bool, Meta(description="Whether the exit code is an answer as well; then both agree.")
    ]


class ExportedContract(Struct, forbid_unknown_fields=True, kw_only=True):
    """One contract, as far as a test of one's own needs it."""

    version: Annotated[str, Meta(description="The version of the contract.")]
    summary: Annotated[str, Meta(description="What it is about, in a sentence.")]
    agents: Annotated[list[str], Meta(description="The agents that it covers.")]
    verdicts: Annotated[
        dict[str, ExportedVerdict], Meta(description="What answers there are, by name.")
    ]
    answer: Annotated[
        ExportedAnswer | UnsetType,
        Meta(description="Where else the answer stands; absent where only the exit code is one."),
    ] = UNSET
    roles: Annotated[
        dict[str, str], Meta(description="The variable that carries each input, by its role.")
    ]
    seconds: Annotated[float, Meta(description="How long a program may take from start to exit.")]
    cli_seconds: Annotated[
        float, Meta(description="How much of that the CLI may take to say its version.")
    ]
    rules: Annotated[dict[str, str], Meta(description="What each rule says, by its name.")]


class Socket(Struct, forbid_unknown_fields=True):
    """A Unix socket, which no tar archive can hold."""

    path: Annotated[str, Meta(description="Where to make it, below the HOME.")]
    mode: Annotated[str, Meta(description="Its mode, four octal digits.")]


class ExportedHome(Struct, forbid_unknown_fields=True, kw_only=True):
    """The HOME of a scenario, and how it has to be unpacked."""

    archive: Annotated[
        Archive, Meta(description="The archive, whose entry '.' is the HOME itself.")
    ]
    sha256: Annotated[str, Meta(description="The digest of that file, in hexadecimal digits.")]
    name: Annotated[
        str | UnsetType,
        Meta(description="The name that the directory has to have; absent where any will do."),
    ] = UNSET
    at: Annotated[
        str | UnsetType,
        Meta(
            description="The only path that it may be unpacked to: what it holds, or the CLI, "
            "names that path. Absent where any will do."
        ),
    ] = UNSET
    earlier: Annotated[
        Archive | UnsetType,
        Meta(
            description="The HOME in which the program ran a moment earlier, in the same place; "
            "absent where it did not."
        ),
    ] = UNSET
    sockets: Annotated[
        list[Socket] | UnsetType,
        Meta(description="What to make beside what is unpacked; absent where there is nothing."),
    ] = UNSET


class ContainerNeeds(Struct, forbid_unknown_fields=True):
    """What only a container gives a scenario."""

    user: Annotated[
        str | UnsetType, Meta(description="The uid, or uid:gid, that the program runs as.")
    ] = UNSET
    home_owner: Annotated[
        int | UnsetType, Meta(description="The uid that the HOME and all in it belongs to.")
    ] = UNSET
    home_read_only: Annotated[
        bool | UnsetType, Meta(description="Whether the HOME is a read-only mount.")
    ] = UNSET


class Needs(Struct, forbid_unknown_fields=True, kw_only=True):
    """What a scenario needs beside a HOME, a CLI and an environment. What is absent is not needed.

    A test that cannot give it leaves the scenario out, and says so.
    """

    root: Annotated[
        bool | UnsetType,
        Meta(description="Only root can unpack the HOME: something in it belongs to others."),
    ] = UNSET
    modes_bind: Annotated[
        bool | UnsetType,
        Meta(
            description="Modes must keep the program out, so it runs as a plain user, or without "
            "the capabilities DAC_OVERRIDE and DAC_READ_SEARCH."
        ),
    ] = UNSET
    umask: Annotated[
        str | UnsetType, Meta(description="The umask of the program, four octal digits.")
    ] = UNSET
    cwd: Annotated[
        str | UnsetType, Meta(description="The directory that it starts in; {home} is the HOME.")
    ] = UNSET
    account_without_home: Annotated[
        bool | UnsetType,
        Meta(
            description="The variable for the HOME is not set, so the program may look where the "
            "user database says: there must be no login."
        ),
    ] = UNSET
    container: Annotated[
        ContainerNeeds | UnsetType, Meta(description="What only a container can give it.")
    ] = UNSET


class Judged(Struct, forbid_unknown_fields=True, kw_only=True):
    """What one contract says of a scenario, and how a program is started for it.

    In paths and variables, {home}, {cli}, {opposite} and {path} stand for the directories that the
    archives were unpacked to, and for the PATH of the system.
    """

    verdicts: Annotated[list[str], Meta(description="The verdicts that conform.")]
    codes: Annotated[list[Code], Meta(description="The exit codes that conform.")]
    rule: Annotated[str, Meta(description="The rule that decides; empty where none is cited.")]
    control: Annotated[str, Meta(description="The nearest scenario that calls for another answer.")]
    environment: Annotated[
        dict[str, str], Meta(description="All variables of the program: it gets no others.")
    ]
    cli: Annotated[
        Archive | UnsetType,
        Meta(
            description="The directory {cli}, with the agent's CLI in its state; absent where "
            "the contract asks the real one."
        ),
    ] = UNSET
    opposite: Annotated[
        Archive | UnsetType,
        Meta(
            description="The directory {opposite}: a HOME that calls for the opposite answer, for "
            "programs that look into the wrong one. Absent where the contract has none."
        ),
    ] = UNSET


class ExportedScenario(Struct, forbid_unknown_fields=True, kw_only=True):
    """One scenario."""

    id: Annotated[str, Meta(description="Its name, which stays.")]
    summary: Annotated[str, Meta(description="What it shows, in a sentence.")]
    origin: Annotated[str, Meta(description="Where it comes from.")]
    agent: Annotated[str, Meta(description="The agent whose HOME it is.")]
    digest: Annotated[str, Meta(description="Equal as long as it asks the same.")]
    home: Annotated[ExportedHome, Meta(description="The HOME.")]
    cli: Annotated[str, Meta(description="The state of the agent's CLI, such as 'healthy'.")]
    roles: Annotated[
        dict[str, str | None],
        Meta(
            description="What each input holds, by its role, where that is not the usual thing; "
            "null where its variable is not set."
        ),
    ]
    needs: Annotated[Needs, Meta(description="What else it needs.")]
    waits: Annotated[bool, Meta(description="Whether a right program may wait for seconds here.")]
    until: Annotated[
        float | None,
        Meta(
            description="When something in it expires that has to be good, in epoch seconds: from "
            "then on it is another scenario. Null where nothing does."
        ),
    ]
    contracts: Annotated[dict[str, Judged], Meta(description="What each contract says of it.")]


class Index(Struct, forbid_unknown_fields=True, kw_only=True):
    """The index of an export: what lies beside it, and what each scenario calls for."""

    schema_version: Annotated[Literal[1], Meta(description="The version of this form.")] = 1
    suite: Annotated[Suite, Meta(description="What has written it.")]
    now: Annotated[
        float, Meta(description="The moment that all times in the homes are relative to.")
    ]
    seed: Annotated[str, Meta(description="What the made-up secrets were derived from.")]
    contracts: Annotated[
        dict[str, ExportedContract], Meta(description="The contracts that judge, by name.")
    ]
    scenarios: Annotated[list[ExportedScenario], Meta(description="The scenarios, by id.")]
    left_out: Annotated[
        dict[str, str],
        Meta(description="Scenarios that no archive can hold, each with the reason."),
    ]


def document(index: Index) -> str:
    """Return *index* as JSON text in which each scenario is a line."""
    whole = msgspec.to_builtins(index)
    scenarios = ",\n".join(json.dumps(scenario) for scenario in whole.pop("scenarios"))
    left_out = json.dumps(whole.pop("left_out"), indent=2).replace("\n", "\n  ")
    head = json.dumps(whole, indent=2).removesuffix("\n}")
    return f'{head},\n  "scenarios": [\n{scenarios}\n  ],\n  "left_out": {left_out}\n}}\n'
