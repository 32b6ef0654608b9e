"""Scenarios nobody thought of: homes, and what is around them, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conformance.catalogue.agents import cli_state, cli_states
from conformance.discover.draws import Draw, examples
from conformance.discover.homes import AGENTS, HOME_CHANGES, furnish
from conformance.discover.sketch import Sketch
from conformance.errors import UsageError
from conformance.model.contract import Contract, Role
from conformance.model.scenario import Process, Scenario

__all__ = ["BATCH", "agents_of", "batch"]

#: How many homes are made at one go.
BATCH = 100
#: How often a home differs from a whole one in so many things, out of ten.
_CHANGES = ((1, 0), (4, 1), (3, 2), (1, 3), (1, 4))
#: A CLI that is waited for comes once in so many of the CLIs that are not healthy: the time of a
#: hundred other homes.
_WAITS_ONCE_IN = 40

_Change = Callable[[Sketch, Draw], None]


def agents_of(contract: Contract, agent: str = "") -> tuple[str, ...]:
    """Return the agents of *contract* whose homes can be made; only *agent*, if one is named.

    :raises UsageError: there is none.
    """
    known = [name for name in contract.agents if name in AGENTS]
    chosen = [name for name in known if not agent or name == agent]
    if not chosen:
        cause = f"no homes can be made for {agent or ', '.join(contract.agents)}"
        raise UsageError(cause, hint=f"the logins that are known are those of {', '.join(AGENTS)}")
    return tuple(chosen)


def batch(
    contract: Contract, agents: tuple[str, ...], seed: int, number: int
) -> Iterator[Scenario]:
    """Yield the scenarios of the batch called *number* in a search with *seed*.

    They call for nothing yet, and are called ``home-N``: the first of the first batch is 0.
    """

    def make(draw: Draw) -> Sketch:
        return _sketch(contract, agents, draw)

    sketches = examples(make, seed * 2**32 + number, BATCH)
    for place, sketch in enumerate(sketches):
        yield sketch.finished(f"home-{number * BATCH + place}", contract)


def _sketch(contract: Contract, agents: tuple[str, ...], draw: Draw) -> Sketch:
    sketch = Sketch(agent=draw.one_of(agents))
    furnish(sketch, draw)
    changes: list[tuple[int, _Change]] = [(8, _home), (2, _variable), (2, _input), (3, _cli)]
    changes.append((1, _process))
    for _ in range(draw.weighted(_CHANGES)):
        draw.weighted(changes)(sketch, draw)
    return sketch


def _home(sketch: Sketch, draw: Draw) -> None:
    draw.weighted(HOME_CHANGES)(sketch, draw)


def _cli(sketch: Sketch, draw: Draw) -> None:
    sketch.waits = draw.once_in(_WAITS_ONCE_IN)
    sketch.cli = draw.one_of(
        [name for name in cli_states() if cli_state(name).waits == sketch.waits]
    )


def _process(sketch: Sketch, draw: Draw) -> None:
    what = draw.below(3)
    if what == 0:
        sketch.home_name = draw.one_of(("a home", "-home", "home\nline", "höme", "{n}", "a'b\"c$d"))
    elif what == 1:
        sketch.process = Process(umask=draw.one_of((0o000, 0o077, 0o777)))
    else:
        sketch.process = Process(cwd=draw.one_of(("{home}", "/")))


#: Values of the agent's input that name none, or nearly one.
_AGENT_NAMES = (
    *("", " ", "ghost", "Claude", "CODEX", " claude", "codex ", "claude\n", "claude-code"),
    *("claud", "codex2", "sh", "../claude", "claude codex", "{home}", "0"),
)


def _input(sketch: Sketch, draw: Draw) -> None:
    """Change an input: the agent, the home, the path that wins, the skew, or the switch."""
    what = draw.weighted(
        ((4, "agent"), (1, "home"), (3, "override"), (4, "skew"), (3, "switch"), (1, "unset"))
    )
    if what == "agent":
        sketch.inputs["agent"] = draw.one_of(_AGENT_NAMES)
    elif what == "home":
        sketch.inputs["home"] = draw.one_of(("", "{home}/elsewhere", "{home}/", "{home}/.claude"))
    elif what == "override":
        _override(sketch, draw)
    elif what == "skew":
        # No login of ours ends within a minute of one of these from now.
        skews = ("0", "90", "900", "10000", "100000", "-10000", "1e4", "10000.5", "", "soon", "nan")
        sketch.inputs["skew"] = draw.one_of(skews)
    elif what == "switch":
        sketch.inputs["switch"] = draw.one_of(("on", "off"))
    else:
        roles: tuple[Role, ...] = ("agent", "home")
        role = draw.one_of(roles)
        sketch.inputs_unset = (role,)
        sketch.inputs.pop(role, None)


def _override(sketch: Sketch, draw: Draw) -> None:
    login = ".claude/.credentials.json"
    place = draw.one_of(("vault/login.json", "a place/login.json", ".claude/credentials.json"))
    what = draw.below(4)
    if what == 0:
        sketch.inputs["override"] = draw.one_of(("", "{home}/gone.json", "{home}/.claude"))
        return
    sketch.inputs["override"] = f"{{home}}/{place}"
    if what == 1 and login in sketch.entries:
        sketch.move(login, place)
    elif what == 2:
        furnish(sketch, draw)
        if login in sketch.entries:
            sketch.move(login, place)
            HOME_CHANGES[0][1](sketch, draw)  # what lies at the usual place is another login


_TOKENS = ("{secret:other}", "{secret:openai-key}", "{secret:anthropic-key}", "", " ", "x")
_TOKEN_NAMES = (
    *("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    *("OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN"),
)
_SWITCH_NAMES = ("CLAUDE_CODE_SIMPLE", "CLAUDE_CODE_USE_BEDROCK", "DISABLE_TELEMETRY")
_DIRECTORY_NAMES = {"claude": "CLAUDE_CONFIG_DIR", "codex": "CODEX_HOME"}


def _variable(sketch: Sketch, draw: Draw) -> None:
    """Set a variable that a CLI reads: another directory, a token, or a switch."""
    what = draw.weighted(((5, "directory"), (4, "token"), (1, "switch"), (1, "other")))
    if what == "token":
        sketch.env[draw.one_of(_TOKEN_NAMES)] = draw.one_of(_TOKENS)
    elif what == "switch":
        sketch.env[draw.one_of(_SWITCH_NAMES)] = draw.one_of(("1", "0", "true", ""))
    elif what == "other":
        sketch.env["XDG_CONFIG_HOME"] = "{home}/.config"
    else:
        _directory(sketch, draw)


def _directory(sketch: Sketch, draw: Draw) -> None:
    """Name another directory for what the CLI keeps; sometimes it has moved there."""
    name = _DIRECTORY_NAMES[sketch.agent]
    usual = f".{sketch.agent}"
    place = draw.one_of(("elsewhere", ".config/agent", "a place", "~"))
    what = draw.below(6)
    if what == 0:
        sketch.env[name] = draw.one_of(("", "~/elsewhere", "{home}/gone", "{home}", "elsewhere"))
        return
    sketch.env[name] = f"{{home}}/{place}"
    if what < 4:
        sketch.move(usual, place)
    elif what == 4:
        sketch.file(place, "text\n")
