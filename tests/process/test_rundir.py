"""The directory of a run: where it lies, who may remove it, and when."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import NOBODY, ROOT, as_plain_user

from conformance.errors import CannotJudge, UsageError
from conformance.home import remove
from conformance.run import directory as rundir
from conformance.run.directory import RunDirectory, cache_dir, keep_directory, sweep

needs_root = pytest.mark.skipif(not ROOT, reason="only root can make directories of another user")


@pytest.fixture
def spare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the place below /var/tmp be one below the test's own directory."""
    place = tmp_path / "var-tmp"
    place.mkdir()
    monkeypatch.setattr(
        rundir, "Path", lambda text: Path(str(text).replace("/var/tmp", str(place), 1))
    )
    return place / f"probe-conformance-{os.getuid()}"


_HOLD = """
import sys
from pathlib import Path
from conformance.run.directory import RunDirectory
run = RunDirectory(Path(sys.argv[1]))
(run.path / "home").mkdir()
(run.path / "home" / "shut").mkdir(0o000)
print(run.path, flush=True)
sys.stdin.read()
"""


@contextmanager
def another_run(base: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Let another process have a run's directory below *base*."""
    command = [sys.executable, "-c", _HOLD, str(base)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


# Where it lies


def test_the_cache_is_where_xdg_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "some/cache"))
    assert cache_dir() == tmp_path / "some/cache/probe-conformance"
    assert stat.S_IMODE(cache_dir().stat().st_mode) == 0o700


@pytest.mark.parametrize("value", [None, ""])
def test_the_cache_is_in_the_home_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if value is None:
        monkeypatch.delenv("XDG_CACHE_HOME")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_dir() == tmp_path / ".cache/probe-conformance"


def test_a_run_lies_below_the_cache_and_is_private() -> None:
    run = RunDirectory()
    try:
        assert run.path.parent == cache_dir() / "runs"
        assert re.fullmatch(r"run-[0-9a-f]{12}", run.path.name)
        assert (
            stat.S_IMODE(run.path.stat().st_mode)
            == stat.S_IMODE(run.path.parent.stat().st_mode)
            == 0o700
        )
    finally:
        run.close()


@pytest.mark.parametrize(
    "cache", ["relative/cache", "{tmp}/a-file", "{tmp}/a-file/below", "/proc/nowhere"]
)
def test_a_cache_that_cannot_be_written_gives_way_to_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: Path, cache: str
) -> None:
    (tmp_path / "a-file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", cache.format(tmp=tmp_path))
    assert cache_dir() == spare
    assert stat.S_IMODE(spare.stat().st_mode) == 0o700
    assert not (tmp_path / "relative").exists()


def test_a_cache_without_permission_gives_way_to_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the directory above forbids it or the suite's own."""

    def work() -> None:
        here = Path.cwd()
        monkeypatch.setattr(
            rundir, "Path", lambda text: Path(str(text).replace("/var/tmp", f"{here}/spare", 1))
        )
        Path("spare").mkdir()
        Path("closed").mkdir(0o500)
        monkeypatch.setenv("XDG_CACHE_HOME", f"{here}/closed")
        assert cache_dir().parent == here / "spare"
        Path("cache/probe-conformance").mkdir(parents=True)
        Path("cache/probe-conformance").chmod(0o500)
        monkeypatch.setenv("XDG_CACHE_HOME", f"{here}/cache")
        assert cache_dir().parent == here / "spare"

    (tmp_path / "open").mkdir()
    with monkeypatch.context() as patch:
        # The directories above are closed to the other user; a path through the descriptor is not.
        descriptor = os.open(tmp_path / "open", os.O_PATH)
        patch.setattr(Path, "cwd", lambda: Path(f"/proc/self/fd/{descriptor}"))
        as_plain_user(tmp_path / "open", work)
        os.close(descriptor)


