"""What all tests of the suite share."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import docker
import pytest

from conformance import catalog, contracts, images
from conformance.drivers.container.client import connect
from conformance.errors import CannotJudge
from conformance.model import Contract, Scenario
from conformance.resources import scenarios_dir


def pytest_xdist_auto_num_workers() -> int:
    """Let ``-n auto`` start two workers for each processor: what tests start often has to wait."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a cache directory of its own, so that runs of different tests do not clean up after each other."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(cache))
    return cache


@pytest.fixture(scope="session")
def bundled_scenarios() -> dict[Path, list[Scenario]]:
    """Return the bundled scenarios by file, for tests that read the catalogue hundreds of times, each for one file of its own."""
    found: dict[Path, list[Scenario]] = {}
    for scenario in catalog.load().scenarios.values():
        found.setdefault(Path(scenario.file), []).append(scenario)
    return found


@pytest.fixture(scope="module")
def bundled_once(bundled_scenarios: dict[Path, list[Scenario]]) -> Iterator[None]:
    """Do not read bundled scenarios again: with the bundled contracts, nothing but their files decides what they come to."""
    real, known = catalog.read_scenarios, contracts.bundled()

    def read_scenarios(path: Path, root: Path, among: Mapping[str, Contract]) -> list[Scenario]:
        found = bundled_scenarios.get(path) if root == scenarios_dir() and known.items() <= among.items() else None
        return found or real(path, root, among)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "read_scenarios", read_scenarios)
        yield


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """Return a client of a real engine; without one, skip, or fail where that is not accepted."""
    try:
        client = connect()
    except CannotJudge as e:
        _do_without(str(e))
    yield client
    client.close()


@pytest.fixture(scope="session")
def reference_image(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the reference image, built once for all workers: of Debian packages where that is possible."""
    own = shutil.which("debootstrap") is not None and os.geteuid() == 0
    with (tmp_path_factory.getbasetemp().parent / "reference-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return images.build(engine, base=images.debian_base(engine) if own else images.DEFAULT_BASE)
        except CannotJudge as e:
            _do_without(str(e))


def _do_without(reason: str) -> NoReturn:
    if os.environ.get("CONFORMANCE_REQUIRE_DOCKER") == "1":
        pytest.fail(f"CONFORMANCE_REQUIRE_DOCKER=1, but {reason}")
    pytest.skip(reason)
