"""A real HOME is read: what rules can see is kept with what it holds, and the rest is bounded and counted."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from support import as_plain_user

from conformance.catalogue.layers import bundled_layers
from conformance.errors import CannotJudge, UsageError
from conformance.home import keeping, visible
from conformance.home.reading import DirectoryHome, read_home
from conformance.home.seen import SeenHome, SeenNode
from conformance.home.visible import Wanted

LOGIN = b'{"claudeAiOauth": {}}'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A HOME in which somebody has logged in."""
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)
    (home / ".claude/.credentials.json").write_bytes(LOGIN)
    return home


def seen(home: Path, *named: str) -> SeenHome:
    return read_home(DirectoryHome(home), named).seen


def contents(home: SeenHome) -> dict[bytes, bytes]:
    return {path: node.content for path, node in home.nodes.items() if node.content is not None}


def test_what_lies_where_is_found(home: Path) -> None:
    """Kinds, modes, owners, times, targets and sizes are those of the disk."""
    (home / ".claude/.credentials.json").chmod(0o640)
    os.utime(home / ".claude/.credentials.json", (1_000, 1_000))
    (home / "notes").write_bytes(b"12345")
    (home / "link").symlink_to("nowhere")
    os.mkfifo(home / "fifo")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.fspath(home / "socket"))

    found = seen(home)

    kinds = {os.fsdecode(path): node.kind for path, node in found.nodes.items()}
    assert kinds == {
        "": "directory",
        ".claude": "directory",
        ".claude/.credentials.json": "file",
        "fifo": "fifo",
        "link": "symlink",
        "notes": "file",
        "socket": "socket",
    }
    login = found.nodes[b".claude/.credentials.json"]
    status = (home / ".claude/.credentials.json").stat()
    assert (login.mode, login.mtime) == (0o640, 1_000)
    assert (login.uid, login.gid) == (status.st_uid, status.st_gid)
    assert found.nodes[b"link"].target == b"nowhere"
    assert found.nodes[b"notes"].size == 5
    assert (found.passed_over, found.closed) == ({}, frozenset())


def test_only_files_are_read_that_rules_or_careless_probes_look_at(home: Path) -> None:
    names = (
        ".claude/settings.json",
        ".claude/CLAUDE.md",
        ".claude/history.jsonl",
        ".claude/projects/app/settings.json",
        ".claude/credentials.json",
        ".claude.json",
        ".codex/auth.json",
        ".codex/config.toml",
        "project/auth.json",
        ".ssh/id_ed25519",
    )
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)

    assert sorted(contents(seen(home))) == [
        b".claude.json",
        b".claude/.credentials.json",
        b".claude/credentials.json",
        b".claude/settings.json",
        b".codex/auth.json",
        b".codex/config.toml",
    ]


