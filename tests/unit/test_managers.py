"""Managers are asked what they do with each exit code: tables, Python objects and commands."""

from __future__ import annotations

import os
import signal
import textwrap
import time
from pathlib import Path

import pytest
from support import ROOT

from conformance.bundled import fixtures_dir
from conformance.errors import CannotJudge, FileError, UsageError
from conformance.lockstep.managers.answers import CODES, Answers, action_of, code_words
from conformance.lockstep.managers.manager import Manager, open_manager
from conformance.lockstep.managers.programs import CommandManager, PythonManager
from conformance.lockstep.managers.tables import ENDINGS, read_words
from conformance.model.contract import Action

MANAGERS = fixtures_dir() / "managers"
FIRST = (0, 64, 65, 66)
RIGHT = [
    "slot.toml",
    "slot.json",
    "slot.yaml",
    "slot_manager:ACTIONS",
    "slot_manager:action",
    "./slot.sh",
]
KNOWN = [
    Action("accept"),
    Action("escalate"),
    Action("slot-init"),
    Action("re-auth", frozenset({"decision-needed"})),
]


def answers(spec: str, place: Path, directory: Path, **words: Action) -> Answers:
    return open_manager(spec, words, directory).ask(FIRST, place)


def program(file: Path, text: str) -> Path:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("spec", RIGHT)
def test_the_manager_of_the_contract_says_the_same_in_every_form(spec: str, tmp_path: Path) -> None:
    before = sorted(
        MANAGERS.rglob("*")
    )  # in an installed package pip has left its __pycache__ there

    found = answers(spec, tmp_path, MANAGERS)

    said = {0: "accept", 64: "escalate", 65: "slot-init", 66: "re-auth decision-needed"}
    assert {code: str(answer.action) for code, answer in found.by_code.items()} == {
        code: said.get(code, "retry") for code in CODES
    }
    assert (found.twice, found.unsaid, found.lost()) == ((), (), "")
    assert sorted(MANAGERS.rglob("*")) == before


def test_every_exit_code_and_every_death_by_a_signal_is_tried() -> None:
    assert {*range(256), *(-number for number in signal.valid_signals())} <= {*CODES}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("retry", "retry"),
        (" re-auth  b a ", "re-auth a b"),
        ({"action": "re-auth", "labels": ["x"]}, "re-auth x"),
        ({"action": "re-auth"}, "re-auth"),
        (None, "nothing"),
        ("", "nothing"),
        (7, "7 (int), which is no action"),
        ("a\nb", "a\\nb, which is no action"),
        ("x" * 300, "x" * 59 + "…, which is no action"),
        ({"do": "retry"}, "{'do': 'retry'} (dict), which is no action"),
        ({"action": "retry", "labels": "x"}, "retry x"),
        ({"action": "retry", "labels": 7}, "retry, which is no action"),
    ],
)
def test_an_action_is_a_word_with_its_labels(said: object, expected: str) -> None:
    assert action_of(said, {}).words == expected


def test_a_table_in_yaml_may_merge_others_and_its_own_rows_win() -> None:
    text = "usual: &usual {65: a, 66: b}\nmore: &more {66: c, 67: d}\n"
    text += "codes:\n  <<: [*usual, *more]\n  65: own\n"
    rows = ENDINGS[".yaml"]("m.yaml", text)

    assert dict(rows)["codes"] == [(65, "own"), (66, "b"), (67, "d")]


