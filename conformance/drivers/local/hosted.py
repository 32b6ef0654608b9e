"""A supervisor that is a Python probe itself: ``python -I hosted.py FD``, once per worker.

A command is a new program each time. A probe in Python need not be: this process imports the module
once, and a reaper that is forked from it forks again for each execution. So an execution costs a
fork instead of the start of an interpreter with all that it imports. All else is as for commands:
see ``supervisor.py``, whose parts these are.

The first message over the socket FD says what is imported: a module, or nothing. The reply says why
that cannot be done once for all executions, or what the import has read: see ``hosted_import.py``.
Requests name a target beside what those for commands hold. It is a callable, or a script that runs
as ``python -I FILE`` does.

In the child nothing of this program is left below the probe: an exception carries it to the ground
of the stack. Its end is that of an interpreter: threads are joined, exit handlers run, buffers are
written. See ``hosted_end.py``.
"""

from __future__ import annotations

import gc
import importlib
import marshal
import mmap
import os
import signal
import socket
import sys
import types
import warnings
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING or __package__:
    from conformance.drivers.local import callable_host, hosted_end, hosted_import, supervisor
else:  # started as a program: -I hides what lies beside it
    _here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, _here)
    import callable_host
    import hosted_end
    import hosted_import
    import supervisor

    # A module of the user's may be called like one of these.
    sys.path[:] = [place for place in sys.path if place != _here]
    for _name in ("callable_host", "hosted_end", "hosted_import", "isolation", "supervisor"):
        del sys.modules[_name]

#: What probes in Python mostly import; a process without a module of its own has them already.
USUAL = (
    "argparse",
    "base64",
    "contextlib",
    "dataclasses",
    "datetime",
    "enum",
    "fnmatch",
    "glob",
    "json",
    "math",
    "pathlib",
    "re",
    "shutil",
    "stat",
    "subprocess",
    "tempfile",
    "threading",
    "typing",
)

_compiled: dict[bytes, types.CodeType] = {}


class Become(BaseException):
    """Carries a forked child to the ground of the stack, where it becomes the *probe*."""

    def __init__(self, probe: HostedProbe, out: int, err: int, trouble: int) -> None:
        super().__init__()
        self.probe = probe
        self.ends = out, err, trouble


class HostedProbe(supervisor.Probe):
    """One run of a probe that is forked from this process."""

    #: The directory of the module that has been imported; empty where none has.
    imported = ""
    #: The reaper that has made the page, and the memory in which its probes say what they returned,
    #: where that is no exit code. Nothing that they do to their descriptors reaches that.
    reaper = 0
    #: More files whose frames are none of the probe's.
    files: tuple[str, ...] = (callable_host.__file__,)
    page: mmap.mmap

    def start(self, out: int, err: int) -> str:
        """Fork; return why the probe does not start, or an empty string."""
        kind = type(self)
        if kind.reaper != os.getpid():
            kind.reaper, kind.page = os.getpid(), mmap.mmap(-1, mmap.PAGESIZE)
        self.page[:2] = b"\0\0"
        if self.request["target"]["kind"] == "script":
            compile_script(self.request["target"]["path"])
        return super().start(out, err)

    def ending(self, failure: str, *, in_time: bool) -> supervisor.Fields:
        """Return the part of the reply that says how the probe ended, and what it returned."""
        ending = super().ending(failure, in_time=in_time)
        if "code" in ending and (size := int.from_bytes(self.page[:2], "big")):
            ending["crash"] = self.page[2 : 2 + size].decode(errors="replace")
        return ending

    def name(self, pid: int) -> str:
        """Return what people call a process that the probe has left behind."""
        name = super().name(pid)
        if name == supervisor.command_line(os.getpid()):
            return f"a fork of the probe (process {pid})"
        return name

    def become(self, out: int, err: int, trouble: int) -> NoReturn:
        """Become the probe, in the child: see :class:`Become`."""
        raise Become(self, out, err, trouble)

    def be(self, out: int, err: int, trouble: int) -> NoReturn:
        """Be the probe, to its end."""
        try:
            signal.set_wakeup_fd(-1)
            self.connection.close()
            self.wakeup.close()
            self.settle_in(out, err)
            # Nothing is executed, so nothing closes them for us.
            os.closerange(3, trouble)
            os.closerange(trouble + 1, os.sysconf("SC_OPEN_MAX"))
            reset_signals()
            self.surround()
            gc.freeze()  # to look through what was there before would copy all of it
            gc.enable()
        except BaseException as e:
            supervisor.give_up(trouble, e)
        os.close(trouble)
        hosted_end.run_to_the_end(self.call, (__file__, *self.files), self.last_words)

    def surround(self) -> None:
        """Have the environment of the request."""
        set_environment(self.request["env"])

    def call(self) -> int:
        """Call the probe; return the exit code that its answer means."""
        target = self.request["target"]
        if target["kind"] == "script":
            return run_script(os.fsdecode(target["path"]))
        if not self.imported:
            forget_shadowed(target["directory"])
            callable_host.prepare(target["name"], target["directory"])
        own = os.getpid()
        try:
            return callable_host.answer(target["module"], target["name"], target["truth"])
        except callable_host.NoAnswer as e:
            if os.getpid() == own:  # and not a fork that has come back from the callable as well
                self.say_crash(str(e))
            return 1

    def say_crash(self, line: str) -> None:
        """Say what the callable returned that is no answer, beside the exit code."""
        said = line.encode(errors="replace")[: mmap.PAGESIZE - 2]
        self.page[2 : 2 + len(said)] = said
        self.page[:2] = len(said).to_bytes(2, "big")

    def last_words(self) -> None:
        """Say, just before the end of the process, what only it can tell."""


