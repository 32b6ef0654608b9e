"""What several test files share."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

ROOT = os.geteuid() == 0
NOBODY = 65534


def as_plain_user(place: Path, work: Callable[[], object]) -> None:
    """Call *work* in a child process that is not root and stands in *place*; fail with what it raised."""
    if ROOT:
        os.chown(place, NOBODY, NOBODY)
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of any fork beside threads
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
