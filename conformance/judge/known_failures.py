"""Known failures: what deviates today and should not fail a build, each with its reason.

A TOML file beside the probe::

    [known-failures]
    "claude/nested-session" = "issue 12: the probe still looks for one file name"
    "codex/fifo" = { reason = "issue 13", findings = ["timed-out"] }

It is strict. An entry without a reason, one that names no scenario, and one whose scenario now
conforms all fail the run, so the list can only shrink. With ``findings``, any other kind of finding
still counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.toml import convert, read_toml
from conformance.errors import FileError
from conformance.files import replace_text
from conformance.model.contract import Contract
from conformance.model.outcome import FindingKind, ScenarioResult

__all__ = ["KnownFailure", "KnownFailures", "KnownFailuresFile", "write"]

Reason = Annotated[str, Meta(min_length=1, pattern=r"\S")]


class KnownFailure(Struct, forbid_unknown_fields=True):
    """One scenario that fails today."""

    reason: Annotated[Reason, Meta(description="Why it fails, and where it will be fixed.")]
    findings: Annotated[
        list[FindingKind],
        Meta(description="The only kinds of findings that are expected; any other still counts."),
    ] = []


class KnownFailuresFile(Struct, forbid_unknown_fields=True, rename="kebab"):
    """What deviates today and should not fail a build."""

    known_failures: Annotated[
        dict[str, Reason | KnownFailure],
        Meta(description="Id of a scenario to the reason why it fails, or to a table."),
    ]


class KnownFailures:
    """The entries of one file; none if there is no file."""

    def __init__(self, entries: Mapping[str, KnownFailure], file: str = "") -> None:
        self.entries = entries
        self.file = file

    @classmethod
    def read(cls, file: str) -> KnownFailures:
        """Return the entries in *file*; none if its name is empty.

        :raises FileError: the file or an entry is wrong.
        """
        if not file:
            return cls({})
        shape = convert(read_toml(Path(file)), KnownFailuresFile, name=file)
        entries = {}
        for id_, entry in shape.known_failures.items():
            entries[id_] = KnownFailure(entry) if isinstance(entry, str) else entry
        return cls(entries, file)

    def check(self, catalogue: Catalogue, contract: Contract) -> None:
        """Refuse entries that name no scenario of *contract*: a typo must not hide a failure.

        :raises FileError: names the first such entry.
        """
        known = {scenario.id for scenario in catalogue.in_contract(contract)}
        hint = "remove the entry, or fix its id; see probe-conformance list"
        for id_ in self.entries:
            if id_ not in known:
                wrong = f"no scenario '{id_}' in contract '{contract.name}'"
                raise FileError(self.file, wrong, key="known-failures", hint=hint)

    def covers(self, result: ScenarioResult) -> bool:
        """Return whether all findings of *result* are expected."""
        entry = self.entries.get(result.id)
        if entry is None:
            return False
        return not entry.findings or set(result.kinds()) <= set(entry.findings)

    def reason(self, id_: str) -> str:
        """Return why *id_* is expected to fail, or an empty string."""
        return self.entries[id_].reason if id_ in self.entries else ""


def write(file: Path, results: Iterable[ScenarioResult], known: KnownFailures) -> None:
    """Write the failures among *results* to *file*, with the reasons that *known* already gives.

    Entries of *known* whose scenarios were not judged stay as they are. The file is replaced in one
    step, so a failure leaves the old one.

    :raises CannotJudge: the file cannot be written.
    """
    entries = {id_: (entry.reason, entry.findings) for id_, entry in known.entries.items()}
    for result in results:
        if result.result in ("deviates", "known-failure"):
            counted = [finding for finding in result.findings if finding.level == "must"]
            messages = "; ".join(finding.message for finding in counted)
            reason = known.reason(result.id) or messages
            entries[result.id] = (reason, sorted(set(result.kinds())))
        elif result.result == "conforms":
            entries.pop(result.id, None)
    lines = [
        "# Known failures, each with its reason: replace the finding with yours.",
        "[known-failures]",
    ]
    for id_, (reason, kinds) in sorted(entries.items()):
        findings = f", findings = [{', '.join(map(_toml, kinds))}]" if kinds else ""
        lines.append(f"{_toml(id_)} = {{ reason = {_toml(reason)}{findings} }}")
    replace_text(file, "\n".join(lines) + "\n")


def _toml(text: str) -> str:
    """Return *text* as a TOML string: a JSON string without surrogates and without a bare DEL."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
