"""What tests are made of: scenarios, entries of a HOME, outcomes of a probe, and small helpers.

A test names only what it is about; everything else has a default here. What a type looks like
inside is known to this file alone, so that a change of the model changes one file of the tests.
"""

from __future__ import annotations

import functools
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from json import dumps as _dumps
from pathlib import Path
from typing import Any

import pytest

from conformance.bundled import fixtures_dir
from conformance.catalogue import catalogue
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.login import USUAL_URL, good_login_around
from conformance.drivers.container.request import ImageFacts
from conformance.errors import ConformanceError
from conformance.home import remove
from conformance.model.login import Login, Write
from conformance.model.login_seen import CliSeen, LoginSeen, RequestSeen
from conformance.model.outcome import (
    Broke,
    Execution,
    Exited,
    Finding,
    FindingKind,
    Killed,
    Outcome,
    Result,
    ScenarioResult,
    TimedOut,
    Unsupported,
)
from conformance.model.scenario import Bytes, Content, Entry, EntryKind, Json, Runs, Scenario, Text

#: Far more seconds than anything takes that a test waits for; a test that needs them has failed.
PATIENCE = 60.0

#: The names of the bundled layers.
LAYERS = sorted(path.stem for path in (fixtures_dir() / "layers").glob("*.toml"))

_ABSENT: Any = object()


# Images


def image_facts(**fields: Any) -> ImageFacts:
    """Return what is known of an image that has nothing special."""
    usual: dict[str, Any] = {
        "id": "sha256:0",
        "digest": "",
        "engine": "docker 1",
        "platform": "linux/amd64",
        "entrypoint": ("/entrypoint",),
        "command": (),
        "environment": {"PATH": "/bin"},
        "directory": "/",
        "user": "",
        "uid": 0,
        "gid": 0,
        "home": "/root",
    }
    return ImageFacts(**usual | fields)


# Scenarios


def scenario(
    *entries: Entry,
    id_: str = "a/b",
    agent: str = "claude",
    expect: Iterable[str] | Mapping[str, tuple[str, ...]] = ("ready",),
    **fields: Any,
) -> Scenario:
    """Return a scenario; verdicts in *expect* hold under ``slot`` and ``preflight`` alike."""
    if not isinstance(expect, Mapping):
        verdicts = tuple(expect)
        expect = {"slot": verdicts, "preflight": verdicts}
    defaults = {
        "file": f"{id_}.toml",
        "summary": "some rule",
        "origin": "some report",
        "control": {"": "some/control"},
        "entries": entries,
    }
    values: dict[str, Any] = {**defaults, **fields}
    return Scenario(id=id_, agent=agent, expect=dict(expect), **values)


def entry(
    path: str,
    kind: EntryKind = "file",
    *,
    text: str | None = None,
    data: bytes | None = None,
    json: Any = _ABSENT,
    runs: tuple[tuple[str, int], ...] = (),
    **fields: Any,
) -> Entry:
    """Return one line of a HOME, with at most one kind of content; ``json=None`` is a JSON null."""
    content: Content | None = Runs(runs) if runs else None
    if text is not None:
        content = Text(text)
    elif data is not None:
        content = Bytes(data)
    elif json is not _ABSENT:
        content = Json(json)
    return Entry(path=path, kind=kind, content=content, **fields)


def good_login(*writes: Entry) -> Login:
    """Return a login in which the CLI writes these entries after the code, by default its credentials."""
    return good_login_around((Write(entries=writes or (file(".claude/.credentials.json", "{}"),)),))


def login_seen(**fields: Any) -> LoginSeen:
    """Return what is seen of a good login, in which the token is ``t`` and the code ``op-c0de-1``."""
    return LoginSeen(**{**_LOGIN_SEEN, **fields})


def request_seen(name: str, body: Any = None, **fields: Any) -> RequestSeen:
    """Return a request to the Manager as a program rightly makes it: ``url``, ``code`` or ``complete``."""
    values: dict[str, Any] = {
        "at": 0.1,
        "method": "GET" if name == "code" else "POST",
        "path": f"/slots/slot-7/auth-init/{name}",
        "token": "t",
        "body": b"" if body is None else _dumps(body).encode(),
        "status": 204,
    }
    return RequestSeen(**{**values, **fields})


_LOGIN_SEEN: dict[str, Any] = {
    "requests": (
        request_seen("url", {"url": USUAL_URL}),
        request_seen("code"),
        request_seen(
            "complete",
            {"agent": "claude", "artifacts": [".credentials.json"], "completed_at": "now"},
        ),
    ),
    "cli": (CliSeen(arguments="", terminal=True, token=False, read=("op-c0de-1",)),),
    "slot": "slot-7",
    "token": "t",
}


