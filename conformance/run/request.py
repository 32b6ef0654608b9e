"""What is asked of a run, as one value: what the user typed.

The command line and the pytest plugin fill it; :func:`conformance.run.assembly.open_run` checks it
and makes what it stands for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field

from conformance.drivers.container.request import ImageRequest
from conformance.errors import UsageError

__all__ = [
    "Command",
    "OwnProbe",
    "ProbeSpec",
    "PythonCallable",
    "RunRequest",
    "check_now",
    "only_one",
    "python_callable",
    "scenario_files",
    "truth_codes",
    "variables",
]


class Command(Struct, frozen=True, tag="command"):
    """A local command."""

    line: str
    """It is split like a shell would; no shell runs."""


class PythonCallable(Struct, frozen=True, tag="callable"):
    """A Python callable that returns the exit code."""

    target: str
    """``MODULE:NAME``, looked for from the directory of the request on."""
    in_process: bool = False
    """Whether it is called in a fake file system, with a clock that is set."""
    truth: str = ""
    """The exit codes of true and false, as ``TRUE,FALSE``; empty for what the contract says."""


class OwnProbe(Struct, frozen=True, tag="own"):
    """The contract's own: its reference probe, or the agents' CLIs where these are asked."""


#: The probe of a run. Which one it is decides the driver.
ProbeSpec = Command | PythonCallable | ImageRequest | OwnProbe


class RunRequest(Struct, frozen=True, kw_only=True):
    """One run: which probe, under which contract, in which scenarios."""

    probe: ProbeSpec = field(default_factory=OwnProbe)
    cwd: str
    """The directory that relative names count from, and that a local probe starts in."""
    contract: str = "slot"
    """The name of a bundled contract, or a contract file."""
    as_of: str = ""
    """The version of the contract that is asked for; empty for the present one."""
    agent: str = ""
    """The agent whose scenarios run; empty for all agents of the contract."""
    allow_writes: tuple[str, ...] = ()
    """Further paths in the HOME that may be written, by an image's entrypoint or a local probe."""
    strict: bool = False
    """Whether advice counts as a deviation."""
    directories: tuple[str, ...] = ()
    """Directories of scenarios beside the bundled ones."""
    patterns: tuple[str, ...] | None = ()
    """Ids, globs and files of scenarios. Empty for all; None for what pytest collects."""
    files: tuple[str, ...] = ()
    """More scenario files, whose scenarios ids and controls may name."""
    variables: dict[str, str] = field(default_factory=dict)
    """Variables of the environment for every probe."""
    repeat: int = 1
    """How often each scenario is run."""
    now: float | None = None
    """The fixed now of the run, in epoch seconds; None for the time at which it starts."""
    seed: str = ""
    """What makes its secrets differ from those of other runs; empty for one of its own."""
    keep: str = ""
    """The directory for homes of scenarios that deviate; empty where none is kept."""
    known_failures: str = ""
    """The file of failures that are expected; empty for none."""
    stage: bool = False
    """Whether volumes and images outlive the run, so that a case can be repeated by hand."""

    @property
    def image(self) -> ImageRequest | None:
        """The image whose entrypoint is the probe, where it is one."""
        return self.probe if isinstance(self.probe, ImageRequest) else None

    @property
    def in_process(self) -> bool:
        """Whether the probe is called in a fake file system."""
        return isinstance(self.probe, PythonCallable) and self.probe.in_process


#: So many seconds may lie between a fixed now and the clock. Where the answer hangs on a time, that
#: is at least half an hour from now, and a run takes a while, too.
_NEAR = 600


def check_now(now: float | None) -> None:
    """Refuse a fixed *now* that is another time to a probe which reads the clock.

    :raises UsageError: it is too far from the clock.
    """
    if now is None or abs(now - time.time()) <= _NEAR:
        return
    when = "before" if now < time.time() else "after"
    far = f"more than {_NEAR // 60} minutes {when} the clock here, which the probe reads"
    raise UsageError(f"--now lies {far}", hint="give a time that is nearer, or leave it out")


def only_one(named: dict[str, object]) -> None:
    """Refuse more than one probe; *named* maps options to their values.

    :raises UsageError: names the options that were given.
    """
    given = [option for option, value in named.items() if value is not None]
    if len(given) > 1:
        count = "two" if len(given) == 2 else "three"
        raise UsageError(f"{' and '.join(given)} name {count} probes", hint="give one of them")


def truth_codes(text: str) -> tuple[int, int]:
    """Return the exit codes of true and false that *text* names.

    :raises UsageError: it does not look like that.
    """
    codes = [int(word) for word in text.split(",") if word.isascii() and word.isdigit()]
    if len(codes) != 2 or text.count(",") != 1 or max(codes) > 255:
        hint = "give two exit codes, such as 0,1"
        raise UsageError(f"--truth '{text}' is not TRUE,FALSE", hint=hint)
    return codes[0], codes[1]


def python_callable(
    target: str | None, truth: str | None, *, in_process: bool
) -> PythonCallable | None:
    """Return the callable that options name; None where they name none.

    :raises UsageError: *truth* is no pair of exit codes, or there is no callable to call like that.
    """
    if target is None:
        if truth is not None:
            hint = "name a callable with --python, or leave it out"
            raise UsageError("--truth is about a Python callable", hint=hint)
        if in_process:
            hint = "name a callable with --python, or leave it out"
            raise UsageError("--in-process is about a Python callable", hint=hint)
        return None
    if truth is not None:
        truth_codes(truth)
    return PythonCallable(target, in_process, truth or "")


def scenario_files(patterns: Iterable[str], directory: Path) -> tuple[Path, ...]:
    """Return the scenario files among *patterns*; relative names count from *directory*.

    :raises UsageError: one of them is not there.
    """
    files = []
    for pattern in patterns:
        if pattern.endswith(".toml"):
            # Unlike Path.is_file, it does not raise for names that are too long or out of reach.
            if not os.path.isfile(directory / pattern):
                hint = "name a scenario file, or an id without .toml"
                raise UsageError(f"no file {pattern}", hint=hint)
            files.append(directory / pattern)
    return tuple(files)


def variables(pairs: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Return the variables in ``KEY=VALUE`` *pairs*, and those called *names* here.

    :raises UsageError: a pair has no ``=``, or a name is not set.
    """
    result = {}
    for name in names:
        if name not in os.environ:
            hint = "set it, or give KEY=VALUE"
            raise UsageError(f"{name} is not set here, so it cannot be passed on", hint=hint)
        result[name] = os.environ[name]
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"'{pair}' is no KEY=VALUE", hint="write it like NAME=text")
        result[name] = value
    return result
