"""The command that asks a Python object as a gate, and what is special about such a command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from conformance.drivers.local import gate_host
from conformance.drivers.local.command import parse_callable

__all__ = ["GATE", "described", "gate_in_file", "parse_gate", "sets_clock"]

#: What the file of a reference gate calls the class.
GATE = "Gate"


def parse_gate(wanted: str, directory: Path) -> tuple[str, ...]:
    """Return the command that asks what ``MODULE:NAME`` makes, as a gate.

    The search for the module starts in *directory*.

    :raises UsageError: it is not written like that, or there is nothing to call.
    """
    parse_callable(wanted, directory)
    module, _, name = wanted.partition(":")
    return _command(module, name, str(directory))


def gate_in_file(file: str) -> tuple[str, ...]:
    """Return the command that asks what the class ``Gate`` in the Python *file* makes."""
    return _command(file, GATE)


def _command(module: str, name: str, directory: str = "") -> tuple[str, ...]:
    spec = find_spec("time_machine")
    site = str(Path(spec.origin).parents[1]) if spec is not None and spec.origin else ""
    return (sys.executable, "-I", gate_host.__file__, module, name, site, directory)


def sets_clock(argv: Sequence[str]) -> bool:
    """Return whether the clock of the gate that *argv* starts can be set."""
    return tuple(argv[1:3]) == ("-I", gate_host.__file__)


def described(argv: Sequence[str]) -> dict[str, Any]:
    """Return what the gate is that *argv* starts, for reports."""
    module, name = argv[3:5]
    return {
        "kind": "callable",
        "command": list(argv),
        "callable": f"{module}:{name}",
        "clock": "set",
    }
