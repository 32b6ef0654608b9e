"""What the suite costs, side by side with the least anybody could pay for the same work.

    python tests/bench/bench.py [--rounds 3] [--executions 1000] [a b c d e f g h i j]

Prints figures and ratios and asserts nothing: they depend on the machine. Compared commands take turns, so that a
slow minute hits all of them; what counts is the ratio of their medians.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path

from msgspec.structs import replace

sys.path.insert(0, os.fspath(Path(__file__).parents[1]))
from combinations import as_results

from conformance.bundled import fixtures_dir
from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.drivers import Driver
from conformance.drivers.in_process.driver import InProcessDriver
from conformance.drivers.local.driver import HomeDirectory, LocalDriver
from conformance.drivers.local.hosts import PythonTarget
from conformance.home import build, plan, remove
from conformance.judge.causes import find_causes
from conformance.judge.dictionary import known_vices
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.run.directory import RunDirectory
from conformance.run.request import RunRequest
from conformance.run.subject import check

REFERENCE = check(RunRequest(cwd=os.getcwd())).argv
SUITE = [sys.executable, "-m", "conformance"]
CONTRACT = contracts.load("slot")
#: Homes that take long to build or to read would measure the disk.
HEAVY = {
    "claude/ten-thousand-directories",
    "claude/artifact-huge",
    "codex/large",
    "codex/deep-nesting",
}


def main() -> None:
    """Run the benchmarks that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--executions", type=int, default=1000)
    parser.add_argument("which", nargs="*", default=list("abcdefghj"))
    options = parser.parse_args()
    catalogue = load_catalogue()
    ordinary = [s for s in local(catalogue) if not s.waits and s.id not in HEAVY]
    for name, bench in (
        ("a", throughput),
        ("b", homes),
        ("c", listing),
        ("d", whole_catalogue),
        ("e", lockstep),
        ("f", bystanders),
        ("g", gates_in_python),
        ("h", causes),
        ("i", pages),
        ("j", full_strength),
    ):
        if name in options.which:
            bench(catalogue, ordinary, options.rounds, options.executions)


def local(catalogue: Catalogue) -> list[Scenario]:
    """Return the scenarios that a run without containers judges."""
    return [s for s in catalogue.in_contract(CONTRACT) if s.container is None]


def copy_files(
    catalogue: Catalogue, ordinary: list[Scenario], executions: int, directory: Path
) -> list[Scenario]:
    """Copy files of *ordinary* scenarios to *directory* until they hold so many *executions*.

    Return what they hold, a scenario for each execution: a file can hold a family.
    """
    families: dict[str, list[Scenario]] = {}
    for scenario in catalogue.in_contract(CONTRACT):
        families.setdefault(scenario.file, []).append(scenario)
    ids = {scenario.id for scenario in ordinary}
    whole = [file for file, family in families.items() if ids.issuperset(s.id for s in family)]
    chosen: list[Scenario] = []
    for number in itertools.count():
        if len(chosen) >= executions:
            break
        file = whole[number % len(whole)]
        shutil.copyfile(file, directory / f"{number:05}.toml")
        chosen += families[file]
    return chosen


