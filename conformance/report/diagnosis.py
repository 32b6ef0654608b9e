"""What many deviations have in common: often something else answers for the probe.

A hint that its reader could rightly dispute is worse than none. So each rests on scenarios from
many files that call for different answers, and says what was seen before it says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from conformance.model.agent import HEALTHY
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario
from conformance.report.additions import additions
from conformance.report.evidence import Evidence, Hint, Seen

__all__ = ["Asks", "diagnose"]

_ENDS = "where the probe ends before it can judge"
#: What the exit codes of shells and engines say about a program that does not start.
_NOT_STARTED = {126: "not executable", 127: "not there"}
#: A probe that is done in fewer seconds has not waited for a CLI that takes longer.
_AT_ONCE = 1.0
#: So many scenarios without a CLI, or with one that fails, show that a probe judges it at all.
_TOLD_APART = 3
#: A probe that prints no more texts than this says the same, or names the agent in it.
_FEW_TEXTS = 3


class Asks:
    """Questions that only another run of the probe answers."""

    def __init__(
        self,
        *,
        image: bool,
        without_mode: Callable[[Scenario], int | None],
        waiting: Callable[[str], ScenarioResult | None],
    ) -> None:
        """
        *without_mode* runs an image in a scenario with an ``AGENT_MODE`` that no entrypoint knows,
        and returns its exit code. *waiting* runs the probe where the CLI of an agent takes seconds.
        """
        self.image = image
        self.without_mode = without_mode
        self.waiting = waiting


def diagnose(
    results: Sequence[ScenarioResult],
    contract: Contract,
    scenarios: Mapping[str, Scenario],
    asks: Asks,
    *,
    cut_short: bool = False,
) -> list[Hint]:
    """Return hints: at most one about the answers, and one about what is added to the HOME.

    *cut_short* says that a run was ended because no scenario was answered in time.
    """
    evidence = Evidence.of(contract, results, scenarios)
    hints = []
    # What an entrypoint ends with is the exit code of something else, and no answer.
    answers = (_silent, _same, _no_cli, _one_agent, _other_home, _no_home)
    for find in answers if contract.entrypoint is None else ():
        if hint := find(evidence, asks, cut_short):
            hints.append(hint)
            break
    hints += additions(evidence, image=asks.image)
    return hints


def _silent(evidence: Evidence, asks: Asks, cut_short: bool) -> Hint | None:
    """Nothing is answered in time."""
    if not all(seen.only("timed-out") for seen in evidence):
        return None
    if not (evidence.enough or (cut_short and evidence)):
        return None
    said = "no scenario was answered in time"
    explains = evidence.explained("timed-out")
    if asks.image:
        mode = "AGENT_MODE=smoke-test"
        return Hint(f"{said}: the image does not end by itself in {mode}", explains)
    return Hint(f"{said}: the probe does not end by itself; name a command that does", explains)


def _same(evidence: Evidence, asks: Asks, _: bool) -> Hint | None:
    """Everything gets one answer."""
    answer = evidence.common
    if answer is None or not evidence.varied or not evidence.wrong.enough:
        return None
    every = f"every scenario got {evidence.words(answer)}"
    explains = evidence.explained("wrong-verdict", "outside-contract")
    return Hint(f"{every}{_why(evidence, asks, answer)}", explains)


def _why(evidence: Evidence, asks: Asks, answer: int | str) -> str:
    """Return why everything may have got the same *answer*, as far as that can be told."""
    meanings = evidence.means(answer)
    if isinstance(answer, int) and not meanings:
        if answer in _NOT_STARTED:
            return _not_started(answer, asks)
        ends = "where the image ends before its probe can answer" if asks.image else _ENDS
        return f": {ends}, its stderr says why; a variable it insists on is given with --env"
    if asks.image and asks.without_mode(evidence.first.scenario) == answer:
        mode = "an AGENT_MODE that does not exist"
        return f", also with {mode}: the entrypoint ignores AGENT_MODE"
    if meanings == ("cli-broken",):
        return _no_cli_anywhere(evidence, asks)
    if evidence.contract.document is None and _prints_more(evidence):
        return (
            ", though what it prints differs: the exit code is the answer, "
            "unless a contract says where on stdout it stands"
        )
    place = "log of the run" if evidence.contract.inputs.log else "HOME"
    return f": the probe does not look at the {place}"


def _not_started(code: int, asks: Asks) -> str:
    program = f"a program that is {_NOT_STARTED[code]}"
    if asks.image:
        return f": the entrypoint wants to start {program}; is the probe in the image?"
    way_out = "--env PATH=… gives it another one" if code == 127 else "it lacks an execute bit"
    where = " on its PATH" if code == 127 else ""
    return f": the probe wants to start {program}{where}; {way_out}"


def _prints_more(evidence: Evidence) -> bool:
    """Return whether the probe says different things in what it prints, wherever the home lies."""
    return len({(seen.result.stdout, seen.result.stderr) for seen in evidence}) > _FEW_TEXTS


def _no_cli_anywhere(evidence: Evidence, asks: Asks) -> str:
    if asks.image:
        return ": the probe takes no CLI for good; is the one in the image whole?"
    if _waits_for_no_cli(evidence, asks):
        return f", and no CLI was waited for: {_elsewhere(evidence)}"
    return ": the probe takes no CLI for good, not even one whose exit status is 0"


def _elsewhere(evidence: Evidence) -> str:
    """Return what keeps a probe from the CLI that it is to start, and the way out."""
    agent = evidence.contract.inputs.agent
    named = f", or does not take the agent from {agent}" if agent else ""
    return (
        f"the probe does not start the one on the PATH it is given{named}; "
        "a login shell (sh -l, bash -lc) sets PATH anew: start the probe without one"
    )


def _waits_for_no_cli(evidence: Evidence, asks: Asks) -> bool:
    """Return whether the probe is done at once where the CLI takes seconds."""
    waited = [seen.result for seen in evidence if seen.scenario.waits]
    if len(waited) < len(evidence.contract.agents):
        waited += [found for agent in evidence.contract.agents if (found := asks.waiting(agent))]
    done = [result.code is not None and result.seconds < _AT_ONCE for result in waited]
    return bool(done) and all(done)


def _no_cli(evidence: Evidence, asks: Asks, _: bool) -> Hint | None:
    """Healthy CLIs are called broken, or broken ones are passed over: none of them is started."""
    if asks.image or evidence.contract.commands:
        return None
    homes = evidence.homes
    broken = homes.part(seen for seen in homes if homes.calls_broken(seen))
    if broken.enough and broken.varied and _nearly_all(broken, homes):
        said = f"{len(broken)} of {len(homes)} scenarios with a healthy CLI got "
        said += evidence.words(broken.first.answer)
        return _unless_waited_for(broken, said, evidence, asks)
    failing = evidence.part(seen for seen in evidence if _fails(seen))
    passed_over = failing.wrong
    if passed_over.enough and _nearly_all(passed_over, failing):
        said = f"in {len(passed_over)} of {len(failing)} scenarios a CLI that fails was passed over"
        return _unless_waited_for(passed_over, said, evidence, asks)
    return None


def _unless_waited_for(part: Evidence, said: str, evidence: Evidence, asks: Asks) -> Hint | None:
    if not _waits_for_no_cli(evidence, asks):
        return None
    text = f"{said}, and none was waited for: {_elsewhere(evidence)}"
    return Hint(text, part.explained("wrong-verdict"))


def _fails(seen: Seen) -> bool:
    """Return whether a CLI that fails decides there, and no answer for its home would be right."""
    return seen.scenario.cli != HEALTHY and seen.result.expected == ("cli-broken",)


def _nearly_all(part: Evidence, whole: Evidence) -> bool:
    """Return whether *part* is nine tenths of the *whole*: one odd scenario changes nothing."""
    return 10 * len(part) >= 9 * len(whole)


def _one_agent(evidence: Evidence, *_: object) -> Hint | None:
    """All scenarios of one agent get one answer, and those of the others are mostly right."""
    agents = evidence.contract.agents
    for agent in agents if len(agents) > 1 else ():
        own = evidence.of_agent(agent)
        others = evidence.part(seen for seen in evidence if seen.scenario.agent != agent)
        if not (_ignored(own) and others.enough and others.common is None):
            continue
        if 2 * len(others.wrong) < len(others):
            names = " or ".join(f"--agent {name}" for name in agents if name != agent)
            alike = own.part(seen for seen in own if seen.answer == own.usual)
            count = "every scenario"
            if len(alike) < len(own):
                count = f"{len(alike)} of {len(own)} scenarios"
            said = f"{count} of {agent} got {evidence.words(own.usual)}, whatever is there"
            why = f"where the probe is not made for {agent}, {names} leaves them out"
            return Hint(f"{said}; {why}", alike.explained("wrong-verdict", "outside-contract"))
    return None


def _ignored(own: Evidence) -> bool:
    """Return whether a probe may not know the agent that its *own* scenarios are about.

    It calls no slot of that agent ready, and looks neither at its CLI nor at its homes.
    """
    answer, before = own.usual, own.before_homes
    if answer is None or "ready" in own.means(answer):
        return False
    # A probe that tells its broken CLIs apart knows the agent, and is wrong about its homes.
    if len(before.part(seen for seen in before if seen.answer != answer)) * 2 > len(before):
        return False
    whole = bool(before) or own.calls_broken(own.first) or not own.means(answer)
    return whole and own.varied and own.wrong.enough


def _other_home(evidence: Evidence, *_: object) -> Hint | None:
    """Answers fit the home with the opposite answer."""
    inputs, homes = evidence.contract.inputs, evidence.homes
    opposite = homes.part(s for s in homes.wrong if (s.answer == 0) != (0 in s.wanted))
    if not inputs.opposite_home or not (opposite.enough and opposite.varied):
        return None
    if not _nearly_all(opposite, homes):
        return None
    said = f"{len(opposite)} of {len(homes)} answers fit the home that {inputs.opposite_home} names"
    why = f"the one to look at is that of {inputs.home}"
    return Hint(f"{said}: {why}", opposite.explained("wrong-verdict"))


def _no_home(evidence: Evidence, *_: object) -> Hint | None:
    """All homes get one answer, although CLIs that fail get another."""
    homes = evidence.homes
    by_agent = {agent: homes.of_agent(agent) for agent in evidence.contract.agents}
    answers = {agent: own.common for agent, own in by_agent.items() if own}
    told_apart = [seen for seen in evidence.before_homes if not seen.wrong]
    told_apart = [seen for seen in told_apart if seen.answer != answers.get(seen.scenario.agent)]
    alike = None not in answers.values() and homes.varied and homes.wrong.enough
    if not alike or len(told_apart) < _TOLD_APART:
        return None
    if len(set(answers.values())) == 1:
        got = f"every home got {evidence.words(homes.common)}"
    else:
        got = " and ".join(f"every home of {a} got {evidence.words(x)}" for a, x in answers.items())
    home = evidence.contract.inputs.home
    why = f"the probe does not look at the HOME, or at another than the one that {home} names"
    explains = homes.explained("wrong-verdict", "outside-contract")
    return Hint(f"{got}, though CLIs that fail are told apart: {why}", explains)
