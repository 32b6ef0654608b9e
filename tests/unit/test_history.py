"""Reports over time: in order, told apart by contract and by probe, and shown on a screen."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from factories import refusal
from factories_reports import row, saved, write
from msgspec.structs import replace
from support_cli import call

from conformance.compare.history import Dated, history
from conformance.compare.history_report import history_document, trend_lines
from conformance.compare.kept import in_directory, in_git
from conformance.errors import UsageError
from conformance.model.shard import Shard
from conformance.report.saved import Named

IDS = [f"some/scenario-{number:02}" for number in range(40)]
STRICT = Named(name="slot-strict", version="1")


def night(number: int, deviating: int, **fields: Any) -> Dated:
    """Return the report of a night in which so many scenarios deviate."""
    rows = [row(id_, "deviates" if n < deviating else "conforms") for n, id_ in enumerate(IDS)]
    return Dated(f"{number:02}.json", saved(rows, hours=24 * number % 360, **fields))


def other(command: str) -> dict[str, Any]:
    return {"probe": {"kind": "command", "command": [command]}}


def test_thirty_reports_make_a_trend() -> None:
    """Each has a line with what regressed or was mended since the one before, in the order in which they began."""
    deviating = [*range(14, 0, -1), 0, *([3] * 4), *range(4, 15)]
    nights = [
        Dated(
            f"{n:02}.json",
            saved(
                [row(i, "deviates" if k < count else "conforms") for k, i in enumerate(IDS)],
                hours=n,
            ),
        )
        for n, count in enumerate(deviating)
    ]

    [trend] = history(reversed(nights)).trends

    assert [point.name for point in trend.points] == [f"{n:02}.json" for n in range(30)]
    assert [point.counts["deviates"] for point in trend.points] == deviating
    assert trend.points[0].changes is None
    steps = [
        (now, point.changes.counts()["regressed"], point.changes.counts()["mended"])
        for now, point in zip(deviating[1:], trend.points[1:], strict=True)
        if point.changes
    ]
    pairs = itertools.pairwise(deviating)
    assert steps == [(now, max(now - was, 0), max(was - now, 0)) for was, now in pairs]
    lines = [line for line, _ in trend_lines(trend, last=30)]
    assert len(lines) == 36
    assert max(map(len, lines)) <= 80
    assert lines[:3] == [
        "contract slot: ./probe",
        "  deviating  ██▇▇▆▆▅▅▄▄▃▃▂▂▁▃▃▃▃▃▄▄▅▅▆▆▇▇██",
        "             14 at first, 14 at most, 14 at last",
    ]
    assert lines[6] == "  2023-11-14 00:13  0.1.0/1       26      14"
    assert lines[20] == "  2023-11-14 14:13  0.1.0/1       40       0       1 mended"
    assert lines[21] == "  2023-11-14 15:13  0.1.0/1       37       3       3 regressed"


def test_no_contract_and_no_probe_is_mixed_with_another() -> None:
    reports = [
        night(1, 0),
        night(2, 1, **other("./other")),
        night(3, 2, contract=STRICT),
        night(4, 3),
        night(5, 4, probe={"kind": "image", "image": "slot:ci", "digest": "sha256:1"}),
        night(6, 5, probe={"kind": "image", "image": "slot:ci@sha256:2", "digest": "sha256:2"}),
        night(7, 6, probe={"kind": "image", "image": "slot:next"}),
    ]

    found = history(reports)
    as_one = history(reports, one_probe=True)

    assert [(t.contract, t.probe, [p.name for p in t.points]) for t in found.trends] == [
        ("slot", "./other", ["02.json"]),
        ("slot", "./probe", ["01.json", "04.json"]),
        ("slot", "image slot:ci", ["05.json", "06.json"]),
        ("slot", "image slot:next", ["07.json"]),
        ("slot-strict", "./probe", ["03.json"]),
    ]
    assert [(trend.contract, trend.probe, len(trend.points)) for trend in as_one.trends] == [
        ("slot", "image slot:next", 6),
        ("slot-strict", "./probe", 1),
    ]


def test_what_regressed_over_a_night_without_an_engine_is_told_afterwards() -> None:
    """Also where only a few scenarios ran in between."""
    reports = [
        Dated("1", saved([row("a"), row("b"), row("c")], hours=1)),
        Dated("2", saved([row("a", "broke"), row("b", "broke")], hours=2)),
        Dated("3", saved([row("a", "deviates"), row("b"), row("c", "deviates")], hours=3)),
    ]

    [trend] = history(reports).trends

    second, third = (point.changes for point in trend.points[1:])
    assert second is not None
    assert third is not None
    assert [(one.kind, one.id) for one in second.changes] == [
        ("no-longer-judged", "a"),
        ("no-longer-judged", "b"),
        ("gone", "c"),
    ]
    assert [(one.kind, one.id) for one in third.changes] == [("regressed", "a"), ("regressed", "c")]


def test_a_curve_needs_no_more_than_ascii_and_shows_little_as_little() -> None:
    reports = [
        Dated(
            str(n),
            saved(
                [row(i, "deviates" if k < count else "conforms") for k, i in enumerate(IDS)],
                hours=n,
            ),
        )
        for n, count in enumerate((0, 1, 20, 40))
    ]
    [trend] = history(reports).trends

    lines = [
        [line for line, _ in trend_lines(trend, last=2, plain=plain)] for plain in (False, True)
    ]

    assert [shown[1] for shown in lines] == ["  deviating  ▁▂▅█", "  deviating  _.=#"]
    assert "\n".join(lines[1]).isascii()
    assert lines[0][3] == "  4 runs, the last 2 of them"
    assert len(lines[0]) == 8
    flat = history(reports[:1] * 1 + [Dated("x", saved([row("a")], hours=9))]).trends[0]
    assert [line for line, _ in trend_lines(flat, last=9)][1] == "  deviating  ▁▁"


def test_what_changed_is_named_where_that_is_asked_for() -> None:
    reports = [
        Dated("1", saved([row("a"), row("b", "deviates"), row("c")], hours=1)),
        Dated(
            "2",
            saved([row("a", "deviates"), row("b"), row("c", "broke")], hours=2, interrupted=True),
        ),
    ]
    [trend] = history(reports).trends

    lines = [line for line, _ in trend_lines(trend, last=9, verbose=True)]

    assert lines[-4:] == [
        "  2023-11-14 02:13  0.1.0/1        1       1    1  INTERRUPTED, 1 regressed, 1 …",
        "      regressed: a",
        "      no longer judged: c",
        "      mended: b",
    ]


def test_a_directory_of_reports_and_of_other_things(tmp_path: Path) -> None:
    write(tmp_path / "b.json", night(2, 1).report)
    write(tmp_path / "deeper/still/a.json", night(1, 0).report)
    write(tmp_path / "latest.json", night(2, 1).report)
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "later.json").write_text('{"schema_version": 2}')
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "d.json").mkdir()
    (tmp_path / "gone.json").symlink_to("nowhere")

    kept = in_directory(str(tmp_path))

    assert sorted(dated.name for dated in kept.reports) == ["b.json", "deeper/still/a.json"]
    assert kept.copies == 1
    assert len(kept.passed_over) == 4
    assert "later.json has schema_version 2" in kept.passed_over[2]


def test_a_shard_is_no_point_of_a_trend(tmp_path: Path) -> None:
    """Three of four shards would look like nights on which little was run."""
    shard = Shard(index=2, count=4, scenarios=9, selection="x")
    write(tmp_path / "2.json", replace(night(1, 0).report, shard=shard))
    write(tmp_path / "all.json", night(1, 0).report)

    kept = in_directory(str(tmp_path))

    assert [dated.name for dated in kept.reports] == ["all.json"]
    assert kept.passed_over == ("2.json is shard 2 of 4 of a run: merge them first",)


def git(directory: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", directory, *identity, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository in which a report was committed twice, spoilt, removed and brought back."""
    place = tmp_path / "my repo"
    git(tmp_path, "init", "-q", str(place))
    file = place / "reports/slot.json"
    for content in (night(1, 2).report, night(2, 1).report, None, "", night(2, 1).report):
        if content is None:
            file.unlink()
        elif isinstance(content, str):
            file.write_text(content)
        else:
            write(file, content)
        git(place, "add", "-A")
        git(place, "commit", "-q", "-m", "a night")
    return place


