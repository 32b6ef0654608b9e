"""Known failures: read strictly, matched exactly, written so that they can be read again."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import IO, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.errors import CannotJudge, FileError
from conformance.judge.known_failures import KnownFailures, write
from conformance.model.outcome import Finding, FindingKind, Result, ScenarioResult

SLOT = contracts.bundled()["slot"]


def read(tmp_path: Path, text: str) -> KnownFailures:
    file = tmp_path / "known.toml"
    file.write_text(text)
    return KnownFailures.read(str(file))


def row(
    id_: str,
    result: Result = "deviates",
    kinds: Sequence[FindingKind] = ("wrong-verdict",),
    message: str = "some message",
) -> ScenarioResult:
    findings = tuple(Finding(kind=kind, message=message) for kind in kinds)
    return ScenarioResult(
        id=id_, agent="claude", expected=("ready",), result=result, findings=findings
    )


# Reading


def test_no_file_knows_nothing() -> None:
    known = KnownFailures.read("")
    assert (known.entries, known.file, known.covers(row("a/b")), known.reason("a/b")) == (
        {},
        "",
        False,
        "",
    )


def test_entries_are_a_reason_or_a_table(tmp_path: Path) -> None:
    known = read(
        tmp_path,
        """
        [known-failures]
        "claude/nested-session" = "issue 12"
        "codex/fifo" = { reason = "issue 13", findings = ["timed-out", "left-process"] }
        "codex/auth.v2" = { reason = "issue 14" }
        """,
    )
    assert {id_: (entry.reason, entry.findings) for id_, entry in known.entries.items()} == {
        "claude/nested-session": ("issue 12", []),
        "codex/fifo": ("issue 13", ["timed-out", "left-process"]),
        "codex/auth.v2": ("issue 14", []),
    }
    assert known.file == str(tmp_path / "known.toml")


def test_an_empty_list_is_fine(tmp_path: Path) -> None:
    assert read(tmp_path, "[known-failures]\n").entries == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "known-failures: missing"),
        ('known-failures = "x"', "known-failures: expected a table, got string"),
        ('[known-failures]\n"a/b" = ""', "known-failures.a/b: expected string of length >= 1"),
        (
            '[known-failures]\n"a/b" = " \\t\\n"',
            "known-failures.a/b: expected string matching regex '\\\\S'",
        ),
        ('[known-failures]\n"a/b" = 5', "known-failures.a/b: expected string | table, got int"),
        ('[known-failures]\n"a/b" = {}', "known-failures.a/b.reason: missing"),
        (
            '[known-failures]\n"a/b" = { reason = "" }',
            "known-failures.a/b.reason: expected string of length >= 1",
        ),
        (
            '[known-failures]\n"a/b" = { findings = ["crashed"] }',
            "known-failures.a/b.reason: missing",
        ),
        (
            '[known-failures]\n"a/b" = { reason = "x", until = "y" }',
            "known-failures.a/b.until: unknown key; allowed here: reason, findings",
        ),
        (
            '[known-failures]\n"a/b" = { reason = "x", findings = ["crash"] }',
            "known-failures.a/b.findings.0: unknown value 'crash'; allowed: "
            + ", ".join(get_args(FindingKind)),
        ),
        (
            '[known-failures]\n"a/b" = { reason = "x", findings = "crashed" }',
            "known-failures.a/b.findings: expected a list, got string",
        ),
        ("[known-failures]\n[more]\n", "more: unknown key; allowed here: known-failures"),
        (
            '[known-failures]\n"a" = "x"\n"a" = "y"',
            "is not TOML: Cannot overwrite a value (at end of document)",
        ),
    ],
)
def test_a_file_that_is_wrong_is_one_line_that_says_where(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(FileError) as caught:
        read(tmp_path, text)
    assert caught.value.lines() == [f"{tmp_path}/known.toml: {message}"]
    assert caught.value.exit_status == 2


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b'[known-failures]\n"a/b" = "caf\xe9"\n')
    (tmp_path / "directory").mkdir()
    expected = {
        "missing": "cannot be read: No such file or directory",
        "directory": "cannot be read: Is a directory",
        "latin": "is not UTF-8 (byte 29)",
    }
    for name, message in expected.items():
        with pytest.raises(FileError) as caught:
            KnownFailures.read(f"{tmp_path}/{name}")
        assert caught.value.cause == f"{tmp_path}/{name}: {message}"


# Matching


def test_an_entry_that_matches_no_scenario_of_the_contract_is_refused(tmp_path: Path) -> None:
    catalogue = load_catalogue()
    right = catalogue.in_contract(SLOT)[0].id
    foreign = next(one.id for one in catalogue.scenarios.values() if not one.expected(SLOT))
    read(tmp_path, f'[known-failures]\n"{right}" = "x"\n').check(catalogue, SLOT)
    for wrong in (
        "claude/nested-sessoin",
        "claude/*",
        "claude/nested-session.toml",
        "",
        foreign,
        right.upper(),
    ):
        known = read(tmp_path, f'[known-failures]\n"{right}" = "x"\n"{wrong}" = "x"\n')
        with pytest.raises(FileError) as caught:
            known.check(catalogue, SLOT)
        assert str(caught.value) == (
            f"{tmp_path}/known.toml: known-failures: no scenario '{wrong}' in contract 'slot'; "
            "remove the entry, or fix its id; see probe-conformance list"
        )


@pytest.mark.parametrize(
    ("findings", "kinds", "covered"),
    [
        ("", ["wrong-verdict"], True),
        ("", ["crashed", "leaked-secret"], True),
        (', findings = ["crashed"]', ["crashed"], True),
        (', findings = ["crashed"]', ["crashed", "crashed"], True),
        (', findings = ["crashed", "timed-out"]', ["crashed"], True),
        (', findings = ["crashed"]', ["wrong-verdict"], False),
        (', findings = ["crashed"]', ["crashed", "wrong-verdict"], False),
        (", findings = []", ["wrong-verdict"], True),
    ],
)
def test_an_entry_covers_the_findings_it_names_or_all(
    tmp_path: Path, findings: str, kinds: list[FindingKind], covered: bool
) -> None:
    known = read(tmp_path, f'[known-failures]\n"a/b" = {{ reason = "x"{findings} }}\n')
    assert known.covers(row("a/b", kinds=kinds)) is covered
    assert not known.covers(row("a/b2", kinds=kinds))
    assert not known.covers(row("a", kinds=kinds))


def test_a_reason_is_told_for_its_own_id_only(tmp_path: Path) -> None:
    known = read(tmp_path, '[known-failures]\n"a/b" = "issue 12"\n')
    assert (known.reason("a/b"), known.reason("a/c")) == ("issue 12", "")


# Writing


def rewritten(
    tmp_path: Path, *results: ScenarioResult, known: KnownFailures | None = None
) -> dict[str, tuple[str, list[str]]]:
    file = tmp_path / "written.toml"
    write(file, results, known or KnownFailures({}))
    return {
        id_: (entry.reason, list(entry.findings))
        for id_, entry in KnownFailures.read(str(file)).entries.items()
    }


def test_deviations_are_written_with_their_findings(tmp_path: Path) -> None:
    kinds: list[FindingKind] = ["wrong-verdict", "crashed", "crashed"]
    assert rewritten(tmp_path, row("b/b"), row("a/a", kinds=kinds, message="fell over")) == {
        "a/a": ("fell over; fell over; fell over", ["crashed", "wrong-verdict"]),
        "b/b": ("some message", ["wrong-verdict"]),
    }


def test_only_failures_are_written(tmp_path: Path) -> None:
    results: list[Result] = ["conforms", "unsupported", "broke", "known-failure", "deviates"]
    assert list(rewritten(tmp_path, *(row(f"a/{result}", result) for result in results))) == [
        "a/deviates",
        "a/known-failure",
    ]


def test_a_file_without_failures_can_be_read_again(tmp_path: Path) -> None:
    assert rewritten(tmp_path, row("a/b", "conforms", ())) == {}


def test_reasons_that_people_gave_stay(tmp_path: Path) -> None:
    known = read(
        tmp_path,
        """
        [known-failures]
        "a/still" = "issue 1"
        "a/other-finding" = { reason = "issue 2", findings = ["crashed"] }
        "a/mended" = "issue 3"
        """,
    )
    assert rewritten(
        tmp_path,
        row("a/still", "known-failure"),
        row("a/other-finding", kinds=["timed-out"]),
        row("a/mended", "conforms", ()),
        row("a/new", message="new"),
        known=known,
    ) == {
        "a/still": ("issue 1", ["wrong-verdict"]),
        "a/other-finding": ("issue 2", ["timed-out"]),
        "a/new": ("new", ["wrong-verdict"]),
    }


def test_entries_whose_scenarios_were_not_judged_stay(tmp_path: Path) -> None:
    """A run over a part of the catalogue, or on a system that lacks something, does not forget the rest."""
    known = read(
        tmp_path,
        """
        [known-failures]
        "a/not-selected" = "issue 1"
        "a/broke" = { reason = "issue 2", findings = ["crashed"] }
        "a/unsupported" = { reason = "issue 3", findings = ["timed-out", "left-process"] }
        """,
    )
    assert rewritten(
        tmp_path, row("a/broke", "broke", ()), row("a/unsupported", "unsupported", ()), known=known
    ) == {
        "a/not-selected": ("issue 1", []),
        "a/broke": ("issue 2", ["crashed"]),
        "a/unsupported": ("issue 3", ["timed-out", "left-process"]),
    }


def test_written_entries_cover_their_deviations(tmp_path: Path) -> None:
    result = row("a/b", kinds=["unsteady", "leaked-secret", "unsteady"])
    write(tmp_path / "written.toml", [result], KnownFailures({}))
    known = KnownFailures.read(str(tmp_path / "written.toml"))
    assert known.covers(result)
    assert not known.covers(row("a/b", kinds=["unsteady", "crashed"]))


ODD = [
    'quote " and \\ backslash',
    "é €",
    "😀",
    "del \x7f",
    "\x00\x1b[31m\x80\x9f",
    "line\nbreak\r\t",
    "]\n[x]\na = 1 #",
    "'''",
    '"""',
    "\ufeff\u2028",
]


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_odd_characters_survive_in_ids_and_reasons(tmp_path: Path, text: str) -> None:
    assert rewritten(tmp_path, row(f"a/{text}", message=text)) == {
        f"a/{text}": (text, ["wrong-verdict"])
    }


