"""What is asked of an image, and what was found out about it: plain values, sent to the workers."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from conformance.errors import UsageError
from conformance.home import Node

__all__ = [
    "ASIDE",
    "OTHER_ARCHITECTURE",
    "SILENT",
    "Confinement",
    "ImageFacts",
    "ImageRequest",
    "Isolation",
    "check_reference",
]

Isolation = Literal["fresh", "shared", "both"]

#: What the suite puts beside the HOME in a container: stub CLIs, and the opposite home.
ASIDE = "/.probe-conformance"

_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_ID = r"(?:sha256:)?[0-9a-f]{12,64}"
_TAG = r"(?::[\w][\w.-]{0,127})?"
_DIGEST = r"(?:@sha256:[0-9a-f]{64})?"
#: The grammar of distribution's reference package, [host/]path[:tag][@digest], or an image id.
_REFERENCE = re.compile(rf"{_ID}|(?:{_HOST}/)?{_PART}(?:/{_PART})*{_TAG}{_DIGEST}", re.ASCII)

#: Hint for an image of another architecture that does not run here.
OTHER_ARCHITECTURE = "build it for this machine, or use an engine on the other"


def check_reference(reference: str) -> None:
    """Refuse what cannot name an image.

    :raises UsageError: *reference* cannot be parsed.
    """
    if not _REFERENCE.fullmatch(reference) or len(reference) > 512:
        hint = "write it like name, name:tag or host/name@sha256:…"
        raise UsageError(f"'{reference}' is not an image reference", hint=hint)


#: Why a scenario was not run: with an image that never ends, a full run would take hours.
SILENT = "not run: the image has not answered in any scenario so far"


class Confinement(Struct, frozen=True, kw_only=True):
    """What a container may do. The defaults are all that a probe needs."""

    network: str = "none"
    """The engine's name of a network; ``none`` has only the loopback interface."""
    cap_add: tuple[str, ...] = ()
    """Capabilities that are not dropped."""
    memory: str = "1g"
    """Limit of memory, swap included: bytes, or with a unit such as ``512m``."""
    writable: bool | None = None
    """Whether the root file system may be written to. None: only in a container of its own."""
    pids: int = 512
    """How many processes and threads it may have at a time."""


class ImageRequest(Struct, frozen=True, kw_only=True, tag="image"):
    """The image under test, and how to run it."""

    reference: str
    isolation: Isolation = "fresh"
    entrypoint: tuple[str, ...] | None = None
    """Replaces the image's own; None keeps it."""
    command: tuple[str, ...] | None = None
    user: str = ""
    """Replaces the image's own: a name or uid, optionally with a colon and a group."""
    confinement: Confinement = Confinement()
    engines: tuple[str, ...] = ()
    """The engines that it runs on, by URL or docker context; none for the one that is here."""
    platform: str = ""
    """What the image has to be for, such as ``linux/arm64``; empty for whatever it is for."""


class ImageFacts(Struct, frozen=True, kw_only=True):
    """What is looked up once per run, on each of its engines."""

    name: str = ""
    """The engine, as the user calls it; empty for the one that is here."""
    tunnel: str = ""
    """The path of a socket that leads to it; empty for one that is reached without."""
    took: float = 0.0
    """Seconds that it took to answer all this, which tells a fast engine from a slow one."""
    id: str
    """The digest of the image's configuration, which names the content on every engine."""
    digest: str
    """The image's name in a registry; empty for an image that was never in one."""
    repo_digests: tuple[str, ...] = ()
    """All its names in registries, each ``REPOSITORY@DIGEST``."""
    platform: str = ""
    """What it is for, such as ``linux/amd64``."""
    engine: str
    """Name and version of the engine."""
    architecture_warning: str = ""
    """Says that the image is for another processor than the engine's; some machines can run it."""
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: dict[str, str]
    directory: str
    """The directory that its process starts in."""
    user: str
    uid: int
    gid: int
    home: str
    """The HOME of that user, or the directory that the homes are put in instead."""
    cli_paths: tuple[str, ...] = ()
    """Every path of an agent's CLI in the image."""
    seed: tuple[Node, ...] = ()
    """The image's own files in that HOME."""
    has_shell: bool = False
    """Whether it has a shell, and the few programs that work inside it needs."""
    stub_image_id: str = ""
    """Id of the image in which stubs can replace its own CLIs; empty if it has none."""
    notes: tuple[str, ...] = ()
    """What a reader of the report should know about how it was run, a sentence each."""
    isolation: Isolation = "fresh"
    """The isolation in use, after checking that the image allows the one asked for."""

    @property
    def digests(self) -> frozenset[str]:
        """Every digest that registries know it by, without names."""
        return frozenset(name.rpartition("@")[2] for name in self.repo_digests)
