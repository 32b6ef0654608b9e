"""A scenario set up around one call: home, environment, clock and CLI, and what leaves them."""

from __future__ import annotations

import asyncio
import os
import pwd
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn

from msgspec.structs import replace
from pyfakefs.fake_filesystem import FakeFilesystem

from conformance.drivers.in_process import clock
from conformance.drivers.in_process.cli import FakeCli
from conformance.drivers.in_process.clock import Clock
from conformance.drivers.in_process.coroutines import coroutines_for
from conformance.drivers.in_process.escapes import Escapes
from conformance.drivers.in_process.popen import popen_for
from conformance.drivers.in_process.processes import ProcessTable
from conformance.drivers.in_process.starter import Starter
from conformance.drivers.in_process.timeline import OwnTime
from conformance.drivers.layout import Surroundings, known_clis, lay_out
from conformance.drivers.local.command import SYSTEM_PATH
from conformance.drivers.local.standalone import lacks
from conformance.home import changes
from conformance.home.build import Unbuildable
from conformance.home.fake import FakeFiles, index_now
from conformance.home.fake_system import keep_real
from conformance.home.references import Index, References
from conformance.model.contract import Contract
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Scenario

__all__ = ["Stage", "unsupported"]

#: Where things lie in the fake file system.
_TOP = "/slot"
_CLI = f"{_TOP}/cli"
_UMASK = 0o022
#: Whom the gate runs as where the suite runs as root, who could read anything.
_PLAIN_USER = 1000


def unsupported(scenario: Scenario, contract: Contract) -> str:
    """Return why *scenario* cannot be shown in process, whatever its home is; empty if it can."""
    if why := lacks(scenario):
        return why
    if contract.commands:
        return (
            f"contract '{contract.name}' asks the CLIs themselves, and none is started in process"
        )
    if scenario.steps:
        return "it is a story in steps, and a home in a fake file system is for one call"
    if scenario.earlier is not None:
        return "the probe runs twice, in two processes that share more than a fake file system"
    return ""


