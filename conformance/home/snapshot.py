"""What is in a home at one moment, and what changed between two."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from conformance.home.plan import Node
from conformance.home.walk import Visit, walk

__all__ = ["Snapshot", "Stamp", "Statuses", "changes", "mismatch", "snapshot", "stamp_of", "stamps"]

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
    """Hash of a file, or target of a link.

    Of what cannot be read, the time when its status last changed. Nobody without privileges can
    set that time, so nothing behind it changes unseen.
    """

    def describe(self) -> str:
        """Return a few words for people."""
        words = f"{self.kind}, mode {self.mode:04o}"
        if self.kind == "file":
            return f"{words}, {self.size} bytes"
        if self.kind == "symlink":
            return f"{words} to {_text(os.fsencode(self.content))}"
        return words


Snapshot = Mapping[bytes, Stamp]
#: What the system says of entries, by their paths: all but the time when they were last read. So
#: it also tells what was changed and put back.
Statuses = dict[bytes, tuple[int, ...]]

#: The stamp of an entry of which only the name is known.
_UNKNOWN = Stamp("unknown", 0)


def snapshot(
    top: Path, known: Iterable[bytes] = (), *, statuses: Statuses | None = None
) -> Snapshot:
    """Return a stamp for *top* itself (as ``b""``) and for everything below it.

    A FIFO does not block it. *known* are paths that may be reached by name although the directory
    above them cannot be listed. What the system says of each entry is added to *statuses*.
    """
    seen: Statuses = {} if statuses is None else statuses
    try:
        status = os.lstat(top)
        stamp = _stamp(os.fsencode(top), status, None)
    except OSError:
        return {}
    found = {b"": stamp}
    _note(status, os.fsencode(top), seen)
    if stamp.kind != "directory":
        return found
    with ExitStack() as anchors:
        for visit in walk(top, anchors):
            _add(visit, found, seen, os.fsencode(top))
    for path in known:
        if path not in found and _shut_off(path, found):
            with suppress(OSError):
                place = os.path.join(os.fsencode(top), path)
                status = os.lstat(place)
                found[path] = _stamp(place, status, None)
                _note(status, place, seen)
    return found


def _note(status: os.stat_result, path: bytes, seen: Statuses) -> None:
    """Note in *seen* what does not change when the entry at *path* is only read."""
    seen[path] = (
        *(status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink),
        *(status.st_size, status.st_mtime_ns, status.st_ctime_ns),
    )


def _add(visit: Visit, found: dict[bytes, Stamp], seen: Statuses, top: bytes) -> None:
    """Add to *found* what the *visit* of a directory shows, and to *seen* its statuses."""
    entries = visit.entries or ()
    if visit.entries is None or any(status is None for _, status in entries):
        here = os.stat(visit.place[0], dir_fd=visit.place[1], follow_symlinks=False)
        found[visit.path] = replace(found[visit.path], content=f"changed {here.st_ctime_ns}")
    for name, status in entries:
        path = visit.path + b"/" + name if visit.path else name
        found[path] = _UNKNOWN if status is None else _stamp(name, status, visit.fd)
        if status is not None:
            _note(status, top + b"/" + path, seen)


def stamps(nodes: Iterable[Node]) -> Snapshot:
    """Return the stamps of *nodes* from a plan or an archive, without sockets: tar has none."""
    return {node.path: stamp_of(node, node.chunks()) for node in nodes if node.kind != "socket"}


def stamp_of(node: Node, content: Iterable[bytes]) -> Stamp:
    """Return the stamp of *node*, which holds this *content*, in chunks, if it is a file."""
    if node.kind == "symlink":
        return Stamp("symlink", 0o777, 0, os.fsdecode(node.target))
    if node.kind != "file":
        return Stamp(node.kind, node.mode)
    size = 0
    digest = hashlib.blake2b(digest_size=16)
    for chunk in content:
        size += len(chunk)
        digest.update(chunk)
    return Stamp("file", node.mode, size, digest.hexdigest())


def _stamp(name: bytes, status: os.stat_result, fd: int | None) -> Stamp:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "device")
    mode = stat.S_IMODE(status.st_mode)
    if kind == "file":
        return Stamp(kind, mode, status.st_size, _hash(name, status, fd))
    if kind == "symlink":
        return Stamp(kind, mode, 0, os.fsdecode(os.readlink(name, dir_fd=fd)))
    return Stamp(kind, mode)


def _hash(name: bytes, status: os.stat_result, directory: int | None) -> str:
    try:
        fd = os.open(name, _READ, dir_fd=directory)
    except OSError:
        return f"changed {status.st_ctime_ns}"
    try:
        return _digest(iter(lambda: os.read(fd, 1024 * 1024), b""))
    finally:
        os.close(fd)


def _digest(chunks: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def mismatch(nodes: Iterable[Node], found: Snapshot) -> str:
    """Return how the home on disk falls short of *nodes*, or an empty string.

    Not every file system keeps what it is told.
    """
    for node in nodes:
        stamp = found.get(node.path)
        if stamp is not None:
            wrong = _wrong(stamp, node)
        else:
            wrong = "" if _shut_off(node.path, found) else "is not there after it was built"
        if wrong:
            return f"{os.fsdecode(node.path)!r} {wrong}"
    return ""


def _wrong(stamp: Stamp, node: Node) -> str:
    """Return how what was built, with this *stamp*, differs from its *node*, or an empty string."""
    if stamp.kind == "unknown":
        return ""
    if stamp.kind != node.kind:
        return f"is a {stamp.kind}, not a {node.kind}"
    if node.kind == "symlink":
        leads_there = stamp.content == os.fsdecode(node.target)
        return "" if leads_there else f"leads to {stamp.content!r}"
    if stamp.mode != node.mode:
        return f"has mode {stamp.mode:04o}, not {node.mode:04o}"
    if node.kind == "file" and stamp.size != node.size:
        return f"has {stamp.size} bytes, not {node.size}"
    return ""


def _shut_off(path: bytes, found: Snapshot) -> bool:
    """Return whether *path* lies below an unreadable directory, as some scenarios want it."""
    for above in _above(path):
        stamp = found.get(above)
        if stamp is not None and stamp.kind == "directory" and stamp.content:
            return True
    return False


def _above(path: bytes) -> Iterable[bytes]:
    while path := path.rpartition(b"/")[0]:
        yield path


def _above_text(pattern: str) -> Iterable[str]:
    while pattern := pattern.rpartition("/")[0]:
        yield pattern


def changes(
    before: Snapshot,
    after: Snapshot,
    allowed: Sequence[str] = (),
    *,
    replaceable: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return what changed, one line each, except what is *allowed* to appear.

    *allowed* are paths below the home; ``*`` stands for one name, ``**`` for any path. Only
    additions are excused: what the scenario put there may never change, except for the files in
    *replaceable*. They may become other files, or symlinks to some. The directories that they lie
    in may appear without them, too.
    """
    if before == after:
        return ()
    excused = _excused(before, after, (*allowed, *replaceable))
    if replaceable:
        around = {place for text in replaceable for place in _above_text(text)}
        made = _excused(before, after, around) & after.keys()
        excused |= {path for path in made if after[path].kind == "directory"}
        before = _replaced(before, after, replaceable)
    removed = before.keys() - after.keys()
    added = after.keys() - before.keys() - excused
    lines = [f"removed {_name(path)} ({before[path].describe()})" for path in removed]
    lines += [f"added {_name(path)} ({after[path].describe()})" for path in added]
    for path in before.keys() & after.keys():
        if before[path] != after[path]:
            lines.append(_changed(path, before[path], after[path]))
    return tuple(sorted(lines))


