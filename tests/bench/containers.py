"""What a scenario costs inside an image, side by side with other ways to run the same probe on the same homes.

    python tests/bench/containers.py IMAGE [--rounds 3]

IMAGE is the reference image. It needs the docker command line; bats and pytest-testinfra are measured where they are
installed. Prints figures and asserts nothing. All ways take turns; what counts is the ratio of their medians.

The others get their homes ready-made, and do nothing but start the probe and compare its exit code. What the suite pays once per
run (looking the image up, starting workers) is shown apart: time per scenario is what 40 more of them cost.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.home import Node, build, plan, remove, write_tar
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

CONTRACT = contracts.load("slot")
UID = 10001
MORE = 5
FLAGS = [
    "--network",
    "none",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--memory",
    "1g",
    "--pids-limit",
    "512",
]


def main() -> None:
    """Run all ways in turns, and print what they cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ordinary = [
        s
        for s in load_catalogue().in_contract(CONTRACT)
        if not (s.takes_long or s.container or s.unset) and s.cli == "healthy"
    ]
    heavy = {
        "claude/artifact-huge",
        "codex/large",
        "claude/socket-only",
        "codex/socket",
        "expiry/socket",
    }
    chosen = [
        s for s in ordinary if s.id not in heavy and len(s.expected(CONTRACT)) == 1
    ]  # the others compare one code
    chosen = chosen[:: len(chosen) // 40][:40]
    with Ways(options.image, chosen) as ways:
        results: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for name, way in ways.all().items():
                results.setdefault(name, []).append(way())
        show(results, len(chosen))


def show(results: dict[str, list[float]], count: int) -> None:
    """Print milliseconds per scenario, and the ratio to a ``docker run`` each."""
    once = {name: statistics.median(times) for name, times in results.items()}
    print(f"{count} scenarios, medians of {len(next(iter(results.values())))} rounds")
    each: dict[str, float] = {}
    for name, seconds in once.items():
        if name.endswith(f" x{MORE}"):
            base = name.removesuffix(f" x{MORE}")
            each[base] = (seconds - once[base]) / (MORE - 1) / count
            print(
                f"  {base}: whole command {once[base]:.2f} s, of which once per run {once[base] - each[base] * count:.2f} s"
            )
        elif f"{name} x{MORE}" not in once:
            each[name] = seconds / count
    floor = each["(a) docker run each, two at a time"]
    loop = each["shell loop in one container, two at a time"]
    for name, seconds in sorted(each.items(), key=lambda pair: pair[1]):
        ratios = f"{floor / seconds:6.2f} x as fast as (a)  {seconds / loop:6.2f} x the loop"
        print(f"{seconds * 1000:8.1f} ms a scenario  {ratios}  {name}")


class Ways:
    """Ready-made homes, and every way to run the probe in them."""

    def __init__(self, image: str, chosen: list[Scenario]) -> None:
        self.image = image
        self.chosen = chosen
        self.place = Path(tempfile.mkdtemp(dir=Path.cwd(), prefix=".bench-"))
        self.container = ""
        self.tests = self.place / "tests"

    def __enter__(self) -> Ways:
        self.tests.mkdir()
        nodes: list[Node] = []
        for n, scenario in enumerate(self.chosen):
            context = Context(
                now=time.time(), seed="bench", scenario=scenario.id, home=f"/homes/{n}"
            )
            wanted = plan(scenario.entries, context)
            mine = [replace(node, owner=UID) for node in wanted]
            build(mine, self.place / str(n))
            os.chown(self.place / str(n), UID, UID)
            nodes.append(Node(path=f"homes/{n}".encode(), kind="directory", mode=0o700, owner=UID))
            nodes += [replace(node, path=f"homes/{n}/".encode() + node.path) for node in mine]
        stream = io.BytesIO()
        write_tar(nodes, stream, uid=UID, gid=UID)
        started = [
            "docker",
            "run",
            "-d",
            "--init",
            *FLAGS,
            "--entrypoint",
            "sleep",
            self.image,
            "100000",
        ]
        self.container = subprocess.run(
            started, check=True, capture_output=True, text=True
        ).stdout.strip()
        subprocess.run(
            ["docker", "cp", "-", f"{self.container}:/"],
            input=stream.getvalue(),
            check=True,
            capture_output=True,
        )
        self._write_bats()
        self._write_testinfra()
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["docker", "rm", "-f", self.container], check=False, capture_output=True)
        remove(self.place)

    def all(self) -> dict[str, Callable[[], float]]:
        """Return each way by its name; each returns how long it took, in seconds."""
        ways: dict[str, Callable[[], float]] = {}
        for isolation in ("shared", "fresh"):
            for repeat in (1, MORE):
                name = f"{isolation}, two workers" + (f" x{MORE}" if repeat > 1 else "")
                ways[name] = lambda isolation=isolation, repeat=repeat: self._suite(
                    isolation, repeat
                )  # type: ignore[misc]
        ways["(a) docker run each, two at a time"] = self._docker_run
        if shutil.which("bats"):
            ways["(b) bats, docker run each"] = lambda: timed(
                ["bats", str(self.tests / "probe.bats")]
            )
        if importlib.util.find_spec("testinfra"):
            pytest = [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-c",
                os.devnull,
            ]
            command = [
                *pytest,
                f"--hosts=docker://{self.container}",
                str(self.tests / "test_probe.py"),
            ]
            ways["(c) pytest-testinfra, one container"] = lambda: timed(command)
        ways["shell loop in one container, two at a time"] = self._loop
        return ways

    def _suite(self, isolation: str, repeat: int) -> float:
        command = [
            sys.executable,
            "-m",
            "conformance",
            "run",
            "--image",
            self.image,
            "--isolation",
            isolation,
            "-n",
            "2",
        ]
        return timed(
            [*command, "--repeat", str(repeat), *(scenario.id for scenario in self.chosen)]
        )

    def _code(self, scenario: Scenario) -> int:
        return CONTRACT.verdict(scenario.expected(CONTRACT)[0]).codes[0]

    def _run(self, n: int) -> list[str]:
        mount = ["--user", str(UID), "--volume", f"{self.place / str(n)}:/home/agent"]
        return [
            "docker",
            "run",
            "--rm",
            *FLAGS,
            *mount,
            *self._variables(n, "/home/agent"),
            self.image,
        ]

    def _variables(self, n: int, home: str) -> list[str]:
        agent = self.chosen[n].env.get("WOVED_TASK_AGENT", self.chosen[n].agent)
        pairs = {"AGENT_MODE": "smoke-test", "HOME": home, "WOVED_TASK_AGENT": agent}
        return [word for name, value in pairs.items() for word in ("--env", f"{name}={value}")]

    def _docker_run(self) -> float:
        lines = "\n".join(
            f"{shlex.join(self._run(n))} </dev/null >/dev/null 2>&1 || true"
            for n in range(len(self.chosen))
        )
        return timed(["xargs", "-P2", "-d", "\\n", "-n1", "sh", "-c"], text=f"{lines}\n")

    def _loop(self) -> float:
        """Run the same entrypoint in a loop of a shell, half of the homes each."""
        started = time.perf_counter()
        halves = []
        for half in (0, 1):
            lines = []
            for n in range(half, len(self.chosen), 2):
                pairs = [word for word in self._variables(n, f"/homes/{n}") if word != "--env"]
                lines.append(
                    f"env {shlex.join(pairs)} /opt/conformance/entrypoint.sh </dev/null >/dev/null 2>&1"
                )
            command = ["docker", "exec", "-i", "--user", str(UID), self.container, "sh"]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
            assert process.stdin is not None
            process.stdin.write("\n".join(lines) + "\n")
            process.stdin.close()
            halves.append(process)
        for process in halves:
            process.wait()
        return time.perf_counter() - started

    def _write_bats(self) -> None:
        cases = []
        for n, scenario in enumerate(self.chosen):
            cases.append(
                f'@test "{scenario.id}" {{\n  run {shlex.join(self._run(n))}\n  [ "$status" -eq {self._code(scenario)} ]\n}}\n'
            )
        (self.tests / "probe.bats").write_text("\n".join(cases))

    def _write_testinfra(self) -> None:
        rows = []
        for n, scenario in enumerate(self.chosen):
            pairs = [word for word in self._variables(n, f"/homes/{n}") if word != "--env"]
            rows.append(
                (
                    scenario.id,
                    f"env {shlex.join(pairs)} /opt/conformance/entrypoint.sh",
                    self._code(scenario),
                )
            )
        text = f"import pytest\n\n@pytest.mark.parametrize(('name', 'command', 'code'), {rows!r})\n"
        (self.tests / "test_probe.py").write_text(
            f"{text}def test_probe(host, name, command, code):\n    assert host.run(command).rc == code\n"
        )


def timed(command: list[str], *, text: str = "", cwd: str | None = None) -> float:
    """Return how long *command* takes, in seconds; what it prints is of no interest, but that it fails is."""
    started = time.perf_counter()
    done = subprocess.run(command, input=text, cwd=cwd, capture_output=True, text=True, check=False)
    took = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{shlex.join(command)[:300]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took


if __name__ == "__main__":
    main()
