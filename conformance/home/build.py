"""Build a home as a real directory."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

from conformance.errors import CannotJudge, UsageError
from conformance.home.plan import Node

__all__ = ["Unbuildable", "build", "check_target"]

_OPEN = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

#: The answer of a file system, or to a user without privileges, where a node is impossible.
_UNSUPPORTED = {
    errno.EILSEQ,
    errno.ENOTSUP,
    errno.EPERM,
    errno.ENOSYS,
    errno.EINVAL,
    errno.ENAMETOOLONG,
}


class Unbuildable(CannotJudge):
    """This system cannot hold the home the scenario describes: the scenario is unsupported here."""


def check_target(target: Path) -> None:
    """Make sure that a home may be built in *target*.

    :raises UsageError: it is the caller's own home, not a directory, not empty, or has a path that
        PATH cannot hold.
    """
    hint = "name a directory that does not exist yet"
    for own in {os.environ.get("HOME", ""), _passwd_home()} - {""}:
        if os.path.realpath(target) == os.path.realpath(own):
            raise UsageError(f"{target} is your own home", hint=hint)
    try:
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise UsageError(
                f"{target} is not a directory", hint="name one that does not exist yet"
            )
        if target.is_dir() and os.listdir(target):
            raise UsageError(f"{target} is not empty", hint=hint)
        if ":" in os.path.realpath(target):
            cause = f"{target} cannot be used: its path has a colon, which ends an entry of PATH"
            raise UsageError(cause, hint="name another directory")
    except OSError as e:
        raise UsageError(f"{target} cannot be used: {e.strerror}", hint=hint) from None


def _passwd_home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a uid without an entry, as containers have
        return ""


def build(nodes: Iterable[Node], target: Path) -> None:
    """Build the home that *nodes* describe in *target*, which is created if it is missing.

    Every node is created anew (``O_EXCL``, no link is followed), so nothing outside *target* can be
    touched.

    :raises Unbuildable: the file system or the user's rights do not allow a node.
    :raises CannotJudge: anything else went wrong, such as a full disk.
    """
    base = os.fsencode(target)
    later: list[Node] = []
    node = Node(path=b"", kind="directory", mode=0o700)
    try:
        os.makedirs(base, mode=0o700, exist_ok=True)
        os.chmod(base, 0o700)
        for node in nodes:
            path = base + b"/" + node.path
            if node.kind == "directory":
                os.mkdir(path, 0o700)
                if node.mode != 0o700 or node.mtime is not None or node.owner is not None:
                    later.append(node)
            else:
                _make(path, node)
        # Directories come last, deepest first: a mode may shut one, new entries change its time.
        for node in reversed(later):
            _finish(base + b"/" + node.path, node)
    except OSError as e:
        kind = Unbuildable if e.errno in _UNSUPPORTED else CannotJudge
        name = os.fsdecode(node.path) or "its top directory"
        raise kind(f"cannot build {name!r} ({node.kind}) of the home: {e.strerror}") from None


def _make(path: bytes, node: Node) -> None:
    if node.kind == "file":
        _make_file(path, node)
    elif node.kind == "symlink":
        os.symlink(node.target, path)
        if node.owner is not None or node.mtime is not None:
            _finish(path, node)
    else:
        type_ = stat.S_IFIFO if node.kind == "fifo" else stat.S_IFSOCK
        os.mknod(path, 0o600 | type_)
        _finish(path, node)


def _make_file(path: bytes, node: Node) -> None:
    fd = os.open(path, _OPEN, 0o600)
    try:
        for chunk in node.chunks():
            _write(fd, chunk)
        if node.owner is not None:
            os.fchown(fd, node.owner, -1)
        if node.mode != 0o600 or node.owner is not None:
            os.fchmod(fd, node.mode)
        if node.mtime is not None:
            os.utime(fd, (node.mtime, node.mtime))
    finally:
        os.close(fd)


def _write(fd: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(fd, view) :]


def _finish(path: bytes, node: Node) -> None:
    if node.owner is not None:
        os.chown(path, node.owner, -1, follow_symlinks=False)
    if node.kind != "symlink":
        os.chmod(path, node.mode)
    if node.mtime is not None:
        os.utime(path, (node.mtime, node.mtime), follow_symlinks=False)
