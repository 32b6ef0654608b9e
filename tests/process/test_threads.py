"""Several threads that are the first to read something: msgspec does not bear that, so that we have to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Two workers ask for the first time, while a result comes in.
ASKING = """\
import threading
from pathlib import Path

import msgspec

from conformance.run.head_start import HeadStartClient, HeadStartServer, HeadStart
from conformance.model.outcome import Finding, ScenarioResult
from factories import entry, exited, ran, scenario

scenarios = [scenario(entry("a"), id_=f"a/{n}") for n in range(3)]
late = {"kind": "timed-out", "message": "late"}
result = {"id": "a/0", "agent": "claude", "expected": [], "result": "deviates", "findings": [late]}


def once(number):
    path = Path(f"early-{number}").absolute()
    starts = HeadStart(lambda scenario, number: ran(exited(0)), 4)
    HeadStartServer(starts, path)
    together = threading.Barrier(3)

    def ask():
        client = HeadStartClient(path)
        together.wait()
        client.start(scenarios, 1)
        assert client.wait("a/0") == [ran(exited(0))]

    workers = [threading.Thread(target=ask) for _ in range(2)]
    for worker in workers:
        worker.start()
    together.wait()
    assert msgspec.convert(result, ScenarioResult).findings == (Finding(**late),)
    for worker in workers:
        worker.join()
"""

#: Several threads read a file of the same shape, as those do that run the CLI's stubs.
READING = """\
import threading

from conformance.catalogue.schema import LayerFile
from conformance.catalogue.toml import convert

layer = {"summary": "A layer", "files": {"a": "text"}}


def once(number):
    together = threading.Barrier(4)
    found = []

    def read():
        together.wait()
        found.append(convert(layer, LayerFile, name="a.toml").files)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [layer["files"]] * 4
"""

#: Does so again and again, each time in a process that has read nothing before.
AGAIN = """
import os, sys

sys.setswitchinterval(1e-6)
for n in range(60):
    if pid := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    else:
        once(n)
        os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("program", [ASKING, READING], ids=["asking", "reading"])
def test_concurrent_first_reads_are_safe(tmp_path: Path, program: str) -> None:
    words = [sys.executable, "-c", program + AGAIN]
    env = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[1])}  # of the factories
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout.split() == ["0"] * 60
