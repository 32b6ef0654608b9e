"""Conformance suite and fixture-home generator for container start-up probes.

For tests of your own: :func:`scenarios` names the scenarios of a contract; :class:`FakeHome` is
what the fixtures ``fake_home`` and ``fake_home_fs`` return, :class:`Outcome` what ``probe`` does.
Everything else may change with each version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.api import FakeHome, Outcome, scenarios

__all__ = ["FakeHome", "Outcome", "__version__", "scenarios"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import the rest when it is asked for: the package itself costs next to nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module("conformance.api"), name)
