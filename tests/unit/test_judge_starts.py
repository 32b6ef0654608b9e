"""The judge of entrypoints: what was started, what was written before, and how it ended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from factories import exited, killed, scenario, timed_out
from msgspec.structs import replace

from conformance.catalogue.contracts import bundled
from conformance.judge.judge import judge
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.model.start import Called, FileSeen, SeedSeen, Start, StartSeen

ENTRYPOINT = bundled()["entrypoint"]
STARTED, REFUSED, OPEN = ("started",), ("refused",), ("started", "refused")
LOGIN = json.dumps({"OPENAI_API_KEY": "k"})
OTHER = json.dumps({"OPENAI_API_KEY": "other"})


def case(expect: tuple[str, ...] = STARTED, code: int = 0, **fields: Any) -> Scenario:
    return scenario(expect={"entrypoint": expect}, start=Start(code=code), **fields)


def call(*argv: str, home: str | None = "/home/x", **fields: Any) -> Called:
    environment = {"HOME": home} if home is not None else {}
    return Called(
        argv=argv or ("claude",), environment=environment | fields.pop("env", {}), **fields
    )


def seen(*calls: Called, **fields: Any) -> StartSeen:
    defaults: dict[str, Any] = {
        "mode": "worker",
        "expected": ("claude",),
        "given": {"HOME": "/home/x"},
        "end": "exited",
    }
    return StartSeen(**{**defaults, "calls": calls, **fields})


def judged(
    one: Scenario, *starts: StartSeen, contract: Contract = ENTRYPOINT, strict: bool = False
) -> ScenarioResult:
    ends = {
        "exited": exited(starts[-1].code),
        "killed": killed(max(starts[-1].code, 1)),
        "timed-out": timed_out(),
    }
    execution = Execution(outcome=ends[starts[-1].end], starts=starts)
    return judge(one, contract, [execution], {}, strict=strict)


def found(result: ScenarioResult) -> list[tuple[str, str, str, str]]:
    return [(one.kind, one.level, one.rule, one.message) for one in result.findings]


def kinds(result: ScenarioResult) -> list[str]:
    return [one.kind for one in result.findings]


def test_what_was_started_decides_and_not_its_exit_code() -> None:
    result = judged(case(code=7), seen(call(), code=7))

    assert (result.result, result.code, result.verdict, found(result)) == (
        "conforms",
        7,
        "started",
        [],
    )
    [start] = result.steps
    assert (start.operation, start.expected, start.got) == (
        "start",
        "'claude' to be started",
        "'claude' started, and exit code 7",
    )


def test_a_program_that_ends_with_the_code_of_a_refusal_was_started() -> None:
    assert judged(case(code=1), seen(call(), code=1)).result == "conforms"
    assert kinds(judged(case(REFUSED), seen(call(), expected=(), code=1))) == ["wrong-verdict"]


def test_a_refusal_needs_its_exit_code() -> None:
    assert judged(case(REFUSED), seen(expected=(), code=1)).result == "conforms"
    assert found(judged(case(REFUSED), seen(expected=(), code=0))) == [
        (
            "outside-contract",
            "must",
            "always-a-code",
            "expected exit code 1 with nothing started, got exit code 0, and nothing was started",
        )
    ]


@pytest.mark.parametrize(
    ("argv", "fits"),
    [
        (("claude", "--print", "a b"), True),
        (("/usr/local/bin/claude", "--print", "a b"), True),
        (("claude", "--print", "a", "b"), False),
        (("claude", "--print"), False),
        (("codex", "--print", "a b"), False),
    ],
)
def test_program_and_arguments_are_compared_word_by_word(argv: tuple[str, ...], fits: bool) -> None:
    result = judged(case(), seen(call(*argv), expected=("claude", "--print", "a b")))

    assert kinds(result) == ([] if fits else ["wrong-program"])


def test_an_image_may_pass_on_the_arguments_of_its_own() -> None:
    usual = seen(call("claude", "--quiet"), usual=("claude", "--quiet"))

    assert judged(case(), usual).result == "conforms"
    assert kinds(judged(case(), replace(usual, usual=()))) == ["wrong-program"]


def test_of_several_programs_the_last_is_what_was_started_and_questions_are_none() -> None:
    before = [call("claude", "--version"), call("chmod", "0600", "f", helper=True)]

    assert judged(case(), seen(*before, call("git"), call())).result == "conforms"
    assert kinds(judged(case(REFUSED), seen(*before, expected=(), code=1))) == []
    # What the container was told to start is no question, whatever its words are.
    assert judged(case(), seen(before[0], expected=("claude", "--version"))).result == "conforms"
    assert kinds(judged(case(), seen(*before, code=1))) == ["wrong-verdict"]


def test_home_and_named_variables_have_to_reach_it() -> None:
    given = {"HOME": "/home/x", "WOVED_TASK_AGENT": "claude"}
    probe = ("/opt/conformance/slot.py",)
    right = call(*probe, env={"WOVED_TASK_AGENT": "claude"})
    here = {"mode": "smoke-test", "expected": probe, "given": given}

    assert judged(case(), seen(right, **here)).result == "conforms"
    assert [message for *_, message in found(judged(case(), seen(call(*probe), **here)))] == [
        "WOVED_TASK_AGENT of '/opt/conformance/slot.py' is not set, and the entrypoint got \"claude\""
    ]
    assert kinds(judged(case(), seen(call(home="/root")))) == ["wrong-environment"]
    assert kinds(judged(case(), seen(call(home=None)))) == ["wrong-environment"]


def test_a_variable_that_must_not_reach_it() -> None:
    table = ENTRYPOINT.entrypoint
    assert table is not None
    worker = replace(table.modes["worker"], withholds=("GH_TOKEN",))
    own = replace(ENTRYPOINT, entrypoint=replace(table, modes={**table.modes, "worker": worker}))
    started = seen(call(env={"GH_TOKEN": "t"}))

    assert judged(case(), started).result == "conforms"
    assert kinds(judged(case(), started, contract=own)) == ["wrong-environment"]


def test_other_variables_are_advice() -> None:
    one = case(env={"NOTE": "x"})
    given = {"HOME": "/home/x", "NOTE": "x"}

    assert judged(one, seen(call(env={"NOTE": "x"}), given=given)).findings == ()
    lost = judged(one, seen(call(), given=given))
    assert (lost.result, kinds(lost)) == ("conforms", ["lost-environment"])
    assert judged(one, seen(call(), given=given), strict=True).result == "deviates"


def test_the_exit_code_is_handed_through() -> None:
    assert found(judged(case(code=7), seen(call(), code=0))) == [
        (
            "wrong-exit-code",
            "must",
            "always-the-exit-code",
            "'claude' ended with exit code 7, and the entrypoint with exit code 0",
        )
    ]
    assert kinds(judged(case(), seen(call(), end="killed", code=15))) == ["wrong-exit-code"]


def test_one_that_does_not_end_is_told_with_what_it_waits_for() -> None:
    result = judged(case(OPEN), seen(call("claude", "--version"), end="timed-out"))

    assert kinds(result) == ["timed-out"]
    assert result.findings[0].message.endswith(
        "got no end within 15 s: it waits for 'claude --version', which does not end"
    )
    assert "waits" not in judged(case(), seen(call(), end="timed-out")).findings[0].message


def test_a_side_effect_counts_where_the_scenario_cites_the_rule_and_is_advice_elsewhere() -> None:
    wrote = seen(expected=(), code=1, touched=("added .gitconfig",))
    known = {"entrypoint": ("mode-unknown", "mode-without-side-effect")}

    cited = judged(case(REFUSED, rules=known), wrote)
    elsewhere = judged(case(REFUSED, rules={"entrypoint": ("token-unset",)}), wrote)

    assert (cited.result, cited.findings[0].rule) == ("deviates", "mode-without-side-effect")
    assert (elsewhere.result, elsewhere.findings[0].rule) == ("conforms", "checks-first")
    assert kinds(cited) == kinds(elsewhere) == ["side-effect"]


def test_what_it_may_not_write_is_a_change_of_the_home() -> None:
    first, again = (seen(call(), changes=("added x",)), seen(call(), changes=("removed x",)))

    assert kinds(judged(case(), first)) == ["changed-home"]
    result = judged(case(), seen(call()), again)
    assert [message for *_, message in found(result)] == [
        "start 2: the entrypoint changed the HOME: removed x"
    ]
    assert kinds(result) == ["changed-again"]
    assert [one.wrong for one in result.steps] == [False, True]


def test_after_a_start_that_is_wrong_the_second_is_not_judged() -> None:
    result = judged(case(), seen(call("codex")), seen(call("codex")))

    assert [message.partition(":")[0] for *_, message in found(result)] == ["start 1"]


# The file of credentials


def lies(content: str | None, mode: int = 0o600) -> FileSeen:
    if content is None:
        return FileSeen()
    return FileSeen(kind="file", mode=mode, content=content.encode())


DIRECTORY = FileSeen(kind="directory", mode=0o700)
DANGLING = FileSeen(kind="symlink", mode=0o777, target="../x")


def seeded(
    before: FileSeen, after: FileSeen, given: str | None = LOGIN, **fields: Any
) -> ScenarioResult:
    """Return the result of a start that began with one file and ended with another."""
    seed = SeedSeen(
        path=".codex/auth.json",
        variable="CODEX_SESSION",
        given=given,
        before=before,
        after=after,
    )
    calls = fields.pop("calls", (call(),))
    return judged(case(OPEN), seen(*calls, seed=seed, **fields))


@pytest.mark.parametrize(
    ("before", "after", "given", "expected"),
    [
        # Made where there is none, and what it holds is compared as JSON.
        (lies(None), lies(LOGIN), LOGIN, []),
        (lies(None), lies(json.dumps(json.loads(LOGIN), indent=4) + "\n"), LOGIN, []),
        (lies(None), lies(LOGIN, 0o400), LOGIN, []),
        (lies(None), lies(LOGIN, 0o640), LOGIN, ["open-file"]),
        (lies(None), lies(None), LOGIN, ["wrong-seed"]),
        (lies(None), lies(""), LOGIN, ["wrong-seed"]),
        (lies(None), lies(OTHER), LOGIN, ["wrong-seed"]),
        (lies(None), replace(DANGLING, content=LOGIN.encode()), LOGIN, ["wrong-seed"]),
        # Kept where there is a good one.
        (lies(OTHER), lies(OTHER), LOGIN, []),
        (lies(OTHER), lies(LOGIN), LOGIN, ["overwrote-login"]),
        (lies(OTHER), lies(None), LOGIN, ["overwrote-login"]),
        (lies(OTHER), lies(OTHER, 0o644), LOGIN, ["overwrote-login"]),
        (lies(OTHER), lies(""), None, ["overwrote-login"]),
        # Made good where it is broken.
        (lies(""), lies(LOGIN), LOGIN, []),
        (lies("{"), lies(LOGIN), LOGIN, []),
        (DANGLING, lies(LOGIN), LOGIN, []),
        (lies(""), lies(""), LOGIN, ["taken-for-good"]),
        (lies("{}"), lies("{}"), LOGIN, ["taken-for-good"]),
        (lies("{"), lies("{"), LOGIN, ["taken-for-good"]),
        (lies("{"), lies(None), LOGIN, ["taken-for-good"]),
        (DIRECTORY, DIRECTORY, LOGIN, ["taken-for-good"]),
        (DANGLING, DANGLING, LOGIN, ["taken-for-good"]),
        (DANGLING, replace(DANGLING, content=LOGIN.encode()), LOGIN, ["wrote-through-link"]),
        # Nothing is made of nothing.
        (lies(None), lies(None), None, []),
        (lies(None), lies(""), None, ["wrong-seed"]),
        (lies(None), lies(""), "", ["wrong-seed"]),
        (lies(None), lies(" "), " ", ["wrong-seed"]),
        (lies(None), lies("junk"), "junk", ["seeded-junk"]),
        (lies(None), lies(None), "junk", []),
        (lies(""), lies(""), None, []),
        (lies(""), lies(None), None, []),
    ],
)
def test_what_becomes_of_the_file(
    before: FileSeen, after: FileSeen, given: str | None, expected: list[str]
) -> None:
    assert kinds(seeded(before, after, given)) == expected


@pytest.mark.parametrize("before", [lies(""), lies("{"), DIRECTORY, DANGLING])
def test_what_is_broken_may_be_left_and_named_or_nothing_be_started(before: FileSeen) -> None:
    named = seeded(before, before, said=b"see to /home/x/.codex/auth.json")
    refused = seeded(before, before, calls=(), code=1)

    assert (named.result, named.findings) == ("conforms", ())
    assert (refused.result, refused.findings) == ("conforms", ())


def test_junk_that_is_named_is_no_finding() -> None:
    assert seeded(lies(None), lies("junk"), "junk", said=b"CODEX_SESSION is odd").findings == ()


def test_a_file_that_others_could_read_for_a_moment_is_advice() -> None:
    asked = call("chmod", "0600", "x", helper=True, open_seed="-rw-r--r--")

    moment = seeded(lies(None), lies(LOGIN), calls=(asked, call()))
    assert (moment.result, kinds(moment)) == ("conforms", ["open-at-first"])
    assert ".codex/auth.json had mode -rw-r--r--" in moment.findings[0].message
    assert seeded(lies("{"), lies(LOGIN), calls=(asked, call())).findings == ()


def test_no_message_holds_what_the_file_holds() -> None:
    for before, after in [(lies(None), lies(OTHER)), (lies(OTHER), lies(LOGIN)), (lies("{"),) * 2]:
        [finding] = seeded(before, after).findings
        assert "OPENAI" not in finding.message


# What a contract may change


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("always-the-program", seen(call("codex"))),
        ("always-the-home", seen(call(home="/root"))),
        ("always-the-exit-code", seen(call(), code=3)),
        ("always-untouched", seen(call(), changes=("added x",))),
    ],
)
def test_a_rule_about_starts_can_be_advice_or_off(name: str, start: StartSeen) -> None:
    def under(**change: Any) -> ScenarioResult:
        rules = {**ENTRYPOINT.rules, name: replace(ENTRYPOINT.rules[name], **change)}
        return judged(case(), start, contract=replace(ENTRYPOINT, rules=rules))

    results = [under(level="must"), under(level="should"), under(off=True)]
    assert [(one.result, len(one.findings)) for one in results] == [
        ("deviates", 1),
        ("conforms", 1),
        ("conforms", 0),
    ]
