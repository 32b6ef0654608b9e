"""The agent's CLI as a scenario wants it: a directory of stub programs to put first on PATH."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache

from msgspec.structs import replace

from conformance.bundled import fixtures_dir
from conformance.catalogue.entries import entries_of
from conformance.catalogue.schema import LayerFile
from conformance.catalogue.toml import convert, read_toml
from conformance.home.plan import Node, plan
from conformance.model.agent import CLI_STATES
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry, Scenario

__all__ = ["AGENT_CLIS", "SCRIPTED", "bystanders", "stub_nodes"]

#: Programs that a probe may look for. None of them may be reachable but through the stubs.
AGENT_CLIS = ("claude", "codex")

#: Conditions whose stub has to run, which takes the shell that it is written for.
SCRIPTED = frozenset(CLI_STATES) - {
    "missing",
    "not-executable",
    "no-shebang",
    "no-shebang-exit-0",
    "no-interpreter",
    "symlink-loop",
    "directory",
    "truncated-elf",
    "healthy",  # in an image, its own
}


def bystanders(scenario: Scenario, contract: Contract, agent_value: str) -> tuple[str, ...]:
    """Return the names of healthy programs that lie beside the agent's own.

    They are traps: the other agent's CLI, and one with the name that an environment with a wrong agent asks for,
    so that a probe which runs whatever it is told finds something that works. An agent that is alone has none.
    """
    if scenario.cli == "alone":
        return ()
    names = {*contract.agents, *AGENT_CLIS}
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", agent_value):
        names.add(agent_value)
    return tuple(sorted(names - {scenario.agent}))


def stub_nodes(agent: str, state: str, others: Iterable[str]) -> list[Node]:
    """Return a directory of programs: *agent* in the condition *state*, and the *others* healthy."""
    entries = [*_named(agent, state)]
    for other in others:
        entries += _named(other, "healthy")
    return plan(entries, Context(now=0, seed=""))


def _named(program: str, state: str) -> list[Entry]:
    return [replace(entry, path=program) if entry.path == "cli" else entry for entry in _entries(state)]


@cache
def _entries(state: str) -> tuple[Entry, ...]:
    assert state in CLI_STATES, state
    if state == "missing":
        return ()
    path = fixtures_dir() / "cli" / f"{state}.toml"
    layer = convert(read_toml(path), LayerFile, name=os.fspath(path))
    return entries_of(layer.files, name=os.fspath(path))
