"""A login in scenarios: how it is read, scripted, answered and judged."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from factories import (
    bundled_catalogue,
    exited,
    file,
    good_login,
    login_seen,
    refusals,
    request_seen,
    scenario,
    written,
)
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.catalogue.login import USUAL_URL
from conformance.catalogue.scenarios import read_scenarios
from conformance.drivers.login.cli_script import CliScript, read_notes
from conformance.drivers.login.manager import ManagerScript, ScriptedManager
from conformance.errors import FileError
from conformance.home import build
from conformance.judge.judge import judge
from conformance.model.login import (
    Act,
    End,
    Hang,
    Login,
    ManagerAnswer,
    Pause,
    Print,
    Read,
    Write,
)
from conformance.model.login_routes import base_path, expected_path, route_of
from conformance.model.login_seen import CliSeen, LoginSeen, RequestSeen
from conformance.model.login_wording import login_against, login_lines
from conformance.model.outcome import Execution
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

CONTRACT = contracts.load("auth-init")
assert CONTRACT.requests is not None
REQUESTS = CONTRACT.requests
CONTEXT = Context(now=1_700_000_000, seed="s", scenario="a/b", home="/home/x")
HEAD = """\
summary = "A case"
origin = "made up: it"
agent = "claude"
control = "auth-init/login/new-file"
[expect]
auth-init = "no-login"
"""


# What a file says


def read(tmp_path: Path, text: str, head: str = HEAD) -> Scenario:
    path = written(tmp_path / "scenarios" / "x" / "case.toml", head + text)
    [found] = read_scenarios(path, tmp_path / "scenarios", bundled_catalogue().contracts)
    return found


def test_what_is_left_out_is_as_in_a_good_login(tmp_path: Path) -> None:
    login = read(tmp_path, "").login

    assert login is not None
    assert [type(act) for act in login.acts] == [Print, Print, Read, Write, Print, End]
    assert login.urls == (USUAL_URL,)
    assert login.typed == ("{secret:operator-code}",)
    assert {name: len(answers) for name, answers in login.manager.items()} == {
        "url": 1,
        "code": 1,
        "complete": 1,
    }
    assert not login.waits


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("[login]\nthen = [{ pause = 0.5 }, { exit = 0 }]", True),
        ("[login]\nthen = [{ hang = true }]", True),
        ("[login.manager]\ncode = [{ status = 404 }]", True),
        ("[login.manager]\nrefuses = true", True),
        ("[login.manager]\nurl = [{ delay = 0.1 }]", True),
        ("[login]\nthen = [{ exit = 3 }]", False),
        ('[login.manager]\ncode = [{ status = 404 }, { code = "x" }]', False),
    ],
)
def test_a_login_in_which_a_right_program_waits_overlaps_others(
    tmp_path: Path, text: str, waits: bool
) -> None:
    assert read(tmp_path, text).waits == waits


def test_a_first_part_that_ends_leaves_the_second_out(tmp_path: Path) -> None:
    login = read(tmp_path, "[login]\nshows = [{ exit = 3 }]\nurls = []").login

    assert login is not None
    assert login.acts == (End(code=3),)
    assert login.code == 3
    assert login.typed == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[login]\nshows = []", "login.urls: needed, because it says what the CLI shows"),
        ("[login]\nthen = [{ pause = 1.0 }]", "login: the CLI does not come to an end"),
        ("[login]\nthen = [{ exit = 1 }, { exit = 1 }]", "login.then.1: comes after the CLI's end"),
        ("[login]\nthen = [{}]", "login.then.0: does nothing; give one of print, pause"),
        (
            "[login]\nthen = [{ exit = 1, hang = true }]",
            "login.then.0: hang and exit exclude each other",
        ),
        ("[login]\nthen = [{ exit = 1, times = 2 }]", "login.then.0.times: belongs beside print"),
        ("[login]\nthen = [{ signal = 'KILL' }]", "login.then.0.signal: unknown name 'KILL'"),
        (
            "[login]\nthen = [{ ignore = ['TERM'] }, { exit = 0 }]",
            "login.then.0.ignore: unknown name 'TERM'",
        ),
        *(
            (
                f"[login]\nthen = [{{ remove = '{path}' }}, {{ exit = 0 }}]",
                f"login.then.0.remove: '{path}' is no path below the HOME",
            )
            for path in ("/etc/x", "../../x")
        ),
        ("[login]\nthen = [{ write = {} }, { exit = 0 }]", "login.then.0.write: writes nothing"),
        (
            "[login]\nthen = [{ write.files.'.claude/s' = { type = 'socket' } }, { exit = 0 }]",
            "login.then.0.write.files..claude/s: is nothing that a CLI can write",
        ),
        (
            "[login]\nthen = [{ print = { size = 4 } }, { exit = 0 }]",
            "login.then.0.print: is no text to print",
        ),
        (
            "[login]\nthen = [{ read = '{sekret}' }, { exit = 0 }]",
            "login.then.0.read: unknown placeholder {sekret}",
        ),
        ("[login]\ntyped = ['{sekret}']", "login.typed: unknown placeholder {sekret}"),
        (
            "[login.manager]\ncode = [{ code = 'x', text = 'y' }]",
            "login.manager.code.0: code and text exclude each other",
        ),
        (
            "[login.manager]\ncode = [{ redirect = 'http://x' }]",
            "login.manager.code.0.redirect: expected string matching regex",
        ),
        ("[login.manager]\ncode = []", "login.manager.code: expected a list of length >= 1"),
        ("[login]\nsays = []", "login.says: unknown key; allowed here: shows, then, manager"),
    ],
)
def test_a_mistake_in_a_login_is_one_line_that_says_where(
    tmp_path: Path, text: str, message: str
) -> None:
    [line] = refusals(FileError, read, tmp_path, text)

    assert message in line


def test_a_login_under_a_contract_of_a_probe_is_refused(tmp_path: Path) -> None:
    head = HEAD.replace("auth-init = ", "slot = ").replace("no-login", "ready")
    [line] = refusals(FileError, read, tmp_path, "[login]\nurls = []", head)

    assert "expect.slot: 'slot' is not about a login" in line


def test_a_scenario_is_part_of_contracts_of_its_kind_alone() -> None:
    either = {"auth-init": ("no-login",), "slot": ("ready",)}
    with_login, without = (scenario(expect=either, login=one) for one in (good_login(), None))

    assert (with_login.expected(CONTRACT), without.expected(CONTRACT)) == (("no-login",), ())
    slot = contracts.load("slot")
    assert (with_login.expected(slot), without.expected(slot)) == ((), ("ready",))


# What a contract says

OWN = """\
name = "own"
version = "1"
summary = "A login of one's own"
agents = ["claude"]
[inputs]
home = "HOME"
slot_id = "SLOT"
manager_url = "URL"
init_token = "TOKEN"
login_timeout = "SECONDS"
[requests]
token_header = "Authorization"
url = { method = "PUT", path = "/v2/{slot}/link", members = { url = "link" } }
code = { method = "POST", path = "/v2/{slot}/answer", members = { code = "answer" } }
complete = { method = "PUT", path = "/v2/{slot}/done" }
[verdicts.yes]
code = 0
meaning = "yes"
action = "go"
[verdicts.no]
code = 9
meaning = "no"
action = "stop"
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('members = { url = "link" }', "members = {}", "requests.url.members.url: missing"),
        ('slot_id = "SLOT"\n', "", "inputs.slot_id: needed: a program that lets somebody log in"),
        ('path = "/v2/{slot}/done"', 'path = "done"', "requests.complete.path: expected string"),
        ('"Authorization"', '"A b"', "requests.token_header: expected string matching regex"),
        ("[requests]", "in_steps = true\n[requests]", "inputs.in_steps: unknown key"),
        (
            'url = "link"',
            'uri = "link"',
            "requests.url.members.uri: unknown; known: url, user_code",
        ),
    ],
)
def test_a_mistake_in_a_contract_is_one_line_that_says_where(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = written(tmp_path / "own.toml", OWN.replace(old, new))
    [line] = refusals(FileError, contracts.load, str(path))

    assert message in line


def test_a_cli_that_fails_has_its_code_among_those_of_the_verdict_that_passes_it_on() -> None:
    here = CONTRACT.with_cli_code(7)

    assert here.verdicts_of(7) == ("no-login",)
    assert CONTRACT.verdicts_of(7) == ()
    assert CONTRACT.with_cli_code(0) is CONTRACT
    assert CONTRACT.with_cli_code(1) is CONTRACT


# Which request it is


@pytest.mark.parametrize(
    ("method", "target", "slot", "base", "name"),
    [
        ("POST", "/slots/slot-7/auth-init/url", "slot-7", "", "url"),
        ("GET", "/slots/slot-7/auth-init/code", "slot-7", "", "code"),
        ("GET", "/slots/slot-7/auth-init/code?wait=1", "slot-7", "", "code"),
        ("POST", "/slots/slot-7/auth-init/code", "slot-7", "", ""),
        ("POST", "/slots/slot%2D7/auth-init/complete", "slot-7", "", "complete"),
        ("GET", "/slots/a%2Fb/auth-init/code", "a/b", "", "code"),
        ("GET", "/slots/a%2fb/auth-init/code", "a/b", "", "code"),
        ("GET", "/slots/a/b/auth-init/code", "a/b", "", ""),
        ("GET", "/slots/a+b/auth-init/code", "a b", "", ""),
        ("GET", "/slots/a%252Fb/auth-init/code", "a%2Fb", "", "code"),
        ("GET", "/slots/a%2Fb/auth-init/code", "a%2Fb", "", ""),
        ("GET", "/slots/pl%C3%A4tze/auth-init/code", "plätze", "", "code"),
        ("GET", "//slots/slot-7/auth-init/code", "slot-7", "", ""),
        ("GET", "/api/slots/slot-7/auth-init/code", "slot-7", "/api", "code"),
        ("GET", "/slots/slot-7/auth-init/code", "slot-7", "/api", ""),
        ("GET", "http://127.0.0.1:9/slots/slot-7/auth-init/code?x", "slot-7", "", "code"),
        ("GET", "http://127.0.0.1:9", "slot-7", "", ""),
    ],
)
def test_a_request_is_known_by_its_method_and_path(
    method: str, target: str, slot: str, base: str, name: str
) -> None:
    assert route_of(REQUESTS, method, target, base, slot) == name


def test_paths_are_shown_with_the_id_quoted() -> None:
    base = base_path("http://h:1/api/v1/")

    assert base == "/api/v1"
    assert expected_path("/s/{slot}/x", base, "a/b ä") == "/api/v1/s/a%2Fb%20%C3%A4/x"


# The scripted CLI


def script(directory: Path, *acts: Act) -> CliScript:
    login = Login(acts=(*acts, End()))
    context = replace(CONTEXT, home=str(directory / "home"))
    made = CliScript(
        login=login,
        agent="claude",
        context=context,
        directory=str(directory / "cli"),
        token="t0ken",
    )
    build(made.nodes(), directory / "cli")
    (directory / "home").mkdir()
    return made


def run_on_a_terminal(
    made: CliScript, typed: bytes = b"", *, raw: bytes = b"", **environment: str
) -> tuple[int, bytes]:
    """Start the CLI on a terminal, type something, and return its exit code and what it printed.

    With *raw*, the terminal is a raw one, and that is typed once the CLI has printed something.
    """
    master, slave = os.openpty()
    if raw:
        tty.setraw(slave)
    process = subprocess.Popen(
        [f"{made.path}/claude"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={"PATH": os.defpath, **environment},
        start_new_session=True,
    )
    os.close(slave)
    limit = threading.Timer(20, process.kill)
    limit.start()
    os.write(master, typed)
    printed = b""
    while True:
        try:
            printed += os.read(master, 65536)
            os.write(master, raw)
            raw = b""
        except OSError:  # it has ended
            break
    os.close(master)
    code = process.wait()
    limit.cancel()
    return code, printed


def test_on_a_raw_terminal_a_line_ends_as_with_the_key(tmp_path: Path) -> None:
    made = script(tmp_path, Print(content=file("x", "code> ")), Read("right"))

    assert run_on_a_terminal(made, raw=b"right\r")[0] == 0


def test_the_cli_prints_reads_and_writes_as_its_script_says(tmp_path: Path) -> None:
    odd = "-%s \\n 'quoted' \x1b[0m ä\n"
    made = script(
        tmp_path,
        Print(content=file("x", odd)),
        Read("right"),
        Write(entries=(file(".claude/a b", "{secret}"), file(".claude/'c'", "", mode=0o644))),
    )

    code, printed = run_on_a_terminal(made, b"wrong\n\nright\n", MINE="t0ken")

    assert code == 0
    assert (
        printed.startswith(odd.replace("\n", "\r\n").encode())
        or odd.replace("\n", "\r\n").encode() in printed
    )
    home = tmp_path / "home" / ".claude"
    assert (home / "a b").read_text() == CONTEXT.secret()
    assert (home / "'c'").stat().st_mode & 0o777 == 0o644
    assert (home / "a b").stat().st_mode & 0o777 == 0o600
    seen = CliSeen(arguments="", terminal=True, token=True, read=("wrong", "right"))
    assert read_notes(Path(made.notes).read_bytes()) == (seen,)
    assert made.writes() == (".claude/'c'", ".claude/a b")


def test_a_file_that_keeps_its_time_is_as_old_as_before_and_another_one_is_as_old_as_it_says(
    tmp_path: Path,
) -> None:
    made = script(
        tmp_path,
        Write(entries=(file("kept", "new"),), same_mtime=True),
        Write(entries=(file("old", "x", mtime="{now-30d}"), file("now", "x"))),
    )
    home = tmp_path / "home"
    (home / "kept").write_text("old")
    os.utime(home / "kept", (1_000_000, 1_000_000))

    assert run_on_a_terminal(made)[0] == 0

    times = {path.name: int(path.stat().st_mtime) for path in home.iterdir()}
    assert times["kept"] == 1_000_000
    assert times["old"] == CONTEXT.now - 30 * 86400
    assert times["now"] > CONTEXT.now
    assert (home / "kept").read_text() == "new"


def test_a_cli_without_a_terminal_gives_up_and_says_so(tmp_path: Path) -> None:
    made = script(tmp_path)
    program = f"{made.path}/claude"

    version = subprocess.run([program, "--version"], capture_output=True, check=True).stdout
    done = subprocess.run([program, "auth", "login"], capture_output=True, check=False)

    assert version.startswith(b"2.")
    assert done.returncode == 1
    assert b"needs a terminal" in done.stderr
    [seen] = read_notes(Path(made.notes).read_bytes())
    assert (seen.arguments, seen.terminal, seen.token) == ("auth login", False, False)


def test_notes_of_several_starts_are_kept_apart() -> None:
    text = b"7 start \n9 start auth login\n9 read b\n7 prompt /login\n7 prompt x y\nrubbish\n8 read z\n"

    assert read_notes(text) == (
        CliSeen(arguments="", terminal=True, token=False, read=("x y",)),
        CliSeen(arguments="auth login", terminal=True, token=False, read=("b",)),
    )


# The scripted Manager


@contextmanager
def manager(login: Login, base: str = "") -> Iterator[tuple[ScriptedManager, int, int]]:
    """Start a Manager; yield it, its port, and the port of the other host."""
    sockets = [socket.socket(), socket.socket()]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    told = ManagerScript(
        login=login,
        requests=REQUESTS,
        context=CONTEXT,
        base=base,
        slot="slot-7",
        token="init-t0ken",
    )
    made = ScriptedManager(told, sockets)
    try:
        yield made, sockets[0].getsockname()[1], sockets[1].getsockname()[1]
    finally:
        made.close()
        for one in sockets:
            one.close()


def ask(
    port: int, method: str, name: str, token: str | None = "init-t0ken", **more: Any
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {} if token is None else {"x-slot-init-token": token}
    try:
        connection.request(method, f"/slots/slot-7/auth-init/{name}", headers=headers, **more)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def answers(**given: tuple[ManagerAnswer, ...]) -> Login:
    return replace(good_login(), manager={**good_login().manager, **given})


def test_the_manager_answers_in_order_and_notes_what_came() -> None:
    login = answers(code=(ManagerAnswer(status=404), ManagerAnswer(status=200, code="c0de")))
    with manager(login) as (made, port, _):
        said = [
            ask(port, "POST", "url", body=b'{"url": "u"}'),
            ask(port, "GET", "code"),
            ask(port, "GET", "code"),
            ask(port, "GET", "code"),
            ask(port, "GET", "code", token=None),
            ask(port, "GET", "other"),
            ask(port, "POST", "complete", body=iter([b"{", b"}"]), encode_chunked=True),
        ]
        seen = made.close()

    assert said == [
        (204, b""),
        (404, b""),
        (200, b'{"code": "c0de"}'),
        (200, b'{"code": "c0de"}'),
        (401, b""),
        (404, b""),
        (204, b""),
    ]
    assert [(one.method, one.path.rpartition("/")[2], one.body, one.token) for one in seen] == [
        ("POST", "url", b'{"url": "u"}', "init-t0ken"),
        ("GET", "code", b"", "init-t0ken"),
        ("GET", "code", b"", "init-t0ken"),
        ("GET", "code", b"", "init-t0ken"),
        ("GET", "code", b"", None),
        ("GET", "other", b"", "init-t0ken"),
        ("POST", "complete", b"{}", "init-t0ken"),
    ]


def test_a_long_body_is_kept_whole_and_what_is_kept_has_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("conformance.drivers.login.manager._KEPT_IN_ALL", 1_500_000)
    with manager(good_login()) as (made, port, _):
        for _ in range(3):
            ask(port, "POST", "complete", body=b"x" * 700_000)
        assert [len(one.body) for one in made.close()] == [700_000, 700_000, 100_000]


def test_a_code_that_counts_after_two_urls_is_not_there_before() -> None:
    login = answers(code=(ManagerAnswer(status=200, code="c", after_urls=2),))
    with manager(login) as (_, port, _):
        said = [ask(port, *words)[0] for words in (("POST", "url"), ("GET", "code")) * 2]

    assert said == [204, 404, 204, 200]


def test_a_request_with_a_blank_in_its_path_is_noted_though_it_is_none() -> None:
    with manager(good_login()) as (made, port, _):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST /slots/slot 7/auth-init/url HTTP/1.1\r\n\r\n")
            assert b" 400 " in connection.recv(4096)
        [seen] = made.close()

    assert (seen.method, seen.path, seen.status) == ("POST", "/slots/slot 7/auth-init/url", 400)


def test_a_redirect_leads_to_the_other_host_which_notes_whether_the_token_came_along() -> None:
    login = answers(code=(ManagerAnswer(status=307, redirect="elsewhere"),))
    with manager(login) as (made, port, other):
        status, _ = ask(port, "GET", "code")
        assert f":{other}" in made.elsewhere
        ask(other, "GET", "code")
        ask(other, "GET", "code", token=None)
        seen = made.close()

    assert status == 307
    assert [(one.elsewhere, one.holds_token) for one in seen] == [
        (False, True),
        (True, True),
        (True, False),
    ]


def test_a_manager_that_gives_no_answer_closes_or_waits_until_the_end() -> None:
    closes = (ManagerAnswer(status=200, fails="closes"), ManagerAnswer(status=200, fails="hangs"))
    with manager(answers(code=closes)) as (made, port, _):
        with pytest.raises(http.client.RemoteDisconnected):
            ask(port, "GET", "code")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=0.2)
        connection.request(
            "GET", "/slots/slot-7/auth-init/code", headers={"X-Slot-Init-Token": "init-t0ken"}
        )
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()
        assert [one.status for one in made.close()] == [0, 0]


def test_nobody_listens_where_the_manager_refuses() -> None:
    with (
        manager(replace(good_login(), refuses=True)) as (_, port, _),
        pytest.raises(ConnectionRefusedError),
    ):
        ask(port, "GET", "code")


# What is held against a program

SECRETS = {"{secret}": "the-whole-secret-of-it", "{secret:operator-code}": "op-c0de-1"}
URL, CODE, COMPLETE = login_seen().requests
DONE = {"agent": "claude", "artifacts": [".credentials.json"], "completed_at": "now"}


def found(
    seen: LoginSeen, code: int = 0, expect: tuple[str, ...] = ("logged-in",), **login: Any
) -> list[tuple[str, str]]:
    """Return the kinds and messages of what is held against a program that has ended with *code*."""
    one = scenario(expect={"auth-init": expect}, login=replace(good_login(), **login))
    execution = Execution(outcome=exited(code), login=seen)
    return [
        (finding.kind, finding.message)
        for finding in judge(one, CONTRACT, [execution], SECRETS).findings
    ]


def test_nothing_is_held_against_a_good_login() -> None:
    assert found(login_seen()) == []


POLLED = (URL, *[request_seen("code", status=404)] * 30, CODE, COMPLETE)
TWICE = (request_seen("url", {"url": USUAL_URL}, status=500), URL, CODE, COMPLETE)


@pytest.mark.parametrize(
    "requests",
    [
        POLLED,
        TWICE,
        (URL, CODE, request_seen("complete", {**DONE, "more": 1, "completed_at": 5.5})),
        (
            URL,
            CODE,
            request_seen(
                "complete", {**DONE, "artifacts": {"new": ["/h/.claude/.credentials.json"]}}
            ),
        ),
        (request_seen("url", {"url": USUAL_URL, "user_code": None}), CODE, COMPLETE),
        (URL, request_seen("code", path="/slots/slot%2D7/auth-init/code?wait=5"), COMPLETE),
        (URL, CODE, COMPLETE, COMPLETE),
        (URL, COMPLETE),
    ],
    ids=[
        "polled",
        "tried-again",
        "more-members",
        "other-form",
        "user-code-null",
        "quoted",
        "said-twice",
        "no-code-needed",
    ],
)
def test_what_is_left_open_is_not_held_against_it(requests: tuple[RequestSeen, ...]) -> None:
    assert found(login_seen(requests=requests)) == []


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ((CODE, COMPLETE), "this login URL was never handed over: https://claude.ai/oauth"),
        (
            (request_seen("url", {"url": USUAL_URL[:40]}), CODE, COMPLETE),
            "only the first 40 of its",
        ),
        (
            (request_seen("url", {"url": f"{USUAL_URL}\x1b[0m"}), CODE, COMPLETE),
            r"'\x1b[0m' follows",
        ),
        ((request_seen("url", {"url": "https://docs"}), CODE, COMPLETE), "got https://docs"),
        ((URL, request_seen("url", {"url": "https://docs"}), CODE, COMPLETE), "no login URL"),
        ((request_seen("url", ["u"]), CODE, COMPLETE), "has no 'url' as a text in a JSON object"),
        (
            (request_seen("url", {"url": USUAL_URL, "user_code": "true"}), CODE, COMPLETE),
            "'user_code'",
        ),
        ((CODE, URL, COMPLETE), "asked for before a login URL had been handed over"),
        ((URL, CODE), "the Manager never heard that somebody has logged in"),
        ((URL, CODE, replace(COMPLETE, token=None)), "without the header X-Slot-Init-Token"),
        ((replace(URL, token="u"), CODE, COMPLETE), "another token in the header"),
        (
            (URL, CODE, COMPLETE, request_seen("health")),
            "is none of POST /slots/slot-7/auth-init/url",
        ),
        ((URL, CODE, request_seen("complete", {**DONE, "artifacts": []})), "has no 'artifacts'"),
        ((URL, CODE, request_seen("complete", {**DONE, "artifacts": ["x"]})), "names nothing that"),
        (
            (URL, CODE, request_seen("complete", {**DONE, "agent": "codex"})),
            "expected claude, got codex",
        ),
        ((URL, CODE, request_seen("complete")), "has no JSON object as its body"),
    ],
)
def test_a_wrong_request_is_named(requests: tuple[RequestSeen, ...], message: str) -> None:
    [(kind, said)] = found(login_seen(requests=requests))

    assert kind == "wrong-request"
    assert message in said


