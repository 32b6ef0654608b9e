"""The members of a JSON value, down to where another one has none: to say in what they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["members"]


def members(value: Any, other: Any) -> dict[str, str]:
    """Return the members of *value* by their names, such as ``a.b``, each written as JSON.

    An object is opened where *other* has one there, too, and neither is empty. A value that is not
    opened at all has no name.
    """
    return dict(_members(value, other, ""))


def _members(value: Any, other: Any, name: str) -> Iterator[tuple[str, str]]:
    if not (value and isinstance(value, dict) and other and isinstance(other, dict)):
        # As text: to Python, true is 1.
        yield name, json.dumps(value, sort_keys=True)
        return
    for key, inner in value.items():
        yield from _members(inner, other.get(key), f"{name}.{key}" if name else key)
