"""Images with one vice each, on a real engine: they are told apart, and named rightly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from support_image import ASK, FEW, ONE, PROBE, RIGHT, Images, contract, diagnosis, judged, messages, notes, row, rows, script

from conformance import bundled

HERE = Path(__file__).parents[1]


@pytest.fixture
def images(engine: docker.DockerClient, reference_image: str) -> Iterator[Images]:
    with Images(engine, reference_image) as made:
        yield made


def probe_of_ours(name: str) -> dict[str, bytes]:
    """Return the files of an image whose probe is *name* of the tests' own probes."""
    files = {f"/vice/tests/probes/{file}": (HERE / "probes" / file).read_bytes() for file in (name, "_reference.py")}
    reference = (bundled.fixtures_dir() / "probes" / "slot.py").read_bytes()
    return {**script(f"exec python3 -B /vice/tests/probes/{name}\n"), **files, "/vice/fixtures/probes/slot.py": reference}


# Wrong probes


def test_the_first_probe_of_codex_shell_deviates_where_a_login_has_another_name_and_nowhere_else(
    images: Images, tmp_path: Path
) -> None:
    image = images.like_reference(probe_of_ours("first_codex_shell.py"))

    status, report, printed = judged(image, tmp_path, *FEW, "claude/legacy-credentials-json")

    wrong = ("deviates", 65, ("wrong-verdict",))
    assert status == 1, printed
    assert rows(report) == {**RIGHT, ONE: wrong, "cli/healthy": wrong, "claude/legacy-credentials-json": ("conforms", 0, ())}
    assert messages(report) == {"wrong-verdict": "expected ready (0), got creds-missing (65)"}
    assert diagnosis(printed) == ""


def test_an_entrypoint_that_ignores_agent_mode(images: Images, tmp_path: Path) -> None:
    image = images.like_reference(entrypoint=["sh", "-c", "echo serving; exit 0"])

    status, report, printed = judged(image, tmp_path, *FEW)

    assert status == 1, printed
    assert {id_ for id_, one in rows(report).items() if one[0] == "conforms"} == {ONE, "cli/healthy"}
    assert rows(report)["codex/empty"] == ("deviates", 0, ("wrong-verdict",))
    said = "every scenario got exit code 0, also with an AGENT_MODE that does not exist: the entrypoint ignores AGENT_MODE"
    assert diagnosis(printed) == said


def test_a_probe_that_does_not_look_at_the_home(images: Images, tmp_path: Path) -> None:
    """Its entrypoint knows AGENT_MODE: that is another defect with the same answers."""
    status, _, printed = judged(images.like_reference(script("exit 0\n")), tmp_path, *FEW)

    assert status == 1, printed
    assert diagnosis(printed) == "every scenario got exit code 0: the probe does not look at the HOME"


@pytest.mark.parametrize(
    ("command", "code", "what"),
    [("/opt/conformance/no-such-probe", 127, "not there"), ("/etc/passwd", 126, "not executable")],
    ids=["missing", "not-executable"],
)
def test_a_probe_that_cannot_be_started(images: Images, command: str, code: int, what: str, tmp_path: Path) -> None:
    status, report, printed = judged(images.like_reference(cmd=[command]), tmp_path, *FEW)

    assert status == 1, printed
    assert set(rows(report).values()) == {("deviates", code, ("outside-contract",))}
    assert messages(report)["outside-contract"] == f"expected ready (0), got exit code {code}, which is none of 0, 64, 65, 66"
    assert command in row(report)["stderr"]
    assert diagnosis(printed) == (
        f"every scenario got exit code {code}: the entrypoint wants to start a program that is {what}; is the probe in the image?"
    )


def test_a_probe_whose_interpreter_is_not_there(images: Images, tmp_path: Path) -> None:
    status, report, printed = judged(images.like_reference({PROBE: b"#!/no/python3\n"}), tmp_path, *FEW)

    assert status == 1, printed
    assert {one[1] for one in rows(report).values()} == {127}
    assert "a program that is not there" in diagnosis(printed)


