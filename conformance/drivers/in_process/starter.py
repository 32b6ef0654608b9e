"""What starting a program comes to where none is started, and what ``os`` waits for and signals."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

from conformance.drivers.in_process.cli import FakeCli
from conformance.drivers.in_process.processes import Process
from conformance.drivers.in_process.streams import delivery
from conformance.home.fake import FakeFiles

__all__ = ["Starter"]

#: What a gate may let the child do before it starts: all of it gives the child its own group.
_OWN_GROUP = {getattr(os, name) for name in ("setsid", "setpgrp")}
#: Options of ``Popen`` that change who runs or where, and so what is seen.
_REFUSED = ("user", "group", "extra_groups", "startupinfo")
_BOTH = frozenset({"stdout", "stderr"})


class Starter:
    """What a call of ``Popen`` and its relatives comes to: a process, and its output delivered."""

    def __init__(self, cli: FakeCli, files: FakeFiles, environ: Callable[[], Mapping[str, str]]):
        self.cli = cli
        self.table = cli.table
        self.files = files
        self._environ = environ

    def start(self, args: Any, options: Mapping[str, Any]) -> Process | int:
        """Return the process for *args* and the *options* of ``Popen``; or what a shell exits with.

        :raises OSError: what exec answers.
        :raises Escape: it is no CLI, or is to run as nothing here can.
        """
        group = None if self._own_group(options) else os.getpgrp()
        given = options.get("env")
        env = dict(self._environ() if given is None else given)
        env = {os.fsdecode(name): os.fsdecode(value) for name, value in env.items()}
        piped = frozenset(name for name in _BOTH if self.leads_to(options, name) == subprocess.PIPE)
        how: dict[str, Any] = {"group": group, "piped": piped, "directory": options.get("cwd")}
        if options.get("shell"):
            command = args if isinstance(args, str | bytes) else next(iter(args))
            return self.cli.start_in_shell(command, env, **how)
        words = [args] if isinstance(args, str | bytes | os.PathLike) else list(args)
        return self.cli.start(words, env, executable=options.get("executable"), **how)

    def _own_group(self, options: Mapping[str, Any]) -> bool:
        for name in _REFUSED:
            if options.get(name) is not None:
                self.cli.escapes.refuse(f"starts a process with {name}=")
        before = options.get("preexec_fn")
        if before is not None and before not in _OWN_GROUP:
            self.cli.escapes.refuse("starts a process with a preexec_fn of its own")
        group = options.get("process_group")
        if group is not None and group > 0:
            self.cli.escapes.refuse("starts a process in another group")
        return bool(before or options.get("start_new_session") or group == 0)

    def leads_to(self, options: Mapping[str, Any], name: str) -> Any:
        """Return where the stream *name* leads to: ``STDOUT`` is resolved."""
        target = options.get(name)
        return options.get("stdout") if target == subprocess.STDOUT else target

    def deliver(self, process: Process, options: Mapping[str, Any]) -> None:
        """Write the output that leads to no pipe where it leads to."""
        for name in ("stdout", "stderr"):
            target = self.leads_to(options, name)
            if target != subprocess.PIPE:
                merged = options.get(name) == subprocess.STDOUT
                standard = 2 if name == "stderr" and not merged else 1
                data = getattr(process, name)
                if data:
                    delivery(target, standard, self.files.os.write)(data)

    def ended_shell(self, status: int) -> Process:
        """Return a shell that could not start what it was told to, and exits with *status*."""
        pid, now = self.table.new_pid(), self.table.timeline.passed
        process = Process(pid, pid, now, now, status, "/bin/sh")
        self.table.add(process)
        return process

    # What stands for functions of os.

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions of ``os`` by their names."""
        names: tuple[str, ...] = (
            *("getpgid", "kill", "killpg", "posix_spawn", "posix_spawnp", "spawnv", "spawnve"),
        )
        names += ("spawnvp", "spawnvpe", "system", "wait", "wait3", "wait4", "waitid", "waitpid")
        made = {name: getattr(self, name) for name in names}
        values = {**vars(os), **made}
        for name in ("spawnl", "spawnle", "spawnlp", "spawnlpe"):  # Python's own, over the others
            made[name] = FunctionType(getattr(os, name).__code__, values, name)
        return made

    def kill(self, pid: int, number: int, /) -> None:
        """See :func:`os.kill`."""
        if pid == os.getpid():
            signal.raise_signal(number)
        elif pid in self.table:
            self.table.get(pid).kill(number, self.table.timeline.passed)
        else:
            self.cli.escapes.refuse(f"sends a signal to the process {pid}")

    def killpg(self, group: int, number: int, /) -> None:
        """See :func:`os.killpg`."""
        if not any(process.group == group for process in self.table) or group == os.getpgrp():
            self.cli.escapes.refuse(f"sends a signal to the group {group}")
        self.table.kill_group(group, number)

    def getpgid(self, pid: int, /) -> int:
        """See :func:`os.getpgid`."""
        return self.table.get(pid).group if pid in self.table else os.getpgid(pid)

    def waitpid(self, pid: int, options: int, /) -> tuple[int, int]:
        """See :func:`os.waitpid`."""
        process = self._ended(pid, options)
        return (0, 0) if process is None else (process.pid, self._reap(process))

    def wait(self) -> tuple[int, int]:
        """See :func:`os.wait`."""
        return self.waitpid(-1, 0)

    def wait3(self, options: int) -> tuple[int, int, Any]:
        """See :func:`os.wait3`."""
        return self.wait4(-1, options)

    def wait4(self, pid: int, options: int) -> tuple[int, int, Any]:
        """See :func:`os.wait4`."""
        import resource  # noqa: PLC0415 - hardly anybody asks

        return (*self.waitpid(pid, options), resource.getrusage(resource.RUSAGE_CHILDREN))

    def waitid(self, idtype: int, id_: int, options: int, /) -> Any:
        """See :func:`os.waitid`."""
        wanted = {os.P_PID: id_, os.P_PGID: -id_, os.P_ALL: -1}.get(idtype)
        if wanted is None:
            self.cli.escapes.refuse("waits for a process by its descriptor")
        process = self._ended(wanted, options)
        if process is None:
            return None
        if not options & os.WNOWAIT:
            self._reap(process)
        died = process.status < 0
        code = os.CLD_KILLED if died else os.CLD_EXITED
        user = self.files.os.getuid()
        return os.waitid_result((process.pid, user, signal.SIGCHLD, abs(process.status), code))

    def _ended(self, pid: int, options: int) -> Process | None:
        process = self.table.waited_for(pid, options)[0]
        if process.end() > self.table.timeline.passed:
            if options & os.WNOHANG:
                return None
            self.table.wait(process.pid)
        return process

    def _reap(self, process: Process) -> int:
        process.reaped = True
        return -process.status if process.status < 0 else process.status << 8

    def system(self, command: Any) -> int:
        """See :func:`os.system`."""
        return self._spawned(os.P_WAIT, command, {"shell": True}, as_status=True)

    def spawnv(self, mode: int, file: Any, args: Sequence[Any]) -> int:
        """See :func:`os.spawnv`."""
        return self._spawned(mode, args, {"executable": os.path.join(".", os.fsdecode(file))})

    def spawnve(self, mode: int, file: Any, args: Sequence[Any], env: Any) -> int:
        """See :func:`os.spawnve`."""
        place = os.path.join(".", os.fsdecode(file))
        return self._spawned(mode, args, {"executable": place, "env": env})

    def spawnvp(self, mode: int, file: Any, args: Sequence[Any]) -> int:
        """See :func:`os.spawnvp`."""
        return self._spawned(mode, args, {"executable": file})

    def spawnvpe(self, mode: int, file: Any, args: Sequence[Any], env: Any) -> int:
        """See :func:`os.spawnvpe`."""
        return self._spawned(mode, args, {"executable": file, "env": env})

    def _spawned(
        self, mode: int, args: Any, options: dict[str, Any], *, as_status: bool = False
    ) -> int:
        try:
            process = self.start(args, options)
        except OSError:  # the child has been forked by then, and ends
            process = 127
        if isinstance(process, int):
            return process << 8 if as_status else process
        self.deliver(process, options)
        if mode == os.P_NOWAIT:
            return process.pid
        self.table.wait(process.pid)
        status = self._reap(process)
        return status if as_status else os.waitstatus_to_exitcode(status)

    def posix_spawn(self, path: Any, argv: Sequence[Any], env: Any, /, **options: Any) -> int:
        """See :func:`os.posix_spawn`."""
        return self._posix_spawned(os.path.join(".", os.fsdecode(path)), argv, env, options)

    def posix_spawnp(self, path: Any, argv: Sequence[Any], env: Any, /, **options: Any) -> int:
        """See :func:`os.posix_spawnp`."""
        return self._posix_spawned(path, argv, env, options)

    def _posix_spawned(
        self, path: Any, argv: Sequence[Any], env: Any, options: Mapping[str, Any]
    ) -> int:
        own = bool(options.get("setsid")) or options.get("setpgroup") == 0
        process = self.start(argv, {"env": env, "executable": path, "start_new_session": own})
        assert isinstance(process, Process)
        if not options.get("file_actions"):
            self.deliver(process, {})
        return process.pid
