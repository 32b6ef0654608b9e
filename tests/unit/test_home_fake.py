"""A home in a fake file system is the home of the scenario, for the user who is pretended."""

from __future__ import annotations

import errno
import mmap
import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from os import scandir as imported_scandir
from pathlib import Path

import pytest
from factories import directory, entry, file, refusal, symlink
from pyfakefs import helpers
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.fake_filesystem_unittest import Patcher

from conformance.drivers.in_process.escapes import Escape, Escapes
from conformance.home import changes, plan
from conformance.home.build import Unbuildable
from conformance.home.endless import Endless
from conformance.home.fake import MOST_BYTES, FakeFiles
from conformance.home.fake_system import keep_real
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry

UID = 4242
HOME = "/h"
CONTEXT = Context(now=1_800_000_000, seed="seed", home=HOME)
PAGE = Path(__file__).parents[2] / "docs" / "in-process.md"

#: A home in which modes, links and names matter.
ENTRIES: list[Entry] = [
    file("file", "hello\n"),
    directory("shut", mode=0o000),
    file("shut/login", "x"),
    directory("listable", mode=0o400),
    file("listable/login", "x"),
    directory("searchable", mode=0o100),
    file("searchable/login", "x"),
    file("secret", "x", mode=0o000),
    file("foreign", "x", owner=UID + 1),
    directory("deep/down"),
    symlink("link", "deep/down"),
    file("deep/beside", "x"),
    entry("{byte:ff}name", text="x"),
    entry("fifo", "fifo"),
    entry("socket", "socket"),
]


@pytest.fixture
def fs() -> Iterator[FakeFilesystem]:
    keep_real()
    with Patcher() as patcher:
        assert patcher.fs is not None
        yield patcher.fs


@pytest.fixture
def files(fs: FakeFilesystem) -> Iterator[FakeFiles]:
    with FakeFiles(fs, uid=UID, gid=UID) as files:
        yield files


def furnish_plainly(fs: FakeFilesystem) -> None:
    """Make the same home with pyfakefs alone, as far as it can."""
    helpers.set_uid(UID)
    helpers.set_gid(UID)
    shut: list[tuple[str, int]] = []
    for node in plan(ENTRIES, CONTEXT):
        path = f"{HOME}/{os.fsdecode(node.path)}"
        if node.kind == "directory":
            fs.create_dir(path)
            shut.append((path, node.mode))
        elif node.kind == "symlink":
            fs.create_symlink(path, os.fsdecode(node.target))
        elif node.kind == "file":
            fs.create_file(path, st_mode=stat.S_IFREG | node.mode, contents=b"".join(node.chunks()))
            if node.owner is not None:
                fs.get_object(path).st_uid = node.owner
    for path, mode in reversed(shut):
        fs.get_object(path).st_mode = stat.S_IFDIR | mode


# What the page says of each operation


def walks_shut() -> bool:
    return "shut" in next(os.walk(HOME))[1]


def scans_kinds() -> bool:
    with os.scandir(HOME) as found:
        kinds = {found.name: found.is_file() for found in found}
    return (kinds["file"], kinds["shut"], kinds["link"]) == (True, False, False)


def opens_below_listable() -> bool:
    try:
        open(f"{HOME}/listable/login").close()
    except PermissionError:
        return True
    return False


def reads_below_searchable() -> bool:
    with open(f"{HOME}/searchable/login") as found:
        return found.read() == "x"


def lists_searchable() -> bool:
    try:
        os.listdir(f"{HOME}/searchable")
    except PermissionError:
        return True
    return False


def asks_for_access() -> bool:
    return not os.access(f"{HOME}/shut/login", os.F_OK)


def reads_foreign() -> bool:
    return not os.access(f"{HOME}/foreign", os.R_OK)


def keeps_modes() -> bool:
    os.close(os.open(f"{HOME}/file", os.O_RDONLY))
    return stat.S_IMODE(os.stat(f"{HOME}/file").st_mode) == 0o600


def reads_unbuffered() -> bool:
    with open(os.open(f"{HOME}/file", os.O_RDONLY), "rb", buffering=0) as found:
        return found.readall() == b"hello\n"


def lists_here() -> bool:
    os.chdir(f"{HOME}/deep")
    return sorted(os.listdir()) == ["beside", "down"]


def scans_descriptor() -> bool:
    number = os.open(HOME, os.O_RDONLY | os.O_DIRECTORY)
    with os.scandir(number) as found:
        return {e.name: e.is_file(follow_symlinks=False) for e in found}["shut"] is False


def counts_from_descriptor() -> bool:
    return os.stat("file", dir_fd=os.open(HOME, os.O_RDONLY)).st_size == 6


