"""Mutate the reference probes, and see which mutants the catalogue kills: ``tox -e mutants``, or ``python tests/mutants.py``.

The mutants are cosmic-ray's; each is run like a wrong probe of a bank, in one scenario after the other until one does not
conform: in those in which the original has come to the line that is changed, since no other can tell. A survivor is to be
killed by a new scenario, or listed in ``mutants.toml`` with the reason why none can.
"""

from __future__ import annotations

import ast
import operator
import os
import re
import secrets
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cosmic_ray.plugins  # type: ignore[import-not-found, unused-ignore]  # only in the environment that mutates
from cosmic_ray.mutating import mutate_code  # type: ignore[import-not-found, unused-ignore]

from conformance.bundled import fixtures_dir
from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.drivers.local.driver import LocalDriver
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.model.story import ChangeEnvironment, SetClock, Wait
from conformance.run.directory import RunDirectory
from conformance.strength.bank import WrongProbe
from conformance.strength.pool import run_trials
from conformance.strength.trials import Task
from conformance.strength.worker import TrialContext
from conformance.text import one_line

#: The share that has to be killed of the mutants that can be told from the original, in percent.
ENOUGH = 95
PROBES = {
    "slot": ["slot.py"],
    "slot-strict": ["slot_strict.py", "slot.py"],
    "preflight": ["preflight.py"],
    "run-result": ["run_result.py"],
    "gate": ["gate.py", "preflight.py"],
}
#: The functions of the reference gate that only its program calls: they speak the line protocol.
IN_PROGRAM = ("ready", "claimed", "noted", "counted", "unknown", "main")
WORKERS = 3 * (os.cpu_count() or 1)


def mutants(source: str) -> Iterator[str]:
    """Yield every mutant of *source* that differs from it in more than annotations."""
    original = code_of(source)
    for name in sorted(cosmic_ray.plugins.operator_names()):
        try:
            mutation = cosmic_ray.plugins.get_operator(name)()
        except (
            TypeError
        ):  # it takes an argument: which variable it is to put something else in the place of
            continue
        number = 0
        while (mutant := mutate_code(source, mutation, number)) is not None:
            number += 1
            # Not every star is a multiplication: what is no Python any more is no mutant.
            if (code := code_of(mutant)) and code != original:
                yield mutant


def code_of(source: str) -> str:
    """Return what of a program is ever evaluated: with postponed evaluation, annotations are not; nothing for no program."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ""
    tree = Folded().visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return ast.dump(tree)


#: What joins flags, and what a mutant may have in its place.
JOINS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}


class Folded(ast.NodeTransformer):
    """Puts its value in the place of what the system's constants come to: flags can be joined in more than one way."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        module = (
            {"os": os, "signal": signal}.get(node.value.id)
            if isinstance(node.value, ast.Name)
            else None
        )
        value = getattr(module, node.attr, None)
        return (
            ast.Constant(int(value))
            if isinstance(value, int) and node.attr.isupper()
            else self.generic_visit(node)
        )

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        folded = self.generic_visit(node)
        assert isinstance(folded, ast.BinOp)
        join = JOINS.get(type(folded.op))
        left, right = (
            side.value if isinstance(side, ast.Constant) else None
            for side in (folded.left, folded.right)
        )
        return (
            ast.Constant(join(left, right))
            if join and isinstance(left, int) and isinstance(right, int)
            else folded
        )


def change(source: str, mutant: str) -> tuple[int, str, str]:
    """Return where *mutant* differs: the number of the line, what stood there, and what stands there now."""
    pairs = zip(source.splitlines(), mutant.splitlines(), strict=False)
    for number, (old, new) in enumerate(pairs, 1):
        if old != new:
            return number, one_line(old), one_line(new)
    raise ValueError("no line differs")


def spread(scenarios: Iterable[Scenario], contract: Contract) -> list[str]:
    """Return ids in an order that kills soon: first one of each kind, those in which there is only waiting last."""
    seen: dict[tuple[object, ...], int] = {}
    ranks = {}
    for scenario in scenarios:
        kind = (scenario.agent, scenario.expected(contract), scenario.cites(contract))
        seen[kind] = seen.get(kind, 0) + 1
        ranks[scenario.id] = seen[kind]
    return sorted(ranks, key=ranks.__getitem__)


#: Started with a file to write to and a program, it runs the program and writes which of its lines were run.
TRACER = """
import runpy, sys
out, program = sys.argv[1:3]
lines = set()
def trace(frame, event, arg):
    if frame.f_code.co_filename != program:
        return None
    lines.add(frame.f_lineno)
    return trace
sys.settrace(trace)
try:
    runpy.run_path(program, run_name="__main__")
finally:
    sys.settrace(None)
    open(out, "w").write(" ".join(map(str, sorted(lines))))
"""


def reach(
    program: Path, scenarios: list[Scenario], contract: Contract, ground: TrialContext
) -> dict[int, set[str]]:
    """Return the scenarios in which each line of *program* is run."""
    directory = Path(ground.directory)
    tracer = directory / "tracer.py"
    tracer.write_text(TRACER)
    driver = LocalDriver((), directory, cwd=directory)

    def lines(scenario: Scenario) -> list[int]:
        out = directory / scenario.id.replace("/", "+")
        one = driver.with_command((sys.executable, "-I", str(tracer), str(out), str(program)))
        outcome = one.execute(scenario, contract, ground.context).outcome
        return [int(number) for number in out.read_text().split()] if outcome.says_something else []

    reached: dict[int, set[str]] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        for scenario, numbers in zip(scenarios, pool.map(lines, scenarios), strict=True):
            for number in numbers:
                reached.setdefault(number, set()).add(scenario.id)
    driver.close()
    return reached


