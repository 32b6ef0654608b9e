"""What got worse, on the command line: diff, run --baseline, run --as-of, and their exit statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import program
from factories_reports import row, saved, write
from msgspec.structs import replace
from support_cli import call, suite

from conformance.report.saved import Named, read_report

#: Three scenarios: one calls for 0, one for 65, and one for 64.
IDS = ("claude/nested-session", "claude/baseline-only", "agent/unmapped")
#: A probe that is right in all of them.
RIGHT = """\
#!/bin/sh
[ "$WOVED_TASK_AGENT" = ghost ] && exit 64
[ -e "$HOME/.claude/.credentials/session.json" ] && exit 0
exit 65
"""
EXIT_66 = "#!/bin/sh\nexit 66\n"
PINS = '#!/bin/sh\n[ "$WOVED_TASK_AGENT" = ghost ] && exit 64\nexit 65\n'
HALTS = "#!/bin/sh\nkill -9 $$\n"


def run(place: Path, probe: str, *words: str, ids: tuple[str, ...] = IDS) -> tuple[int, list[str]]:
    """Run *probe* in the scenarios; return the status and the last lines."""
    program(place / "probe", probe)
    done = suite(place, "run", *ids, "--probe", "./probe", "-n", "0", *words)
    assert "Traceback" not in done.stderr
    return done.returncode, [*done.stdout.splitlines(), *done.stderr.splitlines()]


def baseline(place: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((place / "now.json").read_text())
    return document


@pytest.fixture
def right(tmp_path: Path) -> Path:
    """Return a directory with ``old.json``: the right probe in all scenarios."""
    assert run(tmp_path, RIGHT, "--json", "old.json")[0] == 0
    return tmp_path


def test_only_what_got_worse_fails_a_run_with_a_baseline(right: Path) -> None:
    status, lines = run(right, PINS, "--baseline", "old.json", "--json", "now.json")

    assert status == 1
    assert lines[-1].startswith("2 conform, 1 deviate in ")
    assert lines[-1].endswith(": 1 GOT WORSE")
    assert any(line.startswith("AGAINST old.json, ") for line in lines)
    now = baseline(right)
    assert (now["exit_status"], now["conformant"]) == (1, False)
    assert [(one["id"], one["kind"]) for one in now["baseline"]["changes"]] == [
        ("claude/nested-session", "regressed")
    ]
    # The same once more is no worse; a right probe is better.
    (right / "now.json").rename(right / "pins.json")
    status, lines = run(right, PINS, "--baseline", "pins.json", "--json", "now.json")
    assert (status, lines[-1].rpartition(": ")[2]) == (0, "nothing got worse")
    assert (baseline(right)["exit_status"], baseline(right)["conformant"]) == (0, False)
    status, lines = run(right, RIGHT, "--baseline", "pins.json", "--json", "now.json")
    assert (status, lines[-1].rpartition(": ")[2]) == (0, "CONFORMANT")
    assert baseline(right)["baseline"]["counts"]["mended"] == 1


def test_what_was_left_out_fails_a_run_with_a_baseline(tmp_path: Path) -> None:
    """With -x the first deviation ends the run, also one that the baseline has."""
    ids = ("claude/baseline-only", "claude/nested-session")
    run(tmp_path, EXIT_66, "--json", "old.json", ids=ids)

    status, lines = run(tmp_path, EXIT_66, "--baseline", "old.json", "-x", ids=ids)
    whole, more = run(tmp_path, EXIT_66, "--baseline", "old.json", ids=ids)

    assert (whole, more[-1].rpartition(": ")[2]) == (0, "nothing got worse")
    assert "1 not run" in lines[-1]
    assert (status, lines[-1].rpartition(": ")[2]) == (1, "NOT CONFORMANT")


def test_a_scenario_that_the_baseline_does_not_have_is_named_and_fails_nothing(right: Path) -> None:
    report = read_report(str(right / "old.json"))
    rows = tuple(each for each in report.scenarios if each.id != "claude/nested-session")
    write(right / "less.json", replace(report, scenarios=rows))

    status, lines = run(right, PINS, "--baseline", "less.json")

    assert (status, lines[-1].rpartition(": ")[2]) == (0, "nothing got worse")
    assert any(line.endswith("1 scenario that was not judged before deviates") for line in lines)


def test_only_what_runs_is_compared_by_workers_too(right: Path) -> None:
    program(right / "probe", PINS)
    words = ("--probe", "./probe", "--baseline", "old.json", "-n", "2")

    done = suite(right, "run", "claude/baseline-only", "agent/*", *words)

    assert done.returncode == 0
    assert "  1 of the baseline did not run here" in done.stdout


def test_a_known_failure_is_no_worse_and_one_that_conforms_still_fails(right: Path) -> None:
    (right / "known.toml").write_text('[known-failures]\n"claude/nested-session" = "issue 1"\n')
    words = ("--baseline", "old.json", "--known-failures", "known.toml", "--json", "now.json")

    known = run(right, PINS, *words)
    counts = baseline(right)["baseline"]["counts"]
    stale = run(right, RIGHT, *words)

    assert (known[0], known[1][-1].rpartition(": ")[2]) == (0, "nothing got worse")
    assert counts["known-by-now"] == 1
    assert (stale[0], stale[1][-1].rpartition(": ")[2]) == (1, "NOT CONFORMANT")


def test_what_is_not_judged_any_more_is_worse_and_a_broken_run_stays_3(right: Path) -> None:
    """Here a run that pytest ends at the first failure, which the baseline has as well."""
    assert run(right, HALTS, "--json", "halts.json")[0] == 1
    report = read_report(str(right / "halts.json"))
    good = read_report(str(right / "old.json")).rows()
    mixed = tuple(
        each if each.id == "agent/unmapped" else good[each.id] for each in report.scenarios
    )
    write(right / "mixed.json", replace(report, scenarios=mixed))

    stopped = run(right, HALTS, "--baseline", "mixed.json", "--json", "now.json", "--", "-x", "-q")

    assert (stopped[0], stopped[1][-1].rpartition(": ")[2]) == (1, "2 GOT WORSE")
    assert baseline(right)["left_out"] == ["claude/baseline-only", "claude/nested-session"]


Spoil = Callable[[Path], object]


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda file: file.unlink(), "no file old.json"),
        (lambda file: file.write_text("{"), "old.json is no report of a run"),
        (
            lambda file: write(file, saved([row("x/y")])),
            "old.json has judged none of the scenarios that are to run",
        ),
        (
            lambda file: write(
                file, saved([row(IDS[0])], contract=Named(name="gate", version="1"))
            ),
            "old.json is about contract 'gate', and this run about 'slot'",
        ),
    ],
)
def test_a_bad_baseline_is_refused_before_anything_runs(
    spoil: Spoil, line: str, tmp_path: Path
) -> None:
    write(tmp_path / "old.json", saved([row(IDS[0])]))
    spoil(tmp_path / "old.json")
    program(tmp_path / "probe", "#!/bin/sh\ntouch ran\n")

    done = call(tmp_path, "run", *IDS, "--probe", "./probe", "--baseline", "old.json")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"probe-conformance: {line}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ([row("a"), row("b", "deviates")], [row("a"), row("b", "deviates")], 0),
        ([row("a"), row("b", "deviates")], [row("a"), row("b"), row("c", "deviates")], 0),
        ([row("a"), row("b")], [row("a"), row("b", "deviates")], 1),
        ([row("a"), row("b")], [row("a"), row("b", "broke")], 1),
        ([row("a"), row("b")], [row("a")], 0),
        ([row("a")], [row("b")], 2),
        ([row("a", "broke")], [row("a")], 2),
    ],
)
def test_the_status_of_diff(old: Any, new: Any, status: int, tmp_path: Path) -> None:
    write(tmp_path / "old.json", saved(old))
    write(tmp_path / "new.json", saved(new))

    done = call(tmp_path, "diff", "old.json", "new.json", "--json", "-")

    assert done.returncode == status
    if status == 2:
        assert (done.stdout, done.stderr.count("\n")) == ("", 1)
        return
    document = json.loads(done.stdout)
    assert (document["schema_version"], document["worse"]) == (1, status)
    assert done.stderr.splitlines()[-1].startswith("1 GOT WORSE" if status else "nothing got worse")


def test_diff_of_versions_probes_and_names_that_differ(tmp_path: Path) -> None:
    write(tmp_path / "old.json", saved([row("a")]))
    later = {"suite": Named(name="probe-conformance", version="9"), "probe": {"image": "x:1"}}
    write(tmp_path / "new.json", saved([row("a"), row("b")], **later))  # type: ignore[arg-type]
    write(tmp_path / "gate.json", saved([row("a")], contract=Named(name="gate", version="1")))

    done = call(tmp_path, "diff", "old.json", "new.json", "-v")
    refused = call(tmp_path, "diff", "old.json", "gate.json")
    nothing = call(tmp_path, "diff", "old.json", "nothing.json")
    nowhere = call(tmp_path, "diff", "old.json", "new.json", "--json", "no/x.json")

    assert done.returncode == 0
    assert done.stdout.splitlines()[:5] == [
        "old: 2023-11-14 00:13  old.json",
        "     ./probe",
        "new: 2023-11-14 00:13  new.json",
        "     image x:1",
        "note: suite 0.1.0 wrote the old report, 9 the new one",
    ]
    for each in (refused, nothing, nowhere):
        assert (each.returncode, each.stdout, each.stderr.count("\n")) == (2, "", 1)


def test_a_run_of_a_version_says_so_and_repeats_itself(tmp_path: Path) -> None:
    status, lines = run(tmp_path, PINS, "--as-of", "1", "--json", "now.json", "-n", "2")

    assert status == 1
    assert "contract slot as of version 1: 3 scenarios" in lines[0]
    document = baseline(tmp_path)
    assert (document["as_of"], document["contract"]["version"]) == ("1", "1")
    rows = {each["id"]: each for each in document["scenarios"]}
    assert {each["since"] for each in rows.values()} == {"1"}
    assert rows[IDS[0]]["repeat"][-2:] == ["--as-of", "1"]
    again = suite(tmp_path, *rows[IDS[0]]["repeat"][1:])
    assert again.returncode == 1
    assert "expected: ready (0)" in again.stdout


def test_a_version_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for version, line in (
        ("7", "contract 'slot' has no version '7'; there is 1"),
        ("", "--as-of is empty; name a version of the contract, or leave it out"),
    ):
        for command in ("run", "list"):
            done = call(tmp_path, command, "--as-of", version)
            assert (done.returncode, done.stderr) == (2, f"probe-conformance: {line}\n")


def test_list_and_show_say_since_when(tmp_path: Path) -> None:
    listed = call(tmp_path, "list", "--json", "--as-of", "1", "claude/nested-session")
    shown = call(tmp_path, "show", "claude/nested-session")

    assert json.loads(listed.stdout)[0]["since"] == "1"
    assert "since version 1 of slot\n" in shown.stdout
