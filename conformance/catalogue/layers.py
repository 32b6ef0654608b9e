"""Layers: parts of a HOME that several scenarios share, one file each."""

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
    """Return the entries of the layer called *wanted*.

    It is a file in ``layers`` below *root*, else a bundled layer.

    :raises FileError: there is no such layer; *name* is the file that asks for it.
    """
    own = root / "layers" if root else None
    if re.fullmatch(r"[a-z0-9-]+", wanted):
        if own is not None and os.path.isfile(path := own / f"{wanted}.toml"):
            return _layer(path)
        if (found := _bundled_layers().get(wanted)) is not None:
            return found
    known = set(_bundled_layers())
    if own is not None:
        known.update(path.stem for path in own.glob("*.toml"))
    hint = f"known: {', '.join(sorted(known))}"
    raise FileError(name, f"no layer '{wanted}'", key="home.include", hint=hint)


@cache
def _bundled_layers() -> dict[str, tuple[Entry, ...]]:
    """Return the layers that ship with the suite; hundreds of scenarios include them."""
    return {path.stem: _layer(path) for path in (fixtures_dir() / "layers").glob("*.toml")}


def _layer(path: Path) -> tuple[Entry, ...]:
    name = str(path)
    return entries_of(convert(read_toml(path), LayerFile, name=name).files, name=name)