def test_an_entrypoint_that_insists_on_a_variable(images: Images, tmp_path: Path) -> None:
    text = '#!/bin/sh\n[ -n "$REGION" ] || { echo "REGION must be set" >&2; exit 1; }\nexec /opt/conformance/entrypoint.sh "$@"\n'
    image = images.like_reference({"/insists": text.encode()}, entrypoint=["/insists"])

    without = judged(image, tmp_path, *FEW)
    given = judged(image, tmp_path, *FEW, "--env", "REGION=eu-west-1")

    assert without[0] == 1, without[2]
    assert set(rows(without[1]).values()) == {("deviates", 1, ("outside-contract",))}
    assert "  stderr           REGION must be set" in without[2].splitlines()
    assert diagnosis(without[2]) == (
        "every scenario got exit code 1: the image ends before its probe can answer, and its stderr says why; "
        "a variable it insists on is given with --env"
    )
    assert (given[0], rows(given[1])) == (0, RIGHT), given[2]


def test_an_entrypoint_that_does_not_exist(images: Images, tmp_path: Path) -> None:
    status, report, printed = judged(images.like_reference(entrypoint=["/opt/entrypoint"]), tmp_path, *FEW)

    assert status == 3, printed
    assert set(rows(report).values()) == {("broke", None, ())}
    assert row(report)["reason"].startswith('the container does not start: exec: "/opt/entrypoint": ')
    assert row(report)["reason"].endswith("no such file or directory")


def test_an_image_that_sleeps_for_ever_is_given_up_soon(images: Images, tmp_path: Path) -> None:
    image = images.like_reference(entrypoint=["sleep", "infinity"])
    own = contract(tmp_path, "limits.seconds = 1\n")

    status, report, printed = judged(image, tmp_path, "--contract", own, *FEW, "claude/baseline-*")

    assert status == 1, printed
    assert list(rows(report).values()) == [("deviates", None, ("timed-out",))] * 3
    said = "no scenario was answered in time: the image does not end by itself in AGENT_MODE=smoke-test"
    assert diagnosis(printed) == f"{said}; 8 scenarios were left out"
    first = report["scenarios"][0]["findings"][0]["message"]
    assert first.endswith(", got no answer within 1 s")


def test_an_image_that_sleeps_is_told_where_all_it_was_asked_calls_for_one_answer(images: Images, tmp_path: Path) -> None:
    """What was left out stands for what the image was not asked any more: that is a diagnosis too."""
    image = images.like_reference(entrypoint=["sleep", "infinity"])
    own = contract(tmp_path, "limits.seconds = 1\n")

    status, _, printed = judged(image, tmp_path, "--contract", own, "claude/artifact-name-*", ONE)

    assert status == 1, printed
    said = "no scenario was answered in time: the image does not end by itself in AGENT_MODE=smoke-test"
    assert diagnosis(printed) == f"{said}; 2 scenarios were left out"


def test_what_was_left_out_is_no_pass_although_the_rest_is_known(images: Images, tmp_path: Path) -> None:
    image = images.like_reference(entrypoint=["sleep", "infinity"])
    words = ("--contract", contract(tmp_path, "limits.seconds = 1\n"), "claude/artifact-name-*", ONE)
    asked = ("claude/artifact-name-not-utf8", "claude/artifact-name-with-blanks", "claude/artifact-name-with-leading-dash")
    lines = [f'"{id_}" = {{ reason = "it sleeps", findings = ["timed-out"] }}\n' for id_ in asked]
    (tmp_path / "known.toml").write_text("[known-failures]\n" + "".join(lines))

    status, report, printed = judged(image, tmp_path, *words, "--known-failures", "known.toml")

    assert [one[0] for one in rows(report).values()] == ["known-failure"] * 3, printed
    assert status != 0, printed


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_image_that_answers_once_is_not_given_up(images: Images, isolation: str, tmp_path: Path) -> None:
    """It hangs in every scenario of codex: those are four, and none of them is left out."""
    image = images.like_reference(script(f'[ "$WOVED_TASK_AGENT" = claude ] || exec sleep 60\n{ASK}'))
    own = contract(tmp_path, "limits.seconds = 1\n")
    words = ("--contract", own, "--isolation", isolation, ONE, "codex/json-empty-*", "codex/json-n*")

    status, report, printed = judged(image, tmp_path, *words)

    assert status == 1, printed
    assert len(rows(report)) == 5
    assert {id_: one for id_, one in rows(report).items() if one != ("deviates", None, ("timed-out",))} == {ONE: RIGHT[ONE]}


