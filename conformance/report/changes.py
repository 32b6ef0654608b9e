"""What changed between two reports, in lines for people; and what a run says of its baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from conformance.judge.tally import RunReport
from conformance.model.change import Change, ChangeKind, Changes
from conformance.text import one_line, shortened

__all__ = [
    "KIND_WORDS",
    "Line",
    "baseline_part",
    "baseline_verdict",
    "change_lines",
    "outcome",
    "side_lines",
    "summary_lines",
]

#: A line, and its style where there are colours.
Line = tuple[str, str]

#: Columns of a line, of which a run indents some by two more. A long id on its own may take more.
_WIDTH = 78
#: How many scenarios of a kind are shown with their answers, where there is room.
_SHOWN = {"regressed": 6, "no-longer-judged": 4}
_SHOWN_OTHERS = 2
#: Lines that a run has for the scenarios that changed: it has much else to say.
_IN_A_RUN = 18

#: What each kind is called where it is counted; what is worst comes first.
KIND_WORDS: dict[ChangeKind, str] = {
    "regressed": "regressed",
    "no-longer-judged": "no longer judged",
    "changed-answer": "answered otherwise",
    "known-by-now": "known failures by now",
    "asked-otherwise": "asked otherwise, so not compared",
    "new": "new",
    "judged-again": "judged again",
    "mended": "mended",
    "gone": "gone",
}
_STYLES: dict[ChangeKind, str] = {
    "regressed": "bold red",
    "no-longer-judged": "bold magenta",
    "known-by-now": "cyan",
    "mended": "green",
}
_USUAL_STYLE = "yellow"


def outcome(changes: Changes) -> str:
    """Return in a few words what a comparison comes to."""
    worse = len(changes.worse())
    found = f"{worse} GOT WORSE" if worse else "nothing got worse"
    if unfamiliar := len(changes.unfamiliar()):
        which = "scenario that was" if unfamiliar == 1 else "scenarios that were"
        deviate = "deviates" if unfamiliar == 1 else "deviate"
        found += f"; {unfamiliar} {which} not judged before {deviate}"
    return found


def side_lines(changes: Changes) -> Iterator[str]:
    """Yield what is compared with what, and what keeps the two from being compared as a whole."""
    same_probe = changes.old.probe == changes.new.probe
    for which, side in (("old", changes.old), ("new", changes.new)):
        yield shortened(f"{which}: {_when(side.started)}  {one_line(side.name)}", _WIDTH)
        if not same_probe:
            yield shortened(f"     {side.probe}", _WIDTH)
    if same_probe:
        yield shortened(f"probe: {changes.new.probe}", _WIDTH)
    for note in changes.notes:
        yield shortened(f"note: {note}", _WIDTH)


def summary_lines(changes: Changes) -> Iterator[Line]:
    """Yield how many scenarios there are of each kind; what is worst comes first."""
    counts = changes.counts()
    for kind, words in KIND_WORDS.items():
        if counts[kind]:
            style = _STYLES.get(kind, _USUAL_STYLE)
            yield f"{counts[kind]:>5} {words}{_deviating(changes, kind)}", style
    deviating = f", {changes.same_deviating} of them deviating" if changes.same_deviating else ""
    yield f"{changes.same:>5} as before{deviating}", ""


def change_lines(changes: Changes, limit: int | None = None) -> list[Line]:
    """Return the scenarios of each kind, in no more than about *limit* lines; all if it is None.

    Each kind has a heading and a line of ids. What room is left is for what is worst.
    """
    groups = {kind: _in_order(changes.of_kind(kind)) for kind in KIND_WORDS}
    groups = {kind: found for kind, found in groups.items() if found}
    if limit is None:
        return _grouped(groups, {kind: len(found) for kind, found in groups.items()})
    shown = dict.fromkeys(groups, 0)
    for kind, found in groups.items():
        for count in range(1, min(len(found), _SHOWN.get(kind, _SHOWN_OTHERS)) + 1):
            if len(_grouped(groups, {**shown, kind: count})) > limit:
                break
            shown[kind] = count
    return _grouped(groups, shown)


def _in_order(found: Sequence[Change]) -> list[Change]:
    """Return changes of one kind with what deviates first."""
    return sorted(found, key=lambda one: (one.now != "deviates", one.id))


def _grouped(
    groups: Mapping[ChangeKind, Sequence[Change]], shown: Mapping[ChangeKind, int]
) -> list[Line]:
    """Return the lines of all kinds, with so many scenarios *shown* of each, the others named."""
    lines: list[Line] = []
    for kind, found in groups.items():
        heading = f"{KIND_WORDS[kind].upper()} ({len(found)})"
        lines += [("", ""), (heading, _STYLES.get(kind, _USUAL_STYLE))]
        for change in found[: shown[kind]]:
            lines += [(f"  {change.id}", ""), *((f"    {line}", "") for line in _what(change))]
        if rest := [change.id for change in found[shown[kind] :]]:
            lines.append((f"  {_named(rest)}", ""))
    return lines


def baseline_part(report: RunReport, *, whole: bool = False) -> Iterator[tuple[list[str], str]]:
    """Yield what a run with a baseline says of it, lines and the style of the first, once.

    With *whole*, every scenario that changed is shown. Nothing is yielded where there is none.
    """
    changes = report.changes
    if changes is None:
        return
    old = changes.old
    head = [shortened(f"AGAINST {one_line(old.name)}, {_when(old.started)}", _WIDTH)]
    head.append(f"  {outcome(changes)}")
    if old.probe != changes.new.probe:
        head.append(shortened(f"  its probe was {old.probe}", _WIDTH))
    head += [shortened(f"  note: {note}", _WIDTH) for note in changes.notes]
    head += [text for text, _ in summary_lines(changes)]
    if changes.outside:
        head.append(f"{changes.outside:>5} of the baseline did not run here")
    limit = None if whole else max(0, _IN_A_RUN - len(head))
    shown = (f"  {line}" for line, _ in change_lines(changes, limit) if line)
    yield [*head, *shown], "bold red" if changes.worse() else "bold green"


def baseline_verdict(report: RunReport) -> str:
    """Return the verdict on a run with a baseline; empty where there is none, or another rules.

    It says what the exit status says: of a run that was not judged as a whole, nothing.
    """
    status = report.exit_status()
    if report.changes is None or status not in (0, 1):
        return ""
    if worse := len(report.changes.worse()):
        return f"{worse} GOT WORSE"
    if status:  # a known failure conforms, or something was left out
        return "NOT CONFORMANT"
    return "CONFORMANT" if report.conformant() else "nothing got worse"


def _deviating(changes: Changes, kind: ChangeKind) -> str:
    """Return how many of the scenarios of a *kind* deviate, where that is not clear from it."""
    if kind not in ("new", "judged-again"):
        return ""
    count = sum(change.kind == kind for change in changes.unfamiliar())
    return f", {count} of them deviating" if count else ""


def _what(change: Change) -> Iterator[str]:
    """Yield what happened to a scenario, in lines that fit."""
    before, now = change.answer_before, change.answer_now
    if change.before != change.now:
        before, now = _told(change.before, before), _told(change.now, now)
    line = f"{before} -> {now}" if before and now else before or now
    if change.before == change.now:
        line = f"{change.now}: {line}"
    if len(line) + 4 <= _WIDTH:
        yield line
    else:
        yield shortened(before, _WIDTH - 4)
        yield shortened(f"-> {now}", _WIDTH - 4)
    if change.note:
        yield shortened(change.note, _WIDTH - 4)


def _told(result: str, answer: str) -> str:
    return f"{result}: {answer}" if result and answer else result


def _named(ids: Sequence[str]) -> str:
    """Return as many of *ids* as fit on a line, at least one, each whole, and how many more."""
    for count in range(len(ids), 1, -1):
        line = ", ".join(ids[:count]) + _more(len(ids) - count)
        if len(line) + 2 <= _WIDTH:
            return line
    return ids[0] + _more(len(ids) - 1)


def _more(count: int) -> str:
    return f", … and {count} more" if count else ""


def _when(started: str) -> str:
    """Return the minute in which a run began."""
    return one_line(started[:16].replace("T", " "))
