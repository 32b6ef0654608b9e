"""A real HOME is read from a tar stream: as from the disk, whole or not at all."""

from __future__ import annotations

import io
import os
import random
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from conformance.errors import CannotJudge, ConformanceError, UsageError
from conformance.home import archive_reading, keeping, visible
from conformance.home.archive_reading import ArchiveHome, StreamHome
from conformance.home.reading import DirectoryHome, read_home
from conformance.home.seen import SeenHome

LOGIN = b'{"claudeAiOauth": {}}'
Member = tuple[str, bytes, str | bytes]
"""Name, type, and target or content."""
FILE, DIRECTORY, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
HOME: Member = ("./", DIRECTORY, "")


def archive(
    *members: Member, format_: int = tarfile.GNU_FORMAT, modes: Mapping[str, int] | None = None
) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(
        fileobj=stream, mode="w", format=format_, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for name, type_, what in members:
            info = tarfile.TarInfo(name)
            info.type, info.uid, info.gid, info.mtime = type_, 7, 8, 9
            info.mode = (modes or {}).get(name, 0o640)
            info.linkname = what if isinstance(what, str) else ""
            content = what if isinstance(what, bytes) else b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def from_file(data: bytes, *, path: str = "") -> SeenHome:
    """Return the HOME in an archive that can be read more than once."""
    return read_home(ArchiveHome("home.tar", lambda: io.BytesIO(data), path=path)).seen


def from_stream(data: bytes, *, path: str = "") -> SeenHome:
    """Return the HOME in an archive that comes once."""
    return read_home(StreamHome("the stream", lambda: io.BytesIO(data), path=path)).seen


def contents(home: SeenHome) -> dict[bytes, bytes]:
    return {path: node.content for path, node in home.nodes.items() if node.content is not None}


both = pytest.mark.parametrize("read", [from_file, from_stream])


@pytest.mark.parametrize("option", ["--format=gnu", "--format=pax", "-z", "-S"])
def test_the_archive_of_a_home_reads_as_the_home(tmp_path: Path, option: str) -> None:
    """Kinds, modes, owners, times, targets, sizes, contents, and what is counted are the same."""
    home = tmp_path / "home"
    (home / ".claude/sub").mkdir(parents=True)
    (home / ".claude/.credentials.json").write_bytes(LOGIN)
    (home / ".claude/.credentials.json").chmod(0o400)
    (home / ".claude" / ("long-" * 40)).touch()
    os.mkdir(os.fsencode(home) + b"/\xff\n")
    os.mkfifo(home / ".claude/fifo")
    (home / ".codex").symlink_to("x")
    (home / "x").mkdir()
    (home / "x/auth.json").hardlink_to(home / ".claude/.credentials.json")
    with (home / "sparse").open("wb") as file:
        file.truncate(1 << 30 if option == "-S" else 1 << 16)
        file.write(b"end")
    tar = subprocess.run(
        ["tar", "-C", home, option, "-c", "."], stdout=subprocess.PIPE, check=True
    ).stdout

    def rounded(found: SeenHome) -> SeenHome:
        """GNU's format has whole seconds only."""
        nodes = {
            path: replace(node, mtime=node.mtime // 1 if node.mtime else None)
            for path, node in found.nodes.items()
        }
        return replace(found, nodes=nodes, read_at=0)

    expected = rounded(read_home(DirectoryHome(home)).seen)
    assert contents(expected).keys() == {b".claude/.credentials.json", b"x/auth.json"}
    assert rounded(from_file(tar)) == expected
    assert rounded(from_stream(tar)) == expected


@both
def test_devices_and_what_is_no_entry(read: Callable[[bytes], SeenHome]) -> None:
    data = archive(HOME, ("null", tarfile.CHRTYPE, ""), ("a label", b"V", ""), ("d", b"D", ""))

    assert {path: node.kind for path, node in read(data).nodes.items()} == {
        b"": "directory",
        b"null": "device",
        b"d": "directory",
    }


@both
def test_directories_that_are_not_in_the_archive_are_made_up(
    read: Callable[[bytes], SeenHome],
) -> None:
    found = read(archive((".claude/.credentials.json", FILE, LOGIN)))

    assert [(path, node.kind, node.uid) for path, node in found.nodes.items()] == [
        (b"", "directory", 7),
        (b".claude", "directory", 7),
        (b".claude/.credentials.json", "file", 7),
    ]
    assert contents(found) == {b".claude/.credentials.json": LOGIN}


@both
def test_they_may_lie_deeper_than_functions_can_call_each_other(
    read: Callable[[bytes], SeenHome],
) -> None:
    found = read(archive((f".claude/{'d/' * 1_500}login", FILE, b"")))

    assert len(found.nodes) == 1_503


@both
def test_of_two_entries_with_one_path_the_later_counts(read: Callable[[bytes], SeenHome]) -> None:
    """As it does when the archive is unpacked: ``tar -r`` adds a newer file at the end."""
    found = read(archive(HOME, (".claude.json", FILE, b"old"), (".claude.json", FILE, b"new")))

    assert contents(found) == {b".claude.json": b"new"}


@both
@pytest.mark.parametrize("before", [False, True])
def test_links_may_come_before_or_after_what_they_lead_to(
    read: Callable[..., SeenHome], *, before: bool
) -> None:
    links: tuple[Member, ...] = (
        (".claude", LINK, "/home/agent/store"),
        (".codex/auth.json", LINK, "../y"),
    )
    files: tuple[Member, ...] = (
        ("store/x", FILE, b"1"),
        ("store/.credentials.json", FILE, LOGIN),
        ("y", FILE, b"2"),
    )
    order = (*links, *files) if before else (*files, *links)

    found = read(archive(HOME, *order), path="/home/agent")

    assert contents(found) == {b"store/.credentials.json": LOGIN, b"y": b"2"}


@both
@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "/"])
def test_what_leads_out_of_the_home_is_refused(
    read: Callable[[bytes], SeenHome], name: str
) -> None:
    with pytest.raises(UsageError, match=r"holds '.*', which is not a path below a HOME; make it"):
        read(archive(HOME, (name, FILE, b"")))


