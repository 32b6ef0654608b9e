"""The shape of the entries of a HOME, which scenarios, layers and states of CLIs share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

__all__ = [
    "MAX_COUNT",
    "MAX_DEPTH",
    "MAX_LEVELS",
    "MAX_PATH",
    "MAX_SIZE",
    "EntryTable",
    "Files",
    "HomeTable",
    "Sentence",
    "Text",
]

#: Limits of one entry, so that a typo cannot fill a disk.
MAX_COUNT = 100_000
MAX_DEPTH = 1_000
MAX_SIZE = 1024**3
#: Levels of a json value; deeper ones are written with runs.
MAX_LEVELS = 100
#: Longest path below a home, in bytes: with the path of the home itself it stays under PATH_MAX.
MAX_PATH = 3_000

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
