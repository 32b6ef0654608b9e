"""Functions replaced wherever modules refer to them, as ``from os import scandir`` does.

A module keeps what it has imported, so to replace a function in its own module is not enough.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, NamedTuple

__all__ = ["Index", "References"]

#: The modules that make the fakes need the originals; those that run tests work beside them.
_MAKERS = ("pyfakefs", "conformance.", "time_machine", "_time_machine")
_RUNNERS = ("_pytest", "pytest", "pluggy", "xdist", "execnet")


class _Place(NamedTuple):
    """Where something is referred to."""

    holder: Any
    """A module, a class, or a function whose defaults refer to it."""
    name: str


def _key(value: Any) -> Any:
    """Return what tells one function or class from all others; None for anything else."""
    return id(value) if isinstance(value, BuiltinFunctionType | FunctionType | type) else None


class Index:
    """Where modules refer to functions and classes, while nothing has been replaced.

    It is empty until :meth:`update`, which takes some hundredths of a second the first time: so it
    is worth keeping.
    """

    def __init__(self) -> None:
        self._places: dict[Any, list[_Place]] = {}
        self._seen: dict[str, int] = {}

    def update(self, without: Collection[object] = ()) -> None:
        """Look at modules that have been imported in the meantime, except those in *without*."""
        for name, module in list(sys.modules.items()):
            if self._seen.get(name) == id(module):
                continue
            self._seen[name] = id(module)
            values = getattr(module, "__dict__", None)
            if (
                module not in without
                and isinstance(values, dict)
                and not name.startswith(_MAKERS + _RUNNERS)
            ):
                deep = name.partition(".")[0] not in sys.stdlib_module_names
                self._add(module, name, values, deep=deep)

    def _add(self, module: object, name: str, values: dict[str, Any], *, deep: bool) -> None:
        for inner, value in list(values.items()):
            self._note(value, module, inner)
            if deep and isinstance(value, FunctionType):
                self._add_defaults(value)
            elif deep and isinstance(value, type) and value.__module__ == name:
                self._add_class(value)

    def _add_class(self, kind: type) -> None:
        for name, member in list(vars(kind).items()):
            plain = member.__func__ if isinstance(member, staticmethod) else member
            self._note(plain, kind, name)
            if isinstance(plain, FunctionType):
                self._add_defaults(plain)

    def _add_defaults(self, function: FunctionType) -> None:
        for value in function.__defaults__ or ():
            self._note(value, function, "__defaults__")
        for value in (function.__kwdefaults__ or {}).values():
            self._note(value, function, "__kwdefaults__")

    def _note(self, value: Any, holder: Any, name: str) -> None:
        if (key := _key(value)) is not None:
            self._places.setdefault(key, []).append(_Place(holder, name))

    def places(self, key: Any) -> Iterator[_Place]:
        """Yield where the function with this *key* is referred to."""
        return iter(self._places.get(key, ()))


def _is_fake(value: Any) -> bool:
    """Return whether *value* is what pyfakefs puts in the place of a function."""
    owner = getattr(value, "__self__", None)
    return isinstance(value, MethodType) and type(owner).__module__.startswith("pyfakefs")


class References:
    """Replacements for functions, in every module that has been imported."""

    def __init__(self) -> None:
        self._wanted: dict[Any, tuple[Any, Any]] = {}
        self._undo: list[tuple[_Place, Any]] = []

    def replace(self, original: Callable[..., Any], replacement: Any) -> None:
        """Let :meth:`apply` put *replacement* wherever *original* stands."""
        self._wanted[_key(original)] = (original, replacement)

    def apply(self, index: Index | None = None) -> None:
        """Replace what modules, their classes, and the defaults of their functions refer to.

        *index* is None for one that is made now.
        """
        if index is None:
            index = Index()
            index.update()
        for key, (_, new) in self._wanted.items():
            for place in index.places(key):
                self._put(place, key, new)

    def _put(self, place: _Place, key: Any, new: Any) -> None:
        if isinstance(place.holder, type):
            # Read without the magic of a descriptor, so that a static method stays one.
            was: Any = vars(place.holder).get(place.name)
            static = isinstance(was, staticmethod)
            plain = was.__func__ if static else was
            value = staticmethod(new) if static else new
        else:
            was = plain = getattr(place.holder, place.name, None)
            value = new
        if place.name == "__defaults__":
            value = tuple(new if _key(default) == key else default for default in was or ())
        elif place.name == "__kwdefaults__":
            named = (was or {}).items()
            value = {name: new if _key(default) == key else default for name, default in named}
        elif _key(plain) != key and not _is_fake(plain):
            return  # it has become something else since it was looked up
        self._undo.append((place, was))
        setattr(place.holder, place.name, value)

    def undo(self) -> None:
        """Put the originals back."""
        while self._undo:
            place, was = self._undo.pop()
            setattr(place.holder, place.name, was)
