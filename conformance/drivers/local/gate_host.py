"""Let a Python object speak the line protocol of gates: a program of its own.

Arguments: a module, or a file that ends in .py, the name of a callable in it, the directory in
which time-machine is installed, and the one in which the search for a module starts. The callable
is called once, without arguments, and returns the gate. What the gate prints goes to standard
error, so that it cannot be taken for an answer.

The clock is set by whoever asks: each line says what time it is (``now``), and how many seconds
have passed that nobody has waited for (``passed``).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import asyncio

#: Characters of a text that a gate gives, such as the reason for its answer.
_LONGEST = 300


class Unknown(Exception):
    """The gate has no such method."""


#: Clocks that only go forward, whatever the wall clock is set to.
_MONOTONIC = {time.CLOCK_MONOTONIC, time.CLOCK_MONOTONIC_RAW, time.CLOCK_BOOTTIME}


class Clock:
    """The clock of this process, which can be set; it goes on ticking.

    It is not that of the package: what a gate starts with costs every scenario, and a clock that
    ticks takes little.
    """

    def __init__(self, site: str) -> None:
        """Take time-machine from the directory *site*, which may not be on the path.

        :raises ImportError: it is not there.
        """
        sys.path.append(site)
        # Half of a start would go into pytest, for which time-machine has a plug-in.
        sys.modules["pytest"] = cast(Any, None)
        try:
            import time_machine  # noqa: PLC0415 - see above
        finally:
            del sys.modules["pytest"]
            sys.path.remove(site)
        self._wall = time_machine.travel(time.time(), tick=True).start()
        self._passed = 0.0
        # The module that is judged has not been imported yet: whatever it imports is shifted.
        for name in ("monotonic", "perf_counter", "clock_gettime"):
            self._shift(name, 1)
            self._shift(f"{name}_ns", 1_000_000_000)

    def _shift(self, name: str, unit: int) -> None:
        real: Callable[..., float] = getattr(time, name)
        kind = int if unit > 1 else float

        def shifted(*which: int) -> float:
            passed = kind(self._passed * unit) if not which or which[0] in _MONOTONIC else 0
            return real(*which) + passed

        setattr(time, name, shifted)

    def set(self, now: float, passed: float) -> None:
        """Set the wall clock to *now*; *passed* seconds have gone by in all."""
        self._wall.move_to(now)
        self._passed = passed


class Host:
    """The gate, and what it is asked."""

    def __init__(self, module: str, name: str) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure = ""
        self._gate: Any = None
        try:
            self._gate = self._done(_find(module, name)())
        except (Exception, SystemExit) as e:
            self._failure = _crash(e)

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a *request*."""
        if self._failure:
            return {"error": self._failure}
        try:
            answer = self._ask(request)
        except Unknown:
            return {"unsupported": True}
        except (Exception, SystemExit) as e:
            return {"error": _crash(e)}
        return {**answer, **({"keeps_time": True} if self._keeps_time() else {})}

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        match request["op"]:
            case "hello":
                return {"ok": True}
            case "check":
                return _ready(self._call("check"))
            case "claim":
                return {"claimed": bool(self._call("claim"))}
            case "run_finished":
                self._call("run_finished", request["exit_code"], request["log"])
                return {"ok": True}
            case "environment":
                os.environ.update(request["set"])
                for name in request["unset"]:
                    os.environ.pop(name, None)
                return {"ok": True}
            case "counters":
                counters = self._call("counters")
                return {name: counters[name] for name in ("retries", "breaker")}
        return {"unsupported": True}

    def _call(self, name: str, *arguments: Any) -> Any:
        method = getattr(self._gate, name, None)
        if not callable(method):
            raise Unknown
        return self._done(method(*arguments))

    def _done(self, found: Any) -> Any:
        """Return what *found* is, or comes to when it is awaited."""
        if not inspect.isawaitable(found):
            return found

        import asyncio  # noqa: PLC0415 - a gate that has nothing to await need not wait for it

        async def awaited() -> Any:
            return await found

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop.run_until_complete(awaited())

    def _keeps_time(self) -> bool:
        """Return whether something of the gate goes on by itself, which a set clock cannot wake."""
        # The threads of a pool wait for work, and for nothing else.
        pools = sys.modules.get("concurrent.futures.thread")
        idle = getattr(pools, "_worker", threading)
        own = [one for one in threading.enumerate() if one is not threading.main_thread()]
        if any(getattr(one, "_target", None) is not idle for one in own):
            return True
        if self._loop is None:
            return False
        import asyncio  # noqa: PLC0415 - see above

        return bool(asyncio.all_tasks(self._loop))


def _find(module: str, name: str) -> Any:
    if module.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(module).stem, module)
        assert spec is not None, "the suffix says what it is"
        assert spec.loader is not None, "and so what loads it"
        found: Any = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = found
        spec.loader.exec_module(found)
    else:
        found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _ready(answer: Any) -> dict[str, Any]:
    if isinstance(answer, bool):
        return {"ready": answer}
    if isinstance(answer, tuple | list) and len(answer) == 2 and isinstance(answer[0], bool):
        return {"ready": answer[0], "reason": _short(answer[1])}
    what = type(answer).__name__
    raise TypeError(f"check returned {what}: neither a truth value nor a pair of one and a reason")


def _crash(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    if trace is not None:  # else it is ours, about what the gate returned
        traceback.print_exception(error.with_traceback(trace))
    return _short(f"{type(error).__name__}: {error}")


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def main(module: str, name: str, site: str, directory: str) -> None:
    """Answer every line of standard input, until it ends."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.dont_write_bytecode = True  # a gate leaves nothing behind
    sys.argv = [name]
    if directory:
        sys.path.insert(0, directory)
    try:
        clock = Clock(site)
    except ImportError as e:
        answers.write(json.dumps({"broke": f"no clock can be set: {e}"}).encode() + b"\n")
        return
    host = Host(module, name)
    for line in requests:
        request = json.loads(line)
        clock.set(request["now"], request.get("passed", 0.0))
        answer = {"step": request["step"], **host.answer(request)}
        sys.stdout.flush()
        answers.write(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
