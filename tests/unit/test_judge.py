"""The judge: what was seen, held against what the contract calls for."""

from __future__ import annotations

import itertools
import random
import signal
import time
from typing import Any

import pytest
from factories import broke, entry, exited, killed, ran, scenario, timed_out, unsupported
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.judge.judge import judge
from conformance.model.outcome import Execution, Finding, Outcome, ScenarioResult
from conformance.model.scenario import Scenario

SLOT = contracts.bundled()["slot"]
PREFLIGHT = contracts.bundled()["preflight"]
SECRETS = {"{secret}": "canary-0123456789abcdef", "{secret:refresh}": "canary-fedcba9876543210"}


MISSING = scenario(id_="some/id", expect=["creds-missing"])
OPEN = scenario(id_="some/id", expect=["ready", "creds-invalid"])


def judged(one: Scenario, *executions: Execution, contract: Any = SLOT) -> ScenarioResult:
    return judge(one, contract, executions, SECRETS)


def findings(one: Scenario, *executions: Execution, contract: Any = SLOT) -> list[tuple[str, str]]:
    return [
        (finding.kind, finding.message)
        for finding in judged(one, *executions, contract=contract).findings
    ]


# Answers


def test_the_expected_code_conforms() -> None:
    result = judged(
        MISSING,
        ran(exited(65, seconds=0.25, stdout=b"nobody has logged in\n", stderr=b"a warning\n")),
    )
    assert result == ScenarioResult(
        id="some/id",
        agent="claude",
        expected=("creds-missing",),
        code=65,
        verdict="creds-missing",
        result="conforms",
        seconds=0.25,
        control="some/control",
        stdout="nobody has logged in\n",
        stderr="a warning\n",
    )


@pytest.mark.parametrize(
    ("one", "execution", "kind", "message"),
    [
        (MISSING, ran(exited(0)), "wrong-verdict", "expected creds-missing (65), got ready (0)"),
        (
            MISSING,
            ran(exited(64)),
            "wrong-verdict",
            "expected creds-missing (65), got cli-broken (64)",
        ),
        (
            MISSING,
            ran(exited(66)),
            "wrong-verdict",
            "expected creds-missing (65), got creds-invalid (66)",
        ),
        (
            OPEN,
            ran(exited(65)),
            "wrong-verdict",
            "expected ready (0) or creds-invalid (66), got creds-missing (65)",
        ),
        (
            MISSING,
            ran(exited(1)),
            "outside-contract",
            "expected creds-missing (65), got exit code 1, which is none of 0, 64, 65, 66",
        ),
        (
            MISSING,
            ran(exited(127)),
            "outside-contract",
            "expected creds-missing (65), got exit code 127, which is none of 0, 64, 65, 66",
        ),
        (
            MISSING,
            ran(exited(255)),
            "outside-contract",
            "expected creds-missing (65), got exit code 255, which is none of 0, 64, 65, 66",
        ),
        (
            OPEN,
            ran(exited(2)),
            "outside-contract",
            "expected ready (0) or creds-invalid (66), got exit code 2, which is none of 0, 64, 65, 66",
        ),
        (
            MISSING,
            ran(timed_out()),
            "timed-out",
            "expected creds-missing (65), got no answer within 15 s",
        ),
        (
            OPEN,
            ran(timed_out()),
            "timed-out",
            "expected ready (0) or creds-invalid (66), got no answer within 15 s",
        ),
        (
            MISSING,
            ran(killed(9)),
            "killed-by-signal",
            "expected creds-missing (65), got killed by SIGKILL",
        ),
        (
            MISSING,
            ran(killed(11)),
            "killed-by-signal",
            "expected creds-missing (65), got killed by SIGSEGV",
        ),
        (
            MISSING,
            ran(killed(40)),
            "killed-by-signal",
            "expected creds-missing (65), got killed by signal 40",
        ),
        (
            MISSING,
            ran(killed(0)),
            "killed-by-signal",
            "expected creds-missing (65), got killed by signal 0",
        ),
        (
            MISSING,
            ran(exited(65), changes=("added x (file)",)),
            "changed-home",
            "the probe changed the HOME: added x (file)",
        ),
        (
            MISSING,
            ran(exited(65), changes=tuple("abcdefg")),
            "changed-home",
            "the probe changed the HOME: a; b; c; d; e and 2 more",
        ),
        (
            MISSING,
            ran(exited(65, left=("sleep 1000",))),
            "left-process",
            "still running after the probe had ended: sleep 1000",
        ),
        (
            MISSING,
            ran(exited(65, left=tuple("abcdef"))),
            "left-process",
            "still running after the probe had ended: a; b; c; d; e and 1 more",
        ),
        (
            MISSING,
            ran(exited(65, stdout=b"token canary-0123456789abcdef")),
            "leaked-secret",
            "the credential {secret} stands on stdout, plain",
        ),
        (
            MISSING,
            ran(exited(65, stderr=b"canary-fedcba9876543210".hex().encode())),
            "leaked-secret",
            "the credential {secret:refresh} stands on stderr, in hexadecimal",
        ),
        (
            MISSING,
            ran(exited(65, stderr=b"Traceback (most recent call last):\n")),
            "crashed",
            "a traceback on stderr: the probe fell over, whatever its exit code",
        ),
    ],
)
def test_each_deviation_has_its_finding(
    one: Scenario, execution: Execution, kind: str, message: str
) -> None:
    result = judged(one, execution)
    assert result.result == "deviates"
    assert [(finding.kind, finding.message) for finding in result.findings] == [(kind, message)]


