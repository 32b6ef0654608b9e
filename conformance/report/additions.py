"""What is added to nearly every HOME: one habit of a probe or an entrypoint, not many defects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from conformance.model.entrypoint import STARTED
from conformance.report.evidence import FEWEST, Evidence, Hint, Seen

__all__ = ["additions"]

#: How a change of the HOME says that something is new there.
_ADDED = re.compile(r"added (.*) \((\w+), mode ", re.DOTALL)
#: So many places are named; more than that are no habit that an option would name one by one.
_MOST = 4


def additions(evidence: Evidence, *, image: bool) -> list[Hint]:
    """Return a hint that names the option for what is added to nearly every HOME, if anything is.

    Nearly every one is three quarters: there are homes that cannot be written to, and programs that
    end before they come to it.
    """
    starts = evidence.contract.entrypoint is not None
    if starts:  # what starts nothing writes nothing either
        evidence = evidence.part(seen for seen in evidence if seen.result.verdict == STARTED)
    seen_in: Counter[str] = Counter()
    for seen in evidence:
        seen_in.update(set(_tops(seen)))
    common = [top for top, count in sorted(seen_in.items()) if 4 * count >= 3 * len(evidence)]
    having = evidence.part(seen for seen in evidence if set(_tops(seen)) & set(common))
    # Its scenarios are few files, and each variant is another start.
    enough = having.enough or (starts and len(having) >= FEWEST)
    if not (0 < len(common) <= _MOST and enough):
        return []
    patterns = [_pattern(top, having) for top in common]
    options = " ".join(f"--allow-write {_quoted(pattern)}" for pattern in patterns)
    who = "the entrypoint, or the probe," if image else "the probe"
    if starts:
        who = "the entrypoint"
    said = f"in {len(having)} of {len(evidence)} scenarios {who} adds the same to the HOME"
    explains = frozenset(s.id for s in having if s.only("changed-home") and _all_in(s, common))
    return [Hint(f"{said}; where that is meant to be, name it: {options}", explains)]


def _added(seen: Seen) -> Iterator[tuple[str, str]]:
    """Yield the path and the kind of everything that is new in a HOME."""
    for line in seen.result.changes:
        if found := _ADDED.match(line):
            yield found[1], found[2]


def _tops(seen: Seen) -> Iterator[str]:
    """Yield the paths of what is new, without those that lie below others."""
    paths = {path for path, _ in _added(seen)}
    for path in paths:
        parts = path.split("/")
        if not any("/".join(parts[:end]) in paths for end in range(1, len(parts))):
            yield path


def _pattern(top: str, having: Evidence) -> str:
    """Return the pattern that names *top*, and what lies below it where it is a directory."""
    kinds = {kind for seen in having for path, kind in _added(seen) if path == top}
    return f"{top}/**" if "directory" in kinds else top


def _quoted(pattern: str) -> str:
    return f"'{pattern}'" if "'" not in pattern else f'"{pattern}"'


def _all_in(seen: Seen, common: list[str]) -> bool:
    """Return whether all changes of a HOME are additions in these places."""
    return len(seen.result.changes) == len(list(_added(seen))) and set(_tops(seen)) <= set(common)
