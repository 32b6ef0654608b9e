"""Wall time of one run on two engines against one; on one machine two are not to cost more than a tenth.

    python tests/bench/engines.py IMAGE [--engine URL ...] [--rounds 3]

IMAGE is on the engine that is here. The other is a second dockerd on this machine, which is started with a data directory of its
own and gets a copy of the image: that takes root. With --engine, run on those that are named instead, each of which has the image.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from support_engine import SecondEngine

from conformance.drivers.container.client import connect
from conformance.images.reference import copy

#: Quick scenarios: what waits would hide what the others cost.
SCENARIOS = ("claude/a*", "claude/d*", "claude/n*", "codex/a*", "codex/e*", "codex/l*", "codex/n*")
#: The wall time on two engines may be so many times that on one.
LIMIT = 1.1


def main() -> int:
    """Run in turns on one engine and on all, and print what it took; return 1 if that is too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("--engine", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with ExitStack() as stack:
        engines = options.engine
        if not engines:
            second = stack.enter_context(SecondEngine())
            copy(connect(), second.start(), options.image)
            engines = ["default", second.name]
        results: dict[tuple[str, int], list[float]] = {}
        for _ in range(options.rounds):
            for isolation in ("shared", "fresh"):
                for count in (1, len(engines)):
                    took = run(options.image, isolation, engines[:count])
                    results.setdefault((isolation, count), []).append(took)
    worst = 0.0
    for isolation in ("shared", "fresh"):
        one, all_ = (statistics.median(results[isolation, n]) for n in (1, len(engines)))
        worst = max(worst, all_ / one)
        print(
            f"{isolation}: {one:.1f} s on one engine, {all_:.1f} s on {len(engines)}: {all_ / one:.2f}"
        )
    print(f"medians of {options.rounds} rounds; {LIMIT} is the limit")
    return worst > LIMIT


def run(image: str, isolation: str, engines: Sequence[str]) -> float:
    """Return the seconds of a run; print how many scenarios each engine had."""
    words = [word for name in engines for word in ("--engine", name)]
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [sys.executable, "-m", "conformance", "run", "--no-config", "--image", image]
        command += ["--isolation", isolation, *words, "--json", report.name, *SCENARIOS]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        took = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"the run ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        document = json.loads(Path(report.name).read_text())
    had = Counter(row["engine"] for row in document["scenarios"])
    print(f"  {isolation}, {len(engines)}: {took:.1f} s, {dict(had)}")
    for line in (*document["probe"]["notes"], *map(str, document["lost_engines"])):
        print(f"    {line}")
    return took


if __name__ == "__main__":
    sys.exit(main())