def test_news_of_a_login_that_is_none_are_wrong() -> None:
    [(kind, said)] = found(login_seen(), 1, ("no-login",))

    assert (kind, "nobody has" in said) == ("wrong-request", True)


def test_where_both_are_open_the_exit_code_decides_what_the_manager_has_to_hear() -> None:
    both = ("logged-in", "no-login")
    quiet = login_seen(requests=(URL, CODE))

    assert found(login_seen(), 0, both) == []
    assert found(quiet, 1, both) == []
    assert [kind for kind, _ in found(quiet, 0, both)] == ["wrong-request"]
    assert [kind for kind, _ in found(login_seen(), 1, both)] == ["wrong-request"]
    assert found(login_seen(requests=()), 1, both) == []


@pytest.mark.parametrize(
    ("read", "kinds"),
    [
        (("op-c0de-1",), []),
        ((), []),
        (("op-c0de-1", "op-c0de-1"), ["wrong-input"]),
        (("None",), ["wrong-input"]),
        (("/login", "op-c0de-1"), ["wrong-input"]),
    ],
)
def test_only_the_code_may_be_typed(read: tuple[str, ...], kinds: list[str]) -> None:
    seen = login_seen(cli=(replace(login_seen().cli[0], read=read),))

    assert [kind for kind, _ in found(seen)] == kinds


