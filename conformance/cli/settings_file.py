"""The settings file: what a project says once, instead of in every command."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from conformance.catalogue.toml import convert, read_text, toml
from conformance.errors import FileError, UsageError
from conformance.files import repository

__all__ = [
    "NAME",
    "Settings",
    "SettingsFile",
    "Word",
    "check_variables",
    "find",
    "read",
    "with_paths",
]

#: What a settings file is called.
NAME = "probe-conformance.toml"
#: A file that others share: settings are a table in it.
_SHARED = "pyproject.toml"
_TABLE = ("tool", "probe-conformance")
#: Settings that are a path, or a list of them: relative ones count from the file.
_PATHS = (
    *("scenarios", "known-failures", "baseline", "json", "junit", "html"),
    *("images", "summary", "durations"),
)

Word = Annotated[str, Meta(min_length=1, pattern=r"^[^\x00]*[^\s\x00][^\x00]*\Z")]
Variable = Annotated[str, Meta(pattern=r"^[^=\x00]+\Z")]
Value = Annotated[str, Meta(pattern=r"^[^\x00]*\Z")]


class SettingsFile(Struct, forbid_unknown_fields=True, kw_only=True, rename="kebab"):
    """What holds for every run in this project. Each key is an option of `run`; that one wins."""

    probe: Annotated[
        Word | UnsetType,
        Meta(description="A local command, which starts in the directory of this file."),
    ] = UNSET
    image: Annotated[
        Word | UnsetType, Meta(description="A container image whose entrypoint is the probe.")
    ] = UNSET
    images: Annotated[
        Word | UnsetType, Meta(description="A file of several images, each judged by itself.")
    ] = UNSET
    python: Annotated[
        Word | UnsetType,
        Meta(description="A Python callable, MODULE:NAME, found from this file's directory on."),
    ] = UNSET
    in_process: Annotated[
        bool | UnsetType, Meta(description="Call it in a fake file system, with a clock set.")
    ] = UNSET
    truth: Annotated[
        Word | UnsetType, Meta(description="The exit codes of its truth values, such as '0,1'.")
    ] = UNSET
    contract: Annotated[
        Word | UnsetType, Meta(description="A bundled contract, or the path of a contract file.")
    ] = UNSET
    as_of: Annotated[
        Word | UnsetType, Meta(description="What this version of the contract demanded, such as 1.")
    ] = UNSET
    baseline: Annotated[
        Word | UnsetType, Meta(description="A JSON report: only what got worse fails the run.")
    ] = UNSET
    agent: Annotated[
        Word | UnsetType, Meta(description="Only the scenarios of this agent are run.")
    ] = UNSET
    strict: Annotated[bool | UnsetType, Meta(description="Whether advice counts.")] = UNSET
    scenarios: Annotated[
        list[Word] | UnsetType, Meta(description="Directories with scenarios of your own.")
    ] = UNSET
    env: Annotated[
        dict[Variable, Value] | UnsetType,
        Meta(description="Variables for every probe. A secret does not belong here: pass-env."),
    ] = UNSET
    pass_env: Annotated[
        list[Variable] | UnsetType,
        Meta(description="Names of variables that every probe gets from where the suite runs."),
    ] = UNSET
    allow_write: Annotated[
        list[Word] | UnsetType,
        Meta(description="Further paths in the HOME that may be written, such as '.cache/**'."),
    ] = UNSET
    repeat: Annotated[
        Annotated[int, Meta(ge=1)] | UnsetType,
        Meta(description="How often each scenario is run; unequal answers are a finding."),
    ] = UNSET
    isolation: Annotated[
        Literal["fresh", "shared", "both"] | UnsetType,
        Meta(description="Of an image: a container for each scenario, for each worker, or both."),
    ] = UNSET
    entrypoint: Annotated[
        Word | UnsetType, Meta(description="Run this in the image instead of its entrypoint.")
    ] = UNSET
    command: Annotated[
        str | UnsetType, Meta(description="Hand this to its entrypoint instead of its command.")
    ] = UNSET
    user: Annotated[
        Word | UnsetType, Meta(description="Run the image as this user, USER[:GROUP].")
    ] = UNSET
    network: Annotated[
        Word | UnsetType, Meta(description="The engine's network to join; by default none.")
    ] = UNSET
    cap_add: Annotated[
        list[Word] | UnsetType, Meta(description="Capabilities to keep; all others are dropped.")
    ] = UNSET
    memory: Annotated[
        Word | UnsetType, Meta(description="The limit of memory, such as '512m'; by default '1g'.")
    ] = UNSET
    read_only: Annotated[
        bool | UnsetType, Meta(description="Whether the image's root file system is read-only.")
    ] = UNSET
    engine: Annotated[
        list[Word] | UnsetType,
        Meta(description="Container engines, by URL or docker context, that the image runs on."),
    ] = UNSET
    platform: Annotated[
        Word | UnsetType, Meta(description="Only the image for this platform: 'linux/arm64'.")
    ] = UNSET
    workers: Annotated[
        Annotated[int, Meta(ge=0, le=256)] | Literal["auto"] | UnsetType,
        Meta(description="Parallel workers; 0 runs all in one process."),
    ] = UNSET
    durations: Annotated[
        Word | UnsetType, Meta(description="A JSON report: shards are cut by the seconds in it.")
    ] = UNSET
    known_failures: Annotated[
        Word | UnsetType, Meta(description="The file of failures that are expected.")
    ] = UNSET
    fail_on_unsupported: Annotated[
        bool | UnsetType, Meta(description="Whether what cannot be had here fails the run.")
    ] = UNSET
    output_format: Annotated[
        Literal["full", "concise", "github", "sarif", "tap"] | UnsetType,
        Meta(description="What standard output of a run holds."),
    ] = UNSET
    json: Annotated[Word | UnsetType, Meta(description="Write a JSON report to this file.")] = UNSET
    junit: Annotated[Word | UnsetType, Meta(description="Write a JUnit report to this file.")] = (
        UNSET
    )
    html: Annotated[Word | UnsetType, Meta(description="Write a page to this file.")] = UNSET
    summary: Annotated[
        Word | UnsetType, Meta(description="Write what a run of several images came to.")
    ] = UNSET


class Settings(Struct, frozen=True):
    """What one file says."""

    file: Path
    values: dict[str, Any]
    """Key to value, as in the file, but for paths: they can be used from the current directory."""

    @property
    def directory(self) -> Path:
        """The directory of the file, which relative paths in it count from."""
        return self.file.parent

    @property
    def name(self) -> str:
        """The file as seen from the current directory."""
        return os.path.relpath(self.file)


def find(directory: Path) -> Settings | None:
    """Return the settings for somebody who works in *directory*; None where there are none.

    The nearest file wins, up to the root of the repository. Outside of a repository only
    *directory* is looked at: what lies above it may be anybody's.

    :raises FileError: the file is wrong.
    """
    for place in _places(directory.absolute()):
        own = place / NAME
        if os.path.lexists(own) and not os.path.isfile(own):
            cause = "is no regular file, or a link to none"
            raise FileError(os.path.relpath(own), cause, hint="make it one, or remove it")
        for name in (NAME, _SHARED):
            if os.path.isfile(place / name) and (found := _read(place / name)) is not None:
                return found
    return None


def read(file: Path) -> Settings:
    """Return the settings in *file*.

    :raises UsageError: there is no such file, or it is a ``pyproject.toml`` without settings.
    :raises FileError: the file is wrong.
    """
    if not os.path.isfile(file):
        raise UsageError(f"no file {file}", hint="name a settings file after --config")
    found = _read(file.absolute())
    if found is None:
        hint = "add it, or name another file after --config"
        raise UsageError(f"{file} has no table [{'.'.join(_TABLE)}]", hint=hint)
    return found


def _places(directory: Path) -> list[Path]:
    """Return where settings may lie, nearest first."""
    root = repository(directory)
    if root is None:
        return [directory]
    return [place for place in (directory, *directory.parents) if root in (place, *place.parents)]


def _read(file: Path) -> Settings | None:
    """Return the settings in *file*; None where it is one that others share, and has none."""
    name = os.path.relpath(file)
    text = read_text(file, name=name)
    if file.name != _SHARED:
        return Settings(file, _values(toml(name, text), name, file.parent))
    if _TABLE[-1] not in text:  # what others have got wrong in it is not our business
        return None
    table: Any = toml(name, text)
    for key in _TABLE:
        table = table.get(key) if isinstance(table, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise FileError(name, "expected a table", key=".".join(_TABLE))
    try:
        return Settings(file, _values(table, name, file.parent))
    except FileError as e:
        key = ".".join([*_TABLE, *([e.key] if e.key else [])])
        raise FileError(name, e.detail, key=key, hint=e.hint) from None


def _values(table: dict[str, Any], name: str, directory: Path) -> dict[str, Any]:
    """Return the settings in *table*, checked."""
    known = SettingsFile.__struct_encode_fields__
    for key in table:
        if key not in known and (near := difflib.get_close_matches(key, known, 1)):
            raise FileError(name, "unknown key", key=key, hint=f"did you mean '{near[0]}'?")
    values: dict[str, Any] = msgspec.to_builtins(convert(table, SettingsFile, name=name))
    _check(values, name)
    return dict(with_paths(values, directory))


def _check(values: dict[str, Any], name: str) -> None:
    """Refuse settings that cannot hold together."""
    probes = [key for key in ("probe", "image", "images", "python") if key in values]
    if len(probes) > 1:
        hint = "keep one; another can be named on the command line"
        raise FileError(
            name, f"names a second probe beside '{probes[0]}'", key=probes[1], hint=hint
        )
    check_variables(values, name)


def check_variables(values: Mapping[str, Any], name: str, key: str = "pass-env") -> None:
    """Refuse a variable that *values* say two things about; they stand in the file called *name*.

    :raises FileError: it does, at its *key*.
    """
    twice = [word for word in values.get("pass-env", ()) if word in values.get("env", {})]
    if twice:
        raise FileError(name, f"'{twice[0]}' is in env as well", key=key, hint="keep one of them")


def with_paths(values: Mapping[str, Any], directory: Path) -> Iterator[tuple[str, Any]]:
    """Yield settings of a file in *directory*; their paths can be used from the current one."""

    def here(path: str) -> str:
        elsewhere = path != "-" and directory != Path.cwd()
        return os.path.join(directory, path) if elsewhere else path

    for key, value in values.items():
        if key in _PATHS:
            yield key, [here(path) for path in value] if isinstance(value, list) else here(value)
        elif key == "contract" and (value.endswith(".toml") or os.sep in value):
            yield key, here(value)
        else:
            yield key, value
