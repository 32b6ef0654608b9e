"""Read TOML files strictly: one-line errors that name the file, the key and what is allowed."""

from __future__ import annotations

import re
import threading
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from conformance.errors import FileError

__all__ = ["MAX_FILE_BYTES", "convert", "read_text", "read_toml", "toml"]

#: A scenario or contract is a page of text; anything larger is a mistake, and is not even parsed.
MAX_FILE_BYTES = 1024 * 1024

#: Held while a type may be read for the first time, which msgspec does not bear from two threads at the same time.
_ALONE = threading.Lock()

T = TypeVar("T")
Step = str | int


def read_toml(path: Path, *, name: str = "") -> dict[str, Any]:
    """Return the table in *path*, called *name* in messages.

    :raises FileError: it cannot be read, is too large, not UTF-8 or not TOML.
    """
    name = name or str(path)
    return toml(name, read_text(path, name=name))


def read_text(path: Path, *, name: str = "") -> str:
    """Return the text in *path*, called *name* in messages.

    :raises FileError: it cannot be read, is too large, or not UTF-8.
    """
    name = name or str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as e:
        raise FileError(name, f"cannot be read: {e.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise FileError(name, f"is larger than {MAX_FILE_BYTES} bytes", hint="large content is written with size, runs or count")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise FileError(
            name, f"is not UTF-8 (byte {e.start})", hint="bytes that are no text are written as hex or base64"
        ) from None


def toml(name: str, text: str) -> dict[str, Any]:
    """Return the table that *text*, the content of the file called *name*, is.

    :raises FileError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise FileError(name, f"is not TOML: {e}") from None
    except RecursionError:
        raise FileError(name, "is not TOML: nested too deeply") from None
    except ValueError:  # the limit of the interpreter for integers in text
        raise FileError(name, "is not TOML: a number is too long") from None


def convert(document: dict[str, Any], type_: type[T], *, name: str) -> T:
    """Return *document* as a *type_*, with nothing unknown, missing or of another type.

    :raises FileError: says which key is wrong, and the keys or values that are allowed there.
    """
    try:
        with _ALONE:
            return msgspec.convert(document, type_)
    except msgspec.ValidationError as e:
        error = str(e)
    # The place comes last; what stands before it may quote a key of the file, whatever that holds.
    message, where = re.fullmatch(r"(.*?)(?: - at `([^`]*)`)?", error, re.DOTALL).groups("")  # type: ignore[union-attr]
    steps = _locate(document, type_, re.findall(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]", where), error)
    raise _explain(name, message, steps, type_)


def _locate(document: Any, type_: Any, where: list[tuple[str, str]], error: str) -> list[Step]:
    """Return the keys down to the place msgspec complains of; it leaves out the keys of tables, so try each."""
    steps: list[Step] = []
    for field, index in where:
        if field:
            steps.append(field)
        elif index.isdigit():
            steps.append(int(index))
        else:
            steps.append(_culprit(document, type_, steps, error))
    return steps


def _culprit(document: Any, type_: Any, steps: list[Step], error: str) -> Step:
    container = document
    for step in steps:
        container = container[step]
    candidates: list[Step] = list(container) if isinstance(container, dict) else list(range(len(container)))
    for candidate in candidates:
        value = container[candidate]
        alone = {candidate: value} if isinstance(container, dict) else [value]
        try:
            msgspec.convert(_with(document, steps, alone), type_)
        except msgspec.ValidationError as e:
            if str(e) == error:
                return candidate
    return "?"


def _with(document: Any, steps: list[Step], value: Any) -> Any:
    """Return a copy of *document* with *value* at *steps*."""
    if not steps:
        return value
    copy = document.copy()
    copy[steps[0]] = _with(document[steps[0]], steps[1:], value)
    return copy


def _explain(name: str, message: str, steps: list[Step], type_: Any) -> FileError:
    hint = ""
    if unknown := re.match(r"Object contains unknown field `(.*)`$", message, re.DOTALL):
        steps = [*steps, unknown[1]]
        cause, hint = "unknown key", f"allowed here: {', '.join(_fields(type_, steps[:-1]))}"
    elif missing := re.match(r"Object missing required field `(.*)`$", message):
        cause, steps = "missing", [*steps, missing[1]]
    elif wrong := re.match(r"Invalid enum value (.*)$", message, re.DOTALL):
        cause, hint = f"unknown value {wrong[1]}", f"allowed: {', '.join(map(str, _values(type_, steps)))}"
    else:
        cause = message[:1].lower() + message[1:]
        for word, toml in (
            ("`object`", "a table"),
            ("`array`", "a list"),
            ("object", "table"),
            ("array", "list"),
            ("str", "string"),
        ):
            cause = cause.replace(word, toml)
        cause = cause.replace("`", "")
    return FileError(name, cause, key=".".join(map(str, steps)), hint=hint)


def _fields(type_: Any, steps: list[Step]) -> list[str]:
    return [
        name
        for arm in _arms(type_, steps)
        if isinstance(arm, type) and issubclass(arm, msgspec.Struct)
        for name in arm.__struct_encode_fields__
    ]


def _values(type_: Any, steps: list[Step]) -> list[Any]:
    return [value for arm in _arms(type_, steps) if get_origin(arm) is Literal for value in get_args(arm)]


def _arms(type_: Any, steps: list[Step]) -> list[Any]:
    """Return the types allowed at *steps* below *type_*, unions taken apart."""
    origin = get_origin(type_)
    if hasattr(type_, "__metadata__"):  # Annotated
        return _arms(type_.__origin__, steps)
    if origin in (Union, UnionType):
        return [found for arm in get_args(type_) for found in _arms(arm, steps)]
    if not steps:
        return [type_]
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        hints = get_type_hints(type_, include_extras=True)
        names = dict(zip(type_.__struct_encode_fields__, type_.__struct_fields__, strict=True))
        return _arms(hints[names[str(steps[0])]], steps[1:]) if steps[0] in names else []
    args = get_args(type_)
    if origin is dict:
        return _arms(args[1], steps[1:])
    return _arms(args[0], steps[1:]) if args else []
