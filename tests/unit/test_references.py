"""Functions are replaced wherever modules refer to them, and put back."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable

import pytest

from conformance.home.references import Index, References


def original() -> str:
    return "original"


def ours() -> str:
    return "ours"


SOURCE = """
from given import original
alias = original

def by_default(call=original): return call()
def by_name(*, call=original): return call()

class Gate:
    plain = original
    static = staticmethod(original)
    def __init__(self, clock=original): self.clock = clock
"""


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Return a module of somebody else that refers to a function in every way."""
    given = types.ModuleType("given")
    given.original = original  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "given", given)
    module = types.ModuleType("stranger")
    monkeypatch.setitem(sys.modules, "stranger", module)
    exec(SOURCE, vars(module))
    return module


def ways(module: types.ModuleType) -> list[Callable[[], str]]:
    gate = module.Gate
    return [
        module.original,
        module.alias,
        module.by_default,
        module.by_name,
        vars(gate)["plain"],
        gate.static,
        lambda: gate().clock(),
    ]


def said(module: types.ModuleType) -> list[str]:
    return [way() for way in ways(module)]


def test_every_reference_is_replaced_and_put_back(stranger: types.ModuleType) -> None:
    references = References()
    references.replace(original, ours)
    references.apply()
    assert said(stranger) == ["ours"] * 7
    assert isinstance(vars(stranger.Gate)["static"], staticmethod)
    references.undo()
    assert said(stranger) == ["original"] * 7
    assert isinstance(vars(stranger.Gate)["static"], staticmethod)


def test_an_index_that_is_kept_sees_modules_that_come_later(
    monkeypatch: pytest.MonkeyPatch, stranger: types.ModuleType
) -> None:
    index = Index()
    index.update()
    later = types.ModuleType("later")
    later.original = original  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "later", later)
    index.update()
    references = References()
    references.replace(original, ours)
    references.apply(index)
    assert later.original() == "ours"
    references.undo()
    assert later.original() == "original"


def test_what_has_become_something_else_stays(stranger: types.ModuleType) -> None:
    index = Index()
    index.update()
    stranger.alias = len  # type: ignore[attr-defined]
    references = References()
    references.replace(original, ours)
    references.apply(index)
    assert stranger.alias is len
    references.undo()
    assert stranger.alias is len


def test_modules_that_are_left_out_keep_theirs(stranger: types.ModuleType) -> None:
    index = Index()
    index.update(without=[stranger])
    references = References()
    references.replace(original, ours)
    references.apply(index)
    kept = said(stranger)
    references.undo()
    assert kept == ["original"] * 7
