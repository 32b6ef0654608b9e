"""The limits of scenario files and homes, from both sides."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import entry
from support_bad_files import GOOD, HERE, entry_refusal, load_entries, load_scenario

from conformance.errors import CannotJudge, ManyErrors
from conformance.home.plan import plan


def test_a_file_of_one_mebibyte_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    exact = GOOD.encode().ljust(1024**2, b"#")
    assert load_scenario(tmp_path, exact).expect == {"slot": ("ready",)}
    with pytest.raises(ManyErrors, match="is larger than 1048576 bytes"):
        load_scenario(tmp_path, exact + b"#")


LONG = "/".join(["x" * 99] * 30)  # 2,999 bytes


LIMITS = {
    "count": (
        '"a{n}" = { text = "", count = 100000 }',
        '"a{n}" = { text = "", count = 100001 }',
        "count: expected int <= 100000",
    ),
    "count-low": (
        '"a{n}" = { text = "", count = 1 }',
        '"a{n}" = { text = "", count = 0 }',
        "count: expected int >= 1",
    ),
    "depth": (
        'a = { text = "", depth = 1000 }',
        'a = { text = "", depth = 1001 }',
        "depth: expected int <= 1000",
    ),
    "depth-low": (
        'a = { text = "", depth = 0 }',
        'a = { text = "", depth = -1 }',
        "depth: expected int >= 0",
    ),
    "size": ("a = { size = 1073741824 }", "a = { size = 1073741825 }", "size: write bytes"),
    "size-low": ("a = { size = 0 }", "a = { size = -1 }", "size: write bytes"),
    "size-gib": ('a = { size = "1 GiB" }', 'a = { size = "2 GiB" }', "size: write bytes"),
    "size-mib": ('a = { size = "1024MiB" }', 'a = { size = "1025MiB" }', "size: write bytes"),
    "size-kib": (
        'a = { size = "1048576 KiB" }',
        'a = { size = "1048577 KiB" }',
        "size: write bytes",
    ),
    "size-times-count": (
        '"a{n}" = { size = "1 MiB", count = 1024 }',
        '"a{n}" = { size = "1 MiB", count = 1025 }',
        "holds over 1073741824 bytes",
    ),
    "text-times-count": (
        f'"a{{n}}" = {{ text = "{"x" * 16_384}", count = 65536 }}',
        f'"a{{n}}" = {{ text = "{"x" * 16_385}", count = 65536 }}',
        "holds over 1073741824 bytes",
    ),
    "hex-times-count": (
        f'"a{{n}}" = {{ hex = "{"00" * 16_384}", count = 65536 }}',
        f'"a{{n}}" = {{ hex = "{"00" * 16_385}", count = 65536 }}',
        "holds over 1073741824 bytes",
    ),
    "json-times-count": (
        f'"a{{n}}" = {{ json = "{"x" * 16_000}", count = 65536 }}',
        f'"a{{n}}" = {{ json = "{"x" * 17_000}", count = 65536 }}',
        "holds over 1073741824 bytes",
    ),
    "runs": (
        'a = { runs = [["xy", 536870912]] }',
        'a = { runs = [["xy", 536870912], ["x", 1]] }',
        "holds over 1073741824 bytes",
    ),
    "runs-bytes": (
        'a = { runs = [["é", 536870912]] }',
        'a = { runs = [["é", 536870913]] }',
        "holds over 1073741824 bytes",
    ),
    "runs-of-placeholders": (
        'a = { runs = [["{secret}", 13944699]] }',
        'a = { runs = [["{secret}", 13944700]] }',
        "holds over 1073741824 bytes",
    ),
    "runs-of-nothing": (
        'a = { runs = [["", 1073741824]] }',
        'a = { runs = [["", 1073741825]] }',
        "holds over 1073741824 bytes",
    ),
    "runs-low": (
        'a = { runs = [["x", 0]] }',
        'a = { runs = [["x", -1]] }',
        "runs.0.1: expected int >= 0",
    ),
    "levels": (
        f"a.json{'.b' * 100} = 1",
        f"a.json{'.b' * 101} = 1",
        "json: is nested deeper than 100 levels",
    ),
    "levels-of-lists": (
        f"a = {{ json = {'[' * 100}{']' * 100} }}",
        f"a = {{ json = {'[' * 101}{']' * 101} }}",
        "json: is nested deeper than 100 levels",
    ),
    "part": (
        f'"a/{"x" * 255}/b" = ""',
        f'"a/{"x" * 256}/b" = ""',
        "has a part that no file system takes",
    ),
    "part-bytes": (
        f'"{"é" * 127}x" = ""',
        f'"{"é" * 128}" = ""',
        "has a part that no file system takes",
    ),
    "part-one-byte": (
        f'"{"x" * 254}{{byte:ff}}" = ""',
        f'"{"x" * 255}{{byte:ff}}" = ""',
        "has a part that no file system takes",
    ),
    "part-number": (
        f'"{"x" * 253}{{n}}" = {{ text = "", count = 99 }}',
        f'"{"x" * 253}{{n}}" = {{ text = "", count = 100 }}',
        "has a part that no file system takes",
    ),
    "path": (f'"x{LONG}" = ""', f'"xx{LONG}" = ""', "is longer than 3000 bytes"),
    "path-bytes": (f'"{LONG[:-1]}é" = ""', f'"{LONG}é" = ""', "is longer than 3000 bytes"),
    "path-number": (
        f'"{LONG[:-1]}{{n}}" = {{ text = "", count = 99 }}',
        f'"{LONG[:-1]}{{n}}" = {{ text = "", count = 100 }}',
        "is longer than 3000 bytes",
    ),
    "path-depth": (
        f'"x{LONG[:-200]}" = {{ text = "", depth = 100 }}',
        f'"x{LONG[:-200]}" = {{ text = "", depth = 101 }}',
        "is longer than 3000 bytes",
    ),
    "target": (
        f'a = {{ symlink = "x{LONG}" }}',
        f'a = {{ symlink = "xx{LONG}" }}',
        "the target is longer than 3000 bytes",
    ),
    "target-in-home": (
        f'a = {{ symlink = "{{home}}{LONG.replace("x", "/", 1)}/" }}',
        f'a = {{ symlink = "{{home}}/{LONG}/" }}',
        "the target is longer than 3000 bytes",
    ),
    "mode": (
        'a = { text = "", mode = "7777" }',
        'a = { text = "", mode = "7778" }',
        "mode: write an octal text",
    ),
    "mode-digits": (
        'a = { text = "", mode = "07777" }',
        'a = { text = "", mode = "17777" }',
        "mode: write an octal text",
    ),
    "mode-low": (
        'a = { text = "", mode = "000" }',
        'a = { text = "", mode = "00" }',
        "mode: write an octal text",
    ),
    "owner": (
        "a = { size = 1, owner = 4294967294 }",
        "a = { size = 1, owner = 4294967295 }",
        "owner: expected int <= 4294967294",
    ),
    "owner-low": (
        "a = { size = 1, owner = 0 }",
        "a = { size = 1, owner = -1 }",
        "owner: expected int >= 0",
    ),
    "time": (
        'a = "{now+365000d:rfc3339}"',
        'a = "{now+365001d:rfc3339}"',
        "unknown placeholder {now+365001d:rfc3339}",
    ),
    "time-back": (
        'a = "{now-8760000h:rfc3339}"',
        'a = "{now-8760001h:rfc3339}"',
        "unknown placeholder {now-8760001h:rfc3339}",
    ),
    "time-digits": (
        'a = "{now+999999999s}"',
        'a = "{now+1000000000s}"',
        "unknown placeholder {now+1000000000s}",
    ),
    "byte": ('a = "{byte:80}"', 'a = "{byte:7f}"', "unknown placeholder {byte:7f}"),
    "byte-high": ('a = "{byte:ff}"', 'a = "{byte:100}"', "unknown placeholder {byte:100}"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_holds_from_both_sides(name: str, tmp_path: Path) -> None:
    inside, outside, words = LIMITS[name]
    assert len(load_entries(tmp_path, inside)) == 1
    assert words in entry_refusal(tmp_path, outside)


def test_the_planned_path_has_a_limit_from_both_sides() -> None:
    path = "x" + LONG
    assert [node.path for node in plan([entry(path)], HERE)][-1] == path.encode()
    with pytest.raises(CannotJudge, match="fix the scenario"):
        plan([entry(path + "x")], HERE)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('"a{n}" = { text = "", count = 2 }\na2 = ""', "two entries make"),
        ('"é" = ""\n"{byte:c3}{byte:a9}" = ""', "two entries make"),
        ('a = { text = "", depth = 1 }\n"d/a" = ""', "two entries make"),
        (
            '"a{n}" = { symlink = "b", count = 2 }\n"a1/x" = ""',
            "lies below b'a1', which is not a directory",
        ),
        (
            '"a{n}/b/c" = { text = "", count = 2 }\na2 = { symlink = "x" }',
            "lies below b'a2', which is not a directory",
        ),
        (
            'd = { symlink = "x" }\na = { text = "", depth = 2 }',
            "lies below b'd', which is not a directory",
        ),
    ],
)
def test_entries_that_only_meet_when_written_out_are_refused_before_anything_is_built(
    lines: str, words: str, tmp_path: Path
) -> None:
    """A file below a link would be written to wherever the link leads."""
    entries = load_entries(tmp_path, lines)
    with pytest.raises(CannotJudge, match=words):
        plan(entries, HERE)
