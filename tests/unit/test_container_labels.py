"""What is removed on an engine, and what never is: labels say whose a thing is, and locks whether that run is alive."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError

from conformance.drivers.container.client import EngineLost
from conformance.drivers.container.labels import (
    HOST,
    KEPT,
    LOCK,
    MADE,
    RUN,
    STALE,
    Labels,
    host,
    remove_run,
    sweep,
)
from conformance.errors import CannotJudge
from conformance.model.scenario import Scenario

KINDS = ("container", "volume", "image")
Thing = tuple[str, str]


def failure(status: int) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError(f"{status}", response=response, explanation=f"status {status}")


class Engine:
    """Things with labels; filters as engines do, and says what it was asked to remove."""

    def __init__(self, **fails: int) -> None:
        self.api = self
        self.things: dict[Thing, dict[str, str]] = {}
        self.asked: list[Thing] = []
        self.fails = fails
        """Status to answer with when something is removed, by id."""

    def add(self, id_: str, marks: dict[str, str], *kinds: str) -> None:
        for kind in kinds or KINDS:
            self.things[kind, id_] = marks

    def _filtered(self, kind: str, filters: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
        name, equals, value = filters["label"].partition("=")
        return [
            (id_, marks)
            for (what, id_), marks in self.things.items()
            if what == kind and name in marks and (not equals or marks[name] == value)
        ]

    def containers(self, *, all: bool, filters: dict[str, str]) -> list[dict[str, Any]]:  # noqa: A002 - the SDK's own name
        assert all
        return [{"Id": id_, "Labels": marks} for id_, marks in self._filtered("container", filters)]

    def volumes(self, *, filters: dict[str, str]) -> dict[str, Any]:
        found = [{"Name": id_, "Labels": marks} for id_, marks in self._filtered("volume", filters)]
        return {"Volumes": found or None}  # as engines say that there is none

    def images(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        return [{"Id": id_, "Labels": marks} for id_, marks in self._filtered("image", filters)]

    def _remove(self, kind: str, id_: str) -> None:
        self.asked.append((kind, id_))
        if id_ in self.fails:
            raise failure(self.fails[id_])
        del self.things[kind, id_]

    def remove_container(self, id_: str, *, v: bool, force: bool) -> None:
        assert v
        assert force
        self._remove("container", id_)

    def remove_volume(self, id_: str, *, force: bool) -> None:
        assert force
        self._remove("volume", id_)

    def remove_image(self, id_: str, *, force: bool, noprune: bool = False) -> None:
        assert force
        assert noprune, "the engine would remove the image under test too, where it has no name"
        self._remove("image", id_)


def swept(engine: Engine, **options: Any) -> list[str]:
    return sweep(engine, **options)  # type: ignore[arg-type]


def removed(engine: Engine, run: str, **options: Any) -> None:
    remove_run(engine, run, **options)  # type: ignore[arg-type]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that makes a lock and holds it, as a run that is alive does."""
    held: list[int] = []

    def make(name: str) -> Path:
        held.append(os.open(tmp_path / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        fcntl.flock(held[-1], fcntl.LOCK_EX)
        return tmp_path / name

    yield make
    for lock in held:
        os.close(lock)


def free(tmp_path: Path, name: str = "free.lock") -> Path:
    """Return a lock that nobody holds, as a run that was killed leaves."""
    (tmp_path / name).touch()
    return tmp_path / name


# Labels


def test_labels_say_run_worker_and_scenario(tmp_path: Path) -> None:
    labels = Labels("run-0", tmp_path / "run-0.lock", "gw1")
    case = Scenario(id="a/b", file="", summary="", origin="", agent="claude", control={}, expect={})
    before = int(time.time())
    plain, one = labels.for_scenario(), labels.for_scenario(case)
    assert before <= int(plain.pop(MADE)) <= time.time() + 1
    assert plain == {
        "probe-conformance.run": "run-0",
        "probe-conformance.lock": f"{tmp_path}/run-0.lock",
        "probe-conformance.host": host(),
        "probe-conformance.worker": "gw1",
        "probe-conformance.handed-down": "no",
    }
    assert (
        Labels("run-0", tmp_path / "l", "main").of_image()["probe-conformance.handed-down"] == "yes"
    )
    assert {name: value for name, value in one.items() if name != MADE} == {
        **plain,
        "probe-conformance.scenario": "a/b",
    }
    assert KEPT in Labels("run-0", tmp_path / "l", "main", kept=True).for_scenario()


def test_the_name_of_a_machine_stays_the_same_and_says_nothing_else_about_it() -> None:
    assert host() == host()
    assert len(host()) == 16
    assert set(host()) <= set("0123456789abcdef")
    assert os.uname().nodename not in host()


# Sweeping


def test_nothing_without_our_label_is_removed(tmp_path: Path) -> None:
    engine = Engine()
    engine.add("somebody-elses", {"maintainer": "x"})
    engine.add("looks-like-ours", {f"{RUN}s": "run-0", "xprobe-conformance.run": "run-0"})
    # Labels of an image are inherited by everybody's containers from it.
    engine.add("of-our-image", {"probe-conformance.image": "stubs"})
    engine.add("other-label", {LOCK: str(free(tmp_path)), HOST: host()})
    assert swept(engine) == swept(engine, kept=True) == []
    assert engine.asked == []


def test_what_a_dead_run_has_left_is_removed_containers_first(tmp_path: Path) -> None:
    engine = Engine()
    engine.add(
        "sha256:" + "0123456789abcdef" * 4, Labels("run-0", free(tmp_path), "gw0").for_scenario()
    )
    assert swept(engine) == [
        "container 0123456789ab",
        f"volume sha256:{'0123456789abcdef' * 4}",
        "image 0123456789ab",
    ]
    assert [kind for kind, _ in engine.asked] == list(KINDS)
    assert engine.things == {}


def test_what_somebody_started_by_hand_from_a_kept_image_is_theirs(tmp_path: Path) -> None:
    """It inherits the labels of the image; what we start from that says otherwise."""
    engine = Engine()
    kept = Labels("run-0", free(tmp_path), "main", kept=True)
    engine.add("by-hand", kept.of_image(), "container")
    engine.add("ours", {**kept.of_image(), **kept.for_scenario()}, "container")

    assert swept(engine) == ["container ours"]
    assert swept(engine, kept=True) == []
    removed(engine, "run-0")
    assert list(engine.things) == [("container", "by-hand")]


def test_a_run_whose_lock_is_gone_is_dead(tmp_path: Path) -> None:
    engine = Engine()
    engine.add("x", Labels("run-0", tmp_path / "gone.lock", "main").for_scenario())
    assert len(swept(engine)) == 3


def test_nothing_of_a_run_that_is_alive_is_removed(hold: Callable[[str], Path]) -> None:
    """The lock is held here; that it is the same process that asks makes no difference."""
    engine = Engine()
    engine.add("x", Labels("run-0", hold("run-0.lock"), "gw3").for_scenario())
    assert swept(engine) == []
    assert engine.asked == []


def test_neither_is_what_another_process_holds_until_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import fcntl, sys\n"
        "lock = open(sys.argv[1], 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    lock = tmp_path / "run-0.lock"
    engine = Engine()
    engine.add("x", Labels("run-0", lock, "main").for_scenario(), "container")
    argv = [sys.executable, "-I", "-c", code, os.fspath(lock)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "held\n"
        assert swept(engine) == []
        run.kill()
        run.wait()
        assert swept(engine) == ["container x"]


def test_looking_at_a_lock_neither_makes_it_nor_keeps_it(tmp_path: Path) -> None:
    """Or a sweep would look like a run that is alive to the next one."""
    engine = Engine(x=409)
    lock = free(tmp_path)
    engine.add("x", Labels("run-0", lock, "main").for_scenario(), "container")
    engine.add("y", Labels("run-1", tmp_path / "gone.lock", "main").for_scenario(), "container")
    swept(engine)
    with open(lock) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert sorted(os.listdir(tmp_path)) == ["free.lock"]


def test_a_lock_that_cannot_be_looked_at_is_taken_for_one_that_is_held(tmp_path: Path) -> None:
    engine = Engine()
    engine.add(
        "x", Labels("run-0", tmp_path, "main").for_scenario()
    )  # a directory cannot be opened for writing
    assert swept(engine) == []


@pytest.mark.parametrize(("age", "gone"), [(0, False), (STALE - 60, False), (STALE + 60, True)])
def test_what_belongs_to_another_machine_stays_until_it_is_old(
    tmp_path: Path, age: float, gone: bool
) -> None:
    """Its locks cannot be seen from here, whatever lies at the same path."""
    marks = {
        **Labels("run-0", free(tmp_path), "main").for_scenario(),
        HOST: "0" * 16,
        MADE: f"{time.time() - age:.0f}",
    }
    engine = Engine()
    engine.add("x", marks)
    assert bool(swept(engine)) == gone


@pytest.mark.parametrize("made", ["", "yesterday", "-1", "1e3", "²"])
def test_what_does_not_say_when_it_was_made_on_another_machine_stays(
    tmp_path: Path, made: str
) -> None:
    engine = Engine()
    engine.add("x", {RUN: "run-0", HOST: "0" * 16, MADE: made, LOCK: str(tmp_path / "gone")})
    engine.add("y", {RUN: "run-0", HOST: "0" * 16})
    assert swept(engine) == []


@pytest.mark.parametrize(("age", "gone"), [(0, False), (STALE - 60, False), (STALE + 60, True)])
@pytest.mark.parametrize("lock", [None, "", "run-0.lock", "/none/run-0.lock"])
def test_what_names_a_lock_in_no_directory_stays_until_it_is_old(
    lock: str | None, age: float, gone: bool
) -> None:
    """In a container beside the engine our cache is not what it is elsewhere, and yet it is the same machine."""
    marks = {
        RUN: "run-0",
        HOST: host(),
        MADE: f"{time.time() - age:.0f}",
        **({} if lock is None else {LOCK: lock}),
    }
    engine = Engine()
    engine.add("x", marks)
    assert bool(swept(engine)) == gone


def test_what_names_a_lock_in_no_directory_and_does_not_say_when_it_was_made_stays() -> None:
    engine = Engine()
    engine.add("x", {RUN: "run-0", HOST: host(), LOCK: "/none/run-0.lock"})
    assert swept(engine) == []


@pytest.mark.parametrize("made", [0, STALE + 60])
def test_a_lock_that_is_gone_from_its_directory_says_enough_at_any_age(
    tmp_path: Path, made: float
) -> None:
    engine = Engine()
    engine.add(
        "x",
        {
            RUN: "run-0",
            HOST: host(),
            LOCK: f"{tmp_path}/gone.lock",
            MADE: f"{time.time() - made:.0f}",
        },
        "container",
    )
    assert swept(engine) == ["container x"]


def test_a_lock_that_is_held_says_enough_at_any_age(hold: Callable[[str], Path]) -> None:
    engine = Engine()
    marks = {
        **Labels("run-0", hold("run-0.lock"), "main").for_scenario(),
        MADE: f"{time.time() - 2 * STALE:.0f}",
    }
    engine.add("x", marks)
    assert swept(engine) == []


def test_what_is_kept_for_repeating_a_case_stays_but_no_container_does(tmp_path: Path) -> None:
    engine = Engine()
    engine.add("x", Labels("run-0", free(tmp_path), "main", kept=True).for_scenario())
    assert swept(engine) == ["container x"]
    assert sorted(engine.things) == [("image", "x"), ("volume", "x")]
    assert swept(engine, kept=True) == ["volume x", "image x"]


def test_what_is_already_on_its_way_out_is_no_failure_and_not_counted(tmp_path: Path) -> None:
    engine = Engine(gone=404, busy=409)
    for id_ in ("gone", "busy", "there"):
        engine.add(id_, Labels("run-0", free(tmp_path), "main").for_scenario(), "container")
    assert swept(engine) == ["container there"]
    assert len(engine.asked) == 3


def test_what_the_engine_refuses_otherwise_is_told(tmp_path: Path) -> None:
    engine = Engine(x=500)
    engine.add("x", Labels("run-0", free(tmp_path), "main").for_scenario())
    with pytest.raises(CannotJudge) as caught:
        swept(engine)
    assert str(caught.value) == "what dead runs have left cannot be removed: status 500"


def test_an_engine_that_is_lost_meanwhile_is_told() -> None:
    class Gone(Engine):
        def containers(self, **_: Any) -> list[dict[str, Any]]:
            raise requests.ConnectionError("connection refused")

    with pytest.raises(EngineLost):
        swept(Gone())


def test_things_without_labels_at_all_do_no_harm() -> None:
    """Engines say null for none; by the filter there can be no such thing, but its word is not trusted for removing."""

    class Careless(Engine):
        def containers(self, **_: Any) -> list[dict[str, Any]]:
            return [{"Id": "x", "Labels": None}]

    engine = Careless()
    assert swept(engine) == []
    assert engine.asked == []


# The end of a run


def test_a_run_removes_what_is_its_own_and_nothing_else(tmp_path: Path) -> None:
    engine = Engine()
    for worker in ("main", "gw0", "gw1"):
        engine.add(worker, Labels("run-0", tmp_path / "l", worker).for_scenario())
    engine.add("other", Labels("run-01", tmp_path / "l", "main").for_scenario())
    engine.add("foreign", {"x": "run-0"})
    removed(engine, "run-0")
    assert sorted({id_ for _, id_ in engine.things}) == ["foreign", "other"]
    assert [kind for kind, _ in engine.asked] == ["container"] * 3 + ["volume"] * 3 + ["image"] * 3


def test_a_run_that_keeps_something_keeps_volumes_and_images_only_where_they_say_so(
    tmp_path: Path,
) -> None:
    engine = Engine()
    engine.add("kept", Labels("run-0", tmp_path / "l", "main", kept=True).for_scenario())
    engine.add("not", Labels("run-0", tmp_path / "l", "main").for_scenario())
    removed(engine, "run-0", keep=True)
    assert sorted(engine.things) == [("image", "kept"), ("volume", "kept")]
    removed(engine, "run-0")
    assert engine.things == {}


def test_what_the_engine_is_still_busy_with_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(x=409)
    engine.add("x", Labels("run-0", tmp_path / "l", "main").for_scenario(), "container")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            engine.fails.clear()

    monkeypatch.setattr(time, "sleep", wait)
    removed(engine, "run-0")
    assert engine.things == {}
    assert len(waits) == 4


def test_what_the_engine_never_lets_go_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(x=409)
    engine.add("x", Labels("run-0", tmp_path / "l", "main").for_scenario(), "container", "volume")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(CannotJudge) as caught:
        removed(engine, "run-0")
    assert str(caught.value) == "the engine does not remove container x, volume x"
