"""What is asked of an image, and what was found out about it: plain values that travel to the workers."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from conformance.errors import UsageError
from conformance.home import Node

__all__ = ["ASIDE", "SILENT", "Confinement", "ImageFacts", "ImageRequest", "Isolation", "check_reference"]

Isolation = Literal["fresh", "shared", "both"]

#: Where a container finds what the suite lays beside the HOME: stub CLIs, and the home with the opposite answer.
ASIDE = "/.probe-conformance"

_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_HOST = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
)
#: The grammar of distribution's reference package: [host/]path[:tag][@digest]; or the id of an image.
_REFERENCE = re.compile(
    rf"(?:sha256:)?[0-9a-f]{{12,64}}|(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?",
    re.ASCII,
)


def check_reference(reference: str) -> None:
    """Refuse what can name no image.

    :raises UsageError: *reference* cannot be parsed.
    """
    if not _REFERENCE.fullmatch(reference) or len(reference) > 512:
        raise UsageError(f"'{reference}' is no image reference", hint="write it like name, name:tag or host/name@sha256:…")


#: Why a scenario was not run: with an image that never ends, a run would take hours to say so.
SILENT = "not run: the image has not answered in any scenario so far"


class Confinement(Struct, frozen=True, kw_only=True):
    """What a container may do. The defaults are all that a probe needs."""

    network: str = "none"
    """The engine's name of a network; ``none`` has no interface but loopback."""
    cap_add: tuple[str, ...] = ()
    """Capabilities that are not dropped."""
    memory: str = "1g"
    """Limit of memory, swap included: bytes, or with a unit such as ``512m``."""
    writable: bool | None = None
    """Whether the root file system may be written to; None leaves it to the isolation: in a container of its own it may."""
    pids: int = 512
    """How many processes and threads it may have at a time."""


class ImageRequest(Struct, frozen=True, kw_only=True, tag="image"):
    """The image under test, and how it is to be run."""

    reference: str
    isolation: Isolation = "fresh"
    entrypoint: tuple[str, ...] | None = None
    """Instead of the image's own; None leaves that."""
    command: tuple[str, ...] | None = None
    user: str = ""
    """Instead of the image's own: name or uid, with a group behind a colon if need be."""
    confinement: Confinement = Confinement()


class ImageFacts(Struct, frozen=True, kw_only=True):
    """What is looked up once per run."""

    id: str
    """Of the image: the digest of its configuration, which names the content wherever it lies."""
    digest: str
    """What a registry calls it; empty for an image that was never in one."""
    engine: str
    """Name and version of the engine."""
    architecture_warning: str = ""
    """That the image is for another processor than the engine's, where it is; some machines can run it all the same."""
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: dict[str, str]
    directory: str
    """Where its process starts."""
    user: str
    uid: int
    gid: int
    home: str
    """The HOME of that user, or where the homes lie instead."""
    cli_paths: tuple[str, ...] = ()
    """Where the image keeps agents' CLIs: every path of one."""
    seed: tuple[Node, ...] = ()
    """What the image itself keeps in that HOME."""
    has_shell: bool = False
    """Whether it has the shell and the few programs that work inside it need."""
    stub_image_id: str = ""
    """Id of the image in which stubs can take the place of its own CLIs; empty where it has none."""
    notes: tuple[str, ...] = ()
    """What a reader of the report should know about how it was run, a sentence each."""
    isolation: Isolation = "fresh"
    """The one that is used, after looking whether the image allows what was asked for."""