@pytest.mark.parametrize(
    "lay",
    [
        lambda home: (home / ".claude").rename(home / "x") / ".credentials.json",
        lambda home: (home / ".claude/.credentials.json").rename(home / "x"),
    ],
    ids=["the directory", "the file"],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_links_are_followed_within_the_home(
    home: Path, lay: Callable[[Path], Path], *, absolute: bool
) -> None:
    read = lay(home)
    place = home / ".claude" if (home / "x").is_dir() else home / ".claude/.credentials.json"
    place.symlink_to(home / "x" if absolute else os.path.relpath(home / "x", place.parent))

    assert contents(seen(home)) == {os.fsencode(read.relative_to(home)): LOGIN}


@pytest.mark.parametrize("name", ["session.json", "credentials.json"])
def test_what_careless_probes_take_for_a_login_is_read_where_links_lead_there(
    home: Path, name: str
) -> None:
    """Their answers depend on it as if it lay there, and not on what lies beside it."""
    (home / "secrets").mkdir()
    (home / "secrets" / name).write_text("behind a directory")
    (home / "secrets" / "notes.json").write_text("not looked for")
    (home / ".claude/.credentials").symlink_to("../secrets")
    (home / "elsewhere").write_text("behind a file")
    (home / ".claude" / name).symlink_to("../elsewhere")

    assert contents(seen(home)) == {
        b".claude/.credentials.json": LOGIN,
        b"elsewhere": b"behind a file",
        os.fsencode(f"secrets/{name}"): b"behind a directory",
    }


@pytest.mark.parametrize("start", ["~", "~/", "~/.", "$HOME"])
def test_a_variable_that_a_shell_would_expand_to_the_home_names_it(home: Path, start: str) -> None:
    (home / "auth.json").write_bytes(b"{}")

    assert b"auth.json" not in contents(seen(home, "~x"))
    assert contents(seen(home, start))[b"auth.json"] == b"{}"


def test_no_link_is_followed_out_of_the_home(home: Path, tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text("outside")
    (home / ".codex").mkdir()
    (home / ".codex/auth.json").symlink_to(tmp_path / "auth.json")
    (home / ".codex/config.toml").symlink_to("../../auth.json")
    (home / ".claude/settings.json").symlink_to("settings.json")

    assert contents(seen(home)) == {b".claude/.credentials.json": LOGIN}


def test_a_link_out_of_the_home_is_not_taken_for_a_path_in_it(home: Path) -> None:
    """Not even if it has as many names before the same ending."""
    (home / "x").write_text("inside")
    elsewhere = "/".join("o" for _ in home.parts[1:])
    (home / ".claude.json").symlink_to(f"/{elsewhere}/x")
    (home / ".claude/settings.json").symlink_to("../../other/x")

    assert contents(seen(home)) == {b".claude/.credentials.json": LOGIN}


def test_a_file_that_becomes_a_link_meanwhile_is_not_followed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = home / ".claude/.credentials.json"
    (tmp_path / "outside").write_text("outside")
    opened = os.open

    def open_late(path: bytes, flags: int, *, dir_fd: int | None = None) -> int:
        if path == b".credentials.json" and not login.is_symlink():
            login.unlink()
            login.symlink_to(tmp_path / "outside")
        return opened(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", open_late)

    with pytest.raises(CannotJudge, match="changes while it is read"):
        seen(home)


def test_a_home_may_be_a_link_and_be_known_by_another_path(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)
    (home / ".claude").rename(home / "x")
    (home / ".claude").symlink_to("/home/agent/x")

    assert contents(seen(tmp_path / "link")) == {}
    found = read_home(DirectoryHome(tmp_path / "link", path="/home/agent"))
    assert found.path == "/home/agent"
    assert contents(found.seen) == {b"x/.credentials.json": LOGIN}


def test_what_variables_name_is_read(home: Path) -> None:
    (home / ".claude").rename(home / "work")
    (home / "login").write_bytes(b"{}")

    assert contents(seen(home)) == {}
    assert contents(seen(home, os.fspath(home / "work"), "login", "/etc/passwd", "../x")) == {
        b"work/.credentials.json": LOGIN,
        b"login": b"{}",
    }
    assert contents(seen(home / "work", os.fspath(home / "work"))) == {b".credentials.json": LOGIN}


def test_what_is_too_long_is_not_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sparse file of a terabyte takes no time; one that is just short enough is read."""
    monkeypatch.setattr(visible, "READ_BYTES", 8)
    (home / ".claude.json").write_bytes(b"12345678")
    (home / ".claude/settings.json").write_bytes(b"123456789")
    with (home / ".claude/.credentials.json").open("wb") as file:
        file.truncate(1 << 40)

    found = seen(home)

    assert contents(found) == {b".claude.json": b"12345678"}
    assert found.nodes[b".claude/settings.json"].size == 9
    assert found.nodes[b".claude/.credentials.json"].size == 1 << 40


def test_names_may_be_any_bytes(home: Path) -> None:
    os.mkdir(os.fsencode(home) + b"/.claude/\xff\n")

    assert seen(home).nodes[b".claude/\xff\n"].kind == "directory"


def test_each_name_of_a_hard_link_is_an_entry(home: Path) -> None:
    (home / ".codex").mkdir()
    (home / ".codex/auth.json").hardlink_to(home / ".claude/.credentials.json")

    assert contents(seen(home)) == dict.fromkeys(
        (b".claude/.credentials.json", b".codex/auth.json"), LOGIN
    )


def test_what_is_closed_to_whoever_looks_is_said(home: Path) -> None:
    (home / ".claude/.credentials.json").chmod(0)
    (home / ".claude/listed/inner").mkdir(parents=True)
    (home / ".claude/shut/inner").mkdir(parents=True)
    (home / "notes").touch(mode=0)
    (home / ".claude/listed").chmod(0o444)
    (home / ".claude/shut").chmod(0)

    def look() -> None:
        found = seen(Path("."))
        assert found.closed == {b".claude/.credentials.json", b".claude/listed", b".claude/shut"}
        assert b".claude/listed/inner" not in found.nodes
        assert found.nodes[b".claude/.credentials.json"].content is None

    as_plain_user(home, look)


def test_a_file_that_never_stops_changing_is_not_taken_for_whole(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has changed once is read again."""
    login = home / ".claude/.credentials.json"
    read = os.read
    changes = iter([b"first", b"second"])

    def changing(fd: int, size: int) -> bytes:
        part = read(fd, size)
        if content := next(changes, b""):
            login.write_bytes(content)
        return part

    monkeypatch.setattr(os, "read", changing)
    assert contents(seen(home)) == {b".claude/.credentials.json": b"second"}

    changes = itertools.cycle([b"one", b"another"])
    with pytest.raises(CannotJudge, match=r"'\.claude/\.credentials\.json'.* changes while"):
        seen(home)


@pytest.mark.parametrize("what", ["missing", "file"])
def test_what_is_no_directory_is_an_error_of_one_line(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match=r"; name the directory that is the HOME$"):
        DirectoryHome(tmp_path / what)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep few entries of a directory."""
    monkeypatch.setattr(keeping, "MAX_ENTRIES", 3)


@pytest.mark.usefixtures("few")
def test_of_many_entries_the_first_are_kept_and_the_rest_is_counted(home: Path) -> None:
    for n in range(10):
        (home / f"file-{n}").touch()
        (home / f".claude/{n}").touch()

    found = seen(home)

    assert sorted(found.nodes) == [
        b"",
        b".claude",
        b".claude/.credentials.json",
        b".claude/0",
        b".claude/1",
        b"file-0",
        b"file-1",
    ]
    assert found.passed_over == {b"": 8, b".claude": 8}


@pytest.mark.usefixtures("few")
def test_what_is_like_nothing_that_is_kept_is_kept(home: Path) -> None:
    """A file beside directories, something closed, a file in the last of many directories."""
    for n in range(10):
        (home / f".claude/{n}/inner").mkdir(parents=True)
    (home / ".claude/8/inner/file").touch()
    (home / ".claude/9/inner/file").touch()
    (home / ".claude/shut").mkdir(mode=0o700)
    (home / ".claude/shut").chmod(0)
    (home / ".claude/x-1").touch(mode=0o600)
    (home / ".claude/x-2").touch(mode=0o600)

    found = seen(home)

    assert [os.fsdecode(path) for path in found.nodes if path.startswith(b".claude/")] == [
        ".claude/.credentials.json",
        ".claude/0",
        ".claude/0/inner",
        ".claude/1",
        ".claude/1/inner",
        ".claude/8",
        ".claude/8/inner",
        ".claude/8/inner/file",
        ".claude/shut",
        ".claude/x-1",
    ]


@pytest.mark.usefixtures("few")
def test_what_a_link_leads_to_is_kept(home: Path) -> None:
    for n in range(10):
        (home / f"store/{n}").mkdir(parents=True)
    (home / ".claude").rename(home / "store/9/login")
    (home / ".claude").symlink_to("store/9/login")

    assert contents(seen(home)) == {b"store/9/login/.credentials.json": LOGIN}


@pytest.mark.usefixtures("few")
def test_links_lead_over_links_in_full_directories(home: Path) -> None:
    """What is there beside them is walked as it would be in ``.claude`` itself."""
    for n in range(10):
        (home / f"{n}").touch()
        (home / f"x/{n}").mkdir(parents=True)
    (home / ".claude").rename(home / "x/login")
    (home / ".claude").symlink_to("y-1")
    (home / "y-1").symlink_to("y-2")
    (home / "y-2").symlink_to("x/login")
    (home / ".codex").symlink_to("z-1")
    (home / "z-1").symlink_to("z-2")
    (home / "z-2").mkdir()
    for n in range(10):
        (home / f"x/login/{n}").mkdir()
    (home / "x/login/last").touch(mode=0o600)

    found = seen(home)

    assert contents(found) == {b"x/login/.credentials.json": LOGIN}
    assert found.nodes.keys() >= {b"y-1", b"y-2", b"z-1", b"z-2", b"x/login/last"}
    assert b"9" not in found.nodes


@pytest.mark.usefixtures("few")
def test_alike_is_what_no_rule_can_tell_apart(home: Path) -> None:
    """A name of the baseline is not like another, and a file behind other modes is not, either."""
    (home / ".claude/inner").mkdir()
    for name in ("CLAUDE.md", "config.toml", "settings.json", "x", "y"):
        (home / ".claude/inner" / name).touch()
    for n in range(10):
        (home / f".claude/sub/{n}/deep").mkdir(parents=True)
    (home / ".claude/sub/0/deep").chmod(0o500)
    (home / ".claude/sub/0/deep/file").touch()
    (home / ".claude/sub/8/deep/file").touch()
    (home / ".claude/sub/9/deep/file").touch()

    found = seen(home)

    assert b".claude/inner/x" in found.nodes
    assert b".claude/inner/y" not in found.nodes
    assert b".claude/sub/8/deep/file" in found.nodes
    assert b".claude/sub/9/deep/file" not in found.nodes


@pytest.mark.usefixtures("few")
def test_what_is_closed_is_kept_whatever_it_is_like() -> None:
    """Modes do not tell all: some file systems refuse for reasons of their own."""
    found = keeping.Keeping(Wanted())
    for path in (b"", b".claude", *(b".claude/%d" % n for n in range(9))):
        found.add(SeenNode(path=path, kind="directory", mode=0o700, uid=1, gid=1))
    found.close(b".claude/8")
    home = found.home(0.0)

    assert home.closed == {b".claude/8"}
    assert home.nodes.keys() - {b""} == {b".claude"} | {b".claude/%d" % n for n in (0, 1, 2, 8)}
    assert home.passed_over == {b".claude": 5}


def test_a_whole_home_is_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_NODES", 8)
    for n in range(20):
        (home / f"a/{n}").mkdir(parents=True)
    (home / ".claude/last").mkdir()

    found = seen(home)

    assert b".claude/last" in found.nodes
    assert len(found.nodes) == 8
    assert sum(found.passed_over.values()) == 17


def test_baseline_names_are_those_of_the_layer() -> None:
    paths = (entry.path for entry in bundled_layers()["claude-baseline"])
    assert {name.removeprefix(".claude/").encode() for name in paths} == visible.BASELINE


def test_everything_that_rules_read_is_named() -> None:
    """Each path that is read is among the names, with the directories above it."""
    wanted = Wanted()

    assert wanted.read_by_rules() <= wanted.names()
    assert all(wanted.is_read_by_rules(path) for path in wanted.read_by_rules())
    assert not wanted.is_read_by_rules(b".claude/CLAUDE.md")
