"""Where a manifest runs the probe, and which container is the agent's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, get_args

from msgspec import Struct

from conformance.errors import UsageError
from conformance.model.agent import AGENT_CLIS
from conformance.model.contract import Contract
from conformance.wiring.commands import Command, Recogniser, is_shell, read_command
from conformance.wiring.image import ImageView
from conformance.wiring.kubelet import DEFAULTS, ProbeKind, ProbeTimes
from conformance.wiring.tree import Place
from conformance.wiring.workloads import Configs, Container, Workload, is_placeholder

__all__ = [
    "KINDS",
    "ProbeRun",
    "Request",
    "Subject",
    "exec_words",
    "find_subjects",
    "number",
    "probe_times",
]

Where = Literal["startupProbe", "livenessProbe", "readinessProbe", "postStart", "main"]
KINDS: tuple[ProbeKind, ...] = get_args(ProbeKind)
#: Modes of an image that AGENT_MODE names.
_MODES = ("interactive", "worker", "auth-init", "smoke-test")
#: How much speaks for a container that runs the probe, of those in its Pod.
_RUNS_IT = 5
#: The same, of one whose program has the name of a probe, and no more.
_SOUNDS = 1.5
#: Those in which a person is at work, and no slot takes tasks.
_NO_SLOT = ("auth-init", "interactive")


class Request(Struct, frozen=True, kw_only=True, eq=False):
    """By what manifests are judged."""

    contract: Contract
    recogniser: Recogniser = Recogniser()
    configs: Configs = Configs({})
    container: str = ""
    """The name of the agent's container, where the user has said it."""
    variables: Mapping[str, str | None] = {}
    """Variables that something else than the manifest sets; None for a value that is not known."""
    image: ImageView | None = None
    image_reference: str = ""
    image_is_named: bool = False
    """Whether a container has that very image; then others are not compared with it."""
    manager_execs: bool = False
    """Whether the Manager runs the probe itself, so that the manifest does not have to."""
    links_are_login: bool = True
    """Whether the contract takes the links of a mounted Secret for a login."""
    any_file_is_login: bool = False
    """Whether the contract takes any file in .claude for a login, whatever its name."""


class ProbeRun(Struct, frozen=True, eq=False):
    """One place that runs the probe."""

    container: Container
    where: Where
    place: Place
    """Of the probe's mapping; of the container where it is its main program."""
    command: Command
    certain: bool
    """Whether the command was recognised; else it is only what the startupProbe runs."""

    @property
    def keeps_code(self) -> bool:
        """Whether its exit code reaches the Pod's state."""
        return self.where == "main"

    @property
    def command_place(self) -> Place:
        """Where its command stands; of a shell and its line in args, the line."""
        if self.where != "main":
            return self.place.nearest("exec", "command")
        command = self.place.words("command")
        by_args = self.place.at("args") is not None and (not command or is_shell(command[0]))
        return self.place.nearest("args" if by_args else "command")

    @property
    def is_gate(self) -> bool:
        """Whether an init container runs it."""
        return self.where == "main" and self.container.role == "init"


class Subject(Struct, frozen=True, eq=False):
    """The agent's container in one workload, and what runs the probe there."""

    workload: Workload
    agent: Container | None
    """None where an init container runs the probe, and nothing tells which one is the agent's."""
    runs: tuple[ProbeRun, ...]


def number(place: Place, key: str) -> int | str | None:
    """Return the whole number at *key* as Kubernetes takes it: 0 and nothing are the default.

    None for what is filled in later, and a text that says what is wrong.
    """
    found = place.at(key)
    data = found.value.data if found is not None else 0
    if isinstance(data, str) and is_placeholder(data):
        return None
    if isinstance(data, bool) or not isinstance(data, int | float):
        said = f"'{data}' is a text" if isinstance(data, str) else "is no number"
        return f"{said}, and no whole number"
    if data != data or data in (float("inf"), float("-inf")) or int(data) != data:
        return f"{data} is no whole number"
    if data < 0:
        return f"{data:.0f} is below zero"
    if data > 2**31 - 1:
        return f"{data:.0f} is more than Kubernetes takes"
    return int(data) or DEFAULTS.get(key, 0)


