"""What reports say of an image: what it is, which engines it runs on, and what isolates it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.drivers.container.request import ImageFacts, ImageRequest

__all__ = ["described"]


def described(request: ImageRequest, engines: Sequence[ImageFacts]) -> dict[str, Any]:
    """Return the image of *request*, as it was found on *engines*: built-in types only."""
    facts, limits = engines[0], request.confinement
    named = [{"name": one.name, "engine": one.engine} for one in engines if one.name]
    given = {"entrypoint": request.entrypoint, "command": request.command, "user": request.user}
    return {
        "kind": "image",
        "image": request.reference,
        "digest": facts.digest or facts.id,
        "image_id": facts.id,
        "repo_digests": list(dict.fromkeys(n for one in engines for n in one.repo_digests)),
        "platform": facts.platform,
        "engine": ", ".join(dict.fromkeys(one.engine for one in engines)),
        "engines": named,
        "command": [*facts.entrypoint, *facts.command],
        "overridden": sorted(name for name, value in given.items() if value not in (None, "")),
        "user": f"{facts.uid}:{facts.gid}",
        "home": facts.home,
        "isolation": facts.isolation,
        "network": "cut" if limits.network == "none" else f"open: {limits.network}",
        "capabilities": f"kept: {' '.join(limits.cap_add)}" if limits.cap_add else "dropped",
        "memory": limits.memory,
        "notes": list(dict.fromkeys(note for one in engines for note in one.notes)),
    }
