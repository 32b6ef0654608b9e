"""Images with one vice each, on a real engine: they are told apart, and named rightly.

Most vices are in one image. A variable tells its probe which of them to have, and a scenario for
each vice sets that variable. So one run in each isolation sees them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import docker
import pytest
from support_image import (
    ASK,
    FEW,
    ONE,
    RIGHT,
    Images,
    Once,
    contract,
    diagnosis,
    judged,
    messages,
    notes,
    row,
    rows,
    run,
    script,
)

pytestmark = pytest.mark.in_turn(20)


@pytest.fixture
def images(engine: docker.DockerClient, reference_image: str) -> Iterator[Images]:
    with Images(engine, reference_image) as made:
        yield made


# Probes with a vice

NOISE = "while :; do echo noise; sleep 0.02; done"
#: What the probe does before it asks the reference probe, if it comes to that.
VICES = {
    "none": ":",
    "missing": "exec /opt/conformance/no-such-probe",
    "not-executable": "exec /etc/passwd",
    "no-interpreter": "exec /no-interpreter",
    "insists": 'echo "TOKEN must be set" >&2; exit 1',
    # By a child's end, since as the first process of a container it would outlive its own signal.
    "killed": "sh -c 'kill -TERM $$'; exit $?",
    "exits-137": "exit 137",
    "needs-memory": "exec python3 -c 'print(len(b\"x\" * (300 << 20)))'",
    "sleeps": "exec sleep 60",
    "leaves": "sh -c 'sleep 60; :' &",
    "leaves-noise": f"sh -c '{NOISE}; :' &",
    "writes-outside": "echo x >/var/tmp/seen; rm /etc/old",
    "fills-in": (
        'cd "$HOME/.claude"; rm -f CLAUDE.md; echo ours >CLAUDE.md; echo "{}" >settings.json'
    ),
    "writes": 'echo x >"$HOME/probe.log"; echo x >"$HOME/.claude/mine"',
    "tells": 'cat "$HOME"/.claude/.credentials/* >&2',
}
FAMILY = """\
summary = "A login, and a probe with a vice"
origin = "tests of the suite itself"
agent = "claude"
control = "claude/baseline-only"

[expect]
slot = "ready"

[home]
include = ["claude-baseline"]

[home.files]
".claude/.credentials/session.json" = "{secret}"