def test_the_versions_of_a_file_in_git(repository: Path) -> None:
    file = repository / "reports/slot.json"
    kept = in_git(str(file))
    file.unlink()  # what is not committed is no matter
    again = in_git(os.path.relpath(file))

    assert [dated.report.now for dated in kept.reports] == [
        night(number, 0).report.now for number in (2, 1)
    ]
    assert (kept.copies, len(kept.passed_over)) == (1, 1)
    assert again == kept


def test_where_there_is_no_history_there_is_one_line(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    (repository / "x.json").write_text("{}")

    assert "git log fails in" in refusal(UsageError, in_git, str(tmp_path / "x.json"))
    assert "git knows no version of" in refusal(UsageError, in_git, str(repository / "x.json"))
    assert "no directory" in refusal(UsageError, in_git, str(tmp_path / "no/x.json"))
    assert "no directory" in refusal(UsageError, in_directory, str(tmp_path / "no"))
    assert "is a file" in refusal(UsageError, in_directory, str(tmp_path / "x.json"))


def test_without_git_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert refusal(UsageError, in_git, str(tmp_path / "x.json")) == (
        "git is not on PATH; install it, or name a directory"
    )


def test_the_command_shows_a_directory(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"kept/{number}.json", night(number, number).report)
    (tmp_path / "kept/else.json").write_text("{}")

    done = call(tmp_path, "history", "kept", "--json", "out.json", "--last", "2")
    bare = call(tmp_path, "history", "kept", "--json", "-")
    nothing = call(tmp_path, "history", ".", "--git")

    assert done.returncode == 0
    assert done.stdout.splitlines()[-3:] == [
        "  2023-11-16 00:13  0.1.0/1       38       2       1 regressed",
        "",
        "passed over, since they are no reports of a run: 1 (-v says why)",
    ]
    document = json.loads((tmp_path / "out.json").read_text())
    assert [point["counts"]["deviates"] for point in document["trends"][0]["points"]] == [0, 1, 2]
    assert document["trends"][0]["points"][2]["changes"]["worse"] == 1
    assert document["trends"][0]["points"][0]["changes"] is None
    assert len(document["passed_over"]) == 1
    assert json.loads(bare.stdout) == document
    assert "contract slot: ./probe" in bare.stderr
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr.count("\n") == 1


def test_a_directory_without_reports_is_refused(tmp_path: Path) -> None:
    done = call(tmp_path, "history", ".")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "probe-conformance: no report of a run in .; keep there what run --json writes\n"
    )


def test_the_document_says_all_of_each_run() -> None:
    found = history([night(1, 0), night(2, 1)])

    document = history_document(found, ["x is no report"], 3)

    assert (document["passed_over"], document["copies"]) == (["x is no report"], 3)
    assert document["trends"][0]["points"][1]["changes"]["counts"]["regressed"] == 1
    json.dumps(document)
