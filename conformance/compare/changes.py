"""Two reports of runs, scenario by scenario: what got worse, what was mended, what is new.

Only what both reports know is compared. Whether a scenario is asked alike in both is seen from what
it expects, from the digest of its HOME and inputs, and from the levels of the rules; where it is
not, another result is not the probe's doing. Nothing here reads or runs anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from conformance.errors import UsageError
from conformance.model.change import CHANGE_KINDS, AnsweredBy, Change, ChangeKind, Changes
from conformance.report.answers import answer_words
from conformance.report.saved import SavedFinding, SavedReport, SavedRow, probe_words
from conformance.text import one_line, shortened

__all__ = ["answer_of", "changes", "check_baseline", "is_judged", "probe_name"]

#: Results that say something about the probe, and whether it deviates.
_DEVIATES = {"conforms": False, "deviates": True, "known-failure": True}
#: What the words for an exit code, a signal or a time-out say already.
_SAID = {"wrong-verdict", "outside-contract", "killed-by-signal", "timed-out"}
#: Steps of a gate that are answered.
_ASKED = ("check", "claim")
#: Characters of a reason that are shown.
_LONGEST = 120
_LEFT_OUT = "left out: the run was cut short"


def changes(
    old: SavedReport,
    new: SavedReport,
    *,
    old_name: str = "",
    new_name: str = "",
    only: Iterable[str] | None = None,
) -> Changes:
    """Return what changed from *old* to *new*; messages call the reports by these names.

    With *only*, no scenario but those with these ids is compared.

    :raises UsageError: they are about different contracts.
    """
    _check_contracts(old, new, old_name, new_name)
    before, now = old.rows(), new.rows()
    now |= {id_: _left_out(id_, before) for id_ in new.left_out if id_ not in now}
    ids = sorted(before.keys() | now.keys())
    chosen = {*ids} if only is None else {*only} | now.keys()
    pair = _Pair(old, new)
    found = [pair.change(before.get(id_), now.get(id_)) for id_ in ids if id_ in chosen]
    changed = [change for change in found if change is not None]
    other = {change.id for change in changed}
    alike = [now[id_] for id_ in ids if id_ in now and id_ in before and id_ not in other]
    return Changes(
        old=_side(old, old_name or "the old report"),
        new=_side(new, new_name or "the new report"),
        changes=tuple(sorted(changed, key=lambda one: (CHANGE_KINDS.index(one.kind), one.id))),
        same=len(alike),
        same_deviating=sum(_DEVIATES.get(row.result, False) for row in alike),
        outside=len({*before} - chosen),
        notes=tuple(_notes(old, new)),
    )


def check_baseline(report: SavedReport, name: str, contract: str, ids: Iterable[str]) -> None:
    """Refuse a *report*, called *name*, against which a run of the scenarios *ids* says nothing.

    :raises UsageError: it is about another contract, or judged none of these scenarios.
    """
    if report.contract.name != contract:
        cause = f"{name} is about contract '{report.contract.name}', and this run about"
        raise UsageError(f"{cause} '{contract}'", hint="name a report of the same contract")
    rows = report.rows()
    if not any(id_ in rows and is_judged(rows[id_]) for id_ in ids):
        cause = f"{name} has judged none of the scenarios that are to run"
        raise UsageError(cause, hint="name a report of a run that has")


def is_judged(row: SavedRow) -> bool:
    """Return whether the result of *row* says something about the probe."""
    return row.result in _DEVIATES


def probe_name(report: SavedReport) -> str:
    """Return what the probe of *report* is: two reports of one probe have the same name.

    The digest of an image is no part of it, because each build has another.
    """
    probe = report.probe
    if isinstance(image := probe.get("image"), str):
        probe = {**probe, "image": image.partition("@")[0]}
    return one_line(probe_words(probe))


def answer_of(row: SavedRow) -> str:
    """Return in short what the probe answered, or why it was not judged."""
    if not is_judged(row):
        return shortened(one_line(row.reason) or row.result, _LONGEST)
    kinds = [finding.kind for finding in _counted(row)]
    return ", ".join(
        [answer_words(row), *(kind for kind in dict.fromkeys(kinds) if kind not in _SAID)]
    )


class _Pair:
    """Tells what became of a scenario, in reports that may be of different versions."""

    def __init__(self, old: SavedReport, new: SavedReport) -> None:
        self.old = old
        self.new = new

    def change(self, before: SavedRow | None, now: SavedRow | None) -> Change | None:
        """Return what became of a scenario; None where nothing did."""
        if now is None:
            return None if before is None else _change("gone", before, None)
        if before is None:
            return _change("new", None, now)
        if note := _expects_otherwise(before, now):
            return _change("asked-otherwise", before, now, note=note)
        if not is_judged(before) or not is_judged(now):
            return _unjudged(before, now)
        found = self._judged(before, now)
        if before.digest and now.digest and before.digest != now.digest:
            if found is None or before.result == now.result == "conforms":
                return None
            note = "its HOME or its inputs are others now"
            return replace(found, kind="asked-otherwise", worse=False, note=note)
        return found

    def _judged(self, before: SavedRow, now: SavedRow) -> Change | None:
        """Return what became of a scenario that was judged in both."""
        match _DEVIATES[before.result], _DEVIATES[now.result]:
            case False, True:
                return self._fell(before, now)
            case True, False:
                return self._rose(before, now)
            case True, True:
                return self._deviates_still(before, now)
        if _signature(before) == _signature(now):
            return None
        return _change("changed-answer", before, now, note="the contract leaves this open")

    def _fell(self, before: SavedRow, now: SavedRow) -> Change:
        """Return what became of a scenario that conformed, and deviates."""
        counted = _counted(now)
        newly = [one for one in counted if self._is_new(one, before)]
        if newly and len(newly) == len(counted):
            note = f"counts now: {_rules(newly)}"
            return _change("asked-otherwise", before, now, note=note)
        if now.result == "known-failure":
            return _change("known-by-now", before, now, note=one_line(now.reason))
        return _change("regressed", before, now, worse=True)

    def _rose(self, before: SavedRow, now: SavedRow) -> Change:
        """Return what became of a scenario that deviated, and conforms."""
        counted = _counted(before)
        past = [one for one in counted if self._is_past(one, now)]
        if past and len(past) == len(counted):
            return _change("asked-otherwise", before, now, note=f"no longer counts: {_rules(past)}")
        return _change("mended", before, now)

    def _deviates_still(self, before: SavedRow, now: SavedRow) -> Change | None:
        """Return what became of a scenario that deviates in both."""
        if _signature(before) == _signature(now):
            return None
        if before.result == "known-failure" and now.result == "deviates":
            note = "it was a known failure, and is none any more"
            return _change("regressed", before, now, worse=True, note=note)
        known = {finding.kind for finding in _counted(before)}
        kinds = {finding.kind for finding in _counted(now) if not self._is_new(finding, before)}
        if now.result == "deviates" and kinds > known:
            note = f"deviates in more ways: {', '.join(sorted(kinds - known))}"
            return _change("regressed", before, now, worse=True, note=note)
        return _change("changed-answer", before, now)

    def _is_new(self, finding: SavedFinding, before: SavedRow) -> bool:
        """Return whether the old report did not count such a *finding*: by its rules, or as advice.

        A rule about a verdict has no level, so nothing is known of it here.
        """
        rule = finding.rule
        if self.old.levels and rule in self.new.levels:
            return self.old.levels.get(rule) != "must"
        return _is_advice(finding, before)

    def _is_past(self, finding: SavedFinding, now: SavedRow) -> bool:
        """Return whether the new report does not count such a *finding* any more."""
        rule = finding.rule
        if self.new.levels and rule in self.old.levels and rule not in self.new.levels:
            return True
        return _is_advice(finding, now)


def _is_advice(finding: SavedFinding, row: SavedRow) -> bool:
    """Return whether *row* has a finding like this one, as advice."""
    return any(one.kind == finding.kind and one.level == "should" for one in row.findings)


def _counted(row: SavedRow) -> list[SavedFinding]:
    return [finding for finding in row.findings if finding.level == "must"]


def _rules(findings: Sequence[SavedFinding]) -> str:
    return ", ".join(dict.fromkeys(finding.rule or finding.kind for finding in findings))


def _signature(row: SavedRow) -> tuple[object, ...]:
    """Return what was answered, without what differs from run to run, such as times."""
    steps = [step.get("got") for step in row.steps if step.get("operation") in _ASKED]
    kinds = frozenset(finding.kind for finding in _counted(row))
    return (row.code, row.signal, row.verdict, kinds, tuple(map(str, steps)))


def _expects_otherwise(before: SavedRow, now: SavedRow) -> str:
    """Return how the expectation of a scenario has changed, or an empty string."""
    if {*before.expected} != {*now.expected}:
        return f"expected {' or '.join(before.expected)}, now {' or '.join(now.expected)}"
    codes, codes_now = {*before.expected_codes}, {*now.expected_codes}
    if codes and codes_now and codes != codes_now:
        return f"the codes that conform were {_listed(codes)}, and are {_listed(codes_now)}"
    return ""


def _listed(codes: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(codes)))


def _unjudged(before: SavedRow, now: SavedRow) -> Change | None:
    """Return what became of a scenario that one of the reports, or both, could not judge."""
    if is_judged(before):
        conformed = not _DEVIATES[before.result]
        return _change("no-longer-judged", before, now, worse=conformed)
    return _change("judged-again", before, now) if is_judged(now) else None


def _left_out(id_: str, before: Mapping[str, SavedRow]) -> SavedRow:
    """Return the row of a scenario that was to run, and was left out."""
    known = before.get(id_)
    blank = SavedRow(id=id_, agent="", expected=(), result="broke", reason=_LEFT_OUT)
    return replace(blank, expected=known.expected) if known is not None else blank


def _change(
    kind: ChangeKind,
    before: SavedRow | None,
    now: SavedRow | None,
    *,
    worse: bool = False,
    note: str = "",
) -> Change:
    row = now or before
    assert row is not None, "a change is about a scenario of at least one report"
    return Change(
        kind=kind,
        id=row.id,
        worse=worse,
        before=before.result if before is not None else "",
        now=now.result if now is not None else "",
        answer_before=answer_of(before) if before is not None else "",
        answer_now=answer_of(now) if now is not None else "",
        note=note,
    )


def _check_contracts(old: SavedReport, new: SavedReport, old_name: str, new_name: str) -> None:
    """Refuse reports about different contracts, also where one of these extends the other.

    The same verdict may stand for another code there, and the same code for another verdict. What a
    contract extended when an old report was written, nobody can tell any more.

    :raises UsageError: the contracts differ.
    """
    if old.contract.name != new.contract.name:
        cause = (
            f"{old_name or 'the old report'} is about contract '{old.contract.name}', "
            f"and {new_name or 'the new report'} about '{new.contract.name}'"
        )
        hint = "compare reports of one contract; compare runs probes under several"
        raise UsageError(cause, hint=hint)


def _side(report: SavedReport, name: str) -> AnsweredBy:
    return AnsweredBy(
        name=name,
        probe=probe_name(report),
        started=report.started,
        suite=report.suite.version,
        contract=report.contract.name,
        version=report.contract.version,
    )


def _notes(old: SavedReport, new: SavedReport) -> Iterator[str]:
    """Yield what keeps the reports from being compared as a whole."""
    if old.suite.version != new.suite.version:
        yield f"suite {old.suite.version} wrote the old report, {new.suite.version} the new one"
    name = old.contract.name
    if old.contract.version != new.contract.version:
        yield f"contract {name} was version {old.contract.version}, now {new.contract.version}"
    if old.as_of != new.as_of:
        was, now = (f"version {one}" if one else "the present" for one in (old.as_of, new.as_of))
        yield f"the old run was about {was} of the contract, the new one about {now}"
    if old.strict != new.strict:
        yield f"advice counts in the {'new' if new.strict else 'old'} run only (--strict)"
    for which, report in (("old", old), ("new", new)):
        if report.shard is not None:
            yield f"the {which} report is about {report.shard.words} alone"
        if report.interrupted:
            yield f"the {which} run was interrupted"
        if report.trouble:
            yield f"the {which} run had trouble: {shortened(one_line(report.trouble[0]), _LONGEST)}"
