"""A supervisor that calls a Python function in a fake file system: ``python -I host.py FD``.

It is the process of ``hosted.py``, with a patcher of pyfakefs set up once. Each fork of it enters
the scenario, calls the function, and says beside its exit code what became of the home, what left
the fake, and what the CLI was asked.
"""

from __future__ import annotations

import gc
import importlib
import marshal
import mmap
import os
import socket
import sys
import time
from contextlib import ExitStack
from typing import Any, NoReturn

if not __package__:  # started as a program: -I hides the package that it is part of
    _root = os.path.abspath(__file__)
    for _ in range(4):
        _root = os.path.dirname(_root)
    sys.path.insert(0, _root)
else:
    _root = ""

from msgspec.msgpack import Decoder
from pyfakefs.fake_filesystem_unittest import Patcher

from conformance.drivers.in_process import clock, direct
from conformance.drivers.in_process.escapes import Escape
from conformance.drivers.in_process.stage import Stage
from conformance.drivers.local import (
    callable_host,
    hosted,
    hosted_end,
    hosted_import,
    isolation,
    supervisor,
)
from conformance.home.build import Unbuildable
from conformance.home.endless import Endless
from conformance.home.fake import index_now
from conformance.home.fake_system import keep_real
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

if _root:
    sys.path.remove(_root)

#: How much a fork can say beside its exit code, in bytes; and how many changes of a home.
_ROOM = 1 << 20
_CHANGES = 1_000
#: After so many calls without a fork, what they left in memory is freed.
_COLLECTED = 16

_really_exit = os._exit
_getpid = os.getpid
_CONTRACT, _CONTEXT, _SCENARIO = Decoder(Contract), Decoder(Context), Decoder(Scenario)
_contracts: dict[bytes, Contract] = {}


class _Host:
    """What this process has set up for all its forks."""

    patcher: Patcher
    index: Any = None


