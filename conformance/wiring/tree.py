"""YAML to values that know where they stand.

PyYAML composes nodes with marks, and is there already for Managers' tables. Its values are not
taken: it makes dates and numbers of base sixty out of texts, which Kubernetes does not, and of a
key that is listed twice it silently drops one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from msgspec import Struct

from conformance.errors import FileError
from conformance.text import one_line, shortened

__all__ = ["Place", "Value", "read_documents"]

Scalar: TypeAlias = str | int | float | bool | None

#: The most values of a document, each alias counted with all that it stands for.
_MOST_VALUES = 200_000
#: How deep values lie in one another; no manifest is half as deep.
_DEEPEST = 100
_TAG = "tag:yaml.org,2002:"
#: What makes a file a template: an expression of helm, Go, Jinja or the like.
_EXPRESSION = re.compile(r"\{\{|\{%")


class Value(Struct, frozen=True, eq=False):
    """A mapping, a list or a scalar; parts are kept with their lines, which count from 1."""

    data: Scalar | dict[str, tuple[int, Value]] | list[tuple[int, Value]]
    twice: tuple[tuple[str, int], ...] = ()
    """Keys of a mapping that are listed more than once, each with the line of a later one."""


class Place(Struct, frozen=True, eq=False):
    """A value, and where it stands: the file, its line, and the keys that lead to it."""

    file: str
    line: int
    value: Value
    keys: tuple[str | int, ...] = ()

    @property
    def path(self) -> str:
        """The keys as they are written for people: ``spec.containers[0].image``."""
        text = ""
        for key in self.keys:
            if isinstance(key, int):
                text += f"[{key}]"
            elif re.fullmatch(r"[\w-]+", key):
                text += f".{key}"
            else:
                text += f'["{shortened(one_line(key), 60)}"]'
        return text.removeprefix(".")

    def at(self, *keys: str | int) -> Place | None:
        """Return the place that *keys* lead to from here; None if there is none, or it is null."""
        place = self
        for key in keys:
            found = _part(place.value.data, key)
            if found is None:
                return None
            place = Place(self.file, *found, (*place.keys, key))
        return None if place.value.data is None else place

    def nearest(self, *keys: str | int) -> Place:
        """Return the place that *keys* lead to, or the last one on the way that is there."""
        place = self
        for key in keys:
            found = place.at(key)
            if found is None:
                break
            place = found
        return place

    def entries(self, *keys: str | int) -> dict[str, Place]:
        """Return what the mapping below *keys* holds; nothing if there is no mapping."""
        place = self.at(*keys)
        data = place.value.data if place is not None else None
        if place is None or not isinstance(data, dict):
            return {}
        found = ((key, place.at(key)) for key in data)
        return {key: inner for key, inner in found if inner is not None}

    def elements(self, *keys: str | int) -> list[Place]:
        """Return what the list below *keys* holds; nothing if there is no list."""
        place = self.at(*keys)
        data = place.value.data if place is not None else None
        if place is None or not isinstance(data, list):
            return []
        found = (place.at(number) for number in range(len(data)))
        return [inner for inner in found if inner is not None]

    def scalar(self, *keys: str | int) -> Scalar:
        """Return the scalar below *keys*; None if there is none."""
        place = self.at(*keys)
        data = place.value.data if place is not None else None
        return None if isinstance(data, dict | list) else data

    def whole(self, *keys: str | int) -> int | None:
        """Return the whole number below *keys*; None if there is none: a truth value is none."""
        found = self.scalar(*keys)
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def text(self, *keys: str | int) -> str:
        """Return the text below *keys*; empty if there is none, or it is something else."""
        found = self.scalar(*keys)
        return found if isinstance(found, str) else ""

    def word(self) -> str:
        """Return the scalar as a word of a command; empty if there is none.

        Kubernetes takes texts alone, but whoever wrote a number there meant its digits.
        """
        found = self.scalar()
        if isinstance(found, bool):
            return str(found).lower()
        return "" if found is None else str(found)

    def words(self, *keys: str | int) -> tuple[str, ...]:
        """Return the words of the list below *keys*, without what can be none."""
        return tuple(word for part in self.elements(*keys) if (word := part.word()))

    def plain(self) -> Any:
        """Return the value as built-in types."""
        data = self.value.data
        if isinstance(data, dict):
            return {key: Place(self.file, 0, inner).plain() for key, (_, inner) in data.items()}
        if isinstance(data, list):
            return [Place(self.file, 0, inner).plain() for _, inner in data]
        return data

    def listed_twice(self) -> Iterator[Place]:
        """Yield the later place of each key, here or below, that a mapping lists twice."""
        for key, line in self.value.twice:
            yield Place(self.file, line, self.value, (*self.keys, key))
        data = self.value.data
        keys: list[str | int] = []
        if isinstance(data, dict):
            keys.extend(data)
        elif isinstance(data, list):
            keys.extend(range(len(data)))
        for part in keys:
            inner = self.at(part)
            if inner is not None:
                yield from inner.listed_twice()


def _part(data: object, key: str | int) -> tuple[int, Value] | None:
    """Return the line and the value at *key* of a mapping or a list; None if there is none."""
    if isinstance(data, dict) and isinstance(key, str):
        return data.get(key)
    if isinstance(data, list) and isinstance(key, int) and 0 <= key < len(data):
        found: tuple[int, Value] = data[key]
        return found
    return None


def _template_line(text: str) -> int:
    """Return the number of the first line with an expression of a template; 0 if none has one."""
    for number, line in enumerate(text.splitlines(), 1):
        if _EXPRESSION.search(line):
            return number
    return 0


def read_documents(file: str, text: str) -> list[Place]:
    """Return the documents in *text*, which is YAML or JSON; *file* is its name for people.

    :raises FileError: it is a template still, or neither of them.
    """
    import yaml  # noqa: PLC0415 - imported only when used

    if text.lstrip().startswith(("{", "[")):
        text = text.replace("\t", " ")  # in JSON tabs separate, and are part of no text
    documents = []
    try:
        loader = yaml.SafeLoader(text)
        try:
            while loader.check_node():
                node: Any = loader.get_node()
                line = node.start_mark.line + 1
                documents.append(Place(file, line, _Builder(file).build(node)))
        finally:
            loader.dispose()
    except (yaml.YAMLError, _NoKeyError, RecursionError, ValueError) as e:
        raise _unreadable(file, text, e) from None
    return documents


class _NoKeyError(Exception):
    """A key that is no text: what ``{{ value }}`` comes to where YAML is expected."""


def _unreadable(file: str, text: str, error: Exception) -> FileError:
    if line := _template_line(text):
        shown = shortened(one_line(text.splitlines()[line - 1]), 60)
        cause = f"line {line}: a template, and no YAML yet: {shown}"
        return FileError(file, cause, hint="render it first, as with helm template")
    if isinstance(error, RecursionError):
        return FileError(file, "is nested too deeply", hint="is it a manifest?")
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    hint = "name manifests in YAML or JSON"
    return FileError(file, f"{where}is not YAML: {one_line(str(said))}", hint=hint)


class _Builder:
    """Makes values of the nodes of one document; a node that aliases share is made once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._made: dict[int, tuple[Value, int]] = {}
        self._under_way: set[int] = set()

    def build(self, node: Any) -> Value:
        """Return the value of *node*.

        :raises FileError: it is larger or deeper than any manifest, or contains itself.
        """
        return self._value(node, 0)[0]

    def _value(self, node: Any, depth: int) -> tuple[Value, int]:
        """Return the value of *node*, and how many values it comes to."""
        if id(node) in self._made:
            return self._made[id(node)]
        if id(node) in self._under_way:
            raise self._wrong(node, "an alias stands for what it is part of")
        if depth > _DEEPEST:
            raise self._wrong(node, "is nested too deeply")
        self._under_way.add(id(node))
        if node.id == "mapping":
            made, size = self._mapping(node, depth)
        elif node.id == "sequence":
            made, size = self._sequence(node, depth)
        else:
            made, size = Value(_scalar(node)), 1
        if size > _MOST_VALUES:
            raise self._wrong(node, f"comes to more than {_MOST_VALUES} values")
        self._under_way.discard(id(node))
        self._made[id(node)] = made, size
        return made, size

    def _sequence(self, node: Any, depth: int) -> tuple[Value, int]:
        parts = []
        total = 1
        for part in node.value:
            value, size = self._value(part, depth + 1)
            parts.append((part.start_mark.line + 1, value))
            total += size
        return Value(parts), total

    def _mapping(self, node: Any, depth: int) -> tuple[Value, int]:
        own: dict[str, tuple[int, Value]] = {}
        merged: dict[str, tuple[int, Value]] = {}
        twice = []
        total = 1
        for key_node, value_node in node.value:
            if key_node.id != "scalar":
                raise _NoKeyError(f"line {key_node.start_mark.line + 1}: a key that is no text")
            value, size = self._value(value_node, depth + 1)
            total += size
            line = key_node.start_mark.line + 1
            if key_node.tag == f"{_TAG}merge":
                for key, found in _merge(value).items():
                    merged.setdefault(key, found)
                continue
            if key_node.value in own:
                twice.append((key_node.value, line))
            own[key_node.value] = line, value  # the last one wins, as in other readers
        return Value({**merged, **own}, tuple(twice)), total

    def _wrong(self, node: Any, cause: str) -> FileError:
        line = node.start_mark.line + 1
        return FileError(self._file, f"line {line}: {cause}", hint="is it a manifest?")


