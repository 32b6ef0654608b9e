"""Images with one vice each, on a real engine: they are told apart, and named rightly."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest
from support_image import FEW, Images, busybox, rows, run

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


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_image_that_answers_once_is_not_given_up(images: Images, isolation: str, tmp_path: Path) -> None:
    """It hangs in every scenario of codex: those are four, and none of them is left out."""
    image = images.like_reference(script(f'[ "$WOVED_TASK_AGENT" = claude ] || exec sleep 60\n{ASK}'))
    own = contract(tmp_path, "limits.seconds = 1\n")

    status, report, printed = judged(image, tmp_path, "--contract", own, "--isolation", isolation, ONE, "codex/json-empty-*", "codex/json-n*")

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
    said = "unequal answers in 2 runs: exit code 0 1 times in fresh isolation, exit code 1 1 times in shared isolation"
    assert messages(both[1])["unsteady"] == said
    assert "Read-only file system" in row(both[1])["stderr"]


# Images without this and that

USERS = b"root:x:0:0::/root:/\nagent:x:10001:10001::/home/agent:/\n"
SHELL_PROBE = (HERE / "probes" / "slot.sh").read_bytes()
HEALTHY = b"exit 0\n"


def shell_less(images: Images, probe: bytes = SHELL_PROBE) -> str:
    """Return an image with one program, a static one, and scripts that name it as their interpreter."""
    cli = b"#!/busybox ash\n" + HEALTHY
    files = {"/busybox": busybox(), "/probe.sh": probe, "/bin/claude": cli, "/bin/codex": cli, "/etc/passwd": USERS}
    return images.of(files, entrypoint=["/busybox", "ash", "/probe.sh"], user="10001")


def small(images: Images, probe: bytes) -> str:
    """Return an image with a shell and all that goes with it, and no Python."""
    listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    cli = b"#!/bin/sh\n" + HEALTHY
    files = {"/bin/busybox": busybox(), "/probe.sh": probe, "/bin/claude": cli, "/bin/codex": cli, "/etc/passwd": USERS}
    links = {f"/bin/{name}": "/bin/busybox" for name in listed if name != "busybox"}
    return images.of(files, links=links, entrypoint=["/probe.sh"], user="10001")


NO_SHELL = {**RIGHT, "cli/exit-1": ("unsupported", None, ())}
STATES_WITHOUT_SHELL = ("cli/missing", "cli/not-executable", "cli/truncated-elf", "cli/symlink-loop")


@pytest.mark.parametrize("more", [(), ("--read-only",)], ids=["writable", "read-only"])
def test_an_image_without_a_shell(plain_images: Images, more: tuple[str, ...], tmp_path: Path) -> None:
    status, report, printed = judged(shell_less(plain_images), tmp_path, *FEW, *more)

    assert status == 0, printed
    assert rows(report) == NO_SHELL
    assert row(report, "cli/exit-1")["reason"] == "the stub of such a CLI is a shell script, and the image has no shell"
    assert notes(printed) == ["the image has no shell with tar, head, rm and env in it"]


def test_an_image_without_a_shell_and_other_conditions(plain_images: Images, tmp_path: Path) -> None:
    """What only a container can show is shown there too; what takes a shell inside is told as that."""
    states = (*STATES_WITHOUT_SHELL, "container/home-read-only-claude", "container/root-owned-auth-json")
    needs = {
        "claude/socket-only": "no tar archive can hold a socket, and the image has no shell to make one from",
        "container/home-unset-no-passwd-claude": "HOME can only be taken away by a shell, and the image has none",
    }

    status, report, printed = judged(shell_less(plain_images), tmp_path, *states, *needs)

    assert status == 0, printed
    assert {id_: one[0] for id_, one in rows(report).items() if id_ in states} == dict.fromkeys(states, "conforms")
    assert {id_: row(report, id_)["reason"] for id_ in needs} == needs


def test_the_home_in_an_image_without_a_shell_is_its_users_own(plain_images: Images, tmp_path: Path) -> None:
    image = shell_less(plain_images, b'stat -c "%a %u:%g %n" "$HOME" "$HOME"/.claude/.credentials/*; id -u; exit 0\n')

    status, report, printed = judged(image, tmp_path, ONE)

    assert status == 0, printed
    assert row(report)["stdout"].splitlines() == [
        "700 10001:10001 /home/agent",
        "600 10001:10001 /home/agent/.claude/.credentials/session.json",
        "10001",
    ]


@pytest.mark.parametrize("isolation", ["shared", "both"])
def test_an_image_without_a_shell_cannot_be_shared_and_that_is_told_once(
    plain_images: Images, isolation: str, tmp_path: Path
) -> None:
    status, report, printed = judged(shell_less(plain_images), tmp_path, *FEW, "--isolation", isolation)

    assert (status, rows(report)) == (0, NO_SHELL), printed
    assert report["probe"]["isolation"] == "fresh"
    told = "no isolation but fresh, because the image has no shell to share: each scenario has a container of its own"
    assert notes(printed)[1:] == report["probe"]["notes"][1:] == [told]
    assert printed.count("no isolation but fresh") == 1


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_image_without_python_whose_probe_is_a_shell_script(plain_images: Images, isolation: str, tmp_path: Path) -> None:
    image = small(plain_images, SHELL_PROBE.replace(b"timeout -s KILL 10 ", b""))

    status, report, printed = judged(image, tmp_path, *FEW, "claude/socket-only", "--isolation", isolation)

    assert status == 0, printed
    assert rows(report) == {**RIGHT, "claude/socket-only": ("unsupported", None, ())}
    said = "no tar archive can hold a socket, and the image has no python3 to make one"
    assert row(report, "claude/socket-only")["reason"] == said
    assert (report["probe"]["isolation"], notes(printed)) == (isolation, [])


def test_what_the_timeout_of_busybox_leaves_running_is_found(plain_images: Images, tmp_path: Path) -> None:
    """It watches from a process of its own, which outlives what it watches."""
    image = small(plain_images, SHELL_PROBE)

    shared = judged(image, tmp_path, ONE, "agent/unmapped", "--isolation", "shared")
    fresh = judged(image, tmp_path, ONE, "agent/unmapped")

    assert shared[0] == 1, shared[2]
    assert rows(shared[1]) == {ONE: ("deviates", 0, ("left-process",)), "agent/unmapped": RIGHT["agent/unmapped"]}
    assert "timeout -s KILL 10 /bin/claude --version" in messages(shared[1])["left-process"]
    assert fresh[0] == 0, fresh[2]


def test_an_image_for_another_processor(plain_images: Images, tmp_path: Path) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("the image is for another processor than x86_64")
    elf = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + bytes([2, 0, 183, 0, 1, 0, 0, 0]) + bytes(40)
    image = plain_images.of({"/bin/sh": elf, "/probe": elf}, processor="arm64", entrypoint=["/probe"], user="10001")

    for isolation in ("fresh", "shared"):
        status, report, printed = judged(image, tmp_path, *FEW, "--isolation", isolation)

        assert (status, report) == (3, {}), printed
        said = "the image is for arm64, and the engine runs amd64; build it for this machine, or use an engine on the other"
        assert printed == f"probe-conformance: {said}\n"


@pytest.mark.parametrize(
    ("reference", "status", "line"),
    [
        ("no-such-image:1", 3, "no image 'no-such-image:1' on this engine; build it, or pull it, first"),
        ("sha256:" + "0" * 64, 3, f"no image 'sha256:{'0' * 64}' on this engine; build it, or pull it, first"),
        ("No Image", 2, "'No Image' is no image reference; write it like name, name:tag or host/name@sha256:…"),
    ],
)
def test_an_image_that_is_not_there(engine: docker.DockerClient, reference: str, status: int, line: str, tmp_path: Path) -> None:
    assert judged(reference, tmp_path, *FEW) == (status, {}, f"probe-conformance: {line}\n")


def test_a_run_leaves_an_image_without_a_name_where_it_is(engine: docker.DockerClient, images: Images, tmp_path: Path) -> None:
    """Engines remove, with an image, those below it that have no name: and the layer of stubs stands on the one under test."""
    image = images.like_reference()

    assert judged(image, tmp_path, "cli/exit-1")[0] == 0
    assert engine.api.inspect_image(image)["Id"] == image  # type: ignore[no-untyped-call]


# Images with a HOME of their own

OWN_PATH = {"PATH": "/home/agent/.local/bin:/usr/sbin:/usr/bin:/bin"}
OWN_HOME = {"/home/agent/.bashrc": b"umask 022\n", "/home/agent/.local/bin/claude": b"#!/bin/sh\n" + HEALTHY}


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_image_that_keeps_its_cli_in_its_home(images: Images, isolation: str, tmp_path: Path) -> None:
    image = images.like_reference(OWN_HOME, env=OWN_PATH)
    cases = (*FEW, "cli/missing")

    status, report, printed = judged(image, tmp_path, *cases, "--isolation", isolation)

    assert rows(report) == {**RIGHT, "cli/missing": ("conforms", 64, ()), "codex/empty": ("deviates", 64, ("wrong-verdict",))}
    assert status == 1  # no codex is on that PATH, and the scenario is about a login
    assert (report["probe"]["isolation"], notes(printed)) == (isolation, [])


def test_what_an_image_keeps_in_its_home_lies_there(images: Images, tmp_path: Path) -> None:
    text = 'cd "$HOME" && stat -c "%u %n" .bashrc .local/bin/* .claude/.credentials/*; command -v claude; exit 0\n'
    image = images.like_reference({**OWN_HOME, **script(text)}, env=OWN_PATH)

    status, report, printed = judged(image, tmp_path, ONE)

    assert status == 0, printed
    assert row(report)["stdout"].splitlines() == [
        "10001 .bashrc",
        "10001 .local/bin/claude",
        "10001 .claude/.credentials/session.json",
        "/home/agent/.local/bin/claude",
    ]


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_an_image_that_keeps_too_much_in_its_home(images: Images, isolation: str, tmp_path: Path) -> None:
    image = images.like_reference({"/home/agent/.cache/model": bytes(5 << 20)})

    status, report, printed = judged(image, tmp_path, *FEW, "--isolation", isolation)

    assert (status, rows(report)) == (0, RIGHT), printed
    assert report["probe"]["home"] == "/.probe-conformance-home"
    assert notes(printed) == ["the image keeps more than 4 MiB in /home/agent: homes lie in /.probe-conformance-home"]


# What a probe sees of its confinement

INSPECT = rb"""#!/usr/bin/env python3
import json, os, sys

