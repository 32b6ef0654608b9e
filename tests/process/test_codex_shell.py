"""Every known defect of the two start-up probes of codex-shell shows in a scenario about it, and nothing else does.

Each defect is tried alone and with all others of its probe, and without any the probe is right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from factories import bundled_catalogue
from support_cli import suite

STRANGERS = Path(__file__).parents[1] / "strangers"
PROBES = {"first": "codex_shell_first.py", "merged": "codex_shell_merged.py"}
#: The merged probe prints its answer as well, and Managers read it there.
CONTRACT = """
name = "codex-shell"
version = "1"
summary = "As slot, with the status on stdout that Managers read"
extends = "slot"

[answer]
member = "/status"
values = { ok = "ready", cli_broken = "cli-broken", creds_missing = "creds-missing", creds_invalid = "creds-invalid" }
"""


class Shown(NamedTuple):
    """How a defect shows: in scenarios about it, as a kind of finding."""

    scenarios: list[str]
    finding: str


CRASH = "outside-contract"
SHOWN = {
    "agent-required": Shown(["agent/env-missing"], CRASH),
    "agent-stripped": Shown(["agent/trailing-blank", "agent/trailing-newline"], "wrong-verdict"),
    "blank-output-crashes": Shown(["cli/output/blank"], CRASH),
    "cli-left-running": Shown(["cli/hangs"], "left-process"),
    "closed-passed-over": Shown(
        ["claude/dot-claude-unreadable", "claude/unreadable-directory"], "wrong-verdict"
    ),
    "dot-claude-assumed": Shown(["claude/dot-claude-a-file"], CRASH),
    "empty-output-crashes": Shown(["cli/silent"], CRASH),
    "exec-errors-uncaught": Shown(
        ["cli/no-shebang", "cli/not-executable", "cli/truncated-elf"], CRASH
    ),
    "fifo-waited-for": Shown(["codex/fifo"], "timed-out"),
    "home-required": Shown(["environment/home-unset/claude"], CRASH),
    "links-followed": Shown(
        ["claude/symlink-only", "claude/symlinked-directory-only"], "wrong-verdict"
    ),
    "not-utf8-uncaught": Shown(["codex/not-utf8"], CRASH),
    "output-decoded": Shown(["cli/not-utf8"], CRASH),
    "permission-uncaught": Shown(["codex/unreadable"], CRASH),
    "pinned-name": Shown(["claude/credentials-file", "claude/nested-session"], "wrong-verdict"),
    "pipe-waited-for": Shown(["cli/leaves-a-child", "cli/hangs-in-a-child"], "timed-out"),
    "recursion-uncaught": Shown(["codex/deep-nesting"], CRASH),
    "signals-pass": Shown(["cli/killed"], "wrong-verdict"),
    "status-disagrees": Shown(["claude/baseline-only", "codex/empty"], "inconsistent"),
    "timeout-uncaught": Shown(["cli/hangs"], CRASH),
}
OF = {
    "first": [
        "agent-required",
        "cli-left-running",
        "empty-output-crashes",
        "exec-errors-uncaught",
        "fifo-waited-for",
        "home-required",
        "not-utf8-uncaught",
        "output-decoded",
        "permission-uncaught",
        "pinned-name",
        "recursion-uncaught",
        "timeout-uncaught",
    ],
    "merged": [
        "agent-stripped",
        "blank-output-crashes",
        "closed-passed-over",
        "dot-claude-assumed",
        "exec-errors-uncaught",
        "fifo-waited-for",
        "links-followed",
        "not-utf8-uncaught",
        "permission-uncaught",
        "pipe-waited-for",
        "recursion-uncaught",
        "signals-pass",
        "status-disagrees",
    ],
}
ALONE = [(probe, defect) for probe, defects in OF.items() for defect in defects]


def scenarios(*names: str) -> list[str]:
    """Return the scenarios about these defects, each once."""
    return sorted({id_ for name in names for id_ in SHOWN[name].scenarios})


def run(place: Path, probe: str, defects: list[str], *chosen: str) -> dict[str, Any]:
    """Run scenarios against a probe with these defects; no name stands for all that it is known for.

    Where scenarios are *chosen*, probe and contract wait for less time.
    """
    quick = "[limits]\nseconds = 5\ncli_seconds = 2\n" if chosen else ""
    (place / "codex-shell.toml").write_text(CONTRACT + quick)
    # As a callable it is started in less time than as a command.
    lines = f"import sys\nsys.path.insert(0, {str(STRANGERS)!r})\n"
    lines += f"import {PROBES[probe].removesuffix('.py')} as probe\n\n\ndef main() -> int:\n"
    lines += f"    sys.argv[1:] = {defects!r}\n    return probe.main(probe.DEFECTS)\n"
    (place / "codex_shell.py").write_text(lines)
    request = [
        "--contract",
        "codex-shell.toml",
        "--json",
        "report.json",
        "--python",
        "codex_shell:main",
    ]
    if chosen:
        request += ["--env", "CODEX_SHELL_CLI_SECONDS=2"]
    done = suite(
        place, "run", "-n", "0" if len(chosen) < 4 else "4", *request, *chosen, timeout=600
    )
    assert done.returncode in {0, 1}, done.stderr
    report: dict[str, Any] = json.loads((place / "report.json").read_text())
    return report


def findings(report: dict[str, Any]) -> dict[str, set[str]]:
    """Return the kinds of findings of each scenario that deviates."""
    return {
        row["id"]: {finding["kind"] for finding in row["findings"]}
        for row in report["scenarios"]
        if row["result"] == "deviates"
    }


def test_each_known_defect_is_in_the_table() -> None:
    assert {defect for defects in OF.values() for defect in defects} == SHOWN.keys()
    for probe, defects in OF.items():
        source = (STRANGERS / PROBES[probe]).read_text()
        assert {defect for defect in SHOWN if f'"{defect}"' in source} == {*defects}
    assert all(f'"{defect}"' in (STRANGERS / "_codex_shell.py").read_text() for defect in SHOWN)


@pytest.mark.slow
def test_without_its_defects_the_probe_conforms_all_over_the_catalogue(tmp_path: Path) -> None:
    """Both are one program then. Every fourth scenario that does not wait stands for all."""
    slot = bundled_catalogue().contracts["slot"]
    quick = [one for one in bundled_catalogue().in_contract(slot) if not one.takes_long]
    chosen = [one.id for one in quick if one.container is None][::4]

    report = run(tmp_path, "merged", ["none"], *chosen)

    assert findings(report) == {}
    assert report["counts"]["conforms"] > 100


@pytest.mark.slow
@pytest.mark.parametrize("probe", list(PROBES))
def test_without_its_defects_the_probe_conforms_in_the_scenarios_about_them(
    tmp_path: Path, probe: str
) -> None:
    report = run(tmp_path, probe, ["none"], *scenarios(*OF[probe]))

    assert findings(report) == {}


@pytest.mark.slow
@pytest.mark.in_turn(6)
@pytest.mark.parametrize(("probe", "defect"), ALONE)
def test_a_defect_alone_shows_in_each_scenario_about_it(
    tmp_path: Path, probe: str, defect: str
) -> None:
    shown = findings(run(tmp_path, probe, [defect], *scenarios(defect)))

    assert shown.keys() == {*SHOWN[defect].scenarios}
    assert all(SHOWN[defect].finding in kinds for kinds in shown.values())


@pytest.mark.slow
@pytest.mark.parametrize("probe", list(PROBES))
def test_with_all_of_them_each_still_shows_in_a_scenario_about_it(
    tmp_path: Path, probe: str
) -> None:
    shown = findings(run(tmp_path, probe, [], *scenarios(*OF[probe])))

    hidden = [
        defect
        for defect in OF[probe]
        if not any(SHOWN[defect].finding in shown.get(id_, ()) for id_ in SHOWN[defect].scenarios)
    ]
    assert hidden == []