def _merge(value: Value) -> dict[str, tuple[int, Value]]:
    """Return what ``<<`` brings in: a mapping, or several, of which the first wins."""
    if isinstance(value.data, dict):
        return value.data
    merged: dict[str, tuple[int, Value]] = {}
    for _, part in value.data if isinstance(value.data, list) else []:
        if isinstance(part.data, dict):
            merged = {**part.data, **merged}
    return merged


def _scalar(node: Any) -> Scalar:
    """Return what Kubernetes' reader makes of a scalar."""
    text: str = node.value
    kind = node.tag.removeprefix(_TAG)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("yes", "true", "on")
    if kind == "int" or (kind == "str" and node.style is None and re.match(r"[-+]?0o[0-7]", text)):
        return _integer(text)
    if kind == "float" and ":" not in text:
        return _float(text)
    return text


def _integer(text: str) -> int | str:
    digits = text.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    base = 10
    for start, its_base in (("0x", 16), ("0b", 2), ("0o", 8), ("0", 8)):
        if digits.startswith(start) and digits != "0":
            digits, base = digits.removeprefix(start), its_base
            break
    # Base sixty, as in 1:30, is a text to Kubernetes; so is what a tag claims to be a number.
    allowed = "0123456789abcdef"[:base]
    if not digits or set(digits) - set(allowed) or len(digits) > 40:
        return text
    return sign * int(digits, base)


def _float(text: str) -> float | str:
    try:
        return float(re.sub(r"^([-+]?)\.(inf|nan)$", r"\1\2", text.replace("_", "").lower()))
    except ValueError:
        return text
