"""``subprocess.Popen`` for CLIs that are never started."""

from __future__ import annotations

import signal
import subprocess
from typing import Any

from conformance.drivers.in_process.starter import Starter
from conformance.drivers.in_process.streams import Input, Output, opened

__all__ = ["FakePopen", "popen_for"]


def popen_for(starter: Starter) -> type[FakePopen]:
    """Return the class that stands for ``subprocess.Popen``, which starts what *starter* does."""
    return type("Popen", (FakePopen,), {"starter": starter})


class FakePopen(subprocess.Popen[Any]):
    """A process that was never started; see :class:`subprocess.Popen`.

    A subclass sets :attr:`starter`, as :func:`popen_for` makes one.
    """

    starter: Starter

    def __init__(
        self,
        args: Any,
        bufsize: int = -1,
        executable: Any = None,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        preexec_fn: Any = None,
        close_fds: bool = True,
        shell: bool = False,
        cwd: Any = None,
        env: Any = None,
        universal_newlines: bool | None = None,
        startupinfo: Any = None,
        creationflags: int = 0,
        restore_signals: bool = True,
        start_new_session: bool = False,
        pass_fds: Any = (),
        *,
        text: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        **more: Any,
    ) -> None:
        self.args = args
        self._child_created = False  # so that the end of this object looks for no child
        named = {"executable": executable, "stdout": stdout, "stderr": stderr, "cwd": cwd}
        named |= {"preexec_fn": preexec_fn, "shell": shell, "env": env, "startupinfo": startupinfo}
        self._options = more | named | {"start_new_session": start_new_session}
        self.returncode: int | None = None
        started = self.starter.start(args, self._options)
        if isinstance(started, int):
            started = self.starter.ended_shell(started)
        self._process = started
        self.pid = started.pid
        is_text = bool(text or universal_newlines or encoding or errors)
        self._text = {"encoding": encoding, "errors": errors} if is_text else None
        if stderr == subprocess.STDOUT:
            started.stdout, started.stderr = started.stdout + started.stderr, b""
            started.piped.discard("stderr")
        self._outputs: dict[str, Output] = {}
        self.stdin = self.stdout = self.stderr = None
        refuse = self.starter.cli.escapes.refuse
        if stdin == subprocess.PIPE:
            self.stdin = opened(Input(refuse), self._text, size=bufsize)
        for name, target in (("stdout", stdout), ("stderr", stderr)):
            if target == subprocess.PIPE:
                raw = Output(self.starter.table, started, name, refuse)
                self._outputs[name] = raw
                setattr(self, name, opened(raw, self._text, size=bufsize))
        self.starter.deliver(started, self._options)

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr, self.stdin):
            if stream is not None:
                stream.close()
        self.wait()

    def __del__(self, *_: object) -> None:
        """Leave nothing behind."""

    def poll(self) -> int | None:
        """See :meth:`subprocess.Popen.poll`."""
        if self.returncode is None and self._process.end() <= self.starter.table.timeline.passed:
            self._reap()
        return self.returncode

    def _reap(self) -> None:
        # Where the gate has waited for the number itself, the status is lost.
        self.returncode = 0 if self._process.reaped else self._process.status
        self._process.reaped = True

    def wait(self, timeout: float | None = None) -> int:
        """See :meth:`subprocess.Popen.wait`."""
        if self.returncode is None:
            if not self.starter.table.wait(self.pid, timeout=timeout):
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout)
            self._reap()
        assert self.returncode is not None
        return self.returncode

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:  # noqa: A002 - its name there
        """See :meth:`subprocess.Popen.communicate`."""
        read = frozenset(self._outputs)
        table = self.starter.table
        wait = table.wait_closed if read else table.wait
        if not wait(self.pid, timeout=timeout, read=read):
            assert timeout is not None
            said = [self._said(name) for name in ("stdout", "stderr")]
            raise subprocess.TimeoutExpired(self.args, timeout, *(text or None for text in said))
        self._process.read_all(read)
        self.wait()
        parts = [self._text_of(self._said(name)) for name in ("stdout", "stderr")]
        for stream in (self.stdout, self.stderr, self.stdin):
            if stream is not None:
                stream.close()
        return parts[0], parts[1]

    def _said(self, name: str) -> bytes | None:
        """Return what has been printed and not been read; None where it leads to no pipe."""
        if name not in self._outputs:
            return None
        printed = self._process.end(frozenset(self._outputs)) <= self.starter.table.timeline.passed
        return self._outputs[name].rest() if printed else b""

    def _text_of(self, data: bytes | None) -> Any:
        if data is None or self._text is None:
            return data
        encoding = self._text["encoding"] or "utf-8"
        text = data.decode(encoding, self._text["errors"] or "strict")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def send_signal(self, sig: int) -> None:
        """See :meth:`subprocess.Popen.send_signal`."""
        if self.poll() is None:
            self.starter.kill(self.pid, sig)

    def terminate(self) -> None:
        """See :meth:`subprocess.Popen.terminate`."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """See :meth:`subprocess.Popen.kill`."""
        self.send_signal(signal.SIGKILL)