def test_undecodable_text_is_written_as_escapes(tmp_path: Path) -> None:
    """A message may carry a name on disk that is not UTF-8."""
    assert rewritten(tmp_path, row("a/b", message="added \udcff")) == {
        "a/b": ("added \\udcff", ["wrong-verdict"])
    }


TEXT = st.text(st.characters(codec="utf-8"))


@settings(deadline=None, database=None)
@given(id_=TEXT, message=TEXT)
def test_any_text_survives(
    tmp_path_factory: pytest.TempPathFactory, id_: str, message: str
) -> None:
    assert rewritten(tmp_path_factory.getbasetemp(), row(id_, message=f"x{message}")) == {
        id_: (f"x{message}", ["wrong-verdict"])
    }


def onto_a_full_disk(file: Path, _: str, encoding: str) -> IO[str]:
    file.touch()
    return open("/dev/full", "w", encoding=encoding)


@pytest.mark.parametrize("call", ["write", "replace", "open"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    file = tmp_path / "known.toml"
    file.write_text("old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if call == "open":
            patch.setattr(Path, "open", full)
        elif call == "replace":
            patch.setattr(os, "replace", full)
        else:
            patch.setattr(Path, "open", onto_a_full_disk)
        with pytest.raises(CannotJudge) as caught:
            write(file, [row("a/b")], KnownFailures({}))
    assert str(caught.value) == f"{file} cannot be written: No space left on device"
    assert caught.value.exit_status == 3
    assert (os.listdir(tmp_path), file.read_text()) == (["known.toml"], "old")


def test_a_file_that_is_replaced_is_readable_for_others(tmp_path: Path) -> None:
    """As any other file is: what is written beside it first is no secret."""
    file = tmp_path / "known.toml"
    before = os.umask(0o022)
    try:
        write(file, [], KnownFailures({}))
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["known.toml"]