def enters_descriptor() -> bool:
    os.fchdir(os.open(f"{HOME}/deep", os.O_RDONLY))
    return os.getcwd() == f"{HOME}/deep"


def walks_descriptors() -> bool:
    return {name for name, *_ in os.fwalk(f"{HOME}/deep")} == {f"{HOME}/deep", f"{HOME}/deep/down"}


def lists_bytes() -> bool:
    return b"\xffname" in os.listdir(os.fsencode(HOME))


def refuses_long_names() -> bool:
    try:
        os.stat(f"{HOME}/{'x' * 256}")
    except OSError as e:
        return e.errno == errno.ENAMETOOLONG
    return False


def goes_up_behind_links() -> bool:
    return os.path.exists(f"{HOME}/link/../beside")


def tells_no_directory() -> bool:
    try:
        open(f"{HOME}/file/x").close()
    except NotADirectoryError:
        return True
    return False


def knows_fifos() -> bool:
    return stat.S_ISFIFO(os.stat(f"{HOME}/fifo").st_mode)


def knows_sockets() -> bool:
    return stat.S_ISSOCK(os.stat(f"{HOME}/socket").st_mode)


def knows_user() -> bool:
    return os.geteuid() == os.getuid() == UID


def makes_fifos() -> bool:
    os.mkfifo(f"{HOME}/new")
    return os.path.lexists(f"{HOME}/new")


def asks_file_system() -> bool:
    return os.statvfs(HOME).f_bsize > 0


def reads_at_place() -> bool:
    return os.pread(os.open(f"{HOME}/file", os.O_RDONLY), 5, 0) == b"hello"


def maps() -> bool:
    number = os.open(f"{HOME}/file", os.O_RDONLY)
    with mmap.mmap(number, 0, access=mmap.ACCESS_READ) as mapped:
        return mapped[:5] == b"hello"


def starts_another() -> bool:
    return subprocess.run(["test", "-e", f"{HOME}/file"], check=False).returncode == 0


def binds_socket() -> bool:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{HOME}/made")
    return os.path.lexists(f"{HOME}/made")


OPERATIONS: dict[str, Callable[[], bool]] = {
    "`os.walk` takes a directory of mode 0000 for a directory": walks_shut,
    "`os.scandir` tells files from what is none": scans_kinds,
    "nothing below a directory that cannot be searched can be opened": opens_below_listable,
    "what lies in a directory that can only be searched can be read": reads_below_searchable,
    "a directory that can only be searched cannot be listed": lists_searchable,
    "`os.access` answers where something is in the way": asks_for_access,
    "`os.access` knows files of another owner": reads_foreign,
    "`os.open` leaves modes alone": keeps_modes,
    "`open` with `buffering=0`, and what `io` has beyond `read`": reads_unbuffered,
    "`os.listdir()` of the current directory": lists_here,
    "`os.scandir` of a descriptor": scans_descriptor,
    "`dir_fd`": counts_from_descriptor,
    "`os.fchdir`": enters_descriptor,
    "`os.fwalk`": walks_descriptors,
    "names as bytes, and names that are not UTF-8": lists_bytes,
    "names of more than 255 bytes": refuses_long_names,
    "`..` behind a link": goes_up_behind_links,
    "a file in the place of a directory": tells_no_directory,
    "FIFOs": knows_fifos,
    "sockets": knows_sockets,
    "`os.geteuid` is the user who is pretended": knows_user,
    "`os.mkfifo`": makes_fifos,
    "`os.statvfs`": asks_file_system,
    "`os.pread` and its relatives": reads_at_place,
    "`mmap`": maps,
    "programs that are started see it": starts_another,
    "sockets that are bound or connected to": binds_socket,
}


def tried(operation: Callable[[], bool], escapes: Escapes | None = None) -> str:
    """Return whether an operation is right, wrong, or refused."""
    try:
        if escapes is None:
            return "right" if operation() else "wrong"
        with escapes.armed():
            return "right" if operation() else "wrong"
    except Escape:
        return "refused"
    except Exception:
        return "wrong"


def test_the_page_says_what_each_operation_comes_to(tmp_path: Path) -> None:
    """A newer pyfakefs can do more or less: then this says which row of the page to change."""
    keep_real()
    rows = []
    for words, operation in OPERATIONS.items():
        with Patcher() as patcher:
            assert patcher.fs is not None
            furnish_plainly(patcher.fs)
            # Those that would make something among the real files are not tried.
            alone = "wrong" if operation in (makes_fifos, binds_socket) else tried(operation)
        with Patcher() as patcher:
            assert patcher.fs is not None
            with FakeFiles(patcher.fs, uid=UID, gid=UID) as files:
                files.lay(plan(ENTRIES, CONTEXT), HOME)
                escapes = Escapes()
                files.stand_in(escapes.wrappers())
                here = tried(operation, escapes)
        rows.append(f"| {words} | {alone} | {here} |")
    table = PAGE.read_text().partition("| operation |")[2].partition("\n\n")[0].splitlines()[2:]

    assert table == rows, "\n".join(
        ["docs/in-process.md has to say:", *(row for row in rows if row not in table)]
    )


