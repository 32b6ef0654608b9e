"""Several images in one run, each judged by itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO, cast

import click
from msgspec import Struct
from msgspec.structs import replace

from conformance.cli.attest import attestations, check_attest, check_digest
from conformance.cli.baseline import baseline
from conformance.cli.images_file import INDEX, image_name, read_images
from conformance.cli.outputs import check_outputs
from conformance.cli.request import repro_argv, run_request
from conformance.cli.results import writes
from conformance.cli.settings import Taken, parameters
from conformance.compare.several_report import ManyScreen, Several
from conformance.drivers.container.engine_name import machines
from conformance.errors import CannotJudge, UsageError
from conformance.judge.tally import RunReport
from conformance.model.outcome import ScenarioResult
from conformance.report.attestation import not_attestable
from conformance.report.document import write_all, write_json, write_text
from conformance.report.known import Known
from conformance.report.stream import Stream
from conformance.report.terminal import Summary
from conformance.run.assembly import Run
from conformance.run.conclusion import new_report
from conformance.run.many import Job, ManyRuns, Part
from conformance.run.pytest_run import sigterm_interrupts, worker_count
from conformance.run.request import RunRequest
from conformance.run.shards import ShardRequest, only_shard
from conformance.run.subject import Subject, check
from conformance.run.worker_process import Unjudged

__all__ = ["Asked", "one_image", "run_many", "several_images", "several_options"]

several_options = (
    click.option(
        "--image",
        metavar="REF",
        multiple=True,
        help="A container image whose entrypoint answers as the probe; repeatable.",
    ),
    click.option(
        "--images",
        "images_file",
        metavar="FILE",
        help="A file of several images, with what is particular to each.",
    ),
    click.option(
        "--summary",
        "summary_file",
        metavar="FILE",
        help="Of several images, write as JSON what each of them came to.",
    ),
)

#: What names a file for one image, and for several a directory with a file for each: the endings.
_FILES = {
    "json_file": ("--json", ".json"),
    "junit_file": ("--junit", ".xml"),
    "html_file": ("--html", ".html"),
    "attest_file": ("--attest", ".intoto.json"),
    "write_known_failures": ("--write-known-failures", ".toml"),
}
#: Files that are read in the same way, where they name a directory.
_READ = {"known_failures": ".toml", "baseline": ".json"}
#: Forms of standard output that are one document about one run.
_ONE_DOCUMENT = ("sarif", "tap")


class Asked(Struct, frozen=True):
    """What was asked of the run as a whole, beside options."""

    patterns: list[str]
    files: dict[str, str]
    """The scenario files among them that are not bundled: as they were typed, by real paths."""
    pytest_args: list[str]
    summary: Summary
    settings: Taken
    shard: ShardRequest | None = None


def several_images(options: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    """Return the images that *options* name, by what they are called; None for one or none.

    Of each there is what is said of it alone, as parameters.

    :raises UsageError: they are named in two ways, or the file of them is not there.
    :raises FileError: the file is wrong.
    """
    references, file = options["image"], options["images_file"]
    if file is not None:
        if references:
            hint = "add it to the file, or leave the file out"
            raise UsageError("--image and --images both name images", hint=hint)
        if other := next((name for name in ("probe", "python") if options[name] is not None), ""):
            cause = f"--{other} and --images name two kinds of probes"
            raise UsageError(cause, hint="give one of them")
        return {name: parameters(values) for name, values in read_images(file).items()}
    if len(references) < 2:
        return None
    images: dict[str, dict[str, Any]] = {}
    for reference in references:
        if any(reference == image["image"] for image in images.values()):
            hint = "name it once, or each with its contract in a file for --images"
            raise UsageError(f"--image {reference} is named twice", hint=hint)
        images[_free(image_name(reference) or "image", images)] = {"image": reference}
    return images


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """Return *name*, with a number behind it if it is one of those *taken*, or the index's."""
    used = {INDEX, *(other.casefold() for other in taken)}
    names = (name, *(f"{name}-{number}" for number in range(2, len(used) + 3)))
    return next(free for free in names if free.casefold() not in used)


def one_image(options: dict[str, Any], settings: Taken) -> tuple[dict[str, Any], Taken]:
    """Return *options* and *settings* where at most one image is named.

    :raises UsageError: something is asked that is about several.
    """
    typed = dict(settings.typed)
    if typed.get("summary_file"):
        hint = "name several with --image or --images, or use --json"
        raise UsageError("--summary is about several images", hint=hint)
    for values in (options, typed):
        if "image" in values:
            values["image"] = next(iter(values["image"]), None)
    return options, replace(settings, typed=typed)


