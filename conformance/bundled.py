"""Where the catalogue and fixtures are: in the installed package, or beside it in a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["contracts_dir", "data_root", "fixtures_dir", "scenarios_dir"]


@cache
def data_root() -> Path:
    """Return the directory that holds ``scenarios`` and ``fixtures``."""
    package = Path(__file__).resolve().parent
    return package if (package / "scenarios").is_dir() else package.parent


def scenarios_dir() -> Path:
    """Return the directory of the bundled catalogue."""
    return data_root() / "scenarios"


def fixtures_dir() -> Path:
    """Return the directory of layers, CLI states, reference probes and the like."""
    return data_root() / "fixtures"


def contracts_dir() -> Path:
    """Return the directory of the bundled contracts."""
    return Path(__file__).resolve().parent / "contracts"
