"""The conditions that the CLI of a coding agent can be in."""

from __future__ import annotations

from typing import Literal

__all__ = [
    "CLI_STATES",
    "WAITING_CLI_STATES",
    "CliState",
]

CliState = Literal[
    "healthy",
    "alone",
    "missing",
    "not-executable",
    "no-shebang",
    "no-shebang-exit-0",
    "no-interpreter",
    "symlink-loop",
    "directory",
    "truncated-elf",
    "exit-1",
    "exit-127",
    "killed",
    "hangs",
    "hangs-ignoring-sigterm",
    "hangs-in-a-child",
    "leaves-a-child",
    "slow",
    "slower",
    "too-slow",
    "silent",
    "huge-output",
    "not-utf8",
    "stderr-warnings",
]

CLI_STATES: tuple[str, ...] = CliState.__args__  # type: ignore[attr-defined]

#: Conditions under which a right probe can only wait: a run starts these first and goes on beside them.
WAITING_CLI_STATES = frozenset({"hangs", "hangs-ignoring-sigterm", "hangs-in-a-child", "slow", "slower", "too-slow"})
