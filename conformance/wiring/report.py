"""What the command wiring says, to people, to pipelines and to programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, TextIO, get_args

from rich.console import Console
from rich.text import Text

from conformance import __version__
from conformance.model.contract import Level
from conformance.report.github import annotation
from conformance.report.places import Place
from conformance.text import join, one_line, shortened
from conformance.wiring.check import Checked
from conformance.wiring.findings import RULES, Finding
from conformance.wiring.runs import Request, Subject
from conformance.wiring.timeline import Timeline

__all__ = ["FORMATS", "WiringReport"]

FORMATS = ("full", "concise", "github")
_STYLES = {"must": "bold red", "should": "bold yellow"}


class WiringReport:
    """Renders what was found."""

    def __init__(
        self,
        request: Request,
        checked: Checked,
        timelines: Sequence[Timeline],
        notes: Sequence[str],
        *,
        strict: bool,
    ) -> None:
        self._request = request
        self._checked = checked
        self._timelines = list(timelines)
        self._notes = [*checked.notes, *notes]
        self._strict = strict

    @property
    def right(self) -> bool:
        """Whether no finding counts."""
        return not self._checked.counted(strict=self._strict)

    def document(self, errors: Sequence[str] = ()) -> dict[str, Any]:
        """Return the report as built-in types (schema version 1); *errors* say what is unread."""
        contract = self._request.contract
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "contract": {"name": contract.name, "version": contract.version},
            "right": self.right and not errors,
            "strict": self._strict,
            "counts": self._counts(),
            "subjects": [_subject(subject) for subject in self._checked.subjects],
            "findings": [_finding(found) for found in self._checked.findings],
            "timelines": [_timeline(timeline) for timeline in self._timelines],
            "notes": self._notes,
            "errors": list(errors),
        }

    def show(self, stream: TextIO, form: str, *, complete: bool) -> None:
        """Write it in the form called *form*, one of ``FORMATS``.

        Not *complete*, something could not be read, so nothing is said of all together.
        """
        if form == "full":
            self._show_full(stream, complete=complete)
            return
        for found in self._checked.findings:
            line = _github(found) if form == "github" else _concise(found)
            stream.write(f"{line}\n")
        for note in self._notes:
            said = annotation("notice", one_line(note), title="wiring")
            stream.write(f"{said if form == 'github' else f'note: {one_line(note)}'}\n")
        for line in self._timeline_lines():
            stream.write(f"{line}\n")
        stream.write(f"{self._verdict(complete=complete)}\n")

    def _show_full(self, stream: TextIO, *, complete: bool) -> None:
        console = Console(file=stream, highlight=False, soft_wrap=True)

        def line(text: str = "", style: str = "") -> None:
            console.print(Text(text, style=style))

        contract = self._request.contract
        line(
            f"probe-conformance {__version__}, wiring: contract {contract.name} {contract.version}"
        )
        for subject in self._checked.subjects:
            line(f"  {_seen(subject)}")
        line()
        for found in self._checked.findings:
            where = f"{found.file}:{found.line}"
            line(f"{found.level.upper()} {found.rule} {one_line(where)}", _STYLES[found.level])
            container = f", container {found.container}" if found.container else ""
            for name, text in (
                ("in", f"{found.workload}{container}: {found.path}"),
                ("finding", found.message),
                ("way out", found.way_out),
            ):
                line(f"  {name:<10} {one_line(text)}")
            line()
        for text in self._timeline_lines():
            line(text)
        for note in self._notes:
            line(f"NOTE {one_line(note)}")
        if self._notes:
            line()
        style = "bold green" if self.right and complete else "bold red"
        line(self._verdict(complete=complete), style)

    def _timeline_lines(self) -> Iterator[str]:
        heading = ""
        for timeline in self._timelines:
            times = timeline.times
            where = f"{timeline.workload}, container {timeline.container}: {timeline.kind}"
            if heading != where:
                heading = where
                yield f"TIMELINE {one_line(where)}"
                yield (
                    f"  initialDelaySeconds {times.initial_delay}, periodSeconds {times.period}, "
                    f"timeoutSeconds {times.timeout}, failureThreshold {times.failure}"
                )
                yield ""
            yield f"  A probe that {timeline.behaviour.words}:"
            for text in timeline.lines():
                yield f"    {text}"
            yield ""

    def _counts(self) -> dict[str, int]:
        """Return how many findings there are of each level."""
        levels = Counter(found.level for found in self._checked.findings)
        return {level: levels[level] for level in get_args(Level)}

    def _verdict(self, *, complete: bool) -> str:
        counts = self._counts()
        verdict = "RIGHT" if self.right else "NOT RIGHT"
        if not complete:
            verdict = "NOT ALL COULD BE READ"
        return f"{counts['must']} must, {counts['should']} should: {verdict}"


def _seen(subject: Subject) -> str:
    agent = subject.agent.name if subject.agent is not None else "not known"
    said = f"{subject.workload}, agent's container {agent}: "
    places = list(
        dict.fromkeys(
            f"init container {run.container.name}" if run.is_gate else run.where
            for run in subject.runs
        )
    )
    if not places:
        return one_line(f"{said}nothing runs the probe")
    said += f"the probe runs as {', '.join(places)}"
    if not subject.runs[0].certain:
        command = shortened(join(subject.runs[0].command.words), 60)
        said += f"; taken for the probe, since nothing else is: {command}"
    return one_line(said)


def _subject(subject: Subject) -> dict[str, Any]:
    return {
        "workload": str(subject.workload),
        "file": subject.workload.document.file,
        "line": subject.workload.document.line,
        "container": subject.agent.name if subject.agent is not None else None,
        "runs": [
            {
                "container": run.container.name,
                "where": run.where,
                "command": list(run.command.words),
                "recognised": run.certain,
                "file": run.place.file,
                "line": run.place.line,
            }
            for run in subject.runs
        ],
    }


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "rule": found.rule,
        "level": found.level,
        "text": RULES[found.rule].text,
        "message": found.message,
        "way_out": found.way_out,
        "file": found.file,
        "line": found.line,
        "path": found.path,
        "workload": found.workload,
        "container": found.container,
    }


def _timeline(timeline: Timeline) -> dict[str, Any]:
    times = timeline.times
    return {
        "workload": timeline.workload,
        "container": timeline.container,
        "kind": timeline.kind,
        "initialDelaySeconds": times.initial_delay,
        "periodSeconds": times.period,
        "timeoutSeconds": times.timeout,
        "successThreshold": times.success,
        "failureThreshold": times.failure,
        "behaviour": timeline.behaviour.words,
        "outcome": timeline.outcome,
        "attempts": [
            {
                "at": event.at,
                "until": event.until,
                "code": event.answer.code,
                "result": event.result,
            }
            for event in timeline.events
        ],
    }


def _concise(found: Finding) -> str:
    where = f"{found.file}:{found.line}: {found.level} {found.rule}"
    return one_line(f"{where}: {found.message}; {found.way_out}")


def _github(found: Finding) -> str:
    """Return the annotation of a GitHub workflow for *found*."""
    kind = "error" if found.level == "must" else "warning"
    message = one_line(f"{found.message}; {found.way_out}")
    return annotation(kind, message, title=found.rule, place=Place(found.file, found.line))
