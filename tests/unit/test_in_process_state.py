"""What a call leaves behind in its process is noticed; where it cannot be, that is said."""

from __future__ import annotations

import importlib
import itertools
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conformance.drivers.in_process.direct import Direct
from conformance.drivers.in_process.state import State, Unknown
from conformance.drivers.local import isolation

MODULE = """\
import dataclasses
import functools
import logging
import os
import pathlib
import re
import threading

moment = float("1.5")
number, text, numbers, names, table = 0, "x", [1], {"a"}, {"a": {"b": [1]}}
pattern, lock, path = re.compile("x"), threading.Lock(), pathlib.Path("x")
log = logging.getLogger("gate")


@functools.cache
def remembers(value):
    return value


def counter():
    count = 0

    def counts():
        nonlocal count
        count += 1

    return counts


counts = counter()


def moves_on():
    global moment
    moment += 1
    moment += 1


def default(found=[]):
    found.append(1)


def asked():
    asked.times = getattr(asked, "times", 0) + 1


class Gate:
    known = None

    def __init__(self):
        self.cache = {}


class Slotted:
    __slots__ = ("value", "other", "__own")

    def keep(self):
        self.__own = 1


@dataclasses.dataclass
class Settings:
    home: str = "x"


gate, slotted, settings = Gate(), Slotted(), Settings()
slotted.value = 1
bound = gate.cache.update
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "stateful_gate.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("stateful_gate")
    del sys.modules["stateful_gate"]


def of(module: ModuleType) -> State:
    return State(str(Path(str(module.__file__)).parent))


def reads(module: Any) -> None:
    """Do what leaves nothing behind."""
    module.pattern.match("x")
    module.path.is_file()
    str(module.path / "y")
    module.log.isEnabledFor(10)
    with module.lock:
        len(module.table["a"])


def test_what_leaves_nothing_behind_is_seen_as_that(module: ModuleType) -> None:
    state = of(module)

    reads(module)

    assert state.is_untouched()


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "number", m.number + 1),
        # The third number gets the place in memory of the first, if nobody keeps that.
        lambda m: m.moves_on(),
        lambda m: setattr(m, "new", 1),
        lambda m: delattr(m, "text"),
        lambda m: m.numbers.append(2),
        lambda m: m.names.add("b"),
        lambda m: m.table["a"]["b"].append(2),
        lambda m: m.remembers(1),
        lambda m: m.counts(),
        lambda m: m.default(),
        lambda m: m.asked(),
        lambda m: m.gate.cache.update(a=1),
        lambda m: setattr(m.gate, "seen", True),
        lambda m: setattr(m.Gate, "known", True),
        lambda m: setattr(m.slotted, "value", 2),
        lambda m: setattr(m.slotted, "other", 2),
        lambda m: m.slotted.keep(),
        lambda m: setattr(m.settings, "home", "y"),
        lambda m: m.log.addHandler(logging.NullHandler()),
    ],
)
def test_what_it_changes_is_noticed(module: ModuleType, change: Callable[[Any], object]) -> None:
    state = of(module)

    change(module)

    assert not state.is_untouched()


def test_what_a_process_has_one_of_is_looked_at(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = of(module)
    waits = threading.Event()
    thread = threading.Thread(target=waits.wait)

    thread.start()
    assert not state.is_untouched()
    waits.set()
    thread.join()
    assert state.is_untouched()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert not state.is_untouched()
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    assert not state.is_untouched()
    monkeypatch.undo()
    sys.path.append("/nowhere")
    assert not state.is_untouched()
    sys.path.remove("/nowhere")


@pytest.mark.parametrize("unknown", [itertools.count(), (x for x in "ab"), iter([1])])
def test_what_changes_unseen_is_unknown(module: Any, unknown: object) -> None:
    module.gate.cache["unknown"] = unknown

    with pytest.raises(Unknown):
        of(module)


def test_too_much_to_look_at_is_unknown(module: Any) -> None:
    module.gate.cache["many"] = [[] for _ in range(6_000)]

    with pytest.raises(Unknown, match="more than"):
        of(module)


def test_what_becomes_unknown_is_no_longer_untouched(module: Any) -> None:
    state = of(module)

    module.gate.cache["unknown"] = itertools.count()

    assert not state.is_untouched()


def test_without_a_timer_of_the_kernel_there_is_no_call_without_a_fork(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = str(Path(str(module.__file__)).parent)
    assert Direct(own).is_possible

    monkeypatch.setattr(isolation, "libc", object())

    assert not Direct(own).is_possible
