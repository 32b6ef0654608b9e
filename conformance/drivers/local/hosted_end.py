"""The end of a Python probe: what the end of an interpreter does, and no more.

An interpreter at its end takes apart all that it has in memory. In a fork that means to copy most
of what is shared with the process it comes from, which takes longer than most probes. Only what the
probe has itself is taken apart here: so files that it has left open are written, and its objects
are told that they go. What only modules of the standard library hold stays as it is.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import signal
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from types import BuiltinFunctionType, FunctionType, ModuleType, TracebackType
from typing import Any, NoReturn

#: The exit code of an interpreter that cannot write what is left in its streams.
UNWRITTEN = 120
#: What a probe, or what stands around it, may replace.
_kill, _getpid, _exit = os.kill, os.getpid, os._exit
PLAIN = {
    *(FunctionType, BuiltinFunctionType, ModuleType, type),
    *(bool, bytes, float, int, str, type(None)),
}
LIBRARY = os.path.dirname(os.__file__)


def run_to_the_end(
    probe: Callable[[], int], within: Collection[str], last_words: Callable[[], None]
) -> NoReturn:
    """Call *probe*, and end the process as an interpreter ends whose program it is.

    Frames of the files *within* are left out where a traceback is shown. *last_words* come when
    nothing of the probe will run any more.
    """
    status = said = 0
    error: BaseException | None = None
    try:
        status = probe()
    except SystemExit as e:
        status = status_of(e.code)
    except BaseException as e:
        error = e
    interrupted = isinstance(error, KeyboardInterrupt)
    if error is not None:
        status = show(error, within)
        error = None  # with it go the variables of all functions that it has left
    call(getattr(sys.modules.get("threading"), "_shutdown", None))
    call(getattr(sys.modules.get("atexit"), "_run_exitfuncs", None))
    said |= write_streams()
    take_apart()
    said |= write_streams(again=True)
    last_words()
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _kill(_getpid(), signal.SIGINT)
    ctypes.PyDLL(None).fflush(None)  # what C has in buffers
    _exit(UNWRITTEN if said else status & 0xFF)


def status_of(code: Any) -> int:
    """Return the status that the *code* of a SystemExit means."""
    if code is None:
        return 0
    if isinstance(code, int):
        return int(code) if -(2**63) <= code < 2**63 else -1
    with suppress(BaseException):
        sys.stderr.write(f"{code}\n")
    return 1


def show(error: BaseException, within: Collection[str]) -> int:
    """Show an *error* that nobody has caught; return the status that it means."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, *within):
        trace = trace.tb_next
    error.__traceback__ = trace
    try:
        sys.excepthook(type(error), error, trace)
    except SystemExit as e:
        return status_of(e.code)
    except BaseException as e:
        e.__traceback__ = e.__traceback__ and e.__traceback__.tb_next
        broken = e
    else:
        return 1
    with suppress(BaseException):
        sys.stderr.write("Error in sys.excepthook:\n")
        sys.__excepthook__(type(broken), broken, broken.__traceback__)
        sys.stderr.write("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, trace)
    return 1


def call(function: Callable[[], Any] | None) -> None:
    """Call *function*, if there is one; show what it raises, and go on."""
    if function is None:
        return
    try:
        function()
    except BaseException as e:
        show(e, ())


def write_streams(*, again: bool = False) -> int:
    """Write what is left in the streams of the probe; return 1 if that fails.

    Why it fails is said on stderr, unless this is done *again*.
    """
    failed = 0
    for stream in (sys.stdout, sys.stderr):
        if stream is None or getattr(stream, "closed", False):
            continue
        try:
            stream.flush()
        except BaseException as e:
            failed = 1
            if stream is sys.stdout and not again:
                with suppress(BaseException):
                    sys.stderr.write(f"Exception ignored in: {stream!r}\n{type(e).__name__}: {e}\n")
    return failed


def take_apart() -> None:
    """Let go of what the modules of the probe hold, the last one first."""
    for module in reversed(modules_of_the_probe()):
        names = vars(module)
        # As an interpreter does it: private names first.
        for private in (True, False):
            for name in list(names):
                is_private = name.startswith("_") and not name.startswith("__")
                if type(names[name]) in PLAIN:
                    continue  # nothing happens when it goes, and to let go of it copies memory
                if is_private == private and name != "__builtins__":
                    with suppress(BaseException):
                        names[name] = None
    if gc.isenabled():
        gc.collect()


class _Known:
    """What was imported before the fork."""

    count = 0
    """How many modules there were."""
    of_the_probe: tuple[ModuleType, ...] = ()


def remember(before: Collection[str] = ()) -> None:
    """Note what is imported by now; modules called as *before* are not the probe's.

    To look through all modules in a fork would copy most of them.
    """
    modules = [module for name, module in sys.modules.items() if name not in before]
    _Known.of_the_probe = tuple(filter(is_the_probes, modules))
    _Known.count = len(sys.modules)


def modules_of_the_probe() -> list[ModuleType]:
    """Return the modules that are not part of the standard library, in order."""
    newer = list(itertools.islice(reversed(sys.modules), max(0, len(sys.modules) - _Known.count)))
    new = [sys.modules[name] for name in reversed(newer)]
    main = sys.modules["__main__"]
    return [main, *_Known.of_the_probe, *filter(is_the_probes, new)]


def is_the_probes(module: ModuleType) -> bool:
    """Return whether *module* is neither part of the standard library nor built in."""
    file = getattr(module, "__file__", None)
    if type(module) is not ModuleType or not isinstance(file, str):
        return False
    return not (file.startswith(f"{LIBRARY}/") and "-packages/" not in file[len(LIBRARY) :])
