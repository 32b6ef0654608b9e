"""Homes as tar streams: what is written comes back when it is extracted, and little memory is used on the way."""

from __future__ import annotations

import io
import os
import shutil
import socket
import stat
import subprocess
import tarfile
import threading
import tracemalloc
from pathlib import Path
from typing import Any, cast

import pytest
from factories import clear, directory, entry, symlink
from msgspec.structs import replace

from conformance.home import (
    Node,
    build,
    changes,
    mismatch,
    plan,
    read_tar,
    snapshot,
    snapshot_tar,
    stamps,
    write_tar,
)
from conformance.home.build import Unbuildable
from conformance.home.snapshot import Snapshot, Stamp
from conformance.model.placeholders import Context
from conformance.model.scenario import Entry

cleared = pytest.fixture(clear, autouse=True)

NOW = 1_700_000_000


def nodes_of(*entries: Entry) -> list[Node]:
    return plan(entries, Context(now=NOW, seed="seed", scenario="some/id", home="/home/agent"))


def archive(nodes: list[Node], **options: Any) -> bytes:
    stream = io.BytesIO()
    write_tar(nodes, stream, **options)
    return stream.getvalue()


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {info.name: info for info in tar}


ENTRIES = (
    entry(".claude/.credentials.json", json={"a": "{secret}"}, mtime="{now-1h}"),
    entry("empty", text=""),
    entry("padded", text="", size=70_000),
    entry("runs", runs=(("[", 70_000), ("", 5), ("]", 70_000))),
    entry("bytes", data=bytes(range(256)) * 3),
    *(
        entry(f"mode-{mode:04o}", text="x", mode=mode)
        for mode in (0o000, 0o200, 0o400, 0o644, 0o755, 0o777)
    ),
    *(
        directory(f"dir-{mode:04o}", mode=mode, mtime="{now-9d}")
        for mode in (0o000, 0o300, 0o500, 0o777)
    ),
    entry("dir-0000/in/f", text="x"),
    entry("dir-0500/f", text="x", mtime="{now-3d}"),
    symlink("relative", "d/../padded", mtime="{now-2d}"),
    symlink("absolute", "{home}/padded"),
    symlink("dangling", "nowhere"),
    symlink("loop", "loop"),
    symlink("long", "x/" * 300 + "y"),
    symlink("..data", "..2026_01_01"),
    entry("..2026_01_01/auth.json", text="{}"),
    symlink("bytes-{byte:ff}", "to-{byte:fe}"),
    entry("{byte:ff}{byte:c3}/é/\n '\"\\", text="odd"),
    entry("fifo", "fifo", mode=0o640, mtime="{now-4d}"),
    entry("n" * 255, text="long name"),
    entry("deep", text="x", depth=400),
    entry("old", text="", mtime="{now-20000d}"),
    entry("future", text="", mtime="{now+90000d}"),
    entry("numbered/{n}", text="{n}", count=30),
)


def _check_round_trip(
    nodes: list[Node], built: Path, extracted: Path, *, times_of_links: bool
) -> None:
    build(nodes, built)
    found = snapshot(built)
    assert mismatch(nodes, found) == ""
    assert _told(snapshot(extracted)) == _told(found)
    assert _times(extracted, found, times_of_links) == _times(built, found, times_of_links) != {}


def _told(found: Snapshot) -> dict[bytes, Stamp]:
    """Return what two homes must share: not the top itself, nor when something unreadable was last changed."""
    return {
        path: replace(stamp, content="") if stamp.content.startswith("changed ") else stamp
        for path, stamp in found.items()
        if path
    }


def _times(top: Path, found: Snapshot, links: bool) -> dict[bytes, float]:
    given = {node.path for node in nodes_of(*ENTRIES) if node.mtime is not None}
    paths = [path for path in found if path in given and (links or found[path].kind != "symlink")]
    return {path: os.lstat(os.fsencode(top) + b"/" + path).st_mtime for path in paths}


