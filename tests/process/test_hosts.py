"""Probes in Python that are forked: they start, see and end as a new interpreter does."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from factories import PATIENCE, ending
from msgspec.structs import replace

from conformance.drivers.local import callable_host
from conformance.drivers.local.hosts import Hosts, PythonScript, PythonTarget
from conformance.drivers.local.supervisor_client import KEEP_BYTES, Request, Supervisor
from conformance.drivers.local.view import View
from conformance.model.outcome import Outcome

VARIABLES = {"LANG": "C.UTF-8", "TZ": "UTC"}
ENV = {**VARIABLES, "PATH": "/usr/bin:/bin", "HOME": "/nowhere"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hosts")


@pytest.fixture(scope="module")
def hosts(place: Path) -> Iterator[Hosts]:
    hosts = Hosts(place, place / "own", VARIABLES)
    yield hosts
    hosts.close()


@pytest.fixture(scope="module")
def supervisor(place: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(place / "log")
    yield supervisor
    supervisor.close()


def said(outcome: Outcome) -> tuple[str, bytes, bytes]:
    return ending(outcome), outcome.stdout, outcome.stderr


# The end of a script, and all that shows of its start, as an interpreter has it

SCRIPTS = {
    "nothing": "",
    "exit": "import sys; sys.exit(66)",
    "exit-none": "import sys; sys.exit()",
    "exit-text": "import sys; sys.exit('no login')",
    "exit-tuple": "import sys; sys.exit((1, 2))",
    "exit-true": "import sys; sys.exit(True)",
    "exit-large": "import sys; sys.exit(256 + 65)",
    "exit-negative": "import sys; sys.exit(-1)",
    "exit-huge": "import sys; sys.exit(2 ** 70)",
    "hard-exit": "import os; print('lost', end=''); os._exit(65)",
    "raises": "def f():\n    raise ValueError('x')\nf()",
    "raises-within": "try:\n    {}['a']\nexcept KeyError as e:\n    raise RuntimeError from e",
    "raises-in-exit": "import sys\nclass E(SystemExit): pass\nraise E(64)",
    "no-python": "this is no Python",
    "warned": "print('\\d')",
    "own-hook": "import sys\nsys.excepthook = lambda *e: print('hook', e[0].__name__)\n1 / 0",
    "broken-hook": "import sys\nsys.excepthook = lambda *e: sys.exit(3)\n1 / 0",
    "raising-hook": "import sys\nsys.excepthook = lambda *e: {}[1]\n1 / 0",
    "interrupted": "raise KeyboardInterrupt",
    "interrupts-itself": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "aborts": "import os; os.abort()",
    "buffered": "print('a', end='')\nimport sys\nsys.stderr.write('b')",
    "order": "import os, sys\nprint('late')\nos.write(1, b'early ')",
    "closed-out": "import sys\nsys.stdout.close()",
    "no-out": "import os\nprint('lost')\nos.close(1)",
    "all-closed": "import os\nos.closerange(0, 256)\nos._exit(7)",
    "at-exit": "import atexit, sys\natexit.register(print, 'bye')\natexit.register(lambda: 1 / 0)\nsys.exit(5)",
    "thread": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(.05), print('done'))).start()",
    "daemon": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nprint('x')",
    "exit-in-thread": "import sys, threading\nthreading.Thread(target=sys.exit, args=(5,)).start()",
    "raises-in-thread": "import threading\nthreading.Thread(target=lambda: 1 / 0, name='t').start()",
    "open-file": "f = open('left', 'w')\nf.write('x')",
    "open-file-inside": "def f():\n    g = open('left', 'w')\n    g.write('x')\n    1 / 0\nf()",
    "last-words": "class A:\n    def __del__(self): print('gone')\na = A()\na.a = a",
    "streams": "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr): print(s.fileno(), s.encoding, s.errors, s.line_buffering, s.isatty(), s.name, s.mode)\nprint(repr(sys.stdin.read()))",
    "main": "import sys, __main__\nprint(__name__, __file__, __doc__, __package__, __spec__, type(__builtins__), sorted(vars(__main__)), sys.argv, __main__ is sys.modules['__main__'])",
    "path": "import sys\nprint(sys.path, sys.flags, sys.dont_write_bytecode, sys.executable, sys.flags.isolated)",
    "environment": "import os, posix, subprocess\nprint(sorted(os.environ.items()), sorted(posix.environ.items()))\nsubprocess.run(['env'])",
    "process": "import os, signal\nprint(os.getcwd(), os.umask(0), os.getsid(0) == os.getpid(), os.listdir('/proc/self/fd'), signal.pthread_sigmask(0, []))",
    "signals": "import signal\nprint([(n, signal.getsignal(n)) for n in sorted(signal.valid_signals())])",
    "collector": "import gc\nprint(gc.isenabled(), gc.get_threshold())",
    "limits": "import resource\nprint([(n, resource.getrlimit(getattr(resource, n))) for n in dir(resource) if n.startswith('RLIMIT')])",
    "recursion": "import sys\nprint(sys.getrecursionlimit(), sys.getswitchinterval(), sys.gettrace(), sys.getprofile(), sys.excepthook is sys.__excepthook__)",
    "threads": "import threading\nprint(threading.active_count(), threading.current_thread() is threading.main_thread(), threading.main_thread().name)",
    "time": "import time, locale\nprint(time.tzname, time.localtime(0), locale.setlocale(locale.LC_ALL))",
    "chance": "import random, sys\nprint(random.random() != random.random())",
    "future": "print(1 / 2, __import__('__future__').annotations.compiler_flag & 0)",
    "child": "import subprocess\nprint(subprocess.run(['/bin/sh', '-c', 'trap; exit 3']).returncode)",
    "processes": "import multiprocessing as m\nif __name__ == '__main__':\n    p = m.get_context('fork').Process(target=print, args=('child',))\n    p.start(); p.join(); print(p.exitcode)",
    "asyncio": "import asyncio\nasync def f():\n    p = await asyncio.create_subprocess_exec('/bin/true')\n    return await p.wait()\nprint(asyncio.run(f()))",
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_ends_as_it_does_in_a_new_interpreter(
    place: Path, hosts: Hosts, supervisor: Supervisor, name: str
) -> None:
    program = place / "script.py"
    program.write_text(f"{SCRIPTS[name]}\n# {name}\n")
    here = place / name
    here.mkdir()
    request = Request(
        argv=(sys.executable, "-I", str(program)), env=ENV, cwd=str(here), seconds=PATIENCE
    )

    expected = said(supervisor.run(request))
    written = {file.name: file.read_text() for file in here.iterdir()}
    for file in here.iterdir():
        file.unlink()
    os.utime(program, (time.time(), time.time()))
    linked = place / f"{name}.py"
    program.rename(linked)
    request = Request(
        argv=request.argv,
        env=ENV,
        cwd=str(here),
        seconds=PATIENCE,
        target=PythonScript(str(linked)),
    )
    found = said(hosts.run(request))

    def plain(said: tuple[str, bytes, bytes]) -> tuple[str, ...]:
        words: tuple[str, ...] = said[0], said[1].decode(), said[2].decode()
        words = tuple(word.replace(str(linked), str(program)) for word in words)
        return tuple(re.sub("0x[0-9a-f]+", "0x…", word) for word in words)

    assert plain(found) == plain(expected)
    assert {file.name: file.read_text() for file in here.iterdir()} == written


def test_a_script_takes_apart_nothing_that_the_process_it_comes_from_holds(
    place: Path, hosts: Hosts
) -> None:
    # A fork that frees what it shares has to copy it first: all scripts that were compiled before.
    script = place / "looks_below.py"
    script.write_text(
        "import sys\n"
        "class Last:\n"
        "    below = [sys._getframe(1).f_back.f_back.f_globals]\n"
        "    def __del__(self):\n"
        "        print(*(name for name, held in self.below[0].items() if held is None))\n"
        "        print(len(self.below[0]['_compiled']) > 0)\n"
        "last = Last()\n"
    )
    request = Request(
        argv=(sys.executable, "-I", str(script)),
        env=ENV,
        cwd=str(place),
        seconds=PATIENCE,
        target=PythonScript(str(script)),
    )

    outcome = hosts.run(request)

    assert outcome.stderr == b""
    gone, kept = outcome.stdout.decode().splitlines()
    assert {*gone.split()} <= {"__package__", "__spec__", "__doc__", "__cached__"}
    assert kept == "True"


# What a callable says

MODULE = """\
import argparse
import asyncio
import atexit
import enum
import os
import socket
import subprocess
import sys
import threading
import time

