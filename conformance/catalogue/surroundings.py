"""What a scenario file says about what is around the probe: process, name of the HOME, PATH."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping

from msgspec import UNSET, UnsetType

from conformance.catalogue.schema import ProcessTable, ScenarioInputs
from conformance.errors import FileError
from conformance.model.contract import ROLES, Role
from conformance.model.placeholders import Context, check, expand
from conformance.model.scenario import PATH_PLACEHOLDER, Process

__all__ = [
    "check_below_home",
    "check_path",
    "check_value",
    "check_variables",
    "home_name",
    "inputs_of",
    "process",
]

#: Bytes of a file's name, on every file system in use.
_LONGEST_NAME = 200
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Only to check what a value becomes; no probe is ever run with it.
_ANYWHERE = Context(now=0, seed="", home="/home")


def process(table: ProcessTable | UnsetType, file: str) -> Process:
    """Return how the probe of the scenario in *file* starts.

    :raises FileError: it cannot start like that.
    """
    if isinstance(table, UnsetType):
        return Process()
    if table == ProcessTable():
        hint = f"give one of {', '.join(Process.__struct_fields__)}, or leave the table out"
        raise FileError(file, "asks for nothing", key="process", hint=hint)
    umask = None
    if isinstance(table.umask, str):
        if not re.fullmatch("0?[0-7]{3}", table.umask):
            cause = f"'{table.umask}' is not a umask"
            raise FileError(file, cause, key="process.umask", hint="write it like '0077'")
        umask = int(table.umask, 8)
    cwd = "" if isinstance(table.cwd, UnsetType) else table.cwd
    if table.cwd is not UNSET:
        wrong = check(cwd)
        if not wrong and (not cwd.startswith(("/", "{home}")) or "\0" in cwd):
            wrong = f"'{cwd}' is not an absolute path"
        if wrong:
            raise FileError(file, wrong, key="process.cwd", hint="begin it with / or {home}")
    return Process(umask=umask, cwd=cwd)


def home_name(name: str | UnsetType, file: str) -> str:
    """Return the name of the HOME of the scenario in *file*; empty for a plain one.

    :raises FileError: no directory can be called *name*.
    """
    if isinstance(name, UnsetType):
        return ""
    if name in ("", ".", "..") or not {"/", "\0"}.isdisjoint(name):
        cause = f"{name!r} is not the name of a directory"
        raise FileError(file, cause, key="home.name", hint="give one name, without a slash")
    if len(os.fsencode(name)) > _LONGEST_NAME:
        cause = f"is longer than {_LONGEST_NAME} bytes"
        raise FileError(file, cause, key="home.name", hint="shorten it")
    return name


def check_path(value: str, file: str, key: str) -> str:
    """Make sure that a PATH which a scenario sets keeps the stubs; return it without them.

    :raises FileError: it would lose the stubs, so that a real CLI might be found.
    """
    if PATH_PLACEHOLDER not in value.split(":"):
        cause = f"without {PATH_PLACEHOLDER} the stubs of the CLIs are not found"
        hint = f"write {PATH_PLACEHOLDER} for the usual PATH, such as {PATH_PLACEHOLDER}:/opt/bin"
        raise FileError(file, cause, key=key, hint=hint)
    return value.replace(PATH_PLACEHOLDER, "")


def check_below_home(path: str, file: str, key: str) -> None:
    """Make sure that *path* is one below the HOME, whatever lies there.

    :raises FileError: it is not, or might not be.
    """
    if "\0" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
        cause = f"{path!r} is no path below the HOME"
        raise FileError(file, cause, key=key, hint="write it like .codex/auth.json")


def inputs_of(table: ScenarioInputs) -> dict[Role, str]:
    """Return the inputs that *table* sets, by role."""
    given: dict[Role, str] = {}
    for role in ROLES:
        text = getattr(table, role)
        if text is not UNSET:
            given[role] = text
    return given


def check_value(value: str, file: str, key: str) -> None:
    """Make sure that *value* can be given to a program in a variable.

    :raises FileError: it cannot.
    """
    wrong = check(value)
    if not wrong and "\0" in expand(value, _ANYWHERE):
        wrong = "a NUL cannot be handed to a program"
    if wrong:
        raise FileError(file, wrong, key=key)


def check_variables(values: Mapping[str, str], unset: Collection[str], file: str, key: str) -> None:
    """Make sure that variables can be set to *values*, and the others *unset*.

    :raises FileError: one of them cannot.
    """
    for name in (*values, *unset):
        if not _VARIABLE.fullmatch(name):
            raise FileError(file, f"'{name}' is not a variable name", key=key)
    for name, value in values.items():
        if name in unset:
            raise FileError(file, f"'{name}' is both set and unset", key=key)
        check_value(value, file, f"{key}.set.{name}")