@needs_root
def test_a_cache_of_somebody_else_gives_way_to_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: Path
) -> None:
    place = tmp_path / "cache/probe-conformance"
    place.mkdir(parents=True)
    os.chown(place, NOBODY, NOBODY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_dir() == spare


@needs_root
def test_a_cache_in_which_nothing_can_be_run_gives_way_to_another_place(
    tmp_path: Path,
) -> None:
    """PATH ends at a colon, and a CLI on a file system that is mounted noexec does not start."""
    call = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from conformance.run import directory\n"
        f"path, directory.Path = directory.Path, lambda text: path(str(text).replace('/var', {str(tmp_path)!r}))\n"
        "print(directory.cache_dir())"
    )
    noexec = tmp_path / "noexec"
    noexec.mkdir()
    found = {}
    for place in (noexec, tmp_path / "12:00"):
        line = f"mount -t tmpfs -o noexec none {noexec} && exec '{sys.executable}' -c \"$0\""
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", line, call],
            env={**os.environ, "XDG_CACHE_HOME": str(place)},
            capture_output=True,
            text=True,
            check=False,
        )
        found[place.name] = done.stdout.strip() or done.stderr

    assert found == dict.fromkeys(
        ["noexec", "12:00"], f"{tmp_path}/tmp/probe-conformance-{os.getuid()}"
    )


def test_homes_are_kept_only_where_a_probe_can_be_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="homes cannot be kept in 12:00: its path has a colon"):
        keep_directory("12:00", tmp_path)
    assert not (tmp_path / "12:00").exists()
    # The probe of an image runs elsewhere.
    assert keep_directory("12:00", tmp_path, runs_here=False) == tmp_path / "12:00"


def test_a_run_lies_at_its_real_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    run = RunDirectory(tmp_path / "link")
    run.close()

    assert run.path.parent == tmp_path / "real"


@needs_root
def test_nobody_can_plant_the_place_below_a_directory_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: Path
) -> None:
    """A link of another user, which leads to a directory of ours, is not taken for ours."""
    (tmp_path / "mine").mkdir()
    spare.symlink_to(tmp_path / "mine")
    os.chown(spare, NOBODY, NOBODY, follow_symlinks=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    with pytest.raises(CannotJudge, match="no directory to write to"):
        cache_dir()


def test_a_run_without_any_writable_directory_cannot_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: Path
) -> None:
    spare.touch()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(CannotJudge) as caught:
        RunDirectory()
    assert (
        str(caught.value)
        == "no directory to write to; set XDG_CACHE_HOME to one that you own, in which programs can be run"
    )
    assert caught.value.exit_status == 3


def test_a_base_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for base, reason in (
        (tmp_path / "file", "File exists"),
        (tmp_path / "file/below", "Not a directory"),
    ):
        with pytest.raises(CannotJudge) as caught:
            RunDirectory(base)
        assert (
            str(caught.value)
            == f"cannot write to {base}: {reason}; make room, or set XDG_CACHE_HOME"
        )

    def work() -> None:
        Path("closed").mkdir(0o500)
        with pytest.raises(CannotJudge, match="cannot write to closed: Permission denied"):
            RunDirectory(Path("closed"))

    as_plain_user(tmp_path, work)


# When it goes


def test_closing_removes_it_and_its_lock_and_nothing_else(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "base")
    other = RunDirectory(tmp_path / "base")
    (tmp_path / "base/notes").touch()
    (run.path / "d/shut").mkdir(parents=True)
    (run.path / "d/shut").chmod(0o000)
    run.close()
    assert sorted(os.listdir(tmp_path / "base")) == sorted(
        ["notes", other.path.name, f"{other.path.name}.lock"]
    )
    other.close()
    assert os.listdir(tmp_path / "base") == ["notes"]


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    run = RunDirectory(tmp_path)
    run.close()
    run.path.mkdir()  # somebody else's by now
    run.close()
    assert run.path.is_dir()
    assert os.listdir("/proc/self/fd") == before


def test_closing_waits_for_a_process_that_still_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, calls = RunDirectory(tmp_path), []

    def busy(path: Path) -> None:
        calls.append(path)
        if len(calls) < 4:
            raise OSError("not empty")
        remove(path)

    monkeypatch.setattr(rundir, "remove", busy)
    run.close()
    assert calls == [run.path] * 4
    assert os.listdir(tmp_path) == []