# How a container ends


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_a_probe_that_is_killed(images: Images, isolation: str, tmp_path: Path) -> None:
    """By a child's end, since as the first process of a container it would outlive its own signal."""
    image = images.like_reference(entrypoint=["sh", "-c", "sh -c 'kill -KILL $$'; exit $?"])

    status, report, printed = judged(image, tmp_path, ONE, "codex/empty", "--isolation", isolation)

    assert status == 1, printed
    assert set(rows(report).values()) == {("deviates", None, ("killed-by-signal",))}
    assert messages(report) == {"killed-by-signal": "expected ready (0), got killed by SIGKILL"}


#: A contract in which 128 + 9 is an answer.
KNOWS_137 = "".join(
    f'[verdicts.{name}]\ncode = {code}\nmeaning = "m"\naction = "a"\n'
    for name, code in {"ready": 137, "cli-broken": 64, "creds-missing": 65, "creds-invalid": 66}.items()
)


def test_an_exit_code_that_the_contract_knows_is_no_signal(images: Images, tmp_path: Path) -> None:
    image = images.like_reference(entrypoint=["sh", "-c", "exit 137"])

    status, report, printed = judged(image, tmp_path, ONE, "--contract", contract(tmp_path, KNOWS_137))

    assert status == 0, printed
    assert rows(report) == {ONE: ("conforms", 137, ())}


@pytest.mark.parametrize("knows", ["", KNOWS_137], ids=["unknown", "known"])
def test_an_end_by_the_limit_of_memory_is_never_an_exit_code(images: Images, knows: str, tmp_path: Path) -> None:
    image = images.like_reference(script("exec python3 -c 'print(len(b\"x\" * (300 << 20)))'\n"))
    own = contract(tmp_path, knows)

    status, report, printed = judged(image, tmp_path, ONE, "--memory", "64m", "--contract", own)

    assert status == 1, printed
    assert rows(report) == {ONE: ("deviates", None, ("killed-by-signal",))}
    assert messages(report)["killed-by-signal"].endswith(", got killed by SIGKILL: out of memory, the limit is 64m")


def test_an_end_by_the_limit_of_memory_in_a_shared_container(images: Images, tmp_path: Path) -> None:
    """The container outlives it, and serves the next scenario."""
    text = f'[ "$WOVED_TASK_AGENT" = claude ] || exec python3 -c \'print(len(b"x" * (300 << 20)))\'\n{ASK}'
    image = images.like_reference(script(text))

    status, report, printed = judged(
        image, tmp_path, ONE, "codex/empty", "claude/baseline-only", "--isolation", "shared", "--memory", "64m"
    )

    assert status == 1, printed
    assert rows(report) == {
        ONE: RIGHT[ONE],
        "claude/baseline-only": RIGHT["claude/baseline-only"],
        "codex/empty": ("deviates", None, ("killed-by-signal",)),
    }
    assert report["probe"]["isolation"] == "shared"


# Manners


@pytest.mark.parametrize("noise", ["sleep 60", "while :; do echo noise; sleep 0.02; done"], ids=["quiet", "printing"])
def test_a_process_left_behind_is_seen_in_a_shared_container(images: Images, noise: str, tmp_path: Path) -> None:
    image = images.like_reference(script(f"sh -c '{noise}; :' &\n{ASK}"))

    shared = judged(image, tmp_path, *FEW, "--isolation", "shared")
    fresh = judged(image, tmp_path, *FEW)

    assert shared[0] == 1, shared[2]
    assert rows(shared[1]) == {id_: ("deviates", code, ("left-process",)) for id_, (_, code, _) in RIGHT.items()}
    assert messages(shared[1])["left-process"].startswith(f"still running after the probe had ended: sh -c {noise}")
    assert shared[1]["probe"]["isolation"] == "shared"
    assert (fresh[0], rows(fresh[1])) == (0, RIGHT), fresh[2]  # all ends with the first process


