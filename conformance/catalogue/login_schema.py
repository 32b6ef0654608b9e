"""The shape of a login in a scenario: what the scripted CLI does, and what the Manager answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from conformance.catalogue.entry_schema import EntryTable, HomeTable, Text

__all__ = ["ActTable", "LoginAnswerTable", "LoginTable", "ManagerTable", "WriteTable"]


class WriteTable(HomeTable, omit_defaults=True):
    """What the CLI writes below the HOME: layers and files."""

    same_mtime: Annotated[
        bool, Meta(description="Whether files that were there keep the time of their last change.")
    ] = False


class ActTable(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One thing that the CLI does, with one key that says what it is."""

    print: Annotated[
        Text | EntryTable | UnsetType,
        Meta(description="It prints this in one piece: a text, or a table as for a file."),
    ] = UNSET
    times: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType,
        Meta(description="Beside print: how often."),
    ] = UNSET
    pause: Annotated[
        Annotated[float, Meta(gt=0, le=60)] | UnsetType,
        Meta(description="It does nothing for so many seconds."),
    ] = UNSET
    prompt: Annotated[
        Text | UnsetType,
        Meta(
            description="It shows this prompt and waits for /login; not if started with arguments."
        ),
    ] = UNSET
    read: Annotated[
        Text | UnsetType,
        Meta(description="It reads the operator's code, which is this one; else it asks again."),
    ] = UNSET
    write: Annotated[WriteTable | UnsetType, Meta(description="It writes below the HOME.")] = UNSET
    remove: Annotated[
        Text | UnsetType, Meta(description="It removes this file below the HOME.")
    ] = UNSET
    close_terminal: Annotated[
        Literal[True] | UnsetType, Meta(description="It closes its terminal, and lives.")
    ] = UNSET
    ignore: Annotated[
        Annotated[list[Text], Meta(min_length=1)] | UnsetType,
        Meta(description="It ignores these signals from now on, such as 'SIGTERM'."),
    ] = UNSET
    hang: Annotated[Literal[True] | UnsetType, Meta(description="It does not come to an end.")] = (
        UNSET
    )
    exit: Annotated[
        Annotated[int, Meta(ge=0, le=255)] | UnsetType,
        Meta(description="It ends with this exit code."),
    ] = UNSET
    signal: Annotated[
        Text | UnsetType, Meta(description="It dies by this signal, such as 'SIGKILL'.")
    ] = UNSET


class LoginAnswerTable(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What the Manager answers to one request."""

    status: Annotated[
        Annotated[int, Meta(ge=200, le=599)] | UnsetType,
        Meta(description="By default 204, or 200 where there is a body."),
    ] = UNSET
    code: Annotated[
        str | UnsetType,
        Meta(description="The operator's code, as the contract calls it in a JSON body; {null}."),
    ] = UNSET
    json: Annotated[Any | UnsetType, Meta(description="A JSON body.")] = UNSET
    text: Annotated[str | UnsetType, Meta(description="A body that is no JSON.")] = UNSET
    redirect: Annotated[
        Annotated[str, Meta(pattern=r"^(elsewhere|/.*)\Z")] | UnsetType,
        Meta(description="Where to: 'elsewhere' for another host, or a path of the Manager's."),
    ] = UNSET
    delay: Annotated[
        Annotated[float, Meta(gt=0, le=60)] | UnsetType,
        Meta(description="Seconds before it answers."),
    ] = UNSET
    fails: Annotated[
        Literal["hangs", "closes"] | UnsetType,
        Meta(description="It gives no answer: it says nothing, or closes the connection."),
    ] = UNSET
    after_urls: Annotated[
        Annotated[int, Meta(ge=1, le=9)] | UnsetType,
        Meta(description="It counts when so many URLs have been handed over; 404 until then."),
    ] = UNSET


Answers = Annotated[list[LoginAnswerTable], Meta(min_length=1)]


class ManagerTable(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What the Manager answers to each kind of request, in order; the last counts from then on."""

    url: Annotated[Answers | UnsetType, Meta(description="To a login URL; by default 204.")] = UNSET
    code: Annotated[
        Answers | UnsetType,
        Meta(description="To a question for the code; by default {secret:operator-code}."),
    ] = UNSET
    complete: Annotated[
        Answers | UnsetType, Meta(description="To the news of a login; by default 204.")
    ] = UNSET
    refuses: Annotated[bool, Meta(description="Whether nobody listens at its address.")] = False


class LoginTable(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A login: what the scripted CLI and the Manager do. What is left out is as in a good one."""

    shows: Annotated[
        list[ActTable] | UnsetType,
        Meta(description="What the CLI does first; by default it shows a login URL."),
    ] = UNSET
    then: Annotated[
        list[ActTable] | UnsetType,
        Meta(
            description="What it does after that; by default it reads {secret:operator-code}, "
            "writes a login, and ends with 0."
        ),
    ] = UNSET
    manager: Annotated[ManagerTable, Meta(description="What the Manager answers.")] = field(
        default_factory=ManagerTable
    )
    urls: Annotated[
        list[Text] | UnsetType,
        Meta(description="The URLs to hand over, in order; by default the one it shows."),
    ] = UNSET
    user_code: Annotated[
        str, Meta(description="The code that the CLI shows beside the URL, if any.")
    ] = ""
    typed: Annotated[
        list[Text] | UnsetType,
        Meta(description="The lines that may be typed; by default the codes that it reads."),
    ] = UNSET