@pytest.mark.parametrize("code", [0, 66])
def test_each_answer_conforms_when_the_contract_leaves_a_point_open(code: int) -> None:
    result = judged(OPEN, ran(exited(code)))
    assert (result.result, result.verdict, result.findings) == (
        "conforms",
        SLOT.verdicts_of(code)[0],
        (),
    )


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (0, "ready"),
        (64, "cli-broken"),
        (65, "creds-missing"),
        (66, "creds-invalid"),
        (1, None),
        (137, None),
    ],
)
def test_a_verdict_is_what_the_contract_calls_the_code(code: int, verdict: str | None) -> None:
    result = judged(MISSING, ran(exited(code)))
    assert (result.code, result.verdict) == (code, verdict)


@pytest.mark.parametrize("execution", [ran(timed_out()), ran(killed(9))])
def test_a_probe_without_an_answer_has_neither_code_nor_verdict(execution: Execution) -> None:
    result = judged(MISSING, execution)
    assert (result.code, result.verdict) == (None, None)


def test_one_execution_may_deviate_in_many_ways() -> None:
    execution = ran(
        exited(
            1,
            stdout=b"canary-0123456789abcdef",
            stderr=b"Traceback (most recent call last):\ncanary-0123456789abcdef canary-fedcba9876543210",
            left=("sleep",),
        ),
        changes=("removed x",),
    )
    assert [kind for kind, _ in findings(MISSING, execution)] == [
        "outside-contract",
        "crashed",
        "changed-home",
        "leaked-secret",
        "leaked-secret",
        "leaked-secret",
        "left-process",
    ]


def test_other_findings_are_judged_even_without_an_answer() -> None:
    execution = ran(
        timed_out(left=("sleep",), stdout=b"canary-0123456789abcdef"), changes=("removed x",)
    )
    assert [kind for kind, _ in findings(MISSING, execution)] == [
        "timed-out",
        "changed-home",
        "leaked-secret",
        "left-process",
    ]


def test_what_changed_in_the_home_is_kept_and_what_is_new_comes_last() -> None:
    """Of thousands of new files a hundred tell what they are, and hide nothing else."""
    new = [f"added .cache/{number:04} (file, mode 0644, 1 bytes)" for number in range(1000)]
    lines = (*new, "changed .claude/mine: other content", "removed x (file, mode 0600, 1 bytes)")
    result = judged(MISSING, ran(exited(65)), ran(exited(65), changes=lines))
    assert result.changes == (*lines[-2:], *new[:98])
    assert judged(MISSING, ran(exited(65))).changes == ()


# Codes that several verdicts share


@pytest.mark.parametrize("verdict", ["cli-broken", "creds-missing", "creds-invalid"])
def test_an_expected_verdict_wins_among_those_that_share_its_code(verdict: str) -> None:
    result = judged(scenario(expect=[verdict]), ran(exited(1)), contract=PREFLIGHT)
    assert (result.result, result.verdict, result.findings) == ("conforms", verdict, ())


