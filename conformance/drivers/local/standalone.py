"""The home of a scenario in a directory of the user's, and what starts a probe in it by hand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from conformance.drivers.conditions import conditions
from conformance.drivers.layout import Surroundings, lay_out
from conformance.drivers.local.command import SYSTEM_PATH
from conformance.drivers.local.supervisor_client import UMASK, Request
from conformance.errors import UsageError
from conformance.home import build, check_target, plan
from conformance.model.contract import Contract
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Scenario
from conformance.model.wording import describe_needs
from conformance.text import join, quote

__all__ = ["by_hand", "home_in", "is_shut", "lacks", "line_by_hand", "standalone", "started"]


def lacks(scenario: Scenario) -> str:
    """Return why *scenario* needs a container; empty if it needs none."""
    needs = describe_needs(scenario.container).values()
    return f"only a container can show it: it needs {' and '.join(needs)}" if needs else ""


def by_hand(env: Mapping[str, str], *, shut: bool) -> list[str]:
    """Return what to put before a command to run it with *env*.

    In a *shut* home modes matter, so root gives up the capabilities that bypass them.
    """
    argv = []
    if shut and os.geteuid() == 0:
        dropped = "-dac_override,-dac_read_search"
        argv = ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"]
    return [*argv, "env", "-i", *(f"{name}={value}" for name, value in sorted(env.items()))]


def line_by_hand(start: Request, *, shut: bool, reads: bool) -> str:
    """Return the line that starts a probe by hand as *start* says; whoever *reads* is asked there.

    For a *shut* home see :func:`by_hand`.
    """
    command = join([*by_hand(start.env, shut=shut), *start.argv])
    umask = f"umask {start.umask:04o} && " if start.umask != UMASK else ""
    nothing = "" if reads else f" < {quote(start.stdin or '/dev/null')}"
    return f"cd {quote(start.cwd)} && {umask}{command}{nothing}"


def started(scenario: Scenario, home: Path) -> str:
    """Return what a shell does before it starts the probe of *scenario*, whose HOME is *home*."""
    words = ""
    if scenario.process.umask is not None:
        words += f"umask {scenario.process.umask:04o} && "
    if scenario.process.cwd:
        cwd = expand(scenario.process.cwd, Context(now=0, seed="", home=str(home)))
        words += f"cd {quote(cwd)} && "
    return words


def home_in(directory: Path, scenario: Scenario) -> Path:
    """Return where the HOME of *scenario* lies that :func:`standalone` builds in *directory*."""
    return directory / scenario.home_name if scenario.home_name else directory


def is_shut(scenario: Scenario, context: Context) -> bool:
    """Return whether the probe must not reach something in the home of *scenario*."""
    return any(conditions(plan(scenario.entries, context), b"", os.geteuid()))


def standalone(
    scenario: Scenario, contract: Contract, directory: Path, context: Context
) -> dict[str, str]:
    """Build the home of *scenario* in *directory*, to run a probe by hand; return its environment.

    A HOME with a name of its own lies below *directory*: see :func:`home_in`. The CLI is put beside
    *directory*, in ``DIRECTORY.cli``. If the contract asks for a home with the opposite answer,
    that is put in ``DIRECTORY.opposite``.

    :raises UsageError: one of the directories cannot be used, or the scenario needs a container.
    """
    if why_not := lacks(scenario):
        raise UsageError(f"'{scenario.id}': {why_not}", hint="run it in an image, with --image")
    check_target(directory)
    cli = directory.with_name(f"{directory.name}.cli")
    opposite = directory.with_name(f"{directory.name}.opposite")
    check_target(cli)
    check_target(opposite)
    home = home_in(directory, scenario)
    around = Surroundings(
        home=str(home),
        opposite=str(opposite),
        cli=str(cli),
        path=SYSTEM_PATH,
    )
    layout = lay_out(scenario, contract, context, around)
    build(layout.home, home)
    if layout.stubs is not None:
        build(layout.stubs.nodes(), cli)
    if layout.has_opposite:
        build(layout.opposite, opposite)
    return layout.environment
