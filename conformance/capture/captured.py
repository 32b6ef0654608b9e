"""A home that was found as the entries of a scenario, without anything that says whose it is."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from conformance.capture.contents import disguised
from conformance.capture.disguise import Disguise, account_in
from conformance.capture.grouping import Group, groups
from conformance.capture.known import Known, known
from conformance.capture.links import OUTSIDE, target
from conformance.capture.names import Names
from conformance.capture.scan import Withheld
from conformance.capture.scope import children_of, in_scope
from conformance.capture.times import moment
from conformance.capture.variables import Variables
from conformance.catalogue.entry_schema import MAX_PATH
from conformance.home.links import steps
from conformance.home.plan import DIRECTORY_MODE, FILE_MODE
from conformance.home.seen import SeenHome, SeenNode
from conformance.model.contract import Contract, Role
from conformance.model.entry import Entry, EntryKind

__all__ = ["Captured", "captured"]

#: Somebody other than who runs the probe; further ones follow.
_SOMEBODY = 10_000
#: A file that nobody reads is captured with its size, up to so many bytes.
_LARGEST = 1024 * 1024
#: More blanks than these at the end of a file are padding.
_PADDING = 64
#: An age is kept from so many seconds on; a newer file is as new as one that has just been built.
_YOUNG = 120
_GROUP_BITS, _OTHER_BITS = 0o070, 0o007
_READ, _SEARCH = 0o4, 0o1
#: Directories that probes look for in a HOME, whether they are there or not.
_LOOKED_FOR = (".claude", ".codex")


class Captured(Struct, frozen=True, kw_only=True):
    """What of a home is put into a scenario."""

    entries: tuple[Entry, ...]
    env: Mapping[str, str]
    inputs: Mapping[Role, str]
    files: Mapping[str, Mapping[str, int]]
    """Path of a file whose content was looked at to what became of it: words, with numbers."""
    counts: Mapping[str, int]
    """What else became of what was found: words, with numbers."""
    notes: tuple[str, ...]
    """Where the copy may answer otherwise than the home, and why."""
    withheld: Withheld
    """What must not get out."""


def captured(
    seen: SeenHome,
    *,
    home_path: str = "",
    contract: Contract | None = None,
    env: Mapping[str, str] | None = None,
    uid: int | None = None,
    gids: Collection[int] | None = None,
) -> Captured:
    """Return what of a home that was *seen* is put into a scenario.

    *home_path* is its path as links in it and variables name it, or empty. *env* are variables that
    the probe has; those that carry inputs of the *contract* become these. *uid* and *gids* run the
    probe: by default the owner and the group of the home.
    """
    return _Capture(seen, home_path, uid, gids).all(env or {}, contract)


class _Capture:
    """Goes through one home."""

    def __init__(
        self, seen: SeenHome, home_path: str, uid: int | None, gids: Collection[int] | None
    ) -> None:
        self._seen = seen
        self._known: Known = known()
        self._home = os.fsencode(home_path)
        self._names = Names(self._known)
        contents = [node.content for node in seen.nodes.values() if node.content is not None]
        account = next(filter(None, map(account_in, contents)), "")
        self._disguise = Disguise(self._known, seen.read_at, account=account)
        top = seen.nodes[b""]
        self._uid = top.uid if uid is None else uid
        self._gids = (top.gid,) if gids is None else gids
        self._toml = _toml_files(seen, self._home)
        self._others: dict[int, int] = {}
        self._files: dict[str, Mapping[str, int]] = {}
        self._counts: Counter[str] = Counter()
        self._notes: dict[str, None] = {}
        self._withheld = Withheld(self._known)

    def all(self, env: Mapping[str, str], contract: Contract | None) -> Captured:
        variables = Variables(self._known, self._names, self._disguise, os.fsdecode(self._home))
        variables.take(env, contract, self._withheld)
        scope = in_scope(self._seen, self._known, self._home, variables.named)
        entries = tuple(self._entries(scope))
        allowed = self._allowed(self._seen.nodes[b""])
        if not allowed & _SEARCH:
            entries = tuple(self._closed(scope, variables.named))
        elif not allowed & _READ:
            self._notes["the HOME itself cannot be listed by who runs the probe"] = None
        self._note_left_out(scope)
        self._counts.update(variables.counts)
        self._notes.update(dict.fromkeys(variables.notes))
        return Captured(
            entries=entries,
            env=variables.env,
            inputs=variables.inputs,
            files=self._files,
            counts=self._counts,
            notes=tuple(self._notes),
            withheld=self._withheld,
        )

    def _entries(self, scope: frozenset[bytes]) -> Iterator[Entry]:
        nodes = {path: node for path, node in self._seen.nodes.items() if path in scope}
        found = groups(nodes, self._seen.closed, self._names.is_known)
        self._counts["entries like others, left out"] += found.left_out
        children = children_of(path for path in nodes if path not in found.dropped)
        for path, node in nodes.items():
            if path in found.dropped:
                continue
            self._withhold(path, node)
            if path in found.members:
                continue
            if (entry := self._entry(path, node, has_children=path in children)) is not None:
                yield entry
        for number, group in enumerate(found.many, 1):
            yield self._many(group, number)

    def _allowed(self, node: SeenNode) -> int:
        """Return what the mode of *node* allows who runs the probe: the bits of a class."""
        if node.uid == self._uid:
            return node.mode >> 6 & 0o7
        return (node.mode >> 3 if node.gid in self._gids else node.mode) & 0o7

    def _closed(self, scope: Iterable[bytes], named: Iterable[bytes]) -> Iterator[Entry]:
        """Yield what stands for a HOME that the probe cannot search.

        It can tell nothing of what is in there, so all that it may look for is a closed directory.
        """
        self._notes["the HOME itself is closed to who runs the probe; so is all in the copy"] = None
        self._files.clear()
        tops = {self._names.part(path.split(b"/")[0]) for path in (*scope, *named) if path}
        for top in sorted({*tops, *_LOOKED_FOR}):
            yield Entry(path=top, kind="directory", mode=0)

    def _withhold(self, path: bytes, node: SeenNode) -> None:
        name = path.rpartition(b"/")[2]
        if not self._names.is_known(name):
            self._withheld.add("a name", name)
        if node.target:
            self._withheld.add("the target of a link", node.target)
        if node.content:
            self._withheld.add(self._names.path(path), node.content)

    def _entry(self, path: bytes, node: SeenNode, *, has_children: bool) -> Entry | None:
        made = self._names.path(path)
        if len(made.encode("utf-8", "surrogateescape")) > MAX_PATH:
            self._counts["entries left out: their paths are too long"] += 1
            return None
        mode, owner = self._permissions(node)
        if node.kind == "directory":
            plain = mode is None and owner is None
            return (
                None
                if has_children and plain
                else Entry(path=made, kind="directory", mode=mode, owner=owner)
            )
        if node.kind == "symlink":
            return Entry(path=made, kind="symlink", target=self._target(path, node), owner=owner)
        if node.kind == "file":
            return self._file(path, made, node, mode, owner)
        kind: EntryKind = "socket"
        if node.kind == "fifo":
            kind = "fifo"
        elif node.kind == "device":
            self._notes[f"{made} is a device: a socket is in its place, no file either"] = None
        return Entry(path=made, kind=kind, mode=node.mode, owner=owner)

    def _file(
        self, path: bytes, made: str, node: SeenNode, mode: int | None, owner: int | None
    ) -> Entry:
        is_named = self._names.is_known(path.rpartition(b"/")[2])
        mtime = self._age(node) if is_named else ""
        if node.content is None:
            if path in self._seen.closed:
                self._notes[f"{made} could not be read: a file of its size is in its place"] = None
            self._counts["files of which only the size is kept"] += 1
            size = min(node.size, _LARGEST)
            if size < node.size:
                self._counts["of these cut to 1 MiB"] += 1
            return Entry(path=made, kind="file", size=size, mode=mode, owner=owner, mtime=mtime)
        data = node.content
        kept = data.rstrip(b" ")
        padded = len(data) - len(kept) >= _PADDING
        self._disguise.counts.clear()
        content = disguised(kept if padded else data, self._disguise, toml=path in self._toml)
        self._files[made] = dict(self._disguise.counts)
        whole = len(data) if padded or content is None else None
        return Entry(
            path=made, kind="file", content=content, size=whole, mode=mode, owner=owner, mtime=mtime
        )

    def _many(self, group: Group, number: int) -> Entry:
        """Return one entry that stands for all of a *group*."""
        first = group.nodes[0]
        mode, owner = self._permissions(first)
        above = self._names.path(first.path.rpartition(b"/")[0])
        name = self._names.part(first.path.rpartition(b"/")[2])
        start = name[0] if name[:1] in ".-" else ""
        made = posixpath.join(above, f"{start}many-{number}-{{n}}{posixpath.splitext(name)[1]}")
        count = len(group.nodes)
        self._counts["files that lie together, written as one entry with a count"] += count
        if first.kind == "symlink":
            leads = self._target(first.path, first)
            return Entry(path=made, kind="symlink", target=leads, owner=owner, count=count)
        if first.kind != "file":
            kind: EntryKind = "fifo" if first.kind == "fifo" else "socket"
            return Entry(path=made, kind=kind, mode=first.mode, owner=owner, count=count)
        mean = sum(node.size for node in group.nodes) // count
        mean = max(mean, 1) if first.size else 0
        size = min(mean, _LARGEST, max(1, 16 * _LARGEST // count))
        return Entry(path=made, kind="file", size=size, mode=mode, owner=owner, count=count)

    def _target(self, path: bytes, node: SeenNode) -> str:
        made, inside = target(path, node.target, self._home, self._names)
        if not inside:
            place = self._names.path(path)
            self._notes[
                f"{place} leads out of the home: what is there was not looked at; "
                f"in the copy it leads to '{OUTSIDE}', where nothing is"
            ] = None
        return made

    def _permissions(self, node: SeenNode) -> tuple[int | None, int | None]:
        """Return the mode and the owner of an entry; None for what entries have anyway."""
        mode = node.mode
        owner: int | None = None
        if node.uid != self._uid:
            owner = self._others.setdefault(node.uid, _SOMEBODY + len(self._others))
            if node.gid not in self._gids:
                # In a copy the group is that of who runs the probe, who is not in this one.
                mode = mode & ~_GROUP_BITS | (mode & _OTHER_BITS) << 3
        usual = DIRECTORY_MODE if node.kind == "directory" else FILE_MODE
        return (None if mode == usual else mode), owner

    def _age(self, node: SeenNode) -> str:
        if node.mtime is None:
            return ""
        age = node.mtime - self._seen.read_at
        if abs(age) < _YOUNG:
            return ""
        return "{" + moment(max(-3_000 * 86_400, min(age, 3_000 * 86_400))) + "}"

    def _note_left_out(self, scope: frozenset[bytes]) -> None:
        outside = len(self._seen.nodes) - 1 - len(scope)
        passed = sum(self._seen.passed_over.values())
        self._counts["entries that nothing looks at, left out"] += outside + passed
        for path in sorted(self._seen.closed & scope):
            if self._seen.nodes[path].kind == "directory":
                made = self._names.path(path)
                self._notes[f"{made} could not be searched: in the copy it is empty"] = None
        self._counts["names that were replaced"] += self._names.made


def _toml_files(seen: SeenHome, home: bytes) -> set[bytes]:
    """Return the paths of files that are read as TOML: by a name that says so, theirs or a link's.

    What a name of JSON leads to as well is read as that.
    """
    ends: dict[bytes, set[bytes]] = {b".toml": set(), b".json": set()}
    for path in seen.nodes:
        for ending, found in ends.items():
            if path.endswith(ending):
                found.update([*steps(seen.nodes, path, home)][-1:])
    return ends[b".toml"] - ends[b".json"]
