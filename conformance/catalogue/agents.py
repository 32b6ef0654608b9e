"""What the suite knows about agents: the states of their CLIs, one file each, and good logins."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from conformance.bundled import fixtures_dir
from conformance.catalogue.entries import entries_of, merge
from conformance.catalogue.layers import layer
from conformance.catalogue.schema import CliFile
from conformance.catalogue.toml import convert, read_toml
from conformance.errors import FileError
from conformance.model.agent import CliState
from conformance.model.scenario import Entry

__all__ = ["cli_state", "cli_states", "golden_entries", "good_login"]

#: Layers with the good login of an agent, complete as its CLI leaves it, if they are not called
#: AGENT-credentials.
_GOOD_LOGINS = {"claude": "claude-login", "codex": "codex-auth"}


@cache
def cli_states() -> tuple[str, ...]:
    """Return the names of all states that an agent's CLI can be in."""
    return tuple(sorted(path.stem for path in _directory().glob("*.toml")))


def cli_state(state: str, *, name: str = "") -> CliState:
    """Return the state called *state*.

    :raises FileError: there is no such state; *name* is the file that asks for it.
    """
    if state not in cli_states():
        hint = f"allowed: {', '.join(cli_states())}"
        raise FileError(name, f"unknown value '{state}'", key="cli.state", hint=hint)
    return _read(state)


@cache
def _read(state: str) -> CliState:
    path = _directory() / f"{state}.toml"
    shape = convert(read_toml(path), CliFile, name=str(path))
    return CliState(
        name=state,
        summary=shape.summary,
        waits=shape.waits,
        alone=shape.alone,
        entries=entries_of(shape.files, name=str(path)),
    )


def _directory() -> Path:
    return fixtures_dir() / "cli"


def good_login(agent: str, *, name: str = "", root: Path | None = None) -> tuple[Entry, ...]:
    """Return the entries of a good login of *agent*.

    They come from ``layers`` below *root*, else from a bundled layer.

    :raises FileError: there is no such layer; *name* is the file that asks for it.
    """
    wanted = _GOOD_LOGINS.get(agent, f"{agent}-credentials")
    try:
        return merge([layer(wanted, name=name, root=root)], name=name)
    except FileError as e:
        if e.key != "home.include":  # the layer is there, but wrong
            raise
        hint = f"write it to {root}/layers/{wanted}.toml"
        raise FileError(name, f"no layer '{wanted}', a good login of {agent}", hint=hint) from None


#: Layers without a fault: what an image brings, and a login in each mode.
_GOLDEN = ("claude-baseline", "claude-login", "codex-auth", "codex-key")


@cache
def golden_entries() -> dict[str, tuple[Entry, ...]]:
    """Return what a home without a fault can have at a path, one or more entries each."""
    found: dict[str, tuple[Entry, ...]] = {}
    for name in _GOLDEN:
        for entry in layer(name):
            found[entry.path] = (*found.get(entry.path, ()), entry)
    return found
