"""Judge the credential file that an entrypoint makes from a variable."""

from __future__ import annotations

import json
from collections.abc import Iterator

from conformance.model.outcome import FindingKind
from conformance.model.start import FileSeen, SeedSeen, StartSeen

__all__ = ["seed_findings"]

#: Rights of others than the owner: all of them, and to read.
_OTHERS, _READ_BY_OTHERS = 0o077, 0o044


def seed_findings(seen: StartSeen, *, started: bool) -> Iterator[tuple[FindingKind, str]]:
    """Yield what is wrong with the file after a start: the kind of a finding, and its message.

    What is right depends on what lay there before. A good one stays as it is. Where there is none,
    one is made. A broken one is made good, or left and named in what the entrypoint prints; one
    that has *started* nothing has not taken it for good either.
    """
    seed = seen.seed
    if seed is None:
        return
    made = seed.after.kind == "file" and seed.after != seed.before
    if _is_good(seed.before):
        if seed.after != seed.before:
            yield "overwrote-login", f"{seed.path}, a good file, {_became(seed)}"
        return
    if not _gives(seed):
        yield from _without_session(seed, seen)
    elif _through(seed):
        message = f"{seed.path} is a link to {seed.before.target}, which was not there"
        yield "wrote-through-link", f"{message}: it was written through"
    elif not started and seed.after == seed.before:
        pass
    elif not seed.before.kind:
        yield from _made(seed)
    elif not _holds(seed.after, seed.given) and not _left_and_named(seed, seen):
        what = f"{seed.path} was {_words(seed.before)}, {_became(seed)}, and nothing says so"
        yield "taken-for-good", f"{what}, though {seed.variable} is set"
    if made and seed.after.content:
        yield from _modes(seed, seen)


def _is_good(file: FileSeen) -> bool:
    """Return whether *file* holds what a login may be: a JSON object with something in it."""
    if file.kind not in ("file", "symlink") or not file.content:
        return False
    try:
        return isinstance(found := json.loads(file.content), dict) and bool(found)
    except (ValueError, RecursionError):
        return False


def _gives(seed: SeedSeen) -> bool:
    """Return whether the variable holds something that the file could be made from."""
    if seed.given is None:
        return False
    # What is no text came as bytes, as in every environment.
    given = seed.given.encode(errors="surrogateescape")
    return _is_good(FileSeen(kind="file", content=given))


def _holds(file: FileSeen, given: str | None) -> bool:
    """Return whether *file* is a regular one and holds what was *given*."""
    if file.kind != "file" or file.content is None or given is None:
        return False
    try:
        return bool(json.loads(file.content) == json.loads(given))
    except (ValueError, RecursionError):
        return False


def _through(seed: SeedSeen) -> bool:
    dangled = seed.before.kind == "symlink" and seed.before.content is None
    return dangled and seed.after.kind == "symlink" and seed.after.content is not None


def _left_and_named(seed: SeedSeen, seen: StartSeen) -> bool:
    return seed.after == seed.before and seed.path.rpartition("/")[2].encode() in seen.said


def _without_session(seed: SeedSeen, seen: StartSeen) -> Iterator[tuple[FindingKind, str]]:
    """Yield what is wrong where the variable gives nothing to make a good file from."""
    if seed.after == seed.before or seed.after.kind == "":
        return
    given = (seed.given or "").strip()
    if not given:
        what = "is not set" if seed.given is None else "is blank"
        yield "wrong-seed", f"{seed.path} {_became(seed)}, though {seed.variable} {what}"
    elif seed.variable.encode() not in seen.said and seed.path.encode() not in seen.said:
        what = f"{seed.path} {_became(seed)}, and nothing says so"
        yield "seeded-junk", f"{what}, though {seed.variable} holds no credentials"


def _made(seed: SeedSeen) -> Iterator[tuple[FindingKind, str]]:
    if not _holds(seed.after, seed.given):
        got = f"is {_words(seed.after)}" if seed.after.kind else "is not there"
        what = f"expected {seed.path} with what {seed.variable} holds"
        yield "wrong-seed", f"{what}; afterwards it {got}"


def _modes(seed: SeedSeen, seen: StartSeen) -> Iterator[tuple[FindingKind, str]]:
    """Yield whether others than the owner may, or for a moment could, read what was made."""
    if seed.after.mode & _OTHERS:
        may = "may read it" if seed.after.mode & _READ_BY_OTHERS else "have rights to it"
        message = f"{seed.path} has mode {seed.after.mode:04o}: others than its owner {may}"
        yield "open-file", message
        return
    for call in seen.calls:
        if call.open_seed and not seed.before.content:
            when = call.argv[0].rpartition("/")[2]
            what = f"{seed.path} had mode {call.open_seed} and its content when {when} was started"
            yield "open-at-first", f"{what}, before it got mode {seed.after.mode:04o}"
            return


def _became(seed: SeedSeen) -> str:
    if seed.after == seed.before:
        return "was left so"
    if not seed.after.kind:
        return "was removed"
    return f"became {_words(seed.after)}" if seed.before.kind else f"was made: {_words(seed.after)}"


def _words(file: FileSeen) -> str:
    """Return in a few words what lies there; never what it holds."""
    match file.kind:
        case "":
            return "nothing"
        case "symlink":
            whole = "" if file.content is not None else ", which leads nowhere"
            return f"a link to {file.target}{whole}"
        case "file" if not file.content:
            return f"an empty file, mode {file.mode:04o}"
        case "file":
            size = f"a file of {len(file.content or b'')} bytes, mode {file.mode:04o}"
            return size if _is_good(file) else f"{size}, that holds no login"
        case _:
            return f"a {file.kind}" if file.kind != "other" else "neither file nor directory"
