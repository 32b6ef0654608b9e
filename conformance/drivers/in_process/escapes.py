"""Operations that leave the fake file system: noticed, kept, and refused.

Python raises an audit event for most operations on real files, and none for those on fake ones.
What has no event is wrapped. Nothing is noticed while :class:`Escapes` is not armed, nor in threads
that were there before.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any, NoReturn

import pyfakefs

__all__ = ["Escape", "Escapes", "said_of"]

#: Events of operations on real files, with the number of the arguments that name one.
_ON_FILES = {
    "open": 1,
    "os.chdir": 1,
    "os.chflags": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "os.getxattr": 1,
    "os.link": 2,
    "os.listdir": 1,
    "os.listxattr": 1,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.removexattr": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.scandir": 1,
    "os.setxattr": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
    "sqlite3.connect": 1,
}
#: Events of what starts or reaches something else, each with a few words for it.
_ON_OTHERS = {
    "os.exec": "replaces the process by",
    "os.fork": "forks",
    "os.forkpty": "forks",
    "os.posix_spawn": "starts",
    "os.spawn": "starts",
    "os.startfile": "starts",
    "os.system": "starts",
    "pty.spawn": "starts",
    "socket.bind": "binds a socket to",
    "socket.connect": "connects a socket to",
    "socket.getaddrinfo": "looks up",
    "socket.gethostbyaddr": "looks up",
    "socket.gethostbyname": "looks up",
    "socket.sendmsg": "sends to",
    "socket.sendto": "sends to",
    "subprocess.Popen": "starts",
}
#: Functions of ``os`` that pyfakefs hands on to the real one, and that raise no event.
_UNHEARD_ON_PATHS = ("chroot", "lchown", "mkfifo", "pathconf", "statvfs")
#: The same for those that take a descriptor: a fake one has the number of some real one.
_UNHEARD_ON_DESCRIPTORS = (
    *("copy_file_range", "fchown", "fpathconf", "fstatvfs", "posix_fadvise", "posix_fallocate"),
    *("pread", "preadv", "pwrite", "pwritev", "readv", "splice", "writev", "ttyname"),
)
#: What an import reads, besides data of installed packages.
_OF_MODULES = (".py", ".pyc", ".pyi", ".so", ".pth", ".zip")
#: Reads that say nothing of a home.
_ALWAYS = ("/usr/share/zoneinfo/", "/dev/null", "/dev/urandom", "/dev/random", "/dev/zero")

_PYFAKEFS = os.path.dirname(pyfakefs.__file__)


class Escape(BaseException):
    """A gate left the fake file system; the operation was refused.

    It is no :class:`Exception`, so that a gate does not take it for an answer of its machine.
    """


def said_of(what: str) -> str:
    """Return the line that says of an escape *what* the gate did."""
    return f"the gate {what}: that is no part of the fake home, and was refused"


class Escapes:
    """Notices what leaves the fake file system while it is armed."""

    def __init__(self) -> None:
        self.found: list[str] = []
        """What left it, each once, in its order: ``opens /etc/passwd``."""
        self._armed = False
        self._foreign: frozenset[int] = frozenset()
        self._installed = _installed_directories()
        _heard_by(self)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Notice and refuse escapes, of this thread and of those that it starts."""
        before = self._armed, self._foreign
        threads = threading.enumerate()
        self._foreign = frozenset(t.ident for t in threads if t.ident) - {threading.get_ident()}
        self._armed = True
        try:
            yield
        finally:
            self._armed, self._foreign = before

    @property
    def is_armed(self) -> bool:
        """Whether this thread is one whose escapes are noticed now."""
        return self._armed and threading.get_ident() not in self._foreign

    def refuse(self, what: str) -> NoReturn:
        """Keep *what* the gate did, as in ``starts 'node'``, and refuse it.

        :raises Escape: always.
        """
        what = what.encode("utf-8", "backslashreplace").decode()[:300]
        if what not in self.found:
            self.found.append(what)
        raise Escape(said_of(what))

    def wrappers(self) -> dict[str, Callable[..., Any]]:
        """Return what stands for functions of ``os`` that no event tells of, by their names."""
        made: dict[str, Callable[..., Any]] = {}
        for name in _UNHEARD_ON_PATHS:
            if hasattr(os, name):
                made[name] = self._refusing(name, getattr(os, name), lowest=0)
        for name in _UNHEARD_ON_DESCRIPTORS:
            if hasattr(os, name):
                made[name] = self._refusing(name, getattr(os, name), lowest=3)
        return made

    def _refusing(self, name: str, real: Callable[..., Any], *, lowest: int) -> Callable[..., Any]:
        def wrapper(first: Any, *arguments: Any, **keywords: Any) -> Any:
            # The three standard streams are the same inside and outside.
            if self.is_armed and not (isinstance(first, int) and first < lowest):
                self.refuse(f"calls os.{name}({first!r})")
            return real(first, *arguments, **keywords)

        wrapper.__name__ = name
        return wrapper

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at an audit event.

        :raises Escape: it tells of an operation that leaves the fake file system.
        """
        if not self.is_armed:
            return
        if event in _ON_OTHERS:
            self.refuse(f"{_ON_OTHERS[event]} {_named(arguments)}".rstrip())
        elif event == "mmap.__new__" and arguments[0] > 2:
            self.refuse(f"maps the descriptor {arguments[0]}")
        elif event in _ON_FILES:
            for path in arguments[: _ON_FILES[event]]:
                if not self._is_allowed(event, path, arguments):
                    self.refuse(f"{_VERBS.get(event, f'calls {event} on')} {_text(path)}")

    def _is_allowed(self, event: str, path: Any, arguments: tuple[Any, ...]) -> bool:
        """Return whether Python, and not the gate, works on *path*."""
        if path is None or isinstance(path, int):  # the standard streams, and descriptors of ours
            return event == "open" or _asked_by_import()
        text = os.path.abspath(_text(path))
        if text.startswith(_ALWAYS):
            return True
        reads = event in ("os.listdir", "os.scandir") or (
            event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if _asked_by_import() or _asked_by_pyfakefs():
            return True
        if not reads:
            return False
        return text.startswith(self._installed) or text.endswith(_OF_MODULES)


_VERBS = {"open": "opens", "os.listdir": "lists", "os.scandir": "lists", "os.chdir": "enters"}


@cache
def _installed_directories() -> tuple[str, ...]:
    """Return the beginnings of the paths of Python's own files, and those of installed packages."""
    paths = {os.path.realpath(path) for path in sysconfig.get_paths().values()}
    paths |= {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    return tuple(f"{path}/" for path in {*paths, *sysconfig.get_paths().values()} if path != "/")


def _text(path: Any) -> str:
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else repr(path)


def _named(arguments: tuple[Any, ...]) -> str:
    """Return the first of *arguments* that says what was reached."""
    for argument in arguments:
        if isinstance(argument, str | bytes | os.PathLike | tuple) and argument:
            return repr(argument)
    return ""


def _callers(depth: int) -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and depth:
        yield frame
        frame = frame.f_back
        depth -= 1


def _asked_by_import() -> bool:
    return any(
        frame.f_code.co_filename.startswith("<frozen importlib") for frame in _callers(12)
    ) or any(frame.f_code.co_filename.endswith("/linecache.py") for frame in _callers(8))


def _asked_by_pyfakefs() -> bool:
    """Return whether a test has asked pyfakefs to show real files, which it reads when needed."""
    file = f"{_PYFAKEFS}/fake_file.py"
    return any(frame.f_code.co_filename == file for frame in _callers(8))


#: Those that hear of events. A hook cannot be taken away again, so there is one for all.
_hearing: list[Escapes] = []


def _heard_by(escapes: Escapes) -> None:
    _hearing[:] = [escapes]
    _add_hook()


@cache
def _add_hook() -> None:
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for escapes in _hearing:
        if escapes._armed:
            escapes.hear(event, arguments)
