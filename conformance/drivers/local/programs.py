"""Where the programs lie that a local probe finds: directories of stubs, and PATH behind them."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

from conformance.drivers.asked import AskedLog
from conformance.drivers.local.home_directory import HomeDirectory
from conformance.drivers.stubs import Stubs
from conformance.home import build

__all__ = ["Programs"]


class Programs:
    """Makes such directories below *directory*; safe to use from many threads.

    *path* is what PATH holds behind the stubs; relative parts of it count from *cwd*.
    """

    def __init__(self, directory: Path, *, path: str, cwd: Path) -> None:
        self.asked = AskedLog(directory / "cli" / "asked")
        """What the stubs are asked."""
        self._directory = directory
        self._path = path
        self._cwd = cwd
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._stub_directories: dict[Stubs, str] = {}
        self._paths: dict[tuple[str, ...], str] = {}

    def stub_directory(self, stubs: Stubs, place: HomeDirectory, *, own: bool) -> str:
        """Return the directory of *stubs*, built once for all scenarios that use them.

        Those that serve one home only, or are its *own*, are built in its *place*.
        """
        if stubs.home or own:
            return self._built(stubs, place.cli)
        with self._lock:
            if stubs not in self._stub_directories:
                directory = self._directory / "cli" / str(len(self._stub_directories))
                self._stub_directories[stubs] = self._built(stubs, directory)
            return self._stub_directories[stubs]

    def _built(self, stubs: Stubs, directory: Path) -> str:
        self.asked.make()
        build(stubs.nodes(str(self.asked.path)), directory)
        directory.chmod(0o555)
        return str(directory)

    def path_without(self, clis: tuple[str, ...]) -> str:
        """Return the rest of PATH without *clis*.

        A real CLI must not answer where a stub is missing.
        """
        with self._lock:
            if clis not in self._paths:
                # Relative entries, and the empty one, count from where the probe runs.
                parts = [os.path.join(self._cwd, part) for part in self._path.split(":")]
                self._paths[clis] = ":".join(self._without(clis, part) for part in parts)
            return self._paths[clis]

    def _without(self, clis: tuple[str, ...], directory: str) -> str:
        """Return a directory with all programs of *directory* except *clis*.

        That is *directory* itself if it has none of them.
        """
        if not any(os.path.lexists(os.path.join(directory, name)) for name in clis):
            return directory
        shadow = self._directory / "path" / str(next(self._numbers))
        shadow.mkdir(parents=True)
        for name in os.listdir(directory):
            if name not in clis:
                (shadow / name).symlink_to(os.path.join(directory, name))
        return str(shadow)
