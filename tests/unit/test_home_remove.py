"""Removal of homes that a probe has had in its hands: any mode, any depth, any name, and nothing outside."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import NOBODY, ROOT, as_plain_user

from conformance.home import remove


@pytest.fixture(autouse=True)
def cleared(tmp_path: Path) -> Iterator[None]:
    """Open what a failed removal has left: pytest has to remove it."""
    yield
    for directory, names, _ in os.walk(tmp_path):
        for name in names:
            if not os.path.islink(f"{directory}/{name}"):
                os.chmod(f"{directory}/{name}", 0o700)


def tree(top: Path, mode: int) -> Path:
    """Make directories with files in them, each shut with *mode*, the top as well."""
    for path in ("a/b/c", "a/empty", "x"):
        (top / path).mkdir(parents=True)
        (top / path / "file").write_text("x")
    (top / "a/b/file").write_text("x")
    (top / "a/empty/file").unlink()
    for path in ("a/b/c", "a/b", "a/empty", "a", "x", "."):
        (top / path).chmod(mode)
    return top


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o200, 0o300, 0o400, 0o500, 0o600, 0o700, 0o1777])
def test_directories_of_any_mode_are_removed(tmp_path: Path, mode: int) -> None:
    remove(tree(tmp_path / "top", mode))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o200, 0o300, 0o400, 0o500, 0o600, 0o700, 0o1777])
def test_directories_of_any_mode_are_removed_without_privileges(tmp_path: Path, mode: int) -> None:
    as_plain_user(tmp_path, lambda: remove(tree(Path("top"), mode)))
    assert os.listdir(tmp_path) == []


def test_files_of_any_kind_and_mode_are_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (top / "file").touch(0o000)
    os.mkfifo(top / "fifo", 0o000)
    os.mknod(top / "socket", 0o000 | stat.S_IFSOCK)
    (top / "dangling").symlink_to("nowhere")
    (top / "loop").symlink_to("loop")
    os.mkdir(os.fsencode(top) + b"/\xff\n")
    os.symlink(b"\xfe", os.fsencode(top) + b"/\xff\n/\xfe")
    remove(str(top))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("length", "levels"), [(200, 60), (255, 40), pytest.param(1, 6000, marks=pytest.mark.slow)]
)
def test_a_tree_deeper_than_any_path_can_say_is_removed(
    tmp_path: Path, length: int, levels: int
) -> None:
    name = b"x" * length
    (tmp_path / "top").mkdir()
    fd = os.open(tmp_path / "top", os.O_RDONLY)
    for level in range(levels):
        os.close(os.open("file", os.O_CREAT, 0o600, dir_fd=fd))
        os.mkdir(name, 0o700, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        if level % 3 == 0:
            os.fchmod(fd, 0o000)
        os.close(fd)
        fd = below
    os.close(fd)
    assert (length + 1) * levels > os.pathconf(tmp_path, "PC_PATH_MAX")
    before = os.listdir("/proc/self/fd")
    remove(tmp_path / "top")
    assert os.listdir(tmp_path) == []
    assert os.listdir("/proc/self/fd") == before


def test_no_link_is_followed_out(tmp_path: Path) -> None:
    """What it leads to keeps its content and its mode, also where that is one that removal opens."""
    outside, shut, top = tmp_path / "outside", tmp_path / "shut", tmp_path / "top"
    for directory in (outside, shut, top, top / "d"):
        directory.mkdir()
    (outside / "file").write_text("mine")
    shut.chmod(0o000)
    (top / "file").symlink_to(outside / "file")
    (top / "d/outside").symlink_to(outside)
    (top / "d/shut").symlink_to("../../shut")
    (top / "up").symlink_to("..")
    (top / "root").symlink_to("/")
    remove(top)
    assert sorted(os.listdir(tmp_path)) == ["outside", "shut"]
    assert stat.S_IMODE(shut.stat().st_mode) == 0
    assert (outside / "file").read_text() == "mine"


@pytest.mark.parametrize("mode", [0o700, 0o000])
def test_a_top_that_is_a_link_goes_alone(tmp_path: Path, mode: int) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    outside.chmod(mode)
    (tmp_path / "top").symlink_to(outside)
    remove(tmp_path / "top")
    assert os.listdir(tmp_path) == ["outside"]
    assert stat.S_IMODE(outside.stat().st_mode) == mode
    outside.chmod(0o700)
    assert os.listdir(outside) == ["file"]


@pytest.mark.parametrize(
    "make",
    [
        lambda top: top.touch(),
        os.mkfifo,
        lambda top: top.symlink_to("nowhere"),
        lambda top: top.symlink_to(top),
    ],
)
def test_a_top_that_is_no_directory_is_removed(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "top")
    remove(tmp_path / "top")
    assert os.listdir(tmp_path) == []


def test_a_top_that_is_not_there_is_fine(tmp_path: Path) -> None:
    remove(tmp_path / "missing")
    remove(str(tmp_path / "missing" / "below"))
    assert os.listdir(tmp_path) == []


def test_neighbours_stay(tmp_path: Path) -> None:
    for name in ("top", "top2", "top.lock"):
        (tmp_path / name).mkdir()
    remove(tmp_path / "top")
    assert sorted(os.listdir(tmp_path)) == ["top.lock", "top2"]


@pytest.mark.parametrize("call", ["rmdir", "unlink"])
def test_a_failed_removal_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    tree(tmp_path / "top", 0o700)
    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, busy)
        with pytest.raises(OSError, match=os.strerror(errno.EBUSY)):
            remove(tmp_path / "top")
    assert (tmp_path / "top/a").is_dir()
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("count", [10, 1000])
def test_one_of_many_directories_that_cannot_be_removed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    rmdir = os.rmdir

    def busy(path: bytes, **options: Any) -> None:
        if path.endswith(b"/7"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        rmdir(path, **options)

    for number in range(count):
        (tmp_path / f"top/{number}/d").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", busy)
        with pytest.raises(OSError, match=os.strerror(errno.EBUSY)):
            remove(tmp_path / "top")
    assert (tmp_path / "top/7").is_dir()
    remove(tmp_path / "top")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not ROOT, reason="only root can make directories of two users")
def test_a_plain_user_cannot_remove_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "top/theirs").mkdir(parents=True)
    (tmp_path / "top/theirs/file").touch()
    os.chown(tmp_path / "top", NOBODY, NOBODY)

    def work() -> None:
        with pytest.raises(PermissionError):
            remove("top")

    as_plain_user(tmp_path, work)
    assert (tmp_path / "top/theirs/file").exists()
