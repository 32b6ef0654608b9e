"""Homes as real directories: what is built, what is refused, and what a failure is called."""

from __future__ import annotations

import errno
import json
import os
import pwd
import stat
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import clear, directory, entry
from support import NOBODY, ROOT, as_plain_user

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.catalogue.entries import entries_of
from conformance.catalogue.entry_schema import EntryTable
from conformance.drivers.local.standalone import standalone
from conformance.errors import CannotJudge, FileError, UsageError
from conformance.home import Node, build, check_target, mismatch, plan, snapshot
from conformance.home.build import Unbuildable
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry, EntryKind

cleared = pytest.fixture(clear, autouse=True)

NOW = 1_700_000_000

needs_root = pytest.mark.skipif(not ROOT, reason="only root can give files away")


def context(home: Path | str = "/nowhere") -> Context:
    return Context(now=NOW, seed="seed", scenario="some/id", home=str(home))


def make(tmp_path: Path, *entries: Entry) -> Path:
    """Build *entries* in a new home, and make sure that disk and plan agree."""
    home = tmp_path / "home"
    nodes = plan(entries, context(home))
    build(nodes, home)
    assert mismatch(nodes, snapshot(home, [node.path for node in nodes])) == ""
    return home


@pytest.fixture
def umask() -> Iterator[Callable[[int], object]]:
    """Set the umask for one test."""
    before = os.umask(0o022)
    os.umask(before)
    yield os.umask
    os.umask(before)


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the caller's real HOME be an empty directory, in the environment only."""
    home = tmp_path / "own"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: _no_entry())
    return home


def _no_entry() -> pwd.struct_passwd:
    raise KeyError("uid not found")


# Content


def test_text_is_written_as_utf_8_with_its_placeholders_replaced(tmp_path: Path) -> None:
    home = make(tmp_path, entry("f", text="é {now:s} {home} {byte:ff} {not a placeholder}\n"))
    assert (home / "f").read_bytes() == f"é {NOW} {home} ".encode() + b"\xff {not a placeholder}\n"


def test_json_is_written_with_placeholders_in_their_own_types(tmp_path: Path) -> None:
    value = {
        "token": "{secret}",
        "expiresAt": "{now+8h}",
        "none": "{null}",
        "list": [1.5, True, "é\u0000"],
        "{now}": {},
    }
    home = make(tmp_path, entry("f", json=value))
    assert json.loads((home / "f").read_bytes()) == {
        "token": context().secret(),
        "expiresAt": (NOW + 8 * 3600) * 1000,
        "none": None,
        "list": [1.5, True, "é\u0000"],
        "{now}": {},
    }


@pytest.mark.parametrize("value", [None, [], {}, 0, "", False])
def test_a_json_value_that_python_takes_for_false_is_still_written(
    tmp_path: Path, value: Any
) -> None:
    home = make(tmp_path, entry("f", json=value))
    assert (home / "f").read_text() == json.dumps(value)


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    data = bytes(range(256)) + b"{secret}"
    home = make(tmp_path, entry("f", data=data))
    assert (home / "f").read_bytes() == data


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({"size": 0}, b""),
        ({"size": 5}, b"     "),
        ({"text": "ab", "size": 5}, b"ab   "),
        ({"text": "abcdef", "size": 5}, b"abcdef"),
        ({"text": "", "size": 3}, b"   "),
        ({"json": {"a": 1}, "size": 12}, b'{"a": 1}    '),
        ({"runs": (("[", 3), ("", 9), ("]", 2))}, b"[[[]]"),
        ({"runs": (("ab", 2), ("c", 0)), "size": 6}, b"abab  "),
        ({"text": ""}, b""),
    ],
    ids=repr,
)
def test_size_pads_with_blanks_and_runs_repeat(
    tmp_path: Path, fields: dict[str, Any], content: bytes
) -> None:
    home = make(tmp_path, entry("f", **fields))
    assert (home / "f").read_bytes() == content