def probe_times(place: Place) -> ProbeTimes | None:
    """Return the numbers of the probe at *place*; None where one of them is wrong, or not known."""
    found = [number(place, key) for key in DEFAULTS]
    whole = [value for value in found if isinstance(value, int)]
    if len(whole) < len(found):
        return None
    delay, period, timeout, success, failure = whole
    return ProbeTimes(
        initial_delay=delay, period=period, timeout=timeout, success=success, failure=failure
    )


def find_subjects(
    workloads: Sequence[Workload], request: Request
) -> tuple[list[Subject], list[str]]:
    """Return what is judged among *workloads*, and notes about what is not.

    :raises UsageError: nothing tells which container is the agent's.
    """
    subjects: list[Subject] = []
    notes: list[str] = []
    passed_over: list[str] = []
    evidence = [max((_evidence(c, request) for c in w.containers()), default=0) for w in workloads]
    # A name or a mount says little: it counts where nothing else speaks for any workload.
    least = 2 if max(evidence, default=0) > 1 else 1
    for workload, its_evidence in zip(workloads, evidence, strict=True):
        found = []
        if its_evidence >= least or request.container:
            found = list(_of_workload(workload, request, notes))
        subjects += found
        if not found:
            passed_over.append(str(workload))
    if not subjects and not notes:
        subjects, passed_over = [_only_one(workloads, request)], []
    if passed_over and not request.container and subjects:
        notes.append(f"not an agent's, by all that is seen: {', '.join(passed_over)}")
    return subjects, notes


def _of_workload(workload: Workload, request: Request, notes: list[str]) -> Iterator[Subject]:
    containers = workload.containers()
    gates = [run for c in containers if c.role == "init" for run in _runs(c, request)]
    others = [c for c in containers if c.role != "init"]
    if request.container:
        agents = [c for c in containers if c.name == request.container]
    else:
        ranks = {c.place.keys: _rank(c, request) for c in others}
        best = max(ranks.values(), default=0)
        agents = [c for c in others if best and ranks[c.place.keys] == best]
        # Where as much speaks for several, one that nobody probes is a helper of the others.
        probed = [c for c in agents if c.place.at("startupProbe") is not None]
        agents = (best < _RUNS_IT and probed) or agents
        if not agents and gates:
            agents = [c for c in others if c.role == "main"]
            agents = agents if len(agents) == 1 else []
            if not agents:
                yield Subject(workload, None, tuple(gates))
    for agent in agents:
        runs = [*_runs(agent, request), *(gate for gate in gates if gate.container is not agent)]
        mode = _literal(agent, "AGENT_MODE", request)
        if not runs and mode in _NO_SLOT:
            said = f"{workload}: container {agent.name} has AGENT_MODE={mode}, so it is no slot"
            notes.append(said)
            continue
        yield _subject(workload, agent, runs, request)


def _subject(
    workload: Workload, agent: Container, runs: list[ProbeRun], request: Request
) -> Subject:
    """Return the subject; where nothing else is the probe, it is what the startupProbe runs."""
    startup = agent.place.at("startupProbe")
    if not runs and startup is not None and not request.manager_execs:
        command = read_command(exec_words(startup))
        if command.words and request.recogniser.presumed(command):
            for kind in KINDS:
                place = agent.place.at(kind)
                if place is not None and exec_words(place) == command.words:
                    runs.append(ProbeRun(agent, kind, place, command, certain=False))
    return Subject(workload, agent, tuple(runs))


