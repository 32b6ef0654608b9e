"""A contract that extends another says a policy of its own: rules, levels, inputs, codes, answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import (
    bundled_catalogue,
    exited,
    good_login,
    login_seen,
    request_seen,
    scenario,
    written,
)
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.drivers.layout import opposite_home
from conformance.errors import FileError, ManyErrors, UsageError
from conformance.judge.judge import judge
from conformance.lockstep.draft import differences, draft
from conformance.lockstep.managers.answers import Answer, Answers
from conformance.model.contract import ANSWER_FINDINGS, STEP_FINDINGS, Action, Contract
from conformance.model.login import End, Login, Write
from conformance.model.login_seen import LoginSeen
from conformance.model.outcome import Execution, Outcome, ScenarioResult
from conformance.model.scenario import Scenario

SLOT = contracts.load("slot")
HEAD = 'name = "own"\nversion = "1"\nsummary = "A policy"\nextends = "{parent}"\n'


def own(tmp_path: Path, text: str, parent: str = "slot") -> Contract:
    """Return the contract that extends *parent* and says *text*."""
    file = written(tmp_path / "own.toml", HEAD.format(parent=parent) + text)
    return contracts.load(str(file))


def refused(tmp_path: Path, text: str) -> str:
    """Return what is said of a contract that cannot be read, without the file's name."""
    with pytest.raises(FileError) as caught:
        own(tmp_path, text)
    return str(caught.value).split(".toml: ", 1)[1]


def judged(
    contract: Contract, outcome: Outcome, case: Scenario | None = None, **options: Any
) -> ScenarioResult:
    """Return the result of a probe that ended with *outcome*."""
    return judge(case or scenario(), contract, [Execution(outcome=outcome)], {}, **options)


# Verdicts of rules


def every_rule() -> Iterator[tuple[str, str]]:
    """Yield each bundled contract and each of its own rules that calls for verdicts."""
    for contract in contracts.bundled().values():
        for name, rule in contract.rules.items():
            if rule.expect and rule.contract == contract.name:
                yield contract.name, name


@pytest.mark.parametrize(("parent", "name"), list(every_rule()))
def test_every_rule_can_be_changed_and_both_the_old_and_the_new_answer_are_judged(
    parent: str, name: str, tmp_path: Path
) -> None:
    """Where the rule decides, what conformed deviates, and what deviated conforms.

    A rule that leaves every exit code open is closed: one of the two that conformed deviates.
    """
    before = contracts.load(parent)
    old = before.rules[name].expect
    others = [verdict.name for verdict in before.verdicts]
    new = next((each for each in others if before.tells_apart([each], old)), others[0])
    after = own(tmp_path, f'[rules.{name}]\nexpect = "{new}"\n', parent)
    about = [
        case
        for case in bundled_catalogue().in_contract(before)
        if case.decided_by(before) == name and parent in case.expect
    ]
    assert about, "no scenario is about the rule"
    codes_before, codes_after = before.codes(old), before.codes([new])
    assert codes_before != codes_after
    for case in about:
        assert case.expected(after) == (new,)
        if case.steps or case.start:  # what a policy changes there is tested with them
            continue
        for contract, codes in ((before, codes_before), (after, codes_after)):
            found = {code: judged(contract, exited(code), case).result for code in before.all_codes}
            conforming = {code for code, result in found.items() if result == "conforms"}
            assert conforming == codes
            assert set(found.values()) <= {"conforms", "deviates"}


def test_a_rule_that_is_left_open_may_be_closed_and_the_other_way_round(tmp_path: Path) -> None:
    text = '[rules]\ncodex-parsers-differ = { expect = "creds-invalid" }\n'
    text += 'codex-not-json = { expect = ["ready", "creds-invalid"] }\n'
    after = own(tmp_path, text)
    known = bundled_catalogue().scenarios
    assert known["codex/nan"].expected(SLOT) == ("ready", "creds-invalid")
    assert known["codex/nan"].expected(after) == ("creds-invalid",)
    assert known["codex/empty"].expected(after) == ("ready", "creds-invalid")


