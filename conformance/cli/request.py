"""From the options of a command to the request of a run, and back to a command."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.cli.image_request import image_argv, image_request
from conformance.cli.settings import Taken
from conformance.run.request import (
    Command,
    OwnProbe,
    ProbeSpec,
    RunRequest,
    only_one,
    python_callable,
    variables,
)

__all__ = ["repro_argv", "run_request"]


def run_request(
    *,
    patterns: Sequence[str],
    files: Sequence[str] = (),
    contract: str,
    directories: Sequence[Path],
    env: Sequence[str],
    pass_env: Sequence[str],
    repeat: int,
    as_of: str = "",
    agent: str = "",
    allow_writes: Sequence[str] = (),
    strict: bool = False,
    keep: Path | None = None,
    now: float | None = None,
    seed: str = "",
    known_failures: str | None = None,
    probe_in: Path | None = None,
    **options: Any,
) -> RunRequest:
    """Return the request that the options of a command come to; *options* name the probe.

    A local probe starts in *probe_in*, by default in the current directory.

    :raises UsageError: the options do not go together, or one of them is wrong.
    """
    cwd = probe_in or Path.cwd()

    def from_there(name: str) -> str:
        """Return a file or directory that was typed so that it is found from *cwd*."""
        return name if cwd == Path.cwd() or not name else os.path.abspath(name)

    def files_among(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(from_there(name) if name.endswith(".toml") else name for name in names)

    return RunRequest(
        probe=_probe(options),
        cwd=str(cwd),
        contract=from_there(contract) if {".", os.sep} & set(contract) else contract,
        as_of=as_of,
        agent=agent,
        allow_writes=tuple(allow_writes),
        strict=strict,
        directories=tuple(str(directory.absolute()) for directory in directories),
        patterns=files_among(patterns),
        files=files_among(files),
        variables=variables(env, pass_env),
        repeat=repeat,
        now=now,
        seed=seed,
        keep=from_there(str(keep or "")),
        known_failures=str(Path(known_failures).absolute()) if known_failures else "",
    )


def _probe(options: Mapping[str, Any]) -> ProbeSpec:
    command, image, python = (options.get(name) for name in ("probe", "image", "python"))
    only_one({"--probe": command, "--image": image, "--python": python})
    callable_ = python_callable(
        python, options.get("truth"), in_process=options.get("in_process", False)
    )
    wanted = image_request(image, options)
    if wanted is not None:
        return wanted
    return callable_ or (Command(command) if command is not None else OwnProbe())


def repro_argv(options: Mapping[str, Any], settings: Taken | None = None) -> list[str]:
    """Return the command that repeats one scenario, without its id, which comes third.

    What comes from a settings file is left to that file: the command reads it as well.
    """
    settings = settings or Taken(typed=dict(options))
    typed = settings.typed
    argv = ["probe-conformance", "repro", *settings.argv]
    for name in ("probe", "python"):
        if typed.get(name) is not None:
            argv += [f"--{name}", typed[name]]
    if typed.get("in_process"):
        argv += ["--in-process"]
    if typed.get("truth") is not None:
        argv += ["--truth", typed["truth"]]
    argv += image_argv(typed)
    if typed.get("as_of"):
        argv += ["--as-of", typed["as_of"]]
    for name, usual in (("contract", "slot"), ("repeat", 1)):
        if typed.get(name, usual) != usual or (name in typed and name in settings.said):
            argv += [f"--{name}", str(typed[name])]
    repeatable = {
        "directories": "--scenarios",
        "env": "--env",
        "pass_env": "--pass-env",
        "allow_writes": "--allow-write",
    }
    for name, option in repeatable.items():
        for value in typed.get(name, ()):
            argv += [option, str(value)]
    return argv
