"""Files that others read: written in one step, and no link or device is lost by that."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.errors import CannotJudge
from conformance.files import replace_text


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    replace_text(tmp_path / "new", "text")

    assert mode(tmp_path / "new") == 0o600
    assert (tmp_path / "new").read_text() == "text"
    assert os.listdir(tmp_path) == ["new"]


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o640)

    replace_text(file, "new")

    assert (mode(file), file.read_text()) == (0o640, "new")


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_one_and_what_it_leads_to_is_replaced(tmp_path: Path, there: bool) -> None:
    (tmp_path / "runs").mkdir()
    if there:
        (tmp_path / "runs/1.json").write_text("old")
    (tmp_path / "latest.json").symlink_to("runs/1.json")

    replace_text(tmp_path / "latest.json", "new")

    assert (tmp_path / "latest.json").is_symlink()
    assert (tmp_path / "runs/1.json").read_text() == "new"
    assert os.listdir(tmp_path / "runs") == ["1.json"]


def test_a_stream_by_its_name_is_written_to_and_stays(tmp_path: Path) -> None:
    """As ``/dev/stdout`` is: a link into /proc, which root could replace for all."""
    with (tmp_path / "out").open("w") as out:
        (tmp_path / "stdout").symlink_to(f"/proc/self/fd/{out.fileno()}")
        out.write("before\n")
        out.flush()

        replace_text(tmp_path / "stdout", "text\n")

    assert (tmp_path / "stdout").is_symlink()
    assert (tmp_path / "out").read_text() == "before\ntext\n"


def test_links_in_a_circle_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(CannotJudge, match="a cannot be written: "):
        replace_text(tmp_path / "a", "text")
    assert (tmp_path / "a").is_symlink()
