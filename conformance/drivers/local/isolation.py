"""What the supervisor does to itself and its probes: namespaces, capabilities, inherited limits.

The supervisor is started with ``-I -S``, so this module too uses only the standard library.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import resource
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522
CLONE_NEWNS, CLONE_NEWIPC = 0x00020000, 0x08000000
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
AT_FDCWD, OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = -100, 1, 4
#: The numbers of system calls that the C library may lack; the first two are the same everywhere.
OPEN_TREE, MOVE_MOUNT = 428, 429
IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30}

#: The limits of a probe, soft and hard: those that the kernel gives its first process, and no core
#: dumps. What is missing here depends on the size of the machine, and gets its highest value.
UNLIMITED = resource.RLIM_INFINITY
LIMITS = {
    "CORE": (0, 0),
    "NOFILE": (1024, 4096),
    "STACK": (8 * 1024 * 1024, UNLIMITED),
    "CPU": (UNLIMITED, UNLIMITED),
    "FSIZE": (UNLIMITED, UNLIMITED),
    "DATA": (UNLIMITED, UNLIMITED),
    "AS": (UNLIMITED, UNLIMITED),
    "RSS": (UNLIMITED, UNLIMITED),
}
MOST = ("NPROC", "MEMLOCK", "MSGQUEUE", "SIGPENDING")

#: Numbers of ``ioctl`` for the flags of an interface, and the flag of one that is up.
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

libc = ctypes.CDLL(None, use_errno=True)


def call(function: Any, *arguments: Any) -> None:
    """Call a function of the C library that returns 0 for success."""
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


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


def cut_network() -> str:
    """Move into a network without interfaces; return why that fails here, or an empty string."""
    return moved(CLONE_NEWNET, lambda: None)


def bound_sockets(hosts: list[str]) -> list[socket.socket]:
    """Return a socket with a port at each of *hosts*, which are addresses of this machine.

    None of them listens yet. They belong to the network of this process, whoever gets them. In a
    network that was cut, the machine has such addresses from here on.

    :raises OSError: it cannot have one there.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, suppress(OSError):
        named = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, named))[1]
        if not flags & IFF_UP:
            up = struct.pack("16sh14x", b"lo", flags | IFF_UP)
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, up)
    found = []
    for host in hosts:
        found.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        found[-1].bind((host, 0))
    return found


def own_mounts() -> str:
    """Prepare for mounts that only the probes see; return why there can be none, or "".

    Nothing that is mounted from here on reaches the rest of the system.
    """

    def use() -> None:
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        anywhere = os.path.dirname(os.path.abspath(__file__))
        mount("tmpfs", anywhere, "tmpfs", MS_NOSUID | MS_NODEV)  # more may be forbidden than that
        call(libc.umount2, os.fsencode(anywhere), 0)

    return moved(CLONE_NEWNS | CLONE_NEWIPC, use)


def moved(flags: int, use: Callable[[], None]) -> str:
    """Move into new namespaces and *use* them; return why that fails here, or an empty string.

    A user without privileges may do that in a namespace for users. It holds the same user.
    """
    uid, gid = os.geteuid(), os.getegid()
    reason = ""

    def with_user_namespace() -> None:
        call(libc.unshare, CLONE_NEWUSER | flags)
        maps = {"setgroups": "deny", "uid_map": f"{uid} {uid} 1", "gid_map": f"{gid} {gid} 1"}
        for name, content in maps.items():
            with open(f"/proc/self/{name}", "w") as file:
                file.write(content)
        use()

    def alone() -> None:
        call(libc.unshare, flags)
        use()

    for attempt in (alone, with_user_namespace):
        # A half-made namespace cannot be left again, so a child tries first.
        if reason := tried(attempt):
            continue
        attempt()
        return ""
    return reason


def drop_capabilities() -> str:
    """Give up the capabilities that let root read what a mode forbids; return why it failed, or "".

    They leave the bounding set, so no program started from here gets them back. They also leave the
    sets of this process, so that it checks conditions as the probe will find them.
    """
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then those over 31
    both = 1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH
    try:
        call(libc.capget, header, sets)
        if os.geteuid() == 0 or sets[1] & both:
            for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
                call(libc.prctl, PR_CAPBSET_DROP, capability, 0, 0, 0)
            for index in range(3):
                sets[index] &= ~both & 0xFFFFFFFF
            call(libc.capset, header, sets)
    except OSError as e:
        return e.strerror or str(e)
    return ""