class InProcessProbe(hosted.HostedProbe):
    """One call of the function, in a fork of this process."""

    stage: Stage
    ended = False
    crash = ""
    own = 0
    files = (__file__, *hosted.HostedProbe.files)
    #: Whether this reaper sees the file system as its probes have to.
    hidden = False
    #: Whether this process has the module in memory, and not only its forks.
    in_memory = False
    #: How many calls this reaper has seen.
    calls = 0
    #: What calls without a fork, in this reaper.
    direct: direct.Direct | None = None

    def run(self) -> supervisor.Fields:
        """Enter the scenario, and call the function, here or in a fork; return the reply.

        What can be done in the reaper is done there: a fork would copy all that it touches.
        """
        kind = type(self)
        if kind.reaper != _getpid():
            kind.reaper, kind.page = _getpid(), mmap.mmap(-1, _ROOM)
            kind.direct = None
        if self.request["view"] and self.request["target"]["hide"]:
            if not kind.hidden:
                isolation.enter(self.request["view"])
                kind.hidden = True
            self.request["view"] = None
        try:
            self.stage = self._entered(self.request["target"])
        except Unbuildable as e:
            return {"unsupported": str(e)}
        self.stage.files.stand_in({"_exit": self._exit})
        forks = not self._may_be_direct()
        try:
            reply = super().run() if forks else self._directly()
        finally:
            if _getpid() == self.reaper:
                self.stage.__exit__()
        # Nothing else does that here, and stages refer to themselves. What is left would be copied
        # in forks; without them it can wait.
        kind.calls += 1
        if forks or kind.calls % _COLLECTED == 0:
            gc.collect()
        return reply

    def _may_be_direct(self) -> bool:
        """Return whether the function is to be called in this process."""
        kind = type(self)
        target = self.request["target"]
        if not target["direct"] or not kind.in_memory or self.request["view"]:
            return False
        if kind.direct is None:
            kind.direct = direct.Direct(target["directory"])
        return kind.direct.is_possible

    def _directly(self) -> supervisor.Fields:
        """Call the function in this process; return the reply, if there is one to rely on."""
        caller, target, stage = type(self).direct, self.request["target"], self.stage
        assert caller is not None

        def call() -> int:
            sys.argv = [target["name"]]
            with stage.armed():
                return callable_host.answer(target["module"], target["name"], target["truth"])

        def is_clean(code: int) -> bool:
            if code not in target["direct"] or stage.escapes.found or stage.timed_out:
                return False
            return not any(stage.left()) and not stage.changes()

        started = time.monotonic()
        code, out, err = caller.call(call, is_clean)
        seconds = time.monotonic() - started
        return {
            "code": code,
            "stdout": out,
            "stderr": err,
            "seconds": seconds,
            "asked": stage.asked,
        }

    def start(self, out: int, err: int) -> str:
        """Fork; return why the probe does not start, or an empty string."""
        self.page[:4] = bytes(4)
        return supervisor.Probe.start(self, out, err)

    def forked(self) -> None:
        """Let real time pass in the reaper.

        The rest of the scenario is left when the fork has ended: before, that would copy memory.
        """
        clock.set_aside()

    def ending(self, failure: str, *, in_time: bool) -> supervisor.Fields:
        """Return the part of the reply that says how the probe ended, and what it said beside."""
        ending = supervisor.Probe.ending(self, failure, in_time=in_time)
        if size := int.from_bytes(self.page[:4], "big"):
            ending |= marshal.loads(self.page[4 : 4 + size])
        elif "code" in ending:
            return {"broke": "the process of the callable ended, and did not say how"}
        return ending

    def surround(self) -> None:
        """Have the environment, which the scenario has set."""

    def call(self) -> int:
        """Call the function in the home of the scenario; return the exit code that it means."""
        self.own = _getpid()
        leave = ExitStack()
        leave.enter_context(self.stage.armed())  # to the end of the process
        try:
            return super().call()
        except (Endless, Escape):
            self.last_words()
            _really_exit(1)

    def _entered(self, target: supervisor.Fields) -> Stage:
        """Return the stage of the scenario, entered.

        :raises Unbuildable: it cannot be shown.
        """
        data = target["contract"]
        if data not in _contracts:
            _contracts[data] = _CONTRACT.decode(data)
            gc.freeze()
        patcher, filesystem = _Host.patcher, _Host.patcher.fs
        assert filesystem is not None
        patcher.pause()
        try:
            stage = Stage(
                filesystem,
                _SCENARIO.decode(target["scenario"]),
                _contracts[data],
                _CONTEXT.decode(target["context"]),
                variables=target["variables"],
                index=_Host.index,
            )
        finally:
            patcher.resume()
        return stage.__enter__()

    def _exit(self, status: int) -> NoReturn:
        """Stand for ``os._exit``, which leaves no time to say anything."""
        self.last_words()
        _really_exit(status)

    def say_crash(self, line: str) -> None:
        """Keep what the callable returned that is no answer, for the last words."""
        self.crash = line

    def last_words(self) -> None:
        """Say what was seen of the call."""
        stage = self.stage
        if self.ended or _getpid() != self.own:
            return
        self.ended = True
        left, left_by_cli = stage.left()
        said: dict[str, Any] = {
            "crash": self.crash,
            "changes": stage.changes()[:_CHANGES],
            "asked": stage.asked,
            "would_be_left": [
                *((name, False) for name in left),
                *((name, True) for name in left_by_cli),
            ],
        }
        if stage.escapes.found:
            said["unsupported"] = f"the callable {stage.escapes.found[0]}, outside of the fake home"
        elif stage.timed_out:  # as with a command, what it has started is ended with it
            said |= {"timed_out": True, "would_be_left": []}
        self._say(said)

    def _say(self, said: dict[str, Any]) -> None:
        data = marshal.dumps(said)
        self.page[4 : 4 + len(data)] = data
        self.page[:4] = len(data).to_bytes(4, "big")


def import_once(wanted: supervisor.Fields) -> supervisor.Fields:
    """Import what is *wanted* if that can be done once; return the facts about it."""
    hosted.set_environment(wanted["environment"])
    os.chdir(wanted["directory"])
    callable_host.prepare(wanted["name"], wanted["directory"])
    seen = hosted_import.tried(wanted)
    if not seen["anew"] and not seen["reads"] and not seen["cwd"]:
        importlib.import_module(wanted["module"])
        InProcessProbe.in_memory = True
    # What is to be imported anew is found where the others were.
    InProcessProbe.imported = wanted["directory"]
    os.chdir("/")
    return seen


def main() -> NoReturn:
    """Serve requests until the suite closes its end; in a child, be the probe."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    facts = supervisor.isolate()
    wanted = supervisor.received(channel)
    keep_real()
    before = {*sys.modules}
    facts |= import_once(wanted)
    _Host.patcher = Patcher()
    _Host.patcher.setUp()
    _Host.index = index_now()
    clock.install(_Host.index)
    hosted_end.remember(before)
    gc.collect()
    channel.sendall(marshal.dumps(facts))
    try:
        supervisor.hand_out_reapers(channel, InProcessProbe)
    except hosted.Become as it:
        child, ends = it.probe, it.ends
    else:
        _really_exit(0)
    child.be(*ends)


if __name__ == "__main__":
    # As a part of the package, so that it keeps the real functions as its other modules do.
    importlib.import_module("conformance.drivers.in_process.host").main()