def test_all_verdicts_that_share_an_unexpected_code_are_named() -> None:
    result = judged(scenario(), ran(exited(1)), contract=PREFLIGHT)
    shared = "cli-broken (1) or creds-missing (1) or creds-invalid (1)"
    assert result.verdict == "cli-broken or creds-missing or creds-invalid"
    assert [finding.message for finding in result.findings] == [f"expected ready (0), got {shared}"]


def test_a_table_names_each_code_once() -> None:
    one = scenario(expect=["creds-missing"])
    assert findings(one, ran(exited(65)), contract=PREFLIGHT) == [
        ("outside-contract", "expected creds-missing (1), got exit code 65, which is none of 0, 1")
    ]


# Runtimes that fell over

PYTHON = """\
Traceback (most recent call last):
  File "/usr/local/bin/smoke-test", line 3, in <module>
    open("x")
FileNotFoundError: [Errno 2] No such file or directory: 'x'
"""
PYTHON_GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/tmp/probe.py", line 1, in <module>
  | ExceptionGroup: x (1 sub-exception)
"""
PYTHON_SYNTAX = """\
  File "/tmp/probe.py", line 1
    x ==== (
        ^^
SyntaxError: invalid syntax
"""
NODE = """\
/tmp/probe.js:1
null.x
     ^

TypeError: Cannot read properties of null (reading 'x')
    at Object.<anonymous> (/tmp/probe.js:1:6)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)
    at node:internal/main/run_main_module:28:49
"""
NODE_MODULE = """\
Error: x
    at file:///tmp/probe.mjs:1:7
"""
NODE_INTERNAL = "    at node:internal/main/run_main_module:28:49\n"
NODE_ASYNC = "    at async ModuleLoader.import (node:internal/modules/esm/loader:606:24)\n"
NODE_THROWN = """\
/tmp/probe.js:1
throw "x"
^
x
(Use `node --trace-uncaught ...` to show where the exception was thrown)

Node.js v20.20.2
"""
GO = """\
panic: runtime error: index out of range [1] with length 0

goroutine 1 [running]:
main.main()
\t/tmp/probe.go:5 +0x1d
exit status 2
"""
GO_DEADLOCK = """\
fatal error: all goroutines are asleep - deadlock!

goroutine 1 [chan receive]:
"""
RUST = """
thread 'main' panicked at src/main.rs:1:52:
index out of bounds: the len is 0 but the index is 1
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""
RUST_WITH_ID = """
thread 'main' (10949) panicked at src/main.rs:1:52:
index out of bounds: the len is 0 but the index is 1
"""
RUST_UNNAMED = "thread '<unnamed>' panicked at 'boom', src/main.rs:3:5\n"
JAVA = """\
Exception in thread "main" java.lang.RuntimeException: x
\tat Probe.main(Probe.java:1)
Caused by: java.lang.Exception: y
"""
RUBY = "/usr/local/bin/probe.rb:3:in `<main>': undefined local variable or method `x' for main:Object (NameError)\n"
RUBY_NEW = (
    "probe.rb:1:in 'Integer#/': divided by 0 (ZeroDivisionError)\n\tfrom probe.rb:1:in '<main>'\n"
)
RUBY_EXECUTABLE = "/usr/local/bin/smoke-test:3:in `<main>': unhandled exception\n"

FALLEN = {
    name: text
    for name, text in globals().items()
    if name.split("_")[0] in ("PYTHON", "NODE", "GO", "RUST", "JAVA", "RUBY")
}


@pytest.mark.parametrize("name", FALLEN)
@pytest.mark.parametrize("code", [65, 0, 1])
def test_a_traceback_is_a_crash_whatever_the_exit_code(name: str, code: int) -> None:
    execution = ran(
        exited(code, stderr=b"checking \xff\n" + FALLEN[name].encode() + b"after that\n")
    )
    result = judged(MISSING, execution)
    assert result.result == "deviates"
    assert [kind for kind in result.kinds() if kind == "crashed"] == ["crashed"]