def test_what_changes_outside_the_home_is_shown_and_a_finding_where_the_contract_forbids_it(
    images: Images, tmp_path: Path
) -> None:
    image = images.like_reference(
        {"/etc/old": b"", "/etc/motd": b"x\n", **script(f"echo x >/var/tmp/seen; rm /etc/old\n{ASK}")}, user="0"
    )

    shown = judged(image, tmp_path, ONE, "codex/empty")
    own = contract(tmp_path, 'outside_writes = "forbidden"\n')
    forbidden = judged(image, tmp_path, ONE, "codex/empty", "--contract", own)

    assert shown[0] == 0, shown[2]
    assert sorted(row(shown[1])["outside"] + row(shown[1], "codex/empty")["outside"]) == [
        "added /var/tmp/seen",
        "removed /etc/old",
    ]
    assert forbidden[0] == 1, forbidden[2]
    assert rows(forbidden[1]) == {
        ONE: ("deviates", 0, ("changed-outside",)),
        "codex/empty": ("deviates", 66, ("changed-outside",)),
    }
    said = "the probe changed files outside the HOME: removed /etc/old; added /var/tmp/seen"
    assert messages(forbidden[1]) == {"changed-outside": said}


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_what_changes_in_the_home_is_a_finding_but_what_the_entrypoint_fills_in_is_none(
    images: Images, isolation: str, tmp_path: Path
) -> None:
    fills = 'mkdir -p "$HOME/.claude"; cd "$HOME/.claude"; rm -f CLAUDE.md; echo ours >CLAUDE.md; echo "{}" >settings.json\n'
    right = images.like_reference(script(fills + ASK))
    wrong = images.like_reference(script(f'{fills}echo x >"$HOME/probe.log"; echo x >mine\n{ASK}'))
    few = (ONE, "claude/baseline-only")

    conforms = judged(right, tmp_path, *few, "--isolation", isolation)
    deviates = judged(wrong, tmp_path, *few[:1], "--isolation", isolation)

    assert (conforms[0], rows(conforms[1])) == (0, {id_: RIGHT[id_] for id_ in few}), conforms[2]
    assert deviates[0] == 1
    assert rows(deviates[1]) == {ONE: ("deviates", 0, ("changed-home",))}
    assert messages(deviates[1])["changed-home"] == (
        "the probe changed the HOME: added .claude/mine (file, mode 0644, 2 bytes); added probe.log (file, mode 0644, 2 bytes)"
    )


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_a_credential_on_stderr(images: Images, isolation: str, tmp_path: Path) -> None:
    image = images.like_reference(script(f'cat "$HOME"/.claude/.credentials/* >&2\n{ASK}'))

    status, report, printed = judged(image, tmp_path, ONE, "codex/empty", "--isolation", isolation)

    assert status == 1, printed
    assert rows(report) == {ONE: ("deviates", 0, ("leaked-secret",)), "codex/empty": RIGHT["codex/empty"]}
    assert messages(report)["leaked-secret"] == "the credential {secret} stands on stderr, plain"


def test_an_image_that_needs_a_writable_root(images: Images, tmp_path: Path) -> None:
    """Asked for shared containers, it falls back, and says so once; asked for both, it deviates."""
    image = images.like_reference({"/srv/state/.keep": b"", **script(f"echo x >/srv/state/seen || exit 1\n{ASK}")}, user="0")

    shared = judged(image, tmp_path, *FEW, "--isolation", "shared")
    both = judged(image, tmp_path, ONE, "codex/empty", "--isolation", "both")

    assert (shared[0], rows(shared[1])) == (0, RIGHT), shared[2]
    assert len(notes(shared[2])) == 1
    assert "no isolation but fresh, because on a read-only root file system the image answers 1 to " in notes(shared[2])[0]
    assert notes(shared[2])[0].endswith(" otherwise: each scenario has a container of its own")
    assert shared[1]["probe"]["isolation"] == "fresh"
    assert both[0] == 1, both[2]
    assert {one[2] for one in rows(both[1]).values()} == {("outside-contract", "unsteady")}
    said = r"unequal answers in 2 runs: exit code 0\b.* in fresh isolation, exit code 1\b.* in shared isolation"
    assert re.fullmatch(said, messages(both[1])["unsteady"])
    assert "Read-only file system" in row(both[1])["stderr"]
