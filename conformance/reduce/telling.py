"""What tells a reader most about a HOME: where anything of several will do, that should be left.

A session file says what a reader has to know of a login; a transcript of which only the size is
known, under a made-up name, says nothing. Both are files to a probe.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import msgspec

from conformance.capture.known import known
from conformance.model.scenario import Entry, Text
from conformance.reduce.known import known_members, known_paths

__all__ = ["Telling", "least_first", "member_tells", "telling"]

#: Sorts what tells least first.
Telling = tuple[bool, ...]

_encode = msgspec.msgpack.Encoder().encode


def telling(entry: Entry) -> Telling:
    """Return how much *entry* tells.

    Most does what holds a credential, or is called so; then what known logins and layers have; then
    what has a name that the catalogue or the CLIs know, which a made-up one is not; then what says
    more than its size.
    """
    content = _encode(entry.content)
    holds_secret = b"{secret" in content or b":jwt}" in content
    return (
        holds_secret or known().is_secret(entry.path),
        entry.path in known_paths(),
        all(map(_is_known, entry.path.split("/"))),
        entry.kind != "file" or entry.content not in (None, Text("")),
    )


def least_first(entries: Iterable[Entry]) -> Sequence[Entry]:
    """Return *entries*, those first that tell least."""
    return sorted(entries, key=lambda entry: (telling(entry), entry.path))


def member_tells(key: str | int) -> bool:
    """Return whether a member called *key*, or an item of a list, is one that known logins have."""
    return isinstance(key, int) or key in known_members()


@cache
def _is_known(name: str) -> bool:
    return known().is_name(name)
