"""What the suite knows about agents: the states of their CLIs, one file each, and good logins."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from conformance.bundled import fixtures_dir
from conformance.catalogue.answers import answers_of
from conformance.catalogue.cli_schema import CliFile
from conformance.catalogue.entries import entries_of, merge
from conformance.catalogue.layers import layer
from conformance.catalogue.toml import convert, read_toml
from conformance.errors import FileError
from conformance.model.agent import IN_HOME, CliState
from conformance.model.scenario import Entry, Scenario

__all__ = [
    "STATES",
    "cli_state",
    "cli_states",
    "golden_entries",
    "good_login",
    "own_states",
    "state_file",
    "state_in",
    "state_of",
]

#: The directory of a user's own states, below that of the scenarios.
STATES = "states"

#: Layers with the good login of an agent, complete as its CLI leaves it, if they are not called
#: AGENT-credentials.
_GOOD_LOGINS = {"claude": "claude-login", "codex": "codex-auth"}


@cache
def cli_states() -> tuple[str, ...]:
    """Return the names of all bundled states that an agent's CLI can be in."""
    return tuple(sorted(path.stem for path in _directory().glob("*.toml")))


@cache
def cli_state(state: str) -> CliState:
    """Return the bundled state called *state*.

    :raises FileError: there is no such state.
    """
    return state_in(state_file(state))


def own_states(root: Path) -> dict[str, Path]:
    """Return the files of a user's own states, below the directory *root* of their scenarios.

    :raises FileError: one has the name of a bundled state.
    """
    found = {path.stem: path for path in sorted((root / STATES).glob("*.toml"))}
    for name in found.keys() & {*cli_states()}:
        hint = "a state of your own needs a name of its own; rename the file"
        raise FileError(str(found[name]), f"'{name}' is the name of a bundled state", hint=hint)
    return found


def state_file(state: str, *, name: str = "", root: Path | None = None) -> Path:
    """Return the file of the state called *state*: a bundled one, or one of those below *root*.

    :raises FileError: there is no such file, or two; *name* is the file that asks for it.
    """
    own = own_states(root) if root is not None else {}
    if state in cli_states():
        return _directory() / f"{state}.toml"
    if state not in own:
        hint = f"allowed: {', '.join((*cli_states(), *own))}"
        raise FileError(name, f"unknown value '{state}'", key="cli.state", hint=hint)
    return own[state]


def state_of(scenario: Scenario) -> CliState:
    """Return the state that the CLI of *scenario* is in."""
    return state_in(Path(scenario.cli_file)) if scenario.cli_file else cli_state(scenario.cli)


@cache
def state_in(path: Path) -> CliState:
    """Return the state that the file at *path* describes.

    :raises FileError: the file is wrong.
    """
    name = str(path)
    shape = convert(read_toml(path), CliFile, name=name)
    entries = [*entries_of(shape.files, name=name, table="files", stub=True)]
    home = [*entries_of(shape.home, name=name, table="home", stub=True)]
    answers = {"cli": tuple(answers_of(shape.answers, name=name))} if shape.answers else {}
    for place, other in shape.like.items():
        in_home, place_there = place.startswith(IN_HOME), place.removeprefix(IN_HOME)
        (home if in_home else entries).extend(_copies(place_there, other, path))
        file = state_file(other, root=path.parent.parent if path.parent != _directory() else None)
        if "cli" in (found := state_in(file).answers):
            answers[place] = found["cli"]
    state = CliState(
        name=path.stem,
        summary=shape.summary,
        waits=shape.waits,
        alone=shape.alone,
        entries=tuple(entries),
        home=tuple(home),
        path=tuple(shape.path),
        writes=tuple(shape.writes),
        answers=answers,
    )
    _check(state, name)
    return state


def _copies(place: str, other: str, path: Path) -> Iterator[Entry]:
    """Yield the stub of the state called *other*, with its program at *place*.

    :raises FileError: there is no such state in the bundle or beside *path*, or it has several
        directories itself.
    """
    name, key = str(path), f"like.{place}"
    root = path.parent.parent if path.parent != _directory() else None
    try:
        file = state_file(other, name=name, root=root)
    except FileError as e:
        raise FileError(e.file, e.detail, key=key, hint=e.hint) from None
    table = convert(read_toml(file), CliFile, name=str(file))
    if table.like or table.home or table.path != ["."]:
        wrong = f"the state '{other}' is more than one program"
        raise FileError(name, wrong, key=key, hint="write its parts out here")
    directory, slash, program = place.rpartition("/")
    files = {
        f"{directory}{slash}{program if file == 'cli' else file}": entry
        for file, entry in table.files.items()
    }
    yield from entries_of(files, name=name, table="like", stub=True)


def _check(state: CliState, name: str) -> None:
    """Make sure that *state* has its directories, and no path twice.

    :raises FileError: it has not.
    """
    for entries in (state.entries, state.home):
        paths = [entry.path for entry in entries]
        for path in paths:
            if paths.count(path) > 1:
                raise FileError(name, "is written twice", key=f"like.{path}")
    hint = "write '.', a directory of 'files', or one below {home}/"
    for directory in state.path:
        parts = directory.removeprefix(IN_HOME).split("/")
        plain = parts == ["."] or {"", ".", ".."}.isdisjoint(parts)
        if not plain or ":" in directory or "{" in parts[0] or directory == f"{IN_HOME}.":
            raise FileError(name, f"'{directory}' is no directory here", key="path", hint=hint)
    if len(set(state.path)) < len(state.path):
        raise FileError(name, "a directory is listed twice", key="path")
    if all(directory.startswith(IN_HOME) for directory in state.path):
        wrong = "no directory outside the HOME, where the other agent's CLI would lie"
        raise FileError(name, wrong, key="path", hint="add '.'")


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
