"""By what a real HOME is judged: contract, agent, and who runs the probe."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
from msgspec import Struct

from conformance.catalogue import contracts
from conformance.errors import CannotJudge, UsageError
from conformance.model.contract import Contract
from conformance.specification import Case, Decision, decide, specified

__all__ = ["HomeUser", "contract_for", "decided", "home_agent_option", "home_user_option"]

home_agent_option = click.option(
    "--agent", metavar="NAME", required=True, help="The agent whose slot it is."
)


class HomeUser(Struct, frozen=True):
    """Who runs the probe in a HOME."""

    uid: int | None
    """None for the owner of the HOME."""
    gids: tuple[int, ...] | None
    """None for the group of the HOME."""


def home_user_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that says who runs the probe; *command* gets it as ``user``."""

    @click.option(
        "--user",
        metavar="UID[:GID]...",
        default="",
        help="Who runs the probe, and the groups; by default owner and group of the HOME.",
    )
    @functools.wraps(command)
    def with_user(*args: Any, user: str, **options: Any) -> Any:
        return command(*args, user=_user(user), **options)

    return with_user


def _user(text: str) -> HomeUser:
    """Return the user that *text* names.

    :raises UsageError: it does not hold numbers.
    """
    if not text:
        return HomeUser(None, None)
    numbers = text.split(":")
    if not all(number.isascii() and number.isdigit() and len(number) < 11 for number in numbers):
        raise UsageError(f"--user '{text}' is no user", hint="write numbers, such as 1000:1000")
    uid, *gids = map(int, numbers)
    return HomeUser(uid, tuple(gids) if gids else None)


def contract_for(name: str, agent: str) -> Contract:
    """Return the contract called *name*, or in the file of that name, to judge a HOME of *agent*.

    :raises UsageError: it does not know the agent, or what it calls for is written down nowhere.
    :raises FileError: the file is wrong.
    """
    contract = contracts.load(name)
    if not specified(contract):
        cause = f"nobody has written down what '{contract.name}' calls for in a home"
        raise UsageError(cause, hint="name slot, slot-strict, preflight, or one that extends them")
    if agent not in contract.agents:
        cause = f"'{contract.name}' knows no agent '{agent}'"
        raise UsageError(cause, hint=f"known: {', '.join(contract.agents)}")
    return contract


def decided(case: Case, contract: Contract) -> Decision:
    """Return what *contract* calls for in *case*.

    :raises CannotJudge: no rule of it speaks of such a home.
    """
    decision = decide(case, contract)
    if decision is None:
        cause = f"'{contract.name}' has turned off every rule about such a home"
        raise CannotJudge(cause, hint="name another one with --contract")
    return decision
