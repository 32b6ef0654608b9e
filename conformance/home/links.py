"""Where a path in a HOME that was found leads, links and all."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from conformance.home.seen import SeenNode

__all__ = ["UNEXPANDED", "below", "expanded", "steps"]

#: What a shell replaces by the HOME at the start of a path; in a variable it is a name like others.
UNEXPANDED = ("~", "$HOME", "${HOME}")
#: Links in a row that a kernel follows.
_LINKS = 40


def below(path: bytes, top: bytes) -> bytes | None:
    """Return the absolute *path* as one below the HOME at *top*, or None if it lies elsewhere.

    Both are taken as they are written, without a look at any disk.
    """
    names, above = _names(path), _names(top)
    return b"/".join(names[len(above) :]) if top and names[: len(above)] == above else None


def expanded(path: str) -> str:
    """Return where a program looks below the HOME that expands *path* as a shell does.

    ``.`` is the HOME itself. Empty where it would not, or looks elsewhere.
    """
    first, _, rest = path.partition("/")
    place = posixpath.normpath(rest or ".") if first in UNEXPANDED else ""
    return "" if place.split("/")[0] == ".." else place


def steps(nodes: Mapping[bytes, SeenNode], path: bytes, top: bytes) -> Iterator[bytes]:
    """Yield each place below the HOME that a program comes by which opens *path*, itself the last.

    All but links on the way are places without a link in them; what is not in *nodes* is taken for
    a directory. The HOME is at *top*, as links in it name it. It ends early where a link leads out
    of the HOME, or into a loop.
    """
    home = _names(top or b"/\0")  # a home that nobody can name: no absolute link leads into it
    at, left, links = list(home), _names(path)[::-1], 0
    while left:
        name = left.pop()
        if name == b"..":
            at = at[:-1]
            continue
        at.append(name)
        if at[: len(home)] != home:
            if len(at) > len(home) or at != home[: len(at)]:
                return
            continue
        here = b"/".join(at[len(home) :])
        if here:
            yield here
        node = nodes.get(here)
        if node is None or node.kind != "symlink":
            continue
        links += 1
        if links > _LINKS:
            return
        at = [] if node.target.startswith(b"/") else at[:-1]
        left += _names(node.target)[::-1]


def _names(path: bytes) -> list[bytes]:
    return [name for name in path.split(b"/") if name not in (b"", b".")]
