"""Write files that others read; know the repository that one is in."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from conformance.errors import CannotJudge

__all__ = ["create_text", "replace_text", "repository"]

#: So many links the system follows, one after the other (path_resolution(7)).
_MOST_LINKS = 40
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
    """Write *text* to *file* in one step, by the mode that it has already.

    Readers never see half of it, and a failure leaves the old content. Where *file* is a link, it
    stays one. What is not a regular file, such as a named pipe or ``/dev/stdout``, is not replaced
    but written to.

    :raises CannotJudge: the file cannot be written.
    """
    name = ""
    try:
        path = Path(os.path.realpath(file)) if file.is_symlink() else file.absolute()
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if _is_of_the_system(file) or (path.exists() and not path.is_file()):
            with open(file, "a", encoding="utf-8") as stream:
                stream.write(text)
            return
        new = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}")
        with new.open("x", encoding="utf-8") as stream:
            name = str(new)
            stream.write(text)
        if path.exists():
            os.chmod(name, stat.S_IMODE(path.stat().st_mode))
        os.replace(name, path)
    except OSError as e:
        with suppress(OSError):
            os.unlink(name)
        raise CannotJudge(f"{file} cannot be written: {e.strerror}") from None


def _is_of_the_system(file: Path) -> bool:
    """Return whether *file* is in /dev or /proc, or a link that leads there."""
    place = file.absolute()
    for _ in range(_MOST_LINKS):
        if place.is_relative_to("/dev") or place.is_relative_to("/proc"):
            return True
        if not place.is_symlink():
            return False
        place = place.parent / place.readlink()
    return False
