"""Answers for the agent's CLI, without starting anything."""

from __future__ import annotations

import errno
import math
import os
import shlex
import signal
import stat
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from pyfakefs.fake_file import FakeFile

from conformance.drivers.asked import questions
from conformance.drivers.in_process.escapes import Escapes
from conformance.drivers.in_process.processes import Process, ProcessTable
from conformance.home import plan
from conformance.home.fake import FakeFiles
from conformance.home.fake_system import EXECUTE, may, path_of
from conformance.model.agent import Answer, named
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Entry

__all__ = ["FakeCli"]

#: What a shell answers where a program is not there, or cannot be started.
_NOT_FOUND, _NOT_STARTED = 127, 126
#: The most of a question that is kept, as stubs keep it.
_QUESTION = 200

#: Of the real file system, whatever stands in its place while a gate runs.
_really_executable = os.access


class FakeCli:
    """Knows which program lies where on PATH, and what each does when it is started.

    *programs* are the paths of the stubs, without links, and what they answer. *names* are those
    that a CLI may have: a program of another name is the machine's own, and to start it is an
    escape.
    """

    def __init__(
        self,
        files: FakeFiles,
        programs: Mapping[str, tuple[Answer, ...]],
        *,
        names: frozenset[str],
        table: ProcessTable,
        escapes: Escapes,
        context: Context,
    ) -> None:
        self.table = table
        self.escapes = escapes
        self._files = files
        self._programs = programs
        self._names = names
        self._context = context
        self._asked: list[str] = []

    @property
    def asked(self) -> tuple[str, ...]:
        """What programs were asked other than for their version, as stubs keep it."""
        return questions("\n".join(self._asked).encode("utf-8", "surrogateescape"))

    def start(
        self,
        argv: Sequence[Any],
        env: Mapping[str, str],
        *,
        executable: Any = None,
        group: int | None = None,
        piped: frozenset[str] = frozenset(),
        directory: Any = None,
    ) -> Process:
        """Return the process that *argv* comes to; *group* is None for a group of its own.

        *piped* are the streams that the gate may read. *directory* is where it is to start.

        :raises OSError: what exec answers.
        :raises Escape: it is no CLI.
        """
        words = [os.fsdecode(word) for word in argv]
        wanted = os.fsdecode(executable) if executable is not None else words[0]
        path, answers = self._found(wanted, env, directory)
        name = os.path.basename(path)
        answer = self._answer(answers, name, words)
        if answer.error:
            number = getattr(errno, answer.error)
            raise OSError(number, os.strerror(number), wanted)
        return self._run(answer, path, words, env, group, piped)

    def start_in_shell(self, command: Any, env: Mapping[str, str], **how: Any) -> Process | int:
        """Return the process that a shell starts for *command*, or the status of its failure.

        :raises Escape: it is more than one call of a CLI.
        """
        text = os.fsdecode(command)
        words = self._plain(text)
        if not words or os.path.basename(words[0]) not in self._names:
            self.escapes.refuse(f"starts a shell for {text!r}")
        try:
            return self.start(words, env, **how)
        except OSError as e:
            if e.errno == errno.ENOEXEC:  # a shell then reads it as a script
                path, answers = self._found(words[0], env, None, in_shell=True)
                answer = replace(self._answer(answers, os.path.basename(path), words), error="")
                return self._run(answer, path, words, env, how.get("group"), frozenset())
            missing = e.errno in (errno.ENOENT, errno.ENOTDIR) and not self._lies(words[0], env)
            return _NOT_FOUND if missing else _NOT_STARTED

    def _plain(self, command: str) -> list[str]:
        """Return the words of a *command* that needs no shell; empty if it does."""
        if set(command) & set("|;`$(){}*?[]~\\\n!#"):
            return []
        lexer = shlex.shlex(command, posix=True, punctuation_chars="<>&")
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            return []
        return _without_redirections(words)

    def _lies(self, name: str, env: Mapping[str, str]) -> bool:
        return any(self._files.filesystem.exists(place, True) for place in _places(name, env))

    def _found(
        self, wanted: str, env: Mapping[str, str], directory: Any, *, in_shell: bool = False
    ) -> tuple[str, tuple[Answer, ...]]:
        """Return where the program *wanted* lies, and its answers; look for it as exec does.

        :raises OSError: there is none, or it may not be executed.
        """
        if directory is not None and not self._files.filesystem.isdir(directory):
            number = errno.ENOTDIR if self._files.filesystem.exists(directory) else errno.ENOENT
            raise OSError(number, os.strerror(number), directory)
        saved: OSError | None = None
        last: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), wanted)
        for place in _places(wanted, env):
            try:
                return self._loadable(place, wanted, in_shell=in_shell)
            except (FileNotFoundError, NotADirectoryError) as e:
                last = e
            except OSError as e:
                saved = saved or e
        if saved is None and os.path.basename(wanted) not in self._names:
            self._refuse_real(wanted, env)
        error = saved or last
        raise OSError(error.errno, error.strerror, wanted)

    def _refuse_real(self, wanted: str, env: Mapping[str, str]) -> None:
        """Refuse to start a program that the machine has.

        :raises Escape: it has one of that name.
        """
        for place in _places(wanted, env):
            if _really_executable(place, os.X_OK):
                self.escapes.refuse(f"starts {wanted!r}")

    def _loadable(
        self, place: str, wanted: str, *, in_shell: bool
    ) -> tuple[str, tuple[Answer, ...]]:
        """Return *place* and its answers, if exec tries no other place.

        :raises OSError: what exec answers for this place.
        """
        file: FakeFile = self._files.filesystem.find(place)
        if not stat.S_ISREG(file.st_mode) or not may(file, EXECUTE):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), wanted)
        answers = self._programs.get(path_of(file))
        if answers is None:
            self.escapes.refuse(f"starts {wanted!r}, which is no CLI")
        refused = {answer.error for answer in answers}
        if "" not in refused and not in_shell:
            number = getattr(errno, min(refused))
            raise OSError(number, os.strerror(number), wanted)
        return place, answers

    def _answer(self, answers: Sequence[Answer], name: str, words: Sequence[str]) -> Answer:
        for answer in answers:
            if answer.fits(name, words[1:]):
                return answer
        return self.escapes.refuse(f"asks {' '.join([name, *words[1:]])!r}, which has no answer")

    def _run(
        self,
        answer: Answer,
        path: str,
        words: Sequence[str],
        env: Mapping[str, str],
        group: int | None,
        piped: frozenset[str],
    ) -> Process:
        name = os.path.basename(path)
        if answer.asked:
            self._asked.append(f"{' '.join([name, *words[1:]])}"[:_QUESTION])
        self._write(answer.writes, name, env)
        now = self.table.timeline.passed
        seconds = float(expand(answer.seconds, self._context))
        child_seconds = seconds if answer.child_seconds is None else answer.child_seconds
        pid = self.table.new_pid()
        process = Process(
            pid=pid,
            group=pid if group is None else group,
            since=now,
            ends_at=now + seconds if math.isfinite(seconds) else math.inf,
            status=-getattr(signal, answer.signal) if answer.signal else answer.code,
            words=expand(answer.becomes, self._context)
            or f"/bin/sh {' '.join([path, *words[1:]])}",
            stdout=self._printed(answer.stdout),
            stderr=self._printed(answer.stderr),
            child=expand(answer.child, self._context),
            child_ends_at=now + child_seconds,
            ignores=frozenset(getattr(signal, name) for name in answer.ignores),
            piped={*piped},
        )
        self.table.add(process)
        return process

    def _printed(self, entry: Entry | None) -> bytes:
        if entry is None:
            return b""
        [node] = plan([entry], self._context)
        return b"".join(node.chunks())

    def _write(self, entries: Sequence[Entry], name: str, env: Mapping[str, str]) -> None:
        home = env.get("HOME", "")
        if entries and home:
            self._files.add(plan(named(entries, name), self._context), home)


def _places(wanted: str, env: Mapping[str, str]) -> list[str]:
    """Return where exec looks for a program of this name, in its order."""
    if "/" in wanted:
        return [wanted]
    path = env.get("PATH")
    parts = os.defpath.split(os.pathsep) if path is None else path.split(os.pathsep)
    return [os.path.join(part, wanted) if part else wanted for part in parts]


def _without_redirections(words: list[str]) -> list[str]:
    """Return *words* without those that send output away; empty if they do more than that."""
    kept: list[str] = []
    rest = words[::-1]
    while rest:
        word = rest.pop()
        if word in (">", "<", ">>", "&>", ">&"):
            if kept and kept[-1] in ("1", "2"):
                kept.pop()
            if not rest or rest.pop() not in ("/dev/null", "1", "2"):
                return []
        elif set(word) <= set("<>&"):
            return []
        else:
            kept.append(word)
    return kept
