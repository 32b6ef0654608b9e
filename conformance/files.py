"""Write files that others read; know the repository that one is in."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from conformance.errors import CannotJudge

__all__ = ["create_text", "replace_text", "repository"]

#: What lies at the root of a repository.
_ROOT_HAS = (".git", ".hg", ".jj")


def repository(directory: Path) -> Path | None:
    """Return the root of the repository that *directory* is in; None where it is in none."""
    for place in (directory.absolute(), *directory.absolute().parents):
        if any((place / name).exists() for name in _ROOT_HAS):
            return place
    return None


def create_text(file: Path, text: str) -> None:
    """Write *text* to *file*, which is made; whatever is there already stays as it is.

    :raises CannotJudge: it cannot be written.
    """
    try:
        stream = file.open("x", encoding="utf-8")
        try:
            with stream:
                stream.write(text)
        except OSError:
            file.unlink(missing_ok=True)  # no half of a file
            raise
    except OSError as e:
        raise CannotJudge(f"{file} cannot be written: {e.strerror}") from None


def replace_text(file: Path, text: str) -> None:
    """Write *text* to *file* in one step.

    Readers never see half of it, and a failure leaves the old content. A file that is not a
    regular one, such as a named pipe, is not replaced but written to.

    :raises CannotJudge: the file cannot be written.
    """
    path = file.absolute()
    name = ""
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as e:
        with suppress(OSError):
            os.unlink(name)
        raise CannotJudge(f"{file} cannot be written: {e.strerror}") from None
