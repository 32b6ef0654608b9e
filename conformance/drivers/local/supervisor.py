"""The process between the suite and a probe. Started once per worker as ``python -I -S supervisor.py FD``.

It is a program of its own, standard library only, because what it does to itself (a network of its own, fewer
capabilities) must not happen to the process that runs the tests, and because a small process forks fast: a probe
costs two forks here, instead of a chain of wrapper programs.

It forks *keepers*, which run one probe after the other, one at a time. A keeper adopts every process its probe leaves
behind (``PR_SET_CHILD_SUBREAPER``), so it can find them although they left their process group or session, and it ends
them all when the probe has ended, when the time is up, when the suite goes away (its connection closes) and when the
supervisor is killed (``PR_SET_PDEATHSIG``).

For each keeper that it wants, the suite sends a byte with a descriptor over the socket FD. On that descriptor go
marshalled requests and come marshalled replies, each after its length: dictionaries, see
:class:`conformance.drivers.local.supervisor_client.Request` and :class:`conformance.model.outcome.Outcome`.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import marshal
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER = 1, 24, 36
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
CAPABILITY_VERSION_3 = 0x20080522

#: Seconds that a process gets between interrupt, terminate and kill.
GRACE = 0.5
#: Seconds after which a process is said to be left behind; one that is just about to end is not.
SETTLE = 0.25
#: Seconds after which even a process that was killed is given up, because the kernel does not let it go.
GIVE_UP = 5.0

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Serve requests until the suite closes its end."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What is ignored or blocked stays so in the programs that are started: by Python, which ignores two, or by what
    # started the suite, such as nohup, or a shell in the background.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    # For the keepers, which only need to be woken up by them.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    gc.disable()
    gc.freeze()
    channel.sendall(marshal.dumps({"network": cut_network(), "capabilities": drop_capabilities()}))
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not data:
            break
        os.set_inheritable(descriptors[0], False)  # a probe must not hold the line on which it is judged
        if os.fork() == 0:
            channel.close()
            keep(socket.socket(fileno=descriptors[0]))
            os._exit(0)
        os.close(descriptors[0])
        reap()
    # The keepers see their connections close, and clean up; leaving earlier would kill them in the middle of it.
    while reap(wait=True):
        pass


def reap(*, wait: bool = False) -> bool:
    """Collect children that have ended; return whether any is left."""
    try:
        while os.waitpid(-1, 0 if wait else os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def call(function: Any, *arguments: Any) -> None:
    """Call a function of the C library that answers 0 for success."""
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def cut_network() -> str:
    """Move into a network without any interface; return an empty string, or why that is not possible here."""
    uid, gid = os.geteuid(), os.getegid()

    def with_user_namespace() -> None:
        call(libc.unshare, CLONE_NEWUSER | CLONE_NEWNET)
        for name, content in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(content)

    reason = ""

    def alone() -> None:
        call(libc.unshare, CLONE_NEWNET)

    for attempt in (alone, with_user_namespace):
        # A namespace half set up cannot be left again, so a child tries first.
        if reason := tried(attempt):
            continue
        attempt()
        return ""
    return reason


def tried(attempt: Callable[[], None]) -> str:
    """Return why *attempt* fails in a child of this process, or an empty string."""
    pid = os.fork()
    if pid == 0:
        try:
            attempt()
        except OSError as e:
            os._exit(min(e.errno or 255, 255))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return os.strerror(code) if code else ""


def drop_capabilities() -> str:
    """Give up the two capabilities that let root read what its mode forbids; return why that failed, or an empty string.

    They leave the bounding set, so that no program started from here gets them back, and this process's own sets, so
    that it can check conditions as the probe will find them.
    """
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then the same for numbers over 31
    try:
        call(libc.capget, header, sets)
        if os.geteuid() == 0 or sets[1] & (1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH):
            for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
                call(libc.prctl, PR_CAPBSET_DROP, capability, 0, 0, 0)
            for index in range(3):
                sets[index] &= ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH) & 0xFFFFFFFF
            call(libc.capset, header, sets)
    except OSError as e:
        return e.strerror or str(e)
    return ""


def keep(connection: socket.socket) -> None:
    """Run the probes that *connection* asks for, and answer on it, until it is closed."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wakeup, alarm = socket.socketpair()
    alarm.setblocking(False)
    signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    while True:
        request = marshal.loads(receive(connection, int.from_bytes(receive(connection, 4), "big")))
        reason = unmet(request["checks"])
        reply = marshal.dumps({"unsupported": reason} if reason else Probe(request, connection, wakeup).run())
        connection.sendall(len(reply).to_bytes(4, "big") + reply)


def receive(connection: socket.socket, size: int) -> bytes:
    """Return exactly *size* bytes; a keeper whose suite has gone, or needs it no longer, ends."""
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            os._exit(0)
        data += chunk
    return bytes(data)


def unmet(checks: list[tuple[str, bytes]]) -> str:
    """Return which condition of the home does not hold for the user the probe runs as, or an empty string."""
    for condition, path in checks:
        if condition == "readable":
            if not os.access(path, os.R_OK, effective_ids=True):
                name = path.decode(errors="backslashreplace")
                return f"{name} cannot be read by uid {os.geteuid()} without CAP_DAC_OVERRIDE; let others read it"
            continue
        try:
            if condition == "unsearchable":
                os.lstat(path + b"/.")
            else:
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
        except PermissionError:
            continue
        except OSError as e:
            return f"{path.decode(errors='backslashreplace')} should be {condition}, but: {e.strerror}"
        return f"{path.decode(errors='backslashreplace')} is not {condition} for uid {os.geteuid()}"
    return ""


