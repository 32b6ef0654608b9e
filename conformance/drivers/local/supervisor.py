"""The process between the suite and a probe: ``python -I -S supervisor.py FD``, once per worker.

It is a separate program that uses only the standard library. What it does to itself (a network of
its own, fewer capabilities) must not happen to the process that runs the tests. A small process
also forks fast: a probe costs two forks here, instead of a chain of wrapper programs.

It forks *reapers*. Each runs one probe after the other, one at a time. A reaper adopts every
process that its probe leaves behind (``PR_SET_CHILD_SUBREAPER``), so it finds them even if they
left their process group or session. It ends them all when the probe has ended or the time is up,
and when the suite goes away (the connection closes) or the supervisor does (``PR_SET_PDEATHSIG``).

To get a reaper, the suite sends a byte and a descriptor over the socket FD. The descriptor then
carries marshalled requests and replies, each after its length. They are dictionaries: see
``Request`` in ``supervisor_client``, and ``Outcome`` in ``conformance.model.outcome``.

With another byte (``BIND``) the descriptor gets sockets with a port in the network of the probes.
"""

from __future__ import annotations

import gc
import marshal
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING or __package__:
    from conformance.drivers.local import isolation
else:  # started as a program: -I hides what lies beside it
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import isolation

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

#: Seconds that a process gets between interrupt, terminate and kill.
GRACE = 0.5
#: Seconds after which a process counts as left behind; one that is about to end does not.
SETTLE = 0.25
#: Seconds after which a killed process is given up, because the kernel does not let it go.
GIVE_UP = 5.0
STUB = b"PROBE_CONFORMANCE_STUB="  # in the environment of all that a stub of a CLI has started

BIND = b"B"  # what asks for sockets, in place of a reaper

Fields = dict[str, Any]  # of a request or a reply


def main() -> None:
    """Serve requests until the suite closes its end."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.sendall(marshal.dumps(isolate()))
    hand_out_reapers(channel, Probe)


def isolate() -> Fields:
    """Isolate this process, and all that it will start; return the facts about that."""
    kept = isolation.reset_inherited()
    return {
        "inherited": ", ".join(kept),
        "network": isolation.cut_network(),
        "mounts": isolation.own_mounts(),
        "capabilities": isolation.drop_capabilities(),
    }


def hand_out_reapers(channel: socket.socket, kind: type[Probe]) -> None:
    """Fork a reaper that runs probes of a *kind* for each byte on *channel*, until it is closed."""
    # These two only need to wake up the reapers.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    gc.disable()
    gc.freeze()
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not data:
            break
        os.set_inheritable(descriptors[0], False)  # a probe must not hold the line that judges it
        if data == BIND:
            hand_out_sockets(socket.socket(fileno=descriptors[0]))
            continue
        if os.fork() == 0:
            channel.close()
            serve(socket.socket(fileno=descriptors[0]), kind)
            os._exit(0)
        os.close(descriptors[0])
        reap()
    # The reapers see their connections close and clean up. Leaving earlier would kill them.
    while reap(wait=True):
        pass


def hand_out_sockets(connection: socket.socket) -> None:
    """Send a socket for each of the addresses that *connection* names, or why there are none."""
    with connection:
        hosts = marshal.loads(connection.recv(4096))
        try:
            found = isolation.bound_sockets(hosts)
        except OSError as e:
            connection.sendall(f"nothing can listen here: {e}".encode())
            return
        socket.send_fds(connection, [BIND], [one.fileno() for one in found])
        for one in found:
            one.close()


def reap(*, wait: bool = False) -> bool:
    """Collect children that have ended; return whether any is left."""
    try:
        while os.waitpid(-1, 0 if wait else os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def serve(connection: socket.socket, kind: type[Probe]) -> None:
    """Be a reaper: run the probes that *connection* asks for, and reply, until it is closed."""
    isolation.libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wakeup, alarm = socket.socketpair()
    alarm.setblocking(False)
    signal.set_wakeup_fd(alarm.detach(), warn_on_full_buffer=False)
    isolation.libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    while True:
        request = received(connection)
        reason = unmet(request["checks"])
        reply = {"unsupported": reason} if reason else kind(request, connection, wakeup).run()
        data = marshal.dumps(reply)
        connection.sendall(len(data).to_bytes(4, "big") + data)


def received(connection: socket.socket) -> Fields:
    """Return the next message on *connection*."""
    message = receive(connection, int.from_bytes(receive(connection, 4), "big"))
    return marshal.loads(message)  # type: ignore[no-any-return]


def receive(connection: socket.socket, size: int) -> bytes:
    """Return exactly *size* bytes; end the process if the suite has closed the connection."""
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            os._exit(0)
        data += chunk
    return bytes(data)


def unmet(checks: list[tuple[str, bytes]]) -> str:
    """Return which condition of the home does not hold for the probe's user, or an empty string."""
    uid = os.geteuid()
    for condition, path in checks:
        name = path.decode(errors="backslashreplace")
        if condition == "readable":
            if not os.access(path, os.R_OK, effective_ids=True):
                cannot = f"{name} cannot be read by uid {uid} without CAP_DAC_OVERRIDE"
                return f"{cannot}; let others read it"
            continue
        try:
            if condition == "unsearchable":
                os.lstat(path + b"/.")
            else:
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
        except PermissionError:
            continue
        except OSError as e:
            return f"{name} should be {condition}, but: {e.strerror}"
        return f"{name} is not {condition} for uid {uid}"
    return ""