count = 0


class Code(enum.IntEnum):
    BROKEN = 64


class Reasons(tuple):
    pass


async def waits():
    await asyncio.sleep(0)
    return 66


async def waits_and_exits():
    sys.exit(65)


def parses():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quiet", action="store_true")
    parser.parse_args()
    print(sys.argv)
    return 0


def counts():
    global count
    count += 1
    os.environ["SEEN"] = "1"
    print(count, sorted(os.listdir("/tmp")), threading.active_count(), __name__, sys.modules["__main__"])
    open("/tmp/seen", "w").close()


def shuts_all():
    os.closerange(0, 256)
    return "x"


def comes_back_twice():
    if os.fork() == 0:
        return "x"
    os.wait()
    return 5


def leaves():
    subprocess.Popen(["sleep", "60"], start_new_session=True)


def leaves_a_fork():
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)


def floods():
    sys.stdout.write("x" * 4_000_000)


def calls():
    socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), 5)


def registers():
    atexit.register(print, "bye")
    return 65


class Group:
    @staticmethod
    def broken():
        return 64


RETURNS = {
    "none": None, "zero": 0, "code": 65, "large": 256 + 65, "negative": -1, "enum": Code.BROKEN, "text": "no login",
    "true": True, "false": False, "pair": (True, "fine"), "unsure": (False, "no login"), "bare": (False, None),
    "three": (True, "a", "b"), "float": 0.0, "dict": {"secret": "sk-1"}, "named": Reasons(("a", "b")),
}
for name, value in RETURNS.items():
    globals()[f"returns_{name}"] = lambda value=value: value
