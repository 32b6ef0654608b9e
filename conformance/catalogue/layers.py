"""Layers: parts of a HOME that several scenarios share, one file each."""

from __future__ import annotations

import os
import re
from functools import cache
from itertools import chain
from pathlib import Path

from msgspec import UnsetType

from conformance.bundled import fixtures_dir
from conformance.catalogue.entries import entries_of
from conformance.catalogue.schema import LayerFile
from conformance.catalogue.toml import convert, read_toml
from conformance.errors import FileError
from conformance.model.scenario import Entry

__all__ = ["bundled_layers", "layer"]


def layer(
    wanted: str, *, name: str = "", root: Path | None = None, above: tuple[str, ...] = ()
) -> tuple[Entry, ...]:
    """Return the entries of the layer called *wanted*, with those of the layers that it includes.

    It is a file in ``layers`` below *root*, else a bundled layer. *above* are the layers that
    include it.

    :raises FileError: there is no such layer, or it includes itself; *name* is the file that asks
        for it.
    """
    key = "include" if above else "home.include"
    if wanted in above:
        raise FileError(name, f"layer '{wanted}' includes itself", key=key)
    own = root / "layers" if root else None
    if re.fullmatch(r"[a-z0-9-]+", wanted):
        if own is not None and os.path.isfile(path := own / f"{wanted}.toml"):
            return _read(path, root, (*above, wanted))
        if wanted in _bundled_names():
            return _bundled(wanted)
    known = set(_bundled_names())
    if own is not None:
        known.update(path.stem for path in own.glob("*.toml"))
    hint = f"known: {', '.join(sorted(known))}"
    raise FileError(name, f"no layer '{wanted}'", key=key, hint=hint)


def bundled_layers() -> dict[str, tuple[Entry, ...]]:
    """Return the entries of each bundled layer, by its name."""
    return {name: _bundled(name) for name in sorted(_bundled_names())}


@cache
def _bundled_names() -> frozenset[str]:
    return frozenset(path.stem for path in _directory().glob("*.toml"))


@cache
def _bundled(wanted: str) -> tuple[Entry, ...]:
    """Return a layer that ships with the suite; hundreds of scenarios include it."""
    return _read(_directory() / f"{wanted}.toml", None, (wanted,))


def _read(path: Path, root: Path | None, above: tuple[str, ...]) -> tuple[Entry, ...]:
    """Return the entries of the layer in the file *path*, which is the last of *above*."""
    name = str(path)
    shape = convert(read_toml(path), LayerFile, name=name)
    files = shape.files
    if isinstance(files, UnsetType):
        if not shape.include:
            raise FileError(name, "missing", key="files", hint="or include other layers")
        files = {}
    below = [layer(wanted, name=name, root=root, above=above) for wanted in shape.include]
    # Not merged here: a layer may patch what another one that the scenario includes has.
    return tuple(chain(*below, entries_of(files, name=name)))


def _directory() -> Path:
    return fixtures_dir() / "layers"