@pytest.mark.parametrize(
    "stderr",
    [
        "",
        "smoke-test: creds-missing: no candidate below /home/agent/.claude\n",
        "warning: the words Traceback (most recent call last): are what Python prints\n",
        "/tmp/probe.py:3: DeprecationWarning: datetime.utcnow() is deprecated\n  datetime.utcnow()\n",
        "(node:123) ExperimentalWarning: The Fetch API is an experimental feature\n(Use `node --trace-warnings ...`)\n",
        "looked at /home/agent/.claude:12:1\n  at 12:30:05 the login was written\n  at most 3 (files)\n",
        "don't panic: all is well\nthe goroutine 1 [is not] here\n",
        "this thread 'main' has not panicked at all\n",
        'No Exception in thread "main"\n',
        "probe.rb:3: warning: assigned but unused variable - x\n",
        "auth.json:1:1: expected value\nauth.json:1:in all cases bad\n",
        "time: 12:30:in 5 minutes\n",
        "WARNING: OpenJDK 64-Bit Server VM warning: sharing is only supported for boot loader classes\n",
        "+ python3 -c 'import sys'\n++ command -v claude\n",
        'Node.js is not installed; File "auth.json", line 3 is bad\n',
        "JSONDecodeError: Expecting value: line 1 column 1 (char 0)\n",
    ],
)
def test_ordinary_warnings_are_no_crash(stderr: str) -> None:
    result = judged(MISSING, ran(exited(65, stderr=stderr.encode())))
    assert (result.result, result.findings) == ("conforms", ())


def test_a_traceback_on_standard_output_is_the_probes_own_affair() -> None:
    assert judged(MISSING, ran(exited(65, stdout=PYTHON.encode()))).result == "conforms"


