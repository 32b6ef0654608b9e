"""Gates that live on: the dialogue with a program, the host of a Python object, and the stories they are told."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import bundled_catalogue, entry
from msgspec.structs import replace
from support import without
from support_cli import suite

from conformance.bundled import fixtures_dir
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.contracts import bundled
from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.gate_command import gate_in_file, parse_gate, sets_clock
from conformance.errors import UsageError
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.placeholders import Context
from conformance.model.scenario import Process, Scenario
from conformance.model.story import (
    ChangeEnvironment,
    Check,
    Claim,
    Counters,
    RunFinished,
    Step,
    Wait,
)
from conformance.run.scenario_runner import ScenarioRunner

GATE = bundled()["gate"]
#: The same with limits in which a gate that hangs does not keep a test waiting.
HASTY = replace(GATE, limits=replace(GATE.limits, seconds=1.0, cli_seconds=0.7))
READY, BROKEN = ("ready",), ("creds-missing",)
CHECK = Step(action=Check(expect=READY))

Run = Callable[..., ScenarioResult]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Return a function that tells a story to a gate: the text of a Python module, or a whole command."""
    made: list[LocalDriver] = []

    def tell(
        gate: str | tuple[str, ...], *steps: Step, contract: Contract = GATE, **fields: Any
    ) -> ScenarioResult:
        directory = tmp_path / f"run-{len(made)}"
        directory.mkdir()
        if isinstance(gate, str):
            file = directory / "some_gate.py"
            file.write_text(textwrap.dedent(gate))
            gate = gate_in_file(str(file))
        driver = LocalDriver(gate, directory, cwd=tmp_path)
        made.append(driver)
        story = Scenario(
            id="some/story",
            file="story.toml",
            summary="some rule",
            origin="some report",
            agent="claude",
            control={"": "some/control"},
            expect={"gate": READY},
            steps=steps or (CHECK,),
            **fields,
        )
        context = Context(now=1_800_000_000, seed="seed")
        runner = ScenarioRunner(driver, Catalogue({}, bundled()), contract, context)
        return runner.run(story)

    yield tell
    for driver in made:
        driver.close()


def program(text: str) -> tuple[str, ...]:
    """Return the command of a gate in shell that answers a line with what *text* prints."""
    return ("/bin/sh", "-c", f"n=0; while read -r line; do n=$((n+1)); {text}; done")


def messages(result: ScenarioResult) -> list[tuple[str, str]]:
    return [(finding.kind, finding.message) for finding in result.findings]


YES = """
class Gate:
    def check(self):
        return True
"""


# Programs


def test_a_program_that_answers_each_line_conforms(run: Run) -> None:
    result = run(program("echo '{\"ready\": true}'"), CHECK, CHECK)

    assert (result.result, result.code, result.verdict) == ("conforms", 0, "ready")
    assert [(step.operation, step.got) for step in result.steps] == [("check", "ready (0)")] * 2


IN_STEP_3 = {
    "no-json": ("echo now", "outside-contract", "got a line that is not JSON: now"),
    "no-object": ("echo [true]", "outside-contract", "got a line that is no JSON object: [true]"),
    "no-member": (
        "echo '{\"ok\": true}'",
        "outside-contract",
        "got no 'ready' as true or false in {\"ok\": true}",
    ),
    "a-number": (
        "echo '{\"ready\": 1}'",
        "outside-contract",
        "got no 'ready' as true or false in {\"ready\": 1}",
    ),
    "another-step": (
        'echo \'{"step": 2, "ready": true}\'',
        "outside-contract",
        "got the answer is that of step 2",
    ),
    "end": ("exit 3", "outside-contract", "the gate ended with exit code 3, and without an answer"),
    "half-a-line": (
        "printf '{\"ready\": '; exit 0",
        "outside-contract",
        "the gate ended with exit code 0, and without an answer",
    ),
    "signal": ("kill -SEGV $$", "killed-by-signal", "got killed by SIGSEGV"),
    "hang": ("sleep 60", "timed-out", "got no answer within 1 s"),
    "error": ('echo \'{"error": "oh no"}\'', "crashed", "the gate fell over: oh no"),
    "endless": (
        "head -c 3000000 /dev/zero | tr '\\0' x",
        "outside-contract",
        "got a line of over 1048576 bytes",
    ),
}


@pytest.mark.parametrize("case", IN_STEP_3)
def test_what_goes_wrong_in_step_3_names_step_3(run: Run, case: str) -> None:
    text, kind, words = IN_STEP_3[case]
    gate = program(f"if [ $n = 3 ]; then {text}; else echo '{{\"ready\": true}}'; fi")

    result = run(gate, CHECK, CHECK, CHECK, CHECK, contract=HASTY if case == "hang" else GATE)

    wrong = [step.number for step in result.steps if step.wrong]
    assert messages(result) == [(kind, f"step 3 (check): expected ready (0), {words}")]
    assert (result.result, wrong, result.steps[3].got) == ("deviates", [3], "")


