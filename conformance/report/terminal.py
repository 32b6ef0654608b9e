"""What a run shows to people: its progress, then what is to be mended, why, and how to repeat it.

The first screen is at most 60 lines, however much deviates: what there is to mend comes first, each
cause with one scenario in full. All of it is shown where that is asked for, and in the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Literal, TextIO

from msgspec.structs import replace

from conformance.judge.tally import NOT_RUN, RunReport
from conformance.model.cause import Cause
from conformance.model.outcome import Result, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.model.wording import asked_note, lost_note
from conformance.report.blocks import Blocks, cause_name
from conformance.report.changes import baseline_part
from conformance.report.lines import WIDTH, first_line, heading_lines, ids_line, wrapped
from conformance.report.view import View, some
from conformance.text import one_line, shortened

__all__ = ["Quiet", "Summary", "Terminal"]

#: What is said of a run: nothing in the end, its verdict alone, the first screen, or everything.
Summary = Literal["none", "quiet", "first screen", "all"]

_STYLES: dict[Result, str] = {
    "conforms": "green",
    "deviates": "bold red",
    "broke": "bold magenta",
    "unsupported": "yellow",
    "known-failure": "cyan",
}
#: Lines of the first screen, with the head and the lines of progress.
_SCREEN = 60
#: Causes in the list of the first screen, hints, and lines of whatever else there may be many of.
_LISTED, _HINTS, _FEW = 8, 2, 4
#: If more scenarios than this broke for the same reason, or are unsupported, they share a line.
_MANY = 5
#: Quoted parts of reasons, such as paths.
_QUOTED = re.compile(r"'[^']*'")
#: Lines, the first of which is in a style.
_Part = tuple[list[str], str]


class Quiet(View):
    """Says what the run came to, in one line; and what went wrong with the run as a whole."""

    def start(self, workers: int) -> None:
        """Say nothing yet."""

    def step(self) -> None:
        """Say nothing yet."""

    def finish(self) -> None:
        """Write the verdict."""
        for text in self._report.trouble:
            self._line(f"TROUBLE {one_line(text)}", "bold magenta")
        self._verdict()


class Terminal(View):
    """The view of a run that judges a probe: at the end, what deviated, why, how to repeat it."""

    def __init__(
        self,
        stream: TextIO,
        report: RunReport,
        scenarios: Mapping[str, Scenario],
        *,
        all_of_it: bool = False,
    ) -> None:
        """With *all_of_it*, each deviation is shown in full, and nothing is left out."""
        super().__init__(stream, report)
        self._all = all_of_it
        self._scenarios = scenarios
        self._blocks = Blocks(report, scenarios)

    def finish(self) -> None:
        """Write the summary."""
        super().finish()
        results = {result.id: result for result in self._report.results()}
        causes = self._causes(results)
        compared = baseline_part(self._report, whole=self._all)
        head = [*compared, *self._headline(causes, results), *self._trouble(), *self._hints()]
        tail = [*self._unjudged(results), *self._stale(), *self._advice(), *self._note()]
        if self._all:
            deviations = list(self._deviations(causes, results))
        else:
            room = _SCREEN - self.lines - _size(head) - 1
            tail = list(_capped(tail, room // 2 if causes else room))
            deviations = list(self._fitting(causes, results, room - _size(tail)))
        for lines, style in (*head, *deviations, *tail):
            for number, line in enumerate(lines):
                self._line(line, "" if number else style)
            self._line()
        self._verdict()

    def _causes(self, results: Mapping[str, ScenarioResult]) -> list[Cause]:
        """Return the causes; a deviation that has none is one."""
        found = [_deviating(cause, results) for cause in self._report.causes]
        found = [cause for cause in found if cause.scenarios]
        explained = set(chain.from_iterable(cause.scenarios for cause in found))
        for result in results.values():
            if result.result == "deviates" and result.id not in explained:
                message = result.findings[0].message if result.findings else ""
                found.append(Cause(kind="rule", name="", text=message, scenarios=(result.id,)))
        return found

    def _headline(
        self, causes: Sequence[Cause], results: Mapping[str, ScenarioResult]
    ) -> Iterator[_Part]:
        """Yield what there is to mend, most frequent first, if that is more than one thing."""
        deviating = sum(result.result == "deviates" for result in results.values())
        if len(causes) < 2:
            return
        said = f"{deviating} of {some(len(results), 'scenario')} deviate"
        lines = [f"{said}, for {some(len(causes), 'cause')}:", ""]
        listed = causes if self._all or len(causes) <= _LISTED + 1 else causes[:_LISTED]
        for cause in listed:
            # What a rule says is half of it where nothing says what was answered instead.
            text = one_line(f"{cause_name(cause)}{next(iter(cause.answers), '')}")
            if cause.kind != "rule" or not cause.answers:
                text = one_line(f"{cause_name(cause)}{cause.text}")
            lines.append(first_line(text, f"{len(cause.scenarios):>5}  "))
        if len(listed) < len(causes):
            left = causes[len(listed) :]
            count = sum(len(cause.scenarios) for cause in left)
            lines.append(f"{count:>5}  for {some(len(left), 'further cause')}")
        yield lines, _STYLES["deviates"]

    def _trouble(self) -> Iterator[_Part]:
        trouble = self._report.trouble
        shown = trouble if self._all else trouble[:_FEW]
        texts = [self._cut(f"TROUBLE {one_line(text)}", 2) for text in shown]
        lines = [line for text in texts for line in wrapped(text, hanging="  ")]
        if len(shown) < len(trouble):
            lines.append(f"and {len(trouble) - len(shown)} more")
        if lines:
            yield lines, "bold magenta"

    def _hints(self) -> Iterator[_Part]:
        hints = self._report.hints
        for hint in hints if self._all else hints[:_HINTS]:
            text = self._cut(f"DIAGNOSIS {one_line(hint)}", 5)
            yield wrapped(text, hanging="  "), "bold"

    def _cut(self, text: str, lines: int) -> str:
        """Return *text*, where not all is wanted no longer than so many *lines*."""
        return text if self._all else shortened(text, lines * (WIDTH - 10))

    def _deviations(
        self, causes: Sequence[Cause], results: Mapping[str, ScenarioResult]
    ) -> Iterator[_Part]:
        """Yield a block for each deviation, in the order of their causes."""
        shown: set[str] = set()
        for cause in causes:
            if len(cause.scenarios) > 1:
                yield heading_lines("cause", f"{cause_name(cause)}{cause.text}"), "bold"
            for id_ in cause.scenarios:
                if id_ in shown:  # two causes may have nothing but one scenario
                    continue
                shown.add(id_)
                yield self._blocks.result(results[id_], brief=False), _STYLES["deviates"]

    def _fitting(
        self, causes: Sequence[Cause], results: Mapping[str, ScenarioResult], room: int
    ) -> Iterator[_Part]:
        """Yield as many blocks, one for each cause, as fit *room* lines; the first in any case."""
        for number, cause in enumerate(causes):
            left = len(causes) - number
            rest = 2 if left > 1 else 0  # for the line that says how many are left
            forms = [self._blocks.cause(cause, results, short=short) for short in (False, True)]
            fitting = [lines for lines in forms if len(lines) + 1 + rest <= room]
            if number and not fitting:
                more = some(left, "more cause")
                yield [f"{more}: -v shows all, and so do the files of --json and --html"], ""
                return
            lines = (fitting or forms[1:])[0]
            room -= len(lines) + 1
            yield lines, _STYLES["deviates"]

    def _unjudged(self, results: Mapping[str, ScenarioResult]) -> Iterator[_Part]:
        """Yield what broke or is unsupported: one by one, or together where there are many."""
        found: dict[tuple[Result, str], list[ScenarioResult]] = {}
        for result in results.values():
            if result.result in ("broke", "unsupported"):
                # On a full disk, each scenario names another file.
                reason = _QUOTED.sub("'…'", result.reason)
                found.setdefault((result.result, reason), []).append(result)
        for key in sorted(
            found, key=lambda key: self._share_a_line(key[0], key[1], len(found[key]))
        ):
            yield from self._alike(*key, found[key])

    def _share_a_line(self, kind: Result, reason: str, count: int) -> bool:
        """Return whether so many that were not judged for the same *reason* share a line.

        Scenarios that an interrupt kept from running do, however few they are.
        """
        if self._report.interrupted and reason.startswith(NOT_RUN):
            return True
        return count > _MANY and not (self._all and kind == "unsupported")

    def _alike(self, kind: Result, reason: str, alike: Sequence[ScenarioResult]) -> Iterator[_Part]:
        """Yield what to show of results that were not judged for the same *reason*."""
        if not self._share_a_line(kind, reason, len(alike)):
            for result in alike:
                yield self._blocks.result(result, brief=not self._all), _STYLES[kind]
        elif reason.startswith(NOT_RUN):
            yield [f"{len(alike)} {reason}"], _STYLES[kind]
        else:
            said = f"{kind.upper()} {len(alike)} scenarios, such as {alike[0].id}: "
            yield wrapped(f"{said}{one_line(reason)}", hanging="  "), _STYLES[kind]

    def _stale(self) -> Iterator[_Part]:
        stale = self._report.stale()
        shown = stale if self._all else stale[:_FEW]
        lines = []
        for id_ in shown:
            way_out = f"take it out of {self._report.known.file}"
            lines += wrapped(f"CONFORMS {id_}, a known failure: {way_out}", hanging="  ")
        if len(shown) < len(stale):
            lines.append(f"and {len(stale) - len(shown)} more known failures that conform")
        if lines:
            yield lines, "bold red"

    def _advice(self) -> Iterator[_Part]:
        """Yield what a probe should do and does not: a block for each rule, with its scenarios."""
        contract = self._report.contract
        found: dict[str, list[tuple[str, str]]] = {}
        for result in self._report.advice():
            for finding in result.advice():
                found.setdefault(finding.rule, []).append((result.id, finding.message))
        for rule, items in found.items():
            ids = list(dict.fromkeys(id_ for id_, _ in items))
            text = one_line(contract.rules[rule].text)
            lines = wrapped(f"ADVICE {contract.rule_name(rule)}: {text}", hanging="  ")
            lines.append(ids_line("in", ids))
            lines += heading_lines("such as", items[0][1])
            yield lines, "bold yellow"

    def _note(self) -> Iterator[_Part]:
        for lost in self._report.lost_engines():
            yield wrapped(f"NOTE {lost_note(lost)}", hanging="  "), "bold yellow"
        if asked := self._report.asked():
            yield wrapped(f"NOTE {asked_note(asked)}", hanging="  "), ""


def _size(parts: Sequence[_Part]) -> int:
    """Return how many lines *parts* take, each with an empty line behind it."""
    return sum(len(lines) + 1 for lines, _ in parts)


def _capped(parts: Sequence[_Part], room: int) -> Iterator[_Part]:
    """Yield as many of *parts* as fit *room* lines, and a line that says how many do not."""
    for number, part in enumerate(parts):
        rest = 2 if number + 1 < len(parts) else 0
        room -= len(part[0]) + 1
        if room < rest:
            yield [f"{some(len(parts) - number, 'more note')}: -v shows all"], ""
            return
        yield part


def _deviating(cause: Cause, results: Mapping[str, ScenarioResult]) -> Cause:
    """Return *cause* without known failures, which nobody has to look at now."""
    ids = tuple(id_ for id_ in cause.scenarios if results[id_].result == "deviates")
    return replace(cause, scenarios=ids)
