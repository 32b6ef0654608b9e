"""The command judge: what a contract calls for in a real HOME, and by which rule."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace

from conformance.cli.home_case import RealHome, decided, real_home_options, user_words
from conformance.cli.options import IMAGE_OPTIONS, scenarios_option
from conformance.cli.settings import WithSettings, taken
from conformance.errors import CannotJudge
from conformance.loading import catalogue_under
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.wording import expectation
from conformance.report.lines import heading_lines
from conformance.run.request import RunRequest
from conformance.specification import Case, Decision, decide
from conformance.specification.likeness import Likeness, nearest
from conformance.text import printable

__all__ = ["judge_command"]

#: So many of the nearest scenarios are shown that call for the same, and for something else.
_NEAREST = 2
#: What was not looked at is not told.
_NOT_TOLD = ("cli-runs",)
#: An image is run as it says itself.
_AS_IT_IS: dict[str, Any] = {
    name: () if name in ("cap_add", "engine") else None for name in IMAGE_OPTIONS
}
_COPY = "in a copy of the home without its secrets; never in the home itself"


class _Copy(Struct, frozen=True, kw_only=True):
    """What a probe answers in a copy of a home."""

    result: ScenarioResult
    decision: Decision
    """What the contract calls for there, where somebody else may run the probe."""
    notes: tuple[str, ...]
    """Where the copy is not as the home is."""


@click.command("judge", cls=WithSettings)
@real_home_options
@scenarios_option
@click.option(
    "--probe",
    metavar="CMD",
    help="Ask this local command as well, in a copy of the HOME without its secrets.",
)
@click.option(
    "--image",
    metavar="REF",
    help="Ask the entrypoint of this container image in that copy, in place of a local command.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def judge_command(
    ctx: click.Context,
    /,
    home: RealHome,
    directories: tuple[Path, ...],
    probe: str | None,
    image: str | None,
    engine: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say what the contract calls for in a real HOME, and by which rule.

    The HOME is only read: nothing is started or written in it, and no value of a file is shown. The
    agent's CLI is taken to run, and root to read everything, as it does outside of runs. Shown are
    the rule, what was found, and the scenarios of the catalogue that the HOME is most like, with
    what tells it apart from each.

    Exit status: 0 it was judged, and a probe that was asked conforms, 1 the probe deviates, 2 the
    request is wrong, 3 the HOME could not be read, or the probe not be judged.
    """
    chosen = home.contract
    catalogue = catalogue_under(chosen, [one.absolute() for one in directories])
    case = home.case(chosen)
    decision = decided(case, chosen)
    like = nearest(case, chosen, decision, catalogue.in_contract(chosen), _NEAREST)
    copy = None
    if probe is not None or image is not None:
        request = _request(probe, image, engine, home.contract_name, taken(ctx).directory)
        copy = _asked(request, home)
    if as_json:
        click.echo(json.dumps(_document(case, chosen, decision, like, copy), indent=2))
    else:
        for line in _lines(case, chosen, decision, like, copy):
            click.echo(printable(line))
    if copy is not None:
        status = {"conforms": 0, "deviates": 1}.get(copy.result.result, CannotJudge.exit_status)
        ctx.exit(status)


def _request(
    probe: str | None,
    image: str | None,
    engines: Sequence[str],
    contract: str,
    directory: Path | None,
) -> RunRequest:
    """Return the request for the *probe*, a command that counts from *directory*, or the *image*.

    That is run on *engines*.

    :raises UsageError: both are named, or one is wrong.
    """
    from conformance.cli.request import run_request  # noqa: PLC0415 - only used for a probe

    return run_request(
        patterns=[],
        contract=contract,
        directories=[],
        env=[],
        pass_env=[],
        repeat=1,
        probe=probe,
        image=image,
        probe_in=directory,
        **(_AS_IT_IS | {"engine": engines}),
    )