def test_the_next_run_removes_leftovers_of_a_failed_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(tmp_path)

    def fail(_: Path) -> None:
        raise OSError("busy")

    with monkeypatch.context() as patch:
        patch.setattr(rundir, "remove", fail)
        patch.setattr(time, "sleep", lambda _: None)
        run.close()
    assert run.path.is_dir()
    RunDirectory(tmp_path).close()
    assert os.listdir(tmp_path) == []


def test_a_run_that_lives_survives_the_start_and_the_end_of_others(tmp_path: Path) -> None:
    mine = RunDirectory(tmp_path)
    with another_run(tmp_path) as (_, theirs):
        RunDirectory(tmp_path).close()
        assert mine.path.is_dir()
        assert (theirs / "home/shut").is_dir()
    mine.close()


def test_the_next_run_removes_leftovers_of_a_killed_run(tmp_path: Path) -> None:
    with another_run(tmp_path) as (process, path):
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        assert (path / "home/shut").is_dir()
        assert path.with_suffix(".lock").exists()
        run = RunDirectory(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [run.path.name, f"{run.path.name}.lock"]
    run.close()


@pytest.mark.parametrize(
    "left", [["run-0123456789ab.lock"], ["run-0123456789ab", "run-0123456789ab.lock"]]
)
def test_what_is_left_with_a_lock_is_removed(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).touch() if name.endswith(".lock") else (tmp_path / name).mkdir()
    assert sweep(tmp_path) == ["run-0123456789ab"]
    assert os.listdir(tmp_path) == []


def test_a_directory_without_a_lock_is_not_ours(tmp_path: Path) -> None:
    """A run makes its lock first and removes it last; a date may look like the name of a run."""
    (tmp_path / "results/run-202401011200").mkdir(parents=True)
    with pytest.raises(UsageError, match="results is not empty"):
        keep_directory("results", tmp_path)
    RunDirectory(tmp_path / "results").close()
    assert os.listdir(tmp_path / "results") == ["run-202401011200"]


def test_nothing_is_removed_that_no_run_has_made(tmp_path: Path) -> None:
    """The base may be a directory of the user's own, named with --keep."""
    names = [
        "run-notes",
        "run-1",
        "run-0123456789AB",
        "run-0123456789abc",
        "xrun-0123456789ab",
        "run-0123456789ab.txt",
        "run-x.lock",
    ]
    for name in names:
        (tmp_path / name).mkdir()
    RunDirectory(tmp_path).close()
    assert sorted(os.listdir(tmp_path)) == sorted(names)


def test_a_run_starts_despite_leftovers_it_cannot_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run-0123456789ab").mkdir()
    before = os.listdir("/proc/self/fd")

    def fail(_: Path) -> None:
        raise OSError("busy")

    monkeypatch.setattr(rundir, "remove", fail)
    sweep(tmp_path)
    assert (tmp_path / "run-0123456789ab").is_dir()
    assert os.listdir("/proc/self/fd") == before


def test_a_sweep_between_making_a_lock_and_taking_it_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that lost its lock file to the sweep takes another, so that later sweeps see that it lives."""
    flock = fcntl.flock
    sweeps: list[list[str]] = []

    def late(fd: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX and len(sweeps) < 3:
            sweeps.append(sorted(os.listdir(tmp_path)))
            sweep(tmp_path)
            assert os.listdir(tmp_path) == []
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    run = RunDirectory(tmp_path)
    assert len(sweeps) == 3
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [run.path.name, f"{run.path.name}.lock"]
    run.close()
    assert os.listdir(tmp_path) == []


_MANY = """
import sys
from pathlib import Path
from conformance.run.directory import RunDirectory
sys.stdin.readline()
base = Path(sys.argv[1])
for _ in range(25):
    runs = [RunDirectory(base) for _ in range(2)]
    for run in runs:
        (run.path / "mine").touch()
    for run in runs:
        assert (run.path / "mine").exists(), f"{run.path} was taken away"
        assert run.path.with_suffix(".lock").exists(), f"the lock of {run.path} was taken away"
        run.close()
"""


@pytest.mark.slow
def test_eight_processes_at_once_do_not_take_each_others_away(tmp_path: Path) -> None:
    base = tmp_path / "base"
    command = [sys.executable, "-W", "error", "-c", _MANY, str(base)]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(8)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert said == [""] * 8
    assert os.listdir(base) == []
