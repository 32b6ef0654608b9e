"""What pages are made of: plain values, which templates only have to lay out."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from conformance.report.page.shown import Block
from conformance.report.page.tree import Node
from conformance.report.verdict import Verdict

__all__ = [
    "AdviceView",
    "Answer",
    "CauseView",
    "Cell",
    "Count",
    "Head",
    "Link",
    "Origin",
    "RuleRow",
    "ScenarioView",
]


#: Findings that the answer itself shows.
_ANSWERS = {"wrong-verdict", "outside-contract", "timed-out", "killed-by-signal"}


class Link(Struct, frozen=True):
    """The name of a scenario, and where the page shows it."""

    id: str
    anchor: str
    """The fragment to go to; empty where the page does not have the scenario."""


class Count(Struct, frozen=True):
    """How many scenarios have a result."""

    result: str
    number: int
    words: str
    """The result, as it follows a number."""
    start: float
    """Where its part of a bar of 100 begins."""
    width: float


class Answer(Struct, frozen=True, kw_only=True):
    """What one probe answered in a scenario, and what was made of it."""

    result: str
    expected: str
    got: str
    reason: str
    findings: tuple[tuple[str, str, bool], ...]
    """Kind, message, and whether it is advice."""
    seconds: float
    stdout: Block
    stderr: Block
    changes: tuple[str, ...]
    outside: tuple[str, ...]
    steps: tuple[Mapping[str, object], ...]
    events: tuple[str, ...]
    repeat: str
    """The command that repeats it, ready for a shell; empty where there is none."""

    @property
    def is_wrong(self) -> bool:
        """Whether it is not the answer that was expected."""
        return any(kind in _ANSWERS for kind, _, advice in self.findings if not advice)

    @property
    def manners(self) -> list[str]:
        """The kinds of what else deviated, such as a file that was left behind."""
        kinds = (kind for kind, _, advice in self.findings if not advice and kind not in _ANSWERS)
        return list(dict.fromkeys(kinds))


class Origin(Struct, frozen=True, kw_only=True):
    """What a scenario is, whoever answered in it."""

    headline: str
    """What it is about, in words that no expectation contradicts; may be markup in backticks."""
    agent: str
    origin: str
    rule: str
    """The rule that decides, as ``slot:claude-login``; empty where none is known."""
    rule_text: str
    control: Link
    control_expects: str
    difference: tuple[str, ...]
    """What it has and lacks against its control."""
    condition: list[tuple[str, str]]
    """What is around the probe beside the files of the HOME, each with its heading."""
    home: list[Node] | None
    """None where this suite does not know the scenario."""
    story: tuple[str, ...]
    """What happens to a gate or in a login, one line each."""


class ScenarioView(Struct, frozen=True, kw_only=True):
    """One scenario of a page, with an answer of each probe that the page is about."""

    id: str
    anchor: str
    origin: Origin
    answers: tuple[Answer, ...]
    cause: int = 0
    """The number of the cause that explains it; 0 where there is none."""


class CauseView(Struct, frozen=True, kw_only=True):
    """One thing to mend."""

    number: int
    kind: str
    name: str
    text: str
    answers: tuple[str, ...]
    rules: tuple[Link, ...]
    scenarios: tuple[Link, ...]
    """What it explains, the most basic one first."""
    share: float
    """The part of all deviations that it explains, of 100."""
    shared: int
    fit: int
    """How much of what the wrong probe does is seen here, of 100."""
    like: tuple[str, ...]


class Cell(Struct, frozen=True):
    """The scenarios of one rule and one agent."""

    conforms: int
    deviates: int
    other: int
    """Those that broke, did not run or are known to fail."""
    anchor: str
    """Where the first deviation among them is shown; empty for none."""

    @property
    def total(self) -> int:
        """How many there are."""
        return self.conforms + self.deviates + self.other


class RuleRow(Struct, frozen=True):
    """One rule, with a cell for each agent."""

    name: str
    anchor: str
    text: str
    cells: tuple[Cell, ...]

    @property
    def deviates(self) -> int:
        """How many scenarios deviate from it."""
        return sum(cell.deviates for cell in self.cells)


class AdviceView(Struct, frozen=True):
    """What a probe should do and does not, with the scenarios that show it."""

    rule: str
    text: str
    message: str
    """What one of the findings says."""
    scenarios: tuple[Link, ...]


class Head(Struct, frozen=True, kw_only=True):
    """What a report is about, and what it comes to."""

    letter: str
    """What tables of several reports call it; empty where there is only one."""
    name: str
    """What its own page beside this one is called, without the ending; empty where it has none."""
    verdict: Verdict
    probe: str
    probe_lines: tuple[str, ...]
    contract: str
    suite: str
    started: str
    seconds: float
    total: int
    counts: tuple[Count, ...]
