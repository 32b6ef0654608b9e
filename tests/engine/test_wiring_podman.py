"""A second witness for the model of the kubelet: podman 5 plays manifests, and takes startup probes as they stand.

Older releases leave a startupProbe out. podman's own limit of time does not end a probe, so only
exit codes are compared; it restarts the container in which the kubelet would.
"""

from __future__ import annotations

import io
import re
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.wiring.kubelet import Answer, ProbeTimes, events

ARGV = ["/probe", "two words", "--flag=$HOME"]
MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 0
  containers:
    - name: agent
      image: localhost/{name}:1
      command: [/bin/sleep, "1000"]
      startupProbe:
        exec: {{command: {argv}}}
        timeoutSeconds: 20
        periodSeconds: 600
        failureThreshold: 3
"""
PROBE = """\
#!/bin/sh
for word; do echo "$word"; done > /argv
read code < /answer
exit "$code"
"""


class Podman:
    """One Pod, made from a manifest."""

    def __init__(self, program: str, name: str) -> None:
        self._program = program
        self.name = name
        self.container = f"{name}-agent"

    def run(
        self, *words: str, stdin: bytes = b"", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self._program, *words], input=stdin, capture_output=True, timeout=60, check=False
        )
        text = subprocess.CompletedProcess(
            words, done.returncode, done.stdout.decode(), done.stderr.decode()
        )
        assert not check or text.returncode == 0, text.stderr
        return text

    def started_at(self) -> str:
        return self.run(
            "inspect", "--format", "{{.State.StartedAt}}", self.container
        ).stdout.strip()

    def health(self) -> str:
        return self.run(
            "inspect", "--format", "{{.State.Health.Status}}", self.container
        ).stdout.strip()

    def ask(self, code: int) -> None:
        """Let the probe exit with *code*, once."""
        self.run("exec", self.container, "sh", "-c", f"echo {code} > /answer")
        self.run("healthcheck", "run", self.container, check=False)


def image() -> bytes:
    """Return a file system with a shell and the probe as a tar archive."""
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in (("bin/busybox", busybox), ("probe", PROBE.encode())):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        for name in ("sh", "sleep", "cat"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return stream.getvalue()


@pytest.fixture
def podman() -> Iterator[Podman]:
    program = shutil.which("podman")
    if program is None:
        pytest.skip("no podman here, which would be the second witness")
    said = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout
    version = re.search(r"(\d+)\.\d+", said)
    if version is None or int(version[1]) < 5:
        pytest.skip(
            f"{said.strip() or 'podman'} leaves startup probes out; 5 is the first that has them"
        )
    if shutil.which("busybox") is None:
        pytest.skip("no busybox to make an image of")
    name = f"witness-{secrets.token_hex(4)}"
    pod = Podman(program, name)
    manifest = MANIFEST.format(name=name, argv=ARGV).encode()
    if pod.run("import", "-", f"localhost/{name}:1", stdin=image(), check=False).returncode:
        pytest.skip("podman makes no image here")
    try:
        played = pod.run("kube", "play", "-", stdin=manifest, check=False)
        if played.returncode:
            pytest.skip(f"podman starts no container here: {played.stderr.strip()[-200:]}")
        yield pod
    finally:
        pod.run("kube", "down", "--force", "-", stdin=manifest, check=False)
        pod.run("rmi", "--force", f"localhost/{name}:1", check=False)


@pytest.mark.parametrize("codes", [[0], [65, 65, 0], [1, 65, 66]], ids=str)
def test_podman_decides_as_the_model_does(podman: Podman, codes: list[int]) -> None:
    """Equal results in a row decide, whatever the numbers: started, or a new container."""
    at_first = podman.started_at()
    for event in events(ProbeTimes(timeout=20), [Answer(code) for code in codes]):
        podman.ask(codes[event.number - 1])
        restarted = podman.started_at() != at_first

        assert restarted == event.worker.on_hold, event
        if event.worker.state is None:
            assert podman.health() == "starting"
        elif event.worker.state == "success":
            assert podman.health() == "healthy"
    assert event.number == len(codes)
    if not restarted:
        assert podman.run("exec", podman.container, "cat", "/argv").stdout.splitlines() == ARGV[1:]
