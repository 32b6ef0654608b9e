"""From the options about an image to a checked request, and back to a command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from conformance.cli.options import IMAGE_OPTIONS
from conformance.drivers.container.request import Confinement, ImageRequest, check_reference
from conformance.errors import UsageError

__all__ = ["image_argv", "image_request"]

#: The options that take one word.
_WORDS = (
    "image",
    "isolation",
    "entrypoint",
    "command",
    "user",
    "network",
    "memory",
    "platform",
)


def image_request(image: str | None, options: Mapping[str, Any]) -> ImageRequest | None:
    """Return what is asked of *image*, or None if the probe is not an image.

    :raises UsageError: one of the *options* is wrong, or is about an image and there is none.
    """
    if image is None:
        for name in IMAGE_OPTIONS:
            if options.get(name) not in (None, ()):
                cause = f"{_option(name, options)} is about an image"
                raise UsageError(cause, hint="name one with --image")
        return None
    check_reference(image)
    confinement = _confinement(options)
    user = options["user"]
    if user is not None and not re.fullmatch(r"[^\s:]+(:[^\s:]+)?", user):
        cause = f"--user '{user}' is not a user"
        raise UsageError(cause, hint="write it like 10001, 10001:0 or agent")
    return ImageRequest(
        reference=image,
        isolation=options["isolation"] or "fresh",
        entrypoint=_argv("entrypoint", options),
        command=_argv("command", options),
        user=user or "",
        confinement=confinement,
        engines=tuple(options["engine"]),
        platform=options["platform"] or "",
    )


def _confinement(options: Mapping[str, Any]) -> Confinement:
    """Return what the container may do.

    :raises UsageError: one of the *options* about that is wrong.
    """
    if options["network"] == "":
        hint = "name a network of the engine, or leave it out for none"
        raise UsageError("--network is empty", hint=hint)
    defaults = Confinement()
    memory = defaults.memory if options["memory"] is None else options["memory"]
    if not re.fullmatch(r"[1-9][0-9]*[bkmgBKMG]?", memory):
        raise UsageError(f"--memory '{memory}' is not a size", hint="write it like 512m or 2g")
    for capability in options["cap_add"]:
        if not re.fullmatch(r"(CAP_)?[A-Z_]+", capability):
            cause = f"--cap-add '{capability}' is not a capability"
            raise UsageError(cause, hint="write it like NET_RAW")
    return Confinement(
        network=options["network"] or defaults.network,
        cap_add=tuple(options["cap_add"]),
        memory=memory,
        writable=None if options["read_only"] is None else not options["read_only"],
    )


def _argv(name: str, options: Mapping[str, Any]) -> tuple[str, ...] | None:
    if options[name] is None:
        return None
    try:
        argv = tuple(shlex.split(options[name]))
    except ValueError as e:
        cause = f"--{name} cannot be split: {str(e).lower()}"
        raise UsageError(cause, hint="quote it like in a shell") from None
    if name == "entrypoint" and not (argv and argv[0]):
        raise UsageError("--entrypoint is empty", hint="name a program in the image")
    return argv


def image_argv(options: Mapping[str, Any]) -> list[str]:
    """Return the arguments that ask for the same image in the same way.

    Without a key for the image, another place names it, such as a settings file.
    """
    argv: list[str] = []
    if options.get("image", "") is None:
        return argv
    for name in _WORDS:
        if options.get(name) is not None:
            argv += [f"--{name}", options[name]]
    for name in ("cap_add", "engine"):
        for value in options.get(name) or ():
            argv += [_option(name, options), value]
    if options.get("read_only") is not None:
        argv.append(_option("read_only", options))
    return argv


def _option(name: str, options: Mapping[str, Any]) -> str:
    if name == "read_only":
        return "--read-only" if options[name] else "--writable"
    return f"--{name.replace('_', '-')}"
