"""What of a HOME rules can see: only that is read, and none of it is passed over."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

__all__ = ["AGENT_DIRECTORIES", "BASELINE", "READ_BYTES", "Wanted"]

#: Where the agents keep what is theirs, unless a variable names another place.
AGENT_DIRECTORIES = (b".claude", b".codex")
#: Names that the image itself puts at the top of ``.claude``, which are no sign of a login.
BASELINE = frozenset({b"CLAUDE.md", b"config.toml", b"settings.json"})

#: What the agents look for in such a directory: their logins, and settings that say which login
#: counts. Contracts read these files and no other; of the rest a HOME holds only names, kinds,
#: permissions and sizes can decide.
_READ_BY_RULES = (
    b".credentials.json",
    b".claude.json",
    b"settings.json",
    b"auth.json",
    b"config.toml",
)
#: Names that are taken for a login by probes that were written without a contract. Their answers
#: depend on what these hold, so a copy of a HOME in which a probe was wrong needs it, too.
_TAKEN_FOR_LOGINS = (
    b".credentials.json.bak",
    b"credentials.json",
    b"session.json",
    b"settings.local.json",
)
#: Directories in which such probes look for them.
_LOGIN_DIRECTORIES = (b"", b".credentials/")

#: The most bytes that are read of a file that rules look at, and of one that is only taken for a
#: login. Logins have a few kilobytes; JSON with more is still JSON.
READ_BYTES, _TAKEN_BYTES = 32 * 1024 * 1024, 1024 * 1024


class Wanted(Struct, frozen=True):
    """Places in a HOME that rules look at, by their paths below it.

    A link that leads there is a place, too: so all of the way is kept.
    """

    directories: frozenset[bytes] = frozenset(AGENT_DIRECTORIES)
    """Directories of agents: rules look for the files there, and walk through all below them."""
    files: frozenset[bytes] = frozenset({b".claude.json"})
    """Further files that are read."""
    taken: frozenset[bytes] = frozenset()
    """Further files that probes without a contract may take for a login: links lead there."""

    def is_read_by_rules(self, path: bytes) -> bool:
        """Return whether a rule of any contract can depend on what the file at *path* holds."""
        directory, _, name = path.rpartition(b"/")
        return path in self.files or (directory in self.directories and name in _READ_BY_RULES)

    def bytes_read(self, path: bytes) -> int:
        """Return up to how many bytes are read of a file at *path*; 0 for one that is not read."""
        if self.is_read_by_rules(path):
            return READ_BYTES
        if path in self.taken:
            return _TAKEN_BYTES
        # Most names are none of these, and a HOME may have a great many.
        name = path.rpartition(b"/")[2]
        is_one = name in _TAKEN_FOR_LOGINS and path in self.taken_for_logins()
        return _TAKEN_BYTES if is_one else 0

    def taken_for_logins(self) -> frozenset[bytes]:
        """Return the paths that probes without a contract look at as well, there or not."""
        inside = [_join(top, below) for top in self.directories for below in _LOGIN_DIRECTORIES]
        return frozenset(place + name for place in inside for name in _TAKEN_FOR_LOGINS)

    def walked(self) -> tuple[bytes, ...]:
        """Return what paths begin with that rules may walk over: they are in such a directory."""
        return tuple(_join(top, b"") for top in self.directories)

    def names(self) -> frozenset[bytes]:
        """Return all paths that rules look at by name, and the directories above them."""
        named = {*self.read_by_rules(), *self.directories}
        return frozenset(above for path in named for above in _with_parents(path))

    def read_by_rules(self) -> frozenset[bytes]:
        """Return the paths of all files that are read by rules, whether they are there or not."""
        below = {_join(top, name) for top in self.directories for name in _READ_BY_RULES}
        return frozenset(below | self.files)


def _join(directory: bytes, name: bytes) -> bytes:
    """Return the path of *name* in *directory*; with an empty one, what paths in it begin with."""
    return directory + b"/" + name if directory else name


def _with_parents(path: bytes) -> Iterable[bytes]:
    while path:
        yield path
        path = path.rpartition(b"/")[0]