def test_words_of_its_own_stand_for_actions_of_the_contract() -> None:
    words = {"REAUTH": Action("re-auth"), "log them in": Action("slot-init", frozenset({"first"}))}

    assert str(action_of("REAUTH decision-needed", words).action) == "re-auth decision-needed"
    assert str(action_of("log them in", words).action) == "slot-init first"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.json", "[1]", "m.json: holds no table of exit codes; write a table such as {"),
        ("m.json", '{"0": "a"', "m.json: is not JSON: "),
        ("m.json", "[" * 100_000, "m.json: is not JSON: "),
        ("m.json", "{}", 'm.json: no exit code is handled; write a table such as 0 = "accept"'),
        ("m.json", '{"default": "a"}', "m.json: no exit code is handled"),
        (
            "m.json",
            '{"256": "a"}',
            "m.json: 256: '256' is no exit code; write 0 to 255, a negative number",
        ),
        ("m.json", '{"0x41": "a"}', "m.json: 0x41: '0x41' is no exit code"),
        ("m.json", '{"1.5": "a"}', "m.json: 1.5: '1.5' is no exit code"),
        ("m.json", '{"0": 7}', "m.json: 0: 7 (int), which is no action; write a word"),
        ("m.json", '{"0": ""}', "m.json: 0: an empty text, which is no action"),
        ("m.json", '{"0": null}', "m.json: 0: no action; write a word"),
        (
            "m.json",
            '{"0": "a", "default": "b", "default": "c"}',
            "m.json: default: is listed twice",
        ),
        (
            "m.json",
            '{"codes": {"0": "a"}, "1": "b"}',
            "m.json: 1: stands beside 'codes'; only 'default' may",
        ),
        ("m.json", '{"codes": "a"}', "m.json: codes: holds no table of exit codes"),
        ("m.toml", "0 = 'a'\n0 = 'b'", "m.toml: is not TOML: "),
        ("m.yaml", "0: [", "m.yaml: is not YAML: "),
        ("m.yaml", "", "m.yaml: holds no table of exit codes"),
        ("m.yaml", "true: a", "m.yaml: True: 'True' is no exit code"),
        ("m.yaml", "a: &a {b: *a}", "m.yaml: is not YAML: "),
        ("m.yaml", "<<: a\n0: b", "m.yaml: is not YAML: '<<' merges a mapping, or a list of them"),
        (
            "m.yaml",
            "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\n"
            "d: &d [*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]",
            "m.yaml: is not YAML: nested too deeply, or too large",
        ),
        ("m.yaml", "0: !!python/object/apply:os.system [exit]", "m.yaml: "),
    ],
)
def test_a_table_that_is_none_is_one_line(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(FileError) as caught:
        open_manager(name, {}, tmp_path)

    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.json", '{"65": "a", "65": "b", "default": "retry"}'),
        ("m.yaml", '65: a\n"065": b\ndefault: retry'),
        ("m.toml", '65 = "a"\n"065" = "b"\ndefault = "retry"'),
        ("m.toml", 'default = "retry"\n[codes]\n65 = "a"\n"065" = "b"'),
    ],
)
def test_a_code_that_is_handled_twice_is_kept_with_both_actions(
    name: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)

    assert answers(name, tmp_path, tmp_path).twice == ((65, (Action("a"), Action("b"))),)