def text_of(found: Entry) -> str | None:
    """Return the text that a file of a HOME holds; None where it holds something else."""
    return found.content.text if isinstance(found.content, Text) else None


def json_of(found: Entry) -> Any:
    """Return the JSON value that a file of a HOME holds."""
    assert isinstance(found.content, Json)
    return found.content.value


def file(path: str, text: str = "", **fields: Any) -> Entry:
    """Return a file of a HOME with this text."""
    return entry(path, text=text, **fields)


def directory(path: str, **fields: Any) -> Entry:
    """Return a directory of a HOME."""
    return entry(path, "directory", **fields)


def symlink(path: str, target: str, **fields: Any) -> Entry:
    """Return a symbolic link of a HOME."""
    return entry(path, "symlink", target=target, **fields)


@functools.cache
def bundled_catalogue() -> Catalogue:
    """Return the bundled catalogue, read once for each process."""
    return catalogue.load_catalogue()


# Outcomes: how a probe ended, and what else was seen of it


def exited(code: int, **fields: Any) -> Outcome:
    """Return the outcome of a probe that ended by itself."""
    return Outcome(ending=Exited(code), **fields)


def killed(number: int, **fields: Any) -> Outcome:
    """Return the outcome of a probe that a signal ended."""
    return Outcome(ending=Killed(int(number)), **fields)


def timed_out(**fields: Any) -> Outcome:
    """Return the outcome of a probe that did not end in time."""
    return Outcome(ending=TimedOut(), **fields)


def broke(reason: str, **fields: Any) -> Outcome:
    """Return the outcome of an execution that the suite could not carry out."""
    return Outcome(ending=Broke(reason), **fields)


def unsupported(reason: str, **fields: Any) -> Outcome:
    """Return the outcome of a scenario whose condition does not hold here."""
    return Outcome(ending=Unsupported(reason), **fields)


def ending(outcome: Outcome) -> str:
    """Return how a probe ended, and nothing else that was seen of it: ``exited 65``.

    Others are ``killed 9``, ``timed out``, ``broke: REASON`` and ``unsupported: REASON``.
    """
    match outcome.ending:
        case Exited(code):
            return f"exited {code}"
        case Killed(number):
            return f"killed {number}"
        case TimedOut():
            return "timed out"
        case Broke(reason):
            return f"broke: {reason}"
        case Unsupported(reason):
            return f"unsupported: {reason}"


def ran(outcome: Outcome, **fields: Any) -> Execution:
    """Return an execution that came to *outcome*."""
    return Execution(outcome=outcome, **fields)


def result(
    id_: str = "a/b",
    kind: Result = "conforms",
    *kinds: FindingKind,
    **fields: Any,
) -> ScenarioResult:
    """Return the judgement of a scenario that expects ``ready``, with findings of these *kinds*."""
    values: dict[str, Any] = {"agent": "claude", "expected": ("ready",), "control": "some/control"}
    if kinds:
        values["findings"] = tuple(Finding(kind=each, message="some message") for each in kinds)
    return ScenarioResult(id=id_, result=kind, **{**values, **fields})


# Refusals, files, and waiting


def refusals(
    error: type[ConformanceError],
    call: Callable[..., object],
    *arguments: Any,
    **keywords: Any,
) -> list[str]:
    """Return the lines of the *error* that a call ends with; fail if it does not."""
    with pytest.raises(error) as caught:
        call(*arguments, **keywords)
    return caught.value.lines()


def refusal(
    error: type[ConformanceError],
    call: Callable[..., object],
    *arguments: Any,
    **keywords: Any,
) -> str:
    """Return the one line of the *error* that a call ends with."""
    [line] = refusals(error, call, *arguments, **keywords)
    return line


def written(path: Path, text: str, mode: int = 0o644) -> Path:
    """Write a file, and the directories above it; *text* may be indented as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    path.chmod(mode)
    return path


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    """Write a file that can be executed."""
    return written(path, text, 0o755)


def clear(tmp_path: Path) -> Iterator[None]:
    """Remove at the end what a test has built: pytest cannot remove a thousand levels.

    For use as a fixture: ``cleared = pytest.fixture(clear, autouse=True)``.
    """
    yield
    remove(tmp_path)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Return what *condition* returns as soon as it is true; fail when it does not come true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"no {what} within {seconds:g} s")
        time.sleep(0.01)
    return found