def run_many(images: Mapping[str, dict[str, Any]], options: Mapping[str, Any], asked: Asked) -> int:
    """Run the scenarios in every one of *images*; return the exit status, which is the worst.

    :raises ConformanceError: something in the request is wrong, for whichever image.
    """
    _check(options, asked)
    checked = _Checked()
    wanted = [_One(name, image, options, asked, checked) for name, image in images.items()]
    _make_directories(options)
    many = _Many(wanted, options, asked)
    with sigterm_interrupts():
        many.runs.execute()
    return many.finish()


def _check(options: Mapping[str, Any], asked: Asked) -> None:
    """Refuse what cannot be had for several images.

    :raises UsageError: it is asked for.
    """
    if asked.pytest_args:
        raise UsageError("arguments for pytest are for one image", hint="leave out '--'")
    if options["last_failed"]:
        hint = "name the scenarios, or run each image by itself"
        raise UsageError("--last-failed is about one image", hint=hint)
    if options["output_format"] in _ONE_DOCUMENT:
        cause = f"--output-format {options['output_format']} is one document about one image"
        raise UsageError(cause, hint="take github or concise, or run each image by itself")
    for parameter, (option, ending) in _FILES.items():
        if (directory := options[parameter]) is None:
            continue
        if directory == "-" or (os.path.lexists(directory) and not os.path.isdir(directory)):
            where = "standard output" if directory == "-" else directory
            hint = f"name a directory, in which each image gets its NAME{ending}"
            raise UsageError(f"{option} {where} cannot hold reports of several images", hint=hint)
    check_outputs({"json_file": options["summary_file"]})
    if options["baseline"] and not os.path.isdir(options["baseline"]):
        hint = "name the directory that --json has written"
        raise UsageError("--baseline is one report, and there are several images", hint=hint)


def _make_directories(options: Mapping[str, Any]) -> None:
    """Make the directories for reports.

    :raises UsageError: one cannot be made.
    """
    for parameter, (option, _) in _FILES.items():
        if options[parameter] is not None:
            try:
                os.makedirs(options[parameter], exist_ok=True)
            except OSError as e:
                cause = f"{option} {options[parameter]} cannot be made: {e.strerror}"
                raise UsageError(cause, hint="name another directory") from None


class _Checked:
    """Checks requests; the catalogue is read once for all that differ in their image alone."""

    def __init__(self) -> None:
        self._known: list[tuple[RunRequest, Subject]] = []

    def subject(self, request: RunRequest) -> Subject:
        """Return what *request*, which names an image, is about.

        :raises ConformanceError: something in it is wrong.
        """
        assert request.image is not None
        alike = replace(request, probe=replace(request.image, reference=""), keep="")
        for known, subject in self._known:
            if known == alike:
                return replace(subject, request=request)
        subject = check(request)
        self._known.append((alike, subject))
        return subject


class _One:
    """One of the images: its options, as if it were the only one, and what they come to."""

    def __init__(
        self,
        name: str,
        image: Mapping[str, Any],
        options: Mapping[str, Any],
        asked: Asked,
        checked: _Checked,
    ) -> None:
        """*image* is what is said of it alone; it wins over *options*, which are about all.

        :raises ConformanceError: something is wrong with it; the message says which image it is.
        """
        self.name = name
        self.options = _for_one(name, image, options)
        self._asked = asked
        typed = _for_one(name, image, asked.settings.typed)
        self._repro = repro_argv(typed, replace(asked.settings, typed=typed))
        try:
            check_outputs(_outputs_there(self.options))
            request = run_request(
                patterns=asked.patterns, probe_in=asked.settings.directory, **self.options
            )
            self.subject = checked.subject(request)
            self._against = baseline(
                self.options["baseline"], self.subject.contract.name, self.subject.selected
            )
            check_attest(self.options, self.subject)
            self.subject = only_shard(self.subject, asked.shard)
        except UsageError as e:
            raise UsageError(f"{name}: {e.cause}", hint=e.hint) from None

    def report(self, run: Run) -> RunReport:
        """Return the report of *run*, which has no results yet."""
        report = new_report(run, repro=self._repro, files=self._asked.files)
        report.against = self._against
        report.shard = self.subject.shard
        report.settings = self._asked.settings.words
        report.fail_on_unsupported = self.options["fail_on_unsupported"]
        return report

    def write(self, report: RunReport, run: Run) -> None:
        """Write its files, and what standard output gets of it.

        :raises CannotJudge: one of them cannot be written.
        """
        known = Known(run.catalogue.scenarios, run.catalogue.contracts)
        asked = run.request
        place = Path(asked.cwd)
        failures = self.subject.known_failures
        written = writes(report, failures, known, self.options, probe_in=place, name=self.name)
        attested = attestations(report, asked.contract, place, self.options)
        write_all([*written, *attested])


