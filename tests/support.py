"""What several test files share."""

from __future__ import annotations

import os
import signal
import subprocess
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

ROOT = os.geteuid() == 0
NOBODY = 65534

T = TypeVar("T")


def not_in_turn(cases: Iterable[tuple[str, int]], day: int) -> set[str]:
    """Return which *cases* of tests are left out on a *day*; each is a node id, and that one in how many runs.

    So many days in a row run each of them once. Each test begins its round on a day of its own, so that all days have much the
    same to do.
    """
    seen: Counter[str] = Counter()
    left_out = set()
    for node_id, one_in in cases:
        test = node_id.partition("[")[0]
        if (zlib.crc32(test.encode()) + seen[test] + day) % one_in:
            left_out.add(node_id)
        seen[test] += 1
    return left_out


def shared_out(things: Sequence[T], workers: int, slow: Callable[[T], bool]) -> list[T]:
    """Return *things* so that each of the equal parts, one for each of the *workers*, begins with its share of *slow* ones."""
    first, then = [one for one in things if slow(one)], [one for one in things if not slow(one)]
    found: list[T] = []
    for number in range(workers):
        share = first[len(first) * number // workers : len(first) * (number + 1) // workers]
        room = len(things) * (number + 1) // workers - len(found) - len(share)
        found += [*share, *then[:room]]
        del then[:room]
    return found


def interruptible() -> None:
    """Let SIGINT do what it does to a program started at a terminal; for use as ``preexec_fn``.

    Where the caller of the tests ignores it (a background job of a script, ``nohup``, some CI
    runners), everything that they start would ignore it as well.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a program that can be interrupted, whatever the caller of the tests ignores."""
    # Between fork and exec it sets one signal, which is safe beside threads.
    return subprocess.Popen(argv, preexec_fn=interruptible, **options)  # noqa: PLW1509


def as_plain_user(place: Path, work: Callable[[], object]) -> None:
    """Call *work* in a child process that is not root and stands in *place*; fail with what it raised."""
    if ROOT:
        os.chown(place, NOBODY, NOBODY)
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # newer Pythons warn of any fork beside threads
        pid = os.fork()
    if pid == 0:
        said = ""
        try:
            os.chdir(place)  # first: the way here may be closed to others
            if ROOT:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            work()
        except BaseException:
            said = traceback.format_exc()
        finally:
            os.write(writer, said.encode()[-50_000:])
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said_there = pipe.read().decode()
    os.waitpid(pid, 0)
    assert said_there == ""


def without(program: str) -> NoReturn:
    """Skip for want of *program*, or fail where that is not accepted."""
    if os.environ.get("CONFORMANCE_REQUIRE_LANGUAGES") == "1":
        pytest.fail(f"CONFORMANCE_REQUIRE_LANGUAGES=1, but {program} is not installed")
    pytest.skip(f"{program} is not installed")


def repeats(printed: str) -> list[str]:
    """Return the commands that repeat scenarios, as *printed* and as a shell would join their lines."""
    joined = printed.replace(" \\\n", " ")
    begins = "  repeat it with"
    return [line.removeprefix(begins) for line in joined.splitlines() if line.startswith(begins)]


def diagnoses(printed: str) -> list[str]:
    """Return what deviations have in common, as *printed*: each hint on one line."""
    parts = [part for part in printed.split("\n\n") if part.startswith("DIAGNOSIS ")]
    return [" ".join(part.split()).removeprefix("DIAGNOSIS ") for part in parts]
