"""The option that writes an attestation: refused before anything runs where none can be made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from conformance.catalogue import contracts
from conformance.catalogue.released import records_dir
from conformance.errors import CannotJudge, UsageError
from conformance.judge.tally import RunReport
from conformance.report.attestation import not_attestable, run_url, statement
from conformance.report.document import write_json
from conformance.run.assembly import Run
from conformance.run.subject import Subject

__all__ = ["attest_option", "attestations", "check_attest", "check_digest"]

#: Options after which a run says nothing of the contract as a whole.
_CUT = {"last_failed": "--last-failed", "shard": "--shard"}

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
    cut = [option for name, option in _CUT.items() if options.get(name)]
    if cut or subject.request.patterns:
        cause = "--attest is about all scenarios of the contract"
        raise UsageError(cause, hint=f"leave out {cut[0] if cut else 'what chooses among them'}")


def check_digest(options: Mapping[str, Any], run: Run) -> None:
    """Refuse an attestation of an image that nobody else could know it is about.

    :raises UsageError: no registry knows the image.
    """
    if options["attest_file"] and not run.describe()["repo_digests"]:
        image = run.request.image
        assert image is not None, "that was checked before"
        cause = (
            f"--attest: image '{image.reference}' has no digest, since it was in no registry yet"
        )
        raise UsageError(cause, hint="push it first")


def attestations(
    report: RunReport, run: Run, options: Mapping[str, Any]
) -> Iterator[Callable[[], None]]:
    """Yield a function that writes the attestation, where the *options* of a run ask for one.

    After an interrupt there is none.
    """
    if options["attest_file"] and not report.interrupted:
        yield partial(_write, report, run, options["attest_file"])


def _write(report: RunReport, run: Run, file: str) -> None:
    """Write the attestation of *report*, whose *run* has ended, to *file*; ``-`` is stdout.

    :raises CannotJudge: nothing can be said of the image after this run, or it cannot be written.
    """
    if why := not_attestable(report):
        raise CannotJudge(f"no attestation: {why}")
    image, request = run.request.image, run.request
    assert image is not None, "that was checked before"
    if request.as_of:
        files = [records_dir() / f"{report.contract.name}-{request.as_of}.json"]
    else:
        files = contracts.files(request.contract, report.contract, base=Path(request.cwd))
    given = {"entrypoint": image.entrypoint, "command": image.command, "user": image.user or None}
    said = statement(
        report.document(),
        contract=files,
        overridden=[name for name, value in given.items() if value is not None],
        variables=request.variables,
        url=run_url(os.environ),
    )
    write_json(said, file)