def test_what_is_said_unasked_is_no_answer_to_what_is_asked_next(run: Run) -> None:
    gate = program("echo '{\"ready\": true}'; echo a log; sleep 0.2")

    result = run(gate, CHECK, Step(action=Wait(seconds=0.5)), CHECK)

    [(kind, message)] = messages(result)
    assert kind == "outside-contract"
    assert message.startswith("step 3 (check): expected ready (0), got something that it said")


def test_an_empty_line_is_nothing(run: Run) -> None:
    gate = program("echo '{\"ready\": true}'; echo")

    assert run(gate, CHECK, Step(action=Wait(seconds=0.3)), CHECK).result == "conforms"


def test_a_program_that_goes_on_when_its_input_has_ended_is_ended(run: Run) -> None:
    gate = ("/bin/sh", "-c", "read -r line; echo '{\"ready\": true}'; sleep 60")

    [(kind, message)] = messages(run(gate, contract=HASTY))

    assert kind == "timed-out"
    assert message == "the gate did not end within 1 s after its standard input was closed"


def test_what_a_program_does_not_know_is_unsupported(run: Run) -> None:
    gate = program("echo '{\"unsupported\": true}'")

    result = run(gate, Step(action=Claim(taken=True)))

    assert (result.result, result.reason) == ("unsupported", "the gate does not know 'claim'")


def test_a_program_that_does_not_start_broke(run: Run) -> None:
    result = run(("/nowhere/gate",))

    assert result.result == "broke"
    assert "does not start" in result.reason


def test_a_request_says_what_is_asked_and_what_time_it_is(run: Run, tmp_path: Path) -> None:
    log = entry("run.log", text="not logged in\n")
    gate = program(f'echo "$line" >>{tmp_path}/asked; echo \'{{"ok": true, "ready": true}}\'')
    steps = [
        CHECK,
        Step(action=RunFinished(exit_code=7, log=log)),
        Step(
            action=ChangeEnvironment(set={"A": "{home}/x"}, unset=("B",), inputs={"switch": "off"})
        ),
    ]

    result = run(gate, *steps)

    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert result.result == "conforms"
    assert [(one["protocol"], one["step"], one["op"]) for one in asked] == [
        (1, 1, "check"),
        (1, 2, "run_finished"),
        (1, 3, "environment"),
    ]
    assert asked[1]["exit_code"] == 7
    assert asked[2]["set"].keys() == {"A", "ORCH_PREFLIGHT_CHECK_AUTH"}
    assert asked[2]["set"]["A"].endswith("/home/x")
    assert asked[2]["unset"] == ["B"]
    assert all(isinstance(one["now"], float) for one in asked)


def test_what_a_program_leaves_running_is_found(run: Run) -> None:
    gate = program("sleep 60 >/dev/null 2>&1 & echo '{\"ready\": true}'")

    assert [kind for kind, _ in messages(run(gate))] == ["left-process"]


def test_a_change_of_the_home_names_its_step(run: Run) -> None:
    gate = program('[ $n = 2 ] && touch "$AGENT_HOME/note"; echo \'{"ready": true}\'')

    assert messages(run(gate, CHECK, CHECK)) == [
        (
            "changed-home",
            "the probe changed the HOME in step 2 (check): added note (file, mode 0644, 0 bytes)",
        )
    ]


# Python objects


@pytest.mark.parametrize(
    "check",
    [
        "def check(self): return True",
        "def check(self): return True, 'all is well'",
        "async def check(self): return True",
        "async def check(self): import asyncio; await asyncio.sleep(0.01); return [True, None]",
    ],
)
def test_a_check_answers_as_people_write_it(run: Run, check: str) -> None:
    assert run(f"class Gate:\n    {check}\n").result == "conforms"


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("pass", "TypeError: check returned NoneType: neither a truth value nor a pair"),
        ("return 0", "TypeError: check returned int: neither"),
        ("return (1, 2)", "TypeError: check returned tuple: neither"),
        ("raise ValueError('line 1\\nline 2')", "ValueError: line 1 line 2"),
        ("import sys; sys.exit(1)", "SystemExit: 1"),
    ],
)
def test_any_other_answer_is_a_crash_that_says_what_came(run: Run, check: str, words: str) -> None:
    result = run(f"class Gate:\n    def check(self): {check}\n")

    [(kind, message)] = messages(result)
    assert kind == "crashed"
    assert message.startswith(f"step 1 (check): expected ready (0), the gate fell over: {words}")


