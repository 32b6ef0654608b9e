"""What people call a container engine, checked before anything is reached."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from conformance.errors import UsageError

__all__ = [
    "SCHEMES",
    "SshPlace",
    "check_engines",
    "check_platform",
    "docker_options",
    "fits",
    "machines",
    "normal_processor",
]

#: How the URL of an engine begins.
SCHEMES = ("unix://", "ssh://", "tcp://")

#: The path of an engine's socket on another machine, if its URL does not say.
_USUAL_SOCKET = "/var/run/docker.sock"
# A name that begins with a dash would be an option of ssh, and a colon divides two paths there.
_NAME = r"(?!-)[\w.+%-]+"
_SSH = re.compile(
    rf"ssh://(?:({_NAME})@)?({_NAME}|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{1,5}}))?(/[^:\s]*)?", re.ASCII
)
_UNIX = re.compile(r"unix:///[^\0\n]+")
_TCP = re.compile(r"tcp://(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}/?", re.ASCII)
#: The names that docker lets contexts have.
_CONTEXT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]+", re.ASCII)
_PLATFORM = re.compile(r"[a-z]+/[a-z0-9_]+(?:/[a-z0-9.]+)?", re.ASCII)
#: How a machine names its processor, and how images name the same one.
_SAME = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


class SshPlace(Struct, frozen=True, kw_only=True):
    """An engine on a machine that ssh reaches."""

    host: str
    user: str
    """The user there; empty for what ssh itself would take."""
    port: str
    socket: str
    """The path of the engine's socket on that machine."""

    @classmethod
    def in_url(cls, url: str) -> SshPlace:
        """Return what *url* names, such as ``ssh://user@host:2222/run/docker.sock``.

        :raises UsageError: it names no machine, or holds a password.
        """
        found = _SSH.fullmatch(url)
        if found is None:
            hint = "write it like ssh://user@host, ssh://host:2222 or ssh://host/run/docker.sock"
            raise UsageError(f"'{_shown(url)}' is not the URL of an engine", hint=hint)
        user, host, port, path = found.groups(default="")
        return cls(
            host=host.strip("[]"), user=user, port=port, socket=path.rstrip("/") or _USUAL_SOCKET
        )


def check_engines(names: Sequence[str]) -> None:
    """Refuse what can be neither the URL of an engine nor a docker context, and what comes twice.

    :raises UsageError: one of *names* is like that.
    """
    for name in names:
        if name.startswith("ssh://"):
            SshPlace.in_url(name)
        elif not any(pattern.fullmatch(name) for pattern in (_UNIX, _TCP, _CONTEXT)):
            cause = (
                f"'{_shown(name)}' is neither the URL of an engine nor the name of a docker context"
            )
            hint = "write it like unix:///run/docker.sock, ssh://user@host or tcp://host:2376"
            raise UsageError(cause, hint=hint)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"the engine {twice[0]} is named twice", hint="name it once")


def docker_options(name: str) -> list[str]:
    """Return the options with which docker's command line uses the engine called *name*."""
    if not name:
        return []
    return ["--host" if name.startswith(SCHEMES) else "--context", name]


def machines(names: Sequence[str]) -> int:
    """Return how many machines the engines called *names* are on, as far as names tell.

    A context may lead anywhere, so it counts as another machine.
    """
    here = [name for name in names if name == "default" or name.startswith("unix://")]
    return max(1, len(names) - len(here) + bool(here))


def check_platform(platform: str) -> None:
    """Refuse what is no platform of images.

    :raises UsageError: *platform* does not look like one.
    """
    if not _PLATFORM.fullmatch(platform):
        hint = "write it like linux/amd64 or linux/arm64"
        raise UsageError(f"--platform '{platform}' is not a platform", hint=hint)


def normal_processor(name: str) -> str:
    """Return how images call the processor that a machine calls *name*."""
    return _SAME.get(name, name)


def fits(platform: str, wanted: str) -> bool:
    """Return whether an image for *platform* is one for the *wanted* platform.

    One that names no variant of a processor takes any.
    """
    return _parts(platform)[: len(_parts(wanted))] == _parts(wanted)


def _shown(name: str) -> str:
    """Return *name* as it can be shown: a password in it is for nobody's log."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:…@", name)


def _parts(platform: str) -> list[str]:
    system, _, rest = platform.partition("/")
    processor, _, variant = rest.partition("/")
    processor = normal_processor(processor)
    # Every 64-bit Arm is at least version 8, so most images leave it out.
    usual = (processor, variant) == ("arm64", "v8")
    return [system, processor, *([variant] if variant and not usual else [])]
