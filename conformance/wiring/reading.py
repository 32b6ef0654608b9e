"""Manifests from files, directories and standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from conformance.errors import ConformanceError, FileError, UsageError
from conformance.wiring.tree import Place, read_documents

__all__ = ["Manifests", "read_manifests"]

_STANDARD_INPUT = "<stdin>"
_ENDINGS = (".yaml", ".yml", ".json")
#: The most bytes of a file; etcd takes no object of more than 1.5 MiB.
_MOST_BYTES = 16 * 1024 * 1024
#: What marks a directory whose files are no manifests yet, and what makes manifests of them.
_TO_RENDER = {
    "Chart.yaml": "helm template {} | probe-conformance wiring -",
    "kustomization.yaml": "kubectl kustomize {} | probe-conformance wiring -",
    "kustomization.yml": "kubectl kustomize {} | probe-conformance wiring -",
    "Kustomization": "kubectl kustomize {} | probe-conformance wiring -",
}


class Manifests(Struct, frozen=True):
    """What was read: documents in order, and what could not be read."""

    documents: list[Place]
    errors: list[ConformanceError]


def read_manifests(names: Iterable[str]) -> Manifests:
    """Read files, directories with all below them, and standard input, which is ``-``.

    A file that cannot be read does not keep the others from being read.
    """
    documents: list[Place] = []
    errors: list[ConformanceError] = []
    seen: set[str] = set()
    for name in names:
        try:
            for file in _files(name, errors):
                real = file if file == "-" else os.path.realpath(file)
                if real in seen:
                    continue
                seen.add(real)
                try:
                    documents += read_documents(*_text(file))
                except FileError as e:
                    errors.append(e)
        except ConformanceError as e:
            errors.append(e)
    return Manifests(documents, errors)


def _files(name: str, errors: list[ConformanceError]) -> Iterator[str]:
    """Yield the files that *name* stands for; what is no manifest yet is added to *errors*."""
    if name == "-":
        yield name
    elif os.path.isdir(name):
        found = False
        for file in _below(name, errors):
            found = True
            yield file
        if not found and not errors:
            hint = f"name files that end in {', '.join(_ENDINGS)}"
            raise UsageError(f"no manifest in directory {name}", hint=hint)
    elif os.path.lexists(name):
        yield name
    else:
        hint = "name a file, a directory, or - for standard input"
        raise UsageError(f"no file or directory {name}", hint=hint)


def _below(directory: str, errors: list[ConformanceError]) -> Iterator[str]:
    for place, directories, files in os.walk(directory):
        if to_render := next((file for file in files if file in _TO_RENDER), ""):
            cause = f"{place} holds a {to_render}, so its files are no manifests yet"
            errors.append(UsageError(cause, hint=f"try {_TO_RENDER[to_render].format(place)}"))
            directories.clear()
            continue
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for file in sorted(files):
            if file.endswith(_ENDINGS) and not file.startswith("."):
                yield os.path.join(place, file)


def _text(file: str) -> tuple[str, str]:
    """Return the name of *file* for people, and what it holds.

    :raises FileError: it cannot be read.
    """
    shown = _STANDARD_INPUT if file == "-" else file
    try:
        if file == "-":
            data = sys.stdin.buffer.read(_MOST_BYTES + 1)
        elif Path(file).is_dir():
            raise FileError(shown, "is a directory")
        else:
            with open(file, "rb") as stream:
                data = stream.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as e:
        cause = f"cannot be read: {e.strerror if isinstance(e, OSError) else e}"
        raise FileError(shown, cause) from None
    if len(data) > _MOST_BYTES:
        cause = f"has more than {_MOST_BYTES >> 20} MiB"
        raise FileError(shown, cause, hint="is it a manifest?")
    try:
        # Editors may leave a byte order mark, which Kubernetes reads over.
        return shown, data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        cause = f"is no UTF-8 text: byte {e.start}"
        raise FileError(shown, cause, hint="is it a manifest?") from None