@pytest.mark.parametrize(
    "module",
    [
        "raise ImportError('no module')",
        "class Gate:\n    def __init__(self, config): pass",
        "def other(): pass",
    ],
)
def test_a_gate_that_cannot_be_made_fell_over_in_the_first_step(run: Run, module: str) -> None:
    [(kind, message)] = messages(run(module))

    assert kind == "crashed"
    assert message.startswith("step 1 (check): expected ready (0), the gate fell over: ")


@pytest.mark.parametrize(
    ("step", "operation"),
    [
        (Step(action=Claim(taken=True)), "claim"),
        (Step(action=RunFinished(exit_code=0)), "run_finished"),
        (Step(action=Counters()), "counters"),
    ],
)
def test_what_a_gate_lacks_is_unsupported(run: Run, step: Step, operation: str) -> None:
    result = run(YES, CHECK, step)

    assert (result.result, result.reason) == (
        "unsupported",
        f"the gate does not know '{operation}'",
    )


def test_what_a_gate_prints_is_no_answer(run: Run) -> None:
    gate = """
        import os
        print("imported")
        class Gate:
            def check(self):
                print("asked")
                os.write(1, b"asked again")
                return True
        """
    result = run(gate)

    assert (result.result, result.stderr) == ("conforms", "imported\nasked againasked\n")


def test_the_clock_of_a_gate_is_set(run: Run) -> None:
    """By all the ways in which a gate may ask what time it is; and nobody waits."""
    gate = """
        import asyncio, datetime, time
        from time import monotonic
        def clocks():
            return [time.time(), datetime.datetime.now().timestamp(), monotonic(), time.monotonic_ns() / 1e9,
                    time.clock_gettime(time.CLOCK_MONOTONIC), time.clock_gettime(time.CLOCK_REALTIME)]
        class Gate:
            def __init__(self):
                self.before = clocks()
            def check(self):
                return all(3600 <= now - before < 3700 for now, before in zip(clocks(), self.before))
        """
    result = run(gate, Step(action=Wait(seconds=3600)), CHECK)

    assert (result.result, result.findings) == ("conforms", ())
    assert result.seconds < 5


THREAD = "threading.Thread(target=time.sleep, args=(1,), daemon=True).start()"


@pytest.mark.parametrize(
    ("start", "supported"),
    [(THREAD, False), ("concurrent.futures.ThreadPoolExecutor().submit(int).result()", True)],
    ids=["own-thread", "pool"],
)
def test_a_gate_with_a_thread_of_its_own_is_told_no_story_in_which_time_passes(
    run: Run, start: str, supported: bool
) -> None:
    gate = f"""
        import concurrent.futures, threading, time
        class Gate:
            def check(self):
                {start}
                return True
        """
    passing = run(gate, CHECK, Step(action=Wait(lives=1)), CHECK)

    assert run(gate, CHECK, CHECK).result == "conforms"
    assert passing.result == ("conforms" if supported else "unsupported")


def test_a_gate_is_named_like_a_callable(tmp_path: Path) -> None:
    (tmp_path / "own_gate.py").write_text(YES)

    argv = parse_gate("own_gate:Gate", tmp_path)

    assert sets_clock(argv)
    assert not sets_clock((sys.executable, "-I", "gate.py"))
    with pytest.raises(UsageError, match="has no 'Other'"):
        parse_gate("own_gate:Other", tmp_path)


def test_a_module_is_found_wherever_the_gate_starts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own_gate.py").write_text(YES)

    result = run(parse_gate("own_gate:Gate", tmp_path), process=Process(cwd="/"))

    assert (result.result, result.reason) == ("conforms", "")


# What is counted and claimed


def counting(retries: str) -> str:
    return f"""
        class Gate:
            n = 0
            def check(self):
                self.n += 1
                return True
            def claim(self):
                return None if self.n > 1 else "job"
            def counters(self):
                return {{"retries": {retries}, "breaker": 0.5}}
        """


NOTE, SAME = (Step(action=Counters(same=same), rules=("no-fault",)) for same in (False, True))


def test_counters_have_to_stay_what_they_were(run: Run) -> None:
    assert run(counting("7"), CHECK, NOTE, CHECK, SAME).result == "conforms"

    result = run(counting("self.n"), CHECK, NOTE, CHECK, SAME)
    assert [(one.kind, one.rule, one.message) for one in result.findings] == [
        (
            "counted-failure",
            "no-fault",
            "step 4 (counters): expected the same as before, got retries 2, which was 1 in step 2",
        )
    ]


def test_a_claim_takes_a_job_or_does_not(run: Run) -> None:
    claim = Step(action=Claim(taken=True), rules=("login", "goes-on"))

    result = run(counting("0"), CHECK, claim, CHECK, claim)

    assert [(one.kind, one.rule, one.message) for one in result.findings] == [
        ("wrong-claim", "goes-on", "step 4 (claim): expected a job taken, got no job taken")
    ]


# The whole way