# Laying


def test_a_home_is_what_its_plan_says(files: FakeFiles) -> None:
    files.lay(plan(ENTRIES, CONTEXT), HOME)
    assert max(os.listdir(HOME)) == os.fsdecode(b"\xffname")
    with open(f"{HOME}/file", encoding="utf-8") as found:
        assert list(found) == ["hello\n"]
    with pytest.raises(PermissionError):
        open(f"{HOME}/secret").close()
    assert os.readlink(f"{HOME}/link") == "deep/down"


def test_what_a_module_has_imported_is_replaced_and_given_back(fs: FakeFilesystem) -> None:
    with FakeFiles(fs, uid=UID, gid=UID) as files:
        files.lay(plan([directory("shut", mode=0o000)], CONTEXT), HOME)
        assert [found.is_dir() for found in imported_scandir(HOME)] == [True]
        assert os.getuid() == UID
    assert type(imported_scandir(HOME)).__module__.startswith("pyfakefs")
    assert os.getuid() != UID


def test_a_mode_that_does_not_hold_is_noticed(
    files: FakeFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lookup of Linux, a home with a shut directory is not what it says."""
    monkeypatch.setattr("conformance.home.fake_system.may", lambda file, wanted: True)
    wrong = refusal(Unbuildable, files.lay, plan(ENTRIES, CONTEXT), HOME)
    assert "can be reached through a directory that may not be searched" in wrong


@pytest.mark.parametrize("mode", [0o400, 0o100, 0o000])
def test_a_link_does_not_lead_past_a_directory(files: FakeFiles, mode: int) -> None:
    files.lay(plan([directory("d", mode=mode), file("d/f"), symlink("l", "d/f")], CONTEXT), HOME)
    assert os.path.exists(f"{HOME}/l") is (mode == 0o100)


def test_a_fifo_is_waited_for_unless_the_caller_does_not_want_to(files: FakeFiles) -> None:
    files.lay(plan(ENTRIES, CONTEXT), HOME)
    number = os.open(f"{HOME}/fifo", os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(number, 10) == b""
    with pytest.raises(Endless):
        open(f"{HOME}/fifo").close()
    with pytest.raises(OSError, match="No such device or address"):
        open(f"{HOME}/socket").close()


def test_a_file_that_memory_should_not_hold_is_refused(files: FakeFiles) -> None:
    wrong = refusal(Unbuildable, files.lay, plan([file("f", size=MOST_BYTES + 1)], CONTEXT), HOME)
    assert wrong.endswith("holds no file of more than 64 MiB, and 'f' is larger")


def test_a_thousand_levels_are_reached(files: FakeFiles) -> None:
    files.lay(plan([file("end", "x", depth=1000)], CONTEXT), HOME)
    assert os.path.isfile(f"{HOME}/{'d/' * 1000}end")
    os.chdir(f"{HOME}/{'d/' * 999}")
    assert os.listdir("d/..") == ["d"]


def test_root_is_not_pretended(fs: FakeFilesystem) -> None:
    with pytest.raises(ValueError, match="root reads what it must not"):
        FakeFiles(fs, uid=0, gid=0)


def test_a_snapshot_shows_what_changed(files: FakeFiles) -> None:
    files.lay(plan(ENTRIES, CONTEXT), HOME)
    before = files.snapshot(HOME)
    with open(f"{HOME}/file", "w") as found:
        found.write("other")
    os.chmod(f"{HOME}/deep", 0o755)
    os.unlink(f"{HOME}/link")
    os.mkdir(f"{HOME}/made")
    assert [line.partition(" (")[0] for line in changes(before, files.snapshot(HOME))] == [
        "added made",
        "changed deep: directory, mode 0700 became directory, mode 0755",
        "changed file: file, mode 0600, 6 bytes became file, mode 0600, 5 bytes",
        "removed link",
    ]


def test_a_look_changes_nothing(files: FakeFiles) -> None:
    files.lay(plan(ENTRIES, CONTEXT), HOME)
    before = files.snapshot(HOME)
    for top, _, names in os.walk(HOME):
        for name in names:
            if os.path.isfile(os.path.join(top, name)) and os.access(f"{top}/{name}", os.R_OK):
                Path(top, name).read_bytes()
    assert changes(before, files.snapshot(HOME)) == ()