def _asked(request: RunRequest, home: RealHome) -> _Copy:
    """Return what the probe of *request* answers in a copy of *home*.

    :raises UsageError: there is no such probe.
    :raises CannotJudge: there is nothing to start it with.
    """
    # Imported here so that a home is judged without what runs probes.
    from conformance.model.scenario import Scenario  # noqa: PLC0415
    from conformance.run.assembly import open_run  # noqa: PLC0415
    from conformance.run.subject import check  # noqa: PLC0415
    from conformance.specification import case_of  # noqa: PLC0415

    contract = home.contract
    made = home.captured()
    scenario = Scenario(
        id="judged/copy",
        file="",
        summary="A copy of a home that is judged",
        origin="judge",
        agent=home.agent,
        control={},
        expect={contract.name: tuple(verdict.name for verdict in contract.verdicts)},
        entries=made.entries,
        env=dict(made.env),
        inputs=dict(made.inputs),
    )
    with open_run(replace(check(request), selected=(scenario,))) as run:
        decision = decide(case_of(scenario, contract, run.context), contract)
        if decision is None:
            raise CannotJudge("nothing is written down about the copy of this home")
        scenario = replace(
            scenario,
            expect={contract.name: decision.verdicts},
            rules={contract.name: (decision.rule,)} if decision.rule else {},
        )
        result = run.runner.run(scenario)
    return _Copy(result=result, decision=decision, notes=made.notes)


def _lines(
    case: Case,
    contract: Contract,
    decision: Decision,
    like: list[Likeness],
    copy: _Copy | None,
) -> Iterator[str]:
    """Yield what there is to say, for people."""
    yield f"{contract.name} calls for {expectation(contract, decision.verdicts)}"
    if not decision.rule:
        yield from heading_lines("rule", "none speaks of this: it is left open")
    for heading, rule in zip(("rule", "also"), _told(decision), strict=False):
        text = contract.rules[rule].text
        yield from heading_lines(heading, f"{contract.rule_name(rule)}: {text}")
    yield from heading_lines("found", decision.why)
    yield from heading_lines("user", _user_words(case))
    yield from heading_lines("CLI", "taken to run; it was not started")
    if copy is not None:
        yield from _copy_lines(contract, decision, copy)
    yield "nearest scenarios:"
    for one in like:
        wanted = expectation(contract, one.scenario.expected(contract))
        rule = one.scenario.decided_by(contract)
        yield f"  {one.scenario.id}  {wanted}{f', by {rule}' if rule else ''}"
        for line in one.differences or ("nothing that a rule can see tells them apart",):
            yield f"      {line}"
    if not like:
        yield "  none of this agent"


def _told(decision: Decision) -> list[str]:
    """Return the rules that are shown: the one that decides, and the next if both are true."""
    if not decision.rule:
        return []
    return [rule for rule in decision.rules if rule not in _NOT_TOLD][:2]


def _user_words(case: Case) -> str:
    if not case.reads_all:
        return user_words(case)
    return f"{user_words(case)}; no mode keeps root out, as modes do in runs and captured homes"


def _copy_lines(contract: Contract, decision: Decision, copy: _Copy) -> Iterator[str]:
    """Yield what the probe says."""
    result = copy.result
    answer = "no answer"
    if result.code is not None:
        answer = f"{result.verdict or 'outside the contract'} ({result.code})"
    yield from heading_lines("probe", f"{answer}: {result.result}, {_COPY}")
    for finding in result.findings:
        yield from heading_lines("", f"{finding.kind}: {finding.message}")
    if result.reason:
        yield from heading_lines("", result.reason)
    if copy.decision.verdicts != decision.verdicts:
        wanted = expectation(contract, copy.decision.verdicts)
        yield from heading_lines("", f"the copy calls for {wanted}: {copy.decision.why}")
    for note in copy.notes:
        yield from heading_lines("", note)


def _document(
    case: Case,
    contract: Contract,
    decision: Decision,
    like: list[Likeness],
    copy: _Copy | None,
) -> dict[str, Any]:
    """Return the same for machines."""
    found: dict[str, Any] = {
        "contract": contract.name,
        "verdicts": list(decision.verdicts),
        "codes": sorted(contract.codes(decision.verdicts)),
        "rule": decision.rule,
        "text": contract.rules[decision.rule].text if decision.rule else "",
        "found": decision.why,
        "user": case.uid,
        "nearest": [
            {
                "id": one.scenario.id,
                "verdicts": list(one.scenario.expected(contract)),
                "rule": one.scenario.decided_by(contract),
                "differences": list(one.differences),
            }
            for one in like
        ],
    }
    if copy is not None:
        found["probe"] = {
            "code": copy.result.code,
            "verdict": copy.result.verdict,
            "result": copy.result.result,
            "findings": [
                {"kind": one.kind, "message": one.message} for one in copy.result.findings
            ],
            "copy_verdicts": list(copy.decision.verdicts),
            "notes": list(copy.notes),
        }
    return found
