"""A trend of reports, for people and as a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import to_builtins

from conformance.compare.history import History, Point, Trend
from conformance.model.change import ChangeKind, Changes, changes_document
from conformance.text import one_line, shortened

__all__ = ["history_document", "trend_lines"]

_WIDTH = 80
#: Marks of a small curve, from little to much, where the terminal has them and where it has not.
_MARKS = "▁▂▃▄▅▆▇█"
_PLAIN_MARKS = "_.-~=+*#"
#: Runs in a curve: the latest.
_CURVE = 60
#: What is said of each kind of change in the line of a run, what matters most first.
_SHORT: dict[ChangeKind, str] = {
    "regressed": "regressed",
    "no-longer-judged": "no longer judged",
    "mended": "mended",
    "new": "new",
    "changed-answer": "answered otherwise",
    "judged-again": "judged again",
    "known-by-now": "known by now",
    "asked-otherwise": "asked otherwise",
    "gone": "gone",
}
#: Ids of one kind that are named below the line of a run.
_NAMED = ("regressed", "no-longer-judged", "mended")


def trend_lines(
    trend: Trend, *, last: int, verbose: bool = False, plain: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield lines, each with a style, about the *last* runs of a *trend*.

    If *verbose*, what regressed or was mended is named. If *plain*, curves are made of ASCII.
    """
    points = trend.points[-last:]
    runs = "1 run" if len(trend.points) == 1 else f"{len(trend.points)} runs"
    yield shortened(f"contract {trend.contract}: {one_line(trend.probe)}", _WIDTH), "bold"
    if len(trend.points) > 1:
        deviating = [_deviating(point) for point in trend.points[-_CURVE:]]
        curve = _curve(deviating, _PLAIN_MARKS if plain else _MARKS)
        first, final = deviating[0], deviating[-1]
        yield f"  deviating  {curve}", ""
        yield f"             {first} at first, {max(deviating)} at most, {final} at last", ""
    yield f"  {runs}{f', the last {last} of them' if len(points) < len(trend.points) else ''}", ""
    yield "", ""
    width = max(len(_versions(point)) for point in points)
    yield f"  {'began (UTC)':<16}  {' ':<{width}}  conform deviate else  changed", ""
    for point in points:
        yield from _point_lines(point, width, verbose=verbose)


def history_document(found: History, passed_over: Sequence[str], copies: int) -> dict[str, Any]:
    """Return *found* as built-in types."""
    return {
        "schema_version": 1,
        "trends": [
            {
                "contract": trend.contract,
                "probe": trend.probe,
                "points": [_point_document(point) for point in trend.points],
            }
            for trend in found.trends
        ],
        "passed_over": list(passed_over),
        "copies": copies,
    }


def _point_document(point: Point) -> dict[str, Any]:
    members: dict[str, Any] = to_builtins(point)
    return members | {"changes": changes_document(point.changes) if point.changes else None}


def _versions(point: Point) -> str:
    """Return the versions of the suite and of the contract."""
    return shortened(one_line(f"{point.suite}/{point.version}"), 14)


def _point_lines(point: Point, width: int, *, verbose: bool) -> Iterator[tuple[str, str]]:
    """Yield the line of a run, with *width* columns for its versions, and what belongs below."""
    conform, deviate = point.counts.get("conforms", 0), _deviating(point)
    unjudged = str(point.scenarios - conform - deviate or "")
    when = f"  {_minute(point.started):<16}  {_versions(point):<{width}}"
    head = f"{when}  {conform:>7} {deviate:>7} {unjudged:>4}"
    words = [*(["INTERRUPTED"] if point.interrupted else []), *_changed(point.changes)]
    worse = point.changes is not None and bool(point.changes.worse())
    line = shortened(f"{head}  {', '.join(words)}".rstrip(), _WIDTH)
    yield line, "red" if worse else ""
    if verbose and point.changes is not None:
        for kind in _NAMED:
            for change in point.changes.changes:
                if change.kind == kind:
                    yield f"      {_SHORT[kind]}: {change.id}", ""


def _changed(changes: Changes | None) -> Iterator[str]:
    """Yield what changed since the run before, in short."""
    if changes is None:
        return
    counts = changes.counts()
    yield from (f"{counts[kind]} {words}" for kind, words in _SHORT.items() if counts[kind])


def _deviating(point: Point) -> int:
    return point.counts.get("deviates", 0) + point.counts.get("known-failure", 0)


def _curve(values: Sequence[int], marks: str) -> str:
    """Return a mark for each value: the lowest for none and only for that, the highest for most."""
    most = max(values)
    steps = len(marks) - 1
    return "".join(marks[-(-value * steps // most) if most else 0] for value in values)


def _minute(started: str) -> str:
    return one_line(started[:16].replace("T", " "))