def throughput(
    catalogue: Catalogue, ordinary: list[Scenario], rounds: int, executions: int
) -> None:
    """(a) So many scenario executions at two workers, against the same probe started by xargs in homes that stand."""
    directory = Path(tempfile.mkdtemp(dir=Path.cwd(), prefix=".bench-"))
    try:
        scenarios = directory / "scenarios" / "bench"
        scenarios.mkdir(parents=True)
        chosen = copy_files(catalogue, ordinary, executions, scenarios)
        executions = len(chosen)  # a family is not cut in two
        with Floor(directory, chosen) as floor:
            commands = {
                "suite, one item each": [
                    *SUITE,
                    "run",
                    "-n",
                    "2",
                    "bench/*",
                    "--scenarios",
                    str(scenarios.parent),
                ],
                "suite, --repeat 10": [
                    *SUITE,
                    "run",
                    "-n",
                    "2",
                    "--repeat",
                    "10",
                    *(s.id for s in ordinary[: executions // 10]),
                ],
                "xargs -P2, homes already built": floor.command,
                "pytest + subprocess.run -n 2, homes already built": floor.plain_pytest(),
            }
            show(
                f"(a) {executions} executions of the reference probe",
                measure(commands, rounds),
                "xargs -P2, homes already built",
            )
    finally:
        remove(directory)


def homes(catalogue: Catalogue, ordinary: list[Scenario], rounds: int, executions: int) -> None:
    """(b) Homes built a second, one process, with and without taking them away again."""
    run = RunDirectory()
    try:
        context = Context(now=time.time(), seed="bench", home=str(run.path / "home"))
        plans = [
            plan(scenario.entries, replace(context, scenario=scenario.id)) for scenario in ordinary
        ]
        for what, keep in (("built", True), ("built and removed", False)):
            rates = []
            for n in range(rounds):
                started = time.perf_counter()
                for m, nodes in enumerate(plans):
                    build(nodes, run.path / f"{what}-{n}-{m}")
                    if not keep:
                        remove(run.path / f"{what}-{n}-{m}")
                rates.append(len(plans) / (time.perf_counter() - started))
            print(f"(b) homes {what}: {statistics.median(rates):.0f} a second")
    finally:
        run.close()


def listing(catalogue: Catalogue, ordinary: list[Scenario], rounds: int, executions: int) -> None:
    """(c) The command list as a whole process, beside a Python that does nothing."""
    commands = {
        "probe-conformance list": [*SUITE, "list"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    figures = measure(commands, max(rounds, 7))
    show(f"(c) list, {len(catalogue.scenarios)} scenarios", figures, "python -c pass")


def whole_catalogue(
    catalogue: Catalogue, ordinary: list[Scenario], rounds: int, executions: int
) -> None:
    """(d) The whole slot catalogue at two workers, against the floor of those scenarios that do not wait."""
    directory = Path(tempfile.mkdtemp(dir=Path.cwd(), prefix=".bench-"))
    try:
        busy = [s for s in local(catalogue) if not s.waits]
        with Floor(directory, busy) as floor:
            figures = measure(
                {
                    "suite, all": [*SUITE, "run", "-n", "2"],
                    "xargs -P2, all that do not wait": floor.command,
                },
                rounds,
            )
        show("(d) the slot catalogue", figures, "suite, all")
        suite, least = (statistics.median(times) for times in figures.values())
        waiting = len(local(catalogue)) - len(busy)
        bound = max(12.0, 1.25 * least)
        print(
            f"    {waiting} can only wait; bound max(12 s, 1.25 x floor) = {bound:.1f} s, suite {suite / bound:.2f} of it"
        )
    finally:
        remove(directory)


def lockstep(_: Catalogue, ordinary: list[Scenario], rounds: int, __: int) -> None:
    """(e) The whole catalogue as run judges it, and as lockstep does with a Manager in each form."""
    managers = fixtures_dir() / "managers"
    ask = [*SUITE, "lockstep", "-n", "2", "--manager"]
    commands = {
        "run": [*SUITE, "run", "-n", "2"],
        "lockstep, a table": [*ask, str(managers / "slot.toml")],
        "lockstep, a command": [*ask, str(managers / "slot.sh")],
    }
    show("(e) whole catalogue", measure(commands, rounds), base="run")
    ids = [scenario.id for scenario in ordinary]
    commands = {name: [*words, *ids] for name, words in commands.items()}
    show("(e) the scenarios that do not wait", measure(commands, rounds), base="run")


def bystanders(
    catalogue: Catalogue, ordinary: list[Scenario], rounds: int, executions: int
) -> None:
    """(f) What pytest costs in an empty project, in environments with and without the package.

    Environments are made anew, by pip, because what lies in them counts as well: pytest looks
    through all distributions, and through the files of those that have plug-ins.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        package = str(Path(__file__).parents[2])
        with_it, without_it = "with the package", "with its dependencies only"
        alone = "pytest alone"
        wanted = {with_it: package, without_it: package, alone: f"pytest=={version('pytest')}"}
        pythons = {}
        for n, (name, requirement) in enumerate(wanted.items()):
            subprocess.run([sys.executable, "-m", "venv", f"{directory}/{n}"], check=True)
            pythons[name] = [f"{directory}/{n}/bin/python", "-I", "-m"]
            pip(pythons[name], "install", requirement)
        pip(pythons[without_it], "uninstall", "--yes", "probe-conformance")
        empty = Path(directory, "empty")
        empty.mkdir()
        # It says with 5 that it has found no tests.
        commands = {name: [*python, "pytest", str(empty)] for name, python in pythons.items()}
        figures = measure(commands, max(rounds, 30), cwd=empty, accepted=(5,))
    show("(f) pytest in an empty project", figures, alone)
    for name in (without_it, alone):
        # The difference within each round: what slows the machine down for a while hits both.
        pairs = zip(figures[with_it], figures[name], strict=True)
        difference = statistics.median(1000 * (more - less) for more, less in pairs)
        print(f"    {with_it}, against {name}: {difference:+.0f} ms")


#: What a gate of an orchestrator imports beside what it needs itself.
USUAL_IMPORTS = (
    "import argparse, asyncio, dataclasses, datetime, logging, pathlib, shutil, typing, uuid\n"
)
#: What an orchestrator that starts containers brings along as well.
MORE_IMPORTS = f"{USUAL_IMPORTS}import click, docker, yaml\n"


def gates_in_python(
    catalogue: Catalogue, ordinary: list[Scenario], rounds: int, executions: int
) -> None:
    """(g) Scenarios a second of one gate in Python: as a local command, as --python, and as --in-process.

    The gate is the reference of preflight: alone, with usual imports, and with what starts containers.
    """
    gate = (fixtures_dir() / "probes" / "preflight.py").read_text()
    contract = contracts.load("preflight")
    waits = {
        s.id
        for s in catalogue.in_contract(contract)
        if s.takes_long or s.container or s.id in HEAVY
    }
    ids = [s.id for s in catalogue.in_contract(contract) if s.id not in waits]
    directory = Path(tempfile.mkdtemp(dir=Path.cwd(), prefix=".bench-"))
    try:
        for name, imports in (
            ("lean_gate", ""),
            ("usual_gate", USUAL_IMPORTS),
            ("orchestrators_gate", MORE_IMPORTS),
        ):
            text = gate.replace("import contextlib\n", f"{imports}import contextlib\n", 1)
            (directory / f"{name}.py").write_text(text)
            seconds = measure_gate(directory, name, ids, rounds)
            print(
                f"(g) {name}, {len(ids)} scenarios that neither wait nor have large homes, one at a time"
            )
            least = seconds["command"]
            for way, total in seconds.items():
                rate = len(ids) / total
                print(f"    {way:<52} {rate:7.1f} a second  {least / total:5.1f} times as many")
    finally:
        remove(directory)


def causes(catalogue: Catalogue, ordinary: list[Scenario], rounds: int, executions: int) -> None:
    """(h) Grouping the deviations of a run into causes: of a probe with many vices, and of one that is right.

    What the vices do is put together: in each scenario the first of them that deviates there has answered.
    """
    known = known_vices(CONTRACT, catalogue.contracts)
    if known is None:
        print("(h) causes: there is no fault dictionary")
        return
    dictionary = known.dictionary
    for wanted in (0, 100, 400):
        answers: dict[int, str] = {}
        used = 0
        for name in sorted(
            dictionary.vices, key=lambda name: hashlib.sha256(name.encode()).digest()
        ):
            if len(answers) >= wanted:
                break
            used += 1
            for text, places in dictionary.vices[name].items():
                answers |= {place: text for place in places if place not in answers}
        results = list(as_results(answers, dictionary.scenarios, catalogue, CONTRACT))
        times = []
        for _ in range(max(rounds, 5)):
            started = time.process_time()
            read = known_vices(CONTRACT, catalogue.contracts) if answers else None
            found = find_causes(results, CONTRACT, catalogue.scenarios, known=read)
            times.append(time.process_time() - started)
        seconds = statistics.median(times)
        print(
            f"(h) {len(answers)} deviations of {used} vices in {len(found)} causes: {1000 * seconds:.0f} ms of the processor"
        )


def measure_gate(directory: Path, name: str, ids: list[str], rounds: int) -> dict[str, float]:
    """Return the seconds in which drivers execute the gate *name* in all scenarios called *ids*.

    They take turns in each scenario; the best of the rounds counts, because others are at work beside.
    """
    catalogue, contract = load_catalogue(), contracts.load("preflight")
    run = RunDirectory()
    argv = (sys.executable, "-I", str(directory / f"{name}.py"))
    target = PythonTarget(module=name, name="main", directory=str(directory))
    places = [run.path / way for way in ("command", "forked", "in-process")]
    for place in places:
        place.mkdir()
    drivers: dict[str, Driver] = {
        "command": LocalDriver(argv, places[0], cwd=directory),
        "--python": LocalDriver(argv, places[1], cwd=directory, target=target),
        "--in-process": InProcessDriver(target, places[2], variables={}),
    }
    context = Context(now=float(int(time.time())), seed="bench")
    best: dict[str, list[float]] = {way: [] for way in drivers}
    try:
        for driver in drivers.values():
            driver.execute(
                catalogue.scenarios[ids[0]], contract, context
            )  # starts what is started once
        for id_ in ids:
            for way, driver in drivers.items():
                times = []
                for _ in range(rounds):
                    started = time.perf_counter()
                    driver.execute(catalogue.scenarios[id_], contract, context)
                    times.append(time.perf_counter() - started)
                best[way].append(min(times))
    finally:
        for driver in drivers.values():
            driver.close()
        run.close()
    return {way: sum(times) for way, times in best.items()}


def pages(catalogue: Catalogue, ordinary: list[Scenario], rounds: int, executions: int) -> None:
    """(i) What pages cost: to make, and to open in a browser. A run is measured with one and without."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from support_browser import missing, opened  # noqa: PLC0415 - it stands in a directory beside

    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        few = [s.id for s in ordinary][:50]
        plain = [*SUITE, "run", "-n", "2", *few]
        with_page = [*plain, "--html", f"{directory}/few.html"]
        figures = measure({"run": plain, "run --html": with_page}, rounds)
        show(f"(i) {len(few)} scenarios", figures, "run")
        ids = [s.id for s in ordinary][:400]
        report, page = f"{directory}/400.json", f"{directory}/400.html"
        wrong = [*SUITE, "run", "-n", "2", "--probe", "sh -c 'exit 65'", "--json", report, *ids]
        subprocess.run(wrong, check=False, capture_output=True)
        figures = measure(
            {
                "page, 400 scenarios": [*SUITE, "page", report, "-o", page],
                "list --html, all": [*SUITE, "list", "--html", f"{directory}/all.html"],
            },
            rounds,
        )
        show("(i) pages made", figures, "page, 400 scenarios")
        if reason := missing():
            print(f"(i) not opened: {reason}")
            return
        with opened() as driver:
            driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
            for name in ("400", "all"):
                for _ in range(rounds):
                    driver.get("about:blank")
                    driver.get(Path(directory, f"{name}.html").as_uri())
                    wall = driver.execute_script(
                        "return performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"
                    )
                    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
                    busy = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
                    print(
                        f"(i) {name}.html opened in {wall:.3f} s, of which the page was busy {busy:.3f} s"
                    )


#: So many wrong probes of slot run in every scenario: enough that a start of the command counts for little.
WRONG_PROBES = 12


def full_strength(
    catalogue: Catalogue, ordinary: list[Scenario], rounds: int, executions: int
) -> None:
    """(j) Executions a second of strength --full, against those of run, in the same scenarios."""
    ids = [scenario.id for scenario in ordinary]
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        head, *tables = (
            (fixtures_dir() / "wrong-probes" / "slot.toml").read_text().split("\n[wrong.")
        )
        some = tables[:: len(tables) // WRONG_PROBES][:WRONG_PROBES]
        Path(directory, "slot.toml").write_text("\n[wrong.".join([head, *some]))
        commands = {
            "run": [*SUITE, "run", *ids],
            "strength --full": [*SUITE, "strength", "--full", "--bank", directory, *ids],
        }
        # Some of the wrong probes may show in none of these scenarios: that is no matter here.
        figures = measure(commands, rounds, accepted=(0, 1))
    show("(j) the scenarios that do not wait, in each way", figures, "run")
    run, full = (statistics.median(times) for times in figures.values())
    ratio = (len(ids) * (WRONG_PROBES + 1) / full) / (len(ids) / run)
    print(f"    strength --full makes {ratio:.2f} times as many executions a second as run")


def pip(python: list[str], *arguments: str) -> None:
    """Run pip in one of the environments."""
    subprocess.run([*python, "pip", "--quiet", *arguments], check=True)


class Floor:
    """The probe started by hand in homes that stand already: what no suite can be faster than."""

    def __init__(self, directory: Path, scenarios: list[Scenario]) -> None:
        self.directory = directory
        self.driver = LocalDriver(REFERENCE, directory, cwd=Path.cwd())
        context = Context(now=time.time(), seed="bench")
        calls = []
        for n, scenario in enumerate(scenarios):
            place = HomeDirectory(directory / "built" / str(n))
            layout = self.driver.place(scenario, CONTRACT, context, place)
            build(layout.home, place.home)
            calls.append([f"{name}={value}" for name, value in layout.environment.items()])
        # One call has as many words as any other, so that xargs can start the probe without a shell in between.
        longest = max(map(len, calls))
        self.calls = [[*call, *["TZ=UTC"] * (longest - len(call)), *REFERENCE] for call in calls]
        words = directory / "words"
        words.write_text("\0".join(word for call in self.calls for word in call))
        # Answers do not matter here, but xargs passes them on as 123.
        self.command = [
            "xargs",
            "-0",
            "-a",
            str(words),
            "-P",
            "2",
            "-n",
            str(len(self.calls[0])),
            "env",
            "-i",
        ]

    def plain_pytest(self) -> list[str]:
        """Return the command that does the same with a test function for each home."""
        test = self.directory / "test_plain.py"
        test.write_text(
            "import pathlib, subprocess, pytest\n"
            f"CALLS = {self.calls!r}\n"
            "@pytest.mark.parametrize('call', CALLS, ids=map(str, range(len(CALLS))))\n"
            "def test_probe(call):\n"
            "    done = subprocess.run(['env', '-i', *call], capture_output=True, stdin=subprocess.DEVNULL, timeout=60)\n"
            "    assert done.returncode in (0, 64, 65, 66)\n"
        )
        return [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            os.devnull,
            "--rootdir",
            str(self.directory),
            "-n",
            "2",
            str(test),
        ]

    def __enter__(self) -> Floor:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.close()


def measure(
    commands: dict[str, list[str]],
    rounds: int,
    *,
    cwd: Path | None = None,
    accepted: Collection[int] = (0, 123),
) -> dict[str, list[float]]:
    """Return the wall times of each command, in seconds; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, argv in commands.items():
            started = time.perf_counter()
            done = subprocess.run(argv, cwd=cwd, capture_output=True, check=False)
            times[name].append(time.perf_counter() - started)
            if done.returncode not in accepted:
                sys.exit(
                    f"{name} ended with {done.returncode}: {(done.stderr or done.stdout).decode()[-800:]}"
                )
    return times


def show(title: str, figures: dict[str, list[float]], base: str) -> None:
    """Print medians with their range, and the ratio to *base*."""
    print(title)
    least = statistics.median(figures[base])
    for name, times in figures.items():
        median = statistics.median(times)
        print(
            f"    {name:<52} {median:7.3f} s  ({min(times):.3f} to {max(times):.3f})  ratio {median / least:.2f}"
        )


if __name__ == "__main__":
    main()