@pytest.mark.parametrize("length", [64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 3 * 64 * 1024 + 7])
def test_content_around_the_size_of_a_chunk_is_complete(tmp_path: Path, length: int) -> None:
    home = make(tmp_path, entry("f", runs=(("abc", length),), size=3 * length + 5))
    assert (home / "f").read_bytes() == b"abc" * length + b"     "


def test_no_chunk_is_empty_because_a_reader_would_take_it_for_the_end() -> None:
    [node] = plan([entry("f", text="", runs=(), size=10)], context())
    runs = plan([entry("g", runs=(("", 1_000_000), ("a", 1)))], context())[0]
    assert (list(node.chunks()), list(runs.chunks())) == ([b" " * 10], [b"a"])


def test_a_large_file_is_never_held_in_memory() -> None:
    """200 MiB of padding, and 200 MiB of a repeated text, pass through a few MiB at most."""
    size = 200 * 1024**2
    tracemalloc.start()
    try:
        nodes = plan(
            [entry("a", text="{}", size=size), entry("b", runs=(("[1, ", size // 4),))], context()
        )
        lengths = [sum(map(len, node.chunks())) for node in nodes]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lengths == [node.size for node in nodes] == [size, size]
    assert peak < 4 * 1024**2


def test_a_large_file_reaches_the_disk_through_little_memory(tmp_path: Path) -> None:
    nodes = plan([entry("f", text="{}", size=24 * 1024**2)], context())
    tracemalloc.start()
    try:
        build(nodes, tmp_path / "home")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "home/f").stat().st_size == 24 * 1024**2
    assert peak < 4 * 1024**2


# Kinds


def test_symlinks_keep_their_targets_whether_or_not_they_lead_anywhere(tmp_path: Path) -> None:
    targets = {
        "relative": "d/good",
        "absolute": "{home}/d/good",
        "dangling": "nowhere",
        "self": "self",
        "ping": "pong",
        "pong": "ping",
    }
    links = [entry(path, "symlink", target=target) for path, target in targets.items()]
    home = make(tmp_path, entry("d/good", text="good"), *links)
    assert {path: os.readlink(home / path) for path in targets} == {
        **targets,
        "absolute": f"{home}/d/good",
    }
    assert (home / "relative").read_text() == (home / "absolute").read_text() == "good"
    for looping in ("self", "ping"):
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
            (home / looping).read_bytes()


def test_a_kubernetes_secret_mount_is_a_chain_of_links(tmp_path: Path) -> None:
    """The names begin with two dots, and are no way out of the home."""
    home = make(
        tmp_path,
        entry(".codex/..2026_01_01_00_00_00.123/auth.json", text="{}"),
        entry(".codex/..data", "symlink", target="..2026_01_01_00_00_00.123"),
        entry(".codex/auth.json", "symlink", target="..data/auth.json"),
    )
    assert (home / ".codex/auth.json").read_text() == "{}"
    assert os.path.realpath(home / ".codex/auth.json") == str(
        home / ".codex/..2026_01_01_00_00_00.123/auth.json"
    )


def test_kinds_and_default_modes(tmp_path: Path) -> None:
    kinds: dict[str, EntryKind] = {
        "file": "file",
        "directory": "directory",
        "fifo": "fifo",
        "socket": "socket",
    }
    home = make(
        tmp_path,
        *(
            entry(f"sub/{path}", kind, size=0 if path == "file" else None)
            for path, kind in kinds.items()
        ),
    )
    found = {path.name: stat.filemode(path.lstat().st_mode) for path in (home, *home.rglob("*"))}
    assert found == {
        "home": "drwx------",
        "sub": "drwx------",
        "file": "-rw-------",
        "directory": "drwx------",
        "fifo": "prw-------",
        "socket": "srw-------",
    }


def test_a_socket_may_have_a_path_too_long_to_bind(tmp_path: Path) -> None:
    home = make(tmp_path, entry("d" * 200 + "/socket", "socket"))
    assert stat.S_ISSOCK((home / ("d" * 200) / "socket").stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_modes_do_not_depend_on_the_umask(
    tmp_path: Path, umask: Callable[[int], object], mask: int
) -> None:
    modes = [0o000, 0o200, 0o400, 0o600, 0o644, 0o700, 0o777, 0o1777, 0o4755]
    kinds: tuple[EntryKind, ...] = ("file", "directory", "fifo", "socket")
    entries = [entry(f"d/{kind}-{mode:o}", kind, mode=mode) for kind in kinds for mode in modes]
    umask(mask)
    home = make(tmp_path, *entries, entry("made-on-the-way/plain", text=""))
    found = {entry.path: stat.S_IMODE((home / entry.path).lstat().st_mode) for entry in entries}
    assert found == {entry.path: entry.mode for entry in entries}
    assert (
        stat.S_IMODE(home.stat().st_mode)
        == stat.S_IMODE((home / "made-on-the-way").stat().st_mode)
        == 0o700
    )
    assert stat.S_IMODE((home / "made-on-the-way/plain").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o000, 0o200, 0o300, 0o400, 0o500, 0o600])
def test_a_directory_that_shuts_its_owner_out_still_gets_its_content(
    tmp_path: Path, mode: int
) -> None:
    def work() -> None:
        home = Path("home")
        shut = directory("shut", mode=mode)
        build(
            plan([shut, entry("shut/in/f", text="x"), directory("shut/in", mode=mode)], context()),
            home,
        )
        assert stat.S_IMODE((home / "shut").stat().st_mode) == mode
        (home / "shut").chmod(0o700)
        assert stat.S_IMODE((home / "shut/in").stat().st_mode) == mode
        (home / "shut/in").chmod(0o700)
        assert (home / "shut/in/f").read_text() == "x"

    as_plain_user(tmp_path, work)


def test_times_are_what_the_scenario_says_also_of_directories_and_links(tmp_path: Path) -> None:
    """A directory keeps its own time although entries are made in it afterwards."""
    entries = (
        directory("d", mtime="{now-30d}"),
        directory("d/d", mtime="{now-1h}", mode=0o500),
        entry("d/d/f", text="x", mtime="{now-1d}"),
        entry("d/link", "symlink", target="d/f", mtime="{now-2d}"),
        entry("d/fifo", "fifo", mtime="{now+3d}"),
        entry("d/socket", "socket", mtime="{now}"),
        entry("old", text="", mtime="{now-20000d}"),
    )
    home = make(tmp_path, *entries)
    found = {entry.path: (home / entry.path).lstat().st_mtime_ns - NOW * 10**9 for entry in entries}
    day = 86400 * 10**9
    assert found == {
        "d": -30 * day,
        "d/d": -day // 24,
        "d/d/f": -day,
        "d/link": -2 * day,
        "d/fifo": 3 * day,
        "d/socket": 0,
        "old": -20_000 * day,
    }


def test_names_may_be_any_bytes(tmp_path: Path) -> None:
    names = ["{byte:ff}{byte:fe}.json", "a b\n\t\\'\"", "-rf", "*", "é", "{Not}", " "]
    home = make(tmp_path, *(entry(f"d{{byte:c3}}/{name}", text=name) for name in names))
    found = os.listdir(os.fsencode(home) + b"/d\xc3")
    assert sorted(found) == sorted([b"\xff\xfe.json", *(name.encode() for name in names[1:])])


def test_a_thousand_levels(tmp_path: Path) -> None:
    home = make(tmp_path, entry(".claude/deep.json", text="deep", depth=1000))
    assert (home / ".claude" / "/".join(["d"] * 1000) / "deep.json").read_text() == "deep"


@pytest.mark.slow
def test_ten_thousand_directories_each_with_its_number(tmp_path: Path) -> None:
    home = make(tmp_path, entry(".claude/{n}/CLAUDE.md", text="{n}", count=10_000))
    assert sorted(map(int, os.listdir(home / ".claude"))) == list(range(1, 10_001))
    assert (home / ".claude/9999/CLAUDE.md").read_text() == "9999"


def test_the_same_context_makes_the_same_home(tmp_path: Path) -> None:
    entries = (entry("f", json={"a": "{secret}", "b": "{now+1h:jwt}"}, mtime="{now}"),)
    assert plan(entries, context()) == plan(entries, context())
    (tmp_path / "again").mkdir()
    assert snapshot(make(tmp_path, *entries)) == snapshot(make(tmp_path / "again", *entries))


@needs_root
def test_an_owner_is_given(tmp_path: Path) -> None:
    """The mode survives the change of owner, which takes set-user-ID bits away."""
    kinds: tuple[EntryKind, ...] = ("file", "directory", "symlink", "fifo", "socket")
    entries = [
        entry(kind, kind, owner=NOBODY, target="x" if kind == "symlink" else "") for kind in kinds
    ]
    home = make(tmp_path, *entries, entry("set-user-id", text="", owner=NOBODY, mode=0o4755))
    found = {path.name: path.lstat().st_uid for path in home.iterdir()}
    assert found == dict.fromkeys([*kinds, "set-user-id"], NOBODY)
    assert stat.S_IMODE((home / "set-user-id").stat().st_mode) == 0o4755


# Plans


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ((entry("a", text=""), entry("{byte:61}", text="")), "two entries make the path b'a'"),
        ((entry("d{byte:2f}a", text="", count=2),), "two entries make the path b'd/a'"),
        ((entry("x" * 3001, text=""),), f"the path b'{'x' * 200}' is longer than 3000 bytes"),
        (
            (entry("a/x", text="", depth=1500),),
            f"the path b'a/{'d/' * 99}' is longer than 3000 bytes",
        ),
        (
            (entry("{byte:2e}{byte:2e}/evil", text=""),),
            "b'../evil' is not a plain path below the home",
        ),
        (
            (entry("a/{byte:2e}{byte:2e}/{byte:2e}{byte:2e}/evil", text=""),),
            "b'a/../../evil' is not a plain path below the home",
        ),
        (
            (entry("{byte:2f}etc/passwd", text=""),),
            "b'/etc/passwd' is not a plain path below the home",
        ),
        ((entry("a{byte:00}", text=""),), r"b'a\\x00' is not a plain path below the home"),
        (
            (entry("a", text=""), entry("{byte:61}/b", text="")),
            "something lies below b'a', which is not a directory",
        ),
        (
            (entry("a", "symlink", target="b"), entry("{byte:61}/b/c", text="")),
            "something lies below b'a', which is not a directory",
        ),
    ],
)
def test_a_plan_that_no_home_can_hold_is_refused(entries: tuple[Entry, ...], message: str) -> None:
    with pytest.raises(CannotJudge) as caught:
        plan(entries, context())
    assert caught.value.cause == message.replace("\\\\", "\\")
    assert caught.value.exit_status == 3


@pytest.mark.parametrize(
    "path",
    [
        "{byte:2e}{byte:2e}/evil",
        "a/{byte:2e}{byte:2e}/b",
        "{byte:2f}etc",
        "a{byte:00}",
        "a/{byte:2e}",
    ],
)
def test_a_file_cannot_smuggle_a_way_out_in_as_bytes(path: str) -> None:
    with pytest.raises(FileError):
        entries_of({path: EntryTable(text="")}, name="some.toml")


def test_parents_come_before_their_children() -> None:
    nodes = plan(
        [entry("b/c/f", text=""), entry("b-c", text=""), entry("b/a", text=""), directory("a")],
        context(),
    )
    assert [node.path for node in nodes] == [b"a", b"b", b"b/a", b"b/c", b"b/c/f", b"b-c"]


# Targets


def test_a_new_or_an_empty_directory_is_a_good_target(tmp_path: Path, own_home: Path) -> None:
    (tmp_path / "empty").mkdir()
    for target in (
        tmp_path / "new",
        tmp_path / "new/below",
        tmp_path / "empty",
        own_home / "below",
    ):
        check_target(target)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda target: target.mkdir() or (target / ".hidden").touch(), "{} is not empty"),
        (lambda target: target.touch(), "{} is not a directory"),
        (os.mkfifo, "{} is not a directory"),
        (lambda target: target.symlink_to("nowhere"), "{} is not a directory"),
        (lambda target: target.symlink_to(target.parent / "own"), "{} is your own home"),
        (
            lambda target: (target.with_name("x").mkdir(), target.symlink_to("x")),
            "{} is not a directory",
        ),
    ],
    ids=[
        "not empty",
        "file",
        "fifo",
        "dangling link",
        "link to the own home",
        "link to an empty directory",
    ],
)
def test_a_target_that_is_in_use_is_refused(
    tmp_path: Path, own_home: Path, prepare: Callable[[Path], object], message: str
) -> None:
    target = tmp_path / "target"
    prepare(target)
    with pytest.raises(UsageError) as caught:
        check_target(target)
    assert caught.value.cause == message.format(target)