"""
#: 137 is an answer, and nothing may change outside the HOME.
KNOWS_137 = """\
limits.seconds = 5
outside_writes = "forbidden"
[verdicts]
ready = { code = 0, meaning = "m", action = "a" }
odd = { code = 137, meaning = "m", action = "a" }
cli-broken = { code = 64, meaning = "m", action = "a" }
creds-missing = { code = 65, meaning = "m", action = "a" }
creds-invalid = { code = 66, meaning = "m", action = "a" }
"""


def family(directory: Path) -> str:
    """Write a scenario for each vice; return the directory to read them from."""
    place = directory / "more" / "image"
    place.mkdir(parents=True)
    variants = [
        f'[variants.{name}]\nsummary = "The vice {name}"\nenv.set.VICE = "{name}"\n'
        for name in VICES
    ]
    (place / "vice.toml").write_text(FAMILY + "".join(variants))
    return "more"


class Vices(NamedTuple):
    """What a run over all vices has found: as JSON, so that workers can share it."""

    status: int
    report: dict[str, Any]
    printed: str
    stays: bool
    """Whether the image, which has no name, was still there afterwards."""


@pytest.fixture(params=["fresh", "shared"])
def isolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def vices(
    engine: docker.DockerClient, reference_image: str, isolation: str, once: Once, tmp_path: Path
) -> Vices:
    """Return what is found in this isolation: one run for all tests and workers.

    With the stubs on a PATH of the user's, a variable that the entrypoint insists on, and little memory.
    """

    def found() -> list[Any]:
        choice = "".join(f"{name}) {text} ;;\n" for name, text in VICES.items())
        probe = script(f'case "$VICE" in\n{choice}esac\n{ASK}')
        insists = b'#!/bin/sh\n[ "$REGION" ] || exit 1\nexec /opt/conformance/entrypoint.sh "$@"\n'
        files = {
            "/insists": insists,
            "/no-interpreter": b"#!/no/python3\n",
            "/etc/old": b"",
            **probe,
        }
        own = contract(tmp_path, KNOWS_137 if isolation == "fresh" else "limits.seconds = 5\n")
        words: tuple[str, ...] = (
            "--scenarios",
            family(tmp_path),
            "--contract",
            own,
            "--isolation",
            isolation,
            "--memory",
            "64m",
        )
        words += ("--env", "REGION=eu-west-1", "--env", "PATH=/usr/local/bin:/usr/bin:/bin")
        # What only root may change outside the HOME is to be changed in fresh containers.
        words += ("--user", "0" if isolation == "fresh" else "10001")
        with Images(engine, reference_image) as images:
            image = images.like_reference(files, entrypoint=["/insists"])
            told = run(image, *words, *FEW, "image/*", "-n", "0", cwd=tmp_path)
            stays = engine.api.inspect_image(image)["Id"] == image  # type: ignore[no-untyped-call]
        return [*told, stays]

    return Vices(*once(f"vices-{isolation}", found))


def test_each_vice_is_told_apart(vices: Vices, isolation: str) -> None:
    """A fresh container ends with its first process; in a shared one only the HOME can be changed."""
    fresh = isolation == "fresh"
    right = ("conforms", 0, ())
    left = right if fresh else ("deviates", 0, ("left-process",))
    killed = ("deviates", None, ("killed-by-signal",))
    expected = {
        "image/vice/none": right,
        "image/vice/missing": ("deviates", 127, ("outside-contract",)),
        "image/vice/not-executable": ("deviates", 126, ("outside-contract",)),
        "image/vice/no-interpreter": ("deviates", 127, ("outside-contract",)),
        "image/vice/insists": ("deviates", 1, ("outside-contract",)),
        "image/vice/killed": killed,
        "image/vice/exits-137": ("deviates", 137, ("wrong-verdict",))
        if fresh
        else killed,  # what the contract knows
        "image/vice/needs-memory": killed,
        "image/vice/sleeps": ("deviates", None, ("timed-out",)),
        "image/vice/leaves": left,
        "image/vice/leaves-noise": left,
        "image/vice/writes-outside": ("deviates", 0, ("changed-outside",)) if fresh else right,
        "image/vice/fills-in": right,
        "image/vice/writes": ("deviates", 0, ("changed-home",)),
        "image/vice/tells": ("deviates", 0, ("leaked-secret",)),
    }
    assert rows(vices.report) == {**RIGHT, **expected}, vices.printed
    assert vices.status == 1
    assert vices.report["probe"]["isolation"] == isolation
    assert vices.report["probe"]["notes"] == []
    assert diagnosis(vices.printed) == ""


def test_each_finding_says_what_the_probe_did(vices: Vices, isolation: str) -> None:
    said = {name: "".join(messages(vices.report, f"image/vice/{name}").values()) for name in VICES}

    codes = "0, 64, 65, 66, 137" if isolation == "fresh" else "0, 64, 65, 66"
    assert said["missing"] == f"expected ready (0), got exit code 127, which is none of {codes}"
    assert said["killed"] == "expected ready (0), got killed by SIGTERM"
    assert said["sleeps"] == "expected ready (0), got no answer within 5 s"
    assert said["writes"] == (
        "the probe changed the HOME: added .claude/mine (file, mode 0644, 2 bytes); added probe.log (file, mode 0644, 2 bytes)"
    )
    assert said["tells"] == "the credential {secret} stands on stderr, plain"
    if isolation == "fresh":
        assert (
            said["needs-memory"]
            == "expected ready (0), got killed by SIGKILL: out of memory, the limit is 64m"
        )
        assert said["writes-outside"] == (
            "the probe changed files outside the HOME: removed /etc/old; added /var/tmp/seen"
        )
    else:
        left = "still running after the probe had ended: sh -c"
        assert said["leaves"].startswith(f"{left} sleep 60; :")
        assert said["leaves-noise"].startswith(f"{left} {NOISE}; :")


def test_what_the_probe_has_printed_is_in_the_report(vices: Vices) -> None:
    assert "no-such-probe" in row(vices.report, "image/vice/missing")["stderr"]
    assert "/etc/passwd" in row(vices.report, "image/vice/not-executable")["stderr"]
    assert "  stderr           TOKEN must be set" in vices.printed.splitlines()


def test_a_run_leaves_an_image_without_a_name_where_it_is(vices: Vices) -> None:
    """Engines remove, with an image, those below it that have no name.

    The layer of stubs stands on the image under test.
    """
    assert vices.stays


# Images that give one answer to everything

TWO = (ONE, "codex/empty")
#: Enough files for a hint, which call for different answers.
MANY = ("claude/*-only", "codex/empty", "codex/json-*", ONE)


def test_an_entrypoint_that_ignores_agent_mode(images: Images, tmp_path: Path) -> None:
    """That is told of many scenarios, and not of two, which may be wrong for reasons of their own."""
    image = images.like_reference(entrypoint=["sh", "-c", "echo serving; exit 0"])

    status, report, printed = judged(image, tmp_path, *MANY, "--isolation", "shared")
    few = judged(image, tmp_path, *TWO)

    assert status == 1, printed
    assert {one[1] for one in rows(report).values()} == {0}
    said = "every scenario got exit code 0 (ready), also with an AGENT_MODE that does not exist"
    assert diagnosis(printed) == f"{said}: the entrypoint ignores AGENT_MODE"
    assert rows(few[1]) == {ONE: RIGHT[ONE], "codex/empty": ("deviates", 0, ("wrong-verdict",))}
    assert diagnosis(few[2]) == ""


def test_a_probe_that_does_not_look_at_the_home(images: Images, tmp_path: Path) -> None:
    """Its entrypoint knows AGENT_MODE: that is another defect with the same answers."""
    image = images.like_reference(script("exit 0\n"))

    status, report, printed = judged(image, tmp_path, *MANY, "--isolation", "shared")

    assert status == 1, printed
    assert {one[1] for one in rows(report).values()} == {0}
    said = "every scenario got exit code 0 (ready): the probe does not look at the HOME"
    assert diagnosis(printed) == said


def test_homes_of_what_deviates_are_kept(images: Images, tmp_path: Path) -> None:
    """And what it changed outside the HOME is shown."""
    image = images.like_reference(script("echo x >/var/tmp/seen; exit 0\n"))

    status, report, printed = judged(image, tmp_path, *TWO, "--keep", "kept")

    assert status == 1, printed
    kept = {row["id"]: row["kept"] for row in report["scenarios"] if row["kept"]}
    assert kept == {"codex/empty": f"{tmp_path}/kept/codex/empty"}
    assert (tmp_path / "kept/codex/empty/home/.codex/auth.json").is_file()
    # The engine is asked about what deviates, and about the first of all.
    assert [row(report, id_)["outside"] for id_ in TWO] == [["added /var/tmp/seen"]] * 2


def test_an_entrypoint_that_does_not_exist(images: Images, tmp_path: Path) -> None:
    status, report, printed = judged(
        images.like_reference(entrypoint=["/opt/entrypoint"]), tmp_path, ONE
    )

    assert status == 3, printed
    assert rows(report) == {ONE: ("broke", None, ())}
    assert row(report)["reason"].startswith(
        'the container does not start: exec: "/opt/entrypoint": '
    )
    assert row(report)["reason"].endswith("no such file or directory")


def test_an_image_that_sleeps_for_ever_is_given_up_soon(images: Images, tmp_path: Path) -> None:
    """That is told also where all it was asked is known to fail: what was left out is no pass."""
    image = images.like_reference(entrypoint=["sleep", "infinity"])
    words = (
        "--contract",
        contract(tmp_path, "limits.seconds = 1\n"),
        "claude/artifact-name-*",
        ONE,
    )
    asked = (
        "claude/artifact-name-not-utf8",
        "claude/artifact-name-with-blanks",
        "claude/artifact-name-with-leading-dash",
    )
    lines = [f'"{id_}" = {{ reason = "it sleeps", findings = ["timed-out"] }}\n' for id_ in asked]
    (tmp_path / "known.toml").write_text("[known-failures]\n" + "".join(lines))

    status, report, printed = judged(image, tmp_path, *words, "--known-failures", "known.toml")

    assert rows(report) == dict.fromkeys(asked, ("known-failure", None, ("timed-out",))), printed
    assert status != 0, printed
    said = "no scenario was answered in time: the image does not end by itself in AGENT_MODE=smoke-test"
    assert diagnosis(printed) == f"{said}; 2 scenarios were left out"


def test_an_image_that_answers_once_is_not_given_up(images: Images, tmp_path: Path) -> None:
    """It hangs in every scenario of codex: those are four, and none of them is left out."""
    image = images.like_reference(
        script(f'[ "$WOVED_TASK_AGENT" = claude ] || exec sleep 60\n{ASK}')
    )
    own = contract(tmp_path, "limits.seconds = 1\n")

    status, report, printed = judged(
        image, tmp_path, "--contract", own, ONE, "codex/json-empty-*", "codex/json-n*"
    )

    assert status == 1, printed
    assert len(rows(report)) == 5
    assert {
        id_: one for id_, one in rows(report).items() if one != ("deviates", None, ("timed-out",))
    } == {ONE: RIGHT[ONE]}


def test_an_image_that_needs_a_writable_root(images: Images, tmp_path: Path) -> None:
    """Asked for shared containers, it falls back, and says so once; asked for both, it deviates."""
    image = images.like_reference(
        {"/srv/state/.keep": b"", **script(f"echo x >/srv/state/seen || exit 1\n{ASK}")}, user="0"
    )

    shared = judged(image, tmp_path, *TWO, "--isolation", "shared")
    both = judged(image, tmp_path, *TWO, "--isolation", "both")

    assert (shared[0], rows(shared[1])) == (0, {id_: RIGHT[id_] for id_ in TWO}), shared[2]
    assert len(notes(shared[2])) == 1
    assert (
        "because the image answers claude/nested-session with exit code 1 on a read-only root"
        in notes(shared[2])[0]
    )
    assert notes(shared[2])[0].endswith(" otherwise: each scenario has a container of its own")
    assert shared[1]["probe"]["isolation"] == "fresh"
    assert both[0] == 1, both[2]
    assert {one[2] for one in rows(both[1]).values()} == {("outside-contract", "unsteady")}
    said = r"unequal answers in 2 runs: exit code 0\b.* in fresh isolation, exit code 1\b.* in shared isolation"
    assert re.fullmatch(said, messages(both[1])["unsteady"])
    assert "Read-only file system" in row(both[1])["stderr"]