"""


@pytest.fixture(scope="module")
def project(place: Path) -> Path:
    project = place / "project"
    project.mkdir()
    (project / "answers.py").write_text(MODULE)
    return project


def call(
    project: Path, name: str, truth: tuple[int, int] | None = None, **fields: object
) -> Request:
    """Return a request that calls *name* of the module above, as the command by hand or in a fork."""
    codes = (f"{truth[0]},{truth[1]}",) if truth else ()
    argv = (sys.executable, "-I", callable_host.__file__, "answers", name, str(project), *codes)
    target = PythonTarget(module="answers", name=name, directory=str(project), truth=truth)
    values = {"env": ENV, "cwd": "/", "seconds": PATIENCE, **fields}
    return Request(argv=argv, target=target, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "truth", "code", "crash"),
    [
        ("returns_none", None, 0, ""),
        ("returns_none", (0, 1), 0, ""),
        ("returns_zero", (5, 6), 0, ""),
        ("returns_code", None, 65, ""),
        ("returns_large", None, 65, ""),
        ("returns_negative", None, 255, ""),
        ("returns_enum", None, 64, ""),
        ("returns_true", (5, 6), 5, ""),
        ("returns_false", (5, 6), 6, ""),
        ("returns_pair", (0, 1), 0, ""),
        ("returns_unsure", (0, 1), 1, ""),
        ("returns_bare", (0, 1), 1, ""),
        ("Group.broken", None, 64, ""),
        ("waits", None, 66, ""),
        ("waits_and_exits", None, 65, ""),
        ("registers", None, 65, ""),
        ("parses", None, 0, ""),
        ("returns_true", None, 1, "True, and nothing says which exit code that means; --truth TRUE,FALSE does"),
        ("returns_unsure", None, 1, "a pair with a truth value, and nothing says which exit code that means; --truth TRUE,FALSE does"),
        ("returns_text", None, 1, "an object of the type str, which is no exit code"),
        ("returns_three", (0, 1), 1, "an object of the type tuple, which is no exit code"),
        ("returns_float", (0, 1), 1, "an object of the type float, which is no exit code"),
        ("returns_dict", (0, 1), 1, "an object of the type dict, which is no exit code"),
        ("returns_named", None, 1, "an object of the type answers.Reasons, which is no exit code"),
        ("shuts_all", None, 1, "an object of the type str, which is no exit code"),
        ("comes_back_twice", None, 5, ""),
    ],
)  # fmt: skip
def test_a_callable_answers_as_the_script_of_an_entry_point(
    project: Path,
    hosts: Hosts,
    supervisor: Supervisor,
    name: str,
    truth: tuple[int, int] | None,
    code: int,
    crash: str,
) -> None:
    request = call(project, name, truth)

    by_hand, forked = supervisor.run(replace(request, target=None)), hosts.run(request)

    said = f"answers:{name} returned {crash}" if crash else ""
    assert (forked.code, forked.crash) == (code, said)
    if name != "shuts_all":  # by hand it cannot say what it returned
        assert (by_hand.code, by_hand.stdout) == (code, forked.stdout)
    if not crash and name != "comes_back_twice":
        assert by_hand.stderr == forked.stderr


def test_the_reason_of_a_truth_value_is_said_on_stderr(project: Path, hosts: Hosts) -> None:
    assert hosts.run(call(project, "returns_unsure", (0, 1))).stderr == b"no login\n"
    assert hosts.run(call(project, "returns_bare", (0, 1))).stderr == b""


def test_no_value_of_an_answer_is_shown(project: Path, hosts: Hosts) -> None:
    outcome = hosts.run(call(project, "returns_dict"))

    assert b"sk-1" not in outcome.stdout + outcome.stderr + outcome.crash.encode()


# What is around it


def test_every_call_finds_the_module_as_it_was_imported(project: Path, hosts: Hosts) -> None:
    """Two calls see nothing of each other: not in memory, not in the environment, not in /tmp."""
    view = View(mounts=(("/tmp", 0o1777), (str(project), -1)))
    request = call(project, "counts", view=view)
    assert isinstance(request.target, PythonTarget)

    assert hosts.facts(request.target, view)["anew"] == ""
    found = [hosts.run(request).stdout.decode() for _ in range(3)]

    inside = sorted(
        {project.relative_to("/tmp").parts[0]} if project.is_relative_to("/tmp") else ()
    )
    assert found == [f"1 {inside} 1 answers <module '__main__'>\n"] * 3


def test_what_it_leaves_behind_is_found_and_ended(project: Path, hosts: Hosts) -> None:
    assert hosts.run(call(project, "leaves")).left == ("sleep 60",)
    [fork] = hosts.run(call(project, "leaves_a_fork")).left
    assert re.fullmatch(r"a fork of the probe \(process \d+\)", fork)
    pid = re.sub(r"\D", "", fork)
    assert not Path(f"/proc/{pid}").exists()


def test_a_call_that_hangs_is_ended_in_time(place: Path, hosts: Hosts) -> None:
    (place / "hangs.py").write_text(
        "import time\ndef main():\n    while True:\n        try: time.sleep(60)\n        except BaseException: pass\n"
    )
    target = PythonTarget(module="hangs", name="main", directory=str(place))
    started = time.monotonic()

    outcome = hosts.run(Request(argv=("x",), env=ENV, cwd="/", seconds=0.3, target=target))

    assert (ending(outcome), time.monotonic() - started < PATIENCE / 2) == ("timed out", True)


def test_output_is_kept_in_bounds(project: Path, hosts: Hosts) -> None:
    outcome = hosts.run(call(project, "floods"))

    assert (len(outcome.stdout), outcome.truncated, outcome.code) == (KEEP_BYTES, True, 0)


def test_it_has_no_network(project: Path, hosts: Hosts, supervisor: Supervisor) -> None:
    if supervisor.start()["network"]:
        pytest.skip("the network cannot be cut here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        env = {**ENV, "PORT": str(server.getsockname()[1])}

        outcome = hosts.run(call(project, "calls", env=env))

    assert (outcome.code, b"Network is unreachable" in outcome.stderr) == (1, True)


def test_a_directory_that_is_not_there_is_no_fault_of_the_probe(
    project: Path, hosts: Hosts
) -> None:
    outcome = hosts.run(call(project, "counts", cwd="/no/such"))

    assert (
        ending(outcome)
        == "broke: the probe does not start: [Errno 2] No such file or directory: b'/no/such'"
    )


def test_many_at_once(project: Path, hosts: Hosts) -> None:
    names = ["returns_code", "waits", "Group.broken", "returns_text"] * 8
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda name: hosts.run(call(project, name)), names))

    assert [outcome.code for outcome in outcomes] == [65, 66, 64, 1] * 8
    assert [bool(outcome.crash) for outcome in outcomes] == [False, False, False, True] * 8


# What a module reads while it is imported

IMPORTS = {
    "nothing": ("import json, logging, subprocess, tempfile, uuid, random, datetime", "", ""),
    "home": ("import os\nseen = os.environ['HOME']", "fails where there is no scenario: KeyError", "/home/x"),
    "home-default": ("import os\nseen = os.environ.get('HOME')", "reads HOME", "/home/x"),
    "getenv": ("import os\nseen = os.getenv('HOME', '')", "reads HOME", "/home/x"),
    "bytes": ("import os\nseen = os.environb.get(b'HOME')", "reads HOME", "b'/home/x'"),
    "expanduser": ("import os\nseen = os.path.expanduser('~/a')", "reads HOME", "/home/x/a"),
    "path-home": ("from pathlib import Path\nseen = str(Path.home())", "reads HOME", "/home/x"),
    "in": ("import os\nseen = 'HOME' in os.environ", "reads HOME", "True"),
    "which": ("import shutil\nseen = shutil.which('env')", "reads PATH", "/usr/bin/env"),
    "copy": ("import os\nseen = dict(os.environ)['HOME']", "reads the whole environment", "/home/x"),
    "debug": ("import os\nseen = os.environ.get('NOT_SET_ANYWHERE')", "", "None"),
    "same": ("import os\nseen = os.environ['TZ']", "", "UTC"),
    "sets": ("import os\nos.environ['A'] = 'b'\nseen = 1", "changes the environment", "1"),
    "putenv": ("import os\nos.putenv('A', 'b')\nseen = 1", "changes the environment", "1"),
    "directory": ("import os\nseen = os.getcwd()", "asks for the current directory", "/"),
    "relative": ("import os\nseen = os.path.exists('etc')", "asks for the current directory", "True"),
    "beside": ("import os\nseen = open(os.path.join(os.path.dirname(__file__), 'data.txt')).read()", "", "x"),
    "resolved": ("from pathlib import Path\nseen = (Path(__file__).resolve().parent / 'data.txt').exists()", "", "True"),
    "opens": ("seen = open('/proc/uptime').read() and 1", "opens /proc/uptime", "1"),
    "exists": ("import os\nseen = os.path.exists('/home/x/.claude')", "looks at /home/x/.claude", "False"),
    "access": ("import os\nseen = os.access('/home/x', os.R_OK)", "looks at /home/x", "False"),
    "lists": ("import os\nseen = bool(os.listdir('/'))", "lists /", "True"),
    "globs": ("import glob\nseen = bool(glob.glob('/proc/*'))", "lists /proc/*", "True"),
    "writes": ("seen = open('/dev/shm/conformance-x', 'w').write('x')", "opens /dev/shm/conformance-x for writing", "1"),
    "makes": ("import os, tempfile\nseen = bool(tempfile.mkdtemp())", "asks for the number of its process", "True"),
    "time": ("import time\nseen = time.time() > 0", "reads the clock", "True"),
    "time-alias": ("from time import monotonic as m\nseen = m() > 0", "reads the clock", "True"),
    "now": ("import datetime as d\nseen = d.datetime.now(d.UTC) > d.datetime(2020, 1, 1, tzinfo=d.UTC)", "reads the clock", "True"),
    "today": ("from datetime import date\nseen = date.today() > date(2020, 1, 1)", "reads the clock", "True"),
    "uuid": ("import uuid\nseen = bool(uuid.uuid4())", "draws random numbers", "True"),
    "random": ("import random\nrandom.seed(3)\nseen = 1", "draws random numbers", "1"),
    "token": ("import secrets\nseen = len(secrets.token_hex(4))", "draws random numbers", "8"),
    "binds": ("import socket\nseen = bool(socket.socket().bind(('127.0.0.1', 0)) is None)", "", "True"),
    "binds-elsewhere": ("import socket\nseen = bool(socket.socket().bind(('0.0.0.0', 0)) is None)", "uses the network", "True"),
    "library": ("import rich.console\nseen = 1", "asks for the current directory", "1"),
    "pid": ("import os\nseen = os.getpid() > 1", "asks for the number of its process", "True"),
    "process": ("import subprocess\nseen = subprocess.run(['/bin/true']).returncode", "starts a process", "0"),
    "system": ("import os\nseen = os.system('true')", "starts a process", "0"),
    "fork": ("import os\npid = os.fork()\nif not pid: os._exit(0)\nseen = os.waitpid(pid, 0)[1]", "starts a process", "0"),
    "thread": ("import threading\nt = threading.Thread(target=print)\nt.start(); t.join()\nseen = 1", "starts a thread", "\n1"),
    "prints": ("print('hello')\nseen = 1", "prints something", "hello\n1"),
    "handles": ("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nseen = 1", "handles signals", "1"),
    "umask": ("import os\nos.umask(0o77)\nseen = 1", "changes the umask", "1"),
    "chdir": ("import os\nos.chdir('/usr')\nseen = os.getcwd()", "changes the directory", "/usr"),
    "patches": ("import os\nos.fork = None\nseen = 1", "replaces os.fork", "1"),
    "keeps-open": ("import os\nseen = os.open('/dev/null', 0) > 0", "keeps files open", "True"),
    "default-timeout": ("import socket\nsocket.setdefaulttimeout(3)\nseen = 1", "changes how long sockets wait", "1"),
    "ctypes": ("import ctypes\nseen = bool(ctypes.CDLL(None).getenv)", "calls C functions through ctypes", "True"),
    "exits": ("import sys\nseen = 1\nsys.exit(66)", "fails where there is no scenario: SystemExit", "exited 66"),
    "ends": ("import os\nseen = 1\nos._exit(66)", "ends the process", "exited 66"),
    "shadows": ("import fnmatch, queue\nseen = (fnmatch.here, queue.here)", "", "(1, 2)"),
}  # fmt: skip


@pytest.mark.parametrize("name", IMPORTS)
def test_a_module_is_imported_once_only_where_that_shows_nowhere(
    place: Path, hosts: Hosts, name: str
) -> None:
    source, reason, expected = IMPORTS[name]
    directory = place / f"imports-{name}"
    directory.mkdir()
    module = f"m_{name.replace('-', '_')}"
    (directory / f"{module}.py").write_text(
        f"{source}\n\ndef main():\n    import sys\n    print({'seen' if expected else '1'})\n"
    )
    (directory / "data.txt").write_text("x")
    (directory / "fnmatch.py").write_text("here = 1")
    (directory / "queue.py").write_text("here = 2")
    target = PythonTarget(module=module, name="main", directory=str(directory))
    env = {**ENV, "HOME": "/home/x"}
    request = Request(argv=("x",), env=env, cwd="/", seconds=PATIENCE, target=target)

    # What is installed may lie below /tmp as well.
    kept = [(path, -1) for path in {str(place), sys.prefix} if path.startswith("/tmp/")]
    facts = hosts.facts(
        target, View(mounts=(("/dev/shm", 0o1777), ("/tmp", 0o1777), *kept, (str(place), -1)))
    )
    outcome = hosts.run(request)

    assert next(hosts.differences(target, facts, request), "") == reason
    shown = outcome.stdout.decode().rstrip("\n") if outcome.code == 0 else ending(outcome)
    assert shown == (expected or "1"), outcome.stderr
