"""The option that writes an attestation: refused before anything runs where none can be made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue, select
from conformance.catalogue.released import records_dir
from conformance.errors import CannotJudge, UsageError
from conformance.judge.tally import RunReport
from conformance.report.attestation import not_attestable, run_url, statement
from conformance.report.document import write_json
from conformance.run.assembly import Run
from conformance.run.subject import Subject

__all__ = ["attest_option", "attestations", "check_attest", "check_digest", "check_merged"]

#: Options after which a run says nothing of the contract as a whole, and what to do about it.
_CUT = {
    "last_failed": "leave out --last-failed",
    "shard": "leave it to merge, which has all shards",
}
_WHOLE = "--attest is about all scenarios of the contract"

attest_option = click.option(
    "--attest",
    "attest_file",
    metavar="FILE",
    help="Write an in-toto statement about the image's digest, for signing; '-' is standard "
    "output.",
)


def check_attest(options: Mapping[str, Any], subject: Subject) -> None:
    """Refuse an attestation that the *options* of a run, or its *subject*, make impossible.

    :raises UsageError: it is not about an image, or not about all that the contract asks of one.
    """
    if not options["attest_file"]:
        return
    if subject.request.image is None:
        hint = "name it with --image, or leave --attest out"
        raise UsageError("--attest is about an image", hint=hint)
    cut = [hint for name, hint in _CUT.items() if options.get(name)]
    if cut or subject.request.patterns:
        raise UsageError(_WHOLE, hint=cut[0] if cut else "leave out what chooses among them")


def check_merged(options: Mapping[str, Any], report: RunReport, catalogue: Catalogue) -> None:
    """Refuse an attestation that a merged *report* cannot be, by the *catalogue* of its contract.

    :raises UsageError: it is not about an image that a registry knows, or not about all that the
        contract asks of one with such agents.
    """
    if not options["attest_file"]:
        return
    if report.probe.get("kind") != "image":
        hint = "merge the shards of one, or leave --attest out"
        raise UsageError("--attest is about an image", hint=hint)
    _check_known(report.probe)
    asked = select(catalogue, (), report.contract, local=False)
    agents = {scenario.agent for scenario in report.selected}
    judged = report.left_out | {scenario.id for scenario in report.selected}
    if any(one.agent in agents and one.id not in judged for one in asked):
        raise UsageError(_WHOLE, hint="merge the shards of a run in which nothing chose among them")


def check_digest(options: Mapping[str, Any], run: Run) -> None:
    """Refuse an attestation of an image that nobody else could know it is about.

    :raises UsageError: no registry knows the image.
    """
    if options["attest_file"]:
        _check_known(run.describe())


def _check_known(image: Mapping[str, Any]) -> None:
    """Refuse an *image*, as reports describe it, that no registry knows.

    :raises UsageError: it is one.
    """
    if not image["repo_digests"]:
        cause = f"--attest: image '{image['image']}' has no digest, since it was in no registry yet"
        raise UsageError(cause, hint="push it first")


def attestations(
    report: RunReport, contract: str, directory: Path, options: Mapping[str, Any]
) -> Iterator[Callable[[], None]]:
    """Yield a function that writes the attestation, where *options* ask for one.

    *contract* is the contract of the *report* as it was named in *directory*. After an interrupt
    there is none.
    """
    if options["attest_file"] and not report.interrupted:
        yield partial(_write, report, contract, directory, options["attest_file"])


def _write(report: RunReport, contract: str, directory: Path, file: str) -> None:
    """Write the attestation of *report* to *file*; ``-`` is standard output.

    :raises CannotJudge: nothing can be said of the image after this run, or it cannot be written.
    """
    if why := not_attestable(report):
        raise CannotJudge(f"no attestation: {why}")
    if report.as_of:
        files = [records_dir() / f"{report.contract.name}-{report.as_of}.json"]
    else:
        files = contracts.files(contract, report.contract, base=directory)
    try:
        said = statement(report.document(), contract=files, url=run_url(os.environ))
    except OSError as e:  # a run takes minutes, in which it may have been moved
        raise CannotJudge(f"no attestation: {e.filename} cannot be read: {e.strerror}") from None
    write_json(said, file)
