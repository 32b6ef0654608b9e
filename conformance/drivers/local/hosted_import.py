"""Find out whether a module may be imported once for all scenarios, by importing it in a child.

What a module reads while it is imported must not differ between scenarios, and what it does must
not show: otherwise it has to be imported anew in each, as by a new interpreter. So the child keeps
an eye on variables, files, the clock, chance, output, threads, processes, and what belongs to the
process as a whole. Where it cannot tell, it says that the import is to be done anew: that is always
right, and only slower.
"""

from __future__ import annotations

import _thread
import gc
import marshal
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from conformance.drivers.local import isolation, supervisor
else:
    import isolation
    import supervisor

#: Seconds after which the import is given up.
PATIENCE = 60.0
#: What lies here is the same in all scenarios.
SAME = ("/usr", "/etc", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/sys", "/dev/null")
#: Modules that an interpreter has imported before it looks at its program.
FROM_THE_START = frozenset(
    ("abc", "codecs", "encodings", "genericpath", "io", "os", "posixpath", "site", "zipimport")
)

#: What an audit event means, by its name. More of them are looked at more closely.
EVENTS = {
    "changes files": (
        "os.chmod os.chown os.link os.mkdir os.remove os.rename os.rmdir os.setxattr os.symlink "
        "os.truncate os.utime os.removexattr os.lockf"
    ),
    "starts a process": (
        "os.exec os.fork os.forkpty os.posix_spawn os.spawn os.system pty.spawn subprocess.Popen"
    ),
    "starts a thread": "_thread.start_new_thread",
    "uses the network": (
        "socket.bind socket.connect socket.getaddrinfo socket.gethostbyaddr socket.gethostbyname "
        "socket.getservbyname socket.sendmsg socket.sendto"
    ),
    "changes the directory": "os.chdir os.fchdir os.chroot",
    "changes the environment": "os.putenv os.unsetenv",
    "sends a signal": "os.kill os.killpg signal.pthread_kill",
    "traces itself": "sys.addaudithook sys.setprofile sys.settrace",
}
MEANING = {event: words for words, events in EVENTS.items() for event in events.split()}
LISTINGS = {"os.listdir", "os.scandir", "os.walk", "os.fwalk", "glob.glob", "pathlib.Path.glob"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

CLOCKS = {
    *(time.time, time.monotonic, time.perf_counter, time.process_time, time.clock_gettime),
    *(time.time_ns, time.monotonic_ns, time.perf_counter_ns, time.process_time_ns),
    *(time.clock_gettime_ns, time.localtime, time.gmtime, time.ctime, time.strftime),
}
CHANCE = {os.urandom, os.getrandom}
OWN = {os.getpid, os.getppid, os.getpgrp, os.getpgid, os.getsid, os.times}
#: What installed libraries may do while they are imported: they number things, and time themselves.
OF_LIBRARIES = ("reads the clock", "draws random numbers")
#: Only newer releases have an audit event for these.
THREADS = {
    getattr(_thread, name)
    for name in ("start_new_thread", "start_joinable_thread")
    if hasattr(_thread, name)
}
FILES = ("stat", "lstat", "access", "readlink", "statvfs", "getxattr", "listxattr")
#: What the processes that run probes use themselves.
NEEDED = (gc, marshal, os, resource, select, signal, socket, time, threading)


class Watch:
    """Notes what an import does."""

    def __init__(self, module: str, directory: str, own: str) -> None:
        self.package = module.partition(".")[0]
        self.directory = directory
        self.own = own
        self.on = False
        self.anew = ""
        self.reads: dict[str, str | None] = {}
        """The variables that it has read, with what it found; None for nothing."""
        self.cwd = False
        """Whether it has asked for the current directory."""
        roots = {*SAME, directory, sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path}
        self.roots = [os.path.realpath(root) for root in roots if os.path.isabs(root)]
        self.roots += [root for root in roots if os.path.isabs(root)]
        self.library = os.path.dirname(os.__file__)

    def note(self, what: str) -> None:
        """Note why the import has to be done anew; the first reason is kept."""
        if self.on and not self.anew:
            self.anew = what

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at an audit event."""
        if not self.on:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int):
                return
            if flags is not None and flags & WRITES and os.fsdecode(path) != "/dev/null":
                self.note(f"opens {os.fsdecode(path)} for writing")
            self.path(path, "opens")
        elif event in LISTINGS:
            self.path(arguments[0], "lists")
        elif event == "ctypes.dlopen":
            if self.by_the_module(sys._getframe(1)):
                self.note("calls C functions through ctypes")
        elif event in MEANING and not (event == "socket.bind" and only_tries(arguments[1])):
            self.note(MEANING[event])

    def path(self, path: Any, does: str) -> None:
        """Look at a *path* that is used."""
        if isinstance(path, int) or path is None:
            self.cwd |= path is None
            return
        text = os.fsdecode(path)
        if not os.path.isabs(text):
            self.cwd = True
        text = os.path.normpath(os.path.join(self.directory, text))
        if not self.same(text, itself=does == "looks at"):
            self.note(f"{does} {text}")

    def same(self, path: str, *, itself: bool) -> bool:
        """Return whether *path* is the same in all scenarios; if only *itself* counts, its kind."""
        if below(path, self.own):
            return False
        if any(below(path, root) for root in self.roots):
            return True
        return itself and any(below(root, path) for root in self.roots)

    def profile(self, frame: Any, event: str, function: Any) -> None:
        """Look at a call of a function that is written in C."""
        if event != "c_call" or not self.on:
            return
        what = asks_for(function)
        if what and self.by_the_module(frame, libraries=what not in OF_LIBRARIES):
            self.note(what)

    def by_the_module(self, frame: Any, *, libraries: bool = True) -> bool:
        """Return whether the caller is the module, and not something that it only imports.

        What the standard library does while it is imported is the same each time. Unless
        *libraries* count, that is taken for granted of other installed packages as well.
        """
        while frame is not None:
            file = frame.f_code.co_filename
            if "importlib._bootstrap" in file:
                return False
            within = file[len(self.library) :] if below(file, self.library) else ""
            inside = file.startswith("<") or (within and "-packages/" not in within)
            if not inside and file != __file__:
                package = file.rpartition("-packages/")[2].split("/")[0].removesuffix(".py")
                return libraries or "-packages/" not in file or package == self.package
            frame = frame.f_back
        return False

    def variables(self) -> None:
        """Note what is read of the environment from now on."""
        watch = self

        class Recording(type(os.environ)):  # type: ignore[misc] # a class of its own in each process
            def __getitem__(self, key: Any) -> Any:
                try:
                    value = super().__getitem__(key)
                except KeyError:
                    watch.read(key, None)
                    raise
                watch.read(key, value)
                return value

            def __setitem__(self, key: Any, value: Any) -> None:
                watch.note("changes the environment")
                super().__setitem__(key, value)

            def __delitem__(self, key: Any) -> None:
                watch.note("changes the environment")
                super().__delitem__(key)

            def __iter__(self) -> Any:
                watch.note("reads the whole environment")
                return super().__iter__()

            def __len__(self) -> Any:
                watch.note("reads the whole environment")
                return super().__len__()

            def __repr__(self) -> Any:
                watch.note("reads the whole environment")
                return super().__repr__()

        for environ in (os.environ, os.environb):
            environ.__class__ = Recording

    def read(self, key: Any, value: Any) -> None:
        """Note that a variable was read."""
        if self.on and isinstance(key, str | bytes):
            self.reads[os.fsdecode(key)] = None if value is None else os.fsdecode(value)

    def files(self) -> None:
        """Look at what is asked about files from now on, as far as no audit event tells it."""
        for name in FILES:
            setattr(os, name, Looked(getattr(os, name), self))
        for name in ("getcwd", "getcwdb"):
            setattr(os, name, Asked(getattr(os, name), self))


class Looked:
    """Stands for a function of the module os that looks at a path; it is no method in a class."""

    def __init__(self, function: Callable[..., Any], watch: Watch) -> None:
        self.function = function
        self.watch = watch

    def __call__(self, path: Any = ".", *more: Any, **named: Any) -> Any:
        """Note the path, and call the function."""
        if self.watch.on:
            self.watch.path(path, "looks at")
        return self.function(path, *more, **named)

    def __hash__(self) -> int:
        return hash(self.function)

    def __eq__(self, other: object) -> bool:
        return other is self or other == self.function


class Asked:
    """Stands for a function that returns the current directory."""

    def __init__(self, function: Callable[[], Any], watch: Watch) -> None:
        self.function = function
        self.watch = watch

    def __call__(self) -> Any:
        """Note the call, and call the function."""
        self.watch.cwd = True
        return self.function()


def below(path: str, top: str) -> bool:
    """Return whether *path* is *top* or lies below it."""
    return path == top or path.startswith(f"{top.rstrip('/')}/")


def only_tries(address: Any) -> bool:
    """Return whether a socket is bound to see which Internet Protocol there is, as libraries do.

    That is on the loopback, at any port that is free; it reaches nobody.
    """
    return isinstance(address, tuple) and address[:2] in (("::1", 0), ("127.0.0.1", 0))


def asks_for(function: Any) -> str:
    """Return what a *function* that is written in C asks for; empty if it may be called once."""
    try:
        if function in CLOCKS:
            return "reads the clock"
        if function in CHANCE:
            return "draws random numbers"
        if function in OWN:
            return "asks for the number of its process"
        if function in THREADS:
            return "starts a thread"
    except TypeError:  # it cannot be hashed, so it is none of these
        return ""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    kind = owner if isinstance(owner, type) else type(owner)
    if name in ("now", "utcnow", "today") and getattr(kind, "__module__", "") == "datetime":
        return "reads the clock"
    if any(base.__module__ == "_random" for base in kind.__mro__):
        return "draws random numbers"
    return ""


def state() -> dict[str, Any]:
    """Return what belongs to the whole process, and to what runs probes in it."""
    umask = os.umask(0o077)
    os.umask(umask)
    limits = {
        name: resource.getrlimit(getattr(resource, name))
        for name in dir(resource)
        if name.startswith("RLIMIT_")
    }
    signals = {
        number: signal.getsignal(number)
        for number in signal.valid_signals()
        if number not in (signal.SIGKILL, signal.SIGSTOP)
    }
    return {
        "changes the umask": umask,
        "changes limits": limits,
        "handles signals": signals,
        "blocks signals": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "keeps files open": sorted(os.listdir("/proc/self/fd")),
        "starts a thread": threading.active_count(),
        "switches the garbage collection off": gc.isenabled(),
        "changes how long sockets wait": socket.getdefaulttimeout(),
        "changes its priority": os.getpriority(os.PRIO_PROCESS, 0),
        "replaces its streams": (id(sys.stdin), id(sys.stdout), id(sys.stderr)),
    }


def functions() -> dict[str, int]:
    """Return the identities of all that is in the modules that run probes."""
    return {
        f"{module.__name__}.{name}": id(value)
        for module in (*NEEDED, sys.modules["builtins"])
        for name, value in vars(module).items()
        if not name.startswith("_") or name == "__import__"
    }


def tried(wanted: supervisor.Fields) -> supervisor.Fields:
    """Import the module that is *wanted* in a child; return why it has to be imported anew.

    That is ``anew``, which is empty if once is enough. Then ``reads`` holds the variables that were
    read, with what was found, and ``cwd`` says whether the current directory was asked for.
    """
    from_child, to_us = os.pipe()
    isolation.libc.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(from_child)
            report = child(wanted)
            os.write(to_us, marshal.dumps(report))
        finally:
            os._exit(0)
    os.close(to_us)
    data = b""
    deadline = time.monotonic() + PATIENCE
    while (rest := deadline - time.monotonic()) > 0:
        if not select.select([from_child], [], [], rest)[0]:
            break
        chunk = os.read(from_child, 65536)
        if not chunk:
            break
        data += chunk
    supervisor.kill_all()
    os.close(from_child)
    isolation.libc.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    if not data:
        why = "ends the process" if rest > 0 else f"takes more than {PATIENCE:g} seconds"
        return {"anew": why, "reads": {}, "cwd": False}
    return marshal.loads(data)  # type: ignore[no-any-return]


def child(wanted: supervisor.Fields) -> supervisor.Fields:
    """Import the module in this process, which ends after that; return the report."""
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    said = os.memfd_create("said")
    os.dup2(said, 1)
    os.dup2(said, 2)
    if wanted["view"]:
        isolation.enter(wanted["view"])
    watch = Watch(wanted["module"], wanted["directory"], wanted["own"])
    watch.variables()
    watch.files()
    before, known = state(), functions()
    sys.addaudithook(watch.audit)
    sys.setprofile(watch.profile)
    watch.on = True
    try:
        __import__(wanted["module"])
    except BaseException as e:
        watch.note(f"fails where there is no scenario: {type(e).__name__}")
    watch.on = False
    sys.setprofile(None)
    after, now = state(), functions()
    watch.on = True
    for what, value in before.items():
        if after[what] != value:
            watch.note(what)
    for name, value in known.items():
        if now.get(name) != value:
            watch.note(f"replaces {name}")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if os.fstat(said).st_size:
        watch.note("prints something")
    return {"anew": watch.anew, "reads": watch.reads, "cwd": watch.cwd}
