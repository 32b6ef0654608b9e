"""Read TOML files strictly: errors are one line with the file, the key and what is allowed."""

from __future__ import annotations

import re
import threading
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeGuard, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from conformance.errors import FileError

__all__ = ["MAX_FILE_BYTES", "convert", "read_text", "read_toml", "toml"]

#: A scenario or contract is a page of text. Anything larger is a mistake and is not parsed.
MAX_FILE_BYTES = 1024 * 1024

#: Held while a type may be read for the first time: in two threads at once, msgspec crashes then.
_ALONE = threading.Lock()

#: What msgspec calls things, and what TOML does; longer words come first.
_TOML_WORDS = (
    ("`object`", "a table"),
    ("`array`", "a list"),
    ("object", "table"),
    ("array", "list"),
    ("str", "string"),
)
#: An error of msgspec. The place comes last; the text before it may quote any key of the file.
_ERROR = re.compile(r"(.*?)(?: - at `([^`]*)`)?", re.DOTALL)
#: A step of such a place: a field, or an index, which is an ellipsis in a table.
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")

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
        hint = "write large content with size, runs or count"
        raise FileError(name, f"is larger than {MAX_FILE_BYTES} bytes", hint=hint)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        hint = "write bytes that are not text as hex or base64"
        raise FileError(name, f"is not UTF-8 (byte {e.start})", hint=hint) from None


def toml(name: str, text: str) -> dict[str, Any]:
    """Return the table in *text*, the content of the file called *name*.

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

    :raises FileError: names the wrong key, and the keys or values that are allowed there.
    """
    try:
        with _ALONE:
            return msgspec.convert(document, type_)
    except msgspec.ValidationError as e:
        error = str(e)
    match = _ERROR.fullmatch(error)
    assert match is not None, error  # the pattern fits any text
    message, where = match.groups("")
    steps = _locate(document, type_, _STEP.findall(where), error)
    raise _explain(name, message, steps, type_)


def _locate(document: Any, type_: Any, where: list[tuple[str, str]], error: str) -> list[Step]:
    """Return the keys down to the place that msgspec complains about.

    msgspec leaves out the keys of tables whose keys are free, so each of them is tried.
    """
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
    """Return the key below *steps* that causes *error* when it is there alone."""
    container = document
    for step in steps:
        container = container[step]
    is_table = isinstance(container, dict)
    items = container.items() if is_table else enumerate(container)
    candidate: Step
    for candidate, value in items:
        alone = {candidate: value} if is_table else [value]
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
    """Return the error for what msgspec says in *message* about the place at *steps*."""
    hint = ""
    if unknown := re.match(r"Object contains unknown field `(.*)`$", message, re.DOTALL):
        cause = "unknown key"
        hint = f"allowed here: {', '.join(_fields(type_, steps))}"
        steps = [*steps, unknown[1]]
    elif missing := re.match(r"Object missing required field `(.*)`$", message):
        cause = "missing"
        steps = [*steps, missing[1]]
    elif wrong := re.match(r"Invalid enum value (.*)$", message, re.DOTALL):
        cause = f"unknown value {wrong[1]}"
        hint = f"allowed: {', '.join(map(str, _values(type_, steps)))}"
    else:
        cause = _in_toml_words(message[:1].lower() + message[1:])
    return FileError(name, cause, key=".".join(map(str, steps)), hint=hint)


def _in_toml_words(message: str) -> str:
    for word, toml_word in _TOML_WORDS:
        message = message.replace(word, toml_word)
    return message.replace("`", "")


def _fields(type_: Any, steps: list[Step]) -> list[str]:
    """Return the keys that a table at *steps* may have."""
    names: list[str] = []
    for arm in _arms(type_, steps):
        if _is_struct(arm):
            names += arm.__struct_encode_fields__
    return names


def _values(type_: Any, steps: list[Step]) -> list[Any]:
    """Return the values allowed at *steps*, where only some are."""
    values: list[Any] = []
    for arm in _arms(type_, steps):
        if get_origin(arm) is Literal:
            values += get_args(arm)
    return values


def _arms(type_: Any, steps: list[Step]) -> list[Any]:
    """Return the types allowed at *steps* below *type_*, with unions taken apart."""
    if hasattr(type_, "__metadata__"):  # Annotated
        return _arms(type_.__origin__, steps)
    if get_origin(type_) in (Union, UnionType):
        return [found for arm in get_args(type_) for found in _arms(arm, steps)]
    if not steps:
        return [type_]
    inner = _field_type(type_, steps[0]) if _is_struct(type_) else _item_type(type_)
    return _arms(inner, steps[1:]) if inner is not None else []


def _is_struct(type_: Any) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _field_type(struct: type[msgspec.Struct], key: Step) -> Any:
    """Return the type of what *key* of a table holds; None if there is no such key."""
    names = dict(zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True))
    if key not in names:
        return None
    return get_type_hints(struct, include_extras=True)[names[str(key)]]


def _item_type(type_: Any) -> Any:
    """Return the type of what a dictionary or list holds; None for any other type."""
    args = get_args(type_)
    if get_origin(type_) is dict:
        return args[1]
    return args[0] if args else None
