"""Images with one vice each, on a real engine: they are told apart, and named rightly."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import docker
import pytest
from support_image import FEW, Images, rows, run

from conformance import resources

HERE = Path(__file__).parent
PROBE = "/opt/conformance/slot.py"
#: The reference probe under another name, for scripts that do something else before.
REFERENCE = "/opt/conformance/reference.py"
ASK = f"exec python3 -I {REFERENCE}\n"
ONE = "claude/nested-session"
#: What the four answers of FEW come to where all of them are right.
RIGHT = {
    "claude/nested-session": ("conforms", 0, ()),
    "claude/baseline-only": ("conforms", 65, ()),
    "agent/unmapped": ("conforms", 64, ()),
    "codex/empty": ("conforms", 66, ()),
    "cli/exit-1": ("conforms", 64, ()),
    "cli/healthy": ("conforms", 0, ()),
}


@pytest.fixture
def images(engine: docker.DockerClient, reference_image: str) -> Iterator[Images]:
    with Images(engine, reference_image) as made:
        yield made


@pytest.fixture
def plain_images(engine: docker.DockerClient) -> Iterator[Images]:
    """Return images that take nothing from the reference."""
    with Images(engine, "") as made:
        yield made


def judged(image: str, cwd: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    return run(image, *arguments, "-n", "0", cwd=cwd, timeout=60)


def script(text: str) -> dict[str, bytes]:
    """Return the files of an image whose probe is a shell script, which may ask the reference probe in the end."""
    reference = (resources.fixtures_dir() / "probes" / "slot.py").read_bytes()
    return {PROBE: f"#!/bin/sh\n{text}".encode(), REFERENCE: reference}


def probe_of_ours(name: str) -> dict[str, bytes]:
    """Return the files of an image whose probe is *name* of the tests' own probes."""
    files = {f"/vice/tests/probes/{file}": (HERE / "probes" / file).read_bytes() for file in (name, "_reference.py")}
    reference = (resources.fixtures_dir() / "probes" / "slot.py").read_bytes()
    return {**script(f"exec python3 -B /vice/tests/probes/{name}\n"), **files, "/vice/fixtures/probes/slot.py": reference}


def contract(cwd: Path, text: str) -> str:
    """Write a contract that extends `slot`; return its file's name."""
    (cwd / "own.toml").write_text(f'name = "own"\nversion = "1"\nsummary = "As slot"\nextends = "slot"\n{text}')
    return "own.toml"


def row(report: Mapping[str, Any], id_: str = ONE) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in report["scenarios"] if one["id"] == id_)
    return found


def messages(report: Mapping[str, Any], id_: str = ONE) -> dict[str, str]:
    return {finding["kind"]: finding["message"] for finding in row(report, id_)["findings"]}


def diagnosis(printed: str) -> str:
    return next((line.removeprefix("DIAGNOSIS ") for line in printed.splitlines() if line.startswith("DIAGNOSIS ")), "")


def notes(printed: str) -> list[str]:
    return [line.removeprefix("note: ") for line in printed.splitlines() if line.startswith("note: ")]


# Wrong probes


def test_the_first_probe_of_codex_shell_deviates_where_a_login_has_another_name_and_nowhere_else(
    images: Images, tmp_path: Path
) -> None:
    image = images.like_reference(probe_of_ours("first_codex_shell.py"))

    status, report, printed = judged(image, tmp_path, *FEW, "claude/credentials-file")

    wrong = ("deviates", 65, ("wrong-verdict",))
    assert status == 1, printed
    assert rows(report) == {**RIGHT, ONE: wrong, "cli/healthy": wrong, "claude/credentials-file": ("conforms", 0, ())}
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

    status, report, printed = judged(image, tmp_path, "--contract", contract(tmp_path, "limits.seconds = 1\n"), "claude/*", *FEW)

    assert status == 1, printed
    assert set(rows(report).values()) == {("deviates", None, ("timed-out",))}
    assert len(rows(report)) <= 4  # of dozens
    assert set(messages(report, next(iter(rows(report)))).values()) <= {
        f"expected {words}, got no answer within 1 s" for words in ("ready (0)", "creds-missing (65)", "creds-invalid (66)")
    }
    assert "scenarios were left out" in printed


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_image_that_answers_once_is_not_given_up(images: Images, isolation: str, tmp_path: Path) -> None:
    """It hangs in every scenario of codex: those are many, and none of them is left out."""
    image = images.like_reference(script(f'[ "$WOVED_TASK_AGENT" = claude ] || exec sleep 60\n{ASK}'))
    own = contract(tmp_path, "limits.seconds = 1\n")

    status, report, printed = judged(image, tmp_path, "--contract", own, "--isolation", isolation, ONE, "codex/a*")

    assert status == 1, printed
    assert len(rows(report)) > 4
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
    image = images.like_reference(script(f"echo x >/var/tmp/seen; echo x >>/etc/motd; rm /etc/old\n{ASK}"), user="0")
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
    said = "the probe changed files outside the HOME: added /var/tmp/seen; removed /etc/old"
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
    assert messages(deviates[1])["changed-home"] == "the probe changed the HOME: .claude/mine was added; probe.log was added"


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_a_credential_on_stderr(images: Images, isolation: str, tmp_path: Path) -> None:
    image = images.like_reference(script(f'cat "$HOME"/.claude/.credentials/* 2>/dev/null >&2\n{ASK}'))

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
    said = "unequal answers in 2 runs: exit code 0 1 times in fresh isolation, exit code 1 1 times in shared isolation"
    assert messages(both[1])["unsteady"] == said
    assert "Read-only file system" in row(both[1])["stderr"]


# Images without this and that


def busybox() -> bytes:
    """Return a static busybox of this machine."""
    for place in ("/bin/busybox", "/usr/bin/busybox"):
        data = Path(place).read_bytes() if os.path.exists(place) else b""
        if data and b"ld-linux" not in data and b"ld-musl" not in data:
            return data
    _do_without("there is no static busybox on this machine: install busybox-static")


def _do_without(reason: str) -> NoReturn:
    if os.environ.get("CONFORMANCE_REQUIRE_DOCKER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def applets() -> list[str]:
    import subprocess  # noqa: PLC0415

    return subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()


USERS = b"root:x:0:0::/root:/\nagent:x:10001:10001::/home/agent:/\n"
SHELL_PROBE = HERE / "probes" / "slot.sh"
