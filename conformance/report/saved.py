"""JSON reports of runs, read again: also those of other versions of the suite."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.json import Decoder

from conformance.errors import UsageError
from conformance.model.cause import Cause
from conformance.model.outcome import ScenarioResult
from conformance.model.shard import MergedShard, Shard
from conformance.text import join

__all__ = [
    "SCHEMA_VERSION",
    "SavedFinding",
    "SavedReport",
    "SavedRow",
    "parse_report",
    "parse_results",
    "probe_words",
    "read_report",
    "report_text",
]

#: The version of the JSON report that this suite writes. Within one, members are only added.
SCHEMA_VERSION = 1
#: A larger file is no report: one of 1,200 scenarios in which everything deviates has about 4 MB.
_LARGEST = 256 * 1024 * 1024


class Named(Struct, frozen=True, kw_only=True):
    """The suite or the contract of a run, with its version."""

    name: str
    version: str


class SavedFinding(Struct, frozen=True, kw_only=True):
    """One way in which the probe deviated; its kind may be one of another version."""

    kind: str
    message: str
    level: str = "must"
    rule: str = ""


class SavedRow(Struct, frozen=True, kw_only=True):
    """The judgement of one scenario."""

    id: str
    agent: str
    expected: tuple[str, ...]
    result: str
    code: int | None = None
    signal: int | None = None
    verdict: str | None = None
    reason: str = ""
    findings: tuple[SavedFinding, ...] = ()
    seconds: float = 0.0
    control: str = ""
    difference: tuple[str, ...] = ()
    stdout: str = ""
    stderr: str = ""
    changes: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    steps: tuple[dict[str, Any], ...] = ()
    events: tuple[str, ...] = ()
    expected_codes: tuple[int, ...] = ()
    summary: str = ""
    origin: str = ""
    rule: str = ""
    """The rule that decides, as ``slot:claude-login``; empty in reports of older versions."""
    repeat: tuple[str, ...] = ()
    """The command that repeats it."""
    since: str = ""
    """The first version of the contract that has the scenario; empty where that is not known."""
    digest: str = ""
    """Stands for what the scenario asks: its HOME, inputs and so on; empty in older reports."""


class SavedReport(Struct, frozen=True, kw_only=True):
    """The report of one run, as it was written; members that are not known are passed over."""

    schema_version: int
    suite: Named
    contract: Named
    probe: dict[str, Any]
    started: str
    now: float
    seconds: float
    exit_status: int
    conformant: bool
    counts: dict[str, int]
    scenarios: tuple[SavedRow, ...]
    interrupted: bool = False
    strict: bool = False
    advice: int = 0
    stale_known_failures: tuple[str, ...] = ()
    trouble: tuple[str, ...] = ()
    diagnosis: str = ""
    causes: tuple[Cause, ...] = ()
    as_of: str = ""
    """The version of the contract that was asked for with ``--as-of``; empty for the present."""
    left_out: tuple[str, ...] = ()
    """The ids of scenarios that were to run, and were not judged because the run was cut short."""
    shard: Shard | None = None
    """Which part of a run it is about; None where it is the whole."""
    shards: tuple[MergedShard, ...] = ()
    """The shards that it was merged from; none where it is that of one run."""
    settings: str = ""
    fail_on_unsupported: bool = False
    asked: dict[str, int] = {}
    baseline: dict[str, Any] | None = None
    """What changed against a baseline; None where there was none."""
    levels: dict[str, str] = {}
    """The level of each rule about findings; empty in reports of older versions."""

    def rows(self) -> dict[str, SavedRow]:
        """Return the rows by the ids of their scenarios."""
        return {row.id: row for row in self.scenarios}


#: Half of a surrogate pair; JSON that has been read has no other surrogates.
_HALF = re.compile("[\ud800-\udfff]")


class _Version(Struct):
    schema_version: int


class _Results(Struct):
    scenarios: tuple[ScenarioResult, ...]


_VERSION, _REPORT = Decoder(_Version), Decoder(SavedReport)
_RESULTS = Decoder(_Results)


def parse_report(text: str | bytes, name: str) -> SavedReport:
    """Return the report in *text*; messages call it *name*.

    :raises UsageError: it is no report of a run, or one of a version that is not known.
    """
    hint = "name a file that run --json has written"
    try:
        text = _without_surrogates(text)
        version = _VERSION.decode(text).schema_version
        if version != SCHEMA_VERSION:
            cause = f"{name} has schema_version {version}, and {SCHEMA_VERSION} is known here"
            raise UsageError(cause, hint="update probe-conformance")
        return _REPORT.decode(text)
    except (ValueError, RecursionError) as e:
        raise UsageError(f"{name} is no report of a run: {str(e)[:200]}", hint=hint) from None


def parse_results(text: str | bytes, name: str) -> tuple[ScenarioResult, ...]:
    """Return the results in the report *text*, which messages call *name*, as the run had them.

    :raises UsageError: it was not written by this version of the suite.
    """
    try:
        return _RESULTS.decode(_without_surrogates(text)).scenarios
    except (ValueError, RecursionError) as e:
        cause = f"{name} is no report of this version: {str(e)[:200]}"
        raise UsageError(cause, hint="name a file that run --json has written") from None


def _without_surrogates(text: str | bytes) -> str | bytes:
    """Return *text* with halves of surrogate pairs as escapes: names of files may have them.

    Python writes such names into JSON, and msgspec refuses them. What is no JSON comes back as is.
    """
    if "\\ud" not in (text if isinstance(text, str) else text.decode(errors="replace")).lower():
        return text
    try:
        whole = json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
    return _HALF.sub(lambda half: f"\\\\u{ord(half[0]):04x}", whole)


def read_report(file: str) -> SavedReport:
    """Return the report in *file*.

    :raises UsageError: it cannot be read, or is no report of a run.
    """
    return parse_report(report_text(file), file)


def report_text(file: str) -> bytes:
    """Return what is in *file*, which should be a report.

    :raises UsageError: it cannot be read, or is too large for a report.
    """
    if not os.path.isfile(file):
        cause = f"{file} is a directory" if os.path.isdir(file) else f"no file {file}"
        raise UsageError(cause, hint="name a file that run --json has written")
    try:
        if os.path.getsize(file) > _LARGEST:
            raise UsageError(f"{file} is too large for a report", hint="name another file")
        return Path(file).read_bytes()
    except OSError as e:
        raise UsageError(f"{file} cannot be read: {e.strerror}", hint="name another file") from None


def probe_words(probe: dict[str, Any]) -> str:
    """Return what the *probe* of a report is, in a few words: its image, callable or command."""
    if isinstance(probe.get("image"), str):
        return f"image {probe['image']}"
    if isinstance(probe.get("callable"), str):
        return f"python {probe['callable']}"
    if isinstance(command := probe.get("command"), list) and command:
        return join(map(str, command))
    return str(probe.get("kind", "probe"))
