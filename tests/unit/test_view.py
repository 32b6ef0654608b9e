"""What a probe sees of the file system: computed here, mounted by the supervisor."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from factories import program, written

from conformance.drivers.local import view as module
from conformance.drivers.local.view import View, ViewMaker, paths_in


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory in which temporary directories and the caller's home lie; nothing else of this machine counts."""
    for name in ("tmp", "own", "home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(module, "_TEMPORARY", {str(tmp_path / "tmp"): 0o1777})
    monkeypatch.setattr(module, "_python", lambda: iter(()))
    monkeypatch.setattr(module, "_homes_of_the_caller", lambda: iter([str(tmp_path / "home")]))
    monkeypatch.setattr(module, "SYSTEM_PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.delenv("CODEX_HOME", raising=False)
    return tmp_path


def seen(place: Path, *argv: str, cwd: str = "work", paths: tuple[str, ...] = ()) -> View:
    """Return the view of a command, with paths below *place*, beside what is always there."""
    maker = ViewMaker(place / "own" / "view", place / "own")
    words = tuple(str(place / word) for word in argv or ("work/probe",))
    asked = frozenset(str(place / path) for path in paths)
    made = maker.view(
        words, str(place / cwd), asked, agents=("claude", "codex"), clis=("claude", "codex")
    )
    runtime = f"/run/user/{os.getuid()}"
    return View(
        mounts=tuple(mount for mount in made.mounts if mount[0] != runtime),
        links=made.links,
        covers=tuple(cover for cover in made.covers if cover[0] != "/etc/passwd"),
    )


def test_temporary_directories_are_empty_and_nothing_else_changes(place: Path) -> None:
    assert seen(place) == View(mounts=((f"{place}/tmp", 0o1777),))


def test_the_entry_with_a_file_of_the_command_stays(place: Path) -> None:
    """All of it: a program may need what lies beside its directory."""
    written(place / "tmp" / "job" / "bin" / "probe", "")
    written(place / "tmp" / "job" / "lib" / "helper", "")

    assert seen(place, "tmp/job/bin/probe").mounts == (
        (f"{place}/tmp", 0o1777),
        (f"{place}/tmp/job", -1),
    )


def test_of_a_probe_directly_in_a_temporary_directory_only_the_file_stays(place: Path) -> None:
    written(place / "tmp" / "probe", "")
    written(place / "tmp" / "cache", "")

    assert seen(place, "tmp/probe", cwd="tmp").mounts == (
        (f"{place}/tmp", 0o1777),
        (f"{place}/tmp/probe", -1),
    )


def test_directories_on_path_the_current_one_and_interpreters_stay(place: Path) -> None:
    for name in ("on-path", "cwd", "venv/bin"):
        (place / "tmp" / name).mkdir(parents=True)
    program(place / "tmp" / "venv" / "bin" / "python")
    program(place / "work" / "probe", f"#!{place}/tmp/venv/bin/python -I\n")

    assert seen(place, cwd="tmp/cwd", paths=("tmp/on-path", "tmp/nowhere")).mounts == (
        (f"{place}/tmp", 0o1777),
        (f"{place}/tmp/cwd", -1),
        (f"{place}/tmp/on-path", -1),
        (f"{place}/tmp/venv", -1),
    )


def test_links_on_the_way_to_what_stays_are_made_anew(place: Path) -> None:
    written(place / "tmp" / "real" / "probe", "")
    (place / "tmp" / "link").symlink_to("real")
    (place / "work" / "probe").symlink_to(place / "tmp" / "link" / "probe")

    view = seen(place, "work/probe")

    assert view.links == ((f"{place}/tmp/link", "real"),)
    assert view.mounts == ((f"{place}/tmp", 0o1777), (f"{place}/tmp/real", -1))


def test_a_loop_of_links_is_no_loop_here(place: Path) -> None:
    (place / "tmp" / "loop").symlink_to("loop")

    assert seen(place, "tmp/loop").mounts == ((f"{place}/tmp", 0o1777),)


def test_the_run_directory_stays_and_nothing_beside_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = place / "tmp" / "cache" / "runs" / "run-1"
    own.mkdir(parents=True)
    maker = ViewMaker(own / "view", own)

    made = maker.view(("/bin/true",), "/", frozenset(), agents=(), clis=())

    assert (str(own), -1) in made.mounts
    assert f"{place}/tmp/cache" not in dict(made.mounts)


def test_what_agents_keep_in_the_callers_home_is_empty(place: Path) -> None:
    written(place / "home" / ".claude" / ".credentials.json", "{}")
    written(place / "home" / ".claude.json", "{}")
    written(place / "home" / ".ssh" / "config", "")
    view = seen(place)

    assert (f"{place}/home/.claude", 0o755) in view.mounts
    assert view.covers == ((f"{place}/home/.claude.json", f"{place}/own/view/empty"),)
    assert f"{place}/home/.ssh" not in dict(view.mounts)


def test_it_is_empty_although_the_home_around_it_stays_in_a_temporary_directory(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = place / "tmp" / "someone"
    written(home / ".claude" / ".credentials.json", "{}")
    written(home / ".claude" / "hooks" / "probe", "")
    monkeypatch.setattr(module, "_homes_of_the_caller", lambda: iter([str(home)]))

    assert seen(place, "tmp/someone/.claude/hooks/probe").mounts == (
        (f"{place}/tmp", 0o1777),
        (f"{home}", -1),
        (f"{home}/.claude", 0o755),
        (f"{home}/.claude/hooks", -1),
    )


def test_directories_that_variables_of_the_caller_name_are_empty_too(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(place / "elsewhere" / "auth.json", "{}")
    monkeypatch.setenv("CODEX_HOME", f"{place}/elsewhere")

    assert (f"{place}/elsewhere", 0o755) in seen(place).mounts


def test_a_link_of_an_agent_to_the_home_itself_hides_nothing_else(place: Path) -> None:
    (place / "home" / ".claude").symlink_to(".")

    assert seen(place) == View(mounts=((f"{place}/tmp", 0o1777),))


@pytest.mark.parametrize("where", ["the system's", "the caller's", "the user's"])
def test_real_clis_are_covered_wherever_a_path_finds_them(
    place: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    program(place / "bin" / "launcher")
    (place / "bin" / "claude").symlink_to("launcher")
    if where != "the system's":
        monkeypatch.setattr(module, "SYSTEM_PATH", "")
    if where == "the caller's":
        monkeypatch.setenv("PATH", f"{place}/bin")
    view = seen(place, paths=("bin",) if where == "the user's" else ())

    assert view.covers == ((f"{place}/bin/claude", f"{place}/own/view/empty"),)


def test_a_probe_that_is_called_like_a_cli_is_not_covered(place: Path) -> None:
    program(place / "bin" / "claude")

    assert seen(place, "bin/claude").covers == ()


def test_the_user_database_names_an_empty_home_for_the_caller_and_root(place: Path) -> None:
    maker = ViewMaker(place / "own" / "view", place / "own")
    uid = os.getuid()
    text = f"root:x:0:0:root:/root:/bin/sh\nme:x:{uid}:1::/home/me:/bin/sh\nx:x:4242:1::{place}/home:/bin/sh\nd:x:1:1::/usr/sbin:\n"

    changed = maker._database(text.encode()).decode()

    empty = f"{place}/own/view/empty-home"
    homes = {line.split(":")[0]: line.split(":")[5] for line in changed.splitlines()}
    assert homes == {"root": empty, "me": empty, "x": empty, "d": "/usr/sbin"}
    assert os.listdir(empty) == []
    assert Path(empty).stat().st_mode & 0o222 == 0
    assert maker.is_empty_home(empty)
    assert not maker.is_empty_home("/root")


def test_a_caller_whose_entry_comes_from_elsewhere_gets_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = pwd.struct_passwd(("me", "x", os.getuid(), 7, "", "/home/me", "/bin/zsh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: entry)
    maker = ViewMaker(place / "own" / "view", place / "own")

    changed = maker._database(b"d:x:54321:1::/usr/sbin:\n").decode()

    own = f"me:x:{os.getuid()}:7::{place}/own/view/empty-home:/bin/zsh\n"
    assert changed == f"{own}d:x:54321:1::/usr/sbin:\n"


def test_paths_in_variables_are_found_in_lists_too() -> None:
    assert sorted(paths_in(["/a/b", "x:/c", "relative", "", "/d:/e"])) == [
        "/a/b",
        "/c",
        "/d",
        "/d:/e",
        "/e",
    ]