def test_where_a_rule_is_off_the_next_one_that_the_scenario_cites_decides(tmp_path: Path) -> None:
    case = scenario(
        expect={"slot": ("cli-broken",)}, rules={"slot": ("cli-fails", "claude-baseline-only")}
    )
    after = own(tmp_path, '[rules]\ncli-fails = "off"\n')
    assert (case.expected(SLOT), case.expected(after)) == (("cli-broken",), ("creds-missing",))
    assert (case.decided_by(SLOT), case.decided_by(after)) == ("cli-fails", "claude-baseline-only")


def test_where_every_rule_that_it_cites_is_off_a_scenario_is_not_part_of_the_contract(
    tmp_path: Path,
) -> None:
    case = scenario(expect={"slot": ("ready",)}, rules={"slot": ("claude-login",)})
    assert case.expected(own(tmp_path, '[rules]\nclaude-login = "off"\n')) == ()


def test_a_rule_that_is_off_can_be_turned_on_again_further_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only bundled contracts can be extended, so the first of the two stands in for one."""
    middle = own(tmp_path, '[rules]\nclaude-login = "off"\n')
    known = {**contracts.bundled(), "own": middle}
    monkeypatch.setattr(contracts, "bundled", lambda: known)
    text = 'name = "last"\nversion = "1"\nsummary = "x"\nextends = "own"\n'
    text += '[rules]\nclaude-login = { expect = "creds-missing" }\n'
    last = contracts.load(str(written(tmp_path / "last.toml", text)))
    case = bundled_catalogue().scenarios["claude/credentials-file"]
    assert (case.expected(middle), case.expected(last)) == ((), ("creds-missing",))


def test_what_a_scenario_says_of_the_contract_itself_outranks_a_rule_that_this_changes(
    tmp_path: Path,
) -> None:
    after = own(tmp_path, '[rules]\nclaude-login = { expect = "creds-missing" }\n')
    case = scenario(
        expect={"slot": ("ready",), "own": ("creds-invalid",)},
        rules={"slot": ("claude-login",), "own": ("claude-login",)},
    )
    assert case.expected(after) == ("creds-invalid",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[rules]\nclaude-logins = "off"\n',
            "rules.claude-logins: no rule 'claude-logins' in 'slot'; did you mean claude-login",
        ),
        (
            '[rules]\nclaude-logins = { expect = "ready" }\n',
            "rules.claude-logins: no rule 'claude-logins' in 'slot'; did you mean claude-login",
        ),
        (
            '[rules]\nclaude-login = "of"\n',
            "rules.claude-login: unknown value 'of'; allowed: off",
        ),
        (
            '[rules]\nclaude-login = { expect = "fine" }\n',
            "rules.claude-login.expect: unknown verdict 'fine'; allowed: ready, cli-broken",
        ),
        (
            '[rules]\nclaude-login = { level = "should" }\n',
            "rules.claude-login.level: a rule with verdicts has no level",
        ),
        (
            '[rules]\nalways-a-code = { level = "should" }\n',
            "rules.always-a-code: cannot be 'should': it is about the answer itself",
        ),
        (
            '[rules]\nalways-in-time = "off"\n',
            "rules.always-in-time: cannot be off: it is about the answer itself (timed-out)",
        ),
        (
            '[rules]\nalways-alone = { level = "may" }\n',
            "rules.always-alone.level: unknown value 'may'; allowed: must, should",
        ),
    ],
)
def test_a_change_that_means_nothing_is_refused_in_one_line(
    text: str, words: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, text).startswith(words)


# Levels


LEFT = exited(0, left=("sleep 120",))


def test_what_breaks_a_should_is_advice_and_the_scenario_conforms(tmp_path: Path) -> None:
    mild = own(tmp_path, '[rules]\nalways-alone = { level = "should" }\n')
    strong, weak = judged(SLOT, LEFT), judged(mild, LEFT)
    assert (strong.result, weak.result) == ("deviates", "conforms")
    assert [(f.level, f.rule) for f in strong.findings] == [("must", "always-alone")]
    assert [(f.level, f.rule) for f in weak.findings] == [("should", "always-alone")]
    assert (list(weak.kinds()), weak.advice()) == ([], weak.findings)


def test_strict_makes_advice_count(tmp_path: Path) -> None:
    mild = own(tmp_path, '[rules]\nalways-alone = { level = "should" }\n')
    result = judged(mild, LEFT, strict=True)
    assert (result.result, [finding.level for finding in result.findings]) == ("deviates", ["must"])


def test_a_finding_whose_rule_is_off_is_none(tmp_path: Path) -> None:
    off = own(tmp_path, '[rules]\nalways-alone = "off"\n')
    assert judged(off, LEFT).findings == ()


def test_of_several_runs_the_one_that_deviates_is_shown_and_not_the_one_with_advice(
    tmp_path: Path,
) -> None:
    mild = own(tmp_path, '[rules]\nalways-alone = { level = "should" }\n')
    runs = [Execution(outcome=outcome) for outcome in (LEFT, exited(66), exited(0))]
    assert judge(scenario(), mild, runs, {}).code == 66


# Inputs


def test_inputs_that_are_left_out_are_inherited(tmp_path: Path) -> None:
    inputs = own(tmp_path, '[inputs]\nagent = "ACME_AGENT"\n').inputs
    assert (inputs.home, inputs.agent) == ("HOME", "ACME_AGENT")


def test_a_scenario_whose_input_the_contract_lacks_is_not_part_of_it(tmp_path: Path) -> None:
    without = own(tmp_path, '[inputs]\nagent = ""\n')
    named = {case.id for case in bundled_catalogue().in_contract(SLOT)}
    left = {case.id for case in bundled_catalogue().in_contract(without)}
    assert "agent/unmapped" in named - left
    assert all(id_.startswith("agent/") for id_ in named - left)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[inputs]\nagent = "HOME"\n', "inputs: the variable HOME carries two inputs"),
        (
            '[inputs]\nswitch = "CHECK"\nswitch_on = "false"\n',
            "inputs.switch_off: is the same for on and off",
        ),
        ("[limits]\ncli_seconds = 15\n", "limits: the CLI may take 15 s, the probe 15 s"),
    ],
)
def test_inputs_and_limits_that_cannot_work_are_refused(
    text: str, words: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, text).startswith(words)


def test_an_input_that_a_contract_of_an_expectation_lacks_is_refused(tmp_path: Path) -> None:
    text = (
        'summary = "x"\norigin = "a: b"\nagent = "claude"\ncontrol = "agent/unmapped"\n'
        '[expect]\nslot = "ready"\n[inputs]\nskew = "60"\n'
    )
    with pytest.raises(ManyErrors) as caught:
        load_catalogue([written(tmp_path / "s" / "a" / "b.toml", text).parents[1]])
    assert "inputs.skew: contract 'slot' has no such input" in str(caught.value)


def test_a_contract_for_one_agent_has_no_scenarios_of_the_other(tmp_path: Path) -> None:
    one = own(tmp_path, 'agents = ["claude"]\n')
    assert {case.agent for case in bundled_catalogue().in_contract(one)} == {"claude"}


def test_an_agent_that_a_contract_does_not_cover_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        contracts.for_agent(contracts.load("preflight"), "codex")
    assert str(caught.value) == "contract 'preflight' has no agent 'codex'; its agents: claude"


# Codes


def test_a_verdict_may_have_several_codes(tmp_path: Path) -> None:
    several = own(tmp_path, "[verdicts.ready]\ncode = [0, 10]\n")
    assert [judged(several, exited(code)).result for code in (0, 10, 11)] == [
        "conforms",
        "conforms",
        "deviates",
    ]
    assert judged(several, exited(10)).verdict == "ready"
    assert several.verdict("ready").meaning == SLOT.verdict("ready").meaning


def test_a_contract_may_have_a_verdict_that_its_parent_lacks(tmp_path: Path) -> None:
    text = '[verdicts.unknown]\ncode = 3\nmeaning = "could not ask"\naction = "retry"\n'
    text += '[rules]\ncli-hangs = { expect = "unknown" }\n'
    fifth = own(tmp_path, text)
    case = bundled_catalogue().scenarios["cli/hangs"]
    assert judged(fifth, exited(3), case).result == "conforms"
    assert judged(fifth, exited(64), case).result == "deviates"


def test_a_verdict_that_no_rule_calls_for_may_be_off(tmp_path: Path) -> None:
    text = '[verdicts]\ncreds-invalid = "off"\n'
    words = "rules.claude-closed.expect: unknown verdict 'creds-invalid'"
    assert refused(tmp_path, text).startswith(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[verdicts.ready]\ncode = [0, 0]\n", "verdicts.ready.code: a code is listed twice"),
        ("[verdicts.maybe]\ncode = 3\n", "verdicts.maybe.meaning: missing"),
        ('[verdicts]\nredy = "off"\n', "verdicts.redy: no verdict 'redy'; did you mean ready?"),
    ],
)
def test_a_verdict_that_cannot_be_is_refused(text: str, words: str, tmp_path: Path) -> None:
    assert refused(tmp_path, text).startswith(words)


# Answers on stdout

BOTH = """
[answer]
member = "/status"
values = { ready = "ready", "no login" = "creds-missing", broken = "cli-broken", bad = "creds-invalid" }
"""
ALONE = BOTH + "exit_code = false\n"


@pytest.mark.parametrize(
    ("stdout", "kinds"),
    [
        (b'{"status": "ready"}', []),
        (b'a log line\n{"status": "ready", "why": 1}\n', []),
        (b'{"status": "bad"}\n{"status": "ready"}\n', []),
        (b'{"status": "bad"}', ["inconsistent"]),
        (b'{"status": "fine"}', ["inconsistent"]),
        (b'{"state": "ready"}', ["inconsistent"]),
        (b'["ready"]', ["inconsistent"]),
        (b"ready", ["inconsistent"]),
        (b"", ["inconsistent"]),
    ],
)
def test_where_exit_code_and_document_are_both_given_they_have_to_agree(
    stdout: bytes, kinds: list[str], tmp_path: Path
) -> None:
    result = judged(own(tmp_path, BOTH), exited(0, stdout=stdout))
    assert list(result.kinds()) == kinds
    assert {finding.rule for finding in result.findings} <= {"always-one-answer"}


def test_a_document_that_agrees_does_not_make_a_wrong_exit_code_right(tmp_path: Path) -> None:
    result = judged(own(tmp_path, BOTH), exited(66, stdout=b'{"status": "bad"}'))
    assert list(result.kinds()) == ["wrong-verdict"]


def test_an_exit_code_outside_of_the_contract_has_nothing_to_agree_with(tmp_path: Path) -> None:
    result = judged(own(tmp_path, BOTH), exited(1))
    assert list(result.kinds()) == ["outside-contract"]


@pytest.mark.parametrize(
    ("stdout", "verdict", "kinds"),
    [
        (b'{"status": "ready"}', "ready", []),
        (b'{"status": "no login"}', "creds-missing", ["wrong-verdict"]),
        (b'{"status": "?"}', None, ["outside-contract"]),
        (b"", None, ["outside-contract"]),
    ],
)
@pytest.mark.parametrize("code", [0, 1, 64])
def test_where_the_document_alone_answers_the_exit_code_says_nothing(
    stdout: bytes, verdict: str | None, kinds: list[str], code: int, tmp_path: Path
) -> None:
    result = judged(own(tmp_path, ALONE), exited(code, stdout=stdout))
    assert (result.verdict, list(result.kinds())) == (verdict, kinds)


def test_answers_that_are_no_text_are_compared_as_they_stand_in_json(tmp_path: Path) -> None:
    text = '[answer]\nmember = "/auth/0/logged~1In"\nexit_code = false\n'
    text += 'values = { true = "ready", null = "creds-missing", 5 = "cli-broken" }\n'
    contract = own(tmp_path, text)
    shown = [b'{"auth": [{"logged/In": %s}]}' % value for value in (b"true", b"null", b"5", b'"5"')]
    assert [judged(contract, exited(0, stdout=each)).verdict for each in shown] == [
        "ready",
        "creds-missing",
        "cli-broken",
        "cli-broken",
    ]


def test_answers_that_differ_on_stdout_alone_are_unsteady(tmp_path: Path) -> None:
    runs = [
        Execution(outcome=exited(0, stdout=b'{"status": "%s"}' % status))
        for status in (b"ready", b"bad")
    ]
    result = judge(scenario(), own(tmp_path, ALONE), runs, {})
    assert list(result.kinds()) == ["wrong-verdict", "unsteady"]


def test_a_value_may_only_mean_a_verdict_that_there_is(tmp_path: Path) -> None:
    text = '[answer]\nmember = "/status"\nvalues = { ok = "fine" }\n'
    words = "answer.values.ok: unknown verdict 'fine'; allowed: ready, cli-broken"
    assert refused(tmp_path, text).startswith(words)


def test_lint_wants_the_role_of_an_input_and_not_its_variable(tmp_path: Path) -> None:
    from conformance.catalogue.lint import lint  # noqa: PLC0415 - beside its one test

    case = scenario(
        expect={"slot": ("cli-broken",)},
        env={"WOVED_TASK_AGENT": "ghost"},
        rules={"slot": ("agent-unmapped",)},
    )
    complaints = lint(Catalogue({case.id: case}, {"slot": SLOT}))
    said = [str(complaint) for complaint in complaints if complaint.check == "inputs"]
    assert said == [
        "a/b: inputs: 'WOVED_TASK_AGENT' carries an input of 'slot': name its role in [inputs]"
    ]


def test_two_contracts_side_by_side_show_the_rules_and_inputs_that_differ(tmp_path: Path) -> None:
    text = '[rules]\ncli-hangs = "off"\nalways-alone = { level = "should" }\n'
    text += 'claude-closed = { expect = ["ready", "creds-invalid"] }\n'
    text += '[inputs]\nagent = "ACME"\n[limits]\nseconds = 30\n[answer]\nmember = "/status"\n'
    text += 'values = { ok = "ready" }\n'
    shown = {what: (here, there) for what, here, there in differences(SLOT, own(tmp_path, text))}
    assert {what: cells for what, cells in shown.items() if cells[0] != cells[1]} == {
        "extends": ("", "slot"),
        "input: agent": ("WOVED_TASK_AGENT", "ACME"),
        "seconds": ("15", "30"),
        "cli_seconds": ("10", "20"),
        "answer on stdout": ("", "/status: ok is ready"),
        "rule: cli-hangs": ("cli-broken", "off"),
        "rule: claude-closed": ("creds-invalid", "ready or creds-invalid"),
        "rule: always-alone": ("must: left-process", "should: left-process"),
    }


def test_a_draft_of_a_contract_of_ones_own_keeps_its_policy(tmp_path: Path) -> None:
    text = '[rules]\ncli-hangs = "off"\ncli-fails = "off"\nalways-alone = { level = "should" }\n'
    text += 'codex-not-json = { expect = "creds-missing" }\n[verdicts.ready]\ncode = [0, 10]\n'
    text += '[inputs]\nagent = "ACME"\n[limits]\nseconds = 30\n'
    text += '[answer]\nmember = "/status"\nvalues = { ok = "ready", true = "cli-broken" }\n'
    base = own(tmp_path, text)
    actions = {
        code: Action(v.action, frozenset(v.labels)) for v in base.verdicts for code in v.codes
    }
    does = {code: Answer(action=actions.get(code, Action("retry"))) for code in range(256)}
    answers = Answers(by_code=does)
    drafted = draft(base, answers, "own", "a test", SLOT)
    again = contracts.load(str(written(tmp_path / "again.toml", drafted)))
    shown = [row for row in differences(base, again) if row[1] != row[2]]
    assert shown == []


def test_the_home_with_the_opposite_answer_is_empty_where_one_of_several_codes_is_0(
    tmp_path: Path,
) -> None:
    several = own(tmp_path, "[verdicts.ready]\ncode = [0, 10]\n", "preflight")
    known = bundled_catalogue().scenarios
    assert opposite_home(known["claude/credentials-file"], several) == ()
    assert opposite_home(known["claude/baseline-only"], several) != ()


def typed(line: str, **fields: Any) -> LoginSeen:
    """Return a good login but for what the CLI has read, or what it was started with."""
    return login_seen(cli=(replace(login_seen().cli[0], read=(line,), **fields),))


#: What breaks each rule that every scenario checks: an outcome, and what else was seen.
BREAKS: dict[str, dict[str, Any]] = {
    "changed-home": {"changes": ("added f",)},
    "leaked-secret": {"outcome": exited(0, stdout=b"the-whole-secret")},
    "left-process": {"outcome": LEFT},
    "left-cli-process": {"outcome": exited(0, left_by_cli=("sleep 9",))},
    "crashed": {"outcome": exited(0, stderr=b"Traceback (most recent call last):\n")},
    "wrong-request": {"login": login_seen(requests=login_seen().requests[:2])},
    "wrong-input": {"login": typed("x")},
    "no-terminal": {"login": typed("op-c0de-1", terminal=False)},
    "leaked-token": {
        "login": login_seen(
            requests=(
                *login_seen().requests,
                request_seen("code", elsewhere=True, holds_token=True),
            )
        )
    },
    "inherited-token": {"login": typed("op-c0de-1", token=True)},
    "lost-code": {"outcome": exited(1), "login": login_seen(requests=login_seen().requests[:2])},
}


def fails_with_7() -> Login:
    """Return a login in which the CLI takes the code, and fails."""
    acts = [act for act in good_login().acts if not isinstance(act, Write)]
    return replace(good_login(), acts=(*acts[:-1], End(code=7)))


def rules_of_every_scenario() -> list[tuple[str, str]]:
    """Return each bundled contract and each of its own rules that names findings."""
    return [
        (contract.name, name)
        for contract in contracts.bundled().values()
        for name, rule in contract.rules.items()
        if rule.findings and rule.contract == contract.name and not contract.commands
        # What a policy changes in stories, and in starts, is tested with them.
        if contract.entrypoint is None
        if not STEP_FINDINGS.intersection(rule.findings)
    ]


@pytest.mark.parametrize(("parent", "name"), rules_of_every_scenario())
def test_every_rule_of_all_scenarios_can_be_advice_or_off_unless_it_is_about_the_answer(
    parent: str, name: str, tmp_path: Path
) -> None:
    """The same probe deviates, conforms with advice, or conforms."""
    findings = contracts.load(parent).rules[name].findings
    levels = [f"[rules]\n{name} = {{ level = '{level}' }}\n" for level in ("must", "should")]
    if ANSWER_FINDINGS.intersection(findings):
        for text in (levels[1], f"[rules]\n{name} = 'off'\n"):
            with pytest.raises(FileError, match="it is about the answer itself"):
                own(tmp_path, text, parent)
        return
    about_login = contracts.load(parent).requests is not None
    good: dict[str, Any] = {"login": login_seen()} if about_login else {}
    seen = Execution(**{"outcome": exited(0), **good, **BREAKS[findings[0]]})
    code = seen.outcome.code or 0

    def result(text: str) -> tuple[str, int]:
        secrets = {"{secret}": "the-whole-secret", "{secret:operator-code}": "op-c0de-1"}
        contract = own(tmp_path, text, parent)
        login = (fails_with_7() if code else good_login()) if about_login else None
        right = scenario(expect={parent: contract.verdicts_of(code)[:1]}, login=login)
        found = judge(right, contract, [seen], secrets)
        return found.result, len(found.findings)

    assert [result(text) for text in levels] == [("deviates", 1), ("conforms", 1)]
    assert result(f"[rules]\n{name} = 'off'\n") == ("conforms", 0)