def _replaced(before: Snapshot, after: Snapshot, replaceable: Iterable[str]) -> Snapshot:
    """Return *before* with the files in *replaceable*, or links there, as they are in *after*."""
    named = _Named(before, replaceable)
    result = dict(before)
    for path, now in after.items():
        was = before.get(path)
        if was is None or was == now:
            continue
        if {was.kind, now.kind} <= {"file", "symlink"} and named(path):
            result[path] = now
    return result


def _excused(before: Snapshot, after: Snapshot, allowed: Iterable[str]) -> set[bytes]:
    """Return the new paths in *after* that may appear, and the directories made for them."""
    named = _Named(before, allowed)
    excused: set[bytes] = set()
    for path in after.keys() - before.keys():
        if named(path):
            excused.add(path)
            excused.update(_above(path))
    return excused


class _Named:
    """Says whether patterns name a path, by any name that links of a home give it."""

    def __init__(self, home: Snapshot, texts: Iterable[str]) -> None:
        self._patterns = [_pattern(text) for text in texts]
        self._links = _links(home) if self._patterns else {}

    def __call__(self, path: bytes) -> bool:
        names = (path, *_aliases(path, self._links))
        return any(pattern.fullmatch(name) for name in names for pattern in self._patterns)


def _links(found: Snapshot) -> dict[bytes, bytes]:
    """Return the symlinks in *found* that lead to a place in the same home, each with the place."""
    links = {}
    for path, stamp in found.items():
        if stamp.kind != "symlink":
            continue
        # An absolute target counts as outside: where the home is, is not known here.
        target = os.path.join(os.path.dirname(path), os.fsencode(stamp.content))
        target = os.path.normpath(target)
        if target != b"." and not target.startswith((b"..", b"/")):
            links[path] = target
    return links


def _aliases(path: bytes, links: Mapping[bytes, bytes]) -> Iterable[bytes]:
    """Yield the names that *path* has through *links*: a writer does not know where a link ends."""
    for link, target in links.items():
        if path.startswith(target + b"/"):
            yield link + path[len(target) :]


def _pattern(text: str) -> re.Pattern[bytes]:
    wildcards = {"/**": "(/.*)?", "**": ".*", "*": "[^/]*"}
    parts = re.split(r"(/\*\*|\*\*|\*)", text)
    expression = "".join(wildcards.get(part, re.escape(part)) for part in parts)
    return re.compile(os.fsencode(expression), re.DOTALL)


def _name(path: bytes) -> str:
    return _text(path) or "the HOME itself"


def _text(path: bytes) -> str:
    """Return *path* as text that every report, and every message between processes, can carry."""
    return path.decode("utf-8", "backslashreplace")


def _changed(path: bytes, before: Stamp, after: Stamp) -> str:
    if before.describe() == after.describe():
        return f"changed {_name(path)}: other content, {after.describe()}"
    return f"changed {_name(path)}: {before.describe()} became {after.describe()}"
