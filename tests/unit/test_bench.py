"""The benchmarks count what they say they count."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue, select

BENCH = Path(__file__).parents[1] / "bench" / "bench.py"


def test_there_are_as_many_executions_as_are_asked_for(tmp_path: Path) -> None:
    """A file can hold a family: so many files would be several times so many executions."""
    spec = importlib.util.spec_from_file_location("bench", BENCH)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    executions = 400  # more than the catalogue has, so that files are copied again
    slot = contracts.load("slot")
    bundled = load_catalogue()
    directory = tmp_path / "scenarios" / "bench"
    directory.mkdir(parents=True)

    chosen = bench.copy_files(bundled, bench.local(bundled), executions, directory)

    copied = load_catalogue([directory.parent])
    run = select(copied, ["bench/*"], slot, containers=False)
    assert len(run) == len(chosen)
    largest = max(len([s for s in run if s.file == file]) for file in {s.file for s in run})
    assert executions <= len(chosen) < executions + largest