class Probe:
    """One run of a probe."""

    def __init__(self, request: Fields, connection: socket.socket, wakeup: socket.socket) -> None:
        self.request = request
        self.connection = connection
        self.wakeup = wakeup
        self.pid = 0
        self.status: int | None = None
        self.ended = 0.0
        self.output: dict[int, bytearray] = {}
        self.truncated = self.cancelled = False

    def run(self) -> Fields:
        """Start the probe, wait for its end, clean up after it; return the reply."""
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        self.output = {out: bytearray(), err: bytearray()}
        started = time.monotonic()
        failure = self.start(out_end, err_end)
        os.close(out_end)
        os.close(err_end)
        for fd in self.output:
            os.set_blocking(fd, False)
        in_time = self.wait_until(started + self.request["seconds"], cancellable=True)
        if not in_time:
            self.stop()
        left = self.left_behind() if in_time else []
        kill_all()
        self.drain(self.output)
        os.close(out)
        os.close(err)
        return {
            **self.ending(failure, in_time=in_time),
            "stdout": bytes(self.output[out]),
            "stderr": bytes(self.output[err]),
            "truncated": self.truncated,
            "seconds": (self.ended or time.monotonic()) - started,
            "left": left,
        }

    def ending(self, failure: str, *, in_time: bool) -> Fields:
        """Return the part of the reply that says how the probe ended."""
        if failure or self.cancelled:
            return {"broke": failure or "cancelled while the probe ran"}
        if not in_time:
            return {"timed_out": True}
        code = os.waitstatus_to_exitcode(self.status or 0)
        return {"signal": -code} if code < 0 else {"code": code}

    def start(self, out: int, err: int) -> str:
        """Fork and execute; return why that failed, or an empty string."""
        trouble, trouble_end = os.pipe()  # closed by a successful exec
        self.pid = os.fork()
        if self.pid == 0:
            self.become(out, err, trouble_end)
        self.forked()
        os.close(trouble_end)
        failure = os.read(trouble, 400).decode(errors="replace")
        os.close(trouble)
        return failure

    def forked(self) -> None:
        """Do what is to be done in this process once the child is there."""

    def become(self, out: int, err: int, trouble: int) -> NoReturn:
        """Become the probe, in the child; write to *trouble* why that fails."""
        try:
            self.settle_in(out, err)
            os.execve(self.request["argv"][0], self.request["argv"], self.request["env"])
        except BaseException as e:
            give_up(trouble, e)

    def settle_in(self, out: int, err: int) -> None:
        """Make this process, the child, one that has what a probe has around it."""
        os.setsid()
        isolation.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.dup2(os.open(self.request["stdin"] or b"/dev/null", os.O_RDONLY), 0)
        said = self.request["stdout"]
        os.dup2(os.open(said, os.O_WRONLY) if said else out, 1)
        os.dup2(err, 2)
        if self.request["view"]:
            isolation.enter(self.request["view"])
        os.chdir(self.request["cwd"])
        os.umask(self.request["umask"])

    def wait_until(self, deadline: float, *, cancellable: bool = False) -> bool:
        """Wait for the probe's end and read its output; return False if it outlives *deadline*.

        A *cancellable* wait also ends when the suite or the supervisor goes away.
        """
        poll = select.poll()
        for fd in (*self.output, self.wakeup.fileno()):
            poll.register(fd, select.POLLIN)
        if cancellable:
            poll.register(self.connection, select.POLLIN)
        while not self.reaped():
            rest = deadline - time.monotonic()
            if rest <= 0:
                return False
            ready = {fd for fd, _ in poll.poll(rest * 1000 + 1)}
            for fd in self.drain(ready & self.output.keys()):
                poll.unregister(fd)
            if self.abandoned(ready) and cancellable:
                self.cancelled = True
                return False
        return True

    def abandoned(self, ready: set[int]) -> bool:
        """Return whether the *ready* descriptors say that the supervisor or the suite has gone."""
        if self.wakeup.fileno() in ready and signal.SIGTERM in self.wakeup.recv(64):
            return True
        return self.connection.fileno() in ready

    def reaped(self) -> bool:
        """Collect the probe if it has ended; return whether it has."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status, self.ended = status, time.monotonic()
        return self.status is not None

    def drain(self, descriptors: Iterable[int]) -> list[int]:
        """Read what is there and keep a bounded part; return the descriptors at their end."""
        ended = []
        for fd in descriptors:
            for _ in range(64):  # an endless writer must not keep us from the clock
                try:
                    chunk = os.read(fd, 65536)
                except BlockingIOError:
                    break
                if not chunk:
                    ended.append(fd)
                    break
                room = self.request["keep_bytes"] - len(self.output[fd])
                self.output[fd] += chunk[:room]
                self.truncated |= len(chunk) > room
        return ended

    def stop(self) -> None:
        """Interrupt, then terminate the probe and all it started; :func:`kill_all` comes last.

        Parents come first: none goes on because what it waits for has been ended by us.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            own = [self.pid] if self.status is None else []
            for pid in dict.fromkeys((*own, *descendants())):
                signal_to(pid, number)
            self.wait_until(time.monotonic() + GRACE)

    def left_behind(self) -> list[tuple[str, bool]]:
        """Return the command lines of what is alive a moment later, and whether a CLI's child."""
        deadline = time.monotonic() + SETTLE
        while reap():
            self.drain(self.output)  # or it waits for us, and we for it
            if time.monotonic() > deadline:
                left = [(self.name(p), STUB in about(p, "environ")) for p in descendants()]
                return left or [("a process that cannot be named", False)]
            time.sleep(0.005)
        return []

    def name(self, pid: int) -> str:
        """Return what people call a process that the probe has left behind."""
        return command_line(pid)