def report(directory: Path, *words: str, status: int = 0) -> dict[str, Any]:
    done = suite(directory, "run", "--contract", "gate", "--json", "r.json", *words, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((directory / "r.json").read_text())
    return found


def test_the_report_tells_the_story(tmp_path: Path) -> None:
    (tmp_path / "own_gate.py").write_text(YES)

    found = report(
        tmp_path, "-n", "0", "--python", "own_gate:Gate", "gate/after/login-expires", status=1
    )
    rows = found["scenarios"]

    assert [
        (step["number"], step["operation"], step["got"], step["wrong"]) for step in rows[0]["steps"]
    ] == [
        (1, "check", "ready (0)", False),
        (2, "home", "", False),
        (3, "wait", "", False),
        (4, "check", "ready (0)", True),
    ]
    assert (found["probe"]["callable"], found["probe"]["clock"]) == ("own_gate:Gate", "set")


def test_repro_says_what_the_gate_was_told_and_what_came_of_it(tmp_path: Path) -> None:
    words = ["--contract", "gate", "gate/marker/not-logged-in", "--keep", "kept"]

    done = suite(tmp_path, "repro", *words, merged=True)

    assert done.returncode == 0, done.stdout
    assert '{"protocol": 1, "step": 3, "op": "run_finished"' in done.stdout
    assert "step 4: check: the gate is asked; expected creds-invalid (1), got" in done.stdout
    assert "< /dev/null" not in done.stdout


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("run", "--contract", "gate", "--image", "some"), "which no image can be"),
        (("lockstep", "--contract", "gate", "--manager", "m.toml"), "which no Manager reads"),
    ],
)
def test_what_a_gate_cannot_be_is_one_line(
    tmp_path: Path, words: tuple[str, ...], cause: str
) -> None:
    (tmp_path / "m.toml").write_text("")

    done = suite(tmp_path, *words)

    assert done.returncode == 2
    assert cause in done.stderr
    assert done.stderr.count("\n") <= 2


@pytest.mark.slow
def test_the_reference_gate_conforms_as_an_object(tmp_path: Path) -> None:
    """Every story, and of the scenarios of preflight those about a check that is asked once."""
    counts = report(tmp_path, "-n", "2", "gate/*", "preflight/*")["counts"]

    assert counts["conforms"] == sum(counts.values()) > 130


@pytest.mark.slow
def test_the_reference_gate_conforms_as_a_program(tmp_path: Path) -> None:
    """In a few stories: each operation of the protocol, and time that is really waited for."""
    probe = f"{sys.executable} -I {fixtures_dir() / 'probes' / 'gate.py'}"
    chosen = ["gate/claim/*", "gate/counters/*", "gate/elsewhere/*", "gate/marker/not-logged-in"]

    counts = report(tmp_path, "-n", "0", "--probe", probe, *chosen)["counts"]

    assert counts["unsupported"] == 1  # it takes no changes of its environment
    assert counts["conforms"] == sum(counts.values()) - 1 > 20


EXAMPLES = {"shell": ("sh", "gate.sh"), "javascript": ("node", "gate.mjs")}


@pytest.mark.slow
@pytest.mark.in_turn(2)
@pytest.mark.parametrize("language", EXAMPLES)
def test_the_examples_of_the_page_conform(tmp_path: Path, language: str) -> None:
    interpreter, name = EXAMPLES[language]
    if shutil.which(interpreter) is None:
        without(interpreter)
    page = (Path(__file__).parents[2] / "docs" / "gates.md").read_text()
    found = re.search(
        rf"^`{re.escape(name)}`:\n\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
    )
    assert found is not None
    (tmp_path / name).write_text(found[1])

    stories = [one.id for one in bundled_catalogue().in_contract(GATE) if one.steps]
    half = stories[list(EXAMPLES).index(language) :: len(EXAMPLES)]

    words = ["-n", "2", "--probe", f"{interpreter} {name}", *half]
    counts = report(tmp_path, *words)["counts"]

    assert (counts["deviates"], counts["broke"]) == (0, 0)
    assert counts["unsupported"] < 8 < 40 < counts["conforms"]


def test_every_rule_of_the_gate_is_shown_by_a_step() -> None:
    cited = {
        rule
        for one in bundled_catalogue().scenarios.values()
        for step in one.steps
        for rule in step.rules
    }
    own = {name for name, rule in GATE.rules.items() if rule.contract == "gate"}

    assert own - cited == set()


def test_a_clock_that_cannot_be_set_is_no_fault_of_the_gate(run: Run, tmp_path: Path) -> None:
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    wrapper.chmod(0o755)

    _, *words, _, directory = gate_in_file(str(tmp_path / "gate.py"))
    result = run((str(wrapper), *words, str(tmp_path), directory))

    assert result.result == "broke"
    assert "no clock can be set: No module named 'time_machine'" in result.reason
