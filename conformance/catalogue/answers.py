"""What stubs do when they are started: tables of their files to values."""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Iterable, Iterator, Sequence

from msgspec import UNSET

from conformance.catalogue.cli_schema import AnswerTable
from conformance.catalogue.entries import entries_of
from conformance.catalogue.entry_schema import EntryTable
from conformance.errors import FileError
from conformance.model.agent import Answer
from conformance.model.scenario import Entry

__all__ = ["answers_of"]

#: A number, or a part of the time that the CLI has.
_SECONDS = re.compile(r"\{limit:[0-9]{1,2}(\.[0-9]{1,3})?\}")


def answers_of(tables: Sequence[AnswerTable], *, name: str) -> Iterator[Answer]:
    """Yield the answers that *tables* describe, in their order.

    :raises FileError: one is wrong; *name* is the file it stands in.
    """
    for number, table in enumerate(tables):
        key = f"answers.{number}"
        if isinstance(table.seconds, str) and not _SECONDS.fullmatch(table.seconds):
            hint = "write a number, or a part of the time it has: '{limit:0.3}'"
            raise FileError(name, f"'{table.seconds}' is no time", key=f"{key}.seconds", hint=hint)
        dies = _known(table.signal or "", _signals(), name, f"{key}.signal")
        for ignored in table.ignores:
            _known(ignored, _signals(), name, f"{key}.ignores")
        yield Answer(
            program=table.program or "",
            arguments=tuple(table.arguments),
            code=table.code,
            signal=dies,
            error=_known(table.error or "", errno.errorcode.values(), name, f"{key}.error"),
            stdout=_printed("stdout", table.stdout, name, key),
            stderr=_printed("stderr", table.stderr, name, key),
            seconds=str(table.seconds),
            child=table.child or "",
            child_seconds=None if table.child_seconds is UNSET else table.child_seconds,
            becomes=table.becomes or "",
            ignores=tuple(table.ignores),
            terminal=table.terminal,
            asked=table.asked,
            writes=tuple(entries_of(table.writes, name=name, table=f"{key}.writes", stub=True)),
        )


def _signals() -> Iterable[str]:
    return signal.Signals.__members__


def _known(value: str, known: Iterable[str], name: str, key: str) -> str:
    if value and value not in known:
        hint = "write it as the manual does, such as SIGKILL or ENOEXEC"
        raise FileError(name, f"unknown name '{value}'", key=key, hint=hint)
    return value


def _printed(stream: str, value: str | EntryTable, name: str, key: str) -> Entry | None:
    if value == "":
        return None
    [entry] = entries_of({stream: value}, name=name, table=key, stub=True)
    if entry.kind != "file":
        hint = "write it as for a file: text, hex, base64, json or runs"
        raise FileError(name, "is no text to print", key=f"{key}.{stream}", hint=hint)
    return entry