@both
@pytest.mark.parametrize(
    "members",
    [
        (("a", FILE, b""), ("a/b", FILE, b"")),
        (("a", LINK, "/"), ("a/b", FILE, b"")),
        (("a", DIRECTORY, ""), ("a", FILE, b"")),
        (("a/b", FILE, b""), ("a", LINK, "/")),
    ],
)
def test_what_no_home_can_be_is_refused(
    read: Callable[[bytes], SeenHome], members: tuple[Member, ...]
) -> None:
    with pytest.raises(UsageError, match="both as a directory and as something else"):
        read(archive(HOME, *members))


@both
@pytest.mark.parametrize("outer", ["agent", "home/agent"])
def test_a_home_inside_of_the_archive_is_pointed_out(
    read: Callable[[bytes], SeenHome], outer: str
) -> None:
    data = archive((f"{outer}/", DIRECTORY, ""), (f"{outer}/.claude.json", FILE, b"{}"))

    with pytest.raises(UsageError, match=f"lies in '{outer}', which seems to be the HOME; make"):
        read(data)
    assert read(archive(HOME, (f"{outer}/.claude.json", FILE, b"{}")))


@both
def test_an_archive_that_was_cut_short_is_refused(read: Callable[[bytes], SeenHome]) -> None:
    """Wherever it was cut: in a header, in a file, between two entries."""
    data = archive(HOME, ("notes", FILE, b"x" * 1_000), (".claude.json", FILE, b"{}"))
    end = len(data.rstrip(b"\0")) // 512 * 512 + 512

    for length in range(0, end + 1, 128):
        with pytest.raises(UsageError, match=r"is not a whole tar archive: .*; make it anew"):
            read(data[:length])
    assert contents(read(data[: end + 512])) == {b".claude.json": b"{}"}


@both
def test_a_broken_archive_is_an_error_of_ours(read: Callable[[bytes], SeenHome]) -> None:
    """Whatever bytes it holds, it is read, or refused in one line."""
    good = archive(
        HOME,
        (".claude.json", FILE, b"{}"),
        ("p" * 200, FILE, b"x"),
        (".codex/auth.json", HARD, ".claude.json"),
        format_=tarfile.PAX_FORMAT,
    )
    chance = random.Random(17)
    refused: list[str] = []
    for _ in range(300):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(good))] = chance.choice(b"\0 09/x\xff=")
        try:
            read(bytes(data))
        except ConformanceError as e:
            refused.append(str(e))
    assert len(refused) > 100
    assert not [said for said in refused if len(said.splitlines()) != 1]