def give_up(trouble: int, error: BaseException) -> NoReturn:
    """End the child that could not become the probe, and write to *trouble* why."""
    reason = f"the probe does not start: {error}"
    os.write(trouble, reason.encode(errors="replace")[:400])
    os._exit(127)


def descendants() -> list[int]:
    """Return the processes below this one, by their parents: a new session does not hide them."""
    children: dict[int, list[int]] = {}
    for pid, parent, state in processes():
        if state != "Z":
            children.setdefault(parent, []).append(pid)
    found = [os.getpid()]
    for pid in found:  # it grows on the way
        found += children.get(pid, [])
    return found[1:]


def processes() -> Iterator[tuple[int, int, str]]:
    """Yield the id, the parent's id and the state of every process."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        if fields := about(int(name), "stat").rpartition(b") ")[2].split():
            yield int(name), int(fields[1]), fields[0].decode()


def about(pid: int, name: str) -> bytes:
    """Return what the system says *about* a process in the file called *name*; it may be gone."""
    with suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()
    return b""


def command_line(pid: int) -> str:
    """Return the command of a process, for people."""
    argv = about(pid, "cmdline")[:400].rstrip(b"\0").replace(b"\0", b" ")
    return argv.decode(errors="backslashreplace") or f"process {pid}"


def signal_to(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended, or changed its user."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def kill_all() -> None:
    """Kill every process below this one, including those that start in the meantime."""
    deadline = time.monotonic() + GIVE_UP
    while reap() and time.monotonic() < deadline:
        for pid in descendants():
            signal_to(pid, signal.SIGKILL)
        time.sleep(0.002)


if __name__ == "__main__":
    main()
