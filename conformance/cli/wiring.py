"""The command wiring: does the manifest let the probe answer?"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import Any, TextIO, cast

import click
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.cli.engine_options import engine_option
from conformance.cli.options import contract_option, json_option
from conformance.cli.outputs import check_outputs
from conformance.drivers.container.request import ImageRequest, check_reference
from conformance.errors import ManyErrors, UsageError
from conformance.loading import catalogue_under
from conformance.model.contract import Contract
from conformance.report.document import write_json
from conformance.report.stream import Stream
from conformance.wiring.check import Checked, check_subjects, subjects_of
from conformance.wiring.commands import Recogniser
from conformance.wiring.compared import programs_of
from conformance.wiring.example import example
from conformance.wiring.reading import read_manifests
from conformance.wiring.report import FORMATS, WiringReport
from conformance.wiring.runs import Request
from conformance.wiring.structure import open_structure
from conformance.wiring.timeline import Timeline, read_behaviour, timelines, usual_behaviours
from conformance.wiring.tree import Place

__all__ = ["wiring_command"]

_NO_VALIDATOR = (
    "the structure was not looked at, so a misspelt key goes unseen: pip install "
    "'probe-conformance[kubernetes]'"
)


@click.command("wiring")
@contract_option
@click.option("--container", metavar="NAME", help="The agent's container, if there are several.")
@click.option(
    "--probe",
    metavar="CMD",
    help="The probe's command as it stands in manifests; by default it is recognised by its name, "
    "or is what the startupProbe runs.",
)
@click.option(
    "--env",
    metavar="KEY[=VALUE]",
    multiple=True,
    help="A variable that something else than the manifest sets, such as the image; repeatable.",
)
@click.option(
    "--image",
    metavar="REF",
    help="Compare with what this image has: its user, HOME, variables, entrypoint and probe.",
)
@engine_option
@click.option(
    "--manager-execs",
    is_flag=True,
    help="The Manager runs the probe itself, in the running container: no manifest has to.",
)
@click.option(
    "--kubernetes",
    metavar="VERSION",
    default="",
    help="The version of Kubernetes whose structure counts, such as 1.34; by default the newest.",
)
@click.option("--strict", is_flag=True, help="Count advice as an error.")
@click.option(
    "--timeline",
    is_flag=True,
    help="Show what the kubelet does, second by second, for a probe that answers late, fails "
    "twice, or hangs.",
)
@click.option(
    "--answers",
    metavar="LIST",
    multiple=True,
    help="Show that for a probe that behaves so: codes, 'hang' or 'error', each with @SECONDS and "
    "xCOUNT, such as 65@2x3,0@12; the last is repeated.",
)
@click.option("--example", "wants_example", is_flag=True, help="Print a manifest that is right.")
@click.option(
    "--output-format",
    type=click.Choice(FORMATS),
    default="full",
    show_default=True,
    help="How findings are shown: in full, on a line each, or as annotations of GitHub.",
)
@json_option
@click.argument("manifests", metavar="[MANIFEST]...", nargs=-1)
@click.pass_context
def wiring_command(ctx: click.Context, /, manifests: tuple[str, ...], **options: Any) -> None:
    """Check the Kubernetes manifests that run a probe.

    A MANIFEST is a file in YAML or JSON, a directory, or '-' for standard input, such as what helm
    and kustomize print. Only what can be told from them is found: where a variable may come from a
    Secret, nothing is said.

    Exit status: 0 right, 1 at least one finding counts, 2 the request is wrong or a manifest
    cannot be read, 3 the image cannot be looked at.
    """
    contract = _contract(options["contract"])
    if options["wants_example"]:
        click.echo(example(contract), nl=False)
        ctx.exit(0)
    if not manifests:
        cause = "no manifest is named"
        raise UsageError(cause, hint="name files, directories, or - for standard input")
    check_outputs(options)
    request = _request(contract, options)
    behaviours = [read_behaviour(text) for text in options["answers"]]
    if options["timeline"] and not behaviours:
        behaviours = usual_behaviours(contract)
    read = read_manifests(manifests)
    errors = list(read.errors)
    checked = Checked(subjects=[], findings=[], notes=[])
    shown: list[Timeline] = []
    notes: list[str] = []
    try:
        checked, notes = _checked(read.documents, request, options)
        if behaviours:
            shown, more = timelines(checked.subjects, behaviours)
            notes += more
    except UsageError as e:
        # What could not be read may be all that there is to look at.
        errors += [] if errors and not read.documents else [e]
    report = WiringReport(request, checked, shown, notes, strict=options["strict"])
    if checked.subjects:
        to_stderr = options["json_file"] == "-"
        stream = cast(TextIO, Stream(sys.stderr if to_stderr else sys.stdout))
        report.show(stream, options["output_format"], complete=not errors)
    if options["json_file"]:
        lines = [line for error in errors for line in error.lines()]
        write_json(report.document(lines), options["json_file"])
    if errors:
        raise ManyErrors(errors)
    ctx.exit(0 if report.right else 1)


def _contract(name: str) -> Contract:
    contract = contracts.load(name)
    if contract.in_steps or contract.inputs.exit_code or contract.inputs.log:
        cause = f"contract '{contract.name}' is not about a program that a Pod starts with"
        raise UsageError(cause, hint="name one that is, such as slot or preflight")
    return contract


def _request(contract: Contract, options: dict[str, Any]) -> Request:
    """Return by what manifests are judged.

    :raises UsageError: an option is wrong.
    """
    try:
        probe = tuple(shlex.split(options["probe"] or ""))
    except ValueError as e:
        cause = f"--probe cannot be split: {str(e).lower()}"
        raise UsageError(cause, hint="quote it like in a shell") from None
    if options["probe"] is not None and not probe:
        raise UsageError("--probe is empty", hint="name the probe's command")
    if options["image"]:
        check_reference(options["image"])
    elif options["engine"]:
        raise UsageError("--engine is about an image", hint="name one with --image")
    if len(options["engine"]) > 1:
        cause = "the image is looked into on one engine"
        raise UsageError(cause, hint="name one with --engine")
    variables: dict[str, str | None] = {}
    for pair in options["env"]:
        name, equals, value = pair.partition("=")
        if not name:
            raise UsageError(f"--env '{pair}' names no variable", hint="write it like KEY=VALUE")
        variables[name] = value if equals else None
    recogniser = Recogniser(probe, tuple(contract.commands.values()), contract.reference)
    return Request(
        contract=contract,
        recogniser=recogniser,
        container=options["container"] or "",
        variables=variables,
        image_reference=options["image"] or "",
        manager_execs=options["manager_execs"],
    )


def _logins(contract: Contract) -> tuple[bool, bool]:
    """Return whether *contract* takes a mounted Secret for a login, and any file whatever its name.

    Scenarios about that say so. Where it has none of them, nothing is held against a manifest.
    """
    catalogue = catalogue_under(contract)
    links = catalogue.scenarios["claude/kubernetes-secret-mount"].expected(contract)
    any_file = catalogue.scenarios["claude/artifact-not-json"].expected(contract)
    return not links or "ready" in links, "ready" in any_file


def _checked(
    documents: Sequence[Place], request: Request, options: dict[str, Any]
) -> tuple[Checked, list[str]]:
    """Return what is found in *documents*, and notes about what was not looked at."""
    request, subjects, notes = subjects_of(documents, request)
    volumes = [kind for one in subjects for kind, _ in one.workload.volumes().values()]
    if "secret" in volumes or "configMap" in volumes:  # else the catalogue is not needed
        links, any_file = _logins(request.contract)
        request = replace(request, links_are_login=links, any_file_is_login=any_file)
    structure = open_structure(options["kubernetes"])
    if options["image"]:
        wanted = ImageRequest(reference=options["image"], engines=options["engine"])
        # Imported here, so that nothing else waits for the SDK of engines.
        from conformance.wiring.inspection import inspect_image  # noqa: PLC0415

        request = replace(request, image=inspect_image(wanted, programs_of(subjects)))
    checked = check_subjects(request, subjects, notes, structure)
    return checked, [] if structure is not None else [_NO_VALIDATOR]
