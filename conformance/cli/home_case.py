"""A real HOME, by what it is judged, and who runs the probe there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from conformance.catalogue import contracts
from conformance.cli.home_source import source_options
from conformance.cli.options import contract_option, variable_options
from conformance.errors import CannotJudge, UsageError
from conformance.home.reading import FoundHome, HomeSource, read_home
from conformance.model.contract import Contract
from conformance.run.request import variables
from conformance.specification import Case, Decision, case_in, decide, specified

if TYPE_CHECKING:
    from conformance.capture.captured import Captured

__all__ = ["RealHome", "decided", "real_home_options", "user_words"]


class HomeUser(Struct, frozen=True):
    """Who runs the probe in a HOME."""

    uid: int | None
    """None for the owner of the HOME."""
    gids: tuple[int, ...] | None
    """None for the group of the HOME."""


class RealHome:
    """A HOME that is not of a scenario, and all else that an answer in it depends on."""

    def __init__(
        self,
        source: HomeSource,
        *,
        agent: str,
        contract_name: str,
        env: Mapping[str, str],
        user: HomeUser,
    ) -> None:
        """Take the HOME that *source* leads to; *env* are variables that the probe has.

        :raises UsageError: the contract does not know the agent, or is not written down.
        :raises FileError: the file of the contract is wrong.
        """
        self._source = source
        self._env = env
        self._user = user
        self.agent = agent
        self.contract_name = contract_name
        self.contract = _contract_for(contract_name, agent)

    @functools.cached_property
    def found(self) -> FoundHome:
        """What lies there; it is read when it is asked for.

        :raises UsageError: there is no HOME.
        :raises CannotJudge: it cannot be read.
        """
        return read_home(self._source, self._env.values())

    def case(self, contract: Contract) -> Case:
        """Return the case that the HOME makes under *contract*."""
        return case_in(
            self.found.seen,
            contract,
            agent=self.agent,
            home_path=self.found.path,
            env=self._env,
            uid=self._user.uid,
            gids=self._user.gids,
        )

    def captured(self) -> Captured:
        """Return what is put into a scenario of it."""
        # Imported here so that a home is judged without what copies it.
        from conformance.capture.captured import captured  # noqa: PLC0415

        return captured(
            self.found.seen,
            home_path=self.found.path,
            contract=self.contract,
            env=self._env,
            uid=self._user.uid,
            gids=self._user.gids,
        )


def real_home_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options about a real HOME; *command* gets it as ``home``."""

    @click.option("--agent", metavar="NAME", required=True, help="The agent whose slot it is.")
    @contract_option
    @variable_options("the probe in that HOME")
    @click.option(
        "--user",
        metavar="UID[:GID]...",
        default="",
        help="Who runs the probe, and the groups; by default owner and group of the HOME.",
    )
    @source_options
    @functools.wraps(command)
    def with_home(
        *args: Any,
        source: HomeSource,
        agent: str,
        contract: str,
        env: tuple[str, ...],
        pass_env: tuple[str, ...],
        user: str,
        **options: Any,
    ) -> Any:
        home = RealHome(
            source,
            agent=agent,
            contract_name=contract,
            env=variables(env, pass_env),
            user=_user(user),
        )
        return command(*args, home=home, **options)

    return with_home


def user_words(case: Case) -> str:
    """Return who runs the probe."""
    groups = ", ".join(map(str, case.gids))
    return f"uid {case.uid}, groups {groups}" if groups else f"uid {case.uid}"


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


def _contract_for(name: str, agent: str) -> Contract:
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
    if not specified(contract, agent):
        cause = f"nobody has written down what '{contract.name}' calls for in a home of {agent}"
        raise UsageError(cause, hint="name an agent of the contract that it extends")
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
