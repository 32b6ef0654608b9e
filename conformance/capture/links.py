"""Where the links of a home lead, in the home that is captured."""

from __future__ import annotations

from conformance.capture.names import Names
from conformance.catalogue.entry_schema import MAX_PATH
from conformance.home.links import below

__all__ = ["OUTSIDE", "target"]

#: What stands for a place that is not below the HOME: nothing is there.
OUTSIDE = "outside-of-the-home"


def target(path: bytes, leads_to: bytes, home: bytes, names: Names) -> tuple[str, bool]:
    """Return where the link at *path* leads, and whether that is inside of the HOME.

    *leads_to* is its target as it was found.

    *home* is the path of the HOME that absolute links name, or empty.
    """
    inside = below(leads_to, home) if leads_to.startswith(b"/") else None
    if inside is not None:
        made = _plain(inside.split(b"/"), names, room=0)
        return (f"{{home}}/{made}".rstrip("/"), True) if made is not None else (OUTSIDE, False)
    if leads_to.startswith(b"/"):
        return OUTSIDE, False
    made = _plain(leads_to.split(b"/"), names, room=path.count(b"/"))
    return (made, True) if made is not None else (OUTSIDE, False)


def _plain(parts: list[bytes], names: Names, *, room: int) -> str | None:
    """Return the way over *parts*, with ``..`` at its start only; None if it leads outside.

    *room* is how many directories it can go up.
    """
    up = 0
    made: list[str] = []
    for part in parts:
        if part == b"..":
            if made:
                made.pop()
            else:
                up += 1
        elif part not in (b"", b"."):
            made.append(names.part(part))
    if up > room:
        return None
    found = "/".join([".."] * up + made) or "."
    return found if len(found.encode("utf-8", "surrogateescape")) <= MAX_PATH else found[:MAX_PATH]
