"""Read what a scenario says of a login."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from conformance.bundled import scenarios_dir
from conformance.catalogue.entries import entries_of, merge
from conformance.catalogue.entry_schema import EntryTable
from conformance.catalogue.layers import layer
from conformance.catalogue.login_schema import (
    ActTable,
    LoginAnswerTable,
    LoginTable,
    ManagerTable,
    WriteTable,
)
from conformance.catalogue.surroundings import check_below_home
from conformance.errors import FileError
from conformance.model.contract import Contract
from conformance.model.entry import Entry
from conformance.model.login import (
    Act,
    CloseTerminal,
    End,
    Hang,
    Ignore,
    Login,
    ManagerAnswer,
    Pause,
    Print,
    Prompt,
    Read,
    Remove,
    RequestName,
    Write,
)
from conformance.model.placeholders import check

__all__ = ["USUAL_URL", "WRITABLE", "LoginReader", "good_login_around", "read_login"]

#: The login URL that the CLI shows where a scenario says nothing else; made up, in the form of one
#: that the released CLI shows.
USUAL_URL = (
    "https://claude.ai/oauth/authorize?code=true&client_id=8f2b6c1e-4d3a-4b7f-9a51-6e0c2d7f1b94"
    "&response_type=code&redirect_uri=https%3A%2F%2Fconsole.anthropic.com%2Foauth%2Fcode%2Fcallback"
    "&scope=org%3Acreate_api_key+user%3Aprofile+user%3Ainference"
    "&code_challenge=Zk3vQy8sT1rXw5uNcB7mJh2gLd9aEo4pKi6fVt0xYqM&code_challenge_method=S256"
    "&state=h5Jw2nRk8TzQv4LmXc7PbY1sGd6FaEo9uKi3WtVx0rM"
)
_CODE = "{secret:operator-code}"
_USUAL_SHOWS = [
    ActTable(print=f"Browser didn't open? Use the url below to sign in:\n\n{USUAL_URL}\n\n"),
    ActTable(print="Paste code here if prompted > "),
]
_USUAL_THEN = [
    ActTable(read=_CODE),
    ActTable(write=WriteTable(include=["claude-login"])),
    ActTable(print="\nLogin successful.\n"),
    ActTable(exit=0),
]
#: The keys that say what an act is.
_ACTS = (
    *("print", "pause", "prompt", "read", "write", "remove"),
    *("close_terminal", "ignore", "hang", "exit", "signal"),
)
_USUAL_ANSWERS: dict[RequestName, LoginAnswerTable] = {
    "url": LoginAnswerTable(),
    "code": LoginAnswerTable(code=_CODE),
    "complete": LoginAnswerTable(),
}
#: The kinds of entries that a shell can write.
WRITABLE = ("file", "directory", "symlink", "fifo")


class LoginReader(Struct, frozen=True, kw_only=True):
    """What is known of the scenario around its login."""

    file: str
    root: Path
    contracts: tuple[Contract, ...]
    """Those that the scenario names under ``expect``."""


def read_login(table: LoginTable | UnsetType, reader: LoginReader) -> Login | None:
    """Return the login that *table* describes, or a good one where a contract asks for one.

    :raises FileError: names the key that is wrong.
    """
    about = [contract for contract in reader.contracts if contract.requests is not None]
    if not about and isinstance(table, UnsetType):
        return None
    for contract in reader.contracts:
        if contract.requests is None:
            hint = "name contracts of programs that let somebody log in, such as auth-init"
            cause = f"'{contract.name}' is not about a login"
            raise FileError(reader.file, cause, key=f"expect.{contract.name}", hint=hint)
    if isinstance(table, UnsetType):
        table = LoginTable()
    acts = _acts(table, reader)
    typed = tuple(act.text for act in acts if isinstance(act, Read))
    return Login(
        acts=acts,
        manager=_manager(table.manager, reader),
        refuses=table.manager.refuses,
        urls=_urls(table, reader),
        user_code=table.user_code,
        typed=typed if isinstance(table.typed, UnsetType) else _checked(table.typed, reader),
    )


def good_login_around(writes: tuple[Act, ...]) -> Login:
    """Return a good login in which the CLI, after the code, writes what *writes* say."""
    reader = LoginReader(file="", root=scenarios_dir(), contracts=())
    table = LoginTable()
    shows = _part(_USUAL_SHOWS, reader, "")
    return Login(
        acts=(*shows, Read(_CODE), *writes, End()),
        manager=_manager(table.manager, reader),
        urls=(USUAL_URL,),
        typed=(_CODE,),
    )


def _urls(table: LoginTable, reader: LoginReader) -> tuple[str, ...]:
    if not isinstance(table.urls, UnsetType):
        return tuple(table.urls)
    if not isinstance(table.shows, UnsetType):
        hint = "list them, or write [] where none is to be handed over"
        cause = "needed, because it says what the CLI shows"
        raise FileError(reader.file, cause, key="login.urls", hint=hint)
    return (USUAL_URL,)


def _checked(texts: Sequence[str], reader: LoginReader) -> tuple[str, ...]:
    for text in texts:
        if wrong := check(text):
            raise FileError(reader.file, wrong, key="login.typed")
    return tuple(texts)


def _acts(table: LoginTable, reader: LoginReader) -> tuple[Act, ...]:
    """Return the acts of both parts; the second is left out where the first comes to an end."""
    shows = _USUAL_SHOWS if isinstance(table.shows, UnsetType) else table.shows
    then = _USUAL_THEN if isinstance(table.then, UnsetType) else table.then
    first = _part(shows, reader, "login.shows")
    second = _part(then, reader, "login.then")
    acts = first if first and isinstance(first[-1], End | Hang) else (*first, *second)
    if not acts or not isinstance(acts[-1], End | Hang):
        hint = "end it with exit, signal or hang"
        raise FileError(reader.file, "the CLI does not come to an end", key="login", hint=hint)
    return acts


def _part(tables: Sequence[ActTable], reader: LoginReader, key: str) -> tuple[Act, ...]:
    acts: list[Act] = []
    for number, table in enumerate(tables):
        here = f"{key}.{number}"
        if acts and isinstance(acts[-1], End | Hang):
            raise FileError(reader.file, "comes after the CLI's end", key=here)
        acts.append(_act(table, reader, here))
    return tuple(acts)


def _act(table: ActTable, reader: LoginReader, key: str) -> Act:
    given = [name for name in _ACTS if not isinstance(getattr(table, name), UnsetType)]
    if len(given) != 1:
        cause = f"{' and '.join(given)} exclude each other" if given else "does nothing"
        raise FileError(reader.file, cause, key=key, hint=f"give one of {', '.join(_ACTS)}")
    kind = given[0]
    if not isinstance(table.times, UnsetType) and kind != "print":
        raise FileError(reader.file, "belongs beside print", key=f"{key}.times")
    return _MAKERS[kind](table, reader, f"{key}.{kind}")


def _print(table: ActTable, reader: LoginReader, key: str) -> Act:
    assert not isinstance(table.print, UnsetType)
    times = 1 if isinstance(table.times, UnsetType) else table.times
    return Print(content=_content(table.print, reader, key), times=times)


def _content(value: str | EntryTable, reader: LoginReader, key: str) -> Entry:
    above, _, name = key.rpartition(".")
    (entry,) = merge([entries_of({name: value}, name=reader.file, table=above)], name=reader.file)
    if entry.kind != "file" or entry.content is None:
        hint = "write it as for a file: text, hex, base64, json or runs"
        raise FileError(reader.file, "is no text to print", key=key, hint=hint)
    return entry


def _text(name: str, make: Callable[[str], Act]) -> _Maker:
    """Return what makes an act of the one text that the key *name* has."""

    def made(table: ActTable, reader: LoginReader, key: str) -> Act:
        text: str = getattr(table, name)
        if wrong := check(text):
            raise FileError(reader.file, wrong, key=key)
        return make(text)

    return made


def _write(table: ActTable, reader: LoginReader, key: str) -> Act:
    assert isinstance(table.write, WriteTable)
    wanted = table.write
    layers = [layer(name, name=reader.file, root=reader.root) for name in wanted.include]
    own = entries_of(wanted.files, name=reader.file, table=f"{key}.files")
    entries = merge([*layers, own], name=reader.file)
    if not entries:
        raise FileError(reader.file, "writes nothing", key=key)
    for entry in entries:
        if entry.kind not in WRITABLE or entry.owner is not None:
            hint = f"leave the owner out, and write one of {', '.join(WRITABLE)}"
            cause = "is nothing that a CLI can write"
            raise FileError(reader.file, cause, key=f"{key}.files.{entry.path}", hint=hint)
    return Write(entries=entries, same_mtime=wanted.same_mtime)


def _remove(table: ActTable, reader: LoginReader, key: str) -> Act:
    assert isinstance(table.remove, str)
    check_below_home(table.remove, reader.file, key)
    return Remove(table.remove)


def _ignore(table: ActTable, reader: LoginReader, key: str) -> Act:
    assert not isinstance(table.ignore, UnsetType)
    for name in table.ignore:
        _check_signal(name, reader, key)
    return Ignore(signals=tuple(table.ignore))


def _signal(table: ActTable, reader: LoginReader, key: str) -> Act:
    assert isinstance(table.signal, str)
    _check_signal(table.signal, reader, key)
    return End(signal=table.signal)


def _check_signal(name: str, reader: LoginReader, key: str) -> None:
    if name not in signal.Signals.__members__:
        hint = "write it as the manual does, such as SIGKILL"
        raise FileError(reader.file, f"unknown name '{name}'", key=key, hint=hint)


def _pause(table: ActTable, *_: object) -> Act:
    assert isinstance(table.pause, float)
    return Pause(seconds=table.pause)


def _exit(table: ActTable, *_: object) -> Act:
    assert isinstance(table.exit, int)
    return End(code=table.exit)


_Maker = Callable[[ActTable, LoginReader, str], Act]
_MAKERS: Mapping[str, _Maker] = {
    "print": _print,
    "pause": _pause,
    "prompt": _text("prompt", Prompt),
    "read": _text("read", Read),
    "write": _write,
    "remove": _remove,
    "close_terminal": lambda *_: CloseTerminal(),
    "ignore": _ignore,
    "hang": lambda *_: Hang(),
    "exit": _exit,
    "signal": _signal,
}


def _manager(
    table: ManagerTable, reader: LoginReader
) -> dict[RequestName, tuple[ManagerAnswer, ...]]:
    found: dict[RequestName, tuple[ManagerAnswer, ...]] = {}
    for name, usual in _USUAL_ANSWERS.items():
        given = getattr(table, name)
        answers: list[LoginAnswerTable] = [usual] if isinstance(given, UnsetType) else given
        found[name] = tuple(
            _answer(answer, reader, f"login.manager.{name}.{number}")
            for number, answer in enumerate(answers)
        )
    return found


def _answer(table: LoginAnswerTable, reader: LoginReader, key: str) -> ManagerAnswer:
    bodies = [name for name in ("code", "json", "text") if getattr(table, name) is not UNSET]
    if len(bodies) > 1:
        raise FileError(reader.file, f"{' and '.join(bodies)} exclude each other", key=key)
    redirect = _given(table.redirect, "")
    status = 307 if redirect else (200 if bodies else 204)
    body = None
    if "json" in bodies:
        body = _content(EntryTable(json=table.json), reader, f"{key}.json")
    elif isinstance(table.text, str):
        body = _content(table.text, reader, f"{key}.text")
    code = _given(table.code, None)
    if isinstance(code, str) and (wrong := check(code)):
        raise FileError(reader.file, wrong, key=f"{key}.code")
    return ManagerAnswer(
        status=_given(table.status, status),
        body=body,
        code=None if code == "{null}" else code,
        code_null=code == "{null}",
        redirect=redirect,
        delay=_given(table.delay, 0.0),
        fails=_given(table.fails, ""),
        after_urls=_given(table.after_urls, 0),
    )


def _given(value: Any, otherwise: Any) -> Any:
    """Return *value*, or what stands for it where the file says nothing."""
    return otherwise if isinstance(value, UnsetType) else value