@both
def test_a_hard_link_holds_what_the_file_holds(
    read: Callable[[bytes], SeenHome],
) -> None:
    found = read(archive(HOME, ("x", FILE, LOGIN), (".claude.json", HARD, "x")))

    assert contents(found) == {b".claude.json": LOGIN}
    assert found.nodes[b".claude.json"].size == len(LOGIN)


def test_a_hard_link_to_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="holds another name of 'x', and lacks that file"):
        from_file(archive(HOME, (".claude.json", HARD, "x")))


@pytest.mark.parametrize("bound", ["_SPARE", "_REMEMBERED"])
def test_what_a_stream_cannot_give_twice_is_said(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """A file can be read again."""
    data = archive(HOME, ("x", FILE, LOGIN), (".claude.json", LINK, "x"))
    monkeypatch.setattr(archive_reading, bound, 1)

    with pytest.raises(CannotJudge, match="; write the archive to a file, and name that"):
        from_stream(data)
    assert contents(from_file(data)) == {b"x": LOGIN}


@both
def test_what_is_too_long_is_not_read(
    read: Callable[[bytes], SeenHome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visible, "READ_BYTES", 8)
    data = archive(HOME, (".claude.json", FILE, b"123456789"), (".codex/auth.json", FILE, b"{}"))

    found = read(data)

    assert contents(found) == {b".codex/auth.json": b"{}"}
    assert found.nodes[b".claude.json"].size == 9


@both
def test_many_entries_are_bounded_and_counted(
    read: Callable[[bytes], SeenHome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MAX_ENTRIES", 3)
    names = [f".claude/{n}/" for n in range(9)]
    data = archive(
        HOME,
        *((name, DIRECTORY, "") for name in names),
        *((f"{name}x", FILE, b"") for name in names[5:]),
    )

    found = read(data)

    assert sorted(found.nodes) == [
        b"",
        b".claude",
        b".claude/0",
        b".claude/1",
        b".claude/2",
        b".claude/5",
        b".claude/5/x",
    ]
    assert found.passed_over == {b".claude": 8}


@both
def test_what_lies_in_a_directory_that_was_passed_over_is_counted_once(
    read: Callable[[bytes], SeenHome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the archive does not name that directory."""
    monkeypatch.setattr(keeping, "MAX_ENTRIES", 1)
    files: tuple[Member, ...] = (("a/x", FILE, b""), ("a/y", FILE, b""), ("b/x", FILE, b""))

    with_directories = read(archive(HOME, ("a/", DIRECTORY, ""), ("b/", DIRECTORY, ""), *files))
    without = read(archive(HOME, *files))

    assert list(with_directories.nodes) == list(without.nodes) == [b"", b"a", b"a/x"]
    assert with_directories.passed_over == {b"": 2, b"a": 1}
    assert without.passed_over == {b"": 1, b"a": 1}


@both
def test_order_does_not_matter_to_what_rules_see(
    read: Callable[[bytes], SeenHome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login may come last, and directories after what they hold."""
    monkeypatch.setattr(keeping, "MAX_ENTRIES", 2)
    files: list[Member] = [(f".claude/{n}/x", FILE, b"") for n in range(5)]
    directories: list[Member] = [(f".claude/{n}/", DIRECTORY, "") for n in range(5)]
    many: list[Member] = [(f"{n}", FILE, b"") for n in range(5)]
    shut = {f".claude/{n}/": 0 for n in range(4)}

    found = read(
        archive(HOME, *files, *many, *directories, (".claude.json", FILE, b"{}"), modes=shut)
    )

    assert contents(found) == {b".claude.json": b"{}"}
    assert found.nodes[b".claude/4"].mode == 0o640
    assert b".claude/4/x" in found.nodes


@both
def test_what_is_too_long_is_not_asked_for_again(
    read: Callable[[bytes], SeenHome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a link makes the archive be looked at again, it is no file that was missed."""
    monkeypatch.setattr(visible, "READ_BYTES", 8)
    long: Member = (".claude.json", FILE, b"123456789")
    data = archive(HOME, long, ("x", FILE, b"{}"), (".codex/auth.json", LINK, "../x"))

    assert contents(read(data)) == {b"x": b"{}"}
