"""The agent's CLI in the state that a scenario asks for: directories of stubs, first on PATH."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from msgspec import Struct
from msgspec.structs import replace

from conformance.catalogue.agents import cli_state, state_in, state_of
from conformance.home.plan import Node, plan
from conformance.model.agent import (
    AGENT_CLIS,
    HEALTHY,
    IN_HOME,
    Answer,
    CliState,
    named,
    named_path,
)
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry, Scenario

__all__ = ["Stubs", "stubs_for"]

#: The mode of the directories: the probe may be another user than their owner.
_DIRECTORY_MODE = 0o755


class Stubs(Struct, frozen=True, kw_only=True):
    """Programs in a directory: the agent's in some state, and healthy ones beside it."""

    agent: str
    state: str
    """The state of the agent's program."""
    others: tuple[str, ...]
    """The names of the healthy ones.

    They are traps. One is the other agent's CLI. One has the name that an environment with a wrong
    agent asks for, so a probe that runs whatever it is told finds something that works.
    """
    file: str = ""
    """The file of the state, if it is not a bundled one."""
    cli_seconds: float = 10.0
    """The time that a CLI has, in seconds: how long slow ones take depends on it."""
    home: str = ""
    """The path of the HOME, if a stub holds it. Such a directory serves one home only."""

    @property
    def _state(self) -> CliState:
        return state_in(Path(self.file)) if self.file else cli_state(self.state)

    def nodes(self, asked: str = "/dev/null") -> list[Node]:
        """Return the nodes in the directory.

        *asked* is the file to which stubs append what they were asked, other than their version.
        """
        state = self._state
        entries = named(state.entries, self.agent)
        places = [named_path(part, self.agent) for part in state.path if IN_HOME not in part]
        for other in self.others:
            beside = named(cli_state(HEALTHY).entries, other)
            entries += [replace(entry, path=f"{self._above}{entry.path}") for entry in beside]
        # Every directory on PATH is there, also one in which the state puts nothing.
        missing = {*places} - {".", *(entry.path for entry in entries)}
        made = [Entry(path=place, kind="directory") for place in sorted(missing)]
        context = Context(now=0, seed="", home=self.home, cli_seconds=self.cli_seconds, asked=asked)
        return [_open(node) for node in plan([*entries, *made], context)]

    def in_home(self) -> list[Entry]:
        """Return what belongs to the CLI and lies below the HOME."""
        return named(self._state.home, self.agent)

    def path(self, directory: str, home: str) -> str:
        """Return the part of PATH that leads to the stubs in *directory*, and below *home*."""
        places = []
        for part in self._state.path:
            place = named_path(part, self.agent)
            if place.startswith(IN_HOME):
                places.append(f"{home}/{place.removeprefix(IN_HOME)}")
            else:
                places.append(directory if place == "." else f"{directory}/{place}")
        return ":".join(places)

    def programs(self, directory: str, home: str) -> dict[str, tuple[Answer, ...]]:
        """Return the paths of the programs, in *directory* and below *home*, and their answers."""
        found = {}
        for place, answers in self._state.answers.items():
            path = named_path(place.removeprefix(IN_HOME), self.agent)
            found[f"{home if place.startswith(IN_HOME) else directory}/{path}"] = answers
        [(_, healthy)] = cli_state(HEALTHY).answers.items()
        for other in self.others:
            found[f"{directory}/{self._above}{other}"] = healthy
        return found

    @property
    def _above(self) -> str:
        """The beginning of the paths of the healthy ones: they lie in the last directory."""
        places = [named_path(part, self.agent) for part in self._state.path if IN_HOME not in part]
        return "" if places[-1] == "." else f"{places[-1]}/"

    @property
    def writes(self) -> tuple[str, ...]:
        """Paths that the agent's stub may add to the HOME.

        It makes the directories first, and gets no further where the umask closes these to it.
        """
        answers = itertools.chain.from_iterable(self._state.answers.values())
        own = [answer for answer in answers if answer.program in ("", self.agent)]
        written = [entry.path for answer in own for entry in answer.writes]
        above = [str(place) for path in written for place in PurePosixPath(path).parents]
        paths = (*self._state.writes, *(path for path in above if path != "."))
        return tuple(dict.fromkeys(named_path(path, self.agent) for path in paths))


def _open(node: Node) -> Node:
    return replace(node, mode=_DIRECTORY_MODE) if node.kind == "directory" else node


def stubs_for(
    scenario: Scenario,
    contract: Contract,
    own_clis: Iterable[str] | None = None,
    *,
    home: str = "",
) -> Stubs:
    """Return the stubs of *scenario*, whose HOME is at *home*.

    *own_clis* are the CLIs of an image. A healthy agent is the image's own or none there, and stubs
    stand in only for CLIs that the image lacks. None means that healthy CLIs are stubs too.
    """
    state = scenario.cli
    others = _bystanders(scenario, contract)
    if own_clis is not None and state == HEALTHY:
        state, others = "missing", others - {*own_clis}
    return Stubs(
        agent=scenario.agent,
        state=state,
        others=tuple(sorted(others)),
        file=scenario.cli_file,
        cli_seconds=contract.limits.cli_seconds,
        home=home if state_of(scenario).needs_home else "",
    )


def _bystanders(scenario: Scenario, contract: Contract) -> set[str]:
    if state_of(scenario).alone:
        return set()
    names = {*contract.agents, *AGENT_CLIS}
    asked_for = scenario.inputs.get("agent", scenario.agent)
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", asked_for):
        names.add(asked_for)
    return names - {scenario.agent}