status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
mounts = [line.split() for line in open("/proc/self/mounts")]
limits = {}
for name, places in {
    "memory": ("memory/memory.limit_in_bytes", "memory.max"),
    "swap": ("memory/memory.memsw.limit_in_bytes", "memory.swap.max"),
    "pids": ("pids/pids.max", "pids.max"),
}.items():
    for place in places:
        if os.path.exists("/sys/fs/cgroup/" + place):
            limits[name] = open("/sys/fs/cgroup/" + place).read().strip()
print(json.dumps({
    "effective": int(status["CapEff"], 16),
    "bounding": int(status["CapBnd"], 16),
    "no-new-privileges": status["NoNewPrivs"],
    "seccomp": status["Seccomp"],
    "interfaces": sorted(os.listdir("/sys/class/net")),
    "socket": [p for p in ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock") if os.path.exists(p)],
    "user": [os.getuid(), os.getgid()],
    "root": next(m[3] for m in reversed(mounts) if m[1] == "/").split(",")[0],
    "path": os.environ["PATH"],
    "home": os.environ["HOME"],
    "mode": os.environ.get("AGENT_MODE"),
    "arguments": sys.argv[1:],
    "terminal": os.isatty(1),
    "input": sys.stdin.read(),
    "writable": [p for p in ("/tmp", "/var/tmp", "/run", "/dev/shm", "/etc") if os.access(p, os.W_OK)],
    **limits,
}))
"""
NET_RAW = 1 << 13
DEFAULTS = {
    "effective": 0,
    "bounding": 0,
    "no-new-privileges": "1",
    "seccomp": "2",
    "interfaces": ["lo"],
    "socket": [],
    "user": [10001, 10001],
    "home": "/home/agent",
    "mode": "smoke-test",
    "arguments": [],
    "terminal": False,
    "input": "",
    "memory": str(1 << 30),
    "pids": "512",
}


def seen(images: Images, cwd: Path, *arguments: str) -> dict[str, Any]:
    """Return what a probe sees of its surroundings."""
    status, report, printed = judged(
        images.like_reference({"/inspect": INSPECT}), cwd, ONE, "--entrypoint", "/inspect", *arguments
    )
    assert status == 0, printed
    found: dict[str, Any] = json.loads(row(report)["stdout"])
    return found


@pytest.mark.parametrize(("isolation", "root"), [("fresh", "rw"), ("shared", "ro")])
def test_a_container_is_confined(images: Images, isolation: str, root: str, tmp_path: Path) -> None:
    found = seen(images, tmp_path, "--isolation", isolation)

    assert {name: found[name] for name in DEFAULTS} == DEFAULTS
    assert found["root"] == root
    assert found["swap"] in ("0", str(1 << 30))  # swap alone, or together with memory
    assert "/etc" not in found["writable"]
    assert found["path"].startswith("/.probe-conformance/cli:/usr/local/sbin:")


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (("--cap-add", "NET_RAW"), {"bounding": NET_RAW}),  # a plain user has none of them in effect
        (
            ("--cap-add", "NET_RAW", "--user", "0"),
            {"bounding": NET_RAW, "effective": NET_RAW, "user": [0, 0], "home": "/root"},
        ),
        (("--memory", "64m"), {"memory": str(64 << 20)}),
        (("--user", "12345:0"), {"user": [12345, 0], "home": "/.probe-conformance-home"}),
        (("--network", "bridge"), {"interfaces": ["eth0", "lo"]}),
        (("--read-only",), {"root": "ro"}),
    ],
    ids=["cap-add", "cap-add-root", "memory", "user", "network", "read-only"],
)
def test_options_loosen_one_thing_and_no_other(
    images: Images, words: tuple[str, ...], changed: dict[str, Any], isolation: str, tmp_path: Path
) -> None:
    found = seen(images, tmp_path, "--isolation", isolation, *words)

    expected = {**DEFAULTS, **changed}
    assert {name: found[name] for name in expected} == expected
    if "ro" in (found["root"], isolation):
        assert found["writable"] == ["/tmp", "/var/tmp", "/dev/shm"]


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (("--entrypoint", "/inspect"), []),  # as for engines, the image's command goes with its entrypoint
        (("--command", "/inspect a 'b c'"), ["a", "b c"]),
        (("--entrypoint", "/inspect x", "--command", "y '' '$HOME'"), ["x", "y", "", "$HOME"]),
    ],
    ids=["entrypoint", "command", "both"],
)
def test_entrypoint_and_command_take_the_place_of_the_images_own(
    images: Images, words: tuple[str, ...], arguments: list[str], tmp_path: Path
) -> None:
    image = images.like_reference({"/inspect": INSPECT, "/runs": b'#!/bin/sh\nexec "$@"\n'}, entrypoint=["/runs"], cmd=["false"])

    status, report, printed = judged(image, tmp_path, ONE, *words)

    assert status == 0, printed
    assert json.loads(row(report)["stdout"])["arguments"] == arguments


def test_another_path_comes_after_the_stubs(images: Images, tmp_path: Path) -> None:
    found = seen(images, tmp_path, "--env", "PATH=/usr/local/bin:/usr/bin:/bin")

    assert found["path"] == "/.probe-conformance/cli:/usr/local/bin:/usr/bin:/bin"


@pytest.mark.parametrize("isolation", ["fresh", "shared"])
def test_with_another_path_the_stubs_are_found_first(reference_image: str, isolation: str, tmp_path: Path) -> None:
    words = ("--env", "PATH=/usr/local/bin:/usr/bin:/bin", "--isolation", isolation)

    status, report, printed = judged(reference_image, tmp_path, *FEW, *words)

    assert (status, rows(report)) == (0, RIGHT), printed
