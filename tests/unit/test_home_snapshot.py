"""What a probe did to a home: every change is seen, and only what a contract allows is excused."""

from __future__ import annotations

import os
import re
import resource
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from factories import clear, directory, entry
from support import as_plain_user

from conformance.catalogue import contracts
from conformance.home import Node, build, changes, mismatch, plan, remove, snapshot
from conformance.model.placeholders import Context

cleared = pytest.fixture(clear, autouse=True)

ALLOWED = contracts.bundled()["slot"].allowed_writes


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with one of each kind."""
    entries = (
        entry("file", text="content"),
        entry("dir/file", text="content"),
        directory("empty"),
        entry("link", "symlink", target="dir"),
        entry("fifo", "fifo"),
        entry("socket", "socket"),
        entry(".claude/settings.json", text="{}"),
    )
    build(plan(entries, context()), tmp_path / "home")
    return tmp_path / "home"


def context() -> Context:
    return Context(now=1_700_000_000, seed="seed")


def changes_by(
    home: Path, act: Callable[[], object], allowed: Sequence[str] = (), known: Sequence[bytes] = ()
) -> tuple[str, ...]:
    before = snapshot(home, known)
    act()
    return changes(before, snapshot(home, known), allowed)


def rewrite(path: Path, content: bytes) -> None:
    """Change the content, and put back the times that can be put back."""
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace(path: Path, make: Callable[[Path], object]) -> None:
    remove(path)
    make(path)


def until_the_clock_has_moved(path: Path) -> None:
    """Wait until a change would get a later time than the last one at *path*: the clock of a file system has a coarse tick."""
    last, scratch = path.stat().st_ctime_ns, path.with_name(f"{path.name}.clock")
    while True:
        scratch.touch()
        now = scratch.stat().st_ctime_ns
        scratch.unlink()
        if now > last:
            return


# Every change is seen


def test_nothing_changed_is_no_difference(home: Path) -> None:
    """Reading, and new times alone, change nothing."""

    def read() -> None:
        (home / "file").read_bytes()
        os.listdir(home / "dir")
        os.utime(home / "file", (1, 1))
        os.utime(home / "dir", (1, 1))

    assert changes_by(home, read) == ()


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (
            lambda h: rewrite(h / "file", b"CONTENT"),
            "changed file: other content, file, mode 0600, 7 bytes",
        ),
        (
            lambda h: rewrite(h / "dir/file", b"longer content"),
            "changed dir/file: file, mode 0600, 7 bytes became file, mode 0600, 14 bytes",
        ),
        (
            lambda h: rewrite(h / "file", b""),
            "changed file: file, mode 0600, 7 bytes became file, mode 0600, 0 bytes",
        ),
        (
            lambda h: (h / "file").chmod(0o640),
            "changed file: file, mode 0600, 7 bytes became file, mode 0640, 7 bytes",
        ),
        (
            lambda h: (h / "file").chmod(0o4600),
            "changed file: file, mode 0600, 7 bytes became file, mode 4600, 7 bytes",
        ),
        (
            lambda h: (h / "dir").chmod(0o1700),
            "changed dir: directory, mode 0700 became directory, mode 1700",
        ),
        (
            lambda h: (h / "fifo").chmod(0o666),
            "changed fifo: fifo, mode 0600 became fifo, mode 0666",
        ),
        (
            lambda h: (h / "socket").chmod(0o666),
            "changed socket: socket, mode 0600 became socket, mode 0666",
        ),
        (
            lambda h: h.chmod(0o755),
            "changed the HOME itself: directory, mode 0700 became directory, mode 0755",
        ),
        (
            lambda h: replace(h / "link", lambda p: p.symlink_to("file")),
            "changed link: symlink, mode 0777 to dir became symlink, mode 0777 to file",
        ),
        (
            lambda h: replace(h / "link", lambda p: p.symlink_to(h / "dir")),
            "changed link: symlink, mode 0777 to dir became symlink, mode 0777 to {home}/dir",
        ),
        (
            lambda h: replace(h / "file", lambda p: p.mkdir(0o700)),
            "changed file: file, mode 0600, 7 bytes became directory, mode 0700",
        ),
        (
            lambda h: (
                (h / "file").rename(h.parent / "moved"),
                (h / "file").symlink_to(h.parent / "moved"),
            ),
            "changed file: file, mode 0600, 7 bytes became symlink, mode 0777 to {home}/../moved",
        ),
        (
            lambda h: replace(h / "fifo", lambda p: p.touch(0o600)),
            "changed fifo: fifo, mode 0600 became file, mode 0600, 0 bytes",
        ),
        (lambda h: (h / "empty").rmdir(), "removed empty (directory, mode 0700)"),
        (lambda h: (h / "fifo").unlink(), "removed fifo (fifo, mode 0600)"),
        (lambda h: (h / "link").unlink(), "removed link (symlink, mode 0777 to dir)"),
        (lambda h: (h / "new").touch(0o600), "added new (file, mode 0600, 0 bytes)"),
        (lambda h: (h / "empty/new").mkdir(0o700), "added empty/new (directory, mode 0700)"),
        (
            lambda h: (h / "new").symlink_to("/etc/passwd"),
            "added new (symlink, mode 0777 to /etc/passwd)",
        ),
        (lambda h: os.mkfifo(h / "new", 0o600), "added new (fifo, mode 0600)"),
        (lambda h: os.link(h / "file", h / "new"), "added new (file, mode 0600, 7 bytes)"),
    ],
)
def test_a_change_is_one_line(home: Path, act: Callable[[Path], object], expected: str) -> None:
    [line] = changes_by(home, lambda: act(home))
    assert (
        line.replace(f"{home.parent}/moved", "{home}/../moved").replace(str(home), "{home}")
        == expected
    )


def test_several_changes_come_in_a_fixed_order(home: Path) -> None:
    def act() -> None:
        (home / "dir").rename(home / "moved")
        (home / "file").write_bytes(b"x")

    assert changes_by(home, act) == (
        "added moved (directory, mode 0700)",
        "added moved/file (file, mode 0600, 7 bytes)",
        "changed file: file, mode 0600, 7 bytes became file, mode 0600, 1 bytes",
        "removed dir (directory, mode 0700)",
        "removed dir/file (file, mode 0600, 7 bytes)",
    )


def test_a_change_at_the_end_of_a_large_file_is_seen(home: Path) -> None:
    size = 3 * 1024 * 1024 + 17
    (home / "file").write_bytes(b" " * size)
    assert changes_by(home, lambda: rewrite(home / "file", b" " * (size - 1) + b"x")) == (
        f"changed file: other content, file, mode 0600, {size} bytes",
    )


def test_a_file_made_unreadable_is_seen(tmp_path: Path) -> None:
    def work() -> None:
        home = Path("home")
        build([Node(path=b"f", kind="file", mode=0o600, pieces=((b"x", 1),))], home)
        assert changes_by(home, lambda: (home / "f").chmod(0o000)) == (
            "changed f: file, mode 0600, 1 bytes became file, mode 0000, 1 bytes",
        )

    as_plain_user(tmp_path, work)


def test_the_home_itself_may_go(home: Path) -> None:
    def swap() -> None:
        home.rename(home.with_name("moved"))
        home.symlink_to("moved")

    lines = changes_by(home, swap, known=[b"file"])
    assert (
        lines[0]
        == "changed the HOME itself: directory, mode 0700 became symlink, mode 0777 to moved"
    )
    assert "removed file (file, mode 0600, 7 bytes)" in lines
    before = snapshot(home.with_name("moved"))
    home.unlink()
    assert snapshot(home) == {}
    assert "removed the HOME itself (directory, mode 0700)" in changes(before, snapshot(home))


def test_a_directory_that_was_swapped_for_a_link_to_itself_lacks_what_was_in_it(home: Path) -> None:
    """Also where the names are known: they are looked up behind shut directories only."""

    def swap() -> None:
        (home / "dir").rename(home.parent / "moved")
        (home / "dir").symlink_to("../moved")

    lines = changes_by(home, swap, known=[b"dir", b"dir/file"])
    assert lines == (
        "changed dir: directory, mode 0700 became symlink, mode 0777 to ../moved",
        "removed dir/file (file, mode 0600, 7 bytes)",
    )


def test_a_link_is_not_followed(home: Path) -> None:
    """What it leads to belongs to somebody else."""
    (home / "out").symlink_to(home.parent)
    found = snapshot(home)
    assert (found[b"out"].kind, found[b"link"].kind) == ("symlink", "symlink")
    assert not [path for path in found if path.startswith((b"out/", b"link/"))]


def test_names_of_any_bytes_become_words_that_any_report_can_carry(home: Path) -> None:
    """A message goes through JSON, XML and the channel between processes, none of which takes what is not UTF-8."""
    top = os.fsencode(home)

    def act() -> None:
        os.close(os.open(top + b"/\xff\nname", os.O_CREAT | os.O_WRONLY, 0o600))
        os.symlink(b"to-\xfe", top + b"/odd")
        os.mkdir(top + "/é😀".encode(), 0o700)

    lines = changes_by(home, act)
    assert lines == (
        "added \\xff\nname (file, mode 0600, 0 bytes)",
        "added odd (symlink, mode 0777 to to-\\xfe)",
        "added é😀 (directory, mode 0700)",
    )
    assert "".join(lines).encode("utf-8")


def test_a_fifo_and_a_socket_block_nobody(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, ThreadPoolExecutor(1) as pool:
        directory = os.open(home, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{directory}/listening")
        os.close(directory)
        try:
            kinds = {
                path: stamp.kind
                for path, stamp in pool.submit(snapshot, home).result(timeout=60).items()
            }
        finally:
            os.close(
                os.open(home / "fifo", os.O_RDWR | os.O_NONBLOCK)
            )  # lets go of a snapshot that waits
    assert (kinds[b"fifo"], kinds[b"socket"], kinds[b"listening"]) == ("fifo", "socket", "socket")


def test_a_file_that_becomes_a_fifo_while_it_is_looked_at_blocks_nobody(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = (home / "file").lstat()
    (home / "file").unlink()
    os.mkfifo(home / "file")
    stat = os.stat
    monkeypatch.setattr(
        os, "stat", lambda path, **kw: status if path == b"file" else stat(path, **kw)
    )
    with ThreadPoolExecutor(1) as pool:
        try:
            assert pool.submit(snapshot, home).result(timeout=60)[b"file"].kind == "file"
        finally:
            os.close(os.open(home / "file", os.O_RDWR | os.O_NONBLOCK))


def _deep(home: Path, name: bytes, levels: int) -> int:
    """Make directories below each other; return a descriptor of the last."""
    fd = os.open(home, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, 0o700, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    return fd


@pytest.mark.parametrize(
    ("length", "levels"), [(200, 60), (255, 40), pytest.param(2, 4000, marks=pytest.mark.slow)]
)
def test_a_change_deeper_than_any_path_can_say_is_seen(
    home: Path, length: int, levels: int
) -> None:
    fd = _deep(home, b"x" * length, levels)
    try:
        assert (length + 1) * levels > os.pathconf(home, "PC_PATH_MAX")
        place = "/".join(["x" * length] * levels)
        [line] = changes_by(home, lambda: os.mkdir("new", 0o700, dir_fd=fd))
        assert line == f"added {place}/new (directory, mode 0700)"
        [line] = changes_by(home, lambda: os.symlink("x", "link", dir_fd=fd))
        assert line == f"added {place}/link (symlink, mode 0777 to x)"
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=fd))
        [line] = changes_by(home, lambda: os.chmod("f", 0o640, dir_fd=fd))
        assert (
            line == f"changed {place}/f: file, mode 0600, 0 bytes became file, mode 0640, 0 bytes"
        )
    finally:
        os.close(fd)


@pytest.mark.parametrize("levels", range(4, 9))
def test_many_directories_far_down_do_not_use_up_the_descriptors(home: Path, levels: int) -> None:
    """With one of these depths their paths are the first that need a new start, wherever the tests run."""
    fd = _deep(home, b"x" * 250, levels)
    for number in range(100):
        os.mkdir(f"{number:0250}", 0o700, dir_fd=fd)
    os.close(fd)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 40, limits[1])
    )
    try:
        found = snapshot(home)
        remove(home)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len([path for path in found if path.startswith(b"x" * 250)]) == levels + 100
    assert not [stamp for stamp in found.values() if stamp.kind == "directory" and stamp.content]
    assert not home.exists()


def test_descriptors_are_given_back(home: Path) -> None:
    os.close(_deep(home, b"x" * 200, 60))
    before = os.listdir("/proc/self/fd")
    snapshot(home)
    assert os.listdir("/proc/self/fd") == before


# What cannot be read

SHUT = [0o000, 0o100, 0o200, 0o300, 0o400, 0o500, 0o600]


def _shut_home(mode: int) -> Path:
    home = Path("home")
    nodes = [
        Node(path=b"shut", kind="directory", mode=mode),
        Node(path=b"shut/below", kind="directory", mode=0o700),
        Node(path=b"shut/below/f", kind="file", mode=0o600, pieces=((b"x", 1),)),
        Node(path=b"shut/f", kind="file", mode=0o600, pieces=((b"x", 1),)),
    ]
    build(nodes, home)
    assert mismatch(nodes, snapshot(home)) == ""
    assert mismatch(nodes, snapshot(home, [node.path for node in nodes])) == ""
    return home


@pytest.mark.parametrize("mode", SHUT)
def test_a_shut_directory_that_nobody_touched_is_no_difference(tmp_path: Path, mode: int) -> None:
    def work() -> None:
        home = _shut_home(mode)
        until_the_clock_has_moved(home)
        assert changes_by(home, lambda: None) == ()

    as_plain_user(tmp_path, work)


@pytest.mark.parametrize("place", ["shut/f", "shut/below/f"])
@pytest.mark.parametrize("mode", SHUT)
def test_a_change_behind_a_directory_that_was_opened_and_shut_again_is_seen(
    tmp_path: Path, mode: int, place: str
) -> None:
    """Nobody without privileges can change what is behind it and leave no trace."""

    def work() -> None:
        home = _shut_home(mode)
        until_the_clock_has_moved(home)

        def act() -> None:
            times = (home / "shut").stat()
            (home / "shut").chmod(0o700)
            rewrite(home / place, b"y")
            (home / "shut").chmod(mode)
            os.utime(home / "shut", ns=(times.st_atime_ns, times.st_mtime_ns))

        lines = changes_by(home, act)
        assert lines
        assert all(line.startswith("changed shut") and "other content" in line for line in lines), (
            lines
        )

    as_plain_user(tmp_path, work)


@pytest.mark.parametrize("place", ["shut/f", "shut/below/f"])
@pytest.mark.parametrize("mode", [0o100, 0o300])
def test_a_change_by_name_behind_a_directory_that_cannot_be_listed_is_seen(
    tmp_path: Path, mode: int, place: str
) -> None:
    """Who may search a directory can change what is in it without listing it, and without a trace on the directory."""

    def work() -> None:
        home = _shut_home(mode)
        known = [b"shut", b"shut/below", b"shut/below/f", b"shut/f"]
        lines = changes_by(home, lambda: rewrite(home / place, b"y"), known=known)
        assert lines == (f"changed {place}: other content, file, mode 0600, 1 bytes",)
        if mode & 0o200 or place == "shut/below/f":
            lines = changes_by(home, (home / place).unlink, known=known)
            assert f"removed {place} (file, mode 0600, 1 bytes)" in lines

    as_plain_user(tmp_path, work)


def test_an_unreadable_file_rewritten_with_its_times_put_back_is_seen(tmp_path: Path) -> None:
    def work() -> None:
        home = Path("home")
        build([Node(path=b"f", kind="file", mode=0o000, pieces=((b"x", 1),))], home)
        until_the_clock_has_moved(home / "f")

        def act() -> None:
            (home / "f").chmod(0o600)
            rewrite(home / "f", b"y")
            (home / "f").chmod(0o000)

        assert changes_by(home, act) == ("changed f: other content, file, mode 0000, 1 bytes",)

    as_plain_user(tmp_path, work)


# What is excused


@pytest.mark.parametrize(
    "paths",
    [
        [".claude.json"],
        [".claude/backups/.claude.json.backup.1"],
        [".claude/backups/a/b/c"],
        [".codex/tmp/arg0/codex-arg0/x", ".claude.json"],
    ],
)
def test_writes_of_the_cli_and_their_directories_are_excused(home: Path, paths: list[str]) -> None:
    def act() -> None:
        for path in paths:
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text("written by the CLI")

    assert changes_by(home, act, ALLOWED) == ()
    assert ALLOWED == (".claude.json", ".claude/backups/**", ".codex/tmp/**")


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([".claude.jsonx"], [".claude.jsonx"]),
        (["xclaude.json"], ["xclaude.json"]),
        (["empty/.claude.json"], ["empty/.claude.json"]),
        ([".claude/backupsx"], [".claude/backupsx"]),
        (
            [".claude/projects/backups/x"],
            [".claude/projects", ".claude/projects/backups", ".claude/projects/backups/x"],
        ),
        ([".codex/tmp/x", ".codex/auth.json"], [".codex/auth.json"]),
        ([".codex/log/x"], [".codex", ".codex/log", ".codex/log/x"]),
        ([".codex/tmp\n/x"], [".codex", ".codex/tmp\n", ".codex/tmp\n/x"]),
    ],
)
def test_lookalike_paths_are_not_excused(home: Path, paths: list[str], expected: list[str]) -> None:
    def act() -> None:
        for path in paths:
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text("")

    lines = changes_by(home, act, ALLOWED)
    assert [line.partition(" (")[0] for line in lines] == [f"added {path}" for path in expected]


def test_an_empty_directory_that_nothing_excused_lies_in_is_not_excused(home: Path) -> None:
    assert changes_by(home, lambda: (home / ".codex").mkdir(0o700), ALLOWED) == (
        "added .codex (directory, mode 0700)",
    )


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (
            lambda p: rewrite(p, b"{ }"),
            "changed .claude.json: file, mode 0600, 2 bytes became file, mode 0600, 3 bytes",
        ),
        (
            lambda p: rewrite(p, b"[]"),
            "changed .claude.json: other content, file, mode 0600, 2 bytes",
        ),
        (
            lambda p: p.chmod(0o644),
            "changed .claude.json: file, mode 0600, 2 bytes became file, mode 0644, 2 bytes",
        ),
        (lambda p: p.unlink(), "removed .claude.json (file, mode 0600, 2 bytes)"),
    ],
)
def test_allowed_paths_may_be_added_but_not_changed(
    home: Path, act: Callable[[Path], object], expected: str
) -> None:
    (home / ".claude.json").write_text("{}")
    (home / ".claude.json").chmod(0o600)
    assert changes_by(home, lambda: act(home / ".claude.json"), ALLOWED) == (expected,)


def test_a_directory_that_was_there_may_not_change_for_an_excused_entry(home: Path) -> None:
    def act() -> None:
        (home / ".claude").chmod(0o755)
        (home / ".claude/backups").mkdir()

    assert changes_by(home, act, ALLOWED) == (
        "changed .claude: directory, mode 0700 became directory, mode 0755",
    )


@pytest.mark.parametrize(
    ("pattern", "excused"),
    [
        ("a/*", {"a", "a/b", "a/\n"}),
        ("*.log", {"x.log", ".log"}),
        ("**", {"a", "a/b", "a/b/c", "a/\n", "x.log", ".log", "xlog", "a+"}),
        ("a/**", {"a", "a/b", "a/b/c", "a/\n"}),
        ("**/c", {"a", "a/b", "a/b/c"}),
        ("a/**/c", {"a", "a/b", "a/b/c"}),
        ("a+", {"a+"}),
        (".log", {".log"}),
        ("", set()),
    ],
)
def test_patterns_of_allowed_writes(tmp_path: Path, pattern: str, excused: set[str]) -> None:
    """One star stands for one name or a part of one, two for any path; all else stands for itself."""
    paths = ["a/b/c", "a/\n", "x.log", ".log", "xlog", "a+"]
    everything = {*paths, "a", "a/b"}

    def act() -> None:
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("")

    lines = changes_by(tmp_path, act, [pattern])
    assert (
        everything - {line.partition(" (")[0].removeprefix("added ") for line in lines} == excused
    )


# The home on disk against its plan


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda h: None, ""),
        (lambda h: (h / "file").unlink(), "'file' is not there after it was built"),
        (lambda h: (h / "file").chmod(0o644), "'file' has mode 0644, not 0600"),
        (lambda h: (h / "empty").chmod(0o2700), "'empty' has mode 2700, not 0700"),
        (lambda h: rewrite(h / "file", b""), "'file' has 0 bytes, not 7"),
        (lambda h: replace(h / "fifo", lambda p: p.touch(0o600)), "'fifo' is a file, not a fifo"),
        (
            lambda h: replace(h / "link", lambda p: p.symlink_to("elsewhere")),
            "'link' leads to 'elsewhere'",
        ),
        (lambda h: remove(h / "dir"), "'dir' is not there after it was built"),
    ],
)
def test_a_home_that_is_not_what_was_planned_is_noticed(
    home: Path, act: Callable[[Path], object], expected: str
) -> None:
    entries = (
        entry("file", text="content"),
        entry("dir/file", text="content"),
        directory("empty"),
        entry("link", "symlink", target="dir"),
        entry("fifo", "fifo"),
    )
    act(home)
    assert mismatch(plan(entries, context()), snapshot(home)) == expected


def test_allowed_writes_may_go_through_a_link_of_the_home(tmp_path: Path) -> None:
    """codex writes to .codex/tmp, wherever .codex leads; to write beside it is no more allowed than before."""
    entries = (
        entry("volume/codex/auth.json", text="{}"),
        entry("volume/other", text=""),
        entry(".codex", "symlink", target="volume/codex"),
        entry("away", "symlink", target="../volume"),
    )
    home = tmp_path / "home"
    build(plan(entries, context()), home)

    def act() -> None:
        (home / ".codex/tmp/arg0").mkdir(parents=True)
        (home / ".codex/tmp/arg0/lock").touch()

    assert changes_by(home, act, ALLOWED) == ()
    assert changes_by(home, (home / "volume/tmp").mkdir, ALLOWED) == (
        "added volume/tmp (directory, mode 0755)",
    )
    found = changes_by(home, (home / ".codex/tmp/arg0/lock").unlink, ALLOWED)
    assert [line.partition(" (")[0] for line in found] == ["removed volume/codex/tmp/arg0/lock"]


# What an image's entrypoint may fill in

FILLED = contracts.bundled()["slot"].entrypoint_writes


def filled_by(
    home: Path, act: Callable[[], object], *named: str, filled: tuple[str, ...] = FILLED
) -> tuple[str, ...]:
    """Return what changed although an entrypoint may fill in the baseline, and what is *named*."""
    before = snapshot(home)
    act()
    return changes(before, snapshot(home), ALLOWED, replaceable=(*filled, *named))


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    """Return a home in which somebody has put a part of the baseline before."""
    entries = (entry(".claude/CLAUDE.md", text="rules"), entry(".claude/mine", text="mine"))
    build(plan(entries, context()), tmp_path / "home")
    return tmp_path / "home"


@pytest.mark.parametrize("target", ["/opt/baseline/CLAUDE.md", "mine", "../elsewhere", "gone"])
def test_a_file_of_the_baseline_may_come_as_a_link(baseline: Path, target: str) -> None:
    """Wherever it leads, and whether something was in its place or not."""

    def act() -> None:
        rewritten = baseline / ".claude/CLAUDE.md"
        rewritten.unlink()
        rewritten.symlink_to(target)
        (baseline / ".claude/settings.json").symlink_to(target)

    def again() -> None:
        rewritten = baseline / ".claude/CLAUDE.md"
        rewritten.unlink()
        rewritten.symlink_to("/another")

    assert filled_by(baseline, act) == ()
    assert filled_by(baseline, again) == ()


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda h: (h / ".claude/mine").unlink(), "removed .claude/mine"),
        (lambda h: rewrite(h / ".claude/mine", b"x"), "changed .claude/mine"),
        (
            lambda h: replace(h / ".claude/mine", lambda p: p.symlink_to("x")),
            "changed .claude/mine",
        ),
        (lambda h: replace(h / ".claude/CLAUDE.md", Path.mkdir), "changed .claude/CLAUDE.md"),
        (lambda h: (h / ".claude/CLAUDE.md").unlink(), "removed .claude/CLAUDE.md"),
        (lambda h: (h / ".claude/link").symlink_to("/opt/x"), "added .claude/link"),
        (lambda h: (h / ".claude").chmod(0o755), "changed .claude"),
        (lambda h: (h / ".codex").symlink_to("/opt/codex"), "added .codex"),
        (lambda h: (h / ".codex").touch(), "added .codex"),
        (lambda h: (h / ".config").mkdir(), "added .config"),
        (lambda h: (h / ".claude/projects").mkdir(), "added .claude/projects"),
    ],
)
def test_nothing_else_may_change_while_the_baseline_is_filled_in(
    baseline: Path, act: Callable[[Path], object], expected: str
) -> None:
    (line,) = filled_by(baseline, lambda: act(baseline))
    assert re.split(r" \(|: ", line)[0] == expected


@pytest.mark.parametrize("files", [[], ["config.toml"]])
def test_a_directory_of_the_baseline_may_appear_alone(baseline: Path, files: list[str]) -> None:
    def act() -> None:
        (baseline / ".codex").mkdir(mode=0o700)
        for name in files:
            (baseline / ".codex" / name).touch()

    assert filled_by(baseline, act) == ()


def test_a_further_write_can_be_named(baseline: Path) -> None:
    """Its directories belong to it, whether it comes or not."""

    def act() -> None:
        (baseline / ".gitconfig").touch()
        (baseline / ".config/gh").mkdir(parents=True)

    assert filled_by(baseline, act, ".gitconfig", ".config/gh/hosts/*.yml") == ()
    assert filled_by(baseline, lambda: rewrite(baseline / ".gitconfig", b"x"), ".gitconfig") == ()
    assert filled_by(baseline, lambda: rewrite(baseline / ".gitconfig", b"y")) == (
        "changed .gitconfig: other content, file, mode 0644, 1 bytes",
    )


def test_the_baseline_may_be_filled_in_through_a_link_of_the_home(tmp_path: Path) -> None:
    entries = (
        entry("volume/claude/CLAUDE.md", text="rules"),
        entry(".claude", "symlink", target="volume/claude"),
    )
    home = tmp_path / "home"
    build(plan(entries, context()), home)

    def act() -> None:
        rewrite(home / ".claude/CLAUDE.md", b"other rules")
        (home / ".claude/settings.json").symlink_to("/opt/settings.json")

    assert filled_by(home, act) == ()