def test_the_callers_own_home_is_refused_however_it_is_spelled(
    tmp_path: Path, own_home: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for target in (
        own_home,
        own_home / "below" / "..",
        tmp_path / "link" / "own",
        tmp_path / "." / "own",
    ):
        with pytest.raises(UsageError, match="is your own home"):
            check_target(target)


def test_the_home_of_the_password_file_is_refused_whatever_the_environment_says(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = pwd.struct_passwd(
        ("me", "x", os.getuid(), os.getgid(), "", str(tmp_path / "real"), "/bin/sh")
    )
    (tmp_path / "real").mkdir()
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    for wrong in (tmp_path / "real", own_home):
        with pytest.raises(UsageError, match="is your own home"):
            check_target(wrong)
    monkeypatch.delenv("HOME")
    with pytest.raises(UsageError, match="is your own home"):
        check_target(tmp_path / "real")
    check_target(own_home)


def test_a_target_that_cannot_be_looked_at_is_a_usage_error(tmp_path: Path, own_home: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be used: File name too long; name a directory"):
        check_target(tmp_path / ("x" * 300))

    def work() -> None:
        Path("shut").mkdir(0o000)
        for target in (Path("shut"), Path("shut/below")):
            with pytest.raises(UsageError, match=f"{target} cannot be used: Permission denied"):
                check_target(target)
        Path("shut").chmod(0o700)

    as_plain_user(tmp_path, work)


def test_the_root_directory_is_refused_before_names_are_made_from_it() -> None:
    contract = contracts.bundled()["slot"]
    scenario = load_catalogue().in_contract(contract)[0]
    with pytest.raises(UsageError, match=r"^/ is not empty"):
        standalone(scenario, contract, Path("/"), context())


def test_a_home_is_not_built_over_what_stands_there(tmp_path: Path) -> None:
    """Links that wait in the target are not followed, and files are not overwritten."""
    outside, home = tmp_path / "outside", tmp_path / "home"
    outside.mkdir()
    home.mkdir()
    (outside / "f").write_text("mine")
    (home / "link").symlink_to(outside / "f")
    (home / "dir").symlink_to(outside)
    (home / "plain").write_text("mine")
    for path in ("link", "dir/new", "dir/f", "plain"):
        with pytest.raises(CannotJudge, match="File exists"):
            build(plan([entry(path, text="evil", mode=0o666)], context()), home)
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"f": "mine"}
    assert stat.S_IMODE((outside / "f").stat().st_mode) & 0o022 == 0
    assert (home / "plain").read_text() == "mine"


def test_building_changes_modes_and_times_of_nothing_a_link_leads_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o640)
    os.utime(outside, (5, 5))
    make(tmp_path, entry("link", "symlink", target=str(outside), mtime="{now}", owner=os.geteuid()))
    assert (stat.S_IMODE(outside.stat().st_mode), outside.stat().st_mtime) == (0o640, 5)


def test_a_home_is_private_also_where_the_directory_was_there_before(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o2755)
    build(plan([entry("d/f", text="")], context()), home)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home, home / "d")] == [0o700, 0o700]