@pytest.mark.parametrize(
    "unit",
    [
        "\n",
        " \n",
        "\t",
        "  at / ",
        "  at (",
        "at /x:1:",
        ":1",
        "thread '",
        "x.rb:1:",
        'File "',
        " + ",
        "goroutine ",
        "'",
        "\\",
    ],
    ids=repr,
)
@pytest.mark.slow
def test_no_output_takes_long_to_judge(unit: str) -> None:
    """Time grows with the length only: for a whole stream of empty lines it was hours.

    A quarter of what is kept of a stream is enough to tell; the processor's time does not depend
    on what else the machine does.
    """
    for stderr in (
        unit * (2**18 // len(unit)),
        "\n  at " + unit * (2**18 // len(unit)),
        "thread '" + unit * (2**18 // len(unit)),
    ):
        started = time.thread_time()
        assert judged(MISSING, ran(exited(65, stderr=stderr.encode()))).result == "conforms"
        assert time.thread_time() - started < 5


# Repeats


def test_the_same_answer_every_time_is_one_result() -> None:
    result = judged(
        MISSING,
        ran(exited(65, seconds=1.00001)),
        ran(exited(65, seconds=2.00002)),
        ran(exited(65, seconds=0.5)),
    )
    assert (result.result, result.seconds, result.findings) == ("conforms", 3.5, ())


def test_the_same_deviation_every_time_is_one_finding() -> None:
    assert findings(MISSING, ran(exited(66)), ran(exited(66)), ran(exited(66))) == [
        ("wrong-verdict", "expected creds-missing (65), got creds-invalid (66)"),
    ]


def test_unequal_answers_are_a_finding_also_where_each_would_conform() -> None:
    assert findings(OPEN, ran(exited(0)), ran(exited(66)), ran(exited(0))) == [
        ("unsteady", "unequal answers in 3 runs: exit code 0 2 times, exit code 66 1 times")
    ]
    result = judged(OPEN, ran(exited(0)), ran(exited(66)))
    assert (result.result, result.code) == ("deviates", 0)


def test_unequal_answers_are_counted_by_isolation_where_there_are_two() -> None:
    executions = [
        ran(exited(65), isolation="fresh"),
        ran(exited(0), isolation="shared"),
        ran(exited(65), isolation="fresh"),
        ran(exited(65), isolation="shared"),
    ]
    assert findings(MISSING, *executions) == [
        ("wrong-verdict", "expected creds-missing (65), got ready (0)"),
        (
            "unsteady",
            "unequal answers in 4 runs: "
            "exit code 65 2 times in fresh isolation and in shared isolation, exit code 0 in shared isolation",
        ),
    ]


def test_answers_that_differ_between_isolations_deviate_also_where_each_would_conform() -> None:
    assert findings(
        OPEN, ran(exited(0), isolation="fresh"), ran(exited(66), isolation="shared")
    ) == [
        (
            "unsteady",
            "unequal answers in 2 runs: exit code 0 in fresh isolation, exit code 66 in shared isolation",
        )
    ]
    assert (
        findings(OPEN, ran(exited(0), isolation="fresh"), ran(exited(0), isolation="shared")) == []
    )


def test_unequal_answers_come_after_what_is_wrong_with_each() -> None:
    executions = [
        ran(exited(65)),
        ran(exited(0)),
        ran(timed_out()),
        ran(killed(15)),
        ran(exited(0)),
    ]
    assert findings(MISSING, *executions) == [
        ("wrong-verdict", "expected creds-missing (65), got ready (0)"),
        ("timed-out", "expected creds-missing (65), got no answer within 15 s"),
        ("killed-by-signal", "expected creds-missing (65), got killed by SIGTERM"),
        (
            "unsteady",
            "unequal answers in 5 runs: "
            "exit code 65 1 times, exit code 0 2 times, no answer in time 1 times, killed by SIGTERM 1 times",
        ),
    ]


def test_the_run_that_deviated_is_the_one_that_is_shown() -> None:
    result = judged(
        MISSING,
        ran(exited(65, stdout=b"good")),
        ran(exited(66, stdout=b"bad", stderr=b"worse")),
        ran(exited(0, stdout=b"later")),
    )
    assert (result.code, result.verdict, result.stdout, result.stderr) == (
        66,
        "creds-invalid",
        "bad",
        "worse",
    )


def test_unequal_output_with_equal_answers_is_steady() -> None:
    assert findings(MISSING, ran(exited(65, stdout=b"1")), ran(exited(65, stdout=b"2"))) == []


# Outside the HOME


OUTSIDE = tuple(f"added /srv/{n}" for n in range(7))
FORBIDS = replace(SLOT, outside_writes="forbidden")


def test_changes_outside_the_home_are_shown_and_no_finding_unless_the_contract_forbids_them() -> (
    None
):
    assert SLOT.outside_writes != "forbidden"
    result = judged(MISSING, ran(exited(65)), ran(exited(65), outside=OUTSIDE[:2]))
    assert (result.result, result.findings, result.outside) == ("conforms", (), OUTSIDE[:2])


def test_a_contract_that_forbids_changes_outside_the_home_makes_a_finding_of_them() -> None:
    assert findings(MISSING, ran(exited(65), outside=OUTSIDE[:1]), contract=FORBIDS) == [
        ("changed-outside", "the probe changed files outside the HOME: added /srv/0"),
    ]
    assert findings(MISSING, ran(exited(65), outside=OUTSIDE), contract=FORBIDS) == [
        (
            "changed-outside",
            f"the probe changed files outside the HOME: {'; '.join(OUTSIDE[:5])} and 2 more",
        ),
    ]
    assert findings(MISSING, ran(exited(65)), contract=FORBIDS) == []


def test_a_signal_comes_with_its_reason_where_that_is_known() -> None:
    assert findings(MISSING, ran(killed(9, why="out of memory, the limit is 64m"))) == [
        (
            "killed-by-signal",
            "expected creds-missing (65), got killed by SIGKILL: out of memory, the limit is 64m",
        ),
    ]


# What says nothing about the probe


@pytest.mark.parametrize(
    ("outcome", "result", "reason"),
    [
        (broke("no space left"), "broke", "no space left"),
        (unsupported("root reads it anyway"), "unsupported", "root reads it anyway"),
    ],
)
def test_unjudged_executions_never_conform(outcome: Outcome, result: str, reason: str) -> None:
    found = judged(MISSING, Execution(outcome=outcome, changes=("added x",)))
    assert (found.result, found.reason, found.findings) == (result, reason, ())
    assert (found.code, found.verdict, found.expected, found.control) == (
        None,
        None,
        ("creds-missing",),
        "some/control",
    )


def test_one_repetition_that_broke_spoils_all() -> None:
    """Neither the good answers nor the bad ones count."""
    lost, lacking = ran(broke("worker lost")), ran(unsupported("no socket here"))
    for executions in itertools.permutations([ran(exited(65)), ran(exited(0)), lost, lacking]):
        result = judged(MISSING, *executions)
        assert (result.result, result.reason, result.findings) == ("broke", "worker lost", ())
    for executions in itertools.permutations([ran(exited(65)), lacking, ran(killed(9))]):
        result = judged(MISSING, *executions)
        assert (result.result, result.reason, result.findings) == (
            "unsupported",
            "no socket here",
            (),
        )


def test_only_an_exact_code_of_the_table_ever_conforms() -> None:
    """Over all exit codes, signals and expectations: a result conforms if and only if its code is an expected one."""
    ways = (
        [ran(exited(code)) for code in range(256)]
        + [ran(killed(number)) for number in signal.valid_signals()]
        + [ran(timed_out())]
    )
    for contract in (SLOT, PREFLIGHT):
        names = [verdict.name for verdict in contract.verdicts]
        for expected in itertools.chain.from_iterable(
            itertools.combinations(names, size) for size in (1, 2)
        ):
            conforming = contract.codes(expected)
            one = scenario(expect={contract.name: expected})
            found = {
                way.outcome.code
                for way in ways
                if judged(one, way, contract=contract).result == "conforms"
            }
            assert found == conforming


# The row


def test_the_difference_to_the_control_is_told() -> None:
    control = replace(MISSING, id="some/control", entries=(entry("f", text="x"),))
    assert judge(MISSING, SLOT, [ran(exited(0))], SECRETS, control).difference == ('- f: text "x"',)
    assert judge(MISSING, SLOT, [ran(exited(0))], SECRETS).difference == ()
    assert judge(MISSING, SLOT, [ran(broke("x"))], SECRETS, control).difference == (
        '- f: text "x"',
    )


def test_a_control_may_depend_on_the_contract() -> None:
    one = replace(
        MISSING,
        control={"slot": "a", "preflight": "b"},
        expect={"slot": ("ready",), "preflight": ("ready",)},
    )
    assert (
        judged(one, ran(exited(0))).control,
        judged(one, ran(exited(0)), contract=PREFLIGHT).control,
    ) == ("a", "b")


def test_expectations_are_inherited_from_the_contract_that_is_extended() -> None:
    strict = replace(SLOT, name="slot-strict", lineage=("slot-strict", "slot"))
    assert judged(MISSING, ran(exited(65)), contract=strict).expected == ("creds-missing",)
    own = scenario(expect={"slot": ("creds-missing",), "slot-strict": ("ready",)})
    assert findings(own, ran(exited(65)), contract=strict) == [
        ("wrong-verdict", "expected ready (0), got creds-missing (65)")
    ]


def test_time_limits_are_told_as_the_contract_has_them() -> None:
    quick = replace(SLOT, limits=replace(SLOT.limits, seconds=0.5))
    assert findings(MISSING, ran(timed_out()), contract=quick) == [
        ("timed-out", "expected creds-missing (65), got no answer within 0.5 s")
    ]


def test_a_report_carries_an_excerpt_that_is_text() -> None:
    result = judged(
        MISSING, ran(exited(0, stdout=b"\xff\xfe" + b"a" * 5000, stderr="é".encode() * 1_000_000))
    )
    assert result.stdout == "\\xff\\xfe" + "a" * 1992 + "…"
    assert result.stderr == "é" * 2000 + "…"


@pytest.mark.parametrize("length", range(1, 5))
def test_an_excerpt_of_any_bytes_can_be_written_as_utf_8(length: int) -> None:
    data = random.Random(0).randbytes(20_000)
    result = judged(MISSING, ran(exited(0, stdout=data[length:], stderr="😀".encode()[:length])))
    assert result.stdout.encode()
    assert result.stderr.encode()


def test_findings_are_values() -> None:
    [one], [other] = (judged(MISSING, ran(exited(0))).findings for _ in range(2))
    assert (
        one
        == other
        == Finding(
            kind="wrong-verdict",
            message="expected creds-missing (65), got ready (0)",
            rule="always-the-same",
        )
    )