class Probe:
    """One run of a probe."""

    def __init__(self, request: dict[str, Any], connection: socket.socket, wakeup: socket.socket) -> None:
        self.request = request
        self.connection = connection
        self.wakeup = wakeup
        self.pid = 0
        self.status: int | None = None
        self.ended = 0.0
        self.output: dict[int, bytearray] = {}
        self.truncated = False
        self.cancelled = False

    def run(self) -> dict[str, Any]:
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
        self.drain(list(self.output))
        os.close(out)
        os.close(err)
        reply: dict[str, Any] = {
            "stdout": bytes(self.output[out]),
            "stderr": bytes(self.output[err]),
            "truncated": self.truncated,
            "seconds": (self.ended or time.monotonic()) - started,
            "left": left,
        }
        code = os.waitstatus_to_exitcode(self.status) if self.status is not None else 0
        if failure or self.cancelled:
            reply["broke"] = failure or "cancelled while the probe ran"
        elif not in_time:
            reply["timed_out"] = True
        elif code < 0:
            reply["signal"] = -code
        else:
            reply["code"] = code
        return reply

    def start(self, out: int, err: int) -> str:
        """Fork and execute; return why that failed, or an empty string."""
        trouble, trouble_end = os.pipe()  # closed by a successful exec
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
                os.dup2(out, 1)
                os.dup2(err, 2)
                os.chdir(self.request["cwd"])
                os.execve(self.request["argv"][0], self.request["argv"], self.request["env"])
            except BaseException as e:
                os.write(trouble_end, f"the probe does not start: {e}".encode(errors="replace")[:400])
            os._exit(127)
        os.close(trouble_end)
        failure = os.read(trouble, 400).decode(errors="replace")
        os.close(trouble)
        return failure

    def wait_until(self, deadline: float, *, cancellable: bool = False) -> bool:
        """Wait for the end of the probe, reading what it prints; return False when it is still there at *deadline*.

        A *cancellable* wait also ends when the suite goes away, or the supervisor does.
        """
        poll = select.poll()
        for fd in self.output:
            poll.register(fd, select.POLLIN)
        poll.register(self.wakeup, select.POLLIN)
        if cancellable:
            poll.register(self.connection, select.POLLIN)
        while not self.reaped():
            rest = deadline - time.monotonic()
            if rest <= 0:
                return False
            ready = [fd for fd, _ in poll.poll(rest * 1000 + 1)]
            for fd in self.drain([fd for fd in ready if fd in self.output]):
                poll.unregister(fd)
            gone = self.wakeup.fileno() in ready and signal.SIGTERM in self.wakeup.recv(64)
            if cancellable and (gone or self.connection.fileno() in ready):
                self.cancelled = True
                return False
        return True

    def reaped(self) -> bool:
        """Collect the probe if it has ended; return whether it has."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status, self.ended = status, time.monotonic()
        return self.status is not None

    def drain(self, descriptors: list[int]) -> list[int]:
        """Read what is there; keep a bounded part of it. Return the descriptors that are at their end."""
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
        """Interrupt, then terminate the probe and all it started; :func:`kill_all` is the last step."""
        for number in (signal.SIGINT, signal.SIGTERM):
            for pid in {self.pid, *descendants()} if self.status is None else descendants():
                signal_to(pid, number)
            self.wait_until(time.monotonic() + GRACE)

    def left_behind(self) -> list[str]:
        """Return the command lines of what is still alive a moment after the probe has ended."""
        deadline = time.monotonic() + SETTLE
        while reap():
            self.drain(list(self.output))  # or it waits for us, and we for it
            if time.monotonic() > deadline:
                return [command_line(pid) for pid in descendants()] or ["a process that cannot be named"]
            time.sleep(0.005)
        return []


def descendants() -> list[int]:
    """Return the processes below this one, found by their parents: a session of their own does not hide them."""
    children: dict[int, list[int]] = {}
    for pid, parent, state in processes():
        if state != "Z":
            children.setdefault(parent, []).append(pid)
    found, pending = [], [os.getpid()]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def processes() -> Iterator[tuple[int, int, str]]:
    """Yield the id, the parent's id and the state of every process."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b") ")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            yield int(name), int(fields[1]), fields[0].decode()


def command_line(pid: int) -> str:
    """Return the command of a process, for people."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(400).rstrip(b"\0").split(b"\0")
    except OSError:
        return f"process {pid}"
    return b" ".join(words).decode(errors="backslashreplace") or f"process {pid}"


def signal_to(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except OSError as e:
        if e.errno != errno.EPERM:  # a program that changed its user
            raise


def kill_all() -> None:
    """Kill every process below this one, also those that are started meanwhile."""
    deadline = time.monotonic() + GIVE_UP
    while reap() and time.monotonic() < deadline:
        for pid in descendants():
            signal_to(pid, signal.SIGKILL)
        time.sleep(0.002)


if __name__ == "__main__":
    main()