# Failures


def test_a_plain_user_cannot_build_an_owner(tmp_path: Path) -> None:
    def work() -> None:
        kinds: tuple[EntryKind, ...] = ("file", "directory", "symlink", "fifo", "socket")
        for number, kind in enumerate(kinds):
            one = entry("some", kind, owner=12345, target="x" if kind == "symlink" else "")
            with pytest.raises(Unbuildable) as caught:
                build(plan([one], context()), Path(f"home{number}"))
            assert (
                caught.value.cause
                == f"cannot build 'some' ({kind}) of the home: Operation not permitted"
            )

    as_plain_user(tmp_path, work)


def _failing(number: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    "number",
    [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENOENT],
)
@pytest.mark.parametrize("call", ["write", "mkdir", "mknod", "symlink", "utime", "chmod"])
def test_system_failures_cannot_be_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """A full disk says nothing about the probe, and nothing about what this system can hold."""
    entries = {
        "write": entry("some", text="x"),
        "mkdir": directory("some"),
        "mknod": entry("some", "fifo"),
        "symlink": entry("some", "symlink", target="x"),
        "utime": entry("some", text="x", mtime="{now}"),
        "chmod": directory("some", mode=0o500),
    }
    (tmp_path / "home").mkdir()
    real_chmod = os.chmod
    failing = _failing(number)
    if call == "chmod":
        monkeypatch.setattr(
            os,
            "chmod",
            lambda path, mode, **kw: (real_chmod if mode == 0o700 else failing)(path, mode, **kw),
        )
    else:
        monkeypatch.setattr(os, call, failing)
    with pytest.raises(CannotJudge) as caught:
        build(plan([entries[call]], context()), tmp_path / "home")
    assert type(caught.value) is CannotJudge
    assert (
        caught.value.cause
        == f"cannot build 'some' ({entries[call].kind}) of the home: {os.strerror(number)}"
    )
    assert caught.value.exit_status == 3


