"""What a probe sees of the file system, where that must not be what everybody else sees.

Temporary directories are its own, so nothing in them comes from the machine or from another
scenario. What the caller's agents keep in the caller's home is hidden, and so are real CLIs. The
user database names an empty home. Nothing is done here: the supervisor mounts a view for each run.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from conformance.drivers.local.command import SYSTEM_PATH

__all__ = ["View", "ViewMaker", "paths_in"]

_PASSWD = Path("/etc/passwd")
#: Directories that are everybody's, with their modes.
_TEMPORARY = {"/tmp": 0o1777, "/var/tmp": 0o1777, "/dev/shm": 0o1777}
#: As many links as the kernel follows.
_MOST_LINKS = 40


class View(Struct, frozen=True, kw_only=True):
    """Mounts, in the order in which they are made; paths have no links in them."""

    mounts: tuple[tuple[str, int], ...]
    """A path, and the mode of an empty directory to put there; or -1 to keep what is there.

    The latter lies in a directory that is put over with an empty one.
    """
    links: tuple[tuple[str, str], ...] = ()
    """Symbolic links to make anew in those directories: a path and a target."""
    lasting: str = ""
    """Where the content of the empty directories lies, if it is to outlast one run."""
    covers: tuple[tuple[str, str], ...] = ()
    """A path, and the file to put over it; over a link itself, not over what it leads to."""

    def wire(self) -> dict[str, Any]:
        """Return what the supervisor understands."""
        return {
            "mounts": [(os.fsencode(path), mode) for path, mode in self.mounts],
            "lasting": os.fsencode(self.lasting),
            "links": [(os.fsencode(path), os.fsencode(to)) for path, to in self.links],
            "covers": [(os.fsencode(path), os.fsencode(file)) for path, file in self.covers],
        }


class ViewMaker:
    """Makes views; what they put over other files lies in *directory*, which it makes.

    :raises OSError: it cannot be made.
    """

    def __init__(self, directory: Path, own: Path) -> None:
        self._own = str(own)
        self._empty = str(directory / "empty")
        self._home = directory / "empty-home"
        self._passwd = directory / "passwd"
        self._homes = set(_homes_of_the_caller())
        self._views: dict[tuple[Any, ...], View] = {}
        if directory.exists():
            return
        directory.mkdir(mode=0o755)
        (directory / "empty").touch(0o444)
        if _PASSWD.is_file():
            # Nobody can write there: root has lost the right to pass over modes.
            self._home.mkdir(mode=0o555)
            self._passwd.write_bytes(self._database(_PASSWD.read_bytes()))
            self._passwd.chmod(0o444)

    def view(
        self,
        argv: tuple[str, ...],
        cwd: str,
        paths: frozenset[str],
        *,
        agents: tuple[str, ...],
        clis: tuple[str, ...],
    ) -> View:
        """Return the view for the command *argv* that runs in *cwd*.

        What they name stays reachable, and so do *paths*. What *agents* keep in the caller's home
        is hidden, and real programs called like one of *clis* are.
        """
        key = (argv, cwd, paths, agents, clis)
        if key not in self._views:
            self._views[key] = self._made(*key)
        return self._views[key]

    def _made(
        self,
        argv: tuple[str, ...],
        cwd: str,
        paths: frozenset[str],
        agents: tuple[str, ...],
        clis: tuple[str, ...],
    ) -> View:
        files = [os.path.join(cwd, word) for word in argv]
        own_files = {step for path in files for step in _steps(path)}
        needed = [*files, *_interpreter(files[0]), cwd, *paths, *_python()]
        private = self._private(agents)
        steps = {step for path in needed for step in _steps(path)}
        links, mounts = [], dict(private)
        for step in sorted(steps):
            for top in private:
                if not _below(step, top):
                    continue
                first = f"{top}/{step[len(top) + 1 :].partition('/')[0]}"
                if os.path.islink(first):
                    links.append((first, os.readlink(first)))
                elif first not in private:
                    mounts[first] = -1
        mounts[os.path.realpath(self._own)] = -1
        covers = [(str(_PASSWD), str(self._passwd))] if self._passwd.exists() else []
        hidden = (*self._state_files(agents), *_programs(clis, paths))
        covers += [(path, self._empty) for path in hidden if path not in own_files]
        return View(mounts=tuple(_needed_only(mounts)), links=tuple(links), covers=tuple(covers))

    def _private(self, agents: Collection[str]) -> dict[str, int]:
        """Return the directories that are put over with empty ones, with their modes."""
        found = {}
        for path, mode in {**_TEMPORARY, f"/run/user/{os.getuid()}": 0o700}.items():
            if os.path.isdir(path):
                found[os.path.realpath(path)] = mode
        for path in self._state(agents):
            real = os.path.realpath(path)
            around_home = any(home == real or _below(home, real) for home in self._homes)
            if os.path.isdir(real) and not around_home:
                found.setdefault(real, 0o755)
        return found

    def _state(self, agents: Collection[str]) -> Iterator[str]:
        """Yield where *agents* keep what they know of the caller; much of it may not exist."""
        for home in sorted(self._homes):
            for agent in agents:
                yield from (f"{home}/.{agent}", f"{home}/.config/{agent}")
        for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
            if os.path.isabs(os.environ.get(name, "")):
                yield os.environ[name]

    def _state_files(self, agents: Collection[str]) -> Iterator[str]:
        for home in sorted(self._homes):
            for agent in agents:
                for name in (f".{agent}.json", f".{agent}.json.backup"):
                    path = os.path.join(home, name)
                    if os.path.isfile(path):
                        yield os.path.realpath(path)

    def _database(self, text: bytes) -> bytes:
        """Return the user database *text* with an empty home for the caller."""
        lines = []
        for line in text.split(b"\n"):
            fields = line.split(b":")
            if len(fields) == 7 and self._is_the_callers(fields):
                fields[5] = os.fsencode(self._home)
            lines.append(b":".join(fields))
        with suppress(KeyError):  # a uid without an entry, as containers have
            entry = pwd.getpwuid(os.getuid())
            if not any(line.split(b":")[2:3] == [b"%d" % entry.pw_uid] for line in lines):
                # The entry comes from elsewhere, such as a directory service.
                ids = f"{entry.pw_uid}:{entry.pw_gid}"
                own = f"{entry.pw_name}:x:{ids}::{self._home}:{entry.pw_shell}"
                lines.insert(0, os.fsencode(own))
        return b"\n".join(lines)

    def _is_the_callers(self, fields: list[bytes]) -> bool:
        same_user = fields[2] in (b"0", b"%d" % os.getuid())
        return same_user or os.path.realpath(os.fsdecode(fields[5])) in self._homes

    def is_empty_home(self, home: str) -> bool:
        """Return whether *home*, which the user database names to probes, is the empty one."""
        return home == str(self._home)


def _homes_of_the_caller() -> Iterator[str]:
    """Yield the real homes of whoever started the suite, without links; also behind sudo."""
    homes = [os.environ.get("HOME", "")]
    for uid in (str(os.getuid()), os.environ.get("SUDO_UID", "")):
        with suppress(KeyError, ValueError, OverflowError):
            homes.append(pwd.getpwuid(int(uid)).pw_dir)
    for home in homes:
        if os.path.isabs(home) and os.path.isdir(home):
            yield os.path.realpath(home)


def _programs(names: Collection[str], paths: Iterable[str]) -> Iterator[str]:
    """Yield the real programs called *names*: where the system and the caller look, and *paths*."""
    parts = ":".join((SYSTEM_PATH, os.environ.get("PATH", ""))).split(":")
    directories = {os.path.realpath(part) for part in (*parts, *paths) if os.path.isabs(part)}
    for directory in sorted(directories):
        for name in names:
            program = os.path.join(directory, name)
            if os.path.islink(program) or os.path.isfile(program):
                yield program


def paths_in(values: Iterable[str]) -> Iterator[str]:
    """Yield the absolute paths in the *values* of variables, which may be lists like PATH."""
    for value in values:
        yield from (part for part in {value, *value.split(":")} if os.path.isabs(part))


def _interpreter(program: str) -> Iterator[str]:
    """Yield the interpreter that a script names in its first line."""
    with suppress(OSError):
        if not os.path.isfile(program):
            return
        with open(program, "rb") as file:
            first = file.readline(4096)
        words = first[2:].split()
        if first.startswith(b"#!") and words:
            yield os.fsdecode(words[0])


def _python() -> Iterator[str]:
    """Yield where the Python is that runs the suite, and that runs probes in Python."""
    yield from (sys.executable, sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    yield from (part for part in sys.path if os.path.isabs(part))


def _steps(path: str) -> Iterator[str]:
    """Yield *path* without links, if something is there, and the links on the way to it."""
    done, pending, links = "", path.split("/"), 0
    while pending:
        part = pending.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            done = done.rpartition("/")[0]
            continue
        here = f"{done}/{part}"
        if os.path.islink(here) and links < _MOST_LINKS:
            links += 1
            yield here
            target = os.readlink(here)
            done = "" if target.startswith("/") else done
            pending[:0] = target.split("/")
        else:
            done = here
    if os.path.lexists(done or "/"):
        yield done or "/"


def _below(path: str, top: str) -> bool:
    return path.startswith(f"{top.rstrip('/')}/") and path != top


def _needed_only(mounts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield *mounts*, outer ones first, without those that change nothing."""
    done: dict[str, int] = {}
    for path in sorted(mounts, key=lambda path: path.split("/")):
        around = max((top for top in done if _below(path, top)), key=len, default="")
        hidden = bool(around) and done[around] >= 0
        if hidden == (mounts[path] < 0):
            done[path] = mounts[path]
            yield path, mounts[path]
