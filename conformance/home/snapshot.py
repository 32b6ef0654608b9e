"""What stands in a home at one moment, and what changed between two."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from msgspec import Struct

from conformance.home.plan import Node
from conformance.home.walk import walk

__all__ = ["Snapshot", "Stamp", "changes", "mismatch", "snapshot", "stamps"]

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Stamp(Struct, frozen=True):
    """What is remembered of one entry."""

    kind: str
    mode: int
    size: int = 0
    """Of a file, in bytes."""
    content: str = ""
    """Hash of a file, target of a link. Of what cannot be read, the time of its last change of status: no one
    without privileges can set that, so nothing behind it changes unseen."""

    def describe(self) -> str:
        """Return a few words for people."""
        words = f"{self.kind}, mode {self.mode:04o}"
        if self.kind == "file":
            return f"{words}, {self.size} bytes"
        return f"{words} to {_words(os.fsencode(self.content))}" if self.kind == "symlink" else words


Snapshot = Mapping[bytes, Stamp]


def snapshot(top: Path, known: Iterable[bytes] = ()) -> Snapshot:
    """Return a stamp for *top* itself (as ``b""``) and everything below it. Nothing is blocked by a FIFO.

    *known* are paths that may be reached by name although the directory above them cannot be listed.
    """
    found: dict[bytes, Stamp] = {}
    try:
        found[b""] = _stamp(os.fsencode(top), os.lstat(top), None)
    except OSError:
        return found
    if found[b""].kind != "directory":
        return found
    with ExitStack() as anchors:
        for visit in walk(top, anchors):
            if visit.entries is None or any(status is None for _, status in visit.entries):
                stamp = found[visit.path]
                status = os.stat(visit.place[0], dir_fd=visit.place[1], follow_symlinks=False)
                found[visit.path] = Stamp(stamp.kind, stamp.mode, 0, f"changed {status.st_ctime_ns}")
            for name, status_ in visit.entries or ():
                path = visit.path + b"/" + name if visit.path else name
                found[path] = Stamp("unknown", 0) if status_ is None else _stamp(name, status_, visit.fd)
    for path in known:
        if path not in found and _shut_off(path, found):
            with suppress(OSError):
                place = os.path.join(os.fsencode(top), path)
                found[path] = _stamp(place, os.lstat(place), None)
    return found


def stamps(nodes: Iterable[Node]) -> Snapshot:
    """Return the stamps of *nodes* as they stand in a plan or in an archive, which neither holds a socket."""
    found = {}
    for node in nodes:
        if node.kind == "file":
            digest = hashlib.blake2b(digest_size=16)
            for chunk in node.chunks():
                digest.update(chunk)
            found[node.path] = Stamp("file", node.mode, node.size, digest.hexdigest())
        elif node.kind != "socket":
            link = node.kind == "symlink"
            found[node.path] = Stamp(node.kind, 0o777 if link else node.mode, 0, os.fsdecode(node.target))
    return found


def _stamp(name: bytes, status: os.stat_result, fd: int | None) -> Stamp:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "device")
    mode = stat.S_IMODE(status.st_mode)
    if kind == "file":
        return Stamp(kind, mode, status.st_size, _hash(name, status, fd))
    return Stamp(kind, mode, 0, os.fsdecode(os.readlink(name, dir_fd=fd)) if kind == "symlink" else "")


def _hash(name: bytes, status: os.stat_result, directory: int | None) -> str:
    try:
        fd = os.open(name, _READ, dir_fd=directory)
    except OSError:
        return f"changed {status.st_ctime_ns}"
    digest = hashlib.blake2b(digest_size=16)
    try:
        while chunk := os.read(fd, 1024 * 1024):
            digest.update(chunk)
    finally:
        os.close(fd)
    return digest.hexdigest()


def mismatch(nodes: Iterable[Node], found: Snapshot) -> str:
    """Return how the home on disk falls short of *nodes*, or an empty string: not every file system keeps what it is told."""
    for node in nodes:
        stamp = found.get(node.path)
        name = os.fsdecode(node.path)
        if stamp is None:
            if _shut_off(node.path, found):
                continue
            return f"{name!r} is not there after it was built"
        if stamp.kind == "unknown":
            continue
        if stamp.kind != node.kind:
            return f"{name!r} is a {stamp.kind}, not a {node.kind}"
        if node.kind != "symlink" and stamp.mode != node.mode:
            return f"{name!r} has mode {stamp.mode:04o}, not {node.mode:04o}"
        if node.kind == "file" and stamp.size != node.size:
            return f"{name!r} has {stamp.size} bytes, not {node.size}"
        if node.kind == "symlink" and stamp.content != os.fsdecode(node.target):
            return f"{name!r} leads to {stamp.content!r}"
    return ""


def _shut_off(path: bytes, found: Snapshot) -> bool:
    """Return whether *path* lies below a directory that cannot be read, which only a scenario does on purpose."""
    return any(above in found and found[above].kind == "directory" and found[above].content for above in _above(path))


def _above(path: bytes) -> Iterable[bytes]:
    while path := path.rpartition(b"/")[0]:
        yield path


def changes(
    before: Snapshot, after: Snapshot, allowed: Sequence[str] = (), *, replaceable: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return what changed, a line each, except what is *allowed* to appear.

    *allowed* are paths below the home; ``*`` stands for one name, ``**`` for any path. Only additions are excused:
    what the scenario put there may never change, but for the files in *replaceable*, which may have other content.
    """
    if before == after:
        return ()
    patterns = [_pattern(text) for text in (*allowed, *replaceable)]
    if replaceable:
        fillable = [_pattern(text) for text in replaceable]
        same = {
            path: stamp
            for path, stamp in after.items()
            if path in before and stamp.kind == before[path].kind == "file" and any(p.fullmatch(path) for p in fillable)
        }
        before = {**before, **same}
    links = _links(before) if patterns else {}
    excused = {
        path
        for path in after.keys() - before.keys()
        if any(p.fullmatch(name) for p in patterns for name in (path, *_aliases(path, links)))
    }
    # The directories that had to be made for an excused entry are excused as well.
    excused |= {above for path in excused for above in _above(path)}
    lines = [f"removed {_name(path)} ({before[path].describe()})" for path in before.keys() - after.keys()]
    lines += [f"added {_name(path)} ({after[path].describe()})" for path in after.keys() - before.keys() - excused]
    lines += [_changed(path, before[path], after[path]) for path in before.keys() & after.keys() if before[path] != after[path]]
    return tuple(sorted(lines))