def reset_inherited() -> list[str]:
    """Undo what a process inherits from whoever started the suite; return what cannot be undone.

    Each line names one thing and its value. A user without privileges may lower some of them only.
    """
    os.umask(0o022)
    # Programs inherit ignored and blocked signals: from Python, which ignores two, or from what
    # started the suite, such as nohup or a shell in the background.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    libc.personality(0)
    kept = [line for name, limits in LIMITS.items() if (line := limit(name, *limits))]
    for name in MOST:
        which = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(which)
        resource.setrlimit(which, (hard, hard))
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    if nice := os.getpriority(os.PRIO_PROCESS, 0):
        kept.append(f"nice {nice}")
    if policy := os.sched_getscheduler(0):
        kept.append(f"scheduling policy {policy}")
    if (call_number := IOPRIO_SET.get(platform.machine())) is not None:
        libc.syscall(call_number, 1, 0, 0)  # the priority for disks follows that for processors
    try:
        with open("/proc/self/oom_score_adj") as file:
            usual = file.read().strip() == "0"
        if not usual:
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("0")
    except OSError as e:
        kept.append(f"oom_score_adj ({e.strerror})")
    return kept


def limit(name: str, soft: int, hard: int) -> str:
    """Set a limit as far as this user may; return what it is if it is another, or ""."""
    number = getattr(resource, f"RLIMIT_{name}")
    with suppress(OSError, ValueError):
        resource.setrlimit(number, (soft, hard))
        return ""
    _, most = resource.getrlimit(number)
    resource.setrlimit(number, (most, most))  # the caller's hard limit is below what it should be
    return f"RLIMIT_{name} {most}"


def mount(
    source: str | bytes | None,
    target: str | bytes,
    kind: str | None,
    flags: int,
    options: str | None = None,
) -> None:
    """Mount *source* on *target*: the system call of that name."""
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    call(libc.mount, *words, flags, None if options is None else options.encode())


def enter(view: dict[str, Any]) -> None:
    """Move this process into mounts of its own that show it *view*; see ``View`` in ``view.py``.

    They go away with the last process that sees them, however it ends.
    """
    call(libc.unshare, CLONE_NEWNS | CLONE_NEWIPC)
    # What is hidden below is reached through these.
    kept = {path: opened(path) for path, mode in view["mounts"] if mode < 0}
    covers = [(path, opened(source)) for path, source in view["covers"]]
    lasting = {path: opened(place) for path, place in lasting_places(view)}
    for path, mode in view["mounts"]:
        if path in lasting:
            mount(f"/proc/self/fd/{lasting[path]}", path, None, MS_BIND)
        elif mode >= 0:
            mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode:o}")
        elif kept[path] >= 0:
            make_mount_point(path, kept[path])
            mount(f"/proc/self/fd/{kept[path]}", path, None, MS_BIND | MS_REC)
    for path, target in view["links"]:
        with suppress(FileExistsError):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(target, path)
    for path, fd in covers:
        if fd >= 0:
            cover(path, fd)


def lasting_places(view: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """Yield each empty directory that is to outlast this run, and where its content lies."""
    if not view["lasting"]:
        return
    for number, (path, mode) in enumerate(view["mounts"]):
        if mode >= 0:
            place = view["lasting"] + b"/%d" % number
            os.makedirs(place, exist_ok=True)
            os.chmod(place, mode)
            yield path, place


def opened(path: bytes) -> int:
    """Return a descriptor that stands for *path*, or -1 if there is nothing."""
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return -1


def make_mount_point(path: bytes, fd: int) -> None:
    """Make *path*, of the kind of what *fd* stands for, if it is not there."""
    if os.path.isdir(f"/proc/self/fd/{fd}"):
        os.makedirs(path, exist_ok=True)
    elif not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def cover(path: bytes, fd: int) -> None:
    """Put the file that *fd* stands for over *path*: over a link itself, not what it leads to."""
    source = f"/proc/self/fd/{fd}".encode()
    tree = libc.syscall(OPEN_TREE, AT_FDCWD, source, OPEN_TREE_CLONE | os.O_CLOEXEC)
    if tree >= 0:
        done = libc.syscall(MOVE_MOUNT, tree, b"", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH)
        os.close(tree)
        if done == 0 or not os.path.lexists(path):
            return
    # An old kernel only covers what a link leads to, which may be more than one program.
    if os.path.islink(path):
        raise OSError(0, "the kernel cannot hide a link", path)
    if os.path.exists(path):
        mount(source, path, None, MS_BIND)
