"""From the options about an image to a checked request, and back to the words of a command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from conformance.drivers.container.request import Confinement, ImageRequest, check_reference
from conformance.errors import UsageError

__all__ = ["IMAGE_OPTIONS", "image_request", "image_words"]

#: The options that only say something about an image, as their parameters are called.
IMAGE_OPTIONS = ("isolation", "entrypoint", "command", "user", "network", "cap_add", "memory", "read_only")


def image_request(image: str | None, options: Mapping[str, Any]) -> ImageRequest | None:
    """Return what is asked of *image*, or None where the probe is not an image.

    :raises UsageError: one of the *options* is wrong, or is about an image where there is none.
    """
    given = [name for name in IMAGE_OPTIONS if options.get(name) not in (None, ())]
    if image is None:
        if given:
            raise UsageError(f"{_option(given[0], options)} is about an image", hint="name one with --image")
        return None
    check_reference(image)
    if options["network"] == "":
        raise UsageError("--network is empty", hint="name a network of the engine, or leave it out for none")
    defaults = Confinement()
    memory = defaults.memory if options["memory"] is None else options["memory"]
    if not re.fullmatch(r"[1-9][0-9]*[bkmgBKMG]?", memory):
        raise UsageError(f"--memory '{memory}' is no size", hint="write it like 512m or 2g")
    for capability in options["cap_add"]:
        if not re.fullmatch(r"(CAP_)?[A-Z_]+", capability):
            raise UsageError(f"--cap-add '{capability}' is no capability", hint="write it like NET_RAW")
    if options["user"] is not None and not re.fullmatch(r"[^\s:]+(:[^\s:]+)?", options["user"]):
        raise UsageError(f"--user '{options['user']}' is no user", hint="write it like 10001, 10001:0 or agent")
    return ImageRequest(
        reference=image,
        isolation=options["isolation"] or "fresh",
        entrypoint=_words("entrypoint", options),
        command=_words("command", options),
        user=options["user"] or "",
        confinement=Confinement(
            network=options["network"] or defaults.network,
            cap_add=tuple(options["cap_add"]),
            memory=memory,
            writable=None if options["read_only"] is None else not options["read_only"],
        ),
    )


def _words(name: str, options: Mapping[str, Any]) -> tuple[str, ...] | None:
    if options[name] is None:
        return None
    try:
        words = tuple(shlex.split(options[name]))
    except ValueError as e:
        raise UsageError(f"--{name} cannot be split: {str(e).lower()}", hint="quote it like in a shell") from None
    if name == "entrypoint" and not (words and words[0]):
        raise UsageError("--entrypoint is empty", hint="name a program in the image")
    return words


def image_words(options: Mapping[str, Any]) -> list[str]:
    """Return the words that ask for the same image in the same way."""
    if options.get("image") is None:
        return []
    words = ["--image", options["image"]]
    for name in ("isolation", "entrypoint", "command", "user", "network", "memory"):
        if options[name] is not None:
            words += [f"--{name}", options[name]]
    for capability in options["cap_add"]:
        words += ["--cap-add", capability]
    return words + ([_option("read_only", options)] if options["read_only"] is not None else [])


def _option(name: str, options: Mapping[str, Any]) -> str:
    if name == "read_only":
        return "--read-only" if options[name] else "--writable"
    return f"--{name.replace('_', '-')}"