def _runs(container: Container, request: Request) -> list[ProbeRun]:
    """Return the places in *container* that certainly run the probe."""
    found: list[tuple[Where, Place, tuple[str, ...]]] = []
    for kind in KINDS:
        place = container.place.at(kind)
        if place is not None:
            found.append((kind, place, exec_words(place)))
    post_start = container.place.at("lifecycle", "postStart")
    if post_start is not None:
        found.append(("postStart", post_start, exec_words(post_start)))
    runs = []
    for where, place, words in found:
        command = read_command(words)
        if words and request.recogniser.runs_probe(command):
            runs.append(ProbeRun(container, where, place, command, certain=True))
    argv = container.argv()
    if re.fullmatch(r"-\w*c", next(iter(argv), "")):
        argv = ("sh", *argv)  # args alone: only a shell as ENTRYPOINT knows what to do with them
    command = read_command(argv)
    mode = _literal(container, "AGENT_MODE", request)
    by_mode = mode == "smoke-test" and not request.recogniser.probe
    if by_mode or (command.words and request.recogniser.runs_probe(command)):
        runs.append(ProbeRun(container, "main", container.place, command, certain=True))
    return runs


def exec_words(place: Place) -> tuple[str, ...]:
    """Return the command of a handler; a text in place of a list is one word."""
    text = place.text("exec", "command")
    return (text,) if text else place.words("exec", "command")


def _literal(container: Container, name: str, request: Request) -> str:
    variable = container.variables(request.configs).get(name)
    return (variable.value or "") if variable is not None else ""


def _rank(container: Container, request: Request) -> float:
    """Return how much speaks for *container*, of those in its Pod; 0 for nothing.

    A program that only sounds like a probe, as livenessprobe does, says less than a variable.
    """
    runs, evidence = _runs(container, request), _evidence(container, request)
    return evidence if not runs else _RUNS_IT if evidence > 1 else _SOUNDS


def _evidence(container: Container, request: Request) -> int:
    """Return how much speaks for *container* being an agent's.

    1 is little: a name, or a mount of what others, such as a backup, look at too.
    """
    runs = _runs(container, request)
    if any(_is_sure(run, request) for run in runs):
        return 4
    if request.image_reference and container.image == request.image_reference:
        return 3
    variables = container.variables(request.configs)
    inputs = {*request.contract.inputs.variables()} - {"HOME"}
    mode = variables.get("AGENT_MODE")
    if inputs & variables.keys() or (mode is not None and mode.value in (None, *_MODES)):
        return 2
    directories = {f".{name}" for name in AGENT_CLIS}
    if any(directories & {*mount.path.split("/")} for mount in container.mounts()):
        return 1
    image = container.image.rpartition("/")[2].partition(":")[0]
    parts = re.split(r"[^a-z0-9]+", f"{container.name} {image}".lower())
    return 1 if runs or {*request.contract.agents, "slot"} & {*parts} else 0


def _is_sure(run: ProbeRun, request: Request) -> bool:
    by_mode = _literal(run.container, "AGENT_MODE", request) == "smoke-test"
    return by_mode or request.recogniser.runs_probe(run.command, surely=True)


def _only_one(workloads: Sequence[Workload], request: Request) -> Subject:
    """Return the only container there is, or the only one with a startupProbe that runs something.

    :raises UsageError: there are several.
    """
    named = [(w, c) for w in workloads for c in w.containers()]
    if request.container:
        hint = f"there are {_names(c for _, c in named)}"
        raise UsageError(f"no container '{request.container}'", hint=hint)
    found = [(w, c) for w, c in named if c.role == "main"]
    if len(workloads) == 1 and len(found) > 1:
        found = [(w, c) for w, c in found if c.place.at("startupProbe", "exec") is not None]
    if len(found) != 1:
        cause = "nothing tells which container is the agent's"
        hint = f"name one with --container: {_names(c for _, c in named)}"
        raise UsageError(cause, hint=hint)
    [(workload, agent)] = found
    return _subject(workload, agent, [], request)


def _names(containers: Iterable[Container]) -> str:
    names = list(dict.fromkeys(c.name or "one without a name" for c in containers))
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "") if names else "none"
