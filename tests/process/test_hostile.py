"""Probes that look where they must not, on machines that have what they look for, as root and as a plain user.

Each is started by hand first, to show that it does get there.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import machine
import pytest
from factories import program, written
from support import NOBODY, ROOT
from support_cli import PACKAGE_ROOT

pytestmark = pytest.mark.slow

#: Where the system finds programs.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """A machine whose caller has a home with logins, and real CLIs on the system's PATH."""

    def __init__(self, place: Path, uid: int | None) -> None:
        self.place, self._uid = place, uid
        self.real_clis = "/usr/local/sbin"
        """Where it has real CLIs, and nothing else."""
        self.real = place / "real"
        self._python = sys.executable if uid is None else _python_for_all()
        written(self.real / ".claude" / ".credentials.json", '{"claudeAiOauth": {}}')
        written(self.real / ".claude.json", "{}")
        written(self.real / ".codex" / "auth.json", "{}")
        program(place / "bin" / "launcher", "#!/bin/sh\nexit 0\n")
        (place / "bin" / "claude").symlink_to("launcher")
        program(place / "bin" / "codex", "#!/bin/sh\nexit 0\n")
        for directory in ("work", "empty", "cache"):
            (place / directory).mkdir()
        own = os.getuid() if uid is None else uid
        entry = f"someone:x:{own}:{own}::{self.real}:/bin/sh\n"
        lines = Path("/etc/passwd").read_text().splitlines(keepends=True)
        others = [line for line in lines if line.split(":")[2:3] != [str(own)]]
        written(place / "passwd", entry + "".join(others))
        if uid is not None:
            for path in (place, *place.rglob("*")):
                os.chown(path, uid, uid, follow_symlinks=False)

    def probe(self, text: str) -> str:
        """Write a probe; return its path."""
        return str(program(self.place / "work" / "probe", f"#!/bin/sh\n{text}\n"))

    def started(self, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Start a command on this machine."""
        wanted = {
            "binds": {"/etc/passwd": f"{self.place}/passwd", self.real_clis: f"{self.place}/bin"},
            "uid": self._uid,
            "argv": argv,
            "env": {"PATH": SYSTEM_PATH, **env},
        }
        done = subprocess.run(
            [sys.executable, "-I", machine.__file__, json.dumps(wanted)],
            check=False,
            cwd=self.place / "work",
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode == machine.NOT_ALLOWED:
            pytest.skip(done.stderr.strip())
        return done

    def reached(self, probe: str) -> bool:
        """Return whether the *probe* gets where it should not, without the suite, in an empty home."""
        return self.started(probe, HOME=f"{self.place}/empty").returncode == 0

    def report(self, probe: str, *ids: str) -> dict[str, Any]:
        """Return the report over the *probe*; its rows are by id."""
        file = self.place / "cache" / "report.json"
        places = [PACKAGE_ROOT, *(place for place in sys.path if place.endswith("-packages"))]
        env = {
            "HOME": str(self.real),
            "XDG_CACHE_HOME": f"{self.place}/cache",
            "PYTHONPATH": os.pathsep.join(places),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        run = ("-m", "conformance", "run", "-n", "0", "--json", str(file), "--probe", probe)
        done = self.started(self._python, *run, *ids, **env)
        assert file.exists(), done.stderr
        report: dict[str, Any] = json.loads(file.read_text())
        report["rows"] = {row["id"]: row for row in report["scenarios"]}
        return report


def _python_for_all() -> str:
    """Return a Python of this version that everybody may start."""
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    # The first start is with rights that are gone afterwards, so it starts itself again.
    again = "subprocess.run([sys.executable, '-c', ''], check=True)"
    version = (
        f"import subprocess, sys; {again}; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    )
    for python in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run([*as_nobody, python, "-c", version], check=False, capture_output=True)
        if done.returncode == 0:
            return python
    pytest.skip("no Python of this version that other users may start")


@pytest.fixture(params=["caller", "plain user"])
def somewhere(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Return a machine for whoever runs the tests, and one for a plain user."""
    if request.param == "plain user" and not (ROOT and shutil.which("setpriv")):
        pytest.skip("whoever runs the tests is a plain user, or cannot become one")
    place = Path("/tmp") / f"probe-conformance-{uuid.uuid4().hex}"  # pytest's own are closed
    place.mkdir(0o755)
    try:
        yield Machine(place, NOBODY if request.param == "plain user" else None)
    finally:
        shutil.rmtree(place)


def is_private(report: dict[str, Any]) -> bool:
    """Return whether probes have mounts of their own; if not, make sure that the report says why."""
    said = report["probe"]["temporary_directories"]
    if said == "its own":
        return True
    assert said.startswith("shared: ")
    assert len(said) > len("shared: ")
    return False


@pytest.mark.parametrize("directory", ["/tmp", "/var/tmp", "/dev/shm"])
def test_a_cache_in_a_temporary_directory_is_found_whatever_the_order(
    somewhere: Machine, directory: str
) -> None:
    """It neither comes from the machine nor from another scenario, but from the run before in the same place."""
    cache = Path(directory) / f"cache-{uuid.uuid4().hex}"
    probe = somewhere.probe(f"""
        [ -e {cache} ] && exit "$(cat {cache})"
        test -f "$HOME/.claude/.credentials.json"; code=$(( $? * 65 ))
        echo $code > {cache}
        exit $code
    """)
    earlier = ["surroundings/earlier/claude-logged-in", "surroundings/earlier/claude-logged-out"]
    written(cache, "0\n")
    try:
        assert somewhere.reached(probe)
        report = somewhere.report(
            probe,
            "claude/no-dot-claude",
            "claude/credentials-file",
            "claude/empty-dot-claude",
            *earlier,
        )
        assert cache.read_text() == "0\n"
    finally:
        cache.unlink()

    if not is_private(report):
        assert {row["code"] for row in report["rows"].values()} == {0}
        return
    results = {id_: row["result"] for id_, row in report["rows"].items()}
    assert [id_ for id_, result in results.items() if result != "conforms"] == earlier
    assert [report["rows"][id_]["code"] for id_ in earlier] == [65, 0]


def test_a_cache_beside_the_probe_is_found_too(somewhere: Machine) -> None:
    probe = somewhere.probe("""
        cache=${0%/*}/cache
        [ -e "$cache" ] && exit "$(cat "$cache")"
        test -f "$HOME/.claude/.credentials.json"; code=$(( $? * 65 ))
        echo $code > "$cache"
        exit $code
    """)

    report = somewhere.report(probe, "surroundings/earlier/claude-logged-in")

    assert report["rows"]["surroundings/earlier/claude-logged-in"]["code"] == 65


def test_the_home_in_the_user_database_is_not_the_callers(somewhere: Machine) -> None:
    look = 'home=${HOME-$(getent passwd "$(id -u)" | cut -d: -f6)}; test -s "$home/.claude/.credentials.json" || exit 65'
    probe = somewhere.probe(f"unset HOME; {look}")
    assert somewhere.reached(probe)

    report = somewhere.report(somewhere.probe(look), "environment/home-unset/claude")

    row = report["rows"]["environment/home-unset/claude"]
    if is_private(report):
        assert (row["result"], row["code"]) == ("conforms", 65)
    else:
        assert row["result"] == "unsupported"
        assert str(somewhere.real) in row["reason"]


def test_the_callers_logins_are_out_of_reach_by_their_full_names(somewhere: Machine) -> None:
    real = shlex.quote(str(somewhere.real))
    probe = somewhere.probe(f"""
        for file in .claude/.credentials.json .codex/auth.json .claude.json; do
            if [ -s {real}/$file ]; then echo "$file"; found=yes; fi
        done
        [ -n "$found" ] || exit 65
    """)
    assert somewhere.reached(probe)

    report = somewhere.report(probe, "claude/no-dot-claude")

    row = report["rows"]["claude/no-dot-claude"]
    if is_private(report):
        assert (row["result"], row["stdout"]) == ("conforms", "")


@pytest.mark.parametrize("way", ["another PATH", "a login shell", "the full name"])
def test_a_real_cli_is_out_of_reach_and_its_launcher_is_not(somewhere: Machine, way: str) -> None:
    if way == "a login shell":  # its profile leaves out sbin for a plain user
        somewhere.real_clis = "/usr/local/bin"
        if os.path.realpath(sys.executable).startswith(somewhere.real_clis):
            pytest.skip("Python itself lies where the real CLIs would lie")
    call = {
        "another PATH": f"export PATH={SYSTEM_PATH}; claude --version",
        "a login shell": "sh -lc 'claude --version'",
        "the full name": f"{somewhere.real_clis}/claude --version",
    }[way]
    probe = somewhere.probe(f"{somewhere.real_clis}/launcher || exit 1\n({call}) || exit 64")
    assert somewhere.reached(probe)

    report = somewhere.report(probe, "cli/missing")

    if is_private(report):
        assert report["rows"]["cli/missing"]["code"] == 64