def test_everything_survives_extraction_by_python(tmp_path: Path) -> None:
    nodes = nodes_of(*ENTRIES)
    data = archive(nodes, uid=os.geteuid(), gid=os.getegid(), now=NOW)
    # Releases before 3.11.4 have no filters, and trust everything.
    trust = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(tmp_path / "extracted", **trust)  # type: ignore[arg-type]
    _check_round_trip(
        nodes, tmp_path / "built", tmp_path / "extracted", times_of_links=False
    )  # Python does not set them


@pytest.mark.skipif(
    shutil.which("tar") is None, reason="there is no tar program to ask for a second opinion"
)
def test_everything_survives_extraction_by_the_tar_program(tmp_path: Path) -> None:
    nodes = nodes_of(*ENTRIES)
    (tmp_path / "extracted").mkdir()
    data = archive(nodes, uid=os.geteuid(), gid=os.getegid(), now=NOW)
    command = [
        "tar",
        "--extract",
        "--preserve-permissions",
        f"--directory={tmp_path / 'extracted'}",
    ]
    done = subprocess.run(command, input=data, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    _check_round_trip(nodes, tmp_path / "built", tmp_path / "extracted", times_of_links=True)


def test_content_stands_in_the_archive_byte_for_byte() -> None:
    nodes = nodes_of(*ENTRIES)
    with tarfile.open(fileobj=io.BytesIO(archive(nodes))) as tar:
        found = {}
        for info in tar:
            if info.isreg():
                reader = tar.extractfile(info)
                assert reader is not None
                found[os.fsencode(info.name)] = reader.read()
    assert found == {node.path: b"".join(node.chunks()) for node in nodes if node.kind == "file"}


def test_names_are_relative_and_directories_come_first() -> None:
    names = list(members(archive(nodes_of(*ENTRIES))))
    assert not [name for name in names if name.startswith("/") or ".." in name.split("/")]
    seen: set[str] = set()
    for name in names:
        assert not name.rpartition("/")[0] or name.rpartition("/")[0] in seen, name
        seen.add(name)


def test_owner_group_and_time_have_defaults_that_the_scenario_overrides() -> None:
    nodes = nodes_of(
        entry("plain", text=""),
        entry("given", text="", owner=1234, mtime="{now-1d}"),
        symlink("l", "x", owner=4321),
    )
    first, second = archive(nodes), archive(nodes, uid=1000, gid=2_000_000_000, now=NOW + 0.9)
    assert {(i.name, i.uid, i.gid, i.mtime) for i in members(first).values()} == {
        ("plain", 0, 0, 0),
        ("given", 1234, 1234, NOW - 86400),
        ("l", 4321, 4321, 0),
    }
    assert {(i.name, i.uid, i.gid, i.mtime) for i in members(second).values()} == {
        ("plain", 1000, 2_000_000_000, NOW),
        ("given", 1234, 1234, NOW - 86400),
        ("l", 4321, 4321, NOW),
    }


def test_an_archive_of_the_same_nodes_is_the_same() -> None:
    nodes = nodes_of(*ENTRIES)
    assert archive(nodes, now=NOW) == archive(nodes, now=NOW)


def test_an_empty_home_is_an_archive_too() -> None:
    assert members(archive([])) == {}


def test_a_socket_is_refused_by_name() -> None:
    """A tar archive has no type for it, so the scenario is unsupported there; it is not left out in silence."""
    with pytest.raises(Unbuildable) as caught:
        archive(nodes_of(entry("a", text=""), entry(".claude/agent.sock", "socket")))
    assert caught.value.cause == "a tar archive cannot hold '.claude/agent.sock', a socket"


class Counting(io.RawIOBase):
    """Forgets what is written to it, and cannot seek."""

    written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += len(data)
        return len(data)


def test_a_large_file_is_never_held_in_memory() -> None:
    size = 200 * 1024**2
    sink = Counting()
    tracemalloc.start()
    try:
        write_tar(nodes_of(entry("large", text="{}", size=size)), cast(io.BytesIO, sink))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.written > size
    assert peak < 4 * 1024**2


def test_the_stream_may_be_a_socket(tmp_path: Path) -> None:
    """A container engine takes the archive over a connection, where nobody can go back."""
    ours, theirs = socket.socketpair()
    nodes = nodes_of(*ENTRIES)

    def send() -> None:
        with ours, ours.makefile("wb") as stream:
            write_tar(nodes, cast(io.BytesIO, stream))

    sender = threading.Thread(target=send)
    sender.start()
    with theirs, theirs.makefile("rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        received = {os.fsencode(info.name): info.size for info in tar}
    sender.join()
    assert received == {node.path: node.size if node.kind == "file" else 0 for node in nodes}


def test_symlinks_have_all_permissions_as_on_disk(tmp_path: Path) -> None:
    """Some tools apply the mode of a link to what it leads to, or show it: it is what Linux shows."""
    os.symlink("x", tmp_path / "link")
    assert members(archive(nodes_of(symlink("link", "x"))))["link"].mode == stat.S_IMODE(
        (tmp_path / "link").lstat().st_mode
    )


def test_long_names_and_times_use_gnu_tar_records() -> None:
    """The tar of busybox reads that, and knows nothing of pax headers; those would be files beside ours."""
    data = archive(
        nodes_of(
            entry("n" * 255, text="", mtime="{now-20000d}"),
            symlink("l", "t" * 300),
            entry("{byte:ff}", text=""),
        )
    )
    found = members(data)
    assert sorted(found) == ["l", "n" * 255, "\udcff"]
    assert (found["n" * 255].mtime, found["l"].linkname) == (NOW - 20_000 * 86400, "t" * 300)
    assert [info.pax_headers for info in found.values()] == [{}, {}, {}]
    magic = {data[at + 257 : at + 265] for at in range(0, len(data), 512)}
    assert {word for word in magic if word.startswith(b"ustar")} == {b"ustar  \0"}


def test_a_foreign_owners_group_has_the_owners_number() -> None:
    nodes = nodes_of(
        entry("mine", text="", owner=1000),
        entry("root", text="", owner=0),
        entry("other", text="", owner=10_000),
    )
    found = members(archive(nodes, uid=1000, gid=50))
    assert {name: (info.uid, info.gid) for name, info in found.items()} == {
        "mine": (1000, 50),
        "root": (0, 0),
        "other": (10_000, 10_000),
    }


# Reading


def read(data: bytes, **options: Any) -> list[Node]:
    return list(read_tar(io.BytesIO(data), **options))


def normal(node: Node) -> Node:
    """Return *node* as an archive holds it: owner and time are said, and content is one piece."""
    content = b"".join(node.chunks())
    mode = 0o777 if node.kind == "symlink" else node.mode
    owner, mtime = (
        (1000 if node.owner is None else node.owner),
        (NOW if node.mtime is None else node.mtime),
    )
    return replace(
        node,
        mode=mode,
        owner=owner,
        mtime=mtime,
        pieces=((content, 1),) if node.kind == "file" else (),
    )


def test_archives_round_trip() -> None:
    """Every kind, mode, owner and time; names that are no UTF-8, very long or odd; links to anything."""
    nodes = nodes_of(
        *ENTRIES, entry("mine", text="", owner=1000), entry("other", text="", owner=2_000_000)
    )
    assert {node.kind for node in nodes} == {"file", "directory", "symlink", "fifo"}
    assert read(archive(nodes, uid=1000, gid=50, now=NOW), strip=0) == [
        normal(node) for node in nodes
    ]


def test_an_archive_of_one_directory_is_read_as_what_lies_in_it() -> None:
    """As an engine hands one out: the directory comes first, by its own name."""
    nodes = nodes_of(entry("a/b", text="x"), symlink("l", "a/b"))
    top = Node(path=b"agent", kind="directory", mode=0o711, owner=7, mtime=NOW)
    inside = [replace(node, path=b"agent/" + node.path) for node in nodes]
    found = read(archive([top, *inside], uid=1000, now=NOW))
    assert found == [replace(top, path=b""), *(normal(node) for node in nodes)]
    assert [node.path for node in read(archive([top, *inside]), strip=2)] == [b"", b"", b"b", b""]


@pytest.mark.skipif(
    shutil.which("tar") is None, reason="there is no tar program to ask for a second opinion"
)
def test_a_hard_link_is_a_second_file_with_the_same_content(tmp_path: Path) -> None:
    (tmp_path / "home" / "d").mkdir(parents=True)
    (tmp_path / "home" / "a").write_text("content")
    (tmp_path / "home" / "a").chmod(0o640)
    os.link(tmp_path / "home" / "a", tmp_path / "home" / "d" / "b")
    os.link(tmp_path / "home" / "a", tmp_path / "home" / "d" / os.fsdecode(b"\xff"))
    done = subprocess.run(
        ["tar", "-C", tmp_path, "-cf", "-", "home"], stdout=subprocess.PIPE, timeout=60, check=True
    )

    found = {node.path: node for node in read(done.stdout)}
    assert found.keys() == {b"", b"a", b"d", b"d/b", b"d/\xff"}
    files = [found[path] for path in (b"a", b"d/b", b"d/\xff")]
    assert [(node.kind, node.mode, node.pieces) for node in files] == [
        ("file", 0o640, ((b"content", 1),))
    ] * 3
    assert stamps(found.values()) == snapshot(tmp_path / "home")
    assert snapshot_tar(io.BytesIO(done.stdout)) == (snapshot(tmp_path / "home"), {})


@pytest.mark.skipif(
    shutil.which("tar") is None, reason="there is no tar program to ask for a second opinion"
)
@pytest.mark.parametrize("format_", ["gnu", "pax", "ustar"])
def test_archives_of_other_programs_are_read(tmp_path: Path, format_: str) -> None:
    nodes = nodes_of(
        entry("a/é", text="x"), entry("a/" + "n" * 90, text="y", mode=0o400), symlink("l", "a")
    )
    build(nodes, tmp_path / "home")
    argv = ["tar", "-C", os.fspath(tmp_path / "home"), f"--format={format_}", "-cf", "-", "."]
    done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=60, check=True)
    assert {n.path for n in read(done.stdout, strip=0)} - {b"."} == {n.path for n in nodes}


@pytest.mark.parametrize("keep", [1, 300, 512, 600, 1500])
def test_an_archive_that_ends_too_early_is_an_error(keep: int) -> None:
    data = archive(nodes_of(entry("a", text="x" * 1000), entry("b", text="y" * 1000)))
    if keep == 512:  # a header whose content is missing
        with pytest.raises((tarfile.TarError, OSError, EOFError)):
            read(data[:keep])
        return
    with pytest.raises(tarfile.TarError):
        read(data[:keep])


def test_devices_are_left_out() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, type_ in (
            ("null", tarfile.CHRTYPE),
            ("disk", tarfile.BLKTYPE),
            ("fifo", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type = type_
            tar.addfile(info)
    assert [node.path for node in read(stream.getvalue(), strip=0)] == [b"fifo"]


# Stamps


def test_the_stamps_of_a_plan_are_those_of_the_home_on_disk(tmp_path: Path) -> None:
    """So what was laid out and what comes back can be compared without ever having stood here."""
    nodes = [node for node in nodes_of(*ENTRIES) if not node.path.startswith((b"dir-0", b"mode-0"))]
    build(nodes, tmp_path / "home")
    found = dict(snapshot(tmp_path / "home"))
    assert found.pop(b"").kind == "directory"
    assert stamps(nodes) == found
    assert stamps(read(archive(nodes), strip=0)) == found
    assert snapshot_tar(io.BytesIO(archive(nodes)), strip=0) == (found, {})


def test_a_snapshot_of_an_archive_keeps_the_content_that_is_asked_for() -> None:
    nodes = nodes_of(entry("asked", text="claude -p\n"), entry("other", text="x"))
    found, kept = snapshot_tar(io.BytesIO(archive(nodes)), strip=0, keep=(b"asked", b"none"))
    assert kept == {b"asked": b"claude -p\n"}
    assert found == stamps(nodes)


@pytest.mark.slow
def test_a_log_of_100_mb_is_never_held_in_memory(tmp_path: Path) -> None:
    """Laid out, compared, archived and read back: none of it takes more than a few chunks."""
    large = entry("run.log", runs=(("[12:40:07] step 3 of 9: build\n", 3_500_000), ("{}\n", 1)))
    nodes = nodes_of(large)
    tracemalloc.start()
    try:
        build(nodes, tmp_path / "home")
        before = snapshot(tmp_path / "home")
        assert mismatch(nodes, before) == ""
        assert changes(before, snapshot(tmp_path / "home")) == ()
        with (tmp_path / "home.tar").open("w+b") as stream:
            write_tar(nodes, cast(io.BytesIO, stream))
            stream.seek(0)
            assert snapshot_tar(stream, strip=0)[0][b"run.log"] == before[b"run.log"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        (tmp_path / "home.tar").unlink(missing_ok=True)
    assert before[b"run.log"].size == 105_000_003
    assert peak < 8 * 1024**2


def test_sockets_have_no_stamp_because_no_archive_brings_them_back() -> None:
    assert stamps(nodes_of(entry("s", "socket"), entry("p", "fifo"))).keys() == {b"p"}


# Differences that are excused


BEFORE = stamps(
    nodes_of(entry("d/CLAUDE.md", text="old"), entry("d/other", text="x"), symlink("d/link", "x"))
)


def after(*entries: Entry) -> Snapshot:
    return {**BEFORE, **stamps(nodes_of(*entries))}


def test_a_replaceable_file_may_have_other_content_and_mode_and_may_appear() -> None:
    where = ("d/*.md", "new/**")
    assert (
        changes(BEFORE, after(entry("d/CLAUDE.md", text="new", mode=0o644)), replaceable=where)
        == ()
    )
    assert (
        changes(
            BEFORE, after(entry("d/2.md", text=""), entry("new/a/b", text="")), replaceable=where
        )
        == ()
    )
    assert changes(BEFORE, BEFORE, replaceable=where) == ()


def test_no_other_file_may_and_none_without_being_named() -> None:
    changed = after(entry("d/CLAUDE.md", text="new"))
    assert changes(BEFORE, changed) == (
        "changed d/CLAUDE.md: other content, file, mode 0600, 3 bytes",
    )
    assert changes(BEFORE, changed, allowed=("d/*.md",)) != ()  # only additions are allowed by that
    assert changes(BEFORE, after(entry("d/other", text="y")), replaceable=("d/*.md",)) == (
        "changed d/other: other content, file, mode 0600, 1 bytes",
    )


def test_a_replaceable_file_may_neither_go_away_nor_become_something_else() -> None:
    gone = {path: stamp for path, stamp in BEFORE.items() if path != b"d/CLAUDE.md"}
    assert changes(BEFORE, gone, replaceable=("d/*.md",)) == (
        "removed d/CLAUDE.md (file, mode 0600, 3 bytes)",
    )
    fifo = after(entry("d/CLAUDE.md", "fifo"))
    assert changes(BEFORE, fifo, replaceable=("d/*.md",)) != ()
    assert changes(BEFORE, after(entry("d/CLAUDE.md", "directory")), replaceable=("d/*.md",)) != ()


def test_a_replaceable_file_may_become_a_link_and_a_link_another_one() -> None:
    """Entrypoints put links in the place of the baseline files, to where an image keeps them."""
    link = after(symlink("d/CLAUDE.md", "x"))
    assert changes(BEFORE, link, replaceable=("d/*.md",)) == ()
    assert changes(BEFORE, link, replaceable=("e/*.md",)) != ()