def test_a_message_shows_no_secret() -> None:
    secret = SECRETS["{secret}"]
    leak = request_seen("complete", {**DONE, "artifacts": [f".credentials.json {secret}"]})
    typed = login_seen().cli[0]
    seen = login_seen(requests=(URL, CODE, leak), cli=(replace(typed, read=(secret,)),))

    messages = dict(found(seen))

    assert messages.keys() == {"leaked-secret", "wrong-input", "wrong-request"}
    assert secret not in str(messages)
    assert "{secret}" in messages["wrong-input"]


def test_a_token_that_goes_elsewhere_and_a_cli_without_a_terminal_are_named() -> None:
    away = replace(CODE, elsewhere=True, holds_token=True)
    cli = CliSeen(arguments="", terminal=False, token=True, read=("op-c0de-1",))

    assert [kind for kind, _ in found(login_seen(cli=(cli,)))] == ["no-terminal", "inherited-token"]
    kinds = [kind for kind, _ in found(login_seen(requests=(URL, away, CODE, COMPLETE)))]
    assert kinds == ["leaked-token"]
    harmless = replace(away, holds_token=False)
    assert found(login_seen(requests=(URL, harmless, CODE, COMPLETE))) == []


def test_the_code_of_a_cli_that_has_failed_conforms_and_another_one_is_advice() -> None:
    acts = (*good_login().acts[:3], End(code=7))
    quiet = login_seen(requests=(URL, CODE))
    one = scenario(expect={"auth-init": ("no-login",)}, login=replace(good_login(), acts=acts))

    def result(code: int) -> tuple[str, list[tuple[str, str]]]:
        judged = judge(one, CONTRACT, [Execution(outcome=exited(code), login=quiet)], SECRETS)
        return judged.result, [(each.kind, each.level) for each in judged.findings]

    assert one.codes(CONTRACT) == {1, 7}
    assert result(7) == ("conforms", [])
    assert result(1) == ("conforms", [("lost-code", "should")])
    assert result(8) == ("deviates", [("outside-contract", "must"), ("lost-code", "should")])


def test_what_happened_is_told_in_order_and_without_secrets() -> None:
    seen = login_seen(requests=POLLED)
    one = scenario(expect={"auth-init": ("logged-in",)}, login=good_login())

    events = judge(one, CONTRACT, [Execution(outcome=exited(0), login=seen)], SECRETS).events

    assert [line.partition(": ")[2][:35] for line in events[:2]] == [
        'POST /slots/slot-7/auth-init/url {"',
        "GET /slots/slot-7/auth-init/code, a",
    ]
    assert events[1].endswith("answered with 404, 30 times")
    assert events[-1] == "the CLI read '{secret:operator-code}'"


def test_a_login_is_shown_and_compared_in_words() -> None:
    slow = replace(good_login(), acts=(Pause(seconds=2), Hang()), refuses=True)
    lines = login_against(scenario(login=slow), scenario(login=good_login()))

    assert "+ the CLI pauses for 2 s" in lines
    assert "- the CLI ends with exit code 0" in lines
    assert "+ nobody listens where the Manager should be" in lines
    assert "to hand over: nothing" in list(login_lines(replace(slow, urls=())))