def reset_signals() -> None:
    """Handle signals as an interpreter does when it starts."""
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)


def set_environment(variables: dict[bytes, bytes]) -> None:
    """Replace the whole environment, of this process and of what it starts."""
    os.environ.clear()
    for name, value in variables.items():
        os.environb[name] = value
    if (posix := sys.modules.get("posix")) is not None:
        posix.environ.clear()
        posix.environ.update(variables)


def compile_script(path: bytes) -> types.CodeType | None:
    """Return the code of the script at *path*, from memory if it can; None if it has no code."""
    if path not in _compiled:
        # What there is to say about it, the probe says itself.
        with suppress(OSError, SyntaxError, ValueError), warnings.catch_warnings():
            warnings.simplefilter("error")
            with open(path, "rb") as file:
                _compiled[path] = compile(file.read(), os.fsdecode(path), "exec", dont_inherit=True)
    return _compiled.get(path)


def run_script(path: str) -> int:
    """Run the script at *path* as the main module; return the exit code of its end."""
    sys.argv = [path]
    main = types.ModuleType("__main__")
    main.__dict__.update({"__file__": path, "__cached__": None, "__builtins__": __builtins__})
    main.__loader__ = SourceFileLoader("__main__", path)
    if "__annotations__" in globals():  # in some releases the main module has it from the start
        main.__annotations__ = {}
    sys.modules["__main__"] = main
    code = compile_script(os.fsencode(path))
    if code is None:
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec", dont_inherit=True)  # says what is wrong
    exec(code, main.__dict__)  # noqa: S102 - it is the probe
    return 0


def forget_shadowed(directory: str) -> None:
    """Forget modules that the probe would find in its own *directory*, and not where we did."""
    for name in [name for name in sys.modules if "." not in name and name not in AT_START]:
        place = os.path.join(directory, name)
        if os.path.isfile(f"{place}.py") or os.path.isdir(place):
            for known in [known for known in sys.modules if f"{known}.".startswith(f"{name}.")]:
                del sys.modules[known]


#: What every interpreter has, before any program says what it wants.
AT_START = {*sys.builtin_module_names, *hosted_import.FROM_THE_START}


def import_once(wanted: supervisor.Fields) -> supervisor.Fields:
    """Import what is *wanted* if that can be done once; return the facts about it."""
    forget_shadowed(wanted["directory"])
    set_environment(wanted["environment"])
    os.chdir(wanted["directory"])
    callable_host.prepare(wanted["name"], wanted["directory"])
    seen = hosted_import.tried(wanted)
    if not seen["anew"]:
        importlib.import_module(wanted["module"])
        HostedProbe.imported = wanted["directory"]
    return seen


def main() -> NoReturn:
    """Serve requests until the suite closes its end; in a child, be the probe."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    facts = supervisor.isolate()
    wanted = supervisor.received(channel)
    if wanted:
        facts |= import_once(wanted)
    else:
        for name in USUAL:
            importlib.import_module(name)
    # Of what this program holds itself, a fork lets nothing go: to free it would copy all of it.
    hosted_end.remember(before=("__main__",))
    channel.sendall(marshal.dumps(facts))
    try:
        supervisor.hand_out_reapers(channel, HostedProbe)
    except Become as it:
        child, ends = it.probe, it.ends
    else:
        os._exit(0)  # what the module has asked for at its exit is the probe's
    child.be(*ends)


if __name__ == "__main__":
    main()
