"""A program that lets somebody log in and a probe: which homes both see, and whose side the contract takes."""

from __future__ import annotations

import pytest
from factories import bundled_catalogue, directory, entry, file, scenario, symlink
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.compare.agree import AgreeRow, AgreeTally, as_login, is_home_of_login
from conformance.model.contract import Verdict
from conformance.model.login import Write
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import ContainerNeeds, Process

LOGIN, SLOT = contracts.load("auth-init"), contracts.load("slot")


def result(code: int | None, kind: str = "conforms") -> ScenarioResult:
    return ScenarioResult(id="a/b", agent="claude", expected=(), code=code, result=kind)  # type: ignore[arg-type]


def tally(
    *pairs: tuple[int | None, int | None], expect: tuple[str, ...] = ("ready",)
) -> AgreeTally:
    """Return the tally of homes, in each of which the two have ended with these codes."""
    made = AgreeTally(LOGIN, SLOT, len(pairs))
    for login, probe in pairs:
        made.rows.append(AgreeRow(scenario(expect=expect), result(login), result(probe)))
    return made


@pytest.mark.parametrize(
    ("login", "probe", "agree"),
    [
        (0, 0, True),
        (1, 65, True),
        (124, 66, True),
        (7, 65, True),
        (0, 65, False),
        (1, 0, False),
        (None, 0, False),
    ],
)
def test_exit_code_0_of_both_is_what_has_to_agree(
    login: int | None, probe: int | None, agree: bool
) -> None:
    made = tally((login, probe))

    assert (len(made.together()), len(made.apart())) == ((1, 0) if agree else (0, 1))
    assert made.exit_status() == (0 if agree else 1)


def test_yes_may_have_another_exit_code_than_0() -> None:
    """Then its verdicts are known by their names."""
    ten = replace(SLOT, verdicts=tuple(_as_ten(each, "ready") for each in SLOT.verdicts))
    login = replace(LOGIN, verdicts=tuple(_as_ten(each, "logged-in") for each in LOGIN.verdicts))
    made = AgreeTally(login, ten, 3)
    for codes in ((10, 10), (1, 65), (10, 65)):
        rows = [result(code) for code in codes]
        made.rows.append(AgreeRow(scenario(expect=("ready",)), *rows))

    assert (len(made.together()), len(made.apart())) == (2, 1)
    assert made.right(made.apart()[0]) == "login"


def _as_ten(verdict: Verdict, name: str) -> Verdict:
    return replace(verdict, codes=(10,)) if verdict.name == name else verdict


@pytest.mark.parametrize(
    ("expect", "login", "probe", "side"),
    [
        (("ready",), 0, 65, "login"),
        (("ready",), 1, 0, "probe"),
        (("creds-missing",), 0, 65, "probe"),
        (("creds-missing",), 1, 0, "login"),
        (("ready", "creds-missing"), 0, 65, "either"),
    ],
)
def test_the_contract_of_the_probe_takes_a_side(
    expect: tuple[str, ...], login: int, probe: int, side: str
) -> None:
    made = tally((login, probe), expect=expect)
    [row] = made.apart()

    assert made.right(row) == side


def test_what_could_not_be_judged_is_no_agreement() -> None:
    broke = AgreeTally(LOGIN, SLOT, 1)
    broke.rows.append(AgreeRow(scenario(), result(None, "broke"), result(0)))
    missing = AgreeTally(LOGIN, SLOT, 2)
    missing.rows.append(AgreeRow(scenario(), result(0), result(0)))
    nothing = AgreeTally(LOGIN, SLOT, 1)
    nothing.rows.append(AgreeRow(scenario(), result(None, "unsupported"), result(0)))
    interrupted = tally((0, 0))
    interrupted.interrupted = True

    assert [one.exit_status() for one in (broke, missing, nothing, interrupted)] == [3, 3, 3, 130]
    assert [one.not_judged() for one in (broke, missing, nothing)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({}, True),
        ({"cli": "exit-1"}, False),
        ({"inputs": {"agent": "x"}}, False),
        ({"inputs_unset": ("home",)}, False),
        ({"env": {"A": "b"}}, False),
        ({"process": Process(umask=0o77)}, False),
        ({"home_name": "a b"}, False),
        ({"earlier": ()}, False),
        ({"container": ContainerNeeds(user="1")}, False),
        ({"entries": (entry(".claude/s", "socket"),)}, False),
        ({"entries": (file("x", owner=7),)}, False),
        ({"entries": (file("x-{n}", count=5000),)}, False),
        ({"entries": (file("x", size=1 << 20),)}, False),
        ({"entries": (directory("d", mode=0), symlink("l", "d"))}, True),
    ],
)
def test_only_a_home_that_a_cli_can_leave_is_one_of_a_login(
    fields: dict[str, object], fits: bool
) -> None:
    assert is_home_of_login(scenario(**fields)) == fits  # type: ignore[arg-type]


def test_the_baseline_is_there_before_and_the_cli_writes_the_rest() -> None:
    rules, token = file(".claude/CLAUDE.md", "rules"), file(".claude/x/token", "{secret}")
    made = as_login(scenario(rules, token), LOGIN, SLOT)

    assert made.entries == (rules,)
    assert made.login is not None
    assert [act.entries for act in made.login.acts if isinstance(act, Write)] == [(token,)]
    assert made.expected(LOGIN) == ("logged-in",)


def test_a_home_without_more_than_the_baseline_is_a_login_in_which_nothing_is_written() -> None:
    made = as_login(bundled_catalogue().get("claude/baseline-only"), LOGIN, SLOT)

    assert made.login is not None
    assert not [act for act in made.login.acts if isinstance(act, Write)]
    assert made.expected(LOGIN) == ("no-login", "timed-out")


def test_most_homes_of_slot_are_some_that_a_login_may_have_left() -> None:
    homes = [one for one in bundled_catalogue().in_contract(SLOT) if one.agent == "claude"]

    assert len([one for one in homes if is_home_of_login(one)]) > 150
