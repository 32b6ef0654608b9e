"""The shape of what contract and scenario files say of entrypoints."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from conformance.catalogue.entry_schema import HomeTable, Text

__all__ = ["AgainTable", "EntrypointTable", "ModeTable", "SeedTable", "StartTable"]

_Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z")]
_Program = Annotated[list[Text], Meta(min_length=1)]


class ModeTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is started in one mode. What is left out comes from the contract that is extended."""

    value: Annotated[
        str | UnsetType,
        Meta(description="What the variable of the mode holds; its name by default."),
    ] = UNSET
    program: Annotated[
        _Program | dict[Text, _Program] | UnsetType,
        Meta(
            description="The program and its arguments, or a table of agent to them; '{agent}' "
            "stands for the agent, '{args}' for the container's arguments, and '{shell}' for "
            "whichever shell reads standard input."
        ),
    ] = UNSET
    bare: Annotated[
        list[Text] | UnsetType,
        Meta(description="What is started in its place where the container has no arguments."),
    ] = UNSET
    reaches: Annotated[
        list[_Name] | UnsetType,
        Meta(description="Variables that must reach what is started, as they were given."),
    ] = UNSET
    withholds: Annotated[
        list[_Name] | UnsetType, Meta(description="Variables that must not reach it.")
    ] = UNSET


class SeedTable(Struct, forbid_unknown_fields=True):
    """A credential file that the entrypoint makes from a variable, where there is none."""

    variable: Annotated[_Name, Meta(description="The variable that holds its content.")]
    file: Annotated[Text, Meta(description="Its path below the HOME.")]


class EntrypointTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What an entrypoint starts, and what it may write before."""

    modes: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*\Z")],
            ModeTable | Literal["off"],
        ],
        Meta(description="Name of a mode to what is started in it, or to 'off'."),
    ] = field(default_factory=dict)
    seeds: Annotated[
        dict[Text, SeedTable | Literal["off"]],
        Meta(description="Agent to the credential file that is made for it, or to 'off'."),
    ] = field(default_factory=dict)
    environment: Annotated[
        dict[_Name, str],
        Meta(description="Further variables of every start; '{agent}' stands for the agent."),
    ] = field(default_factory=dict)


class HomeBetweenTable(HomeTable, omit_defaults=True):
    """What changes in the HOME between two starts: files that are new, or other than before."""

    remove: Annotated[list[Text], Meta(description="Paths to remove, with all below them.")] = (
        field(default_factory=list)
    )


class AgainTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A second start over the HOME that the first one has left."""

    mode: Annotated[
        Text | UnsetType, Meta(description="Its mode; by default that of the first start.")
    ] = UNSET
    home: Annotated[
        HomeBetweenTable | UnsetType, Meta(description="What changes in the HOME between them.")
    ] = UNSET


class StartTable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The start of an entrypoint; its mode, agent and token are inputs."""

    arguments: Annotated[list[str], Meta(description="The container's arguments.")] = field(
        default_factory=list
    )
    code: Annotated[
        int, Meta(ge=0, le=125, description="The exit code with which what is started ends.")
    ] = 0
    session: Annotated[
        str | UnsetType,
        Meta(description="What the variable holds that the agent's credentials are made from."),
    ] = UNSET
    again: Annotated[AgainTable | UnsetType, Meta(description="The second start.")] = UNSET
