"""The reports of all shards of a run, as one report: as if it had been one run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from conformance import __version__
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.digest import digest
from conformance.catalogue.released import since
from conformance.catalogue.shards import selection_digest
from conformance.errors import CannotJudge, ConformanceError, ManyErrors
from conformance.judge.known_failures import KnownFailure, KnownFailures
from conformance.judge.tally import RunReport
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.model.shard import MergedShard, Shard
from conformance.report.additions import additions
from conformance.report.diagnosis import Asks, diagnose
from conformance.report.evidence import Evidence, Hint
from conformance.report.saved import SavedReport, parse_report, parse_results, probe_words
from conformance.report.view import some
from conformance.run.causes_in import add_causes
from conformance.run.shards import contract_digest

__all__ = ["CannotMerge", "Part", "merged", "parse_part"]

#: What shards have to have in common beside what messages say in full, and how these call it.
_CUT = {
    "count": "number of shards",
    "selection": "selection of scenarios",
    "durations": "durations",
    "now": "--now",
    "seed": "--seed",
    "contract": "contract",
    "options": "known failures or options",
}
#: What a machine may call otherwise than another, although it is the same.
_NAMES = ("command", "digest", "image_id")
#: What stands in the place of the file of known failures, which no report names.
_SOME_FILE = "the file of known failures"


class CannotMerge(ManyErrors):
    """Reports that are not all shards of one run, each once: one line for each mistake."""

    exit_status = CannotJudge.exit_status


class Part(Struct, frozen=True):
    """One shard, as its report says."""

    file: str
    report: SavedReport
    shard: Shard
    text: bytes

    @property
    def code(self) -> str:
        """The digest of its image; empty for any other probe, of which the shard knows more."""
        return str(self.report.probe.get("digest", ""))

    @property
    def image_digests(self) -> set[str]:
        """What its image is known by: one that was copied to an engine has no registry's digest."""
        probe = self.report.probe
        names = (self.code, probe.get("image_id", ""), *probe.get("repo_digests", ()))
        return {str(name).rpartition("@")[2] for name in names} - {""}

    @property
    def platform(self) -> str:
        """What its image is for, such as ``linux/amd64``: one digest may stand for several."""
        return str(self.report.probe.get("platform", ""))


def parse_part(file: str, text: bytes) -> Part:
    """Return the shard whose report is *text*, read from *file*.

    :raises UsageError: it is no report of a run.
    :raises CannotJudge: it is the report of a whole run.
    """
    report = parse_report(text, file)
    if report.shard is None:
        merged_before = "is merged already" if report.shards else "is the report of a whole run"
        raise CannotJudge(f"{file} {merged_before}, and no shard", hint="leave it out")
    return Part(file, report, report.shard, text)


def check_parts(parts: Sequence[Part]) -> None:
    """Make sure that *parts* are all shards of one run, each once.

    :raises CannotMerge: they are not; it has a line for each mistake.
    """
    first, *others = parts
    foreign = [(part, why) for part in others if (why := _differs(first, part))]
    errors = [CannotJudge(f"{part.file} is of another run: {why}") for part, why in foreign]
    if first.report.suite.version != __version__:
        cause = f"{first.file} was written by probe-conformance {first.report.suite.version}"
        hint = "merge with the version that ran the shards"
        errors.insert(0, CannotJudge(f"{cause}, and this is {__version__}", hint=hint))
    strangers = {part.file for part, _ in foreign}
    files: dict[int, list[str]] = {}
    for part in parts:
        if part.file not in strangers:
            files.setdefault(part.shard.index, []).append(part.file)
    for index in range(1, first.shard.count + 1):
        there = files.get(index, [])
        name = f"shard {index} of {first.shard.count}"
        if not there:
            errors.append(CannotJudge(f"{name} is missing"))
        elif len(there) > 1:
            times = "twice" if len(there) == 2 else f"{len(there)} times"
            errors.append(CannotJudge(f"{name} is there {times}: {' and '.join(there)}"))
    if errors:
        raise CannotMerge(errors)


def _differs(first: Part, part: Part) -> str:
    """Return in what the run of *part* is another than that of *first*; empty if in nothing."""
    ours, theirs = part.report, first.report
    versions = [
        ("probe-conformance", ours.suite.version, theirs.suite.version),
        ("contract", _contract(ours), _contract(theirs)),
        ("platform", part.platform, first.platform),
    ]
    if not part.shard.probe:
        versions.append(("probe", probe_words(ours.probe), probe_words(theirs.probe)))
    if not part.image_digests & first.image_digests:
        versions.append(("image", part.code, first.code))
    for name, own, other in versions:
        if own != other:
            return f"{name} {own}, and {first.file} has {other}"
    if part.shard.probe != first.shard.probe:
        own, other = probe_words(ours.probe), probe_words(theirs.probe)
        more = f" {own}, and {first.file} has {other}" if own != other else "; its files differ"
        return f"probe{more}"
    for name, words in _CUT.items():
        if getattr(part.shard, name) != getattr(first.shard, name):
            return f"it has another {words} than {first.file}"
    return ""


def _contract(report: SavedReport) -> str:
    as_of = "as of version " if report.as_of else ""
    return f"{report.contract.name} {as_of}{report.contract.version}"


