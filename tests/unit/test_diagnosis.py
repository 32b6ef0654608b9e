"""What many deviations have in common, worked out from results alone: hints, and above all when there are none.

A probe is a function here: scenario to exit code. It is judged in the bundled catalogue, without a process.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from factories import bundled_catalogue
from msgspec.structs import replace

from conformance.catalogue.contracts import bundled, for_agent
from conformance.model.contract import Contract
from conformance.model.outcome import Finding, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.report.diagnosis import Asks, diagnose
from conformance.report.evidence import FEWEST, Hint

CONTRACTS = bundled()
SLOT, PREFLIGHT = CONTRACTS["slot"], CONTRACTS["preflight"]
Probe = Callable[[Scenario], int | None]


def right(scenario: Scenario, contract: Contract = SLOT) -> int:
    """Answer as the contract wants it."""
    return min(scenario.codes(contract))


def opposite(scenario: Scenario) -> int:
    """Answer for the other home of preflight."""
    if "cli-broken" in scenario.expected(PREFLIGHT):
        return 1
    return 1 - right(scenario, PREFLIGHT)


def result(
    scenario: Scenario,
    code: int | None,
    contract: Contract,
    *,
    seconds: float | None = None,
    changes: Sequence[str] = (),
    stdout: str = "",
) -> ScenarioResult:
    """Return what is judged of an answer; one that is no code did not come in time."""
    findings: list[Finding] = []
    if code is None:
        findings.append(Finding(kind="timed-out", message=""))
    elif not contract.verdicts_of(code):
        findings.append(Finding(kind="outside-contract", message=""))
    elif code not in scenario.codes(contract):
        findings.append(Finding(kind="wrong-verdict", message=""))
    if changes:
        findings.append(Finding(kind="changed-home", message=""))
    return ScenarioResult(
        id=scenario.id,
        agent=scenario.agent,
        expected=scenario.expected(contract),
        code=code,
        verdict=None,
        result="deviates" if findings else "conforms",
        findings=tuple(findings),
        seconds=(3.0 if scenario.waits else 0.1) if seconds is None else seconds,
        changes=tuple(changes),
        stdout=stdout,
    )


def chosen(patterns: Iterable[str], contract: Contract) -> list[Scenario]:
    return [
        scenario
        for scenario in bundled_catalogue().in_contract(contract)
        if any(fnmatch.fnmatchcase(scenario.id, pattern) for pattern in patterns)
    ]


def hints(
    probe: Probe,
    *patterns: str,
    contract: Contract = SLOT,
    image: bool = False,
    waits: bool = True,
    without_mode: int | None = None,
    cut_short: bool = False,
    **seen: Any,
) -> list[Hint]:
    """Return the hints about a *probe* in the scenarios of these *patterns*, by default all.

    *waits* says whether it waits for a CLI that takes seconds.
    """
    seconds = None if waits else 0.1
    scenarios = chosen(patterns or ("*",), contract)
    results = [result(s, probe(s), contract, seconds=seconds, **seen) for s in scenarios]

    def waiting(agent: str) -> ScenarioResult | None:
        slow = [s for s in chosen(["cli/*slow*"], contract) if s.agent == agent]
        return result(slow[0], 64, contract, seconds=seconds) if slow else None

    asks = Asks(image=image, without_mode=lambda _: without_mode, waiting=waiting)
    known = {scenario.id: scenario for scenario in scenarios}
    return diagnose(results, contract, known, asks, cut_short=cut_short)


def said(probe: Probe, *patterns: str, **fields: Any) -> str:
    """Return the one hint, or nothing."""
    found = hints(probe, *patterns, **fields)
    assert len(found) <= 1
    return found[0].text if found else ""


# No hint


@pytest.mark.parametrize("name", ["slot", "slot-strict", "preflight"])
@pytest.mark.parametrize("image", [False, True])
def test_a_right_probe_gets_none(name: str, image: bool) -> None:
    contract = CONTRACTS[name]
    assert hints(lambda s: right(s, contract), contract=contract, image=image) == []


#: What people run who work on one defect.
SMALL = [
    ("claude/nested-session", "claude/baseline-only", "codex/empty"),
    ("agent/*",),
    ("claude/near-baseline-*", "claude/baseline-*"),
    ("claude-login/scopes/*",),
    ("expiry/zero", "expiry/negative", "expiry/fractional", "expiry/huge-*"),
    ("codex/utf-16", "codex/byte-order-mark", "codex/nan", "codex/empty", "codex/api-key"),
    ("cli/exit-*", "cli/healthy*"),
]


@pytest.mark.parametrize("patterns", SMALL, ids=" ".join)
@pytest.mark.parametrize("code", [0, 1, 64, 65, 66, 127, None])
@pytest.mark.parametrize("image", [False, True])
def test_few_scenarios_are_no_ground_for_one(
    patterns: tuple[str, ...], code: int | None, image: bool
) -> None:
    """Where one answer to all of some files has no other cause than the defect that they are about."""
    assert len({s.file for s in chosen(patterns, SLOT)}) < FEWEST
    assert hints(lambda _: code, *patterns, image=image, waits=False) == []


def test_one_answer_is_no_defect_where_one_was_called_for() -> None:
    assert hints(lambda _: 64, "cli/exit-*", "cli/missing*", "cli/no-*", "cli/not-exec*") == []


def test_variants_of_one_file_count_once() -> None:
    """They differ in one point, and one defect makes all of them deviate."""
    family = chosen(["codex-auth/tokens/*", "codex-auth/key/*", "claude-login/*"], SLOT)
    assert len(family) > 5 * FEWEST
    few = sorted({s.file for s in family})[: FEWEST - 1]
    ids = [s.id for s in family if s.file in few]
    assert hints(lambda _: 1, *ids) == []


@pytest.mark.parametrize(
    "probe",
    [
        # One rule broken, each in a good part of the catalogue
        lambda s: 65 if right(s) == 66 else right(s),
        lambda s: 66 if right(s) == 65 else right(s),
        lambda s: 0 if right(s) == 66 else right(s),
        lambda s: 0 if right(s) == 65 else right(s),
        lambda s: 1 if right(s) == 64 else right(s),
        lambda s: 65 if s.agent == "codex" and right(s) == 0 else right(s),
        lambda s: 65 if s.agent == "codex" and right(s) != 64 else right(s),
        lambda s: 0 if s.cli != "healthy" and s.agent == "codex" else right(s),
    ],
)
def test_a_broken_rule_is_no_ground_for_one(probe: Probe) -> None:
    assert hints(probe) == []


def test_a_cli_that_was_waited_for_was_started() -> None:
    """Whatever else makes the probe call every CLI broken, it finds it."""
    assert hints(lambda s: 66 if s.id == "codex/empty" else 64, waits=True) == []
    assert hints(lambda s: 0 if s.cli != "healthy" else right(s), waits=True) == []


# One answer to everything


@pytest.mark.parametrize(
    ("code", "image", "expected"),
    [
        (
            127,
            True,
            "exit code 127: the entrypoint wants to start a program that is not there; is the probe in the image?",
        ),
        (
            126,
            True,
            "exit code 126: the entrypoint wants to start a program that is not executable; is the probe in the image?",
        ),
        (
            1,
            True,
            "exit code 1: where the image ends before its probe can answer, its stderr says why; "
            "a variable it insists on is given with --env",
        ),
        (0, True, "exit code 0 (ready): the probe does not look at the HOME"),
        (65, True, "exit code 65 (creds-missing): the probe does not look at the HOME"),
        (
            64,
            True,
            "exit code 64 (cli-broken): the probe takes no CLI for good; is the one in the image whole?",
        ),
        (
            127,
            False,
            "exit code 127: the probe wants to start a program that is not there on its PATH; "
            "--env PATH=… gives it another one",
        ),
        (
            126,
            False,
            "exit code 126: the probe wants to start a program that is not executable; it lacks an execute bit",
        ),
        (
            2,
            False,
            "exit code 2: where the probe ends before it can judge, its stderr says why; "
            "a variable it insists on is given with --env",
        ),
        (0, False, "exit code 0 (ready): the probe does not look at the HOME"),
        (66, False, "exit code 66 (creds-invalid): the probe does not look at the HOME"),
        (
            64,
            False,
            "exit code 64 (cli-broken): the probe takes no CLI for good, not even one whose exit status is 0",
        ),
    ],
)
def test_one_answer_to_everything_has_a_cause(code: int, image: bool, expected: str) -> None:
    assert said(lambda _: code, image=image) == f"every scenario got {expected}"


def test_one_answer_to_every_run_says_that_the_log_is_not_looked_at() -> None:
    run_result = CONTRACTS["run-result"]
    found = said(lambda _: 0, contract=run_result)
    assert found == (
        "every scenario got exit code 0 (done): the probe does not look at the log of the run"
    )
    assert said(lambda scenario: right(scenario, run_result), contract=run_result) == ""


def test_the_same_code_in_a_mode_that_does_not_exist_is_told() -> None:
    expected = "every scenario got exit code 0 (ready), also with an AGENT_MODE that does not exist"
    found = said(lambda _: 0, image=True, without_mode=0)
    assert found == f"{expected}: the entrypoint ignores AGENT_MODE"


@pytest.mark.parametrize("code", [0, 65])
@pytest.mark.parametrize("image", [False, True])
def test_an_answer_that_stands_in_what_is_printed_is_told(code: int, image: bool) -> None:
    """Then the probe looks at the HOME, and nobody may say that it does not."""
    scenarios = chosen(["*"], SLOT)
    asks = Asks(image=image, without_mode=lambda _: None, waiting=lambda _: None)

    def hint(stdout: Callable[[Scenario], str]) -> str:
        results = [result(s, code, SLOT, stdout=stdout(s)) for s in scenarios]
        (found,) = diagnose(results, SLOT, {s.id: s for s in scenarios}, asks)
        return found.text

    printed = hint(lambda s: f'{{"slot": {s.expected(SLOT)!r}}}')
    assert printed.endswith(
        ", though what it prints differs: the exit code is the answer, "
        "unless a contract says where on stdout it stands"
    )
    assert hint(lambda s: s.agent).endswith(": the probe does not look at the HOME")


@pytest.mark.parametrize("image", [False, True])
def test_no_answer_in_time_is_told(image: bool) -> None:
    assert said(lambda _: None, image=image).startswith("no scenario was answered in time: ")


def test_no_answer_in_time_is_told_of_few_scenarios_where_the_others_were_left_out() -> None:
    few = ("claude/nested-session", "cli/healthy", "codex/empty")
    asked = {"image": True, "cut_short": True}
    end = "the image does not end by itself in AGENT_MODE=smoke-test"
    assert said(lambda _: None, *few, **asked) == f"no scenario was answered in time: {end}"
    assert said(lambda _: None, *few, image=True) == ""


def test_what_was_not_judged_says_nothing() -> None:
    scenarios = chosen(["*"], SLOT)
    results = [result(s, 2, SLOT) for s in scenarios[:-1]]
    results.append(
        ScenarioResult(id=scenarios[-1].id, agent="claude", expected=("ready",), result="broke")
    )
    asks = Asks(image=False, without_mode=lambda _: None, waiting=lambda _: None)
    (hint,) = diagnose(results, SLOT, {s.id: s for s in scenarios}, asks)
    assert hint.text.startswith("every scenario got exit code 2: ")


# No CLI is started

LOGIN_SHELL = "a login shell (sh -l, bash -lc) sets PATH anew: start the probe without one"


def test_stubs_that_a_login_shell_has_lost_are_told() -> None:
    def probe(scenario: Scenario) -> int:
        return 65 if scenario.id in ("claude/fifo-only", "codex/no-auth") else 64

    (hint,) = hints(probe, waits=False)
    homes = [s for s in chosen(["*"], SLOT) if "cli-broken" not in s.expected(SLOT)]
    assert hint.text == (
        f"{len(homes) - 2} of {len(homes)} scenarios with a healthy CLI got exit code 64 (cli-broken), and none was "
        "waited for: the probe does not start the one on the PATH it is given, or does not take the agent from "
        f"WOVED_TASK_AGENT; {LOGIN_SHELL}"
    )
    assert hint.explains == {s.id for s in homes} - {"claude/fifo-only", "codex/no-auth"}


def test_they_are_told_where_everything_is_called_broken_too() -> None:
    found = said(lambda _: 64, waits=False)
    assert found.startswith(
        "every scenario got exit code 64 (cli-broken), and no CLI was waited for: "
    )
    assert found.endswith(LOGIN_SHELL)


def test_they_are_told_where_no_cli_of_the_selection_takes_seconds() -> None:
    """Then the probe is asked once more, where one does."""
    patterns = ("claude/*", "codex/*")
    assert said(lambda _: 64, *patterns, waits=False).endswith(LOGIN_SHELL)
    assert "waited" not in said(lambda _: 64, *patterns, waits=True)


def test_a_real_cli_in_the_place_of_the_stubs_is_told() -> None:
    """A login shell finds the one that is installed, and that one never fails."""

    def probe(scenario: Scenario) -> int:
        return right(scenario) if scenario.cli == "healthy" else 0

    found = said(probe, waits=False)
    assert "a CLI that fails was passed over, and none was waited for: " in found
    assert found.endswith(LOGIN_SHELL)


# An agent that the probe does not know


@pytest.mark.parametrize(
    ("code", "got"),
    [
        (64, "exit code 64 (cli-broken)"),
        (65, "exit code 65 (creds-missing)"),
        (2, "exit code 2"),
    ],
)
@pytest.mark.parametrize(("agent", "other"), [("codex", "claude"), ("claude", "codex")])
@pytest.mark.parametrize("image", [False, True])
def test_an_agent_that_the_probe_is_not_made_for_is_told(
    code: int, got: str, agent: str, other: str, image: bool
) -> None:
    (hint,) = hints(lambda s: code if s.agent == agent else right(s), image=image)
    assert hint.text == (
        f"every scenario of {agent} got {got}, whatever is there; "
        f"where the probe is not made for {agent}, --agent {other} leaves them out"
    )
    own = [s for s in chosen(["*"], SLOT) if s.agent == agent]
    assert hint.explains == {s.id for s in own if code not in s.codes(SLOT)}


def test_a_slot_that_is_always_ready_is_no_matter_of_the_agent() -> None:
    assert hints(lambda s: 0 if s.agent == "codex" else right(s)) == []


def test_no_other_agent_is_named_where_there_is_none() -> None:
    alone = for_agent(SLOT, "codex")
    assert "--agent" not in said(lambda _: 65, contract=alone)


# Another home


def reads_another_home(scenario: Scenario) -> int:
    """Tell CLIs that fail, and answer for the one home that it always looks at."""
    expected = scenario.expected(SLOT)
    if "cli-broken" in expected:
        return 64
    return {"claude": 0, "codex": 65}[scenario.agent]


def test_a_probe_that_reads_another_home_is_told() -> None:
    why = "the probe does not look at the HOME, or at another than the one that HOME names"
    (hint,) = hints(reads_another_home)
    assert hint.text == (
        "every home of claude got exit code 0 (ready) and every home of codex got exit code 65 (creds-missing), "
        f"though CLIs that fail are told apart: {why}"
    )
    assert said(lambda s: 64 if right(s) == 64 else 65) == (
        f"every home got exit code 65 (creds-missing), though CLIs that fail are told apart: {why}"
    )


def test_a_probe_that_looks_at_some_homes_is_not() -> None:
    assert hints(lambda s: 66 if s.id == "codex/empty" else reads_another_home(s)) == []


def test_a_gate_that_reads_the_home_it_is_not_told_to_read() -> None:
    (hint,) = hints(opposite, contract=PREFLIGHT)
    homes = [s for s in chosen(["*"], PREFLIGHT) if "cli-broken" not in s.expected(PREFLIGHT)]
    assert hint.text.endswith(
        "answers fit the home that HOME names: the one to look at is that of AGENT_HOME"
    )
    assert len(hint.explains) > 0.9 * len(homes)


# What is added to every home


def added(*names: str) -> list[str]:
    return [f"added {name}" for name in names]


def test_an_agent_is_not_known_although_a_few_of_its_scenarios_get_another_answer() -> None:
    """A probe that only knows claude trips where no CLI of claude lies on PATH either."""

    def probe(scenario: Scenario) -> int:
        if scenario.agent == "claude":
            return right(scenario)
        return 64 if "alone" in scenario.cli else 65

    (hint,) = hints(probe)
    assert " scenarios of codex got exit code 65 (creds-missing), whatever is there; " in hint.text
    assert not hint.text.startswith("every")


def test_an_agent_of_which_a_fifth_is_told_apart_is_known() -> None:
    def probe(scenario: Scenario) -> int:
        if scenario.agent == "claude" or scenario.id.startswith("cli/"):
            return right(scenario)
        return 65

    assert "leaves them out" not in said(probe)


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        (added(".gitconfig (file, mode 0644, 12 bytes)"), "--allow-write '.gitconfig'"),
        (added(".x (symlink, mode 0777 to /opt/x)"), "--allow-write '.x'"),
        (
            added(".cache (directory, mode 0755)", ".cache/seen (file, mode 0644, 1 bytes)"),
            "--allow-write '.cache/**'",
        ),
        (
            added(".b (file, mode 0644, 1 bytes)", ".a (directory, mode 0755)"),
            "--allow-write '.a/**' --allow-write '.b'",
        ),
        (added("it's (file, mode 0644, 1 bytes)"), '--allow-write "it\'s"'),
    ],
)
@pytest.mark.parametrize("image", [False, True])
def test_the_same_addition_everywhere_is_one_hint_that_names_the_option(
    changes: list[str], options: str, image: bool
) -> None:
    (hint,) = hints(right, changes=changes, image=image)
    count = len(chosen(["*"], SLOT))
    assert hint.text.startswith(f"in {count} of {count} scenarios the ")
    assert hint.text.endswith(
        f"adds the same to the HOME; where that is meant to be, name it: {options}"
    )
    assert len(hint.explains) == count


def test_an_addition_beside_a_wrong_answer_is_told_and_does_not_hide_it() -> None:
    found = hints(
        lambda s: 2 if s.id == "codex/empty" else right(s),
        changes=added(".x (file, mode 0644, 1 bytes)"),
    )
    assert len(found) == 1
    assert "codex/empty" not in found[0].explains
    assert len(hints(lambda _: 2, changes=added(".x (file, mode 0644, 1 bytes)"))) == 2


@pytest.mark.parametrize(
    "changes",
    [
        ["removed .claude/mine (file, mode 0644, 1 bytes)"],
        ["changed .claude: directory, mode 0700 became directory, mode 0755"],
        ["in the opposite home: added .x (file, mode 0644, 1 bytes)"],
    ],
)
def test_what_is_no_addition_is_no_ground_for_one(changes: list[str]) -> None:
    assert hints(right, changes=changes) == []
    both = [*changes, "added .x (file, mode 0644, 1 bytes)"]
    assert [hint.explains for hint in hints(right, changes=both)] == [frozenset()]


def test_an_addition_to_some_homes_is_no_habit() -> None:
    scenarios = chosen(["*"], SLOT)
    changes = added(".x (file, mode 0644, 1 bytes)")
    results = [
        result(s, right(s), SLOT, changes=changes if n % 2 else ()) for n, s in enumerate(scenarios)
    ]
    asks = Asks(image=True, without_mode=lambda _: None, waiting=lambda _: None)
    known = {s.id: s for s in scenarios}
    assert diagnose(results, SLOT, known, asks) == []
    few = [r for r in results if r.changes][: FEWEST - 1]
    assert diagnose(few, SLOT, known, asks) == []


def entry_results(verdict: str) -> list[ScenarioResult]:
    """Return results of an entrypoint that writes a file of its own wherever it comes to *verdict*."""
    contract = bundled_catalogue().contracts["entrypoint"]
    line = "added .gitconfig (file, mode 0644, 7 bytes)"
    found = []
    for one in bundled_catalogue().in_contract(contract):
        here = one.expected(contract)[0]
        wrote = here == verdict
        finding = Finding(kind="changed-home", message=line)
        found.append(
            ScenarioResult(
                id=one.id,
                agent=one.agent,
                expected=one.expected(contract),
                code=7,
                verdict=here,
                result="deviates" if wrote else "conforms",
                findings=(finding,) if wrote else (),
                changes=(line,) if wrote else (),
            )
        )
    return found


def test_what_an_entrypoint_adds_wherever_it_starts_something_is_one_hint() -> None:
    """Its exit codes are those of what it starts: that all are alike tells nothing."""
    catalogue = bundled_catalogue()
    contract = catalogue.contracts["entrypoint"]

    apart = {id_: replace(one, file=id_) for id_, one in catalogue.scenarios.items()}

    def found(verdict: str, scenarios: dict[str, Scenario] = catalogue.scenarios) -> list[Hint]:
        asks = Asks(image=False, without_mode=lambda _: 7, waiting=lambda _: None)
        return diagnose(entry_results(verdict), contract, scenarios, asks)

    [hint] = found("started")
    many = len(hint.explains)
    assert many > 40
    assert hint.text == (
        f"in {many} of {many} scenarios the entrypoint adds the same to the HOME; "
        "where that is meant to be, name it: --allow-write '.gitconfig'"
    )
    assert found("refused") == found("refused", apart) == []
    assert found("started", apart) == [hint]
