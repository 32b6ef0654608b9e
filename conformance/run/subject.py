"""What a request is about, checked before anything is written or started for it."""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from conformance.bundled import fixtures_dir
from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue, select
from conformance.catalogue.released import catalogue_as_of, contract_as_of
from conformance.drivers.container.request import ImageRequest, check_reference
from conformance.drivers.environment import check_extra
from conformance.drivers.local.command import (
    SYSTEM_PATH,
    own_command,
    parse_callable,
    parse_command,
)
from conformance.drivers.local.gate_command import gate_in_file, parse_gate
from conformance.errors import UsageError
from conformance.judge.known_failures import KnownFailures
from conformance.loading import catalogue_under
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.model.shard import Shard
from conformance.run.request import (
    Command,
    PythonCallable,
    RunRequest,
    check_now,
    scenario_files,
    truth_codes,
)

__all__ = ["Subject", "asked_contract", "check", "judging"]


class Subject(Struct, frozen=True):
    """What a request is about, checked: nothing has been written or started for it."""

    request: RunRequest
    contract: Contract
    catalogue: Catalogue
    selected: tuple[Scenario, ...]
    """The scenarios that the patterns name; all of the contract where pytest decides."""
    known_failures: KnownFailures
    argv: tuple[str, ...] = ()
    """The command of a local probe; empty for an image, and where the agents' CLIs are asked."""
    shard: Shard | None = None
    """Which part of them is selected; None where that is everything."""


def check(request: RunRequest) -> Subject:
    """Check *request* and return what it is about.

    :raises ConformanceError: anything in it is wrong.
    """
    cwd = Path(request.cwd)
    present = contracts.load(request.contract, base=cwd)
    whole = contract_as_of(present, request.as_of) if request.as_of else present
    contract = judging(whole, request)
    check_extra(request.variables, contract)
    if not request.in_process:  # there the clock is set, to any time
        check_now(request.now)
    if request.image is not None:
        check_reference(request.image.reference)
    argv = _local_command(request, contract)
    patterns = request.patterns or ()
    files = scenario_files((*patterns, *request.files), cwd)
    directories = map(Path, request.directories)
    catalogue = catalogue_under(present, directories, files=files, now=request.now)
    known_failures = KnownFailures.read(request.known_failures)
    known_failures.check(catalogue, present)  # it may know failures of other agents and versions
    if request.as_of:
        catalogue = catalogue_as_of(catalogue, whole, patterns)
    selected = catalogue.in_contract(contract)
    if request.patterns is not None:
        selected = select(
            catalogue,
            patterns,
            contract,
            containers=request.image is not None,
            local=request.image is None,
        )
    return Subject(request, contract, catalogue, tuple(selected), known_failures, argv)


def asked_contract(request: RunRequest) -> Contract:
    """Return the contract of a *request* that was checked, as it judges.

    :raises ConformanceError: it is not there any more.
    """
    contract = contracts.load(request.contract, base=Path(request.cwd))
    if request.as_of:
        contract = contract_as_of(contract, request.as_of)
    return judging(contract, request)


def judging(whole: Contract, request: RunRequest) -> Contract:
    """Return the contract *whole* as it judges a *request*: for one agent, with further writes.

    :raises UsageError: it does not cover that agent, or a further write is not below the HOME.
    """
    contract = contracts.for_agent(whole, request.agent)
    for pattern in request.allow_writes:
        if pattern.startswith(("/", "~")) or {"", ".", ".."} & set(pattern.split("/")):
            hint = "write it like .gitconfig or '.cache/**'"
            raise UsageError(f"--allow-write '{pattern}' is no path below the HOME", hint=hint)
    if isinstance(request.probe, PythonCallable) and request.probe.truth:
        contract = replace(contract, truth=truth_codes(request.probe.truth))
    if request.image is not None or contract.entrypoint is not None:
        writes = (*contract.entrypoint_writes, *request.allow_writes)
        return replace(contract, entrypoint_writes=writes)
    return replace(contract, allowed_writes=(*contract.allowed_writes, *request.allow_writes))


def _local_command(request: RunRequest, contract: Contract) -> tuple[str, ...]:
    """Return the command that starts a local probe; an empty one where there is none to start.

    :raises UsageError: there is no such probe.
    """
    directory = Path(request.cwd)
    if contract.entrypoint is not None and isinstance(request.probe, PythonCallable):
        cause = f"contract '{contract.name}' is about an entrypoint, which is a program"
        raise UsageError(cause, hint="name it with --probe, or an image with --image")
    match request.probe:
        case ImageRequest():
            if contract.in_steps:
                cause = f"contract '{contract.name}' asks a gate in steps, which no image can be"
                raise UsageError(cause, hint="name a program with --probe, or --python")
            return ()
        case Command(line):
            return parse_command(line, directory)
        case PythonCallable(target):
            if request.in_process:
                _check_in_process(contract)
            if contract.in_steps:
                return parse_gate(target, directory)
            return parse_callable(target, directory, contract.truth)
    if contract.commands:
        for agent in contract.agents:
            own_command(contract, agent, request.variables.get("PATH", SYSTEM_PATH))
        return ()
    return _reference(contract)


def _reference(contract: Contract) -> tuple[str, ...]:
    """Return the command of the reference probe of *contract*.

    :raises UsageError: it has none.
    """
    if not contract.reference:
        hint = "name a probe with --probe"
        raise UsageError(f"contract '{contract.name}' has no reference probe", hint=hint)
    file = str(fixtures_dir() / "probes" / contract.reference)
    if contract.reference.endswith(".sh"):
        return ("/bin/sh", file)
    return gate_in_file(file) if contract.in_steps else (sys.executable, "-I", file)


def _check_in_process(contract: Contract) -> None:
    """Make sure that a callable can be called in process under *contract*.

    :raises UsageError: it cannot.
    """
    if contract.in_steps:
        cause = f"contract '{contract.name}' is about gates that are asked in steps"
        raise UsageError(cause, hint="leave out --in-process: it is for a single call")
    if contract.requests is not None:
        cause = f"contract '{contract.name}' is about a program that starts a CLI"
        raise UsageError(cause, hint="leave out --in-process: nothing is started there")
