"""What a scenario asks, as a short text: equal where two versions of it ask the same."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from conformance.model.agent import CliState
from conformance.model.entry import Json
from conformance.model.scenario import Scenario

__all__ = ["digest", "given", "hashed", "state_digest"]

#: What a scenario says beside what it asks: its name, its words, what answers conform and why.
#: What its CLI state adds is in the digest of that state; the layers are among the entries.
_BESIDE = frozenset(
    {
        "id",
        "file",
        "summary",
        "origin",
        "control",
        "expect",
        "rules",
        "differs",
        "variant",
        "layers",
        "cli_file",
        "waits",
    }
)
_DIGITS = 16


def digest(scenario: Scenario) -> str:
    """Return the digest of what *scenario* asks: HOME, CLI, inputs, environment, steps and so on.

    A field of the model that is new, and that a scenario does not use, does not change it.
    """
    return hashed(given(scenario, _BESIDE))


def state_digest(state: CliState) -> str:
    """Return the digest of a *state* of the CLI, without what it is called and described as."""
    return hashed(given(state, frozenset({"name", "summary"})))


def hashed(value: Any) -> str:
    """Return a short text that stands for *value*, which consists of built-in types."""
    text = json.dumps(value, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def given(value: Any, beside: frozenset[str] = frozenset()) -> Any:
    """Return *value* as built-in types, without the fields that have their defaults.

    Those of *beside* are left out at its top. A field of the model that is new changes nothing.
    """
    if isinstance(value, Json):  # the order of its keys is part of a file
        return ["Json", value.value]
    if isinstance(value, Struct):
        members: list[Any] = [type(value).__name__]
        for name, default in _defaults(type(value)):
            found = getattr(value, name)
            if name not in beside and found != default:
                members.append([name, given(found)])
        return members
    if isinstance(value, dict):
        return [[key, given(value[key])] for key in sorted(value)]
    if isinstance(value, tuple | list):
        return [given(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    return value


@cache
def _defaults(kind: type[Struct]) -> tuple[tuple[str, Any], ...]:
    """Return the fields of a type, by name, with their defaults; None for what has none."""
    found = []
    for field in fields(kind):
        default = None if field.default is NODEFAULT else field.default
        if field.default_factory is not NODEFAULT:
            default = field.default_factory()
        found.append((field.name, default))
    return tuple(sorted(found, key=lambda pair: pair[0]))