class Stage:
    """The scenario, while it is entered.

    *filesystem* is that of a patcher of pyfakefs, which is patching. With *with_clock* the clock is
    frozen at the start of the run, cut to a whole second, and what waits lets time pass at once.
    *variables* are in the environment, unless the scenario says otherwise.
    To make one may read our own files, for which pyfakefs must not be patching.

    :raises Unbuildable: the scenario cannot be shown; it says why. That may be found on entering.
    """

    def __init__(
        self,
        filesystem: FakeFilesystem,
        scenario: Scenario,
        contract: Contract,
        context: Context,
        *,
        with_clock: bool = True,
        variables: Mapping[str, str] | None = None,
        index: Index | None = None,
    ) -> None:
        self.scenario = scenario
        self.contract = contract
        self.escapes = Escapes()
        self.home = f"{_TOP}/home/{scenario.home_name}" if scenario.home_name else f"{_TOP}/home"
        self.opposite = f"{_TOP}/opposite"
        # A whole second is the same number for every clock, to the last bit.
        self.context = replace(context, now=float(int(context.now)))
        self._filesystem = filesystem
        self._with_clock = with_clock
        self._index = index
        self._leave = ExitStack()
        if why := unsupported(scenario, contract):
            raise Unbuildable(why)
        extra = dict(variables or {})
        around = Surroundings(
            home=self.home,
            opposite=self.opposite,
            cli=_CLI,
            path=extra.get("PATH", SYSTEM_PATH),
            variables=extra,
        )
        self.layout = lay_out(scenario, contract, self.context, around)
        assert self.layout.stubs is not None
        self._stubs = self.layout.stubs.nodes()
        self._programs = self.layout.stubs.programs(_CLI, self.home)
        self.files: FakeFiles
        self.clock: Clock | None = None

    def __enter__(self) -> Stage:
        with ExitStack() as leave:
            self._set_up(leave)
            self._leave = leave.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.close()

    def _set_up(self, leave: ExitStack) -> None:
        index = self._index or index_now()
        limit = self.contract.limits.seconds
        if self._with_clock:
            leave.callback(clock.install(index))
            self.clock = leave.enter_context(Clock(self.context.now, frozen=True, limit=limit))
        self._timeline = self.clock or OwnTime(limit)
        uid, gid = os.getuid() or _PLAIN_USER, os.getgid() or _PLAIN_USER
        self.files = leave.enter_context(FakeFiles(self._filesystem, uid=uid, gid=gid, index=index))
        self._lay(leave)
        self._replace(leave, index)
        leave.enter_context(_environment(self.layout.environment))
        self._before = self._snapshot()

    def _lay(self, leave: ExitStack) -> None:
        leave.callback(self._clear)
        self.files.lay(self.layout.home, self.home)
        self.files.lay(self.layout.opposite, self.opposite)
        self.files.lay((), f"{_TOP}/nobody")
        self.files.lay(self._stubs, _CLI)
        umask = self.scenario.process.umask
        was, directory = self._filesystem.umask, self._filesystem.cwd
        leave.callback(setattr, self._filesystem, "cwd", directory)
        leave.callback(setattr, self._filesystem, "umask", was)
        self._filesystem.umask = _UMASK if umask is None else umask
        if self.scenario.process.cwd:
            cwd = expand(self.scenario.process.cwd, Context(now=0, seed="", home=self.home))
            try:
                self.files.os.chdir(cwd)
            except OSError:
                raise Unbuildable(
                    f"there is no directory {cwd} to start in, in the fake file system"
                ) from None

    def _clear(self) -> None:
        if self._filesystem.exists(_TOP):
            self.files.remove(_TOP)

    def _replace(self, leave: ExitStack, index: Index) -> None:
        """Let calls that start, wait for or signal a process reach no real one."""
        stubs, escapes = self.layout.stubs, self.escapes
        assert stubs is not None
        names = frozenset({*known_clis(self.contract), self.scenario.agent, *stubs.others})
        self.cli = FakeCli(
            self.files,
            self._programs,
            names=names,
            table=ProcessTable(self._timeline),
            escapes=escapes,
            context=replace(
                self.context, home=self.home, cli_seconds=self.contract.limits.cli_seconds
            ),
        )
        starter = Starter(self.cli, self.files, lambda: os.environ)
        references = References()
        leave.callback(references.undo)
        self.files.stand_in({**escapes.wrappers(), **starter.functions()})
        references.replace(subprocess.Popen, popen_for(starter))
        for original, call in coroutines_for(starter).items():
            references.replace(original, call)
        for original, call in self._user_database().items():
            references.replace(original, call)
        references.apply(index)
        leave.enter_context(_refused_transports(escapes.refuse))

    def _user_database(self) -> dict[Callable[..., Any], Callable[..., Any]]:
        """Return what stands for the user database: an empty home, and never a real one."""
        uid, gid = self.files.os.getuid(), self.files.os.getgid()
        home = f"{_TOP}/nobody"
        entry = pwd.struct_passwd(("agent", "x", uid, gid, "", home, "/bin/sh"))
        return {pwd.getpwuid: lambda _uid, /: entry, pwd.getpwnam: lambda _name, /: entry}

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Notice and refuse what leaves the fake file system: around the call of a gate."""
        with self.escapes.armed():
            yield

    @property
    def timed_out(self) -> bool:
        """Whether the gate came to no end within its time, also where it hid that.

        That is the limit of the contract on the clock, or a wait without end.
        """
        return self._timeline.is_up or self.files.waited_for

    @property
    def asked(self) -> tuple[str, ...]:
        """What CLIs were asked other than for their version."""
        return self.cli.asked

    def left(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the command lines of what would still run: the gate's own, and that of CLIs."""
        return self.cli.table.left()

    def changes(self) -> tuple[str, ...]:
        """Return what has changed in the homes and may not, one line each."""
        before, after = self._before, self._snapshot()
        home = changes(before[0], after[0], self.layout.writes)
        opposite = changes(before[1], after[1], self.layout.writes)
        return (*home, *(f"in the opposite home: {change}" for change in opposite))

    def _snapshot(self) -> tuple[Any, Any]:
        return self.files.snapshot(self.home), self.files.snapshot(self.opposite)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Let the environment be *variables*, and nothing else."""
    was = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(was)


@contextmanager
def _refused_transports(refuse: Callable[[str], NoReturn]) -> Iterator[None]:
    """Refuse processes that are started through an event loop itself."""
    loop: Any = asyncio.SelectorEventLoop
    name = "_make_subprocess_transport"
    was = getattr(loop, name)

    async def refused(*_: Any, **__: Any) -> None:
        refuse("starts a process through the event loop itself")

    setattr(loop, name, refused)
    try:
        yield
    finally:
        setattr(loop, name, was)


keep_real()