def test_words_of_its_own_are_read_from_a_table(tmp_path: Path) -> None:
    (tmp_path / "words.toml").write_text('REAUTH = "re-auth decision-needed"\nINIT = "slot-init"')
    (tmp_path / "m.toml").write_text('66 = "REAUTH"')
    words = read_words(tmp_path / "words.toml", KNOWN)

    found = answers("m.toml", tmp_path, tmp_path, **words)

    assert found.action(66) == Action("re-auth", frozenset({"decision-needed"}))
    assert found.unsaid == ("INIT",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'X = "re-uath"',
            "X: 're-uath' is no action of the contract; known: accept, escalate, re-auth, slot-init",
        ),
        ("X = 1", "X: '1 (int), which is no action' is no action of the contract"),
    ],
)
def test_a_word_that_stands_for_nothing_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "words.toml").write_text(text)

    with pytest.raises(FileError) as caught:
        read_words(tmp_path / "words.toml", KNOWN)

    assert f"words.toml: {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "--manager is empty"),
        ("no-such-program", "no manager 'no-such-program'"),
        ("./here", "no manager './here'"),
        ("'a", "--manager cannot be split"),
    ],
)
def test_a_manager_that_is_not_there_is_a_wrong_request(
    spec: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        open_manager(spec, {}, tmp_path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nothere:action", "no module 'nothere'"),
        ("nothere.below:action", "no module 'nothere.below'"),
        ("own:nothing", "module 'own' has no 'nothing'"),
        ("own:NUMBER", "'own:NUMBER' is neither a mapping nor callable"),
    ],
)
def test_a_python_object_that_is_not_there_is_a_wrong_request(
    spec: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text("NUMBER = 7")

    with pytest.raises(UsageError) as caught:
        answers(spec, tmp_path, tmp_path)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import nowhere_to_be_found",
            "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
        ),
        ("raise SystemExit(4)", "SystemExit: 4"),
        ("def x(:", "SyntaxError: "),
        ("import os; os._exit(3)", "it exited 3"),
        ("import os; os.kill(os.getpid(), 9)", "it was killed by signal 9"),
    ],
)
def test_a_module_that_cannot_be_imported_cannot_be_judged(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(text)

    with pytest.raises(CannotJudge) as caught:
        answers("own:action", tmp_path, tmp_path)

    assert "own:action cannot be imported: " + message in str(caught.value)


def test_a_python_object_may_be_an_enumeration_print_and_keep_labels_in_a_set(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.py").write_text(
        textwrap.dedent("""
        import enum, sys

        class Do(enum.Enum):
            ACCEPT = "accept"
            RETRY = enum.auto()

        class Table:
            @staticmethod
            def look(code):
                print("looking", code)
                sys.stdout.flush()
                if code == 66:
                    return {"action": Do.ACCEPT, "labels": {"x"}}
                return Do.RETRY if code else Do.ACCEPT
    """)
    )

    found = answers("own:Table.look", tmp_path, tmp_path)

    assert [str(found.action(code)) for code in (0, 1, 66)] == ["accept", "RETRY", "accept x"]


def patient(spec: str, place: Path, seconds: float) -> Manager:
    kind = PythonManager if ":" in spec else CommandManager
    return kind(spec, {}, place, seconds)


@pytest.mark.parametrize(
    ("text", "code", "sentence", "lost"),
    [
        ("exit 3", 0, "the Manager exited 3: it said nothing on stderr", False),
        ("echo no queue >&2; exit 3", 0, "the Manager exited 3: no queue", False),
        ("exit 0", 0, "the Manager printed nothing", False),
        ("echo; echo", 0, "the Manager printed 2 lines", False),
        ("printf '\\377'", 0, "the Manager does \\xff", False),
        (
            "[ $1 = 65 ] && exec sleep 100; echo a",
            65,
            "the Manager gave no answer within 1 s",
            True,
        ),
        ("[ $1 = 65 ] && kill -9 $$; echo a", 65, "the Manager was killed by signal 9", True),
        (
            "[ $1 = 65 ] && head -c 100000 /dev/zero; echo a",
            65,
            "the Manager printed more than 65536 bytes",
            True,
        ),
        (
            "[ $1 = 65 ] && yes; echo a",
            65,
            "the Manager gave no answer within 1 s, and flooded its output",
            True,
        ),
        (
            "trap '' TERM INT; [ $1 = 65 ] && while :; do :; done; echo a",
            65,
            "the Manager gave no answer within 1 s",
            True,
        ),
        ("cat; echo a", 0, "the Manager does a", False),
    ],
)
@pytest.mark.slow
def test_errors_of_a_manager_are_in_its_answer_at_once(
    text: str, code: int, sentence: str, lost: bool, tmp_path: Path
) -> None:
    program(tmp_path / "m", text)
    started = time.monotonic()

    found = patient("./m", tmp_path, 1).ask(FIRST, tmp_path)

    assert (found.by_code[code].sentence, found.by_code[code].lost) == (sentence, lost)
    assert any(answer.lost for answer in found.by_code.values()) == lost
    assert (
        len(found.by_code) < len(CODES)
    ) == lost  # a Manager that is lost is not asked any further
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import time; time.sleep(100)", "the Manager gave no answer within 2 s"),
        ("import os; os.abort()", f"the Manager was killed by signal {signal.SIGABRT.value}"),
        (
            "import os; os._exit(0)",
            "the Manager ended its process (0) without an answer: it said nothing on stderr",
        ),
        (
            "while True: print('x' * 10000)",
            "the Manager gave no answer within 2 s, and flooded its output",
        ),
    ],
)
@pytest.mark.slow
def test_a_callable_that_does_not_come_back_is_lost_for_that_code(
    text: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(
        f"def action(code):\n    if code == 65:\n        {text}\n    return 'a'"
    )

    found = patient("own:action", tmp_path, 2).ask(FIRST, tmp_path)

    assert {code: answer.sentence for code, answer in found.by_code.items()} == {
        0: "the Manager does a",
        64: "the Manager does a",
        65: sentence,
    }
    assert found.lost() == f"asked for 65, {sentence}"


@pytest.mark.slow
def test_asking_a_manager_leaves_nothing_running_and_reaches_no_network(tmp_path: Path) -> None:
    program(
        tmp_path / "m",
        "(sleep 987654 >/dev/null 2>&1 &) ; ls /sys/class/net >/dev/null; tail -n +3 /proc/net/dev | wc -l",
    )

    found = patient("./m", tmp_path, 5).ask(FIRST, tmp_path)

    commands = [
        path.read_bytes()
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if os.access(path, os.R_OK)
    ]
    assert b"sleep\x00987654\x00" not in commands
    if ROOT:  # a plain user may not be allowed to cut it, and then the report says so
        assert found.by_code[65].words == "1"  # the loopback device alone


def test_negative_codes_name_their_signal() -> None:
    assert [code_words(code) for code in (65, -9, -40)] == ["65", "-9 (SIGKILL)", "-40 (signal 40)"]
