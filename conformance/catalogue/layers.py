"""Layers: parts of a HOME that several scenarios share, a file each."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

from conformance.bundled import fixtures_dir
from conformance.catalogue.entries import entries_of
from conformance.catalogue.schema import LayerFile
from conformance.catalogue.toml import convert, read_toml
from conformance.errors import FileError
from conformance.model.scenario import Entry

__all__ = ["layer"]


def layer(wanted: str, *, name: str = "", root: Path | None = None) -> tuple[Entry, ...]:
    """Return the entries of the layer called *wanted*: from ``layers`` below *root*, else a bundled one.

    :raises FileError: there is none; *name* is the file that asks for it.
    """
    own = root / "layers" if root else None
    if re.fullmatch(r"[a-z0-9-]+", wanted):
        if own is not None and os.path.isfile(path := own / f"{wanted}.toml"):
            return _layer(path)
        if (found := _bundled_layers().get(wanted)) is not None:
            return found
    known = sorted({*_bundled_layers(), *(path.stem for path in (own.glob("*.toml") if own else ()))})
    raise FileError(name, f"no layer '{wanted}'", key="home.include", hint=f"known: {', '.join(known)}")


@cache
def _bundled_layers() -> dict[str, tuple[Entry, ...]]:
    """Return the layers that ship with the suite; hundreds of scenarios include them."""
    return {path.stem: _layer(path) for path in (fixtures_dir() / "layers").glob("*.toml")}


def _layer(path: Path) -> tuple[Entry, ...]:
    return entries_of(convert(read_toml(path), LayerFile, name=str(path)).files, name=str(path))