def _for_one(name: str, image: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return *options* for the *image* called *name*, with its own files."""
    found = {**options, **image}
    if "env" in image or "pass_env" in image:
        own = {pair.partition("=")[0] for pair in image.get("env", ())}
        own |= {*image.get("pass_env", ())}
        for key in ("env", "pass_env"):
            left = [word for word in options.get(key, ()) if word.partition("=")[0] not in own]
            found[key] = (*left, *image.get(key, ()))
    for parameter, (_, ending) in _FILES.items():
        if found.get(parameter):
            found[parameter] = os.path.join(found[parameter], f"{name}{ending}")
    for parameter, ending in _READ.items():
        if found.get(parameter) and os.path.isdir(found[parameter]):
            file = os.path.join(found[parameter], f"{name}{ending}")
            found[parameter] = file if os.path.exists(file) else None
    if found.get("keep"):
        found["keep"] = found["keep"] / name
    return found


def _outputs_there(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files among *options* that may be there already: their directories are."""
    found = {name: options[name] for name in _FILES if options[name]}
    there = {name: file for name, file in found.items() if os.path.isdir(os.path.dirname(file))}
    return {"known_failures": options["known_failures"], **there}


class _Many:
    """The run as a whole: what is shown of it, and what is written."""

    def __init__(self, wanted: Sequence[_One], options: Mapping[str, Any], asked: Asked) -> None:
        self._options = options
        jobs = {
            Job(one.name, one.subject, one.report, partial(check_digest, one.options)): one
            for one in wanted
        }
        self._wanted = jobs
        total = sum(len(one.subject.selected) for one in wanted)
        most = max(machines(one.options["engine"]) for one in wanted)
        workers = worker_count(options["workers"], total, most)
        self.runs = ManyRuns(
            jobs,
            workers,
            on_result=self._step,
            on_end=self._ended,
            exitfirst=options["exitfirst"],
        )
        form = options["output_format"]
        stream = cast(TextIO, Stream(sys.stderr if form != "full" else sys.stdout))
        if options["summary_file"] == "-":
            stream = cast(TextIO, Stream(sys.stderr))
        summary = "quiet" if form == "concise" else asked.summary
        self._screen = ManyScreen(stream, self.runs.parts, summary)
        self._screen.start(workers, asked.settings.words)
        self._failures: list[str] = []

    def _step(self, got: ScenarioResult | Unjudged) -> None:
        self._screen.step(deviates=isinstance(got, ScenarioResult) and got.result == "deviates")

    def _ended(self, part: Part) -> None:
        """Show what came of one, and write its files: what is written then, no interrupt loses."""
        self._screen.ended(part)
        if part.report is None or part.run is None:
            return
        try:
            self._wanted[part.job].write(part.report, part.run)
        except CannotJudge as e:
            self._failures.append(f"{part.job.name}: {e}")

    def finish(self) -> int:
        """Write what is about all of them; return the exit status.

        :raises CannotJudge: a file could not be written.
        """
        summary = Several(
            self.runs.parts, interrupted=self.runs.interrupted, unwritten=self._failures
        )
        self._screen.finish(summary)
        if self._options["html_file"]:
            self._write_index(summary)
        if self._options["summary_file"]:
            files = {
                part.job.name: _written(self._wanted[part.job].options, part.report)
                for part in summary.judged
                if part.report is not None
            }
            write_json(summary.document(files), self._options["summary_file"])
        if self._failures:
            raise CannotJudge("; ".join(self._failures))
        return summary.exit_status()

    def _write_index(self, several: Several) -> None:
        """Write the page of those that have a report, side by side, with a link to that of each."""
        if not several.judged:
            return
        # Only who wants a page pays for the template engine.
        from conformance.compare.several_page import several_page  # noqa: PLC0415

        file = os.path.join(self._options["html_file"], f"{INDEX}.html")
        try:
            write_text(several_page(several), file)
        except CannotJudge as e:
            self._failures.append(str(e))


def _written(options: Mapping[str, Any], report: RunReport) -> dict[str, str]:
    """Return the files that *options* ask for about one image, and that its *report* allows."""
    asked = {parameter: options[parameter] for parameter in _FILES}
    if report.interrupted:
        asked["write_known_failures"] = None
    if not_attestable(report):
        asked["attest_file"] = None
    return {_FILES[name][0].removeprefix("--"): file for name, file in asked.items() if file}
