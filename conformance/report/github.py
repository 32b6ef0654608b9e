"""Annotations of GitHub workflows: lines that the runner shows beside a change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from conformance.judge.tally import RunReport
from conformance.model.cause import Cause
from conformance.report.blocks import cause_name
from conformance.report.cases import Case, broken_rule, cases, problems
from conformance.report.places import Place, Places
from conformance.report.view import some
from conformance.text import join, one_line

__all__ = ["annotation", "escaped", "github"]

_SUITE = "probe-conformance"
#: GitHub shows so many errors of a step, and drops the others without a word.
_SHOWN = 10
#: Ids that are listed of a cause.
_LISTED = 20


def escaped(text: str, more: str = "") -> str:
    """Return *text* as a workflow command takes it: on one line, nothing in it taken for syntax.

    In a property, as opposed to a message, ``more`` is ``":,"``.
    """
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def annotation(kind: str, message: str, *, title: str = "", place: Place | None = None) -> str:
    """Return the line that makes an annotation; *kind* is error, warning or notice.

    The *message* may have several lines.
    """
    properties = []
    if place is not None:
        properties += [f"file={escaped(one_line(place.file), ':,')}", f"line={place.line}"]
    if title:
        properties.append(f"title={escaped(one_line(title), ':,')}")
    lines = "\n".join(one_line(line) for line in message.split("\n"))
    return f"::{kind} {','.join(properties)}".rstrip() + f"::{escaped(lines)}"


def github(report: RunReport, places: Places) -> Iterator[str]:
    """Yield an annotation for each thing to mend, as far as GitHub shows them, most telling first.

    They point to the file of the probe, which is where something is to be done, else to the
    scenario; a file outside of the repository would lead nowhere.
    """
    found = {case.id: case for case in cases(report)}
    errors: list[tuple[tuple[str, ...], str]] = []
    errors += [((), annotation("error", line, title=_SUITE)) for line in problems(report)]
    errors += _causes(report, places, found)
    told = {id_ for ids, _ in errors for id_ in ids}
    for case in found.values():
        if case.kind in ("fail", "error") and case.id not in told:
            errors.append(((case.id,), _case(report, places, case)))
    shown = len(errors) if len(errors) <= _SHOWN else _SHOWN - 1
    yield from (line for _, line in errors[:shown])
    if rest := [id_ for ids, _ in errors[shown:] for id_ in ids]:
        words = f"And {some(len(rest), 'more scenario')}: {_list(rest)}"
        yield annotation("error", words, title=_SUITE)
    yield from _advice(report)


def _causes(
    report: RunReport, places: Places, found: Mapping[str, Case]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield an annotation for each cause, with the scenarios that it explains and that count."""
    failing = {id_: case for id_, case in found.items() if case.kind == "fail"}
    for cause in report.causes:
        if listed := [failing[id_] for id_ in cause.scenarios if id_ in failing]:
            yield tuple(case.id for case in listed), _cause(report, places, cause, listed)


def _case(report: RunReport, places: Places, case: Case) -> str:
    place = places.of_probe(report) or places.of_scenario(case.scenario)
    if case.type == "stale-known-failure":
        place = places.of_known_failure(report, case.id)
    name, text = broken_rule(report, case)
    lines = [case.message, f"The rule: {text}" if text else "", _again(report, case.id)]
    title = f"{case.id}: {name}" if name and case.kind == "fail" else case.id
    return annotation("error", "\n".join(filter(None, lines)), title=title, place=place)


def _cause(report: RunReport, places: Places, cause: Cause, listed: Sequence[Case]) -> str:
    first = listed[0]
    ids = [case.id for case in listed]
    about = cause_name(cause) if cause.kind == "vice" else ""  # else the title says it
    lines = [
        f"{some(len(ids), 'scenario')}: {about}{one_line(cause.text)}",
        f"Such as {first.id}: {first.message}",
        f"All of them: {_list(ids)}" if len(ids) > 1 else "",
        _again(report, first.id),
    ]
    place = places.of_probe(report) or places.of_scenario(first.scenario)
    title = cause.name or first.id
    return annotation("error", "\n".join(filter(None, lines)), title=title, place=place)


def _advice(report: RunReport) -> Iterator[str]:
    """Yield a warning for each rule that a probe should keep, and does not."""
    rules: dict[str, list[tuple[str, str]]] = {}
    for result in report.advice():
        for finding in result.advice():
            rules.setdefault(finding.rule, []).append((result.id, finding.message))
    for rule, items in rules.items():
        ids = list(dict.fromkeys(id_ for id_, _ in items))
        text = f"{report.contract.rules[rule].text}\n{items[0][1]}\nIn {_list(ids)}"
        yield annotation("warning", text, title=report.contract.rule_name(rule))


def _again(report: RunReport, id_: str) -> str:
    again = report.repeat(id_)
    return f"Repeat it with: {join(again)}" if again else ""


def _list(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
    return f"{', '.join(ids[:_LISTED])}{more}"
