"""What a call leaves behind in the memory of its process, as far as that can be shown.

A call that has left everything as it was may be followed by another one in the same process. What
counts is all that is reachable from the modules of the gate: their variables, containers,
instances, and what functions and classes hold; and what a process has one of. What other modules
hold is looked at only through these.
"""

from __future__ import annotations

import atexit
import enum
import functools
import logging
import pathlib
import sys
import threading
import types
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["State", "Unknown"]

#: More objects than this are too many to look at for each call.
_MOST = 5_000
#: Values that never change, or whose changes nobody sees.
_CONSTANT: tuple[Any, ...] = (
    *(str, bytes, int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented)),
    *(range, frozenset, slice, enum.Enum, pathlib.PurePath, types.BuiltinFunctionType),
    *(types.CodeType, types.ModuleType, types.GenericAlias, types.UnionType, property),
    *(types.GetSetDescriptorType, types.MemberDescriptorType, types.WrapperDescriptorType),
    *(types.MethodDescriptorType, types.ClassMethodDescriptorType, types.MethodWrapperType),
    *(type(threading.Lock()), type(threading.RLock())),
)
#: Modules whose objects never change either: what they keep is worked out again if need be.
_CONSTANT_IN = frozenset({"re", "datetime", "decimal", "fractions", "typing", "uuid", "zoneinfo"})
#: Packages of what stands around the gate: its state is that of the scenario.
_AROUND = frozenset({"conformance", "pyfakefs", "time_machine"})
#: Names in classes and modules that say nothing of the gate.
_PASSED_OVER = frozenset({"__builtins__", "__dict__", "__weakref__", "_abc_impl"})
_CACHED = type(functools.lru_cache(len))


class Unknown(Exception):
    """An object whose state cannot be shown, such as an iterator; it says of what type it is."""


class State:
    """The state of this process and of the gate's modules, as it is when this is made.

    *own* is the directory with these modules.

    :raises Unknown: there is something in them that may change, and nobody can see it.
    """

    def __init__(self, own: str) -> None:
        self._own = f"{own.rstrip('/')}/"
        self._before = self._look()
        # Kept, so that no other object gets the place in memory of one of these, and so its id.
        self._kept = self._compared

    def is_untouched(self) -> bool:
        """Return whether all is as it was."""
        try:
            return self._look() == self._before
        except Unknown:
            return False

    def _look(self) -> list[Any]:
        self._compared: list[Any] = []
        seen: set[int] = set()
        found: list[Any] = [_of_the_process()]
        left: list[Any] = [vars(module) for module in self._modules()]
        while left:
            one = left.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            if len(seen) > _MOST:
                raise Unknown(f"more than {_MOST} objects")
            shown, inside = self._shown(one)
            found.append((id(one), shown))
            left += inside
        return found

    def _modules(self) -> Iterator[types.ModuleType]:
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and file.startswith(self._own):
                yield module

    def _shown(self, one: Any) -> tuple[Any, list[Any]]:
        """Return what can be compared of *one*, and the objects inside that may change.

        :raises Unknown: nothing can be shown of it.
        """
        kind = type(one)
        if kind is _CACHED:
            return one.cache_info(), [one.__wrapped__]
        if isinstance(one, dict | types.MappingProxyType):
            return self._members(dict(one), one)
        if isinstance(one, list | tuple | set | deque):
            return self._parts(list(one), more=one)
        if kind in _HELD:
            return self._parts(_HELD[kind](one))
        if isinstance(one, type):
            return self._members(dict(vars(one)))
        return self._instance(one)

    def _instance(self, one: Any) -> tuple[Any, list[Any]]:
        if isinstance(one, logging.Logger):
            return (one.level, one.disabled, one.propagate, tuple(map(id, one.handlers))), []
        held = {
            name: getattr(one, name)
            for kind in type(one).__mro__
            for name in _slots(kind)
            if hasattr(one, name)
        }
        attributes = getattr(one, "__dict__", None)
        if not isinstance(attributes, dict):
            if not held:
                raise Unknown(type(one).__qualname__)
            attributes = {}
        return self._members({**attributes, **held})

    def _members(self, members: dict[Any, Any], more: Any = None) -> tuple[Any, list[Any]]:
        counted = {key: value for key, value in members.items() if key not in _PASSED_OVER}
        return self._parts([*counted, *counted.values()], more)

    def _parts(self, parts: list[Any], more: Any = None) -> tuple[Any, list[Any]]:
        """Return the identities of *parts*, and those that may change.

        *more* is the object itself, where it may have attributes as well.
        """
        extra = getattr(more, "__dict__", None)
        parts = [*parts, extra] if isinstance(extra, dict) else parts
        self._compared.append(parts)
        return tuple(map(id, parts)), [part for part in parts if self._may_change(part)]

    def _may_change(self, one: Any) -> bool:
        kind = type(one)
        if isinstance(one, type):
            return self._is_own(one)
        if isinstance(one, types.FunctionType) and not self._is_own(one):
            return bool(one.__closure__)
        if kind.__module__ in _CONSTANT_IN or _is_around(kind):
            return False
        return not isinstance(one, _CONSTANT)

    def _is_own(self, one: Any) -> bool:
        module = sys.modules.get(getattr(one, "__module__", None) or "")
        return (getattr(module, "__file__", None) or "").startswith(self._own)


#: What objects of these types hold.
_HELD: dict[type, Callable[[Any], list[Any]]] = {
    types.FunctionType: lambda one: [
        *(one.__code__, one.__defaults__, one.__kwdefaults__, one.__dict__),
        *_cells(one),
    ],
    types.MethodType: lambda one: [one.__self__, one.__func__],
    staticmethod: lambda one: [one.__func__],
    classmethod: lambda one: [one.__func__],
    functools.partial: lambda one: [one.func, one.args, one.keywords],
}


def _cells(function: Any) -> list[Any]:
    """Return what the variables of the functions around *function* hold."""
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # it holds nothing yet
            found.append(None)
    return found


def _is_around(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in _AROUND


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    mangled = f"_{kind.__name__.lstrip('_')}"  # as Python does it with private names
    return tuple(f"{mangled}{name}" if _is_private(name) else name for name in names)


def _is_private(name: str) -> bool:
    return name.startswith("__") and not name.endswith("__")


def _of_the_process() -> tuple[Any, ...]:
    """Return what the process has one of."""
    root = logging.getLogger()
    finders = [one for one in sys.meta_path if not _is_around(type(one))]
    return (
        tuple(threading.enumerate()),
        tuple(map(id, (sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.displayhook))),
        (tuple(sys.path), tuple(map(id, finders)), tuple(map(id, sys.path_hooks))),
        (sys.gettrace(), sys.getprofile(), threading.excepthook),
        (root.level, logging.root.manager.disable, tuple(map(id, root.handlers))),
        (tuple(warnings.filters), id(warnings.showwarning), _callbacks()),
    )


#: How many functions are to be called at the exit of the process.
_callbacks: Callable[[], int] = getattr(atexit, "_ncallbacks")  # noqa: B009 - it is not declared