def merged(parts: Sequence[Part], contract: Contract, catalogue: Catalogue) -> RunReport:
    """Return one report of all *parts*, with all that their run would have found together.

    *catalogue* holds their scenarios, as *contract* demands them.

    :raises CannotMerge: they are not all shards of one run, each once.
    """
    check_parts(parts)
    parts = sorted(parts, key=lambda part: part.shard.index)
    selected = _selected(parts, contract, catalogue)
    reports = [part.report for part in parts]
    rows = {id_: row for report in reports for id_, row in report.rows().items()}
    left_out = {id_ for report in reports for id_ in report.left_out}
    report = RunReport(
        contract,
        [scenario for scenario in selected if scenario.id not in left_out],
        _probe([report.probe for report in reports]),
        min(report.now for report in reports),
        _known_failures(reports),
        strict=any(report.strict for report in reports),
        fail_on_unsupported=any(report.fail_on_unsupported for report in reports),
    )
    report.seconds = max(one.seconds for one in reports)
    report.interrupted = any(one.interrupted for one in reports)
    report.trouble = [line for one in reports for line in one.trouble]
    report.left_out = left_out
    report.as_of = reports[0].as_of
    report.settings = reports[0].settings
    report.since = partial(since, contract, report.selected)
    report.repeat = lambda id_: rows[id_].repeat
    report.asked_elsewhere = sum((Counter(one.asked) for one in reports), Counter[str]())
    report.shards = tuple(map(_kept, parts))
    for part in parts:
        for result in parse_results(part.text, part.file):
            report.add(result)
    _explain(report, parts, catalogue.contracts)
    return report


def _selected(parts: Sequence[Part], contract: Contract, catalogue: Catalogue) -> list[Scenario]:
    """Return the scenarios that *parts* were cut from.

    :raises CannotMerge: they are not those of *catalogue*, or one is in none of them.
    """
    errors: list[ConformanceError] = []
    found: list[Scenario] = []
    if contract_digest([catalogue.contracts[contract.name]]) != parts[0].shard.contract:
        cause = f"contract '{contract.name}' is another one here than that of the shards"
        hint = "name the file that they were judged by with --contract"
        errors.append(CannotJudge(cause, hint=hint))
    for part in parts:
        for row in part.report.scenarios:
            scenario = catalogue.scenarios.get(row.id)
            if scenario is None:
                hint = "name its directory with --scenarios, or its file"
                errors.append(CannotJudge(f"no scenario '{row.id}' here", hint=hint))
            elif digest(scenario) != row.digest:
                cause = f"{row.id} is another scenario here than in {part.file}"
                errors.append(CannotJudge(cause, hint="merge in the checkout of the shards"))
            else:
                found.append(scenario)
        known = catalogue.scenarios
        found += [known[id_] for id_ in part.report.left_out if id_ in known]
    if errors:
        raise CannotMerge(errors)
    shard = parts[0].shard
    found.sort(key=lambda scenario: scenario.id)
    if len(found) != shard.scenarios or selection_digest(found, [contract]) != shard.selection:
        cause = f"the shards were cut from {some(shard.scenarios, 'scenario')}, and have others"
        raise CannotMerge([CannotJudge(cause, hint="merge the reports as they were written")])
    return found


def _known_failures(reports: Sequence[SavedReport]) -> KnownFailures:
    """Return the known failures that came up: their reasons, as far as reports say them."""
    stale = [id_ for report in reports for id_ in report.stale_known_failures]
    reasons = dict.fromkeys(stale, "known")
    for report in reports:
        known = [row for row in report.scenarios if row.result == "known-failure"]
        reasons |= {row.id: row.reason or "known" for row in known}
    return KnownFailures({id_: KnownFailure(why) for id_, why in reasons.items()}, _SOME_FILE)


def _probe(probes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is said of a probe in all of *probes*: where they differ, each of it once.

    What the first one calls it, it is called.
    """
    result = dict(probes[0])
    for name, value in result.items():
        said = [probe[name] for probe in probes if name in probe]
        if name in _NAMES:
            continue
        if isinstance(value, str):
            result[name] = "; ".join(dict.fromkeys(map(str, said)))
        elif isinstance(value, list):
            every = [one for values in said for one in values]
            result[name] = [one for n, one in enumerate(every) if one not in every[:n]]
    return result


def _kept(part: Part) -> MergedShard:
    report = part.report
    return MergedShard(
        index=part.shard.index,
        file=part.file,
        started=report.started,
        seconds=report.seconds,
        scenarios=len(report.scenarios),
        exit_status=report.exit_status,
        probe=report.probe,
    )


def _explain(report: RunReport, parts: Sequence[Part], contracts: Mapping[str, Contract]) -> None:
    """Add what many deviations have in common, and what is to be mended."""
    hints = [] if report.interrupted or report.trouble else list(_hints(report, parts))
    report.hints = [hint.text for hint in hints]
    add_causes(report, contracts, hints)


def _hints(report: RunReport, parts: Sequence[Part]) -> Iterator[Hint]:
    """Yield what many deviations have in common.

    A run may ask the probe once more, to tell why. Nobody can do that here, so what rests on it is
    taken from a shard, which could ask; where none has it, nothing is said.
    """
    scenarios = {scenario.id: scenario for scenario in report.selected}
    asked = []

    def ask(_: object) -> None:
        asked.append(True)

    image = report.probe.get("kind") == "image"
    asks = Asks(image=image, without_mode=ask, waiting=ask)
    found = diagnose(
        report.results(), report.contract, scenarios, asks, cut_short=bool(report.left_out)
    )
    said = [cause.text for part in parts for cause in part.report.causes if cause.kind == "hint"]
    added = additions(Evidence.of(report.contract, report.results(), scenarios), image=image)
    for hint in found:
        if not asked or hint in added:
            yield hint
        elif texts := [text for text in said if _what_was_seen(text) == _what_was_seen(hint.text)]:
            yield replace(hint, text=texts[0])


def _what_was_seen(hint: str) -> str:
    """Return the first part of the text of a *hint*, behind which it says why."""
    return re.split("[:,]", hint)[0]
