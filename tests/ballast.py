"""Homes as they are found: a scenario of the catalogue among what agents, editors and package managers leave.

The rule that decides stays the same, and so does what it calls for, as far as a caller checks that.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from conformance.model.scenario import Entry, EntryKind, Json, Scenario, Text

__all__ = ["FEWEST", "MOST", "laden"]

FEWEST, MOST = 50, 2_000

_WORDS = (
    "api",
    "build",
    "core",
    "docs",
    "edge",
    "form",
    "grid",
    "home",
    "infra",
    "jobs",
    "kit",
    "lib",
)
#: Below these directories in a HOME lies what no contract speaks of.
_OUTSIDE = (
    ".cache/pip/http",
    ".npm/_cacache/content-v2",
    ".config/editor",
    ".local/share/uv",
    "work",
    ".codex/sessions",
)
_INSIDE = (
    ".claude/projects",
    ".claude/plugins/repos",
    ".claude/shell-snapshots",
    ".claude/todos",
    ".claude/statsig",
)


def laden(scenario: Scenario, seed: int, same_case: Callable[[Scenario], bool]) -> Scenario:
    """Return *scenario* with ballast: 50 to 2,000 entries in all, and further members in its JSON documents.

    Ballast lies in `.claude` as well, unless it would make another case there; and in one directory alone where the
    others must not be there.
    """
    for places in ((*_OUTSIDE, *_INSIDE, *_INSIDE), _OUTSIDE, ("work",)):
        rng = random.Random(f"{scenario.id} {seed}")
        # As many small homes as large ones: the exponent is what is drawn.
        count = round(FEWEST * (MOST / FEWEST) ** rng.random())
        entries = [_with_members(entry, rng) for entry in scenario.entries]
        entries += _ballast(rng, places, count - len(entries), {entry.path for entry in entries})
        rng.shuffle(entries)
        found = replace(scenario, entries=tuple(entries))
        if same_case(found):
            return found
    raise AssertionError(f"no ballast leaves {scenario.id} as it is")


def _ballast(
    rng: random.Random, places: tuple[str, ...], count: int, taken: set[str]
) -> Iterator[Entry]:
    files: set[str] = set()
    above: set[str] = set()
    while count > 0:
        path = "/".join(
            [
                rng.choice(places),
                *rng.choices(_WORDS, k=rng.randrange(5)),
                f"{rng.randrange(16**6):06x}",
            ]
        )
        parts = path.split("/")
        parents = {"/".join(parts[:end]) for end in range(1, len(parts))}
        if path in taken | above | files or parents & (taken | files):
            continue
        kind: EntryKind = rng.choice(
            ("file", "file", "file", "file", "file", "directory", "symlink")
        )
        above |= parents
        files.add(path)
        count -= 1
        yield _entry(rng, path, kind)


def _entry(rng: random.Random, path: str, kind: EntryKind) -> Entry:
    if kind == "symlink":
        return Entry(
            path=path,
            kind=kind,
            target=rng.choice(("../current", "{home}/gone/nowhere", "latest.json")),
        )
    mode = rng.choice((None, None, 0o644, 0o640) if kind == "file" else (None, 0o755, 0o750))
    mtime = rng.choice(("", "{now-3d}", "{now-90m}"))
    if kind == "directory":
        return Entry(path=path, kind=kind, mode=mode, mtime=mtime)
    if rng.random() < 0.3:
        return Entry(path=path, kind=kind, size=rng.randrange(4096), mode=mode, mtime=mtime)
    content: Json | Text = Json({"version": rng.randrange(9), "name": rng.choice(_WORDS)})
    if rng.random() < 0.5:
        content = Text("".join(f'{{"type": "user", "n": {n}}}\n' for n in range(rng.randrange(5))))
    return Entry(path=path, kind=kind, content=content, mode=mode, mtime=mtime)


def _with_members(entry: Entry, rng: random.Random) -> Entry:
    """Return *entry* with members of which no rule speaks, if it is a JSON object."""
    if not isinstance(entry.content, Json) or not isinstance(entry.content.value, dict):
        return entry
    members: list[tuple[str, Any]] = list(entry.content.value.items())
    for number in range(rng.randrange(4, 40)):
        value: Any = rng.choice(
            (number, True, rng.choice(_WORDS), [1, 2], {"seen": {"at": number}})
        )
        members.insert(
            rng.randrange(len(members) + 1), (f"x{rng.choice(_WORDS).title()}{number}", value)
        )
    return replace(entry, content=Json(dict(members)))