@pytest.mark.parametrize(
    "number", [errno.EILSEQ, errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL]
)
def test_entries_the_file_system_cannot_hold_are_unsupported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "mknod", _failing(number))
    with pytest.raises(
        Unbuildable, match=rf"cannot build 'd/\\udcff' \(fifo\) of the home: {os.strerror(number)}"
    ):
        build(plan([entry("d/{byte:ff}", "fifo")], context()), tmp_path / "home")


def test_a_name_that_is_too_long_is_unsupported_here(tmp_path: Path) -> None:
    with pytest.raises(Unbuildable, match="File name too long"):
        build(plan([entry("x" * 256, text="")], context()), tmp_path / "home")


def test_a_home_in_a_place_that_cannot_be_made_cannot_be_judged(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        CannotJudge,
        match=r"cannot build 'its top directory' \(directory\) of the home: Not a directory",
    ):
        build([], tmp_path / "file" / "home")


def test_a_write_that_takes_only_a_part_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    home = make(tmp_path, entry("f", text="a text of more than seven bytes", size=100))
    monkeypatch.undo()
    assert (home / "f").read_text() == "a text of more than seven bytes".ljust(100)


def test_a_failure_closes_what_it_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fchmod", _failing(errno.EIO))
        with pytest.raises(CannotJudge):
            build([Node(path=b"f", kind="file", mode=0o644)], tmp_path / "home")
    assert os.listdir("/proc/self/fd") == before
