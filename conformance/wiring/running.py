"""Rules about what runs the probe, and with which command."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

from conformance.text import join, shortened
from conformance.wiring.commands import is_stand_in, read_command, takes_text
from conformance.wiring.context import Context
from conformance.wiring.findings import Finding
from conformance.wiring.runs import KINDS, ProbeRun, exec_words
from conformance.wiring.shell import base
from conformance.wiring.tree import Place
from conformance.wiring.workloads import is_placeholder

__all__ = ["check_command", "check_handlers", "check_places"]

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_NO_ARGUMENTS = {"||", "&&", "2>&1", "&"}
_OPERATORS = {"|", ";", ">", ">>", "<"}
#: What only a shell replaces; other variables may be filled in before Kubernetes sees them.
_EXPANDED = re.compile(r"\$HOME\b|\$\{HOME\}|^~/")


def check_places(context: Context) -> Iterator[Finding]:
    """Yield what is wrong with where the probe runs."""
    subject, agent = context.subject, context.agent
    places = {run.where for run in subject.runs}
    if agent is not None and not places:
        if not context.request.manager_execs:
            yield from _nothing_runs_it(context)
    elif places == {"livenessProbe"}:
        run = subject.runs[0]
        message = "only the livenessProbe runs the probe: nothing waits for its first answer"
        yield context.finding("only-liveness", run.place, message, "make it the startupProbe", run)
    else:
        for run in subject.runs:
            yield from _odd_place(context, run)


def _nothing_runs_it(context: Context) -> Iterator[Finding]:
    agent = context.agent
    assert agent is not None
    startup = agent.place.at("startupProbe")
    way_out = "give the container a startupProbe with exec and the command of the probe"
    if startup is None:
        message = "nothing in this Pod runs the probe"
        if not context.request.recogniser.probe:
            way_out += "; where something runs it that is not recognised, name it with --probe"
        if not context.request.container:
            way_out += "; where this is not the agent's container, name that with --container"
        yield context.finding("nothing-runs-the-probe", agent.place, message, way_out)
        return
    words = exec_words(startup)
    other = next((key for key in _HANDLERS[1:] if startup.at(key) is not None), "")
    if startup.at("exec") is None and other:
        message = f"the startupProbe is a {other}: it asks a server, and no exit code is read"
        yield context.finding(
            "not-exec", startup.nearest(other), message, "run the probe with exec and its command"
        )
    elif words and context.request.recogniser.probe:
        wanted = join(context.request.recogniser.probe)
        message = f"the startupProbe runs {_shown(words)}, and nothing here runs {wanted}"
        yield context.finding("nothing-runs-the-probe", startup, message, way_out)
    elif words:
        message = f"the startupProbe runs {_shown(words)}, which is a stand-in for the probe"
        way_out = "run the probe itself; where this is it, name it with --probe"
        yield context.finding("not-the-probe", startup.nearest("exec", "command"), message, way_out)


def _odd_place(context: Context, run: ProbeRun) -> Iterator[Finding]:
    if run.where == "livenessProbe":
        message = (
            "the livenessProbe runs the probe for ever: when a login ends, the kubelet kills the "
            "agent in the middle of its work"
        )
        way_out = "leave it to the startupProbe; a readinessProbe drains a slot and kills nothing"
        yield context.finding("liveness-runs-the-probe", run.place, message, way_out, run)
    elif run.where == "postStart":
        message = "postStart runs the probe: without a limit of time, and once"
        way_out = "make it the startupProbe"
        yield context.finding("post-start-runs-the-probe", run.place, message, way_out, run)
    elif run.where == "main" and run.container.role != "init":
        yield from _as_main(context, run)


def _as_main(context: Context, run: ProbeRun) -> Iterator[Finding]:
    """Yield what keeps the exit code of a container that only runs the probe from being read."""
    if context.workload.kind in ("Job", "CronJob"):
        if context.workload.restart_policy == "OnFailure":
            message = (
                "with restartPolicy OnFailure the Job removes its Pod in the end, exit code and all"
            )
            yield context.finding(
                "job-loses-code",
                context.workload.pod.nearest("restartPolicy"),
                message,
                "set restartPolicy: Never",
                run,
            )
    elif run.container.restart_policy == "Always":
        message = "the container runs the probe and ends, and restartPolicy Always starts it again"
        way_out = "run it in a Job, as an init container, or as a startupProbe"
        yield context.finding("probe-restarts", run.place, message, way_out, run)


def check_handlers(context: Context) -> Iterator[Finding]:
    """Yield what Kubernetes refuses about the probes of the containers that count."""
    containers = [run.container for run in context.subject.runs]
    containers += [context.agent] if context.agent is not None else []
    unique = {container.place.keys: container for container in containers}
    for container in unique.values():
        for kind in KINDS:
            place = container.place.at(kind)
            if place is None:
                continue
            if container.role == "init":
                message = f"a {kind} on an init container, which Kubernetes refuses"
                way_out = "run the probe as the init container's command"
                yield context.finding("probe-on-init-container", place, message, way_out)
            else:
                yield from _handlers(context, place, kind)


def _handlers(context: Context, place: Place, kind: str) -> Iterator[Finding]:
    found = [key for key in _HANDLERS if place.at(key) is not None]
    # An empty mapping is no handler either.
    if len(found) > 1:
        message = f"the {kind} has several handlers, {' and '.join(found)}; Kubernetes takes one"
        yield context.finding("several-handlers", place, message, "leave exec alone")
    elif not found:
        message = f"the {kind} says nothing to run"
        yield context.finding("no-handler", place, message, "add exec with a command")
    elif found == ["exec"]:
        command = place.at("exec", "command")
        if command is None or command.value.data in ([], ""):
            message = f"the {kind} has no command"
            way_out = "add the command as a list of words"
            yield context.finding("no-handler", place.nearest("exec"), message, way_out)


def check_command(context: Context, run: ProbeRun) -> Iterator[Finding]:
    """Yield what is wrong with the command of *run*."""
    place = run.command_place
    words = run.command.words
    known = context.request.recogniser.probe
    if is_placeholder(place.text()):
        return
    # What reads args alone is the image's ENTRYPOINT, and that may be a shell.
    read_here = run.where != "main" or run.place.at("command") is not None
    a_line = words and words[0] not in known and _is_a_line(words[0].strip())
    if place.text() or (read_here and a_line):
        message = f"the command is one string, {_shown(words)}, and no shell splits it"
        split = json.dumps(" ".join(words).split(), ensure_ascii=False)
        yield context.finding("one-long-string", place, message, f"write {split}", run)
        return
    yield from _numbers(context, run)
    if run.command.line is None:
        odd = [word for number, word in enumerate(words) if _is_for_a_shell(words, number)]
        if odd and read_here:
            message = f"'{odd[0]}' is for a shell, and none reads {_shown(words)}"
            way_out = f'write ["sh", "-c", {json.dumps(_as_a_line(words), ensure_ascii=False)}]'
            yield context.finding("no-shell", place, message, way_out, run)
        return
    if context.contract.exit_code_answers:
        yield from _fate(context, run, place)


def _is_a_line(word: str) -> bool:
    """Return whether *word*, the first of a command, is a whole command, and no path with blanks.

    A directory may have a blank in its name; what follows a program does not look like a path.
    """
    parts = word.split()
    if len(parts) < 2 or not word.startswith("/"):
        return len(parts) > 1
    return len(base(word).split()) > 1 or any(part.startswith(("-", "/")) for part in parts[1:])


def _numbers(context: Context, run: ProbeRun) -> Iterator[Finding]:
    """Yield the words of the command that are no texts, which Kubernetes refuses."""
    lists = (("command",), ("args",)) if run.where == "main" else (("exec", "command"),)
    for keys in lists:
        for place in run.place.elements(*keys):
            word = place.word()
            if word and not place.text():
                kind = "yes or no" if isinstance(place.scalar(), bool) else "a number"
                message = f"'{word}' is {kind}, and Kubernetes takes texts alone in a command"
                way_out = f'write "{word}", in quotes'
                yield context.finding("word-not-a-text", place, message, way_out, run)


def _as_a_line(words: tuple[str, ...]) -> str:
    """Return *words* as a line in which a shell sees what is meant for it, and no more."""
    line = []
    for number, word in enumerate(words):
        if not _is_for_a_shell(words, number):
            line.append(shlex.quote(word))
        else:
            line.append(f'"{word}"' if re.search(r"\s", word) else word)
    return " ".join(line)


def _is_for_a_shell(words: tuple[str, ...], number: int) -> bool:
    """Return whether the word at *number* is meant for a shell, and not for the program itself."""
    word = words[number]
    if takes_text(words, number):
        return False
    if _EXPANDED.search(word) or word in _NO_ARGUMENTS:
        return True
    # The value of an option may be one of these, and the last word of some programs.
    of_an_option = words[number - 1].startswith("-") or "-exec" in words
    return word in _OPERATORS and not of_an_option and number < len(words) - 1


def _fate(context: Context, run: ProbeRun, place: Place) -> Iterator[Finding]:
    assert run.command.line is not None
    recogniser = context.request.recogniser

    def is_probe(words: tuple[str, ...]) -> bool:
        if run.certain:
            return recogniser.knows(words)
        program = read_command(words, depth=1).program
        return bool(program) and not is_stand_in(program)

    fate, why = run.command.line.fate(is_probe)
    script = shortened(run.command.script, 60)
    if fate == "lost":
        message = f"'{why}' decides the exit code of {script!r}, whatever the probe says"
        rule = "exit-code-swallowed"
    elif fate == "may-be-lost":
        message = f"'{why}' comes after the probe in {script!r}, and decides its exit code"
        rule = "exit-code-may-be-lost"
    elif fate == "changed" and run.keeps_code:
        message = (
            f"'{why}' turns every refusal into one number, where the probe's own would be kept"
        )
        rule = "exit-code-changed"
    else:
        return
    way_out = "let the probe come last, with exec in front of it"
    yield context.finding(rule, place, message, way_out, run)


def _shown(words: tuple[str, ...]) -> str:
    return shortened(join(words), 60)
