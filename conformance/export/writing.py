"""Write the archives of scenarios, and the index beside them."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from msgspec.structs import replace

from conformance import __version__
from conformance.errors import CannotJudge, UsageError
from conformance.export.index import (
    ExportedAnswer,
    ExportedContract,
    ExportedVerdict,
    Index,
    Suite,
    document,
)
from conformance.export.scenarios import Plan, planned
from conformance.files import create_text
from conformance.home import Node, check_target, write_tar
from conformance.home.plan import DIRECTORY_MODE
from conformance.model.contract import ROLES, Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["INDEX", "write_export"]

#: The name of the index; it is written last, so where it is, all that it names is.
INDEX = "index.json"
#: Below the directory of an export: where homes lie that have to lie at a path that is known.
_AT = "at"


def write_export(
    directory: Path,
    scenarios: Iterable[Scenario],
    contracts: Sequence[Contract],
    context: Context,
    *,
    left_out: Mapping[str, str],
    at: str = "",
) -> Index:
    """Write *scenarios*, each under those of *contracts* that it is part of; return the index.

    *directory* is made, or is empty. Homes that hold their own path name one below *at*, by default
    below a directory in *directory*. What is *left_out* already, by id, goes into the index.

    :raises UsageError: *directory* is not empty, or cannot be made.
    :raises CannotJudge: something cannot be written.
    """
    _make(directory)
    base = at or os.fspath(directory.absolute() / _AT)
    entries, gone = [], dict(left_out)
    done: set[str] = set()
    for scenario in scenarios:
        under = {c.name: c for c in contracts if scenario.expected(c)}
        try:
            plan = planned(scenario, under, context, f"{base}/{scenario.id}")
        except CannotJudge as e:
            gone[scenario.id] = str(e)
            continue
        for name in plan.differing:
            gone[f"{scenario.id}::{name}"] = "it asks the real CLI, and a stub is in the HOME"
        _write_archives(directory, plan, context.now, done)
        archive = directory / plan.entry.home.archive
        home = replace(plan.entry.home, sha256=hashlib.sha256(archive.read_bytes()).hexdigest())
        entries.append(replace(plan.entry, home=home))
    index = Index(
        suite=Suite("probe-conformance", __version__),
        now=context.now,
        seed=context.seed,
        contracts={contract.name: _contract(contract) for contract in contracts},
        scenarios=entries,
        left_out=dict(sorted(gone.items())),
    )
    create_text(directory / INDEX, document(index))
    return index


def _make(directory: Path) -> None:
    """Make *directory*.

    :raises UsageError: it is not empty, or cannot be made.
    """
    check_target(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        cause = f"{directory} cannot be made: {e.strerror}"
        raise UsageError(cause, hint="name another") from None


def _write_archives(directory: Path, plan: Plan, now: float, done: set[str]) -> None:
    """Write the archives of *plan*, except those that are *done*.

    :raises CannotJudge: one cannot be written.
    """
    for name, nodes in plan.archives.items():
        if name in done:
            continue
        try:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            _write(directory / name, nodes, plan.owner, now)
        except OSError as e:
            raise CannotJudge(f"{directory / name} cannot be written: {e.strerror}") from None
        done.add(name)


def _write(file: Path, nodes: Iterable[Node], owner: int, now: float) -> None:
    """Write *nodes* to *file*, an archive that says nothing of where and when it was made."""
    held = [node for node in nodes if node.kind != "socket"]
    top = Node(path=b".", kind="directory", mode=DIRECTORY_MODE)
    with (
        file.open("xb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as stream,
    ):
        write_tar([top, *held], cast(BinaryIO, stream), uid=owner, gid=owner, now=now)


def _contract(contract: Contract) -> ExportedContract:
    """Return what an index says of *contract*."""
    exported = ExportedContract(
        version=contract.version,
        summary=contract.summary,
        agents=list(contract.agents),
        verdicts={
            verdict.name: ExportedVerdict(list(verdict.codes), verdict.meaning)
            for verdict in contract.verdicts
        },
        roles={role: variable for role in ROLES if (variable := contract.inputs.variable(role))},
        seconds=contract.limits.seconds,
        cli_seconds=contract.limits.cli_seconds,
        rules={name: rule.text for name, rule in contract.rules.items() if not rule.off},
    )
    if (said := contract.document) is not None:
        answer = ExportedAnswer(said.member, dict(said.values), said.exit_code)
        return replace(exported, answer=answer)
    return exported
