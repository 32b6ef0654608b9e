"""What all tests of the suite share."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import docker
import pytest
from factories import bundled_catalogue
from support import not_in_turn, shared_out
from support_image import Once

from conformance.catalogue.catalogue import Catalogue
from conformance.drivers.container.client import connect
from conformance.errors import CannotJudge
from conformance.images import reference as images


def pytest_xdist_auto_num_workers() -> int:
    """Let ``-n auto`` start two workers for each processor: what tests start often has to wait. With three it takes longer."""
    return 2 * len(os.sched_getaffinity(0))


#: The day, the same for all workers: at midnight they would collect different tests.
DAY = int(os.environ.setdefault("CONFORMANCE_DAY", str(int(time.time() // 86400))))

#: Whether everything runs, whosever turn it is.
WHOLE = os.environ.get("CONFORMANCE_WHOLE_BANK") == "1"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not in turn today, of the slow tests seven eighths; CONFORMANCE_WHOLE_BANK=1 runs all, and so does the name of a test.

    Each worker begins with its share of the slow tests: what comes last must not keep one of them busy alone.
    """
    named = any("::" in argument for argument in config.args)  # who names a test wants it today
    turns = [(item.nodeid, 1 if named or WHOLE else one_in_runs(item)) for item in items]
    if gone := not_in_turn(turns, DAY):
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in gone])
        items[:] = [item for item in items if item.nodeid not in gone]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = {item.nodeid for item in items if item.get_closest_marker("slow") is not None}
    items[:] = shared_out(items, workers, lambda item: item.nodeid in slow)


def one_in_runs(item: pytest.Item) -> int:
    """Return in which part of all runs *item* runs: as its marker says, else each eighth one if it is slow."""
    marker = item.get_closest_marker("in_turn")
    if marker is not None:
        turns: int = marker.args[0]
        return turns
    return 8 if item.get_closest_marker("slow") is not None else 1


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a cache directory of its own, so that runs of different tests do not clean up after each other."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(cache))
    return cache


@pytest.fixture(scope="session")
def bundled() -> Catalogue:
    """Return the bundled catalogue, which nobody changes."""
    return bundled_catalogue()


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
            return images.build(
                engine, base=images.debian_base(engine) if own else images.DEFAULT_BASE
            )
        except CannotJudge as e:
            _do_without(str(e))


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Return a function that calls another once for all workers, and returns its result as JSON."""
    place = tmp_path_factory.getbasetemp()
    # A worker shares the directory above with the others. Without workers that one holds earlier runs.
    place = place.parent if "PYTEST_XDIST_WORKER" in os.environ else place

    def call(name: str, make: Callable[[], Any]) -> Any:
        with (place / f"{name}.json").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not file.seek(0, os.SEEK_END):  # only now: somebody may have written it meanwhile
                file.write(json.dumps(make()))
            file.seek(0)
            return json.load(file)

    return call


def _do_without(reason: str) -> NoReturn:
    if os.environ.get("CONFORMANCE_REQUIRE_DOCKER") == "1":
        pytest.fail(f"CONFORMANCE_REQUIRE_DOCKER=1, but {reason}")
    pytest.skip(reason)