def protocol_lines(source: str) -> set[int]:
    """Return the lines of a gate that only the program of it runs, and not the class."""
    found: set[int] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.If) or getattr(node, "name", "") in IN_PROGRAM:
            found.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def is_long(story: Scenario) -> bool:
    """Return whether a program has to wait in *story*, and nothing else is asked there than elsewhere."""
    actions = [step.action for step in story.steps]
    changes = any(isinstance(action, ChangeEnvironment) for action in actions)
    return any(isinstance(action, Wait | SetClock) for action in actions) and not changes


def written(place: Path, sources: dict[str, str]) -> Path:
    """Write *sources* to the new directory *place*; return it."""
    place.mkdir()
    for name, text in sources.items():
        (place / name).write_text(text, encoding="utf-8")
    return place


def tasks(
    contract: Contract, files: list[str], catalogue: Catalogue, ground: TrialContext
) -> list[Task]:
    """Return a task for each mutant of the reference probe of *contract*, which is the first of *files*."""
    texts = {name: (fixtures_dir() / "probes" / name).read_text(encoding="utf-8") for name in files}
    program = files[0]
    local = [scenario for scenario in catalogue.in_contract(contract) if scenario.container is None]
    order = spread(local, contract)
    in_program, stories = protocol_lines(texts[program]), [one for one in local if one.steps]
    reached = {}
    if not contract.in_steps:
        reached = reach(fixtures_dir() / "probes" / program, local, contract, ground)
    found = []
    for number, mutant in enumerate(mutants(texts[program])):
        line, old, new = change(texts[program], mutant)
        command: tuple[str, ...] = ()
        if contract.in_steps and line in in_program:
            place = written(Path(ground.directory) / f"{number:04}", {**texts, program: mutant})
            command = (sys.executable, "-I", str(place / program))
            reached[line] = {one.id for one in stories if not is_long(one)}
        elif contract.in_steps:
            reached[line] = {one.id for one in stories}
        probe = WrongProbe(
            command=command,
            name=f"{number:04}",
            contract=contract.name,
            vice=f"{program}:{line}: {old} → {new}",
            report="",
            about=(),
            program="" if command else program,
            sources={} if command else {**texts, program: mutant},
        )
        then = tuple(id_ for id_ in order if id_ in reached.get(line, ()))
        found.append(Task(probe=probe, contract=contract, first=(), then=then))
    return found


@dataclass(frozen=True)
class Reason:
    """Why a mutant survives, and whether it answers as the original does in every home."""

    text: str
    equivalent: bool


def reasons() -> dict[str, Reason]:
    """Return why a mutant survives, by what stands in a report of it without the number of the line."""
    listed = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text(encoding="utf-8"))
    return {
        f"{program}: {old} → {new}": Reason(group["reason"], kind == "equivalent")
        for kind in ("equivalent", "open")
        for group in listed[kind]
        for program, old, new in group["changes"]
    }


def survivors(ground: TrialContext, todo: list[Task]) -> Iterator[tuple[str, str]]:
    """Yield each mutant that nothing kills: as people read it, and by what its reason is found."""
    for vice in sorted(
        trial.probe.vice for trial in run_trials(ground, todo, WORKERS) if not trial.catches
    ):
        yield vice, re.sub(r":\d+: ", ": ", vice, count=1)


def main(wanted: list[str]) -> int:
    """Return 0 where enough mutants are killed, and every survivor is explained."""
    catalogue = load_catalogue()
    known = reasons()
    used: set[str] = set()
    bad = 0
    for name in wanted or PROBES:
        started = time.monotonic()
        directory = RunDirectory()
        ground = TrialContext(
            scenarios=list(catalogue.scenarios.values()),
            contracts=dict(catalogue.contracts),
            context=Context(now=time.time(), seed=secrets.token_hex(8)),
            directory=str(directory.path),
        )
        try:
            todo = tasks(catalogue.contracts[name], PROBES[name], catalogue, ground)
            found = dict(survivors(ground, todo))
        finally:
            directory.close()
        for vice, key in found.items():
            reason = known.get(key)
            print(f"  survives {vice}: {reason.text if reason else 'NOT EXPLAINED'}")
            bad += reason is None
        used.update(found.values())
        equivalent = sum(known[key].equivalent for key in found.values() if key in known)
        bad += not enough(name, len(todo), len(found), equivalent, time.monotonic() - started)
    for key in known.keys() - used if not wanted else ():
        print(f"  mutants.toml explains what does not survive: {key}")
        bad += 1
    return 1 if bad else 0


def enough(name: str, made: int, alive: int, equivalent: int, seconds: float) -> bool:
    """Print the share that is killed, and tell whether it is enough."""
    killed = made - alive
    share = 100 * killed / (made - equivalent)
    print(
        f"{name}: {killed} of {made} mutants killed, {equivalent} are equivalent, {alive - equivalent} survive: "
        f"{share:.1f} % of those that can be told from the original ({100 * killed / made:.1f} % of all); {seconds:.0f} s",
        flush=True,
    )
    return share >= ENOUGH


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
