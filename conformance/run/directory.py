"""The directory of one run: the only place that the suite writes to.

It is removed at the end, or by the next run. It is in the user's cache directory and not in the
system's temporary directory, because codex warns if its home is there. Each run holds a lock on a
file beside its directory as long as it lives. A directory whose lock is free belongs to a run that
was killed.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

from conformance.errors import CannotJudge, UsageError
from conformance.home import remove

__all__ = ["RunDirectory", "cache_dir", "keep_directory", "sweep_directories"]

#: The names of a run's directory and of the lock beside it; other files there are not ours.
_NAME = re.compile(r"run-[0-9a-f]{12}(\.lock)?")


def cache_dir() -> Path:
    """Return the suite's cache directory; make it if need be.

    It is ``$XDG_CACHE_HOME/probe-conformance``, by default below ``~/.cache`` (XDG base directory
    specification). If that cannot be written, or no CLI can be run there, it is the user's own
    directory in ``/var/tmp``.

    :raises CannotJudge: neither can be written.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    fallback = Path(f"/var/tmp/probe-conformance-{os.getuid()}")
    for place in (Path(home) / "probe-conformance", fallback):
        if not place.is_absolute():
            continue
        with suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            own = place.lstat().st_uid == os.getuid()
            if own and os.access(place, os.W_OK | os.X_OK) and not _unfit(place):
                return place
    hint = "set XDG_CACHE_HOME to one that you own, in which programs can be run"
    raise CannotJudge("no directory to write to", hint=hint)


def _unfit(place: Path) -> str:
    """Return why no CLI of a scenario can be run below *place*, which may not be there yet.

    :raises OSError: nobody can tell.
    """
    if ":" in os.path.realpath(place):
        return "its path has a colon, which ends an entry of PATH"
    places = (place.absolute(), *place.absolute().parents)
    there = next(above for above in places if above.exists())
    if os.statvfs(there).f_flag & os.ST_NOEXEC:
        return "it is mounted noexec, so that no program there can be run"
    return ""


def keep_directory(directory: str, base: Path, *, runs_here: bool = True) -> Path:
    """Return *directory*, relative to *base*, if homes can be kept there; make it if need be.

    Probes run in these homes where they lie, unless *runs_here* is false, as it is for an image.
    What a run that goes on, or was killed, has there does not count.

    :raises UsageError: it is not empty, cannot be made, or nothing can be run there.
    """
    path = base / directory
    try:
        why = _unfit(path) if runs_here else ""
        if not why:
            path.mkdir(parents=True, exist_ok=True)
            if any(entry for entry in path.iterdir() if not _is_of_a_run(entry)):
                hint = "keep homes in a directory that does not exist yet"
                raise UsageError(f"{directory} is not empty", hint=hint)
    except OSError as e:
        why = e.strerror or str(e)
    if why:
        hint = "name another directory"
        raise UsageError(f"homes cannot be kept in {directory}: {why}", hint=hint)
    return path.resolve()


def _is_of_a_run(entry: Path) -> bool:
    """Return whether *entry* is a run's directory or lock. A directory without a lock is not."""
    name = _NAME.fullmatch(entry.name)
    return name is not None and (name[1] is not None or entry.with_suffix(".lock").exists())


class RunDirectory:
    """A new directory for one run, below *base* (by default the cache directory)."""

    def __init__(self, base: Path | None = None) -> None:
        parent = base if base is not None else cache_dir() / "runs"
        try:
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            sweep(parent)
            while True:
                # By its real path: a link may lie where probes have directories of their own.
                self.path = parent.resolve() / f"run-{secrets.token_hex(6)}"
                self._lock_file = self.path.with_suffix(".lock")
                flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
                self._lock = os.open(self._lock_file, flags, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                if os.fstat(self._lock).st_nlink:
                    break
                os.close(self._lock)  # another run's sweep was faster, and removed the file
            self.path.mkdir(mode=0o700)
        except OSError as e:
            cause = f"cannot write to {parent}: {e.strerror}"
            raise CannotJudge(cause, hint="make room, or set XDG_CACHE_HOME") from None

    def close(self) -> None:
        """Remove the directory; wait a little for an ending process that still writes there."""
        if self._lock < 0:
            return
        for _ in range(20):
            try:
                remove(self.path)
                self._lock_file.unlink(missing_ok=True)
                break
            except OSError:
                time.sleep(0.1)
        os.close(self._lock)
        self._lock = -1


def sweep_directories() -> list[str]:
    """Remove what dead runs have left in the cache directory; return a name for each thing."""
    parent = cache_dir() / "runs"
    return [f"directory {parent / name}" for name in sweep(parent)]


def sweep(parent: Path) -> list[str]:
    """Remove what dead runs have left in *parent*; return their names.

    A run makes its lock first and removes it last, so a directory without one belongs to others.
    """
    swept = []
    for lock_file in sorted(parent.glob("run-*.lock")):
        path = lock_file.with_suffix("")
        if not _NAME.fullmatch(lock_file.name):
            continue
        try:
            lock = os.open(lock_file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_nlink:  # else another sweep was faster
                remove(path)
                lock_file.unlink(missing_ok=True)
                swept.append(path.name)
        except OSError:
            pass  # it is alive, or cannot be removed completely: the next run tries again
        finally:
            os.close(lock)
    return swept