def _links(found: Snapshot) -> dict[bytes, bytes]:
    """Return the symlinks in *found* that lead to another place in the same home, each with that place."""
    links = {}
    for path, stamp in found.items():
        if stamp.kind == "symlink":  # an absolute target is outside, as far as anybody here can tell
            target = os.path.normpath(os.path.join(os.path.dirname(path), os.fsencode(stamp.content)))
            if target != b"." and not target.startswith(b".."):
                links[path] = target
    return links


def _aliases(path: bytes, links: Mapping[bytes, bytes]) -> Iterable[bytes]:
    """Yield the names that *path* has by one of the *links*: who writes through a link does not know where that ends."""
    return (link + path[len(target) :] for link, target in links.items() if path.startswith(target + b"/"))


def _pattern(text: str) -> re.Pattern[bytes]:
    parts = re.split(r"(/\*\*|\*\*|\*)", text)
    expression = "".join({"/**": "(/.*)?", "**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)
    return re.compile(os.fsencode(expression), re.DOTALL)


def _name(path: bytes) -> str:
    return _words(path) or "the HOME itself"


def _words(path: bytes) -> str:
    """Return *path* as text that every report and every message between processes can carry."""
    return path.decode("utf-8", "backslashreplace")


def _changed(path: bytes, before: Stamp, after: Stamp) -> str:
    if before.describe() == after.describe():
        return f"changed {_name(path)}: other content, {after.describe()}"
    return f"changed {_name(path)}: {before.describe()} became {after.describe()}"
